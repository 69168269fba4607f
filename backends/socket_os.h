/* SPDX-License-Identifier: MIT */
/*
 * socket_os.h: how each system makes a socket that neither blocks nor is inherited
 * by what is executed, and that answers EPIPE without a signal; and how several
 * listeners have one port. socket_linux.c or socket_darwin.c; for socket.c and
 * try.c only.
 */
#ifndef WEIR_BACKENDS_SOCKET_OS_H
#define WEIR_BACKENDS_SOCKET_OS_H

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "weir/backend.h"

/* A stream socket, or -errno. */
int weir__socket_new(int family);
/* The next of a listener's queue, or -errno. */
int weir__socket_next(int fd);
/* The address of the peer, where the system tells it also when that has reset. 0 or -errno. */
int weir__socket_peer(int fd, struct sockaddr *ret_addr, socklen_t *len);
/* For a descriptor that was made elsewhere. 0 or -errno. */
int weir__socket_no_signal(int fd);

/* Whether a TCP stream has sent its end, or its connection is gone. */
bool weir__socket_end_sent(int fd);

/* WEIR_CTL_SHARE_PORT and WEIR_CTL_STEER: 0 or -errno; -EOPNOTSUPP where the system cannot. */
int weir__socket_share_port(int fd);
int weir__socket_steer(int fd, const struct weir_steering *steering);

/*
 * Where the flag was not always there, no_signal says it once and for all. Seconds before the
 * first probe have a name of their own there too.
 */
#ifdef __APPLE__
#define WEIR__MSG_NOSIGNAL 0
#define WEIR__TCP_KEEPIDLE TCP_KEEPALIVE
#else
#define WEIR__MSG_NOSIGNAL MSG_NOSIGNAL
#define WEIR__TCP_KEEPIDLE TCP_KEEPIDLE
#endif

#endif
