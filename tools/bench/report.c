/* SPDX-License-Identifier: MIT */
/*
 * report.c: `weir bench report` reads the files and writes the page. All input is read
 * before the output is opened, so that invalid input leaves an older report unchanged.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/commands.h"
#include "tools/bench/report.h"
#include "tools/common/command.h"
#include "tools/common/options.h"
#include "tools/common/outfile.h"

struct report_config {
	const char *output;
};

static const struct option_spec specs[] = {
	{ "output", OPTION_TEXT, offsetof(struct report_config, output), 0, 0, NULL, "FILE",
	  "output file, - for standard output; also -o FILE" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

static void help(void)
{
	puts("usage: weir bench report FILE... -o report.html\n\n"
	     "Makes one self-contained page from result files of weir bench (--json) and of\n"
	     "Google Benchmark (--benchmark_out). Several files are shown side by side, and\n"
	     "compared with the first.\n");
	options_help(specs, SPECS);
	puts("\nexit code: 0 written, 1 it could not be written, 2 invalid usage or input");
}

/* ---- the command ---- */

static int write_report(const struct report_view *view, const char *path)
{
	struct outfile file;
	int rc = outfile_open(&file, path);

	if (rc == 0) {
		report_page(file.out, view);
		rc = outfile_close(&file);
	}
	if (rc < 0)
		fprintf(stderr, "weir bench report: %s: %s\n", path, outfile_error(rc));
	return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int report_files(char **paths, unsigned count, const char *output)
{
	static struct bench_file files[REPORT_FILES_MAX];
	struct report_view view;
	char why[BENCH_WHY_LEN];
	int code = EXIT_DONE;
	unsigned i;

	for (i = 0; i < count && code == EXIT_DONE; i++)
		if (bench_file_read(paths[i], &files[i], why) < 0) {
			fprintf(stderr, "weir bench report: %s\n", why);
			code = EXIT_USAGE;
		}
	if (code == EXIT_DONE) {
		report_view_init(&view, files, count);
		code = write_report(&view, output);
		report_view_fini(&view);
	}
	while (i-- > 0)
		bench_file_free(&files[i]);
	return code;
}

/* Replace "-o" by "--output", because options.c supports only two dashes. */
static void long_names(int argc, char **argv)
{
	static char output[] = "--output";

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-o") == 0)
			argv[i] = output;
}

int bench_report_main(int argc, char **argv)
{
	struct report_config cfg = { NULL };
	char why[256] = "";
	int arguments = 0;

	long_names(argc, argv);
	switch (options_parse(specs, SPECS, argc, argv, &cfg, why, sizeof(why), &arguments)) {
	case OPTIONS_HELP:
		help();
		return EXIT_DONE;
	case OPTIONS_BAD:
		break;
	default:
		if (arguments == 0)
			snprintf(why, sizeof(why), "expected the result file to report");
		else if (arguments > REPORT_FILES_MAX)
			snprintf(why, sizeof(why), "%d files; expected no more than %d",
				 arguments, REPORT_FILES_MAX);
		else if (!cfg.output)
			snprintf(why, sizeof(why), "expected -o FILE for the output");
	}
	if (*why) {
		fprintf(stderr, "weir bench report: %s\n", why);
		return EXIT_USAGE;
	}
	return report_files(argv + 1, (unsigned)arguments, cfg.output);
}
