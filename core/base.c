/* SPDX-License-Identifier: MIT */
/* base.c: result texts and the version. */
#include "weir/base.h"

#include <stdio.h>

#include "core/os.h"

#define STR_(x) #x
#define STR(x) STR_(x)

const char *weir_version(void)
{
	return STR(WEIR_VERSION_MAJOR) "." STR(WEIR_VERSION_MINOR) "." STR(WEIR_VERSION_PATCH);
}

static const char *own_words(int result)
{
	switch (result) {
	case -ECANCELED:
		return "cancelled";
	case -ETIMEDOUT:
		return "timed out";
	case -EOPNOTSUPP:
		return "not supported by this backend or build";
	case -ESHUTDOWN:
		return "the runtime is shutting down";
	case -ENODEV:
		return "the runtime was configured without the driver that this needs";
	case -ENXIO:
		return "no runtime here: call it from a task, or enter one";
	case -EPERM:
		return "not allowed from here: waiting calls need a fiber";
	default:
		return NULL;
	}
}

const char *weir_strerror(int result)
{
	static _Thread_local char buf[128];
	const char *text;

	if (result == WEIR_PENDING)
		return "pending";
	if (result >= 0)
		return "success";
	text = own_words(result);
	if (!text)
		text = weir__os_error_text(-result, buf, sizeof buf);
	if (text)
		return text;
	snprintf(buf, sizeof buf, "unknown error %d", result);
	return buf;
}
