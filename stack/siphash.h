/* SPDX-License-Identifier: MIT */
/*
 * siphash.h: a keyed hash that nobody without the key can predict (Aumasson & Bernstein, SipHash: a
 * fast short-input PRF, 2012). SipHash-2-4 where a value is seen on the wire (sequence numbers,
 * cookies, ports), SipHash-1-3 for tables.
 */
#ifndef WEIR_STACK_SIPHASH_H
#define WEIR_STACK_SIPHASH_H

#include "stack/base.h"

/* SipHash-2-4 of any bytes. */
uint64_t weir__siphash(const uint64_t key[2], const void *bytes, size_t len);
/* SipHash-1-3, likewise. */
uint64_t weir__siphash13(const uint64_t key[2], const void *bytes, size_t len);
/* The same of 16 bytes that are two numbers, the lowest byte first: what tables look up by. */
uint64_t weir__siphash13_pair(const uint64_t key[2], uint64_t a, uint64_t b);

#endif
