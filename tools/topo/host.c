/* SPDX-License-Identifier: MIT */
/* host.c: data about this machine that is not in its topology; see topo.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/sysfile.h"
#include "tools/topo/topo.h"

static void read_guest(const char *root, struct topo_host *host)
{
	char flags[8192] = "", vendor[48] = "";

	sysfile_field(root, "/proc/cpuinfo", "flags", flags, sizeof(flags));
	if (!strstr(flags, " hypervisor") && !sysfile_exists(root, "/sys/hypervisor/type"))
		return;
	sysfile_line(root, "/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
	snprintf(host->guest, sizeof(host->guest), "virtual machine%s%s%s", *vendor ? " (" : "",
		 vendor, *vendor ? ")" : "");
}

static void read_memory(const char *root, const struct weir_topo *topo, struct topo_host *host)
{
	char text[64];

	if (sysfile_field(root, "/proc/meminfo", "MemTotal", text, sizeof(text)))
		host->memory_bytes = strtoull(text, NULL, 10) << 10;
	host->pages = calloc(topo->nodes_len, sizeof(*host->pages));
	host->pages_len = calloc(topo->nodes_len, sizeof(*host->pages_len));
	for (unsigned i = 0; host->pages && host->pages_len && i < topo->nodes_len; i++)
		host->pages_len[i] = hugepages_read(root, topo->flat ? -1 : topo->nodes[i].os,
						    host->pages[i]);
}

void topo_host_read(const char *root, const struct weir_topo *topo, struct topo_host *ret_host)
{
	memset(ret_host, 0, sizeof(*ret_host));
	gethostname(ret_host->name, sizeof(ret_host->name) - 1);
	read_guest(root, ret_host);
	read_memory(root, topo, ret_host);
	nics_read(root, &ret_host->nics);
}

void topo_host_free(struct topo_host *host)
{
	nics_free(&host->nics);
	free(host->pages);
	free(host->pages_len);
}
