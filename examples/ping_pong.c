/* SPDX-License-Identifier: MIT */
/*
 * ping_pong.c: two tasks that hand a number back and forth over two channels.
 * Each waits for the other all the time, so this is also how fast a wake-up is.
 */
#include <stdio.h>

#include "weir/weir.h"

#define ROUNDS 10000

struct table {
	struct weir_mpsc *to_ping, *to_pong;
};

/* A side that is out, or never came, sends nothing more: the other one's recv answers 0, the end. */
static void pong_is_out(void *arg)
{
	weir_mpsc_unref(((struct table *)arg)->to_ping);
}

static void ping_is_out(void *arg)
{
	weir_mpsc_unref(((struct table *)arg)->to_pong);
}

/* Answer every number with the next one, until the other side is gone. */
static int pong(void *arg)
{
	struct table *table = arg;
	int ball, rc;

	while ((rc = weir_mpsc_recv(table->to_pong, &ball)) > 0) {
		ball++;
		rc = weir_mpsc_send(table->to_ping, &ball);
		if (rc < 0)
			break;
	}
	pong_is_out(table);
	return rc;
}

static int ping(void *arg)
{
	struct table *table = arg;
	int ball = 0, rc = 0;

	while (rc >= 0 && ball < ROUNDS) {
		ball++;
		rc = weir_mpsc_send(table->to_pong, &ball);
		if (rc == 0)
			rc = weir_mpsc_recv(table->to_ping, &ball);
	}
	ping_is_out(table);
	return rc < 0 ? rc : ball;
}

static int play(struct table *table)
{
	struct weir_task *a, *b;
	uint64_t start = weir_now();
	int first, second, rc = weir_spawn_or_drop(ping, table, ping_is_out, &a);

	if (rc < 0)
		return rc;
	rc = weir_spawn_or_drop(pong, table, pong_is_out, &b);
	if (rc < 0) {
		weir_task_join(a, &first);
		return rc;
	}
	weir_task_join(a, &first);
	weir_task_join(b, &second);
	printf("the ball was hit %d times, %.0f ns each; ping ended with %d, pong with %d\n", first,
	       (double)(weir_now() - start) / ROUNDS, first, second);
	return first < 0 ? first : second;
}

static int run(void *arg)
{
	struct table table = { NULL, NULL };
	int rc = weir_mpsc_new(1, sizeof(int), &table.to_ping);

	(void)arg;
	if (rc == 0)
		rc = weir_mpsc_new(1, sizeof(int), &table.to_pong);
	if (rc == 0)
		rc = play(&table);
	weir_mpsc_free(table.to_ping);
	weir_mpsc_free(table.to_pong);
	return rc;
}

int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc = weir_rt_run(&cfg, run, NULL);

	return rc < 0 ? fprintf(stderr, "ping_pong: %s\n", weir_strerror(rc)), 1 : 0;
}
