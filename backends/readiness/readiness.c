/* SPDX-License-Identifier: MIT */
/*
 * readiness.c: see readiness.h.
 *
 * Invariants, under the lock of the handle's home:
 *  - an op waits in the queue of its direction, and nowhere else; it leaves the
 *    queue before it completes, so cancel finds it or need not;
 *  - an op that was given back to its task (weir_backend_retry) has itself as .next, and
 *    is counted in .handed until it comes again or is cancelled; a handle that is
 *    detached meanwhile is closed and released by the last of them;
 *  - a queue with an op in it and its ready bit set means that the handle is on
 *    the ready list, or being served;
 *  - a ready bit is cleared only by somebody who made a call that found nothing,
 *    and only if no event came since before that call: the tick tells;
 *  - an event names a slot and its generation, never a handle, so one that was
 *    fetched before the handle was detached finds nobody.
 *
 * The lock is held across one non-blocking call, and poll lets those who wait for
 * it in after each. It is never held while waiting for events.
 *
 * Without the lock a handle's state is read for hints only.
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

/* Completions of one handle in a row; the rest waits until the others had theirs. */
#define FAIR 8
/* What a sibling fetches, on its own stack. */
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

static inline bool wanted(struct weir__readiness *r)
{
	return WEIR_UNLIKELY(weir__load(&r->waiters, WEIR_RELAXED) != 0);
}

/* Let others have the lock for a moment; what was looked up before must be again. */
static void let_in(struct weir__readiness *r)
{
	unlock(r);
	for (unsigned i = 0; i < 256 && wanted(r); i++)
		weir__cpu_relax();
	lock(r);
}

/* The home of a handle, locked. It can change until the lock is held. */
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
 * The same for one who is about to register: a handle that is registered nowhere moves to r.
 * The release pairs with the acquire in lock_home.
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
 * A call found nothing, or took all there was. Had it been the end, it would not have (.spent
 * says so); but an error that was told once, or urgent data, is over when a call finds nothing.
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

/* Take op out, whose predecessor is before (itself if it is alone). */
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
	/* A short read may have stopped at urgent data; for TCP it costs nothing to be told. */
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

/* Remember, if nobody holds the lock, that a call without it has emptied a direction. */
static void note_spent(struct weir_handle *h, enum weir__queue q, uint64_t seen)
{
	struct weir__ready_handle *s = weir__ready_of(h);
	struct weir_backend *be = weir__load(&h->backend, WEIR_ACQUIRE);

	if (!(seen & WEIR__READY_REGISTERED) || !lock_try(instance(be)))
		return;
	if (same_tick(seen, s->ready))
		clear_ready(s, q);
	unlock(instance(be));
}

/* Whether an op that is about to be queued must try once more, or for the first time. */
static bool must_try(const struct weir__ready_handle *s, enum weir__queue q, uint64_t seen,
		     bool tried)
{
	bool moved = !same_tick(seen, s->ready);

	if (q == WATCH)
		return moved;
	return !s->tail[q] && s->ready & 1u << q && (!tried || moved);
}

/*
 * Queue an op; seen is what its handle's readiness was before it was tried. With the lock held
 * no event can be handled: what comes after the last try finds the op in its queue, and a
 * registration reports what came before it.
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
		if (t->spent)
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
 * Foreign ones are registered when they are opened. A number can be so once: another handle on it
 * goes by a copy. What cannot be registered at all is always ready, and each wait finds it so.
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

/* POLL is told of what comes after it has looked; or of nothing, where it finds what it wants. */
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

/* An op that was given back is the backend's again, or done. True: its handle is to be closed. */
static bool unpin(struct weir__ready_handle *s)
{
	s->handed--;
	return s->closing && s->handed == 0;
}

/*
 * An op that was given back comes again. Only a registered handle gives back, so its home is
 * settled; and it is pinned, so it is there.
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
	/* An event has come since. With the lock held, the next one finds the op in its queue. */
	if (WEIR_UNLIKELY(res == WEIR_PENDING && !same_tick(seen, s->ready))) {
		seen = s->ready;
		res = weir__try_op(t, op);
	}
	if (res == WEIR_PENDING) {
		op->backend = &home->base;
		append_op(s, q, op);
		clear_ready(s, q);
	} else if (t->spent && same_tick(seen, s->ready)) {
		clear_ready(s, q);
	}
	last = unpin(s);
	unlock(home);
	if (WEIR_UNLIKELY(last))
		close_handle(h);
	if (res != WEIR_PENDING)
		weir_backend_complete(op, res);
}

/* [owner] The common case, done at once, takes no lock. */
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
	/* Before the call: a later tick means that an event came after it began. */
	seen = weir__load(&s->ready, WEIR_ACQUIRE);
	if (q == WATCH || op->code == WEIR_OP_CONNECT ||
	    (!weir__load(&s->tail[q], WEIR_RELAXED) && (try_only || seen & 1u << q))) {
		res = weir__try_op(&t, op);
		if (WEIR_LIKELY(res != WEIR_PENDING)) {
			if (t.spent)
				note_spent(op->handle, q, seen);
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
 * [any] An op that is in no queue any more has completed, and its handle may be gone: that is
 * why the op knows its home, and why queued ops complete under the lock.
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

/* POLLs all look at once; each gets what it asked for, and hang-ups. */
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
 * A transfer that waits alone is made by its task, on its worker and into its cache: 64
 * messages of 16 KiB received here would be in no cache any more when their tasks run.
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
	s->handed++;
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

			if (count == FAIR || (calls > 0 && wanted(home))) {
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
			if (t->spent)
				clear_ready(s, q);
			weir_backend_complete(op, res);
			count++;
		}
	if (WEIR_UNLIKELY(s->ready & WEIR__READY_WATCH)) {
		if (calls > 0 && wanted(home))
			weir__slots_list(&home->slots, s->slot);
		else
			count += serve_watch(t, h);
	}
	return count;
}

/* Those whose turn was cut short, in that order; not those that are cut short now. */
static unsigned serve_listed(struct weir__turn *t, unsigned max)
{
	struct weir__readiness *r = t->r;
	unsigned count = 0;

	lock(r);
	for (uint32_t left = r->slots.listed; left > 0 && r->slots.first && count < max; left--) {
		struct weir_handle *h = weir__slots_unlist(&r->slots);

		if (h)
			count += serve(t, r, h);
		if (wanted(r))
			let_in(r);
	}
	unlock(r);
	return count;
}

static void mark_ready(struct weir__ready_handle *s, uint32_t ready)
{
	/* Whether priority data stands between the reader and the rest, only reading can tell. */
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
		if (wanted(r))
			let_in(r);
	}
	unlock(r);
	/* A sibling must not swallow a wake that was meant for the owner. */
	if (woken && !t->owner)
		r->poller->wake(r);
	return count;
}

/* Another than the owner. What it leaves behind the owner must hear of. */
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
		/* Closing the last copy unregisters it, with most pollers. */
		if (s->ready & WEIR__READY_SHARED || weir__load(&weir__forked, WEIR_RELAXED) ||
		    home->poller->del_always)
			home->poller->del(home, h->fd);
	}
	weir__store(&s->closing, true, WEIR_RELAXED);
	pinned = s->handed > 0;
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
	snprintf(reason, len, "it has no options, so not '%s'", options);
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
