/* SPDX-License-Identifier: MIT */
/* outfile.c: see outfile.h. */
#include "tools/common/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Follow links that root owns, such as /dev/stdout, and the user's own. */
static bool is_trusted(const struct stat *link)
{
	return link->st_uid == geteuid() || link->st_uid == 0;
}

/* Resolve the path. *ret_in_place: it exists and is not a regular file, so write it directly. */
static int find(struct outfile *file, const char *path, bool *ret_in_place)
{
	struct stat st;

	*ret_in_place = false;
	if (strlen(path) >= sizeof(file->path) - sizeof(".XXXXXX"))
		return -ENAMETOOLONG;
	strcpy(file->path, path);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(st.st_mode)) {
		if (!is_trusted(&st))
			return OUTFILE_OTHERS_LINK;
		/* A pipe in /proc/self/fd has no path of its own: open it through the link. */
		if (stat(path, &st) < 0)
			return -errno;
		if (S_ISREG(st.st_mode) && !realpath(path, file->path))
			return -errno;
	}
	*ret_in_place = !S_ISREG(st.st_mode);
	return S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	mode_t mask;

	if (stat(path, &st) == 0)
		return st.st_mode & 0777;
	mask = umask(0);
	umask(mask);
	return 0666 & ~mask;
}

static int open_temporary(struct outfile *file)
{
	int fd;

	snprintf(file->temporary, sizeof(file->temporary), "%s", file->path);
	strcat(file->temporary, ".XXXXXX");
	fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd < 0) {
		*file->temporary = '\0';
		return -errno;
	}
	(void)fchmod(fd, mode_of(file->path));
	return fd;
}

const char *outfile_error(int rc)
{
	return rc == OUTFILE_OTHERS_LINK ? "a symbolic link that another user owns is not followed"
					 : strerror(-rc);
}

int outfile_open(struct outfile *file, const char *path)
{
	bool in_place;
	int fd;

	*file = (struct outfile){ .out = stdout };
	if (strcmp(path, "-") == 0)
		return 0;
	fd = find(file, path, &in_place);
	if (fd < 0)
		return fd;
	fd = in_place ? open(path, O_WRONLY | O_CLOEXEC) : open_temporary(file);
	if (fd < 0)
		return in_place ? -errno : fd;
	file->out = fdopen(fd, "w");
	if (file->out)
		return 0;
	close(fd);
	outfile_drop(file);
	return -ENOMEM;
}

int outfile_close(struct outfile *file)
{
	int rc = ferror(file->out) ? -EIO : 0;

	if (fflush(file->out) != 0)
		rc = -errno;
	if (file->out != stdout && fclose(file->out) != 0 && rc == 0)
		rc = -errno;
	file->out = NULL;
	if (rc == 0 && *file->temporary && rename(file->temporary, file->path) < 0)
		rc = -errno;
	if (rc == 0)
		*file->temporary = '\0';
	outfile_drop(file);
	return rc;
}

void outfile_drop(struct outfile *file)
{
	if (file->out && file->out != stdout)
		fclose(file->out);
	file->out = NULL;
	if (*file->temporary)
		unlink(file->temporary);
	*file->temporary = '\0';
}

int outfile_check(const char *path)
{
	struct outfile file = { .out = NULL };
	bool in_place = true;
	int rc = strcmp(path, "-") == 0 ? 0 : find(&file, path, &in_place);

	if (rc < 0 || in_place)
		return rc == 0 && *file.path && access(path, W_OK) < 0 ? -errno : rc;
	rc = outfile_open(&file, path);
	outfile_drop(&file);
	return rc;
}
