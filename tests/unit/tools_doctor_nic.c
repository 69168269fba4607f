/* SPDX-License-Identifier: MIT */
/*
 * tools_doctor_nic.c: the findings of `weir doctor` about network cards. The machine has four CPUs
 * and a card with four queues; each test changes one thing.
 */
#include <string.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_doctor_rig.h"

#define ETH "/sys/class/net/eth0/"
#define HEAD "            CPU0       CPU1       CPU2       CPU3\n"

static void put_irq_cpus(unsigned irq, const char *cpus)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq);
	put(path, cpus);
	snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity_list", irq);
	put(path, cpus);
}

static void put_queue(const char *queue, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), ETH "queues/%s/%s", queue, file);
	put(path, text);
}

static void make_card(void)
{
	static const char *const cpus[] = { "0\n", "1\n", "2\n", "3\n" };
	char path[128], name[16];

	make_machine();
	put("/proc/interrupts", HEAD " 40:    9    0    0    0  PCI-MSI 1-edge  eth0-TxRx-0\n"
				     " 41:    0    9    0    0  PCI-MSI 2-edge  eth0-TxRx-1\n"
				     " 42:    0    0    9    0  PCI-MSI 3-edge  eth0-TxRx-2\n"
				     " 43:    0    0    0    9  PCI-MSI 4-edge  eth0-TxRx-3\n"
				     " 44:    1    0    0    0  PCI-MSI 5-edge  eth0\n"
				     "NMI:    0    0    0    0  Non-maskable interrupts\n");
	for (unsigned i = 0; i < 4; i++) {
		put_irq_cpus(40 + i, cpus[i]);
		snprintf(path, sizeof(path), ETH "device/msi_irqs/%u", 40 + i);
		put(path, "msix\n");
		snprintf(name, sizeof(name), "rx-%u", i);
		put_queue(name, "rps_cpus", "0\n");
		snprintf(name, sizeof(name), "tx-%u", i);
		put_queue(name, "xps_cpus", "0\n");
	}
	put(ETH "operstate", "up\n");
	put(ETH "device/numa_node", "0\n");
	put_link(ETH "device/driver", "../../../bus/pci/drivers/ixgbe");
	put("/sys/class/net/lo/operstate", "unknown\n");
}

#define CARD .setup = make_card, .teardown = remove_machine

START_TEST(a_good_card)
{
	examine(DOCTOR_PROXY);
	expect("nic.queues.eth0", DOCTOR_PASS, "ixgbe: 4 receive queues for 4 workers", "");
	expect("nic.irqs.eth0", DOCTOR_PASS, "interrupts of 4 queues run on CPUs 0-3", "");
	expect("nic.offload.eth0", DOCTOR_PASS, "GRO on, TSO on", "");
	expect("nic.steering.eth0", DOCTOR_INFO, "RPS off, RFS off, XPS on 0 of 4", "");
	expect("nic.irqbalance", DOCTOR_PASS, "is not running", "");
	ck_assert_ptr_null(find("nic.ring.eth0"));
	ck_assert_ptr_null(find("nic.queues.lo"));
	for (unsigned i = 0; i < doctor.len; i++)
		ck_assert_int_lt(doctor.findings[i].level, DOCTOR_WARN);
}
END_TEST

START_TEST(a_card_that_is_down)
{
	put(ETH "operstate", "down\n");
	expect_now("nic.none", DOCTOR_INFO, "no network card is up", "");
	ck_assert_ptr_null(find("nic.queues.eth0"));
}
END_TEST

START_TEST(fewer_queues_than_workers)
{
	says.cpus.mask_cpus = 8;
	expect_now("nic.queues.eth0", DOCTOR_INFO, "4 receive queues, which is the maximum", "");
	says.nic.queues = 4;
	says.nic.queues_max = 16;
	says.nic.combined = true;
	expect_now("nic.queues.eth0", DOCTOR_WARN, "4 of 16 receive queues are in use, for 8",
		   "ethtool -L eth0 combined 8");
	says.nic.combined = false;
	says.nic.queues_max = 6;
	expect_now("nic.queues.eth0", DOCTOR_WARN, "4 of 6", "ethtool -L eth0 rx 6");
	examine(DOCTOR_BENCH);
	ck_assert_int_eq(got("nic.queues.eth0")->level, DOCTOR_INFO);
}
END_TEST

START_TEST(steering_by_the_kernel)
{
	says.cpus.mask_cpus = 8;
	expect_now("nic.steering.eth0", DOCTOR_INFO, "RPS off",
		   "for q in /sys/class/net/eth0/queues/rx-*; do echo ff >\"$q/rps_cpus\"; done");
	put_queue("rx-1", "rps_cpus", "00000000,0000000c\n");
	put_queue("rx-1", "rps_flow_cnt", "4096\n");
	put_queue("tx-0", "xps_cpus", "1\n");
	expect_now("nic.steering.eth0", DOCTOR_INFO, "RPS 2-3, RFS on, XPS on 1 of 4", "");
}
END_TEST

START_TEST(all_interrupts_on_one_cpu)
{
	for (unsigned irq = 40; irq < 44; irq++)
		put_irq_cpus(irq, "2\n");
	expect_now(
		"nic.irqs.eth0", DOCTOR_WARN, "all interrupts of its 4 queues run on CPU 2",
		"echo 0 >/proc/irq/40/smp_affinity_list; echo 1 >/proc/irq/41/smp_affinity_list; "
		"echo 2 >/proc/irq/42/smp_affinity_list; echo 3 >/proc/irq/43/smp_affinity_list");
	says.cpus.mask_cpus = 1;
	examine(DOCTOR_PROXY);
	ck_assert_int_eq(got("nic.irqs.eth0")->level, DOCTOR_PASS);
}
END_TEST

START_TEST(interrupts_on_another_node)
{
	says.cpus.mask_cpus = 4;
	says.nodes = says.packages = 2;
	says.node_bytes[1] = 8ull << 30;
	examine(DOCTOR_PROXY);
	expect("nic.node.eth0", DOCTOR_WARN, "on node 0; 2 of its 4", "");
	HAS(got("nic.node.eth0")->advice, "CPUs of node 0");
	put_irq_cpus(42, "0-1\n");
	put_irq_cpus(43, "1-2\n");
	expect_now("nic.node.eth0", DOCTOR_PASS, "0 of its 4", "");
	put(ETH "device/numa_node", "-1\n");
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("nic.node.eth0"));
}
END_TEST

START_TEST(offloads_and_rings)
{
	says.nic.gro = 0;
	expect_now("nic.offload.eth0", DOCTOR_WARN, "GRO off, TSO on", "ethtool -K eth0 gro on");
	says.nic.tso = 0;
	expect_now("nic.offload.eth0", DOCTOR_WARN, "GRO off, TSO off",
		   "ethtool -K eth0 gro on tso on");
	says.nic.gro = -1;
	says.nic.ring = 512;
	says.nic.ring_max = 8192;
	expect_now("nic.ring.eth0", DOCTOR_INFO, "512 of 8192", "ethtool -G eth0 rx 4096");
	ck_assert_ptr_null(find("nic.offload.eth0"));
	says.nic.ring_max = 512;
	expect_now("nic.ring.eth0", DOCTOR_PASS, "512 of 512", "");
}
END_TEST

START_TEST(irqbalance_against_bound_workers)
{
	put("/proc/1/comm", "systemd\n");
	put("/proc/812/comm", "irqbalance\n");
	expect_now("nic.irqbalance", DOCTOR_PASS, "runs, but the workers are not bound", "");
	says.nodes = says.packages = 2;
	says.node_bytes[1] = 8ull << 30;
	expect_now("nic.irqbalance", DOCTOR_WARN, "moves interrupts to CPUs",
		   "systemctl stop irqbalance");
}
END_TEST

START_TEST(busy_polling_under_a_quota)
{
	put("/proc/sys/net/core/busy_poll", "50\n");
	expect_now("nic.busy_poll", DOCTOR_INFO, "busy_poll 50 us, busy_read 0 us", "");
	quota(2000, "/c/cpu.max");
	expect_now("nic.busy_poll", DOCTOR_WARN, "uses up the CPU quota",
		   "sysctl -w net.core.busy_poll=0 net.core.busy_read=0");
}
END_TEST

/*
 * Commands contain the card's name. If the name has characters special to a shell, none is printed.
 */
START_TEST(a_card_with_a_name_for_a_shell)
{
	put("/sys/class/net/a;reboot/operstate", "up\n");
	put("/sys/class/net/a;reboot/device/numa_node", "0\n");
	put("/sys/class/net/a;reboot/queues/rx-0/rps_cpus", "0\n");
	examine(DOCTOR_PROXY);
	for (unsigned i = 0; i < doctor.len; i++)
		ck_assert_ptr_null(strstr(doctor.findings[i].fix, "reboot"));
	expect("nic.name", DOCTOR_INFO, "a;reboot", "");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_good_card, CARD),
		TESTING(a_card_that_is_down, CARD),
		TESTING(fewer_queues_than_workers, CARD),
		TESTING(steering_by_the_kernel, CARD),
		TESTING(all_interrupts_on_one_cpu, CARD),
		TESTING(interrupts_on_another_node, CARD),
		TESTING(offloads_and_rings, CARD),
		TESTING(irqbalance_against_bound_workers, CARD),
		TESTING(busy_polling_under_a_quota, CARD),
		TESTING(a_card_with_a_name_for_a_shell, CARD),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
