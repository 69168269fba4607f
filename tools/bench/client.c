/* SPDX-License-Identifier: MIT */
/*
 * client.c: one connection of the load. It sends meaningless bytes and counts the bytes
 * that come back: an answer is a number of bytes. It is edge-triggered: a send continues
 * until the socket is full, a receive until it is empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/load.h"

static const uint8_t pattern[64 * 1024];

/* ---- opening and closing ---- */

static int watch(struct load_thread *t, struct load_client *c)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data = { .ptr = c },
	};

	return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, c->fd, &e) == 0 ? 0 : -errno;
}

static void no_delay(int fd, int family)
{
	int on = 1;

	if (family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int bench_client_open(struct load_thread *t, struct load_client *c)
{
	const struct weir_addr *server = &t->load->plan.server;
	int family = server->u.sa.sa_family, rc = 0;
	/* A client that connects only once waits in connect while the backlog is full. */
	int nonblock = t->load->plan.reconnect ? SOCK_NONBLOCK : 0;

	c->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | nonblock, 0);
	if (c->fd < 0)
		return -errno;
	no_delay(c->fd, family);
	if (connect(c->fd, &server->u.sa, server->len) < 0 && errno != EINPROGRESS)
		rc = -errno;
	if (rc == 0 && fcntl(c->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		rc = -errno;
	if (rc == 0)
		rc = watch(t, c);
	if (rc < 0)
		bench_client_close(c);
	return rc;
}

void bench_client_close(struct load_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Close with a reset. Otherwise each request would leave a port in TIME_WAIT, and they run out. */
static void close_now(struct load_client *c)
{
	struct linger none = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	bench_client_close(c);
}

static void fail(struct load_thread *t, struct load_client *c, int error)
{
	t->rec->errors++;
	if (t->rec->first_error == 0)
		t->rec->first_error = error;
	t->in_flight -= c->in_flight;
	c->in_flight = 0;
	c->out_left = 0;
	bench_client_close(c);
	if (t->load->plan.reconnect)
		bench_load_file(t, c, bench_now());
}

/* ---- sending ---- */

static int flush(struct load_client *c)
{
	ssize_t n;

	while (c->out_left > 0) {
		n = send(c->fd, pattern,
			 c->out_left < sizeof(pattern) ? c->out_left : sizeof(pattern),
			 MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == ENOTCONN ? 0 : -errno;
		c->out_left -= (size_t)n;
	}
	return 0;
}

void bench_client_start(struct load_thread *t, struct load_client *c, uint64_t intended_ns,
			uint64_t now)
{
	const struct load_plan *plan = &t->load->plan;
	int rc = 0;

	c->ring[(c->first + c->in_flight) % plan->depth] =
		(struct load_request){ intended_ns, now };
	c->in_flight++;
	t->in_flight++;
	c->out_left += plan->request_bytes;
	if (c->in_flight == 1)
		c->in_left = plan->answer_bytes;
	if (plan->reconnect)
		rc = bench_client_open(t, c);
	if (rc == 0)
		rc = flush(c);
	if (rc < 0)
		fail(t, c, rc);
}

/* ---- receiving ---- */

static void answered(struct load_thread *t, struct load_client *c)
{
	const struct load_plan *plan = &t->load->plan;
	struct load_request request = c->ring[c->first];
	uint64_t now = bench_now();

	bench_record_done(t->rec, 1, now);
	bench_record_latency(t->rec, request.intended_ns, request.start_ns, now);
	c->first = (c->first + 1) % (uint32_t)plan->depth;
	c->in_flight--;
	t->in_flight--;
	c->in_left = plan->answer_bytes;
	if (plan->reconnect)
		close_now(c);
	bench_load_file(t, c, now);
}

/* Bytes of answers have arrived; false if they are more than expected. */
static bool take(struct load_thread *t, struct load_client *c, size_t len)
{
	size_t some;

	for (; len > 0; len -= some) {
		if (c->in_flight == 0)
			return false;
		some = len < c->in_left ? len : c->in_left;
		c->in_left -= some;
		if (c->in_left == 0)
			answered(t, c);
	}
	return true;
}

/*
 * Receive until the socket is empty. An end of stream is an error, because only the client closes.
 */
static int drain(struct load_thread *t, struct load_client *c, bool ended)
{
	ssize_t n;

	do {
		n = recv(c->fd, t->scratch, LOAD_SCRATCH_BYTES, 0);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		if (c->upstream)
			c->out_left += (size_t)n;
		else if (!take(t, c, (size_t)n))
			return -EBADMSG;
	} while (c->fd >= 0 && (ended || n == LOAD_SCRATCH_BYTES));
	return 0;
}

/* ---- the upstream of a proxy ---- */

void bench_client_accept(struct load_thread *t)
{
	int listener = t->load->plan.upstream_fd, fd;
	struct load_client *c;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		c = calloc(1, sizeof(*c));
		if (!c) {
			close(fd);
			continue;
		}
		no_delay(fd, t->load->plan.server.u.sa.sa_family);
		*c = (struct load_client){ .fd = fd, .upstream = true, .next = t->upstreams };
		t->upstreams = c;
		if (watch(t, c) < 0)
			bench_client_close(c);
	}
}

void bench_client_free_upstreams(struct load_thread *t)
{
	struct load_client *c;

	while ((c = t->upstreams) != NULL) {
		t->upstreams = c->next;
		bench_client_close(c);
		free(c);
	}
}

/* ---- events ---- */

void bench_client_event(struct load_thread *t, struct load_client *c, uint32_t events)
{
	bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	int rc = 0;

	if (c->fd < 0)
		return;
	if (events & EPOLLIN || ended)
		rc = drain(t, c, ended);
	if (rc == 0 && c->fd >= 0)
		rc = flush(c);
	if (rc == 0)
		return;
	/* The proxy may close its side at any time. */
	if (c->upstream)
		bench_client_close(c);
	else
		fail(t, c, rc);
}
