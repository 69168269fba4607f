/* SPDX-License-Identifier: MIT */
/*
 * outlet.c: see outlet.h. There are two arrays: one is filled under the lock while the
 * thread writes the other; then they are swapped.
 *
 *	put ──► items[filling] ──(swap)──► the thread: text ──► file
 *
 * Fields that only the thread uses need no lock. If the thread is stuck in the kernel at
 * the end, it is left behind together with the outlet; the process is about to end.
 */
#include "tools/proxy/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "weir/time.h"

#define POLL_MS 100		/* how often a wait for the reader checks the time */
#define TELL_NS (10 * WEIR_SEC)	/* at least this long between two messages about a full queue */

struct outlet {
	struct outlet_config cfg;
	pthread_t thread;

	/* Used only by the thread. */
	int fd;				/* -1: not open yet */
	bool regular;
	bool failing;			/* the last write failed, which was reported */
	uint64_t told;			/* how many dropped lines were reported */
	uint64_t tell_ns;		/* the next report of a full queue, at the earliest */
	size_t text_len;
	char text[32 * 1024];

	pthread_mutex_t lock;
	pthread_cond_t changed;		/* signalled when there is work, and at the end */
	char *items[2];
	unsigned len[2];
	unsigned filling;
	bool reopen;
	bool ending;			/* outlet_put drops items from now on */
	bool ended;			/* the thread has returned */
	uint64_t give_up_ns;		/* when the thread stops waiting for the reader */
	uint64_t written, dropped;
};

/* ---- news ---- */

static void tell(struct outlet *o, const char *fmt, ...) WEIR_PRINTF(2, 3);

static void tell(struct outlet *o, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o->cfg.news(o->cfg.arg, text);
}

static const char *text_of(int rc)
{
	switch (rc) {
	case -ETIMEDOUT:
		return "its reader is not reading";
	case -EPIPE:
	case -ENXIO:
		return "it has no reader";
	default:
		return strerror(-rc);
	}
}

/* How many lines were dropped since the last report. */
static unsigned long long take_dropped(struct outlet *o)
{
	uint64_t dropped;

	pthread_mutex_lock(&o->lock);
	dropped = o->dropped - o->told;
	pthread_mutex_unlock(&o->lock);
	o->told += dropped;
	if (dropped)
		o->tell_ns = weir_deadline_in(TELL_NS);
	return dropped;
}

/* Report when writing starts to fail, and when it works again. */
static void take_note(struct outlet *o, int rc)
{
	if (rc < 0 && !o->failing)
		tell(o, "%s; lines are dropped", text_of(rc));
	else if (rc == 0 && o->failing)
		tell(o, "writing works again; %llu lines were dropped", take_dropped(o));
	o->failing = rc < 0;
}

/*
 * Report lines that were dropped because the queue was full. It is called when the queue has room
 * again, because the report itself may go through it.
 */
static void tell_dropped(struct outlet *o)
{
	unsigned long long dropped;

	if (o->failing || weir_now() < o->tell_ns)
		return;
	dropped = take_dropped(o);
	if (dropped)
		tell(o, "writing is too slow; %llu lines were dropped", dropped);
}

/* ---- the file ---- */

static bool is_fifo(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* Opening never waits for a reader: a FIFO without one returns -ENXIO. */
static int open_file(struct outlet *o)
{
	int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = o->cfg.path ? open(o->cfg.path, flags, 0644) : o->cfg.fd;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (o->cfg.path && o->fd >= 0)
		close(o->fd);
	o->fd = fd;
	o->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	return 0;
}

static void reopen_file(struct outlet *o)
{
	int rc = open_file(o);

	if (rc < 0)
		tell(o, "%s; the old file stays in use", text_of(rc));
}

/* Whether the thread may still wait for the reader. */
static bool has_time(struct outlet *o)
{
	uint64_t give_up_ns;

	pthread_mutex_lock(&o->lock);
	give_up_ns = o->give_up_ns;
	pthread_mutex_unlock(&o->lock);
	return weir_now() < give_up_ns;
}

/* Wait until the descriptor is writable: 0; -ETIMEDOUT after give_up_ns. */
static int wait_writable(struct outlet *o)
{
	struct pollfd ready = { .fd = o->fd, .events = POLLOUT };

	while (poll(&ready, 1, has_time(o) ? POLL_MS : 0) <= 0)
		if (!has_time(o))
			return -ETIMEDOUT;
	return 0;
}

/* The length of whole lines that a pipe accepts without blocking after poll says it is writable. */
static size_t piece_of(const char *data, size_t len)
{
	size_t piece = len < PIPE_BUF ? len : PIPE_BUF;

	while (data[piece - 1] != '\n')
		piece--;
	return piece;
}

/* Returns 0 and adds the bytes to *ret_done, or returns a negative errno. */
static int write_piece(struct outlet *o, const char *data, size_t len, size_t *ret_done)
{
	ssize_t n;
	int rc;

	if (!o->regular) {
		rc = wait_writable(o);
		if (rc < 0)
			return rc;
		len = piece_of(data, len);
	}
	n = write(o->fd, data, len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	*ret_done += (size_t)n;
	return 0;
}

/* Remove the partial line at the end of the file, unless another process has appended to it. */
static void remove_partial_line(struct outlet *o, size_t partial)
{
	off_t end = lseek(o->fd, 0, SEEK_CUR);
	struct stat st;

	if (!partial || !o->regular || fstat(o->fd, &st) < 0 || st.st_size != end)
		return;
	end -= (off_t)partial;
	if (ftruncate(o->fd, end) == 0)
		lseek(o->fd, end, SEEK_SET);
}

static uint64_t count_lines(const char *data, size_t len, size_t *ret_whole)
{
	uint64_t lines = 0;

	*ret_whole = 0;
	for (size_t i = 0; i < len; i++)
		if (data[i] == '\n') {
			lines++;
			*ret_whole = i + 1;
		}
	return lines;
}

static void flush_text(struct outlet *o)
{
	size_t done = 0, whole, all;
	int rc = o->fd < 0 ? open_file(o) : 0;
	uint64_t lines, of;

	while (rc == 0 && done < o->text_len)
		rc = write_piece(o, o->text + done, o->text_len - done, &done);
	lines = count_lines(o->text, done, &whole);
	of = count_lines(o->text, o->text_len, &all);
	remove_partial_line(o, done - whole);
	pthread_mutex_lock(&o->lock);
	o->written += lines;
	o->dropped += of - lines;
	pthread_mutex_unlock(&o->lock);
	o->text_len = 0;
	take_note(o, rc);
}

/* ---- the thread ---- */

static void write_items(struct outlet *o, unsigned which)
{
	const char *item = o->items[which];

	for (unsigned i = 0; i < o->len[which]; i++, item += o->cfg.item_bytes) {
		if (sizeof(o->text) - o->text_len < OUTLET_LINE_MAX)
			flush_text(o);
		o->text_len += o->cfg.format(o->cfg.arg, item, o->text + o->text_len,
					     OUTLET_LINE_MAX);
	}
	if (o->text_len)
		flush_text(o);
}

/* Wait for work, and take the filled array; false when there is none and the outlet ends. */
static bool take_turn(struct outlet *o, unsigned *ret_which, bool *ret_reopen)
{
	bool work;

	pthread_mutex_lock(&o->lock);
	while (!(work = o->len[o->filling] > 0 || o->reopen) && !o->ending)
		pthread_cond_wait(&o->changed, &o->lock);
	*ret_which = o->filling;
	*ret_reopen = o->reopen;
	o->reopen = false;
	o->filling = !o->filling;
	o->len[o->filling] = 0;
	pthread_mutex_unlock(&o->lock);
	return work;
}

static void *run(void *arg)
{
	struct outlet *o = arg;
	unsigned which;
	bool reopen;

	if (o->fd < 0)
		take_note(o, -ENXIO);
	while (take_turn(o, &which, &reopen)) {
		if (reopen && o->cfg.path)
			reopen_file(o);
		tell_dropped(o);
		write_items(o, which);
	}
	pthread_mutex_lock(&o->lock);
	o->ended = true;
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* The thread blocks every signal: other threads must receive them. */
static int start_thread(struct outlet *o)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&o->thread, NULL, run, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* ---- for any thread ---- */

void outlet_put(struct outlet *o, const void *item)
{
	unsigned filling;

	pthread_mutex_lock(&o->lock);
	filling = o->filling;
	if (o->len[filling] == o->cfg.items || o->ending) {
		o->dropped++;
	} else {
		memcpy(o->items[filling] + o->len[filling]++ * o->cfg.item_bytes, item,
		       o->cfg.item_bytes);
		if (o->len[filling] == 1)
			pthread_cond_signal(&o->changed);
	}
	pthread_mutex_unlock(&o->lock);
}

void outlet_reopen(struct outlet *o)
{
	pthread_mutex_lock(&o->lock);
	o->reopen = true;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

void outlet_figures(struct outlet *o, uint64_t *ret_written, uint64_t *ret_dropped)
{
	pthread_mutex_lock(&o->lock);
	*ret_written = o->written;
	*ret_dropped = o->dropped;
	pthread_mutex_unlock(&o->lock);
}

/* ---- life ---- */

static int new_outlet(const struct outlet_config *cfg, struct outlet **ret_outlet)
{
	struct outlet *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->cfg = *cfg;
	o->fd = -1;
	o->give_up_ns = WEIR_FOREVER;
	o->items[0] = malloc(cfg->items * cfg->item_bytes);
	o->items[1] = malloc(cfg->items * cfg->item_bytes);
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
	if (!o->items[0] || !o->items[1]) {
		outlet_free(o);
		return -ENOMEM;
	}
	*ret_outlet = o;
	return 0;
}

int outlet_open(const struct outlet_config *cfg, struct outlet **ret_outlet)
{
	struct outlet *o;
	int rc = new_outlet(cfg, &o);

	if (rc < 0)
		return rc;
	rc = open_file(o);
	if (rc == -ENXIO && is_fifo(cfg->path))
		rc = 0;
	if (rc == 0)
		rc = start_thread(o);
	if (rc < 0) {
		outlet_free(o);
		return rc;
	}
	*ret_outlet = o;
	return 0;
}

static bool has_ended(struct outlet *o)
{
	bool ended;

	pthread_mutex_lock(&o->lock);
	ended = o->ended;
	pthread_mutex_unlock(&o->lock);
	return ended;
}

bool outlet_end(struct outlet *o, uint64_t limit_ns)
{
	/* A little longer than give_up_ns, so that the thread notices that its time is up. */
	uint64_t deadline = weir_deadline_in(limit_ns + 3 * POLL_MS * WEIR_MSEC);
	struct timespec pause = { 0, 1000000 };
	bool ended;

	pthread_mutex_lock(&o->lock);
	o->ending = true;
	o->give_up_ns = weir_deadline_in(limit_ns);
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
	while (!(ended = has_ended(o)) && weir_now() < deadline)
		nanosleep(&pause, NULL);
	if (ended)
		pthread_join(o->thread, NULL);
	else
		pthread_detach(o->thread);
	return ended;
}

void outlet_free(struct outlet *o)
{
	if (o->cfg.path && o->fd >= 0)
		close(o->fd);
	free(o->items[0]);
	free(o->items[1]);
	pthread_cond_destroy(&o->changed);
	pthread_mutex_destroy(&o->lock);
	free(o);
}
