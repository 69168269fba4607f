/* SPDX-License-Identifier: MIT */
/* base.c: texts for results, and the version. */
#include "weir/base.h"

#include <stdio.h>

#include "core/os.h"

#define STR_(x) #x
#define STR(x) STR_(x)

const char *weir_version(void)
{
	return STR(WEIR_VERSION_MAJOR) "." STR(WEIR_VERSION_MINOR) "." STR(WEIR_VERSION_PATCH);
}

/* These codes have one meaning throughout weir, so weir has its own words for them. */
static const char *own_text(int result)
{
	switch (result) {
	case -ECANCELED:
		return "cancelled";
	case -ETIMEDOUT:
		return "timed out";
	case -ESHUTDOWN:
		return "shut down";
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
	text = own_text(result);
	if (!text)
		text = weir__os_error_text(-result, buf, sizeof buf);
	if (text)
		return text;
	snprintf(buf, sizeof buf, "unknown error %d", result);
	return buf;
}

const char *weir_explain(int result)
{
	switch (result) {
	case -EPERM:
		return "not allowed here: a call that waits needs a fiber, "
		       "and a runtime is created and stopped outside its tasks";
	case -ENXIO:
		return "no runtime here: call this from a task, or enter a runtime first";
	case -ENODEV:
		return "the runtime was configured without the driver that this call needs";
	case -EOPNOTSUPP:
		return "not supported by this backend or build";
	default:
		return weir_strerror(result);
	}
}
