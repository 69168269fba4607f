/* SPDX-License-Identifier: MIT */
/*
 * scene.c: see scene.h. A send waits because it has more bytes than the connection buffers, and
 * nobody reads.
 */
#include <fcntl.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

#define RECV_BYTES 1000

uint32_t scene_caps(enum scene_kind kind)
{
	return kind == SCENE_LEASE ? WEIR_CAP_LEASE : kind == SCENE_POLL ? WEIR_CAP_FD : 0;
}

bool scene_possible(enum scene_kind kind)
{
	return !(scene_caps(kind) & ~env.caps);
}

const char *scene_name(enum scene_kind kind)
{
	static const char *const names[SCENE_KINDS] = {
		"an accept",	    "a connect",	"a receive",
		"a peek",	    "a leased receive", "a vectored receive",
		"an exact receive", "a send",		"a vectored send",
		"a leased send",    "a poll",
	};

	return names[kind];
}

static void two_pieces(struct scene *s)
{
	s->iov[0] = (struct iovec){ s->buf, s->len / 2 };
	s->iov[1] = (struct iovec){ s->buf + s->len / 2, s->len - s->len / 2 };
}

/* ---- the lender ---- */

static void take_back(struct weir_backend *be, struct weir_lease *lease)
{
	(void)lease;
	__atomic_fetch_sub(&((struct lender *)be)->out, 1, __ATOMIC_RELAXED);
}

static const struct weir_backend_ops lender_ops = { .name = "lender", .lease_return = take_back };

/* The lease of an operation that was never polled is still there. */
static void lend(struct scene *s)
{
	s->lender.base.ops = &lender_ops;
	if (!s->lease.data)
		__atomic_fetch_add(&s->lender.out, 1, __ATOMIC_RELAXED);
	s->lease = (struct weir_lease){ s->buf, (uint32_t)s->len, 0, &s->lender.base };
}

/* ---- operations ---- */

struct weir_future *scene_start(struct scene *s)
{
	struct weir_handle *handle = weir_tcp_handle(s->one);

	switch (s->kind) {
	case SCENE_ACCEPT:
		weir_accept_init(&s->accept, s->listener, &s->one);
		return &s->accept.future;
	case SCENE_CONNECT:
		weir_op_init_connect(&s->op, handle, &s->addr.u.sa, s->addr.len);
		break;
	case SCENE_RECV:
		weir_op_init_recv(&s->op, handle, s->buf, s->len, 0);
		break;
	case SCENE_PEEK:
		weir_op_init_recv(&s->op, handle, s->buf, s->len, WEIR_OP_PEEK);
		break;
	case SCENE_EXACT:
		weir_op_init_recv(&s->op, handle, s->buf, s->len, WEIR_OP_ALL);
		break;
	case SCENE_LEASE:
		weir_op_init_recv_lease(&s->op, handle, &s->lease);
		break;
	case SCENE_RECVV:
		two_pieces(s);
		weir_op_init_recvv(&s->op, handle, s->iov, 2);
		break;
	case SCENE_SEND:
		weir_op_init_send(&s->op, handle, s->buf, s->len, s->flags);
		break;
	case SCENE_SENDV:
		two_pieces(s);
		weir_op_init_sendv(&s->op, handle, s->iov, 2, s->flags);
		break;
	case SCENE_SEND_LEASE:
		lend(s);
		weir_op_init_send_lease(&s->op, handle, &s->lease);
		break;
	case SCENE_POLL:
		weir_op_init_poll(&s->op, weir_fd_handle(s->fd), WEIR_READABLE);
		break;
	case SCENE_KINDS:
		ck_abort();
	}
	return &s->op.future;
}

static void open_stream(struct scene *s)
{
	connected(&s->one, &s->other);
	s->len = RECV_BYTES;
	if (scene_sends(s->kind)) {
		s->len = LARGE_BYTES;
		s->flags = WEIR_OP_ALL;
	}
	s->buf = malloc(s->len);
	if (scene_sends(s->kind))
		pattern_fill(SCENE_OUT, 0, s->buf, s->len);
}

struct weir_future *scene_open(struct scene *s, enum scene_kind kind)
{
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	switch (kind) {
	case SCENE_ACCEPT:
		s->listener = open_listener(&s->addr);
		break;
	case SCENE_CONNECT:
		crowd_open(&s->crowd);
		s->addr = s->crowd.addr;
		OK(weir_tcp_new(AF_INET, &s->one));
		break;
	case SCENE_POLL:
		ck_assert_int_eq(pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC), 0);
		OK(weir_fd_open(s->pipe[0], &s->fd));
		break;
	default:
		open_stream(s);
	}
	return scene_start(s);
}

size_t scene_done(const struct scene *s)
{
	switch (s->kind) {
	case SCENE_RECV:
	case SCENE_PEEK:
	case SCENE_EXACT:
	case SCENE_SEND:
		return s->op.u.io.done;
	case SCENE_RECVV:
	case SCENE_SENDV:
		return s->op.u.iov.done;
	case SCENE_SEND_LEASE:
		return s->op.u.lease.done;
	default:
		return 0;
	}
}

/* Checks that the bytes sent before the operation ended arrive, and that the stream works. */
static void check_stream(struct scene *s)
{
	size_t done = scene_done(s);

	ck_assert_ptr_null(s->lease.data);
	if (scene_sends(s->kind)) {
		ck_assert_uint_lt(done, s->len);
		pattern_recv(s->other, SCENE_OUT, 0, done);
	} else {
		ck_assert_uint_eq(done, 0);
	}
	pattern_send(s->one, SCENE_OUT, done, 1000);
	pattern_recv(s->other, SCENE_OUT, done, 1000);
	pattern_send(s->other, SCENE_IN, 0, 1000);
	pattern_recv(s->one, SCENE_IN, 0, 1000);
}

void scene_check(struct scene *s)
{
	char byte;

	switch (s->kind) {
	case SCENE_CONNECT:
		break;
	case SCENE_ACCEPT:
		weir_accept_fini(&s->accept);
		ck_assert_ptr_null(s->one);
		OK(weir_tcp_connect_addr(&s->addr, WEIR_FOREVER, &s->one));
		OK(weir_listener_accept(s->listener, &s->other));
		break;
	case SCENE_POLL:
		ck_assert_int_eq((int)write(s->pipe[1], "x", 1), 1);
		ck_assert_int_eq(weir_fd_wait(s->fd, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
		ck_assert_int_eq((int)read(s->pipe[0], &byte, 1), 1);
		break;
	default:
		check_stream(s);
	}
}

void scene_close(struct scene *s)
{
	weir_listener_close(s->listener);
	s->listener = NULL;
	weir_fd_close(s->fd);
	s->fd = NULL;
	weir_tcp_close(s->one);
	s->one = NULL;
}

void scene_reset(struct scene *s)
{
	weir_tcp_reset(s->one);
	s->one = NULL;
}

void scene_fini(struct scene *s)
{
	if (s->kind == SCENE_ACCEPT)
		weir_accept_fini(&s->accept);
	scene_close(s);
	weir_tcp_close(s->other);
	if (s->kind == SCENE_CONNECT)
		crowd_close(&s->crowd);
	if (s->kind == SCENE_POLL) {
		close(s->pipe[0]);
		close(s->pipe[1]);
	}
	if (s->kind == SCENE_SEND_LEASE) {
		weir_lease_return(&s->lease);
		ck_assert_int_eq(__atomic_load_n(&s->lender.out, __ATOMIC_RELAXED), 0);
	}
	free(s->buf);
}
