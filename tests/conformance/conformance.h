/* SPDX-License-Identifier: MIT */
/*
 * conformance.h: the suite that every backend must pass, written once over the
 * public API, and run for each backend on each scheduler:
 *
 *	conformance --backend epoll --workers 4 [--options WORDS] [CASE]
 *
 * --workers 0 is the current-thread scheduler; the options are the backend's own, for
 * its degraded modes. A case is the body of a fiber:
 *
 *	CASE(eof_comes_after_the_bytes, 0)
 *	{
 *		...
 *		return 0;
 *	}
 *
 * The second word says what a backend must declare (enum weir_cap) besides
 * streams. Where it does not, the case is skipped, and that is the only way to
 * skip one. A case listed with BOTH runs with the tasks that await an operation
 * (begin, below) as fibers and once more as stackless tasks.
 *
 * What backends are known to get wrong, and who looks for it:
 *
 *	a cancel that gives memory back too early, or loses a result	race, cancel
 *	a close that neither ends what waits nor tells the peer		close, end
 *	errors and ends that are told late, twice or never		end, broken
 *	buffers that run out, and are not asked for again		lease
 *	one stream that is served for ever				fair
 *	queues that overflow, descriptors that run out			many, listen
 *	several sockets on one port					shards
 *	wakes that are lost, calls that are interrupted			thread
 *	work that depends on the thread or worker it began on		thread, move
 *	readiness that is told once too few or too often		fd, stream
 *	transfers that do not go in one piece				vector
 *
 * After each case the runtime must shut down in time, and nothing may be left:
 * no descriptor, thread or block, and in the simulated backend no stream, lease
 * or operation.
 */
#ifndef WEIR_TESTS_CONFORMANCE_H
#define WEIR_TESTS_CONFORMANCE_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/testing.h"
#include "weir/backend.h"
#include "weir/weir.h"

#define CASE(name, caps)                                                                           \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		conformance_run(name##_body, (caps), _i);                                          \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg __attribute__((unused)))

/* The same with the workers in groups: two of them, or as many as there are workers. */
#define CASE_IN_GROUPS(name, caps)                                                                 \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		env.group_workers = (workers() + 1) / 2;                                           \
		conformance_run(name##_body, (caps), _i);                                          \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg __attribute__((unused)))

#define ONCE(list, name, ...) \
	conformance_add((list), (struct testing_case){ .test = (name), __VA_ARGS__ }, 1)
#define BOTH(list, name, ...) \
	conformance_add((list), (struct testing_case){ .test = (name), __VA_ARGS__ }, 2)

struct conformance_list;

/* What a run was asked for, and the part of it that a case may want to know. */
struct conformance_env {
	unsigned workers;		/* 0: current-thread */
	unsigned group_workers;		/* in a group, at most; 0: as the machine is */
	uint64_t seed;			/* of this round */
	bool stackless;			/* what begin makes */
	bool zero_copy;			/* sends are not copied */
	struct weir_rt *rt;		/* the case's */
	uint32_t caps;
};
extern struct conformance_env env;

void conformance_add(struct conformance_list *list, struct testing_case test, unsigned bodies);
/* A runtime on the backend that was asked for; body on it; its end, and that nothing is left. */
void conformance_run(int (*body)(void *), uint32_t caps, int round);
/* The same in two parts, for a test that is no case: env.rt exists between them. */
void conformance_open(int round);
void conformance_close_down(void);

/* The areas, one file each. */
void conformance_listen(struct conformance_list *list);
void conformance_shards(struct conformance_list *list);
void conformance_stream(struct conformance_list *list);
void conformance_vector(struct conformance_list *list);
void conformance_lease(struct conformance_list *list);
void conformance_deadline(struct conformance_list *list);
void conformance_cancel(struct conformance_list *list);
void conformance_race(struct conformance_list *list);
void conformance_close(struct conformance_list *list);
void conformance_end(struct conformance_list *list);
void conformance_broken(struct conformance_list *list);
void conformance_many(struct conformance_list *list);
void conformance_fair(struct conformance_list *list);
void conformance_move(struct conformance_list *list);
void conformance_thread(struct conformance_list *list);
void conformance_shutdown(struct conformance_list *list);
void conformance_fd(struct conformance_list *list);
void conformance_file(struct conformance_list *list);
void conformance_relay(struct conformance_list *list);

/* ---- parts.c: what cases are made of; everything asserts that it works ---- */

#define OK(expr) ck_assert_int_ge((expr), 0)

/* How long a wait is that ends by its deadline, and one that is not to end. */
#define SHORT_NS (20 * WEIR_MSEC)
/* Several times what the two ends of a connection hold when nobody reads, see connected. */
#define LARGE_BYTES ((size_t)2 << 20)

struct weir_listener *open_listener(struct weir_addr *ret_addr);
/* Two ends of a connection, which hold little, so that a send waits soon. */
void connected(struct weir_tcp **ret_one, struct weir_tcp **ret_other);
void close_both(struct weir_tcp *one, struct weir_tcp *other);
/* An address that refuses connections; and one that does so now, or soon. */
void nobodys_addr(struct weir_addr *ret_addr);
void refused(const struct weir_addr *addr);
/*
 * Whether a send that is given up ends only when its peer has the bytes: they are the caller's memory,
 * which the kernel goes on reading. Then the test is marked as skipped; return.
 */
bool sends_wait_for_the_peer(void);
/* Fill the queue of a listener with a backlog of 1, so that a connect waits. */
struct crowd {
	struct weir_listener *listener;
	struct weir_addr addr;
	struct weir_tcp *conns[16];
	unsigned count;
};
void crowd_open(struct crowd *crowd);
void crowd_close(struct crowd *crowd);

/* Raise the limit of descriptors, as far as that goes; what it is then. */
rlim_t allow_files(rlim_t wanted);
/* Leave so many to be had; what the limit was. */
struct rlimit leave_files(rlim_t count);

struct weir_task *spawn(int (*fn)(void *), void *arg);
/* On one worker, and there to stay; how many there are. */
struct weir_task *spawn_on(unsigned worker, int (*fn)(void *), void *arg);
unsigned workers(void);
/* Let the others go first, so many times. */
void turns(uint64_t count);
/* Join; the task's result. */
int finish(struct weir_task *task);

/* The i-th byte of the stream that a seed stands for; any part can be written and checked. */
void pattern_fill(uint64_t seed, size_t at, void *buf, size_t len);
void pattern_check(uint64_t seed, size_t at, const void *buf, size_t len);
void pattern_send(struct weir_tcp *conn, uint64_t seed, size_t at, size_t len);
void pattern_recv(struct weir_tcp *conn, uint64_t seed, size_t at, size_t len);
/* A small stream of random numbers. */
uint64_t draw(uint64_t *state, uint64_t below);

/*
 * A task that awaits one future, as the round's body, and says when it waits: after pending()
 * the operation is in flight, or over.
 */
struct waiter {
	struct weir_future future;
	struct weir_future *inner;
	struct weir_notify waits;
	struct weir_task *task;
	bool told;
};
void begin(struct waiter *waiter, struct weir_future *inner);
void begin_on(unsigned worker, struct waiter *waiter, struct weir_future *inner);
void pending(struct waiter *waiter);
/* Join; the future's result, or the task's. */
int ended(struct waiter *waiter);
int aborted(struct waiter *waiter);

#endif
