/* SPDX-License-Identifier: MIT */
/*
 * registry.h: the backends of this build, in the order in which "auto" prefers them, and
 * the choice of one. backends/meson.build generates the table.
 */
#ifndef WEIR_BACKENDS_REGISTRY_H
#define WEIR_BACKENDS_REGISTRY_H

#include "weir/backend.h"

/* Find a backend by name; options after a colon are ignored. NULL if there is none. [any] */
const struct weir_backend_ops *weir__backend_find(const char *text);

/* The i-th backend in order of preference, or NULL after the last. [any] */
const struct weir_backend_ops *weir__backend_at(unsigned i);

struct weir__backend_choice {
	const struct weir_backend_ops *ops;
	const char *options;		/* the text after the name and a colon, or NULL */
	bool automatic;			/* not chosen by name */
	char why[320];			/* why the choice failed, or which were skipped and why */
};

/*
 * Choose a backend: by name, or else by WEIR_BACKEND in the environment, or else "auto". A named
 * backend that cannot be used is an error: -ENOENT if this build does not have it, or the errno of
 * its probe. "auto" takes the first one whose probe passes, or returns -ENODEV. [any]
 */
int weir__backend_choose(const char *name, struct weir__backend_choice *ret_choice);

/*
 * The chosen backend has failed later, for this reason: choose the next one, if the choice was
 * automatic. -ENODEV if there is none. [any]
 */
int weir__backend_fall_back(struct weir__backend_choice *choice, const char *reason);

#endif
