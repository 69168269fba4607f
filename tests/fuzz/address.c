/* SPDX-License-Identifier: MIT */
/*
 * address.c: for every text that weir_addr_parse accepts, weir_addr_format prints a text that
 * parses to the same address. If weir_addr_parse refuses a text, it leaves the address unchanged.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "weir/net.h"

#define TEXT_MAX 300

static void check_round_trip(const struct weir_addr *addr)
{
	struct weir_addr again;
	char text[TEXT_MAX], cut[8];
	int len = weir_addr_format(addr, text, sizeof(text));

	FUZZ_ASSERT(len > 0 && (size_t)len < sizeof(text));
	FUZZ_ASSERT(strlen(text) == (size_t)len);
	FUZZ_ASSERT(weir_addr_parse(text, &again) == 0);
	FUZZ_ASSERT(again.len == addr->len);
	FUZZ_ASSERT(memcmp(&again.u, &addr->u, addr->len) == 0);
	/* With a short buffer the text is cut, and the return value is still its whole length. */
	FUZZ_ASSERT(weir_addr_format(addr, cut, sizeof(cut)) == len);
	FUZZ_ASSERT(strncmp(cut, text, sizeof(cut) - 1) == 0 && strlen(cut) < sizeof(cut));
}

static void check_port(struct weir_addr addr)
{
	uint16_t port = weir_addr_port(&addr);

	weir_addr_set_port(&addr, (uint16_t)(port + 1));
	if (addr.u.sa.sa_family == AF_UNIX)
		FUZZ_ASSERT(port == 0 && weir_addr_port(&addr) == 0);
	else
		FUZZ_ASSERT(weir_addr_port(&addr) == (uint16_t)(port + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_addr addr, before;
	char text[TEXT_MAX];
	int rc;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&addr, 0xa5, sizeof(addr));
	before = addr;
	rc = weir_addr_parse(text, &addr);
	if (rc < 0) {
		FUZZ_ASSERT(rc == -EINVAL || rc == -ENAMETOOLONG);
		FUZZ_ASSERT(memcmp(&addr, &before, sizeof(addr)) == 0);
		return 0;
	}
	check_round_trip(&addr);
	check_port(addr);
	return 0;
}
