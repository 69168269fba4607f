/* SPDX-License-Identifier: MIT */
/*
 * tcp.h: TCP (RFC 9293), as the owner of an instance uses it.
 *
 *	weir__tcp_listen -> ACCEPTABLE -> weir__tcp_accept --\
 *	                                                     >-- send, receive -- weir__tcp_close
 *	weir__tcp_connect -> CONNECTED -> -------------------/
 *
 * No call waits. What cannot be done now answers -EAGAIN, and an event says when to try again:
 * READABLE and WRITABLE follow an -EAGAIN of a receive and of a send, and may come without one.
 *
 * Sending by reference: the frame's bytes are not copied and must not change until the peer has
 * acknowledged them, when the blocks are let go. Sending a copy sums the bytes as they are copied.
 *
 * Receiving lends frames (weir__netstack_give_back; or send them). The window opens by what was
 * received, whether or not it was given back; what is lent stays charged to the instance, and once
 * that becomes scarce windows shrink. The reception of ACKs needs no memory and never stops.
 *
 * Closing: weir__tcp_close ends the owner's part. The connection lives on as an orphan until the
 * peer has everything, or Linux's time for orphans is up. With data that nobody has received, it is
 * reset (RFC 2525 2.17), and so it is with linger 0, or by weir__tcp_abort. Neither the pointer nor
 * its events are used afterwards.
 *
 * Errors of a connection are -ECONNREFUSED, -ECONNRESET, -EPIPE (sent after the end), -ETIMEDOUT,
 * -EHOSTUNREACH, -ENETUNREACH, -EADDRNOTAVAIL. Data that came before the error can be received
 * first.
 *
 * What TCP stands on: instance.h (memory, charging, events, timers, struct weir__transport), ip.h
 * (weir__ip_output, weir__ip_checksum, weir__ip_path_mtu, struct weir__ip_error), frame.h (the
 * control bytes of a frame hold a segment's state while it is queued), siphash.h, address.h (struct
 * weir__flow is the key). Its own parts, one job a file, share tcp_state.h:
 *
 *	tcp.c		how connections begin and end; the transport's table of functions
 *	tcp_stream.c	the owner's calls that send and receive
 *	tcp_table.c	connections and listeners by flow; port choice
 *	tcp_listen.c	listeners: half-open connections, the accept queue
 *	tcp_cookie.c	SYN cookies
 *	tcp_input.c	segments in: RFC 9293 3.10.7
 *	tcp_burst.c	what a segment needs is fetched into the cache
 *	tcp_receive.c	data in order and out of it, the receive window, when an ACK is due
 *	tcp_ack.c	the ACK field
 *	tcp_sack.c	the scoreboard
 *	tcp_rack.c	RACK-TLP
 *	tcp_recovery.c	states of congestion, PRR, undo
 *	tcp_rtt.c	round trip time and RTO
 *	tcp_output.c	segments out: what may be sent, Nagle, cork, windows, ACKs, resets
 *	tcp_options.c	headers and options, parsed and written
 *	tcp_timer.c	retransmission, probes, keepalive, delayed ACKs, the user timeout
 *	tcp_wait.c	TIME_WAIT
 *	tcp_info.c	what a connection is like
 *	tcp_congestion.h, tcp_cubic.c, tcp_reno.c	congestion controls
 */
#ifndef WEIR_STACK_TCP_H
#define WEIR_STACK_TCP_H

#include "stack/stack.h"

struct weir__tcp;
struct weir__tcp_listener;
struct weir__tcp_congestion;

/* The congestion controls there are (tcp_congestion.h). */
extern const struct weir__tcp_congestion weir__tcp_cubic, weir__tcp_reno;

/* ---- settings ------------------------------------------------------------------------------- */

/* What sockets call options. All zero is Linux's default for each. */
struct weir__tcp_settings {
	bool nodelay;			/* no Nagle */
	bool cork;			/* whole segments only, for 200 ms at most */
	bool keepalive;
	bool linger_zero;		/* a close resets */
	uint8_t tos, ttl;
	uint16_t mss;			/* at most; what is offered and what is sent */
	uint32_t keep_idle_ms;		/* 7,200,000 */
	uint32_t keep_interval_ms;	/* 75,000 */
	uint32_t keep_count;		/* 9 */
	uint32_t user_timeout_ms;	/* 0: by the number of retransmissions, as tcp_retries2 */
	uint32_t send_bytes;		/* of the buffer; 0: auto-tuned up to the config's */
	uint32_t receive_bytes;		/* likewise */
	const struct weir__tcp_congestion *congestion;	/* NULL: CUBIC */
};

/* ---- setting up ----------------------------------------------------------------------------- */

/*
 * Listens. The address any takes connections to each address of the instance; a more specific
 * listener comes first. backlog bounds the connections that wait to be accepted; above it no
 * further handshake completes. As many again may be half open, and above that cookies serve.
 * Connections begin with the settings given (NULL: defaults).
 *
 * Returns: 0; -EADDRINUSE; -EADDRNOTAVAIL if the address is not the instance's; -EINVAL for port 0
 *          or backlog 0; -ENOMEM.
 */
int weir__tcp_listen(struct weir__netstack *net, const struct weir__endpoint *local,
		     unsigned backlog, const struct weir__tcp_settings *settings,
		     struct weir__netstack_user *user, struct weir__tcp_listener **ret_listener);
/* Connections that nobody has accepted are reset. */
void weir__tcp_listener_close(struct weir__tcp_listener *listener);
/* The connection that has waited longest, with the owner's struct for its events. Events that it
 * has had before are raised again. -EAGAIN. */
int weir__tcp_accept(struct weir__tcp_listener *listener, struct weir__netstack_user *user,
		     struct weir__tcp **ret_tcp);
/*
 * Begins to connect; CONNECTED or FAILED follows. local NULL, its address any or its port 0:
 * chosen, the port at random (RFC 6056).
 *
 * Returns: 0; -ENETUNREACH; -EADDRNOTAVAIL if the address is not the instance's, or no port is
 *          free; -EADDRINUSE if there is such a connection; -EINVAL if the peer is no host, or
 *          port 0; -ENOBUFS if there are as many connections as the config allows; -ENOMEM.
 */
int weir__tcp_connect(struct weir__netstack *net, const struct weir__endpoint *local,
		      const struct weir__endpoint *peer, const struct weir__tcp_settings *settings,
		      struct weir__netstack_user *user, struct weir__tcp **ret_tcp);

/* ---- the stream ----------------------------------------------------------------------------- */

enum weir_tcp_send_flag {
	WEIR_TCP_MORE = 1u << 0,	/* more follows at once: no short segment for this */
};

/*
 * Sends a frame by reference, all of it, if the send buffer has any room. The frame is the stack's
 * when it returns a count, and stays the caller's when not. A frame that was lent by a receive call
 * of the same instance may be sent as it is.
 *
 * Returns: its bytes; -EAGAIN without room, or before the connection is established; -EPIPE after
 *          weir__tcp_shutdown; the connection's error; -EINVAL for an empty frame.
 */
int weir__tcp_send(struct weir__tcp *tcp, struct weir__frame *frame, unsigned flags);
/* Sends a copy, as much as there is room for. Returns: the bytes taken; likewise; -ENOMEM. */
int weir__tcp_send_copy(struct weir__tcp *tcp, const void *bytes, uint32_t len, unsigned flags);
/*
 * Up to max bytes of what came, lent as one frame.
 * Returns: its bytes; 0 at the end of the stream; -EAGAIN; the connection's error.
 */
int weir__tcp_receive(struct weir__tcp *tcp, uint32_t max, struct weir__frame **ret_lent);
/* The same as a copy. */
int weir__tcp_receive_copy(struct weir__tcp *tcp, void *to, uint32_t len);

enum weir_tcp_side {
	WEIR_TCP_READ = 1u << 0,	/* what comes is thrown away and acknowledged */
	WEIR_TCP_WRITE = 1u << 1,	/* FIN behind what was sent */
};

/* Ends one side or both. -ENOTCONN before the connection is established or after it has ended. */
int weir__tcp_shutdown(struct weir__tcp *tcp, unsigned sides);
void weir__tcp_close(struct weir__tcp *tcp);
/* Closes it with a reset. */
void weir__tcp_abort(struct weir__tcp *tcp);
/* Connections that were closed and have something to send or to have acknowledged yet. */
unsigned weir__tcp_orphans(const struct weir__netstack *net);

/* ---- what it is like ------------------------------------------------------------------------ */

struct weir__tcp_settings weir__tcp_settings(const struct weir__tcp *tcp);
/* From now on. -EINVAL, with nothing changed, for a value that none of Linux's options takes. */
int weir__tcp_apply(struct weir__tcp *tcp, const struct weir__tcp_settings *settings);
/* Bytes that a receive call would find, and that a send by copy would take. */
uint32_t weir__tcp_readable(const struct weir__tcp *tcp);
uint32_t weir__tcp_writable(const struct weir__tcp *tcp);
/* The connection's error, which stays, or 0. */
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

/* What `ss -ti` shows, in Linux's names (struct tcp_info). */
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
	uint32_t unacked, sacked, lost, retrans;	/* segments now */
	uint32_t total_retrans;
	uint32_t reord_seen, dsack_dups;
	uint32_t rcv_rtt_us, rcv_space;
	uint32_t rcv_buffer, snd_buffer;	/* limits now, true bytes */
	uint32_t rcv_ranges;			/* that wait out of order */
	uint32_t snd_wnd, rcv_wnd, notsent_bytes;
	uint64_t bytes_acked, bytes_received;
	uint32_t last_data_sent_ms, last_data_recv_ms, last_ack_recv_ms;	/* ago */
	const char *congestion;
};

void weir__tcp_info(const struct weir__tcp *tcp, struct weir__tcp_info *ret_info);

/* Which changes of state connections of this instance have made: an array of WEIR_TCP_STATES, by the
 * state before, of bits (1 << the state after). For tests that want to have seen all. */
const uint16_t *weir__tcp_reached(const struct weir__netstack *net);

#endif
