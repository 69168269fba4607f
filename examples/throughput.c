/* SPDX-License-Identifier: MIT */
/*
 * throughput.c: the two schedulers compared. It runs an echo server with 1000 clients for a
 * second on the current-thread scheduler, and then for a second on the work-stealing one.
 *
 * Server and clients run in one process and share its CPUs. The figures compare the schedulers;
 * they do not tell how fast a server is. Use bench/ for that.
 *
 *	build/examples/throughput	prints the requests of each second, and ends
 */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>

#include "weir/weir.h"

#define CONNECTIONS 1000
#define MESSAGE 64

struct load {
	struct weir_addr addr;
	atomic_uint connected;
	atomic_bool stop;
	uint64_t requests;
};

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
	return rc;
}

/* Returns how many messages were echoed. */
static int client(void *arg)
{
	struct load *load = arg;
	char message[MESSAGE] = "ping";
	struct weir_tcp *conn;
	int count = 0, rc;

	rc = weir_tcp_connect_addr(&load->addr, WEIR_FOREVER, &conn);
	if (rc < 0)
		return rc;
	atomic_fetch_add(&load->connected, 1);
	while (rc >= 0 && !atomic_load(&load->stop)) {
		rc = weir_tcp_send_all(conn, message, MESSAGE, WEIR_FOREVER, NULL);
		if (rc >= 0)
			rc = weir_tcp_recv_exact(conn, message, MESSAGE, WEIR_FOREVER, NULL);
		count += rc >= 0;
	}
	weir_tcp_close(conn);
	return rc < 0 ? rc : count;
}

/* Starts the clients, lets them run for a second, and adds up their requests. */
static int run_clients(struct load *load, struct weir_join_set *set)
{
	int rc = 0, count;

	for (int i = 0; rc == 0 && i < CONNECTIONS; i++)
		rc = weir_join_set_spawn(set, client, load, NULL);
	if (rc == 0)
		rc = weir_sleep(WEIR_SEC);
	atomic_store(&load->stop, true);
	while (rc >= 0 && (rc = weir_join_set_next(set, NULL, &count)) > 0) {
		if (count < 0)
			return count;
		load->requests += (uint64_t)count;
	}
	return rc;
}

static int run(void *arg)
{
	struct load *load = arg;
	struct weir_listener *listener;
	struct weir_join_set *set;
	struct weir_task *server;
	int ignored, rc = weir_listener_open("127.0.0.1:0", NULL, &listener);

	if (rc < 0)
		return rc;
	weir_listener_addr(listener, &load->addr);
	rc = weir_join_set_new(NULL, &set);
	if (rc == 0 && (rc = weir_spawn(serve, listener, &server)) == 0) {
		rc = run_clients(load, set);
		weir_task_abort(server);
		weir_task_join(server, &ignored);
		weir_join_set_free(set);
	}
	weir_listener_close(listener);
	return rc;
}

static int measure(const char *name, enum weir_sched_kind sched)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct load load = { .requests = 0 };
	int rc;

	cfg.sched = sched;
	rc = weir_rt_run(&cfg, run, &load);
	if (rc < 0)
		fprintf(stderr, "throughput: %s: %s\n", name, weir_strerror(rc));
	else
		printf("%-15s %u connections, %7llu requests in a second\n", name,
		       atomic_load(&load.connected), (unsigned long long)load.requests);
	return rc;
}

int main(void)
{
	struct rlimit files;
	int rc;

	/* Each connection takes two descriptors, because both its ends are in this process. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * CONNECTIONS + 100) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	printf("%u CPUs\n", weir_cpus_allowed());
	rc = measure("current-thread:", WEIR_SCHED_CURRENT);
	if (rc == 0)
		rc = measure("multi-thread:", WEIR_SCHED_MULTI);
	return rc < 0;
}
