/* SPDX-License-Identifier: MIT */
/*
 * ping_pong.c: two tasks that send a number back and forth over two channels. One of them always
 * waits for the other, so the time per hit is the time of one wake-up.
 *
 *	build/examples/ping_pong	plays 10000 rounds, prints the time per hit, and ends
 */
#include <stdio.h>

#include "weir/weir.h"

#define ROUNDS 10000

struct table {
	struct weir_mpsc *to_ping, *to_pong;
};

/*
 * Each of these runs when its side has finished or could not be spawned. It drops that side's
 * sending reference, so that recv of the other side returns 0, the end, and does not wait on.
 */
static void pong_is_out(void *arg)
{
	weir_mpsc_unref(((struct table *)arg)->to_ping);
}

static void ping_is_out(void *arg)
{
	weir_mpsc_unref(((struct table *)arg)->to_pong);
}

/* Answers every number with the next one, until the other side has finished. */
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
