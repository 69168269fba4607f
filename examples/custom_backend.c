/* SPDX-License-Identifier: MIT */
/*
 * custom_backend.c: a backend from outside the library, about as small as one can
 * be: every stream is connected to itself, so that what is sent comes back.
 *
 * Operations are kept on a list; poll tries each of them and completes those that
 * can be done. A whole one, with listeners, errors and a clock, is tests/sim.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "weir/backend.h"
#include "weir/net.h"
#include "weir/rt.h"

struct loop {
	struct weir_backend base;		/* first: the core knows the loop by it */
	struct weir_op *pending;
	int bell;
};

struct pipe {
	uint32_t len;
	uint8_t buf[256];
};

/* WEIR_PENDING: not yet. With WEIR_OP_ALL a send goes on where it was, at done. */
static int attempt(struct weir_op *op)
{
	struct pipe *pipe = (struct pipe *)(uintptr_t)op->handle->state[0];
	uint32_t left = op->u.io.len - op->u.io.done, n = 0;

	if (op->code == WEIR_OP_CONNECT)
		return 0;
	if (op->code == WEIR_OP_SEND) {
		n = (uint32_t)sizeof(pipe->buf) - pipe->len;
		n = n < left ? n : left;
		memcpy(pipe->buf + pipe->len, op->u.io.buf + op->u.io.done, n);
		pipe->len += n;
	} else if (op->code == WEIR_OP_RECV) {
		n = pipe->len < left ? pipe->len : left;
		memcpy(op->u.io.buf, pipe->buf, n);
		memmove(pipe->buf, pipe->buf + n, pipe->len - n);
		pipe->len -= n;
	} else {
		return -EOPNOTSUPP;
	}
	op->u.io.done += n;
	if (n == left || (n && !(op->flags & WEIR_OP_ALL)))
		return (int)op->u.io.done;
	return op->flags & WEIR_OP_TRY ? -EAGAIN : WEIR_PENDING;
}

/* Complete what can be completed; of a handle, or one op, everything, with -ECANCELED. */
static int sweep(struct loop *loop, const struct weir_handle *h, const struct weir_op *unwanted)
{
	struct weir_op **at = &loop->pending, *op;
	int n = 0, res;

	while ((op = *at) != NULL) {
		res = op == unwanted || op->handle == h ? -ECANCELED : attempt(op);
		if (res == WEIR_PENDING) {
			at = &op->next;
			continue;
		}
		*at = op->next;
		weir_backend_complete(op, res);
		n++;
	}
	return n;
}

static void loop_submit(struct weir_backend *be, struct weir_op *op)
{
	struct loop *loop = (struct loop *)be;

	op->next = loop->pending;
	loop->pending = op;
}

static void loop_cancel(struct weir_backend *be, struct weir_op *op)
{
	sweep((struct loop *)be, NULL, op);
}

static int loop_poll(struct weir_backend *be, uint64_t deadline, bool busy)
{
	struct loop *loop = (struct loop *)be;
	struct pollfd bell = { .fd = loop->bell, .events = POLLIN };
	int n = sweep(loop, NULL, NULL);
	uint64_t now = weir_backend_now(be), rung;

	(void)busy;
	if (n || deadline <= now)
		return n;
	if (poll(&bell, 1, deadline - now > WEIR_SEC ? 1000 : (int)((deadline - now) / WEIR_MSEC) + 1))
		(void)!read(loop->bell, &rung, sizeof(rung));
	return 0;
}

static void loop_wake(struct weir_backend *be)
{
	(void)!write(((struct loop *)be)->bell, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static int loop_init(struct weir_backend *be, const struct weir_backend_config *cfg)
{
	(void)cfg;
	((struct loop *)be)->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return ((struct loop *)be)->bell < 0 ? -errno : 0;
}

static void loop_fini(struct weir_backend *be)
{
	close(((struct loop *)be)->bell);
}

static int loop_attach(struct weir_backend *be, struct weir_handle *h,
		       const struct weir_handle_spec *spec)
{
	(void)be;
	if (spec->kind != WEIR_HANDLE_STREAM)
		return -EOPNOTSUPP;
	h->state[0] = (uintptr_t)calloc(1, sizeof(struct pipe));
	return h->state[0] ? 0 : -ENOMEM;
}

static void loop_detach(struct weir_backend *be, struct weir_handle *h)
{
	sweep((struct loop *)be, h, NULL);
	free((void *)(uintptr_t)h->state[0]);
	weir_backend_detached(h);
}

static const struct weir_backend_ops loop_backend = {
	.name = "loop", .abi = WEIR_BACKEND_ABI, .caps = WEIR_CAP_STREAM,
	.instance_bytes = sizeof(struct loop), .init = loop_init, .fini = loop_fini,
	.attach = loop_attach, .detach = loop_detach, .submit = loop_submit,
	.poll = loop_poll, .cancel = loop_cancel, .wake = loop_wake,
};

static int talk(void *arg)
{
	char text[32];
	struct weir_tcp *conn;
	int rc = weir_tcp_connect(arg, WEIR_FOREVER, &conn);

	if (rc < 0)
		return rc;
	weir_tcp_send_all(conn, "hello, backend", 15, WEIR_FOREVER, NULL);
	rc = weir_tcp_recv(conn, text, sizeof(text));
	if (rc > 0)
		puts(text);
	weir_tcp_close(conn);
	return rc;
}

int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.backend_ops = &loop_backend;
	rc = weir_rt_run(&cfg, talk, "127.0.0.1:7");
	return rc == 15 ? 0 : fprintf(stderr, "custom_backend: %s\n", weir_strerror(rc)), rc != 15;
}
