/* SPDX-License-Identifier: MIT */
/* load_heap.c: the connections that wait for their time to send, the earliest first. */
#include "tools/bench/load.h"

static void heap_push(struct load_thread *t, struct load_client *c)
{
	unsigned i = t->heap_len++;

	for (; i > 0 && t->heap[(i - 1) / 2]->due_ns > c->due_ns; i = (i - 1) / 2)
		t->heap[i] = t->heap[(i - 1) / 2];
	t->heap[i] = c;
}

static struct load_client *heap_pop(struct load_thread *t)
{
	struct load_client *top = t->heap[0], *last = t->heap[--t->heap_len];
	unsigned i = 0, child;

	while ((child = 2 * i + 1) < t->heap_len) {
		if (child + 1 < t->heap_len &&
		    t->heap[child + 1]->due_ns < t->heap[child]->due_ns)
			child++;
		if (t->heap[child]->due_ns >= last->due_ns)
			break;
		t->heap[i] = t->heap[child];
		i = child;
	}
	t->heap[i] = last;
	return top;
}

void bench_load_file(struct load_thread *t, struct load_client *c, uint64_t now)
{
	const struct load_plan *plan = &t->load->plan;

	if (c->filed || c->in_flight == (plan->reconnect ? 1 : plan->depth) ||
	    (c->fd < 0 && !plan->reconnect))
		return;
	if (!plan->open)
		c->due_ns = now;
	if (c->due_ns >= t->load->end_ns)
		return;
	c->free_ns = now;
	c->filed = true;
	heap_push(t, c);
}

struct load_client *bench_load_unfile(struct load_thread *t)
{
	struct load_client *c = heap_pop(t);

	c->filed = false;
	return c;
}
