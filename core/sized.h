/* SPDX-License-Identifier: MIT */
/*
 * sized.h: the one rule for public structs that begin with their size; weir/base.h tells it to
 * users, under "Sizes". Whoever called may have been compiled against a library that knew less of
 * the struct, or more.
 */
#ifndef WEIR_CORE_SIZED_H
#define WEIR_CORE_SIZED_H

#include <stdbool.h>
#include <stddef.h>

/* Whether it is there, and has a size that a struct can have: its INIT macro has set it. */
bool weir__sized_valid(const void *theirs);

/*
 * Read a caller's config into ours, which is as its INIT macro made it: what the caller's lacks is
 * zero. 0; -EINVAL if it is not valid, and ours is left alone; -E2BIG if it sets a field that is not
 * in ours, which has all the others.
 */
int weir__sized_read(void *ours, const void *theirs);

/* Why a config was refused with rc, as a sentence; init is the name of its INIT macro. */
void weir__sized_why(const void *theirs, int rc, const char *init, char *buf, size_t len);

/* Give a caller as much of our result as fits into theirs, which is valid; the rest is zeroed. */
void weir__sized_write(const void *ours, void *ret_theirs);

#endif
