/* SPDX-License-Identifier: MIT */
/*
 * TCP echo on libuv: uv-echo [--port P] [--workers N] [--buf BYTES]
 * One loop a worker thread, each with its own SO_REUSEPORT listener. Reads go
 * into one buffer a loop; the reply is uv_try_write, and what the socket will
 * not take at once is copied and queued.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <uv.h>

static int port = 7000, workers = 1;
static size_t bufsize = 16384;

struct rest {
	uv_write_t req;
	char data[];
};

static void closed(uv_handle_t *h) { free(h); }
static void drop(uv_handle_t *h) { if (!uv_is_closing(h)) uv_close(h, closed); }

static void give(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	(void)hint;
	*b = uv_buf_init(h->loop->data, (unsigned)bufsize);
}

static void written(uv_write_t *r, int status)
{
	if (status < 0) drop((uv_handle_t *)r->handle);
	free(r);
}

static void got(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	if (n == 0) return;
	if (n < 0) { drop((uv_handle_t *)s); return; }
	uv_buf_t o = uv_buf_init(b->base, (unsigned)n);
	int w = uv_try_write(s, &o, 1);
	if (w == n) return;
	if (w < 0 && w != UV_EAGAIN) { drop((uv_handle_t *)s); return; }
	size_t off = w < 0 ? 0 : (size_t)w, left = (size_t)n - off;
	struct rest *r = malloc(sizeof *r + left);
	memcpy(r->data, b->base + off, left);
	o = uv_buf_init(r->data, (unsigned)left);
	if (uv_write(&r->req, s, &o, 1, written)) { free(r); drop((uv_handle_t *)s); }
}

static void come(uv_stream_t *l, int status)
{
	if (status) return;
	uv_tcp_t *c = malloc(sizeof *c);
	uv_tcp_init(l->loop, c);
	if (uv_accept(l, (uv_stream_t *)c)) { drop((uv_handle_t *)c); return; }
	uv_tcp_nodelay(c, 1);
	uv_read_start((uv_stream_t *)c, give, got);
}

static void *work(void *arg)
{
	(void)arg;
	uv_loop_t loop;
	uv_tcp_t l;
	uv_loop_init(&loop);
	loop.data = malloc(bufsize);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(fd, (struct sockaddr *)&a, sizeof a)) { perror("bind"); exit(1); }
	uv_tcp_init(&loop, &l);
	uv_tcp_open(&l, fd);
	if (uv_listen((uv_stream_t *)&l, 4096, come)) { perror("listen"); exit(1); }
	printf("listening %d\n", port);
	fflush(stdout);
	uv_run(&loop, UV_RUN_DEFAULT);
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
