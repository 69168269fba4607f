/* SPDX-License-Identifier: MIT */
/*
 * backends_rig.h: the test rig of the readiness adaptor: two instances of epoll on real
 * sockets, without the core.
 *
 * The rig replaces the core's functions: it records results of operations, and sets which
 * worker the current thread is. It also wraps a few system calls, to count them, to make them
 * fail, and to run a hook at critical moments.
 */
#ifndef WEIR_TESTS_BACKENDS_RIG_H
#define WEIR_TESTS_BACKENDS_RIG_H

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/readiness/readiness.h"
#include "backends/registry.h"
#include "tests/unit/backends_parts.h"

/* A case with two new instances, which runs on be0's worker. */
#define CASE(name, ...) TESTING(name, .setup = setup, .teardown = teardown, ##__VA_ARGS__)

/* ---- counting system calls, and making them fail ------------------------------------------ */

enum call {
	RECV,
	SEND,
	SENDMSG,
	RECVMSG,
	ACCEPT,
	POLL,
	EPOLL_WAIT,
	EPOLL_CTL,
	CALLS
};

extern unsigned calls[CALLS];
/* The C library's syscall(), which the rig replaces. */
extern long (*raw)(long number, ...);
/* A hook that runs once, after a call has found nothing and before it returns. */
extern void (*meanwhile)(void);
/* The same, after a receive that has found bytes. */
extern void (*meanwhile_found)(void);

/* Makes the next `times` calls fail with err. */
void fail_next(enum call what, int err, unsigned times);
void forget_calls(void);

/* ---- instances ---------------------------------------------------------------------------- */

void setup(void);
void teardown(void);

/* The instance whose worker this thread is. */
struct weir_backend *own(void);
/* Polls once without waiting. */
int turn(void);

/* From now on be0 waits for events with this function, which may call the real one. */
extern const struct weir__poller_ops *real_poller;
void intercept_wait(int (*wait)(struct weir__readiness *, struct weir__event *, int, int64_t));
void release_wait(void);

/* ---- ops ---------------------------------------------------------------------------------- */

/* Cancels through the backend. is_done() submits ops again that the backend has given back. */
void cancel(struct weir_op *op);

/* ---- sockets ------------------------------------------------------------------------------ */

/* How many handles were detached, on this thread and on all threads. */
extern _Thread_local unsigned detached;
extern unsigned detached_by_all;	/* atomic */

void detach(struct weir_handle *h);
/* Sends until the socket takes no more. Returns how many bytes that were. */
size_t fill(struct weir_handle *h);

#endif
