/* SPDX-License-Identifier: MIT */
/*
 * try.h: makes one non-blocking system call for an operation. The readiness adaptor does
 * this first, and again after each event. This file uses a handle's flags, but no queues,
 * locks or events.
 */
#ifndef WEIR_BACKENDS_READINESS_TRY_H
#define WEIR_BACKENDS_READINESS_TRY_H

#include "weir/backend.h"
#include "backends/readiness/readiness.h"

/* The directions; each has a queue of waiting operations. */
enum weir__queue {
	READ = 0,
	WRITE = 1,
	WATCH = 2,
	QUEUES
};

/*
 * A handle's .ready has the bits of enum weir__ready, these bits, and above them a tick that counts
 * events. The bits of a direction are those of READ shifted by enum weir__queue.
 */
#define WEIR__READY_REGISTERED (1u << 6)
#define WEIR__READY_PRIORITY_TOO (1u << 7) /* registered for priority data as well */
#define WEIR__READY_EXACT (1u << 8)	/* TCP: after a short read the socket is empty */
#define WEIR__READY_SHARED (1u << 9)	/* foreign or adopted: it may be open elsewhere too */
#define WEIR__READY_OURS (1u << 10)	/* weir's own copy of a foreign descriptor */
#define WEIR__READY_TICK (1ull << 16)

/* In weir_handle.state. */
struct weir__ready_handle {
	uint64_t ready;			/* atomic */
	struct weir_op *tail[QUEUES];	/* the last op; its .next is the first; atomic */
	uint32_t slot;			/* 0: not registered */
	uint16_t retrying;		/* ops given back to their tasks; they pin the handle */
	bool closing;			/* to be released when nothing pins it; atomic */
} __attribute__((may_alias));

_Static_assert(sizeof(struct weir__ready_handle) <= sizeof(((struct weir_handle *)0)->state),
	       "the state of a handle is too small");

static inline struct weir__ready_handle *weir__ready_of(struct weir_handle *h)
{
	return (struct weir__ready_handle *)h->state;
}

/* The caller of try_op, and what the last call found out besides its result. */
struct weir__turn {
	struct weir__readiness *r;	/* its pool lends the buffers */
	struct weir__worker *worker;	/* the worker of this thread; its metrics count the calls */
	bool owner;			/* whether that is r's worker */
	bool drained;			/* nothing is left to move; an event will tell of more */
};

/* The direction that an op waits for. */
static inline enum weir__queue weir__queue_of(const struct weir_op *op)
{
	switch (op->code) {
	case WEIR_OP_ACCEPT:
	case WEIR_OP_RECV:
	case WEIR_OP_RECV_LEASE:
	case WEIR_OP_RECVV:
		return READ;
	case WEIR_OP_POLL:
		return WATCH;
	default:
		return WRITE;
	}
}

/* Initialize a handle of be for an open descriptor; it is not registered yet. */
void weir__try_make_handle(struct weir_handle *h, struct weir_backend *be, int fd,
			   enum weir_handle_kind kind, bool tcp);

/* Returns the op's result, or WEIR_PENDING if the call would block. */
int weir__try_op(struct weir__turn *t, struct weir_op *op);

/* Check a descriptor now. Returns a set of enum weir_poll_event, 0 for none, or -errno. */
int weir__try_look(int fd, unsigned events);

#endif
