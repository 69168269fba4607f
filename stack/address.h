/* SPDX-License-Identifier: MIT */
/*
 * address.h: addresses and flows, the same for both families.
 *
 * An address has 16 bytes. An IPv4 address is stored as an IPv4-mapped IPv6 address
 * (::ffff:a.b.c.d, RFC 4291 2.5.5.2), so that tables, keys and comparisons need not distinguish the
 * families. Therefore an IPv4 prefix is 96 bits longer. All zero means no address, or any. Ports
 * are in host byte order.
 */
#ifndef WEIR_STACK_ADDRESS_H
#define WEIR_STACK_ADDRESS_H

#include "stack/base.h"
#include "stack/bytes.h"

#define WEIR_IP_V4_BITS 96u	/* added to the prefix length of an IPv4 address */

struct weir__ip_address {
	union {
		unsigned char bytes[16];
		uint64_t words[2];
	};
};

struct weir__endpoint {
	struct weir__ip_address address;
	uint16_t port;
};

/* The two ends of a communication. It has no padding, so it may be hashed and compared as bytes. */
struct weir__flow {
	struct weir__ip_address local, remote;
	uint16_t local_port, remote_port;
	uint32_t reserved;	/* 0 */
};

/* Makes the address a.b.c.d from a number whose highest byte is a. */
static inline struct weir__ip_address weir__ip_v4(uint32_t number)
{
	struct weir__ip_address address = { .bytes = { [10] = 0xff, [11] = 0xff } };

	weir__put32(address.bytes + 12, number);
	return address;
}

static inline uint32_t weir__ip_v4_number(const struct weir__ip_address *address)
{
	return weir__get32(address->bytes + 12);
}

static inline bool weir__ip_is_v4(const struct weir__ip_address *address)
{
	return address->words[0] == 0 && weir__get32(address->bytes + 8) == 0xffff;
}

static inline bool weir__ip_is_any(const struct weir__ip_address *address)
{
	return address->words[0] == 0 &&
	       (address->words[1] == 0 ||
		(weir__ip_is_v4(address) && weir__ip_v4_number(address) == 0));
}

static inline bool weir__ip_equal(const struct weir__ip_address *a,
				  const struct weir__ip_address *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

/* Whether the first `bits` bits (0 .. 128) are the same. */
bool weir__ip_in_prefix(const struct weir__ip_address *address,
			const struct weir__ip_address *prefix, unsigned bits);

static inline bool weir__flow_equal(const struct weir__flow *a, const struct weir__flow *b)
{
	return weir__ip_equal(&a->local, &b->local) && weir__ip_equal(&a->remote, &b->remote) &&
	       a->local_port == b->local_port && a->remote_port == b->remote_port;
}

/*
 * 64-bit hashes with a secret of the instance, so that an attacker cannot choose flows or addresses
 * that collide in a table: SipHash-1-3. The hash of an IPv4 flow covers only the 32-bit addresses
 * and the ports.
 */
uint64_t weir__ip_hash(const struct weir__ip_address *address, const uint64_t secret[2]);
uint64_t weir__flow_hash(const struct weir__flow *flow, const uint64_t secret[2]);

#endif
