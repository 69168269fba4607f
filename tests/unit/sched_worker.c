/* SPDX-License-Identifier: MIT */
/*
 * sched_worker.c: the guarantees of the multi-thread scheduler: every task runs, none starves
 * another, pinned tasks stay, policies have their effect, blocking in place passes the worker to
 * another thread, and a task that blocks its thread does not stop the tasks of other workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sched/worker.h"
#include "tests/unit/runtimes.h"

static int count_one(void *arg)
{
	add(arg, 1);
	return 0;
}

static uint64_t sum_of(struct weir_rt *rt, size_t offset)
{
	struct weir_worker_metrics metrics = WEIR_WORKER_METRICS_INIT;
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < weir_rt_workers(rt); i++) {
		ck_assert_int_eq(weir_metrics_worker(rt, i, &metrics), 0);
		sum += *(uint64_t *)((char *)&metrics + offset);
	}
	return sum;
}

/* ---- every task runs --------------------------------------------------------------------- */

struct pair {
	struct weir_notify ping, pong;
	unsigned rounds, *done;
};

static int ping(void *arg)
{
	struct pair *p = arg;
	unsigned i;

	for (i = 0; i < p->rounds; i++) {
		weir_notify_one(&p->pong);
		ck_assert_int_eq(weir_notify_wait(&p->ping), 0);
	}
	add(p->done, 1);
	return 0;
}

static int pong(void *arg)
{
	struct pair *p = arg;
	unsigned i;

	for (i = 0; i < p->rounds; i++) {
		ck_assert_int_eq(weir_notify_wait(&p->pong), 0);
		weir_notify_one(&p->ping);
	}
	add(p->done, 1);
	return 0;
}

static void play(unsigned pairs, unsigned rounds)
{
	struct pair *p = calloc(pairs, sizeof *p);
	unsigned i, done = 0;

	for (i = 0; i < pairs; i++) {
		weir_notify_init(&p[i].ping);
		weir_notify_init(&p[i].pong);
		p[i].rounds = rounds;
		p[i].done = &done;
		ck_assert_int_eq(weir_spawn(ping, &p[i], NULL), 0);
		ck_assert_int_eq(weir_spawn(pong, &p[i], NULL), 0);
	}
	while (get(&done) < 2 * pairs)
		ck_assert_int_eq(weir_sleep(200 * WEIR_USEC), 0);
	for (i = 0; i < pairs; i++) {
		weir_notify_fini(&p[i].ping);
		weir_notify_fini(&p[i].pong);
	}
	free(p);
}

ON_EACH(ping_pong_saturates)
{
	play(100, 100);
	return 0;
}

struct shot {
	struct weir_oneshot *oneshot;
	unsigned value;
};

static int shoot(void *arg)
{
	struct shot *s = arg;

	return weir_oneshot_send(s->oneshot, &s->value);
}

ON_EACH(many_oneshots)
{
	struct shot *shots = calloc(2000, sizeof *shots);
	unsigned i, value;

	for (i = 0; i < 2000; i++) {
		ck_assert_int_eq(weir_oneshot_new(sizeof value, &shots[i].oneshot), 0);
		shots[i].value = i;
		ck_assert_int_eq(weir_spawn(shoot, &shots[i], NULL), 0);
	}
	for (i = 0; i < 2000; i++) {
		ck_assert_int_eq(weir_oneshot_recv(shots[i].oneshot, &value), 0);
		ck_assert_uint_eq(value, i);
	}
	YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	free(shots);
	return 0;
}

struct multi {
	struct weir_mpsc *channel;
	unsigned left;
};

/* A number is passed from task to task in a circle. */
static int pass_on(void *arg)
{
	struct multi *m = arg;
	unsigned left;

	while (weir_mpsc_recv(m->channel, &left) == 1) {
		if (left == 0)
			weir_mpsc_close(m->channel);
		else
			ck_assert_int_eq(weir_mpsc_send(m[1].channel, &(unsigned){ left - 1 }), 0);
	}
	return 0;
}

ON_EACH(a_number_goes_round)
{
	struct multi ring[21];
	struct weir_task *tasks[20];
	unsigned start = 4000, i;

	for (i = 0; i < 20; i++)
		ck_assert_int_eq(weir_mpsc_new(4, sizeof start, &ring[i].channel), 0);
	ring[20] = ring[0];
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(weir_spawn(pass_on, &ring[i], &tasks[i]), 0);
	ck_assert_int_eq(weir_mpsc_send(ring[0].channel, &start), 0);
	ck_assert_int_eq(weir_task_join(tasks[0], NULL), 0);
	for (i = 1; i < 20; i++) {
		weir_mpsc_close(ring[i].channel);
		ck_assert_int_eq(weir_task_join(tasks[i], NULL), 0);
	}
	for (i = 0; i < 20; i++) {
		weir_mpsc_unref(ring[i].channel);
		weir_mpsc_free(ring[i].channel);
	}
	return 0;
}

/* Counts the tasks that each worker ran. */
struct tally {
	unsigned ran[4];
};

static int tally(void *arg)
{
	struct tally *t = arg;
	int worker = weir_rt_worker_index();

	ck_assert_int_ge(worker, 0);
	ck_assert_int_lt(worker, 4);
	add(&t->ran[worker], 1);
	return 0;
}

static unsigned tally_sum(struct tally *t)
{
	return get(&t->ran[0]) + get(&t->ran[1]) + get(&t->ran[2]) + get(&t->ran[3]);
}

ON_EACH(a_hundred_tasks_over_the_workers)
{
	struct tally t = { { 0 } };
	unsigned i;

	for (i = 0; i < 100; i++)
		ck_assert_int_eq(weir_spawn(tally, &t, NULL), 0);
	YIELD_UNTIL(tally_sum(&t) == 100);
	YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	ck_assert_uint_eq(tally_sum(&t), 100);
	return 0;
}

static int work_a_little(void *arg)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec < 20000);
	return tally(arg);
}

static int until_stolen(void *arg)
{
	struct weir_rt *rt = weir_rt_current();
	struct tally t = { { 0 } };
	unsigned i, n = 0;

	(void)arg;
	do {
		for (i = 0; i < 500; i++)
			ck_assert_int_eq(weir_spawn(work_a_little, &t, NULL), 0);
		n += 500;
		YIELD_UNTIL(tally_sum(&t) == n);
	} while (sum_of(rt, offsetof(struct weir_worker_metrics, steals)) == 0);
	ck_assert_uint_gt(sum_of(rt, offsetof(struct weir_worker_metrics, steal_operations)), 0);
	return 0;
}

START_TEST(idle_workers_steal)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);

	runtime_run(&cfg, until_stolen, NULL);
}
END_TEST

/* ---- no task starves another ------------------------------------------------------------- */

struct selfish {
	unsigned stop, spawned;
};

static int respawn(void *arg)
{
	struct selfish *s = arg;

	add(&s->spawned, 1);
	return get(&s->stop) ? 0 : weir_spawn(respawn, s, NULL);
}

static int stop_it(void *arg)
{
	set(arg, 1);
	return 0;
}

static int play_for_ever(void *arg)
{
	unsigned *stop = arg;
	unsigned i, done = 0;
	struct pair p = { .rounds = 1000, .done = &done };

	weir_notify_init(&p.ping);
	weir_notify_init(&p.pong);
	for (i = 0; !get(stop); i++) {
		ck_assert_int_eq(weir_spawn(ping, &p, NULL), 0);
		ck_assert_int_eq(weir_spawn(pong, &p, NULL), 0);
		YIELD_UNTIL(get(&done) == 2 * i + 2);
	}
	return 0;
}

/* Tasks that always return through the LIFO slot must not starve a task that was queued before. */
ON_EACH(the_lifo_slot_does_not_starve_the_queue)
{
	struct selfish selfish = { 0, 0 };
	struct weir_task *player;
	unsigned stop = 0, i;

	for (i = 0; i < 20; i++) {
		set(&selfish.stop, 0);
		set(&stop, 0);
		ck_assert_int_eq(weir_spawn(respawn, &selfish, NULL), 0);
		ck_assert_int_eq(weir_spawn(play_for_ever, &stop, &player), 0);
		YIELD_UNTIL(get(&selfish.spawned) > i * 100);
		ck_assert_int_eq(weir_spawn(stop_it, &stop, NULL), 0);
		ck_assert_int_eq(weir_task_join(player, NULL), 0);
		ck_assert_int_eq(weir_spawn(stop_it, &selfish.stop, NULL), 0);
		YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	}
	return 0;
}

struct outsider {
	struct weir_rt *rt;
	unsigned *stop;
};

static void *stop_from_outside(void *arg)
{
	struct outsider *o = arg;

	ck_assert_int_eq(weir_rt_spawn(o->rt, stop_it, o->stop, NULL), 0);
	return NULL;
}

/* Tasks that other threads spawn get their turn while a worker's local tasks never end. */
ON_EACH(injected_tasks_have_their_turn)
{
	struct selfish selfish[4] = { { 0, 0 } };
	unsigned i, round;

	for (round = 0; round < 10; round++) {
		struct outsider o = { weir_rt_current(), &selfish[0].stop };
		pthread_t thread;

		memset(selfish, 0, sizeof selfish);
		for (i = 0; i < 4; i++)
			ck_assert_int_eq(weir_spawn(respawn, &selfish[i], NULL), 0);
		thread = thread_start(stop_from_outside, &o);
		YIELD_UNTIL(get(&selfish[0].stop));
		for (i = 1; i < 4; i++)
			set(&selfish[i].stop, 1);
		pthread_join(thread, NULL);
		YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	}
	return 0;
}

/* ---- policies ---------------------------------------------------------------------------- */

static int mixed_load(void *arg)
{
	struct tally t = { { 0 } };
	unsigned i;

	(void)arg;
	play(20, 50);
	for (i = 0; i < 1000; i++)
		ck_assert_int_eq(weir_spawn(tally, &t, NULL), 0);
	YIELD_UNTIL(tally_sum(&t) == 1000);
	return 0;
}

START_TEST(every_policy_runs_everything)
{
	struct weir_rt_config cfg = runtime_config(_i % RUNTIMES);

	switch (_i / RUNTIMES) {
	case 0:
		cfg.inject_interval = 1;
		break;
	case 1:
		cfg.no_lifo = true;
		break;
	case 2:
		cfg.event_interval = 1;
		break;
	case 3:
		cfg.budget = 1;
		break;
	case 4:
		cfg.steal = WEIR_STEAL_OFF;
		break;
	case 5:
		cfg.lifo_max = 1000000;
		cfg.event_interval = 1u << 20;
		cfg.inject_interval = 1u << 20;
		break;
	case 6:
		cfg.busy_events = cfg.idle_events = 1;
		cfg.watch_ns = 1;
		break;
	default:
		cfg.watch_ns = WEIR_FOREVER;
		cfg.no_io = true;
		cfg.tick_ns = 64 * WEIR_USEC;
	}
	runtime_run(&cfg, mixed_load, NULL);
}
END_TEST

/* Pinned tasks record on which worker they are after every wait. */
struct pinned {
	int worker;
	struct weir_notify *wake;
	unsigned *polls, *done;
};

static int stay_here(void *arg)
{
	struct pinned *p = arg;
	int i;

	for (i = 0; i < 30; i++) {
		ck_assert_int_eq(weir_rt_worker_index(), p->worker);
		add(p->polls, 1);
		if (i % 3 == 0)
			ck_assert_int_eq(weir_yield(), 0);
		else if (i % 3 == 1)
			ck_assert_int_eq(weir_sleep(50 * WEIR_USEC), 0);
		else
			ck_assert_int_eq(weir_notify_wait(p->wake), 0);
	}
	add(p->done, 1);
	return 0;
}

static int stay_here_poll(void *state, struct weir_cx *cx)
{
	struct pinned *p = state;

	ck_assert_int_eq(weir_rt_worker_index(), p->worker);
	if (add(p->polls, 1) % 16 == 0) {
		add(p->done, 1);
		return 0;
	}
	weir_waker_wake(&cx->waker);
	return WEIR_PENDING;
}

ON_EACH(pinned_tasks_stay)
{
	unsigned workers = weir_rt_workers(weir_rt_current()), polls = 0, done = 0, i;
	struct pinned pinned[40];
	struct weir_notify wake;

	weir_notify_init(&wake);
	for (i = 0; i < 40; i++) {
		struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

		pinned[i] = (struct pinned){ (int)(i % workers), &wake, &polls, &done };
		cfg.flags = WEIR_TASK_PINNED;
		cfg.worker = pinned[i].worker + 1;
		if (i % 2) {
			cfg.fn = stay_here;
			cfg.arg = &pinned[i];
		} else {
			cfg.poll = stay_here_poll;
			cfg.state = &pinned[i];
			cfg.state_bytes = sizeof pinned[i];
		}
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), 0);
	}
	while (get(&done) < 40) {
		weir_notify_waiters(&wake);
		weir_notify_one(&wake);
		weir_yield();
	}
	YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	weir_notify_fini(&wake);
	return 0;
}

/* ---- placed tasks ---- */

struct placed {
	unsigned *done;
	int worker;
};

static int begin_there(void *arg)
{
	const struct placed *p = arg;

	ck_assert_int_eq(weir_rt_worker_index(), p->worker);
	return count_one(p->done);
}

static int begin_there_poll(void *state, struct weir_cx *cx UNUSED)
{
	return begin_there(state);
}

/* Idle workers would steal them from a busy one, which many tasks at a time are. */
ON_EACH(placed_tasks_begin_where_they_are_sent)
{
	unsigned workers = weir_rt_workers(weir_rt_current()), done = 0;
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct placed placed[40];

	cfg.flags = WEIR_TASK_PLACED;
	for (unsigned i = 0; i < 40; i++) {
		placed[i] = (struct placed){ &done, (int)(i / 10 % workers) };
		cfg.worker = placed[i].worker + 1;
		cfg.fn = i % 2 ? begin_there : NULL;
		cfg.arg = i % 2 ? &placed[i] : NULL;
		cfg.poll = i % 2 ? NULL : begin_there_poll;
		cfg.state = i % 2 ? NULL : &placed[i];
		cfg.state_bytes = i % 2 ? 0 : sizeof placed[i];
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), 0);
	}
	YIELD_UNTIL(get(&done) == 40);
	cfg.worker = (int)workers + 1;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), -EINVAL);
	YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	return 0;
}

static int stay_by_default(void *arg)
{
	struct pinned p = { weir_rt_worker_index(), NULL, arg, arg };
	int i;

	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(weir_rt_worker_index(), p.worker);
		ck_assert_int_eq(i % 4 ? weir_yield() : weir_sleep(50 * WEIR_USEC), 0);
	}
	return count_one(arg);
}

static int without_stealing(void *arg)
{
	unsigned done = 0, i;

	(void)arg;
	for (i = 0; i < 200; i++)
		ck_assert_int_eq(weir_spawn(stay_by_default, &done, NULL), 0);
	while (get(&done) < 200)
		ck_assert_int_eq(weir_sleep(100 * WEIR_USEC), 0);
	return 0;
}

START_TEST(nobody_steals_where_it_is_off)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	unsigned done = 0, i;
	struct weir_rt *rt;

	cfg.steal = WEIR_STEAL_OFF;
	rt = runtime_new(&cfg);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(weir_rt_spawn(rt, stay_by_default, &done, NULL), 0);
	ck_assert_int_eq(weir_rt_block_on(rt, without_stealing, NULL), 0);
	while (get(&done) < 100)
		;
	ck_assert_uint_eq(sum_of(rt, offsetof(struct weir_worker_metrics, steals)), 0);
	runtime_end(rt);
}
END_TEST

static unsigned my_inject_interval(void)
{
	return worker_of(weir__worker_current())->inject_interval;
}

/* Polls that take half a millisecond, then very short ones. */
static int watch_the_interval(void *arg)
{
	struct timespec start, now;
	unsigned low;

	(void)arg;
	do {
		clock_gettime(CLOCK_MONOTONIC, &start);
		do {
			clock_gettime(CLOCK_MONOTONIC, &now);
		} while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec <
			 500000);
		ck_assert_int_eq(weir_yield(), 0);
	} while (my_inject_interval() > 8);
	low = my_inject_interval();
	ck_assert_uint_ge(low, 1);
	do {
		ck_assert_int_eq(weir_yield(), 0);
	} while (my_inject_interval() < 60);
	return 0;
}

/* On the current-thread scheduler the inject interval is fixed. */
START_TEST(the_inject_interval_follows_the_polls)
{
	struct weir_rt_config cfg = runtime_config(_i ? ON_FOUR : ON_ONE);

	runtime_run(&cfg, watch_the_interval, NULL);
}
END_TEST

struct injected {
	struct weir_rt *rt;
	unsigned go, there, ran;	/* counters of rounds */
};

static int run_injected(void *arg)
{
	struct injected *in = arg;

	add(&in->ran, 1);
	return 0;
}

static void *inject_when_told(void *arg)
{
	struct injected *in = arg;

	for (unsigned i = 1; i <= 5; i++) {
		while (get(&in->go) < i)
			sched_yield();
		ck_assert_int_eq(weir_rt_spawn(in->rt, run_injected, in, NULL), 0);
		add(&in->there, 1);
	}
	return NULL;
}

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Keeps a local task ready all the time. */
static int stay_busy_until_it_runs(void *arg)
{
	struct injected *in = arg;
	struct weir_task *task;

	for (unsigned i = 1; i <= 5; i++) {
		unsigned spawned = 0;

		add(&in->go, 1);
		while (get(&in->there) < i)
			sched_yield();
		for (; get(&in->ran) < i; spawned++) {
			ck_assert_int_eq(weir_spawn(do_nothing, NULL, &task), 0);
			ck_assert_int_eq(weir_task_join(task, NULL), 0);
		}
		ck_assert_uint_le(spawned, 4);
	}
	return 0;
}

/* The injected task runs long before the drivers are next polled. */
START_TEST(an_injected_task_runs_beside_local_work)
{
	struct weir_rt_config cfg = runtime_config(ON_ONE);
	struct injected in = { 0 };
	pthread_t thread;

	cfg.inject_interval = 2;
	cfg.event_interval = 127;
	in.rt = runtime_new(&cfg);
	thread = thread_start(inject_when_told, &in);
	ck_assert_int_eq(weir_rt_block_on(in.rt, stay_busy_until_it_runs, &in), 0);
	pthread_join(thread, NULL);
	runtime_end(in.rt);
}
END_TEST

static int the_interval_is_given(void *arg)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		ck_assert_uint_eq(my_inject_interval(), *(unsigned *)arg);
		weir_yield();
	}
	return 0;
}

static int is_no_searcher(void *times)
{
	ck_assert(!worker_of(weir__worker_current())->searching);
	add(times, 1);
	return 0;
}

/*
 * A woken worker counts as a searcher. If it still did while it works, it would keep others asleep.
 */
START_TEST(a_worker_with_work_is_not_a_searcher)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt;
	unsigned times = 0;

	rt = runtime_new(&cfg);
	for (unsigned i = 1; i <= 500; i++) {
		ck_assert_int_eq(weir_rt_spawn(rt, is_no_searcher, &times, NULL), 0);
		while (get(&times) < i)
			sched_yield();
	}
	runtime_end(rt);
}
END_TEST

START_TEST(an_inject_interval_that_is_given_stays)
{
	struct weir_rt_config cfg = runtime_config(_i);
	unsigned interval = 17;

	cfg.inject_interval = interval;
	runtime_run(&cfg, the_interval_is_given, &interval);
}
END_TEST

/* ---- in place ---------------------------------------------------------------------------- */

struct place {
	unsigned inside, let_go, done;
};

static int wait_in_place(void *arg)
{
	struct place *p = arg;

	ck_assert_int_eq(weir_rt_worker_index(), -1);
	ck_assert_int_eq(weir_yield(), -EPERM);
	ck_assert_int_eq(weir_sleep(0), -EPERM);
	add(&p->inside, 1);
	while (!get(&p->let_go))
		sched_yield();
	return 19;
}

static int nest_in_place(void *arg)
{
	return weir_block_in_place(wait_in_place, arg);
}

static int go_in_place(void *arg)
{
	struct place *p = arg;
	int i;

	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(weir_block_in_place(i % 2 ? nest_in_place : wait_in_place, p), 19);
		ck_assert_int_ge(weir_rt_worker_index(), 0);
		ck_assert_ptr_nonnull(weir_task_current());
		ck_assert_int_eq(weir_sleep(50 * WEIR_USEC), 0);
	}
	add(&p->done, 1);
	return 0;
}

static int in_place_root(void *arg)
{
	struct tally t = { { 0 } };
	struct place p = { 0, 0, 0 };
	unsigned i;

	(void)arg;
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(weir_spawn(go_in_place, &p, NULL), 0);
	/* All four block at the same time, even with one worker, and other tasks go on. */
	YIELD_UNTIL(get(&p.inside) == 4);
	for (i = 0; i < 500; i++)
		ck_assert_int_eq(weir_spawn(tally, &t, NULL), 0);
	YIELD_UNTIL(tally_sum(&t) == 500);
	ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	set(&p.let_go, 1);
	YIELD_UNTIL(get(&p.done) == 4);
	return 0;
}

START_TEST(blocking_in_place_hands_the_worker_on)
{
	struct weir_rt_config cfg = runtime_config(_i ? ON_FOUR : ON_ONE);

	cfg.blocking_max = 1;
	runtime_run(&cfg, in_place_root, NULL);
}
END_TEST

static int nothing(void *arg)
{
	(void)arg;
	return 3;
}

static unsigned left_behind;

static int in_and_out(void *arg)
{
	int i;

	for (i = 0; i < 100; i++) {
		int rc = weir_block_in_place(nothing, NULL);

		ck_assert(rc == 3 || (rc == -EPERM && arg == &left_behind));
		if (i % 3 == 0 && weir_yield() < 0)
			return -ECANCELED;
	}
	return count_one(arg);
}

static int in_and_out_root(void *arg)
{
	unsigned done = 0, i;

	(void)arg;
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(weir_spawn(in_and_out, &done, NULL), 0);
	while (get(&done) < 16)
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	return 0;
}

START_TEST(in_and_out_of_place)
{
	struct weir_rt_config cfg = runtime_config(_i ? ON_FOUR : ON_ONE);

	runtime_run(&cfg, in_and_out_root, NULL);
}
END_TEST

static int in_place_of_current(void *arg)
{
	(void)arg;
	ck_assert_int_eq(weir_block_in_place(nothing, NULL), -EPERM);
	return 0;
}

START_TEST(blocking_in_place_needs_the_multi_thread_scheduler)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);

	runtime_run(&cfg, in_place_of_current, NULL);
	ck_assert_int_eq(weir_block_in_place(nothing, NULL), 3);
}
END_TEST

/* One task yields. Another blocks in place until the first has continued. */
struct handshake {
	unsigned blocked, released;
};

static int wait_released(void *arg)
{
	struct handshake *h = arg;

	set(&h->blocked, 1);
	while (!get(&h->released))
		sched_yield();
	return 0;
}

static int block_until_released(void *arg)
{
	return weir_block_in_place(wait_released, arg);
}

static int yield_and_release(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 50; i++) {
		struct handshake h = { 0, 0 };
		struct weir_task *task;

		ck_assert_int_eq(weir_spawn(block_until_released, &h, &task), 0);
		YIELD_UNTIL(get(&h.blocked));
		set(&h.released, 1);
		ck_assert_int_eq(weir_task_join(task, NULL), 0);
	}
	return 0;
}

START_TEST(a_yielded_task_continues_while_another_blocks_in_place)
{
	struct weir_rt_config cfg = runtime_config(_i ? ON_FOUR : ON_ONE);

	runtime_run(&cfg, yield_and_release, NULL);
}
END_TEST

/* ---- tasks that block their thread ------------------------------------------------------- */

/*
 * The first task spawns a second, which runs next on the same worker, and waits for a timer, a
 * descriptor or a third task. The second blocks the thread until the first has continued.
 */
enum wait_for {
	FOR_TIMER,
	FOR_PIPE,
	FOR_LIFO,
	WAITS
};

struct deadlock {
	enum wait_for wait;
	int gate[2];			/* a pipe: the second task blocks in a read from it */
	int pipe[2];
	struct weir_sem sem;
	unsigned blocking;
};

static void write_byte(int fd)
{
	ck_assert_int_eq(write(fd, "x", 1), 1);
}

static int woken_third(void *arg)
{
	struct deadlock *d = arg;

	weir_sem_release(&d->sem, 1);
	write_byte(d->gate[1]);
	return 0;
}

static int block_the_thread(void *arg)
{
	struct deadlock *d = arg;
	char byte;

	if (d->wait == FOR_PIPE)
		write_byte(d->pipe[1]);
	if (d->wait == FOR_LIFO)
		ck_assert_int_eq(weir_spawn(woken_third, d, NULL), 0);
	set(&d->blocking, 1);
	while (read(d->gate[0], &byte, 1) != 1)
		ck_assert_int_eq(errno, EINTR);
	return 0;
}

static int go_on_first(void *arg)
{
	struct deadlock *d = arg;
	struct weir_task *second;
	struct weir_fd *fd = NULL;

	if (d->wait == FOR_PIPE)
		ck_assert_int_eq(weir_fd_open(d->pipe[0], &fd), 0);
	ck_assert_int_eq(weir_spawn(block_the_thread, d, &second), 0);
	if (d->wait == FOR_PIPE)
		ck_assert_int_eq(weir_fd_wait(fd, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	else if (d->wait == FOR_TIMER)
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	else
		ck_assert_int_eq(weir_sem_acquire(&d->sem, 1), 0);
	if (fd)
		weir_fd_close(fd);
	if (d->wait != FOR_LIFO)
		write_byte(d->gate[1]);
	return weir_task_join(second, NULL);
}

START_TEST(a_blocked_worker_is_helped_out)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct deadlock d = { .wait = (enum wait_for)(_i % WAITS) };
	struct weir_rt *rt;
	char byte;
	int i;

	cfg.workers = _i < WAITS ? 2 : 4;
	cfg.backend = "epoll";		/* siblings may poll it (WEIR_CAP_POLL_ANY) */
	rt = runtime_new(&cfg);
	ck_assert_int_eq(pipe2(d.gate, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(d.pipe, O_CLOEXEC | O_NONBLOCK), 0);
	weir_sem_init(&d.sem, 0);
	for (i = 0; i < 20; i++) {
		d.blocking = 0;
		ck_assert_int_eq(weir_rt_block_on(rt, go_on_first, &d), 0);
		if (d.wait == FOR_PIPE)
			ck_assert_int_eq(read(d.pipe[0], &byte, 1), 1);
	}
	runtime_end(rt);
	weir_sem_fini(&d.sem);
	for (i = 0; i < 2; i++) {
		close(d.gate[i]);
		close(d.pipe[i]);
	}
}
END_TEST

/* ---- the end ----------------------------------------------------------------------------- */

static int leave_work(void *arg)
{
	static struct selfish selfish;
	unsigned i;

	(void)arg;
	set(&selfish.stop, 0);
	for (i = 0; i < 20; i++) {
		weir_spawn(respawn, &selfish, NULL);
		weir_spawn(in_and_out, &left_behind, NULL);
	}
	return 0;
}

START_TEST(no_shutdown_hangs)
{
	struct weir_rt_config cfg = runtime_config(_i);
	int i;

	for (i = 0; i < 50; i++) {
		struct weir_rt *rt = runtime_new(&cfg);

		ck_assert_int_eq(weir_rt_block_on(rt, leave_work, NULL), 0);
		ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
		weir_rt_free(rt);
	}
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EACH(ping_pong_saturates),
		EACH(many_oneshots),
		EACH(a_number_goes_round),
		EACH(a_hundred_tasks_over_the_workers),
		TESTING(idle_workers_steal, .needs = "2cpus"),
		EACH(the_lifo_slot_does_not_starve_the_queue),
		EACH(injected_tasks_have_their_turn),
		TESTING(every_policy_runs_everything, .rounds = 8 * RUNTIMES),
		EACH(pinned_tasks_stay),
		EACH(placed_tasks_begin_where_they_are_sent),
		TESTING(nobody_steals_where_it_is_off),
		TESTING(the_inject_interval_follows_the_polls, .rounds = 2,
			.needs = "nosan native"),
		EACH(an_inject_interval_that_is_given_stays),
		TESTING(an_injected_task_runs_beside_local_work),
		TESTING(a_worker_with_work_is_not_a_searcher),
		TESTING(blocking_in_place_hands_the_worker_on, .rounds = 2),
		TESTING(in_and_out_of_place, .rounds = 2),
		TESTING(blocking_in_place_needs_the_multi_thread_scheduler),
		TESTING(a_yielded_task_continues_while_another_blocks_in_place, .rounds = 2),
		TESTING(a_blocked_worker_is_helped_out, .rounds = 2 * WAITS),
		EACH(no_shutdown_hangs),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
