/* SPDX-License-Identifier: MIT */
/*
 * try.h: one operation, one system call that never waits: what the readiness
 * adaptor does first, and again after each event. Knows a handle's flags, and
 * nothing of queues, locks or events.
 */
#ifndef WEIR_BACKENDS_READINESS_TRY_H
#define WEIR_BACKENDS_READINESS_TRY_H

#include "weir/backend.h"
#include "backends/readiness/readiness.h"

/* Directions, and the queues of operations that wait for them. */
enum weir__queue {
	READ = 0,
	WRITE = 1,
	WATCH = 2,
	QUEUES
};

/*
 * A handle's .ready: enum weir__ready, these, and a tick above them that counts events. A
 * direction's bits are those of READ shifted by enum weir__queue.
 */
#define WEIR__READY_REGISTERED (1u << 6)
#define WEIR__READY_PRIORITY_TOO (1u << 7) /* registered for priority data as well */
#define WEIR__READY_EXACT (1u << 8)	/* TCP: a short read has emptied it */
#define WEIR__READY_SHARED (1u << 9)	/* others may have the descriptor, too: foreign, or adopted */
#define WEIR__READY_OURS (1u << 10)	/* a copy of a foreign one, which is ours to close */
#define WEIR__READY_TICK (1ull << 16)

/* In weir_handle.state. */
struct weir__ready_handle {
	uint64_t ready;			/* atomic */
	struct weir_op *tail[QUEUES];	/* the last op, whose next is the first; atomic */
	uint32_t slot;			/* 0: not registered */
	uint16_t handed;		/* ops given back that have not come again; they pin the handle */
	bool closing;			/* detached, once nothing pins it; atomic */
} __attribute__((may_alias));

_Static_assert(sizeof(struct weir__ready_handle) <= sizeof(((struct weir_handle *)0)->state),
	       "the state of a handle is too small");

static inline struct weir__ready_handle *weir__ready_of(struct weir_handle *h)
{
	return (struct weir__ready_handle *)h->state;
}

/* Who makes the calls: whose pool lends, and what the last call told beside its result. */
struct weir__turn {
	struct weir__readiness *r;
	struct weir__worker *worker;	/* whose thread this is: it counts the calls */
	bool owner;			/* that is r's worker */
	bool spent;			/* it moved less than it could have; not at the end */
};

/* Which direction an op waits for. */
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

/* Make an open descriptor a handle of be that is registered nowhere. */
void weir__try_make_handle(struct weir_handle *h, struct weir_backend *be, int fd,
			   enum weir_handle_kind kind, bool tcp);

/* The op's result, or WEIR_PENDING when its call would have to wait. */
int weir__try_op(struct weir__turn *t, struct weir_op *op);

/* Which of enum weir_poll_event are there now: the set, 0 for none, or -errno. */
int weir__try_look(int fd, unsigned events);

#endif
