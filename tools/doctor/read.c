/* SPDX-License-Identifier: MIT */
/*
 * read.c: reads /proc and /sys, below the root of the machine, and parses their formats.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/sysfile.h"
#include "tools/doctor/doctor.h"

bool doctor_read(const struct doctor *doctor, const char *path, char *buf, size_t len)
{
	return sysfile_line(doctor->machine->root, path, buf, len);
}

bool doctor_read_number(const struct doctor *doctor, const char *path, long long *ret_value)
{
	return sysfile_number(doctor->machine->root, path, ret_value);
}

bool doctor_read_field(const struct doctor *doctor, const char *path, const char *key, char *buf,
		       size_t len)
{
	return sysfile_field(doctor->machine->root, path, key, buf, len);
}

bool doctor_exists(const struct doctor *doctor, const char *path)
{
	return sysfile_exists(doctor->machine->root, path);
}

bool doctor_has_cap(const struct doctor *doctor, unsigned cap)
{
	char caps[32];

	return doctor_read_field(doctor, "/proc/self/status", "CapEff", caps, sizeof(caps)) &&
	       strtoull(caps, NULL, 16) >> cap & 1;
}

/* Read a number and move *text after it; DOCTOR_CPUS_MAX if it is missing or too large. */
static unsigned long read_cpu(const char **text)
{
	char *end;
	unsigned long cpu = strtoul(*text, &end, 10);

	if (end == *text || cpu > DOCTOR_CPUS_MAX)
		cpu = DOCTOR_CPUS_MAX;
	*text = end;
	return cpu;
}

unsigned doctor_cpu_list(const char *text, bool cpus[DOCTOR_CPUS_MAX])
{
	unsigned count = 0;

	memset(cpus, 0, DOCTOR_CPUS_MAX * sizeof(cpus[0]));
	while (*text) {
		unsigned long first = read_cpu(&text), last = first;

		if (*text == '-') {
			text++;
			last = read_cpu(&text);
		}
		for (; first <= last && first < DOCTOR_CPUS_MAX; first++) {
			count += !cpus[first];
			cpus[first] = true;
		}
		if (*text != ',')
			break;
		text++;
	}
	return count;
}

bool doctor_has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

const char *doctor_errno_name(int err)
{
	static const struct {
		int err;
		const char *name;
	} names[] = {
		{ EPERM, "EPERM" },	  { ENOSYS, "ENOSYS" },
		{ ENOMEM, "ENOMEM" },	  { EINVAL, "EINVAL" },
		{ EACCES, "EACCES" },	  { EMFILE, "EMFILE" },
		{ ENFILE, "ENFILE" },	  { EOPNOTSUPP, "EOPNOTSUPP" },
		{ EBADF, "EBADF" },	  { EFAULT, "EFAULT" },
		{ ETIME, "ETIME" },	  { ENETUNREACH, "ENETUNREACH" },
		{ EBADMSG, "EBADMSG" },	  { EADDRNOTAVAIL, "EADDRNOTAVAIL" },
		{ ENOTTY, "ENOTTY" },	  { EAFNOSUPPORT, "EAFNOSUPPORT" },
		{ EEXIST, "EEXIST" },	  { ENXIO, "ENXIO" },
		{ EAGAIN, "EAGAIN" },	  { ENOBUFS, "ENOBUFS" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].err == -err)
			return names[i].name;
	return weir_strerror(err);
}
