/* SPDX-License-Identifier: MIT */
/*
 * inbox.h: what other threads hand to one owner: a stack that anybody pushes
 * and only the owner empties, all at once, into the order of arrival.
 *
 * Owns nothing: a link lives inside the object that it queues, and belongs to
 * the inbox from push until take has returned it. An object is in one inbox at
 * a time. There is no single pop, so there is no ABA.
 *
 * The low bits of a link's address are the pusher's, for a word about what the
 * link is in (core/mailbox.h): they come out as they went in, and the link itself
 * is what weir__inbox_link says.
 *
 * The pusher that finds the inbox empty wakes the owner (core/parkword.h); the
 * others need not, for the owner empties the inbox after it was woken, and
 * whoever pushes after that finds it empty again.
 */
#ifndef WEIR_CORE_INBOX_H
#define WEIR_CORE_INBOX_H

#include <stdbool.h>
#include <stddef.h>

#include <stdint.h>

#include "core/atomic.h"

#ifndef INBOX_PUSH_RELEASE
#define INBOX_PUSH_RELEASE WEIR_RELEASE
#endif
#ifndef INBOX_TAKE_ACQUIRE
#define INBOX_TAKE_ACQUIRE WEIR_ACQUIRE
#endif

#ifdef WEIR_MODEL
struct weir__link {
	WEIR_PLAIN(struct weir__link *) next;
};
#else
#include "weir/future.h"
#endif

#define INBOX_TAG ((uintptr_t)3)

struct weir__inbox {
	WEIR_ATOMIC(struct weir__link *) top;	/* the newest first */
};

/* Without its pusher's word. */
static inline struct weir__link *weir__inbox_link(struct weir__link *tagged)
{
	return (struct weir__link *)((uintptr_t)tagged & ~INBOX_TAG);
}

/* [setup] */
static inline void weir__inbox_init(struct weir__inbox *in)
{
	weir__store(&in->top, (struct weir__link *)NULL, WEIR_RELAXED);
}

/*
 * [any] True when the inbox was empty: the caller wakes the owner.
 * The release covers the link and the object behind it; pairs with take. It
 * reaches back through later pushes, which are read-modify-writes.
 */
static inline bool weir__inbox_push(struct weir__inbox *in, struct weir__link *link)
{
	struct weir__link *top = weir__load(&in->top, WEIR_RELAXED);

	do
		WEIR_WR(weir__inbox_link(link)->next, top);
	while (!weir__cas_weak(&in->top, &top, link, INBOX_PUSH_RELEASE, WEIR_RELAXED));
	return top == NULL;
}

/* [any] A hint: of the past, unless something else orders it. */
static inline bool weir__inbox_empty(struct weir__inbox *in)
{
	return weir__load(&in->top, WEIR_RELAXED) == NULL;
}

/* [owner] Everything pushed so far, oldest first, linked by next; NULL if there is nothing. */
static inline struct weir__link *weir__inbox_take(struct weir__inbox *in)
{
	struct weir__link *link, *next, *first = NULL;

	if (weir__inbox_empty(in))
		return NULL;
	link = weir__xchg(&in->top, (struct weir__link *)NULL, INBOX_TAKE_ACQUIRE);
	for (; link; link = next) {
		next = WEIR_RD(weir__inbox_link(link)->next);
		WEIR_WR(weir__inbox_link(link)->next, first);
		first = link;
	}
	return first;
}

#endif
