/* SPDX-License-Identifier: MIT */
/*
 * topo_hwloc.c: machines that hwloc reads from the files of tests/topo/machines and from
 * descriptions: how their levels are used, what replaces levels that they lack, and the errors for
 * bad input.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/topologies.h"

static struct weir_topo *machine(const char *name)
{
	char path[512], line[512];
	FILE *f;

	snprintf(path, sizeof path, MACHINES "/%s", name);
	if (strstr(name, ".xml"))
		return topology_new(path);
	f = fopen(path, "re");
	ck_assert_msg(f && fgets(line, sizeof line, f), "%s", path);
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return topology_new(line);
}

START_TEST(counts_of_every_machine)
{
	static const struct {
		const char *name;
		unsigned cpus, cores, clusters, l3s, packages, nodes, kinds;
	} cases[] = {
		{ "one-cpu.txt", 1, 1, 1, 1, 1, 1, 1 },
		{ "no-numa.txt", 8, 8, 2, 2, 2, 1, 1 },
		{ "vm-no-l3.txt", 8, 8, 1, 1, 1, 1, 1 },
		{ "epyc-8ccx.txt", 128, 64, 8, 8, 1, 1, 1 },
		{ "epyc-2s.txt", 128, 64, 8, 8, 2, 2, 1 },
		{ "epyc-nps4.xml", 64, 64, 8, 8, 1, 4, 1 },
		{ "xeon-2s-snc2.xml", 64, 32, 4, 4, 2, 4, 1 },
		{ "hbm.xml", 8, 8, 2, 2, 2, 4, 1 },
		{ "hybrid-laptop.xml", 20, 14, 3, 1, 1, 1, 2 },
		{ "arm-64-pairs.xml", 64, 64, 1, 1, 1, 1, 1 },
		{ "arm-64-clusters.xml", 64, 64, 16, 2, 1, 1, 1 },
		{ "threads-256.txt", 256, 128, 16, 16, 2, 2, 1 },
		{ "offline.xml", 8, 8, 2, 2, 2, 2, 1 },
		{ "nics.xml", 8, 8, 2, 2, 2, 2, 1 },
	};
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++) {
		struct weir_topo *topo = machine(cases[i].name);

		topology_check(topo);
		ck_assert_msg(topo->cpus_len == cases[i].cpus && topo->cores == cases[i].cores &&
				      topo->clusters == cases[i].clusters &&
				      topo->l3s_len == cases[i].l3s &&
				      topo->packages == cases[i].packages &&
				      topo->nodes_len == cases[i].nodes &&
				      topo->kinds == cases[i].kinds,
			      "%s: %u CPUs, %u cores, %u clusters, %u L3, %u packages, %u nodes, "
			      "%u kinds",
			      cases[i].name, topo->cpus_len, topo->cores, topo->clusters,
			      topo->l3s_len, topo->packages, topo->nodes_len, topo->kinds);
		ck_assert(!topo->here && !topo->flat);
		ck_assert_uint_eq(topo->quota_milli, 0);
		weir_topo_free(topo);
	}
}
END_TEST

/*
 * P# are the kernel's numbers, with all first threads first. L# numbers keep the threads of a core
 * together.
 */
START_TEST(threads_of_a_core_are_neighbours)
{
	struct weir_topo *topo = machine("epyc-2s.txt");
	const struct weir_topo_cpu *first = topology_cpu(topo, 33),
				   *second = topology_cpu(topo, 97);

	ck_assert_uint_eq(first->core, second->core);
	ck_assert_ptr_eq(first + 1, second);
	ck_assert_uint_eq(first->thread, 0);
	ck_assert_uint_eq(second->thread, 1);
	ck_assert_uint_eq(first->package, 1);
	ck_assert_uint_eq(first->l3, 4);
	ck_assert_uint_eq(topo->l3s[4].bytes, 32u << 20);
	ck_assert_uint_eq(topo->nodes[1].memory_bytes, (uint64_t)256 << 30);
	weir_topo_free(topo);
}
END_TEST

START_TEST(an_l3_over_two_nodes_is_two_domains)
{
	struct weir_topo *topo = machine("xeon-2s-snc2.xml");
	const uint16_t wanted[16] = {
		10, 12, 21, 21, 12, 10, 21, 21, 21, 21, 10, 12, 21, 21, 12, 10
	};
	unsigned i;

	for (i = 0; i < topo->cpus_len; i++)
		ck_assert_uint_eq(topo->cpus[i].l3, topo->cpus[i].node);
	ck_assert_uint_eq(topo->l3s[0].bytes, 18u << 20);
	ck_assert_ptr_nonnull(topo->distances);
	ck_assert_mem_eq(topo->distances, wanted, sizeof wanted);
	weir_topo_free(topo);
}
END_TEST

/*
 * With "os" indexing, the matrix in a file is in the kernel's order of nodes, which may not be
 * hwloc's.
 */
START_TEST(distances_follow_the_nodes)
{
	static const uint16_t by_os[4][4] = {
		{ 10, 21, 13, 23 }, { 21, 10, 23, 13 }, { 13, 23, 10, 25 }, { 23, 13, 25, 10 }
	};
	struct weir_topo *topo = machine("hbm.xml");
	unsigned i, k;

	ck_assert_ptr_nonnull(topo->distances);
	ck_assert_uint_eq(topo->nodes[1].os, 2);
	for (i = 0; i < 4; i++)
		for (k = 0; k < 4; k++)
			ck_assert_uint_eq(topo->distances[i * 4 + k],
					  by_os[topo->nodes[i].os][topo->nodes[k].os]);
	weir_topo_free(topo);
	topo = machine("epyc-2s.txt");
	ck_assert_ptr_null(topo->distances);
	weir_topo_free(topo);
}
END_TEST

START_TEST(the_node_is_the_one_with_normal_memory)
{
	struct weir_topo *topo = machine("hbm.xml");
	unsigned i, node;

	for (i = 0; i < topo->cpus_len; i++) {
		node = topo->cpus[i].node;
		ck_assert_uint_eq(topo->nodes[node].os, topo->cpus[i].package);
		ck_assert_uint_eq(topo->nodes[node].memory_bytes, (uint64_t)128 << 30);
	}
	weir_topo_free(topo);
}
END_TEST

START_TEST(kinds_of_core_are_clusters_of_their_own)
{
	struct weir_topo *topo = machine("hybrid-laptop.xml");
	const struct weir_topo_cpu *fast = topology_cpu(topo, 0), *slow = topology_cpu(topo, 12);

	ck_assert_uint_eq(fast->kind, 1);
	ck_assert_uint_eq(fast->capacity, 1024);
	ck_assert_uint_eq(slow->kind, 0);
	ck_assert_uint_eq(slow->capacity, 3600 * 1024 / 4900);
	/*
	 * Fast cores have an L2 each and form one cluster. Each module of slow cores is a cluster.
	 */
	ck_assert_uint_eq(topology_cpu(topo, 11)->cluster, fast->cluster);
	ck_assert_uint_eq(topology_cpu(topo, 15)->cluster, slow->cluster);
	ck_assert_uint_ne(topology_cpu(topo, 16)->cluster, slow->cluster);
	ck_assert_uint_ne(slow->cluster, fast->cluster);
	weir_topo_free(topo);
}
END_TEST

START_TEST(pairs_of_cores_are_no_clusters)
{
	struct weir_topo *topo = machine("arm-64-pairs.xml");

	ck_assert_uint_eq(topo->clusters, 1);
	weir_topo_free(topo);
	topo = machine("arm-64-clusters.xml");
	ck_assert_uint_eq(topology_cpu(topo, 3)->cluster, topology_cpu(topo, 0)->cluster);
	ck_assert_uint_ne(topology_cpu(topo, 4)->cluster, topology_cpu(topo, 0)->cluster);
	weir_topo_free(topo);
}
END_TEST

START_TEST(something_stands_for_a_missing_l3)
{
	static const struct {
		const char *input;
		unsigned domains;
		uint64_t kib;
	} cases[] = {
		{ "pack:2 l2:4 core:1 pu:1", 2, 0 },		/* the package */
		{ "pack:1 group:4 [numa] l2:4 core:1 pu:1", 4, 0 }, /* the node's part of it */
		{ "[numa] core:6 pu:1", 1, 0 },			/* the machine */
		{ "pu:3", 1, 0 },
		{ "pack:2 l2:3(size=2MiB) core:4 pu:2", 6, 2048 },  /* an L2 of many cores */
		{ "pack:2 l2:8(size=1MiB) core:2 pu:1", 2, 0 },	    /* but not one of two cores */
		{ "pack:1 l4:1(size=64MiB) l2:8(size=1MiB) core:1 pu:1", 1, 65536 },
		/* An L3 above a node, around modules with an L2. */
		{ "pack:1 l3:1(size=8MiB) group:2 [numa] l2:2(size=1MiB) core:4 pu:1", 2, 4096 },
	};
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++) {
		struct weir_topo *topo = topology_new(cases[i].input);

		topology_check(topo);
		ck_assert_msg(topo->l3s_len == cases[i].domains &&
				      topo->l3s[0].bytes == cases[i].kib * 1024,
			      "%s: %u domains of %llu KiB", cases[i].input, topo->l3s_len,
			      (unsigned long long)topo->l3s[0].bytes / 1024);
		weir_topo_free(topo);
	}
}
END_TEST

START_TEST(offline_cpus_are_listed_where_they_were)
{
	struct weir_topo *topo = machine("offline.xml");
	const struct weir_topo_cpu *cpu = topology_cpu(topo, 5);

	ck_assert_uint_eq(topology_usable(topo), 6);
	ck_assert_uint_eq(cpu->out, WEIR_CPU_OFFLINE);
	ck_assert_uint_eq(cpu->package, 1);
	ck_assert_uint_eq(cpu->node, 1);
	ck_assert_uint_eq(cpu->l3, 1);
	ck_assert_uint_eq(topology_cpu(topo, 2)->out, WEIR_CPU_OFFLINE);
	ck_assert_uint_eq(topology_cpu(topo, 2)->package, 0);
	/* They are at the end, and excluding other CPUs does not change them. */
	ck_assert_ptr_eq(cpu, &topo->cpus[7]);
	ck_assert_int_eq(weir_topo_cut(topo, &(struct weir_cpuset){ { 0xff } }, 0), 0);
	ck_assert_uint_eq(topology_usable(topo), 6);
	weir_topo_free(topo);
}
END_TEST

START_TEST(nics_are_at_the_node_of_their_package)
{
	struct weir_topo *topo = machine("nics.xml");

	ck_assert_uint_eq(topo->nics_len, 3);
	ck_assert_str_eq(topo->nics[0].name, "ens1f0");
	ck_assert_int_eq(topo->nics[0].node, 0);
	ck_assert_str_eq(topo->nics[1].name, "ens1f1");
	ck_assert_int_eq(topo->nics[1].node, 0);
	ck_assert_str_eq(topo->nics[2].name, "ens5");
	ck_assert_int_eq(topo->nics[2].node, 1);
	weir_topo_free(topo);
}
END_TEST

START_TEST(as_many_cpus_as_a_set_holds)
{
	struct weir_topo *topo = topology_new("pack:4 [numa] l3:8 core:16 pu:2"), *other = topo;
	struct weir_why why;

	ck_assert_uint_eq(topo->cpus_len, WEIR_CPUS_MAX);
	ck_assert_uint_eq(topology_cpu(topo, 1023)->core, 511);
	ck_assert_int_eq(weir_topo_new("pack:4 [numa] l3:8 core:16 pu:3", &other, &why), -E2BIG);
	ck_assert_msg(strstr(why.text, "1024 CPUs") != NULL, "%s", why.text);
	ck_assert_int_eq(weir_topo_new("pu:2(indexes=0,1024)", &other, &why), -E2BIG);
	ck_assert_msg(strstr(why.text, "a CPU with a number above 1023") != NULL, "%s", why.text);
	ck_assert_ptr_eq(other, topo);
	weir_topo_free(topo);
}
END_TEST

START_TEST(an_input_that_is_none_is_named)
{
	static const struct {
		const char *input;
		int rc;
		const char *says;
	} cases[] = {
		{ "pack:2 l3:4 cora:8 pu:2", -EINVAL, "such as 'pack:2 l3:4 core:8 pu:2'" },
		{ "pack:2 core:0 pu:1", -EINVAL, "neither a file" },
		{ "", -EINVAL, "neither a file" },
		{ "no-such-file.xml", -EINVAL, "neither a file" },
		{ "no-such-folder/file.xml", -EINVAL, "neither a file" },
		{ MACHINES, -EINVAL, "is a directory" },
		{ MACHINES "/README.md", -EINVAL, "is not a complete XML topology" },
		{ "/dev/null", -EINVAL, "is not a complete XML topology: it has 0 CPUs" },
		{ "/proc/self/mem", -EIO, "cannot be read" },
		{ "/dev/zero", -EFBIG, "cannot be read: File too large" },
		{ "core:100000 pu:100000", -E2BIG, "has more than 1024 CPUs" },
		{ "2 999999999 1", -E2BIG, "has more than 1024 CPUs" },
		{ "pack:2 [numa(memory=4GiB)] core:99999(indexes=0,1) pu:1", -E2BIG, "1024 CPUs" },
		{ "[numa(memory=4294967296 indexes=0)] pu:2(indexes=0,4294967294)", -E2BIG,
		  "has the index 4294967294: expected at most 65535" },
		{ "[numa(indexes=70000)] pu:2", -E2BIG, "has the index 70000: expected at most" },
	};
	struct weir_topo *topo = NULL;
	struct rusage used;
	struct weir_why why;
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++) {
		int rc = weir_topo_new(cases[i].input, &topo, &why);

		ck_assert_ptr_null(topo);
		ck_assert_msg(rc == cases[i].rc && strstr(why.text, cases[i].says), "'%s': %d: %s",
			      cases[i].input, rc, why.text);
		ck_assert_msg(strstr(why.text, cases[i].input) != NULL, "%s", why.text);
	}
	ck_assert_int_eq(weir_topo_new("pu:0", &topo, NULL), -EINVAL);
	/* The input is refused before hwloc reads it: for one of these it would allocate 4 GB. */
	ck_assert_int_eq(getrusage(RUSAGE_SELF, &used), 0);
	ck_assert_int_lt(used.ru_maxrss, 2 << 20);
}
END_TEST

/* ---- this machine, with hwloc's environment variables set ---- */

static void see(const char *path)
{
	ck_assert_int_eq(setenv("HWLOC_XMLFILE", path, 1), 0);
}

static void see_what_is_there(void)
{
	unsetenv("HWLOC_XMLFILE");
	unsetenv("HWLOC_THISSYSTEM");
}

START_TEST(another_machine_is_not_taken_for_this_one)
{
	struct weir_topo *topo;

	see(MACHINES "/offline.xml");
	topo = topology_new(NULL);
	topology_check(topo);
	ck_assert(topo->here && topo->flat);
	ck_assert_msg(strstr(topo->source, "HWLOC_XMLFILE") != NULL, "%s", topo->source);
	weir_topo_free(topo);
}
END_TEST

/* As in a container without /sys. hwloc must not print to the program's standard error. */
START_TEST(a_machine_that_shows_nothing_is_flat)
{
	struct weir_topo *topo;
	FILE *said = tmpfile();
	int err = dup(STDERR_FILENO);

	ck_assert(said && err >= 0);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/sys", "tmpfs", 0, NULL) < 0) {
		testing_skip("no mounts of its own: %s", strerror(errno));
		goto out;
	}
	dup2(fileno(said), STDERR_FILENO);
	topo = topology_new(NULL);
	dup2(err, STDERR_FILENO);
	topology_check(topo);
	ck_assert(topo->here && topo->flat);
	ck_assert_int_eq(lseek(fileno(said), 0, SEEK_END), 0);
	weir_topo_free(topo);
out:
	close(err);
	fclose(said);
}
END_TEST

static char scratch[64];

static void make_scratch(void)
{
	int fd;

	snprintf(scratch, sizeof scratch, "/tmp/weir-topo-XXXXXX");
	fd = mkstemp(scratch);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void remove_scratch(void)
{
	unlink(scratch);
	see_what_is_there();
}

static void write_scratch(const char *text, size_t len)
{
	FILE *f = fopen(scratch, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	fclose(f);
}

/* Makes hwloc see one CPU, and confines the thread to it. */
static bool lose_all_but_one(cpu_set_t *ret_all)
{
	static const char sets[] = " cpuset=\"0x%x\" complete_cpuset=\"0x%x\" nodeset=\"0x1\" "
				   "complete_nodeset=\"0x1\" allowed_cpuset=\"0x%x\" "
				   "allowed_nodeset=\"0x1\" gp_index=\"%u\"";
	static const char *const objects[] = { "Machine\" os_index=\"0", "NUMANode\" os_index=\"0",
					       "PU\" os_index=\"%u" };
	char text[2048] = "<?xml version=\"1.0\"?>\n<topology version=\"2.0\">\n";
	unsigned cpu, i;
	cpu_set_t one;

	ck_assert_int_eq(sched_getaffinity(0, sizeof *ret_all, ret_all), 0);
	for (cpu = 0; !CPU_ISSET(cpu, ret_all); cpu++)
		;
	if (CPU_COUNT(ret_all) < 2 || cpu > 31) {
		testing_skip("it takes a second CPU");
		return false;
	}
	for (i = 0; i < 3; i++) {
		size_t len = strlen(text);

		len += (size_t)snprintf(text + len, sizeof text - len, "<object type=\"");
		len += (size_t)snprintf(text + len, sizeof text - len, objects[i], cpu);
		len += (size_t)snprintf(text + len, sizeof text - len, "\"");
		len += (size_t)snprintf(text + len, sizeof text - len, sets, 1u << cpu, 1u << cpu,
					1u << cpu, i + 1);
		snprintf(text + len, sizeof text - len, i ? "/>\n" : ">\n");
	}
	strcat(text, "</object>\n</topology>\n");
	write_scratch(text, strlen(text));
	see(scratch);
	ck_assert_int_eq(setenv("HWLOC_THISSYSTEM", "1", 1), 0);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	return true;
}

/*
 * As if a CPU came online: the machine is read again, and a CPU that hwloc does not see is left
 * out.
 */
START_TEST(a_cpu_that_the_reading_lacks)
{
	struct weir_topo *topo;
	cpu_set_t all;

	if (!lose_all_but_one(&all))
		return;
	topo = topology_new(NULL);
	ck_assert(!topo->flat);
	ck_assert_uint_eq(topology_usable(topo), 1);
	weir_topo_free(topo);
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
	if (_i)
		see_what_is_there();
	topo = topology_new(NULL);
	topology_check(topo);
	ck_assert_int_eq(topo->flat, !_i);
	ck_assert_uint_eq(topology_usable(topo), (unsigned)CPU_COUNT(&all));
	weir_topo_free(topo);
}
END_TEST

/* ---- modified files ---- */

static size_t read_machine(const char *name, char *text, size_t len)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, MACHINES "/%s", name);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	len = fread(text, 1, len - 1, f);
	fclose(f);
	text[len] = '\0';
	return len;
}

/*
 * Slow cores may have an L2 each, like the fast ones: here the last fast core is made a slow one.
 */
START_TEST(kinds_are_apart_without_a_module)
{
	static char text[1 << 14];
	char *slow, *fast;
	struct weir_topo *topo;

	read_machine("hybrid-laptop.xml", text, sizeof text);
	slow = strstr(text, "\"0x000ff000\" forced");
	fast = strstr(text, "\"0x00000fff\" forced");
	ck_assert(slow && fast);
	memcpy(slow, "\"0x000ffc00\"", 12);
	memcpy(fast, "\"0x000003ff\"", 12);
	write_scratch(text, strlen(text));
	topo = topology_new(scratch);
	topology_check(topo);
	ck_assert_uint_eq(topo->clusters, 4);
	ck_assert_uint_eq(topology_cpu(topo, 10)->kind, 0);
	ck_assert_uint_ne(topology_cpu(topo, 10)->cluster, topology_cpu(topo, 9)->cluster);
	ck_assert_uint_ne(topology_cpu(topo, 10)->cluster, topology_cpu(topo, 12)->cluster);
	weir_topo_free(topo);
}
END_TEST

/*
 * Fast memory is not used as a node, wherever it is: here it is the first node of the first
 * package.
 */
START_TEST(fast_memory_is_passed_over)
{
	static char text[1 << 14], turned[1 << 14];
	static const char plain[] = "\"NUMANode\" os_index=\"0\"",
			  fast[] = "\"NUMANode\" subtype=\"HBM\" os_index=\"2\"";
	char *first, *second;
	struct weir_topo *topo;

	read_machine("hbm.xml", text, sizeof text);
	first = strstr(text, plain);
	second = strstr(text, fast);
	ck_assert(first && second && first < second);
	snprintf(turned, sizeof turned,
		 "%.*s\"NUMANode\" subtype=\"HBM\" os_index=\"0\"%.*s\"NUMANode\" os_index=\"2\"%s",
		 (int)(first - text), text, (int)(second - first) - (int)strlen(plain),
		 first + strlen(plain), second + strlen(fast));
	write_scratch(turned, strlen(turned));
	topo = topology_new(scratch);
	topology_check(topo);
	ck_assert_uint_eq(topo->nodes[topology_cpu(topo, 0)->node].os, 2);
	ck_assert_uint_eq(topo->nodes[topology_cpu(topo, 4)->node].os, 1);
	weir_topo_free(topo);
}
END_TEST

/* Reads the text: the result must be a valid topology, or an error of one line. */
static void try_text(const char *text, size_t len)
{
	struct weir_topo *topo = NULL;
	struct weir_why why;
	int rc;

	write_scratch(text, len);
	rc = weir_topo_new(scratch, &topo, &why);
	if (rc == 0) {
		ck_assert_uint_ge(topo->cpus_len, 1);
		weir_topo_free(topo);
		return;
	}
	ck_assert_msg(rc == -EINVAL || rc == -E2BIG, "%d", rc);
	ck_assert_ptr_nonnull(strstr(why.text, scratch));
}

static const char *const damaged_machines[] = { "hybrid-laptop.xml", "offline.xml", "nics.xml",
						"hbm.xml" };

/*
 * Damages an attribute: drops the last letter of its name, its first quote, its value, or all of
 * it.
 */
static void damage_attribute(const char *text, size_t len, const char *at, unsigned how)
{
	static char copy[1 << 16];
	size_t from = (size_t)(at - text), end = (size_t)(strchr(at + 2, '"') - text);

	memcpy(copy, text, len + 1);
	if (how == 0)
		copy[from - 1] = 'X';
	else if (how == 1)
		copy[from + 1] = ' ';
	else if (how == 2)
		memmove(copy + from + 2, text + end, len - end + 1);
	else {
		while (copy[from - 1] != ' ')
			from--;
		memmove(copy + from, text + end + 1, len - end);
	}
	try_text(copy, strlen(copy));
}

/* hwloc must neither crash nor print anything. */
START_TEST(a_damaged_file_is_refused_or_read)
{
	static char text[1 << 16];
	size_t len = read_machine(damaged_machines[_i], text, sizeof text), cut;
	const char *at;
	unsigned n = (unsigned)_i;
	FILE *said = tmpfile();
	int err = dup(STDERR_FILENO);

	ck_assert_int_ge(err, 0);
	ck_assert_ptr_nonnull(said);
	ck_assert_int_ge(dup2(fileno(said), STDERR_FILENO), 0);
	for (cut = 0; cut < len; cut += 61)
		try_text(text, cut);
	for (at = text; (at = strstr(at, "=\"")); at += 2)
		damage_attribute(text, len, at, n++ % 4);
	ck_assert_int_ge(dup2(err, STDERR_FILENO), 0);
	close(err);
	rewind(said);
	ck_assert_msg(!fgets(text, sizeof text, said), "on stderr: %s", text);
	fclose(said);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(counts_of_every_machine),
		TESTING(threads_of_a_core_are_neighbours),
		TESTING(an_l3_over_two_nodes_is_two_domains),
		TESTING(distances_follow_the_nodes),
		TESTING(the_node_is_the_one_with_normal_memory),
		TESTING(kinds_of_core_are_clusters_of_their_own),
		TESTING(pairs_of_cores_are_no_clusters),
		TESTING(something_stands_for_a_missing_l3),
		TESTING(offline_cpus_are_listed_where_they_were),
		TESTING(nics_are_at_the_node_of_their_package),
		TESTING(as_many_cpus_as_a_set_holds),
		TESTING(an_input_that_is_none_is_named),
		TESTING(another_machine_is_not_taken_for_this_one, .teardown = see_what_is_there),
		TESTING(a_machine_that_shows_nothing_is_flat, .needs = "root"),
		TESTING(a_cpu_that_the_reading_lacks, .needs = "native", .rounds = 2,
			.setup = make_scratch, .teardown = remove_scratch),
		TESTING(kinds_are_apart_without_a_module, .setup = make_scratch,
			.teardown = remove_scratch),
		TESTING(fast_memory_is_passed_over, .setup = make_scratch,
			.teardown = remove_scratch),
		TESTING(a_damaged_file_is_refused_or_read, .setup = make_scratch,
			.teardown = remove_scratch, .rounds = TESTING_COUNT(damaged_machines)),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
