/* SPDX-License-Identifier: MIT */
/*
 * machine.c: struct doctor_machine of the real machine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tools/doctor/doctor.h"
#include "tools/doctor/uring.h"
#include "weir/rt.h"
#include "weir/topo.h"

#define SYS_EPOLL_PWAIT2 441
#define GUARD_INSTALL 102
#define CLOCK_BATCHES 16
#define CLOCK_CALLS 500

/* The kernel's struct epoll_params. */
struct busy_poll {
	uint32_t usecs;
	uint16_t budget;
	uint8_t prefer, pad;
};

#define GET_BUSY_POLL _IOR(0x8a, 0x02, struct busy_poll)

static int name(struct utsname *ret_name)
{
	return uname(ret_name) < 0 ? -errno : 0;
}

static int limit(int resource, struct rlimit *ret_limit)
{
	return getrlimit(resource, ret_limit) < 0 ? -errno : 0;
}

static int topo(struct weir_topo **ret_topo)
{
	return weir_topo_new(NULL, ret_topo, NULL);
}

static void try_runtime(struct doctor_start *ret_start)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;

	memset(ret_start, 0, sizeof(*ret_start));
	ret_start->err = weir_rt_new(&cfg, &rt);
	if (ret_start->err < 0) {
		snprintf(ret_start->why, sizeof(ret_start->why), "%s", weir_rt_why());
		return;
	}
	ret_start->workers = weir_rt_workers(rt);
	snprintf(ret_start->backend, sizeof(ret_start->backend), "%s", weir_rt_backend(rt));
	weir_rt_free(rt);
}

/* ---- epoll ---- */

static int try_exclusive(int epoll)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int fd = eventfd(0, EFD_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int try_wait2(int epoll)
{
	int64_t no_time[2] = { 0, 0 };
	struct epoll_event event;

	return syscall(SYS_EPOLL_PWAIT2, epoll, &event, 1, no_time, NULL, 0) < 0 ? -errno : 0;
}

static int try_busy_poll(int epoll)
{
	struct busy_poll params = { 0 };

	return ioctl(epoll, GET_BUSY_POLL, &params) < 0 ? -errno : 0;
}

static void try_epoll(struct doctor_epoll *ret_epoll)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	memset(ret_epoll, 0, sizeof(*ret_epoll));
	if (fd < 0) {
		ret_epoll->create = -errno;
		return;
	}
	ret_epoll->exclusive = try_exclusive(fd);
	ret_epoll->wait2 = try_wait2(fd);
	ret_epoll->busy_poll = try_busy_poll(fd);
	close(fd);
}

/* ---- memory, time ---- */

static int try_guard(void)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (page == MAP_FAILED)
		return -errno;
	rc = madvise(page, bytes, GUARD_INSTALL) < 0 ? -errno : 0;
	munmap(page, bytes);
	return rc;
}

static uint64_t ns_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

/* Take the cheapest of several batches, because the others may have been interrupted. */
static void measure_clock(struct doctor_clock *ret_clock)
{
	struct timespec resolution = { 0, 0 };
	uint64_t best = UINT64_MAX, begin, took;

	clock_getres(CLOCK_MONOTONIC, &resolution);
	for (unsigned batch = 0; batch < CLOCK_BATCHES; batch++) {
		begin = ns_now();
		for (unsigned i = 0; i < CLOCK_CALLS; i++)
			ns_now();
		took = ns_now() - begin;
		best = took < best ? took : best;
	}
	ret_clock->resolution_ns =
		(uint64_t)resolution.tv_sec * WEIR_SEC + (uint64_t)resolution.tv_nsec;
	ret_clock->cost_ns = best / CLOCK_CALLS;
}

const struct doctor_machine doctor_this_machine = {
	.root = "",
	.name = name,
	.limit = limit,
	.cpus = weir_cpus_allowance,
	.topo = topo,
	.topo_free = weir_topo_free,
	.nic = doctor_ethtool,
	.backend = weir_backend_info_get,
	.start = try_runtime,
	.env = getenv,
	.epoll = try_epoll,
	.uring = doctor_uring_try,
	.liburing = doctor_liburing_find,
	.clock = measure_clock,
	.guard = try_guard,
};
