/* SPDX-License-Identifier: MIT */
/*
 * nic.h: the network cards of a machine: their queues, the interrupts of these, and
 * which CPUs take them. From /sys/class/net, /proc/interrupts and /proc/irq; what has
 * no device below it (loopback, bridges, tunnels) is no card.
 */
#ifndef TOOLS_COMMON_NIC_H
#define TOOLS_COMMON_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/common/interrupts.h"

enum nic_irq_use {
	NIC_IRQ_OTHER = 0,		/* link state, management */
	NIC_IRQ_RX = 1,
	NIC_IRQ_TX = 2,
	NIC_IRQ_BOTH = 3		/* one for both ways */
};

struct nic_irq {
	struct interrupt interrupt;
	uint8_t use;			/* enum nic_irq_use, as far as its name tells */
	unsigned queue;			/* that it is of, when it has a use */
	struct weir_cpuset allowed;	/* smp_affinity_list */
	struct weir_cpuset effective;	/* which of them it goes to now; empty: unknown */
};

struct nic {
	char name[16], driver[32];
	int node;			/* the kernel's number; -1 unknown */
	bool up;			/* or it does not say */
	unsigned rx, tx;		/* queues */
	struct weir_cpuset rps, xps;	/* of all of its queues together */
	unsigned rps_queues, xps_queues, rfs_queues; /* that have such a setting */
	struct nic_irq *irqs;
	unsigned irqs_len;
};

struct nics {
	struct nic *list;
	unsigned len;
};

/* What an interrupt of a card is for, by its name: "virtio2-input.0", "eth0-TxRx-3". */
enum nic_irq_use nic_irq_use(const char *name, unsigned *ret_queue);

/* None when memory is short. */
void nics_read(const char *root, struct nics *ret_nics);
void nics_free(struct nics *nics);

#endif
