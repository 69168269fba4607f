/* SPDX-License-Identifier: MIT */
/*
 * doctor_read.c: how the checks of `weir doctor` read /proc and /sys, below the
 * root of the machine in question, and the few formats that are found there.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/doctor.h"

static bool full_path(const struct doctor *doctor, const char *path, char full[PATH_MAX])
{
	return snprintf(full, PATH_MAX, "%s%s", doctor->machine->root, path) < PATH_MAX;
}

static FILE *open_file(const struct doctor *doctor, const char *path)
{
	char full[PATH_MAX];

	return full_path(doctor, path, full) ? fopen(full, "re") : NULL;
}

bool doctor_read(const struct doctor *doctor, const char *path, char *buf, size_t len)
{
	FILE *file = open_file(doctor, path);
	bool ok = file && fgets(buf, (int)len, file);

	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	if (file)
		fclose(file);
	return ok;
}

bool doctor_read_number(const struct doctor *doctor, const char *path, long long *ret_value)
{
	char line[64], *end;
	long long value;

	if (!doctor_read(doctor, path, line, sizeof(line)))
		return false;
	errno = 0;
	value = strtoll(line, &end, 10);
	if (end == line || *end || errno)
		return false;
	*ret_value = value;
	return true;
}

bool doctor_read_field(const struct doctor *doctor, const char *path, const char *key, char *buf,
		       size_t len)
{
	FILE *file = open_file(doctor, path);
	size_t key_len = strlen(key), room = 0;
	char *line = NULL, *at;
	bool found = false;

	while (file && !found && getline(&line, &room, file) >= 0) {
		if (strncmp(line, key, key_len) != 0)
			continue;
		at = line + key_len;
		at += strspn(at, " \t");
		if (*at != ':')
			continue;
		at++;
		at += strspn(at, " \t");
		at[strcspn(at, "\n")] = '\0';
		snprintf(buf, len, "%s", at);
		found = true;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

bool doctor_exists(const struct doctor *doctor, const char *path)
{
	char full[PATH_MAX];

	return full_path(doctor, path, full) && access(full, F_OK) == 0;
}

bool doctor_has_cap(const struct doctor *doctor, unsigned cap)
{
	char caps[32];

	return doctor_read_field(doctor, "/proc/self/status", "CapEff", caps, sizeof(caps)) &&
	       strtoull(caps, NULL, 16) >> cap & 1;
}

/* A number at *text, which moves behind it; DOCTOR_CPUS_MAX when there is none that counts. */
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
