/* SPDX-License-Identifier: MIT */
/*
 * proxy_log.c: the access log: one line per connection, written by a job on the
 * blocking pool, so that a slow disk or a reader that sleeps stops no worker.
 *
 *	put ──► records[filling] ──(swap)──► the writer: text ──► file
 *
 * Two arrays take turns: workers fill one under the lock while the writer prints
 * the other. When the one that is filled is full, lines are dropped and counted;
 * nothing else is lost. There is at most one writer: the job that put has queued,
 * or, after the runtime has ended, access_log_finish.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/proxy.h"

#define RECORDS 8192			/* in each array */
#define LINE_MAX_LEN 512
#define PIECE 4096			/* PIPE_BUF: a pipe that polls writable takes that much */
#define CLOSE_NS WEIR_SEC

struct access_log {
	struct proxy *px;
	const char *path;		/* NULL: standard output */

	/* The writer's. */
	int fd;
	bool regular;
	bool failed;			/* and that was said */
	char text[32 * 1024];
	size_t text_len;
	uint64_t text_lines;

	pthread_mutex_t lock;
	struct log_record *records[2];
	unsigned len[2];
	unsigned filling;
	bool writing;			/* a writer is under way */
	bool reopen;
	bool finished;			/* no job refers to it any more */
	uint64_t give_up_ns;		/* when the writer stops waiting for the reader */
	uint64_t written, dropped;
};

void small_addr_of(const struct weir_addr *addr, struct small_addr *ret_small)
{
	memset(ret_small, 0, sizeof(*ret_small));
	ret_small->port = weir_addr_port(addr);
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		ret_small->family = 4;
		memcpy(ret_small->ip, &addr->u.in.sin_addr, 4);
		break;
	case AF_INET6:
		ret_small->family = 6;
		memcpy(ret_small->ip, &addr->u.in6.sin6_addr, 16);
		break;
	default:
		break;
	}
}

/* ---- text ---- */

static void format_client(const struct small_addr *a, char *buf, size_t len)
{
	char ip[INET6_ADDRSTRLEN] = "";

	if (a->family != 4 && a->family != 6) {
		snprintf(buf, len, "-");
		return;
	}
	inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof(ip));
	snprintf(buf, len, a->family == 4 ? "%s:%u" : "[%s]:%u", ip, a->port);
}

static void format_time(uint64_t wall_ns, char *buf, size_t len)
{
	time_t seconds = (time_t)(wall_ns / WEIR_SEC);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(buf, len, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, len - n, ".%03uZ", (unsigned)(wall_ns / WEIR_MSEC % 1000));
}

static void format_reason(const struct log_record *r, char *buf, size_t len)
{
	char number[16];
	const char *name = end_reason_name((enum end_reason)r->reason);

	if (r->reason == END_CONNECT_FAILED || r->reason == END_FAILED)
		snprintf(buf, len, "%s:%s", name, errno_name(r->error, number, sizeof(number)));
	else
		snprintf(buf, len, "%s", name);
}

static size_t format_line(const struct proxy *px, const struct log_record *r, char *buf, size_t len)
{
	char when[40], client[64], reason[48];
	int n;

	format_time(r->wall_ns, when, sizeof(when));
	format_client(&r->client, client, sizeof(client));
	format_reason(r, reason, sizeof(reason));
	n = snprintf(buf, len,
		     "%s client=%s listener=%s upstream=%s up_bytes=%llu down_bytes=%llu "
		     "connect_us=%lu duration_ms=%llu end=%s\n",
		     when, client, px->addr_text,
		     r->upstream < 0 ? "-" : px->upstreams[r->upstream].text,
		     (unsigned long long)r->up_bytes, (unsigned long long)r->down_bytes,
		     (unsigned long)r->connect_us,
		     (unsigned long long)(r->duration_ns / WEIR_MSEC), reason);
	return n < 0 ? 0 : (size_t)n < len ? (size_t)n : len - 1;
}

/* ---- the file; the writer's ---- */

static int open_file(struct access_log *log)
{
	struct stat st;
	int fd = log->path ? open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)
			   : STDOUT_FILENO;

	if (fd < 0)
		return -errno;
	if (log->path && log->fd >= 0)
		close(log->fd);
	log->fd = fd;
	log->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	log->failed = false;
	return 0;
}

/* Whether it may still wait for a reader that does not read. */
static bool has_time(struct access_log *log)
{
	uint64_t give_up_ns;

	pthread_mutex_lock(&log->lock);
	give_up_ns = log->give_up_ns;
	pthread_mutex_unlock(&log->lock);
	return weir_now() < give_up_ns;
}

/* 0, or a negative errno; -ETIMEDOUT when nobody reads and time is up. */
static int write_piece(struct access_log *log, const char *data, size_t len, size_t *ret_done)
{
	struct pollfd ready = { .fd = log->fd, .events = POLLOUT };
	ssize_t n;

	if (!log->regular) {
		len = len < PIECE ? len : PIECE;
		while (poll(&ready, 1, has_time(log) ? 100 : 0) == 0)
			if (!has_time(log))
				return -ETIMEDOUT;
	}
	n = write(log->fd, data, len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	*ret_done += (size_t)n;
	return 0;
}

static void flush_text(struct access_log *log)
{
	size_t done = 0;
	int rc = 0;

	while (rc == 0 && done < log->text_len)
		rc = write_piece(log, log->text + done, log->text_len - done, &done);
	if (rc < 0 && !log->failed) {
		log->failed = true;
		proxy_say("access log %s: %s; lines are dropped", log->path ? log->path : "-",
			  weir_strerror(rc));
	}
	pthread_mutex_lock(&log->lock);
	if (rc < 0)
		log->dropped += log->text_lines;
	else
		log->written += log->text_lines;
	pthread_mutex_unlock(&log->lock);
	log->text_len = 0;
	log->text_lines = 0;
}

static void write_records(struct access_log *log, const struct log_record *records, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		if (sizeof(log->text) - log->text_len < LINE_MAX_LEN)
			flush_text(log);
		log->text_len += format_line(log->px, &records[i], log->text + log->text_len,
					     LINE_MAX_LEN);
		log->text_lines++;
	}
	if (log->text_lines)
		flush_text(log);
}

static void reopen_file(struct access_log *log)
{
	int rc = log->path ? open_file(log) : 0;

	if (rc < 0)
		proxy_say("access log %s: %s; the old file is kept", log->path, weir_strerror(rc));
}

/* Take what has been filled; false when there is nothing to do, and no writer any more. */
static bool take_turn(struct access_log *log, unsigned *ret_which, bool *ret_reopen)
{
	bool work;

	pthread_mutex_lock(&log->lock);
	work = log->len[log->filling] > 0 || log->reopen;
	*ret_which = log->filling;
	*ret_reopen = log->reopen;
	log->reopen = false;
	if (work) {
		log->filling = !log->filling;
		log->len[log->filling] = 0;
	} else {
		log->writing = false;
	}
	pthread_mutex_unlock(&log->lock);
	return work;
}

static int write_all(void *arg)
{
	struct access_log *log = arg;
	unsigned which;
	bool reopen;

	while (take_turn(log, &which, &reopen)) {
		if (reopen)
			reopen_file(log);
		write_records(log, log->records[which], log->len[which]);
	}
	return 0;
}

/* ---- for the workers ---- */

/* Start the writer that the caller has announced (.writing). */
static void start_writer(struct access_log *log)
{
	if (weir_blocking_spawn(log->px->rt, write_all, log) == 0)
		return;
	/* The pool is full or closed: the next line tries again, or finish writes it. */
	pthread_mutex_lock(&log->lock);
	log->writing = false;
	pthread_mutex_unlock(&log->lock);
}

void access_log_put(struct access_log *log, const struct log_record *record)
{
	bool start;

	pthread_mutex_lock(&log->lock);
	if (log->len[log->filling] < RECORDS)
		log->records[log->filling][log->len[log->filling]++] = *record;
	else
		log->dropped++;
	start = !log->writing;
	log->writing = true;
	pthread_mutex_unlock(&log->lock);
	if (start)
		start_writer(log);
}

void access_log_reopen(struct access_log *log)
{
	bool start;

	pthread_mutex_lock(&log->lock);
	log->reopen = true;
	start = !log->writing;
	log->writing = true;
	pthread_mutex_unlock(&log->lock);
	if (start)
		start_writer(log);
}

void access_log_figures(struct access_log *log, uint64_t *ret_written, uint64_t *ret_dropped)
{
	pthread_mutex_lock(&log->lock);
	*ret_written = log->written;
	*ret_dropped = log->dropped;
	pthread_mutex_unlock(&log->lock);
}

/* ---- life ---- */

int access_log_open(const char *path, struct proxy *px, struct access_log **ret_log)
{
	struct access_log *log;
	int rc = -ENOMEM;

	*ret_log = NULL;
	if (strcmp(path, "off") == 0)
		return 0;
	log = calloc(1, sizeof(*log));
	if (!log)
		return rc;
	log->px = px;
	log->path = strcmp(path, "-") == 0 ? NULL : path;
	log->fd = -1;
	log->give_up_ns = WEIR_FOREVER;
	pthread_mutex_init(&log->lock, NULL);
	log->records[0] = malloc(RECORDS * sizeof(*log->records[0]));
	log->records[1] = malloc(RECORDS * sizeof(*log->records[1]));
	if (log->records[0] && log->records[1])
		rc = open_file(log);
	if (rc < 0) {
		log->finished = true;
		access_log_close(log);
		return rc;
	}
	*ret_log = log;
	return 0;
}

/* Give a job that still writes until the deadline; false when it is stuck. */
static bool wait_for_writer(struct access_log *log)
{
	struct timespec pause = { 0, 1000000 };
	bool writing;

	do {
		pthread_mutex_lock(&log->lock);
		writing = log->writing;
		pthread_mutex_unlock(&log->lock);
		if (!writing)
			return true;
		nanosleep(&pause, NULL);
	} while (has_time(log));
	return false;
}

void access_log_hurry(struct access_log *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->give_up_ns = weir_deadline_in(CLOSE_NS);
	pthread_mutex_unlock(&log->lock);
}

void access_log_finish(struct access_log *log, bool stopped)
{
	if (!log)
		return;
	access_log_hurry(log);
	/* A runtime that has stopped has refused the job, or waited for it. */
	if (!stopped && !wait_for_writer(log))
		return;
	log->writing = true;
	write_all(log);
	log->finished = true;
}

void access_log_close(struct access_log *log)
{
	/* A job that hangs in a write keeps what it uses; the process is about to end. */
	if (!log || !log->finished)
		return;
	if (log->path && log->fd >= 0)
		close(log->fd);
	free(log->records[0]);
	free(log->records[1]);
	pthread_mutex_destroy(&log->lock);
	free(log);
}
