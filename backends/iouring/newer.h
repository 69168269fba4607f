/* SPDX-License-Identifier: MIT */
/*
 * newer.h: what newer headers than this build's have. A number may be supplied here
 * when the library only carries it to the kernel; what the library itself has to know
 * of is asked by URING_LIBRARY_HAS.
 */
#ifndef WEIR_BACKENDS_IOURING_NEWER_H
#define WEIR_BACKENDS_IOURING_NEWER_H

#include <liburing.h>

/* Whether the liburing of this build is that version or a newer one. */
#if defined(IO_URING_CHECK_VERSION)
#define URING_LIBRARY_HAS(major, minor) (!IO_URING_CHECK_VERSION(major, minor))
#else
#define URING_LIBRARY_HAS(major, minor) 0
#endif

#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1u << 4)
#endif

#endif
