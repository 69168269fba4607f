/* SPDX-License-Identifier: MIT */
/*
 * readiness.c: see readiness.h.
 *
 * Invariants, under the lock of the handle's home:
 *  - a waiting op is in the queue of its direction and in no other; it leaves the queue
 *    before it completes, so a cancel that does not find it has nothing to do;
 *  - an op that was given back to its task (weir_backend_retry) has itself as .next, and
 *    is counted in .retrying until it is submitted again or cancelled; if the handle is
 *    detached in the meantime, the last such op closes and releases it;
 *  - if a queue has an op and its ready bit is set, the handle is on the ready list or is
 *    being served;
 *  - a ready bit is cleared only after a call that found nothing to do, and only if no
 *    event has come since before that call, which the tick shows;
 *  - an event contains a slot and its generation, never a handle, so an event that was
 *    fetched before a detach does not find the handle.
 *
 * The lock is held across at most one non-blocking call; after each, poll lets waiting
 * threads have it. It is never held while waiting for events.
 *
 * Without the lock, a handle's state is read only as a hint.
 */
#include <fcntl.h>
#include <stdio.h>

#include "backends/readiness/readiness.h"
#include "backends/readiness/try.h"
#include "backends/readiness/wait.h"
#include "backends/socket.h"
#include "core/assert.h"
#include "core/node.h"
#include "core/worker.h"

#define END_SHIFT 3			/* from a direction's ready bit to its end bit */

/* Fairness: the most completions of one handle before the other handles are served. */
#define FAIR 8
/* How many events a sibling fetches, onto its stack. */
#define SIBLING_EVENTS 64

static inline struct weir__readiness *instance(struct weir_backend *be)
{
	return WEIR_CONTAINER_OF(be, struct weir__readiness, base);
}

/* ---- the lock ---------------------------------------------------------------------------- */

static inline bool lock_try(struct weir__readiness *r)
{
	bool as_owner, locked = weir__guard_try(&r->guard, &as_owner);

	if (WEIR_LIKELY(locked))
		r->as_owner = as_owner;
	return locked;
}

static inline void lock(struct weir__readiness *r)
{
	bool as_owner;

	if (WEIR_LIKELY(lock_try(r)))
		return;
	weir__fetch_add(&r->waiters, 1u, WEIR_RELAXED);
	as_owner = weir__guard_take(&r->guard);
	r->as_owner = as_owner;
	weir__fetch_sub(&r->waiters, 1u, WEIR_RELAXED);
}

static inline void unlock(struct weir__readiness *r)
{
	weir__guard_drop(&r->guard, r->as_owner);
}

static inline bool contended(struct weir__readiness *r)
{
	return WEIR_UNLIKELY(weir__load(&r->waiters, WEIR_RELAXED) != 0);
}

/* Release the lock for a moment, for waiting threads. Pointers into the state become invalid. */
static void yield_lock(struct weir__readiness *r)
{
	unlock(r);
	for (unsigned i = 0; i < 256 && contended(r); i++)
		weir__cpu_relax();
	lock(r);
}

/* Lock the home of a handle, which can change until its lock is held. */
static struct weir__readiness *lock_home(struct weir_handle *h)
{
	for (;;) {
		struct weir_backend *be = weir__load(&h->backend, WEIR_ACQUIRE);

		lock(instance(be));
		if (WEIR_LIKELY(weir__load(&h->backend, WEIR_RELAXED) == be))
			return instance(be);
		unlock(instance(be));
	}
}

/*
 * The same before registering: a handle that is not registered moves to r. The release pairs with
 * the acquire in lock_home.
 */
static struct weir__readiness *lock_new_home(struct weir__readiness *r, struct weir_handle *h)
{
	for (;;) {
		struct weir__readiness *home = lock_home(h);

		if (home == r || weir__ready_of(h)->slot)
			return home;
		weir__store(&h->backend, &r->base, WEIR_RELEASE);
		unlock(home);
	}
}

/* ---- a handle's readiness and queues; under its home's lock ------------------------------- */

static inline void set_ready(struct weir__ready_handle *s, uint64_t ready)
{
	weir__store(&s->ready, ready, WEIR_RELAXED);
}

static inline bool same_tick(uint64_t a, uint64_t b)
{
	return (a ^ b) < WEIR__READY_TICK;
}

/*
 * A call found nothing, or drained the direction. A short transfer at end of stream never gets
 * here: try.c leaves .drained false. The end bit is cleared too, because a call that finds nothing
 * shows that a one-time error or urgent data is over.
 */
static inline void clear_ready(struct weir__ready_handle *s, enum weir__queue q)
{
	set_ready(s, s->ready & ~(uint64_t)((1u | 1u << END_SHIFT) << q));
}

static inline struct weir_op *first_op(const struct weir__ready_handle *s, enum weir__queue q)
{
	return s->tail[q] ? s->tail[q]->next : NULL;
}

static inline void append_op(struct weir__ready_handle *s, enum weir__queue q, struct weir_op *op)
{
	struct weir_op *tail = s->tail[q];

	op->next = tail ? tail->next : op;
	if (tail)
		tail->next = op;
	weir__store(&s->tail[q], op, WEIR_RELAXED);
}

/* Remove op; before is its predecessor, or op itself if it is alone. */
static inline void remove_op(struct weir__ready_handle *s, enum weir__queue q,
			     struct weir_op *before, struct weir_op *op)
{
	before->next = op->next;
	if (s->tail[q] == op)
		weir__store(&s->tail[q], before == op ? NULL : before, WEIR_RELAXED);
	op->next = NULL;
}

static void find_and_remove(struct weir__ready_handle *s, struct weir_op *op)
{
	enum weir__queue q = weir__queue_of(op);
	struct weir_op *before = s->tail[q];

	while (before->next != op)
		before = before->next;
	remove_op(s, q, before, op);
}

static int register_handle(struct weir__readiness *r, struct weir_handle *h, bool priority)
{
	struct weir__ready_handle *s = weir__ready_of(h);
	uint32_t slot = s->slot;
	int err = 0;

	if (r->poller->ends_hide)
		set_ready(s, s->ready & ~(uint64_t)WEIR__READY_EXACT);
	/* A short read may have stopped at urgent data. Watching for it costs nothing on TCP. */
	priority |= (s->ready & WEIR__READY_EXACT) != 0;
	if (slot)
		err = r->poller->change(r, h->fd, weir__slots_key(&r->slots, slot), priority);
	else if ((err = weir__slots_take(&r->slots, h, &slot)) == 0)
		err = r->poller->add(r, h->fd, weir__slots_key(&r->slots, slot), priority);
	weir__count_syscalls(weir__worker_current(), 1);
	if (err == 0) {
		s->slot = slot;
		set_ready(s, s->ready | WEIR__READY_REGISTERED |
				     (priority ? WEIR__READY_PRIORITY_TOO : 0));
	} else if (slot && !s->slot) {
		weir__slots_give(&r->slots, slot);
	}
	return err;
}

/* ---- submit and cancel -------------------------------------------------------------------- */

/* A call without the lock has drained a direction: record it, if the lock is free. */
static void note_drained(struct weir_handle *h, enum weir__queue q, uint64_t seen)
{
	struct weir__ready_handle *s = weir__ready_of(h);
	struct weir_backend *be = weir__load(&h->backend, WEIR_ACQUIRE);

	if (!(seen & WEIR__READY_REGISTERED) || !lock_try(instance(be)))
		return;
	if (same_tick(seen, s->ready))
		clear_ready(s, q);
	unlock(instance(be));
}

/*
 * Whether an op must make a call before it is queued: for the first time, or again after an event.
 */
static bool must_try(const struct weir__ready_handle *s, enum weir__queue q, uint64_t seen,
		     bool tried)
{
	bool moved = !same_tick(seen, s->ready);

	if (q == WATCH)
		return moved;
	return !s->tail[q] && s->ready & 1u << q && (!tried || moved);
}

/*
 * Queue an op; seen is its handle's readiness before it was tried. While the lock is held, no event
 * is handled. So an event after the last try finds the op in its queue, and registering reports
 * what was ready before.
 */
static void enqueue(struct weir__turn *t, struct weir_op *op, enum weir__queue q, uint64_t seen,
		    bool tried)
{
	struct weir_handle *h = op->handle;
	struct weir__ready_handle *s = weir__ready_of(h);
	struct weir__readiness *home = lock_new_home(t->r, h);
	int res = WEIR_PENDING;

	if (WEIR_UNLIKELY(!s->slot)) {
		int err = register_handle(home, h, false);

		if (err < 0)
			res = err;
	} else if (must_try(s, q, seen, tried)) {
		res = weir__try_op(t, op);
		if (t->drained)
			clear_ready(s, q);
		tried = true;
	}
	if (res == WEIR_PENDING) {
		if (tried && q != WATCH)
			clear_ready(s, q);
		op->backend = &home->base;
		append_op(s, q, op);
	}
	unlock(home);
	if (res != WEIR_PENDING)
		weir_backend_complete(op, res);
}

/*
 * A foreign descriptor is registered when it is attached. A number can be registered only once, so
 * another handle on it uses a copy. A descriptor that cannot be registered at all is always ready,
 * and each wait finds it ready.
 */
static int register_foreign(struct weir__readiness *r, struct weir_handle *h)
{
	struct weir__ready_handle *s = weir__ready_of(h);
	int err = -EEXIST, copy;

	lock(r);
	if (!r->poller->add_replaces)
		err = register_handle(r, h, false);
	if (err == -EEXIST) {
		copy = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
		err = copy < 0 ? -errno : 0;
		if (err == 0) {
			h->fd = copy;
			set_ready(s, s->ready | WEIR__READY_OURS);
			err = register_handle(r, h, false);
		}
		if (err < 0 && err != -EPERM && copy >= 0)
			weir__socket_close(copy);
	}
	unlock(r);
	return err == -EPERM ? 0 : err;
}

/* Register before a POLL checks the descriptor, so that later changes are reported. */
static int prepare_watch(struct weir__readiness *r, struct weir_op *op)
{
	struct weir__ready_handle *s = weir__ready_of(op->handle);
	bool priority = op->u.poll.events & WEIR_PRIORITY;
	uint64_t want = WEIR__READY_REGISTERED | (priority ? WEIR__READY_PRIORITY_TOO : 0);
	struct weir__readiness *home;
	int err = 0;

	if ((weir__load(&s->ready, WEIR_RELAXED) & want) == want)
		return 0;
	home = lock_new_home(r, op->handle);
	if ((s->ready & want) != want)
		err = register_handle(home, op->handle, priority);
	unlock(home);
	return err == -EPERM ? 0 : err;
}

static void close_handle(struct weir_handle *h)
{
	bool ours = h->kind != WEIR_HANDLE_FOREIGN ||
		    weir__ready_of(h)->ready & WEIR__READY_OURS;

	if (ours) {
		weir__count_syscalls(weir__worker_current(), 1);
		weir__socket_close_handle(h);
	}
	h->fd = -1;
	weir_backend_detached(h);
}

/* A retrying op was submitted again or is done. True: the caller must close the handle. */
static bool unpin(struct weir__ready_handle *s)
{
	s->retrying--;
	return s->closing && s->retrying == 0;
}

/*
 * A retrying op is submitted again. Ops are given back only by registered handles, so the home no
 * longer changes; and the op pins the handle, so it still exists.
 */
static void resubmit(struct weir__turn *t, struct weir_op *op)
{
	struct weir_handle *h = op->handle;
	struct weir__ready_handle *s = weir__ready_of(h);
	enum weir__queue q = weir__queue_of(op);
	uint64_t seen = weir__load(&s->ready, WEIR_ACQUIRE);
	bool closing = weir__load(&s->closing, WEIR_RELAXED), last;
	int res = WEIR_UNLIKELY(closing) ? -ECANCELED : weir__try_op(t, op);
	struct weir__readiness *home = lock_home(h);

	op->next = NULL;
	if (WEIR_UNLIKELY(res == WEIR_PENDING && s->closing))
		res = -ECANCELED;
	/* An event has come since, so try again. With the lock held, the next one finds the op. */
	if (WEIR_UNLIKELY(res == WEIR_PENDING && !same_tick(seen, s->ready))) {
		seen = s->ready;
		res = weir__try_op(t, op);
	}
	if (res == WEIR_PENDING) {
		op->backend = &home->base;
		append_op(s, q, op);
		clear_ready(s, q);
	} else if (t->drained && same_tick(seen, s->ready)) {
		clear_ready(s, q);
	}
	last = unpin(s);
	unlock(home);
	if (WEIR_UNLIKELY(last))
		close_handle(h);
	if (res != WEIR_PENDING)
		weir_backend_complete(op, res);
}

/* In the common case the op is done at once, without a lock. [owner] */
void weir__readiness_submit(struct weir_backend *be, struct weir_op *op)
{
	struct weir__turn t = { instance(be), be->worker, true, false };
	struct weir__ready_handle *s = weir__ready_of(op->handle);
	enum weir__queue q = weir__queue_of(op);
	bool try_only = op->flags & WEIR_OP_TRY, tried = false;
	uint64_t seen;
	int res = WEIR_PENDING;

	if (WEIR_LIKELY(op->next == op)) {
		resubmit(&t, op);
		return;
	}
	if (q == WATCH && (res = prepare_watch(t.r, op)) < 0) {
		weir_backend_complete(op, res);
		return;
	}
	/* Read before the call: a later tick means that an event came after the call began. */
	seen = weir__load(&s->ready, WEIR_ACQUIRE);
	if (q == WATCH || op->code == WEIR_OP_CONNECT ||
	    (!weir__load(&s->tail[q], WEIR_RELAXED) && (try_only || seen & 1u << q))) {
		res = weir__try_op(&t, op);
		if (WEIR_LIKELY(res != WEIR_PENDING)) {
			if (t.drained)
				note_drained(op->handle, q, seen);
			weir_backend_complete(op, res);
			return;
		}
		tried = true;
	}
	if (try_only)
		weir_backend_complete(op, -EAGAIN);
	else
		enqueue(&t, op, q, seen, tried);
}

/*
 * If the op has left its queue, it has completed and its handle may be gone. That is why the op
 * stores its home, and why queued ops complete under the lock. [any]
 */
void weir__readiness_cancel(struct weir_backend *be, struct weir_op *op)
{
	struct weir__readiness *home = instance(op->backend);
	struct weir_handle *h = op->handle;
	bool found, last = false;

	(void)be;
	lock(home);
	found = op->next != NULL;
	if (found && op->next == op && weir__ready_of(h)->tail[weir__queue_of(op)] != op)
		last = unpin(weir__ready_of(h));
	else if (found)
		find_and_remove(weir__ready_of(h), op);
	op->next = NULL;
	unlock(home);
	if (WEIR_UNLIKELY(last))
		close_handle(h);
	if (found)
		weir_backend_complete(op, -ECANCELED);
}

/* ---- poll --------------------------------------------------------------------------------- */

/* One check serves all POLL ops; each gets the events that it asked for, and hang-ups. */
static unsigned serve_watch(struct weir__turn *t, struct weir_handle *h)
{
	struct weir__ready_handle *s = weir__ready_of(h);
	struct weir_op *before = s->tail[WATCH], *last = before, *op;
	unsigned asked = 0, count = 0;
	bool end;
	int found;

	set_ready(s, s->ready & ~(uint64_t)WEIR__READY_WATCH);
	if (!last)
		return 0;
	for (op = last->next; asked |= op->u.poll.events, op != last;)
		op = op->next;
	found = weir__try_look(h->fd, asked);
	weir__count_syscalls(t->worker, 1);
	do {
		unsigned mask;

		op = before->next;
		end = op == last;
		mask = op->u.poll.events | WEIR_HANGUP | WEIR_FAULT;
		if (found < 0 || (unsigned)found & mask) {
			remove_op(s, WATCH, before, op);
			weir_backend_complete(op,
					      found < 0 ? found : (int)((unsigned)found & mask));
			count++;
		} else {
			before = op;
		}
	} while (!end);
	return count;
}

/*
 * A transfer that waits alone is made by its task, on the task's worker and into its cache. If poll
 * received 64 messages of 16 KiB here, they would have left the cache before their tasks run.
 */
static bool wants_retry(const struct weir__ready_handle *s, enum weir__queue q,
			const struct weir_op *op)
{
	return s->tail[q] == op && op->code != WEIR_OP_ACCEPT && op->code != WEIR_OP_CONNECT;
}

static void hand_back(struct weir__ready_handle *s, enum weir__queue q, struct weir_op *op)
{
	remove_op(s, q, op, op);
	op->next = op;
	s->retrying++;
	weir_backend_retry(op);
}

/* Run the queues of a handle while its calls succeed. The lock is held. */
static unsigned serve(struct weir__turn *t, struct weir__readiness *home, struct weir_handle *h)
{
	struct weir__ready_handle *s = weir__ready_of(h);
	unsigned count = 0, calls = 0;
	struct weir_op *op;

	for (enum weir__queue q = READ; q <= WRITE; q++)
		while ((op = first_op(s, q)) != NULL && s->ready & 1u << q) {
			int res;

			if (count == FAIR || (calls > 0 && contended(home))) {
				weir__slots_list(&home->slots, s->slot);
				return count;
			}
			if (wants_retry(s, q, op)) {
				hand_back(s, q, op);
				count++;
				break;
			}
			calls++;
			res = weir__try_op(t, op);
			if (res == WEIR_PENDING) {
				clear_ready(s, q);
				break;
			}
			remove_op(s, q, s->tail[q], op);
			if (t->drained)
				clear_ready(s, q);
			weir_backend_complete(op, res);
			count++;
		}
	if (WEIR_UNLIKELY(s->ready & WEIR__READY_WATCH)) {
		if (calls > 0 && contended(home))
			weir__slots_list(&home->slots, s->slot);
		else
			count += serve_watch(t, h);
	}
	return count;
}

/* Serve the handles that were listed before this call, in order. */
static unsigned serve_listed(struct weir__turn *t, unsigned max)
{
	struct weir__readiness *r = t->r;
	unsigned count = 0;

	lock(r);
	for (uint32_t left = r->slots.listed; left > 0 && r->slots.first && count < max; left--) {
		struct weir_handle *h = weir__slots_unlist(&r->slots);

		if (h)
			count += serve(t, r, h);
		if (contended(r))
			yield_lock(r);
	}
	unlock(r);
	return count;
}

static void mark_ready(struct weir__ready_handle *s, uint32_t ready)
{
	/* Priority data may block the bytes after it; only a read finds out. */
	if (WEIR_UNLIKELY(ready & WEIR__READY_PRIORITY))
		ready |= WEIR__READY_READ | WEIR__READY_READ_END;
	ready &= ~(uint32_t)WEIR__READY_PRIORITY;
	if (s->tail[WATCH])
		ready |= WEIR__READY_WATCH;
	set_ready(s, (s->ready + WEIR__READY_TICK) | ready);
}

static unsigned serve_events(struct weir__turn *t, const struct weir__event *events, int n)
{
	struct weir__readiness *r = t->r;
	unsigned count = 0;
	bool woken = false;

	lock(r);
	for (int i = 0; i < n; i++) {
		struct weir_handle *h;

		if (WEIR_UNLIKELY(events[i].key == WEIR__WAKE_KEY)) {
			woken = true;
			continue;
		}
		h = weir__slots_find(&r->slots, events[i].key);
		if (WEIR_UNLIKELY(!h))
			continue;
		mark_ready(weir__ready_of(h), events[i].ready);
		count += serve(t, r, h);
		if (contended(r))
			yield_lock(r);
	}
	unlock(r);
	/* A sibling must pass on a wake that was meant for the owner. */
	if (woken && !t->owner)
		r->poller->wake(r);
	return count;
}

/* Poll by another worker than the owner. The owner is woken if handles remain to be served. */
static WEIR_NOINLINE int poll_sibling(struct weir__turn *t, uint64_t deadline)
{
	struct weir__event events[SIBLING_EVENTS];
	unsigned count = 0;
	int n;

	if (weir__slots_listed(&t->r->slots) != 0)
		count = serve_listed(t, SIBLING_EVENTS);
	n = weir__readiness_wait_sibling(t->r, t->worker, events, SIBLING_EVENTS,
					 count > 0 ? 0 : deadline);
	if (n > 0)
		count += serve_events(t, events, n);
	if (weir__slots_listed(&t->r->slots) != 0)
		t->r->poller->wake(t->r);
	return n < 0 && count == 0 ? n : (int)count;
}

int weir__readiness_poll(struct weir_backend *be, uint64_t deadline, bool busy)
{
	struct weir__readiness *r = instance(be);
	struct weir__worker *w = weir__worker_current();
	struct weir__turn t = { r, w, w == be->worker, false };
	unsigned count = 0;
	int n;

	if (WEIR_UNLIKELY(!t.owner))
		return poll_sibling(&t, deadline);
	if (WEIR_UNLIKELY(weir__slots_listed(&r->slots) != 0)) {
		count = serve_listed(&t, busy ? r->busy_events : r->idle_events);
		if (count > 0 || weir__slots_listed(&r->slots) != 0)
			deadline = 0;
	}
	n = weir__readiness_wait_owner(r, deadline, busy);
	if (WEIR_LIKELY(n > 0))
		count += serve_events(&t, r->events, n);
	return n < 0 && count == 0 ? n : (int)count;
}

void weir__readiness_wake(struct weir_backend *be)
{
	weir__count_syscalls(weir__worker_current(), 1);
	instance(be)->poller->wake(instance(be));
}

/* ---- handles, leases, life ---------------------------------------------------------------- */

int weir__readiness_attach(struct weir_backend *be, struct weir_handle *h,
			   const struct weir_handle_spec *spec)
{
	bool tcp;
	int fd, err = weir__socket_open(spec, &fd, &tcp);

	weir__count_syscalls(be->worker, 1);
	if (err < 0)
		return err;
	weir__try_make_handle(h, be, fd, spec->kind, tcp);
	if (spec->fd >= 0)
		weir__ready_of(h)->ready |= WEIR__READY_SHARED;
	if (spec->kind != WEIR_HANDLE_FOREIGN && spec->fd >= 0)
		weir__socket_adopted(h);
	return spec->kind == WEIR_HANDLE_FOREIGN ? register_foreign(instance(be), h) : 0;
}

static void cancel_queue(struct weir__ready_handle *s, enum weir__queue q)
{
	struct weir_op *op;

	while ((op = first_op(s, q)) != NULL) {
		remove_op(s, q, s->tail[q], op);
		weir_backend_complete(op, -ECANCELED);
	}
}

/* [any] */
void weir__readiness_detach(struct weir_backend *be, struct weir_handle *h)
{
	struct weir__readiness *home = lock_home(h);
	struct weir__ready_handle *s = weir__ready_of(h);
	bool pinned;

	(void)be;
	for (enum weir__queue q = READ; q < QUEUES; q++)
		cancel_queue(s, q);
	if (s->slot) {
		weir__slots_give(&home->slots, s->slot);
		s->slot = 0;
		/* With most pollers, closing the last copy unregisters it. */
		if (s->ready & WEIR__READY_SHARED || weir__load(&weir__forked, WEIR_RELAXED) ||
		    home->poller->del_always)
			home->poller->del(home, h->fd);
	}
	weir__store(&s->closing, true, WEIR_RELAXED);
	pinned = s->retrying > 0;
	unlock(home);
	if (!pinned)
		close_handle(h);
}

int weir__readiness_control(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
			    void *value, size_t len)
{
	(void)be;
	weir__count_syscalls(weir__worker_current(), 1);
	return weir__socket_control(h, what, value, len);
}

void weir__readiness_lease_return(struct weir_backend *be, struct weir_lease *lease)
{
	bool owner = weir__worker_current() == be->worker;

	weir__lease_pool_give(&instance(be)->pool, owner, lease->token);
}

int weir__readiness_no_options(const char *options, char *reason, size_t len)
{
	snprintf(reason, len, "expected no options, but got '%s'", options);
	return -EINVAL;
}

int weir__readiness_init(struct weir__readiness *r, const struct weir_backend_config *cfg,
			 const struct weir__poller_ops *poller)
{
	WEIR_ASSERT(cfg->busy_events && cfg->idle_events && cfg->lease_bytes);
	r->poller = poller;
	r->busy_events = cfg->busy_events;
	r->idle_events = cfg->idle_events;
	if (r->idle_events < r->busy_events)
		r->idle_events = r->busy_events;
	r->events = weir__node_alloc(r->idle_events * sizeof(*r->events), cfg->node);
	if (!r->events)
		return -ENOMEM;
	weir__lease_pool_init(&r->pool, cfg->lease_bytes, cfg->node);
	return 0;
}

void weir__readiness_fini(struct weir__readiness *r)
{
	WEIR_ASSERT(r->waiters == 0);
	weir__lease_pool_fini(&r->pool);
	weir__slots_fini(&r->slots);
	weir__node_free(r->events, r->idle_events * sizeof(*r->events), r->pool.node);
	r->events = NULL;
}
