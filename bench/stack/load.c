/* SPDX-License-Identifier: MIT */
/* load.c: see load.h. */
#include <stdlib.h>

#include "end.h"
#include "load.h"

#define SEND_BYTES (256u << 10)		/* in true size: about 100 segments in flight */
#define STEP_NS 64000u			/* a million requests a second */
#define STEPS_MAX 100
#define CLIENT_PORT 1007

struct load {
	struct end end;
	struct host *server;
	uint64_t now_ns;
	struct weir__udp *udp;
	struct weir__tcp **connection;	/* in the order of their use */
	unsigned connections, next;
	unsigned established, closed;
	unsigned failed;
	uint64_t received;
	unsigned burst, bytes;		/* requests of a step, bytes of a request */
	unsigned char payload[65536];
};

static struct load *load_of(struct end *end)
{
	return WEIR_STACK_CONTAINER(end, struct load, end);
}

/* ---- events --------------------------------------------------------------------------------- */

static void receive(struct load *load, struct weir__tcp *tcp)
{
	struct weir__frame *frame;
	int rc = weir__tcp_receive(tcp, UINT32_MAX, &frame);

	if (rc > 0) {
		load->received += (uint32_t)rc;
		weir__netstack_give_back(load->end.net, frame);
	} else if (rc != -EAGAIN) {
		load->failed++;
	}
}

static void receive_datagrams(struct load *load)
{
	struct weir__frame *frame;
	int rc;

	while ((rc = weir__udp_receive(load->udp, &frame, NULL)) >= 0) {
		load->received += (uint32_t)rc;
		weir__netstack_give_back(load->end.net, frame);
	}
}

static void load_event(struct end *end, struct weir__netstack_source *source, unsigned events)
{
	struct load *load = load_of(end);

	if (source->kind == WEIR_NETSTACK_UDP) {
		receive_datagrams(load);
		return;
	}
	if (events & WEIR_NETSTACK_CONNECTED)
		load->established++;
	if (events & WEIR_NETSTACK_FAILED)
		load->failed++;
	if (events & WEIR_NETSTACK_READABLE)
		receive(load, (struct weir__tcp *)(void *)source->user);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void step(struct load *load, void (*act)(struct end *end))
{
	load->now_ns += STEP_NS;
	load->end.act = act;
	cable_turn(&load->end.host, load->now_ns);
	cable_carry(&load->end.host, load->server);
	cable_turn(load->server, load->now_ns);
	cable_carry(load->server, &load->end.host);
}

static void send_datagram(struct end *end)
{
	struct load *load = load_of(end);

	if (weir__udp_send_copy(load->udp, NULL, load->payload, load->bytes) < 0)
		load->failed++;
}

int load_datagram(struct load *load, unsigned bytes)
{
	uint64_t before = load->received;

	load->bytes = bytes;
	step(load, send_datagram);
	for (unsigned i = 0; load->received == before && i < STEPS_MAX; i++)
		step(load, NULL);
	return load->received == before + bytes && load->failed == 0 ? 1 : -1;
}

static void send_requests(struct end *end)
{
	struct load *load = load_of(end);

	for (unsigned i = 0; i < load->burst; i++) {
		struct weir__tcp *tcp = load->connection[load->next];

		if (weir__tcp_send_copy(tcp, load->payload, load->bytes, 0) != (int)load->bytes)
			load->failed++;
		load->next = load->next + 1 < load->connections ? load->next + 1 : 0;
	}
}

int load_requests(struct load *load, unsigned bytes)
{
	unsigned owed = load->burst * load->bytes;	/* responses to the last step */
	uint64_t before = load->received;

	load->bytes = bytes;
	load->burst = load->connections < LOAD_BURST ? load->connections : LOAD_BURST;
	step(load, send_requests);
	return load->received == before + owed && load->failed == 0 ? (int)load->burst : -1;
}

static void send_all(struct end *end)
{
	struct load *load = load_of(end);

	for (unsigned i = 0; i < load->connections; i++)
		while (weir__tcp_send_copy(load->connection[i], load->payload,
					   sizeof(load->payload), 0) > 0)
			;
}

int load_send(struct load *load)
{
	uint64_t before = load->server->frames_in;

	step(load, send_all);
	return load->failed == 0 ? (int)(load->server->frames_in - before) : -1;
}

int load_receive(struct load *load)
{
	uint64_t before = load->server->frames_out;

	step(load, NULL);
	return load->failed == 0 ? (int)(load->server->frames_out - before) : -1;
}

/* ---- connections ---------------------------------------------------------------------------- */

static int connect_one(struct load *load, enum cable_port port, struct weir__tcp **ret_tcp)
{
	struct weir__endpoint peer = end_endpoint(CABLE_SERVER, (uint16_t)port);
	struct weir__tcp_settings settings = { .send_bytes = SEND_BYTES };
	int rc = weir__tcp_connect(load->end.net, NULL, &peer,
				   port == CABLE_DISCARD ? &settings : NULL, NULL, ret_tcp);

	if (rc == 0)
		weir__tcp_source(*ret_tcp)->user =
			(struct weir__netstack_user *)(void *)*ret_tcp;
	else
		load->failed++;
	return rc;
}

/* Makes steps until all connections are established, up to a limit. */
static int settle(struct load *load)
{
	for (unsigned i = 0; load->established < load->connections && i < STEPS_MAX; i++)
		step(load, NULL);
	return load->established == load->connections && load->failed == 0 ? 0 : -1;
}

/* Shuffles the connections (Fisher and Yates), in the same way each time. */
static void shuffle(struct load *load)
{
	uint64_t random = 1;

	for (unsigned i = load->connections; i > 1; i--) {
		struct weir__tcp *last = load->connection[i - 1];
		unsigned at;

		random = random * 6364136223846793005u + 1442695040888963407u;
		at = (unsigned)((random >> 32) % i);
		load->connection[i - 1] = load->connection[at];
		load->connection[at] = last;
	}
}

int load_open(struct load *load, enum cable_port port, unsigned connections)
{
	load->connection = calloc(connections, sizeof(*load->connection));
	if (load->connection == NULL)
		return -1;
	while (load->connections < connections) {
		weir__netstack_begin(load->end.net, load->now_ns);
		for (unsigned i = 0; i < LOAD_BURST && load->connections < connections; i++)
			if (connect_one(load, port, &load->connection[load->connections++]) < 0)
				return -1;
		weir__netstack_end(load->end.net);
		if (settle(load) < 0)
			return -1;
	}
	shuffle(load);
	return 0;
}

static void connect_burst(struct end *end)
{
	struct load *load = load_of(end);

	while (load->connections < LOAD_BURST)
		if (connect_one(load, CABLE_DISCARD, &load->connection[load->connections++]) < 0)
			return;
}

static void close_burst(struct end *end)
{
	struct load *load = load_of(end);

	while (load->connections > 0)
		weir__tcp_close(load->connection[--load->connections]);
	load->established = 0;
}

int load_connections(struct load *load)
{
	if (load->connection == NULL)
		load->connection = calloc(LOAD_BURST, sizeof(*load->connection));
	if (load->connection == NULL)
		return -1;
	step(load, connect_burst);
	if (settle(load) < 0)
		return -1;
	step(load, close_burst);
	for (unsigned i = 0; weir__tcp_orphans(load->end.net) > 0 && i < STEPS_MAX; i++)
		step(load, NULL);
	return weir__tcp_orphans(load->end.net) == 0 && load->failed == 0 ? (int)LOAD_BURST : -1;
}

/* ---- the load itself ------------------------------------------------------------------------ */

struct load *load_new(struct host *server)
{
	struct weir__endpoint local = end_endpoint(CABLE_CLIENT, CLIENT_PORT);
	struct weir__endpoint peer = end_endpoint(CABLE_SERVER, CABLE_ECHO);
	struct load *load = server == NULL ? NULL : calloc(1, sizeof(*load));
	int rc;

	if (load == NULL) {
		if (server != NULL)
			server->ops->free(server);
		return NULL;
	}
	load->server = server;
	load->end.event = load_event;
	rc = end_init(&load->end, CABLE_CLIENT);
	if (rc == 0)
		rc = weir__udp_open(load->end.net, &local, NULL, &load->udp);
	if (rc == 0)
		rc = weir__udp_connect(load->udp, &peer);
	if (rc == 0)
		return load;
	load_free(load);
	return NULL;
}

/* Resets all connections, so that a server without an instance of its own (lwIP) keeps none. */
static void abort_all(struct end *end)
{
	struct load *load = load_of(end);

	while (load->connections > 0)
		weir__tcp_abort(load->connection[--load->connections]);
}

void load_free(struct load *load)
{
	if (load == NULL)
		return;
	if (load->end.net != NULL)
		step(load, abort_all);
	load->server->ops->free(load->server);
	end_fini(&load->end);
	free(load->connection);
	free(load);
}

struct host *load_client(struct load *load)
{
	return &load->end.host;
}

struct host *load_server(struct load *load)
{
	return load->server;
}
