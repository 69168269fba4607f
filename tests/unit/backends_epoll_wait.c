/* SPDX-License-Identifier: MIT */
/*
 * backends_epoll_wait.c: the readiness adaptor over epoll: foreign descriptors, failing system
 * calls, events at critical moments, sleeping and waking, fairness.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "backends/readiness/try.h"
#include "tests/unit/backends_rig.h"

/* Returns how many events the poller reports at once. */
static int events_now(void)
{
	uint64_t before = be0->worker->metrics.events;

	turn();
	return (int)(be0->worker->metrics.events - before);
}

/* ---- foreign descriptors ------------------------------------------------------------------ */

START_TEST(poll_a_pipe)
{
	struct weir_handle in, out;
	struct weir_op op;
	int fds[2];
	char byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	adopt(be0, &in, fds[0], WEIR_HANDLE_FOREIGN);
	adopt(be0, &out, fds[1], WEIR_HANDLE_FOREIGN);
	ck_assert_int_eq(finish(submit(poll_op(&op, &out, WEIR_WRITABLE))), WEIR_WRITABLE);
	submit(poll_op(&op, &in, WEIR_READABLE));
	ck_assert(!is_done(&op));
	put(fds[1], "x");
	ck_assert_int_eq(finish(&op), WEIR_READABLE);
	/* The unread byte makes it readable again, without a new edge. */
	ck_assert_int_eq(finish(submit(poll_op(&op, &in, WEIR_READABLE))), WEIR_READABLE);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	submit(poll_op(&op, &in, WEIR_READABLE));
	turn();
	ck_assert(!is_done(&op));
	detach(&out);
	close(fds[1]);
	ck_assert_int_eq(finish(&op), WEIR_HANGUP);
	detach(&in);
	/* The backend must not have closed the descriptor. */
	ck_assert_int_ge(fcntl(fds[0], F_GETFD), 0);
	close(fds[0]);
}
END_TEST

START_TEST(poll_a_regular_file)
{
	char name[] = "/tmp/weir-test-XXXXXX";
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_FOREIGN, .fd = mkstemp(name) };
	struct weir_handle h = { 0 };

	unlink(name);
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -EPERM);
	close(spec.fd);
}
END_TEST

START_TEST(polls_of_several_waiters)
{
	struct weir_handle h;
	struct weir_op in[2], out, priority;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	adopt(be0, &h, fds[0], WEIR_HANDLE_FOREIGN);
	submit(poll_op(&in[0], &h, WEIR_READABLE));
	submit(poll_op(&priority, &h, WEIR_PRIORITY));
	submit(poll_op(&in[1], &h, WEIR_READABLE));
	ck_assert_int_eq(finish(submit(poll_op(&out, &h, WEIR_WRITABLE))), WEIR_WRITABLE);
	put(fds[1], "x");
	ck_assert_int_eq(finish(&in[0]), WEIR_READABLE);
	ck_assert_int_eq(finish(&in[1]), WEIR_READABLE);
	ck_assert(!is_done(&priority));
	cancel(&priority);
	ck_assert_int_eq(priority.res, -ECANCELED);
	detach(&h);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(poll_priority_data)
{
	struct weir_handle h;
	struct weir_op in, priority;
	struct sockaddr_in addr;
	int listener = listen_raw(&addr, 64), peer = connect_raw(&addr);
	int fd = (int)raw(SYS_accept4, listener, NULL, NULL, 0);

	adopt(be0, &h, fd, WEIR_HANDLE_FOREIGN);
	/* The first registration does not ask for priority events. */
	submit(poll_op(&in, &h, WEIR_READABLE));
	submit(poll_op(&priority, &h, WEIR_PRIORITY));
	ck_assert_uint_eq(calls[EPOLL_CTL], 2);
	ck_assert_int_eq(raw(SYS_sendto, peer, "!", 1, MSG_OOB, NULL, 0), 1);
	ck_assert_int_eq(finish(&priority), WEIR_PRIORITY);
	ck_assert(!is_done(&in));
	cancel(&in);
	detach(&h);
	close(fd);
	close(peer);
	close(listener);
}
END_TEST

/* A foreign descriptor is removed from epoll, so that its number can be used again. */
START_TEST(foreign_descriptor_can_return)
{
	struct weir_handle h;
	struct weir_op op;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t one = 1;

	for (unsigned i = 0; i < 3; i++) {
		adopt(be0, &h, fd, WEIR_HANDLE_FOREIGN);
		submit(poll_op(&op, &h, WEIR_READABLE));
		ck_assert(!is_done(&op));
		ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
		ck_assert_int_eq(finish(&op), WEIR_READABLE);
		ck_assert_int_eq(read(fd, &one, sizeof(one)), sizeof(one));
		detach(&h);
	}
	close(fd);
}
END_TEST

/* Closing a descriptor does not remove it from epoll while a copy of it is open. */
START_TEST(nothing_is_heard_of_a_closed_copy)
{
	struct weir_handle h;
	struct weir_op op;
	int fds[2], kept;
	char byte;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	adopt(be0, &h, fcntl(fds[0], F_DUPFD_CLOEXEC, 0), WEIR_HANDLE_STREAM);
	submit(recv_op(&op, &h, &byte, 1));
	detach(&h);
	ck_assert_int_eq(op.res, -ECANCELED);
	put(fds[1], "x");
	ck_assert_int_eq(events_now(), 0);
	close(fds[0]);
	close(fds[1]);

	/* A socket of weir's of which a child process has a copy. */
	fds[1] = tcp_pair(&h);
	kept = fcntl(h.fd, F_DUPFD_CLOEXEC, 0);
	weir__ready_of(&h)->ready &= ~(uint64_t)WEIR__READY_SHARED;
	submit(recv_op(&op, &h, &byte, 1));
	weir__forked = true;
	detach(&h);
	put(fds[1], "x");
	ck_assert_int_eq(events_now(), 0);
	close(kept);
	close(fds[1]);
}
END_TEST

START_TEST(a_descriptor_is_registered_twice)
{
	struct weir_handle h[2];
	struct weir_op op[2];
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), copy;
	uint64_t one = 1;

	for (int i = 0; i < 2; i++) {
		adopt(be0, &h[i], fd, WEIR_HANDLE_FOREIGN);
		submit(poll_op(&op[i], &h[i], WEIR_READABLE));
	}
	copy = h[1].fd;
	ck_assert_int_ne(copy, fd);
	ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
	ck_assert_int_eq(finish(&op[0]), WEIR_READABLE);
	ck_assert_int_eq(finish(&op[1]), WEIR_READABLE);
	detach(&h[0]);
	detach(&h[1]);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	ck_assert_int_lt(fcntl(copy, F_GETFD), 0);
	close(fd);
}
END_TEST

START_TEST(no_room_for_a_foreign_descriptor)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_FOREIGN,
					 .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	struct weir_handle h = { 0 };

	fail_next(EPOLL_CTL, ENOSPC, 1);
	ck_assert_int_eq(be0->ops->attach(be0, &h, &spec), -ENOSPC);
	close(spec.fd);
}
END_TEST

/* ---- failures of the kernel --------------------------------------------------------------- */

START_TEST(no_room_to_register)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer = unix_pair(&h);

	fail_next(EPOLL_CTL, ENOSPC, 1);
	ck_assert_int_eq(submit(recv_op(&op, &h, buf, 4))->res, -ENOSPC);
	fail_next(EPOLL_CTL, ENOMEM, 1);
	ck_assert_int_eq(submit(poll_op(&op, &h, WEIR_READABLE))->res, -ENOMEM);
	submit(recv_op(&op, &h, buf, 4));
	put(peer, "x");
	ck_assert_int_eq(finish(&op), 1);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(interrupted_calls_are_made_again)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op;
	char buf[4];
	int peer = unix_pair(&h);

	put(peer, "x");
	fail_next(RECV, EINTR, 3);
	ck_assert_int_eq(submit(recv_op(&op, &h, buf, 4))->res, 1);
	fail_next(SEND, EINTR, 3);
	ck_assert_int_eq(submit(send_op(&op, &h, "y", 1, 0))->res, 1);
	put(peer, "z");
	fail_next(RECV, EINTR, 3);
	ck_assert_int_eq(submit(lease_op(&op, &h, &lease))->res, 1);
	give_back(&lease);
	fail_next(EPOLL_WAIT, EINTR, 3);
	ck_assert_int_eq(turn(), 0);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(poll_reports_a_broken_poller)
{
	fail_next(EPOLL_WAIT, EBADF, 1);
	ck_assert_int_eq(be0->ops->poll(be0, 0, true), -EBADF);
}
END_TEST

/* ---- an event after a call found nothing and before its op is queued ---------------------- */

static int meanwhile_peer;

/* Bytes arrive, and a sibling handles the event while no op is queued. */
static void data_and_event(void)
{
	put(meanwhile_peer, "now");
	become(be1);
	turn_of(be0, WEIR_FOREVER);
	become(be0);
}

START_TEST(event_between_receive_and_queue)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];

	meanwhile_peer = tcp_pair(&h);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	cancel(&op);
	turn();
	/* A try does not change what the handle knows, so the next receive makes a call. */
	put(meanwhile_peer, "12");
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 2))), 2);
	meanwhile = data_and_event;
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_ptr_null(meanwhile);
	ck_assert(is_done(&op));
	ck_assert_int_eq(op.res, 3);
	detach(&h);
	close(meanwhile_peer);
}
END_TEST

/* Sends a text, and polls until the backend has given the waiting op back to its task. */
static void give_to_task(struct weir_op *op, const char *text)
{
	turn();
	put(meanwhile_peer, text);
	while (weir__load(&op->state, WEIR_RELAXED) != WEIR_OP_RETRY)
		turn_of(be0, WEIR_FOREVER);
}

/* The op is submitted again on another worker. Its home may be asleep, so nobody else looks. */
START_TEST(event_between_retry_and_queue)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];

	meanwhile_peer = tcp_pair(&h);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	give_to_task(&op, "stolen");
	ck_assert_int_eq(raw(SYS_read, h.fd, buf, sizeof(buf)), 6);
	meanwhile = data_and_event;
	submit_to(be1, &op);
	ck_assert_ptr_null(meanwhile);
	ck_assert_int_eq(op.state, WEIR_OP_DONE);
	ck_assert_int_eq(op.res, 3);
	ck_assert_mem_eq(buf, "now", 3);
	become(be0);
	detach(&h);
	close(meanwhile_peer);
}
END_TEST

/* The retry empties the socket. Then bytes arrive with an event, before the retry records that. */
START_TEST(event_between_short_retry_and_its_note)
{
	struct weir_handle h;
	struct weir_op op, next;
	char buf[16];

	meanwhile_peer = tcp_pair(&h);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	give_to_task(&op, "first");
	meanwhile_found = data_and_event;
	submit_to(be1, &op);
	ck_assert_ptr_null(meanwhile_found);
	ck_assert_int_eq(op.state, WEIR_OP_DONE);
	ck_assert_int_eq(op.res, 5);
	/* There will be no other event for these bytes. */
	submit(recv_op(&next, &h, buf, sizeof(buf)));
	ck_assert_int_eq(next.state, WEIR_OP_DONE);
	ck_assert_int_eq(next.res, 3);
	detach(&h);
	close(meanwhile_peer);
}
END_TEST

START_TEST(event_between_look_and_queue)
{
	struct weir_handle h;
	struct weir_op op, other;

	meanwhile_peer = unix_pair(&h);
	/* Another op waits for another kind of event. */
	submit(poll_op(&other, &h, WEIR_PRIORITY));
	turn();
	meanwhile = data_and_event;
	submit(poll_op(&op, &h, WEIR_READABLE));
	ck_assert_ptr_null(meanwhile);
	ck_assert(is_done(&op));
	ck_assert_int_eq(op.res, WEIR_READABLE);
	detach(&h);
	close(meanwhile_peer);
}
END_TEST

/* ---- waiting and waking ------------------------------------------------------------------- */

START_TEST(a_look_is_one_call)
{
	ck_assert_int_eq(turn(), 0);
	ck_assert_uint_eq(calls[EPOLL_WAIT], 1);
}
END_TEST

START_TEST(waits_until_the_deadline)
{
	uint64_t deadline = weir_backend_now(be0) + (_i ? 3 * WEIR_MSEC : 300 * WEIR_USEC);

	ck_assert_int_eq(turn_of(be0, deadline), 0);
	ck_assert(weir_backend_now(be0) >= deadline);
	/* With a deadline in the past it does not wait. */
	ck_assert_int_eq(turn_of(be0, 1), 0);
}
END_TEST

START_TEST(wake_before_and_during)
{
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	be0->ops->wake(be0);
	be0->ops->wake(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	/* The two wakes were one event. */
	ck_assert_int_eq(turn_of(be0, weir_backend_now(be0) + 5 * WEIR_MSEC), 0);
}
END_TEST

static unsigned wakes_wanted, wakes_seen;

static void *wake_often(void *arg)
{
	for (unsigned i = 1; i <= wakes_wanted; i++) {
		be0->ops->wake(be0);
		while (weir__load(&wakes_seen, WEIR_ACQUIRE) < i)
			sched_yield();
	}
	return arg;
}

START_TEST(every_wake_arrives)
{
	pthread_t thread;

	wakes_wanted = 2000;
	pthread_create(&thread, NULL, wake_often, NULL);
	for (unsigned i = 1; i <= wakes_wanted; i++) {
		ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
		weir__store(&wakes_seen, i, WEIR_RELEASE);
	}
	pthread_join(thread, NULL);
}
END_TEST

static void wake_in_handler(int sig)
{
	(void)sig;
	be0->ops->wake(be0);
}

START_TEST(wake_from_a_signal_handler)
{
	signal(SIGUSR1, wake_in_handler);
	raise(SIGUSR1);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	signal(SIGUSR1, SIG_DFL);
}
END_TEST

/* ---- fairness ----------------------------------------------------------------------------- */

START_TEST(hot_socket_beside_quiet_ones)
{
	enum {
		QUIET = 50,
		HOT = 200
	};
	struct weir_handle hot, quiet[QUIET];
	struct weir_op hot_op[HOT], quiet_op[QUIET];
	char hot_buf[HOT], quiet_buf[QUIET], text[HOT + 1];
	int hot_peer = unix_pair(&hot), peer[QUIET];
	unsigned before = 0, after = 0;

	for (unsigned i = 0; i < HOT; i++)
		submit(recv_op(&hot_op[i], &hot, &hot_buf[i], 1));
	for (unsigned i = 0; i < QUIET; i++) {
		peer[i] = unix_pair(&quiet[i]);
		submit(recv_op(&quiet_op[i], &quiet[i], &quiet_buf[i], 1));
	}
	turn();
	memset(text, 'x', HOT);
	text[HOT] = '\0';
	put(hot_peer, text);
	for (unsigned i = 0; i < QUIET; i++)
		put(peer[i], "y");
	turn();
	for (unsigned i = 0; i < HOT; i++)
		before += is_done(&hot_op[i]);
	for (unsigned i = 0; i < QUIET; i++)
		ck_assert(is_done(&quiet_op[i]));
	ck_assert_uint_ge(before, 1);
	ck_assert_uint_le(before, 16);
	/* The rest completes without another event. A poll does not sleep while work is left. */
	while (!is_done(&hot_op[HOT - 1])) {
		ck_assert_int_gt(turn_of(be0, WEIR_FOREVER), 0);
		ck_assert_uint_le(++after, HOT);
	}
	for (unsigned i = 0; i < HOT; i++)
		ck_assert(is_done(&hot_op[i]));
	for (unsigned i = 0; i < QUIET; i++) {
		detach(&quiet[i]);
		close(peer[i]);
	}
	detach(&hot);
	close(hot_peer);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(poll_a_pipe),
		CASE(poll_a_regular_file),
		CASE(polls_of_several_waiters),
		CASE(poll_priority_data),
		CASE(foreign_descriptor_can_return),
		CASE(nothing_is_heard_of_a_closed_copy),
		CASE(a_descriptor_is_registered_twice),
		CASE(no_room_for_a_foreign_descriptor),
		CASE(no_room_to_register),
		CASE(interrupted_calls_are_made_again),
		CASE(poll_reports_a_broken_poller),
		CASE(event_between_receive_and_queue),
		CASE(event_between_retry_and_queue),
		CASE(event_between_short_retry_and_its_note),
		CASE(event_between_look_and_queue),
		CASE(a_look_is_one_call),
		CASE(waits_until_the_deadline, .rounds = 2),
		CASE(wake_before_and_during),
		CASE(every_wake_arrives),
		CASE(wake_from_a_signal_handler),
		CASE(hot_socket_beside_quiet_ones),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
