/* SPDX-License-Identifier: MIT */
/* sync_mpsc.c: the bounded channel, polled by hand, between threads, and on fibers. */
#include "tests/unit/runtimes.h"
#include "tests/unit/sync_waker.h"
#include "weir/sync/mpsc.h"

static struct weir_mpsc *ch;
static struct weir_mpsc_send_future s[6];
static struct weir_mpsc_recv_future r;
static struct hand hs[6], hr;
static uint64_t in[64], out[64];

static void make(size_t capacity)
{
	int i;

	ck_assert_int_eq(weir_mpsc_new(capacity, sizeof in[0], &ch), 0);
	for (i = 0; i < 64; i++)
		in[i] = 100 + (uint64_t)i;
}

static void give_up_both(void)
{
	int i;

	weir_mpsc_unref(ch);
	weir_mpsc_free(ch);
	for (i = 0; i < 6; i++)
		ck_assert_int_eq(hs[i].refs, 0);
	ck_assert_int_eq(hr.refs, 0);
}

static int poll_send(int i)
{
	weir_mpsc_send_init(&s[i], ch, &in[i]);
	return POLL(&hs[i], &s[i]);
}

static int poll_recv(size_t max)
{
	weir_mpsc_recv_init(&r, ch, max, out);
	return POLL(&hr, &r);
}

START_TEST(messages_come_out_in_order_over_many_laps)
{
	int i, k;

	make(3);
	for (i = 0; i + 3 <= 64; i += 2) {
		ck_assert_int_eq(weir_mpsc_send_try(ch, &in[i]), 0);
		ck_assert_int_eq(poll_send(0), 0);
		if (i % 3 == 0)
			ck_assert_int_eq(weir_mpsc_send_try(ch, &in[i + 2]), 0);
		ck_assert_uint_eq(weir_mpsc_len(ch), i % 3 == 0 ? 3 : 2);
		ck_assert_int_eq(poll_recv(1), 1);
		ck_assert_uint_eq(out[0], in[i]);
		for (k = i % 3 == 0 ? 2 : 1; k > 0; k--)
			ck_assert_int_eq(weir_mpsc_recv_try(ch, &out[k]), 1);
		ck_assert_uint_eq(out[i % 3 == 0 ? 2 : 1], in[0]);
		if (i % 3 == 0)
			ck_assert_uint_eq(out[1], in[i + 2]);
	}
	ck_assert_int_eq(weir_mpsc_recv_try(ch, out), -EAGAIN);
	give_up_both();
}
END_TEST

START_TEST(the_ring_wraps_when_it_never_empties)
{
	uint64_t v, next = 0, expect = 0;

	make(3);
	for (next = 0; next < 2; next++)
		ck_assert_int_eq(weir_mpsc_send_try(ch, &next), 0);
	for (; next < 50; next++) {
		ck_assert_int_eq(weir_mpsc_send_try(ch, &next), 0);
		ck_assert_int_eq(weir_mpsc_recv_try(ch, &v), 1);
		ck_assert_uint_eq(v, expect++);
	}
	give_up_both();
}
END_TEST

START_TEST(senders_to_a_full_channel_wait_in_order)
{
	int i;

	make(2);
	ck_assert_uint_eq(weir_mpsc_capacity(ch), 2);
	ck_assert_int_eq(poll_send(0), 0);
	ck_assert_int_eq(poll_send(1), 0);
	ck_assert_int_eq(weir_mpsc_send_try(ch, &in[9]), -EAGAIN);
	for (i = 2; i < 5; i++)
		ck_assert_int_eq(poll_send(i), WEIR_PENDING);
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(weir_mpsc_recv_try(ch, out), 1);
		ck_assert_uint_eq(out[0], in[i]);
		ck_assert_uint_eq(weir_mpsc_len(ch), i < 3 ? 2 : 4 - i);
		if (i < 3) {
			/*
			 * The room that was made belongs to a waiting sender: nobody overtakes it.
			 */
			ck_assert_int_eq(weir_mpsc_send_try(ch, &in[9]), -EAGAIN);
			ck_assert_int_eq(hs[2 + i].wakes, 1);
			ck_assert_int_eq(POLL(&hs[2 + i], &s[2 + i]), 0);
		}
	}
	give_up_both();
}
END_TEST

START_TEST(recv_many_takes_all_messages_and_admits_waiting_senders)
{
	int i;

	make(3);
	for (i = 0; i < 6; i++)
		ck_assert_int_eq(poll_send(i), i < 3 ? 0 : WEIR_PENDING);
	ck_assert_int_eq(poll_recv(64), 3);
	ck_assert_uint_eq(out[2], in[2]);
	ck_assert_uint_eq(weir_mpsc_len(ch), 3);
	for (i = 3; i < 6; i++)
		ck_assert_int_eq(POLL(&hs[i], &s[i]), 0);
	ck_assert_int_eq(poll_recv(2), 2);
	ck_assert_uint_eq(out[0], in[3]);
	ck_assert_int_eq(poll_recv(2), 1);
	ck_assert_uint_eq(out[0], in[5]);
	ck_assert_int_eq(poll_recv(0), -EINVAL);
	ck_assert_int_eq(weir_mpsc_recv_many(ch, 0, out), -EINVAL);
	ck_assert_int_eq(poll_recv(8), WEIR_PENDING);
	ck_assert_int_eq(poll_send(0), 0);
	ck_assert_int_eq(poll_send(1), 0);
	ck_assert_int_eq(hr.wakes, 1);
	ck_assert_int_eq(POLL(&hr, &r), 2);
	give_up_both();
}
END_TEST

START_TEST(a_waiting_receive_is_woken_once)
{
	struct weir_mpsc_recv_future second;
	struct hand h2 = { 0, 0 };

	make(4);
	ck_assert_int_eq(poll_recv(1), WEIR_PENDING);
	weir_mpsc_recv_init(&second, ch, 1, out);
	ck_assert_int_eq(POLL(&h2, &second), -EBUSY);
	ck_assert_int_eq(h2.refs, 0);
	ck_assert_int_eq(poll_send(0), 0);
	ck_assert_int_eq(poll_send(1), 0);
	ck_assert_int_eq(hr.wakes, 1);
	ck_assert_int_eq(POLL(&hr, &r), 1);
	ck_assert_uint_eq(out[0], in[0]);
	/* It was woken, but the message is gone meanwhile, so it waits again. */
	ck_assert_int_eq(weir_mpsc_recv_try(ch, out), 1);
	ck_assert_int_eq(poll_recv(1), WEIR_PENDING);
	ck_assert_int_eq(poll_send(2), 0);
	ck_assert_int_eq(weir_mpsc_recv_try(ch, out), 1);
	ck_assert_int_eq(POLL(&hr, &r), WEIR_PENDING);
	ck_assert_int_eq(poll_send(3), 0);
	ck_assert_int_eq(weir_mpsc_recv_try(ch, out), 1);
	ck_assert_int_eq(CANCEL(&hr, &r), -ECANCELED);
	give_up_both();
}
END_TEST

START_TEST(cancelling_loses_no_message_and_no_place)
{
	make(1);
	ck_assert_int_eq(poll_send(0), 0);
	ck_assert_int_eq(poll_send(1), WEIR_PENDING);
	ck_assert_int_eq(poll_send(2), WEIR_PENDING);
	ck_assert_int_eq(poll_send(3), WEIR_PENDING);
	ck_assert_int_eq(CANCEL(&hs[1], &s[1]), -ECANCELED);
	ck_assert_int_eq(weir_mpsc_recv_try(ch, out), 1);
	ck_assert_uint_eq(out[0], in[0]);
	/* Its message was accepted before the cancel, so the send succeeds. */
	ck_assert_int_eq(CANCEL(&hs[2], &s[2]), 0);
	ck_assert_int_eq(CANCEL(&hs[3], &s[3]), -ECANCELED);
	ck_assert_int_eq(poll_recv(1), 1);
	ck_assert_uint_eq(out[0], in[2]);
	ck_assert_int_eq(poll_recv(1), WEIR_PENDING);
	ck_assert_int_eq(CANCEL(&hr, &r), -ECANCELED);
	ck_assert_int_eq(poll_send(4), 0);
	ck_assert_int_eq(hr.wakes, 0);
	ck_assert_int_eq(poll_recv(1), 1);
	ck_assert_uint_eq(out[0], in[4]);
	/*
	 * Woken before the cancel: the message stays in the queue, because the result may be
	 * ignored.
	 */
	ck_assert_int_eq(poll_recv(1), WEIR_PENDING);
	ck_assert_int_eq(poll_send(5), 0);
	ck_assert_int_eq(CANCEL(&hr, &r), -ECANCELED);
	ck_assert_int_eq(weir_mpsc_recv_try(ch, out), 1);
	ck_assert_uint_eq(out[0], in[5]);
	give_up_both();
}
END_TEST

static int refs;

/* The sender takes the second reference just before its wake. Then the receive is cancelled. */
static void cancel_at_second_ref(void *data)
{
	if (++refs == 2)
		ck_assert_int_eq(hand_cancel(data, &r.future), WEIR_PENDING);
}

START_TEST(a_receive_that_is_cancelled_on_its_way_to_be_woken_takes_nothing)
{
	static const struct weir_waker_ops ops = { cancel_at_second_ref, hand_wake, hand_unref };
	struct weir_cx cx = { { &ops, &hr }, NULL, NULL };

	make(1);
	weir_mpsc_recv_init(&r, ch, 1, out);
	ck_assert_int_eq(weir_poll(&r.future, &cx), WEIR_PENDING);
	ck_assert_int_eq(poll_send(0), 0);
	ck_assert_int_eq(refs, 2);
	ck_assert_int_eq(weir_poll(&r.future, &cx), -ECANCELED);
	ck_assert_int_eq(weir_mpsc_recv_try(ch, out), 1);
	ck_assert_uint_eq(out[0], in[0]);
	hr.refs += refs;		/* counted apart */
	give_up_both();
}
END_TEST

START_TEST(the_last_sender_ends_it_after_what_is_in)
{
	int i;

	make(32);
	weir_mpsc_ref(ch);
	for (i = 0; i < 32; i++)
		ck_assert_int_eq(weir_mpsc_send_try(ch, &in[i]), 0);
	weir_mpsc_unref(ch);
	ck_assert(!weir_mpsc_is_closed(ch));
	weir_mpsc_unref(ch);
	ck_assert(weir_mpsc_is_closed(ch));
	ck_assert_uint_eq(weir_mpsc_len(ch), 32);
	ck_assert_int_eq(poll_recv(64), 32);
	ck_assert_int_eq(poll_recv(64), 0);
	ck_assert_int_eq(poll_recv(64), 0);
	ck_assert_int_eq(weir_mpsc_recv_try(ch, out), 0);
	weir_mpsc_free(ch);
}
END_TEST

START_TEST(the_last_sender_wakes_the_receiver)
{
	make(1);
	ck_assert_int_eq(poll_recv(1), WEIR_PENDING);
	weir_mpsc_unref(ch);
	ck_assert_int_eq(hr.wakes, 1);
	ck_assert_int_eq(POLL(&hr, &r), 0);
	weir_mpsc_free(ch);
}
END_TEST

START_TEST(close_turns_senders_away_and_keeps_what_is_in)
{
	make(1);
	ck_assert_int_eq(poll_send(0), 0);
	ck_assert_int_eq(poll_send(1), WEIR_PENDING);
	ck_assert_int_eq(poll_send(2), WEIR_PENDING);
	weir_mpsc_close(ch);
	ck_assert_int_eq(hs[1].wakes, 1);
	ck_assert_int_eq(POLL(&hs[1], &s[1]), -EPIPE);
	ck_assert_int_eq(CANCEL(&hs[2], &s[2]), -EPIPE);
	ck_assert_int_eq(poll_send(3), -EPIPE);
	ck_assert_int_eq(weir_mpsc_send_try(ch, &in[0]), -EPIPE);
	ck_assert_int_eq(poll_recv(1), 1);
	ck_assert_uint_eq(out[0], in[0]);
	ck_assert_int_eq(poll_recv(1), 0);
	give_up_both();
}
END_TEST

START_TEST(a_receiver_that_is_gone_turns_senders_away)
{
	make(1);
	ck_assert_int_eq(poll_send(0), 0);
	ck_assert_int_eq(poll_send(1), WEIR_PENDING);
	weir_mpsc_free(ch);
	ck_assert_int_eq(POLL(&hs[1], &s[1]), -EPIPE);
	ck_assert_int_eq(weir_mpsc_send_try(ch, &in[0]), -EPIPE);
	ck_assert(weir_mpsc_is_closed(ch));
	weir_mpsc_unref(ch);
}
END_TEST

START_TEST(odd_sizes_are_fine_and_impossible_ones_refused)
{
	char small[3] = "ab", back[3] = "";

	ck_assert_int_eq(weir_mpsc_new(0, 8, &ch), -EINVAL);
	ck_assert_int_eq(weir_mpsc_new(SIZE_MAX / 4, 8, &ch), -ENOMEM);
	ck_assert_int_eq(weir_mpsc_new(2, 0, &ch), 0);
	ck_assert_int_eq(weir_mpsc_send_try(ch, NULL), 0);
	ck_assert_int_eq(weir_mpsc_recv_try(ch, NULL), 1);
	ck_assert_int_eq(weir_mpsc_send(ch, NULL), -EPERM);
	give_up_both();
	ck_assert_int_eq(weir_mpsc_new(2, 3, &ch), 0);
	ck_assert_int_eq(weir_mpsc_send_try(ch, small), 0);
	ck_assert_int_eq(weir_mpsc_recv_try(ch, back), 1);
	ck_assert_str_eq(back, "ab");
	give_up_both();
}
END_TEST

enum {
	SENDERS = 4,
	EACH = 3000
};

static uint64_t refused;		/* atomic */

/* A message holds its sender and its number. One in eight may be cancelled. */
static void *send_a_lot(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	uint64_t who = seed, i, message;
	struct weir_mpsc_send_future wait;
	int rc;

	for (i = 0; i < EACH; i++) {
		message = who << 32 | i;
		do {
			weir_mpsc_send_init(&wait, ch, &message);
			rc = weir_block_on(&wait.future,
					   next_random(&seed) % 8 == 0 ? 0 : WEIR_FOREVER);
		} while (rc == -ETIMEDOUT || rc == -ECANCELED);
		if (rc == -EPIPE) {
			__atomic_add_fetch(&refused, EACH - i, __ATOMIC_RELAXED);
			break;
		}
		ck_assert_int_eq(rc, 0);
	}
	weir_mpsc_unref(ch);
	return NULL;
}

/* Receives until the end; or closes once `stop` messages have come. */
static void *receive_all(void *arg)
{
	uint64_t next[SENDERS + 1] = { 0 }, total = 0, batch[7], who;
	size_t stop = *(size_t *)arg;
	unsigned seed = 99;
	int rc, i;

	for (;;) {
		struct weir_mpsc_recv_future wait;

		weir_mpsc_recv_init(&wait, ch, 1 + next_random(&seed) % 7, batch);
		rc = weir_block_on(&wait.future,
				   next_random(&seed) % 8 == 0 ? 0 : WEIR_FOREVER);
		if (rc == -ETIMEDOUT || rc == -ECANCELED)
			continue;
		ck_assert_int_ge(rc, 0);
		for (i = 0; i < rc; i++) {
			who = batch[i] >> 32;
			ck_assert_uint_eq(batch[i] & UINT32_MAX, next[who]);
			next[who]++;
		}
		total += (uint64_t)rc;
		if (rc == 0)
			break;
		if (stop && total >= stop)
			weir_mpsc_close(ch);
	}
	*(size_t *)arg = total;
	weir_mpsc_free(ch);
	return NULL;
}

static size_t send_and_receive(size_t capacity, size_t stop)
{
	unsigned seeds[SENDERS] = { 1, 2, 3, 4 };
	pthread_t receiver;
	int i;

	make(capacity);
	for (i = 1; i < SENDERS; i++)
		weir_mpsc_ref(ch);
	ck_assert_int_eq(pthread_create(&receiver, NULL, receive_all, &stop), 0);
	run_threads(SENDERS, send_a_lot, seeds, sizeof seeds[0]);
	pthread_join(receiver, NULL);
	return stop;
}

START_TEST(threads_lose_nothing_and_keep_the_order)
{
	static const size_t capacity[] = { 1, 2, 7, 64 };

	ck_assert_uint_eq(send_and_receive(capacity[_i], 0), SENDERS * EACH);
	ck_assert_uint_eq(refused, 0);
}
END_TEST

START_TEST(threads_see_a_close_and_every_message_has_one_fate)
{
	static const size_t capacity[] = { 1, 2, 7, 64 };
	size_t got = send_and_receive(capacity[_i], 500);

	ck_assert_uint_ge(got, 500);
	ck_assert_uint_eq(got + refused, SENDERS * EACH);
}
END_TEST

/* ---- on fibers ---- */

static int send_three(void *arg)
{
	struct weir_mpsc *to = arg;
	int i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(weir_mpsc_send(to, &in[i]), 0);
	weir_mpsc_unref(to);
	return 0;
}

ON_EACH(recv_many_until_gives_up_at_its_deadline)
{
	uint64_t deadline;
	struct weir_task *task;
	int got = 0, rc;

	make(4);
	out[0] = 99;
	ck_assert_int_eq(weir_mpsc_recv_many_until(ch, 8, 0, out), -ETIMEDOUT);
	deadline = weir_deadline_in(10 * WEIR_MSEC);
	ck_assert_int_eq(weir_mpsc_recv_many_until(ch, 8, deadline, out), -ETIMEDOUT);
	ck_assert_uint_ge(weir_now(), deadline);
	ck_assert_uint_eq(out[0], 99);
	/* A receive that timed out is no longer pending, and has taken no message. */
	deadline = weir_deadline_in(3600 * WEIR_SEC);
	ck_assert_int_eq(weir_spawn(send_three, weir_mpsc_ref(ch), &task), 0);
	for (; got < 3; got += rc) {
		rc = weir_mpsc_recv_many_until(ch, 2, deadline, out + got);
		ck_assert_int_gt(rc, 0);
		ck_assert_int_le(rc, 2);
	}
	ck_assert_mem_eq(out, in, 3 * sizeof(in[0]));
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	/* With a deadline in the past, a queued message is received, and so is the end. */
	ck_assert_int_eq(weir_mpsc_send_try(ch, &in[5]), 0);
	ck_assert_int_eq(weir_mpsc_send_try(ch, &in[6]), 0);
	ck_assert_int_eq(weir_mpsc_recv_many_until(ch, 8, 1, out), 2);
	ck_assert_uint_eq(out[1], in[6]);
	weir_mpsc_unref(ch);
	ck_assert_int_eq(weir_mpsc_recv_many_until(ch, 8, 1, out), 0);
	weir_mpsc_free(ch);
	return 0;
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(messages_come_out_in_order_over_many_laps),
		TESTING(the_ring_wraps_when_it_never_empties),
		TESTING(senders_to_a_full_channel_wait_in_order),
		TESTING(recv_many_takes_all_messages_and_admits_waiting_senders),
		TESTING(a_waiting_receive_is_woken_once),
		TESTING(cancelling_loses_no_message_and_no_place),
		TESTING(a_receive_that_is_cancelled_on_its_way_to_be_woken_takes_nothing),
		TESTING(the_last_sender_ends_it_after_what_is_in),
		TESTING(the_last_sender_wakes_the_receiver),
		TESTING(close_turns_senders_away_and_keeps_what_is_in),
		TESTING(a_receiver_that_is_gone_turns_senders_away),
		TESTING(odd_sizes_are_fine_and_impossible_ones_refused),
		TESTING(threads_lose_nothing_and_keep_the_order, .rounds = 4),
		TESTING(threads_see_a_close_and_every_message_has_one_fate, .rounds = 4),
		EACH(recv_many_until_gives_up_at_its_deadline),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
