/* SPDX-License-Identifier: MIT */
/*
 * newer.h: definitions from newer liburing headers. A constant may be defined here if the
 * library only passes it to the kernel. Code that needs a function of a newer library
 * tests URING_LIBRARY_HAS.
 */
#ifndef WEIR_BACKENDS_IOURING_NEWER_H
#define WEIR_BACKENDS_IOURING_NEWER_H

#include <liburing.h>

/* Whether the liburing of this build has at least this version. */
#if defined(IO_URING_CHECK_VERSION)
#define URING_LIBRARY_HAS(major, minor) (!IO_URING_CHECK_VERSION(major, minor))
#else
#define URING_LIBRARY_HAS(major, minor) 0
#endif

#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1u << 4)
#endif
#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1u << 4)
#endif
/* The value of IOU_PBUF_RING_INC, an enumerator that older headers lack. */
#define URING_PBUF_INC 2u

/* Register a buffer ring as group id. Returns 0 or -errno. [setup] */
static inline int uring_register_buffers(struct io_uring *ring, void *at, uint32_t entries, int id,
					 unsigned flags)
{
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)at,
		.ring_entries = entries,
		.bgid = (uint16_t)id,
#if URING_LIBRARY_HAS(2, 4)
		.flags = (uint16_t)flags,
#else
		.pad = (uint16_t)flags,
#endif
	};

	return io_uring_register_buf_ring(ring, &reg, 0);
}

#endif
