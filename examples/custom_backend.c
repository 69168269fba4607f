/* SPDX-License-Identifier: MIT */
/*
 * custom_backend.c: an I/O backend that is not part of the library, as small as possible. It shows
 * which functions a backend has, and how a program passes its own to a runtime.
 *
 * Every stream is connected to itself, so it receives what it sends. Submitted operations wait on a
 * list, and poll tries each of them. tests/sim holds a complete backend, with listeners, errors and
 * a clock.
 *
 *	build/examples/custom_backend	sends a line to itself, prints it, and ends
 */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "weir/backend.h"
#include "weir/weir.h"

struct loop {
	struct weir_backend base;	/* must be first: the core passes a pointer to it */
	struct weir_op *pending;
	sem_t bell;			/* posted by wake, to end the wait in poll */
};

/* How many bytes one stream buffers, in its handle: state[0] counts them, and they follow it. */
#define ROOM 32u

/*
 * Transfer what is possible now. Returns the result of the operation, or WEIR_PENDING to try again
 * later. A transfer with WEIR_OP_ALL that is tried again continues at u.io.done.
 */
static int attempt(struct weir_op *op)
{
	uint64_t *len = &op->handle->state[0], n, left = op->u.io.len - op->u.io.done;
	uint8_t *bytes = (uint8_t *)&op->handle->state[1];

	if (op->code == WEIR_OP_SEND) {
		n = left < ROOM - *len ? left : ROOM - *len;
		memcpy(bytes + *len, op->u.io.buf + op->u.io.done, n);
		*len += n;
	} else if (op->code == WEIR_OP_RECV) {
		n = left < *len ? left : *len;
		memcpy(op->u.io.buf + op->u.io.done, bytes, n);
		memmove(bytes, bytes + n, *len -= n);
	} else {
		return op->code == WEIR_OP_CONNECT ? 0 : -EOPNOTSUPP;
	}
	op->u.io.done += (uint32_t)n;
	if (n == left || (n && !(op->flags & WEIR_OP_ALL)))
		return (int)op->u.io.done;
	return op->flags & WEIR_OP_TRY ? -EAGAIN : WEIR_PENDING;
}

/*
 * Try every pending operation and complete those that finish. Those of the given handle, and the
 * unwanted operation, are completed with -ECANCELED. Returns how many were completed.
 */
static int sweep(struct weir_backend *be, const void *handle, const void *unwanted)
{
	struct weir_op **at = &((struct loop *)be)->pending, *op;
	int n = 0, res;

	while ((op = *at) != NULL) {
		res = op == unwanted || op->handle == handle ? -ECANCELED : attempt(op);
		if (res == WEIR_PENDING) {
			at = &op->next;
		} else {
			*at = op->next;
			weir_backend_complete(op, res);
			n++;
		}
	}
	return n;
}

static void loop_submit(struct weir_backend *be, struct weir_op *op)
{
	op->next = ((struct loop *)be)->pending;
	((struct loop *)be)->pending = op;
}

static void loop_cancel(struct weir_backend *be, struct weir_op *op)
{
	sweep(be, NULL, op);
}

/* Wait until the deadline, which is on the monotonic clock, or until loop_wake posts the bell. */
static int loop_poll(struct weir_backend *be, uint64_t deadline, bool busy)
{
	struct timespec until = { (time_t)(deadline / WEIR_SEC), (long)(deadline % WEIR_SEC) };
	int n = sweep(be, NULL, NULL);

	if (n == 0 && !busy)
		sem_clockwait(&((struct loop *)be)->bell, CLOCK_MONOTONIC, &until);
	return n;
}

static void loop_wake(struct weir_backend *be)
{
	sem_post(&((struct loop *)be)->bell);
}

static int loop_init(struct weir_backend *be, const struct weir_backend_config *cfg)
{
	(void)cfg;
	return sem_init(&((struct loop *)be)->bell, 0, 0);
}

static void loop_fini(struct weir_backend *be)
{
	sem_destroy(&((struct loop *)be)->bell);
}

static int loop_attach(struct weir_backend *be, struct weir_handle *h,
		       const struct weir_handle_spec *spec)
{
	(void)be, (void)h;
	return spec->kind == WEIR_HANDLE_STREAM ? 0 : -EOPNOTSUPP;
}

static void loop_detach(struct weir_backend *be, struct weir_handle *h)
{
	sweep(be, h, NULL);
	weir_backend_detached(h);
}

/* clang-format off */
static const struct weir_backend_ops loop_backend = {
	.name = "loop", .abi = WEIR_BACKEND_ABI, .caps = WEIR_CAP_STREAM,
	.instance_bytes = sizeof(struct loop), .init = loop_init, .fini = loop_fini,
	.attach = loop_attach, .detach = loop_detach, .submit = loop_submit,
	.poll = loop_poll, .cancel = loop_cancel, .wake = loop_wake,
};
/* clang-format on */

static int talk(void *arg)
{
	char text[32] = "";
	struct weir_tcp *conn;
	int rc = weir_tcp_connect(arg, WEIR_FOREVER, &conn);

	if (rc < 0)
		return rc;
	weir_tcp_send(conn, "hello, backend", 15);
	rc = weir_tcp_recv(conn, text, sizeof(text));
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
