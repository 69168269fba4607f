/* SPDX-License-Identifier: MIT */
/*
 * traced.c: checks that the list in calls.c is complete. Runs a program (the conformance suite),
 * and fails if it or one of its children makes a system call that is not in the list.
 *
 *	traced PROGRAM [ARGUMENT...]
 *
 * The calls in the list are not reported to this process, so they cost nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/calls.h"
#include "tests/faults/notify.h"

#define NUMBERS_MAX 1024
/* Longer than meson's own limit. */
#define LIMIT_S 3600

static unsigned seen[NUMBERS_MAX];

static int note(void *arg, int number)
{
	(void)arg;
	if (number >= 0 && number < NUMBERS_MAX)
		seen[number]++;
	return 0;
}

static int run_program(void *arg)
{
	char **argv = arg;

	execv(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	return 127;
}

static unsigned report(void)
{
	unsigned unlisted = 0;

	for (int i = 0; i < NUMBERS_MAX; i++)
		if (seen[i]) {
			unlisted++;
			fprintf(stderr,
				"system call %d (<asm/unistd.h> has its name) was made %u times "
				"and is "
				"not in tests/faults/calls.c\n",
				i, seen[i]);
		}
	return unlisted;
}

int main(int argc, char **argv)
{
	int *numbers = calloc(faults_calls_len, sizeof *numbers);
	struct notify_calls calls = { numbers, faults_calls_len, true };
	int status;

	if (argc < 2 || !numbers)
		return fprintf(stderr, "usage: traced PROGRAM [ARGUMENT...]\n"), 2;
	for (size_t i = 0; i < faults_calls_len; i++)
		numbers[i] = faults_calls[i].number;
	status = notify_run(&calls, run_program, argv + 1, note, NULL, LIMIT_S);
	free(numbers);
	if (status < 0)
		return fprintf(stderr, "traced: %s\n", strerror(-status)), 1;
	return report() || !WIFEXITED(status) ? 1 : WEXITSTATUS(status);
}
