/* SPDX-License-Identifier: MIT */
/*
 * sim_net.c: the network of a simulated world: listeners, and the bytes in flight between streams.
 * It behaves like Linux TCP as far as a program can tell: closing with unread bytes resets; the
 * first send after the peer's close succeeds and the next ones fail; received bytes are delivered
 * before a reset that came after them.
 *
 * All functions run under the world's lock. Time, completions and injected errors are in
 * sim_backend.c and sim_op.c.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "tests/sim/sim_world.h"

#define FIRST_PORT 20000u

/* ---- addresses ---- */

static uint16_t *addr_port(struct sim_addr *a)
{
	if (a->ss.ss_family == AF_INET)
		return &((struct sockaddr_in *)&a->ss)->sin_port;
	if (a->ss.ss_family == AF_INET6)
		return &((struct sockaddr_in6 *)&a->ss)->sin6_port;
	return NULL;
}

static int addr_set(struct sim_addr *a, const struct sockaddr *sa, socklen_t len)
{
	socklen_t least = sizeof(sa_family_t);

	if (!sa || len < least || len > sizeof(a->ss))
		return -EINVAL;
	if (sa->sa_family == AF_INET)
		least = sizeof(struct sockaddr_in);
	else if (sa->sa_family == AF_INET6)
		least = sizeof(struct sockaddr_in6);
	else if (sa->sa_family != AF_UNIX)
		return -EAFNOSUPPORT;
	if (len < least)
		return -EINVAL;
	memset(a, 0, sizeof(*a));
	memcpy(&a->ss, sa, len);
	a->len = len;
	return 0;
}

static bool addr_is_any(const struct sim_addr *a)
{
	if (a->ss.ss_family == AF_INET)
		return ((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr == INADDR_ANY;
	if (a->ss.ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr);
	return false;
}

/* Whether family and host are the same. addr_matches compares ports and paths. */
static bool addr_same_host(const struct sim_addr *a, const struct sim_addr *b)
{
	if (a->ss.ss_family == AF_INET)
		return ((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)&b->ss)->sin_addr.s_addr;
	return !memcmp(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr,
		       &((const struct sockaddr_in6 *)&b->ss)->sin6_addr, sizeof(struct in6_addr));
}

/* Whether a connect to the address arrives at the listener. */
static bool addr_matches(struct sim_listener *listener, struct sim_addr *to)
{
	struct sim_addr *at = &listener->addr;

	if (at->ss.ss_family == AF_UNIX || to->ss.ss_family == AF_UNIX)
		return at->ss.ss_family == to->ss.ss_family &&
		       !memcmp(&at->ss, &to->ss, sizeof(struct sockaddr_un)); /* zeroed behind */
	if (*addr_port(at) != *addr_port(to))
		return false;
	if (at->ss.ss_family != to->ss.ss_family)
		return at->ss.ss_family == AF_INET6 && addr_is_any(at) && !listener->v6_only;
	return addr_is_any(at) || addr_same_host(at, to);
}

static bool port_taken(struct weir_sim_world *world, uint16_t port)
{
	struct sim_listener *l;

	LIST_FOREACH(l, &world->listeners, entry)
		if (addr_port(&l->addr) && *addr_port(&l->addr) == htons(port))
			return true;
	return false;
}

static void give_port(struct weir_sim_world *world, struct sim_addr *a)
{
	uint16_t *port = addr_port(a);

	if (!port || *port)
		return;
	do {
		if (++world->next_port < FIRST_PORT)
			world->next_port = FIRST_PORT;
	} while (port_taken(world, world->next_port));
	*port = htons(world->next_port);
}

/* ---- listeners ---- */

static bool in_use(struct weir_sim_world *world, struct sim_addr *addr, bool reuse_port)
{
	struct sim_listener probe = { .addr = *addr };
	struct sim_listener *l;

	LIST_FOREACH(l, &world->listeners, entry)
		if (!(reuse_port && l->reuse_port) &&
		    (addr_matches(l, addr) || addr_matches(&probe, &l->addr)))
			return true;
	return false;
}

int sim_listen(struct weir_sim_world *world, const struct weir_handle_spec *spec,
	       struct sim_listener **ret_listener)
{
	struct sim_listener *l;
	struct sim_addr addr;
	int rc = addr_set(&addr, spec->addr, spec->addr_len);

	if (rc < 0)
		return rc;
	give_port(world, &addr);
	if (in_use(world, &addr, spec->reuse_port))
		return -EADDRINUSE;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->object.world = world;
	l->object.number = ++world->objects;
	l->addr = addr;
	l->reuse_port = spec->reuse_port;
	l->v6_only = spec->v6_only;
	l->backlog = world->cfg.backlog;
	if (spec->backlog > 0 && (unsigned)spec->backlog < l->backlog)
		l->backlog = (unsigned)spec->backlog;
	TAILQ_INIT(&l->queue);
	TAILQ_INIT(&l->accepts.recs);
	LIST_INSERT_HEAD(&world->listeners, l, entry);
	world->report.listeners++;
	*ret_listener = l;
	return 0;
}

void sim_unlisten(struct sim_listener *listener)
{
	struct sim_stream *s;

	while ((s = TAILQ_FIRST(&listener->queue)) != NULL) {
		TAILQ_REMOVE(&listener->queue, s, in_backlog);
		s->linger_zero = true;
		sim_stream_close(s);
	}
	LIST_REMOVE(listener, entry);
	listener->object.world->report.listeners--;
	free(listener);
}

int sim_accept(struct sim_listener *listener, struct sim_stream **ret_stream)
{
	struct sim_stream *s = TAILQ_FIRST(&listener->queue);

	if (!s)
		return SIM_AGAIN;
	TAILQ_REMOVE(&listener->queue, s, in_backlog);
	listener->waiting--;
	*ret_stream = s;
	return 0;
}

/* Chooses the listener for a connection: if several listen on the port, at random. */
static struct sim_listener *find_listener(struct weir_sim_world *world, struct sim_addr *to)
{
	struct sim_listener *l, *found = NULL;
	unsigned matches = 0;

	LIST_FOREACH(l, &world->listeners, entry)
		if (addr_matches(l, to) && (++matches == 1 || sim_random(world) % matches == 0))
			found = l;
	return found;
}

/* ---- streams ---- */

int sim_stream_new(struct weir_sim_world *world, struct sim_stream **ret_stream)
{
	struct sim_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->rx = malloc(world->cfg.buffer_bytes);
	if (!s->rx) {
		free(s);
		return -ENOMEM;
	}
	s->object.world = world;
	s->object.number = ++world->objects;
	TAILQ_INIT(&s->recvs.recs);
	TAILQ_INIT(&s->sends.recs);
	world->report.streams++;
	*ret_stream = s;
	return 0;
}

int sim_stream_bind(struct sim_stream *stream, const struct sockaddr *addr, socklen_t len)
{
	int rc = addr_set(&stream->local, addr, len);

	if (rc < 0)
		return rc;
	give_port(stream->object.world, &stream->local);
	stream->bound = true;
	return 0;
}

static void stream_changed(struct sim_stream *stream)
{
	sim_ready(&stream->recvs);
	sim_ready(&stream->sends);
}

/* A RST arrives. If a FIN came before, only sends report it. */
static void got_reset(struct sim_stream *stream)
{
	if (stream->dead)
		return;
	stream->dead = true;
	stream->error = stream->rx_fin ? EPIPE : ECONNRESET;
	stream_changed(stream);
}

void sim_reset(struct sim_stream *stream)
{
	struct sim_stream *peer = stream->peer;

	stream->dead = true;
	stream->peer = NULL;
	if (peer) {
		peer->peer = NULL;
		got_reset(peer);
	}
	stream_changed(stream);
}

void sim_stream_close(struct sim_stream *stream)
{
	struct sim_stream *peer = stream->peer;

	if (peer && (stream->linger_zero || stream->rx_len > 0)) {
		sim_reset(stream);
	} else if (peer) {
		peer->peer = NULL;
		peer->rx_fin = true;
		stream_changed(peer);
	}
	stream->object.world->report.streams--;
	free(stream->rx);
	free(stream);
}

/* Gives the client an address: the host it connects to, and a new port. */
static void name_client(struct sim_stream *stream, const struct sim_addr *to)
{
	if (stream->bound)
		return;
	if (to->ss.ss_family == AF_UNIX) {
		stream->local.ss.ss_family = AF_UNIX;
		stream->local.len = sizeof(sa_family_t);
		return;
	}
	stream->local = *to;
	*addr_port(&stream->local) = 0;
	give_port(stream->object.world, &stream->local);
}

int sim_connect(struct sim_stream *stream, const struct sockaddr *addr, socklen_t len)
{
	struct sim_listener *l;
	struct sim_stream *far;
	struct sim_addr to;
	int rc = addr_set(&to, addr, len);

	if (rc < 0)
		return rc;
	if (stream->connected)
		return -EISCONN;
	l = find_listener(stream->object.world, &to);
	if (!l)
		return to.ss.ss_family == AF_UNIX ? -ENOENT : -ECONNREFUSED;
	if (l->waiting >= l->backlog)
		return SIM_LATER;
	rc = sim_stream_new(stream->object.world, &far);
	if (rc < 0)
		return rc;
	name_client(stream, &to);
	stream->remote = to;
	far->local = to;
	far->remote = stream->local;
	far->peer = stream;
	stream->peer = far;
	far->connected = true;
	/* Whoever asks for the addresses does so without the lock. */
	__atomic_store_n(&stream->connected, true, __ATOMIC_RELEASE);
	TAILQ_INSERT_TAIL(&l->queue, far, in_backlog);
	l->waiting++;
	sim_ready(&l->accepts);
	return 0;
}

int sim_take_error(struct sim_stream *stream)
{
	int error = stream->error;

	stream->error = 0;
	return -error;
}

int sim_readable(struct sim_stream *stream)
{
	if (!stream->connected)
		return -ENOTCONN;
	if (stream->rx_len > 0)
		return (int)stream->rx_len;
	/*
	 * If the peer had ended, only a send reports a reset. Once one has, receives fail as well.
	 */
	if (stream->rx_fin && (!stream->dead || stream->error || stream->wr_shut))
		return 0;
	if (stream->rd_shut && !stream->dead)
		return 0;
	if (stream->error)
		return sim_take_error(stream);
	return stream->dead ? -ECONNRESET : SIM_AGAIN;
}

int sim_writable(struct sim_stream *stream)
{
	size_t room;

	if (stream->error)
		return sim_take_error(stream);
	if (!stream->connected || stream->wr_shut || stream->dead)
		return -EPIPE;
	if (!stream->peer)
		return INT_MAX;
	room = stream->object.world->cfg.buffer_bytes - stream->peer->rx_len;
	return room ? (int)room : SIM_AGAIN;
}

void sim_read(struct sim_stream *stream, size_t skip, void *buf, size_t n)
{
	size_t cap = stream->object.world->cfg.buffer_bytes;
	size_t at = (stream->rx_head + skip) % cap;
	size_t first = n < cap - at ? n : cap - at;

	memcpy(buf, stream->rx + at, first);
	memcpy((uint8_t *)buf + first, stream->rx, n - first);
}

void sim_consume(struct sim_stream *stream, size_t n)
{
	stream->rx_head = (stream->rx_head + n) % stream->object.world->cfg.buffer_bytes;
	stream->rx_len -= n;
	if (stream->peer)
		sim_ready(&stream->peer->sends);
}

void sim_write(struct sim_stream *stream, const void *buf, size_t n)
{
	struct sim_stream *to = stream->peer;
	size_t cap = stream->object.world->cfg.buffer_bytes;
	size_t at, first;

	if (!to)
		return;
	at = (to->rx_head + to->rx_len) % cap;
	first = n < cap - at ? n : cap - at;
	memcpy(to->rx + at, buf, first);
	memcpy(to->rx, (const uint8_t *)buf + first, n - first);
	to->rx_len += n;
}

/* After a send: if the peer is gone, the bytes are lost and a RST comes back. */
void sim_sent(struct sim_stream *stream, size_t n)
{
	stream->object.world->report.bytes += n;
	if (stream->peer)
		sim_ready(&stream->peer->recvs);
	else
		got_reset(stream);
}

int sim_shutdown(struct sim_stream *stream, int how)
{
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (!stream->connected || stream->dead)
		return -ENOTCONN;
	if (how != SHUT_WR)
		stream->rd_shut = true;
	if (how != SHUT_RD && !stream->wr_shut) {
		stream->wr_shut = true;
		if (stream->peer) {
			stream->peer->rx_fin = true;
			sim_ready(&stream->peer->recvs);
		}
	}
	stream_changed(stream);
	return 0;
}
