/* SPDX-License-Identifier: MIT */
/* backends_rig.c: see backends_rig.h. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "core/worker.h"
#include "tests/unit/backends_rig.h"

/* ---- counting system calls, and making them fail ------------------------------------------ */

unsigned calls[CALLS];
static int fail_errno[CALLS];
static unsigned fail_times[CALLS];

long (*raw)(long number, ...);

static __attribute__((constructor)) void find_raw(void)
{
	raw = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

void (*meanwhile)(void);
void (*meanwhile_found)(void);

static bool fails(enum call what)
{
	weir__fetch_add(&calls[what], 1u, WEIR_RELAXED);
	if (fail_times[what] == 0)
		return false;
	fail_times[what]--;
	errno = fail_errno[what];
	return true;
}

void fail_next(enum call what, int err, unsigned times)
{
	fail_errno[what] = err;
	fail_times[what] = times;
}

/* Calls the hooks that run after a system call, before the backend sees its result. */
static ssize_t found(ssize_t n)
{
	void (**hook)(void) = n > 0 ? &meanwhile_found : &meanwhile;
	void (*interfere)(void) = *hook;

	if (interfere && (n >= 0 || errno == EAGAIN)) {
		*hook = NULL;
		interfere();
		errno = EAGAIN;
	}
	return n;
}

void forget_calls(void)
{
	memset(calls, 0, sizeof(calls));
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	return fails(RECV) ? -1 : found(raw(SYS_recvfrom, fd, buf, len, flags, NULL, NULL));
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec ts = { .tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000 };

	if (fails(POLL))
		return -1;
	return (int)found(raw(SYS_ppoll, fds, n, timeout < 0 ? NULL : &ts, NULL, 8));
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	return fails(SEND) ? -1 : raw(SYS_sendto, fd, buf, len, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return fails(SENDMSG) ? -1 : raw(SYS_sendmsg, fd, msg, flags);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	return fails(RECVMSG) ? -1 : raw(SYS_recvmsg, fd, msg, flags);
}

/*
 * Replaces syscall(), with which the backend makes some calls. Like the C library's, it always
 * reads six arguments: if the caller passed fewer, the rest is garbage from the caller's stack.
 */
__attribute__((no_sanitize_address)) long syscall(long number, ...)
{
	long arg[6];
	va_list args;

	va_start(args, number);
	for (unsigned i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_recvfrom)
		return recv((int)arg[0], (void *)arg[1], (size_t)arg[2], (int)arg[3]);
	if (number == SYS_sendto)
		return send((int)arg[0], (const void *)arg[1], (size_t)arg[2], (int)arg[3]);
	if (number == SYS_epoll_pwait && fails(EPOLL_WAIT))
		return -1;
#ifdef SYS_epoll_wait
	if (number == SYS_epoll_wait && fails(EPOLL_WAIT))
		return -1;
#endif
	return raw(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return fails(ACCEPT) ? -1 : (int)raw(SYS_accept4, fd, addr, len, flags);
}

int epoll_ctl(int epfd, int what, int fd, struct epoll_event *event)
{
	return fails(EPOLL_CTL) ? -1 : (int)raw(SYS_epoll_ctl, epfd, what, fd, event);
}

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	return fails(EPOLL_WAIT)
		       ? -1
		       : (int)raw(SYS_epoll_pwait, epfd, events, max, timeout, NULL, 8);
}

/* ---- the core's functions ----------------------------------------------------------------- */

_Thread_local unsigned detached;
unsigned detached_by_all;	/* atomic */

void weir_backend_complete(struct weir_op *op, int res)
{
	uint8_t state = weir__load(&op->state, WEIR_RELAXED);

	/* WEIR_OP_RETRY: a cancel came while the op was being given back. */
	ck_assert(state == WEIR_OP_INFLIGHT || state == WEIR_OP_RETRY);
	op->res = res;
	/* Pairs with the load in is_done. */
	weir__store(&op->state, (uint8_t)WEIR_OP_DONE, WEIR_RELEASE);
}

void weir_backend_retry(struct weir_op *op)
{
	ck_assert_int_eq(weir__load(&op->state, WEIR_RELAXED), WEIR_OP_INFLIGHT);
	/* Pairs with the load in is_done. */
	weir__store(&op->state, (uint8_t)WEIR_OP_RETRY, WEIR_RELEASE);
}

void weir_backend_detached(struct weir_handle *h)
{
	void (*released)(struct weir_handle *) = h->released;

	/* The memory may be freed from now on: whoever reads it gets garbage. */
	memset(h, 0xa5, sizeof(*h));
	detached++;
	weir__fetch_add(&detached_by_all, 1u, WEIR_RELAXED);
	if (released)
		released(h);
}

/* ---- instances ---------------------------------------------------------------------------- */

static struct weir_backend *open_instance(unsigned index)
{
	struct weir_backend_config cfg = { .worker = index,
					   .workers = 2,
					   .node = -1,
					   .busy_events = 64,
					   .idle_events = 1024,
					   .lease_bytes = BLOCK };

	return make_instance("epoll", &cfg);
}

void setup(void)
{
	be0 = open_instance(0);
	be1 = open_instance(1);
	become(be0);
	forget_calls();
}

void teardown(void)
{
	drop_instance(be0);
	drop_instance(be1);
}

int turn(void)
{
	return turn_of(be0, 0);
}

const struct weir__poller_ops *real_poller;
static struct weir__poller_ops intercepting;

void intercept_wait(int (*wait)(struct weir__readiness *, struct weir__event *, int, int64_t))
{
	struct weir__readiness *r = WEIR_CONTAINER_OF(be0, struct weir__readiness, base);

	real_poller = r->poller;
	intercepting = *real_poller;
	intercepting.wait = wait;
	r->poller = &intercepting;
}

void release_wait(void)
{
	WEIR_CONTAINER_OF(be0, struct weir__readiness, base)->poller = real_poller;
}

/* ---- ops ---------------------------------------------------------------------------------- */

struct weir_op *submit_to(struct weir_backend *be, struct weir_op *op)
{
	op->state = WEIR_OP_INFLIGHT;
	op->backend = be;
	become(be);
	be->ops->submit(be, op);
	return op;
}

struct weir_backend *own(void)
{
	return weir__worker_current() == be1->worker ? be1 : be0;
}

bool is_done(struct weir_op *op)
{
	uint8_t state = weir__load(&op->state, WEIR_ACQUIRE);

	if (state == WEIR_OP_RETRY) {
		submit_to(own(), op);
		state = weir__load(&op->state, WEIR_ACQUIRE);
	}
	return state == WEIR_OP_DONE;
}

void cancel(struct weir_op *op)
{
	if (weir__load(&op->state, WEIR_ACQUIRE) == WEIR_OP_RETRY)
		op->state = WEIR_OP_INFLIGHT;
	op->backend->ops->cancel(op->backend, op);
}

/* ---- sockets ------------------------------------------------------------------------------ */

void detach(struct weir_handle *h)
{
	unsigned before = detached;

	h->backend->ops->detach(h->backend, h);
	ck_assert_uint_eq(detached, before + 1);
}

size_t fill(struct weir_handle *h)
{
	static const char zeros[65536];
	struct weir_op op;
	size_t sent = 0;
	int n;

	for (;;) {
		n = submit(send_op(&op, h, zeros, sizeof(zeros), WEIR_OP_TRY))->res;
		if (n == -EAGAIN)
			return sent;
		ck_assert_int_gt(n, 0);
		sent += (size_t)n;
	}
}
