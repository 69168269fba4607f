/* SPDX-License-Identifier: MIT */
/* stack_host.c: see stack_host.h. */
#include "stack/bytes.h"
#include "stack/checksum.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

static struct weir__netstack_address addresses[1];
static struct weir__netstack_route routes[1];

struct weir__netstack_config host_config(void)
{
	struct weir__netstack_config cfg = {
		.addresses = addresses, .address_count = 1, .routes = routes, .route_count = 1
	};

	memcpy(cfg.mac, host_mac, 6);
	addresses[0] = (struct weir__netstack_address){ weir__ip_v4(HOST_IP), 24 };
	routes[0] = (struct weir__netstack_route){ weir__ip_v4(0), weir__ip_v4(GATEWAY_IP), 0 };
	return cfg;
}

void host_init(struct host *host, const struct weir__netstack_config *cfg)
{
	struct weir__netstack_config usual = host_config();

	*host = (struct host){ .now_ns = 1000 * WEIR_NETSTACK_SEC };
	rig_init(&host->rig);
	ck_assert_int_eq(weir__netstack_new(&host->rig.owner, cfg != NULL ? cfg : &usual,
					    host->now_ns, &host->net),
			 0);
}

void host_fini(struct host *host)
{
	host_out_all(host);
	weir__netstack_free(host->net);
	rig_check_empty(&host->rig);
}

static struct weir__frame *cut_frame(struct host *host, const unsigned char *bytes, uint32_t len)
{
	struct weir__frame_memory *mem = weir__netstack_frames(host->net);
	uint32_t piece = host->piece == 0 && len > RIG_BLOCK_BYTES - WEIR_FRAME_HEADROOM
				 ? RIG_BLOCK_BYTES
				 : host->piece;
	struct weir__frame *frame;

	if (host->cut == 0 || host->cut >= len)
		return rig_frame(mem, bytes, len, piece);
	frame = rig_frame(mem, bytes, host->cut, 0);
	weir__frame_append(mem, frame,
			   rig_frame(mem, bytes + host->cut, len - host->cut, piece));
	return frame;
}

void host_in(struct host *host, const void *bytes, uint32_t len)
{
	weir__netstack_begin(host->net, host->now_ns);
	weir__netstack_input(host->net, cut_frame(host, bytes, len));
	weir__netstack_end(host->net);
}

void host_wait(struct host *host, uint64_t ns)
{
	host->now_ns += ns;
	weir__netstack_begin(host->net, host->now_ns);
	weir__netstack_end(host->net);
}

uint32_t host_out(struct host *host, unsigned char *bytes)
{
	struct weir__frame *frame = weir__frame_queue_pop(&host->rig.sent);
	uint32_t len;

	if (frame == NULL)
		return 0;
	ck_assert_uint_le(frame->total, FRAME_MAX);
	len = weir__frame_copy_out(frame, 0, bytes, FRAME_MAX);
	rig_check_frame(frame, bytes, len);
	weir__frame_free(weir__netstack_frames(host->net), frame);
	return len;
}

unsigned host_out_all(struct host *host)
{
	struct weir__frame *frame;
	unsigned count = 0;

	while ((frame = weir__frame_queue_pop(&host->rig.sent)) != NULL) {
		weir__frame_free(weir__netstack_frames(host->net), frame);
		count++;
	}
	return count;
}

static void ethernet(unsigned char *frame, uint16_t type)
{
	memcpy(frame, host_mac, 6);
	memcpy(frame + 6, peer_mac, 6);
	weir__put16(frame + 12, type);
}

void host_resum(unsigned char *frame)
{
	unsigned char *header = frame + 14;

	weir__put16(header + 10, 0);
	weir__put_checksum(header + 10, weir__checksum_finish(weir__checksum(
						header, (header[0] & 15u) * 4)));
}

uint32_t host_packet(unsigned char *frame, uint32_t from, uint32_t to, uint8_t protocol,
		     uint16_t id, uint16_t fragment, const void *payload, uint32_t len)
{
	unsigned char *header = frame + 14;

	ethernet(frame, WEIR_ETHERNET_IPV4);
	memset(header, 0, 20);
	header[0] = 0x45;
	weir__put16(header + 2, (uint16_t)(20 + len));
	weir__put16(header + 4, id);
	weir__put16(header + 6, fragment);
	header[8] = 63;
	header[9] = protocol;
	weir__put32(header + 12, from);
	weir__put32(header + 16, to);
	host_resum(frame);
	memcpy(header + 20, payload, len);
	return 34 + len;
}

uint32_t host_arp(unsigned char *frame, uint16_t operation, const unsigned char sender_mac[6],
		  uint32_t sender, uint32_t target)
{
	unsigned char *packet = frame + 14;

	ethernet(frame, WEIR_ETHERNET_ARP);
	memcpy(packet, "\0\1\10\0\6\4", 6);
	weir__put16(packet + 6, operation);
	memcpy(packet + 8, sender_mac, 6);
	weir__put32(packet + 14, sender);
	memcpy(packet + 18, host_mac, 6);
	weir__put32(packet + 24, target);
	return 42;
}

uint32_t host_icmp(unsigned char *message, uint8_t type, uint8_t code, uint32_t rest,
		   const void *body, uint32_t len)
{
	message[0] = type;
	message[1] = code;
	weir__put16(message + 2, 0);
	weir__put32(message + 4, rest);
	memcpy(message + 8, body, len);
	weir__put_checksum(message + 2, weir__checksum_finish(weir__checksum(message, 8 + len)));
	return 8 + len;
}

void host_meet(struct host *host, uint32_t ip)
{
	static unsigned char frame[FRAME_MAX];
	unsigned char message[16];
	uint32_t len = host_icmp(message, 8, 0, 1, "hello", 5);

	host_in(host, frame, host_packet(frame, ip, HOST_IP, WEIR_IP_ICMP, 0, 0, message, len));
	ck_assert_uint_eq(host_out(host, frame), 42);
	host_in(host, frame, host_arp(frame, 2, peer_mac, ip, HOST_IP));
	ck_assert_uint_eq(host_out_all(host), 1);
}
