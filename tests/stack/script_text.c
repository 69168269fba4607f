/* SPDX-License-Identifier: MIT */
/* script_text.c: see script_text.h. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/stack/script_text.h"
#include "tests/support/testing.h"

#define TRACE_LINES 24u		/* how many of the last lines a failure prints */
#define MESSAGE 4000u

const struct script_range script_anything = { INT64_MIN, INT64_MAX };

struct script_line script_line;

static char trace[TRACE_LINES][SCRIPT_TEXT];
static unsigned traced;

/* ---- words ---------------------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* The length of the first word: "<" and ">" around options are words of their own. */
static unsigned word_length(const char *at, const char *end)
{
	unsigned len = 1;

	if ((at[0] == '<' || at[0] == '>') && (end - at < 2 || at[1] != '='))
		return 1;
	while (at + len < end && !is_space(at[len]) && at[len] != '#' &&
	       (at[len] != '>' || at[len - 1] == '-'))
		len++;
	return len;
}

void script_cut(const char *text, unsigned len, const struct script_place *place)
{
	const char *end = text + len;

	script_line.place = place;
	script_line.count = 0;
	script_line.next = 0;
	while (text < end && *text != '#') {
		char *word = script_line.words[script_line.count];
		unsigned part;

		if (is_space(*text)) {
			text++;
			continue;
		}
		part = word_length(text, end);
		if (script_line.count == SCRIPT_WORDS || part >= sizeof(script_line.words[0]))
			script_wrong("the line is too long");
		memcpy(word, text, part);
		word[part] = '\0';
		script_line.count++;
		text += part;
	}
}

const char *script_word(void)
{
	return script_line.next < script_line.count ? script_line.words[script_line.next++] : NULL;
}

const char *script_need(const char *what)
{
	const char *word = script_word();

	if (word == NULL)
		script_wrong("the line ends where %s should follow", what);
	return word;
}

bool script_take(const char *word)
{
	if (script_line.next == script_line.count ||
	    strcmp(script_line.words[script_line.next], word) != 0)
		return false;
	script_line.next++;
	return true;
}

void script_end(void)
{
	const char *word = script_word();

	if (word != NULL)
		script_wrong("\"%s\" is not understood here", word);
}

/* ---- numbers -------------------------------------------------------------------------------- */

static bool parse_factor(const char **at, int64_t *ret_number)
{
	char *end;

	if (**at == 'i') {
		(*at)++;
		*ret_number = script_line.index;
		return true;
	}
	if (!isdigit((unsigned char)**at))
		return false;
	*ret_number = strtoll(*at, &end, 0);
	*at = end;
	return true;
}

static bool parse_product(const char **at, int64_t *ret_number)
{
	int64_t factor;

	if (!parse_factor(at, ret_number))
		return false;
	while (**at == '*') {
		(*at)++;
		if (!parse_factor(at, &factor))
			return false;
		*ret_number *= factor;
	}
	return true;
}

bool script_parse_number(const char *word, int64_t *ret_number)
{
	int64_t sum = 0, product;
	int sign = 1;

	if (*word == '-') {
		sign = -1;
		word++;
	}
	for (;; word++) {
		if (!parse_product(&word, &product))
			return false;
		sum += sign * product;
		if (*word == '\0')
			break;
		if (*word != '+' && *word != '-')
			return false;
		sign = *word == '+' ? 1 : -1;
	}
	*ret_number = sum;
	return true;
}

bool script_parse_time(const char *word, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "us", 1000 },
		{ "ms", SCRIPT_MS },
		{ "s", 1000 * SCRIPT_MS },
		{ "h", 3600000 * SCRIPT_MS },
		{ "d", 86400000 * SCRIPT_MS },
	};
	int64_t number;

	if (!parse_product(&word, &number))
		return false;
	for (unsigned i = 0; i < TESTING_COUNT(units); i++) {
		if (strcmp(word, units[i].name) != 0)
			continue;
		*ret_ns = number * units[i].ns;
		return true;
	}
	return false;
}

bool script_parse_range(const char *word, script_parse_fn parse, struct script_range *ret_range)
{
	const char *dots = strstr(word, "..");
	char low[SCRIPT_TEXT / 8];

	*ret_range = script_anything;
	if (strcmp(word, "*") == 0)
		return true;
	if (strncmp(word, ">=", 2) == 0)
		return parse(word + 2, &ret_range->low);
	if (strncmp(word, "<=", 2) == 0)
		return parse(word + 2, &ret_range->high);
	if (dots == NULL) {
		if (!parse(word, &ret_range->low))
			return false;
		ret_range->high = ret_range->low;
		return true;
	}
	snprintf(low, sizeof(low), "%.*s", (int)(dots - word), word);
	return parse(low, &ret_range->low) && parse(dots + 2, &ret_range->high) &&
	       ret_range->low <= ret_range->high;
}

int64_t script_need_number(const char *what)
{
	const char *word = script_need(what);
	int64_t number;

	if (!script_parse_number(word, &number))
		script_wrong("\"%s\" is no number; %s is needed, such as 5, 0x1f or 1+1000*i", word,
			     what);
	return number;
}

int64_t script_need_time(const char *what)
{
	const char *word = script_need(what);
	int64_t ns;

	if (!script_parse_time(word, &ns))
		script_wrong("\"%s\" is no time; %s is needed, such as 200us, 20ms, 3s, 2h or 25d",
			     word, what);
	return ns;
}

struct script_range script_need_range(const char *what, script_parse_fn parse)
{
	bool is_time = parse == script_parse_time;
	const char *word = script_need(what);
	struct script_range range;

	if (!script_parse_range(word, parse, &range))
		script_wrong("\"%s\" is no range; %s is needed, such as %s or *", word, what,
			     is_time ? "20ms, 20ms..30ms, >=20ms" : "5, 5..9, >=5");
	return range;
}

static void print_value(int64_t value, bool is_time, char *to, unsigned cap)
{
	if (!is_time)
		snprintf(to, cap, "%lld", (long long)value);
	else if (value % SCRIPT_MS == 0)
		snprintf(to, cap, "%lldms", (long long)(value / SCRIPT_MS));
	else
		snprintf(to, cap, "%lldus", (long long)(value / 1000));
}

void script_print_range(struct script_range range, bool is_time, char *to, unsigned cap)
{
	char low[32], high[32];

	print_value(range.low, is_time, low, sizeof(low));
	print_value(range.high, is_time, high, sizeof(high));
	if (range.low == INT64_MIN && range.high == INT64_MAX)
		snprintf(to, cap, "*");
	else if (range.low == range.high)
		snprintf(to, cap, "%s", low);
	else if (range.low == INT64_MIN)
		snprintf(to, cap, "<=%s", high);
	else if (range.high == INT64_MAX)
		snprintf(to, cap, ">=%s", low);
	else
		snprintf(to, cap, "%s..%s", low, high);
}

/* ---- what failures say ---------------------------------------------------------------------- */

static unsigned print_place(char *to, unsigned cap)
{
	const struct script_place *place = script_line.place;
	unsigned len = (unsigned)snprintf(to, cap, "\n%s:%u: ", place->path, place->line);

	for (place = place->user; place != NULL && len < cap; place = place->user)
		len += (unsigned)snprintf(to + len, cap - len, "used by %s:%u: ", place->path,
					  place->line);
	return len < cap ? len : cap - 1;
}

void script_wrong(const char *fmt, ...)
{
	static char message[MESSAGE];
	unsigned len = print_place(message, sizeof(message));
	va_list args;

	va_start(args, fmt);
	vsnprintf(message + len, sizeof(message) - len, fmt, args);
	va_end(args);
	ck_abort_msg("%s", message);
	abort();
}

void script_fail(const char *fmt, ...)
{
	static char message[MESSAGE];
	unsigned len = print_place(message, sizeof(message));
	unsigned first = traced > TRACE_LINES ? traced - TRACE_LINES : 0;
	va_list args;

	va_start(args, fmt);
	len += (unsigned)vsnprintf(message + len, sizeof(message) - len, fmt, args);
	va_end(args);
	if (len < sizeof(message))
		len += (unsigned)snprintf(message + len, sizeof(message) - len,
					  "\nWhat happened%s:", first > 0 ? " last" : "");
	for (unsigned i = first; i < traced && len < sizeof(message); i++)
		len += (unsigned)snprintf(message + len, sizeof(message) - len, "\n%s",
					  trace[i % TRACE_LINES]);
	ck_abort_msg("%s", message);
	abort();
}

void script_trace(uint64_t now_ns, const char *fmt, ...)
{
	char *to = trace[traced++ % TRACE_LINES];
	unsigned len = (unsigned)snprintf(to, SCRIPT_TEXT, "%5u %11.6f  ", script_line.place->line,
					  (double)now_ns / 1e9);
	va_list args;

	va_start(args, fmt);
	vsnprintf(to + len, SCRIPT_TEXT - len, fmt, args);
	va_end(args);
	if (getenv("WEIR_SCRIPT_TRACE") != NULL)
		fprintf(stderr, "%s\n", to);
}
