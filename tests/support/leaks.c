/* SPDX-License-Identifier: MIT */
/*
 * leaks.c: finds the files, threads and heap blocks that a test left behind.
 *
 * A joined thread stays in /proc for a moment, and another thread may still be about to close a
 * descriptor, so the check waits for both, up to two seconds. The first thread of a process may
 * create something that stays, for example a sanitizer's helper thread. To keep that out of the
 * count, a thread is started and joined before the count begins.
 */
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/leaks.h"
#include "tests/support/testing.h"

#define FDS_SEEN 65536

static unsigned char open_before[FDS_SEEN];
static unsigned threads_before;

/* Calls fn for each number in a /proc folder; returns how many there were. */
static unsigned each_entry(const char *path, void (*fn)(int number, void *arg), void *arg)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (fn && atoi(entry->d_name) != dirfd(dir))
			fn(atoi(entry->d_name), arg);
	}
	closedir(dir);
	return count;
}

static void note_fd(int fd, void *arg)
{
	(void)arg;
	if (fd < FDS_SEEN)
		open_before[fd] = 1;
}

struct text {
	char *at;
	size_t cap;
	size_t used;
	unsigned count;
};

static void report_fd(int fd, void *arg)
{
	struct text *out = arg;
	char path[64], target[256];
	ssize_t len;

	if (fd < FDS_SEEN && open_before[fd])
		return;
	out->count++;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = '\0';
	if (out->used < out->cap)
		out->used += (size_t)snprintf(out->at + out->used, out->cap - out->used,
					      "\n  file %d: %s", fd, target);
}

static void *note_tid(void *ret_tid)
{
	*(pid_t *)ret_tid = (pid_t)syscall(SYS_gettid);
	return NULL;
}

static void sleep_ms(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

/* Starts a thread, joins it, and waits until it is gone from /proc too. */
static void warm_up(void)
{
	char path[64];
	pthread_t thread;
	pid_t tid = 0;

	if (pthread_create(&thread, NULL, note_tid, &tid) != 0)
		return;
	pthread_join(thread, NULL);
	snprintf(path, sizeof(path), "/proc/self/task/%d", tid);
	while (access(path, F_OK) == 0)
		sleep_ms();
}

static unsigned count_threads(void)
{
	return each_entry("/proc/self/task", NULL, NULL);
}

static unsigned threads_too_many(void)
{
	unsigned now = 0;

	for (unsigned waited_ms = 0; waited_ms < testing_scaled(2000); waited_ms++) {
		now = count_threads();
		if (now <= threads_before)
			return 0;
		sleep_ms();
	}
	return now - threads_before;
}

void testing_leaks_begin(void)
{
	warm_up();
	memset(open_before, 0, sizeof(open_before));
	each_entry("/proc/self/fd", note_fd, NULL);
	threads_before = count_threads();
#ifdef TESTING_WRAPS_MALLOC
	testing__heap_begin();
#endif
}

/* Writes to out each file that was not open before. */
static void files_left(struct text *out)
{
	for (unsigned waited_ms = 0; waited_ms < testing_scaled(2000); waited_ms++) {
		out->count = 0;
		out->used = 0;
		out->at[0] = '\0';
		each_entry("/proc/self/fd", report_fd, out);
		if (out->count == 0)
			return;
		sleep_ms();
	}
}

#ifndef TESTING_WRAPS_MALLOC
bool testing_fail_allocation(unsigned nth)
{
	return nth == 0;
}

bool testing_fail_allocations(unsigned one_in, unsigned seed)
{
	(void)seed;
	return one_in == 0;
}
#endif

static size_t blocks_left(char *text, size_t cap)
{
#ifdef TESTING_WRAPS_MALLOC
	return testing__heap_report(text, cap);
#else
	(void)text;
	(void)cap;
	return 0;
#endif
}

bool testing_leaks_found(unsigned flags, char *text, size_t len)
{
	static char details[3000];
	struct text out = { details, sizeof(details) / 2, 0, 0 };
	unsigned threads = 0;
	size_t blocks = 0;

	details[0] = '\0';
	if (!(flags & TESTING_MAY_LEAK_THREADS))
		threads = threads_too_many();
	if (!(flags & TESTING_MAY_LEAK_FDS))
		files_left(&out);
	out.used = strlen(details);
	if (!(flags & TESTING_MAY_LEAK_MEMORY))
		blocks = blocks_left(details + out.used, sizeof(details) - out.used);
	snprintf(text, len, "left behind: %u threads, %u files, %zu heap blocks%s", threads,
		 out.count, blocks, details);
	return threads || out.count || blocks;
}

static bool may_leak_memory;

/*
 * The leak sanitizer asks at the end of the process, which is a case's own. Nobody declares it: it
 * is an optional function of the program.
 */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
	return may_leak_memory;
}

void testing_leaks_end(unsigned flags)
{
	char text[3200];

	may_leak_memory = flags & TESTING_MAY_LEAK_MEMORY;
	ck_assert_msg(!testing_leaks_found(flags, text, sizeof text), "%s", text);
}
