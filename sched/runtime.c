/* SPDX-License-Identifier: MIT */
/*
 * runtime.c: builds a runtime: checks the configuration, chooses the backend,
 * makes the workers and starts their threads. shutdown.c ends it.
 */
#include "sched/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/registry.h"
#include "core/time/clock.h"
#include "core/futex.h"
#include "core/guard.h"
#include "core/os.h"
#include "core/fiber/overflow.h"
#include "core/signals.h"
#include "core/sized.h"
#include "core/task/task.h"
#include "topo/cpus.h"
#include "topo/place.h"
#include "sched/stall.h"
#include "sched/worker.h"
#include "weir/topo.h"

/* ---- fork ---- */

static void forked_in_parent(void)
{
	weir__store(&weir__forked, true, WEIR_RELAXED);
}

static void forked_in_child(void)
{
	struct weir__worker *w = weir__context()->worker;

	weir__fork_generation++;
	*weir__context() = (struct weir__context){ .forked = w != NULL };
	/* For futures that the interrupted poll goes on to poll in the child. */
	if (w)
		w->cx.worker = NULL;
}

/* Async-signal-safe. */
static struct weir__stack_user running_task(void)
{
	const struct weir_task *task = weir_task_current();
	struct weir__stack_user user = { weir_task_name(task), NULL };

	if (task && (task->flags & WEIR__TASK_STACKFUL))
		user.entry = (const void *)(uintptr_t)task->body.fn;
	return user;
}

/* Called once per process, before the first worker. */
static void prepare_process(void)
{
	pthread_atfork(NULL, forked_in_parent, forked_in_child);
	weir__guard_enable();
	weir__stack_overflow_user = running_task;
}

/* ---- where the workers go ---- */

/*
 * Adapts the configuration to a CPU quota. The quota limits the number of workers. Busy polling
 * would consume it. Workers bound to one CPU each could not avoid a CPU that another process uses.
 */
static void apply_quota(struct runtime *rt, const struct weir_topo *topo,
			const struct weir_place_config *asked)
{
	const struct weir_plan *plan = rt->base.plan;
	char quota[32];

	if (!plan->throttled)
		return;
	weir__place_print_quota(topo->quota_milli, quota, sizeof quota);
	if (!asked->workers)
		weir__runtime_note(rt, "%u worker%s: a quota of %s CPUs", plan->workers_len,
				   plan->workers_len == 1 ? "" : "s", quota);
	if (asked->bind > WEIR_BIND_GROUP && plan->bind < asked->bind)
		weir__runtime_note(
			rt, "workers are not bound to one %s each: the quota is %s CPUs of %u",
			asked->bind == WEIR_BIND_CPU ? "CPU" : "core", quota, plan->cpus_used);
	if (rt->cfg.spin_ns == WEIR_FOREVER) {
		rt->cfg.spin_ns = 0;
		weir__runtime_note(
			rt, "idle workers sleep instead of polling: the quota is %s CPUs of %u",
			quota, plan->cpus_used);
	}
}

/*
 * A sandbox may forbid binding. Then the default is not to bind; a binding that was asked for
 * fails.
 */
static int do_without_binding(struct runtime *rt, enum weir_bind asked, int rc)
{
	if (asked != WEIR_BIND_AUTO)
		return weir__runtime_refuse(
			rc, "threads cannot be bound to CPUs here: %s; leave bind at 0",
			strerror(-rc));
	for (unsigned i = 0; i < rt->base.plan->workers_len; i++)
		rt->base.plan->workers[i].bound = false;
	rt->base.plan->bind = WEIR_BIND_NONE;
	rt->binds = false;
	weir__runtime_note(rt, "workers are not bound: threads cannot be bound to CPUs here: %s",
			   strerror(-rc));
	return 0;
}

/*
 * A thread inherits the CPUs of its creator, so all threads but the workers are given this
 * thread's.
 */
static int note_unbound(struct runtime *rt, enum weir_bind asked)
{
	unsigned i;
	int rc;

	for (i = 0; i < rt->base.plan->workers_len; i++)
		rt->binds |= rt->here && rt->base.plan->workers[i].bound;
	rt->binds &= rt->cfg.sched == WEIR_SCHED_MULTI;
	if (!rt->binds)
		return 0;
	rc = weir__cpus_mask(&rt->unbound);
	if (rc < 0)
		return weir__runtime_refuse(rc, "the affinity mask cannot be read: %s",
					    strerror(-rc));
	/* Binds the thread to the CPUs that it has, only to find out whether binding is allowed. */
	rc = weir__cpus_bind_self(&rt->unbound);
	return rc < 0 ? do_without_binding(rt, asked, rc) : 0;
}

static int use_plan(struct runtime *rt, const struct weir_topo *topo,
		    const struct weir_place_config *asked)
{
	int rc;

	rt->cfg.workers = rt->base.plan->workers_len;
	rt->here = topo->here;
	apply_quota(rt, topo, asked);
	rc = note_unbound(rt, asked->bind);
	return rc < 0 ? rc : weir__runtime_place_memory(rt, topo);
}

static int read_config(void *ours, const void *theirs, const char *init)
{
	char text[128];
	int rc = weir__sized_read(ours, theirs);

	if (rc == 0)
		return 0;
	weir__sized_why(theirs, rc, init, text, sizeof text);
	return weir__runtime_refuse(rc, "%s", text);
}

static int plan_workers(struct runtime *rt)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_topo *here = NULL;
	struct weir_why reason;
	int rc = 0;

	if (rt->cfg.place)
		rc = read_config(&place, rt->cfg.place, "WEIR_PLACE_CONFIG_INIT");
	if (rc < 0)
		return rc;
	if (rt->cfg.workers && place.workers && place.workers != rt->cfg.workers)
		return weir__runtime_refuse(
			-EINVAL, "workers is %u, but place.workers is %u: leave one of them 0",
			rt->cfg.workers, place.workers);
	if (!place.workers)
		place.workers = rt->cfg.workers;
	if (!rt->cfg.topo)
		rc = weir_topo_new(NULL, &here, &reason);
	if (rc == 0)
		rc = weir_plan_new(here ? here : rt->cfg.topo, &place, &rt->base.plan, &reason);
	if (rc < 0)
		weir__runtime_refuse(rc, "%s", reason.text);
	else
		rc = use_plan(rt, here ? here : rt->cfg.topo, &place);
	weir_topo_free(here);
	return rc;
}

/* ---- construction ---- */

static int detect_stalls(const struct weir_rt_config *c)
{
	int rc = c->stall_ns == WEIR_FOREVER ? 0 : weir__stall_prepare(c->stall_signal);

	if (rc == -EBUSY)
		return weir__runtime_refuse(
			rc, "stall_signal %d: another runtime of this process already uses %d",
			c->stall_signal, weir__signal_of_stalls);
	return rc < 0 ? weir__runtime_refuse(rc, "no handler can be installed for stall_signal %d",
					     c->stall_signal)
		      : 0;
}

static void use_choice(struct runtime *rt, const struct weir__backend_choice *choice)
{
	rt->backend = choice->ops;
	rt->backend_options = choice->options;
	if (choice->automatic)
		snprintf(rt->backend_note, sizeof rt->backend_note, "%s", choice->why);
}

/* A backend that polls cannot wait: the worker sleeps in a companion. Others need none. */
static int choose_companion(struct runtime *rt)
{
	const char *name = rt->cfg.companion ? rt->cfg.companion : "auto";
	struct weir__backend_choice choice;
	int rc;

	if (!rt->backend || !(rt->backend->caps & WEIR_CAP_POLLED))
		return !rt->cfg.companion
			       ? 0
			       : weir__runtime_refuse(-EINVAL,
						      "companion '%s': backend '%s' waits for "
						      "events itself and takes none",
						      rt->cfg.companion,
						      rt->backend ? rt->backend->name : "none");
	rc = weir__backend_choose(name, &choice);
	if (rc < 0)
		return weir__runtime_refuse(rc, "companion: %s", choice.why);
	if (choice.ops->caps & WEIR_CAP_POLLED)
		return weir__runtime_refuse(-EINVAL,
					    "companion '%s': it cannot wait either; expected one "
					    "that can, or NULL for the best",
					    name);
	rt->companion = choice.ops;
	rt->companion_options = choice.options;
	return 0;
}

static int choose_backend(struct runtime *rt, struct weir__backend_choice *choice)
{
	char reason[192] = "";
	int rc;

	memset(choice, 0, sizeof *choice);
	if (rt->cfg.no_io)
		return 0;
	if (rt->cfg.backend_ops) {
		rt->backend = rt->cfg.backend_ops;
		rc = rt->backend->probe ? rt->backend->probe(NULL, reason, sizeof reason) : 0;
		if (rc < 0)
			return weir__runtime_refuse(rc, "backend '%s' cannot run here: %s",
						    rt->backend->name, reason);
		return 0;
	}
	rc = weir__backend_choose(rt->cfg.backend, choice);
	if (rc < 0)
		return weir__runtime_refuse(rc, "%s", choice->why);
	use_choice(rt, choice);
	return 0;
}

static void init_base(struct runtime *rt)
{
	struct weir_rt *base = &rt->base;

	base->sched = &weir__schedule_ops;
	base->fork_generation = weir__fork_generation;
	base->clock = rt->cfg.clock;
	base->budget = (int)rt->cfg.budget;
	base->no_time = rt->cfg.no_time;
	base->no_signal = rt->cfg.no_signal;
	weir__outside_init(&base->outside);
	base->workers = rt->cfg.workers;
	weir__slab_init(&base->foreign, -1);
	weir__clock_attach(base->clock, base);
}

static void init_shared(struct runtime *rt)
{
	snprintf(rt->name, sizeof rt->name, "%s", rt->cfg.name);
	rt->cfg.name = rt->name;
	rt->drain_deadline = WEIR_FOREVER;
	weir__sampler_init(&rt->wake_sampler,
			   rt->cfg.sample == WEIR_SAMPLE_NONE ? 0 : rt->cfg.sample, 1);
	weir__pool_init(&rt->pool, &rt->base, rt->cfg.blocking_max, rt->cfg.blocking_queue,
			rt->cfg.blocking_keep_ns, rt->name, rt->binds ? &rt->unbound : NULL);
	pthread_mutex_init(&rt->turn_lock, NULL);
	weir__os_cond_init(&rt->turn_free);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	char name[32];

	snprintf(name, sizeof name, "%.9s-w%u", w->rt->name, w->base.index);
	weir__os_thread_name(name);
	if (w->rt->node[w->base.index] >= 0)
		(void)weir__os_node_move_stack(w->rt->node[w->base.index]);
	weir__worker_serve(w, NULL, NULL);
	/* Pairs with the load in thread_is_over. */
	weir__store(&w->thread_over, 1u, WEIR_RELEASE);
	weir__futex_wake(&w->thread_over, 1);
	return NULL;
}

static void close_workers(struct runtime *rt)
{
	for (unsigned i = 0; rt->base.worker && i < rt->base.workers; i++)
		if (rt->base.worker[i])
			weir__worker_close(worker_at(rt, i));
}

static int try_workers(struct runtime *rt)
{
	struct worker *w;
	unsigned i;
	int rc;

	for (i = 0; i < rt->base.workers; i++) {
		rc = weir__worker_new(rt, i, &w);
		if (rc < 0) {
			weir__runtime_refuse(rc, "cannot make worker %u with backend '%s': %s", i,
					     runtime_backend_name(rt),
					     weir_strerror(rc));
			close_workers(rt);
			weir__workers_free(rt);
			return rc;
		}
		rt->base.worker[i] = &w->base;
	}
	return 0;
}

/*
 * A probe may succeed and the same backend may fail for as many workers, usually because of a
 * limit.
 */
static int make_workers(struct runtime *rt, struct weir__backend_choice *choice)
{
	int rc;

	rt->base.worker = calloc(rt->base.workers, sizeof *rt->base.worker);
	rt->threads = calloc(rt->base.workers, sizeof *rt->threads);
	rt->started = calloc(rt->base.workers, sizeof *rt->started);
	if (!rt->base.worker || !rt->threads || !rt->started || weir__domains_init(rt) < 0)
		return weir__runtime_refuse(-ENOMEM, "out of memory for %u workers",
					    rt->base.workers);
	while ((rc = try_workers(rt)) < 0 && choice->automatic &&
	       weir__backend_fall_back(choice, weir_rt_why()) == 0)
		use_choice(rt, choice);
	if (rc == 0)
		weir__runtime_forget_why();
	return rc;
}

static int start_thread(struct runtime *rt, unsigned i)
{
	const struct weir_plan_worker *place = &rt->base.plan->workers[i];
	pthread_attr_t attr;
	int rc = -pthread_attr_init(&attr);

	if (rc < 0)
		return rc;
	if (place->bound && rt->binds)
		rc = weir__cpus_bind(&attr, &place->cpus);
	if (rc == 0)
		rc = -pthread_create(&rt->threads[i], &attr, worker_main, worker_at(rt, i));
	pthread_attr_destroy(&attr);
	rt->started[i] = rc == 0;
	return rc;
}

static int start_threads(struct runtime *rt)
{
	unsigned i;
	int rc;

	for (i = 0; i < rt->base.workers; i++) {
		rc = start_thread(rt, i);
		if (rc < 0)
			return weir__runtime_refuse(rc, "cannot start the thread of worker %u: %s",
						    i, weir_strerror(rc));
	}
	return 0;
}

/*
 * Frees all but the tasks' memory and its owners, which a waker may touch that outlives the
 * runtime.
 */
static void runtime_release(struct runtime *rt)
{
	weir__live_remove(&rt->base);
	close_workers(rt);
	weir__domains_fini(rt);
	weir__clock_detach(rt->base.clock, &rt->base);
	weir__pool_fini(&rt->pool);
	pthread_cond_destroy(&rt->turn_free);
	pthread_mutex_destroy(&rt->turn_lock);
	free(rt->threads);
	free(rt->started);
	weir_plan_free(rt->base.plan);
	weir__rt_unref(&rt->base);
}

int weir_rt_new(const struct weir_rt_config *cfg, struct weir_rt **ret_rt)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct weir__backend_choice choice;
	struct weir_rt_config full = WEIR_RT_CONFIG_INIT;
	struct runtime *rt;
	int rc;

	weir__runtime_forget_why();
	if (weir__worker_current())
		return weir__runtime_refuse(
			-EPERM,
			"a task cannot create a runtime: create it on a thread of your own");
	rc = read_config(&full, cfg, "WEIR_RT_CONFIG_INIT");
	if (rc < 0)
		return rc;
	pthread_once(&once, prepare_process);
	rt = aligned_alloc(64, (sizeof *rt + 63) / 64 * 64);
	if (!rt)
		return weir__runtime_refuse(-ENOMEM, "out of memory");
	memset(rt, 0, sizeof *rt);
	rt->cfg = full;
	rc = weir__runtime_check_config(&rt->cfg);
	if (rc == 0)
		rc = plan_workers(rt);
	if (rc == 0)
		rc = choose_backend(rt, &choice);
	if (rc == 0)
		rc = choose_companion(rt);
	if (rc == 0 && !rt->cfg.no_overflow_report)
		rc = weir__stack_report_overflow_install();
	if (rc == 0)
		rc = detect_stalls(&rt->cfg);
	if (rc < 0) {
		weir_plan_free(rt->base.plan);
		free(rt->node);
		free(rt);
		return rc;
	}
	init_base(rt);
	init_shared(rt);
	rc = make_workers(rt, &choice);
	if (rc == 0)
		weir__live_add(&rt->base);
	if (rc == 0 && rt->cfg.sched == WEIR_SCHED_MULTI)
		rc = start_threads(rt);
	if (rc < 0) {
		/* If a hook keeps the threads from ending, what they need is not freed. */
		if (!rt->base.worker || !rt->base.worker[rt->base.workers - 1] ||
		    weir__runtime_shutdown(rt, WEIR_SEC) == 0)
			runtime_release(rt);
		return rc;
	}
	*ret_rt = &rt->base;
	return 0;
}

int weir_rt_shutdown(struct weir_rt *base, uint64_t timeout_ns)
{
	int rc;

	if (weir__worker_current())
		return -EPERM;
	if (!base)
		return -EINVAL;
	if (weir__rt_is_inherited(base))
		return -ENXIO;
	if (weir__context()->part_of == base)
		return -EDEADLK;
	weir__runtime_forget_why();
	rc = weir__runtime_shutdown(runtime_of(base), timeout_ns);
	if (rc == -ETIMEDOUT)
		weir__runtime_say_left(runtime_of(base));
	return rc;
}

void weir_rt_free(struct weir_rt *base)
{
	struct runtime *rt = runtime_of(base);

	if (!base || weir__rt_is_inherited(base) || weir__worker_current() ||
	    weir__context()->part_of == base)
		return;
	if (weir__runtime_shutdown(rt, 100 * WEIR_MSEC) < 0)
		return;
	weir__runtime_deliver_late(rt);
	runtime_release(rt);
}

/* ---- running ---- */

/*
 * Everything is allocated before fn starts: if the caller had to return early, arg might be freed
 * while fn uses it.
 */
static int spawn_and_join(struct weir_rt *rt, int (*fn)(void *), void *arg)
{
	struct weir__parker *parker = weir__parker_new();
	struct weir_task *task;
	struct weir_join_future join;
	int rc;

	if (!parker)
		return -ENOMEM;
	rc = weir_rt_spawn(rt, fn, arg, &task);
	if (rc == 0) {
		weir_join_init(&join, task);
		rc = weir__parker_block_on(parker, &join.future, WEIR_FOREVER);
	}
	weir__parker_free(parker);
	return rc < 0 ? rc : join.result;
}

int weir_rt_block_on(struct weir_rt *base, int (*fn)(void *), void *arg)
{
	struct runtime *rt = runtime_of(base);

	if (weir__worker_current())
		return -EPERM;
	if (!base || !fn)
		return -EINVAL;
	if (weir__rt_is_inherited(base))
		return -ENXIO;
	if (rt->cfg.sched == WEIR_SCHED_CURRENT)
		return weir__current_block_on(rt, fn, arg);
	return spawn_and_join(base, fn, arg);
}

int weir_rt_run(const struct weir_rt_config *cfg, int (*fn)(void *), void *arg)
{
	struct weir_rt *rt;
	int rc = weir_rt_new(cfg, &rt);

	if (rc < 0)
		return rc;
	rc = weir_rt_block_on(rt, fn, arg);
	(void)weir_rt_shutdown(rt, WEIR_SEC);	/* weir_rt_why says what it left behind */
	weir_rt_free(rt);
	return rc;
}

struct weir_rt *weir_rt_enter(struct weir_rt *rt)
{
	struct weir__context *c = weir__context();
	struct weir_rt *previous = c->rt;

	c->rt = rt;
	return previous;
}

void weir_rt_leave(struct weir_rt *previous)
{
	weir__context()->rt = previous;
}

/* ---- questions ---- */

unsigned weir_rt_workers(const struct weir_rt *rt)
{
	return rt->workers;
}

const struct weir_plan *weir_rt_plan(const struct weir_rt *rt)
{
	return rt ? rt->plan : NULL;
}

const char *weir_rt_backend(const struct weir_rt *rt)
{
	return runtime_backend_name((const struct runtime *)(const void *)rt);
}

const char *weir_rt_companion(const struct weir_rt *rt)
{
	const struct runtime *r = (const struct runtime *)(const void *)rt;

	return r->companion ? r->companion->name : NULL;
}

const char *weir_rt_note(const struct weir_rt *rt, unsigned i)
{
	const struct runtime *r = WEIR_CONTAINER_OF(rt, const struct runtime, base);

	if (!rt)
		return NULL;
	if (r->backend_note[0] && i-- == 0)
		return r->backend_note;
	return i < r->notes_len ? r->note[i] : NULL;
}

uint64_t weir_rt_now(const struct weir_rt *rt)
{
	return weir__clock_now(rt->clock);
}

uint64_t weir_rt_alive(const struct weir_rt *rt)
{
	return weir__runtime_alive(runtime_of((struct weir_rt *)(uintptr_t)rt));
}
