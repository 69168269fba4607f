/* SPDX-License-Identifier: MIT */
/*
 * core_task_drop.c: a task's argument is passed either to fn or to drop, exactly once, even if the
 * spawn fails, the fiber gets no stack, or the blocking pool never runs the job. A server that runs
 * out of stacks leaves no client without an answer.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fiber/stack.h"
#include "tests/unit/runtimes.h"

#define LONG (3600 * WEIR_SEC)

/* From now on no guards can be made, so only stacks that have been reserved already can be used. */
static void forbid_new_stacks(void)
{
	__atomic_store_n(&weir__stack_hooks.max_map_count, 4, __ATOMIC_RELAXED);
	__atomic_store_n(&weir__stack_hooks.no_guard_install, true, __ATOMIC_RELAXED);
}

static void allow_new_stacks(void)
{
	__atomic_store_n(&weir__stack_hooks.no_guard_install, false, __ATOMIC_RELAXED);
}

/* ---- tasks ---- */

enum {
	TASKS = 300
};

static struct {
	unsigned ran[TASKS], dropped[TASKS];
	unsigned accounted;	/* tasks that have run or were dropped */
	unsigned over;
	struct weir_notify go;
} all;

static int run_one(void *arg)
{
	add(arg, 1);
	add(&all.accounted, 1);
	weir_notify_wait(&all.go);
	add(&all.over, 1);
	return 7;
}

static void drop_one(void *arg)
{
	add(&all.dropped[(unsigned *)arg - all.ran], 1);
	add(&all.accounted, 1);
}

static int spawn_one(unsigned i, struct weir_join_set *set, struct weir_task **ret_task)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	*ret_task = NULL;
	if (i % 3 == 0)
		return weir_spawn_or_drop(run_one, &all.ran[i], drop_one, NULL);
	if (i % 3 == 1)
		return weir_spawn_or_drop(run_one, &all.ran[i], drop_one, ret_task);
	cfg.fn = run_one;
	cfg.arg = &all.ran[i];
	cfg.drop = drop_one;
	cfg.join_set = set;
	return weir_task_spawn(NULL, &cfg, NULL);
}

static void release_all(struct weir_task **tasks, struct weir_join_set *set)
{
	unsigned started = 0, joined[2] = { 0, 0 };
	int result;

	for (unsigned i = 0; i < TASKS; i++)
		started += all.ran[i];
	while (get(&all.over) < started) {
		weir_notify_waiters(&all.go);
		weir_yield();
	}
	for (unsigned i = 0; i < TASKS; i++)
		if (tasks[i]) {
			ck_assert_int_eq(weir_task_join(tasks[i], &result), 0);
			ck_assert_int_eq(result, all.ran[i] ? 7 : -ENOMEM);
		}
	while (weir_join_set_next(set, NULL, &result) == 1) {
		ck_assert(result == 7 || result == -ENOMEM);
		joined[result == 7]++;
	}
	ck_assert_uint_gt(joined[1], 0);
	weir_join_set_free(set);
}

ON_EACH(without_a_stack_the_argument_is_dropped)
{
	struct weir_task *tasks[TASKS];
	struct weir_join_set *set;
	unsigned dropped = 0, refused = 0;

	memset(&all, 0, sizeof all);
	weir_notify_init(&all.go);
	ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	forbid_new_stacks();
	for (unsigned i = 0; i < TASKS; i++) {
		int rc = spawn_one(i, set, &tasks[i]);

		ck_assert_msg(rc == 0 || rc == -ENOMEM, "spawn: %d", rc);
		ck_assert(rc == 0 || (!tasks[i] && get(&all.dropped[i]) == 1));
		refused += rc < 0;
		if (i % 10 == 9)
			YIELD_UNTIL(get(&all.accounted) == i + 1);
	}
	for (unsigned i = 0; i < TASKS; i++) {
		ck_assert_uint_eq(get(&all.ran[i]) + get(&all.dropped[i]), 1);
		dropped += all.dropped[i];
	}
	ck_assert_uint_gt(dropped, 0);
	ck_assert_uint_lt(dropped, TASKS);
	/* A single worker knows that it has no stacks left, and refuses spawns. */
	if (weir_rt_workers(weir_rt_current()) == 1)
		ck_assert_uint_ge(refused, dropped - 10);
	release_all(tasks, set);
	return 0;
}

static int take_turns(void *arg)
{
	unsigned *ran = arg;

	(*ran)++;
	return 0;
}

/* After a spawn has failed for want of a stack, a later spawn on the same worker succeeds. */
START_TEST(stacks_that_are_free_again_are_used)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);
	unsigned ran = 0;

	ck_assert_int_eq(weir_rt_block_on(rt, without_a_stack_the_argument_is_dropped_body, NULL),
			 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(weir_rt_block_on(rt, take_turns, &ran), 0);
	ck_assert_uint_eq(ran, 100);
	runtime_end(rt);
}
END_TEST

/* ---- spawns that fail ---- */

static int never(void *arg)
{
	ck_abort_msg("a function that was refused ran with %p", arg);
	return 0;
}

static void count(void *arg)
{
	add(arg, 1);
}

static int never_poll(void *state UNUSED, struct weir_cx *cx UNUSED)
{
	return 0;
}

static void refuse(struct weir_rt *rt, const struct weir_task_config *cfg, int rc)
{
	unsigned dropped = 0;
	struct weir_task_config c = *cfg;

	c.arg = &dropped;
	c.drop = count;
	ck_assert_int_eq(weir_task_spawn(rt, &c, NULL), rc);
	ck_assert_uint_eq(dropped, 1);
}

START_TEST(a_spawn_that_fails_drops_its_argument)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_task_config good = WEIR_TASK_CONFIG_INIT, c;
	struct weir_rt *rt = runtime_new(&cfg);
	unsigned dropped = 0;

	good.fn = never;
	refuse(NULL, &good, -ENXIO);
	c = good;
	c.poll = never_poll;
	refuse(rt, &c, -EINVAL);
	c = good;
	c.fn = NULL;
	c.poll = never_poll;
	refuse(rt, &c, -EINVAL);
	c = good;
	c.flags = WEIR_TASK_PINNED;
	refuse(rt, &c, -EINVAL);
	/* Without a valid size no field of the config can be read. */
	c = good;
	c.size = 0;
	c.drop = count;
	c.arg = &dropped;
	ck_assert_int_eq(weir_task_spawn(rt, &c, NULL), -EINVAL);
	ck_assert_int_eq(weir_task_spawn(rt, NULL, NULL), -EINVAL);
	ck_assert_uint_eq(dropped, 0);
	ck_assert_int_eq(weir_spawn_or_drop(NULL, &dropped, count, NULL), -ENXIO);
	ck_assert_int_eq(weir_rt_spawn_or_drop(rt, NULL, &dropped, count, NULL), -EINVAL);
	ck_assert_uint_eq(dropped, 2);
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	refuse(rt, &good, -ESHUTDOWN);
	ck_assert_int_eq(weir_rt_spawn_or_drop(rt, never, &dropped, count, NULL), -ESHUTDOWN);
	ck_assert_int_eq(weir_blocking_spawn_or_drop(rt, never, &dropped, count), -ESHUTDOWN);
	ck_assert_int_eq(weir_blocking_spawn_or_drop(NULL, never, &dropped, count), -ENXIO);
	ck_assert_uint_eq(dropped, 5);
	weir_rt_free(rt);
}
END_TEST

/* ---- jobs ---- */

static int wait_for_event(void *event)
{
	event_wait(event, 1);
	return 0;
}

static void *shut_down(void *rt)
{
	ck_assert_int_eq(weir_rt_shutdown(rt, WEIR_FOREVER), 0);
	return NULL;
}

START_TEST(a_job_that_the_pool_never_ran_is_dropped)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct event let_go = EVENT_INIT;
	unsigned dropped = 0;
	struct weir_rt *rt;
	pthread_t thread;

	cfg.blocking_max = 1;
	cfg.blocking_queue = 3;
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_blocking_spawn(rt, wait_for_event, &let_go), 0);
	/*
	 * One job runs, three wait, and further ones are refused. When the first starts is up to
	 * its thread.
	 */
	while (weir_blocking_spawn_or_drop(rt, never, &dropped, count) == 0)
		;
	ck_assert_uint_eq(dropped, 1);
	thread = thread_start(shut_down, rt);
	while (get(&dropped) < 1 + 2)
		sched_yield();
	event_raise(&let_go);
	pthread_join(thread, NULL);
	ck_assert(dropped == 1 + 3 || dropped == 1 + 2);
	weir_rt_free(rt);
}
END_TEST

/* ---- a server ---- */

enum {
	CLIENTS = 200
};

static int echo(void *arg)
{
	struct weir_tcp *conn = arg;
	struct weir_lease in;
	int rc;

	while ((rc = weir_tcp_recv_lease(conn, &in)) > 0)
		if ((rc = weir_tcp_send_lease(conn, &in)) < 0)
			break;
	weir_tcp_close(conn);
	return rc;
}

static void start_echo(struct weir_tcp *conn, void *arg UNUSED)
{
	weir_spawn_or_drop(echo, conn, weir_tcp_drop, NULL);
}

static int accept_all(void *listener)
{
	struct weir_tcp *conn;
	int rc;

	while ((rc = weir_listener_accept(listener, &conn)) >= 0)
		start_echo(conn, NULL);
	return rc;
}

static int serve_all(void *listener)
{
	return weir_listener_serve(listener, NULL, start_echo, NULL);
}

struct crowd {
	struct weir_addr addr;
	unsigned echoed, reset;
};

/* Runs on a thread of its own: all clients connect and send, then all receive. */
static int be_the_clients(void *arg)
{
	struct crowd *crowd = arg;
	int fds[CLIENTS];
	char byte = 'x';

	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_ge(fds[i], 0);
		ck_assert_int_eq(connect(fds[i], &crowd->addr.u.sa, crowd->addr.len), 0);
		(void)send(fds[i], &byte, 1, MSG_NOSIGNAL);
	}
	for (int i = 0; i < CLIENTS; i++) {
		if (recv(fds[i], &byte, 1, 0) == 1)
			crowd->echoed++;
		else
			crowd->reset++;
	}
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	return 0;
}

static int do_nothing(void *arg UNUSED)
{
	return 0;
}

/* A worker reserves several stacks with its first one. This gives its accept loop a stack. */
static void reserve_on_each_worker(void)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	cfg.fn = do_nothing;
	cfg.flags = WEIR_TASK_PINNED;
	for (unsigned i = 0; i < weir_rt_workers(weir_rt_current()); i++) {
		cfg.worker = 1 + (int)i;
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
		ck_assert_int_eq(weir_task_join(task, NULL), 0);
	}
}

static int serve_a_crowd(void *arg)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *listener;
	struct crowd crowd = { .echoed = 0 };
	struct weir_task *server;
	int end;

	cfg.backlog = CLIENTS;
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", &cfg, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &crowd.addr), 0);
	ck_assert_int_eq(weir_spawn(arg ? serve_all : accept_all, listener, &server), 0);
	reserve_on_each_worker();
	forbid_new_stacks();
	ck_assert_int_eq(weir_blocking_run(be_the_clients, &crowd), 0);
	ck_assert_uint_eq(crowd.echoed + crowd.reset, CLIENTS);
	ck_assert_uint_gt(crowd.echoed, 0);
	ck_assert_uint_gt(crowd.reset, 0);
	weir_task_abort(server);
	ck_assert_int_eq(weir_task_join(server, &end), 0);
	ck_assert_int_eq(end, -ECANCELED);
	weir_listener_close(listener);
	allow_new_stacks();
	return 0;
}

START_TEST(a_client_without_a_fiber_is_reset_and_the_others_are_served)
{
	struct weir_rt_config cfg = runtime_config(_i % RUNTIMES);
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	if (cfg.workers > 2)
		cfg.workers = 2;	/* each reserves stacks of its own */
	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++) {
		if (info.err < 0 || strcmp(info.name, "kqueue") == 0)
			continue;
		cfg.backend = info.name;
		runtime_run(&cfg, serve_a_crowd, _i < RUNTIMES ? NULL : &cfg);
	}
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EACH(without_a_stack_the_argument_is_dropped),
		TESTING(stacks_that_are_free_again_are_used, .rounds = 2),
		EACH(a_spawn_that_fails_drops_its_argument),
		EACH(a_job_that_the_pool_never_ran_is_dropped),
		TESTING(a_client_without_a_fiber_is_reset_and_the_others_are_served,
			.rounds = 2 * RUNTIMES),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
