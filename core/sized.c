/* SPDX-License-Identifier: MIT */
/* sized.c: see sized.h. */
#include "core/sized.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "weir/base.h"

/* Far more than any struct has. A larger size is uninitialized memory. */
#define SIZE_MAX_VALID 4096

static size_t size_of(const void *sized)
{
	return *(const size_t *)sized;
}

bool weir__sized_valid(const void *theirs)
{
	return theirs && size_of(theirs) >= sizeof(size_t) && size_of(theirs) <= SIZE_MAX_VALID;
}

static void copy(void *to, const void *from, size_t to_bytes, size_t from_bytes)
{
	size_t common = to_bytes < from_bytes ? to_bytes : from_bytes;

	memcpy(to, from, common);
	memset((char *)to + common, 0, to_bytes - common);
	*(size_t *)to = to_bytes;
}

int weir__sized_read(void *ours, const void *theirs)
{
	const char *bytes = theirs;

	if (!weir__sized_valid(theirs))
		return -EINVAL;
	copy(ours, theirs, size_of(ours), size_of(theirs));
	for (size_t i = size_of(ours); i < size_of(theirs); i++)
		if (bytes[i])
			return -E2BIG;
	return 0;
}

void weir__sized_why(const void *theirs, int rc, const char *init, char *buf, size_t len)
{
	if (!theirs)
		snprintf(buf, len, "the config is NULL: initialize one with %s", init);
	else if (rc == -E2BIG)
		snprintf(buf, len, "config.size is %zu: a field is set that weir %s does not know",
			 size_of(theirs), weir_version());
	else
		snprintf(buf, len, "config.size is %zu: initialize the config with %s",
			 size_of(theirs), init);
}

void weir__sized_write(const void *ours, void *ret_theirs)
{
	WEIR_ASSERT(weir__sized_valid(ret_theirs));
	copy(ret_theirs, ours, size_of(ret_theirs), size_of(ours));
}
