/* SPDX-License-Identifier: MIT */
/* hugepages.c: see hugepages.h. */
#include "tools/common/hugepages.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/common/sysfile.h"

static uint64_t read_count(const char *root, const char *folder, const char *size, const char *file)
{
	long long value = 0;
	char path[160];

	snprintf(path, sizeof(path), "%s/%s/%s", folder, size, file);
	sysfile_number(root, path, &value);
	return value > 0 ? (uint64_t)value : 0;
}

unsigned hugepages_read(const char *root, int node, struct hugepages sizes[HUGEPAGES_SIZES_MAX])
{
	char folder[80] = "/sys/kernel/mm/hugepages", (*names)[SYSFILE_NAME];
	unsigned len, count = 0;

	if (node >= 0)
		snprintf(folder, sizeof(folder), "/sys/devices/system/node/node%d/hugepages", node);
	len = sysfile_entries(root, folder, "hugepages-", &names);
	for (unsigned i = 0; i < len && count < HUGEPAGES_SIZES_MAX; i++) {
		unsigned long long kib = strtoull(names[i] + sizeof("hugepages-") - 1, NULL, 10);

		if (!kib)
			continue;
		sizes[count++] = (struct hugepages){
			.bytes = kib << 10,
			.total = read_count(root, folder, names[i], "nr_hugepages"),
			.free = read_count(root, folder, names[i], "free_hugepages"),
		};
	}
	free(names);
	return count;
}
