/* SPDX-License-Identifier: MIT */
/* socket_linux.c: see socket_os.h. The flags go with the call. */
#define _GNU_SOURCE
#include "backends/socket_os.h"

#include <errno.h>
#include <stddef.h>

int weir__socket_new(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : -errno;
}

int weir__socket_next(int fd)
{
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return conn >= 0 ? conn : -errno;
}

/* Each send says so. */
int weir__socket_no_signal(int fd)
{
	(void)fd;
	return 0;
}
