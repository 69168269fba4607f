/* SPDX-License-Identifier: MIT */
/*
 * tools_bench_load.c: the load of weir bench with servers that misbehave on purpose. An open loop
 * shows a stall in every request that the stall delayed; a closed loop does not. Servers that drop
 * connections or never answer are reported.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/testing.h"
#include "tools/bench/load.h"

#define CONNS 4
#define STALL_NS (200 * WEIR_MSEC)
/* Longer than the load waits after its end for late answers, if there were some before. */
#define LONG_STALL_NS (1500 * WEIR_MSEC)

/* An echo server over poll(2) with one fault. */
struct server {
	int listener, stop[2];
	pthread_t thread;
	struct weir_addr addr;
	unsigned stall_after, drop_after, mute_after;	/* in echoes; 0: never. It stalls once */
	uint64_t stall_ns;		/* 0: STALL_NS */
	bool swallows;			/* reads requests and never answers */
	unsigned echoes;
	struct pollfd fds[2 + CONNS];
	unsigned fds_len;
};

static struct bench_record rec;

void bench_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

static void stall(struct server *s)
{
	uint64_t ns = s->stall_ns ? s->stall_ns : STALL_NS;
	struct timespec ts = { (time_t)(ns / WEIR_SEC), (long)(ns % WEIR_SEC) };

	s->stall_after = 0;
	nanosleep(&ts, NULL);
}

static void echo(struct server *s, struct pollfd *p)
{
	char buf[4096];
	ssize_t n = recv(p->fd, buf, sizeof(buf), 0);

	if (n <= 0) {
		close(p->fd);
		p->fd = -1;
		return;
	}
	s->echoes++;
	if (s->echoes == s->stall_after)
		stall(s);
	if (s->swallows || (s->mute_after && s->echoes > s->mute_after))
		return;
	ck_assert_int_eq(send(p->fd, buf, (size_t)n, MSG_NOSIGNAL), n);
	if (s->echoes == s->drop_after) {
		close(p->fd);
		p->fd = -1;
	}
}

static void *serve(void *arg)
{
	struct server *s = arg;

	while (poll(s->fds, s->fds_len, -1) > 0 && !s->fds[0].revents) {
		if (s->fds[1].revents) {
			s->fds[s->fds_len++] = (struct pollfd){ accept(s->listener, NULL, NULL),
								POLLIN, 0 };
			if (s->fds_len == TESTING_COUNT(s->fds))
				s->fds[1].fd = -1;
		}
		for (unsigned i = 2; i < s->fds_len; i++)
			if (s->fds[i].fd >= 0 && s->fds[i].revents)
				echo(s, &s->fds[i]);
	}
	for (unsigned i = 2; i < s->fds_len; i++)
		if (s->fds[i].fd >= 0)
			close(s->fds[i].fd);
	return NULL;
}

static void start(struct server *s)
{
	ck_assert_int_eq(weir_addr_parse("127.0.0.1:0", &s->addr), 0);
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(s->listener, &s->addr.u.sa, s->addr.len), 0);
	ck_assert_int_eq(listen(s->listener, 64), 0);
	ck_assert_int_eq(getsockname(s->listener, &s->addr.u.sa, &s->addr.len), 0);
	ck_assert_int_eq(pipe(s->stop), 0);
	s->fds[0] = (struct pollfd){ s->stop[0], POLLIN, 0 };
	s->fds[1] = (struct pollfd){ s->listener, POLLIN, 0 };
	s->fds_len = 2;
	ck_assert_int_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
	close(s->stop[1]);
	ck_assert_int_eq(pthread_join(s->thread, NULL), 0);
	close(s->stop[0]);
	close(s->listener);
}

/* Runs the load: a thousand requests per second, or a closed loop. */
static void load(struct server *s, struct load_plan plan, uint64_t run_ns)
{
	struct load *load;
	uint64_t now;

	start(s);
	plan.server = s->addr;
	plan.upstream_fd = -1;
	plan.threads = 2;
	plan.conns = CONNS;
	plan.depth = plan.depth ? plan.depth : 1;
	plan.patience_ns = plan.patience_ns ? plan.patience_ns : testing_hang_ns();
	plan.request_bytes = plan.answer_bytes = 32;
	plan.rate = 1000;
	plan.seed = 1;
	ck_assert_int_eq(bench_load_new(&plan, &load), 0);
	now = bench_now();
	bench_record_window(&rec, now, now + run_ns);
	bench_load_go(load, now, now, now + run_ns);
	bench_load_finish(load, &rec);
	stop(s);
}

static double share_above(uint64_t ns)
{
	uint64_t top, n, above = 0;
	unsigned cursor = 0;

	while (weir_histogram_next(&rec.latency, &cursor, &top, &n))
		above += top > ns ? n : 0;
	return (double)above / (double)rec.latency.count;
}

/* The stall lasts a fifth of a second. Of the 200 requests due in it, half wait at least 100 ms. */
static bool open_loop_sees_it(int round)
{
	struct server s = { .stall_after = 300 };
	struct load_plan plan = { .open = true,
				  .poisson = round == 1,
				  .depth = 1 + (unsigned)round };

	load(&s, plan, WEIR_SEC);
	ck_assert_uint_eq(rec.errors, 0);
	ck_assert_uint_eq(rec.unanswered, 0);
	ck_assert_msg(rec.latency.count > 850 && rec.latency.count < 1150, "%llu requests",
		      (unsigned long long)rec.latency.count);
	ck_assert_msg(share_above(STALL_NS / 2) > 0.06, "%.3f", share_above(STALL_NS / 2));
	ck_assert_uint_ge(rec.latency.max, STALL_NS * 9 / 10);
	/* The service time shows the stall in only one request per connection. */
	return weir_histogram_quantile(&rec.service, 0.95) < STALL_NS / 4;
}

static bool closed_loop_hardly_sees_it(int round)
{
	struct server s = { .stall_after = 300 };

	(void)round;
	load(&s, (struct load_plan){ .open = false }, WEIR_SEC);
	ck_assert_uint_eq(rec.errors, 0);
	if (rec.done < 1000)
		return false;
	ck_assert_uint_ge(rec.latency.max, STALL_NS * 9 / 10);
	return share_above(STALL_NS / 2) < 0.01;
}

/* Tries several times: on a busy machine some runs fail, but not all. */
static void holds_once(bool (*run)(int), int round)
{
	for (unsigned i = 0; i < 30; i++)
		if (run(round))
			return;
	ck_abort_msg("not in 30 runs");
}

START_TEST(an_open_loop_sees_a_stall_in_all_it_delays)
{
	holds_once(open_loop_sees_it, _i);
}
END_TEST

START_TEST(a_closed_loop_hardly_sees_it)
{
	holds_once(closed_loop_hardly_sees_it, 0);
}
END_TEST

/* The same seed gives the same schedule. */
START_TEST(the_schedule_is_the_seeds)
{
	struct server s = { .stall_after = 0 }, again = s;
	uint64_t count;

	load(&s, (struct load_plan){ .open = true, .poisson = true }, WEIR_SEC / 2);
	count = rec.latency.count;
	load(&again, (struct load_plan){ .open = true, .poisson = true }, WEIR_SEC / 2);
	ck_assert_uint_eq(rec.latency.count, count);
	ck_assert_uint_gt(count, 300);
}
END_TEST

START_TEST(a_dropped_connection_is_an_error)
{
	struct server s = { .drop_after = 100 };

	load(&s, (struct load_plan){ .open = true }, WEIR_SEC / 4);
	ck_assert_uint_eq(rec.errors, 1);
	ck_assert_int_eq(rec.first_error, -ECONNRESET);
	ck_assert_uint_gt(rec.unanswered, 10);	/* the requests that were still due */
}
END_TEST

START_TEST(what_is_never_answered_is_counted)
{
	struct server s = { .mute_after = 100 };

	load(&s, (struct load_plan){ .open = true }, WEIR_SEC / 4);
	ck_assert_uint_eq(rec.errors, 0);
	ck_assert_uint_gt(rec.unanswered, 100);
	ck_assert_uint_ge(rec.latency.max, WEIR_SEC);	/* as long as the load waited for it */
	ck_assert_uint_eq(rec.latency.count, rec.unanswered + rec.service.count);
}
END_TEST

/* The first echo takes longer than the measurement: the server is slow, not stuck. */
START_TEST(answers_behind_the_measurement_are_late)
{
	struct server s = { .stall_after = 1 };

	load(&s, (struct load_plan){ .open = _i == 1 }, STALL_NS / 4);
	ck_assert_uint_eq(rec.done, 0);
	ck_assert_uint_eq(rec.stuck, 0);
	ck_assert(bench_record_is_late(&rec));
}
END_TEST

/* A server that gets no CPU for longer than LONG_STALL_NS is not stuck either. */
START_TEST(a_first_answer_that_takes_long_is_late)
{
	struct server s = { .stall_after = 1, .stall_ns = LONG_STALL_NS };

	load(&s, (struct load_plan){ .open = _i == 1 }, STALL_NS / 4);
	ck_assert_uint_eq(rec.done, 0);
	ck_assert(bench_record_is_late(&rec));
}
END_TEST

/*
 * The server answers, so it does not hang, although some answers have not come when the load ends.
 */
START_TEST(some_answers_behind_the_measurement_are_late)
{
	struct server s = { .stall_after = 1, .mute_after = 1 };

	load(&s, (struct load_plan){ .open = true, .patience_ns = WEIR_SEC }, STALL_NS / 4);
	ck_assert_uint_eq(rec.done, 0);
	ck_assert_uint_ge(rec.stuck, 1);
	ck_assert(bench_record_is_late(&rec));
}
END_TEST

/* A server that never answers, like one that has lost a wake-up, is stuck. */
START_TEST(requests_that_are_swallowed_are_stuck)
{
	struct server s = { .swallows = true };

	load(&s,
	     (struct load_plan){ .open = _i == 1, .depth = 2, .patience_ns = WEIR_SEC },
	     STALL_NS / 4);
	ck_assert_uint_eq(rec.done, 0);
	ck_assert_uint_ge(rec.stuck, 1);
	ck_assert(!bench_record_is_late(&rec));
}
END_TEST

START_TEST(what_answers_in_time_is_not_late)
{
	struct server s = { .swallows = false };

	load(&s, (struct load_plan){ .open = false }, WEIR_SEC);
	ck_assert_uint_gt(rec.done, 0);
	ck_assert(!bench_record_is_late(&rec));
}
END_TEST

START_TEST(nobody_listens)
{
	struct load_plan plan = { .conns = CONNS, .threads = 2, .depth = 1, .upstream_fd = -1 };
	struct load *load = NULL;

	ck_assert_int_eq(weir_addr_parse("unix:@weir-test-nobody", &plan.server), 0);
	ck_assert_int_eq(bench_load_new(&plan, &load), -ECONNREFUSED);
	ck_assert_ptr_null(load);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(an_open_loop_sees_a_stall_in_all_it_delays, .rounds = 2),
		TESTING(a_closed_loop_hardly_sees_it),
		TESTING(the_schedule_is_the_seeds),
		TESTING(a_dropped_connection_is_an_error),
		TESTING(what_is_never_answered_is_counted),
		TESTING(answers_behind_the_measurement_are_late, .rounds = 2),
		TESTING(a_first_answer_that_takes_long_is_late, .rounds = 2),
		TESTING(some_answers_behind_the_measurement_are_late),
		TESTING(requests_that_are_swallowed_are_stuck, .rounds = 2),
		TESTING(what_answers_in_time_is_not_late),
		TESTING(nobody_listens),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
