/* SPDX-License-Identifier: MIT */
/*
 * tcp_state.h: what the files of TCP share: the connection, its queues, the functions of each file.
 *
 * Sequence space of a connection that sends and receives:
 *
 *	     snd_una             snd_nxt            write_seq
 *	        |  sent, maybe lost  |  not yet sent    |
 *	queue: [seg][seg][seg][seg].[frame....][frame..]
 *	        ^first               ^unsent
 *
 *	     rcv_read            rcv_nxt               rcv_wup + rcv_wnd
 *	        |  received, unread  |  [range]   [range]   |
 *	receive queue: frames        out of order: ranges   right edge offered
 *
 * The send queue is one list of frames. Each frame before `unsent` is a segment that was sent; it
 * has at most one MSS and is the unit of the scoreboard. The frames from `unsent` on are as the
 * owner gave them; they are cut and joined when they are sent. FIN is a flag of the last frame,
 * which may be empty.
 *
 * Segments in flight form a list by time of transmission (the order that RACK uses), oldest first.
 * A segment leaves the list when it is acknowledged, SACKed or marked lost. A retransmission puts
 * it at the end of the list.
 *
 *	packets_out	segments sent and not cumulatively acknowledged
 *	sacked_out	... SACKed (without SACK: duplicate ACKs)
 *	lost_out	... marked lost, and not retransmitted yet
 *	in flight	= packets_out - sacked_out - lost_out	(RFC 6675's pipe)
 *	retrans_out	... retransmitted, and not marked lost again (a part of those in flight)
 *
 * Out-of-order data is kept as ranges. A range is a list of consecutive frames (linked by
 * `queued`). The control bytes of its first frame link the range to the next one in the sequence
 * space, and to the ranges that grew before and after it. SACK blocks are sent in that order (RFC
 * 2018 section 4).
 */
#ifndef WEIR_STACK_TCP_STATE_H
#define WEIR_STACK_TCP_STATE_H

#include "stack/instance.h"
#include "stack/tcp.h"
#include "stack/tcp_congestion.h"

/* ---- constants ------------------------------------------------------------------------------ */

#define WEIR_TCP_HEADER 20u
#define WEIR_TCP_OPTIONS_MAX 40u
#define WEIR_TCP_TIMESTAMPS_BYTES 12u		/* with the two NOPs that precede it */
#define WEIR_TCP_MSS_DEFAULT 536u		/* RFC 9293 3.7.1 */
#define WEIR_TCP_MSS_FLOOR 48u			/* least MSS that is used: 88 bytes of IP */
#define WEIR_TCP_WSCALE_MAX 14u			/* RFC 7323 2.3 */
#define WEIR_TCP_INITIAL_WINDOW 10u		/* segments, RFC 6928 */
#define WEIR_TCP_DUPLICATES 3u			/* DupThresh */
#define WEIR_TCP_RTO_MIN_US 200000u
#define WEIR_TCP_RTO_MAX_US 120000000u
#define WEIR_TCP_RTO_INITIAL_US 1000000u	/* RFC 6298 (2.1) */
#define WEIR_TCP_RTO_AFTER_SYN_US 3000000u	/* (5.7): after a retransmitted SYN */
#define WEIR_TCP_SYN_RETRIES 6u
#define WEIR_TCP_SYNACK_RETRIES 5u
#define WEIR_TCP_RETRIES 15u			/* Linux's tcp_retries2 */
#define WEIR_TCP_ORPHAN_RETRIES 8u
#define WEIR_TCP_FIN_TIMEOUT_NS (60 * WEIR_NETSTACK_SEC)
#define WEIR_TCP_TIME_WAIT_NS (60 * WEIR_NETSTACK_SEC)
#define WEIR_TCP_ATO_MIN_MS 40u
#define WEIR_TCP_ATO_MAX_MS 200u
#define WEIR_TCP_CORK_NS (200 * WEIR_NETSTACK_MSEC)
#define WEIR_TCP_OVERRIDE_NS WEIR_NETSTACK_SEC	/* the override timeout of RFC 9293 3.8.6.2.1 */
#define WEIR_TCP_QUICK_ACKS 16u
#define WEIR_TCP_NOTHING_SENT UINT16_MAX	/* undo_retrans */
#define WEIR_TCP_SACK_WALK 1024u	/* segments visited for the SACK blocks of one ACK */
#define WEIR_TCP_RANGES_MAX 512u		/* out-of-order ranges; further ones are dropped */
#define WEIR_TCP_BUFFER_START (128u << 10)
#define WEIR_TCP_BUFFER_LEAST 2304u	/* of a receive buffer, as in Linux */
#define WEIR_TCP_SEND_START (85u << 10)
#define WEIR_TCP_SEND_LEAST 4096u	/* may be queued in a full instance */

enum weir_tcp_flag {
	WEIR_TCP_FIN = 0x01,
	WEIR_TCP_SYN = 0x02,
	WEIR_TCP_RST = 0x04,
	WEIR_TCP_PSH = 0x08,
	WEIR_TCP_ACK = 0x10,
};

/* Linux's names for the states of congestion (tcp_info.tcpi_ca_state). */
enum weir_tcp_ca {
	WEIR_TCP_CA_OPEN,
	WEIR_TCP_CA_DISORDER,	/* duplicate ACKs or SACKs, nothing lost yet */
	WEIR_TCP_CA_CWR,	/* the window was reduced, and no segment has to be retransmitted */
	WEIR_TCP_CA_RECOVERY,	/* fast recovery */
	WEIR_TCP_CA_LOSS,	/* after a retransmission timeout */
};

/* ---- sequence numbers (RFC 9293 3.4) -------------------------------------------------------- */

static inline bool weir__before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool weir__after(uint32_t a, uint32_t b)
{
	return (int32_t)(b - a) < 0;
}

/* ---- segments ------------------------------------------------------------------------------- */

struct weir__tcp_block {
	uint32_t start, end;
};

/* A received header, parsed. */
struct weir__tcp_segment {
	struct weir__flow flow;
	uint32_t seq, end;		/* end counts SYN and FIN */
	uint32_t ack;
	uint32_t len;			/* payload bytes */
	uint32_t window;		/* the header field, not scaled */
	uint8_t flags;			/* weir_tcp_flag */
	uint8_t wscale;
	uint8_t tos;
	bool has_ts, has_wscale, sack_permitted;
	uint16_t mss;			/* 0: no such option */
	uint32_t tsval, tsecr;
	unsigned sack_count;
	struct weir__tcp_block sack[4];
};

/* Control bytes of a frame in the send queue. */
enum weir_tcp_sent_flag {
	WEIR_TCP_SENT_FIN = 1u << 0,
	WEIR_TCP_SENT_PUSH = 1u << 1,
	WEIR_TCP_SENT_SACKED = 1u << 2,
	WEIR_TCP_SENT_LOST = 1u << 3,
	WEIR_TCP_SENT_AGAIN = 1u << 4,		/* a retransmission is in flight */
	WEIR_TCP_SENT_EVER_AGAIN = 1u << 5,	/* was ever retransmitted: gives no RTT (Karn) */
};

struct weir__tcp_sent {
	uint32_t seq, end;
	uint64_t sent_ns;
	uint8_t flags;			/* weir_tcp_sent_flag */
	struct weir__frame *older, *newer;	/* by time of transmission; or see tcp_sack.c */
};

static inline struct weir__tcp_sent *weir__tcp_sent(struct weir__frame *frame)
{
	return WEIR_FRAME_CONTROL(frame, struct weir__tcp_sent);
}

/* Control bytes of a frame in the receive queue or out of order. */
struct weir__tcp_received {
	uint32_t seq, end;		/* end counts FIN */
	bool fin;
	bool reported;			/* a D-SACK reports a part of this segment */
	/* Only valid in the first frame of an out-of-order range. */
	uint32_t range_end;
	struct weir__frame *range_last;		/* its last frame */
	struct weir__frame *next_range;		/* in the sequence space */
	struct weir__frame *newer, *older;	/* ranges, by the time of their last growth */
};

static inline struct weir__tcp_received *weir__tcp_received(struct weir__frame *frame)
{
	return WEIR_FRAME_CONTROL(frame, struct weir__tcp_received);
}

/* ---- the connection ------------------------------------------------------------------------- */

/* A listener and its connections share their settings until the settings of one are changed. */
struct weir__tcp_shared {
	struct weir__tcp_settings settings;
	uint32_t refs;
};

/* The purpose of a connection's timer. One timer is enough, because the purposes
 * exclude each other. */
enum weir_tcp_timer {
	WEIR_TCP_TIMER_NONE,
	WEIR_TCP_TIMER_RETRANSMIT,	/* also of a SYN */
	WEIR_TCP_TIMER_LOSS_PROBE,	/* TLP, RFC 8985 section 7 */
	WEIR_TCP_TIMER_REORDER,		/* RACK's, RFC 8985 section 6.2 */
	WEIR_TCP_TIMER_PROBE,		/* zero window; also a cork, and a lack of memory */
	WEIR_TCP_TIMER_IDLE,		/* keepalive; the end of an orphan's FIN_WAIT_2 */
};

/*
 * The fields that every exchange of data uses come first, so that a segment needs as few
 * cache lines as possible (tcp_burst.c): with thousands of connections, fetching them is most
 * of a segment's cost. The fields from accept_next on are used for losses, congestion,
 * closing and tcp_info.
 */
struct weir__tcp {
	struct weir__flow flow;			/* first, as in every entry of the table */
	struct weir__netstack_source source;
	struct weir__netstack *net;
	struct weir__tcp_shared *shared;
	struct weir__hop hop;
	struct weir__tcp *flush_next;		/* connections with work at the turn's end */
	struct weir__netstack_timer timer;	/* for the purpose in timer_kind */

	uint8_t state;				/* weir_tcp_state */
	uint8_t ca_state;			/* weir_tcp_ca */
	uint8_t timer_kind;			/* weir_tcp_timer */
	uint8_t backoff, retransmits, probes;
	uint8_t rack_multiplier, rack_persist;
	unsigned snd_wscale : 4, rcv_wscale : 4;
	bool timestamps : 1, sack : 1, wscale : 1;	/* negotiated */
	bool owned : 1;			/* the owner has its pointer, or gets it from accept */
	bool waits_for_accept : 1;
	bool orphaned : 1;		/* counted in `orphans` */
	bool listed : 1;		/* in the list for the turn's end */
	bool dead : 1;			/* is freed at the turn's end */
	bool ack_now : 1, ack_pending : 1, pingpong : 1;
	bool ack_timed : 1;		/* ack_timer is set for the pending ACK */
	bool fin_wanted : 1, fin_queued : 1, fin_received : 1;
	bool read_shut : 1;
	bool more : 1;			/* the last send had WEIR_TCP_MORE */
	bool send_short : 1;		/* the time limit of a cork or a silly window has passed */
	bool wants_write : 1;		/* a send call got -EAGAIN */
	bool cwnd_limited : 1;		/* the last transmission used the congestion window fully */
	bool tlp_retrans : 1;		/* the probe was a retransmission */
	bool rack_advanced : 1;		/* since losses were detected last */
	bool dsack_seen : 1;		/* in the ACK that is processed */
	bool was_connected : 1;
	bool unanswered : 1;		/* a retransmission or a probe has no answer yet */
	uint16_t mss, pmtu;		/* mss: payload and options of a segment */
	uint16_t reord_seen;
	uint32_t tlp_high;		/* TLP.end_seq; 0: no probe in flight */

	/* Sending. */
	struct weir__frame *first, *last, *unsent;
	union {
		struct {
			struct weir__frame *newest;	/* in flight, by time: a ring; the oldest
							 * one follows */
			struct weir__frame *lost_hint;	/* no segment before it is marked lost */
		};
		struct {	/* CLOSED, and the owner still has it */
			struct weir__tcp *finished_next, **finished_pprev;
		};
	};
	struct weir__frame *sack_hint;		/* where the last walk ended */
	uint32_t snd_una, snd_nxt, write_seq;
	uint32_t snd_wnd, snd_wl1, snd_max_wnd;
	uint32_t snd_small;			/* end of the last short segment (Minshall) */
	uint32_t snd_charged, snd_limit;	/* true bytes in the queue; the limit */
	uint32_t packets_out, sacked_out, lost_out, retrans_out;
	uint32_t cwnd, ssthresh;
	uint32_t prr_out;

	/* Receiving. */
	struct weir__frame_queue received;
	struct weir__frame *ranges;		/* lowest first */
	struct weir__frame *newest_range;
	uint32_t rcv_nxt, rcv_read;
	uint32_t rcv_wup, rcv_wnd;		/* the last window offered: start, length */
	uint32_t rcv_charged, rcv_limit;
	struct weir__tcp_block duplicate;	/* the D-SACK to send; empty: none */
	uint32_t tune_rtt_us;			/* the round-trip time as a receiver measures it */
	uint32_t tune_space, tune_seq, tune_ms;			/* bytes read per round trip */
	uint16_t rcv_mss;			/* an estimate of the size of the peer's segments */
	int16_t error;
	uint8_t rcv_ratio;			/* payload in 256 bytes of memory */

	/* ACKs to be sent. */
	uint8_t quick;				/* how many ACKs are not delayed from now on */
	uint16_t ato_ms;
	uint32_t ts_recent, ts_recent_s, ts_offset;	/* RFC 7323 */

	/* Time. */
	uint32_t srtt, rttvar, rttvar_round, rttvar_rto, rtt_round;	/* tcp_rtt.c */
	uint32_t rto_us;
	uint32_t min_rtt_us, min_rtt_ms;
	uint32_t sent_ms, received_ms, acked_ms;	/* last data out, data in, ACK in */
	uint32_t rack_end;
	uint64_t rack_sent_ns;
	uint32_t rack_rtt_us, rack_fack;
	uint64_t bytes_acked, bytes_received;

	/* Seldom used from here on. */
	struct weir__tcp *accept_next;		/* in a listener's queue */
	struct weir__netstack_timer ack_timer;	/* delayed ACKs */
	uint32_t challenged_ms;			/* for weir__tcp_may_answer */
	uint32_t unanswered_ms;			/* with `unanswered`: since when */

	/* Loss and congestion. */
	uint32_t rack_round;
	uint32_t prior_cwnd, prior_ssthresh;
	uint32_t prr_delivered;
	uint32_t high_seq;			/* snd_nxt when recovery began */
	uint32_t undo_marker, undo_ms;		/* snd_una and time when recovery began */
	struct weir__tcp_cubic_state cubic;

	/* Counted. */
	uint32_t total_retrans;
	uint16_t dsack_dups;
	/* Retransmissions that no D-SACK has reported; WEIR_TCP_NOTHING_SENT: none was sent yet. */
	uint16_t undo_retrans;
	uint16_t range_count;
	uint16_t peer_mss, advmss;
	int16_t soft_error;
};

/* ---- half-open connections, TIME_WAIT ------------------------------------------------------- */

/* A half-open connection: a SYN was received and answered. */
struct weir__tcp_request {
	struct weir__flow flow;
	struct weir__tcp_listener *listener;
	struct weir__netstack *net;
	struct weir__tcp_request *next, **pprev;	/* of the listener */
	struct weir__netstack_timer timer;
	uint64_t sent_ns;
	uint32_t irs, iss;
	uint32_t ts_recent;
	uint32_t answered_ms;		/* for weir__tcp_may_answer */
	uint16_t mss;
	uint8_t snd_wscale;
	uint8_t retries;
	bool timestamps, sack, wscale;
};

/* Takes 64 bytes. The padding of the flow stores whether the connection used timestamps, and the
 * value for weir__tcp_may_answer. */
struct weir__tcp_wait {
	struct weir__flow flow;		/* reserved: answered_ms, plus 1 with timestamps */
	uint32_t snd_nxt, rcv_nxt;
	uint32_t ts_recent;
	uint32_t until_ms;
	uint32_t next, prev;		/* index + 1; by until_ms */
};

struct weir__tcp_listener {
	struct weir__netstack_source source;
	struct weir__endpoint local;
	struct weir__netstack *net;
	struct weir__tcp_listener *next;	/* in its bucket */
	struct weir__tcp_shared *shared;
	struct weir__tcp *accept_first, *accept_last;
	struct weir__tcp_request *requests;
	unsigned backlog, accept_count, request_count;
	uint32_t overflowed_ms;		/* when a cookie was sent last */
	bool overflowed;
};

/* ---- the table ------------------------------------------------------------------------------ */

enum weir_tcp_kind {
	WEIR_TCP_NOTHING,
	WEIR_TCP_CONNECTION,
	WEIR_TCP_REQUEST,
	WEIR_TCP_WAIT,
};

#define WEIR_TCP_SLOTS 6u

/* One cache line. A tag is the kind of the entry and 14 bits of its hash. */
struct weir__tcp_bucket {
	uint16_t tag[WEIR_TCP_SLOTS];
	uint32_t passed;	/* entries that found it full and are in a later bucket */
	void *entry[WEIR_TCP_SLOTS];
};

struct weir__tcp_table {
	struct weir__tcp_bucket *buckets;
	void *memory;
	size_t bytes;
	uint32_t mask;
};

#define WEIR_TCP_LISTENER_BUCKETS 64u

struct weir__tcp_layer {
	struct weir__tcp_table table;
	struct weir__tcp_listener *listeners[WEIR_TCP_LISTENER_BUCKETS];
	struct weir__tcp_shared *defaults;
	struct weir__tcp *flush_first, **flush_end;
	struct weir__tcp *finished;
	struct weir__tcp_wait *waits;
	uint32_t wait_free, wait_first, wait_last;	/* index + 1 */
	struct weir__netstack_timer wait_timer;
	uint64_t isn_secret[2], timestamp_secret[2], cookie_secret[2];
	uint64_t challenge_second;
	uint32_t challenge_left;
	unsigned connections, orphans, waiting, requests;
	uint16_t reached[WEIR_TCP_STATES];	/* see weir__tcp_reached */
};

/* ---- tcp_table.c ---------------------------------------------------------------------------- */

int weir__tcp_table_init(struct weir__netstack *net, size_t entries);
void weir__tcp_table_fini(struct weir__netstack *net);
/* Returns the entry of this flow; NULL if none. */
void *weir__tcp_find(const struct weir__netstack *net, const struct weir__flow *flow,
		     enum weir_tcp_kind *ret_kind);
/* The two steps of weir__tcp_find. */
uint64_t weir__tcp_hash(const struct weir__netstack *net, const struct weir__flow *flow);
void *weir__tcp_find_hashed(const struct weir__netstack *net, const struct weir__flow *flow,
			    uint64_t hash, enum weir_tcp_kind *ret_kind);
/* fetch_bucket prefetches the bucket of a hash into the cache. guess returns the connection that
 * probably has this hash, without reading its memory; or NULL. */
void weir__tcp_fetch_bucket(const struct weir__netstack *net, uint64_t hash);
const struct weir__tcp *weir__tcp_guess(const struct weir__netstack *net, uint64_t hash);
/* The flow must not have an entry yet. -ENOBUFS if the table is full. */
int weir__tcp_insert(struct weir__netstack *net, const struct weir__flow *flow,
		     enum weir_tcp_kind kind, void *entry);
void weir__tcp_remove(struct weir__netstack *net, const struct weir__flow *flow, void *entry);
/* Replaces an entry by another one with the same flow. */
void weir__tcp_replace(struct weir__netstack *net, const struct weir__flow *flow, void *entry,
		       enum weir_tcp_kind kind, void *with);
struct weir__tcp_listener *weir__tcp_find_listener(const struct weir__netstack *net,
						   const struct weir__ip_address *local,
						   uint16_t port);
/* Chooses flow->local_port at random so that no other entry has the flow. -EADDRNOTAVAIL. */
int weir__tcp_choose_port(struct weir__netstack *net, struct weir__flow *flow);

/* ---- tcp_options.c -------------------------------------------------------------------------- */

/* Parses the header at the start of a frame. Returns its length; 0 if it is malformed. */
uint32_t weir__tcp_parse(const struct weir__frame *frame, const struct weir__ip_rx *rx,
			 struct weir__tcp_segment *ret_segment);
/* The options of a SYN or SYN-ACK, in Linux's order. Writing returns their length. */
struct weir__tcp_syn_options {
	uint16_t mss;
	bool sack, timestamps, wscale;
	uint8_t shift;
	uint32_t tsval, tsecr;
};
uint32_t weir__tcp_write_syn_options(unsigned char *to, const struct weir__tcp_syn_options *syn);
/* The timestamps and SACK blocks of any other segment. */
uint32_t weir__tcp_options_bytes(const struct weir__tcp *tcp, unsigned blocks);
void weir__tcp_write_options(unsigned char *to, const struct weir__tcp *tcp,
			     const struct weir__tcp_block *blocks, unsigned count);

/* ---- tcp.c ---------------------------------------------------------------------------------- */

static inline uint32_t weir__tcp_ms(const struct weir__netstack *net)
{
	return (uint32_t)(net->now_ns / WEIR_NETSTACK_MSEC);
}

/* For intervals of weeks: milliseconds in 32 bits wrap after seven weeks. */
static inline uint32_t weir__tcp_seconds(const struct weir__netstack *net)
{
	return (uint32_t)(net->now_ns / WEIR_NETSTACK_SEC);
}

static inline const struct weir__tcp_settings *weir__tcp_set(const struct weir__tcp *tcp)
{
	return &tcp->shared->settings;
}

static inline const struct weir__tcp_congestion *weir__tcp_control(const struct weir__tcp *tcp)
{
	return tcp->shared->settings.congestion;
}

/* Makes a connection in CLOSED, in no table. NULL without memory, or if there are too many. */
struct weir__tcp *weir__tcp_new(struct weir__netstack *net, const struct weir__flow *flow,
				struct weir__tcp_shared *shared);
/* Every change of `state` is made here. */
void weir__tcp_enter(struct weir__tcp *tcp, enum weir_tcp_state state);
/* The handshake is complete: enters ESTABLISHED and initialises the connection's state. */
void weir__tcp_established(struct weir__tcp *tcp);
/* Ends the connection: enters CLOSED, stops the timers, and releases the send queue and the flow.
 * error is 0 after an orderly close. */
void weir__tcp_finish(struct weir__tcp *tcp, int error);
/* Puts the connection into the list for the turn's end. */
void weir__tcp_later(struct weir__tcp *tcp);
void weir__tcp_raise(struct weir__tcp *tcp, unsigned events);
/* The initial sequence number (RFC 6528), and the offset of the timestamps (RFC 7323 5.4). */
uint32_t weir__tcp_isn(struct weir__netstack *net, const struct weir__flow *flow);
uint32_t weir__tcp_timestamp_offset(struct weir__netstack *net, const struct weir__flow *flow);
/* Frees a frame that was unlinked from the send queue. */
void weir__tcp_free_sent(struct weir__tcp *tcp, struct weir__frame *frame);

int weir__tcp_shared_new(struct weir__netstack *net, const struct weir__tcp_settings *settings,
			 struct weir__tcp_shared **ret_shared);
bool weir__tcp_settings_valid(const struct weir__tcp_settings *settings);
struct weir__tcp_shared *weir__tcp_shared_ref(struct weir__tcp_shared *shared);
void weir__tcp_shared_unref(struct weir__netstack *net, struct weir__tcp_shared *shared);

/* ---- tcp_listen.c --------------------------------------------------------------------------- */

/* A segment for a listener, of a flow that has no entry. isn is the initial sequence number that a
 * former TIME_WAIT requires; 0 if any will do. */
void weir__tcp_listener_input(struct weir__tcp_listener *listener,
			      const struct weir__tcp_segment *segment, uint32_t isn,
			      struct weir__frame *frame);
void weir__tcp_request_input(struct weir__tcp_request *request,
			     const struct weir__tcp_segment *segment, struct weir__frame *frame);
/* Handles an ICMP error. Returns true if the error quotes the SYN-ACK of this request. */
bool weir__tcp_request_failed(struct weir__tcp_request *request, const struct weir__ip_error *error,
			      uint32_t seq);
/* Frees listeners and requests, but not the connections that wait to be accepted. */
void weir__tcp_listeners_fini(struct weir__netstack *net);
void weir__tcp_send_synack(const struct weir__tcp_listener *listener,
			   const struct weir__tcp_request *request, uint32_t tsval);

/* ---- tcp_cookie.c --------------------------------------------------------------------------- */

/* Answers a SYN with a cookie and stores nothing. */
void weir__tcp_cookie_send(struct weir__tcp_listener *listener, struct weir__tcp_request *syn);
/* Whether an ACK returns a valid cookie. If so, restores what the SYN offered. */
bool weir__tcp_cookie_check(struct weir__tcp_listener *listener,
			    const struct weir__tcp_segment *segment,
			    struct weir__tcp_request *ret_request);

/* ---- tcp_input.c ---------------------------------------------------------------------------- */

void weir__tcp_input(struct weir__netstack *net, struct weir__frame *frame,
		     const struct weir__ip_rx *rx);
/* Processes a segment for a connection; frame is its payload. */
void weir__tcp_segment_input(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			     struct weir__frame *frame);
/* Takes over the options, the sequence number and the window of the peer's SYN. */
void weir__tcp_learn_options(struct weir__tcp *tcp, const struct weir__tcp_segment *segment);
/* Sends a challenge ACK, unless the limits of RFC 5961 section 7 forbid it. */
void weir__tcp_challenge(struct weir__tcp *tcp);
/*
 * Whether a bare ACK outside the window may be answered: twice a second for each flow, so that two
 * hosts that reject each other's ACKs do not exchange them without end. *answered_ms is the time of
 * the last answer, an even number; 0: none yet.
 */
bool weir__tcp_may_answer(struct weir__netstack *net, uint32_t *answered_ms);

/* ---- tcp_burst.c ---------------------------------------------------------------------------- */

void weir__tcp_expect(struct weir__netstack *net, struct weir__frame *frame, unsigned step);
/* The hash of a received segment's flow: the one that was computed ahead, if there is one. */
uint64_t weir__tcp_hash_of(const struct weir__netstack *net, struct weir__frame *frame,
			   const struct weir__flow *flow);

/* ---- tcp_receive.c -------------------------------------------------------------------------- */

/* Takes the payload and the FIN of an acceptable segment. Owns the frame. */
void weir__tcp_receive_data(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			    struct weir__frame *frame);
/* Returns the window to offer now, and records it as offered. */
uint32_t weir__tcp_select_window(struct weir__tcp *tcp);
/* The owner has read: tunes the buffer, and sends a window update if the window has grown
 * enough. */
void weir__tcp_has_read(struct weir__tcp *tcp, uint32_t len);
/* Gives up to four SACK blocks, a D-SACK first (RFC 2018, RFC 2883). Returns their number. */
unsigned weir__tcp_sack_blocks(const struct weir__tcp *tcp, struct weir__tcp_block blocks[4]);
/* These bytes arrived twice: the next ACK reports them in a D-SACK (RFC 2883). */
void weir__tcp_report_duplicate(struct weir__tcp *tcp, uint32_t start, uint32_t end);
/* free_queue frees the unread data; free_received frees the out-of-order data, too. */
void weir__tcp_free_queue(struct weir__tcp *tcp);
void weir__tcp_free_received(struct weir__tcp *tcp);
/* Takes a sample of the receiver's round-trip time, which an echoed timestamp gives. */
void weir__tcp_tune_rtt(struct weir__tcp *tcp, uint32_t rtt_us);
/* The initial size of a receive buffer, the window of a SYN, and its window scale. */
uint32_t weir__tcp_initial_buffer(const struct weir__netstack *net,
				  const struct weir__tcp_settings *settings);
uint32_t weir__tcp_initial_window(const struct weir__netstack *net,
				  const struct weir__tcp_settings *settings);
uint8_t weir__tcp_choose_wscale(const struct weir__netstack *net,
				const struct weir__tcp_settings *settings);

/* ---- tcp_ack.c, tcp_sack.c, tcp_recovery.c, tcp_rack.c, tcp_rtt.c ---------------------------- */

/* The effects of one ACK, for the later steps of its processing. */
struct weir__tcp_ack {
	uint32_t walked;		/* segments visited for its SACK blocks */
	uint32_t acked;			/* segments cumulatively acknowledged */
	uint32_t delivered;		/* segments newly acknowledged or SACKed */
	int64_t rtt_us;			/* -1: none */
	uint32_t rack_fack;		/* the connection's, before this ACK */
	bool reordered;			/* a segment arrived after one with higher numbers */
	bool advanced;			/* snd_una */
	bool duplicate;			/* a duplicate ACK (RFC 5681 section 2) */
	bool opened;			/* the peer's window was closed and is open now */
	bool reorder_timer;		/* the timer was set for reordering */
};

/* Processes the ACK field of an acceptable segment. False: the segment is dropped. */
bool weir__tcp_process_ack(struct weir__tcp *tcp, const struct weir__tcp_segment *segment);
static inline uint32_t weir__tcp_in_flight(const struct weir__tcp *tcp)
{
	return tcp->packets_out - tcp->sacked_out - tcp->lost_out;
}

/* Unlinks a segment from the list by time, or links it at the end of that list. */
void weir__tcp_unlink_time(struct weir__tcp *tcp, struct weir__frame *frame);
void weir__tcp_link_time(struct weir__tcp *tcp, struct weir__frame *frame);
/* Links a segment behind another one: both are halves of a segment that was sent as one. */
void weir__tcp_link_time_after(struct weir__tcp *tcp, struct weir__frame *frame,
			       struct weir__frame *half);
void weir__tcp_mark_lost(struct weir__tcp *tcp, struct weir__frame *frame);
/* Enters the SACK blocks of a segment into the scoreboard. */
void weir__tcp_mark_sacked(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			   struct weir__tcp_ack *ack);
/* Reneging (RFC 2018 section 8): the peer has dropped data that it had SACKed. */
void weir__tcp_forget_sacks(struct weir__tcp *tcp);

/* RACK (RFC 8985 section 6). rack_delivered: a segment was acknowledged or SACKed. */
void weir__tcp_rack_delivered(struct weir__tcp *tcp, const struct weir__tcp_sent *sent,
			      const struct weir__tcp_segment *segment, struct weir__tcp_ack *ack);
void weir__tcp_rack_tune(struct weir__tcp *tcp);
/* Marks lost segments. Returns after how many microseconds to call it again; 0: not needed. */
uint32_t weir__tcp_rack_detect(struct weir__tcp *tcp);
void weir__tcp_rack_timed_out(struct weir__tcp *tcp);
/* TLP (RFC 8985 section 7). */
bool weir__tcp_tlp_schedule(struct weir__tcp *tcp, bool advanced);
void weir__tcp_tlp_send(struct weir__tcp *tcp);
void weir__tcp_tlp_acked(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			 const struct weir__tcp_ack *ack);

/* The congestion state after an ACK, after RACK's reordering timeout, and after an RTO. */
void weir__tcp_recover(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
		       struct weir__tcp_ack *ack);
void weir__tcp_recover_reordered(struct weir__tcp *tcp);
void weir__tcp_recover_timeout(struct weir__tcp *tcp);
/* Segments exceed the new path MTU. They are retransmitted without a congestion response. */
void weir__tcp_recover_too_big(struct weir__tcp *tcp);
/* A congestion response without a segment to retransmit. */
void weir__tcp_reduce(struct weir__tcp *tcp);
/* Proportional rate reduction (RFC 6937). */
void weir__tcp_prr(struct weir__tcp *tcp, uint32_t delivered, bool safe);

void weir__tcp_rtt_sample(struct weir__tcp *tcp, uint32_t rtt_us);
/* Computes the RTO from the estimate, without back-off. */
void weir__tcp_rto_reset(struct weir__tcp *tcp);

/* ---- tcp_output.c --------------------------------------------------------------------------- */

/* Sends lost segments, then new ones, as the windows allow; then an ACK if one is still due. */
void weir__tcp_output(struct weir__tcp *tcp);
void weir__tcp_send_ack(struct weir__tcp *tcp);
void weir__tcp_send_syn(struct weir__tcp *tcp);
/* Sends an empty segment with an old sequence number, which the peer has to answer. */
void weir__tcp_send_probe(struct weir__tcp *tcp);
void weir__tcp_send_reset(struct weir__tcp *tcp);
/* Retransmits one segment. False without memory, or if it is beyond the peer's window. */
bool weir__tcp_retransmit(struct weir__tcp *tcp, struct weir__frame *frame);
/* Sends one new segment whatever the congestion window. False if none was sent. */
bool weir__tcp_send_one(struct weir__tcp *tcp);
/* A segment without data that is not made from a connection's queues. */
struct weir__tcp_reply {
	uint32_t seq, ack, window;
	uint8_t flags, tos;
	bool timestamps;
	uint32_t tsval, tsecr;
	const struct weir__tcp_syn_options *syn;
};
void weir__tcp_reply(struct weir__netstack *net, const struct weir__flow *flow,
		     const struct weir__tcp_reply *reply);
/* Answers a segment of no connection with a RST (RFC 9293 3.10.7.1). */
void weir__tcp_refuse(struct weir__netstack *net, const struct weir__tcp_segment *segment);
/* Computes the MSS from the path MTU, the peer's MSS and the settings. */
void weir__tcp_sync_mss(struct weir__tcp *tcp);
/* The payload of a full segment, without SACK blocks. */
uint32_t weir__tcp_payload(const struct weir__tcp *tcp);
uint16_t weir__tcp_advertised_mss(struct weir__netstack *net, const struct weir__flow *flow,
				  const struct weir__tcp_settings *settings);
uint32_t weir__tcp_clock(const struct weir__tcp *tcp);

/* ---- tcp_timer.c ---------------------------------------------------------------------------- */

void weir__tcp_timers_init(struct weir__tcp *tcp);
/* Takes the timers out of the wheel, before the connection is freed. */
void weir__tcp_timers_fini(struct weir__tcp *tcp);
void weir__tcp_timer_set(struct weir__tcp *tcp, enum weir_tcp_timer kind, uint64_t in_ns);
void weir__tcp_timer_stop(struct weir__tcp *tcp);
/* Sets the timer for the purpose that the connection's state calls for. */
void weir__tcp_rearm(struct weir__tcp *tcp);
/* The same, but if the purpose stays, the deadline does not become later. */
void weir__tcp_hasten(struct weir__tcp *tcp);
void weir__tcp_delay_ack(struct weir__tcp *tcp);
/* A retransmission or a probe is sent: records since when the peer has not answered. */
void weir__tcp_note_unanswered(struct weir__tcp *tcp);
/* The peer's window was closed and is open now. */
void weir__tcp_window_opened(struct weir__tcp *tcp);

/* ---- tcp_wait.c ----------------------------------------------------------------------------- */

int weir__tcp_waits_init(struct weir__netstack *net);
void weir__tcp_waits_fini(struct weir__netstack *net);
/* Puts the flow of a connection into TIME_WAIT. If no entry is free, the oldest one is evicted. */
void weir__tcp_wait_begin(struct weir__tcp *tcp);
/* Ends a wait early, because a new connection uses its flow. */
void weir__tcp_wait_end(struct weir__netstack *net, struct weir__tcp_wait *wait);
/* Returns true if the segment begins a new connection and a listener exists: then the wait has
 * ended, and *ret_isn is the initial sequence number to use. */
bool weir__tcp_wait_input(struct weir__netstack *net, struct weir__tcp_wait *wait,
			  const struct weir__tcp_segment *segment, bool has_listener,
			  uint32_t *ret_isn);
/* The initial sequence number of the next connection of this flow. */
uint32_t weir__tcp_wait_next_isn(const struct weir__tcp_wait *wait);
/* Whether a connect may reuse the flow (RFC 6191): timestamps tell old segments from new ones. */
bool weir__tcp_wait_reusable(const struct weir__netstack *net, const struct weir__tcp_wait *wait);

#endif
