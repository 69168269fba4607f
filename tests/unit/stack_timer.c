/* SPDX-License-Identifier: MIT */
/*
 * stack_timer.c: the timer wheel, at its boundaries and then against a plain array. Times are
 * simulated; the random test has a fixed seed, so each run is the same.
 */
#include <stdlib.h>

#include "stack/timer.h"
#include "tests/support/testing.h"

#define MS WEIR_NETSTACK_MSEC
#define BEGIN (123456789 * MS + 123456)
#define MANY 200

struct probe {
	struct weir__netstack_timer timer;
	uint64_t now_ns;		/* time of the last firing */
	unsigned fired;
};

static struct weir__timers timers;
static struct probe probes[MANY];
static uint64_t now_ns;
static unsigned total;

static void note(struct weir__netstack *net, struct weir__netstack_timer *timer)
{
	struct probe *probe = WEIR_STACK_CONTAINER(timer, struct probe, timer);

	ck_assert_ptr_null(net);
	ck_assert(!weir__timer_is_set(timer));
	probe->now_ns = now_ns;
	probe->fired++;
	total++;
}

static void setup(void)
{
	now_ns = BEGIN;
	weir__timers_init(&timers, now_ns);
	for (unsigned i = 0; i < MANY; i++)
		probes[i].timer.fire = note;
}

/* Checks that each occupied slot has its bit, and that the back links are right. */
static void teardown(void)
{
	for (unsigned level = 0; level < WEIR__TIMERS_LEVELS; level++)
		for (unsigned slot = 0; slot < WEIR__TIMERS_SLOTS; slot++) {
			struct weir__netstack_timer *const *at = &timers.slot[level][slot];

			ck_assert_int_eq(timers.occupied[level] >> slot & 1, *at != NULL);
			for (; *at != NULL; at = &(*at)->next)
				ck_assert_ptr_eq((*at)->pprev, at);
		}
}

static void go(uint64_t to_ns)
{
	now_ns = to_ns;
	weir__timers_advance(&timers, NULL, now_ns);
}

START_TEST(fires_at_its_tick_and_not_before)
{
	static const uint64_t delays[] = { 1,	      MS - 1,	    MS,		 63 * MS,
					   64 * MS,   65 * MS,	    4095 * MS,	 4096 * MS,
					   4097 * MS, 200 * MS + 1, 7200000 * MS };

	for (unsigned i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		uint64_t deadline = now_ns + delays[i];
		uint64_t tick = (deadline + MS - 1) / MS * MS;

		probes[i].fired = 0;
		weir__timers_set(&timers, &probes[i].timer, deadline);
		go(tick - 1);
		ck_assert_uint_eq(probes[i].fired, 0);
		ck_assert_uint_eq(weir__timers_next(&timers), tick);
		go(tick);
		ck_assert_uint_eq(probes[i].fired, 1);
		ck_assert_uint_eq(weir__timers_next(&timers), WEIR_NETSTACK_NEVER);
	}
}
END_TEST

START_TEST(the_past_comes_with_the_next_tick)
{
	weir__timers_set(&timers, &probes[0].timer, 0);
	ck_assert_uint_le(weir__timers_next(&timers), now_ns + MS);
	go(weir__timers_next(&timers));
	ck_assert_uint_eq(probes[0].fired, 1);
}
END_TEST

START_TEST(a_timer_put_off_waits_longer)
{
	weir__timers_set(&timers, &probes[0].timer, BEGIN + 10 * MS);
	weir__timers_set(&timers, &probes[0].timer, BEGIN + 300 * MS);
	go(BEGIN + 299 * MS);
	ck_assert_uint_eq(probes[0].fired, 0);
	go(BEGIN + 301 * MS);
	ck_assert_uint_eq(probes[0].fired, 1);
}
END_TEST

START_TEST(a_timer_brought_forward_comes_sooner)
{
	weir__timers_set(&timers, &probes[0].timer, BEGIN + 10000 * MS);
	weir__timers_set(&timers, &probes[0].timer, BEGIN + 20000 * MS);
	weir__timers_set(&timers, &probes[0].timer, BEGIN + 15 * MS);
	go(BEGIN + 16 * MS);
	ck_assert_uint_eq(probes[0].fired, 1);
}
END_TEST

START_TEST(a_stopped_timer_does_not_fire)
{
	for (unsigned i = 0; i < 3; i++)
		weir__timers_set(&timers, &probes[i].timer, BEGIN + 10 * MS);
	weir__timers_stop(&timers, &probes[1].timer);
	weir__timers_stop(&timers, &probes[1].timer);
	go(BEGIN + 20 * MS);
	ck_assert_uint_eq(probes[0].fired + probes[2].fired, 2);
	ck_assert_uint_eq(probes[1].fired, 0);
}
END_TEST

static void stop_all_and_again(struct weir__netstack *net, struct weir__netstack_timer *timer)
{
	note(net, timer);
	for (unsigned i = 0; i < 10; i++)
		weir__timers_stop(&timers, &probes[i].timer);
	weir__timers_set(&timers, timer, now_ns - 5 * MS);
}

START_TEST(what_fires_may_stop_the_others_and_set_itself)
{
	for (unsigned i = 0; i < 10; i++) {
		probes[i].timer.fire = stop_all_and_again;
		weir__timers_set(&timers, &probes[i].timer, BEGIN + 10 * MS);
	}
	go(BEGIN + 50 * MS);
	ck_assert_uint_eq(total, 1);	/* and the turn ended */
	go(BEGIN + 51 * MS);
	ck_assert_uint_eq(total, 2);
}
END_TEST

START_TEST(timers_fire_in_the_order_of_their_times)
{
	for (unsigned i = 0; i < MANY; i++)
		weir__timers_set(&timers, &probes[i].timer, BEGIN + (uint64_t)i * i * i * MS);
	while (weir__timers_next(&timers) != WEIR_NETSTACK_NEVER)
		go(weir__timers_next(&timers));
	for (unsigned i = 1; i < MANY; i++)
		ck_assert(probes[i - 1].now_ns <= probes[i].now_ns);
	ck_assert_uint_eq(total, MANY);
}
END_TEST

START_TEST(time_that_goes_back_does_nothing)
{
	weir__timers_set(&timers, &probes[0].timer, BEGIN + MS);
	go(BEGIN - 1000 * MS);
	ck_assert_uint_eq(probes[0].fired, 0);
	go(BEGIN + 2 * MS);
	ck_assert_uint_eq(probes[0].fired, 1);
}
END_TEST

/* Each timer fires within a tick of its deadline, whatever was set, delayed and stopped before. */
START_TEST(against_an_array)
{
	uint64_t deadline[MANY] = { 0 };

	srand((unsigned)_i + 1);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % MANY;
		uint64_t away = (uint64_t)rand() % MS << rand() % 34;

		if (rand() % 4 == 0) {
			weir__timers_stop(&timers, &probes[i].timer);
			deadline[i] = 0;
		} else {
			deadline[i] = now_ns + 1 + away;
			weir__timers_set(&timers, &probes[i].timer, deadline[i]);
		}
		if (rand() % 3 != 0)
			continue;
		go(now_ns + ((uint64_t)rand() % MS << rand() % 24));
		for (i = 0; i < MANY; i++) {
			bool due = deadline[i] != 0 && (deadline[i] + MS - 1) / MS <= now_ns / MS;

			bool right = probes[i].fired == due &&
				     weir__timer_is_set(&probes[i].timer) ==
					     (deadline[i] != 0 && !due) &&
				     (due || deadline[i] == 0 ||
				      weir__timers_next(&timers) < deadline[i] + MS);

			/* No assertion for each timer: an assertion makes a system call. */
			if (!right)
				ck_abort_msg("timer %u, step %u: fired %u times, due %d", i, step,
					     probes[i].fired, due);
			probes[i].fired = 0;
			if (due)
				deadline[i] = 0;
		}
	}
}
END_TEST

int main(int argc, char **argv)
{
#define CASE(name, ...) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		CASE(fires_at_its_tick_and_not_before),
		CASE(the_past_comes_with_the_next_tick),
		CASE(a_timer_put_off_waits_longer),
		CASE(a_timer_brought_forward_comes_sooner),
		CASE(a_stopped_timer_does_not_fire),
		CASE(what_fires_may_stop_the_others_and_set_itself),
		CASE(timers_fire_in_the_order_of_their_times),
		CASE(time_that_goes_back_does_nothing),
		TESTING(against_an_array, .setup = setup, .teardown = teardown, .rounds = 10),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
