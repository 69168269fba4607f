/* SPDX-License-Identifier: MIT */
/*
 * talk.h: connections over a wire, each with a plan: which side opens it, what each end sends, how
 * it reads and how it ends. The ends act only on events, as a program does. So if an event is
 * missing, the connection never ends.
 *
 * The checks: the received bytes are those that the other end has sent; at the end of the stream
 * all of them have arrived; lent frames do not change; if neither end aborts the connection, both
 * ends receive everything and get no error.
 */
#ifndef WEIR_TESTS_STACK_TALK_H
#define WEIR_TESTS_STACK_TALK_H

#include "tests/stack/faults.h"

#define TALKS_MAX 8u
#define TALK_HELD 8u

enum talk_manner {
	TALK_SHUTDOWN,		/* shuts its side down when all is sent, and reads to the end */
	TALK_CLOSE,		/* closes when all is sent and all expected bytes are received */
	TALK_LINGER,		/* likewise, with linger 0: a reset */
	TALK_LEAVE,		/* closes after some bytes, even with unread data */
	TALK_ABORT,		/* resets after some bytes, or at some time */
	TALK_DEAF,		/* shuts reading down at once, closes when all is sent */
	TALK_MANNERS,
};

struct talk;

struct talk_plan {
	enum talk_manner manner;
	uint32_t send_bytes;
	uint32_t chunk_bytes;		/* most bytes of one send */
	uint32_t stop_bytes;		/* LEAVE and ABORT: after these bytes, sent and received */
	uint64_t stop_ns;		/* ABORT: at this time at the latest */
	uint64_t open_ns;
	uint64_t read_from_ns;		/* no read before this time */
	uint64_t read_every_ns;		/* interval of reads; 0: reads all that is there */
	uint32_t read_bytes;		/* most bytes of one read */
	bool by_reference, lent;
};

struct talk_end {
	struct talk *talk;
	unsigned side;
	bool opens;
	struct talk_plan plan;
	struct weir__tcp *tcp;		/* NULL: not opened yet, or closed */
	bool begun, over;
	bool established, ended, shut;
	int error;
	uint32_t sent, received;
	uint64_t read_ns, retry_ns;	/* time of the next read; of the retry after -ENOMEM */
	struct {
		struct weir__frame *frame;
		uint32_t offset;
	} held[TALK_HELD];
	unsigned held_count;
	uint64_t give_ns;		/* when they are given back, at the latest */
};

struct talk {
	struct talk_end end[2];		/* by side */
	uint16_t port[2];
	bool excused;			/* an end aborts it, or allocations fail */
};

struct talks {
	struct wire wire;		/* first: talks_turn casts its wire to the whole */
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
/* Initialises the ends; the caller has set plans, ports and `opens`. */
void talks_init(struct talks *talks);
/* Complains about ends that have not finished or have not received everything. */
void talks_check(struct talks *talks);
/* Gives back the frames that are lent to unfinished ends. */
void talks_fini(struct talks *talks);

#endif
