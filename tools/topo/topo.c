/* SPDX-License-Identifier: MIT */
/*
 * topo.c: `weir topo` shows the machine and where a runtime places its workers on it.
 * It reads the topology and makes the plan with the functions that a runtime calls
 * when it starts. It starts nothing and changes nothing.
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
	  "number of workers [WEIR_WORKERS, or as CPUs and quota allow]" },
	{ "input", OPTION_TEXT, FIELD(input), 0, 0, NULL, "MACHINE",
	  "another machine: an hwloc XML file or 'pack:2 l3:8 core:8 pu:2'" },
	{ "mask", OPTION_TEXT, FIELD(mask), 0, 0, NULL, "LIST",
	  "plan as if the process were confined to these CPUs: 0-3,8" },
	{ "quota", OPTION_TEXT, FIELD(quota), 0, 0, NULL, "CPUS",
	  "plan as if the CPU quota were this: 0.5, 2, or none" },
	{ "pid", OPTION_COUNT, FIELD(pid), 1, INT32_MAX, NULL, "N",
	  "show a running process: its threads, their CPUs, its memory" },
	{ "what-if", OPTION_FLAG, FIELD(what_if), 0, 0, NULL, NULL,
	  "compare with the plan without these options" },
	{ "all", OPTION_FLAG, FIELD(all), 0, 0, NULL, NULL, "list every CPU and interrupt" },
	{ "json", OPTION_FLAG, FIELD(json), 0, 0, NULL, NULL, "print JSON" },
	{ "svg", OPTION_FLAG, FIELD(svg), 0, 0, NULL, NULL, "print a picture as SVG" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))
#define WHY_LEN 512

void topo_help(void)
{
	puts("usage: weir topo [OPTION...]\n\n"
	     "Shows the machine, where a runtime places its workers on it, and why. The options\n"
	     "are those of weir proxy. Starts nothing and changes nothing.\n");
	options_help(specs, SPECS);
	puts("\nexit code: 0 shown, 1 not everything was shown, 2 invalid usage or input\n"
	     "See weir-topo(1).");
}

static int usage(const char *why)
{
	fprintf(stderr, "weir topo: %s\n", why);
	return EXIT_USAGE;
}

/* Report a failed library call. Its errors other than -ENOMEM are about the input. */
static int failed(int rc, const struct weir_why *why)
{
	fprintf(stderr, "weir topo: %s\n", *why->text ? why->text : weir_strerror(rc));
	return rc == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
}

/* ---- what if ---- */

/* Parse "0.5", "2" or "none" into thousandths of a CPU. */
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

/* A CPU that the machine does not have is an error. */
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
		snprintf(reason.text, sizeof(reason.text), "CPU %u does not exist", i);
	}
	weir_cpuset_print(&there, cpus, sizeof(cpus));
	snprintf(why, sizeof(why),
		 "--mask '%.60s': %.120s; expected CPUs such as 0-3,8; the machine has %s",
		 cfg->mask, reason.text, cpus);
	return usage(why);
}

/* Apply --mask and --quota to the topology. */
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
	snprintf(why, sizeof(why), "--mask '%.100s': this process may use none of these CPUs",
		 cfg->mask);
	return usage(why);
}

/* ---- the plan ---- */

/* The number of workers: --workers, or else WEIR_WORKERS, as for a runtime. */
static int read_workers(const struct topo_config *cfg, unsigned *ret_workers)
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
	code = read_workers(cfg, &place.workers);
	if (code)
		return code;
	rc = weir_plan_new(topo, &place, ret_plan, &reason);
	return rc < 0 ? failed(rc, &reason) : EXIT_DONE;
}

/* The plan without options, on the machine without --mask and --quota. */
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

/* The plan for that process: with its first thread's mask and its number of workers. */
static int plan_process(const struct topo_config *cfg, const struct topo_process *process,
			struct weir_plan **ret_plan)
{
	struct topo_config its = *cfg;
	struct weir_why why = { "" };
	struct weir_topo *topo;
	int rc = weir_topo_new(NULL, &topo, &why), code;

	if (rc < 0)
		return failed(rc, &why);
	/* If the process's mask has none of our CPUs, the cut fails and all of ours are used. */
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
		snprintf(why, sizeof(why), "--pid '%d': no such process", (int)cfg->pid);
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
		snprintf(why, sizeof(why), "cannot read the memory nodes of process %d: %s",
			 (int)cfg->pid, weir_strerror(process.memory_error));
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
		return usage("--json and --svg: expected only one of them");
	if (cfg.pid && cfg.svg)
		return usage("--pid cannot be combined with --svg");
	if (cfg.pid && (cfg.input || cfg.mask || cfg.quota || cfg.what_if))
		return usage("--pid cannot be combined with --input, --mask, --quota or "
			     "--what-if: the running process determines them");
	return cfg.pid ? show_process(&cfg) : run(&cfg);
}
