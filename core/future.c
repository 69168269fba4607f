/* SPDX-License-Identifier: MIT */
/*
 * future.c: select and join-all over futures. Neither abandons a future: a select
 * cancels its losers, polls each until it has finished, and keeps the result of
 * one that completed first. If the task is unwound, both discard the results that
 * they hold.
 */
#include "weir/future.h"

#include "core/assert.h"
#include "core/leaf.h"

static void cancel_pending(struct weir_future **futures, const int *results, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (results[i] == WEIR_PENDING)
			weir_cancel(futures[i]);
}

static void mark_pending(int *results, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		results[i] = WEIR_PENDING;
}

/*
 * Polls every future without a result, beginning at start. Returns the first that finished, or -1.
 */
static int poll_round(struct weir_select_future *s, struct weir_cx *cx, bool all)
{
	int first = -1;
	unsigned n, i;

	for (n = 0; n < s->count; n++) {
		i = (s->start + n) % s->count;
		if (s->results[i] != WEIR_PENDING)
			continue;
		s->results[i] = weir_poll(s->futures[i], cx);
		if (s->results[i] == WEIR_PENDING)
			continue;
		if (first < 0)
			first = (int)i;
		if (!all)
			break;
	}
	return first;
}

static bool any_pending(const int *results, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (results[i] == WEIR_PENDING)
			return true;
	return false;
}

/*
 * A future that this select has not polled may have been started elsewhere, so it is cancelled
 * like the others and polled to its end. Without a cancel function a poll would only start it, so
 * it is left alone.
 */
static void leave_unpolled(struct weir_select_future *s, unsigned from)
{
	unsigned n, i;

	for (n = from; n < s->count; n++) {
		i = (s->start + n) % s->count;
		if (s->results[i] == WEIR_PENDING && !s->futures[i]->ops->cancel)
			s->results[i] = -ECANCELED;
	}
}

/*
 * A pseudo-random start. A counter would not be fair when several selects take turns, because each
 * would see only every other number. Each thread has the same sequence in every run.
 */
static unsigned fair_start(unsigned count)
{
	static _Thread_local uint64_t turn;
	uint64_t z = turn += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((z >> 32) * count >> 32);
}

/* The result of a cancelled select: a future that completed all the same, or -ECANCELED. */
static int survivor(const struct weir_select_future *s)
{
	unsigned i;

	if (s->results[s->winner] != -ECANCELED)
		return s->winner;
	for (i = 0; i < s->count; i++)
		if (s->results[i] != -ECANCELED)
			return (int)i;
	return -ECANCELED;
}

/*
 * The select keeps what it won while it waits for the losers. The holder is linked to the task as
 * a leaf that finishes at once, so that an abort of the task finds the results and discards them.
 */
static int hold(struct weir_leaf *holder, struct weir_cx *cx)
{
	if (cx->task && !weir__leaf_is_linked(holder))
		weir__leaf_link(holder, cx->task);
	return WEIR_PENDING;
}

static void discard_all(struct weir_future **futures, int *results, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		if (results[i] < 0 || !futures[i]->ops->discard)
			continue;
		futures[i]->ops->discard(futures[i]);
		results[i] = -ECANCELED;
	}
}

static int select_race(struct weir_select_future *s, struct weir_cx *cx, bool started)
{
	int first = poll_round(s, cx, s->cancelled);

	if (first < 0)
		return -1;
	WEIR_ASSERT((unsigned)first < s->count && s->results[first] != WEIR_PENDING);
	if (!started)
		leave_unpolled(s, ((unsigned)first + s->count - s->start) % s->count + 1);
	cancel_pending(s->futures, s->results, s->count);
	return first;
}

static int select_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_select_future *s = WEIR_CONTAINER_OF(future, struct weir_select_future, future);
	bool started = s->winner != -2;

	if (s->count == 0)
		return -EINVAL;
	if (!started && s->fair)
		s->start = fair_start(s->count);
	if (!started && s->cancelled) {
		leave_unpolled(s, 0);
		s->winner = 0;		/* nobody has won: see survivor */
	}
	if (s->winner < 0 && (s->winner = select_race(s, cx, started)) < 0)
		return WEIR_PENDING;
	poll_round(s, cx, true);
	if (any_pending(s->results, s->count))
		return hold(&s->holder, cx);
	weir__leaf_let_go(&s->holder);
	return s->cancelled ? survivor(s) : s->winner;
}

static void select_cancel(struct weir_future *future)
{
	struct weir_select_future *s = WEIR_CONTAINER_OF(future, struct weir_select_future, future);

	s->cancelled = true;
	if (s->winner < 0)
		cancel_pending(s->futures, s->results, s->count);
}

static void select_discard(struct weir_future *future)
{
	struct weir_select_future *s = WEIR_CONTAINER_OF(future, struct weir_select_future, future);

	discard_all(s->futures, s->results, s->count);
}

static int select_unwind(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_select_future *s =
		WEIR_CONTAINER_OF(future, struct weir_select_future, holder.future);

	(void)cx;
	discard_all(s->futures, s->results, s->count);
	weir__leaf_let_go(&s->holder);
	return 0;
}

static const struct weir_future_ops select_holder_ops = { "select's results", select_unwind, NULL,
							  NULL };
static const struct weir_future_ops select_ops = { "select", select_poll, select_cancel,
						   select_discard };

/* winner: -2 before the first poll, -1 while nobody has won. */
void weir_select_init(struct weir_select_future *s, struct weir_future **futures, int *results,
		      unsigned count)
{
	*s = (struct weir_select_future){ .future = { &select_ops },
				   .futures = futures,
				   .results = results,
				   .count = futures && results ? count : 0,
				   .winner = -2 };
	weir__leaf_init(&s->holder, &select_holder_ops);
	mark_pending(results, s->count);
}

static int join_all_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_join_all_future *all =
		WEIR_CONTAINER_OF(future, struct weir_join_all_future, future);
	unsigned i;

	for (i = 0; i < all->count; i++) {
		if (all->results[i] != WEIR_PENDING)
			continue;
		all->results[i] = weir_poll(all->futures[i], cx);
		WEIR_ASSERT(all->left > 0);
		if (all->results[i] != WEIR_PENDING)
			all->left--;
	}
	if (WEIR_UNLIKELY(all->left && !all->count))
		return -EINVAL;
	if (all->left)
		return all->left < all->count ? hold(&all->holder, cx) : WEIR_PENDING;
	weir__leaf_let_go(&all->holder);
	for (i = 0; all->cancelled && i < all->count; i++)
		if (all->results[i] == -ECANCELED)
			return -ECANCELED;
	return 0;
}

static void join_all_cancel(struct weir_future *future)
{
	struct weir_join_all_future *all =
		WEIR_CONTAINER_OF(future, struct weir_join_all_future, future);

	all->cancelled = true;
	cancel_pending(all->futures, all->results, all->count);
}

static void join_all_discard(struct weir_future *future)
{
	struct weir_join_all_future *all =
		WEIR_CONTAINER_OF(future, struct weir_join_all_future, future);

	discard_all(all->futures, all->results, all->count);
}

static int join_all_unwind(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_join_all_future *all =
		WEIR_CONTAINER_OF(future, struct weir_join_all_future, holder.future);

	(void)cx;
	discard_all(all->futures, all->results, all->count);
	weir__leaf_let_go(&all->holder);
	return 0;
}

static const struct weir_future_ops join_all_holder_ops = { "join_all's results", join_all_unwind,
							    NULL, NULL };

static const struct weir_future_ops join_all_ops = { "join_all", join_all_poll, join_all_cancel,
						     join_all_discard };

void weir_join_all_init(struct weir_join_all_future *all, struct weir_future **futures,
			int *results, unsigned count)
{
	*all = (struct weir_join_all_future){ .future = { &join_all_ops },
				       .futures = futures,
				       .results = results,
				       .count = futures && results ? count : 0,
				       .left = count };
	weir__leaf_init(&all->holder, &join_all_holder_ops);
	mark_pending(results, all->count);
}
