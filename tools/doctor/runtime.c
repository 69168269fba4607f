/* SPDX-License-Identifier: MIT */
/*
 * runtime.c: whether a program that uses weir starts in this environment. A runtime is
 * created and freed, because only that tells how WEIR_BACKEND and WEIR_WORKERS work out.
 */
#include <string.h>

#include "tools/doctor/doctor.h"

/* The variables that are set, as "WEIR_BACKEND is 'epoll'". */
static void describe_environment(const struct doctor *doctor, char *buf, size_t len)
{
	static const char *const names[] = { "WEIR_BACKEND", "WEIR_WORKERS" };
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]) && used < len; i++) {
		const char *value = doctor->machine->env(names[i]);

		if (value && *value)
			used += (size_t)snprintf(buf + used, len - used, "%s%s is '%.60s'",
						 used ? ", " : "", names[i], value);
	}
}

/* The variable that probably keeps the runtime from starting; or NULL. */
static const char *variable_at_fault(const struct doctor *doctor)
{
	static const char workers[] = "WEIR_WORKERS";
	const char *backend = doctor->machine->env("WEIR_BACKEND");

	if (strncmp(doctor->start.why, workers, strlen(workers)) == 0)
		return workers;
	return backend && *backend ? "WEIR_BACKEND" : NULL;
}

void doctor_check_runtime(struct doctor *doctor)
{
	struct doctor_start *start = &doctor->start;
	const char *variable;
	char environment[192];

	doctor->group = "runtime";
	doctor->machine->start(start);
	describe_environment(doctor, environment, sizeof(environment));
	if (start->err == 0) {
		doctor_add(doctor, DOCTOR_PASS, "runtime.start",
			   "starts with %u worker%s on %s%s%s", start->workers,
			   start->workers == 1 ? "" : "s", start->backend, *environment ? "; " : "",
			   environment);
		return;
	}
	doctor_add(doctor, DOCTOR_FAIL, "runtime.start", "does not start: %s",
		   *start->why ? start->why : weir_strerror(start->err));
	variable = variable_at_fault(doctor);
	if (variable) {
		doctor_advise(doctor, "the environment sets it: %s", environment);
		doctor_fix(doctor, "unset %s", variable);
	}
}
