/* SPDX-License-Identifier: MIT */
/*
 * doctor.h: what the files of `weir doctor` share.
 *
 * A check reads the machine through struct doctor_machine and adds findings to
 * struct doctor; it changes nothing and prints nothing. doctor_this_machine is the
 * real machine. Tests use fake ones, with files in a folder of their own and
 * functions with fixed answers.
 *
 * Levels:
 *
 *	PASS	nothing is wrong
 *	INFO	useful information, nothing to fix
 *	WARN	weir runs, but slower or with a lower limit than it could
 *	FAIL	the intended use (--for) will not work
 */
#ifndef TOOLS_DOCTOR_DOCTOR_H
#define TOOLS_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/base.h"

#define DOCTOR_FINDINGS_MAX 256
#define DOCTOR_KERNEL(major, minor, patch) ((major) << 24 | (minor) << 16 | (patch))

struct rlimit;
struct utsname;
struct weir_backend_info;
struct weir_cpu_allowance;
struct weir_plan;
struct weir_topo;
struct doctor_uring;

enum doctor_level {
	DOCTOR_PASS,
	DOCTOR_INFO,
	DOCTOR_WARN,
	DOCTOR_FAIL,
	DOCTOR_LEVELS
};

/* What the machine will be used for. */
enum doctor_use {
	DOCTOR_PROXY,
	DOCTOR_BENCH
};

struct doctor_epoll {
	int create, exclusive, wait2, busy_poll;	/* 0: it works; or a negative errno */
};

struct doctor_clock {
	uint64_t resolution_ns, cost_ns;
};

/* The versions of the liburing header used for this build and of the installed library. */
struct doctor_liburing {
	unsigned header_major, header_minor;	/* 0.0: none */
	unsigned library_major, library_minor;	/* 0.0: none found */
};

/* The result of starting a runtime with the default configuration. */
struct doctor_start {
	int err;			/* 0: it started and was ended; or a negative errno */
	unsigned workers;
	char backend[32];
	char why[256];			/* why it did not start; may be "" */
};

/* What a network card's driver reports; 0 or -1: not known. */
struct doctor_nic {
	unsigned queues, queues_max;	/* combined queues, or receive queues */
	bool combined;			/* a queue receives and sends */
	unsigned ring, ring_max;	/* slots of each receive queue */
	int gro, tso;			/* 1 on, 0 off */
};

struct doctor_machine {
	const char *root;		/* the prefix of every path; "" on this machine */
	int (*name)(struct utsname *ret_name);
	int (*limit)(int resource, struct rlimit *ret_limit);
	int (*cpus)(struct weir_cpu_allowance *ret_allowance);
	int (*topo)(struct weir_topo **ret_topo);
	void (*topo_free)(struct weir_topo *topo);
	void (*nic)(const char *name, struct doctor_nic *ret_nic);
	int (*backend)(unsigned i, struct weir_backend_info *ret_info);
	void (*start)(struct doctor_start *ret_start);
	char *(*env)(const char *name);
	void (*epoll)(struct doctor_epoll *ret_epoll);
	void (*uring)(struct doctor_uring *ret_uring);
	void (*liburing)(struct doctor_liburing *ret_liburing);
	void (*clock)(struct doctor_clock *ret_clock);
	int (*guard)(void);		/* try MADV_GUARD_INSTALL: 0 or a negative errno */
};

extern const struct doctor_machine doctor_this_machine;

struct doctor_finding {
	enum doctor_level level;
	const char *group;
	char id[32];
	char found[256];
	char advice[256];		/* what to do if no single command fixes it; or "" */
	char fix[256];			/* a shell command; or "" */
};

struct doctor {
	const struct doctor_machine *machine;
	enum doctor_use use;
	unsigned kernel;		/* DOCTOR_KERNEL; 0 when it is unknown */
	struct doctor_start start;
	struct weir_topo *topo;		/* NULL: it cannot be read */
	struct weir_plan *plan;		/* a runtime's plan for it; NULL: there is none */
	const char *group;		/* the group of the next findings */
	unsigned len;
	struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

/* ---- findings (report.c) ---- */

void doctor_init(struct doctor *doctor, const struct doctor_machine *machine, enum doctor_use use);
void doctor_fini(struct doctor *doctor);

/* Add a finding. doctor_fix and doctor_advise add to the latest one. */
void doctor_add(struct doctor *doctor, enum doctor_level level, const char *id, const char *fmt,
		...) WEIR_PRINTF(4, 5);
void doctor_fix(struct doctor *doctor, const char *fmt, ...) WEIR_PRINTF(2, 3);
void doctor_advise(struct doctor *doctor, const char *fmt, ...) WEIR_PRINTF(2, 3);

/* WARN if the machine is meant for this use, otherwise INFO. */
enum doctor_level doctor_warn_for(const struct doctor *doctor, enum doctor_use use);

unsigned doctor_count(const struct doctor *doctor, enum doctor_level level);
void doctor_print_text(const struct doctor *doctor, FILE *out);
void doctor_print_json(const struct doctor *doctor, FILE *out);
void doctor_print_script(const struct doctor *doctor, FILE *out);

extern const char *const doctor_uses[];	/* by name; ends with NULL */

/* ---- reading (read.c) ---- */

/* The first line of a file, without the newline. */
bool doctor_read(const struct doctor *doctor, const char *path, char *buf, size_t len);
bool doctor_read_number(const struct doctor *doctor, const char *path, long long *ret_value);
/* The value of the first line that begins with "key:". */
bool doctor_read_field(const struct doctor *doctor, const char *path, const char *key, char *buf,
		       size_t len);
bool doctor_exists(const struct doctor *doctor, const char *path);
/* Parse "0-3,8" into a mask of CPUs below DOCTOR_CPUS_MAX. Returns their number. */
#define DOCTOR_CPUS_MAX 1024
unsigned doctor_cpu_list(const char *text, bool cpus[DOCTOR_CPUS_MAX]);
/* Whether a text contains a word, separated by blanks. */
bool doctor_has_word(const char *text, const char *word);
/* Whether this process has a capability, by its number. */
#define DOCTOR_CAP_IPC_LOCK 14
#define DOCTOR_CAP_SYS_ADMIN 21
bool doctor_has_cap(const struct doctor *doctor, unsigned cap);
/* "EPERM" for -EPERM. */
const char *doctor_errno_name(int err);

/* ---- the checks, each a group ---- */

void doctor_check_kernel(struct doctor *doctor);	/* must be the first: it sets .kernel */
void doctor_check_backends(struct doctor *doctor);
void doctor_check_uring(struct doctor *doctor);
void doctor_check_runtime(struct doctor *doctor);	/* after the checks that create rings */
void doctor_check_cpu(struct doctor *doctor);
void doctor_check_memory(struct doctor *doctor);
void doctor_check_numa(struct doctor *doctor);
void doctor_check_limits(struct doctor *doctor);
void doctor_check_net(struct doctor *doctor);
void doctor_check_nic(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
void doctor_check_all(struct doctor *doctor);

/* ---- the plan (plan.c) ---- */

/* Read the topology, and make the plan of a runtime with the default configuration. */
void doctor_plan(struct doctor *doctor);
/* The number of workers in the plan; at least 1. */
unsigned doctor_workers(const struct doctor *doctor);
/* Whether the plan binds workers. */
bool doctor_is_bound(const struct doctor *doctor);

/* ---- functions of doctor_this_machine (machine.c, ethtool.c, liburing.c) ---- */

void doctor_ethtool(const char *name, struct doctor_nic *ret_nic);

void doctor_liburing_find(struct doctor_liburing *ret_liburing);

#endif
