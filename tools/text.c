/* SPDX-License-Identifier: MIT */
/* text.c: see text.h. */
#include "tools/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#define TEXT_LEN 2048

/* Columns of the first so many bytes, which may be UTF-8. */
static unsigned columns(const char *text, size_t bytes)
{
	unsigned count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += (text[i] & 0xc0) != 0x80;
	return count;
}

/* A word ends at a blank; a list of CPUs may also be cut behind a comma, where it is long. */
static size_t piece_len(const char *text, unsigned room)
{
	size_t word = strcspn(text, " "), len = word, at;

	if (columns(text, word) <= room)
		return word;
	for (at = 0; at < word; at++)
		if (text[at] == ',' && columns(text, at + 1) <= room)
			len = at + 1;
	return len;
}

void text_rest(FILE *out, unsigned column, const char *text)
{
	unsigned at = column, width;

	while (*text) {
		size_t len = piece_len(text, TEXT_WIDTH - column);

		width = columns(text, len);
		if (at > column && at + width > TEXT_WIDTH) {
			fprintf(out, "\n%*s", (int)column, "");
			at = column;
		}
		fwrite(text, 1, len, out);
		at += width;
		text += len;
		if (*text != ' ')
			continue;
		while (*text == ' ')
			text++;
		if (*text && at < TEXT_WIDTH) {
			fputc(' ', out);
			at++;
		}
	}
	fputc('\n', out);
}

void text_entry(FILE *out, const char *label, const char *fmt, ...)
{
	char text[TEXT_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(out, "%-*s", TEXT_LABEL, label);
	text_rest(out, TEXT_LABEL, text);
}

void text_item(FILE *out, unsigned indent, const char *fmt, ...)
{
	char text[TEXT_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(out, "%*s", (int)indent, "");
	text_rest(out, indent, text);
}
