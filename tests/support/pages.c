/* SPDX-License-Identifier: MIT */
/* pages.c: see pages.h. */
#include "tests/support/pages.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* numa_maps has one line per mapping, which begins with its first address, in ascending order. */
const char *testing_policy_of(const void *at)
{
	static char policy[64];
	char line[4096], name[64];
	unsigned long first;
	FILE *f = fopen("/proc/self/numa_maps", "re");

	policy[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %63s", &first, name) != 2)
			continue;
		if (first > (uintptr_t)at)
			break;
		strcpy(policy, name);
	}
	if (f)
		fclose(f);
	return policy;
}

/* Makes up to three system calls fail with err, or end the process if err is 0. */
static int deny(const unsigned calls[3], int err)
{
	unsigned action = err ? SECCOMP_RET_ERRNO | (unsigned)err : SECCOMP_RET_KILL_PROCESS;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[0], 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[1], 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[2], 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

int testing_deny_placing(int err)
{
	const unsigned calls[3] = { SYS_mbind, SYS_set_mempolicy, SYS_get_mempolicy };

	return deny(calls, err);
}

int testing_deny_binding(int err)
{
	const unsigned call = SYS_sched_setaffinity, calls[3] = { call, call, call };

	return deny(calls, err);
}

/* Adds the pages of the mapping in this line to *on, if they are on the node, or to *off. */
static void count_pages(const char *line, int node, size_t *on, size_t *off)
{
	const char *at = line;
	unsigned long pages;
	int of;

	while ((at = strstr(at, " N")) != NULL) {
		at += 2;
		if (sscanf(at, "%d=%lu", &of, &pages) == 2)
			*(of == node ? on : off) += pages;
	}
}

size_t testing_count_placed(int node, size_t *ret_elsewhere)
{
	char line[4096], policy[64], wanted[64];
	size_t on = 0, off = 0;
	FILE *f = fopen("/proc/self/numa_maps", "re");

	snprintf(wanted, sizeof(wanted), "prefer:%d", node);
	while (f && fgets(line, sizeof(line), f)) {
		size_t before = off;

		if (sscanf(line, "%*s %63s", policy) != 1 || strcmp(policy, wanted) != 0)
			continue;
		count_pages(line, node, &on, &off);
		if (off > before)
			fprintf(stderr, "# elsewhere: %s", line);
	}
	if (f)
		fclose(f);
	*ret_elsewhere = off;
	return on;
}
