/* SPDX-License-Identifier: MIT */
/*
 * tools_common_interrupts.c: lines of /proc/interrupts, and the names of a network card's
 * interrupts.
 */
#include <string.h>

#include "tests/support/testing.h"
#include "tools/common/interrupts.h"
#include "tools/common/nic.h"

START_TEST(a_head_and_lines)
{
	struct interrupt interrupt;
	uint16_t cpus[WEIR_CPUS_MAX];
	unsigned len = interrupts_parse_head("           CPU0       CPU2       CPU13   \n", cpus);

	ck_assert_uint_eq(len, 3);
	ck_assert_uint_eq(cpus[2], 13);
	ck_assert(interrupts_parse_line(
		" 38:  1  0  390 PCI-MSIX-0000:00:03.0   1-edge  virtio2-input.0\n", cpus, len,
		&interrupt));
	ck_assert_uint_eq(interrupt.number, 38);
	ck_assert_uint_eq(interrupt.count, 391);
	ck_assert_uint_eq(interrupt.cpu, 13);
	ck_assert_str_eq(interrupt.name, "virtio2-input.0");
	ck_assert(interrupts_parse_line("16: 1 2 3 IO-APIC 16-fasteoi ehci_hcd:usb1, eth0", cpus,
					len, &interrupt));
	ck_assert_str_eq(interrupt.name, "eth0");
}
END_TEST

START_TEST(lines_that_are_none)
{
	static const char *const lines[] = { "",
					     "\n",
					     ":",
					     "NMI: 1 2 3 Non-maskable interrupts",
					     "ERR:          0",
					     "38 1 2 3",
					     "38: 1 2",
					     "38: 1 x 3 y",
					     "99999999999999999999: 1 2 3 x",
					     "-1: 1 2 3 x" };
	uint16_t cpus[WEIR_CPUS_MAX] = { 0, 1, 2 };
	struct interrupt interrupt;

	for (unsigned i = 0; i < TESTING_COUNT(lines); i++)
		ck_assert_msg(!interrupts_parse_line(lines[i], cpus, 3, &interrupt), "%s",
			      lines[i]);
	ck_assert_uint_eq(interrupts_parse_head("nothing", cpus), 0);
	ck_assert_uint_eq(interrupts_parse_head("CPU CPU1", cpus), 0);
	ck_assert_uint_eq(interrupts_parse_head("CPU0 CPU99999", cpus), 1);
}
END_TEST

START_TEST(what_an_interrupt_is_for)
{
	static const struct {
		const char *name;
		enum nic_irq_use use;
		unsigned queue;
	} cases[] = {
		{ "virtio2-input.0", NIC_IRQ_RX, 0 },
		{ "virtio2-output.12", NIC_IRQ_TX, 12 },
		{ "virtio2-config", NIC_IRQ_OTHER, 0 },
		{ "eth0-TxRx-3", NIC_IRQ_BOTH, 3 },
		{ "ens5-Tx-Rx-0", NIC_IRQ_BOTH, 0 },
		{ "i40e-eth0-TxRx-17", NIC_IRQ_BOTH, 17 },
		{ "eth0-rx-2", NIC_IRQ_RX, 2 },
		{ "eth0-tx-2", NIC_IRQ_TX, 2 },
		{ "mlx5_comp3@pci:0000:17:00.0", NIC_IRQ_BOTH, 3 },
		{ "mlx5_async0@pci:0000:17:00.0", NIC_IRQ_OTHER, 0 },
		{ "ena-mgmnt@pci:0000:00:05.0", NIC_IRQ_OTHER, 0 },
		{ "eth0", NIC_IRQ_OTHER, 0 },
		{ "", NIC_IRQ_OTHER, 0 },
		{ "rx", NIC_IRQ_OTHER, 0 },
		{ "rx-99999999999999", NIC_IRQ_OTHER, 0 },
	};
	unsigned queue;

	for (unsigned i = 0; i < TESTING_COUNT(cases); i++) {
		ck_assert_msg(nic_irq_use(cases[i].name, &queue) == cases[i].use, "%s",
			      cases[i].name);
		if (cases[i].use != NIC_IRQ_OTHER)
			ck_assert_msg(queue == cases[i].queue, "%s: %u", cases[i].name, queue);
	}
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_head_and_lines),
		TESTING(lines_that_are_none),
		TESTING(what_an_interrupt_is_for),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
