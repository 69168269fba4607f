/* SPDX-License-Identifier: MIT */
/*
 * sim_world.h: the interfaces between sim_net.c (the network), sim_op.c (what an
 * operation does) and sim_backend.c (when). The world's lock guards everything here.
 *
 * The network moves bytes at once or returns SIM_AGAIN. When something changes that a
 * queue of operations may wait for, it calls sim_ready, and the backend tries the first
 * operation of that queue after a delay.
 */
#ifndef WEIR_TESTS_SIM_WORLD_H
#define WEIR_TESTS_SIM_WORLD_H

#include <pthread.h>
#include <semaphore.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "tests/sim/sim_backend.h"

#define SIM_AGAIN INT_MIN		/* not possible now: sim_ready will follow */
#define SIM_MORE (INT_MIN + 1)		/* has moved some bytes, and must continue */
#define SIM_LATER (INT_MIN + 2)		/* try again after a while: sim_ready will not follow */

struct sim_instance;
struct sim_stream;

/* The record of an operation in flight. weir_op.next points to it. */
struct sim_rec {
	TAILQ_ENTRY(sim_rec) in_line;
	TAILQ_ENTRY(sim_rec) in_due;
	TAILQ_ENTRY(sim_rec) in_starved;	/* used while starved */
	struct weir_op *op;
	struct sim_instance *home;
	struct sim_line *line;
	struct sim_object *object;
	uint64_t attempt_ns;		/* next try; WEIR_FOREVER: waits for sim_ready */
	uint64_t cancel_ns;		/* when a cancel takes effect; WEIR_FOREVER: no cancel */
	uint64_t due_ns;		/* the earlier one; in the due list unless WEIR_FOREVER */
	uint64_t number;
	uint16_t flags;			/* a copy of the op's, which the core changes later */
	uint64_t check;			/* checksum of the memory that the caller must not change */
	bool starved;			/* waits for a block to lend */
};
TAILQ_HEAD(sim_recs, sim_rec);

/*
 * A lease whose bytes were sent, kept for a while as a network stack keeps it: until the peer has
 * acknowledged them.
 */
struct sim_kept {
	TAILQ_ENTRY(sim_kept) entry;
	struct weir_lease lease;
	uint64_t until_ns;
};

/* The queue of operations of one direction, in the order of submission. Only the first is tried. */
struct sim_line {
	struct sim_recs recs;
};

/* The common part of listeners and streams; their first member. */
struct sim_object {
	struct weir_sim_world *world;
	uint32_t number;
	unsigned inflight;		/* operations; while there are any, the object exists */
	struct weir_handle *detaching;	/* set by detach */
	struct sim_instance *home;	/* the instance that reports when it is detached */
	uint64_t gone_ns;		/* the time of that report, once nothing is in flight */
	TAILQ_ENTRY(sim_object) in_leaving;
};

struct sim_addr {
	socklen_t len;
	struct sockaddr_storage ss;
};

struct sim_listener {
	struct sim_object object;
	LIST_ENTRY(sim_listener) entry;
	struct sim_addr addr;
	bool reuse_port, v6_only;
	unsigned backlog, waiting;
	TAILQ_HEAD(sim_streams, sim_stream) queue;
	struct sim_line accepts;
};

struct sim_stream {
	struct sim_object object;
	TAILQ_ENTRY(sim_stream) in_backlog;
	struct sim_stream *peer;	/* NULL before connect, and after the peer's close */
	struct sim_addr local, remote;
	struct sim_line recvs, sends;	/* a connect is in the queue of the sends */
	uint8_t *rx;			/* ring of cfg.buffer_bytes with the unread bytes */
	size_t rx_head, rx_len;
	bool connected, bound;
	bool rx_fin;			/* the peer's FIN has arrived, after the bytes in rx */
	bool rd_shut, wr_shut;
	bool dead;			/* reset */
	bool linger_zero;
	int error;			/* errno to report next, positive; 0: none */
};

struct weir_sim_world {
	pthread_mutex_t lock;
	struct weir_sim_config cfg;
	uint64_t random;
	uint64_t ops;			/* the number of the last operation */
	uint32_t objects;
	uint16_t next_port;
	LIST_HEAD(sim_listeners, sim_listener) listeners;
	struct weir_sim_report report;
};

/* An instance of the backend: one per worker. */
struct sim_instance {
	struct weir_backend base;
	struct weir_sim_world *world;
	struct weir_clock *clock;	/* NULL: delays pass in real time */
	struct sim_recs due;		/* sorted by due_ns, then in the order of insertion */
	struct sim_recs starved;	/* waiting for a block to lend; linked by in_starved */
	TAILQ_HEAD(sim_leaving, sim_object) leaving; /* detach requested, nothing in flight */
	TAILQ_HEAD(sim_keeping, sim_kept) kept;
	unsigned inflight;
	unsigned busy_events, idle_events;
	sem_t bell;
	bool woken;			/* atomic: wake was called */
	bool inside;			/* atomic: the owning worker is in submit, cancel or poll */
	size_t block_bytes;
	uint8_t *blocks;
	uint32_t *free_blocks;
	unsigned free_count;
	bool *lent;
};

static inline struct sim_stream *stream_of(const struct weir_handle *h)
{
	return (struct sim_stream *)(uintptr_t)h->state[0];
}

static inline struct sim_listener *listener_of(const struct weir_handle *h)
{
	return (struct sim_listener *)(uintptr_t)h->state[0];
}

/* Mixes a value into a hash. */
static inline uint64_t sim_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x100000001b3ull;
	return hash ^ (hash >> 29);
}

/* sim_backend.c */
void sim_note(struct sim_instance *sim, enum weir_sim_event_kind kind, uint64_t op,
	      uint32_t object, int code, int result);
void sim_ready(struct sim_line *line);
/* The value for weir_handle.homed. */
static inline uint8_t sim_homed(const struct weir_sim_world *world)
{
	return world->cfg.homed ? WEIR_HOMED_READS | WEIR_HOMED_WRITES : 0;
}

uint64_t sim_random(struct weir_sim_world *world);
bool sim_chance(struct weir_sim_world *world, unsigned permille);
void sim_violation(struct weir_sim_world *world, const char *what, uint64_t number);

/* sim_op.c */
bool sim_op_sends(const struct weir_op *op);
size_t sim_op_total(const struct weir_op *op);
uint32_t *sim_op_done(struct weir_op *op);
/* Checksum of the memory that the caller must not change: bytes to send, iovecs, the address. */
uint64_t sim_op_check(const struct weir_op *op);
void sim_op_poison(const struct weir_op *op);
void sim_op_unpoison(const struct weir_op *op);
/* Returns a result, SIM_AGAIN, SIM_MORE or SIM_LATER. */
int sim_op_try(struct sim_rec *rec);
/* Mark blocks that are not lent out as inaccessible for AddressSanitizer, and undo that. */
void sim_blocks_poison(void *at, size_t n);
void sim_blocks_unpoison(void *at, size_t n);

/* sim_net.c; these return 0, a count, a negative errno or SIM_AGAIN. */
int sim_listen(struct weir_sim_world *world, const struct weir_handle_spec *spec,
	       struct sim_listener **ret_listener);
void sim_unlisten(struct sim_listener *listener);
int sim_accept(struct sim_listener *listener, struct sim_stream **ret_stream);

int sim_stream_new(struct weir_sim_world *world, struct sim_stream **ret_stream);
int sim_stream_bind(struct sim_stream *stream, const struct sockaddr *addr, socklen_t len);
void sim_stream_close(struct sim_stream *stream);
int sim_connect(struct sim_stream *stream, const struct sockaddr *addr, socklen_t len);
/* How many bytes can move now. sim_readable returns 0 at the end of the stream. */
int sim_readable(struct sim_stream *stream);
int sim_writable(struct sim_stream *stream);
/* Move n bytes, at most as many as the two functions above return. */
void sim_read(struct sim_stream *stream, size_t skip, void *buf, size_t n);
void sim_consume(struct sim_stream *stream, size_t n);
void sim_write(struct sim_stream *stream, const void *buf, size_t n);
void sim_sent(struct sim_stream *stream, size_t n);
int sim_shutdown(struct sim_stream *stream, int how);
void sim_reset(struct sim_stream *stream);
int sim_take_error(struct sim_stream *stream);

#endif
