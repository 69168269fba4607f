/* SPDX-License-Identifier: MIT */
/*
 * outfile.h: an output file that appears only when it is complete. It is written to a
 * temporary file in the same folder, which then replaces the old file.
 *
 *	outfile_open ──► fprintf(file.out, …) … ──► outfile_close: 0, the file is complete
 *	             └─► outfile_drop: nothing has changed
 *
 * "-" is standard output. If the path is not a regular file (a FIFO, /dev/stdout), it is
 * written directly. A symbolic link that another user owns is not followed.
 */
#ifndef TOOLS_COMMON_OUTFILE_H
#define TOOLS_COMMON_OUTFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct outfile {
	FILE *out;
	char path[PATH_MAX];		/* the final path, with links resolved */
	char temporary[PATH_MAX];	/* "": there is none */
};

/* An error besides the errnos: the path is a symbolic link that another user owns. */
#define OUTFILE_OTHERS_LINK (-4096)

/* The text of an error that these functions return. */
const char *outfile_error(int rc);
/* Returns 0, OUTFILE_OTHERS_LINK, or a negative errno. Opening a FIFO waits for its reader. */
int outfile_open(struct outfile *file, const char *path);
/* Replace the old file. Returns 0, or a negative errno and leaves the old file unchanged. */
int outfile_close(struct outfile *file);
void outfile_drop(struct outfile *file);
/* Check in advance whether the file can be written; returns the same values as outfile_open. */
int outfile_check(const char *path);

#endif
