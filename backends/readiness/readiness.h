/* SPDX-License-Identifier: MIT */
/*
 * readiness.h: operations over a kernel that tells only readiness. epoll uses it,
 * and kqueue can: what they supply is a poller, which registers descriptors
 * edge-triggered and waits.
 *
 *	submit ──► system call ──► done: complete, nothing else happened
 *	              │ EAGAIN
 *	              ▼
 *	        register once, queue ◄── known not to be ready: no call at all
 *	              │ event
 *	              ▼
 *	        poll: a transfer that waits alone goes back to its task, which submits it
 *	        again; else the op at the head makes its call, and completes or stays
 *
 * A handle's home is the instance that registered its descriptor, at the first
 * EAGAIN. Until then any instance may become it; from then on events come there,
 * wherever the handle's task runs. The home's lock guards everything that weir
 * knows of the handle; an operation that completes at once takes no lock.
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
	WEIR__READY_WATCH = 1u << 2,	/* internal: a POLL has to look */
	WEIR__READY_READ_END = 1u << 3,	/* no more will come: end of stream, error */
	WEIR__READY_WRITE_END = 1u << 4,
	WEIR__READY_PRIORITY = 1u << 5,
};

/* What a poller reports. The key is the one given to add; WEIR__WAKE_KEY: a wake. */
struct weir__event {
	uint64_t key;
	uint32_t ready;			/* enum weir__ready */
};
#define WEIR__WAKE_KEY 0ull

struct weir__poller_ops {
	/* Register both directions and the end, edge-triggered; priority data if asked. Must report
	 * what is ready already. change: the same again, to add priority. */
	int (*add)(struct weir__readiness *r, int fd, uint64_t key, bool priority);
	int (*change)(struct weir__readiness *r, int fd, uint64_t key, bool priority);
	/* Only for descriptors that stay open somewhere, unless del_always says otherwise. */
	void (*del)(struct weir__readiness *r, int fd);
	/* Up to max events, 0 after timeout_ns, or -errno. 0 never waits, -1 waits for ever. [any] */
	int (*wait)(struct weir__readiness *r, struct weir__event *events, int max,
		    int64_t timeout_ns);
	/* Make a wait return, the next one if none runs. [any], async-signal-safe */
	void (*wake)(struct weir__readiness *r);
	bool del_always;		/* closing a descriptor does not take it out: del comes first */
	bool add_replaces;		/* adding it again does, where it should be -EEXIST */
	/*
	 * The end of a stream and urgent data may hide behind data that was told: a short read has
	 * not emptied a socket, only one that finds nothing has.
	 */
	bool ends_hide;
};

struct weir__readiness {
	struct weir_backend base;
	const struct weir__poller_ops *poller;
	struct weir__event *events;	/* the owner's, idle_events long */
	unsigned busy_events, idle_events;
	uint32_t polls;			/* the owner's */
	bool trimming;			/* the last trim was not finished */
	struct weir__lease_pool pool;

	struct weir__guard guard WEIR_ALIGNED(64);	/* "the lock" */
	uint32_t waiters;		/* threads that want the lock; atomic */
	bool as_owner;			/* how the lock was taken; under the lock */
	struct weir__slots slots;	/* under the lock */
};

/* For a backend's init and fini. */
int weir__readiness_init(struct weir__readiness *r, const struct weir_backend_config *cfg,
			 const struct weir__poller_ops *poller);
void weir__readiness_fini(struct weir__readiness *r);

/* For a probe that is given options: these backends have none. -EINVAL, and why. */
int weir__readiness_no_options(const char *options, char *reason, size_t len);

/* For a backend's table. */
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
