/* SPDX-License-Identifier: MIT */
/*
 * nics.c: the network devices of this machine and the memory node of each, from
 * sysfs. That reads two files for each device, where hwloc would go through every
 * device of every bus.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/topo.h"

/* The kernel's number of the node; -1 if unknown. For a virtio device only its parent has it. */
static int os_node_of(const char *nic)
{
	static const char *const places[] = { "device/numa_node", "device/../numa_node" };
	char path[PATH_MAX];
	int node = -1;
	FILE *f;

	for (unsigned i = 0; i < 2 && node < 0; i++) {
		if ((size_t)snprintf(path, sizeof path, "%s/%s", nic, places[i]) >= sizeof path)
			continue;
		f = fopen(path, "re");
		if (f && fscanf(f, "%d", &node) != 1)
			node = -1;
		if (f)
			fclose(f);
	}
	return node;
}

static int node_of(const struct weir_topo *topo, const char *nic)
{
	int os = os_node_of(nic);

	if (topo->nodes_len == 1)
		return 0;
	for (unsigned i = 0; os >= 0 && i < topo->nodes_len; i++)
		if (topo->nodes[i].os == os)
			return (int)i;
	return -1;
}

static int add(struct weir_topo *topo, const char *name, const char *nic)
{
	size_t len = topo->nics_len + 1u;
	struct weir_topo_nic *nics = realloc(topo->nics, len * sizeof *nics);

	if (!nics)
		return -ENOMEM;
	snprintf(nics[len - 1].name, sizeof nics->name, "%.15s", name);
	nics[len - 1].node = node_of(topo, nic);
	topo->nics = nics;
	topo->nics_len++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct weir_topo_nic *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int weir__topo_read_nics(const char *root, struct weir_topo *topo)
{
	char dir[PATH_MAX], nic[PATH_MAX], device[PATH_MAX];
	struct dirent *entry;
	int rc = 0;
	DIR *d;

	snprintf(dir, sizeof dir, "%s/sys/class/net", root);
	d = opendir(dir);
	while (d && rc == 0 && (entry = readdir(d))) {
		if (entry->d_name[0] == '.' ||
		    (size_t)snprintf(nic, sizeof nic, "%s/%s", dir, entry->d_name) >= sizeof nic ||
		    (size_t)snprintf(device, sizeof device, "%s/device", nic) >= sizeof device ||
		    access(device, F_OK) < 0)
			continue;
		rc = add(topo, entry->d_name, nic);
	}
	if (d)
		closedir(d);
	if (topo->nics_len)
		qsort(topo->nics, topo->nics_len, sizeof *topo->nics, by_name);
	return rc;
}
