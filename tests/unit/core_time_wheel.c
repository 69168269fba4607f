/* SPDX-License-Identifier: MIT */
/*
 * core_time_wheel.c: the timer wheel: its edge cases, and a random comparison with a sorted array.
 *
 * Times are simulated: nothing here sleeps or reads a clock. The random test has a fixed seed, and
 * is reproducible; WEIR_SEED=n in the environment sets another seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time/wheel.h"
#include "tests/support/testing.h"

#define MS WEIR_MSEC
#define ORIGIN 123456789012345ull
#define SPAN_TICKS (1ull << 36)
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const uint64_t tick_sizes[] = {
	WEIR__WHEEL_TICK_MIN_NS, 100000, 999999, MS, 1u << 20, 1234567, 10 * MS,
	WEIR__WHEEL_TICK_MAX_NS,
};

static struct weir__wheel wheel;

static void setup(void)
{
	ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, MS), 0);
}

/* Checks the invariants between calls: a bit for each occupied slot, and correct back links. */
static void check_links(const struct weir__wheel *w)
{
	for (unsigned i = 0; i < WEIR__WHEEL_HEADS; i++) {
		struct weir__timer *const *at = &w->head[i];
		bool bit = w->occupied[i / 64] >> i % 64 & 1;

		if (bit != (*at != NULL))
			ck_abort_msg("slot %u: occupancy bit %d is wrong", i, bit);
		for (; *at != NULL; at = &(*at)->next)
			if ((*at)->pprev != at)
				ck_abort_msg("slot %u: a back link is wrong", i);
	}
}

static void teardown(void)
{
	check_links(&wheel);
}

static struct weir__timer *put(struct weir__timer *t, uint64_t deadline_ns)
{
	memset(t, 0, sizeof(*t));
	t->deadline_ns = deadline_ns;
	weir__wheel_insert(&wheel, t);
	ck_assert(weir__timer_linked(t));
	return t;
}

static unsigned chain_length(const struct weir__timer *chain)
{
	unsigned n = 0;

	for (; chain != NULL; chain = chain->next, n++)
		ck_assert(!weir__timer_linked(chain));
	return n;
}

/* Returns the slot whose first timer is t, or -1. */
static int slot_of(const struct weir__timer *t)
{
	for (unsigned i = 0; i < WEIR__WHEEL_HEADS; i++)
		if (wheel.head[i] == t)
			return (int)i;
	return -1;
}

/* Advances to next() until something expires. Returns the time of that. */
static uint64_t run_to_expiry(struct weir__timer **ret_chain)
{
	for (unsigned steps = 0; steps < 100; steps++) {
		uint64_t at = weir__wheel_next(&wheel);

		ck_assert(at != WEIR_FOREVER);
		*ret_chain = weir__wheel_advance(&wheel, at);
		if (*ret_chain != NULL)
			return at;
	}
	ck_abort_msg("next() leads nowhere");
	return 0;
}

static void expect_expiry(struct weir__timer *t, uint64_t at_ns)
{
	struct weir__timer *chain;
	uint64_t at = run_to_expiry(&chain);

	ck_assert_uint_eq(at, at_ns);
	ck_assert_ptr_eq(chain, t);
	ck_assert_uint_eq(chain_length(chain), 1);
}

START_TEST(init_checks_the_tick)
{
	struct weir__wheel before;

	memset(&wheel, 0x5a, sizeof(wheel));
	before = wheel;
	ck_assert_int_eq(weir__wheel_init(&wheel, 0, 1), -EINVAL);
	ck_assert_int_eq(weir__wheel_init(&wheel, 0, 64 * WEIR_USEC - 1), -EINVAL);
	ck_assert_int_eq(weir__wheel_init(&wheel, 0, WEIR_SEC + 1), -EINVAL);
	ck_assert_int_eq(weir__wheel_init(&wheel, 0, WEIR_FOREVER), -EINVAL);
	ck_assert_mem_eq(&wheel, &before, sizeof(wheel));
	ck_assert_int_eq(weir__wheel_init(&wheel, 0, 64 * WEIR_USEC), 0);
	ck_assert_int_eq(weir__wheel_init(&wheel, 0, WEIR_SEC), 0);
	ck_assert_int_eq(weir__wheel_init(&wheel, 0, 0), 0);
	ck_assert_uint_eq(wheel.tick_ns, MS);
}
END_TEST

START_TEST(empty_wheel_has_nothing_to_do)
{
	ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
	ck_assert_ptr_null(weir__wheel_advance(&wheel, ORIGIN));
	ck_assert_ptr_null(weir__wheel_advance(&wheel, ORIGIN + 5 * WEIR_SEC));
	ck_assert_uint_eq(wheel.elapsed, 5000);
	ck_assert_ptr_null(weir__wheel_advance(&wheel, WEIR_FOREVER));
	ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
}
END_TEST

START_TEST(timer_is_three_words)
{
	ck_assert_uint_eq(sizeof(struct weir__timer), 24);
}
END_TEST

START_TEST(level_and_slot_from_zero)
{
	struct weir__timer t;

	for (unsigned level = 0; level < WEIR__WHEEL_LEVELS; level++)
		for (unsigned slot = 1; slot < 64; slot++) {
			uint64_t start = (uint64_t)slot << 6 * level;
			uint64_t end = ((uint64_t)slot + 1) << 6 * level;

			put(&t, ORIGIN + start * MS);
			ck_assert_int_eq(slot_of(&t), (int)(level * 64 + slot));
			ck_assert_uint_eq(weir__wheel_next(&wheel), ORIGIN + start * MS);
			weir__wheel_remove(&wheel, &t);
			put(&t, ORIGIN + (end - 1) * MS);
			ck_assert_int_eq(slot_of(&t), (int)(level * 64 + slot));
			ck_assert_uint_eq(weir__wheel_next(&wheel), ORIGIN + start * MS);
			weir__wheel_remove(&wheel, &t);
			ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
		}
}
END_TEST

START_TEST(level_and_slot_from_the_middle)
{
	/* 3 * 64^2 + 62 * 64 + 61: two ticks before the group of 64, 130 before 64^2. */
	const uint64_t now = 3 * 4096 + 62 * 64 + 61;
	static const struct {
		uint64_t ahead;
		int index;
	} at[] = {
		{ 0, 61 },
		{ 1, 62 },
		{ 2, 63 },
		{ 3, 64 + 63 },
		{ 66, 64 + 63 },
		{ 67, 128 + 4 },
		{ 67 + 4095, 128 + 4 },
		{ 67 + 4096, 128 + 5 },
		{ 67 + 60 * 4096, 192 + 1 },
	};
	struct weir__timer t;

	weir__wheel_advance(&wheel, ORIGIN + now * MS);
	for (size_t i = 0; i < LENGTH(at); i++) {
		put(&t, ORIGIN + (now + at[i].ahead) * MS);
		ck_assert_int_eq(slot_of(&t), at[i].index);
		weir__wheel_remove(&wheel, &t);
	}
}
END_TEST

START_TEST(expires_at_the_exact_millisecond)
{
	struct weir__timer t;

	for (uint64_t ms = 1; ms <= 300; ms++) {
		uint64_t at = ORIGIN + wheel.elapsed * MS + ms * MS;

		put(&t, at);
		ck_assert_ptr_null(weir__wheel_advance(&wheel, at - 1));
		ck_assert(weir__timer_linked(&t));
		ck_assert_ptr_eq(weir__wheel_advance(&wheel, at), &t);
		ck_assert_ptr_null(t.next);
		ck_assert(!weir__timer_linked(&t));
	}
}
END_TEST

START_TEST(part_of_a_tick_is_rounded_up)
{
	static const uint64_t past_the_tick[] = { 1, 2, MS / 2, MS - 1, MS };
	struct weir__timer t;

	for (uint64_t tick = 0; tick < 200; tick += 7)
		for (size_t i = 0; i < LENGTH(past_the_tick); i++) {
			ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, MS), 0);
			put(&t, ORIGIN + tick * MS + past_the_tick[i]);
			ck_assert_ptr_null(
				weir__wheel_advance(&wheel, ORIGIN + (tick + 1) * MS - 1));
			ck_assert_ptr_eq(weir__wheel_advance(&wheel, ORIGIN + (tick + 1) * MS),
					 &t);
		}
}
END_TEST

/* Whole multiples of every tick size, and their neighbours, up to the end of time. */
START_TEST(rounding_is_exact_for_every_tick_size)
{
	uint64_t tick_ns = tick_sizes[_i];
	struct weir__timer t;

	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t ticks = (1ull << bit) / tick_ns + 1;

		for (uint64_t n = ticks; n < ticks + 3; n++) {
			if (n >= UINT64_MAX / tick_ns - 2)
				continue;
			ck_assert_int_eq(weir__wheel_init(&wheel, 0, tick_ns), 0);
			weir__wheel_advance(&wheel, (n - 1) * tick_ns);
			ck_assert_uint_eq(wheel.elapsed, n - 1);
			put(&t, n * tick_ns);
			expect_expiry(&t, n * tick_ns);
			put(&t, n * tick_ns + 1);
			expect_expiry(&t, (n + 1) * tick_ns);
			put(&t, (n + 2) * tick_ns - 1);
			expect_expiry(&t, (n + 2) * tick_ns);
		}
	}
}
END_TEST

START_TEST(overdue_comes_with_the_next_advance)
{
	struct weir__timer a, b, c;
	uint64_t now = ORIGIN + 1000 * MS + 300000;

	weir__wheel_advance(&wheel, now);
	put(&a, 0);
	put(&b, ORIGIN + 3);
	put(&c, ORIGIN + 1000 * MS);
	ck_assert(weir__wheel_next(&wheel) <= now);
	ck_assert_uint_eq(chain_length(weir__wheel_advance(&wheel, now)), 3);
	ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
	ck_assert_ptr_null(weir__wheel_advance(&wheel, now));
}
END_TEST

START_TEST(overdue_before_the_first_advance)
{
	struct weir__timer t;

	put(&t, ORIGIN - 5);
	expect_expiry(&t, ORIGIN);
}
END_TEST

START_TEST(time_never_goes_back)
{
	struct weir__timer t, overdue;

	weir__wheel_advance(&wheel, ORIGIN + 500 * MS);
	put(&t, ORIGIN + 600 * MS);
	put(&overdue, ORIGIN);
	ck_assert_ptr_null(weir__wheel_advance(&wheel, ORIGIN + 499 * MS));
	ck_assert_ptr_null(weir__wheel_advance(&wheel, 0));
	ck_assert_uint_eq(wheel.elapsed, 500);
	ck_assert_ptr_eq(weir__wheel_advance(&wheel, ORIGIN + 500 * MS), &overdue);
	ck_assert_ptr_eq(weir__wheel_advance(&wheel, ORIGIN + 600 * MS), &t);
}
END_TEST

START_TEST(level_0_wraps)
{
	struct weir__timer t;

	for (uint64_t now = 0; now < 130; now++)
		for (uint64_t ahead = 1; ahead < 130; ahead++) {
			ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, MS), 0);
			weir__wheel_advance(&wheel, ORIGIN + now * MS);
			put(&t, ORIGIN + (now + ahead) * MS);
			expect_expiry(&t, ORIGIN + (now + ahead) * MS);
		}
}
END_TEST

/* Timers just before and after every border between levels, set from both sides of it. */
START_TEST(level_borders)
{
	for (unsigned level = 1; level <= WEIR__WHEEL_LEVELS; level++)
		for (int from = -2; from <= 2; from++)
			for (int to = from + 1; to <= from + 5; to++) {
				uint64_t border = 5ull << 6 * level;
				struct weir__timer t;

				ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, MS), 0);
				weir__wheel_advance(&wheel,
						    ORIGIN + (border + (uint64_t)from) * MS);
				put(&t, ORIGIN + (border + (uint64_t)to) * MS);
				expect_expiry(&t, ORIGIN + (border + (uint64_t)to) * MS);
			}
}
END_TEST

START_TEST(moves_down_at_most_once_per_level)
{
	struct weir__timer t;
	unsigned steps = 0;
	uint64_t at = ORIGIN + (SPAN_TICKS - 1) * MS;

	put(&t, at);
	while (weir__timer_linked(&t)) {
		uint64_t next = weir__wheel_next(&wheel);

		ck_assert(next <= at);
		weir__wheel_advance(&wheel, next);
		ck_assert_uint_le(++steps, WEIR__WHEEL_LEVELS);
	}
	ck_assert_uint_eq(wheel.elapsed, SPAN_TICKS - 1);
}
END_TEST

START_TEST(beyond_the_span)
{
	static const uint64_t ticks[] = {
		SPAN_TICKS - 1,
		SPAN_TICKS,
		SPAN_TICKS + 1,
		SPAN_TICKS + (1ull << 30) - 1,
		SPAN_TICKS + (1ull << 30),
		2 * SPAN_TICKS - 1,
		2 * SPAN_TICKS,
		5 * SPAN_TICKS + 12345,
		100 * SPAN_TICKS - 1,
	};
	static const uint64_t starts[] = {
		0, 1, 77, (1ull << 30) - 1, 1ull << 30, SPAN_TICKS - 1, SPAN_TICKS
	};

	for (size_t s = 0; s < LENGTH(starts); s++)
		for (size_t i = 0; i < LENGTH(ticks); i++) {
			struct weir__timer t;
			uint64_t at = ORIGIN + (starts[s] + ticks[i]) * MS;

			ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, MS), 0);
			weir__wheel_advance(&wheel, ORIGIN + starts[s] * MS);
			put(&t, at);
			ck_assert_int_ge(slot_of(&t), ticks[i] >= SPAN_TICKS ? 5 * 64 : 0);
			while (weir__wheel_next(&wheel) < at)
				ck_assert_ptr_null(weir__wheel_advance(&wheel,
						   weir__wheel_next(&wheel)));
			ck_assert_uint_eq(weir__wheel_next(&wheel), at);
			ck_assert_ptr_null(weir__wheel_advance(&wheel, at - 1));
			ck_assert_ptr_eq(weir__wheel_advance(&wheel, at), &t);
		}
}
END_TEST

/* The top level is a ring: next() is right wherever the elapsed time is in it. */
START_TEST(top_level_turns)
{
	struct weir__timer t;

	for (uint64_t from = 0; from < 64; from++)
		for (uint64_t ahead = 1; ahead <= 64; ahead++) {
			uint64_t slot = 64 + from + ahead, now = ((64 + from) << 30) + 1;

			ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, MS), 0);
			weir__wheel_advance(&wheel, ORIGIN + now * MS);
			put(&t, ORIGIN + ((slot << 30) + 5) * MS);
			ck_assert_int_eq(slot_of(&t), (int)(5 * 64 + slot % 64));
			ck_assert_uint_eq(weir__wheel_next(&wheel), ORIGIN + (slot << 30) * MS);
			expect_expiry(&t, ORIGIN + ((slot << 30) + 5) * MS);
		}
}
END_TEST

START_TEST(forever_never_expires)
{
	struct weir__timer a, b, c;

	put(&a, WEIR_FOREVER);
	put(&b, WEIR_FOREVER - 1);
	put(&c, WEIR_FOREVER);
	ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
	ck_assert_ptr_null(weir__wheel_advance(&wheel, ORIGIN + 100000 * WEIR_SEC));
	ck_assert_ptr_null(weir__wheel_advance(&wheel, WEIR_FOREVER - 1));
	ck_assert_ptr_null(weir__wheel_advance(&wheel, WEIR_FOREVER));
	ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
	weir__wheel_remove(&wheel, &b);
	weir__wheel_remove(&wheel, &c);
	weir__wheel_remove(&wheel, &a);
	ck_assert_ptr_null(wheel.never);
	ck_assert(!weir__timer_linked(&a) && !weir__timer_linked(&b));
}
END_TEST

START_TEST(last_deadline_that_expires)
{
	struct weir__timer t;

	for (size_t i = 0; i < LENGTH(tick_sizes); i++) {
		struct weir__timer *chain;
		uint64_t last = WEIR_FOREVER - tick_sizes[i];

		ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, tick_sizes[i]), 0);
		put(&t, last);
		ck_assert_ptr_null(weir__wheel_advance(&wheel, last - 1));
		chain = weir__wheel_advance(&wheel, WEIR_FOREVER);
		ck_assert_ptr_eq(chain, &t);
		ck_assert_ptr_null(chain->next);
	}
}
END_TEST

START_TEST(remove_first_middle_last)
{
	/* Each order of removing three timers of one slot. */
	static const unsigned char order[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct weir__timer t[3];

	for (size_t i = 0; i < LENGTH(order); i++) {
		for (unsigned n = 0; n < 3; n++)
			put(&t[n], ORIGIN + 7 * MS);
		for (unsigned n = 0; n < 3; n++) {
			ck_assert_uint_eq(weir__wheel_next(&wheel), ORIGIN + 7 * MS);
			weir__wheel_remove(&wheel, &t[order[i][n]]);
			ck_assert(!weir__timer_linked(&t[order[i][n]]));
			check_links(&wheel);
		}
		ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
	}
}
END_TEST

START_TEST(removed_does_not_expire)
{
	struct weir__timer t[3];
	struct weir__timer *chain;

	for (unsigned n = 0; n < 3; n++)
		put(&t[n], ORIGIN + 70 * MS);
	weir__wheel_remove(&wheel, &t[1]);
	chain = weir__wheel_advance(&wheel, ORIGIN + WEIR_SEC);
	ck_assert_uint_eq(chain_length(chain), 2);
	for (; chain != NULL; chain = chain->next)
		ck_assert_ptr_ne(chain, &t[1]);
}
END_TEST

START_TEST(remove_of_an_unlinked_timer)
{
	struct weir__timer t = { .deadline_ns = ORIGIN }, other;

	put(&other, ORIGIN + 9 * MS);
	weir__wheel_remove(&wheel, &t);
	put(&t, ORIGIN + MS);
	weir__wheel_remove(&wheel, &t);
	weir__wheel_remove(&wheel, &t);
	put(&t, ORIGIN + MS);
	ck_assert_ptr_eq(weir__wheel_advance(&wheel, ORIGIN + MS), &t);
	weir__wheel_remove(&wheel, &t);
	expect_expiry(&other, ORIGIN + 9 * MS);
}
END_TEST

START_TEST(insert_again_after_expiry)
{
	struct weir__timer t;

	put(&t, ORIGIN + MS);
	for (unsigned i = 1; i < 1000; i++) {
		expect_expiry(&t, ORIGIN + i * MS);
		t.deadline_ns = ORIGIN + (i + 1) * MS;
		weir__wheel_insert(&wheel, &t);
	}
	weir__wheel_remove(&wheel, &t);
}
END_TEST

START_TEST(huge_jump_takes_everything_in_order)
{
	static struct weir__timer t[43];
	struct weir__timer *chain;
	unsigned n = 0;

	/* A deadline for each power of two of ticks, shuffled; the last is 139 years away. */
	for (unsigned i = 0; i < LENGTH(t); i++)
		put(&t[i * 20 % LENGTH(t)], ORIGIN + (MS << i * 20 % LENGTH(t)) - 1);
	chain = weir__wheel_advance(&wheel, WEIR_FOREVER);
	for (; chain != NULL; chain = chain->next, n++)
		ck_assert_ptr_eq(chain, &t[n]);
	ck_assert_uint_eq(n, LENGTH(t));
}
END_TEST

START_TEST(huge_jump_keeps_what_is_later)
{
	struct weir__timer near, far;
	uint64_t year = 365ull * 86400 * WEIR_SEC;

	put(&near, ORIGIN + 3 * year);
	put(&far, ORIGIN + 10 * year + 1);
	ck_assert_ptr_eq(weir__wheel_advance(&wheel, ORIGIN + 10 * year), &near);
	ck_assert_ptr_null(near.next);
	expect_expiry(&far, ORIGIN + 10 * year + MS);
}
END_TEST

START_TEST(ticks_of_one_slot_come_in_order)
{
	static struct weir__timer t[4096];
	struct weir__timer *chain;
	uint64_t last = 0;

	for (unsigned i = 0; i < LENGTH(t); i++)
		put(&t[i], ORIGIN + (4096 + i * 1117ull % 4096) * MS);
	ck_assert_int_eq(__builtin_popcountll(wheel.occupied[2]), 1);
	chain = weir__wheel_advance(&wheel, ORIGIN + 8191 * MS);
	ck_assert_uint_eq(chain_length(chain), LENGTH(t));
	for (; chain != NULL; chain = chain->next) {
		ck_assert_uint_gt(chain->deadline_ns, last);
		last = chain->deadline_ns;
	}
}
END_TEST

START_TEST(extension_files_again)
{
	static const uint64_t ms[] = { 0, 1, 2, 63, 64, 65, 4096, 300000, 1ull << 37 };
	struct weir__timer t;

	for (size_t from = 0; from < LENGTH(ms); from++)
		for (size_t to = from + 1; to < LENGTH(ms); to++) {
			ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, MS), 0);
			put(&t, ORIGIN + ms[from] * MS);
			t.deadline_ns = ORIGIN + ms[to] * MS;
			ck_assert_ptr_null(
				weir__wheel_advance(&wheel, ORIGIN + ms[from] * MS));
			ck_assert(weir__timer_linked(&t));
			check_links(&wheel);
			expect_expiry(&t, ORIGIN + ms[to] * MS);
		}
}
END_TEST

START_TEST(extension_by_less_than_a_tick)
{
	struct weir__timer t;

	/* Within the tick nothing changes; one nanosecond over costs the next tick. */
	put(&t, ORIGIN + 4 * MS + 1);
	t.deadline_ns = ORIGIN + 5 * MS;
	expect_expiry(&t, ORIGIN + 5 * MS);
	put(&t, ORIGIN + 9 * MS);
	t.deadline_ns = ORIGIN + 9 * MS + 1;
	expect_expiry(&t, ORIGIN + 10 * MS);
}
END_TEST

START_TEST(extension_keeps_the_neighbours)
{
	struct weir__timer t[5];
	struct weir__timer *chain;

	for (unsigned i = 0; i < 5; i++)
		put(&t[i], ORIGIN + 100 * MS);
	t[0].deadline_ns = t[2].deadline_ns = ORIGIN + 200 * MS;
	t[4].deadline_ns = WEIR_FOREVER;
	chain = weir__wheel_advance(&wheel, ORIGIN + 150 * MS);
	ck_assert_uint_eq(chain_length(chain), 2);
	chain = weir__wheel_advance(&wheel, ORIGIN + 200 * MS);
	ck_assert_uint_eq(chain_length(chain), 2);
	ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
	ck_assert_ptr_eq(wheel.never, &t[4]);
	weir__wheel_remove(&wheel, &t[4]);
}
END_TEST

/* A deadline that is extended again and again, like the idle timeout of a connection. */
START_TEST(extension_over_and_over)
{
	struct weir__timer t;
	uint64_t now = ORIGIN;

	put(&t, now + 30 * WEIR_SEC);
	for (unsigned i = 0; i < 100000; i++) {
		now += 7 * MS;
		t.deadline_ns = now + 30 * WEIR_SEC;
		if (weir__wheel_advance(&wheel, now) != NULL)
			ck_abort_msg("expired after extension %u", i);
	}
	expect_expiry(&t, now + 30 * WEIR_SEC);
}
END_TEST

START_TEST(many_equal_deadlines)
{
	static struct weir__timer t[100000];
	uint64_t at = ORIGIN + 3600 * WEIR_SEC + 1;
	struct weir__timer *chain;

	for (unsigned i = 0; i < LENGTH(t); i++) {
		t[i] = (struct weir__timer){ .deadline_ns = at };
		weir__wheel_insert(&wheel, &t[i]);
	}
	ck_assert_ptr_null(weir__wheel_advance(&wheel, at));
	chain = weir__wheel_advance(&wheel, at + MS - 1);
	ck_assert_uint_eq(chain_length(chain), LENGTH(t));
	ck_assert_uint_eq(weir__wheel_next(&wheel), WEIR_FOREVER);
}
END_TEST

/*
 * The model: an array of the linked timers, sorted by the tick at which each must expire, which is
 * computed by division. TICK_NEVER sorts last.
 */
#define MODEL_TIMERS 1000
#define MODEL_OPS 200000
#define TICK_NEVER UINT64_MAX

struct model {
	uint64_t origin_ns, tick_ns, now_ns;
	unsigned count;
	unsigned sorted[MODEL_TIMERS];	/* numbers of the timers */
	uint64_t due[MODEL_TIMERS];	/* indexed by the timer's number */
	unsigned never;			/* how many timers never expire */
	bool in_never[MODEL_TIMERS];
	uint64_t random;
};

static struct model model;
static struct weir__timer timers[MODEL_TIMERS];
static unsigned free_timers[MODEL_TIMERS], free_count;

static uint64_t draw(void)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return model.random * 0x2545f4914f6cdd1dull;
}

/* Draws a number below 2^bits. Every order of magnitude is equally likely. */
static uint64_t draw_magnitude(unsigned bits)
{
	return draw() >> (64 - 1 - draw() % bits);
}

static uint64_t model_now_tick(void)
{
	return (model.now_ns - model.origin_ns) / model.tick_ns;
}

static uint64_t model_tick(uint64_t deadline_ns)
{
	uint64_t since, tick;

	if (deadline_ns > WEIR_FOREVER - model.tick_ns)
		return TICK_NEVER;
	since = deadline_ns > model.origin_ns ? deadline_ns - model.origin_ns : 0;
	tick = since / model.tick_ns + (since % model.tick_ns != 0);
	return tick > model_now_tick() ? tick : model_now_tick();
}

static void model_add(unsigned n, uint64_t due)
{
	unsigned low = 0, high = model.count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (model.due[model.sorted[middle]] <= due)
			low = middle + 1;
		else
			high = middle;
	}
	memmove(&model.sorted[low + 1], &model.sorted[low],
		(model.count - low) * sizeof(model.sorted[0]));
	model.sorted[low] = n;
	model.due[n] = due;
	model.count++;
}

static void model_drop(unsigned position)
{
	model.count--;
	memmove(&model.sorted[position], &model.sorted[position + 1],
		(model.count - position) * sizeof(model.sorted[0]));
}

static uint64_t draw_deadline(void)
{
	uint64_t ahead;

	switch (draw() % 32) {
	case 0:
		return WEIR_FOREVER - draw() % 2;
	case 1:
		return model.now_ns - draw_magnitude(40) % model.now_ns;
	case 2:
		return model.origin_ns + (model_now_tick() + draw() % 5) * model.tick_ns;
	case 3:
		/* Exactly on a border of some level. */
		ahead = 1ull << draw() % 34;
		return model.origin_ns +
		       ((model_now_tick() / ahead + 1) * ahead - draw() % 2) * model.tick_ns;
	case 4:
		ahead = draw_magnitude(62);
		break;
	default:
		ahead = draw_magnitude(48);
		break;
	}
	return ahead < WEIR_FOREVER - model.now_ns ? model.now_ns + ahead : WEIR_FOREVER;
}

static void random_insert(void)
{
	unsigned n;

	if (free_count == 0)
		return;
	n = free_timers[--free_count];
	timers[n].deadline_ns = draw_deadline();
	model_add(n, model_tick(timers[n].deadline_ns));
	model.in_never[n] = model.due[n] == TICK_NEVER;
	model.never += model.in_never[n];
	weir__wheel_insert(&wheel, &timers[n]);
}

static void random_remove(void)
{
	unsigned position, n;

	if (model.count == 0)
		return;
	position = (unsigned)(draw() % model.count);
	n = model.sorted[position];
	model_drop(position);
	model.never -= model.in_never[n];
	free_timers[free_count++] = n;
	weir__wheel_remove(&wheel, &timers[n]);
	if (weir__timer_linked(&timers[n]))
		ck_abort_msg("timer %u is linked after remove", n);
}

static void random_extend(void)
{
	unsigned position, n;
	uint64_t due, by = draw_magnitude(40);

	if (model.count == 0)
		return;
	position = (unsigned)(draw() % model.count);
	n = model.sorted[position];
	if (timers[n].deadline_ns > WEIR_FOREVER - by)
		return;
	timers[n].deadline_ns += by;
	due = model_tick(timers[n].deadline_ns);
	if (due > model.due[n]) {
		/* An overdue timer stays in its slot unless its new deadline is later. */
		model_drop(position);
		model_add(n, due);
	}
}

static void expect_chain(struct weir__timer *chain)
{
	uint64_t last = 0;

	for (struct weir__timer *next; chain != NULL; chain = next) {
		unsigned n = (unsigned)(chain - timers), position = 0;

		next = chain->next;
		if (chain->deadline_ns > model.now_ns)
			ck_abort_msg("timer %u is early", n);
		if (weir__timer_linked(chain))
			ck_abort_msg("timer %u is linked in the chain", n);
		if (model.due[n] < last)
			ck_abort_msg("timer %u is out of order", n);
		last = model.due[n];
		while (position < model.count && model.sorted[position] != n)
			position++;
		if (position == model.count || model.due[n] > model_now_tick())
			ck_abort_msg("timer %u should not expire", n);
		model_drop(position);
		free_timers[free_count++] = n;
	}
	if (model.count > 0 && model.due[model.sorted[0]] <= model_now_tick())
		ck_abort_msg("timer %u should have expired", model.sorted[0]);
}

static void random_advance(void)
{
	uint64_t next = weir__wheel_next(&wheel), to;

	switch (draw() % 4096) {
	case 0:
		to = model.now_ns + draw_magnitude(57);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		to = model.now_ns + draw_magnitude(45);
		break;
	default:
		to = model.now_ns + draw_magnitude(30);
		if (draw() % 2 && next >= model.now_ns && next < model.now_ns + (1ull << 32))
			to = next;
		break;
	}
	model.now_ns = to;
	expect_chain(weir__wheel_advance(&wheel, to));
	if (wheel.elapsed != model_now_tick())
		ck_abort_msg("the wheel is at another tick than the model");
}

static void expect_next(void)
{
	uint64_t next = weir__wheel_next(&wheel), due;

	if (model.count == model.never && next != WEIR_FOREVER)
		ck_abort_msg("next() of a wheel where nothing can expire");
	if (model.count == 0)
		return;
	due = model.due[model.sorted[0]];
	if (due != TICK_NEVER && next > model.origin_ns + due * model.tick_ns)
		ck_abort_msg("next() is late");
	if (next < model.origin_ns + wheel.elapsed * model.tick_ns)
		ck_abort_msg("next() is before the wheel's own time");
}

static void model_start(uint64_t tick_ns, uint64_t seed)
{
	memset(&model, 0, sizeof(model));
	memset(timers, 0, sizeof(timers));
	model.origin_ns = model.now_ns = ORIGIN;
	model.tick_ns = tick_ns;
	model.random = seed * 0x9e3779b97f4a7c15ull | 1;
	for (free_count = 0; free_count < MODEL_TIMERS; free_count++)
		free_timers[free_count] = free_count;
	ck_assert_int_eq(weir__wheel_init(&wheel, ORIGIN, tick_ns), 0);
}

START_TEST(random_against_the_model)
{
	const char *seed = getenv("WEIR_SEED");

	model_start(tick_sizes[_i], seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)_i + 1);
	for (unsigned op = 0; op < MODEL_OPS; op++) {
		unsigned kind = (unsigned)(draw() % 16);

		if (kind < 7)
			random_insert();
		else if (kind < 9)
			random_remove();
		else if (kind < 11)
			random_extend();
		else
			random_advance();
		expect_next();
		if (op % 64 == 0)
			check_links(&wheel);
	}
}
END_TEST

#define CASE(name, ...) \
	TESTING(name, .setup = setup, .teardown = teardown, __VA_ARGS__)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(init_checks_the_tick),
		CASE(timer_is_three_words),
		CASE(empty_wheel_has_nothing_to_do),
		CASE(level_and_slot_from_zero),
		CASE(level_and_slot_from_the_middle),
		CASE(remove_first_middle_last),
		CASE(removed_does_not_expire),
		CASE(remove_of_an_unlinked_timer),
		CASE(insert_again_after_expiry),
		CASE(expires_at_the_exact_millisecond),
		CASE(part_of_a_tick_is_rounded_up),
		CASE(rounding_is_exact_for_every_tick_size, .rounds = LENGTH(tick_sizes)),
		CASE(overdue_comes_with_the_next_advance),
		CASE(overdue_before_the_first_advance),
		CASE(time_never_goes_back),
		CASE(level_0_wraps),
		CASE(level_borders),
		CASE(moves_down_at_most_once_per_level),
		CASE(beyond_the_span),
		CASE(top_level_turns),
		CASE(forever_never_expires),
		CASE(last_deadline_that_expires),
		CASE(huge_jump_takes_everything_in_order),
		CASE(huge_jump_keeps_what_is_later),
		CASE(ticks_of_one_slot_come_in_order),
		CASE(many_equal_deadlines),
		CASE(extension_files_again),
		CASE(extension_by_less_than_a_tick),
		CASE(extension_keeps_the_neighbours),
		CASE(extension_over_and_over),
		CASE(random_against_the_model, .rounds = LENGTH(tick_sizes)),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
