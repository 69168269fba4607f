/* SPDX-License-Identifier: MIT */
/*
 * tools_doctor_rig.h: a made-up machine for a test of `weir doctor`: files in a folder of its
 * own, and the results of system calls. At first there is nothing to complain about; a test
 * changes what it tests, and checks the findings.
 */
#ifndef TESTS_UNIT_TOOLS_DOCTOR_RIG_H
#define TESTS_UNIT_TOOLS_DOCTOR_RIG_H

#include "tools/doctor/doctor.h"
#include "tools/doctor/uring.h"
#include "weir/rt.h"
#include "weir/topo.h"

#define RIG_NODES_MAX 8
#define RIG_CPUS_MAX 64
#define STATUS "/proc/self/status"
#define UNFILTERED "CapEff:\t0000000000000000\nSeccomp:\t0\nCpus_allowed_list:\t0-3\n"

/* The results that the machine gives. */
struct doctor_rig {
	char release[64];
	unsigned long long nofile, memlock; /* RLIM_INFINITY: none */
	struct weir_cpu_allowance cpus;
	/* The topology: CPUs in equal shares on the nodes, each of which is a package and an L3. */
	unsigned nodes, packages;
	uint64_t node_bytes[RIG_NODES_MAX];
	unsigned far;			/* the distance of two nodes; 0: unknown */
	unsigned slow_cpus;		/* how many of the last CPUs are a slower kind */
	bool no_hwloc;
	struct doctor_nic nic;
	struct weir_backend_info backends[4];
	struct doctor_start start;
	char *env_backend, *env_workers; /* NULL: not set */
	struct doctor_epoll epoll;
	struct doctor_uring uring;
	struct doctor_liburing liburing;
	struct doctor_clock clock;
	int guard;
};

extern struct doctor_rig says;
extern struct doctor doctor;
extern const struct doctor_machine machine;

/* The setup and teardown of each test. */
#define MADE_UP .setup = make_machine, .teardown = remove_machine
void make_machine(void);
void remove_machine(void);

/* Writes a file of the machine, and makes the folders above it. */
void put(const char *path, const char *text);
/* Makes a symbolic link of the machine. */
void put_link(const char *path, const char *target);
/* Removes all files of the machine. */
void remove_files(void);
void quota(unsigned milli, const char *file);

void examine(enum doctor_use use);
const struct doctor_finding *find(const char *id);
/* The same, and asserts that the finding exists. */
const struct doctor_finding *got(const char *id);
/*
 * Asserts that there is a finding of this level that contains these words, with exactly this
 * command.
 */
void expect(const char *id, enum doctor_level level, const char *found, const char *fix);
/* The same, after examining the machine as it is now. */
void expect_now(const char *id, enum doctor_level level, const char *found, const char *fix);

#define HAS(text, part) \
	ck_assert_msg(strstr(text, part), "'%s' is not in '%s'", part, text)

#endif
