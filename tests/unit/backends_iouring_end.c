/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_end.c: io_uring: instances that move between threads, threads that end, the end
 * of an instance, and fork.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/backends_iouring_rig.h"

/* ---- an instance that moves between threads ------------------------------------------------ */

struct errand {
	struct weir_handle *h, *listener, *conn;
	struct weir_op in, accept, connect, leased;
	struct weir_lease lease;
	struct weir_handle *far;
	struct sockaddr_in *addr;
	char buf[4];
};

/* Starts operations of each kind. Then the thread ends. */
static void *start_and_leave(void *arg)
{
	struct errand *e = arg;

	submit(recv_op(&e->in, e->h, e->buf, 4));
	submit(accept_op(&e->accept, e->listener, e->conn));
	if (e->far)
		submit(connect_op(&e->connect, e->far, e->addr, sizeof(*e->addr)));
	turn_of(be0, in_ms(5));
	become(NULL);
	return NULL;
}

START_TEST(thread_ends_with_requests_in_flight)
{
	struct weir_handle h, listener, conn, far;
	struct errand e = { .h = &h, .listener = &listener, .conn = &conn, .far = &far };
	struct sockaddr_in addr, full;
	int peer, client, clients[2], full_fd, fd;
	pthread_t thread;

	begin(MOVES);
	peer = tcp_pair(&h);
	open_listener(&listener, &addr);
	full_fd = full_listener(&full, clients);
	e.addr = &full;
	open_stream(&far, AF_INET);
	pthread_create(&thread, NULL, start_and_leave, &e);
	pthread_join(thread, NULL);
	become(be0);
	settle(be0);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	client = connect_raw(&addr);
	put(peer, "x");
	ck_assert_int_eq(finish(&e.in), 1);
	ck_assert_int_eq(finish(&e.accept), 0);
	ck_assert(!is_done(&e.connect));
	/* The client's kernel repeats the SYN within about a second. */
	fcntl(full_fd, F_SETFL, O_NONBLOCK);
	while (!is_done(&e.connect)) {
		fd = accept4(full_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
		turn_of(be0, in_ms(50));
	}
	ck_assert_int_eq(e.connect.res, 0);
	detach(&conn);
	detach(&far);
	detach(&listener);
	detach(&h);
	close(client);
	close(peer);
	close(full_fd);
	close(clients[0]);
	close(clients[1]);
	end();
}
END_TEST

static void *poll_a_while(void *arg)
{
	struct pass *p = arg;

	become(be0);
	for (unsigned i = 0; i < 50; i++) {
		struct weir_lease lease;
		struct weir_op op;

		submit(lease_op(&op, p->h, &lease));
		turn_of(be0, 0);
		put(p->peer, "ball");
		ck_assert_int_eq(finish(&op), 4);
		give_back(&lease);
		be0->ops->wake(be0);
		turn_of(be0, WEIR_FOREVER);
	}
	become(NULL);
	return NULL;
}

/* Threads use the instance one after the other. Some of them still exist afterwards. */
START_TEST(threads_take_turns)
{
	struct weir_handle h;
	struct pass p = { .h = &h };
	pthread_t thread;

	begin(MOVES);
	p.peer = tcp_pair(&h);
	for (unsigned i = 0; i < 10; i++) {
		pthread_create(&thread, NULL, poll_a_while, &p);
		pthread_join(thread, NULL);
		if (i & 1)
			poll_a_while(&p);
	}
	become(be0);
	detach(&h);
	close(p.peer);
	end();
}
END_TEST

/* ---- the end ------------------------------------------------------------------------------- */

static void *open_and_leave(void *arg)
{
	struct errand *e = arg;

	become(be1);
	adopt(be1, e->h, e->h->fd, WEIR_HANDLE_STREAM);
	for (unsigned i = 0; i < 20 && !(state_of(e->h)->flags & ARMED); i++) {
		submit_to(be1, lease_op(&e->leased, e->h, &e->lease));
		turn_of(be1, 0);
		put(e->buf[0], "calm");
		ck_assert_int_eq(finish_at(be1, &e->leased), 4);
		give_back(&e->lease);
	}
	ck_assert(state_of(e->h)->flags & ARMED);
	be1->ops->detach(be1, e->h);
	return NULL;
}

/* The worker's thread ends before its last cancel has reached the kernel. */
START_TEST(fini_after_the_worker_has_ended)
{
	struct weir_handle h;
	struct errand e = { .h = &h };
	pthread_t thread;
	int fds[2];

	begin(PLAIN);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	h.fd = fds[0];
	e.buf[0] = (char)fds[1];
	pthread_create(&thread, NULL, open_and_leave, &e);
	pthread_join(thread, NULL);
	become(be1);
	be1->ops->fini(be1);
	free(be1);
	be1 = NULL;
	ck_assert_uint_eq(detached, 1);
	/* The kernel tears the ring down with delay, so this waits for the end. */
	ck_assert_int_eq(read_end(fds[1]), 0);
	close(fds[1]);
	end();
}
END_TEST

static void *accept_and_leave(void *arg)
{
	struct errand *e = arg;

	become(be1);
	submit_to(be1, accept_op(&e->accept, e->listener, e->conn));
	turn_of(be1, 0);
	return NULL;
}

/*
 * The listener's accept cannot be cancelled any more; it ends when the kernel has torn down the
 * ring.
 */
static void close_behind_its_worker(struct errand *e)
{
	pthread_t thread;

	pthread_create(&thread, NULL, accept_and_leave, e);
	pthread_join(thread, NULL);
	become(be1);
	be1->ops->detach(be1, e->listener);
	ck_assert_int_eq(e->accept.res, -ECANCELED);
	be1->ops->fini(be1);
	free(be1);
	be1 = NULL;
	ck_assert_uint_eq(detached, 1);
}

START_TEST(a_listener_closed_behind_its_worker_has_left_its_port)
{
	struct weir_handle listener, conn;
	struct errand e = { .listener = &listener, .conn = &conn };
	struct weir_handle_spec spec = {
		.kind = WEIR_HANDLE_LISTENER,
		.fd = -1,
		.addr = (const struct sockaddr *)&any_port,
		.addr_len = sizeof(any_port),
		.backlog = 1,
	};
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd, on = 1;

	begin(PLAIN);
	memset(&listener, 0, sizeof(listener));
	ck_assert_int_eq(be1->ops->attach(be1, &listener, &spec), 0);
	ck_assert_int_eq(getsockname(listener.fd, (struct sockaddr *)&addr, &len), 0);
	close_behind_its_worker(&e);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	close(fd);
	end();
}
END_TEST

/* The program may still hold an adopted listener and go on listening with it. */
START_TEST(an_adopted_listener_is_only_let_go_of)
{
	struct weir_handle listener, conn;
	struct errand e = { .listener = &listener, .conn = &conn };
	struct sockaddr_in addr;
	int fd, client;

	begin(PLAIN);
	fd = listen_raw(&addr, 1);
	adopt(be1, &listener, fcntl(fd, F_DUPFD_CLOEXEC, 0), WEIR_HANDLE_LISTENER);
	close_behind_its_worker(&e);
	client = connect_raw(&addr);
	close(client);
	close(fd);
	end();
}
END_TEST

/* The instance ends while closed handles have not been released yet. */
START_TEST(fini_with_closing_handles)
{
	struct weir_handle h[3], listener, conn;
	struct sockaddr_in addr;
	struct weir_op op;
	int peer[3], client;

	begin((unsigned)_i);
	for (unsigned i = 0; i < 3; i++) {
		peer[i] = tcp_pair(&h[i]);
		if (uring(0)->options.multishot_recv)
			arm(&h[i], peer[i]);
	}
	open_listener(&listener, &addr);
	submit(accept_op(&op, &listener, &conn));
	turn_of(be0, 0);
	client = connect_raw(&addr);
	for (unsigned i = 0; i < 3; i++) {
		put(peer[i], "unread");
		detach_some_time(&h[i]);
	}
	detach_some_time(&listener);
	ck_assert_int_eq(op.res, -ECANCELED);
	be0->ops->fini(be0);
	free(be0);
	be0 = NULL;
	ck_assert_uint_eq(detached, 4);
	for (unsigned i = 0; i < 3; i++) {
		read_end(peer[i]);
		close(peer[i]);
	}
	read_end(client);
	close(client);
	end();
}
END_TEST

START_TEST(fork_in_between)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer, status;
	pid_t child;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	if (uring(0)->options.multishot_recv)
		arm(&h, peer);
	else
		turn_of(be0, 0);
	child = fork();
	if (child == 0)
		_exit(0);
	put(peer, "parent");
	ck_assert_int_eq(lease_now(&h, buf), 6);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	submit(recv_op(&op, &h, buf, 16));
	put(peer, "goes on");
	ck_assert_int_eq(finish(&op), 7);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	detach(&h);
	close(peer);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(thread_ends_with_requests_in_flight),
		TESTING(threads_take_turns),
		TESTING(fini_after_the_worker_has_ended),
		TESTING(a_listener_closed_behind_its_worker_has_left_its_port),
		TESTING(an_adopted_listener_is_only_let_go_of),
		EVERY(fini_with_closing_handles),
		EVERY(fork_in_between),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
