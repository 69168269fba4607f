/* SPDX-License-Identifier: MIT */
/*
 * lwip.c: the programs of a server (cable.h) on lwIP, with its raw API and without its thread. A
 * process has only one instance of lwIP. lwIP checks for its lock only after tcpip_init, which is
 * never called. This file includes nothing of weir's stack.
 */
#include <stdlib.h>
#include <string.h>

#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>

#include "cable.h"

#define RING 4096u

/* Frames, oldest first. */
struct ring {
	struct pbuf *frame[RING];
	unsigned first, count;
};

struct lwip_server {
	struct host host;
	struct netif netif;
	struct ring arrived, sent, carried;
	struct tcp_pcb *listener[3];
};

static unsigned char bytes[65536];

static struct lwip_server *server_of(struct host *host)
{
	return (struct lwip_server *)host;	/* its first member */
}

static int push(struct ring *ring, struct pbuf *frame)
{
	if (frame == NULL || ring->count == RING)
		return -1;
	ring->frame[(ring->first + ring->count++) % RING] = frame;
	return 0;
}

static struct pbuf *pop(struct ring *ring)
{
	struct pbuf *frame;

	if (ring->count == 0)
		return NULL;
	frame = ring->frame[ring->first];
	ring->first = (ring->first + 1) % RING;
	ring->count--;
	return frame;
}

static void free_frames(struct ring *ring)
{
	struct pbuf *frame;

	while ((frame = pop(ring)) != NULL)
		pbuf_free(frame);
}

/* ---- connections ---------------------------------------------------------------------------- */

/* lwIP has freed the connection already. */
static void failed(void *arg, err_t err)
{
	(void)arg;
	(void)err;
}

static err_t received(void *arg, struct tcp_pcb *pcb, struct pbuf *frame, err_t err)
{
	(void)arg;
	(void)err;
	if (frame == NULL)
		return tcp_close(pcb);
	if (pcb->local_port == CABLE_ECHO)
		for (struct pbuf *piece = frame; piece != NULL; piece = piece->next)
			tcp_write(pcb, piece->payload, piece->len, TCP_WRITE_FLAG_COPY);
	tcp_recved(pcb, frame->tot_len);
	pbuf_free(frame);
	return ERR_OK;
}

static err_t fill(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	u16_t room = tcp_sndbuf(pcb);

	(void)arg;
	(void)len;
	if (room > 0 && tcp_sndqueuelen(pcb) < TCP_SND_QUEUELEN)
		tcp_write(pcb, bytes, room, TCP_WRITE_FLAG_COPY);
	return ERR_OK;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
	if (pcb == NULL || err != ERR_OK)
		return ERR_VAL;
	tcp_arg(pcb, arg);
	tcp_err(pcb, failed);
	tcp_recv(pcb, received);
	if (pcb->local_port != CABLE_SOURCE)
		return ERR_OK;
	tcp_sent(pcb, fill);
	return fill(arg, pcb, 0);
}

static int listen_on(struct lwip_server *server, struct tcp_pcb **ret_listener, uint16_t port)
{
	struct tcp_pcb *pcb = tcp_new(), *listener;

	if (pcb == NULL)
		return -1;
	if (tcp_bind(pcb, netif_ip_addr4(&server->netif), port) != ERR_OK ||
	    (listener = tcp_listen(pcb)) == NULL) {
		tcp_close(pcb);
		return -1;
	}
	tcp_accept(listener, accepted);
	*ret_listener = listener;
	return 0;
}

/* ---- the cable ------------------------------------------------------------------------------ */

static err_t transmit(struct netif *netif, struct pbuf *frame)
{
	struct lwip_server *server = netif->state;

	pbuf_ref(frame);
	if (push(&server->sent, frame) == 0)
		return ERR_OK;
	pbuf_free(frame);
	return ERR_MEM;
}

static void arrive(struct host *host, const unsigned char *from, uint32_t len)
{
	struct lwip_server *server = server_of(host);
	struct pbuf *frame = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);

	if (frame != NULL)
		pbuf_take(frame, from, (u16_t)len);
	if (push(&server->arrived, frame) < 0 && frame != NULL)
		pbuf_free(frame);
}

static uint32_t leave(struct host *host, unsigned char to[CABLE_FRAME_BYTES])
{
	struct lwip_server *server = server_of(host);
	struct pbuf *frame = pop(&server->sent);

	if (frame == NULL)
		return 0;
	push(&server->carried, frame);
	return pbuf_copy_partial(frame, to, CABLE_FRAME_BYTES, 0);
}

static void turn(struct host *host, uint64_t now_ns)
{
	struct lwip_server *server = server_of(host);
	struct pbuf *frame;

	(void)now_ns;
	free_frames(&server->carried);
	while ((frame = pop(&server->arrived)) != NULL)
		if (server->netif.input(frame, &server->netif) != ERR_OK)
			pbuf_free(frame);
	sys_check_timeouts();
}

static void server_free(struct host *host)
{
	struct lwip_server *server = server_of(host);

	for (unsigned i = 0; i < 3; i++)
		if (server->listener[i] != NULL)
			tcp_close(server->listener[i]);
	free_frames(&server->arrived);
	free_frames(&server->sent);
	free_frames(&server->carried);
	netif_remove(&server->netif);
	free(server);
}

static const struct host_ops ops = {
	.arrive = arrive,
	.leave = leave,
	.turn = turn,
	.free = server_free,
};

/* ---- the server ----------------------------------------------------------------------------- */

static err_t interface_init(struct netif *netif)
{
	static const unsigned char mac[6] = { 2, 0, 0, 0, 0, CABLE_SERVER };

	memcpy(netif->hwaddr, mac, sizeof(mac));
	netif->hwaddr_len = sizeof(mac);
	netif->mtu = 1500;
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		       NETIF_FLAG_LINK_UP;
	netif->output = etharp_output;
	netif->linkoutput = transmit;
	return ERR_OK;
}

struct host *lwip_server_new(void)
{
	static int initialised;
	static const uint16_t port[3] = { CABLE_ECHO, CABLE_DISCARD, CABLE_SOURCE };
	struct lwip_server *server = calloc(1, sizeof(*server));
	ip4_addr_t address = { lwip_htonl(CABLE_NETWORK + CABLE_SERVER) };
	ip4_addr_t mask = { lwip_htonl(0xffffff00) }, none = { 0 };

	if (server == NULL)
		return NULL;
	if (!initialised)
		lwip_init();
	initialised = 1;
	server->host.ops = &ops;
	if (netif_add(&server->netif, &address, &mask, &none, server, interface_init,
		      ethernet_input) == NULL) {
		free(server);
		return NULL;
	}
	netif_set_up(&server->netif);
	for (unsigned i = 0; i < 3; i++) {
		if (listen_on(server, &server->listener[i], port[i]) < 0) {
			server_free(&server->host);
			return NULL;
		}
	}
	return &server->host;
}
