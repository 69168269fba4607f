/* SPDX-License-Identifier: MIT */
/*
 * iouring.h: what the files of this backend share: the instance, the state in a handle,
 * and the dispatch of completions.
 *
 * Each worker has one ring, which no other thread uses. Submissions collect in the ring
 * until the worker polls its drivers: one system call submits them and fetches
 * completions.
 *
 *	op ──► send.c, recv.c, accept.c, wait.c: an entry in the ring, or a direct system
 *	                   │ call if that is cheaper
 *	                   ▼ poll (iouring.c): one system call
 *	        completion; the tag in its user data says whose it is:
 *	        an op │ a handle's multishot receive │ a handle's accept │ nobody's
 *
 * iouring.c, recv.c, accept.c and detach.c call each other in a circle, because they
 * are one loop: a read or accept that finds nothing, and a close, may turn the ring
 * themselves, and a turn delivers completions to all of them.
 *
 * References. .refs of a handle counts its requests in the kernel: ops, on any ring, and
 * its multishot request. The last of them closes a detached handle.
 *
 * Homed reads. While a handle has a multishot receive, or buffered bytes that no op has
 * taken, its reads run on its home, and only the home uses the fields after .refs.
 * Listeners and foreign descriptors are always homed. A stream without reads in flight
 * moves to the worker that reads it next.
 *
 * Homed writes, an option. A send can go into any ring, so nothing here needs them. They
 * exist for the tests, which so run over a kernel what a network stack in user space
 * requires: writes, settings and shutdowns that travel to a home.
 */
#ifndef WEIR_BACKENDS_IOURING_H
#define WEIR_BACKENDS_IOURING_H

#include "weir/backend.h"
#include "backends/iouring/buffers.h"
#include "backends/iouring/newer.h"
#include "backends/iouring/options.h"

struct uring_vec;

struct uring {
	struct weir_backend base;
	struct io_uring ring;
	struct uring_options options;
	int node;			/* see core/node.h */
	bool alone;			/* there is one worker, so handles are not shared */
	bool moves;			/* any thread may poll; see weir_backend_config */
	bool enabled;
	bool wake_armed;
	bool woken;			/* since the last poll */
	/* In this turn: how many requests did not run and were repeated; the last one's error. */
	unsigned repeated;
	int repeated_for;
	unsigned busy_events, idle_events;
	unsigned batch;			/* completions of the last turn */
	uint32_t turns;
	int wake_fd;
	struct uring_buffers buffers;
	struct uring_vec *vecs;		/* a list of unused ones */
	uint32_t *direct;		/* unused slots of the ring's descriptor table */
	uint32_t direct_len;
	struct weir_handle *closing;	/* detached handles whose multishot request is in flight */
};

/* ---- user data ---- */

/* The low bits of the user data; the other bits are a pointer. */
enum uring_tag {
	TAG_OP = 0,
	TAG_RECV = 1,			/* a handle's multishot receive */
	TAG_ACCEPT = 2,			/* a handle's accept */
	TAG_NOBODY = 3,			/* cancels, and the poll of the wake-up eventfd */
};
#define TAG_MASK 3ull
#define UD_IGNORE ((uint64_t)TAG_NOBODY)
#define UD_WAKE ((uint64_t)TAG_NOBODY | 4u)

/*
 * The use of an op's .next. While the op waits in a list, it is the next op in the list. While the
 * op is in the kernel, it is its struct uring_vec or NULL, and its low bits say that the op was
 * cancelled, and that its bytes are lent to the kernel instead of copied.
 */
#define OP_CANCELLED 1u
#define OP_LENDS 2u
#define OP_BITS 3u
/* A POLL is in a list and in the kernel, so its flag is a bit of its events. */
#define POLL_CANCELLED (1u << 31)

/* ---- handles ---- */

enum uring_handle_flag {
	ARMED = 1u << 0,		/* a multishot receive or an accept is in the kernel */
	STOPPING = 1u << 1,		/* … and is being cancelled */
	ENDED = 1u << 2,		/* the read after the queued buffers returns .end */
	ADOPTED = 1u << 3,		/* a listener that other processes may have too */
};
#define CLOSING (1u << 31)

struct uring_fds {
	int *fd;
	unsigned first, len, cap;
};

/* In weir_handle.state. */
struct uring_handle {
	uint32_t refs;			/* requests in the kernel, and CLOSING; atomic */
	uint16_t queued;		/* buffers that no op has taken yet */
	uint8_t flags;			/* enum uring_handle_flag */
	union {
		uint8_t small_reads;	/* leases in a row with few bytes */
		uint8_t failed_accepts;	/* of a listener, in a row */
	};
	union {
		struct {
			uint32_t first, last;	/* the queued buffers: places plus one */
			struct weir_op *waiters;	/* the last one; its .next is the first */
		};
		struct {		/* after detach: the links in .closing of the instance */
			struct weir_handle *prev, *next;
		};
	};
	int16_t end;			/* with ENDED: 0 or a negative errno */
	uint8_t away;			/* reads in a row from other workers */
	bool copies;			/* the socket does not support zero copy; atomic */
	uint32_t lent;			/* zero-copy sends whose bytes are in use; atomic */
	union {
		struct uring_fds *fds;	/* a listener's accepted connections that no op has taken */
		uint32_t direct;	/* a stream's slot in the descriptor table, plus one */
	};
} __attribute__((may_alias));

_Static_assert(sizeof(struct uring_handle) <= sizeof(((struct weir_handle *)0)->state),
	       "the state of a handle is too small");

static inline bool is_home(const struct uring *u, const struct weir_handle *h)
{
	return weir__load(&h->backend, WEIR_RELAXED) == &u->base;
}

static inline struct uring *uring_of(struct weir_backend *be)
{
	return WEIR_CONTAINER_OF(be, struct uring, base);
}

/* The part of .homed that does not change. */
static inline uint8_t uring_homed_writes(const struct uring *u)
{
	return u->options.homed_writes ? WEIR_HOMED_WRITES : 0;
}

static inline struct uring_handle *state_of(struct weir_handle *h)
{
	return (struct uring_handle *)h->state;
}

/* Atomic, because other workers may be changing .refs. */
static inline bool uring_is_closing(const struct uring_handle *s)
{
	return weir__load(&s->refs, WEIR_RELAXED) & CLOSING;
}

/* Initialize a handle of this instance for an open descriptor. */
void weir__uring_handle_make(struct uring *u, struct weir_handle *h, int fd,
			     enum weir_handle_kind kind);
/* Add or drop a reference for a request in the kernel. The handle may be gone after a drop. */
void weir__uring_handle_ref(struct uring *u, struct weir_handle *h);
void weir__uring_handle_unref(struct uring *u, struct weir_handle *h);
/* Make this instance the handle's home, if it has no request in flight. True: done, and held. */
bool weir__uring_handle_adopt(struct uring *u, struct weir_handle *h);
/* Put a detached handle on .closing; remove it: its multishot request is over. */
void weir__uring_list_closing(struct uring *u, struct weir_handle *h);
void weir__uring_unlist_closing(struct uring *u, struct weir_handle *h);
/* Free a stream's slot in the descriptor table, which keeps the socket open. [owner] */
void weir__uring_forget_direct(struct uring *u, struct weir_handle *h);
/* Close the detached handles, after the kernel has dropped all requests. [setup] */
void weir__uring_handles_fini(struct uring *u);

/* Functions of the backend's table. */
int weir__uring_attach(struct weir_backend *be, struct weir_handle *h,
		       const struct weir_handle_spec *spec);
void weir__uring_detach(struct weir_backend *be, struct weir_handle *h);
int weir__uring_control(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
			void *value, size_t len);

/*
 * The result for an op: -ECANCELED if its handle is closing, or if it did not run and is not
 * repeated.
 */
static inline int uring_result(struct weir_handle *h, int res)
{
	if (WEIR_UNLIKELY(res == -EINTR || res == -EAGAIN))
		return -ECANCELED;
	return res <= 0 && uring_is_closing(state_of(h)) ? -ECANCELED : res;
}

/* ---- a handle's list of waiting ops; only on its home ---- */

struct weir_op *weir__uring_first_waiter(const struct uring_handle *s);
void weir__uring_append_waiter(struct uring_handle *s, struct weir_op *op);
/* False if the op is not in the list. */
bool weir__uring_remove_waiter(struct uring_handle *s, struct weir_op *op);
/* Complete all waiting ops with this result. */
void weir__uring_fail_waiters(struct uring_handle *s, int res);

/* ---- ring.c: the ring ---- */

int weir__uring_ring_open(struct uring *u);
/* Cancel all requests of the ring. [setup] */
void weir__uring_ring_quiesce(struct uring *u);
/* Fetch completions that did not fit the ring; false if there are none. [setup] */
bool weir__uring_ring_flush(struct uring *u);
/* Whether all completions are delivered. [owner] */
static inline bool uring_ring_is_empty(const struct uring *u)
{
	return io_uring_cq_ready(&u->ring) == 0 &&
	       !(IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW);
}
void weir__uring_ring_close(struct uring *u);
/* A new entry; NULL if the ring is full and the kernel does not accept its entries. [owner] */
struct io_uring_sqe *weir__uring_sqe(struct uring *u);
/* Whether the kernel has deferred work, or completions that did not fit the ring. */
bool weir__uring_has_deferred(const struct uring *u);
/*
 * Submit the collected entries, and wait for a completion up to the deadline (0: do not wait).
 * Returns 0, or a negative errno; then the entries stay in the ring.
 */
int weir__uring_enter(struct uring *u, uint64_t deadline);
/* Make the entry use the stream's slot in the descriptor table, if it has one. [owner] */
void weir__uring_name(struct uring *u, struct weir_handle *h, struct io_uring_sqe *sqe);
/* Cancel the request with this user data. */
void weir__uring_cancel_request(struct uring *u, uint64_t user_data);
/* Cancel all requests of this ring for a descriptor. */
void weir__uring_cancel_fd(struct uring *u, int fd);

static inline void uring_tag(struct io_uring_sqe *sqe, const void *pointer, enum uring_tag tag)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)pointer | tag);
}

/* ---- operations ---- */

/*
 * Deliver completions, submit and wait (weir__uring_enter), and deliver again. Returns how many
 * completions made progress. If none did, and the call failed or requests had to be repeated, it
 * returns a negative errno.
 */
int weir__uring_turn(struct uring *u, uint64_t deadline, unsigned max);
/* Complete the op, and drop its reference to the handle. */
void weir__uring_finish(struct uring *u, struct weir_op *op, int res);
/* Whether the op was cancelled, so that it is not repeated. Not for a POLL. */
static inline bool uring_is_cancelled(const struct weir_op *op)
{
	return (uintptr_t)op->next & OP_CANCELLED;
}
/*
 * Whether a result only means that the request did not run, so that it must be repeated. For
 * example, on rings without a single issuer the kernel cancels the requests of a thread that ends.
 */
static inline bool uring_must_repeat(const struct weir_op *op, int res)
{
	return (res == -EINTR || res == -EAGAIN || res == -ECANCELED || res == -EFAULT) &&
	       !uring_is_cancelled(op) && !uring_is_closing(state_of(op->handle));
}

/*
 * Count a repeated request. A turn with nothing but repeated requests returns an error; if the next
 * turns do too, the worker polls at growing intervals (core/driver.h).
 */
static inline void uring_note_repeat(struct uring *u, int res)
{
	u->repeated++;
	u->repeated_for = res;
}

/* recv.c */
void weir__uring_submit_recv(struct uring *u, struct weir_op *op);
void weir__uring_recv_done(struct uring *u, struct weir_op *op, const struct io_uring_cqe *cqe);
void weir__uring_multishot_done(struct uring *u, struct weir_handle *h,
				const struct io_uring_cqe *cqe);
void weir__uring_recv_stop(struct uring *u, struct weir_handle *h);
/* Give back the queued buffers. */
void weir__uring_recv_forget(struct uring *u, struct uring_handle *s);

/* send.c: SEND*, and the entries and completions of RECV and RECVV, which are similar */
void weir__uring_submit_send(struct uring *u, struct weir_op *op);
void weir__uring_queue_transfer(struct uring *u, struct weir_op *op);
void weir__uring_transfer_done(struct uring *u, struct weir_op *op, const struct io_uring_cqe *cqe);
void weir__uring_vecs_fini(struct uring *u);

/* accept.c */
void weir__uring_submit_accept(struct uring *u, struct weir_op *op);
void weir__uring_accept_done(struct uring *u, struct weir_handle *h,
			     const struct io_uring_cqe *cqe);
void weir__uring_accept_forget(struct weir_handle *h);

/* wait.c: CONNECT and POLL */
void weir__uring_submit_connect(struct uring *u, struct weir_op *op);
void weir__uring_connect_done(struct uring *u, struct weir_op *op, int res);
void weir__uring_submit_poll(struct uring *u, struct weir_op *op);
void weir__uring_poll_done(struct uring *u, struct weir_op *op, int res);

/* file.c: the operations on files, OPEN to MKDIR */
void weir__uring_submit_file(struct uring *u, struct weir_op *op);
void weir__uring_file_done(struct uring *u, struct weir_op *op, int res);

#endif
