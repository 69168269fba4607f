/* SPDX-License-Identifier: MIT */
/*
 * backends_retry.c: operations that a backend gives back to their tasks to be tried again. On the
 * way between the two, they are cancelled, time out, are aborted, have their stream closed, or have
 * another reader behind them. An error shows as a byte that is missing or comes twice, as a
 * shutdown that hangs, or as a leaked descriptor.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/runtimes.h"

/* Makes a stream, TCP or Unix in turn: the backend knows different things about their readiness. */
static void pair(unsigned kind, struct weir_tcp *ret_ends[2])
{
	struct weir_listener *listener;
	struct weir_addr addr;
	int fds[2];

	if (kind % 2) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		ck_assert_int_eq(weir_tcp_adopt(fds[0], &ret_ends[0]), 0);
		ck_assert_int_eq(weir_tcp_adopt(fds[1], &ret_ends[1]), 0);
		return;
	}
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &ret_ends[0]), 0);
	ck_assert_int_eq(weir_listener_accept(listener, &ret_ends[1]), 0);
	weir_listener_close(listener);
}

static uint32_t scatter(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Lets a random short time pass, so that events cross in different ways. */
static void dawdle(uint32_t *seed)
{
	uint32_t n = scatter(seed);

	if (n % 4 == 0)
		ck_assert_int_eq(weir_yield(), 0);
	for (n = n / 4 % 2000; n > 0; n--)
		__asm__ volatile("");
}

static unsigned rounds_of(unsigned n)
{
	return n / testing_scaled(1);
}

/* ---- timeouts ---- */

enum {
	CHUNK = 7
};

struct flow {
	struct weir_tcp *ends[2];
	unsigned bytes;
	unsigned timeouts;
};

/* Sends 0, 1, 2, … modulo 251, and ends the stream. */
static int send_numbers(void *arg)
{
	struct flow *flow = arg;
	uint32_t seed = 2463534242u + flow->bytes;
	uint8_t buf[CHUNK];
	unsigned sent = 0, i, n;

	while (sent < flow->bytes) {
		n = 1 + scatter(&seed) % CHUNK;
		for (i = 0; i < n; i++)
			buf[i] = (uint8_t)((sent + i) % 251);
		ck_assert_int_eq(weir_tcp_send_all(flow->ends[0], buf, n, WEIR_FOREVER, NULL),
				 (int)n);
		sent += n;
		dawdle(&seed);
		if (scatter(&seed) % 8 == 0)
			ck_assert_int_eq(weir_sleep(scatter(&seed) % 3000 * WEIR_USEC), 0);
	}
	flow->bytes = sent;
	ck_assert_int_eq(weir_tcp_shutdown(flow->ends[0], SHUT_WR), 0);
	return 0;
}

/* Receives them in order, with deadlines that expire about when bytes come. */
static int recv_numbers(void *arg)
{
	struct flow *flow = arg;
	uint32_t seed = 88172645u + flow->bytes;
	uint8_t buf[64];
	unsigned got = 0;
	int n, i;

	for (;;) {
		n = weir_tcp_recv_until(flow->ends[1], buf, sizeof(buf),
					weir_deadline_in(scatter(&seed) % 200 * WEIR_USEC));
		if (n == 0)
			break;
		if (n == -ETIMEDOUT) {
			flow->timeouts++;
			continue;
		}
		ck_assert_int_gt(n, 0);
		for (i = 0; i < n; i++)
			ck_assert_uint_eq(buf[i], (got + (unsigned)i) % 251);
		got += (unsigned)n;
	}
	return (int)got;
}

/* Runs both tasks. Returns how many deadlines passed. */
static unsigned run_flow(unsigned kind, unsigned bytes)
{
	struct flow flow = { .bytes = bytes };
	struct weir_task *sender, *receiver;
	int got;

	pair(kind, flow.ends);
	ck_assert_int_eq(weir_spawn(recv_numbers, &flow, &receiver), 0);
	ck_assert_int_eq(weir_spawn(send_numbers, &flow, &sender), 0);
	ck_assert_int_eq(weir_task_join(sender, NULL), 0);
	ck_assert_int_eq(weir_task_join(receiver, &got), 0);
	ck_assert_int_eq(got, (int)flow.bytes);
	weir_tcp_close(flow.ends[0]);
	weir_tcp_close(flow.ends[1]);
	return flow.timeouts;
}

ON_EACH(a_timeout_loses_no_byte)
{
	ck_assert_uint_gt(run_flow(0, rounds_of(6000)), 0);
	ck_assert_uint_gt(run_flow(1, rounds_of(6000)), 0);
	return 0;
}

/* ---- abort ---- */

static int recv_one(void *arg)
{
	uint8_t byte;

	return weir_tcp_recv(arg, &byte, 1);
}

/*
 * The aborted reader has the byte, or it is still in the stream. With a thief, the byte may be gone
 * when the reader tries again after the event: then only the abort ends the reader.
 */
static void abort_a_reader(struct weir_tcp *ends[2], bool thief, uint32_t *seed)
{
	struct weir_task *reader;
	uint8_t byte = 42;
	int got, stolen = -EAGAIN;

	ck_assert_int_eq(weir_spawn(recv_one, ends[1], &reader), 0);
	dawdle(seed);
	ck_assert_int_eq(weir_tcp_send(ends[0], &byte, 1), 1);
	dawdle(seed);
	weir_task_abort(reader);
	if (thief)
		stolen = weir_tcp_recv_try(ends[1], &byte, 1);
	ck_assert_int_eq(weir_task_join(reader, &got), 0);
	if (stolen == 1)
		ck_assert_int_eq(got, -ECANCELED);
	else if (got == -ECANCELED)
		ck_assert_int_eq(weir_tcp_recv(ends[1], &byte, 1), 1);
	else
		ck_assert_int_eq(got, 1);
	ck_assert_int_eq(weir_tcp_recv_try(ends[1], &byte, 1), -EAGAIN);
}

static void run_aborts(unsigned kind, unsigned rounds)
{
	struct weir_tcp *ends[2];
	uint32_t seed = 314159265u + kind;

	pair(kind, ends);
	while (rounds-- > 0)
		abort_a_reader(ends, rounds % 2, &seed);
	weir_tcp_close(ends[0]);
	weir_tcp_close(ends[1]);
}

ON_EACH(an_aborted_reader_took_the_byte_or_left_it)
{
	run_aborts(0, rounds_of(2000));
	run_aborts(1, rounds_of(2000));
	return 0;
}

/* ---- close ---- */

/* A reader that signals when it waits. From then on its stream may be closed. */
struct reader {
	struct weir_op op;
	struct weir_tcp *conn;
	unsigned *waiting;
	bool begun;
	uint8_t byte;
};

static int reader_poll(void *state, struct weir_cx *cx)
{
	struct reader *r = state;
	int rc;

	if (!r->begun)
		weir_op_init_recv(&r->op, weir_tcp_handle(r->conn), &r->byte, 1, 0);
	rc = weir_poll(&r->op.future, cx);
	/* If it is pending without a waker, its budget was used up and it has not begun. */
	if (rc != WEIR_PENDING || r->op.leaf.waker.ops) {
		if (!r->begun)
			set(r->waiting, 1);
		r->begun = true;
	}
	return rc;
}

static void spawn_reader(struct weir_tcp *conn, unsigned *waiting, struct weir_task **ret_task)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct reader r = { .conn = conn, .waiting = waiting };

	cfg.poll = reader_poll;
	cfg.state = &r;
	cfg.state_bytes = sizeof(r);
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, ret_task), 0);
}

/* Returns the reader's result; -ECANCELED if the close came first. */
static int close_under_a_reader(unsigned kind, uint32_t *seed)
{
	struct weir_tcp *ends[2];
	struct weir_task *reader;
	unsigned waiting = 0;
	uint8_t byte = 42;
	int got;

	pair(kind, ends);
	spawn_reader(ends[1], &waiting, &reader);
	YIELD_UNTIL(get(&waiting));
	ck_assert_int_eq(weir_tcp_send(ends[0], &byte, 1), 1);
	dawdle(seed);
	weir_tcp_close(ends[1]);
	ck_assert_int_eq(weir_task_join(reader, &got), 0);
	ck_assert_msg(got == 1 || got == -ECANCELED, "got %d", got);
	weir_tcp_close(ends[0]);
	return got;
}

static void run_closes(unsigned kind, unsigned rounds)
{
	uint32_t seed = 271828182u + kind;

	while (rounds-- > 0)
		close_under_a_reader(kind, &seed);
}

ON_EACH(a_stream_is_closed_while_its_reader_is_on_the_way)
{
	run_closes(1, rounds_of(2000));
	run_closes(0, rounds_of(200));
	return 0;
}

/* Abort and close at once: the op is cancelled, and whichever comes last closes the handle. */
ON_EACH(a_stream_is_closed_and_its_reader_aborted)
{
	uint32_t seed = 161803398u;
	unsigned i;

	for (i = 0; i < rounds_of(2000); i++) {
		struct weir_tcp *ends[2];
		struct weir_task *reader;
		unsigned waiting = 0;
		uint8_t byte = 42;

		pair(1, ends);
		spawn_reader(ends[1], &waiting, &reader);
		YIELD_UNTIL(get(&waiting));
		ck_assert_int_eq(weir_tcp_send(ends[0], &byte, 1), 1);
		dawdle(&seed);
		if (i % 2)
			weir_task_abort(reader);
		weir_tcp_close(ends[1]);
		weir_task_abort(reader);
		ck_assert_int_eq(weir_task_join(reader, NULL), 0);
		/* The peer sees that the stream was closed. */
		ck_assert_int_le(weir_tcp_recv(ends[0], &byte, 1), 0);
		weir_tcp_close(ends[0]);
	}
	return 0;
}

/* ---- two readers ---- */

static int sum_until_end(void *arg)
{
	uint8_t buf[16];
	int n, i, sum = 0;

	while ((n = weir_tcp_recv(arg, buf, sizeof(buf))) > 0)
		for (i = 0; i < n; i++)
			sum += buf[i];
	ck_assert_int_eq(n, 0);
	return sum;
}

static void run_two_readers(unsigned kind, unsigned bytes)
{
	struct flow flow = { .bytes = bytes };
	struct weir_task *sender, *reader[2];
	int want = 0, sum[2];
	unsigned i;

	pair(kind, flow.ends);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(weir_spawn(sum_until_end, flow.ends[1], &reader[i]), 0);
	ck_assert_int_eq(weir_spawn(send_numbers, &flow, &sender), 0);
	ck_assert_int_eq(weir_task_join(sender, NULL), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(weir_task_join(reader[i], &sum[i]), 0);
	for (i = 0; i < flow.bytes; i++)
		want += (int)(i % 251);
	ck_assert_int_eq(sum[0] + sum[1], want);
	weir_tcp_close(flow.ends[0]);
	weir_tcp_close(flow.ends[1]);
}

ON_EACH(two_readers_share_what_comes)
{
	run_two_readers(0, rounds_of(6000));
	run_two_readers(1, rounds_of(6000));
	return 0;
}

/* ---- all of it at once ---- */

struct storm {
	uint64_t until;
	unsigned kind;
};

static int storm_of(void *arg)
{
	struct storm *storm = arg;
	unsigned i;

	for (i = storm->kind; i == storm->kind || weir_now() < storm->until; i++)
		switch (i % 4) {
		case 0:
			run_flow(i / 4, 300);
			break;
		case 1:
			run_aborts(i / 4, 50);
			break;
		case 2:
			run_closes(1, 50);
			break;
		case 3:
			run_two_readers(i / 4, 300);
			break;
		}
	return 0;
}

enum {
	STORMS = 16
};

START_TEST(a_storm)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_task *tasks[STORMS];
	struct storm storm[STORMS];
	struct weir_rt *rt;
	unsigned i;
	int rc;

	cfg.tick_ns = 64 * WEIR_USEC;
	cfg.stack_bytes = 256 * 1024;
	rt = runtime_new(&cfg);
	for (i = 0; i < STORMS; i++) {
		storm[i] = (struct storm){ weir_rt_now(rt) + 3 * WEIR_SEC, i };
		ck_assert_int_eq(weir_rt_spawn(rt, storm_of, &storm[i], &tasks[i]), 0);
	}
	for (i = 0; i < STORMS; i++) {
		ck_assert_int_eq(weir_task_join(tasks[i], &rc), 0);
		ck_assert_int_eq(rc, 0);
	}
	runtime_end(rt);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EACH(a_timeout_loses_no_byte),
		EACH(an_aborted_reader_took_the_byte_or_left_it),
		EACH(a_stream_is_closed_while_its_reader_is_on_the_way),
		EACH(a_stream_is_closed_and_its_reader_aborted),
		EACH(two_readers_share_what_comes),
		TESTING(a_storm),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
