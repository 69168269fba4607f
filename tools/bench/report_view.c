/* SPDX-License-Identifier: MIT */
/*
 * report_view.c: sorts the results of all files into groups of series. A
 * backend has the same colour on the whole page, and the same on every page.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/memory.h"
#include "tools/bench/report.h"

/* ---- colours ---- */

/* These names have the same colours on every page. */
static const char *const known[] = { "epoll", "io_uring", "kqueue", "dpdk", "sim" };

#define KNOWN ((unsigned)(sizeof(known) / sizeof(known[0])))

/* The length of the name without "+aa", so that epoll+aa has the colour of epoll. */
static size_t plain_len(const char *series)
{
	size_t len = strlen(series);

	return len > 3 && strcmp(series + len - 3, "+aa") == 0 ? len - 3 : len;
}

/* The n-th choice of colour for a name with this hash; unreserved colours come first. */
static unsigned choice(unsigned hash, unsigned n)
{
	const unsigned rest = REPORT_COLOURS - KNOWN;

	return n < rest ? KNOWN + (hash + n) % rest : REPORT_COLOURS - 1 - n;
}

/* The colour of a name; the last choice if there are more names than colours. */
static unsigned colour_of(struct report_view *view, const char *name, unsigned hash)
{
	unsigned colour;

	for (unsigned n = 0; n < REPORT_COLOURS; n++) {
		colour = choice(hash, n);
		if (!*view->owners[colour])
			snprintf(view->owners[colour], sizeof(view->owners[0]), "%s", name);
		if (strcmp(view->owners[colour], name) == 0)
			break;
	}
	return colour;
}

/* Unknown backends, such as one with options, get colours from a list for this page. */
static unsigned backend_colour(struct report_view *view, const char *series)
{
	size_t len = plain_len(series);
	char name[80];
	unsigned sum = 0;

	for (unsigned i = 0; i < KNOWN; i++)
		if (strlen(known[i]) == len && strncmp(known[i], series, len) == 0)
			return i;
	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + (unsigned char)series[i];
	snprintf(name, sizeof(name), "%.*s", (int)(len < 79 ? len : 79), series);
	return colour_of(view, name, sum);
}

/* The length of a Google Benchmark name without its suffix about clocks. */
static size_t without_clocks(const char *name)
{
	static const char *const clocks[] = { "/real_time", "/process_time", "/manual_time" };
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		size_t clock = strlen(clocks[i]);

		if (len > clock && strncmp(name + len - clock, clocks[i], clock) == 0)
			len -= clock;
	}
	return len;
}

/* The name that is shown: without the file. */
static void plain_name(const struct bench_file *file, const struct bench_result *result, char *buf,
		       size_t len)
{
	const char *name = *result->series ? result->series : "plain";
	size_t used = file->google ? without_clocks(name) : plain_len(name);

	snprintf(buf, len, "%.*s%s", used < 80 ? (int)used : 80, name,
		 !file->google && name[used] ? " again" : "");
}

/* The variants of Google's benchmarks, in the order in which they come. */
static unsigned variant_colour(struct report_view *view, const char *name)
{
	for (unsigned i = 0; i < view->variant_count; i++)
		if (strcmp(view->variants[i], name) == 0)
			return i;
	if (view->variant_count == REPORT_COLOURS)
		return REPORT_COLOURS - 1;
	snprintf(view->variants[view->variant_count], sizeof(view->variants[0]), "%s", name);
	return view->variant_count++;
}

void report_class(const struct report_series *series, char *buf, size_t len)
{
	snprintf(buf, len, "c%u f%u%s", series->colour, series->shade,
		 series->repeated ? " aa" : "");
}

/* ---- groups ---- */

static struct report_group *group_for(struct report_view *view, const struct bench_file *file,
				      const struct bench_result *result)
{
	struct report_group *group;

	for (size_t i = 0; i < view->group_count; i++)
		if (strcmp(view->groups[i].name, result->group) == 0 &&
		    view->groups[i].google == file->google)
			return &view->groups[i];
	view->groups = bench_grow(view->groups, view->group_count, sizeof(*group));
	group = &view->groups[view->group_count++];
	*group = (struct report_group){
		.name = result->group,
		.google = file->google,
		.closed = strcmp(bench_file_setup(file, "loop"), "closed") == 0,
	};
	return group;
}

static const struct bench_result *find(const struct bench_file *file,
				       const struct bench_result *like, const char *series)
{
	for (size_t i = 0; i < file->result_count; i++)
		if (strcmp(file->results[i].group, like->group) == 0 &&
		    strcmp(file->results[i].series, series) == 0)
			return &file->results[i];
	return NULL;
}

/* The number of earlier files in the group, and the same series in the first file that has it. */
static unsigned look_back(const struct report_group *group, const struct report_series *series,
			  const struct bench_result **ret_first)
{
	unsigned files = 0, last = UINT_MAX;

	*ret_first = NULL;
	for (size_t i = 0; i < group->count; i++) {
		const struct report_series *other = &group->series[i];

		if (other->file == series->file)
			break;
		if (!*ret_first && strcmp(other->result->series, series->result->series) == 0)
			*ret_first = other->result;
		files += other->file_index != last;
		last = other->file_index;
	}
	return files;
}

static void add(struct report_view *view, unsigned index, const struct bench_result *result)
{
	const struct bench_file *file = &view->files[index];
	struct report_group *group = group_for(view, file, result);
	const char *reference = bench_file_setup(file, "reference");
	struct report_series series = {
		.file = file,
		.file_index = index,
		.result = result,
		.repeated = !file->google && plain_len(result->series) != strlen(result->series),
	};

	plain_name(file, result, series.label, sizeof(series.label));
	series.colour = file->google ? variant_colour(view, series.label)
				     : backend_colour(view, result->series);
	if (view->file_count > 1)
		sprintf(series.label + strlen(series.label), " \302\267 %c", 'A' + (int)index);
	if (!file->google && strcmp(reference, result->series) != 0)
		series.reference = find(file, result, reference);
	series.shade = look_back(group, &series, &series.first);
	group->several |= series.first != NULL;
	group->series = bench_grow(group->series, group->count, sizeof(series));
	group->series[group->count++] = series;
}

/* Sort by the first occurrence of a series, then by the order of the files. */
static size_t rank(const struct report_group *group, const struct report_series *series)
{
	size_t i = 0;

	while (strcmp(group->series[i].result->series, series->result->series) != 0)
		i++;
	return i;
}

/* Put the same series of several files next to each other. A stable sort; the list is short. */
static void sort_series(struct report_group *group)
{
	struct report_series *sorted = bench_alloc(group->count * sizeof(*sorted));
	size_t count = 0;

	for (size_t i = 0; i < group->count; i++)
		for (size_t j = i; j < group->count && rank(group, &group->series[i]) == i; j++)
			if (rank(group, &group->series[j]) == i)
				sorted[count++] = group->series[j];
	free(group->series);
	group->series = sorted;
}

void report_view_init(struct report_view *view, const struct bench_file *files, unsigned count)
{
	*view = (struct report_view){ .files = files, .file_count = count };
	for (unsigned i = 0; i < count; i++)
		for (size_t j = 0; j < files[i].result_count; j++)
			add(view, i, &files[i].results[j]);
	for (size_t i = 0; i < view->group_count; i++)
		sort_series(&view->groups[i]);
}

void report_view_fini(struct report_view *view)
{
	for (size_t i = 0; i < view->group_count; i++)
		free(view->groups[i].series);
	free(view->groups);
}

/* ---- names ---- */

/* One component of a run name: "conns:64". */
static void component(const char *at, size_t len, char *buf, size_t buf_len)
{
	static const struct {
		const char *key, *before, *after;
	} shapes[] = {
		{ "conns:", "", " connections" }, { "size:", "messages of ", " B" },
		{ "tasks:", "", " tasks" },	  { "loop:", "", " loop" },
		{ "transport:", "over ", "" },
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		size_t key = strlen(shapes[i].key);

		if (len <= key || strncmp(at, shapes[i].key, key) != 0)
			continue;
		snprintf(buf, buf_len, "%s%.*s%s", shapes[i].before, (int)(len - key), at + key,
			 shapes[i].after);
		return;
	}
	snprintf(buf, buf_len, "%.*s", (int)len, at);
}

void report_title(const struct report_group *group, char *buf, size_t len)
{
	const char *at = group->name;
	char part[128];
	size_t used = 0;

	if (strncmp(at, "BM_", 3) == 0)
		at += 3;
	buf[0] = '\0';
	while (*at && used < len) {
		size_t n = strcspn(at, "/");

		component(at, n, part, sizeof(part));
		used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? " \302\267 " : "",
					 part);
		at += n + (at[n] == '/');
	}
}

/* ---- comparing ---- */

bool report_against_reference(const struct report_series *series, const char *key,
			      struct bench_comparison *ret_comparison)
{
	const struct bench_figure *new = bench_result_figure(series->result, key);
	const struct bench_figure *old =
		series->reference ? bench_result_figure(series->reference, key) : NULL;

	if (!old || !new)
		return false;
	*ret_comparison = bench_compare_given(series->file, old, new);
	return true;
}

bool report_against_first(const struct report_series *series, const char *key,
			  struct bench_comparison *ret_comparison)
{
	const struct bench_figure *new = bench_result_figure(series->result, key);
	const struct bench_figure *old =
		series->first ? bench_result_figure(series->first, key) : NULL;

	if (!old || !new)
		return false;
	*ret_comparison = bench_compare(old, new, bench_file_floor(series->file, key));
	return true;
}
