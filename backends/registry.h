/* SPDX-License-Identifier: MIT */
/*
 * registry.h: the backends of this build, in the order in which "auto" prefers
 * them, and the choice of one. The table is written by backends/meson.build.
 */
#ifndef WEIR_BACKENDS_REGISTRY_H
#define WEIR_BACKENDS_REGISTRY_H

#include "weir/backend.h"

/* The kind that text names, with or without options behind a colon; or NULL. [any] */
const struct weir_backend_ops *weir__backend_find(const char *text);

/* The i-th in order of preference, or NULL behind the last. [any] */
const struct weir_backend_ops *weir__backend_at(unsigned i);

struct weir__backend_choice {
	const struct weir_backend_ops *ops;
	const char *options;		/* what follows the name and a colon, or NULL */
	bool automatic;			/* not by name */
	char why[320];			/* of a failure; else what was passed over and why, or "" */
};

/*
 * Choose: name, else WEIR_BACKEND from the environment, else "auto". A name is strict: -ENOENT
 * if this build has no such backend, or the errno of its probe. "auto" is the first whose probe
 * passes; -ENODEV when none does. [any]
 */
int weir__backend_choose(const char *name, struct weir__backend_choice *ret_choice);

/*
 * The choice has failed after all, for that reason: the next one, if it was automatic. -ENODEV
 * when there is none. [any]
 */
int weir__backend_fall_back(struct weir__backend_choice *choice, const char *reason);

#endif
