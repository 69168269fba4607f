/* SPDX-License-Identifier: MIT */
/* sync_oneshot.c: the oneshot channel, polled by hand, then between threads. */
#include <string.h>

#include "tests/unit/sync_waker.h"
#include "weir/sync/oneshot.h"

#define RECV(hand, r) hand_poll((hand), &(r)->future)

static struct weir_oneshot *ch;
static struct weir_oneshot_recv_future r;
static struct hand h;
static uint64_t value, got;

static void setup(void)
{
	ck_assert_int_eq(weir_oneshot_new(sizeof value, &ch), 0);
	weir_oneshot_recv_init(&r, ch, &got);
	value = 42;
}

static void teardown(void)
{
	ck_assert_int_eq(h.refs, 0);
}

START_TEST(sent_before_it_is_received)
{
	ck_assert_int_eq(weir_oneshot_send(ch, &value), 0);
	ck_assert_int_eq(RECV(&h, &r), 0);
	ck_assert_uint_eq(got, 42);
}
END_TEST

START_TEST(received_before_it_is_sent)
{
	ck_assert_int_eq(weir_oneshot_recv_try(ch, &got), -EAGAIN);
	ck_assert_int_eq(RECV(&h, &r), WEIR_PENDING);
	ck_assert_int_eq(RECV(&h, &r), WEIR_PENDING);
	ck_assert(!weir_oneshot_is_closed(ch));
	ck_assert_int_eq(weir_oneshot_send(ch, &value), 0);
	ck_assert_int_eq(h.wakes, 1);
	ck_assert_int_eq(RECV(&h, &r), 0);
	ck_assert_uint_eq(got, 42);
}
END_TEST

START_TEST(a_dropped_sender_is_told)
{
	ck_assert_int_eq(RECV(&h, &r), WEIR_PENDING);
	weir_oneshot_drop(ch);
	ck_assert_int_eq(h.wakes, 1);
	ck_assert_int_eq(RECV(&h, &r), -EPIPE);
	ck_assert_int_eq(weir_oneshot_new(0, &ch), 0);
	weir_oneshot_drop(ch);
	ck_assert_int_eq(weir_oneshot_recv_try(ch, NULL), -EPIPE);
}
END_TEST

START_TEST(a_send_to_a_closed_receiver_is_refused)
{
	ck_assert_int_eq(weir_oneshot_close(ch, &got), -EPIPE);
	ck_assert(weir_oneshot_is_closed(ch));
	ck_assert_int_eq(weir_oneshot_send(ch, &value), -EPIPE);
}
END_TEST

START_TEST(a_value_that_won_against_close_is_received)
{
	ck_assert_int_eq(weir_oneshot_send(ch, &value), 0);
	ck_assert_int_eq(weir_oneshot_close(ch, &got), 0);
	ck_assert_uint_eq(got, 42);
}
END_TEST

START_TEST(a_cancelled_receive_leaves_the_receiver_open)
{
	ck_assert_int_eq(RECV(&h, &r), WEIR_PENDING);
	ck_assert_int_eq(hand_cancel(&h, &r.future), -ECANCELED);
	ck_assert_int_eq(h.refs, 0);
	weir_oneshot_recv_init(&r, ch, &got);
	ck_assert_int_eq(hand_cancel(&h, &r.future), -ECANCELED);
	ck_assert_int_eq(weir_oneshot_send(ch, &value), 0);
	ck_assert_int_eq(h.wakes, 0);
	weir_oneshot_recv_init(&r, ch, &got);
	ck_assert_int_eq(RECV(&h, &r), 0);
	ck_assert_uint_eq(got, 42);
}
END_TEST

START_TEST(a_value_that_won_against_cancel_is_reported)
{
	ck_assert_int_eq(RECV(&h, &r), WEIR_PENDING);
	ck_assert_int_eq(weir_oneshot_send(ch, &value), 0);
	ck_assert_int_eq(hand_cancel(&h, &r.future), 0);
	ck_assert_uint_eq(got, 42);
}
END_TEST

START_TEST(in_callers_memory_the_value_goes_where_it_is_wanted)
{
	struct weir_oneshot here;
	char place[13], sent[13] = "twelve bytes";

	weir_oneshot_drop(ch);		/* this test does not use it */
	ck_assert_int_eq(weir_oneshot_close(ch, NULL), -EPIPE);
	weir_oneshot_init(&here, place, sizeof place);
	ck_assert_int_eq(weir_oneshot_send(&here, sent), 0);
	ck_assert_str_eq(place, sent);
	ck_assert_int_eq(weir_oneshot_recv(&here, NULL), -EPERM);
	memset(sent, 0, sizeof sent);
	ck_assert_int_eq(weir_oneshot_recv_try(&here, sent), 0);
	ck_assert_str_eq(sent, "twelve bytes");
}
END_TEST

static int refs;

/* The sender takes the second reference just before its wake. Then the receiver is polled. */
static void poll_at_second_ref(void *data)
{
	if (++refs == 2)
		ck_assert_int_eq(hand_poll(data, &r.future), WEIR_PENDING);
}

START_TEST(a_receive_waits_until_the_sender_has_its_waker)
{
	static const struct weir_waker_ops ops = { poll_at_second_ref, hand_wake, hand_unref };
	struct weir_cx cx = { { &ops, &h }, NULL, NULL };

	ck_assert_int_eq(weir_poll(&r.future, &cx), WEIR_PENDING);
	ck_assert_int_eq(weir_oneshot_send(ch, &value), 0);
	ck_assert_int_eq(refs, 2);
	ck_assert_int_eq(h.wakes, 1);
	ck_assert_int_eq(weir_poll(&r.future, &cx), 0);
	ck_assert_uint_eq(got, 42);
	h.refs += refs;		/* counted apart */
}
END_TEST

static void *send_or_drop(void *arg)
{
	struct weir_oneshot *mine = *(struct weir_oneshot **)arg;
	uint64_t v = (uint64_t)(uintptr_t)mine;
	int rc;

	if (v >> 4 & 1) {
		weir_oneshot_drop(mine);
		return NULL;
	}
	rc = weir_oneshot_send(mine, &v);
	ck_assert(rc == 0 || rc == -EPIPE);
	return NULL;
}

/*
 * Every way to end the receiver against every way to end the sender. The last one frees the
 * channel.
 */
START_TEST(the_ends_race)
{
	pthread_t sender;
	uint64_t v;
	int i, rc;

	weir_oneshot_drop(ch);
	ck_assert_int_eq(weir_oneshot_recv_try(ch, NULL), -EPIPE);
	for (i = 0; i < 2000; i++) {
		ck_assert_int_eq(weir_oneshot_new(sizeof v, &ch), 0);
		ck_assert_int_eq(pthread_create(&sender, NULL, send_or_drop, &ch), 0);
		weir_oneshot_recv_init(&r, ch, &v);
		rc = weir_block_on(&r.future, i % 3 ? WEIR_FOREVER : 0);
		if (rc == -ETIMEDOUT || rc == -ECANCELED)
			rc = weir_oneshot_close(ch, &v);
		ck_assert(rc == 0 || rc == -EPIPE);
		if (rc == 0)
			ck_assert_uint_eq(v, (uint64_t)(uintptr_t)ch);
		pthread_join(sender, NULL);
	}
}
END_TEST

static void *send_here(void *arg)
{
	uint64_t v = 7;

	ck_assert_int_eq(weir_oneshot_send(*(struct weir_oneshot **)arg, &v), 0);
	return NULL;
}

/* The channel's memory is gone as soon as recv has returned: send must not touch it after that. */
START_TEST(callers_memory_may_go_when_recv_has_answered)
{
	struct weir_oneshot *here;
	pthread_t sender;
	int i;

	weir_oneshot_drop(ch);
	ck_assert_int_eq(weir_oneshot_recv_try(ch, NULL), -EPIPE);
	for (i = 0; i < 1000; i++) {
		here = malloc(sizeof *here);
		weir_oneshot_init(here, &got, sizeof got);
		got = 0;
		ck_assert_int_eq(pthread_create(&sender, NULL, send_here, &here), 0);
		weir_oneshot_recv_init(&r, here, NULL);
		ck_assert_int_eq(weir_block_on(&r.future, WEIR_FOREVER), 0);
		free(here);
		ck_assert_uint_eq(got, 7);
		pthread_join(sender, NULL);
	}
}
END_TEST

#define HERE .setup = setup, .teardown = teardown

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(sent_before_it_is_received, HERE),
		TESTING(received_before_it_is_sent, HERE),
		TESTING(a_dropped_sender_is_told, HERE),
		TESTING(a_send_to_a_closed_receiver_is_refused, HERE),
		TESTING(a_value_that_won_against_close_is_received, HERE),
		TESTING(a_cancelled_receive_leaves_the_receiver_open, HERE),
		TESTING(a_value_that_won_against_cancel_is_reported, HERE),
		TESTING(in_callers_memory_the_value_goes_where_it_is_wanted, HERE),
		TESTING(a_receive_waits_until_the_sender_has_its_waker, HERE),
		TESTING(the_ends_race, HERE),
		TESTING(callers_memory_may_go_when_recv_has_answered, HERE),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
