/* SPDX-License-Identifier: MIT */
/*
 * ring.c: the ring itself. It is created on the thread that creates the runtime, and
 * enabled by the worker's thread, which owns it from then on.
 *
 * An entry in the ring counts as in flight, whatever the submitting call returns.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/node.h"
#include "core/worker.h"
#include "backends/iouring/iouring.h"

/* The size of the completion ring, as a multiple of the submission ring. */
#define CQ_FACTOR 8u
/* With min-wait, this many completions end a wait early. */
#define MIN_WAIT_BATCH 32u
#define FOR_EVER_S (1 << 30)
/* How many threads the kernel may start for requests that would block: files, Unix connects. */
#define WORKERS_UNBOUNDED 64u

static unsigned setup_flags(const struct uring *u)
{
	unsigned flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_R_DISABLED | IORING_SETUP_TASKRUN_FLAG;

	/* A ring with deferred task work is bound to its thread. */
	if (u->options.defer && !u->moves)
		return flags | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	return flags | IORING_SETUP_COOP_TASKRUN;
}

/* The ring's descriptor table, for requests that use a slot instead of a descriptor. */
static int open_table(struct uring *u)
{
	if (!u->options.direct)
		return 0;
	u->direct = weir__node_alloc(u->options.direct * sizeof(*u->direct), u->node);
	if (!u->direct)
		return -ENOMEM;
	while (u->direct_len < u->options.direct) {
		u->direct[u->direct_len] = u->direct_len;
		u->direct_len++;
	}
	return io_uring_register_files_sparse(&u->ring, u->options.direct);
}

int weir__uring_ring_open(struct uring *u)
{
	struct io_uring_params params = {
		.flags = setup_flags(u),
		.cq_entries = u->options.entries * CQ_FACTOR,
	};
	int rc = io_uring_queue_init_params(u->options.entries, &u->ring, &params);

	if (rc < 0)
		return rc;
	/* A forked child must not share the ring's pages. */
	io_uring_ring_dontfork(&u->ring);
	u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = u->wake_fd < 0 ? -errno : open_table(u);
	if (rc < 0)
		weir__uring_ring_close(u);
	return rc;
}

void weir__uring_ring_quiesce(struct uring *u)
{
	struct io_uring_sync_cancel_reg all = {
		.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
		.timeout = { .tv_sec = -1, .tv_nsec = -1 },
	};

	/*
	 * -EEXIST: only the issuer may, which was the worker's thread. It has ended, and its
	 * requests too.
	 */
	if (!u->enabled || io_uring_register_sync_cancel(&u->ring, &all) == -EEXIST)
		return;
	(void)io_uring_submit_and_get_events(&u->ring);
}

bool weir__uring_ring_flush(struct uring *u)
{
	return IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW &&
	       io_uring_submit_and_get_events(&u->ring) >= 0;
}

void weir__uring_ring_close(struct uring *u)
{
	io_uring_queue_exit(&u->ring);
	if (u->wake_fd >= 0)
		close(u->wake_fd);
	weir__node_free(u->direct, u->options.direct * sizeof(*u->direct), u->node);
}

/* Called in the first turn, on the worker's thread. */
static WEIR_NOINLINE int enable(struct uring *u)
{
	unsigned workers[2] = { 0, WORKERS_UNBOUNDED };	/* 0: leave unchanged */
	/* Not io_uring_enable_rings, which liburing 2.3 does not export. */
	int rc =
		io_uring_register((unsigned)u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	if (rc < 0)
		return rc;
	u->enabled = true;
	/* Both are optional savings, so errors are ignored. */
	(void)io_uring_register_iowq_max_workers(&u->ring, workers);
	if (u->options.ring_fd && !u->moves)
		(void)io_uring_register_ring_fd(&u->ring);
#if URING_LIBRARY_HAS(2, 6)
	if (u->options.napi_us) {
		struct io_uring_napi napi = { .busy_poll_to = u->options.napi_us,
					      .prefer_busy_poll = 1 };

		return io_uring_register_napi(&u->ring, &napi);
	}
#endif
	return 0;
}

static WEIR_NOINLINE struct io_uring_sqe *make_room(struct uring *u)
{
	struct io_uring_sqe *sqe;

	for (int i = 0; i < 100; i++) {
		weir__count_syscalls(u->base.worker, 1);
		if ((!u->enabled && enable(u) < 0) || io_uring_submit(&u->ring) == -EEXIST)
			return NULL;
		sqe = io_uring_get_sqe(&u->ring);
		if (sqe)
			return sqe;
	}
	return NULL;
}

struct io_uring_sqe *weir__uring_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	return WEIR_LIKELY(sqe != NULL) ? sqe : make_room(u);
}

void weir__uring_cancel_request(struct uring *u, uint64_t user_data)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, user_data, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, UD_IGNORE);
}

void weir__uring_cancel_fd(struct uring *u, int fd)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe)
		return;
	io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(sqe, UD_IGNORE);
}

/* Every write to the eventfd is a new event for the multishot poll, so it is never read. */
static void arm_wake(struct uring *u)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe)
		return;
	io_uring_prep_poll_multishot(sqe, u->wake_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, UD_WAKE);
	u->wake_armed = true;
}

bool weir__uring_has_deferred(const struct uring *u)
{
	return IO_URING_READ_ONCE(*u->ring.sq.kflags) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static int wait_until(struct uring *u, uint64_t deadline)
{
	struct __kernel_timespec ts, *limit = NULL;
	struct io_uring_cqe *cqe;
	uint64_t now;

	if (deadline != WEIR_FOREVER) {
		now = weir_backend_now(&u->base);
		deadline = deadline > now ? deadline - now : 0;
		ts.tv_sec = (int64_t)(deadline / WEIR_SEC);
		ts.tv_nsec = (long long)(deadline % WEIR_SEC);
		limit = &ts;
	}
#if URING_LIBRARY_HAS(2, 8)
	if (u->options.min_wait_us && !limit) {
		/* Without a limit liburing ignores the min-wait time. */
		ts = (struct __kernel_timespec){ .tv_sec = FOR_EVER_S };
		limit = &ts;
	}
	if (u->options.min_wait_us)
		return io_uring_submit_and_wait_min_timeout(&u->ring, &cqe, MIN_WAIT_BATCH, limit,
							    u->options.min_wait_us, NULL);
#endif
	return io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, limit, NULL);
}

int weir__uring_enter(struct uring *u, uint64_t deadline)
{
	int rc;

	if (WEIR_UNLIKELY(!u->enabled) && (rc = enable(u)) < 0)
		return rc;
	if (WEIR_UNLIKELY(!u->wake_armed))
		arm_wake(u);
	if (deadline != 0)
		rc = wait_until(u, deadline);
	else if (io_uring_sq_ready(&u->ring) || weir__uring_has_deferred(u))
		rc = io_uring_submit_and_get_events(&u->ring);
	else
		return 0;
	/* Count no events here: each completion is counted when it is delivered. */
	weir__count_wait(u->base.worker, 0);
	return rc < 0 && rc != -ETIME && rc != -EINTR ? rc : 0;
}
