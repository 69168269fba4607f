/* SPDX-License-Identifier: MIT */
/*
 * rt.h: a runtime: workers, their drivers, and the blocking pool.
 *
 *	weir_rt_new ──► weir_rt_block_on / weir_rt_spawn … ──► weir_rt_shutdown ──► weir_rt_free
 *	                        └────── weir_rt_run does all four ──────┘
 *
 * Two schedulers share the tasks and the drivers. WEIR_SCHED_MULTI starts its
 * worker threads in weir_rt_new; block_on runs its function as a task and parks
 * the caller. WEIR_SCHED_CURRENT starts none: the thread in block_on is the
 * worker, and nothing runs while nobody is in block_on.
 *
 * A runtime is used from any thread through its pointer; there is no global or
 * default runtime. It ends in two steps: shutdown stops everything and reports
 * what would not stop, free gives the memory back.
 *
 * Do not: free a runtime that other threads still use; call block_on or
 * shutdown from inside one of its tasks; fork and go on using it in the child:
 * every call there answers -ENXIO, or does nothing, and leaves what the parent has
 * open alone. A child that a task forked must not return from that task.
 */
#ifndef WEIR_RT_H
#define WEIR_RT_H

#include "weir/base.h"

struct weir_rt;
struct weir_clock;
struct weir_backend_ops;
struct weir_place_config;
struct weir_plan;
struct weir_stall;
struct weir_topo;

enum weir_sched_kind {
	WEIR_SCHED_MULTI = 0,		/* worker threads that steal from each other */
	WEIR_SCHED_CURRENT = 1,		/* the thread in block_on */
};

/*
 * Who takes work from whom. Workers that do are a domain: what is ready in one is run there, and
 * wakes its sleepers only. Nearer victims come first (topo.h, enum weir_tier).
 */
enum weir_steal_mode {
	WEIR_STEAL_ALL = 0,		/* one domain */
	WEIR_STEAL_NODE = 1,		/* a domain for each memory node */
	WEIR_STEAL_GROUP = 2,		/* for each group (an L3 cache) */
	WEIR_STEAL_OFF = 3,		/* nobody: thread per core, shared nothing */
};

/*
 * How a runtime is made. Start from WEIR_RT_CONFIG_INIT; zero means the default,
 * and new fields are added at the end.
 */
struct weir_rt_config {
	size_t size;			/* sizeof(struct weir_rt_config) */
	const char *name;		/* of the threads: "NAME-w0"; default "weir" */
	enum weir_sched_kind sched;
	unsigned workers;		/* 0: what place says; at most 256 */
	const char *backend;		/* "epoll", …, its options behind a colon; NULL: WEIR_BACKEND,
					 * then the best */
	const struct weir_backend_ops *backend_ops; /* a backend from outside the library */
	const void *backend_config;	/* handed to backend_ops->init */
	bool no_io;			/* leave a driver out; its calls answer -ENODEV */
	bool no_time;
	bool no_signal;
	const struct weir_place_config
		*place; /* where the workers go (topo.h); NULL: its defaults */
	const struct weir_topo *topo;	/* on which machine; NULL: this one, as it is now. Threads are
					 * bound and memory is placed only where topo.here is set */

	/* Policies, each to be measured against another. */
	enum weir_steal_mode steal;
	unsigned event_interval;	/* polls between looks at the driver: 61, tuned down */
	unsigned inject_interval;	/* polls between looks at the inject queue: self-tuned */
	uint64_t tune_ns;		/* what the two are tuned to take: 200 us; WEIR_FOREVER:
					 * they are not, and the second is 127 */
	unsigned searchers;		/* workers of a domain that look for work at a time: half */
	unsigned remote_after;		/* vain looks around the own node before one at others: 4 */
	uint64_t spin_ns;		/* look around for so long before sleeping, less where that
					 * was in vain: 0, at most 5 ms. WEIR_FOREVER: never sleep, poll
					 * (a CPU for each worker, all the time); not under a CPU quota,
					 * weir_rt_note */
	unsigned lifo_max;		/* LIFO polls in a row: 3 */
	bool no_lifo;			/* no LIFO slot at all */
	unsigned budget;		/* units per poll: 128 */
	unsigned busy_events;		/* events taken by a driver poll of a busy worker: 64 */
	unsigned idle_events;		/* … of an idle one: 1024 */
	uint64_t watch_ns;		/* an idle worker looks after a worker that has not turned
					 * for so long: 10 ms; WEIR_FOREVER: never */
	uint64_t tick_ns;		/* of the timer wheel: 1 ms; at least 64 us */
	size_t stack_bytes;		/* of a fiber, guard page included: 64 KiB */
	size_t lease_bytes;		/* of a leased buffer: 32 KiB, so that a message of 16 KiB
					 * does not fill it, and nobody looks for more */

	/* The blocking pool. */
	unsigned blocking_max;		/* threads: 512 */
	unsigned blocking_queue;	/* jobs that may wait: 65,536 */
	uint64_t blocking_keep_ns;	/* an idle thread stays: 10 s */

	struct weir_clock *clock;	/* a test clock; NULL: the system's */

	/*
	 * A fiber that runs over its stack ends the process. Unless this is set, a SIGSEGV handler
	 * first prints one line that names the task, and hands every other fault to the handler
	 * that was there before.
	 */
	bool no_overflow_report;

	/*
	 * Hooks; arg is hook_arg, worker the index. Called on the worker's thread; with the
	 * current-thread scheduler start by who first is in block_on, stop by who shuts down.
	 */
	void (*on_worker_start)(void *arg, unsigned worker);
	void (*on_worker_stop)(void *arg, unsigned worker);
	void (*on_worker_park)(void *arg, unsigned worker);
	void (*on_worker_unpark)(void *arg, unsigned worker);
	void *hook_arg;

	/*
	 * A task that holds its worker for so much of the thread's CPU time is a stall (metrics.h):
	 * 25 ms; at least 1 ms; WEIR_FOREVER: nobody looks. on_stall is called when the task has
	 * given its worker back, on the worker's thread, for at most 5 stalls a minute.
	 *
	 * Worker threads get a signal for it, twice within the bound: SIGURG, which does nothing to
	 * those who do not expect it, or stall_signal; the same for all runtimes of a process. What
	 * comes of it otherwise goes to the handler that was there before.
	 */
	uint64_t stall_ns;
	int stall_signal;
	void (*on_stall)(void *arg, const struct weir_stall *stall);

	/*
	 * A worker's backend cannot wait for events: its system call fails again and again, or a
	 * request does whenever it is made. err: why; 0: it can again. Called once for each, on the
	 * worker's thread. Until then the worker goes on with tasks, timers and signals, and asks its
	 * backend every 16 ms; what waits for I/O there waits on, up to its deadline.
	 */
	void (*on_io_error)(void *arg, unsigned worker, int err);

	/* Poll times and schedule latencies (metrics.h) are taken of one in so many: 256; 1: of all. */
	unsigned sample;

	/*
	 * Below each fiber's stack, no access: one page, which is part of stack_bytes; what is more
	 * comes on top, and takes address space and page tables (8 B a page), at most 1 GiB. A function
	 * with an array larger than this that was compiled without -fstack-clash-protection can step
	 * over it, into another fiber's stack.
	 */
	size_t guard_bytes;
};

/* For sample: none, and no memory for histograms. */
#define WEIR_SAMPLE_NONE (~0u)

#define WEIR_RT_CONFIG_INIT WEIR_SIZED_INIT(weir_rt_config)

WEIR_BEGIN_DECLS

/**
 * Make a runtime and start its workers.
 *
 * Thread:   [any] but a worker
 * Owns:     the caller frees it with weir_rt_free
 * Returns:  0; -EPERM on a worker; -EINVAL for a value out of range; -E2BIG for a field, of cfg or
 *           of its place, that is newer than the library (base.h, Sizes); -ENOENT for a backend
 *           name that does not exist; the backend's errno when a named one cannot run here;
 *           -EAGAIN or -ENOMEM when threads or memory run out. weir_rt_why() has the sentence.
 * Since:    0.1
 */
WEIR_API WEIR_MUST_CHECK int weir_rt_new(const struct weir_rt_config *cfg, struct weir_rt **ret_rt);

/**
 * Why the last weir_rt_new on this thread failed, as one line that names the value; or what the
 * last weir_rt_shutdown or weir_rt_run left behind when its time ran out: how many tasks and
 * blocking jobs, and for the first few tasks the name, where they were spawned and what they wait
 * for (the names of their pending futures). While a worker is stuck in a task, the function that
 * spawned a task stands for its name, and what it waits for is not known.
 *
 * Thread:   [any]
 * Returns:  "" where there is nothing to say; valid until the thread's next call of these three
 * Since:    0.1
 */
WEIR_API const char *weir_rt_why(void);

/**
 * Run fn(arg) as a fiber on the runtime and wait for its result.
 *
 * Thread:   [any] but a worker; on the current-thread scheduler the caller is the worker
 * Waits:    until fn returns
 * Returns:  fn's result; -EPERM on a worker; -EINVAL without rt or fn; -ESHUTDOWN; -ECANCELED
 *           if shutdown aborted it; -ENOMEM; -ENXIO in a forked child
 * Since:    0.1
 */
WEIR_API int weir_rt_block_on(struct weir_rt *rt, int (*fn)(void *), void *arg);

/**
 * New, block_on, shutdown (1 s) and free in one call. A task that would not end in time does not
 * change the result: weir_rt_why names it.
 *
 * Thread:   [any] but a worker
 * Returns:  fn's result; the error of a runtime that could not be made, or not run fn
 * Since:    0.1
 */
WEIR_API int weir_rt_run(const struct weir_rt_config *cfg, int (*fn)(void *), void *arg);

/**
 * Stop: no new tasks, abort every task and wait for its operations, stop the
 * workers, empty the blocking pool. The numbered steps are in sched/shutdown.c.
 *
 * Thread:   [any] but a worker
 * Waits:    up to timeout_ns (WEIR_FOREVER allowed)
 * Returns:  0; -ETIMEDOUT if a task or a blocking job would not stop (the rest has), and
 *           weir_rt_why names them;
 *           -EPERM on a worker; -EDEADLK where it would wait for its caller: in a job of its
 *           pool, in a function that blocks in place, in what shutdown itself calls (a hook, a
 *           drop); -EINVAL without rt; -ENXIO in a forked child
 * Since:    0.1
 */
WEIR_API int weir_rt_shutdown(struct weir_rt *rt, uint64_t timeout_ns);

/**
 * Free a runtime; shuts it down without waiting long (100 ms) if that has not happened.
 * What still runs after a shutdown that timed out keeps the memory it needs; that is
 * leaked, and nothing else is. NULL is allowed. Where weir_rt_shutdown answers -EPERM or -EDEADLK
 * it does nothing.
 *
 * A thread that has woken one of its tasks, directly or by a primitive, may still be
 * about it: shutdown waits for that. Wakers that were cloned and are still held keep the
 * memory of tasks, and nothing else, until they are dropped.
 *
 * Thread:   [any] but a worker
 * Since:    0.1
 */
WEIR_API void weir_rt_free(struct weir_rt *rt);

/**
 * Make rt the one that weir_spawn & co. use on this thread, until weir_rt_leave.
 * Calls nest; leave in the reverse order.
 *
 * Thread:   [any]
 * Returns:  the runtime that was entered before (or NULL), to hand to weir_rt_leave
 * Since:    0.1
 */
WEIR_API struct weir_rt *weir_rt_enter(struct weir_rt *rt);
WEIR_API void weir_rt_leave(struct weir_rt *previous);

/** The runtime of this thread: its worker's, or the one entered; NULL. Thread: [any]. Since: 0.1 */
WEIR_API struct weir_rt *weir_rt_current(void);

/** How many workers it has. Thread: [any]. Since: 0.1 */
WEIR_API unsigned weir_rt_workers(const struct weir_rt *rt);

/** Where its workers go; as long as the runtime. Thread: [any]. Since: 0.1 */
WEIR_API const struct weir_plan *weir_rt_plan(const struct weir_rt *rt);

/** The index of the calling worker; -1 on any other thread. Thread: [any]. Since: 0.1 */
WEIR_API int weir_rt_worker_index(void);

/** The name of the backend that was chosen ("none" without I/O). Thread: [any]. Since: 0.1 */
WEIR_API const char *weir_rt_backend(const struct weir_rt *rt);

/**
 * What has come otherwise than it might have, and why, a line each: that "auto" has passed over a
 * backend, that a CPU quota sets the number of workers, or keeps them from being bound to a CPU each
 * or from polling, that a sandbox keeps them from being bound at all, that memory is not placed on
 * the workers' nodes. For a program's log.
 *
 * Thread:   [any]
 * Returns:  the i-th line, valid as long as the runtime; NULL behind the last
 * Since:    0.1
 */
WEIR_API const char *weir_rt_note(const struct weir_rt *rt, unsigned i);

/** The runtime's time now, in ns; a test clock's when there is one. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_rt_now(const struct weir_rt *rt);

/** Tasks that exist and have not finished; a moment's figure. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_rt_alive(const struct weir_rt *rt);

/* A backend by name, and whether it can run here. Start from WEIR_BACKEND_INFO_INIT. */
struct weir_backend_info {
	size_t size;			/* sizeof(struct weir_backend_info) */
	const char *name;
	uint32_t caps;			/* enum weir_cap, see backend.h */
	int err;			/* 0; -ENOENT: not in this build; else why it cannot run here */
	char reason[160];		/* the same as a sentence; "" when it can */
};

#define WEIR_BACKEND_INFO_INIT WEIR_SIZED_INIT(weir_backend_info)

/**
 * The i-th backend in the order in which "auto" prefers them, then those that this build lacks.
 * It is really tried: a ring or a poller is made, and closed again.
 *
 * Thread:   [any]
 * Returns:  0; -ENOENT behind the last; -EINVAL for a ret_info not made from
 *           WEIR_BACKEND_INFO_INIT (base.h, Sizes)
 * Since:    0.1
 */
WEIR_API int weir_backend_info_get(unsigned i, struct weir_backend_info *ret_info);

/**
 * CPUs that this process may use: affinity mask, cgroup cpuset and CPU quota (v1 and
 * v2) taken together; at least 1.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API unsigned weir_cpus_allowed(void);

/* What weir_cpus_allowed takes together. Start from WEIR_CPU_ALLOWANCE_INIT. */
struct weir_cpu_allowance {
	size_t size;			/* sizeof(struct weir_cpu_allowance) */
	unsigned mask_cpus;		/* of the affinity mask, which the cpuset has cut */
	unsigned quota_milli;		/* thousandths of a CPU; 0: no quota */
	char quota_file[512];		/* cpu.max or cpu.cfs_quota_us that says so; "" */
	uint64_t periods, throttled;	/* of the quota: gone by; of those, used up early */
	uint64_t throttled_ns;		/* how long its tasks were kept from running */
};

#define WEIR_CPU_ALLOWANCE_INIT WEIR_SIZED_INIT(weir_cpu_allowance)

/**
 * How the number of allowed CPUs comes about, and what the quota has cost so far.
 *
 * Thread:   [any]
 * Returns:  0; -EINVAL for a ret_allowance not made from WEIR_CPU_ALLOWANCE_INIT (base.h, Sizes)
 * Since:    0.1
 */
WEIR_API int weir_cpus_allowance(struct weir_cpu_allowance *ret_allowance);

WEIR_END_DECLS

#endif
