/* SPDX-License-Identifier: MIT */
/*
 * fiber.c: fibers over core/fiber/stack.h and the switch in core/fiber/switch.h.
 *
 * Invariants:
 *  - f->side is the context of the side that is not running: the fiber's while it
 *    is parked, the resumer's while the fiber runs. A switch exchanges the two.
 *  - Nothing is accessed through f after the last switch of a finished fiber, and
 *    the stack may be reused only after resume has returned true.
 *  - Sanitizers and valgrind are told about every switch before it happens; the
 *    address sanitizer again right after it, on the stack that was switched to.
 *
 * In ordinary builds resume and suspend end in the switch (a sibling call), so
 * that it returns straight to their callers. This file knows no tasks, wakers or
 * threads.
 */
#include "core/fiber/fiber.h"

#include "core/assert.h"

#if defined(WEIR_FIBER_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))
#define BY_UCONTEXT 1
#elif defined(__CET__) || defined(__ARM_FEATURE_GCS_DEFAULT)
#define BY_UCONTEXT 2			/* decided at run time: a shadow stack may be on */
#else
#define BY_UCONTEXT 0
#endif

#if BY_UCONTEXT
#include <ucontext.h>
#endif
#if BY_UCONTEXT == 2
#include "core/atomic.h"
#include "core/os.h"
#endif
#if BY_UCONTEXT != 1
#include "core/fiber/switch.h"
#endif
#if WEIR__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if WEIR__TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(WEIR_VALGRIND) && __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) ((void)(low), (void)(high), 0u)
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

/* What sanitizers and valgrind are told */

#if WEIR__ASAN
/* Called on the resumer's stack, around the switch into f. */
#define asan_enter(f, fake) \
	__sanitizer_start_switch_fiber((fake), (f)->stack.low, (f)->stack.bytes)
#define asan_left(fake) __sanitizer_finish_switch_fiber((fake), NULL, NULL)
/* Called on the fiber's stack. The resumer's bounds change when the fiber migrates. */
#define asan_leave(f, fake) \
	__sanitizer_start_switch_fiber((fake), (f)->asan_low, (f)->asan_bytes)
#define asan_entered(f, fake) \
	__sanitizer_finish_switch_fiber((fake), &(f)->asan_low, &(f)->asan_bytes)
#endif

static void checkers_new(struct weir__fiber *f)
{
	char *low = f->stack.low;

	f->valgrind_id = VALGRIND_STACK_REGISTER(low, low + f->stack.bytes);
#if WEIR__TSAN
	f->tsan_self = __tsan_create_fiber(0);
#endif
}

static void checkers_free(struct weir__fiber *f)
{
	VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#if WEIR__TSAN
	__tsan_destroy_fiber(f->tsan_self);
#endif
}

/* The switch by ucontext */

#if BY_UCONTEXT

/* Not inlined: its frame is large, and the callers' frames must stay small. */
static WEIR_NOINLINE bool ucontext_switch(struct weir__fiber *f, bool pass)
{
	ucontext_t here, *there = f->side;

	f->side = &here;
	f->passed = pass;
	if (swapcontext(&here, there) < 0)
		__builtin_trap();	/* an invalid context: there is nothing to return to */
	return f->passed;
}

void weir__fiber_main(struct weir__fiber *f) __attribute__((noreturn));

/* makecontext passes ints, so the pointer travels in two halves. */
static void ucontext_entry(unsigned high, unsigned low)
{
	weir__fiber_main((struct weir__fiber *)(uintptr_t)((uint64_t)high << 32 | low));
}

/* The first context lies just below f, and the stack goes on below it. */
static void *ucontext_prepare(struct weir__fiber *f)
{
	uint64_t bits = (uintptr_t)f;
	uintptr_t at = ((uintptr_t)f - sizeof(ucontext_t)) & ~(uintptr_t)63;
	ucontext_t *volatile uc = (ucontext_t *)at;	/* volatile: getcontext may return twice */

	if (getcontext(uc) < 0)
		return NULL;
	uc->uc_stack.ss_sp = f->stack.low;
	uc->uc_stack.ss_size = at - (uintptr_t)f->stack.low;
	uc->uc_link = NULL;
	makecontext(uc, (void (*)(void))ucontext_entry, 2, (unsigned)(bits >> 32),
		    (unsigned)bits);
	return uc;
}

#endif

#if BY_UCONTEXT == 2

/* Asked once: a shadow stack is switched on when the program is loaded, or never. */
static bool shadow_stack(void)
{
	static int known;		/* 0 not asked, 1 no, 2 yes */
	int k = weir__load(&known, WEIR_RELAXED);

	if (WEIR_UNLIKELY(k == 0)) {
		k = weir__os_has_shadow_stack() ? 2 : 1;
		weir__store(&known, k, WEIR_RELAXED);
	}
	return k == 2;
}

#endif

#if BY_UCONTEXT == 0
#define side_switch(f, pass) weir__fiber_switch(&(f)->side, (pass))
#define side_prepare(f) weir__fiber_prepare((f), (f))
#elif BY_UCONTEXT == 1
#define side_switch(f, pass) ucontext_switch((f), (pass))
#define side_prepare(f) ucontext_prepare(f)
#else
#define side_switch(f, pass) (WEIR_UNLIKELY(shadow_stack()) ? ucontext_switch((f), (pass)) : \
			      weir__fiber_switch(&(f)->side, (pass)))
#define side_prepare(f) (shadow_stack() ? ucontext_prepare(f) : weir__fiber_prepare((f), (f)))
#endif

/* Fibers */

int weir__fiber_new(struct weir__stack_pool *pool, int (*fn)(void *arg), void *arg,
		    struct weir__fiber **ret_fiber)
{
	struct weir__stack stack;
	struct weir__fiber *f;
	uintptr_t at;
	int rc = weir__stack_get(pool, &stack);

	if (rc < 0)
		return rc;
	at = ((uintptr_t)stack.low + stack.bytes - sizeof(*f)) & ~(uintptr_t)63;
	f = (struct weir__fiber *)at;
	*f = (struct weir__fiber){ .fn = fn, .arg = arg, .stack = stack };
	f->side = side_prepare(f);
	if (!f->side) {
		weir__stack_put(pool, stack);
		pool->reason = "getcontext failed";
		return -ENOMEM;
	}
	checkers_new(f);
	*ret_fiber = f;
	return 0;
}

/* The first and last frame of every fiber. */
void weir__fiber_main(struct weir__fiber *f)
{
#if WEIR__ASAN
	asan_entered(f, NULL);
#endif
	f->result = f->fn(f->arg);
	f->finished = true;
	f->running = false;
#if WEIR__ASAN
	asan_leave(f, NULL);		/* NULL: the fake stack ends here */
#endif
#if WEIR__TSAN
	__tsan_switch_to_fiber(f->tsan_resumer, 0);
#endif
	side_switch(f, true);
	__builtin_trap();		/* reached only if a finished fiber is resumed */
}

WEIR_NOINLINE bool weir__fiber_resume(struct weir__fiber *f)
{
	WEIR_ASSERT(!f->running && !f->finished);
	f->started = true;
	f->running = true;
#if WEIR__TSAN
	f->tsan_resumer = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan_self, 0);
#endif
#if WEIR__ASAN
	void *fake;
	bool done;

	asan_enter(f, &fake);
	done = side_switch(f, false);
	asan_left(fake);
	return done;
#else
	return side_switch(f, false);
#endif
}

WEIR_NOINLINE void weir__fiber_suspend(struct weir__fiber *f)
{
	WEIR_ASSERT(f->running);
	f->running = false;
#if WEIR__TSAN
	__tsan_switch_to_fiber(f->tsan_resumer, 0);
#endif
#if WEIR__ASAN
	asan_leave(f, &f->asan_fake);
	side_switch(f, false);
	asan_entered(f, f->asan_fake);
#else
	side_switch(f, false);
#endif
}

void weir__fiber_free(struct weir__stack_pool *pool, struct weir__fiber *f)
{
	WEIR_ASSERT(!f || f->finished || !f->started);
	if (f)
		weir__fiber_abandon(pool, f);
}

void weir__fiber_abandon(struct weir__stack_pool *pool, struct weir__fiber *f)
{
	WEIR_ASSERT(!f->running);
	checkers_free(f);
	weir__stack_put(pool, f->stack);
}
