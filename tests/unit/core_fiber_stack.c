/* SPDX-License-Identifier: MIT */
/*
 * core_fiber_stack.c: tests core/fiber/stack.c: cutting regions into stacks, guards and their
 * fallback, reuse, releasing pages, the number of mappings. The test tagged "slow" takes 4.3 GB.
 */
#include <errno.h>
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

#include "core/fiber/stack.h"
#include "core/sanitizer.h"
#include "tests/support/testing.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

static unsigned long map_lines(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long n = 0;
	int c;

	ck_assert_ptr_nonnull(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static unsigned long rss_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all, resident;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lu %lu", &all, &resident), 2);
	fclose(f);
	return resident * PAGE;
}

static unsigned resident_pages(struct weir__stack s)
{
	unsigned char *page = malloc(s.bytes / PAGE);
	unsigned n = 0;

	ck_assert_int_eq(mincore(s.low, s.bytes, page), 0);
	for (size_t i = 0; i < s.bytes / PAGE; i++)
		n += page[i] & 1;
	free(page);
	return n;
}

/* Returns whether writing to the address kills a child process. */
static bool write_dies(char *at)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		*(volatile char *)at = 1;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) &&
	       (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

static void check_bounds(struct weir__stack s, size_t with_guard)
{
	size_t bytes = 0;

	ck_assert_uint_eq(s.bytes + PAGE, with_guard);
	ck_assert_uint_eq((uintptr_t)s.low % PAGE, 0);
	memset(s.low, 0x5a, s.bytes);
	ck_assert(write_dies(s.low - 1));
	ck_assert(write_dies(s.low - PAGE));
	ck_assert(weir__stack_is_guard(s.low - 1, &bytes));
	ck_assert_uint_eq(bytes, with_guard);
	ck_assert(weir__stack_is_guard(s.low - PAGE, NULL));
	ck_assert(!weir__stack_is_guard(s.low, NULL));
	ck_assert(!weir__stack_is_guard(s.low + s.bytes - 1, NULL));
}

START_TEST(sizes_round_up)
{
	static const struct {
		size_t asked, got;
	} cases[] = { { 0, 65536 }, { 1, 16384 }, { 65536, 65536 }, { 65537, 131072 },
		      { 1u << 20, 1u << 20 }, { 128u << 20, 128u << 20 } };
	struct weir__stack_pool pool;
	struct weir__stack s;

	ck_assert_int_eq(weir__stack_pool_init(&pool, WEIR__STACK_BYTES_MAX + 1, 0, -1), -EINVAL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (PAGE != 4096 && cases[i].asked == 1)
			continue;
		ck_assert_int_eq(weir__stack_pool_init(&pool, cases[i].asked, 0, -1), 0);
		ck_assert_int_eq(weir__stack_get(&pool, &s), 0);
		ck_assert_uint_eq(s.bytes + PAGE, cases[i].got);
		weir__stack_put(&pool, s);
		weir__stack_pool_fini(&pool);
	}
}
END_TEST

START_TEST(guarded_below_usable_above)
{
	struct weir__stack_pool pool;
	struct weir__stack s[3];
	int local;

	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, 0, -1), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(weir__stack_get(&pool, &s[i]), 0);
	for (int i = 0; i < 3; i++)
		check_bounds(s[i], 65536);
	ck_assert(!weir__stack_is_guard(&local, NULL));
	ck_assert(!weir__stack_is_guard(NULL, NULL));
	for (int i = 0; i < 3; i++)
		weir__stack_put(&pool, s[i]);
	weir__stack_pool_fini(&pool);
}
END_TEST

START_TEST(guarded_by_mprotect)
{
	struct weir__stack_pool pool;
	struct weir__stack s;

	weir__stack_hooks.no_guard_install = true;
	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, 0, -1), 0);
	ck_assert_int_eq(weir__stack_get(&pool, &s), 0);
	check_bounds(s, 65536);
	weir__stack_put(&pool, s);
	weir__stack_pool_trim(&pool, 0);
	ck_assert(write_dies(s.low - 1));
	weir__stack_pool_fini(&pool);
}
END_TEST

/* With 400 mappings allowed, half of them for guards, at two per stack: 100 stacks. */
START_TEST(mprotect_refuses_beyond_its_share)
{
	struct weir__stack_pool pool, other;
	struct weir__stack s[100], extra;
	unsigned long before = map_lines();

	weir__stack_hooks.no_guard_install = true;
	weir__stack_hooks.max_map_count = 400;
	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, 0, -1), 0);
	ck_assert_int_eq(weir__stack_pool_init(&other, 0, 0, -1), 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(weir__stack_get(&pool, &s[i]), 0);
	ck_assert_ptr_null(pool.reason);
	ck_assert_uint_le(map_lines() - before, 205);
	ck_assert_int_eq(weir__stack_get(&pool, &extra), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(pool.reason, "vm.max_map_count"));
	ck_assert_int_eq(weir__stack_get(&other, &extra), -ENOMEM);
	/* A returned stack can be taken again, in the other pool too. */
	weir__stack_put(&pool, s[7]);
	weir__stack_pool_trim(&pool, 0);
	ck_assert_int_eq(weir__stack_get(&other, &extra), 0);
	ck_assert_ptr_eq(extra.low, s[7].low);
	ck_assert(write_dies(extra.low - 1));
	weir__stack_put(&other, extra);
	for (int i = 0; i < 100; i++)
		if (i != 7)
			weir__stack_put(&pool, s[i]);
	weir__stack_pool_fini(&pool);
	weir__stack_pool_fini(&other);
}
END_TEST

/* Slots that were refused are not lost: once the limit is raised, the region can be filled. */
START_TEST(refused_slots_stay_available)
{
	enum {
		N = 1024
	}; /* the number of stacks in a region */
	struct weir__stack_pool pool;
	struct weir__stack *s = calloc(N, sizeof(*s));
	int got = 0;

	weir__stack_hooks.no_guard_install = true;
	weir__stack_hooks.max_map_count = 400;
	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, 0, -1), 0);
	while (weir__stack_get(&pool, &s[got]) == 0)
		got++;
	ck_assert_int_eq(got, 100);
	weir__stack_hooks.max_map_count = 40000;
	for (; got < N; got++) {
		ck_assert_int_eq(weir__stack_get(&pool, &s[got]), 0);
		ck_assert_ptr_eq(s[got].region, s[0].region);
	}
	for (int i = 0; i < N; i++)
		weir__stack_put(&pool, s[i]);
	weir__stack_pool_fini(&pool);
	free(s);
}
END_TEST

/* A region whose stacks were all returned is used again before a new one is mapped. */
START_TEST(full_region_is_reused)
{
	struct weir__stack_pool pool;
	struct weir__stack s[4], again;

	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(weir__stack_pool_init(&pool, 32u << 20, 0, -1), 0);
		for (int i = 0; i < 4; i++) {
			ck_assert_int_eq(weir__stack_get(&pool, &s[i]), 0);
			ck_assert_ptr_eq(s[i].region, s[0].region);
		}
		if (round == 0)
			again = s[0];
		ck_assert_ptr_eq(s[0].region, again.region);
		for (int i = 0; i < 4; i++)
			weir__stack_put(&pool, s[i]);
		weir__stack_pool_fini(&pool);
	}
}
END_TEST

START_TEST(most_recent_first)
{
	struct weir__stack_pool pool;
	struct weir__stack s[40], again;

	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, 0, -1), 0);
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(weir__stack_get(&pool, &s[i]), 0);
	for (int i = 0; i < 40; i++)
		weir__stack_put(&pool, s[i]);
	ck_assert_uint_eq(pool.hot, 40);
	for (int i = 39; i >= 0; i--) {
		ck_assert_int_eq(weir__stack_get(&pool, &again), 0);
		ck_assert_ptr_eq(again.low, s[i].low);
	}
	ck_assert_uint_eq(pool.hot, 0);
	for (int i = 0; i < 40; i++)
		weir__stack_put(&pool, s[i]);
	weir__stack_pool_fini(&pool);
}
END_TEST

START_TEST(no_stack_is_given_twice)
{
	enum {
		N = 3000
	};
	struct weir__stack_pool pool[2];
	struct weir__stack *s = calloc(N, sizeof(*s));
	unsigned seed = 1;

	for (int p = 0; p < 2; p++)
		ck_assert_int_eq(weir__stack_pool_init(&pool[p], 0, 0, -1), 0);
	for (int step = 0; step < 200000; step++) {
		int i = (int)((seed = seed * 1664525 + 1013904223) >> 8) % N;
		int p = seed >> 30 & 1;

		if (s[i].low) {
			/* The owner's mark is unchanged: nobody else has used the stack. */
			ck_assert_int_eq(*(int *)(void *)s[i].low, i);
			weir__stack_put(&pool[p], s[i]);
			s[i].low = NULL;
		} else {
			ck_assert_int_eq(weir__stack_get(&pool[p], &s[i]), 0);
			*(int *)(void *)s[i].low = i;
		}
	}
	for (int i = 0; i < N; i++)
		if (s[i].low)
			weir__stack_put(&pool[i & 1], s[i]);
	for (int p = 0; p < 2; p++)
		weir__stack_pool_fini(&pool[p]);
	free(s);
}
END_TEST

/* When many stacks are returned, their pages are released. Their guards stay. */
START_TEST(pages_come_back)
{
	enum {
		N = 10000
	};
	struct weir__stack_pool pool;
	struct weir__stack *s = calloc(N, sizeof(*s));
	unsigned pages = 0;

	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, 0, -1), 0);
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(weir__stack_get(&pool, &s[i]), 0);
		s[i].low[s[i].bytes - 1] = 1;
		pages += resident_pages(s[i]);
	}
	ck_assert_uint_eq(pages, N);
	for (int i = 0; i < N; i++)
		weir__stack_put(&pool, s[i]);
	ck_assert_uint_le(pool.hot, pool.hot_max);
	pages = 0;
	for (int i = 0; i < N; i++)
		pages += resident_pages(s[i]);
	ck_assert_uint_eq(pages, pool.hot);
	ck_assert(write_dies(s[0].low - 1));
	ck_assert(write_dies(s[1].low - 1));
	ck_assert(write_dies(s[N - 1].low - 1));
	weir__stack_pool_fini(&pool);
	ck_assert_uint_eq(pool.hot, 0);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(resident_pages(s[i]), 0);
	free(s);
}
END_TEST

struct trade {
	struct weir__stack s[500];
	pthread_barrier_t *meet;
	struct trade *peer;
};

static void *trader(void *arg)
{
	struct trade *t = arg;
	struct weir__stack_pool pool;

	weir__stack_pool_init(&pool, 0, 0, -1);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 500; i++) {
			if (weir__stack_get(&pool, &t->s[i]) < 0)
				return "out of stacks";
			memcpy(t->s[i].low, &t, sizeof(t));
		}
		pthread_barrier_wait(t->meet);
		for (int i = 0; i < 500; i++) {
			if (memcmp(t->peer->s[i].low, &t->peer, sizeof(t)) != 0)
				return "a stack was given twice";
			weir__stack_put(&pool, t->peer->s[i]);
		}
		pthread_barrier_wait(t->meet);
		if (round % 3 == 0)
			weir__stack_pool_trim(&pool, 10);
	}
	weir__stack_pool_fini(&pool);
	return NULL;
}

START_TEST(freed_on_another_worker)
{
	static struct trade t[2];
	pthread_barrier_t meet;
	pthread_t th[2];
	void *err;

	ck_assert_int_eq(pthread_barrier_init(&meet, NULL, 2), 0);
	for (int i = 0; i < 2; i++) {
		t[i].meet = &meet;
		t[i].peer = &t[!i];
		ck_assert_int_eq(pthread_create(&th[i], NULL, trader, &t[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(th[i], &err), 0);
		ck_assert_msg(!err, "%s", (char *)err);
	}
	pthread_barrier_destroy(&meet);
}
END_TEST

START_TEST(other_size_goes_home)
{
	struct weir__stack_pool small, large;
	struct weir__stack a, b;

	ck_assert_int_eq(weir__stack_pool_init(&small, 16 * 1024, 0, -1), 0);
	ck_assert_int_eq(weir__stack_pool_init(&large, 256 * 1024, 0, -1), 0);
	ck_assert_int_eq(weir__stack_get(&small, &a), 0);
	weir__stack_put(&large, a);
	ck_assert_uint_eq(large.hot, 0);
	ck_assert_int_eq(weir__stack_get(&large, &b), 0);
	ck_assert_uint_eq(b.bytes + PAGE, 256 * 1024);
	weir__stack_put(&large, b);
	weir__stack_pool_fini(&small);
	weir__stack_pool_fini(&large);
}
END_TEST

/* A guard of several pages takes no room from the stacks above and below it. */
static void guards_of(size_t asked, size_t got)
{
	struct weir__stack_pool pool, other;
	struct weir__stack s[3];
	size_t bytes;

	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, asked, -1), 0);
	ck_assert_int_eq(weir__stack_pool_init(&other, 0, asked + 2 * PAGE, -1), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(weir__stack_get(&pool, &s[i]), 0);
		ck_assert_uint_eq(s[i].bytes + PAGE, 65536);
		memset(s[i].low, 0x5a, s[i].bytes);
		for (size_t at = PAGE; at <= got; at += PAGE)
			ck_assert(weir__stack_is_guard(s[i].low - at, &bytes));
		ck_assert_uint_eq(bytes, 65536);
		ck_assert(!weir__stack_is_guard(s[i].low - got - 1, NULL));
		ck_assert(!weir__stack_is_guard(s[i].low, NULL));
		ck_assert(write_dies(s[i].low - 1));
		ck_assert(write_dies(s[i].low - got));
	}
	for (int i = 0; i < 3; i++)
		for (size_t at = 0; at < s[i].bytes; at += PAGE)
			ck_assert_int_eq(s[i].low[at], 0x5a);
	/* The stack goes back to its own pool, not to one with other guards. */
	weir__stack_put(&other, s[0]);
	ck_assert_uint_eq(other.hot, 0);
	ck_assert_int_eq(weir__stack_get(&other, &s[0]), 0);
	ck_assert(weir__stack_is_guard(s[0].low - got - 2 * PAGE, NULL));
	weir__stack_put(&other, s[0]);
	weir__stack_put(&pool, s[1]);
	weir__stack_put(&pool, s[2]);
	weir__stack_pool_fini(&pool);
	weir__stack_pool_fini(&other);
}

START_TEST(guards_of_any_width)
{
	struct weir__stack_pool pool;

	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, WEIR__STACK_BYTES_MAX + 1, -1), -EINVAL);
	weir__stack_hooks.no_guard_install = _i;
	guards_of(1, PAGE);
	guards_of(PAGE + 1, 2 * PAGE);
	guards_of(1 << 20, 1 << 20);
}
END_TEST

/* Whether MADV_GUARD_INSTALL works. MADV_POPULATE_READ shows that it had an effect. */
static bool have_guard_install(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool yes = madvise(p, PAGE, 102) == 0 && madvise(p, PAGE, 22) < 0;

	munmap(p, PAGE);
	if (!yes)
		printf("# skipped: this kernel has no MADV_GUARD_INSTALL\n");
	return yes;
}

static void many(unsigned n, unsigned long max_per_stack)
{
	struct weir__stack_pool pool;
	struct weir__stack *s = calloc(n, sizeof(*s));
	unsigned long start, used;

	ck_assert_int_eq(weir__stack_pool_init(&pool, 0, 0, -1), 0);
	memset(s, 1, n * sizeof(*s));
	start = rss_bytes();
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(weir__stack_get(&pool, &s[i]), 0);
		s[i].low[s[i].bytes - 1] = 1;
	}
	used = rss_bytes() - start;
	printf("# %u stacks: %lu lines in maps, %.2f GB, %lu bytes each\n", n, map_lines(),
	       (double)used / 1e9, used / n);
	/* Not under sanitizers, whose shadow memory has mappings and pages, too. */
	if (!WEIR__ASAN && !WEIR__TSAN) {
		ck_assert_uint_lt(map_lines(), 200);
		ck_assert_uint_le(used / n, max_per_stack);
	}
	for (unsigned i = 0; i < n; i++)
		weir__stack_put(&pool, s[i]);
	weir__stack_pool_fini(&pool);
	free(s);
}

START_TEST(mappings_100_000)
{
	if (have_guard_install())
		many(100000, 4300);
}
END_TEST

START_TEST(mappings_1_000_000)
{
	if (have_guard_install())
		many(1000000, 4300);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(sizes_round_up),
		TESTING(guarded_below_usable_above),
		TESTING(guarded_by_mprotect),
		TESTING(mprotect_refuses_beyond_its_share),
		TESTING(refused_slots_stay_available),
		TESTING(full_region_is_reused),
		TESTING(most_recent_first),
		TESTING(no_stack_is_given_twice),
		TESTING(pages_come_back),
		TESTING(freed_on_another_worker),
		TESTING(other_size_goes_home),
		TESTING(guards_of_any_width, .rounds = 2),
		TESTING(mappings_100_000),
		TESTING(mappings_1_000_000, .needs = "slow", .timeout_s = 120),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
