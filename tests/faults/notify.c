/* SPDX-License-Identifier: MIT */
/*
 * notify.c: see notify.h.
 *
 * The child installs the filter on itself and stores the number of the listening descriptor in a
 * shared page. It must make no system call then: the filter would stop it until the parent decides,
 * and the parent does not have the descriptor yet. The child spins until the parent has copied the
 * descriptor (pidfd_getfd), then closes its own and runs the body.
 */
#include "tests/faults/notify.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS_MAX 200

struct handshake {
	_Atomic int listener;		/* the child's descriptor; 0: unknown; negative: errno */
	_Atomic bool taken;
};

static int install_filter(const struct notify_calls *calls)
{
	struct sock_filter code[CALLS_MAX + 3];
	uint32_t listed = calls->others ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
	uint32_t other = calls->others ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
	struct sock_fprog program = { .filter = code };
	unsigned len = 0;

	if (calls->len > CALLS_MAX)
		return -E2BIG;
	code[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < calls->len; i++)
		code[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (uint32_t)calls->numbers[i],
							   (uint8_t)(calls->len - i), 0);
	code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, other);
	code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
	program.len = (unsigned short)len;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	len = (unsigned)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return (int)len < 0 ? -errno : (int)len;
}

static void run_child(struct handshake *shake, const struct notify_calls *calls,
		      int (*body)(void *), void *arg)
{
	int listener = install_filter(calls);

	atomic_store(&shake->listener, listener);
	if (listener < 0)
		_exit(125);
	while (!atomic_load(&shake->taken))
		;
	close(listener);
	exit(body(arg));
}

/* Copies the child's listening descriptor into this process. */
static int take_listener(struct handshake *shake, pid_t child)
{
	int number, pidfd, listener;

	while ((number = atomic_load(&shake->listener)) == 0)
		;
	if (number < 0)
		return number;
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	listener = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (listener < 0)
		listener = -errno;
	if (pidfd >= 0)
		close(pidfd);
	atomic_store(&shake->taken, listener >= 0);
	return listener;
}

/*
 * Decides on one call. Returns 0, or -EOVERFLOW from decide. A caller that has died needs no
 * answer.
 */
static int answer(int listener, notify_fn decide, void *arg)
{
	struct seccomp_notif call;
	struct seccomp_notif_resp reply;
	int error;

	memset(&call, 0, sizeof call);
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return 0;
	error = decide(arg, call.data.nr);
	if (error == -EOVERFLOW)
		return error;
	memset(&reply, 0, sizeof reply);
	reply.id = call.id;
	if (error > 0)
		reply.error = -error;
	else
		reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Decides on calls until the last filtered process is gone. Returns 0, -ETIMEDOUT or -EOVERFLOW. */
static int serve(int listener, notify_fn decide, void *arg, unsigned limit_s)
{
	uint64_t end = now_ms() + (uint64_t)limit_s * 1000;
	struct pollfd fd = { .fd = listener, .events = POLLIN };

	for (;;) {
		uint64_t now = now_ms();
		int rc;

		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&fd, 1, (int)(end - now)) < 0 && errno != EINTR)
			return -errno;
		if (fd.revents & POLLIN) {
			rc = answer(listener, decide, arg);
			if (rc < 0)
				return rc;
		} else if (fd.revents & POLLHUP) {
			return 0;
		}
	}
}

/*
 * Ends the child by SIGABRT, for the sake of a core dump or a sanitizer's report with its stacks.
 */
static int end_child(pid_t child, int rc)
{
	int status = 0;

	if (rc < 0)
		kill(child, rc == -ETIMEDOUT || rc == -EOVERFLOW ? SIGABRT : SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return rc < 0 ? rc : status;
}

int notify_run(const struct notify_calls *calls, int (*body)(void *), void *body_arg,
	       notify_fn decide, void *decide_arg, unsigned limit_s)
{
	struct handshake *shake = mmap(NULL, sizeof *shake, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int listener, rc;
	pid_t child;

	if (shake == MAP_FAILED)
		return -errno;
	child = fork();
	if (child < 0) {
		rc = -errno;
		munmap(shake, sizeof *shake);
		return rc;
	}
	if (child == 0)
		run_child(shake, calls, body, body_arg);
	listener = take_listener(shake, child);
	rc = listener < 0 ? listener : serve(listener, decide, decide_arg, limit_s);
	if (listener >= 0)
		close(listener);
	rc = end_child(child, rc);
	munmap(shake, sizeof *shake);
	return rc;
}
