/* SPDX-License-Identifier: MIT */
/*
 * handle.c: the life of a handle: attach, its home, detach.
 *
 * Detach cancels the waiting ops and this ring's requests. Requests on other rings end
 * because the socket is shut down or reset. Dropping the last reference closes the
 * descriptor. Closing it earlier would neither complete those requests nor send the end
 * to the peer.
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

void weir__uring_handle_hold(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);

	if (WEIR_LIKELY(u->alone))
		weir__store(&s->refs, s->refs + 1, WEIR_RELAXED);
	else
		weir__fetch_add(&s->refs, 1u, WEIR_RELAXED);
}

void weir__uring_handle_drop(struct uring *u, struct weir_handle *h)
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
	if (kind != WEIR_HANDLE_STREAM)
		h->homed = WEIR_HOMED_READS;
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

/* ---- detach ---- */

static void list_closing(struct uring *u, struct weir_handle *h)
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

/* Cancel the POLL ops of a foreign descriptor, which are all in the kernel. */
static void cancel_polls(struct uring *u, struct uring_handle *s)
{
	struct weir_op *last = s->waiters, *op = last;

	while (op) {
		op = op->next;
		weir__uring_cancel_request(u, (uint64_t)(uintptr_t)op);
		if (op == last)
			break;
	}
}

/*
 * Set CLOSING and take a reference until detach is done, because others may drop theirs in the
 * meantime. Returns the previous value. Pairs with the drops.
 */
static uint32_t mark_closing(struct uring *u, struct uring_handle *s)
{
	uint32_t refs;

	if (!u->alone)
		return weir__fetch_add(&s->refs, CLOSING + 1, WEIR_ACQ_REL);
	refs = s->refs;
	s->refs = refs + CLOSING + 1;
	return refs;
}

/* A shutdown sends an end of stream, so a stream whose close would reset it is reset instead. */
static void end_elsewhere(int fd)
{
	if (weir__socket_resets(fd))
		weir__socket_reset(fd);
	else
		(void)shutdown(fd, SHUT_RDWR);
}

/*
 * End all ops of a handle. With one worker, its ring has them all and a cancel is enough: a part
 * that completes just before is not continued for a closing handle (weir__uring_transfer_done). A
 * zero-copy send is different: its bytes are in use until the socket has dropped them, and a peer
 * that does not read delays that without limit, unless the socket is reset.
 */
static void end_ops(struct uring *u, struct weir_handle *h)
{
	weir__uring_cancel_fd(u, h->fd);
	if ((u->alone && !u->options.zero_copy_bytes) || h->kind != WEIR_HANDLE_STREAM)
		return;
	weir__count_syscalls(u->base.worker, 2);
	/* The handle is closing by now. Pairs with the fence in lend, in send.c. */
	weir__fence(WEIR_SEQ_CST);
	if (weir__load(&state_of(h)->lent, WEIR_RELAXED))
		weir__socket_reset(h->fd);
	else
		end_elsewhere(h->fd);
}

/* Whether the handle is still in the list; h itself may be gone and is not read. */
static bool is_ending(const struct uring *u, const struct weir_handle *h)
{
	struct weir_handle *at = u->closing;

	while (at && at != h)
		at = state_of(at)->next;
	return at != NULL;
}

/*
 * The port must be free when detach returns, not a turn later, so wait for the end of the accept
 * request. Each call runs about twenty of the ring's deferred tasks, and that end is the last one.
 */
static void end_listening(struct uring *u, const struct weir_handle *h)
{
	int n;

	do
		n = weir__uring_turn(u, 0, u->idle_events);
	while (is_ending(u, h) && (n > 0 || (n == 0 && weir__uring_has_deferred(u))));
}

/* Called on the handle's home. */
void weir__uring_detach(struct weir_backend *be, struct weir_handle *h)
{
	struct uring *u = uring_of(be);
	struct uring_handle *s = state_of(h);
	bool armed = s->flags & ARMED, listens;
	uint32_t refs;

	weir__uring_forget_direct(u, h);
	if (h->kind == WEIR_HANDLE_FOREIGN) {
		cancel_polls(u, s);
	} else {
		/* The kernel counts the queued bytes as received, so a close would not reset. */
		if (h->kind == WEIR_HANDLE_STREAM && s->queued)
			weir__socket_will_reset(h->fd);
		weir__uring_fail_waiters(s, -ECANCELED);
		weir__uring_recv_forget(u, s);
		weir__uring_accept_forget(h);
	}
	refs = mark_closing(u, s);
	if (armed) {
		weir__uring_cancel_request(
			u, (uint64_t)(uintptr_t)h |
				   (h->kind == WEIR_HANDLE_LISTENER ? TAG_ACCEPT : TAG_RECV));
		list_closing(u, h);
	}
	if (h->kind == WEIR_HANDLE_LISTENER) {
		free(s->fds);
		s->fds = NULL;
	}
	if (refs > armed && h->kind != WEIR_HANDLE_FOREIGN)
		end_ops(u, h);
	listens = h->kind == WEIR_HANDLE_LISTENER;
	weir__uring_handle_drop(u, h);
	if (armed && listens)
		end_listening(u, h);
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
