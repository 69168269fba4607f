/* SPDX-License-Identifier: MIT */
/*
 * backends_epoll_cancel.c: the readiness adaptor over epoll: cancel, detach, and stale events of
 * detached handles.
 */
#include <stdlib.h>

#include "tests/unit/backends_rig.h"

/* ---- cancel and detach -------------------------------------------------------------------- */

START_TEST(cancel_a_waiting_receive)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	cancel(&op);
	ck_assert(is_done(&op));
	ck_assert_int_eq(op.res, -ECANCELED);
	/* The cancelled receive takes no byte that arrives now. */
	put(peer, "x");
	ck_assert_int_eq(turn_of(be0, weir_backend_now(be0) + 20 * WEIR_MSEC), 0);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 1);
	/* A cancel that comes too late changes nothing. */
	cancel(&op);
	ck_assert_int_eq(op.res, 1);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(cancel_any_of_several)
{
	struct weir_handle h;
	struct weir_op op[3];
	char buf[3];
	int peer = tcp_pair(&h);

	for (unsigned i = 0; i < 3; i++)
		submit(recv_op(&op[i], &h, &buf[i], 1));
	cancel(&op[_i]);
	ck_assert_int_eq(op[_i].res, -ECANCELED);
	put(peer, "ab");
	for (unsigned i = 0, n = 0; i < 3; i++)
		if (i != (unsigned)_i) {
			ck_assert_int_eq(finish(&op[i]), 1);
			ck_assert_int_eq(buf[i], "ab"[n++]);
		}
	submit(recv_op(&op[0], &h, buf, 1));
	put(peer, "c");
	ck_assert_int_eq(finish(&op[0]), 1);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(cancel_says_what_was_sent)
{
	static const char zeros[1 << 20];
	struct weir_handle h;
	struct weir_op op;
	int peer = tcp_pair(&h);

	small_buffers(&h, peer);
	submit(send_op(&op, &h, zeros, sizeof(zeros), WEIR_OP_ALL));
	ck_assert(!is_done(&op));
	cancel(&op);
	ck_assert_int_eq(op.res, -ECANCELED);
	ck_assert_uint_gt(op.u.io.done, 0);
	drain(peer, op.u.io.done);
	ck_assert_int_eq(raw(SYS_recvfrom, peer, &(char){ 0 }, 1, MSG_DONTWAIT, NULL, NULL),
			 -1);
	ck_assert_int_eq(errno, EAGAIN);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(cancel_from_another_worker)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	become(be1);
	cancel(&op);
	ck_assert_int_eq(op.res, -ECANCELED);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(detach_cancels_everything)
{
	struct weir_handle h;
	struct weir_op in[2], out, watch;
	char buf[4];
	int peer = tcp_pair(&h);

	small_buffers(&h, peer);
	fill(&h);
	submit(recv_op(&in[0], &h, buf, sizeof(buf)));
	submit(recv_op(&in[1], &h, buf, sizeof(buf)));
	submit(send_op(&out, &h, "x", 1, 0));
	submit(poll_op(&watch, &h, WEIR_PRIORITY));
	become(be1);
	detach(&h);
	ck_assert_int_eq(in[0].res, -ECANCELED);
	ck_assert_int_eq(in[1].res, -ECANCELED);
	ck_assert_int_eq(out.res, -ECANCELED);
	ck_assert_int_eq(watch.res, -ECANCELED);
	/* The handle is gone. A cancel that comes too late must not touch it. */
	cancel(&in[0]);
	close(peer);
}
END_TEST

/*
 * Another thread detaches a handle while poll processes a batch that contains its event. The next
 * handle gets the same descriptor number.
 */
static struct weir_handle *stale_victim;

static void *detach_victim(void *arg)
{
	(void)arg;
	detach_some_time(stale_victim);
	return NULL;
}

START_TEST(stale_event_finds_nobody)
{
	struct weir_handle h[2], next;
	struct weir_op op[2], other;
	char buf[2][4];
	int peer[2], next_peer;
	pthread_t thread;

	for (unsigned i = 0; i < 2; i++) {
		peer[i] = unix_pair(&h[i]);
		submit(recv_op(&op[i], &h[i], buf[i], 4));
	}
	turn();
	for (unsigned round = 0; round < 50; round++) {
		int fd = h[1].fd;

		put(peer[1], "x");
		stale_victim = &h[1];
		pthread_create(&thread, NULL, detach_victim, NULL);
		turn();
		pthread_join(thread, NULL);
		ck_assert(is_done(&op[1]));
		ck_assert(op[1].res == 1 || op[1].res == -ECANCELED);
		ck_assert_uint_eq(weir__load(&detached_by_all, WEIR_RELAXED), 2 * round + 1);
		close(peer[1]);
		next_peer = unix_pair(&next);
		ck_assert_int_eq(next.fd, fd);
		submit(recv_op(&other, &next, buf[1], 4));
		turn();
		ck_assert(!is_done(&other));
		detach(&next);
		ck_assert_int_eq(other.res, -ECANCELED);
		close(next_peer);
		peer[1] = unix_pair(&h[1]);
		submit(recv_op(&op[1], &h[1], buf[1], 4));
	}
	for (unsigned i = 0; i < 2; i++) {
		detach(&h[i]);
		close(peer[i]);
	}
}
END_TEST

/* The same without chance: the handle is detached after the events have been fetched. */
static void (*between)(void);

static int wait_and_interfere(struct weir__readiness *r, struct weir__event *events, int max,
			      int64_t timeout_ns)
{
	int n = real_poller->wait(r, events, max, timeout_ns);

	if (n > 0)
		between();
	return n;
}

static struct weir_handle stale_next;
static struct weir_op stale_op;
static char stale_buf[4];
static int stale_peer;

static void replace_victim(void)
{
	int fd = stale_victim->fd;

	detach(stale_victim);
	stale_peer = unix_pair(&stale_next);
	ck_assert_int_eq(stale_next.fd, fd);
	submit(recv_op(&stale_op, &stale_next, stale_buf, 4));
}

START_TEST(stale_event_in_hand_finds_nobody)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer = unix_pair(&h);

	submit(recv_op(&op, &h, buf, 4));
	turn();
	intercept_wait(wait_and_interfere);
	between = replace_victim;
	stale_victim = &h;
	put(peer, "x");
	forget_calls();
	ck_assert_int_eq(turn(), 0);
	release_wait();
	ck_assert_int_eq(op.res, -ECANCELED);
	/* Only the submit has called recv: the stale event did not reach the new handle. */
	ck_assert_uint_eq(calls[RECV], 1);
	ck_assert(!is_done(&stale_op));
	put(stale_peer, "yy");
	ck_assert_int_eq(finish(&stale_op), 2);
	detach(&stale_next);
	close(stale_peer);
	close(peer);
}
END_TEST

static struct weir_op *race_op;
static unsigned race_round, race_done;

static void *race_canceller(void *arg)
{
	for (unsigned round = 1;; round++) {
		unsigned at;

		while ((at = weir__load(&race_round, WEIR_ACQUIRE)) < round)
			sched_yield();
		if (at == UINT_MAX)
			return arg;
		/* Like the core, cancels only while the op is not known to be done. */
		if (!is_done(race_op))
			cancel(race_op);
		weir__store(&race_done, round, WEIR_RELEASE);
	}
}

static void free_handle(struct weir_handle *h)
{
	free(h);
}

START_TEST(close_races_with_cancel)
{
	struct weir_op op;
	pthread_t thread;
	char buf[4];

	race_op = &op;
	pthread_create(&thread, NULL, race_canceller, NULL);
	for (unsigned round = 1; round <= 2000; round++) {
		struct weir_handle *h = malloc(sizeof(*h));
		int peer = unix_pair(h);

		h->released = free_handle;
		submit(recv_op(&op, h, buf, sizeof(buf)));
		weir__store(&race_round, round, WEIR_RELEASE);
		if (round % 3 == 0)
			put(peer, "x");
		if (round % 5 == 0)
			turn();
		detach_some_time(h);
		while (weir__load(&race_done, WEIR_ACQUIRE) < round)
			sched_yield();
		ck_assert(is_done(&op));
		ck_assert_uint_eq(weir__load(&detached_by_all, WEIR_RELAXED), round);
		close(peer);
	}
	weir__store(&race_round, UINT_MAX, WEIR_RELEASE);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(detach_from_the_ready_list)
{
	enum {
		OPS = 20
	};
	struct weir_handle h, next;
	struct weir_op op[OPS], other;
	char buf[OPS], text[] = "xxxxxxxxxxxxxxxxxxxx";
	int peer = unix_pair(&h), next_peer;

	for (unsigned i = 0; i < OPS; i++)
		submit(recv_op(&op[i], &h, &buf[i], 1));
	put(peer, text);
	turn();
	ck_assert(is_done(&op[0]) && !is_done(&op[OPS - 1]));
	detach(&h);
	ck_assert_int_eq(op[OPS - 1].res, -ECANCELED);
	close(peer);
	next_peer = unix_pair(&next);
	submit(recv_op(&other, &next, buf, 1));
	turn();
	turn();
	ck_assert(!is_done(&other));
	put(next_peer, "y");
	ck_assert_int_eq(finish(&other), 1);
	detach(&next);
	close(next_peer);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(cancel_a_waiting_receive),
		CASE(cancel_any_of_several, .rounds = 3),
		CASE(cancel_says_what_was_sent),
		CASE(cancel_from_another_worker),
		CASE(detach_cancels_everything),
		CASE(stale_event_finds_nobody),
		CASE(stale_event_in_hand_finds_nobody),
		CASE(close_races_with_cancel),
		CASE(detach_from_the_ready_list),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
