/* SPDX-License-Identifier: MIT */
/*
 * udp.c: UDP sockets; see udp.h.
 *
 * One hash table contains all sockets by flow; an address or port of the flow that is not fixed is
 * zero. The socket of a datagram is found by three look-ups: with its whole flow, without the peer,
 * and without the local address, too. The table has as many buckets as there may be sockets, and
 * its hash has a secret key.
 */
#include "stack/checksum.h"
#include "stack/instance.h"
#include "stack/udp.h"

#define HEADER_BYTES 8u
#define DATAGRAM_MAX (65535u - 20u - HEADER_BYTES)
#define RECEIVE_BYTES 212992u

struct weir__udp {
	struct weir__netstack_source source;
	struct weir__netstack *net;
	struct weir__udp *next;			/* in its bucket */
	struct weir__flow flow;			/* remote_port 0: not connected */
	struct weir__hop hop;			/* connected */
	struct weir__frame_queue received;	/* charged; with the sender in the control bytes */
	uint32_t received_bytes, receive_bytes;	/* true size of the queue, and its limit */
	int error;
	uint8_t ttl, tos;
	uint8_t tx_flags;			/* weir_ip_tx_flag */
};

struct weir__udp_layer {
	unsigned sockets;
	unsigned bucket_mask;
	struct weir__udp *bucket[];
};

/* ---- the table ------------------------------------------------------------------------------- */

static size_t layer_bytes(unsigned buckets)
{
	return sizeof(struct weir__udp_layer) + buckets * sizeof(struct weir__udp *);
}

static int udp_init(struct weir__netstack *net)
{
	unsigned buckets = 1;

	while (buckets < net->cfg.udp_sockets)
		buckets *= 2;
	net->udp = weir__netstack_alloc(net, layer_bytes(buckets));
	if (net->udp == NULL)
		return -ENOMEM;
	net->udp->bucket_mask = buckets - 1;
	return 0;
}

static void udp_fini(struct weir__netstack *net)
{
	struct weir__udp_layer *layer = net->udp;

	if (layer == NULL)
		return;
	for (unsigned i = 0; i <= layer->bucket_mask; i++)
		while (layer->bucket[i] != NULL)
			weir__udp_close(layer->bucket[i]);
	weir__netstack_release(net, layer, layer_bytes(layer->bucket_mask + 1));
}

static struct weir__udp **bucket_of(struct weir__netstack *net, const struct weir__flow *flow)
{
	uint64_t hash = weir__flow_hash(flow, net->hash_secret);

	return &net->udp->bucket[hash & net->udp->bucket_mask];
}

static struct weir__udp *find(struct weir__netstack *net, const struct weir__flow *flow)
{
	struct weir__udp *udp = *bucket_of(net, flow);

	while (udp != NULL && !weir__flow_equal(&udp->flow, flow))
		udp = udp->next;
	return udp;
}

/* Finds the most specific socket for a datagram. */
static struct weir__udp *find_for(struct weir__netstack *net, struct weir__flow flow)
{
	static const struct weir__ip_address any;
	struct weir__udp *udp = find(net, &flow);

	if (udp != NULL)
		return udp;
	flow.remote = any;
	flow.remote_port = 0;
	udp = find(net, &flow);
	if (udp != NULL)
		return udp;
	flow.local = any;
	return find(net, &flow);
}

static void add(struct weir__udp *udp)
{
	struct weir__udp **bucket = bucket_of(udp->net, &udp->flow);

	udp->next = *bucket;
	*bucket = udp;
}

static void take_out(struct weir__udp *udp)
{
	struct weir__udp **at = bucket_of(udp->net, &udp->flow);

	while (*at != udp)
		at = &(*at)->next;
	*at = udp->next;
}

/* ---- opened, connected, closed --------------------------------------------------------------- */

/* RFC 6056, algorithm 1: tries a random port, then the following ones, until one is free. */
static int choose_port(struct weir__netstack *net, struct weir__flow *flow)
{
	uint32_t ports = net->cfg.port_last - net->cfg.port_first + 1u;
	uint32_t start = weir__netstack_random32(net);

	for (uint32_t i = 0; i < ports; i++) {
		flow->local_port = (uint16_t)(net->cfg.port_first + (start + i) % ports);
		if (find(net, flow) == NULL)
			return 0;
	}
	return -EADDRNOTAVAIL;
}

static int bind_to(struct weir__netstack *net, const struct weir__endpoint *local,
		   struct weir__flow *flow)
{
	if (local != NULL && !weir__ip_is_any(&local->address)) {
		if (!weir__ip_is_own(net, &local->address))
			return -EADDRNOTAVAIL;
		flow->local = local->address;
	}
	if (local == NULL || local->port == 0)
		return choose_port(net, flow);
	flow->local_port = local->port;
	return find(net, flow) == NULL ? 0 : -EADDRINUSE;
}

int weir__udp_open(struct weir__netstack *net, const struct weir__endpoint *local,
		   struct weir__netstack_user *user, struct weir__udp **ret_udp)
{
	struct weir__flow flow = { .reserved = 0 };
	struct weir__udp *udp;
	int rc;

	if (net->udp->sockets == net->cfg.udp_sockets)
		return -ENOBUFS;
	rc = bind_to(net, local, &flow);
	if (rc < 0)
		return rc;
	udp = weir__netstack_alloc(net, sizeof(*udp));
	if (udp == NULL)
		return -ENOMEM;
	udp->source.kind = WEIR_NETSTACK_UDP;
	udp->source.user = user;
	udp->net = net;
	udp->flow = flow;
	udp->receive_bytes = RECEIVE_BYTES;
	add(udp);
	net->udp->sockets++;
	*ret_udp = udp;
	return 0;
}

void weir__udp_close(struct weir__udp *udp)
{
	struct weir__netstack *net = udp->net;
	struct weir__frame *frame;

	while ((frame = weir__frame_queue_pop(&udp->received)) != NULL)
		weir__netstack_drop(net, frame);
	weir__netstack_silence(net, &udp->source);
	take_out(udp);
	net->udp->sockets--;
	weir__netstack_release(net, udp, sizeof(*udp));
}

int weir__udp_connect(struct weir__udp *udp, const struct weir__endpoint *peer)
{
	struct weir__flow flow = udp->flow;
	int rc;

	if (flow.remote_port != 0)
		return -EISCONN;
	if (peer->port == 0 || !weir__ip_is_unicast(udp->net, &peer->address))
		return -EINVAL;
	if (weir__ip_is_any(&flow.local)) {
		rc = weir__ip_source(udp->net, &peer->address, &flow.local);
		if (rc < 0)
			return rc;
	}
	flow.remote = peer->address;
	flow.remote_port = peer->port;
	if (find(udp->net, &flow) != NULL)
		return -EADDRINUSE;
	take_out(udp);
	udp->flow = flow;
	add(udp);
	return 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

static int take_error(struct weir__udp *udp)
{
	int error = udp->error;

	udp->error = 0;
	return error;
}

/* Determines source and destination of a datagram. */
static int address_it(struct weir__udp *udp, const struct weir__endpoint *to, uint32_t len,
		      struct weir__ip_tx *tx, uint16_t *ret_port)
{
	int rc = take_error(udp);

	if (rc < 0)
		return rc;
	if (len > DATAGRAM_MAX)
		return -EMSGSIZE;
	*tx = (struct weir__ip_tx){ .source = udp->flow.local,
				    .destination = udp->flow.remote,
				    .protocol = WEIR_IP_UDP,
				    .hop = &udp->hop,
				    .tos = udp->tos,
				    .ttl = udp->ttl,
				    .flags = udp->tx_flags };
	*ret_port = udp->flow.remote_port;
	if (*ret_port != 0)
		return to == NULL ? 0 : -EISCONN;
	if (to == NULL)
		return -EDESTADDRREQ;
	if (to->port == 0)
		return -EINVAL;
	tx->destination = to->address;
	tx->hop = NULL;
	*ret_port = to->port;
	return weir__ip_is_any(&tx->source)
		       ? weir__ip_source(udp->net, &tx->destination, &tx->source)
		       : 0;
}

/* Writes the header. payload_sum is the sum of the bytes behind it. */
static void write_header(struct weir__udp *udp, struct weir__frame *frame, unsigned char *header,
			 const struct weir__ip_tx *tx, uint16_t port, uint32_t payload_sum)
{
	uint32_t sum = weir__ip_pseudo_sum(&tx->source, &tx->destination, WEIR_IP_UDP,
					   frame->total);
	uint16_t checksum;

	weir__put16(header, udp->flow.local_port);
	weir__put16(header + 2, port);
	weir__put16(header + 4, (uint16_t)frame->total);
	weir__put16(header + 6, 0);
	if (udp->net->cfg.offloads & WEIR_NETSTACK_TX_CHECKSUM) {
		weir__ip_checksum(udp->net, frame, tx, 6);
		return;
	}
	sum = weir__checksum_add(sum, weir__checksum(header, HEADER_BYTES));
	checksum = weir__checksum_finish(weir__checksum_add(sum, payload_sum));
	weir__put_checksum(header + 6, checksum == 0 ? UINT16_MAX : checksum);
}

static int send_whole(struct weir__udp *udp, struct weir__frame *frame,
		      const struct weir__ip_tx *tx)
{
	uint32_t len = frame->total - HEADER_BYTES;
	int rc = weir__ip_output(udp->net, frame, tx);

	if (rc < 0)
		return rc;
	udp->net->count.udp_out_datagrams++;
	return (int)len;
}

/* Makes room for the header: in front of the bytes if possible, else in a new block. */
static unsigned char *push_header(struct weir__netstack *net, struct weir__frame **frame)
{
	unsigned char *header = weir__frame_push(*frame, HEADER_BYTES);
	struct weir__frame *front;

	(*frame)->flags &= WEIR_FRAME_SUMMED;	/* it may have been received before */
	(*frame)->segment_bytes = 0;
	if (header != NULL)
		return header;
	front = weir__frame_new(&net->frames, WEIR_FRAME_HEADROOM, 0);
	if (front == NULL)
		return NULL;
	weir__frame_append(&net->frames, front, *frame);
	*frame = front;
	return weir__frame_push(front, HEADER_BYTES);
}

int weir__udp_send(struct weir__udp *udp, const struct weir__endpoint *to,
		   struct weir__frame *frame)
{
	struct weir__netstack *net = udp->net;
	struct weir__ip_tx tx;
	uint32_t payload_sum = 0;
	unsigned char *header = NULL;
	uint16_t port;
	int rc;

	weir__netstack_take_back(net, frame);
	weir__netstack_discharge(net, frame);
	rc = address_it(udp, to, frame->total, &tx, &port);
	if (rc == 0) {
		if (!(net->cfg.offloads & WEIR_NETSTACK_TX_CHECKSUM))
			payload_sum = weir__frame_sum(frame, 0);
		header = push_header(net, &frame);
		rc = header == NULL ? -ENOMEM : 0;
	}
	if (rc < 0) {
		weir__frame_free(&net->frames, frame);
		return rc;
	}
	write_header(udp, frame, header, &tx, port, payload_sum);
	return send_whole(udp, frame, &tx);
}

int weir__udp_send_copy(struct weir__udp *udp, const struct weir__endpoint *to,
			const void *bytes, uint32_t len)
{
	struct weir__netstack *net = udp->net;
	uint32_t room = net->cfg.block_bytes - WEIR_FRAME_HEADROOM, payload_sum;
	struct weir__frame *frame;
	struct weir__ip_tx tx;
	uint16_t port;
	int rc = address_it(udp, to, len, &tx, &port);

	if (rc < 0)
		return rc;
	frame = weir__frame_new(&net->frames, WEIR_FRAME_HEADROOM, len < room ? len : room);
	if (frame == NULL)
		return -ENOMEM;
	rc = weir__frame_copy_in(&net->frames, frame, bytes, len);
	if (rc < 0) {
		weir__frame_free(&net->frames, frame);
		return rc;
	}
	payload_sum = weir__frame_sum(frame, 0);
	write_header(udp, frame, weir__frame_push(frame, HEADER_BYTES), &tx, port, payload_sum);
	return send_whole(udp, frame, &tx);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Queues a datagram; when memory is scarce, a copy in a block of its own size. */
static void queue(struct weir__netstack *net, struct weir__udp *udp, struct weir__frame *frame,
		  const struct weir__endpoint *from)
{
	struct weir__frame *copy;
	uint32_t bytes;

	if (weir__netstack_scarce(net) && weir__frame_copy(&net->frames, frame, &copy) == 0) {
		weir__frame_free(&net->frames, frame);
		frame = copy;
	}
	bytes = weir__frame_true_bytes(frame);
	if ((uint64_t)udp->received_bytes + bytes > udp->receive_bytes) {
		net->count.udp_receive_buffer_errors++;
		weir__frame_free(&net->frames, frame);
		return;
	}
	if (!weir__netstack_has_room(net, bytes)) {
		net->count.udp_memory_errors++;
		weir__frame_free(&net->frames, frame);
		return;
	}
	*WEIR_FRAME_CONTROL(frame, struct weir__endpoint) = *from;
	weir__netstack_charge(net, frame);
	udp->received_bytes += bytes;
	weir__frame_queue_push(&udp->received, frame);
	net->count.udp_in_datagrams++;
	weir__netstack_raise(net, &udp->source, WEIR_NETSTACK_READABLE);
}

/* Checks the header and trims the frame to the datagram. False if invalid, which is counted. */
static bool is_sound(struct weir__netstack *net, struct weir__frame *frame,
		     const struct weir__ip_rx *rx, const unsigned char *header)
{
	uint32_t len = header == NULL ? 0 : weir__get16(header + 4);

	if (len < HEADER_BYTES || len > frame->total) {
		net->count.udp_in_errors++;
		return false;
	}
	weir__frame_trim(&net->frames, frame, len);
	/* The sum 0 means that the sender made none (RFC 768). */
	if (weir__get16(header + 6) != 0 && !weir__ip_checksum_good(frame, rx)) {
		net->count.udp_in_checksum_errors++;
		return false;
	}
	return true;
}

static void udp_input(struct weir__netstack *net, struct weir__frame *frame,
		      const struct weir__ip_rx *rx)
{
	unsigned char scratch[HEADER_BYTES];
	const unsigned char *header = weir__frame_peek(frame, 0, HEADER_BYTES, scratch);
	struct weir__endpoint from = { .address = rx->source };
	struct weir__udp *udp;

	if (!is_sound(net, frame, rx, header)) {
		weir__frame_free(&net->frames, frame);
		return;
	}
	from.port = weir__get16(header);
	udp = find_for(net, (struct weir__flow){ .local = rx->destination,
						 .remote = rx->source,
						 .local_port = weir__get16(header + 2),
						 .remote_port = from.port });
	if (udp == NULL) {
		net->count.udp_no_ports++;
		weir__ip_refuse(net, frame, rx, WEIR_IP_NO_PORT);
		weir__frame_free(&net->frames, frame);
		return;
	}
	weir__frame_pull(&net->frames, frame, HEADER_BYTES);
	queue(net, udp, frame, &from);
}

int weir__udp_receive(struct weir__udp *udp, struct weir__frame **ret_frame,
		      struct weir__endpoint *ret_from)
{
	int error = take_error(udp);
	struct weir__frame *frame;

	if (error < 0)
		return error;
	frame = weir__frame_queue_pop(&udp->received);
	if (frame == NULL)
		return -EAGAIN;
	udp->received_bytes -= frame->charged;
	if (ret_from != NULL)
		*ret_from = *WEIR_FRAME_CONTROL(frame, struct weir__endpoint);
	weir__netstack_lend(udp->net, frame);
	*ret_frame = frame;
	return (int)frame->total;
}

/* ---- errors ---------------------------------------------------------------------------------- */

/*
 * As in Linux, a connected socket reports hard errors about its flow. TOO_BIG is accepted only for
 * a socket that forbids fragmentation: the others never cause it.
 */
static bool udp_error(struct weir__netstack *net, const struct weir__ip_error *error)
{
	struct weir__udp *udp = find_for(net, error->flow);

	if (udp == NULL)
		return false;
	if (error->kind == WEIR_IP_TOO_BIG) {
		if (!(udp->tx_flags & WEIR_IP_DONT_FRAGMENT))
			return false;
		weir__ip_path_mtu_lower(net, &error->flow.remote, error->mtu);
	} else if (!error->hard && error->kind != WEIR_IP_NO_NEIGHBOUR) {
		return true;
	}
	if (udp->flow.remote_port != 0) {
		udp->error = error->error;
		weir__netstack_raise(net, &udp->source, WEIR_NETSTACK_FAILED);
	}
	return true;
}

int weir__udp_error(struct weir__udp *udp)
{
	return take_error(udp);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void set_flag(struct weir__udp *udp, uint8_t flag, bool on)
{
	udp->tx_flags = (uint8_t)(on ? udp->tx_flags | flag : udp->tx_flags & ~flag);
}

void weir__udp_set_ttl(struct weir__udp *udp, uint8_t ttl)
{
	udp->ttl = ttl;
}

void weir__udp_set_tos(struct weir__udp *udp, uint8_t tos)
{
	udp->tos = tos;
}

void weir__udp_allow_broadcast(struct weir__udp *udp, bool allow)
{
	set_flag(udp, WEIR_IP_BROADCAST, allow);
}

void weir__udp_dont_fragment(struct weir__udp *udp, bool dont)
{
	set_flag(udp, WEIR_IP_DONT_FRAGMENT, dont);
}

void weir__udp_set_receive_bytes(struct weir__udp *udp, uint32_t bytes)
{
	udp->receive_bytes = bytes;
}

struct weir__endpoint weir__udp_local(const struct weir__udp *udp)
{
	return (struct weir__endpoint){ udp->flow.local, udp->flow.local_port };
}

struct weir__netstack_source *weir__udp_source(struct weir__udp *udp)
{
	return &udp->source;
}

const struct weir__transport weir__transport_udp = {
	.protocol = WEIR_IP_UDP,
	.init = udp_init,
	.fini = udp_fini,
	.input = udp_input,
	.error = udp_error,
};
