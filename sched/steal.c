/* SPDX-License-Identifier: MIT */
/*
 * steal.c: see steal.h. A search goes by distance. First it checks everything on
 * the node, several times (weir_rt_config.remote_after). Then it checks once what
 * is farther away, but not while there is something left on the node. A search
 * may fail although there is work, because another thief was taking it. That is
 * why a worker checks once more before it sleeps (sched/idle.h, step W).
 */
#include "sched/steal.h"

#include "core/assert.h"
#include "sched/worker.h"

/*
 * After this many checks, an inject interval (200 us) apart, a queue that does not move is
 * neglected.
 */
#define NEGLECTED_LOOKS 4u

/* ---- a search ---- */

static uint32_t random_start(struct worker *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 17;
	w->rng ^= w->rng << 5;
	return w->rng;
}

/* Tries the victims from victims[from] to the end of the run, beginning with a random one. */
static struct weir_task *steal_from_run(struct worker *w, unsigned from, struct steal_run run)
{
	unsigned n = run.end - from, i, start = random_start(w) % n;
	struct weir_task *task;

	for (i = 0; i < n; i++) {
		unsigned k = from + (start + i < n ? start + i : start + i - n);
		struct worker *victim = worker_at(w->rt, w->order.victims[k]);

		task = weir__worker_steal_from(w, victim, run.tier);
		if (task)
			return task;
	}
	return NULL;
}

static struct weir_task *steal_from_runs(struct worker *w, unsigned first, unsigned end)
{
	struct steal_order *order = &w->order;
	struct weir_task *task = NULL;

	for (; first < end && !task; first++)
		task = steal_from_run(w, first ? order->runs[first - 1].end : 0,
				      order->runs[first]);
	return task;
}

static struct weir_task *take_from_groups(struct worker *w, unsigned first, unsigned end)
{
	struct weir_task *task = NULL;

	for (; first < end && !task; first++)
		task = weir__worker_next_injected(w, group_near(w->group, first));
	return task;
}

static struct weir_task *search_near(struct worker *w)
{
	struct weir_task *task = steal_from_runs(w, 0, w->order.near_runs);

	return task ? task : take_from_groups(w, 0, w->group->on_node);
}

static struct weir_task *search_far(struct worker *w)
{
	struct weir_task *task = steal_from_runs(w, w->order.near_runs, w->order.runs_len);

	return task ? task : take_from_groups(w, w->group->on_node, w->group->idle.near_len);
}

static bool anything_in(struct worker *w, unsigned victims, unsigned groups)
{
	unsigned k;

	for (k = 0; k < groups; k++)
		if (inject_len(&group_near(w->group, k)->inject))
			return true;
	for (k = 0; k < victims; k++) {
		struct worker *v = worker_at(w->rt, w->order.victims[k]);

		if (ring_len(&v->ring) || inject_len(&v->overflow))
			return true;
	}
	return false;
}

bool weir__steal_anything(struct worker *w)
{
	return anything_in(w, w->order.len, w->group->idle.near_len);
}

static bool anything_near(struct worker *w)
{
	struct steal_order *order = &w->order;

	return anything_in(w, order->near_runs ? order->runs[order->near_runs - 1].end : 0,
			   w->group->on_node);
}

static struct weir_task *search(struct worker *w)
{
	struct weir_task *task = search_near(w);
	unsigned rounds;

	if (task || WEIR_LIKELY(!w->order.remote))
		return task;
	for (rounds = 1; rounds < w->rt->cfg.remote_after && !task; rounds++) {
		weir__cpu_relax();
		task = search_near(w);
	}
	return task || anything_near(w) ? task : search_far(w);
}

void weir__steal_end_search(struct worker *w)
{
	if (!w->searching)
		return;
	w->searching = false;
	if (idle_end_search(&w->group->domain->idle))
		weir__schedule_wake_one(w->rt, w->group, w->base.index);
}

struct weir_task *weir__steal_work(struct worker *w)
{
	struct idle *idle = &w->group->domain->idle;
	struct weir_task *task;

	if (!w->stealing)
		return NULL;
	if (!w->searching)
		w->searching = idle_begin_search(idle);
	if (!w->searching)
		return NULL;
	WEIR_ASSERT(weir__load(&idle->searching, WEIR_RELAXED) > 0);
	task = search(w);
	if (task)
		weir__steal_end_search(w);
	return task;
}

/* ---- neglected inject queues ---- */

struct weir_task *weir__steal_neglected(struct worker *w)
{
	struct steal_neglect *n = &w->neglect;
	struct group *g = group_near(w->group, n->at);
	uint32_t taken = inject_taken(&g->inject);
	bool moves = !inject_len(&g->inject) || (n->looks && taken != n->taken);

	if (!moves && n->looks++ < NEGLECTED_LOOKS) {
		n->taken = taken;
		return NULL;
	}
	n->looks = 0;
	n->at = (uint16_t)((n->at + 1u) % w->group->idle.near_len);
	return moves ? NULL : weir__worker_next_injected(w, g);
}
