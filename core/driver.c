/* SPDX-License-Identifier: MIT */
/*
 * driver.c: the driver stack, see driver.h. One turn: the I/O layer polls or
 * waits, but no longer than the next timer allows; then due timers fire; then
 * signals that have come are delivered.
 */
#include "core/driver.h"

#include "core/assert.h"
#include "core/futex.h"
#include "core/node.h"
#include "core/signals.h"
#include "core/time/clock.h"
#include "core/time/timer.h"
#include "core/worker.h"

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* While io is busy, a system call for its companion is worth making only so often. */
#define COMPANION_NS (50 * WEIR_USEC)

static int instance_new(struct weir__worker *w, const struct weir_backend_ops *ops,
			const struct weir_backend_config *cfg, struct weir_backend **ret_instance)
{
	struct weir_backend *be;
	int rc;

	if (ops->abi != WEIR_BACKEND_ABI || ops->instance_bytes < sizeof *be)
		return -EINVAL;
	be = weir__node_alloc(ops->instance_bytes, cfg->node);
	if (!be)
		return -ENOMEM;
	be->ops = ops;
	be->worker = w;
	be->caps = ops->caps;
	be->index = w->index;
	be->next_ns = WEIR_FOREVER;
	rc = ops->init(be, cfg);
	if (rc < 0)
		weir__node_free(be, ops->instance_bytes, cfg->node);
	else
		*ret_instance = be;
	return rc;
}

static void instance_free(struct weir_backend *be, int node)
{
	if (!be)
		return;
	be->ops->fini(be);
	weir__node_free(be, be->ops->instance_bytes, node);
}

/* The companion comes first: what polls may have a descriptor to watch there. */
static int io_init(struct weir__driver *d, struct weir__worker *w, const struct weir__driver_io *io)
{
	struct weir_backend_config cfg = io->cfg;
	int rc = 0;

	d->node = cfg.node;
	if (io->companion_ops) {
		cfg.options = io->companion_options;
		cfg.custom = NULL;
		rc = instance_new(w, io->companion_ops, &cfg, &d->companion);
	}
	if (rc < 0)
		return rc;
	cfg = io->cfg;
	cfg.companion = d->companion;
	rc = instance_new(w, io->ops, &cfg, &d->io);
	if (rc < 0) {
		instance_free(d->companion, d->node);
		d->companion = NULL;
	}
	return rc;
}

int weir__driver_init(struct weir__driver *d, struct weir__worker *w,
		      const struct weir__driver_io *io, uint64_t tick_ns)
{
	uint64_t now = weir__clock_now(w->rt->clock);
	int rc;

	WEIR_ASSERT(!d->io && !d->companion);
	d->time.enabled = !w->rt->no_time;
	d->time.next_ns = WEIR_FOREVER;
	d->time.now_ns = now;
	rc = weir__wheel_init(&d->time.wheel, now, tick_ns);
	if (rc < 0 || !io->ops)
		return rc;
	return io_init(d, w, io);
}

void weir__driver_fini(struct weir__driver *d)
{
	instance_free(d->io, d->node);
	instance_free(d->companion, d->node);
	d->io = d->companion = NULL;
}

/* ---- the I/O layer ---- */

static int sum(int a, int b)
{
	return (a > 0 ? a : 0) + (b > 0 ? b : 0);
}

static WEIR_NOINLINE int poll_companion(struct weir__driver *d, int delivered, bool busy)
{
	uint64_t now = weir__clock_system();

	if (delivered > 0 && now < d->companion_ns)
		return delivered;
	d->companion_ns = now + COMPANION_NS;
	return sum(delivered, d->companion->ops->poll(d->companion, 0, busy));
}

static int poll_io(struct weir__driver *d, bool busy)
{
	int n;

	if (WEIR_UNLIKELY(!d->io))
		return 0;
	n = d->io->ops->poll(d->io, 0, busy);
	return WEIR_LIKELY(!d->companion) ? n : poll_companion(d, n, busy);
}

/* The worker sleeps in the companion, until io needs it. An error is the companion's. */
static WEIR_NOINLINE int wait_in_companion(struct weir__driver *d, uint64_t deadline)
{
	int before = d->io->ops->poll(d->io, 0, false), n;

	n = d->companion->ops->poll(d->companion, before > 0 ? 0 : sooner(deadline, d->io->next_ns),
				    false);
	d->companion_ns = weir__clock_system() + COMPANION_NS;
	if (n < 0 && before <= 0)
		return n;
	return sum(sum(before, n), d->io->ops->poll(d->io, 0, false));
}

static int wait_io(struct weir__driver *d, uint64_t deadline)
{
	if (WEIR_UNLIKELY(d->companion))
		return wait_in_companion(d, deadline);
	return d->io->ops->poll(d->io, deadline, false);
}

/* The instance that the worker sleeps in; NULL without I/O. */
static struct weir_backend *sleeper(const struct weir__driver *d)
{
	return d->companion ? d->companion : d->io;
}

/* The rest of a turn, after the I/O layer has delivered this many completions. */
static int after_io(struct weir__driver *d, struct weir__worker *w, int delivered)
{
	int fired = 0;

	if (delivered > 0 && w->batch)
		weir_histogram_add(w->batch, (uint64_t)delivered);
	weir__store(&d->turns, d->turns + 1, WEIR_RELAXED);
	if (weir__load(&d->time.next_ns, WEIR_RELAXED) != WEIR_FOREVER)
		fired = weir__timers_fire(&d->time, weir__clock_now(w->rt->clock));
	if (WEIR_UNLIKELY(weir__signals_pending(w->rt)))
		fired += weir__signals_deliver(w->rt);
	return fired;
}

int weir__driver_poll(struct weir__driver *d, struct weir__worker *w, bool busy)
{
	int n = poll_io(d, busy);

	WEIR_ASSERT(w == weir__worker_current() && d == &w->driver);
	weir__count(&w->metrics.driver_polls, 1);
	return (n > 0 ? n : 0) + after_io(d, w, n);
}

/* The deadline is on the system's clock. */
static void wait_without_io(struct weir__driver *d, uint64_t deadline)
{
	/* Pairs with the exchange in weir__driver_wake. */
	if (weir__load(&d->futex, WEIR_ACQUIRE) == 0)
		weir__futex_wait(&d->futex, 0, deadline);
	weir__xchg(&d->futex, 0u, WEIR_ACQUIRE);
}

/*
 * The I/O layer could not wait. A wake that arrives just as the pause begins is delayed until the
 * pause ends, at most WEIR__DRIVER_PAUSE_MAX_NS.
 */
static WEIR_NOINLINE void io_failed(struct weir__driver *d, struct weir__worker *w, int err,
				    uint64_t deadline)
{
	uint64_t pause = WEIR_MSEC;
	unsigned over;

	if (++d->failures < WEIR__DRIVER_FAILURES_MAX)
		return;
	over = d->failures - WEIR__DRIVER_FAILURES_MAX;
	if (over == 0)
		w->rt->sched->io_failed(w, err);
	pause = over < 4 ? pause << over : WEIR__DRIVER_PAUSE_MAX_NS;
	weir__store(&d->pausing, true, WEIR_RELAXED);
	wait_without_io(d, sooner(weir__clock_to_system(w->rt->clock, deadline),
				  weir__clock_system() + pause));
	weir__store(&d->pausing, false, WEIR_RELAXED);
}

static WEIR_NOINLINE void io_works(struct weir__driver *d, struct weir__worker *w)
{
	if (d->failures >= WEIR__DRIVER_FAILURES_MAX)
		w->rt->sched->io_failed(w, 0);
	d->failures = 0;
}

/*
 * With a paused clock nobody waits for the next timer. Instead: poll once; if nothing came, move
 * the clock to that timer, or wait for the caller that moves it. The poll may have consumed a
 * wake. What caused it (a notify, a signal, a clock that was moved or resumed) is visible after
 * the poll, and is checked there.
 */
static uint64_t wait_bound(struct weir__driver *d, struct weir__worker *w, uint64_t deadline)
{
	struct weir_clock *clock = w->rt->clock;
	uint64_t next = weir__load(&d->time.next_ns, WEIR_RELAXED);

	if (WEIR_UNLIKELY(d->companion))
		next = sooner(next, d->io->next_ns);
	if (WEIR_LIKELY(!weir__clock_paused(clock)) ||
	    (d->io && (d->io->caps & WEIR_CAP_OWN_CLOCK)))
		return sooner(deadline, next);
	if (next == WEIR_FOREVER)
		return deadline;
	if (poll_io(d, false) > 0)
		return 0;
	if (weir__parkword_notified(&d->parked) || weir__signals_pending(w->rt) ||
	    weir__clock_skip_to(clock, next) || weir__clock_now(clock) >= next)
		return 0;
	return weir__clock_paused(clock) ? deadline : sooner(deadline, next);
}

int weir__driver_wait(struct weir__driver *d, struct weir__worker *w, uint64_t deadline)
{
	uint64_t bound = wait_bound(d, w, deadline);
	int n = 0;

	WEIR_ASSERT(w == weir__worker_current() && d == &w->driver);
	WEIR_ASSERT(bound <= deadline);
	if (d->io)
		n = wait_io(d, bound);
	else if (bound)
		wait_without_io(d, weir__clock_to_system(w->rt->clock, bound));
	if (WEIR_UNLIKELY(n < 0))
		io_failed(d, w, n, bound);
	else if (WEIR_UNLIKELY(d->failures))
		io_works(d, w);
	return (n > 0 ? n : 0) + after_io(d, w, n);
}

void weir__driver_wake(struct weir__driver *d)
{
	struct weir_backend *io = sleeper(d);

	/*
	 * In a forked child this would wake the parent's worker, whose descriptor the child
	 * shares.
	 */
	if (io && !weir__rt_is_inherited(io->worker->rt))
		io->ops->wake(io);
	if (io && WEIR_LIKELY(!weir__load(&d->pausing, WEIR_RELAXED)))
		return;
	if (weir__xchg(&d->futex, 1u, WEIR_RELEASE) == 0)
		weir__futex_wake(&d->futex, 1);
}

static int rescue_io(struct weir_backend *io)
{
	return io && (io->caps & WEIR_CAP_POLL_ANY) ? io->ops->poll(io, 0, true) : 0;
}

int weir__driver_rescue(struct weir__driver *d, struct weir__worker *w)
{
	int n = sum(rescue_io(d->io), rescue_io(d->companion));

	WEIR_ASSERT(w == weir__worker_current() && d != &w->driver);
	if (weir__load(&d->time.next_ns, WEIR_RELAXED) != WEIR_FOREVER)
		n += weir__timers_fire(&d->time, weir__clock_now(w->rt->clock));
	return n > 0 ? n : 0;
}
