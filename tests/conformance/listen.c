/* SPDX-License-Identifier: MIT */
/*
 * listen.c: listeners and connecting: addresses, queues, refusals, running out of
 * descriptors.
 */
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void same_addr(const struct weir_addr *a, const struct weir_addr *b)
{
	char x[128], y[128];

	weir_addr_format(a, x, sizeof(x));
	weir_addr_format(b, y, sizeof(y));
	ck_assert_str_eq(x, y);
}

CASE(both_ends_know_both_addresses, 0)
{
	struct weir_addr at, near, far;
	struct weir_listener *listener = open_listener(&at);
	struct weir_tcp *one, *other;

	ck_assert_uint_ne(weir_addr_port(&at), 0);
	OK(weir_tcp_connect_addr(&at, WEIR_FOREVER, &one));
	OK(weir_listener_accept(listener, &other));
	OK(weir_tcp_peer_addr(one, &far));
	same_addr(&far, &at);
	OK(weir_tcp_local_addr(other, &near));
	same_addr(&near, &at);
	OK(weir_tcp_local_addr(one, &near));
	OK(weir_tcp_peer_addr(other, &far));
	same_addr(&near, &far);
	ck_assert_uint_ne(weir_addr_port(&near), weir_addr_port(&at));
	close_both(one, other);
	weir_listener_close(listener);
	return 0;
}

CASE(a_port_is_had_by_one_listener, 0)
{
	struct weir_addr at, other;
	struct weir_listener *first = open_listener(&at), *second;

	ck_assert_int_eq(weir_listener_open_addr(&at, NULL, &second), -EADDRINUSE);
	second = open_listener(&other);
	ck_assert_uint_ne(weir_addr_port(&at), weir_addr_port(&other));
	weir_listener_close(second);
	weir_listener_close(first);
	return 0;
}

CASE(options_can_be_set, 0)
{
	const struct weir_keepalive keepalive = { 60, 10, 3 };
	struct weir_tcp *one, *other;

	connected(&one, &other);
	OK(weir_tcp_set_nodelay(one, false));
	OK(weir_tcp_set_nodelay(one, true));
	OK(weir_tcp_set_keepalive(one, &keepalive));
	OK(weir_tcp_set_linger(one, 5));
	OK(weir_tcp_set_linger(one, -1));
	close_both(one, other);
	return 0;
}

CASE(connecting_where_nobody_listens_is_refused, 0)
{
	struct weir_tcp *conn;
	struct weir_addr addr;

	nobodys_addr(&addr);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn), -ECONNREFUSED);
	return 0;
}

CASE(a_connect_operation_is_refused_where_nobody_listens, 0)
{
	struct waiter waiter;
	struct weir_tcp *conn;
	struct weir_addr addr;
	struct weir_op op;

	nobodys_addr(&addr);
	OK(weir_tcp_new(AF_INET, &conn));
	weir_op_init_connect(&op, weir_tcp_handle(conn), &addr.u.sa, addr.len);
	begin(&waiter, &op.future);
	ck_assert_int_eq(ended(&waiter), -ECONNREFUSED);
	weir_tcp_close(conn);
	return 0;
}

/* Connects and accepts with operations, on handles that were made before. */
CASE(connect_and_accept_as_operations, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *one, *other;
	struct weir_accept_future accept;
	struct waiter a, c;
	struct weir_op op;

	weir_accept_init(&accept, listener, &other);
	begin(&a, &accept.future);
	pending(&a);
	OK(weir_tcp_new(AF_INET, &one));
	weir_op_init_connect(&op, weir_tcp_handle(one), &addr.u.sa, addr.len);
	begin(&c, &op.future);
	ck_assert_int_eq(ended(&c), 0);
	ck_assert_int_eq(ended(&a), 0);
	pattern_send(one, 1, 0, 1000);
	pattern_recv(other, 1, 0, 1000);
	close_both(one, other);
	weir_listener_close(listener);
	return 0;
}

CASE(several_wait_for_a_connection, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *near[4], *far[4];
	struct weir_accept_future accept[4];
	struct waiter waiter[4];
	char byte;

	for (int i = 0; i < 4; i++) {
		weir_accept_init(&accept[i], listener, &far[i]);
		begin(&waiter[i], &accept[i].future);
		pending(&waiter[i]);
	}
	for (int i = 0; i < 4; i++)
		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &near[i]));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(ended(&waiter[i]), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(weir_tcp_send(near[i], "x", 1), 1);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(weir_tcp_recv(far[i], &byte, 1), 1);
		close_both(near[i], far[i]);
	}
	weir_listener_close(listener);
	return 0;
}

CASE(closing_a_listener_ends_its_accepts, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_accept_future accept[4];
	struct waiter waiter[4];
	struct weir_tcp *conn;

	for (int i = 0; i < 4; i++) {
		weir_accept_init(&accept[i], listener, &conn);
		begin(&waiter[i], &accept[i].future);
		pending(&waiter[i]);
	}
	weir_listener_close(listener);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(ended(&waiter[i]), -ECANCELED);
	return 0;
}

/* Closing a listener resets the connections that nobody accepted: their clients do not hang. */
CASE(closing_a_listener_resets_its_queue, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *conn;
	char byte;

	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn));
	weir_listener_close(listener);
	ck_assert_int_eq(weir_tcp_recv(conn, &byte, 1), -ECONNRESET);
	weir_tcp_close(conn);
	return 0;
}

#define IN_QUEUE 40

/*
 * Half of the queued clients wait for a byte when the listener is closed; the others receive later.
 */
static void reset_a_crowd(struct weir_listener *listener, const struct weir_addr *addr)
{
	struct weir_tcp *conns[IN_QUEUE];
	struct waiter waiters[IN_QUEUE];
	struct weir_op ops[IN_QUEUE];
	char bytes[IN_QUEUE];

	for (int i = 0; i < IN_QUEUE; i++) {
		OK(weir_tcp_connect_addr(addr, WEIR_FOREVER, &conns[i]));
		weir_op_init_recv(&ops[i], weir_tcp_handle(conns[i]), &bytes[i], 1, 0);
	}
	for (int i = 0; i < IN_QUEUE; i += 2) {
		begin(&waiters[i], &ops[i].future);
		pending(&waiters[i]);
	}
	turns(3);
	weir_listener_close(listener);
	for (int i = 1; i < IN_QUEUE; i += 2)
		begin(&waiters[i], &ops[i].future);
	for (int i = 0; i < IN_QUEUE; i++) {
		ck_assert_int_eq(ended(&waiters[i]), -ECONNRESET);
		weir_tcp_close(conns[i]);
	}
}

CASE(closing_a_listener_resets_a_crowd, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);

	reset_a_crowd(listener, &addr);
	return 0;
}

/* The same after an accept: a backend may then accept further connections ahead (multishot). */
CASE(closing_a_listener_in_use_resets_a_crowd, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *near, *far;
	struct weir_accept_future accept;
	struct waiter waiter;

	weir_accept_init(&accept, listener, &far);
	begin(&waiter, &accept.future);
	pending(&waiter);
	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &near));
	ck_assert_int_eq(ended(&waiter), 0);
	reset_a_crowd(listener, &addr);
	pattern_send(near, 1, 0, 100);
	pattern_recv(far, 1, 0, 100);
	close_both(near, far);
	return 0;
}

/* ---- accepts that are cancelled while connections arrive ---- */

#define CALLERS 60

static int be_served(void *arg)
{
	struct weir_tcp *conn;
	char byte;
	int rc = weir_tcp_connect_addr(arg, WEIR_FOREVER, &conn);

	OK(rc);
	rc = weir_tcp_recv(conn, &byte, 1);
	ck_assert_msg(rc == 1 || rc == 0 || rc == -ECONNRESET, "unexpected result: %d", rc);
	weir_tcp_close(conn);
	return rc == 1;
}

static int serve_one(void *arg)
{
	struct weir_tcp *conn;
	int rc = weir_listener_accept(arg, &conn);

	if (rc < 0)
		return rc;
	rc = weir_tcp_send(conn, "x", 1);
	weir_tcp_close(conn);
	return rc;
}

static bool all_complete(struct weir_task **tasks, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!weir_task_is_complete(tasks[i]))
			return false;
	return true;
}

/* A client whose accept is aborted is served or sees the close; no client waits for ever. */
CASE(aborted_accepts_leave_nobody_waiting, 0)
{
	uint64_t random = env.seed;
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_task *callers[CALLERS], *server;
	unsigned served = 0, told = 0;
	int rc;

	for (unsigned i = 0; i < CALLERS; i++)
		callers[i] = spawn(be_served, &addr);
	while (!all_complete(callers, CALLERS)) {
		server = spawn(serve_one, listener);
		/* Simulated time passes only when no task can run. */
		if (draw(&random, 2))
			turns(draw(&random, 6));
		else
			OK(weir_sleep(WEIR_USEC));
		weir_task_abort(server);
		rc = finish(server);
		ck_assert_msg(rc == 1 || rc == -ECANCELED, "unexpected result: %d", rc);
		served += rc == 1;
	}
	for (unsigned i = 0; i < CALLERS; i++)
		told += finish(callers[i]) == 1;
	ck_assert_uint_eq(told, served);
	weir_listener_close(listener);
	return 0;
}

CASE(a_connect_waits_while_the_queue_is_full, 0)
{
	struct weir_tcp *conn, *accepted;
	struct crowd crowd;
	struct waiter waiter;
	struct weir_op op;

	crowd_open(&crowd);
	OK(weir_tcp_new(AF_INET, &conn));
	weir_op_init_connect(&op, weir_tcp_handle(conn), &crowd.addr.u.sa, crowd.addr.len);
	begin(&waiter, &op.future);
	pending(&waiter);
	for (unsigned i = 0; i < crowd.count; i++) {
		OK(weir_listener_accept(crowd.listener, &accepted));
		weir_tcp_close(accepted);
	}
	ck_assert_int_eq(ended(&waiter), 0);
	weir_tcp_close(conn);
	crowd_close(&crowd);
	return 0;
}

CASE(an_abstract_unix_name, WEIR_CAP_UNIX)
{
	struct weir_listener *listener;
	struct weir_tcp *one, *other;
	char name[64];

	snprintf(name, sizeof(name), "unix:@weir-conformance-%d", (int)getpid());
	OK(weir_listener_open(name, NULL, &listener));
	OK(weir_tcp_connect(name, WEIR_FOREVER, &one));
	OK(weir_listener_accept(listener, &other));
	pattern_send(one, 3, 0, 5000);
	pattern_recv(other, 3, 0, 5000);
	close_both(one, other);
	weir_listener_close(listener);
	return 0;
}

/* ---- no descriptors ---- */

/* With no descriptor left the accept waits. Once one is free, it returns the queued connection. */
CASE(out_of_descriptors, KERNEL_STREAMS)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *near, *far;
	struct weir_accept_future accept;
	struct waiter waiter;
	struct rlimit old;

	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &near));
	old = leave_files(0);
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &far), -EMFILE);

	weir_accept_init(&accept, listener, &far);
	begin(&waiter, &accept.future);
	pending(&waiter);
	ck_assert_int_eq(weir_listener_accept_until(listener, weir_deadline_in(SHORT_NS), &far),
			 -ETIMEDOUT);
	ck_assert(!weir_task_is_complete(waiter.task));
	OK(setrlimit(RLIMIT_NOFILE, &old));
	ck_assert_int_eq(ended(&waiter), 0);
	pattern_send(near, 4, 0, 100);
	pattern_recv(far, 4, 0, 100);
	close_both(near, far);
	weir_listener_close(listener);
	return 0;
}

#define MORE_THAN_FILES 20

/*
 * With a few descriptors left, as many connections are accepted. The others follow one by one as
 * connections are closed, until all have been served.
 */
CASE(descriptors_come_back_one_by_one, KERNEL_STREAMS)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *near[MORE_THAN_FILES], *far[MORE_THAN_FILES];
	struct rlimit old;
	int rc;

	for (int i = 0; i < MORE_THAN_FILES; i++)
		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &near[i]));
	old = leave_files(3);
	for (int i = 0; i < 3; i++)
		OK(weir_listener_accept(listener, &far[i]));
	rc = weir_listener_accept_until(listener, weir_deadline_in(SHORT_NS), &far[3]);
	ck_assert_int_eq(rc, -ETIMEDOUT);
	for (int i = 3; i < MORE_THAN_FILES; i++) {
		pattern_send(far[i - 3], 4, 0, 10);
		weir_tcp_close(far[i - 3]);
		OK(weir_listener_accept(listener, &far[i]));
	}
	OK(setrlimit(RLIMIT_NOFILE, &old));
	for (int i = MORE_THAN_FILES - 3; i < MORE_THAN_FILES; i++) {
		pattern_send(far[i], 4, 0, 10);
		weir_tcp_close(far[i]);
	}
	for (int i = 0; i < MORE_THAN_FILES; i++) {
		pattern_recv(near[i], 4, 0, 10);
		weir_tcp_close(near[i]);
	}
	weir_listener_close(listener);
	return 0;
}

/* An accept that waits for a descriptor can be cancelled, and no connection is lost. */
CASE(an_accept_without_descriptors_is_given_up, KERNEL_STREAMS)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *near, *far = NULL;
	struct weir_accept_future accept;
	struct waiter waiter;
	struct rlimit old;

	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &near));
	old = leave_files(0);
	for (int i = 0; i < 3; i++) {
		weir_accept_init(&accept, listener, &far);
		begin(&waiter, &accept.future);
		pending(&waiter);
		turns(3);
		ck_assert_int_eq(aborted(&waiter), -ECANCELED);
		weir_accept_fini(&accept);
		ck_assert_ptr_null(far);
	}
	OK(setrlimit(RLIMIT_NOFILE, &old));
	OK(weir_listener_accept(listener, &far));
	pattern_send(near, 4, 0, 100);
	pattern_recv(far, 4, 0, 100);
	close_both(near, far);
	weir_listener_close(listener);
	return 0;
}

/* ---- accepts that never wait ---- */

#define COMERS 20

static int come(const struct weir_addr *addr)
{
	int fd = socket(addr->u.sa.sa_family, SOCK_STREAM, 0);

	OK(fd);
	OK(connect(fd, &addr->u.sa, addr->len));
	return fd;
}

/*
 * Accepting without waiting finds every connection, whether it waits in the kernel's queue or the
 * backend has accepted it ahead.
 */
CASE(a_try_finds_all_waiting_connections, KERNEL_STREAMS)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *conn;
	int fds[COMERS];

	ck_assert_int_eq(weir_listener_accept_try(listener, &conn), -EAGAIN);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < COMERS; i++)
			fds[i] = come(&addr);
		for (int i = 0; i < COMERS; i++) {
			OK(weir_listener_accept_try(listener, &conn));
			weir_tcp_close(conn);
			close(fds[i]);
		}
		ck_assert_int_eq(weir_listener_accept_try(listener, &conn), -EAGAIN);
		/* From now on the backend may accept ahead. */
		ck_assert_int_eq(weir_listener_accept_until(listener, weir_deadline_in(WEIR_MSEC),
							    &conn),
				 -ETIMEDOUT);
	}
	weir_listener_close(listener);
	return 0;
}

CASE(a_try_without_descriptors_says_so, KERNEL_STREAMS)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	int fd = come(&addr);
	struct rlimit old = leave_files(0);
	struct weir_tcp *conn;

	ck_assert_int_eq(weir_listener_accept_try(listener, &conn), -EMFILE);
	OK(setrlimit(RLIMIT_NOFILE, &old));
	OK(weir_listener_accept_try(listener, &conn));
	weir_tcp_close(conn);
	close(fd);
	weir_listener_close(listener);
	return 0;
}

/* An operation whose capability the backend does not declare is refused. */
CASE(operations_without_their_capability_are_refused, 0)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease;
	struct weir_fd *foreign;
	struct weir_op op;

	connected(&one, &other);
	if (!(env.caps & WEIR_CAP_LEASE))
		ck_assert_int_eq(weir_tcp_recv_lease(one, &lease), -EOPNOTSUPP);
	if (!(env.caps & WEIR_CAP_FD)) {
		ck_assert_int_eq(weir_fd_open(0, &foreign), -EOPNOTSUPP);
		weir_op_init_poll(&op, weir_tcp_handle(one), WEIR_READABLE);
		ck_assert_int_eq(weir_await(&op.future), -EOPNOTSUPP);
	}
	close_both(one, other);
	return 0;
}

void conformance_listen(struct conformance_list *list)
{
	ONCE(list, both_ends_know_both_addresses);
	ONCE(list, a_port_is_had_by_one_listener);
	ONCE(list, options_can_be_set);
	ONCE(list, connecting_where_nobody_listens_is_refused);
	BOTH(list, a_connect_operation_is_refused_where_nobody_listens);
	BOTH(list, connect_and_accept_as_operations);
	BOTH(list, several_wait_for_a_connection);
	BOTH(list, closing_a_listener_ends_its_accepts);
	ONCE(list, closing_a_listener_resets_its_queue);
	BOTH(list, closing_a_listener_resets_a_crowd);
	BOTH(list, closing_a_listener_in_use_resets_a_crowd);
	ONCE(list, aborted_accepts_leave_nobody_waiting);
	BOTH(list, a_connect_waits_while_the_queue_is_full);
	ONCE(list, an_abstract_unix_name);
	BOTH(list, out_of_descriptors);
	ONCE(list, descriptors_come_back_one_by_one);
	BOTH(list, an_accept_without_descriptors_is_given_up);
	ONCE(list, a_try_finds_all_waiting_connections);
	ONCE(list, a_try_without_descriptors_says_so);
	ONCE(list, operations_without_their_capability_are_refused);
}
