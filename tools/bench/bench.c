/* SPDX-License-Identifier: MIT */
/*
 * bench.c: `weir bench`: plan, calibration, the repetitions in random order, report.
 *
 * Repetitions of the backends are interleaved, so that disturbances of the machine
 * affect all of them. Each round has a new random order and new arrival times, which are
 * the same for every backend.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/bench/child.h"
#include "tools/bench/commands.h"
#include "tools/common/command.h"
#include "tools/common/options.h"
#include "tools/common/outfile.h"

#define CALIBRATION_NS (500 * WEIR_MSEC)

/* ---- the rate of an open loop ---- */

/* Round to two digits: the rate is only an estimate. */
static uint64_t rounded(double rate)
{
	uint64_t n = rate < 1 ? 1 : (uint64_t)rate, unit = 1;

	while (n / unit >= 100)
		unit *= 10;
	return n / unit * unit;
}

/* Set the rate to half of the reference's throughput in a closed loop. */
static int calibrate(struct bench *b)
{
	static struct bench_rep rep;
	int code;

	bench_progress(b, 0, 0, "finding a rate");
	b->cfg.rate = 1;
	code = bench_run(b, &b->backends[b->reference], true, CALIBRATION_NS, b->cfg.seed, &rep);
	b->cfg.rate = rounded(rep.value[BENCH_ITEMS] / 2);
	b->rate_calibrated = true;
	return code;
}

/* ---- the repetitions ---- */

/* A random order of the backends for one round: a Fisher-Yates shuffle. */
static unsigned shuffle(const struct bench *b, uint64_t *seed, uint8_t *ret_order)
{
	unsigned len = 0, k;
	uint8_t swap;

	for (unsigned i = 0; i < b->backends_len; i++)
		if (!*b->backends[i].reason)
			ret_order[len++] = (uint8_t)i;
	for (unsigned i = len; i > 1; i--) {
		k = (unsigned)(stats_random(seed) % i);
		swap = ret_order[i - 1];
		ret_order[i - 1] = ret_order[k];
		ret_order[k] = swap;
	}
	return len;
}

static int run_round(struct bench *b, uint64_t seed, const uint8_t *order, unsigned len)
{
	unsigned all = (unsigned)b->cfg.reps * len;
	int code = 0;

	for (unsigned i = 0; i < len && code == 0; i++) {
		struct bench_row *row = &b->rows[order[i]];
		const struct bench_backend *backend = &b->backends[order[i]];

		bench_progress(b, b->order_len, all, backend->label);
		code = bench_run(b, backend, b->cfg.closed, b->cfg.time_ns, seed,
				 &row->reps[row->reps_len]);
		row->reps_len += code == 0;
		b->order[b->order_len++] = order[i];
	}
	return code;
}

static bool make_room(struct bench *b)
{
	for (unsigned i = 0; i < b->backends_len; i++) {
		b->rows[i].reps = calloc(b->cfg.reps, sizeof(*b->rows[i].reps));
		if (!b->rows[i].reps)
			return false;
	}
	return true;
}

static int run_all(struct bench *b)
{
	uint64_t seed = b->cfg.seed, round_seed;
	uint8_t order[BENCH_BACKENDS_MAX];
	unsigned len;
	int code = 0;

	for (uint64_t i = 0; i < b->cfg.reps && code == 0; i++) {
		len = shuffle(b, &seed, order);
		round_seed = stats_random(&seed);
		code = run_round(b, round_seed, order, len);
	}
	bench_progress(b, b->order_len, b->order_len, "");
	return code;
}

/* ---- the report ---- */

static int report(struct bench *b)
{
	bool to_stdout = b->cfg.json && strcmp(b->cfg.json, "-") == 0;
	int rc;

	if (b->cfg.reps < BENCH_REPS_WANTED)
		bench_warn(b, "%u repetitions: expected at least %d for a figure to be quoted",
			   (unsigned)b->cfg.reps, BENCH_REPS_WANTED);
	bench_env_end(b);
	if (!bench_judge(b)) {
		bench_say("out of memory");
		return EXIT_FAILED;
	}
	bench_table_print(b, to_stdout ? stderr : stdout);
	rc = b->cfg.json ? bench_json_write(b, b->cfg.json) : 0;
	if (rc == 0)
		return EXIT_DONE;
	bench_say("--json '%s': %s", b->cfg.json, outfile_error(rc));
	return EXIT_FAILED;
}

static void end(struct bench *b)
{
	for (unsigned i = 0; i < b->backends_len; i++) {
		free(b->rows[i].reps);
		free(b->rows[i].latency);
	}
}

/* The entry point of the server process, see child.h. */
static int serve(char **argv)
{
	uint64_t fd, memory_fd;

	if (options_count(argv[2], 0, 65535, &fd) < 0 ||
	    options_count(argv[3], 0, 65535, &memory_fd) < 0)
		return EXIT_USAGE;
	return bench_server_main((int)fd, (int)memory_fd);
}

int bench_main(int argc, char **argv)
{
	static struct bench b;
	int code;

	if (argc == 4 && strcmp(argv[1], "--server") == 0)
		return serve(argv);
	if (argc > 1 && strcmp(argv[1], "report") == 0)
		return bench_report_main(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "diff") == 0)
		return bench_diff_main(argc - 1, argv + 1);
	code = bench_config_parse(argc, argv, &b);
	if (code > 0)
		return code - 1;
	bench_env_begin(&b);
	code = make_room(&b) ? 0 : EXIT_FAILED;
	if (code == 0 && !b.cfg.closed && b.cfg.rate == 0)
		code = calibrate(&b);
	if (code == 0)
		code = run_all(&b);
	if (code == 0)
		code = report(&b);
	end(&b);
	return code;
}

void bench_help(void)
{
	bench_config_help();
}
