/* SPDX-License-Identifier: MIT */
/*
 * text.h: prints text, wrapped between words at 80 columns, or at fewer, down to
 * TEXT_LEAST, if COLUMNS says so or the terminal is narrower. Continuation lines are
 * indented to the column where the text began.
 */
#ifndef TOOLS_COMMON_TEXT_H
#define TOOLS_COMMON_TEXT_H

#include <stdio.h>

#include "weir/base.h"

#define TEXT_WIDTH 80
#define TEXT_LEAST 64		/* the width of the tables' headings */
#define TEXT_LABEL 9		/* columns of a label and the blanks after it */

/* Make a foreign name printable: every byte that is not printable ASCII becomes '?'. */
void text_plain(char *buf, size_t len, const char *text);

/* "label    text" */
void text_entry(FILE *out, const char *label, const char *fmt, ...) WEIR_PRINTF(3, 4);
/* An indented text without a label. */
void text_item(FILE *out, unsigned indent, const char *fmt, ...) WEIR_PRINTF(3, 4);
/* Print the rest of a line that has this many columns already, and the newline. */
void text_rest(FILE *out, unsigned column, const char *text);

#endif
