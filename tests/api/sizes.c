/* SPDX-License-Identifier: MIT */
/*
 * sizes.c: programs that were compiled against another version of the library. Each function that
 * takes a struct with a size field is called with the shorter struct of an older program and with
 * the longer struct of a newer one. The rule is in weir/base.h, under "Sizes".
 *
 * Each struct ends where inaccessible memory begins, so reading or writing behind it crashes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/testing.h"
#include "weir/weir.h"

#define ROOM 65536	/* a multiple of every page size */
#define SIZE_MAX_VALID 4096
#define POISON 0xaa

static struct weir_rt *rt;
static unsigned char *end;	/* of the room; the memory behind it is inaccessible */

static size_t size_of(const void *sized)
{
	return *(const size_t *)sized;
}

static void *room_for(size_t bytes)
{
	memset(end - ROOM, POISON, ROOM);
	return end - (bytes + 7) / 8 * 8;
}

/* Copies the struct to one of `bytes` bytes, filled up with zeros; its size field says `says`. */
static void *resized(const void *sized, size_t bytes, size_t says)
{
	size_t known = size_of(sized);
	unsigned char *copy = room_for(bytes);

	memset(copy, 0, bytes);
	memcpy(copy, sized, bytes < known ? bytes : known);
	*(size_t *)(void *)copy = says;
	return copy;
}

static void open_all(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.stall_ns = WEIR_MSEC;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), 0);
	end = mmap(NULL, 2 * ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(end, MAP_FAILED);
	ck_assert_int_eq(mprotect(end, ROOM, PROT_READ | PROT_WRITE), 0);
	end += ROOM;
}

static void runtime_end(struct weir_rt *ended)
{
	ck_assert_int_eq(weir_rt_shutdown(ended, testing_hang_ns()), 0);
	weir_rt_free(ended);
}

static void close_all(void)
{
	munmap(end - ROOM, 2 * ROOM);
	runtime_end(rt);
}

/* ---- the functions that take a config ---- */

static int seven(void *arg)
{
	(void)arg;
	return 7;
}

static int call_rt_new(const void *cfg)
{
	struct weir_rt *made;
	int rc = weir_rt_new(cfg, &made);

	ck_assert_int_eq(weir_rt_why()[0] != '\0', rc < 0);
	if (rc == 0)
		runtime_end(made);
	return rc;
}

static int call_rt_run(const void *cfg)
{
	int rc = weir_rt_run(cfg, seven, NULL);

	return rc == 7 ? 0 : rc;
}

static int call_rt_new_place(const void *place)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.no_io = true;
	cfg.place = place;
	return call_rt_new(&cfg);
}

static int call_plan_new(const void *cfg)
{
	struct weir_topo *topo;
	struct weir_plan *plan;
	struct weir_why why;
	int rc = weir_topo_new(NULL, &topo, NULL);

	ck_assert_int_eq(rc, 0);
	rc = weir_plan_new(topo, cfg, &plan, &why);
	ck_assert_int_eq(why.text[0] != '\0', rc < 0);
	if (rc == 0)
		weir_plan_free(plan);
	weir_topo_free(topo);
	return rc;
}

static int call_task_spawn(const void *cfg)
{
	struct weir_task *task;
	int result, rc = weir_task_spawn(NULL, cfg, &task);

	if (rc == 0)
		rc = weir_task_join(task, &result);
	if (rc == 0)
		ck_assert_int_eq(result, 7);
	return rc;
}

static int call_listener_open(const void *cfg)
{
	struct weir_listener *listener;
	int rc = weir_listener_open("127.0.0.1:0", cfg, &listener);

	if (rc == 0)
		weir_listener_close(listener);
	return rc;
}

static int call_listener_open_addr(const void *cfg)
{
	struct weir_listener *listener;
	struct weir_addr addr;
	int rc = weir_addr_parse("127.0.0.1:0", &addr);

	ck_assert_int_eq(rc, 0);
	rc = weir_listener_open_addr(&addr, cfg, &listener);
	if (rc == 0)
		weir_listener_close(listener);
	return rc;
}

static int call_listener_adopt(const void *cfg)
{
	struct weir_listener *listener;
	int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

	ck_assert_int_eq(listen(fd, 1), 0);
	rc = weir_listener_adopt(fd, cfg, &listener);
	if (rc == 0)
		weir_listener_close(listener);
	else
		close(fd);
	return rc;
}

static void nobody(struct weir_tcp *conn, void *arg)
{
	(void)arg;
	weir_tcp_close(conn);
}

struct serving {
	struct weir_listener *listener;
	const void *cfg;
};

static int serve(void *arg)
{
	struct serving *s = arg;

	return weir_listener_serve(s->listener, s->cfg, nobody, NULL);
}

/* weir_listener_serve runs until its task is aborted, so it is called in a task of its own. */
static int call_listener_serve(const void *cfg)
{
	struct serving s = { NULL, cfg };
	struct weir_task *task;
	int rc = weir_listener_open("127.0.0.1:0", NULL, &s.listener);

	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(weir_spawn(serve, &s, &task), 0);
	weir_task_abort(task);
	ck_assert_int_eq(weir_task_join(task, &rc), 0);
	weir_listener_close(s.listener);
	return rc == -ECANCELED ? 0 : rc;
}

/* Makes two streams whose peers have shut down their sending side. */
static void ended_streams(struct weir_tcp *ret_conns[2], int ret_peers[2])
{
	for (int i = 0; i < 2; i++) {
		int pair[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		ck_assert_int_eq(shutdown(pair[1], SHUT_WR), 0);
		ck_assert_int_eq(weir_tcp_adopt(pair[0], &ret_conns[i]), 0);
		ret_peers[i] = pair[1];
	}
}

static void close_peers(const int peers[2])
{
	close(peers[0]);
	close(peers[1]);
}

static int call_relay_run(const void *cfg)
{
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;
	struct weir_tcp *conns[2];
	int peers[2], rc;

	ended_streams(conns, peers);
	rc = weir_relay_run(conns[0], conns[1], cfg, &stats);
	ck_assert_int_eq(stats.end, rc < 0 ? WEIR_RELAY_FAILED : WEIR_RELAY_DONE);
	ck_assert_int_eq(stats.error, rc);
	weir_tcp_close(conns[0]);
	weir_tcp_close(conns[1]);
	close_peers(peers);
	return rc;
}

static int call_relay_init(const void *cfg)
{
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;
	struct weir_relay relay;
	struct weir_tcp *conns[2];
	int peers[2], rc;

	ended_streams(conns, peers);
	weir_relay_init(&relay, conns[0], conns[1], cfg);
	rc = weir_await(&relay.future);
	weir_relay_result(&relay, &stats);
	ck_assert_int_eq(stats.end, rc < 0 ? WEIR_RELAY_FAILED : WEIR_RELAY_DONE);
	weir_relay_close(&relay);
	close_peers(peers);
	return rc;
}

static const struct weir_rt_config rt_good = {
	.size = sizeof rt_good, .sched = WEIR_SCHED_CURRENT, .no_io = true, .sample = 1
};
static const struct weir_rt_config rt_bad = { .size = sizeof rt_bad,
					      .sched = WEIR_SCHED_CURRENT,
					      .guard_bytes = (size_t)2 << 30 };
static const struct weir_place_config place_good = { .size = sizeof place_good, .workers = 1 };
static const struct weir_place_config place_bad = { .size = sizeof place_bad, .group_workers = 65 };
static const struct weir_task_config task_good = { .size = sizeof task_good,
						   .name = "one of another version",
						   .fn = seven };
static const struct weir_task_config task_bad = { .size = sizeof task_bad,
						  .fn = seven,
						  .state_bytes = 8 };
static const struct weir_listener_config listener_good = { .size = sizeof listener_good,
							   .backlog = 1,
							   .keepalive = { 1, 1, 1 } };
static const struct weir_listener_config listener_bad = { .size = sizeof listener_bad,
							  .steer = (enum weir_steer)9 };
static const struct weir_serve_config serve_good = { .size = sizeof serve_good };
static const struct weir_serve_config serve_bad = { .size = sizeof serve_bad,
						    .dispatch = (enum weir_dispatch)9 };
static const struct weir_relay_config relay_good = { .size = sizeof relay_good,
						     .idle_ns = WEIR_SEC };

#define END_OF(type, member) (offsetof(struct type, member) + sizeof(((struct type *)0)->member))

static const struct config_call {
	int (*call)(const void *cfg);
	bool on_fiber;
	const void *good;
	size_t least;		/* the size of the oldest struct that works */
	const void *bad;	/* has a bad field that ends at bad_end: -EINVAL; or NULL */
	size_t bad_end;
} config_calls[] = {
	{ call_rt_new, false, &rt_good, sizeof(size_t), &rt_bad,
	  END_OF(weir_rt_config, guard_bytes) },
	{ call_rt_run, false, &rt_good, sizeof(size_t), NULL, 0 },
	{ call_rt_new_place, false, &place_good, sizeof(size_t), &place_bad,
	  END_OF(weir_place_config, group_workers) },
	{ call_plan_new, false, &place_good, sizeof(size_t), &place_bad,
	  END_OF(weir_place_config, group_workers) },
	{ call_task_spawn, true, &task_good, END_OF(weir_task_config, fn), &task_bad,
	  END_OF(weir_task_config, state_bytes) },
	{ call_listener_open, true, &listener_good, sizeof(size_t), &listener_bad,
	  END_OF(weir_listener_config, steer) },
	{ call_listener_open_addr, true, &listener_good, sizeof(size_t), &listener_bad,
	  END_OF(weir_listener_config, steer) },
	{ call_listener_adopt, true, &listener_good, sizeof(size_t), &listener_bad,
	  END_OF(weir_listener_config, steer) },
	{ call_listener_serve, true, &serve_good, sizeof(size_t), &serve_bad,
	  END_OF(weir_serve_config, dispatch) },
	{ call_relay_run, true, &relay_good, sizeof(size_t), NULL, 0 },
	{ call_relay_init, true, &relay_good, sizeof(size_t), NULL, 0 },
};

/* Sizes grow by 8 bytes: no older struct ended in the middle of a field. */
static void older_programs(const struct config_call *c)
{
	for (size_t size = c->least; size <= size_of(c->good); size += 8)
		ck_assert_int_eq(c->call(resized(c->good, size, size)), 0);
	for (size_t size = c->least; c->bad && size <= size_of(c->bad); size += 8)
		ck_assert_int_eq(c->call(resized(c->bad, size, size)),
				 c->bad_end <= size ? -EINVAL : 0);
}

static void newer_programs(const struct config_call *c)
{
	const size_t ours = size_of(c->good), sizes[] = { ours + 1, ours + 8, ours + 64,
							  SIZE_MAX_VALID };
	unsigned char *cfg;

	for (unsigned i = 0; i < TESTING_COUNT(sizes); i++) {
		ck_assert_int_eq(c->call(resized(c->good, sizes[i], sizes[i])), 0);
		if (c->bad)
			ck_assert_int_eq(c->call(resized(c->bad, sizes[i], sizes[i])), -EINVAL);
		cfg = resized(c->good, sizes[i], sizes[i]);
		cfg[ours] = 1;
		ck_assert_int_eq(c->call(cfg), -E2BIG);
		cfg = resized(c->good, sizes[i], sizes[i]);
		cfg[sizes[i] - 1] = 0x80;
		ck_assert_int_eq(c->call(cfg), -E2BIG);
	}
}

static const size_t no_sizes[] = { 0, 1, sizeof(size_t) - 1, SIZE_MAX_VALID + 1, SIZE_MAX };

static void no_programs(const struct config_call *c)
{
	for (unsigned i = 0; i < TESTING_COUNT(no_sizes); i++)
		ck_assert_int_eq(c->call(resized(c->good, size_of(c->good), no_sizes[i])), -EINVAL);
}

static int all_programs(void *arg)
{
	const struct config_call *c = arg;

	older_programs(c);
	newer_programs(c);
	no_programs(c);
	return 0;
}

START_TEST(a_config_of_another_version_is_understood)
{
	const struct config_call *c = &config_calls[_i];

	open_all();
	if (c->on_fiber)
		ck_assert_int_eq(weir_rt_block_on(rt, all_programs, (void *)(uintptr_t)c), 0);
	else
		all_programs((void *)(uintptr_t)c);
	close_all();
}
END_TEST

static void count(void *arg)
{
	++*(int *)arg;
}

/* The argument belongs to the task from the call on, so a failed spawn drops it too. */
START_TEST(an_argument_is_dropped_for_a_newer_program_too)
{
	int dropped = 0;
	struct weir_task_config good = WEIR_TASK_CONFIG_INIT;
	unsigned char *cfg;

	open_all();
	good.fn = seven;
	good.arg = &dropped;
	good.drop = count;
	cfg = resized(&good, sizeof good + 8, sizeof good + 8);
	cfg[sizeof good] = 1;
	ck_assert_int_eq(weir_task_spawn(rt, (void *)cfg, NULL), -E2BIG);
	ck_assert_int_eq(dropped, 1);
	/* Without a valid size no field can be read, so drop is not called. */
	ck_assert_int_eq(weir_task_spawn(rt, resized(&good, sizeof good, 0), NULL), -EINVAL);
	ck_assert_int_eq(dropped, 1);
	close_all();
}
END_TEST

/* ---- the functions that fill a struct in ---- */

static int call_metrics_get(void *ret)
{
	return weir_metrics_get(rt, ret);
}

static int call_metrics_worker(void *ret)
{
	return weir_metrics_worker(rt, 0, ret);
}

static int call_last_stall(void *ret)
{
	return weir_metrics_last_stall(rt, 0, ret);
}

/* The last one: where a backend is missing, that is it, and none is tried. */
static int call_backend_info_get(void *ret)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;
	unsigned len = 0;

	while (weir_backend_info_get(len, &info) == 0)
		len++;
	return weir_backend_info_get(len - 1, ret);
}

static int call_cpus_allowance(void *ret)
{
	return weir_cpus_allowance(ret);
}

static int call_relay_result(void *ret)
{
	struct weir_relay relay;

	weir_relay_init(&relay, NULL, NULL, NULL);
	relay.directions[0].moved = 7;
	relay.directions[1].moved = 8;
	relay.end = WEIR_RELAY_RESET_B;
	relay.error = -EPIPE;
	return weir_relay_result(&relay, ret);
}

/* Outside a fiber: a relay that cannot run has a result, too. */
static int call_relay_run_outside(void *ret)
{
	int rc = weir_relay_run(NULL, NULL, NULL, ret);

	return rc == -EPERM ? 0 : rc;
}

static const struct result_call {
	int (*call)(void *ret);
	size_t bytes;
} result_calls[] = {
	{ call_metrics_get, sizeof(struct weir_metrics) },
	{ call_metrics_worker, sizeof(struct weir_worker_metrics) },
	{ call_last_stall, sizeof(struct weir_stall) },
	{ call_backend_info_get, sizeof(struct weir_backend_info) },
	{ call_cpus_allowance, sizeof(struct weir_cpu_allowance) },
	{ call_relay_result, sizeof(struct weir_relay_stats) },
	{ call_relay_run_outside, sizeof(struct weir_relay_stats) },
};

static int stall(void *arg)
{
	struct weir_stall stall = WEIR_STALL_INIT;

	(void)arg;
	while (weir_metrics_last_stall(rt, 0, &stall) < 0)
		(void)weir_now();
	return 0;
}

/* What counts on meanwhile, as a quota does, is asked again until it stood still. */
static void ask(const struct result_call *c, unsigned char *ret, unsigned char *full)
{
	unsigned char *before = malloc(c->bytes);

	do {
		ck_assert_int_eq(c->call(full), 0);
		memcpy(before, full, c->bytes);
		ck_assert_int_eq(c->call(ret), 0);
		ck_assert_int_eq(c->call(full), 0);
	} while (memcmp(before, full, c->bytes) != 0);
	free(before);
}

static void filled_in(const struct result_call *c, unsigned char *full, size_t size)
{
	size_t known = size < c->bytes ? size : c->bytes;
	unsigned char *ret = room_for(size);

	*(size_t *)(void *)ret = size;
	ask(c, ret, full);
	ck_assert_uint_eq(size_of(ret), size);
	ck_assert_mem_eq(ret + sizeof(size_t), full + sizeof(size_t), known - sizeof(size_t));
	for (size_t i = known; i < size; i++)
		ck_assert_uint_eq(ret[i], 0);
	for (unsigned char *byte = ret + size; byte < end; byte++)
		ck_assert_uint_eq(*byte, POISON);
}

START_TEST(a_result_for_another_version_is_filled_as_far_as_it_fits)
{
	const struct result_call *c = &result_calls[_i];
	unsigned char *full = calloc(1, c->bytes), *ret;

	open_all();
	ck_assert_int_eq(weir_rt_block_on(rt, stall, NULL), 0);
	*(size_t *)(void *)full = c->bytes;
	for (size_t size = sizeof(size_t); size <= c->bytes + 8; size++)
		filled_in(c, full, size);
	filled_in(c, full, SIZE_MAX_VALID);
	for (unsigned i = 0; i < TESTING_COUNT(no_sizes); i++) {
		ret = room_for(c->bytes);
		*(size_t *)(void *)ret = no_sizes[i];
		ck_assert_int_eq(c->call(ret), -EINVAL);
		for (size_t k = sizeof(size_t); k < c->bytes; k++)
			ck_assert_uint_eq(ret[k], POISON);
	}
	free(full);
	close_all();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_config_of_another_version_is_understood,
			.rounds = TESTING_COUNT(config_calls)),
		TESTING(an_argument_is_dropped_for_a_newer_program_too),
		TESTING(a_result_for_another_version_is_filled_as_far_as_it_fits,
			.rounds = TESTING_COUNT(result_calls)),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
