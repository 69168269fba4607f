/* SPDX-License-Identifier: MIT */
/*
 * counters.h: the counters of an instance. They have Linux's SNMP names (/proc/net/snmp and
 * /proc/net/netstat) where Linux has the counter, and similar names otherwise. Every dropped frame
 * is counted once, by reason.
 *
 * One list defines the struct and the table of names.
 */
#ifndef WEIR_STACK_COUNTERS_H
#define WEIR_STACK_COUNTERS_H

#include "stack/base.h"

/* X(member, name) */
#define WEIR_NETSTACK_COUNTERS(X) \
	/* the link layer */ \
	X(link_in, "LinkInFrames") \
	X(link_out, "LinkOutFrames") \
	X(link_in_short, "LinkInShort") \
	X(link_in_other_host, "LinkInOtherHost") \
	X(link_in_unknown_type, "LinkInUnknownType") \
	/* ARP */ \
	X(arp_in_errors, "ArpInErrors") \
	X(arp_in_unsolicited, "ArpInUnsolicited") \
	X(arp_in_conflicts, "ArpInConflicts") \
	X(arp_out_requests, "ArpOutRequests") \
	X(arp_out_replies, "ArpOutReplies") \
	X(arp_failed, "ArpFailed") \
	X(arp_queue_drops, "ArpQueueDrops") \
	X(arp_table_full, "ArpTableFull") \
	/* IP */ \
	X(ip_in_receives, "IpInReceives") \
	X(ip_in_truncated, "IpExtInTruncatedPkts") \
	X(ip_in_header_errors, "IpInHdrErrors") \
	X(ip_in_checksum_errors, "IpExtInCsumErrors") \
	X(ip_in_address_errors, "IpInAddrErrors") \
	X(ip_in_martians, "IpInMartians") \
	X(ip_in_source_routed, "IpInSourceRouted") \
	X(ip_in_unknown_protocols, "IpInUnknownProtos") \
	X(ip_in_delivers, "IpInDelivers") \
	X(ip_out_requests, "IpOutRequests") \
	X(ip_out_no_routes, "IpOutNoRoutes") \
	X(ip_out_discards, "IpOutDiscards") \
	X(ip_reassembly_timeouts, "IpReasmTimeout") \
	X(ip_reassembly_required, "IpReasmReqds") \
	X(ip_reassembly_oks, "IpReasmOKs") \
	X(ip_reassembly_fails, "IpReasmFails") \
	X(ip_reassembly_overlaps, "IpReasmOverlaps") \
	X(ip_fragment_oks, "IpFragOKs") \
	X(ip_fragment_fails, "IpFragFails") \
	X(ip_fragment_creates, "IpFragCreates") \
	X(ip_path_mtu_lowered, "IpPathMtuLowered") \
	/* ICMP */ \
	X(icmp_in_messages, "IcmpInMsgs") \
	X(icmp_in_errors, "IcmpInErrors") \
	X(icmp_in_checksum_errors, "IcmpInCsumErrors") \
	X(icmp_in_unreachables, "IcmpInDestUnreachs") \
	X(icmp_in_time_exceeds, "IcmpInTimeExcds") \
	X(icmp_in_parameter_problems, "IcmpInParmProbs") \
	X(icmp_in_echos, "IcmpInEchos") \
	X(icmp_in_unbelieved, "IcmpInUnbelieved") \
	X(icmp_out_messages, "IcmpOutMsgs") \
	X(icmp_out_unreachables, "IcmpOutDestUnreachs") \
	X(icmp_out_echo_replies, "IcmpOutEchoReps") \
	X(icmp_out_rate_limited, "IcmpOutRateLimitGlobal") \
	/* UDP */ \
	X(udp_in_datagrams, "UdpInDatagrams") \
	X(udp_no_ports, "UdpNoPorts") \
	X(udp_in_errors, "UdpInErrors") \
	X(udp_in_checksum_errors, "UdpInCsumErrors") \
	X(udp_receive_buffer_errors, "UdpRcvbufErrors") \
	X(udp_memory_errors, "UdpMemErrors") \
	X(udp_out_datagrams, "UdpOutDatagrams") \
	/* TCP: the list grows with tcp*.c */ \
	X(tcp_in_segments, "TcpInSegs") \
	X(tcp_in_errors, "TcpInErrs") \
	X(tcp_in_checksum_errors, "TcpInCsumErrors") \
	X(tcp_out_segments, "TcpOutSegs") \
	X(tcp_out_resets, "TcpOutRsts") \
	X(tcp_retransmitted_segments, "TcpRetransSegs") \
	X(tcp_active_opens, "TcpActiveOpens") \
	X(tcp_passive_opens, "TcpPassiveOpens") \
	X(tcp_attempt_fails, "TcpAttemptFails") \
	X(tcp_established_resets, "TcpEstabResets") \
	X(tcp_resets_received, "TcpResetsReceived") \
	X(tcp_timed_out, "TcpExtTCPAbortOnTimeout") \
	X(tcp_aborted_on_data, "TcpExtTCPAbortOnData") \
	X(tcp_listen_overflows, "TcpExtListenOverflows") \
	X(tcp_listen_drops, "TcpExtListenDrops") \
	X(tcp_cookies_sent, "TcpExtSyncookiesSent") \
	X(tcp_cookies_received, "TcpExtSyncookiesRecv") \
	X(tcp_cookies_failed, "TcpExtSyncookiesFailed") \
	X(tcp_time_wait_reused, "TcpExtTWRecycled") \
	X(tcp_time_wait_overflows, "TcpExtTCPTimeWaitOverflow") \
	X(tcp_paws_rejected, "TcpExtPAWSEstab") \
	X(tcp_challenge_acks, "TcpExtTCPChallengeACK") \
	X(tcp_acks_skipped, "TcpExtTCPACKSkipped") \
	X(tcp_delayed_acks, "TcpExtDelayedACKs") \
	X(tcp_out_of_order, "TcpExtTCPOFOQueue") \
	X(tcp_receive_drops, "TcpExtTCPRcvQDrop") \
	X(tcp_dsacks_old_sent, "TcpExtTCPDSACKOldSent") \
	X(tcp_dsacks_ofo_sent, "TcpExtTCPDSACKOfoSent") \
	X(tcp_dsacks_received, "TcpExtTCPDSACKRecv") \
	X(tcp_dsacks_ofo_received, "TcpExtTCPDSACKOfoRecv") \
	X(tcp_sack_discards, "TcpExtTCPSACKDiscard") \
	X(tcp_sack_recoveries, "TcpExtTCPSackRecovery") \
	X(tcp_reno_recoveries, "TcpExtTCPRenoRecovery") \
	X(tcp_timeouts, "TcpExtTCPTimeouts") \
	X(tcp_undone, "TcpExtTCPFullUndo") \
	X(tcp_loss_probes, "TcpExtTCPLossProbes") \
	X(tcp_loss_probe_recoveries, "TcpExtTCPLossProbeRecovery") \
	X(tcp_window_probes, "TcpExtTCPWinProbe") \
	X(tcp_keepalives, "TcpExtTCPKeepAlive") \
	/* the instance */ \
	X(memory_refused, "MemoryRefused") \
	X(frames_refused, "FramesRefused")

struct weir__netstack_counters {
#define WEIR_NETSTACK_COUNTER(member, name) uint64_t member;
	WEIR_NETSTACK_COUNTERS(WEIR_NETSTACK_COUNTER)
#undef WEIR_NETSTACK_COUNTER
};

/* The names, in the order of the struct, which is an array of uint64_t. NULL behind the last. */
extern const char *const weir__netstack_counter_names[];

#endif
