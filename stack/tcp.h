/* SPDX-License-Identifier: MIT */
/*
 * tcp.h: TCP (RFC 9293): the interface for the owner of an instance.
 *
 *	weir__tcp_listen -> ACCEPTABLE -> weir__tcp_accept --\
 *	                                                     >-- send, receive -- weir__tcp_close
 *	weir__tcp_connect -> CONNECTED -> -------------------/
 *
 * No call waits. A call that cannot proceed now returns -EAGAIN, and an event says when to try
 * again: READABLE follows an -EAGAIN of a receive call, and WRITABLE one of a send call. Both may
 * also come without one.
 *
 * Sending by reference does not copy the frame's bytes. They must not change until the peer has
 * acknowledged them; then the stack releases the blocks. Sending a copy computes the checksum of
 * the bytes while it copies them.
 *
 * Receiving lends frames; the owner gives them back (weir__netstack_give_back) or sends them. The
 * receive window opens when the owner receives, not when it gives a frame back. Lent frames stay
 * charged to the instance, and when its memory becomes scarce, the windows that it offers get
 * smaller. While lent frames alone fill its memory, further data is dropped, and the peer sends it
 * again. The processing of ACKs needs no memory and never stops.
 *
 * Closing: after weir__tcp_close the owner uses neither the pointer nor its events. The connection
 * continues as an orphan until the peer has acknowledged everything, or Linux's time limit for
 * orphans has passed. A close resets the connection if received data is unread (RFC 2525 2.17) or
 * if linger_zero is set; weir__tcp_abort always does.
 *
 * Errors of a connection are -ECONNREFUSED, -ECONNRESET, -EPIPE (sent after the end), -ETIMEDOUT,
 * -EHOSTUNREACH, -ENETUNREACH, -EADDRNOTAVAIL. Data that came before the error can be received
 * first.
 *
 * TCP uses instance.h (memory, charging, events, timers, struct weir__transport), ip.h
 * (weir__ip_output, weir__ip_checksum, weir__ip_path_mtu, struct weir__ip_error), frame.h (the
 * control bytes of a queued frame hold the state of its segment), siphash.h and address.h (struct
 * weir__flow is the key). Its own files, which have one job each, share tcp_state.h:
 *
 *	tcp.c		opening and closing; the transport's table of functions
 *	tcp_stream.c	the owner's calls that send and receive
 *	tcp_table.c	connections and listeners by flow; port selection
 *	tcp_listen.c	listeners: half-open connections, the accept queue
 *	tcp_cookie.c	SYN cookies
 *	tcp_input.c	segment arrival: RFC 9293 3.10.7
 *	tcp_burst.c	prefetch of the memory that a received segment needs
 *	tcp_receive.c	data in order and out of order, the receive window, when an ACK is due
 *	tcp_ack.c	the ACK field
 *	tcp_sack.c	the SACK scoreboard
 *	tcp_rack.c	RACK-TLP
 *	tcp_recovery.c	congestion states, PRR, undo
 *	tcp_rtt.c	round-trip time and RTO
 *	tcp_output.c	transmission: what may be sent, Nagle, cork, windows, ACKs, resets
 *	tcp_options.c	parsing and writing of headers and options
 *	tcp_timer.c	retransmission, probes, keepalive, delayed ACKs, the user timeout
 *	tcp_wait.c	TIME_WAIT
 *	tcp_info.c	settings and tcp_info
 *	tcp_congestion.h, tcp_cubic.c, tcp_reno.c	congestion controls
 */
#ifndef WEIR_STACK_TCP_H
#define WEIR_STACK_TCP_H

#include "stack/stack.h"

struct weir__tcp;
struct weir__tcp_listener;
struct weir__tcp_congestion;

/* The congestion controls that exist (tcp_congestion.h). */
extern const struct weir__tcp_congestion weir__tcp_cubic, weir__tcp_reno;

/* ---- settings ------------------------------------------------------------------------------- */

/* The socket options. Zero in each field means Linux's default. */
struct weir__tcp_settings {
	bool nodelay;			/* without Nagle's algorithm */
	bool cork;			/* only full segments, for at most 200 ms */
	bool keepalive;
	bool linger_zero;		/* close sends a RST */
	uint8_t tos, ttl;
	uint16_t mss;			/* limit for the MSS option and for segments sent */
	uint32_t keep_idle_ms;		/* 7,200,000 */
	uint32_t keep_interval_ms;	/* 75,000 */
	uint32_t keep_count;		/* 9 */
	uint32_t user_timeout_ms;	/* 0: by retransmissions, as tcp_retries2 */
	uint32_t send_bytes;		/* size of the buffer; 0: auto-tuned up to the config's */
	uint32_t receive_bytes;		/* likewise */
	const struct weir__tcp_congestion *congestion;	/* NULL: CUBIC */
};

/* ---- setting up ----------------------------------------------------------------------------- */

/*
 * Listens. A listener on the address any accepts connections to every address of the instance,
 * unless a listener on that specific address has the same port. At most backlog connections wait to
 * be accepted; when so many wait, no further handshake completes. As many connections may be half
 * open; further SYNs are answered with cookies. Connections begin with the given settings (NULL:
 * the defaults).
 *
 * Returns: 0; -EADDRINUSE; -EADDRNOTAVAIL if the address is not the instance's; -EINVAL for port 0,
 *          backlog 0 or a setting that Linux would refuse; -ENOMEM.
 */
int weir__tcp_listen(struct weir__netstack *net, const struct weir__endpoint *local,
		     unsigned backlog, const struct weir__tcp_settings *settings,
		     struct weir__netstack_user *user, struct weir__tcp_listener **ret_listener);
/* Resets the connections that were not accepted. */
void weir__tcp_listener_close(struct weir__tcp_listener *listener);
/* Returns the connection that has waited longest, and sets the owner's struct for its events.
 * Events that happened before are raised again. -EAGAIN if no connection waits. */
int weir__tcp_accept(struct weir__tcp_listener *listener, struct weir__netstack_user *user,
		     struct weir__tcp **ret_tcp);
/*
 * Begins to connect; CONNECTED or FAILED follows. If local is NULL, the stack chooses the address
 * and the port. It also chooses an address that is any, and a port that is 0. It chooses the port
 * at random (RFC 6056).
 *
 * Returns: 0; -ENETUNREACH; -EADDRNOTAVAIL if the address is not the instance's, or no port is
 *          free; -EADDRINUSE if a connection has the same flow; -EINVAL if the peer's address is
 *          not that of one host, its port is 0, or Linux would refuse a setting; -ENOBUFS if the
 *          instance has as many connections as the config allows; -ENOMEM.
 */
int weir__tcp_connect(struct weir__netstack *net, const struct weir__endpoint *local,
		      const struct weir__endpoint *peer, const struct weir__tcp_settings *settings,
		      struct weir__netstack_user *user, struct weir__tcp **ret_tcp);

/* ---- the stream ----------------------------------------------------------------------------- */

enum weir_tcp_send_flag {
	WEIR_TCP_MORE = 1u << 0,	/* more data follows at once: do not send a short segment */
};

/*
 * Sends a whole frame by reference, if the send buffer has any room. The stack owns the frame if
 * the call returns a count; otherwise the caller keeps it. A frame that a receive call of the same
 * instance has lent may be sent as it is.
 *
 * Returns: the frame's length in bytes; -EAGAIN without room, or before the connection is
 *          established; -EPIPE after weir__tcp_shutdown; the connection's error; -EINVAL for an
 *          empty frame or one of more than INT32_MAX bytes.
 */
int weir__tcp_send(struct weir__tcp *tcp, struct weir__frame *frame, unsigned flags);
/* Sends a copy of as many bytes as the buffer has room for. Returns the number of bytes; an error
 * as weir__tcp_send; or -ENOMEM. */
int weir__tcp_send_copy(struct weir__tcp *tcp, const void *bytes, uint32_t len, unsigned flags);
/*
 * Lends up to max received bytes as one frame.
 * Returns: the number of bytes; 0 at the end of the stream, after weir__tcp_shutdown of this side, or
 *          if max is 0; -EAGAIN without data, also before the connection is established; the
 *          connection's error; -ENOMEM if the first frame is longer than max and cannot be split.
 */
int weir__tcp_receive(struct weir__tcp *tcp, uint32_t max, struct weir__frame **ret_lent);
/* Copies the received bytes instead; the same results, but never -ENOMEM. */
int weir__tcp_receive_copy(struct weir__tcp *tcp, void *to, uint32_t len);

enum weir_tcp_side {
	WEIR_TCP_READ = 1u << 0,	/* further data is acknowledged and discarded */
	WEIR_TCP_WRITE = 1u << 1,	/* a FIN follows the data that was sent */
};

/* Ends one direction or both. -ENOTCONN before the connection is established or after its end. */
int weir__tcp_shutdown(struct weir__tcp *tcp, unsigned sides);
void weir__tcp_close(struct weir__tcp *tcp);
/* Closes the connection with a RST. */
void weir__tcp_abort(struct weir__tcp *tcp);
/* The number of closed connections that still have data to send or unacknowledged data. */
unsigned weir__tcp_orphans(const struct weir__netstack *net);

/* ---- settings and state of a connection ----------------------------------------------------- */

struct weir__tcp_settings weir__tcp_settings(const struct weir__tcp *tcp);
/* Changes the settings. Without a change: -EINVAL for a value that Linux would refuse; -ENOMEM. */
int weir__tcp_apply(struct weir__tcp *tcp, const struct weir__tcp_settings *settings);
/* The number of bytes that a receive call would return, and that a send by copy would accept. */
uint32_t weir__tcp_readable(const struct weir__tcp *tcp);
uint32_t weir__tcp_writable(const struct weir__tcp *tcp);
/* The connection's error, or 0. The call does not clear it. */
int weir__tcp_error(const struct weir__tcp *tcp);
const struct weir__flow *weir__tcp_flow(const struct weir__tcp *tcp);
struct weir__netstack_source *weir__tcp_source(struct weir__tcp *tcp);
struct weir__netstack_source *weir__tcp_listener_source(struct weir__tcp_listener *listener);

enum weir_tcp_state {
	WEIR_TCP_CLOSED,
	WEIR_TCP_LISTEN,
	WEIR_TCP_SYN_SENT,
	WEIR_TCP_SYN_RECEIVED,
	WEIR_TCP_ESTABLISHED,
	WEIR_TCP_FIN_WAIT_1,
	WEIR_TCP_FIN_WAIT_2,
	WEIR_TCP_CLOSING,
	WEIR_TCP_TIME_WAIT,
	WEIR_TCP_CLOSE_WAIT,
	WEIR_TCP_LAST_ACK,
	WEIR_TCP_STATES,
};

/* The fields that `ss -ti` shows, with Linux's names (struct tcp_info). */
struct weir__tcp_info {
	uint8_t state;			/* weir_tcp_state */
	uint8_t ca_state;		/* 0 open, 1 disorder, 2 cwr, 3 recovery, 4 loss */
	uint8_t retransmits, probes, backoff;
	bool timestamps, sack;
	uint8_t snd_wscale, rcv_wscale;
	uint32_t rto_us, ato_us;
	uint32_t snd_mss, rcv_mss, advmss, pmtu;
	uint32_t rtt_us, rttvar_us, min_rtt_us;
	uint32_t snd_cwnd, snd_ssthresh;	/* segments */
	uint32_t unacked, sacked, lost, retrans;	/* segments, at this moment */
	uint32_t total_retrans;
	uint32_t reord_seen, dsack_dups;
	uint32_t rcv_rtt_us, rcv_space;
	uint32_t rcv_buffer, snd_buffer;	/* the limits at this moment, true bytes */
	uint32_t rcv_ranges;			/* out-of-order ranges that wait */
	uint32_t snd_wnd, rcv_wnd, notsent_bytes;
	uint64_t bytes_acked, bytes_received;
	uint32_t last_data_sent_ms, last_data_recv_ms, last_ack_recv_ms;	/* time since */
	const char *congestion;
};

void weir__tcp_info(const struct weir__tcp *tcp, struct weir__tcp_info *ret_info);

/* Which state transitions have happened in this instance: element S of the array, which has
 * WEIR_TCP_STATES elements, has a bit (1 << the new state) for each transition from state S. Tests
 * use it to check that they have seen all of them. */
const uint16_t *weir__tcp_reached(const struct weir__netstack *net);

#endif
