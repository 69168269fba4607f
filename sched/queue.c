/* SPDX-License-Identifier: MIT */
/*
 * queue.c: the run queues of a worker. worker.h says what they are and in which
 * order tasks are taken from them.
 *
 * One rule keeps the order across ring and overflow: while the overflow list is
 * not empty, new tasks go behind it.
 */
#include "sched/worker.h"

#include "core/assert.h"

#define REFILL 128u		/* tasks that move from the overflow list at a time */
#define REFILL_BELOW 64u

static struct weir_task *task_of(struct weir__link *link)
{
	return link ? weir__task_of_link(link) : NULL;
}

/* ---- own: no atomics ---- */

static void own_push_chain(struct own_queue *q, struct weir__link *first, struct weir__link *last,
			   unsigned n)
{
	WEIR_ASSERT(n > 0 && (q->first == NULL) == (q->len == 0));
	last->next = NULL;
	if (q->first)
		q->last->next = first;
	else
		q->first = first;
	q->last = last;
	weir__store(&q->len, q->len + n, WEIR_RELAXED);
}

static struct weir_task *own_pop(struct own_queue *q)
{
	struct weir__link *link = q->first;

	if (!link)
		return NULL;
	WEIR_ASSERT(q->len > 0);
	q->first = link->next;
	weir__store(&q->len, q->len - 1, WEIR_RELAXED);
	return weir__task_of_link(link);
}

/* ---- push ---- */

static void overflow_push(struct worker *w, struct weir__link *first, struct weir__link *last,
			  unsigned n)
{
	weir__count(&w->base.metrics.overflows, 1);
	weir__inject_push_chain(&w->overflow, first, last, n);
}

/* Puts a task behind all that are ready here. */
static void enqueue(struct worker *w, struct weir_task *task)
{
	WEIR_ASSERT(&w->base == weir__worker_current());
	WEIR_ASSERT(!(task->flags & WEIR__TASK_PINNED) || task->pinned_to == w->base.index);
	if (!w->stealing || (task->flags & WEIR__TASK_PINNED))
		own_push_chain(&w->own, &task->link, &task->link, 1);
	else if (inject_len(&w->overflow) || !ring_push(&w->ring, task))
		overflow_push(w, &task->link, &task->link, 1);
}

/* The same for a chain of tasks that were ready elsewhere. */
static void enqueue_chain(struct worker *w, struct weir__link *link)
{
	struct weir__link *next;

	for (; link; link = next) {
		next = link->next;
		enqueue(w, weir__task_of_link(link));
	}
}

void weir__worker_push(struct worker *w, struct weir_task *task)
{
	enqueue(w, task);
}

void weir__worker_push_chain(struct worker *w, struct weir__link *first, struct weir__link *last,
			     unsigned n)
{
	weir__count(&w->base.metrics.local_schedules, n);
	if (!w->stealing) {
		own_push_chain(&w->own, first, last, n);
		return;
	}
	last->next = NULL;
	enqueue_chain(w, first);
}

/* The task that was in the slot goes to the queue: the task that was woken last runs first. */
bool weir__worker_push_lifo(struct worker *w, struct weir_task *task)
{
	struct weir_task *old = weir__load(&w->lifo, WEIR_RELAXED);

	WEIR_ASSERT(&w->base == weir__worker_current() && !w->rt->cfg.no_lifo);
	/*
	 * Only the owner fills the slot; a thief may empty it. Pairs with weir__worker_take_lifo.
	 */
	if (!w->stealing || !old)
		weir__store(&w->lifo, task, WEIR_RELEASE);
	else
		old = weir__xchg(&w->lifo, task, WEIR_ACQ_REL);
	if (old)
		enqueue(w, old);
	return old != NULL;
}

void weir__worker_push_own(struct worker *w, struct weir_task *task)
{
	own_push_chain(&w->own, &task->link, &task->link, 1);
}

void weir__worker_push_arrived(struct worker *w, struct weir_task *task)
{
	weir__worker_push_own(w, task);
	weir__count(&w->base.metrics.remote_schedules, 1);
}

/* ---- pop ---- */

struct weir_task *weir__worker_take_lifo(struct worker *w)
{
	struct weir_task *task = weir__load(&w->lifo, WEIR_RELAXED);

	if (!task || w->lifo_left == 0)
		return NULL;
	if (w->stealing)
		task = weir__xchg(&w->lifo, (struct weir_task *)NULL, WEIR_ACQUIRE);
	else	/* atomic for weir__worker_queue_len, which any thread may call */
		weir__store(&w->lifo, (struct weir_task *)NULL, WEIR_RELAXED);
	if (task)
		w->lifo_left--;
	return task;
}

/* Moves the oldest tasks of the overflow list into the ring. */
static void refill(struct worker *w)
{
	unsigned room = ring_room(&w->ring), n;
	struct weir__link *link, *next;

	n = weir__inject_pop_chain(&w->overflow, room < REFILL ? room : REFILL, &link);
	for (; n; n--, link = next) {
		bool pushed;

		next = link->next;
		pushed = ring_push(&w->ring, weir__task_of_link(link));
		WEIR_ASSERT(pushed);
		(void)pushed;
	}
}

static struct weir_task *take_ring(struct worker *w)
{
	if (WEIR_UNLIKELY(inject_len(&w->overflow)) && ring_len(&w->ring) < REFILL_BELOW)
		refill(w);
	return ring_pop(&w->ring);
}

static struct weir_task *take_shared_or_own(struct worker *w)
{
	struct weir_task *task;

	if (!w->stealing)
		return own_pop(&w->own);
	w->own_next = !w->own_next;
	if (w->own_next && (task = own_pop(&w->own)))
		return task;
	task = take_ring(w);
	return task ? task : own_pop(&w->own);
}

struct weir_task *weir__worker_next_local(struct worker *w)
{
	struct weir_task *task = take_shared_or_own(w);

	w->lifo_left = w->rt->cfg.lifo_max;
	/*
	 * The slot was skipped because it had used up its share; with nothing else ready it may go
	 * on.
	 */
	return task ? task : worker_next_lifo(w);
}

struct weir_task *weir__worker_next_injected(struct worker *w, struct group *group)
{
	struct inject *q = &group->inject;
	size_t len = inject_len(q), share;
	struct weir__link *first;
	unsigned n;

	if (!len)
		return NULL;
	share = len / group->idle.workers + 1;
	n = weir__inject_pop_chain(q, share > REFILL ? REFILL : (unsigned)share, &first);
	if (!n)
		return NULL;
	weir__count(&w->base.metrics.remote_schedules, n);
	enqueue_chain(w, first->next);
	return task_of(first);
}

bool weir__worker_has_local(struct worker *w)
{
	return weir__load(&w->lifo, WEIR_RELAXED) || w->own.first || ring_len(&w->ring) ||
	       inject_len(&w->overflow);
}

size_t weir__worker_queue_len(struct worker *w)
{
	return (weir__load(&w->lifo, WEIR_RELAXED) ? 1u : 0u) +
	       weir__load(&w->own.len, WEIR_RELAXED) + ring_len(&w->ring) +
	       inject_len(&w->overflow);
}

/* ---- steal ---- */

/* Steals half of the victim's overflow list; *ret_first is the task to run. Returns how many. */
static unsigned steal_overflow(struct worker *w, struct worker *victim,
			       struct weir_task **ret_first)
{
	size_t share = inject_len(&victim->overflow) / 2 + 1;
	struct weir__link *first;
	unsigned n;

	n = weir__inject_pop_chain(&victim->overflow, share > REFILL ? REFILL : (unsigned)share,
				   &first);
	*ret_first = task_of(first);
	if (n)
		enqueue_chain(w, first->next);
	return n;
}

struct weir_task *weir__worker_steal_from(struct worker *w, struct worker *victim, unsigned tier)
{
	struct weir_worker_metrics *counted = &w->base.metrics;
	struct weir_task *task = NULL;
	void *one = NULL;
	unsigned n = ring_steal(&victim->ring, &w->ring, &one);

	if (n)
		task = one;
	else
		n = steal_overflow(w, victim, &task);
	WEIR_ASSERT(!task || !(task->flags & WEIR__TASK_PINNED));
	if (n) {
		weir__count(&counted->steal_operations, 1);
		weir__count(&counted->steals, n);
		weir__count(&counted->steals_by_tier[tier], n);
	}
	return task;
}

struct weir_task *weir__worker_steal_lifo(struct worker *victim)
{
	if (!weir__load(&victim->lifo, WEIR_RELAXED))
		return NULL;
	return weir__xchg(&victim->lifo, (struct weir_task *)NULL, WEIR_ACQ_REL);
}
