/* SPDX-License-Identifier: MIT */
/*
 * shards.c: listeners with a socket (shard) for each group of workers, and serving them: which
 * worker gets which connection, and that each connection is delivered once.
 */
#include <unistd.h>

#include "tests/conformance/conformance.h"
#include "weir/topo.h"

static unsigned groups(void)
{
	return weir_rt_plan(env.rt)->groups_len;
}

static unsigned group_of(unsigned worker)
{
	return weir_rt_plan(env.rt)->workers[worker].group;
}

static struct weir_listener *open_shards(enum weir_shards shards, struct weir_addr *ret_addr)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *listener;

	cfg.shards = shards;
	OK(weir_listener_open("127.0.0.1:0", &cfg, &listener));
	OK(weir_listener_addr(listener, ret_addr));
	return listener;
}

/*
 * Each worker closes its own shard when it has its turn. Clients that get in until then are reset,
 * some of them before their connect has returned.
 */
static void closed_soon(const struct weir_addr *addr)
{
	struct weir_tcp *conn;
	int rc;

	while ((rc = weir_tcp_connect_addr(addr, WEIR_FOREVER, &conn)) != -ECONNREFUSED) {
		ck_assert_msg(rc == 0 || rc == -ECONNRESET, "unexpected result: %d", rc);
		if (rc == 0)
			weir_tcp_close(conn);
		turns(1);
	}
}

/* ---- opening ---- */

CASE_IN_GROUPS(a_shard_for_each_group, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_shards(WEIR_SHARDS_GROUP, &addr);

	ck_assert_uint_eq(groups(), workers() > 1 ? 2 : 1);
	ck_assert_uint_eq(weir_listener_shards(listener), groups());
	ck_assert_uint_ne(weir_addr_port(&addr), 0);
	weir_listener_close(listener);
	listener = open_shards(WEIR_SHARDS_WORKER, &addr);
	ck_assert_uint_eq(weir_listener_shards(listener), workers());
	weir_listener_close(listener);
	listener = open_shards(WEIR_SHARDS_ONE, &addr);
	ck_assert_uint_eq(weir_listener_shards(listener), 1);
	weir_listener_close(listener);
	return 0;
}

/* The shards of a listener share a port. Other listeners cannot join, with or without shards. */
CASE_IN_GROUPS(shards_have_the_port_for_themselves, 0)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_addr addr;
	struct weir_listener *listener = open_shards(WEIR_SHARDS_GROUP, &addr), *other;

	ck_assert_int_eq(weir_listener_open_addr(&addr, &cfg, &other), -EADDRINUSE);
	cfg.shards = WEIR_SHARDS_GROUP;
	ck_assert_int_eq(weir_listener_open_addr(&addr, &cfg, &other), -EADDRINUSE);
	weir_listener_close(listener);
	closed_soon(&addr);
	return 0;
}

CASE_IN_GROUPS(shards_of_two_listeners_share_a_port_when_both_say_so, 0)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *one, *other;
	struct weir_addr addr;

	cfg.shards = WEIR_SHARDS_GROUP;
	cfg.reuse_port = true;
	OK(weir_listener_open("127.0.0.1:0", &cfg, &one));
	OK(weir_listener_addr(one, &addr));
	OK(weir_listener_open_addr(&addr, &cfg, &other));
	weir_listener_close(other);
	weir_listener_close(one);
	cfg.steer = WEIR_STEER_CPU;
	ck_assert_int_eq(weir_listener_open_addr(&addr, &cfg, &one), -EINVAL);
	return 0;
}

CASE_IN_GROUPS(a_unix_listener_has_one_socket, WEIR_CAP_UNIX)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *listener;
	struct weir_tcp *one, *other;
	char name[64];

	cfg.shards = WEIR_SHARDS_WORKER;
	snprintf(name, sizeof(name), "unix:@weir-shards-%d", (int)getpid());
	OK(weir_listener_open(name, &cfg, &listener));
	ck_assert_uint_eq(weir_listener_shards(listener), 1);
	OK(weir_tcp_connect(name, WEIR_FOREVER, &one));
	OK(weir_listener_accept(listener, &other));
	close_both(one, other);
	weir_listener_close(listener);
	return 0;
}

/*
 * Binds a port without listening, so that the kernel does not assign it to others. Not through
 * weir: a socket that the backend closes may count as an open descriptor for a while.
 */
static int hold_port(struct weir_addr *ret_addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	OK(fd);
	OK(weir_addr_parse("127.0.0.1:0", ret_addr));
	OK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	OK(bind(fd, &ret_addr->u.sa, ret_addr->len));
	OK(getsockname(fd, &ret_addr->u.sa, &ret_addr->len));
	return fd;
}

/*
 * If descriptors run out before the last shard, no shard stays open and the port becomes free. It
 * may take a moment: a closed socket refuses clients before it has released its port.
 */
CASE_IN_GROUPS(all_shards_are_opened_or_none, KERNEL_STREAMS)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *listener;
	struct weir_addr addr;
	struct rlimit old;
	int held = hold_port(&addr), rc;

	cfg.shards = WEIR_SHARDS_WORKER;
	old = leave_files(workers() - 1);
	ck_assert_int_eq(weir_listener_open_addr(&addr, &cfg, &listener), -EMFILE);
	OK(setrlimit(RLIMIT_NOFILE, &old));
	closed_soon(&addr);
	while ((rc = weir_listener_open_addr(&addr, &cfg, &listener)) == -EADDRINUSE)
		turns(1);
	OK(rc);
	weir_listener_close(listener);
	close(held);
	return 0;
}

static int open_by_hand(void *state, struct weir_cx *cx)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *listener;

	(void)state;
	(void)cx;
	cfg.shards = WEIR_SHARDS_GROUP;
	return weir_listener_open("127.0.0.1:0", &cfg, &listener);
}

CASE_IN_GROUPS(several_shards_are_opened_on_a_fiber, 0)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	if (groups() == 1)
		return 0;
	cfg.poll = open_by_hand;
	OK(weir_task_spawn(NULL, &cfg, &task));
	ck_assert_int_eq(finish(task), -EPERM);
	return 0;
}

/* ---- accepting ---- */

struct acceptor {
	struct weir_listener *listener;
	atomic_uint *accepted;
	int wrong;			/* connections that came to another group's shard */
};

static int accept_all(void *arg)
{
	struct acceptor *a = arg;
	struct weir_tcp *conn;
	int rc;

	while ((rc = weir_listener_accept(a->listener, &conn)) == 0) {
		unsigned home = weir_tcp_handle(conn)->backend->index;

		a->wrong += group_of(home) != group_of((unsigned)weir_rt_worker_index());
		atomic_fetch_add(a->accepted, 1);
		weir_tcp_close(conn);
	}
	return rc;
}

#define CLIENTS 40

/* Each connection is delivered once, to a task of the group whose shard it came to. */
CASE_IN_GROUPS(each_connection_arrives_once, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_shards(WEIR_SHARDS_GROUP, &addr);
	atomic_uint accepted = 0;
	struct acceptor acceptors[8];
	struct weir_task *tasks[8];
	char byte;

	for (unsigned i = 0; i < workers(); i++) {
		acceptors[i] = (struct acceptor){ listener, &accepted, 0 };
		tasks[i] = spawn_on(i, accept_all, &acceptors[i]);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct weir_tcp *conn;

		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn));
		ck_assert_int_eq(weir_tcp_recv(conn, &byte, 1), 0);
		weir_tcp_close(conn);
	}
	ck_assert_uint_eq(atomic_load(&accepted), CLIENTS);
	/* Lets every task reach its next accept, so that all are pending when they are aborted. */
	turns(10);
	for (unsigned i = 0; i < workers(); i++)
		weir_task_abort(tasks[i]);
	for (unsigned i = 0; i < workers(); i++) {
		ck_assert_int_eq(finish(tasks[i]), -ECANCELED);
		ck_assert_int_eq(acceptors[i].wrong, 0);
	}
	weir_listener_close(listener);
	return 0;
}

CASE_IN_GROUPS(closing_shards_ends_their_accepts, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_shards(WEIR_SHARDS_WORKER, &addr);
	struct weir_accept_future accept[8];
	struct waiter waiter[8];
	struct weir_tcp *conn;

	for (unsigned i = 0; i < workers(); i++) {
		weir_accept_init(&accept[i], listener, &conn);
		begin_on(i, &waiter[i], &accept[i].future);
		pending(&waiter[i]);
	}
	weir_listener_close(listener);
	for (unsigned i = 0; i < workers(); i++)
		ck_assert_int_eq(ended(&waiter[i]), -ECANCELED);
	closed_soon(&addr);
	return 0;
}

/* ---- serving ---- */

struct service {
	struct weir_listener *listener;
	struct weir_serve_config cfg;
	atomic_uint begun, served;
	atomic_uint by[8];		/* connections served by each worker */
	struct weir_tcp *conns[CLIENTS];
	atomic_int room;		/* how many more connections admit lets in */
	struct weir_notify change;
};

static void service_init(struct service *s, struct weir_listener *listener,
			 enum weir_dispatch dispatch)
{
	memset(s, 0, sizeof(*s));
	s->listener = listener;
	s->cfg.size = sizeof(s->cfg);
	s->cfg.dispatch = dispatch;
	weir_notify_init(&s->change);
}

/* Keeps the connection open, so that it counts as the worker's load. */
static void take_conn(struct weir_tcp *conn, void *arg)
{
	struct service *s = arg;

	atomic_fetch_add(&s->by[weir_rt_worker_index()], 1);
	s->conns[atomic_fetch_add(&s->begun, 1)] = conn;
	atomic_fetch_add(&s->served, 1);
	weir_notify_one(&s->change);
}

static int serve(void *arg)
{
	struct service *s = arg;

	return weir_listener_serve(s->listener, &s->cfg, take_conn, s);
}

static void wait_served(struct service *s, unsigned count)
{
	while (atomic_load(&s->served) < count)
		OK(weir_notify_wait(&s->change));
}

/* Finds the most and the fewest connections that a worker of the group has. */
static void spread(struct service *s, unsigned group, unsigned *ret_most, unsigned *ret_fewest)
{
	*ret_most = 0;
	*ret_fewest = CLIENTS;
	for (unsigned i = 0; i < workers(); i++) {
		unsigned n = atomic_load(&s->by[i]);

		if (group_of(i) != group)
			continue;
		*ret_most = n > *ret_most ? n : *ret_most;
		*ret_fewest = n < *ret_fewest ? n : *ret_fewest;
	}
}

static void service_end(struct service *s, struct weir_task *task)
{
	weir_task_abort(task);
	ck_assert_int_eq(finish(task), -ECANCELED);
	for (unsigned i = 0; i < atomic_load(&s->served); i++)
		weir_tcp_close(s->conns[i]);
	weir_listener_close(s->listener);
	weir_notify_fini(&s->change);
}

/*
 * With least-loaded dispatch, the workers of a group get equally many connections while none ends.
 */
CASE_IN_GROUPS(the_least_loaded_gets_the_next, FREE_STREAMS)
{
	struct weir_tcp *conns[CLIENTS];
	struct weir_addr addr;
	struct service s;
	struct weir_task *task;
	unsigned most, fewest, ones = 0;

	service_init(&s, open_shards(WEIR_SHARDS_GROUP, &addr), WEIR_DISPATCH_LEAST_LOADED);
	task = spawn(serve, &s);
	for (unsigned i = 0; i < CLIENTS; i++) {
		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conns[i]));
		wait_served(&s, i + 1);
	}
	for (unsigned g = 0; g < groups(); g++) {
		spread(&s, g, &most, &fewest);
		ck_assert_uint_le(most - fewest, 1);
		ones += most > 0;
	}
	/* The kernel's hash gives each group some of the forty connections. */
	ck_assert_uint_eq(ones, groups());
	for (unsigned i = 0; i < CLIENTS; i++)
		weir_tcp_close(conns[i]);
	service_end(&s, task);
	return 0;
}

/* Closed connections are no load: connections one after the other stay on the accepting worker. */
CASE_IN_GROUPS(an_idle_worker_keeps_the_connections_it_accepts, 0)
{
	struct weir_addr addr;
	struct service s;
	struct weir_task *task;
	struct weir_tcp *conn;
	unsigned opener;

	service_init(&s, open_shards(WEIR_SHARDS_ONE, &addr), WEIR_DISPATCH_LEAST_LOADED);
	opener = weir_listener_handle(s.listener)->backend->index;
	task = spawn(serve, &s);
	for (unsigned i = 0; i < 10; i++) {
		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn));
		wait_served(&s, i + 1);
		weir_tcp_close(s.conns[i]);
		s.conns[i] = NULL;
		weir_tcp_close(conn);
	}
	ck_assert_uint_eq(atomic_load(&s.by[opener]), 10);
	service_end(&s, task);
	return 0;
}

struct hog {
	atomic_bool runs, stop;
};

static int hold_worker(void *arg)
{
	struct hog *hog = arg;

	atomic_store(&hog->runs, true);
	while (!atomic_load(&hog->stop))
		continue;
	return 0;
}

/* All tasks are on one worker, because operations on the stuck worker's ring do not progress. */
static int serve_beside_a_stuck_worker(void *arg)
{
	unsigned here = (unsigned)weir_rt_worker_index(), stuck = (here + 1) % workers();
	struct weir_tcp *conns[10];
	struct hog hog = { false, false };
	struct weir_addr addr;
	struct service s;
	struct weir_task *task, *hogs;

	(void)arg;
	service_init(&s, open_shards(WEIR_SHARDS_ONE, &addr), WEIR_DISPATCH_LEAST_LOADED);
	task = spawn_on(here, serve, &s);
	hogs = spawn_on(stuck, hold_worker, &hog);
	while (!atomic_load(&hog.runs))
		turns(1);
	for (unsigned i = 0; i < 10; i++) {
		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conns[i]));
		wait_served(&s, i > 0 ? i : 1);
	}
	/* It was assigned one, which it has not begun to serve. The others got the rest. */
	ck_assert_uint_eq(atomic_load(&s.by[stuck]), 0);
	wait_served(&s, 9);
	atomic_store(&hog.stop, true);
	OK(finish(hogs));
	wait_served(&s, 10);
	ck_assert_uint_eq(atomic_load(&s.by[stuck]), 1);
	for (unsigned i = 0; i < 10; i++)
		weir_tcp_close(conns[i]);
	service_end(&s, task);
	return 0;
}

CASE(a_stuck_worker_gets_one_and_no_more, FREE_STREAMS)
{
	if (workers() > 1)
		ck_assert_int_eq(finish(spawn_on(0, serve_beside_a_stuck_worker, NULL)), 0);
	return 0;
}

/* The clients are in the queue when serving begins. It is aborted at once, and serves them all. */
static void serve_what_is_queued(enum weir_dispatch dispatch)
{
	struct weir_tcp *conns[CLIENTS];
	struct weir_addr addr;
	struct service s;
	struct weir_task *task;

	service_init(&s, open_shards(WEIR_SHARDS_GROUP, &addr), dispatch);
	for (unsigned i = 0; i < CLIENTS; i++)
		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conns[i]));
	task = spawn(serve, &s);
	weir_task_abort(task);
	ck_assert_int_eq(finish(task), -ECANCELED);
	ck_assert_uint_eq(atomic_load(&s.served), CLIENTS);
	for (unsigned i = 0; i < CLIENTS; i++) {
		close_both(conns[i], s.conns[i]);
		s.conns[i] = NULL;
	}
	weir_listener_close(s.listener);
	weir_notify_fini(&s.change);
}

CASE_IN_GROUPS(clients_in_the_queue_when_serving_ends_are_served, 0)
{
	serve_what_is_queued(WEIR_DISPATCH_LOCAL);
	serve_what_is_queued(WEIR_DISPATCH_LEAST_LOADED);
	return 0;
}

CASE_IN_GROUPS(closing_the_listener_ends_serving, 0)
{
	struct weir_addr addr;
	struct service s;
	struct weir_task *task;
	struct weir_tcp *conn;

	service_init(&s, open_shards(WEIR_SHARDS_WORKER, &addr), WEIR_DISPATCH_LOCAL);
	task = spawn(serve, &s);
	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn));
	wait_served(&s, 1);
	weir_listener_close(s.listener);
	ck_assert_int_eq(finish(task), -ECANCELED);
	close_both(conn, s.conns[0]);
	weir_notify_fini(&s.change);
	return 0;
}

static int admit(void *arg, bool may_wait)
{
	struct service *s = arg;

	(void)may_wait;
	if (atomic_fetch_sub(&s->room, 1) > 0)
		return 0;
	return -EAGAIN;
}

CASE_IN_GROUPS(a_connection_that_is_not_admitted_is_reset, 0)
{
	struct weir_tcp *conns[3];
	struct weir_addr addr;
	struct service s;
	struct weir_task *task;
	char byte;
	int rc;

	service_init(&s, open_shards(WEIR_SHARDS_GROUP, &addr), WEIR_DISPATCH_LEAST_LOADED);
	s.cfg.admit = admit;
	atomic_store(&s.room, 2);
	task = spawn(serve, &s);
	for (unsigned i = 0; i < 2; i++) {
		OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conns[i]));
		wait_served(&s, i + 1);
	}
	/* The third is not admitted: it is reset, perhaps before its connect has returned. */
	rc = weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conns[2]);
	if (rc == 0) {
		rc = weir_tcp_recv(conns[2], &byte, 1);
		weir_tcp_close(conns[2]);
	}
	ck_assert_int_eq(rc, -ECONNRESET);
	ck_assert_uint_eq(atomic_load(&s.served), 2);
	close_both(conns[0], conns[1]);
	service_end(&s, task);
	return 0;
}

CASE(serving_needs_a_listener_and_a_function, 0)
{
	struct weir_serve_config cfg = WEIR_SERVE_CONFIG_INIT;
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);

	ck_assert_int_eq(weir_listener_serve(NULL, NULL, take_conn, NULL), -EINVAL);
	ck_assert_int_eq(weir_listener_serve(listener, NULL, NULL, NULL), -EINVAL);
	cfg.dispatch = 7;
	ck_assert_int_eq(weir_listener_serve(listener, &cfg, take_conn, NULL), -EINVAL);
	weir_listener_close(listener);
	return 0;
}

void conformance_shards(struct conformance_list *list)
{
	ONCE(list, a_shard_for_each_group);
	ONCE(list, shards_have_the_port_for_themselves);
	ONCE(list, shards_of_two_listeners_share_a_port_when_both_say_so);
	ONCE(list, a_unix_listener_has_one_socket);
	ONCE(list, all_shards_are_opened_or_none);
	ONCE(list, several_shards_are_opened_on_a_fiber);
	ONCE(list, each_connection_arrives_once);
	BOTH(list, closing_shards_ends_their_accepts);
	ONCE(list, the_least_loaded_gets_the_next);
	ONCE(list, an_idle_worker_keeps_the_connections_it_accepts);
	ONCE(list, a_stuck_worker_gets_one_and_no_more);
	ONCE(list, clients_in_the_queue_when_serving_ends_are_served);
	ONCE(list, closing_the_listener_ends_serving);
	ONCE(list, a_connection_that_is_not_admitted_is_reset);
	ONCE(list, serving_needs_a_listener_and_a_function);
}
