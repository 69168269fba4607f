/* SPDX-License-Identifier: MIT */
/*
 * outlet.h: lines for a place that may stand still: a pipe or a FIFO that nobody
 * reads, a terminal that was stopped, a full disk, a file system that does not
 * answer.
 *
 *	outlet_open ──► put … (from any thread) ──► outlet_end ──► outlet_free
 *
 * Items are queued, and a thread of the outlet's makes lines of them and writes
 * them. Who puts never waits: an item that finds no room is dropped and counted.
 * It is a thread, made at the start, and not a job on the runtime's pool: where
 * no further thread can be made there would be no word about it.
 *
 * The place gets whole lines: what is cut off by a full disk is taken back, and
 * what goes to a pipe goes in pieces that it takes whole. That it cannot be
 * written is news, and that it can again, with the number of lines that it lacks.
 */
#ifndef TOOLS_PROXY_OUTLET_H
#define TOOLS_PROXY_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTLET_LINE_MAX 512		/* with its newline */

struct outlet;

struct outlet_config {
	const char *path;		/* opened to be appended to; NULL: fd */
	int fd;				/* stays the caller's */
	size_t item_bytes;
	unsigned items;			/* that may wait */
	/* The line of an item; its length, newline included. On the outlet's thread. */
	size_t (*format)(void *arg, const void *item, char *buf, size_t len);
	/* Something about the place, for people. On the outlet's thread. */
	void (*news)(void *arg, const char *text);
	void *arg;
};

/*
 * Open the file and start the thread. A FIFO that nobody reads yet is opened later, which is news.
 * 0, or a negative errno. [any]
 */
int outlet_open(const struct outlet_config *cfg, struct outlet **ret_outlet);
/* Queue a copy of an item. [any] */
void outlet_put(struct outlet *outlet, const void *item);
/* Open the path anew before the next line; if that fails the old file is kept. [any] */
void outlet_reopen(struct outlet *outlet);
/* Lines that were written, and that were dropped. [any] */
void outlet_figures(struct outlet *outlet, uint64_t *ret_written, uint64_t *ret_dropped);
/*
 * Write what waits, for up to so long; nothing can be put from here on. False: the thread still
 * waits for the place, and has the outlet for good. Not on a worker.
 */
bool outlet_end(struct outlet *outlet, uint64_t limit_ns);
/* After an end that was true. */
void outlet_free(struct outlet *outlet);

#endif
