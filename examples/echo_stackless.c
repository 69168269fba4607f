/* SPDX-License-Identifier: MIT */
/*
 * echo_stackless.c: the server of echo.c with poll functions instead of fibers. A connection has
 * no stack: its state is a struct of 128 bytes, allocated in one block with its task. Write
 * servers with very many connections like this.
 *
 *	build/examples/echo_stackless 127.0.0.1:7000	serves there until it is stopped
 *	build/examples/echo_stackless			talks to itself on a free port, and ends
 */
#include <stdio.h>
#include <string.h>

#include "weir/weir.h"

struct echo {
	struct weir_tcp *conn;
	struct weir_lease lease;
	struct weir_op op; /* the pending operation: op.code says which */
};

/*
 * Polls the pending operation. When it has finished, the loop sets up the next one and polls that.
 * When it has not, this function returns WEIR_PENDING, and is called again once it has.
 */
static int echo_poll(void *state, struct weir_cx *cx)
{
	struct echo *self = state;
	int rc;

	if (!self->op.future.ops) /* the first poll */
		weir_op_init_recv_lease(&self->op, weir_tcp_handle(self->conn), &self->lease);
	while ((rc = weir_poll(&self->op.future, cx)) > 0) {
		if (self->op.code == WEIR_OP_RECV_LEASE)
			weir_op_init_send_lease(&self->op, weir_tcp_handle(self->conn),
						&self->lease);
		else
			weir_op_init_recv_lease(&self->op, weir_tcp_handle(self->conn),
						&self->lease);
	}
	if (rc == 0) { /* end of stream, and everything was sent back */
		weir_tcp_close(self->conn);
		self->conn = NULL;
	}
	return rc;
}

/* Runs once, whether the task ended by itself or was aborted. No operation is pending by then. */
static void echo_fini(void *state)
{
	struct echo *self = state;

	weir_lease_return(&self->lease);
	weir_tcp_reset(self->conn); /* NULL, and ignored, if echo_poll closed it */
}

struct serve {
	struct weir_listener *listener;
	struct weir_tcp *conn;
	struct weir_accept_future accept;
};

static void start_echo(struct weir_tcp *conn)
{
	struct echo echo = { .conn = conn };
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.poll = echo_poll;
	cfg.state = &echo;	/* copied into the task */
	cfg.state_bytes = sizeof(echo);
	cfg.fini = echo_fini;
	if (weir_task_spawn(NULL, &cfg, NULL) < 0)
		weir_tcp_reset(conn);
}

static int serve_poll(void *state, struct weir_cx *cx)
{
	struct serve *self = state;
	int rc;

	if (!self->accept.future.ops)
		weir_accept_init(&self->accept, self->listener, &self->conn);
	while ((rc = weir_poll(&self->accept.future, cx)) != WEIR_PENDING) {
		if (rc < 0)
			return rc;
		start_echo(self->conn);
		weir_accept_init(&self->accept, self->listener, &self->conn);
	}
	return WEIR_PENDING;
}

static void serve_fini(void *state)
{
	weir_accept_fini(&((struct serve *)state)->accept);
}

/* The client runs on a fiber: one program may use both kinds of tasks. */
static int talk(struct weir_listener *listener)
{
	char text[] = "hello, poll";
	struct weir_tcp *conn;
	struct weir_addr addr;
	int rc = weir_listener_addr(listener, &addr);

	if (rc >= 0)
		rc = weir_tcp_connect_addr(&addr, weir_deadline_in(5 * WEIR_SEC), &conn);
	if (rc < 0)
		return rc;
	rc = weir_tcp_send_all(conn, text, sizeof(text), WEIR_FOREVER, NULL);
	memset(text, 0, sizeof(text));
	if (rc >= 0)
		rc = weir_tcp_recv_exact(conn, text, sizeof(text), WEIR_FOREVER, NULL);
	printf("received \"%s\"; a connection's state has %zu bytes\n", text, sizeof(struct echo));
	weir_tcp_close(conn);
	return rc;
}

static int run(void *arg)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct serve serve = { 0 };
	struct weir_task *server;
	int rc = weir_listener_open(arg ? arg : "127.0.0.1:0", NULL, &serve.listener), end = 0;

	if (rc < 0)
		return rc;
	cfg.poll = serve_poll;
	cfg.state = &serve;
	cfg.state_bytes = sizeof(serve);
	cfg.fini = serve_fini;
	rc = weir_task_spawn(NULL, &cfg, &server);
	if (rc == 0) {
		if (!arg) {
			rc = talk(serve.listener);
			weir_task_abort(server);
		}
		weir_task_join(server, &end);
	}
	weir_listener_close(serve.listener);
	return rc < 0 ? rc : arg ? end : 0;
}

int main(int argc, char **argv)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc = weir_rt_run(&cfg, run, argc > 1 ? argv[1] : NULL);

	return rc < 0 ? fprintf(stderr, "echo_stackless: %s\n", weir_strerror(rc)), 1 : 0;
}
