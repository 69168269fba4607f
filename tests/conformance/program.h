/* SPDX-License-Identifier: MIT */
/*
 * program.h: programs of operations, drawn from a seed, whose visible result does
 * not depend on the backend, nor on the scheduler: each step is awaited, and what
 * could come in parts is put together before it is written down.
 *
 *	seed ──► program_run, on a fiber ──► transcript: a line per step
 *
 * sequences.c runs them on every backend and compares the transcripts.
 */
#ifndef WEIR_TESTS_CONFORMANCE_PROGRAM_H
#define WEIR_TESTS_CONFORMANCE_PROGRAM_H

#include "tests/conformance/conformance.h"

/* No direction of a connection has more on its way: every backend holds that much. */
#define PROGRAM_BYTES 12000

struct program {
	uint64_t seed;
	char *text;			/* the transcript, to be freed */
	size_t len, cap;
};

/* The body of a fiber: runs the program of its seed. Leaves nothing open. */
int program_run(void *program);

#endif
