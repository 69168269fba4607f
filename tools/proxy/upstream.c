/* SPDX-License-Identifier: MIT */
/*
 * upstream.c: resolves the upstreams once, at the start, and chooses the upstream of
 * each connection.
 *
 * A name with several addresses is one upstream. A connection first tries the address
 * that answered last (connection.c).
 *
 * There are no health checks: an upstream that failed is tried again in its turn.
 */
#include <stdio.h>
#include <string.h>

#include "tools/common/command.h"
#include "tools/proxy/proxy.h"

#define RESOLVE_NS (10 * WEIR_SEC)

int proxy_refuse_name(const char *what, const char *text, int rc)
{
	switch (rc) {
	case -ENOENT:
		proxy_say("%s '%s': no host has this name", what, text);
		return EXIT_USAGE;
	case -EAGAIN:
	case -ETIMEDOUT:
		proxy_say("%s '%s': no name server answers", what, text);
		break;
	default:
		proxy_say("%s '%s': cannot resolve the name: %s", what, text, strerror(-rc));
		break;
	}
	return EXIT_FAILED;
}

static int refuse(const char *text, int rc)
{
	if (rc == -EINVAL || rc == -ENAMETOOLONG) {
		proxy_say("upstream '%s': expected an address such as tcp://127.0.0.1:8080, "
			  "tcp://[::1]:8080, tcp://example.org:80 or unix:/path",
			  text);
		return EXIT_USAGE;
	}
	return proxy_refuse_name("upstream", text, rc);
}

static int open_one(struct proxy *px, const char *text)
{
	struct upstream *up = &px->upstreams[px->upstreams_len];
	int n;

	n = *text ? weir_resolve(text, UPSTREAM_ADDRS, weir_deadline_in(RESOLVE_NS), up->addrs)
		  : -EINVAL;
	if (n > 0 && up->addrs[0].u.sa.sa_family != AF_UNIX && weir_addr_port(&up->addrs[0]) == 0)
		n = -EINVAL;
	if (n <= 0)
		return refuse(text, n ? n : -ENOENT);
	up->name = text;
	up->addrs_len = (unsigned)n;
	weir_addr_format(&up->addrs[0], up->text, sizeof(up->text));
	px->upstreams_len++;
	return 0;
}

int proxy_upstreams_open(struct proxy *px)
{
	char *rest = px->cfg->upstreams, *text;
	int code;

	while ((text = strsep(&rest, ",")) != NULL) {
		if (px->upstreams_len == UPSTREAMS_MAX) {
			proxy_say("upstream '%s' is one too many: expected at most %d", text,
				  UPSTREAMS_MAX);
			return EXIT_USAGE;
		}
		code = open_one(px, text);
		if (code)
			return code;
	}
	return 0;
}

/* The next untried upstream from turn on; -1 if there is none. */
static int in_turn(const struct proxy *px, unsigned turn, uint64_t tried)
{
	for (unsigned k = 0; k < px->upstreams_len; k++) {
		unsigned i = (turn + k) % px->upstreams_len;

		if (!(tried & (uint64_t)1 << i))
			return (int)i;
	}
	return -1;
}

/*
 * The untried upstream with the fewest connections; among equals, the next in turn. A failing
 * upstream always has the fewest, so it is chosen only when it is next in turn.
 */
static int with_fewest(const struct proxy *px, unsigned turn, uint64_t tried)
{
	int chosen = in_turn(px, turn, tried);

	if (chosen < 0 || px->upstreams[chosen].failing)
		return chosen;
	for (unsigned k = 1; k < px->upstreams_len; k++) {
		unsigned i = (turn + k) % px->upstreams_len;

		if (!(tried & (uint64_t)1 << i) && !px->upstreams[i].failing &&
		    px->upstreams[i].active < px->upstreams[chosen].active)
			chosen = (int)i;
	}
	return chosen;
}

int proxy_upstream_choose(struct proxy *px, uint64_t tried)
{
	unsigned *turn = &px->turns[tried != 0];
	int chosen;

	pthread_mutex_lock(&px->lock);
	chosen = px->cfg->balance == BALANCE_ROUNDROBIN ? in_turn(px, *turn, tried)
							: with_fewest(px, *turn, tried);
	if (chosen >= 0) {
		px->upstreams[chosen].active++;
		px->upstreams[chosen].connections++;
		*turn = ((unsigned)chosen + 1) % px->upstreams_len;
	}
	pthread_mutex_unlock(&px->lock);
	return chosen;
}

void proxy_upstream_leave(struct proxy *px, unsigned upstream, enum upstream_news news,
			  uint64_t up_bytes, uint64_t down_bytes)
{
	struct upstream *up = &px->upstreams[upstream];

	pthread_mutex_lock(&px->lock);
	up->active--;
	up->up_bytes += up_bytes;
	up->down_bytes += down_bytes;
	if (news != UPSTREAM_NO_NEWS)
		up->failing = news != UPSTREAM_ANSWERED;
	if (news == UPSTREAM_UNREACHED) {
		up->failures++;
		px->counters.connect_failures++;
	}
	pthread_mutex_unlock(&px->lock);
}
