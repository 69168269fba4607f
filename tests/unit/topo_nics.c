/* SPDX-License-Identifier: MIT */
/* topo_nics.c: network cards and their nodes, from a made-up sysfs tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "topo/topo.h"
#include "tests/support/testing.h"

static char root[64];

static void make_root(void)
{
	snprintf(root, sizeof root, "/tmp/weir-nics-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void run(const char *format, const char *a, const char *b)
{
	char command[640], script[512];

	snprintf(script, sizeof script, format, a, b);
	snprintf(command, sizeof command, "cd '%s' && %s", root, script);
	ck_assert_int_eq(system(command), 0);
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

/* Makes a card on the PCI bus, with the file that names its node. */
static void put_card(const char *name, const char *node)
{
	run("mkdir -p sys/class/net/%s sys/devices/%s", name, name);
	run("ln -s ../../../devices/%s sys/class/net/%s/device", name, name);
	run("echo %s >sys/devices/%s/numa_node", node, name);
}

START_TEST(cards_are_at_their_node)
{
	struct weir_topo_node nodes[2] = { { .os = 0 }, { .os = 8 } };
	struct weir_topo topo = { .nodes_len = 2, .nodes = nodes };

	put_card("eth1", "8");
	put_card("eth0", "0");
	put_card("eth2", "-1");
	put_card("eth3", "5");
	/* Virtio: the parent of the device names the node. */
	run("mkdir -p sys/class/net/eth4 sys/devices/pci/%s && echo 8 >sys/devices/pci/numa_node",
	    "virtio0", "");
	run("ln -s ../../../devices/pci/virtio0 sys/class/net/%s/device", "eth4", "");
	/* A bridge, which has no device, and a file that is no interface. */
	run("mkdir -p sys/class/net/br0 && touch sys/class/net/bonding_masters", "", "");
	ck_assert_int_eq(weir__topo_read_nics(root, &topo), 0);
	ck_assert_uint_eq(topo.nics_len, 5);
	for (unsigned i = 0; i < 5; i++) {
		static const int wanted[5] = { 0, 1, -1, -1, 1 };
		char name[8];

		snprintf(name, sizeof name, "eth%u", i);
		ck_assert_str_eq(topo.nics[i].name, name);
		ck_assert_int_eq(topo.nics[i].node, wanted[i]);
	}
	free(topo.nics);
}
END_TEST

START_TEST(with_one_node_every_card_is_there)
{
	struct weir_topo_node node = { .os = 0 };
	struct weir_topo topo = { .nodes_len = 1, .nodes = &node };

	ck_assert_int_eq(weir__topo_read_nics(root, &topo), 0);
	ck_assert_uint_eq(topo.nics_len, 0);
	put_card("eth0", "-1");
	ck_assert_int_eq(weir__topo_read_nics(root, &topo), 0);
	ck_assert_uint_eq(topo.nics_len, 1);
	ck_assert_int_eq(topo.nics[0].node, 0);
	free(topo.nics);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(cards_are_at_their_node, .setup = make_root, .teardown = remove_root),
		TESTING(with_one_node_every_card_is_there, .setup = make_root,
			.teardown = remove_root),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
