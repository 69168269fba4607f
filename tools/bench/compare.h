/* SPDX-License-Identifier: MIT */
/*
 * compare.h: whether two sets of repetitions of the same benchmark differ, and which one
 * is better. The report and `weir bench diff` both use it.
 */
#ifndef TOOLS_BENCH_COMPARE_H
#define TOOLS_BENCH_COMPARE_H

#include "tools/bench/file.h"
#include "tools/bench/stats.h"

#define BENCH_ALPHA 0.05	/* below, a difference counts as one */

enum bench_verdict {
	BENCH_CANNOT_TELL,	/* too few repetitions */
	BENCH_SAME,		/* no measurable difference */
	BENCH_BETTER,
	BENCH_WORSE,
	BENCH_DIFFERENT,	/* but neither more nor less is better */
};

struct bench_comparison {
	double ratio;			/* of the medians; NAN: there is none */
	double change_pct;		/* the same in per cent */
	double p_value;			/* NAN: not tested */
	bool overlap;			/* of the intervals, if both have one */
	enum bench_verdict verdict;
};

/*
 * Compare new with old: by a Mann-Whitney U test if both have enough repetitions, otherwise by
 * whether their intervals overlap. A difference below floor_pct does not count.
 */
struct bench_comparison bench_compare(const struct bench_figure *old,
				      const struct bench_figure *new, double floor_pct);

/* The same from values stored in the file, if it has them; old is the reference in that file. */
struct bench_comparison bench_compare_given(const struct bench_file *file,
					    const struct bench_figure *old,
					    const struct bench_figure *new);

/* "-19 %", "+3.1 %", "from 0". */
void bench_change_format(const struct bench_comparison *comparison, char *buf, size_t len);
/* "0.002", "<0.001", or "n/a" if nothing was tested. */
void bench_p_format(double p_value, char *buf, size_t len);
const char *bench_verdict_words(enum bench_verdict verdict);

/* The 95 % interval of the median, from the file or else from the repetitions. False: unknown. */
bool bench_interval(const struct bench_figure *figure, struct stats_interval *ret_interval);

#endif
