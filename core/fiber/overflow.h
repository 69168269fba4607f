/* SPDX-License-Identifier: MIT */
/*
 * overflow.h: saying what happened when a fiber runs over its stack. Only on
 * request: a handler for the fault signal that writes
 *
 *	weir: fiber stack overflow in task "<name>" (stack N bytes); raise stack_bytes
 *	weir: it overflowed in <file>(<function>+0x<offset>), the fiber runs <the same>
 *
 * to standard error when the fault address is in a guard page (core/fiber/stack.h). The second
 * line has the form of backtrace_symbols: a function that is not exported has no name
 * there, and addr2line finds it by its offset in the file. Then the handler
 * puts the previous handler back and lets the instruction fault again, so that the
 * process ends (or dumps core) as it would have. Every other fault goes to the
 * previous handler.
 */
#ifndef WEIR_CORE_FIBER_OVERFLOW_H
#define WEIR_CORE_FIBER_OVERFLOW_H

#include <signal.h>
#include <stddef.h>

/*
 * Installs the handler, once for good. Each thread that resumes fibers needs an alternate signal
 * stack. Returns 0 (also when already installed) or a negative errno. Thread: [any].
 */
int weir__stack_report_overflow_install(void);

/* Whose stack the running fiber's is. */
struct weir__stack_user {
	const char *name;			/* the task's, or NULL */
	const void *entry;			/* the function that the fiber runs, or NULL */
};

/* Who runs on this thread; set by the task layer. Called in a signal handler. */
extern struct weir__stack_user (*weir__stack_overflow_user)(void);

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
