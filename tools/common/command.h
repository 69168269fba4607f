/* SPDX-License-Identifier: MIT */
/*
 * command.h: what the subcommands of `weir` have in common: how one is declared,
 * and how the program ends.
 *
 * A subcommand is one line in the table of weir.c. It parses its own options
 * (options.h), says what is wrong in one line on stderr that begins with its
 * name, and returns an exit code.
 */
#ifndef TOOLS_COMMON_COMMAND_H
#define TOOLS_COMMON_COMMAND_H

#include <stddef.h>

struct option_spec;

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,	/* it ran, and something went wrong */
	EXIT_USAGE = 2,		/* what it was given cannot be meant */
};

struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);	/* argv[0] is the subcommand's name */
	void (*help)(void);			/* on stdout */
};

/*
 * Read the options of a subcommand that takes no argument; says what is wrong, and prints the help
 * where that is asked for. 0; a value above 0 is the exit code + 1 to end with.
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
