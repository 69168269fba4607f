/* SPDX-License-Identifier: MIT */
/* backends_parts.c: see backends_parts.h. */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/registry.h"
#include "core/context.h"
#include "tests/unit/backends_parts.h"

/* ---- instances ---------------------------------------------------------------------------- */

struct weir_backend *instances[2];
static struct weir__worker workers[2];

void become(struct weir_backend *be)
{
	weir__context()->worker = be ? be->worker : NULL;
}

struct weir_backend *make_instance(const char *name, const struct weir_backend_config *cfg)
{
	const struct weir_backend_ops *ops = weir__backend_find(name);
	size_t bytes = (ops->instance_bytes + 63) / 64 * 64;
	struct weir_backend *be = aligned_alloc(64, bytes);

	memset(be, 0, bytes);
	be->ops = ops;
	be->caps = ops->caps;
	be->index = cfg->worker;
	be->worker = &workers[cfg->worker];
	be->worker->index = (uint16_t)cfg->worker;
	ck_assert_int_eq(ops->init(be, cfg), 0);
	return be;
}

void drop_instance(struct weir_backend *be)
{
	become(be);
	be->ops->fini(be);
	free(be);
}

int turn_of(struct weir_backend *be, uint64_t deadline)
{
	int n = be->ops->poll(be, deadline, false);

	/* This call only repeated the requests of a thread that has ended. */
	if (n == -ECANCELED || n == -EFAULT)
		n = 0;
	ck_assert_int_ge(n, 0);
	return n;
}

uint64_t weir_backend_now(const struct weir_backend *be)
{
	struct timespec ts;

	(void)be;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- ops ---------------------------------------------------------------------------------- */

struct weir_op *prepare(struct weir_op *op, enum weir_op_code code, struct weir_handle *h)
{
	memset(op, 0, sizeof(*op));
	op->code = (uint8_t)code;
	op->handle = h;
	return op;
}

struct weir_op *recv_op(struct weir_op *op, struct weir_handle *h, void *buf, size_t len)
{
	prepare(op, WEIR_OP_RECV, h);
	op->u.io.buf = buf;
	op->u.io.len = (uint32_t)len;
	return op;
}

struct weir_op *send_op(struct weir_op *op, struct weir_handle *h, const void *buf,
			size_t len, unsigned flags)
{
	prepare(op, WEIR_OP_SEND, h);
	op->u.io.buf = (uint8_t *)(uintptr_t)buf;
	op->u.io.len = (uint32_t)len;
	op->flags = (uint16_t)flags;
	return op;
}

struct weir_op *lease_op(struct weir_op *op, struct weir_handle *h, struct weir_lease *lease)
{
	prepare(op, WEIR_OP_RECV_LEASE, h);
	*lease = (struct weir_lease){ .data = NULL };
	op->u.lease.lease = lease;
	return op;
}

struct weir_op *poll_op(struct weir_op *op, struct weir_handle *h, unsigned events)
{
	prepare(op, WEIR_OP_POLL, h);
	op->u.poll.events = events;
	return op;
}

struct weir_op *accept_op(struct weir_op *op, struct weir_handle *h,
			  struct weir_handle *conn)
{
	memset(conn, 0, sizeof(*conn));
	prepare(op, WEIR_OP_ACCEPT, h);
	op->u.accept.handle = conn;
	return op;
}

struct weir_op *submit(struct weir_op *op)
{
	return submit_to(be0, op);
}

int finish_at(struct weir_backend *be, struct weir_op *op)
{
	become(be);
	while (!is_done(op))
		turn_of(be, WEIR_FOREVER);
	return op->res;
}

int finish(struct weir_op *op)
{
	return finish_at(be0, op);
}

void give_back(struct weir_lease *lease)
{
	lease->owner->ops->lease_return(lease->owner, lease);
	lease->data = NULL;
}

/* ---- sockets ------------------------------------------------------------------------------ */

const struct sockaddr_in any_port = {
	.sin_family = AF_INET,
	.sin_addr = { .s_addr = 0x0100007f },
};

int listen_raw(struct sockaddr_in *ret_addr, int backlog)
{
	socklen_t len = sizeof(*ret_addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any_port, sizeof(any_port)), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
	return fd;
}

int connect_raw(const struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void open_listener(struct weir_handle *h, struct sockaddr_in *ret_addr)
{
	struct weir_handle_spec spec = {
		.kind = WEIR_HANDLE_LISTENER,
		.fd = -1,
		.backlog = 1024,
		.addr = (const struct sockaddr *)&any_port,
		.addr_len = sizeof(any_port),
	};
	struct sockaddr_storage name;

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be0->ops->attach(be0, h, &spec), 0);
	ck_assert_int_eq(be0->ops->control(be0, h, WEIR_CTL_LOCAL_ADDR, &name, sizeof(name)), 0);
	memcpy(ret_addr, &name, sizeof(*ret_addr));
}

void adopt(struct weir_backend *be, struct weir_handle *h, int fd,
		  enum weir_handle_kind kind)
{
	struct weir_handle_spec spec = { .kind = kind, .fd = fd };

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be->ops->attach(be, h, &spec), 0);
	ck_assert_ptr_eq(h->backend, be);
}

int tcp_pair(struct weir_handle *h)
{
	struct sockaddr_in addr;
	int listener = listen_raw(&addr, 64), peer = connect_raw(&addr);
	int fd = accept(listener, NULL, NULL);

	ck_assert_int_ge(fd, 0);
	close(listener);
	adopt(be0, h, fd, WEIR_HANDLE_STREAM);
	return peer;
}

int unix_pair(struct weir_handle *h)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	adopt(be0, h, fds[0], WEIR_HANDLE_STREAM);
	return fds[1];
}

void detach_some_time(struct weir_handle *h)
{
	h->backend->ops->detach(h->backend, h);
}

void put(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

void reset(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

void small_buffers(struct weir_handle *h, int peer)
{
	int bytes = 65536;

	setsockopt(h->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

void drain(int peer, size_t len)
{
	char buf[65536];

	while (len > 0) {
		ssize_t n = read(peer, buf, len < sizeof(buf) ? len : sizeof(buf));

		ck_assert_int_gt(n, 0);
		len -= (size_t)n;
	}
}
