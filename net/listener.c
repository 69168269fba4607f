/* SPDX-License-Identifier: MIT */
/*
 * listener.c: opening and closing listeners. shard.c is one of their sockets, shards.c
 * several on one port, and accept.c accepting.
 */
#include <errno.h>

#include "core/sized.h"
#include "net/net.h"

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

/* The first shard is closed last, because it has the list. */
void weir_listener_close(struct weir_listener *listener)
{
	if (!listener)
		return;
	for (unsigned i = listener->shards_len; i-- > 1;)
		weir__listener_close_one(listener->shards[i]);
	weir__listener_close_one(listener);
}
