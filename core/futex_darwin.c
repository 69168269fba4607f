/* SPDX-License-Identifier: MIT */
/* futex_darwin.c: the futexes of macOS 14.4 and later; meson says whether they may be used. */
#include "core/futex.h"

#include <os/os_sync_wait_on_address.h>

#include "core/time/clock.h"

/* A longer wait ends early, and the caller checks again. */
#define WAIT_MAX_NS (86400 * WEIR_SEC)

int weir__futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline)
{
	uint64_t now;
	int rc;

	if (deadline == WEIR_FOREVER) {
		os_sync_wait_on_address(word, expected, sizeof(*word),
					OS_SYNC_WAIT_ON_ADDRESS_NONE);
		return 0;
	}
	now = weir__clock_system();
	if (deadline <= now)
		return -ETIMEDOUT;
	rc = os_sync_wait_on_address_with_timeout(
		word, expected, sizeof(*word), OS_SYNC_WAIT_ON_ADDRESS_NONE,
		OS_CLOCK_MACH_ABSOLUTE_TIME,
		deadline - now < WAIT_MAX_NS ? deadline - now : WAIT_MAX_NS);
	if (rc < 0 && errno == ETIMEDOUT && weir__clock_system() >= deadline)
		return -ETIMEDOUT;
	return 0;
}

void weir__futex_wake(uint32_t *word, int n)
{
	int saved = errno;

	/* Both fail when nobody sleeps there, which is no error here. */
	if (n == 1)
		os_sync_wake_by_address_any(word, sizeof(*word), OS_SYNC_WAKE_BY_ADDRESS_NONE);
	else
		os_sync_wake_by_address_all(word, sizeof(*word), OS_SYNC_WAKE_BY_ADDRESS_NONE);
	errno = saved;
}
