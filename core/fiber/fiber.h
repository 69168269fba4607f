/* SPDX-License-Identifier: MIT */
/*
 * fiber.h: run a plain C function on its own small stack, and stop it half-way.
 *
 *	new -> resume -> [fn runs] -> suspend -> (parked) -> resume -> ... -> fn returns -> free
 *	        ^ worker's stack       ^ fiber's stack        ^ perhaps another thread
 *
 * struct weir__fiber lies at the top of the fiber's own stack, so that a fiber which
 * parks in a shallow call costs one page and no other allocation.
 *
 * What a switch keeps: the registers a function call keeps (x86-64: rbx, rbp, rsp,
 * r12-r15; aarch64: x19-x30, d8-d15, sp) and nothing else. In particular it does not
 * keep the floating-point control state (mxcsr and the x87 control word, FPCR) nor
 * the signal mask: those belong to the thread, and a fiber that changes them must put
 * them back before it suspends.
 *
 * Don'ts: a fiber may be resumed on another thread than it was suspended on, so no
 * address of a thread-local object (errno is one) may live across a suspend. The
 * compiler keeps such addresses across calls as it sees fit; code that waits must
 * therefore reach thread-locals only through WEIR_NOINLINE functions. If those return
 * the address itself they also need an empty asm volatile with a memory clobber, else
 * the compiler sees that they always return the same and calls them once. A fiber is
 * resumed by one thread at a time, and whoever hands it over orders the hand-over
 * (release/acquire); nothing here is atomic. A signal handler never suspends.
 *
 * WEIR_FIBER_UCONTEXT selects getcontext/swapcontext, which is also what other
 * architectures get, and what is used at run time where the process has a hardware
 * shadow stack (which a hand-written switch cannot move along without the C library).
 */
#ifndef WEIR_CORE_FIBER_FIBER_H
#define WEIR_CORE_FIBER_FIBER_H

#include "weir/base.h"
#include "core/fiber/stack.h"
#include "core/sanitizer.h"

struct weir__fiber {
	void *side;			/* where the side that is not running goes on */
	int (*fn)(void *arg);
	void *arg;
	int result;
	bool started;
	bool running;
	bool finished;
	bool passed;			/* ucontext: what the other side's switch returns */
	struct weir__stack stack;
	unsigned valgrind_id;
#if WEIR__ASAN
	void *asan_fake;		/* the fiber's fake stack while it is suspended */
	const void *asan_low;		/* the resumer's stack, told at each resume */
	size_t asan_bytes;
#endif
#if WEIR__TSAN
	void *tsan_self;
	void *tsan_resumer;
#endif
};

/*
 * Makes a fiber that will run fn(arg); nothing of it runs yet.
 * Returns 0; -ENOMEM with pool->reason set. Thread: [owner] of pool.
 */
int weir__fiber_new(struct weir__stack_pool *pool, int (*fn)(void *arg), void *arg,
		    struct weir__fiber **ret_fiber);

/*
 * Switches into the fiber; comes back when it suspends (false) or when fn has
 * returned (true). Not for a fiber that runs or has finished. May itself be called on
 * another fiber. Thread: [any], one at a time.
 */
bool weir__fiber_resume(struct weir__fiber *f);

/* Back to whoever resumed f; returns when it is resumed again. Called on f itself. */
void weir__fiber_suspend(struct weir__fiber *f);

/* What fn returned; only after it has. */
static inline int weir__fiber_result(const struct weir__fiber *f)
{
	return f->result;
}

/*
 * Gives the stack of a fiber that has finished, or has never been resumed, to pool
 * (not necessarily the one it came from). NULL is fine. Thread: [owner] of pool.
 */
void weir__fiber_free(struct weir__stack_pool *pool, struct weir__fiber *f);

/*
 * The same for a fiber that is suspended half-way. Its frames just vanish: nothing is
 * released that they hold, and everything that points into them dangles. Only for a
 * shutdown that has given up on letting the task return. Thread: [owner] of pool.
 */
void weir__fiber_abandon(struct weir__stack_pool *pool, struct weir__fiber *f);

#endif
