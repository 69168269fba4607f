/* SPDX-License-Identifier: MIT */
/*
 * doctor.h: what the files of `weir doctor` share.
 *
 * A check looks at the machine through struct doctor_machine and adds findings
 * to struct doctor; it changes nothing and prints nothing. This machine is
 * doctor_this_machine; tests make up others, with files below a folder of their
 * own and functions that answer what they are told.
 *
 * Levels:
 *
 *	PASS	as weir wants it
 *	INFO	worth knowing, nothing to mend
 *	WARN	weir runs, but slower or with less than it could
 *	FAIL	what it is asked about (--for) will not work
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

/* What the machine is to be good for. */
enum doctor_use {
	DOCTOR_PROXY,
	DOCTOR_BENCH
};

struct doctor_epoll {
	int create, exclusive, wait2, busy_poll;	/* 0: works; else a negative errno */
};

struct doctor_clock {
	uint64_t resolution_ns, cost_ns;
};

/* The liburing that this build took its header from, and the library that is installed here. */
struct doctor_liburing {
	unsigned header_major, header_minor;	/* 0.0: none */
	unsigned library_major, library_minor;	/* 0.0: none found */
};

/* What became of a runtime that was given nothing but the environment. */
struct doctor_start {
	int err;			/* 0: it has started, and ended */
	unsigned workers;
	char backend[32];
	char why[256];			/* it has not; "" when nobody says */
};

/* What a network card's driver says of itself; 0 or -1: not known. */
struct doctor_nic {
	unsigned queues, queues_max;	/* for both ways, or those that receive */
	bool combined;			/* queues are counted both ways at once */
	unsigned ring, ring_max;	/* slots of each receive queue */
	int gro, tso;			/* 1 on, 0 off */
};

struct doctor_machine {
	const char *root;		/* stands before every path; "" on this machine */
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
	int (*guard)(void);		/* a guard page without a mapping: 0 or a negative errno */
};

extern const struct doctor_machine doctor_this_machine;

struct doctor_finding {
	enum doctor_level level;
	const char *group;
	char id[32];
	char found[256];
	char advice[256];		/* what to do, where no one command does it; or "" */
	char fix[256];			/* the command, for a shell; or "" */
};

struct doctor {
	const struct doctor_machine *machine;
	enum doctor_use use;
	unsigned kernel;		/* DOCTOR_KERNEL; 0 when it is unknown */
	struct doctor_start start;
	struct weir_topo *topo;		/* NULL: it cannot be read */
	struct weir_plan *plan;		/* what a runtime makes of it; NULL: nothing */
	const char *group;		/* of the findings that are being added */
	unsigned len;
	struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

/* ---- findings (report.c) ---- */

void doctor_init(struct doctor *doctor, const struct doctor_machine *machine, enum doctor_use use);
void doctor_fini(struct doctor *doctor);

/* A finding more; doctor_fix and doctor_advise speak of the latest. */
void doctor_add(struct doctor *doctor, enum doctor_level level, const char *id, const char *fmt,
		...) WEIR_PRINTF(4, 5);
void doctor_fix(struct doctor *doctor, const char *fmt, ...) WEIR_PRINTF(2, 3);
void doctor_advise(struct doctor *doctor, const char *fmt, ...) WEIR_PRINTF(2, 3);

/* WARN where that use is what the machine is for; else INFO. */
enum doctor_level doctor_warn_for(const struct doctor *doctor, enum doctor_use use);

unsigned doctor_count(const struct doctor *doctor, enum doctor_level level);
void doctor_print_text(const struct doctor *doctor, FILE *out);
void doctor_print_json(const struct doctor *doctor, FILE *out);
void doctor_print_script(const struct doctor *doctor, FILE *out);

extern const char *const doctor_uses[];	/* by name; ends with NULL */

/* ---- reading (read.c) ---- */

/* The first line of a file, without its end. */
bool doctor_read(const struct doctor *doctor, const char *path, char *buf, size_t len);
bool doctor_read_number(const struct doctor *doctor, const char *path, long long *ret_value);
/* What stands behind "key:" at the head of a line; the first such line's. */
bool doctor_read_field(const struct doctor *doctor, const char *path, const char *key, char *buf,
		       size_t len);
bool doctor_exists(const struct doctor *doctor, const char *path);
/* "0-3,8" as a mask of CPUs up to DOCTOR_CPUS_MAX; how many it has. */
#define DOCTOR_CPUS_MAX 1024
unsigned doctor_cpu_list(const char *text, bool cpus[DOCTOR_CPUS_MAX]);
/* Whether a word stands in a text between blanks. */
bool doctor_has_word(const char *text, const char *word);
/* Whether this process has a capability, by its number. */
#define DOCTOR_CAP_IPC_LOCK 14
#define DOCTOR_CAP_SYS_ADMIN 21
bool doctor_has_cap(const struct doctor *doctor, unsigned cap);
/* "EPERM" for -EPERM. */
const char *doctor_errno_name(int err);

/* ---- the checks, each a group ---- */

void doctor_check_kernel(struct doctor *doctor);	/* first: it fills in .kernel */
void doctor_check_backends(struct doctor *doctor);
void doctor_check_uring(struct doctor *doctor);
void doctor_check_runtime(struct doctor *doctor);	/* behind those that count rings */
void doctor_check_cpu(struct doctor *doctor);
void doctor_check_memory(struct doctor *doctor);
void doctor_check_numa(struct doctor *doctor);
void doctor_check_limits(struct doctor *doctor);
void doctor_check_net(struct doctor *doctor);
void doctor_check_nic(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
void doctor_check_all(struct doctor *doctor);

/* ---- the plan (plan.c) ---- */

/* Read the topology and make the plan of a runtime that is given nothing but the environment. */
void doctor_plan(struct doctor *doctor);
/* How many workers it has; at least 1. */
unsigned doctor_workers(const struct doctor *doctor);
/* Whether it binds them. */
bool doctor_is_bound(const struct doctor *doctor);

/* ---- this machine's answers (machine.c, ethtool.c, liburing.c) ---- */

void doctor_ethtool(const char *name, struct doctor_nic *ret_nic);

void doctor_liburing_find(struct doctor_liburing *ret_liburing);

#endif
