/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_rig.h: the test rig of the io_uring backend. It runs the backend on real
 * sockets in several forms: with one instance or two, with and without features, and on
 * changing threads.
 *
 * The core is not linked: the rig replaces its functions. It records results of operations,
 * and sets which worker the current thread is. Tests look into handles only to see in which
 * way they receive.
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

extern unsigned detached;		/* how many handles were detached; atomic */

/* ---- instances ---------------------------------------------------------------------------- */

/* The forms of the backend. Operations must have the same results in all of them. */
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
/* Runs a test in both forms with multishot receives: with a second instance, and without. */
#define BOTH(name, ...) TESTING(name, .rounds = 2, ##__VA_ARGS__)

struct uring *uring(unsigned i);
/* Makes the instances of a form. This thread becomes be0's worker. */
void begin(unsigned form);
void end(void);
uint64_t in_ms(unsigned ms);

/* ---- ops ---------------------------------------------------------------------------------- */

/* Submits like a message from another worker. */
struct weir_op *submit_mailed(struct weir_op *op);
/* Polls until nothing happens for a moment. */
void settle(struct weir_backend *be);
void cancel(struct weir_op *op);
struct weir_op *with(struct weir_op *op, unsigned flags);
struct weir_op *connect_op(struct weir_op *op, struct weir_handle *h, const void *addr,
			   socklen_t len);

/* Two threads that use a stream in turns. */
struct pass {
	struct weir_handle *h;
	unsigned turn;			/* whose turn it is; atomic */
	unsigned rounds;
	int peer;
};

/* ---- sockets ------------------------------------------------------------------------------ */

void detach(struct weir_handle *h);
/* Reads to the end of the stream. Returns 0, or the negative errno of a reset. */
int read_end(int peer);
/* Sends until the socket takes no more. Returns how many bytes that were. */
size_t fill(struct weir_handle *h);
/* Exchanges messages until the stream has a multishot receive. */
void arm(struct weir_handle *h, int peer);
/* Sends a text, and lets the multishot receive take it without an op. */
void queue_some(struct weir_handle *h, int peer, const char *text);
/* Receives a lease, copies its bytes to buf and returns it. */
int lease_now(struct weir_handle *h, char *buf);
void open_stream(struct weir_handle *h, int family);
/* Makes a listener whose queue is full of these clients. */
int full_listener(struct sockaddr_in *addr, int ret_clients[2]);

#endif
