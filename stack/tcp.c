/* SPDX-License-Identifier: MIT */
/*
 * tcp.c: connections: their states, connect, close and abort, and the transport's table of
 * functions.
 *
 * Apart from a failed connect and the end of the instance, a connection's memory is freed only in
 * flush, at the end of a turn, when the connection is CLOSED and the owner has closed it. Therefore
 * a connection stays valid until the function that works on it returns.
 */
#include "stack/siphash.h"
#include "stack/tcp_state.h"

#define FOREVER_SEGMENTS 0x7fffffffu	/* ssthresh before the first loss */

/* ---- states --------------------------------------------------------------------------------- */

#define TO(state) (1u << WEIR_TCP_##state)

/* RFC 9293 figure 5. A connection is in TIME_WAIT only until tcp_wait.c has taken over its flow. */
static const uint16_t allowed[WEIR_TCP_STATES] = {
	[WEIR_TCP_CLOSED] = TO(SYN_SENT) | TO(SYN_RECEIVED),
	[WEIR_TCP_SYN_SENT] = TO(SYN_RECEIVED) | TO(ESTABLISHED) | TO(CLOSED),
	[WEIR_TCP_SYN_RECEIVED] = TO(ESTABLISHED) | TO(CLOSED),
	[WEIR_TCP_ESTABLISHED] = TO(FIN_WAIT_1) | TO(CLOSE_WAIT) | TO(CLOSED),
	[WEIR_TCP_FIN_WAIT_1] = TO(FIN_WAIT_2) | TO(CLOSING) | TO(CLOSED),
	[WEIR_TCP_FIN_WAIT_2] = TO(TIME_WAIT) | TO(CLOSED),
	[WEIR_TCP_CLOSING] = TO(TIME_WAIT) | TO(CLOSED),
	[WEIR_TCP_TIME_WAIT] = TO(CLOSED),
	[WEIR_TCP_CLOSE_WAIT] = TO(LAST_ACK) | TO(CLOSED),
	[WEIR_TCP_LAST_ACK] = TO(CLOSED),
};

void weir__tcp_enter(struct weir__tcp *tcp, enum weir_tcp_state state)
{
	WEIR_STACK_ASSERT(allowed[tcp->state] & 1u << state);
	(void)allowed;
	tcp->net->tcp->reached[tcp->state] |= (uint16_t)(1u << state);
	tcp->state = (uint8_t)state;
}

/* ---- settings ------------------------------------------------------------------------------- */

int weir__tcp_shared_new(struct weir__netstack *net, const struct weir__tcp_settings *settings,
			 struct weir__tcp_shared **ret_shared)
{
	struct weir__tcp_shared *shared;

	if (settings == NULL && net->tcp->defaults != NULL) {
		*ret_shared = weir__tcp_shared_ref(net->tcp->defaults);
		return 0;
	}
	shared = weir__netstack_alloc(net, sizeof(*shared));
	if (shared == NULL)
		return -ENOMEM;
	if (settings != NULL)
		shared->settings = *settings;
	if (shared->settings.congestion == NULL)
		shared->settings.congestion = &weir__tcp_cubic;
	shared->refs = 1;
	*ret_shared = shared;
	return 0;
}

struct weir__tcp_shared *weir__tcp_shared_ref(struct weir__tcp_shared *shared)
{
	shared->refs++;
	return shared;
}

void weir__tcp_shared_unref(struct weir__netstack *net, struct weir__tcp_shared *shared)
{
	if (shared != NULL && --shared->refs == 0)
		weir__netstack_release(net, shared, sizeof(*shared));
}

static void init_congestion(struct weir__tcp *tcp)
{
	memset(&tcp->cubic, 0, sizeof(tcp->cubic));
	weir__tcp_control(tcp)->init(tcp);
}

int weir__tcp_apply(struct weir__tcp *tcp, const struct weir__tcp_settings *settings)
{
	const struct weir__tcp_congestion *before = weir__tcp_control(tcp);
	struct weir__tcp_shared *shared;
	int rc;

	if (!weir__tcp_settings_valid(settings))
		return -EINVAL;
	rc = weir__tcp_shared_new(tcp->net, settings, &shared);
	if (rc < 0)
		return rc;
	weir__tcp_shared_unref(tcp->net, tcp->shared);
	tcp->shared = shared;
	if (settings->receive_bytes != 0)
		tcp->rcv_limit = weir__tcp_initial_buffer(tcp->net, settings);
	if (settings->send_bytes != 0)
		tcp->snd_limit = settings->send_bytes;
	if (tcp->state == WEIR_TCP_CLOSED)
		return 0;
	if (weir__tcp_control(tcp) != before)
		init_congestion(tcp);
	weir__tcp_sync_mss(tcp);
	/* Keepalive may begin or end, or the cork may be removed. */
	if (tcp->state >= WEIR_TCP_ESTABLISHED && tcp->packets_out == 0)
		weir__tcp_rearm(tcp);
	weir__tcp_later(tcp);
	return 0;
}

/* ---- begin ---------------------------------------------------------------------------------- */

/* RFC 6528 section 3: a clock of 4 us plus a keyed hash of the flow. */
uint32_t weir__tcp_isn(struct weir__netstack *net, const struct weir__flow *flow)
{
	return (uint32_t)(net->now_ns / 4000) +
	       (uint32_t)weir__siphash(net->tcp->isn_secret, flow, sizeof(*flow));
}

/* RFC 7323 5.4: the offset is unpredictable, but the same for all connections of two hosts. So the
 * timestamps of a new connection are later than those of an old one (RFC 6191). */
uint32_t weir__tcp_timestamp_offset(struct weir__netstack *net, const struct weir__flow *flow)
{
	return (uint32_t)weir__siphash(net->tcp->timestamp_secret, flow,
				       offsetof(struct weir__flow, local_port));
}

struct weir__tcp *weir__tcp_new(struct weir__netstack *net, const struct weir__flow *flow,
				struct weir__tcp_shared *shared)
{
	struct weir__tcp *tcp;

	if (net->tcp->connections >= net->cfg.tcp_connections)
		return NULL;
	tcp = weir__netstack_alloc(net, sizeof(*tcp));
	if (tcp == NULL)
		return NULL;
	net->tcp->connections++;
	tcp->flow = *flow;
	tcp->flow.reserved = 0;
	tcp->net = net;
	tcp->source.kind = WEIR_NETSTACK_TCP;
	tcp->shared = weir__tcp_shared_ref(shared);
	tcp->state = WEIR_TCP_CLOSED;
	tcp->owned = true;
	tcp->ts_offset = weir__tcp_timestamp_offset(net, flow);
	tcp->advmss = weir__tcp_advertised_mss(net, flow, weir__tcp_set(tcp));
	tcp->peer_mss = WEIR_TCP_MSS_DEFAULT;
	tcp->rcv_mss = WEIR_TCP_MSS_DEFAULT;
	tcp->rcv_ratio = 128;
	tcp->rcv_wscale = weir__tcp_choose_wscale(net, weir__tcp_set(tcp)) & 15u;
	tcp->rcv_limit = weir__tcp_initial_buffer(net, weir__tcp_set(tcp));
	tcp->rcv_wnd = weir__tcp_initial_window(net, weir__tcp_set(tcp));
	tcp->snd_limit = weir__tcp_set(tcp)->send_bytes;
	if (tcp->snd_limit == 0)
		tcp->snd_limit = WEIR_TCP_SEND_START;
	tcp->rto_us = WEIR_TCP_RTO_INITIAL_US;
	tcp->rack_multiplier = 1;
	weir__tcp_sync_mss(tcp);
	weir__tcp_timers_init(tcp);
	return tcp;
}

void weir__tcp_established(struct weir__tcp *tcp)
{
	uint32_t now = weir__tcp_ms(tcp->net);

	weir__tcp_enter(tcp, WEIR_TCP_ESTABLISHED);
	tcp->was_connected = true;
	/* RFC 6928; RFC 5681 3.1: one segment, if the SYN was retransmitted more than once. */
	tcp->cwnd = tcp->retransmits > 1 ? 1 : WEIR_TCP_INITIAL_WINDOW;
	tcp->ssthresh = FOREVER_SEGMENTS;
	if (tcp->retransmits > 0 && tcp->srtt == 0)
		tcp->rto_us = WEIR_TCP_RTO_AFTER_SYN_US;
	tcp->rack_fack = tcp->snd_una;
	tcp->rack_round = tcp->snd_una;
	tcp->snd_small = tcp->snd_una;
	tcp->retransmits = 0;
	tcp->backoff = 0;
	tcp->unanswered = false;
	tcp->sent_ms = now;
	tcp->received_ms = now;
	tcp->acked_ms = now;
	tcp->tune_seq = tcp->rcv_read;
	tcp->tune_ms = now;
	tcp->tune_rtt_us = tcp->srtt / 8;
	tcp->tune_space = tcp->rcv_wnd;
	init_congestion(tcp);
	/* The owner has closed the connection before it was established. */
	if (tcp->fin_wanted)
		weir__tcp_enter(tcp, WEIR_TCP_FIN_WAIT_1);
	weir__tcp_rearm(tcp);
	if (tcp->wants_write)
		weir__tcp_raise(tcp, WEIR_NETSTACK_WRITABLE);
	tcp->wants_write = false;
}

/* ---- events, the turn's end ------------------------------------------------------------------ */

void weir__tcp_raise(struct weir__tcp *tcp, unsigned events)
{
	if (tcp->owned && !tcp->waits_for_accept)
		weir__netstack_raise(tcp->net, &tcp->source, events);
}

void weir__tcp_later(struct weir__tcp *tcp)
{
	struct weir__tcp_layer *layer = tcp->net->tcp;

	if (tcp->listed)
		return;
	tcp->listed = true;
	tcp->flush_next = NULL;
	*layer->flush_end = tcp;
	layer->flush_end = &tcp->flush_next;
}

static void free_connection(struct weir__tcp *tcp)
{
	struct weir__netstack *net = tcp->net;

	WEIR_STACK_ASSERT(tcp->first == NULL && tcp->rcv_charged == 0 && tcp->snd_charged == 0);
	net->tcp->connections--;
	weir__tcp_shared_unref(net, tcp->shared);
	weir__netstack_release(net, tcp, sizeof(*tcp));
}

static void flush(struct weir__netstack *net)
{
	struct weir__tcp_layer *layer = net->tcp;
	struct weir__tcp *tcp;

	while ((tcp = layer->flush_first) != NULL) {
		layer->flush_first = tcp->flush_next;
		if (layer->flush_first == NULL)
			layer->flush_end = &layer->flush_first;
		tcp->listed = false;
		if (tcp->dead)
			free_connection(tcp);
		else
			weir__tcp_output(tcp);
	}
}

/* ---- end ------------------------------------------------------------------------------------ */

static void free_send_queue(struct weir__tcp *tcp)
{
	struct weir__frame *frame;

	while ((frame = tcp->first) != NULL) {
		tcp->first = frame->queued;
		weir__tcp_free_sent(tcp, frame);
	}
	tcp->last = NULL;
	tcp->unsent = NULL;
	tcp->sack_hint = NULL;
	tcp->newest = NULL;
	tcp->lost_hint = NULL;
	tcp->packets_out = 0;
	tcp->sacked_out = 0;
	tcp->lost_out = 0;
	tcp->retrans_out = 0;
}

static void link_finished(struct weir__tcp *tcp)
{
	struct weir__tcp_layer *layer = tcp->net->tcp;

	tcp->finished_next = layer->finished;
	tcp->finished_pprev = &layer->finished;
	if (tcp->finished_next != NULL)
		tcp->finished_next->finished_pprev = &tcp->finished_next;
	layer->finished = tcp;
}

static void unlink_finished(struct weir__tcp *tcp)
{
	*tcp->finished_pprev = tcp->finished_next;
	if (tcp->finished_next != NULL)
		tcp->finished_next->finished_pprev = tcp->finished_pprev;
	tcp->finished_pprev = NULL;
}

/* Frees a connection at the turn's end: it is CLOSED, and the owner has closed it. */
static void bury(struct weir__tcp *tcp)
{
	weir__tcp_free_received(tcp);
	tcp->dead = true;
	weir__tcp_later(tcp);
}

static void count_end(struct weir__tcp *tcp, int error)
{
	struct weir__netstack_counters *count = &tcp->net->count;

	if (!tcp->was_connected)
		count->tcp_attempt_fails++;
	else if (error != 0 &&
		 (tcp->state == WEIR_TCP_ESTABLISHED || tcp->state == WEIR_TCP_CLOSE_WAIT))
		count->tcp_established_resets++;
}

void weir__tcp_finish(struct weir__tcp *tcp, int error)
{
	if (tcp->state == WEIR_TCP_CLOSED)
		return;
	count_end(tcp, error);
	weir__tcp_timers_fini(tcp);
	free_send_queue(tcp);
	weir__tcp_remove(tcp->net, &tcp->flow, tcp);
	weir__tcp_enter(tcp, WEIR_TCP_CLOSED);
	tcp->error = (int16_t)error;
	tcp->ack_now = false;
	tcp->ack_pending = false;
	if (tcp->owned) {
		link_finished(tcp);
		weir__tcp_raise(tcp, error != 0 ? WEIR_NETSTACK_FAILED : WEIR_NETSTACK_CLOSED);
	} else {
		tcp->net->tcp->orphans -= tcp->orphaned;
		bury(tcp);
	}
}

/* Whether both sides have sent their FIN: then ABORT sends no RST (RFC 9293 3.10.5). */
static bool has_ended(const struct weir__tcp *tcp)
{
	return (tcp->state == WEIR_TCP_CLOSING || tcp->state == WEIR_TCP_LAST_ACK) &&
	       tcp->fin_queued && tcp->snd_nxt == tcp->write_seq;
}

static void reset(struct weir__tcp *tcp, bool unread)
{
	if (tcp->state >= WEIR_TCP_SYN_RECEIVED && (unread || !has_ended(tcp)))
		weir__tcp_send_reset(tcp);
	weir__tcp_finish(tcp, -ECONNABORTED);
}

/* Detaches the owner. False: the connection was CLOSED already, and is freed at the turn's end. */
static bool disown(struct weir__tcp *tcp)
{
	weir__netstack_silence(tcp->net, &tcp->source);
	tcp->owned = false;
	if (tcp->state != WEIR_TCP_CLOSED)
		return true;
	unlink_finished(tcp);
	bury(tcp);
	return false;
}

void weir__tcp_abort(struct weir__tcp *tcp)
{
	if (disown(tcp))
		reset(tcp, false);
}

static void close_sending(struct weir__tcp *tcp)
{
	if (tcp->fin_wanted)
		return;
	/* RFC 9293 3.10.4: in SYN-RECEIVED the close waits for ESTABLISHED. */
	if (tcp->state == WEIR_TCP_CLOSE_WAIT)
		weir__tcp_enter(tcp, WEIR_TCP_LAST_ACK);
	else if (tcp->state == WEIR_TCP_ESTABLISHED)
		weir__tcp_enter(tcp, WEIR_TCP_FIN_WAIT_1);
	tcp->fin_wanted = true;
	tcp->more = false;
	weir__tcp_later(tcp);
}

void weir__tcp_close(struct weir__tcp *tcp)
{
	struct weir__tcp_layer *layer = tcp->net->tcp;
	bool unread = weir__tcp_readable(tcp) > 0;

	if (!disown(tcp))
		return;
	if (tcp->state == WEIR_TCP_SYN_SENT || unread || weir__tcp_set(tcp)->linger_zero ||
	    layer->orphans >= tcp->net->cfg.tcp_orphans) {
		reset(tcp, unread);
		return;
	}
	layer->orphans++;
	tcp->orphaned = true;
	weir__tcp_free_received(tcp);
	close_sending(tcp);
	/* As an orphan, FIN_WAIT_2 has a time limit, which replaces keepalive. */
	if (tcp->packets_out == 0 && tcp->state >= WEIR_TCP_ESTABLISHED) {
		weir__tcp_timer_stop(tcp);
		weir__tcp_rearm(tcp);
	}
}

int weir__tcp_shutdown(struct weir__tcp *tcp, unsigned sides)
{
	if (tcp->state < WEIR_TCP_ESTABLISHED)
		return -ENOTCONN;
	if (sides & WEIR_TCP_WRITE)
		close_sending(tcp);
	if (sides & WEIR_TCP_READ && !tcp->read_shut) {
		uint32_t unread = weir__tcp_readable(tcp);

		tcp->read_shut = true;
		weir__tcp_free_queue(tcp);
		weir__tcp_has_read(tcp, unread);
	}
	return 0;
}

unsigned weir__tcp_orphans(const struct weir__netstack *net)
{
	return net->tcp->orphans;
}

/* ---- connect -------------------------------------------------------------------------------- */

static int choose_local(struct weir__netstack *net, const struct weir__endpoint *local,
			struct weir__flow *flow)
{
	if (local != NULL && !weir__ip_is_any(&local->address)) {
		if (!weir__ip_is_own(net, &local->address))
			return -EADDRNOTAVAIL;
		flow->local = local->address;
	} else {
		int rc = weir__ip_source(net, &flow->remote, &flow->local);

		if (rc < 0)
			return rc;
	}
	if (local == NULL || local->port == 0)
		return weir__tcp_choose_port(net, flow);
	flow->local_port = local->port;
	return 0;
}

/* Makes the flow available. If it is in TIME_WAIT and reusable, the wait ends and gives the ISN. */
static int take_flow(struct weir__netstack *net, const struct weir__flow *flow, uint32_t *ret_isn,
		     uint32_t *ret_ts_recent)
{
	enum weir_tcp_kind kind;
	struct weir__tcp_wait *wait = weir__tcp_find(net, flow, &kind);

	*ret_isn = weir__tcp_isn(net, flow);
	*ret_ts_recent = 0;
	if (wait == NULL)
		return 0;
	if (kind != WEIR_TCP_WAIT || !weir__tcp_wait_reusable(net, wait))
		return -EADDRINUSE;
	*ret_isn = weir__tcp_wait_next_isn(wait);
	*ret_ts_recent = wait->ts_recent;
	net->count.tcp_time_wait_reused++;
	weir__tcp_wait_end(net, wait);
	return 0;
}

static void send_first(struct weir__tcp *tcp, uint32_t isn)
{
	tcp->snd_una = isn;
	tcp->snd_nxt = isn + 1;
	tcp->write_seq = isn + 1;
	/* The time of the SYN, for the first round-trip time. */
	tcp->rack_sent_ns = tcp->net->now_ns;
	tcp->sent_ms = weir__tcp_ms(tcp->net);
	weir__tcp_enter(tcp, WEIR_TCP_SYN_SENT);
	tcp->net->count.tcp_active_opens++;
	weir__tcp_send_syn(tcp);
	weir__tcp_rearm(tcp);
}

int weir__tcp_connect(struct weir__netstack *net, const struct weir__endpoint *local,
		      const struct weir__endpoint *peer, const struct weir__tcp_settings *settings,
		      struct weir__netstack_user *user, struct weir__tcp **ret_tcp)
{
	struct weir__flow flow = { .remote = peer->address, .remote_port = peer->port };
	struct weir__tcp_shared *shared;
	struct weir__tcp *tcp;
	uint32_t isn, ts_recent;
	int rc;

	if (peer->port == 0 || !weir__ip_is_unicast(net, &peer->address) ||
	    (settings != NULL && !weir__tcp_settings_valid(settings)))
		return -EINVAL;
	if (net->tcp->connections >= net->cfg.tcp_connections)
		return -ENOBUFS;
	rc = choose_local(net, local, &flow);
	if (rc < 0)
		return rc;
	rc = weir__tcp_shared_new(net, settings, &shared);
	if (rc < 0)
		return rc;
	tcp = weir__tcp_new(net, &flow, shared);
	weir__tcp_shared_unref(net, shared);
	if (tcp == NULL)
		return -ENOMEM;
	rc = take_flow(net, &flow, &isn, &ts_recent);
	if (rc == 0)
		rc = weir__tcp_insert(net, &flow, WEIR_TCP_CONNECTION, tcp);
	if (rc < 0) {
		free_connection(tcp);
		return rc;
	}
	tcp->source.user = user;
	tcp->ts_recent = ts_recent;
	send_first(tcp, isn);
	*ret_tcp = tcp;
	return 0;
}

/* ---- errors from below ---------------------------------------------------------------------- */

static void too_big(struct weir__tcp *tcp, const struct weir__ip_error *error)
{
	uint16_t before = tcp->pmtu;

	if (error->mtu >= tcp->pmtu)
		return;
	weir__ip_path_mtu_lower(tcp->net, &tcp->flow.remote, error->mtu);
	weir__tcp_sync_mss(tcp);
	if (tcp->pmtu < before && tcp->state >= WEIR_TCP_ESTABLISHED) {
		weir__tcp_recover_too_big(tcp);
		weir__tcp_later(tcp);
	}
}

/* RFC 5927 4.1: the quoted sequence number must be in flight. RFC 1122 4.2.3.9: a hard error
 * ends an attempt to connect. An established connection continues, and reports the error if
 * it times out. */
static bool connection_failed(struct weir__tcp *tcp, const struct weir__ip_error *error,
			      uint32_t seq)
{
	if (weir__before(seq, tcp->snd_una) || !weir__before(seq, tcp->snd_nxt))
		return false;
	if (error->kind == WEIR_IP_TOO_BIG) {
		too_big(tcp, error);
		return true;
	}
	if (tcp->state < WEIR_TCP_ESTABLISHED &&
	    (error->hard || error->kind == WEIR_IP_NO_NEIGHBOUR))
		weir__tcp_finish(tcp, error->error);
	else
		tcp->soft_error = (int16_t)error->error;
	return true;
}

static bool error(struct weir__netstack *net, const struct weir__ip_error *error)
{
	enum weir_tcp_kind kind;
	void *entry = weir__tcp_find(net, &error->flow, &kind);
	uint32_t seq;

	if (error->quoted_len < 8)
		return false;
	seq = weir__get32(error->quoted + 4);
	if (kind == WEIR_TCP_CONNECTION)
		return connection_failed(entry, error, seq);
	if (kind == WEIR_TCP_REQUEST)
		return weir__tcp_request_failed(entry, error, seq);
	return false;
}

/* ---- the transport -------------------------------------------------------------------------- */

static int init(struct weir__netstack *net)
{
	struct weir__tcp_layer *layer = weir__netstack_alloc(net, sizeof(*layer));
	int rc;

	if (layer == NULL)
		return -ENOMEM;
	net->tcp = layer;
	layer->flush_end = &layer->flush_first;
	net->owner->ops->random(net->owner, layer->isn_secret, sizeof(layer->isn_secret));
	net->owner->ops->random(net->owner, layer->timestamp_secret,
				sizeof(layer->timestamp_secret));
	net->owner->ops->random(net->owner, layer->cookie_secret, sizeof(layer->cookie_secret));
	rc = weir__tcp_shared_new(net, NULL, &layer->defaults);
	if (rc < 0)
		return rc;
	rc = weir__tcp_table_init(net, (size_t)net->cfg.tcp_connections + net->cfg.tcp_time_waits);
	if (rc < 0)
		return rc;
	return weir__tcp_waits_init(net);
}

/* Frees a connection at the end of the instance, without sending anything. */
static void forget(struct weir__tcp *tcp)
{
	struct weir__netstack *net = tcp->net;

	if (tcp->state == WEIR_TCP_CLOSED)
		unlink_finished(tcp);
	weir__netstack_silence(net, &tcp->source);
	weir__tcp_timers_fini(tcp);
	free_send_queue(tcp);
	weir__tcp_free_received(tcp);
	free_connection(tcp);
}

static void fini(struct weir__netstack *net)
{
	struct weir__tcp_layer *layer = net->tcp;
	struct weir__tcp_table *table;

	if (layer == NULL)
		return;
	/* 1. Free the dead connections, and empty the list for the turn's end. */
	for (struct weir__tcp *tcp = layer->flush_first, *next; tcp != NULL; tcp = next) {
		next = tcp->flush_next;
		tcp->listed = false;
		if (tcp->dead)
			free_connection(tcp);
	}
	layer->flush_first = NULL;
	layer->flush_end = &layer->flush_first;
	/* 2. Free the listeners. Step 3 frees the connections that wait to be accepted. */
	weir__tcp_listeners_fini(net);
	/* 3. Free the CLOSED connections that have an owner, and those in the table. */
	while (layer->finished != NULL)
		forget(layer->finished);
	table = &layer->table;
	for (uint32_t i = 0; table->buckets != NULL && i <= table->mask; i++)
		for (unsigned slot = 0; slot < WEIR_TCP_SLOTS; slot++)
			if ((table->buckets[i].tag[slot] & 3) == WEIR_TCP_CONNECTION)
				forget(table->buckets[i].entry[slot]);
	weir__tcp_waits_fini(net);
	weir__tcp_table_fini(net);
	weir__tcp_shared_unref(net, layer->defaults);
	weir__netstack_release(net, layer, sizeof(*layer));
	net->tcp = NULL;
}

const struct weir__transport weir__transport_tcp = {
	.protocol = WEIR_IP_TCP,
	.init = init,
	.fini = fini,
	.input = weir__tcp_input,
	.expect = weir__tcp_expect,
	.error = error,
	.flush = flush,
};
