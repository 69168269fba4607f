/* SPDX-License-Identifier: MIT */
/*
 * diff.c: `weir bench diff` compares two result files of the same benchmarks, figure by
 * figure. Files without comparable figures are rejected. Differences that two runs of the
 * same benchmark may have (machine, version, calibrated rate) are printed above the table.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/commands.h"
#include "tools/bench/compare.h"
#include "tools/bench/meaning.h"
#include "tools/common/command.h"
#include "tools/common/options.h"

struct diff_config {
	const char *fail_above;		/* per cent; NULL: never */
};

struct diff {
	struct bench_file old, new;
	double fail_above_pct;		/* INFINITY: never */
	unsigned compared;
	unsigned untold;		/* of them, with too few repetitions to tell */
	unsigned worse;			/* that have to fail */
	unsigned changed;		/* verdicts other than "no measurable difference" */
	const char *missing;		/* a benchmark of old that new has not; NULL: it has all */
};

static const struct option_spec specs[] = {
	{ "fail-above", OPTION_TEXT, offsetof(struct diff_config, fail_above), 0, 0, NULL, "P",
	  "exit with 1 if a figure got measurably worse by more than P per cent" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

static void help(void)
{
	puts("usage: weir bench diff OLD NEW [--fail-above P]\n\n"
	     "Compares every figure that both files have: medians, their ratio, whether their\n"
	     "intervals overlap, the p value of a Mann-Whitney U test, and a verdict. OLD and NEW\n"
	     "are results of weir bench (--json) or of Google Benchmark.\n");
	options_help(specs, SPECS);
	puts("\nexit code: 0 compared, 1 worse by more than --fail-above, 2 invalid usage or "
	     "input");
}

static int __attribute__((format(printf, 1, 2))) complain(const char *fmt, ...)
{
	va_list ap;

	fputs("weir bench diff: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

/* ---- text on a terminal ---- */

/* Print text from a file, without control characters. */
static void print_plain(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		/* In UTF-8, 0xc2 followed by 0x80 to 0x9f is a control character. */
		if (c < 0x20 || c == 0x7f)
			putchar('?');
		else if (c == 0xc2 && (unsigned char)text[1] < 0xa0)
			text++;
		else
			putchar(c);
	}
}

static int columns(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

/* printf counts bytes, and µ has two. */
static void print_column(const char *text, int width)
{
	int blanks = abs(width) - columns(text);

	if (width > 0)
		printf("%*s", blanks > 0 ? blanks : 0, "");
	print_plain(text);
	if (width < 0)
		printf("%*s", blanks > 0 ? blanks : 0, "");
}

/* ---- whether they belong together ---- */

/* Settings that must be equal, because the figures have another meaning otherwise. */
static const char *const must_match[] = { "workload", "transport", "loop", "arrivals",
					  "conns", "size_bytes", "depth", "tasks" };

static int match_setup(const struct diff *d)
{
	for (size_t i = 0; i < sizeof(must_match) / sizeof(must_match[0]); i++) {
		const char *old = bench_file_setup(&d->old, must_match[i]);
		const char *new = bench_file_setup(&d->new, must_match[i]);

		if (strcmp(old, new) != 0)
			return complain(
				"%s: its %s is %.80s, and %.80s in %s; expected two runs of "
				"the same benchmark",
				d->new.path, must_match[i], *new ? new : "not given",
				*old ? old : "not given", d->old.path);
	}
	return EXIT_DONE;
}

/* A rate given as an option must be equal; a calibrated rate is itself a result. */
static int match_rate(const struct diff *d)
{
	const char *old = bench_file_setup(&d->old, "rate_per_s");
	const char *new = bench_file_setup(&d->new, "rate_per_s");

	if (strcmp(old, new) == 0)
		return EXIT_DONE;
	if (strcmp(bench_file_setup(&d->old, "rate_from"), "calibration") != 0 &&
	    strcmp(bench_file_setup(&d->new, "rate_from"), "calibration") != 0)
		return complain("%s: its rate is %.80s, and %.80s in %s; expected the same rate",
				d->new.path, new, old, d->old.path);
	printf("! calibrated rates differ: %.80s per second before, %.80s now; latencies are hard "
	       "to compare\n",
	       old, new);
	return EXIT_DONE;
}

static const struct bench_result *partner(const struct bench_result *result,
					  const struct bench_file *other)
{
	for (size_t i = 0; i < other->result_count; i++)
		if (strcmp(other->results[i].name, result->name) == 0)
			return &other->results[i];
	return NULL;
}

static bool have_common(const struct diff *d)
{
	for (size_t i = 0; i < d->old.result_count; i++)
		if (partner(&d->old.results[i], &d->new))
			return true;
	return false;
}

static int match(const struct diff *d)
{
	static const char *const writers[] = { "weir bench", "Google Benchmark" };

	if (d->old.google != d->new.google)
		return complain("%s is %s's, and %s is %s's; expected two results of the same "
				"program",
				d->old.path, writers[d->old.google], d->new.path,
				writers[d->new.google]);
	if (match_setup(d) != EXIT_DONE || match_rate(d) != EXIT_DONE)
		return EXIT_USAGE;
	if (!have_common(d))
		return complain(
			"they have no benchmark in common: %s has '%.100s' and %s '%.100s'; "
			"expected two runs of the same benchmarks",
			d->old.path, d->old.results[0].name, d->new.path, d->new.results[0].name);
	return EXIT_DONE;
}

/* ---- the lines above the table ---- */

static const char *environment(const struct bench_file *file, const char *key)
{
	for (size_t i = 0; i < file->environment_count; i++)
		if (strcmp(file->environment[i].key, key) == 0)
			return file->environment[i].value;
	return "";
}

static void note_difference(const char *key, const char *old, const char *new)
{
	if (strcmp(old, new) == 0)
		return;
	printf("! %s: ", key);
	print_plain(*old ? old : "n/a");
	fputs(" -> ", stdout);
	print_plain(*new ? new : "n/a");
	putchar('\n');
}

/* Print differences of the machines and settings that affect the figures. */
static void print_notes(const struct diff *d)
{
	static const char *const places[] = {
		"host_name",   "num_cpus",	     "kernel",
		"machine",     "cpu_model",	     "cpus_allowed",
		"cpu_quota",   "governor",	     "mitigations",
		"clocksource", "liburing",	     "compiler",
		"build_type",  "library_build_type", "cpu_scaling_enabled",
	};
	static const char *const ways[] = { "workers", "time_s", "repetitions", "placement" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		note_difference(places[i], environment(&d->old, places[i]),
				environment(&d->new, places[i]));
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		note_difference(ways[i], bench_file_setup(&d->old, ways[i]),
				bench_file_setup(&d->new, ways[i]));
}

/* ---- the table ---- */

static void print_head(void)
{
	print_column("", -32);
	print_column("old", 12);
	print_column("new", 12);
	print_column("new/old", 10);
	print_column("intervals", 11);
	print_column("p", 8);
	putchar('\n');
}

static const char *overlap_word(const struct bench_figure *old, const struct bench_figure *new,
				const struct bench_comparison *c)
{
	struct stats_interval unused;

	if (!bench_interval(old, &unused) || !bench_interval(new, &unused))
		return "n/a";
	return c->overlap ? "overlap" : "apart";
}

static void print_row(const struct diff *d, const struct bench_figure *old,
		      const struct bench_figure *new, const struct bench_comparison *c)
{
	bool closed = strcmp(bench_file_setup(&d->new, "loop"), "closed") == 0;
	char text[48];

	fputs("  ", stdout);
	print_column(bench_meaning_title(new->key, closed), -30);
	bench_meaning_format(old->key, old->median, 4, text, sizeof(text));
	print_column(text, 12);
	bench_meaning_format(new->key, new->median, 4, text, sizeof(text));
	print_column(text, 12);
	snprintf(text, sizeof(text), isfinite(c->ratio) ? "%.3f" : "n/a", c->ratio);
	print_column(text, 10);
	print_column(overlap_word(old, new, c), 11);
	bench_p_format(c->p_value, text, sizeof(text));
	print_column(text, 8);
	fputs("  ", stdout);
	fputs(bench_verdict_words(c->verdict), stdout);
	if (c->verdict >= BENCH_BETTER) {
		bench_change_format(c, text, sizeof(text));
		printf(", %s", text);
	}
}

static void compare_figure(struct diff *d, const struct bench_figure *old,
			   const struct bench_figure *new)
{
	double floor =
		fmax(bench_file_floor(&d->old, new->key), bench_file_floor(&d->new, new->key));
	struct bench_comparison c = bench_compare(old, new, floor);
	bool fails = c.verdict == BENCH_WORSE &&
		     new->better == BENCH_LOWER &&c.change_pct > d->fail_above_pct;

	print_row(d, old, new, &c);
	puts(fails ? "  FAIL" : "");
	d->compared++;
	d->untold += c.verdict == BENCH_CANNOT_TELL;
	d->changed += c.verdict >= BENCH_BETTER;
	d->worse += fails;
}

/* Whether it is the second run of the reference, for the noise floor. */
static bool is_repeated(const struct bench_result *result)
{
	size_t len = strlen(result->series);

	return len > 3 && strcmp(result->series + len - 3, "+aa") == 0;
}

static void compare_result(struct diff *d, const struct bench_result *old,
			   const struct bench_result *new)
{
	print_plain(new->name);
	puts(old->client_bound || new->client_bound ? "   (client-bound)" : "");
	for (size_t i = 0; i < old->figure_count; i++) {
		const struct bench_figure *figure = bench_result_figure(new, old->figures[i].key);

		if (figure)
			compare_figure(d, &old->figures[i], figure);
	}
}

/* Print the benchmarks that only one file has. Returns the first of them, or NULL. */
static const char *print_alone(const struct bench_file *file, const struct bench_file *other,
			       const char *which)
{
	const char *first = NULL;

	for (size_t i = 0; i < file->result_count; i++) {
		if (is_repeated(&file->results[i]) || partner(&file->results[i], other))
			continue;
		printf("only in %s: ", which);
		print_plain(file->results[i].name);
		putchar('\n');
		first = first ? first : file->results[i].name;
	}
	return first;
}

/* Apply --fail-above. It is an error if nothing could be checked. */
static int judge(const struct diff *d)
{
	if (d->untold == d->compared)
		return complain("--fail-above: no figure has enough repetitions; expected four in "
				"each file");
	printf("%u worse by more than %g %%\n", d->worse, d->fail_above_pct);
	if (d->worse)
		return EXIT_FAILED;
	return d->missing ? complain("--fail-above: '%.100s' of %s is not in %s, and was not "
				     "checked; expected every benchmark of the old file",
				     d->missing, d->old.path, d->new.path)
			  : EXIT_DONE;
}

static int compare(struct diff *d)
{
	print_notes(d);
	print_head();
	for (size_t i = 0; i < d->old.result_count; i++) {
		const struct bench_result *new = partner(&d->old.results[i], &d->new);

		if (new && !is_repeated(new))
			compare_result(d, &d->old.results[i], new);
	}
	d->missing = print_alone(&d->old, &d->new, "the old file");
	print_alone(&d->new, &d->old, "the new file");
	printf("\n%u figures, %u differ at p < %.2f; by chance alone one in twenty would\n",
	       d->compared, d->changed, BENCH_ALPHA);
	if (d->untold)
		printf("%u have too few repetitions to tell: four in each file are enough\n",
		       d->untold);
	return isinf(d->fail_above_pct) ? EXIT_DONE : judge(d);
}

/* ---- the command ---- */

/* "5", "2.5" or "5%". */
static int parse_percent(const char *text, double *ret_percent)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || !(text[0] >= '0' && text[0] <= '9') || (*end && strcmp(end, "%") != 0) ||
	    !(value <= 1e6))
		return complain("--fail-above '%.40s': expected per cent, such as 5 or 2.5%%",
				text);
	*ret_percent = value;
	return EXIT_DONE;
}

static int diff_files(struct diff *d, const char *old, const char *new)
{
	char why[BENCH_WHY_LEN];
	int code = EXIT_USAGE;

	if (bench_file_read(old, &d->old, why) < 0 || bench_file_read(new, &d->new, why) < 0)
		complain("%s", why);
	else if (match(d) == EXIT_DONE)
		code = compare(d);
	bench_file_free(&d->old);
	bench_file_free(&d->new);
	return code;
}

int bench_diff_main(int argc, char **argv)
{
	static struct diff d;
	struct diff_config cfg = { NULL };
	char why[256];
	int arguments = 0;

	switch (options_parse(specs, SPECS, argc, argv, &cfg, why, sizeof(why), &arguments)) {
	case OPTIONS_HELP:
		help();
		return EXIT_DONE;
	case OPTIONS_BAD:
		return complain("%s", why);
	default:
		break;
	}
	if (arguments != 2)
		return complain("%d files; expected two, the old and the new result", arguments);
	d.fail_above_pct = INFINITY;
	if (cfg.fail_above && parse_percent(cfg.fail_above, &d.fail_above_pct) != EXIT_DONE)
		return EXIT_USAGE;
	return diff_files(&d, argv[1], argv[2]);
}
