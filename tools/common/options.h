/* SPDX-License-Identifier: MIT */
/*
 * options.h: command-line options with typed values, from one table for both the
 * parser and the help text.
 *
 *	static const struct option_spec specs[] = { … };
 *	options_parse(specs, count, argc, argv, &config, why, sizeof(why));
 *
 * Values are written into the caller's struct at .offset. "--name value" and
 * "--name=value" are the same; "--" ends the options; options and arguments may
 * be mixed; of a repeated option the last one counts. Nothing is printed: an error
 * message, which says what is expected, is stored in why.
 */
#ifndef TOOLS_COMMON_OPTIONS_H
#define TOOLS_COMMON_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,		/* bool: no value */
	OPTION_COUNT,		/* uint64_t, from min to max */
	OPTION_DURATION,	/* uint64_t in ns: 250us 500ms 10s 2m 1h, or 0 */
	OPTION_TEXT,		/* const char *: not empty */
	OPTION_CHOICE,		/* unsigned: the index in choices */
};

struct option_spec {
	const char *name;		/* without the dashes */
	enum option_kind kind;
	size_t offset;			/* of the value in the caller's struct */
	uint64_t min, max;		/* of a COUNT; of a DURATION only max, 0 for no limit */
	const char *const *choices;	/* of a CHOICE; ends with NULL */
	const char *value;		/* its name in the help: "N", "TIME" */
	const char *help;
};

enum options_result {
	OPTIONS_OK = 0,
	OPTIONS_BAD = -1,	/* the message is in why */
	OPTIONS_HELP = 1,	/* --help was given */
};

/*
 * Parse argv[1] to argv[argc - 1]. Arguments that are not options are counted and moved to
 * argv[1] and the following elements.
 */
enum options_result options_parse(const struct option_spec *specs, size_t count, int argc,
				  char **argv, void *config, char *why, size_t why_len,
				  int *ret_arguments);

/* Print the options as lines of a help text, on stdout. */
void options_help(const struct option_spec *specs, size_t count);

/* Parse a single value. Returns 0, or OPTIONS_BAD and leaves the output unchanged. */
int options_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);
int options_duration(const char *text, uint64_t *ret_ns);

#endif
