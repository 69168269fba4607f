/* SPDX-License-Identifier: MIT */
/* nic.c: see nic.h. */
#include "tools/common/nic.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/common/sysfile.h"

#define NET "/sys/class/net/"
#define LIST_LEN 4096

/* ---- interrupts ---- */

static bool has(const char *name, const char *word)
{
	return strcasestr(name, word) != NULL;
}

/* The last number before an '@'; drivers append an address after that. */
static bool last_number(const char *name, unsigned *ret_number)
{
	size_t end = strcspn(name, "@"), begin;

	while (end > 0 && !isdigit((unsigned char)name[end - 1]))
		end--;
	begin = end;
	while (begin > 0 && isdigit((unsigned char)name[begin - 1]))
		begin--;
	if (end == 0 || end - begin > 6)
		return false;
	*ret_number = (unsigned)strtoul(name + begin, NULL, 10);
	return true;
}

enum nic_irq_use nic_irq_use(const char *name, unsigned *ret_queue)
{
	static const char *const others[] = { "config", "control", "ctrl", "event", "async", "mgm",
					      "misc",	"fdir",	   "page" };
	bool rx = has(name, "rx") || has(name, "input");
	bool tx = has(name, "tx") || has(name, "output");
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (has(name, others[i]))
			return NIC_IRQ_OTHER;
	if (!last_number(name, ret_queue))
		return NIC_IRQ_OTHER;
	if (rx != tx)
		return rx ? NIC_IRQ_RX : NIC_IRQ_TX;
	/* "mlx5_comp3" belongs to a queue; "eth0" alone belongs to the whole card. */
	return rx || has(name, "comp") || has(name, "-") ? NIC_IRQ_BOTH : NIC_IRQ_OTHER;
}

static void read_set(const char *root, const char *path, struct weir_cpuset *ret_set)
{
	char text[LIST_LEN];

	memset(ret_set, 0, sizeof(*ret_set));
	if (sysfile_line(root, path, text, sizeof(text)) &&
	    weir_cpuset_parse(text, ret_set, NULL) < 0)
		memset(ret_set, 0, sizeof(*ret_set));
}

static void add_irq(const char *root, struct nic *nic, const struct interrupt *interrupt)
{
	struct nic_irq *irq = &nic->irqs[nic->irqs_len++];
	char path[80];

	memset(irq, 0, sizeof(*irq));
	irq->interrupt = *interrupt;
	irq->use = (uint8_t)nic_irq_use(interrupt->name, &irq->queue);
	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", interrupt->number);
	read_set(root, path, &irq->allowed);
	snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity_list", interrupt->number);
	read_set(root, path, &irq->effective);
}

/* Whether an interrupt's name contains the card's: for eth0, "eth0-TxRx-3" but not "eth01". */
static bool names_card(const char *name, const char *card)
{
	size_t len = strlen(card);

	for (const char *at = name; (at = strstr(at, card)); at++)
		if ((at == name || !isalnum((unsigned char)at[-1])) &&
		    !isalnum((unsigned char)at[len]))
			return true;
	return false;
}

/* The numbers of the card's MSI interrupts; a virtio card has them in its PCI device. */
static unsigned own_irqs(const char *root, const char *name, char (**ret_names)[SYSFILE_NAME])
{
	static const char *const folders[] = { "device/msi_irqs", "device/../msi_irqs" };
	char path[96];
	unsigned len = 0;

	*ret_names = NULL;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && len == 0; i++) {
		free(*ret_names);
		snprintf(path, sizeof(path), NET "%s/%s", name, folders[i]);
		len = sysfile_entries(root, path, "", ret_names);
	}
	return len;
}

static bool is_own(const struct interrupt *interrupt, const char *card,
		   char (*numbers)[SYSFILE_NAME], unsigned len)
{
	if (len == 0)
		return names_card(interrupt->name, card);
	for (unsigned i = 0; i < len; i++)
		if (strtoul(numbers[i], NULL, 10) == interrupt->number)
			return true;
	return false;
}

static int by_queue(const void *a, const void *b)
{
	const struct nic_irq *left = a, *right = b;

	if ((left->use == NIC_IRQ_OTHER) != (right->use == NIC_IRQ_OTHER))
		return left->use == NIC_IRQ_OTHER ? 1 : -1;
	if (left->queue != right->queue)
		return left->queue < right->queue ? -1 : 1;
	if (left->use != right->use)
		return left->use < right->use ? -1 : 1;
	return (left->interrupt.number > right->interrupt.number) -
	       (left->interrupt.number < right->interrupt.number);
}

static void read_irqs(const char *root, const struct interrupts *all, struct nic *nic)
{
	char(*numbers)[SYSFILE_NAME];
	unsigned len = own_irqs(root, nic->name, &numbers);

	nic->irqs = all->len ? calloc(all->len, sizeof(*nic->irqs)) : NULL;
	for (unsigned i = 0; nic->irqs && i < all->len; i++)
		if (is_own(&all->list[i], nic->name, numbers, len))
			add_irq(root, nic, &all->list[i]);
	if (nic->irqs_len)
		qsort(nic->irqs, nic->irqs_len, sizeof(*nic->irqs), by_queue);
	free(numbers);
}

/* ---- queues ---- */

/* A mask such as "00000000,0000000f": words of 32 bits, the lowest last. */
static void read_mask(const char *root, const char *path, struct weir_cpuset *ret_set)
{
	char text[LIST_LEN];
	unsigned bit = 0;

	memset(ret_set, 0, sizeof(*ret_set));
	if (!sysfile_line(root, path, text, sizeof(text)))
		return;
	for (size_t i = strlen(text); i > 0 && bit < WEIR_CPUS_MAX; i--) {
		char digit[2] = { text[i - 1], '\0' };
		unsigned long nibble = strtoul(digit, NULL, 16);

		if (!isxdigit((unsigned char)digit[0]))
			continue;
		for (unsigned k = 0; k < 4; k++)
			if (nibble >> k & 1)
				weir_cpuset_add(ret_set, bit + k);
		bit += 4;
	}
}

static unsigned add_mask(const char *root, const struct nic *nic, const char *queue,
			 const char *file, struct weir_cpuset *set)
{
	struct weir_cpuset one;
	char path[128];

	snprintf(path, sizeof(path), NET "%s/queues/%s/%s", nic->name, queue, file);
	read_mask(root, path, &one);
	for (size_t i = 0; i < sizeof(set->word) / sizeof(set->word[0]); i++)
		set->word[i] |= one.word[i];
	return weir_cpuset_count(&one) > 0;
}

static void read_queues(const char *root, struct nic *nic)
{
	char path[128], (*names)[SYSFILE_NAME];
	long long flows;
	unsigned len;

	snprintf(path, sizeof(path), NET "%s/queues", nic->name);
	len = sysfile_entries(root, path, "", &names);
	for (unsigned i = 0; i < len; i++) {
		if (strncmp(names[i], "rx-", 3) == 0) {
			nic->rx++;
			nic->rps_queues += add_mask(root, nic, names[i], "rps_cpus", &nic->rps);
			snprintf(path, sizeof(path), NET "%s/queues/%s/rps_flow_cnt", nic->name,
				 names[i]);
			nic->rfs_queues += sysfile_number(root, path, &flows) && flows > 0;
		} else if (strncmp(names[i], "tx-", 3) == 0) {
			nic->tx++;
			nic->xps_queues += add_mask(root, nic, names[i], "xps_cpus", &nic->xps);
		}
	}
	free(names);
}

/* ---- cards ---- */

static void read_nic(const char *root, const char *name, const struct interrupts *all,
		     struct nic *ret_nic)
{
	char path[96], state[24];
	long long node = -1;

	memset(ret_nic, 0, sizeof(*ret_nic));
	snprintf(ret_nic->name, sizeof(ret_nic->name), "%.15s", name);
	snprintf(path, sizeof(path), NET "%s/device/driver", name);
	sysfile_link(root, path, ret_nic->driver, sizeof(ret_nic->driver));
	snprintf(path, sizeof(path), NET "%s/device/numa_node", name);
	if (!sysfile_number(root, path, &node)) {
		snprintf(path, sizeof(path), NET "%s/device/../numa_node", name);
		sysfile_number(root, path, &node);
	}
	ret_nic->node = (int)node;
	snprintf(path, sizeof(path), NET "%s/operstate", name);
	ret_nic->up = !sysfile_line(root, path, state, sizeof(state)) || strcmp(state, "down") != 0;
	read_queues(root, ret_nic);
	read_irqs(root, all, ret_nic);
}

void nics_read(const char *root, struct nics *ret_nics)
{
	struct interrupts all;
	char path[96], (*names)[SYSFILE_NAME];
	unsigned len = sysfile_entries(root, "/sys/class/net", "", &names);

	interrupts_read(root, &all);
	ret_nics->list = len ? calloc(len, sizeof(*ret_nics->list)) : NULL;
	ret_nics->len = 0;
	for (unsigned i = 0; ret_nics->list && i < len; i++) {
		snprintf(path, sizeof(path), NET "%s/device", names[i]);
		if (sysfile_exists(root, path))
			read_nic(root, names[i], &all, &ret_nics->list[ret_nics->len++]);
	}
	interrupts_free(&all);
	free(names);
}

void nics_free(struct nics *nics)
{
	for (unsigned i = 0; i < nics->len; i++)
		free(nics->list[i].irqs);
	free(nics->list);
	*nics = (struct nics){ 0 };
}
