/* SPDX-License-Identifier: MIT */
/*
 * op.h: operations, the verbs of a backend, as futures.
 *
 * From submit until its completion is delivered, an op and its buffers belong to
 * the backend; cancel is a request and returns no memory.
 *
 *	weir_op_init_* ──► poll: submit ──► in flight ──► complete ──► poll: result
 *	                 ▲        │  (done at once)           ▲
 *	                 │        └───────────────────────────┘
 *	                 └── retry ◄── in flight	(readiness backends)
 *
 * An op is a leaf future: embed it in a task's state or put it on a fiber's
 * stack, initialize it with one of the functions below and poll it. One op is
 * one request; initialize it again for the next.
 *
 * A result that won the race against its own cancel is reported. An op that
 * moves bytes keeps what it had moved in .done, also when the result is an
 * error.
 */
#ifndef WEIR_OP_H
#define WEIR_OP_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "weir/base.h"
#include "weir/future.h"

struct weir_backend;
struct weir_handle;

enum weir_op_code {
	WEIR_OP_ACCEPT = 0,	/* into a fresh handle */
	WEIR_OP_CONNECT,
	WEIR_OP_RECV,		/* into the caller's buffer */
	WEIR_OP_RECV_LEASE,	/* into a buffer of the backend's */
	WEIR_OP_RECVV,
	WEIR_OP_SEND,
	WEIR_OP_SENDV,
	WEIR_OP_POLL,		/* wait for readiness of a foreign descriptor */
	/* Files, by descriptor or path: these have no handle. */
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

enum weir_op_state {
	WEIR_OP_IDLE = 0,	/* the caller's */
	WEIR_OP_INFLIGHT,	/* the backend's */
	WEIR_OP_DONE,		/* the caller's again; .res is the result */
	WEIR_OP_RETRY,		/* the caller's: its next poll submits it again */
};

enum weir_op_flag {
	WEIR_OP_ALL = 1u << 0,		/* finish only when every byte has moved (or an error) */
	WEIR_OP_PEEK = 1u << 1,		/* RECV: leave the bytes there */
	WEIR_OP_TRY = 1u << 2,		/* never wait: -EAGAIN instead */
};

enum weir_poll_event {
	WEIR_READABLE = 1u << 0,
	WEIR_WRITABLE = 1u << 1,
	WEIR_PRIORITY = 1u << 2,	/* out-of-band data */
	WEIR_HANGUP = 1u << 3,		/* reported, never asked for */
	WEIR_FAULT = 1u << 4,		/* reported, never asked for */
};

/*
 * A buffer lent by a backend: [data, data + len) is the caller's until it gives
 * the lease back (weir_lease_return) or to a send. An empty lease has data NULL.
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

struct weir_op {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	uint8_t code;			/* enum weir_op_code */
	uint8_t state;			/* enum weir_op_state, atomic */
	uint8_t flags;			/* enum weir_op_flag */
	uint8_t asked;			/* the core's, atomic: see core/mailbox.h */
	int32_t res;			/* a count, 0, or a negative errno; once DONE */
	union {
		struct weir_handle *handle;	/* of all but those on files */
		struct weir__op_target target;	/* READ, WRITE, FSYNC (len: only the data) */
		struct weir__op_how how;	/* OPEN, UNLINK, MKDIR */
	};
	struct weir_backend *backend;	/* that it was submitted to */
	struct weir__link link;		/* the core's, on its way to another worker */
	struct weir_op *next;		/* the backend's, while in flight */
	union {
		struct {		/* RECV, SEND */
			uint8_t *buf;
			uint32_t len;
			uint32_t done;
		} io;
		struct {		/* RECVV, SENDV; iov is the caller's, not changed */
			const struct iovec *iov;
			uint32_t count;
			uint32_t done;
		} iov;
		struct {		/* RECV_LEASE: room for the lease; max 0: a whole buffer */
			struct weir_lease *lease;
			uint32_t max;
		} lease;
		struct {		/* ACCEPT: a handle nobody uses yet */
			struct weir_handle *handle;
		} accept;
		struct {		/* CONNECT */
			const struct sockaddr *addr;
			uint32_t len;
			uint32_t started;
		} connect;
		struct {		/* POLL: enum weir_poll_event; .res is what came */
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

/**
 * Set an operation up. The buffers, the address, the iovec and the lease's room are the
 * backend's from the first poll to the result.
 *
 * Results, besides -ECANCELED: RECV* the bytes, 0 at end of stream; SEND* the bytes (with
 * WEIR_OP_ALL all of them); ACCEPT 0, and the fresh handle is open; CONNECT 0, or -EAGAIN where
 * the queue of a Unix listener is full: ask again later; POLL the
 * events; OPEN the new descriptor, READ and WRITE the bytes, the other file operations 0; or
 * the negative errno of the failed call. -EFAULT for NULL as buffer, iovec or
 * element of one, of a length or count that is not 0. -EINVAL for a receive without room (which could not be told from the end), and
 * with WEIR_OP_ALL for more than INT_MAX bytes, of a buffer or of all the iovec; other transfers of
 * so much move a part, as any. -EOPNOTSUPP where the backend does not have the operation, as only
 * completion backends have those on files. -ESHUTDOWN after the runtime has closed, -ENODEV without
 * an I/O driver, -ENXIO outside a worker.
 *
 * Thread:   [any]; the op is started by the task that polls it
 * Since:    0.1
 */
WEIR_API void weir_op_init_recv(struct weir_op *op, struct weir_handle *handle, void *buf,
				size_t len, unsigned flags);
WEIR_API void weir_op_init_recv_lease(struct weir_op *op, struct weir_handle *handle,
				      struct weir_lease *ret_lease);
WEIR_API void weir_op_init_recvv(struct weir_op *op, struct weir_handle *handle,
				 const struct iovec *iov, unsigned count);
WEIR_API void weir_op_init_send(struct weir_op *op, struct weir_handle *handle, const void *buf,
				size_t len, unsigned flags);
WEIR_API void weir_op_init_sendv(struct weir_op *op, struct weir_handle *handle,
				 const struct iovec *iov, unsigned count, unsigned flags);
WEIR_API void weir_op_init_accept(struct weir_op *op, struct weir_handle *listener,
				  struct weir_handle *ret_handle);
WEIR_API void weir_op_init_connect(struct weir_op *op, struct weir_handle *handle,
				   const struct sockaddr *addr, socklen_t len);
WEIR_API void weir_op_init_poll(struct weir_op *op, struct weir_handle *handle, unsigned events);

/* Bytes at an offset; WEIR_FILE_POSITION: where the descriptor is, and moves on. */
#define WEIR_FILE_POSITION UINT64_MAX

/**
 * The same for operations on files. Paths (relative to the working directory), buffers and the
 * room for results are the backend's until the result.
 *
 * A write to a pipe or a socket that nobody reads is -EPIPE, without a signal. One that would make a
 * file larger than RLIMIT_FSIZE is -EFBIG and raises SIGXFSZ, as write(2) does.
 *
 * open: flags and mode as of open(2), O_CLOEXEC is added; the result is the caller's to close;
 * nobody's, because its stackless task was aborted, it is closed. stat fills a struct statx with its basic
 * fields. unlink takes AT_REMOVEDIR to remove a directory.
 *
 * Thread:   [any]; the op is started by the task that polls it
 * Since:    0.1
 */
WEIR_API void weir_op_init_open(struct weir_op *op, const char *path, int flags, unsigned mode);
WEIR_API void weir_op_init_read(struct weir_op *op, int fd, void *buf, size_t len,
				uint64_t offset);
WEIR_API void weir_op_init_write(struct weir_op *op, int fd, const void *buf, size_t len,
				 uint64_t offset);
WEIR_API void weir_op_init_stat(struct weir_op *op, const char *path, void *ret_statx);
WEIR_API void weir_op_init_fsync(struct weir_op *op, int fd, bool data_only);
WEIR_API void weir_op_init_rename(struct weir_op *op, const char *from, const char *to);
WEIR_API void weir_op_init_unlink(struct weir_op *op, const char *path, int flags);
WEIR_API void weir_op_init_mkdir(struct weir_op *op, const char *path, unsigned mode);

/**
 * Give a lease back. Clears it; an empty one is allowed.
 *
 * Thread:   [any] while the runtime exists
 * Since:    0.1
 */
WEIR_API void weir_lease_return(struct weir_lease *lease);

WEIR_END_DECLS

#endif
