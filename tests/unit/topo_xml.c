/* SPDX-License-Identifier: MIT */
/* topo_xml.c: the checks of an XML file before hwloc reads it, and their error messages. */
#include <string.h>

#include "topo/xml.h"
#include "tests/support/testing.h"

#define TOPOLOGY(objects) "<?xml?>\n<topology version=\"2.0\">\n" objects "</topology>\n"
#define SETS(cpus, nodes)                                                                  \
	" cpuset=\"" cpus "\" complete_cpuset=\"" cpus "\" nodeset=\"" nodes                       \
	"\" complete_nodeset=\"" nodes "\""
#define MACHINE(objects)                                                                   \
	TOPOLOGY("<object type=\"Machine\"" SETS("0x3", "0x1") ">\n" NODE objects "</object>\n")
#define NODE NODE_WITH(" os_index=\"0\"")
#define NODE_WITH(number) "<object type=\"NUMANode\"" number SETS("0x3", "0x1") "/>\n"
#define PU(cpu) PU_WITH(" os_index=\"0\"", cpu)
#define PU_WITH(number, cpu) "<object type=\"PU\"" number SETS(cpu, "0x1") "/>\n"

START_TEST(what_is_whole_passes)
{
	static const char *const cases[] = {
		MACHINE(PU("0x1") PU("0x2")),
		/* Words have 32 bits, and may be empty between commas. */
		MACHINE(PU("0x00000000,0x80000000") PU("0x1,0x0") PU("0x1,,")),
		MACHINE(PU("0x1") PU("0xf...f,0x00000002")),
		MACHINE(PU("0x1") "<object type=\"OSDev\" name=\"eth0\"/>\n"),
		MACHINE(PU("0x1") "<object  type=\"Misc\"\n name=\"&lt;&gt;\" />\n"),
	};
	struct weir_why why = { "" };
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++)
		ck_assert_msg(weir__topo_xml_check(cases[i], "file", &why) == 0, "case %u: %s", i,
			      why.text);
}
END_TEST

START_TEST(what_is_not_is_named)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "'file' is not a complete XML topology: it has 0 CPUs and 0 NUMA nodes" },
		{ "<html><body>", "has 0 CPUs" },
		{ "<topology>\n", "'file' line 1: a topology that is not of version 2" },
		{ "\n\n<topology version=\"3.0\">", "'file' line 3: a topology that is not" },
		{ MACHINE(""), "0 CPUs and 1 NUMA nodes" },
		{ TOPOLOGY(PU("0x1")), "1 CPUs and 0 NUMA nodes" },
		{ TOPOLOGY("<object>"), "'file' line 3: an object without type" },
		{ MACHINE(PU("0x1") "<object type=\"Misc\">"), "ends inside an object" },
		{ TOPOLOGY("</object>"), "the end of an object without its beginning" },
		{ MACHINE(PU("0x2") PU("0x1")), "'file' line 6: an object whose CPUs come before" },
		{ MACHINE(PU("0x1,0x0") PU("0x00000001")), "come before" },
		{ MACHINE("<object type=\"Core\" cpuset=\"0x1\"/>"),
		  "'file' line 5: an object without complete_cpuset" },
		/* With a missing quote, the next attribute becomes part of the value. */
		{ MACHINE("<object type=\"Core\" cpuset=\"0x1 complete_cpuset=\"0x1\"/>"),
		  "an object without complete_cpuset" },
		{ MACHINE("<object type=\"Core\" Xcpuset=\"0x1\" complete_cpuset=\"0x1\"/>"),
		  "an object without cpuset" },
		{ TOPOLOGY("<object type=\"Machine\"" SETS("0x1", "0x0") ">"),
		  "a nodeset without a node" },
		{ TOPOLOGY("<object type=\"Machine\"" SETS("0x1", "") ">"),
		  "a nodeset without a node" },
	};
	struct weir_why why;
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++) {
		why.text[0] = '\0';
		ck_assert_msg(weir__topo_xml_check(cases[i].text, "file", &why) == -EINVAL &&
				      strstr(why.text, cases[i].says),
			      "case %u: %s", i, why.text);
	}
}
END_TEST

/* hwloc would allocate bit sets of half a gigabyte for such numbers, or huge matrices. */
START_TEST(numbers_beyond_any_machine_are_refused)
{
	static const char *const cases[] = {
		MACHINE(PU_WITH("", "0x1")),
		MACHINE(PU_WITH(" os_index=\"\"", "0x1")),
		MACHINE(PU_WITH(" os_index=\"-1\"", "0x1")),
		MACHINE(PU_WITH(" os_index=\"65536\"", "0x1")),
		MACHINE(PU_WITH(" os_index=\"4294967294\"", "0x1")),
		MACHINE(PU_WITH(" os_index=\"99999999999999999999\"", "0x1")),
		MACHINE(NODE_WITH("")),
		MACHINE(NODE_WITH(" os_index=\"4294967294\"")),
		MACHINE("<distances2 type=\"PU\" nbobjs=\"65536\">\n"),
		MACHINE("<distances2hetero kind=\"5\">\n"),
	};
	static const char largest[] = MACHINE(PU_WITH(" os_index=\"65535\"", "0x1"));
	struct weir_why why = { "" };
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++)
		ck_assert_msg(weir__topo_xml_check(cases[i], "file", &why) == -EINVAL &&
				      strstr(why.text, "'file' line 5: "),
			      "case %u: %s", i, why.text);
	ck_assert_int_eq(weir__topo_xml_check(largest, "file", &why), 0);
}
END_TEST

START_TEST(a_depth_without_end_is_refused)
{
	static char text[8192] = "<topology version=\"2.0\">";
	struct weir_why why;
	unsigned i;

	for (i = 0; i < 65; i++)
		strcat(text, "<object type=\"Group\"" SETS("0x1", "0x1") ">\n");
	ck_assert_int_eq(weir__topo_xml_check(text, "file", &why), -EINVAL);
	ck_assert_msg(strstr(why.text, "line 65: objects are nested too deeply"), "%s", why.text);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(what_is_whole_passes),
		TESTING(what_is_not_is_named),
		TESTING(numbers_beyond_any_machine_are_refused),
		TESTING(a_depth_without_end_is_refused),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
