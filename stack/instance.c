/* SPDX-License-Identifier: MIT */
/* instance.c: functions that the layers of an instance share: memory, random numbers, events. */
#include "stack/instance.h"

/* ---- memory, randomness ---------------------------------------------------------------------- */

void *weir__netstack_alloc(struct weir__netstack *net, size_t bytes)
{
	void *memory = net->owner->ops->alloc(net->owner, bytes);

	if (memory == NULL)
		net->count.memory_refused++;
	else
		memset(memory, 0, bytes);
	return memory;
}

void weir__netstack_release(struct weir__netstack *net, void *memory, size_t bytes)
{
	if (memory != NULL)
		net->owner->ops->free(net->owner, memory, bytes);
}

uint32_t weir__netstack_random32(struct weir__netstack *net)
{
	uint32_t number;

	net->owner->ops->random(net->owner, &number, sizeof(number));
	return number;
}

/* ---- events ---------------------------------------------------------------------------------- */

void weir__netstack_raise(struct weir__netstack *net, struct weir__netstack_source *source,
			  unsigned events)
{
	source->events |= (uint8_t)events;
	if (source->pprev != NULL)
		return;
	source->next = NULL;
	source->pprev = net->events_end;
	*net->events_end = source;
	net->events_end = &source->next;
}

void weir__netstack_silence(struct weir__netstack *net, struct weir__netstack_source *source)
{
	source->events = 0;
	if (source->pprev == NULL)
		return;
	*source->pprev = source->next;
	if (source->next != NULL)
		source->next->pprev = source->pprev;
	else
		net->events_end = source->pprev;
	source->next = NULL;
	source->pprev = NULL;
}

struct weir__netstack_source *weir__netstack_next_event(struct weir__netstack *net,
							unsigned *ret_events)
{
	struct weir__netstack_source *source = net->events;

	if (source != NULL) {
		*ret_events = source->events;
		weir__netstack_silence(net, source);
	}
	return source;
}

/* ---- transports ------------------------------------------------------------------------------ */

bool weir__transport_failed(struct weir__netstack *net, uint8_t protocol,
			    const struct weir__ip_error *error)
{
	const struct weir__transport *transport = weir__transport_of(net->transports, protocol);

	return transport != NULL && transport->error != NULL && transport->error(net, error);
}
