/* SPDX-License-Identifier: MIT */
/*
 * load.h: a client on weir's stack, which keeps a server at the other end of the cable busy.
 *
 * A step is a turn of the client, which takes the answers of the step before and asks anew, and a
 * turn of the server. It is of at most LOAD_BURST frames each way where there are as many
 * connections, so that caches see the same at any number of connections but for the connections
 * themselves, which are used in a random order.
 */
#ifndef WEIR_BENCH_STACK_LOAD_H
#define WEIR_BENCH_STACK_LOAD_H

#include "cable.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LOAD_BURST 64u

struct load;

/* Owns the server; NULL without memory, or without a server. */
struct load *load_new(struct host *server);
void load_free(struct load *load);
struct host *load_client(struct load *load);
struct host *load_server(struct load *load);

/* Opens so many connections to a port of the server. 0, or -1 if they are not all established. */
int load_open(struct load *load, enum cable_port port, unsigned connections);

/* Each step returns how many operations it was, or -1 if something is not as it should be. */

/* Datagrams, one after the other, with so many bytes; an operation is one and its answer. */
int load_datagram(struct load *load, unsigned bytes);
/* A request of so many bytes on each of the next connections, at most LOAD_BURST, and the answers. */
int load_requests(struct load *load, unsigned bytes);
/* The connections send as much as they can; an operation is a frame that goes to the server. */
int load_send(struct load *load);
/* They receive what the server sends; an operation is a frame that comes from it. */
int load_receive(struct load *load);
/* LOAD_BURST connections are made, accepted, closed here and then there. */
int load_connections(struct load *load);

#ifdef __cplusplus
}
#endif

#endif
