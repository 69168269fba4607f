/* SPDX-License-Identifier: MIT */
/*
 * tcp_wait.c: TIME_WAIT (RFC 9293 3.6, 3.10.7): one minute for each flow that was closed here
 * first, in an entry of 64 bytes. The entries are allocated with the instance. They expire in the
 * order in which they began, so one timer and one list are enough. When no entry is free, the
 * oldest one is evicted.
 *
 * A flow may be reused before its minute is over if new segments differ from old ones: by a
 * later timestamp (RFC 6191), or by a sequence number beyond the last one (RFC 1122 4.2.2.13).
 */
#include "stack/tcp_state.h"

#define ISN_BEYOND 65537u	/* added for the next ISN: more than an unscaled window */

int weir__tcp_waits_init(struct weir__netstack *net)
{
	struct weir__tcp_layer *layer = net->tcp;
	uint32_t count = net->cfg.tcp_time_waits;

	_Static_assert(sizeof(struct weir__tcp_wait) == 64, "TIME_WAIT takes 64 bytes");
	layer->waits = weir__netstack_alloc(net, count * sizeof(*layer->waits));
	if (layer->waits == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		layer->waits[i].next = i + 1 < count ? i + 2 : 0;
	layer->wait_free = 1;
	return 0;
}

void weir__tcp_waits_fini(struct weir__netstack *net)
{
	struct weir__tcp_layer *layer = net->tcp;

	weir__netstack_timer_stop(net, &layer->wait_timer);
	if (layer->waits != NULL)
		weir__netstack_release(net, layer->waits,
				       net->cfg.tcp_time_waits * sizeof(*layer->waits));
}

/* ---- the list ------------------------------------------------------------------------------- */

static struct weir__tcp_wait *at(const struct weir__tcp_layer *layer, uint32_t index)
{
	return index == 0 ? NULL : &layer->waits[index - 1];
}

static void unlink_wait(struct weir__tcp_layer *layer, struct weir__tcp_wait *wait)
{
	struct weir__tcp_wait *next = at(layer, wait->next), *prev = at(layer, wait->prev);

	if (next != NULL)
		next->prev = wait->prev;
	else
		layer->wait_last = wait->prev;
	if (prev != NULL)
		prev->next = wait->next;
	else
		layer->wait_first = wait->next;
}

static void link_last(struct weir__netstack *net, struct weir__tcp_wait *wait)
{
	struct weir__tcp_layer *layer = net->tcp;
	uint32_t index = (uint32_t)(wait - layer->waits) + 1;

	wait->until_ms = weir__tcp_ms(net) + (uint32_t)(WEIR_TCP_TIME_WAIT_NS / WEIR_NETSTACK_MSEC);
	wait->next = 0;
	wait->prev = layer->wait_last;
	if (layer->wait_last != 0)
		at(layer, layer->wait_last)->next = index;
	else
		layer->wait_first = index;
	layer->wait_last = index;
}

void weir__tcp_wait_end(struct weir__netstack *net, struct weir__tcp_wait *wait)
{
	struct weir__tcp_layer *layer = net->tcp;

	weir__tcp_remove(net, &wait->flow, wait);
	unlink_wait(layer, wait);
	wait->next = layer->wait_free;
	layer->wait_free = (uint32_t)(wait - layer->waits) + 1;
	layer->waiting--;
}

static void expire(struct weir__netstack *net, struct weir__netstack_timer *timer)
{
	struct weir__tcp_layer *layer = net->tcp;
	struct weir__tcp_wait *first;
	uint32_t now = weir__tcp_ms(net);

	while ((first = at(layer, layer->wait_first)) != NULL &&
	       !weir__before(now, first->until_ms))
		weir__tcp_wait_end(net, first);
	if (first != NULL)
		weir__netstack_timer_set(net, timer,
					 net->now_ns + (uint64_t)(first->until_ms - now) *
							       WEIR_NETSTACK_MSEC);
}

static void set_timer(struct weir__netstack *net)
{
	struct weir__netstack_timer *timer = &net->tcp->wait_timer;

	timer->fire = expire;
	if (!weir__timer_is_set(timer))
		weir__netstack_timer_set(net, timer, net->now_ns + WEIR_TCP_TIME_WAIT_NS);
}

/* ---- begin ---------------------------------------------------------------------------------- */

static struct weir__tcp_wait *take(struct weir__netstack *net)
{
	struct weir__tcp_layer *layer = net->tcp;
	struct weir__tcp_wait *wait;

	if (layer->wait_free == 0) {
		net->count.tcp_time_wait_overflows++;
		weir__tcp_wait_end(net, at(layer, layer->wait_first));
	}
	wait = at(layer, layer->wait_free);
	layer->wait_free = wait->next;
	layer->waiting++;
	return wait;
}

void weir__tcp_wait_begin(struct weir__tcp *tcp)
{
	struct weir__netstack *net = tcp->net;
	struct weir__tcp_wait *wait = take(net);

	*wait = (struct weir__tcp_wait){
		.flow = tcp->flow,
		.snd_nxt = tcp->snd_nxt,
		.rcv_nxt = tcp->rcv_nxt,
		.ts_recent = tcp->ts_recent,
	};
	wait->flow.reserved = tcp->timestamps;
	link_last(net, wait);
	set_timer(net);
	weir__tcp_enter(tcp, WEIR_TCP_TIME_WAIT);
	weir__tcp_replace(net, &tcp->flow, tcp, WEIR_TCP_WAIT, wait);
	weir__tcp_finish(tcp, 0);
}

/* ---- segments ------------------------------------------------------------------------------- */

static bool had_timestamps(const struct weir__tcp_wait *wait)
{
	return wait->flow.reserved & 1;
}

static bool may_answer(struct weir__netstack *net, struct weir__tcp_wait *wait)
{
	uint32_t answered_ms = wait->flow.reserved & ~1u;
	bool may = weir__tcp_may_answer(net, &answered_ms);

	wait->flow.reserved = answered_ms | had_timestamps(wait);
	return may;
}

static void reply(struct weir__netstack *net, const struct weir__tcp_wait *wait,
		  const struct weir__tcp_segment *segment)
{
	struct weir__tcp_reply ack = {
		.seq = wait->snd_nxt,
		.ack = wait->rcv_nxt,
		.flags = WEIR_TCP_ACK,
		.timestamps = had_timestamps(wait),
		.tsval = weir__tcp_ms(net) + weir__tcp_timestamp_offset(net, &segment->flow),
		.tsecr = wait->ts_recent,
	};

	weir__tcp_reply(net, &segment->flow, &ack);
}

/* RFC 6191 section 2. */
static bool begins_anew(const struct weir__tcp_wait *wait, const struct weir__tcp_segment *segment)
{
	if ((segment->flags & (WEIR_TCP_SYN | WEIR_TCP_ACK | WEIR_TCP_RST)) != WEIR_TCP_SYN)
		return false;
	/* If the old connection had no timestamps, a SYN with one is no old duplicate. */
	if (!had_timestamps(wait) && segment->has_ts)
		return true;
	if (segment->has_ts)
		return weir__after(segment->tsval, wait->ts_recent) ||
		       (segment->tsval == wait->ts_recent &&
			weir__after(segment->seq, wait->rcv_nxt));
	return weir__after(segment->seq, wait->rcv_nxt);
}

uint32_t weir__tcp_wait_next_isn(const struct weir__tcp_wait *wait)
{
	uint32_t isn = wait->snd_nxt + ISN_BEYOND;

	return isn + (isn == 0);
}

bool weir__tcp_wait_input(struct weir__netstack *net, struct weir__tcp_wait *wait,
			  const struct weir__tcp_segment *segment, bool has_listener,
			  uint32_t *ret_isn)
{
	bool old = had_timestamps(wait) && segment->has_ts &&
		   weir__before(segment->tsval, wait->ts_recent);

	/* RFC 1337: a RST does not end TIME_WAIT. */
	if (segment->flags & WEIR_TCP_RST)
		return false;
	if (has_listener && begins_anew(wait, segment)) {
		*ret_isn = weir__tcp_wait_next_isn(wait);
		net->count.tcp_time_wait_reused++;
		weir__tcp_wait_end(net, wait);
		return true;
	}
	/* RFC 9293 3.10.7.4: a retransmitted FIN restarts the 2 MSL timeout. */
	if (segment->flags & WEIR_TCP_FIN && segment->end == wait->rcv_nxt && !old) {
		unlink_wait(net->tcp, wait);
		link_last(net, wait);
	}
	if (segment->end != segment->seq ||
	    ((segment->seq != wait->rcv_nxt || old) && may_answer(net, wait)))
		reply(net, wait, segment);
	return false;
}

bool weir__tcp_wait_reusable(const struct weir__netstack *net, const struct weir__tcp_wait *wait)
{
	uint32_t begun_ms = wait->until_ms - (uint32_t)(WEIR_TCP_TIME_WAIT_NS / WEIR_NETSTACK_MSEC);

	return had_timestamps(wait) && weir__tcp_ms(net) - begun_ms >= 1000;
}
