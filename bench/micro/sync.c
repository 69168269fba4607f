/* SPDX-License-Identifier: MIT */
/*
 * sync.c: oneshot, mutex, semaphore, notify.
 */
#include "micro.h"

#define ONESHOTS 10000
#define ALONE 100000
#define TASKS 100
#define LOCKS 1000
#define HANDOFFS 100
#define ROUND_TRIPS 10000

/* ---- oneshot: make, send, await within one task ---- */

struct oneshots {
	const struct micro_def *def;
	uint64_t done, value;
	bool waiting;
	struct weir_oneshot oneshot;
	struct weir_oneshot_recv_future recv;
};

static int oneshot_poll(void *state, struct weir_cx *cx)
{
	struct oneshots *driver = state;

	for (; driver->done < ONESHOTS; driver->done++) {
		if (!driver->waiting) {
			weir_oneshot_init(&driver->oneshot, &driver->value, sizeof(uint64_t));
			weir_oneshot_send(&driver->oneshot, &driver->done);
			weir_oneshot_recv_init(&driver->recv, &driver->oneshot, NULL);
			driver->waiting = true;
		}
		if (weir_poll(&driver->recv.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		driver->waiting = false;
		if (driver->value != driver->done)
			return -EPROTO;
	}
	return 0;
}

static int oneshot_fn(void *arg)
{
	struct weir_oneshot oneshot;
	uint64_t value;
	int rc;

	(void)arg;
	for (uint64_t i = 0; i < ONESHOTS; i++) {
		weir_oneshot_init(&oneshot, &value, sizeof(value));
		weir_oneshot_send(&oneshot, &i);
		rc = weir_oneshot_recv(&oneshot, NULL);
		if (rc < 0 || value != i)
			return rc < 0 ? rc : -EPROTO;
	}
	return 0;
}

/* The same with a channel allocated on the heap, as in other runtimes. */
static int oneshot_new_poll(void *state, struct weir_cx *cx)
{
	struct oneshots *driver = state;
	struct weir_oneshot *oneshot;

	for (; driver->done < ONESHOTS; driver->done++) {
		if (!driver->waiting) {
			micro_must(weir_oneshot_new(sizeof(uint64_t), &oneshot), "oneshot");
			weir_oneshot_send(oneshot, &driver->done);
			weir_oneshot_recv_init(&driver->recv, oneshot, &driver->value);
			driver->waiting = true;
		}
		if (weir_poll(&driver->recv.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		driver->waiting = false;
		if (driver->value != driver->done)
			return -EPROTO;
	}
	return 0;
}

static int oneshot_new_fn(void *arg)
{
	struct weir_oneshot *oneshot;
	uint64_t value;
	int rc;

	(void)arg;
	for (uint64_t i = 0; i < ONESHOTS; i++) {
		micro_must(weir_oneshot_new(sizeof(value), &oneshot), "oneshot");
		weir_oneshot_send(oneshot, &i);
		rc = weir_oneshot_recv(oneshot, &value);
		if (rc < 0 || value != i)
			return rc < 0 ? rc : -EPROTO;
	}
	return 0;
}

/* ---- mutex ---- */

static struct weir_mutex mutex;
static uint64_t guarded;

enum lock_step {
	LOCK_NEXT,
	LOCK_WAIT,
	LOCK_YIELD
};

struct locker {
	const struct micro_def *def;	/* only in the driver */
	unsigned done;
	enum lock_step step;
	union {
		struct weir_mutex_lock_future wait;
		struct weir_yield_future yield;
	} u;
};

static void mutex_setup(void)
{
	weir_mutex_init(&mutex);
}

static int lock_times(struct locker *locker, unsigned times, struct weir_cx *cx)
{
	for (; locker->done < times; locker->done++) {
		if (locker->step == LOCK_NEXT)
			weir_mutex_lock_init(&locker->u.wait, &mutex);
		locker->step = LOCK_WAIT;
		if (weir_poll(&locker->u.wait.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		guarded++;
		weir_mutex_unlock(&mutex);
		locker->step = LOCK_NEXT;
	}
	return 0;
}

static int mutex_alone_poll(void *state, struct weir_cx *cx)
{
	struct locker *locker = state;

	if (!locker->done && locker->step == LOCK_NEXT)
		mutex_setup();
	return lock_times(locker, ALONE, cx);
}

static int lock_times_fn(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		int rc = weir_mutex_lock(&mutex);

		if (rc < 0)
			return rc;
		guarded++;
		weir_mutex_unlock(&mutex);
	}
	return 0;
}

static int mutex_alone_fn(void *arg)
{
	(void)arg;
	mutex_setup();
	return lock_times_fn(ALONE);
}

static int mutex_child_poll(void *state, struct weir_cx *cx)
{
	return lock_times(state, LOCKS, cx);
}

static int mutex_child_fn(void *arg)
{
	(void)arg;
	return lock_times_fn(LOCKS);
}

/* The task yields while it holds the mutex, so every lock is a hand-off. */
static int handoff_poll(void *state, struct weir_cx *cx)
{
	struct locker *locker = state;

	for (; locker->done < HANDOFFS; locker->done++) {
		if (locker->step == LOCK_NEXT) {
			weir_mutex_lock_init(&locker->u.wait, &mutex);
			locker->step = LOCK_WAIT;
		}
		if (locker->step == LOCK_WAIT) {
			if (weir_poll(&locker->u.wait.future, cx) == WEIR_PENDING)
				return WEIR_PENDING;
			weir_yield_init(&locker->u.yield);
			locker->step = LOCK_YIELD;
		}
		if (weir_poll(&locker->u.yield.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		guarded++;
		weir_mutex_unlock(&mutex);
		locker->step = LOCK_NEXT;
	}
	return 0;
}

static int handoff_fn(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < HANDOFFS; i++) {
		int rc = weir_mutex_lock(&mutex);

		if (rc < 0)
			return rc;
		weir_yield();
		guarded++;
		weir_mutex_unlock(&mutex);
	}
	return 0;
}

/* ---- semaphore ---- */

static struct weir_sem sem;

struct taker {
	const struct micro_def *def;	/* only in the driver */
	unsigned done;
	enum lock_step step;
	union {
		struct weir_sem_acquire_future wait;
		struct weir_yield_future yield;
	} u;
};

static void sem_setup(void)
{
	micro_must(weir_sem_init(&sem, 10), "semaphore");
}

static int sem_alone_poll(void *state, struct weir_cx *cx)
{
	struct taker *taker = state;

	if (!taker->done && taker->step == LOCK_NEXT)
		sem_setup();
	for (; taker->done < ALONE; taker->done++) {
		if (taker->step == LOCK_NEXT)
			weir_sem_acquire_init(&taker->u.wait, &sem, 1);
		taker->step = LOCK_WAIT;
		if (weir_poll(&taker->u.wait.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		weir_sem_release(&sem, 1);
		taker->step = LOCK_NEXT;
	}
	return 0;
}

static int sem_alone_fn(void *arg)
{
	(void)arg;
	sem_setup();
	for (unsigned i = 0; i < ALONE; i++) {
		int rc = weir_sem_acquire(&sem, 1);

		if (rc < 0)
			return rc;
		weir_sem_release(&sem, 1);
	}
	return 0;
}

static int sem_child_poll(void *state, struct weir_cx *cx)
{
	struct taker *taker = state;

	for (; taker->done < HANDOFFS; taker->done++) {
		if (taker->step == LOCK_NEXT) {
			weir_sem_acquire_init(&taker->u.wait, &sem, 1);
			taker->step = LOCK_WAIT;
		}
		if (taker->step == LOCK_WAIT) {
			if (weir_poll(&taker->u.wait.future, cx) == WEIR_PENDING)
				return WEIR_PENDING;
			weir_yield_init(&taker->u.yield);
			taker->step = LOCK_YIELD;
		}
		if (weir_poll(&taker->u.yield.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		weir_sem_release(&sem, 1);
		taker->step = LOCK_NEXT;
	}
	return 0;
}

static int sem_child_fn(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < HANDOFFS; i++) {
		int rc = weir_sem_acquire(&sem, 1);

		if (rc < 0)
			return rc;
		weir_yield();
		weir_sem_release(&sem, 1);
	}
	return 0;
}

/* ---- notify_ping_pong ---- */

static struct weir_notify there, back;

struct notifier {
	const struct micro_def *def;	/* only in the driver */
	unsigned done;
	bool waiting;
	struct weir_notified_future notified;
	struct weir_task *partner;
	struct weir_join_future join;
};

static int notify_partner_poll(void *state, struct weir_cx *cx)
{
	struct notifier *partner = state;

	for (; partner->done < ROUND_TRIPS; partner->done++) {
		if (!partner->waiting)
			weir_notified_init(&partner->notified, &there);
		partner->waiting = true;
		if (weir_poll(&partner->notified.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		partner->waiting = false;
		weir_notify_one(&back);
	}
	return 0;
}

static int notify_partner_fn(void *arg)
{
	int rc = 0;

	(void)arg;
	for (unsigned i = 0; i < ROUND_TRIPS && rc >= 0; i++) {
		rc = weir_notify_wait(&there);
		weir_notify_one(&back);
	}
	return rc;
}

static struct weir_task *notify_start(void)
{
	static const struct micro_body body = { notify_partner_poll, sizeof(struct notifier),
						notify_partner_fn };
	struct weir_task *partner;

	weir_notify_init(&there);
	weir_notify_init(&back);
	micro_must(micro_spawn(NULL, &body, NULL, NULL, &partner), "spawn");
	return partner;
}

static int notify_poll(void *state, struct weir_cx *cx)
{
	struct notifier *driver = state;

	if (!driver->partner) {
		driver->partner = notify_start();
		weir_join_init(&driver->join, driver->partner);
	}
	for (; driver->done < ROUND_TRIPS; driver->done++) {
		if (!driver->waiting) {
			weir_notify_one(&there);
			weir_notified_init(&driver->notified, &back);
			driver->waiting = true;
		}
		if (weir_poll(&driver->notified.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		driver->waiting = false;
	}
	return weir_poll(&driver->join.future, cx);
}

static int notify_fn(void *arg)
{
	struct weir_task *partner = notify_start();
	int rc = 0, result;

	(void)arg;
	for (unsigned i = 0; i < ROUND_TRIPS && rc >= 0; i++) {
		weir_notify_one(&there);
		rc = weir_notify_wait(&back);
	}
	micro_must(rc, "notify_ping_pong");
	return weir_task_join(partner, &result);
}

const struct micro_def micro_sync_defs[] = {
	{ .name = "oneshot",
	  .ops = ONESHOTS,
	  .driver = { oneshot_poll, sizeof(struct oneshots), oneshot_fn } },
	{ .name = "oneshot_new",
	  .ops = ONESHOTS,
	  .driver = { oneshot_new_poll, sizeof(struct oneshots), oneshot_new_fn } },
	{ .name = "mutex_uncontended",
	  .ops = ALONE,
	  .driver = { mutex_alone_poll, sizeof(struct locker), mutex_alone_fn } },
	{ .name = "mutex_100",
	  .ops = TASKS * LOCKS,
	  .driver = MICRO_JOIN_MANY,
	  .count = TASKS,
	  .child = { mutex_child_poll, sizeof(struct locker), mutex_child_fn },
	  .setup = mutex_setup },
	{ .name = "mutex_100_handoff",
	  .ops = TASKS * HANDOFFS,
	  .driver = MICRO_JOIN_MANY,
	  .count = TASKS,
	  .child = { handoff_poll, sizeof(struct locker), handoff_fn },
	  .setup = mutex_setup },
	{ .name = "semaphore_uncontended",
	  .ops = ALONE,
	  .driver = { sem_alone_poll, sizeof(struct taker), sem_alone_fn } },
	{ .name = "semaphore_100_10",
	  .ops = TASKS * HANDOFFS,
	  .driver = MICRO_JOIN_MANY,
	  .count = TASKS,
	  .child = { sem_child_poll, sizeof(struct taker), sem_child_fn },
	  .setup = sem_setup },
	{ .name = "notify_ping_pong",
	  .ops = ROUND_TRIPS,
	  .driver = { notify_poll, sizeof(struct notifier), notify_fn } },
	{ 0 },
};
