/* SPDX-License-Identifier: MIT */
/*
 * time.c: sleeps, timeouts and intervals over a worker's wheel.
 *
 * A sleep's .where holds the address of the wheel that it is filed in, and its
 * state in the low bits. It leaves PENDING under that wheel's guard, by the
 * worker that fires it or the task that cancels it. After FIRED the firing side
 * does not touch the sleep again.
 */
#include "weir/time.h"

#include "core/assert.h"
#include "core/coop.h"
#include "core/leaf.h"
#include "core/task/task.h"
#include "core/time/clock.h"
#include "core/time/timer.h"

enum {
	SLEEP_IDLE = 0,
	SLEEP_PENDING = 1,
	SLEEP_FIRED = 2,
	SLEEP_CANCELLED = 3,
	SLEEP_STATES = 3,	/* mask */
};

static struct weir__wheel_home *sleep_home(uintptr_t where)
{
	return (struct weir__wheel_home *)(where & ~(uintptr_t)SLEEP_STATES);
}

/* ---- the wheel's side ---- */

/* Guard held. */
static void file_locked(struct weir__wheel_home *home, struct weir__timer *timer)
{
	WEIR_ASSERT(home->enabled);
	weir__wheel_insert(&home->wheel, timer);
	if (timer->deadline_ns < home->next_ns)
		weir__store(&home->next_ns, timer->deadline_ns, WEIR_RELAXED);
}

static void home_file(struct weir__wheel_home *home, struct weir_sleep_future *s)
{
	bool as_owner = weir__guard_take(&home->guard);

	file_locked(home, &s->timer);
	weir__guard_drop(&home->guard, as_owner);
}

/* Removes a pending sleep from its wheel; false if it has fired. */
static bool home_take_out(struct weir_sleep_future *s, uintptr_t where, unsigned leave_as)
{
	struct weir__wheel_home *home = sleep_home(where);
	bool pending, as_owner;

	as_owner = weir__guard_take(&home->guard);
	pending = (weir__load(&s->where, WEIR_RELAXED) & SLEEP_STATES) == SLEEP_PENDING;
	if (pending) {
		weir__wheel_remove(&home->wheel, &s->timer);
		weir__store(&s->where, (uintptr_t)leave_as, WEIR_RELAXED);
	}
	weir__guard_drop(&home->guard, as_owner);
	return pending;
}

/*
 * Drops the guard to call a foreign waker, which may call anything. The sleeps that are still to
 * fire stay linked meanwhile, because they may be stopped, or given another deadline.
 */
static WEIR_NOINLINE bool fire_unguarded(struct weir__wheel_home *home, bool as_owner,
					 struct weir__wakeup *wakeup, struct weir__timer **rest)
{
	struct weir__timer **at;

	for (at = rest; *at; at = &(*at)->next)
		(*at)->pprev = at;
	weir__guard_drop(&home->guard, as_owner);
	weir__waker_fire(wakeup);
	return weir__guard_take(&home->guard);
}

int weir__timers_fire(struct weir__wheel_home *home, uint64_t now)
{
	struct weir__timer *timer, *due;
	struct weir__wakeup wakeup;
	struct weir_sleep_future *s;
	bool as_owner;
	int fired = 0;

	weir__store(&home->now_ns, now, WEIR_RELAXED);
	if (now < weir__load(&home->next_ns, WEIR_RELAXED))
		return 0;
	as_owner = weir__guard_take(&home->guard);
	due = weir__wheel_advance(&home->wheel, now);
	weir__store(&home->next_ns, weir__wheel_next(&home->wheel), WEIR_RELAXED);
	while ((timer = due)) {
		due = timer->next;
		timer->pprev = NULL;
		/* its deadline was reset while the guard was dropped */
		if (WEIR_UNLIKELY(timer->deadline_ns > now)) {
			file_locked(home, timer);
			continue;
		}
		s = WEIR_CONTAINER_OF(timer, struct weir_sleep_future, timer);
		WEIR_ASSERT((s->where & SLEEP_STATES) == SLEEP_PENDING);
		weir__leaf_waker(&s->leaf, &wakeup);
		/* Pairs with the load in sleep_poll; the sleep may be gone after it. */
		weir__store(&s->where, (uintptr_t)SLEEP_FIRED, WEIR_RELEASE);
		if (WEIR_LIKELY(weir__wakeup_task(&wakeup) != NULL))
			weir__waker_fire(&wakeup);
		else
			as_owner = fire_unguarded(home, as_owner, &wakeup, &due);
		fired++;
	}
	weir__guard_drop(&home->guard, as_owner);
	return fired;
}

/* ---- sleep ---- */

#define LONG_AGO_NS (60 * WEIR_SEC)

/*
 * For assertions: true if the deadline looks like a delay. A deadline computed from weir_now does
 * not lie well before the runtime was made. Tiny values such as 0 mean "do not wait" and are
 * allowed.
 */
static bool looks_relative(uint64_t deadline)
{
	const struct weir__worker *w = weir__worker_current();

	return w && w->driver.time.enabled && deadline >= WEIR_USEC &&
	       weir__clock_add(deadline, LONG_AGO_NS) < w->driver.time.wheel.origin_ns;
}

static int sleep_start(struct weir_sleep_future *s, struct weir_cx *cx)
{
	struct weir__worker *w = cx->worker;
	struct weir__wheel_home *home;

	if (!w)
		return -ENXIO;
	home = &w->driver.time;
	if (!home->enabled)
		return -ENODEV;
	if (!weir__coop_take(cx))
		return WEIR_PENDING;
	if (s->timer.deadline_ns <= weir__load(&home->now_ns, WEIR_RELAXED))
		return 0;
	weir__coop_refund(cx);
	weir__leaf_arm(&s->leaf, cx);
	weir__store(&s->where, (uintptr_t)home | SLEEP_PENDING, WEIR_RELAXED);
	home_file(home, s);
	return WEIR_PENDING;
}

static int sleep_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_sleep_future *s = WEIR_CONTAINER_OF(future, struct weir_sleep_future, future);
	uintptr_t where = weir__load(&s->where, WEIR_ACQUIRE);
	unsigned state = where & SLEEP_STATES;

	if (state == SLEEP_IDLE)
		return sleep_start(s, cx);
	if (state == SLEEP_PENDING)
		return WEIR_PENDING;
	if (weir__leaf_is_armed(&s->leaf))
		weir__leaf_disarm(&s->leaf);
	weir__store(&s->where, (uintptr_t)SLEEP_IDLE, WEIR_RELAXED);
	return state == SLEEP_FIRED ? 0 : -ECANCELED;
}

static void sleep_cancel(struct weir_future *future)
{
	struct weir_sleep_future *s = WEIR_CONTAINER_OF(future, struct weir_sleep_future, future);
	uintptr_t where = weir__load(&s->where, WEIR_ACQUIRE);

	if ((where & SLEEP_STATES) == SLEEP_IDLE)
		weir__store(&s->where, (uintptr_t)SLEEP_CANCELLED, WEIR_RELAXED);
	else if ((where & SLEEP_STATES) == SLEEP_PENDING)
		home_take_out(s, where, SLEEP_CANCELLED);
}

static const struct weir_future_ops sleep_ops = { "sleep", sleep_poll, sleep_cancel, NULL };

void weir_sleep_init(struct weir_sleep_future *s, uint64_t deadline)
{
	WEIR_ASSERT(!looks_relative(deadline) &&
		    "a delay is given where a deadline is expected: see weir_deadline_in");
	weir__leaf_init(&s->leaf, &sleep_ops);
	s->timer = (struct weir__timer){ NULL, NULL, deadline };
	s->where = SLEEP_IDLE;
}

void weir__sleep_stop(struct weir_sleep_future *s)
{
	uintptr_t where = weir__load(&s->where, WEIR_ACQUIRE);

	if ((where & SLEEP_STATES) == SLEEP_PENDING)
		home_take_out(s, where, SLEEP_IDLE);
	if (weir__leaf_is_armed(&s->leaf))
		weir__leaf_disarm(&s->leaf);
	weir__store(&s->where, (uintptr_t)SLEEP_IDLE, WEIR_RELAXED);
}

/* Under the guard, because the wheel reads the deadline of a filed timer. */
static bool extend(struct weir_sleep_future *s, uintptr_t where, uint64_t deadline)
{
	struct weir__wheel_home *home = sleep_home(where);
	bool done, as_owner;

	as_owner = weir__guard_take(&home->guard);
	done = (weir__load(&s->where, WEIR_RELAXED) & SLEEP_STATES) == SLEEP_PENDING &&
	       deadline >= s->timer.deadline_ns;
	if (done)
		s->timer.deadline_ns = deadline;
	weir__guard_drop(&home->guard, as_owner);
	return done;
}

/* A pending sleep stays pending with its waker: the task does not poll it before that is called. */
void weir_sleep_reset(struct weir_sleep_future *s, uint64_t deadline)
{
	uintptr_t where = weir__load(&s->where, WEIR_ACQUIRE);
	struct weir__worker *w = weir__worker_current();

	WEIR_ASSERT(!looks_relative(deadline) &&
		    "a delay is given where a deadline is expected: see weir_deadline_in");
	if ((where & SLEEP_STATES) == SLEEP_PENDING && extend(s, where, deadline))
		return;
	if ((where & SLEEP_STATES) != SLEEP_PENDING || !w) {
		weir__sleep_stop(s);
		s->timer.deadline_ns = deadline;
		return;
	}
	home_take_out(s, where, SLEEP_IDLE);
	WEIR_ASSERT(weir__leaf_is_armed(&s->leaf));
	s->timer.deadline_ns = deadline;
	weir__store(&s->where, (uintptr_t)&w->driver.time | SLEEP_PENDING, WEIR_RELAXED);
	home_file(&w->driver.time, s);
}

int weir_sleep_until(uint64_t deadline)
{
	struct weir_sleep_future s;

	weir_sleep_init(&s, deadline);
	return weir_await(&s.future);
}

int weir_sleep(uint64_t delay_ns)
{
	return weir_sleep_until(weir_deadline_in(delay_ns));
}

/* ---- timeout ---- */

static int timeout_finish(struct weir_timeout_future *t, int rc)
{
	weir__sleep_stop(&t->sleep);
	return t->expired && rc == -ECANCELED && !t->cancelled ? t->expired : rc;
}

/*
 * The deadline is checked even if the inner future has used up the budget. It is not checked if
 * there was no budget to begin with: then the inner future has had no chance yet.
 */
static int poll_deadline(struct weir_timeout_future *t, struct weir_cx *cx, bool had_budget)
{
	struct weir__worker *w = cx->worker;
	bool spent = had_budget && w->budget <= 0;
	int rc;

	if (spent)
		w->budget = 1;
	rc = weir_poll(&t->sleep.future, cx);
	if (spent)
		w->budget = 0;
	return rc;
}

static int timeout_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_timeout_future *t =
		WEIR_CONTAINER_OF(future, struct weir_timeout_future, future);
	bool had_budget = cx->worker && cx->worker->budget > 0;
	int rc = weir_poll(t->inner, cx), slept;

	if (rc != WEIR_PENDING)
		return timeout_finish(t, rc);
	if (t->expired || t->cancelled)
		return WEIR_PENDING;
	slept = poll_deadline(t, cx, had_budget);
	if (slept == WEIR_PENDING)
		return WEIR_PENDING;
	t->expired = slept < 0 ? slept : -ETIMEDOUT;	/* slept < 0: no time driver */
	weir_cancel(t->inner);
	rc = weir_poll(t->inner, cx);
	return rc == WEIR_PENDING ? rc : timeout_finish(t, rc);
}

static void timeout_cancel(struct weir_future *future)
{
	struct weir_timeout_future *t =
		WEIR_CONTAINER_OF(future, struct weir_timeout_future, future);

	t->cancelled = true;
	weir__sleep_stop(&t->sleep);
	weir_cancel(t->inner);
}

static void timeout_discard(struct weir_future *future)
{
	struct weir_timeout_future *t =
		WEIR_CONTAINER_OF(future, struct weir_timeout_future, future);

	if (t->inner->ops->discard)
		t->inner->ops->discard(t->inner);
}

static const struct weir_future_ops timeout_ops = { "timeout", timeout_poll, timeout_cancel,
						    timeout_discard };

void weir_timeout_init(struct weir_timeout_future *t, struct weir_future *inner, uint64_t deadline)
{
	t->future.ops = &timeout_ops;
	t->inner = inner;
	weir_sleep_init(&t->sleep, deadline);
	t->expired = 0;
	t->cancelled = false;
}

/* ---- interval ---- */

int weir_interval_init(struct weir_interval *i, uint64_t first_ns, uint64_t period_ns,
		       enum weir_missed_tick missed)
{
	if (period_ns == 0 || missed > WEIR_TICK_SKIP)
		return -EINVAL;
	i->next_ns = first_ns;
	i->period_ns = period_ns;
	i->missed = missed;
	return 0;
}

uint64_t weir_interval_advance(struct weir_interval *i, uint64_t now_ns)
{
	uint64_t due = i->next_ns;

	if (i->missed == WEIR_TICK_BURST || now_ns < weir__clock_add(due, i->period_ns))
		i->next_ns = weir__clock_add(due, i->period_ns);
	else if (i->missed == WEIR_TICK_DELAY)
		i->next_ns = weir__clock_add(now_ns, i->period_ns);
	else
		i->next_ns = weir__clock_add(now_ns - (now_ns - due) % i->period_ns, i->period_ns);
	return due;
}

int weir_interval_tick(struct weir_interval *i, uint64_t *ret_due_ns)
{
	int rc = weir_sleep_until(i->next_ns);
	uint64_t due;

	if (rc < 0)
		return rc;
	due = weir_interval_advance(i, weir_now());
	if (ret_due_ns)
		*ret_due_ns = due;
	return 0;
}
