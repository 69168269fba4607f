/* SPDX-License-Identifier: MIT */
/*
 * quantity.h: numbers as text, with significant digits, a prefix and a unit:
 * "31.2 µs", "50.0 k/s", "6.42".
 */
#ifndef TOOLS_COMMON_QUANTITY_H
#define TOOLS_COMMON_QUANTITY_H

#include <stddef.h>

enum quantity {
	QUANTITY_PLAIN,		/* a count or a ratio */
	QUANTITY_NS,		/* a time; the value is in ns */
	QUANTITY_RATE,		/* per second */
	QUANTITY_BYTES,
	QUANTITY_BYTES_RATE,	/* bytes per second */
	QUANTITY_PERCENT,	/* 100 is all of it */
};

#define QUANTITY_LEN 32		/* a buffer size that is large enough for every result */

/* Format with this many significant digits. NaN and infinite values become "n/a". */
void quantity_format(enum quantity quantity, double value, int digits, char *buf, size_t len);

/* Format with the prefix of like, and with as many digits as a multiple of step needs. */
void quantity_format_tick(enum quantity quantity, double value, double like, double step,
			  char *buf, size_t len);

#endif
