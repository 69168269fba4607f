/* SPDX-License-Identifier: MIT */
/*
 * calls.h: the list of all system calls that a program on weir makes, with the errors that each can
 * return. If a call is never made to fail, the list says why.
 *
 * traced.c keeps the list complete: it runs the conformance suite and fails on a call that is not
 * here.
 */
#ifndef WEIR_TESTS_FAULTS_CALLS_H
#define WEIR_TESTS_FAULTS_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#define FAULTS_ERRORS_MAX 10

struct faults_call {
	const char *name;
	int number;
	/* The errors with which it fails, up to a 0: those of its manual page, and those that the
	 * filters of containers return. */
	int errors[FAULTS_ERRORS_MAX];
	const char *why_not;		/* why the call is never made to fail */
	bool hwloc_leaks;		/* if it fails while hwloc reads the machine, hwloc leaks */
};

extern const struct faults_call faults_calls[];
extern const size_t faults_calls_len;

/* Find a call by number or by name. NULL if it is not on the list. */
const struct faults_call *faults_call_numbered(int number);
const struct faults_call *faults_call_named(const char *name);

#endif
