/* SPDX-License-Identifier: MIT */
/*
 * uring_try.c: tries each feature of io_uring: set-up flags by creating a ring with them,
 * registrations by registering, multishot and buffers by moving a byte over sockets of
 * its own. The kernel's version is not used. The ring has the flags of a worker's ring, as
 * far as the kernel accepts them.
 *
 * Rings may count as locked memory, which is returned some time after the close. So this
 * file creates few rings: with many, a small limit would look like a missing feature.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/doctor/uring.h"
#include "tools/doctor/uring_ring.h"

#define BUF_GROUP 7
#define BUF_BYTES 256
#define BUFS 4
#define PAGE 4096
#define PROBE_OPS 256
#define WORKER_FLAGS \
	(SETUP_SUBMIT_ALL | SETUP_TASKRUN_FLAG | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN)
#define MULTISHOT 99		/* the user data of a multishot request */

/* An entry of a buffer ring. The ring is a page; its buffers are in the next page. */
struct buf_entry {
	uint64_t addr;
	uint32_t len;
	uint16_t bid, tail;		/* the first entry has the ring's tail */
};

struct buf_reg {
	uint64_t ring_addr;
	uint32_t ring_entries;
	uint16_t bgid, flags;
	uint64_t resv[3];
};

struct napi {
	uint32_t busy_poll_us;
	uint8_t prefer, pad[3];
	uint64_t resv;
};

struct rsrc_update {
	uint32_t offset, resv;
	uint64_t data;
};

struct rsrc_register {
	uint32_t nr, flags;
	uint64_t resv, data, tags;
};

struct probe {
	uint8_t last_op, ops_len;
	uint16_t resv;
	uint32_t resv2[3];
	struct {
		uint8_t op, resv;
		uint16_t flags;
		uint32_t resv2;
	} ops[PROBE_OPS];
};

/* ---- rings ---- */

static int try_setup(uint32_t flags, uint32_t *ret_features)
{
	struct uring_params params = { .flags = flags };
	int fd = doctor_ring_setup(4, &params);

	if (fd < 0)
		return fd;
	if (ret_features)
		*ret_features = params.features;
	close(fd);
	return 0;
}

/* Try the flags one by one, if a ring with all of them is refused. */
static void try_flags(struct doctor_uring *uring)
{
	int *tried = uring->tried;

	tried[URING_SUBMIT_ALL] = try_setup(SETUP_SUBMIT_ALL, NULL);
	tried[URING_TASKRUN_FLAG] = try_setup(SETUP_COOP_TASKRUN | SETUP_TASKRUN_FLAG, NULL);
	tried[URING_SINGLE_ISSUER] = try_setup(SETUP_SINGLE_ISSUER, NULL);
	tried[URING_DEFER_TASKRUN] = try_setup(SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN, NULL);
}

static uint32_t worker_flags(const struct doctor_uring *uring)
{
	uint32_t flags = 0;

	if (uring->tried[URING_SUBMIT_ALL] == 0)
		flags |= SETUP_SUBMIT_ALL;
	if (uring->tried[URING_DEFER_TASKRUN] == 0)
		flags |= SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN;
	return flags;
}

/* Open a ring with a worker's flags, or with as many of them as work. */
static int open_ring(struct doctor_ring *ring, struct doctor_uring *uring)
{
	int *tried = uring->tried;

	if (doctor_ring_open(ring, WORKER_FLAGS) == 0) {
		tried[URING_SUBMIT_ALL] = tried[URING_TASKRUN_FLAG] = 0;
		tried[URING_SINGLE_ISSUER] = tried[URING_DEFER_TASKRUN] = 0;
		uring->features = ring->features;
		return 0;
	}
	uring->setup = try_setup(0, &uring->features);
	if (uring->setup < 0)
		return uring->setup;
	try_flags(uring);
	return doctor_ring_open(ring, worker_flags(uring));
}

static int try_ring_fd(struct doctor_ring *ring)
{
	struct rsrc_update update = { .offset = UINT32_MAX, .data = (uint64_t)ring->fd };
	int rc = doctor_ring_register(ring->fd, REGISTER_RING_FDS, &update, 1);

	if (rc < 0)
		return rc;
	/* The registration belongs to the thread and would keep the ring alive after its close. */
	doctor_ring_register(ring->fd, UNREGISTER_RING_FDS, &update, 1);
	return rc == 1 ? 0 : -EINVAL;
}

static int try_direct(struct doctor_ring *ring)
{
	struct rsrc_register files = { .nr = 4, .flags = RSRC_REGISTER_SPARSE };

	return doctor_ring_register(ring->fd, REGISTER_FILES2, &files, sizeof(files));
}

static int try_napi(struct doctor_ring *ring)
{
	struct napi napi = { .busy_poll_us = 10 };
	int rc = doctor_ring_register(ring->fd, REGISTER_NAPI, &napi, 1);

	if (rc < 0)
		return rc;
	doctor_ring_register(ring->fd, UNREGISTER_NAPI, &napi, 1);
	return 0;
}

static int try_min_wait(struct doctor_ring *ring)
{
	if (!(ring->features & FEAT_MIN_TIMEOUT))
		return -EOPNOTSUPP;
	return doctor_ring_wait_min(ring);
}

static int send_message(struct doctor_ring *ring, struct doctor_ring *other)
{
	struct uring_sqe sqe = { .opcode = OP_MSG_RING, .fd = other->fd, .off = 42, .len = 3 };
	struct uring_cqe cqe;
	int rc = doctor_ring_submit(ring, &sqe);

	if (rc == 0)
		rc = doctor_ring_wait(ring, &cqe);
	if (rc < 0 || cqe.res < 0)
		return rc < 0 ? rc : cqe.res;
	rc = doctor_ring_wait(other, &cqe);
	return rc < 0 ? rc : cqe.user_data == 42 && cqe.res == 3 ? 0 : -EBADMSG;
}

/* Send a message from one ring to another. */
static int try_msg_ring(struct doctor_ring *ring, const struct doctor_uring *uring)
{
	struct doctor_ring other;
	int rc = doctor_ring_open(&other, worker_flags(uring));

	if (rc < 0)
		return rc;
	rc = send_message(ring, &other);
	doctor_ring_close(&other);
	return rc;
}

/* Send a message to a ring without having a ring. */
static int try_msg_ring_bare(struct doctor_ring *ring)
{
	struct uring_sqe sqe = { .opcode = OP_MSG_RING, .fd = ring->fd, .off = 43, .len = 4 };
	struct uring_cqe cqe;
	int rc = doctor_ring_register(-1, REGISTER_SEND_MSG_RING, &sqe, 1);

	if (rc < 0)
		return rc;
	rc = doctor_ring_wait(ring, &cqe);
	return rc < 0 ? rc : cqe.user_data == 43 ? 0 : -EBADMSG;
}

/* ---- operations ---- */

static const struct {
	uint8_t op;
	const char *name;
} needed_ops[] = {
	{ OP_ACCEPT, "accept" },     { OP_CONNECT, "connect" },	    { OP_RECV, "recv" },
	{ OP_SEND, "send" },	     { OP_RECVMSG, "recvmsg" },	    { OP_SENDMSG, "sendmsg" },
	{ OP_POLL_ADD, "poll" },     { OP_ASYNC_CANCEL, "cancel" }, { OP_SHUTDOWN, "shutdown" },
	{ OP_CLOSE, "close" },	     { OP_OPENAT, "openat" },	    { OP_READ, "read" },
	{ OP_WRITE, "write" },	     { OP_STATX, "statx" },	    { OP_FSYNC, "fsync" },
	{ OP_RENAMEAT, "renameat" }, { OP_UNLINKAT, "unlinkat" },   { OP_MKDIRAT, "mkdirat" },
};

static bool supports(const struct probe *probe, unsigned op)
{
	return op < probe->ops_len && probe->ops[op].flags & OP_SUPPORTED;
}

static int try_ops(struct doctor_ring *ring, struct doctor_uring *uring)
{
	struct probe probe = { 0 };
	size_t used = 0;
	int rc = doctor_ring_register(ring->fd, REGISTER_PROBE, &probe, PROBE_OPS);

	uring->tried[URING_RECV_ZC] = rc < 0 ? rc : supports(&probe, OP_RECV_ZC) ? 0 : -EOPNOTSUPP;
	if (rc < 0)
		return rc;
	for (unsigned op = 0; op < PROBE_OPS; op++)
		uring->ops += supports(&probe, op);
	for (size_t i = 0; i < sizeof(needed_ops) / sizeof(needed_ops[0]); i++)
		if (!supports(&probe, needed_ops[i].op) && used < sizeof(uring->lacking))
			used += (size_t)snprintf(uring->lacking + used,
						 sizeof(uring->lacking) - used, "%s%s",
						 used ? ", " : "", needed_ops[i].name);
	return used ? -EOPNOTSUPP : 0;
}

static void read_iowq(struct doctor_ring *ring, struct doctor_uring *uring)
{
	unsigned most[2] = { 0, 0 };	/* zero reads the limits without changing them */

	if (doctor_ring_register(ring->fd, REGISTER_IOWQ_MAX_WORKERS, most, 2) == 0) {
		uring->bounded = most[0];
		uring->unbounded = most[1];
	}
}

/* ---- buffers and sockets ---- */

static int open_buffers(struct doctor_ring *ring, uint16_t flags, struct buf_entry **ret_bufs)
{
	void *mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
	struct buf_reg reg = {
		.ring_addr = (uint64_t)(uintptr_t)mapped,
		.ring_entries = BUFS,
		.bgid = BUF_GROUP,
		.flags = flags,
	};
	struct buf_entry *bufs;
	int rc = mapped == MAP_FAILED ? -ENOMEM
				      : doctor_ring_register(ring->fd, REGISTER_PBUF_RING, &reg, 1);

	if (rc < 0) {
		if (mapped != MAP_FAILED)
			munmap(mapped, 2 * PAGE);
		return rc;
	}
	bufs = mapped;
	for (uint16_t i = 0; i < BUFS; i++) {
		bufs[i].addr = reg.ring_addr + PAGE + (uint64_t)i * BUF_BYTES;
		bufs[i].len = BUF_BYTES;
		bufs[i].bid = i;
	}
	/* No request is in flight, so the kernel reads the tail only in the next system call. */
	bufs[0].tail = BUFS;
	*ret_bufs = bufs;
	return 0;
}

static void close_buffers(struct doctor_ring *ring, struct buf_entry *bufs)
{
	struct buf_reg reg = { .bgid = BUF_GROUP };

	doctor_ring_register(ring->fd, UNREGISTER_PBUF_RING, &reg, 1);
	munmap(bufs, 2 * PAGE);
}

static int try_buffers(struct doctor_ring *ring, uint16_t flags)
{
	struct buf_entry *bufs;
	int rc = open_buffers(ring, flags, &bufs);

	if (rc == 0)
		close_buffers(ring, bufs);
	return rc;
}

/* Cancel a multishot request, and take its last completion and the cancel's. */
static void end_multishot(struct doctor_ring *ring)
{
	struct uring_sqe sqe = { .opcode = OP_ASYNC_CANCEL, .fd = -1, .addr = MULTISHOT };
	struct uring_cqe cqe;

	if (doctor_ring_submit(ring, &sqe) == 0 && doctor_ring_wait(ring, &cqe) == 0)
		doctor_ring_wait(ring, &cqe);
}

/* Send one byte over a socket pair and receive it into the ring's buffers. */
static int receive(struct doctor_ring *ring, unsigned how, struct uring_cqe *ret_cqe)
{
	struct uring_sqe sqe = {
		.opcode = OP_RECV,
		.flags = SQE_BUFFER_SELECT,
		.ioprio = (uint16_t)how,
		.user_data = MULTISHOT,
		.buf_group = BUF_GROUP,
	};
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	sqe.fd = fds[0];
	rc = doctor_ring_submit(ring, &sqe);
	if (rc == 0 && send(fds[1], "x", 1, MSG_NOSIGNAL) != 1)
		rc = -errno;
	if (rc == 0)
		rc = doctor_ring_wait(ring, ret_cqe);
	if (rc == 0 && ret_cqe->res < 0)
		rc = ret_cqe->res;
	close(fds[0]);
	close(fds[1]);
	return rc;
}

static int try_recv(struct doctor_ring *ring, unsigned how, uint32_t flags)
{
	struct uring_cqe cqe;
	struct buf_entry *bufs;
	int rc = open_buffers(ring, 0, &bufs);

	if (rc < 0)
		return rc;
	rc = receive(ring, how, &cqe);
	if (rc == 0 && (cqe.res != 1 || (cqe.flags & flags) != flags))
		rc = -EOPNOTSUPP;
	if (rc == 0 && cqe.flags & CQE_MORE)
		end_multishot(ring);
	close_buffers(ring, bufs);
	return rc;
}

static int try_bundle(struct doctor_ring *ring)
{
	if (!(ring->features & FEAT_RECVSEND_BUNDLE))
		return -EOPNOTSUPP;
	return try_recv(ring, RECVSEND_BUNDLE, CQE_BUFFER);
}

/* Open a Unix listener; the kernel chooses its address. */
static int listen_unix(struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	memset(ret_addr, 0, sizeof(*ret_addr));
	ret_addr->sun_family = AF_UNIX;
	*ret_len = sizeof(*ret_addr);
	if (bind(fd, (struct sockaddr *)ret_addr, sizeof(sa_family_t)) < 0 || listen(fd, 4) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret_addr, ret_len) < 0)
		rc = -errno;
	if (rc < 0)
		close(fd);
	return rc < 0 ? rc : fd;
}

static int accept_one(struct doctor_ring *ring, int listener, const struct sockaddr_un *addr,
		      socklen_t len)
{
	struct uring_sqe sqe = { .opcode = OP_ACCEPT,
				 .ioprio = ACCEPT_MULTISHOT,
				 .fd = listener,
				 .user_data = MULTISHOT };
	struct uring_cqe cqe;
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (client < 0)
		return -errno;
	rc = doctor_ring_submit(ring, &sqe);
	if (rc == 0 && connect(client, (const struct sockaddr *)addr, len) < 0)
		rc = -errno;
	if (rc == 0)
		rc = doctor_ring_wait(ring, &cqe);
	close(client);
	if (rc < 0 || cqe.res < 0)
		return rc < 0 ? rc : cqe.res;
	close(cqe.res);
	return cqe.flags & CQE_MORE ? 0 : -EOPNOTSUPP;
}

static int try_accept(struct doctor_ring *ring)
{
	struct sockaddr_un addr;
	socklen_t len;
	int fd = listen_unix(&addr, &len), rc;

	if (fd < 0)
		return fd;
	rc = accept_one(ring, fd, &addr, len);
	if (rc == 0)
		end_multishot(ring);
	close(fd);
	return rc;
}

/* Make a TCP connection over loopback: Unix sockets have no zero-copy send. */
static int tcp_pair(int ret_fds[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;

	ret_fds[0] = ret_fds[1] = -1;
	if (listener < 0)
		return -errno;
	if (bind(listener, (struct sockaddr *)&addr, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) < 0 ||
	    (ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
	    connect(ret_fds[0], (struct sockaddr *)&addr, len) < 0 ||
	    (ret_fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		rc = -errno;
	if (rc < 0 && ret_fds[0] >= 0)
		close(ret_fds[0]);
	close(listener);
	return rc;
}

/* The first completion has the result; the second says that the buffer is free again. */
static int send_zc(struct doctor_ring *ring, int fd)
{
	static const char text[] = "x";
	struct uring_sqe sqe = { .opcode = OP_SEND_ZC,
				 .fd = fd,
				 .addr = (uint64_t)(uintptr_t)text,
				 .len = 1,
				 .op_flags = MSG_NOSIGNAL };
	struct uring_cqe cqe, notif;
	int rc = doctor_ring_submit(ring, &sqe);

	if (rc == 0)
		rc = doctor_ring_wait(ring, &cqe);
	if (rc < 0)
		return rc;
	if (cqe.flags & CQE_MORE)
		rc = doctor_ring_wait(ring, &notif);
	if (cqe.res < 0)
		return cqe.res;
	return rc < 0 ? rc : cqe.flags & CQE_MORE && notif.flags & CQE_NOTIF ? 0 : -EBADMSG;
}

static int try_send_zc(struct doctor_ring *ring)
{
	char byte;
	int fds[2], rc = tcp_pair(fds);

	if (rc < 0)
		return rc;
	rc = send_zc(ring, fds[0]);
	if (rc == 0 && recv(fds[1], &byte, 1, 0) != 1)
		rc = -errno;
	close(fds[0]);
	close(fds[1]);
	return rc;
}

/* ---- all features ---- */

static void try_on(struct doctor_ring *ring, struct doctor_uring *uring)
{
	int *tried = uring->tried;

	tried[URING_RING_FD] = try_ring_fd(ring);
	tried[URING_BUF_RING] = try_buffers(ring, 0);
	tried[URING_BUF_INC] = try_buffers(ring, PBUF_RING_INC);
	tried[URING_OPS] = try_ops(ring, uring);
	tried[URING_ACCEPT_MULTISHOT] = try_accept(ring);
	tried[URING_RECV_MULTISHOT] = try_recv(ring, RECV_MULTISHOT, CQE_BUFFER | CQE_MORE);
	tried[URING_BUNDLE] = try_bundle(ring);
	tried[URING_SEND_ZC] = try_send_zc(ring);
	tried[URING_DIRECT] = try_direct(ring);
	tried[URING_NAPI] = try_napi(ring);
	tried[URING_MIN_WAIT] = try_min_wait(ring);
	tried[URING_MSG_RING] = try_msg_ring(ring, uring);
	tried[URING_MSG_RING_BARE] = try_msg_ring_bare(ring);
	read_iowq(ring, uring);
}

void doctor_uring_try(struct doctor_uring *ret_uring)
{
	struct doctor_ring ring;
	int rc;

	memset(ret_uring, 0, sizeof(*ret_uring));
	rc = open_ring(&ring, ret_uring);
	for (unsigned i = ret_uring->setup < 0 ? 0 : URING_EXT_ARG; rc < 0 && i < URING_FEATURES;
	     i++)
		ret_uring->tried[i] = rc;
	if (ret_uring->setup < 0)
		return;
	if (rc == 0)
		try_on(&ring, ret_uring);
	doctor_ring_close(&ring);
	ret_uring->tried[URING_EXT_ARG] = ret_uring->features & FEAT_EXT_ARG ? 0 : -EOPNOTSUPP;
	ret_uring->tried[URING_NO_SQARRAY] = try_setup(SETUP_NO_SQARRAY, NULL);
}
