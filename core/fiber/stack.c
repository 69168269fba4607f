/* SPDX-License-Identifier: MIT */
/*
 * stack.c: carves fiber stacks from regions and caches them.
 *
 * Invariants:
 *  - A slot of a region is in exactly one place: the region's free bitmap, a
 *    pool's reserve, a pool's hot list, or in use. Only the bitmap is shared and
 *    needs the lock; no system call is made while the lock is held.
 *  - A slot in the free bitmap has no pages. A slot in a hot list has at least
 *    the page of its link, which is the topmost page of the stack.
 *  - A guard, once installed, stays: MADV_DONTNEED removes neither the marker of
 *    MADV_GUARD_INSTALL nor the protection of mprotect.
 *  - The list of regions only grows and a header never moves, so the signal
 *    handler may walk the list without the lock.
 *
 * It never unmaps a region, because the signal handler could be reading it. It
 * does not balance pools against each other except through the regions.
 */
#include "core/fiber/stack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "core/lock.h"
#include "core/node.h"
#include "core/os.h"
#include "core/sanitizer.h"

#define REGION_BYTES (64ul << 20)
#define SLOTS_MIN 4u
#define SLOTS_MAX 4096u
#define ORDER_MIN 2u
#define ORDERS 32u
#define WORD_BITS 64u
#define HOT_MAX 1024u

/* Lies in a region's first page or two. The lock protects the bitmaps and next_avail. */
struct weir__stack_region {
	/* list of all regions; written before it is published */
	struct weir__stack_region *next;
	/* list of the regions of this order with free slots */
	struct weir__stack_region *next_avail;
	char *first;				/* slot 0, which begins with its guard */
	size_t stride;				/* the size of a slot: guard and stack */
	size_t guard;				/* bytes of a guard */
	size_t stack_bytes;			/* as weir__stack_pool_init counts them */
	unsigned order;
	int node;
	unsigned slots;
	unsigned free_slots;
	uint64_t free[SLOTS_MAX / WORD_BITS];
	uint64_t guarded[SLOTS_MAX / WORD_BITS];
};

/* Lies at the very top of a free stack in a hot list. */
struct weir__stack_link {
	struct weir__stack_link *newer;
	struct weir__stack_link *older;
	struct weir__stack stack;
};

/* Adjacent slots whose pages are freed with one call. */
struct run {
	struct weir__stack_region *region;
	unsigned begin;
	unsigned end;
};

static struct {
	struct weir__lock lock;
	struct weir__stack_region *all;			/* pushed with release */
	struct weir__stack_region *avail[ORDERS];
	unsigned long mprotect_guards;			/* installed or about to be */
} shared;

struct weir__stack_hooks weir__stack_hooks;

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Regions */

static bool bit_test(const uint64_t *map, unsigned i)
{
	return map[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

static void bit_set(uint64_t *map, unsigned i)
{
	map[i / WORD_BITS] |= UINT64_C(1) << (i % WORD_BITS);
}

static struct weir__stack slot_stack(struct weir__stack_region *r, unsigned i)
{
	return (struct weir__stack){
		.low = r->first + i * r->stride + r->guard,
		.bytes = r->stride - r->guard,
		.region = r,
	};
}

static unsigned stack_slot(const struct weir__stack *s)
{
	size_t off = (size_t)(s->low - s->region->guard - s->region->first);

	WEIR_ASSERT(off % s->region->stride == 0);
	WEIR_ASSERT(off / s->region->stride < s->region->slots);
	return (unsigned)(off / s->region->stride);
}

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* Maps a new region, which is not published yet. NULL if there is no address space. */
static struct weir__stack_region *region_map(const struct weir__stack_pool *pool)
{
	size_t page = page_bytes(), stack_bytes = page << pool->order;
	size_t stride = stack_bytes + pool->guard - page;
	size_t header = round_up(sizeof(struct weir__stack_region), page);
	size_t slots = REGION_BYTES / stride;
	struct weir__stack_region *r;

	slots = slots < SLOTS_MIN ? SLOTS_MIN : slots > SLOTS_MAX ? SLOTS_MAX : slots;
	r = weir__os_map_sparse(header + slots * stride);
	if (!r)
		return NULL;
	weir__node_place(r, header + slots * stride, pool->node);
	r->first = (char *)r + header;
	r->stride = stride;
	r->guard = pool->guard;
	r->stack_bytes = stack_bytes;
	r->order = pool->order;
	r->node = pool->node;
	r->slots = (unsigned)slots;
	r->free_slots = (unsigned)slots;
	for (unsigned i = 0; i < r->slots; i++)
		bit_set(r->free, i);
	return r;
}

/* Lock held. The release pairs with the acquire in region_of. */
static void region_publish(struct weir__stack_region *r)
{
	r->next = shared.all;
	weir__store(&shared.all, r, WEIR_RELEASE);
	r->next_avail = shared.avail[r->order];
	shared.avail[r->order] = r;
}

static struct weir__stack_region *region_of(const char *addr)
{
	struct weir__stack_region *r = weir__load(&shared.all, WEIR_ACQUIRE);

	while (r && (addr < r->first || addr >= r->first + r->slots * r->stride))
		r = r->next;
	return r;
}

/* True if the region's stacks are of the pool's kind. */
static bool is_kind_of(const struct weir__stack_region *r, const struct weir__stack_pool *pool)
{
	return r->order == pool->order && r->guard == pool->guard && r->node == pool->node;
}

/*
 * Lock held. Returns the list link that points to a region with free slots of the pool's kind. The
 * link holds NULL if there is none.
 */
static struct weir__stack_region **find_avail(const struct weir__stack_pool *pool)
{
	struct weir__stack_region **at = &shared.avail[pool->order];

	while (*at && !is_kind_of(*at, pool))
		at = &(*at)->next_avail;
	return at;
}

/* Lock held. Takes the lowest free slot of the region that find_avail's link holds. */
static unsigned region_take(struct weir__stack_region **at)
{
	struct weir__stack_region *r = *at;
	unsigned w = 0, bit;

	WEIR_ASSERT(r->free_slots > 0);
	while (r->free[w] == 0)
		w++;
	bit = (unsigned)__builtin_ctzll(r->free[w]);
	r->free[w] &= r->free[w] - 1;
	if (--r->free_slots == 0)
		*at = r->next_avail;
	return w * WORD_BITS + bit;
}

/* Lock held. */
static void region_give(struct weir__stack_region *r, unsigned slot)
{
	WEIR_ASSERT(!bit_test(r->free, slot));
	WEIR_ASSERT(slot < r->slots && r->free_slots < r->slots);
	bit_set(r->free, slot);
	if (r->free_slots++ == 0) {
		r->next_avail = shared.avail[r->order];
		shared.avail[r->order] = r;
	}
}

/*
 * Lock held. Takes up to want free slots and returns their number. Bit i of *ret_bare is set if
 * out[i] has no guard yet.
 */
static unsigned claim(const struct weir__stack_pool *pool, struct weir__stack *out, unsigned want,
		      uint32_t *ret_bare)
{
	struct weir__stack_region **at, *r;
	uint32_t bare = 0;
	unsigned n = 0, slot;

	for (; n < want && (r = *(at = find_avail(pool))) != NULL; n++) {
		slot = region_take(at);
		out[n] = slot_stack(r, slot);
		if (!bit_test(r->guarded, slot))
			bare |= UINT32_C(1) << n;
	}
	*ret_bare = bare;
	return n;
}

/* Guards */

/* Each guard made by mprotect adds two mappings; all guards together may use half of the limit. */
static unsigned long mprotect_guard_max(void)
{
	unsigned long pretended = weir__load(&weir__stack_hooks.max_map_count, WEIR_RELAXED);

	return (pretended ? pretended : weir__os_mappings_max()) / 4;
}

static int guard_by_mprotect(char *guard, size_t bytes, const char **ret_reason)
{
	unsigned long max = mprotect_guard_max();

	if (weir__fetch_add(&shared.mprotect_guards, 1, WEIR_RELAXED) >= max) {
		*ret_reason = "guard pages would use more than half of vm.max_map_count: "
			      "raise it, or use Linux 6.13 or later";
		goto fail;
	}
	if (mprotect(guard, bytes, PROT_NONE) < 0) {
		*ret_reason = "mprotect refused a guard page: raise vm.max_map_count, "
			      "or use Linux 6.13 or later";
		goto fail;
	}
	return 0;
fail:
	weir__fetch_sub(&shared.mprotect_guards, 1, WEIR_RELAXED);
	return -ENOMEM;
}

static int guard_install(const struct weir__stack *s, const char **ret_reason)
{
	size_t bytes = s->region->guard;
	char *guard = s->low - bytes;
	bool may = !weir__load(&weir__stack_hooks.no_guard_install, WEIR_RELAXED);
	int rc = may ? weir__os_guard(guard, bytes) : -EINVAL;

	if (rc == 0)
		return 0;
	if (rc == -ENOMEM) {
		*ret_reason = "no memory for page tables";
		return rc;
	}
	return guard_by_mprotect(guard, bytes, ret_reason);
}

/*
 * Installs the guards of the slots that claim put into the pool's reserve. If that fails, the
 * slots without a guard go back to their regions; it is an error only if none is left.
 */
static int guard_reserve(struct weir__stack_pool *pool, uint32_t bare)
{
	unsigned kept = 0, i;
	uint32_t done = 0;
	int rc = 0;

	WEIR_ASSERT(pool->reserved <= WEIR__STACK_RESERVE);
	for (i = 0; i < pool->reserved && rc == 0; i++)
		if (bare >> i & 1) {
			rc = guard_install(&pool->reserve[i], &pool->reason);
			done |= (uint32_t)(rc == 0) << i;
		}
	weir__lock_take(&shared.lock);
	for (i = 0; i < pool->reserved; i++) {
		struct weir__stack s = pool->reserve[i];

		if (done >> i & 1)
			bit_set(s.region->guarded, stack_slot(&s));
		if ((bare & ~done) >> i & 1)
			region_give(s.region, stack_slot(&s));
		else
			pool->reserve[kept++] = s;
	}
	weir__lock_drop(&shared.lock);
	pool->reserved = kept;
	return kept ? 0 : rc;
}

static int refill(struct weir__stack_pool *pool)
{
	struct weir__stack_region *fresh;
	uint32_t bare;

	WEIR_ASSERT(pool->reserved == 0);
	weir__lock_take(&shared.lock);
	pool->reserved = claim(pool, pool->reserve, WEIR__STACK_RESERVE, &bare);
	weir__lock_drop(&shared.lock);
	if (pool->reserved == 0) {
		fresh = region_map(pool);
		if (!fresh) {
			pool->reason = "no address space for another region of stacks";
			return -ENOMEM;
		}
		weir__lock_take(&shared.lock);
		region_publish(fresh);
		pool->reserved = claim(pool, pool->reserve, WEIR__STACK_RESERVE, &bare);
		weir__lock_drop(&shared.lock);
	}
	return guard_reserve(pool, bare);
}

/* Giving back */

static void run_flush(struct run *run)
{
	struct weir__stack low, high;

	if (run->begin == run->end)
		return;
	low = slot_stack(run->region, run->begin);
	high = slot_stack(run->region, run->end - 1);
	/* The guards inside the range stay installed. */
	weir__os_discard(low.low, (size_t)(high.low + high.bytes - low.low));
	weir__lock_take(&shared.lock);
	while (run->begin < run->end)
		region_give(run->region, --run->end);
	weir__lock_drop(&shared.lock);
}

/* Fibers that were made together are often freed together, in the same or the reverse order. */
static void run_add(struct run *run, const struct weir__stack *s)
{
	unsigned slot = stack_slot(s);

	if (run->begin != run->end && run->region == s->region) {
		if (slot == run->end) {
			run->end++;
			return;
		}
		if (slot + 1 == run->begin) {
			run->begin--;
			return;
		}
	}
	run_flush(run);
	*run = (struct run){ s->region, slot, slot + 1 };
}

static struct weir__stack_link *link_of(const struct weir__stack *s)
{
	return (struct weir__stack_link *)(void *)(s->low + s->bytes) - 1;
}

void weir__stack_pool_trim(struct weir__stack_pool *pool, unsigned keep)
{
	struct run run = { NULL, 0, 0 };
	struct weir__stack_link *link;

	while (pool->hot > keep) {
		link = pool->oldest;
		WEIR_ASSERT(link && !link->older);
		pool->oldest = link->newer;
		if (pool->oldest)
			pool->oldest->older = NULL;
		else
			pool->newest = NULL;
		pool->hot--;
		run_add(&run, &link->stack);
	}
	run_flush(&run);
}

/* Pools */

int weir__stack_pool_init(struct weir__stack_pool *pool, size_t stack_bytes, size_t guard_bytes,
			  int node)
{
	size_t page = page_bytes();
	unsigned order = ORDER_MIN;

	if (stack_bytes > WEIR__STACK_BYTES_MAX || guard_bytes > WEIR__STACK_BYTES_MAX)
		return -EINVAL;
	if (stack_bytes == 0)
		stack_bytes = WEIR__STACK_BYTES_DEFAULT;
	while ((page << order) < stack_bytes)
		order++;
	WEIR_ASSERT(order < ORDERS);
	memset(pool, 0, sizeof(*pool));
	pool->order = order;
	pool->guard = guard_bytes ? round_up(guard_bytes, page) : page;
	pool->node = node;
	pool->hot_max = HOT_MAX;
	return 0;
}

void weir__stack_pool_fini(struct weir__stack_pool *pool)
{
	weir__stack_pool_trim(pool, 0);
	weir__lock_take(&shared.lock);
	while (pool->reserved > 0) {
		struct weir__stack s = pool->reserve[--pool->reserved];

		region_give(s.region, stack_slot(&s));
	}
	weir__lock_drop(&shared.lock);
}

int weir__stack_get(struct weir__stack_pool *pool, struct weir__stack *ret_stack)
{
	struct weir__stack_link *link = pool->newest;
	int rc;

	pool->reason = NULL;
	WEIR_ASSERT((link != NULL) == (pool->hot > 0));
	if (WEIR_LIKELY(link != NULL)) {
		*ret_stack = link->stack;
		pool->newest = link->older;
		if (link->older)
			link->older->newer = NULL;
		else
			pool->oldest = NULL;
		pool->hot--;
	} else {
		if (pool->reserved == 0 && (rc = refill(pool)) < 0)
			return rc;
		*ret_stack = pool->reserve[--pool->reserved];
	}
	weir__asan_unpoison(ret_stack->low, ret_stack->bytes);
	return 0;
}

void weir__stack_put(struct weir__stack_pool *pool, struct weir__stack stack)
{
	struct weir__stack_link *link = link_of(&stack);

	/*
	 * Only the link stays readable, so that a fiber's late access to its old stack is caught.
	 */
	weir__asan_unpoison(link, sizeof(*link));
	weir__asan_poison(stack.low, stack.bytes - sizeof(*link));
	if (WEIR_UNLIKELY(!is_kind_of(stack.region, pool))) {
		struct run run = { NULL, 0, 0 };

		run_add(&run, &stack);
		run_flush(&run);
		return;
	}
	link->stack = stack;
	link->newer = NULL;
	link->older = pool->newest;
	if (pool->newest)
		pool->newest->newer = link;
	else
		pool->oldest = link;
	pool->newest = link;
	/*
	 * Frees an eighth at a time, at most one system call for each stack, so there is never a
	 * long pause.
	 */
	if (++pool->hot > pool->hot_max)
		weir__stack_pool_trim(pool, pool->hot_max - pool->hot_max / 8);
}

bool weir__stack_is_guard(const void *addr, size_t *ret_stack_bytes)
{
	const struct weir__stack_region *r = region_of(addr);

	if (!r || (size_t)((const char *)addr - r->first) % r->stride >= r->guard)
		return false;
	if (ret_stack_bytes)
		*ret_stack_bytes = r->stack_bytes;
	return true;
}
