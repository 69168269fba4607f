/* SPDX-License-Identifier: MIT */
/*
 * script_text.h: the lines of a script: words, numbers, times, ranges, and the messages of
 * failures. scripts/README.md describes the format.
 *
 * A script is read and run line by line. All functions work on the current line, so a failure can
 * report its number.
 */
#ifndef WEIR_TESTS_STACK_SCRIPT_TEXT_H
#define WEIR_TESTS_STACK_SCRIPT_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#define SCRIPT_MS 1000000ll
#define SCRIPT_WORDS 128u
#define SCRIPT_TEXT 512u	/* room for a segment or a range as text */

/* Numbers from low to high, both included. Times are ns. */
struct script_range {
	int64_t low, high;
};

extern const struct script_range script_anything;

/* The position in a script: the file, and the file that uses it. */
struct script_place {
	const char *path;
	unsigned line;
	const struct script_place *user;
};

struct script_line {
	const struct script_place *place;
	char words[SCRIPT_WORDS][SCRIPT_TEXT / 8];
	unsigned count, next;
	int64_t index;		/* the value of i: completed rounds of the innermost repeat */
};

extern struct script_line script_line;

/* Splits a line into words. A # begins a comment. */
void script_cut(const char *text, unsigned len, const struct script_place *place);
/* Takes the next word; NULL at the end of the line. */
const char *script_word(void);
/* Takes the next word. If there is none, fails with a message that names `what`. */
const char *script_need(const char *what);
/* Takes the next word if it is this one. Returns whether it is. */
bool script_take(const char *word);
/* Fails if the line has more words. */
void script_end(void);

/* Parses a sum of products: 5, 0x1f, 1+1000*i, -300. False if the word is none. */
bool script_parse_number(const char *word, int64_t *ret_number);
/* Parses a time such as 20ms, 3s or 25d, to ns. */
bool script_parse_time(const char *word, int64_t *ret_ns);
typedef bool (*script_parse_fn)(const char *word, int64_t *ret_value);
/* Parses one value, LOW..HIGH, >=LOW, <=HIGH, or * for any. */
bool script_parse_range(const char *word, script_parse_fn parse, struct script_range *ret_range);

/* Take the next word as a number, time or range; else fail with a message that names `what`. */
int64_t script_need_number(const char *what);
int64_t script_need_time(const char *what);
struct script_range script_need_range(const char *what, script_parse_fn parse);

static inline bool script_has(struct script_range range, int64_t value)
{
	return range.low <= value && value <= range.high;
}

static inline struct script_range script_one(int64_t value)
{
	return (struct script_range){ value, value };
}

/* Prints a range in the form that scripts use. */
void script_print_range(struct script_range range, bool is_time, char *to, unsigned cap);

/* Fails: the script is invalid. */
void script_wrong(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Fails: the stack did not do what the script expects. The message includes the trace. */
void script_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Adds a line to the trace. */
void script_trace(uint64_t now_ns, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
