/* SPDX-License-Identifier: MIT */
/*
 * broken.c: connections that break or are closed while operations are pending in both directions,
 * and streams whose halves have different owners. end.c and close.c test one pending operation.
 */
#include "tests/conformance/scene.h"

/* ---- resets: from either side, with a read, a write or nothing pending ---- */

static void reset_under_a_read(int by)
{
	struct weir_tcp *side[2];
	struct waiter waiter;
	struct weir_op op;
	char byte;

	connected(&side[0], &side[1]);
	weir_op_init_recv(&op, weir_tcp_handle(side[!by]), &byte, 1, 0);
	begin(&waiter, &op.future);
	pending(&waiter);
	weir_tcp_reset(side[by]);
	ck_assert_int_eq(ended(&waiter), -ECONNRESET);
	ck_assert_int_eq(weir_tcp_send(side[!by], "x", 1), -EPIPE);
	weir_tcp_close(side[!by]);
}

static void reset_under_a_write(int by)
{
	struct weir_tcp *side[2];
	uint8_t *out = calloc(1, LARGE_BYTES);
	struct waiter waiter;
	struct weir_op op;
	int rc;

	connected(&side[0], &side[1]);
	weir_op_init_send(&op, weir_tcp_handle(side[!by]), out, LARGE_BYTES, WEIR_OP_ALL);
	begin(&waiter, &op.future);
	pending(&waiter);
	weir_tcp_reset(side[by]);
	rc = ended(&waiter);
	ck_assert_msg(rc == -ECONNRESET || rc == -EPIPE, "unexpected result: %s",
		      weir_strerror(rc));
	ck_assert_uint_lt(op.u.io.done, LARGE_BYTES);
	weir_tcp_close(side[!by]);
	free(out);
}

CASE(a_reset_ends_a_read, 0)
{
	reset_under_a_read(0);
	reset_under_a_read(1);
	return 0;
}

CASE(a_reset_ends_a_write, 0)
{
	reset_under_a_write(0);
	reset_under_a_write(1);
	return 0;
}

CASE(a_reset_ends_both_at_once, 0)
{
	struct weir_tcp *one, *other;
	uint8_t *out = calloc(1, LARGE_BYTES);
	struct waiter reader, writer;
	struct weir_op in_op, out_op;
	char byte;
	int rc[2];

	connected(&one, &other);
	weir_op_init_recv(&in_op, weir_tcp_handle(one), &byte, 1, 0);
	weir_op_init_send(&out_op, weir_tcp_handle(one), out, LARGE_BYTES, WEIR_OP_ALL);
	begin(&reader, &in_op.future);
	begin(&writer, &out_op.future);
	pending(&reader);
	pending(&writer);
	weir_tcp_reset(other);
	rc[0] = ended(&reader);
	rc[1] = ended(&writer);
	ck_assert_msg(rc[0] == -ECONNRESET && (rc[1] == -ECONNRESET || rc[1] == -EPIPE),
		      "unexpected results: %d and %d", rc[0], rc[1]);
	weir_tcp_close(one);
	free(out);
	return 0;
}

CASE(closing_with_unread_bytes_resets, 0)
{
	struct weir_tcp *one, *other;
	struct waiter waiter;
	struct weir_op op;
	char byte;

	connected(&one, &other);
	weir_op_init_recv(&op, weir_tcp_handle(one), &byte, 1, 0);
	begin(&waiter, &op.future);
	pending(&waiter);
	pattern_send(one, 1, 0, 100);
	ck_assert_int_ge(weir_tcp_peek(other, &byte, 1), 1);
	weir_tcp_close(other);
	ck_assert_int_eq(ended(&waiter), -ECONNRESET);
	weir_tcp_close(one);
	return 0;
}

CASE(sending_to_one_that_is_gone_fails, 0)
{
	struct weir_tcp *one, *other;
	char byte;
	int rc = 0;

	connected(&one, &other);
	weir_tcp_close(other);
	ck_assert_int_eq(weir_tcp_recv(one, &byte, 1), 0);
	for (int i = 0; rc >= 0 && i < 1000; i++)
		rc = weir_tcp_send(one, "x", 1);
	ck_assert_msg(rc == -EPIPE || rc == -ECONNRESET, "unexpected result: %s",
		      weir_strerror(rc));
	weir_tcp_close(one);
	return 0;
}

/* ---- a broken stream never looks like one that ended ---- */

/* The kernel reports a reset to one call only; the next receive would see an end of stream. */
static void hears_of_a_break(enum scene_kind kind, bool half_closed)
{
	struct waiter waiter;
	struct scene s;
	int rc = 0;

	scene_open(&s, kind);
	if (half_closed)
		OK(weir_tcp_shutdown(s.one, SHUT_WR));
	weir_tcp_reset(s.other);
	s.other = NULL;
	while (!half_closed && rc >= 0)
		rc = weir_tcp_send(s.one, "x", 1);
	ck_assert(half_closed || rc == -ECONNRESET);
	for (int i = 0; i < 3; i++) {
		begin(&waiter, scene_start(&s));
		rc = ended(&waiter);
		ck_assert_msg(rc == -ECONNRESET, "%s %d after %s ended with %d", scene_name(kind),
			      i + 1, half_closed ? "its own end" : "a failed send", rc);
	}
	scene_fini(&s);
}

CASE(a_receive_after_a_failed_send_fails, 0)
{
	for (enum scene_kind kind = SCENE_RECV; kind <= SCENE_EXACT; kind++)
		if (scene_possible(kind))
			hears_of_a_break(kind, false);
	return 0;
}

CASE(a_reset_of_a_half_closed_stream_is_no_end, 0)
{
	for (enum scene_kind kind = SCENE_RECV; kind <= SCENE_EXACT; kind++)
		if (scene_possible(kind))
			hears_of_a_break(kind, true);
	return 0;
}

/* The peer sent everything and its end before the stream broke: both are received. */
CASE(an_end_before_a_break_is_an_end, 0)
{
	struct weir_tcp *one, *other;
	char byte;

	connected(&one, &other);
	pattern_send(other, 1, 0, 700);
	weir_tcp_close(other);
	pattern_recv(one, 1, 0, 700);
	ck_assert_int_eq(weir_tcp_recv(one, &byte, 1), 0);
	ck_assert_int_eq(weir_tcp_send(one, "x", 1), 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(weir_tcp_recv(one, &byte, 1), 0);
	ck_assert_int_eq(weir_tcp_send(one, "x", 1), -EPIPE);
	/* A send has failed, so from now on receives fail too. */
	ck_assert_int_eq(weir_tcp_recv(one, &byte, 1), -ECONNRESET);
	weir_tcp_close(one);
	return 0;
}

/* The kernel drops a connection that both sides have ended. That is not a break. */
CASE(a_stream_ended_by_both_sides_is_not_broken, 0)
{
	struct weir_tcp *side[2];
	char byte;

	connected(&side[0], &side[1]);
	for (int i = 0; i < 2; i++)
		OK(weir_tcp_shutdown(side[i], SHUT_WR));
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(weir_tcp_recv(side[i % 2], &byte, 1), 0);
	close_both(side[0], side[1]);
	return 0;
}

/* Whether the aborted accept had taken the connection already, or it was still in the queue. */
CASE(a_connection_that_nobody_takes_is_reset, 0)
{
	struct waiter waiter;
	struct scene s;
	char byte;
	int rc;

	for (int i = 0; i < 40; i++) {
		begin(&waiter, scene_open(&s, SCENE_ACCEPT));
		pending(&waiter);
		OK(weir_tcp_connect_addr(&s.addr, WEIR_FOREVER, &s.other));
		turns((uint64_t)i % 4);
		rc = aborted(&waiter);
		if (rc == -ECANCELED) {
			weir_accept_fini(&s.accept);
			ck_assert_ptr_null(s.one);
			scene_close(&s);
			ck_assert_int_eq(weir_tcp_recv(s.other, &byte, 1), -ECONNRESET);
		}
		scene_fini(&s);
	}
	return 0;
}

/* ---- closing while others wait ---- */

CASE(closing_ends_both_directions, 0)
{
	struct weir_tcp *one, *other;
	uint8_t *out = calloc(1, LARGE_BYTES);
	struct waiter reader, writer;
	struct weir_op in_op, out_op;
	char byte;

	connected(&one, &other);
	weir_op_init_recv(&in_op, weir_tcp_handle(one), &byte, 1, 0);
	weir_op_init_send(&out_op, weir_tcp_handle(one), out, LARGE_BYTES, WEIR_OP_ALL);
	begin(&reader, &in_op.future);
	begin(&writer, &out_op.future);
	pending(&reader);
	pending(&writer);
	weir_tcp_close(one);
	ck_assert_int_eq(ended(&reader), -ECANCELED);
	ck_assert_int_eq(ended(&writer), -ECANCELED);
	weir_tcp_close(other);
	free(out);
	return 0;
}

static int own_read_half(void *arg)
{
	pattern_recv(arg, 1, 0, 30000);
	ck_assert_int_eq(weir_tcp_recv(arg, &(char){ 0 }, 1), 0);
	weir_tcp_close_half(arg, WEIR_HALF_READ);
	return 0;
}

static int own_write_half(void *arg)
{
	pattern_send(arg, 1, 0, 30000);
	weir_tcp_close_half(arg, WEIR_HALF_WRITE);
	return 0;
}

CASE(each_half_is_closed_by_its_owner, 0)
{
	struct weir_tcp *side[2];
	struct weir_task *tasks[4];

	for (int round = 0; round < 30; round++) {
		connected(&side[0], &side[1]);
		for (int i = 0; i < 2; i++) {
			OK(weir_tcp_split(side[i]));
			ck_assert_int_eq(weir_tcp_split(side[i]), -EBUSY);
		}
		for (int i = 0; i < 4; i++)
			tasks[i] = spawn(i % 2 ? own_read_half : own_write_half, side[i / 2]);
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(finish(tasks[i]), 0);
	}
	return 0;
}

/* After one half is closed, the other half still works. */
CASE(halves_close_in_any_order, 0)
{
	struct weir_tcp *one, *other;
	char byte;

	connected(&one, &other);
	OK(weir_tcp_split(one));
	weir_tcp_close_half(one, WEIR_HALF_WRITE);
	ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 0);
	pattern_send(other, 1, 0, 100);
	pattern_recv(one, 1, 0, 100);
	weir_tcp_close_half(one, WEIR_HALF_READ);
	weir_tcp_close(other);

	connected(&one, &other);
	OK(weir_tcp_split(one));
	weir_tcp_close_half(one, WEIR_HALF_READ);
	pattern_send(one, 1, 0, 100);
	pattern_recv(other, 1, 0, 100);
	weir_tcp_close_half(one, WEIR_HALF_WRITE);
	ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 0);
	weir_tcp_close(other);
	return 0;
}

void conformance_broken(struct conformance_list *list)
{
	BOTH(list, a_reset_ends_a_read);
	BOTH(list, a_reset_ends_a_write);
	BOTH(list, a_reset_ends_both_at_once);
	BOTH(list, closing_with_unread_bytes_resets);
	ONCE(list, sending_to_one_that_is_gone_fails);
	BOTH(list, a_receive_after_a_failed_send_fails);
	BOTH(list, a_reset_of_a_half_closed_stream_is_no_end);
	ONCE(list, an_end_before_a_break_is_an_end);
	ONCE(list, a_stream_ended_by_both_sides_is_not_broken);
	BOTH(list, a_connection_that_nobody_takes_is_reset);
	BOTH(list, closing_ends_both_directions);
	ONCE(list, each_half_is_closed_by_its_owner);
	ONCE(list, halves_close_in_any_order);
}
