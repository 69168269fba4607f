/* SPDX-License-Identifier: MIT */
/*
 * overflow.h: saying what happened when a fiber runs over its stack. Only on
 * request: a handler for the fault signal that writes
 *
 *	weir: fiber stack overflow in task "<name>" (stack N bytes); raise stack_bytes
 *
 * to standard error when the fault address is in a guard page (core/stack.h), then
 * puts the previous handler back and lets the instruction fault again, so that the
 * process ends (or dumps core) as it would have. Every other fault goes to the
 * previous handler.
 */
#ifndef WEIR_CORE_OVERFLOW_H
#define WEIR_CORE_OVERFLOW_H

#include <signal.h>
#include <stddef.h>

/*
 * Installs the handler, once for good. Each thread that resumes fibers needs an alternate signal
 * stack. Returns 0 (also when already installed) or a negative errno. Thread: [any].
 */
int weir__stack_report_overflow_install(void);

/* The running task's name, or NULL; set by the task layer. Called in a signal handler. */
extern const char *(*weir__stack_overflow_name)(void);

/* One thread's alternate signal stack. */
struct weir__altstack {
	void *base;				/* NULL: the thread has one that is big enough */
	size_t bytes;
	stack_t before;				/* the thread's own, or none; comes back at the end */
};

/* See to it that there is one. Returns 0 or a negative errno. Thread: [any]; fini on the same thread. */
int weir__stack_altstack_init(struct weir__altstack *alt);
void weir__stack_altstack_fini(struct weir__altstack *alt);

#endif
