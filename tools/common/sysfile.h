/* SPDX-License-Identifier: MIT */
/*
 * sysfile.h: reads /proc and /sys, below a root: "" on this machine, a folder in tests.
 * A file that does not exist or is not readable yields false or 0, without a reason.
 */
#ifndef TOOLS_COMMON_SYSFILE_H
#define TOOLS_COMMON_SYSFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "weir/base.h"

FILE *sysfile_open(const char *root, const char *path);
bool sysfile_exists(const char *root, const char *path);

/* The first line of a file, without the newline. */
bool sysfile_line(const char *root, const char *path, char *buf, size_t len);
/* The contents of a file, with all its lines, cut to the size of the buffer. */
bool sysfile_text(const char *root, const char *path, char *buf, size_t len);
bool sysfile_number(const char *root, const char *path, long long *ret_value);

/* The value of the first line that begins with "key:". */
bool sysfile_field(const char *root, const char *path, const char *key, char *buf, size_t len);

/* The last component of a link's target. */
bool sysfile_link(const char *root, const char *path, char *buf, size_t len);

/*
 * The entries of a folder whose names begin with prefix, sorted so that numbers in names count as
 * numbers. Names of SYSFILE_NAME or more bytes are left out. The caller frees *ret_names.
 */
#define SYSFILE_NAME 32
unsigned sysfile_entries(const char *root, const char *path, const char *prefix,
			 char (**ret_names)[SYSFILE_NAME]);

#endif
