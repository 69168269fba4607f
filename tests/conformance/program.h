/* SPDX-License-Identifier: MIT */
/*
 * program.h: random programs of operations whose visible result does not depend on the
 * backend or the scheduler: each step is awaited, and bytes that may arrive in parts are
 * collected before they are recorded.
 *
 *	seed ──► program_run, on a fiber ──► transcript: a line per step
 *
 * sequences.c runs them on every backend and compares the transcripts.
 */
#ifndef WEIR_TESTS_CONFORMANCE_PROGRAM_H
#define WEIR_TESTS_CONFORMANCE_PROGRAM_H

#include "tests/conformance/conformance.h"

/* The most bytes in flight in one direction: every backend can buffer as many. */
#define PROGRAM_BYTES 12000

struct program {
	uint64_t seed;
	char *text;			/* the transcript, to be freed */
	size_t len, cap;
};

/* The body of a fiber: runs the program for its seed, and closes everything. */
int program_run(void *program);

#endif
