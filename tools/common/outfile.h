/* SPDX-License-Identifier: MIT */
/*
 * outfile.h: a file that is written at the end of a run, whole or not at all: what is
 * there is written beside it and takes its place when it is complete.
 *
 *	outfile_open ──► fprintf(file.out, …) … ──► outfile_close: 0, it is there
 *	             └─► outfile_drop: as if nothing had been
 *
 * "-" is standard output. What is no regular file (a FIFO, /dev/stdout) is written as it
 * comes. A symbolic link that another user has laid there is not followed.
 */
#ifndef TOOLS_COMMON_OUTFILE_H
#define TOOLS_COMMON_OUTFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct outfile {
	FILE *out;
	char path[PATH_MAX];		/* to be, behind links */
	char temporary[PATH_MAX];	/* "": there is none */
};

/* No errno: there is a symbolic link that another user owns. */
#define OUTFILE_OTHERS_LINK (-4096)

/* What a result says, in words. */
const char *outfile_error(int rc);
/* 0; OUTFILE_OTHERS_LINK; or a negative errno. A FIFO waits for its reader. */
int outfile_open(struct outfile *file, const char *path);
/* Put it in its place. 0; or a negative errno: what was there is as it was. */
int outfile_close(struct outfile *file);
void outfile_drop(struct outfile *file);
/* Whether it can be written, as far as that can be known before: as outfile_open. */
int outfile_check(const char *path);

#endif
