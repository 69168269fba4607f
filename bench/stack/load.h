/* SPDX-License-Identifier: MIT */
/*
 * load.h: a client on weir's stack, which keeps a server at the other end of the cable busy.
 *
 * A step is a turn of the client, which receives the responses of the step before and sends new
 * requests, and a turn of the server. A step has at most LOAD_BURST frames in each direction. So
 * the use of the caches is the same with any number of connections, apart from the connections
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

/* Opens connections to a port of the server. 0, or -1 if not all of them are established. */
int load_open(struct load *load, enum cable_port port, unsigned connections);

/* Each of these makes one step. It returns the number of operations, or -1 if a result is wrong. */

/* Sends datagrams one after the other; an operation is one and its echo. */
int load_datagram(struct load *load, unsigned bytes);
/* Sends requests on the next connections, at most LOAD_BURST, and receives the responses. */
int load_requests(struct load *load, unsigned bytes);
/* The connections send as much as they can; an operation is a frame sent to the server. */
int load_send(struct load *load);
/* The connections receive from the server; an operation is a frame from it. */
int load_receive(struct load *load);
/* Opens LOAD_BURST connections and closes them; then the server closes them, too. */
int load_connections(struct load *load);

#ifdef __cplusplus
}
#endif

#endif
