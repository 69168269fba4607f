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

/* ---- calls that are counted, and made to fail -------------------------------------------- */

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

/* The world goes on between a call and what is made of what it found. */
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

/* What the backend calls without the C library's wrappers. */
long syscall(long number, ...)
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

/* ---- the core's side ---------------------------------------------------------------------- */

_Thread_local unsigned detached;
unsigned detached_by_all;	/* atomic */

void weir_backend_complete(struct weir_op *op, int res)
{
	uint8_t state = weir__load(&op->state, WEIR_RELAXED);

	/* RETRY: a cancel that crossed the giving back. */
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

	/* What touches it from here on, touches freed memory. */
	memset(h, 0xa5, sizeof(*h));
	detached++;
	weir__fetch_add(&detached_by_all, 1u, WEIR_RELAXED);
	if (released)
		released(h);
}

uint64_t weir_backend_now(const struct weir_backend *be)
{
	struct timespec ts;

	(void)be;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- instances ---------------------------------------------------------------------------- */

struct weir_backend *instances[2];
/* Nothing but their counters is used. */
static struct weir__worker workers[2];

void become(struct weir_backend *be)
{
	weir__context()->worker = be ? be->worker : NULL;
}

static struct weir_backend *open_instance(unsigned index)
{
	const struct weir_backend_ops *ops = weir__backend_find("epoll");
	struct weir_backend_config cfg = { .worker = index,
					   .workers = 2,
					   .node = -1,
					   .busy_events = 64,
					   .idle_events = 1024,
					   .lease_bytes = BLOCK };
	size_t bytes = (ops->instance_bytes + 63) / 64 * 64;
	struct weir_backend *be = aligned_alloc(64, bytes);

	memset(be, 0, bytes);
	be->ops = ops;
	be->caps = ops->caps;
	be->index = index;
	be->worker = &workers[index];
	ck_assert_int_eq(ops->init(be, &cfg), 0);
	return be;
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
	for (unsigned i = 0; i < 2; i++) {
		become(instances[i]);
		instances[i]->ops->fini(instances[i]);
		free(instances[i]);
	}
}

int turn_of(struct weir_backend *be, uint64_t deadline)
{
	int n = be->ops->poll(be, deadline, false);

	ck_assert_int_ge(n, 0);
	return n;
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

struct weir_op *prepare(struct weir_op *op, enum weir_op_code code, struct weir_handle *h)
{
	memset(op, 0, sizeof(*op));
	op->code = (uint8_t)code;
	op->handle = h;
	return op;
}

struct weir_op *submit_to(struct weir_backend *be, struct weir_op *op)
{
	op->state = WEIR_OP_INFLIGHT;
	op->backend = be;
	become(be);
	be->ops->submit(be, op);
	return op;
}

struct weir_op *submit(struct weir_op *op)
{
	return submit_to(be0, op);
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

int finish_at(struct weir_backend *be, struct weir_op *op)
{
	become(be);
	while (!is_done(op))
		turn_of(be, WEIR_FOREVER);
	return op->res;
}

int finish(struct weir_op *op)
{
	return finish_at(be0, op);
}

void cancel(struct weir_op *op)
{
	if (weir__load(&op->state, WEIR_ACQUIRE) == WEIR_OP_RETRY)
		op->state = WEIR_OP_INFLIGHT;
	op->backend->ops->cancel(op->backend, op);
}

struct weir_op *recv_op(struct weir_op *op, struct weir_handle *h, void *buf, size_t len)
{
	prepare(op, WEIR_OP_RECV, h);
	op->u.io.buf = buf;
	op->u.io.len = (uint32_t)len;
	return op;
}

struct weir_op *send_op(struct weir_op *op, struct weir_handle *h, const void *buf,
			size_t len, unsigned flags)
{
	prepare(op, WEIR_OP_SEND, h);
	op->u.io.buf = (uint8_t *)(uintptr_t)buf;
	op->u.io.len = (uint32_t)len;
	op->flags = (uint16_t)flags;
	return op;
}

struct weir_op *lease_op(struct weir_op *op, struct weir_handle *h, struct weir_lease *lease)
{
	prepare(op, WEIR_OP_RECV_LEASE, h);
	*lease = (struct weir_lease){ .data = NULL };
	op->u.lease.lease = lease;
	return op;
}

struct weir_op *poll_op(struct weir_op *op, struct weir_handle *h, unsigned events)
{
	prepare(op, WEIR_OP_POLL, h);
	op->u.poll.events = events;
	return op;
}

struct weir_op *accept_op(struct weir_op *op, struct weir_handle *h,
			  struct weir_handle *conn)
{
	memset(conn, 0, sizeof(*conn));
	prepare(op, WEIR_OP_ACCEPT, h);
	op->u.accept.handle = conn;
	return op;
}

void give_back(struct weir_lease *lease)
{
	lease->owner->ops->lease_return(lease->owner, lease);
	lease->data = NULL;
}

/* ---- sockets ------------------------------------------------------------------------------ */

static const struct sockaddr_in any_port = {
	.sin_family = AF_INET,
	.sin_addr = { .s_addr = 0x0100007f },
};

int listen_raw(struct sockaddr_in *ret_addr)
{
	socklen_t len = sizeof(*ret_addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any_port, sizeof(any_port)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
	return fd;
}

int connect_raw(const struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void adopt(struct weir_backend *be, struct weir_handle *h, int fd,
	   enum weir_handle_kind kind)
{
	struct weir_handle_spec spec = { .kind = kind, .fd = fd };

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be->ops->attach(be, h, &spec), 0);
	ck_assert_ptr_eq(h->backend, be);
}

int tcp_pair(struct weir_handle *h)
{
	struct sockaddr_in addr;
	int listener = listen_raw(&addr), peer = connect_raw(&addr);
	int fd = (int)raw(SYS_accept4, listener, NULL, NULL, 0);

	ck_assert_int_ge(fd, 0);
	close(listener);
	adopt(be0, h, fd, WEIR_HANDLE_STREAM);
	return peer;
}

int unix_pair(struct weir_handle *h)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	adopt(be0, h, fds[0], WEIR_HANDLE_STREAM);
	return fds[1];
}

void detach_some_time(struct weir_handle *h)
{
	h->backend->ops->detach(h->backend, h);
}

void detach(struct weir_handle *h)
{
	unsigned before = detached;

	h->backend->ops->detach(h->backend, h);
	ck_assert_uint_eq(detached, before + 1);
}

void put(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

void reset(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

void small_buffers(struct weir_handle *h, int peer)
{
	int bytes = 65536;

	ck_assert_int_eq(h->backend->ops->control(h->backend, h, WEIR_CTL_SEND_BUFFER, &bytes,
						  sizeof(bytes)),
			 0);
	setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
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

void drain(int peer, size_t len)
{
	char buf[65536];

	while (len > 0) {
		ssize_t n = read(peer, buf, len < sizeof(buf) ? len : sizeof(buf));

		ck_assert_int_gt(n, 0);
		len -= (size_t)n;
	}
}

void open_listener(struct weir_handle *h, struct sockaddr_in *ret_addr)
{
	struct weir_handle_spec spec = {
		.kind = WEIR_HANDLE_LISTENER,
		.fd = -1,
		.backlog = 128,
		.addr = (const struct sockaddr *)&any_port,
		.addr_len = sizeof(any_port),
	};
	struct sockaddr_storage name;

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be0->ops->attach(be0, h, &spec), 0);
	ck_assert_int_eq(be0->ops->control(be0, h, WEIR_CTL_LOCAL_ADDR, &name, sizeof(name)), 0);
	memcpy(ret_addr, &name, sizeof(*ret_addr));
}
