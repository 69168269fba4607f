/* SPDX-License-Identifier: MIT */
/*
 * core_fiber.c: tests core/fiber/fiber.c and the context switches: registers that survive a switch,
 * results, migration between threads, the memory of a parked fiber, the report of a stack overflow,
 * the end of a backtrace. Built a second time with WEIR_FIBER_UCONTEXT.
 */
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fiber/fiber.h"
#include "core/fiber/overflow.h"
#include "core/sanitizer.h"
#include "tests/support/testing.h"

static struct weir__stack_pool pool;

static void setup(void)
{
	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, 0, -1), 0);
}

static void teardown(void)
{
	weir__stack_pool_fini(&pool);
}

/* The argument of most bodies: their own fiber, and a counter. */
struct body {
	struct weir__fiber *self;
	int count;
	int (*run)(struct body *b);
};

static int body_run(void *arg)
{
	struct body *b = arg;

	return b->run(b);
}

static void body_new(struct body *b, int (*run)(struct body *b))
{
	*b = (struct body){ .run = run };
	ck_assert_int_eq(weir__fiber_new(&pool, body_run, b, &b->self), 0);
}

static int return_seven(struct body *b)
{
	b->count++;
	return 7;
}

START_TEST(result_without_suspend)
{
	struct body b;

	body_new(&b, return_seven);
	ck_assert_int_eq(b.count, 0);
	ck_assert(weir__fiber_resume(b.self));
	ck_assert_int_eq(b.count, 1);
	ck_assert_int_eq(weir__fiber_result(b.self), 7);
	weir__fiber_free(&pool, b.self);
}
END_TEST

START_TEST(free_without_resume)
{
	struct body b;

	body_new(&b, return_seven);
	weir__fiber_free(&pool, b.self);
	weir__fiber_free(&pool, NULL);
	ck_assert_int_eq(b.count, 0);
}
END_TEST

static int ping(struct body *b)
{
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(b->count, 2 * i);
		b->count++;
		weir__fiber_suspend(b->self);
	}
	return -ECANCELED;
}

START_TEST(ping_pong)
{
	struct body b;

	body_new(&b, ping);
	for (int i = 0; i < 1000; i++) {
		ck_assert(!weir__fiber_resume(b.self));
		ck_assert_int_eq(b.count, 2 * i + 1);
		b.count++;
	}
	ck_assert(weir__fiber_resume(b.self));
	ck_assert_int_eq(weir__fiber_result(b.self), -ECANCELED);
	weir__fiber_free(&pool, b.self);
}
END_TEST

START_TEST(many_interleaved)
{
	enum {
		N = 300
	};
	struct body *b = calloc(N, sizeof(*b));

	for (int i = 0; i < N; i++)
		body_new(&b[i], ping);
	for (int round = 0; round < 1000; round++)
		for (int i = 0; i < N; i++) {
			ck_assert(!weir__fiber_resume(b[i].self));
			b[i].count++;
		}
	for (int i = 0; i < N; i++) {
		ck_assert(weir__fiber_resume(b[i].self));
		weir__fiber_free(&pool, b[i].self);
	}
	free(b);
}
END_TEST

static int outer(struct body *b)
{
	struct body inner;

	body_new(&inner, ping);
	while (b->count < 100) {
		ck_assert(!weir__fiber_resume(inner.self));
		inner.count++;
		b->count++;
		weir__fiber_suspend(b->self);
	}
	weir__fiber_abandon(&pool, inner.self);
	return inner.count;
}

START_TEST(fiber_resumes_fiber)
{
	struct body b;

	body_new(&b, outer);
	for (int i = 1; i <= 100; i++) {
		ck_assert(!weir__fiber_resume(b.self));
		ck_assert_int_eq(b.count, i);
	}
	ck_assert(weir__fiber_resume(b.self));
	ck_assert_int_eq(weir__fiber_result(b.self), 200);
	weir__fiber_free(&pool, b.self);
}
END_TEST

START_TEST(stack_is_reused_most_recent_first)
{
	struct body a, b, c;

	body_new(&a, return_seven);
	body_new(&b, return_seven);
	ck_assert(weir__fiber_resume(a.self));
	ck_assert(weir__fiber_resume(b.self));
	weir__fiber_free(&pool, a.self);
	weir__fiber_free(&pool, b.self);
	body_new(&c, return_seven);
	ck_assert_ptr_eq(c.self, b.self);
	weir__fiber_free(&pool, c.self);
}
END_TEST

/* Registers: enough live values on both sides to fill every callee-saved register. */

#define MIX(v, i) ((v)[i] = (v)[i] * 3 + (v)[(i) + 1])

static int keep_registers(struct body *b)
{
	uint64_t v[13];
	double d[9];

	for (int i = 0; i < 13; i++)
		v[i] = (uint64_t)b->count + (uint64_t)i;
	for (int i = 0; i < 9; i++)
		d[i] = b->count + i;
	for (int round = 0; round < 50; round++) {
		uint64_t a0 = v[0], a1 = v[1], a2 = v[2], a3 = v[3], a4 = v[4], a5 = v[5];
		uint64_t a6 = v[6], a7 = v[7], a8 = v[8], a9 = v[9], a10 = v[10];
		double d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3], d4 = d[4], d5 = d[5], d6 = d[6];
		double d7 = d[7];

		__asm__ volatile("" : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(a4), "+r"(a5));
		weir__fiber_suspend(b->self);
		ck_assert(a0 == v[0] && a1 == v[1] && a2 == v[2] && a3 == v[3] && a4 == v[4]);
		ck_assert(a5 == v[5] && a6 == v[6] && a7 == v[7] && a8 == v[8] && a9 == v[9]);
		ck_assert(a10 == v[10] && d0 == d[0] && d1 == d[1] && d2 == d[2] && d3 == d[3]);
		ck_assert(d4 == d[4] && d5 == d[5] && d6 == d[6] && d7 == d[7]);
		for (int i = 0; i < 12; i++)
			MIX(v, i);
		for (int i = 0; i < 8; i++)
			d[i] = d[i] * 1.5 + d[i + 1];
	}
	return 0;
}

START_TEST(registers_survive)
{
	struct body b[3];
	uint64_t seed = 88172645463325252ull;

	for (int i = 0; i < 3; i++) {
		body_new(&b[i], keep_registers);
		b[i].count = 1000 * i;
	}
	for (int round = 0; round < 51; round++)
		for (int i = 0; i < 3; i++) {
			uint64_t a = seed *= 3, c = seed *= 5, d = seed *= 7, e = seed *= 11;
			uint64_t f = seed *= 13, g = seed *= 17;
			volatile uint64_t sum = a ^ c ^ d ^ e ^ f ^ g;

			weir__fiber_resume(b[i].self);
			ck_assert_uint_eq(sum, a ^ c ^ d ^ e ^ f ^ g);
		}
	for (int i = 0; i < 3; i++)
		weir__fiber_free(&pool, b[i].self);
}
END_TEST

#if defined(__x86_64__) && !WEIR__ASAN && !WEIR__TSAN
/* Loads each callee-saved register, makes the call, and compares each register. */
static uint64_t kept_changed(bool (*call)(struct weir__fiber *), struct weir__fiber *f)
{
	uint64_t bad;

	__asm__ volatile("movq %%rsp, %%rcx\n subq $256, %%rsp\n andq $-16, %%rsp\n"
			 "movq %%rcx, (%%rsp)\n movq %%rbp, 8(%%rsp)\n"
			 "movq $0x1111, %%rbx\n movq $0x2222, %%rbp\n movq $0x3333, %%r12\n"
			 "movq $0x4444, %%r13\n movq $0x5555, %%r14\n movq $0x6666, %%r15\n"
			 "call *%%rax\n"
			 "xorq $0x1111, %%rbx\n xorq $0x2222, %%rbp\n xorq $0x3333, %%r12\n"
			 "xorq $0x4444, %%r13\n xorq $0x5555, %%r14\n xorq $0x6666, %%r15\n"
			 "orq %%rbp, %%rbx\n orq %%r12, %%rbx\n orq %%r13, %%rbx\n"
			 "orq %%r14, %%rbx\n orq %%r15, %%rbx\n movq %%rbx, %%rax\n"
			 "movq 8(%%rsp), %%rbp\n movq (%%rsp), %%rsp\n"
			 : "=a"(bad), "+D"(f)
			 : "0"(call)
			 : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "cc", "memory");
	return bad;
}

static bool suspend_true(struct weir__fiber *f)
{
	weir__fiber_suspend(f);
	return true;
}

static int exact_registers(struct body *b)
{
	/* Overwrites the values that the other side has loaded. */
	__asm__ volatile("xorl %%r12d, %%r12d\n xorl %%r13d, %%r13d\n xorl %%r14d, %%r14d\n"
			 "xorl %%r15d, %%r15d\n xorl %%ebx, %%ebx\n"
			 ::: "rbx", "r12", "r13", "r14", "r15");
	for (int i = 0; i < 3; i++)
		if (kept_changed(suspend_true, b->self))
			return 1;
	return 0;
}

START_TEST(registers_survive_exactly)
{
	struct body b;

	body_new(&b, exact_registers);
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(kept_changed(weir__fiber_resume, b.self), 0);
		__asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15");
	}
	ck_assert_int_eq(weir__fiber_result(b.self), 0);
	weir__fiber_free(&pool, b.self);
}
END_TEST
#endif

/* Alignment: an aligned vector store faults if the stack is off by eight bytes. */
static int aligned_locals(struct body *b)
{
	typedef float vec __attribute__((vector_size(16)));
	volatile vec v = { 1, 2, 3, 4 };
	vec w;

#if defined(__x86_64__)
	__asm__ volatile("movaps %1, %%xmm0\n movaps %%xmm0, %0" : "=m"(w) : "m"(v) : "xmm0");
#else
	w = v;
#endif
	b->count = (int)((uintptr_t)&v % 16 + (uintptr_t)&w % 16);
	b->count += (int)((uintptr_t)__builtin_frame_address(0) % 16);
	return (int)w[3];
}

START_TEST(stack_is_aligned)
{
	struct body b;

	body_new(&b, aligned_locals);
	ck_assert(weir__fiber_resume(b.self));
	ck_assert_int_eq(b.count, 0);
	ck_assert_int_eq(weir__fiber_result(b.self), 4);
	weir__fiber_free(&pool, b.self);
}
END_TEST

/* Migration: two threads resume the same fibers in turn. */

enum {
	MIGRANTS = 50,
	TURNS = 200
};

/* The asm keeps the compiler from caching the result: pthread_self is declared const. */
static WEIR_NOINLINE pthread_t current_thread(void)
{
	__asm__ volatile("" ::: "memory");
	return pthread_self();
}

static int migrant(struct body *b)
{
	pthread_t last = current_thread();
	char frame[2000];

	for (int i = 1; i < TURNS; i++) {
		memset(frame, i, sizeof(frame));
		weir__fiber_suspend(b->self);
		if (pthread_equal(last, current_thread()) || frame[1999] != (char)i)
			return -1;
		last = current_thread();
		b->count++;
	}
	return 0;
}

struct mover {
	struct body *bodies;
	pthread_barrier_t *meet;
	int parity;
};

static void *mover(void *arg)
{
	struct mover *m = arg;
	struct weir__stack_pool own;
	void *err = NULL;

	weir__stack_pool_init(&own, 0, 0, -1);
	for (int turn = 0; turn < TURNS; turn++) {
		for (int i = 0; i < MIGRANTS; i++)
			if ((turn + i) % 2 == m->parity &&
			    weir__fiber_resume(m->bodies[i].self) != (turn == TURNS - 1))
				err = "finished too early or too late";
		pthread_barrier_wait(m->meet);
	}
	/* Half of the stacks go back to a pool that they did not come from. */
	for (int i = m->parity; i < MIGRANTS; i += 2) {
		if (weir__fiber_result(m->bodies[i].self) != 0)
			err = "did not migrate, or lost its frame";
		weir__fiber_free(&own, m->bodies[i].self);
	}
	weir__stack_pool_fini(&own);
	return err;
}

START_TEST(migrates_between_threads)
{
	static struct body bodies[MIGRANTS];
	struct mover m[2];
	pthread_barrier_t meet;
	pthread_t th[2];
	void *err;

	ck_assert_int_eq(pthread_barrier_init(&meet, NULL, 2), 0);
	for (int i = 0; i < MIGRANTS; i++)
		body_new(&bodies[i], migrant);
	for (int i = 0; i < 2; i++) {
		m[i] = (struct mover){ bodies, &meet, i };
		ck_assert_int_eq(pthread_create(&th[i], NULL, mover, &m[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(th[i], &err), 0);
		ck_assert_msg(!err, "%s", (char *)err);
	}
	for (int i = 0; i < MIGRANTS; i++)
		ck_assert_int_eq(bodies[i].count, TURNS - 1);
	pthread_barrier_destroy(&meet);
}
END_TEST

static int abandoned(struct body *b)
{
	char frame[256];

	memset(frame, 1, sizeof(frame));
	weir__fiber_suspend(b->self);
	return frame[17];
}

START_TEST(abandon_gives_the_stack_back)
{
	struct body b, again;

	body_new(&b, abandoned);
	ck_assert(!weir__fiber_resume(b.self));
	weir__fiber_abandon(&pool, b.self);
	/* The abandoned frames must not disturb the next fiber on the same stack. */
	body_new(&again, abandoned);
	ck_assert_ptr_eq(again.self, b.self);
	ck_assert(!weir__fiber_resume(again.self));
	ck_assert(weir__fiber_resume(again.self));
	weir__fiber_free(&pool, again.self);
}
END_TEST

/* The memory of a parked fiber */

static unsigned resident_pages(const struct weir__fiber *f)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *map = malloc(f->stack.bytes / page);
	unsigned n = 0;

	ck_assert_int_eq(mincore(f->stack.low, f->stack.bytes, map), 0);
	for (size_t i = 0; i < f->stack.bytes / page; i++)
		n += map[i] & 1;
	free(map);
	return n;
}

static int park_shallow(struct body *b)
{
	weir__fiber_suspend(b->self);
	return 0;
}

/* Frames are larger with sanitizers, and so are ucontexts, which hold every register. */
#if WEIR__ASAN || WEIR__TSAN || defined(WEIR_FIBER_UCONTEXT)
#define PARKED_PAGES 4
#else
#define PARKED_PAGES 1
#endif

START_TEST(parked_costs_one_page)
{
	enum {
		N = WEIR__TSAN ? 100 : 10000
	}; /* with more, the sanitizer runs out of memory */
	struct body *b = calloc(N, sizeof(*b));
	unsigned pages = 0;

	for (int i = 0; i < N; i++) {
		body_new(&b[i], park_shallow);
		ck_assert(!weir__fiber_resume(b[i].self));
		pages += resident_pages(b[i].self);
	}
	printf("# %.2f pages resident for each of %d parked fibers\n", (double)pages / N, N);
	ck_assert_uint_le(pages, N * PARKED_PAGES);
	for (int i = 0; i < N; i++) {
		ck_assert(weir__fiber_resume(b[i].self));
		weir__fiber_free(&pool, b[i].self);
	}
	free(b);
}
END_TEST

/* Overflow */

/* Exported, so that dladdr finds its name. */
WEIR_API int core_fiber_deeper(int n);

static struct weir__stack_user deep_thought(void)
{
	return (struct weir__stack_user){ "deep-thought",
					  (const void *)(uintptr_t)core_fiber_deeper };
}

static int (*volatile again)(int n);

int core_fiber_deeper(int n)
{
	volatile char frame[512];

	frame[0] = (char)n;
	return again(n + 1) + frame[0];
}

static int overflow(struct body *b)
{
	again = core_fiber_deeper;
	return core_fiber_deeper(b->count);
}

static void overflow_child(bool by_mprotect)
{
	struct rlimit none = { 0, 0 };
	struct weir__altstack alt;
	struct body b;

	setrlimit(RLIMIT_CORE, &none);
	signal(SIGSEGV, SIG_DFL);	/* a sanitizer's handler would exit instead */
	weir__stack_hooks.no_guard_install = by_mprotect;
	weir__stack_overflow_user = deep_thought;
	if (weir__stack_pool_init(&pool, 32768, 0, -1) < 0 || weir__stack_altstack_init(&alt) < 0 ||
	    weir__stack_report_overflow_install() < 0)
		_exit(1);
	body_new(&b, overflow);
	weir__fiber_resume(b.self);
	_exit(2);
}

static void overflow_dies(bool by_mprotect)
{
	static const char want[] = "weir: fiber stack overflow in task \"deep-thought\" "
				   "(stack 32768 bytes); raise stack_bytes\n";
	int fd[2], n = 0, got, status;
	char text[512];
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(fd[1], STDERR_FILENO);
		overflow_child(by_mprotect);
	}
	close(fd[1]);
	while ((got = (int)read(fd[0], text + n, sizeof(text) - 1 - (size_t)n)) > 0)
		n += got;
	text[n] = '\0';
	close(fd[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(strncmp(text, want, sizeof(want) - 1), 0);
	ck_assert_msg(strstr(text, "weir: it overflowed in core_fiber_cases(core_fiber_deeper+0x"),
		      "it said: %s", text);
	ck_assert_msg(strstr(text, ", the fiber runs core_fiber_cases(core_fiber_deeper+0x0)\n"),
		      "it said: %s", text);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSEGV);
}

START_TEST(overflow_is_named)
{
	overflow_dies(false);
}
END_TEST

START_TEST(overflow_is_named_with_mprotect)
{
	overflow_dies(true);
}
END_TEST

/* Unwinding */

#ifndef WEIR_FIBER_UCONTEXT
void weir__fiber_entry(void);
#define ENDS_AT_ENTRY(frame) ((uintptr_t)(frame) - (uintptr_t)weir__fiber_entry < 32)
#else
#define ENDS_AT_ENTRY(frame) ((frame) != NULL)
#endif

static int trace(struct body *b)
{
	void *frames[64];

	b->count = backtrace(frames, 64);
	ck_assert(ENDS_AT_ENTRY(frames[b->count - 1]));
	weir__fiber_suspend(b->self);
	return backtrace(frames, 64);
}

START_TEST(backtrace_ends_at_the_entry)
{
	struct body b;

	body_new(&b, trace);
	ck_assert(!weir__fiber_resume(b.self));
	ck_assert_int_ge(b.count, 2);
	ck_assert_int_le(b.count, 12);
	ck_assert(weir__fiber_resume(b.self));
	ck_assert_int_eq(weir__fiber_result(b.self), b.count);
	weir__fiber_free(&pool, b.self);
}
END_TEST

#define CASE(name) TESTING(name, .setup = setup, .teardown = teardown)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(result_without_suspend),
		CASE(free_without_resume),
		CASE(ping_pong),
		CASE(many_interleaved),
		CASE(fiber_resumes_fiber),
		CASE(stack_is_reused_most_recent_first),
		CASE(registers_survive),
#if defined(__x86_64__) && !WEIR__ASAN && !WEIR__TSAN
		CASE(registers_survive_exactly),
#endif
		CASE(stack_is_aligned),
		CASE(migrates_between_threads),
		CASE(abandon_gives_the_stack_back),
		CASE(parked_costs_one_page),
		CASE(overflow_is_named),
		CASE(overflow_is_named_with_mprotect),
		CASE(backtrace_ends_at_the_entry),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
