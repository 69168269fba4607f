/* SPDX-License-Identifier: MIT */
/*
 * proxy_connection.c: one proxied connection, a stackless task:
 *
 *	START ──► CONNECT ──► RELAY ──► (fini)
 *	            │  ▲
 *	            └──┘ refused or too late: the next address, the next upstream
 *
 * Its state is all that an idle pair costs beside the two streams, so the connect
 * and the relay share their room, and buffers are the relay's leases.
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

#include "tools/proxy.h"

enum phase {
	START,
	CONNECT,
	RELAY
};

#define NO_UPSTREAM 0xff

struct connection {
	struct proxy *px;
	struct weir_tcp *client;	/* both are the relay's in RELAY */
	struct weir_tcp *server;
	uint64_t start_ns;
	uint64_t tried;			/* a bit per upstream */
	uint32_t connect_us;		/* from accept to the upstream's answer */
	int16_t error;			/* of the last attempt */
	uint8_t phase;
	uint8_t upstream;
	uint8_t addr;			/* of the upstream */
	uint8_t addrs_left;
	bool over;			/* the end is known: not aborted */
	bool timed_out;			/* the last attempt */
	struct small_addr peer;
	union {
		struct {
			struct weir_op op;
			struct weir_timeout timeout;
		} connect;
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

/* The next address to try; false when all have been. */
static bool next_address(struct connection *c)
{
	const struct upstream *up;
	int chosen;

	if (c->upstream != NO_UPSTREAM && c->addrs_left > 0) {
		up = &c->px->upstreams[c->upstream];
		c->addr = (uint8_t)((c->addr + 1) % up->addrs_len);
		c->addrs_left--;
		return true;
	}
	leave_upstream(c, UPSTREAM_UNREACHED, 0, 0);
	c->upstream = NO_UPSTREAM;
	chosen = proxy_upstream_choose(c->px, c->tried);
	if (chosen < 0)
		return false;
	up = &c->px->upstreams[chosen];
	c->upstream = (uint8_t)chosen;
	c->tried |= (uint64_t)1 << chosen;
	pthread_mutex_lock(&c->px->lock);
	c->addr = (uint8_t)up->good;
	pthread_mutex_unlock(&c->px->lock);
	c->addrs_left = (uint8_t)(up->addrs_len - 1);
	return true;
}

/* Whether another address would fare no better: this process has no descriptor left. */
static bool own_trouble(int rc)
{
	return rc == -EMFILE || rc == -ENFILE;
}

/* Start the next attempt. 0; a negative errno when there is none. */
static int attempt(struct connection *c)
{
	uint64_t limit = c->px->cfg->connect_ns;
	const struct weir_addr *addr;
	int rc;

	do {
		if (!next_address(c))
			return c->error;
		addr = &c->px->upstreams[c->upstream].addrs[c->addr];
		c->timed_out = false;
		rc = weir_tcp_new(addr->u.sa.sa_family, &c->server);
		c->error = (int16_t)rc;
	} while (rc < 0 && !own_trouble(rc));
	if (rc < 0)
		return rc;
	weir_op_init_connect(&c->u.connect.op, &c->server->handle, &addr->u.sa, addr->len);
	weir_timeout_init(&c->u.connect.timeout, &c->u.connect.op.leaf.future,
			  limit ? weir_deadline_in(limit) : WEIR_FOREVER);
	c->phase = CONNECT;
	return 0;
}

/* Small segments at once, and probes when it is silent; what was accepted has both already. */
static void set_up_server(struct connection *c)
{
	struct weir_keepalive keepalive = proxy_config_keepalive(c->px->cfg);

	weir_tcp_set_nodelay(c->server, true);
	if (keepalive.idle_s)
		weir_tcp_set_keepalive(c->server, &keepalive);
}

static void start_relay(struct connection *c)
{
	struct weir_relay_config cfg = WEIR_RELAY_CONFIG_INIT;
	struct upstream *up = &c->px->upstreams[c->upstream];

	if (up->addrs_len > 1) {
		pthread_mutex_lock(&c->px->lock);
		up->good = c->addr;
		pthread_mutex_unlock(&c->px->lock);
	}
	if (up->addrs[c->addr].u.sa.sa_family != AF_UNIX)
		set_up_server(c);
	c->connect_us = (uint32_t)((weir_now() - c->start_ns) / WEIR_USEC);
	cfg.idle_ns = c->px->cfg->idle_ns;
	cfg.half_ns = c->px->cfg->half_close_ns;
	weir_relay_init(&c->u.relay, c->client, c->server, &cfg);
	c->phase = RELAY;
}

/* The end without an upstream. */
static int give_up(struct connection *c, int rc)
{
	c->error = (int16_t)rc;
	c->over = true;
	return rc;
}

static int poll_connect(struct connection *c, struct weir_cx *cx)
{
	int rc;

	for (;;) {
		rc = weir_poll(&c->u.connect.timeout.future, cx);
		if (rc == WEIR_PENDING)
			return rc;
		if (rc == 0) {
			start_relay(c);
			return 0;
		}
		/* It may have been accepted just now: that is no empty request. */
		weir_tcp_reset(c->server);
		c->server = NULL;
		c->timed_out = rc == -ETIMEDOUT;
		c->error = (int16_t)rc;
		if (rc == -ECANCELED || rc == -ESHUTDOWN)
			return give_up(c, rc);
		rc = attempt(c);
		if (rc < 0)
			return give_up(c, rc);
	}
}

static int connection_poll(void *state, struct weir_cx *cx)
{
	struct connection *c = state;
	int rc = 0;

	if (c->phase == START) {
		rc = attempt(c);
		if (rc < 0)
			return give_up(c, rc);
	}
	if (c->phase == CONNECT) {
		rc = poll_connect(c, cx);
		if (rc == WEIR_PENDING || rc < 0)
			return rc;
	}
	rc = weir_poll(&c->u.relay.future, cx);
	if (rc != WEIR_PENDING)
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
	struct weir_relay_stats stats;

	if (c->phase != RELAY) {
		record->reason = (uint8_t)reason_of_connect(c);
		record->error = c->error;
		weir_tcp_reset(c->server);
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
		return c->over ? UPSTREAM_UNREACHED : UPSTREAM_NO_NEWS;
	if (record->down_bytes)
		return UPSTREAM_ANSWERED;
	return record->reason == END_DONE || record->reason == END_UPSTREAM_RESET
		       ? UPSTREAM_SILENT
		       : UPSTREAM_NO_NEWS;
}

static void count(struct proxy *px, const struct log_record *record)
{
	bool last;

	pthread_mutex_lock(&px->lock);
	px->counters.ended[record->reason]++;
	px->counters.up_bytes += record->up_bytes;
	px->counters.down_bytes += record->down_bytes;
	last = --px->counters.active == 0 && px->draining;
	pthread_mutex_unlock(&px->lock);
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
	count(c->px, &record);
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
	px->counters.accepted++;
	px->counters.by_worker[weir_rt_worker_index()]++;
	px->counters.active++;
	pthread_mutex_unlock(&px->lock);
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
	weir_sem_release(&px->room, 1);
}
