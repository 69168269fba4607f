/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring.c: the io_uring backend against the kernel's own sockets, in
 * each of its forms: alone and with a second instance, with and without its
 * features, moving between threads.
 *
 * The core is not here: this file completes operations itself, by writing the
 * result down, and says which worker the thread is. It looks into handles only to
 * learn which way they receive.
 */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/iouring/iouring.h"
#include "backends/registry.h"
#include "core/context.h"
#include "core/worker.h"
#include "tests/support/testing.h"

#define BLOCK 16384u

/* ---- the core's side ---------------------------------------------------------------------- */

static unsigned detached;		/* atomic */

void weir_backend_complete(struct weir_op *op, int res)
{
	ck_assert_int_eq(weir__load(&op->state, WEIR_RELAXED), WEIR_OP_INFLIGHT);
	op->res = res;
	/* Pairs with the load in is_done. */
	weir__store(&op->state, (uint8_t)WEIR_OP_DONE, WEIR_RELEASE);
}

void weir_backend_retry(struct weir_op *op)
{
	(void)op;
	ck_abort_msg("a completion backend gives nothing back");
}

void weir_backend_detached(struct weir_handle *h)
{
	void (*released)(struct weir_handle *) = h->released;

	/* What touches it from here on, touches freed memory. */
	memset(h, 0xa5, sizeof(*h));
	if (released)
		released(h);
	/* Pairs with the load in detach. */
	weir__fetch_add(&detached, 1u, WEIR_RELEASE);
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
static struct weir__worker workers[2];
static unsigned files_before;

/* The forms in which whatever an operation does must be the same. */
static const struct form {
	const char *options;
	unsigned workers;
	bool moves;
} forms[] = {
	{ NULL, 2, false },
	{ NULL, 1, false },
	{ NULL, 1, true },
	{ "no-defer", 2, false },
	{ "no-multishot-recv,no-multishot-accept", 2, false },
	{ "no-buffers", 2, false },
	{ "no-inline-send,no-ring-fd", 2, false },
	{ "entries=8,buffer-entries=16", 2, false },
	{ "zero-copy=1", 2, false },
	{ "direct=64", 2, false },
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))
#define PLAIN 0
#define ALONE 1
#define MOVES 2
#define NO_BUFFERS 5
#define NO_INLINE 6
#define TINY 7
#define ZERO_COPY 8

static struct uring *uring(unsigned i)
{
	return WEIR_CONTAINER_OF(instances[i], struct uring, base);
}

/* This thread is the worker of that instance. */
static void become(struct weir_backend *be)
{
	weir__context()->worker = be ? be->worker : NULL;
}

static struct weir_backend *open_instance(unsigned index, const struct form *form)
{
	const struct weir_backend_ops *ops = weir__backend_find("io_uring");
	struct weir_backend_config cfg = { .worker = index,
					   .workers = form->workers,
					   .node = -1,
					   .busy_events = 64,
					   .idle_events = 1024,
					   .lease_bytes = BLOCK,
					   .options = form->options,
					   .moves = form->moves };
	size_t bytes = (ops->instance_bytes + 63) / 64 * 64;
	struct weir_backend *be = aligned_alloc(64, bytes);

	memset(be, 0, bytes);
	be->ops = ops;
	be->caps = ops->caps;
	be->index = index;
	be->worker = &workers[index];
	be->worker->index = (uint16_t)index;
	ck_assert_int_eq(ops->init(be, &cfg), 0);
	return be;
}

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Instance i is made, and what it needs is there whatever else is closed. */
static void begin(unsigned form)
{
	files_before = open_files();
	for (unsigned i = 0; i < forms[form].workers; i++)
		instances[i] = open_instance(i, &forms[form]);
	become(be0);
}

static void end(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!instances[i])
			continue;
		become(instances[i]);
		ck_assert_ptr_null(uring(i)->closing);
		instances[i]->ops->fini(instances[i]);
		free(instances[i]);
		instances[i] = NULL;
	}
	ck_assert_uint_eq(open_files(), files_before);
}

static int turn_of(struct weir_backend *be, uint64_t deadline)
{
	int n = be->ops->poll(be, deadline, false);

	ck_assert_int_ge(n, 0);
	return n;
}

static uint64_t in_ms(unsigned ms)
{
	return weir_backend_now(be0) + ms * WEIR_MSEC;
}

/* ---- ops ---------------------------------------------------------------------------------- */

static struct weir_op *prepare(struct weir_op *op, enum weir_op_code code, struct weir_handle *h)
{
	memset(op, 0, sizeof(*op));
	op->code = (uint8_t)code;
	op->handle = h;
	return op;
}

/* As the task that waits for it does, which runs on that worker. */
static struct weir_op *submit_to(struct weir_backend *be, struct weir_op *op)
{
	op->state = WEIR_OP_INFLIGHT;
	op->backend = be;
	become(be);
	be->worker->submitting = op;
	be->ops->submit(be, op);
	be->worker->submitting = NULL;
	return op;
}

static struct weir_op *submit(struct weir_op *op)
{
	return submit_to(be0, op);
}

/* As a message from another worker. */
static struct weir_op *submit_mailed(struct weir_op *op)
{
	op->state = WEIR_OP_INFLIGHT;
	op->backend = be0;
	become(be0);
	be0->ops->submit(be0, op);
	return op;
}

static bool is_done(struct weir_op *op)
{
	return weir__load(&op->state, WEIR_ACQUIRE) == WEIR_OP_DONE;
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

/* Turn until nothing more comes for a moment. */
static void settle(struct weir_backend *be)
{
	become(be);
	while (turn_of(be, in_ms(5)) > 0)
		continue;
}

static void cancel(struct weir_op *op)
{
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
	op->flags = (uint8_t)flags;
	return op;
}

static struct weir_op *with(struct weir_op *op, unsigned flags)
{
	op->flags = (uint8_t)flags;
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

static struct weir_op *connect_op(struct weir_op *op, struct weir_handle *h, const void *addr,
				  socklen_t len)
{
	prepare(op, WEIR_OP_CONNECT, h);
	op->u.connect.addr = addr;
	op->u.connect.len = len;
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

static int listen_raw(struct sockaddr_in *ret_addr, int backlog)
{
	socklen_t len = sizeof(*ret_addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any_port, sizeof(any_port)), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
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
	int listener = listen_raw(&addr, 64), peer = connect_raw(&addr);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

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

/* To be followed by turns of whoever has something in flight on it. */
static void detach_some_time(struct weir_handle *h)
{
	h->backend->ops->detach(h->backend, h);
}

static void detach(struct weir_handle *h)
{
	unsigned before = weir__load(&detached, WEIR_ACQUIRE);
	uint64_t limit = in_ms(testing_scaled(5000));
	struct weir_backend *be = h->backend;

	become(be);
	be->ops->detach(be, h);
	while (weir__load(&detached, WEIR_ACQUIRE) == before) {
		turn_of(be, in_ms(100));
		ck_assert_msg(weir_backend_now(be) < limit, "the handle is never released");
	}
	ck_assert_uint_eq(detached, before + 1);
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* The peer learns of the end: with a reset or without. */
static int read_end(int peer)
{
	char buf[65536];
	ssize_t n;

	fcntl(peer, F_SETFL, 0);
	while ((n = read(peer, buf, sizeof(buf))) > 0)
		continue;
	return n < 0 ? -errno : 0;
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

	setsockopt(h->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* Send until the socket takes no more. Returns the bytes. */
static size_t fill(struct weir_handle *h)
{
	static const char zeros[65536];
	size_t sent = 0;
	ssize_t n;

	while ((n = send(h->fd, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
		sent += (size_t)n;
	ck_assert_int_eq(errno, EAGAIN);
	return sent;
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

/* Requests and answers, until the stream has its multishot receive. */
static void arm(struct weir_handle *h, int peer)
{
	struct weir_lease lease;
	struct weir_op op;

	for (unsigned i = 0; i < 20 && !(state_of(h)->flags & ARMED); i++) {
		submit(lease_op(&op, h, &lease));
		turn_of(be0, 0);
		put(peer, "calm");
		ck_assert_int_eq(finish(&op), 4);
		give_back(&lease);
	}
	ck_assert(state_of(h)->flags & ARMED);
	ck_assert(!state_of(h)->waiters);
}

/* Let the kernel receive, though nobody asks. */
static void queue_some(struct weir_handle *h, int peer, const char *text)
{
	unsigned before = state_of(h)->queued;

	put(peer, text);
	while (state_of(h)->queued == before)
		turn_of(be0, WEIR_FOREVER);
}

static int lease_now(struct weir_handle *h, char *buf)
{
	struct weir_lease lease;
	struct weir_op op;
	int n = finish(submit(lease_op(&op, h, &lease)));

	if (n > 0) {
		memcpy(buf, lease.data, (size_t)n);
		give_back(&lease);
	}
	return n;
}

/* ---- transfers, in every form ------------------------------------------------------------- */

START_TEST(receives)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	turn_of(be0, 0);
	ck_assert(!is_done(&op));
	put(peer, "later");
	ck_assert_int_eq(finish(&op), 5);
	ck_assert_mem_eq(buf, "later", 5);
	put(peer, "peek");
	ck_assert_int_eq(finish(submit(with(recv_op(&op, &h, buf, 16), WEIR_OP_PEEK))), 4);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 16))), 4);
	ck_assert_mem_eq(buf, "peek", 4);
	ck_assert_int_eq(submit(with(recv_op(&op, &h, buf, 16), WEIR_OP_TRY))->res, -EAGAIN);
	submit(with(recv_op(&op, &h, buf, 8), WEIR_OP_ALL));
	put(peer, "abc");
	turn_of(be0, in_ms(5));
	ck_assert(!is_done(&op));
	put(peer, "defgh");
	ck_assert_int_eq(finish(&op), 8);
	ck_assert_mem_eq(buf, "abcdefgh", 8);
	submit(with(recv_op(&op, &h, buf, 8), WEIR_OP_ALL));
	put(peer, "ij");
	close(peer);
	ck_assert_int_eq(finish(&op), 2);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 8))), 0);
	ck_assert_int_eq(lease_now(&h, buf), 0);
	detach(&h);
	end();
}
END_TEST

START_TEST(vectors)
{
	struct weir_handle h;
	struct weir_op op;
	char a[3], b[5], back[16];
	struct iovec in[2] = { { a, 3 }, { b, 5 } };
	struct iovec out[3] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 } };
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
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
	ck_assert_int_eq(finish(submit(&op)), 5);
	ck_assert_int_eq(read(peer, back, sizeof(back)), 5);
	ck_assert_mem_eq(back, "abcde", 5);
	detach(&h);
	close(peer);
	end();
}
END_TEST

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
			turn_of(be0, 0);
			continue;
		}
		ck_assert_int_gt(n, 0);
		ck_assert_mem_eq(buf, expected + got, (size_t)n);
		got += (size_t)n;
	}
	ck_assert_int_eq(finish(op), (int)len);
}

START_TEST(sends_of_all)
{
	enum {
		PARTS = 100,
		PART = 10007,
		LEN = PARTS * PART
	};
	uint8_t *data = malloc(LEN);
	struct iovec iov[PARTS];
	struct weir_handle h;
	struct weir_op op;
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	fill_pattern(data, LEN);
	for (unsigned i = 0; i < PARTS; i++)
		iov[i] = (struct iovec){ data + i * PART, PART };
	small_buffers(&h, peer);
	submit(send_op(&op, &h, data, LEN, WEIR_OP_ALL));
	check_sent(&op, peer, data, LEN);
	prepare(&op, WEIR_OP_SENDV, &h)->flags = WEIR_OP_ALL;
	op.u.iov.iov = iov;
	op.u.iov.count = PARTS;
	submit(&op);
	check_sent(&op, peer, data, LEN);
	detach(&h);
	close(peer);
	end();
	free(data);
}
END_TEST

START_TEST(resets)
{
	static const char zeros[1 << 20];
	struct weir_handle h;
	struct weir_op in, out;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	submit(recv_op(&in, &h, buf, sizeof(buf)));
	reset(peer);
	ck_assert_int_eq(finish(&in), -ECONNRESET);
	ck_assert_int_eq(finish(submit(send_op(&out, &h, "x", 1, 0))), -EPIPE);
	detach(&h);
	peer = tcp_pair(&h);
	small_buffers(&h, peer);
	fill(&h);
	submit(send_op(&out, &h, zeros, sizeof(zeros), WEIR_OP_ALL));
	turn_of(be0, 0);
	reset(peer);
	ck_assert_int_eq(finish(&out), -ECONNRESET);
	detach(&h);
	end();
}
END_TEST

/* An address that is none is its caller's mistake, and told; the worker goes on. */
START_TEST(bad_addresses)
{
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	submit(recv_op(&op, &h, nowhere, 16));
	turn_of(be0, 0);
	put(peer, "x");
	ck_assert_int_eq(finish(&op), -EFAULT);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 4))), 1);
	if (_i != ZERO_COPY) {
		uring(0)->batch = 64;
		ck_assert_int_eq(finish(submit(send_op(&op, &h, nowhere, 16, 0))), -EFAULT);
	}
	detach(&h);
	close(peer);
	munmap(nowhere, 4096);
	end();
}
END_TEST

/* ---- cancel ------------------------------------------------------------------------------- */

/* Of each kind that waits; what comes later is not lost. */
START_TEST(cancels)
{
	struct weir_handle h, foreign;
	struct weir_lease lease;
	struct weir_op op;
	char buf[16];
	int peer, fds[2];

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	for (unsigned submitted = 0; submitted < 2; submitted++) {
		submit(recv_op(&op, &h, buf, sizeof(buf)));
		if (submitted)
			turn_of(be0, 0);
		cancel(&op);
		ck_assert_int_eq(finish(&op), -ECANCELED);
		submit(lease_op(&op, &h, &lease));
		if (submitted)
			turn_of(be0, 0);
		cancel(&op);
		ck_assert_int_eq(finish(&op), -ECANCELED);
	}
	put(peer, "kept");
	ck_assert_int_eq(lease_now(&h, buf), 4);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	adopt(be0, &foreign, fds[0], WEIR_HANDLE_FOREIGN);
	submit(poll_op(&op, &foreign, WEIR_READABLE));
	cancel(&op);
	ck_assert_int_eq(finish(&op), -ECANCELED);
	put(fds[1], "x");
	ck_assert_int_eq(finish(submit(poll_op(&op, &foreign, WEIR_READABLE))), WEIR_READABLE);
	detach(&foreign);
	close(fds[0]);
	close(fds[1]);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* The completion is there first, though nobody has looked: it counts. */
START_TEST(cancel_after_completion)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = unix_pair(&h);
	put(peer, "first");
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	io_uring_submit_and_get_events(&uring(0)->ring);
	cancel(&op);
	ck_assert_int_eq(finish(&op), uring(0)->enabled ? 5 : -ECANCELED);
	settle(be0);
	/* And does not hit the next, in the same memory. */
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "second");
	ck_assert_int_eq(finish(&op), 6);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	turn_of(be0, 0);
	put(peer, "third");
	io_uring_submit_and_get_events(&uring(0)->ring);
	cancel(&op);
	ck_assert_int_eq(finish(&op), 5);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "fourth");
	ck_assert_int_eq(finish(&op), 6);
	detach(&h);
	close(peer);
	end();
}
END_TEST

static void read_until_done(int peer, struct weir_op *op)
{
	char buf[65536];

	while (!is_done(op)) {
		(void)!recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
		turn_of(be0, in_ms(1));
	}
}

START_TEST(cancel_says_what_was_sent)
{
	static const char zeros[4 << 20];
	struct weir_handle h;
	struct weir_op op;
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	small_buffers(&h, peer);
	submit(send_op(&op, &h, zeros, sizeof(zeros), WEIR_OP_ALL));
	settle(be0);
	ck_assert(!is_done(&op));
	cancel(&op);
	/* Of memory that is not copied the kernel lets go only when the peer has read it. */
	if (_i == ZERO_COPY)
		read_until_done(peer, &op);
	ck_assert_int_eq(finish(&op), -ECANCELED);
	ck_assert_uint_gt(op.u.io.done, 0);
	if (_i != ZERO_COPY) {
		drain(peer, op.u.io.done);
		ck_assert_int_eq(recv(peer, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
		ck_assert_int_eq(errno, EAGAIN);
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* ---- close while pending ------------------------------------------------------------------ */

/* Each op ends, the peer learns of it, the descriptor is closed once. */
START_TEST(close_while_pending)
{
	static const char zeros[1 << 20];
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op in[2], out;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	for (unsigned submitted = 0; submitted < 2; submitted++) {
		peer = tcp_pair(&h);
		small_buffers(&h, peer);
		fill(&h);
		submit(recv_op(&in[0], &h, buf, sizeof(buf)));
		submit(lease_op(&in[1], &h, &lease));
		submit(send_op(&out, &h, zeros, sizeof(zeros), 0));
		if (submitted)
			turn_of(be0, 0);
		detach(&h);
		ck_assert_int_eq(in[0].res, -ECANCELED);
		ck_assert_int_eq(in[1].res, -ECANCELED);
		ck_assert_int_eq(out.res, -ECANCELED);
		read_end(peer);
		close(peer);
		settle(be0);
	}
	end();
}
END_TEST

START_TEST(close_with_a_linger_of_0_resets)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer, zero = 0;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_LINGER, &zero, sizeof(zero)), 0);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	turn_of(be0, 0);
	detach(&h);
	ck_assert_int_eq(op.res, -ECANCELED);
	ck_assert_int_eq(read_end(peer), -ECONNRESET);
	close(peer);
	end();
}
END_TEST

START_TEST(close_of_polls)
{
	struct weir_handle h;
	struct weir_op op[3];
	int fds[2];

	begin((unsigned)_i);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	adopt(be0, &h, fds[0], WEIR_HANDLE_FOREIGN);
	for (unsigned i = 0; i < 3; i++)
		submit(poll_op(&op[i], &h, WEIR_READABLE));
	turn_of(be0, 0);
	detach(&h);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(op[i].res, -ECANCELED);
	/* It is not ours. */
	put(fds[1], "x");
	ck_assert_int_eq(read(fds[0], &(char){ 0 }, 1), 1);
	close(fds[0]);
	close(fds[1]);
	end();
}
END_TEST

static socklen_t unix_name(struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* In the abstract namespace, so that nothing is left behind. */
	snprintf(addr->sun_path + 1, sizeof(addr->sun_path) - 1, "weir-test-%d", (int)getpid());
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(addr->sun_path + 1));
}

static void open_stream(struct weir_handle *h, int family)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_STREAM, .fd = -1, .family = family };

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be0->ops->attach(be0, h, &spec), 0);
}

/* A Unix listener that has all the connections it wants; each further one waits. */
static int full_unix_listener(struct sockaddr_un *addr, socklen_t *ret_len, int ret_clients[2])
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned n = 0;

	*ret_len = unix_name(addr);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)addr, *ret_len), 0);
	ck_assert_int_eq(listen(fd, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		ret_clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		n += connect(ret_clients[i], (struct sockaddr *)addr, *ret_len) == 0;
	}
	ck_assert_uint_eq(n, 1);
	return fd;
}

/* Such a connect blocks, so the kernel makes it on a thread of its own. */
START_TEST(unix_connect_that_waits)
{
	struct sockaddr_un addr;
	struct weir_handle h;
	struct weir_op op;
	int listener, clients[2], conn;
	socklen_t len;

	begin((unsigned)_i);
	listener = full_unix_listener(&addr, &len, clients);
	open_stream(&h, AF_UNIX);
	submit(connect_op(&op, &h, &addr, len));
	turn_of(be0, in_ms(20));
	ck_assert(!is_done(&op));
	cancel(&op);
	ck_assert_int_eq(finish(&op), -ECANCELED);
	submit(connect_op(&op, &h, &addr, len));
	turn_of(be0, in_ms(20));
	ck_assert(!is_done(&op));
	detach(&h);
	ck_assert_int_eq(op.res, -ECANCELED);
	open_stream(&h, AF_UNIX);
	submit(connect_op(&op, &h, &addr, len));
	turn_of(be0, in_ms(20));
	conn = accept4(listener, NULL, NULL, 0);
	ck_assert_int_eq(finish(&op), 0);
	detach(&h);
	close(conn);
	close(listener);
	close(clients[0]);
	close(clients[1]);
	end();
}
END_TEST

/* A listener that answers nobody. */
static int full_listener(struct sockaddr_in *addr, int ret_clients[2])
{
	int fd = listen_raw(addr, 0);

	for (unsigned i = 0; i < 2; i++) {
		ret_clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(ret_clients[i], (struct sockaddr *)addr, sizeof(*addr));
	}
	return fd;
}

START_TEST(connect_that_waits)
{
	struct sockaddr_in addr;
	struct weir_handle h;
	struct weir_op op;
	int listener, clients[2];

	begin((unsigned)_i);
	listener = full_listener(&addr, clients);
	for (unsigned round = 0; round < 4; round++) {
		open_stream(&h, AF_INET);
		submit(connect_op(&op, &h, &addr, sizeof(addr)));
		if (round & 1)
			turn_of(be0, 0);
		ck_assert(!is_done(&op));
		if (round & 2) {
			cancel(&op);
			ck_assert_int_eq(finish(&op), -ECANCELED);
		}
		detach(&h);
		ck_assert_int_eq(op.res, -ECANCELED);
	}
	close(listener);
	close(clients[0]);
	close(clients[1]);
	end();
}
END_TEST

START_TEST(connects)
{
	struct sockaddr_in addr;
	struct weir_handle h;
	struct weir_op op;
	int listener, conn;

	begin((unsigned)_i);
	listener = listen_raw(&addr, 8);
	open_stream(&h, AF_INET);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, sizeof(addr)))), 0);
	conn = accept4(listener, NULL, NULL, 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "hi", 2, 0))), 2);
	drain(conn, 2);
	detach(&h);
	ck_assert_int_eq(read_end(conn), 0);
	close(conn);
	close(listener);
	open_stream(&h, AF_INET);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, sizeof(addr)))), -ECONNREFUSED);
	detach(&h);
	end();
}
END_TEST

/* ---- accept ------------------------------------------------------------------------------- */

static void open_listener(struct weir_handle *h, struct sockaddr_in *ret_addr)
{
	struct weir_handle_spec spec = {
		.kind = WEIR_HANDLE_LISTENER,
		.fd = -1,
		.backlog = 1024,
		.addr = (const struct sockaddr *)&any_port,
		.addr_len = sizeof(any_port),
	};
	struct sockaddr_storage name;

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be0->ops->attach(be0, h, &spec), 0);
	ck_assert_int_eq(be0->ops->control(be0, h, WEIR_CTL_LOCAL_ADDR, &name, sizeof(name)), 0);
	memcpy(ret_addr, &name, sizeof(*ret_addr));
}

START_TEST(accepts)
{
	struct weir_handle listener, conn[8];
	struct weir_op op[8], echo;
	struct sockaddr_in addr;
	char buf[8];
	int client[8];

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	client[0] = connect_raw(&addr);
	for (unsigned i = 0; i < 8; i++)
		submit(accept_op(&op[i], &listener, &conn[i]));
	for (unsigned i = 1; i < 8; i++)
		client[i] = connect_raw(&addr);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(finish(&op[i]), 0);
		ck_assert_int_eq(conn[i].kind, WEIR_HANDLE_STREAM);
		ck_assert_int_eq(fcntl(conn[i].fd, F_GETFD), FD_CLOEXEC);
		submit(recv_op(&echo, &conn[i], buf, sizeof(buf)));
		put(client[i], "hi");
		ck_assert_int_eq(finish(&echo), 2);
	}
	for (unsigned i = 0; i < 8; i++) {
		detach(&conn[i]);
		close(client[i]);
	}
	detach(&listener);
	end();
}
END_TEST

/* One that comes while its op is being cancelled goes to the next; or is closed with the listener. */
START_TEST(accept_cancelled)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client[2];

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	turn_of(be0, 0);
	client[0] = connect_raw(&addr);
	cancel(&op);
	ck_assert_int_eq(finish(&op), -ECANCELED);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	submit(accept_op(&op, &listener, &conn));
	turn_of(be0, 0);
	client[1] = connect_raw(&addr);
	detach(&listener);
	ck_assert_int_eq(op.res, -ECANCELED);
	read_end(client[1]);
	close(client[0]);
	close(client[1]);
	end();
}
END_TEST

/* More than anybody asks for, and then the end: none is lost, none is kept open. */
START_TEST(accept_queue)
{
	enum {
		MANY = 200
	};
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	unsigned queued;
	int client[MANY];

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	for (unsigned i = 0; i < MANY - 20; i++)
		client[i] = connect_raw(&addr);
	ck_assert_int_eq(finish(&op), 0);
	detach(&conn);
	settle(be0);
	/* It has stopped: those who come now wait in the kernel. */
	queued = state_of(&listener)->fds->len;
	ck_assert(queued > 64 || _i != PLAIN);
	for (unsigned i = MANY - 20; i < MANY; i++)
		client[i] = connect_raw(&addr);
	settle(be0);
	ck_assert_uint_eq(state_of(&listener)->fds->len, queued);
	for (unsigned i = 1; i < MANY - 10; i++) {
		ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
		detach(&conn);
	}
	detach(&listener);
	for (unsigned i = 0; i < MANY; i++) {
		read_end(client[i]);
		close(client[i]);
	}
	end();
}
END_TEST

/* A queue that is never quite empty does not grow. */
START_TEST(accept_queue_is_bounded)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client[3];

	begin(PLAIN);
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	for (unsigned i = 0; i < 3; i++)
		client[i] = connect_raw(&addr);
	ck_assert_int_eq(finish(&op), 0);
	detach(&conn);
	settle(be0);
	for (unsigned i = 0; i < 1000; i++) {
		close(client[i % 3]);
		client[i % 3] = connect_raw(&addr);
		while (state_of(&listener)->fds->len < 3)
			turn_of(be0, WEIR_FOREVER);
		ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
		detach(&conn);
	}
	ck_assert_uint_le(state_of(&listener)->fds->cap, 128);
	detach(&listener);
	for (unsigned i = 0; i < 3; i++)
		close(client[i]);
	end();
}
END_TEST

/* The limit that counts is the one at the time of the request. */
START_TEST(accept_out_of_descriptors)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	struct rlimit was, none;
	int client;

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	client = connect_raw(&addr);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 3, was.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), -EMFILE);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	detach(&listener);
	close(client);
	end();
}
END_TEST

/* Connections that did not fit the completions when the instance ends are closed too. */
START_TEST(accepts_left_in_a_full_ring)
{
	enum {
		LISTENERS = 30,
		EACH = 10
	};
	struct weir_handle listener[LISTENERS], conn[LISTENERS];
	struct weir_op op[LISTENERS];
	struct sockaddr_in addr;
	int client[LISTENERS * EACH];

	begin(TINY);
	for (unsigned i = 0; i < LISTENERS; i++) {
		open_listener(&listener[i], &addr);
		submit(accept_op(&op[i], &listener[i], &conn[i]));
		for (unsigned n = 0; n < EACH; n++)
			client[i * EACH + n] = connect_raw(&addr);
	}
	if (!uring(0)->enabled)
		turn_of(be0, 0);
	io_uring_submit_and_get_events(&uring(0)->ring);
	ck_assert(*uring(0)->ring.sq.kflags & IORING_SQ_CQ_OVERFLOW);
	for (unsigned i = 0; i < LISTENERS; i++) {
		if (is_done(&op[i]))
			detach_some_time(&conn[i]);
		detach_some_time(&listener[i]);
	}
	become(be0);
	be0->ops->fini(be0);
	free(be0);
	be0 = NULL;
	ck_assert_uint_ge(detached, LISTENERS);
	for (unsigned i = 0; i < LISTENERS * EACH; i++) {
		read_end(client[i]);
		close(client[i]);
	}
	end();
}
END_TEST

/* ---- the multishot receive ---------------------------------------------------------------- */

START_TEST(calm_stream_is_armed)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	arm(&h, peer);
	if (_i == PLAIN)
		ck_assert_uint_eq(h.homed, WEIR_HOMED_READS);
	/* It has what nobody has asked for, in order. */
	queue_some(&h, peer, "one");
	queue_some(&h, peer, "two");
	ck_assert_int_eq(lease_now(&h, buf), 3);
	ck_assert_mem_eq(buf, "one", 3);
	ck_assert_int_eq(lease_now(&h, buf), 3);
	ck_assert_mem_eq(buf, "two", 3);
	/* A copying read ends it, and loses nothing. */
	queue_some(&h, peer, "three");
	ck_assert_int_eq(finish(submit(with(recv_op(&op, &h, buf, 3), WEIR_OP_PEEK))), 3);
	ck_assert_mem_eq(buf, "thr", 3);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 2))), 2);
	put(peer, "four");
	ck_assert_int_eq(finish(submit(with(recv_op(&op, &h, buf, 7), WEIR_OP_ALL))), 7);
	ck_assert_mem_eq(buf, "reefour", 7);
	ck_assert(!(state_of(&h)->flags & ARMED));
	ck_assert_uint_eq(h.homed, 0);
	arm(&h, peer);
	detach(&h);
	close(peer);
	end();
}
END_TEST

START_TEST(queue_is_bounded)
{
	struct weir_handle h;
	char text[16], buf[256];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	arm(&h, peer);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "%04u", i);
		queue_some(&h, peer, text);
	}
	/* It is being stopped: the kernel's own queue fills now. */
	settle(be0);
	ck_assert(!(state_of(&h)->flags & ARMED));
	for (unsigned i = 5; i < 50; i++) {
		snprintf(text, sizeof(text), "%04u", i);
		put(peer, text);
	}
	settle(be0);
	ck_assert_uint_eq(state_of(&h)->queued, 5);
	for (unsigned i = 0, n; i < 50; i += n / 4) {
		n = (unsigned)lease_now(&h, buf);
		for (unsigned k = 0; k < n / 4; k++) {
			snprintf(text, sizeof(text), "%04u", i + k);
			ck_assert_mem_eq(buf + 4 * k, text, 4);
		}
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

START_TEST(lease_of_at_most)
{
	struct weir_handle h;
	struct weir_lease lease[3];
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	put(peer, "abcdef");
	for (unsigned i = 0; i < 3; i++) {
		lease_op(&op, &h, &lease[i])->u.lease.max = 2;
		ck_assert_int_eq(finish(submit(&op)), 2);
		ck_assert_mem_eq(lease[i].data, "abcdef" + 2 * i, 2);
	}
	for (unsigned i = 0; i < 3; i++)
		give_back(&lease[i]);
	if (_i == PLAIN || _i == ALONE || _i == TINY) {
		arm(&h, peer);
		queue_some(&h, peer, "ghijkl");
		for (unsigned i = 0; i < 2; i++) {
			lease_op(&op, &h, &lease[i])->u.lease.max = 4 - 2 * i;
			ck_assert_int_eq(finish(submit(&op)), (int)(4 - 2 * i));
		}
		ck_assert_mem_eq(lease[0].data, "ghij", 4);
		ck_assert_mem_eq(lease[1].data, "kl", 2);
		give_back(&lease[0]);
		give_back(&lease[1]);
	}
	put(peer, "x");
	ck_assert_int_eq(lease_now(&h, buf), 1);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* What comes behind the data is told behind it, and once. */
START_TEST(end_behind_queued_data)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	for (unsigned by_reset = 0; by_reset < 2; by_reset++) {
		peer = tcp_pair(&h);
		arm(&h, peer);
		queue_some(&h, peer, "last");
		if (by_reset)
			reset(peer);
		else
			close(peer);
		while (!(state_of(&h)->flags & ENDED))
			turn_of(be0, WEIR_FOREVER);
		ck_assert_int_eq(submit(with(recv_op(&op, &h, buf, 2), WEIR_OP_TRY))->res, 2);
		ck_assert_mem_eq(buf, "la", 2);
		ck_assert_int_eq(lease_now(&h, buf), 2);
		ck_assert_mem_eq(buf, "st", 2);
		ck_assert_int_eq(submit(with(recv_op(&op, &h, buf, 2), WEIR_OP_TRY))->res,
				 by_reset ? -ECONNRESET : 0);
		ck_assert_int_eq(lease_now(&h, buf), 0);
		ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 2))), 0);
		detach(&h);
	}
	end();
}
END_TEST

START_TEST(try_takes_what_is_queued)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	arm(&h, peer);
	ck_assert_int_eq(submit(with(recv_op(&op, &h, buf, 16), WEIR_OP_TRY))->res, -EAGAIN);
	put(peer, "abc");
	/* It is in the ring or in the socket: a try looks at both. */
	do
		submit(with(recv_op(&op, &h, buf, 2), WEIR_OP_TRY));
	while (op.res == -EAGAIN);
	ck_assert_int_eq(op.res, 2);
	submit(with(lease_op(&op, &h, &lease), WEIR_OP_TRY));
	ck_assert_int_eq(op.res, 1);
	ck_assert_int_eq(lease.data[0], 'c');
	give_back(&lease);
	submit(with(lease_op(&op, &h, &lease), WEIR_OP_TRY));
	ck_assert_int_eq(op.res, -EAGAIN);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* Many armed streams, few buffers: each gets its bytes. */
START_TEST(buffers_run_out)
{
	enum {
		MANY = 40
	};
	struct weir_handle h[MANY];
	struct weir_lease lease[MANY];
	struct weir_op op[MANY];
	int peer[MANY];

	begin(TINY);
	for (unsigned i = 0; i < MANY; i++) {
		peer[i] = unix_pair(&h[i]);
		arm(&h[i], peer[i]);
	}
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < MANY; i++)
			submit(lease_op(&op[i], &h[i], &lease[i]));
		turn_of(be0, 0);
		for (unsigned i = 0; i < MANY; i++)
			put(peer[i], "now");
		for (unsigned i = 0; i < MANY; i++)
			ck_assert_int_eq(finish(&op[i]), 3);
		for (unsigned i = 0; i < MANY; i++)
			give_back(&lease[i]);
	}
	/* And for single ones, all of which want a buffer at the same time. */
	for (unsigned i = 0; i < MANY; i++) {
		weir__uring_recv_stop(uring(0), &h[i]);
		put(peer[i], "again");
	}
	for (unsigned i = 0; i < MANY; i++)
		submit(lease_op(&op[i], &h[i], &lease[i]));
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(finish(&op[i]), 5);
		give_back(&lease[i]);
		detach(&h[i]);
		close(peer[i]);
	}
	end();
}
END_TEST

/* A ring of 64 completions, and hundreds at once. */
START_TEST(completions_overflow)
{
	enum {
		MANY = 400
	};
	static struct weir_handle h[MANY];
	static struct weir_op op[MANY];
	static char buf[MANY];
	static int peer[MANY];

	begin(TINY);
	for (unsigned i = 0; i < MANY; i++) {
		peer[i] = unix_pair(&h[i]);
		submit(recv_op(&op[i], &h[i], &buf[i], 1));
	}
	turn_of(be0, 0);
	for (unsigned i = 0; i < MANY; i++)
		put(peer[i], "x");
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_int_eq(finish(&op[i]), 1);
	/* The same with cancels, all of which come too late. */
	for (unsigned i = 0; i < MANY; i++) {
		submit(recv_op(&op[i], &h[i], &buf[i], 1));
		put(peer[i], "y");
	}
	for (unsigned i = 0; i < MANY; i++)
		if (!is_done(&op[i]))
			cancel(&op[i]);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert(finish(&op[i]) == 1 || op[i].res == -ECANCELED);
	for (unsigned i = 0; i < MANY; i++) {
		detach(&h[i]);
		close(peer[i]);
	}
	end();
}
END_TEST

/* ---- two things at once ------------------------------------------------------------------- */

/* A send in the kernel, on a handle that is closed with its multishot, is cancelled after all. */
START_TEST(cancel_beside_closing)
{
	static const char zeros[1 << 20];
	struct weir_handle h[3];
	struct weir_op out;
	int peer[3];

	begin((unsigned)_i);
	for (unsigned i = 0; i < 3; i++) {
		peer[i] = tcp_pair(&h[i]);
		arm(&h[i], peer[i]);
	}
	small_buffers(&h[2], peer[2]);
	fill(&h[2]);
	submit(send_op(&out, &h[2], zeros, sizeof(zeros), 0));
	for (unsigned i = 0; i < 3; i++)
		detach_some_time(&h[i]);
	cancel(&out);
	ck_assert_int_eq(finish(&out), -ECANCELED);
	while (weir__load(&detached, WEIR_ACQUIRE) < 3)
		turn_of(be0, WEIR_FOREVER);
	for (unsigned i = 0; i < 3; i++)
		close(peer[i]);
	end();
}
END_TEST

/* POLL is for foreign descriptors, but a stream's receives are not to suffer from one. */
START_TEST(poll_of_a_stream)
{
	struct weir_handle h;
	struct weir_op op, in;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	submit(poll_op(&op, &h, WEIR_READABLE));
	submit(recv_op(&in, &h, buf, 4));
	put(peer, "ab");
	ck_assert_int_eq(finish(&in), 2);
	ck_assert(finish(&op) == WEIR_READABLE || op.res == -EOPNOTSUPP);
	submit(poll_op(&op, &h, WEIR_PRIORITY));
	detach(&h);
	ck_assert(is_done(&op));
	close(peer);
	end();
}
END_TEST

/* ---- wake --------------------------------------------------------------------------------- */

START_TEST(wake_before_and_during)
{
	begin((unsigned)_i);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	be0->ops->wake(be0);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	settle(be0);
	ck_assert_int_eq(turn_of(be0, in_ms(5)), 0);
	end();
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

/* Alone, and among receives that complete in the same turn. */
START_TEST(every_wake_arrives)
{
	struct weir_handle h;
	struct weir_op op;
	pthread_t thread;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	peer = unix_pair(&h);
	submit(recv_op(&op, &h, buf, 1));
	wakes_wanted = 2000;
	pthread_create(&thread, NULL, wake_often, NULL);
	for (unsigned i = 1; i <= wakes_wanted; i++) {
		if (i % 3 == 0)
			put(peer, "x");
		turn_of(be0, WEIR_FOREVER);
		weir__store(&wakes_seen, i, WEIR_RELEASE);
		while (i % 3 == 0 && !is_done(&op))
			turn_of(be0, WEIR_FOREVER);
		if (is_done(&op))
			submit(recv_op(&op, &h, buf, 1));
	}
	pthread_join(thread, NULL);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* A try looks into the ring, and may find the wake there: the next poll hears of it. */
START_TEST(try_leaves_the_wake)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	arm(&h, peer);
	settle(be0);
	for (unsigned i = 0; i < 100; i++) {
		be0->ops->wake(be0);
		submit(with(recv_op(&op, &h, buf, 4), WEIR_OP_TRY));
		ck_assert_int_eq(op.res, -EAGAIN);
		ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

static void wake_in_handler(int sig)
{
	(void)sig;
	be0->ops->wake(be0);
}

START_TEST(wake_from_a_signal_handler)
{
	begin((unsigned)_i);
	signal(SIGUSR1, wake_in_handler);
	for (unsigned i = 0; i < 10; i++) {
		raise(SIGUSR1);
		ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	}
	signal(SIGUSR1, SIG_DFL);
	end();
}
END_TEST

START_TEST(waits_until_the_deadline)
{
	uint64_t deadline;

	begin((unsigned)_i);
	for (unsigned ms = 1; ms < 30; ms += 9) {
		deadline = in_ms(ms);
		while (weir_backend_now(be0) < deadline)
			ck_assert_int_eq(turn_of(be0, deadline), 0);
	}
	end();
}
END_TEST

/* ---- several threads ---------------------------------------------------------------------- */

/* Run fn on a thread that is worker 1. */
static void *(*elsewhere)(void *);

static void *as_worker_1(void *arg)
{
	become(be1);
	return elsewhere(arg);
}

static pthread_t start_elsewhere(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	elsewhere = fn;
	ck_assert_int_eq(pthread_create(&thread, NULL, as_worker_1, arg), 0);
	return thread;
}

static void *give_all(void *arg)
{
	struct weir_lease *lease = arg;

	for (unsigned i = 0; i < 64; i++)
		give_back(&lease[i]);
	return NULL;
}

START_TEST(leases_given_back_elsewhere)
{
	struct weir_lease lease[64];
	struct weir_handle h;
	struct weir_op op;
	int peer;

	begin(PLAIN);
	peer = tcp_pair(&h);
	for (unsigned round = 0; round < 4; round++) {
		pthread_t thread;

		for (unsigned i = 0; i < 64; i++) {
			put(peer, "x");
			ck_assert_int_eq(finish(submit(lease_op(&op, &h, &lease[i]))), 1);
		}
		thread = start_elsewhere(give_all, lease);
		settle(be0);
		pthread_join(thread, NULL);
	}
	ck_assert_uint_le(uring(0)->buffers.pool.fresh, 64 + 64);
	detach(&h);
	close(peer);
	end();
}
END_TEST

struct pass {
	struct weir_handle *h;
	unsigned turn;			/* whose; atomic */
	unsigned rounds;
	int peer;
};

/* The reading task goes to and fro between two workers, as after each steal. */
static void read_in_turn(struct pass *p, unsigned who)
{
	struct weir_lease lease;
	struct weir_op op;

	for (unsigned i = 0; i < p->rounds; i++) {
		while (weir__load(&p->turn, WEIR_ACQUIRE) != who)
			sched_yield();
		put(p->peer, "ball");
		submit_to(instances[who], lease_op(&op, p->h, &lease));
		ck_assert_int_eq(finish_at(instances[who], &op), 4);
		ck_assert_mem_eq(lease.data, "ball", 4);
		give_back(&lease);
		weir__store(&p->turn, !who, WEIR_RELEASE);
	}
}

static void *read_as_1(void *arg)
{
	read_in_turn(arg, 1);
	return NULL;
}

START_TEST(reads_move_between_instances)
{
	struct weir_handle h;
	struct pass p = { .h = &h, .rounds = 500 };
	pthread_t thread;

	begin(PLAIN);
	p.peer = tcp_pair(&h);
	thread = start_elsewhere(read_as_1, &p);
	read_in_turn(&p, 0);
	pthread_join(thread, NULL);
	ck_assert_ptr_eq(h.backend, be1);
	/* That worker is over; this thread stands in for it. */
	become(be1);
	be1->ops->detach(be1, &h);
	ck_assert_uint_eq(detached, 1);
	close(p.peer);
	end();
}
END_TEST

/* Reads that come by message let the stream go in the end, each time. */
START_TEST(away_reads_free_the_stream)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op;
	unsigned n;
	int peer;

	begin(PLAIN);
	peer = tcp_pair(&h);
	for (unsigned time = 0; time < 3; time++) {
		arm(&h, peer);
		for (n = 0; n < 40 && h.homed; n++) {
			submit_mailed(lease_op(&op, &h, &lease));
			put(peer, "away");
			ck_assert_int_eq(finish(&op), 4);
			give_back(&lease);
			settle(be0);
		}
		ck_assert_uint_ge(n, 16);
		ck_assert_uint_lt(n, 20);
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

struct crossing {
	struct weir_handle *h;
	struct weir_op out;
	unsigned phase;			/* atomic */
	unsigned stop;			/* atomic */
};

static void wait_for(unsigned *word, unsigned value)
{
	while (weir__load(word, WEIR_ACQUIRE) != value)
		sched_yield();
}

/* Worker 1 sends on a handle whose home is worker 0, and finishes whatever comes of it. */
static void *send_rounds(void *arg)
{
	static const char zeros[1 << 20];
	struct crossing *c = arg;

	for (unsigned i = 1; !weir__load(&c->stop, WEIR_ACQUIRE); i += 2) {
		while (weir__load(&c->phase, WEIR_ACQUIRE) != i)
			if (weir__load(&c->stop, WEIR_ACQUIRE))
				return NULL;
		submit_to(be1, send_op(&c->out, c->h, zeros, sizeof(zeros), WEIR_OP_ALL));
		turn_of(be1, 0);
		weir__store(&c->phase, i + 1, WEIR_RELEASE);
		finish_at(be1, &c->out);
	}
	return NULL;
}

/* The home closes a handle, while the last that another worker has of it ends at the same time. */
START_TEST(last_reference_is_dropped_elsewhere)
{
	struct weir_handle h;
	struct crossing c = { .h = &h };
	unsigned rounds = testing_scaled(1) > 1 ? 100 : 400;
	pthread_t thread;

	begin(PLAIN);
	thread = start_elsewhere(send_rounds, &c);
	for (unsigned i = 0; i < rounds; i++) {
		int peer = tcp_pair(&h);

		small_buffers(&h, peer);
		weir__store(&c.phase, 2 * i + 1, WEIR_RELEASE);
		wait_for(&c.phase, 2 * i + 2);
		reset(peer);
		become(be0);
		be0->ops->detach(be0, &h);
		while (weir__load(&detached, WEIR_ACQUIRE) <= i)
			turn_of(be0, 0);
		while (!is_done(&c.out))
			sched_yield();
	}
	weir__store(&c.stop, 1u, WEIR_RELEASE);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(detached, rounds);
	end();
}
END_TEST

static void *cancel_sends(void *arg)
{
	static const char zeros[1 << 20];
	struct crossing *c = arg;

	while (!weir__load(&c->stop, WEIR_ACQUIRE)) {
		submit_to(be1, send_op(&c->out, c->h, zeros, sizeof(zeros), 0));
		turn_of(be1, 0);
		if (!is_done(&c->out))
			cancel(&c->out);
		ck_assert(finish_at(be1, &c->out) > 0 || c->out.res == -ECANCELED);
	}
	return NULL;
}

/* Worker 1 cancels sends on a handle that worker 0 reads; neither knows of the other. */
START_TEST(cancel_elsewhere_leaves_the_readers_alone)
{
	struct weir_handle h;
	struct crossing c = { .h = &h };
	struct weir_lease lease;
	struct weir_op *op;
	pthread_t thread;
	int peer;

	begin(PLAIN);
	peer = tcp_pair(&h);
	small_buffers(&h, peer);
	fill(&h);
	thread = start_elsewhere(cancel_sends, &c);
	for (unsigned i = 0; i < 3000; i++) {
		/* Its memory is gone when it is done. */
		op = malloc(sizeof(*op));
		submit(lease_op(op, &h, &lease));
		put(peer, "x");
		ck_assert_int_eq(finish(op), 1);
		memset(op, 0, sizeof(*op));
		free(op);
		give_back(&lease);
	}
	weir__store(&c.stop, 1u, WEIR_RELEASE);
	pthread_join(thread, NULL);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* ---- an instance that moves between threads ------------------------------------------------ */

struct errand {
	struct weir_handle *h, *listener, *conn;
	struct weir_op in, accept, connect, leased;
	struct weir_lease lease;
	struct weir_handle *far;
	struct sockaddr_in *addr;
	char buf[4];
};

/* Everything is started here, and the thread ends. */
static void *start_and_leave(void *arg)
{
	struct errand *e = arg;

	submit(recv_op(&e->in, e->h, e->buf, 4));
	submit(accept_op(&e->accept, e->listener, e->conn));
	if (e->far)
		submit(connect_op(&e->connect, e->far, e->addr, sizeof(*e->addr)));
	turn_of(be0, in_ms(5));
	become(NULL);
	return NULL;
}

START_TEST(thread_ends_with_requests_in_flight)
{
	struct weir_handle h, listener, conn, far;
	struct errand e = { .h = &h, .listener = &listener, .conn = &conn, .far = &far };
	struct sockaddr_in addr, full;
	int peer, client, clients[2], full_fd, fd;
	pthread_t thread;

	begin(MOVES);
	peer = tcp_pair(&h);
	open_listener(&listener, &addr);
	full_fd = full_listener(&full, clients);
	e.addr = &full;
	open_stream(&far, AF_INET);
	pthread_create(&thread, NULL, start_and_leave, &e);
	pthread_join(thread, NULL);
	become(be0);
	settle(be0);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	client = connect_raw(&addr);
	put(peer, "x");
	ck_assert_int_eq(finish(&e.in), 1);
	ck_assert_int_eq(finish(&e.accept), 0);
	ck_assert(!is_done(&e.connect));
	/* The client's SYN comes again within a second or so. */
	fcntl(full_fd, F_SETFL, O_NONBLOCK);
	while (!is_done(&e.connect)) {
		fd = accept4(full_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
		turn_of(be0, in_ms(50));
	}
	ck_assert_int_eq(e.connect.res, 0);
	detach(&conn);
	detach(&far);
	detach(&listener);
	detach(&h);
	close(client);
	close(peer);
	close(full_fd);
	close(clients[0]);
	close(clients[1]);
	end();
}
END_TEST

static void *poll_a_while(void *arg)
{
	struct pass *p = arg;

	become(be0);
	for (unsigned i = 0; i < 50; i++) {
		struct weir_lease lease;
		struct weir_op op;

		submit(lease_op(&op, p->h, &lease));
		turn_of(be0, 0);
		put(p->peer, "ball");
		ck_assert_int_eq(finish(&op), 4);
		give_back(&lease);
		be0->ops->wake(be0);
		turn_of(be0, WEIR_FOREVER);
	}
	become(NULL);
	return NULL;
}

/* One thread after the other, some of which are still there. */
START_TEST(threads_take_turns)
{
	struct weir_handle h;
	struct pass p = { .h = &h };
	pthread_t thread;

	begin(MOVES);
	p.peer = tcp_pair(&h);
	for (unsigned i = 0; i < 10; i++) {
		pthread_create(&thread, NULL, poll_a_while, &p);
		pthread_join(thread, NULL);
		if (i & 1)
			poll_a_while(&p);
	}
	become(be0);
	detach(&h);
	close(p.peer);
	end();
}
END_TEST

/* ---- the end ------------------------------------------------------------------------------- */

static void *open_and_leave(void *arg)
{
	struct errand *e = arg;

	become(be1);
	adopt(be1, e->h, e->h->fd, WEIR_HANDLE_STREAM);
	for (unsigned i = 0; i < 20 && !(state_of(e->h)->flags & ARMED); i++) {
		submit_to(be1, lease_op(&e->leased, e->h, &e->lease));
		turn_of(be1, 0);
		put(e->buf[0], "calm");
		ck_assert_int_eq(finish_at(be1, &e->leased), 4);
		give_back(&e->lease);
	}
	ck_assert(state_of(e->h)->flags & ARMED);
	be1->ops->detach(be1, e->h);
	return NULL;
}

/* The worker's thread has ended before its last cancel reached the kernel. */
START_TEST(fini_after_the_worker_has_ended)
{
	struct weir_handle h;
	struct errand e = { .h = &h };
	pthread_t thread;
	int fds[2];

	begin(PLAIN);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	h.fd = fds[0];
	e.buf[0] = (char)fds[1];
	pthread_create(&thread, NULL, open_and_leave, &e);
	pthread_join(thread, NULL);
	become(be1);
	be1->ops->fini(be1);
	free(be1);
	be1 = NULL;
	ck_assert_uint_eq(detached, 1);
	/* The kernel takes a ring apart in its own time. */
	ck_assert_int_eq(read_end(fds[1]), 0);
	close(fds[1]);
	end();
}
END_TEST

/* Handles that are closed and not yet released when the instance goes. */
START_TEST(fini_with_closing_handles)
{
	struct weir_handle h[3], listener, conn;
	struct sockaddr_in addr;
	struct weir_op op;
	int peer[3], client;

	begin((unsigned)_i);
	for (unsigned i = 0; i < 3; i++) {
		peer[i] = tcp_pair(&h[i]);
		if (uring(0)->options.multishot_recv)
			arm(&h[i], peer[i]);
	}
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	turn_of(be0, 0);
	client = connect_raw(&addr);
	for (unsigned i = 0; i < 3; i++) {
		put(peer[i], "unread");
		detach_some_time(&h[i]);
	}
	detach_some_time(&listener);
	ck_assert_int_eq(op.res, -ECANCELED);
	be0->ops->fini(be0);
	free(be0);
	be0 = NULL;
	ck_assert_uint_eq(detached, 4);
	for (unsigned i = 0; i < 3; i++) {
		read_end(peer[i]);
		close(peer[i]);
	}
	read_end(client);
	close(client);
	end();
}
END_TEST

START_TEST(fork_in_between)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer, status;
	pid_t child;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	if (uring(0)->options.multishot_recv)
		arm(&h, peer);
	else
		turn_of(be0, 0);
	child = fork();
	if (child == 0)
		_exit(0);
	put(peer, "parent");
	ck_assert_int_eq(lease_now(&h, buf), 6);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	submit(recv_op(&op, &h, buf, 16));
	put(peer, "goes on");
	ck_assert_int_eq(finish(&op), 7);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	detach(&h);
	close(peer);
	end();
}
END_TEST

#define EVERY(name, ...) TESTING(name, .rounds = FORMS, ##__VA_ARGS__)
/* In both forms that have a multishot receive: with others, and alone. */
#define BOTH(name, ...) TESTING(name, .rounds = 2, ##__VA_ARGS__)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EVERY(receives),
		EVERY(vectors),
		EVERY(sends_of_all),
		EVERY(resets),
		EVERY(bad_addresses),
		EVERY(cancels),
		BOTH(cancel_after_completion),
		EVERY(cancel_says_what_was_sent),
		EVERY(close_while_pending),
		EVERY(close_with_a_linger_of_0_resets),
		EVERY(close_of_polls),
		EVERY(unix_connect_that_waits),
		EVERY(connect_that_waits),
		EVERY(connects),
		EVERY(accepts),
		EVERY(accept_cancelled),
		EVERY(accept_queue),
		TESTING(accept_queue_is_bounded),
		EVERY(accept_out_of_descriptors),
		TESTING(accepts_left_in_a_full_ring),
		BOTH(calm_stream_is_armed),
		BOTH(queue_is_bounded),
		EVERY(lease_of_at_most),
		BOTH(end_behind_queued_data),
		BOTH(try_takes_what_is_queued),
		TESTING(buffers_run_out),
		TESTING(completions_overflow),
		BOTH(cancel_beside_closing),
		EVERY(poll_of_a_stream),
		EVERY(wake_before_and_during),
		EVERY(every_wake_arrives),
		BOTH(try_leaves_the_wake),
		EVERY(wake_from_a_signal_handler),
		EVERY(waits_until_the_deadline),
		TESTING(leases_given_back_elsewhere),
		TESTING(reads_move_between_instances),
		TESTING(away_reads_free_the_stream),
		TESTING(last_reference_is_dropped_elsewhere, .timeout_s = 60),
		TESTING(cancel_elsewhere_leaves_the_readers_alone, .timeout_s = 60),
		TESTING(thread_ends_with_requests_in_flight),
		TESTING(threads_take_turns),
		TESTING(fini_after_the_worker_has_ended),
		EVERY(fini_with_closing_handles),
		EVERY(fork_in_between),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
