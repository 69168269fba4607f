/* SPDX-License-Identifier: MIT */
/*
 * backends_parts.h: the common part of the backends' test rigs: two instances without the
 * core, ops as a task would make them, and real sockets.
 *
 * A rig (backends_rig.h, backends_iouring_rig.h) adds the functions that submit an op and
 * tell whether it is done, and replaces the core's functions that its backend calls.
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

/* Makes an instance of the named backend for worker number cfg->worker. */
struct weir_backend *make_instance(const char *name, const struct weir_backend_config *cfg);
void drop_instance(struct weir_backend *be);
/* Makes this thread the worker of the instance. Of that worker only the counters exist. */
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

/* Defined by the rig: submits like a task that runs on that instance's worker. */
struct weir_op *submit_to(struct weir_backend *be, struct weir_op *op);
/* Defined by the rig: whether the op's task would see that it is done. */
bool is_done(struct weir_op *op);

struct weir_op *submit(struct weir_op *op);
/* Polls until the op is done. Returns its result. */
int finish_at(struct weir_backend *be, struct weir_op *op);
int finish(struct weir_op *op);
void give_back(struct weir_lease *lease);

/* ---- sockets ------------------------------------------------------------------------------ */

/* The loopback address with port 0. */
extern const struct sockaddr_in any_port;

int listen_raw(struct sockaddr_in *ret_addr, int backlog);
int connect_raw(const struct sockaddr_in *addr);
void open_listener(struct weir_handle *h, struct sockaddr_in *ret_addr);
void adopt(struct weir_backend *be, struct weir_handle *h, int fd, enum weir_handle_kind kind);
/* Makes a connected pair: one end is the handle, the other end is returned as a descriptor. */
int tcp_pair(struct weir_handle *h);
int unix_pair(struct weir_handle *h);
/* Detaches, perhaps later: operations in flight keep the handle alive. */
void detach_some_time(struct weir_handle *h);

void put(int fd, const char *text);
void reset(int fd);
void small_buffers(struct weir_handle *h, int peer);
void drain(int peer, size_t len);

#endif
