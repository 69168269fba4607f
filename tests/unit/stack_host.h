/* SPDX-License-Identifier: MIT */
/*
 * stack_host.h: one instance, 10.0.0.1/24 with a default gateway 10.0.0.254, and a test that
 * plays the network: it sends frames with any bytes to the instance, and reads those that
 * the instance transmits.
 */
#ifndef WEIR_TESTS_UNIT_STACK_HOST_H
#define WEIR_TESTS_UNIT_STACK_HOST_H

#include "stack/ethernet.h"
#include "stack/instance.h"
#include "tests/unit/stack_rig.h"

#define HOST_IP 0x0a000001u		/* 10.0.0.1 */
#define PEER_IP 0x0a000002u		/* 10.0.0.2, on the link */
#define GATEWAY_IP 0x0a0000feu		/* 10.0.0.254 */
#define FAR_IP 0xc0a80a01u		/* 192.168.10.1, behind the gateway */
#define LINK_BROADCAST 0x0a0000ffu
#define FRAME_MAX 65600u

static const unsigned char host_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const unsigned char peer_mac[6] = { 2, 0, 0, 0, 0, 2 };

struct host {
	struct rig rig;
	struct weir__netstack *net;
	struct weir__netstack_config cfg;
	uint64_t now_ns;
	/* How received frames are cut: a first piece of `cut` bytes, then pieces of `piece` bytes;
	 * 0: not cut. */
	uint32_t cut, piece;
};

/* The config that host_init uses. */
struct weir__netstack_config host_config(void);
void host_init(struct host *host, const struct weir__netstack_config *cfg);
void host_fini(struct host *host);

/* Makes a turn with one received frame. Time does not advance. */
void host_in(struct host *host, const void *bytes, uint32_t len);
/* Advances the time and makes a turn. */
void host_wait(struct host *host, uint64_t ns);
/* Takes the next transmitted frame. Returns its length; 0 if there is none. */
uint32_t host_out(struct host *host, unsigned char *frame);
/* Discards all transmitted frames. Returns their number. */
unsigned host_out_all(struct host *host);

/*
 * Builds an Ethernet frame with an IPv4 packet from one to the other; returns its length. fragment
 * is the header's field.
 */
uint32_t host_packet(unsigned char *frame, uint32_t from, uint32_t to, uint8_t protocol,
		     uint16_t id, uint16_t fragment, const void *payload, uint32_t len);
/* Computes the checksum of the IPv4 header of a frame again, after a change. */
void host_resum(unsigned char *frame);
/* Builds an ARP packet in an Ethernet frame. Returns its length. */
uint32_t host_arp(unsigned char *frame, uint16_t operation, const unsigned char sender_mac[6],
		  uint32_t sender, uint32_t target);
/* Builds an ICMP message with a correct checksum. Returns its length. */
uint32_t host_icmp(unsigned char *message, uint8_t type, uint8_t code, uint32_t rest,
		   const void *body, uint32_t len);
/* Makes the instance know a host, by replying to its ARP request. */
void host_meet(struct host *host, uint32_t ip);

#endif
