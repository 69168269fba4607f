/* SPDX-License-Identifier: MIT */
/*
 * json_out.h: a streaming JSON writer. It writes commas and indentation, leaves out NaN
 * and infinite numbers, and escapes strings.
 *
 *	struct json_out j = JSON_OUT_INIT(stdout);
 *	json_out_open(&j, NULL, '{');
 *	json_out_text(&j, "name", "value");
 *	json_out_close(&j, '}');
 *
 * In an array, pass NULL as key.
 */
#ifndef TOOLS_COMMON_JSON_OUT_H
#define TOOLS_COMMON_JSON_OUT_H

#include <stdbool.h>
#include <stdio.h>

struct json_out {
	FILE *out;
	unsigned depth;
	bool first;			/* nothing was written at this level yet */
	bool inline_array;		/* write everything on one line */
};

#define JSON_OUT_INIT(file) { .out = (file), .first = true }

void json_out_open(struct json_out *j, const char *key, char bracket);
void json_out_close(struct json_out *j, char bracket);
/* An object or array on one line with all its contents. Must not be nested. */
void json_out_open_line(struct json_out *j, const char *key, char bracket);
void json_out_close_line(struct json_out *j, char bracket);

void json_out_text(struct json_out *j, const char *key, const char *value);
/* NaN and infinite values are left out. */
void json_out_number(struct json_out *j, const char *key, double value);
void json_out_bool(struct json_out *j, const char *key, bool value);
/* An array of numbers on one line; NaN and infinite values become null. */
void json_out_numbers(struct json_out *j, const char *key, const double *values, unsigned len);

/* A string with its quotes; bytes that are not valid UTF-8 become U+FFFD. */
void json_out_string(FILE *out, const char *text);

#endif
