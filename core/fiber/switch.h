/* SPDX-License-Identifier: MIT */
/*
 * switch.h: the stack switch itself, for each architecture. Only fiber.c includes
 * it, and must define weir__fiber_main(struct weir__fiber *).
 *
 *	bool weir__fiber_switch(void **side, bool pass)
 *		Saves the current context and continues with the one in *side, where it
 *		leaves the saved one. When another switch comes back here, this returns
 *		the pass argument of that switch.
 *	void *weir__fiber_prepare(void *top, struct weir__fiber *f)
 *		Makes a first context that calls weir__fiber_main(f) on the stack below
 *		top.
 *
 * On x86-64 the switch pops the return address and jumps to it. A ret would use
 * the processor's return predictor, which holds the callers of the other context,
 * so its prediction would be wrong every time. The jump is notrack, like that of
 * a switch table, because the instruction after a call carries no endbr64. A
 * hardware shadow stack would fault on the returns that follow, whether the
 * switch jumps or returns; fiber.c does not use this file if there is one.
 *
 * aarch64 signs the return address (when built with pac-ret) with the stack
 * pointer as the modifier, which is the same at both ends; prepare signs the
 * first one.
 *
 * The entry has no caller: its return address is declared undefined and the frame
 * pointer is 0, so debuggers and backtrace() stop there.
 */
#ifndef WEIR_CORE_FIBER_SWITCH_H
#define WEIR_CORE_FIBER_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

struct weir__fiber;

bool weir__fiber_switch(void **side, bool pass);
void weir__fiber_entry(void);
void weir__fiber_main(struct weir__fiber *f) __attribute__((noreturn, used));

#ifdef __APPLE__
#define ASM_NAME(x) "_" #x
#define ASM_BEGIN(x) ".private_extern _" #x "\n.p2align 4\n_" #x ":\n"
#define ASM_END(x) ""
#else
#define ASM_NAME(x) #x
#ifdef __x86_64__
#define ASM_FUNC "@function"
#else
#define ASM_FUNC "%function"
#endif
#define ASM_BEGIN(x) ".globl " #x "\n.hidden " #x "\n.type " #x ", " ASM_FUNC \
	"\n.p2align 4\n" #x ":\n"
#define ASM_END(x) ".size " #x ", .-" #x "\n"
#endif

#if defined(__x86_64__)

#ifdef __CET__
#define ASM_LANDING "endbr64\n"
#else
#define ASM_LANDING ""
#endif

__asm__(".text\n"
	ASM_BEGIN(weir__fiber_switch)
	".cfi_startproc\n"
	ASM_LANDING
	"pushq %rbp\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset rbp, 0\n"
	"pushq %rbx\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset rbx, 0\n"
	"pushq %r12\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r12, 0\n"
	"pushq %r13\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r13, 0\n"
	"pushq %r14\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r14, 0\n"
	"pushq %r15\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r15, 0\n"
	"movq (%rdi), %rcx\n"
	"movq %rsp, (%rdi)\n"
	/* the other side has the same layout, so the CFI stays true */
	"movq %rcx, %rsp\n"
	"movl %esi, %eax\n"
	"popq %r15\n .cfi_adjust_cfa_offset -8\n .cfi_restore r15\n"
	"popq %r14\n .cfi_adjust_cfa_offset -8\n .cfi_restore r14\n"
	"popq %r13\n .cfi_adjust_cfa_offset -8\n .cfi_restore r13\n"
	"popq %r12\n .cfi_adjust_cfa_offset -8\n .cfi_restore r12\n"
	"popq %rbx\n .cfi_adjust_cfa_offset -8\n .cfi_restore rbx\n"
	"popq %rbp\n .cfi_adjust_cfa_offset -8\n .cfi_restore rbp\n"
	"popq %rdx\n .cfi_adjust_cfa_offset -8\n .cfi_register rip, rdx\n"
	"notrack jmp *%rdx\n"
	".cfi_endproc\n"
	ASM_END(weir__fiber_switch)

	ASM_BEGIN(weir__fiber_entry)
	".cfi_startproc\n"
	".cfi_undefined rip\n"
	ASM_LANDING
	"movq %r12, %rdi\n"
	"call " ASM_NAME(weir__fiber_main) "\n"
	"ud2\n"
	".cfi_endproc\n"
	ASM_END(weir__fiber_entry));

/* The frame: r15 r14 r13 r12 rbx rbp, entry. After it rsp is top, 16-aligned as before a call. */
static inline void *weir__fiber_prepare(void *top, struct weir__fiber *f)
{
	uint64_t *sp = (uint64_t *)top - 7;

	sp[0] = sp[1] = sp[2] = 0;
	sp[3] = (uint64_t)(uintptr_t)f;
	sp[4] = sp[5] = 0;
	sp[6] = (uint64_t)(uintptr_t)&weir__fiber_entry;
	return sp;
}

#elif defined(__aarch64__)

/* Encoded as hints, so that processors without the extension and old assemblers accept them. */
#if defined(__ARM_FEATURE_PAC_DEFAULT) && (__ARM_FEATURE_PAC_DEFAULT & 2)
#define ASM_LANDING "hint #27\n .cfi_b_key_frame\n .cfi_negate_ra_state\n"	/* pacibsp */
#define ASM_CHECK "hint #31\n .cfi_negate_ra_state\n"				/* autibsp */
#define ASM_SIGN "hint #10\n"							/* pacib1716 */
#elif defined(__ARM_FEATURE_PAC_DEFAULT)
#define ASM_LANDING "hint #25\n .cfi_negate_ra_state\n"				/* paciasp */
#define ASM_CHECK "hint #29\n .cfi_negate_ra_state\n"				/* autiasp */
#define ASM_SIGN "hint #8\n"							/* pacia1716 */
#else
#define ASM_LANDING "hint #34\n"						/* bti c */
#define ASM_CHECK ""
#define ASM_SIGN ""
#endif

__asm__(".text\n"
	ASM_BEGIN(weir__fiber_switch)
	".cfi_startproc\n"
	ASM_LANDING
	"sub sp, sp, #160\n .cfi_adjust_cfa_offset 160\n"
	"stp x29, x30, [sp, #0]\n .cfi_rel_offset x29, 0\n .cfi_rel_offset x30, 8\n"
	"stp x19, x20, [sp, #16]\n .cfi_rel_offset x19, 16\n .cfi_rel_offset x20, 24\n"
	"stp x21, x22, [sp, #32]\n .cfi_rel_offset x21, 32\n .cfi_rel_offset x22, 40\n"
	"stp x23, x24, [sp, #48]\n .cfi_rel_offset x23, 48\n .cfi_rel_offset x24, 56\n"
	"stp x25, x26, [sp, #64]\n .cfi_rel_offset x25, 64\n .cfi_rel_offset x26, 72\n"
	"stp x27, x28, [sp, #80]\n .cfi_rel_offset x27, 80\n .cfi_rel_offset x28, 88\n"
	"stp d8, d9, [sp, #96]\n"
	"stp d10, d11, [sp, #112]\n"
	"stp d12, d13, [sp, #128]\n"
	"stp d14, d15, [sp, #144]\n"
	"ldr x2, [x0]\n"
	"mov x3, sp\n"
	"str x3, [x0]\n"
	/* the other side has the same layout, so the CFI stays true */
	"mov sp, x2\n"
	"mov w0, w1\n"
	"ldp x29, x30, [sp, #0]\n .cfi_restore x29\n .cfi_restore x30\n"
	"ldp x19, x20, [sp, #16]\n .cfi_restore x19\n .cfi_restore x20\n"
	"ldp x21, x22, [sp, #32]\n .cfi_restore x21\n .cfi_restore x22\n"
	"ldp x23, x24, [sp, #48]\n .cfi_restore x23\n .cfi_restore x24\n"
	"ldp x25, x26, [sp, #64]\n .cfi_restore x25\n .cfi_restore x26\n"
	"ldp x27, x28, [sp, #80]\n .cfi_restore x27\n .cfi_restore x28\n"
	"ldp d8, d9, [sp, #96]\n"
	"ldp d10, d11, [sp, #112]\n"
	"ldp d12, d13, [sp, #128]\n"
	"ldp d14, d15, [sp, #144]\n"
	"add sp, sp, #160\n .cfi_adjust_cfa_offset -160\n"
	ASM_CHECK
	"ret\n"
	".cfi_endproc\n"
	ASM_END(weir__fiber_switch)

	ASM_BEGIN(weir__fiber_entry)
	".cfi_startproc\n"
	".cfi_undefined x30\n"
	"hint #36\n"			/* bti j */
	"mov x0, x19\n"
	"mov x29, #0\n"
	"mov x30, #0\n"
	"bl " ASM_NAME(weir__fiber_main) "\n"
	"brk #1\n"
	".cfi_endproc\n"
	ASM_END(weir__fiber_entry));

static inline void *weir__fiber_prepare(void *top, struct weir__fiber *f)
{
	uint64_t *sp = (uint64_t *)top - 20;
	register uint64_t entry __asm__("x17") = (uint64_t)(uintptr_t)&weir__fiber_entry;
	register uint64_t modifier __asm__("x16") = (uint64_t)(uintptr_t)top;

	__asm__ volatile(ASM_SIGN : "+r"(entry) : "r"(modifier));
	for (unsigned i = 0; i < 20; i++)
		sp[i] = 0;
	sp[1] = entry;			/* x30 */
	sp[2] = (uint64_t)(uintptr_t)f;	/* x19 */
	return sp;
}

#endif

#undef ASM_NAME
#undef ASM_BEGIN
#undef ASM_END
#undef ASM_FUNC
#undef ASM_LANDING
#undef ASM_CHECK
#undef ASM_SIGN

#endif
