/* SPDX-License-Identifier: MIT */
/*
 * hwloc.c: reads a topology with hwloc (2.9 or later): of this machine, of an XML
 * file, or of a synthetic description. No other file knows hwloc.
 *
 * hwloc's tree has many kinds of levels, and each may be missing. A topology
 * always has the same levels, so something must stand in for what is missing:
 *
 *	l3	an L3 cache. If a node's memory is attached below it (sub-NUMA clusters), the
 *		object that the memory is attached to. Without any L3 (many Arm and virtual
 *		machines hide it) the largest cache of at least FEW_CORES cores, else the
 *		object that the memory is attached to, or the package
 *	cluster	the cores of one kind that share an L2 cache or a group inside an L3, if
 *		there are at least FEW_CORES (some Arm processors call each pair of cores a
 *		cluster); otherwise all cores of that kind in the L3
 *	node	the nearest node with normal memory, not a high-bandwidth one beside it
 *
 * The reading includes the CPUs that this process may not use; topo.c removes
 * them. hwloc is configured not to bind threads, and not to look for this
 * machine's devices.
 */
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "topo/cpus.h"
#include "topo/topo.h"
#include "topo/xml.h"
#include "weir/rt.h"

#define FEW_CORES 4u
#define KINDS_MAX 256u
#define FILE_MAX (1u << 28)
/* the largest index in a description; hwloc allocates sets for each */
#define INDEX_MAX 65535u

/* Objects that CPUs have in common, numbered in the order of their first appearance. */
struct domains {
	struct domain {
		hwloc_obj_t obj;
		unsigned kind;		/* the kind of core, for clusters */
	} * at;
	unsigned len;
};

struct reading {
	hwloc_topology_t hw;
	struct weir_topo *topo;
	struct domains cores, clusters, l3s, packages;
	uint16_t capacity[KINDS_MAX];
};

/* ---- what a CPU is in ---- */

static uint16_t number_of(struct domains *domains, hwloc_obj_t obj, unsigned kind)
{
	unsigned i = domains->len;

	while (i-- > 0)
		if (domains->at[i].obj == obj && domains->at[i].kind == kind)
			return (uint16_t)i;
	domains->at[domains->len] = (struct domain){ obj, kind };
	return (uint16_t)domains->len++;
}

static bool is_normal_memory(hwloc_obj_t node)
{
	return node->attr->numanode.local_memory > 0 &&
	       (!node->subtype || !strcmp(node->subtype, "DRAM"));
}

/*
 * Finds the nearest node of a CPU; *ret_at is the object that its memory is attached to. NULL,
 * with the whole machine in *ret_at, if no node is above the CPU.
 */
static hwloc_obj_t nearest_node(hwloc_obj_t pu, hwloc_obj_t *ret_at)
{
	hwloc_obj_t at, child, node, nearest = NULL;

	for (at = pu; at; at = at->parent) {
		if (!nearest)
			*ret_at = at;
		for (child = at->memory_first_child; child; child = child->next_sibling) {
			node = child;
			/* behind a memory-side cache */
			while (node->type != HWLOC_OBJ_NUMANODE)
				node = node->memory_first_child;
			if (is_normal_memory(node)) {
				*ret_at = at;
				return node;
			}
			if (!nearest)
				nearest = node;
		}
	}
	return nearest;
}

static unsigned cores_in(const struct reading *r, hwloc_obj_t obj)
{
	int n = hwloc_get_nbobjs_inside_cpuset_by_type(r->hw, obj->cpuset, HWLOC_OBJ_CORE);

	return n > 0 ? (unsigned)n : (unsigned)hwloc_bitmap_weight(obj->cpuset);
}

static hwloc_obj_t l3_of(const struct reading *r, hwloc_obj_t pu, hwloc_obj_t memory_at)
{
	hwloc_obj_t obj = pu, shared = NULL;

	for (;; obj = obj->parent) {
		if (obj->type == HWLOC_OBJ_L3CACHE)
			return obj;
		if (hwloc_obj_type_is_dcache(obj->type) && cores_in(r, obj) >= FEW_CORES)
			shared = obj;
		if (obj == memory_at || obj->type == HWLOC_OBJ_PACKAGE || !obj->parent)
			break;
	}
	if (shared && !hwloc_get_ancestor_obj_by_type(r->hw, HWLOC_OBJ_L3CACHE, obj))
		return shared;
	return obj;
}

static hwloc_obj_t cluster_of(const struct reading *r, hwloc_obj_t pu, hwloc_obj_t l3)
{
	hwloc_obj_t obj;

	for (obj = pu; obj != l3; obj = obj->parent)
		if ((obj->type == HWLOC_OBJ_L2CACHE || obj->type == HWLOC_OBJ_GROUP) &&
		    cores_in(r, obj) >= FEW_CORES)
			return obj;
	return l3;
}

static hwloc_obj_t ancestor_or(const struct reading *r, hwloc_obj_type_t type, hwloc_obj_t pu,
			       hwloc_obj_t otherwise)
{
	hwloc_obj_t obj = hwloc_get_ancestor_obj_by_type(r->hw, type, pu);

	return obj ? obj : otherwise;
}

/* ---- CPUs ---- */

static void read_cpu(struct reading *r, hwloc_obj_t pu, struct weir_topo_cpu *cpu)
{
	hwloc_obj_t core = ancestor_or(r, HWLOC_OBJ_CORE, pu, pu), memory_at = NULL, l3;
	hwloc_obj_t node = nearest_node(pu, &memory_at);
	int kind = hwloc_cpukinds_get_by_cpuset(r->hw, pu->cpuset, 0);

	cpu->os = (uint16_t)pu->os_index;
	cpu->kind = kind < 0 ? 0 : (uint8_t)kind;
	cpu->capacity = r->capacity[cpu->kind];
	cpu->core = number_of(&r->cores, core, 0);
	/*
	 * A second thread of a core is in the same objects as the first, so the searches are
	 * skipped.
	 */
	if (cpu > r->topo->cpus && cpu[-1].core == cpu->core) {
		cpu->thread = (uint8_t)(cpu[-1].thread + 1);
		cpu->cluster = cpu[-1].cluster;
		cpu->l3 = cpu[-1].l3;
		cpu->package = cpu[-1].package;
		cpu->node = cpu[-1].node;
		return;
	}
	l3 = l3_of(r, pu, memory_at);
	cpu->l3 = number_of(&r->l3s, l3, 0);
	cpu->cluster = number_of(&r->clusters, cluster_of(r, pu, l3), cpu->kind);
	cpu->package = number_of(&r->packages,
				 ancestor_or(r, HWLOC_OBJ_PACKAGE, pu, hwloc_get_root_obj(r->hw)),
				 0);
	cpu->node = node ? (uint16_t)node->logical_index : 0;
}

/* The domain that contains a CPU which is not in use; the first domain if that is unknown. */
static uint16_t holder_of(const struct domains *domains, unsigned os)
{
	for (unsigned i = 0; i < domains->len; i++)
		if (domains->at[i].obj &&
		    hwloc_bitmap_isset(domains->at[i].obj->complete_cpuset, os))
			return (uint16_t)i;
	return 0;
}

static void read_offline_cpu(struct reading *r, unsigned os, struct weir_topo_cpu *cpu)
{
	hwloc_obj_t node = NULL;

	cpu->os = (uint16_t)os;
	cpu->out = WEIR_CPU_OFFLINE;
	cpu->core = number_of(&r->cores, NULL, os);
	cpu->l3 = holder_of(&r->l3s, os);
	cpu->cluster = holder_of(&r->clusters, os);
	cpu->package = holder_of(&r->packages, os);
	while ((node = hwloc_get_next_obj_by_type(r->hw, HWLOC_OBJ_NUMANODE, node)))
		if (hwloc_bitmap_isset(node->complete_cpuset, os)) {
			cpu->node = (uint16_t)node->logical_index;
			break;
		}
}

static int new_domains(struct domains *domains, unsigned max)
{
	domains->at = calloc(max, sizeof *domains->at);
	return domains->at ? 0 : -ENOMEM;
}

/* Allocates room for len CPUs and for every domain that they can be in. */
static int new_cpus(struct reading *r, unsigned len)
{
	r->topo->cpus = calloc(len, sizeof *r->topo->cpus);
	if (!r->topo->cpus || new_domains(&r->cores, len) < 0 ||
	    new_domains(&r->clusters, len) < 0 || new_domains(&r->l3s, len) < 0 ||
	    new_domains(&r->packages, len) < 0)
		return -ENOMEM;
	r->topo->cpus_len = len;
	return 0;
}

/*
 * Finds CPUs that exist but are not in use. present has the CPUs that exist; NULL: take them from
 * the file. Fails with -E2BIG for a CPU in use whose number is too large for a set.
 */
static int find_offline(const struct reading *r, const struct weir_cpuset *present,
			struct weir_cpuset *ret_offline)
{
	hwloc_obj_t root = hwloc_get_root_obj(r->hw), pu = NULL;
	struct weir_cpuset set = { { 0 } };
	unsigned os;

	for (os = 0; os < WEIR_CPUS_MAX; os++)
		if (present ? weir_cpuset_has(present, os)
			    : hwloc_bitmap_isset(root->complete_cpuset, os))
			weir_cpuset_add(&set, os);
	while ((pu = hwloc_get_next_obj_by_type(r->hw, HWLOC_OBJ_PU, pu))) {
		os = pu->os_index;
		if (os >= WEIR_CPUS_MAX)
			return -E2BIG;
		set.word[os / 64] &= ~((uint64_t)1 << os % 64);
	}
	*ret_offline = set;
	return 0;
}

static int read_cpus(struct reading *r, const struct weir_cpuset *present)
{
	unsigned n = (unsigned)hwloc_get_nbobjs_by_type(r->hw, HWLOC_OBJ_PU), os;
	struct weir_cpuset offline;
	hwloc_obj_t pu = NULL;
	int rc = find_offline(r, present, &offline);

	if (rc == 0)
		rc = new_cpus(r, n + weir_cpuset_count(&offline));
	if (rc < 0)
		return rc;
	for (n = 0; (pu = hwloc_get_next_obj_by_type(r->hw, HWLOC_OBJ_PU, pu)); n++)
		read_cpu(r, pu, &r->topo->cpus[n]);
	for (os = 0; os < WEIR_CPUS_MAX; os++)
		if (weir_cpuset_has(&offline, os))
			read_offline_cpu(r, os, &r->topo->cpus[n++]);
	return 0;
}

/* ---- kinds of core ---- */

/* 0 if it is unknown. */
static unsigned long speed_of(const struct reading *r, unsigned kind, const char *name)
{
	struct hwloc_info_s *infos = NULL;
	unsigned i, n = 0;

	if (hwloc_cpukinds_get_info(r->hw, kind, NULL, NULL, &n, &infos, 0) < 0)
		return 0;
	for (i = 0; i < n; i++)
		if (!strcmp(infos[i].name, name))
			return strtoul(infos[i].value, NULL, 10);
	return 0;
}

/* Sets the capacities from one measure; false if a kind of core lacks it. */
static bool read_capacities(struct reading *r, const char *name)
{
	unsigned long speed[KINDS_MAX], fastest = 0;
	unsigned kind;

	for (kind = 0; kind < r->topo->kinds; kind++) {
		speed[kind] = speed_of(r, kind, name);
		if (!speed[kind])
			return false;
		if (speed[kind] > fastest)
			fastest = speed[kind];
	}
	for (kind = 0; kind < r->topo->kinds; kind++)
		r->capacity[kind] = (uint16_t)(speed[kind] * 1024 / fastest);
	return true;
}

/* hwloc numbers the kinds by efficiency, the slowest first. */
static void read_kinds(struct reading *r)
{
	static const char *const measures[] = { "LinuxCapacity", "FrequencyMaxMHz",
						"FrequencyBaseMHz" };
	int n = hwloc_cpukinds_get_nr(r->hw, 0);
	unsigned i;

	r->topo->kinds = n < 1 ? 1 : n > (int)KINDS_MAX ? KINDS_MAX : (unsigned)n;
	for (i = 0; n > 0 && i < sizeof measures / sizeof measures[0]; i++)
		if (read_capacities(r, measures[i]))
			break;
}

/* ---- memory and caches ---- */

static int read_nodes(struct reading *r)
{
	hwloc_obj_t node = NULL;
	int n = hwloc_get_nbobjs_by_type(r->hw, HWLOC_OBJ_NUMANODE);

	r->topo->nodes = calloc((size_t)n, sizeof *r->topo->nodes);
	if (!r->topo->nodes)
		return -ENOMEM;
	r->topo->nodes_len = (unsigned)n;
	while ((node = hwloc_get_next_obj_by_type(r->hw, HWLOC_OBJ_NUMANODE, node)))
		r->topo->nodes[node->logical_index] =
			(struct weir_topo_node){ (uint16_t)node->os_index,
						 node->attr->numanode.local_memory };
	return 0;
}

/* The domain's part of its cache, which other domains may share. */
static uint64_t cache_bytes(hwloc_obj_t domain)
{
	hwloc_obj_t cache = domain;

	while (cache && !hwloc_obj_type_is_dcache(cache->type))
		cache = cache->parent;
	if (!cache)
		return 0;
	return cache->attr->cache.size * (uint64_t)hwloc_bitmap_weight(domain->cpuset) /
	       (uint64_t)hwloc_bitmap_weight(cache->cpuset);
}

static int read_l3s(struct reading *r)
{
	r->topo->l3s = calloc(r->l3s.len, sizeof *r->topo->l3s);
	if (!r->topo->l3s)
		return -ENOMEM;
	r->topo->l3s_len = r->l3s.len;
	for (unsigned i = 0; i < r->l3s.len; i++)
		r->topo->l3s[i].bytes = cache_bytes(r->l3s.at[i].obj);
	return 0;
}

/* Copies the distances, scaled so that the smallest is 10; false for an invalid matrix. */
static bool copy_distances(const struct hwloc_distances_s *matrix, struct weir_topo *topo)
{
	unsigned i, k, n = topo->nodes_len;
	hwloc_uint64_t nearest = UINT64_MAX, far;

	for (i = 0; i < n * n; i++)
		if (matrix->values[i] < nearest)
			nearest = matrix->values[i];
	for (i = 0; nearest && i < n; i++)
		for (k = 0; k < n; k++) {
			far = matrix->values[i * n + k] * 10 / nearest;
			topo->distances[matrix->objs[i]->logical_index * n +
					matrix->objs[k]->logical_index] =
				far < UINT16_MAX ? (uint16_t)far : UINT16_MAX;
		}
	return nearest > 0;
}

static int read_distances(struct reading *r)
{
	unsigned n = r->topo->nodes_len, found = 1;
	struct hwloc_distances_s *matrix;
	int rc = 0;

	if (hwloc_distances_get_by_type(r->hw, HWLOC_OBJ_NUMANODE, &found, &matrix,
					HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) < 0 ||
	    !found)
		return 0;
	if (matrix->nbobjs == n) {
		r->topo->distances = calloc((size_t)n * n, sizeof *r->topo->distances);
		if (!r->topo->distances) {
			rc = -ENOMEM;
		} else if (!copy_distances(matrix, r->topo)) {
			free(r->topo->distances);
			r->topo->distances = NULL;
		}
	}
	hwloc_distances_release(r->hw, matrix);
	return rc;
}

/* ---- NICs, from a file ---- */

static hwloc_obj_t next_nic(const struct reading *r, hwloc_obj_t dev)
{
	while ((dev = hwloc_get_next_osdev(r->hw, dev)))
		if (dev->attr->osdev.type == HWLOC_OBJ_OSDEV_NETWORK && dev->name)
			return dev;
	return NULL;
}

/* The node of the CPUs that a NIC is attached to; -1 if it is attached to the whole machine. */
static int node_of_nic(const struct reading *r, hwloc_obj_t dev)
{
	hwloc_obj_t at = hwloc_get_non_io_ancestor_obj(r->hw, dev);

	for (unsigned i = 0; i < r->topo->cpus_len; i++)
		if ((at->parent || r->topo->nodes_len == 1) &&
		    hwloc_bitmap_isset(at->cpuset, r->topo->cpus[i].os))
			return r->topo->cpus[i].node;
	return -1;
}

static int read_nics(struct reading *r)
{
	struct weir_topo_nic *nic;
	hwloc_obj_t dev = NULL;
	unsigned n = 0;

	while ((dev = next_nic(r, dev)))
		n++;
	if (n == 0)
		return 0;
	r->topo->nics = calloc(n, sizeof *r->topo->nics);
	if (!r->topo->nics)
		return -ENOMEM;
	while ((dev = next_nic(r, dev))) {
		nic = &r->topo->nics[r->topo->nics_len++];
		snprintf(nic->name, sizeof nic->name, "%s", dev->name);
		nic->node = node_of_nic(r, dev);
	}
	return 0;
}

/* ---- the whole ---- */

static int read_all(hwloc_topology_t hw, const struct weir_cpuset *present, struct weir_topo *topo)
{
	struct reading r = { .hw = hw, .topo = topo };
	int rc;

	read_kinds(&r);
	(void)((rc = read_nodes(&r)) < 0 || (rc = read_cpus(&r, present)) < 0 ||
	       (rc = read_l3s(&r)) < 0 || (rc = read_distances(&r)) < 0 ||
	       (rc = read_nics(&r)) < 0);
	topo->cores = r.cores.len;
	topo->clusters = r.clusters.len;
	topo->packages = r.packages.len;
	free(r.cores.at);
	free(r.clusters.at);
	free(r.l3s.at);
	free(r.packages.at);
	return rc;
}

/*
 * Makes hwloc omit what weir does not use: instruction caches, private caches, this machine's
 * devices.
 */
static int configure(hwloc_topology_t hw)
{
	if (hwloc_topology_set_flags(hw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED |
						 HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING) < 0 ||
	    hwloc_topology_set_icache_types_filter(hw, HWLOC_TYPE_FILTER_KEEP_NONE) < 0 ||
	    hwloc_topology_set_type_filter(hw, HWLOC_OBJ_L1CACHE, HWLOC_TYPE_FILTER_KEEP_NONE) < 0)
		return -errno;
	return 0;
}

/* ---- a file or a description ---- */

/*
 * Reads a file to its end and appends a zero byte. The size is unknown, as it may not be a regular
 * file.
 */
static int read_whole(FILE *f, char **ret_text, size_t *ret_len)
{
	size_t size = 1u << 16, len = 0;
	char *text = malloc(size), *larger;

	while (text) {
		len += fread(text + len, 1, size - 1 - len, f);
		if (len < size - 1)
			break;
		size *= 2;
		larger = size <= FILE_MAX ? realloc(text, size) : NULL;
		if (!larger)
			free(text);
		text = larger;
	}
	if (!text)
		return size > FILE_MAX ? -EFBIG : -ENOMEM;
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return ferror(f) ? -EIO : 0;
}

static int load_text(hwloc_topology_t hw, const char *name, const char *text, size_t len,
		     struct weir_why *why)
{
	int rc = weir__topo_xml_check(text, name, why);

	if (rc < 0)
		return rc;
	if (hwloc_topology_set_io_types_filter(hw, HWLOC_TYPE_FILTER_KEEP_ALL) == 0 &&
	    hwloc_topology_set_xmlbuffer(hw, text, (int)len + 1) == 0 &&
	    hwloc_topology_load(hw) == 0)
		return 0;
	snprintf(why->text, sizeof why->text,
		 "'%s' is not an XML topology that hwloc %s can read; 'lstopo FILE.xml' writes one",
		 name, HWLOC_VERSION);
	return -EINVAL;
}

static int unreadable(const char *input, int rc, struct weir_why *why)
{
	snprintf(why->text, sizeof why->text, "'%s' cannot be read: %s", input, strerror(-rc));
	return rc;
}

static int load_file(hwloc_topology_t hw, const char *input, struct weir_why *why)
{
	struct stat st;
	char *text = NULL;
	size_t len;
	FILE *f;
	int rc;

	if (stat(input, &st) == 0 && S_ISDIR(st.st_mode)) {
		snprintf(why->text, sizeof why->text,
			 "'%s' is a directory: expected a file, as 'lstopo FILE.xml' writes it",
			 input);
		return -EINVAL;
	}
	f = fopen(input, "re");
	if (!f)
		return unreadable(input, -errno, why);
	rc = read_whole(f, &text, &len);
	rc = rc < 0 ? unreadable(input, rc, why) : load_text(hw, input, text, len, why);
	fclose(f);
	free(text);
	return rc;
}

/* The largest number in a "(indexes=0,2,1,3)". */
static unsigned long largest_index(const char *text)
{
	unsigned long largest = 0, n;
	char *end;

	for (text = strstr(text, "indexes="); text; text = strstr(text, "indexes=")) {
		while (*text && *text != ' ' && *text != ')') {
			n = strtoul(text, &end, 10);
			largest = n > largest ? n : largest;
			text = end > text ? end : text + 1;
		}
	}
	return largest;
}

/*
 * The number of CPUs that a description such as "pack:2 [numa] core:8 pu:2" asks for, or any
 * number above the limit: hwloc itself would make any number of them. Skips what is in brackets,
 * which is memory and attributes.
 */
static unsigned long described_cpus(const char *text)
{
	unsigned long cpus = 1, n;

	for (const char *at = text; *at && cpus <= WEIR_CPUS_MAX; at += *at != '\0') {
		if (*at == '[' || *at == '(') {
			at += strcspn(at, *at == '[' ? "]" : ")");
		} else if (*at >= '0' && *at <= '9' && (at == text || strchr(": ", at[-1]))) {
			n = strtoul(at, NULL, 10);
			cpus = n > WEIR_CPUS_MAX ? n : cpus * n;
		}
	}
	return cpus;
}

static int load_description(hwloc_topology_t hw, const char *input, struct weir_why *why)
{
	unsigned long index = largest_index(input);

	if (described_cpus(input) > WEIR_CPUS_MAX) {
		snprintf(why->text, sizeof why->text, "'%s' has more than %u CPUs", input,
			 WEIR_CPUS_MAX);
		return -E2BIG;
	}
	if (index > INDEX_MAX) {
		snprintf(why->text, sizeof why->text,
			 "'%s' has the index %lu: expected at most %u", input, index, INDEX_MAX);
		return -E2BIG;
	}
	if (hwloc_topology_set_synthetic(hw, input) == 0 && hwloc_topology_load(hw) == 0)
		return 0;
	snprintf(why->text, sizeof why->text,
		 "'%s' is neither a file nor a synthetic topology, such as 'pack:2 l3:4 core:8 "
		 "pu:2'",
		 input);
	return -EINVAL;
}

static bool is_file(const char *input)
{
	struct stat st;

	return stat(input, &st) == 0 ||
	       (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG);
}

int weir__topo_read_input(const char *input, struct weir_topo *topo, struct weir_why *why)
{
	bool file = is_file(input);
	hwloc_topology_t hw;
	int rc;

	if (hwloc_topology_init(&hw) < 0)
		return -ENOMEM;
	rc = configure(hw);
	if (rc == 0)
		rc = file ? load_file(hw, input, why) : load_description(hw, input, why);
	if (rc == 0 && (rc = read_all(hw, NULL, topo)) == -E2BIG)
		snprintf(why->text, sizeof why->text,
			 "'%s' has a CPU with a number above %u, the largest that weir can use",
			 input, WEIR_CPUS_MAX - 1);
	hwloc_topology_destroy(hw);
	snprintf(topo->source, sizeof topo->source, file ? "file %s" : "synthetic %s", input);
	return rc;
}

/* ---- this machine ---- */

static int load_machine(hwloc_topology_t hw, struct weir_why *why)
{
	if (hwloc_topology_load(hw) < 0) {
		snprintf(why->text, sizeof why->text, "hwloc failed: %s", strerror(errno));
		return -EIO;
	}
	if (!hwloc_topology_is_thissystem(hw)) {
		snprintf(why->text, sizeof why->text,
			 "an environment variable such as HWLOC_XMLFILE gives hwloc another "
			 "machine");
		return -EXDEV;
	}
	return 0;
}

int weir__topo_read_machine(struct weir_topo *topo, struct weir_why *why)
{
	struct weir_cpuset present = weir__cpus_present("");
	hwloc_topology_t hw;
	int rc;

	if (hwloc_topology_init(&hw) < 0)
		return -ENOMEM;
	rc = configure(hw);
	if (rc == 0)
		rc = load_machine(hw, why);
	if (rc == 0)
		rc = read_all(hw, &present, topo);
	hwloc_topology_destroy(hw);
	if (rc < 0)
		return rc;
	snprintf(topo->source, sizeof topo->source, "this machine");
	topo->here = true;
	return weir__topo_read_nics("", topo);
}
