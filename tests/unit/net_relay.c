/* SPDX-License-Identifier: MIT */
/*
 * net_relay.c: the relay between two loopback connections:
 *
 *	client ──── a ═ relay ═ b ──── server
 *
 * Each case runs with the relay on a fiber, in a stackless task, and in a stackless
 * task on a runtime with two workers. The cases about limits use a test clock that
 * advances by itself when nothing else can happen, so nothing waits for real time.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"
#include "weir/net.h"
#include "weir/relay.h"
#include "weir/rt.h"
#include "weir/task.h"
#include "weir/time.h"
#include "tests/support/testing.h"

enum mode {
	FIBER,
	STACKLESS,
	TWO_WORKERS,
	MODES,
};

static enum mode mode;

/* The two ends that a case uses, and the result of the relay. */
struct rig {
	struct weir_tcp *client, *a, *b, *server;
	struct weir_relay_config config;
	struct weir_task *task;
	struct weir_relay_stats stats;
};

/* ---- the rig ---- */

/* Makes a connected pair with buffers of about this size (0: the system's default). */
static void tcp_pair(int buffer, struct weir_tcp **ret_one, struct weir_tcp **ret_other)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int other;

	for (int i = 0; i < 4 && buffer; i++)
		setsockopt(i % 2 ? listener : one, SOL_SOCKET, i / 2 ? SO_SNDBUF : SO_RCVBUF,
			   &buffer, sizeof(buffer));
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	ck_assert_int_eq(connect(one, (struct sockaddr *)&addr, sizeof(addr)), 0);
	other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(other, 0);
	close(listener);
	ck_assert_int_eq(weir_tcp_adopt(one, ret_one), 0);
	ck_assert_int_eq(weir_tcp_adopt(other, ret_other), 0);
}

struct relay_state {
	struct rig *rig;
	struct weir_relay relay;
};

static int relay_poll(void *state, struct weir_cx *cx)
{
	return weir_poll(&((struct relay_state *)state)->relay.future, cx);
}

/* Runs at the end of an aborted task too; its operations are over by then. */
static void relay_fini(void *state)
{
	struct relay_state *s = state;

	weir_relay_close(&s->relay);
	weir_relay_result(&s->relay, &s->rig->stats);
}

static int relay_on_fiber(void *arg)
{
	struct rig *rig = arg;
	struct weir_relay relay;
	int rc;

	weir_relay_init(&relay, rig->a, rig->b, &rig->config);
	rc = weir_await(&relay.future);
	weir_relay_close(&relay);
	weir_relay_result(&relay, &rig->stats);
	return rc;
}

static void spawn_relay(struct rig *rig)
{
	struct relay_state state = { .rig = rig };
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	rig->stats.size = sizeof(rig->stats);
	weir_relay_init(&state.relay, rig->a, rig->b, &rig->config);
	if (mode == FIBER) {
		cfg.fn = relay_on_fiber;
		cfg.arg = rig;
	} else {
		cfg.poll = relay_poll;
		cfg.fini = relay_fini;
		cfg.state = &state;
		cfg.state_bytes = sizeof(state);
	}
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &rig->task), 0);
}

static void rig_up(struct rig *rig, int buffer, uint64_t idle_ns, uint64_t half_ns)
{
	memset(rig, 0, sizeof(*rig));
	rig->config = (struct weir_relay_config){ sizeof(rig->config), idle_ns, half_ns };
	tcp_pair(buffer, &rig->client, &rig->a);
	tcp_pair(buffer, &rig->b, &rig->server);
	spawn_relay(rig);
}

/* Waits for the relay, checks how it ended, and closes what the case left open. */
static void rig_down(struct rig *rig, enum weir_relay_end end, int result)
{
	int rc = WEIR_PENDING;

	ck_assert_int_eq(weir_task_join(rig->task, &rc), 0);
	ck_assert_int_eq(rig->stats.end, end);
	ck_assert_int_eq(rc, result);
	ck_assert_int_eq(rig->stats.error, result);
	weir_tcp_close(rig->client);
	weir_tcp_close(rig->server);
}

static void run(int (*body)(void *), const struct weir_rt_config *given)
{
	struct weir_rt_config cfg = *given;
	struct rig rig;

	cfg.sched = mode == TWO_WORKERS ? WEIR_SCHED_MULTI : WEIR_SCHED_CURRENT;
	cfg.workers = mode == TWO_WORKERS ? 2 : 1;
	ck_assert_int_eq(weir_rt_run(&cfg, body, &rig), 0);
}

/* Defines a test whose body runs on a fiber, with a rig that is not set up yet. */
#define RELAY_CASE(name)                                                                           \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;                                   \
                                                                                                   \
		mode = (enum mode)_i;                                                              \
		run(name##_body, &cfg);                                                            \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg)

/* The same with a test clock, for the two modes on the current-thread scheduler. */
#define CLOCK_CASE(name)                                                                           \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;                                   \
                                                                                                   \
		mode = (enum mode)_i;                                                              \
		ck_assert_int_eq(weir_clock_new(&cfg.clock), 0);                                   \
		run(name##_body, &cfg);                                                            \
		weir_clock_free(cfg.clock);                                                        \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg)

/* ---- sending and receiving ---- */

static void say(struct weir_tcp *conn, const char *text)
{
	int len = (int)strlen(text);

	ck_assert_int_eq(weir_tcp_send_all(conn, text, (size_t)len, WEIR_FOREVER, NULL), len);
}

static void hear(struct weir_tcp *conn, const char *text)
{
	char buf[64];
	int len = (int)strlen(text);

	ck_assert_int_eq(weir_tcp_recv_exact(conn, buf, (size_t)len, WEIR_FOREVER, NULL), len);
	ck_assert_int_eq(memcmp(buf, text, (size_t)len), 0);
}

/* Asserts that no more bytes come. Returns 0 for the end, or an error. */
static int next_end(struct weir_tcp *conn)
{
	char buf[4096];
	int rc;

	do
		rc = weir_tcp_recv(conn, buf, sizeof(buf));
	while (rc > 0);
	return rc;
}

/* ---- ends in order ---- */

static void one_ends_and_then_the_other(struct weir_tcp *first, struct weir_tcp *second)
{
	char byte;

	say(first, "request");
	ck_assert_int_eq(weir_tcp_shutdown(first, SHUT_WR), 0);
	hear(second, "request");
	ck_assert_int_eq(weir_tcp_recv(second, &byte, 1), 0);
	/* The other direction still works after that end. */
	say(second, "resp");
	hear(first, "resp");
	say(second, "onse");
	hear(first, "onse");
	ck_assert_int_eq(weir_tcp_shutdown(second, SHUT_WR), 0);
	ck_assert_int_eq(weir_tcp_recv(first, &byte, 1), 0);
}

RELAY_CASE(the_client_ends_first)
{
	struct rig *rig = arg;

	rig_up(rig, 0, 0, 0);
	one_ends_and_then_the_other(rig->client, rig->server);
	rig_down(rig, WEIR_RELAY_DONE, 0);
	ck_assert_uint_eq(rig->stats.a_to_b, 7);
	ck_assert_uint_eq(rig->stats.b_to_a, 8);
	return 0;
}

RELAY_CASE(the_server_ends_first)
{
	struct rig *rig = arg;

	rig_up(rig, 0, 0, 0);
	one_ends_and_then_the_other(rig->server, rig->client);
	rig_down(rig, WEIR_RELAY_DONE, 0);
	ck_assert_uint_eq(rig->stats.a_to_b, 8);
	ck_assert_uint_eq(rig->stats.b_to_a, 7);
	return 0;
}

RELAY_CASE(both_end_before_it_starts)
{
	struct rig *rig = arg;

	memset(rig, 0, sizeof(*rig));
	rig->config.size = sizeof(rig->config);
	tcp_pair(0, &rig->client, &rig->a);
	tcp_pair(0, &rig->b, &rig->server);
	say(rig->client, "last words");
	weir_tcp_shutdown(rig->client, SHUT_WR);
	weir_tcp_shutdown(rig->server, SHUT_WR);
	spawn_relay(rig);
	hear(rig->server, "last words");
	ck_assert_int_eq(next_end(rig->server), 0);
	ck_assert_int_eq(next_end(rig->client), 0);
	rig_down(rig, WEIR_RELAY_DONE, 0);
	ck_assert_uint_eq(rig->stats.a_to_b, 10);
	return 0;
}

RELAY_CASE(the_caller_of_run_keeps_its_streams)
{
	struct rig *rig = arg;
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;

	memset(rig, 0, sizeof(*rig));
	tcp_pair(0, &rig->client, &rig->a);
	tcp_pair(0, &rig->b, &rig->server);
	say(rig->client, "hello");
	weir_tcp_shutdown(rig->client, SHUT_WR);
	weir_tcp_shutdown(rig->server, SHUT_WR);
	ck_assert_int_eq(weir_relay_run(rig->a, rig->b, NULL, &stats), 0);
	ck_assert_int_eq(stats.end, WEIR_RELAY_DONE);
	ck_assert_uint_eq(stats.a_to_b, 5);
	ck_assert_uint_eq(stats.b_to_a, 0);
	hear(rig->server, "hello");
	weir_tcp_close(rig->client);
	weir_tcp_close(rig->a);
	weir_tcp_close(rig->b);
	weir_tcp_close(rig->server);
	return 0;
}

/* ---- resets ---- */

RELAY_CASE(a_reset_of_the_client_resets_the_server)
{
	struct rig *rig = arg;

	rig_up(rig, 0, 0, 0);
	say(rig->client, "x");
	hear(rig->server, "x");
	weir_tcp_reset(rig->client);
	rig->client = NULL;
	ck_assert_int_eq(next_end(rig->server), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_RESET_A, -ECONNRESET);
	return 0;
}

RELAY_CASE(a_reset_of_the_server_resets_the_client)
{
	struct rig *rig = arg;

	rig_up(rig, 0, 0, 0);
	say(rig->client, "x");
	hear(rig->server, "x");
	weir_tcp_reset(rig->server);
	rig->server = NULL;
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_RESET_B, -ECONNRESET);
	return 0;
}

RELAY_CASE(a_reset_after_a_half_close)
{
	struct rig *rig = arg;

	rig_up(rig, 0, 0, 0);
	weir_tcp_shutdown(rig->client, SHUT_WR);
	ck_assert_int_eq(next_end(rig->server), 0);
	weir_tcp_reset(rig->server);
	rig->server = NULL;
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_RESET_B, -ECONNRESET);
	return 0;
}

/* The client is gone without having reset. The first bytes sent to it cause a reset. */
RELAY_CASE(sending_to_a_side_that_is_gone)
{
	struct rig *rig = arg;
	struct weir_relay_stats *stats = &rig->stats;
	char buf[4096] = "for nobody";
	int rc;

	rig_up(rig, 0, 0, 0);
	weir_tcp_close(rig->client);
	rig->client = NULL;
	ck_assert_int_eq(next_end(rig->server), 0);
	do
		rc = weir_tcp_send(rig->server, buf, sizeof(buf));
	while (rc > 0);
	ck_assert(rc == -ECONNRESET || rc == -EPIPE);
	ck_assert_int_eq(weir_task_join(rig->task, &rc), 0);
	ck_assert_int_eq(stats->end, WEIR_RELAY_RESET_A);
	ck_assert(rc == -ECONNRESET || rc == -EPIPE);
	weir_tcp_close(rig->server);
	return 0;
}

/* ---- back-pressure ---- */

#define SMALL 16384
#define MUCH (4u << 20)
/* An upper bound for what both connections and the relay buffer. It is far below MUCH. */
#define BOUND (512u << 10)

static uint8_t byte_at(unsigned seed, uint64_t at)
{
	return (uint8_t)((at * 2654435761u >> 11) + seed);
}

static void fill(uint8_t *buf, size_t len, unsigned seed, uint64_t at)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(seed, at + i);
}

static void check(const uint8_t *buf, size_t len, unsigned seed, uint64_t at)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != byte_at(seed, at + i))
			ck_abort_msg("byte %llu is wrong", (unsigned long long)(at + i));
}

/* Sends until nothing more is taken. Returns how many bytes that were. */
static size_t stuff(struct weir_tcp *conn, const uint8_t *data)
{
	size_t done;
	int rc = weir_tcp_send_all(conn, data, MUCH, weir_deadline_in(300 * WEIR_MSEC), &done);

	ck_assert_int_eq(rc, -ETIMEDOUT);
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_lt(done, BOUND);
	return done;
}

struct send_job {
	struct weir_tcp *conn;
	const uint8_t *data;
	size_t len;
};

static int send_rest(void *arg)
{
	struct send_job *job = arg;
	int rc = weir_tcp_send_all(job->conn, job->data, job->len, WEIR_FOREVER, NULL);

	weir_tcp_shutdown(job->conn, SHUT_WR);
	return rc;
}

RELAY_CASE(a_slow_reader_stops_the_writer)
{
	struct rig *rig = arg;
	uint8_t *data = malloc(MUCH), *got = malloc(MUCH);
	struct weir_task *sender;
	struct send_job job;
	size_t done;
	int rc;

	rig_up(rig, SMALL, 0, 0);
	fill(data, MUCH, 1, 0);
	done = stuff(rig->client, data);
	/* The other direction is not blocked. */
	say(rig->server, "hello");
	hear(rig->client, "hello");
	job = (struct send_job){ rig->client, data + done, MUCH - done };
	ck_assert_int_eq(weir_spawn(send_rest, &job, &sender), 0);
	ck_assert_int_eq(weir_tcp_recv_exact(rig->server, got, MUCH, WEIR_FOREVER, NULL), MUCH);
	ck_assert_int_eq(memcmp(got, data, MUCH), 0);
	ck_assert_int_eq(next_end(rig->server), 0);
	ck_assert_int_eq(weir_task_join(sender, &rc), 0);
	ck_assert_int_eq(rc, (int)(MUCH - done));
	weir_tcp_shutdown(rig->server, SHUT_WR);
	rig_down(rig, WEIR_RELAY_DONE, 0);
	ck_assert_uint_eq(rig->stats.a_to_b, MUCH);
	ck_assert_uint_eq(rig->stats.b_to_a, 5);
	free(data);
	free(got);
	return 0;
}

/* ---- cancelling ---- */

RELAY_CASE(an_abort_of_an_idle_relay_resets)
{
	struct rig *rig = arg;

	rig_up(rig, 0, 0, 0);
	say(rig->client, "x");
	hear(rig->server, "x");
	weir_task_abort(rig->task);
	ck_assert_int_eq(next_end(rig->server), -ECONNRESET);
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_CANCELED, -ECANCELED);
	ck_assert_uint_eq(rig->stats.a_to_b, 1);
	return 0;
}

RELAY_CASE(an_abort_with_bytes_on_their_way_resets)
{
	struct rig *rig = arg;
	uint8_t *data = malloc(MUCH);

	fill(data, MUCH, 1, 0);
	rig_up(rig, SMALL, 0, 0);
	stuff(rig->client, data);
	weir_task_abort(rig->task);
	/* The stream was cut short, so the server must not see an orderly end. */
	ck_assert_int_eq(next_end(rig->server), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_CANCELED, -ECANCELED);
	ck_assert_uint_gt(rig->stats.a_to_b, 0);
	free(data);
	return 0;
}

RELAY_CASE(an_abort_before_it_started)
{
	struct rig *rig = arg;

	rig_up(rig, 0, 0, 0);
	weir_task_abort(rig->task);
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	ck_assert_int_eq(next_end(rig->server), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_CANCELED, -ECANCELED);
	return 0;
}

RELAY_CASE(a_deadline_around_a_relay)
{
	struct rig *rig = arg;
	struct weir_relay relay;
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;

	memset(rig, 0, sizeof(*rig));
	tcp_pair(0, &rig->client, &rig->a);
	tcp_pair(0, &rig->b, &rig->server);
	say(rig->client, "x");
	weir_relay_init(&relay, rig->a, rig->b, NULL);
	ck_assert_int_eq(weir_await_until(&relay.future, weir_deadline_in(20 * WEIR_MSEC)),
			 -ETIMEDOUT);
	weir_relay_close(&relay);
	weir_relay_result(&relay, &stats);
	ck_assert_int_eq(stats.end, WEIR_RELAY_CANCELED);
	ck_assert_uint_eq(stats.a_to_b, 1);
	hear(rig->server, "x");
	ck_assert_int_eq(next_end(rig->server), -ECONNRESET);
	weir_tcp_close(rig->client);
	weir_tcp_close(rig->server);
	return 0;
}

START_TEST(outside_a_fiber_nothing_starts)
{
	struct weir_tcp a, b;
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	ck_assert_int_eq(weir_relay_run(&a, &b, NULL, &stats), -EPERM);
	ck_assert_int_eq(stats.error, -EPERM);
	ck_assert_int_ne(stats.end, WEIR_RELAY_DONE);
}
END_TEST

/* ---- limits ---- */

/* The limit is never early, and late by at most a quarter (and a tick of the timer wheel). */
static void check_elapsed(uint64_t since, uint64_t limit_ns)
{
	uint64_t elapsed = weir_now() - since;

	ck_assert_uint_ge(elapsed, limit_ns);
	ck_assert_uint_le(elapsed, limit_ns + limit_ns / 4 + 10 * WEIR_MSEC);
}

CLOCK_CASE(silence_ends_at_the_idle_limit)
{
	struct rig *rig = arg;
	uint64_t since = weir_now();

	rig_up(rig, 0, 60 * WEIR_SEC, 0);
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	check_elapsed(since, 60 * WEIR_SEC);
	ck_assert_int_eq(next_end(rig->server), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_IDLE, -ETIMEDOUT);
	return 0;
}

CLOCK_CASE(bytes_either_way_restart_the_idle_limit)
{
	struct rig *rig = arg;
	uint64_t since = 0;

	rig_up(rig, 0, 60 * WEIR_SEC, 0);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(weir_sleep(50 * WEIR_SEC), 0);
		since = weir_now();
		say(i % 2 ? rig->client : rig->server, "x");
		hear(i % 2 ? rig->server : rig->client, "x");
	}
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	check_elapsed(since, 60 * WEIR_SEC);
	rig_down(rig, WEIR_RELAY_IDLE, -ETIMEDOUT);
	ck_assert_uint_eq(rig->stats.a_to_b + rig->stats.b_to_a, 10);
	return 0;
}

CLOCK_CASE(half_closed_ends_at_its_own_limit)
{
	struct rig *rig = arg;
	uint64_t since = 0;

	rig_up(rig, 0, 60 * WEIR_SEC, 10 * WEIR_SEC);
	ck_assert_int_eq(weir_sleep(55 * WEIR_SEC), 0);
	weir_tcp_shutdown(rig->client, SHUT_WR);
	ck_assert_int_eq(next_end(rig->server), 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(weir_sleep(9 * WEIR_SEC), 0);
		since = weir_now();
		say(rig->server, "x");
		hear(rig->client, "x");
	}
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	check_elapsed(since, 10 * WEIR_SEC);
	rig_down(rig, WEIR_RELAY_HALF_CLOSED, -ETIMEDOUT);
	return 0;
}

CLOCK_CASE(half_closed_without_an_idle_limit)
{
	struct rig *rig = arg;
	uint64_t since;

	rig_up(rig, 0, 0, 10 * WEIR_SEC);
	ck_assert_int_eq(weir_sleep(3600 * WEIR_SEC), 0);
	say(rig->client, "x");
	hear(rig->server, "x");
	since = weir_now();
	weir_tcp_shutdown(rig->server, SHUT_WR);
	ck_assert_int_eq(next_end(rig->client), 0);
	ck_assert_int_eq(next_end(rig->server), -ECONNRESET);
	check_elapsed(since, 10 * WEIR_SEC);
	rig_down(rig, WEIR_RELAY_HALF_CLOSED, -ETIMEDOUT);
	return 0;
}

CLOCK_CASE(a_longer_half_limit_leaves_the_idle_limit_in_force)
{
	struct rig *rig = arg;

	rig_up(rig, 0, 10 * WEIR_SEC, 60 * WEIR_SEC);
	weir_tcp_shutdown(rig->client, SHUT_WR);
	ck_assert_int_eq(next_end(rig->server), 0);
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_IDLE, -ETIMEDOUT);
	return 0;
}

CLOCK_CASE(a_limit_does_not_hold_up_the_end)
{
	struct rig *rig = arg;
	uint64_t since = weir_now();

	rig_up(rig, 0, 3600 * WEIR_SEC, 3600 * WEIR_SEC);
	one_ends_and_then_the_other(rig->client, rig->server);
	rig_down(rig, WEIR_RELAY_DONE, 0);
	ck_assert_uint_lt(weir_now() - since, WEIR_SEC);
	return 0;
}

CLOCK_CASE(no_limit_is_no_limit)
{
	struct rig *rig = arg;

	rig_up(rig, 0, WEIR_FOREVER, 0);
	ck_assert_int_eq(weir_sleep(1000000 * WEIR_SEC), 0);
	one_ends_and_then_the_other(rig->client, rig->server);
	rig_down(rig, WEIR_RELAY_DONE, 0);
	return 0;
}

static int limit_without_time_body(void *arg)
{
	struct rig *rig = arg;

	rig_up(rig, 0, WEIR_SEC, 0);
	ck_assert_int_eq(next_end(rig->client), -ECONNRESET);
	ck_assert_int_eq(next_end(rig->server), -ECONNRESET);
	rig_down(rig, WEIR_RELAY_FAILED, -ENODEV);
	return 0;
}

START_TEST(a_limit_without_a_time_driver_is_refused)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	mode = (enum mode)_i;
	cfg.no_time = true;
	run(limit_without_time_body, &cfg);
}
END_TEST

/* ---- everything at once ---- */

#define CHUNKS 1000
#define CHUNK_MAX 40000

/* One end of a connection: it sends random chunks, and checks those that it receives. */
struct end {
	struct weir_tcp *conn;
	unsigned seed_out, seed_in;
	uint64_t sent, received;
};

static int write_chunks(void *arg)
{
	struct end *end = arg;
	uint8_t *buf = malloc(CHUNK_MAX);
	unsigned seed = end->seed_out;

	for (int i = 0; i < CHUNKS; i++) {
		size_t len = 1 + (unsigned)rand_r(&seed) % (i % 2 ? CHUNK_MAX : 100);

		fill(buf, len, end->seed_out, end->sent);
		ck_assert_int_eq(weir_tcp_send_all(end->conn, buf, len, WEIR_FOREVER, NULL),
				 (int)len);
		end->sent += len;
	}
	free(buf);
	return weir_tcp_shutdown(end->conn, SHUT_WR);
}

static int read_chunks(void *arg)
{
	struct end *end = arg;
	uint8_t *buf = malloc(CHUNK_MAX);
	unsigned seed = end->seed_in + 100;
	struct weir_lease lease;
	int rc;

	for (;;) {
		bool lent = rand_r(&seed) % 2;

		rc = lent ? weir_tcp_recv_lease(end->conn, &lease)
			  : weir_tcp_recv(end->conn, buf, 1 + (unsigned)rand_r(&seed) % CHUNK_MAX);
		if (rc <= 0)
			break;
		check(lent ? lease.data : buf, (size_t)rc, end->seed_in, end->received);
		end->received += (uint64_t)rc;
		if (lent)
			weir_lease_return(&lease);
	}
	free(buf);
	return rc;
}

RELAY_CASE(a_thousand_random_chunks_both_ways)
{
	struct rig *rig = arg;
	struct weir_task *tasks[4];
	struct end client, server;

	rig_up(rig, SMALL, 60 * WEIR_SEC, 60 * WEIR_SEC);
	client = (struct end){ rig->client, 1, 2, 0, 0 };
	server = (struct end){ rig->server, 2, 1, 0, 0 };
	ck_assert_int_eq(weir_spawn(write_chunks, &client, &tasks[0]), 0);
	ck_assert_int_eq(weir_spawn(write_chunks, &server, &tasks[1]), 0);
	ck_assert_int_eq(weir_spawn(read_chunks, &client, &tasks[2]), 0);
	ck_assert_int_eq(weir_spawn(read_chunks, &server, &tasks[3]), 0);
	for (int i = 0; i < 4; i++) {
		int rc = WEIR_PENDING;

		ck_assert_int_eq(weir_task_join(tasks[i], &rc), 0);
		ck_assert_int_eq(rc, 0);
	}
	rig_down(rig, WEIR_RELAY_DONE, 0);
	ck_assert_uint_eq(server.received, client.sent);
	ck_assert_uint_eq(client.received, server.sent);
	ck_assert_uint_eq(rig->stats.a_to_b, client.sent);
	ck_assert_uint_eq(rig->stats.b_to_a, server.sent);
	return 0;
}

START_TEST(a_pair_is_small)
{
	ck_assert_uint_le(sizeof(struct weir_tcp), 96);
	ck_assert_uint_le(sizeof(struct weir_relay), 450);
}
END_TEST

#define ON_ALL(name, ...) TESTING(name, .rounds = MODES, __VA_ARGS__)
#define ON_CLOCK(name) TESTING(name, .rounds = TWO_WORKERS)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_pair_is_small),
		ON_ALL(the_client_ends_first),
		ON_ALL(the_server_ends_first),
		ON_ALL(both_end_before_it_starts),
		TESTING(the_caller_of_run_keeps_its_streams),
		ON_ALL(a_reset_of_the_client_resets_the_server),
		ON_ALL(a_reset_of_the_server_resets_the_client),
		ON_ALL(a_reset_after_a_half_close),
		ON_ALL(sending_to_a_side_that_is_gone),
		ON_ALL(a_slow_reader_stops_the_writer),
		ON_ALL(an_abort_of_an_idle_relay_resets),
		ON_ALL(an_abort_with_bytes_on_their_way_resets),
		ON_ALL(an_abort_before_it_started),
		TESTING(a_deadline_around_a_relay),
		TESTING(outside_a_fiber_nothing_starts),
		ON_CLOCK(silence_ends_at_the_idle_limit),
		ON_CLOCK(bytes_either_way_restart_the_idle_limit),
		ON_CLOCK(half_closed_ends_at_its_own_limit),
		ON_CLOCK(half_closed_without_an_idle_limit),
		ON_CLOCK(a_longer_half_limit_leaves_the_idle_limit_in_force),
		ON_CLOCK(a_limit_does_not_hold_up_the_end),
		ON_CLOCK(no_limit_is_no_limit),
		ON_ALL(a_limit_without_a_time_driver_is_refused),
		ON_ALL(a_thousand_random_chunks_both_ways),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
