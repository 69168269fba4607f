/* SPDX-License-Identifier: MIT */
/*
 * net.h: TCP and Unix-domain listeners and streams. They are written once over
 * operations (op.h), so the same program runs on every backend.
 *
 *	weir_listener_open ──► accept … (or serve) ──► weir_listener_close
 *	weir_tcp_connect / accept ──► recv, send … ──► weir_tcp_close
 *
 * The two directions of a stream are independent: one task may read while another
 * writes. In each direction one task may wait at a time. Either one task closes the
 * whole stream, or the stream is split (weir_tcp_split) and each half is closed by
 * the task that owns it.
 *
 * Closing a stream cancels the calls that are pending on it in other tasks: they
 * return -ECANCELED. A close must not race with another task that is just starting
 * a call; split the stream for that.
 *
 * A broken stream stays broken. Every later receive returns an error, and so does a
 * receive beside or after a failed send; none returns 0. So 0 means that all bytes of
 * the peer have arrived. A program that gives up a stream before it is finished resets it
 * (weir_tcp_reset), so that the peer can rely on the same.
 *
 * Every waiting call must be made on a fiber. For stackless tasks each has a twin:
 * the op of op.h, on weir_tcp_handle(stream). Calls ending in _until take an absolute
 * deadline. When a call that moves all of several bytes returns -ETIMEDOUT, its
 * ret_done says how many it has moved.
 *
 * To copy bytes both ways between two streams, as a proxy does, use relay.h.
 */
#ifndef WEIR_NET_H
#define WEIR_NET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "weir/base.h"
#include "weir/op.h"
#include "weir/task.h"
#include "weir/time.h"

struct weir_handle;
struct weir_listener;
struct weir_tcp;

/* An address of any family. */
struct weir_addr {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_storage storage;
	} u;
};

/*
 * How many sockets a listener has. With several shards each has a socket on the same port, and
 * belongs to some of the workers. An accept takes a connection from the shard of its worker.
 */
enum weir_shards {
	WEIR_SHARDS_ONE = 0,
	WEIR_SHARDS_GROUP,		/* one per group of the runtime's plan (topo.h) */
	WEIR_SHARDS_WORKER,		/* one per worker */
};

/* To which shard the kernel gives a new connection. */
enum weir_steer {
	WEIR_STEER_HASH = 0,		/* to any; shares in proportion to the shards' workers, or
					 * with reuse_port equal shares for all sockets */
	WEIR_STEER_CPU,			/* to the shard of the CPU that received its first packet */
};

/*
 * Probes of a silent peer: the seconds of silence before the first, the seconds from one to the
 * next, and after how many without an answer the stream is broken.
 */
struct weir_keepalive {
	int idle_s, interval_s, count;	/* idle_s 0: off; the others 0: the system's */
};

struct weir_listener_config {
	size_t size;			/* sizeof(struct weir_listener_config) */
	int backlog;			/* of each socket: 4096 */
	bool reuse_port;		/* share the port with other listeners that set this, of
					 * any process of the same user */
	bool v6_only;
	bool no_nodelay;		/* accepted streams keep Nagle's algorithm */
	enum weir_shards shards;	/* a Unix address always has one socket */
	enum weir_steer steer;		/* for several shards only */
	/* For accepted streams (weir_tcp_set_keepalive). idle_s 0: no probes. */
	struct weir_keepalive keepalive;
};
#define WEIR_LISTENER_CONFIG_INIT WEIR_SIZED_INIT(weir_listener_config)

/* The directions of a stream that is split. */
enum weir_half {
	WEIR_HALF_READ = 1,
	WEIR_HALF_WRITE = 2,
};

WEIR_BEGIN_DECLS

/* ---- addresses ---- */

/**
 * Parse an address:
 *
 *	127.0.0.1:80, [::1]:80		an address and a port
 *	*:80, :80			any IPv4 address
 *	[::]:80				any address, IPv4 too unless the listener is v6_only
 *	[fe80::1%eth0]:80, [fe80::1%2]:80	with an interface, by name or number
 *	tcp://…				any of these
 *	unix:/path			a Unix socket
 *	unix:@name			an abstract Unix socket (Linux)
 *
 * Names, such as "localhost", are not addresses: see weir_resolve.
 *
 * Thread:   [any]
 * Returns:  0; -EINVAL (not an address, no port, port above 65535, no such interface);
 *           -ENAMETOOLONG for a path
 * Since:    0.1
 */
WEIR_API int weir_addr_parse(const char *text, struct weir_addr *ret_addr);

/**
 * Write an address as weir_addr_parse reads it. A Unix socket without a name is "unix:".
 *
 * Thread:   [any]
 * Returns:  the length of the whole text, as snprintf does: if that is not less than len, the text
 *           was cut; -EINVAL without a buf for a len that is not 0
 * Since:    0.1
 */
WEIR_API int weir_addr_format(const struct weir_addr *addr, char *buf, size_t len);
/** The port in host order; 0 if the family has none. Thread: [any]. Since: 0.1 */
WEIR_API uint16_t weir_addr_port(const struct weir_addr *addr);
/** Change the port, where the family has one. Thread: [any]. Since: 0.1 */
WEIR_API void weir_addr_set_port(struct weir_addr *addr, uint16_t port);

/**
 * Resolve "host:port" with getaddrinfo on the blocking pool. A numeric address needs no resolver
 * and is returned at once. The addresses are in the system's order of preference (RFC 6724).
 *
 * A running getaddrinfo cannot be interrupted. After a timeout or a cancel this call returns at
 * once, but the pool's thread stays busy until the system's resolver gives up.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the resolver answers, up to the deadline
 * Returns:  the number of addresses, up to max and to 32; -EINVAL; -ENAMETOOLONG; -ENOENT for
 *           an unknown name; -EAGAIN if the resolver, or the pool, cannot answer now; -EIO if
 *           the resolver failed; -ETIMEDOUT; -ECANCELED; -EPERM outside a fiber; -ESHUTDOWN;
 *           -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_resolve(const char *host_port, unsigned max, uint64_t deadline,
			  struct weir_addr *ret_addrs);

/* ---- listeners ---- */

/**
 * Open a listener of the current runtime, on a text as for weir_addr_parse or on an address.
 *
 * Each of several shards is opened on a worker of its own; if one fails, none is opened. For port
 * 0 all get the port that the first one got. Without reuse_port the shards share the port
 * only with each other: a second program gets -EADDRINUSE. In a runtime with one group,
 * WEIR_SHARDS_GROUP opens an ordinary listener.
 *
 * If the kernel cannot steer, or cannot give larger groups more connections, the listener is opened
 * all the same. Its sockets get equal shares then, and weir_listener_steer_error says why.
 *
 * Thread:   [worker]; for several shards on a fiber
 * Waits:    with several shards, until their workers have opened them; otherwise never
 * Cancel:   has no effect on this call
 * Returns:  0; -EINVAL, also for steer together with reuse_port (sockets of other programs
 *           would be counted); -E2BIG for a field of cfg that is newer than the library (base.h,
 *           Sizes); -EADDRINUSE, -EACCES, … of bind; -EMFILE; -ENOMEM; -EOPNOTSUPP for shards
 *           where the backend or the system (macOS) cannot share a port; -EPERM for
 *           shards outside a fiber; -ESHUTDOWN; -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_listener_open(const char *addr, const struct weir_listener_config *cfg,
				struct weir_listener **ret_listener);
WEIR_API int weir_listener_open_addr(const struct weir_addr *addr,
				     const struct weir_listener_config *cfg,
				     struct weir_listener **ret_listener);
/**
 * Make a listener of a socket that listens already, such as one from a service manager. Of the
 * configuration only no_nodelay and keepalive are used.
 *
 * Thread:   [worker]
 * Owns:     on success weir closes the descriptor, and makes it non-blocking; on failure it
 *           stays the caller's
 * Returns:  0; -EBADF; -ENOTSOCK; -EPROTOTYPE; -EINVAL if it does not listen, or for cfg; -E2BIG as
 *           weir_listener_open; -ENOMEM; -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_listener_adopt(int fd, const struct weir_listener_config *cfg,
				 struct weir_listener **ret_listener);
/** The address of a listener, with the port that was chosen. Thread: [worker]. Since: 0.1 */
WEIR_API int weir_listener_addr(struct weir_listener *listener, struct weir_addr *ret_addr);
/**
 * The handle of a listener, for programs that make accept operations themselves (op.h). With
 * several shards it is that of the first. NULL gives NULL.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API struct weir_handle *weir_listener_handle(struct weir_listener *listener);
/** How many sockets a listener has. Thread: [any]. Since: 0.1 */
WEIR_API unsigned weir_listener_shards(const struct weir_listener *listener);
/**
 * Why connections are not distributed as was asked: they are not steered, or groups of unequal
 * size get equal shares. The system cannot do it (-EOPNOTSUPP), or it refused; with a shard per
 * worker it is also an error if workers are not bound to one CPU each.
 *
 * Thread:   [any]
 * Returns:  0 if they are distributed as asked; otherwise the negative errno
 * Since:    0.1
 */
WEIR_API int weir_listener_steer_error(const struct weir_listener *listener);

/**
 * Accept a connection. TCP_NODELAY is set on it unless the configuration says no_nodelay.
 *
 * With several shards the connection comes from the shard of the worker on which the call
 * begins. So tasks on all workers must accept; otherwise some clients wait forever.
 *
 * If descriptors or memory run out (EMFILE, ENFILE, ENOBUFS, ENOMEM), the call pauses and tries
 * again, with pauses that grow up to a second. A connection that died in the queue is skipped.
 * After more than a second in which all connections were dead, their error is returned.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until there is a connection; _until: up to the deadline
 * Owns:     the caller closes *ret_conn
 * Cancel:   a connection that was accepted before the cancel took effect is returned, not lost
 * Returns:  0; -ECANCELED, also when the listener is closed; -ETIMEDOUT; -ENODEV for a deadline
 *           without a time driver; -EPERM outside a fiber; the listener's error
 * Since:    0.1
 */
WEIR_API int weir_listener_accept(struct weir_listener *listener, struct weir_tcp **ret_conn);
WEIR_API int weir_listener_accept_until(struct weir_listener *listener, uint64_t deadline,
					struct weir_tcp **ret_conn);
/**
 * The same, without waiting for a connection: -EAGAIN if there is none, and -EMFILE, -ENFILE,
 * -ENOBUFS or -ENOMEM if there is no room for it.
 *
 * Thread:   [worker] on a fiber
 * Waits:    for the worker of the shard, if the backend keeps listeners on their workers (io_uring)
 * Since:    0.1
 */
WEIR_API int weir_listener_accept_try(struct weir_listener *listener, struct weir_tcp **ret_conn);

/**
 * Close a listener with all its shards. Accepts that are pending in other tasks return -ECANCELED,
 * at once or at the end of their pause. The system resets the connections in the queue. NULL
 * is allowed.
 *
 * No task may call accept after this: the listener's memory is freed when the last pending
 * accept has returned. So a task that accepts in a loop must end the loop at -ECANCELED. If it
 * may be between two accepts, abort and join it before the close, or let it close the listener
 * itself. weir_listener_serve takes care of this.
 *
 * Shards of other workers may keep the port until their worker turns to the close. If
 * another socket shares the port (reuse_port) and the sysctl net.ipv4.tcp_migrate_req is set, the
 * kernel moves the connections in the queue to that socket instead of resetting them.
 *
 * Thread:   [worker]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_listener_close(struct weir_listener *listener);

/*
 * The future of an accept, pauses included. It finishes with 0 and *ret_conn, or with an error.
 * Its discard closes the connection.
 */
struct weir_accept_future {
	struct weir_future future;
	struct weir_listener *listener;
	struct weir_tcp **ret_conn;
	struct weir_tcp *conn;		/* the stream that this accept fills */
	uint64_t pause_ns;		/* the next pause, after EMFILE and similar errors */
	uint8_t phase;
	uint8_t dead;			/* dead connections in a row */
	bool cancelled;
	bool tries;			/* it does not wait: -EAGAIN */
	bool exactly;			/* from .listener, not from the worker's shard */
	union {
		struct weir_op op;
		struct weir_sleep_future sleep;
		struct weir_yield_future yield;
	} u;
};

/**
 * Set the future of an accept up. It keeps the listener's memory from its first poll to its
 * result.
 *
 * Thread:   [any]
 * Owns:     *ret_conn is written when it finishes with 0, and must stay valid until then
 * Cancel:   as weir_listener_accept
 * Since:    0.1
 */
WEIR_API void weir_accept_init(struct weir_accept_future *accept, struct weir_listener *listener,
			       struct weir_tcp **ret_conn);
/**
 * Release what an accept holds that will not be polled again. For the fini of a stackless task:
 * the task's operations are over by then. Does nothing if the accept finished or was never polled.
 *
 * Thread:   [worker]
 * Since:    0.1
 */
WEIR_API void weir_accept_fini(struct weir_accept_future *accept);

/* ---- serving ---- */

/* Which worker serves a connection, unless the backend keeps it on one: then that one does. */
enum weir_dispatch {
	WEIR_DISPATCH_LOCAL = 0,	/* the one that accepts it; all workers of a shard accept */
	WEIR_DISPATCH_LEAST_LOADED,	/* the one with the fewest in its group (with one shard: of
					 * all); one worker of each shard accepts */
};

/*
 * Starts to serve a connection, typically by spawning a task. The function owns the connection
 * from here on, so it must also close it if it cannot serve it. It is called on the worker that
 * shall serve the connection, and must not wait.
 */
typedef void (*weir_serve_fn)(struct weir_tcp *conn, void *arg);

struct weir_serve_config {
	size_t size;			/* sizeof(struct weir_serve_config) */
	enum weir_dispatch dispatch;
	/*
	 * Reserves room for a connection that was accepted. Returns 0 if there is room. If there is
	 * none: with may_wait it waits, on the accepting fiber, which accepts no other connection
	 * meanwhile; without may_wait it returns -EAGAIN, and the connection is reset. Any other
	 * error resets the connection and ends weir_listener_serve. NULL: there is always room.
	 */
	int (*admit)(void *arg, bool may_wait);
};
#define WEIR_SERVE_CONFIG_INIT WEIR_SIZED_INIT(weir_serve_config)

/**
 * Accept on every shard of a listener, and call fn(conn, arg) for each connection, on the worker
 * that shall serve it. A server in three lines:
 *
 *	static void start(struct weir_tcp *conn, void *arg)
 *	{
 *		weir_spawn_or_drop(echo, conn, weir_tcp_drop, NULL);
 *	}
 *
 *	rc = weir_listener_open("*:7000", &(struct weir_listener_config){
 *			.size = sizeof(struct weir_listener_config), .shards = WEIR_SHARDS_GROUP },
 *			&listener);
 *	if (rc == 0)
 *		rc = weir_listener_serve(listener, NULL, start, NULL);
 *
 * It runs until its task is aborted, or the listener is closed or fails. Before it returns it
 * serves the connections that are already in the queues (up to 4096 of each socket), but not
 * after a close. After it has returned, fn is not called again. Tasks that serve connections
 * continue.
 *
 * WEIR_DISPATCH_LEAST_LOADED counts for each worker the connections that were given to it, by
 * any listener, and are not closed. It passes over a worker that has not yet begun with an earlier
 * one, while others have. The tasks that fn spawns may be stolen like any other; for connections
 * that live on one worker, weir_tcp_spawn at least lets them begin there.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until one of these ends it, and fn was called for every accepted connection
 * Owns:     the listener stays the caller's, who closes it
 * Cancel:   stops it
 * Returns:  -ECANCELED when aborted or closed; -EINVAL; -E2BIG for a field of cfg that is newer
 *           than the library (base.h, Sizes); -EPERM outside a fiber; -ENOMEM; -ESHUTDOWN; the
 *           error of admit or of the listener
 * Since:    0.1
 */
WEIR_API int weir_listener_serve(struct weir_listener *listener,
				 const struct weir_serve_config *cfg, weir_serve_fn fn, void *arg);

/* ---- streams ---- */

/**
 * Connect to a text address or a name, or to an address. A name is resolved first; the first of
 * its addresses (up to 8) that answers is used, as weir_connect_init does. TCP_NODELAY is set.
 *
 * A socket that connects to a free port of its own machine can become its own peer; that counts as
 * refused. If the queue of a Unix listener is full, the call waits for room.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until connected, or refused by all addresses, up to the deadline
 * Owns:     the caller closes *ret_conn
 * Cancel:   nothing is left behind
 * Returns:  0; the last address's error (-ECONNREFUSED, -EHOSTUNREACH, …); -ETIMEDOUT; -EINVAL;
 *           -ENOENT, -EAGAIN, -EIO of the resolver; -ECANCELED; -EMFILE; -ENOMEM; -EPERM outside
 *           a fiber
 * Since:    0.1
 */
WEIR_API int weir_tcp_connect(const char *addr, uint64_t deadline, struct weir_tcp **ret_conn);
WEIR_API int weir_tcp_connect_addr(const struct weir_addr *addr, uint64_t deadline,
				   struct weir_tcp **ret_conn);

/* The most addresses that one connect tries. */
#define WEIR_CONNECT_ADDRS 8

/* An address that is being tried. */
struct weir__attempt {
	struct weir_op op;
	struct weir_tcp *conn;		/* NULL: it is over */
	uint8_t addr;
};

/*
 * The future of a connect to one of several addresses. It finishes with 0 and *ret_conn, or with
 * an error. Its discard closes the connection. It may be moved until it is first polled.
 */
struct weir_connect_future {
	struct weir_future future;
	const struct weir_addr *addrs;
	struct weir_tcp **ret_conn;
	struct weir_tcp *winner;
	struct weir__attempt *attempts;
	struct weir__attempt only;	/* used if there is a single address */
	/* Until the next address is tried as well, or the one with the full queue again. */
	struct weir_sleep_future pause;
	uint64_t full_ns;		/* the last pause because of a full queue */
	int error;			/* of the last failure */
	uint8_t first;			/* the address to begin with; may be set after init */
	uint8_t chosen;			/* the address that answered */
	uint8_t count, begun;
	uint8_t tried;			/* one bit per address */
	uint8_t phase;
	bool pausing;			/* the pause runs */
	bool cancelled;
};

/**
 * Set the future of a connect up, to one of up to WEIR_CONNECT_ADDRS addresses (RFC 8305).
 *
 * The addresses are tried one after the other, beginning with the first and alternating between
 * the families. The next one is started as soon as one has failed, or 250 ms after the last start
 * without an answer; so several may be tried at a time. The first that connects is used. The others
 * are given up, and are over when the future finishes. TCP_NODELAY is set. A single Unix address
 * whose listener has a full queue is tried again until there is room, after pauses of 1 to 64 ms.
 *
 * There is no limit in time; put a timeout around it. It finishes with 0; with the last failure
 * (-ECONNREFUSED, -EAFNOSUPPORT, -EMFILE, …) when all have failed; with -EINVAL without an
 * address; with -ENOMEM or -ECANCELED.
 *
 * Thread:   [any]
 * Owns:     the addresses, and *ret_conn, which is written when it finishes with 0, must stay valid
 * Cancel:   a connection that was made before the cancel took effect is returned, not lost
 * Since:    0.1
 */
WEIR_API void weir_connect_init(struct weir_connect_future *connect, const struct weir_addr *addrs,
				unsigned count, struct weir_tcp **ret_conn);
/**
 * Release what a connect holds that will not be polled again. For the fini of a stackless task:
 * the task's operations are over by then. Does nothing if the connect finished or was never
 * polled.
 *
 * Thread:   [worker]
 * Since:    0.1
 */
WEIR_API void weir_connect_fini(struct weir_connect_future *connect);

/**
 * Make a stream (AF_INET, AF_INET6, AF_UNIX) that is not connected, for a stackless task that
 * connects by hand: poll a weir_op_init_connect on its handle, and close the stream if that fails.
 *
 * It has no socket yet: the destination decides which backend makes it. Options that are set before
 * are kept, and applied when the connect begins. Everything else returns -ENOTCONN until then. Only
 * one task may use the stream until its connect has finished.
 *
 * Thread:   [worker]
 * Owns:     the caller closes *ret_conn
 * Returns:  0; -EAFNOSUPPORT; -ENOMEM; -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_tcp_new(int family, struct weir_tcp **ret_conn);

/**
 * Make a stream of a connected socket (TCP or Unix).
 *
 * A process that has a copy of the descriptor must not shut the socket down meanwhile: the end
 * that the peer then sends would look like a break.
 *
 * Thread:   [worker]
 * Owns:     on success weir closes the descriptor, and makes it non-blocking; on failure it
 *           stays the caller's
 * Returns:  0; -EBADF; -ENOTSOCK; -EPROTOTYPE if it is no stream; -EINVAL if it listens; -ENOMEM;
 *           -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_tcp_adopt(int fd, struct weir_tcp **ret_conn);

/**
 * Close a stream and free it. The system still delivers what was sent, followed by a FIN; if there
 * are received bytes that nobody read, it sends a reset instead. Calls that are pending in other
 * tasks return -ECANCELED. NULL is allowed.
 *
 * Thread:   [worker]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_tcp_close(struct weir_tcp *conn);
/**
 * The same with a reset, which discards what was not delivered. Unix streams have no reset: their
 * peer finds an end, or -ECONNRESET if it has sent bytes that nobody received.
 *
 * Thread:   [worker]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_tcp_reset(struct weir_tcp *conn);
/** weir_tcp_reset, with the type of a task's drop function. Thread: [worker]. Since: 0.1 */
WEIR_API void weir_tcp_drop(void *conn);

/**
 * Split a stream: from here on each direction has an owner, who closes it with
 * weir_tcp_close_half. Nobody calls weir_tcp_close any more.
 *
 * Thread:   [worker]
 * Waits:    never
 * Returns:  0; -EBUSY if it is split already
 * Since:    0.1
 */
WEIR_API int weir_tcp_split(struct weir_tcp *conn);
/**
 * Close a half of a split stream. Closing the write half sends a FIN; closing the read half sends
 * nothing. The second close frees the stream. Closing the same half twice before that does nothing.
 *
 * Thread:   [worker]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_tcp_close_half(struct weir_tcp *conn, enum weir_half half);

/**
 * The handle of a stream, for programs that make operations themselves (op.h). It is valid as
 * long as the stream. NULL gives NULL, and an operation on that returns -EBADF.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API struct weir_handle *weir_tcp_handle(struct weir_tcp *conn);

/**
 * Spawn a task on the worker where a stream lives, so that its operations need not travel: on a
 * backend that keeps streams on one worker (backend.h, WEIR_CAP_HOMED) the task's first poll is
 * there, and with WEIR_TASK_PINNED every poll. Any other stream lives on no worker in particular,
 * and this is weir_task_spawn on the current runtime.
 *
 * Thread:   [worker]
 * Waits:    never
 * Owns:     as weir_task_spawn; the stream stays the caller's
 * Returns:  as weir_task_spawn. For a stream that lives on a worker, .worker of cfg is ignored
 * Since:    0.1
 */
WEIR_API int weir_tcp_spawn(struct weir_tcp *conn, const struct weir_task_config *cfg,
			    struct weir_task **ret_task);

/**
 * Receive up to len bytes into a buffer, or into an array of buffers. A peek leaves the bytes in
 * the stream.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until there are bytes, or the stream has ended or broken; _until: up to the deadline
 * Owns:     the buffer belongs to the backend until the call returns
 * Cancel:   nothing was received; if bytes came first, they are returned, not lost
 * Returns:  the bytes; 0 at the end of the stream; -ECONNRESET, …; -ECANCELED, also when the
 *           stream is closed meanwhile; -ETIMEDOUT; -EBADF for no stream; -EFAULT for NULL with a
 *           len or count; -EINVAL without room; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_tcp_recv(struct weir_tcp *conn, void *buf, size_t len);
WEIR_API int weir_tcp_recv_until(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline);
WEIR_API int weir_tcp_recvv(struct weir_tcp *conn, const struct iovec *iov, unsigned count);
WEIR_API int weir_tcp_recvv_until(struct weir_tcp *conn, const struct iovec *iov, unsigned count,
				  uint64_t deadline);
WEIR_API int weir_tcp_peek(struct weir_tcp *conn, void *buf, size_t len);
WEIR_API int weir_tcp_peek_until(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline);
/** The same, but never waits: -EAGAIN without bytes. Thread: [worker] on a fiber. Since: 0.1 */
WEIR_API int weir_tcp_recv_try(struct weir_tcp *conn, void *buf, size_t len);
/**
 * Receive exactly len bytes (up to INT_MAX).
 *
 * Thread:   [worker] on a fiber
 * Waits:    until all have come, up to the deadline
 * Owns:     the buffer belongs to the backend until the call returns. *ret_done says how many
 *           bytes have come, whatever the result; ret_done may be NULL
 * Cancel:   *ret_done bytes were received
 * Returns:  len; -EPIPE if the stream ends early; -EINVAL for more than INT_MAX; otherwise as
 *           weir_tcp_recv
 * Since:    0.1
 */
WEIR_API int weir_tcp_recv_exact(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline,
				 size_t *ret_done);
/**
 * Receive into a buffer that the backend lends. While the call waits no buffer is held.
 *
 * Thread:   [worker] on a fiber
 * Waits:    as weir_tcp_recv; _until: up to the deadline
 * Owns:     if bytes are returned, the lease is the caller's, who returns it by
 *           weir_tcp_send_lease or weir_lease_return; otherwise it is empty
 * Cancel:   as weir_tcp_recv
 * Returns:  as weir_tcp_recv; -EOPNOTSUPP if the backend lends none; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_tcp_recv_lease(struct weir_tcp *conn, struct weir_lease *ret_lease);
WEIR_API int weir_tcp_recv_lease_until(struct weir_tcp *conn, uint64_t deadline,
				       struct weir_lease *ret_lease);

/**
 * Send up to len bytes from a buffer, or from an array of buffers.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the system takes at least one byte; _until: up to the deadline
 * Owns:     the buffer belongs to the backend until the call returns
 * Cancel:   nothing was sent; if the send came first, its bytes are returned
 * Returns:  the bytes; -EPIPE, -ECONNRESET, …; -ECANCELED, also when the stream is closed
 *           meanwhile; -ETIMEDOUT; -EBADF for no stream; -EFAULT for NULL with a len or count;
 *           -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_tcp_send(struct weir_tcp *conn, const void *buf, size_t len);
WEIR_API int weir_tcp_send_until(struct weir_tcp *conn, const void *buf, size_t len,
				 uint64_t deadline);
WEIR_API int weir_tcp_sendv(struct weir_tcp *conn, const struct iovec *iov, unsigned count);
WEIR_API int weir_tcp_sendv_until(struct weir_tcp *conn, const struct iovec *iov, unsigned count,
				  uint64_t deadline);
/** The same, but never waits: -EAGAIN without room. Thread: [worker] on a fiber. Since: 0.1 */
WEIR_API int weir_tcp_send_try(struct weir_tcp *conn, const void *buf, size_t len);
/**
 * Send all len bytes (up to INT_MAX).
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the system has taken all of them, up to the deadline
 * Owns:     the buffer belongs to the backend until the call returns. *ret_done says how many
 *           bytes the system has taken, whatever the result; ret_done may be NULL
 * Cancel:   *ret_done bytes were sent
 * Returns:  len; -EINVAL for more than INT_MAX; otherwise as weir_tcp_send
 * Since:    0.1
 */
WEIR_API int weir_tcp_send_all(struct weir_tcp *conn, const void *buf, size_t len,
			       uint64_t deadline, size_t *ret_done);
/**
 * Send all bytes of a lease, which the call takes: *lease is empty afterwards, whatever the result.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the backend has queued all of them; _until: up to the deadline
 * Owns:     the buffer is returned by the call, or later by the backend (weir_op_init_send_lease)
 * Cancel:   some of the bytes may have been sent
 * Returns:  the bytes; otherwise as weir_tcp_send
 * Since:    0.1
 */
WEIR_API int weir_tcp_send_lease(struct weir_tcp *conn, struct weir_lease *lease);
WEIR_API int weir_tcp_send_lease_until(struct weir_tcp *conn, struct weir_lease *lease,
				       uint64_t deadline);

/**
 * End one or both directions: SHUT_RD, SHUT_WR, SHUT_RDWR. Any task of the runtime may call it
 * while others receive or send on the stream. A call that is pending in a direction that ends
 * returns.
 *
 * Where the backend keeps a stream on one worker, a call from another worker is passed on to that
 * one. The peer's end then comes behind every send that was started before the call. The call
 * returns 0 without knowing whether the stream is still connected.
 *
 * Thread:   [worker]
 * Waits:    never
 * Returns:  0; -EINVAL; -ENOTCONN; -EBADF for no stream
 * Since:    0.1
 */
WEIR_API int weir_tcp_shutdown(struct weir_tcp *conn, int how);

/**
 * Set an option of the socket.
 *
 *	nodelay		small segments are sent at once
 *	linger		what a close does with bytes that are not delivered. -1, and every value
 *			above 0: the system goes on delivering (a close never waits); 0: they are
 *			discarded, and the close is a reset
 *	keepalive	a silent peer is probed
 *
 * Where the backend keeps the stream on another worker, the option is passed on. It holds for every
 * call that is made after this one, and 0 does not say that the socket has such an option.
 *
 * Thread:   [worker]
 * Waits:    never
 * Returns:  0; -EINVAL; -EOPNOTSUPP if this kind of socket has no such option; -EBADF
 * Since:    0.1
 */
WEIR_API int weir_tcp_set_nodelay(struct weir_tcp *conn, bool on);
WEIR_API int weir_tcp_set_linger(struct weir_tcp *conn, int seconds);
WEIR_API int weir_tcp_set_keepalive(struct weir_tcp *conn, const struct weir_keepalive *keepalive);

/**
 * The addresses of the two ends. On Linux the peer's is known after a reset, too.
 *
 * Thread:   [worker]
 * Waits:    never
 * Returns:  0; -ENOTCONN; -EBADF for no stream
 * Since:    0.1
 */
WEIR_API int weir_tcp_local_addr(struct weir_tcp *conn, struct weir_addr *ret_addr);
WEIR_API int weir_tcp_peer_addr(struct weir_tcp *conn, struct weir_addr *ret_addr);

/* ---- foreign descriptors ---- */

/* A descriptor that somebody else owns, such as a library's, or a pipe. weir only waits for it. */
struct weir_fd;

/**
 * Register a descriptor, so that tasks can wait for it. The same descriptor may be opened more
 * than once. A device for which the system cannot wait (/dev/null) is always ready.
 *
 * Thread:   [worker]
 * Waits:    never
 * Owns:     the descriptor stays its owner's, who closes it after weir_fd_close
 * Returns:  0; -EBADF; -EPERM for a file or a directory; -EMFILE, because opening one number twice
 *           may need a copy of the descriptor; -EOPNOTSUPP if the backend has no descriptors;
 *           -ENOMEM; -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_fd_open(int fd, struct weir_fd **ret_fd);

/**
 * Wait until a descriptor is ready for one of the events (enum weir_poll_event). It is
 * level-triggered, as poll(2) is: what is ready when the call is made is reported, even if it was
 * reported before.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until one of them has come, up to the deadline
 * Cancel:   nothing was consumed
 * Returns:  the events that came, WEIR_HANGUP and WEIR_FAULT unasked; -ECANCELED, also when it
 *           is closed meanwhile; -ETIMEDOUT; -EBADF; -EPERM outside a fiber; -EOPNOTSUPP for
 *           WEIR_PRIORITY where the system cannot tell it
 * Since:    0.1
 */
WEIR_API int weir_fd_wait(struct weir_fd *fd, unsigned events, uint64_t deadline);

/** The handle of a descriptor, for weir_op_init_poll; NULL gives NULL. Thread: [any]. Since: 0.1 */
WEIR_API struct weir_handle *weir_fd_handle(struct weir_fd *fd);

/**
 * Unregister a descriptor. Pending waits return -ECANCELED. NULL is allowed.
 *
 * Thread:   [worker]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_fd_close(struct weir_fd *fd);

WEIR_END_DECLS

#endif
