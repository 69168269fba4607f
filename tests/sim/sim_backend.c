/* SPDX-License-Identifier: MIT */
/*
 * sim_backend.c: when operations run. Each direction of a stream, and each listener, has a queue of
 * operations. The first of a queue is tried after a random delay. It then finishes, or it waits
 * until the network reports a change (sim_ready).
 *
 *	submit ──► queued ──► due ──► try ──► result ──► complete, from poll
 *	              ▲                │
 *	              └── sim_ready ◄──┘ SIM_AGAIN        cancel: due with -ECANCELED
 *
 * Invariants: a record exists exactly while its op belongs to the backend. It is on its instance's
 * due list exactly while due_ns is not WEIR_FOREVER. Completions are delivered without the world's
 * lock. wake only posts a semaphore, so a signal handler may call it.
 *
 * This file keeps no network state (sim_net.c), moves no bytes (sim_op.c), and includes nothing of
 * the core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/sim/sim_world.h"
#include "weir/net.h"
#include "weir/rt.h"
#include "weir/time.h"

#define CONNECT_RETRY_NS (10 * WEIR_MSEC)	/* between tries, while the backlog is full */

static struct sim_instance *instance_of(struct weir_backend *be)
{
	return WEIR_CONTAINER_OF(be, struct sim_instance, base);
}

static struct sim_rec *rec_of(const struct weir_op *op)
{
	return (struct sim_rec *)(void *)op->next;
}

static struct sim_object *object_of(const struct weir_handle *h)
{
	return (struct sim_object *)(uintptr_t)h->state[0];
}

/* Something came for this instance: its thread may be asleep without a deadline. */
static void ring(struct sim_instance *sim)
{
	if (sim->base.caps & WEIR_CAP_POLLED)
		weir_backend_wake(&sim->base);
	else
		sem_post(&sim->bell);
}

/* ---- random numbers ---- */

/* splitmix64: works with every seed, even 0. */
uint64_t sim_random(struct weir_sim_world *world)
{
	uint64_t z = world->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

bool sim_chance(struct weir_sim_world *world, unsigned permille)
{
	return permille && sim_random(world) % 1000 < permille;
}

static uint64_t draw_delay(struct weir_sim_world *world)
{
	const struct weir_sim_config *cfg = &world->cfg;
	uint64_t span = cfg->delay_max_ns - cfg->delay_min_ns + 1;
	uint64_t delay = cfg->delay_min_ns + sim_random(world) % span;

	return sim_chance(world, cfg->reorder_permille) ? delay + 4 * cfg->delay_max_ns : delay;
}

/* ---- the trace ---- */

void sim_note(struct sim_instance *sim, enum weir_sim_event_kind kind, uint64_t op,
		 uint32_t object, int code, int result)
{
	struct weir_sim_world *world = sim->world;
	struct weir_sim_report *r = &world->report;
	struct weir_sim_event ev = {
		.kind = kind,
		.at_ns = weir_backend_now(&sim->base),
		.op = op,
		.object = object,
		.worker = sim->base.index,
		.code = code,
		.result = result,
	};

	r->events++;
	r->hash = sim_mix(sim_mix(sim_mix(r->hash, kind), ev.at_ns), op);
	r->hash = sim_mix(sim_mix(r->hash, object), (uint64_t)code);
	r->hash = sim_mix(r->hash, (uint64_t)(int64_t)result);
	if (world->cfg.trace)
		world->cfg.trace(world->cfg.trace_arg, &ev);
}

void sim_violation(struct weir_sim_world *world, const char *what, uint64_t number)
{
	__atomic_fetch_add(&world->report.violations, 1, __ATOMIC_RELAXED);
	fprintf(stderr, "sim: seed %llu: %s (%llu)\n", (unsigned long long)world->cfg.seed, what,
		(unsigned long long)number);
}

/* Asserts that calls of the owning worker do not overlap. */
static void owner_enter(struct sim_instance *sim)
{
	if (__atomic_exchange_n(&sim->inside, true, __ATOMIC_ACQUIRE))
		sim_violation(sim->world, "two calls on one instance at a time", sim->base.index);
}

static void owner_leave(struct sim_instance *sim)
{
	__atomic_store_n(&sim->inside, false, __ATOMIC_RELEASE);
}

/* ---- leases ---- */

/* Mapped, because few of the blocks are ever used, and a debugging allocator would write to all. */
static void *map_blocks(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static int lease_pool_init(struct sim_instance *sim, size_t block_bytes)
{
	unsigned count = sim->world->cfg.lease_blocks;

	sim->block_bytes = block_bytes ? block_bytes : 16384;
	sim->blocks = map_blocks(count * sim->block_bytes);
	sim->free_blocks = calloc(count, sizeof(*sim->free_blocks));
	sim->lent = calloc(count, sizeof(*sim->lent));
	if (!sim->blocks || !sim->free_blocks || !sim->lent)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		sim->free_blocks[i] = count - 1 - i;
	sim->free_count = count;
	sim_blocks_poison(sim->blocks, count * sim->block_bytes);
	return 0;
}

static void lease_pool_fini(struct sim_instance *sim)
{
	size_t bytes = sim->world->cfg.lease_blocks * sim->block_bytes;

	if (sim->blocks) {
		sim_blocks_unpoison(sim->blocks, bytes);
		munmap(sim->blocks, bytes);
	}
	free(sim->free_blocks);
	free(sim->lent);
}

/*
 * The bytes of a lease are sent. If this instance lent it, it keeps the buffer for a while;
 * otherwise it has copied them.
 */
static void keep_lease(struct sim_instance *sim, struct weir_lease *lease)
{
	struct sim_kept *kept = lease->owner == &sim->base ? malloc(sizeof(*kept)) : NULL;

	if (!kept)
		return;
	kept->lease = *lease;
	kept->until_ns = weir_backend_now(&sim->base) + draw_delay(sim->world);
	TAILQ_INSERT_TAIL(&sim->kept, kept, entry);
	memset(lease, 0, sizeof(*lease));
}

/* Returns the leases that were kept until now. */
static void return_kept(struct sim_instance *sim, uint64_t now)
{
	struct sim_kept *kept;

	do {
		pthread_mutex_lock(&sim->world->lock);
		TAILQ_FOREACH(kept, &sim->kept, entry)
			if (kept->until_ns <= now)
				break;
		if (kept)
			TAILQ_REMOVE(&sim->kept, kept, entry);
		pthread_mutex_unlock(&sim->world->lock);
		if (kept) {
			weir_lease_return(&kept->lease);
			free(kept);
		}
	} while (kept);
}

static void feed(struct sim_rec *rec)
{
	if (rec->starved)
		TAILQ_REMOVE(&rec->home->starved, rec, in_starved);
	rec->starved = false;
}

/* ---- due times ---- */

/* Puts the record into the due list by the earlier of its two times. */
static void file(struct sim_rec *rec)
{
	struct sim_instance *sim = rec->home;
	struct sim_rec *before;

	if (rec->due_ns != WEIR_FOREVER)
		TAILQ_REMOVE(&sim->due, rec, in_due);
	rec->due_ns = rec->attempt_ns < rec->cancel_ns ? rec->attempt_ns : rec->cancel_ns;
	if (rec->due_ns == WEIR_FOREVER)
		return;
	TAILQ_FOREACH_REVERSE(before, &sim->due, sim_recs, in_due)
		if (before->due_ns <= rec->due_ns)
			break;
	if (before)
		TAILQ_INSERT_AFTER(&sim->due, before, rec, in_due);
	else
		TAILQ_INSERT_HEAD(&sim->due, rec, in_due);
}

static void try_in(struct sim_rec *rec, uint64_t delay)
{
	rec->attempt_ns = weir_backend_now(&rec->home->base) + delay;
	file(rec);
}

void sim_ready(struct sim_line *line)
{
	struct sim_rec *rec = TAILQ_FIRST(&line->recs);

	if (!rec || rec->attempt_ns != WEIR_FOREVER)
		return;
	feed(rec);
	try_in(rec, draw_delay(rec->home->world));
	ring(rec->home);
}

/* Tries the first operation of a queue. Returns the result; or SIM_AGAIN if it has to wait. */
static int attempt(struct sim_rec *rec)
{
	struct weir_sim_world *world = rec->home->world;
	int rc;

	rec->attempt_ns = WEIR_FOREVER;
	feed(rec);
	rc = sim_op_try(rec);
	if (rc == SIM_MORE)
		rec->attempt_ns = weir_backend_now(&rec->home->base) + draw_delay(world);
	else if (rc == SIM_LATER)
		rec->attempt_ns = weir_backend_now(&rec->home->base) + CONNECT_RETRY_NS;
	else if (rc != SIM_AGAIN)
		return rc;
	file(rec);
	return SIM_AGAIN;
}

/* A handle that is being detached has no more operations: its home reports that after a delay. */
static void leave(struct sim_object *object)
{
	struct sim_instance *home = object->home;

	object->gone_ns = weir_backend_now(&home->base) + draw_delay(home->world);
	TAILQ_INSERT_TAIL(&home->leaving, object, in_leaving);
	ring(home);
}

/* Frees the record. Its op is about to be given back to the caller. */
static struct weir_op *finish(struct sim_rec *rec, int res)
{
	struct sim_instance *sim = rec->home;
	struct weir_sim_report *r = &sim->world->report;
	struct weir_op *op = rec->op;

	rec->attempt_ns = rec->cancel_ns = WEIR_FOREVER;
	file(rec);
	feed(rec);
	TAILQ_REMOVE(&rec->line->recs, rec, in_line);
	sim_ready(rec->line);
	if (sim_op_check(op) != rec->check)
		sim_violation(sim->world, "an op's memory was changed in flight", rec->number);
	sim_op_unpoison(op);
	if (op->code == WEIR_OP_RECV_LEASE && res <= 0)
		memset(op->u.lease.lease, 0, sizeof(*op->u.lease.lease));
	if (op->code == WEIR_OP_SEND_LEASE && res > 0)
		keep_lease(sim, op->u.lease.lease);
	op->next = NULL;
	sim->inflight--;
	r->ops--;
	r->completed++;
	r->cancels_won += res == -ECANCELED;
	sim_note(sim, WEIR_SIM_COMPLETE, rec->number, rec->object->number, op->code, res);
	if (--rec->object->inflight == 0 && rec->object->detaching)
		leave(rec->object);
	free(rec);
	return op;
}

/* ---- submit, cancel, poll ---- */

static struct sim_line *line_of(struct weir_op *op)
{
	struct weir_handle *h = op->handle;

	if (!h || !h->state[0])
		return NULL;
	if (h->kind == WEIR_HANDLE_LISTENER)
		return op->code == WEIR_OP_ACCEPT ? &listener_of(h)->accepts : NULL;
	if (h->kind != WEIR_HANDLE_STREAM || op->code == WEIR_OP_ACCEPT)
		return NULL;
	return sim_op_sends(op) || op->code == WEIR_OP_CONNECT ? &stream_of(h)->sends
							       : &stream_of(h)->recvs;
}

static struct sim_rec *rec_new(struct sim_instance *sim, struct weir_op *op, struct sim_line *line)
{
	struct sim_rec *rec = calloc(1, sizeof(*rec));

	if (!rec)
		return NULL;
	rec->op = op;
	rec->home = sim;
	rec->line = line;
	rec->attempt_ns = rec->cancel_ns = rec->due_ns = WEIR_FOREVER;
	rec->number = ++sim->world->ops;
	rec->object = object_of(op->handle);
	rec->object->inflight++;
	/*
	 * Atomic: if the op was sent here from another worker, its task may be cancelling it there.
	 */
	rec->flags = __atomic_load_n(&op->flags, __ATOMIC_RELAXED);
	rec->check = sim_op_check(op);
	op->next = (struct weir_op *)(void *)rec;
	TAILQ_INSERT_TAIL(&line->recs, rec, in_line);
	sim->inflight++;
	sim->world->report.ops++;
	return rec;
}

/* Returns the result if the op finishes at once; else SIM_AGAIN, and the op is in flight. */
static int submit_locked(struct sim_instance *sim, struct weir_op *op)
{
	struct weir_sim_world *world = sim->world;
	struct sim_line *line = line_of(op);
	struct sim_rec *rec;
	bool first, now;
	int rc = SIM_AGAIN;

	world->report.submitted++;
	if (op->code == WEIR_OP_POLL)
		return -EOPNOTSUPP;
	if (!line)
		return -EBADF;
	if (object_of(op->handle)->detaching)
		return -ECANCELED;
	if ((sim->base.caps & WEIR_CAP_HOMED) && op->handle->backend != &sim->base)
		sim_violation(world, "an op away from its handle's home",
			      object_of(op->handle)->number);
	rec = rec_new(sim, op, line);
	if (!rec)
		return -ENOMEM;
	sim_note(sim, WEIR_SIM_SUBMIT, rec->number, rec->object->number, op->code,
		 (int)sim_op_total(op));
	first = rec == TAILQ_FIRST(&line->recs);
	now = (rec->flags & WEIR_OP_TRY) || sim_chance(world, world->cfg.inline_permille);
	sim_op_poison(op);
	if (first && now)
		rc = attempt(rec);
	if (rc == SIM_AGAIN && (rec->flags & WEIR_OP_TRY))
		rc = sim_op_total(op) && *sim_op_done(op) ? (int)*sim_op_done(op) : -EAGAIN;
	if (rc != SIM_AGAIN)
		finish(rec, rc);
	else if (first && !now)
		try_in(rec, draw_delay(world));
	return rc;
}

static void sim_submit(struct weir_backend *be, struct weir_op *op)
{
	struct sim_instance *sim = instance_of(be);
	int rc;

	owner_enter(sim);
	pthread_mutex_lock(&sim->world->lock);
	rc = submit_locked(sim, op);
	pthread_mutex_unlock(&sim->world->lock);
	owner_leave(sim);
	if (rc != SIM_AGAIN)
		weir_backend_complete(op, rc);
}

/*
 * The cancel takes effect after a delay. If the op finishes before that, the cancel has no effect;
 * cancel_lose_permille is the probability that a result which is due soon comes first.
 */
static void cancel_rec(struct sim_rec *rec)
{
	struct sim_instance *sim = rec->home;
	struct weir_sim_world *world = sim->world;

	if (rec->cancel_ns != WEIR_FOREVER)
		return;
	world->report.cancels++;
	sim_note(sim, WEIR_SIM_CANCEL, rec->number, rec->object->number, rec->op->code, 0);
	rec->cancel_ns = weir_backend_now(&sim->base) + draw_delay(world);
	if (rec->attempt_ns != WEIR_FOREVER && rec->cancel_ns < rec->attempt_ns &&
	    sim_chance(world, world->cfg.cancel_lose_permille))
		rec->cancel_ns = rec->attempt_ns + 1;
	file(rec);
	ring(sim);
}

static void cancel_line(struct sim_line *line)
{
	struct sim_rec *rec;

	TAILQ_FOREACH(rec, &line->recs, in_line)
	cancel_rec(rec);
}

static void sim_cancel(struct weir_backend *be, struct weir_op *op)
{
	struct sim_instance *sim = instance_of(be);
	struct weir_sim_world *world = sim->world;
	struct sim_rec *rec;

	owner_enter(sim);
	pthread_mutex_lock(&world->lock);
	rec = rec_of(op);
	if (!rec || rec->home != sim) {
		sim_violation(world, "cancel of an op that is not in flight here", op->code);
	} else {
		cancel_rec(rec);
	}
	pthread_mutex_unlock(&world->lock);
	owner_leave(sim);
}

/* Processes due records until an op has finished, and returns it. NULL if nothing more is due. */
static struct weir_op *turn(struct sim_instance *sim, uint64_t now, int *ret_res)
{
	struct sim_rec *rec;
	int rc;

	while ((rec = TAILQ_FIRST(&sim->due)) != NULL && rec->due_ns <= now) {
		rc = rec->attempt_ns <= rec->cancel_ns ? attempt(rec) : -ECANCELED;
		if (rc == SIM_AGAIN)
			continue;
		*ret_res = rc;
		return finish(rec, rc);
	}
	return NULL;
}

/* Removes the object from the world. Returns its handle. */
static struct weir_handle *object_free(struct sim_object *object)
{
	struct weir_handle *h = object->detaching;

	sim_note(object->home, WEIR_SIM_DETACH, 0, object->number, h->kind, 0);
	if (h->kind == WEIR_HANDLE_LISTENER)
		sim_unlisten(listener_of(h));
	else
		sim_stream_close(stream_of(h));
	h->state[0] = 0;
	return h;
}

/* Finish the detaches that are due by now. */
static void let_go(struct sim_instance *sim, uint64_t now)
{
	struct weir_handle *h;
	struct sim_object *object;

	do {
		h = NULL;
		pthread_mutex_lock(&sim->world->lock);
		TAILQ_FOREACH(object, &sim->leaving, in_leaving)
			if (object->gone_ns <= now)
				break;
		if (object) {
			TAILQ_REMOVE(&sim->leaving, object, in_leaving);
			h = object_free(object);
		}
		pthread_mutex_unlock(&sim->world->lock);
		if (h)
			weir_backend_detached(h);
	} while (h);
}

static int deliver(struct sim_instance *sim, unsigned limit)
{
	uint64_t now = weir_backend_now(&sim->base);
	struct weir_op *op;
	unsigned n;
	int res = 0;

	let_go(sim, now);
	return_kept(sim, now);
	for (n = 0; n < limit; n++) {
		owner_enter(sim);
		pthread_mutex_lock(&sim->world->lock);
		op = turn(sim, now, &res);
		pthread_mutex_unlock(&sim->world->lock);
		owner_leave(sim);
		if (!op)
			break;
		weir_backend_complete(op, res);
	}
	return (int)n;
}

/* Sleeps in real time until the semaphore is posted or ns have passed. */
static void doze(struct sim_instance *sim, uint64_t ns)
{
	struct timespec ts;

	if (ns == WEIR_FOREVER) {
		sem_wait(&sim->bell);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	if (ns > 3600 * WEIR_SEC)
		ns = 3600 * WEIR_SEC;
	ns += (uint64_t)ts.tv_nsec;
	ts.tv_sec += (time_t)(ns / WEIR_SEC);
	ts.tv_nsec = (long)(ns % WEIR_SEC);
	sem_timedwait(&sim->bell, &ts);
}

/* When the next record, object or lease is due; WEIR_FOREVER if none is. */
static uint64_t next_due(struct sim_instance *sim)
{
	uint64_t next = WEIR_FOREVER;
	struct sim_object *object;
	struct sim_kept *kept;
	struct sim_rec *rec;

	pthread_mutex_lock(&sim->world->lock);
	rec = TAILQ_FIRST(&sim->due);
	if (rec)
		next = rec->due_ns;
	TAILQ_FOREACH(object, &sim->leaving, in_leaving)
		if (object->gone_ns < next)
			next = object->gone_ns;
	TAILQ_FOREACH(kept, &sim->kept, entry)
		if (kept->until_ns < next)
			next = kept->until_ns;
	pthread_mutex_unlock(&sim->world->lock);
	return next;
}

/* When nothing is due, lets time pass until the next event or the deadline. */
static void pass_time(struct sim_instance *sim, uint64_t deadline)
{
	uint64_t now = weir_backend_now(&sim->base);
	uint64_t due = next_due(sim);
	uint64_t until = due < deadline ? due : deadline;

	if (until == WEIR_FOREVER)
		doze(sim, WEIR_FOREVER);
	else if (until > now && (!sim->clock || weir_clock_advance(sim->clock, until - now) < 0))
		doze(sim, until - now);
}

static int sim_poll(struct weir_backend *be, uint64_t deadline, bool busy)
{
	struct sim_instance *sim = instance_of(be);
	unsigned limit = busy ? sim->busy_events : sim->idle_events;
	bool woken;
	int n;

	if (be->caps & WEIR_CAP_POLLED) {
		n = deliver(sim, limit);
		be->next_ns = next_due(sim);
		return n;
	}
	for (;;) {
		/*
		 * Drain the semaphore before checking: a post after the check then ends the sleep.
		 */
		while (sem_trywait(&sim->bell) == 0)
			;
		woken = __atomic_exchange_n(&sim->woken, false, __ATOMIC_ACQ_REL);
		n = deliver(sim, limit);
		if (n > 0 || woken || weir_backend_now(be) >= deadline)
			return n;
		pass_time(sim, deadline);
	}
}

static void sim_wake(struct weir_backend *be)
{
	struct sim_instance *sim = instance_of(be);

	__atomic_store_n(&sim->woken, true, __ATOMIC_RELEASE);
	sem_post(&sim->bell);
}

static void sim_lease_return(struct weir_backend *be, struct weir_lease *lease)
{
	struct sim_instance *sim = instance_of(be);
	struct weir_sim_world *world = sim->world;
	struct sim_rec *rec;

	pthread_mutex_lock(&world->lock);
	if (lease->token >= world->cfg.lease_blocks || !sim->lent[lease->token] ||
	    lease->data != sim->blocks + lease->token * sim->block_bytes) {
		sim_violation(world, "a lease that was not lent comes back", lease->token);
	} else {
		sim->lent[lease->token] = false;
		sim->free_blocks[sim->free_count++] = lease->token;
		world->report.leases--;
		sim_blocks_poison(lease->data, sim->block_bytes);
	}
	/* Retries all of them: the first may be cancelled before its turn. */
	while ((rec = TAILQ_FIRST(&sim->starved)) != NULL) {
		feed(rec);
		try_in(rec, draw_delay(world));
		ring(sim);
	}
	pthread_mutex_unlock(&world->lock);
}

/* ---- probe, init, attach, detach ---- */

static int sim_probe(const char *options, char *reason, size_t len)
{
	(void)options;
	(void)reason;
	(void)len;
	return 0;
}

static int sim_init(struct weir_backend *be, const struct weir_backend_config *cfg)
{
	struct sim_instance *sim = instance_of(be);
	struct weir_sim_world *world = (struct weir_sim_world *)(uintptr_t)cfg->custom;

	if (!world)
		return -EINVAL;
	memset((char *)sim + sizeof(*be), 0, sizeof(*sim) - sizeof(*be));
	sim->world = world;
	if (cfg->workers == 1)
		sim->clock = cfg->clock;
	if (!sim->clock)
		be->caps &= ~(uint32_t)WEIR_CAP_OWN_CLOCK;
	if (!world->cfg.homed)
		be->caps &= ~(uint32_t)WEIR_CAP_HOMED;
	sim->busy_events = cfg->busy_events;
	sim->idle_events = cfg->idle_events;
	TAILQ_INIT(&sim->due);
	TAILQ_INIT(&sim->starved);
	TAILQ_INIT(&sim->leaving);
	TAILQ_INIT(&sim->kept);
	if (sem_init(&sim->bell, 0, 0) < 0)
		return -errno;
	if (lease_pool_init(sim, cfg->lease_bytes) == 0)
		return 0;
	lease_pool_fini(sim);
	sem_destroy(&sim->bell);
	return -ENOMEM;
}

static void sim_fini(struct weir_backend *be)
{
	struct sim_instance *sim = instance_of(be);

	let_go(sim, WEIR_FOREVER);
	return_kept(sim, WEIR_FOREVER);
	if (sim->inflight)
		sim_violation(sim->world, "fini with ops in flight", sim->inflight);
	lease_pool_fini(sim);
	sem_destroy(&sim->bell);
}

static int stream_attach(struct weir_sim_world *world, const struct weir_handle_spec *spec,
			 struct sim_stream **ret_stream)
{
	int rc = sim_stream_new(world, ret_stream);

	if (rc < 0 || !spec->addr)
		return rc;
	rc = sim_stream_bind(*ret_stream, spec->addr, spec->addr_len);
	if (rc < 0)
		sim_stream_close(*ret_stream);
	return rc;
}

/* Other addresses are a companion's. Listening on all of them is listening in the world, too. */
static bool is_in_world(const struct weir_sim_world *world, const struct sockaddr *sa)
{
	in_addr_t host;

	if (!world->cfg.host || !sa || sa->sa_family != AF_INET)
		return true;
	host = ((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr;
	return host == INADDR_ANY || host == world->cfg.host;
}

static int attach_locked(struct sim_instance *sim, struct weir_handle *h,
			 const struct weir_handle_spec *spec)
{
	struct weir_sim_world *world = sim->world;
	struct sim_listener *listener;
	struct sim_stream *stream;
	int rc;

	if (spec->kind == WEIR_HANDLE_FOREIGN || spec->fd >= 0)
		return -EOPNOTSUPP;
	if (!is_in_world(world, spec->kind == WEIR_HANDLE_LISTENER ? spec->addr : spec->peer))
		return -EADDRNOTAVAIL;
	if (sim_chance(world, world->cfg.fail_attach_permille)) {
		world->report.injected++;
		return -EMFILE;
	}
	if (spec->kind == WEIR_HANDLE_LISTENER)
		rc = sim_listen(world, spec, &listener);
	else
		rc = stream_attach(world, spec, &stream);
	if (rc < 0)
		return rc;
	h->backend = &sim->base;
	h->homed = sim_homed(world);
	h->fd = -1;
	h->kind = (uint8_t)spec->kind;
	h->state[0] = spec->kind == WEIR_HANDLE_LISTENER ? (uintptr_t)listener : (uintptr_t)stream;
	sim_note(sim, WEIR_SIM_ATTACH, 0, object_of(h)->number, h->kind, 0);
	return 0;
}

static int sim_attach(struct weir_backend *be, struct weir_handle *h,
		      const struct weir_handle_spec *spec)
{
	struct sim_instance *sim = instance_of(be);
	int rc;

	pthread_mutex_lock(&sim->world->lock);
	rc = attach_locked(sim, h, spec);
	pthread_mutex_unlock(&sim->world->lock);
	return rc;
}

/* Detaches at once if nothing is in flight, at random; otherwise later, from poll. */
static struct weir_handle *detach_locked(struct sim_instance *sim, struct weir_handle *h)
{
	struct sim_object *object = object_of(h);

	if (!object || object->detaching) {
		sim_violation(sim->world, "detach of what is not attached", h->kind);
		return NULL;
	}
	object->detaching = h;
	object->home = sim;
	if (h->kind == WEIR_HANDLE_LISTENER) {
		cancel_line(&listener_of(h)->accepts);
	} else {
		cancel_line(&stream_of(h)->recvs);
		cancel_line(&stream_of(h)->sends);
	}
	if (object->inflight)
		return NULL;
	if (sim_chance(sim->world, 500))
		return object_free(object);
	leave(object);
	return NULL;
}

static void sim_detach(struct weir_backend *be, struct weir_handle *h)
{
	struct sim_instance *sim = instance_of(be);
	struct weir_handle *gone;

	owner_enter(sim);
	pthread_mutex_lock(&sim->world->lock);
	gone = detach_locked(sim, h);
	pthread_mutex_unlock(&sim->world->lock);
	owner_leave(sim);
	if (gone)
		weir_backend_detached(gone);
}

static int addr_out(const struct sim_addr *addr, void *value, size_t len)
{
	if (len < sizeof(addr->ss))
		return -EINVAL;
	memcpy(value, &addr->ss, sizeof(addr->ss));
	return 0;
}

static int control_listener(struct sim_listener *listener, enum weir_control what, void *value,
			    size_t len)
{
	if (what == WEIR_CTL_LOCAL_ADDR)
		return addr_out(&listener->addr, value, len);
	if (what == WEIR_CTL_SHARE_PORT)
		listener->reuse_port = true;
	else if (what != WEIR_CTL_NODELAY)
		return -EOPNOTSUPP;
	return 0;
}

static int control_stream(struct sim_stream *stream, enum weir_control what, void *value,
			  size_t len)
{
	if (what == WEIR_CTL_KEEPALIVE)
		return len == sizeof(struct weir_keepalive) ? 0 : -EINVAL;
	if (len != sizeof(int))
		return -EINVAL;
	switch (what) {
	case WEIR_CTL_SHUTDOWN:
		return sim_shutdown(stream, *(int *)value);
	case WEIR_CTL_LINGER:
		stream->linger_zero = *(int *)value == 0;
		return 0;
	case WEIR_CTL_ERROR:
		*(int *)value = -sim_take_error(stream);
		return 0;
	case WEIR_CTL_NODELAY:
	case WEIR_CTL_SEND_BUFFER:
	case WEIR_CTL_RECV_BUFFER:
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* Without the lock: the addresses are copied before the stream is connected, and then stay. */
static int control_addr(const struct sim_stream *stream, enum weir_control what, void *value,
			size_t len)
{
	if (!__atomic_load_n(&stream->connected, __ATOMIC_ACQUIRE))
		return -ENOTCONN;
	return addr_out(what == WEIR_CTL_LOCAL_ADDR ? &stream->local : &stream->remote, value, len);
}

/* No worker but the home may change a homed stream. Off the workers a shutdown stands in. */
static void check_home(const struct sim_instance *sim, const struct weir_handle *h,
		       enum weir_control what)
{
	int here = weir_rt_worker_index();

	if (sim->world->cfg.homed && h->kind == WEIR_HANDLE_STREAM && here >= 0 &&
	    here != (int)sim->base.index)
		sim_violation(sim->world, "a setting away from its handle's home", what);
}

static int sim_control(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
		       void *value, size_t len)
{
	struct weir_sim_world *world = instance_of(be)->world;
	int rc = -EBADF;

	if (h->kind == WEIR_HANDLE_STREAM &&
	    (what == WEIR_CTL_LOCAL_ADDR || what == WEIR_CTL_PEER_ADDR))
		return control_addr(stream_of(h), what, value, len);
	check_home(instance_of(be), h, what);
	pthread_mutex_lock(&world->lock);
	if (h->state[0])
		rc = h->kind == WEIR_HANDLE_LISTENER
			     ? control_listener(listener_of(h), what, value, len)
			     : control_stream(stream_of(h), what, value, len);
	pthread_mutex_unlock(&world->lock);
	return rc;
}

#define SIM_KIND(kind_name, kind_caps) { \
	.name = (kind_name), \
	.abi = WEIR_BACKEND_ABI, \
	.caps = WEIR_CAP_STREAM | WEIR_CAP_LEASE | WEIR_CAP_HOMED | (kind_caps), \
	.instance_bytes = sizeof(struct sim_instance), \
	.probe = sim_probe, \
	.init = sim_init, \
	.fini = sim_fini, \
	.attach = sim_attach, \
	.detach = sim_detach, \
	.control = sim_control, \
	.submit = sim_submit, \
	.poll = sim_poll, \
	.cancel = sim_cancel, \
	.wake = sim_wake, \
	.lease_return = sim_lease_return, \
}

const struct weir_backend_ops weir_sim_backend =
	SIM_KIND("sim", WEIR_CAP_UNIX | WEIR_CAP_OWN_CLOCK);
/* It cannot wait, and has no Unix sockets: its companion has both. */
const struct weir_backend_ops weir_sim_polled_backend = SIM_KIND("sim-polled", WEIR_CAP_POLLED);

/* ---- the world ---- */

static void config_defaults(struct weir_sim_config *cfg)
{
	if (!cfg->delay_min_ns)
		cfg->delay_min_ns = WEIR_USEC;
	if (!cfg->delay_max_ns)
		cfg->delay_max_ns = 500 * WEIR_USEC;
	if (!cfg->buffer_bytes)
		cfg->buffer_bytes = 65536;
	if (!cfg->backlog)
		cfg->backlog = 128;
	if (!cfg->lease_blocks)
		cfg->lease_blocks = 64;
}

int weir_sim_world_new(const struct weir_sim_config *cfg, struct weir_sim_world **ret_world)
{
	struct weir_sim_world *world;

	if (cfg->size != sizeof(*cfg))
		return -EINVAL;
	world = calloc(1, sizeof(*world));
	if (!world)
		return -ENOMEM;
	world->cfg = *cfg;
	config_defaults(&world->cfg);
	if (world->cfg.delay_min_ns > world->cfg.delay_max_ns ||
	    world->cfg.buffer_bytes >= INT_MAX) {
		free(world);
		return -EINVAL;
	}
	pthread_mutex_init(&world->lock, NULL);
	world->random = cfg->seed;
	LIST_INIT(&world->listeners);
	*ret_world = world;
	return 0;
}

void weir_sim_world_report(struct weir_sim_world *world, struct weir_sim_report *ret_report)
{
	pthread_mutex_lock(&world->lock);
	*ret_report = world->report;
	pthread_mutex_unlock(&world->lock);
}

void weir_sim_world_free(struct weir_sim_world *world)
{
	if (!world)
		return;
	pthread_mutex_destroy(&world->lock);
	free(world);
}
