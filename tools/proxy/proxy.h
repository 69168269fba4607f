/* SPDX-License-Identifier: MIT */
/*
 * proxy.h: what the files of `weir proxy` share.
 *
 *	proxy.c		the subcommand: start, signals, drain, exit code
 *	config.c	options to configuration, limits of the process
 *	listen.c	listeners, accepting, back-pressure at the limit
 *	upstream.c	names to addresses; which upstream is next
 *	connection.c	one connection, from accept to close: a stackless task
 *	say.c		what is said on standard error
 *	log.c		the access log
 *	counters.c	the figures, and how they are printed
 *
 * One lock, proxy.lock, guards the counters and the upstreams' figures. It is taken
 * a few times in the life of a connection and never while anything waits.
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
	END_DRAINED,		/* the drain's deadline cut it off */
	END_CANCELLED,		/* the second signal did */
	END_FAILED,		/* with an errno: the proxy's own trouble */
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
	char *upstreams;		/* with commas; cut up when they are opened */
	const char *backend;		/* NULL: the best */
	const char *access_log;		/* a path, "-" or "off" */
	uint64_t workers;		/* 0: every allowed CPU */
	uint64_t max_connections;	/* 0: what the descriptors allow */
	uint64_t backlog;
	uint64_t connect_ns, idle_ns, half_close_ns, drain_ns;	/* 0: no limit */
	uint64_t keepalive_ns;		/* 0: none */
	struct place_options where;
	struct weir_place_config place;	/* what they come to */
	unsigned balance;
	unsigned shards;		/* enum weir_shards */
	unsigned dispatch;		/* enum weir_dispatch */
	bool steer, quiet;
};

/* An address, small: for the log. */
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
	unsigned good;			/* the address that answered last: tried first */
	bool failing;			/* the last news of it was no answer */
	uint64_t active, connections, failures;
	uint64_t up_bytes, down_bytes;
};

struct counters {
	uint64_t accepted, active, refused;	/* refused: no memory for it */
	uint64_t ended[END_REASONS];
	uint64_t up_bytes, down_bytes;		/* of the connections that have ended */
	uint64_t connect_failures;
	uint64_t by_worker[WORKERS_MAX];	/* accepted: who serves them */
};

/* One line of the access log to be. */
struct log_record {
	uint64_t wall_ns;		/* its end, since 1970 */
	uint64_t up_bytes, down_bytes;
	uint64_t duration_ns;
	uint32_t connect_us;
	int16_t error;
	int8_t upstream;		/* -1: none was reached */
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
	struct weir_task *accepting;	/* that runs it */
	struct weir_addr addr;		/* that it listens on */
	char addr_text[64];
	uint64_t limit;			/* connections */
	struct weir_sem room;		/* what is left of it */
	struct weir_notify changed;	/* a drain has nothing left, or accepting failed */
	uint8_t cut_off;		/* enum end_reason of what the shutdown aborts */

	pthread_mutex_t lock;
	struct counters counters;
	unsigned turns[2];		/* the upstream that is next: as the first choice, after a failure */
	uint64_t owed;			/* connections accepted without room, that are to wait for it */
	uint64_t full_ns;		/* when somebody last waited for room */
	bool draining;
	bool broken;			/* a listener has failed */
};

/* ---- config.c ---- */

/* Read the command line. 0; a value above 0 is the exit code + 1 to end with. */
int proxy_config_parse(int argc, char **argv, struct proxy_config *ret_cfg);
/* Raise the soft limit of descriptors to the hard one: before the runtime, whose backend looks at it. */
void proxy_config_raise_files(void);
/* The number of connections that descriptors allow; says what is wrong. 0 or an exit code. */
int proxy_config_limit(const struct proxy_config *cfg, unsigned workers, uint64_t *ret_limit);
/* How a silent peer is probed. */
struct weir_keepalive proxy_config_keepalive(const struct proxy_config *cfg);

/* ---- say.c ---- */

/* One line on standard error, "weir proxy: …". Never waits between start and end. [any] */
void proxy_say(const char *fmt, ...) WEIR_PRINTF(1, 2);
/* From here on a thread of its own writes. 0 or a negative errno. */
int proxy_say_start(void);
/* Write what is left, for up to a second; later lines are dropped. Not on a worker. */
void proxy_say_end(void);

/* ---- proxy.c ---- */

void proxy_init(struct proxy *px, const struct proxy_config *cfg, struct weir_rt *rt);
void proxy_fini(struct proxy *px);

/* ---- upstream.c ---- */

/* Resolve cfg->upstreams; says what is wrong. 0 or an exit code. [worker] on a fiber */
int proxy_upstreams_open(struct proxy *px);
/* Say why what was given for a name has no address. An exit code. */
int proxy_refuse_name(const char *what, const char *text, int rc);
/*
 * The next upstream that is not in the set of those tried; -1 when there is none. The first choices
 * of connections have a turn of their own: else those that go on to the next would move it, and one
 * of two that is down would be asked first by all. [any]
 */
int proxy_upstream_choose(struct proxy *px, uint64_t tried);
/* The connection is done with an upstream that it chose. [any] */
void proxy_upstream_leave(struct proxy *px, unsigned upstream, enum upstream_news news,
			  uint64_t up_bytes, uint64_t down_bytes);

/* ---- listen.c ---- */

/* Resolve cfg->listen; says what is wrong. 0 or an exit code. [worker] on a fiber */
int proxy_listen_resolve(struct proxy *px);
/* Open the listener on it; says what is wrong. 0 or an exit code. [worker] on a fiber */
int proxy_listen(struct proxy *px);
/* Start accepting. 0 or a negative errno. [worker] on a fiber */
int proxy_accept_start(struct proxy *px);
/* Stop: what is in the queues is still accepted, then it is closed. [worker] on a fiber */
void proxy_accept_stop(struct proxy *px);

/* ---- connection.c ---- */

/* Serve a client, which has room (proxy.room) or is owed some; the connection gives it back. [worker] */
void proxy_connection_start(struct proxy *px, struct weir_tcp *client);

/* ---- log.c ---- */

/* 0 with *ret_log (NULL for "off"), or a negative errno of the path or the thread. */
int access_log_open(const char *path, const struct proxy *px, struct access_log **ret_log);
/* Write what is left, for up to a second; nothing is put from here on. NULL is allowed. Not on a
 * worker. */
void access_log_end(struct access_log *log);
/* After the end; NULL is allowed. */
void access_log_free(struct access_log *log);
/* Queue a line; never waits: a full queue drops it. [any] */
void access_log_put(struct access_log *log, const struct log_record *record);
/* Open the file anew before the next line. [any] */
void access_log_reopen(struct access_log *log);
void access_log_figures(struct access_log *log, uint64_t *ret_written, uint64_t *ret_dropped);

void small_addr_of(const struct weir_addr *addr, struct small_addr *ret_small);

/* ---- counters.c ---- */

const char *end_reason_name(enum end_reason reason);
/* "ECONNREFUSED" of a negative errno; a number in buf for one without a name here. */
const char *errno_name(int error, char *buf, size_t len);
/* All figures, said. [any] */
void proxy_counters_print(struct proxy *px);

#endif
