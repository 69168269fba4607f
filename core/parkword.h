/* SPDX-License-Identifier: MIT */
/*
 * parkword.h: the word that a worker sleeps by.
 *
 *	         prepare                    wait returns, finish
 *	EMPTY ------------> SLEEPING --------------------------> EMPTY
 *	  |                     | notify = true: the caller rings the backend
 *	  | notify = false      v
 *	  +---------------> NOTIFIED ---- prepare = false ----> EMPTY
 *	                        |-------- finish --------------> EMPTY
 *
 *	producer: publish work; notify		owner: look; prepare; wait; finish; look
 *
 * No wake-up is lost. Every step is a read-modify-write of this one word, so
 * notify and prepare are ordered. Notify first: prepare (or finish) acquires
 * what notify released, and the owner, which looks again, sees the work.
 * Prepare first: notify finds SLEEPING and rings the backend, whose wake is
 * remembered (an eventfd) if the owner has not reached its wait yet. So the
 * owner need not look between prepare and wait, and release and acquire suffice
 * where a load and a store would have needed sequential consistency. It also
 * follows that notify may not be shortened to a load that finds NOTIFIED: that
 * load could be of the past.
 *
 * A notify that comes while the owner is awake costs it one look around.
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
 * [owner] After a look at everything that a notify may announce. True: other
 * threads now take the owner for asleep; it waits (or does not), and calls
 * finish. False: a notify had come and is used up; the owner looks around again.
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

/* [owner] Between prepare and wait: whether a notify has come, so that the wake may be used up. */
static inline bool weir__parkword_notified(struct weir__parkword *pw)
{
	return weir__load(&pw->state, WEIR_RELAXED) == WEIR__PARKWORD_NOTIFIED;
}

/* [owner] After the wait, however it ended. The owner must look at its queues after this. */
static inline void weir__parkword_finish(struct weir__parkword *pw)
{
	weir__xchg(&pw->state, (uint32_t)WEIR__PARKWORD_EMPTY, PARKWORD_FINISH_ACQUIRE);
}

/*
 * [any] After the work is published. True: the owner sleeps, or is about to,
 * and the caller must wake it through its backend. Only one notify per sleep
 * is told so. Pairs with the acquire in prepare and in finish.
 */
static inline bool weir__parkword_notify(struct weir__parkword *pw)
{
	return weir__xchg(&pw->state, (uint32_t)WEIR__PARKWORD_NOTIFIED,
			  PARKWORD_NOTIFY_RELEASE) == WEIR__PARKWORD_SLEEPING;
}

#endif
