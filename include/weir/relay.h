/* SPDX-License-Identifier: MIT */
/*
 * relay.h: copies bytes both ways between two streams (net.h) until both directions
 * have ended, as a proxy does with a connection.
 *
 *	weir_relay_run(a, b, …) on a fiber; or
 *	weir_relay_init ──► poll … ──► weir_relay_result ──► weir_relay_close
 *
 * It uses leased buffers: an idle relay holds none, and while one side reads slowly,
 * nothing more is read from the other (back-pressure). The end of stream on one side
 * becomes a FIN on the other (half-close), and the other direction continues.
 *
 * The rule of ends: no peer may take an incomplete stream for a complete one.
 * weir_relay_close closes a side in order if everything for it was delivered: the other
 * side had ended its stream, and nothing broke. It resets every other side.
 *
 *	both directions had ended			both in order
 *	a side broke, in whatever state			both reset
 *	a limit, a cancel, an error of the relay, and
 *		neither direction had ended		both reset
 *		a to b had ended (a half-close)		a reset, b in order
 *
 * In the last case b has received everything; if it sends more, it gets a reset. Unix
 * streams have no reset: their peer finds an end, or -ECONNRESET if it has sent bytes
 * that nobody received. A protocol over Unix streams must therefore say in its messages
 * how long they are, if an incomplete one must be recognized.
 *
 * Do not: use a stream while a relay has it, or after a relay that did not end in order,
 * other than to close it: up to a buffer of each direction may be lost.
 */
#ifndef WEIR_RELAY_H
#define WEIR_RELAY_H

#include "weir/base.h"
#include "weir/future.h"
#include "weir/net.h"
#include "weir/op.h"
#include "weir/time.h"

/* How a relay ended. */
enum weir_relay_end {
	WEIR_RELAY_DONE = 0,		/* both directions ended in order */
	WEIR_RELAY_RESET_A,		/* side a broke */
	WEIR_RELAY_RESET_B,
	WEIR_RELAY_IDLE,		/* no byte was delivered for idle_ns */
	WEIR_RELAY_HALF_CLOSED,		/* one direction had ended, and nothing came for half_ns */
	WEIR_RELAY_CANCELED,		/* cancelled, or one of its streams was closed */
	WEIR_RELAY_FAILED,		/* out of memory, no time driver, a bad config, …: see
					 * weir_relay_stats.error */
};

/*
 * Limits. Each is checked four times within its length, so it is never early, and late by up to
 * a quarter.
 */
struct weir_relay_config {
	size_t size;			/* sizeof(struct weir_relay_config) */
	uint64_t idle_ns;		/* without progress; WEIR_FOREVER or 0: no limit */
	uint64_t half_ns;		/* the same, once one direction has ended */
};
#define WEIR_RELAY_CONFIG_INIT WEIR_SIZED_INIT(weir_relay_config)

/* What a relay has done. Start from WEIR_RELAY_STATS_INIT. */
struct weir_relay_stats {
	size_t size;			/* sizeof(struct weir_relay_stats) */
	uint64_t a_to_b, b_to_a;	/* bytes that the receiving side has taken */
	enum weir_relay_end end;
	int error;			/* the relay's result */
};
#define WEIR_RELAY_STATS_INIT WEIR_SIZED_INIT(weir_relay_stats)

/* One direction of a relay. It has one op at a time: a receive, or a send of what came. */
struct weir__relay_direction {
	struct weir_op op;
	struct weir_lease lease;
	uint64_t moved;
	uint8_t phase;
};

/*
 * The future of a relay. It finishes with 0, or with the negative errno that ended it: -ETIMEDOUT
 * for a limit; -ECONNRESET, -EPIPE, … of a broken side; -ECANCELED; -ENODEV for a limit
 * without a time driver; and at once with -EINVAL for a config without a size, or -E2BIG for one
 * with a field that is newer than the library (base.h, Sizes). It may be moved until it is first
 * polled. The streams stay open and the caller's; weir_relay_close closes them.
 */
struct weir_relay {
	struct weir_future future;
	struct weir_tcp *side[2];	/* a, b */
	struct weir__relay_direction directions[2];	/* a to b, b to a */
	struct weir_sleep_future sleep;	/* one for the pair */
	uint64_t limit_ns;		/* the limit in force */
	uint64_t half_ns;
	uint64_t seen;			/* bytes delivered when the sleep last ended */
	int error;
	uint8_t end;
	uint8_t phase;
	uint8_t quiet;			/* quarters of the limit without a byte delivered */
	bool timing;			/* the sleep runs */
	bool half;			/* limit_ns is half_ns */
};

WEIR_BEGIN_DECLS

/**
 * Set a relay up. cfg NULL means no limits.
 *
 * Thread:   [any]
 * Owns:     the streams stay the caller's, who must not use them before it has finished
 * Cancel:   it finishes with -ECANCELED; bytes that it has received may be lost
 * Since:    0.1
 */
WEIR_API void weir_relay_init(struct weir_relay *relay, struct weir_tcp *a, struct weir_tcp *b,
			      const struct weir_relay_config *cfg);

/**
 * Release what a relay holds that will not be polled again. For the fini of a stackless task: the
 * task's operations are over by then. Does nothing if the relay finished.
 *
 * Thread:   [worker]
 * Since:    0.1
 */
WEIR_API void weir_relay_fini(struct weir_relay *relay);

/**
 * Read how a relay ended; while it runs, how much it has moved.
 *
 * Thread:   the polling task's
 * Returns:  0; -EINVAL for a ret_stats not made from WEIR_RELAY_STATS_INIT (base.h, Sizes)
 * Since:    0.1
 */
WEIR_API int weir_relay_result(const struct weir_relay *relay, struct weir_relay_stats *ret_stats);

/**
 * Close both streams by the rule of ends above, also after a relay that was never polled. It calls
 * weir_relay_fini first, and frees the streams.
 *
 * Thread:   [worker]; the relay has finished, or its task's fini runs
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_relay_close(struct weir_relay *relay);

/**
 * Relay on the calling fiber. The caller closes both streams by the rule of ends: with
 * weir_tcp_close after 0, otherwise with weir_tcp_reset.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until both directions have ended, or one of the limits or errors ends it
 * Owns:     ret_stats may be NULL
 * Returns:  as the future; -EPERM outside a fiber; -EINVAL, before anything was relayed, for a
 *           ret_stats not made from WEIR_RELAY_STATS_INIT
 * Since:    0.1
 */
WEIR_API int weir_relay_run(struct weir_tcp *a, struct weir_tcp *b,
			    const struct weir_relay_config *cfg,
			    struct weir_relay_stats *ret_stats);

WEIR_END_DECLS

#endif
