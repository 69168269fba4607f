/* SPDX-License-Identifier: MIT */
/*
 * notify.h: run a function in a process of its own and have a say in each of its system calls.
 *
 * A seccomp filter asks the parent about the calls of that process (and of its threads and
 * children): it hears of them before they are made, and lets each go on or makes it fail. That
 * works for what the C library calls, for liburing's own calls and under every sanitizer, and costs
 * the other calls nothing.
 * Source: seccomp_unotify(2), Linux 5.6.
 */
#ifndef WEIR_TESTS_FAULTS_NOTIFY_H
#define WEIR_TESTS_FAULTS_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

/* Which calls are asked about: those on the list, or those that are not. */
struct notify_calls {
	const int *numbers;
	size_t len;
	bool others;
};

/* An errno with which the call is to fail, or 0. */
typedef int (*notify_fn)(void *arg, int number);

/*
 * Runs body(arg), whose result is the child's exit status; the child's standard streams are the
 * caller's. Returns what waitpid says; -ETIMEDOUT after limit_s, and the child was sent SIGABRT;
 * -EOVERFLOW when decide answered -EOVERFLOW, likewise; another negative errno where the kernel
 * does not offer it.
 */
int notify_run(const struct notify_calls *calls, int (*body)(void *), void *body_arg,
	       notify_fn decide, void *decide_arg, unsigned limit_s);

#endif
