/* SPDX-License-Identifier: MIT */
/*
 * select_set.c: rounds over futures that stay pending, and the waker of each
 * branch.
 *
 * A leaf keeps the waker of a branch without a reference, as it keeps its own
 * task's waker (leaf.h): the leaf is done with it before the set may go. No one
 * else ever gets that waker. Code that copies a waker from a leaf
 * (weir__leaf_waker) or takes a reference to one gets the waker of the set's task instead,
 * which may outlive everything. So the memory of a set needs no reference count.
 *
 * A leaf's wake marks its branch before the result is there
 * (core/select_marks.h), so a marked branch is polled in every round until it has
 * its result. The same holds for a branch whose waker was referenced, because that
 * wake does not say which branch it is for. Either costs one poll per round, and
 * only until that branch has its result.
 *
 * A branch that yields has no such race, so it is marked for one poll only.
 *
 * The holder keeps the waker that the set was polled with, for as long as a
 * pending leaf has a waker of one of its branches. It is armed before those
 * leaves, so a task that is unwound reaches it last.
 */
#include "weir/select_set.h"

#include "core/assert.h"
#include "core/leaf.h"
#include "core/select_marks.h"
#include "core/task/task.h"

static uint64_t bit_of(const struct weir_branch *branch)
{
	return (uint64_t)1 << (branch - branch->set->branches);
}

/* ---- the waker of a branch ---- */

void weir__branch_waker(struct weir_branch *branch, struct weir__wakeup *ret_wakeup)
{
	weir__mark(&branch->set->woken, bit_of(branch));
	weir__leaf_waker(&branch->set->holder, ret_wakeup);
}

const struct weir_waker *weir__branch_yield(struct weir_branch *branch)
{
	const struct weir_waker *waker = &branch->set->holder.waker;

	branch->set->fresh |= bit_of(branch);
	return waker->ops == &weir__branch_waker_ops ? weir__branch_yield(waker->data) : waker;
}

struct weir_waker weir__branch_resolve(struct weir_branch *branch)
{
	const struct weir_waker *waker = &branch->set->holder.waker;

	branch->set->again |= bit_of(branch);
	if (waker->ops == &weir__own_waker_ops)
		return (struct weir_waker){ &weir__task_waker_ops, waker->data };
	return weir__waker_resolve(waker);
}

static void branch_wake(void *data)
{
	struct weir__wakeup wakeup;

	weir__branch_waker(data, &wakeup);
	weir__waker_fire(&wakeup);
}

static void branch_unref(void *data)
{
	(void)data;
}

/* No ref function: see weir__waker_resolve. */
const struct weir_waker_ops weir__branch_waker_ops = { NULL, branch_wake, branch_unref };

/* ---- the holder ---- */

static bool is_referred_to(const struct weir_select_set *set, const struct weir_task *task)
{
	const struct weir_branch *branch;
	const struct weir_leaf *leaf;

	for (leaf = task->armed; leaf; leaf = leaf->armed_next) {
		branch = leaf->waker.data;
		if (leaf->waker.ops == &weir__branch_waker_ops && branch->set == set)
			return true;
	}
	return false;
}

static void let_go(struct weir_select_set *set, const struct weir_task *task)
{
	if (!set->armed && !is_referred_to(set, task))
		weir__leaf_let_go(&set->holder);
}

/* Polled when the set's task is unwound and its leaves are polled one by one. */
static int holder_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_select_set *set =
		WEIR_CONTAINER_OF(future, struct weir_select_set, holder.future);

	set->armed = 0;
	let_go(set, cx->task);
	return weir__leaf_is_armed(&set->holder) ? WEIR_PENDING : 0;
}

static const struct weir_future_ops holder_ops = { "select_set", holder_poll, NULL, NULL };

/* ---- a round ---- */

static int poll_branch(struct weir_select_set *set, unsigned index, struct weir_cx *cx)
{
	struct weir_branch *branch = &set->branches[index];
	struct weir_cx sub = { { &weir__branch_waker_ops, branch }, cx->task, cx->worker };
	uint64_t bit = bit_of(branch);

	set->begun |= bit;
	set->fresh &= ~bit;
	branch->result = weir_poll(branch->future, &sub);
	if (branch->result == WEIR_PENDING)
		return WEIR_PENDING;
	set->armed &= ~bit;
	set->fresh &= ~bit;
	set->again &= ~bit;
	set->first = index + 1 < set->count ? index + 1 : 0;
	if (!set->armed)
		let_go(set, cx->task);
	return (int)index;
}

/* Polls the ready branches from set->first on, then those before it. */
static int poll_round(struct weir_select_set *set, struct weir_cx *cx)
{
	uint64_t behind = ~(uint64_t)0 << set->first, ready, half;
	int rc;

	set->again |= weir__marks_take(&set->woken);
	ready = (set->fresh | set->again) & set->armed;
	while (ready) {
		half = ready & behind ? ready & behind : ready;
		rc = poll_branch(set, (unsigned)__builtin_ctzll(half), cx);
		if (rc != WEIR_PENDING)
			return rc;
		ready &= ~(half & -half);
	}
	return WEIR_PENDING;
}

static int round_of(struct weir_select_set *set, struct weir_cx *cx)
{
	if (WEIR_UNLIKELY(!cx->task))
		return -EPERM;
	if (!set->armed) {
		let_go(set, cx->task);
		return -ENOENT;
	}
	if (!weir__leaf_is_armed(&set->holder))
		weir__leaf_arm(&set->holder, cx);
	return poll_round(set, cx);
}

static int set_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_select_set *set = WEIR_CONTAINER_OF(future, struct weir_select_set, future);

	if (WEIR_UNLIKELY(set->cancelled)) {
		set->cancelled = false;
		return -ECANCELED;
	}
	return round_of(set, cx);
}

static void set_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct weir_select_set, future)->cancelled = true;
}

/* Discards the result of a round that nobody gets. */
static void set_discard(struct weir_future *future)
{
	struct weir_select_set *set = WEIR_CONTAINER_OF(future, struct weir_select_set, future);
	struct weir_branch *branch = &set->branches[(set->first ? set->first : set->count) - 1];

	if (branch->result >= 0 && branch->future->ops->discard) {
		branch->future->ops->discard(branch->future);
		branch->result = -ECANCELED;
	}
}

static const struct weir_future_ops set_ops = { "select_set round", set_poll, set_cancel,
						set_discard };

/* ---- what a task calls ---- */

int weir_select_set_init(struct weir_select_set *set, struct weir_branch *branches, unsigned count)
{
	bool valid = branches && count > 0 && count <= WEIR_SELECT_SET_MAX;
	unsigned i;

	*set = (struct weir_select_set){ .future = { &set_ops },
					 .branches = branches,
					 .count = valid ? count : 0 };
	weir__leaf_init(&set->holder, &holder_ops);
	for (i = 0; i < set->count; i++)
		branches[i] = (struct weir_branch){ NULL, set, -ECANCELED };
	return valid ? 0 : -EINVAL;
}

int weir_select_set_arm(struct weir_select_set *set, unsigned index, struct weir_future *future)
{
	uint64_t bit;

	if (index >= set->count || !future)
		return -EINVAL;
	bit = (uint64_t)1 << index;
	if (set->armed & bit)
		return -EBUSY;
	set->branches[index].future = future;
	set->branches[index].result = WEIR_PENDING;
	set->armed |= bit;
	set->fresh |= bit;
	set->begun &= ~bit;
	return 0;
}

void weir_select_set_cancel(struct weir_select_set *set, unsigned index)
{
	uint64_t bit = index < set->count ? (uint64_t)1 << index : 0;

	if (!(set->armed & bit))
		return;
	set->fresh |= bit;
	weir_cancel(set->branches[index].future);
}

int weir_select_set_next(struct weir_select_set *set)
{
	return weir_await(&set->future);
}

int weir_select_set_next_until(struct weir_select_set *set, uint64_t deadline)
{
	return weir_await_until(&set->future, deadline);
}

int weir_select_set_next_try(struct weir_select_set *set)
{
	int rc = weir__need_fiber();

	if (rc < 0)
		return rc;
	rc = round_of(set, &weir__worker_current()->cx);
	return rc == WEIR_PENDING ? -EAGAIN : rc;
}

struct finish {
	struct weir_future future;
	struct weir_select_set *set;
};

static int finish_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct finish *finish = WEIR_CONTAINER_OF(future, struct finish, future);
	int rc;

	/* Polls all branches: a future that was started elsewhere calls another waker. */
	finish->set->again = finish->set->armed;
	do
		rc = round_of(finish->set, cx);
	while (rc >= 0);
	return rc == -ENOENT ? 0 : rc;
}

static const struct weir_future_ops finish_ops = { "select_set finish", finish_poll, NULL, NULL };

/*
 * A future without a cancel function, which no round has polled, is left alone: a poll would only
 * start it.
 */
static void finish_branch(struct weir_select_set *set, unsigned index)
{
	struct weir_branch *branch = &set->branches[index];

	if (branch->result != WEIR_PENDING)
		branch->result = -ECANCELED;
	else if (branch->future->ops->cancel || (set->begun & bit_of(branch)))
		weir_select_set_cancel(set, index);
	else {
		branch->result = -ECANCELED;
		set->armed &= ~bit_of(branch);
	}
}

int weir_select_set_finish(struct weir_select_set *set)
{
	struct finish finish = { { &finish_ops }, set };
	unsigned i;
	int rc = weir__need_fiber();

	if (rc < 0)
		return rc;
	for (i = 0; i < set->count; i++)
		finish_branch(set, i);
	set->cancelled = false;
	rc = weir__await_shielded(&finish.future);
	/* else a set inside this one is not finished */
	WEIR_ASSERT(!weir__leaf_is_armed(&set->holder));
	return rc;
}
