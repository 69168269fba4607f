/* SPDX-License-Identifier: MIT */
/*
 * op.h: operations, the verbs of a backend, as futures.
 *
 * From submit until its completion is delivered, an op and its buffers belong to
 * the backend. A cancel is a request: it returns no memory.
 *
 * An op is one request: receive these bytes, accept one connection, open that file.
 * The calls of net.h are written over ops. A program uses ops itself where it has no
 * fiber to wait on (a stackless task), or where one task waits for several things at
 * a time (a select, a select set).
 *
 *	weir_op_init_* ──► poll: submit ──► in flight ──► complete ──► poll: result
 *	                 ▲        │  (done at once)           ▲
 *	                 │        └───────────────────────────┘
 *	                 └── retry ◄── in flight	(readiness backends)
 *
 * The life of an op:
 *  - The caller provides the memory: a task's state, or a fiber's stack.
 *  - weir_op_init_x says what to do. Nothing happens yet.
 *  - The first poll submits the op to the backend of the worker that polls. If the
 *    backend can finish it at once, that poll returns the result. Otherwise it
 *    returns WEIR_PENDING, and the task is woken when the op is complete.
 *  - A readiness backend may return the op when the descriptor has become ready. The
 *    task's next poll then submits it again; the task does not notice.
 *  - The poll that returns a result ends the op. Another init starts the next one.
 *
 *	struct weir_op op;
 *
 *	weir_op_init_recv(&op, weir_tcp_handle(conn), buf, sizeof(buf), 0);
 *	rc = weir_await(&op.future);		on a fiber; a stackless task polls it
 *
 * Cancel: weir_cancel(&op.future) asks the backend to give the op up. The op still
 * finishes: with its own result if that came first, otherwise with -ECANCELED. So a
 * connection that was accepted, or bytes that were received, are never lost. A
 * transfer says in its member done how many bytes it had moved, also when its result
 * is an error.
 *
 * Do not: touch a buffer, an address, an iovec or the op itself while it is in flight;
 * let any of them go out of scope then; poll one op from two tasks; initialize an op
 * that is in flight (a debug build stops there).
 */
#ifndef WEIR_OP_H
#define WEIR_OP_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "weir/base.h"
#include "weir/future.h"

struct weir_backend;
struct weir_handle;

/*
 * What an op does. The first nine work on a handle: a stream, a listener or a foreign
 * descriptor. The others work on files, by descriptor or path, and have no handle.
 */
enum weir_op_code {
	WEIR_OP_ACCEPT = 0,	/* into a fresh handle */
	WEIR_OP_CONNECT,
	WEIR_OP_RECV,		/* into the caller's buffer */
	WEIR_OP_RECV_LEASE,	/* into a buffer of the backend's */
	WEIR_OP_RECVV,
	WEIR_OP_SEND,
	WEIR_OP_SENDV,
	WEIR_OP_SEND_LEASE,	/* from a leased buffer, which the op takes */
	WEIR_OP_POLL,		/* wait for readiness of a foreign descriptor */
	WEIR_OP_OPEN,
	WEIR_OP_READ,
	WEIR_OP_WRITE,
	WEIR_OP_STAT,
	WEIR_OP_FSYNC,
	WEIR_OP_RENAME,
	WEIR_OP_UNLINK,
	WEIR_OP_MKDIR,
	WEIR_OP_CODES
};

/*
 * Who owns an op. Only the core and backends look at this; a program looks at what poll
 * returns.
 */
enum weir_op_state {
	WEIR_OP_IDLE = 0,	/* the caller's */
	WEIR_OP_INFLIGHT,	/* the backend's */
	WEIR_OP_DONE,		/* the caller's again; .res is the result */
	WEIR_OP_RETRY,		/* the caller's: its next poll submits it again */
};

/*
 * How a transfer is made. Without a flag it waits until at least one byte can move, and
 * then moves what it can. WEIR_OP_ALL has no effect together with WEIR_OP_PEEK.
 */
enum weir_op_flag {
	WEIR_OP_ALL = 1u << 0,		/* finish only when every byte has moved (or an error) */
	WEIR_OP_PEEK = 1u << 1,		/* RECV: leave the bytes there */
	WEIR_OP_TRY = 1u << 2,		/* never wait: -EAGAIN instead */
};

/*
 * What WEIR_OP_POLL and weir_fd_wait wait for, and report. Errors and hang-ups are reported
 * whether they were asked for or not.
 */
enum weir_poll_event {
	WEIR_READABLE = 1u << 0,
	WEIR_WRITABLE = 1u << 1,
	WEIR_PRIORITY = 1u << 2,	/* out-of-band data */
	WEIR_HANGUP = 1u << 3,		/* reported, never asked for */
	WEIR_FAULT = 1u << 4,		/* reported, never asked for */
};

/*
 * A buffer that a backend has lent: [data, data + len) belongs to the caller until the caller
 * returns it (weir_lease_return) or sends it (weir_op_init_send_lease, weir_tcp_send_lease).
 * An empty lease has data NULL.
 *
 * With leases an idle connection holds no buffer: the backend takes one when bytes arrive.
 * The backend allocates more of them as a program keeps more, until a receive is -ENOMEM.
 */
struct weir_lease {
	uint8_t *data;
	uint32_t len;
	uint32_t token;			/* the backend's name for the buffer */
	struct weir_backend *owner;
};

/* C++ has no anonymous types in an anonymous union. */
struct weir__op_target {
	int fd;
	uint32_t len;
};
struct weir__op_how {
	int flags;
	uint32_t mode;
};

/*
 * One request. A program initializes it, awaits or polls its future, and may read res and
 * done after that. All other members are for the core and for backends: they are public
 * because an op lives in the caller's memory.
 *
 *	future, leaf	make it awaitable; they hold the waker of the task that waits
 *	code, flags	what to do, and how
 *	state, asked	who owns it; what was requested of another worker
 *	backend		the instance that it was submitted to
 *	link, next	its place in a mailbox; its place in the backend's queues
 *	u		the arguments, and the progress of a transfer
 */
struct weir_op {
	union {				/* one memory: every future has a member .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	uint8_t code;			/* enum weir_op_code */
	uint8_t state;			/* enum weir_op_state, atomic */
	uint8_t flags;			/* enum weir_op_flag */
	uint8_t asked;			/* the core's, atomic (core/mailbox.h) */
	int32_t res;			/* a count, 0, or a negative errno; once DONE */
	union {
		struct weir_handle *handle;	/* all codes but those on files */
		struct weir__op_target target;	/* READ, WRITE, FSYNC (len: only the data) */
		struct weir__op_how how;	/* OPEN, UNLINK, MKDIR */
	};
	struct weir_backend *backend;	/* the instance that it was submitted to */
	struct weir__link link;		/* the core's, while it travels to another worker */
	struct weir_op *next;		/* the backend's, while in flight */
	union {
		struct {		/* RECV, SEND */
			uint8_t *buf;
			uint32_t len;
			uint32_t done;
		} io;
		struct {		/* RECVV, SENDV; iov is the caller's and not changed */
			const struct iovec *iov;
			uint32_t count;
			uint32_t done;
		} iov;
		struct {		/* RECV_LEASE, SEND_LEASE */
			struct weir_lease *lease;
			uint32_t max;	/* RECV_LEASE; 0: as much as a buffer holds */
			uint32_t done;	/* SEND_LEASE */
		} lease;
		struct {		/* ACCEPT; the handle is zeroed, and not in use */
			struct weir_handle *handle;
		} accept;
		struct {		/* CONNECT */
			const struct sockaddr *addr;
			uint32_t len;
			uint32_t started;
		} connect;
		struct {		/* POLL: enum weir_poll_event; .res says what came */
			uint32_t events;
		} poll;
		struct {		/* READ, WRITE */
			uint8_t *buf;
			uint64_t offset;
		} file;
		struct {		/* OPEN, STAT, RENAME (to: a path), UNLINK, MKDIR */
			const char *path;
			void *to;
		} path;
	} u;
};

WEIR_BEGIN_DECLS

/*
 * Every op can also finish with one of these:
 *
 *	-ECANCELED	it was cancelled, or its handle was closed, before it completed
 *	-EBADF		there is no handle, or the handle is closed
 *	-EOPNOTSUPP	the worker's backend does not have the operation
 *	-ENODEV		the runtime has no I/O driver
 *	-ENXIO		it was polled outside a worker
 *
 * and with the negative errno that the system gave for the request. The comments below say
 * what else there is.
 */

/* ---- streams ---- */

/**
 * Set a receive up: up to len bytes into buf.
 *
 * With WEIR_OP_ALL it finishes when all len bytes have come, or the stream has ended. With
 * WEIR_OP_PEEK the bytes stay in the stream. With WEIR_OP_TRY it does not wait.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until there are bytes, or the stream has ended or broken
 * Owns:     buf belongs to the backend from the first poll to the result
 * Cancel:   u.io.done bytes were received
 * Returns:  the bytes; 0 at the end of the stream; -EAGAIN with WEIR_OP_TRY if there are none;
 *           -EFAULT for a buf of NULL with a len; -EINVAL for len 0 (the result could not be
 *           told from the end) unless WEIR_OP_ALL is set, and for more than INT_MAX bytes
 *           with WEIR_OP_ALL
 * Since:    0.1
 */
WEIR_API void weir_op_init_recv(struct weir_op *op, struct weir_handle *handle, void *buf,
				size_t len, unsigned flags);

/**
 * Set a receive up whose buffer the backend lends. *ret_lease is emptied at once.
 *
 * The backend takes a buffer when bytes arrive, so nothing is held while the op waits.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until there are bytes, or the stream has ended or broken
 * Owns:     the lease belongs to the caller if the result is greater than 0; ret_lease must
 *           stay valid until there is a result
 * Cancel:   nothing was received, unless the result is greater than 0
 * Returns:  the bytes; 0 at the end of the stream; -ENOMEM without a free buffer;
 *           -EOPNOTSUPP if the backend lends none
 * Since:    0.1
 */
WEIR_API void weir_op_init_recv_lease(struct weir_op *op, struct weir_handle *handle,
				      struct weir_lease *ret_lease);

/**
 * Set a receive up into count buffers, which are filled in their order.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    as weir_op_init_recv
 * Owns:     the array and its buffers belong to the backend from the first poll to the result
 * Cancel:   u.iov.done bytes were received
 * Returns:  the bytes; 0 at the end of the stream; -EFAULT for NULL with a length or count that
 *           is not 0; -EINVAL if the buffers have no room at all
 * Since:    0.1
 */
WEIR_API void weir_op_init_recvv(struct weir_op *op, struct weir_handle *handle,
				 const struct iovec *iov, unsigned count);

/**
 * Set a send up: up to len bytes from buf. With WEIR_OP_ALL it finishes when the system has
 * taken all of them; with WEIR_OP_TRY it does not wait.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until the system takes at least one byte
 * Owns:     buf belongs to the backend from the first poll to the result
 * Cancel:   u.io.done bytes were sent
 * Returns:  the bytes; -EAGAIN with WEIR_OP_TRY if there is no room; -EPIPE, -ECONNRESET, …;
 *           -EFAULT for a buf of NULL with a len; -EINVAL for more than INT_MAX bytes with
 *           WEIR_OP_ALL
 * Since:    0.1
 */
WEIR_API void weir_op_init_send(struct weir_op *op, struct weir_handle *handle, const void *buf,
				size_t len, unsigned flags);

/**
 * Set a send up from count buffers, in their order. The flags are those of weir_op_init_send.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    as weir_op_init_send
 * Owns:     the array and its buffers belong to the backend from the first poll to the result
 * Cancel:   u.iov.done bytes were sent
 * Returns:  as weir_op_init_send; -EFAULT for NULL with a length or count that is not 0
 * Since:    0.1
 */
WEIR_API void weir_op_init_sendv(struct weir_op *op, struct weir_handle *handle,
				 const struct iovec *iov, unsigned count, unsigned flags);

/**
 * Set a send up: all bytes of a lease, which belongs to the operation from the first poll on.
 *
 * The rule: after the first poll the caller has nothing to return. With the result *lease is
 * empty, whether the bytes were sent, or the operation failed, was cancelled or was refused. An
 * operation that was never polled has taken nothing. So the fini of a task may always call
 * weir_lease_return: if the operation took the lease, that does nothing. (Decision 22.)
 *
 * The operation finishes when the backend has queued all bytes. A kernel has copied them by then;
 * one that sends without copying (io_uring with zero-copy) has sent them. A network stack in user
 * space keeps the buffer until the peer has acknowledged the bytes, and returns it then.
 *
 * The lease may come from any stream, worker and backend. If a backend must keep the bytes longer
 * than the operation lasts, and another one lent the buffer, it copies them.
 *
 *	weir_op_init_recv_lease(&op, from, &lease);	... a result greater than 0
 *	weir_op_init_send_lease(&op, to, &lease);	... any result: lease is empty
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until the backend has queued all bytes
 * Owns:     *lease belongs to the backend from the first poll to the result, and must stay valid
 *           until then; its buffer is returned by the operation, or later by the backend
 * Cancel:   u.lease.done bytes were queued; the others are lost
 * Returns:  the bytes; 0 for an empty lease; -ENOMEM; -EPIPE, -ECONNRESET, …
 * Since:    0.1
 */
WEIR_API void weir_op_init_send_lease(struct weir_op *op, struct weir_handle *handle,
				      struct weir_lease *lease);

/**
 * Set an accept up: one connection from a listener's queue, into a handle that is zeroed.
 *
 * Programs use weir_accept_init (net.h), which makes the stream, and waits and tries again when
 * descriptors run out. This one is for authors of other kinds of streams.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until there is a connection
 * Owns:     the memory of *ret_handle stays the caller's; after 0 the handle is open
 * Cancel:   a connection that came first is returned, not lost
 * Returns:  0; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: the connection stays in the queue;
 *           -ECONNABORTED and the like for a connection that died there
 * Since:    0.1
 */
WEIR_API void weir_op_init_accept(struct weir_op *op, struct weir_handle *listener,
				  struct weir_handle *ret_handle);

/**
 * Set a connect up, of a stream made by weir_tcp_new.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until the peer answers
 * Owns:     *addr belongs to the backend from the first poll to the result
 * Cancel:   the stream can only be closed, unless the result is 0
 * Returns:  0; -EAGAIN if the queue of a Unix listener is full: try again later; -ECONNREFUSED,
 *           -EHOSTUNREACH, …; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM; -EAFNOSUPPORT for an address of
 *           another family than the stream's; the error of an option that was set before
 * Since:    0.1
 */
WEIR_API void weir_op_init_connect(struct weir_op *op, struct weir_handle *handle,
				   const struct sockaddr *addr, socklen_t len);

/**
 * Set a wait for readiness up, for events of enum weir_poll_event. It is level-triggered: what
 * is ready at the first poll is reported, whether or not it was reported before.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until one of the events has come
 * Cancel:   nothing was consumed
 * Returns:  the events that came; -EOPNOTSUPP for WEIR_PRIORITY where the system cannot tell it
 * Since:    0.1
 */
WEIR_API void weir_op_init_poll(struct weir_op *op, struct weir_handle *handle, unsigned events);

/* ---- files ---- */

/*
 * Only completion backends have these (WEIR_CAP_FILE): elsewhere a program makes the system call
 * on the blocking pool (blocking.h). Paths are relative to the working directory. Paths,
 * buffers and the room for results belong to the backend from the first poll to the result. An
 * operation that the kernel has begun cannot be interrupted: a cancel waits for its result.
 */

/* For the offset of a read or a write: use the descriptor's position, and move it. */
#define WEIR_FILE_POSITION UINT64_MAX

/**
 * Set an open up, with flags and mode as for open(2). O_CLOEXEC is added.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until the file is open
 * Owns:     the caller closes the descriptor. If its task was aborted before it could take it,
 *           weir closes it
 * Cancel:   a file that was opened first is returned, not lost
 * Returns:  the new descriptor; the errno of open(2)
 * Since:    0.1
 */
WEIR_API void weir_op_init_open(struct weir_op *op, const char *path, int flags, unsigned mode);

/**
 * Set a read up: up to len bytes at an offset, or at WEIR_FILE_POSITION.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until the bytes are there
 * Owns:     buf belongs to the backend from the first poll to the result
 * Cancel:   nothing was read, unless the result is greater than 0
 * Returns:  the bytes, fewer than len at the end of the file; the errno of pread(2)
 * Since:    0.1
 */
WEIR_API void weir_op_init_read(struct weir_op *op, int fd, void *buf, size_t len,
				uint64_t offset);

/**
 * Set a write up: up to len bytes at an offset, or at WEIR_FILE_POSITION.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Waits:    until the system has taken the bytes
 * Owns:     buf belongs to the backend from the first poll to the result
 * Cancel:   nothing was written, unless the result is greater than 0
 * Returns:  the bytes; -EPIPE, without a signal, for a pipe or a socket that nobody reads; -EFBIG
 *           for a file that would grow beyond RLIMIT_FSIZE, which also raises SIGXFSZ, as
 *           write(2) does; the errno of pwrite(2)
 * Since:    0.1
 */
WEIR_API void weir_op_init_write(struct weir_op *op, int fd, const void *buf, size_t len,
				 uint64_t offset);

/**
 * Set a stat up, which fills in a struct statx with its basic fields. It follows links.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Owns:     *ret_statx must stay valid until there is a result
 * Returns:  0; the errno of statx(2)
 * Since:    0.1
 */
WEIR_API void weir_op_init_stat(struct weir_op *op, const char *path, void *ret_statx);

/**
 * Set a flush up: what was written to a file goes to its device; with data_only, without
 * metadata that reading the data does not need.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Returns:  0; the errno of fsync(2)
 * Since:    0.1
 */
WEIR_API void weir_op_init_fsync(struct weir_op *op, int fd, bool data_only);

/**
 * Set a rename up, which replaces what has the new name.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Returns:  0; the errno of rename(2)
 * Since:    0.1
 */
WEIR_API void weir_op_init_rename(struct weir_op *op, const char *from, const char *to);

/**
 * Set the removal of a name up; AT_REMOVEDIR as flags removes a directory.
 *
 * Thread:   [any]; the task that polls it first owns it
 * Returns:  0; the errno of unlinkat(2)
 * Since:    0.1
 */
WEIR_API void weir_op_init_unlink(struct weir_op *op, const char *path, int flags);

/**
 * Set the creation of a directory up, with a mode as for mkdir(2).
 *
 * Thread:   [any]; the task that polls it first owns it
 * Returns:  0; the errno of mkdir(2)
 * Since:    0.1
 */
WEIR_API void weir_op_init_mkdir(struct weir_op *op, const char *path, unsigned mode);

/* ---- leases ---- */

/**
 * Return a lease to the backend that lent it, and empty it. An empty one is allowed.
 *
 * Thread:   [any], while the runtime exists
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_lease_return(struct weir_lease *lease);

WEIR_END_DECLS

#endif
