/* SPDX-License-Identifier: MIT */
/*
 * sized.h: the rule for public structs that begin with their size. weir/base.h
 * explains it to users, under "Sizes". The caller may have been compiled against
 * an older or a newer library, whose struct has fewer or more fields.
 */
#ifndef WEIR_CORE_SIZED_H
#define WEIR_CORE_SIZED_H

#include <stdbool.h>
#include <stddef.h>

/* True if theirs is not NULL and has a plausible size: its INIT macro has set it. */
bool weir__sized_valid(const void *theirs);

/*
 * Reads a caller's config into ours, which its INIT macro has initialized. Fields that the
 * caller's struct lacks become zero. 0; -EINVAL if theirs is not valid, and ours is unchanged;
 * -E2BIG if theirs sets a field that ours does not have, with all other fields copied.
 */
int weir__sized_read(void *ours, const void *theirs);

/*
 * Writes a sentence that says why a config was refused with rc. init is the name of its INIT
 * macro.
 */
void weir__sized_why(const void *theirs, int rc, const char *init, char *buf, size_t len);

/* Copies to theirs, which is valid, as much of our result as fits; the rest of theirs is zeroed. */
void weir__sized_write(const void *ours, void *ret_theirs);

#endif
