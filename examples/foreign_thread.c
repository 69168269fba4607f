/* SPDX-License-Identifier: MIT */
/*
 * foreign_thread.c: using a runtime from threads that are not its workers. They spawn tasks,
 * join them, and send to a task through a channel. Any thread that has the pointer to a runtime
 * may do so.
 *
 *	build/examples/foreign_thread	lets three threads spawn a task each, and ends
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir/weir.h"

#define THREADS 3

struct caller {
	struct weir_rt *rt;
	struct weir_mpsc *words;
	int number;
	int result;
};

/* The task that each thread spawns. */
static int square(void *arg)
{
	int n = *(int *)arg;

	weir_sleep(WEIR_MSEC);
	return n * n;
}

/* A plain thread. Here weir_task_join blocks the thread; on a fiber it suspends only the fiber. */
static void *call(void *arg)
{
	struct caller *self = arg;
	struct weir_mpsc_send_future send;
	struct weir_task *task;
	int rc = weir_rt_spawn(self->rt, square, &self->number, &task);

	if (rc == 0)
		rc = weir_task_join(task, &self->result);
	if (rc < 0)
		self->result = rc;
	/* weir_mpsc_send may only be called on a fiber; any thread may block on the send future. */
	weir_mpsc_send_init(&send, self->words, &self->number);
	weir_block_on(&send.future, WEIR_FOREVER);
	weir_mpsc_unref(self->words);
	return NULL;
}

/* The receiving task. weir_mpsc_recv returns 0 when the last thread has dropped its reference. */
static int listen_to(void *arg)
{
	struct weir_mpsc *words = arg;
	int number, count = 0;

	while (weir_mpsc_recv(words, &number) > 0) {
		printf("the task: thread %d is done\n", number);
		count++;
	}
	weir_mpsc_free(words);
	return count;
}

/*
 * Runs in place of listen_to if that cannot be spawned. Without a receiver every send fails with
 * -EPIPE, instead of waiting for ever for room in the queue.
 */
static void do_not_listen(void *words)
{
	weir_mpsc_free(words);
}

static void run_threads(struct weir_rt *rt, struct weir_mpsc *words)
{
	pthread_t threads[THREADS];
	struct caller callers[THREADS];

	for (int i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){ rt, weir_mpsc_ref(words), i + 1, 0 };
		if (pthread_create(&threads[i], NULL, call, &callers[i]) != 0)
			abort();
	}
	weir_mpsc_unref(words); /* the reference that weir_mpsc_new gave this thread */
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		printf("thread %d: the square is %d\n", callers[i].number, callers[i].result);
	}
}

static int run(struct weir_rt *rt)
{
	struct weir_mpsc *words;
	struct weir_task *listener;
	int heard, rc = weir_mpsc_new(1, sizeof(int), &words);

	if (rc < 0)
		return rc;
	rc = weir_rt_spawn_or_drop(rt, listen_to, words, do_not_listen, &listener);
	if (rc < 0) {
		weir_mpsc_unref(words);
		return rc;
	}
	run_threads(rt, words);
	rc = weir_task_join(listener, &heard);
	return rc < 0 ? rc : heard == THREADS ? 0 : -EIO;
}

int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	int rc = weir_rt_new(&cfg, &rt);

	if (rc == 0) {
		rc = run(rt);
		weir_rt_free(rt);
	}
	return rc < 0 ? fprintf(stderr, "foreign_thread: %s\n", weir_strerror(rc)), 1 : 0;
}
