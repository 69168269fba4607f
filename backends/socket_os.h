/* SPDX-License-Identifier: MIT */
/*
 * socket_os.h: what differs between systems: how to create a non-blocking, close-on-exec
 * socket that returns EPIPE without a signal, and how several listeners share a port.
 * Implemented in socket_linux.c or socket_darwin.c; only for socket.c and try.c.
 */
#ifndef WEIR_BACKENDS_SOCKET_OS_H
#define WEIR_BACKENDS_SOCKET_OS_H

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "weir/backend.h"

/* Create a stream socket. Returns it or -errno. */
int weir__socket_new(int family);
/* Accept the next connection of a listener. Returns it or -errno. */
int weir__socket_next(int fd);
/* The address of the peer; on Linux also after the peer has reset. 0 or -errno. */
int weir__socket_peer(int fd, struct sockaddr *ret_addr, socklen_t *len);
/* Switch SIGPIPE off for an adopted descriptor. 0 or -errno. */
int weir__socket_no_signal(int fd);

/* Whether a TCP stream has sent its end, or its connection is gone. */
bool weir__socket_end_sent(int fd);

/*
 * WEIR_CTL_SHARE_PORT and WEIR_CTL_STEER. 0 or -errno; -EOPNOTSUPP if the system does not support
 * it.
 */
int weir__socket_share_port(int fd);
int weir__socket_steer(int fd, const struct weir_steering *steering);

/*
 * macOS has no MSG_NOSIGNAL; weir__socket_no_signal sets a socket option instead. The option for
 * the time before the first keep-alive probe also has another name there.
 */
#ifdef __APPLE__
#define WEIR__MSG_NOSIGNAL 0
#define WEIR__TCP_KEEPIDLE TCP_KEEPALIVE
#else
#define WEIR__MSG_NOSIGNAL MSG_NOSIGNAL
#define WEIR__TCP_KEEPIDLE TCP_KEEPIDLE
#endif

#endif
