/* SPDX-License-Identifier: MIT */
/*
 * meaning.h: the name and the unit of each figure, by its key, and whether more or less is
 * better. An unknown key is shown as a plain number without a better direction.
 */
#ifndef TOOLS_BENCH_MEANING_H
#define TOOLS_BENCH_MEANING_H

#include <stdbool.h>

#include "tools/common/quantity.h"

enum bench_better {
	BENCH_NEITHER,
	BENCH_LOWER,
	BENCH_HIGHER,
};

struct bench_meaning {
	const char *key;
	const char *title;
	const char *closed_title;	/* if it means something else in a closed loop; or NULL */
	enum quantity quantity;
	double factor;			/* from the file's unit to the quantity's */
	enum bench_better better;
	bool drawn;			/* has a chart in the report */
};

/* Never NULL. For an unknown key, the result is valid until the next call. */
const struct bench_meaning *bench_meaning(const char *key);
bool bench_meaning_known(const char *key);
/* The key's place in the table; unknown keys come last. */
unsigned bench_meaning_order(const char *key);
/* The i-th key of the table, NULL after the last. */
const char *bench_meaning_key(unsigned i);
const char *bench_meaning_title(const char *key, bool closed);
/* Format a value of the file with its unit. */
void bench_meaning_format(const char *key, double value, int digits, char *buf, size_t len);

#endif
