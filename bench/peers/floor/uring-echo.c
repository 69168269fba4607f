/* SPDX-License-Identifier: MIT */
/*
 * A raw io_uring echo: multishot accept and recv, a ring of provided buffers,
 * one send in flight a connection, completions reaped and work submitted in one
 * io_uring_enter. Not a product: what the backend can reach with no runtime.
 *   uring-echo [--port P] [--workers N] [--sqpoll 1]
 * One ring a worker thread, each with its own SO_REUSEPORT listener.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define NBUF 2048u
#define BUFSIZE 16384u
#define NONE 0xffffu

static int port = 7000, workers = 1, sqpoll;

struct conn {
	int fd, gone, sending, armed, starved;
	uint16_t head, tail; /* the queue of received buffers that are still to be sent */
	struct conn *next_starved;
};

struct loop {
	struct io_uring ring;
	struct io_uring_buf_ring *br;
	char *mem;
	uint16_t next[NBUF];
	uint32_t len[NBUF], off[NBUF];
	struct conn *starved;
	int listener;
};

enum { T_RECV = 1, T_SEND = 2 }; /* in the low bits of user_data; 0 is the accept */

static struct io_uring_sqe *sqe(struct loop *l)
{
	struct io_uring_sqe *s = io_uring_get_sqe(&l->ring);
	while (!s) {
		io_uring_submit(&l->ring);
		s = io_uring_get_sqe(&l->ring);
	}
	return s;
}

static void arm_accept(struct loop *l)
{
	struct io_uring_sqe *s = sqe(l);
	io_uring_prep_multishot_accept(s, l->listener, NULL, NULL, 0);
	io_uring_sqe_set_data64(s, 0);
}

static void arm_recv(struct loop *l, struct conn *c)
{
	struct io_uring_sqe *s = sqe(l);
	io_uring_prep_recv_multishot(s, c->fd, NULL, 0, 0);
	s->flags |= IOSQE_BUFFER_SELECT;
	s->buf_group = 0;
	io_uring_sqe_set_data64(s, (uintptr_t)c | T_RECV);
	c->armed = 1;
}

static void recycle(struct loop *l, uint16_t b)
{
	io_uring_buf_ring_add(l->br, l->mem + (size_t)b * BUFSIZE, BUFSIZE, b, (int)NBUF - 1, 0);
	io_uring_buf_ring_advance(l->br, 1);
	struct conn *c = l->starved;
	if (c) {
		l->starved = c->next_starved;
		c->starved = 0;
		if (!c->gone)
			arm_recv(l, c);
	}
}

static void send_head(struct loop *l, struct conn *c)
{
	uint16_t b = c->head;
	struct io_uring_sqe *s = sqe(l);
	io_uring_prep_send(s, c->fd, l->mem + (size_t)b * BUFSIZE + l->off[b], l->len[b] - l->off[b], MSG_NOSIGNAL | MSG_WAITALL);
	io_uring_sqe_set_data64(s, (uintptr_t)c | T_SEND);
	c->sending = 1;
}

static void maybe_free(struct loop *l, struct conn *c)
{
	if (!c->gone || c->armed || c->sending || c->starved)
		return;
	while (c->head != NONE) {
		uint16_t b = c->head;
		c->head = l->next[b];
		recycle(l, b);
	}
	close(c->fd);
	free(c);
}

static void on(struct loop *l, struct io_uring_cqe *q)
{
	uint64_t u = io_uring_cqe_get_data64(q);
	int one = 1;
	if (!u) {
		if (q->res >= 0) {
			struct conn *c = calloc(1, sizeof *c);
			c->fd = q->res;
			c->head = c->tail = NONE;
			setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			arm_recv(l, c);
		}
		if (!(q->flags & IORING_CQE_F_MORE))
			arm_accept(l);
		return;
	}
	struct conn *c = (struct conn *)(uintptr_t)(u & ~3ull);
	if ((u & 3) == T_RECV) {
		if (!(q->flags & IORING_CQE_F_MORE))
			c->armed = 0;
		if (q->res > 0) {
			uint16_t b = (uint16_t)(q->flags >> IORING_CQE_BUFFER_SHIFT);
			l->len[b] = (uint32_t)q->res;
			l->off[b] = 0;
			l->next[b] = NONE;
			if (c->head == NONE)
				c->head = b;
			else
				l->next[c->tail] = b;
			c->tail = b;
			if (!c->sending)
				send_head(l, c);
			if (!c->armed && !c->gone)
				arm_recv(l, c);
		} else if (q->res == -ENOBUFS) {
			if (!c->gone && !c->starved) {
				c->starved = 1;
				c->next_starved = l->starved;
				l->starved = c;
			}
		} else {
			c->gone = 1;
		}
	} else {
		uint16_t b = c->head;
		c->sending = 0;
		if (q->res <= 0) {
			if (!c->gone)
				shutdown(c->fd, SHUT_RDWR);
			c->gone = 1;
		} else {
			l->off[b] += (uint32_t)q->res;
			if (l->off[b] == l->len[b]) {
				c->head = l->next[b];
				recycle(l, b);
			}
			if (c->head != NONE)
				send_head(l, c);
		}
	}
	maybe_free(l, c);
}

static void *work(void *arg)
{
	(void)arg;
	struct loop *l = calloc(1, sizeof *l);
	struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 16384};
	if (sqpoll) {
		p.flags |= IORING_SETUP_SQPOLL;
		p.sq_thread_idle = 100;
	} else {
		p.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	}
	int r = io_uring_queue_init_params(4096, &l->ring, &p);
	if (r) { fprintf(stderr, "io_uring: %s\n", strerror(-r)); exit(1); }
	l->mem = mmap(NULL, (size_t)NBUF * BUFSIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	l->br = mmap(NULL, NBUF * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)l->br, .ring_entries = NBUF, .bgid = 0};
	r = io_uring_register_buf_ring(&l->ring, &reg, 0);
	if (r) { fprintf(stderr, "buffer ring: %s\n", strerror(-r)); exit(1); }
	io_uring_buf_ring_init(l->br);
	for (unsigned b = 0; b < NBUF; b++)
		io_uring_buf_ring_add(l->br, l->mem + (size_t)b * BUFSIZE, BUFSIZE, (unsigned short)b, (int)NBUF - 1, (int)b);
	io_uring_buf_ring_advance(l->br, (int)NBUF);

	int one = 1;
	l->listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(l->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(l->listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(l->listener, (struct sockaddr *)&a, sizeof a) || listen(l->listener, 4096)) { perror("bind"); exit(1); }
	arm_accept(l);
	printf("listening %d\n", port);
	fflush(stdout);
	for (;;) {
		io_uring_submit_and_wait(&l->ring, 1);
		struct io_uring_cqe *q;
		unsigned head, n = 0;
		io_uring_for_each_cqe(&l->ring, head, q) {
			on(l, q);
			n++;
		}
		io_uring_cq_advance(&l->ring, n);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--workers")) workers = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--sqpoll")) sqpoll = atoi(argv[i + 1]);
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
