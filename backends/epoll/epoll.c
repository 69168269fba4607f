/* SPDX-License-Identifier: MIT */
/*
 * epoll.c: the Linux poller for the readiness adaptor (backends/readiness/readiness.c),
 * which does everything else: queues, retries, cancelling, leases.
 *
 * A worker has one epoll descriptor, and one eventfd that wakes it. A descriptor is
 * registered once, for all events, edge-triggered; closing its last copy removes it. The
 * eventfd is edge-triggered too: each write is an event, so it is never read.
 */
#include <string.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/readiness/readiness.h"
#include "backends/socket.h"

struct epoll {
	struct weir__readiness r;
	int fd;
	int wake_fd;
	bool no_ns;			/* the kernel has no epoll_pwait2 (before 5.11); atomic */
};

static inline struct epoll *epoll_of(struct weir__readiness *r)
{
	return WEIR_CONTAINER_OF(r, struct epoll, r);
}

static int control(struct weir__readiness *r, int what, int fd, uint64_t key, bool priority)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET | (priority ? EPOLLPRI : 0u),
		.data = { .u64 = key },
	};

	return epoll_ctl(epoll_of(r)->fd, what, fd, &e) == 0 ? 0 : -errno;
}

static int epoll_add(struct weir__readiness *r, int fd, uint64_t key, bool priority)
{
	return control(r, EPOLL_CTL_ADD, fd, key, priority);
}

static int epoll_change(struct weir__readiness *r, int fd, uint64_t key, bool priority)
{
	return control(r, EPOLL_CTL_MOD, fd, key, priority);
}

static void epoll_del(struct weir__readiness *r, int fd)
{
	/* Kernels before 2.6.9 and some checkers require an event for EPOLL_CTL_DEL too. */
	control(r, EPOLL_CTL_DEL, fd, 0, false);
}

static inline uint32_t from_epoll(uint32_t e)
{
	uint32_t ready = 0;

	if (e & EPOLLIN)
		ready |= WEIR__READY_READ;
	if (e & EPOLLOUT)
		ready |= WEIR__READY_WRITE;
	if (WEIR_UNLIKELY(e & EPOLLPRI))
		ready |= WEIR__READY_PRIORITY;
	if (WEIR_UNLIKELY(e & EPOLLRDHUP))
		ready |= WEIR__READY_READ | WEIR__READY_READ_END;
	if (WEIR_UNLIKELY(e & (EPOLLHUP | EPOLLERR)))
		ready |= WEIR__READY_READ | WEIR__READY_READ_END | WEIR__READY_WRITE |
			 WEIR__READY_WRITE_END;
	return ready;
}

/*
 * Wait with nanosecond precision if the kernel supports it. Otherwise the timeout is rounded up to
 * milliseconds, so that no timer fires early.
 */
static int wait_ns(struct epoll *ep, struct epoll_event *events, int max, int64_t timeout_ns)
{
	int64_t ms = (timeout_ns + (int64_t)WEIR_MSEC - 1) / (int64_t)WEIR_MSEC;

#ifdef SYS_epoll_pwait2
	if (timeout_ns > 0 && !weir__load(&ep->no_ns, WEIR_RELAXED)) {
		struct timespec ts = {
			.tv_sec = timeout_ns / (int64_t)WEIR_SEC,
			.tv_nsec = timeout_ns % (int64_t)WEIR_SEC,
		};
		int n = (int)syscall(SYS_epoll_pwait2, ep->fd, events, max, &ts, NULL, (size_t)0);

		/* A seccomp filter that does not know the call returns EPERM. */
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n;
		weir__store(&ep->no_ns, true, WEIR_RELAXED);
	}
#endif
	if (timeout_ns <= 0)
		ms = timeout_ns;
	/* Not epoll_wait: see backends/plain_calls.h. */
	return (int)syscall(SYS_epoll_pwait, ep->fd, events, max, ms > INT_MAX ? INT_MAX : (int)ms,
			    NULL, (size_t)0);
}

/*
 * The kernel's events are fetched into the array of our events, which are larger, and converted in
 * place, from the last to the first.
 */
static int wait_events(struct weir__readiness *r, struct weir__event *events, int max,
		       int64_t timeout_ns)
{
	_Static_assert(sizeof(struct epoll_event) <= sizeof(struct weir__event), "no room");
	struct epoll_event e;
	int n = wait_ns(epoll_of(r), (struct epoll_event *)(void *)events, max, timeout_ns);

	if (n < 0)
		return -errno;
	for (int i = n; i-- > 0;) {
		memcpy(&e, (const char *)events + (size_t)i * sizeof(e), sizeof(e));
		events[i] = (struct weir__event){ e.data.u64, from_epoll(e.events) };
	}
	return n;
}

static void epoll_wake(struct weir__readiness *r)
{
	static const uint64_t one = 1;
	unsigned tries = 0;
	int saved = errno;

	/* It can fail only if the counter is full, which takes 2^64 wakes. */
	while (write(epoll_of(r)->wake_fd, &one, sizeof(one)) < 0 && weir__socket_again(&tries))
		continue;
	errno = saved;
}

static const struct weir__poller_ops poller = {
	.add = epoll_add,
	.change = epoll_change,
	.del = epoll_del,
	.wait = wait_events,
	.wake = epoll_wake,
};

static int epoll_probe(const char *options, char *reason, size_t len)
{
	int fd, err;

	if (options)
		return weir__readiness_no_options(options, reason, len);
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0) {
		err = errno;
		snprintf(reason, len, "epoll_create1: %s", strerror(err));
		return -err;
	}
	close(fd);
	return 0;
}

static int epoll_init(struct weir_backend *be, const struct weir_backend_config *cfg)
{
	struct weir__readiness *r = WEIR_CONTAINER_OF(be, struct weir__readiness, base);
	struct epoll *ep = epoll_of(r);
	struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data = { .u64 = WEIR__WAKE_KEY } };
	int err = weir__readiness_init(r, cfg, &poller);

	if (err < 0)
		return err;
	ep->fd = epoll_create1(EPOLL_CLOEXEC);
	ep->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ep->fd >= 0 && ep->wake_fd >= 0 &&
	    epoll_ctl(ep->fd, EPOLL_CTL_ADD, ep->wake_fd, &e) == 0)
		return 0;
	err = -errno;
	if (ep->fd >= 0)
		close(ep->fd);
	if (ep->wake_fd >= 0)
		close(ep->wake_fd);
	weir__readiness_fini(r);
	return err;
}

static void epoll_fini(struct weir_backend *be)
{
	struct weir__readiness *r = WEIR_CONTAINER_OF(be, struct weir__readiness, base);

	close(epoll_of(r)->fd);
	close(epoll_of(r)->wake_fd);
	weir__readiness_fini(r);
}

extern const struct weir_backend_ops weir__backend_epoll;
const struct weir_backend_ops weir__backend_epoll = {
	.name = "epoll",
	.abi = WEIR_BACKEND_ABI,
	.caps = WEIR__READINESS_CAPS,
	.instance_bytes = sizeof(struct epoll),
	.probe = epoll_probe,
	.init = epoll_init,
	.fini = epoll_fini,
	.attach = weir__readiness_attach,
	.detach = weir__readiness_detach,
	.control = weir__readiness_control,
	.submit = weir__readiness_submit,
	.poll = weir__readiness_poll,
	.cancel = weir__readiness_cancel,
	.wake = weir__readiness_wake,
	.lease_return = weir__readiness_lease_return,
};
