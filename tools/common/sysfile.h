/* SPDX-License-Identifier: MIT */
/*
 * sysfile.h: reading /proc and /sys, below a root: "" on this machine, a folder in
 * tests. What is not there, or not readable, is false or 0; nobody is told why.
 */
#ifndef TOOLS_COMMON_SYSFILE_H
#define TOOLS_COMMON_SYSFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "weir/base.h"

FILE *sysfile_open(const char *root, const char *path);
bool sysfile_exists(const char *root, const char *path);

/* The first line of a file, without its end. */
bool sysfile_line(const char *root, const char *path, char *buf, size_t len);
/* All of a small one, which may have more lines; a long one is cut. */
bool sysfile_text(const char *root, const char *path, char *buf, size_t len);
bool sysfile_number(const char *root, const char *path, long long *ret_value);

/* What stands behind "key:" at the head of a line; the first such line's. */
bool sysfile_field(const char *root, const char *path, const char *key, char *buf, size_t len);

/* The last part of what a link points to. */
bool sysfile_link(const char *root, const char *path, char *buf, size_t len);

/*
 * The entries of a folder whose names begin with prefix, in the order of the numbers in them and
 * then of their letters; each shorter than SYSFILE_NAME. The caller frees *ret_names.
 */
#define SYSFILE_NAME 32
unsigned sysfile_entries(const char *root, const char *path, const char *prefix,
			 char (**ret_names)[SYSFILE_NAME]);

#endif
