/* SPDX-License-Identifier: MIT */
/*
 * relay.c: two streams joined by a relay, seen from both ends. The relay runs as
 * a task of the round's body.
 */
#include "tests/conformance/conformance.h"

/* left ═ a ─relay─ b ═ right */
struct line {
	struct weir_tcp *left, *a, *b, *right;
	struct weir_relay relay;
	struct waiter waiter;
};

static void line_open(struct line *line, uint64_t idle_ns, uint64_t half_ns)
{
	struct weir_relay_config cfg = WEIR_RELAY_CONFIG_INIT;

	cfg.idle_ns = idle_ns;
	cfg.half_ns = half_ns;
	connected(&line->left, &line->a);
	connected(&line->b, &line->right);
	weir_relay_init(&line->relay, line->a, line->b, &cfg);
	begin(&line->waiter, &line->relay.future);
}

/* The relay has ended by itself: with this result, and for this reason. */
static struct weir_relay_stats line_end(struct line *line, int result, enum weir_relay_end end)
{
	struct weir_relay_stats stats;

	ck_assert_int_eq(ended(&line->waiter), result);
	weir_relay_result(&line->relay, &stats);
	ck_assert_int_eq((int)stats.end, (int)end);
	ck_assert_int_eq(stats.error, result);
	weir_relay_close(&line->relay);
	return stats;
}

static void at_end(struct weir_tcp *conn)
{
	char byte;

	ck_assert_int_eq(weir_tcp_recv(conn, &byte, 1), 0);
}

CASE(a_relay_passes_half_closes_on, WEIR_CAP_LEASE)
{
	struct weir_relay_stats stats;
	struct line line;

	for (int first = 0; first < 2; first++) {
		struct weir_tcp *early, *late;

		line_open(&line, 0, 0);
		early = first ? line.right : line.left;
		late = first ? line.left : line.right;
		pattern_send(early, 1, 0, 5000);
		OK(weir_tcp_shutdown(early, SHUT_WR));
		pattern_recv(late, 1, 0, 5000);
		at_end(late);
		pattern_send(late, 2, 0, 7000);
		pattern_recv(early, 2, 0, 7000);
		OK(weir_tcp_shutdown(late, SHUT_WR));
		stats = line_end(&line, 0, WEIR_RELAY_DONE);
		at_end(early);
		ck_assert_uint_eq(first ? stats.b_to_a : stats.a_to_b, 5000);
		ck_assert_uint_eq(first ? stats.a_to_b : stats.b_to_a, 7000);
		close_both(line.left, line.right);
	}
	return 0;
}

CASE(a_relay_passes_a_reset_on, WEIR_CAP_LEASE)
{
	struct line line;
	char byte;

	for (int first = 0; first < 2; first++) {
		line_open(&line, 0, 0);
		pattern_send(line.left, 1, 0, 10);
		pattern_recv(line.right, 1, 0, 10);
		weir_tcp_reset(first ? line.right : line.left);
		line_end(&line, -ECONNRESET, first ? WEIR_RELAY_RESET_B : WEIR_RELAY_RESET_A);
		ck_assert_int_eq(weir_tcp_recv(first ? line.left : line.right, &byte, 1),
				 -ECONNRESET);
		weir_tcp_close(first ? line.left : line.right);
	}
	return 0;
}

CASE(an_idle_relay_ends, WEIR_CAP_LEASE)
{
	uint64_t start = weir_now();
	struct line line;

	line_open(&line, 2 * SHORT_NS, 0);
	line_end(&line, -ETIMEDOUT, WEIR_RELAY_IDLE);
	ck_assert_uint_ge(weir_now() - start, 2 * SHORT_NS);
	close_both(line.left, line.right);
	return 0;
}

CASE(a_half_closed_relay_ends, WEIR_CAP_LEASE)
{
	struct line line;

	line_open(&line, 3600 * WEIR_SEC, 2 * SHORT_NS);
	OK(weir_tcp_shutdown(line.left, SHUT_WR));
	at_end(line.right);
	line_end(&line, -ETIMEDOUT, WEIR_RELAY_HALF_CLOSED);
	close_both(line.left, line.right);
	return 0;
}

#define MEGABYTE ((size_t)1 << 20)

static int send_megabyte(void *arg)
{
	for (size_t at = 0; at < MEGABYTE; at += 65536)
		pattern_send(arg, env.seed, at, 65536);
	return weir_tcp_shutdown(arg, SHUT_WR);
}

static int receive_megabyte(void *arg)
{
	for (size_t at = 0; at < MEGABYTE; at += 65536)
		pattern_recv(arg, env.seed, at, 65536);
	at_end(arg);
	return 0;
}

CASE(a_relay_carries_a_megabyte_each_way, WEIR_CAP_LEASE)
{
	struct weir_relay_stats stats;
	struct weir_task *tasks[4];
	struct line line;

	line_open(&line, 0, 0);
	tasks[0] = spawn(send_megabyte, line.left);
	tasks[1] = spawn(send_megabyte, line.right);
	tasks[2] = spawn(receive_megabyte, line.left);
	tasks[3] = spawn(receive_megabyte, line.right);
	for (int i = 0; i < 4; i++)
		OK(finish(tasks[i]));
	stats = line_end(&line, 0, WEIR_RELAY_DONE);
	ck_assert_uint_eq(stats.a_to_b, MEGABYTE);
	ck_assert_uint_eq(stats.b_to_a, MEGABYTE);
	close_both(line.left, line.right);
	return 0;
}

/* One that does not read stops the one that writes, through the relay. */
CASE(a_relay_passes_back_pressure_on, WEIR_CAP_LEASE)
{
	uint8_t *out;
	struct line line;
	size_t done;

	if (sends_wait_for_the_peer())
		return 0;
	out = calloc(1, 2 * LARGE_BYTES);
	line_open(&line, 0, 0);
	ck_assert_int_eq(weir_tcp_send_all(line.left, out, 2 * LARGE_BYTES,
					   weir_deadline_in(10 * SHORT_NS), &done),
			 -ETIMEDOUT);
	ck_assert_uint_lt(done, 2 * LARGE_BYTES);
	free(out);
	OK(weir_tcp_shutdown(line.left, SHUT_WR));
	out = malloc(65536);
	for (size_t left = done; left > 0;) {
		int rc = weir_tcp_recv(line.right, out, 65536);

		ck_assert_int_gt(rc, 0);
		ck_assert_uint_le((size_t)rc, left);
		left -= (size_t)rc;
	}
	free(out);
	at_end(line.right);
	weir_tcp_close(line.right);
	line_end(&line, 0, WEIR_RELAY_DONE);
	weir_tcp_close(line.left);
	return 0;
}

CASE(an_aborted_relay_lets_go, WEIR_CAP_LEASE)
{
	struct weir_relay_stats stats;
	struct line line;

	line_open(&line, 3600 * WEIR_SEC, 0);
	pattern_send(line.left, 1, 0, 10);
	pattern_recv(line.right, 1, 0, 10);
	ck_assert_int_eq(aborted(&line.waiter), -ECANCELED);
	weir_relay_fini(&line.relay);
	weir_relay_result(&line.relay, &stats);
	ck_assert_int_eq((int)stats.end, WEIR_RELAY_CANCELED);
	weir_relay_close(&line.relay);
	close_both(line.left, line.right);
	return 0;
}

void conformance_relay(struct conformance_list *list)
{
	BOTH(list, a_relay_passes_half_closes_on);
	BOTH(list, a_relay_passes_a_reset_on);
	BOTH(list, an_idle_relay_ends);
	BOTH(list, a_half_closed_relay_ends);
	BOTH(list, a_relay_carries_a_megabyte_each_way);
	ONCE(list, a_relay_passes_back_pressure_on, .timeout_s = 40);
	BOTH(list, an_aborted_relay_lets_go);
}
