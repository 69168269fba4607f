/* SPDX-License-Identifier: MIT */
/* bytes.h: numbers in headers: network byte order, without alignment. */
#ifndef WEIR_STACK_BYTES_H
#define WEIR_STACK_BYTES_H

#include "stack/base.h"

static inline uint16_t weir__get16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t weir__get32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void weir__put16(unsigned char *at, uint16_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

static inline void weir__put32(unsigned char *at, uint32_t value)
{
	at[0] = (unsigned char)(value >> 24);
	at[1] = (unsigned char)(value >> 16);
	at[2] = (unsigned char)(value >> 8);
	at[3] = (unsigned char)value;
}

/* Stores a checksum in the byte order in which it was computed. */
static inline void weir__put_checksum(unsigned char *at, uint16_t checksum)
{
	memcpy(at, &checksum, sizeof(checksum));
}

#endif
