/* SPDX-License-Identifier: MIT */
/*
 * weir-echo: weir's TCP echo server, which peers/ compares with the other runtimes' echo servers.
 *
 *	weir-echo --port P [--workers N | --current-thread] [--fiber] [--copy]
 *	          [--buf BYTES] [--backend NAME] [--no-steal]
 *
 * Each connection is a task: stackless, or a fiber with --fiber. It receives into leased buffers,
 * of the runtime's default size or --buf bytes. With --copy each connection has a buffer of its own
 * instead, of 16 KiB or --buf bytes. The server runs until a signal ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "weir/weir.h"

/* A connection as a stackless task. The op receives, or sends back what was received. */
struct echo {
	struct weir_tcp *conn;
	struct weir_lease lease;	/* with --copy, lease.data is the connection's own buffer */
	struct weir_op op;
};

_Static_assert(sizeof(struct echo) <= 128, "the task and its state must fit a block of 256 bytes");

static struct weir_rt_config rt_cfg = WEIR_RT_CONFIG_INIT;
static unsigned port = 7000;
static size_t buf_bytes = 16384;	/* per connection, with --copy */
static bool fibers, copying;

static void start_recv(struct echo *echo)
{
	struct weir_handle *handle = weir_tcp_handle(echo->conn);

	if (copying)
		weir_op_init_recv(&echo->op, handle, echo->lease.data, buf_bytes, 0);
	else
		weir_op_init_recv_lease(&echo->op, handle, &echo->lease);
}

static void start_send(struct echo *echo, size_t len)
{
	struct weir_handle *handle = weir_tcp_handle(echo->conn);

	if (copying)
		weir_op_init_send(&echo->op, handle, echo->lease.data, len, WEIR_OP_ALL);
	else
		weir_op_init_send_lease(&echo->op, handle, &echo->lease);
}

static int echo_poll(void *state, struct weir_cx *cx)
{
	struct echo *echo = state;
	int rc;

	if (!echo->op.handle)
		start_recv(echo);
	while ((rc = weir_poll(&echo->op.future, cx)) > 0) {
		if (echo->op.code == WEIR_OP_RECV || echo->op.code == WEIR_OP_RECV_LEASE)
			start_send(echo, (size_t)rc);
		else
			start_recv(echo);
	}
	return rc;
}

static void echo_fini(void *state)
{
	struct echo *echo = state;

	if (copying)
		free(echo->lease.data);
	else
		weir_lease_return(&echo->lease);
	weir_tcp_close(echo->conn);
}

static int echo_lease_fiber(void *arg)
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

static int echo_copy_fiber(void *arg)
{
	struct weir_tcp *conn = arg;
	char *buf = malloc(buf_bytes);
	int rc = buf ? 0 : -ENOMEM;

	while (buf && (rc = weir_tcp_recv(conn, buf, buf_bytes)) > 0)
		if ((rc = weir_tcp_send_all(conn, buf, (size_t)rc, WEIR_FOREVER, NULL)) < 0)
			break;
	free(buf);
	weir_tcp_close(conn);
	return rc;
}

static int spawn_echo(struct weir_tcp *conn)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct echo echo = { .conn = conn };

	if (fibers) {
		weir_spawn_or_drop(copying ? echo_copy_fiber : echo_lease_fiber, conn,
				   weir_tcp_drop, NULL);
		return 0;
	}
	if (copying && !(echo.lease.data = malloc(buf_bytes)))
		return -ENOMEM;
	cfg.where = WEIR_HERE;
	cfg.poll = echo_poll;
	cfg.fini = echo_fini;
	cfg.state = &echo;
	cfg.state_bytes = sizeof(echo);
	return weir_task_spawn(NULL, &cfg, NULL);
}

static int serve(void *arg)
{
	struct weir_listener *listener;
	struct weir_tcp *conn;
	char addr[32];
	int rc;

	(void)arg;
	snprintf(addr, sizeof(addr), "127.0.0.1:%u", port);
	rc = weir_listener_open(addr, NULL, &listener);
	if (rc < 0)
		return rc;
	printf("listening %u\n", port);
	fflush(stdout);
	while ((rc = weir_listener_accept(listener, &conn)) >= 0)
		if (spawn_echo(conn) < 0)
			weir_tcp_close(conn);
	weir_listener_close(listener);
	return rc;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Takes one flag and its value, if it has one. Returns how many words it took; 0 if unknown. */
static int take_flag(char **argv)
{
	const char *value = argv[1] ? argv[1] : "";

	if (!strcmp(argv[0], "--fiber"))
		return fibers = true, 1;
	if (!strcmp(argv[0], "--copy"))
		return copying = true, 1;
	if (!strcmp(argv[0], "--no-steal"))
		return rt_cfg.steal = WEIR_STEAL_OFF, 1;
	if (!strcmp(argv[0], "--current-thread"))
		return rt_cfg.sched = WEIR_SCHED_CURRENT, 1;
	if (!argv[1])
		return 0;
	if (!strcmp(argv[0], "--port"))
		return port = (unsigned)strtoul(value, NULL, 10), 2;
	if (!strcmp(argv[0], "--workers"))
		return rt_cfg.workers = (unsigned)strtoul(value, NULL, 10), 2;
	if (!strcmp(argv[0], "--buf"))
		return rt_cfg.lease_bytes = buf_bytes = strtoul(value, NULL, 10), 2;
	if (!strcmp(argv[0], "--backend"))
		return rt_cfg.backend = value, 2;
	return 0;
}

int main(int argc, char **argv)
{
	int rc;

	rt_cfg.workers = 1;
	for (int i = 1, words; i < argc; i += words) {
		words = take_flag(argv + i);
		if (!words)
			return fprintf(stderr, "weir-echo: unknown or incomplete option: %s\n",
				       argv[i]),
			       2;
	}
	if (rt_cfg.sched == WEIR_SCHED_CURRENT)
		rt_cfg.workers = 0;
	raise_descriptor_limit();
	rc = weir_rt_run(&rt_cfg, serve, NULL);
	fprintf(stderr, "weir-echo: %s %s\n", weir_strerror(rc), weir_rt_why());
	return rc < 0;
}
