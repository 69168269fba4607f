/* SPDX-License-Identifier: MIT */
/*
 * checksum.c: the sum in 64-bit words, with four accumulators, so that the additions do not depend
 * on each other.
 *
 * 64-bit one's complement addition is 16-bit one's complement addition in each of four columns with
 * end-around carries, so folding at the end gives the same result (RFC 1071, 2.C). The last bytes
 * are padded with zeroes, which do not change the sum.
 */
#include "stack/checksum.h"

static inline uint64_t add(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

static inline uint64_t load(const unsigned char *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	return word;
}

static uint32_t fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	return (uint32_t)((sum >> 32) + sum);
}

/* Adds the words of the last, incomplete round of 32 bytes. */
static uint64_t rest(uint64_t sum, const unsigned char *from, size_t len)
{
	uint64_t word;

	for (; len >= 8; from += 8, len -= 8)
		sum = add(sum, load(from));
	if (len > 0) {
		word = 0;
		memcpy(&word, from, len);
		sum = add(sum, word);
	}
	return sum;
}

uint32_t weir__checksum(const void *bytes, size_t len)
{
	const unsigned char *from = bytes;
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; len >= 32; from += 32, len -= 32) {
		a = add(a, load(from));
		b = add(b, load(from + 8));
		c = add(c, load(from + 16));
		d = add(d, load(from + 24));
	}
	return fold(rest(add(add(a, b), add(c, d)), from, len));
}

static inline uint64_t move(unsigned char *to, const unsigned char *from)
{
	uint64_t word = load(from);

	memcpy(to, &word, sizeof(word));
	return word;
}

uint32_t weir__checksum_copy(void *to, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;
	unsigned char *at = to;
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; len >= 32; from += 32, at += 32, len -= 32) {
		a = add(a, move(at, from));
		b = add(b, move(at + 8, from + 8));
		c = add(c, move(at + 16, from + 16));
		d = add(d, move(at + 24, from + 24));
	}
	if (len > 0)
		memcpy(at, from, len);
	return fold(rest(add(add(a, b), add(c, d)), from, len));
}
