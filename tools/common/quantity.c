/* SPDX-License-Identifier: MIT */
/*
 * quantity.c: see quantity.h. Each quantity has a list of units, the largest first. The
 * last unit is used for all smaller values.
 */
#include <math.h>
#include <stdio.h>

#include "tools/common/quantity.h"

#define DECIMALS_MAX 6

struct unit {
	double size;
	const char *name;
};

static const struct unit plain[] = { { 1e9, " G" }, { 1e6, " M" }, { 1e3, " k" }, { 1, "" } };
static const struct unit times[] = { { 1e9, " s" }, { 1e6, " ms" }, { 1e3, " µs" }, { 1, " ns" } };
static const struct unit rates[] = {
	{ 1e9, " G/s" }, { 1e6, " M/s" }, { 1e3, " k/s" }, { 1, "/s" }
};
static const struct unit bytes[] = {
	{ 1 << 30, " GiB" }, { 1 << 20, " MiB" }, { 1 << 10, " KiB" }, { 1, " B" }
};
static const struct unit bytes_rates[] = {
	{ 1 << 30, " GiB/s" }, { 1 << 20, " MiB/s" }, { 1 << 10, " KiB/s" }, { 1, " B/s" }
};
static const struct unit percent[] = { { 1, " %" } };

static const struct {
	const struct unit *units;
	unsigned count;
} families[] = {
	[QUANTITY_PLAIN] = { plain, 4 },
	[QUANTITY_NS] = { times, 4 },
	[QUANTITY_RATE] = { rates, 4 },
	[QUANTITY_BYTES] = { bytes, 4 },
	[QUANTITY_BYTES_RATE] = { bytes_rates, 4 },
	[QUANTITY_PERCENT] = { percent, 1 },
};

static const struct unit *unit_for(enum quantity quantity, double value)
{
	const struct unit *unit = families[quantity].units;

	for (unsigned i = 1; i < families[quantity].count && fabs(value) < unit->size; i++)
		unit++;
	return unit;
}

/* How many digits after the decimal point give this many significant digits. */
static int decimals_for(double value, int digits)
{
	double limit = pow(10, digits - 1) * (1 - 0.5 * pow(10, -digits));
	int decimals = 0;

	for (; decimals < DECIMALS_MAX && value != 0 && fabs(value) < limit; decimals++)
		limit /= 10;
	return decimals;
}

void quantity_format(enum quantity quantity, double value, int digits, char *buf, size_t len)
{
	const struct unit *unit = unit_for(quantity, value);

	if (!isfinite(value)) {
		snprintf(buf, len, "n/a");
		return;
	}
	value /= unit->size;
	if (fabs(value) >= 1e7)
		snprintf(buf, len, "%.3g%s", value, unit->name);
	else
		snprintf(buf, len, "%.*f%s", decimals_for(value, digits), value, unit->name);
}

void quantity_format_tick(enum quantity quantity, double value, double like, double step, char *buf,
			  size_t len)
{
	const struct unit *unit = unit_for(quantity, like);
	double size = step / unit->size;
	int digits = 0;

	while (digits < DECIMALS_MAX && size > 0 && fabs(size - round(size)) > size * 1e-6) {
		size *= 10;
		digits++;
	}
	if (fabs(value / unit->size) >= 1e7)
		snprintf(buf, len, "%.3g%s", value / unit->size, unit->name);
	else if (value == 0)
		snprintf(buf, len, "0");
	else
		snprintf(buf, len, "%.*f%s", digits, value / unit->size, unit->name);
}
