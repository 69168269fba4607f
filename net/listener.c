/* SPDX-License-Identifier: MIT */
/*
 * listener.c: listeners with one socket. shards.c has several sockets on one port, and
 * accept.c accepting.
 *
 * A listener may be closed while accepts are pending in other tasks. Each of them holds a
 * reference, and the last one frees the listener.
 */
#include <stdlib.h>
#include <string.h>

#include "core/atomic.h"
#include "core/io/io.h"
#include "core/sized.h"
#include "net/net.h"
#include "weir/rt.h"

void weir__listener_hold(struct weir_listener *listener)
{
	weir__fetch_add(&listener->holds, 1u, WEIR_RELAXED);
}

/* Pairs with itself: the last holder sees what the others did. */
void weir__listener_drop(struct weir_listener *listener)
{
	if (weir__fetch_sub(&listener->holds, 1u, WEIR_ACQ_REL) != 1)
		return;
	if (listener->shards)
		weir__shards_free(listener);
	free(listener);
}

static void listener_released(struct weir_handle *handle)
{
	weir__listener_drop(WEIR_CONTAINER_OF(handle, struct weir_listener, handle));
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
	self->holds = 1;
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

static int read_config(const struct weir_listener_config *cfg,
		       struct weir_listener_config *ret_cfg)
{
	struct weir_listener_config full = WEIR_LISTENER_CONFIG_INIT;
	int rc = cfg ? weir__sized_read(&full, cfg) : 0;

	if (rc < 0)
		return rc;
	if (full.backlog < 0 || full.shards > WEIR_SHARDS_WORKER || full.steer > WEIR_STEER_CPU ||
	    (full.steer && full.reuse_port))
		return -EINVAL;
	if (full.backlog == 0)
		full.backlog = 4096;
	*ret_cfg = full;
	return 0;
}

int weir_listener_open_addr(const struct weir_addr *addr, const struct weir_listener_config *cfg,
			    struct weir_listener **ret_listener)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_LISTENER, .fd = -1 };
	struct weir_listener_config full;
	int rc = read_config(cfg, &full);
	unsigned shards;

	if (rc < 0)
		return rc;
	if (!weir__addr_usable(addr))
		return -EINVAL;
	spec.addr = &addr->u.sa;
	spec.addr_len = addr->len;
	spec.family = addr->u.sa.sa_family;
	spec.backlog = full.backlog;
	spec.reuse_port = full.reuse_port;
	spec.v6_only = full.v6_only;
	shards = weir__shards_count(full.shards, spec.family);
	if (shards > 1)
		return weir__shards_open(&spec, &full, shards, ret_listener);
	return weir__listener_new(&spec, &full, ret_listener);
}

int weir_listener_open(const char *addr, const struct weir_listener_config *cfg,
		       struct weir_listener **ret_listener)
{
	struct weir_addr parsed;
	int rc = weir_addr_parse(addr, &parsed);

	return rc < 0 ? rc : weir_listener_open_addr(&parsed, cfg, ret_listener);
}

int weir_listener_adopt(int fd, const struct weir_listener_config *cfg,
			struct weir_listener **ret_listener)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_LISTENER, .fd = fd };
	struct weir_listener_config full;
	int rc = read_config(cfg, &full);
	int listening;

	if (rc < 0)
		return rc;
	rc = weir__adoptable(fd, &listening);
	if (rc < 0)
		return rc;
	if (!listening)
		return -EINVAL;
	return weir__listener_new(&spec, &full, ret_listener);
}

int weir_listener_addr(struct weir_listener *listener, struct weir_addr *ret_addr)
{
	return weir__handle_addr(&listener->handle, WEIR_CTL_LOCAL_ADDR, ret_addr);
}

struct weir_handle *weir_listener_handle(struct weir_listener *listener)
{
	return listener ? &listener->handle : NULL;
}

unsigned weir_listener_shards(const struct weir_listener *listener)
{
	return listener->shards_len;
}

int weir_listener_steer_error(const struct weir_listener *listener)
{
	return listener->steer_error;
}

void weir__listener_close_one(struct weir_listener *listener)
{
	if (weir__fetch_or(&listener->gate, GATE_CLOSED, WEIR_ACQ_REL) == 0)
		weir__handle_close(&listener->handle, listener_released);
}

/* The first shard is closed last, because it has the list. */
void weir_listener_close(struct weir_listener *listener)
{
	if (!listener)
		return;
	for (unsigned i = listener->shards_len; i-- > 1;)
		weir__listener_close_one(listener->shards[i]);
	weir__listener_close_one(listener);
}
