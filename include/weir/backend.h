/* SPDX-License-Identifier: MIT */
/*
 * backend.h: for those who write a backend.
 *
 * A backend's verbs are operations (op.h), not readiness. Its kind is a
 * static const struct weir_backend_ops; each worker has one instance of it, in
 * memory that the core allocated on that worker's node, whose first member is a
 * struct weir_backend.
 *
 *	probe ──► init ──► attach handle ──► submit op … poll … complete ──► detach ──► fini
 *
 * The contract:
 *  - submit takes the op whatever happens: it either calls
 *    weir_backend_complete before it returns, or later, from poll or from a
 *    later submit, cancel or detach on the same instance. Never twice.
 *  - cancel is a request. The op still completes, with its own result if that
 *    came first, else -ECANCELED.
 *  - detach cancels what is in flight on the handle (each op completes, with its
 *    result or -ECANCELED), releases what attach or an accept made, and calls
 *    weir_backend_detached when nothing refers to the handle any more: before
 *    it returns, or later from poll. It never fails.
 *  - poll delivers completions; it waits only when there is none, up to the
 *    deadline, and returns early after wake. With WEIR_CAP_POLL_ANY another
 *    worker may call poll(deadline 0) on an instance whose owner is stuck.
 *  - wake may be called from any thread and from a signal handler.
 *  - attach and submit are called on the thread of the instance's worker. cancel
 *    and detach too (the core sends them there), except that with
 *    WEIR_CAP_POLL_ANY the instance locks itself and they come from any worker.
 *  - A handle is used from whatever worker its task runs on, so op->handle may
 *    have been attached by another instance of the same kind; unless the backend
 *    declares WEIR_CAP_HOMED and says in handle.homed which operations on the
 *    handle are to be made at its home: the core sends those to that worker.
 *  - An instance is used by one thread at a time. Between polls that may become
 *    another one (the current-thread scheduler, when cfg.moves says so; a block
 *    in place, unless WEIR_CAP_BOUND).
 *
 * What a backend lacks it leaves out of caps; the core answers -EOPNOTSUPP. probe and
 * control may be NULL, and lease_return without WEIR_CAP_LEASE.
 */
#ifndef WEIR_BACKEND_H
#define WEIR_BACKEND_H

#include <sys/socket.h>

#include "weir/base.h"
#include "weir/op.h"

#define WEIR_BACKEND_ABI 1u

struct weir_rt;
struct weir_backend;

enum weir_cap {
	WEIR_CAP_STREAM = 1u << 0,	/* TCP: listen, connect, accept, send, recv */
	WEIR_CAP_FD = 1u << 1,		/* foreign descriptors: POLL */
	WEIR_CAP_LEASE = 1u << 2,	/* RECV_LEASE */
	WEIR_CAP_POLL_ANY = 1u << 3,	/* poll by a sibling of a stuck worker */
	WEIR_CAP_HOMED = 1u << 4,	/* handles may stay on one worker: handle.homed */
	WEIR_CAP_UNIX = 1u << 5,	/* Unix-domain streams */
	WEIR_CAP_OWN_CLOCK = 1u << 6,	/* moves the configured test clock itself, in poll */
	WEIR_CAP_FILE = 1u << 8,	/* OPEN to MKDIR */
	WEIR_CAP_BOUND = 1u << 7,	/* belongs to the thread that polls it first, unless cfg.moves */
};

enum weir_handle_kind {
	WEIR_HANDLE_NONE = 0,
	WEIR_HANDLE_LISTENER,
	WEIR_HANDLE_STREAM,
	WEIR_HANDLE_FOREIGN,		/* a descriptor that is not weir's to close */
};

/* Operations on a handle that are made at its home only. */
enum weir_homed {
	WEIR_HOMED_READS = 1u << 0,	/* RECV*, ACCEPT, POLL */
	WEIR_HOMED_WRITES = 1u << 1,	/* SEND*, CONNECT */
};

/*
 * An I/O object. Embedded in the objects of net/; a user-space connection has
 * no fd, so everything that needs one asks the backend.
 */
struct weir_handle {
	struct weir_backend *backend;	/* its home: at first the instance that attached it; atomic */
	int fd;				/* -1 where the backend has none */
	uint8_t kind;			/* enum weir_handle_kind */
	uint8_t flags;			/* the core's */
	uint8_t homed;			/* enum weir_homed, the backend's; atomic */
	uint8_t ends;			/* how a stream has ended, as far as is known, and how its close
					 * would go: the backend's; atomic */
	uintptr_t mail;			/* what its home is asked for, the core's: core/mailbox.h; atomic */
	uint64_t state[5];		/* the backend's own, zeroed before attach */
	/* The core's. */
	void (*released)(struct weir_handle *h); /* frees it after detach */
	struct weir__link link;		/* on its way to another worker */
};

/* What attach is to make. */
struct weir_handle_spec {
	enum weir_handle_kind kind;
	const struct sockaddr *addr;	/* LISTENER: bind to; STREAM: bind to, or NULL */
	socklen_t addr_len;
	int family;			/* STREAM: of the peer to be */
	int backlog;
	bool reuse_port, v6_only;
	int fd;				/* FOREIGN: the descriptor; STREAM, LISTENER: adopt it, or -1 */
};

enum weir_control {
	WEIR_CTL_LOCAL_ADDR = 0,	/* out: struct sockaddr_storage */
	WEIR_CTL_PEER_ADDR,		/* out: struct sockaddr_storage */
	WEIR_CTL_SHUTDOWN,		/* in: int, SHUT_RD, SHUT_WR, SHUT_RDWR */
	WEIR_CTL_NODELAY,		/* in: int */
	WEIR_CTL_LINGER,		/* in: int, seconds; -1 off; 0: close resets */
	WEIR_CTL_KEEPALIVE,		/* in: struct weir_keepalive (net.h) */
	WEIR_CTL_SEND_BUFFER,		/* in: int, bytes */
	WEIR_CTL_RECV_BUFFER,		/* in: int, bytes */
	WEIR_CTL_ERROR,			/* out: int, the pending socket error (errno) */
	WEIR_CTL_SHARE_PORT,		/* a LISTENER from here on shares its port with such as are
					 * attached with .reuse_port; in: int 1 */
	WEIR_CTL_STEER,			/* which of the LISTENERs on its port gets a connection, counted in
					 * the order in which they were attached; in: struct
					 * weir_steering */
};

#define WEIR_STEER_NOBODY UINT16_MAX

/* Shard shard[c] gets what CPU c takes the first packet of in; the rest is drawn by lot. */
struct weir_steering {
	unsigned cpus;			/* by P#, from 0; the others are nobody's */
	const uint16_t *shard;		/* may be WEIR_STEER_NOBODY */
	unsigned shards;		/* 1 or more */
	const uint16_t *weight;		/* of each in the lot, 1 or more */
};

/* What init is given. */
struct weir_backend_config {
	struct weir_rt *rt;
	unsigned worker;		/* index */
	unsigned workers;		/* how many there are */
	int node;			/* the worker's memory is placed there: the kernel's number; -1: it
					 * is not placed (one node, or a thread that is not bound) */
	/* weir_rt_config's, with the defaults filled in: never 0. */
	unsigned busy_events, idle_events;
	size_t lease_bytes;
	const void *custom;		/* weir_rt_config.backend_config */
	struct weir_clock *clock;	/* the test clock, or NULL */
	const char *options;		/* what follows the name and a colon, or NULL; probed before */
	bool moves;			/* another thread may become this worker between polls */
};

struct weir_backend_ops {
	const char *name;
	uint32_t abi;			/* WEIR_BACKEND_ABI */
	uint32_t caps;
	size_t instance_bytes;		/* sizeof the struct that embeds struct weir_backend */

	/* Cold. */
	/* 0, or errno and one line why not: options (NULL: none) are checked too. NULL: it always
	 * can, and has no options. [any] */
	int (*probe)(const char *options, char *reason, size_t len);
	int (*init)(struct weir_backend *be, const struct weir_backend_config *cfg);
	void (*fini)(struct weir_backend *be);	/* [setup]; nothing is in flight */
	int (*attach)(struct weir_backend *be, struct weir_handle *h,
		      const struct weir_handle_spec *spec);
	void (*detach)(struct weir_backend *be, struct weir_handle *h);
	int (*control)(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
		       void *value, size_t len);

	/* Hot. */
	void (*submit)(struct weir_backend *be, struct weir_op *op);
	/* The completions delivered, or errno. */
	int (*poll)(struct weir_backend *be, uint64_t deadline, bool busy);
	void (*cancel)(struct weir_backend *be, struct weir_op *op);
	void (*wake)(struct weir_backend *be);
	void (*lease_return)(struct weir_backend *be, struct weir_lease *lease);	/* [any] */
};

/* One per worker; first member of the backend's own struct. */
struct weir_backend {
	const struct weir_backend_ops *ops;
	struct weir__worker *worker;	/* the core's */
	uint32_t caps;			/* ops->caps less what is not available here */
	uint32_t index;			/* the worker's index */
};

WEIR_BEGIN_DECLS

/**
 * Deliver an op's result: the op is the caller's again, and its task is woken.
 * The op may be gone when this returns.
 *
 * Thread:   the instance's worker, or the sibling in poll
 * Since:    0.1
 */
WEIR_API void weir_backend_complete(struct weir_op *op, int res);

/**
 * Give an op back for its task to submit again, as readiness backends do when an event has
 * come: the transfer is then made by the task that wants the bytes, on its worker and into its
 * cache, not by whoever polls. It comes back by submit, or by a cancel, which must complete it
 * at once; .next is as the backend left it, where a first submit has NULL. So the backend keeps
 * the handle until then. The cancel may have crossed the giving back, and come from any worker:
 * only for backends with WEIR_CAP_POLL_ANY. The op may be gone when this returns.
 *
 * Thread:   the instance's worker, or the sibling in poll; not from submit
 * Since:    0.1
 */
WEIR_API void weir_backend_retry(struct weir_op *op);

/**
 * Say that a detached handle is no longer referred to. Its memory is gone when this returns.
 *
 * Thread:   [any]; once for each detach
 * Since:    0.1
 */
WEIR_API void weir_backend_detached(struct weir_handle *h);

/** The runtime's time, a test clock's where there is one. Thread: [any]. Since: 0.1 */
WEIR_API uint64_t weir_backend_now(const struct weir_backend *be);

WEIR_END_DECLS

#endif
