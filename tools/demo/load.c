/* SPDX-License-Identifier: MIT */
/*
 * load.c: the echo server and the clients of the demo, written with fibers as a user
 * would write them. Each client waits for its answer before it sends again. All messages
 * differ, so that a late or repeated byte is detected.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/demo/demo.h"

/* ---- the echo server ---- */

static int echo(void *arg)
{
	struct weir_tcp *conn = arg;
	struct weir_lease in;
	int rc;

	while ((rc = weir_tcp_recv_lease(conn, &in)) > 0)
		if ((rc = weir_tcp_send_lease(conn, &in)) < 0)
			break;
	weir_tcp_close(conn);
	return rc;
}

static int serve(void *arg)
{
	struct weir_listener *listener = arg;
	struct weir_tcp *conn;
	int rc;

	while ((rc = weir_listener_accept(listener, &conn)) >= 0)
		weir_spawn_or_drop(echo, conn, weir_tcp_drop, NULL);
	weir_listener_close(listener);
	return rc;
}

int demo_echo_start(struct weir_addr *ret_addr)
{
	struct weir_listener *listener;
	int rc = weir_listener_open("127.0.0.1:0", NULL, &listener);

	if (rc < 0)
		return rc;
	rc = weir_listener_addr(listener, ret_addr);
	if (rc == 0)
		rc = weir_spawn(serve, listener, NULL);
	if (rc < 0)
		weir_listener_close(listener);
	return rc;
}

/* ---- the clients ---- */

struct client {
	struct load *load;
	uint64_t seed;
	uint64_t deadline;
	uint8_t *out, *in;
	struct weir_histogram latency_ns;
	uint64_t requests, bytes, wrong;
};

/* Pseudo-random numbers: Vigna's splitmix64. */
static uint64_t next_number(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void fill(struct client *c, size_t len)
{
	uint64_t n;

	for (size_t i = 0; i < len; i += sizeof(n)) {
		n = next_number(&c->seed);
		memcpy(c->out + i, &n, len - i < sizeof(n) ? len - i : sizeof(n));
	}
}

static int request(struct client *c, struct weir_tcp *conn, size_t len)
{
	uint64_t begin;
	int rc;

	fill(c, len);
	begin = weir_now();
	rc = weir_tcp_send_all(conn, c->out, len, WEIR_FOREVER, NULL);
	if (rc >= 0)
		rc = weir_tcp_recv_exact(conn, c->in, len, WEIR_FOREVER, NULL);
	if (rc < 0)
		return rc;
	weir_histogram_add(&c->latency_ns, weir_now() - begin);
	c->requests++;
	c->bytes += len;
	c->wrong += memcmp(c->out, c->in, len) != 0;
	return 0;
}

static int talk(struct client *c, struct weir_tcp *conn)
{
	size_t len = c->load->message_bytes;
	int rc = 0;

	while (rc == 0 && c->wrong == 0 && weir_now() < c->deadline)
		rc = request(c, conn, len);
	/* No byte may follow the last answer. */
	if (rc == 0)
		rc = weir_tcp_shutdown(conn, SHUT_WR);
	if (rc == 0)
		rc = weir_tcp_recv(conn, c->in, len);
	if (rc > 0)
		c->wrong++;
	return rc;
}

static int client_main(void *arg)
{
	struct client *c = arg;
	struct weir_tcp *conn;
	int rc = weir_tcp_connect_addr(&c->load->addr, weir_deadline_in(5 * WEIR_SEC), &conn);

	if (rc < 0)
		return rc;
	rc = talk(c, conn);
	weir_tcp_close(conn);
	return rc;
}

static struct client *client_new(struct load *load, unsigned i)
{
	struct client *c = calloc(1, sizeof(*c) + 2 * load->message_bytes);

	if (!c)
		return NULL;
	c->load = load;
	c->seed = i + 1;
	c->deadline = weir_deadline_in(load->run_ns);
	c->out = (uint8_t *)(c + 1);
	c->in = c->out + load->message_bytes;
	return c;
}

static void collect(struct load *load, const struct client *c, int rc)
{
	weir_histogram_merge(load->latency_ns, &c->latency_ns);
	load->requests += c->requests;
	load->bytes += c->bytes;
	load->wrong += c->wrong;
	if (rc >= 0)
		return;
	load->errors++;
	if (load->first_error == 0)
		load->first_error = rc;
}

/* Start all clients and wait for all of them, so that no task outlives the arrays. */
static void run_clients(struct load *load, struct client **clients, struct weir_task **tasks)
{
	int rc;

	for (unsigned i = 0; i < load->connections; i++) {
		clients[i] = client_new(load, i);
		rc = clients[i] ? weir_spawn(client_main, clients[i], &tasks[i]) : -ENOMEM;
		if (rc < 0)
			tasks[i] = NULL;
	}
	for (unsigned i = 0; i < load->connections; i++) {
		rc = -ENOMEM;
		if (tasks[i])
			weir_task_join(tasks[i], &rc);
		if (clients[i])
			collect(load, clients[i], rc);
		free(clients[i]);
	}
}

int demo_load_run(struct load *load)
{
	struct client **clients = calloc(load->connections, sizeof(*clients));
	struct weir_task **tasks = calloc(load->connections, sizeof(*tasks));
	uint64_t begin = weir_now();
	int rc = -ENOMEM;

	if (clients && tasks) {
		run_clients(load, clients, tasks);
		load->took_ns = weir_now() - begin;
		rc = load->first_error;
	}
	free(clients);
	free(tasks);
	return rc;
}
