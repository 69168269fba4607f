/* SPDX-License-Identifier: MIT */
/* cable.c: see cable.h. */
#include <stdlib.h>

#include "cable.h"
#include "stack/stack.h"
#include "stack/udp.h"

#define BLOCK_BYTES 1920u
#define ECHO_PORT 7
#define CALL_PORT 1007
#define TURNS_MAX 100

/* One end of the cable: an instance and its owner, with a list of free blocks. */
struct end {
	struct weir__netstack_owner owner;
	struct weir__netstack *net;
	struct end *other;
	struct weir__frame_queue arriving;
	struct weir__udp *udp;
	struct block *unused;
	uint64_t random;
};

struct block {
	struct weir__block block;
	struct end *end;
	struct block *next;
	unsigned char bytes[BLOCK_BYTES];
};

struct cable {
	struct end end[2];
	uint64_t now_ns;
	unsigned char payload[65536];
};

static struct end *end_of(struct weir__netstack_owner *owner)
{
	return WEIR_STACK_CONTAINER(owner, struct end, owner);
}

static void *cable_alloc(struct weir__netstack_owner *owner, size_t bytes)
{
	(void)owner;
	return malloc(bytes);
}

static void cable_release(struct weir__netstack_owner *owner, void *memory, size_t bytes)
{
	(void)owner;
	(void)bytes;
	free(memory);
}

static void block_release(struct weir__block *block)
{
	struct block *mine = WEIR_STACK_CONTAINER(block, struct block, block);

	mine->next = mine->end->unused;
	mine->end->unused = mine;
}

static struct weir__frame *block_alloc(struct weir__netstack_owner *owner, uint32_t bytes)
{
	struct end *end = end_of(owner);
	struct block *block = end->unused;

	(void)bytes;
	if (block != NULL)
		end->unused = block->next;
	else if ((block = malloc(sizeof(*block))) == NULL)
		return NULL;
	block->end = end;
	return weir__block_init(&block->block, block->bytes, BLOCK_BYTES, sizeof(*block),
				block_release);
}

static void cable_random(struct weir__netstack_owner *owner, void *bytes, size_t len)
{
	uint64_t *state = &end_of(owner)->random;

	for (size_t i = 0; i < len; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		((unsigned char *)bytes)[i] = (unsigned char)(*state >> 56);
	}
}

/*
 * The other instance frees the frame. A block goes back to whom it belongs to, but further views
 * are of the instance that made them, so a frame with such crosses as a copy.
 */
static void cable_transmit(struct weir__netstack_owner *owner, struct weir__netstack *net,
			   struct weir__frame *frame)
{
	struct end *other = end_of(owner)->other;
	struct weir__frame *crossing = frame;

	if (frame->next != NULL || frame != &frame->block->first || frame->block->refs != 1) {
		crossing = weir__frame_new(weir__netstack_frames(other->net), 0, frame->total);
		if (crossing != NULL)
			weir__frame_copy_out(frame, 0, weir__frame_extend(crossing, frame->total),
					     frame->total);
		weir__frame_free(weir__netstack_frames(net), frame);
	}
	if (crossing != NULL)
		weir__frame_queue_push(&other->arriving, crossing);
}

static const struct weir__netstack_owner_ops ops = {
	.alloc = cable_alloc,
	.free = cable_release,
	.block_alloc = block_alloc,
	.random = cable_random,
	.transmit = cable_transmit,
};

static struct weir__endpoint endpoint(unsigned which)
{
	return (struct weir__endpoint){ weir__ip_v4(0x0a000001 + which),
					which == 0 ? CALL_PORT : ECHO_PORT };
}

static int end_init(struct cable *cable, unsigned which)
{
	struct end *end = &cable->end[which];
	struct weir__endpoint local = endpoint(which), peer = endpoint(!which);
	struct weir__netstack_address address = { local.address, 24 };
	struct weir__netstack_config cfg = { .mac = { 2, 0, 0, 0, 0, (unsigned char)which },
					     .addresses = &address,
					     .address_count = 1,
					     .block_bytes = BLOCK_BYTES };
	int rc;

	end->owner.ops = &ops;
	end->other = &cable->end[!which];
	end->random = which;
	rc = weir__netstack_new(&end->owner, &cfg, cable->now_ns, &end->net);
	if (rc == 0)
		rc = weir__udp_open(end->net, &local, NULL, &end->udp);
	if (rc == 0 && which == 0)
		rc = weir__udp_connect(end->udp, &peer);
	return rc;
}

struct cable *cable_new(void)
{
	struct cable *cable = calloc(1, sizeof(*cable));

	if (cable == NULL)
		return NULL;
	if (end_init(cable, 0) == 0 && end_init(cable, 1) == 0)
		return cable;
	cable_free(cable);
	return NULL;
}

static void end_fini(struct end *end)
{
	struct weir__frame *frame;
	struct block *block;

	while ((frame = weir__frame_queue_pop(&end->arriving)) != NULL)
		weir__frame_free(weir__netstack_frames(end->net), frame);
	weir__netstack_free(end->net);
	while ((block = end->unused) != NULL) {
		end->unused = block->next;
		free(block);
	}
}

void cable_free(struct cable *cable)
{
	if (cable == NULL)
		return;
	end_fini(&cable->end[0]);
	end_fini(&cable->end[1]);
	free(cable);
}

/* Sends back what came, as it was lent. */
static void echo(struct end *end)
{
	struct weir__endpoint from;
	struct weir__frame *frame;

	while (weir__udp_receive(end->udp, &frame, &from) >= 0)
		(void)weir__udp_send(end->udp, &from, frame);
}

static void turn(struct cable *cable, struct end *end)
{
	struct weir__netstack_source *source;
	struct weir__frame *frame;
	unsigned events;

	weir__netstack_begin(end->net, cable->now_ns);
	while ((frame = weir__frame_queue_pop(&end->arriving)) != NULL)
		weir__netstack_input(end->net, frame);
	while ((source = weir__netstack_next_event(end->net, &events)) != NULL)
		if (end == &cable->end[1])
			echo(end);
	weir__netstack_end(end->net);
}

int cable_udp_echo(struct cable *cable, unsigned bytes)
{
	struct end *caller = &cable->end[0];
	struct weir__frame *frame;

	cable->now_ns += 1000;
	weir__netstack_begin(caller->net, cable->now_ns);
	if (weir__udp_send_copy(caller->udp, NULL, cable->payload, bytes) != (int)bytes)
		return -1;
	weir__netstack_end(caller->net);
	for (unsigned i = 0; i < TURNS_MAX; i++) {
		turn(cable, &cable->end[1]);
		turn(cable, caller);
		if (weir__udp_receive(caller->udp, &frame, NULL) == (int)bytes) {
			weir__netstack_give_back(caller->net, frame);
			return 0;
		}
	}
	return -1;
}
