/* SPDX-License-Identifier: MIT */
/*
 * shard.c: one socket of a listener, which is the whole listener if it has one socket.
 *
 * It may be closed while accepts are pending in other tasks. Each of them holds a
 * reference, and the last one frees the memory. The first shard of several has the
 * list of all, and with it a reference to each of the others.
 */
#include <stdlib.h>

#include "core/atomic.h"
#include "core/io/io.h"
#include "net/net.h"
#include "weir/rt.h"

void weir__listener_ref(struct weir_listener *listener)
{
	weir__fetch_add(&listener->refs, 1u, WEIR_RELAXED);
}

/* Pairs with itself: the last holder sees what the others did. */
void weir__listener_unref(struct weir_listener *listener)
{
	if (weir__fetch_sub(&listener->refs, 1u, WEIR_ACQ_REL) != 1)
		return;
	for (unsigned i = 1; i < listener->shards_len; i++)
		weir__listener_unref(listener->shards[i]);
	free(listener->shards);
	free(listener);
}

static void listener_released(struct weir_handle *handle)
{
	weir__listener_unref(WEIR_CONTAINER_OF(handle, struct weir_listener, handle));
}

/*
 * The gate: no accept may start an operation while the handle is being closed. It has a count of
 * the accepts that are inside, and a bit that lets no more in. The last one to leave closes the
 * handle.
 */
#define GATE_CLOSED 1u
#define GATE_ONE 2u

bool weir__listener_is_closed(const struct weir_listener *listener)
{
	return weir__load(&listener->gate, WEIR_ACQUIRE) & GATE_CLOSED;
}

bool weir__listener_enter(struct weir_listener *listener)
{
	uint32_t found = weir__load(&listener->gate, WEIR_RELAXED);

	do {
		if (found & GATE_CLOSED)
			return false;
	} while (!weir__cas_weak(&listener->gate, &found, found + GATE_ONE, WEIR_ACQUIRE,
				 WEIR_RELAXED));
	return true;
}

/* Pairs with itself and weir__listener_close_one: the closer sees what the others did. */
void weir__listener_leave(struct weir_listener *listener)
{
	if (weir__fetch_sub(&listener->gate, GATE_ONE, WEIR_ACQ_REL) == (GATE_CLOSED | GATE_ONE))
		weir__handle_close(&listener->handle, listener_released);
}

/*
 * Accepted sockets inherit these options, which saves system calls for each. Errors are ignored,
 * because a backend may not support them, as the simulated one.
 */
static void set_inherited(struct weir_handle *handle, const struct weir_listener_config *cfg)
{
	struct weir_keepalive keepalive = cfg->keepalive;
	int on = 1;

	if (!cfg->no_nodelay)
		weir__handle_control(handle, WEIR_CTL_NODELAY, &on, sizeof(on));
	if (keepalive.idle_s > 0)
		weir__handle_control(handle, WEIR_CTL_KEEPALIVE, &keepalive, sizeof(keepalive));
}

int weir__listener_new(const struct weir_handle_spec *spec, const struct weir_listener_config *cfg,
		       struct weir_listener **ret_listener)
{
	struct weir_listener *self = calloc(1, sizeof(*self));
	int rc;

	if (!self)
		return -ENOMEM;
	self->refs = 1;
	self->shards_len = 1;
	rc = weir__handle_attach(&self->handle, spec);
	if (rc < 0) {
		free(self);
		return rc;
	}
	if (spec->family != AF_UNIX)
		set_inherited(&self->handle, cfg);
	self->worker = (uint16_t)weir_rt_worker_index();
	*ret_listener = self;
	return 0;
}

void weir__listener_close_one(struct weir_listener *listener)
{
	if (weir__fetch_or(&listener->gate, GATE_CLOSED, WEIR_ACQ_REL) == 0)
		weir__handle_close(&listener->handle, listener_released);
}
