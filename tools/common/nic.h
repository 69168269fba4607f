/* SPDX-License-Identifier: MIT */
/*
 * nic.h: the network cards of a machine, with their queues, their interrupts and the
 * CPUs that handle them; read from /sys/class/net, /proc/interrupts and /proc/irq.
 * Interfaces without a device (loopback, bridges, tunnels) are not listed.
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
	NIC_IRQ_BOTH = 3		/* one for both directions */
};

struct nic_irq {
	struct interrupt interrupt;
	uint8_t use;			/* enum nic_irq_use, guessed from its name */
	unsigned queue;			/* the queue's number, unless use is NIC_IRQ_OTHER */
	struct weir_cpuset allowed;	/* smp_affinity_list */
	struct weir_cpuset effective;	/* where it goes now; empty: unknown */
};

struct nic {
	char name[16], driver[32];
	int node;			/* the kernel's number; -1 unknown */
	bool up;			/* also if the state is unknown */
	unsigned rx, tx;		/* numbers of queues */
	struct weir_cpuset rps, xps;	/* the union over all queues */
	unsigned rps_queues, xps_queues, rfs_queues; /* numbers of queues with this setting */
	struct nic_irq *irqs;
	unsigned irqs_len;
};

struct nics {
	struct nic *list;
	unsigned len;
};

/* Guess the use of a card's interrupt from its name: "virtio2-input.0", "eth0-TxRx-3". */
enum nic_irq_use nic_irq_use(const char *name, unsigned *ret_queue);

/* The list is empty if memory runs out. */
void nics_read(const char *root, struct nics *ret_nics);
void nics_free(struct nics *nics);

#endif
