/* SPDX-License-Identifier: MIT */
/*
 * socket.h: the socket calls that kernel backends share: creating, adopting, accepting and
 * connecting a descriptor, and its options. No function waits, and none depends on how a
 * backend reports readiness or completion.
 */
#ifndef WEIR_BACKENDS_SOCKET_H
#define WEIR_BACKENDS_SOCKET_H

#include <errno.h>

#include "weir/backend.h"

/*
 * A non-blocking call that fails for a temporary reason is repeated, up to this many calls. There
 * is a limit because a filter can make a call fail always. After the last try the error is
 * returned.
 */
#define WEIR__TRIES 16u

/* After a failed call: whether it was interrupted and should be repeated. */
static inline bool weir__socket_again(unsigned *tries)
{
	return errno == EINTR && ++*tries < WEIR__TRIES;
}

/*
 * Open or adopt the descriptor of a spec: non-blocking, close-on-exec, and bound and listening if
 * requested. An adopted descriptor belongs to the backend only on success. A foreign one is only
 * checked (-EPERM for a file or a directory). *ret_tcp: whether it is a TCP socket.
 */
int weir__socket_open(const struct weir_handle_spec *spec, int *ret_fd, bool *ret_tcp);

/* Whether an errno of accept concerns one connection in the queue, and not the listener. */
bool weir__socket_died(int err);
/*
 * Accept the next live connection. Returns it, -EAGAIN, or an error, also after WEIR__TRIES dead
 * ones.
 */
int weir__socket_accept(int fd);

/*
 * Returns 0: connected; -EINPROGRESS: wait until writable, then weir__socket_connected; or an
 * error.
 */
int weir__socket_connect(int fd, const struct sockaddr *addr, socklen_t len);
/* Returns 0, -EINPROGRESS to keep waiting, or the error of the connection. */
int weir__socket_connected(int fd);

/* Apply an enum weir_control to a handle's descriptor; -EINVAL if len does not match the value. */
int weir__socket_control(struct weir_handle *h, enum weir_control what, void *value, size_t len);

/*
 * The result of a stream's receive that got no bytes, where err is 0 (end of stream) or a negative
 * errno, or of a send that failed. Every such operation calls this.
 *
 * The kernel reports a broken connection only once, to the first call; later calls see an end of
 * stream. Without this function, a receive after or beside a failed send would take a truncated
 * stream for a complete one. Here an end becomes -ECONNRESET if the connection is gone, unless the
 * peer's end came first, or this side has sent its end too: then the connection ended normally.
 */
int weir__socket_end(struct weir_handle *h, int err);
/* After adopting a stream or listener: find out whether it has sent its end, and its SO_LINGER. */
void weir__socket_adopted(struct weir_handle *h);

void weir__socket_close(int fd);
/* Close a handle's descriptor and clear it. Never waits, also with SO_LINGER. */
void weir__socket_close_handle(struct weir_handle *h);

/* Whether closing a stream would reset it: because of unread bytes, or of SO_LINGER with 0. */
bool weir__socket_resets(int fd);
/* Make the close reset the stream. */
void weir__socket_will_reset(int fd);
/* Reset the stream now; operations that wait on the socket end. */
void weir__socket_reset(int fd);

#endif
