/* SPDX-License-Identifier: MIT */
/*
 * http.h: an application over the stack: a small HTTP/1.1 server on port 80.
 *
 *	GET /		a greeting
 *	GET /bytes/N	N bytes, sent by reference: byte i of each 65521 is (31 i + i / 256) % 256
 *	PUT /...	the Adler-32 of the body, which is read in the received frames
 *	GET /info	this connection, in the form of `ss -ti`
 *	GET /counters	the instance's counters
 */
#ifndef WEIR_EXAMPLES_STACK_HTTP_H
#define WEIR_EXAMPLES_STACK_HTTP_H

#include <stdio.h>

#include "stack/stack.h"

#define HTTP_BULK_BYTES 65521u	/* a prime number, so that bytes at a wrong offset differ */

struct http {
	struct weir__netstack *net;
	struct weir__tcp_listener *listener;
	struct weir__netstack_user *clients;
	/* One block, of which all large responses send views. */
	unsigned char bulk_bytes[HTTP_BULK_BYTES];
	struct weir__block bulk_block;
	struct weir__frame *bulk;
};

/* Listens; called between begin and end. Returns a negative errno if it cannot. */
int http_init(struct http *http, struct weir__netstack *net);
/* Called after the instance and all its connections were freed. */
void http_fini(struct http *http);
/* Handles events of the listener or of a connection. */
void http_event(struct http *http, struct weir__netstack_source *source);
void http_print_counters(const struct weir__netstack *net, FILE *to);

#endif
