/* SPDX-License-Identifier: MIT */
/*
 * many.c: many connections at a time, and many operations in one turn.
 */
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

/* ---- thousands ---- */

#define THOUSANDS 2000

struct multitude {
	struct weir_tcp *near[THOUSANDS], *far[THOUSANDS];
	struct weir_task *tasks[THOUSANDS];
	unsigned count;
};

struct caller {
	struct multitude *all;
	struct weir_addr addr;
	unsigned first, last;
};

#define CALLERS 20

static int call(void *arg)
{
	struct caller *self = arg;

	for (unsigned i = self->first; i < self->last; i++) {
		OK(weir_tcp_connect_addr(&self->addr, WEIR_FOREVER, &self->all->near[i]));
		OK(weir_tcp_send_all(self->all->near[i], &i, sizeof(i), WEIR_FOREVER, NULL));
	}
	return 0;
}

/*
 * Opens as many connections as there are descriptors. They are accepted in any order: each sends
 * its index.
 */
static void multitude_open(struct multitude *m)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct caller callers[CALLERS];
	struct weir_task *tasks[CALLERS];
	struct weir_tcp *conn;
	unsigned number;

	m->count = (allow_files(2 * THOUSANDS + 200) - 200) / 2 / CALLERS * CALLERS;
	m->count = m->count < THOUSANDS ? m->count : THOUSANDS;
	for (unsigned i = 0; i < CALLERS; i++) {
		unsigned each = m->count / CALLERS;

		callers[i] = (struct caller){ m, addr, i * each, (i + 1) * each };
		tasks[i] = spawn(call, &callers[i]);
	}
	for (unsigned i = 0; i < m->count; i++) {
		OK(weir_listener_accept(listener, &conn));
		OK(weir_tcp_recv_exact(conn, &number, sizeof(number), WEIR_FOREVER, NULL));
		m->far[number] = conn;
	}
	for (unsigned i = 0; i < CALLERS; i++)
		ck_assert_int_eq(finish(tasks[i]), 0);
	weir_listener_close(listener);
}

/* All connections have a receive in flight. Three times bytes arrive on all of them at once. */
CASE(thousands_of_connections, 0)
{
	struct multitude *m = calloc(1, sizeof(*m));
	char byte;

	multitude_open(m);
	for (unsigned i = 0; i < m->count; i++)
		m->tasks[i] = spawn(echo, m->far[i]);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < m->count; i++) {
			byte = (char)(i + round);
			ck_assert_int_eq(weir_tcp_send(m->near[i], &byte, 1), 1);
		}
		for (unsigned i = 0; i < m->count; i++) {
			ck_assert_int_eq(weir_tcp_recv(m->near[i], &byte, 1), 1);
			if (byte != (char)(i + round))
				ck_abort_msg("connection %u has another's byte", i);
		}
	}
	for (unsigned i = 0; i < m->count; i++)
		weir_tcp_close(m->near[i]);
	for (unsigned i = 0; i < m->count; i++)
		ck_assert_int_eq(finish(m->tasks[i]), 0);
	free(m);
	return 0;
}

/*
 * One task starts more operations in one poll than a submission queue holds. Those that finish do
 * so together, and the others are cancelled together.
 */
CASE(more_operations_than_a_queue_takes, 0)
{
	struct multitude *m = calloc(1, sizeof(*m));
	struct weir_op *ops = calloc(THOUSANDS, sizeof(*ops));
	struct weir_future **futures = calloc(THOUSANDS, sizeof(*futures));
	int *results = calloc(THOUSANDS, sizeof(*results));
	char *bytes = calloc(THOUSANDS, 1);
	struct weir_join_all_future all;
	struct waiter waiter;
	unsigned had = 0;
	int rc;

	multitude_open(m);
	for (unsigned i = 0; i < m->count; i++) {
		weir_op_init_recv(&ops[i], weir_tcp_handle(m->far[i]), &bytes[i], 1, 0);
		futures[i] = &ops[i].future;
	}
	weir_join_all_init(&all, futures, results, m->count);
	begin(&waiter, &all.future);
	pending(&waiter);
	for (unsigned i = 0; i < m->count; i += 2)
		ck_assert_int_eq(weir_tcp_send(m->near[i], "x", 1), 1);
	rc = aborted(&waiter);
	ck_assert_int_eq(rc, -ECANCELED);
	for (unsigned i = 0; i < m->count; i++) {
		bool has = bytes[i] == 'x';

		if (i % 2 && has)
			ck_abort_msg("connection %u has a byte that was not sent", i);
		had += has;
		if (i % 2 == 0 && !has)
			ck_assert_int_eq(weir_tcp_recv(m->far[i], &bytes[i], 1), 1);
		close_both(m->near[i], m->far[i]);
	}
	ck_assert_uint_le(had, (m->count + 1) / 2);
	free(bytes);
	free(results);
	free(futures);
	free(ops);
	free(m);
	return 0;
}

void conformance_many(struct conformance_list *list)
{
	ONCE(list, two_hundred_connections_at_once);
	ONCE(list, thousands_of_connections);
	BOTH(list, more_operations_than_a_queue_takes);
}
