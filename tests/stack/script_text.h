/* SPDX-License-Identifier: MIT */
/*
 * script_text.h: the lines of a script: words, numbers, times, ranges, and what a failure says.
 * scripts/README.md describes the format.
 *
 * A script is read and run line by line. Everything here works on the line that is run now, so a
 * failure can say which one that was.
 */
#ifndef WEIR_TESTS_STACK_SCRIPT_TEXT_H
#define WEIR_TESTS_STACK_SCRIPT_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#define SCRIPT_MS 1000000ll
#define SCRIPT_WORDS 128u
#define SCRIPT_TEXT 512u	/* of a segment or a range, as text */

/* Numbers from low to high, both included. Times are ns. */
struct script_range {
	int64_t low, high;
};

extern const struct script_range script_anything;

/* Where a script stands: the file, and the one that uses it. */
struct script_place {
	const char *path;
	unsigned line;
	const struct script_place *user;
};

struct script_line {
	const struct script_place *place;
	char words[SCRIPT_WORDS][SCRIPT_TEXT / 8];
	unsigned count, next;
	int64_t index;		/* the value of i: how often the innermost repeat has run before */
};

extern struct script_line script_line;

/* Cuts a line into words; what follows a # is a comment. */
void script_cut(const char *text, unsigned len, const struct script_place *place);
/* The next word, which is taken; NULL at the end of the line. */
const char *script_word(void);
/* The next word; what says what it would be, for the message if there is none. */
const char *script_need(const char *what);
/* Whether the next word is this one. It is taken then. */
bool script_take(const char *word);
/* Fails if the line has more words. */
void script_end(void);

/* A sum of products: 5, 0x1f, 1+1000*i, -300. False if the word is none. */
bool script_parse_number(const char *word, int64_t *ret_number);
/* 20ms, 3s, 25d; ns are returned. */
bool script_parse_time(const char *word, int64_t *ret_ns);
typedef bool (*script_parse_fn)(const char *word, int64_t *ret_value);
/* One value, LOW..HIGH, >=LOW, <=HIGH, or * for any. */
bool script_parse_range(const char *word, script_parse_fn parse, struct script_range *ret_range);

/* The next word as each of these; a message names what was expected. */
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

/* A range as a script writes it. */
void script_print_range(struct script_range range, bool is_time, char *to, unsigned cap);

/* The script is wrong here. */
void script_wrong(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* The stack did something else than the script expects. The message has the trace. */
void script_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* A line of the trace. */
void script_trace(uint64_t now_ns, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
