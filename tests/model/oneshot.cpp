/* SPDX-License-Identifier: MIT */
/*
 * oneshot.cpp: the model of sync/oneshot_state.h. Checked: the value arrives or is returned to the
 * sender; a waiting receiver is woken; the channel is freed exactly once and not used after that.
 */
#define WEIR_MODEL
#include "model.h"

#define ONESHOT_SEND_ORDER MUT(1, MUT(2, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define ONESHOT_SEND_FAIL_ACQUIRE MUT(3, WEIR_ACQUIRE, WEIR_RELAXED)
#define ONESHOT_POLL_ACQUIRE MUT(4, WEIR_ACQUIRE, WEIR_RELAXED)
#define ONESHOT_WAIT_RELEASE MUT(5, WEIR_RELEASE, WEIR_RELAXED)
#define ONESHOT_TX_DONE_ORDER MUT(6, MUT(7, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define ONESHOT_RX_DONE_ORDER MUT(8, MUT(9, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define ONESHOT_RX_CANCEL_RELEASE MUT(10, WEIR_RELEASE, WEIR_RELAXED)
#define ONESHOT_TX_STAYS_FOR_WAKER MUT(11, 1, 0)
#include "sync/oneshot_state.h"

static const char *const mutants[] = {
	"send does not release the value",
	"send does not acquire the waker",
	"send does not acquire the refusal",
	"poll is relaxed",
	"wait is relaxed",
	"the sender's leave does not release",
	"the sender's leave does not acquire",
	"the receiver's leave does not release",
	"the receiver's leave does not acquire",
	"the receiver gives up relaxed",
	"the sender leaves before it has read the waker",
};

struct channel : rl::test_suite<channel, 2> {
	rl::atomic<uint32_t> word;
	rl::var<unsigned> value, waker;
	model_bell bells[2];
	unsigned freed, sent, taken, back;

	void before()
	{
		weir__oneshot_init(&word);
		freed = sent = taken = back = 0;
		WEIR_WR(value, 0u);
		WEIR_WR(waker, 0u);
		bells[0].init();
		bells[1].init();
	}

	void free_it()
	{
		RL_ASSERT(freed == 0);
		freed = 1;
		model_free(value);
		model_free(waker);
	}

	void send()
	{
		bool with_value = rl::rand(3) != 0;
		unsigned who;

		sent = with_value;
		if (with_value)
			WEIR_WR(value, 7u);
		switch (weir__oneshot_send(&word, with_value)) {
		case WEIR__ONESHOT_SENT:
			break;
		case WEIR__ONESHOT_SENT_WAKE:
			who = model_use(waker);
			if (weir__oneshot_tx_done(&word))
				free_it();
			bells[who].ring();
			break;
		case WEIR__ONESHOT_REFUSED:
			back = with_value;
			free_it();
			break;
		}
	}

	/* Returns true when the receiver has finished. */
	bool take()
	{
		enum weir__oneshot_rx rx = weir__oneshot_poll(&word);

		if (rx == WEIR__ONESHOT_RX_PENDING)
			return false;
		if (rx == WEIR__ONESHOT_RX_VALUE) {
			RL_ASSERT(model_use(value) == 7);
			taken = 1;
		}
		if (weir__oneshot_rx_done(&word))
			free_it();
		return true;
	}

	bool wait_as(unsigned who)
	{
		WEIR_WR(waker, who);
		return weir__oneshot_rx_wait(&word);
	}

	void receive()
	{
		unsigned plan = rl::rand(4), who = 0;

		if (take())
			return;
		if (plan == 0) {
			model_use(waker);	/* stands for any use of the channel */
			if (weir__oneshot_rx_cancel(&word))
				return;
		}
		if (wait_as(0)) {
			if (plan == 1 && weir__oneshot_rx_cancel(&word))
				return;
			if (plan == 2 && weir__oneshot_rx_unwait(&word)) {
				who = 1;
				if (!wait_as(1)) {
					RL_ASSERT(take());
					return;
				}
			}
			/* The sender may have sent its value, and not yet woken the receiver. */
			if (plan == 3 && take())
				return;
			bells[who].wait();
		}
		RL_ASSERT(take());
	}

	void thread(unsigned id)
	{
		if (id == 0)
			send();
		else
			receive();
	}

	void after()
	{
		RL_ASSERT(freed == 1);
		RL_ASSERT(sent == taken + back);
		bells[0].fini();
		bells[1].fini();
	}
};

static const model_scenario scenarios[] = {
	{ "channel", &rl::simulate<channel>, 200000, 3 },
};

MODEL_MAIN("oneshot", scenarios, mutants)
