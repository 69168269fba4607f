/* SPDX-License-Identifier: MIT */
/*
 * cable.h: two instances of the TCP/IP stack, joined by a cable inside the process: what one sends
 * the other receives, whole, in order, without a copy. What it takes is the stack's own time.
 */
#ifndef WEIR_BENCH_STACK_CABLE_H
#define WEIR_BENCH_STACK_CABLE_H

#ifdef __cplusplus
extern "C" {
#endif

struct cable;

/* NULL without memory. */
struct cable *cable_new(void);
void cable_free(struct cable *cable);
/*
 * A UDP request of so many bytes and its answer, which is the request sent back as it was lent.
 * Checksums are computed and verified. Returns 0, or -1 if it did not come back.
 */
int cable_udp_echo(struct cable *cable, unsigned bytes);

#ifdef __cplusplus
}
#endif

#endif
