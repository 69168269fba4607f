/* SPDX-License-Identifier: MIT */
/*
 * fiber.h: run a plain C function on its own small stack, and suspend it
 * half-way.
 *
 *	new -> resume -> [fn runs] -> suspend -> (parked) -> resume -> ... -> fn returns -> free
 *	        ^ worker's stack       ^ fiber's stack        ^ perhaps another thread
 *
 * struct weir__fiber lies at the top of the fiber's own stack, so a fiber that
 * parks in a shallow call costs one page and no other allocation.
 *
 * A switch keeps the registers that a function call keeps (x86-64: rbx, rbp, rsp,
 * r12-r15; aarch64: x19-x30, d8-d15, sp) and nothing else. In particular it keeps
 * neither the floating-point control state (mxcsr and the x87 control word, FPCR)
 * nor the signal mask: those belong to the thread, and a fiber that changes them
 * must restore them before it suspends.
 *
 * Don'ts: a fiber may be resumed on another thread than it was suspended on, so
 * no address of a thread-local object (errno is one) may live across a suspend.
 * Compilers may keep such addresses across calls. So code that waits must reach
 * thread-locals only through WEIR_NOINLINE functions. A function that returns the
 * address itself also needs an empty asm volatile with a memory clobber; without
 * it the compiler sees that the result never changes and calls the function once.
 * One thread at a time resumes a fiber, and whoever passes the fiber on orders
 * the transfer (release/acquire); nothing here is atomic. A signal handler never
 * suspends.
 *
 * WEIR_FIBER_UCONTEXT selects getcontext/swapcontext. Other architectures always
 * use these. They are also used at run time if the process has a hardware shadow
 * stack, which a hand-written switch cannot switch without the C library.
 */
#ifndef WEIR_CORE_FIBER_FIBER_H
#define WEIR_CORE_FIBER_FIBER_H

#include "weir/base.h"
#include "core/fiber/stack.h"
#include "core/sanitizer.h"

struct weir__fiber {
	void *side;			/* the saved context of the side that is not running */
	int (*fn)(void *arg);
	void *arg;
	int result;
	bool started;
	bool running;
	bool finished;
	/* ucontext: the value that the other side's switch returns */
	bool passed;
	struct weir__stack stack;
	unsigned valgrind_id;
#if WEIR__ASAN
	void *asan_fake;		/* the fiber's fake stack while it is suspended */
	const void *asan_low;		/* the resumer's stack, updated at each resume */
	size_t asan_bytes;
#endif
#if WEIR__TSAN
	void *tsan_self;
	void *tsan_resumer;
#endif
};

/*
 * Makes a fiber that will run fn(arg); nothing of fn runs yet. Returns 0; -ENOMEM with
 * pool->reason set. Thread: [owner] of pool.
 */
int weir__fiber_new(struct weir__stack_pool *pool, int (*fn)(void *arg), void *arg,
		    struct weir__fiber **ret_fiber);

/*
 * Switches into the fiber; returns false when it suspends, true when fn has returned. Not for a
 * fiber that is running or has finished. May itself be called on another fiber. Thread: [any], one
 * at a time.
 */
bool weir__fiber_resume(struct weir__fiber *f);

/* Switches back to the resumer of f; returns when f is resumed again. Called on f itself. */
void weir__fiber_suspend(struct weir__fiber *f);

/* The value that fn returned; only after it has. */
static inline int weir__fiber_result(const struct weir__fiber *f)
{
	return f->result;
}

/*
 * Returns the stack of a fiber that has finished, or was never resumed, to pool (not necessarily
 * the one it came from). f may be NULL. Thread: [owner] of pool.
 */
void weir__fiber_free(struct weir__stack_pool *pool, struct weir__fiber *f);

/*
 * The same for a fiber that is suspended half-way. Its frames are dropped: nothing that they hold
 * is released, and every pointer into them dangles. Only for a shutdown that has given up waiting
 * for the task to return. Thread: [owner] of pool.
 */
void weir__fiber_abandon(struct weir__stack_pool *pool, struct weir__fiber *f);

#endif
