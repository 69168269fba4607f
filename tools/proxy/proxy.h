/* SPDX-License-Identifier: MIT */
/*
 * proxy.h: what the files of `weir proxy` share.
 *
 *	proxy.c		the subcommand: start, signals, drain, exit code
 *	config.c	options to configuration, limits of the process
 *	listen.c	listeners, accepting, back-pressure at the limit
 *	upstream.c	names to addresses; which upstream is next
 *	connection.c	one connection, from accept to close: a stackless task
 *	say.c		messages on standard error
 *	log.c		the access log
 *	outlet.c	the thread that writes messages and log lines
 *	counters.c	the names of reasons and errors; printing the counters
 *
 * One lock, proxy.lock, guards the counters and the upstreams' figures. A connection
 * takes it a few times and never waits while it holds it.
 */
#ifndef TOOLS_PROXY_PROXY_H
#define TOOLS_PROXY_PROXY_H

#include <pthread.h>

#include "tools/common/place_options.h"
#include "weir/weir.h"

#define WORKERS_MAX 256
#define UPSTREAMS_MAX 64	/* one bit each in a connection */
#define UPSTREAM_ADDRS 8

enum balance {
	BALANCE_ROUNDROBIN,
	BALANCE_LEASTCONN
};

/* How a connection ended. The names are in counters.c. */
enum end_reason {
	END_DONE,
	END_CLIENT_RESET,
	END_UPSTREAM_RESET,
	END_IDLE,
	END_HALF_CLOSE,
	END_CONNECT_FAILED,	/* with an errno */
	END_CONNECT_TIMEOUT,
	END_DRAINED,		/* reset at the drain's deadline */
	END_CANCELLED,		/* reset by the second signal */
	END_FAILED,		/* with an errno: an error in the proxy itself */
	END_REASONS
};

/* What a connection has learned of its upstream. */
enum upstream_news {
	UPSTREAM_NO_NEWS,
	UPSTREAM_ANSWERED,	/* a byte came from it */
	UPSTREAM_SILENT,	/* it took the connection and ended it without a byte */
	UPSTREAM_UNREACHED,	/* no connection */
};

struct proxy_config {
	const char *listen;
	char *upstreams;		/* separated by commas; proxy_upstreams_open splits it */
	const char *backend;		/* NULL: the best */
	const char *access_log;		/* a path, "-" or "off" */
	uint64_t workers;		/* 0: every allowed CPU */
	uint64_t max_connections;	/* 0: what the descriptors allow */
	uint64_t backlog;
	uint64_t connect_ns, idle_ns, half_close_ns, drain_ns;	/* 0: no limit */
	uint64_t keepalive_ns;		/* 0: no probes */
	struct place_options where;	/* as given */
	struct weir_place_config place;	/* the same, parsed */
	unsigned balance;
	unsigned shards;		/* enum weir_shards */
	unsigned dispatch;		/* enum weir_dispatch */
	bool steer, quiet;
};

/* An address in few bytes, for the log. */
struct small_addr {
	uint8_t ip[16];
	uint16_t port;
	uint8_t family;			/* 4, 6, 'u' or 0 */
};

struct upstream {
	const char *name;		/* as given */
	char text[64];			/* of the first address, for the log */
	struct weir_addr addrs[UPSTREAM_ADDRS];
	unsigned addrs_len;
	/* Under the lock. */
	unsigned good;			/* the address that answered last; it is tried first */
	bool failing;			/* its last connection got no answer */
	uint64_t active, connections, failures;
	uint64_t up_bytes, down_bytes;
};

struct counters {
	uint64_t accepted, active, refused;	/* refused: for lack of memory */
	uint64_t ended[END_REASONS];
	uint64_t up_bytes, down_bytes;		/* of the connections that have ended */
	uint64_t connect_failures;
	uint64_t by_worker[WORKERS_MAX];	/* accepted, by the worker that serves them */
};

/* The contents of one line of the access log. */
struct log_record {
	uint64_t wall_ns;		/* the end of the connection, since 1970 */
	uint64_t up_bytes, down_bytes;
	uint64_t duration_ns;
	uint32_t connect_us;
	int16_t error;
	int8_t upstream;		/* its index; -1: no upstream was reached */
	uint8_t reason;			/* enum end_reason */
	struct small_addr client;
};

struct access_log;

struct proxy {
	const struct proxy_config *cfg;
	struct weir_rt *rt;
	struct access_log *log;		/* NULL: off */
	struct upstream upstreams[UPSTREAMS_MAX];
	unsigned upstreams_len;
	struct weir_listener *listener;
	struct weir_task *accepting;	/* the task that accepts on it */
	struct weir_addr addr;		/* the listener's address */
	char addr_text[64];
	uint64_t limit;			/* the maximal number of connections */
	struct weir_sem room;		/* how many more may be served now */
	struct weir_notify changed;	/* a drain has ended, or accepting has failed */
	uint8_t cut_off;		/* enum end_reason: why the shutdown aborts connections */

	pthread_mutex_t lock;
	struct counters counters;
	unsigned turns[2];		/* the next upstream: [0] first choice, [1] for retries */
	uint64_t owed;			/* accepted without room; their tasks wait for it */
	uint64_t full_ns;		/* when a connection last had to wait for room */
	bool draining;
	bool broken;			/* accepting has failed */
};

/* ---- config.c ---- */

/* Read the command line. Returns 0 to go on; otherwise 1 + the exit code to end with. */
int proxy_config_parse(int argc, char **argv, struct proxy_config *ret_cfg);
/*
 * Raise the soft limit of descriptors to the hard one; before the runtime, whose backend reads it.
 */
void proxy_config_raise_files(void);
/* The number of connections that the limits allow. Returns 0, or an exit code after a message. */
int proxy_config_limit(const struct proxy_config *cfg, unsigned workers, uint64_t *ret_limit);
/* The keep-alive settings of both sides. */
struct weir_keepalive proxy_config_keepalive(const struct proxy_config *cfg);

/* ---- say.c ---- */

/*
 * Print one line on standard error, "weir proxy: …". It never waits between proxy_say_start and
 * proxy_say_end. [any]
 */
void proxy_say(const char *fmt, ...) WEIR_PRINTF(1, 2);
/* Start the thread that writes the lines. Returns 0 or a negative errno. */
int proxy_say_start(void);
/* Write the remaining lines, for up to a second; later lines are dropped. Not on a worker. */
void proxy_say_end(void);

/* ---- proxy.c ---- */

void proxy_init(struct proxy *px, const struct proxy_config *cfg, struct weir_rt *rt);
void proxy_fini(struct proxy *px);

/* ---- upstream.c ---- */

/* Resolve cfg->upstreams. Returns 0, or an exit code after a message. [worker] on a fiber */
int proxy_upstreams_open(struct proxy *px);
/* Print why a name could not be resolved. Returns an exit code. */
int proxy_refuse_name(const char *what, const char *text, int rc);
/*
 * Choose the next upstream that is not in the set of tried ones; -1 if there is none. First choices
 * and retries each have their own round robin. With a shared one, each retry would move it on, and
 * with two upstreams every connection would first try the one that is down. [any]
 */
int proxy_upstream_choose(struct proxy *px, uint64_t tried);
/* A connection no longer uses the upstream that it chose. [any] */
void proxy_upstream_leave(struct proxy *px, unsigned upstream, enum upstream_news news,
			  uint64_t up_bytes, uint64_t down_bytes);

/* ---- listen.c ---- */

/* Resolve cfg->listen. Returns 0, or an exit code after a message. [worker] on a fiber */
int proxy_listen_resolve(struct proxy *px);
/* Open the listener on it. Returns 0, or an exit code after a message. [worker] on a fiber */
int proxy_listen(struct proxy *px);
/* Start accepting. Returns 0 or a negative errno. [worker] on a fiber */
int proxy_accept_start(struct proxy *px);
/* Accept the connections that are in the queues, then close the listener. [worker] on a fiber */
void proxy_accept_stop(struct proxy *px);

/* ---- connection.c ---- */

/*
 * Serve a client that has acquired proxy.room, or that is counted in proxy.owed. The connection
 * releases the room at its end. [worker]
 */
void proxy_connection_start(struct proxy *px, struct weir_tcp *client);

/* ---- log.c ---- */

/* Returns 0, with *ret_log NULL for "off"; or the negative errno of the path or the thread. */
int access_log_open(const char *path, const struct proxy *px, struct access_log **ret_log);
/*
 * Write the remaining lines, for up to a second; later lines are dropped. NULL is allowed. Not on
 * a worker.
 */
void access_log_end(struct access_log *log);
/* Call it after access_log_end; NULL is allowed. */
void access_log_free(struct access_log *log);
/* Queue a line. It never waits; if the queue is full, the line is dropped. [any] */
void access_log_put(struct access_log *log, const struct log_record *record);
/* Reopen the file before the next line. [any] */
void access_log_reopen(struct access_log *log);
void access_log_figures(struct access_log *log, uint64_t *ret_written, uint64_t *ret_dropped);

void small_addr_of(const struct weir_addr *addr, struct small_addr *ret_small);

/* ---- counters.c ---- */

const char *end_reason_name(enum end_reason reason);
/* The name of a negative errno, such as "ECONNREFUSED", or else its number, in buf. */
const char *errno_name(int error, char *buf, size_t len);
/* Print all counters as messages. [any] */
void proxy_counters_print(struct proxy *px);

#endif
