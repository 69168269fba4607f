/* SPDX-License-Identifier: MIT */
/*
 * path_mtu.c: path MTUs (RFC 1191): a small, four-way associative table of the destinations whose
 * path MTU is smaller than the link's. An entry expires after ten minutes; then the larger size is
 * tried again (RFC 1191 section 6.3). When a set is full, the entry that would expire first is
 * replaced. That costs its path one lost packet that is too big.
 */
#include "stack/instance.h"

#define SETS 64
#define WAYS 4
#define FORGET_NS (600 * WEIR_NETSTACK_SEC)
/* As Linux's min_pmtu. Smaller values in ICMP messages are raised to this one. */
#define FLOOR_BYTES 552u

struct path_mtu {
	struct weir__ip_address destination;
	uint64_t forget_ns;
	uint32_t mtu;		/* 0: free */
};

struct weir__path_mtus {
	unsigned used;		/* entries ever used; 0: no look-up is needed */
	struct path_mtu set[SETS][WAYS];
};

int weir__path_mtus_init(struct weir__netstack *net)
{
	net->ip.path_mtus = weir__netstack_alloc(net, sizeof(*net->ip.path_mtus));
	return net->ip.path_mtus == NULL ? -ENOMEM : 0;
}

void weir__path_mtus_fini(struct weir__netstack *net)
{
	weir__netstack_release(net, net->ip.path_mtus, sizeof(*net->ip.path_mtus));
}

static struct path_mtu *set_of(struct weir__netstack *net,
			       const struct weir__ip_address *destination)
{
	uint64_t hash = weir__ip_hash(destination, net->hash_secret);

	return net->ip.path_mtus->set[hash % SETS];
}

static struct path_mtu *find(struct weir__netstack *net,
			     const struct weir__ip_address *destination)
{
	struct path_mtu *set = set_of(net, destination);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].forget_ns > net->now_ns &&
		    weir__ip_equal(&set[i].destination, destination))
			return &set[i];
	return NULL;
}

uint32_t weir__ip_path_mtu(struct weir__netstack *net, const struct weir__ip_address *destination)
{
	const struct path_mtu *entry;

	if (WEIR_STACK_LIKELY(net->ip.path_mtus->used == 0))
		return net->cfg.mtu;
	entry = find(net, destination);
	return entry == NULL ? net->cfg.mtu : entry->mtu;
}

static struct path_mtu *first_to_forget(struct path_mtu *set)
{
	struct path_mtu *entry = set;

	for (unsigned i = 1; i < WAYS; i++)
		if (set[i].forget_ns < entry->forget_ns)
			entry = &set[i];
	return entry;
}

uint32_t weir__ip_path_mtu_lower(struct weir__netstack *net,
				 const struct weir__ip_address *destination, uint32_t mtu)
{
	uint32_t now = weir__ip_path_mtu(net, destination);
	struct path_mtu *entry = find(net, destination);

	if (mtu < FLOOR_BYTES)
		mtu = FLOOR_BYTES;
	if (mtu >= now)
		return now;
	if (entry == NULL) {
		entry = first_to_forget(set_of(net, destination));
		entry->destination = *destination;
		net->ip.path_mtus->used++;
	}
	entry->mtu = mtu;
	entry->forget_ns = net->now_ns + FORGET_NS;
	net->count.ip_path_mtu_lowered++;
	return mtu;
}
