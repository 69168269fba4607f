/* SPDX-License-Identifier: MIT */
/*
 * iouring.h: what the files of this backend share: its instance, what it keeps in
 * a handle, and how a completion finds its way.
 *
 * One ring per worker, used by nobody else. Submissions collect in the ring until
 * the worker turns its drivers: one system call hands them over and fetches what
 * has completed.
 *
 *	op ──► send.c, recv.c, accept.c, wait.c: an entry in the ring, or the call itself
 *	                   │ where that is cheaper
 *	                   ▼ poll (iouring.c): one call
 *	        completion, told by the tag of its user data:
 *	        an op │ a handle's multishot receive │ a handle's accept │ nobody
 *
 * References. A handle counts what the kernel has for it (.refs): ops, on whatever
 * ring, and its multishot request. A detached handle is closed by the last of them.
 *
 * Homed reads. While a handle has a multishot receive, or buffers that nobody has
 * asked for yet, its reads are made on its home, which alone touches the fields below
 * .refs. Listeners and foreign descriptors are always so. A stream whose reads are
 * nowhere goes to the worker that next reads it.
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
	bool alone;			/* one worker: nobody else touches a handle */
	bool moves;			/* any thread may poll; see weir_backend_config */
	bool enabled;
	bool wake_armed;
	bool woken;			/* since the last poll */
	/* Of this turn: requests that had not run, and were made again; and why the last one had not. */
	unsigned repeated;
	int repeated_for;
	unsigned busy_events, idle_events;
	unsigned batch;			/* completions of the last turn */
	uint32_t turns;
	int wake_fd;
	struct uring_buffers buffers;
	struct uring_vec *vecs;		/* unused ones */
	uint32_t *direct;		/* unused numbers in the ring's table */
	uint32_t direct_len;
	struct weir_handle *closing;	/* detached, their multishot not yet over */
};

/* ---- what completions carry ---- */

/* In the low bits of the user data; the rest is the pointer. */
enum uring_tag {
	TAG_OP = 0,
	TAG_RECV = 1,			/* a handle's multishot receive */
	TAG_ACCEPT = 2,			/* a handle's accept */
	TAG_NOBODY = 3,			/* cancels, and the wake-up */
};
#define TAG_MASK 3ull
#define UD_IGNORE ((uint64_t)TAG_NOBODY)
#define UD_WAKE ((uint64_t)TAG_NOBODY | 4u)

/*
 * An op's .next: while it waits in a list, the next one there. Of one that the kernel has, its
 * struct uring_vec or NULL, and in the low bits that a cancel is on its way, and that its bytes are
 * lent to the kernel instead of copied.
 */
#define OP_CANCELLED 1u
#define OP_LENDS 2u
#define OP_BITS 3u
/* The same of a POLL, which is in both: in its events. */
#define POLL_CANCELLED (1u << 31)

/* ---- handles ---- */

enum uring_handle_flag {
	ARMED = 1u << 0,		/* the kernel has a multishot receive, or an accept */
	STOPPING = 1u << 1,		/* … and is being asked to give it up */
	ENDED = 1u << 2,		/* .end is to be told, after the buffers */
	ADOPTED = 1u << 3,		/* a listener that others may have, too */
};
#define CLOSING (1u << 31)

struct uring_fds {
	int *fd;
	unsigned first, len, cap;
};

/* In weir_handle.state. */
struct uring_handle {
	uint32_t refs;			/* what the kernel has, and CLOSING; atomic */
	uint16_t queued;		/* buffers nobody has asked for */
	uint8_t flags;			/* enum uring_handle_flag */
	uint8_t calm;			/* leases in a row that found little; a listener's accepts that failed */
	union {
		struct {
			uint32_t first, last;	/* of them: tokens plus one */
			struct weir_op *waiters;	/* the last, whose next is the first */
		};
		struct {		/* on the instance's list, once detached */
			struct weir_handle *prev, *next;
		};
	};
	int16_t end;			/* 0 or an errno, with ENDED */
	uint8_t away;			/* reads in a row that came from other workers */
	bool copies;			/* its socket does not take lent bytes; atomic */
	uint32_t lent;			/* sends whose bytes it has queued, and not given back; atomic */
	union {
		struct uring_fds *fds;	/* a listener's connections nobody has asked for */
		uint32_t direct;	/* a stream's number in the ring's table, plus one */
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

static inline struct uring_handle *state_of(struct weir_handle *h)
{
	return (struct uring_handle *)h->state;
}

/* Others may be counting theirs. */
static inline bool uring_is_closing(const struct uring_handle *s)
{
	return weir__load(&s->refs, WEIR_RELAXED) & CLOSING;
}

/* Make an open descriptor a handle of this instance. */
void weir__uring_handle_make(struct uring *u, struct weir_handle *h, int fd,
			     enum weir_handle_kind kind);
/* One more thing that the kernel has for it, or one less. The handle may be gone after a drop. */
void weir__uring_handle_hold(struct uring *u, struct weir_handle *h);
void weir__uring_handle_drop(struct uring *u, struct weir_handle *h);
/* Make this instance its home, if nothing of it is in flight; true: that, and held. */
bool weir__uring_handle_adopt(struct uring *u, struct weir_handle *h);
/* A detached one's multishot request is over. */
void weir__uring_unlist_closing(struct uring *u, struct weir_handle *h);
/* Forget a stream's number in the table, which holds the socket open. [owner] */
void weir__uring_forget_direct(struct uring *u, struct weir_handle *h);
/* [setup] Close those that are detached, when the kernel has nothing any more. */
void weir__uring_handles_fini(struct uring *u);

/* For the table. */
int weir__uring_attach(struct weir_backend *be, struct weir_handle *h,
		       const struct weir_handle_spec *spec);
void weir__uring_detach(struct weir_backend *be, struct weir_handle *h);
int weir__uring_control(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
			void *value, size_t len);

/*
 * What to tell an op that ended like this: of a handle that is being closed, -ECANCELED; and that
 * of one that was interrupted and is not made again.
 */
static inline int uring_result(struct weir_handle *h, int res)
{
	if (WEIR_UNLIKELY(res == -EINTR || res == -EAGAIN))
		return -ECANCELED;
	return res <= 0 && uring_is_closing(state_of(h)) ? -ECANCELED : res;
}

/* ---- lists of waiting ops; [home] ---- */

struct weir_op *weir__uring_first_waiter(const struct uring_handle *s);
void weir__uring_append_waiter(struct uring_handle *s, struct weir_op *op);
/* False if it is not among them. */
bool weir__uring_remove_waiter(struct uring_handle *s, struct weir_op *op);
/* Complete all of them. */
void weir__uring_fail_waiters(struct uring_handle *s, int res);

/* ---- ring.c: the ring ---- */

int weir__uring_ring_open(struct uring *u);
/* [setup] Make the kernel give up everything. */
void weir__uring_ring_quiesce(struct uring *u);
/* [setup] Have the completions that did not fit put there; false when there are none. */
bool weir__uring_ring_flush(struct uring *u);
/* Whether all that has completed is delivered. [owner] */
static inline bool uring_ring_is_empty(const struct uring *u)
{
	return io_uring_cq_ready(&u->ring) == 0 &&
	       !(IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW);
}
void weir__uring_ring_close(struct uring *u);
/* A fresh entry; NULL when the kernel would not take the ones before. [owner] */
struct io_uring_sqe *weir__uring_sqe(struct uring *u);
/* The kernel has work that it does only when it is called, or completions that did not fit. */
bool weir__uring_has_deferred(const struct uring *u);
/*
 * Hand over what has collected; wait for a completion, up to the deadline (0: do not wait). 0, or why the
 * kernel did neither: the entries stay in the ring.
 */
int weir__uring_enter(struct uring *u, uint64_t deadline);
/* Name the descriptor of a stream the cheapest way that the ring knows. [owner] */
void weir__uring_name(struct uring *u, struct weir_handle *h, struct io_uring_sqe *sqe);
/* Ask the kernel to give up the request with that user data. */
void weir__uring_cancel_request(struct uring *u, uint64_t user_data);
/* And everything that this ring has for an open descriptor. */
void weir__uring_cancel_fd(struct uring *u, int fd);

static inline void uring_tag(struct io_uring_sqe *sqe, const void *pointer, enum uring_tag tag)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)pointer | tag);
}

/* ---- what an op does ---- */

/*
 * Deliver what has completed, hand over what has collected, deliver again; see uring_enter. How
 * many have got on; an error, if none has, and the call failed or requests had to be made again.
 */
int weir__uring_turn(struct uring *u, uint64_t deadline, unsigned max);
/* Complete, and let go of the handle. */
void weir__uring_finish(struct uring *u, struct weir_op *op, int res);
/* Whether the op was told that it is not wanted any more; it then ends as it is. Not of a POLL. */
static inline bool uring_is_cancelled(const struct weir_op *op)
{
	return (uintptr_t)op->next & OP_CANCELLED;
}
/*
 * Whether a result says only that the request did not run: it is made again. The kernel cancels
 * the requests of a thread that ends, on rings that have no issuer.
 */
static inline bool uring_must_repeat(const struct weir_op *op, int res)
{
	return (res == -EINTR || res == -EAGAIN || res == -ECANCELED || res == -EFAULT) &&
	       !uring_is_cancelled(op) && !uring_is_closing(state_of(op->handle));
}

/*
 * It is made again. A turn in which nothing else has happened has failed: should the next ones, too,
 * the worker makes them at longer and longer intervals (core/driver.h).
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
/* Give back the buffers that nobody has asked for. */
void weir__uring_recv_forget(struct uring *u, struct uring_handle *s);

/* send.c: SEND*, and the entries and completions of RECV and RECVV, which are alike */
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

/* file.c: OPEN to MKDIR */
void weir__uring_submit_file(struct uring *u, struct weir_op *op);
void weir__uring_file_done(struct uring *u, struct weir_op *op, int res);

#endif
