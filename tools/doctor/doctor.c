/* SPDX-License-Identifier: MIT */
/*
 * doctor.c: `weir doctor`: looks at what this machine gives a program on weir,
 * says what is not as it should be, and with which command it would be. It
 * changes nothing.
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
	  "proxy or bench: what counts as a warning [proxy]" },
	{ "json", OPTION_FLAG, FIELD(json), 0, 0, NULL, NULL, "the findings as JSON" },
	{ "fix-script", OPTION_FLAG, FIELD(script), 0, 0, NULL, NULL,
	  "print the commands as a shell script; runs none" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

void doctor_help(void)
{
	puts("usage: weir doctor [OPTION...]\n\n"
	     "Tries what weir needs of this machine and says what is missing, a line a check:\n"
	     "PASS, INFO, WARN or FAIL, what was found, and the command that mends it.\n"
	     "Changes nothing.\n");
	options_help(specs, SPECS);
	puts("\nexit code: 0 no check failed (there may be warnings), 1 one did, 2 bad usage\n"
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
		fputs("weir doctor: --json and --fix-script: expected one of them\n", stderr);
		return EXIT_USAGE;
	}
	return examine(&cfg);
}
