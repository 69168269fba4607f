/* SPDX-License-Identifier: MIT */
/*
 * checksum.h: the Internet checksum (RFC 1071), also combined with a copy.
 *
 * A sum is the 32-bit one's complement sum of 16-bit words in host byte order. It does not depend
 * on the machine's byte order as long as the result is stored in that order, too (RFC 1071, 2.B).
 * Only weir__checksum_finish inverts it. The sum of bytes that begin at an odd offset is rotated
 * with weir__checksum_odd before it is added.
 */
#ifndef WEIR_STACK_CHECKSUM_H
#define WEIR_STACK_CHECKSUM_H

#include "stack/base.h"

/* The sum of len bytes. */
uint32_t weir__checksum(const void *bytes, size_t len);
/* The sum of len bytes, which it also copies. */
uint32_t weir__checksum_copy(void *to, const void *from, size_t len);

static inline uint32_t weir__checksum_add(uint32_t a, uint32_t b)
{
	uint32_t sum = a + b;

	return sum + (sum < b);
}

/* The sum of the same bytes, moved by one byte. */
static inline uint32_t weir__checksum_odd(uint32_t sum)
{
	return sum << 8 | sum >> 24;
}

static inline uint16_t weir__checksum_fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)(sum + (sum >> 16));
}

/* The checksum for the header. Over a correct packet, including its checksum, the result is 0. */
static inline uint16_t weir__checksum_finish(uint32_t sum)
{
	return (uint16_t)~weir__checksum_fold(sum);
}

#endif
