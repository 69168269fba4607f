/* SPDX-License-Identifier: MIT */
/*
 * rig.h: an owner for instances in tests: memory that is counted and can run out, numbers that repeat,
 * and a list of what was transmitted.
 */
#ifndef WEIR_TESTS_STACK_RIG_H
#define WEIR_TESTS_STACK_RIG_H

#include "stack/stack.h"

#define RIG_BLOCK_BYTES 1920u
#define RIG_PPM 1000000u

struct rig {
	struct weir__netstack_owner owner;
	unsigned blocks;		/* that live */
	unsigned allocations;		/* of general memory that live */
	int fail_in;			/* so many more of either succeed, then none; < 0: all */
	uint32_t refuse_ppm;		/* of requests for either that fail by chance */
	uint64_t seed;
	struct weir__frame_queue sent;
};

/* Its functions. Another transmit may take the place of theirs, in a copy. */
extern const struct weir__netstack_owner_ops rig_ops;

void rig_init(struct rig *rig);

/* A number below a bound, of a seed that is changed; and whether something of that probability
 * happens. */
uint64_t rig_draw(uint64_t *seed, uint64_t below);
bool rig_chance(uint64_t *seed, uint32_t ppm);
/* Memory of the test itself, which does not go on without it. */
void *rig_must(void *memory);

#endif
