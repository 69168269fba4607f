/* SPDX-License-Identifier: MIT */
/*
 * json_out.h: JSON, written as it comes: the writer keeps the commas and the indentation,
 * leaves out what is not a number, and escapes strings.
 *
 *	struct json_out j = JSON_OUT_INIT(stdout);
 *	json_out_open(&j, NULL, '{');
 *	json_out_text(&j, "name", "value");
 *	json_out_close(&j, '}');
 *
 * A key is NULL in an array.
 */
#ifndef TOOLS_COMMON_JSON_OUT_H
#define TOOLS_COMMON_JSON_OUT_H

#include <stdbool.h>
#include <stdio.h>

struct json_out {
	FILE *out;
	unsigned depth;
	bool first;			/* nothing stands yet at this level */
	bool inline_array;		/* one line, and what is in it */
};

#define JSON_OUT_INIT(file) { .out = (file), .first = true }

void json_out_open(struct json_out *j, const char *key, char bracket);
void json_out_close(struct json_out *j, char bracket);
/* A level that stands on one line, with all that is in it; not within another. */
void json_out_open_line(struct json_out *j, const char *key, char bracket);
void json_out_close_line(struct json_out *j, char bracket);

void json_out_text(struct json_out *j, const char *key, const char *value);
/* Left out when it is not known. */
void json_out_number(struct json_out *j, const char *key, double value);
void json_out_bool(struct json_out *j, const char *key, bool value);
/* An array of numbers on one line, null where one is not known. */
void json_out_numbers(struct json_out *j, const char *key, const double *values, unsigned len);

/* A string in its quotes, whatever it holds: what is no UTF-8 becomes U+FFFD. */
void json_out_string(FILE *out, const char *text);

#endif
