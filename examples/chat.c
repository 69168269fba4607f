/* SPDX-License-Identifier: MIT */
/*
 * chat.c: a chat server. It shows select sets and bounded queues (mpsc).
 *
 * Each member has a task that waits for two things at once: bytes from its own client, and
 * messages from the other members, which arrive in the member's queue. A select set keeps both
 * waits pending: when a message arrives, the receive on the silent client is not cancelled.
 *
 *	build/examples/chat 127.0.0.1:7000	serves there until it is stopped; join with nc
 *	build/examples/chat			lets three clients of its own talk, and ends
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "weir/weir.h"

#define QUEUE 64
#define WELCOME "welcome\n"
#define HELLO "hello, all\n"

/* The bytes of one receive, as one message. */
struct said {
	int len;
	char text[200];
};

struct member {
	struct member *next, **pprev;
	struct weir_tcp *conn;
	struct weir_mpsc *queue;
};

/* Guards the list of members. Nobody waits while holding it, so a plain pthread mutex is enough. */
static pthread_mutex_t room_lock = PTHREAD_MUTEX_INITIALIZER;
static struct member *room;

static void enter(struct member *m)
{
	pthread_mutex_lock(&room_lock);
	m->next = room;
	m->pprev = &room;
	if (room)
		room->pprev = &m->next;
	room = m;
	pthread_mutex_unlock(&room_lock);
}

static void leave(struct member *m)
{
	pthread_mutex_lock(&room_lock);
	*m->pprev = m->next;
	if (m->next)
		m->next->pprev = m->pprev;
	pthread_mutex_unlock(&room_lock);
}

/* A member whose queue is full misses the message: a slow reader must not hold up the others. */
static void tell_others(const struct member *from, const struct said *said)
{
	pthread_mutex_lock(&room_lock);
	for (struct member *m = room; m; m = m->next)
		if (m != from)
			(void)weir_mpsc_send_try(m->queue, said);
	pthread_mutex_unlock(&room_lock);
}

static int send_text(struct weir_tcp *conn, const char *text, size_t len)
{
	return weir_tcp_send_all(conn, text, len, weir_deadline_in(10 * WEIR_SEC), NULL);
}

enum source {
	CLIENT,
	OTHERS,
	SOURCES
};

/*
 * Runs until the client leaves or the task is aborted. Each round arms only the branch that was
 * delivered in the round before; the other one is still pending.
 */
static int converse(struct member *m)
{
	struct weir_branch branches[SOURCES];
	struct weir_select_set set;
	struct weir_mpsc_recv_future recv;
	struct weir_op op;
	struct said from_client, from_others;
	int rc = weir_select_set_init(&set, branches, SOURCES), which = SOURCES;

	while (rc >= 0) {
		if (which != OTHERS) {
			weir_op_init_recv(&op, weir_tcp_handle(m->conn), from_client.text,
					  sizeof(from_client.text), 0);
			weir_select_set_arm(&set, CLIENT, &op.future);
		}
		if (which != CLIENT) {
			weir_mpsc_recv_init(&recv, m->queue, 1, &from_others);
			weir_select_set_arm(&set, OTHERS, &recv.future);
		}
		rc = which = weir_select_set_next(&set);
		if (rc < 0)
			break;
		rc = branches[which].result;
		if (rc <= 0)
			break;
		if (which == CLIENT) {
			from_client.len = rc;
			tell_others(m, &from_client);
		} else {
			rc = send_text(m->conn, from_others.text, (size_t)from_others.len);
		}
	}
	weir_select_set_finish(&set);
	return rc;
}

static int serve_member(void *arg)
{
	struct member m = { .conn = arg };
	int rc = weir_mpsc_new(QUEUE, sizeof(struct said), &m.queue);

	if (rc >= 0) {
		enter(&m);
		rc = send_text(m.conn, WELCOME, strlen(WELCOME));
		if (rc >= 0)
			rc = converse(&m);
		leave(&m);
		weir_mpsc_unref(m.queue);
		weir_mpsc_free(m.queue);
	}
	weir_tcp_close(m.conn);
	return rc;
}

static int serve(void *arg)
{
	struct weir_tcp *conn;
	int rc;

	while ((rc = weir_listener_accept(arg, &conn)) >= 0)
		weir_spawn_or_drop(serve_member, conn, weir_tcp_drop, NULL);
	return rc;
}

/* ---- the demonstration: three clients in the same process ---- */

static int expect(struct weir_tcp *conn, const char *text)
{
	char buf[32];
	size_t len = strlen(text);
	int rc = weir_tcp_recv_exact(conn, buf, len, weir_deadline_in(60 * WEIR_SEC), NULL);

	return rc < 0 ? rc : memcmp(buf, text, len) == 0 ? 0 : -EPROTO;
}

static int talk(const struct weir_addr *to)
{
	struct weir_tcp *clients[3] = { NULL, NULL, NULL };
	int rc = 0;

	for (int i = 0; rc >= 0 && i < 3; i++) {
		rc = weir_tcp_connect_addr(to, weir_deadline_in(60 * WEIR_SEC), &clients[i]);
		if (rc >= 0)
			rc = expect(clients[i], WELCOME);
	}
	if (rc >= 0)
		rc = send_text(clients[0], HELLO, strlen(HELLO));
	for (int i = 1; rc >= 0 && i < 3; i++)
		rc = expect(clients[i], HELLO);
	if (rc >= 0)
		printf("one client said \"hello, all\", and the two others received it\n");
	for (int i = 0; i < 3; i++)
		weir_tcp_close(clients[i]);
	return rc;
}

static int talk_to_self(struct weir_listener *listener)
{
	struct weir_task *server;
	struct weir_addr addr;
	int rc = weir_listener_addr(listener, &addr);

	if (rc >= 0)
		rc = weir_spawn(serve, listener, &server);
	if (rc < 0)
		return rc;
	rc = talk(&addr);
	weir_task_abort(server);
	weir_task_join(server, NULL);
	return rc;
}

static int run(void *arg)
{
	const char *where = arg;
	struct weir_listener *listener;
	int rc = weir_listener_open(where ? where : "127.0.0.1:0", NULL, &listener);

	if (rc < 0)
		return rc;
	rc = where ? serve(listener) : talk_to_self(listener);
	weir_listener_close(listener);
	return rc;
}

int main(int argc, char **argv)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc = weir_rt_run(&cfg, run, argc > 1 ? argv[1] : NULL);

	return rc < 0 ? fprintf(stderr, "chat: %s\n", weir_strerror(rc)), 1 : 0;
}
