/* SPDX-License-Identifier: MIT */
/*
 * futex_table.c: futexes for systems that have none: a table of sleepers by
 * address.
 *
 * Each sleeper waits on a pipe of its own. A signal handler must be able to wake
 * it: it may write to a pipe, but may not signal a condition variable. Signals
 * are blocked while a bucket is locked, so a handler never finds it locked by the
 * thread that it interrupted. A wait costs two descriptors and a handful of
 * system calls; a wake costs two system calls, and a write for each sleeper. That
 * is acceptable, because only idle threads wait here.
 */
#include "core/futex.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/lock.h"
#include "core/time/clock.h"

#define BUCKETS 64u			/* a power of two */

/* Lies on the sleeping thread's stack; protected by its bucket's lock. */
struct sleeper {
	struct sleeper *next;
	const uint32_t *word;
	int pipe[2];
	bool woken;			/* and unlinked */
};

/* The sleepers of a bucket, oldest first. */
struct bucket {
	struct weir__lock lock;
	struct sleeper *first;
} WEIR_ALIGNED(64);

static struct bucket buckets[BUCKETS];

static struct bucket *bucket_lock(const uint32_t *word, sigset_t *ret_mask)
{
	struct bucket *b = &buckets[(uintptr_t)word / sizeof(*word) % BUCKETS];
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, ret_mask);
	weir__lock_take(&b->lock);
	return b;
}

static void bucket_unlock(struct bucket *b, const sigset_t *mask)
{
	weir__lock_drop(&b->lock);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

static int open_pipe(int pipe_fds[2])
{
	if (pipe(pipe_fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		fcntl(pipe_fds[i], F_SETFD, FD_CLOEXEC);
	return 0;
}

/* Returns the link that points to s; for NULL, the link at the end of the list. */
static struct sleeper **find(struct bucket *b, const struct sleeper *s)
{
	struct sleeper **at = &b->first;

	while (*at != s)
		at = &(*at)->next;
	return at;
}

/*
 * Rounds up, so that it never ends early. A very long wait is cut short, and the caller checks
 * again.
 */
static int poll_ms(uint64_t deadline, uint64_t now)
{
	uint64_t ms = (deadline - now + WEIR_MSEC - 1) / WEIR_MSEC;

	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* -ETIMEDOUT, or 0 when woken or interrupted. */
static int sleep_at(int fd, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now = weir__clock_system();

	if (deadline == WEIR_FOREVER)
		poll(&p, 1, -1);
	else if (deadline <= now || poll(&p, 1, poll_ms(deadline, now)) == 0)
		return weir__clock_system() >= deadline ? -ETIMEDOUT : 0;
	return 0;
}

/* Without descriptors there is only polling: look at the word once a millisecond. */
static int sleep_without_pipe(uint64_t deadline)
{
	static const struct timespec nap = { 0, 1000000 };

	nanosleep(&nap, NULL);
	return weir__clock_system() >= deadline ? -ETIMEDOUT : 0;
}

int weir__futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline)
{
	struct sleeper me = { .word = word };
	struct bucket *b;
	sigset_t mask;
	bool asleep;
	int rc = 0;

	if (open_pipe(me.pipe) < 0)
		return weir__load(word, WEIR_ACQUIRE) == expected ? sleep_without_pipe(deadline)
								  : 0;
	b = bucket_lock(word, &mask);
	asleep = weir__load(word, WEIR_ACQUIRE) == expected;
	if (asleep)
		*find(b, NULL) = &me;
	bucket_unlock(b, &mask);
	if (asleep) {
		rc = sleep_at(me.pipe[0], deadline);
		b = bucket_lock(word, &mask);
		if (me.woken)
			rc = 0;
		else
			*find(b, &me) = me.next;
		bucket_unlock(b, &mask);
	}
	close(me.pipe[0]);
	close(me.pipe[1]);
	return rc;
}

void weir__futex_wake(uint32_t *word, int n)
{
	int saved = errno;
	struct sleeper **at, *s;
	sigset_t mask;
	struct bucket *b = bucket_lock(word, &mask);
	ssize_t rc;

	for (at = &b->first; (s = *at) != NULL && n > 0;) {
		if (s->word != word) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		s->woken = true;
		n--;
		/*
		 * The pipe has room for a byte and signals are blocked, so this cannot fail. The
		 * sleeper keeps the pipe open until the lock is free.
		 */
		rc = write(s->pipe[1], "", 1);
		WEIR_ASSERT(rc == 1);
		(void)rc;
	}
	bucket_unlock(b, &mask);
	errno = saved;
}
