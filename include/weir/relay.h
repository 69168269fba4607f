/* SPDX-License-Identifier: MIT */
/*
 * relay.h: copies bytes between two streams (net.h) until both directions have
 * ended: what a proxy does with a connection.
 *
 *	weir_relay_run(a, b, …) on a fiber; or
 *	weir_relay_init ──► poll … ──► weir_relay_result ──► weir_relay_close
 *
 * Leased buffers: nothing is held while nothing flows, and a slow reader stops
 * the other side's reading (back-pressure). An end of stream on one side is a
 * FIN on the other (half-close), and the other direction goes on.
 *
 * The rule of ends: nobody takes a torn stream for a complete one. weir_relay_close
 * closes a side in order if the stream to it was finished: the other side had ended
 * it, and nothing broke. Every other side is reset.
 *
 *	both directions had ended			both in order
 *	a side broke, in whatever state			both reset
 *	a limit, a cancel, an error of our own, and
 *		neither direction had ended		both reset
 *		a to b had ended (a half-close)		a reset, b in order
 *
 * In the last case b has all there was for it; if it sends on, it is answered with
 * a reset. A Unix stream has no reset: its peer finds an end, or -ECONNRESET if it
 * has sent what nobody received. Who has to tell a torn request from a whole one
 * there says its length inside.
 *
 * A relay that did not end in order may have dropped up to a buffer of each
 * direction: the streams are good for closing only.
 */
#ifndef WEIR_RELAY_H
#define WEIR_RELAY_H

#include "weir/base.h"
#include "weir/future.h"
#include "weir/net.h"
#include "weir/op.h"
#include "weir/time.h"

enum weir_relay_end {
	WEIR_RELAY_DONE = 0,		/* both directions ended in order */
	WEIR_RELAY_RESET_A,		/* side a broke */
	WEIR_RELAY_RESET_B,
	WEIR_RELAY_IDLE,		/* nothing was delivered for idle_ns */
	WEIR_RELAY_HALF_CLOSED,		/* one direction ended, and nothing came for half_ns */
	WEIR_RELAY_CANCELED,		/* by its task, or a stream was closed under it */
	WEIR_RELAY_FAILED,		/* out of memory, no time driver, shut down, a bad config: see
					 * error */
};

/*
 * The limits are checked four times in their length: they are never early, and
 * late by up to a quarter.
 */
struct weir_relay_config {
	size_t size;			/* sizeof(struct weir_relay_config) */
	uint64_t idle_ns;		/* WEIR_FOREVER or 0: no limit */
	uint64_t half_ns;		/* the same */
};
#define WEIR_RELAY_CONFIG_INIT WEIR_SIZED_INIT(weir_relay_config)

/* How a relay ended. Start from WEIR_RELAY_STATS_INIT. */
struct weir_relay_stats {
	size_t size;			/* sizeof(struct weir_relay_stats) */
	uint64_t a_to_b, b_to_a;	/* bytes handed to the receiving side */
	enum weir_relay_end end;
	int error;			/* the relay's result */
};
#define WEIR_RELAY_STATS_INIT WEIR_SIZED_INIT(weir_relay_stats)

/* One direction of a relay; one op at a time: receiving, or sending what was received. */
struct weir__relay_direction {
	struct weir_op op;
	struct weir_lease lease;
	uint64_t moved;
	uint8_t phase;
};

/*
 * The future of a relay: finishes with 0, or the negative errno that ended it: -ETIMEDOUT (idle
 * or half-closed too long); -ECONNRESET, -EPIPE, … of a broken side; -ECANCELED; -ENODEV for a
 * limit without a time driver; at once with -EINVAL for a config without a size, and with -E2BIG
 * for one with a field that is newer than the library (base.h, Sizes). It may be moved until it is first polled. The streams stay the
 * caller's and open; weir_relay_close is the way to close them.
 */
struct weir_relay {
	struct weir_future future;
	struct weir_tcp *side[2];	/* a, b */
	struct weir__relay_direction directions[2];	/* a to b, b to a */
	struct weir_sleep_future sleep;	/* one for the pair */
	uint64_t limit_ns;		/* the one that counts now */
	uint64_t half_ns;
	uint64_t seen;			/* bytes when the sleep last ended */
	int error;
	uint8_t end;
	uint8_t phase;
	uint8_t quiet;			/* quarters of the limit in which nothing was delivered */
	bool timing;			/* the sleep is to be polled */
	bool half;			/* limit_ns is half_ns */
};

WEIR_BEGIN_DECLS

/**
 * Set a relay up; cfg NULL: no limits.
 *
 * Thread:   [any]
 * Owns:     the streams stay the caller's, who must not use them before it has finished
 * Cancel:   ends it with -ECANCELED; bytes on their way may be lost
 * Since:    0.1
 */
WEIR_API void weir_relay_init(struct weir_relay *relay, struct weir_tcp *a, struct weir_tcp *b,
			      const struct weir_relay_config *cfg);

/**
 * Give back what a relay that will not be polled again still holds: for the fini of a stackless
 * task, whose operations are over by then. Does nothing to one that finished.
 *
 * Thread:   [worker]
 * Since:    0.1
 */
WEIR_API void weir_relay_fini(struct weir_relay *relay);

/**
 * How a relay ended; while it runs, what it has moved.
 *
 * Thread:   the polling task's
 * Returns:  0; -EINVAL for a ret_stats not made from WEIR_RELAY_STATS_INIT (base.h, Sizes)
 * Since:    0.1
 */
WEIR_API int weir_relay_result(const struct weir_relay *relay, struct weir_relay_stats *ret_stats);

/**
 * Close both streams by the rule of ends above: in order what was finished, with a reset what was
 * not, also of a relay that was never polled. Calls weir_relay_fini; the streams are gone.
 *
 * Thread:   [worker]; the relay has finished, or its task's fini runs
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_relay_close(struct weir_relay *relay);

/**
 * Relay on the calling fiber. The streams stay open and the caller's, to be closed by the rule of
 * ends: weir_tcp_close after 0, else weir_tcp_reset, both.
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
