/* SPDX-License-Identifier: MIT */
/*
 * options.h: command-line options with typed values, from one table that is both
 * the parser's and the help's.
 *
 *	static const struct option_spec specs[] = { … };
 *	options_parse(specs, count, argc, argv, &config, why, sizeof(why));
 *
 * Values are written into the caller's struct at .offset. "--name value" and
 * "--name=value" are the same; "--" ends the options; options and arguments may
 * be mixed; the last one of a name counts. Nothing is printed: the sentence that
 * says what is wrong, and what would be right, is left in why.
 */
#ifndef TOOLS_COMMON_OPTIONS_H
#define TOOLS_COMMON_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,		/* bool: no value */
	OPTION_COUNT,		/* uint64_t, from min to max */
	OPTION_DURATION,	/* uint64_t in ns: 250us 500ms 10s 2m 1h, or 0 */
	OPTION_TEXT,		/* const char *: anything but nothing */
	OPTION_CHOICE,		/* unsigned: the index in choices */
};

struct option_spec {
	const char *name;		/* without the dashes */
	enum option_kind kind;
	size_t offset;			/* of the value in the caller's struct */
	uint64_t min, max;		/* COUNT; DURATION: max, 0 for none */
	const char *const *choices;	/* CHOICE; ends with NULL */
	const char *value;		/* for the help: "N", "TIME" */
	const char *help;
};

enum options_result {
	OPTIONS_OK = 0,
	OPTIONS_BAD = -1,	/* why has the sentence */
	OPTIONS_HELP = 1,	/* --help was among them */
};

/*
 * Parse argv[1] to argv[argc - 1]. The arguments that are no options are moved to the front,
 * argv[1] and on, and counted.
 */
enum options_result options_parse(const struct option_spec *specs, size_t count, int argc,
				  char **argv, void *config, char *why, size_t why_len,
				  int *ret_arguments);

/* The options as lines of a help text, on stdout. */
void options_help(const struct option_spec *specs, size_t count);

/* One value by itself. 0, or OPTIONS_BAD with nothing written. */
int options_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);
int options_duration(const char *text, uint64_t *ret_ns);

#endif
