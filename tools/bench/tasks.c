/* SPDX-License-Identifier: MIT */
/*
 * tasks.c: the tasks of the server process, written as a user of weir would write them:
 * stackless if there are many small ones of a kind (echo, timers), otherwise fibers.
 */
#include <stdlib.h>

#include "tools/bench/child.h"

/* One in this many spawned tasks is timed, because two clock reads cost as much as a spawn. */
#define SPAWN_SAMPLE 16

/* ---- echo ---- */

/* The op is a receive or, with bytes to give back, a send. */
struct echo {
	struct weir_tcp *conn;
	struct weir_lease lease;
	struct weir_op op;
};

static void start_recv(struct echo *echo)
{
	weir_op_init_recv_lease(&echo->op, weir_tcp_handle(echo->conn), &echo->lease);
}

static int echo_poll(void *state, struct weir_cx *cx)
{
	struct echo *echo = state;
	int rc;

	if (!echo->op.handle)
		start_recv(echo);
	while ((rc = weir_poll(&echo->op.future, cx)) > 0) {
		if (echo->op.code == WEIR_OP_RECV_LEASE)
			weir_op_init_send_lease(&echo->op, weir_tcp_handle(echo->conn),
						&echo->lease);
		else
			start_recv(echo);
	}
	return rc;
}

static void echo_fini(void *state)
{
	struct echo *echo = state;

	weir_lease_return(&echo->lease);
	weir_tcp_close(echo->conn);
}

static int start_echo(struct weir_tcp *conn)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct echo echo = { .conn = conn };

	cfg.where = WEIR_HERE;
	cfg.poll = echo_poll;
	cfg.fini = echo_fini;
	cfg.state = &echo;
	cfg.state_bytes = sizeof(echo);
	return weir_task_spawn(NULL, &cfg, NULL);
}

/* ---- stream: receive everything, and answer each message with one byte ---- */

struct stream {
	struct weir_tcp *conn;
	size_t message_bytes;
};

static int answer(struct weir_tcp *conn, size_t count)
{
	static const char bytes[64];
	size_t some;
	int rc = 0;

	for (; count > 0 && rc >= 0; count -= some) {
		some = count < sizeof(bytes) ? count : sizeof(bytes);
		rc = weir_tcp_send_all(conn, bytes, some, WEIR_FOREVER, NULL);
	}
	return rc;
}

static int take_stream(void *arg)
{
	struct stream stream = *(struct stream *)arg;
	struct weir_lease in;
	size_t have = 0;
	int rc;

	free(arg);
	while ((rc = weir_tcp_recv_lease(stream.conn, &in)) > 0) {
		have += (size_t)rc;
		weir_lease_return(&in);
		rc = answer(stream.conn, have / stream.message_bytes);
		have %= stream.message_bytes;
		if (rc < 0)
			break;
	}
	weir_tcp_close(stream.conn);
	return rc;
}

static void drop_stream(void *arg)
{
	weir_tcp_reset(((struct stream *)arg)->conn);
	free(arg);
}

static int start_stream(const struct server_setup *setup, struct weir_tcp *conn)
{
	struct stream *stream = malloc(sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	*stream = (struct stream){ conn, setup->size };
	weir_spawn_or_drop(take_stream, stream, drop_stream, NULL);
	return 0;
}

/* ---- proxy ---- */

struct pair {
	struct weir_tcp *client;
	struct weir_addr upstream;
};

static int relay(void *arg)
{
	struct pair pair = *(struct pair *)arg;
	struct weir_tcp *upstream;
	int rc = weir_tcp_connect_addr(&pair.upstream, WEIR_FOREVER, &upstream);

	free(arg);
	if (rc == 0) {
		rc = weir_relay_run(pair.client, upstream, NULL, NULL);
		(rc < 0 ? weir_tcp_reset : weir_tcp_close)(upstream);
	}
	(rc < 0 ? weir_tcp_reset : weir_tcp_close)(pair.client);
	return rc;
}

static void drop_pair(void *arg)
{
	weir_tcp_reset(((struct pair *)arg)->client);
	free(arg);
}

static int start_relay(const struct server_setup *setup, struct weir_tcp *conn)
{
	struct pair *pair = malloc(sizeof(*pair));

	if (!pair)
		return -ENOMEM;
	*pair = (struct pair){ conn, setup->upstream };
	weir_spawn_or_drop(relay, pair, drop_pair, NULL);
	return 0;
}

/* ---- accepting ---- */

static int serve_one(struct bench_tasks *tasks, struct weir_tcp *conn)
{
	switch (tasks->setup->workload) {
	case BENCH_STREAM:
		return start_stream(tasks->setup, conn);
	case BENCH_PROXY:
		return start_relay(tasks->setup, conn);
	default:
		return start_echo(conn);
	}
}

static int accept_all(void *arg)
{
	struct bench_tasks *tasks = arg;
	struct weir_tcp *conn;
	int rc;

	while ((rc = weir_listener_accept(tasks->listener, &conn)) >= 0)
		if (serve_one(tasks, conn) < 0)
			weir_tcp_close(conn);
	weir_listener_close(tasks->listener);
	return rc;
}

int bench_tasks_open(void *arg)
{
	struct bench_tasks *tasks = arg;
	int rc;

	if (!bench_workloads[tasks->setup->workload].sockets)
		return 0;
	rc = weir_listener_open_addr(&tasks->setup->listen, NULL, &tasks->listener);
	if (rc < 0)
		return rc;
	rc = weir_listener_addr(tasks->listener, &tasks->addr);
	if (rc == 0)
		rc = weir_spawn(accept_all, tasks, NULL);
	if (rc < 0)
		weir_listener_close(tasks->listener);
	return rc;
}

/* ---- timers: each task sleeps until its next deadline, even if the last one was late ---- */

struct timer {
	struct bench_tasks *tasks;
	uint64_t period_ns, due_ns;
	struct weir_sleep_future sleep;
	bool begun;
};

static int timer_poll(void *state, struct weir_cx *cx)
{
	struct timer *timer = state;
	struct bench_tasks *tasks = timer->tasks;
	struct bench_record *rec;
	uint64_t now;
	int rc;

	if (!timer->begun)
		weir_sleep_init(&timer->sleep, timer->due_ns);
	timer->begun = true;
	while ((rc = weir_poll(&timer->sleep.future, cx)) == 0) {
		rec = &tasks->records[weir_rt_worker_index()];
		now = bench_now();
		bench_record_done(rec, 1, now);
		bench_record_latency(rec, timer->due_ns, timer->due_ns, now);
		timer->due_ns += timer->period_ns;
		if (timer->due_ns >= tasks->end_ns)
			return 0;
		weir_sleep_reset(&timer->sleep, timer->due_ns);
	}
	return rc;
}

static int start_timers(struct bench_tasks *tasks)
{
	const struct server_setup *setup = tasks->setup;
	uint64_t period = setup->conns * WEIR_SEC / setup->rate, now = bench_now();
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct timer timer = { .tasks = tasks, .period_ns = period };
	int rc = 0;

	cfg.where = WEIR_HERE;
	cfg.poll = timer_poll;
	cfg.state = &timer;
	cfg.state_bytes = sizeof(timer);
	for (uint64_t i = 0; i < setup->conns && rc == 0; i++) {
		timer.due_ns = now + period * (i + 1) / setup->conns;
		rc = weir_task_spawn(NULL, &cfg, NULL);
	}
	return rc;
}

/* ---- spawning: spawn a batch of tasks, join all, and repeat ---- */

struct spawned {
	uint64_t *ran_ns;		/* NULL: it is not timed */
};

struct spawner {
	struct spawner *next;
	struct bench_tasks *tasks;
	unsigned worker;
	size_t batch;
	struct weir_task **handles;
	uint64_t *start_ns, *ran_ns;
};

static int spawned_poll(void *state, struct weir_cx *cx)
{
	struct spawned *spawned = state;

	(void)cx;
	if (spawned->ran_ns)
		*spawned->ran_ns = bench_now();
	return 0;
}

static int spawn_batch(struct spawner *s)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct spawned spawned;
	size_t len = 0;
	int rc = 0, joined;

	cfg.where = WEIR_HERE;
	cfg.poll = spawned_poll;
	cfg.state = &spawned;
	cfg.state_bytes = sizeof(spawned);
	for (; len < s->batch && rc == 0; len += rc == 0) {
		spawned.ran_ns = len % SPAWN_SAMPLE ? NULL : &s->ran_ns[len];
		if (spawned.ran_ns)
			s->start_ns[len] = bench_now();
		rc = weir_task_spawn(NULL, &cfg, &s->handles[len]);
	}
	for (size_t i = 0; i < len; i++) {
		joined = weir_task_join(s->handles[i], NULL);
		if (joined < 0)
			weir_task_detach(s->handles[i]);
		rc = joined < 0 && rc == 0 ? joined : rc;
	}
	return rc;
}

static int spawn_all(void *arg)
{
	struct spawner *s = arg;
	struct bench_record *rec = &s->tasks->records[s->worker];
	uint64_t now;
	int rc;

	do {
		rc = spawn_batch(s);
		now = bench_now();
		if (rc < 0)
			break;
		bench_record_done(rec, s->batch, now);
		for (size_t i = 0; i < s->batch; i += SPAWN_SAMPLE)
			bench_record_latency(rec, s->start_ns[i], s->start_ns[i], s->ran_ns[i]);
	} while (now < s->tasks->end_ns);
	rec->errors += rc < 0;
	if (rc < 0)
		rec->first_error = rc;
	return rc;
}

static int start_spawner(struct bench_tasks *tasks, unsigned worker)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	size_t n = tasks->setup->conns;
	struct spawner *s =
		calloc(1, sizeof(*s) + n * (sizeof(*s->handles) + 2 * sizeof(uint64_t)));
	int rc;

	if (!s)
		return -ENOMEM;
	*s = (struct spawner){ .tasks = tasks, .worker = worker, .batch = n };
	s->handles = (struct weir_task **)(s + 1);
	s->start_ns = (uint64_t *)(s->handles + n);
	s->ran_ns = s->start_ns + n;
	cfg.where = WEIR_HERE;
	cfg.flags = WEIR_TASK_PINNED;
	cfg.worker = 1 + (int)worker;
	cfg.fn = spawn_all;
	cfg.arg = s;
	rc = weir_task_spawn(NULL, &cfg, NULL);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->next = tasks->spawners;
	tasks->spawners = s;
	return 0;
}

int bench_tasks_begin(void *arg)
{
	struct bench_tasks *tasks = arg;
	int rc = 0;

	if (tasks->setup->workload == BENCH_TIMER)
		return start_timers(tasks);
	if (tasks->setup->workload == BENCH_SPAWN)
		for (unsigned i = 0; i < tasks->setup->workers && rc == 0; i++)
			rc = start_spawner(tasks, i);
	return rc;
}

void bench_tasks_fini(struct bench_tasks *tasks)
{
	struct spawner *next;

	for (struct spawner *s = tasks->spawners; s; s = next) {
		next = s->next;
		free(s);
	}
}
