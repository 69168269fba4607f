/* SPDX-License-Identifier: MIT */
/* futex_linux.c: core/futex.h with the kernel's futexes. */
#include "core/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int weir__futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline)
{
	struct timespec ts = { (time_t)(deadline / WEIR_SEC), (long)(deadline % WEIR_SEC) };
	long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
			  deadline == WEIR_FOREVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);

	return rc < 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

void weir__futex_wake(uint32_t *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
}
