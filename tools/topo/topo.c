/* SPDX-License-Identifier: MIT */
/*
 * topo.c: `weir topo`: the machine, and where the workers of a runtime go on it. It
 * reads the topology and makes the plan with the functions that a runtime calls
 * when it starts, and shows both; it starts nothing and changes nothing.
 */
#include "tools/topo/topo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/command.h"
#include "tools/common/place_options.h"
#include "tools/topo/pid.h"

struct topo_config {
	struct place_options where;
	uint64_t workers, pid;
	const char *input, *mask, *quota;
	bool what_if, all, json, svg;
};

#define FIELD(name) offsetof(struct topo_config, name)

static const struct option_spec specs[] = {
	PLACE_OPTIONS(struct topo_config, where),
	{ "workers", OPTION_COUNT, FIELD(workers), 1, 256, NULL, "N",
	  "so many [WEIR_WORKERS, else what the CPUs and the quota allow]" },
	{ "input", OPTION_TEXT, FIELD(input), 0, 0, NULL, "MACHINE",
	  "another: an hwloc XML file, or such as 'pack:2 l3:8 core:8 pu:2'" },
	{ "mask", OPTION_TEXT, FIELD(mask), 0, 0, NULL, "LIST",
	  "as if the process were confined to these CPUs: 0-3,8" },
	{ "quota", OPTION_TEXT, FIELD(quota), 0, 0, NULL, "CPUS",
	  "as if it had a quota of so many: 0.5, 2; none for no quota" },
	{ "pid", OPTION_COUNT, FIELD(pid), 1, INT32_MAX, NULL, "N",
	  "a process that runs: its threads, where they are, and its memory" },
	{ "what-if", OPTION_FLAG, FIELD(what_if), 0, 0, NULL, NULL,
	  "compare with what a runtime gets without these options" },
	{ "all", OPTION_FLAG, FIELD(all), 0, 0, NULL, NULL, "every CPU, however many there are" },
	{ "json", OPTION_FLAG, FIELD(json), 0, 0, NULL, NULL, "the same as JSON" },
	{ "svg", OPTION_FLAG, FIELD(svg), 0, 0, NULL, NULL, "a picture, as an SVG file" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))
#define WHY_LEN 512

void topo_help(void)
{
	puts("usage: weir topo [OPTION...]\n\n"
	     "Shows the machine and where the workers of a runtime go on it, and why: for the\n"
	     "defaults, or for what weir proxy is given in the same options. Starts nothing.\n");
	options_help(specs, SPECS);
	puts("\nexit code: 0 shown, 1 it could not be, 2 bad usage or input\n"
	     "See weir-topo(1).");
}

static int usage(const char *why)
{
	fprintf(stderr, "weir topo: %s\n", why);
	return EXIT_USAGE;
}

/* As a library call has failed: -EINVAL and -EOPNOTSUPP are about what it was given. */
static int failed(int rc, const struct weir_why *why)
{
	fprintf(stderr, "weir topo: %s\n", *why->text ? why->text : weir_strerror(rc));
	return rc == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
}

/* ---- what if ---- */

/* "0.5", "2", "none": thousandths of a CPU. */
static bool parse_quota(const char *text, unsigned *ret_milli)
{
	char *end;
	double cpus;

	if (strcmp(text, "none") == 0) {
		*ret_milli = 0;
		return true;
	}
	if (strspn(text, "0123456789.") != strlen(text))
		return false;
	cpus = strtod(text, &end);
	if (*end || end == text || cpus < 0.001 || cpus > WEIR_CPUS_MAX)
		return false;
	*ret_milli = (unsigned)(cpus * 1000 + 0.5);
	return true;
}

/* A CPU that is nowhere is a slip, or meant for another machine. */
static int parse_mask(const struct topo_config *cfg, const struct weir_topo *topo,
		      struct weir_cpuset *ret_mask)
{
	struct weir_cpuset there = { { 0 } };
	struct weir_why reason = { "" };
	char cpus[256], why[WHY_LEN];
	unsigned i = 0;

	for (unsigned k = 0; k < topo->cpus_len; k++)
		weir_cpuset_add(&there, topo->cpus[k].os);
	if (weir_cpuset_parse(cfg->mask, ret_mask, &reason) == 0) {
		while (i < WEIR_CPUS_MAX &&
		       (!weir_cpuset_has(ret_mask, i) || weir_cpuset_has(&there, i)))
			i++;
		if (i == WEIR_CPUS_MAX)
			return EXIT_DONE;
		snprintf(reason.text, sizeof(reason.text), "there is no CPU %u", i);
	}
	weir_cpuset_print(&there, cpus, sizeof(cpus));
	snprintf(why, sizeof(why),
		 "--mask '%.60s': %.120s; expected CPUs such as 0-3,8, and the machine has %s",
		 cfg->mask, reason.text, cpus);
	return usage(why);
}

/* The topology as if the process were confined as the options say. */
static int cut(const struct topo_config *cfg, struct weir_topo *topo)
{
	unsigned milli = topo->quota_milli;
	struct weir_cpuset mask;
	char why[WHY_LEN];

	if (cfg->mask && parse_mask(cfg, topo, &mask) != EXIT_DONE)
		return EXIT_USAGE;
	if (cfg->quota && !parse_quota(cfg->quota, &milli)) {
		snprintf(why, sizeof(why),
			 "--quota '%.100s': expected a number of CPUs such as 0.5 or 2, or none",
			 cfg->quota);
		return usage(why);
	}
	if (cfg->quota)
		snprintf(topo->quota_file, sizeof(topo->quota_file), "--quota");
	if (!cfg->mask && !cfg->quota)
		return EXIT_DONE;
	if (weir_topo_cut(topo, cfg->mask ? &mask : NULL, milli) == 0)
		return EXIT_DONE;
	snprintf(why, sizeof(why), "--mask '%.100s': none of these CPUs may be used here",
		 cfg->mask);
	return usage(why);
}

/* ---- the plan ---- */

/* As a runtime does. */
static int workers_wanted(const struct topo_config *cfg, unsigned *ret_workers)
{
	const char *text = getenv("WEIR_WORKERS");
	uint64_t value = cfg->workers;
	char why[WHY_LEN];

	if (!value && text && *text && options_count(text, 1, 256, &value) < 0) {
		snprintf(why, sizeof(why),
			 "WEIR_WORKERS is '%.100s': expected a number from 1 to 256", text);
		return usage(why);
	}
	*ret_workers = (unsigned)value;
	return EXIT_DONE;
}

static int make_plan(const struct topo_config *cfg, const struct weir_topo *topo,
		     struct weir_plan **ret_plan)
{
	struct weir_place_config place;
	struct weir_why reason = { "" };
	char why[WHY_LEN];
	int rc, code;

	if (place_options_read(&cfg->where, &place, why, sizeof(why)) < 0)
		return usage(why);
	code = workers_wanted(cfg, &place.workers);
	if (code)
		return code;
	rc = weir_plan_new(topo, &place, ret_plan, &reason);
	return rc < 0 ? failed(rc, &reason) : EXIT_DONE;
}

/* What a runtime has that is given nothing, on the machine as it is. */
static int make_plan_now(const struct topo_config *cfg, struct weir_plan **ret_plan)
{
	struct topo_config plain = { .input = cfg->input };
	struct weir_why why = { "" };
	struct weir_topo *topo;
	int rc = weir_topo_new(cfg->input, &topo, &why), code;

	if (rc < 0)
		return failed(rc, &why);
	code = make_plan(&plain, topo, ret_plan);
	weir_topo_free(topo);
	return code;
}

/* ---- showing ---- */

static int show(const struct topo_config *cfg, struct topo_view *view)
{
	int rc = 0;

	view->all = cfg->all;
	if (cfg->svg)
		rc = topo_print_svg(view, stdout);
	else if (cfg->json)
		topo_print_json(view, stdout);
	else
		topo_print_text(view, stdout);
	if (rc == 0)
		return EXIT_DONE;
	usage(weir_strerror(rc));
	return EXIT_FAILED;
}

static int view_plan(const struct topo_config *cfg, const struct weir_topo *topo,
		     const struct weir_plan *plan)
{
	struct weir_plan *now = NULL;
	struct topo_host host;
	struct topo_view view;
	int code = EXIT_DONE;

	if (topo_view_init(&view, topo, plan) < 0) {
		usage(weir_strerror(-ENOMEM));
		return EXIT_FAILED;
	}
	if (topo->here) {
		topo_host_read("", topo, &host);
		view.host = &host;
	}
	if (cfg->what_if)
		code = make_plan_now(cfg, &now);
	view.now = now;
	if (code == EXIT_DONE)
		code = show(cfg, &view);
	weir_plan_free(now);
	if (view.host)
		topo_host_free(&host);
	topo_view_fini(&view);
	return code;
}

/* ---- a process ---- */

/* The plan that a runtime in that process would have: in its first thread's mask, as many workers. */
static int plan_process(const struct topo_config *cfg, const struct topo_process *process,
			struct weir_plan **ret_plan)
{
	struct topo_config its = *cfg;
	struct weir_why why = { "" };
	struct weir_topo *topo;
	int rc = weir_topo_new(NULL, &topo, &why), code;

	if (rc < 0)
		return failed(rc, &why);
	/* Where nothing is left of our own CPUs, they stand as they are. */
	weir_topo_cut(topo, &process->threads[0].allowed, topo->quota_milli);
	if (!its.workers && process->workers_len <= 256)
		its.workers = process->workers_len;
	code = make_plan(&its, topo, ret_plan);
	weir_topo_free(topo);
	return code;
}

static int show_process(const struct topo_config *cfg)
{
	struct topo_process process;
	struct weir_plan *plan = NULL;
	int rc = topo_process_read("", (int)cfg->pid, &process), code;
	char why[WHY_LEN];

	if (rc == -ESRCH) {
		snprintf(why, sizeof(why), "--pid '%d': there is no such process here",
			 (int)cfg->pid);
		return usage(why);
	}
	if (rc < 0) {
		usage(weir_strerror(rc));
		return EXIT_FAILED;
	}
	code = plan_process(cfg, &process, &plan);
	if (code == EXIT_DONE && cfg->json)
		topo_print_process_json(&process, plan, stdout);
	else if (code == EXIT_DONE)
		topo_print_process_text(&process, plan, stdout);
	if (code == EXIT_DONE && process.memory_error) {
		snprintf(why, sizeof(why), "the memory of %d: %s", (int)cfg->pid,
			 weir_strerror(process.memory_error));
		usage(why);
		code = EXIT_FAILED;
	}
	weir_plan_free(plan);
	topo_process_free(&process);
	return code;
}

static int run(const struct topo_config *cfg)
{
	struct weir_why why = { "" };
	struct weir_topo *topo;
	struct weir_plan *plan = NULL;
	int rc = weir_topo_new(cfg->input, &topo, &why), code;

	if (rc < 0)
		return failed(rc, &why);
	code = cut(cfg, topo);
	if (code == EXIT_DONE)
		code = make_plan(cfg, topo, &plan);
	if (code == EXIT_DONE)
		code = view_plan(cfg, topo, plan);
	weir_plan_free(plan);
	weir_topo_free(topo);
	return code;
}

int topo_main(int argc, char **argv)
{
	struct topo_config cfg = { 0 };
	int end = command_options(specs, SPECS, topo_help, argc, argv, &cfg);

	if (end)
		return end - 1;
	if (cfg.json && cfg.svg)
		return usage("--json and --svg: expected one of them");
	if (cfg.pid && cfg.svg)
		return usage("--pid: there is no picture of a process; expected without --svg");
	if (cfg.pid && (cfg.input || cfg.mask || cfg.quota || cfg.what_if))
		return usage("--pid: a process that runs has its machine, mask and quota; "
			     "expected without --input, --mask, --quota and --what-if");
	return cfg.pid ? show_process(&cfg) : run(&cfg);
}
