/* SPDX-License-Identifier: MIT */
/*
 * plain_calls.h: hot system calls without the C library's cancellation points. In a
 * process with threads, such a point costs two atomic operations per call (about 25 ns)
 * to support pthread_cancel, which weir does not use.
 *
 * Sanitizers intercept the C library's functions, so sanitizer builds use those.
 */
#ifndef WEIR_BACKENDS_PLAIN_CALLS_H
#define WEIR_BACKENDS_PLAIN_CALLS_H

#include <sys/socket.h>
#include <sys/types.h>

#include "core/sanitizer.h"

#if defined(__linux__) && !WEIR__ASAN && !WEIR__TSAN
#include <sys/syscall.h>
#include <unistd.h>
#endif

static inline ssize_t weir__plain_recv(int fd, void *buf, size_t len, int flags)
{
#if defined(SYS_recvfrom) && !WEIR__ASAN && !WEIR__TSAN
	return syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
#else
	return recv(fd, buf, len, flags);
#endif
}

static inline ssize_t weir__plain_send(int fd, const void *buf, size_t len, int flags)
{
#if defined(SYS_sendto) && !WEIR__ASAN && !WEIR__TSAN
	return syscall(SYS_sendto, fd, buf, len, flags, NULL, 0);
#else
	return send(fd, buf, len, flags);
#endif
}

#endif
