/* SPDX-License-Identifier: MIT */
/*
 * backend.h: for authors of backends.
 *
 * A backend performs operations (op.h): receive, send, accept. It is not asked for
 * readiness. Its kind is a static const struct weir_backend_ops, a table of functions.
 * Each worker has one instance of it, in zeroed memory that the core allocated on that
 * worker's memory node. The first member of an instance is a struct weir_backend.
 *
 *	probe ──► init ──► attach handle ──► submit op … poll … complete ──► detach ──► fini
 *
 *	          the core                             the backend
 *	  poll of an op's future ──── submit ────►  does it, or starts it
 *	  the worker has no task ──── poll ──────►  waits for completions
 *	  the task is woken      ◄─── weir_backend_complete
 *
 * examples/custom_backend.c is a small one, whole. The sim backend of tests/sim
 * has listeners, errors and a clock, too. A runtime takes a backend from outside the
 * library by weir_rt_config.backend_ops.
 *
 * The contract:
 *  - submit takes the op in any case. The backend calls weir_backend_complete once for
 *    it: before submit returns, or later from poll, or from a later submit, cancel or
 *    detach on the same instance.
 *  - cancel is a request. The op still completes: with its own result if that came
 *    first, otherwise with -ECANCELED.
 *  - detach cancels what is in flight on the handle; each op completes, with its own
 *    result or with -ECANCELED. It releases what attach or an accept made, and calls
 *    weir_backend_detached once nothing refers to the handle any more: before it
 *    returns, or later from poll. It never fails.
 *  - poll delivers completions. It waits only if there are none, up to the deadline,
 *    and returns early after wake. With WEIR_CAP_POLL_ANY another worker may call
 *    poll with deadline 0 on an instance whose owner is stuck in a task.
 *  - wake may be called from any thread and from a signal handler.
 *  - attach and submit are called on the worker that owns the instance. So are cancel
 *    and detach (the core sends them there), except with WEIR_CAP_POLL_ANY: such an
 *    instance has a lock of its own, and they come from any worker.
 *  - A task that moves to another worker takes its handles along. So op->handle may have
 *    been attached by another instance of the same kind. A backend that cannot serve
 *    that declares WEIR_CAP_HOMED, and says in handle.homed which operations on the
 *    handle must be submitted at its home. The core sends those to that worker, and with
 *    WEIR_HOMED_WRITES the settings of control, too, in the order in which they were made.
 *  - control's questions come from any worker, at any time from attach to detach. So where
 *    the home alone may use what they ask for, as the addresses of a user-space stream, the
 *    backend copies it before the connect or the accept completes.
 *  - One thread at a time uses an instance, except for wake, control and lease_return,
 *    and with WEIR_CAP_POLL_ANY. Between two polls that may become another
 *    one: on the current-thread scheduler, where cfg.moves is set, and when a task blocks
 *    in place, unless WEIR_CAP_BOUND is set.
 *  - A SEND_LEASE comes with the lease *u.lease.lease, which any instance may have lent. All
 *    backends of streams have the op. It completes when all its bytes are queued;
 *    u.lease.done counts them. An instance may keep a buffer that it lent itself for longer:
 *    it copies the struct, zeroes it before it completes the op, and calls weir_lease_return
 *    later, at the latest in fini. It copies other buffers. The core returns what is left.
 *  - With WEIR_CAP_POLLED poll never waits, and each instance has a companion: an instance
 *    of a backend that waits (cfg.companion), which also serves what caps leaves out. The
 *    core polls both, sleeps in the companion until next_ns at the latest, and wakes that
 *    one. What must wake the worker earlier calls weir_backend_wake, or is a descriptor
 *    that the backend watches in the companion.
 *
 * A backend leaves out of caps what it cannot do. The core then answers -EOPNOTSUPP. probe
 * and control may be NULL, and so may lease_return without WEIR_CAP_LEASE.
 *
 * Do not: complete an op twice; touch an op or its buffers after its completion; wait
 * in any function but poll; keep a pointer to a handle after weir_backend_detached.
 */
#ifndef WEIR_BACKEND_H
#define WEIR_BACKEND_H

#include <sys/socket.h>

#include "weir/base.h"
#include "weir/op.h"

/* Changes when a struct that backends use does. A backend states it in its ops. */
#define WEIR_BACKEND_ABI 1u

struct weir_rt;
struct weir_backend;

/* What a backend can do. An instance may clear bits in init: the rest is in its caps. */
enum weir_cap {
	WEIR_CAP_STREAM = 1u << 0,	/* TCP: listen, connect, accept, send, receive */
	WEIR_CAP_FD = 1u << 1,		/* foreign descriptors: POLL */
	WEIR_CAP_LEASE = 1u << 2,	/* RECV_LEASE */
	WEIR_CAP_POLL_ANY = 1u << 3,	/* has a lock: any worker may cancel, detach and poll */
	WEIR_CAP_HOMED = 1u << 4,	/* handles may stay on one worker: handle.homed */
	WEIR_CAP_UNIX = 1u << 5,	/* Unix-domain streams */
	WEIR_CAP_OWN_CLOCK = 1u << 6,	/* poll moves the configured test clock itself */
	WEIR_CAP_FILE = 1u << 8,	/* OPEN to MKDIR */
	WEIR_CAP_BOUND = 1u << 7,	/* the first thread that polls keeps it, unless cfg.moves */
	WEIR_CAP_POLLED = 1u << 9,	/* poll never waits; the worker sleeps in a companion */
};

/* What a handle is. A backend may treat listeners and streams differently. */
enum weir_handle_kind {
	WEIR_HANDLE_NONE = 0,
	WEIR_HANDLE_LISTENER,
	WEIR_HANDLE_STREAM,
	WEIR_HANDLE_FOREIGN,		/* a descriptor that weir does not close */
};

/*
 * Operations that must be submitted at the handle's home. A backend with WEIR_CAP_HOMED sets
 * these bits while they are true; it may change them between operations.
 */
enum weir_homed {
	WEIR_HOMED_READS = 1u << 0,	/* RECV*, ACCEPT, POLL */
	WEIR_HOMED_WRITES = 1u << 1,	/* SEND*, CONNECT */
};

/*
 * An I/O object: one socket, listener or foreign descriptor. It is embedded in the objects of
 * net/, which allocate it and free it. A connection of a user-space network stack has no
 * descriptor, so whoever needs one must ask the backend.
 *
 * attach and a successful accept fill in backend, fd and kind. The backend keeps its own data
 * in state; it begins as zero. A stream is attached when its first connect is started, because
 * the peer decides which backend of the worker serves it.
 *
 *	zeroed ──► attach, or an accept ──► ops … ──► detach ──► weir_backend_detached: freed
 */
struct weir_handle {
	struct weir_backend *backend;	/* its home: at first, who attached it; atomic */
	int fd;				/* -1 where the backend has none */
	uint8_t kind;			/* enum weir_handle_kind */
	uint8_t flags;			/* the core's: how far a close has come */
	uint8_t homed;			/* the backend's: enum weir_homed; atomic */
	uint8_t ends;			/* the backend's: how the stream has ended so far, and how a
					 * close would end it; atomic */
	uintptr_t mail;			/* the core's: requests for the home; atomic */
	uint64_t state[5];		/* the backend's own data */
	/* The core's. */
	void (*released)(struct weir_handle *h); /* frees the object after detach */
	struct weir__link link;		/* its place on the way to another worker */
	uint64_t settings;		/* those on their way to the home; atomic */
};

/*
 * What attach makes: a new socket, or a handle for a descriptor that exists. A listener is
 * bound and listens when attach returns; a stream is not connected yet, unless it is adopted.
 */
struct weir_handle_spec {
	enum weir_handle_kind kind;
	const struct sockaddr *addr;	/* the address to bind to; STREAM: or NULL */
	socklen_t addr_len;
	int family;			/* STREAM: of the peer that it will connect to */
	const struct sockaddr *peer;	/* STREAM: the peer itself; adopted: NULL */
	socklen_t peer_len;
	int backlog;			/* LISTENER: how many connections may wait, 1 or more */
	bool reuse_port, v6_only;	/* LISTENER: as in struct weir_listener_config */
	int fd;				/* FOREIGN: the descriptor; others: one to adopt, or -1 */
};

/*
 * What control does to a handle: questions and settings that do not wait. "in" and "out" say
 * which way the value goes, and of which type it is.
 */
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
	WEIR_CTL_SHARE_PORT,		/* in: int 1; from here on this LISTENER shares its port
					 * with those that are attached with .reuse_port */
	WEIR_CTL_STEER,			/* in: struct weir_steering; which of the LISTENERs on the
					 * port gets a connection. They are counted in the order in
					 * which they were attached */
};

/* For weir_steering.shard: no listener has this CPU; its connections are distributed by weight. */
#define WEIR_STEER_NOBODY UINT16_MAX

/*
 * How connections are distributed over the listeners of one port. A connection whose first packet
 * was received by CPU c goes to listener shard[c]. All others are distributed at random, in
 * proportion to the weights.
 */
struct weir_steering {
	unsigned cpus;			/* how many entries shard has, by P# from 0 */
	const uint16_t *shard;		/* WEIR_STEER_NOBODY: by weight */
	unsigned shards;		/* how many listeners there are, 1 or more */
	const uint16_t *weight;		/* of each listener, 1 or more */
};

/*
 * What init is given. It is valid during the call only; options and clock live as long as the
 * runtime. Numbers are those of weir_rt_config with the defaults filled in, so none of them is 0.
 */
struct weir_backend_config {
	struct weir_rt *rt;
	unsigned worker;		/* the index of this instance's worker */
	unsigned workers;		/* how many there are */
	int node;			/* the kernel's number of the memory node where the worker's
					 * memory lies; -1: it is not placed (there is one node, or
					 * the thread is not bound) */
	unsigned busy_events, idle_events; /* how many events a busy, and an idle, poll takes */
	size_t lease_bytes;		/* of a leased buffer */
	const void *custom;		/* weir_rt_config.backend_config */
	struct weir_clock *clock;	/* the test clock, or NULL */
	const char *options;		/* what follows the name and a colon, or NULL; probe has
					 * accepted it */
	bool moves;			/* another thread may become this worker between polls */
	struct weir_backend *companion;	/* POLLED: where the worker sleeps; otherwise NULL */
};

/*
 * A kind of backend: static const, one for each. "On the worker" below means on the thread that
 * is the instance's worker. No function but poll may wait.
 */
struct weir_backend_ops {
	const char *name;		/* what weir_rt_backend returns */
	uint32_t abi;			/* WEIR_BACKEND_ABI */
	uint32_t caps;			/* enum weir_cap */
	size_t instance_bytes;		/* sizeof the struct that embeds struct weir_backend */

	/* ---- cold ---- */

	/*
	 * Say whether this kind can run here, with these options (NULL: none). Returns 0, or a
	 * negative errno with one line of reason. NULL: it always can, and has no options. [any]
	 */
	int (*probe)(const char *options, char *reason, size_t len);

	/*
	 * Set an instance up. struct weir_backend is filled in, the rest is zero. After a failure
	 * fini is not called. [setup]
	 */
	int (*init)(struct weir_backend *be, const struct weir_backend_config *cfg);

	/* Undo init. Nothing is in flight. [setup] */
	void (*fini)(struct weir_backend *be);

	/*
	 * Make what spec says, and fill the zeroed handle in. 0 or a negative errno. On the
	 * worker. -EADDRNOTAVAIL: the address to listen on is none of this backend's, or the peer
	 * is not reached through it; beside a companion, that one is asked then.
	 */
	int (*attach)(struct weir_backend *be, struct weir_handle *h,
		      const struct weir_handle_spec *spec);

	/* Let a handle go: see the contract. On the worker; with WEIR_CAP_POLL_ANY on any. */
	void (*detach)(struct weir_backend *be, struct weir_handle *h);

	/*
	 * Get or set a property; len is the size of value. 0 or a negative errno. be is the
	 * handle's home, but the call may come from any worker, while the instance does something
	 * else: see the contract. SHUTDOWN, NODELAY, LINGER and KEEPALIVE of a handle with
	 * WEIR_HOMED_WRITES come on the worker.
	 */
	int (*control)(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
		       void *value, size_t len);

	/* ---- hot ---- */

	/*
	 * Take an op: see the contract. The core has checked each transfer's buffer and length.
	 * On the worker.
	 */
	void (*submit)(struct weir_backend *be, struct weir_op *op);

	/*
	 * Deliver completions; wait up to the deadline if there are none. busy: the worker has
	 * tasks to run, so take few events. Returns how many completions were delivered, or a
	 * negative errno if it cannot wait: the core then calls it less and less often, and reports
	 * that. The deadline is on the runtime's clock (weir_backend_now); 0 never waits.
	 */
	int (*poll)(struct weir_backend *be, uint64_t deadline, bool busy);

	/* Ask for an op's end: see the contract. On the worker; with WEIR_CAP_POLL_ANY on any. */
	void (*cancel)(struct weir_backend *be, struct weir_op *op);

	/*
	 * Make the poll that waits return; if none waits, the next one must not wait. Called from
	 * any thread and from signal handlers.
	 */
	void (*wake)(struct weir_backend *be);

	/* Take a leased buffer back. be lent it. [any] */
	void (*lease_return)(struct weir_backend *be, struct weir_lease *lease);
};

/*
 * One instance, the first member of the backend's own struct: a cast leads from one to the other.
 * The core fills it in before init.
 */
struct weir_backend {
	const struct weir_backend_ops *ops;
	struct weir__worker *worker;	/* the core's */
	uint32_t caps;			/* ops->caps without what init found to be missing */
	uint32_t index;			/* the worker's index */
	uint64_t next_ns;		/* POLLED: when poll is needed again at the latest; poll
					 * sets it, and it begins as WEIR_FOREVER */
};

WEIR_BEGIN_DECLS

/**
 * Deliver an op's result. The op belongs to the caller again, and its task is woken. The op's
 * memory may be gone when this returns.
 *
 * Called within submit, it makes the poll of the op's future return the result at once.
 *
 * Thread:   the instance's worker, or with WEIR_CAP_POLL_ANY the worker that calls poll, cancel or
 *           detach
 * Waits:    never
 * Owns:     op and its buffers return to the caller
 * Since:    0.1
 */
WEIR_API void weir_backend_complete(struct weir_op *op, int res);

/**
 * Return an op to its task, which submits it again when it runs.
 *
 * Readiness backends use it when an event has come: the task that wants the bytes makes the
 * transfer, on its own worker and into its own cache, instead of the worker that polls. The op
 * comes back by submit, or by a cancel, which must complete it at once; .next is as the backend
 * left it, while a first submit has NULL there. So the backend must keep the handle until then. A
 * cancel may already be on its way when the op is returned, and may come from any worker.
 * The op's memory may be gone when this returns.
 *
 * Only for backends with WEIR_CAP_POLL_ANY.
 *
 * Thread:   the worker that calls poll; not within submit
 * Waits:    never
 * Owns:     op and its buffers belong to the caller until it comes back
 * Since:    0.1
 */
WEIR_API void weir_backend_retry(struct weir_op *op);

/**
 * Say that nothing refers to a detached handle any more. Its memory may be gone when this returns.
 *
 * Thread:   [any]; once for each detach
 * Waits:    never
 * Owns:     the handle returns to whoever closed it, who frees it
 * Since:    0.1
 */
WEIR_API void weir_backend_detached(struct weir_handle *h);

/**
 * Make the instance's worker poll it soon, because something has arrived that the worker cannot
 * notice by itself, such as a frame that another instance has received.
 *
 * Thread:   [any]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_backend_wake(struct weir_backend *be);

/**
 * The time of an instance's runtime, for deadlines: a test clock's where there is one.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  nanoseconds
 * Since:    0.1
 */
WEIR_API uint64_t weir_backend_now(const struct weir_backend *be);

WEIR_END_DECLS

#endif
