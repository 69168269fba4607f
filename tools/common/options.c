/* SPDX-License-Identifier: MIT */
/*
 * options.c: see options.h. It reads only the given strings and writes only to the
 * given memory, so it can be fuzzed.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/options.h"
#include "weir/base.h"

#define NAME_MAX_LEN 32

struct parser {
	const struct option_spec *specs;
	size_t count;
	char *config;
	char *why;
	size_t why_len;
};

static enum options_result WEIR_PRINTF(2, 3) bad(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, p->why_len, fmt, ap);
	va_end(ap);
	return OPTIONS_BAD;
}

/* ---- values ---- */

/* Read the leading digits. Returns their count; 0 if there are none or the number is too large. */
static size_t read_digits(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t n;

	for (n = 0; text[n] >= '0' && text[n] <= '9'; n++) {
		if (value > (UINT64_MAX - 9) / 10)
			return 0;
		value = value * 10 + (uint64_t)(text[n] - '0');
	}
	*ret_value = value;
	return n;
}

int options_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	size_t n = read_digits(text, &value);

	if (n == 0 || text[n] || value < min || value > max)
		return OPTIONS_BAD;
	*ret_value = value;
	return 0;
}

int options_duration(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {
		{ "us", WEIR_USEC },	{ "ms", WEIR_MSEC },	  { "s", WEIR_SEC },
		{ "m", 60 * WEIR_SEC }, { "h", 3600 * WEIR_SEC },
	};
	uint64_t value;
	size_t n = read_digits(text, &value);

	if (n == 0)
		return OPTIONS_BAD;
	if (value == 0 && !text[n]) {
		*ret_ns = 0;
		return 0;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + n, units[i].unit) != 0)
			continue;
		if (value > INT64_MAX / units[i].ns)
			return OPTIONS_BAD;
		*ret_ns = value * units[i].ns;
		return 0;
	}
	return OPTIONS_BAD;
}

/* The text before the i-th choice in a list of choices. */
static const char *separator(const struct option_spec *spec, size_t i)
{
	if (i == 0)
		return "";
	return spec->choices[i + 1] ? ", " : " or ";
}

static enum options_result bad_choice(struct parser *p, const struct option_spec *spec,
				      const char *text)
{
	char list[160] = "";
	size_t used = 0;

	for (size_t i = 0; spec->choices[i] && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 separator(spec, i),
					 spec->choices[i]);
	return bad(p, "--%s '%s': expected %s", spec->name, text, list);
}

static enum options_result set_choice(struct parser *p, const struct option_spec *spec,
				      const char *text)
{
	unsigned i = 0;

	while (spec->choices[i] && strcmp(spec->choices[i], text) != 0)
		i++;
	if (!spec->choices[i])
		return bad_choice(p, spec, text);
	memcpy(p->config + spec->offset, &i, sizeof(i));
	return OPTIONS_OK;
}

static enum options_result set_duration(struct parser *p, const struct option_spec *spec,
					const char *text)
{
	uint64_t ns;

	if (options_duration(text, &ns) < 0 || (spec->max && ns > spec->max))
		return bad(p,
			   "--%s '%s': expected a time such as 500ms, 10s or 2m, or 0 for none%s",
			   spec->name, text, spec->max ? "; this is too long" : "");
	memcpy(p->config + spec->offset, &ns, sizeof(ns));
	return OPTIONS_OK;
}

static enum options_result set_value(struct parser *p, const struct option_spec *spec,
				     const char *text)
{
	uint64_t value;

	switch (spec->kind) {
	case OPTION_COUNT:
		if (options_count(text, spec->min, spec->max, &value) < 0)
			return bad(p, "--%s '%s': expected a number from %llu to %llu", spec->name,
				   text, (unsigned long long)spec->min,
				   (unsigned long long)spec->max);
		memcpy(p->config + spec->offset, &value, sizeof(value));
		return OPTIONS_OK;
	case OPTION_DURATION:
		return set_duration(p, spec, text);
	case OPTION_CHOICE:
		return set_choice(p, spec, text);
	default:
		if (!*text)
			return bad(p, "--%s '': expected %s", spec->name, spec->value);
		memcpy(p->config + spec->offset, &text, sizeof(text));
		return OPTIONS_OK;
	}
}

/* ---- names ---- */

/* The Levenshtein distance, computed with a single row. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1], len = strlen(b);

	if (len > NAME_MAX_LEN)
		return SIZE_MAX;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			best = best < row[j] + 1 ? best : row[j] + 1;
			row[j + 1] = best < diagonal + 1 ? best : diagonal + 1;
		}
	}
	return row[len];
}

/* List the names of all options; false if they do not fit. */
static bool list_names(const struct parser *p, char *list, size_t len)
{
	size_t used = 0;

	list[0] = '\0';
	for (size_t i = 0; i < p->count && used < len; i++)
		used += (size_t)snprintf(list + used, len - used, "%s--%s", i ? ", " : "",
					 p->specs[i].name);
	return used < len;
}

static enum options_result unknown(struct parser *p, const char *given, size_t len)
{
	char name[NAME_MAX_LEN + 1], list[128];
	size_t best = 3, d;
	const char *nearest = NULL;

	snprintf(name, sizeof(name), "%.*s", (int)(len < NAME_MAX_LEN ? len : NAME_MAX_LEN), given);
	for (size_t i = 0; i < p->count; i++) {
		d = distance(name, p->specs[i].name);
		if (d < best) {
			best = d;
			nearest = p->specs[i].name;
		}
	}
	if (nearest)
		return bad(p, "--%s: unknown option; did you mean --%s?", name, nearest);
	if (list_names(p, list, sizeof(list)))
		return bad(p, "--%s: unknown option; expected one of %s", name, list);
	return bad(p, "--%s: unknown option; --help lists the options", name);
}

static const struct option_spec *find(const struct parser *p, const char *name, size_t len)
{
	for (size_t i = 0; i < p->count; i++)
		if (strlen(p->specs[i].name) == len && memcmp(p->specs[i].name, name, len) == 0)
			return &p->specs[i];
	return NULL;
}

/* ---- the line ---- */

/* Parse one option. next is the following word or NULL; *ret_used: whether it was the value. */
static enum options_result option(struct parser *p, const char *word, const char *next,
				  bool *ret_used)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct option_spec *spec = find(p, word, len);
	bool on = true;

	*ret_used = false;
	if (!spec)
		return unknown(p, word, len);
	if (spec->kind == OPTION_FLAG) {
		if (equals)
			return bad(p, "--%s '%s': expected no value", spec->name, equals + 1);
		memcpy(p->config + spec->offset, &on, sizeof(on));
		return OPTIONS_OK;
	}
	if (equals)
		return set_value(p, spec, equals + 1);
	if (!next)
		return bad(p, "--%s: expected %s after it", spec->name, spec->value);
	*ret_used = true;
	return set_value(p, spec, next);
}

enum options_result options_parse(const struct option_spec *specs, size_t count, int argc,
				  char **argv, void *config, char *why, size_t why_len,
				  int *ret_arguments)
{
	struct parser p = { specs, count, config, why, why_len };
	bool ended = false, used;
	int arguments = 0;

	for (int i = 1; i < argc; i++) {
		char *word = argv[i];

		if (ended || word[0] != '-' || !word[1]) {
			argv[1 + arguments++] = word;
		} else if (strcmp(word, "--") == 0) {
			ended = true;
		} else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			return OPTIONS_HELP;
		} else if (word[1] != '-') {
			return bad(&p, "%s: expected an option with two dashes; see --help", word);
		} else {
			if (option(&p, word + 2, i + 1 < argc ? argv[i + 1] : NULL, &used) < 0)
				return OPTIONS_BAD;
			i += used;
		}
	}
	*ret_arguments = arguments;
	return OPTIONS_OK;
}

void options_help(const struct option_spec *specs, size_t count)
{
	char left[64];

	for (size_t i = 0; i < count; i++) {
		snprintf(left, sizeof(left), "--%s%s%s", specs[i].name, specs[i].value ? " " : "",
			 specs[i].value ? specs[i].value : "");
		printf("  %-28s %s\n", left, specs[i].help);
	}
}
