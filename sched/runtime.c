/* SPDX-License-Identifier: MIT */
/*
 * runtime.c: putting a runtime together: check the configuration, choose the
 * backend, make the workers, start their threads. How it ends is shutdown.c.
 */
#define _GNU_SOURCE
#include "sched/runtime.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/registry.h"
#include "core/clock.h"
#include "core/futex.h"
#include "core/guard.h"
#include "core/os.h"
#include "core/overflow.h"
#include "core/signals.h"
#include "core/task.h"
#include "sched/cpus.h"
#include "sched/stall.h"
#include "sched/worker.h"
#include "weir/topo.h"

#define SPIN_MAX_NS (5 * WEIR_MSEC)	/* half of the default watch_ns */

static _Thread_local char why[256];

const char *weir_rt_why(void)
{
	return why;
}

static int WEIR_PRINTF(2, 3) refuse(int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- fork ---- */

static void forked_in_child(void)
{
	weir__fork_generation++;
	weir__context()->worker = NULL;
	weir__context()->rt = NULL;
}

/* Once per process, before the first worker. */
static void prepare_process(void)
{
	pthread_atfork(NULL, NULL, forked_in_child);
	weir__guard_enable();
}

/* ---- configuration ---- */

static int check_range(const char *name, uint64_t value, uint64_t low, uint64_t high)
{
	if (value >= low && value <= high)
		return 0;
	return refuse(-EINVAL, "%s %llu is out of range: %llu to %llu", name,
		      (unsigned long long)value, (unsigned long long)low, (unsigned long long)high);
}

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static int workers_from_env(unsigned *ret_workers)
{
	const char *text = getenv("WEIR_WORKERS");
	char *end;
	long n;

	if (!text || !*text)
		return 0;
	n = strtol(text, &end, 10);
	if (*end || n < 1 || n > (long)WORKERS_MAX)
		return refuse(-EINVAL, "WEIR_WORKERS is '%s': a number from 1 to %u is wanted",
			      text, WORKERS_MAX);
	*ret_workers = (unsigned)n;
	return 0;
}

static int fill_defaults(struct weir_rt_config *c)
{
	int rc;

	if (c->sched == WEIR_SCHED_CURRENT)
		DEFAULT(c->workers, 1);
	if (c->workers == 0 && (rc = workers_from_env(&c->workers)) < 0)
		return rc;
	DEFAULT(c->name, "weir");
	DEFAULT(c->event_interval, 61);
	DEFAULT(c->lifo_max, 3);
	DEFAULT(c->budget, 128);
	DEFAULT(c->busy_events, 64);
	DEFAULT(c->idle_events, 1024);
	DEFAULT(c->remote_after, 4);
	DEFAULT(c->watch_ns, 10 * WEIR_MSEC);
	DEFAULT(c->stall_ns, 25 * WEIR_MSEC);
	DEFAULT(c->stall_signal, SIGURG);
	DEFAULT(c->tune_ns, 200 * WEIR_USEC);
	DEFAULT(c->tick_ns, WEIR_MSEC);
	DEFAULT(c->stack_bytes, 64 * 1024);
	DEFAULT(c->lease_bytes, 32 * 1024);
	DEFAULT(c->blocking_max, 512);
	DEFAULT(c->blocking_queue, 65536);
	DEFAULT(c->blocking_keep_ns, 10 * WEIR_SEC);
	if (c->sched == WEIR_SCHED_CURRENT) {
		c->no_lifo = true;
		DEFAULT(c->inject_interval, 31);
	}
	return 0;
}

static int check_config(const struct weir_rt_config *c)
{
	int rc;

	if (c->sched > WEIR_SCHED_CURRENT)
		return refuse(-EINVAL,
			      "sched %d is neither WEIR_SCHED_MULTI nor WEIR_SCHED_CURRENT",
			      (int)c->sched);
	if (c->sched == WEIR_SCHED_CURRENT && c->workers != 1)
		return refuse(-EINVAL, "workers %u with the current-thread scheduler: it has 1",
			      c->workers);
	if (c->steal > WEIR_STEAL_OFF)
		return refuse(-EINVAL,
			      "steal %d is none of WEIR_STEAL_ALL, WEIR_STEAL_NODE, "
			      "WEIR_STEAL_GROUP and WEIR_STEAL_OFF",
			      (int)c->steal);
	if ((rc = check_range("workers", c->workers, 0, WORKERS_MAX)) < 0 ||
	    (rc = check_range("event_interval", c->event_interval, 1, 1u << 20)) < 0 ||
	    (rc = check_range("inject_interval", c->inject_interval, 0, 1u << 20)) < 0 ||
	    (rc = check_range("lifo_max", c->lifo_max, 1, 1u << 20)) < 0 ||
	    (rc = check_range("budget", c->budget, 1, 1u << 20)) < 0 ||
	    (rc = check_range("busy_events", c->busy_events, 1, 4096)) < 0 ||
	    (rc = check_range("idle_events", c->idle_events, 1, 4096)) < 0 ||
	    (rc = check_range("searchers", c->searchers, 0, WORKERS_MAX)) < 0 ||
	    (rc = check_range("remote_after", c->remote_after, 1, 1024)) < 0 ||
	    (rc = check_range("spin_ns", c->spin_ns, 0, SPIN_MAX_NS)) < 0 ||
	    (rc = check_range("tick_ns", c->tick_ns, 64 * WEIR_USEC, WEIR_SEC)) < 0 ||
	    (rc = check_range("stack_bytes", c->stack_bytes, 16 * 1024, 1u << 30)) < 0 ||
	    (rc = check_range("lease_bytes", c->lease_bytes, 1024, 1u << 20)) < 0 ||
	    (rc = check_range("blocking_max", c->blocking_max, 1, 65536)) < 0)
		return rc;
	if (c->stall_ns != WEIR_FOREVER &&
	    (rc = check_range("stall_ns", c->stall_ns, WEIR_MSEC, WEIR_SEC * 3600)) < 0)
		return rc;
	if (c->clock && c->sched != WEIR_SCHED_CURRENT)
		return refuse(-EINVAL, "a test clock needs the current-thread scheduler");
	return 0;
}

/* ---- where the workers go ---- */

static int plan_workers(struct runtime *rt)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_topo *here = NULL;
	struct weir_why reason;
	int rc = 0;

	if (rt->cfg.place)
		place = *rt->cfg.place;
	if (rt->cfg.workers && place.workers && place.workers != rt->cfg.workers)
		return refuse(-EINVAL, "workers %u, but %u in place: leave one of them 0",
			      rt->cfg.workers, place.workers);
	DEFAULT(place.workers, rt->cfg.workers);
	if (!rt->cfg.topo)
		rc = weir_topo_new(NULL, &here, &reason);
	if (rc == 0)
		rc = weir_plan_new(here ? here : rt->cfg.topo, &place, &rt->base.plan, &reason);
	if (rc < 0) {
		refuse(rc, "%s", reason.text);
	} else {
		rt->cfg.workers = rt->base.plan->workers_len;
		rt->here = here || rt->cfg.topo->here;
		rc = runtime_place_memory(rt, here ? here : rt->cfg.topo);
	}
	weir_topo_free(here);
	return rc;
}

/* ---- construction ---- */

/* Async-signal-safe. */
static const char *running_task_name(void)
{
	return weir_task_name(weir_task_current());
}

static int detect_stalls(const struct weir_rt_config *c)
{
	int rc = c->stall_ns == WEIR_FOREVER ? 0 : stall_prepare(c->stall_signal);

	if (rc == -EBUSY)
		return refuse(rc, "stall_signal %d: another runtime of this process uses %d",
			      c->stall_signal, weir__signal_of_stalls);
	return rc < 0 ? refuse(rc, "stall_signal %d cannot be handled", c->stall_signal) : 0;
}

static int report_overflows(void)
{
	weir__stack_overflow_name = running_task_name;
	return weir__stack_report_overflow_install();
}

static void use_choice(struct runtime *rt, const struct weir__backend_choice *choice)
{
	rt->backend = choice->ops;
	rt->backend_options = choice->options;
	if (choice->automatic)
		memcpy(rt->backend_note, choice->why, sizeof rt->backend_note);
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
			return refuse(rc, "backend '%s' cannot run here: %s", rt->backend->name,
				      reason);
		return 0;
	}
	rc = weir__backend_choose(rt->cfg.backend, choice);
	if (rc < 0)
		return refuse(rc, "%s", choice->why);
	use_choice(rt, choice);
	return 0;
}

static void init_base(struct runtime *rt)
{
	struct weir_rt *base = &rt->base;

	base->sched = &schedule_ops;
	base->fork_generation = weir__fork_generation;
	base->clock = rt->cfg.clock;
	base->budget = (int)rt->cfg.budget;
	base->no_time = rt->cfg.no_time;
	base->no_signal = rt->cfg.no_signal;
	base->workers = rt->cfg.workers;
	weir__slab_init(&base->foreign, -1);
	if (base->clock)
		weir__clock_attach(base->clock, base);
}

static void init_shared(struct runtime *rt)
{
	snprintf(rt->name, sizeof rt->name, "%s", rt->cfg.name);
	rt->cfg.name = rt->name;
	rt->drain_deadline = WEIR_FOREVER;
	pool_init(&rt->pool, &rt->base, rt->cfg.blocking_max, rt->cfg.blocking_queue,
		  rt->cfg.blocking_keep_ns, rt->name);
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
	worker_serve(w, NULL, NULL);
	/* Pairs with the load in thread_is_over. */
	weir__store(&w->thread_over, 1u, WEIR_RELEASE);
	weir__futex_wake(&w->thread_over, 1);
	return NULL;
}

static void free_workers(struct runtime *rt)
{
	for (unsigned i = 0; rt->base.worker && i < rt->base.workers; i++) {
		if (rt->base.worker[i])
			worker_free(worker_at(rt, i));
		rt->base.worker[i] = NULL;
	}
}

static int try_workers(struct runtime *rt)
{
	struct worker *w;
	unsigned i;
	int rc;

	for (i = 0; i < rt->base.workers; i++) {
		rc = worker_new(rt, i, &w);
		if (rc < 0) {
			refuse(rc, "worker %u with backend '%s': %s", i,
			       rt->backend ? rt->backend->name : "none", weir_strerror(rc));
			free_workers(rt);
			return rc;
		}
		rt->base.worker[i] = &w->base;
	}
	return 0;
}

/* What a probe has found possible may not be so for as many workers: a limit, most often. */
static int make_workers(struct runtime *rt, struct weir__backend_choice *choice)
{
	int rc;

	rt->base.worker = calloc(rt->base.workers, sizeof *rt->base.worker);
	rt->threads = calloc(rt->base.workers, sizeof *rt->threads);
	rt->started = calloc(rt->base.workers, sizeof *rt->started);
	if (!rt->base.worker || !rt->threads || !rt->started || domains_init(rt) < 0)
		return refuse(-ENOMEM, "out of memory for %u workers", rt->base.workers);
	while ((rc = try_workers(rt)) < 0 && choice->automatic &&
	       weir__backend_fall_back(choice, why) == 0)
		use_choice(rt, choice);
	if (rc == 0)
		why[0] = '\0';
	return rc;
}

static int start_thread(struct runtime *rt, unsigned i)
{
	const struct weir_plan_worker *place = &rt->base.plan->workers[i];
	pthread_attr_t attr;
	int rc = -pthread_attr_init(&attr);

	if (rc < 0)
		return rc;
	if (place->bound && rt->here)
		rc = cpus_bind(&attr, &place->cpus);
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
			return refuse(rc, "thread of worker %u: %s", i, weir_strerror(rc));
	}
	return 0;
}

static void runtime_release(struct runtime *rt)
{
	free_workers(rt);
	domains_fini(rt);
	if (rt->base.clock)
		weir__clock_attach(rt->base.clock, NULL);
	weir__slab_fini(&rt->base.foreign);
	pool_fini(&rt->pool);
	pthread_cond_destroy(&rt->turn_free);
	pthread_mutex_destroy(&rt->turn_lock);
	free(rt->base.worker);
	free(rt->threads);
	free(rt->started);
	free(rt->node);
	weir_plan_free(rt->base.plan);
	free(rt);
}

int weir_rt_new(const struct weir_rt_config *cfg, struct weir_rt **ret_rt)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct weir__backend_choice choice;
	struct runtime *rt;
	int rc;

	why[0] = '\0';
	if (weir__worker_current())
		return refuse(-EPERM,
			      "a task does not make a runtime: do it on a thread of your own");
	if (!cfg || cfg->size != sizeof *cfg)
		return refuse(-EINVAL, "config.size is %zu: start from WEIR_RT_CONFIG_INIT (%zu)",
			      cfg ? cfg->size : 0, sizeof *cfg);
	pthread_once(&once, prepare_process);
	rt = aligned_alloc(64, (sizeof *rt + 63) / 64 * 64);
	if (!rt)
		return refuse(-ENOMEM, "out of memory");
	memset(rt, 0, sizeof *rt);
	rt->cfg = *cfg;
	rc = fill_defaults(&rt->cfg);
	if (rc == 0)
		rc = check_config(&rt->cfg);
	if (rc == 0)
		rc = plan_workers(rt);
	if (rc == 0)
		rc = choose_backend(rt, &choice);
	if (rc == 0 && !rt->cfg.no_overflow_report)
		rc = report_overflows();
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
	if (rc == 0 && rt->cfg.sched == WEIR_SCHED_MULTI)
		rc = start_threads(rt);
	if (rc < 0) {
		/* Threads that will not end, for a hook holds them, keep what they need. */
		if (!rt->base.worker || !rt->base.worker[rt->base.workers - 1] ||
		    runtime_shutdown(rt, WEIR_SEC) == 0)
			runtime_release(rt);
		return rc;
	}
	*ret_rt = &rt->base;
	return 0;
}

int weir_rt_shutdown(struct weir_rt *base, uint64_t timeout_ns)
{
	if (weir__worker_current())
		return -EPERM;
	if (!base)
		return -EINVAL;
	return weir__rt_is_inherited(base) ? -ENXIO
					   : runtime_shutdown(runtime_of(base), timeout_ns);
}

void weir_rt_free(struct weir_rt *base)
{
	struct runtime *rt = runtime_of(base);

	if (!base || weir__rt_is_inherited(base) || weir__worker_current())
		return;
	if (runtime_shutdown(rt, 100 * WEIR_MSEC) < 0)
		return;
	runtime_deliver_late(rt);
	runtime_release(rt);
}

/* ---- running ---- */

/* All that it needs is there before fn starts: a caller that left early would take arg with it. */
static int spawn_and_join(struct weir_rt *rt, int (*fn)(void *), void *arg)
{
	struct weir__parker *parker = weir__parker_new();
	struct weir_task *task;
	struct weir_join join;
	int rc;

	if (!parker)
		return -ENOMEM;
	rc = weir_rt_spawn(rt, fn, arg, &task);
	if (rc == 0) {
		weir_join_init(&join, task);
		rc = weir__parker_block_on(parker, &join.leaf.future, WEIR_FOREVER);
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
		return current_block_on(rt, fn, arg);
	return spawn_and_join(base, fn, arg);
}

int weir_rt_run(const struct weir_rt_config *cfg, int (*fn)(void *), void *arg)
{
	struct weir_rt *rt;
	int rc = weir_rt_new(cfg, &rt), stop;

	if (rc < 0)
		return rc;
	rc = weir_rt_block_on(rt, fn, arg);
	stop = weir_rt_shutdown(rt, WEIR_SEC);
	weir_rt_free(rt);
	return rc < 0 ? rc : stop < 0 ? stop : rc;
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

struct weir_rt *weir_rt_current(void)
{
	return weir__context()->rt;
}

unsigned weir_rt_workers(const struct weir_rt *rt)
{
	return rt->workers;
}

const struct weir_plan *weir_rt_plan(const struct weir_rt *rt)
{
	return rt ? rt->plan : NULL;
}

int weir_rt_worker_index(void)
{
	struct weir__worker *w = weir__worker_current();

	return w ? w->index : -1;
}

const char *weir_rt_backend(const struct weir_rt *rt)
{
	const struct runtime *r = (const struct runtime *)(const void *)rt;

	return r->backend ? r->backend->name : "none";
}

const char *weir_rt_backend_note(const struct weir_rt *rt)
{
	const struct runtime *r = WEIR_CONTAINER_OF(rt, const struct runtime, base);

	return rt ? r->backend_note : "";
}

uint64_t weir_rt_now(const struct weir_rt *rt)
{
	return weir__clock_now(rt->clock);
}

uint64_t weir_rt_alive(const struct weir_rt *rt)
{
	return runtime_alive(runtime_of((struct weir_rt *)(uintptr_t)rt));
}
