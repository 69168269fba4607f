/* SPDX-License-Identifier: MIT */
/*
 * worker_new.c: makes a worker with its backend, stacks and queues on its memory
 * node, and frees them.
 */
#include <stdlib.h>

#include "core/io/io.h"
#include "core/leaf.h"
#include "core/node.h"
#include "sched/worker.h"

static struct weir__driver_io driver_io(const struct runtime *rt, unsigned index)
{
	struct weir__driver_io io = {
		.ops = rt->backend,
		.companion_ops = rt->companion,
		.companion_options = rt->companion_options,
		.cfg = {
			.rt = (struct weir_rt *)(uintptr_t)&rt->base,
			.worker = index,
			.workers = rt->base.workers,
			.node = rt->node[index],
			.busy_events = rt->cfg.busy_events,
			.idle_events = rt->cfg.idle_events,
			.lease_bytes = rt->cfg.lease_bytes,
			.custom = rt->cfg.backend_config,
			.clock = rt->cfg.clock,
			.options = rt->backend_options,
			.moves = rt->cfg.sched == WEIR_SCHED_CURRENT,
		},
	};

	return io;
}

static void worker_init(struct worker *w, struct runtime *rt, unsigned index)
{
	w->rt = rt;
	w->base.rt = &rt->base;
	w->base.index = (uint16_t)index;
	w->group = weir__domains_group_of(rt, index);
	w->stealing = w->group->domain->stealing;
	w->base.cx.waker.ops = &weir__task_waker_ops;
	w->base.cx.worker = &w->base;
	w->rng = index * 2654435761u + 1;
	w->lifo_left = rt->cfg.lifo_max;
	w->spin_ns = rt->cfg.spin_ns;
	w->turn_interval = rt->cfg.event_interval;
	w->inject_interval = rt->cfg.inject_interval		   ? rt->cfg.inject_interval
			     : rt->cfg.sched == WEIR_SCHED_CURRENT ? 31
								   : 61;
	ring_init(&w->ring);
	weir__inject_init(&w->overflow);
	weir__inbox_init(&w->base.inbox);
	weir__slab_init(&w->base.slab, rt->node[index]);
}

static int worker_build(struct runtime *rt, unsigned index, struct worker **ret_worker)
{
	int node = rt->node[index], rc;
	struct weir__driver_io io;
	struct worker *w = weir__node_alloc(sizeof *w, node);

	if (!w)
		return -ENOMEM;
	worker_init(w, rt, index);
	rc = weir__steal_order_init(w);
	if (rc == 0)
		rc = weir__samples_init(w, node);
	if (rc == 0)
		rc = weir__stack_pool_init(&w->base.stacks, rt->cfg.stack_bytes,
					   rt->cfg.guard_bytes, node);
	if (rc < 0)
		goto fail;
	io = driver_io(rt, index);
	rc = weir__driver_init(&w->base.driver, &w->base, &io, rt->cfg.tick_ns);
	if (rc < 0)
		goto fail_stacks;
	*ret_worker = w;
	return 0;

fail_stacks:
	weir__stack_pool_fini(&w->base.stacks);
fail:
	weir__samples_fini(w);
	weir__steal_order_fini(w);
	weir__node_free(w, sizeof *w, node);
	return rc;
}

/*
 * Called before the worker's thread exists, so this thread's policy makes the kernel's memory for
 * the rings come from the worker's node, too.
 */
int weir__worker_new(struct runtime *rt, unsigned index, struct worker **ret_worker)
{
	int node = rt->node[index], rc;

	if (node >= 0)
		(void)weir__os_node_prefer(node);
	rc = worker_build(rt, index, ret_worker);
	if (node >= 0)
		(void)weir__os_node_prefer(-1);
	return rc;
}

void weir__worker_close(struct worker *w)
{
	weir__driver_fini(&w->base.driver);
	weir__stack_pool_fini(&w->base.stacks);
	weir__samples_fini(w);
	weir__steal_order_fini(w);
	free(w->base.late.wakers);
}

void weir__worker_free(struct worker *w)
{
	weir__slab_fini(&w->base.slab);
	weir__node_free(w, sizeof *w, w->rt->node[w->base.index]);
}
