/* SPDX-License-Identifier: MIT */
/*
 * child.c: starts and controls the server process. It is this program, executed again, so
 * that each repetition has a new address space layout. Effects of the layout then appear
 * as spread between repetitions, and not as a difference between backends.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/child.h"

/* How long the server may take to answer. */
#define PATIENCE_MS 20000

/* In the forked child: become the server. */
static void become_server(int fd, int memory_fd)
{
	char fd_text[16], memory_text[16];
	char *argv[] = { "weir", "bench", "--server", fd_text, memory_text, NULL };

	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	snprintf(memory_text, sizeof(memory_text), "%d", memory_fd);
	execv("/proc/self/exe", argv);
	_exit(127);
}

static int spawn(struct bench_child *child)
{
	int ends[2], memory_fd = memfd_create("weir-bench", 0);

	if (memory_fd < 0)
		return -errno;
	child->records = MAP_FAILED;
	if (ftruncate(memory_fd, (off_t)child->records_bytes) == 0)
		child->records = mmap(NULL, child->records_bytes, PROT_READ | PROT_WRITE,
				      MAP_SHARED, memory_fd, 0);
	if (child->records == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0) {
		close(memory_fd);
		return -errno;
	}
	fflush(NULL);
	child->pid = fork();
	if (child->pid == 0) {
		close(ends[0]);
		become_server(ends[1], memory_fd);
	}
	child->fd = ends[0];
	close(ends[1]);
	close(memory_fd);
	return child->pid < 0 ? -EAGAIN : 0;
}

/* Receive one packet of exactly len bytes. */
static int receive(struct bench_child *child, void *packet, size_t len)
{
	struct pollfd p = { .fd = child->fd, .events = POLLIN };
	ssize_t n;
	int ready;

	do
		ready = poll(&p, 1, PATIENCE_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return -ETIMEDOUT;
	n = recv(child->fd, packet, len, 0);
	return n == (ssize_t)len ? 0 : -EPIPE;
}

static int transmit(struct bench_child *child, const void *packet, size_t len)
{
	return send(child->fd, packet, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -EPIPE;
}

int bench_child_start(struct bench_child *child, const struct server_setup *setup, char *why,
		      size_t why_len)
{
	struct server_ready ready;
	int rc;

	*child = (struct bench_child){ .fd = -1, .pid = -1 };
	child->records_bytes = sizeof(*child->records) * setup->workers;
	rc = spawn(child);
	if (rc == 0)
		rc = transmit(child, setup, sizeof(*setup));
	if (rc == 0)
		rc = receive(child, &ready, sizeof(ready));
	if (rc == 0 && ready.error == 0) {
		child->addr = ready.addr;
		return 0;
	}
	if (rc == 0) {
		rc = ready.error;
		snprintf(why, why_len, "%s", ready.why);
	} else {
		snprintf(why, why_len, "the server process did not start: %s", weir_strerror(rc));
	}
	bench_child_end(child);
	return rc;
}

int bench_child_begin(struct bench_child *child, uint64_t begin_ns, uint64_t end_ns)
{
	struct server_order order = { SERVER_BEGIN, begin_ns, end_ns };

	return transmit(child, &order, sizeof(order));
}

int bench_child_mark(struct bench_child *child, struct server_mark *ret_mark)
{
	struct server_order order = { .command = SERVER_MARK };
	int rc = transmit(child, &order, sizeof(order));

	return rc < 0 ? rc : receive(child, ret_mark, sizeof(*ret_mark));
}

/* Wait until the server, which was told to end, has ended. */
static bool reap(struct bench_child *child)
{
	struct pollfd p = { .fd = child->fd, .events = POLLIN };
	bool ended = poll(&p, 1, PATIENCE_MS) > 0;
	int status = -1;

	if (!ended)
		kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool bench_child_end(struct bench_child *child)
{
	struct server_order order = { .command = SERVER_END };
	bool well = false;

	if (child->pid > 0) {
		transmit(child, &order, sizeof(order));
		well = reap(child);
	}
	if (child->fd >= 0)
		close(child->fd);
	if (child->records && child->records != MAP_FAILED)
		munmap(child->records, child->records_bytes);
	*child = (struct bench_child){ .fd = -1, .pid = -1 };
	return well;
}
