/* SPDX-License-Identifier: MIT */
/*
 * overflow.h: reports a stack overflow of a fiber, if the program asks for it. It
 * installs a handler for the fault signal, which writes
 *
 *	weir: fiber stack overflow in task "<name>" (stack N bytes); raise stack_bytes
 *	weir: it overflowed in <file>(<function>+0x<offset>), the fiber runs <the same>
 *
 * to standard error when the fault address is in a guard page
 * (core/fiber/stack.h). The second line has the format of backtrace_symbols: a
 * function that is not exported has no name there, and addr2line finds it by its
 * offset in the file. Then the handler restores the previous handler and lets the
 * instruction fault again, so that the process ends (or dumps core) as it would
 * have without it. Every other fault goes to the previous handler.
 */
#ifndef WEIR_CORE_FIBER_OVERFLOW_H
#define WEIR_CORE_FIBER_OVERFLOW_H

#include <signal.h>
#include <stddef.h>

/*
 * Installs the handler, once for the process. Each thread that resumes fibers needs an alternate
 * signal stack. Returns 0 (also when already installed) or a negative errno. Thread: [any].
 */
int weir__stack_report_overflow_install(void);

/* The task that the running fiber belongs to. */
struct weir__stack_user {
	const char *name;			/* the task's name, or NULL */
	const void *entry;			/* the function that the fiber runs, or NULL */
};

/* Returns the task that runs on this thread; set by the task layer. Called in a signal handler. */
extern struct weir__stack_user (*weir__stack_overflow_user)(void);

/* One thread's alternate signal stack. */
struct weir__altstack {
	void *base;				/* NULL: the thread's own is large enough */
	size_t bytes;
	stack_t before;				/* the thread's own, or none; restored by fini */
};

/*
 * Gives this thread an alternate signal stack if it lacks one. Returns 0 or a negative errno. Call
 * fini on the same thread. Thread: [any].
 */
int weir__stack_altstack_init(struct weir__altstack *alt);
void weir__stack_altstack_fini(struct weir__altstack *alt);

#endif
