/* SPDX-License-Identifier: MIT */
/*
 * leaves.h: the table of leaf futures, and the objects on which they wait. A task has the futures
 * in its own memory; everything else is on the stage.
 */
#ifndef WEIR_TESTS_LEAVES_H
#define WEIR_TESTS_LEAVES_H

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/runtimes.h"

#define LONG (3600 * WEIR_SEC)
#define CAPACITY 4
#define MESSAGES 400	/* more than three times the budget */

struct stage;

/* A future that receives messages one by one. */
struct messages {
	struct weir_future future;
	struct stage *stage;
	unsigned got;
	bool begun;
};

/* The futures, in the memory of their task. */
struct futures {
	struct weir_sem_acquire_future sem_wait;
	struct weir_mutex_lock_future lock;
	struct weir_notified_future notified;
	struct weir_oneshot_recv_future recv_one;
	struct weir_mpsc_recv_future receive;
	struct weir_mpsc_send_future send;
	struct weir_join_future join;
	struct weir_join_set_next_future next;
	struct weir_blocking_future blocking;
	struct weir_sleep_future sleep;
	struct weir_yield_future yield;
	struct weir_op op;
	struct weir_accept_future accept;
	struct weir_timeout_future timeout;
	struct weir_select_future select;
	struct weir_join_all_future all;
	struct weir_future *parts[1];
	int results[1];
	struct messages messages;
};

struct stage {
	struct futures *at;
	struct weir_sem sem;
	struct weir_mutex mutex;
	struct weir_notify notify;
	struct weir_oneshot *oneshot;
	struct weir_mpsc *mpsc;
	struct weir_task *task;
	struct weir_join_set *join_set;
	struct weir_listener *listener;
	struct weir_addr addr;
	struct weir_tcp *near, *far, *conn;
	int client;
	struct weir_signal signal;
	struct event event, slow;
	char byte;

	/* Shared by the test and its task; atomic. */
	unsigned pending, running, won;
};

static bool is_there(int rc)
{
	return rc >= 0;
}

static int acquire(void *arg)
{
	return weir_sem_acquire(arg, 1);
}

/* ---- the leaves -------------------------------------------------------------------------- */

static struct weir_future *sem(struct stage *s)
{
	weir_sem_acquire_init(&s->at->sem_wait, &s->sem, 1);
	return &s->at->sem_wait.future;
}

static void sem_finish(struct stage *s)
{
	weir_sem_release(&s->sem, 1);
}
static bool sem_there(struct stage *s)
{
	return is_there(weir_sem_acquire_try(&s->sem, 1));
}

static struct weir_future *mutex(struct stage *s)
{
	weir_mutex_lock_init(&s->at->lock, &s->mutex);
	return &s->at->lock.future;
}

static void mutex_finish(struct stage *s)
{
	weir_mutex_unlock(&s->mutex);
}
static bool mutex_there(struct stage *s)
{
	return is_there(weir_mutex_lock_try(&s->mutex));
}

static struct weir_future *notified(struct stage *s)
{
	weir_notified_init(&s->at->notified, &s->notify);
	return &s->at->notified.future;
}

static struct weir_future *enabled(struct stage *s)
{
	struct weir_future *future = notified(s);

	ck_assert(!weir_notified_enable(&s->at->notified));
	return future;
}

static void notify_one(struct stage *s)
{
	weir_notify_one(&s->notify);
}
static void notify_last(struct stage *s)
{
	weir_notify_last(&s->notify);
}

static bool permit_there(struct stage *s)
{
	struct weir_notified_future wait;

	weir_notified_init(&wait, &s->notify);
	if (weir_notified_enable(&wait))
		return true;
	ck_assert_int_eq(weir_finish(&wait.future), -ECANCELED);
	return false;
}

static struct weir_future *oneshot(struct stage *s)
{
	weir_oneshot_recv_init(&s->at->recv_one, s->oneshot, &s->byte);
	return &s->at->recv_one.future;
}

static void oneshot_finish(struct stage *s)
{
	weir_oneshot_send(s->oneshot, "x");
}

static bool oneshot_there(struct stage *s)
{
	return is_there(weir_oneshot_recv_try(s->oneshot, &s->byte)) && s->byte == 'x';
}

static struct weir_future *receive(struct stage *s)
{
	weir_mpsc_recv_init(&s->at->receive, s->mpsc, 1, &s->byte);
	return &s->at->receive.future;
}

static void receive_finish(struct stage *s)
{
	ck_assert_int_eq(weir_mpsc_send_try(s->mpsc, "x"), 0);
}
static bool receive_there(struct stage *s)
{
	return weir_mpsc_recv_try(s->mpsc, &s->byte) == 1;
}

static struct weir_future *send_full(struct stage *s)
{
	for (int i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(weir_mpsc_send_try(s->mpsc, "x"), 0);
	weir_mpsc_send_init(&s->at->send, s->mpsc, "x");
	return &s->at->send.future;
}

static void send_finish(struct stage *s)
{
	ck_assert_int_eq(weir_mpsc_recv_try(s->mpsc, &s->byte), 1);
}
static bool send_there(struct stage *s)
{
	return is_there(weir_mpsc_send_try(s->mpsc, "x"));
}

static struct weir_future *join(struct stage *s)
{
	ck_assert_int_eq(weir_spawn(acquire, &s->sem, &s->task), 0);
	weir_join_init(&s->at->join, s->task);
	return &s->at->join.future;
}

static bool join_there(struct stage *s)
{
	return is_there(weir_task_join(s->task, NULL));
}

static struct weir_future *join_set_next(struct stage *s)
{
	ck_assert_int_eq(weir_join_set_spawn(s->join_set, acquire, &s->sem, NULL), 0);
	weir_join_set_next_init(&s->at->next, s->join_set);
	return &s->at->next.future;
}

static bool join_set_there(struct stage *s)
{
	return weir_join_set_next(s->join_set, NULL, NULL) == 1;
}

static int wait_for_event(void *arg)
{
	event_wait(arg, 1);
	return 7;
}

static struct weir_future *blocking(struct stage *s)
{
	weir_blocking_init(&s->at->blocking, wait_for_event, &s->event);
	return &s->at->blocking.future;
}

static void blocking_finish(struct stage *s)
{
	event_raise(&s->event);
}

static struct weir_future *sleep_long(struct stage *s)
{
	weir_sleep_init(&s->at->sleep, weir_deadline_in(LONG));
	return &s->at->sleep.future;
}

static struct weir_future *sleep_short(struct stage *s)
{
	weir_sleep_init(&s->at->sleep, weir_deadline_in(5 * WEIR_MSEC));
	return &s->at->sleep.future;
}

static void sleep_forward(struct stage *s)
{
	weir_sleep_reset(&s->at->sleep, weir_deadline_in(WEIR_MSEC));
}

static struct weir_future *yield(struct stage *s)
{
	weir_yield_init(&s->at->yield);
	return &s->at->yield.future;
}

static struct weir_future *stream(struct stage *s)
{
	weir_op_init_recv(&s->at->op, weir_tcp_handle(s->near), &s->byte, 1, 0);
	return &s->at->op.future;
}

static void stream_finish(struct stage *s)
{
	ck_assert_int_eq((int)weir_tcp_send(s->far, "x", 1), 1);
}

static bool stream_there(struct stage *s)
{
	return weir_tcp_recv(s->near, &s->byte, 1) == 1;
}

static struct weir_future *accept_one(struct stage *s)
{
	weir_accept_init(&s->at->accept, s->listener, &s->conn);
	return &s->at->accept.future;
}

static void accept_finish(struct stage *s)
{
	s->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(s->client, 0);
	ck_assert_int_eq(connect(s->client, &s->addr.u.sa, s->addr.len), 0);
}

static void close_conn(struct stage *s)
{
	weir_tcp_close(s->conn);
}

static bool accept_there(struct stage *s)
{
	if (!is_there(weir_listener_accept(s->listener, &s->conn)))
		return false;
	close_conn(s);
	return true;
}

/* Whether the client sees that nobody has taken its connection. */
static bool client_told(struct stage *s)
{
	char byte;

	return recv(s->client, &byte, 1, 0) <= 0;
}

static struct weir_future *signalled(struct stage *s)
{
	ck_assert_int_eq(weir_signal_open(&s->signal, SIGUSR1), 0);
	return &s->signal.future;
}

static void signal_finish(struct stage *s)
{
	(void)s;
	raise(SIGUSR1);
}

static bool signal_there(struct stage *s)
{
	return weir_signal_wait(&s->signal, WEIR_FOREVER) == SIGUSR1;
}

static struct weir_future *timed(struct stage *s)
{
	weir_timeout_init(&s->at->timeout, sem(s), weir_deadline_in(LONG));
	return &s->at->timeout.future;
}

static struct weir_future *selected(struct stage *s)
{
	s->at->parts[0] = sem(s);
	weir_select_init(&s->at->select, s->at->parts, s->at->results, 1);
	return &s->at->select.future;
}

static struct weir_future *joined(struct stage *s)
{
	s->at->parts[0] = sem(s);
	weir_join_all_init(&s->at->all, s->at->parts, s->at->results, 1);
	return &s->at->all.future;
}

/* A message is always available, so this waits only when the budget is used up. */
static int messages_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct messages *m = WEIR_CONTAINER_OF(future, struct messages, future);
	int rc;

	for (; m->got < MESSAGES; m->got++, m->begun = false) {
		if (!m->begun) {
			receive_finish(m->stage);
			receive(m->stage);
		}
		m->begun = true;
		rc = weir_poll(&m->stage->at->receive.future, cx);
		if (rc == WEIR_PENDING)
			return rc;
	}
	return 0;
}

static const struct weir_future_ops messages_ops = { "messages", messages_poll, NULL, NULL };

static struct weir_future *spend(struct stage *s)
{
	s->at->messages = (struct messages){ .future = { &messages_ops }, .stage = s };
	return &s->at->messages.future;
}

static void nothing(struct stage *s)
{
	(void)s;
}
static bool always(struct stage *s)
{
	return s != NULL;
}

enum leaf_how {
	IN_TASK = 1u << 0,		/* the polling task must call finish */
	STUBBORN = 1u << 1,		/* a cancel does not end it */
	ALONE = 1u << 2,		/* may only be polled with a waker of its own */
};

static const struct leaf {
	const char *name;
	struct weir_future *(*set_up)(struct stage *s);
	void (*finish)(struct stage *s);	/* makes it ready, from outside; never waits */
	int result;
	bool (*there)(struct stage *s);		/* takes what nobody got; false if it is lost */
	void (*take_back)(struct stage *s);	/* undoes a success; never waits */
	bool (*discarded)(struct stage *s);	/* whether a result was discarded; NULL: never */
	unsigned how;
} leaves[] = {
	{ "semaphore", sem, sem_finish, 0, sem_there, sem_finish, sem_there, 0 },
	{ "mutex", mutex, mutex_finish, 0, mutex_there, mutex_finish, mutex_there, 0 },
	{ "notified", notified, notify_one, 0, permit_there, notify_one, permit_there, 0 },
	{ "notified, enabled", enabled, notify_one, 0, permit_there, notify_one, permit_there, 0 },
	{ "notified as the last", enabled, notify_last, 0, permit_there, notify_last,
	  permit_there, 0 },
	{ "oneshot", oneshot, oneshot_finish, 0, oneshot_there, nothing, NULL, 0 },
	{ "mpsc receive", receive, receive_finish, 1, receive_there, nothing, NULL, 0 },
	{ "mpsc send", send_full, send_finish, 0, send_there, nothing, NULL, 0 },
	{ "join", join, sem_finish, 0, join_there, nothing, NULL, 0 },
	{ "join set next", join_set_next, sem_finish, 1, join_set_there, nothing, NULL, 0 },
	{ "blocking", blocking, blocking_finish, 7, always, nothing, NULL, STUBBORN },
	{ "sleep", sleep_short, nothing, 0, always, nothing, NULL, ALONE },
	{ "sleep moved forward", sleep_long, sleep_forward, 0, always, nothing, NULL,
	  IN_TASK | ALONE },
	{ "long sleep", sleep_long, nothing, -ECANCELED, always, nothing, NULL, 0 },
	{ "yield", yield, nothing, 0, always, nothing, NULL, ALONE },
	{ "budget", spend, nothing, 0, always, nothing, NULL, ALONE },
	{ "stream receive", stream, stream_finish, 1, stream_there, nothing, always, 0 },
	{ "accept", accept_one, accept_finish, 0, accept_there, close_conn, client_told, 0 },
	{ "signal", signalled, signal_finish, SIGUSR1, signal_there, nothing, NULL, 0 },
	{ "timeout", timed, sem_finish, 0, sem_there, sem_finish, sem_there, 0 },
	{ "select", selected, sem_finish, 0, sem_there, sem_finish, sem_there, 0 },
	{ "join_all", joined, sem_finish, 0, sem_there, sem_finish, sem_there, 0 },
};
#define LEAVES (sizeof leaves / sizeof leaves[0])

static const struct leaf *leaf;

/* ---- the stage --------------------------------------------------------------------------- */

static void stage_open(struct stage *s)
{
	*s = (struct stage){ .client = -1, .event = EVENT_INIT, .slow = EVENT_INIT };
	weir_sem_init(&s->sem, 0);
	weir_mutex_init(&s->mutex);
	ck_assert_int_eq(weir_mutex_lock_try(&s->mutex), 0);
	weir_notify_init(&s->notify);
	ck_assert_int_eq(weir_oneshot_new(1, &s->oneshot), 0);
	ck_assert_int_eq(weir_mpsc_new(CAPACITY, 1, &s->mpsc), 0);
	ck_assert_int_eq(weir_join_set_new(NULL, &s->join_set), 0);
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &s->listener), 0);
	ck_assert_int_eq(weir_listener_addr(s->listener, &s->addr), 0);
	if (leaf->set_up != stream)
		return;
	ck_assert_int_eq(weir_tcp_connect_addr(&s->addr, WEIR_FOREVER, &s->near), 0);
	ck_assert_int_eq(weir_listener_accept(s->listener, &s->far), 0);
}

static inline void stage_close(struct stage *s)
{
	if (leaf->set_up != oneshot) {
		weir_oneshot_drop(s->oneshot);
		ck_assert_int_eq(weir_oneshot_recv_try(s->oneshot, NULL), -EPIPE);
	}
	weir_mpsc_unref(s->mpsc);
	weir_mpsc_free(s->mpsc);
	weir_join_set_free(s->join_set);
	weir_tcp_close(s->near);
	weir_tcp_close(s->far);
	weir_listener_close(s->listener);
	if (s->client >= 0)
		close(s->client);
	if (leaf->set_up == signalled)
		weir_signal_close(&s->signal);
	if (leaf->set_up != join && leaf->set_up != join_set_next)
		weir_sem_fini(&s->sem);
}

/* ---- on each backend, current-thread and with one and two workers ------------------------ */

static inline void on_place(int i, int (*fn)(void *))
{
	struct weir_rt_config cfg = place_config(i);

	if (place_is_there(&cfg))
		runtime_run(&cfg, fn, NULL);
}

#define ON_PLACES(name)                                                                            \
	START_TEST(test_##name)                                                                    \
	{                                                                                          \
		on_place(_i, name);                                                                \
	}                                                                                          \
	END_TEST

#endif
