/* SPDX-License-Identifier: MIT */
/*
 * time.c: timers, and the memory per waiting task.
 */
#include <stdatomic.h>
#include <string.h>

#include "micro.h"

#define REGISTRATIONS 10000
#define TIMERS 1000000
#define FIRES 100000

/* xorshift64*, with the seed that the other programs use. */
#define RANDOM_SEED 88172645463325252ull

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return *random * 0x2545F4914F6CDD1Dull;
}

/* ---- timer_reg_cancel ---- */

struct registrar {
	const struct micro_def *def;
	uint64_t random;
	unsigned done;
	bool cancelled;
	struct weir_sleep_future sleep;
};

static int reg_cancel_poll(void *state, struct weir_cx *cx)
{
	struct registrar *reg = state;

	if (!reg->random)
		reg->random = RANDOM_SEED;
	for (; reg->done < REGISTRATIONS; reg->done++) {
		if (!reg->cancelled) {
			uint64_t us = 1000000 + next_random(&reg->random) % 59000000;

			weir_sleep_init(&reg->sleep, weir_deadline_in(us * WEIR_USEC));
			if (weir_poll(&reg->sleep.future, cx) != WEIR_PENDING)
				return -EPROTO;
			weir_cancel(&reg->sleep.future);
			reg->cancelled = true;
		}
		if (weir_poll(&reg->sleep.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		reg->cancelled = false;
	}
	return 0;
}

const struct micro_def micro_time_defs[] = {
	{ .name = "timer_reg_cancel",
	  .ops = REGISTRATIONS,
	  .driver = { reg_cancel_poll, sizeof(struct registrar), NULL } },
	{ 0 },
};

/* ---- timer_1m: a million outstanding at once ---- */

static size_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[128];
	size_t kib = 0;

	while (file && !kib && fgets(line, sizeof(line), file))
		sscanf(line, "Rss: %zu", &kib);
	if (file)
		fclose(file);
	return kib * 1024;
}

static int timer_1m_poll(void *state, struct weir_cx *cx)
{
	struct micro_timer_1m *ret = *(struct micro_timer_1m **)state;
	uint64_t random = RANDOM_SEED, start;
	size_t before = resident_bytes();
	struct weir_sleep_future *sleeps;

	start = micro_now_ns();
	sleeps = malloc(TIMERS * sizeof(*sleeps));
	if (!sleeps)
		return -ENOMEM;
	for (unsigned i = 0; i < TIMERS; i++) {
		uint64_t us = 10000000 + next_random(&random) % 3590000000ull;

		weir_sleep_init(&sleeps[i], weir_deadline_in(us * WEIR_USEC));
		if (weir_poll(&sleeps[i].future, cx) != WEIR_PENDING)
			return -EPROTO;
	}
	ret->create_ns = (double)(micro_now_ns() - start) / TIMERS;
	ret->bytes = (double)(resident_bytes() - before) / TIMERS;
	start = micro_now_ns();
	for (unsigned i = 0; i < TIMERS; i++) {
		weir_cancel(&sleeps[i].future);
		if (weir_poll(&sleeps[i].future, cx) == WEIR_PENDING)
			return -EPROTO;
	}
	free(sleeps);
	ret->cancel_ns = (double)(micro_now_ns() - start) / TIMERS;
	return 0;
}

static int timer_1m_root(void *arg)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	int rc, result;

	cfg.flags = WEIR_TASK_UNCONSTRAINED; /* polling a cancelled sleep would use up the budget */
	cfg.poll = timer_1m_poll;
	cfg.state = &arg;
	cfg.state_bytes = sizeof(arg);
	rc = weir_task_spawn(NULL, &cfg, &task);
	if (rc >= 0)
		rc = weir_task_join(task, &result);
	return rc < 0 ? rc : result;
}

void micro_timer_1m(struct weir_rt *rt, struct micro_timer_1m *ret)
{
	micro_must(weir_rt_block_on(rt, timer_1m_root, ret), "timer_1m");
}

/* ---- timer_fire_100k ---- */

struct fire {
	const struct micro_def *def;
	bool started;
	unsigned at;
	bool waiting;
	struct weir_join_future join;
};

struct sleeper {
	uint64_t deadline;
	uint64_t *late_ns;
	bool started;
	struct weir_sleep_future sleep;
};

static struct sleeper fire_plan[FIRES];
static uint64_t fire_late_ns[FIRES];
static struct weir_task *fire_tasks[FIRES];

/* A task that wakes too early is an error: it is recorded as a huge value. */
static void note_lateness(const struct sleeper *sleeper)
{
	uint64_t now = micro_now_ns();

	*sleeper->late_ns = now < sleeper->deadline ? UINT64_MAX : now - sleeper->deadline;
}

static int sleeper_poll(void *state, struct weir_cx *cx)
{
	struct sleeper *sleeper = state;

	if (!sleeper->started)
		weir_sleep_init(&sleeper->sleep, sleeper->deadline);
	sleeper->started = true;
	if (weir_poll(&sleeper->sleep.future, cx) == WEIR_PENDING)
		return WEIR_PENDING;
	note_lateness(sleeper);
	return 0;
}

static int sleeper_fn(void *arg)
{
	const struct sleeper *sleeper = arg;
	int rc = weir_sleep_until(sleeper->deadline);

	note_lateness(sleeper);
	return rc;
}

static void fire_spawn(void)
{
	static const struct micro_body body = { sleeper_poll, sizeof(struct sleeper), sleeper_fn };
	uint64_t random = RANDOM_SEED, base = weir_deadline_in(200 * WEIR_MSEC);

	for (unsigned i = 0; i < FIRES; i++) {
		fire_plan[i] = (struct sleeper){
			.deadline = base + next_random(&random) % 1000000 * WEIR_USEC,
			.late_ns = &fire_late_ns[i],
		};
		micro_must(micro_spawn(NULL, &body, &fire_plan[i], &fire_plan[i], &fire_tasks[i]),
			   "spawn");
	}
}

static int fire_poll(void *state, struct weir_cx *cx)
{
	struct fire *fire = state;

	if (!fire->started)
		fire_spawn();
	fire->started = true;
	for (; fire->at < FIRES; fire->at++) {
		if (!fire->waiting)
			weir_join_init(&fire->join, fire_tasks[fire->at]);
		fire->waiting = true;
		if (weir_poll(&fire->join.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		fire->waiting = false;
		if (fire->join.result < 0)
			return fire->join.result;
	}
	return 0;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

void micro_timer_fire(struct weir_rt *rt, struct micro_timer_fire *ret)
{
	static const struct micro_def def = { .name = "timer_fire_100k",
					      .driver = { fire_poll, sizeof(struct fire), NULL } };
	static const size_t rank[3] = { (FIRES - 1) / 2, (FIRES - 1) * 99ull / 100, FIRES - 1 };
	uint64_t before = micro_cpu_ns();

	micro_run(rt, &def);
	ret->cpu_ns = (double)(micro_cpu_ns() - before) / FIRES;
	qsort(fire_late_ns, FIRES, sizeof(*fire_late_ns), compare_u64);
	for (int i = 0; i < 3; i++)
		ret->late_us[i] = (double)fire_late_ns[rank[i]] / 1000.0;
}

/* ---- mem_task_parked, mem_task_sleep ---- */

static atomic_size_t parked;

/* A future that finishes only when it is cancelled. */
struct forever {
	struct weir_future future;
	bool cancelled;
};

static int forever_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct forever *forever = WEIR_CONTAINER_OF(future, struct forever, future);

	(void)cx;
	return forever->cancelled ? -ECANCELED : WEIR_PENDING;
}

static void forever_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct forever, future)->cancelled = true;
}

static const struct weir_future_ops forever_ops = {
	.name = "forever",
	.poll = forever_poll,
	.cancel = forever_cancel,
};

static int park_poll(void *state, struct weir_cx *cx)
{
	(void)state;
	(void)cx;
	atomic_fetch_add(&parked, 1);
	return WEIR_PENDING;
}

static int park_fn(void *arg)
{
	struct forever forever = { .future = { &forever_ops } };

	(void)arg;
	atomic_fetch_add(&parked, 1);
	return weir_await(&forever.future);
}

struct napper {
	bool started;
	struct weir_sleep_future sleep;
};

static int nap_poll(void *state, struct weir_cx *cx)
{
	struct napper *napper = state;

	if (!napper->started) {
		atomic_fetch_add(&parked, 1);
		weir_sleep_init(&napper->sleep, weir_deadline_in(3600 * WEIR_SEC));
		napper->started = true;
	}
	return weir_poll(&napper->sleep.future, cx);
}

static int nap_fn(void *arg)
{
	(void)arg;
	atomic_fetch_add(&parked, 1);
	return weir_sleep(3600 * WEIR_SEC);
}

static int until_parked(void *arg)
{
	int rc = 0;

	while (rc >= 0 && atomic_load(&parked) < *(size_t *)arg)
		rc = weir_sleep(5 * WEIR_MSEC);
	return rc;
}

double micro_mem_tasks(struct weir_rt *rt, size_t tasks, bool sleeping)
{
	static const struct micro_body park = { park_poll, 0, park_fn };
	static const struct micro_body nap = { nap_poll, sizeof(struct napper), nap_fn };
	size_t before = resident_bytes();

	atomic_store(&parked, 0);
	for (size_t i = 0; i < tasks; i++)
		micro_must(micro_spawn(rt, sleeping ? &nap : &park, NULL, NULL, NULL), "spawn");
	micro_must(weir_rt_block_on(rt, until_parked, &tasks), "park");
	return (double)(resident_bytes() - before) / (double)tasks;
}
