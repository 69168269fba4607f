/* SPDX-License-Identifier: MIT */
/*
 * stack_peer.h: one instance and a test that plays its peer, segment by segment: the test sends
 * segments and expects those of the instance. Sequence numbers are relative: the initial one of the
 * peer is 0 in `seq` of its segments and in `ack` of the instance's segments; that of the instance
 * is 0 in the other fields. So the data of both begins at 1.
 */
#ifndef WEIR_TESTS_UNIT_STACK_PEER_H
#define WEIR_TESTS_UNIT_STACK_PEER_H

#include "stack/tcp_state.h"
#include "tests/unit/stack_host.h"

#define FIN WEIR_TCP_FIN
#define SYN WEIR_TCP_SYN
#define RST WEIR_TCP_RST
#define PSH WEIR_TCP_PSH
#define ACK WEIR_TCP_ACK

#define PEER_ISS 0xfffff000u	/* wraps soon */
#define PEER_PORT 4000u
#define MS WEIR_NETSTACK_MSEC
#define PEER_RTT_NS (20 * MS)	/* of the handshake */

struct peer_segment {
	uint8_t flags;
	uint32_t seq, ack;	/* relative */
	uint32_t window;	/* the header field; to send: plus 1, 0 means peer.window */
	uint32_t len;
	const unsigned char *data;
	/* Written when it is sent, set when it is received. */
	bool has_ts, sack_permitted, has_wscale;
	uint8_t wscale;
	uint16_t mss;
	uint32_t tsval, tsecr;
	unsigned sack_count;
	struct weir__tcp_block sack[4];		/* relative */
	/* To send: a super-frame of segments with so many bytes, which the owner has verified and
	 * joined, so that the checksum in its header is wrong; 0: an ordinary segment. */
	uint16_t segment_bytes;
	uint64_t at_ns;		/* received: the time of its transmission */
};

struct peer {
	struct host host;
	struct weir__netstack *net;
	struct weir__tcp_listener *listener;
	struct weir__tcp *tcp;
	uint32_t iss;		/* the instance's */
	uint16_t port;		/* the instance's */
	uint16_t peer_port;	/* the peer's */
	bool batch;		/* peer_in makes no turn of its own: the test does */
	bool timestamps;	/* negotiated: peer_in adds them to its segments */
	uint32_t tsval, tsecr;	/* sent; last received */
	unsigned events;	/* all events, collected while waiting */
	uint32_t window;	/* in segments that state no other; 65535 */
	unsigned char bytes[65536];	/* the peer's stream, by sequence number - 1 */
	unsigned char out[65600];
};

extern struct peer peer;

void peer_init(const struct weir__netstack_config *cfg);
void peer_fini(void);
/* Sends a segment. Its data is peer.bytes from seq - 1 on, unless it has its own data. */
void peer_in(struct peer_segment segment);
/* Takes the next segment of the instance; false if there is none. */
bool peer_out(struct peer_segment *ret_segment);
/* Expects a segment with these flags (PSH is ignored), numbers and length. */
struct peer_segment peer_expect(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len);
void peer_expect_nothing(void);
void peer_wait(uint64_t ns);
/* Waits in steps of 1 ms until the instance sends a segment, at most for this time. */
bool peer_wait_out(uint64_t ns, struct peer_segment *ret_segment);

/*
 * Make handshakes; options are those of the peer's SYN. The instance listens on port 80 and
 * accepts, or connects to PEER_PORT from a port that it chooses.
 */
void peer_accepts(struct peer_segment syn);
void peer_connects(struct peer_segment syn);
/* With MSS 1000, SACK and window scale 2; with timestamps. */
struct peer_segment peer_syn(void);
struct peer_segment peer_syn_timestamps(void);
/* Makes a turn in which the instance sends bytes of peer.bytes by copy. */
int peer_send(uint32_t len);
/* Makes a turn in which the instance's owner reads. */
int peer_read(void *to, uint32_t len);
struct weir__tcp_info peer_info(void);

#endif
