/* SPDX-License-Identifier: MIT */
/*
 * tcp_table.c: one hash table of connections, half-open connections and TIME_WAIT entries by flow;
 * and the listeners by port.
 *
 * A bucket is one cache line: six entries, and for each its kind and 14 bits of its hash. So a
 * look-up reads one line and the entry itself. The hash is keyed (SipHash), so that an attacker
 * cannot fill a bucket. An entry whose bucket is full is put into the next bucket with room, and
 * each full bucket before that one counts it in `passed`. A look-up ends at a bucket whose
 * `passed` is 0.
 *
 * The table has room for all entries that the config allows at a load of two thirds,
 * and never grows.
 */
#include "stack/tcp_state.h"

#define TAG_SHIFT 2
#define KIND_MASK 3u

_Static_assert(sizeof(struct weir__tcp_bucket) == 64 || sizeof(void *) != 8,
	       "a bucket is a cache line");

int weir__tcp_table_init(struct weir__netstack *net, size_t entries)
{
	struct weir__tcp_table *table = &net->tcp->table;
	size_t buckets = 16;

	while (buckets * WEIR_TCP_SLOTS * 2 / 3 < entries)
		buckets *= 2;
	table->bytes = (buckets + 1) * sizeof(struct weir__tcp_bucket);
	table->memory = weir__netstack_alloc(net, table->bytes);
	if (table->memory == NULL)
		return -ENOMEM;
	table->buckets = (struct weir__tcp_bucket *)(void *)(((uintptr_t)table->memory + 63) &
							     ~(uintptr_t)63);
	table->mask = (uint32_t)buckets - 1;
	return 0;
}

void weir__tcp_table_fini(struct weir__netstack *net)
{
	struct weir__tcp_table *table = &net->tcp->table;

	if (table->memory != NULL)
		weir__netstack_release(net, table->memory, table->bytes);
}

/* The hash of a flow, without its padding. */
uint64_t weir__tcp_hash(const struct weir__netstack *net, const struct weir__flow *flow)
{
	struct weir__flow key = *flow;

	key.reserved = 0;
	return weir__flow_hash(&key, net->hash_secret);
}

static uint16_t tag_of(uint64_t hash, enum weir_tcp_kind kind)
{
	return (uint16_t)(hash >> 48 << TAG_SHIFT | kind);
}

/* Finds the entry of a flow. Returns its slot, and its bucket; -1 if there is none. */
static int find_slot(const struct weir__netstack *net, const struct weir__flow *flow, uint64_t hash,
		     struct weir__tcp_bucket **ret_bucket)
{
	const struct weir__tcp_table *table = &net->tcp->table;
	uint16_t tag = tag_of(hash, 0);

	for (uint32_t i = 0; i <= table->mask; i++) {
		struct weir__tcp_bucket *bucket =
			&table->buckets[((uint32_t)hash + i) & table->mask];

		for (int slot = 0; slot < (int)WEIR_TCP_SLOTS; slot++) {
			if ((bucket->tag[slot] & ~KIND_MASK) != tag ||
			    (bucket->tag[slot] & KIND_MASK) == WEIR_TCP_NOTHING)
				continue;
			if (!weir__flow_equal(bucket->entry[slot], flow))
				continue;
			*ret_bucket = bucket;
			return slot;
		}
		if (bucket->passed == 0)
			break;
	}
	return -1;
}

void *weir__tcp_find_hashed(const struct weir__netstack *net, const struct weir__flow *flow,
			    uint64_t hash, enum weir_tcp_kind *ret_kind)
{
	struct weir__tcp_bucket *bucket = NULL;
	int slot = find_slot(net, flow, hash, &bucket);

	if (slot < 0) {
		*ret_kind = WEIR_TCP_NOTHING;
		return NULL;
	}
	*ret_kind = (enum weir_tcp_kind)(bucket->tag[slot] & KIND_MASK);
	return bucket->entry[slot];
}

void *weir__tcp_find(const struct weir__netstack *net, const struct weir__flow *flow,
		     enum weir_tcp_kind *ret_kind)
{
	return weir__tcp_find_hashed(net, flow, weir__tcp_hash(net, flow), ret_kind);
}

void weir__tcp_fetch_bucket(const struct weir__netstack *net, uint64_t hash)
{
	__builtin_prefetch(&net->tcp->table.buckets[(uint32_t)hash & net->tcp->table.mask]);
}

const struct weir__tcp *weir__tcp_guess(const struct weir__netstack *net, uint64_t hash)
{
	const struct weir__tcp_bucket *bucket =
		&net->tcp->table.buckets[(uint32_t)hash & net->tcp->table.mask];
	uint16_t tag = tag_of(hash, WEIR_TCP_CONNECTION);

	for (unsigned slot = 0; slot < WEIR_TCP_SLOTS; slot++)
		if (bucket->tag[slot] == tag)
			return bucket->entry[slot];
	return NULL;
}

static int free_slot(const struct weir__tcp_bucket *bucket)
{
	for (int slot = 0; slot < (int)WEIR_TCP_SLOTS; slot++)
		if ((bucket->tag[slot] & KIND_MASK) == WEIR_TCP_NOTHING)
			return slot;
	return -1;
}

/* Adds `by` to `passed` of the buckets from the entry's own one up to the one that contains it. */
static void count_passed(struct weir__tcp_table *table, uint64_t hash,
			 const struct weir__tcp_bucket *to, uint32_t by)
{
	uint32_t at = (uint32_t)hash & table->mask;

	for (; &table->buckets[at] != to; at = (at + 1) & table->mask)
		table->buckets[at].passed += by;
}

int weir__tcp_insert(struct weir__netstack *net, const struct weir__flow *flow,
		     enum weir_tcp_kind kind, void *entry)
{
	struct weir__tcp_table *table = &net->tcp->table;
	uint64_t hash = weir__tcp_hash(net, flow);
	int slot;

	for (uint32_t i = 0; i <= table->mask; i++) {
		struct weir__tcp_bucket *bucket =
			&table->buckets[((uint32_t)hash + i) & table->mask];

		slot = free_slot(bucket);
		if (slot < 0)
			continue;
		bucket->tag[slot] = tag_of(hash, kind);
		bucket->entry[slot] = entry;
		count_passed(table, hash, bucket, 1);
		return 0;
	}
	return -ENOBUFS;
}

void weir__tcp_remove(struct weir__netstack *net, const struct weir__flow *flow, void *entry)
{
	struct weir__tcp_bucket *bucket = NULL;
	uint64_t hash = weir__tcp_hash(net, flow);
	int slot = find_slot(net, flow, hash, &bucket);

	if (slot < 0 || bucket->entry[slot] != entry)
		return;
	bucket->tag[slot] = WEIR_TCP_NOTHING;
	bucket->entry[slot] = NULL;
	count_passed(&net->tcp->table, hash, bucket, (uint32_t)-1);
}

void weir__tcp_replace(struct weir__netstack *net, const struct weir__flow *flow, void *entry,
		       enum weir_tcp_kind kind, void *with)
{
	struct weir__tcp_bucket *bucket = NULL;
	uint64_t hash = weir__tcp_hash(net, flow);
	int slot = find_slot(net, flow, hash, &bucket);

	WEIR_STACK_ASSERT(slot >= 0 && bucket->entry[slot] == entry);
	(void)entry;
	bucket->tag[slot] = tag_of(hash, kind);
	bucket->entry[slot] = with;
}

/* ---- listeners ------------------------------------------------------------------------------ */

struct weir__tcp_listener *weir__tcp_find_listener(const struct weir__netstack *net,
						   const struct weir__ip_address *local,
						   uint16_t port)
{
	struct weir__tcp_listener *listener = net->tcp->listeners[port % WEIR_TCP_LISTENER_BUCKETS];
	struct weir__tcp_listener *any = NULL;

	for (; listener != NULL; listener = listener->next) {
		if (listener->local.port != port)
			continue;
		if (weir__ip_equal(&listener->local.address, local))
			return listener;
		if (weir__ip_is_any(&listener->local.address))
			any = listener;
	}
	return any;
}

/* ---- ports ---------------------------------------------------------------------------------- */

/*
 * RFC 6056 3.3.2: tries a random port of the range, then the following ones, until one is
 * free. Ports of listeners are excluded, so that the flow cannot be confused with that of
 * an accepted connection.
 */
int weir__tcp_choose_port(struct weir__netstack *net, struct weir__flow *flow)
{
	uint32_t count = (uint32_t)net->cfg.port_last - net->cfg.port_first + 1;
	uint32_t start = weir__netstack_random32(net) % count;
	enum weir_tcp_kind kind;
	void *entry;

	for (uint32_t i = 0; i < count; i++) {
		flow->local_port = (uint16_t)(net->cfg.port_first + (start + i) % count);
		if (weir__tcp_find_listener(net, &flow->local, flow->local_port) != NULL)
			continue;
		entry = weir__tcp_find(net, flow, &kind);
		if (entry == NULL ||
		    (kind == WEIR_TCP_WAIT && weir__tcp_wait_reusable(net, entry)))
			return 0;
	}
	return -EADDRNOTAVAIL;
}
