/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_wake.c: io_uring: waking a ring, from threads and signal handlers, and waiting until a deadline.
 */
#include <poll.h>
#include <signal.h>

#include "tests/unit/backends_iouring_rig.h"

/* ---- wake --------------------------------------------------------------------------------- */

START_TEST(wake_before_and_during)
{
	begin((unsigned)_i);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	be0->ops->wake(be0);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	settle(be0);
	ck_assert_int_eq(turn_of(be0, in_ms(5)), 0);
	end();
}
END_TEST

static unsigned wakes_wanted, wakes_seen;

static void *wake_often(void *arg)
{
	for (unsigned i = 1; i <= wakes_wanted; i++) {
		be0->ops->wake(be0);
		while (weir__load(&wakes_seen, WEIR_ACQUIRE) < i)
			sched_yield();
	}
	return arg;
}

/* Wakes alone, and together with receives that complete in the same poll. */
START_TEST(every_wake_arrives)
{
	struct weir_handle h;
	struct weir_op op;
	pthread_t thread;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	peer = unix_pair(&h);
	submit(recv_op(&op, &h, buf, 1));
	wakes_wanted = 2000;
	pthread_create(&thread, NULL, wake_often, NULL);
	for (unsigned i = 1; i <= wakes_wanted; i++) {
		if (i % 3 == 0)
			put(peer, "x");
		turn_of(be0, WEIR_FOREVER);
		weir__store(&wakes_seen, i, WEIR_RELEASE);
		while (i % 3 == 0 && !is_done(&op))
			turn_of(be0, WEIR_FOREVER);
		if (is_done(&op))
			submit(recv_op(&op, &h, buf, 1));
	}
	pthread_join(thread, NULL);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* A try processes completions and may find a wake among them: the next poll must return for it. */
START_TEST(try_leaves_the_wake)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	arm(&h, peer);
	settle(be0);
	for (unsigned i = 0; i < 100; i++) {
		be0->ops->wake(be0);
		submit(with(recv_op(&op, &h, buf, 4), WEIR_OP_TRY));
		ck_assert_int_eq(op.res, -EAGAIN);
		ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

static void wake_in_handler(int sig)
{
	(void)sig;
	be0->ops->wake(be0);
}

START_TEST(wake_from_a_signal_handler)
{
	begin((unsigned)_i);
	signal(SIGUSR1, wake_in_handler);
	for (unsigned i = 0; i < 10; i++) {
		raise(SIGUSR1);
		ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	}
	signal(SIGUSR1, SIG_DFL);
	end();
}
END_TEST

START_TEST(waits_until_the_deadline)
{
	uint64_t deadline;

	begin((unsigned)_i);
	for (unsigned ms = 1; ms < 30; ms += 9) {
		deadline = in_ms(ms);
		while (weir_backend_now(be0) < deadline)
			ck_assert_int_eq(turn_of(be0, deadline), 0);
	}
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EVERY(wake_before_and_during),
		EVERY(every_wake_arrives),
		BOTH(try_leaves_the_wake),
		EVERY(wake_from_a_signal_handler),
		EVERY(waits_until_the_deadline),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
