/* SPDX-License-Identifier: MIT */
/*
 * load.h: a small program that uses each part of weir once and checks the results: echo servers
 * over TCP and Unix streams, a relay, files, a pipe, timers, a blocking job, a signal.
 *
 * Its rules must hold whatever system call fails:
 *  - every call returns, with success or an error; a wait that reaches its deadline hangs;
 *  - the bytes that arrive are right, and the end of stream comes after the last of them;
 *  - every task ends, and the runtime shuts down.
 */
#ifndef WEIR_TESTS_FAULTS_LOAD_H
#define WEIR_TESTS_FAULTS_LOAD_H

#include <stdbool.h>
#include <stdint.h>

struct weir_topo;

struct load {
	const char *backend;
	unsigned workers;		/* 0: the current-thread scheduler */
	const struct weir_topo *topo;	/* NULL: the runtime reads the machine itself */
	bool failing_for_good;		/* deadlines are short, and waits may reach them */
};

/*
 * Runs the load in a new runtime. Returns how many rules were broken; each is reported on stderr.
 */
int load_run(const struct load *load);

#endif
