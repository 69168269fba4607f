/* SPDX-License-Identifier: MIT */
/*
 * talk.h: connections over a wire, each with a plan: who opens it, what each end sends, how it reads
 * and how it ends. The ends act on events alone, as a program does, so that an event that is missing
 * leaves a connection that never ends.
 *
 * What is checked: the bytes are those that the other end has sent; at the end of the stream there
 * were all of them; lent frames do not change; an end whose connection nobody has broken off gets
 * everything and sees no error.
 */
#ifndef WEIR_TESTS_STACK_TALK_H
#define WEIR_TESTS_STACK_TALK_H

#include "tests/stack/faults.h"

#define TALKS_MAX 8u
#define TALK_HELD 8u

enum talk_manner {
	TALK_SHUTDOWN,		/* ends its side when all is sent, and reads to the end */
	TALK_CLOSE,		/* closes when all is sent and all that is expected has come */
	TALK_LINGER,		/* likewise, with linger 0: a reset */
	TALK_LEAVE,		/* closes after some bytes, whatever there is to be read */
	TALK_ABORT,		/* resets after some bytes, or at some time */
	TALK_DEAF,		/* ends its reading side at once, closes when all is sent */
	TALK_MANNERS,
};

struct talk;

struct talk_plan {
	enum talk_manner manner;
	uint32_t send_bytes;
	uint32_t chunk_bytes;		/* of one send, at most */
	uint32_t stop_bytes;		/* sent and received: LEAVE and ABORT */
	uint64_t stop_ns;		/* ABORT: at this time at the latest */
	uint64_t open_ns;
	uint64_t read_from_ns;		/* nothing is read before */
	uint64_t read_every_ns;		/* one read at a time; 0: all that is there */
	uint32_t read_bytes;		/* of one read, at most */
	bool by_reference, lent;
};

struct talk_end {
	struct talk *talk;
	unsigned side;
	bool opens;
	struct talk_plan plan;
	struct weir__tcp *tcp;		/* NULL: not yet, or not any more */
	bool begun, over;
	bool established, ended, shut;
	int error;
	uint32_t sent, received;
	uint64_t read_ns, retry_ns;	/* when it reads next; tries again after -ENOMEM */
	struct {
		struct weir__frame *frame;
		uint32_t offset;
	} held[TALK_HELD];
	unsigned held_count;
	uint64_t give_ns;		/* when they are given back at the latest */
};

struct talk {
	struct talk_end end[2];		/* by side */
	uint16_t port[2];
	bool excused;			/* an end breaks it off, or memory is refused */
};

struct talks {
	struct wire wire;		/* first: a turn's wire is cast to it */
	struct wire_faults faults;
	struct weir__tcp_listener *listener[2];
	struct weir__tcp_settings settings;
	struct talk talk[TALKS_MAX];
	unsigned count;
	uint64_t random;
	uint64_t turned_ns[2];
};

/* The function of the wire's turns. */
void talks_turn(struct wire *wire, unsigned side);
/* Sets the ends up; plans, ports and `opens` are the caller's. */
void talks_init(struct talks *talks);
/* Complains about ends that are not over or have not got what they should have. */
void talks_check(struct talks *talks);
/* Gives back what ends that are not over have been lent. */
void talks_fini(struct talks *talks);

#endif
