/* SPDX-License-Identifier: MIT */
/*
 * metrics.c: reads the metrics, see weir/metrics.h. They are counted where the
 * events happen, mostly by weir__count (core/worker.h).
 */
#include "weir/metrics.h"

#include "core/sized.h"
#include "sched/runtime.h"
#include "sched/worker.h"

static struct runtime *of_const(const struct weir_rt *rt)
{
	return runtime_of((struct weir_rt *)(uintptr_t)rt);
}

uint64_t weir__runtime_alive(struct runtime *rt)
{
	uint64_t alive, finished = 0;
	unsigned i;

	/* Read finished first: a task that ends in between counts as alive, never the reverse. */
	for (i = 0; i < rt->base.workers; i++)
		finished += weir__load(&rt->base.worker[i]->metrics.finished, WEIR_ACQUIRE);
	alive = weir__load(&rt->base.foreign_spawned, WEIR_RELAXED);
	for (i = 0; i < rt->base.workers; i++)
		alive += weir__load(&rt->base.worker[i]->metrics.spawned, WEIR_RELAXED);
	WEIR_ASSERT(alive >= finished);
	return alive - finished;
}

static uint64_t inject_depth(struct runtime *rt)
{
	uint64_t depth = 0;
	unsigned i;

	for (i = 0; i < rt->groups_len; i++)
		depth += inject_len(&rt->groups[i].inject);
	return depth;
}

int weir_metrics_get(const struct weir_rt *base, struct weir_metrics *ret_metrics)
{
	struct runtime *rt = of_const(base);
	struct weir_metrics full;

	if (!base || !weir__sized_valid(ret_metrics))
		return -EINVAL;
	full = (struct weir_metrics){
		.size = sizeof full,
		.backend = runtime_backend_name(rt),
		.workers = base->workers,
		.groups = base->plan->groups_len,
		.alive = weir__runtime_alive(rt),
		.inject_depth = inject_depth(rt),
		.stall_error = weir__load(&rt->stall_error, WEIR_RELAXED),
		.io_error = weir__load(&rt->io_error, WEIR_RELAXED),
	};
	weir__pool_metrics(&rt->pool, &full);
	weir__sized_write(&full, ret_metrics);
	return 0;
}

/* Copies the counters, all of them words with one writer, up to the members that are computed. */
static void copy_counters(const struct weir_worker_metrics *counted,
			  struct weir_worker_metrics *ret_metrics)
{
	const uint64_t *from = &counted->polls, *end = &counted->queue_depth;
	uint64_t *to = &ret_metrics->polls;

	while (from < end)
		*to++ = weir__load(from++, WEIR_RELAXED);
}

int weir_metrics_worker(const struct weir_rt *rt, unsigned worker,
			struct weir_worker_metrics *ret_metrics)
{
	struct weir_worker_metrics full = WEIR_WORKER_METRICS_INIT;
	struct worker *w;

	if (!rt || worker >= rt->workers || !weir__sized_valid(ret_metrics))
		return -EINVAL;
	w = worker_at(of_const(rt), worker);
	copy_counters(&w->base.metrics, &full);
	full.busy_ns = busy_ns(&w->busy);
	full.queue_depth = weir__worker_queue_len(w);
	full.overflow_depth = inject_len(&w->overflow);
	weir__sized_write(&full, ret_metrics);
	return 0;
}

/* Returns the samples of a worker, or NULL with *ret_err. */
static struct samples *samples_of(const struct weir_rt *rt, unsigned worker,
				  const struct weir_histogram *into, int *ret_err)
{
	struct samples *samples;

	*ret_err = -EINVAL;
	if (!rt || worker >= rt->workers || !into)
		return NULL;
	samples = worker_at(of_const(rt), worker)->samples;
	*ret_err = samples ? 0 : -ENOENT;
	return samples;
}

int weir_metrics_poll_time(const struct weir_rt *rt, unsigned worker, struct weir_histogram *into)
{
	int rc;
	struct samples *samples = samples_of(rt, worker, into, &rc);

	if (samples)
		weir_histogram_merge(into, &samples->poll_ns);
	return rc;
}

int weir_metrics_schedule_latency(const struct weir_rt *rt, unsigned worker,
				  struct weir_histogram *into)
{
	int rc;
	struct samples *samples = samples_of(rt, worker, into, &rc);

	if (samples)
		weir_histogram_merge(into, &samples->latency_ns);
	return rc;
}

int weir_metrics_batch_size(const struct weir_rt *rt, unsigned worker, struct weir_histogram *into)
{
	int rc;
	struct samples *samples = samples_of(rt, worker, into, &rc);

	if (samples)
		weir_histogram_merge(into, &samples->batch);
	return rc;
}
