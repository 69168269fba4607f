/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_connect.c: io_uring: connects that succeed at once, later, or never.
 */
#include <stdio.h>
#include <sys/un.h>

#include "tests/unit/backends_iouring_rig.h"

/* ---- connect ------------------------------------------------------------------------------- */

static socklen_t unix_name(struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* In the abstract namespace, so that no file is left behind. */
	snprintf(addr->sun_path + 1, sizeof(addr->sun_path) - 1, "weir-test-%d", (int)getpid());
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(addr->sun_path + 1));
}

/* Makes a Unix listener with a full queue. */
static int full_unix_listener(struct sockaddr_un *addr, socklen_t *ret_len, int ret_clients[2])
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned n = 0;

	*ret_len = unix_name(addr);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)addr, *ret_len), 0);
	ck_assert_int_eq(listen(fd, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		ret_clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		n += connect(ret_clients[i], (struct sockaddr *)addr, *ret_len) == 0;
	}
	ck_assert_uint_eq(n, 1);
	return fd;
}

/* The result is that of a non-blocking connect: no event would tell when there is room. */
START_TEST(unix_connect_without_room)
{
	struct sockaddr_un addr;
	struct weir_handle h;
	struct weir_op op;
	int listener, clients[2], conn;
	socklen_t len;

	begin((unsigned)_i);
	listener = full_unix_listener(&addr, &len, clients);
	open_stream(&h, AF_UNIX);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, len))), -EAGAIN);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, len))), -EAGAIN);
	conn = accept4(listener, NULL, NULL, 0);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, len))), 0);
	detach(&h);
	close(conn);
	close(listener);
	close(clients[0]);
	close(clients[1]);
	end();
}
END_TEST

/* The listener's queue is full, so it does not answer. */
START_TEST(connect_that_waits)
{
	struct sockaddr_in addr;
	struct weir_handle h;
	struct weir_op op;
	int listener, clients[2];

	begin((unsigned)_i);
	listener = full_listener(&addr, clients);
	for (unsigned round = 0; round < 4; round++) {
		open_stream(&h, AF_INET);
		submit(connect_op(&op, &h, &addr, sizeof(addr)));
		if (round & 1)
			turn_of(be0, 0);
		ck_assert(!is_done(&op));
		if (round & 2) {
			cancel(&op);
			ck_assert_int_eq(finish(&op), -ECANCELED);
		}
		detach(&h);
		ck_assert_int_eq(op.res, -ECANCELED);
	}
	close(listener);
	close(clients[0]);
	close(clients[1]);
	end();
}
END_TEST

START_TEST(connects)
{
	struct sockaddr_in addr;
	struct weir_handle h;
	struct weir_op op;
	int listener, conn;

	begin((unsigned)_i);
	listener = listen_raw(&addr, 8);
	open_stream(&h, AF_INET);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, sizeof(addr)))), 0);
	conn = accept4(listener, NULL, NULL, 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "hi", 2, 0))), 2);
	drain(conn, 2);
	detach(&h);
	ck_assert_int_eq(read_end(conn), 0);
	close(conn);
	close(listener);
	open_stream(&h, AF_INET);
	ck_assert_int_eq(finish(submit(connect_op(&op, &h, &addr, sizeof(addr)))), -ECONNREFUSED);
	detach(&h);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EVERY(unix_connect_without_room),
		EVERY(connect_that_waits),
		EVERY(connects),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
