/* SPDX-License-Identifier: MIT */
/*
 * kqueue.c: the poller of macOS and the BSDs for the readiness adaptor
 * (backends/readiness/readiness.c), which does everything else. On Linux it runs over
 * libkqueue, an emulation, so that it can be tested there.
 *
 * A worker has one kqueue. A descriptor is registered once, for EVFILT_READ and
 * EVFILT_WRITE with EV_CLEAR, and unregistered before it is closed. An event only means
 * "try again": there are WRITE events without new space, and ends of stream without
 * EV_EOF, so only a call shows the true state.
 *
 * EVFILT_USER wakes a worker. A pipe is used instead where that filter does not exist, and
 * where kevent takes locks (libkqueue), because a signal handler may call wake.
 *
 * EVFILT_TIMER, EVFILT_SIGNAL and EVFILT_PROC are not used: the timer wheel limits the
 * wait, signals use handlers (docs/decisions/0007), and weir has no processes yet.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include "backends/kqueue/kqueue.h"
#include "backends/readiness/readiness.h"
#include "backends/socket.h"

/* The most events of one call; they are on the stack. */
#define BATCH 128
/*
 * Systems refuse very long timeouts. A caller that returns early checks the time and waits again.
 */
#define WAIT_MAX_NS (86400 * (int64_t)WEIR_SEC)
/* Both directions and priority data. */
#define FILTERS_MAX 3

struct kq {
	struct weir__readiness r;
	int fd;
	int wake_fds[2];		/* the pipe; -1: EVFILT_USER */
};

#ifdef __linux__
#define EMULATED true
#else
#define EMULATED false
#endif
bool weir__kqueue_wakes_by_pipe = EMULATED;

static inline struct kq *kq_of(struct weir__readiness *r)
{
	return WEIR_CONTAINER_OF(r, struct kq, r);
}

/* ---- changes ------------------------------------------------------------------------------ */

/* The casts are for NetBSD, whose filter, flags and udata have other types. */
static void prepare(struct kevent *change, int fd, int filter, unsigned flags, uint64_t key)
{
	_Static_assert(sizeof(change->udata) >= sizeof(key), "no room for a key");

	memset(change, 0, sizeof(*change));
	change->ident = (uintptr_t)fd;
	change->filter = (__typeof__(change->filter))filter;
	change->flags = (__typeof__(change->flags))flags;
	change->udata = (__typeof__(change->udata))(uintptr_t)key;
}

/*
 * Make the changes independently; ret_errs has the result of each, 0 or an errno. There is room for
 * exactly one receipt per change, so that no event is fetched here; it would be lost.
 */
static void apply(int kq, struct kevent *changes, int n, int *ret_errs)
{
#ifdef EV_RECEIPT
	struct kevent receipts[FILTERS_MAX];
	int err;

	for (int i = 0; i < n; i++)
		changes[i].flags |= EV_RECEIPT;
	err = kevent(kq, changes, n, receipts, n, NULL) == n ? 0 : errno;
	for (int i = 0; i < n; i++)
		ret_errs[i] = err ? err : (int)receipts[i].data;
#else
	for (int i = 0; i < n; i++)
		ret_errs[i] = kevent(kq, &changes[i], 1, NULL, 0, NULL) == 0 ? 0 : errno;
#endif
}

static int filters(struct kevent *changes, int fd, unsigned flags, uint64_t key, bool priority)
{
	int n = 0;

	prepare(&changes[n++], fd, EVFILT_READ, flags, key);
	prepare(&changes[n++], fd, EVFILT_WRITE, flags, key);
#ifdef EVFILT_EXCEPT
	if (priority) {
		prepare(&changes[n], fd, EVFILT_EXCEPT, flags, key);
		changes[n++].fflags = NOTE_OOB;
	}
#else
	(void)priority;
#endif
	return n;
}

static void kq_del(struct weir__readiness *r, int fd)
{
	struct kevent changes[FILTERS_MAX];
	int errs[FILTERS_MAX];

	/* Errors are ignored: not all filters need to be registered. */
	apply(kq_of(r)->fd, changes, filters(changes, fd, EV_DELETE, 0, true), errs);
}

static bool supports(bool priority)
{
#ifdef EVFILT_EXCEPT
	(void)priority;
	return true;
#else
	return !priority;
#endif
}

/* Whether the error means that the descriptor does not have this direction. */
static bool lacks_direction(int err)
{
	return err == EINVAL || err == EPIPE || err == ENODEV;
}

/* Also used to add priority data: existing filters are replaced by the same. */
static int kq_add(struct weir__readiness *r, int fd, uint64_t key, bool priority)
{
	struct kevent changes[FILTERS_MAX];
	int errs[FILTERS_MAX], n, err = 0, added = 0;

	if (!supports(priority))
		return -EOPNOTSUPP;
	n = filters(changes, fd, EV_ADD | EV_CLEAR, key, priority);
	apply(kq_of(r)->fd, changes, n, errs);
	for (int i = 0; i < n; i++)
		if (errs[i] == 0)
			added++;
		else if (err == 0 || !lacks_direction(errs[i]))
			err = errs[i];
	if (err == 0 || (added > 0 && lacks_direction(err)))
		return 0;
	kq_del(r, fd);
	/* Neither direction can be registered: -EPERM, as from epoll. */
	return lacks_direction(err) ? -EPERM : -err;
}

/* ---- events ------------------------------------------------------------------------------- */

static inline uint32_t from_kevent(const struct kevent *e)
{
	bool end = e->flags & (EV_EOF | EV_ERROR);

	if (e->filter == EVFILT_READ)
		return WEIR__READY_READ | (end ? WEIR__READY_READ_END : 0u);
	if (e->filter == EVFILT_WRITE)
		return WEIR__READY_WRITE | (end ? WEIR__READY_WRITE_END : 0u);
	return WEIR__READY_PRIORITY;
}

/* Empty the pipe, so that the next byte is an event again. */
static void drain_wakes(struct kq *kq)
{
	char bytes[256];

	while (read(kq->wake_fds[0], bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes))
		continue;
}

static int wait_events(struct weir__readiness *r, struct weir__event *events, int max,
		       int64_t timeout_ns)
{
	int64_t ns = timeout_ns < WAIT_MAX_NS ? timeout_ns : WAIT_MAX_NS;
	struct timespec ts = { (time_t)(ns / (int64_t)WEIR_SEC), (long)(ns % (int64_t)WEIR_SEC) };
	struct kevent batch[BATCH];
	struct kq *kq = kq_of(r);
	int n = kevent(kq->fd, NULL, 0, batch, max < BATCH ? max : BATCH, ns < 0 ? NULL : &ts);

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		uint64_t key = (uint64_t)(uintptr_t)batch[i].udata;

		if (WEIR_UNLIKELY(key == WEIR__WAKE_KEY && kq->wake_fds[0] >= 0))
			drain_wakes(kq);
		events[i] = (struct weir__event){ key, from_kevent(&batch[i]) };
	}
	return n;
}

/* ---- wake --------------------------------------------------------------------------------- */

static void kq_wake(struct weir__readiness *r)
{
	struct kq *kq = kq_of(r);
	unsigned tries = 0;
	int saved = errno;

	if (kq->wake_fds[1] >= 0) {
		/* If the pipe is full, an event is already pending. */
		while (write(kq->wake_fds[1], "", 1) < 0 && weir__socket_again(&tries))
			continue;
	} else {
#ifdef EVFILT_USER
		struct kevent trigger;

		/* Every change replaces udata, so it must contain the key. */
		prepare(&trigger, 0, EVFILT_USER, 0, WEIR__WAKE_KEY);
		trigger.fflags = NOTE_TRIGGER;
		while (kevent(kq->fd, &trigger, 1, NULL, 0, NULL) < 0 &&
		       weir__socket_again(&tries))
			continue;
#endif
	}
	errno = saved;
}

static int wake_by_user(struct kq *kq)
{
#ifdef EVFILT_USER
	struct kevent change;
	int err;

	prepare(&change, 0, EVFILT_USER, EV_ADD | EV_CLEAR, WEIR__WAKE_KEY);
	apply(kq->fd, &change, 1, &err);
	return -err;
#else
	(void)kq;
	return -EINVAL;
#endif
}

static int wake_by_pipe(struct kq *kq)
{
	struct kevent change;
	int err;

	if (pipe(kq->wake_fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		if (fcntl(kq->wake_fds[i], F_SETFD, FD_CLOEXEC) < 0 ||
		    fcntl(kq->wake_fds[i], F_SETFL, O_NONBLOCK) < 0)
			return -errno;
	prepare(&change, kq->wake_fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, WEIR__WAKE_KEY);
	apply(kq->fd, &change, 1, &err);
	return -err;
}

/* ---- life --------------------------------------------------------------------------------- */

static const struct weir__poller_ops poller = {
	.add = kq_add,
	.change = kq_add,
	.del = kq_del,
	.wait = wait_events,
	.wake = kq_wake,
	.del_always = true,
	.add_replaces = true,
	.ends_hide = true,
};

static int kq_open(void)
{
	int fd = kqueue();

	/* fork does not inherit it, but exec may. */
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

/* libkqueue is not probed: that would start its threads, which do not end. */
static int kq_probe(const char *options, char *reason, size_t len)
{
	int fd;

	if (options)
		return weir__readiness_no_options(options, reason, len);
	if (EMULATED)
		return 0;
	fd = kq_open();
	if (fd < 0) {
		snprintf(reason, len, "kqueue: %s", strerror(-fd));
		return fd;
	}
	close(fd);
	return 0;
}

static void close_all(struct kq *kq)
{
	const int fds[] = { kq->fd, kq->wake_fds[0], kq->wake_fds[1] };

	if (kq->wake_fds[0] >= 0)
		kq_del(&kq->r, kq->wake_fds[0]);
	for (unsigned i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	weir__readiness_fini(&kq->r);
}

static int kq_init(struct weir_backend *be, const struct weir_backend_config *cfg)
{
	struct weir__readiness *r = WEIR_CONTAINER_OF(be, struct weir__readiness, base);
	struct kq *kq = kq_of(r);
	int err = weir__readiness_init(r, cfg, &poller);

	if (err < 0)
		return err;
	kq->wake_fds[0] = kq->wake_fds[1] = -1;
	kq->fd = kq_open();
	err = kq->fd;
	if (err >= 0)
		err = weir__kqueue_wakes_by_pipe ? -EINVAL : wake_by_user(kq);
	if (err == -EINVAL)
		err = wake_by_pipe(kq);
	if (err < 0)
		close_all(kq);
	return err < 0 ? err : 0;
}

static void kq_fini(struct weir_backend *be)
{
	close_all(kq_of(WEIR_CONTAINER_OF(be, struct weir__readiness, base)));
}

extern const struct weir_backend_ops weir__backend_kqueue;
const struct weir_backend_ops weir__backend_kqueue = {
	.name = "kqueue",
	.abi = WEIR_BACKEND_ABI,
	.caps = WEIR__READINESS_CAPS,
	.instance_bytes = sizeof(struct kq),
	.probe = kq_probe,
	.init = kq_init,
	.fini = kq_fini,
	.attach = weir__readiness_attach,
	.detach = weir__readiness_detach,
	.control = weir__readiness_control,
	.submit = weir__readiness_submit,
	.poll = weir__readiness_poll,
	.cancel = weir__readiness_cancel,
	.wake = weir__readiness_wake,
	.lease_return = weir__readiness_lease_return,
};
