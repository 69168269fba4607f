/* SPDX-License-Identifier: MIT */
/* command.c: see command.h. */
#include "tools/common/command.h"

#include <stdio.h>

#include "tools/common/options.h"

int command_options(const struct option_spec *specs, size_t count, void (*help)(void), int argc,
		    char **argv, void *config)
{
	char why[256];
	int arguments;

	switch (options_parse(specs, count, argc, argv, config, why, sizeof(why), &arguments)) {
	case OPTIONS_HELP:
		help();
		return 1 + EXIT_DONE;
	case OPTIONS_BAD:
		break;
	default:
		if (!arguments)
			return 0;
		snprintf(why, sizeof(why), "'%.100s': expected no argument; see --help", argv[1]);
	}
	fprintf(stderr, "weir %s: %s\n", argv[0], why);
	return 1 + EXIT_USAGE;
}
