/* SPDX-License-Identifier: MIT */
/*
 * libkqueue.c: the repairs without which the tests could not run over libkqueue,
 * which is what kqueue is on Linux. A program that includes this file's object gives
 * libkqueue these two instead of the C library's:
 *
 *  - epoll_wait. For room for n events libkqueue fetches n, each of which may become
 *    two, and drops what then has no room. It gets half as many.
 *  - getsockopt. To tell a socket's error in an event it asks for it, and with that the
 *    socket has forgotten it, so that the next call on it sees no more than an end. It
 *    is told that there is no error.
 *
 * The real one does neither. Nor does it keep threads and descriptors from its first use
 * on, nor close descriptors some time after it was told to: so one is opened before a
 * test, and stays.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/testing.h"

#define IN_PLACE_OF_LIBC __attribute__((visibility("default")))

static bool is_in_libkqueue(void *address)
{
	Dl_info info;

	return dladdr(address, &info) && info.dli_fname && strstr(info.dli_fname, "libkqueue");
}

void testing_use_libkqueue(void)
{
	ck_assert_int_ge(kqueue(), 0);
}

IN_PLACE_OF_LIBC int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	/* Where a thread may be cancelled, as in the one whose place it takes: newer ones do that. */
	return epoll_pwait(epfd, events, max > 1 ? max / 2 : 1, timeout, NULL);
}

IN_PLACE_OF_LIBC int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (level == SOL_SOCKET && name == SO_ERROR && *len == sizeof(int) &&
	    is_in_libkqueue(__builtin_return_address(0))) {
		memset(value, 0, sizeof(int));
		return 0;
	}
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}
