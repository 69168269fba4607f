/* SPDX-License-Identifier: MIT */
/*
 * conformance.h: the suite that every backend must pass, written once over the
 * public API, and run for each backend on each scheduler:
 *
 *	conformance --backend epoll --workers 4 [--options WORDS] [CASE]
 *
 * --workers 0 selects the current-thread scheduler. --options sets options of the
 * backend, to test its degraded modes. A case is the body of a fiber:
 *
 *	CASE(eof_comes_after_the_bytes, 0)
 *	{
 *		...
 *		return 0;
 *	}
 *
 * The second argument names the capabilities (enum weir_cap) that the backend must
 * declare, besides streams. If it does not declare them, the case is skipped; cases
 * are skipped for no other reason. A case listed with BOTH runs twice: the tasks
 * that await an operation (begin, below) are fibers, then stackless tasks.
 *
 * What backends are known to get wrong, and the files that test it:
 *
 *	a cancel releases memory too early, or loses a result		race, cancel
 *	a close leaves operations waiting, or is not seen by the peer	close, end, load
 *	errors and ends are reported late, twice or never		end, broken
 *	after running out of buffers a receive is not started again	lease
 *	one busy stream starves the others				fair
 *	queues overflow, descriptors run out				many, listen
 *	several sockets share one port					shards
 *	wakes are lost, system calls are interrupted			thread
 *	an operation depends on the thread or worker that started it	thread, move
 *	a request on its way to a stream's home is overtaken		home
 *	an event of readiness is lost or reported twice			fd, stream
 *	transfers take several pieces					vector
 *
 * After each case the runtime must shut down in time, and nothing may be left: no
 * descriptor, thread or heap block, and in the simulated backend no stream, lease or
 * operation.
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

/* A case that runs with the workers in two groups, or in one group if there is one worker. */
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

/* How the program was called, and the state of this case. */
/*
 * Beside the capabilities: streams are sockets of the kernel, each with a descriptor of this
 * process. WEIR_CAP_FD says only that somebody serves descriptors; it may be a companion.
 */
#define KERNEL_STREAMS (1u << 31)
/* TCP is served by two instances: 127.0.0.1 by the simulated one, the rest by its companion. */
#define TWO_SIDES (1u << 30)
/* A stream may be served by any worker: the backend does not keep it on one. */
#define FREE_STREAMS (1u << 29)

struct conformance_env {
	unsigned workers;		/* 0: current-thread */
	unsigned group_workers;		/* most workers in a group; 0: as on this machine */
	uint64_t seed;			/* of this round */
	bool stackless;			/* begin makes a stackless task, not a fiber */
	bool zero_copy;			/* the backend sends without copying */
	bool homed_writes;		/* a stream's writes must be made by its home */
	struct weir_rt *rt;		/* the runtime of the case */
	uint32_t caps;
};
extern struct conformance_env env;

void conformance_add(struct conformance_list *list, struct testing_case test, unsigned bodies);
/*
 * Makes a runtime on the selected backend, runs body on it, shuts it down, checks that nothing is
 * left.
 */
void conformance_run(int (*body)(void *), uint32_t caps, int round);
/* The same in two parts, for a test that is not a CASE: between the two env.rt exists. */
void conformance_open(int round);
void conformance_close_down(void);

/* Each adds the cases of one file to the list. */
void conformance_listen(struct conformance_list *list);
void conformance_shards(struct conformance_list *list);
void conformance_stream(struct conformance_list *list);
void conformance_vector(struct conformance_list *list);
void conformance_lease(struct conformance_list *list);
void conformance_send_lease(struct conformance_list *list);
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
void conformance_home(struct conformance_list *list);
void conformance_load(struct conformance_list *list);

/* ---- parts.c: helpers for cases; each asserts that it succeeds ---- */

#define OK(expr) ck_assert_int_ge((expr), 0)

/* The deadline of a wait that is meant to time out. */
#define SHORT_NS (20 * WEIR_MSEC)
/* Several times as much as a connection buffers while nobody reads; see connected. */
#define LARGE_BYTES ((size_t)2 << 20)

struct weir_listener *open_listener(struct weir_addr *ret_addr);
/* Makes a connection with small buffers, so that a send soon has to wait. */
void connected(struct weir_tcp **ret_one, struct weir_tcp **ret_other);
/* The same over a Unix socket, which a companion serves if there is one. */
void unix_connected(struct weir_tcp **ret_one, struct weir_tcp **ret_other);
void close_both(struct weir_tcp *one, struct weir_tcp *other);
/* Finds an address that refuses connections. */
void nobodys_addr(struct weir_addr *ret_addr);
/* Asserts that an address refuses connections, now or soon. */
void refused(const struct weir_addr *addr);
/*
 * Returns whether a cancelled send ends only when its peer has received the bytes, because the
 * kernel still reads them from the caller's memory. If so, the test is marked as skipped and must
 * return.
 */
bool sends_wait_for_the_peer(void);
/* A listener with a backlog of 1 and a full queue, so that a connect waits. */
struct crowd {
	struct weir_listener *listener;
	struct weir_addr addr;
	struct weir_tcp *conns[16];
	unsigned count;
};
void crowd_open(struct crowd *crowd);
void crowd_close(struct crowd *crowd);

/* Raises the limit of descriptors to `wanted`, or as far as possible. Returns the new limit. */
rlim_t allow_files(rlim_t wanted);
/* Lowers the limit so that `count` more descriptors can be opened. Returns the old limit. */
struct rlimit leave_files(rlim_t count);

struct weir_task *spawn(int (*fn)(void *), void *arg);
/* Spawns a task that is pinned to one worker. */
struct weir_task *spawn_on(unsigned worker, int (*fn)(void *), void *arg);
unsigned workers(void);
/* Yields `count` times, so that other tasks run first. */
void turns(uint64_t count);
/* Joins the task and returns its result. */
int finish(struct weir_task *task);

/* A seed stands for an endless stream of bytes. These write or check any part of it. */
void pattern_fill(uint64_t seed, size_t at, void *buf, size_t len);
void pattern_check(uint64_t seed, size_t at, const void *buf, size_t len);
void pattern_send(struct weir_tcp *conn, uint64_t seed, size_t at, size_t len);
void pattern_recv(struct weir_tcp *conn, uint64_t seed, size_t at, size_t len);
/* Draws a random number below `below`. */
uint64_t draw(uint64_t *state, uint64_t below);

/*
 * A task that awaits one future, as a fiber or as a stackless task (env.stackless). begin() starts
 * it; pending() returns once the future was polled: the operation is then in flight, or has ended.
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
/* Join the task, after aborting it or not. Return the future's result, or the task's. */
int ended(struct waiter *waiter);
int aborted(struct waiter *waiter);

#endif
