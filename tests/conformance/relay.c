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

/* Makes the streams and the relay, without starting it. */
static void line_connect(struct line *line, uint64_t idle_ns, uint64_t half_ns)
{
	struct weir_relay_config cfg = WEIR_RELAY_CONFIG_INIT;

	cfg.idle_ns = idle_ns;
	cfg.half_ns = half_ns;
	connected(&line->left, &line->a);
	connected(&line->b, &line->right);
	weir_relay_init(&line->relay, line->a, line->b, &cfg);
}

static void line_open(struct line *line, uint64_t idle_ns, uint64_t half_ns)
{
	line_connect(line, idle_ns, half_ns);
	begin(&line->waiter, &line->relay.future);
}

/* Asserts that the relay has ended by itself with this result and for this reason. */
static struct weir_relay_stats line_end(struct line *line, int result, enum weir_relay_end end)
{
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;

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
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;
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

static void megabytes_through(struct line *line)
{
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;
	struct weir_task *tasks[4];

	tasks[0] = spawn(send_megabyte, line->left);
	tasks[1] = spawn(send_megabyte, line->right);
	tasks[2] = spawn(receive_megabyte, line->left);
	tasks[3] = spawn(receive_megabyte, line->right);
	for (int i = 0; i < 4; i++)
		OK(finish(tasks[i]));
	stats = line_end(line, 0, WEIR_RELAY_DONE);
	ck_assert_uint_eq(stats.a_to_b, MEGABYTE);
	ck_assert_uint_eq(stats.b_to_a, MEGABYTE);
	close_both(line->left, line->right);
}

CASE(a_relay_carries_a_megabyte_each_way, WEIR_CAP_LEASE)
{
	struct line line;

	line_open(&line, 0, 0);
	megabytes_through(&line);
	return 0;
}

/* Each buffer that one of them lends is sent by the other. */
CASE(a_relay_joins_streams_of_two_kinds, WEIR_CAP_LEASE | WEIR_CAP_UNIX)
{
	struct weir_relay_config cfg = WEIR_RELAY_CONFIG_INIT;
	struct line line;

	connected(&line.left, &line.a);
	unix_connected(&line.b, &line.right);
	weir_relay_init(&line.relay, line.a, line.b, &cfg);
	begin(&line.waiter, &line.relay.future);
	megabytes_through(&line);
	return 0;
}

/* Of each kind one stream waits; closing them ends both waits, and both kinds work on. */
CASE(streams_of_two_kinds_are_closed_while_they_wait, WEIR_CAP_UNIX)
{
	struct weir_tcp *one[2], *other[2];
	struct waiter waiters[2];
	struct weir_op ops[2];
	char buf[2][10];

	for (int round = 0; round < 20; round++) {
		connected(&one[0], &other[0]);
		unix_connected(&one[1], &other[1]);
		for (int i = 0; i < 2; i++) {
			weir_op_init_recv(&ops[i], weir_tcp_handle(one[i]), buf[i], sizeof(buf[i]),
					  WEIR_OP_ALL);
			begin(&waiters[i], &ops[i].future);
			pending(&waiters[i]);
		}
		pattern_send(other[round & 1], 1, 0, 10);
		ck_assert_int_eq(ended(&waiters[round & 1]), 10);
		weir_tcp_close(one[0]);
		weir_tcp_close(one[1]);
		ck_assert_int_eq(ended(&waiters[!(round & 1)]), -ECANCELED);
		close_both(other[0], other[1]);
	}
	return 0;
}

/* If the right side does not read, the left side has to stop writing. */
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
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;
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

/* ---- the rule of ends (weir/relay.h), for each cause of the break in each state ---- */

enum state {
	QUIET,
	LEFT_ENDED,
	RIGHT_ENDED,
	BLOCKED,			/* right does not read what left sends */
	STATES
};
static const char *const state_names[] = { "quiet", "left has ended", "right has ended",
					   "right does not read" };

enum cause {
	LEFT_RESETS,
	RIGHT_RESETS,
	LEFT_IS_GONE,			/* a send reported it before the relay began */
	RIGHT_IS_GONE,
	IDLE_LIMIT,
	HALF_LIMIT,
	ABORT,
	DEADLINE,
	NEVER_RUN,
	CAUSES
};

static const struct {
	const char *name;
	enum weir_relay_end end;
	unsigned states;
} causes[] = {
	[LEFT_RESETS] = { "left resets", WEIR_RELAY_RESET_A, (1u << STATES) - 1 },
	[RIGHT_RESETS] = { "right resets", WEIR_RELAY_RESET_B, (1u << STATES) - 1 },
	[LEFT_IS_GONE] = { "left is gone", WEIR_RELAY_RESET_A, 1u << QUIET | 1u << RIGHT_ENDED },
	[RIGHT_IS_GONE] = { "right is gone", WEIR_RELAY_RESET_B, 1u << QUIET | 1u << LEFT_ENDED },
	[IDLE_LIMIT] = { "the idle limit", WEIR_RELAY_IDLE, (1u << STATES) - 1 },
	[HALF_LIMIT] = { "the half-close limit", WEIR_RELAY_HALF_CLOSED,
			 1u << LEFT_ENDED | 1u << RIGHT_ENDED },
	[ABORT] = { "an abort", WEIR_RELAY_CANCELED, (1u << STATES) - 1 },
	[DEADLINE] = { "a deadline", WEIR_RELAY_CANCELED, (1u << STATES) - 1 },
	[NEVER_RUN] = { "it never ran", WEIR_RELAY_CANCELED, 1u << QUIET },
};

/* One line of the table. */
struct trial {
	struct line line;
	enum state state;
	enum cause cause;
	struct weir_timeout_future deadline;
	struct waiter sender;		/* sends from left, if BLOCKED */
	struct weir_op send;
	uint8_t *data;
};

static bool side_broke(const struct trial *t)
{
	return t->cause <= RIGHT_IS_GONE;
}

/* Resets a side, and lets a send report it, so that the relay learns of it only from a receive. */
static void side_goes(struct weir_tcp **side, struct weir_tcp *far)
{
	int rc;

	weir_tcp_reset(*side);
	*side = NULL;
	do
		rc = weir_tcp_send(far, "x", 1);
	while (rc >= 0);
	ck_assert_int_eq(rc, -ECONNRESET);
}

static void trial_prepare(struct trial *t)
{
	struct line *line = &t->line;
	uint64_t limit_ns = 4 * SHORT_NS;

	line_connect(line, t->cause == IDLE_LIMIT ? limit_ns : 0,
		     t->cause == HALF_LIMIT ? limit_ns : 0);
	if (t->state == BLOCKED) {
		t->data = calloc(1, LARGE_BYTES);
		weir_op_init_send(&t->send, weir_tcp_handle(line->left), t->data, LARGE_BYTES,
				  WEIR_OP_ALL);
		begin(&t->sender, &t->send.future);
		pending(&t->sender);
	} else if (t->state != QUIET) {
		OK(weir_tcp_shutdown(t->state == LEFT_ENDED ? line->left : line->right, SHUT_WR));
	}
	if (t->cause == LEFT_IS_GONE)
		side_goes(&line->left, line->a);
	else if (t->cause == RIGHT_IS_GONE)
		side_goes(&line->right, line->b);
}

/* Starts the relay and brings it into the state. */
static void trial_start(struct trial *t)
{
	struct line *line = &t->line;

	if (t->cause == NEVER_RUN)
		return;
	weir_timeout_init(&t->deadline, &line->relay.future,
			  t->cause == DEADLINE ? weir_deadline_in(4 * SHORT_NS) : WEIR_FOREVER);
	begin(&line->waiter, &t->deadline.future);
	if (t->state == LEFT_ENDED && line->right)
		at_end(line->right);
	else if (t->state == RIGHT_ENDED && line->left)
		at_end(line->left);
	else
		pending(&line->waiter);
}

/* If a side has ended before it resets, the relay learns of the reset only when it sends there. */
static void trial_break(struct trial *t)
{
	struct line *line = &t->line;
	bool left = t->cause == LEFT_RESETS;
	struct weir_tcp **side = left ? &line->left : &line->right;

	if (t->cause != LEFT_RESETS && t->cause != RIGHT_RESETS)
		return;
	weir_tcp_reset(*side);
	*side = NULL;
	if (t->state != (left ? LEFT_ENDED : RIGHT_ENDED))
		return;
	while (!weir_task_is_complete(line->waiter.task)) {
		OK(weir_tcp_send(left ? line->right : line->left, "x", 1));
		OK(weir_sleep(WEIR_MSEC));
	}
}

/* Receives all bytes. Returns 0 at the end, or the error. */
static int next_end(void *arg)
{
	uint8_t *buf = malloc(65536);
	int rc;

	do
		rc = weir_tcp_recv(arg, buf, 65536);
	while (rc > 0);
	free(buf);
	return rc;
}

/*
 * Checks what a remaining side sees. finished: the relay had already passed the other side's end to
 * it, so that only its own sends fail.
 */
static void trial_hears(struct trial *t, struct weir_tcp *conn, struct weir_task *reader,
			bool finished)
{
	int rc = finish(reader);

	ck_assert_msg(rc == (finished ? 0 : -ECONNRESET), "%s, %s: %s found %d",
		      state_names[t->state], causes[t->cause].name,
		      conn == t->line.left ? "left" : "right", rc);
	if (finished && side_broke(t))
		while (weir_tcp_send(conn, "x", 1) >= 0)
			OK(weir_sleep(WEIR_MSEC));
	else if (finished)	/* the relay's end is closed, but the first send still succeeds */
		OK(weir_tcp_send(conn, "x", 1));
}

static void trial_close(struct trial *t)
{
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;

	if (t->cause == ABORT)
		ck_assert_int_eq(aborted(&t->line.waiter), -ECANCELED);
	else if (t->cause != NEVER_RUN)
		ck_assert_int_lt(ended(&t->line.waiter), 0);
	weir_relay_fini(&t->line.relay);
	weir_relay_result(&t->line.relay, &stats);
	ck_assert_msg(stats.end == causes[t->cause].end, "%s, %s: it ended as %d",
		      state_names[t->state], causes[t->cause].name, (int)stats.end);
	weir_relay_close(&t->line.relay);
}

/* Starts a reader on each side that has none yet. */
static void trial_listen(struct trial *t, struct weir_task **reader)
{
	struct weir_tcp *side[] = { t->line.left, t->line.right };

	for (int i = 0; i < 2; i++)
		if (side[i] && !reader[i])
			reader[i] = spawn(next_end, side[i]);
}

static void trial(enum state state, enum cause cause)
{
	struct trial t = { .state = state, .cause = cause };
	struct weir_task *reader[2] = { NULL, NULL };
	struct weir_tcp *side[2];

	trial_prepare(&t);
	trial_start(&t);
	trial_break(&t);
	side[0] = t.line.left;
	side[1] = t.line.right;
	/*
	 * If right does not read, a limit must strike first. A reset is only seen once right reads.
	 */
	if (state != BLOCKED || side_broke(&t))
		trial_listen(&t, reader);
	trial_close(&t);
	trial_listen(&t, reader);
	for (int i = 0; i < 2; i++)
		if (side[i])
			trial_hears(&t, side[i], reader[i],
				    state == (i ? LEFT_ENDED : RIGHT_ENDED));
	if (state == BLOCKED)
		ck_assert_int_lt(ended(&t.sender), 0);
	close_both(side[0], side[1]);
	free(t.data);
}

CASE(a_relay_resets_streams_that_did_not_finish, WEIR_CAP_LEASE)
{
	for (enum cause cause = 0; cause < CAUSES; cause++)
		for (enum state state = 0; state < STATES; state++)
			if (causes[cause].states & 1u << state &&
			    !(state == BLOCKED && env.zero_copy))
				trial(state, cause);
	return 0;
}

void conformance_relay(struct conformance_list *list)
{
	BOTH(list, a_relay_passes_half_closes_on);
	BOTH(list, a_relay_passes_a_reset_on);
	BOTH(list, an_idle_relay_ends);
	BOTH(list, a_half_closed_relay_ends);
	BOTH(list, a_relay_carries_a_megabyte_each_way);
	BOTH(list, a_relay_joins_streams_of_two_kinds);
	BOTH(list, streams_of_two_kinds_are_closed_while_they_wait);
	ONCE(list, a_relay_passes_back_pressure_on);
	BOTH(list, an_aborted_relay_lets_go);
	BOTH(list, a_relay_resets_streams_that_did_not_finish);
}
