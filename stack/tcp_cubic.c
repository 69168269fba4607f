/* SPDX-License-Identifier: MIT */
/*
 * tcp_cubic.c: CUBIC (RFC 9438).
 *
 * After a reduction the window grows along W(t) = C (t - K)^3 + W_max: fast back to where the loss
 * was, slowly around it, and fast beyond; t is real time, so flows of long round trips are not at a
 * disadvantage. Where Reno would have more (short paths), Reno's window is followed (section 4.3).
 *
 * Numbers: beta 0.7, C 0.4 (segments per s^3), times in ms, windows in 1/256 segments. Left out:
 * HyStart++ (RFC 9406); slow start ends with the first loss.
 */
#include "stack/tcp_state.h"

#define BETA_1024 717u			/* 0.7, not less: 10 segments become 7 */
#define CONVERGED_256 218u		/* (1 + 0.7) / 2: fast convergence, 4.7 */
#define ALPHA_256 135u			/* 3 (1 - 0.7) / (1 + 0.7): 4.3 */
#define FAR_MS 100000u			/* a cube of this fits */

static void init(struct weir__tcp *tcp)
{
	(void)tcp;
}

/* The cube root, rounded down, of a number below 2^63. */
static uint32_t cube_root(uint64_t number)
{
	uint32_t root = 0;

	for (int bit = 20; bit >= 0; bit--) {
		uint64_t candidate = root | 1u << bit;

		if (candidate * candidate * candidate <= number)
			root = (uint32_t)candidate;
	}
	return root;
}

/* Section 4.6 and, where the last W_max was not reached again, 4.7. */
static uint32_t shrink(struct weir__tcp *tcp)
{
	struct weir__tcp_cubic_state *cubic = &tcp->cubic;
	uint32_t window = tcp->cwnd, shrunk;

	cubic->w_max = window * 256 < cubic->w_max ? window * CONVERGED_256 : window * 256;
	cubic->shrunk_from = window;
	cubic->w_start = 0;
	cubic->credit = 0;
	shrunk = (uint32_t)((uint64_t)window * BETA_1024 / 1024);
	return shrunk > 2 ? shrunk : 2;
}

/* The first ACK in congestion avoidance: section 4.2, K = cbrt((W_max - cwnd) / C). */
static void begin_epoch(struct weir__tcp *tcp)
{
	struct weir__tcp_cubic_state *cubic = &tcp->cubic;
	uint32_t now = tcp->cwnd * 256;
	uint64_t missing;

	cubic->epoch_ms = weir__tcp_ms(tcp->net);
	cubic->w_start = tcp->cwnd;
	cubic->w_est = now;
	cubic->est_credit = 0;
	cubic->k_ms = 0;
	if (cubic->w_max > now) {
		/* (missing / 256) / 0.4 s^3 = missing * 10^9 * 10 / (256 * 4) ms^3 */
		missing = cubic->w_max - now;
		cubic->k_ms = cube_root(missing * 9765625ull);
	} else {
		cubic->w_max = now;
	}
}

/* W(t), in 1/256 segments. */
static uint32_t cubic_at(const struct weir__tcp_cubic_state *cubic, uint32_t ms)
{
	int64_t t = (int64_t)ms - cubic->k_ms, window;

	if (t > (int64_t)FAR_MS)
		t = FAR_MS;
	if (t < -(int64_t)FAR_MS)
		t = -(int64_t)FAR_MS;
	/* 0.4 * 256 / 10^9 = 1024 / 10^10 */
	window = (int64_t)cubic->w_max + t * t * t / 9765625;
	return window < 512 ? 512 : window > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)window;
}

/* Section 4.3: alpha is 1 once the window of before is reached. */
static void follow_reno(struct weir__tcp *tcp, uint32_t acked)
{
	struct weir__tcp_cubic_state *cubic = &tcp->cubic;
	uint32_t alpha = cubic->w_est < cubic->shrunk_from * 256 ? ALPHA_256 : 256;

	cubic->est_credit += alpha * acked;
	cubic->w_est += cubic->est_credit / tcp->cwnd;
	cubic->est_credit %= tcp->cwnd;
}

static void grow(struct weir__tcp *tcp, uint32_t acked)
{
	struct weir__tcp_cubic_state *cubic = &tcp->cubic;
	uint32_t elapsed, target, now, missing;

	acked = weir__tcp_slow_start(tcp, acked);
	if (acked == 0)
		return;
	if (cubic->w_start == 0)
		begin_epoch(tcp);
	follow_reno(tcp, acked);
	elapsed = weir__tcp_ms(tcp->net) - cubic->epoch_ms;
	if (cubic_at(cubic, elapsed) < cubic->w_est) {
		if (cubic->w_est / 256 > tcp->cwnd)
			tcp->cwnd = cubic->w_est / 256;
		return;
	}
	/* Sections 4.4 and 4.5: reach W(t + RTT) in one round trip; at most half as much again. */
	now = tcp->cwnd * 256;
	target = cubic_at(cubic, elapsed + tcp->srtt / 8000);
	if (target > now + now / 2)
		target = now + now / 2;
	if (target > now) {
		missing = target - now;
		weir__tcp_grow_by(tcp, (now + missing - 1) / missing, acked);
	}
}

/* Section 4.8: the next epoch begins where its window is, with K = 0. */
static void timed_out(struct weir__tcp *tcp)
{
	tcp->cubic.w_start = 0;
	tcp->cubic.w_max = 0;
}

/* Section 5.8: time without traffic does not count. It is counted from the last data on, and the epoch
 * may have begun with an ACK after that. */
static void idled(struct weir__tcp *tcp, uint32_t idle_ms)
{
	uint32_t now = weir__tcp_ms(tcp->net);

	if (tcp->cubic.w_start == 0)
		return;
	tcp->cubic.epoch_ms += idle_ms;
	if (weir__after(tcp->cubic.epoch_ms, now))
		tcp->cubic.epoch_ms = now;
}

const struct weir__tcp_congestion weir__tcp_cubic = {
	.name = "cubic",
	.init = init,
	.shrink = shrink,
	.grow = grow,
	.timed_out = timed_out,
	.idled = idled,
};
