/* SPDX-License-Identifier: MIT */
/*
 * connection.c: one proxied connection, a stackless task:
 *
 *	(ROOM) ──► CHOOSE ──► CONNECT ──► RELAY ──► (fini)
 *	              ▲          │  ▲
 *	              │          ▼  └── PAUSE ◄── out of descriptors: try the same upstream again
 *	              └── refused or timed out: the next upstream
 *
 * ROOM is for connections that were accepted at shutdown, beyond the limit: they are
 * served when others have ended. An idle pair costs this state and two streams. To keep
 * it small, the futures of the phases share memory, and buffers are the relay's leases.
 *
 * fini does all the work at the end, and also runs when the task is aborted: it counts
 * bytes, logs a line, closes both streams by the relay's rules (weir/relay.h) and
 * releases the room. If the relay has not started, both streams are reset. So a client
 * whose upstreams all failed does not see an empty answer, and an upstream does not see
 * an empty request.
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
/* The pause before the next try when no descriptor was free. */
#define PAUSE_NS (20 * WEIR_MSEC)

struct connection {
	struct proxy *px;
	struct weir_tcp *client;	/* in RELAY, both streams belong to the relay */
	struct weir_tcp *server;	/* the connect future stores it here: must not move */
	uint64_t start_ns;
	uint64_t give_up_ns;		/* when to stop waiting for a descriptor; 0: not waiting */
	uint64_t tried;			/* a bit per upstream */
	uint32_t connect_us;		/* from accept to the upstream's answer */
	int16_t error;			/* of the last attempt */
	uint8_t phase;
	uint8_t upstream;
	bool has_room;			/* holds a permit of proxy.room */
	bool over;			/* it ended by itself and was not aborted */
	bool timed_out;			/* the last attempt did */
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

_Static_assert(sizeof(struct connection) <= 496, "task and state must fit a block of 640 bytes");

/* ---- connect ---- */

/* Stop using the upstream; before the next choice, which reads the upstreams' figures. */
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

/* Start to connect to the upstream, first to the address that answered last. */
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

/* Out of descriptors: another upstream would fail in the same way. */
static bool is_shortage(int rc)
{
	return rc == -EMFILE || rc == -ENFILE;
}

/* Wait for a descriptor, for up to the connect timeout in all; false if that has passed. */
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

/* The connect has failed: set the next phase. Returns a negative errno to end the connection. */
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
	/* The listener has set the client's keep-alive options. */
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

/* The awaited future returned rc: set the next phase. A negative errno ends the connection. */
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

/* Close both streams, and fill in the reason, the error and the bytes. */
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

/*
 * A client that closes without a request makes its upstream look silent; the upstream's next answer
 * corrects this.
 */
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
