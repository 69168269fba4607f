/* SPDX-License-Identifier: MIT */
/*
 * handle.c: a handle: attaching it, its references, its home and the ops that wait
 * on it. detach.c closes it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backends/iouring/iouring.h"
#include "backends/socket.h"
#include "core/assert.h"
#include "core/worker.h"

/* ---- lists of waiting ops ---- */

struct weir_op *weir__uring_first_waiter(const struct uring_handle *s)
{
	return s->waiters ? s->waiters->next : NULL;
}

void weir__uring_append_waiter(struct uring_handle *s, struct weir_op *op)
{
	op->next = s->waiters ? s->waiters->next : op;
	if (s->waiters)
		s->waiters->next = op;
	s->waiters = op;
}

bool weir__uring_remove_waiter(struct uring_handle *s, struct weir_op *op)
{
	struct weir_op *before = s->waiters;

	if (!before)
		return false;
	while (before->next != op) {
		before = before->next;
		if (before == s->waiters)
			return false;
	}
	before->next = op->next;
	if (s->waiters == op)
		s->waiters = before == op ? NULL : before;
	op->next = NULL;
	return true;
}

void weir__uring_fail_waiters(struct uring_handle *s, int res)
{
	struct weir_op *op;

	while ((op = weir__uring_first_waiter(s)) != NULL) {
		weir__uring_remove_waiter(s, op);
		weir_backend_complete(op, res);
	}
}

/* ---- references ---- */

static void close_handle(struct uring *u, struct weir_handle *h)
{
	if (h->kind != WEIR_HANDLE_FOREIGN) {
		weir__count_syscalls(u->base.worker, 1);
		weir__socket_close_handle(h);
	}
	h->fd = -1;
	weir_backend_detached(h);
}

void weir__uring_handle_ref(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);

	if (WEIR_LIKELY(u->alone))
		weir__store(&s->refs, s->refs + 1, WEIR_RELAXED);
	else
		weir__fetch_add(&s->refs, 1u, WEIR_RELAXED);
}

void weir__uring_handle_unref(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);
	uint32_t left;

	WEIR_ASSERT((weir__load(&s->refs, WEIR_RELAXED) & ~CLOSING) > 0);
	if (WEIR_LIKELY(u->alone)) {
		left = s->refs - 1;
		weir__store(&s->refs, left, WEIR_RELAXED);
	} else {
		/* Pairs with itself and with mark_closing: the closer sees what the others did. */
		left = weir__fetch_sub(&s->refs, 1u, WEIR_ACQ_REL) - 1;
	}
	if (WEIR_UNLIKELY(left == CLOSING))
		close_handle(u, h);
}

void weir__uring_finish(struct uring *u, struct weir_op *op, int res)
{
	struct weir_handle *h = op->handle;

	weir_backend_complete(op, uring_result(h, res));
	weir__uring_handle_unref(u, h);
}

bool weir__uring_handle_adopt(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);
	uint32_t none = 0;

	/* The stream's slot is in another ring's descriptor table. */
	if (u->options.direct)
		return false;
	/* Pairs with the drop of the last request. */
	if (!weir__cas(&s->refs, &none, 1u, WEIR_ACQ_REL, WEIR_RELAXED))
		return false;
	weir__store(&h->backend, &u->base, WEIR_RELAXED);
	s->small_reads = 0;
	return true;
}

/* ---- attach ---- */

/* Take a slot in the descriptor table; if there is none, the descriptor is used. */
static void take_direct(struct uring *u, struct weir_handle *h)
{
	uint32_t number;

	if (!u->direct_len)
		return;
	number = u->direct[--u->direct_len];
	weir__count_syscalls(u->base.worker, 1);
	if (io_uring_register_files_update(&u->ring, number, &h->fd, 1) == 1)
		state_of(h)->direct = number + 1;
	else
		u->direct[u->direct_len++] = number;
}

void weir__uring_forget_direct(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);
	int none = -1;

	if (h->kind != WEIR_HANDLE_STREAM || !s->direct)
		return;
	weir__count_syscalls(u->base.worker, 1);
	if (io_uring_register_files_update(&u->ring, s->direct - 1, &none, 1) == 1)
		u->direct[u->direct_len++] = s->direct - 1;
	s->direct = 0;
}

void weir__uring_name(struct uring *u, struct weir_handle *h, struct io_uring_sqe *sqe)
{
	struct uring_handle *s = state_of(h);

	if (WEIR_LIKELY(!u->options.direct) || h->kind != WEIR_HANDLE_STREAM || !s->direct ||
	    !is_home(u, h))
		return;
	sqe->fd = (int)s->direct - 1;
	sqe->flags |= IOSQE_FIXED_FILE;
}

void weir__uring_handle_make(struct uring *u, struct weir_handle *h, int fd,
			     enum weir_handle_kind kind)
{
	memset(h, 0, sizeof(*h));
	h->backend = &u->base;
	h->fd = fd;
	h->kind = (uint8_t)kind;
	h->homed = uring_homed_writes(u);
	if (kind != WEIR_HANDLE_STREAM)
		h->homed |= WEIR_HOMED_READS;
	else
		take_direct(u, h);
}

int weir__uring_attach(struct weir_backend *be, struct weir_handle *h,
		       const struct weir_handle_spec *spec)
{
	struct uring *u = uring_of(be);
	struct uring_fds *fds = NULL;
	bool tcp;
	int fd, rc;

	if (spec->kind == WEIR_HANDLE_LISTENER) {
		fds = calloc(1, sizeof(*fds));
		if (!fds)
			return -ENOMEM;
	}
	weir__count_syscalls(be->worker, 1);
	rc = weir__socket_open(spec, &fd, &tcp);
	if (rc < 0) {
		free(fds);
		return rc;
	}
	weir__uring_handle_make(u, h, fd, spec->kind);
	if (fds)
		state_of(h)->fds = fds;
	if (spec->kind == WEIR_HANDLE_LISTENER && spec->fd >= 0)
		state_of(h)->flags = ADOPTED;
	if (spec->kind != WEIR_HANDLE_FOREIGN && spec->fd >= 0)
		weir__socket_adopted(h);
	return 0;
}

int weir__uring_control(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
			void *value, size_t len)
{
	(void)be;
	weir__count_syscalls(weir__worker_current(), 1);
	return weir__socket_control(h, what, value, len);
}

/* ---- the list of detached handles ---- */

void weir__uring_list_closing(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);

	s->prev = NULL;
	s->next = u->closing;
	if (u->closing)
		state_of(u->closing)->prev = h;
	u->closing = h;
}

void weir__uring_unlist_closing(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);

	if (s->next)
		state_of(s->next)->prev = s->prev;
	if (s->prev)
		state_of(s->prev)->next = s->next;
	else
		u->closing = s->next;
}

/*
 * Close handles whose request ends with the ring. The kernel takes a ring down some time after its
 * close, and holds the sockets until then. A shutdown makes a listener stop listening at once, so
 * that its port is free; not for an adopted one, because other processes may have it too.
 */
void weir__uring_handles_fini(struct uring *u)
{
	while (u->closing) {
		struct weir_handle *h = u->closing;

		if (h->kind == WEIR_HANDLE_LISTENER && !(state_of(h)->flags & ADOPTED))
			(void)shutdown(h->fd, SHUT_RDWR);
		weir__uring_unlist_closing(u, h);
		close_handle(u, h);
	}
}
