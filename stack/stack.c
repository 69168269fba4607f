/* SPDX-License-Identifier: MIT */
/*
 * stack.c: the life of an instance, its turns, and the list of its layers and transports. This file
 * passes a received frame up through the layers: each strips its header and returns the packet for
 * the next one, so that no layer calls the one above it.
 */
#include "stack/ethernet.h"
#include "stack/instance.h"

static const struct weir__transport *const transports[WEIR_NETSTACK_TRANSPORTS] = {
	&weir__transport_icmp4,
	&weir__transport_tcp,
	&weir__transport_udp,
};

#define BURST 64u	/* frames of a burst that are processed together */
#define AHEAD 4u	/* frames between two steps; with more, lines are evicted again */

#define TRANSPORTS WEIR_NETSTACK_TRANSPORTS

const char *const weir__netstack_counter_names[] = {
#define WEIR_NETSTACK_COUNTER(member, name) name,
	WEIR_NETSTACK_COUNTERS(WEIR_NETSTACK_COUNTER)
#undef WEIR_NETSTACK_COUNTER
		NULL,
};

/* ---- the config ------------------------------------------------------------------------------ */

#define DEFAULT(field, value) \
	if (cfg->field == 0) \
		cfg->field = (value)

static void fill_in(struct weir__netstack_config *cfg)
{
	DEFAULT(mtu, 1500);
	DEFAULT(block_bytes, 1920);
	DEFAULT(memory_bytes, 64u << 20);
	DEFAULT(neighbours, 512);
	DEFAULT(neighbour_frames, 8);
	DEFAULT(reassembly_bytes, 256u << 10);
	DEFAULT(udp_sockets, 1024);
	DEFAULT(port_first, 32768);
	DEFAULT(port_last, 60999);
	DEFAULT(icmp_per_second, 1000);
	DEFAULT(tcp_connections, 65536);
	DEFAULT(tcp_time_waits, 16384);
	DEFAULT(tcp_orphans, 4096);
	DEFAULT(tcp_send_bytes, 4u << 20);
	DEFAULT(tcp_receive_bytes, 6u << 20);
}

static bool is_sound(const struct weir__netstack_config *cfg)
{
	static const unsigned char no_mac[6];

	return !(cfg->mac[0] & 1) && memcmp(cfg->mac, no_mac, 6) != 0 && cfg->mtu >= 576 &&
	       cfg->mtu <= 9216 && cfg->block_bytes >= 1024 && cfg->port_first <= cfg->port_last &&
	       cfg->neighbours <= 1u << 20 && cfg->icmp_per_second <= 1000000;
}

/* ---- made and ended -------------------------------------------------------------------------- */

static int layers_init(struct weir__netstack *net, const struct weir__netstack_config *cfg)
{
	int rc = weir__routes_init(net, cfg);

	if (rc < 0 || (rc = weir__arp_init(net)) < 0 || (rc = weir__ip_init(net)) < 0)
		return rc;
	for (unsigned i = 0; i < TRANSPORTS; i++)
		if (transports[i]->init != NULL && (rc = transports[i]->init(net)) < 0)
			return rc;
	return 0;
}

int weir__netstack_new(struct weir__netstack_owner *owner, const struct weir__netstack_config *cfg,
		       uint64_t now_ns, struct weir__netstack **ret_net)
{
	struct weir__netstack *net = owner->ops->alloc(owner, sizeof(*net));
	int rc;

	if (net == NULL)
		return -ENOMEM;
	memset(net, 0, sizeof(*net));
	net->owner = owner;
	net->transports = transports;
	net->now_ns = now_ns;
	net->events_end = &net->events;
	net->cfg = *cfg;
	fill_in(&net->cfg);
	net->cfg.addresses = NULL;
	net->cfg.routes = NULL;
	net->memory.limit_bytes = net->cfg.memory_bytes;
	weir__frame_memory_init(&net->frames, owner, net->cfg.block_bytes,
				&net->count.frames_refused);
	weir__timers_init(&net->timers, now_ns);
	owner->ops->random(owner, net->hash_secret, sizeof(net->hash_secret));
	rc = is_sound(&net->cfg) ? layers_init(net, cfg) : -EINVAL;
	if (rc < 0) {
		weir__netstack_free(net);
		return rc;
	}
	*ret_net = net;
	return 0;
}

void weir__netstack_free(struct weir__netstack *net)
{
	struct weir__netstack_owner *owner;

	if (net == NULL)
		return;
	owner = net->owner;
	for (unsigned i = TRANSPORTS; i-- > 0;)
		if (transports[i]->fini != NULL)
			transports[i]->fini(net);
	weir__ip_fini(net);
	weir__arp_fini(net);
	WEIR_STACK_ASSERT(net->memory.used_bytes == 0 && net->events == NULL);
	weir__frame_memory_fini(&net->frames);
	owner->ops->free(owner, net, sizeof(*net));
}

/* ---- turns ----------------------------------------------------------------------------------- */

void weir__netstack_begin(struct weir__netstack *net, uint64_t now_ns)
{
	WEIR_STACK_ASSERT(now_ns >= net->now_ns);
	net->now_ns = now_ns;
	weir__timers_advance(&net->timers, net, now_ns);
}

/* A packet of IPv4, its header first. Owns the frame. */
static void ip4_input(struct weir__netstack *net, struct weir__frame *packet)
{
	const struct weir__transport *transport;
	struct weir__ip_rx rx;
	struct weir__frame *frame = weir__ip4_input(net, packet, &rx);

	if (frame == NULL)
		return;
	transport = weir__transport_of(transports, rx.protocol);
	if (transport == NULL) {
		net->count.ip_in_unknown_protocols++;
		weir__ip_refuse(net, frame, &rx, WEIR_IP_NO_PROTOCOL);
		weir__frame_free(&net->frames, frame);
		return;
	}
	net->count.ip_in_delivers++;
	transport->input(net, frame, &rx);
}

static void frame_input(struct weir__netstack *net, struct weir__frame *frame)
{
	uint16_t type;

	if (!weir__ethernet_input(net, frame, &type)) {
		weir__frame_free(&net->frames, frame);
	} else if (WEIR_STACK_LIKELY(type == WEIR_ETHERNET_IPV4)) {
		ip4_input(net, frame);
	} else if (type == WEIR_ETHERNET_ARP) {
		weir__arp_input(net, frame);
	} else {
		net->count.link_in_unknown_type++;
		weir__frame_free(&net->frames, frame);
	}
}

/* Processes the packets that this instance has sent to itself. */
static void input_looped(struct weir__netstack *net)
{
	struct weir__frame_queue looped = net->ip.looped;
	struct weir__frame *frame;

	net->ip.looped = (struct weir__frame_queue){ NULL, NULL };
	while ((frame = weir__frame_queue_pop(&looped)) != NULL) {
		weir__netstack_discharge(net, frame);
		ip4_input(net, frame);
	}
}

void weir__netstack_input(struct weir__netstack *net, struct weir__frame *frame)
{
	frame->flags &= (uint16_t)~WEIR_FRAME_HASHED;
	frame_input(net, frame);
}

/*
 * Each frame goes through the steps of expect and is then processed, with AHEAD frames between two
 * steps: while one frame is processed, the memory for the following ones is being fetched.
 */
static void input_all(struct weir__netstack *net, struct weir__frame *const *frames,
		      unsigned count)
{
	unsigned last = WEIR_EXPECT_STEPS * AHEAD;

	for (unsigned i = 0; i < count + last; i++) {
		/* A frame number below 0 wraps and is skipped, as one of count or more is. */
		for (unsigned step = 0; step < WEIR_EXPECT_STEPS; step++)
			if (i - step * AHEAD < count)
				weir__transport_tcp.expect(net, frames[i - step * AHEAD], step);
		if (i - last < count)
			frame_input(net, frames[i - last]);
	}
}

void weir__netstack_input_burst(struct weir__netstack *net, struct weir__frame_queue *queue)
{
	struct weir__frame *frames[BURST], *frame;
	unsigned count = 0;

	while ((frame = weir__frame_queue_pop(queue)) != NULL) {
		frames[count++] = frame;
		if (count == BURST || queue->first == NULL) {
			input_all(net, frames, count);
			count = 0;
		}
	}
}

static void flush(struct weir__netstack *net)
{
	for (unsigned i = 0; i < TRANSPORTS; i++)
		if (transports[i]->flush != NULL)
			transports[i]->flush(net);
}

void weir__netstack_end(struct weir__netstack *net)
{
	flush(net);
	if (net->ip.looped.first != NULL) {
		input_looped(net);
		flush(net);
	}
}

uint64_t weir__netstack_next_deadline(const struct weir__netstack *net)
{
	if (net->events != NULL || net->ip.looped.first != NULL)
		return net->now_ns;
	return weir__timers_next(&net->timers);
}

const struct weir__netstack_counters *weir__netstack_counters(const struct weir__netstack *net)
{
	return &net->count;
}

struct weir__frame_memory *weir__netstack_frames(struct weir__netstack *net)
{
	return &net->frames;
}

void weir__netstack_give_back(struct weir__netstack *net, struct weir__frame *lent)
{
	weir__netstack_take_back(net, lent);
	weir__netstack_drop(net, lent);
}
