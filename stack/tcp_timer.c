/* SPDX-License-Identifier: MIT */
/*
 * tcp_timer.c: the timers of a connection: retransmission with back-off (RFC 6298 section 5),
 * probes of a closed window (RFC 9293 3.8.6.1), keepalive (RFC 9293 3.8.4), delayed ACKs (RFC 5681
 * 4.2), and the limits after which a connection gives up.
 *
 * One timer has all purposes except the delayed ACK. While segments are in flight, it is the
 * retransmission timer. While data waits that may not be sent, it is the probe timer. Otherwise it
 * is for keepalive, or for the end of an orphan in FIN_WAIT_2.
 */
#include "stack/tcp_state.h"

/* The duration of a number of retransmissions, as Linux computes it: the first timeout is 200 ms,
 * each is twice the one before, and the maximum is 120 s. */
static uint32_t patience_ms(unsigned retries)
{
	uint32_t doubled = retries < 9 ? retries : 9;

	return ((2u << doubled) - 1) * (WEIR_TCP_RTO_MIN_US / 1000) +
	       (retries - doubled) * (WEIR_TCP_RTO_MAX_US / 1000);
}

static uint64_t backed_off_ns(const struct weir__tcp *tcp)
{
	uint64_t us = (uint64_t)tcp->rto_us << (tcp->backoff < 16 ? tcp->backoff : 16);

	return (us < WEIR_TCP_RTO_MAX_US ? us : WEIR_TCP_RTO_MAX_US) * 1000;
}

/*
 * The time until the next try, or until the user timeout ends the connection. If the user timeout
 * has passed already, because it is shorter than the RTO, one more RTO without back-off is granted
 * to the retransmission (RFC 5482 3.1).
 */
static uint64_t next_try_ns(const struct weir__tcp *tcp)
{
	uint64_t wait_ns = backed_off_ns(tcp), limit_ns, gone_ns;

	if (weir__tcp_set(tcp)->user_timeout_ms == 0 || !tcp->unanswered)
		return wait_ns;
	limit_ns = weir__tcp_set(tcp)->user_timeout_ms * WEIR_NETSTACK_MSEC;
	gone_ns = (weir__tcp_ms(tcp->net) - tcp->unanswered_ms) * WEIR_NETSTACK_MSEC;
	if (gone_ns >= limit_ns)
		return tcp->rto_us * 1000ull;
	return limit_ns - gone_ns < wait_ns ? limit_ns - gone_ns : wait_ns;
}

static bool is_orphan(const struct weir__tcp *tcp)
{
	return !tcp->owned;
}

/* ---- setting -------------------------------------------------------------------------------- */

void weir__tcp_timer_set(struct weir__tcp *tcp, enum weir_tcp_timer kind, uint64_t in_ns)
{
	tcp->timer_kind = (uint8_t)kind;
	weir__netstack_timer_set(tcp->net, &tcp->timer, tcp->net->now_ns + in_ns);
}

/* The timer stays in the wheel and does nothing when it fires. Usually it is set again before that,
 * to a later time, which takes one store (timer.h). Linux does the same (INET_CSK_CLEAR_TIMERS). */
void weir__tcp_timer_stop(struct weir__tcp *tcp)
{
	tcp->timer_kind = WEIR_TCP_TIMER_NONE;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static uint32_t keep_idle_ms(const struct weir__tcp *tcp)
{
	return or_default(weir__tcp_set(tcp)->keep_idle_ms, 7200000);
}

static uint32_t keep_interval_ms(const struct weir__tcp *tcp)
{
	return or_default(weir__tcp_set(tcp)->keep_interval_ms, 75000);
}

/* The time since the last segment with data or an ACK arrived. */
static uint32_t silent_ms(const struct weir__tcp *tcp)
{
	uint32_t now = weir__tcp_ms(tcp->net), data = now - tcp->received_ms,
		 ack = now - tcp->acked_ms;

	return data < ack ? data : ack;
}

static void rearm_idle(struct weir__tcp *tcp)
{
	uint32_t silent, wait;

	if (tcp->state == WEIR_TCP_FIN_WAIT_2 && is_orphan(tcp)) {
		if (tcp->timer_kind != WEIR_TCP_TIMER_IDLE)
			weir__tcp_timer_set(tcp, WEIR_TCP_TIMER_IDLE, WEIR_TCP_FIN_TIMEOUT_NS);
		return;
	}
	if (!weir__tcp_set(tcp)->keepalive || tcp->state < WEIR_TCP_ESTABLISHED) {
		weir__tcp_timer_stop(tcp);
		return;
	}
	silent = silent_ms(tcp);
	wait = tcp->probes > 0 ? keep_interval_ms(tcp)
			       : keep_idle_ms(tcp) - (silent < keep_idle_ms(tcp) ? silent : 0);
	weir__tcp_timer_set(tcp, WEIR_TCP_TIMER_IDLE, wait * WEIR_NETSTACK_MSEC);
}

/* How long unsent data waits for a larger window, for more data under a cork, or for memory. */
static uint64_t wait_ns(const struct weir__tcp *tcp)
{
	bool corked = weir__tcp_set(tcp)->cork || tcp->more;
	uint64_t wait = next_try_ns(tcp), most = corked ? WEIR_TCP_CORK_NS : WEIR_TCP_OVERRIDE_NS;

	if (!weir__after(tcp->snd_una + tcp->snd_wnd, tcp->snd_nxt))
		return wait;
	return wait < most ? wait : most;
}

void weir__tcp_rearm(struct weir__tcp *tcp)
{
	if (tcp->state == WEIR_TCP_CLOSED) {
		weir__tcp_timer_stop(tcp);
	} else if (tcp->state < WEIR_TCP_ESTABLISHED || tcp->packets_out > 0) {
		weir__tcp_timer_set(tcp, WEIR_TCP_TIMER_RETRANSMIT, next_try_ns(tcp));
	} else if (tcp->write_seq != tcp->snd_nxt || (tcp->fin_wanted && !tcp->fin_queued)) {
		if (tcp->timer_kind != WEIR_TCP_TIMER_PROBE)
			weir__tcp_timer_set(tcp, WEIR_TCP_TIMER_PROBE, wait_ns(tcp));
	} else {
		rearm_idle(tcp);
	}
}

void weir__tcp_hasten(struct weir__tcp *tcp)
{
	uint64_t due_ns = tcp->timer.deadline_ns, now_ns = tcp->net->now_ns;
	enum weir_tcp_timer kind = tcp->timer_kind;

	weir__tcp_timer_stop(tcp);
	weir__tcp_rearm(tcp);
	if (kind == tcp->timer_kind && due_ns < tcp->timer.deadline_ns)
		weir__tcp_timer_set(tcp, kind, due_ns > now_ns ? due_ns - now_ns : 0);
}

/* ---- giving up ------------------------------------------------------------------------------ */

static void give_up(struct weir__tcp *tcp)
{
	tcp->net->count.tcp_timed_out++;
	weir__tcp_finish(tcp, tcp->soft_error != 0 ? tcp->soft_error : -ETIMEDOUT);
}

/* Whether the peer has not answered for so long that the connection gives up. */
static bool is_hopeless(const struct weir__tcp *tcp)
{
	uint32_t limit = weir__tcp_set(tcp)->user_timeout_ms;

	if (!tcp->unanswered)
		return false;
	/* RFC 9293 3.8.6.1: a peer that answers may keep its window closed. */
	if (limit == 0 && tcp->snd_wnd == 0 && !is_orphan(tcp) &&
	    silent_ms(tcp) < 2 * WEIR_TCP_RTO_MAX_US / 1000)
		return false;
	if (limit == 0)
		limit = patience_ms(is_orphan(tcp) ? WEIR_TCP_ORPHAN_RETRIES : WEIR_TCP_RETRIES);
	return weir__tcp_ms(tcp->net) - tcp->unanswered_ms >= limit;
}

/*
 * RFC 9293 3.8.6.1: a peer that answers may keep its window closed. An orphan has Linux's limits:
 * it ends when too many consecutive probes were not answered, or when the interval between probes
 * has reached its maximum. If the peer opens its window now and then but accepts no data, the
 * orphan ends after the same time as any other connection.
 */
static bool has_probed_enough(const struct weir__tcp *tcp)
{
	if (!is_orphan(tcp))
		return is_hopeless(tcp);
	if (tcp->probes >= WEIR_TCP_ORPHAN_RETRIES ||
	    backed_off_ns(tcp) >= WEIR_TCP_RTO_MAX_US * 1000ull ||
	    weir__tcp_ms(tcp->net) - tcp->unanswered_ms >= patience_ms(WEIR_TCP_RETRIES))
		return true;
	return weir__tcp_set(tcp)->user_timeout_ms != 0 && is_hopeless(tcp);
}

/* The time for which the window was closed does not count for data that is sent afterwards. It does
 * count for orphans and for a user timeout, so that a peer cannot extend them by opening and
 * closing its window. */
void weir__tcp_window_opened(struct weir__tcp *tcp)
{
	if (!is_orphan(tcp) && weir__tcp_set(tcp)->user_timeout_ms == 0)
		tcp->unanswered = false;
}

void weir__tcp_note_unanswered(struct weir__tcp *tcp)
{
	if (tcp->unanswered)
		return;
	tcp->unanswered = true;
	if (tcp->state < WEIR_TCP_ESTABLISHED)
		tcp->unanswered_ms = tcp->sent_ms;
	else if (tcp->packets_out > 0)
		tcp->unanswered_ms =
			(uint32_t)(weir__tcp_sent(tcp->first)->sent_ns / WEIR_NETSTACK_MSEC);
	else
		tcp->unanswered_ms = weir__tcp_ms(tcp->net);
}

static void count_up(uint8_t *count)
{
	if (*count < UINT8_MAX)
		(*count)++;
}

/* ---- what the timer does -------------------------------------------------------------------- */

static void syn_timeout(struct weir__tcp *tcp)
{
	unsigned limit = tcp->state == WEIR_TCP_SYN_SENT ? WEIR_TCP_SYN_RETRIES
							 : WEIR_TCP_SYNACK_RETRIES;
	uint32_t timeout = weir__tcp_set(tcp)->user_timeout_ms;

	weir__tcp_note_unanswered(tcp);
	if (timeout != 0 ? weir__tcp_ms(tcp->net) - tcp->unanswered_ms >= timeout
			 : tcp->retransmits >= limit) {
		give_up(tcp);
		return;
	}
	tcp->retransmits++;
	count_up(&tcp->backoff);
	tcp->total_retrans++;
	tcp->net->count.tcp_retransmitted_segments++;
	weir__tcp_send_syn(tcp);
	weir__tcp_rearm(tcp);
}

static void retransmission_timeout(struct weir__tcp *tcp)
{
	if (tcp->state < WEIR_TCP_ESTABLISHED) {
		syn_timeout(tcp);
		return;
	}
	if (tcp->packets_out == 0) {
		weir__tcp_rearm(tcp);
		return;
	}
	if (is_hopeless(tcp)) {
		give_up(tcp);
		return;
	}
	weir__tcp_recover_timeout(tcp);
	weir__tcp_note_unanswered(tcp);
	count_up(&tcp->retransmits);
	count_up(&tcp->backoff);
	weir__tcp_retransmit(tcp, tcp->first);
	weir__tcp_rearm(tcp);
}

/* The time limit of a cork has passed, memory may be available again, or the window is closed. */
static void probe_timeout(struct weir__tcp *tcp)
{
	tcp->send_short = true;
	weir__tcp_output(tcp);
	tcp->send_short = false;
	if (tcp->packets_out > 0 || tcp->unsent == NULL) {
		if (tcp->timer_kind == WEIR_TCP_TIMER_NONE)
			weir__tcp_rearm(tcp);
		return;
	}
	weir__tcp_note_unanswered(tcp);
	if (has_probed_enough(tcp)) {
		give_up(tcp);
		return;
	}
	count_up(&tcp->probes);
	weir__tcp_send_probe(tcp);
	tcp->net->count.tcp_window_probes++;
	count_up(&tcp->backoff);
	weir__tcp_timer_set(tcp, WEIR_TCP_TIMER_PROBE, next_try_ns(tcp));
}

static bool keepalive_failed(const struct weir__tcp *tcp)
{
	uint32_t limit = weir__tcp_set(tcp)->user_timeout_ms;

	if (limit != 0)
		return tcp->probes > 0 && silent_ms(tcp) >= limit;
	return tcp->probes >= or_default(weir__tcp_set(tcp)->keep_count, 9);
}

static void idle_timeout(struct weir__tcp *tcp)
{
	if (tcp->state == WEIR_TCP_FIN_WAIT_2 && is_orphan(tcp)) {
		weir__tcp_finish(tcp, 0);
		return;
	}
	if (tcp->packets_out == 0 && silent_ms(tcp) >= keep_idle_ms(tcp)) {
		if (keepalive_failed(tcp)) {
			weir__tcp_send_reset(tcp);
			give_up(tcp);
			return;
		}
		count_up(&tcp->probes);
		weir__tcp_send_probe(tcp);
		tcp->net->count.tcp_keepalives++;
	}
	weir__tcp_rearm(tcp);
}

static void fired(struct weir__netstack *net, struct weir__netstack_timer *timer)
{
	struct weir__tcp *tcp = WEIR_STACK_CONTAINER(timer, struct weir__tcp, timer);
	uint8_t kind = tcp->timer_kind;

	(void)net;
	if (kind == WEIR_TCP_TIMER_NONE)
		return;
	tcp->timer_kind = WEIR_TCP_TIMER_NONE;
	switch (kind) {
	case WEIR_TCP_TIMER_RETRANSMIT:
		retransmission_timeout(tcp);
		break;
	case WEIR_TCP_TIMER_LOSS_PROBE:
		weir__tcp_tlp_send(tcp);
		break;
	case WEIR_TCP_TIMER_REORDER:
		weir__tcp_recover_reordered(tcp);
		break;
	case WEIR_TCP_TIMER_PROBE:
		probe_timeout(tcp);
		break;
	case WEIR_TCP_TIMER_IDLE:
		idle_timeout(tcp);
		break;
	default:
		break;
	}
	weir__tcp_later(tcp);
}

/* ---- delayed ACKs --------------------------------------------------------------------------- */

void weir__tcp_delay_ack(struct weir__tcp *tcp)
{
	uint32_t ms = tcp->ato_ms < WEIR_TCP_ATO_MIN_MS ? WEIR_TCP_ATO_MIN_MS : tcp->ato_ms;

	if (ms > WEIR_TCP_ATO_MAX_MS)
		ms = WEIR_TCP_ATO_MAX_MS;
	if (!tcp->ack_timed)
		weir__netstack_timer_set(tcp->net, &tcp->ack_timer,
					 tcp->net->now_ns + ms * WEIR_NETSTACK_MSEC);
	tcp->ack_timed = true;
}

static void ack_fired(struct weir__netstack *net, struct weir__netstack_timer *timer)
{
	struct weir__tcp *tcp = WEIR_STACK_CONTAINER(timer, struct weir__tcp, ack_timer);

	/* A segment has already carried the ACK for which the timer was set. */
	if (!tcp->ack_timed)
		return;
	/* The owner sent no data that could carry the ACK. */
	tcp->pingpong = false;
	tcp->ato_ms = WEIR_TCP_ATO_MIN_MS;
	net->count.tcp_delayed_acks++;
	weir__tcp_send_ack(tcp);
}

void weir__tcp_timers_init(struct weir__tcp *tcp)
{
	tcp->timer.fire = fired;
	tcp->ack_timer.fire = ack_fired;
}

void weir__tcp_timers_fini(struct weir__tcp *tcp)
{
	weir__netstack_timer_stop(tcp->net, &tcp->timer);
	weir__netstack_timer_stop(tcp->net, &tcp->ack_timer);
	tcp->timer_kind = WEIR_TCP_TIMER_NONE;
}
