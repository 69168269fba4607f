/* SPDX-License-Identifier: MIT */
/*
 * many.c: many connections at a time, unequal ones, and tasks that move between
 * workers while their operations are in flight.
 */
#include <sys/resource.h>

#include "tests/conformance/conformance.h"

/* ---- 200 at once ---- */

#define CROWD 200

static int echo(void *arg)
{
	struct weir_tcp *conn = arg;
	char buf[512];
	int rc;

	while ((rc = weir_tcp_recv(conn, buf, sizeof(buf))) > 0)
		OK(weir_tcp_send_all(conn, buf, (size_t)rc, WEIR_FOREVER, NULL));
	weir_tcp_close(conn);
	return rc;
}

static int accept_crowd(void *arg)
{
	struct weir_task *tasks[CROWD];
	struct weir_tcp *conn;

	for (int i = 0; i < CROWD; i++) {
		OK(weir_listener_accept(arg, &conn));
		tasks[i] = spawn(echo, conn);
	}
	for (int i = 0; i < CROWD; i++)
		ck_assert_int_eq(finish(tasks[i]), 0);
	return 0;
}

struct client {
	struct weir_addr *addr;
	unsigned number;
};

static int talk(void *arg)
{
	struct client *self = arg;
	struct weir_tcp *conn;

	OK(weir_tcp_connect_addr(self->addr, WEIR_FOREVER, &conn));
	for (unsigned i = 0; i < 10; i++) {
		pattern_send(conn, self->number, i * 300, 300);
		pattern_recv(conn, self->number, i * 300, 300);
	}
	weir_tcp_close(conn);
	return 0;
}

static void allow_files(rlim_t wanted)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < wanted) {
		files.rlim_cur = wanted < files.rlim_max ? wanted : files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

CASE(two_hundred_connections_at_once, 0)
{
	static struct client clients[CROWD];
	struct weir_task *tasks[CROWD];
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_task *server = spawn(accept_crowd, listener);

	allow_files(2 * CROWD + 100);
	for (unsigned i = 0; i < CROWD; i++) {
		clients[i] = (struct client){ &addr, i };
		tasks[i] = spawn(talk, &clients[i]);
	}
	for (unsigned i = 0; i < CROWD; i++)
		ck_assert_int_eq(finish(tasks[i]), 0);
	ck_assert_int_eq(finish(server), 0);
	weir_listener_close(listener);
	return 0;
}

/* ---- a hot stream beside quiet ones ---- */

#define QUIET 20
/* What the hot one may complete while a quiet one is served, for the middle one of them. */
#define HOT_MAX 8192

static atomic_bool hot_stop;
static atomic_uint hot_count;

static int hot_send(void *arg)
{
	static const char page[256];

	while (!atomic_load(&hot_stop))
		OK(weir_tcp_send_all(arg, page, sizeof(page), WEIR_FOREVER, NULL));
	return weir_tcp_shutdown(arg, SHUT_WR);
}

static int hot_recv(void *arg)
{
	char page[256];
	int rc;

	while ((rc = weir_tcp_recv(arg, page, sizeof(page))) > 0)
		atomic_fetch_add(&hot_count, 1);
	return rc;
}

static int by_size(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

CASE(a_hot_stream_does_not_starve_the_quiet, 0)
{
	struct weir_tcp *near[QUIET], *far[QUIET], *one, *other;
	struct weir_task *sender, *receiver, *echoes[QUIET];
	unsigned waited[QUIET], before;
	char byte = 'x';

	atomic_store(&hot_stop, false);
	atomic_store(&hot_count, 0);
	for (int i = 0; i < QUIET; i++) {
		connected(&near[i], &far[i]);
		echoes[i] = spawn(echo, far[i]);
	}
	connected(&one, &other);
	sender = spawn(hot_send, one);
	receiver = spawn(hot_recv, other);
	while (atomic_load(&hot_count) < 100)
		OK(weir_sleep(WEIR_MSEC));
	for (int i = 0; i < QUIET; i++) {
		before = atomic_load(&hot_count);
		ck_assert_int_eq(weir_tcp_send(near[i], &byte, 1), 1);
		ck_assert_int_eq(weir_tcp_recv(near[i], &byte, 1), 1);
		waited[i] = atomic_load(&hot_count) - before;
	}
	atomic_store(&hot_stop, true);
	OK(finish(sender));
	OK(finish(receiver));
	for (int i = 0; i < QUIET; i++) {
		weir_tcp_close(near[i]);
		OK(finish(echoes[i]));
	}
	close_both(one, other);
	qsort(waited, QUIET, sizeof(waited[0]), by_size);
	/* All of them on one worker, the middle one where the system's scheduler has a say. */
	ck_assert_uint_le(waited[env.workers ? QUIET / 2 : QUIET - 1], HOT_MAX);
	return 0;
}

/* ---- moved in flight ---- */

/* A future that makes its task be queued, and so perhaps stolen, so many times. */
struct storm {
	struct weir_future future;
	struct weir_yield yield;
	unsigned left;
};

static int storm_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct storm *self = WEIR_CONTAINER_OF(future, struct storm, future);

	while (self->left > 0) {
		if (weir_poll(&self->yield.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		self->left--;
		weir_yield_init(&self->yield);
	}
	return 0;
}

static const struct weir_future_ops storm_ops = { "storm", storm_poll, NULL, NULL };

static void storm_init(struct storm *self, unsigned turns)
{
	self->future.ops = &storm_ops;
	self->left = turns;
	weir_yield_init(&self->yield);
}

#define MOVERS 16
#define ROUNDS 60

struct mover {
	struct weir_tcp *conn;
	uint64_t seed;
};

/*
 * Wait for a byte while being moved about. Every other time the storm may win: then the receive is
 * cancelled wherever the task happens to be.
 */
static int receive_in_a_storm(struct weir_tcp *conn, uint64_t *random, char *ret_byte)
{
	struct weir_op op;
	struct storm storm;
	struct weir_future *futures[2] = { &op.leaf.future, &storm.future };
	struct weir_join_all all;
	struct weir_select select;
	int results[2];

	weir_op_init_recv(&op, &conn->handle, ret_byte, 1, 0);
	storm_init(&storm, (unsigned)draw(random, 20));
	if (draw(random, 2)) {
		weir_join_all_init(&all, futures, results, 2);
		OK(weir_await(&all.future));
	} else {
		weir_select_init(&select, futures, results, 2);
		OK(weir_await(&select.future));
	}
	return results[0];
}

static int move_about(void *arg)
{
	struct mover *self = arg;
	uint64_t random = self->seed;
	char byte;
	int rc;

	for (int i = 0; i < ROUNDS; i++) {
		byte = (char)i;
		ck_assert_int_eq(weir_tcp_send(self->conn, &byte, 1), 1);
		do
			rc = receive_in_a_storm(self->conn, &random, &byte);
		while (rc == -ECANCELED);
		ck_assert_int_eq(rc, 1);
		ck_assert_int_eq(byte, (char)i);
	}
	return 0;
}

CASE(tasks_move_while_they_wait, 0)
{
	struct mover movers[2 * MOVERS];
	struct weir_task *tasks[2 * MOVERS];

	for (unsigned i = 0; i < 2 * MOVERS; i += 2) {
		connected(&movers[i].conn, &movers[i + 1].conn);
		movers[i].seed = env.seed * 100 + i;
		movers[i + 1].seed = env.seed * 100 + i + 1;
	}
	for (unsigned i = 0; i < 2 * MOVERS; i++)
		tasks[i] = spawn(move_about, &movers[i]);
	for (unsigned i = 0; i < 2 * MOVERS; i++)
		OK(finish(tasks[i]));
	for (unsigned i = 0; i < 2 * MOVERS; i++)
		weir_tcp_close(movers[i].conn);
	return 0;
}

void conformance_many(struct conformance_list *list)
{
	ONCE(list, two_hundred_connections_at_once, .timeout_s = 40);
	ONCE(list, a_hot_stream_does_not_starve_the_quiet);
	ONCE(list, tasks_move_while_they_wait);
}
