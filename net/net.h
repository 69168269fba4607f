/* SPDX-License-Identifier: MIT */
/*
 * net.h (private): what the files of net/ share. The functions are called on a worker
 * unless their comment says otherwise.
 */
#ifndef WEIR_NET_NET_H
#define WEIR_NET_NET_H

#include "weir/backend.h"
#include "weir/net.h"

struct weir__worker;

struct weir_tcp {
	struct weir_handle handle;
	uint32_t halves;	/* 0: not split; otherwise the open ones, enum weir_half; atomic */
	uint16_t given_to;	/* 1 + the worker that it was given to; 0: none */
};

/* A listener, or one of its shards. */
struct weir_listener {
	struct weir_handle handle;
	uint32_t refs;			/* references: the owner, and each running accept; atomic */
	uint32_t gate;			/* accepts that are starting, and a closed bit; atomic */
	uint16_t worker;		/* the worker that opened it; its backend accepts for it */
	uint16_t shards_len;		/* 1: only itself */
	uint8_t shards_by;		/* enum weir_shards */
	int steer_error;
	struct weir_listener **shards;	/* in the first of several: all of them; otherwise NULL */
};

struct weir_fd {
	struct weir_handle handle;
};

/* weir_tcp_handle, for the calls of the library itself. */
static inline struct weir_handle *weir__tcp_handle(struct weir_tcp *conn)
{
	return conn ? &conn->handle : NULL;
}

/* The longest host name of the DNS, without the final NUL. */
#define WEIR__HOST_MAX 253

/* The most bytes that one operation moves, because the result is an int. */
#define WEIR__IO_MAX ((size_t)1 << 30)

static inline size_t weir__io_clamp(size_t len)
{
	return len < WEIR__IO_MAX ? len : WEIR__IO_MAX;
}

/* Await with a deadline; WEIR_FOREVER works without a time driver. */
static inline int weir__net_await(struct weir_future *future, uint64_t deadline)
{
	if (WEIR_LIKELY(deadline == WEIR_FOREVER))
		return weir_await(future);
	return weir_await_until(future, deadline);
}

/*
 * Split "host:port" at its only colon. ret_host has room for WEIR__HOST_MAX + 1 bytes. Returns 0;
 * -EINVAL for an invalid port, an empty host or an invalid character; -ENAMETOOLONG. [any]
 */
int weir__addr_split(const char *text, char *ret_host, uint16_t *ret_port);

/* Whether the length fits the family, so that it can be bound or connected to. [any] */
bool weir__addr_usable(const struct weir_addr *addr);

/* WEIR_CTL_LOCAL_ADDR or WEIR_CTL_PEER_ADDR, with the length filled in. */
int weir__handle_addr(struct weir_handle *handle, enum weir_control what,
		      struct weir_addr *ret_addr);

/*
 * Check a descriptor that shall be adopted, and find out whether it is listening. Returns 0;
 * -EBADF; -ENOTSOCK; -EPROTOTYPE for a socket that is not a stream. [any]
 */
int weir__adoptable(int fd, int *ret_listening);

/* Allocate a stream that is not attached; NULL if there is no memory. [any] */
struct weir_tcp *weir__tcp_alloc(void);

/* ---- shard.c ---- */

/*
 * Make a listener with one socket on the calling worker. Of cfg, only the options that streams
 * inherit are used.
 */
int weir__listener_new(const struct weir_handle_spec *spec, const struct weir_listener_config *cfg,
		       struct weir_listener **ret_listener);
/*
 * Take or drop a reference. It keeps the memory of the listener and its shards after a close. [any]
 */
void weir__listener_ref(struct weir_listener *listener);
void weir__listener_unref(struct weir_listener *listener);
/* Close this socket, and no other shard. */
void weir__listener_close_one(struct weir_listener *listener);
/*
 * Code that starts an operation on the handle runs between enter and leave. enter returns false,
 * and leave must not be called, once the listener is being closed.
 */
bool weir__listener_enter(struct weir_listener *listener);
void weir__listener_leave(struct weir_listener *listener);
bool weir__listener_is_closed(const struct weir_listener *listener);

/* ---- shards.c ---- */

/* How many sockets a listener of this family has in the calling worker's runtime. */
unsigned weir__shards_count(enum weir_shards shards, int family);
/* Open count (more than one) sockets, or none; *ret_listener is the first one. On a fiber. */
int weir__shards_open(const struct weir_handle_spec *spec, const struct weir_listener_config *cfg,
		      unsigned count, struct weir_listener **ret_listener);
/* The shard from which a worker accepts. The caller holds the listener. [any] */
struct weir_listener *weir__shard_of(struct weir_listener *listener, const struct weir__worker *w);

#endif
