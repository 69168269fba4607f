/* SPDX-License-Identifier: MIT */
/*
 * kernel.c: the calls that the probe makes to this kernel. A feature is tried with bytes
 * and connections of our own, over an unnamed Unix socket or loopback. No trial waits
 * longer than PATIENCE_S, and none leaves a request behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/iouring/buffers.h"
#include "backends/iouring/newer.h"
#include "backends/iouring/probe.h"

#define PATIENCE_S 1
#define BUFS 8u			/* the ring of a trial is a page; its buffers are in the next */
#define BUF_BYTES 64u
#define ROUNDS 3u		/* results of one request that show that it is multishot */

/* User data. */
#define UD_REQUEST 1
#define UD_CANCEL 2

/* ---- rings and requests ---- */

static int supports(struct io_uring *ring, const int *ops, unsigned count, bool *ret_supported)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);

	if (!probe)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < count; i++)
		ret_supported[i] = io_uring_opcode_supported(probe, ops[i]);
	io_uring_free_probe(probe);
	return 0;
}

static int enter(struct io_uring *ring)
{
	int rc;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	rc = io_uring_submit_and_wait(ring, 1);
	if (rc < 0)
		return rc;
	io_uring_cq_advance(ring, 1);
	return 0;
}

/* Wait for the next completion. Returns its result, or -ETIME. */
static int next_result(struct io_uring *ring, struct io_uring_cqe *ret_cqe)
{
	struct __kernel_timespec limit = { .tv_sec = PATIENCE_S };
	struct io_uring_cqe *cqe;
	int rc = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &limit, NULL);

	if (rc < 0)
		return rc;
	*ret_cqe = *cqe;
	io_uring_cqe_seen(ring, cqe);
	return ret_cqe->res;
}

/* End a multishot request, and ignore its remaining results. */
static void end_request(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe cqe;

	io_uring_prep_cancel64(sqe, UD_REQUEST, 0);
	io_uring_sqe_set_data64(sqe, UD_CANCEL);
	do
		if (next_result(ring, &cqe) == -ETIME)
			return;
	while (cqe.user_data != UD_REQUEST || cqe.flags & IORING_CQE_F_MORE);
}

/* ---- connections ---- */

struct listener {
	int fd;
	struct sockaddr_storage addr;
	socklen_t len;
};

/* A Unix address with only the family makes the kernel choose a name. */
static int listen_on(struct listener *l, int family)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_storage addr = { .ss_family = (sa_family_t)family };
	int rc = 0;

	l->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	l->len = sizeof(l->addr);
	if (bind(l->fd, family == AF_INET ? (void *)&in : (void *)&addr,
		 family == AF_INET ? sizeof(in) : sizeof(addr.ss_family)) < 0 ||
	    listen(l->fd, ROUNDS) < 0 ||
	    getsockname(l->fd, (struct sockaddr *)&l->addr, &l->len) < 0) {
		rc = -errno;
		close(l->fd);
	}
	return rc;
}

/* A sandbox may allow only one of the families. */
static int open_listener(struct listener *l)
{
	int rc = listen_on(l, AF_UNIX);

	return rc < 0 ? listen_on(l, AF_INET) : 0;
}

static int connect_to(const struct listener *l)
{
	int fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&l->addr, l->len) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* ---- multishot accept ---- */

static int accept_once(struct io_uring *ring, const struct listener *l)
{
	struct io_uring_cqe cqe;
	int fd = connect_to(l), rc;

	if (fd < 0)
		return fd;
	rc = next_result(ring, &cqe);
	close(fd);
	if (rc < 0)
		return rc;
	close(rc);
	return cqe.flags & IORING_CQE_F_MORE ? 0 : -EOPNOTSUPP;
}

static int try_accept(struct io_uring *ring)
{
	struct io_uring_sqe *sqe;
	struct listener l;
	int rc = open_listener(&l);

	if (rc < 0)
		return rc;
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_multishot_accept(sqe, l.fd, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, UD_REQUEST);
	for (unsigned i = 0; i < ROUNDS && rc == 0; i++)
		rc = accept_once(ring, &l);
	if (rc == 0)
		end_request(ring);
	close(l.fd);
	return rc;
}

/* ---- buffer rings, and receives into them ---- */

static void *map_ring(void)
{
	size_t bytes = 2 * (size_t)sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static int open_buffers(struct io_uring *ring, unsigned flags, struct io_uring_buf_ring **ret_bufs)
{
	struct io_uring_buf_ring *bufs = map_ring();
	int rc;

	if (!bufs)
		return -ENOMEM;
	rc = uring_register_buffers(ring, bufs, BUFS, URING_WHOLE, flags);
	if (rc == 0)
		*ret_bufs = bufs;
	else
		munmap(bufs, 2 * (size_t)sysconf(_SC_PAGESIZE));
	return rc;
}

static void close_buffers(struct io_uring *ring, struct io_uring_buf_ring *bufs)
{
	io_uring_unregister_buf_ring(ring, URING_WHOLE);
	munmap(bufs, 2 * (size_t)sysconf(_SC_PAGESIZE));
}

static void provide(struct io_uring_buf_ring *bufs)
{
	uint8_t *data = (uint8_t *)bufs + sysconf(_SC_PAGESIZE);

	io_uring_buf_ring_init(bufs);
	for (unsigned i = 0; i < BUFS; i++)
		io_uring_buf_ring_add(bufs, data + i * BUF_BYTES, BUF_BYTES, (uint16_t)i,
				      io_uring_buf_ring_mask(BUFS), (int)i);
	io_uring_buf_ring_advance(bufs, (int)BUFS);
}

static int try_buffers(struct io_uring *ring)
{
	struct io_uring_buf_ring *bufs;
	int rc = open_buffers(ring, 0, &bufs);

	if (rc == 0)
		close_buffers(ring, bufs);
	return rc;
}

static int connected_pair(int *ret_pair)
{
	struct listener l;
	int rc = open_listener(&l);

	if (rc < 0)
		return rc;
	ret_pair[0] = connect_to(&l);
	rc = ret_pair[0] < 0 ? ret_pair[0] : 0;
	if (rc == 0)
		ret_pair[1] = accept4(l.fd, NULL, NULL, SOCK_CLOEXEC);
	if (rc == 0 && ret_pair[1] < 0) {
		rc = -errno;
		close(ret_pair[0]);
	}
	close(l.fd);
	return rc;
}

/* A variant of a multishot receive. */
struct receiving {
	unsigned ring_flags, ioprio;
	unsigned expected;		/* flags that each of its completions must have */
};

/* Send one byte, and check that the request receives it and continues. */
static int receive_once(struct io_uring *ring, int fd, unsigned expected)
{
	struct io_uring_cqe cqe;
	int rc;

	if (send(fd, "", 1, MSG_NOSIGNAL) != 1)
		return -errno;
	rc = next_result(ring, &cqe);
	if (rc < 0)
		return rc;
	return rc == 1 && (cqe.flags & expected) == expected ? 0 : -EOPNOTSUPP;
}

static int receive(struct io_uring *ring, const int *pair, const struct receiving *how)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int rc = 0;

	io_uring_prep_recv_multishot(sqe, pair[1], NULL, 0, 0);
	sqe->ioprio |= (uint16_t)how->ioprio;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = URING_WHOLE;
	io_uring_sqe_set_data64(sqe, UD_REQUEST);
	for (unsigned i = 0; i < ROUNDS && rc == 0; i++)
		rc = receive_once(ring, pair[0], how->expected);
	if (rc == 0)
		end_request(ring);
	return rc;
}

static int try_recv(struct io_uring *ring, const struct receiving *how)
{
	struct io_uring_buf_ring *bufs;
	int pair[2] = { -1, -1 }, rc = connected_pair(pair);

	if (rc < 0)
		return rc;
	rc = open_buffers(ring, how->ring_flags, &bufs);
	if (rc == 0) {
		provide(bufs);
		rc = receive(ring, pair, how);
		close_buffers(ring, bufs);
	}
	close(pair[0]);
	close(pair[1]);
	return rc;
}

/* ---- other features ---- */

static int try_op(struct io_uring *ring, int op)
{
	bool supported;
	int rc = supports(ring, &op, 1, &supported);

	return rc < 0 ? rc : supported ? 0 : -EOPNOTSUPP;
}

static int try_table(struct io_uring *ring, unsigned len)
{
	int rc = io_uring_register_files_sparse(ring, len);

	if (rc == 0)
		io_uring_unregister_files(ring);
	return rc;
}

static int try_napi(struct io_uring *ring, unsigned us)
{
#if URING_LIBRARY_HAS(2, 6)
	struct io_uring_napi napi = { .busy_poll_to = us, .prefer_busy_poll = 1 };
	int rc = io_uring_register_napi(ring, &napi);

	if (rc == 0)
		io_uring_unregister_napi(ring, &napi);
	return rc;
#else
	(void)ring, (void)us;
	return -EOPNOTSUPP;
#endif
}

static int try_min_wait(struct io_uring *ring, unsigned us)
{
#if URING_LIBRARY_HAS(2, 8)
	struct __kernel_timespec limit = { .tv_sec = PATIENCE_S };
	struct io_uring_cqe *cqe;
	int rc;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	rc = io_uring_submit_and_wait_min_timeout(ring, &cqe, 2, &limit, us, NULL);
	if (rc < 0)
		return rc;
	io_uring_cq_advance(ring, 1);
	return 0;
#else
	(void)ring, (void)us;
	return -EOPNOTSUPP;
#endif
}

static int try_feature(struct io_uring *ring, enum uring_feature feature,
		       const struct uring_options *options)
{
	struct receiving how = { .expected = IORING_CQE_F_MORE | IORING_CQE_F_BUFFER };

	switch (feature) {
	case URING_BUFFER_RING:
		return try_buffers(ring);
	case URING_MULTISHOT_ACCEPT:
		return try_accept(ring);
	case URING_MULTISHOT_RECV:
		return try_recv(ring, &how);
	case URING_BUNDLE:
		how.ioprio = IORING_RECVSEND_BUNDLE;
		return try_recv(ring, &how);
	case URING_INCREMENTAL:
		how.ring_flags = URING_PBUF_INC;
		how.expected |= IORING_CQE_F_BUF_MORE;
		return try_recv(ring, &how);
	case URING_ZERO_COPY:
		return try_op(ring, IORING_OP_SEND_ZC);
	case URING_TABLE:
		return try_table(ring, options->direct);
	case URING_NAPI:
		return try_napi(ring, options->napi_us);
	case URING_MIN_WAIT:
		return try_min_wait(ring, options->min_wait_us);
	case URING_FEATURES:
		break;
	}
	return -EINVAL;
}

/* ---- the sysctl ---- */

static int disabled(void)
{
	int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
	char value = 0;
	bool got = fd >= 0 && read(fd, &value, 1) == 1;

	if (fd >= 0)
		close(fd);
	return got && value >= '0' && value <= '9' ? value - '0' : -1;
}

/* Atomic; a forked child inherits it. */
static uint32_t works[2];

const struct uring_kernel weir__uring_this_kernel = {
	.setup = io_uring_queue_init_params,
	.exit = io_uring_queue_exit,
	.supports = supports,
	.enter = enter,
	.try = try_feature,
	.disabled = disabled,
	.works = works,
};
