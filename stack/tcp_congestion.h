/* SPDX-License-Identifier: MIT */
/*
 * tcp_congestion.h: the interface of a congestion control, a table of functions.
 *
 * Recovery (tcp_recovery.c) detects congestion and reduces the window by proportional rate
 * reduction (RFC 6937). A congestion control computes the new ssthresh, and how the window grows.
 * Windows are counted in segments.
 */
#ifndef WEIR_STACK_TCP_CONGESTION_H
#define WEIR_STACK_TCP_CONGESTION_H

#include "stack/base.h"

struct weir__tcp;

struct weir__tcp_congestion {
	const char *name;
	/* A connection is established, or has changed to this control. Its state is zero. */
	void (*init)(struct weir__tcp *tcp);
	/* Congestion was detected: returns the new ssthresh, at least 2. */
	uint32_t (*shrink)(struct weir__tcp *tcp);
	/* acked segments were acknowledged while the congestion window limited the sender. */
	void (*grow)(struct weir__tcp *tcp, uint32_t acked);
	/* A round-trip time was measured. May be NULL. */
	void (*measured)(struct weir__tcp *tcp, uint32_t rtt_us);
	/* A retransmission timeout has happened. May be NULL. */
	void (*timed_out)(struct weir__tcp *tcp);
	/* The connection sends again after it was idle for idle_ms. May be NULL. */
	void (*idled)(struct weir__tcp *tcp, uint32_t idle_ms);
};

/* RFC 9438; the default. */
extern const struct weir__tcp_congestion weir__tcp_cubic;
/* RFC 5681. */
extern const struct weir__tcp_congestion weir__tcp_reno;

/* The state of CUBIC in a connection. Reno uses only credit. */
struct weir__tcp_cubic_state {
	uint32_t credit;	/* acknowledged segments that did not enlarge the window yet */
	uint32_t w_max;		/* 1/256 segments, after fast convergence */
	uint32_t w_est;		/* 1/256 segments: the window that Reno would have */
	uint32_t est_credit;	/* the remainder for w_est, less than a window */
	uint32_t w_start;	/* segments, at the start of the epoch; 0: no epoch */
	uint32_t k_ms;		/* K: from the start of the epoch until w_max is reached */
	uint32_t epoch_ms;	/* start of the epoch: the time of its first ACK */
	uint32_t shrunk_from;	/* the window at the last reduction; above it alpha is 1 */
};

/* Slow start (RFC 5681 3.1, RFC 9438 4.10) with appropriate byte counting. Returns the number of
 * acked segments that are left when ssthresh is reached. */
uint32_t weir__tcp_slow_start(struct weir__tcp *tcp, uint32_t acked);
/* Enlarges the window by one segment for each `per` acknowledged ones. */
void weir__tcp_grow_by(struct weir__tcp *tcp, uint32_t per, uint32_t acked);

#endif
