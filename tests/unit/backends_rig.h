/* SPDX-License-Identifier: MIT */
/*
 * backends_rig.h: the stand on which the tests of the readiness adaptor run it: epoll, two
 * instances, the kernel's own sockets, and no core.
 *
 * The rig completes operations itself, by writing the result down, and says which worker the
 * thread is. It also stands between the backend and the C library for a few calls, to count
 * them, to make them fail, and to let the world go on at the wrong moment.
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

/* A case on two fresh instances, on be0's worker. */
#define CASE(name, ...) TESTING(name, .setup = setup, .teardown = teardown, ##__VA_ARGS__)

/* ---- calls that are counted, and made to fail -------------------------------------------- */

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
/* The C library's syscall(), since the rig has one of its own. */
extern long (*raw)(long number, ...);
/* Called once, after a call has found nothing and before its caller learns of it. */
extern void (*meanwhile)(void);
/* The same, after a receive that has found something. */
extern void (*meanwhile_found)(void);

/* The next so many calls fail with that errno. */
void fail_next(enum call what, int err, unsigned times);
void forget_calls(void);

/* ---- instances ---------------------------------------------------------------------------- */

void setup(void);
void teardown(void);

/* The instance whose worker this thread is. */
struct weir_backend *own(void);
/* One look. */
int turn(void);

/* From here on be0 waits for events by that function, which may ask the real one. */
extern const struct weir__poller_ops *real_poller;
void intercept_wait(int (*wait)(struct weir__readiness *, struct weir__event *, int, int64_t));
void release_wait(void);

/* ---- ops ---------------------------------------------------------------------------------- */

/* To is_done one that was given back is one to submit again; and it goes to the backend to be cancelled. */
void cancel(struct weir_op *op);

/* ---- sockets ------------------------------------------------------------------------------ */

/* Handles that are gone: of this thread, of all of them. */
extern _Thread_local unsigned detached;
extern unsigned detached_by_all;	/* atomic */

void detach(struct weir_handle *h);
/* Send until the socket takes no more. Returns the bytes. */
size_t fill(struct weir_handle *h);

#endif
