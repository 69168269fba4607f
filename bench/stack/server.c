/* SPDX-License-Identifier: MIT */
/* server.c: the programs of a server (cable.h) on weir's stack. */
#include <stdlib.h>

#include "end.h"

#define BACKLOG 16384u
#define SOURCE_SEND_BYTES (256u << 10)	/* in true size: about 100 segments in flight */

struct server {
	struct end end;
	struct weir__udp *udp;
	bool copies;
	unsigned char bytes[65536];
};

static struct server *server_of(struct end *end)
{
	return WEIR_STACK_CONTAINER(end, struct server, end);
}

static void echo_datagrams(struct server *server)
{
	struct weir__endpoint from;
	struct weir__frame *frame;

	while (weir__udp_receive(server->udp, &frame, &from) >= 0)
		(void)weir__udp_send(server->udp, &from, frame);
}

/* Echoes the received data. It drops data without room in the send buffer; clients avoid that. */
static int echo_lent(struct server *server, struct weir__tcp *tcp)
{
	struct weir__frame *frame;
	int rc = weir__tcp_receive(tcp, UINT32_MAX, &frame);

	if (rc > 0 && weir__tcp_send(tcp, frame, 0) < 0)
		weir__netstack_give_back(server->end.net, frame);
	return rc;
}

static int echo_copy(struct server *server, struct weir__tcp *tcp)
{
	int rc = weir__tcp_receive_copy(tcp, server->bytes, sizeof(server->bytes));

	if (rc > 0)
		(void)weir__tcp_send_copy(tcp, server->bytes, (uint32_t)rc, 0);
	return rc;
}

static int discard(struct server *server, struct weir__tcp *tcp)
{
	struct weir__frame *frame;
	int rc = weir__tcp_receive(tcp, UINT32_MAX, &frame);

	if (rc > 0)
		weir__netstack_give_back(server->end.net, frame);
	return rc;
}

static int read_some(struct server *server, struct weir__tcp *tcp)
{
	if (weir__tcp_flow(tcp)->local_port != CABLE_ECHO)
		return discard(server, tcp);
	return server->copies ? echo_copy(server, tcp) : echo_lent(server, tcp);
}

static void fill(struct server *server, struct weir__tcp *tcp)
{
	while (weir__tcp_send_copy(tcp, server->bytes, sizeof(server->bytes), 0) > 0)
		;
}

static void connection_event(struct server *server, struct weir__tcp *tcp, unsigned events)
{
	int rc = -EAGAIN;

	if (events & WEIR_NETSTACK_WRITABLE && weir__tcp_flow(tcp)->local_port == CABLE_SOURCE)
		fill(server, tcp);
	if (events & (WEIR_NETSTACK_READABLE | WEIR_NETSTACK_FAILED))
		while ((rc = read_some(server, tcp)) > 0)
			;
	if (rc != -EAGAIN)
		weir__tcp_close(tcp);
}

static struct weir__netstack_user *user_of(void *object)
{
	return object;
}

static void accept_all(struct server *server, struct weir__tcp_listener *listener)
{
	struct weir__tcp *tcp;

	while (weir__tcp_accept(listener, NULL, &tcp) == 0) {
		weir__tcp_source(tcp)->user = user_of(tcp);
		if (weir__tcp_flow(tcp)->local_port == CABLE_SOURCE)
			fill(server, tcp);
	}
}

static void server_event(struct end *end, struct weir__netstack_source *source, unsigned events)
{
	void *object = source->user;

	switch (source->kind) {
	case WEIR_NETSTACK_UDP:
		echo_datagrams(server_of(end));
		break;
	case WEIR_NETSTACK_TCP_LISTENER:
		accept_all(server_of(end), object);
		break;
	default:
		connection_event(server_of(end), object, events);
		break;
	}
}

static int listen_on(struct server *server, uint16_t port)
{
	struct weir__endpoint local = end_endpoint(CABLE_SERVER, port);
	struct weir__tcp_settings settings = { .send_bytes = SOURCE_SEND_BYTES };
	struct weir__tcp_listener *listener;
	int rc = weir__tcp_listen(server->end.net, &local, BACKLOG,
				  port == CABLE_SOURCE ? &settings : NULL, NULL, &listener);

	if (rc == 0)
		weir__tcp_listener_source(listener)->user = user_of(listener);
	return rc;
}

struct host *weir_server_new(int copies)
{
	struct weir__endpoint local = end_endpoint(CABLE_SERVER, CABLE_ECHO);
	struct server *server = calloc(1, sizeof(*server));
	int rc;

	if (server == NULL)
		return NULL;
	server->copies = copies != 0;
	server->end.event = server_event;
	rc = end_init(&server->end, CABLE_SERVER);
	if (rc == 0)
		rc = weir__udp_open(server->end.net, &local, NULL, &server->udp);
	if (rc == 0)
		rc = listen_on(server, CABLE_ECHO);
	if (rc == 0)
		rc = listen_on(server, CABLE_DISCARD);
	if (rc == 0)
		rc = listen_on(server, CABLE_SOURCE);
	if (rc == 0)
		return &server->end.host;
	server->end.host.ops = &end_ops;
	end_ops.free(&server->end.host);
	return NULL;
}
