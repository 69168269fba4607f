/* SPDX-License-Identifier: MIT */
/*
 * text.h: lines for people, wrapped between words at 80 columns, or at as many from
 * TEXT_LEAST on as COLUMNS says or the terminal has: what goes on is indented to below
 * where it began.
 */
#ifndef TOOLS_COMMON_TEXT_H
#define TOOLS_COMMON_TEXT_H

#include <stdio.h>

#include "weir/base.h"

#define TEXT_WIDTH 80
#define TEXT_LEAST 64		/* what the heads of tables need */
#define TEXT_LABEL 9		/* columns of a label and the blanks behind it */

/* What others have named, for people: all that is not printable ASCII becomes '?'. */
void text_plain(char *buf, size_t len, const char *text);

/* "label    text" */
void text_entry(FILE *out, const char *label, const char *fmt, ...) WEIR_PRINTF(3, 4);
/* A text by itself, indented. */
void text_item(FILE *out, unsigned indent, const char *fmt, ...) WEIR_PRINTF(3, 4);
/* The rest of a line of which so many columns have been printed, and its end. */
void text_rest(FILE *out, unsigned column, const char *text);

#endif
