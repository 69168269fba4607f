/* SPDX-License-Identifier: MIT */
/*
 * backends_epoll_sibling.c: the readiness adaptor over epoll: two workers use the same handles, and
 * one runs the other's drivers (a sibling poll).
 */
#include <sched.h>
#include <stdlib.h>

#include "tests/unit/backends_rig.h"

/* ---- siblings ----------------------------------------------------------------------------- */

START_TEST(sibling_polls_for_a_stuck_owner)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op[2];
	char buf[4];
	int peer = tcp_pair(&h);

	submit(recv_op(&op[0], &h, buf, sizeof(buf)));
	put(peer, "x");
	become(be1);
	while (!is_done(&op[0]))
		be0->ops->poll(be0, 0, true);
	ck_assert_int_eq(op[0].res, 1);
	/* The lease comes from the stuck worker's pool, by the path for other threads. */
	submit(lease_op(&op[1], &h, &lease));
	put(peer, "lent");
	become(be1);
	while (!is_done(&op[1]))
		be0->ops->poll(be0, 0, true);
	ck_assert_int_eq(op[1].res, 4);
	ck_assert_mem_eq(lease.data, "lent", 4);
	give_back(&lease);
	detach(&h);
	close(peer);
}
END_TEST

/* If a sibling fetches the owner's wake, it passes it on. */
START_TEST(sibling_does_not_swallow_a_wake)
{
	be0->ops->wake(be0);
	become(be1);
	ck_assert_int_eq(be0->ops->poll(be0, 0, true), 0);
	become(be0);
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
}
END_TEST

/*
 * The owner learns of work that a sibling left undone, although the kernel has reported the event.
 */
START_TEST(sibling_leaves_work_behind)
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
	become(be1);
	ck_assert_int_gt(be0->ops->poll(be0, 0, true), 0);
	ck_assert(!is_done(&op[19]));
	become(be0);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(finish(&op[i]), 0);
	for (unsigned i = 0; i < 20; i++) {
		detach(&conn[i]);
		close(client[i]);
	}
	detach(&listener);
}
END_TEST

static void (*between)(void);

static void sibling_before_sleep(void)
{
	become(be1);
	ck_assert_int_gt(be0->ops->poll(be0, 0, true), 0);
	become(be0);
}

static int interfere_and_wait(struct weir__readiness *r, struct weir__event *events, int max,
			      int64_t timeout_ns)
{
	void (*first)(void) = between;

	between = NULL;
	if (first)
		first();
	return real_poller->wait(r, events, max, timeout_ns);
}

/* The same if the owner has already looked at its ready list and is about to sleep. */
START_TEST(sibling_wakes_the_owner_for_what_it_leaves)
{
	enum {
		OPS = 20
	};
	struct weir_handle h;
	struct weir_op op[OPS];
	char buf[OPS];
	int peer = unix_pair(&h);

	for (unsigned i = 0; i < OPS; i++)
		submit(recv_op(&op[i], &h, &buf[i], 1));
	turn();
	intercept_wait(interfere_and_wait);
	between = sibling_before_sleep;
	put(peer, "xxxxxxxxxxxxxxxxxxxx");
	ck_assert_int_eq(turn_of(be0, WEIR_FOREVER), 0);
	release_wait();
	for (unsigned i = 0; i < OPS; i++)
		ck_assert_int_eq(finish(&op[i]), 1);
	detach(&h);
	close(peer);
}
END_TEST

/* Two workers wait on the same new handle at the same moment: one of them becomes its home. */
static struct weir_handle *home_handle;
static unsigned home_round, home_answer;

static void *home_rival(void *arg)
{
	struct weir_op op;
	char buf[4];

	for (unsigned round = 1;; round++) {
		unsigned at;

		while ((at = weir__load(&home_round, WEIR_ACQUIRE)) < round)
			sched_yield();
		if (at == UINT_MAX)
			return arg;
		submit_to(be1, recv_op(&op, home_handle, buf, sizeof(buf)));
		while (!is_done(&op)) {
			turn_of(be1, 0);
			sched_yield();
		}
		ck_assert_int_eq(op.res, 1);
		weir__store(&home_answer, round, WEIR_RELEASE);
	}
}

START_TEST(two_workers_race_for_the_home)
{
	struct weir_handle h;
	struct weir_op op;
	pthread_t thread;

	pthread_create(&thread, NULL, home_rival, NULL);
	for (unsigned round = 1; round <= 2000; round++) {
		int peer = unix_pair(&h);

		home_handle = &h;
		weir__store(&home_round, round, WEIR_RELEASE);
		submit(poll_op(&op, &h, WEIR_READABLE));
		put(peer, "x");
		while (weir__load(&home_answer, WEIR_ACQUIRE) < round) {
			turn();
			sched_yield();
		}
		if (!is_done(&op))
			cancel(&op);
		ck_assert(is_done(&op));
		detach(&h);
		close(peer);
	}
	weir__store(&home_round, UINT_MAX, WEIR_RELEASE);
	pthread_join(thread, NULL);
}
END_TEST

/* The home changes after it was read and before its guard is taken. */
static void *submit_home_op(void *arg)
{
	submit_to(be0, arg);
	return NULL;
}

START_TEST(home_that_moved_is_looked_up_again)
{
	struct weir__readiness *first = WEIR_CONTAINER_OF(be0, struct weir__readiness, base);
	struct weir_handle h;
	struct weir_op op;
	pthread_t thread;
	char buf[4];
	bool as_owner;
	int peer = unix_pair(&h);

	as_owner = weir__guard_take(&first->guard);
	pthread_create(&thread, NULL, submit_home_op, recv_op(&op, &h, buf, sizeof(buf)));
	while (weir__load(&first->waiters, WEIR_ACQUIRE) == 0)
		sched_yield();
	/* As a worker does that is about to register the handle. */
	weir__store(&h.backend, be1, WEIR_RELEASE);
	weir__guard_drop(&first->guard, as_owner);
	pthread_join(thread, NULL);
	ck_assert_ptr_eq(h.backend, be0);
	put(peer, "x");
	ck_assert_int_eq(finish(&op), 1);
	detach(&h);
	close(peer);
}
END_TEST

/* A handle moves to the first worker that registers it, and then stays there. */
START_TEST(home_is_who_registers)
{
	struct weir_handle h;
	struct weir_op op, out;
	char buf[4];
	int peer = tcp_pair(&h);

	submit_to(be1, recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_ptr_eq(h.backend, be1);
	put(peer, "x");
	ck_assert_int_eq(finish_at(be1, &op), 1);
	submit_to(be0, recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_ptr_eq(h.backend, be1);
	ck_assert_int_eq(finish_at(be0, submit_to(be0, send_op(&out, &h, "y", 1, 0))), 1);
	put(peer, "z");
	ck_assert_int_eq(finish_at(be1, &op), 1);
	become(be0);
	submit_to(be0, recv_op(&op, &h, buf, sizeof(buf)));
	cancel(&op);
	ck_assert_int_eq(op.res, -ECANCELED);
	detach(&h);
	close(peer);
}
END_TEST

/*
 * Two workers poll, and each uses handles of both: an echo over many connections whose tasks move
 * to the other worker at every step, with cancels and sibling polls in between.
 */
enum {
	CONNS = 24,
	ROUNDS = 400
};

struct storm_conn {
	struct weir_handle h;
	struct weir_op op;
	int peer;
	unsigned rounds;
	bool lease;
	struct weir_lease lent;
	char buf[8];
	uint32_t owner;		/* 1 + the worker that runs the "task", 0 for none; atomic */
};

static struct storm_conn storm_conns[CONNS];
static unsigned storm_left;

/* One step of a connection's task, on the worker that found it ready. */
static void storm_step(struct storm_conn *c, struct weir_backend *be)
{
	struct weir_op out;
	const uint8_t *data = c->lease ? c->lent.data : (uint8_t *)c->buf;

	if (c->op.res > 0) {
		submit_to(be, send_op(&out, &c->h, data, (size_t)c->op.res, 0));
		ck_assert(is_done(&out));
		ck_assert_int_eq(out.res, c->op.res);
		if (c->lease)
			give_back(&c->lent);
		if (++c->rounds == ROUNDS) {
			detach(&c->h);
			weir__fetch_sub(&storm_left, 1u, WEIR_RELEASE);
			return;
		}
	} else {
		ck_assert_int_eq(c->op.res, -ECANCELED);
	}
	if (c->lease)
		submit_to(be, lease_op(&c->op, &c->h, &c->lent));
	else
		submit_to(be, recv_op(&c->op, &c->h, c->buf, sizeof(c->buf)));
	if (c->rounds % 7 == 3 && !is_done(&c->op))
		cancel(&c->op);
}

static void *storm_worker(void *arg)
{
	struct weir_backend *be = arg, *other = instances[!be->index];
	unsigned tick = be->index;

	become(be);
	while (weir__load(&storm_left, WEIR_ACQUIRE) > 0) {
		be->ops->poll(be, weir_backend_now(be) + 200 * WEIR_USEC, true);
		if (++tick % 5 == 0)
			other->ops->poll(other, 0, true);
		for (unsigned i = 0; i < CONNS; i++) {
			struct storm_conn *c = &storm_conns[(i + tick) % CONNS];
			uint32_t nobody = 0;

			if (!weir__cas(&c->owner, &nobody, 1u + be->index, WEIR_ACQUIRE,
				       WEIR_RELAXED))
				continue;
			if (c->rounds < ROUNDS && is_done(&c->op))
				storm_step(c, be);
			weir__store(&c->owner, 0u, WEIR_RELEASE);
		}
	}
	return NULL;
}

static void *storm_client(void *arg)
{
	char back[8];

	for (unsigned r = 0; r < ROUNDS; r++)
		for (unsigned i = 0; i < CONNS; i++) {
			if (r == 0 || read(storm_conns[i].peer, back, sizeof(back)) == 4)
				put(storm_conns[i].peer, "ping");
			else
				abort();
		}
	return arg;
}

START_TEST(storm)
{
	pthread_t worker, client;

	storm_left = CONNS;
	for (unsigned i = 0; i < CONNS; i++) {
		struct storm_conn *c = &storm_conns[i];

		c->peer = i % 2 ? tcp_pair(&c->h) : unix_pair(&c->h);
		c->lease = i % 3 == 0;
		recv_op(&c->op, &c->h, c->buf, sizeof(c->buf));
		submit(&c->op);
		if (c->lease)
			cancel(&c->op);
	}
	pthread_create(&worker, NULL, storm_worker, be1);
	pthread_create(&client, NULL, storm_client, NULL);
	storm_worker(be0);
	pthread_join(worker, NULL);
	pthread_join(client, NULL);
	become(be0);
	for (unsigned i = 0; i < CONNS; i++)
		close(storm_conns[i].peer);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(sibling_polls_for_a_stuck_owner),
		CASE(sibling_does_not_swallow_a_wake),
		CASE(sibling_leaves_work_behind),
		CASE(sibling_wakes_the_owner_for_what_it_leaves),
		CASE(two_workers_race_for_the_home),
		CASE(home_that_moved_is_looked_up_again),
		CASE(home_is_who_registers),
		CASE(storm),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
