/* SPDX-License-Identifier: MIT */
/* address.c: prefixes, and the hash of a flow; see address.h. */
#include "stack/address.h"
#include "stack/siphash.h"

bool weir__ip_in_prefix(const struct weir__ip_address *address,
			const struct weir__ip_address *prefix, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	WEIR_STACK_ASSERT(bits <= 128);
	if (memcmp(address->bytes, prefix->bytes, bytes) != 0)
		return false;
	return rest == 0 || (address->bytes[bytes] ^ prefix->bytes[bytes]) >> (8 - rest) == 0;
}

_Static_assert(sizeof(struct weir__flow) == 40, "a flow has no padding");

uint64_t weir__ip_hash(const struct weir__ip_address *address, const uint64_t secret[2])
{
	return weir__siphash13_pair(secret, address->words[0], address->words[1]);
}

/* Whether both are IPv4 addresses or any. */
static bool are_short(const struct weir__ip_address *a, const struct weir__ip_address *b)
{
	uint32_t prefix_a = weir__get32(a->bytes + 8), prefix_b = weir__get32(b->bytes + 8);

	return (a->words[0] | b->words[0]) == 0 && (prefix_a == 0xffff || weir__ip_is_any(a)) &&
	       (prefix_b == 0xffff || weir__ip_is_any(b));
}

uint64_t weir__flow_hash(const struct weir__flow *flow, const uint64_t secret[2])
{
	uint64_t addresses, ports;

	if (WEIR_STACK_LIKELY(are_short(&flow->local, &flow->remote))) {
		addresses = (uint64_t)weir__ip_v4_number(&flow->local) << 32 |
			    weir__ip_v4_number(&flow->remote);
		ports = (uint64_t)flow->local_port << 16 | flow->remote_port;
		return weir__siphash13_pair(secret, addresses, ports);
	}
	return weir__siphash13(secret, flow, sizeof(*flow));
}
