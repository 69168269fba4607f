/* SPDX-License-Identifier: MIT */
/*
 * siphash.h: a keyed hash that is unpredictable without the key (Aumasson & Bernstein, SipHash: a
 * fast short-input PRF, 2012). SipHash-2-4 is for values that appear in packets (sequence numbers,
 * cookies, timestamp offsets), SipHash-1-3 for tables.
 */
#ifndef WEIR_STACK_SIPHASH_H
#define WEIR_STACK_SIPHASH_H

#include "stack/base.h"

/* SipHash-2-4 of any bytes. */
uint64_t weir__siphash(const uint64_t key[2], const void *bytes, size_t len);
/* SipHash-1-3, likewise. */
uint64_t weir__siphash13(const uint64_t key[2], const void *bytes, size_t len);
/* SipHash-1-3 of two numbers as 16 bytes in little-endian order, for look-ups in tables. */
uint64_t weir__siphash13_pair(const uint64_t key[2], uint64_t a, uint64_t b);

#endif
