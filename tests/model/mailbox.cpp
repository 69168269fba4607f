/* SPDX-License-Identifier: MIT */
/*
 * mailbox.cpp: the model of core/mailbox.h. There are a handle and two workers, the second of which
 * may become the handle's home at any time. A task on a thread of its own starts ops on the handle,
 * with a shutdown between them, and may cancel them. Two scenarios:
 *
 *	one home	the task closes the handle when it has its ops back
 *	a new home	the second worker closes it as soon as the ops are started
 *
 * An op is freed when its task has it back; the handle is freed when it is detached and no op
 * refers to it. Each use after that is an error, and so is an op that is submitted twice or on a
 * detached handle, a detach on a worker that is not the home, and a shutdown that is not between its
 * ops.
 */
#define WEIR_MODEL
#include "model.h"

#define MAILBOX_PUT_ORDER MUT(1, MUT(2, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define MAILBOX_REQUEST_ORDER MUT(3, MUT(4, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define MAILBOX_READ_ORDER MUT(5, WEIR_ACQUIRE, WEIR_RELAXED)
#define MAILBOX_DONE_ORDER MUT(6, WEIR_RELEASE, WEIR_RELAXED)
#define MAILBOX_CANCEL_ORDER MUT(7, WEIR_ACQUIRE, WEIR_RELAXED)
#define MAILBOX_ASKED_ORDER MUT(8, WEIR_RELEASE, WEIR_RELAXED)
#define MAILBOX_BACK_ORDER MUT(9, WEIR_ACQUIRE, WEIR_RELAXED)
#define MAILBOX_SERVED MUT(10, (uintptr_t)8, (uintptr_t)0)
#define MAILBOX_EMPTY_ORDER MUT(17, WEIR_ACQUIRE, WEIR_RELAXED)
#define MAILBOX_BELOW(was) MUT(15, MUT(16, (was), (was) & ~MAIL_BITS), (was) & ~MAIL_BITS)
#define MAILBOX_ON_TOP(was) MUT(16, (uintptr_t)0, (was) & MAIL_BITS)
#include "core/mailbox.h"

static const char *const mutants[] = {
	"put does not release the op",
	"put does not acquire the link",
	"a request does not release what was before it",
	"a request does not acquire the link",
	"the home looks relaxed",
	"done does not release the link",
	"a cancel does not acquire where the op is",
	"the op's link is taken relaxed",
	"the task takes its op back relaxed",
	"nothing says that ops are in the home's hands",
	"the home does not look again whether it is one",
	"the old home serves what has come",
	"a cancel does not wait for the submit",
	"an op goes back to its task though it is queued",
	"an op forgets the requests that were made before it",
	"a request stays behind the ops that were put after it",
	"a new home does not acquire what the old one has done",
};

enum { WORKERS = 2, OPS = 2 };
enum { INFLIGHT = 0, DONE = 1 };
static const unsigned CLOSING = 16;

struct model_op {
	struct weir__link link;		/* first */
	rl::atomic<uint8_t> asked, state;
	rl::var<unsigned> body, backend;
	bool submitted;
};

struct model_handle {
	struct weir__link link;		/* first */
	rl::atomic<uintptr_t> mail;
	rl::atomic<unsigned> home, refs;
	rl::var<unsigned> body;
	bool detached;
};

template<bool moves>
struct post_office : rl::test_suite<post_office<moves>, WORKERS + 1> {
	struct weir__inbox inbox[WORKERS];
	model_handle h;
	model_op ops[OPS];
	model_op *held[WORKERS][OPS];	/* the ops in flight on each worker */
	rl::atomic<unsigned> started, ended, freed;
	bool first_waits, shut, shuts;

	void before()
	{
		for (int w = 0; w < WORKERS; w++) {
			weir__inbox_init(&inbox[w]);
			for (int i = 0; i < OPS; i++)
				held[w][i] = NULL;
		}
		for (int i = 0; i < OPS; i++) {
			weir__store(&ops[i].asked, (uint8_t)0, WEIR_RELAXED);
			weir__store(&ops[i].state, (uint8_t)INFLIGHT, WEIR_RELAXED);
			WEIR_WR(ops[i].body, 0u);
			ops[i].submitted = false;
		}
		weir__store(&h.mail, (uintptr_t)0, WEIR_RELAXED);
		weir__store(&h.home, 0u, WEIR_RELAXED);
		weir__store(&h.refs, 0u, WEIR_RELAXED);
		WEIR_WR(h.body, 0u);
		h.detached = false;
		weir__store(&started, 0u, WEIR_RELAXED);
		weir__store(&ended, 0u, WEIR_RELAXED);
		first_waits = shut = shuts = false;
		weir__store(&freed, 0u, WEIR_RELAXED);
	}

	void send_handle(unsigned to)
	{
		weir__inbox_push(&inbox[to], weir__mail_tag(&h.link, WEIR__MAIL_HANDLE));
	}

	/* ---- the backend ---- */

	void drop()
	{
		if (weir__fetch_sub(&h.refs, 1u, WEIR_ACQ_REL) - 1 != CLOSING)
			return;
		model_free(h.body);
		weir__store(&freed, 1u, WEIR_RELEASE);
	}

	void complete(unsigned me, int i)
	{
		model_op *op = held[me][i];

		held[me][i] = NULL;
		WEIR_WR(op->body, 1u);
		weir__store(&op->state, (uint8_t)DONE, WEIR_RELEASE);
		drop();
	}

	void submit(unsigned me, model_op *op)
	{
		int i = (int)(op - ops);
		bool wanted;

		RL_ASSERT(!op->submitted && shut == (shuts && i == 1));
		op->submitted = true;
		model_use(op->body);
		weir__fetch_add(&h.refs, 1u, WEIR_RELAXED);
		model_use(h.body);
		RL_ASSERT(!h.detached);
		held[me][i] = op;
		WEIR_WR(op->backend, me);
		wanted = weir__asked_leave(&op->asked);
		if (rl::rand(2))
			complete(me, i);
		if (!wanted)
			op_arrived(me, op);
	}

	void detach(unsigned me)
	{
		RL_ASSERT(weir__load(&h.home, WEIR_RELAXED) == me && !h.detached);
		h.detached = true;
		model_use(h.body);
		weir__fetch_add(&h.refs, CLOSING + 1, WEIR_ACQ_REL);
		for (int i = 0; i < OPS; i++)
			if (held[me][i])
				complete(me, i);
		drop();
	}

	/* ---- what core/io/io.c and core/io/op.c do with arriving links ---- */

	void serve_requests(uintptr_t mail)
	{
		if (mail & MAIL_SET)
			model_use(h.body);
		if (!(mail & MAIL_SHUTDOWN))
			return;
		model_use(h.body);
		RL_ASSERT(!h.detached && ops[0].submitted && !ops[1].submitted);
		shut = true;
	}

	void handle_arrived(unsigned me)
	{
		uintptr_t mail = weir__mail_read(&h.mail), next;
		struct weir__link *link;
		unsigned home;

		model_use(h.body);
		do {
			home = weir__load(&h.home, WEIR_RELAXED);
			if (home != me && MUT(12, true, false)) {
				send_handle(home);
				return;
			}
			if (MUT(11, false, true)) {
				mail = weir__xchg(&h.mail, MAIL_SERVED, MAILBOX_READ_ORDER);
				break;
			}
		} while (!weir__mail_take(&h.mail, &mail));
		for (mail = weir__mail_in_order(mail); (link = weir__mail_op(mail)) != NULL;
		     mail = next) {
			serve_requests(mail);
			next = (uintptr_t)WEIR_RD(link->next);
			submit(me, (model_op *)link);
		}
		serve_requests(mail);
		if (mail & MAIL_CLOSE)
			detach(me);
		else if (!weir__mail_done(&h.mail))
			send_handle(weir__load(&h.home, WEIR_RELAXED));
	}

	void op_arrived(unsigned me, model_op *op)
	{
		int i = (int)(op - ops);

		model_use(op->body);
		if (weir__load(&op->state, WEIR_ACQUIRE) == INFLIGHT) {
			RL_ASSERT(held[me][i] == op);
			weir__asked_take(&op->asked);
			complete(me, i);
			return;
		}
		weir__asked_take(&op->asked);
	}

	void turn(unsigned me)
	{
		struct weir__link *tagged = weir__inbox_take(&inbox[me]), *next;

		for (; tagged; tagged = next) {
			next = WEIR_RD(weir__inbox_link(tagged)->next);
			if (weir__mail_what(tagged) == WEIR__MAIL_HANDLE)
				handle_arrived(me);
			else
				op_arrived(me, (model_op *)weir__inbox_link(tagged));
		}
		for (int i = 0; i < OPS; i++)
			if (held[me][i] && (weir__load(&h.refs, WEIR_RELAXED) & CLOSING ||
					    rl::rand(2)))
				complete(me, i);
		weir__model_yield();
	}

	/* ---- the task ---- */

	void start(model_op *op)
	{
		unsigned home = weir__load(&h.home, WEIR_RELAXED);

		WEIR_WR(op->body, 0u);
		weir__asked_queue(&op->asked);
		if (weir__mail_put(&h.mail, &op->link))
			send_handle(home);
	}

	void cancel(model_op *op)
	{
		bool ask = weir__asked_cancel(&op->asked);

		if (!ask && MUT(13, true, false))
			return;
		unsigned backend = WEIR_RD(op->backend);

		weir__asked_queue(&op->asked);
		weir__inbox_push(&inbox[backend], weir__mail_tag(&op->link, WEIR__MAIL_OP));
	}

	void take_back(model_op *op)
	{
		while (weir__load(&op->state, WEIR_ACQUIRE) != DONE ||
		       (MUT(14, true, false) && weir__asked_is_queued(&op->asked)))
			weir__model_yield();
		model_free(op->body);
	}

	void request(uintptr_t what, unsigned home)
	{
		if (weir__mail_request(&h.mail, what))
			send_handle(home);
	}

	void run_task()
	{
		start(&ops[0]);
		first_waits = rl::rand(2);
		if (!first_waits)
			take_back(&ops[0]);
		shuts = rl::rand(2);
		if (shuts)
			request(MAIL_SHUTDOWN, weir__load(&h.home, WEIR_RELAXED));
		start(&ops[1]);
		if (moves && rl::rand(2))
			request(MAIL_SET, weir__load(&h.home, WEIR_RELAXED));
		weir__store(&started, 1u, WEIR_RELEASE);
		if (rl::rand(2) && weir__load(&ops[1].state, WEIR_ACQUIRE) == INFLIGHT)
			cancel(&ops[1]);
		take_back(&ops[1]);
		if (first_waits)
			take_back(&ops[0]);
		if (!moves) {
			WEIR_WR(h.body, 1u);
			request(MAIL_CLOSE, 0);
		}
		weir__store(&ended, 1u, WEIR_RELEASE);
	}

	/* ---- the second worker, and the code that runs on it ---- */

	void adopt()
	{
		unsigned none = 0;

		if (!weir__cas(&h.refs, &none, 1u, WEIR_ACQ_REL, WEIR_RELAXED))
			return;
		weir__store(&h.home, 1u, WEIR_RELAXED);
		drop();
	}

	void close_here()
	{
		if (weir__load(&h.home, WEIR_RELAXED) == 1 && weir__mail_is_empty(&h.mail))
			detach(1);
		else
			request(MAIL_CLOSE, weir__load(&h.home, WEIR_RELAXED));
	}

	void thread(unsigned me)
	{
		bool adopted = !moves, closed = !moves;

		if (me == WORKERS) {
			run_task();
			return;
		}
		while (!weir__load(&freed, WEIR_ACQUIRE) || !weir__load(&ended, WEIR_ACQUIRE)) {
			if (me == 1 && !adopted) {
				adopt();
				adopted = rl::rand(2);
			}
			if (me == 1 && !closed && weir__load(&started, WEIR_ACQUIRE)) {
				adopted = closed = true;
				close_here();
			}
			turn(me);
		}
	}

	void after()
	{
		for (int i = 0; i < OPS; i++)
			RL_ASSERT(ops[i].submitted);
		RL_ASSERT(weir__inbox_empty(&inbox[0]) && weir__inbox_empty(&inbox[1]));
	}
};

static const model_scenario scenarios[] = {
	{ "one home", &rl::simulate<post_office<false> >, 30000, 0 },
	{ "a new home", &rl::simulate<post_office<true> >, 60000, 0 },
};

MODEL_MAIN("mailbox", scenarios, mutants)
