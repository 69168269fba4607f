/* SPDX-License-Identifier: MIT */
/*
 * net.h (private): what the files of net/ share. Everything here is called on a
 * worker unless it says otherwise.
 */
#ifndef WEIR_NET_NET_H
#define WEIR_NET_NET_H

#include "weir/backend.h"
#include "weir/net.h"

struct weir__worker;

struct weir_tcp {
	struct weir_handle handle;
	uint32_t halves;	/* 0: whole; split: enum weir_half of the open ones; atomic */
	uint16_t given_to;	/* 1 + the worker whose connections it is one of; 0: no one's */
};

/* A listener, or one of its shards. */
struct weir_listener {
	struct weir_handle handle;
	uint32_t holds;			/* the owner's and one per running accept; atomic */
	uint32_t gate;			/* accepts that are starting, and whether it is closed; atomic */
	uint16_t worker;		/* that opened it, and takes its connections from the kernel */
	uint16_t shards_len;		/* 1: itself */
	uint8_t shards_by;		/* enum weir_shards */
	int steer_error;
	struct weir_listener **shards;	/* of the first of several: all of them; else NULL */
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

/* No single operation moves more; what comes back is an int. */
#define WEIR__IO_MAX ((size_t)1 << 30)

static inline size_t weir__io_clamp(size_t len)
{
	return len < WEIR__IO_MAX ? len : WEIR__IO_MAX;
}

/* Await with a deadline that may be WEIR_FOREVER, which needs no time driver. */
static inline int weir__net_await(struct weir_future *future, uint64_t deadline)
{
	if (WEIR_LIKELY(deadline == WEIR_FOREVER))
		return weir_await(future);
	return weir_await_until(future, deadline);
}

/*
 * Split "host:port" at its only colon. host has room for WEIR__HOST_MAX + 1 bytes. 0; -EINVAL
 * for a bad port, an empty host or a character that no name has; -ENAMETOOLONG. [any]
 */
int weir__addr_split(const char *text, char *ret_host, uint16_t *ret_port);

/* Whether the address fits its family and can be bound or connected to. [any] */
bool weir__addr_usable(const struct weir_addr *addr);

/* WEIR_CTL_LOCAL_ADDR or WEIR_CTL_PEER_ADDR, with the length filled in. */
int weir__handle_addr(struct weir_handle *handle, enum weir_control what,
		      struct weir_addr *ret_addr);

/*
 * Whether a descriptor can be adopted, and as what: the backend makes it non-blocking. 0; -EBADF;
 * -ENOTSOCK; -EPROTOTYPE for a socket that is no stream. [any]
 */
int weir__adoptable(int fd, int *ret_listening);

/* A stream that is not attached to anything; NULL without memory. [any] */
struct weir_tcp *weir__tcp_alloc(void);

/* ---- listener.c ---- */

/* A listener with one socket, attached to the calling worker; of cfg what is set on streams. */
int weir__listener_new(const struct weir_handle_spec *spec, const struct weir_listener_config *cfg,
		       struct weir_listener **ret_listener);
/* Keep its memory, and that of its shards, though it may be closed; let go of it. [any] */
void weir__listener_hold(struct weir_listener *listener);
void weir__listener_drop(struct weir_listener *listener);
/* Close one socket; no other shard. */
void weir__listener_close_one(struct weir_listener *listener);
/*
 * The gate, around what starts an operation on the handle: false, and nobody gets in any more, once
 * the listener is being closed. Who got in leaves.
 */
bool weir__listener_enter(struct weir_listener *listener);
void weir__listener_leave(struct weir_listener *listener);
bool weir__listener_is_closed(const struct weir_listener *listener);

/* ---- shards.c ---- */

/* How many sockets a listener on such an address has in the calling worker's runtime. */
unsigned weir__shards_wanted(enum weir_shards shards, int family);
/* Open so many (more than one), all or none; *ret_listener is the first. On a fiber. */
int weir__shards_open(const struct weir_handle_spec *spec, const struct weir_listener_config *cfg,
		      unsigned count, struct weir_listener **ret_listener);
/* The shard from which a worker accepts; of a listener that is held. [any] */
struct weir_listener *weir__shard_of(struct weir_listener *listener, const struct weir__worker *w);
/* The list of the shards goes, and with it their memory. */
void weir__shards_free(struct weir_listener *first);

/* ---- serve.c ---- */

/* A connection that a worker was given is being closed. */
void weir__given_closed(struct weir_tcp *conn);

#endif
