/* SPDX-License-Identifier: MIT */
/*
 * load.h: a small program on weir that uses each part of it once and knows what it must see: echo
 * servers over TCP and Unix streams, a relay, files, a pipe, timers, a blocking job, a signal.
 *
 * Whatever fails beneath it, these hold:
 *  - every call answers: a wait that runs into its deadline is a hang;
 *  - bytes that arrive are the right ones, and an end of stream comes after the last of them;
 *  - every task ends, and the runtime shuts down.
 * An error is an answer.
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
	bool failing_for_good;		/* a wait may run into its deadline, which is short */
};

/* Runs it in a runtime of its own; how many rules were broken, each with a line on stderr. */
int load_run(const struct load *load);

#endif
