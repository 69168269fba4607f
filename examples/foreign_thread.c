/* SPDX-License-Identifier: MIT */
/*
 * foreign_thread.c: using a runtime from threads that are not its workers: spawn,
 * join, channels. There is no default runtime; whoever has the pointer may.
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

/* A task; it does not know who spawned it. */
static int square(void *arg)
{
	int n = *(int *)arg;

	weir_sleep(WEIR_MSEC);
	return n * n;
}

/* A plain thread. The join sleeps here; on a fiber it would let others run. */
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
	/* weir_mpsc_send needs a fiber; its future can be waited for on any thread. */
	weir_mpsc_send_init(&send, self->words, &self->number);
	weir_block_on(&send.future, WEIR_FOREVER);
	weir_mpsc_unref(self->words);
	return NULL;
}

/* A task that hears from the threads, until the last of them is gone. */
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

/* Nobody will listen: a send is answered with -EPIPE, instead of waiting for room for ever. */
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
	weir_mpsc_unref(words); /* this thread's own */
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
