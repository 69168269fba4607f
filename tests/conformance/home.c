/* SPDX-License-Identifier: MIT */
/*
 * home.c: where a stream lives. Streams of one worker are used from another; the cases run on every
 * backend, but only where streams are homed is there a home to which anything has to travel. And
 * a stream gets its backend when it connects.
 *
 * An errand is a task on another worker than the stream's. While it runs, the home is busy and
 * serves no mail.
 */
#include <netinet/tcp.h>
#include <sched.h>

#include "tests/conformance/conformance.h"

#define BYTES 1000

struct errand {
	struct weir_tcp *conn, *other;
	struct weir_backend *home;	/* where conn lives */
	atomic_bool done;
};

/* Starts the errand, and lets this worker do nothing until its first part is done. */
static struct weir_task *begin_errand(struct errand *errand, int (*fn)(void *))
{
	struct weir_task *task;

	atomic_store(&errand->done, false);
	task = spawn_on(1, fn, errand);
	while (!atomic_load(&errand->done))
		if (workers() > 1)
			sched_yield();
		else
			turns(1);
	return task;
}

/* The body of a case, on the worker where its streams will live. */
static int at_home(int (*fn)(void *))
{
	struct errand errand;

	return finish(spawn_on(0, fn, &errand));
}

/* ---- in order with the sends ---- */

/* The sends do not wait: a send that is in flight when the stream is shut down may fail. */
static int send_end_send(void *arg)
{
	struct errand *errand = arg;
	struct weir_handle *handle = weir_tcp_handle(errand->conn);
	unsigned here = (unsigned)weir_rt_worker_index();
	struct waiter sends[2];
	struct weir_op ops[2];
	uint8_t bytes[BYTES];
	int sent;

	pattern_fill(1, 0, bytes, BYTES);
	for (int i = 0; i < 2; i++) {
		weir_op_init_send(&ops[i], handle, bytes, BYTES, WEIR_OP_TRY);
		begin_on(here, &sends[i], &ops[i].future);
		pending(&sends[i]);
		if (i == 0)
			OK(weir_tcp_shutdown(errand->conn, SHUT_WR));
	}
	atomic_store(&errand->done, true);
	sent = ended(&sends[0]);
	ck_assert_int_gt(sent, 0);
	ck_assert_int_eq(ended(&sends[1]), -EPIPE);
	return sent;
}

static int shutdown_between_sends(void *arg)
{
	struct errand *errand = arg;
	struct weir_task *task;
	char byte;

	connected(&errand->conn, &errand->other);
	task = begin_errand(errand, send_end_send);
	pattern_recv(errand->other, 1, 0, (size_t)finish(task));
	ck_assert_int_eq(weir_tcp_recv(errand->other, &byte, 1), 0);
	close_both(errand->conn, errand->other);
	return 0;
}

CASE(a_shutdown_elsewhere_is_made_between_the_sends, 0)
{
	return at_home(shutdown_between_sends);
}

/* ---- in order with what the home does ---- */

#define SENDS 3

/* Each sends a byte, and neither waits nor can be cut short. */
static int send_bytes(void *arg)
{
	struct errand *errand = arg;
	unsigned here = (unsigned)weir_rt_worker_index();
	struct waiter sends[SENDS];
	struct weir_op ops[SENDS];
	uint8_t bytes[SENDS];

	pattern_fill(1, 0, bytes, SENDS);
	for (int i = 0; i < SENDS; i++) {
		weir_op_init_send(&ops[i], weir_tcp_handle(errand->conn), &bytes[i], 1,
				  WEIR_OP_TRY);
		begin_on(here, &sends[i], &ops[i].future);
		pending(&sends[i]);
	}
	atomic_store(&errand->done, true);
	for (int i = 0; i < SENDS; i++) {
		ck_assert_int_eq(ended(&sends[i]), 1);
		if (env.homed_writes)
			ck_assert_ptr_eq(ops[i].backend, errand->home);
	}
	return 0;
}

/* The home sends, or closes the stream, before it has served the sends that were mailed to it. */
static void go_on_at_home(struct errand *errand, bool sends)
{
	struct weir_task *task;
	char byte;

	connected(&errand->conn, &errand->other);
	errand->home = weir_tcp_handle(errand->conn)->backend;
	task = begin_errand(errand, send_bytes);
	if (sends)
		pattern_send(errand->conn, 1, SENDS, 1);
	weir_tcp_close(errand->conn);
	ck_assert_int_eq(finish(task), 0);
	pattern_recv(errand->other, 1, 0, SENDS + sends);
	ck_assert_int_eq(weir_tcp_recv(errand->other, &byte, 1), 0);
	weir_tcp_close(errand->other);
}

static int send_behind_sends(void *arg)
{
	go_on_at_home(arg, true);
	return 0;
}

CASE(a_send_at_home_comes_after_those_that_were_started_elsewhere, 0)
{
	for (int i = 0; i < 10; i++)
		at_home(send_behind_sends);
	return 0;
}

static int close_behind_sends(void *arg)
{
	go_on_at_home(arg, false);
	return 0;
}

CASE(a_close_comes_after_the_sends_that_were_started_elsewhere, 0)
{
	for (int i = 0; i < 10; i++)
		at_home(close_behind_sends);
	return 0;
}

/* The send waits, because it has more bytes than the connection buffers. */
static int cancel_a_send(void *arg)
{
	struct errand *errand = arg;
	uint8_t *bytes = malloc(LARGE_BYTES);
	struct waiter waiter;
	struct weir_op op;

	pattern_fill(1, 0, bytes, LARGE_BYTES);
	weir_op_init_send(&op, weir_tcp_handle(errand->conn), bytes, LARGE_BYTES, WEIR_OP_ALL);
	begin_on((unsigned)weir_rt_worker_index(), &waiter, &op.future);
	pending(&waiter);
	weir_task_abort(waiter.task);
	turns(4);
	atomic_store(&errand->done, true);
	ck_assert_int_eq(ended(&waiter), -ECANCELED);
	free(bytes);
	return (int)op.u.io.done;
}

static int cancel_behind_a_send(void *arg)
{
	struct errand *errand = arg;
	size_t sent;

	connected(&errand->conn, &errand->other);
	sent = (size_t)finish(begin_errand(errand, cancel_a_send));
	pattern_recv(errand->other, 1, 0, sent);
	pattern_send(errand->conn, 1, sent, 10);
	pattern_recv(errand->other, 1, sent, 10);
	close_both(errand->conn, errand->other);
	return 0;
}

/* The home has not submitted the send when its task cancels it. */
CASE(a_cancel_comes_after_the_submit_of_its_operation, 0)
{
	if (sends_wait_for_the_peer())
		return 0;
	return at_home(cancel_behind_a_send);
}

/* ---- settings ---- */

static int reset_elsewhere(void *arg)
{
	struct errand *errand = arg;

	weir_tcp_reset(errand->conn);
	atomic_store(&errand->done, true);
	return 0;
}

static int be_reset(void *arg)
{
	struct errand *errand = arg;
	char byte;

	connected(&errand->conn, &errand->other);
	ck_assert_int_eq(finish(begin_errand(errand, reset_elsewhere)), 0);
	ck_assert_int_eq(weir_tcp_recv(errand->other, &byte, 1), -ECONNRESET);
	weir_tcp_close(errand->other);
	return 0;
}

CASE(a_reset_elsewhere_resets, 0)
{
	return at_home(be_reset);
}

static int set_all(void *arg)
{
	const struct weir_keepalive keepalive = { 60, 10, 3 };
	struct errand *errand = arg;

	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(weir_tcp_set_nodelay(errand->conn, i % 2), 0);
		ck_assert_int_eq(weir_tcp_set_keepalive(errand->conn, &keepalive), 0);
		ck_assert_int_eq(weir_tcp_set_linger(errand->conn, -1), 0);
		ck_assert_int_eq(weir_tcp_shutdown(errand->conn, 7), -EINVAL);
		turns(1);
	}
	return 0;
}

CASE(every_worker_sets_options_under_load, 0)
{
	struct weir_task *setting[4];
	struct errand errand;

	connected(&errand.conn, &errand.other);
	for (unsigned i = 0; i < 4; i++)
		setting[i] = spawn_on(i, set_all, &errand);
	for (size_t at = 0; at < 100 * BYTES; at += BYTES) {
		pattern_send(errand.conn, 1, at, BYTES);
		pattern_recv(errand.other, 1, at, BYTES);
	}
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(finish(setting[i]), 0);
	close_both(errand.conn, errand.other);
	return 0;
}

/* ---- addresses ---- */

static void same(const struct weir_addr *a, const struct weir_addr *b)
{
	ck_assert_uint_eq(a->len, b->len);
	ck_assert_mem_eq(&a->u, &b->u, a->len);
}

static int ask_for_addresses(void *arg)
{
	struct weir_addr near[2], far[2];
	struct errand *errand = arg;

	OK(weir_tcp_local_addr(errand->conn, &near[0]));
	OK(weir_tcp_peer_addr(errand->conn, &far[0]));
	OK(weir_tcp_local_addr(errand->other, &near[1]));
	OK(weir_tcp_peer_addr(errand->other, &far[1]));
	same(&near[0], &far[1]);
	same(&near[1], &far[0]);
	atomic_store(&errand->done, true);
	return 0;
}

static int addresses(void *arg)
{
	struct errand *errand = arg;
	struct weir_addr addr;
	char byte;

	connected(&errand->conn, &errand->other);
	ck_assert_int_eq(finish(begin_errand(errand, ask_for_addresses)), 0);
	weir_tcp_reset(errand->other);
	ck_assert_int_eq(weir_tcp_recv(errand->conn, &byte, 1), -ECONNRESET);
	/* The kernel forgets the addresses of a broken connection, in part. */
	if (!(env.caps & KERNEL_STREAMS)) {
		OK(weir_tcp_local_addr(errand->conn, &addr));
		OK(weir_tcp_peer_addr(errand->conn, &addr));
	}
	weir_tcp_close(errand->conn);
	return 0;
}

CASE(addresses_are_known_on_every_worker, 0)
{
	return at_home(addresses);
}

/* ---- a stream is attached when it connects ---- */

/* Connects by hand, in both kinds of tasks. */
static int connect_to(struct weir_tcp *conn, const struct weir_addr *addr)
{
	struct waiter waiter;
	struct weir_op op;

	weir_op_init_connect(&op, weir_tcp_handle(conn), &addr->u.sa, addr->len);
	begin(&waiter, &op.future);
	return ended(&waiter);
}

static void check_option(struct weir_tcp *conn, int level, int name, int wanted)
{
	socklen_t len = sizeof(int);
	int value;

	ck_assert_int_eq(getsockopt(weir_tcp_handle(conn)->fd, level, name, &value, &len), 0);
	ck_assert_int_eq(value, wanted);
}

CASE(options_are_kept_until_the_connect, 0)
{
	const struct weir_keepalive keepalive = { 60, 10, 3 }, too_long = { 40000, 0, 0 };
	struct weir_addr addr, other_family;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *conn, *accepted;
	char byte;

	OK(weir_tcp_new(AF_INET, &conn));
	ck_assert_int_eq(weir_tcp_set_keepalive(conn, &too_long), -EINVAL);
	OK(weir_tcp_set_keepalive(conn, &keepalive));
	OK(weir_tcp_set_nodelay(conn, false));
	OK(weir_tcp_set_nodelay(conn, true));
	OK(weir_tcp_set_linger(conn, 0));
	/* What fails to begin leaves them alone. */
	OK(weir_addr_parse("[::1]:9", &other_family));
	ck_assert_int_eq(connect_to(conn, &other_family), -EAFNOSUPPORT);
	OK(connect_to(conn, &addr));
	OK(weir_listener_accept(listener, &accepted));
	if (env.caps & KERNEL_STREAMS) {
		check_option(conn, IPPROTO_TCP, TCP_NODELAY, 1);
		check_option(conn, SOL_SOCKET, SO_KEEPALIVE, 1);
		check_option(conn, IPPROTO_TCP, TCP_KEEPINTVL, 10);
		check_option(conn, IPPROTO_TCP, TCP_KEEPCNT, 3);
	}
	weir_tcp_close(conn);
	ck_assert_int_eq(weir_tcp_recv(accepted, &byte, 1), -ECONNRESET);
	weir_tcp_close(accepted);
	weir_listener_close(listener);
	return 0;
}

CASE(before_the_connect_there_is_no_connection, WEIR_CAP_UNIX)
{
	struct weir_tcp *conn;
	struct weir_addr addr;
	char byte = 'x';

	OK(weir_tcp_new(AF_UNIX, &conn));
	ck_assert_int_eq(weir_tcp_recv(conn, &byte, 1), -ENOTCONN);
	ck_assert_int_eq(weir_tcp_send(conn, &byte, 1), -ENOTCONN);
	ck_assert_int_eq(weir_tcp_shutdown(conn, SHUT_WR), -ENOTCONN);
	ck_assert_int_eq(weir_tcp_local_addr(conn, &addr), -ENOTCONN);
	ck_assert_int_eq(weir_tcp_peer_addr(conn, &addr), -ENOTCONN);
	ck_assert_int_eq(weir_tcp_set_nodelay(conn, true), -EOPNOTSUPP);
	weir_tcp_reset(conn);
	return 0;
}

/* Listens on an address, connects to it, and checks whose descriptor serves the two ends. */
static void connect_on_side(const char *host, bool of_the_kernel)
{
	struct weir_tcp *conn, *accepted;
	struct weir_listener *listener;
	struct weir_addr addr;

	OK(weir_listener_open(host, NULL, &listener));
	OK(weir_listener_addr(listener, &addr));
	OK(weir_tcp_new(AF_INET, &conn));
	OK(weir_tcp_set_nodelay(conn, true));
	OK(connect_to(conn, &addr));
	OK(weir_listener_accept(listener, &accepted));
	ck_assert_int_eq(weir_tcp_handle(conn)->fd >= 0, of_the_kernel);
	ck_assert_int_eq(weir_tcp_handle(accepted)->fd >= 0, of_the_kernel);
	pattern_send(conn, 1, 0, BYTES);
	pattern_recv(accepted, 1, 0, BYTES);
	close_both(conn, accepted);
	weir_listener_close(listener);
}

CASE(the_destination_chooses_the_side, TWO_SIDES)
{
	connect_on_side("127.0.0.1:0", false);
	connect_on_side("127.0.0.2:0", true);
	return 0;
}

/* ---- spawning where a stream lives ---- */

/* A task that says where its polls were: the first one, and whether a later one was elsewhere. */
struct visitor {
	struct weir_yield_future yield;
	int first, polls;
	bool moved;
};

static void visit(struct visitor *v)
{
	int here = weir_rt_worker_index();

	if (v->polls++ == 0)
		v->first = here;
	v->moved |= here != v->first;
}

static int visit_fiber(void *arg)
{
	for (int i = 0; i < 10; i++) {
		visit(arg);
		turns(1);
	}
	return 0;
}

static int visit_stackless(void *state, struct weir_cx *cx)
{
	struct visitor *v = *(struct visitor **)state;
	int rc = 0;

	while (rc == 0 && v->polls < 10) {
		visit(v);
		weir_yield_init(&v->yield);
		rc = weir_poll(&v->yield.future, cx);
	}
	return rc;
}

static void send_visitor(struct weir_tcp *conn, unsigned flags, struct visitor *v)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	*v = (struct visitor){ .first = -1 };
	cfg.flags = flags;
	if (env.stackless) {
		cfg.poll = visit_stackless;
		cfg.state = &v;
		cfg.state_bytes = sizeof(v);
	} else {
		cfg.fn = visit_fiber;
		cfg.arg = v;
	}
	OK(weir_tcp_spawn(conn, &cfg, &task));
	ck_assert_int_eq(finish(task), 0);
}

/* The worker where a stream lives; -1 for none in particular. */
static int home_of(struct weir_tcp *conn)
{
	const struct weir_handle *handle = weir_tcp_handle(conn);

	return handle->homed ? (int)handle->backend->index : -1;
}

static int send_visitors(void *arg)
{
	struct errand *errand = arg;
	int home = home_of(errand->conn);
	struct visitor v;

	for (int i = 0; i < 20; i++) {
		send_visitor(errand->conn, i % 2 ? WEIR_TASK_PINNED : 0, &v);
		ck_assert(home < 0 || v.first == home);
		ck_assert(i % 2 == 0 || !v.moved);
	}
	return 0;
}

static int connect_here(void *arg)
{
	struct errand *errand = arg;

	connected(&errand->conn, &errand->other);
	return 0;
}

/* Streams of every worker, and tasks of every worker that spawn there. */
CASE(a_task_begins_where_a_stream_lives, 0)
{
	struct weir_task *senders[4];
	struct errand errand;

	for (unsigned home = 0; home < workers(); home++) {
		ck_assert_int_eq(finish(spawn_on(home, connect_here, &errand)), 0);
		if (home_of(errand.conn) >= 0)
			ck_assert_int_eq(home_of(errand.conn), (int)home);
		for (unsigned i = 0; i < 4; i++)
			senders[i] = spawn_on(i, send_visitors, &errand);
		for (unsigned i = 0; i < 4; i++)
			ck_assert_int_eq(finish(senders[i]), 0);
		close_both(errand.conn, errand.other);
	}
	return 0;
}

#define SERVED 24u

struct server {
	struct weir_listener *listener;
	struct weir_serve_config cfg;
	atomic_uint served, elsewhere;
};

static void serve_at_home(struct weir_tcp *conn, void *arg)
{
	struct server *server = arg;
	int home = home_of(conn);

	if (home >= 0 && home != weir_rt_worker_index())
		server->elsewhere++;
	weir_tcp_close(conn);
	server->served++;
}

static int serve(void *arg)
{
	struct server *server = arg;

	return weir_listener_serve(server->listener, &server->cfg, serve_at_home, server);
}

static void serve_connections(enum weir_dispatch dispatch)
{
	struct server server = { .cfg = WEIR_SERVE_CONFIG_INIT };
	struct weir_task *serving;
	struct weir_addr addr;
	struct weir_tcp *conn;
	char byte;

	server.cfg.dispatch = dispatch;
	server.listener = open_listener(&addr);
	serving = spawn(serve, &server);
	for (unsigned i = 0; i < SERVED; i++) {
		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn));
		ck_assert_int_eq(weir_tcp_recv(conn, &byte, 1), 0);
		weir_tcp_close(conn);
	}
	weir_task_abort(serving);
	ck_assert_int_eq(finish(serving), -ECANCELED);
	ck_assert_uint_eq(server.served, SERVED);
	ck_assert_uint_eq(server.elsewhere, 0);
	weir_listener_close(server.listener);
}

CASE(connections_are_served_where_they_live, 0)
{
	serve_connections(WEIR_DISPATCH_LOCAL);
	serve_connections(WEIR_DISPATCH_LEAST_LOADED);
	return 0;
}

void conformance_home(struct conformance_list *list)
{
	BOTH(list, a_shutdown_elsewhere_is_made_between_the_sends);
	BOTH(list, a_send_at_home_comes_after_those_that_were_started_elsewhere);
	BOTH(list, a_close_comes_after_the_sends_that_were_started_elsewhere);
	BOTH(list, a_cancel_comes_after_the_submit_of_its_operation);
	ONCE(list, a_reset_elsewhere_resets);
	ONCE(list, every_worker_sets_options_under_load);
	ONCE(list, addresses_are_known_on_every_worker);
	BOTH(list, options_are_kept_until_the_connect);
	ONCE(list, before_the_connect_there_is_no_connection);
	BOTH(list, the_destination_chooses_the_side);
	BOTH(list, a_task_begins_where_a_stream_lives);
	ONCE(list, connections_are_served_where_they_live);
}
