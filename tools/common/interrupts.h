/* SPDX-License-Identifier: MIT */
/*
 * interrupts.h: /proc/interrupts: which interrupts there are, what they are called,
 * how often each was taken and by which CPU most. The parsers are given a line and
 * survive any.
 */
#ifndef TOOLS_COMMON_INTERRUPTS_H
#define TOOLS_COMMON_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/topo.h"

struct interrupt {
	unsigned number;
	uint64_t count;			/* since boot, on all CPUs */
	uint16_t cpu;			/* P#: that took most of them; meaningless when count is 0 */
	char name[48];			/* of the action: "virtio2-input.0" */
};

struct interrupts {
	struct interrupt *list;
	unsigned len;
};

/* The first line: the CPUs of the columns. How many there are. */
unsigned interrupts_parse_head(const char *line, uint16_t cpus[WEIR_CPUS_MAX]);
/* Any other. False for one that is no device's ("NMI: …"), or that makes no sense. */
bool interrupts_parse_line(const char *line, const uint16_t *cpus, unsigned cpus_len,
			   struct interrupt *ret_interrupt);

/* None when the file cannot be read, or memory is short. */
void interrupts_read(const char *root, struct interrupts *ret_interrupts);
void interrupts_free(struct interrupts *interrupts);
const struct interrupt *interrupts_find(const struct interrupts *interrupts, unsigned number);

#endif
