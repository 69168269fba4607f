/* SPDX-License-Identifier: MIT */
/*
 * net.h: TCP listeners and streams, written once over operations (op.h), so the
 * same program runs on every backend.
 *
 *	weir_listener_open ──► accept … (or serve) ──► weir_listener_close
 *	weir_tcp_connect / accept ──► recv, send … ──► weir_tcp_close
 *
 * A stream's two directions are independent: one task may read while another
 * writes. At most one task waits in each direction at a time. Either the whole
 * stream is closed by one task, or it is split (weir_tcp_split) and each half
 * is closed by the task that owns it.
 *
 * Closing cancels what is still pending on the stream in other tasks: their
 * calls return -ECANCELED. It must not race with another task that is just
 * starting a call; split the stream for that.
 *
 * A stream that broke stays broken: every receive after that, and every one beside
 * or behind a failed send, answers with an error, never with an end (0). So 0
 * says that all of the peer's bytes have come. Whoever ends a stream that was not
 * finished resets it (weir_tcp_reset), for its peer has the same right.
 *
 * Every waiting call is made on a fiber, and has a twin for stackless tasks:
 * the op of op.h on weir_tcp_handle(stream). Calls ending in _until take an absolute
 * deadline, and -ETIMEDOUT from one that moves bytes has said in its
 * ret_done what it moved.
 *
 * Bytes both ways between two streams, as a proxy has them, are relay.h's.
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
 * How many sockets a listener has. Shards have a socket each on one port, and each stays on
 * workers of its own: an accept takes from the shard of the worker that makes it.
 */
enum weir_shards {
	WEIR_SHARDS_ONE = 0,
	WEIR_SHARDS_GROUP,		/* one for each group of the runtime's plan (topo.h) */
	WEIR_SHARDS_WORKER,		/* one for each worker */
};

/* Which of them the kernel puts a new connection into. */
enum weir_steer {
	WEIR_STEER_HASH = 0,		/* any: each gets a share that goes with the number of its
					 * workers, or with reuse_port the same as all on the port */
	WEIR_STEER_CPU,			/* that of the CPU which took its first packet from the network */
};

/* When a silent peer is probed, and when it is given up. */
struct weir_keepalive {
	int idle_s, interval_s, count;	/* idle_s 0: off; the others 0: the system's */
};

struct weir_listener_config {
	size_t size;			/* sizeof(struct weir_listener_config) */
	int backlog;			/* of each socket: 4096 */
	bool reuse_port;		/* share the port with listeners that say so too, also of other
					 * processes of this user */
	bool v6_only;
	bool no_nodelay;		/* accepted streams keep Nagle's algorithm */
	enum weir_shards shards;	/* a Unix address has one socket whatever this says */
	enum weir_steer steer;		/* several shards only */
	struct weir_keepalive
		keepalive; /* of accepted streams (weir_tcp_set_keepalive); idle_s 0: none */
};
#define WEIR_LISTENER_CONFIG_INIT WEIR_SIZED_INIT(weir_listener_config)

enum weir_half {
	WEIR_HALF_READ = 1,
	WEIR_HALF_WRITE = 2,
};

WEIR_BEGIN_DECLS

/* ---- addresses ---- */

/**
 * Parse "127.0.0.1:80", "[::1]:80", "*:80" or ":80" (any IPv4), "[::]:80" (any, both
 * families unless the listener is v6_only), "[fe80::1%eth0]:80" or "[fe80::1%2]:80" (with the
 * interface), each with an optional "tcp://" in front; "unix:/path" or, on Linux, the abstract
 * "unix:@name". Numeric only: names, "localhost" too, are for weir_resolve.
 *
 * Thread:   [any]
 * Returns:  0; -EINVAL (not an address, no port, port above 65535, no such interface);
 *           -ENAMETOOLONG for a path
 * Since:    0.1
 */
WEIR_API int weir_addr_parse(const char *text, struct weir_addr *ret_addr);

/**
 * The text of an address, as parse reads it ("unix:" for an unnamed Unix socket).
 *
 * Thread:   [any]
 * Returns:  the length of the whole text, as snprintf: it was cut if that is not below len; -EINVAL
 *           without a buf for a len that is not 0
 * Since:    0.1
 */
WEIR_API int weir_addr_format(const struct weir_addr *addr, char *buf, size_t len);
/** The port in host order; 0 if the family has none. Thread: [any]. Since: 0.1 */
WEIR_API uint16_t weir_addr_port(const struct weir_addr *addr);
/** Change the port, where the family has one. Thread: [any]. Since: 0.1 */
WEIR_API void weir_addr_set_port(struct weir_addr *addr, uint16_t port);

/**
 * Resolve "host:port" with getaddrinfo on the blocking pool. A numeric address is answered
 * at once. The order is the system's order of preference (RFC 6724).
 *
 * A running getaddrinfo cannot be interrupted: on a timeout or a cancel this call returns at
 * once, and the pool's thread stays busy until the system's resolver gives up.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the resolver answers or the deadline passes
 * Returns:  the number of addresses (up to max, at most 32); -EINVAL; -ENAMETOOLONG; -ENOENT for
 *           an unknown name; -EAGAIN for a resolver or a pool that cannot answer now; -EIO for
 *           a resolver that failed; -ETIMEDOUT; -ECANCELED; -EPERM outside a fiber;
 *           -ESHUTDOWN; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_resolve(const char *host_port, unsigned max, uint64_t deadline,
			  struct weir_addr *ret_addrs);

/* ---- listeners ---- */

/**
 * Open a listener on a text address (as weir_addr_parse) of the current runtime.
 *
 * With several shards each is opened on a worker of its own, and all or none are: for port 0
 * the first one's port is that of all. They let each other in and, without reuse_port, nobody
 * else: a second program gets -EADDRINUSE. Where there is one group, WEIR_SHARDS_GROUP is an
 * ordinary listener.
 *
 * Where the kernel will not steer, or not give larger groups more, the listener is opened all the
 * same, its sockets get equal shares, and weir_listener_steer_error says why.
 *
 * Thread:   [worker]; for several shards on a fiber
 * Waits:    for several shards, until their workers have opened them; else never
 * Cancel:   is not noticed
 * Returns:  0; -EINVAL, also for steer together with reuse_port, which would count foreign
 *           sockets; -E2BIG for a field of cfg that is newer than the library (base.h, Sizes);
 *           -EADDRINUSE, -EACCES, … of bind; -EMFILE; -ENOMEM; -EOPNOTSUPP for shards
 *           where the backend or the system (macOS) does not share a port out; -EPERM for
 *           shards outside a fiber; -ESHUTDOWN; -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_listener_open(const char *addr, const struct weir_listener_config *cfg,
				struct weir_listener **ret_listener);
WEIR_API int weir_listener_open_addr(const struct weir_addr *addr,
				     const struct weir_listener_config *cfg,
				     struct weir_listener **ret_listener);
/**
 * Adopt a listening stream socket (from a service manager, say); it is weir's to close on success,
 * and made non-blocking. Of the configuration no_nodelay and keepalive count.
 *
 * Thread:   [worker]
 * Returns:  0; -EBADF; -ENOTSOCK; -EPROTOTYPE; -EINVAL if it does not listen, or for cfg; -E2BIG as
 *           weir_listener_open; -ENOMEM; -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_listener_adopt(int fd, const struct weir_listener_config *cfg,
				 struct weir_listener **ret_listener);
/** The address it is bound to, with the port chosen for port 0. Thread: [worker]. Since: 0.1 */
WEIR_API int weir_listener_addr(struct weir_listener *listener, struct weir_addr *ret_addr);
/**
 * The handle of a listener, for accept operations made by hand (op.h). With several shards it is
 * the first one's. NULL for NULL. Thread: [any]. Since: 0.1
 */
WEIR_API struct weir_handle *weir_listener_handle(struct weir_listener *listener);
/** How many sockets it has. Thread: [any]. Since: 0.1 */
WEIR_API unsigned weir_listener_shards(const struct weir_listener *listener);
/**
 * Why connections are not steered, though that was asked, or groups of unequal size get equal
 * shares: where the system cannot (-EOPNOTSUPP), or will not; with a shard for each worker also
 * where workers are not bound to one CPU each.
 *
 * Thread:   [any]
 * Returns:  0 if they go where they should; a negative errno
 * Since:    0.1
 */
WEIR_API int weir_listener_steer_error(const struct weir_listener *listener);

/**
 * Accept a connection; _until: up to a deadline. With several shards, from that of the worker
 * on which the call begins: unless tasks on all workers accept, some clients wait for ever.
 *
 * Out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) it waits a little, longer
 * each time up to a second, and tries again. A connection that died in the queue is passed
 * over; if there are only such for more than a second, their error is the answer. TCP_NODELAY is set unless the configuration says otherwise.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until there is a connection
 * Owns:     *ret_conn is the caller's, to be closed
 * Cancel:   a connection that was accepted in the race is returned, not lost
 * Returns:  0; -ECANCELED, also when the listener is closed; -ETIMEDOUT; -ENODEV for a deadline
 *           without a time driver; -EPERM outside a fiber; the listener's error
 * Since:    0.1
 */
WEIR_API int weir_listener_accept(struct weir_listener *listener, struct weir_tcp **ret_conn);
WEIR_API int weir_listener_accept_until(struct weir_listener *listener, uint64_t deadline,
					struct weir_tcp **ret_conn);
/**
 * Never waits for a connection: -EAGAIN when there is none, -EMFILE and its kin when there is
 * no room for it. Everything else as weir_listener_accept.
 *
 * Thread:   [worker] on a fiber
 * Waits:    for the worker of the shard, where its backend keeps listeners at home (io_uring)
 * Since:    0.1
 */
WEIR_API int weir_listener_accept_try(struct weir_listener *listener, struct weir_tcp **ret_conn);

/**
 * Close a listener, all shards of it. Pending accepts of other tasks return -ECANCELED, at once or when their pause
 * is over; connections in the queue are reset by the system. NULL is allowed.
 *
 * Do not call accept after this: the listener is gone, and so is its memory once the last pending
 * accept has returned. So a task that accepts in a loop ends the loop at -ECANCELED; and where it
 * may be between two accepts, it is aborted and joined before the close, or does it itself.
 * weir_listener_serve minds that by itself.
 *
 * Shards of other workers may hold the port for a turn of theirs. Clients who are in the queue
 * of a socket when it is closed are reset, unless the sysctl net.ipv4.tcp_migrate_req is set
 * and another socket shares the port (reuse_port): then the kernel moves them there.
 *
 * Thread:   [worker]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_listener_close(struct weir_listener *listener);

/*
 * The future of an accept, pauses included; finishes with 0 and *ret_conn. Its discard closes
 * the connection.
 */
struct weir_accept_future {
	struct weir_future future;
	struct weir_listener *listener;
	struct weir_tcp **ret_conn;
	struct weir_tcp *conn;		/* the stream that this accept fills */
	uint64_t pause_ns;		/* the next one, after EMFILE and its kin */
	uint8_t phase;
	uint8_t dead;			/* connections in a row that had died in the queue */
	bool cancelled;
	bool tries;			/* and does not wait: -EAGAIN */
	bool exactly;			/* from .listener, whichever shard this worker has */
	union {
		struct weir_op op;
		struct weir_sleep_future sleep;
		struct weir_yield_future yield;
	} u;
};

/**
 * Set the future of an accept up. It holds the listener from its first poll to its result.
 *
 * Thread:   [any]
 * Owns:     *ret_conn is written when it finishes with 0, and must stay until then
 * Cancel:   as weir_listener_accept
 * Since:    0.1
 */
WEIR_API void weir_accept_init(struct weir_accept_future *accept, struct weir_listener *listener,
			       struct weir_tcp **ret_conn);
/**
 * Give back what an accept that will not be polled again still holds: for the fini of a stackless
 * task, whose operations are over by then. Does nothing to one that finished or never ran.
 *
 * Thread:   [worker]
 * Since:    0.1
 */
WEIR_API void weir_accept_fini(struct weir_accept_future *accept);

/* ---- serving ---- */

/* Who serves a connection. */
enum weir_dispatch {
	WEIR_DISPATCH_LOCAL = 0,	/* who accepts it: all workers of a shard do, in turn */
	WEIR_DISPATCH_LEAST_LOADED,	/* one worker of a shard accepts, and gives it to the one of its
					 * group (of all, with one shard) that has the fewest */
};

/*
 * Start to serve a connection, which is the callee's from here on: spawn a task, or drop it. Called
 * on the worker that is to serve it, on a fiber or not: it must not wait.
 */
typedef void (*weir_serve_fn)(struct weir_tcp *conn, void *arg);

struct weir_serve_config {
	size_t size;			/* sizeof(struct weir_serve_config) */
	enum weir_dispatch dispatch;
	/*
	 * Take room for one more connection, which has been accepted. Returns 0 when it has the
	 * room. When there is none: with may_wait it waits, on the accepting fiber, which accepts
	 * no other meanwhile; without may_wait it returns -EAGAIN. A connection for which there is no room is reset; any other error
	 * ends the serving. NULL: there is always room.
	 */
	int (*admit)(void *arg, bool may_wait);
};
#define WEIR_SERVE_CONFIG_INIT WEIR_SIZED_INIT(weir_serve_config)

/**
 * Accept on every shard of a listener, and have fn(conn, arg) called for each connection on
 * the worker that is to serve it. A server in three lines:
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
 * It goes on until its task is aborted or the listener is closed or fails. Then whoever is in
 * the queues already (up to 4096 of each socket) is still served, but not after a close, and
 * once it has returned fn is not called any more. What serves the connections goes on.
 *
 * A worker has the connections that were given to it, by any listener with
 * WEIR_DISPATCH_LEAST_LOADED, and are not closed; one that has not begun with an earlier one
 * is passed over while others have. The tasks that fn spawns may be stolen as any.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until one of these ends it, and fn has been called for what was accepted
 * Owns:     the listener stays the caller's, to be closed
 * Cancel:   is how it is stopped
 * Returns:  -ECANCELED when aborted or closed; -EINVAL; -E2BIG for a field of cfg that is newer
 *           than the library (base.h, Sizes); -EPERM outside a fiber; -ENOMEM; -ESHUTDOWN; what
 *           admit or the listener failed with
 * Since:    0.1
 */
WEIR_API int weir_listener_serve(struct weir_listener *listener,
				 const struct weir_serve_config *cfg, weir_serve_fn fn, void *arg);

/* ---- streams ---- */

/**
 * Connect to a text address; a name is resolved first, and the first of its addresses (up to 8) that
 * answers is taken, as by weir_connect_init. TCP_NODELAY is set.
 *
 * A stream that would be its own peer, as a socket can become that connects to a free port of
 * this machine, counts as refused. A Unix listener whose queue is full is waited for.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until connected, refused by all, or the deadline passes
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

/* One of the addresses, being tried. */
struct weir__attempt {
	struct weir_op op;
	struct weir_tcp *conn;		/* NULL: it is over */
	uint8_t addr;
};

/*
 * The future of connecting to one of several addresses; finishes with 0 and *ret_conn. Its discard
 * closes the connection. It may be moved until it is first polled.
 */
struct weir_connect_future {
	struct weir_future future;
	const struct weir_addr *addrs;
	struct weir_tcp **ret_conn;
	struct weir_tcp *winner;
	struct weir__attempt *attempts;
	struct weir__attempt only;	/* that of a single address */
	struct weir_sleep_future
		pause; /* until the next address is tried, too, or a full queue again */
	uint64_t full_ns;		/* how long the last pause before a full queue was */
	int error;			/* of the last failure */
	uint8_t first;			/* the address to begin with; may be set after init */
	uint8_t chosen;			/* the one that has answered */
	uint8_t count, begun;
	uint8_t tried;			/* a bit each */
	uint8_t phase;
	bool pausing;			/* the sleep is to be polled */
	bool cancelled;
};

/**
 * Set the future of a connect to one of up to WEIR_CONNECT_ADDRS addresses up (RFC 8305): the next
 * one is tried, too, as soon as one has failed, and 250 ms after the last one that has not answered
 * yet; families alternate, the first address first. The first connection counts, the others are
 * given up, and all of them are over when it finishes. TCP_NODELAY is set. A single Unix address
 * whose listener's queue is full is asked again until there is room, after pauses of 1 to 64 ms.
 *
 * For a limit put a timeout around it. It finishes with the last failure (-ECONNREFUSED,
 * -EAFNOSUPPORT, -EMFILE, ...) when all have failed; -EINVAL without an address; -ENOMEM;
 * -ECANCELED.
 *
 * Thread:   [any]
 * Owns:     the addresses, and *ret_conn, which is written when it finishes with 0, must stay
 * Cancel:   a connection that came first is returned, not lost
 * Since:    0.1
 */
WEIR_API void weir_connect_init(struct weir_connect_future *connect, const struct weir_addr *addrs,
				unsigned count, struct weir_tcp **ret_conn);
/**
 * Give back what a connect that will not be polled again still holds: for the fini of a stackless
 * task, whose operations are over by then. Does nothing to one that finished or never ran.
 *
 * Thread:   [worker]
 * Since:    0.1
 */
WEIR_API void weir_connect_fini(struct weir_connect_future *connect);

/**
 * Make an unconnected stream (AF_INET, AF_INET6, AF_UNIX) for a stackless connect: poll a
 * weir_op_init_connect on its handle, and close it if that fails.
 *
 * Thread:   [worker]
 * Returns:  0; -EAFNOSUPPORT; -EMFILE; -ENOMEM; -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_tcp_new(int family, struct weir_tcp **ret_conn);

/**
 * Adopt a connected stream socket (TCP or Unix); it is weir's to close on success, and made
 * non-blocking. On failure it stays the caller's. Nobody else may shut it down meanwhile, who has
 * a copy of it: the end that the peer then sends would look like a break.
 *
 * Thread:   [worker]
 * Returns:  0; -EBADF; -ENOTSOCK; -EPROTOTYPE if it is no stream; -EINVAL if it listens; -ENOMEM;
 *           -ENXIO, -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_tcp_adopt(int fd, struct weir_tcp **ret_conn);

/**
 * Close, and free. What has been sent is still delivered, followed by a FIN (a reset, if there are
 * bytes that nobody received). Pending calls of other tasks return -ECANCELED. NULL is allowed.
 *
 * Thread:   [worker]
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_tcp_close(struct weir_tcp *conn);
/**
 * The same with a reset, which drops what was not delivered. The peer of a Unix stream, which has
 * none, finds an end, or -ECONNRESET if it has sent what nobody received.
 *
 * Thread:   [worker]
 * Since:    0.1
 */
WEIR_API void weir_tcp_reset(struct weir_tcp *conn);
/** weir_tcp_reset of a stream that nobody will serve: the drop of a task. Thread: [worker]. Since: 0.1 */
WEIR_API void weir_tcp_drop(void *conn);

/**
 * Give the two directions an owner each. From here on each half is closed by its owner with
 * weir_tcp_close_half, and nobody calls weir_tcp_close.
 *
 * Thread:   [worker]
 * Returns:  0; -EBUSY if it is split already
 * Since:    0.1
 */
WEIR_API int weir_tcp_split(struct weir_tcp *conn);
/**
 * Close a half of a split stream: the write half sends a FIN, the read half sends nothing; the
 * second one closes the stream. Closing the same half again, before that, does nothing.
 *
 * Thread:   [worker]
 * Since:    0.1
 */
WEIR_API void weir_tcp_close_half(struct weir_tcp *conn, enum weir_half half);

/**
 * The handle of a stream, for operations made by hand (op.h). It lives as long as the stream.
 * NULL for NULL: an operation on that answers -EBADF.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API struct weir_handle *weir_tcp_handle(struct weir_tcp *conn);

/**
 * Receive up to len bytes, into a buffer or an iovec; peek leaves them there. _until: up to a
 * deadline.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until there are bytes, or the stream has ended or broken
 * Owns:     the buffer is the backend's until the call returns
 * Cancel:   nothing was received; bytes that came first are returned, not lost
 * Returns:  the bytes; 0 at the end of the stream; -ECONNRESET, …; -ECANCELED, also when the stream
 *           is closed meanwhile; -ETIMEDOUT; -EBADF for no stream; -EFAULT for NULL with a len or
 *           count; -EINVAL without room; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_tcp_recv(struct weir_tcp *conn, void *buf, size_t len);
WEIR_API int weir_tcp_recv_until(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline);
WEIR_API int weir_tcp_recvv(struct weir_tcp *conn, const struct iovec *iov, unsigned count);
WEIR_API int weir_tcp_recvv_until(struct weir_tcp *conn, const struct iovec *iov, unsigned count,
				  uint64_t deadline);
WEIR_API int weir_tcp_peek(struct weir_tcp *conn, void *buf, size_t len);
WEIR_API int weir_tcp_peek_until(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline);
/** Never waits for bytes: -EAGAIN when there are none. Thread: [worker] on a fiber. Since: 0.1 */
WEIR_API int weir_tcp_recv_try(struct weir_tcp *conn, void *buf, size_t len);
/**
 * Receive exactly len bytes (up to INT_MAX).
 *
 * Thread:   [worker] on a fiber
 * Waits:    until all have come, up to the deadline
 * Owns:     *ret_done (may be NULL) says what has come, whatever the result
 * Cancel:   *ret_done bytes were received
 * Returns:  len; -EPIPE at an early end; -EINVAL for more than INT_MAX; else as weir_tcp_recv
 * Since:    0.1
 */
WEIR_API int weir_tcp_recv_exact(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline,
				 size_t *ret_done);
/**
 * Receive into a buffer that the backend lends; nothing is held while it waits. _until: up to a
 * deadline.
 *
 * Thread:   [worker] on a fiber
 * Waits:    as weir_tcp_recv
 * Owns:     the lease is the caller's where bytes are returned, else it is empty; it goes back
 *           by weir_tcp_send_lease or weir_lease_return
 * Cancel:   as weir_tcp_recv
 * Returns:  as weir_tcp_recv; -EOPNOTSUPP if the backend lends none; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_tcp_recv_lease(struct weir_tcp *conn, struct weir_lease *ret_lease);
WEIR_API int weir_tcp_recv_lease_until(struct weir_tcp *conn, uint64_t deadline,
				       struct weir_lease *ret_lease);

/**
 * Send up to len bytes, from a buffer or an iovec. _until: up to a deadline.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the system takes at least one byte
 * Owns:     the buffer is the backend's until the call returns
 * Cancel:   nothing was sent; a send that came first returns its bytes
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
/** Never waits for room: -EAGAIN when there is none. Thread: [worker] on a fiber. Since: 0.1 */
WEIR_API int weir_tcp_send_try(struct weir_tcp *conn, const void *buf, size_t len);
/**
 * Send all len bytes (up to INT_MAX).
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the system has taken all of them, up to the deadline
 * Owns:     *ret_done (may be NULL) says what it has taken, whatever the result
 * Cancel:   *ret_done bytes were sent
 * Returns:  len; -EINVAL for more than INT_MAX; else as weir_tcp_send
 * Since:    0.1
 */
WEIR_API int weir_tcp_send_all(struct weir_tcp *conn, const void *buf, size_t len,
			       uint64_t deadline, size_t *ret_done);
/**
 * Send all of a lease. _until: up to a deadline.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until the system has taken all of it
 * Owns:     the lease is given back, whatever the result
 * Cancel:   a part may have been sent
 * Returns:  the bytes; else as weir_tcp_send
 * Since:    0.1
 */
WEIR_API int weir_tcp_send_lease(struct weir_tcp *conn, struct weir_lease *lease);
WEIR_API int weir_tcp_send_lease_until(struct weir_tcp *conn, struct weir_lease *lease,
				       uint64_t deadline);

/**
 * End one or both directions: SHUT_RD, SHUT_WR, SHUT_RDWR. Any task of the runtime may call it while
 * others receive or send on the stream: what is pending in a direction that ends returns.
 *
 * Thread:   [worker]
 * Waits:    never
 * Returns:  0; -EINVAL; -ENOTCONN; -EBADF for no stream
 * Since:    0.1
 */
WEIR_API int weir_tcp_shutdown(struct weir_tcp *conn, int how);

/**
 * Options of the socket: small segments at once; what close does about bytes not yet delivered
 * (seconds -1: sends them in the background; 0: drops them, and resets; more: as -1, for a close
 * never waits); probing a silent peer.
 *
 * Thread:   [worker]
 * Waits:    never
 * Returns:  0; -EINVAL; -EOPNOTSUPP where the kind of socket has no such option; -EBADF
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

/* A descriptor that is not weir's: a library's, a pipe. */
struct weir_fd;

/**
 * Register a descriptor, so that tasks can wait for it. It may be opened more than once. A device
 * that the system cannot wait for (/dev/null) is always ready.
 *
 * Thread:   [worker]
 * Owns:     the descriptor stays its owner's, who closes it after weir_fd_close
 * Returns:  0; -EBADF; -EPERM for a file or a directory; -EMFILE, for the second on one number may
 *           need a copy of it; -EOPNOTSUPP if the backend has no descriptors; -ENOMEM; -ENXIO,
 *           -ENODEV
 * Since:    0.1
 */
WEIR_API int weir_fd_open(int fd, struct weir_fd **ret_fd);

/**
 * Wait until it is ready for one of the events (enum weir_poll_event). Level-triggered, as poll(2):
 * what is ready when it is called is reported, however often it was reported before.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until one has come, up to the deadline
 * Cancel:   nothing was consumed
 * Returns:  the events that came, WEIR_HANGUP and WEIR_FAULT unasked; -ECANCELED, also when it
 *           is closed meanwhile; -ETIMEDOUT; -EBADF; -EPERM outside a fiber; -EOPNOTSUPP for
 *           WEIR_PRIORITY where the system cannot tell it
 * Since:    0.1
 */
WEIR_API int weir_fd_wait(struct weir_fd *fd, unsigned events, uint64_t deadline);

/** Its handle, for WEIR_OP_POLL made by hand (op.h); NULL for NULL. Thread: [any]. Since: 0.1 */
WEIR_API struct weir_handle *weir_fd_handle(struct weir_fd *fd);

/** Unregister it; pending waits return -ECANCELED. NULL: nothing. Thread: [worker]. Since: 0.1 */
WEIR_API void weir_fd_close(struct weir_fd *fd);

WEIR_END_DECLS

#endif
