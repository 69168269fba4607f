/* SPDX-License-Identifier: MIT */
/*
 * notify.h: runs a function in a child process and decides on its system calls.
 *
 * A seccomp filter reports system calls of the child, its threads and its children to the parent
 * before they are made. The parent lets each call proceed or makes it fail. This works for calls of
 * the C library and of liburing and under every sanitizer, and costs nothing for the other calls.
 * Source: seccomp_unotify(2), Linux 5.6.
 */
#ifndef WEIR_TESTS_FAULTS_NOTIFY_H
#define WEIR_TESTS_FAULTS_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

/* Which calls the filter reports: those in the list, or those that are not in it. */
struct notify_calls {
	const int *numbers;
	size_t len;
	bool others;
};

/* Returns the errno with which the call fails; 0 lets it proceed; -EOVERFLOW ends the run. */
typedef int (*notify_fn)(void *arg, int number);

/*
 * Runs body(arg) in a child with the caller's standard streams; its result is the child's exit
 * status. Returns the status from waitpid. Returns -ETIMEDOUT after limit_s, or -EOVERFLOW if
 * decide returned that; in both cases the child is ended by SIGABRT. Returns another negative errno
 * if the kernel does not support such filters.
 */
int notify_run(const struct notify_calls *calls, int (*body)(void *), void *body_arg,
	       notify_fn decide, void *decide_arg, unsigned limit_s);

#endif
