/* SPDX-License-Identifier: MIT */
/*
 * sequences.c: the same program gives the same visible result on every backend.
 *
 *	sequences [--seed FIRST [--count N]] [--backend NAME[:OPTIONS]]...
 *
 * The program of each seed (program.h) runs on every backend of this build that can run
 * here and on the simulated one, each with the current-thread scheduler and with two
 * workers. The transcripts are compared. With --backend, only that backend in that mode
 * is compared with the simulated one. WEIR_TEST_SEEDS=N sets the number of seeds.
 *
 * A failure names the seed and the first line that differs; --seed runs that seed alone.
 */
#include "tests/conformance/program.h"
#include "tests/sim/sim_backend.h"

#define PLACES_MAX 32
#define SEEDS 300
#define SEEDS_PER_CASE 20

/* A backend and a scheduler on which programs run. */
struct place {
	char backend[96];		/* NAME or NAME:OPTIONS; "sim" is the simulated one */
	unsigned workers;
	bool homed;
};

struct conformance_env env;
static struct place places[PLACES_MAX];
static unsigned place_count;
static uint64_t first_seed = 1, seed_count = SEEDS;

/* ---- the places ---- */

static void add_place(const char *backend, unsigned workers, bool homed)
{
	struct place *place = &places[place_count++];

	if (place_count > PLACES_MAX)
		abort();
	place->workers = workers;
	place->homed = homed;
	snprintf(place->backend, sizeof(place->backend), "%s", backend);
}

static void add_all_places(void)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	add_place("sim", 0, false);
	add_place("sim", 2, false);
	add_place("sim", 2, true);
	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++)
		if (info.err == 0) {
			add_place(info.name, 0, false);
			add_place(info.name, 2, false);
		} else if (info.err != -ENOENT) {
			fprintf(stderr, "# backend %s is left out: %s\n", info.name, info.reason);
		}
}

/* ---- one run ---- */

static bool is_sim(const struct place *place)
{
	return strcmp(place->backend, "sim") == 0;
}

static struct weir_sim_world *world_new(const struct place *place, uint64_t seed)
{
	struct weir_sim_config cfg = WEIR_SIM_CONFIG_INIT;
	struct weir_sim_world *world;

	cfg.seed = seed;
	cfg.delay_min_ns = 100;
	cfg.delay_max_ns = 20 * WEIR_USEC;
	cfg.reorder_permille = 100;
	cfg.short_permille = 200;
	cfg.inline_permille = 200;
	cfg.cancel_lose_permille = 300;
	cfg.buffer_bytes = 16384;
	cfg.homed = place->homed;
	ck_assert_uint_ge(cfg.buffer_bytes, PROGRAM_BYTES);
	ck_assert_int_eq(weir_sim_world_new(&cfg, &world), 0);
	return world;
}

static void world_end(struct weir_sim_world *world)
{
	struct weir_sim_report report;

	weir_sim_world_report(world, &report);
	weir_sim_world_free(world);
	ck_assert_uint_eq(report.violations, 0);
	ck_assert_uint_eq(report.streams + report.listeners + report.leases + report.ops, 0);
}

/* Aborts a program that hangs, so that its transcript can be shown. */
static int watch_program(void *arg)
{
	struct weir_task *task = spawn(program_run, arg);
	int result, rc;

	/* With the current-thread scheduler, where time may be simulated, an hour. */
	rc = weir_task_join_until(task, weir_deadline_in(env.workers ? 15 * WEIR_SEC
								     : 3600 * WEIR_SEC),
				  &result);
	if (rc == -ETIMEDOUT)
		weir_task_detach(task);
	return rc;
}

static void run_at(const struct place *place, struct program *program)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_sim_world *world = is_sim(place) ? world_new(place, program->seed) : NULL;
	int rc;

	env.workers = place->workers;
	cfg.sched = place->workers ? WEIR_SCHED_MULTI : WEIR_SCHED_CURRENT;
	cfg.workers = place->workers;
	if (world) {
		cfg.backend_ops = &weir_sim_backend;
		cfg.backend_config = world;
		if (!place->workers)
			ck_assert_int_eq(weir_clock_new(&cfg.clock), 0);
	} else {
		cfg.backend = place->backend;
	}
	rc = weir_rt_new(&cfg, &env.rt);
	ck_assert_msg(rc == 0, "%s", weir_rt_why());
	rc = weir_rt_block_on(env.rt, watch_program, program);
	ck_assert_msg(rc == 0, "seed %llu on %s, %u workers: %s, after\n%s",
		      (unsigned long long)program->seed, place->backend, place->workers,
		      weir_strerror(rc), program->text ? program->text : "nothing");
	ck_assert_int_eq(weir_rt_shutdown(env.rt, testing_hang_ns()), 0);
	weir_rt_free(env.rt);
	weir_clock_free(cfg.clock);
	if (world)
		world_end(world);
}

/* ---- comparing two runs ---- */

static int line_length(const char *text)
{
	return (int)strcspn(text, "\n");
}

/* Moves a and b to the first line in which the transcripts differ. Returns its number. */
static unsigned first_difference(const char **a, const char **b)
{
	unsigned line = 1;
	int len;

	for (; **a && **b; line++) {
		len = line_length(*a);
		if (len != line_length(*b) || strncmp(*a, *b, (size_t)len) != 0)
			break;
		*a += len + ((*a)[len] == '\n');
		*b += len + ((*b)[len] == '\n');
	}
	return line;
}

static void compare(const struct place *at, const struct program *p, const struct place *at_first,
		    const struct program *first)
{
	const char *a = first->text, *b = p->text;
	unsigned line;

	if (strcmp(a, b) == 0)
		return;
	line = first_difference(&a, &b);
	ck_abort_msg("seed %llu, line %u:\n  %s, %u workers: %.*s\n  %s, %u workers: %.*s\n"
		     "again: sequences --seed %llu",
		     (unsigned long long)p->seed, line, at_first->backend, at_first->workers,
		     line_length(a), a, at->backend, at->workers, line_length(b), b,
		     (unsigned long long)p->seed);
}

static void run_seed(uint64_t seed)
{
	struct program first = { .seed = seed };

	for (unsigned i = 0; i < place_count; i++) {
		struct program program = { .seed = seed };

		run_at(&places[i], i ? &program : &first);
		ck_assert_msg(!strstr(i ? program.text : first.text, "WRONG"),
			      "seed %llu on %s, %u workers: wrong bytes in\n%s",
			      (unsigned long long)seed, places[i].backend, places[i].workers,
			      i ? program.text : first.text);
		if (i)
			compare(&places[i], &program, &places[0], &first);
		free(program.text);
	}
	if (getenv("WEIR_TEST_SHOW"))
		fputs(first.text, stderr);
	free(first.text);
}

START_TEST(every_backend_gives_the_same_result)
{
	uint64_t seed = first_seed + (uint64_t)_i * SEEDS_PER_CASE;
	uint64_t end = first_seed + seed_count;

	/* Probed here in the test's process, because a probe may leave state that breaks forks. */
	if (place_count == 0)
		add_all_places();
	for (int i = 0; i < SEEDS_PER_CASE && seed < end; i++, seed++)
		run_seed(seed);
}
END_TEST

/* ---- the command line ---- */

static int usage(void)
{
	fprintf(stderr,
		"usage: sequences [--seed FIRST [--count N]] [--backend NAME[:OPTIONS]]...\n");
	return 99;
}

int main(int argc, char **argv)
{
	const char *wanted = getenv("WEIR_TEST_SEEDS");
	struct testing_case cases[] = {
		TESTING(every_backend_gives_the_same_result),
	};

	if (wanted)
		seed_count = strtoull(wanted, NULL, 0);
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc)
			return usage();
		if (strcmp(argv[i], "--seed") == 0) {
			first_seed = strtoull(argv[i + 1], NULL, 0);
			seed_count = 1;
		} else if (strcmp(argv[i], "--count") == 0) {
			seed_count = strtoull(argv[i + 1], NULL, 0);
		} else if (strcmp(argv[i], "--backend") == 0) {
			if (place_count == 0)
				add_place("sim", 0, false);
			add_place(argv[i + 1], 0, false);
			add_place(argv[i + 1], 2, false);
		} else {
			return usage();
		}
	}
	testing_prepare = testing_use_libkqueue;
	cases[0].rounds = (unsigned)((seed_count + SEEDS_PER_CASE - 1) / SEEDS_PER_CASE);
	return testing_main(1, argv, cases, 1);
}
