/* SPDX-License-Identifier: MIT */
/* tools_doctor_memory.c: the findings of `weir doctor` about memory and memory nodes. */
#include <string.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_doctor_rig.h"

#define HUGE "/sys/kernel/mm/hugepages/hugepages-"
#define NODE(n) "/sys/devices/system/node/node" n "/hugepages/hugepages-"
#define THP "/sys/kernel/mm/transparent_hugepage/"

/* Two sockets with eight CPUs form two groups, so the workers are bound. */
static void make_two_nodes(void)
{
	make_machine();
	says.cpus.mask_cpus = 8;
	says.nodes = says.packages = 2;
	says.node_bytes[0] = says.node_bytes[1] = 4ull << 30;
	says.far = 21;
	put("/sys/devices/system/cpu/online", "0-7\n");
}

#define TWO_NODES .setup = make_two_nodes, .teardown = remove_machine

START_TEST(memory_that_two_files_tell_differently)
{
	expect_now("memory.total", DOCTOR_PASS, "8.00 GiB", "");
	says.node_bytes[0] = 2ull << 30;
	expect_now("memory.total", DOCTOR_INFO, "MemTotal is 8.00 GiB, but the nodes have 2.00 GiB",
		   "");
	says.node_bytes[0] = 0;		/* unknown */
	expect_now("memory.total", DOCTOR_PASS, "8.00 GiB", "");
}
END_TEST

START_TEST(huge_pages)
{
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("memory.huge"));
	put(HUGE "2048kB/nr_hugepages", "0\n");
	put(HUGE "1048576kB/nr_hugepages", "0\n");
	expect_now("memory.huge", DOCTOR_INFO, "no huge pages are reserved", "");
	put(HUGE "2048kB/nr_hugepages", "64\n");
	put(HUGE "2048kB/free_hugepages", "16\n");
	put("/proc/mounts", "proc /proc proc rw 0 0\n");
	expect_now("memory.huge_2m", DOCTOR_INFO, "16 of 64 huge pages of 2 MiB are free", "");
	ck_assert_ptr_null(find("memory.huge"));
	ck_assert_ptr_null(find("memory.huge_1024m"));
	expect("memory.hugetlbfs", DOCTOR_INFO, "no hugetlbfs is mounted",
	       "mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages");
	put("/proc/mounts", "none /dev/hugepages hugetlbfs rw 0 0\n");
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("memory.hugetlbfs"));
}
END_TEST

START_TEST(huge_pages_by_node)
{
	put(HUGE "2048kB/nr_hugepages", "64\n");
	put(NODE("0") "2048kB/nr_hugepages", "64\n");
	put(NODE("1") "2048kB/nr_hugepages", "0\n");
	expect_now("memory.huge_2m", DOCTOR_INFO, "; node 0: 64, node 1: 0", "");
}
END_TEST

START_TEST(transparent_huge_pages)
{
	put(THP "enabled", "always [madvise] never\n");
	put(THP "defrag", "[always] defer defer+madvise madvise never\n");
	expect_now("memory.transparent", DOCTOR_PASS, "madvise, defrag always", "");
	put(THP "enabled", "[always] madvise never\n");
	expect_now("memory.transparent", DOCTOR_WARN, "wait for memory compaction",
		   "echo madvise >" THP "defrag");
	put(THP "defrag", "always defer defer+madvise [madvise] never\n");
	expect_now("memory.transparent", DOCTOR_PASS, "always, defrag madvise", "");
	put(THP "enabled", "no brackets at all\n");
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("memory.transparent"));
}
END_TEST

START_TEST(balancing_against_bound_workers)
{
	put("/proc/sys/kernel/numa_balancing", "1\n");
	expect_now("memory.numa_balancing", DOCTOR_WARN, "workers are bound",
		   "sysctl -w kernel.numa_balancing=0");
	put("/proc/sys/kernel/numa_balancing", "0\n");
	expect_now("memory.numa_balancing", DOCTOR_PASS, "off", "");
	/* With a quota below the number of CPUs, workers are not bound. */
	put("/proc/sys/kernel/numa_balancing", "1\n");
	quota(2000, "/c/cpu.max");
	expect_now("memory.numa_balancing", DOCTOR_PASS, "not bound", "");
	says.nodes = says.packages = 1;
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("memory.numa_balancing"));
}
END_TEST

START_TEST(reclaim_before_another_node_is_asked)
{
	put("/proc/sys/vm/zone_reclaim_mode", "1\n");
	expect_now("memory.zone_reclaim", DOCTOR_WARN, "page cache",
		   "sysctl -w vm.zone_reclaim_mode=0");
	put("/proc/sys/vm/zone_reclaim_mode", "0\n");
	expect_now("memory.zone_reclaim", DOCTOR_PASS, "off", "");
}
END_TEST

START_TEST(nodes_and_distances)
{
	examine(DOCTOR_PROXY);
	expect("numa.nodes", DOCTOR_INFO, "2 nodes with memory 0: 4.00 GiB, 1: 4.00 GiB", "");
	expect("numa.distances", DOCTOR_INFO, "21 to 21", "");
	expect("numa.workers", DOCTOR_INFO, "8 workers in 2 groups on 2 of 2 nodes", "");
	says.far = 0;
	expect_now("numa.distances", DOCTOR_INFO, "not known", "");
	says.nodes = 1;
	expect_now("numa.nodes", DOCTOR_PASS, "equally near", "");
	expect("numa.hidden", DOCTOR_WARN, "2 packages, but one node", "");
	HAS(got("numa.hidden")->advice, "interleaving");
	says.no_hwloc = true;
	expect_now("numa.nodes", DOCTOR_INFO, "without its topology: no hwloc", "");
	ck_assert_ptr_null(find("numa.hidden"));
}
END_TEST

START_TEST(a_node_without_memory)
{
	says.node_bytes[1] = 0;
	expect_now("numa.memoryless", DOCTOR_WARN, "node 1 has CPUs and no memory", "");
	HAS(got("numa.memoryless")->advice, "--cpus 'drop-node 1'");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(memory_that_two_files_tell_differently, MADE_UP),
		TESTING(huge_pages, MADE_UP),
		TESTING(huge_pages_by_node, TWO_NODES),
		TESTING(transparent_huge_pages, MADE_UP),
		TESTING(balancing_against_bound_workers, TWO_NODES),
		TESTING(reclaim_before_another_node_is_asked, TWO_NODES),
		TESTING(nodes_and_distances, TWO_NODES),
		TESTING(a_node_without_memory, TWO_NODES),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
