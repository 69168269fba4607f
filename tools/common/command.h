/* SPDX-License-Identifier: MIT */
/*
 * command.h: what the subcommands of `weir` share: their declaration and the exit
 * codes.
 *
 * A subcommand is a folder beside this one and two functions that are declared
 * here, a line in the table of weir.c, its sources in tools/meson.build, and a
 * section of weir.1 or a man page of its own. It parses its own options
 * (options.h), reports an error in one line on stderr that begins with its name,
 * and returns an exit code.
 */
#ifndef TOOLS_COMMON_COMMAND_H
#define TOOLS_COMMON_COMMAND_H

#include <stddef.h>

struct option_spec;

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,	/* it failed while it ran */
	EXIT_USAGE = 2,		/* an argument or input is invalid */
};

struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);	/* argv[0] is the subcommand's name */
	void (*help)(void);			/* on stdout */
};

/*
 * Read the options of a subcommand that takes no argument; prints errors, and the help for --help.
 * Returns 0 to go on; otherwise 1 + the exit code to end with.
 */
int command_options(const struct option_spec *specs, size_t count, void (*help)(void), int argc,
		    char **argv, void *config);

int proxy_main(int argc, char **argv);
void proxy_help(void);
int bench_main(int argc, char **argv);
void bench_help(void);
int demo_main(int argc, char **argv);
void demo_help(void);
int topo_main(int argc, char **argv);
void topo_help(void);
int doctor_main(int argc, char **argv);
void doctor_help(void);

#endif
