/* SPDX-License-Identifier: MIT */
/*
 * scene.h: a waiting operation of any kind, with the object it waits on. A case that is
 * written with scenes tests all kinds of operations.
 *
 *	scene_open ──► begin, pending ──► the case ends it ──► scene_check ──► scene_fini
 *	                  ▲                                         │
 *	                  └────────────── scene_start ◄─────────────┘
 */
#ifndef WEIR_TESTS_CONFORMANCE_SCENE_H
#define WEIR_TESTS_CONFORMANCE_SCENE_H

#include "tests/conformance/conformance.h"

enum scene_kind {
	SCENE_ACCEPT,
	SCENE_CONNECT,			/* to a listener whose queue is full */
	SCENE_RECV,
	SCENE_PEEK,
	SCENE_LEASE,
	SCENE_RECVV,
	SCENE_EXACT,
	SCENE_SEND,
	SCENE_SENDV,
	SCENE_SEND_LEASE,		/* of a lease that the scene itself has lent */
	SCENE_POLL,
	SCENE_KINDS
};

/* The pattern seeds of the two directions: sent and received by `one`. */
#define SCENE_OUT 1u
#define SCENE_IN 2u

/* Lends the memory of a scene, and counts it: a leak is seen, and a second return as well. */
struct lender {
	struct weir_backend base;
	int out;			/* atomic */
};

struct scene {
	enum scene_kind kind;
	struct weir_tcp *one, *other;	/* the operation is on `one` */
	struct weir_listener *listener;
	struct weir_addr addr;
	struct crowd crowd;
	struct weir_fd *fd;
	int pipe[2];
	struct weir_accept_future accept;
	struct weir_op op;
	struct weir_lease lease;
	struct lender lender;		/* of SEND_LEASE */
	struct iovec iov[2];
	uint8_t *buf;
	size_t len;			/* the most bytes to transfer */
	unsigned flags;			/* of the send */
};

/* The capabilities that a kind needs besides streams; and whether this backend declares them. */
uint32_t scene_caps(enum scene_kind kind);
bool scene_possible(enum scene_kind kind);
/* The name of a kind, for messages. */
const char *scene_name(enum scene_kind kind);
static inline bool scene_receives(enum scene_kind kind)
{
	return kind >= SCENE_RECV && kind <= SCENE_EXACT;
}
static inline bool scene_sends(enum scene_kind kind)
{
	return kind >= SCENE_SEND && kind <= SCENE_SEND_LEASE;
}
/* Whether the kernel uses the bytes until the peer has received them. */
static inline bool scene_lends(enum scene_kind kind)
{
	return env.zero_copy && (kind == SCENE_SEND || kind == SCENE_SEND_LEASE);
}

/*
 * scene_open makes the object and an operation on it that will wait; scene_start makes the next
 * one.
 */
struct weir_future *scene_open(struct scene *s, enum scene_kind kind);
struct weir_future *scene_start(struct scene *s);
/* How many bytes the operation has transferred into or out of its own buffers. */
size_t scene_done(const struct scene *s);
/* After a cancelled operation, checks that the object still works and no byte is lost. */
void scene_check(struct scene *s);
/* Close the object, or reset it. Its peer stays open. */
void scene_close(struct scene *s);
void scene_reset(struct scene *s);
void scene_fini(struct scene *s);

#endif
