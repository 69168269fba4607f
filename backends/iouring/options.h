/* SPDX-License-Identifier: MIT */
/*
 * options.h: what a user may say behind the backend's name,
 * "io_uring:no-multishot-recv,zero-copy=32768": features to do without, as on a
 * machine that lacks them, and those that are off unless asked for.
 */
#ifndef WEIR_BACKENDS_IOURING_OPTIONS_H
#define WEIR_BACKENDS_IOURING_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uring_options {
	bool defer;			/* completions are only worked on when the worker asks */
	bool multishot_accept, multishot_recv;
	bool buffers;			/* buffer rings */
	bool ring_fd;			/* the ring's descriptor is registered */
	bool inline_send;		/* a lone send is a system call of its own */
	uint32_t entries;		/* of the submission ring */
	uint32_t buffer_entries;
	uint32_t zero_copy_bytes;	/* sends of so many or more are not copied; 0: never */
	uint32_t direct;		/* descriptors that the ring knows by number; 0: none */
	uint32_t bundle;		/* 1: a receive may fill several buffers */
	uint32_t incremental;		/* 1: those of multishots share buffers */
	uint32_t napi_us;		/* the ring polls the NIC so long before it sleeps; 0: never */
	uint32_t min_wait_us;		/* a wait goes on so long for more than one completion */
};

/* Everything there is, and what defaults say about the rest. */
void weir__uring_options_init(struct uring_options *options);

/* Read words; -EINVAL and one line in why for one that is unknown or has a bad value. */
int weir__uring_options_parse(const char *words, struct uring_options *options, char *why,
			      size_t len);

#endif
