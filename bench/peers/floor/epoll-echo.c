/* SPDX-License-Identifier: MIT */
/*
 * The least an epoll echo can do: recv, send, epoll_wait, no framework.
 *   epoll-echo [--port P] [--workers N] [--buf BYTES]
 * One epoll a worker thread, each with its own SO_REUSEPORT listener. Not a
 * product: a floor, to tell a runtime's cost from the kernel's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int port = 7000, workers = 1;
static size_t bufsize = 16384;

struct conn {
	int fd;
	char *rest;
	size_t off, len;
};

static void drop(struct conn *c)
{
	close(c->fd);
	free(c->rest);
	free(c);
}

static void serve(int ep, struct conn *c, char *buf, uint32_t events)
{
	if (events & EPOLLOUT) {
		ssize_t n = send(c->fd, c->rest + c->off, c->len - c->off, MSG_NOSIGNAL);
		if (n < 0) { if (errno != EAGAIN) drop(c); return; }
		c->off += (size_t)n;
		if (c->off < c->len) return;
		free(c->rest);
		c->rest = NULL;
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
		return;
	}
	ssize_t n = recv(c->fd, buf, bufsize, 0);
	if (n < 0 && errno == EAGAIN) return;
	if (n <= 0) { drop(c); return; }
	ssize_t o = send(c->fd, buf, (size_t)n, MSG_NOSIGNAL);
	if (o == n) return;
	if (o < 0) { if (errno != EAGAIN) { drop(c); return; } o = 0; }
	c->len = (size_t)(n - o);
	c->off = 0;
	c->rest = malloc(c->len);
	memcpy(c->rest, buf + o, c->len);
	struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void *work(void *arg)
{
	(void)arg;
	char *buf = malloc(bufsize);
	int one = 1, ep = epoll_create1(0), l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(l, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(l, (struct sockaddr *)&a, sizeof a) || listen(l, 4096)) { perror("bind"); exit(1); }
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ev[1024];
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
	printf("listening %d\n", port);
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, ev, 1024, -1);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr) { serve(ep, ev[i].data.ptr, buf, ev[i].events); continue; }
			int fd;
			while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				struct conn *c = calloc(1, sizeof *c);
				c->fd = fd;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				e = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
			}
		}
	}
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
