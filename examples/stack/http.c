/* SPDX-License-Identifier: MIT */
/*
 * http.c: see http.h. No call of the stack waits: a call that cannot proceed returns -EAGAIN, and
 * an event tells when to try again. So each connection has a struct with its state, and http_event
 * does all that is possible without waiting.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "http.h"
#include "stack/tcp.h"

/* A connection. The stack returns the pointer to it with each event. */
struct weir__netstack_user {
	struct http *http;
	struct weir__netstack_user *next, **pprev;	/* in the list of all connections */
	struct weir__tcp *tcp;
	char head[2048];		/* the received part of the request's head */
	uint32_t head_len;
	bool uploading;
	uint64_t upload;		/* bytes of the request's body still to receive */
	uint32_t sum_a, sum_b;		/* of the body: Adler-32 (RFC 1950) */
	char answer[8192];
	uint32_t answer_len, answer_sent;
	uint64_t bulk;			/* bytes of the response's body still to send */
	uint32_t bulk_at;
	bool last;			/* the connection is closed after the response */
};

static void client_link(struct weir__netstack_user *client, struct http *http)
{
	client->http = http;
	client->next = http->clients;
	client->pprev = &http->clients;
	if (client->next != NULL)
		client->next->pprev = &client->next;
	http->clients = client;
}

static void client_free(struct weir__netstack_user *client)
{
	*client->pprev = client->next;
	if (client->next != NULL)
		client->next->pprev = client->pprev;
	free(client);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void answer(struct weir__netstack_user *client, const char *status, const char *body,
		   uint64_t bulk)
{
	client->answer_sent = 0;
	client->answer_len = (uint32_t)snprintf(
		client->answer, sizeof(client->answer),
		"HTTP/1.1 %s\r\nContent-Length: %" PRIu64 "\r\n%s\r\n%s", status,
		(uint64_t)strlen(body) + bulk, client->last ? "Connection: close\r\n" : "", body);
	client->bulk = bulk;
	client->bulk_at = 0;
}

void http_print_counters(const struct weir__netstack *net, FILE *to)
{
	const uint64_t *count = (const void *)weir__netstack_counters(net);

	for (unsigned i = 0; weir__netstack_counter_names[i] != NULL; i++)
		if (count[i] != 0)
			fprintf(to, "%s %" PRIu64 "\n", weir__netstack_counter_names[i], count[i]);
}

static void print_info(const struct weir__tcp *tcp, FILE *to)
{
	struct weir__tcp_info info;

	weir__tcp_info(tcp, &info);
	fprintf(to, "%s wscale:%u,%u rto:%.3f rtt:%.3f/%.3f ato:%.3f mss:%u pmtu:%u rcvmss:%u ",
		info.congestion, info.snd_wscale, info.rcv_wscale, info.rto_us / 1e3,
		info.rtt_us / 1e3, info.rttvar_us / 1e3, info.ato_us / 1e3, info.snd_mss, info.pmtu,
		info.rcv_mss);
	fprintf(to, "advmss:%u cwnd:%u ssthresh:%u bytes_acked:%" PRIu64 " bytes_received:%" PRIu64,
		info.advmss, info.snd_cwnd, info.snd_ssthresh, info.bytes_acked,
		info.bytes_received);
	fprintf(to, " unacked:%u retrans:%u/%u lost:%u sacked:%u dsack_dups:%u reord_seen:%u ",
		info.unacked, info.retrans, info.total_retrans, info.lost, info.sacked,
		info.dsack_dups, info.reord_seen);
	fprintf(to, "rcv_rtt:%.3f rcv_space:%u minrtt:%.3f snd_wnd:%u rcv_wnd:%u\n",
		info.rcv_rtt_us / 1e3, info.rcv_space, info.min_rtt_us / 1e3, info.snd_wnd,
		info.rcv_wnd);
}

static void answer_get(struct weir__netstack_user *client, const char *path)
{
	char text[6000] = "";
	FILE *to = fmemopen(text, sizeof(text), "w");
	const char *status = "200 OK";
	uint64_t bulk = 0;

	if (to == NULL)
		return answer(client, "503 Service Unavailable", "", 0);
	if (strcmp(path, "/") == 0)
		fputs("Hello from a TCP/IP stack that is a library.\n", to);
	else if (strcmp(path, "/info") == 0)
		print_info(client->tcp, to);
	else if (strcmp(path, "/counters") == 0)
		http_print_counters(client->http->net, to);
	else if (sscanf(path, "/bytes/%" SCNu64, &bulk) != 1)
		status = "404 Not Found";
	fclose(to);
	answer(client, status, text, bulk);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* The value of a header field, or NULL. */
static const char *field(const char *head, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = head; (line = strstr(line, "\r\n")) != NULL;) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return NULL;
}

static void handle_request(struct weir__netstack_user *client)
{
	char method[8] = "", path[64] = "";
	const char *length = field(client->head, "Content-Length"),
		   *connection = field(client->head, "Connection");

	sscanf(client->head, "%7s %63s", method, path);
	client->last = connection != NULL && strncasecmp(connection, "close", 5) == 0;
	if (strcmp(method, "GET") == 0 && length == NULL) {
		answer_get(client, path);
	} else if (strcmp(method, "PUT") == 0 && length != NULL) {
		client->uploading = true;
		client->upload = strtoull(length, NULL, 10);
		client->sum_a = 1;
		client->sum_b = 0;
		client->answer_sent = 0;
		client->answer_len = field(client->head, "Expect") == NULL
					     ? 0
					     : (uint32_t)sprintf(client->answer,
								 "HTTP/1.1 100 Continue\r\n\r\n");
	} else {
		client->last = true;
		answer(client, "400 Bad Request", "", 0);
	}
}

static void sum_up(struct weir__netstack_user *client, const void *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		client->sum_a = (client->sum_a + ((const unsigned char *)bytes)[i]) % 65521;
		client->sum_b = (client->sum_b + client->sum_a) % 65521;
	}
	client->upload -= len;
}

/* ---- the next thing for a connection -------------------------------------------------------- */

/*
 * Each of these functions makes one step. It returns > 0; 0 at the end of the stream; -EAGAIN if it
 * has to wait for an event; or another error of the connection.
 */

static int send_answer(struct weir__netstack_user *client)
{
	int rc = weir__tcp_send_copy(client->tcp, client->answer + client->answer_sent,
				     client->answer_len - client->answer_sent,
				     client->bulk > 0 ? WEIR_TCP_MORE : 0);

	if (rc > 0)
		client->answer_sent += (uint32_t)rc;
	return rc;
}

/* Sends a view of the block, which never changes: no byte is copied. */
static int send_bulk(struct weir__netstack_user *client)
{
	struct weir__frame_memory *mem = weir__netstack_frames(client->http->net);
	uint32_t len = HTTP_BULK_BYTES - client->bulk_at;
	struct weir__frame *view;
	int rc;

	if (len > client->bulk)
		len = (uint32_t)client->bulk;
	rc = weir__frame_clone(mem, client->http->bulk, client->bulk_at, len, &view);
	if (rc < 0)
		return rc;
	rc = weir__tcp_send(client->tcp, view, 0);
	if (rc < 0) {
		weir__frame_free(mem, view);
		return rc;
	}
	client->bulk -= len;
	client->bulk_at = (client->bulk_at + len) % HTTP_BULK_BYTES;
	return rc;
}

/* Reads the received frames in place, and gives them back: no byte is copied. */
static int receive_upload(struct weir__netstack_user *client)
{
	uint32_t most = client->upload < UINT32_MAX ? (uint32_t)client->upload : UINT32_MAX;
	struct weir__frame *lent;
	char sum[16];
	int rc = 1;

	if (most > 0) {
		rc = weir__tcp_receive(client->tcp, most, &lent);
		if (rc <= 0)
			return rc;
		for (const struct weir__frame *piece = lent; piece != NULL; piece = piece->next)
			sum_up(client, piece->data, piece->len);
		weir__netstack_give_back(client->http->net, lent);
	}
	if (client->upload == 0) {
		client->uploading = false;
		snprintf(sum, sizeof(sum), "%08" PRIx32 "\n", client->sum_b << 16 | client->sum_a);
		answer(client, "200 OK", sum, 0);
	}
	return rc;
}

/* Handles the request if its head is complete. A part of its body, or the next request, may have
 * been received with it. */
static int receive_head(struct weir__netstack_user *client)
{
	char *end = strstr(client->head, "\r\n\r\n");
	uint32_t used, body;
	int rc;

	if (end == NULL) {
		rc = weir__tcp_receive_copy(client->tcp, client->head + client->head_len,
					    (uint32_t)sizeof(client->head) - 1 - client->head_len);
		if (rc > 0)	/* 0 also for a head that does not fit */
			client->head[client->head_len += (uint32_t)rc] = '\0';
		return rc;
	}
	end[2] = '\0';
	handle_request(client);
	used = (uint32_t)(end + 4 - client->head);
	body = client->head_len - used;
	if (body > client->upload)
		body = (uint32_t)client->upload;
	sum_up(client, client->head + used, body);
	client->head_len -= used + body;
	memmove(client->head, client->head + used + body, client->head_len + 1);
	return 1;
}

static void serve(struct weir__netstack_user *client)
{
	int rc;

	do {
		if (client->answer_sent < client->answer_len)
			rc = send_answer(client);
		else if (client->bulk > 0)
			rc = send_bulk(client);
		else if (client->uploading)
			rc = receive_upload(client);
		else if (client->last)
			rc = 0;
		else
			rc = receive_head(client);
	} while (rc > 0);
	if (rc == -EAGAIN)
		return;
	weir__tcp_close(client->tcp);	/* the stack still sends queued data */
	client_free(client);
}

static void accept_all(struct http *http)
{
	struct weir__netstack_user *client;

	while ((client = calloc(1, sizeof(*client))) != NULL &&
	       weir__tcp_accept(http->listener, client, &client->tcp) == 0)
		client_link(client, http);
	free(client);
}

void http_event(struct http *http, struct weir__netstack_source *source)
{
	if (source->kind == WEIR_NETSTACK_TCP_LISTENER)
		accept_all(http);
	else
		serve(source->user);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static void bulk_release(struct weir__block *block)
{
	(void)block;	/* the bytes are part of struct http */
}

int http_init(struct http *http, struct weir__netstack *net)
{
	struct weir__endpoint local = { .port = 80 };

	http->net = net;
	for (unsigned i = 0; i < HTTP_BULK_BYTES; i++)
		http->bulk_bytes[i] = (unsigned char)(31 * i + i / 256);
	http->bulk = weir__block_init(&http->bulk_block, http->bulk_bytes, HTTP_BULK_BYTES,
				      HTTP_BULK_BYTES, bulk_release);
	return weir__tcp_listen(net, &local, 512, NULL, NULL, &http->listener);
}

void http_fini(struct http *http)
{
	while (http->clients != NULL)
		client_free(http->clients);
}
