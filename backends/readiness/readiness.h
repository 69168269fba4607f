/* SPDX-License-Identifier: MIT */
/*
 * readiness.h: the readiness adaptor: implements operations over a kernel interface that
 * reports only readiness. epoll and kqueue use it. They supply a poller, which registers
 * descriptors edge-triggered and waits for events.
 *
 *	submit ──► system call ──► done: complete, nothing else happened
 *	              │ EAGAIN
 *	              ▼
 *	        register once, queue ◄── known not to be ready: no call
 *	              │ event
 *	              ▼
 *	        poll: a transfer that is alone in its queue goes back to its task, which
 *	        submits it again; otherwise the first op makes its call, and completes or stays
 *
 * A handle's home is the instance that registered its descriptor, at the first EAGAIN.
 * Before that, any instance may become the home; afterwards all events of the handle
 * arrive there, wherever its task runs. The home's lock guards the state of the handle.
 * An operation that completes at once takes no lock.
 */
#ifndef WEIR_BACKENDS_READINESS_READINESS_H
#define WEIR_BACKENDS_READINESS_READINESS_H

#include "weir/backend.h"
#include "backends/lease_pool.h"
#include "backends/readiness/slots.h"
#include "core/guard.h"

struct weir__readiness;

enum weir__ready {
	WEIR__READY_READ = 1u << 0,
	WEIR__READY_WRITE = 1u << 1,
	WEIR__READY_WATCH = 1u << 2,	/* internal: the POLL ops must check the descriptor */
	WEIR__READY_READ_END = 1u << 3,	/* end of stream or error */
	WEIR__READY_WRITE_END = 1u << 4,
	WEIR__READY_PRIORITY = 1u << 5,
};

/* An event. The key is the one given to add, or WEIR__WAKE_KEY for a wake. */
struct weir__event {
	uint64_t key;
	uint32_t ready;			/* enum weir__ready */
};
#define WEIR__WAKE_KEY 0ull

struct weir__poller_ops {
	/*
	 * Register both directions and the end, edge-triggered, and priority data if requested.
	 * Must report what is already ready. change does the same again, to add priority data.
	 */
	int (*add)(struct weir__readiness *r, int fd, uint64_t key, bool priority);
	int (*change)(struct weir__readiness *r, int fd, uint64_t key, bool priority);
	/* Called only for descriptors that may stay open elsewhere, unless del_always is set. */
	void (*del)(struct weir__readiness *r, int fd);
	/* Returns up to max events, 0 after timeout_ns, or -errno; -1 waits forever. [any] */
	int (*wait)(struct weir__readiness *r, struct weir__event *events, int max,
		    int64_t timeout_ns);
	/* Make the current wait return, or else the next one. [any], async-signal-safe */
	void (*wake)(struct weir__readiness *r);
	bool del_always;		/* closing does not unregister: call del first */
	bool add_replaces;		/* adding twice replaces, instead of -EEXIST */
	/*
	 * An end of stream or urgent data may follow data without an event of its own. So a short
	 * read does not prove that a socket is empty; only a read that finds nothing does.
	 */
	bool ends_hide;
};

struct weir__readiness {
	struct weir_backend base;
	const struct weir__poller_ops *poller;
	struct weir__event *events;	/* for the owner's waits; idle_events long */
	unsigned busy_events, idle_events;
	uint32_t polls;			/* by the owner */
	bool trimming;			/* the last trim was not finished */
	struct weir__lease_pool pool;

	struct weir__guard guard WEIR_ALIGNED(64);	/* "the lock" */
	uint32_t waiters;		/* threads that wait for the lock; atomic */
	bool as_owner;			/* how the lock was taken; under the lock */
	struct weir__slots slots;	/* under the lock */
};

/* Called by a backend's init and fini. */
int weir__readiness_init(struct weir__readiness *r, const struct weir_backend_config *cfg,
			 const struct weir__poller_ops *poller);
void weir__readiness_fini(struct weir__readiness *r);

/* Called by a probe that is given options: -EINVAL, because these backends have none. */
int weir__readiness_no_options(const char *options, char *reason, size_t len);

/* Entries for a backend's table. */
#define WEIR__READINESS_CAPS                                                                       \
	(WEIR_CAP_STREAM | WEIR_CAP_FD | WEIR_CAP_LEASE | WEIR_CAP_POLL_ANY | WEIR_CAP_UNIX)
int weir__readiness_attach(struct weir_backend *be, struct weir_handle *h,
			   const struct weir_handle_spec *spec);
void weir__readiness_detach(struct weir_backend *be, struct weir_handle *h);
int weir__readiness_control(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
			    void *value, size_t len);
void weir__readiness_submit(struct weir_backend *be, struct weir_op *op);
int weir__readiness_poll(struct weir_backend *be, uint64_t deadline, bool busy);
void weir__readiness_cancel(struct weir_backend *be, struct weir_op *op);
void weir__readiness_wake(struct weir_backend *be);
void weir__readiness_lease_return(struct weir_backend *be, struct weir_lease *lease);

#endif
