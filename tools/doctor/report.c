/* SPDX-License-Identifier: MIT */
/*
 * report.c: the list of findings, and three ways to print it: text, JSON, and a script
 * of the commands. The script is printed, never run.
 */
#include <stdarg.h>
#include <string.h>

#include "tools/common/json_out.h"
#include "tools/common/text.h"
#include "tools/doctor/doctor.h"
#include "weir/topo.h"

static const char *const level_words[DOCTOR_LEVELS] = { "PASS", "INFO", "WARN", "FAIL" };
static const char *const level_names[DOCTOR_LEVELS] = { "pass", "info", "warn", "fail" };
const char *const doctor_uses[] = { "proxy", "bench", NULL };

void doctor_init(struct doctor *doctor, const struct doctor_machine *machine, enum doctor_use use)
{
	memset(doctor, 0, sizeof(*doctor));
	doctor->machine = machine;
	doctor->use = use;
	doctor->group = "";
}

void doctor_fini(struct doctor *doctor)
{
	weir_plan_free(doctor->plan);
	if (doctor->topo)
		doctor->machine->topo_free(doctor->topo);
	doctor->plan = NULL;
	doctor->topo = NULL;
}

void doctor_add(struct doctor *doctor, enum doctor_level level, const char *id, const char *fmt,
		...)
{
	struct doctor_finding *finding;
	va_list ap;

	/* No machine should have so many findings; if one does, overwrite the last. */
	if (doctor->len == DOCTOR_FINDINGS_MAX)
		doctor->len--;
	finding = &doctor->findings[doctor->len++];
	memset(finding, 0, sizeof(*finding));
	finding->level = level;
	finding->group = doctor->group;
	snprintf(finding->id, sizeof(finding->id), "%s", id);
	va_start(ap, fmt);
	vsnprintf(finding->found, sizeof(finding->found), fmt, ap);
	va_end(ap);
}

void doctor_fix(struct doctor *doctor, const char *fmt, ...)
{
	struct doctor_finding *finding = &doctor->findings[doctor->len - 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(finding->fix, sizeof(finding->fix), fmt, ap);
	va_end(ap);
}

void doctor_advise(struct doctor *doctor, const char *fmt, ...)
{
	struct doctor_finding *finding = &doctor->findings[doctor->len - 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(finding->advice, sizeof(finding->advice), fmt, ap);
	va_end(ap);
}

enum doctor_level doctor_warn_for(const struct doctor *doctor, enum doctor_use use)
{
	return doctor->use == use ? DOCTOR_WARN : DOCTOR_INFO;
}

unsigned doctor_count(const struct doctor *doctor, enum doctor_level level)
{
	unsigned count = 0;

	for (unsigned i = 0; i < doctor->len; i++)
		count += doctor->findings[i].level == level;
	return count;
}

/* ---- text ---- */

/* The column after the level and the name of a finding. */
#define TEXT_COLUMN 30

static void print_finding(const struct doctor_finding *finding, FILE *out)
{
	char text[sizeof(finding->found) + sizeof(finding->advice) + 2];

	snprintf(text, sizeof(text), "%s%s%s", finding->found, *finding->advice ? "; " : "",
		 finding->advice);
	fprintf(out, "%s  %-22s  ", level_words[finding->level], finding->id);
	text_rest(out, TEXT_COLUMN, text);
	/* A command is not wrapped, so that it can be copied. */
	if (*finding->fix)
		fprintf(out, "%*s→ %s\n", TEXT_COLUMN, "", finding->fix);
}

void doctor_print_text(const struct doctor *doctor, FILE *out)
{
	const char *group = "";

	fprintf(out, "weir %s doctor, for %s\n", weir_version(), doctor_uses[doctor->use]);
	for (unsigned i = 0; i < doctor->len; i++) {
		if (strcmp(doctor->findings[i].group, group) != 0) {
			group = doctor->findings[i].group;
			fprintf(out, "\n%s\n", group);
		}
		print_finding(&doctor->findings[i], out);
	}
	fprintf(out, "\n%u checks:", doctor->len);
	for (unsigned level = 0; level < DOCTOR_LEVELS; level++)
		fprintf(out, "%s %u %s", level ? "," : "", doctor_count(doctor, level),
			level_words[level]);
	fputc('\n', out);
}

/* ---- JSON ---- */

static void print_member(const char *name, const char *text, FILE *out)
{
	fprintf(out, ", \"%s\": ", name);
	json_out_string(out, text);
}

void doctor_print_json(const struct doctor *doctor, FILE *out)
{
	fprintf(out, "{\n  \"weir\": \"%s\",\n  \"for\": \"%s\",\n  \"counts\": {", weir_version(),
		doctor_uses[doctor->use]);
	for (unsigned level = 0; level < DOCTOR_LEVELS; level++)
		fprintf(out, "%s\"%s\": %u", level ? ", " : "", level_names[level],
			doctor_count(doctor, level));
	fputs("},\n  \"checks\": [", out);
	for (unsigned i = 0; i < doctor->len; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];

		fprintf(out, "%s\n    {\"level\": \"%s\"", i ? "," : "",
			level_names[finding->level]);
		print_member("group", finding->group, out);
		print_member("id", finding->id, out);
		print_member("found", finding->found, out);
		print_member("advice", finding->advice, out);
		print_member("fix", finding->fix, out);
		fputc('}', out);
	}
	fputs("\n  ]\n}\n", out);
}

/* ---- the script ---- */

/* Print text into a comment; it must not contain newlines. */
static void print_comment(const char *text, FILE *out)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 ? ' ' : *text, out);
}

/* Whether an earlier warning or failure has the same command. */
static bool is_fixed_before(const struct doctor *doctor, const struct doctor_finding *finding)
{
	for (const struct doctor_finding *f = doctor->findings; f < finding; f++)
		if (f->level >= DOCTOR_WARN && strcmp(f->fix, finding->fix) == 0)
			return true;
	return false;
}

static void print_step(const struct doctor *doctor, const struct doctor_finding *finding, FILE *out)
{
	if (!*finding->fix && !*finding->advice)
		return;
	fprintf(out, "\n# %s %s: ", level_words[finding->level], finding->id);
	print_comment(finding->found, out);
	if (*finding->advice) {
		fputs("\n# ", out);
		print_comment(finding->advice, out);
	}
	if (*finding->fix && is_fixed_before(doctor, finding))
		fputs("\n# with the command above", out);
	else if (*finding->fix)
		fprintf(out, "\n%s%s", finding->level < DOCTOR_WARN ? "# optional: " : "",
			finding->fix);
	fputc('\n', out);
}

void doctor_print_script(const struct doctor *doctor, FILE *out)
{
	fprintf(out,
		"#!/bin/sh\n"
		"# What weir doctor --for %s would change here. Read it, then source it as root:\n"
		"# prlimit sets the limits of the shell that runs it. Nothing of this outlasts a\n"
		"# reboot; to make sysctl settings permanent, write them to /etc/sysctl.d.\n",
		doctor_uses[doctor->use]);
	for (unsigned i = 0; i < doctor->len; i++)
		if (doctor->findings[i].level != DOCTOR_PASS)
			print_step(doctor, &doctor->findings[i], out);
}
