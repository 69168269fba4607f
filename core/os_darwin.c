/* SPDX-License-Identifier: MIT */
/*
 * os_darwin.c: core/os.h on macOS. It has no fence for other threads, so guards
 * are ordinary locks there. It has no page guard without a mapping, so mprotect
 * protects stacks.
 */
#include "core/os.h"

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "core/time/clock.h"

/* A longer wait is cut to this, and ends early. */
#define WAIT_MAX_NS (365 * 86400 * WEIR_SEC)

/* An access to a protected page raises SIGBUS here. */
const int weir__os_fault_signal = SIGBUS;

/* ---- memory ---- */

void *weir__os_map_sparse(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void weir__os_discard(void *at, size_t bytes)
{
	/* MADV_DONTNEED would keep the pages here. */
	(void)madvise(at, bytes, MADV_FREE);
}

void weir__os_want_huge(void *at, size_t bytes)
{
	(void)at;
	(void)bytes;
}

int weir__os_node_place(void *at, size_t bytes, int node)
{
	(void)at;
	(void)bytes;
	(void)node;
	return -ENOTSUP;
}

int weir__os_node_prefer(int node)
{
	(void)node;
	return -ENOTSUP;
}

int weir__os_node_move_stack(int node)
{
	(void)node;
	return -ENOTSUP;
}

bool weir__os_node_has_policy(void)
{
	return false;
}

int weir__os_node_of(const void *at)
{
	(void)at;
	return -ENOTSUP;
}

int weir__os_guard(void *at, size_t bytes)
{
	(void)at;
	(void)bytes;
	return -ENOTSUP;
}

unsigned long weir__os_mappings_max(void)
{
	return ULONG_MAX;
}

void *weir__os_interrupted(const void *ucontext)
{
	(void)ucontext;
	return NULL;
}

bool weir__os_has_shadow_stack(void)
{
	return false;
}

/* ---- threads ---- */

int weir__os_fence_threads_enable(void)
{
	return -ENOTSUP;
}

int weir__os_fence_threads(void)
{
	return -ENOTSUP;
}

void weir__os_thread_name(const char *name)
{
	pthread_setname_np(name);
}

void weir__os_cond_init(pthread_cond_t *cond)
{
	pthread_cond_init(cond, NULL);
}

/* A condition variable cannot use the monotonic clock here, so this makes a relative wait. */
int weir__os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline)
{
	uint64_t now = weir__clock_system(), left;
	struct timespec wait;

	if (deadline == WEIR_FOREVER)
		return -pthread_cond_wait(cond, lock);
	if (deadline <= now)
		return -ETIMEDOUT;
	left = deadline - now < WAIT_MAX_NS ? deadline - now : WAIT_MAX_NS;
	wait = (struct timespec){ (time_t)(left / WEIR_SEC), (long)(left % WEIR_SEC) };
	return -pthread_cond_timedwait_relative_np(cond, lock, &wait);
}

int weir__os_backtrace(void **frames, int max)
{
	return backtrace(frames, max);
}

/* ---- words ---- */

const char *weir__os_error_text(int err, char *buf, size_t len)
{
	return strerror_r(err, buf, len) == 0 ? buf : NULL;
}
