/* SPDX-License-Identifier: MIT */
/* end.c: see end.h. */
#include <stdlib.h>

#include "end.h"

#define BLOCK_BYTES 1920u

struct block {
	struct weir__block block;
	struct end *end;
	size_t memory_bytes;
	unsigned char bytes[];
};

/* ---- what the stack asks of its owner ------------------------------------------------------- */

static struct end *end_of(struct weir__netstack_owner *owner)
{
	return WEIR_STACK_CONTAINER(owner, struct end, owner);
}

static void *end_alloc(struct weir__netstack_owner *owner, size_t bytes)
{
	return memory_alloc(&end_of(owner)->memory, bytes);
}

static void end_release(struct weir__netstack_owner *owner, void *memory, size_t bytes)
{
	memory_free(&end_of(owner)->memory, memory, bytes);
}

static void block_release(struct weir__block *block)
{
	struct block *mine = WEIR_STACK_CONTAINER(block, struct block, block);

	memory_free(&mine->end->memory, mine, mine->memory_bytes);
}

/* Blocks are as small as possible, so that frames which wait for an ACK use less of the cache. */
static struct weir__frame *block_alloc(struct weir__netstack_owner *owner, uint32_t bytes)
{
	size_t memory_bytes = sizeof(struct block) + bytes;
	struct block *block = memory_alloc(&end_of(owner)->memory, memory_bytes);

	if (block == NULL)
		return NULL;
	block->end = end_of(owner);
	block->memory_bytes = memory_bytes;
	return weir__block_init(&block->block, block->bytes, bytes, (uint32_t)memory_bytes,
				block_release);
}

static void end_random(struct weir__netstack_owner *owner, void *bytes, size_t len)
{
	uint64_t *state = &end_of(owner)->random;

	for (size_t i = 0; i < len; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		((unsigned char *)bytes)[i] = (unsigned char)(*state >> 56);
	}
}

static void transmit(struct weir__netstack_owner *owner, struct weir__netstack *net,
		     struct weir__frame *frame)
{
	(void)net;
	weir__frame_queue_push(&end_of(owner)->sent, frame);
}

static const struct weir__netstack_owner_ops owner_ops = {
	.alloc = end_alloc,
	.free = end_release,
	.block_alloc = block_alloc,
	.random = end_random,
	.transmit = transmit,
};

/* ---- what the cable asks of an end ---------------------------------------------------------- */

static void arrive(struct host *host, const unsigned char *bytes, uint32_t len)
{
	struct end *end = end_of_host(host);
	struct weir__frame *frame =
		weir__frame_new(weir__netstack_frames(end->net), 0, BLOCK_BYTES);

	if (frame == NULL)
		return;
	memcpy(weir__frame_extend(frame, len), bytes, len);
	weir__frame_queue_push(&end->arrived, frame);
}

static uint32_t leave(struct host *host, unsigned char bytes[CABLE_FRAME_BYTES])
{
	struct end *end = end_of_host(host);
	struct weir__frame *frame = weir__frame_queue_pop(&end->sent);

	if (frame == NULL)
		return 0;
	weir__frame_queue_push(&end->carried, frame);
	return weir__frame_copy_out(frame, 0, bytes, CABLE_FRAME_BYTES);
}

static void free_frames(struct end *end, struct weir__frame_queue *queue)
{
	struct weir__frame *frame;

	while ((frame = weir__frame_queue_pop(queue)) != NULL)
		weir__frame_free(weir__netstack_frames(end->net), frame);
}

static void turn(struct host *host, uint64_t now_ns)
{
	struct end *end = end_of_host(host);
	struct weir__netstack_source *source;
	unsigned events;

	free_frames(end, &end->carried);
	weir__netstack_begin(end->net, now_ns);
	weir__netstack_input_burst(end->net, &end->arrived);
	while ((source = weir__netstack_next_event(end->net, &events)) != NULL)
		end->event(end, source, events);
	if (end->act != NULL)
		end->act(end);
	weir__netstack_end(end->net);
}

static void host_free(struct host *host)
{
	end_fini(end_of_host(host));
	free(end_of_host(host));
}

const struct host_ops end_ops = {
	.arrive = arrive,
	.leave = leave,
	.turn = turn,
	.free = host_free,
};

/* ---- the instance --------------------------------------------------------------------------- */

struct weir__endpoint end_endpoint(enum cable_host which, uint16_t port)
{
	return (struct weir__endpoint){ weir__ip_v4(CABLE_NETWORK + which), port };
}

int end_init(struct end *end, enum cable_host which)
{
	struct weir__netstack_address address = { end_endpoint(which, 0).address, 24 };
	struct weir__netstack_config cfg = { .mac = { 2, 0, 0, 0, 0, (unsigned char)which },
					     .addresses = &address,
					     .address_count = 1,
					     .block_bytes = BLOCK_BYTES,
					     .neighbour_frames = 64 };

	end->host.ops = &end_ops;
	end->owner.ops = &owner_ops;
	end->random = which;
	return weir__netstack_new(&end->owner, &cfg, 0, &end->net);
}

void end_fini(struct end *end)
{
	if (end->net != NULL) {
		free_frames(end, &end->arrived);
		free_frames(end, &end->sent);
		free_frames(end, &end->carried);
		weir__netstack_free(end->net);
	}
	memory_fini(&end->memory);
}
