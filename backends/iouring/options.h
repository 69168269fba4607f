/* SPDX-License-Identifier: MIT */
/*
 * options.h: the options after the backend's name, as in
 * "io_uring:no-multishot-recv,zero-copy=32768". They switch features off, as on a kernel
 * that lacks them, or switch on those that are off by default.
 */
#ifndef WEIR_BACKENDS_IOURING_OPTIONS_H
#define WEIR_BACKENDS_IOURING_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uring_options {
	bool defer;			/* completions are processed only when the worker asks */
	bool multishot_accept, multishot_recv;
	bool buffers;			/* buffer rings */
	bool ring_fd;			/* the ring's descriptor is registered */
	bool inline_send;		/* a single send is a direct system call */
	uint32_t entries;		/* of the submission ring */
	uint32_t buffer_entries;
	uint32_t zero_copy_bytes;	/* larger sends are not copied; 0: all are copied */
	uint32_t direct;		/* slots of the ring's descriptor table; 0: none */
	uint32_t bundle;		/* 1: a receive may fill several buffers */
	uint32_t incremental;		/* 1: multishot receives share buffers */
	uint32_t homed_writes;		/* 1: a stream's writes run on its home, too */
	uint32_t napi_us;		/* poll the card this long before sleeping; 0: never */
	uint32_t min_wait_us;		/* wait this long for a batch of completions */
};

/* Set the defaults. */
void weir__uring_options_init(struct uring_options *options);

/* Parse options; -EINVAL, and a line in why, for an unknown option or an invalid value. */
int weir__uring_options_parse(const char *words, struct uring_options *options, char *why,
			      size_t len);

#endif
