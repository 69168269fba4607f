/* SPDX-License-Identifier: MIT */
/* sample.c: see sample.h. What is done for the few events that are sampled. */
#include "sched/sample.h"

#include <sys/mman.h>

#include "core/node.h"
#include "core/task/run.h"
#include "core/time/clock.h"
#include "sched/worker.h"

int weir__samples_init(struct worker *w, int node)
{
	unsigned every = w->rt->cfg.sample == WEIR_SAMPLE_NONE ? 0 : w->rt->cfg.sample;

	weir__sampler_init(&w->poll_sampler, every, w->rng);
	weir__sampler_init(&w->wake_sampler, every, ~w->rng);
	if (!every)
		return 0;
	w->samples = weir__os_map_sparse(sizeof *w->samples);
	if (!w->samples)
		return -ENOMEM;
	weir__node_place(w->samples, sizeof *w->samples, node);
	w->base.batch = &w->samples->batch;
	return 0;
}

void weir__samples_fini(struct worker *w)
{
	if (w->samples)
		munmap(w->samples, sizeof *w->samples);
}

/* A distance that is never reached between two draws. */
#define NEVER 0x40000000u

void weir__sampler_init(struct sampler *s, unsigned every, uint32_t seed)
{
	*s = (struct sampler){ .every = every, .rng = seed };
	weir__sampler_next(s, UINT32_MAX);
}

/* Uniform from 1 to 2 * every - 1. */
void weir__sampler_next(struct sampler *s, uint32_t count)
{
	uint32_t rng = weir__load(&s->rng, WEIR_RELAXED);

	rng ^= rng << 13;
	rng ^= rng >> 17;
	rng ^= rng << 5;
	weir__store(&s->rng, rng, WEIR_RELAXED);
	count += s->every ? 1 + rng % (2 * s->every - 1) : NEVER;
	weir__store(&s->at, count, WEIR_RELAXED);
}

void weir__sample_wake(struct sampler *s, uint32_t count, struct weir_task *task)
{
	weir__sampler_next(s, count);
	/* A task that is being unwound has its result in the place of the stamp. */
	if (!s->every || (task->flags & WEIR__TASK_UNWINDING))
		return;
	task->flags |= WEIR__TASK_STAMPED;
	task->woken_ns = weir__clock_system();
}

void weir__sample_poll(struct sampler *s, uint32_t count, struct weir_task *task)
{
	weir__sampler_next(s, count);
	if (s->every)
		task->flags |= WEIR__TASK_TIMED;
}

bool weir__sample_run(struct worker *w, struct weir_task *task)
{
	bool stays, stamped = task->flags & WEIR__TASK_STAMPED,
		    poll = task->flags & WEIR__TASK_TIMED;
	uint64_t from = weir__clock_system();

	task->flags &= (uint8_t) ~(WEIR__TASK_STAMPED | WEIR__TASK_TIMED);
	if (stamped && w->samples && from >= task->woken_ns)
		weir_histogram_add(&w->samples->latency_ns, from - task->woken_ns);
	stays = weir__task_run(&w->base, task);
	/* If the task has blocked in place, another thread is the worker by now. */
	if (stays && poll && w->samples)
		weir_histogram_add(&w->samples->poll_ns, weir__clock_system() - from);
	return stays;
}
