/* SPDX-License-Identifier: MIT */
/*
 * calls.h: every system call that a program on weir makes, and which errors each can give.
 *
 * The list is kept complete by traced.c, which runs the conformance suite and fails on a call that
 * is not here. A call that is not failed says why.
 */
#ifndef WEIR_TESTS_FAULTS_CALLS_H
#define WEIR_TESTS_FAULTS_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#define FAULTS_ERRORS_MAX 10

struct faults_call {
	const char *name;
	int number;
	/* What it is made to answer, up to a 0: errors of its manual page, and what a container's
	 * filter answers. */
	int errors[FAULTS_ERRORS_MAX];
	const char *why_not;		/* it is not failed */
	bool hwloc_leaks;		/* not while hwloc reads the machine, which loses descriptors then */
};

extern const struct faults_call faults_calls[];
extern const size_t faults_calls_len;

/* The call of that number or name; NULL: it is not on the list. */
const struct faults_call *faults_call_numbered(int number);
const struct faults_call *faults_call_named(const char *name);

#endif
