/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_threads.c: io_uring with several threads: leases that other threads return,
 * receives that move between workers, and the thread that drops the last reference.
 */
#include <sched.h>
#include <stdlib.h>

#include "tests/unit/backends_iouring_rig.h"

/* ---- several threads ---------------------------------------------------------------------- */

/* Runs fn on a thread that is worker 1. */
static void *(*elsewhere)(void *);

static void *as_worker_1(void *arg)
{
	become(be1);
	return elsewhere(arg);
}

static pthread_t start_elsewhere(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	elsewhere = fn;
	ck_assert_int_eq(pthread_create(&thread, NULL, as_worker_1, arg), 0);
	return thread;
}

static void *give_all(void *arg)
{
	struct weir_lease *lease = arg;

	for (unsigned i = 0; i < 64; i++)
		give_back(&lease[i]);
	return NULL;
}

START_TEST(leases_given_back_elsewhere)
{
	struct weir_lease lease[64];
	struct weir_handle h;
	struct weir_op op;
	int peer;

	begin(PLAIN);
	peer = tcp_pair(&h);
	for (unsigned round = 0; round < 4; round++) {
		pthread_t thread;

		for (unsigned i = 0; i < 64; i++) {
			put(peer, "x");
			ck_assert_int_eq(finish(submit(lease_op(&op, &h, &lease[i]))), 1);
		}
		thread = start_elsewhere(give_all, lease);
		settle(be0);
		pthread_join(thread, NULL);
	}
	ck_assert_uint_le(uring(0)->buffers.pool.fresh, 64 + 64);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* The receiving task moves back and forth between two workers, as if it were stolen each time. */
static void read_in_turn(struct pass *p, unsigned who)
{
	struct weir_lease lease;
	struct weir_op op;

	for (unsigned i = 0; i < p->rounds; i++) {
		while (weir__load(&p->turn, WEIR_ACQUIRE) != who)
			sched_yield();
		put(p->peer, "ball");
		submit_to(instances[who], lease_op(&op, p->h, &lease));
		ck_assert_int_eq(finish_at(instances[who], &op), 4);
		ck_assert_mem_eq(lease.data, "ball", 4);
		give_back(&lease);
		weir__store(&p->turn, !who, WEIR_RELEASE);
	}
}

static void *read_as_1(void *arg)
{
	read_in_turn(arg, 1);
	return NULL;
}

START_TEST(reads_move_between_instances)
{
	struct weir_handle h;
	struct pass p = { .h = &h, .rounds = 500 };
	pthread_t thread;

	begin(PLAIN);
	p.peer = tcp_pair(&h);
	thread = start_elsewhere(read_as_1, &p);
	read_in_turn(&p, 0);
	pthread_join(thread, NULL);
	ck_assert_ptr_eq(h.backend, be1);
	/* The other thread has ended, so this one takes over its worker. */
	become(be1);
	be1->ops->detach(be1, &h);
	ck_assert_uint_eq(detached, 1);
	close(p.peer);
	end();
}
END_TEST

/* Receives submitted by message release the stream when they end. */
START_TEST(away_reads_free_the_stream)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op;
	unsigned n;
	int peer;

	begin(PLAIN);
	peer = tcp_pair(&h);
	for (unsigned time = 0; time < 3; time++) {
		arm(&h, peer);
		for (n = 0; n < 40 && h.homed; n++) {
			submit_mailed(lease_op(&op, &h, &lease));
			put(peer, "away");
			ck_assert_int_eq(finish(&op), 4);
			give_back(&lease);
			settle(be0);
		}
		ck_assert_uint_ge(n, 16);
		ck_assert_uint_lt(n, 20);
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

struct crossing {
	struct weir_handle *h;
	struct weir_op out;
	unsigned phase;			/* atomic */
	unsigned stop;			/* atomic */
};

static void wait_for(unsigned *word, unsigned value)
{
	while (weir__load(word, WEIR_ACQUIRE) != value)
		sched_yield();
}

/* Worker 1 sends on a handle whose home is worker 0, and waits for each result. */
static void *send_rounds(void *arg)
{
	static const char zeros[1 << 20];
	struct crossing *c = arg;

	for (unsigned i = 1; !weir__load(&c->stop, WEIR_ACQUIRE); i += 2) {
		while (weir__load(&c->phase, WEIR_ACQUIRE) != i)
			if (weir__load(&c->stop, WEIR_ACQUIRE))
				return NULL;
		submit_to(be1, send_op(&c->out, c->h, zeros, sizeof(zeros), WEIR_OP_ALL));
		turn_of(be1, 0);
		weir__store(&c->phase, i + 1, WEIR_RELEASE);
		finish_at(be1, &c->out);
	}
	return NULL;
}

/* The home closes a handle while another worker's last operation on it ends. */
START_TEST(last_reference_is_dropped_elsewhere)
{
	struct weir_handle h;
	struct crossing c = { .h = &h };
	unsigned rounds = testing_scaled(1) > 1 ? 100 : 400;
	pthread_t thread;

	begin(PLAIN);
	thread = start_elsewhere(send_rounds, &c);
	for (unsigned i = 0; i < rounds; i++) {
		int peer = tcp_pair(&h);

		small_buffers(&h, peer);
		weir__store(&c.phase, 2 * i + 1, WEIR_RELEASE);
		wait_for(&c.phase, 2 * i + 2);
		reset(peer);
		become(be0);
		be0->ops->detach(be0, &h);
		while (weir__load(&detached, WEIR_ACQUIRE) <= i)
			turn_of(be0, 0);
		while (!is_done(&c.out))
			sched_yield();
	}
	weir__store(&c.stop, 1u, WEIR_RELEASE);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(detached, rounds);
	end();
}
END_TEST

static void *cancel_sends(void *arg)
{
	static const char zeros[1 << 20];
	struct crossing *c = arg;

	while (!weir__load(&c->stop, WEIR_ACQUIRE)) {
		submit_to(be1, send_op(&c->out, c->h, zeros, sizeof(zeros), 0));
		turn_of(be1, 0);
		if (!is_done(&c->out))
			cancel(&c->out);
		ck_assert(finish_at(be1, &c->out) > 0 || c->out.res == -ECANCELED);
	}
	return NULL;
}

/* Worker 1 cancels sends on a handle while worker 0 receives on it. */
START_TEST(cancel_elsewhere_leaves_the_readers_alone)
{
	struct weir_handle h;
	struct crossing c = { .h = &h };
	struct weir_lease lease;
	struct weir_op *op;
	pthread_t thread;
	int peer;

	begin(PLAIN);
	peer = tcp_pair(&h);
	small_buffers(&h, peer);
	fill(&h);
	thread = start_elsewhere(cancel_sends, &c);
	for (unsigned i = 0; i < 3000; i++) {
		/* Freed as soon as it is done, so that a late access is found. */
		op = malloc(sizeof(*op));
		submit(lease_op(op, &h, &lease));
		put(peer, "x");
		ck_assert_int_eq(finish(op), 1);
		memset(op, 0, sizeof(*op));
		free(op);
		give_back(&lease);
	}
	weir__store(&c.stop, 1u, WEIR_RELEASE);
	pthread_join(thread, NULL);
	detach(&h);
	close(peer);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(leases_given_back_elsewhere),
		TESTING(reads_move_between_instances),
		TESTING(away_reads_free_the_stream),
		TESTING(last_reference_is_dropped_elsewhere),
		TESTING(cancel_elsewhere_leaves_the_readers_alone),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
