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

/*
 * Choose: name, else WEIR_BACKEND from the environment, else "auto". A name is strict: -ENOENT
 * if this build has no such backend, or the errno of its probe. "auto" is the first whose probe
 * passes; -ENODEV when none does. ret_options: what follows the name and a colon, or NULL. why
 * (len > 0) gets one line: the reason of a failure, or what auto has passed over and why, or "".
 * [any]
 */
int weir__backend_choose(const char *name, const struct weir_backend_ops **ret_ops,
			 const char **ret_options, char *why, size_t len);

#endif
