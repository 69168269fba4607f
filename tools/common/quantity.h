/* SPDX-License-Identifier: MIT */
/*
 * quantity.h: numbers with their units, for people: the digits that count, and
 * the prefix that suits them. "31.2 µs", "50.0 k/s", "6.42".
 */
#ifndef TOOLS_COMMON_QUANTITY_H
#define TOOLS_COMMON_QUANTITY_H

#include <stddef.h>

enum quantity {
	QUANTITY_PLAIN,		/* a count, or so many of something per something */
	QUANTITY_NS,		/* a time; the value is in ns */
	QUANTITY_RATE,		/* per second */
	QUANTITY_BYTES,
	QUANTITY_BYTES_RATE,	/* bytes per second */
	QUANTITY_PERCENT,	/* 100 is all of it */
};

#define QUANTITY_LEN 32		/* bytes that any of them fits in */

/* In the prefix that suits it, with so many digits. A value that is no number is "n/a". */
void quantity_format(enum quantity quantity, double value, int digits, char *buf, size_t len);

/* In the prefix that suits like, and with no more digits than a step of that size needs. */
void quantity_format_tick(enum quantity quantity, double value, double like, double step,
			  char *buf, size_t len);

#endif
