/* SPDX-License-Identifier: MIT */
/*
 * worker.c: THE main loop. weir__worker_run reads as the policy; each line of it
 * is one function below, or in queue.c, steal.c and park.c.
 */
#include "sched/worker.h"

#include <limits.h>

#include "core/assert.h"
#include "core/futex.h"
#include "core/io/io.h"
#include "core/mailbox.h"
#include "core/task/run.h"
#include "core/time/clock.h"

/* yields per poll of the drivers when nothing else is ready */
#define YIELD_POLL_TICKS 8u

/* ---- maintenance by a busy worker ---- */

/* Sets the intervals, assuming that polls stay as long as they were lately. */
static void tune_intervals(struct worker *w)
{
	uint32_t tick = worker_tick(w);
	unsigned polls = tick - w->stats_from_tick, n;
	uint64_t from = w->stats_from_ns, now = weir__clock_system(), aim = w->rt->cfg.tune_ns;

	w->stats_from_ns = now;
	w->stats_from_tick = tick;
	if (!from || !polls)
		return;
	w->poll_ns += 0.1 * ((double)(now - from) / polls - w->poll_ns);
	n = w->poll_ns * 127 <= (double)aim ? 127 : (unsigned)((double)aim / w->poll_ns);
	n = n < 2 ? 2 : n;
	w->inject_interval = w->rt->cfg.inject_interval ? w->rt->cfg.inject_interval : n;
	WEIR_ASSERT(w->inject_interval > 0);
	w->turn_interval = n < w->rt->cfg.event_interval ? n : w->rt->cfg.event_interval;
}

static void abort_own_tasks(struct worker *w)
{
	if (w->aborted_all || runtime_phase(w->rt) != RT_ABORTING)
		return;
	w->aborted_all = true;
	weir__task_queue_all(weir__task_abort_all(&w->base.slab));
}

/* Tells a shutdown that waits for the tasks to end. */
static void report_drained(struct worker *w)
{
	if (runtime_phase(w->rt) != RT_ABORTING)
		return;
	weir__fetch_add(&w->rt->drained, 1u, WEIR_RELEASE);
	weir__futex_wake(&w->rt->drained, INT_MAX);
}

static void open_mail(struct worker *w, struct weir__link *tagged)
{
	struct weir__link *link = weir__inbox_link(tagged);

	switch (weir__mail_what(tagged)) {
	case WEIR__MAIL_TASK:
		weir__worker_push_arrived(w, weir__task_of_link(link));
		break;
	case WEIR__MAIL_OP:
		weir__op_arrived(WEIR_CONTAINER_OF(link, struct weir_op, link));
		break;
	case WEIR__MAIL_HANDLE:
		weir__handle_arrived(&w->base, WEIR_CONTAINER_OF(link, struct weir_handle, link));
		break;
	case WEIR__MAIL_GIVEN:
		weir__handle_received(&w->base, WEIR_CONTAINER_OF(link, struct weir_handle, link));
		break;
	}
}

void weir__worker_take_mail(struct worker *w)
{
	struct weir__link *tagged, *next;

	for (tagged = weir__inbox_take(&w->base.inbox); tagged; tagged = next) {
		next = weir__inbox_link(tagged)->next;
		open_mail(w, tagged);
	}
}

/* Takes what others have sent here. */
static void take_in(struct worker *w)
{
	weir__worker_take_mail(w);
	abort_own_tasks(w);
}

/* Tasks that yielded go behind those that the drivers have just made ready. */
static void requeue_deferred(struct worker *w)
{
	struct weir__link *first, *last;
	unsigned n;

	if (!weir__load(&w->base.deferred.len, WEIR_RELAXED))
		return;
	n = weir__deferred_take(&w->base.deferred, &first, &last);
	if (n)
		weir__worker_push_chain(w, first, last, n);
}

static void share_backlog(struct worker *w)
{
	if (w->stealing && ring_len(&w->ring) > 1)
		weir__schedule_wake_one(w->rt, w->group, w->base.index);
}

/* Polls the drivers without waiting. */
static void poll_drivers(struct worker *w)
{
	weir__driver_poll(&w->base.driver, &w->base, weir__worker_has_local(w));
	w->polled_at = worker_tick(w);
	requeue_deferred(w);
	take_in(w);
	share_backlog(w);
}

static WEIR_NOINLINE void turn_drivers(struct worker *w)
{
	if (WEIR_UNLIKELY(w->stall.pending))
		weir__stall_deliver(w);
	tune_intervals(w);
	poll_drivers(w);
	w->turn_at = worker_tick(w) + w->turn_interval;
}

/* ---- where the next task comes from ---- */

/*
 * Fairness: checks the inject queue, and neglected queues of other groups, before local work, once
 * per interval.
 */
static WEIR_NOINLINE struct weir_task *next_fairly(struct worker *w)
{
	struct weir_task *task;

	w->inject_at = worker_tick(w) + w->inject_interval;
	/* it has checked the inject queue at this tick before searching */
	WEIR_ASSERT(!w->searching);
	task = weir__worker_next_injected(w, w->group);
	return task || w->group->idle.near_len == 1 ? task : weir__steal_neglected(w);
}

static struct weir_task *next_injected(struct worker *w)
{
	return inject_len(&w->group->inject) ? weir__worker_next_injected(w, w->group) : NULL;
}

static struct weir_task *next_ready(struct worker *w)
{
	struct weir_task *task = worker_next_lifo(w);

	if (!task)
		task = weir__worker_next_local(w);
	return task ? task : next_injected(w);
}

/* Only tasks that yielded are ready: polls the drivers first, though not before each of them. */
static struct weir_task *next_deferred(struct worker *w)
{
	unsigned n = weir__load(&w->base.deferred.len, WEIR_RELAXED);

	if (!n)
		return NULL;
	if (n > YIELD_POLL_TICKS || worker_tick(w) - w->polled_at >= YIELD_POLL_TICKS)
		poll_drivers(w);
	else
		requeue_deferred(w);
	return next_ready(w);
}

static uint32_t sooner(uint32_t tick, uint32_t a, uint32_t b)
{
	return (int32_t)(a - tick) < (int32_t)(b - tick) ? a : b;
}

/*
 * Ends a tick with maintenance: times this poll if it is to be sampled, and sets the next such
 * tick.
 */
static WEIR_NOINLINE void end_maintenance(struct worker *w, uint32_t tick, struct weir_task *task)
{
	if (task && sampler_is_due(&w->poll_sampler, tick))
		weir__sample_poll(&w->poll_sampler, tick, task);
	w->maintain_at = sooner(tick, w->turn_at, sooner(tick, w->inject_at, w->poll_sampler.at));
}

/*
 * Sleeps until something comes, and takes it in. Not inlined: it happens once in a busy stretch,
 * and would cost the loop registers.
 */
static WEIR_NOINLINE void park(struct worker *w, bool (*until)(void *), void *arg)
{
	uint32_t turns = w->base.driver.turns;

	report_drained(w);
	busy_end(&w->busy);
	weir__worker_park(w, until, arg);
	busy_begin(&w->busy);
	take_in(w);
	share_backlog(w);
	if (w->stealing && weir__worker_has_local(w))
		weir__watch_pass_on(w);
	/*
	 * Not if work came before the drivers were polled, from the hook or from others: that may
	 * happen each time, and the drivers must still get their turn.
	 */
	if (w->base.driver.turns != turns) {
		w->polled_at = worker_tick(w);
		w->turn_at = worker_tick(w) + w->turn_interval;
	}
	/* the busy stretch has ended: time asleep is no poll time */
	w->stats_from_ns = 0;
}

/* ---- the loop ---- */

/* False if the task has blocked in place. Inline, for the reasons in core/fiber/resume.h. */
__attribute__((always_inline)) static inline bool run(struct worker *w, struct weir_task *task)
{
	if (w->searching)
		weir__steal_end_search(w);
	if (WEIR_UNLIKELY(task->flags & (WEIR__TASK_STAMPED | WEIR__TASK_TIMED)))
		return weir__sample_run(w, task);
	return weir__task_run(&w->base, task);
}

/*
 * A tick is a poll. Once in many ticks the worker does maintenance: it polls the drivers and
 * checks the inject queues. Then it runs the next task, from the first queue that has one.
 */
void weir__worker_run(struct worker *w, bool (*until)(void *arg), void *arg)
{
	while (!worker_is_done(w, until, arg)) {
		uint32_t tick = worker_tick(w);
		bool maintains = worker_is_due(tick, w->maintain_at);
		struct weir_task *task = NULL;

		if (WEIR_UNLIKELY(maintains)) {
			if (worker_is_due(tick, w->turn_at))
				turn_drivers(w);
			if (worker_is_due(tick, w->inject_at))
				task = next_fairly(w);
		}
		if (!task)
			task = worker_next_lifo(w);
		if (!task)
			task = weir__worker_next_local(w);
		if (!task)
			task = next_injected(w);
		if (!task)
			task = next_deferred(w);
		if (!task)
			task = weir__steal_work(w);
		if (WEIR_UNLIKELY(maintains))
			end_maintenance(w, tick, task);

		if (!task)
			park(w, until, arg);
		else if (WEIR_UNLIKELY(!run(w, task)))
			/* it has blocked in place: another thread is the worker now */
			return;
	}
}
