/* SPDX-License-Identifier: MIT */
/* context.c: the one thread-local of the runtime. See context.h for why nothing inlines it. */
#include "core/context.h"

#include "core/rt.h"
#include "core/worker.h"

unsigned weir__fork_generation;
bool weir__forked;

static _Thread_local struct weir__context context;

struct weir__context *weir__context(void)
{
	/*
	 * Without this, link-time optimisation sees a constant address and makes one call serve
	 * two awaits.
	 */
	__asm__ volatile("" ::: "memory");
	return &context;
}

struct weir__worker *weir__worker_current(void)
{
	return context.worker;
}

struct weir_rt *weir_rt_current(void)
{
	return weir__context()->rt;
}

int weir_rt_worker_index(void)
{
	struct weir__worker *w = weir__worker_current();

	return w ? w->index : -1;
}
