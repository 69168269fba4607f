/* SPDX-License-Identifier: MIT */
/*
 * spawn.c: spawning, joining, yielding, and the blocking pool.
 */
#include <stdatomic.h>

#include "micro.h"

#define SPAWNS 1000
#define MAIN_SPAWNS 100
#define MANY 10000
#define YIELDS 1000
#define LONE_YIELDS 10000
#define CHAIN 1000
#define BLOCKING_CALLS 100

static int empty_poll(void *state, struct weir_cx *cx)
{
	(void)state;
	(void)cx;
	return 0;
}

static int empty_fn(void *arg)
{
	(void)arg;
	return 0;
}

static const struct micro_body empty_body = { empty_poll, 0, empty_fn };

/* ---- spawn_join ---- */

struct spawn_join {
	const struct micro_def *def;
	unsigned done;
	bool waiting;
	struct weir_join_future join;
};

static int spawn_join_poll(void *state, struct weir_cx *cx)
{
	struct spawn_join *driver = state;
	struct weir_task *task;

	for (; driver->done < SPAWNS; driver->done++) {
		if (!driver->waiting) {
			micro_must(micro_spawn(NULL, &empty_body, NULL, NULL, &task), "spawn");
			weir_join_init(&driver->join, task);
			driver->waiting = true;
		}
		if (weir_poll(&driver->join.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		driver->waiting = false;
	}
	return 0;
}

static int spawn_join_times(struct weir_rt *rt, unsigned times)
{
	struct weir_task *task;
	int rc = 0, result;

	for (unsigned i = 0; i < times && rc >= 0; i++) {
		rc = micro_spawn(rt, &empty_body, NULL, NULL, &task);
		if (rc >= 0)
			rc = weir_task_join(task, &result);
	}
	return rc;
}

static int spawn_join_fn(void *arg)
{
	(void)arg;
	return spawn_join_times(NULL, SPAWNS);
}

static int main_root(void *arg)
{
	(void)arg;
	return spawn_join_times(NULL, MAIN_SPAWNS);
}

static int spawn_join_main(struct weir_rt *rt)
{
	/* The current-thread scheduler runs tasks only inside block_on. */
	return micro_current ? weir_rt_block_on(rt, main_root, NULL)
			     : spawn_join_times(rt, MAIN_SPAWNS);
}

static int join_all_of_many(void *arg)
{
	struct weir_task **tasks = arg;
	int rc = 0, result;

	for (unsigned i = 0; i < MANY && rc >= 0; i++)
		rc = weir_task_join(tasks[i], &result);
	return rc;
}

static int spawn_many_main(struct weir_rt *rt)
{
	static struct weir_task *tasks[MANY];

	for (unsigned i = 0; i < MANY; i++)
		micro_must(micro_spawn(rt, &empty_body, NULL, NULL, &tasks[i]), "spawn");
	return micro_current ? weir_rt_block_on(rt, join_all_of_many, tasks)
			     : join_all_of_many(tasks);
}

/* ---- drivers that the last of their tasks notifies ---- */

/*
 * Static, and never destroyed: the task that notifies may still be inside notify_one when the batch
 * is over.
 */
static struct weir_notify gather_done;
static atomic_uint gather_left;

struct gather {
	const struct micro_def *def;
	bool started;
	struct weir_notified_future notified;
};

static void gather_start(const struct micro_def *def)
{
	static bool ready;

	if (!ready)
		weir_notify_init(&gather_done);
	ready = true;
	atomic_store(&gather_left, def->count);
	def->setup();
}

static void gather_one(void)
{
	if (atomic_fetch_sub_explicit(&gather_left, 1, memory_order_acq_rel) == 1)
		weir_notify_one(&gather_done);
}

static int gather_poll(void *state, struct weir_cx *cx)
{
	struct gather *gather = state;

	if (!gather->started) {
		gather_start(gather->def);
		weir_notified_init(&gather->notified, &gather_done);
		gather->started = true;
	}
	return weir_poll(&gather->notified.future, cx);
}

static int gather_fn(void *arg)
{
	gather_start(arg);
	return weir_notify_wait(&gather_done);
}

static int gathered_poll(void *state, struct weir_cx *cx)
{
	(void)state;
	(void)cx;
	gather_one();
	return 0;
}

static int gathered_fn(void *arg)
{
	(void)arg;
	gather_one();
	return 0;
}

static void spawn_many_local(void)
{
	static const struct micro_body body = { gathered_poll, 0, gathered_fn };

	for (unsigned i = 0; i < MANY; i++)
		micro_must(micro_spawn(NULL, &body, NULL, NULL, NULL), "spawn");
}

static int chain_poll(void *state, struct weir_cx *cx);
static int chain_fn(void *arg);

static void chain(uintptr_t left)
{
	static const struct micro_body body = { chain_poll, sizeof(uintptr_t), chain_fn };

	if (!left) {
		gather_one();
		return;
	}
	left--;
	micro_must(micro_spawn(NULL, &body, &left, (void *)left, NULL), "spawn");
}

static int chain_poll(void *state, struct weir_cx *cx)
{
	(void)cx;
	chain(*(uintptr_t *)state);
	return 0;
}

static int chain_fn(void *arg)
{
	chain((uintptr_t)arg);
	return 0;
}

static void chained_spawn(void)
{
	chain(CHAIN);
}

/* ---- ping_pong: a task, its partner, a oneshot each way ---- */

struct ping {
	struct weir_oneshot there, back;
	struct weir_oneshot_recv_future recv;
	bool started;
};

struct pong {
	struct ping *ping;
	struct weir_oneshot_recv_future recv;
	bool started;
};

static int pong_poll(void *state, struct weir_cx *cx)
{
	struct pong *pong = state;

	if (!pong->started)
		weir_oneshot_recv_init(&pong->recv, &pong->ping->there, NULL);
	pong->started = true;
	if (weir_poll(&pong->recv.future, cx) == WEIR_PENDING)
		return WEIR_PENDING;
	return weir_oneshot_send(&pong->ping->back, NULL);
}

static int pong_fn(void *arg)
{
	struct ping *ping = arg;
	int rc = weir_oneshot_recv(&ping->there, NULL);

	return rc < 0 ? rc : weir_oneshot_send(&ping->back, NULL);
}

static void ping_start(struct ping *ping)
{
	static const struct micro_body body = { pong_poll, sizeof(struct pong), pong_fn };
	struct pong pong = { .ping = ping };

	weir_oneshot_init(&ping->there, NULL, 0);
	weir_oneshot_init(&ping->back, NULL, 0);
	micro_must(micro_spawn(NULL, &body, &pong, ping, NULL), "spawn");
	micro_must(weir_oneshot_send(&ping->there, NULL), "send");
}

static int ping_poll(void *state, struct weir_cx *cx)
{
	struct ping *ping = state;
	int rc;

	if (!ping->started) {
		ping_start(ping);
		weir_oneshot_recv_init(&ping->recv, &ping->back, NULL);
		ping->started = true;
	}
	rc = weir_poll(&ping->recv.future, cx);
	if (rc == WEIR_PENDING)
		return WEIR_PENDING;
	micro_must(rc, "ping_pong");
	gather_one();
	return 0;
}

static int ping_fn(void *arg)
{
	struct ping ping;

	(void)arg;
	ping_start(&ping);
	micro_must(weir_oneshot_recv(&ping.back, NULL), "ping_pong");
	gather_one();
	return 0;
}

static void ping_pong(void)
{
	static const struct micro_body body = { ping_poll, sizeof(struct ping), ping_fn };

	for (unsigned i = 0; i < 1000; i++)
		micro_must(micro_spawn(NULL, &body, NULL, NULL, NULL), "spawn");
}

/* ---- yields ---- */

struct yielder {
	const struct micro_def *def;	/* only in the driver */
	unsigned done;
	bool waiting;
	struct weir_yield_future yield;
};

static int yield_times(struct yielder *yielder, unsigned times, struct weir_cx *cx)
{
	for (; yielder->done < times; yielder->done++) {
		if (!yielder->waiting)
			weir_yield_init(&yielder->yield);
		yielder->waiting = true;
		if (weir_poll(&yielder->yield.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		yielder->waiting = false;
	}
	return 0;
}

static int yield_child_poll(void *state, struct weir_cx *cx)
{
	return yield_times(state, YIELDS, cx);
}

static int yield_child_fn(void *arg)
{
	int rc = 0;

	(void)arg;
	for (unsigned i = 0; i < YIELDS && rc >= 0; i++)
		rc = weir_yield();
	return rc;
}

static int yield_one_poll(void *state, struct weir_cx *cx)
{
	return yield_times(state, LONE_YIELDS, cx);
}

static int yield_one_fn(void *arg)
{
	int rc = 0;

	(void)arg;
	for (unsigned i = 0; i < LONE_YIELDS && rc >= 0; i++)
		rc = weir_yield();
	return rc;
}

/* ---- spawn_blocking ---- */

struct blocker {
	const struct micro_def *def;
	unsigned done;
	bool waiting;
	struct weir_blocking_future blocking;
};

static int blocking_poll(void *state, struct weir_cx *cx)
{
	struct blocker *blocker = state;

	for (; blocker->done < BLOCKING_CALLS; blocker->done++) {
		if (!blocker->waiting)
			weir_blocking_init(&blocker->blocking, empty_fn, NULL);
		blocker->waiting = true;
		if (weir_poll(&blocker->blocking.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		blocker->waiting = false;
	}
	return 0;
}

static int blocking_fn(void *arg)
{
	int rc = 0;

	(void)arg;
	for (unsigned i = 0; i < BLOCKING_CALLS && rc >= 0; i++)
		rc = weir_blocking_run(empty_fn, NULL);
	return rc;
}

#define GATHER { gather_poll, sizeof(struct gather), gather_fn }

const struct micro_def micro_spawn_defs[] = {
	{ .name = "spawn_join",
	  .ops = SPAWNS,
	  .driver = { spawn_join_poll, sizeof(struct spawn_join), spawn_join_fn } },
	{ .name = "spawn_join_main", .ops = MAIN_SPAWNS, .batch = spawn_join_main },
	{ .name = "spawn_many_main", .ops = MANY, .batch = spawn_many_main },
	{ .name = "spawn_many_local",
	  .ops = MANY,
	  .driver = GATHER,
	  .count = MANY,
	  .setup = spawn_many_local },
	{ .name = "spawn_many_local_join",
	  .ops = MANY,
	  .driver = MICRO_JOIN_MANY,
	  .count = MANY,
	  .child = { empty_poll, 0, empty_fn } },
	{ .name = "yield_many",
	  .ops = 1000 * YIELDS,
	  .driver = MICRO_JOIN_MANY,
	  .count = 1000,
	  .child = { yield_child_poll, sizeof(struct yielder), yield_child_fn } },
	{ .name = "yield_one",
	  .ops = LONE_YIELDS,
	  .driver = { yield_one_poll, sizeof(struct yielder), yield_one_fn } },
	{ .name = "ping_pong", .ops = 1000, .driver = GATHER, .count = 1000, .setup = ping_pong },
	{ .name = "chained_spawn",
	  .ops = CHAIN,
	  .driver = GATHER,
	  .count = 1,
	  .setup = chained_spawn },
	{ .name = "spawn_blocking",
	  .ops = BLOCKING_CALLS,
	  .driver = { blocking_poll, sizeof(struct blocker), blocking_fn } },
	{ 0 },
};
