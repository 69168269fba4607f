/* SPDX-License-Identifier: MIT */
/*
 * uring_ring.c: see uring_ring.h. Kernels without FEAT_SINGLE_MMAP (before 5.4) are not
 * supported: they have no feature that weir uses.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tools/doctor/uring_ring.h"

#define SYS_SETUP 425
#define SYS_ENTER 426
#define SYS_REGISTER 427
#define OFF_SQ_RING 0
#define OFF_SQES 0x10000000
#define ENTRIES 8
#define KERNEL_SIGSET_BYTES 8

_Static_assert(sizeof(struct uring_params) == 120, "the kernel's ABI");
_Static_assert(sizeof(struct uring_sqe) == 64, "the kernel's ABI");
_Static_assert(sizeof(struct uring_cqe) == 16, "the kernel's ABI");

struct kernel_timespec {
	int64_t sec, nsec;
};

struct getevents_arg {
	uint64_t sigmask;
	uint32_t sigmask_bytes, min_wait_usec;
	uint64_t ts;
};

static int result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

int doctor_ring_setup(unsigned entries, struct uring_params *params)
{
	return result(syscall(SYS_SETUP, entries, params));
}

int doctor_ring_register(int fd, unsigned what, void *arg, unsigned args)
{
	return result(syscall(SYS_REGISTER, fd, what, arg, args));
}

static uint32_t load(const uint32_t *word)
{
	return atomic_load_explicit((const _Atomic uint32_t *)word, memory_order_acquire);
}

static void store(uint32_t *word, uint32_t value)
{
	atomic_store_explicit((_Atomic uint32_t *)word, value, memory_order_release);
}

static void find_parts(struct doctor_ring *ring, const struct uring_params *params)
{
	char *base = ring->rings;

	ring->sq_tail = (uint32_t *)(void *)(base + params->sq_off.tail);
	ring->sq_array = (uint32_t *)(void *)(base + params->sq_off.array);
	ring->sq_mask = *(uint32_t *)(void *)(base + params->sq_off.ring_mask);
	ring->cq_head = (uint32_t *)(void *)(base + params->cq_off.head);
	ring->cq_tail = (uint32_t *)(void *)(base + params->cq_off.tail);
	ring->cq_mask = *(uint32_t *)(void *)(base + params->cq_off.ring_mask);
	ring->cqes = (struct uring_cqe *)(void *)(base + params->cq_off.cqes);
}

static void *map(int fd, size_t bytes, off_t off)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, off);

	return at == MAP_FAILED ? NULL : at;
}

int doctor_ring_open(struct doctor_ring *ring, uint32_t flags)
{
	struct uring_params params = { .flags = flags };
	size_t sq_bytes, cq_bytes;
	int rc = doctor_ring_setup(ENTRIES, &params);

	memset(ring, 0, sizeof(*ring));
	ring->fd = rc;
	if (rc < 0)
		return rc;
	ring->features = params.features;
	sq_bytes = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
	cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct uring_cqe);
	ring->rings_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
	ring->sqes_bytes = params.sq_entries * sizeof(struct uring_sqe);
	if (!(params.features & FEAT_SINGLE_MMAP) || !(params.features & FEAT_EXT_ARG)) {
		doctor_ring_close(ring);
		return -EOPNOTSUPP;
	}
	ring->rings = map(ring->fd, ring->rings_bytes, OFF_SQ_RING);
	ring->sqes = map(ring->fd, ring->sqes_bytes, OFF_SQES);
	if (!ring->rings || !ring->sqes) {
		rc = -errno;
		doctor_ring_close(ring);
		return rc;
	}
	find_parts(ring, &params);
	return 0;
}

void doctor_ring_close(struct doctor_ring *ring)
{
	if (ring->sqes)
		munmap(ring->sqes, ring->sqes_bytes);
	if (ring->rings)
		munmap(ring->rings, ring->rings_bytes);
	if (ring->fd >= 0)
		close(ring->fd);
	memset(ring, 0, sizeof(*ring));
	ring->fd = -1;
}

int doctor_ring_submit(struct doctor_ring *ring, const struct uring_sqe *sqe)
{
	uint32_t tail = *ring->sq_tail;
	int rc;

	ring->sqes[tail & ring->sq_mask] = *sqe;
	ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
	store(ring->sq_tail, tail + 1);
	rc = result(syscall(SYS_ENTER, ring->fd, 1, 0, 0, NULL, 0));
	return rc < 0 ? rc : rc == 1 ? 0 : -EAGAIN;
}

static int wait_for(struct doctor_ring *ring, int64_t limit_ns, uint32_t min_wait_usec)
{
	struct kernel_timespec ts = { limit_ns / 1000000000, limit_ns % 1000000000 };
	struct getevents_arg arg = {
		.sigmask_bytes = KERNEL_SIGSET_BYTES,
		.min_wait_usec = min_wait_usec,
		.ts = (uint64_t)(uintptr_t)&ts,
	};

	return result(syscall(SYS_ENTER, ring->fd, 0, 1, ENTER_GETEVENTS | ENTER_EXT_ARG, &arg,
			      sizeof(arg)));
}

int doctor_ring_wait(struct doctor_ring *ring, struct uring_cqe *ret_cqe)
{
	uint32_t head = *ring->cq_head;
	int rc = 0;

	while (load(ring->cq_tail) == head && rc >= 0)
		rc = wait_for(ring, 1000000000, 0);
	if (load(ring->cq_tail) == head)
		return rc;
	*ret_cqe = ring->cqes[head & ring->cq_mask];
	store(ring->cq_head, head + 1);
	return 0;
}

int doctor_ring_wait_min(struct doctor_ring *ring)
{
	int rc = wait_for(ring, 1000000, 100);

	return rc == -ETIME || rc > 0 ? 0 : rc;
}
