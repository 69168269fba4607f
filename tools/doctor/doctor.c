/* SPDX-License-Identifier: MIT */
/*
 * doctor.c: `weir doctor` checks what this machine offers to a program that uses weir.
 * It reports what is wrong and the command that fixes it. It changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/common/command.h"
#include "tools/common/options.h"
#include "tools/doctor/doctor.h"

struct doctor_config {
	bool json, script;
	unsigned use;			/* enum doctor_use */
};

#define FIELD(name) offsetof(struct doctor_config, name)

static const struct option_spec specs[] = {
	{ "for", OPTION_CHOICE, FIELD(use), 0, 0, doctor_uses, "USE",
	  "what the machine will be used for: proxy or bench [proxy]" },
	{ "json", OPTION_FLAG, FIELD(json), 0, 0, NULL, NULL, "print the findings as JSON" },
	{ "fix-script", OPTION_FLAG, FIELD(script), 0, 0, NULL, NULL,
	  "print the commands as a shell script, without running it" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

void doctor_help(void)
{
	puts("usage: weir doctor [OPTION...]\n\n"
	     "Tries what weir needs from this machine and reports what is missing. Each check\n"
	     "has a line: PASS, INFO, WARN or FAIL, what was found, and the command that fixes\n"
	     "it. Changes nothing.\n");
	options_help(specs, SPECS);
	puts("\nexit code: 0 no check failed (there may be warnings), 1 a check failed,\n"
	     "2 invalid usage\n"
	     "See weir-doctor(1).");
}

static int examine(const struct doctor_config *cfg)
{
	struct doctor *doctor = malloc(sizeof(*doctor));
	int code;

	if (!doctor) {
		fprintf(stderr, "weir doctor: %s\n", weir_strerror(-ENOMEM));
		return EXIT_FAILED;
	}
	doctor_init(doctor, &doctor_this_machine, cfg->use);
	doctor_check_all(doctor);
	if (cfg->json)
		doctor_print_json(doctor, stdout);
	else if (cfg->script)
		doctor_print_script(doctor, stdout);
	else
		doctor_print_text(doctor, stdout);
	code = doctor_count(doctor, DOCTOR_FAIL) ? EXIT_FAILED : EXIT_DONE;
	doctor_fini(doctor);
	free(doctor);
	return code;
}

int doctor_main(int argc, char **argv)
{
	struct doctor_config cfg = { .use = DOCTOR_PROXY };
	int end = command_options(specs, SPECS, doctor_help, argc, argv, &cfg);

	if (end)
		return end - 1;
	if (cfg.json && cfg.script) {
		fputs("weir doctor: --json and --fix-script: expected only one of them\n", stderr);
		return EXIT_USAGE;
	}
	return examine(&cfg);
}
