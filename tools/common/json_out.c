/* SPDX-License-Identifier: MIT */
/* json_out.c: see json_out.h. */
#include "tools/common/json_out.h"

#include <math.h>
#include <stddef.h>

/* ---- values ---- */

/* The length of the UTF-8 character at s; 0 if it is invalid. */
static size_t utf8_len(const unsigned char *s)
{
	size_t len = 0;

	if (s[0] < 0x80)
		len = 1;
	else if (s[0] >= 0xc2 && s[0] < 0xe0)
		len = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		len = 3;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (len == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)))
		return 0;
	return len;
}

void json_out_string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len;

	fputc('"', out);
	for (; *s; s += len ? len : 1) {
		len = utf8_len(s);
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (len == 0)
			fputs("\\ufffd", out);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\u%04x", *s);
		else
			fwrite(s, 1, len, out);
	}
	fputc('"', out);
}

static void put_number(struct json_out *j, double value)
{
	if (!isfinite(value))
		fputs("null", j->out);
	else if (value == floor(value) && fabs(value) < 1e15)
		fprintf(j->out, "%.0f", value);
	else
		fprintf(j->out, "%.10g", value);
}

/* ---- levels ---- */

static void separate(struct json_out *j)
{
	if (!j->first)
		fputc(',', j->out);
	if (j->inline_array) {
		fputs(j->first ? "" : " ", j->out);
	} else if (j->depth > 0) {
		fprintf(j->out, "\n%*s", (int)j->depth * 2, "");
	}
	j->first = false;
}

static void put_key(struct json_out *j, const char *key)
{
	separate(j);
	if (!key)
		return;
	json_out_string(j->out, key);
	fputs(": ", j->out);
}

void json_out_open(struct json_out *j, const char *key, char bracket)
{
	put_key(j, key);
	fputc(bracket, j->out);
	j->depth++;
	j->first = true;
}

void json_out_close(struct json_out *j, char bracket)
{
	j->depth--;
	if (!j->first && !j->inline_array)
		fprintf(j->out, "\n%*s", (int)j->depth * 2, "");
	fputc(bracket, j->out);
	j->first = false;
}

void json_out_open_line(struct json_out *j, const char *key, char bracket)
{
	json_out_open(j, key, bracket);
	j->inline_array = true;
}

void json_out_close_line(struct json_out *j, char bracket)
{
	json_out_close(j, bracket);
	j->inline_array = false;
}

void json_out_text(struct json_out *j, const char *key, const char *value)
{
	put_key(j, key);
	json_out_string(j->out, value);
}

void json_out_number(struct json_out *j, const char *key, double value)
{
	if (!isfinite(value))
		return;
	put_key(j, key);
	put_number(j, value);
}

void json_out_bool(struct json_out *j, const char *key, bool value)
{
	put_key(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_out_numbers(struct json_out *j, const char *key, const double *values, unsigned len)
{
	bool outer = j->inline_array;

	json_out_open(j, key, '[');
	j->inline_array = true;
	for (unsigned i = 0; i < len; i++) {
		separate(j);
		put_number(j, values[i]);
	}
	json_out_close(j, ']');
	j->inline_array = outer;
}
