/* SPDX-License-Identifier: MIT */
/*
 * outlet.h: writes lines to a destination that may block: a pipe or a FIFO without a
 * reader, a stopped terminal, a full disk, a file system that does not answer.
 *
 *	outlet_open ──► put … (from any thread) ──► outlet_end ──► outlet_free
 *
 * Items are queued, and the outlet's thread formats and writes them. outlet_put never
 * waits: an item that finds the queue full is dropped and counted. The thread is started
 * in advance and is not a job of the runtime's pool: if no more threads can be started,
 * messages about that must still get out.
 *
 * Lines are written completely or not at all. If a full disk cuts a line off, the part is
 * removed again; a pipe gets at most as many bytes as it accepts at once. The news
 * function is called when writing starts to fail, and when it works again, with the number
 * of missing lines.
 */
#ifndef TOOLS_PROXY_OUTLET_H
#define TOOLS_PROXY_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTLET_LINE_MAX 512		/* with its newline */

struct outlet;

struct outlet_config {
	const char *path;		/* opened for appending; NULL: use fd */
	int fd;				/* not closed by the outlet */
	size_t item_bytes;
	unsigned items;			/* the capacity of the queue */
	/* Format an item's line; returns its length with the newline. On the outlet's thread. */
	size_t (*format)(void *arg, const void *item, char *buf, size_t len);
	/* A message for people about the destination. On the outlet's thread. */
	void (*news)(void *arg, const char *text);
	void *arg;
};

/*
 * Open the file and start the thread. A FIFO without a reader is opened later, and news is called.
 * Returns 0 or a negative errno. [any]
 */
int outlet_open(const struct outlet_config *cfg, struct outlet **ret_outlet);
/* Queue a copy of an item. [any] */
void outlet_put(struct outlet *outlet, const void *item);
/* Reopen the path before the next line; if that fails, the old file stays open. [any] */
void outlet_reopen(struct outlet *outlet);
/* The numbers of lines that were written and dropped. [any] */
void outlet_figures(struct outlet *outlet, uint64_t *ret_written, uint64_t *ret_dropped);
/*
 * Write the queued items, for up to limit_ns; later items are dropped. False: the thread is still
 * blocked and keeps using the outlet, which must not be freed. Not on a worker.
 */
bool outlet_end(struct outlet *outlet, uint64_t limit_ns);
/* Only after outlet_end has returned true. */
void outlet_free(struct outlet *outlet);

#endif
