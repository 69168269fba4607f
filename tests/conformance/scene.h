/* SPDX-License-Identifier: MIT */
/*
 * scene.h: an operation that waits, of each kind there is, and the object that it
 * waits on, so that a case can be written once for all of them.
 *
 *	scene_open ──► begin, pending ──► it is ended somehow ──► scene_check ──► scene_fini
 *	                  ▲                                            │
 *	                  └──────────────── scene_start ◄──────────────┘
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
	SCENE_POLL,
	SCENE_KINDS
};

/* The bytes of the two directions: from the operation's end, and to it. */
#define SCENE_OUT 1u
#define SCENE_IN 2u

struct scene {
	enum scene_kind kind;
	struct weir_tcp *one, *other;	/* the operation is on one */
	struct weir_listener *listener;
	struct weir_addr addr;
	struct crowd crowd;
	struct weir_fd *fd;
	int pipe[2];
	struct weir_accept_future accept;
	struct weir_op op;
	struct weir_lease lease;
	struct iovec iov[2];
	uint8_t *buf;
	size_t len;			/* to be moved at the most */
	unsigned flags;			/* of a send */
};

/* What a backend must declare for it, besides streams; and whether this one does. */
uint32_t scene_caps(enum scene_kind kind);
bool scene_possible(enum scene_kind kind);
/* For messages. */
const char *scene_name(enum scene_kind kind);
static inline bool scene_receives(enum scene_kind kind)
{
	return kind >= SCENE_RECV && kind <= SCENE_EXACT;
}
static inline bool scene_sends(enum scene_kind kind)
{
	return kind == SCENE_SEND || kind == SCENE_SENDV;
}

/* The object, and the operation on it, which will wait; start: the next one. */
struct weir_future *scene_open(struct scene *s, enum scene_kind kind);
struct weir_future *scene_start(struct scene *s);
/* The bytes that the operation has moved into or out of its own buffers. */
size_t scene_done(const struct scene *s);
/* After an operation that has given up: the object still works, and no byte is lost. */
void scene_check(struct scene *s);
/* Close the object, as its owner would, or with a reset; its peer stays. */
void scene_close(struct scene *s);
void scene_reset(struct scene *s);
void scene_fini(struct scene *s);

#endif
