/* SPDX-License-Identifier: MIT */
/*
 * socket.h: the socket calls that kernel backends share: making, adopting and
 * accepting a descriptor, connecting it, its options. Nothing here waits, and
 * nothing knows how readiness or completion is told.
 */
#ifndef WEIR_BACKENDS_SOCKET_H
#define WEIR_BACKENDS_SOCKET_H

#include <errno.h>

#include "weir/backend.h"

/*
 * A call that does not wait, and fails for a reason that passes, is made again; so often at the
 * most, because a filter can let a call fail in any way, and for good. Then the reason is the answer.
 */
#define WEIR__TRIES 16u

/* After a call that failed: whether it was interrupted, and is to be made again. */
static inline bool weir__socket_again(unsigned *tries)
{
	return errno == EINTR && ++*tries < WEIR__TRIES;
}

/*
 * What the spec asks for: a non-blocking, close-on-exec descriptor, bound and listening where
 * that was asked. An adopted one is the backend's only on success; a foreign one is only looked
 * at (-EPERM: a file or a directory). *ret_tcp: whether it is a TCP socket (a stream without message boundaries inside).
 */
int weir__socket_open(const struct weir_handle_spec *spec, int *ret_fd, bool *ret_tcp);

/* Whether an errno of accept is that of one connection in the queue, not of the listener. */
bool weir__socket_died(int err);
/* The next connection that is alive, or -EAGAIN, or the error: of WEIR__TRIES in a row that died, too. */
int weir__socket_accept(int fd);

/* 0: connected. -EINPROGRESS: wait for writability, then weir__socket_connected. Else the error. */
int weir__socket_connect(int fd, const struct sockaddr *addr, socklen_t len);
/* 0, -EINPROGRESS (wait on), or why the connection failed. */
int weir__socket_connected(int fd);

/* enum weir_control on a handle's descriptor; -EINVAL when len is not that of the value. */
int weir__socket_control(struct weir_handle *h, enum weir_control what, void *value, size_t len);

/*
 * What a stream's receive answers that got nothing, err being 0 (the end) or the negative errno;
 * or a send that failed. Whatever they get, they ask.
 *
 * The system tells of a broken connection once, to the call that comes first; those after it find
 * an end. So a receive behind a failed send, or beside one, would take a torn stream for a
 * complete one. Here an end is -ECONNRESET where the connection is gone, unless the peer's end
 * came first, or this side has ended as well: then the system forgets it in good order.
 */
int weir__socket_end(struct weir_handle *h, int err);
/* Of a stream or a listener that is adopted: what it has sent before, and what its close would do. */
void weir__socket_adopted(struct weir_handle *h);

void weir__socket_close(int fd);
/* The same for a handle's own descriptor, which it has no more. Never waits, whatever SO_LINGER says. */
void weir__socket_close_handle(struct weir_handle *h);

/*
 * Whether closing a stream resets it: there are bytes that nobody received, or it does not linger.
 * will_reset makes it so; reset does it at once, and what waits on the socket ends.
 */
bool weir__socket_resets(int fd);
void weir__socket_will_reset(int fd);
void weir__socket_reset(int fd);

#endif
