/* SPDX-License-Identifier: MIT */
/*
 * backends_kqueue.c: the poller of the kqueue backend, without the readiness adaptor. The adaptor
 * is tested in backends_epoll_*.c, and operations in the conformance suite.
 *
 * On Linux kqueue is libkqueue; see tests/support/libkqueue.c.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "backends/kqueue/kqueue.h"
#include "backends/readiness/readiness.h"
#include "backends/registry.h"
#include "tests/support/testing.h"

#define EVENTS 16

static unsigned found_full;		/* atomic: how many writes a full pipe refused */

ssize_t write(int fd, const void *buf, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	ssize_t n = writev(fd, &iov, 1);

	if (n < 0 && errno == EAGAIN)
		weir__fetch_add(&found_full, 1u, WEIR_RELAXED);
	return n;
}

/* ---- instances ---------------------------------------------------------------------------- */

static const struct weir_backend_config instance_config = {
	.workers = 1, .node = -1, .busy_events = 64, .idle_events = 1024, .lease_bytes = 16384
};

static struct weir__readiness *open_instance(bool by_pipe)
{
	const struct weir_backend_ops *ops = weir__backend_find("kqueue");
	size_t bytes = (ops->instance_bytes + 63) / 64 * 64;
	struct weir_backend *be = aligned_alloc(64, bytes);

	memset(be, 0, bytes);
	be->ops = ops;
	weir__kqueue_wakes_by_pipe = by_pipe;
	ck_assert_int_eq(ops->init(be, &instance_config), 0);
	return WEIR_CONTAINER_OF(be, struct weir__readiness, base);
}

static void close_instance(struct weir__readiness *r)
{
	r->base.ops->fini(&r->base);
	free(r);
}

/* Returns all events for a key, combined; the key of wakes is 1. */
static uint32_t told(const struct weir__event *events, int n, uint64_t key)
{
	uint32_t ready = 0;

	for (int i = 0; i < n; i++)
		if (events[i].key == key)
			ready |= key == WEIR__WAKE_KEY ? 1 : events[i].ready;
	return ready;
}

/* Waits until the wanted events have been reported for a key, and returns all events for it. */
static uint32_t await(struct weir__readiness *r, uint64_t key, uint32_t wanted)
{
	struct weir__event events[EVENTS];
	uint32_t ready = 0;

	while ((ready & wanted) != wanted) {
		int n = r->poller->wait(r, events, EVENTS, -1);

		ck_assert(n > 0 || n == -EINTR);
		ready |= told(events, n, key);
	}
	return ready;
}

static int look(struct weir__readiness *r, struct weir__event *events)
{
	int n = r->poller->wait(r, events, EVENTS, 0);

	ck_assert_int_ge(n, 0);
	return n;
}

static void forget_events(struct weir__readiness *r)
{
	struct weir__event events[EVENTS];

	while (look(r, events) > 0)
		continue;
}

static void pair(int fds[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void close_two(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* Removes the descriptors from the poller before closing them, as the adaptor does. */
static void drop(struct weir__readiness *r, const int fds[2])
{
	r->poller->del(r, fds[0]);
	close_two(fds);
}

/* ---- descriptors -------------------------------------------------------------------------- */

START_TEST(what_is_ready_is_told_at_once)
{
	struct weir__readiness *r = open_instance(true);
	int fds[2];

	pair(fds);
	ck_assert_int_eq((int)write(fds[1], "x", 1), 1);
	ck_assert_int_eq(r->poller->add(r, fds[0], 7, false), 0);
	ck_assert_uint_eq(await(r, 7, WEIR__READY_READ | WEIR__READY_WRITE),
			  WEIR__READY_READ | WEIR__READY_WRITE);
	drop(r, fds);
	close_instance(r);
}
END_TEST

START_TEST(it_is_told_once_and_when_there_is_more)
{
	struct weir__readiness *r = open_instance(true);
	struct weir__event events[EVENTS];
	int fds[2];

	pair(fds);
	ck_assert_int_eq(r->poller->add(r, fds[0], 7, false), 0);
	ck_assert_int_eq((int)write(fds[1], "x", 1), 1);
	await(r, 7, WEIR__READY_READ);
	forget_events(r);
	ck_assert_int_eq(look(r, events), 0);
	ck_assert_int_eq((int)write(fds[1], "y", 1), 1);
	await(r, 7, WEIR__READY_READ);
	drop(r, fds);
	close_instance(r);
}
END_TEST

START_TEST(an_end_is_told)
{
	struct weir__readiness *r = open_instance(true);
	int fds[2];

	pair(fds);
	ck_assert_int_eq(r->poller->add(r, fds[0], 7, false), 0);
	forget_events(r);
	close(fds[1]);
	await(r, 7, WEIR__READY_READ | WEIR__READY_READ_END);
	r->poller->del(r, fds[0]);
	close(fds[0]);
	close_instance(r);
}
END_TEST

START_TEST(a_pipe_has_one_direction)
{
	struct weir__readiness *r = open_instance(true);
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(r->poller->add(r, fds[0], 1, false), 0);
	ck_assert_int_eq(r->poller->add(r, fds[1], 2, false), 0);
	await(r, 2, WEIR__READY_WRITE);
	ck_assert_int_eq((int)write(fds[1], "x", 1), 1);
	await(r, 1, WEIR__READY_READ);
	r->poller->del(r, fds[1]);
	drop(r, fds);
	close_instance(r);
}
END_TEST

START_TEST(what_cannot_be_waited_for_is_refused)
{
	struct weir__readiness *r = open_instance(true);
	char name[] = "/tmp/weir-kqueue-XXXXXX";
	int fd = mkstemp(name), fds[2];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(r->poller->add(r, fd, 1, false), -EPERM);
	close(fd);
	unlink(name);
	ck_assert_int_eq(r->poller->add(r, fd, 1, false), -EBADF);
	pair(fds);
#ifndef EVFILT_EXCEPT
	ck_assert_int_eq(r->poller->add(r, fds[0], 1, true), -EOPNOTSUPP);
#endif
	ck_assert_int_eq(r->poller->add(r, fds[0], 1, false), 0);
	ck_assert_int_eq(r->poller->change(r, fds[0], 1, false), 0);
	drop(r, fds);
	close_instance(r);
}
END_TEST

/* After a descriptor is removed and closed, a new one may get its number at once. */
START_TEST(a_descriptor_number_is_reused)
{
	struct weir__readiness *r = open_instance(true);
	struct weir__event events[EVENTS];
	int old[2], new[2];

	for (uint64_t key = 1; key < 50; key += 2) {
		pair(old);
		ck_assert_int_eq(r->poller->add(r, old[0], key, false), 0);
		forget_events(r);
		r->poller->del(r, old[0]);
		ck_assert_int_eq((int)write(old[1], "x", 1), 1);
		ck_assert_int_eq(look(r, events), 0);
		pair(new);
		ck_assert_int_eq(dup2(new[0], old[0]), old[0]);
		ck_assert_int_eq(r->poller->add(r, old[0], key + 1, false), 0);
		ck_assert_int_eq((int)write(new[1], "x", 1), 1);
		await(r, key + 1, WEIR__READY_READ);
		forget_events(r);
		r->poller->del(r, old[0]);
		close_two(old);
		close_two(new);
	}
	close_instance(r);
}
END_TEST

#define PAIRS 300u

/* More events than one call returns. */
START_TEST(none_of_many_is_forgotten)
{
	struct weir__readiness *r = open_instance(true);
	static int fds[PAIRS][2];
	struct weir__event events[1000];
	bool seen[PAIRS] = { false };
	unsigned left = PAIRS;

	for (unsigned i = 0; i < PAIRS; i++) {
		pair(fds[i]);
		ck_assert_int_eq(r->poller->add(r, fds[i][0], i + 1, false), 0);
	}
	for (unsigned i = 0; i < PAIRS; i++)
		ck_assert_int_eq((int)write(fds[i][1], "x", 1), 1);
	while (left > 0) {
		int n = r->poller->wait(r, events, 1000, -1);

		ck_assert_int_gt(n, 0);
		for (int i = 0; i < n; i++) {
			left -= events[i].ready & WEIR__READY_READ && !seen[events[i].key - 1];
			seen[events[i].key - 1] |= (events[i].ready & WEIR__READY_READ) != 0;
		}
	}
	for (unsigned i = 0; i < PAIRS; i++)
		drop(r, fds[i]);
	close_instance(r);
}
END_TEST

/* ---- waiting and waking, with EVFILT_USER and with a pipe --------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

/* Whole milliseconds and fractions of one: systems may treat them differently. */
START_TEST(a_wait_ends_in_time)
{
	const int64_t ns = _i ? 5000000 : 1234567;
	struct weir__readiness *r = open_instance(true);
	struct weir__event events[EVENTS];
	uint64_t start = now_ns();

	ck_assert_int_eq(r->poller->wait(r, events, EVENTS, ns), 0);
	ck_assert_uint_ge(now_ns() - start, (uint64_t)ns);
	close_instance(r);
}
END_TEST

static void *wait_for_a_wake(void *arg)
{
	await(arg, WEIR__WAKE_KEY, 1);
	return NULL;
}

START_TEST(a_wake_before_the_wait_and_during)
{
	struct weir__readiness *r = open_instance(_i);
	struct weir__event events[EVENTS];
	pthread_t thread;

	r->poller->wake(r);
	await(r, WEIR__WAKE_KEY, 1);
	ck_assert_int_eq(look(r, events), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_a_wake, r), 0);
	r->poller->wake(r);
	pthread_join(thread, NULL);
	close_instance(r);
}
END_TEST

/* More wakes than the pipe holds count as one wake. Later wakes still arrive. */
START_TEST(wakes_that_nobody_fetches)
{
	struct weir__readiness *r = open_instance(_i);

	for (unsigned i = 0; i < 100000; i++)
		r->poller->wake(r);
	await(r, WEIR__WAKE_KEY, 1);
	forget_events(r);
	found_full = 0;
	for (unsigned i = 0; i < 100; i++) {
		r->poller->wake(r);
		await(r, WEIR__WAKE_KEY, 1);
	}
	ck_assert_uint_eq(found_full, 0);
	close_instance(r);
}
END_TEST

#define ROUNDS 2000u

static struct weir__readiness *sides[2];

static void *answer_wakes(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		await(sides[1], WEIR__WAKE_KEY, 1);
		sides[0]->poller->wake(sides[0]);
	}
	return NULL;
}

START_TEST(every_wake_arrives)
{
	pthread_t thread;

	sides[0] = open_instance(_i);
	sides[1] = open_instance(_i);
	ck_assert_int_eq(pthread_create(&thread, NULL, answer_wakes, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		sides[1]->poller->wake(sides[1]);
		await(sides[0], WEIR__WAKE_KEY, 1);
	}
	pthread_join(thread, NULL);
	close_instance(sides[0]);
	close_instance(sides[1]);
}
END_TEST

static void on_signal(int signo)
{
	(void)signo;
	sides[0]->poller->wake(sides[0]);
}

static void *interrupt_often(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		ck_assert_int_eq(pthread_kill(*(pthread_t *)arg, SIGUSR1), 0);
	return NULL;
}

/* The handler may interrupt the thread anywhere, for example while it changes the poller. */
START_TEST(a_handler_wakes_the_thread_that_it_interrupts)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t thread, self = pthread_self();
	struct weir__event events[EVENTS];
	int fds[2];

	sides[0] = open_instance(true);
	pair(fds);
	ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_often, &self), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int n = sides[0]->poller->wait(sides[0], events, EVENTS, 0);

		ck_assert(n >= 0 || n == -EINTR);
		ck_assert_int_eq(sides[0]->poller->add(sides[0], fds[0], 1, false), 0);
		sides[0]->poller->del(sides[0], fds[0]);
	}
	pthread_join(thread, NULL);
	forget_events(sides[0]);
	raise(SIGUSR1);
	await(sides[0], WEIR__WAKE_KEY, 1);
	close_two(fds);
	close_instance(sides[0]);
}
END_TEST

static void *wait_for_a_byte(void *arg)
{
	await(arg, 9, WEIR__READY_READ);
	return NULL;
}

/* A thread that already waits gets events of descriptors that another thread adds. */
START_TEST(a_waiting_thread_hears_of_what_another_adds)
{
	struct weir__readiness *r = open_instance(true);
	pthread_t thread;
	int fds[2];

	pair(fds);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_a_byte, r), 0);
	ck_assert_int_eq(r->poller->add(r, fds[0], 9, false), 0);
	ck_assert_int_eq((int)write(fds[1], "x", 1), 1);
	pthread_join(thread, NULL);
	drop(r, fds);
	close_instance(r);
}
END_TEST

/* ---- choice ------------------------------------------------------------------------------- */

START_TEST(it_is_chosen_by_name_and_not_before_epoll)
{
	struct weir__backend_choice c;

	ck_assert_int_eq(weir__backend_choose("kqueue", &c), 0);
	ck_assert_str_eq(c.ops->name, "kqueue");
	ck_assert_int_eq(weir__backend_choose("kqueue:fast", &c), -EINVAL);
	ck_assert_int_eq(weir__backend_choose("auto", &c), 0);
	if (weir__backend_find("epoll"))
		ck_assert_str_ne(c.ops->name, "kqueue");
	else
		ck_assert_str_eq(c.ops->name, "kqueue");
}
END_TEST

/* Whichever descriptor cannot be opened, nothing is left open. */
START_TEST(without_descriptors_there_is_no_instance)
{
	const struct weir_backend_ops *ops = weir__backend_find("kqueue");
	struct weir_backend *be = aligned_alloc(64, (ops->instance_bytes + 63) / 64 * 64);
	struct rlimit was, low;
	int next = dup(0), err = -EMFILE;

	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	for (low = was, low.rlim_cur = (rlim_t)next; err < 0; low.rlim_cur++) {
		memset(be, 0, ops->instance_bytes);
		be->ops = ops;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
		weir__kqueue_wakes_by_pipe = true;
		err = ops->init(be, &instance_config);
		ck_assert(err == 0 || err == -EMFILE);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_uint_gt(low.rlim_cur, (rlim_t)next + 3);
	ops->fini(be);
	free(be);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(what_is_ready_is_told_at_once),
		TESTING(it_is_told_once_and_when_there_is_more),
		TESTING(an_end_is_told),
		TESTING(a_pipe_has_one_direction),
		TESTING(what_cannot_be_waited_for_is_refused),
		TESTING(a_descriptor_number_is_reused),
		TESTING(none_of_many_is_forgotten),
		TESTING(a_wait_ends_in_time, .rounds = 2),
		TESTING(a_wake_before_the_wait_and_during, .rounds = 2),
		TESTING(wakes_that_nobody_fetches, .rounds = 2),
		TESTING(every_wake_arrives, .rounds = 2),
		/* ThreadSanitizer delays signals, for ever if the thread waits in a system call. */
		TESTING(a_handler_wakes_the_thread_that_it_interrupts, .needs = "nosan"),
		TESTING(a_waiting_thread_hears_of_what_another_adds),
		TESTING(it_is_chosen_by_name_and_not_before_epoll),
		TESTING(without_descriptors_there_is_no_instance),
	};

	testing_prepare = testing_use_libkqueue;
	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
