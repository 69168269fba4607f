/* SPDX-License-Identifier: MIT */
/*
 * shards.c: listeners with several sockets on one port: one for each group of workers, or
 * one for each worker.
 *
 * A socket belongs to the worker that attaches it, so a task that is pinned to that worker
 * opens it. They are opened one after the other, because the kernel numbers the sockets of
 * a port in this order, and steering uses the numbers.
 *
 * The first socket is bound without SO_REUSEPORT, so that the bind fails if any other
 * program has the port. Then SO_REUSEPORT is set, and the others can be bound.
 *
 * The first one has the list of all, with a reference to each: holding the first keeps the
 * memory of the others.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/io/io.h"
#include "core/task/task.h"
#include "core/worker.h"
#include "net/net.h"
#include "weir/topo.h"

static const struct weir_plan *plan_here(void)
{
	return weir__worker_current()->rt->plan;
}

unsigned weir__shards_count(enum weir_shards shards, int family)
{
	if (shards == WEIR_SHARDS_ONE || family == AF_UNIX || !weir__worker_current())
		return 1;
	return shards == WEIR_SHARDS_GROUP ? plan_here()->groups_len : plan_here()->workers_len;
}

struct weir_listener *weir__shard_of(struct weir_listener *listener, const struct weir__worker *w)
{
	if (!listener->shards)
		return listener;
	WEIR_ASSERT(w->rt->plan->workers_len == w->rt->workers);
	return listener->shards[listener->shards_by == WEIR_SHARDS_WORKER
					? w->index
					: w->rt->plan->workers[w->index].group];
}

/*
 * The worker that opens the i-th shard. In each group it has the same position as the calling
 * worker in its own group, so that listeners opened on different workers load different workers.
 */
static unsigned worker_of(enum weir_shards shards, unsigned i)
{
	const struct weir_plan *plan = plan_here();
	unsigned here = weir__worker_current()->index;

	if (shards == WEIR_SHARDS_WORKER)
		return i;
	here -= plan->groups[plan->workers[here].group].first;
	return plan->groups[i].first + here % plan->groups[i].workers;
}

/* ---- opening ---- */

struct opening {
	const struct weir_handle_spec *spec;
	const struct weir_listener_config *cfg;
	struct weir_listener *listener;
};

static int open_here(void *arg)
{
	struct opening *o = arg;

	return weir__listener_new(o->spec, o->cfg, &o->listener);
}

/* The wait is shielded from an abort, because the task uses this stack. */
static int open_on(unsigned worker, struct opening *o)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	struct weir_join_future join;
	int rc;

	if (worker == weir__worker_current()->index)
		return open_here(o);
	cfg.name = "listen";
	cfg.flags = WEIR_TASK_PINNED;
	cfg.worker = 1 + (int)worker;
	cfg.fn = open_here;
	cfg.arg = o;
	rc = weir_task_spawn(NULL, &cfg, &task);
	if (rc < 0)
		return rc;
	weir_join_init(&join, task);
	rc = weir__await_shielded(&join.future);
	return rc < 0 ? rc : join.result;
}

/* Let the others share the port of the first one, and store its address in their spec. */
static int share_first(struct weir_listener *first, struct weir_handle_spec *spec,
		       struct weir_addr *addr)
{
	int on = 1, rc = weir__handle_addr(&first->handle, WEIR_CTL_LOCAL_ADDR, addr);

	if (rc == 0 && !spec->reuse_port)
		rc = weir__handle_control(&first->handle, WEIR_CTL_SHARE_PORT, &on, sizeof(on));
	spec->addr = &addr->u.sa;
	spec->addr_len = addr->len;
	spec->reuse_port = true;
	return rc;
}

static int open_all(struct weir_handle_spec spec, const struct weir_listener_config *cfg,
		    struct weir_listener **all, unsigned count)
{
	struct weir_addr addr;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < count; i++) {
		struct opening o = { .spec = &spec, .cfg = cfg };

		rc = open_on(worker_of(cfg->shards, i), &o);
		all[i] = o.listener;
		if (rc == 0 && i == 0)
			rc = share_first(all[0], &spec, &addr);
	}
	return rc;
}

/*
 * ---- distribution ----
 *
 * The kernel's hash gives each socket an equal share. If groups have different numbers of workers,
 * a BPF program distributes connections at random, weighted by workers. It also steers if
 * requested.
 */

static unsigned workers_of(const struct weir_listener *first, unsigned shard)
{
	return first->shards_by == WEIR_SHARDS_WORKER ? 1 : plan_here()->groups[shard].workers;
}

static bool are_unequal(const struct weir_listener *first)
{
	for (unsigned i = 1; i < first->shards_len; i++)
		if (workers_of(first, i) != workers_of(first, 0))
			return true;
	return false;
}

/* The shard of the group, or of the worker, that has this CPU. */
static uint16_t shard_of_cpu(const struct weir_listener *first, unsigned cpu)
{
	const struct weir_plan *plan = plan_here();
	bool by_worker = first->shards_by == WEIR_SHARDS_WORKER;

	for (uint16_t i = 0; i < first->shards_len; i++)
		if (weir_cpuset_has(by_worker ? &plan->workers[i].cpus : &plan->groups[i].cpus,
				    cpu))
			return i;
	return WEIR_STEER_NOBODY;
}

static int steer(struct weir_listener *first, bool by_cpu)
{
	uint16_t shard[WEIR_CPUS_MAX], weight[WEIR_CPUS_MAX];
	struct weir_steering steering = { 0, shard, first->shards_len, weight };

	WEIR_ASSERT(first->shards_len <= WEIR_CPUS_MAX);
	/* Workers share CPUs, so a CPU does not determine a worker. */
	if (first->shards_by == WEIR_SHARDS_WORKER && plan_here()->bind != WEIR_BIND_CPU)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < first->shards_len; i++)
		weight[i] = (uint16_t)workers_of(first, i);
	for (unsigned cpu = 0; by_cpu && cpu < WEIR_CPUS_MAX; cpu++) {
		shard[cpu] = shard_of_cpu(first, cpu);
		if (shard[cpu] != WEIR_STEER_NOBODY)
			steering.cpus = cpu + 1;
	}
	return weir__handle_control(&first->handle, WEIR_CTL_STEER, &steering, sizeof(steering));
}

/* ---- opening and freeing all ---- */

static void close_opened(struct weir_listener **all, unsigned count)
{
	while (count-- > 0)
		if (all[count])
			weir__listener_close_one(all[count]);
	free(all);
}

int weir__shards_open(const struct weir_handle_spec *spec, const struct weir_listener_config *cfg,
		      unsigned count, struct weir_listener **ret_listener)
{
	struct weir_listener **all;
	int rc;

	rc = weir__need_fiber();
	if (rc < 0)
		return rc;
	all = calloc(count, sizeof(*all));
	if (!all)
		return -ENOMEM;
	rc = open_all(*spec, cfg, all, count);
	if (rc < 0) {
		close_opened(all, count);
		return rc;
	}
	for (unsigned i = 1; i < count; i++)
		weir__listener_ref(all[i]);
	all[0]->shards = all;
	all[0]->shards_len = (uint16_t)count;
	all[0]->shards_by = (uint8_t)cfg->shards;
	/* With reuse_port other programs' sockets share the port, and their number is unknown. */
	if (cfg->steer || (!cfg->reuse_port && are_unequal(all[0])))
		all[0]->steer_error = steer(all[0], cfg->steer == WEIR_STEER_CPU);
	*ret_listener = all[0];
	return 0;
}
