/* SPDX-License-Identifier: MIT */
/*
 * registry.c: see registry.h. Backends do not register themselves: the table comes from
 * the list in backends/meson.build. Only this file knows backends by name.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/rt.h"
#include "backends/list.h"
#include "backends/registry.h"
#include "core/sized.h"

#define REASON_BYTES (sizeof(((struct weir_backend_info *)0)->reason))

#define X(name) extern const struct weir_backend_ops weir__backend_##name;
WEIR__BACKENDS(X)
#undef X

static const struct weir_backend_ops *const table[] = {
#define X(name) &weir__backend_##name,
	WEIR__BACKENDS(X)
#undef X
		NULL
};

struct absent {
	const char *name, *reason;
};

static const struct absent absent[] = {
#define X(name, reason) { name, reason },
	WEIR__BACKENDS_ABSENT(X)
#undef X
		{ NULL, NULL }
};

const struct weir_backend_ops *weir__backend_at(unsigned i)
{
	return i < sizeof(table) / sizeof(table[0]) ? table[i] : NULL;
}

/* Whether text is the name, optionally followed by a colon and options. */
static bool names(const char *text, const char *name)
{
	size_t len = strlen(name);

	return strncmp(text, name, len) == 0 && (!text[len] || text[len] == ':');
}

const struct weir_backend_ops *weir__backend_find(const char *text)
{
	for (unsigned i = 0; table[i]; i++)
		if (names(text, table[i]->name))
			return table[i];
	return NULL;
}

int weir_backend_info_get(unsigned i, struct weir_backend_info *ret_info)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;
	unsigned built = sizeof(table) / sizeof(table[0]) - 1;
	unsigned lacking = sizeof(absent) / sizeof(absent[0]) - 1;

	if (!weir__sized_valid(ret_info))
		return -EINVAL;
	if (i >= built + lacking)
		return -ENOENT;
	if (i < built) {
		info.name = table[i]->name;
		info.caps = table[i]->caps;
		info.err = table[i]->probe(NULL, info.reason, sizeof(info.reason));
	} else {
		info.name = absent[i - built].name;
		info.err = -ENOENT;
		snprintf(info.reason, sizeof(info.reason), "not in this build: %s",
			 absent[i - built].reason);
	}
	weir__sized_write(&info, ret_info);
	return 0;
}

/* Append to a line; what does not fit is cut off. */
static void WEIR_PRINTF(3, 4) add(char *why, size_t len, const char *fmt, ...)
{
	size_t used = strlen(why);
	va_list args;

	va_start(args, fmt);
	vsnprintf(why + used, len - used, fmt, args);
	va_end(args);
}

static int choose_named(const char *name, struct weir__backend_choice *choice)
{
	const struct weir_backend_ops *ops = weir__backend_find(name);
	const char *options = strchr(name, ':');
	char *why = choice->why, reason[sizeof(choice->why)] = "";
	size_t len = sizeof(choice->why);
	int err;

	if (!ops) {
		for (const struct absent *a = absent; a->name; a++)
			if (names(name, a->name)) {
				add(why, len, "backend '%s' is not in this build: %s", name,
				    a->reason);
				return -ENOENT;
			}
		add(why, len, "unknown backend '%s'; this build has:", name);
		for (unsigned i = 0; table[i]; i++)
			add(why, len, "%s %s", i ? "," : "", table[i]->name);
		return -ENOENT;
	}
	options = options ? options + 1 : NULL;
	err = ops->probe(options, reason, sizeof(reason));
	if (err < 0) {
		add(why, len, "backend '%s' cannot run here: %s", name, reason);
		return err;
	}
	choice->ops = ops;
	choice->options = options;
	return 0;
}

/* Choose the first backend after this one (NULL: of all) that can run. */
static int choose_auto(const struct weir_backend_ops *after, struct weir__backend_choice *choice)
{
	unsigned i = 0;

	while (after && table[i++] != after)
		continue;
	for (; table[i]; i++) {
		char reason[REASON_BYTES] = "";

		if (table[i]->probe(NULL, reason, sizeof(reason)) == 0) {
			choice->ops = table[i];
			return 0;
		}
		add(choice->why, sizeof(choice->why), "%s%s: %s", *choice->why ? "; " : "",
		    table[i]->name, reason);
	}
	if (!table[0])
		add(choice->why, sizeof(choice->why), "this build has no backend");
	return -ENODEV;
}

int weir__backend_choose(const char *name, struct weir__backend_choice *ret_choice)
{
	struct weir__backend_choice *choice = ret_choice;

	memset(choice, 0, sizeof(*choice));
	if (!name || !*name)
		name = getenv("WEIR_BACKEND");
	if (name && *name && strcmp(name, "auto") != 0)
		return choose_named(name, choice);
	choice->automatic = true;
	return choose_auto(NULL, choice);
}

int weir__backend_fall_back(struct weir__backend_choice *choice, const char *reason)
{
	const struct weir_backend_ops *failed = choice->ops;

	add(choice->why, sizeof(choice->why), "%s%s: %s", *choice->why ? "; " : "", failed->name,
	    reason);
	return choice->automatic ? choose_auto(failed, choice) : -ENODEV;
}
