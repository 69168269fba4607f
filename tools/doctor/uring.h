/* SPDX-License-Identifier: MIT */
/*
 * uring.h: the io_uring features of this machine. uring_try.c tries each of them on a
 * ring; uring.c reports the results.
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
	URING_RECV_ZC,			/* only looked up: trying it needs a card's queue */
	URING_FEATURES
};

struct doctor_uring {
	int setup;			/* a ring without flags: 0 or a negative errno */
	int tried[URING_FEATURES];	/* 0: it works; or a negative errno */
	uint32_t features;		/* IORING_FEAT_* */
	unsigned ops;			/* how many operations the kernel has */
	char lacking[160];		/* the operations of weir that it lacks; or "" */
	unsigned bounded, unbounded;	/* the limits of kernel threads; 0: unknown */
};

/* Try every feature. It creates rings and sockets and closes them again. */
void doctor_uring_try(struct doctor_uring *ret_uring);

#endif
