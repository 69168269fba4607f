/* SPDX-License-Identifier: MIT */
/*
 * backends_epoll_listen.c: the readiness adaptor over epoll: listeners, connects, and socket
 * options.
 */
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "backends/socket.h"
#include "tests/unit/backends_rig.h"
#include "weir/net.h"

/* ---- listeners and connects --------------------------------------------------------------- */

START_TEST(accept_now_and_later)
{
	struct weir_handle listener, conn[2];
	struct weir_op op[2], echo;
	struct sockaddr_in addr;
	char buf[8];
	int client[2];

	open_listener(&listener, &addr);
	client[0] = connect_raw(&addr);
	ck_assert_int_eq(finish(submit(accept_op(&op[0], &listener, &conn[0]))), 0);
	submit(accept_op(&op[0], &listener, &conn[1]));
	ck_assert(!is_done(&op[0]));
	client[1] = connect_raw(&addr);
	ck_assert_int_eq(finish(&op[0]), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(conn[i].kind, WEIR_HANDLE_STREAM);
		ck_assert_ptr_eq(conn[i].backend, be0);
		ck_assert_int_eq(fcntl(conn[i].fd, F_GETFD), FD_CLOEXEC);
		submit(recv_op(&echo, &conn[i], buf, sizeof(buf)));
		put(client[i], "hi");
		ck_assert_int_eq(finish(&echo), 2);
		detach(&conn[i]);
		close(client[i]);
	}
	detach(&listener);
}
END_TEST

START_TEST(accepts_of_several_waiters)
{
	struct weir_handle listener, conn[20];
	struct weir_op op[20];
	struct sockaddr_in addr;
	int client[20];

	open_listener(&listener, &addr);
	for (unsigned i = 0; i < 20; i++)
		submit(accept_op(&op[i], &listener, &conn[i]));
	for (unsigned i = 0; i < 20; i++)
		client[i] = connect_raw(&addr);
	/*
	 * More than one event may accept: the rest follows through the ready list, without a sleep.
	 */
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(finish(&op[i]), 0);
	for (unsigned i = 0; i < 20; i++) {
		detach(&conn[i]);
		close(client[i]);
	}
	detach(&listener);
}
END_TEST

START_TEST(accept_out_of_descriptors)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	struct rlimit was, none;
	int client;

	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	client = connect_raw(&addr);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 3, was.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(finish(&op), -EMFILE);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	detach(&listener);
	close(client);
}
END_TEST

START_TEST(accept_passes_over_the_dead)
{
	static const int deaths[] = { ECONNABORTED, EPROTO, EINTR, ENETDOWN };
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client;

	open_listener(&listener, &addr);
	client = connect_raw(&addr);
	fail_next(ACCEPT, deaths[_i], 3);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	ck_assert_uint_eq(calls[ACCEPT], 4);
	detach(&conn);
	detach(&listener);
	close(client);
}
END_TEST

START_TEST(accept_passes_over_so_many_dead_and_no_more)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client;

	open_listener(&listener, &addr);
	client = connect_raw(&addr);
	fail_next(ACCEPT, ECONNABORTED, 1000);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), -ECONNABORTED);
	ck_assert_uint_lt(calls[ACCEPT], 100);
	fail_next(ACCEPT, EPERM, 1);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), -EPERM);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	detach(&listener);
	close(client);
}
END_TEST

START_TEST(cancelled_accept_takes_nobody)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client;

	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	cancel(&op);
	ck_assert_int_eq(op.res, -ECANCELED);
	client = connect_raw(&addr);
	ck_assert_int_eq(turn_of(be0, weir_backend_now(be0) + 20 * WEIR_MSEC), 0);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	detach(&listener);
	close(client);
}
END_TEST

static void open_stream(struct weir_handle *h, int family)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_STREAM, .fd = -1, .family = family };

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be0->ops->attach(be0, h, &spec), 0);
}

static struct weir_op *connect_op(struct weir_op *op, struct weir_handle *h, const void *addr,
				  socklen_t len)
{
	prepare(op, WEIR_OP_CONNECT, h);
	op->u.connect.addr = addr;
	op->u.connect.len = len;
	return op;
}

START_TEST(connect_and_talk)
{
	struct weir_handle h;
	struct weir_op op;
	struct sockaddr_in addr;
	char buf[8];
	int listener = listen_raw(&addr, 64), conn;

	open_stream(&h, AF_INET);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, sizeof(addr)))), 0);
	conn = (int)raw(SYS_accept4, listener, NULL, NULL, 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "hi", 2, 0))), 2);
	ck_assert_int_eq(read(conn, buf, sizeof(buf)), 2);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(conn, "yes");
	ck_assert_int_eq(finish(&op), 3);
	detach(&h);
	close(conn);
	close(listener);
}
END_TEST

START_TEST(connect_refused)
{
	struct weir_handle h;
	struct weir_op op;
	struct sockaddr_in addr;

	close(listen_raw(&addr, 64));
	open_stream(&h, AF_INET);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, sizeof(addr)))), -ECONNREFUSED);
	detach(&h);
}
END_TEST

/* A full backlog leaves a connect waiting: it can be cancelled, and it can succeed. */
START_TEST(connect_waits)
{
	struct weir_handle h[2];
	struct weir_op op[2];
	struct sockaddr_in addr;
	int listener = listen_raw(&addr, 64), fill_fd[2], conn, waiting = 0;

	ck_assert_int_eq(listen(listener, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		fill_fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fill_fd[i], (struct sockaddr *)&addr, sizeof(addr));
	}
	for (unsigned i = 0; i < 2; i++) {
		open_stream(&h[i], AF_INET);
		submit(connect_op(&op[i], &h[i], &addr, sizeof(addr)));
		waiting += !is_done(&op[i]);
	}
	ck_assert_int_eq(waiting, 2);
	ck_assert_int_eq(turn(), 0);
	cancel(&op[0]);
	ck_assert_int_eq(op[0].res, -ECANCELED);
	detach(&h[0]);
	/* The client's kernel repeats the SYN within about a second. */
	fcntl(listener, F_SETFL, O_NONBLOCK);
	while (!is_done(&op[1])) {
		conn = (int)raw(SYS_accept4, listener, NULL, NULL, 0);
		if (conn >= 0)
			close(conn);
		turn_of(be0, weir_backend_now(be0) + 50 * WEIR_MSEC);
	}
	ck_assert_int_eq(op[1].res, 0);
	detach(&h[1]);
	close(fill_fd[0]);
	close(fill_fd[1]);
	close(listener);
}
END_TEST

START_TEST(unix_listener_and_connect)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct weir_handle_spec spec = {
		.kind = WEIR_HANDLE_LISTENER,
		.fd = -1,
		.addr = (const struct sockaddr *)&addr,
		.backlog = 1,
	};
	struct weir_handle listener = { 0 }, client, conn;
	struct weir_op op, accept;
	char buf[8];

	/* In the abstract namespace, so that no file is left behind. */
	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "weir-test-%d", (int)getpid());
	spec.addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				    strlen(addr.sun_path + 1));
	ck_assert_int_eq(be0->ops->attach(be0, &listener, &spec), 0);
	submit(accept_op(&accept, &listener, &conn));
	open_stream(&client, AF_UNIX);
	ck_assert_int_eq(finish(submit(connect_op(&op, &client, &addr, spec.addr_len))), 0);
	ck_assert_int_eq(finish(&accept), 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &client, "unix", 4, 0))), 4);
	ck_assert_int_eq(finish(submit(recv_op(&op, &conn, buf, sizeof(buf)))), 4);
	detach(&client);
	ck_assert_int_eq(finish(submit(recv_op(&op, &conn, buf, sizeof(buf)))), 0);
	detach(&conn);
	detach(&listener);
}
END_TEST

START_TEST(attach_says_why_not)
{
	struct sockaddr_in addr;
	int taken = listen_raw(&addr, 64);
	struct weir_handle_spec spec = {
		.kind = WEIR_HANDLE_LISTENER,
		.fd = -1,
		.addr = (const struct sockaddr *)&addr,
		.addr_len = sizeof(addr),
		.backlog = 1,
	};
	struct weir_handle h = { 0 };

	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EADDRINUSE);
	spec = (struct weir_handle_spec){ .kind = WEIR_HANDLE_FOREIGN, .fd = 9999 };
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EBADF);
	spec = (struct weir_handle_spec){ .kind = WEIR_HANDLE_LISTENER, .fd = -1 };
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EINVAL);
	spec = (struct weir_handle_spec){ .kind = WEIR_HANDLE_NONE, .fd = -1 };
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EINVAL);
	spec = (struct weir_handle_spec){ .kind = WEIR_HANDLE_STREAM, .fd = -1, .family = 9999 };
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EAFNOSUPPORT);
	close(taken);
}
END_TEST

START_TEST(controls)
{
	struct weir_keepalive keep = { .idle_s = 30, .interval_s = 5, .count = 3 };
	struct weir_handle h;
	struct sockaddr_storage name;
	int peer = tcp_pair(&h), value = 1, got;
	socklen_t len = sizeof(got);

	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_NODELAY, &value, sizeof(value)), 0);
	getsockopt(h.fd, IPPROTO_TCP, TCP_NODELAY, &got, &len);
	ck_assert_int_ne(got, 0);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_KEEPALIVE, &keep, sizeof(keep)), 0);
	getsockopt(h.fd, IPPROTO_TCP, TCP_KEEPIDLE, &got, &len);
	ck_assert_int_eq(got, 30);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_PEER_ADDR, &name, sizeof(name)), 0);
	ck_assert_int_eq(name.ss_family, AF_INET);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_ERROR, &value, sizeof(value)), 0);
	ck_assert_int_eq(value, 0);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_NODELAY, &value, 1), -EINVAL);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_NODELAY, NULL, 4), -EINVAL);
	/* With linger 0, closing resets. */
	value = 0;
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_LINGER, &value, sizeof(value)), 0);
	detach(&h);
	ck_assert_int_eq(read(peer, &value, 1), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(peer);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(accept_now_and_later),
		CASE(accepts_of_several_waiters),
		CASE(accept_out_of_descriptors),
		CASE(accept_passes_over_the_dead, .rounds = 4),
		CASE(accept_passes_over_so_many_dead_and_no_more),
		CASE(cancelled_accept_takes_nobody),
		CASE(connect_and_talk),
		CASE(connect_refused),
		CASE(connect_waits),
		CASE(unix_listener_and_connect),
		CASE(attach_says_why_not),
		CASE(controls),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
