/* SPDX-License-Identifier: MIT */
/*
 * custom_backend.c: a backend from outside the library, about as small as one can
 * be: every stream is connected to itself, so that what is sent comes back.
 *
 * Operations are kept on a list; poll tries each of them and completes those that
 * can be done. A bigger one, with listeners and a clock, is tests/sim.
 */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/backend.h"
#include "weir/net.h"
#include "weir/rt.h"

struct loop {
	struct weir_backend base;
	struct weir_op *pending, **last;
	sem_t bell;
};

struct pipe {
	uint32_t len;
	uint8_t buf[256];
};

static struct pipe *pipe_of(struct weir_op *op)
{
	return (struct pipe *)(uintptr_t)op->handle->state[0];
}

/* WEIR_PENDING: not yet. With WEIR_OP_ALL the op goes on where it was, at done. */
static int attempt(struct weir_op *op)
{
	struct pipe *pipe = pipe_of(op);
	uint32_t left = op->u.io.len - op->u.io.done, n;

	if (op->flags & WEIR_OP_CANCELLING)
		return -ECANCELED;
	if (op->code == WEIR_OP_CONNECT)
		return 0;
	if (op->code == WEIR_OP_SEND) {
		n = (uint32_t)sizeof(pipe->buf) - pipe->len;
		n = n < left ? n : left;
		memcpy(pipe->buf + pipe->len, op->u.io.buf + op->u.io.done, n);
		pipe->len += n;
	} else if (op->code == WEIR_OP_RECV) {
		n = pipe->len < left ? pipe->len : left;
		memcpy(op->u.io.buf + op->u.io.done, pipe->buf, n);
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

static void loop_submit(struct weir_backend *be, struct weir_op *op)
{
	struct loop *loop = (struct loop *)be;

	op->next = NULL;
	*loop->last = op;
	loop->last = &op->next;
}

/* Complete what can be completed; of h everything, with -ECANCELED. */
static int sweep(struct loop *loop, const struct weir_handle *h)
{
	struct weir_op **at = &loop->pending, *op;
	int n = 0, res;

	while ((op = *at) != NULL) {
		res = op->handle == h ? -ECANCELED : attempt(op);
		if (res == WEIR_PENDING) {
			at = &op->next;
			continue;
		}
		*at = op->next;
		if (!op->next)
			loop->last = at;
		weir_backend_complete(op, res);
		n++;
	}
	return n;
}

static int loop_poll(struct weir_backend *be, uint64_t deadline, bool busy)
{
	struct loop *loop = (struct loop *)be;
	int n = sweep(loop, NULL);
	uint64_t now = weir_backend_now(be);
	struct timespec ts;

	(void)busy;
	if (n || now >= deadline)
		return n;
	clock_gettime(CLOCK_REALTIME, &ts);
	deadline = deadline - now < WEIR_SEC ? deadline - now : WEIR_SEC;
	deadline += (uint64_t)ts.tv_nsec;
	ts.tv_sec += (time_t)(deadline / WEIR_SEC);
	ts.tv_nsec = (long)(deadline % WEIR_SEC);
	sem_timedwait(&loop->bell, &ts);
	return 0;
}

/* The core has set WEIR_OP_CANCELLING, and the next poll sees it. */
static void loop_cancel(struct weir_backend *be, struct weir_op *op)
{
	(void)be, (void)op;
}

static void loop_wake(struct weir_backend *be)
{
	sem_post(&((struct loop *)be)->bell);
}

static int loop_probe(char *reason, size_t len)
{
	(void)reason, (void)len;
	return 0;
}

static int loop_init(struct weir_backend *be, const struct weir_backend_config *cfg)
{
	struct loop *loop = (struct loop *)be;

	(void)cfg;
	loop->last = &loop->pending;
	return sem_init(&loop->bell, 0, 0) < 0 ? -errno : 0;
}

static void loop_fini(struct weir_backend *be)
{
	sem_destroy(&((struct loop *)be)->bell);
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
	sweep((struct loop *)be, h);
	free((void *)(uintptr_t)h->state[0]);
	weir_backend_detached(h);
}

static int loop_control(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
			void *value, size_t len)
{
	(void)be, (void)h, (void)what, (void)value, (void)len;
	return -EOPNOTSUPP;
}

static const struct weir_backend_ops loop_backend = {
	.name = "loop",
	.abi = WEIR_BACKEND_ABI,
	.caps = WEIR_CAP_STREAM,
	.instance_bytes = sizeof(struct loop),
	.probe = loop_probe,
	.init = loop_init,
	.fini = loop_fini,
	.attach = loop_attach,
	.detach = loop_detach,
	.control = loop_control,
	.submit = loop_submit,
	.poll = loop_poll,
	.cancel = loop_cancel,
	.wake = loop_wake,
};

static int talk(void *arg)
{
	char text[32];
	struct weir_tcp *conn;
	int rc = weir_tcp_connect("127.0.0.1:7", WEIR_FOREVER, &conn);

	(void)arg;
	if (rc < 0)
		return rc;
	rc = weir_tcp_send_all(conn, "hello, backend", 15, WEIR_FOREVER, NULL);
	if (rc >= 0)
		rc = weir_tcp_recv(conn, text, sizeof(text));
	if (rc > 0)
		printf("%s\n", text);
	weir_tcp_close(conn);
	return rc;
}

int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.backend_ops = &loop_backend;
	rc = weir_rt_run(&cfg, talk, NULL);
	return rc < 0 ? fprintf(stderr, "custom_backend: %s\n", weir_strerror(rc)), 1 : 0;
}
