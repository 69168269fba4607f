/* SPDX-License-Identifier: MIT */
/*
 * load.c: the threads of the load and their schedule.
 *
 * The start times of an open loop's requests follow from the seed and do not depend on
 * the server. A client that waits for its next start time is in a heap. One that waits for
 * an answer is not: requests that it missed in the meantime start as soon as possible,
 * and are measured from their scheduled times.
 *
 * A thread with its own CPU never sleeps, so that no answer waits for it to wake up, and
 * the server spends no time on wake-ups. Time spent in polls without events does not count
 * as its CPU time.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench/load.h"

#define EVENTS 256
/* A poll for events takes less than this; if one takes longer, another process had the CPU. */
#define LOOK_NS (5 * WEIR_USEC)
/* How long to wait for answers after the end, if there were some before. */
#define GRACE_NS WEIR_SEC

/* ---- the schedule ---- */

/* The time from one request of a client to its next. */
static uint64_t gap_ns(const struct load_plan *plan, struct load_client *c)
{
	double mean = (double)plan->conns / plan->rate * (double)WEIR_SEC;
	double share = ((double)(stats_random(&c->seed) >> 11) + 0.5) / 9007199254740992.0;

	return (uint64_t)(plan->poisson ? -log(share) * mean : mean);
}

static void first_due(struct load_thread *t, unsigned i)
{
	const struct load *load = t->load;
	struct load_client *c = &t->clients[i];
	unsigned number = t->first_client + i;

	c->seed = load->plan.seed + 0x100000001b3ull * (number + 1);
	c->due_ns = load->start_ns;
	if (load->plan.open && load->plan.poisson)
		c->due_ns += gap_ns(&load->plan, c);
	else if (load->plan.open)
		c->due_ns += gap_ns(&load->plan, c) * number / load->plan.conns;
}

/* True if it was. */
static bool start_due(struct load_thread *t, uint64_t now)
{
	const struct load_plan *plan = &t->load->plan;
	bool any = false;

	while (t->heap_len > 0 && t->heap[0]->due_ns <= now) {
		struct load_client *c = bench_load_unfile(t);
		uint64_t intended = plan->open ? c->due_ns : now;

		any = true;
		if (c->fd < 0 && !plan->reconnect)	/* it failed while it waited */
			continue;
		if (plan->open && c->free_ns <= intended && intended >= t->load->begin_ns)
			weir_histogram_add(&t->rec->lag, now - intended);
		if (plan->open)
			c->due_ns += gap_ns(plan, c);
		bench_client_start(t, c, intended, now);
		bench_load_file(t, c, now);
	}
	return any;
}

/* ---- the loop ---- */

static int wait_events(struct load_thread *t, struct epoll_event *events, uint64_t now)
{
	uint64_t until = now < t->load->end_ns ? t->load->end_ns : now + GRACE_NS / 50;
	struct timespec ts = { 0, 0 };
	long ms;
	int n;

	if (t->heap_len > 0 && t->heap[0]->due_ns < until)
		until = t->heap[0]->due_ns;
	if (!t->load->plan.spin && until > now) {
		ts.tv_sec = (time_t)((until - now) / WEIR_SEC);
		ts.tv_nsec = (long)((until - now) % WEIR_SEC);
	}
	n = (int)syscall(SYS_epoll_pwait2, t->epoll_fd, events, EVENTS, &ts, NULL, (size_t)0);
	if (n >= 0 || errno != ENOSYS)
		return n;
	/* Before Linux 5.11: whole milliseconds, and the last of them without sleeping. */
	ms = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	return epoll_wait(t->epoll_fd, events, EVENTS, ms < 1000 ? (int)ms : 1000);
}

static void handle_events(struct load_thread *t, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr)
			bench_client_event(t, events[i].data.ptr, events[i].events);
		else
			bench_client_accept(t);
	}
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

/* A server that has not answered yet hangs, or had no CPU; it gets more time to show which. */
static uint64_t last_ns(const struct load_thread *t)
{
	bool any = t->rec->done + t->rec->done_late > 0;

	return t->load->end_ns + (any ? GRACE_NS : t->load->plan.patience_ns);
}

static bool is_over(const struct load_thread *t, uint64_t now)
{
	if (now < t->load->end_ns)
		return false;
	return (t->in_flight == 0 && t->heap_len == 0) || now >= last_ns(t);
}

/* The CPU time of a poll that found nothing. */
static uint64_t look_ns(uint64_t before)
{
	uint64_t took = bench_now() - before;

	return took < LOOK_NS ? took : LOOK_NS;
}

static void loop(struct load_thread *t)
{
	const struct load *load = t->load;
	struct epoll_event events[EVENTS];
	uint64_t now = bench_now(), before, cpu = 0;
	bool inside = false, started;
	int n;

	for (; !is_over(t, now); now = bench_now()) {
		if (!inside && now >= load->begin_ns && now < load->end_ns)
			cpu = thread_cpu_ns();
		else if (inside && now >= load->end_ns)
			t->rec->cpu_ns = thread_cpu_ns() - cpu;
		inside = now >= load->begin_ns && now < load->end_ns;
		started = start_due(t, now);
		before = started ? bench_now() : now;
		n = wait_events(t, events, before);
		if (n > 0)
			handle_events(t, events, n);
		else if (!started && inside && load->plan.spin)
			t->rec->idle_ns += look_ns(before);
	}
	if (inside)
		t->rec->cpu_ns = thread_cpu_ns() - cpu;
}

/* Record the requests that were due and have no answer. */
static void note_unanswered(struct load_thread *t)
{
	const struct load_plan *plan = &t->load->plan;
	uint64_t now = bench_now();

	t->rec->stuck = t->in_flight;
	for (unsigned i = 0; i < t->clients_len; i++) {
		struct load_client *c = &t->clients[i];

		for (uint32_t k = 0; k < c->in_flight; k++)
			bench_record_unanswered(
				t->rec, c->ring[(c->first + k) % plan->depth].intended_ns, now);
		for (; plan->open && c->due_ns < t->load->end_ns; c->due_ns += gap_ns(plan, c))
			bench_record_unanswered(t->rec, c->due_ns, now);
	}
}

/* ---- a thread ---- */

static int watch_listener(struct load_thread *t)
{
	struct epoll_event e = { .events = EPOLLIN };

	if (t->load->plan.upstream_fd < 0)
		return 0;
	return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->load->plan.upstream_fd, &e) == 0 ? 0
											 : -errno;
}

static int prepare(struct load_thread *t)
{
	const struct load_plan *plan = &t->load->plan;
	struct load_request *rings = calloc(t->clients_len * plan->depth, sizeof(*rings));
	int rc;

	t->clients = calloc(t->clients_len, sizeof(*t->clients));
	t->heap = calloc(t->clients_len, sizeof(*t->heap));
	t->rec = calloc(1, sizeof(*t->rec));
	t->scratch = malloc(LOAD_SCRATCH_BYTES);
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!rings || !t->clients || !t->heap || !t->rec || !t->scratch || t->epoll_fd < 0) {
		free(rings);
		return t->epoll_fd < 0 ? -errno : -ENOMEM;
	}
	for (unsigned i = 0; i < t->clients_len; i++)
		t->clients[i] = (struct load_client){ .fd = -1, .ring = rings + i * plan->depth };
	rc = watch_listener(t);
	for (unsigned i = 0; i < t->clients_len && rc == 0 && !plan->reconnect; i++)
		rc = bench_client_open(t, &t->clients[i]);
	return rc;
}

static void run(struct load_thread *t)
{
	bench_record_window(t->rec, t->load->begin_ns, t->load->end_ns);
	for (unsigned i = 0; i < t->clients_len; i++) {
		first_due(t, i);
		bench_load_file(t, &t->clients[i], t->load->start_ns);
	}
	loop(t);
	note_unanswered(t);
}

static void *thread_main(void *arg)
{
	struct load_thread *t = arg;
	struct load *load = t->load;

	if (load->plan.cpus)
		sched_setaffinity(0, sizeof(*load->plan.cpus), load->plan.cpus);
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	t->error = prepare(t);
	pthread_barrier_wait(&load->barrier);
	pthread_barrier_wait(&load->barrier);
	if (!load->called_off)
		run(t);
	return NULL;
}

static void thread_free(struct load_thread *t)
{
	for (unsigned i = 0; t->clients && i < t->clients_len; i++)
		bench_client_close(&t->clients[i]);
	bench_client_free_upstreams(t);
	if (t->clients && t->clients_len > 0)
		free(t->clients[0].ring);
	free(t->clients);
	free(t->heap);
	free(t->rec);
	free(t->scratch);
	if (t->epoll_fd >= 0)
		close(t->epoll_fd);
}

/* ---- all of them ---- */

static void join(struct load *load)
{
	for (unsigned i = 0; i < load->threads_len; i++)
		pthread_join(load->threads[i].thread, NULL);
}

static void load_free(struct load *load)
{
	for (unsigned i = 0; i < load->threads_len; i++)
		thread_free(&load->threads[i]);
	pthread_barrier_destroy(&load->barrier);
	free(load->threads);
	free(load);
}

static struct load *load_new(const struct load_plan *plan)
{
	struct load *load = calloc(1, sizeof(*load));
	uint64_t from = 0, to;

	if (!load)
		return NULL;
	load->plan = *plan;
	load->threads_len = plan->threads < plan->conns ? plan->threads : (unsigned)plan->conns;
	load->threads = calloc(load->threads_len, sizeof(*load->threads));
	if (!load->threads) {
		free(load);
		return NULL;
	}
	for (unsigned i = 0; i < load->threads_len; i++, from = to) {
		to = plan->conns * (i + 1) / load->threads_len;
		load->threads[i] = (struct load_thread){ .load = load,
							 .epoll_fd = -1,
							 .first_client = (unsigned)from,
							 .clients_len = (unsigned)(to - from) };
	}
	return load;
}

/* If a thread of the load cannot be started, the program ends. */
static void start_thread(struct load_thread *t)
{
	int error = pthread_create(&t->thread, NULL, thread_main, t);

	if (error == 0)
		return;
	bench_say("cannot start a thread for the load: %s", strerror(error));
	exit(1);
}

int bench_load_new(const struct load_plan *plan, struct load **ret_load)
{
	struct load *load = load_new(plan);
	int rc = 0;

	if (!load)
		return -ENOMEM;
	pthread_barrier_init(&load->barrier, NULL, load->threads_len + 1);
	for (unsigned i = 0; i < load->threads_len; i++)
		start_thread(&load->threads[i]);
	pthread_barrier_wait(&load->barrier);
	for (unsigned i = 0; i < load->threads_len && rc == 0; i++)
		rc = load->threads[i].error;
	if (rc < 0)
		bench_load_cancel(load);
	else
		*ret_load = load;
	return rc;
}

void bench_load_go(struct load *load, uint64_t start_ns, uint64_t begin_ns, uint64_t end_ns)
{
	load->start_ns = start_ns;
	load->begin_ns = begin_ns;
	load->end_ns = end_ns;
	pthread_barrier_wait(&load->barrier);
}

void bench_load_finish(struct load *load, struct bench_record *rec)
{
	join(load);
	for (unsigned i = 0; i < load->threads_len; i++)
		bench_record_merge(rec, load->threads[i].rec);
	load_free(load);
}

void bench_load_cancel(struct load *load)
{
	load->called_off = true;
	pthread_barrier_wait(&load->barrier);
	join(load);
	load_free(load);
}
