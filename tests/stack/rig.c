/* SPDX-License-Identifier: MIT */
/* rig.c: see rig.h. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/stack/rig.h"

struct rig_block {
	struct weir__block block;
	struct rig *rig;
	unsigned char bytes[RIG_BLOCK_BYTES];
};

/* Overwrites a block that is freed, so that a later use of it makes a test fail. It is volatile so
 * that the compiler does not remove the call. */
static void *(*volatile poison)(void *, int, size_t) = memset;

static struct rig *rig_of(struct weir__netstack_owner *owner)
{
	return WEIR_STACK_CONTAINER(owner, struct rig, owner);
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t rig_draw(uint64_t *seed, uint64_t below)
{
	return below == 0 ? 0 : (next_random(seed) >> 16) % below;
}

bool rig_chance(uint64_t *seed, uint32_t ppm)
{
	return ppm != 0 && rig_draw(seed, RIG_PPM) < ppm;
}

void *rig_must(void *memory)
{
	if (memory == NULL) {
		fprintf(stderr, "no memory for the test\n");
		abort();
	}
	return memory;
}

static bool fails(struct rig *rig)
{
	if (rig_chance(&rig->seed, rig->refuse_ppm))
		return true;
	if (rig->fail_in < 0)
		return false;
	if (rig->fail_in == 0)
		return true;
	rig->fail_in--;
	return false;
}

static void *rig_alloc(struct weir__netstack_owner *owner, size_t bytes)
{
	struct rig *rig = rig_of(owner);

	if (fails(rig))
		return NULL;
	rig->allocations++;
	return rig_must(malloc(bytes));
}

static void rig_free(struct weir__netstack_owner *owner, void *memory, size_t bytes)
{
	(void)bytes;
	rig_of(owner)->allocations--;
	free(memory);
}

static void block_release(struct weir__block *block)
{
	struct rig_block *mine = WEIR_STACK_CONTAINER(block, struct rig_block, block);

	mine->rig->blocks--;
	poison(mine->bytes, 0xdd, sizeof(mine->bytes));
	free(mine);
}

static struct weir__frame *rig_block_alloc(struct weir__netstack_owner *owner, uint32_t bytes)
{
	struct rig *rig = rig_of(owner);
	struct rig_block *mine;

	if (bytes > RIG_BLOCK_BYTES) {
		fprintf(stderr, "a block of %u bytes was asked for\n", bytes);
		abort();
	}
	if (fails(rig))
		return NULL;
	mine = rig_must(malloc(sizeof(*mine)));
	mine->rig = rig;
	rig->blocks++;
	return weir__block_init(&mine->block, mine->bytes, RIG_BLOCK_BYTES, sizeof(*mine),
				block_release);
}

static void rig_random(struct weir__netstack_owner *owner, void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)bytes)[i] = (unsigned char)next_random(&rig_of(owner)->seed);
}

static void rig_transmit(struct weir__netstack_owner *owner, struct weir__netstack *net,
			 struct weir__frame *frame)
{
	(void)net;
	weir__frame_queue_push(&rig_of(owner)->sent, frame);
}

const struct weir__netstack_owner_ops rig_ops = {
	.alloc = rig_alloc,
	.free = rig_free,
	.block_alloc = rig_block_alloc,
	.random = rig_random,
	.transmit = rig_transmit,
};

void rig_init(struct rig *rig)
{
	*rig = (struct rig){ .owner = { &rig_ops }, .fail_in = -1, .seed = 1 };
}
