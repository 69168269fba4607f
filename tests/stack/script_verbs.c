/* SPDX-License-Identifier: MIT */
/* script_verbs.c: see script_verbs.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/stack/script_verbs.h"
#include "tests/support/testing.h"

/* How long a line waits: at least, and at most. */
struct when {
	struct script_range after;
	bool given;
};

/* ---- names ---------------------------------------------------------------------------------- */

struct name {
	const char *name;
	int64_t value;
};

static const struct name errors[] = {
	{ "EADDRINUSE", -EADDRINUSE },
	{ "EADDRNOTAVAIL", -EADDRNOTAVAIL },
	{ "EAGAIN", -EAGAIN },
	{ "ECONNABORTED", -ECONNABORTED },
	{ "ECONNREFUSED", -ECONNREFUSED },
	{ "ECONNRESET", -ECONNRESET },
	{ "EHOSTUNREACH", -EHOSTUNREACH },
	{ "EINVAL", -EINVAL },
	{ "EMSGSIZE", -EMSGSIZE },
	{ "ENETUNREACH", -ENETUNREACH },
	{ "ENOBUFS", -ENOBUFS },
	{ "ENOMEM", -ENOMEM },
	{ "ENOPROTOOPT", -ENOPROTOOPT },
	{ "ENOTCONN", -ENOTCONN },
	{ "EPIPE", -EPIPE },
	{ "EPROTO", -EPROTO },
	{ "ETIMEDOUT", -ETIMEDOUT },
	{ NULL, 0 },
};

static const struct name states[] = {
	{ "CLOSED", WEIR_TCP_CLOSED },
	{ "SYN_SENT", WEIR_TCP_SYN_SENT },
	{ "SYN_RECEIVED", WEIR_TCP_SYN_RECEIVED },
	{ "ESTABLISHED", WEIR_TCP_ESTABLISHED },
	{ "FIN_WAIT_1", WEIR_TCP_FIN_WAIT_1 },
	{ "FIN_WAIT_2", WEIR_TCP_FIN_WAIT_2 },
	{ "CLOSING", WEIR_TCP_CLOSING },
	{ "TIME_WAIT", WEIR_TCP_TIME_WAIT },
	{ "CLOSE_WAIT", WEIR_TCP_CLOSE_WAIT },
	{ "LAST_ACK", WEIR_TCP_LAST_ACK },
	{ NULL, 0 },
};

static const struct name events[] = {
	{ "CONNECTED", WEIR_NETSTACK_CONNECTED },
	{ "READABLE", WEIR_NETSTACK_READABLE },
	{ "WRITABLE", WEIR_NETSTACK_WRITABLE },
	{ "FAILED", WEIR_NETSTACK_FAILED },
	{ "ACCEPTABLE", WEIR_NETSTACK_ACCEPTABLE },
	{ "CLOSED", WEIR_NETSTACK_CLOSED },
	{ NULL, 0 },
};

static const char *name_of(const struct name *names, int64_t value, char number[24])
{
	for (; names->name != NULL; names++)
		if (names->value == value)
			return names->name;
	snprintf(number, 24, "%lld", (long long)value);
	return number;
}

/* The value of a name. Fails with the list of names if the word is none of them. */
static int64_t value_of(const struct name *names, const char *word, const char *what)
{
	char list[512] = "";
	size_t len = 0;

	for (const struct name *at = names; at->name != NULL; at++) {
		if (strcmp(at->name, word) == 0)
			return at->value;
		len += (size_t)snprintf(list + len, sizeof(list) - len, " %s", at->name);
	}
	script_wrong("\"%s\" is no %s; there are%s", word, what, list);
}

/* ---- results -------------------------------------------------------------------------------- */

/* Parses "-> RESULT" at the end of a call. Without it, the usual result is expected. */
static struct script_range parse_result(int64_t usual)
{
	struct script_range range = script_one(usual);
	const char *word;

	if (!script_take("->"))
		return range;
	word = script_need("a result");
	if (strcmp(word, "ok") == 0)
		return script_one(0);
	if (!script_parse_range(word, script_parse_number, &range))
		range = script_one(value_of(errors, word, "number or error"));
	return range;
}

static void check_result(struct script_range expected, int rc, const char *call)
{
	char number[24], text[64];

	script_trace(script_now_ns(), "%s returned %s", call, name_of(errors, rc, number));
	if (script_has(expected, rc))
		return;
	script_print_range(expected, false, text, sizeof(text));
	script_fail("%s returned %s, expected was %s", call, name_of(errors, rc, number),
		    expected.low == expected.high ? name_of(errors, expected.low, text) : text);
}

/* ---- the instance --------------------------------------------------------------------------- */

static void config(void)
{
	struct weir__netstack_config *cfg = &script_host.cfg;
	const char *word;

	if (script_host.running)
		script_wrong("config comes before everything else");
	while ((word = script_word()) != NULL) {
		int64_t value = script_need_number("a number");

		if (strcmp(word, "mtu") == 0)
			cfg->mtu = (uint16_t)value;
		else if (strcmp(word, "memory") == 0)
			cfg->memory_bytes = (uint64_t)value;
		else if (strcmp(word, "connections") == 0)
			cfg->tcp_connections = (unsigned)value;
		else if (strcmp(word, "time_waits") == 0)
			cfg->tcp_time_waits = (unsigned)value;
		else if (strcmp(word, "orphans") == 0)
			cfg->tcp_orphans = (unsigned)value;
		else if (strcmp(word, "send_bytes") == 0)
			cfg->tcp_send_bytes = (uint32_t)value;
		else if (strcmp(word, "receive_bytes") == 0)
			cfg->tcp_receive_bytes = (uint32_t)value;
		else if (strcmp(word, "offload") == 0 && value == 0)
			cfg->offloads = 0;
		else
			script_wrong("\"%s\" is nothing to configure; there are mtu, memory, "
				     "connections, time_waits, orphans, send_bytes, "
				     "receive_bytes and offload 0",
				     word);
	}
}

static bool parse_switch(void)
{
	if (script_take("on"))
		return true;
	if (!script_take("off"))
		script_wrong("on or off is needed here");
	return false;
}

static uint32_t parse_ms(void)
{
	return (uint32_t)(script_need_time("a time") / SCRIPT_MS);
}

/* Parses one setting. False: the word is none. */
static bool parse_setting(struct weir__tcp_settings *set, const char *word)
{
	if (strcmp(word, "nodelay") == 0)
		set->nodelay = parse_switch();
	else if (strcmp(word, "cork") == 0)
		set->cork = parse_switch();
	else if (strcmp(word, "keepalive") == 0)
		set->keepalive = parse_switch();
	else if (strcmp(word, "linger_zero") == 0)
		set->linger_zero = parse_switch();
	else if (strcmp(word, "mss") == 0)
		set->mss = (uint16_t)script_need_number("an MSS");
	else if (strcmp(word, "keep_idle") == 0)
		set->keep_idle_ms = parse_ms();
	else if (strcmp(word, "keep_interval") == 0)
		set->keep_interval_ms = parse_ms();
	else if (strcmp(word, "keep_count") == 0)
		set->keep_count = (uint32_t)script_need_number("a count");
	else if (strcmp(word, "user_timeout") == 0)
		set->user_timeout_ms = parse_ms();
	else if (strcmp(word, "send_bytes") == 0)
		set->send_bytes = (uint32_t)script_need_number("bytes");
	else if (strcmp(word, "receive_bytes") == 0)
		set->receive_bytes = (uint32_t)script_need_number("bytes");
	else if (strcmp(word, "reno") == 0)
		set->congestion = &weir__tcp_reno;
	else if (strcmp(word, "cubic") == 0)
		set->congestion = &weir__tcp_cubic;
	else
		return false;
	return true;
}

static void need_setting(struct weir__tcp_settings *set, const char *word)
{
	if (!parse_setting(set, word))
		script_wrong("\"%s\" is not understood; settings are nodelay, cork, keepalive and "
			     "linger_zero (on or off), mss N, keep_idle T, keep_interval T, "
			     "keep_count N, user_timeout T, send_bytes N, receive_bytes N, reno "
			     "and cubic",
			     word);
}

static bool at_result(void)
{
	return script_line.next == script_line.count ||
	       strcmp(script_line.words[script_line.next], "->") == 0;
}

static void listen(void)
{
	struct weir__endpoint local = { .port = script_host.flow->local_port };
	struct weir__tcp_settings settings = { 0 };
	struct script_range expected;
	unsigned backlog = 8;
	int rc;

	while (!at_result()) {
		if (script_take("backlog"))
			backlog = (unsigned)script_need_number("a number of connections");
		else
			need_setting(&settings, script_word());
	}
	expected = parse_result(0);
	script_begin();
	rc = weir__tcp_listen(script_host.net, &local, backlog, &settings,
			      &script_host.listener_user, &script_host.listener);
	script_finish();
	check_result(expected, rc, "listen");
}

/* ---- calls ---------------------------------------------------------------------------------- */

static struct weir__tcp *need_tcp(void)
{
	if (script_host.flow->tcp == NULL)
		script_wrong("this flow has no connection: connect or accept comes first, and "
			     "close and abort are the last calls");
	return script_host.flow->tcp;
}

static void accept(void)
{
	struct script_range expected = parse_result(0);
	struct weir__netstack_user *flow = script_host.flow;
	struct weir__tcp *tcp = NULL;
	int rc;

	if (script_host.listener == NULL)
		script_wrong("nobody listens");
	script_begin();
	rc = weir__tcp_accept(script_host.listener, flow, &tcp);
	script_finish();
	check_result(expected, rc, "accept");
	if (rc < 0)
		return;
	if (weir__tcp_flow(tcp)->remote_port != flow->peer_port)
		script_fail("accept returned flow %u",
			    weir__tcp_flow(tcp)->remote_port - script_host.flows[0].peer_port);
	flow->tcp = tcp;
}

static void connect(void)
{
	struct weir__endpoint to = { weir__ip_v4(PEER_IP), script_host.flow->peer_port };
	struct weir__netstack_user *flow = script_host.flow;
	struct weir__tcp_settings settings = { 0 };
	struct weir__endpoint local = { .port = 0 };
	struct script_range expected;
	int rc;

	while (!at_result()) {
		if (script_take("from"))
			local.port = (uint16_t)script_need_number("a port");
		else
			need_setting(&settings, script_word());
	}
	expected = parse_result(0);
	script_begin();
	rc = weir__tcp_connect(script_host.net, &local, &to, &settings, flow, &flow->tcp);
	if (rc == 0)
		flow->local_port = weir__tcp_flow(flow->tcp)->local_port;
	script_finish();
	check_result(expected, rc, "connect");
}

static int send_lent(struct weir__tcp *tcp, const unsigned char *bytes, uint32_t len,
		     unsigned flags)
{
	struct weir__frame *frame =
		rig_frame(&script_host.net->frames, bytes, len, len > 1700 ? 1000 : 0);
	int rc = weir__tcp_send(tcp, frame, flags);

	if (rc < 0)
		weir__frame_free(&script_host.net->frames, frame);
	return rc;
}

static void send(void)
{
	static unsigned char bytes[1u << 20];
	uint32_t len = (uint32_t)script_need_number("how many bytes");
	bool lent = script_take("lent");
	unsigned flags = script_take("more") ? WEIR_TCP_MORE : 0;
	struct script_range expected = parse_result(len);
	struct weir__tcp *tcp = need_tcp();
	int rc;

	if (len > sizeof(bytes))
		script_wrong("a send has at most %zu bytes", sizeof(bytes));
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = script_byte(false, script_host.flow->written + i);
	script_begin();
	rc = lent ? send_lent(tcp, bytes, len, flags)
		  : weir__tcp_send_copy(tcp, bytes, len, flags);
	script_finish();
	if (rc > 0)
		script_host.flow->written += (uint32_t)rc;
	check_result(expected, rc, "send");
}

static int receive_lent(struct weir__tcp *tcp, unsigned char *bytes, uint32_t len)
{
	struct weir__frame *lent;
	int rc = weir__tcp_receive(tcp, len, &lent);

	if (rc > 0) {
		weir__frame_copy_out(lent, 0, bytes, len);
		weir__netstack_give_back(script_host.net, lent);
	}
	return rc;
}

static void check_stream(const unsigned char *bytes, uint32_t len, int64_t fill)
{
	uint32_t from = script_host.flow->read;

	for (uint32_t i = 0; i < len; i++) {
		unsigned right = fill >= 0 ? (unsigned)fill : script_byte(true, from + i);

		if (bytes[i] != right)
			script_fail("byte %u of the stream was received as %u, and should be %u",
				    from + i, bytes[i], right);
	}
}

static void recv(void)
{
	static unsigned char bytes[1u << 20];
	uint32_t len = (uint32_t)script_need_number("how many bytes");
	bool lent = script_take("lent");
	int64_t fill = script_take("fill") ? script_need_number("a byte") & 255 : -1;
	struct script_range expected = parse_result(len);
	struct weir__tcp *tcp = need_tcp();
	int rc;

	if (len > sizeof(bytes))
		script_wrong("a recv has at most %zu bytes", sizeof(bytes));
	script_begin();
	rc = lent ? receive_lent(tcp, bytes, len) : weir__tcp_receive_copy(tcp, bytes, len);
	script_finish();
	check_result(expected, rc, "recv");
	if (rc > 0) {
		check_stream(bytes, (uint32_t)rc, fill);
		script_host.flow->read += (uint32_t)rc;
	}
}

static void set(void)
{
	struct weir__tcp *tcp = need_tcp();
	struct weir__tcp_settings settings = weir__tcp_settings(tcp);
	struct script_range expected;
	int rc;

	while (!at_result())
		need_setting(&settings, script_word());
	expected = parse_result(0);
	script_begin();
	rc = weir__tcp_apply(tcp, &settings);
	script_finish();
	check_result(expected, rc, "set");
}

static void shutdown(void)
{
	static const struct name sides[] = {
		{ "read", WEIR_TCP_READ },
		{ "write", WEIR_TCP_WRITE },
		{ "both", WEIR_TCP_READ | WEIR_TCP_WRITE },
		{ NULL, 0 },
	};
	int64_t side = value_of(sides, script_need("read, write or both"), "side");
	struct script_range expected = parse_result(0);
	struct weir__tcp *tcp = need_tcp();
	int rc;

	script_begin();
	rc = weir__tcp_shutdown(tcp, (unsigned)side);
	script_finish();
	check_result(expected, rc, "shutdown");
}

static void close(void)
{
	struct weir__tcp *tcp = need_tcp();

	script_begin();
	weir__tcp_close(tcp);
	script_host.flow->tcp = NULL;
	script_trace(script_now_ns(), "close");
	script_finish();
}

static void abort_connection(void)
{
	struct weir__tcp *tcp = need_tcp();

	script_begin();
	weir__tcp_abort(tcp);
	script_host.flow->tcp = NULL;
	script_trace(script_now_ns(), "abort");
	script_finish();
}

static void unlisten(void)
{
	if (script_host.listener == NULL)
		script_wrong("nobody listens");
	script_begin();
	weir__tcp_listener_close(script_host.listener);
	script_host.listener = NULL;
	script_finish();
}

/* ---- segments ------------------------------------------------------------------------------- */

static void in(void)
{
	struct script_segment segment;
	char text[SCRIPT_TEXT];

	script_parse_segment(&segment, true);
	script_send(&segment);
	script_trace(script_now_ns(), "in  %s", script_print_segment(&segment, text));
}

static void icmp(void)
{
	static const struct name kinds[] = {
		{ "net", 0x0300 },	{ "host", 0x0301 },	    { "protocol", 0x0302 },
		{ "port", 0x0303 },	{ "toobig", 0x0304 },	    { "source_route", 0x0305 },
		{ "filtered", 0x030d }, { "quench", 0x0400 },	    { "ttl", 0x0b00 },
		{ "reassembly", 0x0b01 }, { "parameter", 0x0c00 }, { NULL, 0 },
	};
	int64_t kind = value_of(kinds, script_need("the kind of an ICMP error"), "ICMP error");
	uint32_t mtu = 0, quoted = 8, seq;
	const char *word;

	if (kind == 0x0304)
		mtu = (uint32_t)script_need_number("an MTU");
	if (!script_take("quoting"))
		script_wrong("an ICMP error needs \"quoting SEQ\", a sequence number of the "
			     "instance's");
	seq = (uint32_t)script_need_number("a sequence number");
	while ((word = script_word()) != NULL) {
		if (strcmp(word, "bytes") != 0)
			script_wrong("\"%s\" is not understood; \"bytes N\" quotes so many bytes",
				     word);
		quoted = (uint32_t)script_need_number("how many bytes of the segment are quoted");
	}
	if (quoted > 20)
		script_wrong("at most 20 bytes of a segment can be quoted");
	script_trace(script_now_ns(), "in  ICMP type %u code %u quoting %u",
		     (unsigned)(kind >> 8), (unsigned)(kind & 255), seq);
	script_send_icmp((uint8_t)(kind >> 8), (uint8_t)kind, mtu, seq, quoted);
}

static void check_time(struct script_range after, uint64_t from_ns)
{
	int64_t came = (int64_t)(script_now_ns() - from_ns);
	char expected[64], text[64];

	/* The stack's timers have ticks of 1 ms. */
	if (came >= after.low && came < after.high + SCRIPT_MS)
		return;
	script_print_range(after, true, expected, sizeof(expected));
	script_print_range(script_one(came), true, text, sizeof(text));
	script_fail("the segment came after %s, expected was %s", text, expected);
}

static void out(struct when when)
{
	uint64_t from_ns = script_now_ns();
	struct script_segment expected, came;
	char one[SCRIPT_TEXT], other[SCRIPT_TEXT];
	const char *difference;

	script_parse_segment(&expected, false);
	if (when.given && when.after.high == INT64_MAX)
		script_wrong("a segment needs a time until which it has come, such as "
			     "+20ms..30ms");
	if (!script_wait_out(when.given ? when.after.high + SCRIPT_MS - 1 : 0) ||
	    !script_receive(&came))
		script_fail("no segment came out:\n  expected  %s",
			    script_print_segment(&expected, one));
	difference = script_difference(&expected, &came);
	if (difference != NULL)
		script_fail("%s:\n  expected  %s\n  came      %s", difference,
			    script_print_segment(&expected, one),
			    script_print_segment(&came, other));
	check_time(when.after, from_ns);
}

static void skip(struct when when)
{
	struct script_segment segment;
	int64_t left = when.after.low;
	uint64_t from_ns;

	do {
		from_ns = script_now_ns();
		script_wait_out(left);
		left -= (int64_t)(script_now_ns() - from_ns);
		while (script_receive(&segment))
			continue;
	} while (left > 0);
}

static void flow(void)
{
	int64_t number;

	if (script_take("next"))
		number = script_host.flow - script_host.flows + 1;
	else
		number = script_need_number("the number of a flow, or next");
	if (number < 0 || number >= SCRIPT_FLOWS)
		script_wrong("flows have numbers from 0 to %u", SCRIPT_FLOWS - 1);
	script_host.flow = &script_host.flows[number];
}

static void window(void)
{
	script_host.flow->window = (uint32_t)script_need_number("the peer's window in bytes");
}

static void port(void)
{
	script_host.flow->local_port = (uint16_t)script_need_number("a port of the instance's");
}

/* The flow is reused: numbers are relative to the last SYN of each side. */
static void rebase(void)
{
	struct weir__netstack_user *flow = script_host.flow;

	flow->iss = flow->syn;
	flow->peer_iss = flow->peer_syn;
	flow->written = 0;
	flow->read = 0;
}

/* ---- what is expected ----------------------------------------------------------------------- */

static void state(void)
{
	int64_t expected = value_of(states, script_need("a state"), "state");
	enum weir_tcp_state is;
	char number[24], other[24];

	script_host_run();
	is = script_state();
	if (is != (enum weir_tcp_state)expected)
		script_fail("the state is %s, expected was %s", name_of(states, is, number),
			    name_of(states, expected, other));
}

static void error(void)
{
	const char *word = script_need("an error, or none");
	int64_t expected = strcmp(word, "none") == 0 ? 0 : value_of(errors, word, "error");
	int is = weir__tcp_error(need_tcp());
	char number[24], other[24];

	if (is != expected)
		script_fail("the connection's error is %s, expected was %s",
			    is == 0 ? "none" : name_of(errors, is, number),
			    expected == 0 ? "none" : name_of(errors, expected, other));
}

static void print_events(unsigned set, char *to, size_t cap)
{
	size_t len = (size_t)snprintf(to, cap, "%s", set == 0 ? "none" : "");

	for (const struct name *at = events; at->name != NULL; at++)
		if (set & (unsigned)at->value)
			len += (size_t)snprintf(to + len, cap - len, "%s%s", len > 0 ? " " : "",
						at->name);
}

/* Compares the events since the last such line. */
static void expect_events(void)
{
	unsigned expected = 0, *is = &script_host.flow->events;
	char one[128], other[128];
	const char *word;

	if (script_take("listener"))
		is = &script_host.listener_user.events;
	if (!script_take("none"))
		while ((word = script_word()) != NULL)
			expected |= (unsigned)value_of(events, word, "event");
	if (*is != expected) {
		print_events(*is, one, sizeof(one));
		print_events(expected, other, sizeof(other));
		script_fail("there were the events %s, expected was %s", one, other);
	}
	*is = 0;
}

/* Returns the names of tcp_info (Linux's) as a table; times are in ns. */
static bool info_value(const struct weir__tcp_info *info, const char *word, int64_t *ret_value,
		       bool *ret_is_time)
{
	const struct {
		const char *name;
		int64_t value;
		bool is_time;
	} table[] = {
		{ "ca_state", info->ca_state, false },
		{ "retransmits", info->retransmits, false },
		{ "probes", info->probes, false },
		{ "backoff", info->backoff, false },
		{ "timestamps", info->timestamps, false },
		{ "sack", info->sack, false },
		{ "snd_wscale", info->snd_wscale, false },
		{ "rcv_wscale", info->rcv_wscale, false },
		{ "rto", info->rto_us * 1000ll, true },
		{ "ato", info->ato_us * 1000ll, true },
		{ "snd_mss", info->snd_mss, false },
		{ "rcv_mss", info->rcv_mss, false },
		{ "advmss", info->advmss, false },
		{ "pmtu", info->pmtu, false },
		{ "rtt", info->rtt_us * 1000ll, true },
		{ "rttvar", info->rttvar_us * 1000ll, true },
		{ "min_rtt", info->min_rtt_us * 1000ll, true },
		{ "cwnd", info->snd_cwnd, false },
		{ "ssthresh", info->snd_ssthresh, false },
		{ "unacked", info->unacked, false },
		{ "sacked", info->sacked, false },
		{ "lost", info->lost, false },
		{ "retrans", info->retrans, false },
		{ "total_retrans", info->total_retrans, false },
		{ "reord_seen", info->reord_seen, false },
		{ "dsack_dups", info->dsack_dups, false },
		{ "rcv_rtt", info->rcv_rtt_us * 1000ll, true },
		{ "rcv_space", info->rcv_space, false },
		{ "rcv_buffer", info->rcv_buffer, false },
		{ "snd_buffer", info->snd_buffer, false },
		{ "rcv_ranges", info->rcv_ranges, false },
		{ "snd_wnd", info->snd_wnd, false },
		{ "rcv_wnd", info->rcv_wnd, false },
		{ "notsent_bytes", info->notsent_bytes, false },
		{ "bytes_acked", (int64_t)info->bytes_acked, false },
		{ "bytes_received", (int64_t)info->bytes_received, false },
		{ "last_data_sent", info->last_data_sent_ms * SCRIPT_MS, true },
		{ "last_data_recv", info->last_data_recv_ms * SCRIPT_MS, true },
		{ "last_ack_recv", info->last_ack_recv_ms * SCRIPT_MS, true },
	};

	for (unsigned i = 0; i < TESTING_COUNT(table); i++) {
		if (strcmp(table[i].name, word) != 0)
			continue;
		*ret_value = table[i].value;
		*ret_is_time = table[i].is_time;
		return true;
	}
	return false;
}

static void check_value(const char *name, int64_t is, bool is_time)
{
	struct script_range expected = script_need_range(
		"a value", is_time ? script_parse_time : script_parse_number);
	char one[64], other[64];

	if (script_has(expected, is))
		return;
	script_print_range(script_one(is), is_time, one, sizeof(one));
	script_print_range(expected, is_time, other, sizeof(other));
	script_fail("%s is %s, expected was %s", name, one, other);
}

static void info(void)
{
	const struct weir__tcp *tcp;
	struct weir__tcp_info info;
	const char *word;
	int64_t value;
	bool is_time;

	script_host_run();
	tcp = script_connection();
	if (tcp == NULL)
		script_fail("this flow has no connection");
	weir__tcp_info(tcp, &info);
	while ((word = script_word()) != NULL) {
		if (!info_value(&info, word, &value, &is_time))
			script_wrong("\"%s\" is no field of tcp_info; README.md has the list",
				     word);
		check_value(word, value, is_time);
	}
}

/* Counters of the instance, since the script began, by Linux's names. */
static void expect_counts(void)
{
	const uint64_t *now, *before = (const uint64_t *)&script_host.before;
	const char *word;

	script_host_run();
	now = (const uint64_t *)weir__netstack_counters(script_host.net);
	while ((word = script_word()) != NULL) {
		unsigned i = 0;

		while (weir__netstack_counter_names[i] != NULL &&
		       strcmp(weir__netstack_counter_names[i], word) != 0)
			i++;
		if (weir__netstack_counter_names[i] == NULL)
			script_wrong("\"%s\" is no counter; stack/counters.h has the list", word);
		check_value(word, (int64_t)(now[i] - before[i]), false);
	}
}

/* Compares numbers of the instance. */
static void expect_instance(void)
{
	const struct weir__tcp_layer *layer;
	const char *word;

	script_host_run();
	layer = script_host.net->tcp;
	while ((word = script_word()) != NULL) {
		if (strcmp(word, "connections") == 0)
			check_value(word, layer->connections, false);
		else if (strcmp(word, "requests") == 0)
			check_value(word, layer->requests, false);
		else if (strcmp(word, "orphans") == 0)
			check_value(word, layer->orphans, false);
		else if (strcmp(word, "time_waits") == 0)
			check_value(word, layer->waiting, false);
		else
			script_wrong("\"%s\" is nothing that an instance has; there are "
				     "connections, requests, orphans and time_waits",
				     word);
	}
}

static void expect_room(void)
{
	const char *word;

	while ((word = script_word()) != NULL) {
		if (strcmp(word, "readable") == 0)
			check_value(word, weir__tcp_readable(need_tcp()), false);
		else if (strcmp(word, "writable") == 0)
			check_value(word, weir__tcp_writable(need_tcp()), false);
		else
			script_wrong("\"%s\" is not understood; there are readable and writable",
				     word);
	}
}

static void nothing(void)
{
}

/* ---- verbs ---------------------------------------------------------------------------------- */

static const struct verb {
	const char *name;
	void (*run)(void);
	bool looks;	/* it only reads: transmitted frames may wait meanwhile */
} verbs[] = {
	{ "config", config, false },
	{ "listen", listen, false },
	{ "unlisten", unlisten, false },
	{ "accept", accept, false },
	{ "connect", connect, false },
	{ "send", send, false },
	{ "recv", recv, false },
	{ "set", set, false },
	{ "shutdown", shutdown, false },
	{ "close", close, false },
	{ "abort", abort_connection, false },
	{ "in", in, false },
	{ "icmp", icmp, false },
	{ "nothing", nothing, false },
	{ "flow", flow, true },
	{ "window", window, true },
	{ "port", port, true },
	{ "rebase", rebase, true },
	{ "state", state, true },
	{ "error", error, true },
	{ "events", expect_events, true },
	{ "info", info, true },
	{ "count", expect_counts, true },
	{ "instance", expect_instance, true },
	{ "stream", expect_room, true },
};

/* "+TIME" or "+TIME..TIME" in front of a verb. */
static struct when parse_when(void)
{
	struct when when = { script_one(0), false };
	const char *word = script_line.words[script_line.next];

	if (word[0] != '+')
		return when;
	script_line.next++;
	when.given = true;
	if (!script_parse_range(word + 1, script_parse_time, &when.after) || when.after.low < 0)
		script_wrong("\"%s\" is no time; it is one such as +20ms, +3s or +20ms..30ms",
			     word);
	if (script_host.in_turn)
		script_wrong("no time passes in a turn");
	return when;
}

static const struct verb *find_verb(const char *word)
{
	for (unsigned i = 0; i < TESTING_COUNT(verbs); i++)
		if (strcmp(verbs[i].name, word) == 0)
			return &verbs[i];
	script_wrong("\"%s\" is no verb; README.md has the list", word);
}

void script_run_verb(void)
{
	struct when when = parse_when();
	const struct verb *verb;

	if (script_take("out")) {
		out(when);
		return;
	}
	if (script_take("skip")) {
		skip(when);
		return;
	}
	verb = find_verb(script_need("a verb"));
	if (when.after.low != when.after.high)
		script_wrong("only out may come within a range of time");
	if (when.given)
		script_wait(when.after.low);
	else if (!verb->looks)
		script_expect_nothing();
	verb->run();
}

void script_turn_begin(void)
{
	script_expect_nothing();
	script_begin();
	script_host.in_turn = true;
}

void script_turn_end(void)
{
	if (!script_host.in_turn)
		script_wrong("no turn has begun");
	script_host.in_turn = false;
	script_finish();
}
