/* SPDX-License-Identifier: MIT */
/* sysfile.c: see sysfile.h. */
#include "tools/common/sysfile.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool full_path(const char *root, const char *path, char full[PATH_MAX])
{
	return snprintf(full, PATH_MAX, "%s%s", root, path) < PATH_MAX;
}

FILE *sysfile_open(const char *root, const char *path)
{
	char full[PATH_MAX];

	return full_path(root, path, full) ? fopen(full, "re") : NULL;
}

bool sysfile_exists(const char *root, const char *path)
{
	char full[PATH_MAX];

	return full_path(root, path, full) && access(full, F_OK) == 0;
}

bool sysfile_line(const char *root, const char *path, char *buf, size_t len)
{
	FILE *file = sysfile_open(root, path);
	bool ok = file && fgets(buf, (int)len, file);

	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	if (file)
		fclose(file);
	return ok;
}

bool sysfile_text(const char *root, const char *path, char *buf, size_t len)
{
	FILE *file = sysfile_open(root, path);
	size_t n = file ? fread(buf, 1, len - 1, file) : 0;

	buf[n] = '\0';
	if (file)
		fclose(file);
	return n > 0;
}

bool sysfile_number(const char *root, const char *path, long long *ret_value)
{
	char line[64], *end;
	long long value;

	if (!sysfile_line(root, path, line, sizeof(line)))
		return false;
	errno = 0;
	value = strtoll(line, &end, 10);
	if (end == line || *end || errno)
		return false;
	*ret_value = value;
	return true;
}

bool sysfile_field(const char *root, const char *path, const char *key, char *buf, size_t len)
{
	FILE *file = sysfile_open(root, path);
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

bool sysfile_link(const char *root, const char *path, char *buf, size_t len)
{
	char full[PATH_MAX], target[PATH_MAX], *name;
	ssize_t n = full_path(root, path, full) ? readlink(full, target, sizeof(target) - 1) : -1;

	if (n <= 0)
		return false;
	target[n] = '\0';
	name = strrchr(target, '/');
	snprintf(buf, len, "%s", name ? name + 1 : target);
	return true;
}

/* ---- folders ---- */

static int by_number(const void *a, const void *b)
{
	const char *left = a, *right = b;
	size_t l = strcspn(left, "0123456789"), r = strcspn(right, "0123456789");
	unsigned long m, n;

	if (l != r || strncmp(left, right, l) != 0)
		return strcmp(left, right);
	m = strtoul(left + l, NULL, 10);
	n = strtoul(right + r, NULL, 10);
	return m != n ? (m > n) - (m < n) : strcmp(left, right);
}

unsigned sysfile_entries(const char *root, const char *path, const char *prefix,
			 char (**ret_names)[SYSFILE_NAME])
{
	char full[PATH_MAX], (*names)[SYSFILE_NAME] = NULL, (*more)[SYSFILE_NAME];
	DIR *dir = full_path(root, path, full) ? opendir(full) : NULL;
	unsigned len = 0, room = 0;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= SYSFILE_NAME ||
		    strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (len == room) {
			room = room ? room * 2 : 16;
			more = realloc(names, room * sizeof(*names));
			if (!more)
				break;
			names = more;
		}
		strcpy(names[len++], entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (len)
		qsort(names, len, sizeof(*names), by_number);
	*ret_names = names;
	return len;
}
