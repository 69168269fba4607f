/* SPDX-License-Identifier: MIT */
/*
 * resume.h: weir__fiber_resume in line, for the one place that resumes
 * fibers in a loop.
 *
 * The processor predicts a return by the calls that came before it. A fiber that
 * suspends leaves its calls on that predictor, and they are just right for the
 * next fiber that was suspended by the same path, unless the worker returns from
 * functions of its own in between. So the worker's loop resumes without a call,
 * and enters the fiber by a ret, which uses up the call that went to the switch.
 * Yielding among 1000 fibers cost 99 ns with four calls in the way.
 *
 * Only where the plain hand-written switch is in use; elsewhere it is the function.
 */
#ifndef WEIR_CORE_FIBER_RESUME_H
#define WEIR_CORE_FIBER_RESUME_H

#include "core/assert.h"
#include "core/fiber/fiber.h"

#if defined(__x86_64__) && !defined(WEIR_FIBER_UCONTEXT) && !defined(__CET__) && !WEIR__ASAN && \
	!WEIR__TSAN && !defined(WEIR_VALGRIND)

/* The layout that weir__fiber_switch (core/fiber/switch.h) leaves and expects. */
__attribute__((always_inline)) static inline bool weir__fiber_resume_inline(struct weir__fiber *f)
{
	void **side = &f->side;
	uint32_t done = 0;

	WEIR_ASSERT(!f->running && !f->finished);
	f->started = true;
	f->running = true;
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n"	/* the red zone is the compiler's */
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
			 "ret\n"		/* matches the call by which a fiber like it left */
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
