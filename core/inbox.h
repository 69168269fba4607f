/* SPDX-License-Identifier: MIT */
/*
 * inbox.h: messages from other threads to one owner: a stack that any thread
 * pushes to and only the owner empties, all at once, into the order of arrival.
 *
 * It owns nothing. A link lies inside the object that it queues, and belongs to
 * the inbox from push until take has returned it. An object is in one inbox at a
 * time. There is no single pop, so there is no ABA problem.
 *
 * The low bits of a link's address are a tag that the pusher chooses; it says
 * what kind of object the link is in (core/mailbox.h). Take returns the tag
 * unchanged, and weir__inbox_link gives the link without it.
 *
 * The pusher that finds the inbox empty wakes the owner (core/parkword.h). The
 * others need not: the owner empties the inbox after it was woken, and a push
 * after that finds it empty again.
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
	WEIR_ATOMIC(struct weir__link *) top;	/* newest first */
};

/* Strips the pusher's tag. */
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
 * [any] True if the inbox was empty: the caller then wakes the owner. The release publishes the
 * link and the object around it; it pairs with take. It also covers earlier pushes, because later
 * pushes are read-modify-writes and continue their release sequences.
 */
static inline bool weir__inbox_push(struct weir__inbox *in, struct weir__link *link)
{
	struct weir__link *top = weir__load(&in->top, WEIR_RELAXED);

	do
		WEIR_WR(weir__inbox_link(link)->next, top);
	while (!weir__cas_weak(&in->top, &top, link, INBOX_PUSH_RELEASE, WEIR_RELAXED));
	return top == NULL;
}

/* [any] A hint, possibly outdated unless something else orders it. */
static inline bool weir__inbox_empty(struct weir__inbox *in)
{
	return weir__load(&in->top, WEIR_RELAXED) == NULL;
}

/* [owner] Takes all links pushed so far, oldest first, linked by next. NULL if there is none. */
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
