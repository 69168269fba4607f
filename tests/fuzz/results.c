/* SPDX-License-Identifier: MIT */
/*
 * results.c: result files of benchmarks. The input must be refused with one line that says what is
 * wrong and where; or all its figures are finite, and a page made from it contains no "nan" or
 * "inf".
 */
#include <math.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tools/bench/report.h"

static void check_why(const char *why)
{
	size_t len = strlen(why);

	FUZZ_ASSERT(len > strlen("file: ") && len < BENCH_WHY_LEN);
	FUZZ_ASSERT(strncmp(why, "file:", 5) == 0);
	for (size_t i = 0; i < len; i++)
		FUZZ_ASSERT((unsigned char)why[i] >= 0x20 && why[i] != 0x7f);
}

static void check_figure(const struct bench_figure *figure)
{
	FUZZ_ASSERT(figure->key && figure->count <= STATS_MAX);
	for (size_t i = 0; i < figure->count; i++)
		FUZZ_ASSERT(isfinite(figure->samples[i]));
	FUZZ_ASSERT(!isinf(figure->median) && (figure->count == 0 || isfinite(figure->median)));
	FUZZ_ASSERT(isfinite(figure->low) == isfinite(figure->high));
	FUZZ_ASSERT(!(figure->low > figure->high));
}

static void check_result(const struct bench_result *result)
{
	FUZZ_ASSERT(result->name && result->group && result->series);
	for (size_t i = 0; i < result->figure_count; i++) {
		check_figure(&result->figures[i]);
		FUZZ_ASSERT(bench_result_figure(result, result->figures[i].key) ==
			    &result->figures[i]);
	}
	for (size_t i = 0; i < result->curve_count; i++) {
		FUZZ_ASSERT(result->curve[i].share >= 0 && result->curve[i].share <= 1);
		FUZZ_ASSERT(isfinite(result->curve[i].ns));
	}
	for (size_t i = 0; i < result->slice_count; i++)
		FUZZ_ASSERT(result->slices[i].second >= 0);
}

/* Quotes in the file's text are escaped in the page, so each quote begins an attribute of ours. */
static void check_page(const struct bench_file *files)
{
	static const char *const never[] = { "=\"nan", "=\"-nan", "=\"inf", "=\"-inf", "<script" };
	struct report_view view;
	char *page = NULL;
	size_t len;
	FILE *out = open_memstream(&page, &len);

	FUZZ_ASSERT(out);
	report_view_init(&view, files, 2);
	report_page(out, &view);
	report_view_fini(&view);
	FUZZ_ASSERT(fclose(out) == 0);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		FUZZ_ASSERT(!strstr(page, never[i]));
	free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bench_file files[2];
	char why[BENCH_WHY_LEN];
	int rc = bench_file_parse("file", (const char *)data, size, &files[0], why);

	if (rc == 0) {
		FUZZ_ASSERT(files[0].result_count > 0 && !*why);
		for (size_t i = 0; i < files[0].result_count; i++)
			check_result(&files[0].results[i]);
		/* The file is compared with itself, so that the comparison runs too. */
		FUZZ_ASSERT(bench_file_parse("file", (const char *)data, size, &files[1], why) ==
			    0);
		check_page(files);
		bench_file_free(&files[1]);
	} else {
		FUZZ_ASSERT(rc == -1);
		check_why(why);
	}
	bench_file_free(&files[0]);
	return 0;
}
