/* SPDX-License-Identifier: MIT */
/*
 * live.c: the list of runtimes that exist, so that a debug build notices a stream
 * that is used after its runtime was freed. It compares addresses and reads
 * nothing through them, so it does not notice a later runtime's instance at the
 * same address.
 */
#include "core/lock.h"
#include "core/worker.h"

static struct weir__lock live_lock;
static struct weir_rt *live;		/* under live_lock */

void weir__live_add(struct weir_rt *rt)
{
	weir__lock_take(&live_lock);
	rt->live_next = live;
	live = rt;
	weir__lock_drop(&live_lock);
}

/* Does nothing for a runtime that is not in the list because its creation failed. */
void weir__live_remove(struct weir_rt *rt)
{
	struct weir_rt **at = &live;

	weir__lock_take(&live_lock);
	while (*at && *at != rt)
		at = &(*at)->live_next;
	if (*at)
		*at = rt->live_next;
	weir__lock_drop(&live_lock);
}

static bool has_instance(const struct weir_rt *rt, const struct weir_backend *be)
{
	unsigned i;

	for (i = 0; i < rt->workers; i++)
		if (rt->worker[i]->driver.io == be || rt->worker[i]->driver.companion == be)
			return true;
	return false;
}

bool weir__live_has(const struct weir_backend *be)
{
	const struct weir__worker *w = weir__worker_current();
	const struct weir_rt *rt;

	if (w && has_instance(w->rt, be))
		return true;
	if (weir__fork_generation)	/* the lock may have been held at the fork */
		return true;
	weir__lock_take(&live_lock);
	for (rt = live; rt && !has_instance(rt, be); rt = rt->live_next)
		;
	weir__lock_drop(&live_lock);
	return rt != NULL;
}
