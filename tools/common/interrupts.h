/* SPDX-License-Identifier: MIT */
/*
 * interrupts.h: reads /proc/interrupts: the number and name of each interrupt, how often
 * it occurred, and which CPU handled it most. The parsers accept any line without crashing.
 */
#ifndef TOOLS_COMMON_INTERRUPTS_H
#define TOOLS_COMMON_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/topo.h"

struct interrupt {
	unsigned number;
	uint64_t count;			/* since boot, on all CPUs */
	uint16_t cpu;			/* P# that handled most of them; undefined if count is 0 */
	char name[48];			/* the driver's: "virtio2-input.0" */
};

struct interrupts {
	struct interrupt *list;
	unsigned len;
};

/* Parse the first line: the CPUs of the columns. Returns their number. */
unsigned interrupts_parse_head(const char *line, uint16_t cpus[WEIR_CPUS_MAX]);
/* Parse another line. False if it belongs to no device ("NMI: …") or is invalid. */
bool interrupts_parse_line(const char *line, const uint16_t *cpus, unsigned cpus_len,
			   struct interrupt *ret_interrupt);

/* The list is empty if the file cannot be read or memory runs out. */
void interrupts_read(const char *root, struct interrupts *ret_interrupts);
void interrupts_free(struct interrupts *interrupts);

#endif
