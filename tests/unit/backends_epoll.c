/* SPDX-License-Identifier: MIT */
/*
 * backends_epoll.c: the readiness adaptor over epoll, its lease pool, and the
 * registry, against the kernel's own sockets.
 *
 * The core is not here: this file completes operations itself, by writing the
 * result down, and says which worker the thread is. It also stands between the
 * backend and the C library for a few calls, to count them and to make them fail.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "backends/lease_pool.h"
#include "backends/readiness.h"
#include "backends/registry.h"
#include "backends/socket.h"
#include "core/context.h"
#include "tests/support/testing.h"

#define BLOCK 16384u

/* ---- calls that are counted, and made to fail -------------------------------------------- */

enum call {
	RECV,
	SEND,
	SENDMSG,
	RECVMSG,
	ACCEPT,
	POLL,
	EPOLL_WAIT,
	EPOLL_CTL,
	CALLS
};

static unsigned calls[CALLS];
/* The next so many calls fail with that errno. */
static int fail_errno[CALLS];
static unsigned fail_times[CALLS];

/* The C library's syscall(), since the one below is ours. */
static long (*raw)(long number, ...);

static __attribute__((constructor)) void find_raw(void)
{
	raw = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

/* Called once, after a call has found nothing and before its caller learns of it. */
static void (*meanwhile)(void);

static bool fails(enum call what)
{
	weir__fetch_add(&calls[what], 1u, WEIR_RELAXED);
	if (fail_times[what] == 0)
		return false;
	fail_times[what]--;
	errno = fail_errno[what];
	return true;
}

static void fail_next(enum call what, int err, unsigned times)
{
	fail_errno[what] = err;
	fail_times[what] = times;
}

/* The world goes on between a call that finds nothing and what is made of it. */
static ssize_t found(ssize_t n)
{
	void (*interfere)(void) = meanwhile;

	if (interfere && (n == 0 || (n < 0 && errno == EAGAIN))) {
		meanwhile = NULL;
		interfere();
		errno = EAGAIN;
	}
	return n;
}

static void forget_calls(void)
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

static _Thread_local unsigned detached;
static unsigned detached_by_all;	/* atomic */

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

#define be0 instances[0]
#define be1 instances[1]
static struct weir_backend *instances[2];

/* This thread is the worker of that instance. Nobody looks into a worker here. */
static void become(struct weir_backend *be)
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
	be->worker = (struct weir__worker *)&instances[index];
	ck_assert_int_eq(ops->init(be, &cfg), 0);
	return be;
}

static void setup(void)
{
	be0 = open_instance(0);
	be1 = open_instance(1);
	become(be0);
	forget_calls();
}

static void teardown(void)
{
	for (unsigned i = 0; i < 2; i++) {
		become(instances[i]);
		instances[i]->ops->fini(instances[i]);
		free(instances[i]);
	}
}

static int turn_of(struct weir_backend *be, uint64_t deadline)
{
	int n = be->ops->poll(be, deadline, false);

	ck_assert_int_ge(n, 0);
	return n;
}

/* One look. */
static int turn(void)
{
	return turn_of(be0, 0);
}

/* ---- ops ---------------------------------------------------------------------------------- */

static struct weir_op *prepare(struct weir_op *op, enum weir_op_code code, struct weir_handle *h)
{
	memset(op, 0, sizeof(*op));
	op->code = (uint8_t)code;
	op->handle = h;
	return op;
}

static struct weir_op *submit_to(struct weir_backend *be, struct weir_op *op)
{
	op->state = WEIR_OP_INFLIGHT;
	op->backend = be;
	become(be);
	be->ops->submit(be, op);
	return op;
}

static struct weir_op *submit(struct weir_op *op)
{
	return submit_to(be0, op);
}

/* The instance whose worker this thread is. */
static struct weir_backend *own(void)
{
	return weir__worker_current() == be1->worker ? be1 : be0;
}

/* As the op's task looks at it: one that was given back is submitted again. */
static bool is_done(struct weir_op *op)
{
	uint8_t state = weir__load(&op->state, WEIR_ACQUIRE);

	if (state == WEIR_OP_RETRY) {
		submit_to(own(), op);
		state = weir__load(&op->state, WEIR_ACQUIRE);
	}
	return state == WEIR_OP_DONE;
}

static int finish_at(struct weir_backend *be, struct weir_op *op)
{
	become(be);
	while (!is_done(op))
		turn_of(be, WEIR_FOREVER);
	return op->res;
}

static int finish(struct weir_op *op)
{
	return finish_at(be0, op);
}

/* One that was given back goes to the backend again, to be cancelled there. */
static void cancel(struct weir_op *op)
{
	if (weir__load(&op->state, WEIR_ACQUIRE) == WEIR_OP_RETRY)
		op->state = WEIR_OP_INFLIGHT;
	op->backend->ops->cancel(op->backend, op);
}

static struct weir_op *recv_op(struct weir_op *op, struct weir_handle *h, void *buf, size_t len)
{
	prepare(op, WEIR_OP_RECV, h);
	op->u.io.buf = buf;
	op->u.io.len = (uint32_t)len;
	return op;
}

static struct weir_op *send_op(struct weir_op *op, struct weir_handle *h, const void *buf,
			       size_t len, unsigned flags)
{
	prepare(op, WEIR_OP_SEND, h);
	op->u.io.buf = (uint8_t *)(uintptr_t)buf;
	op->u.io.len = (uint32_t)len;
	op->flags = (uint16_t)flags;
	return op;
}

static struct weir_op *lease_op(struct weir_op *op, struct weir_handle *h, struct weir_lease *lease)
{
	prepare(op, WEIR_OP_RECV_LEASE, h);
	*lease = (struct weir_lease){ .data = NULL };
	op->u.lease.lease = lease;
	return op;
}

static struct weir_op *poll_op(struct weir_op *op, struct weir_handle *h, unsigned events)
{
	prepare(op, WEIR_OP_POLL, h);
	op->u.poll.events = events;
	return op;
}

static struct weir_op *accept_op(struct weir_op *op, struct weir_handle *h,
				 struct weir_handle *conn)
{
	memset(conn, 0, sizeof(*conn));
	prepare(op, WEIR_OP_ACCEPT, h);
	op->u.accept.handle = conn;
	return op;
}

static void give_back(struct weir_lease *lease)
{
	lease->owner->ops->lease_return(lease->owner, lease);
	lease->data = NULL;
}

/* ---- sockets ------------------------------------------------------------------------------ */

static const struct sockaddr_in any_port = {
	.sin_family = AF_INET,
	.sin_addr = { .s_addr = 0x0100007f },
};

static int listen_raw(struct sockaddr_in *ret_addr)
{
	socklen_t len = sizeof(*ret_addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any_port, sizeof(any_port)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
	return fd;
}

static int connect_raw(const struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void adopt(struct weir_backend *be, struct weir_handle *h, int fd,
		  enum weir_handle_kind kind)
{
	struct weir_handle_spec spec = { .kind = kind, .fd = fd };

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be->ops->attach(be, h, &spec), 0);
	ck_assert_ptr_eq(h->backend, be);
}

/* A connected TCP pair: one end a handle, the other end a descriptor. */
static int tcp_pair(struct weir_handle *h)
{
	struct sockaddr_in addr;
	int listener = listen_raw(&addr), peer = connect_raw(&addr);
	int fd = (int)raw(SYS_accept4, listener, NULL, NULL, 0);

	ck_assert_int_ge(fd, 0);
	close(listener);
	adopt(be0, h, fd, WEIR_HANDLE_STREAM);
	return peer;
}

static int unix_pair(struct weir_handle *h)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	adopt(be0, h, fds[0], WEIR_HANDLE_STREAM);
	return fds[1];
}

/* Perhaps later: an op that was given back and has not come again keeps the handle. */
static void detach_some_time(struct weir_handle *h)
{
	h->backend->ops->detach(h->backend, h);
}

static void detach(struct weir_handle *h)
{
	unsigned before = detached;

	h->backend->ops->detach(h->backend, h);
	ck_assert_uint_eq(detached, before + 1);
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void reset(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

static void small_buffers(struct weir_handle *h, int peer)
{
	int bytes = 65536;

	ck_assert_int_eq(h->backend->ops->control(h->backend, h, WEIR_CTL_SEND_BUFFER, &bytes,
						  sizeof(bytes)),
			 0);
	setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* Send until the socket takes no more. Returns the bytes. */
static size_t fill(struct weir_handle *h)
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

static void drain(int peer, size_t len)
{
	char buf[65536];

	while (len > 0) {
		ssize_t n = read(peer, buf, len < sizeof(buf) ? len : sizeof(buf));

		ck_assert_int_gt(n, 0);
		len -= (size_t)n;
	}
}

/* ---- receive ------------------------------------------------------------------------------ */

START_TEST(recv_completes_at_once)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	put(peer, "hello");
	ck_assert_int_eq(finish(submit(poll_op(&op, &h, WEIR_READABLE))), WEIR_READABLE);
	ck_assert(is_done(submit(recv_op(&op, &h, buf, sizeof(buf)))));
	ck_assert_int_eq(op.res, 5);
	ck_assert_uint_eq(op.u.io.done, 5);
	ck_assert_mem_eq(buf, "hello", 5);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(recv_completes_later)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert(!is_done(&op));
	ck_assert_int_eq(turn(), 0);
	put(peer, "later");
	ck_assert_int_eq(finish(&op), 5);
	ck_assert_mem_eq(buf, "later", 5);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(nothing_is_registered_before_it_must_wait)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = unix_pair(&h);

	put(peer, "x");
	forget_calls();
	ck_assert_int_eq(submit(recv_op(&op, &h, buf, sizeof(buf)))->res, 1);
	ck_assert_int_eq(submit(send_op(&op, &h, "y", 1, 0))->res, 1);
	ck_assert_uint_eq(calls[EPOLL_CTL], 0);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_uint_eq(calls[EPOLL_CTL], 1);
	cancel(&op);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_uint_eq(calls[EPOLL_CTL], 1);
	detach(&h);
	ck_assert_uint_eq(calls[EPOLL_CTL], 1);
	close(peer);
}
END_TEST

/* One receive, one send, one look per message, and nothing else. */
START_TEST(echo_makes_two_calls_a_message)
{
	struct weir_handle h;
	struct weir_op in, out;
	char buf[64], back[64];
	int peer = tcp_pair(&h);

	submit(recv_op(&in, &h, buf, sizeof(buf)));
	turn();
	forget_calls();
	for (unsigned i = 0; i < 100; i++) {
		put(peer, "ping");
		ck_assert_int_eq(finish(&in), 4);
		ck_assert(is_done(submit(send_op(&out, &h, buf, 4, WEIR_OP_ALL))));
		ck_assert_int_eq(out.res, 4);
		submit(recv_op(&in, &h, buf, sizeof(buf)));
		ck_assert(!is_done(&in));
		ck_assert_int_eq(read(peer, back, sizeof(back)), 4);
	}
	ck_assert_uint_eq(calls[RECV], 100);
	ck_assert_uint_eq(calls[SEND], 100);
	ck_assert_uint_eq(calls[EPOLL_WAIT], 100);
	ck_assert_uint_eq(calls[EPOLL_CTL], 0);
	detach(&h);
	ck_assert_int_eq(in.res, -ECANCELED);
	close(peer);
}
END_TEST

/* A receive that came after the event, and took all there was, spares the next its call. */
START_TEST(short_read_at_once_is_remembered)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[64];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	cancel(&op);
	put(peer, "abc");
	ck_assert_int_eq(finish(submit(poll_op(&op, &h, WEIR_READABLE))), WEIR_READABLE);
	turn();
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 3);
	forget_calls();
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_uint_eq(calls[RECV], 0);
	put(peer, "d");
	ck_assert_int_eq(finish(&op), 1);
	detach(&h);
	close(peer);
}
END_TEST

/* A read that fits exactly says nothing of what is behind it. */
START_TEST(exact_fit_keeps_readiness)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, 4));
	put(peer, "12345678");
	ck_assert_int_eq(finish(&op), 4);
	ck_assert(is_done(submit(recv_op(&op, &h, buf, 4))));
	ck_assert_mem_eq(buf, "5678", 4);
	submit(recv_op(&op, &h, buf, 4));
	ck_assert(!is_done(&op));
	put(peer, "9");
	ck_assert_int_eq(finish(&op), 1);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(peek_leaves_the_bytes)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_PEEK;
	submit(&op);
	put(peer, "peek");
	ck_assert_int_eq(finish(&op), 4);
	recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_PEEK;
	ck_assert(is_done(submit(&op)));
	ck_assert(is_done(submit(recv_op(&op, &h, buf, sizeof(buf)))));
	ck_assert_mem_eq(buf, "peek", 4);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(try_never_waits)
{
	struct weir_handle h;
	struct weir_op op, waiting;
	char buf[16];
	int peer = tcp_pair(&h);

	recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_TRY;
	ck_assert_int_eq(submit(&op)->res, -EAGAIN);
	submit(recv_op(&waiting, &h, buf, sizeof(buf)));
	recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_TRY;
	ck_assert_int_eq(submit(&op)->res, -EAGAIN);
	put(peer, "x");
	ck_assert_int_eq(finish(&waiting), 1);
	/* Known not to be ready, but that may be old news: a try looks. */
	put(peer, "yz");
	do {
		recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_TRY;
		submit(&op);
	} while (op.res == -EAGAIN);
	ck_assert_int_eq(op.res, 2);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(recvv_and_sendv)
{
	struct weir_handle h;
	struct weir_op op;
	char a[3], b[5], back[16];
	struct iovec in[2] = { { a, 3 }, { b, 5 } };
	struct iovec out[3] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 } };
	int peer = tcp_pair(&h);

	prepare(&op, WEIR_OP_RECVV, &h);
	op.u.iov.iov = in;
	op.u.iov.count = 2;
	submit(&op);
	put(peer, "123456");
	ck_assert_int_eq(finish(&op), 6);
	ck_assert_mem_eq(a, "123", 3);
	ck_assert_mem_eq(b, "456", 3);
	prepare(&op, WEIR_OP_SENDV, &h);
	op.u.iov.iov = out;
	op.u.iov.count = 3;
	ck_assert_int_eq(submit(&op)->res, 5);
	ck_assert_int_eq(read(peer, back, sizeof(back)), 5);
	ck_assert_mem_eq(back, "abcde", 5);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(recv_all_gathers)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[8];
	int peer = tcp_pair(&h);

	recv_op(&op, &h, buf, 8)->flags = WEIR_OP_ALL;
	submit(&op);
	put(peer, "abc");
	while (!is_done(&op) && op.u.io.done < 3)
		turn_of(be0, WEIR_FOREVER);
	ck_assert(!is_done(&op));
	put(peer, "defgh");
	ck_assert_int_eq(finish(&op), 8);
	ck_assert_mem_eq(buf, "abcdefgh", 8);
	/* At the end of the stream it has what there was. */
	recv_op(&op, &h, buf, 8)->flags = WEIR_OP_ALL;
	submit(&op);
	put(peer, "ij");
	close(peer);
	ck_assert_int_eq(finish(&op), 2);
	detach(&h);
}
END_TEST

START_TEST(several_receives_wait_in_order)
{
	struct weir_handle h;
	struct weir_op op[3];
	char buf[3][2];
	int peer = tcp_pair(&h);

	for (unsigned i = 0; i < 3; i++)
		submit(recv_op(&op[i], &h, buf[i], 2));
	put(peer, "aabb");
	ck_assert_int_eq(finish(&op[1]), 2);
	ck_assert(is_done(&op[0]) && !is_done(&op[2]));
	ck_assert_mem_eq(buf[0], "aa", 2);
	ck_assert_mem_eq(buf[1], "bb", 2);
	put(peer, "cc");
	ck_assert_int_eq(finish(&op[2]), 2);
	detach(&h);
	close(peer);
}
END_TEST

/* ---- the end of a stream, and its violent forms ------------------------------------------- */

START_TEST(data_and_end_together)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "bye");
	close(peer);
	ck_assert_int_eq(finish(&op), 3);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 0);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 0);
	detach(&h);
}
END_TEST

START_TEST(half_close_leaves_the_other_half)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int how = SHUT_WR, peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	shutdown(peer, SHUT_WR);
	ck_assert_int_eq(finish(&op), 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "still", 5, 0))), 5);
	ck_assert_int_eq(read(peer, buf, sizeof(buf)), 5);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_SHUTDOWN, &how, sizeof(how)), 0);
	ck_assert_int_eq(read(peer, buf, sizeof(buf)), 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "no", 2, 0))), -EPIPE);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(reset_while_receiving)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	reset(peer);
	ck_assert_int_eq(finish(&op), -ECONNRESET);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "x", 1, 0))), -EPIPE);
	detach(&h);
}
END_TEST

START_TEST(reset_while_sending)
{
	static const char zeros[1 << 20];
	struct weir_handle h;
	struct weir_op op;
	int peer = tcp_pair(&h);

	small_buffers(&h, peer);
	fill(&h);
	submit(send_op(&op, &h, zeros, sizeof(zeros), WEIR_OP_ALL));
	ck_assert(!is_done(&op));
	reset(peer);
	ck_assert_int_eq(finish(&op), -ECONNRESET);
	detach(&h);
}
END_TEST

START_TEST(reset_with_both_sides_pending)
{
	struct weir_handle h;
	struct weir_op in, out;
	char buf[16];
	int peer = tcp_pair(&h), one, other;

	small_buffers(&h, peer);
	fill(&h);
	submit(recv_op(&in, &h, buf, sizeof(buf)));
	submit(send_op(&out, &h, "x", 1, 0));
	reset(peer);
	one = finish(&in);
	other = finish(&out);
	/* The error is told once; who comes second finds a dead connection. */
	ck_assert_int_eq(one, -ECONNRESET);
	ck_assert(other == -EPIPE || other == -ECONNRESET);
	detach(&h);
}
END_TEST

/* TCP stops a read at urgent data: a short read that has not emptied the socket. */
START_TEST(urgent_data_does_not_hide_the_rest)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "ab");
	ck_assert_int_eq(raw(SYS_sendto, peer, "!", 1, MSG_OOB, NULL, 0), 1);
	put(peer, "cd");
	/* All of it is there before the first look. */
	for (int unacked = 1; unacked > 0;)
		ck_assert_int_eq(ioctl(peer, TIOCOUTQ, &unacked), 0);
	ck_assert_int_eq(finish(&op), 2);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 2);
	ck_assert_mem_eq(buf, "cd", 2);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "e");
	ck_assert_int_eq(finish(&op), 1);
	/* It is over: a short read says again that there is no more. */
	forget_calls();
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_uint_eq(calls[RECV], 0);
	detach(&h);
	close(peer);
}
END_TEST

/* A Unix socket stops a read at passed descriptors. */
START_TEST(passed_descriptors_do_not_hide_the_rest)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16], control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "ab", 2 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int peer = unix_pair(&h);

	CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &peer, sizeof(int));
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_int_eq(raw(SYS_sendmsg, peer, &msg, 0), 2);
	put(peer, "cd");
	ck_assert_int_eq(finish(&op), 2);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 2);
	ck_assert_mem_eq(buf, "cd", 2);
	detach(&h);
	close(peer);
}
END_TEST

/* ---- send --------------------------------------------------------------------------------- */

static void fill_pattern(uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(i * 2654435761u >> 13);
}

/* Reads what an op sends, turning the instance meanwhile, and compares. */
static void check_sent(struct weir_op *op, int peer, const uint8_t *expected, size_t len)
{
	static uint8_t buf[65536];
	size_t got = 0;

	fcntl(peer, F_SETFL, O_NONBLOCK);
	while (got < len) {
		ssize_t n = read(peer, buf, sizeof(buf));

		if (n < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			turn();
			is_done(op);
			continue;
		}
		ck_assert_int_gt(n, 0);
		ck_assert_mem_eq(buf, expected + got, (size_t)n);
		got += (size_t)n;
	}
	ck_assert_int_eq(finish(op), (int)len);
}

START_TEST(send_all_goes_on_until_all_is_sent)
{
	enum {
		LEN = 3 << 20
	};
	uint8_t *data = malloc(LEN);
	struct weir_handle h;
	struct weir_op op;
	int peer = _i ? unix_pair(&h) : tcp_pair(&h);

	fill_pattern(data, LEN);
	small_buffers(&h, peer);
	submit(send_op(&op, &h, data, LEN, WEIR_OP_ALL));
	ck_assert(!is_done(&op));
	ck_assert_uint_gt(op.u.io.done, 0);
	check_sent(&op, peer, data, LEN);
	detach(&h);
	close(peer);
	free(data);
}
END_TEST

START_TEST(sendv_all_goes_on_in_the_middle)
{
	enum {
		PARTS = 100,
		PART = 10007,
		LEN = PARTS * PART
	};
	uint8_t *data = malloc(LEN);
	struct iovec iov[PARTS], before[PARTS];
	struct weir_handle h;
	struct weir_op op;
	int peer = tcp_pair(&h);

	fill_pattern(data, LEN);
	for (unsigned i = 0; i < PARTS; i++)
		iov[i] = (struct iovec){ data + i * PART, PART };
	memcpy(before, iov, sizeof(iov));
	small_buffers(&h, peer);
	prepare(&op, WEIR_OP_SENDV, &h)->flags = WEIR_OP_ALL;
	op.u.iov.iov = iov;
	op.u.iov.count = PARTS;
	submit(&op);
	ck_assert(!is_done(&op));
	check_sent(&op, peer, data, LEN);
	ck_assert_mem_eq(before, iov, sizeof(iov));
	detach(&h);
	close(peer);
	free(data);
}
END_TEST

START_TEST(send_waits_for_room)
{
	struct weir_handle h;
	struct weir_op op[2];
	int peer = tcp_pair(&h);
	size_t sent;

	small_buffers(&h, peer);
	sent = fill(&h);
	submit(send_op(&op[0], &h, "first", 5, 0));
	submit(send_op(&op[1], &h, "second", 6, 0));
	turn();
	ck_assert(!is_done(&op[0]) && !is_done(&op[1]));
	drain(peer, sent);
	ck_assert_int_eq(finish(&op[0]), 5);
	ck_assert_int_eq(finish(&op[1]), 6);
	detach(&h);
	close(peer);
}
END_TEST

/* ---- cancel and detach -------------------------------------------------------------------- */

START_TEST(cancel_a_waiting_receive)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	cancel(&op);
	ck_assert(is_done(&op));
	ck_assert_int_eq(op.res, -ECANCELED);
	/* Nothing of it is left. */
	put(peer, "x");
	ck_assert_int_eq(turn_of(be0, weir_backend_now(be0) + 20 * WEIR_MSEC), 0);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 1);
	/* A cancel that comes too late changes nothing. */
	cancel(&op);
	ck_assert_int_eq(op.res, 1);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(cancel_any_of_several)
{
	struct weir_handle h;
	struct weir_op op[3];
	char buf[3];
	int peer = tcp_pair(&h);

	for (unsigned i = 0; i < 3; i++)
		submit(recv_op(&op[i], &h, &buf[i], 1));
	cancel(&op[_i]);
	ck_assert_int_eq(op[_i].res, -ECANCELED);
	put(peer, "ab");
	for (unsigned i = 0, n = 0; i < 3; i++)
		if (i != (unsigned)_i) {
			ck_assert_int_eq(finish(&op[i]), 1);
			ck_assert_int_eq(buf[i], "ab"[n++]);
		}
	submit(recv_op(&op[0], &h, buf, 1));
	put(peer, "c");
	ck_assert_int_eq(finish(&op[0]), 1);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(cancel_says_what_was_sent)
{
	static const char zeros[1 << 20];
	struct weir_handle h;
	struct weir_op op;
	int peer = tcp_pair(&h);

	small_buffers(&h, peer);
	submit(send_op(&op, &h, zeros, sizeof(zeros), WEIR_OP_ALL));
	ck_assert(!is_done(&op));
	cancel(&op);
	ck_assert_int_eq(op.res, -ECANCELED);
	ck_assert_uint_gt(op.u.io.done, 0);
	drain(peer, op.u.io.done);
	ck_assert_int_eq(raw(SYS_recvfrom, peer, &(char){ 0 }, 1, MSG_DONTWAIT, NULL, NULL),
			 -1);
	ck_assert_int_eq(errno, EAGAIN);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(cancel_from_another_worker)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	become(be1);
	cancel(&op);
	ck_assert_int_eq(op.res, -ECANCELED);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(detach_cancels_everything)
{
	struct weir_handle h;
	struct weir_op in[2], out, watch;
	char buf[4];
	int peer = tcp_pair(&h);

	small_buffers(&h, peer);
	fill(&h);
	submit(recv_op(&in[0], &h, buf, sizeof(buf)));
	submit(recv_op(&in[1], &h, buf, sizeof(buf)));
	submit(send_op(&out, &h, "x", 1, 0));
	submit(poll_op(&watch, &h, WEIR_PRIORITY));
	become(be1);
	detach(&h);
	ck_assert_int_eq(in[0].res, -ECANCELED);
	ck_assert_int_eq(in[1].res, -ECANCELED);
	ck_assert_int_eq(out.res, -ECANCELED);
	ck_assert_int_eq(watch.res, -ECANCELED);
	/* The handle is gone; a cancel that lost the race must not need it. */
	cancel(&in[0]);
	close(peer);
}
END_TEST

/*
 * A handle is detached by another thread while poll works on a batch with its event, and the
 * next one gets its descriptor's number.
 */
static struct weir_handle *stale_victim;

static void *detach_victim(void *arg)
{
	(void)arg;
	detach_some_time(stale_victim);
	return NULL;
}

START_TEST(stale_event_finds_nobody)
{
	struct weir_handle h[2], next;
	struct weir_op op[2], other;
	char buf[2][4];
	int peer[2], next_peer;
	pthread_t thread;

	for (unsigned i = 0; i < 2; i++) {
		peer[i] = unix_pair(&h[i]);
		submit(recv_op(&op[i], &h[i], buf[i], 4));
	}
	turn();
	for (unsigned round = 0; round < 50; round++) {
		int fd = h[1].fd;

		put(peer[1], "x");
		stale_victim = &h[1];
		pthread_create(&thread, NULL, detach_victim, NULL);
		turn();
		pthread_join(thread, NULL);
		ck_assert(is_done(&op[1]));
		ck_assert(op[1].res == 1 || op[1].res == -ECANCELED);
		ck_assert_uint_eq(weir__load(&detached_by_all, WEIR_RELAXED), 2 * round + 1);
		close(peer[1]);
		next_peer = unix_pair(&next);
		ck_assert_int_eq(next.fd, fd);
		submit(recv_op(&other, &next, buf[1], 4));
		turn();
		ck_assert(!is_done(&other));
		detach(&next);
		ck_assert_int_eq(other.res, -ECANCELED);
		close(next_peer);
		peer[1] = unix_pair(&h[1]);
		submit(recv_op(&op[1], &h[1], buf[1], 4));
	}
	for (unsigned i = 0; i < 2; i++) {
		detach(&h[i]);
		close(peer[i]);
	}
}
END_TEST

/* The same, but certain: the events were fetched before the handle went away. */
static struct weir__readiness *held;
static const struct weir__poller_ops *real_poller;
static void (*between)(void);

static int wait_and_interfere(struct weir__readiness *r, struct weir__event *events, int max,
			      int64_t timeout_ns)
{
	int n = real_poller->wait(r, events, max, timeout_ns);

	if (n > 0)
		between();
	return n;
}

static struct weir_handle stale_next;
static struct weir_op stale_op;
static char stale_buf[4];
static int stale_peer;

static void replace_victim(void)
{
	int fd = stale_victim->fd;

	detach(stale_victim);
	stale_peer = unix_pair(&stale_next);
	ck_assert_int_eq(stale_next.fd, fd);
	submit(recv_op(&stale_op, &stale_next, stale_buf, 4));
}

START_TEST(stale_event_in_hand_finds_nobody)
{
	struct weir__poller_ops poller;
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer = unix_pair(&h);

	held = WEIR_CONTAINER_OF(be0, struct weir__readiness, base);
	real_poller = held->poller;
	poller = *real_poller;
	poller.wait = wait_and_interfere;
	submit(recv_op(&op, &h, buf, 4));
	turn();
	held->poller = &poller;
	between = replace_victim;
	stale_victim = &h;
	put(peer, "x");
	forget_calls();
	ck_assert_int_eq(turn(), 0);
	held->poller = real_poller;
	ck_assert_int_eq(op.res, -ECANCELED);
	/* One call, the submit's own: the event did not make the new handle try. */
	ck_assert_uint_eq(calls[RECV], 1);
	ck_assert(!is_done(&stale_op));
	put(stale_peer, "yy");
	ck_assert_int_eq(finish(&stale_op), 2);
	detach(&stale_next);
	close(stale_peer);
	close(peer);
}
END_TEST

/* ---- listeners and connects --------------------------------------------------------------- */

static void open_listener(struct weir_handle *h, struct sockaddr_in *ret_addr)
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

START_TEST(accept_now_and_later)
{
	struct weir_handle listener, conn[2];
	struct weir_op op[2], echo;
	struct sockaddr_in addr;
	char buf[8];
	int client[2];

	open_listener(&listener, &addr);
	client[0] = connect_raw(&addr);
	ck_assert_int_eq(finish(submit(accept_op(&op[0], &listener, &conn[0]))), 0);
	submit(accept_op(&op[0], &listener, &conn[1]));
	ck_assert(!is_done(&op[0]));
	client[1] = connect_raw(&addr);
	ck_assert_int_eq(finish(&op[0]), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(conn[i].kind, WEIR_HANDLE_STREAM);
		ck_assert_ptr_eq(conn[i].backend, be0);
		ck_assert_int_eq(fcntl(conn[i].fd, F_GETFD), FD_CLOEXEC);
		submit(recv_op(&echo, &conn[i], buf, sizeof(buf)));
		put(client[i], "hi");
		ck_assert_int_eq(finish(&echo), 2);
		detach(&conn[i]);
		close(client[i]);
	}
	detach(&listener);
}
END_TEST

START_TEST(accepts_of_several_waiters)
{
	struct weir_handle listener, conn[20];
	struct weir_op op[20];
	struct sockaddr_in addr;
	int client[20];

	open_listener(&listener, &addr);
	for (unsigned i = 0; i < 20; i++)
		submit(accept_op(&op[i], &listener, &conn[i]));
	for (unsigned i = 0; i < 20; i++)
		client[i] = connect_raw(&addr);
	/* More than one event's share: the rest comes by the ready list, without a sleep. */
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(finish(&op[i]), 0);
	for (unsigned i = 0; i < 20; i++) {
		detach(&conn[i]);
		close(client[i]);
	}
	detach(&listener);
}
END_TEST

START_TEST(accept_out_of_descriptors)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	struct rlimit was, none;
	int client;

	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	client = connect_raw(&addr);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 3, was.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(finish(&op), -EMFILE);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	detach(&listener);
	close(client);
}
END_TEST

START_TEST(accept_passes_over_the_dead)
{
	static const int deaths[] = { ECONNABORTED, EPROTO, EPERM, EINTR, ENETDOWN };
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client;

	open_listener(&listener, &addr);
	client = connect_raw(&addr);
	fail_next(ACCEPT, deaths[_i], 3);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	ck_assert_uint_eq(calls[ACCEPT], 4);
	detach(&conn);
	detach(&listener);
	close(client);
}
END_TEST

START_TEST(cancelled_accept_takes_nobody)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client;

	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	cancel(&op);
	ck_assert_int_eq(op.res, -ECANCELED);
	client = connect_raw(&addr);
	ck_assert_int_eq(turn_of(be0, weir_backend_now(be0) + 20 * WEIR_MSEC), 0);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	detach(&listener);
	close(client);
}
END_TEST

static void open_stream(struct weir_handle *h, int family)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_STREAM, .fd = -1, .family = family };

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be0->ops->attach(be0, h, &spec), 0);
}

static struct weir_op *connect_op(struct weir_op *op, struct weir_handle *h, const void *addr,
				  socklen_t len)
{
	prepare(op, WEIR_OP_CONNECT, h);
	op->u.connect.addr = addr;
	op->u.connect.len = len;
	return op;
}

START_TEST(connect_and_talk)
{
	struct weir_handle h;
	struct weir_op op;
	struct sockaddr_in addr;
	char buf[8];
	int listener = listen_raw(&addr), conn;

	open_stream(&h, AF_INET);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, sizeof(addr)))), 0);
	conn = (int)raw(SYS_accept4, listener, NULL, NULL, 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "hi", 2, 0))), 2);
	ck_assert_int_eq(read(conn, buf, sizeof(buf)), 2);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(conn, "yes");
	ck_assert_int_eq(finish(&op), 3);
	detach(&h);
	close(conn);
	close(listener);
}
END_TEST

START_TEST(connect_refused)
{
	struct weir_handle h;
	struct weir_op op;
	struct sockaddr_in addr;

	close(listen_raw(&addr));
	open_stream(&h, AF_INET);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, sizeof(addr)))), -ECONNREFUSED);
	detach(&h);
}
END_TEST

/* A full backlog leaves a connect waiting: it can be cancelled, and it can succeed. */
START_TEST(connect_waits)
{
	struct weir_handle h[2];
	struct weir_op op[2];
	struct sockaddr_in addr;
	int listener = listen_raw(&addr), fill_fd[2], conn, waiting = 0;

	ck_assert_int_eq(listen(listener, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		fill_fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fill_fd[i], (struct sockaddr *)&addr, sizeof(addr));
	}
	for (unsigned i = 0; i < 2; i++) {
		open_stream(&h[i], AF_INET);
		submit(connect_op(&op[i], &h[i], &addr, sizeof(addr)));
		waiting += !is_done(&op[i]);
	}
	ck_assert_int_eq(waiting, 2);
	ck_assert_int_eq(turn(), 0);
	cancel(&op[0]);
	ck_assert_int_eq(op[0].res, -ECANCELED);
	detach(&h[0]);
	/* The client's SYN comes again within a second or so. */
	fcntl(listener, F_SETFL, O_NONBLOCK);
	while (!is_done(&op[1])) {
		conn = (int)raw(SYS_accept4, listener, NULL, NULL, 0);
		if (conn >= 0)
			close(conn);
		turn_of(be0, weir_backend_now(be0) + 50 * WEIR_MSEC);
	}
	ck_assert_int_eq(op[1].res, 0);
	detach(&h[1]);
	close(fill_fd[0]);
	close(fill_fd[1]);
	close(listener);
}
END_TEST

START_TEST(unix_listener_and_connect)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct weir_handle_spec spec = {
		.kind = WEIR_HANDLE_LISTENER,
		.fd = -1,
		.addr = (const struct sockaddr *)&addr,
	};
	struct weir_handle listener = { 0 }, client, conn;
	struct weir_op op, accept;
	char buf[8];

	/* In the abstract namespace, so that nothing is left behind. */
	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "weir-test-%d", (int)getpid());
	spec.addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				    strlen(addr.sun_path + 1));
	ck_assert_int_eq(be0->ops->attach(be0, &listener, &spec), 0);
	submit(accept_op(&accept, &listener, &conn));
	open_stream(&client, AF_UNIX);
	ck_assert_int_eq(finish(submit(connect_op(&op, &client, &addr, spec.addr_len))), 0);
	ck_assert_int_eq(finish(&accept), 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &client, "unix", 4, 0))), 4);
	ck_assert_int_eq(finish(submit(recv_op(&op, &conn, buf, sizeof(buf)))), 4);
	detach(&client);
	ck_assert_int_eq(finish(submit(recv_op(&op, &conn, buf, sizeof(buf)))), 0);
	detach(&conn);
	detach(&listener);
}
END_TEST

START_TEST(attach_says_why_not)
{
	struct sockaddr_in addr;
	int taken = listen_raw(&addr);
	struct weir_handle_spec spec = {
		.kind = WEIR_HANDLE_LISTENER,
		.fd = -1,
		.addr = (const struct sockaddr *)&addr,
		.addr_len = sizeof(addr),
	};
	struct weir_handle h = { 0 };

	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EADDRINUSE);
	spec = (struct weir_handle_spec){ .kind = WEIR_HANDLE_FOREIGN, .fd = 9999 };
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EBADF);
	spec = (struct weir_handle_spec){ .kind = WEIR_HANDLE_LISTENER, .fd = -1 };
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EINVAL);
	spec = (struct weir_handle_spec){ .kind = WEIR_HANDLE_NONE, .fd = -1 };
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EINVAL);
	spec = (struct weir_handle_spec){ .kind = WEIR_HANDLE_STREAM, .fd = -1, .family = 9999 };
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EAFNOSUPPORT);
	close(taken);
}
END_TEST

START_TEST(controls)
{
	struct weir_keepalive keep = { .idle_s = 30, .interval_s = 5, .count = 3 };
	struct weir_handle h;
	struct sockaddr_storage name;
	int peer = tcp_pair(&h), value = 1, got;
	socklen_t len = sizeof(got);

	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_NODELAY, &value, sizeof(value)), 0);
	getsockopt(h.fd, IPPROTO_TCP, TCP_NODELAY, &got, &len);
	ck_assert_int_ne(got, 0);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_KEEPALIVE, &keep, sizeof(keep)), 0);
	getsockopt(h.fd, IPPROTO_TCP, TCP_KEEPIDLE, &got, &len);
	ck_assert_int_eq(got, 30);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_PEER_ADDR, &name, sizeof(name)), 0);
	ck_assert_int_eq(name.ss_family, AF_INET);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_ERROR, &value, sizeof(value)), 0);
	ck_assert_int_eq(value, 0);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_NODELAY, &value, 1), -EINVAL);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_NODELAY, NULL, 4), -EINVAL);
	/* Linger 0: the peer sees a reset. */
	value = 0;
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_LINGER, &value, sizeof(value)), 0);
	detach(&h);
	ck_assert_int_eq(read(peer, &value, 1), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(peer);
}
END_TEST

/* ---- foreign descriptors ------------------------------------------------------------------ */

START_TEST(poll_a_pipe)
{
	struct weir_handle in, out;
	struct weir_op op;
	int fds[2];
	char byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	adopt(be0, &in, fds[0], WEIR_HANDLE_FOREIGN);
	adopt(be0, &out, fds[1], WEIR_HANDLE_FOREIGN);
	ck_assert_int_eq(finish(submit(poll_op(&op, &out, WEIR_WRITABLE))), WEIR_WRITABLE);
	submit(poll_op(&op, &in, WEIR_READABLE));
	ck_assert(!is_done(&op));
	put(fds[1], "x");
	ck_assert_int_eq(finish(&op), WEIR_READABLE);
	/* What has not been read is still there: no edge is needed. */
	ck_assert_int_eq(finish(submit(poll_op(&op, &in, WEIR_READABLE))), WEIR_READABLE);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	submit(poll_op(&op, &in, WEIR_READABLE));
	turn();
	ck_assert(!is_done(&op));
	detach(&out);
	close(fds[1]);
	ck_assert_int_eq(finish(&op), WEIR_HANGUP);
	detach(&in);
	/* It was never the backend's to close. */
	ck_assert_int_ge(fcntl(fds[0], F_GETFD), 0);
	close(fds[0]);
}
END_TEST

START_TEST(poll_a_regular_file)
{
	char name[] = "/tmp/weir-test-XXXXXX";
	struct weir_handle h;
	struct weir_op op;
	int fd = mkstemp(name);

	unlink(name);
	adopt(be0, &h, fd, WEIR_HANDLE_FOREIGN);
	ck_assert_int_eq(submit(poll_op(&op, &h, WEIR_READABLE))->res, -EPERM);
	ck_assert_int_eq(submit(poll_op(&op, &h, WEIR_READABLE))->res, -EPERM);
	detach(&h);
	close(fd);
}
END_TEST

START_TEST(polls_of_several_waiters)
{
	struct weir_handle h;
	struct weir_op in[2], out, priority;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	adopt(be0, &h, fds[0], WEIR_HANDLE_FOREIGN);
	submit(poll_op(&in[0], &h, WEIR_READABLE));
	submit(poll_op(&priority, &h, WEIR_PRIORITY));
	submit(poll_op(&in[1], &h, WEIR_READABLE));
	ck_assert_int_eq(finish(submit(poll_op(&out, &h, WEIR_WRITABLE))), WEIR_WRITABLE);
	put(fds[1], "x");
	ck_assert_int_eq(finish(&in[0]), WEIR_READABLE);
	ck_assert_int_eq(finish(&in[1]), WEIR_READABLE);
	ck_assert(!is_done(&priority));
	cancel(&priority);
	ck_assert_int_eq(priority.res, -ECANCELED);
	detach(&h);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(poll_priority_data)
{
	struct weir_handle h;
	struct weir_op in, priority;
	struct sockaddr_in addr;
	int listener = listen_raw(&addr), peer = connect_raw(&addr);
	int fd = (int)raw(SYS_accept4, listener, NULL, NULL, 0);

	adopt(be0, &h, fd, WEIR_HANDLE_FOREIGN);
	/* Registered without priority first. */
	submit(poll_op(&in, &h, WEIR_READABLE));
	submit(poll_op(&priority, &h, WEIR_PRIORITY));
	ck_assert_uint_eq(calls[EPOLL_CTL], 2);
	ck_assert_int_eq(raw(SYS_sendto, peer, "!", 1, MSG_OOB, NULL, 0), 1);
	ck_assert_int_eq(finish(&priority), WEIR_PRIORITY);
	ck_assert(!is_done(&in));
	cancel(&in);
	detach(&h);
	close(fd);
	close(peer);
	close(listener);
}
END_TEST

/* A foreign descriptor is taken out of the set, so that its number can come back. */
START_TEST(foreign_descriptor_can_return)
{
	struct weir_handle h;
	struct weir_op op;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t one = 1;

	for (unsigned i = 0; i < 3; i++) {
		adopt(be0, &h, fd, WEIR_HANDLE_FOREIGN);
		submit(poll_op(&op, &h, WEIR_READABLE));
		ck_assert(!is_done(&op));
		ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
		ck_assert_int_eq(finish(&op), WEIR_READABLE);
		ck_assert_int_eq(read(fd, &one, sizeof(one)), sizeof(one));
		detach(&h);
	}
	close(fd);
}
END_TEST

/* ---- failures of the kernel --------------------------------------------------------------- */

START_TEST(no_room_to_register)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer = unix_pair(&h);

	fail_next(EPOLL_CTL, ENOSPC, 1);
	ck_assert_int_eq(submit(recv_op(&op, &h, buf, 4))->res, -ENOSPC);
	fail_next(EPOLL_CTL, ENOMEM, 1);
	ck_assert_int_eq(submit(poll_op(&op, &h, WEIR_READABLE))->res, -ENOMEM);
	submit(recv_op(&op, &h, buf, 4));
	put(peer, "x");
	ck_assert_int_eq(finish(&op), 1);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(interrupted_calls_are_made_again)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op;
	char buf[4];
	int peer = unix_pair(&h);

	put(peer, "x");
	fail_next(RECV, EINTR, 3);
	ck_assert_int_eq(submit(recv_op(&op, &h, buf, 4))->res, 1);
	fail_next(SEND, EINTR, 3);
	ck_assert_int_eq(submit(send_op(&op, &h, "y", 1, 0))->res, 1);
	put(peer, "z");
	fail_next(RECV, EINTR, 3);
	ck_assert_int_eq(submit(lease_op(&op, &h, &lease))->res, 1);
	give_back(&lease);
	fail_next(EPOLL_WAIT, EINTR, 3);
	ck_assert_int_eq(turn(), 0);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(poll_reports_a_broken_poller)
{
	fail_next(EPOLL_WAIT, EBADF, 1);
	ck_assert_int_eq(be0->ops->poll(be0, 0, true), -EBADF);
}
END_TEST

/* ---- an event between a call that found nothing and its op's place in the queue ----------- */

static int meanwhile_peer;

/* Data come, and a sibling handles the event, while nobody is queued. */
static void data_and_event(void)
{
	put(meanwhile_peer, "now");
	become(be1);
	turn_of(be0, WEIR_FOREVER);
	become(be0);
}

START_TEST(event_between_receive_and_queue)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];

	meanwhile_peer = tcp_pair(&h);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	cancel(&op);
	turn();
	/* A try leaves the handle as it was, so the next one makes a call. */
	put(meanwhile_peer, "12");
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 2))), 2);
	meanwhile = data_and_event;
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_ptr_null(meanwhile);
	ck_assert(is_done(&op));
	ck_assert_int_eq(op.res, 3);
	detach(&h);
	close(meanwhile_peer);
}
END_TEST

START_TEST(event_between_look_and_queue)
{
	struct weir_handle h;
	struct weir_op op, other;

	meanwhile_peer = unix_pair(&h);
	/* Somebody else is waiting, for something else. */
	submit(poll_op(&other, &h, WEIR_PRIORITY));
	turn();
	meanwhile = data_and_event;
	submit(poll_op(&op, &h, WEIR_READABLE));
	ck_assert_ptr_null(meanwhile);
	ck_assert(is_done(&op));
	ck_assert_int_eq(op.res, WEIR_READABLE);
	detach(&h);
	close(meanwhile_peer);
}
END_TEST

/* ---- waiting and waking ------------------------------------------------------------------- */

START_TEST(a_look_is_one_call)
{
	ck_assert_int_eq(turn(), 0);
	ck_assert_uint_eq(calls[EPOLL_WAIT], 1);
}
END_TEST

START_TEST(waits_until_the_deadline)
{
	uint64_t deadline = weir_backend_now(be0) + (_i ? 3 * WEIR_MSEC : 300 * WEIR_USEC);

	ck_assert_int_eq(turn_of(be0, deadline), 0);
	ck_assert(weir_backend_now(be0) >= deadline);
	/* In the past: it does not wait. */
	ck_assert_int_eq(turn_of(be0, 1), 0);
}
END_TEST

START_TEST(wake_before_and_during)
{
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	be0->ops->wake(be0);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	/* Both were one event. */
	ck_assert_int_eq(turn_of(be0, weir_backend_now(be0) + 5 * WEIR_MSEC), 0);
}
END_TEST

static unsigned wakes_wanted, wakes_seen;

static void *wake_often(void *arg)
{
	for (unsigned i = 1; i <= wakes_wanted; i++) {
		be0->ops->wake(be0);
		while (weir__load(&wakes_seen, WEIR_ACQUIRE) < i)
			sched_yield();
	}
	return arg;
}

START_TEST(every_wake_arrives)
{
	pthread_t thread;

	wakes_wanted = 2000;
	pthread_create(&thread, NULL, wake_often, NULL);
	for (unsigned i = 1; i <= wakes_wanted; i++) {
		ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
		weir__store(&wakes_seen, i, WEIR_RELEASE);
	}
	pthread_join(thread, NULL);
}
END_TEST

static void wake_in_handler(int sig)
{
	(void)sig;
	be0->ops->wake(be0);
}

START_TEST(wake_from_a_signal_handler)
{
	signal(SIGUSR1, wake_in_handler);
	raise(SIGUSR1);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	signal(SIGUSR1, SIG_DFL);
}
END_TEST

/* ---- siblings ----------------------------------------------------------------------------- */

START_TEST(sibling_polls_for_a_stuck_owner)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op[2];
	char buf[4];
	int peer = tcp_pair(&h);

	submit(recv_op(&op[0], &h, buf, sizeof(buf)));
	put(peer, "x");
	become(be1);
	while (!is_done(&op[0]))
		be0->ops->poll(be0, 0, true);
	ck_assert_int_eq(op[0].res, 1);
	/* Leases come from the pool of the stuck one, by the side door. */
	submit(lease_op(&op[1], &h, &lease));
	put(peer, "lent");
	become(be1);
	while (!is_done(&op[1]))
		be0->ops->poll(be0, 0, true);
	ck_assert_int_eq(op[1].res, 4);
	ck_assert_mem_eq(lease.data, "lent", 4);
	give_back(&lease);
	detach(&h);
	close(peer);
}
END_TEST

/* A sibling that fetched the owner's wake passes it on. */
START_TEST(sibling_does_not_swallow_a_wake)
{
	be0->ops->wake(be0);
	become(be1);
	ck_assert_int_eq(be0->ops->poll(be0, 0, true), 0);
	become(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
}
END_TEST

/* What a sibling did not get done the owner hears of, though the kernel has told it already. */
START_TEST(sibling_leaves_work_behind)
{
	struct weir_handle listener, conn[20];
	struct weir_op op[20];
	struct sockaddr_in addr;
	int client[20];

	open_listener(&listener, &addr);
	for (unsigned i = 0; i < 20; i++)
		submit(accept_op(&op[i], &listener, &conn[i]));
	for (unsigned i = 0; i < 20; i++)
		client[i] = connect_raw(&addr);
	become(be1);
	ck_assert_int_gt(be0->ops->poll(be0, 0, true), 0);
	ck_assert(!is_done(&op[19]));
	become(be0);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(finish(&op[i]), 0);
	for (unsigned i = 0; i < 20; i++) {
		detach(&conn[i]);
		close(client[i]);
	}
	detach(&listener);
}
END_TEST

static void sibling_before_sleep(void)
{
	become(be1);
	ck_assert_int_gt(be0->ops->poll(be0, 0, true), 0);
	become(be0);
}

static int interfere_and_wait(struct weir__readiness *r, struct weir__event *events, int max,
			      int64_t timeout_ns)
{
	void (*first)(void) = between;

	between = NULL;
	if (first)
		first();
	return real_poller->wait(r, events, max, timeout_ns);
}

/* The same when the owner has looked at the list already and is about to sleep. */
START_TEST(sibling_wakes_the_owner_for_what_it_leaves)
{
	enum {
		OPS = 20
	};
	struct weir__poller_ops poller;
	struct weir_handle h;
	struct weir_op op[OPS];
	char buf[OPS];
	int peer = unix_pair(&h);

	for (unsigned i = 0; i < OPS; i++)
		submit(recv_op(&op[i], &h, &buf[i], 1));
	turn();
	held = WEIR_CONTAINER_OF(be0, struct weir__readiness, base);
	real_poller = held->poller;
	poller = *real_poller;
	poller.wait = interfere_and_wait;
	held->poller = &poller;
	between = sibling_before_sleep;
	put(peer, "xxxxxxxxxxxxxxxxxxxx");
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	held->poller = real_poller;
	for (unsigned i = 0; i < OPS; i++)
		ck_assert_int_eq(finish(&op[i]), 1);
	detach(&h);
	close(peer);
}
END_TEST

/* Two workers wait on the same fresh handle at the same moment: one becomes its home. */
static struct weir_handle *home_handle;
static unsigned home_round, home_answer;

static void *home_rival(void *arg)
{
	struct weir_op op;
	char buf[4];

	for (unsigned round = 1;; round++) {
		unsigned at;

		while ((at = weir__load(&home_round, WEIR_ACQUIRE)) < round)
			sched_yield();
		if (at == UINT_MAX)
			return arg;
		submit_to(be1, recv_op(&op, home_handle, buf, sizeof(buf)));
		while (!is_done(&op)) {
			turn_of(be1, 0);
			sched_yield();
		}
		ck_assert_int_eq(op.res, 1);
		weir__store(&home_answer, round, WEIR_RELEASE);
	}
}

START_TEST(two_workers_race_for_the_home)
{
	struct weir_handle h;
	struct weir_op op;
	pthread_t thread;

	pthread_create(&thread, NULL, home_rival, NULL);
	for (unsigned round = 1; round <= 2000; round++) {
		int peer = unix_pair(&h);

		home_handle = &h;
		weir__store(&home_round, round, WEIR_RELEASE);
		submit(poll_op(&op, &h, WEIR_READABLE));
		put(peer, "x");
		while (weir__load(&home_answer, WEIR_ACQUIRE) < round) {
			turn();
			sched_yield();
		}
		if (!is_done(&op))
			cancel(&op);
		ck_assert(is_done(&op));
		detach(&h);
		close(peer);
	}
	weir__store(&home_round, UINT_MAX, WEIR_RELEASE);
	pthread_join(thread, NULL);
}
END_TEST

/* The home changes between a look at it and its lock. */
static void *submit_home_op(void *arg)
{
	submit_to(be0, arg);
	return NULL;
}

START_TEST(home_that_moved_is_looked_up_again)
{
	struct weir__readiness *first = WEIR_CONTAINER_OF(be0, struct weir__readiness, base);
	struct weir_handle h;
	struct weir_op op;
	pthread_t thread;
	char buf[4];
	bool as_owner;
	int peer = unix_pair(&h);

	as_owner = weir__guard_take(&first->guard);
	pthread_create(&thread, NULL, submit_home_op, recv_op(&op, &h, buf, sizeof(buf)));
	while (weir__load(&first->waiters, WEIR_ACQUIRE) == 0)
		sched_yield();
	/* What a worker does that is about to register it. */
	weir__store(&h.backend, be1, WEIR_RELEASE);
	weir__guard_drop(&first->guard, as_owner);
	pthread_join(thread, NULL);
	ck_assert_ptr_eq(h.backend, be0);
	put(peer, "x");
	ck_assert_int_eq(finish(&op), 1);
	detach(&h);
	close(peer);
}
END_TEST

/* A handle that is registered nowhere moves to who needs it; then it stays. */
START_TEST(home_is_who_registers)
{
	struct weir_handle h;
	struct weir_op op, out;
	char buf[4];
	int peer = tcp_pair(&h);

	submit_to(be1, recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_ptr_eq(h.backend, be1);
	put(peer, "x");
	ck_assert_int_eq(finish_at(be1, &op), 1);
	submit_to(be0, recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_ptr_eq(h.backend, be1);
	ck_assert_int_eq(finish_at(be0, submit_to(be0, send_op(&out, &h, "y", 1, 0))), 1);
	put(peer, "z");
	ck_assert_int_eq(finish_at(be1, &op), 1);
	become(be0);
	submit_to(be0, recv_op(&op, &h, buf, sizeof(buf)));
	cancel(&op);
	ck_assert_int_eq(op.res, -ECANCELED);
	detach(&h);
	close(peer);
}
END_TEST

/*
 * Two workers turn while each of them uses handles of both: echo over many connections, with
 * the tasks moved to the other worker at every step, cancels in between, and rescue polls.
 */
enum {
	CONNS = 24,
	ROUNDS = 400
};

struct storm_conn {
	struct weir_handle h;
	struct weir_op op;
	int peer;
	unsigned rounds;
	bool lease;
	struct weir_lease lent;
	char buf[8];
	uint32_t owner;		/* who holds the "task": 0 nobody, 1 + worker; atomic */
};

static struct storm_conn storm_conns[CONNS];
static unsigned storm_left;

/* The task of a connection, on whatever worker found it ready. */
static void storm_step(struct storm_conn *c, struct weir_backend *be)
{
	struct weir_op out;
	const uint8_t *data = c->lease ? c->lent.data : (uint8_t *)c->buf;

	if (c->op.res > 0) {
		submit_to(be, send_op(&out, &c->h, data, (size_t)c->op.res, 0));
		ck_assert(is_done(&out));
		ck_assert_int_eq(out.res, c->op.res);
		if (c->lease)
			give_back(&c->lent);
		if (++c->rounds == ROUNDS) {
			detach(&c->h);
			weir__fetch_sub(&storm_left, 1u, WEIR_RELEASE);
			return;
		}
	} else {
		ck_assert_int_eq(c->op.res, -ECANCELED);
	}
	if (c->lease)
		submit_to(be, lease_op(&c->op, &c->h, &c->lent));
	else
		submit_to(be, recv_op(&c->op, &c->h, c->buf, sizeof(c->buf)));
	if (c->rounds % 7 == 3 && !is_done(&c->op))
		cancel(&c->op);
}

static void *storm_worker(void *arg)
{
	struct weir_backend *be = arg, *other = instances[!be->index];
	unsigned tick = be->index;

	become(be);
	while (weir__load(&storm_left, WEIR_ACQUIRE) > 0) {
		be->ops->poll(be, weir_backend_now(be) + 200 * WEIR_USEC, true);
		if (++tick % 5 == 0)
			other->ops->poll(other, 0, true);
		for (unsigned i = 0; i < CONNS; i++) {
			struct storm_conn *c = &storm_conns[(i + tick) % CONNS];
			uint32_t nobody = 0;

			if (!weir__cas(&c->owner, &nobody, 1u + be->index, WEIR_ACQUIRE,
				       WEIR_RELAXED))
				continue;
			if (c->rounds < ROUNDS && is_done(&c->op))
				storm_step(c, be);
			weir__store(&c->owner, 0u, WEIR_RELEASE);
		}
	}
	return NULL;
}

static void *storm_client(void *arg)
{
	char back[8];

	for (unsigned r = 0; r < ROUNDS; r++)
		for (unsigned i = 0; i < CONNS; i++) {
			if (r == 0 || read(storm_conns[i].peer, back, sizeof(back)) == 4)
				put(storm_conns[i].peer, "ping");
			else
				abort();
		}
	return arg;
}

START_TEST(storm)
{
	pthread_t worker, client;

	storm_left = CONNS;
	for (unsigned i = 0; i < CONNS; i++) {
		struct storm_conn *c = &storm_conns[i];

		c->peer = i % 2 ? tcp_pair(&c->h) : unix_pair(&c->h);
		c->lease = i % 3 == 0;
		recv_op(&c->op, &c->h, c->buf, sizeof(c->buf));
		submit(&c->op);
		if (c->lease)
			cancel(&c->op);
	}
	pthread_create(&worker, NULL, storm_worker, be1);
	pthread_create(&client, NULL, storm_client, NULL);
	storm_worker(be0);
	pthread_join(worker, NULL);
	pthread_join(client, NULL);
	become(be0);
	for (unsigned i = 0; i < CONNS; i++)
		close(storm_conns[i].peer);
}
END_TEST

/* Closing a connection while another task's receive on it is being cancelled or completed. */
static struct weir_op *race_op;
static unsigned race_round, race_done;

static void *race_canceller(void *arg)
{
	for (unsigned round = 1;; round++) {
		unsigned at;

		while ((at = weir__load(&race_round, WEIR_ACQUIRE)) < round)
			sched_yield();
		if (at == UINT_MAX)
			return arg;
		/* As the core does it: only while the op is not known to be done. */
		if (!is_done(race_op))
			cancel(race_op);
		weir__store(&race_done, round, WEIR_RELEASE);
	}
}

static void free_handle(struct weir_handle *h)
{
	free(h);
}

START_TEST(close_races_with_cancel)
{
	struct weir_op op;
	pthread_t thread;
	char buf[4];

	race_op = &op;
	pthread_create(&thread, NULL, race_canceller, NULL);
	for (unsigned round = 1; round <= 2000; round++) {
		struct weir_handle *h = malloc(sizeof(*h));
		int peer = unix_pair(h);

		h->released = free_handle;
		submit(recv_op(&op, h, buf, sizeof(buf)));
		weir__store(&race_round, round, WEIR_RELEASE);
		if (round % 3 == 0)
			put(peer, "x");
		if (round % 5 == 0)
			turn();
		detach_some_time(h);
		while (weir__load(&race_done, WEIR_ACQUIRE) < round)
			sched_yield();
		ck_assert(is_done(&op));
		ck_assert_uint_eq(weir__load(&detached_by_all, WEIR_RELAXED), round);
		close(peer);
	}
	weir__store(&race_round, UINT_MAX, WEIR_RELEASE);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- fairness ----------------------------------------------------------------------------- */

START_TEST(hot_socket_beside_quiet_ones)
{
	enum {
		QUIET = 50,
		HOT = 200
	};
	struct weir_handle hot, quiet[QUIET];
	struct weir_op hot_op[HOT], quiet_op[QUIET];
	char hot_buf[HOT], quiet_buf[QUIET], text[HOT + 1];
	int hot_peer = unix_pair(&hot), peer[QUIET];
	unsigned before = 0, after = 0;

	for (unsigned i = 0; i < HOT; i++)
		submit(recv_op(&hot_op[i], &hot, &hot_buf[i], 1));
	for (unsigned i = 0; i < QUIET; i++) {
		peer[i] = unix_pair(&quiet[i]);
		submit(recv_op(&quiet_op[i], &quiet[i], &quiet_buf[i], 1));
	}
	turn();
	memset(text, 'x', HOT);
	text[HOT] = '\0';
	put(hot_peer, text);
	for (unsigned i = 0; i < QUIET; i++)
		put(peer[i], "y");
	turn();
	for (unsigned i = 0; i < HOT; i++)
		before += is_done(&hot_op[i]);
	for (unsigned i = 0; i < QUIET; i++)
		ck_assert(is_done(&quiet_op[i]));
	ck_assert_uint_ge(before, 1);
	ck_assert_uint_le(before, 16);
	/* The rest without another event, and a poll that has it to do does not sleep. */
	while (!is_done(&hot_op[HOT - 1])) {
		ck_assert_int_gt(turn_of(be0, WEIR_FOREVER), 0);
		ck_assert_uint_le(++after, HOT);
	}
	for (unsigned i = 0; i < HOT; i++)
		ck_assert(is_done(&hot_op[i]));
	for (unsigned i = 0; i < QUIET; i++) {
		detach(&quiet[i]);
		close(peer[i]);
	}
	detach(&hot);
	close(hot_peer);
}
END_TEST

/* A handle that goes away while it is on the ready list. */
START_TEST(detach_from_the_ready_list)
{
	enum {
		OPS = 20
	};
	struct weir_handle h, next;
	struct weir_op op[OPS], other;
	char buf[OPS], text[] = "xxxxxxxxxxxxxxxxxxxx";
	int peer = unix_pair(&h), next_peer;

	for (unsigned i = 0; i < OPS; i++)
		submit(recv_op(&op[i], &h, &buf[i], 1));
	put(peer, text);
	turn();
	ck_assert(is_done(&op[0]) && !is_done(&op[OPS - 1]));
	detach(&h);
	ck_assert_int_eq(op[OPS - 1].res, -ECANCELED);
	close(peer);
	next_peer = unix_pair(&next);
	submit(recv_op(&other, &next, buf, 1));
	turn();
	turn();
	ck_assert(!is_done(&other));
	put(next_peer, "y");
	ck_assert_int_eq(finish(&other), 1);
	detach(&next);
	close(next_peer);
}
END_TEST

/* ---- leases ------------------------------------------------------------------------------- */

static struct weir__lease_pool *pool_of(struct weir_backend *be)
{
	return &WEIR_CONTAINER_OF(be, struct weir__readiness, base)->pool;
}

START_TEST(lease_is_held_only_with_data)
{
	struct weir_handle h;
	struct weir_lease lease, second;
	struct weir_op op;
	uint8_t *first;
	int peer = tcp_pair(&h);

	submit(lease_op(&op, &h, &lease));
	ck_assert(!is_done(&op));
	ck_assert_uint_eq(weir__lease_pool_out(pool_of(be0)), 0);
	put(peer, "data");
	ck_assert_int_eq(finish(&op), 4);
	ck_assert_uint_eq(lease.len, 4);
	ck_assert_mem_eq(lease.data, "data", 4);
	ck_assert_ptr_eq(lease.owner, be0);
	ck_assert_uint_eq(weir__lease_pool_out(pool_of(be0)), 1);
	first = lease.data;
	give_back(&lease);
	ck_assert_uint_eq(weir__lease_pool_out(pool_of(be0)), 0);
	/* The block that was used last is used next. */
	put(peer, "more");
	submit(lease_op(&op, &h, &second));
	ck_assert_int_eq(finish(&op), 4);
	ck_assert_ptr_eq(second.data, first);
	give_back(&second);
	/* The end of the stream holds nothing. */
	submit(lease_op(&op, &h, &lease));
	close(peer);
	ck_assert_int_eq(finish(&op), 0);
	ck_assert_ptr_null(lease.data);
	ck_assert_uint_eq(weir__lease_pool_out(pool_of(be0)), 0);
	detach(&h);
}
END_TEST

START_TEST(lease_of_at_most)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op;
	int peer = unix_pair(&h);

	put(peer, "abcdef");
	lease_op(&op, &h, &lease)->u.lease.max = 4;
	ck_assert_int_eq(finish(submit(&op)), 4);
	give_back(&lease);
	ck_assert_int_eq(finish(submit(lease_op(&op, &h, &lease))), 2);
	ck_assert_mem_eq(lease.data, "ef", 2);
	give_back(&lease);
	detach(&h);
	close(peer);
}
END_TEST

static struct weir_lease crossing[200];

static void *give_elsewhere(void *arg)
{
	for (unsigned i = 0; i < 200; i++)
		give_back(&crossing[i]);
	return arg;
}

START_TEST(leases_given_back_elsewhere)
{
	struct weir__lease_pool *pool = pool_of(be0);
	pthread_t thread;

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 200; i++) {
			crossing[i].owner = be0;
			crossing[i].data = weir__lease_pool_take(pool, true, &crossing[i].token);
			ck_assert_ptr_nonnull(crossing[i].data);
			memset(crossing[i].data, (int)i, 64);
		}
		ck_assert_uint_eq(weir__lease_pool_out(pool), 200);
		for (unsigned i = 0; i < 200; i++)
			ck_assert_uint_eq(crossing[i].data[63], i);
		pthread_create(&thread, NULL, give_elsewhere, NULL);
		/* The owner goes on taking and giving meanwhile. */
		for (unsigned i = 0; i < 500; i++) {
			uint32_t token;

			ck_assert_ptr_nonnull(weir__lease_pool_take(pool, true, &token));
			weir__lease_pool_give(pool, true, token);
		}
		pthread_join(thread, NULL);
		ck_assert_uint_eq(weir__lease_pool_out(pool), 0);
	}
	/* Nothing was lost: as many blocks as at the most were out, and one. */
	ck_assert_uint_le(pool->fresh, 201);
}
END_TEST

static size_t resident(void)
{
	size_t pages[2] = { 0, 0 };
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%zu %zu", &pages[0], &pages[1]), 2);
	fclose(f);
	return pages[1] * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t burst(struct weir__lease_pool *pool, unsigned blocks)
{
	uint32_t *token = malloc(blocks * sizeof(*token));
	size_t peak;

	for (unsigned i = 0; i < blocks; i++)
		memset(weir__lease_pool_take(pool, true, &token[i]), 1, BLOCK);
	peak = resident();
	for (unsigned i = 0; i < blocks; i++)
		weir__lease_pool_give(pool, true, token[i]);
	free(token);
	return peak;
}

/* 64 MiB of leases at once, then quiet: a sleeping worker gives them back. */
START_TEST(burst_gives_its_memory_back)
{
	struct weir__lease_pool *pool = pool_of(be0);
	size_t before = resident(), peak = burst(pool, 4096);
	uint64_t deadline = weir_backend_now(be0) + 2 * WEIR_SEC;

	ck_assert_uint_ge(peak, before + (60u << 20));
	while (pool->hot_len > WEIR__LEASE_KEEP && weir_backend_now(be0) < deadline)
		turn_of(be0, weir_backend_now(be0) + 100 * WEIR_MSEC);
	ck_assert_uint_eq(pool->hot_len, WEIR__LEASE_KEEP);
	ck_assert_uint_eq(weir__lease_pool_out(pool), 0);
	ck_assert_uint_le(resident(), before + (4u << 20));
	/* And works as before. */
	burst(pool, 100);
	ck_assert_uint_eq(weir__lease_pool_out(pool), 0);
	ck_assert_uint_eq(pool->fresh, 4096);
}
END_TEST

/* A worker that never sleeps gives back what it did not need between two trims. */
START_TEST(busy_worker_gives_back_too)
{
	struct weir__lease_pool *pool = pool_of(be0);
	uint32_t token;

	burst(pool, 256);
	/* One trim to learn how low it gets, three of at most 64 blocks. */
	for (unsigned i = 0; i < 6 * 1024; i++) {
		ck_assert_ptr_nonnull(weir__lease_pool_take(pool, true, &token));
		turn();
		weir__lease_pool_give(pool, true, token);
	}
	ck_assert_uint_le(pool->hot_len, WEIR__LEASE_KEEP + 1);
	ck_assert_uint_ge(pool->cold_len, 256 - WEIR__LEASE_KEEP - 1);
}
END_TEST

START_TEST(pool_grows_far)
{
	struct weir__lease_pool pool;
	enum {
		MANY = 100000
	};
	uint32_t *token = malloc(MANY * sizeof(*token));
	uint8_t **data = malloc(MANY * sizeof(*data));

	weir__lease_pool_init(&pool, 1);
	ck_assert_uint_eq(pool.bytes, (size_t)sysconf(_SC_PAGESIZE));
	for (unsigned i = 0; i < MANY; i++) {
		data[i] = weir__lease_pool_take(&pool, i % 2, &token[i]);
		ck_assert_ptr_nonnull(data[i]);
		if (i % 1000 == 0)
			memcpy(data[i], &i, sizeof(i));
	}
	for (unsigned i = 0; i < MANY; i += 1000)
		ck_assert_mem_eq(data[i], &i, sizeof(i));
	for (unsigned i = 0; i < MANY; i++)
		weir__lease_pool_give(&pool, i >= 100, token[i]);
	ck_assert_uint_eq(weir__lease_pool_out(&pool), 0);
	/* A sibling takes one after the other from what others gave, and loses none. */
	for (unsigned i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(weir__lease_pool_take(&pool, false, &token[i]));
	ck_assert_uint_eq(pool.fresh, MANY);
	ck_assert_uint_eq(weir__lease_pool_out(&pool), 100);
	for (unsigned i = 0; i < 100; i++)
		weir__lease_pool_give(&pool, true, token[i]);
	ck_assert_uint_eq(weir__lease_pool_out(&pool), 0);
	weir__lease_pool_fini(&pool);
	free(token);
	free(data);
}
END_TEST

/* ---- the registry ------------------------------------------------------------------------- */

START_TEST(registry_knows_epoll)
{
	ck_assert_ptr_nonnull(weir__backend_find("epoll"));
	ck_assert_str_eq(weir__backend_find("epoll")->name, "epoll");
	ck_assert_uint_eq(weir__backend_find("epoll")->abi, WEIR_BACKEND_ABI);
	ck_assert_ptr_null(weir__backend_find("epol"));
	ck_assert_ptr_nonnull(weir__backend_at(0));
	ck_assert_ptr_null(weir__backend_at(1000));
}
END_TEST

START_TEST(choice_by_name_environment_and_itself)
{
	struct weir__backend_choice c;

	unsetenv("WEIR_BACKEND");
	ck_assert_int_eq(weir__backend_choose(NULL, &c), 0);
	ck_assert_ptr_nonnull(c.ops);
	ck_assert(c.automatic);
	ck_assert_int_eq(weir__backend_choose("epoll", &c), 0);
	ck_assert_str_eq(c.ops->name, "epoll");
	ck_assert_str_eq(c.why, "");
	ck_assert_ptr_null(c.options);
	ck_assert(!c.automatic);
	ck_assert_int_eq(weir__backend_choose("epoll:fast", &c), -EINVAL);
	ck_assert_str_eq(c.why,
			 "backend 'epoll:fast' cannot run here: it has no options, so not 'fast'");
	ck_assert_int_eq(weir__backend_choose("nix", &c), -ENOENT);
	ck_assert_ptr_nonnull(strstr(c.why, "unknown backend 'nix'; this build has:"));
	ck_assert_ptr_nonnull(strstr(c.why, "epoll"));
	setenv("WEIR_BACKEND", "nope", 1);
	ck_assert_int_eq(weir__backend_choose(NULL, &c), -ENOENT);
	ck_assert_ptr_nonnull(strstr(c.why, "'nope'"));
	/* A name counts for more than the environment, auto too. */
	ck_assert_int_eq(weir__backend_choose("epoll", &c), 0);
	ck_assert_int_eq(weir__backend_choose("auto", &c), 0);
	setenv("WEIR_BACKEND", "", 1);
	ck_assert_int_eq(weir__backend_choose(NULL, &c), 0);
	unsetenv("WEIR_BACKEND");
}
END_TEST

/* The choice of auto that fails when it is used makes way for the next, and says so. */
START_TEST(auto_falls_back)
{
	struct weir__backend_choice c;
	const struct weir_backend_ops *first, *last = NULL;
	unsigned fell = 0;

	unsetenv("WEIR_BACKEND");
	ck_assert_int_eq(weir__backend_choose("auto", &c), 0);
	first = c.ops;
	do
		last = c.ops;
	while (weir__backend_fall_back(&c, "no room") == 0 && ++fell < 100);
	ck_assert_uint_lt(fell, 100);
	ck_assert_ptr_eq(c.ops, last);
	ck_assert_ptr_nonnull(strstr(c.why, first->name));
	ck_assert_ptr_nonnull(strstr(c.why, ": no room"));
	ck_assert_int_eq(weir__backend_choose("epoll", &c), 0);
	ck_assert_int_eq(weir__backend_fall_back(&c, "no room"), -ENODEV);
}
END_TEST

START_TEST(named_backend_that_cannot_run)
{
	struct weir__backend_choice c;
	struct rlimit was, none;
	int err;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 3, was.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	err = weir__backend_choose("epoll", &c);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(err, -EMFILE);
	ck_assert_ptr_nonnull(strstr(c.why, "backend 'epoll' cannot run here: epoll_create1"));
	ck_assert_ptr_null(c.ops);
}
END_TEST

#define CASE(name, ...) TESTING(name, .setup = setup, .teardown = teardown, ##__VA_ARGS__)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(recv_completes_at_once),
		CASE(recv_completes_later),
		CASE(nothing_is_registered_before_it_must_wait),
		CASE(echo_makes_two_calls_a_message),
		CASE(short_read_at_once_is_remembered),
		CASE(exact_fit_keeps_readiness),
		CASE(peek_leaves_the_bytes),
		CASE(try_never_waits),
		CASE(recvv_and_sendv),
		CASE(recv_all_gathers),
		CASE(several_receives_wait_in_order),
		CASE(data_and_end_together),
		CASE(half_close_leaves_the_other_half),
		CASE(reset_while_receiving),
		CASE(reset_while_sending),
		CASE(reset_with_both_sides_pending),
		CASE(urgent_data_does_not_hide_the_rest),
		CASE(passed_descriptors_do_not_hide_the_rest),
		CASE(send_all_goes_on_until_all_is_sent, .rounds = 2),
		CASE(sendv_all_goes_on_in_the_middle),
		CASE(send_waits_for_room),
		CASE(cancel_a_waiting_receive),
		CASE(cancel_any_of_several, .rounds = 3),
		CASE(cancel_says_what_was_sent),
		CASE(cancel_from_another_worker),
		CASE(detach_cancels_everything),
		CASE(stale_event_finds_nobody),
		CASE(stale_event_in_hand_finds_nobody),
		CASE(accept_now_and_later),
		CASE(accepts_of_several_waiters),
		CASE(accept_out_of_descriptors),
		CASE(accept_passes_over_the_dead, .rounds = 5),
		CASE(cancelled_accept_takes_nobody),
		CASE(connect_and_talk),
		CASE(connect_refused),
		CASE(connect_waits),
		CASE(unix_listener_and_connect),
		CASE(attach_says_why_not),
		CASE(controls),
		CASE(poll_a_pipe),
		CASE(poll_a_regular_file),
		CASE(polls_of_several_waiters),
		CASE(poll_priority_data),
		CASE(foreign_descriptor_can_return),
		CASE(no_room_to_register),
		CASE(interrupted_calls_are_made_again),
		CASE(poll_reports_a_broken_poller),
		CASE(event_between_receive_and_queue),
		CASE(event_between_look_and_queue),
		CASE(a_look_is_one_call),
		CASE(waits_until_the_deadline, .rounds = 2),
		CASE(wake_before_and_during),
		CASE(every_wake_arrives),
		CASE(wake_from_a_signal_handler),
		CASE(sibling_polls_for_a_stuck_owner),
		CASE(sibling_does_not_swallow_a_wake),
		CASE(sibling_leaves_work_behind),
		CASE(sibling_wakes_the_owner_for_what_it_leaves),
		CASE(two_workers_race_for_the_home),
		CASE(home_that_moved_is_looked_up_again),
		CASE(home_is_who_registers),
		CASE(storm, .timeout_s = 60),
		CASE(close_races_with_cancel, .timeout_s = 60),
		CASE(hot_socket_beside_quiet_ones),
		CASE(detach_from_the_ready_list),
		CASE(lease_is_held_only_with_data),
		CASE(lease_of_at_most),
		CASE(leases_given_back_elsewhere),
		CASE(burst_gives_its_memory_back, .needs = "nosan"),
		CASE(busy_worker_gives_back_too),
		TESTING(pool_grows_far),
		TESTING(registry_knows_epoll),
		TESTING(choice_by_name_environment_and_itself),
		TESTING(auto_falls_back),
		TESTING(named_backend_that_cannot_run),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
