/* SPDX-License-Identifier: MIT */
/*
 * program.c: see program.h. A program is a series of random steps. Each connection has a model of
 * what its ends must see: bytes in flight, ends, resets. A step whose outcome would depend on
 * timing is skipped. Otherwise the step runs, and its result is written to the transcript; part of
 * the result is whether the bytes were right.
 */
#include <stdarg.h>

#include "tests/conformance/program.h"

#define CONNS 3
#define STEPS 120
#define HELD 4
#define SOON_NS WEIR_MSEC

/* One direction of a connection, with the index of the side that sends. */
struct way {
	uint64_t seed;
	size_t sent, got;
	bool ended;			/* the sender has sent its FIN */
};

struct conn {
	struct weir_tcp *side[2];	/* NULL: closed */
	struct way way[2];		/* by the side that sends */
	bool open;			/* connected, and not yet closed by both sides */
	bool reset[2];			/* the other side has reset the connection */
	bool told[2];			/* a call of this side has reported the reset */
};

struct held {
	struct weir_lease lease;
	uint64_t seed;
	size_t at;
};

struct run {
	struct program *program;
	uint64_t random;
	struct conn conns[CONNS];
	struct held held[HELD];
	/* The connection and the side of this step. */
	struct conn *c;
	int s;
	uint8_t buf[PROGRAM_BYTES + 100];
};

/* ---- the transcript ---- */

static void WEIR_PRINTF(2, 3) note(struct run *r, const char *fmt, ...)
{
	struct program *p = r->program;
	va_list args;

	if (p->cap - p->len < 200) {
		p->cap += 8192;
		p->text = realloc(p->text, p->cap);
	}
	va_start(args, fmt);
	p->len += (size_t)vsnprintf(p->text + p->len, p->cap - p->len, fmt, args);
	va_end(args);
}

static void note_call(struct run *r, const char *what, size_t n)
{
	note(r, "%s %d%c %zu:", what, (int)(r->c - r->conns), 'a' + r->s, n);
}

static void note_result(struct run *r, int rc)
{
	if (rc < 0)
		note(r, " %s\n", weir_strerror(rc));
	else
		note(r, " %d\n", rc);
}

/* ---- the state of this step's connection, seen from this side ---- */

static struct weir_tcp *mine(struct run *r)
{
	return r->c->side[r->s];
}

static struct weir_tcp *theirs(struct run *r)
{
	return r->c->side[!r->s];
}

static struct way *out(struct run *r)
{
	return &r->c->way[r->s];
}

static struct way *in(struct run *r)
{
	return &r->c->way[!r->s];
}

static size_t unread(const struct way *way)
{
	return way->sent - way->got;
}

static bool undisturbed(struct run *r)
{
	return mine(r) && theirs(r) && !r->c->reset[0] && !r->c->reset[1];
}

/* Whether a receive would wait: nothing to receive, no end, no reset. */
static bool would_wait(struct run *r)
{
	return undisturbed(r) && unread(in(r)) == 0 && !in(r)->ended;
}

static size_t upto(struct run *r, size_t max)
{
	return max ? 1 + (size_t)draw(&r->random, max) : 0;
}

static bool is_right(struct way *way, size_t at, const uint8_t *data, size_t len)
{
	uint8_t want[512];

	for (size_t n; len > 0; at += n, data += n, len -= n) {
		n = len < sizeof(want) ? len : sizeof(want);
		pattern_fill(way->seed, at, want, n);
		if (memcmp(want, data, n) != 0)
			return false;
	}
	return true;
}

/* ---- sending ---- */

static int send_to(struct run *r, struct weir_tcp *conn, struct way *way, size_t n, bool cut)
{
	struct iovec iov[3] = { { r->buf, n / 3 }, { NULL, 0 }, { r->buf + n / 3, n - n / 3 } };
	struct weir_op op;
	int rc;

	pattern_fill(way->seed, way->sent, r->buf, n);
	if (cut) {
		weir_op_init_sendv(&op, weir_tcp_handle(conn), iov, 3, WEIR_OP_ALL);
		rc = weir_await(&op.future);
	} else {
		rc = weir_tcp_send_all(conn, r->buf, n, WEIR_FOREVER, NULL);
	}
	way->sent += rc > 0 ? (size_t)rc : 0;
	return rc;
}

static void step_send(struct run *r)
{
	size_t room = PROGRAM_BYTES - unread(out(r)), n = upto(r, room < 3000 ? room : 3000);

	if (!undisturbed(r) || out(r)->ended || n == 0)
		return;
	note_call(r, "send", n);
	note_result(r, send_to(r, mine(r), out(r), n, draw(&r->random, 2)));
}

/* Sends after this side's own end, or after a reset that was reported to it. */
static void step_send_in_vain(struct run *r)
{
	bool ended = undisturbed(r) && out(r)->ended;

	if (!mine(r) || !(ended || r->c->told[r->s]))
		return;
	note_call(r, "send in vain", 1);
	note_result(r, weir_tcp_send(mine(r), "x", 1));
}

/* ---- receiving ---- */

/* Receives up to n bytes in one of several ways, checks them and counts them. */
static int receive_part(struct run *r, uint64_t how, size_t n, bool *right)
{
	struct iovec iov[2] = { { r->buf, n / 2 }, { r->buf + n / 2, n - n / 2 } };
	struct weir_lease lease = { .data = NULL };
	const uint8_t *data = r->buf;
	int rc;

	switch (how) {
	case 0:
		rc = weir_tcp_recv(mine(r), r->buf, n);
		break;
	case 1:
		rc = weir_tcp_recvv(mine(r), iov, 2);
		break;
	case 2:
		rc = weir_tcp_recv_exact(mine(r), r->buf, n, WEIR_FOREVER, NULL);
		break;
	case 3:
		rc = weir_tcp_peek(mine(r), r->buf, n);
		*right &= rc <= 0 || is_right(in(r), in(r)->got, r->buf, (size_t)rc);
		rc = rc > 0 ? weir_tcp_recv(mine(r), r->buf, n) : rc;
		break;
	default:
		rc = weir_tcp_recv_lease(mine(r), &lease);
		data = lease.data;
	}
	if (rc > 0) {
		*right &= is_right(in(r), in(r)->got, data, (size_t)rc);
		in(r)->got += (size_t)rc;
	}
	weir_lease_return(&lease);
	return rc;
}

/* Receives n bytes. A lease takes whatever has arrived, so it is used only to receive all of it. */
static int receive(struct run *r, uint64_t how, size_t n)
{
	size_t end = in(r)->got + n;
	bool right = true;
	int rc = 1;

	while (rc > 0 && in(r)->got < end)
		rc = receive_part(r, how, end - in(r)->got, &right);
	note(r, right ? " right" : " WRONG");
	return rc < 0 ? rc : (int)(n - (end - in(r)->got));
}

static void step_receive(struct run *r)
{
	uint64_t how = draw(&r->random, 5);
	size_t n = how == 4 ? unread(in(r)) : upto(r, unread(in(r)));

	if (!mine(r) || n == 0)
		return;
	note_call(r, "receive", n);
	note_result(r, receive(r, how, n));
}

/* Receives behind the last byte: the end, or the reset. */
static void step_receive_the_end(struct run *r)
{
	size_t left = unread(in(r)), done = 0;
	bool reset = r->c->reset[r->s] && !r->c->told[r->s] && !in(r)->ended;
	int rc;

	if (!mine(r) || !(in(r)->ended || r->c->reset[r->s]))
		return;
	note_call(r, "receive beyond", left);
	rc = weir_tcp_recv_exact(mine(r), r->buf, left + 10, WEIR_FOREVER, &done);
	note(r, " %zu%s", done, is_right(in(r), in(r)->got, r->buf, done) ? "" : " WRONG");
	in(r)->got += done;
	r->c->told[r->s] |= reset;
	note_result(r, rc);
}

static void step_try(struct run *r)
{
	if (!would_wait(r))
		return;
	note_call(r, "try", 10);
	note_result(r, weir_tcp_recv_try(mine(r), r->buf, 10));
}

static void give_back(struct run *r, struct held *h)
{
	struct way way = { .seed = h->seed };

	note(r, "give back:%s\n",
	     is_right(&way, h->at, h->lease.data, h->lease.len) ? " right" : " WRONG");
	weir_lease_return(&h->lease);
}

/*
 * Keeps a lease for some steps. The backend chooses how many bytes are in it; the rest are
 * received.
 */
static void step_hold(struct run *r)
{
	struct held *h = &r->held[draw(&r->random, HELD)];
	size_t n = unread(in(r));
	int rc;

	if (h->lease.data) {
		give_back(r, h);
		return;
	}
	if (!mine(r) || n == 0)
		return;
	h->seed = in(r)->seed;
	h->at = in(r)->got;
	note_call(r, "hold", n);
	rc = weir_tcp_recv_lease(mine(r), &h->lease);
	in(r)->got += rc > 0 ? (size_t)rc : 0;
	note_result(r, rc > 0 ? rc + receive(r, 0, n - (size_t)rc) : rc);
}

/* ---- waiting ---- */

struct wait {
	struct waiter waiter;
	struct weir_op op;
	struct weir_lease lease;
	uint8_t buf[4000];
};

/*
 * Starts a receive that waits, in a task of its own. If n is not 0, it waits for exactly n bytes.
 */
static void wait_begin(struct run *r, struct wait *w, size_t n)
{
	env.stackless = draw(&r->random, 2);
	w->lease = (struct weir_lease){ .data = NULL };
	if (n)
		weir_op_init_recv(&w->op, weir_tcp_handle(mine(r)), w->buf, n, WEIR_OP_ALL);
	else if (draw(&r->random, 2))
		weir_op_init_recv(&w->op, weir_tcp_handle(mine(r)), w->buf, sizeof(w->buf),
				  draw(&r->random, 2) ? WEIR_OP_PEEK : 0);
	else
		weir_op_init_recv_lease(&w->op, weir_tcp_handle(mine(r)), &w->lease);
	begin(&w->waiter, &w->op.future);
	pending(&w->waiter);
}

static void step_wait_for_bytes(struct run *r)
{
	size_t n = upto(r, 3000), left = n, part;
	struct wait w;
	int rc;

	if (!would_wait(r))
		return;
	note_call(r, "wait", n);
	wait_begin(r, &w, n);
	for (; left > 0; left -= part) {
		part = upto(r, left);
		send_to(r, theirs(r), in(r), part, false);
	}
	rc = ended(&w.waiter);
	note(r, is_right(in(r), in(r)->got, w.buf, w.op.u.io.done) ? " right" : " WRONG");
	in(r)->got += w.op.u.io.done;
	note_result(r, rc);
}

/* Cancels a receive that has a part of its bytes. The next receive gets the others. */
static void step_cancel(struct run *r)
{
	size_t n = draw(&r->random, 2) ? 100 + upto(r, 3000) : 0, part = n ? upto(r, 50) : 0;
	struct wait w;
	int rc;

	if (!would_wait(r))
		return;
	note_call(r, "cancel", n);
	wait_begin(r, &w, n);
	if (part)
		send_to(r, theirs(r), in(r), part, false);
	rc = aborted(&w.waiter);
	if (n) {
		note(r, is_right(in(r), in(r)->got, w.buf, w.op.u.io.done) ? " right" : " WRONG");
		in(r)->got += w.op.u.io.done;
		rc = receive(r, 0, part - w.op.u.io.done) < 0 ? -EIO : rc;
	}
	note_result(r, rc);
}

static void step_time_out(struct run *r)
{
	struct iovec iov = { r->buf, 100 };
	uint64_t end = weir_deadline_in(SOON_NS);
	struct weir_lease lease;

	if (!would_wait(r) || draw(&r->random, 3))
		return;
	note_call(r, "time out", 0);
	switch (draw(&r->random, 4)) {
	case 0:
		note_result(r, weir_tcp_recv_until(mine(r), r->buf, 100, end));
		break;
	case 1:
		note_result(r, weir_tcp_recvv_until(mine(r), &iov, 1, end));
		break;
	case 2:
		note_result(r, weir_tcp_recv_exact(mine(r), r->buf, 100, end, NULL));
		break;
	default:
		note_result(r, weir_tcp_recv_lease_until(mine(r), end, &lease));
	}
}

/* ---- ends ---- */

static void step_shut_down(struct run *r)
{
	if (!undisturbed(r) || out(r)->ended || draw(&r->random, 3))
		return;
	note_call(r, "shut down", 0);
	note_result(r, weir_tcp_shutdown(mine(r), SHUT_WR));
	out(r)->ended = true;
}

/* Closes this side, and records in the model what the other side will see. */
static void close_mine(struct run *r, bool reset)
{
	reset |= unread(in(r)) > 0;
	if (reset)
		weir_tcp_reset(mine(r));
	else
		weir_tcp_close(mine(r));
	r->c->side[r->s] = NULL;
	if (reset)
		r->c->reset[!r->s] = true;
	else
		out(r)->ended = true;
}

static void step_close(struct run *r)
{
	bool reset = draw(&r->random, 3) == 0, over = in(r)->ended || r->c->reset[r->s];

	/* Rarely closes a connection that the other side has not ended. */
	if (!mine(r) || draw(&r->random, over ? 2 : 6))
		return;
	note_call(r, reset ? "reset" : "close", unread(in(r)));
	if (draw(&r->random, 2) && !reset && unread(in(r)) > 0) {
		/* A close with unread bytes is a reset for the other side. */
		weir_tcp_close(mine(r));
		r->c->side[r->s] = NULL;
		r->c->reset[!r->s] = true;
	} else {
		close_mine(r, reset);
	}
	note(r, "\n");
}

/* The end comes while this side waits. */
static void step_end_under_a_wait(struct run *r)
{
	uint64_t how = draw(&r->random, 3);
	struct wait w;
	int rc;

	if (!would_wait(r) || draw(&r->random, 3))
		return;
	note_call(r, "end under a wait", 0);
	wait_begin(r, &w, draw(&r->random, 2) ? 100 : 0);
	r->s = !r->s;
	if (how == 0) {
		OK(weir_tcp_shutdown(mine(r), SHUT_WR));
		out(r)->ended = true;
	} else {
		close_mine(r, how == 1);
	}
	r->s = !r->s;
	rc = ended(&w.waiter);
	r->c->told[r->s] = rc == -ECONNRESET;
	note_result(r, rc);
}

/* The waiting side closes its own stream. */
static void step_close_under_a_wait(struct run *r)
{
	struct wait w;

	if (!would_wait(r) || draw(&r->random, 4))
		return;
	note_call(r, "close under a wait", 0);
	wait_begin(r, &w, 0);
	close_mine(r, false);
	note_result(r, ended(&w.waiter));
}

/* ---- much, and both ways ---- */

struct bulk {
	struct weir_tcp *conn;
	struct way *way;
	size_t len;
};

static int bulk_send(void *arg)
{
	struct bulk *b = arg;

	pattern_send(b->conn, b->way->seed, b->way->sent, b->len);
	return 0;
}

static void step_exchange(struct run *r)
{
	struct weir_task *tasks[2];
	struct bulk bulk[2];
	bool right[2];

	if (!undisturbed(r) || out(r)->ended || in(r)->ended || unread(out(r)) || unread(in(r)))
		return;
	for (int i = 0; i < 2; i++) {
		bulk[i] = (struct bulk){ r->c->side[i], &r->c->way[i], upto(r, 60000) };
		tasks[i] = spawn_on((unsigned)draw(&r->random, 4), bulk_send, &bulk[i]);
	}
	note_call(r, "exchange", bulk[0].len + bulk[1].len);
	for (int i = 0; i < 2; i++) {
		uint8_t *buf = malloc(bulk[i].len);
		int rc = weir_tcp_recv_exact(r->c->side[!i], buf, bulk[i].len, WEIR_FOREVER, NULL);

		right[i] = rc == (int)bulk[i].len && is_right(bulk[i].way, bulk[i].way->sent, buf,
							      bulk[i].len);
		free(buf);
	}
	for (int i = 0; i < 2; i++) {
		finish(tasks[i]);
		bulk[i].way->sent += bulk[i].len;
		bulk[i].way->got += bulk[i].len;
		note(r, right[i] ? " right" : " WRONG");
	}
	note(r, "\n");
}

/* ---- connecting ---- */

static void step_open(struct run *r)
{
	struct conn *c = r->c;

	if (c->side[0] || c->side[1])
		return;
	*c = (struct conn){ .open = true };
	for (int i = 0; i < 2; i++)
		c->way[i].seed = draw(&r->random, 1 << 30);
	note_call(r, "open", 0);
	connected(&c->side[0], &c->side[1]);
	note(r, "\n");
}

static void step_refused(struct run *r)
{
	struct weir_addr addr;
	struct weir_tcp *conn;

	if (draw(&r->random, 3))
		return;
	nobodys_addr(&addr);
	note(r, "connect to nobody:");
	note_result(r, weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn));
}

/* An accept that is aborted, that has its listener closed, or that times out. */
static void step_accept(struct run *r)
{
	struct weir_listener *listener;
	struct weir_addr addr;
	struct weir_accept_future accept;
	struct waiter waiter;
	struct weir_tcp *conn;
	uint64_t how = draw(&r->random, 9);

	if (how >= 3)
		return;
	listener = open_listener(&addr);
	env.stackless = draw(&r->random, 2);
	note(r, "accept in vain %d:", (int)how);
	if (how == 0) {
		note_result(r,
			    weir_listener_accept_until(listener, weir_deadline_in(SOON_NS), &conn));
		weir_listener_close(listener);
		return;
	}
	weir_accept_init(&accept, listener, &conn);
	begin(&waiter, &accept.future);
	pending(&waiter);
	if (how == 1)
		weir_listener_close(listener);
	note_result(r, how == 1 ? ended(&waiter) : aborted(&waiter));
	weir_accept_fini(&accept);
	if (how == 2)
		weir_listener_close(listener);
}

/* ---- a program ---- */

/* The steps and their weights. */
static const struct {
	void (*run)(struct run *);
	unsigned weight;
} steps[] = {
	{ step_open, 2 },
	{ step_send, 4 },
	{ step_send_in_vain, 1 },
	{ step_receive, 3 },
	{ step_receive_the_end, 1 },
	{ step_try, 1 },
	{ step_hold, 1 },
	{ step_wait_for_bytes, 1 },
	{ step_cancel, 1 },
	{ step_time_out, 1 },
	{ step_shut_down, 1 },
	{ step_close, 1 },
	{ step_end_under_a_wait, 1 },
	{ step_close_under_a_wait, 1 },
	{ step_exchange, 1 },
	{ step_refused, 1 },
	{ step_accept, 1 },
};
#define STEP_KINDS (sizeof(steps) / sizeof(steps[0]))

static void step(struct run *r)
{
	unsigned total = 0, i;
	uint64_t at;

	for (i = 0; i < STEP_KINDS; i++)
		total += steps[i].weight;
	at = draw(&r->random, total);
	for (i = 0; at >= steps[i].weight; i++)
		at -= steps[i].weight;
	steps[i].run(r);
}

int program_run(void *arg)
{
	struct program *program = arg;
	struct run *r = calloc(1, sizeof(*r));

	r->program = program;
	r->random = program->seed * 2 + 1;
	for (int i = 0; i < 4; i++)
		draw(&r->random, 2);
	for (int i = 0; i < CONNS; i++) {
		r->c = &r->conns[i];
		step_open(r);
	}
	for (int i = 0; i < STEPS; i++) {
		r->c = &r->conns[draw(&r->random, CONNS)];
		r->s = (int)draw(&r->random, 2);
		step(r);
	}
	for (int i = 0; i < HELD; i++)
		weir_lease_return(&r->held[i].lease);
	for (int i = 0; i < CONNS; i++)
		close_both(r->conns[i].side[0], r->conns[i].side[1]);
	free(r);
	return 0;
}
