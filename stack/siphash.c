/* SPDX-License-Identifier: MIT */
/* siphash.c: SipHash-c-d, after the reference description; see siphash.h. */
#include "stack/siphash.h"

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void round_of(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline uint64_t little_endian(const unsigned char *from, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)from[i] << (8 * i);
	return word;
}

static inline void compress(uint64_t v[4], uint64_t word, unsigned rounds)
{
	v[3] ^= word;
	for (unsigned i = 0; i < rounds; i++)
		round_of(v);
	v[0] ^= word;
}

static inline void begin(uint64_t v[4], const uint64_t key[2])
{
	v[0] = key[0] ^ 0x736f6d6570736575;
	v[1] = key[1] ^ 0x646f72616e646f6d;
	v[2] = key[0] ^ 0x6c7967656e657261;
	v[3] = key[1] ^ 0x7465646279746573;
}

static inline uint64_t finish(uint64_t v[4], unsigned rounds)
{
	v[2] ^= 0xff;
	for (unsigned i = 0; i < rounds; i++)
		round_of(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t siphash(const uint64_t key[2], const unsigned char *from, size_t len,
			       unsigned rounds, unsigned last_rounds)
{
	uint64_t v[4], end = (uint64_t)len << 56;

	begin(v, key);
	for (; len >= 8; from += 8, len -= 8)
		compress(v, little_endian(from, 8), rounds);
	compress(v, end | little_endian(from, len), rounds);
	return finish(v, last_rounds);
}

uint64_t weir__siphash(const uint64_t key[2], const void *bytes, size_t len)
{
	return siphash(key, bytes, len, 2, 4);
}

uint64_t weir__siphash13(const uint64_t key[2], const void *bytes, size_t len)
{
	return siphash(key, bytes, len, 1, 3);
}

uint64_t weir__siphash13_pair(const uint64_t key[2], uint64_t a, uint64_t b)
{
	uint64_t v[4];

	begin(v, key);
	compress(v, a, 1);
	compress(v, b, 1);
	compress(v, 16ull << 56, 1);
	return finish(v, 3);
}
