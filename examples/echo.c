/* SPDX-License-Identifier: MIT */
/*
 * echo.c: the echo server of the README. One fiber per connection, plain C that
 * reads from top to bottom.
 *
 *	echo ADDRESS	serves there until it is stopped: echo 127.0.0.1:7000
 *	echo		serves on a free port, talks to itself, and ends
 */
#include <stdio.h>
#include <string.h>

#include "weir/weir.h"

/* One connection. The buffer is lent by the backend: nothing is held while nothing comes. */
static int echo(void *arg)
{
	struct weir_tcp *conn = arg;
	struct weir_lease in;
	int rc;

	while ((rc = weir_tcp_recv_lease(conn, &in)) > 0)
		if ((rc = weir_tcp_send_lease(conn, &in)) < 0)
			break;
	if (rc < 0)
		weir_tcp_reset(conn); /* a torn echo must not look complete */
	else
		weir_tcp_close(conn);
	return rc;
}

/*
 * Accept until somebody aborts this task: then accept answers -ECANCELED. A connection for which
 * there is no memory or no fiber is dropped, which costs that client its connection, and no other.
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

/* What a client does: send a line, read it back. */
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
