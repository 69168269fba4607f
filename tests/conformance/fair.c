/* SPDX-License-Identifier: MIT */
/*
 * fair.c: a few busy ("hot") streams must not starve quiet ones. The tests count how often the hot
 * streams are served before a quiet one has its turn; they measure no time. Where the backend has
 * sockets, separate threads flood the hot streams faster than they can be read.
 */
#include <pthread.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

#define HOT 2
#define QUIET 50
#define ROUNDS 3
/*
 * How often the hot streams together may be served while a quiet one waits. With the budget it is
 * about a thousand times, without it five thousand. With several workers the kernel may suspend the
 * quiet one's worker while the others run on; there the limit is larger, and applies to the median.
 */
#define HOT_MAX 3500
#define HOT_MAX_SHARED 32768
#define HOT_BYTES 65536
/* Bytes per receive: few, so that the reader is slower than the sender. */
#define HOT_READ 512

static atomic_bool hot_stop;
static atomic_uint hot_served;

/* ---- the hot streams ---- */

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
	char page[HOT_READ];
	int rc;

	while ((rc = weir_tcp_recv(arg, page, sizeof(page))) > 0)
		atomic_fetch_add(&hot_served, 1);
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

/* Like hot_send, but on a thread outside the runtime. */
static void *hot_thread(void *arg)
{
	const struct weir_addr *addr = arg;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *page = calloc(1, HOT_BYTES);

	if (fd < 0 || connect(fd, &addr->u.sa, addr->len) < 0)
		abort();
	while (!atomic_load(&hot_stop) && send(fd, page, HOT_BYTES, MSG_NOSIGNAL) > 0)
		;
	close(fd);
	free(page);
	return NULL;
}

struct flood {
	struct weir_tcp *near[HOT], *far[HOT];
	struct weir_task *senders[HOT], *receivers[HOT];
	pthread_t threads[HOT];
	struct weir_addr addrs[HOT];
};

static void flood_one(struct flood *f, int i)
{
	struct weir_listener *listener;

	if (!(env.caps & KERNEL_STREAMS)) {
		connected(&f->near[i], &f->far[i]);
		f->senders[i] = spawn(hot_send, f->near[i]);
		return;
	}
	f->near[i] = NULL;
	listener = open_listener(&f->addrs[i]);
	ck_assert_int_eq(pthread_create(&f->threads[i], NULL, hot_thread, &f->addrs[i]), 0);
	OK(weir_listener_accept(listener, &f->far[i]));
	weir_listener_close(listener);
}

static void flood_start(struct flood *f)
{
	bool leases = env.caps & WEIR_CAP_LEASE;

	atomic_store(&hot_stop, false);
	atomic_store(&hot_served, 0);
	for (int i = 0; i < HOT; i++) {
		flood_one(f, i);
		f->receivers[i] = spawn(leases && i % 2 ? hot_lease : hot_recv, f->far[i]);
	}
	while (atomic_load(&hot_served) < 100)
		OK(weir_sleep(WEIR_MSEC));
}

static void flood_end(struct flood *f)
{
	atomic_store(&hot_stop, true);
	for (int i = 0; i < HOT; i++) {
		if (f->near[i])
			OK(finish(f->senders[i]));
		OK(finish(f->receivers[i]));
		if (!f->near[i])
			pthread_join(f->threads[i], NULL);
		close_both(f->near[i], f->far[i]);
	}
}

/* ---- the quiet streams ---- */

struct quiet {
	struct weir_tcp *near, *far;
	struct weir_task *task;
	atomic_uint asked;		/* the value of hot_served when its byte was sent */
	unsigned waited;		/* the largest increase of hot_served until its turn */
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

static unsigned waited_most(struct quiet *quiet, unsigned count)
{
	qsort(quiet, count, sizeof(quiet[0]), by_waited);
	return quiet[env.workers > 1 ? count / 2 : count - 1].waited;
}

static unsigned hot_max(void)
{
	return env.workers > 1 ? HOT_MAX_SHARED : HOT_MAX;
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
	ck_assert_uint_le(waited_most(quiet, QUIET), hot_max());
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
	/* Twice the limit: the turn includes a connect and an accept. */
	ck_assert_uint_le(waited_most(turns, 10), 2 * hot_max());
	return 0;
}

void conformance_fair(struct conformance_list *list)
{
	ONCE(list, hot_streams_do_not_starve_the_quiet);
	ONCE(list, hot_streams_do_not_starve_a_listener);
}
