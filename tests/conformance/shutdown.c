/* SPDX-License-Identifier: MIT */
/*
 * shutdown.c: a runtime shuts down with operations of every kind in flight, in both kinds of tasks,
 * with leases held and relays running. The runner then checks that nothing is left.
 */
#include "tests/conformance/scene.h"

/* A task that owns the object on which it waits. Only the shutdown ends it. */
struct forsaken {
	struct scene scene;
	enum scene_kind kind;
	struct weir_future *future;
	struct weir_lease held;
	struct weir_notify ready;
};

static void hold_a_lease(struct forsaken *f)
{
	if (!(env.caps & WEIR_CAP_LEASE) || !scene_receives(f->kind))
		return;
	pattern_send(f->scene.other, 1, 0, 10);
	OK(weir_tcp_recv_lease(f->scene.one, &f->held));
	pattern_recv(f->scene.one, 1, f->held.len, 10 - f->held.len);
}

static void forsaken_fini(struct forsaken *f)
{
	weir_lease_return(&f->held);
	scene_fini(&f->scene);
	weir_notify_fini(&f->ready);
	free(f);
}

static int wait_forsaken(void *arg)
{
	struct forsaken *f = arg;
	int rc;

	weir_notify_one(&f->ready);
	rc = weir_await(f->future);
	ck_assert_int_eq(rc, -ECANCELED);
	forsaken_fini(f);
	return rc;
}

static int poll_forsaken(void *state, struct weir_cx *cx)
{
	struct forsaken *f = *(struct forsaken **)state;
	int rc = weir_poll(f->future, cx);

	weir_notify_one(&f->ready);
	return rc;
}

static void fini_forsaken(void *state)
{
	forsaken_fini(*(struct forsaken **)state);
}

static void forsake(enum scene_kind kind, bool stackless)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct forsaken *f = calloc(1, sizeof(*f));

	f->kind = kind;
	weir_notify_init(&f->ready);
	f->future = scene_open(&f->scene, kind);
	hold_a_lease(f);
	if (stackless) {
		cfg.poll = poll_forsaken;
		cfg.fini = fini_forsaken;
		cfg.state = &f;
		cfg.state_bytes = sizeof(f);
	} else {
		cfg.fn = wait_forsaken;
		cfg.arg = f;
	}
	OK(weir_task_spawn(NULL, &cfg, NULL));
	OK(weir_notify_wait(&f->ready));
}

CASE(a_shutdown_ends_everything, 0)
{
	if (sends_wait_for_the_peer())
		return 0;
	for (int round = 0; round < 6; round++)
		for (enum scene_kind kind = 0; kind < SCENE_KINDS; kind++)
			/* Filling a listener's queue takes long, so there are fewer of these. */
			if (scene_possible(kind) && (kind != SCENE_CONNECT || round < 2))
				forsake(kind, round % 2);
	return 0;
}

/* The same under load: streams echo to each other as fast as they can. */
static int echo_for_ever(void *arg)
{
	struct weir_tcp *conn = arg;
	char buf[1000];
	int rc;

	while ((rc = weir_tcp_recv(conn, buf, sizeof(buf))) > 0)
		if ((rc = weir_tcp_send_all(conn, buf, (size_t)rc, WEIR_FOREVER, NULL)) < 0)
			break;
	weir_tcp_close(conn);
	return rc;
}

static int relay_for_ever(void *arg)
{
	struct weir_tcp **side = arg;
	int rc = weir_relay_run(side[0], side[1], NULL, NULL);

	close_both(side[0], side[1]);
	free(side);
	return rc;
}

static int accept_for_ever(void *arg)
{
	struct weir_tcp *conn;
	int rc;

	while ((rc = weir_listener_accept(arg, &conn)) == 0)
		weir_tcp_close(conn);
	weir_listener_close(arg);
	return rc;
}

static int connect_for_ever(void *arg)
{
	struct weir_addr *addr = arg;
	struct weir_tcp *conn;
	int rc;

	/* Refused once the listener is closed. */
	while ((rc = weir_tcp_connect_addr(addr, WEIR_FOREVER, &conn)) == 0) {
		weir_tcp_close(conn);
		if ((rc = weir_yield()) < 0)
			break;
	}
	free(addr);
	return rc;
}

/* TCP or Unix sockets in turn: two kinds of handles where there is a companion. */
static void some_pair(unsigned number, struct weir_tcp **ret_one, struct weir_tcp **ret_other)
{
	if (number % 2 && env.caps & WEIR_CAP_UNIX)
		unix_connected(ret_one, ret_other);
	else
		connected(ret_one, ret_other);
}

CASE(a_shutdown_ends_traffic, 0)
{
	struct weir_addr *addr = malloc(sizeof(*addr));
	struct weir_listener *listener;
	struct weir_tcp *one, *other, **relayed;
	char byte = 'x';

	for (unsigned i = 0; i < 8; i++) {
		some_pair(i / 2, &one, &other);
		ck_assert_int_eq(weir_tcp_send(one, &byte, 1), 1);
		if (i % 2 && env.caps & WEIR_CAP_LEASE) {
			/* one ═ relay ═ far, each end of it echoing */
			relayed = malloc(2 * sizeof(*relayed));
			relayed[0] = other;
			some_pair(i / 4, &relayed[1], &other);
			OK(weir_spawn(relay_for_ever, relayed, NULL));
		}
		OK(weir_spawn(echo_for_ever, one, NULL));
		OK(weir_spawn(echo_for_ever, other, NULL));
	}
	listener = open_listener(addr);
	OK(weir_spawn(accept_for_ever, listener, NULL));
	OK(weir_spawn(connect_for_ever, addr, NULL));
	turns(200);
	return 0;
}

void conformance_shutdown(struct conformance_list *list)
{
	ONCE(list, a_shutdown_ends_everything);
	ONCE(list, a_shutdown_ends_traffic);
}
