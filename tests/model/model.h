/* SPDX-License-Identifier: MIT */
/*
 * model.h: the frame of every model: the selection of a mutant at run time, and a main that prints
 * TAP.
 *
 * A header under test takes its memory orders and switches from macros. A model defines each of
 * them as MUT(number, right, wrong) before it includes the header, so one program contains the
 * header as it is (version 0) and all mutants. main runs each version in a process of its own.
 * Version 0 must pass every scenario, with random schedules and with all schedules up to a number
 * of context switches. Each mutant must fail at least once. If a mutant passes, the model is too
 * weak, or the header uses a stronger order than it needs.
 *
 *	./ring		runs all versions, prints TAP
 *	./ring 3	runs version 3 alone, and prints the interleaving that breaks it
 *	./ring 0 20	runs version 0 with 20 times as many random schedules
 */
#ifndef WEIR_MODEL_H
#define WEIR_MODEL_H

#include "model_atomic.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int model_version;
static unsigned model_factor = 1;

#define MUT(number, right, wrong) (model_version == (number) ? (wrong) : (right))

/* For cells that are freed: after model_free every further use is an error. */
static const unsigned model_poison = 0xdeadu;

template <typename Cell> static unsigned model_use(Cell &cell)
{
	unsigned v = WEIR_RD(cell);

	RL_ASSERT(v != model_poison);
	return v;
}

template <typename Cell> static void model_free(Cell &cell)
{
	model_use(cell);
	WEIR_WR(cell, model_poison);
}

/*
 * Sleeping and waking, as the operating system does it: a ring before the wait ends the wait at
 * once.
 */
struct model_bell {
	rl::generic_event event;

	void init()
	{
		event.init(false, false, $);
	}
	void fini()
	{
		event.deinit($);
	}
	void ring()
	{
		event.set($);
	}
	void wait()
	{
		event.wait(false, false, $);
	}
};

struct model_scenario {
	const char *name;
	bool (*simulate)(rl::test_params &);
	unsigned random_runs;	/* 0: no random search */
	unsigned bound;		/* context switches in the exhaustive search; 0: no such search */
};

struct model_null_buf : std::streambuf {
	int overflow(int c)
	{
		return c;
	}
};

static bool model_run(const model_scenario &s, bool random, bool verbose)
{
	model_null_buf null_buf;
	std::ostream null_stream(&null_buf);
	rl::test_params p;

	p.progress_stream = &null_stream;
	p.output_stream = verbose ? &std::cout : &null_stream;
	p.iteration_count = s.random_runs * model_factor;
	p.search_type = random ? rl::random_scheduler_type : rl::fair_context_bound_scheduler_type;
	p.context_bound = s.bound;
	p.execution_depth_limit = 4000;
	bool ok = s.simulate(p);
	if (verbose)
		printf("# %s, %s: %s after %u runs\n", s.name, random ? "random" : "bounded",
		       ok ? "passed" : "FAILED", (unsigned)p.stop_iteration);
	return ok;
}

static bool model_run_all(const model_scenario *s, unsigned n, bool verbose)
{
	for (unsigned k = 0; k < n; k++)
		if ((s[k].random_runs && !model_run(s[k], true, verbose)) ||
		    (s[k].bound && !model_run(s[k], false, verbose)))
			return false;
	return true;
}

/* Returns the exit status: 0, passed; 1, the model found an error; others, it hung or crashed. */
static int model_fork(const model_scenario *s, unsigned n)
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		/* Limits CPU time, so that a busy machine makes no difference. */
		struct rlimit seconds = { 60, 60 };

		setrlimit(RLIMIT_CPU, &seconds);
		_exit(model_run_all(s, n, false) ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int model_main(int argc, char **argv, const char *subject, const model_scenario *s,
		      unsigned n_scenarios, const char *const *mutants, int n_mutants)
{
	int failed = 0;

	if (argc > 1) {
		model_version = atoi(argv[1]);
		if (argc > 2)
			model_factor = (unsigned)atoi(argv[2]);
		return model_run_all(s, n_scenarios, true) ? 0 : 1;
	}
	printf("1..%d\n", n_mutants + 1);
	for (model_version = 0; model_version <= n_mutants; model_version++) {
		int rc = model_fork(s, n_scenarios);
		bool ok = rc == (model_version ? 1 : 0);

		printf("%s %d - %s: ", ok ? "ok" : "not ok", model_version + 1, subject);
		if (model_version)
			printf("mutant %d fails: %s", model_version, mutants[model_version - 1]);
		else
			printf("the right version passes");
		if (rc > 1)
			printf(" (ended with %d)", rc);
		printf("\n");
		fflush(stdout);
		failed += !ok;
	}
	return failed != 0;
}

#define MODEL_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MODEL_MAIN(subject, scenarios, mutants) \
	int main(int argc, char **argv) \
	{ \
		return model_main(argc, argv, subject, scenarios, MODEL_COUNT(scenarios), mutants, \
				  (int)MODEL_COUNT(mutants)); \
	}

#endif
