/* SPDX-License-Identifier: MIT */
/* os_linux.c: core/os.h on Linux. It tries what newer kernels have and works without it. */
#include "core/os.h"

#if __has_include(<execinfo.h>)
#include <execinfo.h>
#endif
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/atomic.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define NODES_MAX 1024u		/* the most that a kernel can be built for */

const int weir__os_fault_signal = SIGSEGV;

/* ---- memory ---- */

void *weir__os_map_sparse(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	/* A kernel without huge pages refuses this, which is fine. */
	(void)madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

void weir__os_discard(void *at, size_t bytes)
{
	/* The kernel refuses this for locked memory, whose pages then stay. */
	(void)madvise(at, bytes, MADV_DONTNEED);
}

void weir__os_want_huge(void *at, size_t bytes)
{
	(void)madvise(at, bytes, MADV_HUGEPAGE);
}

struct node_mask {
	unsigned long word[NODES_MAX / (8 * sizeof(unsigned long))];
};

/* False if no node can have this number. */
static bool mask_of(int node, struct node_mask *ret_mask)
{
	const unsigned bits = 8 * sizeof(unsigned long);

	if (node < 0 || (unsigned)node >= NODES_MAX)
		return false;
	*ret_mask = (struct node_mask){ { 0 } };
	ret_mask->word[(unsigned)node / bits] = 1ul << (unsigned)node % bits;
	return true;
}

/*
 * The kernel subtracts one from the number of bits. MPOL_BIND would kill the process when the node
 * is full; MPOL_PREFERRED takes another node.
 */
static int prefer_for(void *at, size_t bytes, int node, unsigned flags)
{
	struct node_mask mask;

	if (!mask_of(node, &mask))
		return -EINVAL;
	if (syscall(SYS_mbind, at, bytes, MPOL_PREFERRED, &mask, NODES_MAX + 1, flags) < 0)
		return -errno;
	return 0;
}

int weir__os_node_place(void *at, size_t bytes, int node)
{
	return prefer_for(at, bytes, node, 0);
}

/* Another thread may get this stack later, so its memory policy is reset after the move. */
int weir__os_node_move_stack(int node)
{
	pthread_attr_t attr;
	size_t bytes;
	void *at;
	int rc = -pthread_getattr_np(pthread_self(), &attr);

	if (rc < 0)
		return rc;
	rc = -pthread_attr_getstack(&attr, &at, &bytes);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		rc = prefer_for(at, bytes, node, MPOL_MF_MOVE);
	if (rc == 0 && syscall(SYS_mbind, at, bytes, MPOL_DEFAULT, NULL, 0, 0) < 0)
		rc = -errno;
	return rc;
}

int weir__os_node_prefer(int node)
{
	struct node_mask mask;
	long rc;

	if (node == -1)
		rc = syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	else if (mask_of(node, &mask))
		rc = syscall(SYS_set_mempolicy, MPOL_PREFERRED, &mask, NODES_MAX + 1);
	else
		return -EINVAL;
	return rc == 0 ? 0 : -errno;
}

bool weir__os_node_has_policy(void)
{
	int mode = MPOL_DEFAULT;

	return syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) == 0 && mode != MPOL_DEFAULT;
}

/* get_mempolicy would touch the page; move_pages does not. */
int weir__os_node_of(const void *at)
{
	const void *page = at;
	int status = -EFAULT;

	if (syscall(SYS_move_pages, 0, 1, &page, NULL, &status, 0) < 0)
		return -errno;
	return status;
}

/*
 * Kernels before 6.13 answer EINVAL, and so do some newer ones for locked memory. An emulator may
 * accept any advice and do nothing (qemu-user does), so the first guard of the process is tested:
 * if the page cannot be populated, the guard works.
 */
int weir__os_guard(void *at, size_t bytes)
{
	static int known;		/* 0 not tried, 1 works, -1 does not */

	if (weir__load(&known, WEIR_RELAXED) < 0)
		return -EINVAL;
	if (madvise(at, bytes, MADV_GUARD_INSTALL) < 0)
		return -errno;
	if (WEIR_UNLIKELY(weir__load(&known, WEIR_RELAXED) == 0)) {
		int works = madvise(at, bytes, MADV_POPULATE_READ) < 0 && errno == EFAULT;

		weir__store(&known, works ? 1 : -1, WEIR_RELAXED);
		return works ? 0 : -EINVAL;
	}
	return 0;
}

/* vm.max_map_count, read once; the kernel's default if it cannot be read. */
unsigned long weir__os_mappings_max(void)
{
	static unsigned long known;
	unsigned long maps = weir__load(&known, WEIR_RELAXED);
	char text[32];
	ssize_t n;
	int fd;

	if (maps)
		return maps;
	maps = 65530;
	fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n > 0) {
			text[n] = '\0';
			maps = strtoul(text, NULL, 10);
		}
	}
	weir__store(&known, maps, WEIR_RELAXED);
	return maps;
}

void *weir__os_interrupted(const void *ucontext)
{
	const mcontext_t *at = &((const ucontext_t *)ucontext)->uc_mcontext;

#if defined(__x86_64__)
	return (void *)(uintptr_t)at->gregs[REG_RIP];
#elif defined(__aarch64__)
	return (void *)(uintptr_t)at->pc;
#else
	(void)at;
	return NULL;
#endif
}

bool weir__os_has_shadow_stack(void)
{
	unsigned long on = 0;
#if defined(__x86_64__)
	/* ARCH_SHSTK_STATUS, ARCH_SHSTK_SHSTK */
	return syscall(SYS_arch_prctl, 0x5005, &on) == 0 && (on & 1);
#elif defined(__aarch64__)
	/* PR_GET_SHADOW_STACK_STATUS, PR_SHADOW_STACK_ENABLE */
	return prctl(74, &on, 0, 0, 0) == 0 && (on & 1);
#else
	return on != 0;
#endif
}

/* ---- threads ---- */

static int membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) == 0 ? 0 : -errno;
}

int weir__os_fence_threads_enable(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

/*
 * The manual says that a registered process is never refused. But the kernel may be short of
 * memory, and a process that was restored from an image may have lost its registration. GLOBAL
 * needs neither; it takes some milliseconds.
 */
int weir__os_fence_threads(void)
{
	if (WEIR_LIKELY(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) ||
	    (weir__os_fence_threads_enable() == 0 &&
	     membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0))
		return 0;
	return membarrier(MEMBARRIER_CMD_GLOBAL);
}

void weir__os_thread_name(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}

void weir__os_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int weir__os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline)
{
	struct timespec until = { (time_t)(deadline / WEIR_SEC), (long)(deadline % WEIR_SEC) };

	if (deadline == WEIR_FOREVER)
		return -pthread_cond_wait(cond, lock);
	return -pthread_cond_timedwait(cond, lock, &until);
}

int weir__os_backtrace(void **frames, int max)
{
#if __has_include(<execinfo.h>)
	return backtrace(frames, max);
#else
	(void)frames;			/* musl has none */
	(void)max;
	return 0;
#endif
}

/* ---- words ---- */

const char *weir__os_error_text(int err, char *buf, size_t len)
{
	(void)buf;
	(void)len;
	return strerrordesc_np(err);
}
