/* SPDX-License-Identifier: MIT */
/*
 * connection.c: one proxied connection, a stackless task:
 *
 *	(ROOM) ──► CHOOSE ──► CONNECT ──► RELAY ──► (fini)
 *	              ▲          │  ▲
 *	              │          ▼  └── PAUSE ◄── out of descriptors: the same again
 *	              └── refused or too late: the next upstream
 *
 * ROOM is for those that were accepted at the end, beyond the limit: they are
 * served when others have ended. Its state is all that an idle pair costs beside the
 * two streams, so what it waits for shares its room, and buffers are the relay's leases.
 *
 * Everything that has to happen at the end happens in fini, which also runs when
 * the task is aborted in mid-flight: bytes counted, one line logged, both streams
 * closed by the relay's rule of ends (weir/relay.h), room given back. Where there
 * was no relay yet both are reset: a client whose upstreams all failed does not take
 * nothing for an empty answer, nor an upstream a client that was cut off for an empty
 * request.
 */
#include <string.h>
#include <time.h>

#include "tools/proxy/proxy.h"

enum phase {
	ROOM,
	CHOOSE,
	CONNECT,
	PAUSE,
	RELAY
};

#define NO_UPSTREAM 0xff
/* Between two looks for a descriptor. */
#define PAUSE_NS (20 * WEIR_MSEC)

struct connection {
	struct proxy *px;
	struct weir_tcp *client;	/* both are the relay's in RELAY */
	struct weir_tcp *server;	/* where the connect leaves it, which is not moved any more */
	uint64_t start_ns;
	uint64_t give_up_ns;		/* without a descriptor; 0: there was none missing */
	uint64_t tried;			/* a bit per upstream */
	uint32_t connect_us;		/* from accept to the upstream's answer */
	int16_t error;			/* of the last attempt */
	uint8_t phase;
	uint8_t upstream;
	bool has_room;			/* of proxy.room, to be given back */
	bool over;			/* the end is known: not aborted */
	bool timed_out;			/* the last attempt */
	struct small_addr peer;
	union {
		struct weir_sem_acquire_future room;
		struct {
			struct weir_connect_future connect;
			struct weir_timeout_future timeout;
		} connect;
		struct weir_sleep_future pause;
		struct weir_relay relay;
	} u;
};

_Static_assert(sizeof(struct connection) <= 496, "with its task it fits a block of 640 bytes");

/* ---- connect ---- */

/* Give the upstream up; its figures have to be right before the next is chosen. */
static void leave_upstream(struct connection *c, enum upstream_news news, uint64_t up,
			   uint64_t down)
{
	if (c->upstream == NO_UPSTREAM)
		return;
	proxy_upstream_leave(c->px, c->upstream, news, up, down);
}

/* Take the next upstream; false when all have been tried. */
static bool next_upstream(struct connection *c)
{
	int chosen;

	leave_upstream(c, UPSTREAM_UNREACHED, 0, 0);
	c->upstream = NO_UPSTREAM;
	chosen = proxy_upstream_choose(c->px, c->tried);
	if (chosen < 0)
		return false;
	c->upstream = (uint8_t)chosen;
	c->tried |= (uint64_t)1 << chosen;
	return true;
}

/* Begin to connect to the upstream, with the address that answered last. */
static void start_connect(struct connection *c)
{
	struct upstream *up = &c->px->upstreams[c->upstream];
	uint64_t limit = c->px->cfg->connect_ns;

	weir_connect_init(&c->u.connect.connect, up->addrs, up->addrs_len, &c->server);
	pthread_mutex_lock(&c->px->lock);
	c->u.connect.connect.first = (uint8_t)up->good;
	pthread_mutex_unlock(&c->px->lock);
	weir_timeout_init(&c->u.connect.timeout, &c->u.connect.connect.future,
			  limit ? weir_deadline_in(limit) : WEIR_FOREVER);
	c->phase = CONNECT;
}

/* Out of descriptors, which no other upstream would mend. */
static bool is_shortage(int rc)
{
	return rc == -EMFILE || rc == -ENFILE;
}

/* Wait for a descriptor, for as long as an upstream may take; false when that is over. */
static bool start_pause(struct connection *c)
{
	uint64_t limit = c->px->cfg->connect_ns;

	if (!c->give_up_ns)
		c->give_up_ns = limit ? weir_deadline_in(limit) : WEIR_FOREVER;
	if (weir_now() >= c->give_up_ns)
		return false;
	weir_sleep_init(&c->u.pause, weir_deadline_in(PAUSE_NS));
	c->phase = PAUSE;
	return true;
}

/* The connect has failed: what comes next. 0; a negative errno when that is the end. */
static int after_failure(struct connection *c, int rc)
{
	c->timed_out = rc == -ETIMEDOUT;
	c->error = (int16_t)rc;
	if (is_shortage(rc))
		return start_pause(c) ? 0 : rc;
	c->phase = CHOOSE;
	return rc == -ECANCELED || rc == -ESHUTDOWN ? rc : 0;
}

static void start_relay(struct connection *c)
{
	struct weir_keepalive keepalive = proxy_config_keepalive(c->px->cfg);
	struct weir_relay_config cfg = WEIR_RELAY_CONFIG_INIT;
	struct upstream *up = &c->px->upstreams[c->upstream];
	unsigned chosen = c->u.connect.connect.chosen;

	if (up->addrs_len > 1) {
		pthread_mutex_lock(&c->px->lock);
		up->good = chosen;
		pthread_mutex_unlock(&c->px->lock);
	}
	/* The client has its probes from the listener. */
	if (keepalive.idle_s && up->addrs[chosen].u.sa.sa_family != AF_UNIX)
		weir_tcp_set_keepalive(c->server, &keepalive);
	c->connect_us = (uint32_t)((weir_now() - c->start_ns) / WEIR_USEC);
	cfg.idle_ns = c->px->cfg->idle_ns;
	cfg.half_ns = c->px->cfg->half_close_ns;
	weir_relay_init(&c->u.relay, c->client, c->server, &cfg);
	c->phase = RELAY;
}

/* What the connection waits for now. */
static struct weir_future *awaited(struct connection *c)
{
	switch (c->phase) {
	case ROOM:
		return &c->u.room.future;
	case CONNECT:
		return &c->u.connect.timeout.future;
	case PAUSE:
		return &c->u.pause.future;
	default:
		return &c->u.relay.future;
	}
}

/* It has finished with rc: the next phase. 0; a negative errno when that is the end. */
static int advance(struct connection *c, int rc)
{
	if (c->phase == CONNECT && rc < 0)
		return after_failure(c, rc);
	c->error = (int16_t)rc;
	if (rc < 0)
		return rc;
	if (c->phase == CONNECT) {
		start_relay(c);
	} else if (c->phase == PAUSE) {
		start_connect(c);
	} else {
		c->has_room = true;
		c->phase = CHOOSE;
	}
	return 0;
}

static int connection_poll(void *state, struct weir_cx *cx)
{
	struct connection *c = state;
	int rc = 0;

	while (rc == 0 && c->phase != RELAY) {
		if (c->phase == CHOOSE) {
			if (!next_upstream(c))
				break;
			start_connect(c);
		}
		rc = weir_poll(awaited(c), cx);
		if (rc == WEIR_PENDING)
			return rc;
		rc = advance(c, rc);
	}
	if (c->phase == RELAY) {
		rc = weir_poll(&c->u.relay.future, cx);
		if (rc == WEIR_PENDING)
			return rc;
	} else {
		rc = c->error;
	}
	c->over = true;
	return rc;
}

/* ---- the end ---- */

static enum end_reason reason_of_relay(const struct connection *c,
				       const struct weir_relay_stats *stats)
{
	switch (stats->end) {
	case WEIR_RELAY_DONE:
		return END_DONE;
	case WEIR_RELAY_RESET_A:
		return END_CLIENT_RESET;
	case WEIR_RELAY_RESET_B:
		return END_UPSTREAM_RESET;
	case WEIR_RELAY_IDLE:
		return END_IDLE;
	case WEIR_RELAY_HALF_CLOSED:
		return END_HALF_CLOSE;
	case WEIR_RELAY_CANCELED:
		return (enum end_reason)c->px->cut_off;
	default:
		return END_FAILED;
	}
}

static enum end_reason reason_of_connect(const struct connection *c)
{
	if (!c->over || c->error == -ECANCELED || c->error == -ESHUTDOWN)
		return (enum end_reason)c->px->cut_off;
	return c->timed_out ? END_CONNECT_TIMEOUT : END_CONNECT_FAILED;
}

/* Close what is open; fills in how it went. */
static void close_both(struct connection *c, struct log_record *record)
{
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;

	if (c->phase != RELAY) {
		record->reason = (uint8_t)reason_of_connect(c);
		record->error = c->error;
		if (c->phase == CONNECT)
			weir_connect_fini(&c->u.connect.connect);
		weir_tcp_reset(c->client);
		return;
	}
	weir_relay_fini(&c->u.relay);
	weir_relay_result(&c->u.relay, &stats);
	record->reason = (uint8_t)reason_of_relay(c, &stats);
	record->error = (int16_t)stats.error;
	record->up_bytes = stats.a_to_b;
	record->down_bytes = stats.b_to_a;
	weir_relay_close(&c->u.relay);
}

/* A client that leaves without a word may look like an upstream that is silent: until the next. */
static enum upstream_news news_of(const struct connection *c, const struct log_record *record)
{
	if (c->phase != RELAY)
		return c->over && !is_shortage(c->error) ? UPSTREAM_UNREACHED : UPSTREAM_NO_NEWS;
	if (record->down_bytes)
		return UPSTREAM_ANSWERED;
	return record->reason == END_DONE || record->reason == END_UPSTREAM_RESET
		       ? UPSTREAM_SILENT
		       : UPSTREAM_NO_NEWS;
}

static void count(struct proxy *px, const struct log_record *record, bool has_room)
{
	bool last;

	pthread_mutex_lock(&px->lock);
	px->counters.ended[record->reason]++;
	px->counters.up_bytes += record->up_bytes;
	px->counters.down_bytes += record->down_bytes;
	last = --px->counters.active == 0 && px->draining;
	pthread_mutex_unlock(&px->lock);
	if (has_room)
		weir_sem_release(&px->room, 1);
	if (last)
		weir_notify_one(&px->changed);
}

static void connection_fini(void *state)
{
	struct connection *c = state;
	struct log_record record = { .upstream = -1,
				     .connect_us = c->connect_us,
				     .client = c->peer };
	struct timespec wall;

	close_both(c, &record);
	if (c->phase == RELAY)
		record.upstream = (int8_t)c->upstream;
	leave_upstream(c, news_of(c, &record), record.up_bytes, record.down_bytes);
	if (c->px->log) {
		clock_gettime(CLOCK_REALTIME, &wall);
		record.wall_ns = (uint64_t)wall.tv_sec * WEIR_SEC + (uint64_t)wall.tv_nsec;
		record.duration_ns = weir_now() - c->start_ns;
		access_log_put(c->px->log, &record);
	}
	count(c->px, &record, c->has_room);
}

void proxy_connection_start(struct proxy *px, struct weir_tcp *client)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct connection c;
	struct weir_addr peer;

	memset(&c, 0, sizeof(c));
	c.px = px;
	c.client = client;
	c.upstream = NO_UPSTREAM;
	c.start_ns = weir_now();
	if (px->log && weir_tcp_peer_addr(client, &peer) == 0)
		small_addr_of(&peer, &c.peer);
	pthread_mutex_lock(&px->lock);
	c.has_room = px->owed == 0;
	px->owed -= !c.has_room;
	px->counters.accepted++;
	px->counters.by_worker[weir_rt_worker_index()]++;
	px->counters.active++;
	pthread_mutex_unlock(&px->lock);
	c.phase = c.has_room ? CHOOSE : ROOM;
	if (!c.has_room)
		weir_sem_acquire_init(&c.u.room, &px->room, 1);
	cfg.name = "connection";
	cfg.where = WEIR_HERE;
	cfg.poll = connection_poll;
	cfg.state = &c;
	cfg.state_bytes = sizeof(c);
	cfg.fini = connection_fini;
	if (weir_task_spawn(NULL, &cfg, NULL) == 0)
		return;
	weir_tcp_reset(client);
	pthread_mutex_lock(&px->lock);
	px->counters.active--;
	px->counters.refused++;
	pthread_mutex_unlock(&px->lock);
	if (c.has_room)
		weir_sem_release(&px->room, 1);
}
