/* SPDX-License-Identifier: MIT */
/*
 * end.c: the peer ends a stream, in order or by a reset, in every state: before a receive, during
 * one, after bytes, and during a send; for each way to receive. Also half-closes from this side.
 */
#include "tests/conformance/scene.h"

enum end {
	BY_SHUTDOWN,
	BY_CLOSE,
	BY_RESET,
	BY_UNREAD,			/* a close with unread bytes: the kernel resets */
	ENDS
};

static int answer(enum end end)
{
	return end >= BY_RESET ? -ECONNRESET : 0;
}

/* Ends the stream from the peer's side. After a shutdown it is half open. */
static void end_stream(struct scene *s, enum end end)
{
	char byte;

	switch (end) {
	case BY_SHUTDOWN:
		OK(weir_tcp_shutdown(s->other, SHUT_WR));
		return;
	case BY_RESET:
		weir_tcp_reset(s->other);
		break;
	case BY_UNREAD:
		pattern_send(s->one, SCENE_OUT, 0, 10);
		ck_assert_int_ge(weir_tcp_peek(s->other, &byte, 1), 1);
		/* fall through */
	default:
		weir_tcp_close(s->other);
	}
	s->other = NULL;
}

/*
 * Checks the bytes that an operation received, and receives those that it peeked at. Returns how
 * many.
 */
static size_t took(struct scene *s, int rc, size_t at)
{
	size_t n = s->kind == SCENE_EXACT ? scene_done(s) : rc > 0 ? (size_t)rc : 0;

	pattern_check(SCENE_IN, at, s->kind == SCENE_LEASE ? s->lease.data : s->buf, n);
	weir_lease_return(&s->lease);
	if (s->kind == SCENE_PEEK)
		pattern_recv(s->one, SCENE_IN, at, n);
	return n;
}

static const char *const ends[] = { "a shutdown", "a close", "a reset",
				    "a close with unread bytes" };

static void ended_with(enum scene_kind kind, enum end end, int rc, int expected)
{
	ck_assert_msg(rc == expected, "%s after %s ended with %d, not %d", scene_name(kind),
		      ends[end], rc, expected);
}

/* Receives to the end: first all bytes that were sent, then the end or the reset. */
static void receives_to_the_end(struct scene *s, size_t sent, enum end end)
{
	struct waiter waiter;
	size_t at = 0;
	int rc;

	do {
		begin(&waiter, scene_start(s));
		rc = ended(&waiter);
		at += took(s, rc, at);
	} while (rc > 0);
	ended_with(s->kind, end, rc, answer(end));
	ck_assert_uint_eq(at, sent);
}

/* Further receives give the same result; after a shutdown the other direction still works. */
static void stays_ended(struct scene *s, enum end end)
{
	char byte;

	ck_assert_int_eq(weir_tcp_recv(s->one, &byte, 1), answer(end));
	if (end == BY_SHUTDOWN) {
		pattern_send(s->one, SCENE_OUT, 0, 1000);
		pattern_recv(s->other, SCENE_OUT, 0, 1000);
	} else if (end != BY_CLOSE) {
		ck_assert_int_eq(weir_tcp_send(s->one, "x", 1), -EPIPE);
	}
}

static void each_end(void (*fn)(enum scene_kind kind, enum end end))
{
	for (enum scene_kind kind = SCENE_RECV; kind <= SCENE_EXACT; kind++)
		for (enum end end = 0; end < ENDS && scene_possible(kind); end++)
			fn(kind, end);
}

static void end_before(enum scene_kind kind, enum end end)
{
	struct scene s;

	scene_open(&s, kind);
	end_stream(&s, end);
	receives_to_the_end(&s, 0, end);
	stays_ended(&s, end);
	scene_fini(&s);
}

static void end_under(enum scene_kind kind, enum end end)
{
	struct waiter waiter;
	struct scene s;

	begin(&waiter, scene_open(&s, kind));
	pending(&waiter);
	end_stream(&s, end);
	ended_with(kind, end, ended(&waiter), answer(end));
	ck_assert_uint_eq(scene_done(&s), 0);
	ck_assert_ptr_null(s.lease.data);
	stays_ended(&s, end);
	scene_fini(&s);
}

static void end_behind(enum scene_kind kind, enum end end)
{
	struct scene s;

	scene_open(&s, kind);
	pattern_send(s.other, SCENE_IN, 0, 700);
	end_stream(&s, end);
	receives_to_the_end(&s, 700, end);
	stays_ended(&s, end);
	scene_fini(&s);
}

/* The stream ends when an exact receive has only a part of its bytes. */
static void end_within(enum scene_kind kind, enum end end)
{
	struct waiter waiter;
	struct scene s;
	int rc;

	if (kind != SCENE_EXACT)
		return;
	begin(&waiter, scene_open(&s, kind));
	pending(&waiter);
	pattern_send(s.other, SCENE_IN, 0, 300);
	turns(3);
	end_stream(&s, end);
	rc = ended(&waiter);
	ended_with(kind, end, rc, end >= BY_RESET ? -ECONNRESET : 300);
	ck_assert_uint_eq(scene_done(&s), 300);
	pattern_check(SCENE_IN, 0, s.buf, 300);
	stays_ended(&s, end);
	scene_fini(&s);
}

CASE(an_end_before_a_receive, 0)
{
	each_end(end_before);
	return 0;
}

CASE(an_end_under_a_receive, 0)
{
	each_end(end_under);
	return 0;
}

CASE(an_end_behind_bytes, 0)
{
	each_end(end_behind);
	return 0;
}

CASE(an_end_within_an_exact_receive, 0)
{
	each_end(end_within);
	return 0;
}

/* ---- during a send ---- */

/* The peer has shut its sending side down, but goes on receiving. */
CASE(an_end_does_not_disturb_a_send, 0)
{
	struct waiter waiter;
	struct scene s;
	char byte;

	for (enum scene_kind kind = SCENE_SEND; kind <= SCENE_SEND_LEASE; kind++) {
		begin(&waiter, scene_open(&s, kind));
		pending(&waiter);
		OK(weir_tcp_shutdown(s.other, SHUT_WR));
		ck_assert_int_eq(weir_tcp_recv(s.one, &byte, 1), 0);
		ck_assert(!weir_task_is_complete(waiter.task));
		pattern_recv(s.other, SCENE_OUT, 0, s.len);
		ck_assert_int_eq(ended(&waiter), (int)s.len);
		scene_fini(&s);
	}
	return 0;
}

CASE(a_reset_ends_each_send, 0)
{
	static const enum scene_kind kinds[] = { SCENE_SEND, SCENE_SENDV, SCENE_SEND_LEASE };
	struct waiter waiter;
	struct scene s;
	char byte;
	int rc;

	for (int i = 0; i < 6; i++) {
		begin(&waiter, scene_open(&s, kinds[i % 3]));
		pending(&waiter);
		/* The peer has unread bytes, so that closing resets, too. */
		ck_assert_int_eq(weir_tcp_peek(s.other, &byte, 1), 1);
		if (i < 3)
			weir_tcp_reset(s.other);
		else
			weir_tcp_close(s.other);
		s.other = NULL;
		rc = ended(&waiter);
		ck_assert_msg(rc == -ECONNRESET || rc == -EPIPE, "unexpected result: %s",
			      weir_strerror(rc));
		ck_assert_uint_lt(scene_done(&s), s.len);
		ck_assert_int_eq(weir_tcp_send(s.one, "x", 1), -EPIPE);
		scene_fini(&s);
	}
	return 0;
}

/* ---- a shutdown by this side, during its own operations ---- */

CASE(shutting_down_ends_what_waits, 0)
{
	struct waiter waiter;
	struct scene s;
	char byte;

	for (enum scene_kind kind = SCENE_RECV; kind <= SCENE_SEND_LEASE; kind++) {
		/* A zero-copy send ends only when its peer has the bytes, or by a close. */
		if (!scene_possible(kind) || scene_lends(kind))
			continue;
		begin(&waiter, scene_open(&s, kind));
		pending(&waiter);
		OK(weir_tcp_shutdown(s.one, scene_sends(kind) ? SHUT_WR : SHUT_RD));
		ck_assert_int_eq(ended(&waiter), scene_sends(kind) ? -EPIPE : 0);
		if (scene_sends(kind)) {
			/* The bytes that it had sent before arrive, then the end. */
			pattern_recv(s.other, SCENE_OUT, 0, scene_done(&s));
			ck_assert_int_eq(weir_tcp_recv(s.other, &byte, 1), 0);
			pattern_send(s.other, SCENE_IN, 0, 1000);
			pattern_recv(s.one, SCENE_IN, 0, 1000);
		} else {
			ck_assert_ptr_null(s.lease.data);
			pattern_send(s.one, SCENE_OUT, 0, 1000);
			pattern_recv(s.other, SCENE_OUT, 0, 1000);
		}
		scene_fini(&s);
	}
	return 0;
}

#define EACH_WAY 200000

static int send_and_end(void *arg)
{
	pattern_send(arg, SCENE_IN, 0, EACH_WAY);
	return weir_tcp_shutdown(arg, SHUT_WR);
}

/* Both sides send and end at the same time; neither end cuts the other direction short. */
CASE(both_sides_end_at_once, 0)
{
	struct weir_tcp *side[2];
	struct weir_task *tasks[2];
	char byte;

	for (int round = 0; round < 5; round++) {
		connected(&side[0], &side[1]);
		for (int i = 0; i < 2; i++)
			tasks[i] = spawn(send_and_end, side[i]);
		for (int i = 0; i < 2; i++) {
			pattern_recv(side[i], SCENE_IN, 0, EACH_WAY);
			ck_assert_int_eq(weir_tcp_recv(side[i], &byte, 1), 0);
		}
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(finish(tasks[i]), 0);
		close_both(side[0], side[1]);
	}
	return 0;
}

/* All bytes sent before the close arrive, however many they are, and then the end. */
CASE(closing_delivers_what_was_sent, 0)
{
	struct weir_tcp *one, *other;
	uint8_t *buf = malloc(65536);
	size_t sent = 0;
	char byte;
	int rc;

	connected(&one, &other);
	do {
		pattern_fill(SCENE_OUT, sent, buf, 65536);
		rc = weir_tcp_send_try(one, buf, 65536);
		sent += rc > 0 ? (size_t)rc : 0;
	} while (rc > 0 && sent < LARGE_BYTES);
	weir_tcp_close(one);
	pattern_recv(other, SCENE_OUT, 0, sent);
	ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 0);
	weir_tcp_close(other);
	free(buf);
	return 0;
}

/*
 * A backend may receive ahead on a stream that has often been received from. Bytes that it fetched
 * but the program did not receive are unread: closing must reset, with and without a pending
 * receive.
 */
static void fetched_and_unread(bool waits, uint64_t pause)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease;
	struct waiter waiter;
	struct weir_op op;
	char byte;

	connected(&one, &other);
	for (size_t at = 0; at < 12; at++) {
		pattern_send(one, SCENE_IN, at, 1);
		ck_assert_int_eq(weir_tcp_recv_lease(other, &lease), 1);
		weir_lease_return(&lease);
	}
	if (waits) {
		weir_op_init_recv_lease(&op, weir_tcp_handle(other), &lease);
		begin(&waiter, &op.future);
		pending(&waiter);
		pattern_send(one, SCENE_IN, 12, 100);
		OK(ended(&waiter));
		weir_lease_return(&lease);
	}
	pattern_send(one, SCENE_IN, 12, 100);
	turns(pause);
	weir_tcp_close(other);
	ck_assert_int_eq(weir_tcp_recv(one, &byte, 1), -ECONNRESET);
	weir_tcp_close(one);
}

CASE(closing_with_fetched_bytes_resets, WEIR_CAP_LEASE)
{
	for (int i = 0; i < 8; i++)
		fetched_and_unread(i & 1, (uint64_t)i);
	return 0;
}

/* With unread bytes, closing resets even while this side has a send pending. */
CASE(closing_under_a_send_with_unread_bytes_resets, 0)
{
	uint8_t *buf = malloc(65536);
	struct waiter waiter;
	struct scene s;
	char byte;
	int rc;

	begin(&waiter, scene_open(&s, SCENE_SEND));
	pending(&waiter);
	pattern_send(s.other, SCENE_IN, 0, 100);
	ck_assert_int_ge(weir_tcp_peek(s.one, &byte, 1), 1);
	scene_close(&s);
	ck_assert_int_eq(ended(&waiter), -ECANCELED);
	do
		rc = weir_tcp_recv(s.other, buf, 65536);
	while (rc > 0);
	ck_assert_int_eq(rc, -ECONNRESET);
	scene_fini(&s);
	free(buf);
	return 0;
}

void conformance_end(struct conformance_list *list)
{
	BOTH(list, an_end_before_a_receive);
	BOTH(list, an_end_under_a_receive);
	BOTH(list, an_end_behind_bytes);
	BOTH(list, an_end_within_an_exact_receive);
	BOTH(list, an_end_does_not_disturb_a_send);
	BOTH(list, a_reset_ends_each_send);
	BOTH(list, shutting_down_ends_what_waits);
	BOTH(list, closing_with_fetched_bytes_resets);
	BOTH(list, closing_under_a_send_with_unread_bytes_resets);
	ONCE(list, both_sides_end_at_once);
	ONCE(list, closing_delivers_what_was_sent);
}
