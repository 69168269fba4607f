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

#include "backends/readiness.h"
#include "backends/registry.h"
#include "tests/support/testing.h"

/* A case on two fresh instances, on be0's worker. */
#define CASE(name, ...) TESTING(name, .setup = setup, .teardown = teardown, ##__VA_ARGS__)

#define BLOCK 16384u			/* bytes of a lease */

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

#define be0 instances[0]
#define be1 instances[1]
extern struct weir_backend *instances[2];

void setup(void);
void teardown(void);

/* This thread is the worker of that instance, of which there are only the counters. */
void become(struct weir_backend *be);
/* The instance whose worker this thread is. */
struct weir_backend *own(void);
int turn_of(struct weir_backend *be, uint64_t deadline);
/* One look. */
int turn(void);

/* From here on be0 waits for events by that function, which may ask the real one. */
extern const struct weir__poller_ops *real_poller;
void intercept_wait(int (*wait)(struct weir__readiness *, struct weir__event *, int, int64_t));
void release_wait(void);

/* ---- ops ---------------------------------------------------------------------------------- */

struct weir_op *prepare(struct weir_op *op, enum weir_op_code code, struct weir_handle *h);
struct weir_op *recv_op(struct weir_op *op, struct weir_handle *h, void *buf, size_t len);
struct weir_op *send_op(struct weir_op *op, struct weir_handle *h, const void *buf, size_t len,
			unsigned flags);
struct weir_op *lease_op(struct weir_op *op, struct weir_handle *h, struct weir_lease *lease);
struct weir_op *poll_op(struct weir_op *op, struct weir_handle *h, unsigned events);
struct weir_op *accept_op(struct weir_op *op, struct weir_handle *h, struct weir_handle *conn);

struct weir_op *submit_to(struct weir_backend *be, struct weir_op *op);
struct weir_op *submit(struct weir_op *op);
/* As the op's task looks at it: one that was given back is submitted again. */
bool is_done(struct weir_op *op);
int finish_at(struct weir_backend *be, struct weir_op *op);
int finish(struct weir_op *op);
/* One that was given back goes to the backend again, to be cancelled there. */
void cancel(struct weir_op *op);
void give_back(struct weir_lease *lease);

/* ---- sockets ------------------------------------------------------------------------------ */

/* Handles that are gone: of this thread, of all of them. */
extern _Thread_local unsigned detached;
extern unsigned detached_by_all;	/* atomic */

int listen_raw(struct sockaddr_in *ret_addr);
int connect_raw(const struct sockaddr_in *addr);
void open_listener(struct weir_handle *h, struct sockaddr_in *ret_addr);
void adopt(struct weir_backend *be, struct weir_handle *h, int fd, enum weir_handle_kind kind);
/* A connected pair: one end a handle, the other end a descriptor. */
int tcp_pair(struct weir_handle *h);
int unix_pair(struct weir_handle *h);
/* Perhaps later: an op that was given back and has not come again keeps the handle. */
void detach_some_time(struct weir_handle *h);
void detach(struct weir_handle *h);

void put(int fd, const char *text);
void reset(int fd);
void small_buffers(struct weir_handle *h, int peer);
/* Send until the socket takes no more. Returns the bytes. */
size_t fill(struct weir_handle *h);
void drain(int peer, size_t len);

#endif
