/* SPDX-License-Identifier: MIT */
/*
 * entry.c: reads the entries of "benchmarks", each a repetition or an aggregate, into
 * results, figures and samples. Unknown keys are counters if their values are numbers;
 * otherwise they are ignored.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/memory.h"
#include "tools/bench/meaning.h"
#include "tools/bench/read.h"
#include "tools/bench/stats.h"

/* No real run has more. The limits keep a hostile file from taking very long. */
#define RESULTS_MAX 4096
#define FIGURES_MAX 256
/* With this limit, sums and ratios stay far from infinity. */
#define VALUE_MAX 1e24

/* One entry, after its common fields were read. */
struct entry {
	const json_t *json;
	char where[40];			/* "benchmarks[7]" */
	const char *run_name;
	const char *metric;		/* the text after the last slash; NULL: none */
	const char *aggregate;		/* NULL: a repetition */
	double unit_ns;
	struct bench_result *result;
};

/* ---- results and figures, by name ---- */

static struct bench_figure *figure_for(struct bench_reader *r, struct entry *e, const char *key)
{
	struct bench_result *result = e->result;
	struct bench_figure *figure = (struct bench_figure *)bench_result_figure(result, key);

	if (figure)
		return figure;
	if (result->figure_count == FIGURES_MAX) {
		bench_refuse(r, "%s: more than %d figures", e->where, FIGURES_MAX);
		return NULL;
	}
	result->figures = bench_grow(result->figures, result->figure_count, sizeof(*figure));
	figure = &result->figures[result->figure_count++];
	*figure = (struct bench_figure){
		.key = bench_copy(key, strlen(key)),
		.median = NAN,
		.low = NAN,
		.high = NAN,
		.p_value = NAN,
	};
	return figure;
}

/* Split "BM_echo/backend:epoll/conns:64" into the backend and the rest. */
static void split_backend(struct bench_result *result, const char *backend)
{
	size_t before = (size_t)(backend - result->name);
	const char *value = backend + strlen("/backend:");
	size_t len = strcspn(value, "/");

	result->series = bench_copy(value, len);
	result->group = bench_copy(result->name, strlen(result->name));
	memmove(result->group + before, value + len, strlen(value + len) + 1);
}

static void split_family(struct bench_result *result)
{
	size_t len = strcspn(result->name, "/");
	const char *rest = result->name + len + (result->name[len] == '/');

	result->group = bench_copy(result->name, len);
	result->series = bench_copy(rest, strlen(rest));
}

/* The order of an entry: its repetition_index, or else its position. */
static unsigned long long order_of(const struct entry *e, size_t n)
{
	json_int_t family = json_integer_value(json_object_get(e->json, "family_index"));
	json_int_t instance =
		json_integer_value(json_object_get(e->json, "per_family_instance_index"));

	if (!json_is_integer(json_object_get(e->json, "family_index")))
		return n;
	return ((unsigned long long)family << 32) + (uint32_t)instance;
}

static int result_for(struct bench_reader *r, struct entry *e)
{
	struct bench_file *file = r->file;
	size_t len = e->metric ? (size_t)(e->metric - 1 - e->run_name) : strlen(e->run_name);
	struct bench_result *result;
	const char *backend;

	/* Search from the end, because the entries of a result are usually adjacent. */
	for (size_t i = file->result_count; i-- > 0;) {
		e->result = &file->results[i];
		if (strncmp(e->result->name, e->run_name, len) == 0 && !e->result->name[len])
			return 0;
	}
	if (file->result_count == RESULTS_MAX)
		return bench_refuse(r, "%s: more than %d benchmarks", e->where, RESULTS_MAX);
	file->results = bench_grow(file->results, file->result_count, sizeof(*result));
	result = e->result = &file->results[file->result_count++];
	*result = (struct bench_result){
		.name = bench_copy(e->run_name, len),
		.order = order_of(e, file->result_count),
	};
	backend = strstr(result->name, "/backend:");
	if (e->metric && backend)
		split_backend(result, backend);
	else
		split_family(result);
	return 0;
}

/* ---- the head of an entry ---- */

/* entry.key, which must be a string; if it is missing, fallback, unless that is NULL. */
static int text(struct bench_reader *r, const struct entry *e, const char *key,
		const char *fallback, const char **ret_text)
{
	const json_t *value = json_object_get(e->json, key);

	*ret_text = value ? json_string_value(value) : fallback;
	return *ret_text ? 0 : bench_refuse_type(r, e->where, key, "a string", value);
}

static int read_unit(struct bench_reader *r, struct entry *e)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 } };
	const char *name;

	if (text(r, e, "time_unit", "ns", &name) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		e->unit_ns = units[i].ns;
		if (strcmp(units[i].name, name) == 0)
			return 0;
	}
	return bench_refuse(r, "%s.time_unit: '%.20s': expected ns, us, ms or s", e->where, name);
}

/* Read the metric from a run name of weir bench: …/backend:NAME/…/METRIC. */
static int read_metric(struct bench_reader *r, struct entry *e)
{
	const char *backend = strstr(e->run_name, "/backend:"), *last = strrchr(e->run_name, '/');

	if (!backend || last == backend || !last[1])
		return bench_refuse(
			r,
			"%s.run_name: '%.100s': expected WORKLOAD/backend:NAME/…/real_time, or "
			"another metric there",
			e->where, e->run_name);
	e->metric = last + 1;
	return 0;
}

static int read_head(struct bench_reader *r, struct entry *e)
{
	const char *name, *type;

	if (!json_is_object(e->json))
		return bench_refuse(r, "%s: expected an object", e->where);
	if (text(r, e, "name", NULL, &name) < 0 || text(r, e, "run_name", name, &e->run_name) < 0 ||
	    text(r, e, "run_type", "iteration", &type) < 0 || read_unit(r, e) < 0)
		return -1;
	if (strcmp(type, "aggregate") == 0)
		return text(r, e, "aggregate_name", NULL, &e->aggregate);
	if (strcmp(type, "iteration") != 0)
		return bench_refuse(r, "%s.run_type: '%.20s': expected iteration or aggregate",
				    e->where, type);
	return 0;
}

/* ---- figures ---- */

static void add_sample(struct bench_figure *figure, double value)
{
	figure->samples = bench_grow(figure->samples, figure->count, sizeof(double));
	figure->samples[figure->count++] = value;
}

/* Store the value of a repetition, or of an aggregate if the file has no repetitions. */
static int take(struct bench_reader *r, struct entry *e, const char *key, double value)
{
	struct bench_figure *figure = figure_for(r, e, key);

	if (!figure)
		return -1;
	if (fabs(value) > VALUE_MAX)
		return bench_refuse(r, "%s.%s: %g is out of range", e->where, key, value);
	if (figure->count == STATS_MAX)
		return bench_refuse(r, "%s: more than %d repetitions", e->where, STATS_MAX);
	if (!e->aggregate)
		add_sample(figure, value);
	else if (figure->count == 0)
		figure->median = value;
	return 0;
}

static int take_time(struct bench_reader *r, struct entry *e, const char *field, const char *key)
{
	const json_t *value = json_object_get(e->json, field);

	if (!json_is_number(value))
		return bench_refuse_type(r, e->where, field, "a number", value);
	return take(r, e, key, json_number_value(value) * e->unit_ns);
}

static bool is_counter(const char *key)
{
	/* Numbers that are not counters: they identify the entry, or repeat cpu_time. */
	static const char *const others[] = {
		"family_index",	  "per_family_instance_index",
		"repetitions",	  "repetition_index",
		"threads",	  "iterations",
		"real_time",	  "cpu_time",
		"cpu_ns_per_req",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i], key) == 0)
			return false;
	return true;
}

static int take_counters(struct bench_reader *r, struct entry *e)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)e->json, key, value) {
		if (!is_counter(key))
			continue;
		if (json_is_number(value) && take(r, e, key, json_number_value(value)) < 0)
			return -1;
		if (!json_is_number(value) && !json_is_null(value) && bench_meaning_known(key))
			return bench_refuse_type(r, e->where, key, "a number", value);
	}
	return 0;
}

static int take_figures(struct bench_reader *r, struct entry *e)
{
	if (e->metric && strcmp(e->metric, "real_time") != 0)
		return take_time(r, e, "real_time", e->metric);
	if (take_time(r, e, "real_time", "real_time") < 0 ||
	    take_time(r, e, "cpu_time", "cpu_time") < 0)
		return -1;
	return take_counters(r, e);
}

/* ---- the key weir of an entry ---- */

/* The i-th number of a list; NAN for null. -1 if it is something else or missing. */
static int number_at(const json_t *list, size_t i, double *ret_value)
{
	const json_t *value = json_array_get(list, i);

	if ((!json_is_number(value) || fabs(json_number_value(value)) > VALUE_MAX) &&
	    !json_is_null(value))
		return -1;
	*ret_value = json_is_null(value) ? NAN : json_number_value(value);
	return 0;
}

static int read_curve(struct bench_reader *r, struct entry *e, const json_t *list)
{
	struct bench_result *result = e->result;
	struct bench_point at, before = { 0, -INFINITY };
	const json_t *pair;
	size_t i;

	result->curve_count = 0;
	json_array_foreach(list, i, pair) {
		if (number_at(pair, 0, &at.share) < 0 || number_at(pair, 1, &at.ns) < 0 ||
		    !((at.share /= 100) >= before.share && at.share <= 1 && at.ns >= before.ns))
			return bench_refuse(r,
					    "%s.weir.percentiles[%zu]: expected [percentile, "
					    "ns], both rising",
					    e->where, i);
		result->curve = bench_grow(result->curve, result->curve_count, sizeof(at));
		result->curve[result->curve_count++] = before = at;
	}
	return 0;
}

static int read_slices(struct bench_reader *r, struct entry *e, const json_t *list)
{
	struct bench_result *result = e->result;
	struct bench_moment at;
	const json_t *row;
	size_t i;

	json_array_foreach(list, i, row) {
		if (number_at(row, 0, &at.second) < 0 || number_at(row, 1, &at.p50) < 0 ||
		    number_at(row, 2, &at.p99) < 0 || number_at(row, 3, &at.max) < 0 ||
		    !(at.second >= 0))
			return bench_refuse(r,
					    "%s.weir.over_time[%zu]: expected [second, p50, "
					    "p99, max]",
					    e->where, i);
		result->slices = bench_grow(result->slices, result->slice_count, sizeof(at));
		result->slices[result->slice_count++] = at;
	}
	return 0;
}

/* Read the interval and the comparison of a figure from its median entry. */
static int read_judgement(struct bench_reader *r, struct entry *e, const json_t *weir,
			  const char *field, const char *key)
{
	struct bench_figure *figure = figure_for(r, e, key);
	const json_t *interval = json_object_get(json_object_get(weir, "interval"), field);
	const json_t *p_value = json_object_get(json_object_get(weir, "p_value"), field);
	const json_t *verdict = json_object_get(json_object_get(weir, "verdict"), field);

	if (!figure)
		return -1;
	if (interval &&
	    (number_at(interval, 0, &figure->low) < 0 ||
	     number_at(interval, 1, &figure->high) < 0 || !(figure->low <= figure->high)))
		return bench_refuse(r, "%s.weir.interval.%s: expected [low, high]", e->where,
				    field);
	if (p_value && !json_is_number(p_value))
		return bench_refuse_type(r, e->where, "weir.p_value", "a number", p_value);
	if (verdict && !json_is_string(verdict))
		return bench_refuse_type(r, e->where, "weir.verdict", "a string", verdict);
	figure->p_value = p_value ? json_number_value(p_value) : NAN;
	figure->verdict = json_string_value(verdict);
	return 0;
}

static int read_median(struct bench_reader *r, struct entry *e, const json_t *weir)
{
	bool whole = strcmp(e->metric, "real_time") == 0;

	if (read_judgement(r, e, weir, "real_time", e->metric) < 0)
		return -1;
	if (!whole)
		return 0;
	if (read_judgement(r, e, weir, "cpu_time", "cpu_time") < 0)
		return -1;
	return read_curve(r, e, json_object_get(weir, "percentiles"));
}

static int read_extra(struct bench_reader *r, struct entry *e)
{
	const json_t *weir = json_object_get(e->json, "weir");

	if (!weir || !e->metric)
		return 0;
	if (!json_is_object(weir))
		return bench_refuse_type(r, e->where, "weir", "an object", weir);
	if (json_is_true(json_object_get(weir, "client_bound")))
		e->result->client_bound = true;
	if (!e->aggregate)
		return read_slices(r, e, json_object_get(weir, "over_time"));
	return strcmp(e->aggregate, "median") == 0 ? read_median(r, e, weir) : 0;
}

/* ---- all of them ---- */

/* Read Google Benchmark's entry of a failed benchmark. */
static int read_error(struct bench_reader *r, struct entry *e)
{
	return text(r, e, "error_message", "it failed", &e->result->error);
}

static int read_entry(struct bench_reader *r, const json_t *json, size_t index)
{
	struct entry e = { .json = json };

	snprintf(e.where, sizeof(e.where), "benchmarks[%zu]", index);
	if (read_head(r, &e) < 0 || (!r->file->google && read_metric(r, &e) < 0))
		return -1;
	/* Use only mean and median; the median comes later and replaces the mean. */
	if (e.aggregate && strcmp(e.aggregate, "mean") != 0 && strcmp(e.aggregate, "median") != 0)
		return 0;
	if (result_for(r, &e) < 0)
		return -1;
	if (json_is_true(json_object_get(json, "error_occurred")))
		return read_error(r, &e);
	if (take_figures(r, &e) < 0)
		return -1;
	return read_extra(r, &e);
}

static int by_order(const void *a, const void *b)
{
	const struct bench_figure *one = a, *other = b;
	unsigned x = bench_meaning_order(one->key), y = bench_meaning_order(other->key);

	return x != y ? (x > y) - (x < y) : strcmp(one->key, other->key);
}

static int by_place(const void *a, const void *b)
{
	const struct bench_result *one = a, *other = b;

	if (one->order != other->order)
		return one->order < other->order ? -1 : 1;
	return strcmp(one->name, other->name);
}

/* In an open loop the throughput is given, so neither more nor less is better. */
static enum bench_better better(const char *key, bool open)
{
	enum bench_better better = bench_meaning(key)->better;

	return open && better == BENCH_HIGHER ? BENCH_NEITHER : better;
}

/* Compute what needs all repetitions. */
static void finish(struct bench_result *result, bool open)
{
	for (size_t i = 0; i < result->figure_count; i++) {
		struct bench_figure *figure = &result->figures[i];

		figure->better = better(figure->key, open);
		if (figure->count > 0)
			figure->median = stats_median(figure->samples, (unsigned)figure->count);
	}
	if (result->figure_count)
		qsort(result->figures, result->figure_count, sizeof(result->figures[0]), by_order);
}

int bench_entries_read(struct bench_reader *r, const json_t *list)
{
	bool open = strcmp(bench_file_setup(r->file, "loop"), "open") == 0;
	json_t *entry;
	size_t i;

	if (!json_is_array(list))
		return bench_refuse_type(r, "", "benchmarks", "an array", list);
	json_array_foreach((json_t *)list, i, entry)
		if (read_entry(r, entry, i) < 0)
			return -1;
	if (r->file->result_count == 0)
		return bench_refuse(r, "benchmarks: expected at least one entry");
	qsort(r->file->results, r->file->result_count, sizeof(r->file->results[0]), by_place);
	for (i = 0; i < r->file->result_count; i++)
		finish(&r->file->results[i], open);
	return 0;
}

void bench_entries_free(struct bench_file *file)
{
	for (size_t i = 0; i < file->result_count; i++) {
		struct bench_result *result = &file->results[i];

		for (size_t j = 0; j < result->figure_count; j++) {
			free(result->figures[j].key);
			free(result->figures[j].samples);
		}
		free(result->figures);
		free(result->curve);
		free(result->slices);
		free(result->name);
		free(result->group);
		free(result->series);
	}
	free(file->results);
}
