/* SPDX-License-Identifier: MIT */
/*
 * libkqueue.c: works around bugs in libkqueue, which emulates kqueue on Linux, so that the tests
 * can run over it. A program that links this file makes libkqueue call these two functions instead
 * of the C library's:
 *
 *  - epoll_wait. With room for n kevents libkqueue fetches n epoll events. Each may become two
 *    kevents, and those that do not fit are lost. This function returns at most half as many.
 *  - getsockopt. libkqueue reads SO_ERROR to report a socket's error in an event. Reading clears
 *    the error, so that the next call on the socket sees an end of stream. This function reports
 *    to libkqueue that there is no error, and leaves it in place.
 *
 * A real kqueue does neither. libkqueue also starts threads and opens descriptors at its first use
 * and keeps them, and it closes some descriptors late. For the leak check, a kqueue is therefore
 * opened before each test and left open.
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
	/* Like epoll_wait, this is a cancellation point: newer versions of libkqueue rely on it. */
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
