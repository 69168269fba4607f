/* SPDX-License-Identifier: MIT */
/*
 * socket_darwin.c: see socket_os.h. macOS needs further calls to set the flags, so a child
 * that is forked and executed in between may inherit the descriptor.
 */
#include "backends/socket_os.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp_fsm.h>
#include <stddef.h>
#include <unistd.h>

int weir__socket_no_signal(int fd)
{
	int on = 1;

	/* It fails if the descriptor is not a socket, or if the peer is gone. */
	if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)) < 0 && errno != ENOTSOCK)
		return -errno;
	return 0;
}

/* Set the flags of a new socket; if that fails, close it. */
static int prepare(int fd)
{
	int err = 0;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		err = -errno;
	if (err == 0)
		err = weir__socket_no_signal(fd);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

int weir__socket_new(int family)
{
	int fd = socket(family, SOCK_STREAM, 0);

	return fd >= 0 ? prepare(fd) : -errno;
}

int weir__socket_next(int fd)
{
	int conn = accept(fd, NULL, NULL);

	if (conn < 0)
		return -errno;
	conn = prepare(conn);
	/* The peer has already reset it. */
	return conn == -EINVAL ? -ECONNABORTED : conn;
}

int weir__socket_peer(int fd, struct sockaddr *ret_addr, socklen_t *len)
{
	return getpeername(fd, ret_addr, len) == 0 ? 0 : -errno;
}

bool weir__socket_end_sent(int fd)
{
	struct tcp_connection_info info = { .tcpi_state = TCPS_ESTABLISHED };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_CONNECTION_INFO, &info, &len) == 0 &&
	       (info.tcpi_state == TCPS_CLOSED || info.tcpi_state > TCPS_CLOSE_WAIT);
}

/* macOS has SO_REUSEPORT, but gives all connections to one of the listeners. */
int weir__socket_share_port(int fd)
{
	(void)fd;
	return -EOPNOTSUPP;
}

int weir__socket_steer(int fd, const struct weir_steering *steering)
{
	(void)fd;
	(void)steering;
	return -EOPNOTSUPP;
}
