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

uint64_t weir__flow_hash(const struct weir__flow *flow, const uint64_t secret[2])
{
	return weir__siphash13(secret, flow, sizeof(*flow));
}
