/* SPDX-License-Identifier: MIT */
/* text.c: see text.h. */
#include "tools/common/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define TEXT_LEN 2048

/* The columns of the first bytes of a text, which may be UTF-8. */
static unsigned columns(const char *text, size_t bytes)
{
	unsigned count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += (text[i] & 0xc0) != 0x80;
	return count;
}

/*
 * The length of the next piece. A word ends at a blank. A word longer than a line, such as a list
 * of CPUs, is cut after the last comma that fits into the rest of this line, or else into a whole
 * line.
 */
static size_t piece_len(const char *text, unsigned left, unsigned line)
{
	size_t word = strcspn(text, " "), here = 0, next = 0, at;

	if (columns(text, word) <= line)
		return word;
	for (at = 0; at < word; at++) {
		if (text[at] != ',')
			continue;
		here = columns(text, at + 1) <= left ? at + 1 : here;
		next = columns(text, at + 1) <= line ? at + 1 : next;
	}
	return here ? here : next ? next : word;
}

static unsigned line_width(FILE *out)
{
	const char *text = getenv("COLUMNS");
	unsigned long width = text ? strtoul(text, NULL, 10) : 0;
	struct winsize window;

	if (!width && ioctl(fileno(out), TIOCGWINSZ, &window) == 0)
		width = window.ws_col;
	if (!width || width > TEXT_WIDTH)
		return TEXT_WIDTH;
	return width < TEXT_LEAST ? TEXT_LEAST : (unsigned)width;
}

void text_rest(FILE *out, unsigned column, const char *text)
{
	unsigned at = column, line = line_width(out), width, blank = 0;

	while (*text) {
		unsigned used = at + blank < line ? at + blank : line;
		size_t len = piece_len(text, line - used, line - column);

		width = columns(text, len);
		if (at > column && at + blank + width > line) {
			fprintf(out, "\n%*s", (int)column, "");
			at = column;
			blank = 0;
		}
		fprintf(out, "%*s", (int)blank, "");
		fwrite(text, 1, len, out);
		at += blank + width;
		text += len;
		blank = *text == ' ';
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

void text_plain(char *buf, size_t len, const char *text)
{
	size_t n = 0;

	for (; text[n] && n + 1 < len; n++)
		buf[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	buf[n] = '\0';
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
