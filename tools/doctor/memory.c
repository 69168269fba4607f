/* SPDX-License-Identifier: MIT */
/*
 * memory.c: huge pages, reserved and transparent, and what the kernel does with pages and
 * nodes without being asked.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/common/hugepages.h"
#include "tools/common/quantity.h"
#include "tools/common/sysfile.h"
#include "tools/doctor/doctor.h"
#include "weir/topo.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"

static unsigned nodes(const struct doctor *doctor)
{
	return doctor->topo ? doctor->topo->nodes_len : 1;
}

/* ---- reserved huge pages ---- */

/* List the nodes of the huge pages of one size. */
static void add_nodes(const struct doctor *doctor, uint64_t bytes, char *buf, size_t len)
{
	struct hugepages sizes[HUGEPAGES_SIZES_MAX];
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < nodes(doctor) && nodes(doctor) > 1 && used < len; i++) {
		unsigned os = doctor->topo->nodes[i].os;
		unsigned count = hugepages_read(doctor->machine->root, (int)os, sizes);

		for (unsigned k = 0; k < count && used < len; k++)
			if (sizes[k].bytes == bytes)
				used += (size_t)snprintf(buf + used, len - used, "%s node %u: %llu",
							 used ? "," : ";", os,
							 (unsigned long long)sizes[k].total);
	}
}

static bool is_mounted(const struct doctor *doctor)
{
	FILE *file = sysfile_open(doctor->machine->root, "/proc/mounts");
	bool found = false;
	char line[1024];

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, " hugetlbfs ") != NULL;
	if (file)
		fclose(file);
	return found;
}

static void check_huge(struct doctor *doctor)
{
	struct hugepages sizes[HUGEPAGES_SIZES_MAX];
	unsigned count = hugepages_read(doctor->machine->root, -1, sizes), reserved = 0;
	char size[QUANTITY_LEN], places[128], id[32];

	for (unsigned i = 0; i < count; i++) {
		if (!sizes[i].total)
			continue;
		quantity_format(QUANTITY_BYTES, (double)sizes[i].bytes, 1, size, sizeof(size));
		add_nodes(doctor, sizes[i].bytes, places, sizeof(places));
		snprintf(id, sizeof(id), "memory.huge_%llum",
			 (unsigned long long)sizes[i].bytes >> 20);
		doctor_add(doctor, DOCTOR_INFO, id, "%llu of %llu huge pages of %s are free%s",
			   (unsigned long long)sizes[i].free, (unsigned long long)sizes[i].total,
			   size, places);
		reserved++;
	}
	if (count && !reserved)
		doctor_add(doctor, DOCTOR_INFO, "memory.huge",
			   "no huge pages are reserved; no backend of this version uses any");
	if (!reserved || is_mounted(doctor))
		return;
	doctor_add(doctor, DOCTOR_INFO, "memory.hugetlbfs",
		   "huge pages are reserved, but no hugetlbfs is mounted for programs that need a "
		   "file");
	doctor_fix(doctor, "mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages");
}

/* ---- automatic behaviour of the kernel ---- */

/* The chosen word of a setting such as "always [madvise] never". */
static bool chosen(const struct doctor *doctor, const char *path, char *buf, size_t len)
{
	char line[128], *open, *close;

	if (!doctor_read(doctor, path, line, sizeof(line)))
		return false;
	open = strchr(line, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return false;
	snprintf(buf, len, "%.*s", (int)(close - open - 1), open + 1);
	return true;
}

static void check_transparent(struct doctor *doctor)
{
	char enabled[32], defrag[32] = "unknown";
	bool stalls;

	if (!chosen(doctor, THP "enabled", enabled, sizeof(enabled)))
		return;
	chosen(doctor, THP "defrag", defrag, sizeof(defrag));
	stalls = strcmp(enabled, "always") == 0 && strcmp(defrag, "always") == 0;
	doctor_add(doctor, stalls ? DOCTOR_WARN : DOCTOR_PASS, "memory.transparent",
		   "transparent huge pages %s, defrag %s%s", enabled, defrag,
		   stalls ? ": any page fault may wait for memory compaction" : "");
	if (stalls)
		doctor_fix(doctor, "echo madvise >" THP "defrag");
}

static void check_balancing(struct doctor *doctor)
{
	long long value;
	bool moves;

	if (nodes(doctor) < 2 ||
	    !doctor_read_number(doctor, "/proc/sys/kernel/numa_balancing", &value))
		return;
	moves = value != 0 && doctor_is_bound(doctor);
	doctor_add(
		doctor, moves ? DOCTOR_WARN : DOCTOR_PASS, "memory.numa_balancing",
		value == 0 ? "off"
		: moves ? "on, although the workers are bound and their memory is on their nodes: "
			  "it causes useless page faults"
			: "on, and the workers are not bound");
	if (moves)
		doctor_fix(doctor, "sysctl -w kernel.numa_balancing=0");
}

static void check_reclaim(struct doctor *doctor)
{
	long long value;

	if (nodes(doctor) < 2 ||
	    !doctor_read_number(doctor, "/proc/sys/vm/zone_reclaim_mode", &value))
		return;
	doctor_add(doctor, value ? DOCTOR_WARN : DOCTOR_PASS, "memory.zone_reclaim",
		   value ? "on: a full node discards its page cache before memory comes from "
			   "another node"
			 : "off");
	if (value)
		doctor_fix(doctor, "sysctl -w vm.zone_reclaim_mode=0");
}

/* The memory of all nodes should add up to MemTotal; with some hypervisors it does not. */
static void check_total(struct doctor *doctor)
{
	char text[64], by_node[QUANTITY_LEN], in_all[QUANTITY_LEN];
	uint64_t total, sum = 0;
	bool agree;

	if (!doctor_read_field(doctor, "/proc/meminfo", "MemTotal", text, sizeof(text)))
		return;
	total = strtoull(text, NULL, 10) << 10;
	for (unsigned i = 0; doctor->topo && i < doctor->topo->nodes_len; i++)
		sum += doctor->topo->nodes[i].memory_bytes;
	quantity_format(QUANTITY_BYTES, (double)total, 3, in_all, sizeof(in_all));
	quantity_format(QUANTITY_BYTES, (double)sum, 3, by_node, sizeof(by_node));
	agree = !sum || (sum < total + total / 8 && total < sum + sum / 8);
	doctor_add(doctor, agree ? DOCTOR_PASS : DOCTOR_INFO, "memory.total",
		   agree ? "%s" : "MemTotal is %s, but the nodes have %s", in_all,
		   by_node);
}

void doctor_check_memory(struct doctor *doctor)
{
	doctor->group = "memory";
	check_total(doctor);
	check_huge(doctor);
	check_transparent(doctor);
	check_balancing(doctor);
	check_reclaim(doctor);
}
