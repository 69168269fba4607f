/* SPDX-License-Identifier: MIT */
/* calls.c: the list of system calls; see calls.h. Sorted by name. */
#include "tests/faults/calls.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

/* Reasons that several share. */
#define OF_TESTS "only the tests make this call, not the library"
#define OF_START "the C library makes this call when the process or a thread starts"
#define OF_SIGNAL "the way weir makes this call, its manual page names no error"
#define OF_SYNC "the C library's locks and threads abort when this call fails"

#define CALL(call, ...) { .name = #call, .number = SYS_##call, __VA_ARGS__ }

const struct faults_call faults_calls[] = {
	/* Errors that the kernel never returns in these places are left out: EAGAIN after
	 * readiness was reported, and EINTR where the call takes effect nevertheless. */
	CALL(accept4, .errors = { EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM,
				  EPROTO }),
#ifdef SYS_access
	CALL(access, .why_not = OF_TESTS),
#endif
#ifdef SYS_arch_prctl
	CALL(arch_prctl, .why_not = OF_START),
#endif
	CALL(bind, .errors = { EADDRINUSE, EADDRNOTAVAIL, EACCES, EPERM, ENOMEM }),
	CALL(brk,
	     .why_not = "the C library falls back to mmap; allocations fail separately"),
	CALL(chdir, .why_not = OF_TESTS),
	CALL(clock_gettime, .why_not = OF_SIGNAL),
	CALL(clock_nanosleep, .why_not = OF_TESTS),
	CALL(clone, .why_not = OF_TESTS),
	CALL(clone3, .errors = { EAGAIN, ENOMEM, EPERM }),
	CALL(close, .why_not = "Linux closes the descriptor even if it reports an error; a "
			       "descriptor that stays open would be a leak of this test"),
	CALL(connect, .errors = { ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EADDRNOTAVAIL, EAGAIN,
				  EACCES, EPERM, ENOBUFS }),
	CALL(dup, .why_not = OF_TESTS),
	CALL(epoll_create1, .errors = { EMFILE, ENFILE, ENOMEM }),
	CALL(epoll_ctl, .errors = { ENOMEM, ENOSPC, EPERM }),
#ifdef SYS_epoll_wait
	CALL(epoll_wait, .errors = { EINTR, EPERM }),
#endif
	CALL(epoll_pwait, .errors = { EINTR, EPERM }),
	CALL(epoll_pwait2, .errors = { EINTR, ENOSYS, EPERM }),
	CALL(eventfd2, .errors = { EMFILE, ENFILE, ENOMEM, ENODEV }),
	CALL(execve, .why_not = OF_TESTS),
	CALL(exit, .why_not = OF_SIGNAL),
	CALL(exit_group, .why_not = OF_SIGNAL),
	CALL(faccessat2, .why_not = OF_TESTS),
	CALL(fchdir, .why_not = OF_TESTS),
	CALL(fcntl, .errors = { EINVAL, EPERM }, .hwloc_leaks = true),
	CALL(futex, .why_not = OF_SYNC),
	CALL(getdents64, .errors = { EIO, ENOENT }),
#ifdef SYS_getpgrp
	CALL(getpgrp, .why_not = OF_TESTS),
#endif
	CALL(getpeername, .errors = { ENOBUFS }),
	CALL(getpid, .why_not = OF_SIGNAL),
	CALL(getrandom, .errors = { ENOSYS, EAGAIN }),
	CALL(getsockname, .errors = { ENOBUFS }),
	CALL(getsockopt, .errors = { ENOMEM, ENOPROTOOPT }),
	CALL(gettid, .why_not = OF_SIGNAL),
	CALL(io_uring_enter, .errors = { EAGAIN, EBUSY, EINTR, ENOMEM, EPERM }),
	CALL(io_uring_register, .errors = { ENOMEM, EINVAL, EPERM, EBUSY }),
	CALL(io_uring_setup, .errors = { ENOMEM, EPERM, ENOSYS, EMFILE, EINVAL }),
	CALL(ioctl, .errors = { ENOTTY, EPERM }),
	CALL(kill, .why_not = OF_TESTS),
	CALL(listen, .errors = { EADDRINUSE, EPERM }),
	CALL(lseek, .errors = { ESPIPE }),
	CALL(madvise, .errors = { ENOMEM, EAGAIN, EINVAL }),
	CALL(mbind, .errors = { EPERM, ENOMEM, ENOSYS }),
	CALL(membarrier, .errors = { EPERM, ENOSYS, ENOMEM }),
#ifdef SYS_mkdir
	CALL(mkdir, .why_not = OF_TESTS),
#endif
	CALL(mknodat, .why_not = OF_TESTS),
	CALL(mmap, .errors = { ENOMEM, EAGAIN, EPERM }),
	CALL(mprotect, .errors = { ENOMEM }),
	CALL(munmap, .why_not = "memory that stays mapped would be a leak of this test"),
	CALL(newfstatat, .errors = { ENOMEM, EACCES }, .hwloc_leaks = true),
	CALL(openat, .errors = { EMFILE, ENFILE, ENOMEM, EACCES, EINTR }),
	CALL(pipe2, .errors = { EMFILE, ENFILE }),
#ifdef SYS_poll
	CALL(poll, .errors = { EINTR, ENOMEM }),
#endif
	CALL(ppoll, .errors = { EINTR, ENOMEM }),
	CALL(prctl, .errors = { EINVAL, EPERM }),
	CALL(pread64, .why_not = OF_START),
	CALL(prlimit64, .errors = { EPERM }),
	CALL(read, .errors = { EINTR, EAGAIN, EIO }),
	CALL(recvfrom, .errors = { EINTR, ENOMEM, ECONNRESET, ETIMEDOUT }),
	CALL(recvmsg, .errors = { EINTR, ENOMEM, ECONNRESET }),
	CALL(restart_syscall, .why_not = OF_SIGNAL),
#ifdef SYS_rmdir
	CALL(rmdir, .why_not = OF_TESTS),
#endif
	CALL(rseq, .why_not = OF_START),
	CALL(rt_sigaction, .why_not = OF_SIGNAL),
	CALL(rt_sigprocmask, .why_not = OF_SYNC),
	CALL(rt_sigreturn, .why_not = OF_SIGNAL),
	CALL(sched_getaffinity, .errors = { EPERM }),
	CALL(sched_setaffinity, .errors = { EINVAL, EPERM }),
	CALL(sched_yield, .why_not = OF_SIGNAL),
	CALL(sendmsg, .errors = { EINTR, ENOBUFS, ENOMEM, ECONNRESET, EPIPE }),
	CALL(sendto, .errors = { EINTR, ENOBUFS, ENOMEM, ECONNRESET, EPIPE }),
	CALL(set_robust_list, .why_not = OF_START),
	CALL(set_tid_address, .why_not = OF_START),
	CALL(setpgid, .why_not = OF_TESTS),
	CALL(setsockopt, .errors = { ENOMEM, ENOPROTOOPT, EPERM, EINVAL }),
	CALL(shutdown, .errors = { ENOTCONN, ENOBUFS }),
	CALL(sigaltstack, .errors = { ENOMEM, EPERM }),
	CALL(socket, .errors = { EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT }),
	CALL(socketpair, .why_not = OF_TESTS),
	CALL(statx, .errors = { ENOMEM, EACCES, ENOSYS }),
	CALL(sysinfo, .why_not = OF_START),
	CALL(tgkill, .errors = { EAGAIN }),
	CALL(timer_create, .errors = { EAGAIN, ENOMEM, EPERM }),
	CALL(timer_delete, .why_not = "a timer that stays would be a leak of this test"),
	CALL(timer_settime, .errors = { EPERM }),
	CALL(uname, .why_not = OF_START),
#ifdef SYS_unlink
	CALL(unlink, .why_not = OF_TESTS),
#endif
	CALL(wait4, .why_not = OF_TESTS),
	CALL(write, .errors = { EINTR }),
};
const size_t faults_calls_len = sizeof faults_calls / sizeof faults_calls[0];

const struct faults_call *faults_call_numbered(int number)
{
	for (size_t i = 0; i < faults_calls_len; i++)
		if (faults_calls[i].number == number)
			return &faults_calls[i];
	return NULL;
}

const struct faults_call *faults_call_named(const char *name)
{
	for (size_t i = 0; i < faults_calls_len; i++)
		if (strcmp(faults_calls[i].name, name) == 0)
			return &faults_calls[i];
	return NULL;
}
