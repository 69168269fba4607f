/* SPDX-License-Identifier: MIT */
/*
 * fair.c: hot streams beside quiet ones. What counts is how often the hot ones were
 * served before a quiet one had its turn, not how long that took.
 */
#include "tests/conformance/conformance.h"

#define HOT 4
#define QUIET 50
#define ROUNDS 3
/* What the hot ones together may be served while one that is quiet waits for its turn. */
#define HOT_MAX 8192
#define HOT_BYTES 65536

static atomic_bool hot_stop;
static atomic_uint hot_served;

/* ---- the hot ones ---- */

static int hot_send(void *arg)
{
	char *page = calloc(1, HOT_BYTES);

	while (!atomic_load(&hot_stop))
		OK(weir_tcp_send_all(arg, page, HOT_BYTES, WEIR_FOREVER, NULL));
	free(page);
	return weir_tcp_shutdown(arg, SHUT_WR);
}

static int hot_recv(void *arg)
{
	char *page = malloc(HOT_BYTES);
	int rc;

	while ((rc = weir_tcp_recv(arg, page, HOT_BYTES)) > 0)
		atomic_fetch_add(&hot_served, 1);
	free(page);
	return rc;
}

static int hot_lease(void *arg)
{
	struct weir_lease lease;
	int rc;

	while ((rc = weir_tcp_recv_lease(arg, &lease)) > 0) {
		atomic_fetch_add(&hot_served, 1);
		weir_lease_return(&lease);
	}
	return rc;
}

struct flood {
	struct weir_tcp *near[HOT], *far[HOT];
	struct weir_task *senders[HOT], *receivers[HOT];
};

static void flood_start(struct flood *f)
{
	bool leases = env.caps & WEIR_CAP_LEASE;

	atomic_store(&hot_stop, false);
	atomic_store(&hot_served, 0);
	for (int i = 0; i < HOT; i++) {
		connected(&f->near[i], &f->far[i]);
		f->senders[i] = spawn(hot_send, f->near[i]);
		f->receivers[i] = spawn(leases && i % 2 ? hot_lease : hot_recv, f->far[i]);
	}
	while (atomic_load(&hot_served) < 100)
		OK(weir_sleep(WEIR_MSEC));
}

static void flood_end(struct flood *f)
{
	atomic_store(&hot_stop, true);
	for (int i = 0; i < HOT; i++) {
		OK(finish(f->senders[i]));
		OK(finish(f->receivers[i]));
		close_both(f->near[i], f->far[i]);
	}
}

/* ---- the quiet ones ---- */

struct quiet {
	struct weir_tcp *near, *far;
	struct weir_task *task;
	atomic_uint asked;		/* hot_served when its byte was sent */
	unsigned waited;		/* the most services between that and its turn */
};

static void had_its_turn(struct quiet *q)
{
	unsigned waited = atomic_load(&hot_served) - atomic_load(&q->asked);

	q->waited = waited > q->waited ? waited : q->waited;
}

static int quiet_copy(void *arg)
{
	struct quiet *q = arg;
	char byte;
	int rc;

	while ((rc = weir_tcp_recv(q->far, &byte, 1)) > 0) {
		had_its_turn(q);
		ck_assert_int_eq(weir_tcp_send(q->far, &byte, 1), 1);
	}
	return rc;
}

static int quiet_lease(void *arg)
{
	struct quiet *q = arg;
	struct weir_lease lease;
	int rc;

	while ((rc = weir_tcp_recv_lease(q->far, &lease)) > 0) {
		had_its_turn(q);
		ck_assert_int_eq(weir_tcp_send_lease(q->far, &lease), rc);
	}
	return rc;
}

static int by_waited(const void *a, const void *b)
{
	unsigned x = ((const struct quiet *)a)->waited, y = ((const struct quiet *)b)->waited;

	return (x > y) - (x < y);
}

CASE(hot_streams_do_not_starve_the_quiet, 0)
{
	static struct quiet quiet[QUIET];
	bool leases = env.caps & WEIR_CAP_LEASE;
	struct flood flood;
	char byte = 'x';

	for (int i = 0; i < QUIET; i++) {
		quiet[i].waited = 0;
		connected(&quiet[i].near, &quiet[i].far);
		quiet[i].task = spawn(leases && i % 2 ? quiet_lease : quiet_copy, &quiet[i]);
	}
	flood_start(&flood);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < QUIET; i++) {
			atomic_store(&quiet[i].asked, atomic_load(&hot_served));
			ck_assert_int_eq(weir_tcp_send(quiet[i].near, &byte, 1), 1);
		}
		for (int i = 0; i < QUIET; i++)
			ck_assert_int_eq(weir_tcp_recv(quiet[i].near, &byte, 1), 1);
	}
	flood_end(&flood);
	for (int i = 0; i < QUIET; i++) {
		weir_tcp_close(quiet[i].near);
		OK(finish(quiet[i].task));
		weir_tcp_close(quiet[i].far);
	}
	qsort(quiet, QUIET, sizeof(quiet[0]), by_waited);
	/* All of them on one worker; the middle one where the system's scheduler has a say. */
	ck_assert_uint_le(quiet[env.workers ? QUIET / 2 : QUIET - 1].waited, HOT_MAX);
	return 0;
}

CASE(hot_streams_do_not_starve_a_listener, 0)
{
	struct weir_tcp *one, *other;
	struct quiet turns[10];
	struct flood flood;

	flood_start(&flood);
	for (int i = 0; i < 10; i++) {
		turns[i].waited = 0;
		atomic_init(&turns[i].asked, atomic_load(&hot_served));
		connected(&one, &other);
		had_its_turn(&turns[i]);
		close_both(one, other);
	}
	flood_end(&flood);
	qsort(turns, 10, sizeof(turns[0]), by_waited);
	ck_assert_uint_le(turns[env.workers ? 5 : 9].waited, 2 * HOT_MAX);
	return 0;
}

void conformance_fair(struct conformance_list *list)
{
	ONCE(list, hot_streams_do_not_starve_the_quiet);
	ONCE(list, hot_streams_do_not_starve_a_listener);
}
