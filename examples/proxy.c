/* SPDX-License-Identifier: MIT */
/*
 * proxy.c: a small TCP proxy: accept, connect, relay. The relay passes half-closes and resets on,
 * holds no buffer while a connection is idle, and applies backpressure: a slow reader slows the
 * sender down. `weir proxy` (tools/proxy) is the complete program.
 *
 *	build/examples/proxy LISTEN UPSTREAM	serves until it is stopped; for example
 *						proxy 127.0.0.1:8080 example.org:80
 *	build/examples/proxy			relays between its own client and server, ends
 */
#include <stdio.h>

#include "weir/weir.h"

static const char *upstream; /* the address to which every client's bytes are relayed */

/*
 * Relays in both directions until both have ended, or until nothing was delivered for a minute.
 * Closes both streams.
 */
static int relay(struct weir_tcp *client, struct weir_tcp *server)
{
	struct weir_relay_config cfg = WEIR_RELAY_CONFIG_INIT;
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;
	struct weir_relay relay;
	int rc;

	cfg.idle_ns = 60 * WEIR_SEC;
	weir_relay_init(&relay, client, server, &cfg);
	rc = weir_await(&relay.future);
	weir_relay_result(&relay, &stats);
	weir_relay_close(&relay); /* closes or resets each stream, as the other one ended */
	printf("%llu bytes up, %llu down: %s\n", (unsigned long long)stats.a_to_b,
	       (unsigned long long)stats.b_to_a, weir_strerror(rc));
	return rc;
}

/* Serves one client from accept to close. */
static int serve(void *arg)
{
	struct weir_tcp *client = arg, *server;
	int rc = weir_tcp_connect(upstream, weir_deadline_in(5 * WEIR_SEC), &server);

	if (rc == 0)
		return relay(client, server);
	printf("%s: %s\n", upstream, weir_strerror(rc));
	weir_tcp_reset(client);
	return rc;
}

static int accept_clients(void *arg)
{
	struct weir_listener *listener = arg;
	struct weir_tcp *client;
	int rc;

	while ((rc = weir_listener_accept(listener, &client)) >= 0)
		weir_spawn_or_drop(serve, client, weir_tcp_drop, NULL);
	return rc;
}

/* ---- the demonstration: a client and a server in the same process ---- */

static int answer(void *arg)
{
	struct weir_tcp *conn;
	char text[64];
	int rc = weir_listener_accept(arg, &conn);

	if (rc < 0)
		return rc;
	while ((rc = weir_tcp_recv(conn, text, sizeof(text))) > 0)
		printf("the server got \"%.*s\"\n", rc, text);
	/* The client has shut its sending side down. This side may still send: a half-close. */
	if (rc == 0)
		rc = weir_tcp_send_all(conn, "and goodbye", 11, WEIR_FOREVER, NULL);
	weir_tcp_close(conn);
	return rc;
}

static int ask(struct weir_listener *front)
{
	struct weir_tcp *conn;
	struct weir_addr addr;
	char text[64];
	int rc = weir_listener_addr(front, &addr);

	if (rc < 0 || (rc = weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn)) < 0)
		return rc;
	rc = weir_tcp_send_all(conn, "hello", 5, WEIR_FOREVER, NULL);
	weir_tcp_shutdown(conn, SHUT_WR);
	while (rc >= 0 && (rc = weir_tcp_recv(conn, text, sizeof(text))) > 0)
		printf("the client got \"%.*s\"\n", rc, text);
	weir_tcp_close(conn);
	return rc;
}

static int once(struct weir_listener *front, struct weir_listener *server)
{
	static char text[64];
	struct weir_join_set *set;
	struct weir_addr addr;
	int rc = weir_listener_addr(server, &addr);

	if (rc < 0 || (rc = weir_join_set_new(NULL, &set)) < 0)
		return rc;
	weir_addr_format(&addr, text, sizeof(text));
	upstream = text;
	rc = weir_join_set_spawn(set, answer, server, NULL);
	if (rc == 0)
		rc = weir_join_set_spawn(set, accept_clients, front, NULL);
	rc = rc < 0 ? rc : ask(front);
	weir_join_set_free(set); /* aborts both tasks and waits for them */
	return rc;
}

static int run(void *arg)
{
	struct weir_listener *front, *server;
	int rc = weir_listener_open(arg, NULL, &front);

	if (rc < 0)
		return rc;
	if (upstream) {
		rc = accept_clients(front);
	} else if ((rc = weir_listener_open("127.0.0.1:0", NULL, &server)) == 0) {
		rc = once(front, server);
		weir_listener_close(server);
	}
	weir_listener_close(front);
	return rc;
}

int main(int argc, char **argv)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	upstream = argc > 2 ? argv[2] : NULL;
	rc = weir_rt_run(&cfg, run, argc > 2 ? argv[1] : "127.0.0.1:0");
	return rc < 0 ? fprintf(stderr, "proxy: %s\n", weir_strerror(rc)), 1 : 0;
}
