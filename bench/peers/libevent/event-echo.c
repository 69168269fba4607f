/* SPDX-License-Identifier: MIT */
/*
 * TCP echo on libevent's bufferevents: event-echo [--port P] [--workers N]
 * One event_base a worker thread, each with its own SO_REUSEPORT listener.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

static int port = 7000, workers = 1;

static void got(struct bufferevent *b, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(b, bufferevent_get_input(b));
}

static void over(struct bufferevent *b, short what, void *arg)
{
	(void)arg;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) bufferevent_free(b);
}

static void come(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int len, void *arg)
{
	(void)a; (void)len; (void)arg;
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct bufferevent *b = bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(b, got, NULL, over, NULL);
	bufferevent_enable(b, EV_READ | EV_WRITE);
}

static void *work(void *arg)
{
	(void)arg;
	struct event_base *base = event_base_new();
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (!evconnlistener_new_bind(base, come, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT, 4096,
				     (struct sockaddr *)&a, sizeof a)) { perror("bind"); exit(1); }
	printf("listening %d\n", port);
	fflush(stdout);
	event_base_dispatch(base);
	return NULL;
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--workers")) workers = atoi(argv[i + 1]);
		else { fprintf(stderr, "what is %s?\n", argv[i]); return 2; }
	}
	struct rlimit rl;
	signal(SIGPIPE, SIG_IGN); /* the library writes without MSG_NOSIGNAL */
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
