/* SPDX-License-Identifier: MIT */
/*
 * tcp_listen.c: listeners: half-open connections, and the queue of connections that wait to be
 * accepted.
 *
 * A SYN creates a request, which takes some 130 bytes, and the end of the handshake creates the
 * connection. A listener has at most as many requests as its backlog. Beyond that limit, or beyond
 * that of the instance, SYNs are answered with cookies (tcp_cookie.c), which need no memory. While
 * the accept queue is full, the listener drops SYNs and the last ACKs of handshakes.
 */
#include "stack/tcp_state.h"

static uint32_t initial_window(const struct weir__tcp_listener *listener)
{
	return weir__tcp_initial_window(listener->net, &listener->shared->settings);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void free_request(struct weir__tcp_request *request)
{
	struct weir__netstack *net = request->net;

	weir__netstack_timer_stop(net, &request->timer);
	*request->pprev = request->next;
	if (request->next != NULL)
		request->next->pprev = request->pprev;
	request->listener->request_count--;
	net->tcp->requests--;
	weir__netstack_release(net, request, sizeof(*request));
}

static void forget_request(struct weir__tcp_request *request)
{
	weir__tcp_remove(request->net, &request->flow, request);
	free_request(request);
}

void weir__tcp_send_synack(const struct weir__tcp_listener *listener,
			   const struct weir__tcp_request *request, uint32_t tsval)
{
	struct weir__netstack *net = listener->net;
	struct weir__tcp_syn_options syn = {
		.mss = weir__tcp_advertised_mss(net, &request->flow, &listener->shared->settings),
		.sack = request->sack,
		.timestamps = request->timestamps,
		.wscale = request->wscale,
		.shift = weir__tcp_choose_wscale(net, &listener->shared->settings),
		.tsval = tsval,
		.tsecr = request->ts_recent,
	};
	struct weir__tcp_reply reply = {
		.seq = request->iss,
		.ack = request->irs + 1,
		.window = initial_window(listener),
		.flags = WEIR_TCP_SYN | WEIR_TCP_ACK,
		.tos = listener->shared->settings.tos,
		.syn = &syn,
	};

	weir__tcp_reply(net, &request->flow, &reply);
}

static uint32_t clock_of(struct weir__netstack *net, const struct weir__flow *flow)
{
	return weir__tcp_ms(net) + weir__tcp_timestamp_offset(net, flow);
}

static void answer(struct weir__tcp_request *request)
{
	weir__tcp_send_synack(request->listener, request, clock_of(request->net, &request->flow));
}

static void request_timeout(struct weir__netstack *net, struct weir__netstack_timer *timer)
{
	struct weir__tcp_request *request =
		WEIR_STACK_CONTAINER(timer, struct weir__tcp_request, timer);

	if (request->retries >= WEIR_TCP_SYNACK_RETRIES) {
		net->count.tcp_attempt_fails++;
		forget_request(request);
		return;
	}
	request->retries++;
	net->count.tcp_retransmitted_segments++;
	answer(request);
	weir__netstack_timer_set(net, timer,
				 net->now_ns + ((uint64_t)WEIR_TCP_RTO_INITIAL_US * 1000
						<< request->retries));
}

/* Makes a request from a SYN. */
static void read_syn(struct weir__netstack *net, const struct weir__tcp_segment *segment,
		     uint32_t isn, struct weir__tcp_request *request)
{
	*request = (struct weir__tcp_request){
		.flow = segment->flow,
		.net = net,
		.sent_ns = net->now_ns,
		.irs = segment->seq,
		.iss = isn != 0 ? isn : weir__tcp_isn(net, &segment->flow),
		.ts_recent = segment->tsval,
		.mss = segment->mss != 0 ? segment->mss : WEIR_TCP_MSS_DEFAULT,
		.snd_wscale = segment->wscale,
		.timestamps = segment->has_ts,
		.sack = segment->sack_permitted,
		.wscale = segment->has_wscale,
	};
}

static int open_request(struct weir__tcp_listener *listener,
			const struct weir__tcp_request *syn)
{
	struct weir__netstack *net = listener->net;
	struct weir__tcp_request *request = weir__netstack_alloc(net, sizeof(*request));
	int rc;

	if (request == NULL)
		return -ENOMEM;
	rc = weir__tcp_insert(net, &syn->flow, WEIR_TCP_REQUEST, request);
	if (rc < 0) {
		weir__netstack_release(net, request, sizeof(*request));
		return rc;
	}
	*request = *syn;
	request->listener = listener;
	request->next = listener->requests;
	request->pprev = &listener->requests;
	if (request->next != NULL)
		request->next->pprev = &request->next;
	listener->requests = request;
	listener->request_count++;
	net->tcp->requests++;
	request->timer.fire = request_timeout;
	weir__netstack_timer_set(net, &request->timer,
				 net->now_ns + (uint64_t)WEIR_TCP_RTO_INITIAL_US * 1000);
	answer(request);
	return 0;
}

/* ---- connections ---------------------------------------------------------------------------- */

static void queue_for_accept(struct weir__tcp_listener *listener, struct weir__tcp *tcp)
{
	tcp->waits_for_accept = true;
	tcp->accept_next = NULL;
	if (listener->accept_first == NULL)
		listener->accept_first = tcp;
	else
		listener->accept_last->accept_next = tcp;
	listener->accept_last = tcp;
	listener->accept_count++;
	weir__netstack_raise(listener->net, &listener->source, WEIR_NETSTACK_ACCEPTABLE);
}

/* Makes a connection from a request. It is in no table yet. */
static struct weir__tcp *promote(struct weir__tcp_listener *listener,
				 const struct weir__tcp_request *request,
				 const struct weir__tcp_segment *segment)
{
	struct weir__tcp_segment syn = {
		.seq = request->irs,
		.mss = request->mss,
		.has_ts = request->timestamps,
		.tsval = request->ts_recent,
		.sack_permitted = request->sack,
		.has_wscale = request->wscale,
		.wscale = request->snd_wscale,
		.window = segment->window,
	};
	struct weir__tcp *tcp = weir__tcp_new(listener->net, &request->flow, listener->shared);

	if (tcp == NULL)
		return NULL;
	weir__tcp_enter(tcp, WEIR_TCP_SYN_RECEIVED);
	tcp->snd_una = request->iss + 1;
	tcp->snd_nxt = tcp->snd_una;
	tcp->write_seq = tcp->snd_una;
	weir__tcp_learn_options(tcp, &syn);
	tcp->snd_wnd = segment->window << tcp->snd_wscale;
	tcp->snd_max_wnd = tcp->snd_wnd;
	tcp->retransmits = request->retries;
	if (request->retries == 0 && request->sent_ns != 0)
		weir__tcp_rtt_sample(tcp, (uint32_t)((listener->net->now_ns - request->sent_ns) /
						     1000));
	return tcp;
}

static void begin(struct weir__tcp_listener *listener, struct weir__tcp *tcp,
		  const struct weir__tcp_segment *segment, struct weir__frame *frame)
{
	listener->net->count.tcp_passive_opens++;
	weir__tcp_established(tcp);
	queue_for_accept(listener, tcp);
	weir__tcp_segment_input(tcp, segment, frame);
}

static bool is_full(struct weir__tcp_listener *listener)
{
	if (listener->accept_count < listener->backlog)
		return false;
	listener->net->count.tcp_listen_overflows++;
	return true;
}

/* ---- segments for a request (RFC 9293 3.10.7.4 in SYN-RECEIVED) ------------------------------ */

/* The window field of an ACK: scaled, as in every segment without SYN (RFC 7323 2.2), and rounded
 * up, so that the window which the SYN-ACK offered does not shrink. */
static uint32_t window_field(const struct weir__tcp_request *request)
{
	const struct weir__tcp_listener *listener = request->listener;
	uint32_t window = initial_window(listener);
	uint8_t shift = weir__tcp_choose_wscale(listener->net, &listener->shared->settings);

	return request->wscale ? (window + (1u << shift) - 1) >> shift : window;
}

static void ack_request(const struct weir__tcp_request *request)
{
	struct weir__tcp_reply ack = {
		.seq = request->iss + 1,
		.ack = request->irs + 1,
		.window = window_field(request),
		.flags = WEIR_TCP_ACK,
		.timestamps = request->timestamps,
		.tsval = clock_of(request->net, &request->flow),
		.tsecr = request->ts_recent,
	};

	weir__tcp_reply(request->net, &request->flow, &ack);
}

/* RFC 9293 3.10.7.4, first. A bare ACK may be at the right edge, as in Linux. */
static bool is_outside(const struct weir__tcp_request *request,
		       const struct weir__tcp_segment *segment)
{
	uint32_t ahead = segment->seq - (request->irs + 1);
	uint32_t window = initial_window(request->listener);

	return ahead > window || (ahead == window && segment->end != segment->seq);
}

/* A challenge ACK (RFC 5961), limited as its section 7 requires. */
static void challenge_request(struct weir__tcp_request *request)
{
	if (weir__tcp_may_answer(request->net, &request->answered_ms))
		ack_request(request);
}

/* RFC 5961 section 3.2: a RST at RCV.NXT resets; one elsewhere in the window is challenged. */
static void reset_request(struct weir__tcp_request *request,
			  const struct weir__tcp_segment *segment)
{
	if (segment->seq == request->irs + 1) {
		request->net->count.tcp_attempt_fails++;
		forget_request(request);
	} else if (!is_outside(request, segment)) {
		challenge_request(request);
	}
}

/* False: the segment has been dealt with. */
static bool check_request(struct weir__tcp_request *request,
			  const struct weir__tcp_segment *segment)
{
	bool old = request->timestamps && segment->has_ts &&
		   weir__before(segment->tsval, request->ts_recent);

	if ((segment->flags & (WEIR_TCP_SYN | WEIR_TCP_ACK | WEIR_TCP_RST)) == WEIR_TCP_SYN &&
	    segment->seq == request->irs) {
		/* The SYN-ACK was lost: send it again. RFC 7323 4.3: echo the later timestamp. */
		if (request->timestamps && segment->has_ts && !old)
			request->ts_recent = segment->tsval;
		answer(request);
		return false;
	}
	if (segment->flags & WEIR_TCP_RST) {
		reset_request(request, segment);
		return false;
	}
	if (old || is_outside(request, segment) || segment->flags & WEIR_TCP_SYN) {
		if (segment->end != segment->seq)
			ack_request(request);
		else
			challenge_request(request);
		return false;
	}
	return segment->flags & WEIR_TCP_ACK;
}

void weir__tcp_request_input(struct weir__tcp_request *request,
			     const struct weir__tcp_segment *segment, struct weir__frame *frame)
{
	struct weir__tcp_listener *listener = request->listener;
	struct weir__netstack *net = request->net;
	struct weir__tcp *tcp = NULL;

	if (check_request(request, segment)) {
		if (segment->ack != request->iss + 1)
			weir__tcp_refuse(net, segment);
		else if (!is_full(listener))
			tcp = promote(listener, request, segment);
	}
	if (tcp == NULL) {
		weir__frame_free(&net->frames, frame);
		return;
	}
	weir__tcp_replace(net, &request->flow, request, WEIR_TCP_CONNECTION, tcp);
	free_request(request);
	begin(listener, tcp, segment, frame);
}

bool weir__tcp_request_failed(struct weir__tcp_request *request, const struct weir__ip_error *error,
			      uint32_t seq)
{
	if (seq != request->iss)
		return false;
	if (error->hard || error->kind == WEIR_IP_NO_NEIGHBOUR) {
		request->net->count.tcp_attempt_fails++;
		forget_request(request);
	}
	return true;
}

/* ---- segments for a listener (RFC 9293 3.10.7.2) --------------------------------------------- */

static bool needs_cookie(const struct weir__tcp_listener *listener)
{
	return listener->request_count >= listener->backlog ||
	       listener->net->tcp->requests >= listener->net->cfg.tcp_connections / 4 + 16;
}

static void syn_input(struct weir__tcp_listener *listener, const struct weir__tcp_segment *segment,
		      uint32_t isn)
{
	struct weir__tcp_request syn;

	if (segment->flags & WEIR_TCP_FIN || is_full(listener))
		return;
	read_syn(listener->net, segment, isn, &syn);
	if (isn == 0 && needs_cookie(listener)) {
		weir__tcp_cookie_send(listener, &syn);
		return;
	}
	if (open_request(listener, &syn) < 0)
		listener->net->count.tcp_listen_drops++;
}

/* Makes a connection from the last ACK of a handshake, if the ACK returns a valid cookie. */
static struct weir__tcp *from_cookie(struct weir__tcp_listener *listener,
				     const struct weir__tcp_segment *segment)
{
	struct weir__tcp_request request;
	struct weir__tcp *tcp;

	if (!weir__tcp_cookie_check(listener, segment, &request)) {
		weir__tcp_refuse(listener->net, segment);
		return NULL;
	}
	if (is_full(listener))
		return NULL;
	tcp = promote(listener, &request, segment);
	if (tcp == NULL ||
	    weir__tcp_insert(listener->net, &segment->flow, WEIR_TCP_CONNECTION, tcp) == 0)
		return tcp;
	tcp->owned = false;
	weir__tcp_finish(tcp, -ENOBUFS);
	return NULL;
}

void weir__tcp_listener_input(struct weir__tcp_listener *listener,
			      const struct weir__tcp_segment *segment, uint32_t isn,
			      struct weir__frame *frame)
{
	struct weir__tcp *tcp = NULL;

	if (!(segment->flags & WEIR_TCP_RST)) {
		if (segment->flags & WEIR_TCP_ACK)
			tcp = from_cookie(listener, segment);
		else if (segment->flags & WEIR_TCP_SYN)
			syn_input(listener, segment, isn);
	}
	if (tcp != NULL)
		begin(listener, tcp, segment, frame);
	else
		weir__frame_free(&listener->net->frames, frame);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static struct weir__tcp_listener **bucket_of(struct weir__netstack *net, uint16_t port)
{
	return &net->tcp->listeners[port % WEIR_TCP_LISTENER_BUCKETS];
}

static int check_local(const struct weir__netstack *net, const struct weir__endpoint *local,
		       unsigned backlog)
{
	const struct weir__tcp_listener *other;

	if (local->port == 0 || backlog == 0)
		return -EINVAL;
	if (!weir__ip_is_any(&local->address) && !weir__ip_is_own(net, &local->address))
		return -EADDRNOTAVAIL;
	other = weir__tcp_find_listener(net, &local->address, local->port);
	if (other != NULL && weir__ip_equal(&other->local.address, &local->address))
		return -EADDRINUSE;
	return 0;
}

int weir__tcp_listen(struct weir__netstack *net, const struct weir__endpoint *local,
		     unsigned backlog, const struct weir__tcp_settings *settings,
		     struct weir__netstack_user *user, struct weir__tcp_listener **ret_listener)
{
	struct weir__tcp_listener *listener, **bucket;
	int rc = check_local(net, local, backlog);

	if (rc < 0)
		return rc;
	if (settings != NULL && !weir__tcp_settings_valid(settings))
		return -EINVAL;
	listener = weir__netstack_alloc(net, sizeof(*listener));
	if (listener == NULL)
		return -ENOMEM;
	rc = weir__tcp_shared_new(net, settings, &listener->shared);
	if (rc < 0) {
		weir__netstack_release(net, listener, sizeof(*listener));
		return rc;
	}
	listener->source.kind = WEIR_NETSTACK_TCP_LISTENER;
	listener->source.user = user;
	listener->local = *local;
	listener->net = net;
	listener->backlog = backlog;
	bucket = bucket_of(net, local->port);
	listener->next = *bucket;
	*bucket = listener;
	*ret_listener = listener;
	return 0;
}

static struct weir__tcp *pop(struct weir__tcp_listener *listener)
{
	struct weir__tcp *tcp = listener->accept_first;

	if (tcp == NULL)
		return NULL;
	listener->accept_first = tcp->accept_next;
	listener->accept_count--;
	tcp->accept_next = NULL;
	return tcp;
}

int weir__tcp_accept(struct weir__tcp_listener *listener, struct weir__netstack_user *user,
		     struct weir__tcp **ret_tcp)
{
	struct weir__tcp *tcp = pop(listener);

	if (tcp == NULL)
		return -EAGAIN;
	tcp->source.user = user;
	tcp->waits_for_accept = false;
	if (weir__tcp_readable(tcp) > 0 || tcp->fin_received)
		weir__tcp_raise(tcp, WEIR_NETSTACK_READABLE);
	if (tcp->state == WEIR_TCP_CLOSED)
		weir__tcp_raise(tcp, tcp->error != 0 ? WEIR_NETSTACK_FAILED : WEIR_NETSTACK_CLOSED);
	*ret_tcp = tcp;
	return 0;
}

/* Frees a listener and its requests. Its accept queue is ignored. */
static void free_listener(struct weir__tcp_listener *listener)
{
	struct weir__netstack *net = listener->net;
	struct weir__tcp_listener **link = bucket_of(net, listener->local.port);

	while (listener->requests != NULL)
		forget_request(listener->requests);
	while (*link != listener)
		link = &(*link)->next;
	*link = listener->next;
	weir__netstack_silence(net, &listener->source);
	weir__tcp_shared_unref(net, listener->shared);
	weir__netstack_release(net, listener, sizeof(*listener));
}

void weir__tcp_listener_close(struct weir__tcp_listener *listener)
{
	struct weir__tcp *tcp;

	while ((tcp = pop(listener)) != NULL) {
		tcp->waits_for_accept = false;
		weir__tcp_abort(tcp);
	}
	free_listener(listener);
}

struct weir__netstack_source *weir__tcp_listener_source(struct weir__tcp_listener *listener)
{
	return &listener->source;
}

void weir__tcp_listeners_fini(struct weir__netstack *net)
{
	for (unsigned i = 0; i < WEIR_TCP_LISTENER_BUCKETS; i++)
		while (net->tcp->listeners[i] != NULL)
			free_listener(net->tcp->listeners[i]);
}
