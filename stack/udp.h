/* SPDX-License-Identifier: MIT */
/*
 * udp.h: UDP sockets (RFC 768, RFC 1122 4.1), connected or not.
 *
 *	weir__udp_open -> [weir__udp_connect] -> send, receive ... -> weir__udp_close
 *
 * A datagram goes to the most specific socket: the one connected to its source; else the one
 * bound to its destination address; else the one bound to any address. No two sockets can
 * have the same local address, local port and peer. Datagrams wait in a queue that is
 * bounded by their true size; datagrams that do not fit are dropped and counted. Receive
 * calls lend frames (weir__netstack_give_back).
 *
 * An ICMP error goes to the connected socket whose datagram it quotes: WEIR_NETSTACK_FAILED is
 * raised, and the next call, or weir__udp_error, returns the error once. As in Linux, soft errors
 * are not reported, and sockets that are not connected get none.
 */
#ifndef WEIR_STACK_UDP_H
#define WEIR_STACK_UDP_H

#include "stack/stack.h"

struct weir__udp;

/*
 * Opens a socket. local NULL means any address and port 0. For port 0, a port is chosen at random
 * (RFC 6056). user is the owner's struct for the events.
 *
 * Returns: 0; -EADDRNOTAVAIL if the address is not the instance's, or no port is free;
 *          -EADDRINUSE; -ENOBUFS if there are as many sockets as the config allows; -ENOMEM.
 */
int weir__udp_open(struct weir__netstack *net, const struct weir__endpoint *local,
		   struct weir__netstack_user *user, struct weir__udp **ret_udp);
/* Closes the socket and drops the waiting datagrams. */
void weir__udp_close(struct weir__udp *udp);
/*
 * Fixes the peer: the socket receives only its datagrams, and sends need no address.
 * Returns: 0; -ENETUNREACH; -EINVAL if the peer is not one host; -EADDRINUSE; -EISCONN.
 */
int weir__udp_connect(struct weir__udp *udp, const struct weir__endpoint *peer);

/*
 * Sends a datagram of at most 65507 bytes (IPv4), in fragments if necessary. to is NULL on a
 * connected socket. Owns the frame in every case; its bytes are not copied. Headers are written in
 * front of the bytes if the block has headroom and no other view.
 *
 * Returns: the number of bytes; -EDESTADDRREQ; -EISCONN if to is given on a connected socket;
 *          -EMSGSIZE; -EINVAL for port 0; an error of weir__ip_output; a pending ICMP error, once.
 */
int weir__udp_send(struct weir__udp *udp, const struct weir__endpoint *to,
		   struct weir__frame *frame);
/* Sends a copy instead. Its checksum is computed during the copy. */
int weir__udp_send_copy(struct weir__udp *udp, const struct weir__endpoint *to,
			const void *bytes, uint32_t len);
/*
 * Lends the next datagram, and stores its sender unless ret_from is NULL. An empty datagram is an
 * empty frame. Returns: the number of bytes; -EAGAIN if there is none; a pending ICMP error, once.
 */
int weir__udp_receive(struct weir__udp *udp, struct weir__frame **ret_frame,
		      struct weir__endpoint *ret_from);
/* Returns and clears the pending error; 0 if there is none. */
int weir__udp_error(struct weir__udp *udp);

void weir__udp_set_ttl(struct weir__udp *udp, uint8_t ttl);
void weir__udp_set_tos(struct weir__udp *udp, uint8_t tos);
void weir__udp_allow_broadcast(struct weir__udp *udp, bool allow);
/* Forbids fragmentation: a datagram that is too large for the path gives -EMSGSIZE. */
void weir__udp_dont_fragment(struct weir__udp *udp, bool dont);
/* Sets the limit of the waiting datagrams, in true size. The default is 212992, as in Linux. */
void weir__udp_set_receive_bytes(struct weir__udp *udp, uint32_t bytes);
struct weir__endpoint weir__udp_local(const struct weir__udp *udp);

struct weir__netstack_source *weir__udp_source(struct weir__udp *udp);

#endif
