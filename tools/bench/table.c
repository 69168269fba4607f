/* SPDX-License-Identifier: MIT */
/*
 * table.c: the report on the terminal: the conditions, the warnings, a line for each
 * backend; and the progress bar.
 */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench/bench.h"

#define BAR 30
#define COLUMNS_MAX 16
#define CELL 112

/* ---- values as texts ---- */

static void duration_text(double ns, char *buf, size_t len)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned unit = 0;

	if (isnan(ns)) {
		snprintf(buf, len, "n/a");
		return;
	}
	for (; ns >= 999.5 && unit < 3; unit++)
		ns /= 1000;
	snprintf(buf, len, ns < 9.95 && unit > 0 ? "%.1f%s" : "%.0f%s", ns, units[unit]);
}

/* Format a number with spaces between groups of thousands. */
static void count_text(double value, char *buf, size_t len)
{
	char digits[32];
	size_t n, used = 0;

	if (isnan(value)) {
		snprintf(buf, len, "n/a");
		return;
	}
	n = (size_t)snprintf(digits, sizeof(digits), "%.0f", value);
	for (size_t i = 0; i < n && used + 2 < len; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			buf[used++] = ' ';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
}

static void ratio_text(double value, char *buf, size_t len)
{
	if (isnan(value))
		snprintf(buf, len, "n/a");
	else
		snprintf(buf, len, value < 9.995 ? "%.2f" : "%.1f", value);
}

static void p_text(double p, char *buf, size_t len)
{
	if (p < 0.001)
		snprintf(buf, len, "p<0.001");
	else
		snprintf(buf, len, "p=%.3f", p);
}

static void verdict_text(const struct bench_row *row, enum bench_metric metric, char *buf,
			 size_t len)
{
	char p[16];

	if (!row->verdict[metric]) {
		snprintf(buf, len, "-");
		return;
	}
	p_text(row->p_value[metric], p, sizeof(p));
	if (strcmp(row->verdict[metric], "better") != 0 &&
	    strcmp(row->verdict[metric], "worse") != 0)
		snprintf(buf, len, "no measurable difference");
	else
		snprintf(buf, len, "%+.1f%% (%s)", row->difference_pct[metric], p);
}

/* ---- the table: cells first, so that columns can be as wide as what is in them ---- */

struct table {
	unsigned columns;
	char head[COLUMNS_MAX][CELL];
	char cell[BENCH_BACKENDS_MAX][COLUMNS_MAX][CELL];
};

static void latency_cell(const struct bench_row *row, double share, char *cell)
{
	double ns = bench_known(row->latency, share)
			    ? (double)weir_histogram_quantile(row->latency, share)
			    : NAN;

	duration_text(ns, cell, CELL);
}

/* The median, and the larger distance of its interval's ends from it. */
static void cpu_cell(const struct bench *b, const struct bench_row *row, char *cell)
{
	double values[BENCH_REPS_MAX], median;
	unsigned len = bench_values(row, BENCH_CPU, values);
	struct stats_interval interval = stats_median_interval(values, len, b->cfg.seed);
	char text[32];

	median = stats_median(values, len);
	count_text(median, text, sizeof(text));
	snprintf(cell, CELL, "%s \xc2\xb1%.1f%%", text,
		 100 * fmax(interval.hi - median, median - interval.lo) / median);
}

static void fill_row(const struct bench *b, struct table *t, unsigned i)
{
	const struct bench_row *row = &b->rows[i];
	char(*cell)[CELL] = t->cell[i];
	unsigned c = 0;

	snprintf(cell[c++], CELL, "%s%s", b->backends[i].label, row->client_bound ? " (!)" : "");
	count_text(bench_median(row, BENCH_ITEMS), cell[c++], CELL);
	latency_cell(row, 0.5, cell[c++]);
	latency_cell(row, 0.99, cell[c++]);
	latency_cell(row, 0.999, cell[c++]);
	duration_text(row->latency->count ? (double)row->latency->max : NAN, cell[c++], CELL);
	cpu_cell(b, row, cell[c++]);
	ratio_text(bench_median(row, BENCH_SYSCALLS), cell[c++], CELL);
	ratio_text(bench_median(row, BENCH_SWITCHES), cell[c++], CELL);
	ratio_text(bench_median(row, BENCH_BATCH), cell[c++], CELL);
	verdict_text(row, BENCH_CPU, cell[c++], CELL);
	verdict_text(row, b->cfg.closed ? BENCH_REAL : BENCH_P50, cell[c++], CELL);
	t->columns = c;
}

static void fill_head(const struct bench *b, struct table *t)
{
	static const char *const names[] = { "backend",	  "req/s", "p50",	 "p99",
					     "p99.9",	  "max",   "cpu-ns/req", "sys/req",
					     "ctxsw/req", "batch" };
	const char *reference = b->backends[b->reference].label;
	unsigned c = 0;

	for (; c < sizeof(names) / sizeof(names[0]); c++)
		snprintf(t->head[c], CELL, "%s", names[c]);
	snprintf(t->head[c++], CELL, "cpu vs %.20s", reference);
	snprintf(t->head[c], CELL, "%s vs %.20s", b->cfg.closed ? "time" : "p50", reference);
}

/* The columns on the terminal: UTF-8 continuation bytes take none. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static int column_width(const struct bench *b, const struct table *t, unsigned c)
{
	int width = width_of(t->head[c]), other;

	for (unsigned i = 0; i < b->backends_len; i++) {
		other = c == 0 || !*b->backends[i].reason ? width_of(t->cell[i][c]) : 0;
		width = width > other ? width : other;
	}
	return width;
}

/* Names to the left, figures to the right. */
static void print_cell(FILE *out, const char *text, int width, unsigned c)
{
	int pad = width - width_of(text);

	if (c == 0)
		fprintf(out, "%s%*s", text, pad, "");
	else
		fprintf(out, "  %*s%s", pad, "", text);
}

static void print_table(const struct bench *b, const struct table *t, FILE *out)
{
	int width[COLUMNS_MAX];

	for (unsigned c = 0; c < t->columns; c++) {
		width[c] = column_width(b, t, c);
		print_cell(out, t->head[c], width[c], c);
	}
	fputc('\n', out);
	for (unsigned i = 0; i < b->backends_len; i++) {
		print_cell(out, t->cell[i][0], width[0], 0);
		for (unsigned c = 1; c < t->columns && !*b->backends[i].reason; c++)
			print_cell(out, t->cell[i][c], width[c], c);
		if (*b->backends[i].reason)
			fprintf(out, "  n/a: %s", b->backends[i].reason);
		fputc('\n', out);
	}
}

/* ---- the head ---- */

static const char *env_text(const struct bench *b, const char *key)
{
	for (unsigned i = 0; i < b->env_len; i++)
		if (strcmp(b->env[i].key, key) == 0)
			return b->env[i].text;
	return "";
}

static void print_what(const struct bench *b, FILE *out)
{
	const struct bench_config *cfg = &b->cfg;
	char rate[32];

	fprintf(out, "%s  ", b->work->name);
	if (b->work->sockets)
		fprintf(out, "%llu conns \xc3\x97 %llu B over %s, ", (unsigned long long)cfg->conns,
			(unsigned long long)cfg->size,
			cfg->transport == BENCH_TCP ? "tcp" : "unix");
	else
		fprintf(out, "%llu tasks, ", (unsigned long long)cfg->conns);
	count_text((double)cfg->rate, rate, sizeof(rate));
	if (cfg->closed)
		fprintf(out, "closed loop, depth %llu, ",
			(unsigned long long)(cfg->depth ? cfg->depth : 1));
	else
		fprintf(out, "open loop %s/s%s, ", rate, b->rate_calibrated ? " (half of the most)"
									    : "");
	fprintf(out, "%u \xc3\x97 %.3g s interleaved\n", (unsigned)cfg->reps,
		(double)cfg->time_ns / (double)WEIR_SEC);
}

static void print_where(const struct bench *b, FILE *out)
{
	bool aa = b->twin < b->backends_len;

	fprintf(out, "weir %s, %s, %s; %s, %u worker%s; ", weir_version(), env_text(b, "kernel"),
		*env_text(b, "cpu_model") ? env_text(b, "cpu_model") : "unknown CPU", b->place.text,
		(unsigned)b->cfg.workers, b->cfg.workers == 1 ? "" : "s");
	if (strcmp(env_text(b, "pmu"), "n/a") == 0)
		fprintf(out, "no PMU; ");
	if (aa && !isnan(b->noise_pct[BENCH_CPU]))
		fprintf(out, "noise floor (A/A): cpu \xc2\xb1%.1f%%, p50 \xc2\xb1%.1f%%\n",
			b->noise_pct[BENCH_CPU], b->noise_pct[BENCH_P50]);
	else
		fprintf(out, "noise floor not measured (--aa)\n");
}

void bench_table_print(const struct bench *b, FILE *out)
{
	static struct table table;

	memset(&table, 0, sizeof(table));
	fill_head(b, &table);
	for (unsigned i = 0; i < b->backends_len; i++) {
		if (*b->backends[i].reason)
			snprintf(table.cell[i][0], CELL, "%s", b->backends[i].label);
		else
			fill_row(b, &table, i);
	}
	print_what(b, out);
	print_where(b, out);
	for (unsigned i = 0; i < b->warnings_len; i++)
		fprintf(out, "! %s\n", b->warnings[i]);
	if (b->cfg.closed)
		fputs("! closed loop: the rate is a maximum; a stall delays few requests, so the "
		      "percentiles flatter\n",
		      out);
	fputc('\n', out);
	print_table(b, &table, out);
}

/* ---- progress ---- */

static void print_bar(unsigned done, unsigned all)
{
	fputc('[', stderr);
	for (unsigned i = 0; i < BAR; i++)
		fputc(i < done * BAR / all ? '#' : '.', stderr);
	fprintf(stderr, "] %u/%u ", done, all);
}

void bench_progress(const struct bench *b, unsigned i, unsigned n, const char *label)
{
	double each = (double)(b->cfg.time_ns + b->cfg.warmup_ns) / (double)WEIR_SEC;

	if (b->cfg.no_progress || !isatty(STDERR_FILENO))
		return;
	fputc('\r', stderr);
	if (n > 0 && i < n) {
		print_bar(i, n);
		fprintf(stderr, "%s, %.0f s left", label, each * (n - i));
	} else if (n == 0) {
		fputs(label, stderr);
	}
	fputs("\033[K", stderr);
	fflush(stderr);
}
