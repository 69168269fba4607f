/* SPDX-License-Identifier: MIT */
/*
 * move.c: tasks that move between workers while their operations are in flight, and pinned tasks
 * that use one stream from different workers.
 */
#include "tests/conformance/conformance.h"

/* ---- moved in flight ---- */

/* A future that requeues its task a number of times, so that other workers may steal it. */
struct storm {
	struct weir_future future;
	struct weir_yield_future yield;
	unsigned left;
};

static int storm_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct storm *self = WEIR_CONTAINER_OF(future, struct storm, future);

	while (self->left > 0) {
		if (weir_poll(&self->yield.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		self->left--;
		weir_yield_init(&self->yield);
	}
	return 0;
}

static const struct weir_future_ops storm_ops = { "storm", storm_poll, NULL, NULL };

static void storm_init(struct storm *self, unsigned turns)
{
	self->future.ops = &storm_ops;
	self->left = turns;
	weir_yield_init(&self->yield);
}

#define MOVERS 16
#define ROUNDS 60

struct mover {
	struct weir_tcp *conn;
	uint64_t seed;
};

/*
 * Receives a byte while the task moves between workers. At random it awaits both futures, or
 * selects: then the storm may win, and the receive is cancelled on whichever worker the task is.
 */
static int receive_in_a_storm(struct weir_tcp *conn, uint64_t *random, char *ret_byte)
{
	struct weir_op op;
	struct storm storm;
	struct weir_future *futures[2] = { &op.future, &storm.future };
	struct weir_join_all_future all;
	struct weir_select_future select;
	int results[2];

	weir_op_init_recv(&op, weir_tcp_handle(conn), ret_byte, 1, 0);
	storm_init(&storm, (unsigned)draw(random, 20));
	if (draw(random, 2)) {
		weir_join_all_init(&all, futures, results, 2);
		OK(weir_await(&all.future));
	} else {
		weir_select_init(&select, futures, results, 2);
		OK(weir_await(&select.future));
	}
	return results[0];
}

static int move_about(void *arg)
{
	struct mover *self = arg;
	uint64_t random = self->seed;
	char byte;
	int rc;

	for (int i = 0; i < ROUNDS; i++) {
		byte = (char)i;
		ck_assert_int_eq(weir_tcp_send(self->conn, &byte, 1), 1);
		do
			rc = receive_in_a_storm(self->conn, &random, &byte);
		while (rc == -ECANCELED);
		ck_assert_int_eq(rc, 1);
		ck_assert_int_eq(byte, (char)i);
	}
	return 0;
}

CASE(tasks_move_while_they_wait, 0)
{
	struct mover movers[2 * MOVERS];
	struct weir_task *tasks[2 * MOVERS];

	for (unsigned i = 0; i < 2 * MOVERS; i += 2) {
		connected(&movers[i].conn, &movers[i + 1].conn);
		movers[i].seed = env.seed * 100 + i;
		movers[i + 1].seed = env.seed * 100 + i + 1;
	}
	for (unsigned i = 0; i < 2 * MOVERS; i++)
		tasks[i] = spawn(move_about, &movers[i]);
	for (unsigned i = 0; i < 2 * MOVERS; i++)
		OK(finish(tasks[i]));
	for (unsigned i = 0; i < 2 * MOVERS; i++)
		weir_tcp_close(movers[i].conn);
	return 0;
}

/* ---- pinned tasks on different workers ---- */

struct pair {
	struct weir_tcp *side[2];
	uint64_t seed;
};

#define PAIR_BYTES 60000

static int pair_write(void *arg)
{
	struct pair *p = arg;
	uint64_t random = p->seed;
	size_t at = 0, n;

	while (at < PAIR_BYTES) {
		n = 1 + draw(&random, 9000);
		n = n < PAIR_BYTES - at ? n : PAIR_BYTES - at;
		pattern_send(p->side[0], p->seed, at, n);
		at += n;
		turns(draw(&random, 3));
	}
	return weir_tcp_shutdown(p->side[0], SHUT_WR);
}

static int pair_read(void *arg)
{
	struct pair *p = arg;
	char byte;

	pattern_recv(p->side[1], p->seed, 0, PAIR_BYTES);
	return weir_tcp_recv(p->side[1], &byte, 1);
}

static int pair_close(void *arg)
{
	struct pair *p = arg;

	close_both(p->side[0], p->side[1]);
	return 0;
}

/* One worker opens the stream, one writes to it, another reads from it, and a third closes it. */
CASE(pinned_tasks_share_a_stream, 0)
{
	struct pair pairs[16];
	struct weir_task *tasks[32];

	for (unsigned i = 0; i < 16; i++) {
		pairs[i].seed = env.seed + i;
		connected(&pairs[i].side[0], &pairs[i].side[1]);
		tasks[2 * i] = spawn_on(i, pair_write, &pairs[i]);
		tasks[2 * i + 1] = spawn_on(i / 4, pair_read, &pairs[i]);
	}
	for (unsigned i = 0; i < 32; i++)
		ck_assert_int_eq(finish(tasks[i]), 0);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_int_eq(finish(spawn_on(i + 2, pair_close, &pairs[i])), 0);
	return 0;
}

/* A task on each worker waits on a stream. This task closes the streams or aborts the tasks. */
static int wait_pinned(void *arg)
{
	char byte;

	return weir_tcp_recv(arg, &byte, 1);
}

CASE(pinned_tasks_are_ended_from_elsewhere, 0)
{
	struct weir_tcp *one[16], *other[16];
	struct weir_task *tasks[16];

	for (int round = 0; round < 10; round++) {
		for (unsigned i = 0; i < 16; i++) {
			connected(&one[i], &other[i]);
			tasks[i] = spawn_on(i, wait_pinned, one[i]);
		}
		for (unsigned i = 0; i < 16; i++) {
			if (i & 4)
				weir_task_abort(tasks[i]);
			else if (i & 8)
				weir_tcp_close(other[i]);
			else
				weir_tcp_reset(other[i]);
		}
		for (unsigned i = 0; i < 16; i++) {
			int rc = finish(tasks[i]);

			ck_assert_int_eq(rc, i & 4 ? -ECANCELED : i & 8 ? 0 : -ECONNRESET);
			weir_tcp_close(one[i]);
			if (i & 4)
				weir_tcp_close(other[i]);
		}
	}
	return 0;
}

/* ---- started on one worker, finished on another ---- */

/* Occupies its worker, so that other workers steal from its queue. */
static int hog(void *arg)
{
	atomic_uint *moved = arg;
	unsigned before = atomic_load(moved);
	uint64_t end = weir_now() + 2 * WEIR_MSEC;

	while (atomic_load(moved) == before && weir_now() < end)
		;
	return 0;
}

struct traveller {
	struct weir_tcp *conn;
	atomic_uint *moved;
	bool leased;
};

/*
 * Waits for a byte and counts whether the task has moved to another worker. Returns 0 at the end.
 */
static int travel(struct traveller *t)
{
	int from = weir_rt_worker_index(), rc;
	struct weir_lease lease;
	char byte;

	if (t->leased) {
		rc = weir_tcp_recv_lease(t->conn, &lease);
		weir_lease_return(&lease);
	} else {
		rc = weir_tcp_recv(t->conn, &byte, 1);
	}
	if (rc > 0 && weir_rt_worker_index() != from)
		atomic_fetch_add(t->moved, 1);
	return rc;
}

static int traveller(void *arg)
{
	int rc;

	while ((rc = travel(arg)) > 0)
		ck_assert_int_eq(weir_tcp_send(((struct traveller *)arg)->conn, "y", 1), 1);
	return rc;
}

#define TRAVELLERS 8

/* Repeats until enough tasks have moved. If none ever moves, the watchdog ends the test. */
static void journeys(bool leased)
{
	struct traveller travellers[TRAVELLERS];
	struct weir_tcp *near[TRAVELLERS];
	struct weir_task *tasks[TRAVELLERS], *stuck;
	atomic_uint moved = 0;
	unsigned rounds = 0;
	char byte;

	for (int i = 0; i < TRAVELLERS; i++) {
		travellers[i].moved = &moved;
		travellers[i].leased = leased;
		connected(&near[i], &travellers[i].conn);
		tasks[i] = spawn(traveller, &travellers[i]);
	}
	while (rounds++ < 20 || (env.workers > 1 && atomic_load(&moved) < 10)) {
		for (int i = 0; i < TRAVELLERS; i++)
			ck_assert_int_eq(weir_tcp_send(near[i], "x", 1), 1);
		stuck = env.workers > 1 ? spawn(hog, &moved) : NULL;
		for (int i = 0; i < TRAVELLERS; i++)
			ck_assert_int_eq(weir_tcp_recv(near[i], &byte, 1), 1);
		if (stuck)
			OK(finish(stuck));
	}
	for (int i = 0; i < TRAVELLERS; i++) {
		weir_tcp_close(near[i]);
		ck_assert_int_eq(finish(tasks[i]), 0);
		weir_tcp_close(travellers[i].conn);
	}
}

CASE(an_operation_ends_on_another_worker, 0)
{
	journeys(false);
	return 0;
}

CASE(a_leased_receive_ends_on_another_worker, WEIR_CAP_LEASE)
{
	journeys(true);
	return 0;
}

void conformance_move(struct conformance_list *list)
{
	ONCE(list, tasks_move_while_they_wait);
	ONCE(list, pinned_tasks_share_a_stream);
	ONCE(list, pinned_tasks_are_ended_from_elsewhere);
	ONCE(list, an_operation_ends_on_another_worker);
	ONCE(list, a_leased_receive_ends_on_another_worker);
}
