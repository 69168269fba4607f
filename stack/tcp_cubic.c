/* SPDX-License-Identifier: MIT */
/*
 * tcp_cubic.c: CUBIC (RFC 9438).
 *
 * After a reduction the window grows along W(t) = C (t - K)^3 + W_max: fast until it is near W_max,
 * slowly around W_max, and fast above it. t is real time, so flows with long round-trip times are
 * not at a disadvantage. Where Reno would have a larger window (on short paths), CUBIC uses Reno's
 * window (section 4.3).
 *
 * Constants: beta 0.7, C 0.4 (segments per s^3), times in ms, windows in 1/256 segments. HyStart++
 * (RFC 9406) is not implemented: slow start ends with the first loss.
 */
#include "stack/tcp_state.h"

#define BETA_1024 717u			/* 0.7, rounded up: 10 segments become 7 */
#define CONVERGED_256 218u		/* (1 + 0.7) / 2: fast convergence, section 4.7 */
#define ALPHA_256 135u			/* 3 (1 - 0.7) / (1 + 0.7): section 4.3 */
#define FAR_MS 100000u			/* its cube does not overflow */

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

/* Section 4.6; and section 4.7 if the window did not reach the last W_max. */
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

/* Section 4.3: alpha is 1 once W_est has reached the window before the reduction. */
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
	/* Sections 4.4 and 4.5: reach W(t + RTT) in one round trip; grow by at most one half. */
	now = tcp->cwnd * 256;
	target = cubic_at(cubic, elapsed + tcp->srtt / 8000);
	if (target > now + now / 2)
		target = now + now / 2;
	if (target > now) {
		missing = target - now;
		weir__tcp_grow_by(tcp, (now + missing - 1) / missing, acked);
	}
}

/* Section 4.8: the next epoch begins at the window that slow start has reached, with K = 0. */
static void timed_out(struct weir__tcp *tcp)
{
	tcp->cubic.w_start = 0;
	tcp->cubic.w_max = 0;
}

/* Section 5.8: idle time does not count. It began with the last transmission, but the epoch may
 * have begun later, with an ACK; so the start of the epoch is not moved beyond the present. */
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
