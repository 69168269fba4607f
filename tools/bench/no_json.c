/* SPDX-License-Identifier: MIT */
/*
 * no_json.c: stands in for the commands that read result files in a build
 * without a JSON library.
 */
#include <stdio.h>

#include "tools/bench/commands.h"
#include "tools/common/command.h"

static int missing(const char *command)
{
	fprintf(stderr,
		"weir bench %s: this build cannot read JSON; install jansson (package "
		"libjansson-dev) and configure again with -Djson=enabled\n",
		command);
	return EXIT_USAGE;
}

int bench_report_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return missing("report");
}

int bench_diff_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return missing("diff");
}
