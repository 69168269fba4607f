/* SPDX-License-Identifier: MIT */
/*
 * address.c: converts text to socket addresses and back, without DNS and without the
 * services file.
 *
 * Parsing is strict, because the texts come from command lines and configuration files:
 * a port has one to five decimal digits, an IPv4 address has four parts, and an IPv6
 * address is in brackets. format prints every parsed address in a form that parse reads
 * as the same address.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "core/io/io.h"
#include "net/net.h"

#define UNIX_HEAD offsetof(struct sockaddr_un, sun_path)

/* Skip a prefix; false if text does not begin with it. */
static bool skip(const char **text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*text, prefix, len) != 0)
		return false;
	*text += len;
	return true;
}

/* Parse the whole text as a number up to max, with at most `digits` digits; or -EINVAL. */
static int64_t parse_number(const char *text, unsigned digits, int64_t max)
{
	int64_t n = 0;
	unsigned i;

	for (i = 0; text[i] >= '0' && text[i] <= '9'; i++) {
		if (i == digits)
			return -EINVAL;
		n = n * 10 + (text[i] - '0');
	}
	return i > 0 && text[i] == '\0' && n <= max ? n : -EINVAL;
}

static int parse_port(const char *text)
{
	return (int)parse_number(text, 5, UINT16_MAX);
}

/* Parse "PATH", or "@NAME" for an abstract name. */
static int parse_unix(const char *path, struct weir_addr *ret_addr)
{
	struct sockaddr_un *un = &ret_addr->u.un;
	size_t len = strlen(path);
	bool abstract = path[0] == '@';

	if (len == 0 || (abstract && len == 1))
		return -EINVAL;
	if (len >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len);
	if (abstract)
		un->sun_path[0] = '\0';
	ret_addr->len = (socklen_t)(UNIX_HEAD + len + (abstract ? 0 : 1));
	return 0;
}

/* Parse the zone after '%': a positive number, or the name of an interface of this machine. */
static int parse_zone(const char *zone, uint32_t *ret_scope)
{
	int64_t scope = parse_number(zone, 10, UINT32_MAX);

	if (scope < 0)
		scope = if_nametoindex(zone);
	if (scope == 0)
		return -EINVAL;
	*ret_scope = (uint32_t)scope;
	return 0;
}

/* Parse the text between the brackets. */
static int parse_v6(const char *host, size_t len, uint16_t port, struct weir_addr *ret_addr)
{
	struct sockaddr_in6 *in6 = &ret_addr->u.in6;
	char buf[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
	char *zone;

	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, host, len);
	buf[len] = '\0';
	zone = strchr(buf, '%');
	if (zone) {
		*zone++ = '\0';
		if (parse_zone(zone, &in6->sin6_scope_id) < 0)
			return -EINVAL;
	}
	if (inet_pton(AF_INET6, buf, &in6->sin6_addr) != 1)
		return -EINVAL;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	ret_addr->len = sizeof(*in6);
	return 0;
}

/* Parse a dotted quad; an empty text or '*' means any address. */
static int parse_v4(const char *host, size_t len, uint16_t port, struct weir_addr *ret_addr)
{
	struct sockaddr_in *in = &ret_addr->u.in;
	char buf[INET_ADDRSTRLEN];

	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, host, len);
	buf[len] = '\0';
	if (len != 0 && strcmp(buf, "*") != 0 && inet_pton(AF_INET, buf, &in->sin_addr) != 1)
		return -EINVAL;
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	ret_addr->len = sizeof(*in);
	return 0;
}

static int parse_inet(const char *text, struct weir_addr *ret_addr)
{
	const char *colon = strrchr(text, ':');
	int port = colon ? parse_port(colon + 1) : -EINVAL;
	size_t len;

	if (port < 0)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (text[0] != '[')
		return parse_v4(text, len, (uint16_t)port, ret_addr);
	if (text[len - 1] != ']')
		return -EINVAL;
	return parse_v6(text + 1, len - 2, (uint16_t)port, ret_addr);
}

int weir_addr_parse(const char *text, struct weir_addr *ret_addr)
{
	struct weir_addr addr;
	int rc;

	if (!text || !ret_addr)
		return -EINVAL;
	memset(&addr, 0, sizeof(addr));
	if (skip(&text, "unix:")) {
		rc = parse_unix(text, &addr);
	} else {
		skip(&text, "tcp://");
		rc = parse_inet(text, &addr);
	}
	if (rc == 0)
		*ret_addr = addr;
	return rc;
}

/* The characters of host names; '_' is not in the standard but is used. */
#define NAME_CHARS DIGITS "-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/*
 * The C library's resolver also reads "1.2", "10" and "0x7f.1" as IPv4 addresses. Such a text is
 * more likely a mistyped address, so a name whose last label is a number is refused.
 */
static bool ends_in_number(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *label = dot ? dot + 1 : host;

	if (label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		return label[2 + strspn(label + 2, DIGITS "abcdefABCDEF")] == '\0';
	return label[0] != '\0' && label[strspn(label, DIGITS)] == '\0';
}

int weir__addr_split(const char *text, char *ret_host, uint16_t *ret_port)
{
	size_t len;
	int port;

	skip(&text, "tcp://");
	len = strspn(text, NAME_CHARS);
	port = text[len] == ':' ? parse_port(text + len + 1) : -EINVAL;
	if (len == 0 || port < 0)
		return -EINVAL;
	if (len > WEIR__HOST_MAX)
		return -ENAMETOOLONG;
	memcpy(ret_host, text, len);
	ret_host[len] = '\0';
	if (ends_in_number(ret_host))
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

/* An abstract name is printed with '@' for its first byte, and only up to the next NUL. */
static int format_unix(const struct weir_addr *addr, char *buf, size_t len)
{
	const struct sockaddr_un *un = &addr->u.un;
	size_t room = addr->len > UNIX_HEAD ? addr->len - UNIX_HEAD : 0;

	if (room > sizeof(un->sun_path))
		room = sizeof(un->sun_path);
	if (room > 1 && un->sun_path[0] == '\0')
		return snprintf(buf, len, "unix:@%.*s", (int)(room - 1), un->sun_path + 1);
	return snprintf(buf, len, "unix:%.*s", (int)room, un->sun_path);
}

static int format_v6(const struct sockaddr_in6 *in6, char *buf, size_t len)
{
	char host[INET6_ADDRSTRLEN];
	char zone[12] = "";

	inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	if (in6->sin6_scope_id != 0)
		snprintf(zone, sizeof(zone), "%%%u", (unsigned)in6->sin6_scope_id);
	return snprintf(buf, len, "[%s%s]:%u", host, zone, (unsigned)ntohs(in6->sin6_port));
}

int weir_addr_format(const struct weir_addr *addr, char *buf, size_t len)
{
	char host[INET_ADDRSTRLEN];

	if (!buf && len)
		return -EINVAL;
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &addr->u.in.sin_addr, host, sizeof(host));
		return snprintf(buf, len, "%s:%u", host, (unsigned)ntohs(addr->u.in.sin_port));
	case AF_INET6:
		return format_v6(&addr->u.in6, buf, len);
	case AF_UNIX:
		return format_unix(addr, buf, len);
	default:
		return snprintf(buf, len, "family-%u", (unsigned)addr->u.sa.sa_family);
	}
}

uint16_t weir_addr_port(const struct weir_addr *addr)
{
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		return ntohs(addr->u.in.sin_port);
	case AF_INET6:
		return ntohs(addr->u.in6.sin6_port);
	default:
		return 0;
	}
}

void weir_addr_set_port(struct weir_addr *addr, uint16_t port)
{
	if (addr->u.sa.sa_family == AF_INET)
		addr->u.in.sin_port = htons(port);
	else if (addr->u.sa.sa_family == AF_INET6)
		addr->u.in6.sin6_port = htons(port);
}

bool weir__addr_usable(const struct weir_addr *addr)
{
	if (!addr)
		return false;
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		return addr->len == sizeof(struct sockaddr_in);
	case AF_INET6:
		return addr->len == sizeof(struct sockaddr_in6);
	case AF_UNIX:
		return addr->len > UNIX_HEAD && addr->len <= sizeof(struct sockaddr_un);
	default:
		return false;
	}
}

/* weir__handle_control returns no length; it follows from the family and the zeroed rest. */
static socklen_t length_of(const struct weir_addr *addr)
{
	const char *path = addr->u.un.sun_path;
	size_t max = sizeof(addr->u.un.sun_path);
	size_t len;

	switch (addr->u.sa.sa_family) {
	case AF_INET:
		return sizeof(struct sockaddr_in);
	case AF_INET6:
		return sizeof(struct sockaddr_in6);
	case AF_UNIX:
		if (path[0] == '\0') {
			len = strnlen(path + 1, max - 1);
			return (socklen_t)(UNIX_HEAD + (len ? len + 1 : 0));
		}
		len = strnlen(path, max);
		return (socklen_t)(UNIX_HEAD + (len < max ? len + 1 : len));
	default:
		return sizeof(struct sockaddr_storage);
	}
}

int weir__handle_addr(struct weir_handle *handle, enum weir_control what,
		      struct weir_addr *ret_addr)
{
	struct weir_addr addr;
	int rc;

	memset(&addr, 0, sizeof(addr));
	rc = weir__handle_control(handle, what, &addr.u.storage, sizeof(addr.u.storage));
	if (rc < 0)
		return rc;
	addr.len = length_of(&addr);
	*ret_addr = addr;
	return 0;
}
