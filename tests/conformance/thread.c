/* SPDX-License-Identifier: MIT */
/*
 * thread.c: operations and threads. Threads outside the runtime wake a sleeping worker; the
 * program's own system calls are not interrupted; operations survive the thread that started them,
 * and a fork; and waiting takes no threads.
 */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

/* ---- wakes from outside ---- */

#define WAKES 300

struct poker {
	struct weir_rt *rt;
	struct weir_notify poke;
	atomic_uint seen;
	bool failed;
};

static int be_poked(void *arg)
{
	struct poker *p = arg;

	weir_notify_one(&p->poke);
	return 0;
}

/* Runs outside the runtime, and wakes a task on it again and again. The runtime may be asleep. */
static void *poke(void *arg)
{
	struct poker *p = arg;

	for (unsigned i = 0; i < WAKES && !p->failed; i++) {
		if (i % 2)
			weir_notify_one(&p->poke);
		else
			p->failed = weir_rt_spawn(p->rt, be_poked, p, NULL) < 0;
		while (atomic_load(&p->seen) == i && !p->failed)
			sched_yield();
	}
	return NULL;
}

CASE(a_sleeping_worker_hears_every_wake, 0)
{
	struct poker p = { .rt = env.rt };
	struct weir_tcp *one, *other;
	struct waiter waiter;
	struct weir_op op;
	pthread_t thread;
	char byte;

	/* Keeps an operation in flight all the time. */
	connected(&one, &other);
	weir_op_init_recv(&op, weir_tcp_handle(one), &byte, 1, 0);
	begin(&waiter, &op.future);
	pending(&waiter);
	weir_notify_init(&p.poke);
	ck_assert_int_eq(pthread_create(&thread, NULL, poke, &p), 0);
	for (unsigned i = 0; i < WAKES; i++) {
		OK(weir_notify_wait(&p.poke));
		atomic_fetch_add(&p.seen, 1);
	}
	pthread_join(thread, NULL);
	ck_assert(!p.failed);
	weir_notify_fini(&p.poke);
	weir_tcp_close(other);
	ck_assert_int_eq(ended(&waiter), 0);
	weir_tcp_close(one);
	return 0;
}

/* ---- the program's own calls ---- */

static atomic_bool talking;

static int talk(void *arg)
{
	while (atomic_load(&talking)) {
		OK(weir_tcp_send(arg, "x", 1));
		OK(weir_yield());
	}
	return 0;
}

static int listen_in(void *arg)
{
	char buf[64];

	while (weir_tcp_recv(arg, buf, sizeof(buf)) > 0)
		;
	return 0;
}

/* Completions that arrive during a system call of the program must not make it fail with EINTR. */
CASE(calls_of_the_program_are_not_interrupted, 0)
{
	const struct timespec ms = { 0, 1000000 };
	struct weir_tcp *near[4], *far[4];
	struct weir_task *talkers[4], *listeners[4];

	atomic_store(&talking, true);
	for (unsigned i = 0; i < 4; i++) {
		connected(&near[i], &far[i]);
		talkers[i] = spawn_on(i, talk, near[i]);
		listeners[i] = spawn_on(i / 2, listen_in, far[i]);
	}
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(poll(NULL, 0, 2), 0);
		ck_assert_int_eq(nanosleep(&ms, NULL), 0);
		turns(5);
	}
	atomic_store(&talking, false);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(finish(talkers[i]), 0);
		weir_tcp_close(near[i]);
		ck_assert_int_eq(finish(listeners[i]), 0);
		weir_tcp_close(far[i]);
	}
	return 0;
}

/* ---- threads that come and go ---- */

static unsigned threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

#define WAITING 200

CASE(waiting_costs_no_threads, 0)
{
	static struct weir_tcp *near[WAITING], *far[WAITING];
	static struct weir_task *tasks[WAITING];
	unsigned before = threads();

	allow_files(2 * WAITING + 100);
	for (unsigned i = 0; i < WAITING; i++) {
		connected(&near[i], &far[i]);
		tasks[i] = spawn(listen_in, far[i]);
	}
	turns(10);
	ck_assert_uint_le(threads(), before + 2);
	for (unsigned i = 0; i < WAITING; i++) {
		weir_tcp_close(near[i]);
		ck_assert_int_eq(finish(tasks[i]), 0);
		weir_tcp_close(far[i]);
	}
	return 0;
}

/*
 * With the current-thread scheduler, the thread in block_on is the worker. A thread starts
 * operations and ends; they finish when another thread runs block_on. Static, because it outlives
 * both threads.
 */
static struct {
	struct weir_tcp *near, *far;
	struct weir_task *task;
} left;

static int leave_it(void *arg)
{
	(void)arg;
	connected(&left.near, &left.far);
	left.task = spawn(listen_in, left.far);
	turns(3);
	return 0;
}

static void *leave_it_in_thread(void *arg)
{
	*(int *)arg = weir_rt_block_on(env.rt, leave_it, NULL);
	return NULL;
}

static int come_back_to_it(void *arg)
{
	(void)arg;
	ck_assert(!weir_task_is_complete(left.task));
	pattern_send(left.near, 1, 0, 40);
	weir_tcp_close(left.near);
	ck_assert_int_eq(finish(left.task), 0);
	weir_tcp_close(left.far);
	return 0;
}

START_TEST(operations_outlive_the_thread_that_started_them)
{
	pthread_t thread;
	int rc = -1;

	conformance_open(_i);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, leave_it_in_thread, &rc), 0);
		pthread_join(thread, NULL);
		ck_assert_int_eq(rc, 0);
		ck_assert_int_eq(weir_rt_block_on(env.rt, come_back_to_it, NULL), 0);
	}
	conformance_close_down();
}
END_TEST

/* ---- fork ---- */

/* A forked child that does not use weir does not disturb the parent's operations. */
CASE(a_fork_leaves_operations_alone, 0)
{
	struct weir_tcp *one, *other;
	struct waiter waiter;
	struct weir_op op;
	char buf[100];
	int status;
	pid_t pid;

	connected(&one, &other);
	for (size_t round = 0; round < 5; round++) {
		weir_op_init_recv(&op, weir_tcp_handle(other), buf, sizeof(buf), WEIR_OP_ALL);
		begin(&waiter, &op.future);
		pending(&waiter);
		pid = fork();
		if (pid == 0)
			_exit(weir_tcp_recv(one, buf, 1) < 0 ? 0 : 1);
		OK(pid);
		pattern_send(one, 1, round * 100, 50);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		pattern_send(one, 1, round * 100 + 50, 50);
		ck_assert_int_eq(ended(&waiter), 100);
		pattern_check(1, round * 100, buf, 100);
	}
	close_both(one, other);
	return 0;
}

void conformance_thread(struct conformance_list *list)
{
	BOTH(list, a_sleeping_worker_hears_every_wake);
	ONCE(list, calls_of_the_program_are_not_interrupted);
	ONCE(list, waiting_costs_no_threads, .needs = "native");
	ONCE(list, operations_outlive_the_thread_that_started_them);
	BOTH(list, a_fork_leaves_operations_alone, .needs = "native");
}
