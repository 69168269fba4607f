/* SPDX-License-Identifier: MIT */
/*
 * liburing.c: the versions of this build's liburing header and of the library that would
 * be loaded here. From 2.4 on the library has a function for its version; before that,
 * the version comes from the file's name.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tools/doctor/doctor.h"

#ifndef DOCTOR_LIBURING_HEADER
#define DOCTOR_LIBURING_HEADER "0.0"
#endif

/* The version in a name such as "…/liburing.so.2.3". */
static void version_of_file(void *symbol, unsigned *ret_major, unsigned *ret_minor)
{
	char path[PATH_MAX], *at;
	Dl_info info;

	if (!symbol || !dladdr(symbol, &info) || !info.dli_fname || !realpath(info.dli_fname, path))
		return;
	at = strstr(path, ".so.");
	if (at && sscanf(at, ".so.%u.%u", ret_major, ret_minor) != 2)
		*ret_major = *ret_minor = 0;
}

static int call(void *symbol)
{
	int (*fn)(void);

	memcpy(&fn, &symbol, sizeof(fn));
	return fn();
}

void doctor_liburing_find(struct doctor_liburing *ret_liburing)
{
	void *library = dlopen("liburing.so.2", RTLD_LAZY | RTLD_LOCAL), *major, *minor;

	memset(ret_liburing, 0, sizeof(*ret_liburing));
	sscanf(DOCTOR_LIBURING_HEADER, "%u.%u", &ret_liburing->header_major,
	       &ret_liburing->header_minor);
	if (!library)
		return;
	major = dlsym(library, "io_uring_major_version");
	minor = dlsym(library, "io_uring_minor_version");
	if (major && minor) {
		ret_liburing->library_major = (unsigned)call(major);
		ret_liburing->library_minor = (unsigned)call(minor);
	} else {
		version_of_file(dlsym(library, "io_uring_queue_init"), &ret_liburing->library_major,
				&ret_liburing->library_minor);
	}
	dlclose(library);
}
