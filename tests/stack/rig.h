/* SPDX-License-Identifier: MIT */
/*
 * rig.h: an owner for instances in tests: memory that is counted and can run out, reproducible
 * random numbers, and a list of the transmitted frames.
 */
#ifndef WEIR_TESTS_STACK_RIG_H
#define WEIR_TESTS_STACK_RIG_H

#include "stack/stack.h"

#define RIG_BLOCK_BYTES 1920u
#define RIG_PPM 1000000u

struct rig {
	struct weir__netstack_owner owner;
	unsigned blocks;		/* allocated now */
	unsigned allocations;		/* of general memory, allocated now */
	int fail_in;			/* how many more of both succeed; < 0: all */
	uint32_t refuse_ppm;		/* probability that one of either fails */
	uint64_t seed;
	struct weir__frame_queue sent;
};

/* Its functions. A copy of the struct may have another transmit. */
extern const struct weir__netstack_owner_ops rig_ops;

void rig_init(struct rig *rig);

/* draw returns a random number below a bound and advances the seed; the other function returns true
 * with the given probability. */
uint64_t rig_draw(uint64_t *seed, uint64_t below);
bool rig_chance(uint64_t *seed, uint32_t ppm);
/* For memory of the test itself: aborts if it is NULL. */
void *rig_must(void *memory);

#endif
