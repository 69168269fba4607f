/* SPDX-License-Identifier: MIT */
/*
 * select.c: a task receives from a queue while it also waits on an idle socket, as the tasks of a
 * chat server do. Measured for the queue alone, with a select set, and with a select per message.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "micro.h"

#define MESSAGES 10000

/* Passed in micro_def.count. */
enum how {
	ALONE,
	IN_SET,
	IN_SELECT,
};

struct producer {
	struct weir_mpsc *channel;
	size_t sent;
	bool waiting;
	struct weir_mpsc_send_future send;
};

struct loop {
	const struct micro_def *def;
	struct weir_mpsc *channel;
	struct weir_tcp *conn;
	int peer;
	bool started, waiting;
	char byte;
	size_t received, message;
	struct weir_op idle;
	struct weir_mpsc_recv_future recv;
	struct weir_branch branches[2];
	struct weir_select_set set;
	struct weir_future *futures[2];
	int results[2];
	struct weir_select_future select;
};

static int producer_poll(void *state, struct weir_cx *cx)
{
	struct producer *p = state;
	int rc;

	for (; p->sent < MESSAGES; p->sent++) {
		if (!p->waiting)
			weir_mpsc_send_init(&p->send, p->channel, &p->sent);
		p->waiting = true;
		rc = weir_poll(&p->send.future, cx);
		if (rc == WEIR_PENDING)
			return WEIR_PENDING;
		micro_must(rc, "send");
		p->waiting = false;
	}
	weir_mpsc_unref(p->channel);
	return 0;
}

static void idle_start(struct loop *l)
{
	weir_op_init_recv(&l->idle, weir_tcp_handle(l->conn), &l->byte, 1, 0);
}

static void loop_start(struct loop *l)
{
	static const struct micro_body body = { producer_poll, sizeof(struct producer), NULL };
	struct producer producer = { 0 };
	int fds[2];

	l->started = true;
	micro_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), "socketpair");
	micro_must(weir_tcp_adopt(fds[0], &l->conn), "adopt");
	l->peer = fds[1];
	micro_must(weir_mpsc_new(1, sizeof(size_t), &l->channel), "channel");
	producer.channel = l->channel;
	micro_must(micro_spawn(NULL, &body, &producer, NULL, NULL), "spawn");
	if (l->def->count != IN_SET)
		return;
	idle_start(l);
	micro_must(weir_select_set_init(&l->set, l->branches, 2), "select set");
	micro_must(weir_select_set_arm(&l->set, 0, &l->idle.future), "arm");
}

static int loop_end(struct loop *l)
{
	weir_tcp_close(l->conn);
	close(l->peer);
	weir_mpsc_free(l->channel);
	return l->received == MESSAGES ? 0 : -EPROTO;
}

/* Initializes the receive of the next message, and the other waits that are not pending already. */
static void wait_start(struct loop *l)
{
	l->waiting = true;
	weir_mpsc_recv_init(&l->recv, l->channel, 1, &l->message);
	if (l->def->count == IN_SET)
		micro_must(weir_select_set_arm(&l->set, 1, &l->recv.future), "arm");
	if (l->def->count != IN_SELECT)
		return;
	idle_start(l);
	l->futures[0] = &l->idle.future;
	l->futures[1] = &l->recv.future;
	weir_select_init(&l->select, l->futures, l->results, 2);
}

/* Polls. Returns the result of the receive, or WEIR_PENDING. */
static int wait_poll(struct loop *l, struct weir_cx *cx)
{
	int rc;

	if (!l->waiting)
		wait_start(l);
	if (l->def->count == ALONE)
		rc = weir_poll(&l->recv.future, cx);
	else
		rc = weir_poll(l->def->count == IN_SET ? &l->set.future : &l->select.future, cx);
	if (rc == WEIR_PENDING)
		return rc;
	l->waiting = false;
	if (l->def->count == ALONE)
		return rc;
	micro_must(rc == 1 ? 0 : -EPROTO, "the idle socket");
	return l->def->count == IN_SET ? l->branches[1].result : l->results[1];
}

static int loop_poll(void *state, struct weir_cx *cx)
{
	struct loop *l = state;
	int rc;

	if (!l->started)
		loop_start(l);
	while (l->received < MESSAGES) {
		rc = wait_poll(l, cx);
		if (rc == WEIR_PENDING)
			return rc;
		micro_must(rc, "receive");
		l->received++;
		if (l->received == MESSAGES && l->def->count == IN_SET)
			weir_select_set_cancel(&l->set, 0);
	}
	if (l->def->count == IN_SET && l->branches[0].result == WEIR_PENDING &&
	    weir_poll(&l->set.future, cx) == WEIR_PENDING)
		return WEIR_PENDING;
	return loop_end(l);
}

#define LOOP { loop_poll, sizeof(struct loop), NULL }

const struct micro_def micro_select_defs[] = {
	{ .name = "queue_alone", .ops = MESSAGES, .driver = LOOP, .count = ALONE },
	{ .name = "queue_select_set", .ops = MESSAGES, .driver = LOOP, .count = IN_SET },
	{ .name = "queue_select", .ops = MESSAGES, .driver = LOOP, .count = IN_SELECT },
	{ 0 },
};
