/* SPDX-License-Identifier: MIT */
/*
 * server.c: the server process: a runtime on the backend under test. The main thread
 * sleeps in a read until its parent sends an order, so the CPU time of the process is
 * that of the runtime.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench/child.h"
#include "tools/common/command.h"

struct server {
	int fd;
	struct server_setup setup;
	struct weir_rt *rt;
	struct bench_tasks tasks;
	int cycles_fd, instructions_fd;	/* -1: no PMU */
};

/* ---- counters ---- */

/* Open a counter of this process and of the threads that it will start. */
static int open_counter(uint64_t what)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = what,
		.inherit = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void open_pmu(struct server *s)
{
	s->cycles_fd = open_counter(PERF_COUNT_HW_CPU_CYCLES);
	s->instructions_fd = open_counter(PERF_COUNT_HW_INSTRUCTIONS);
}

static bool read_counter(int fd, uint64_t *ret_value)
{
	return fd >= 0 && read(fd, ret_value, sizeof(*ret_value)) == sizeof(*ret_value);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

static void add_worker(struct server_mark *mark, const struct weir_worker_metrics *worker)
{
	mark->syscalls += worker->syscalls;
	mark->waits += worker->waits;
	mark->events += worker->events;
}

static struct server_mark take_mark(const struct server *s)
{
	struct server_mark mark = { .now_ns = clock_ns(CLOCK_MONOTONIC) };
	struct weir_worker_metrics worker = WEIR_WORKER_METRICS_INIT;
	struct rusage usage;

	/* The clock of the process also includes the kernel threads that work for its rings. */
	mark.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		mark.switches = (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw);
	for (unsigned i = 0; i < weir_rt_workers(s->rt); i++)
		if (weir_metrics_worker(s->rt, i, &worker) == 0)
			add_worker(&mark, &worker);
	mark.pmu = read_counter(s->cycles_fd, &mark.cycles) &&
		   read_counter(s->instructions_fd, &mark.instructions);
	return mark;
}

/* ---- start ---- */

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int start(struct server *s, struct server_ready *ready)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	if (s->setup.pinned && sched_setaffinity(0, sizeof(s->setup.cpus), &s->setup.cpus) < 0) {
		snprintf(ready->why, sizeof(ready->why), "cannot be pinned: %s", strerror(errno));
		return -errno;
	}
	raise_descriptor_limit();
	open_pmu(s);
	cfg.workers = s->setup.workers;
	cfg.backend = s->setup.backend;
	s->setup.place.cpus = *s->setup.place_cpus ? s->setup.place_cpus : NULL;
	cfg.place = &s->setup.place;
	cfg.name = "server";
	rc = weir_rt_new(&cfg, &s->rt);
	if (rc < 0) {
		snprintf(ready->why, sizeof(ready->why), "%s",
			 *weir_rt_why() ? weir_rt_why() : weir_strerror(rc));
		return rc;
	}
	rc = weir_rt_block_on(s->rt, bench_tasks_open, &s->tasks);
	if (rc < 0)
		snprintf(ready->why, sizeof(ready->why), "cannot listen: %s", weir_strerror(rc));
	return rc;
}

static bool map_records(struct server *s, int memory_fd)
{
	size_t bytes = sizeof(*s->tasks.records) * s->setup.workers;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);

	close(memory_fd);
	s->tasks.records = memory;
	return memory != MAP_FAILED;
}

/* ---- orders ---- */

static int begin(struct server *s, const struct server_order *order)
{
	s->tasks.begin_ns = order->begin_ns;
	s->tasks.end_ns = order->end_ns;
	for (unsigned i = 0; i < s->setup.workers; i++)
		bench_record_window(&s->tasks.records[i], order->begin_ns, order->end_ns);
	return weir_rt_block_on(s->rt, bench_tasks_begin, &s->tasks);
}

static bool answer(struct server *s)
{
	struct server_mark mark = take_mark(s);

	return send(s->fd, &mark, sizeof(mark), MSG_NOSIGNAL) == sizeof(mark);
}

/* Follow orders until the parent orders the end or is gone. */
static int obey(struct server *s)
{
	struct server_order order;

	while (recv(s->fd, &order, sizeof(order), 0) == sizeof(order)) {
		if (order.command == SERVER_BEGIN && begin(s, &order) < 0)
			return EXIT_FAILED;
		if (order.command == SERVER_MARK && !answer(s))
			return EXIT_FAILED;
		if (order.command == SERVER_END)
			return EXIT_DONE;
	}
	return EXIT_FAILED;
}

int bench_server_main(int fd, int memory_fd)
{
	static struct server s;
	struct server_ready ready = { 0 };
	int code = EXIT_FAILED;

	s.fd = fd;
	s.tasks.setup = &s.setup;
	if (recv(fd, &s.setup, sizeof(s.setup), 0) != sizeof(s.setup) || s.setup.workers == 0 ||
	    s.setup.workers > BENCH_WORKERS_MAX || !map_records(&s, memory_fd))
		return EXIT_FAILED;
	ready.error = start(&s, &ready);
	ready.addr = s.tasks.addr;
	if (send(fd, &ready, sizeof(ready), MSG_NOSIGNAL) == sizeof(ready) && ready.error == 0)
		code = obey(&s);
	if (s.rt && weir_rt_shutdown(s.rt, 5 * WEIR_SEC) < 0)
		code = EXIT_FAILED;
	else
		bench_tasks_fini(&s.tasks);
	weir_rt_free(s.rt);
	return code;
}
