/* SPDX-License-Identifier: MIT */
/*
 * mpsc.cpp: the model of sync/mpsc_state.h and sync/queue_state.h, with the lock of core/lock.h as
 * the guard. Senders and the receiver wait or cancel their waits, and either side closes. Checked:
 * every message that was sent is received once, in its sender's order, or is still queued when the
 * channel is freed; a message that was not sent is not received; nobody waits for ever; a finished
 * wait is not touched; and the channel is freed once, when nobody uses it.
 */
#define WEIR_MODEL
#include "model.h"

#define LOCK_TAKE_ACQUIRE MUT(1, WEIR_ACQUIRE, WEIR_RELAXED)
#define LOCK_DROP_RELEASE MUT(2, WEIR_RELEASE, WEIR_RELAXED)
#include "core/lock.h"

#define WAIT_DONE_RELEASE MUT(3, WEIR_RELEASE, WEIR_RELAXED)
#define WAIT_STATE_ACQUIRE MUT(4, WEIR_ACQUIRE, WEIR_RELAXED)
#define WAIT_CANCEL_LOOKS MUT(5, 1, 0)
#define QUEUE_DETACH_ENDS_ROUND MUT(6, 1, 0)
#define MPSC_SENDER_ORDER MUT(7, MUT(8, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define MPSC_UNREF_ORDER MUT(9, MUT(10, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define MPSC_SEND_LOOKS_INSIDE MUT(11, 1, 0)
#define MPSC_SEND_WAKES MUT(12, 1, 0)
#define MPSC_RECV_LOOKS_INSIDE MUT(13, 1, 0)
#define MPSC_RECV_ADMITS MUT(14, 1, 0)
#define MPSC_ADMITTED_LEAVES_QUEUE MUT(15, 1, 0)
#define MPSC_CLOSE_TAKES_QUEUE MUT(16, 1, 0)
#define MPSC_CLOSE_TAKES_RX MUT(17, 1, 0)
#define MPSC_RX_CANCEL_LOOKS MUT(18, 1, 0)

static const char *const mutants[] = {
	"the guard is taken relaxed",
	"the guard is dropped relaxed",
	"done is said relaxed",
	"done is looked at relaxed",
	"a sender that was let in gives its place up all the same",
	"a sender whose line was turned away gives its place up",
	"a sender leaves without a release",
	"the last sender leaves without an acquire",
	"an end of the channel leaves without a release",
	"the last end leaves without an acquire",
	"a send looks whether it is closed before it has the guard",
	"a send does not wake the receiver",
	"a receive looks for messages before it has the guard",
	"a receive makes room and lets nobody in",
	"who is let in stays in line",
	"a close leaves the line waiting",
	"a close leaves the receiver waiting",
	"a receive is given up while it is being woken",
	"the waker is read after done was said",
};

enum { EACH = 2, CAPACITY_MAX = 2 };

typedef rl::var<unsigned> cell;

/*
 * A task, whose state word orders a wake before the task's next run, even if the wake comes early.
 */
struct task {
	model_bell bell;
	rl::atomic<unsigned> woken;

	void wake()
	{
		weir__fetch_add(&woken, 1u, WEIR_ACQ_REL);
		bell.ring();
	}

	void sleep()
	{
		bell.wait();
		weir__fetch_add(&woken, 1u, WEIR_ACQ_REL);
	}
};

struct weir__guard {
	struct weir__lock lock;
};

static void weir__guard_init(struct weir__guard *g)
{
	weir__store(&g->lock.held, 0u, WEIR_RELAXED);
}

static bool weir__guard_take(struct weir__guard *g)
{
	weir__lock_take(&g->lock);
	return false;
}

static void weir__guard_drop(struct weir__guard *g, bool)
{
	weir__lock_drop(&g->lock);
}

struct weir__wait {
	WEIR_PLAIN(struct weir__wait *) next;
	WEIR_PLAIN(struct weir__wait *) prev;
	WEIR_ATOMIC(uint32_t) state;
	WEIR_PLAIN(uint32_t) round;
	WEIR_PLAIN(int) result;
	cell waker;			/* the task; poisoned once the wait is gone */
	const void *message;

	void init(unsigned who)
	{
		WEIR_WR(next, (struct weir__wait *)NULL);
		WEIR_WR(prev, (struct weir__wait *)NULL);
		weir__store(&state, 0u, WEIR_RELAXED);
		WEIR_WR(round, 0u);
		WEIR_WR(result, 0);
		WEIR_WR(waker, who);
	}
};

struct weir__wait_queue {
	struct weir__guard guard;
	WEIR_PLAIN(struct weir__wait *) head;
	WEIR_PLAIN(struct weir__wait *) tail;
	WEIR_PLAIN(uint32_t) round;
};

static void mpsc_copy(void *to, const void *from, size_t)
{
	WEIR_WR(*(cell *)to, model_use(*(cell *)from));
}

static const void *mpsc_message_of(struct weir__wait *w)
{
	return w->message;
}

#include "sync/mpsc_state.h"

/* The last thread is the receiver. With `leaves`, it may close the channel before the end. */
template<int senders, int capacity, bool leaves>
struct channel : rl::test_suite<channel<senders, capacity, leaves>, senders + 1> {
	struct weir_mpsc ch;
	cell ring[CAPACITY_MAX], memory;
	cell message[senders * EACH], out[CAPACITY_MAX];
	struct weir__wait waits[senders * EACH], rx_wait[senders * EACH + 2];
	struct task tasks[senders + 1];
	bool sent[senders * EACH];
	unsigned seen[senders * EACH], freed;

	void before()
	{
		mpsc_init(&ch, capacity, sizeof(cell), ring);
		weir__store(&ch.senders, (size_t)senders, WEIR_RELAXED);
		WEIR_WR(memory, 0u);
		freed = 0;
		for (unsigned t = 0; t <= senders; t++) {
			tasks[t].bell.init();
			weir__store(&tasks[t].woken, 0u, WEIR_RELAXED);
		}
		for (unsigned m = 0; m < senders * EACH; m++) {
			sent[m] = false;
			seen[m] = 0;
		}
	}

	/* Like weir__wait_finish. */
	void finish(struct weir__wait *w, int result)
	{
		unsigned who;

		WEIR_WR(w->result, result);
		who = model_use(w->waker);
		wait_set_done(w);
		if (MUT(19, false, true))
			who = model_use(w->waker);
		tasks[who].wake();
	}

	void finish_chain(struct weir__wait *w, int result)
	{
		struct weir__wait *next;

		for (; w; w = next) {
			next = WEIR_RD(w->next);
			finish(w, result);
		}
	}

	void close()
	{
		struct weir__wait *line, *rx;

		mpsc_close(&ch, &line, &rx);
		finish_chain(line, -EPIPE);
		if (rx)
			finish(rx, 0);
	}

	void unref()
	{
		model_use(memory);
		if (!mpsc_unref(&ch))
			return;
		RL_ASSERT(freed++ == 0);
		model_free(memory);
	}

	/* Sleeps until the wait is not QUEUED any more. */
	uint32_t sleep(struct weir__wait *w, unsigned me)
	{
		uint32_t state;

		while ((state = wait_state(w)) == WAIT_QUEUED)
			tasks[me].sleep();
		return state;
	}

	/* ---- a sender ---- */

	int send_once(unsigned m, struct weir__wait *waiter)
	{
		struct weir__wait *rx = NULL;
		int rc = mpsc_send(&ch, &message[m], waiter, &rx);

		if (rx)
			finish(rx, 0);
		return rc;
	}

	void give_up(struct weir__wait *w)
	{
		bool as_owner;

		if (weir__load(&w->state, WEIR_RELAXED) != WAIT_QUEUED)
			return;
		as_owner = weir__guard_take(&ch.send_queue.guard);
		queue_take_back(&ch.send_queue, w);
		weir__guard_drop(&ch.send_queue.guard, as_owner);
	}

	int send(unsigned m, unsigned me)
	{
		struct weir__wait *w = &waits[m];
		int rc = send_once(m, NULL);

		if (rc != -EAGAIN)
			return rc;
		w->init(me);
		w->message = &message[m];
		rc = send_once(m, w);
		if (rc == -EAGAIN) {
			if (rl::rand(2))
				give_up(w);
			rc = sleep(w, me) == WAIT_DONE ? WEIR_RD(w->result) : -ECANCELED;
		}
		model_free(w->waker);
		return rc;
	}

	void sender(unsigned me)
	{
		int rc = 0;

		for (unsigned m = me * EACH; m < (me + 1) * EACH && rc != -EPIPE; m++) {
			WEIR_WR(message[m], m);
			rc = send(m, me);
			sent[m] = rc == 0;
			model_free(message[m]);
		}
		model_use(memory);
		if (mpsc_drop_sender(&ch)) {
			close();
			unref();
		}
	}

	/* ---- the receiver ---- */

	int recv_once(unsigned max, struct weir__wait *waiter)
	{
		struct weir__wait *admitted = NULL;
		int rc = mpsc_recv(&ch, max, out, waiter, &admitted);

		finish_chain(admitted, 0);
		return rc;
	}

	/* Like the future of a receive, which may be cancelled while it waits. */
	int recv(unsigned max, struct weir__wait *w, bool cancel)
	{
		bool cancelled = false;
		int rc = recv_once(max, NULL);

		if (rc != -EAGAIN)
			return rc;
		w->init(senders);
		for (;;) {
			rc = recv_once(max, cancelled ? NULL : w);
			if (rc != -EAGAIN || cancelled)
				break;
			if (cancel) {
				cancelled = true;
				if (weir__load(&w->state, WEIR_RELAXED) == WAIT_QUEUED)
					mpsc_rx_take_back(&ch, w);
			}
			if (sleep(w, senders) == WAIT_CANCELLED)
				break;
		}
		model_free(w->waker);
		return rc;
	}

	void receiver()
	{
		int last[senders], rc = 1;
		unsigned stop = leaves ? rl::rand(senders * EACH) : senders * EACH + 1, got = 0;
		bool cancelled = false;

		for (int s = 0; s < senders; s++)
			last[s] = -1;
		for (unsigned k = 0; rc != 0 && got < stop; k++) {
			bool cancel = !cancelled && rl::rand(2);

			cancelled |= cancel;
			rc = recv(1 + rl::rand(capacity), &rx_wait[k], cancel);
			for (int i = 0; i < rc; i++, got++) {
				unsigned m = model_use(out[i]);

				RL_ASSERT((int)(m % EACH) > last[m / EACH]);
				last[m / EACH] = (int)(m % EACH);
				seen[m]++;
			}
		}
		close();
		unref();
	}

	void thread(unsigned id)
	{
		if (id < senders)
			sender(id);
		else
			receiver();
	}

	void after()
	{
		RL_ASSERT(freed == 1);
		RL_ASSERT(queue_is_empty(&ch.send_queue) && !WEIR_RD(ch.rx));
		for (size_t i = 0; i < mpsc_len(&ch); i++)
			seen[WEIR_RD(ring[(WEIR_RD(ch.head) + i) % capacity])]++;
		for (unsigned m = 0; m < senders * EACH; m++)
			RL_ASSERT(seen[m] == (sent[m] ? 1u : 0u));
		for (unsigned t = 0; t <= senders; t++)
			tasks[t].bell.fini();
	}
};

static const model_scenario scenarios[] = {
	{ "a sender", &rl::simulate<channel<1, 1, false> >, 50000, 2 },
	{ "a sender, and a receiver that leaves", &rl::simulate<channel<1, 1, true> >, 50000, 2 },
	{ "two senders", &rl::simulate<channel<2, 1, false> >, 100000, 0 },
	{ "two senders, and a receiver that leaves", &rl::simulate<channel<2, 1, true> >, 100000, 0 },
	{ "two senders, room for two", &rl::simulate<channel<2, 2, true> >, 100000, 0 },
};

MODEL_MAIN("mpsc", scenarios, mutants)
