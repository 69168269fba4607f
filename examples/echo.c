/* SPDX-License-Identifier: MIT */
/*
 * echo.c: the TCP echo server of the README, with one fiber per connection. It shows how to
 * listen and accept, how to lease buffers from the backend, and how to abort a task.
 *
 *	build/examples/echo 127.0.0.1:7000	serves there until it is stopped
 *	build/examples/echo			talks to itself on a free port, and ends
 */
#include <stdio.h>
#include <string.h>

#include "weir/weir.h"

/* Serves one connection. The backend lends the buffer, so an idle connection holds none. */
static int echo(void *arg)
{
	struct weir_tcp *conn = arg;
	struct weir_lease in;
	int rc;

	while ((rc = weir_tcp_recv_lease(conn, &in)) > 0)
		if ((rc = weir_tcp_send_lease(conn, &in)) < 0)
			break;
	if (rc < 0)
		weir_tcp_reset(conn); /* not a close: the client must see that bytes are missing */
	else
		weir_tcp_close(conn);
	return rc;
}

/*
 * Accepts until this task is aborted: accept then returns -ECANCELED. If a connection's task cannot
 * be spawned for want of memory, weir_tcp_drop resets that connection; the server goes on.
 */
static int serve(void *arg)
{
	struct weir_listener *listener = arg;
	struct weir_tcp *conn;
	int rc;

	while ((rc = weir_listener_accept(listener, &conn)) >= 0)
		weir_spawn_or_drop(echo, conn, weir_tcp_drop, NULL);
	return rc;
}

/* The client: sends a line and reads it back. */
static int talk(const struct weir_addr *to)
{
	static const char line[] = "hello, echo";
	char back[sizeof(line)];
	struct weir_tcp *conn;
	int rc = weir_tcp_connect_addr(to, weir_deadline_in(5 * WEIR_SEC), &conn);

	if (rc < 0)
		return rc;
	rc = weir_tcp_send_all(conn, line, sizeof(line), WEIR_FOREVER, NULL);
	if (rc >= 0)
		rc = weir_tcp_recv_exact(conn, back, sizeof(back), WEIR_FOREVER, NULL);
	if (rc >= 0)
		printf("sent \"%s\", got \"%s\"\n", line, back);
	weir_tcp_close(conn);
	return rc < 0 || memcmp(line, back, sizeof(line)) == 0 ? rc : -EIO;
}

static int talk_to_self(struct weir_listener *listener)
{
	struct weir_task *server;
	struct weir_addr addr;
	int rc = weir_listener_addr(listener, &addr), end;

	if (rc >= 0)
		rc = weir_spawn(serve, listener, &server);
	if (rc < 0)
		return rc;
	rc = talk(&addr);
	weir_task_abort(server);
	weir_task_join(server, &end);
	printf("the server ended with \"%s\"\n", weir_strerror(end));
	return rc;
}

static int run(void *arg)
{
	const char *where = arg;
	struct weir_listener *listener;
	int rc = weir_listener_open(where ? where : "127.0.0.1:0", NULL, &listener);

	if (rc < 0)
		return rc;
	rc = where ? serve(listener) : talk_to_self(listener);
	weir_listener_close(listener);
	return rc;
}

int main(int argc, char **argv)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT; /* every allowed core, the best backend */
	int rc = weir_rt_run(&cfg, run, argc > 1 ? argv[1] : NULL);

	return rc < 0 ? fprintf(stderr, "echo: %s\n", weir_strerror(rc)), 1 : 0;
}
