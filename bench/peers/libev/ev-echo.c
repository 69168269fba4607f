/* SPDX-License-Identifier: MIT */
/*
 * TCP echo on libev: ev-echo [--port P] [--workers N] [--buf BYTES]
 * One loop a worker thread, each with its own SO_REUSEPORT listener.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int port = 7000, workers = 1;
static size_t bufsize = 16384;

struct conn {
	ev_io io;
	char *rest;
	size_t off, len;
};

static void drop(struct ev_loop *l, struct conn *c)
{
	ev_io_stop(l, &c->io);
	close(c->io.fd);
	free(c->rest);
	free(c);
}

static void want(struct ev_loop *l, struct conn *c, int events)
{
	ev_io_stop(l, &c->io);
	ev_io_modify(&c->io, events);
	ev_io_start(l, &c->io);
}

static void ready(struct ev_loop *l, ev_io *w, int events)
{
	struct conn *c = (struct conn *)w;
	if (events & EV_WRITE) {
		ssize_t n = send(w->fd, c->rest + c->off, c->len - c->off, MSG_NOSIGNAL);
		if (n < 0) { if (errno != EAGAIN) drop(l, c); return; }
		c->off += (size_t)n;
		if (c->off < c->len) return;
		free(c->rest);
		c->rest = NULL;
		want(l, c, EV_READ);
		return;
	}
	char *buf = ev_userdata(l);
	ssize_t n = recv(w->fd, buf, bufsize, 0);
	if (n < 0 && errno == EAGAIN) return;
	if (n <= 0) { drop(l, c); return; }
	ssize_t o = send(w->fd, buf, (size_t)n, MSG_NOSIGNAL);
	if (o == n) return;
	if (o < 0) { if (errno != EAGAIN) { drop(l, c); return; } o = 0; }
	c->len = (size_t)(n - o);
	c->off = 0;
	c->rest = malloc(c->len);
	memcpy(c->rest, buf + o, c->len);
	want(l, c, EV_WRITE);
}

static void come(struct ev_loop *l, ev_io *w, int events)
{
	(void)events;
	int fd, one = 1;
	while ((fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		struct conn *c = calloc(1, sizeof *c);
		ev_io_init(&c->io, ready, fd, EV_READ);
		ev_io_start(l, &c->io);
	}
}

static void *work(void *arg)
{
	(void)arg;
	struct ev_loop *l = ev_loop_new(EVBACKEND_EPOLL);
	ev_set_userdata(l, malloc(bufsize));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) { perror("bind"); exit(1); }
	ev_io lw;
	ev_io_init(&lw, come, fd, EV_READ);
	ev_io_start(l, &lw);
	printf("listening %d\n", port);
	fflush(stdout);
	ev_run(l, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--workers")) workers = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--buf")) bufsize = (size_t)atoi(argv[i + 1]);
		else { fprintf(stderr, "what is %s?\n", argv[i]); return 2; }
	}
	struct rlimit rl;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	for (int i = 1; i < workers; i++) {
		pthread_t t;
		pthread_create(&t, NULL, work, NULL);
	}
	work(NULL);
	return 0;
}
