/* SPDX-License-Identifier: MIT */
/*
 * parkword.h: the word that decides whether a worker sleeps.
 *
 *	         prepare                    wait returns, finish
 *	EMPTY ------------> SLEEPING --------------------------> EMPTY
 *	  |                     | notify = true: the caller wakes the backend
 *	  | notify = false      v
 *	  +---------------> NOTIFIED ---- prepare = false ----> EMPTY
 *	                        |-------- finish --------------> EMPTY
 *
 *	producer: publish work; notify	      owner: check; prepare; wait; finish; check
 *
 * No wake-up is lost. Every step is a read-modify-write of this one word, so
 * notify and prepare are ordered. If notify comes first, prepare (or finish)
 * acquires what notify released, and the owner sees the work when it checks
 * again. If prepare comes first, notify finds SLEEPING and the caller wakes the
 * backend; the backend remembers the wake (an eventfd) if the owner has not
 * reached its wait yet. So the owner need not check between prepare and wait, and
 * acquire and release suffice where a load and a store would need sequential
 * consistency. For the same reason notify must not be shortened to a load that
 * finds NOTIFIED: that value could be outdated.
 *
 * A notify that comes while the owner is awake costs the owner one extra check.
 */
#ifndef WEIR_CORE_PARKWORD_H
#define WEIR_CORE_PARKWORD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/atomic.h"

#ifndef PARKWORD_NOTIFY_RELEASE
#define PARKWORD_NOTIFY_RELEASE WEIR_RELEASE
#endif
#ifndef PARKWORD_PREPARE_ACQUIRE
#define PARKWORD_PREPARE_ACQUIRE WEIR_ACQUIRE
#endif
#ifndef PARKWORD_FINISH_ACQUIRE
#define PARKWORD_FINISH_ACQUIRE WEIR_ACQUIRE
#endif

enum {
	WEIR__PARKWORD_EMPTY,
	WEIR__PARKWORD_SLEEPING,
	WEIR__PARKWORD_NOTIFIED
};

struct weir__parkword {
	WEIR_ATOMIC(uint32_t) state;
};

/* [setup] */
static inline void weir__parkword_init(struct weir__parkword *pw)
{
	weir__store(&pw->state, (uint32_t)WEIR__PARKWORD_EMPTY, WEIR_RELAXED);
}

/*
 * [owner] Called after checking everything that a notify may announce. True: other threads now
 * regard the owner as asleep; it waits (or does not), and calls finish. False: a notify had come
 * and is consumed; the owner checks again.
 */
static inline bool weir__parkword_prepare(struct weir__parkword *pw)
{
	uint32_t seen = WEIR__PARKWORD_EMPTY;

	if (weir__cas(&pw->state, &seen, (uint32_t)WEIR__PARKWORD_SLEEPING, WEIR_RELAXED,
		      WEIR_RELAXED))
		return true;
	/* A second notify may have come since the exchange failed: acquire from that one too. */
	weir__xchg(&pw->state, (uint32_t)WEIR__PARKWORD_EMPTY, PARKWORD_PREPARE_ACQUIRE);
	return false;
}

/* [owner] Between prepare and wait: true if a notify has come, so that the wake may be consumed. */
static inline bool weir__parkword_notified(struct weir__parkword *pw)
{
	return weir__load(&pw->state, WEIR_RELAXED) == WEIR__PARKWORD_NOTIFIED;
}

/* [owner] Called after the wait, however it ended. The owner must check its queues after this. */
static inline void weir__parkword_finish(struct weir__parkword *pw)
{
	weir__xchg(&pw->state, (uint32_t)WEIR__PARKWORD_EMPTY, PARKWORD_FINISH_ACQUIRE);
}

/*
 * [any] Called after the work is published. True: the owner sleeps, or is about to, and the caller
 * must wake it through its backend. Only one notify per sleep returns true. Pairs with the acquire
 * in prepare and in finish.
 */
static inline bool weir__parkword_notify(struct weir__parkword *pw)
{
	return weir__xchg(&pw->state, (uint32_t)WEIR__PARKWORD_NOTIFIED,
			  PARKWORD_NOTIFY_RELEASE) == WEIR__PARKWORD_SLEEPING;
}

#endif
