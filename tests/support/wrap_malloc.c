/* SPDX-License-Identifier: MIT */
/*
 * wrap_malloc.c: records every heap block that the library and the test hold.
 *
 * It is linked with -Wl,--wrap=malloc,..., so it sees the allocations of weir and of the test, but
 * not those inside the C library, which keeps memory for threads and stdio. mallinfo would count
 * those too. A block that the C library allocated (strdup) and the test frees is not in the table;
 * the free is passed on.
 *
 * A block is removed from the table before it is freed, because another thread may get the same
 * address at once. Mappings are not recorded: weir keeps the regions of stacks and tasks for the
 * next runtime.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/leaks.h"
#include "tests/support/testing.h"

/* An empty bucket is all zeros: a process writes only to the buckets that it uses. */
#define BUCKETS 4096u
#define REPORTED 8

struct node {
	struct node *next;
	void *block;
	size_t bytes;
	void *caller;
};

struct bucket {
	bool locked;
	struct node *first;
};

static struct bucket buckets[BUCKETS];
static bool counting;
static int until_failure;	/* the allocation that counts it down to 0 fails; 0: none does */
static unsigned failing_one_in;	/* one allocation in so many fails; 0: none */
static uint32_t failing_lot;

extern const char __executable_start[];

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **ret_block, size_t alignment, size_t bytes);
void __real_free(void *block);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **ret_block, size_t alignment, size_t bytes);
void __wrap_free(void *block);

static struct bucket *bucket_of(const void *block)
{
	uint64_t hash = ((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15ull;

	return &buckets[hash >> 52];
}

static void lock(struct bucket *b)
{
	while (__atomic_exchange_n(&b->locked, true, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void unlock(struct bucket *b)
{
	__atomic_store_n(&b->locked, false, __ATOMIC_RELEASE);
}

static void *note(void *block, size_t bytes, void *caller)
{
	struct bucket *b = bucket_of(block);
	struct node *n;

	if (!block || !__atomic_load_n(&counting, __ATOMIC_RELAXED))
		return block;
	n = __real_malloc(sizeof(*n));
	if (!n)
		abort();
	*n = (struct node){ NULL, block, bytes, caller };
	lock(b);
	n->next = b->first;
	b->first = n;
	unlock(b);
	return block;
}

/* Removes the block's node from the table and returns it; NULL if there is none. */
static struct node *take(const void *block)
{
	struct bucket *b = bucket_of(block);
	struct node **link, *found;

	if (!block || !__atomic_load_n(&counting, __ATOMIC_RELAXED))
		return NULL;
	lock(b);
	for (link = &b->first; *link && (*link)->block != block;)
		link = &(*link)->next;
	found = *link;
	if (found)
		*link = found->next;
	unlock(b);
	return found;
}

/*
 * Draws the next number of a pseudo-random sequence that all threads share (a mixed Weyl sequence).
 */
static bool lot_fails(unsigned one_in)
{
	uint32_t lot = __atomic_add_fetch(&failing_lot, 0x9e3779b9u, __ATOMIC_RELAXED);

	lot = (lot ^ (lot >> 16)) * 0x85ebca6bu;
	return (lot ^ (lot >> 13)) % one_in == 0;
}

static bool fails(void)
{
	unsigned one_in = __atomic_load_n(&failing_one_in, __ATOMIC_RELAXED);

	if (one_in && lot_fails(one_in))
		return true;
	return __atomic_load_n(&until_failure, __ATOMIC_RELAXED) > 0 &&
	       __atomic_sub_fetch(&until_failure, 1, __ATOMIC_RELAXED) == 0;
}

bool testing_fail_allocation(unsigned nth)
{
	__atomic_store_n(&until_failure, (int)nth, __ATOMIC_RELAXED);
	return true;
}

bool testing_fail_allocations(unsigned one_in, unsigned seed)
{
	__atomic_store_n(&failing_lot, seed, __ATOMIC_RELAXED);
	__atomic_store_n(&failing_one_in, one_in, __ATOMIC_RELAXED);
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	if (fails())
		return NULL;
	return note(__real_malloc(bytes), bytes, __builtin_return_address(0));
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	if (fails())
		return NULL;
	return note(__real_calloc(n, bytes), n * bytes, __builtin_return_address(0));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	if (fails())
		return NULL;
	return note(__real_aligned_alloc(alignment, bytes), bytes, __builtin_return_address(0));
}

int __wrap_posix_memalign(void **ret_block, size_t alignment, size_t bytes)
{
	int rc = fails() ? ENOMEM : __real_posix_memalign(ret_block, alignment, bytes);

	if (rc == 0)
		note(*ret_block, bytes, __builtin_return_address(0));
	return rc;
}

void *__wrap_realloc(void *block, size_t bytes)
{
	struct node *old = take(block);
	void *moved = bytes && fails() ? NULL : __real_realloc(block, bytes);

	if (moved || bytes == 0)
		note(moved, bytes, __builtin_return_address(0));
	else if (old)
		note(block, old->bytes, old->caller);
	__real_free(old);
	return moved;
}

void __wrap_free(void *block)
{
	int saved = errno;

	__real_free(take(block));
	__real_free(block);
	errno = saved;
}

void testing__heap_begin(void)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		while (buckets[i].first) {
			struct node *n = buckets[i].first;

			buckets[i].first = n->next;
			__real_free(n);
		}
	__atomic_store_n(&counting, true, __ATOMIC_RELAXED);
}

/* Writes "function at file:line" if addr2line is installed, else the offset in the program. */
static void name_caller(const void *caller, char *text, size_t cap)
{
	char command[160], function[128] = "", place[256] = "";
	size_t offset = (size_t)((const char *)caller - __executable_start) - 1;
	FILE *pipe;

	snprintf(command, sizeof(command), "addr2line -sfe /proc/%d/exe %#zx 2>/dev/null", getpid(),
		 offset);
	pipe = popen(command, "r");
	if (pipe && fgets(function, sizeof(function), pipe) && fgets(place, sizeof(place), pipe))
		snprintf(text, cap, "%.*s at %.*s", (int)strcspn(function, "\n"), function,
			 (int)strcspn(place, "\n"), place);
	else
		snprintf(text, cap, "offset %#zx", offset);
	if (pipe)
		pclose(pipe);
}

size_t testing__heap_report(char *text, size_t cap)
{
	size_t blocks = 0, used = 0;

	__atomic_store_n(&counting, false, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct node *n = buckets[i].first; n; n = n->next) {
			char where[400];

			if (++blocks > REPORTED)
				continue;
			name_caller(n->caller, where, sizeof(where));
			used += (size_t)snprintf(text + used, used < cap ? cap - used : 0,
						 "\n  %zu bytes from %s", n->bytes, where);
			used = used < cap ? used : cap - 1;
		}
	return blocks;
}
