/* SPDX-License-Identifier: MIT */
/*
 * cable.h: two hosts, joined by a cable inside the process.
 *
 * A host works in turns. In a turn it processes the arrived frames and runs its program; the frames
 * that it sends wait at its end of the cable. Between turns the cable copies frames into memory of
 * the other host, as the DMA of two NICs would. The time of a host is the CPU time of the thread
 * during its turns; the copies are not included.
 *
 *	client (load.h)  --- cable_carry -->  server: weir's stack (server.c), or lwIP's
 *	                 <-- cable_carry ---
 *
 * Programs of a server: UDP port 7 and TCP port 7 echo the received data, TCP port 9 discards it,
 * TCP port 19 sends without end (RFC 862, 863, 864). A server closes after the client.
 */
#ifndef WEIR_BENCH_STACK_CABLE_H
#define WEIR_BENCH_STACK_CABLE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CABLE_FRAME_BYTES 1514u		/* MTU 1500 */

enum cable_port {
	CABLE_ECHO = 7,
	CABLE_DISCARD = 9,
	CABLE_SOURCE = 19,
};

struct host;

struct host_ops {
	/* A frame arrives. The host drops it without memory. */
	void (*arrive)(struct host *host, const unsigned char *frame, uint32_t len);
	/* Takes the next sent frame and returns its length; 0: there is none. */
	uint32_t (*leave)(struct host *host, unsigned char frame[CABLE_FRAME_BYTES]);
	void (*turn)(struct host *host, uint64_t now_ns);
	void (*free)(struct host *host);
};

struct host {
	const struct host_ops *ops;
	uint64_t cpu_ns;		/* CPU time of its turns */
	uint64_t frames_in, frames_out;
};

/* 10.0.0.1 is the client, 10.0.0.2 the server; ports are in host byte order. */
enum cable_host {
	CABLE_CLIENT = 1,
	CABLE_SERVER = 2,
};
#define CABLE_NETWORK 0x0a000000u

void cable_turn(struct host *host, uint64_t now_ns);
void cable_carry(struct host *from, struct host *to);

/* Make servers. With copies, bytes are copied out and in, instead of lent and sent by reference.
 * NULL without memory. */
struct host *weir_server_new(int copies);
struct host *lwip_server_new(void);

#ifdef __cplusplus
}
#endif

#endif
