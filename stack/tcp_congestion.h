/* SPDX-License-Identifier: MIT */
/*
 * tcp_congestion.h: congestion controls as a table of functions.
 *
 * Recovery (tcp_recovery.c) decides that there was congestion, and shrinks the window by
 * proportional rate reduction (RFC 6937). A congestion control answers two questions: to what the
 * window shrinks, and how it grows. Windows are counted in segments.
 */
#ifndef WEIR_STACK_TCP_CONGESTION_H
#define WEIR_STACK_TCP_CONGESTION_H

#include "stack/base.h"

struct weir__tcp;

struct weir__tcp_congestion {
	const char *name;
	/* A connection is established, or has changed to this control. Its state is zeroed. */
	void (*init)(struct weir__tcp *tcp);
	/* Congestion was noticed: returns the new ssthresh, at least 2. */
	uint32_t (*shrink)(struct weir__tcp *tcp);
	/* So many segments were acknowledged while the window was the limit. */
	void (*grow)(struct weir__tcp *tcp, uint32_t acked);
	/* A round trip was measured; NULL if it does not matter. */
	void (*measured)(struct weir__tcp *tcp, uint32_t rtt_us);
	/* A retransmission timeout: what was learnt of the path is void; NULL if there is nothing. */
	void (*timed_out)(struct weir__tcp *tcp);
	/* The connection sends again after it was idle so long; NULL if time does not matter. */
	void (*idled)(struct weir__tcp *tcp, uint32_t idle_ms);
};

/* RFC 9438; the default. */
extern const struct weir__tcp_congestion weir__tcp_cubic;
/* RFC 5681. */
extern const struct weir__tcp_congestion weir__tcp_reno;

/* State of CUBIC in a connection; of Reno, only credit. Windows in 1/256 segments where so named. */
struct weir__tcp_cubic_state {
	uint32_t credit;	/* acknowledged segments that have not grown the window yet */
	uint32_t w_max;		/* 1/256 segments, after fast convergence */
	uint32_t w_est;		/* 1/256: what Reno would have */
	uint32_t est_credit;	/* of w_est, less than a window */
	uint32_t w_start;	/* segments, at the start of the epoch; 0: not in one */
	uint32_t k_ms;		/* from the start of the epoch until w_max is reached */
	uint32_t epoch_ms;	/* start of the epoch; the time of the first ACK in it */
	uint32_t shrunk_from;	/* window at the last reduction: Reno's pace is 1 above it */
};

/* Slow start (RFC 5681 3.1, RFC 9438 4.10) with appropriate byte counting. Returns the segments that
 * are left when ssthresh is reached. */
uint32_t weir__tcp_slow_start(struct weir__tcp *tcp, uint32_t acked);
/* One segment more for each `per` acknowledged. */
void weir__tcp_grow_by(struct weir__tcp *tcp, uint32_t per, uint32_t acked);

#endif
