/* SPDX-License-Identifier: MIT */
/* tcp_info.c: read access to a connection: its settings, its flow, and the fields of tcp_info. */
#include "stack/tcp_state.h"

#define KEEP_MS_MAX 32767000u	/* Linux's limit for these options */
#define KEEP_COUNT_MAX 127u
#define MSS_MIN 88u
#define MSS_MAX 32767u

bool weir__tcp_settings_valid(const struct weir__tcp_settings *set)
{
	return set->keep_idle_ms <= KEEP_MS_MAX && set->keep_interval_ms <= KEEP_MS_MAX &&
	       set->keep_count <= KEEP_COUNT_MAX &&
	       (set->mss == 0 || (set->mss >= MSS_MIN && set->mss <= MSS_MAX)) &&
	       set->user_timeout_ms <= INT32_MAX && set->send_bytes <= INT32_MAX / 2 &&
	       set->receive_bytes <= INT32_MAX / 2;
}

struct weir__tcp_settings weir__tcp_settings(const struct weir__tcp *tcp)
{
	return *weir__tcp_set(tcp);
}

int weir__tcp_error(const struct weir__tcp *tcp)
{
	return tcp->error;
}

const struct weir__flow *weir__tcp_flow(const struct weir__tcp *tcp)
{
	return &tcp->flow;
}

struct weir__netstack_source *weir__tcp_source(struct weir__tcp *tcp)
{
	return &tcp->source;
}

static void windows_info(const struct weir__tcp *tcp, struct weir__tcp_info *info)
{
	info->snd_wscale = tcp->snd_wscale;
	info->rcv_wscale = tcp->rcv_wscale;
	info->snd_wnd = tcp->snd_wnd;
	info->rcv_wnd = tcp->rcv_wnd;
	info->rcv_rtt_us = tcp->tune_rtt_us;
	info->rcv_space = tcp->tune_space;
	info->rcv_buffer = tcp->rcv_limit;
	info->snd_buffer = tcp->snd_limit;
	info->rcv_ranges = tcp->range_count;
}

static void loss_info(const struct weir__tcp *tcp, struct weir__tcp_info *info)
{
	info->ca_state = tcp->ca_state;
	info->retransmits = tcp->retransmits;
	info->probes = tcp->probes;
	info->backoff = tcp->backoff;
	info->snd_cwnd = tcp->cwnd;
	info->snd_ssthresh = tcp->ssthresh;
	info->unacked = tcp->packets_out;
	info->sacked = tcp->sacked_out;
	info->lost = tcp->lost_out;
	info->retrans = tcp->retrans_out;
	info->total_retrans = tcp->total_retrans;
	info->reord_seen = tcp->reord_seen;
	info->dsack_dups = tcp->dsack_dups;
}

static void count_info(const struct weir__tcp *tcp, struct weir__tcp_info *info)
{
	uint32_t now = weir__tcp_ms(tcp->net);

	info->notsent_bytes = tcp->write_seq - tcp->snd_nxt;
	info->bytes_acked = tcp->bytes_acked;
	info->bytes_received = tcp->bytes_received;
	info->last_data_sent_ms = now - tcp->sent_ms;
	info->last_data_recv_ms = now - tcp->received_ms;
	info->last_ack_recv_ms = now - tcp->acked_ms;
}

void weir__tcp_info(const struct weir__tcp *tcp, struct weir__tcp_info *ret_info)
{
	*ret_info = (struct weir__tcp_info){
		.state = tcp->state,
		.timestamps = tcp->timestamps,
		.sack = tcp->sack,
		.rto_us = tcp->rto_us,
		.ato_us = tcp->ato_ms * 1000u,
		.snd_mss = weir__tcp_payload(tcp),
		.rcv_mss = tcp->rcv_mss,
		.advmss = tcp->advmss,
		.pmtu = tcp->pmtu,
		.rtt_us = tcp->srtt / 8,
		.rttvar_us = tcp->rttvar / 4,
		.min_rtt_us = tcp->min_rtt_us,
		.congestion = weir__tcp_control(tcp)->name,
	};
	windows_info(tcp, ret_info);
	loss_info(tcp, ret_info);
	count_info(tcp, ret_info);
}

const uint16_t *weir__tcp_reached(const struct weir__netstack *net)
{
	return net->tcp->reached;
}
