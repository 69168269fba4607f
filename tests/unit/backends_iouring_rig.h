/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_rig.h: the stand of the io_uring backend's tests: the kernel's own
 * sockets, in each of its forms: alone and with a second instance, with and without its
 * features, moving between threads.
 *
 * The core is not here: the stand completes operations itself, by writing the result down,
 * and says which worker the thread is. Tests look into handles only to learn which way they
 * receive.
 */
#ifndef WEIR_TESTS_BACKENDS_IOURING_RIG_H
#define WEIR_TESTS_BACKENDS_IOURING_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "backends/iouring/iouring.h"
#include "tests/unit/backends_parts.h"

extern unsigned detached;		/* handles that are gone; atomic */

/* ---- instances ---------------------------------------------------------------------------- */

/* The forms in which whatever an operation does must be the same. */
struct form {
	const char *options;
	unsigned workers;
	bool moves;
};
enum {
	PLAIN,
	ALONE,
	MOVES,
	NO_DEFER,
	NO_MULTISHOT,
	NO_BUFFERS,
	NO_INLINE,
	TINY,
	ZERO_COPY,
	DIRECT,
	INCREMENTAL,
	FORMS
};
extern const struct form forms[FORMS];

#define EVERY(name, ...) TESTING(name, .rounds = FORMS, ##__VA_ARGS__)
/* In both forms that have a multishot receive: with others, and alone. */
#define BOTH(name, ...) TESTING(name, .rounds = 2, ##__VA_ARGS__)

struct uring *uring(unsigned i);
/* The instances of a form are made; this thread is be0's worker. */
void begin(unsigned form);
void end(void);
uint64_t in_ms(unsigned ms);

/* ---- ops ---------------------------------------------------------------------------------- */

/* As a message from another worker. */
struct weir_op *submit_mailed(struct weir_op *op);
/* Turn until nothing more comes for a moment. */
void settle(struct weir_backend *be);
void cancel(struct weir_op *op);
struct weir_op *with(struct weir_op *op, unsigned flags);
struct weir_op *connect_op(struct weir_op *op, struct weir_handle *h, const void *addr,
			   socklen_t len);

/* Two who take turns at a stream. */
struct pass {
	struct weir_handle *h;
	unsigned turn;			/* whose; atomic */
	unsigned rounds;
	int peer;
};

/* ---- sockets ------------------------------------------------------------------------------ */

void detach(struct weir_handle *h);
/* The peer learns of the end: with a reset or without. */
int read_end(int peer);
/* Send until the socket takes no more. Returns the bytes. */
size_t fill(struct weir_handle *h);
/* Requests and answers, until the stream has its multishot receive. */
void arm(struct weir_handle *h, int peer);
/* Let the kernel receive, though nobody asks. */
void queue_some(struct weir_handle *h, int peer, const char *text);
/* What a lease brings, copied. */
int lease_now(struct weir_handle *h, char *buf);
void open_stream(struct weir_handle *h, int family);
/* A listener whose queue is full of these. */
int full_listener(struct sockaddr_in *addr, int ret_clients[2]);

#endif
