/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_accept.c: io_uring: accepting ahead, the queue of accepted connections, and
 * connections that a cancelled accept received.
 */
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/unit/backends_iouring_rig.h"

/* ---- accept ------------------------------------------------------------------------------- */

START_TEST(accepts)
{
	struct weir_handle listener, conn[8];
	struct weir_op op[8], echo;
	struct sockaddr_in addr;
	char buf[8];
	int client[8];

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	client[0] = connect_raw(&addr);
	for (unsigned i = 0; i < 8; i++)
		submit(accept_op(&op[i], &listener, &conn[i]));
	for (unsigned i = 1; i < 8; i++)
		client[i] = connect_raw(&addr);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(finish(&op[i]), 0);
		ck_assert_int_eq(conn[i].kind, WEIR_HANDLE_STREAM);
		ck_assert_int_eq(fcntl(conn[i].fd, F_GETFD), FD_CLOEXEC);
		submit(recv_op(&echo, &conn[i], buf, sizeof(buf)));
		put(client[i], "hi");
		ck_assert_int_eq(finish(&echo), 2);
	}
	for (unsigned i = 0; i < 8; i++) {
		detach(&conn[i]);
		close(client[i]);
	}
	detach(&listener);
	end();
}
END_TEST

/*
 * A connection that arrives during a cancel goes to the next accept, or is closed with the
 * listener.
 */
START_TEST(accept_cancelled)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client[2];

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	turn_of(be0, 0);
	client[0] = connect_raw(&addr);
	cancel(&op);
	ck_assert_int_eq(finish(&op), -ECANCELED);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	submit(accept_op(&op, &listener, &conn));
	turn_of(be0, 0);
	client[1] = connect_raw(&addr);
	detach(&listener);
	ck_assert_int_eq(op.res, -ECANCELED);
	read_end(client[1]);
	close(client[0]);
	close(client[1]);
	end();
}
END_TEST

/* More connections than accepts, then the listener is closed: none is lost, none stays open. */
START_TEST(accept_queue)
{
	enum {
		MANY = 200
	};
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	unsigned queued;
	int client[MANY];

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	for (unsigned i = 0; i < MANY - 20; i++)
		client[i] = connect_raw(&addr);
	ck_assert_int_eq(finish(&op), 0);
	detach(&conn);
	settle(be0);
	/* The multishot accept has stopped: further connections wait in the kernel. */
	queued = state_of(&listener)->fds->len;
	ck_assert(queued > 64 || _i != PLAIN);
	for (unsigned i = MANY - 20; i < MANY; i++)
		client[i] = connect_raw(&addr);
	settle(be0);
	ck_assert_uint_eq(state_of(&listener)->fds->len, queued);
	for (unsigned i = 1; i < MANY - 10; i++) {
		ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
		detach(&conn);
	}
	detach(&listener);
	for (unsigned i = 0; i < MANY; i++) {
		read_end(client[i]);
		close(client[i]);
	}
	end();
}
END_TEST

/* The queue does not grow without bound, even if it is never empty. */
START_TEST(accept_queue_is_bounded)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	int client[3];

	begin(PLAIN);
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	for (unsigned i = 0; i < 3; i++)
		client[i] = connect_raw(&addr);
	ck_assert_int_eq(finish(&op), 0);
	detach(&conn);
	settle(be0);
	for (unsigned i = 0; i < 1000; i++) {
		close(client[i % 3]);
		client[i % 3] = connect_raw(&addr);
		while (state_of(&listener)->fds->len < 3)
			turn_of(be0, WEIR_FOREVER);
		ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
		detach(&conn);
	}
	ck_assert_uint_le(state_of(&listener)->fds->cap, 128);
	detach(&listener);
	for (unsigned i = 0; i < 3; i++)
		close(client[i]);
	end();
}
END_TEST

/* The kernel applies the descriptor limit as it was when the request was made. */
START_TEST(accept_out_of_descriptors)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	struct rlimit was, none;
	int client;

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	client = connect_raw(&addr);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 3, was.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), -EMFILE);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	detach(&listener);
	close(client);
	end();
}
END_TEST

/* Reports an accept error, as the kernel does for connections that broke in its queue. */
static void die(struct weir_handle *listener, int err)
{
	struct io_uring_cqe cqe = { .res = err, .flags = IORING_CQE_F_MORE };

	weir__uring_accept_done(uring(0), listener, &cqe);
}

START_TEST(only_the_dead_are_an_answer_at_last)
{
	struct weir_handle listener, conn;
	struct weir_op op;
	struct sockaddr_in addr;
	unsigned died = 0;
	int client;

	begin((unsigned)_i);
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	for (; !is_done(&op) && died < 1000; died++)
		die(&listener, -ECONNABORTED);
	ck_assert(is_done(&op));
	ck_assert_int_eq(op.res, -ECONNABORTED);
	ck_assert_uint_ge(died, 10);
	submit(accept_op(&op, &listener, &conn));
	die(&listener, -ECONNABORTED);
	ck_assert(!is_done(&op));
	die(&listener, -EPERM);
	ck_assert_int_eq(op.res, -EPERM);
	client = connect_raw(&addr);
	ck_assert_int_eq(finish(submit(accept_op(&op, &listener, &conn))), 0);
	detach(&conn);
	detach(&listener);
	close(client);
	end();
}
END_TEST

/* Connections whose completions did not fit into the ring are closed at the end, too. */
START_TEST(accepts_left_in_a_full_ring)
{
	enum {
		LISTENERS = 30,
		EACH = 10
	};
	struct weir_handle listener[LISTENERS], conn[LISTENERS];
	struct weir_op op[LISTENERS];
	struct sockaddr_in addr;
	int client[LISTENERS * EACH];

	begin(TINY);
	for (unsigned i = 0; i < LISTENERS; i++) {
		open_listener(&listener[i], &addr);
		submit(accept_op(&op[i], &listener[i], &conn[i]));
		for (unsigned n = 0; n < EACH; n++)
			client[i * EACH + n] = connect_raw(&addr);
	}
	if (!uring(0)->enabled)
		turn_of(be0, 0);
	io_uring_submit_and_get_events(&uring(0)->ring);
	ck_assert(*uring(0)->ring.sq.kflags & IORING_SQ_CQ_OVERFLOW);
	for (unsigned i = 0; i < LISTENERS; i++) {
		if (is_done(&op[i]))
			detach_some_time(&conn[i]);
		detach_some_time(&listener[i]);
	}
	become(be0);
	be0->ops->fini(be0);
	free(be0);
	be0 = NULL;
	ck_assert_uint_ge(detached, LISTENERS);
	for (unsigned i = 0; i < LISTENERS * EACH; i++) {
		read_end(client[i]);
		close(client[i]);
	}
	end();
}
END_TEST

/*
 * The kernel runs about twenty tasks of a ring per call. The end of the listener's request comes
 * after more than that; only with it does the port become free.
 */
START_TEST(a_closed_listener_has_left_its_port)
{
	enum {
		STREAMS = 100
	};
	struct weir_handle listener, conn, stream[STREAMS];
	struct weir_op accept, op[STREAMS];
	struct sockaddr_in addr;
	char buf[STREAMS];
	int peer[STREAMS], fd;

	begin((unsigned)_i);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	open_listener(&listener, &addr);
	submit(accept_op(&accept, &listener, &conn));
	for (unsigned i = 0; i < STREAMS; i++) {
		peer[i] = tcp_pair(&stream[i]);
		submit(recv_op(&op[i], &stream[i], &buf[i], 1));
	}
	turn_of(be0, 0);
	for (unsigned i = 0; i < STREAMS; i++)
		put(peer[i], "x");
	be0->ops->detach(be0, &listener);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(finish(&accept), -ECANCELED);
	for (unsigned i = 0; i < STREAMS; i++) {
		ck_assert_int_eq(finish(&op[i]), 1);
		detach(&stream[i]);
		close(peer[i]);
	}
	close(fd);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EVERY(accepts),
		EVERY(accept_cancelled),
		EVERY(accept_queue),
		TESTING(accept_queue_is_bounded),
		EVERY(accept_out_of_descriptors),
		EVERY(only_the_dead_are_an_answer_at_last),
		TESTING(accepts_left_in_a_full_ring),
		EVERY(a_closed_listener_has_left_its_port),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
