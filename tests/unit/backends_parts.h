/* SPDX-License-Identifier: MIT */
/*
 * backends_parts.h: what the stands of the backends' tests have in common: two instances
 * without a core, ops as a task would make them, and the kernel's own sockets.
 *
 * A stand (backends_rig.h, backends_iouring_rig.h) adds how an op is submitted and how it is
 * known to be done, and the core's functions that its backend calls.
 */
#ifndef WEIR_TESTS_BACKENDS_PARTS_H
#define WEIR_TESTS_BACKENDS_PARTS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/worker.h"
#include "tests/support/testing.h"
#include "weir/backend.h"

#define BLOCK 16384u			/* bytes of a lease */

/* ---- instances ---------------------------------------------------------------------------- */

#define be0 instances[0]
#define be1 instances[1]
extern struct weir_backend *instances[2];

/* One of the kind with that name, for worker number cfg->worker. */
struct weir_backend *make_instance(const char *name, const struct weir_backend_config *cfg);
void drop_instance(struct weir_backend *be);
/* This thread is the worker of that instance, of which there are only the counters. */
void become(struct weir_backend *be);
int turn_of(struct weir_backend *be, uint64_t deadline);

/* ---- ops ---------------------------------------------------------------------------------- */

struct weir_op *prepare(struct weir_op *op, enum weir_op_code code, struct weir_handle *h);
struct weir_op *recv_op(struct weir_op *op, struct weir_handle *h, void *buf, size_t len);
struct weir_op *send_op(struct weir_op *op, struct weir_handle *h, const void *buf, size_t len,
			unsigned flags);
struct weir_op *lease_op(struct weir_op *op, struct weir_handle *h, struct weir_lease *lease);
struct weir_op *poll_op(struct weir_op *op, struct weir_handle *h, unsigned events);
struct weir_op *accept_op(struct weir_op *op, struct weir_handle *h, struct weir_handle *conn);

/* The stand's: as the task that waits for it does, which runs on that worker. */
struct weir_op *submit_to(struct weir_backend *be, struct weir_op *op);
/* The stand's: as its task looks at it. */
bool is_done(struct weir_op *op);

struct weir_op *submit(struct weir_op *op);
/* Turn until it is done; its result. */
int finish_at(struct weir_backend *be, struct weir_op *op);
int finish(struct weir_op *op);
void give_back(struct weir_lease *lease);

/* ---- sockets ------------------------------------------------------------------------------ */

/* Of the loopback. */
extern const struct sockaddr_in any_port;

int listen_raw(struct sockaddr_in *ret_addr, int backlog);
int connect_raw(const struct sockaddr_in *addr);
void open_listener(struct weir_handle *h, struct sockaddr_in *ret_addr);
void adopt(struct weir_backend *be, struct weir_handle *h, int fd, enum weir_handle_kind kind);
/* A connected pair: one end a handle, the other end a descriptor. */
int tcp_pair(struct weir_handle *h);
int unix_pair(struct weir_handle *h);
/* Perhaps later: what is in flight keeps the handle. */
void detach_some_time(struct weir_handle *h);

void put(int fd, const char *text);
void reset(int fd);
void small_buffers(struct weir_handle *h, int peer);
void drain(int peer, size_t len);

#endif
