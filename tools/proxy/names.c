/* SPDX-License-Identifier: MIT */
/* names.c: the names of the reasons for which connections end, and of errors. */
#include <errno.h>
#include <stdio.h>

#include "tools/proxy/proxy.h"

static const char *const reasons[END_REASONS] = {
	[END_DONE] = "done",
	[END_CLIENT_RESET] = "client-reset",
	[END_UPSTREAM_RESET] = "upstream-reset",
	[END_IDLE] = "idle-timeout",
	[END_HALF_CLOSE] = "half-close-timeout",
	[END_CONNECT_FAILED] = "connect-failed",
	[END_CONNECT_TIMEOUT] = "connect-timeout",
	[END_DRAINED] = "drained",
	[END_CANCELLED] = "cancelled",
	[END_FAILED] = "failed",
};

const char *end_reason_name(enum end_reason reason)
{
	return reasons[reason];
}

const char *errno_name(int error, char *buf, size_t len)
{
#define NAME(e) { e, #e }
	static const struct {
		int error;
		const char *name;
	} names[] = {
		NAME(ECONNREFUSED), NAME(EHOSTUNREACH), NAME(ENETUNREACH),  NAME(ETIMEDOUT),
		NAME(ECONNRESET),   NAME(EADDRNOTAVAIL), NAME(EMFILE),	    NAME(ENFILE),
		NAME(ENOMEM),	    NAME(ENOBUFS),	NAME(EACCES),	    NAME(EPERM),
		NAME(ENOENT),	    NAME(EPIPE),	NAME(EAGAIN),	    NAME(ENETDOWN),
		NAME(EHOSTDOWN),    NAME(EINVAL),	NAME(EAFNOSUPPORT), NAME(ESHUTDOWN),
	};
#undef NAME

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].error == -error)
			return names[i].name;
	snprintf(buf, len, "%d", -error);
	return buf;
}
