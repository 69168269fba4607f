/* SPDX-License-Identifier: MIT */
/*
 * detach.c: how a handle is closed.
 *
 * Detach cancels the waiting ops and this ring's requests. Requests on other rings end
 * because the socket is shut down or reset. Dropping the last reference closes the
 * descriptor. Closing it earlier would neither complete those requests nor send the end
 * to the peer.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "backends/iouring/iouring.h"
#include "backends/socket.h"
#include "core/worker.h"

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
		weir__uring_list_closing(u, h);
	}
	if (h->kind == WEIR_HANDLE_LISTENER) {
		free(s->fds);
		s->fds = NULL;
	}
	if (refs > armed && h->kind != WEIR_HANDLE_FOREIGN)
		end_ops(u, h);
	listens = h->kind == WEIR_HANDLE_LISTENER;
	weir__uring_handle_unref(u, h);
	if (armed && listens)
		end_listening(u, h);
}
