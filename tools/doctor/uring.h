/* SPDX-License-Identifier: MIT */
/*
 * uring.h: what io_uring offers here, found out by trying each thing on a
 * real ring (uring_try.c) and judged in uring.c.
 */
#ifndef TOOLS_DOCTOR_URING_H
#define TOOLS_DOCTOR_URING_H

#include <stddef.h>
#include <stdint.h>

enum doctor_uring_feature {
	URING_SUBMIT_ALL,
	URING_TASKRUN_FLAG,
	URING_SINGLE_ISSUER,
	URING_DEFER_TASKRUN,
	URING_EXT_ARG,
	URING_RING_FD,
	URING_BUF_RING,
	URING_ACCEPT_MULTISHOT,
	URING_RECV_MULTISHOT,
	URING_OPS,
	URING_SEND_ZC,
	URING_MSG_RING,
	URING_MSG_RING_BARE,
	URING_DIRECT,
	URING_NAPI,
	URING_MIN_WAIT,
	URING_BUNDLE,
	URING_BUF_INC,
	URING_NO_SQARRAY,
	URING_RECV_ZC,			/* listed is all: without a NIC's queue it cannot be tried */
	URING_FEATURES
};

struct doctor_uring {
	int setup;			/* the plainest ring: 0 or a negative errno */
	int tried[URING_FEATURES];	/* 0: it works; else a negative errno */
	uint32_t features;		/* IORING_FEAT_* */
	unsigned ops;			/* how many operations the kernel knows */
	char lacking[160];		/* those of weir's that it does not; or "" */
	unsigned bounded, unbounded;	/* kernel threads allowed; 0.0: unknown */
};

/* Try everything: makes rings and sockets, and closes them again. */
void doctor_uring_try(struct doctor_uring *ret_uring);

#endif
