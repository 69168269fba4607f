/* SPDX-License-Identifier: MIT */
/*
 * programs.c: programs over the simulated network, for sweep.c: an echo server with clients, a
 * relaying proxy, waits that time out, join sets that are aborted, a shutdown with everything in
 * flight, and accepting without descriptors.
 *
 * A client knows every byte that it must receive, so it notices lost, repeated and misplaced bytes.
 * If no errors are injected, every client must succeed.
 *
 * Each accepted connection belongs to a task that closes it, even if it is aborted. sweep.c checks
 * that nothing is left.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/programs.h"
#include "weir/task.h"
#include "weir/time.h"

#define CHUNK_MAX 2048
#define ADD(cell, n) __atomic_fetch_add(&(cell), (n), __ATOMIC_RELAXED)

static pthread_mutex_t complaint_lock = PTHREAD_MUTEX_INITIALIZER;

void run_complain(struct run *run, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	pthread_mutex_lock(&complaint_lock);
	if (!run->why[0])
		vsnprintf(run->why, sizeof(run->why), fmt, args);
	pthread_mutex_unlock(&complaint_lock);
	va_end(args);
}

/*
 * Only the root task draws: the order of other tasks' draws would vary. They get numbers from it.
 */
static uint64_t draw(struct run *run, uint64_t below)
{
	run->random = run->random * 6364136223846793005ull + 1442695040888963407ull;
	return (run->random >> 33) % below;
}

/* ---- bytes ---- */

static uint8_t byte_at(const struct client *c, size_t at)
{
	uint64_t x = (at + 1) * 0x9e3779b97f4a7c15ull ^ c->run->seed ^ (uint64_t)c->id << 32;

	return (uint8_t)(x >> 29);
}

static void fill(const struct client *c, size_t at, uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(c, at + i);
}

/* Returns 0; or -EBADMSG, and reports it, if a byte is wrong. */
static int check(const struct client *c, size_t at, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != byte_at(c, at + i)) {
			run_complain(c->run, "client %u: byte %zu is wrong", c->id, at + i);
			return -EBADMSG;
		}
	ADD(c->run->bytes, len);
	return 0;
}

/* ---- the server: accepts, and spawns a task for each connection ---- */

struct server {
	struct run *run;
	struct weir_listener *listener;
	struct weir_addr addr;
	struct weir_addr upstream;	/* if it is a proxy */
	struct weir_join_set *set;	/* of the connections' tasks; NULL: they are detached */
	struct weir_task *task;
	bool drip;			/* sends bytes with pauses, instead of echoing */
	bool timed;			/* accepts with deadlines, some of which pass */
	bool owns;			/* the server's task closes the listener */
};

/* The argument of a connection's fiber, which frees it. */
struct guest {
	struct server *server;
	struct weir_tcp *conn;
};

static int echo_lease(struct weir_tcp *conn)
{
	struct weir_lease in;
	int rc;

	while ((rc = weir_tcp_recv_lease(conn, &in)) > 0)
		if ((rc = weir_tcp_send_lease(conn, &in)) < 0)
			break;
	return rc;
}

static int echo_copy(struct weir_tcp *conn)
{
	uint8_t buf[256];
	int rc;

	while ((rc = weir_tcp_recv(conn, buf, sizeof(buf))) > 0)
		if ((rc = weir_tcp_send_all(conn, buf, (size_t)rc, WEIR_FOREVER, NULL)) < 0)
			break;
	return rc;
}

static int relay_up(struct server *server, struct weir_tcp *conn)
{
	struct weir_tcp *up;
	int rc = weir_tcp_connect_addr(&server->upstream, WEIR_FOREVER, &up);

	if (rc < 0)
		return rc;
	rc = weir_relay_run(conn, up, NULL, NULL);
	if (rc < 0)
		weir_tcp_reset(up);
	else
		weir_tcp_close(up);
	return rc;
}

/* Sends a client its bytes with pauses. The client sends its index and how many it expects. */
static int drip(struct server *server, struct weir_tcp *conn)
{
	uint32_t ask[2];
	uint8_t buf[64];
	int rc = weir_tcp_recv_exact(conn, ask, sizeof(ask), WEIR_FOREVER, NULL);
	struct client who;

	if (rc < 0)
		return rc;
	who = (struct client){ .run = server->run, .id = ask[0] };
	for (size_t at = 0, n; rc >= 0 && at < ask[1]; at += n) {
		n = 1 + byte_at(&who, at) % sizeof(buf);
		if (n > ask[1] - at)
			n = ask[1] - at;
		fill(&who, at, buf, n);
		rc = weir_sleep(server->run->pace_ns * (byte_at(&who, at + 1) % 16));
		if (rc >= 0)
			rc = weir_tcp_send_all(conn, buf, n, WEIR_FOREVER, NULL);
	}
	return rc;
}

static int guest_fiber(void *arg)
{
	struct guest guest = *(struct guest *)arg;
	int rc;

	free(arg);
	if (guest.server->upstream.len)
		rc = relay_up(guest.server, guest.conn);
	else if (guest.server->drip)
		rc = drip(guest.server, guest.conn);
	else
		rc = guest.server->run->seed % 2 ? echo_lease(guest.conn) : echo_copy(guest.conn);
	if (rc < 0)
		weir_tcp_reset(guest.conn);
	else
		weir_tcp_close(guest.conn);
	return rc;
}

/* A stackless echo. */
struct echo {
	struct weir_tcp *conn;
	struct weir_lease lease;
	struct weir_op op;
	enum {
		ECHO_START,
		ECHO_RECV,
		ECHO_SEND
	} phase;
};

static int echo_poll(void *state, struct weir_cx *cx)
{
	struct echo *e = state;
	int rc;

	for (;;) {
		if (e->phase == ECHO_START) {
			weir_op_init_recv_lease(&e->op, weir_tcp_handle(e->conn), &e->lease);
			e->phase = ECHO_RECV;
		}
		rc = weir_poll(&e->op.future, cx);
		if (rc == WEIR_PENDING || rc < 0)
			return rc;
		if (e->phase == ECHO_RECV && rc == 0)
			return 0;
		if (e->phase == ECHO_RECV) {
			weir_op_init_send_lease(&e->op, weir_tcp_handle(e->conn), &e->lease);
			e->phase = ECHO_SEND;
		} else {
			e->phase = ECHO_START;
		}
	}
}

static void echo_fini(void *state)
{
	struct echo *e = state;

	weir_lease_return(&e->lease);
	weir_tcp_close(e->conn);
}

/* A stackless proxy: connect, relay, close. */
struct hop {
	struct server *server;
	struct weir_tcp *conn, *up;
	bool connected;
	struct weir_op op;
	struct weir_relay relay;
};

static int hop_connect(struct hop *h, struct weir_cx *cx)
{
	const struct weir_addr *to = &h->server->upstream;
	int rc;

	if (!h->up) {
		rc = weir_tcp_new(to->u.sa.sa_family, &h->up);
		if (rc < 0)
			return rc;
		weir_op_init_connect(&h->op, weir_tcp_handle(h->up), &to->u.sa, to->len);
	}
	rc = weir_poll(&h->op.future, cx);
	if (rc == 0) {
		weir_relay_init(&h->relay, h->conn, h->up, NULL);
		h->connected = true;
	}
	return rc;
}

static int hop_poll(void *state, struct weir_cx *cx)
{
	struct hop *h = state;
	int rc = h->connected ? 0 : hop_connect(h, cx);

	return rc < 0 ? rc : weir_poll(&h->relay.future, cx);
}

static void hop_fini(void *state)
{
	struct hop *h = state;

	if (h->connected) {
		weir_relay_close(&h->relay);
	} else {
		weir_tcp_close(h->up);
		weir_tcp_reset(h->conn);
	}
}

static int guest_spawn_fiber(struct server *server, struct weir_tcp *conn)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct guest *guest = malloc(sizeof(*guest));
	int rc;

	if (!guest)
		return -ENOMEM;
	*guest = (struct guest){ server, conn };
	cfg.fn = guest_fiber;
	cfg.arg = guest;
	cfg.where = WEIR_HERE;
	cfg.join_set = server->set;
	rc = weir_task_spawn(NULL, &cfg, NULL);
	if (rc < 0)
		free(guest);
	return rc;
}

static int guest_spawn(struct server *server, struct weir_tcp *conn)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct echo echo = { .conn = conn };
	struct hop hop = { .server = server, .conn = conn };
	int rc;

	cfg.where = WEIR_HERE;
	cfg.join_set = server->set;
	if (!server->run->stackless || server->drip) {
		rc = guest_spawn_fiber(server, conn);
	} else if (server->upstream.len) {
		cfg.poll = hop_poll;
		cfg.fini = hop_fini;
		cfg.state = &hop;
		cfg.state_bytes = sizeof(hop);
		rc = weir_task_spawn(NULL, &cfg, NULL);
	} else {
		cfg.poll = echo_poll;
		cfg.fini = echo_fini;
		cfg.state = &echo;
		cfg.state_bytes = sizeof(echo);
		rc = weir_task_spawn(NULL, &cfg, NULL);
	}
	if (rc < 0)
		weir_tcp_close(conn);
	return rc;
}

static uint64_t accept_deadline(const struct server *server)
{
	return server->timed ? weir_deadline_in(server->run->pace_ns) : WEIR_FOREVER;
}

static int serve_fiber(void *arg)
{
	struct server *server = arg;
	struct weir_tcp *conn;
	uint64_t deadline;
	int rc;

	for (;;) {
		deadline = accept_deadline(server);
		rc = weir_listener_accept_until(server->listener, deadline, &conn);
		if (rc == -ETIMEDOUT) {
			if (weir_now() < deadline)
				run_complain(server->run, "an accept timed out early");
			ADD(server->run->timeouts, 1);
			continue;
		}
		if (rc < 0)
			break;
		guest_spawn(server, conn);
	}
	if (rc != -ECANCELED)
		run_complain(server->run, "accept: %s", weir_strerror(rc));
	/* Waits until all of the set's tasks have ended, even though this task is aborted. */
	weir_join_set_free(server->set);
	server->set = NULL;
	if (server->owns)
		weir_listener_close(server->listener);
	return rc;
}

/* The same as a stackless task. */
struct serve {
	struct server *server;
	struct weir_tcp *conn;
	struct weir_accept_future accept;
	struct weir_timeout_future timeout;
	uint64_t deadline;
	bool started;
};

static int serve_poll(void *state, struct weir_cx *cx)
{
	struct serve *s = state;
	int rc;

	for (;;) {
		if (!s->started) {
			s->deadline = accept_deadline(s->server);
			weir_accept_init(&s->accept, s->server->listener, &s->conn);
			if (s->server->timed)
				weir_timeout_init(&s->timeout, &s->accept.future, s->deadline);
			s->started = true;
		}
		rc = weir_poll(s->server->timed ? &s->timeout.future : &s->accept.future, cx);
		if (rc == WEIR_PENDING)
			return rc;
		s->started = false;
		if (rc == 0) {
			guest_spawn(s->server, s->conn);
		} else if (rc != -ETIMEDOUT) {
			if (rc != -ECANCELED)
				run_complain(s->server->run, "accept: %s", weir_strerror(rc));
			return rc;
		} else if (weir_now() < s->deadline) {
			run_complain(s->server->run, "an accept timed out early");
		} else {
			ADD(s->server->run->timeouts, 1);
		}
	}
}

static void serve_fini(void *state)
{
	struct serve *s = state;

	if (s->started)
		weir_accept_fini(&s->accept);
	if (s->server->owns)
		weir_listener_close(s->server->listener);
}

static int server_spawn(struct server *server)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct serve state = { .server = server };

	cfg.where = WEIR_HERE;
	if (server->run->stackless) {
		cfg.poll = serve_poll;
		cfg.fini = serve_fini;
		cfg.state = &state;
		cfg.state_bytes = sizeof(state);
	} else {
		cfg.fn = serve_fiber;
		cfg.arg = server;
	}
	return weir_task_spawn(NULL, &cfg, &server->task);
}

static int server_start(struct server *server, bool grouped)
{
	static const char *const where[] = { "127.0.0.1:0", "[::1]:0", "unix:@sim" };
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	char path[32];
	const char *addr = where[draw(server->run, 3)];
	int rc;

	if (addr == where[2]) {		/* a path; a proxy and its upstream need different ones */
		snprintf(path, sizeof(path), "%s%d", addr, server->upstream.len != 0);
		addr = path;
	}
	cfg.backlog = 1 + (int)draw(server->run, 8);
	do
		rc = weir_listener_open(addr, &cfg, &server->listener);
	while (rc == -EMFILE && server->run->errors);
	if (rc < 0)
		return rc;
	weir_listener_addr(server->listener, &server->addr);
	if (addr == path)
		weir_addr_parse(addr, &server->addr);
	rc = grouped ? weir_join_set_new(NULL, &server->set) : 0;
	if (rc == 0)
		rc = server_spawn(server);
	if (rc < 0)
		weir_listener_close(server->listener);
	return rc;
}

static void server_stop(struct server *server)
{
	int result;

	weir_task_abort(server->task);
	weir_task_join(server->task, &result);
	if (result != -ECANCELED)
		run_complain(server->run, "the aborted server ended with %d", result);
	weir_join_set_free(server->set);
	weir_listener_close(server->listener);
}

/* ---- clients ---- */

/* Whether an error comes from the network, so that it is no bug of weir. */
static bool is_broken(int rc)
{
	switch (rc) {
	case -ECONNRESET:
	case -EPIPE:
	case -ENOBUFS:
	case -ECONNREFUSED:
	case -ETIMEDOUT:
	case -ENETUNREACH:
	case -EADDRNOTAVAIL:
	case -ENOTCONN:
	case -EMFILE:
		return true;
	default:
		return false;
	}
}

static int ping_pong(struct client *c, struct weir_tcp *conn)
{
	uint8_t out[CHUNK_MAX], in[CHUNK_MAX];
	size_t n, got;
	int rc = 0, bad;

	for (size_t at = 0; rc >= 0 && at < c->bytes; at += n) {
		n = c->chunk < c->bytes - at ? c->chunk : c->bytes - at;
		fill(c, at, out, n);
		rc = weir_tcp_send_all(conn, out, n, WEIR_FOREVER, NULL);
		if (rc < 0)
			break;
		rc = weir_tcp_recv_exact(conn, in, n, WEIR_FOREVER, &got);
		bad = check(c, at, in, got);
		rc = bad < 0 ? bad : rc;
	}
	if (rc >= 0)
		rc = weir_tcp_shutdown(conn, SHUT_WR);
	if (rc >= 0)
		rc = weir_tcp_recv(conn, in, sizeof(in));
	if (rc > 0) {
		run_complain(c->run, "client %u: more came back than was sent", c->id);
		rc = -EBADMSG;
	}
	return rc;
}

static int client_fiber(void *arg)
{
	struct client *c = arg;
	struct weir_tcp *conn;
	int rc;

	do {
		rc = weir_tcp_connect_addr(&c->to, WEIR_FOREVER, &conn);
		if (rc == 0) {
			rc = ping_pong(c, conn);
			weir_tcp_close(conn);
		}
	} while (is_broken(rc) && c->retries-- > 0 && weir_sleep(c->run->pace_ns) == 0);
	return rc;
}

/* A stackless client: sends and receives at the same time. */
struct duplex {
	struct client *c;
	struct weir_tcp *conn;
	struct weir_op send, recv;
	size_t sent, got;
	int error;
	enum {
		DUPLEX_START,
		DUPLEX_CONNECT,
		DUPLEX_RUN,
		DUPLEX_STOP
	} phase;
	bool sending, receiving;
	uint8_t out[CHUNK_MAX], in[700];
};

static int duplex_connect(struct duplex *d, struct weir_cx *cx)
{
	const struct weir_addr *to = &d->c->to;
	int rc;

	if (d->phase == DUPLEX_START) {
		rc = weir_tcp_new(to->u.sa.sa_family, &d->conn);
		if (rc < 0)
			return rc;
		weir_op_init_connect(&d->send, weir_tcp_handle(d->conn), &to->u.sa, to->len);
		d->phase = DUPLEX_CONNECT;
	}
	rc = weir_poll(&d->send.future, cx);
	if (rc == 0)
		d->phase = DUPLEX_RUN;
	return rc;
}

static int duplex_send(struct duplex *d, struct weir_cx *cx)
{
	size_t n;
	int rc;

	while (d->sending || (d->sent < d->c->bytes && d->phase == DUPLEX_RUN)) {
		if (!d->sending) {
			n = d->c->bytes - d->sent;
			n = n < d->c->chunk ? n : d->c->chunk;
			fill(d->c, d->sent, d->out, n);
			weir_op_init_send(&d->send, weir_tcp_handle(d->conn), d->out, n, 0);
			d->sending = true;
		}
		rc = weir_poll(&d->send.future, cx);
		if (rc == WEIR_PENDING)
			return rc;
		d->sending = false;
		if (rc < 0)
			return rc;
		d->sent += (size_t)rc;
		if (d->sent == d->c->bytes && (rc = weir_tcp_shutdown(d->conn, SHUT_WR)) < 0)
			return rc;
	}
	return 0;
}

static int duplex_recv(struct duplex *d, struct weir_cx *cx)
{
	int rc;

	for (;;) {
		if (!d->receiving) {
			if (d->phase != DUPLEX_RUN)
				return 0;
			weir_op_init_recv(&d->recv, weir_tcp_handle(d->conn), d->in, sizeof(d->in),
					  0);
			d->receiving = true;
		}
		rc = weir_poll(&d->recv.future, cx);
		if (rc == WEIR_PENDING)
			return rc;
		d->receiving = false;
		if (rc == 0)
			return d->got == d->c->bytes ? 0 : -EPIPE;
		if (rc < 0 || check(d->c, d->got, d->in, (size_t)rc) < 0)
			return rc < 0 ? rc : -EBADMSG;
		d->got += (size_t)rc;
	}
}

/* Both directions at once. The first error cancels the other direction and waits for it. */
static int duplex_run(struct duplex *d, struct weir_cx *cx)
{
	int sent = duplex_send(d, cx);
	int got = duplex_recv(d, cx);
	int error = sent < 0 && sent != WEIR_PENDING ? sent : got;

	if (error < 0 && error != WEIR_PENDING && d->phase == DUPLEX_RUN) {
		d->phase = DUPLEX_STOP;
		d->error = error;
		if (d->sending)
			weir_cancel(&d->send.future);
		if (d->receiving)
			weir_cancel(&d->recv.future);
		sent = duplex_send(d, cx);
		got = duplex_recv(d, cx);
	}
	if (d->phase == DUPLEX_STOP)
		return d->sending || d->receiving ? WEIR_PENDING : d->error;
	return sent == 0 && got == 0 ? 0 : WEIR_PENDING;
}

static int duplex_poll(void *state, struct weir_cx *cx)
{
	struct duplex *d = state;
	int rc = 0;

	for (;;) {
		if (d->phase < DUPLEX_RUN)
			rc = duplex_connect(d, cx);
		if (rc == 0 && d->phase >= DUPLEX_RUN)
			rc = duplex_run(d, cx);
		if (!is_broken(rc) || d->c->retries == 0)
			return rc;
		d->c->retries--;
		weir_tcp_close(d->conn);
		*d = (struct duplex){ .c = d->c };
		rc = 0;
	}
}

static void duplex_fini(void *state)
{
	struct duplex *d = state;

	weir_tcp_close(d->conn);
}

/* ---- a client whose receives time out ---- */

static int hasty_ask(struct client *c, struct weir_tcp **ret_conn)
{
	uint32_t ask[2] = { c->id, (uint32_t)c->bytes };
	int rc = weir_tcp_connect_addr(&c->to, WEIR_FOREVER, ret_conn);

	if (rc < 0)
		return rc;
	rc = weir_tcp_send_all(*ret_conn, ask, sizeof(ask), WEIR_FOREVER, NULL);
	if (rc < 0)
		weir_tcp_close(*ret_conn);
	return rc;
}

/* Plain and exact receives in turn, with short deadlines. They must lose no byte. */
static int hasty_recv(struct client *c, struct weir_tcp *conn, size_t at, size_t *ret_got)
{
	uint8_t in[100];
	size_t want = c->bytes - at < sizeof(in) ? c->bytes - at : sizeof(in);
	uint64_t deadline = weir_deadline_in(c->run->pace_ns * (1 + byte_at(c, at) % 8));
	int rc;

	*ret_got = 0;
	if (at % 2) {
		rc = weir_tcp_recv_exact(conn, in, want, deadline, ret_got);
	} else {
		rc = weir_tcp_recv_until(conn, in, want, deadline);
		*ret_got = rc > 0 ? (size_t)rc : 0;
	}
	if (rc == 0)
		return -EPIPE;
	if (rc == -ETIMEDOUT && weir_now() < deadline)
		run_complain(c->run, "client %u timed out early", c->id);
	return check(c, at, in, *ret_got) < 0 ? -EBADMSG : rc;
}

static int hasty_fiber(void *arg)
{
	struct client *c = arg;
	struct weir_tcp *conn;
	size_t at = 0, got;
	int rc = hasty_ask(c, &conn);

	if (rc < 0)
		return rc;
	while (at < c->bytes) {
		rc = hasty_recv(c, conn, at, &got);
		at += got;
		if (rc == -ETIMEDOUT)
			ADD(c->run->timeouts, 1);
		else if (rc < 0)
			break;
	}
	weir_tcp_close(conn);
	return at == c->bytes ? 0 : rc;
}

/* ---- roots ---- */

static void clients_prepare(struct run *run, const struct weir_addr *to, size_t most)
{
	for (unsigned i = 0; i < run->clients; i++) {
		struct client *c = &run->client[i];
		size_t chunk = run->buffer_bytes < CHUNK_MAX ? run->buffer_bytes : CHUNK_MAX;

		*c = (struct client){ .run = run, .id = i, .to = *to };
		c->bytes = 1 + draw(run, most);
		c->chunk = 1 + draw(run, chunk);
		if (c->chunk < c->bytes / 32)
			c->chunk = c->bytes / 32 < chunk ? c->bytes / 32 : chunk;
	}
}

static void client_spawn(struct client *c, struct weir_join_set *set, int (*fiber)(void *))
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct duplex duplex = { .c = c };
	int rc;

	cfg.where = WEIR_HERE;
	cfg.join_set = set;
	if (fiber) {
		cfg.fn = fiber;
		cfg.arg = c;
	} else {
		cfg.poll = duplex_poll;
		cfg.fini = duplex_fini;
		cfg.state = &duplex;
		cfg.state_bytes = sizeof(duplex);
	}
	rc = weir_task_spawn(NULL, &cfg, NULL);
	if (rc < 0)
		run_complain(c->run, "spawn: %s", weir_strerror(rc));
}

static void clients_spawn(struct run *run, struct weir_join_set *set)
{
	for (unsigned i = 0; i < run->clients; i++)
		client_spawn(&run->client[i], set, run->stackless ? NULL : client_fiber);
}

/*
 * Joins every client. Aborted ones may end with -ECANCELED or with errors that other aborts caused.
 */
static void clients_join(struct run *run, struct weir_join_set *set, bool aborted)
{
	int result, rc;
	unsigned joined = 0;

	while ((rc = weir_join_set_next(set, NULL, &result)) == 1) {
		joined++;
		if (result == 0)
			ADD(run->ok, 1);
		else if ((aborted && result == -ECANCELED) ||
			 ((aborted || run->errors) && is_broken(result)))
			ADD(run->failed, 1);
		else
			run_complain(run, "a client ended with %d: %s", result,
				     weir_strerror(result));
	}
	if (rc < 0)
		run_complain(run, "weir_join_set_next: %s", weir_strerror(rc));
	if (joined != run->clients)
		run_complain(run, "%u of %u clients joined", joined, run->clients);
	weir_join_set_free(set);
}

static int echo_with(struct run *run, unsigned retries)
{
	struct server server = { .run = run };
	struct weir_join_set *set;
	int rc = server_start(&server, true);

	if (rc < 0)
		return rc;
	clients_prepare(run, &server.addr, 6000);
	for (unsigned i = 0; i < run->clients; i++)
		run->client[i].retries = retries;
	rc = weir_join_set_new(NULL, &set);
	if (rc == 0) {
		clients_spawn(run, set);
		clients_join(run, set, false);
	}
	server_stop(&server);
	return rc;
}

static int echo(void *arg)
{
	return echo_with(arg, 0);
}

/* Accepts run out of descriptors, and connections break in the queue. The others are all served. */
static int out_of_descriptors(void *arg)
{
	return echo_with(arg, 50);
}

static int proxy(void *arg)
{
	struct run *run = arg;
	struct server back = { .run = run }, front = { .run = run };
	struct weir_join_set *set;
	int rc = server_start(&back, true);

	if (rc < 0)
		return rc;
	front.upstream = back.addr;
	rc = server_start(&front, true);
	if (rc == 0) {
		clients_prepare(run, &front.addr, 4000);
		rc = weir_join_set_new(NULL, &set);
	}
	if (rc == 0) {
		clients_spawn(run, set);
		clients_join(run, set, false);
	}
	if (front.task)
		server_stop(&front);
	server_stop(&back);
	return rc;
}

static int timeouts(void *arg)
{
	struct run *run = arg;
	struct server server = { .run = run, .drip = true, .timed = true };
	struct weir_join_set *set;
	int rc = server_start(&server, true);

	if (rc < 0)
		return rc;
	clients_prepare(run, &server.addr, 1500);
	rc = weir_join_set_new(NULL, &set);
	if (rc == 0) {
		for (unsigned i = 0; i < run->clients; i++)
			client_spawn(&run->client[i], set, hasty_fiber);
		clients_join(run, set, false);
	}
	server_stop(&server);
	return rc;
}

/* Aborts all clients while they run, sometimes after the server's connections. */
static int abort_group(void *arg)
{
	struct run *run = arg;
	struct server server = { .run = run };
	struct weir_join_set *set;
	int rc = server_start(&server, true);

	if (rc < 0)
		return rc;
	clients_prepare(run, &server.addr, 20000);
	rc = weir_join_set_new(NULL, &set);
	if (rc == 0) {
		clients_spawn(run, set);
		weir_sleep(draw(run, 40) * run->pace_ns);
		if (draw(run, 2))
			weir_join_set_abort(server.set);
		weir_sleep(draw(run, 4) * run->pace_ns);
		weir_join_set_abort(set);
		clients_join(run, set, true);
	}
	server_stop(&server);
	return rc;
}

/* The root task ends while everything is in flight, so that the shutdown has to end the rest. */
static int walk_away(void *arg)
{
	static struct server server;
	struct run *run = arg;
	int rc;

	server = (struct server){ .run = run, .owns = true };
	rc = server_start(&server, false);
	if (rc < 0)
		return rc;
	weir_task_detach(server.task);
	clients_prepare(run, &server.addr, 20000);
	clients_spawn(run, NULL);
	return weir_sleep(draw(run, 40) * run->pace_ns);
}

const struct program programs[] = {
	{ .name = "echo", .fn = echo },
	{ .name = "proxy", .fn = proxy, .leases_each = 3 },
	{ .name = "timeouts", .fn = timeouts },
	{ .name = "abort", .fn = abort_group },
	{ .name = "walk_away", .fn = walk_away },
	{ .name = "out_of_descriptors", .fn = out_of_descriptors, .accept_errors = true },
};
const unsigned program_count = sizeof(programs) / sizeof(programs[0]);
