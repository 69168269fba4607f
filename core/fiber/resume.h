/* SPDX-License-Identifier: MIT */
/*
 * resume.h: weir__fiber_resume as an inline function, for the one loop that
 * resumes fibers.
 *
 * The processor predicts the target of a return from the preceding calls. A fiber
 * that suspends leaves its calls on that predictor, and they are right for the
 * next fiber that was suspended on the same path, unless the worker returns from
 * functions of its own in between. So the worker's loop resumes a fiber without a
 * call, and enters it by a ret, which consumes the prediction of the call that
 * led to the switch. Yielding among 1000 fibers took 99 ns with four calls in
 * between.
 *
 * Only for the plain hand-written switch; otherwise this is an ordinary call.
 */
#ifndef WEIR_CORE_FIBER_RESUME_H
#define WEIR_CORE_FIBER_RESUME_H

#include "core/assert.h"
#include "core/fiber/fiber.h"

#if defined(__x86_64__) && !defined(WEIR_FIBER_UCONTEXT) && !defined(__CET__) && !WEIR__ASAN && \
	!WEIR__TSAN && !defined(WEIR_VALGRIND)

/* The stack layout is the one that weir__fiber_switch (core/fiber/switch.h) saves and restores. */
__attribute__((always_inline)) static inline bool weir__fiber_resume_inline(struct weir__fiber *f)
{
	void **side = &f->side;
	uint32_t done = 0;

	WEIR_ASSERT(!f->running && !f->finished);
	f->started = true;
	f->running = true;
	/* skip the red zone, which the compiler may use */
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n"
			 "leaq 1f(%%rip), %%rdx\n"
			 "pushq %%rdx\n"
			 "pushq %%rbp\n"
			 "pushq %%rbx\n"
			 "pushq %%r12\n"
			 "pushq %%r13\n"
			 "pushq %%r14\n"
			 "pushq %%r15\n"
			 "movq (%%rdi), %%rcx\n"
			 "movq %%rsp, (%%rdi)\n"
			 "movq %%rcx, %%rsp\n"
			 "popq %%r15\n"
			 "popq %%r14\n"
			 "popq %%r13\n"
			 "popq %%r12\n"
			 "popq %%rbx\n"
			 "popq %%rbp\n"
			 /* matches the call with which a fiber like it left */
			 "ret\n"
			 "1:\n"
			 "leaq 128(%%rsp), %%rsp\n"
			 : "+D"(side), "+a"(done)
			 :
			 : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2",
			   "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
			   "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)",
			   "st(4)", "st(5)", "st(6)", "st(7)", "mm0", "mm1", "mm2", "mm3", "mm4",
			   "mm5", "mm6", "mm7", "memory", "cc");
	return done;
}

#else

#define weir__fiber_resume_inline(f) weir__fiber_resume(f)

#endif

#endif
