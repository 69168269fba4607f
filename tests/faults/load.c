/* SPDX-License-Identifier: MIT */
/*
 * load.c: see load.h. Each part is a task of one join set, and ignores the outcome of the others.
 */
#include "tests/faults/load.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/testing.h"
#include "weir/weir.h"

/* How often in a row an accept, a connect and the like may fail before the task gives up. */
#define TRIES 20
#define CLIENTS 3
#define MESSAGES 4
#define LARGEST 40000

static const struct load *load;
static atomic_int broken;
static struct weir_addr echo_addr, relay_addr, local_addr;

static void __attribute__((format(printf, 1, 2))) break_rule(const char *fmt, ...)
{
	va_list ap;

	atomic_fetch_add(&broken, 1);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static uint64_t soon(void)
{
	return weir_deadline_in(load->failing_for_good ? 50 * WEIR_MSEC :
							 testing_hang_ns());
}

/*
 * Checks that a wait did not run into its deadline, and returns its result. Before the deadline
 * -ETIMEDOUT is allowed: a system call may fail with that error.
 */
static int answered(const char *what, uint64_t deadline, int rc)
{
	if (rc == -ETIMEDOUT && weir_now() >= deadline && !load->failing_for_good)
		break_rule("%s: hangs until its deadline", what);
	return rc;
}

/* ---- the bytes on streams ---- */

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7);
}

static size_t message_bytes(unsigned i)
{
	static const size_t bytes[MESSAGES] = { 1, 1500, LARGEST, 300 };

	return bytes[i % MESSAGES];
}

/* Sends a message, whose bytes depend on its offset, completely or until an error. */
static int send_message(struct weir_tcp *conn, size_t offset, size_t bytes)
{
	uint8_t data[2048];
	size_t done = 0;

	while (done < bytes) {
		uint64_t deadline;
		size_t part = bytes - done < sizeof data ? bytes - done : sizeof data;
		int rc;

		for (size_t i = 0; i < part; i++)
			data[i] = pattern(offset + done + i);
		deadline = soon();
		rc = answered("send", deadline, weir_tcp_send_until(conn, data, part, deadline));
		if (rc < 0)
			return rc;
		done += (size_t)rc;
	}
	return 0;
}

/* Complains of an early end. A Unix stream has no reset, so there an end may stand for an error. */
static int ended_early(struct weir_tcp *conn, size_t bytes)
{
	struct weir_addr addr;

	if (weir_tcp_local_addr(conn, &addr) < 0 || addr.u.sa.sa_family != AF_UNIX)
		break_rule("the stream ended %zu bytes early", bytes);
	return -EIO;
}

/* Receives and checks a message that send_message has sent. */
static int receive_message(struct weir_tcp *conn, size_t offset, size_t bytes)
{
	uint8_t data[2048];

	for (size_t done = 0; done < bytes;) {
		size_t part = bytes - done < sizeof data ? bytes - done : sizeof data;
		uint64_t deadline = soon();
		int rc = answered("receive", deadline,
				  weir_tcp_recv_until(conn, data, part, deadline));

		if (rc < 0)
			return rc;
		if (rc == 0)
			return ended_early(conn, bytes - done);
		for (int i = 0; i < rc; i++)
			if (data[i] != pattern(offset + done + (size_t)i)) {
				break_rule("byte %zu is wrong", offset + done + (size_t)i);
				return -EIO;
			}
		done += (size_t)rc;
	}
	return 0;
}

static int converse(struct weir_tcp *conn)
{
	size_t offset = 0;
	uint64_t deadline;
	char byte;
	int rc = 0;

	for (unsigned i = 0; i < MESSAGES && rc == 0; i++) {
		rc = send_message(conn, offset, message_bytes(i));
		if (rc == 0)
			rc = receive_message(conn, offset, message_bytes(i));
		offset += message_bytes(i);
	}
	if (rc == 0)
		rc = weir_tcp_shutdown(conn, SHUT_WR);
	deadline = soon();
	if (rc == 0)
		rc = answered("the last receive", deadline,
			      weir_tcp_recv_until(conn, &byte, 1, deadline));
	if (rc > 0)
		break_rule("received a byte after the last one");
	return rc;
}

static int client(void *arg)
{
	const struct weir_addr *to = arg;
	struct weir_tcp *conn;
	uint64_t deadline = soon();
	int rc = answered("connect", deadline, weir_tcp_connect_addr(to, deadline, &conn));

	if (rc < 0)
		return 0;
	if (converse(conn) < 0)
		weir_tcp_reset(conn);
	else
		weir_tcp_close(conn);
	return 0;
}

/* ---- servers ---- */

static int echo(void *arg)
{
	struct weir_tcp *conn = arg;
	struct weir_lease in;
	int rc;

	while ((rc = weir_tcp_recv_lease(conn, &in)) > 0)
		if ((rc = weir_tcp_send_lease(conn, &in)) < 0)
			break;
	if (rc < 0)
		weir_tcp_reset(conn);
	else
		weir_tcp_close(conn);
	return 0;
}

/* The same with a copy in parts, to use the vectored calls. */
static int echo_in_parts(void *arg)
{
	struct weir_tcp *conn = arg;
	char one[700], other[900];
	int rc;

	for (;;) {
		struct iovec in[2] = { { one, sizeof one }, { other, sizeof other } };
		struct iovec out[2] = { { one, sizeof one }, { other, 0 } };
		size_t len;

		rc = weir_tcp_recvv(conn, in, 2);
		if (rc <= 0)
			break;
		len = (size_t)rc;
		out[0].iov_len = len < sizeof one ? len : sizeof one;
		out[1].iov_len = len - out[0].iov_len;
		rc = weir_tcp_sendv(conn, out, 2);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		weir_tcp_reset(conn);
	else
		weir_tcp_close(conn);
	return 0;
}

static int relay(void *arg)
{
	struct weir_tcp *client_side = arg, *server_side;
	struct weir_relay each;
	int rc = weir_tcp_connect_addr(&echo_addr, soon(), &server_side);

	if (rc < 0) {
		weir_tcp_reset(client_side);
		return 0;
	}
	weir_relay_init(&each, client_side, server_side, NULL);
	weir_await(&each.future);
	weir_relay_close(&each);
	return 0;
}

struct server {
	struct weir_listener *listener;
	int (*serve)(void *);
	struct weir_join_set *set;
};

static void serve_one(struct server *s, struct weir_tcp *conn)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.fn = s->serve;
	cfg.arg = conn;
	cfg.drop = weir_tcp_drop;
	cfg.join_set = s->set;
	cfg.where = WEIR_HERE;
	(void)weir_task_spawn(NULL, &cfg, NULL);
}

static int server(void *arg)
{
	struct server *s = arg;
	struct weir_tcp *conn;

	for (int failed = 0; failed < TRIES;) {
		int rc = weir_listener_accept(s->listener, &conn);

		if (rc == -ECANCELED)
			break;
		if (rc < 0) {
			failed++;
			continue;
		}
		serve_one(s, conn);
	}
	weir_listener_close(s->listener);
	return 0;
}

/* Starts a server at addr. Stores its address, with length 0 if it could not be opened. */
static void server_start(struct server *s, struct weir_join_set *set, const char *addr,
			 int (*serve)(void *), struct weir_addr *ret_addr)
{
	ret_addr->len = 0;
	*s = (struct server){ NULL, serve, set };
	if (weir_listener_open(addr, NULL, &s->listener) < 0)
		return;
	if (weir_listener_addr(s->listener, ret_addr) < 0 ||
	    weir_join_set_spawn(set, server, s, NULL) < 0) {
		ret_addr->len = 0;
		weir_listener_close(s->listener);
	}
}

/* ---- the other parts ---- */

static int sleeper(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		weir_sleep(WEIR_MSEC);
	return 0;
}

static int job(void *arg)
{
	struct stat info;

	(void)arg;
	return stat("/", &info) < 0 ? -errno : 42;
}

static int blocking(void *arg)
{
	uint64_t deadline = soon();
	int rc = answered("a blocking job", deadline, weir_blocking_run_until(job, NULL, deadline));

	(void)arg;
	if (rc >= 0 && rc != 42)
		break_rule("a blocking job returned %d", rc);
	weir_block_in_place(job, NULL);
	return 0;
}

static int resolver(void *arg)
{
	struct weir_addr found[4];
	uint64_t deadline = soon();

	(void)arg;
	answered("resolve", deadline, weir_resolve("localhost:80", 4, deadline, found));
	return 0;
}

static int signalled(void *arg)
{
	struct weir_signal listener;
	uint64_t deadline = soon();
	int rc = weir_signal_open(&listener, SIGUSR2);

	(void)arg;
	if (rc < 0)
		return 0;
	if (kill(getpid(), SIGUSR2) == 0) {
		rc = answered("a signal", deadline, weir_signal_wait(&listener, deadline));
		if (rc >= 0 && rc != SIGUSR2)
			break_rule("waiting for a signal returned %d", rc);
	}
	weir_signal_close(&listener);
	return 0;
}

static int pipe_waiter(void *arg)
{
	struct weir_fd *fd;
	uint64_t deadline = soon();
	int ends[2];

	(void)arg;
	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
		return 0;
	if (weir_fd_open(ends[0], &fd) == 0) {
		if (write(ends[1], "x", 1) == 1)
			answered("a pipe", deadline, weir_fd_wait(fd, WEIR_READABLE, deadline));
		weir_fd_close(fd);
	}
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* Uses an unnamed file. Only io_uring has file operations; the other backends refuse them. */
static int filer(void *arg)
{
	char text[8] = "";
	struct weir_op op;
	int fd;

	(void)arg;
	weir_op_init_open(&op, "/tmp", O_TMPFILE | O_RDWR, 0600);
	fd = weir_await(&op.future);
	if (fd < 0)
		return 0;
	weir_op_init_write(&op, fd, "weir", 4, 0);
	if (weir_await(&op.future) == 4) {
		weir_op_init_fsync(&op, fd, true);
		weir_await(&op.future);
		weir_op_init_read(&op, fd, text, 4, 0);
		if (weir_await(&op.future) == 4 && strcmp(text, "weir") != 0)
			break_rule("the file contains \"%s\"", text);
	}
	close(fd);
	return 0;
}

/* A receive that only an abort ends. */
static int waits_for_ever(void *arg)
{
	struct weir_tcp *conn;
	char byte;

	if (weir_tcp_connect_addr(arg, soon(), &conn) < 0)
		return 0;
	while (weir_tcp_recv(conn, &byte, 1) > 0)
		;
	weir_tcp_close(conn);
	return 0;
}

/* ---- all of it ---- */

static void start_parts(struct weir_join_set *set)
{
	static int (*const parts[])(void *) = { sleeper, blocking, resolver, signalled, pipe_waiter,
						filer };
	struct weir_addr *const to[] = { &echo_addr, &relay_addr, &local_addr };

	for (size_t i = 0; i < TESTING_COUNT(parts); i++)
		weir_join_set_spawn(set, parts[i], NULL, NULL);
	for (size_t i = 0; i < TESTING_COUNT(to); i++)
		for (int k = 0; to[i]->len && k < CLIENTS; k++)
			weir_join_set_spawn(set, client, to[i], NULL);
}

/* Waits until every task of the set has ended. Their results do not matter. */
static void finish(struct weir_join_set *set, const char *what)
{
	uint64_t id,
		end = weir_deadline_in(testing_scaled(load->failing_for_good ? 5 : 30) * WEIR_SEC);
	int rc, result;

	while ((rc = weir_join_set_next_until(set, end, &id, &result)) == 1)
		;
	if (rc < 0 && !load->failing_for_good)
		break_rule("%s: %s, %zu tasks are left", what, weir_strerror(rc),
			   weir_join_set_len(set));
}

static int root(void *arg)
{
	struct server servers[3];
	struct weir_join_set *serving, *parts, *waiting;
	char local[64];

	(void)arg;
	snprintf(local, sizeof local, "unix:@weir-faults-%d", (int)getpid());
	if (weir_join_set_new(NULL, &serving) < 0)
		return -ENOMEM;
	server_start(&servers[0], serving, "127.0.0.1:0", echo, &echo_addr);
	server_start(&servers[1], serving, "127.0.0.1:0", relay, &relay_addr);
	server_start(&servers[2], serving, local, echo_in_parts, &local_addr);
	if (weir_join_set_new(NULL, &parts) == 0) {
		start_parts(parts);
		finish(parts, "the parts");
		weir_join_set_free(parts);
	}
	if (echo_addr.len && weir_join_set_new(NULL, &waiting) == 0) {
		for (int i = 0; i < CLIENTS; i++)
			weir_join_set_spawn(waiting, waits_for_ever, &echo_addr, NULL);
		weir_yield();
		weir_join_set_abort(waiting);
		finish(waiting, "aborted tasks");
		weir_join_set_free(waiting);
	}
	weir_join_set_abort(serving);
	finish(serving, "the servers");
	weir_join_set_free(serving);
	return 0;
}

int load_run(const struct load *given)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	int rc;

	load = given;
	atomic_store(&broken, 0);
	cfg.backend = load->backend;
	cfg.sched = load->workers ? WEIR_SCHED_MULTI : WEIR_SCHED_CURRENT;
	cfg.workers = load->workers;
	cfg.topo = load->topo;
	if (weir_rt_new(&cfg, &rt) < 0)
		return 0;
	weir_rt_block_on(rt, root, NULL);
	rc = weir_rt_shutdown(rt, testing_scaled(30) * WEIR_SEC);
	if (rc < 0 && !load->failing_for_good)
		break_rule("shutdown: %s", weir_strerror(rc));
	weir_rt_free(rt);
	return atomic_load(&broken);
}
