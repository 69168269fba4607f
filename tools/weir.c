/* SPDX-License-Identifier: MIT */
/*
 * weir.c: the `weir` command: finds the subcommand and calls it. Each subcommand
 * parses its own options.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/command.h"
#include "weir/base.h"

static const struct command commands[] = {
	{ "proxy", "relay TCP connections to one of several upstreams", proxy_main, proxy_help },
	{ "bench", "compare I/O backends under one workload", bench_main, bench_help },
	{ "demo", "run the proxy in front of an echo server, under load, and check every byte",
	  demo_main, demo_help },
	{ "topo", "show the machine, where the workers go, and why", topo_main, topo_help },
	{ "doctor", "check what this machine lacks for weir, and how to fix it", doctor_main,
	  doctor_help },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void help(void)
{
	puts("usage: weir COMMAND [OPTION...] [ARGUMENT...]\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	puts("  help     describe a command: weir help COMMAND\n\n"
	     "  --help, --version\n\n"
	     "exit code: 0 done, 1 failed while running, 2 invalid usage or input");
}

/* "weir: unknown command 'x'; expected proxy, demo or help" */
static int unknown(const char *name)
{
	fprintf(stderr, "weir: unknown command '%s'; expected ", name);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(stderr, "%s%s", i ? ", " : "", commands[i].name);
	fputs(" or help\n", stderr);
	return EXIT_USAGE;
}

static int help_main(int argc, char **argv)
{
	const struct command *command;

	if (argc == 0) {
		help();
		return EXIT_DONE;
	}
	command = find(argv[0]);
	if (!command)
		return unknown(argv[0]);
	command->help();
	return EXIT_DONE;
}

/* Check that the output was written: a full disk is a failure. */
static int flushed(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	perror("weir: standard output");
	return code ? code : EXIT_FAILED;
}

/*
 * If a standard descriptor is closed, the next open gets its number, and messages for standard
 * error would go into a socket or a ring. So it is opened on /dev/null.
 */
static int fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (fill_standard_descriptors() < 0)
		return EXIT_FAILED;
	/*
	 * If the reader of our output goes away, or a file reaches RLIMIT_FSIZE,
	 * only that write fails: the signals that would end the process are ignored.
	 */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		fputs("weir: expected a command; weir --help lists them\n", stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0)
		return flushed(help_main(argc - 2, argv + 2));
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return flushed(help_main(0, NULL));
	if (strcmp(argv[1], "--version") == 0) {
		printf("weir %s\n", weir_version());
		return flushed(EXIT_DONE);
	}
	command = find(argv[1]);
	return flushed(command ? command->run(argc - 1, argv + 1) : unknown(argv[1]));
}
