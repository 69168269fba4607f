/* SPDX-License-Identifier: MIT */
/*
 * rt.h: a runtime: its workers, their drivers, and the blocking pool.
 *
 *	weir_rt_new ──► weir_rt_block_on / weir_rt_spawn … ──► weir_rt_shutdown ──► weir_rt_free
 *	                        └────── weir_rt_run does all four ──────┘
 *
 * There are two schedulers, with the same tasks and drivers. WEIR_SCHED_MULTI starts its
 * worker threads in weir_rt_new; block_on runs its function as a task and parks the
 * calling thread. WEIR_SCHED_CURRENT starts no thread: the thread in block_on is the
 * worker, and nothing runs while no thread is in block_on.
 *
 * A program uses a runtime from any thread through its pointer. There is no global or
 * default runtime. It ends in two steps: shutdown stops everything and reports what
 * would not stop; free returns the memory.
 *
 * Do not: free a runtime that other threads still use; call block_on or shutdown from
 * inside one of its tasks; fork and use it in the child. There every call returns
 * -ENXIO or does nothing, and does not touch what the parent has open. A child that
 * a task forked must not return from that task.
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
 * Which workers steal tasks from each other: those of a domain. A task that becomes ready in a
 * domain runs there, and wakes only that domain's sleeping workers. A worker tries the nearest
 * workers first (topo.h, enum weir_tier).
 */
enum weir_steal_mode {
	WEIR_STEAL_ALL = 0,		/* one domain */
	WEIR_STEAL_NODE = 1,		/* a domain per memory node */
	WEIR_STEAL_GROUP = 2,		/* a domain per group (an L3 cache) */
	WEIR_STEAL_OFF = 3,		/* nobody steals: thread per core, shared nothing */
};

/*
 * How a runtime is made. Start from WEIR_RT_CONFIG_INIT. Zero means the default, which stands
 * behind the colon; later versions add fields at the end.
 */
struct weir_rt_config {
	size_t size;			/* sizeof(struct weir_rt_config) */
	const char *name;		/* of the threads, "NAME-w0": "weir" */
	enum weir_sched_kind sched;
	unsigned workers;		/* 0: as many as place plans; at most 256 */
	const char *backend;		/* "epoll", …; options follow a colon. NULL: the variable
					 * WEIR_BACKEND, else the best that runs */
	const struct weir_backend_ops *backend_ops; /* a backend from outside the library */
	const void *backend_config;	/* passed to backend_ops->init */
	bool no_io;			/* without this driver; its calls return -ENODEV */
	bool no_time;
	bool no_signal;
	const struct weir_place_config *place; /* where workers go (topo.h); NULL: its defaults */
	const struct weir_topo *topo;	/* on which machine; NULL: this one, as it is now. Threads
					 * and memory are bound only if topo.here is set */

	/* Policies. Each can be measured against its alternatives (bench/policies.py). */
	enum weir_steal_mode steal;
	unsigned event_interval;	/* polls between two looks at the drivers: 61, tuned down */
	unsigned inject_interval;	/* polls between two looks at the inject queue: tuned */
	uint64_t tune_ns;		/* the time that these two are tuned to take: 200 us.
					 * WEIR_FOREVER: no tuning, and inject_interval is 127 */
	unsigned searchers;		/* workers of a domain that search at a time: half */
	unsigned remote_after;		/* failed searches on the own node before other nodes: 4 */
	uint64_t spin_ns;		/* search for so long before sleeping, less if searches
					 * fail: 0; at most 5 ms. WEIR_FOREVER: poll and never
					 * sleep, which takes a whole CPU per worker; not done under
					 * a CPU quota (weir_rt_note says so) */
	unsigned lifo_max;		/* polls from the LIFO slot in a row: 3 */
	bool no_lifo;			/* no LIFO slot at all */
	unsigned budget;		/* units per poll: 128 */
	unsigned busy_events;		/* events that a busy worker takes in one poll: 64 */
	unsigned idle_events;		/* events that an idle worker takes in one poll: 1024 */
	uint64_t watch_ns;		/* an idle worker serves the drivers of a worker that has
					 * not done so for this time: 10 ms; WEIR_FOREVER: never */
	uint64_t tick_ns;		/* of the timer wheel: 1 ms; at least 64 us */
	size_t stack_bytes;		/* of a fiber, guard page included: 64 KiB */
	size_t lease_bytes;		/* of a leased buffer: 32 KiB. So a message of 16 KiB does
					 * not fill it, and no second receive is needed to know that
					 * it was all */

	/* The blocking pool. */
	unsigned blocking_max;		/* threads: 512 */
	unsigned blocking_queue;	/* jobs that may wait: 65,536 */
	uint64_t blocking_keep_ns;	/* how long an idle thread is kept: 10 s */

	struct weir_clock *clock;	/* a test clock; NULL: the system's */

	/*
	 * A fiber that overflows its stack ends the process. By default a SIGSEGV handler prints
	 * one line first, which names the task. It passes every other fault to the handler that was
	 * installed before. If this is set, no handler is installed.
	 */
	bool no_overflow_report;

	/*
	 * Hooks, called on the worker's thread. arg is hook_arg, worker the index. With the
	 * current-thread scheduler start is called by the first thread in block_on, and stop by the
	 * thread that shuts down.
	 */
	void (*on_worker_start)(void *arg, unsigned worker);
	void (*on_worker_stop)(void *arg, unsigned worker);
	void (*on_worker_park)(void *arg, unsigned worker);
	void (*on_worker_unpark)(void *arg, unsigned worker);
	void *hook_arg;

	/*
	 * Stalls: a task that holds its worker for this much of the thread's CPU time (metrics.h):
	 * 25 ms; at least 1 ms; WEIR_FOREVER: stalls are not detected. on_stall is called when the
	 * task has given its worker back, on the worker's thread, for at most 5 stalls a minute.
	 *
	 * Worker threads get a signal for this, twice within the bound: SIGURG, which is ignored by
	 * default, or stall_signal. All runtimes of a process must use the same one. Such signals
	 * from other sources are passed to the handler that was installed before.
	 */
	uint64_t stall_ns;
	int stall_signal;
	void (*on_stall)(void *arg, const struct weir_stall *stall);

	/*
	 * Called on a worker's thread when its backend cannot wait for events: its system call, or
	 * a request in it, fails every time. err is the negative errno. It is called once more,
	 * with err 0, when the backend works again. Until then the worker runs its tasks,
	 * timers and signals, and tries its backend every 16 ms. Tasks that wait for I/O there go
	 * on waiting, up to their deadlines.
	 */
	void (*on_io_error)(void *arg, unsigned worker, int err);

	/* One of so many polls, and of so many wake-ups, is timed (metrics.h): 256; 1: all. */
	unsigned sample;

	/*
	 * The inaccessible memory below each fiber's stack: one page, which is part of stack_bytes.
	 * More than that is added to the stack. It takes address space and page tables (8 bytes a
	 * page); at most 1 GiB. A function that has an array larger than this, and was compiled
	 * without -fstack-clash-protection, can step over it into another fiber's stack.
	 */
	size_t guard_bytes;

	/*
	 * The companion of a backend that polls (WEIR_CAP_POLLED), such as a network stack in user
	 * space: a kernel backend, of which each worker has an instance, too. The worker sleeps in
	 * it, and it serves what the first backend lacks: files, foreign descriptors, Unix
	 * sockets. It is named as backend is; NULL: the best one. Other backends take none.
	 */
	const char *companion;
};

/* For sample: nothing is timed, and no memory is used for histograms. */
#define WEIR_SAMPLE_NONE (~0u)

#define WEIR_RT_CONFIG_INIT WEIR_SIZED_INIT(weir_rt_config)

WEIR_BEGIN_DECLS

/**
 * Make a runtime and start its workers.
 *
 * Thread:   [any] but a worker
 * Owns:     the caller frees it with weir_rt_free
 * Returns:  0; -EPERM on a worker; -EINVAL for no cfg, or a value out of range; -E2BIG for a field,
 *           of cfg or of its place, that is newer than the library (base.h, Sizes); -ENOENT
 *           for a backend name that does not exist; the backend's errno if a named one cannot
 *           run here; -EAGAIN or -ENOMEM if threads or memory run out. weir_rt_why() gives the
 *           reason as a sentence.
 * Since:    0.1
 */
WEIR_API WEIR_MUST_CHECK int weir_rt_new(const struct weir_rt_config *cfg, struct weir_rt **ret_rt);

/**
 * Why the last weir_rt_new on this thread failed, as one line that names the value. Or, after a
 * weir_rt_shutdown or weir_rt_run whose time ran out, what did not end: how many tasks and
 * blocking jobs, and for the first few tasks their names, where they were spawned and what they
 * wait for (the names of their pending futures). If a worker is stuck in a task, the function
 * that spawned the task stands for its name, and what it waits for is not known.
 *
 * Thread:   [any]
 * Returns:  the line, valid until the thread's next call of these three; "" if there is none
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
 * weir_rt_new, weir_rt_block_on, weir_rt_shutdown (1 s) and weir_rt_free in one call. A task that
 * does not end in time does not change the result; weir_rt_why names it.
 *
 * Thread:   [any] but a worker
 * Waits:    until fn returns, and up to 1 s for the other tasks
 * Returns:  fn's result; the error of a runtime that could not be made, or could not run fn
 * Since:    0.1
 */
WEIR_API int weir_rt_run(const struct weir_rt_config *cfg, int (*fn)(void *), void *arg);

/**
 * Stop a runtime: refuse new tasks, abort every task and wait for its operations, stop the
 * workers, empty the blocking pool. sched/shutdown.c has the steps by number.
 *
 * Thread:   [any] but a worker
 * Waits:    up to timeout_ns (WEIR_FOREVER is allowed)
 * Returns:  0; -ETIMEDOUT if a task or a blocking job did not end (everything else has), and
 *           weir_rt_why names them; -EPERM on a worker; -EDEADLK if it would wait for its
 *           caller: in a job of its pool, in a function that blocks in place, and in hooks and
 *           drop functions that shutdown calls; -EINVAL without rt; -ENXIO in a forked child
 * Since:    0.1
 */
WEIR_API int weir_rt_shutdown(struct weir_rt *rt, uint64_t timeout_ns);

/**
 * Free a runtime. One that was not shut down is shut down first, with a timeout of 100 ms. What
 * still runs after a shutdown that timed out keeps the memory that it needs: that memory is leaked,
 * everything else is freed. Where weir_rt_shutdown returns -EPERM or -EDEADLK this does nothing.
 * NULL is allowed.
 *
 * A thread that has woken a task of the runtime, directly or through a primitive, may not have
 * finished that call yet; the shutdown waits for it. Wakers with a reference (weir_waker_ref)
 * keep the memory of their tasks, and nothing else.
 *
 * Thread:   [any] but a worker
 * Since:    0.1
 */
WEIR_API void weir_rt_free(struct weir_rt *rt);

/**
 * Make rt the current runtime of this thread, for weir_spawn and the like, until weir_rt_leave.
 * Calls nest; leave in the reverse order.
 *
 * Thread:   [any]
 * Returns:  the runtime that was entered before, or NULL: pass it to weir_rt_leave
 * Since:    0.1
 */
WEIR_API struct weir_rt *weir_rt_enter(struct weir_rt *rt);
WEIR_API void weir_rt_leave(struct weir_rt *previous);

/** The runtime of this thread: its worker's, or the one entered; NULL. Thread: [any]. Since: 0.1 */
WEIR_API struct weir_rt *weir_rt_current(void);

/** How many workers a runtime has. Thread: [any]. Since: 0.1 */
WEIR_API unsigned weir_rt_workers(const struct weir_rt *rt);

/** The plan of a runtime's workers; valid as long as the runtime. Thread: [any]. Since: 0.1 */
WEIR_API const struct weir_plan *weir_rt_plan(const struct weir_rt *rt);

/** The index of the calling worker; -1 on any other thread. Thread: [any]. Since: 0.1 */
WEIR_API int weir_rt_worker_index(void);

/** The name of the backend that was chosen ("none" without I/O). Thread: [any]. Since: 0.1 */
WEIR_API const char *weir_rt_backend(const struct weir_rt *rt);
/** The name of its companion (config.companion); NULL if it has none. Thread: [any]. Since: 0.1 */
WEIR_API const char *weir_rt_companion(const struct weir_rt *rt);

/**
 * What differs from the configuration, or from the best, and why: one line each, for a program's
 * log. For example: "auto" skipped a backend; a CPU quota limits the number of workers, or
 * prevents binding them or polling; a sandbox prevents binding; memory is not placed on the
 * workers' nodes.
 *
 * Thread:   [any]
 * Returns:  the line with index i, valid as long as the runtime; NULL after the last
 * Since:    0.1
 */
WEIR_API const char *weir_rt_note(const struct weir_rt *rt, unsigned i);

/** The runtime's time now, in ns; a test clock's when there is one. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_rt_now(const struct weir_rt *rt);

/** How many tasks have not ended, at this moment. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_rt_alive(const struct weir_rt *rt);

/* A backend by name, and whether it can run here. Start from WEIR_BACKEND_INFO_INIT. */
struct weir_backend_info {
	size_t size;			/* sizeof(struct weir_backend_info) */
	const char *name;
	uint32_t caps;			/* enum weir_cap, see backend.h */
	int err;			/* 0; -ENOENT: not in this build; else why it cannot run */
	char reason[160];		/* the same as a sentence; "" if it can run */
};

#define WEIR_BACKEND_INFO_INIT WEIR_SIZED_INIT(weir_backend_info)

/**
 * Describe the backend with index i: first those of this build, in the order in which "auto" tries
 * them, then those that this build lacks. The backend is tried: a ring or a poller is made and
 * closed again.
 *
 * Thread:   [any]
 * Returns:  0; -ENOENT after the last; -EINVAL for a ret_info not made from
 *           WEIR_BACKEND_INFO_INIT (base.h, Sizes)
 * Since:    0.1
 */
WEIR_API int weir_backend_info_get(unsigned i, struct weir_backend_info *ret_info);

/**
 * How many CPUs this process may use, at least 1: the affinity mask, the cgroup's cpuset and its
 * CPU quota (versions 1 and 2) taken together.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API unsigned weir_cpus_allowed(void);

/* Where the result of weir_cpus_allowed comes from. Start from WEIR_CPU_ALLOWANCE_INIT. */
struct weir_cpu_allowance {
	size_t size;			/* sizeof(struct weir_cpu_allowance) */
	unsigned mask_cpus;		/* in the affinity mask, from which the cpuset has cut */
	unsigned quota_milli;		/* thousandths of a CPU; 0: no quota */
	char quota_file[512];		/* the cpu.max or cpu.cfs_quota_us that sets it; "" */
	uint64_t periods, throttled;	/* of the quota; those in which it was used up early */
	uint64_t throttled_ns;		/* how long it has kept threads from running */
};

#define WEIR_CPU_ALLOWANCE_INIT WEIR_SIZED_INIT(weir_cpu_allowance)

/**
 * Read what limits the number of allowed CPUs, and what the quota has cost so far.
 *
 * Thread:   [any]
 * Returns:  0; -EINVAL for a ret_allowance not made from WEIR_CPU_ALLOWANCE_INIT (base.h, Sizes)
 * Since:    0.1
 */
WEIR_API int weir_cpus_allowance(struct weir_cpu_allowance *ret_allowance);

WEIR_END_DECLS

#endif
