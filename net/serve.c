/* SPDX-License-Identifier: MIT */
/*
 * serve.c: accept loops on the shards of a listener, and the choice of the worker that
 * serves a connection.
 *
 *	loop: accept ──► admit ──► choose: this worker ──► fn
 *	                              └─► another worker ──mail──► fn, on that worker
 *
 * A connection that lives on one worker (WEIR_CAP_HOMED) is served by that one.
 *
 * A loop is a task pinned to a worker. With local dispatch every worker has a loop, so
 * several accept from one shard, in turn. Otherwise each shard has one, on the worker
 * that opened the shard's socket.
 *
 * A worker's load is two counts (core/worker.h): the connections that it was given, from
 * the choice to weir_tcp_close; and those that have not arrived on it yet. The second
 * count shows a worker that is held by a task.
 *
 * Invariants: an accepted connection is dropped only if admit refuses it; when serve
 * returns, no connection is on its way to a worker.
 */
#include <stdlib.h>
#include <string.h>

#include "core/atomic.h"
#include "core/io/io.h"
#include "core/sized.h"
#include "core/task/task.h"
#include "core/worker.h"
#include "net/net.h"
#include "weir/sync/notify.h"
#include "weir/topo.h"

/*
 * The most connections taken from a shard's queue at the end, because new ones may keep arriving.
 */
#define LAST_MAX 4096

struct serving {
	struct weir_listener *listener;	/* held */
	struct weir_serve_config cfg;
	weir_serve_fn fn;
	void *arg;
	struct weir__receiver receiver;
	uint32_t in_transit;		/* given, not arrived; and 1 until the end begins; atomic */
	uint32_t refs;			/* the same, and 1 until serve returns; atomic */
	struct weir_notify arrived;	/* the end has begun, and nothing is in transit */
};

static void unref(struct serving *s)
{
	/* Pairs with itself: the thread that frees sees what the others did. */
	if (weir__fetch_sub(&s->refs, 1u, WEIR_ACQ_REL) != 1)
		return;
	weir_notify_fini(&s->arrived);
	weir__listener_unref(s->listener);
	free(s);
}

/* True for the last one. Pairs with itself: the last one sees what the others did. */
static bool arrive(struct serving *s)
{
	return weir__fetch_sub(&s->in_transit, 1u, WEIR_ACQ_REL) == 1;
}

/* ---- the load ---- */

/* Sort first by connections that have not arrived yet, then by the number of connections. */
static uint64_t load_of(struct weir__worker *w)
{
	return (uint64_t)weir__load(&w->conns_waiting, WEIR_RELAXED) << 32 |
	       weir__load(&w->conns, WEIR_RELAXED);
}

/* Among equals, prefer this worker, then the next ones: they are nearest. */
static struct weir__worker *least_loaded(struct serving *s, struct weir__worker *here)
{
	struct weir_rt *rt = here->rt;
	unsigned first = 0, count = rt->workers;
	struct weir__worker *best = here;

	if (s->listener->shards_len > 1) {
		first = rt->plan->groups[rt->plan->workers[here->index].group].first;
		count = rt->plan->groups[rt->plan->workers[here->index].group].workers;
	}
	for (unsigned i = 1; i < count; i++) {
		struct weir__worker *w = rt->worker[first + (here->index - first + i) % count];

		if (load_of(w) < load_of(best))
			best = w;
	}
	return best;
}

/* ---- giving a connection to a worker ---- */

/* Called on the new worker; or on no worker, after a shutdown that ran out of time. [owner] */
static void received(struct weir__receiver *receiver, struct weir_handle *handle,
		     struct weir__worker *w)
{
	struct serving *s = WEIR_CONTAINER_OF(receiver, struct serving, receiver);
	struct weir_tcp *conn = WEIR_CONTAINER_OF(handle, struct weir_tcp, handle);

	weir__fetch_sub(&w->conns_waiting, 1u, WEIR_RELAXED);
	if (weir__worker_current())
		s->fn(conn, s->arg);
	else
		weir_tcp_reset(conn);
	if (arrive(s))
		weir_notify_one(&s->arrived);
	unref(s);
}

static void give(struct serving *s, struct weir__worker *to, struct weir_tcp *conn)
{
	weir__fetch_add(&s->in_transit, 1u, WEIR_RELAXED);
	weir__fetch_add(&s->refs, 1u, WEIR_RELAXED);
	weir__fetch_add(&to->conns_waiting, 1u, WEIR_RELAXED);
	weir__handle_give(&conn->handle, to, &s->receiver);
}

/* A connection that lives on one worker is served there, whatever the load. */
static struct weir__worker *choose(struct serving *s, const struct weir_tcp *conn,
				   struct weir__worker *here)
{
	int home = weir__handle_home(&conn->handle);

	if (home >= 0)
		return here->rt->worker[home];
	return s->cfg.dispatch == WEIR_DISPATCH_LOCAL ? here : least_loaded(s, here);
}

static void hand_over(struct serving *s, struct weir_tcp *conn)
{
	struct weir__worker *here = weir__worker_current(), *to = choose(s, conn, here);

	if (s->cfg.dispatch == WEIR_DISPATCH_LEAST_LOADED) {
		conn->given_to = (uint16_t)(1 + to->index);
		weir__fetch_add(&to->conns, 1u, WEIR_RELAXED);
	}
	if (to == here)
		s->fn(conn, s->arg);
	else
		give(s, to, conn);
}

/* ---- accepting ---- */

/* Hand a connection over if admit agrees. Returns 0, or the error that ends the serving. */
static int take(struct serving *s, struct weir_tcp *conn, bool may_wait)
{
	int rc = s->cfg.admit ? s->cfg.admit(s->arg, may_wait) : 0;

	if (rc == 0)
		hand_over(s, conn);
	else
		weir_tcp_reset(conn);
	return rc == -EAGAIN ? 0 : rc;
}

static int loop_main(void *arg)
{
	struct serving *s = arg;
	struct weir_tcp *conn;
	int rc;

	do {
		rc = weir_listener_accept(s->listener, &conn);
		if (rc == 0)
			rc = take(s, conn, true);
	} while (rc == 0);
	return rc;
}

static int start_loop(struct serving *s, struct weir_join_set *set, unsigned worker)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.name = "accept";
	cfg.where = WEIR_HERE;
	cfg.flags = WEIR_TASK_PINNED;
	cfg.worker = 1 + (int)worker;
	cfg.join_set = set;
	cfg.fn = loop_main;
	cfg.arg = s;
	return weir_task_spawn(NULL, &cfg, NULL);
}

static int start_loops(struct serving *s, struct weir_join_set *set)
{
	const struct weir_rt *rt = weir__worker_current()->rt;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < rt->workers; i++)
		if (s->cfg.dispatch == WEIR_DISPATCH_LOCAL ||
		    weir__shard_of(s->listener, rt->worker[i])->worker == i)
			rc = start_loop(s, set, i);
	return rc;
}

/* ---- the end ---- */

/* Accept from the queue without waiting, also in an aborted task. 0; an error if it is empty. */
static int accept_now(struct weir_listener *shard, struct weir_tcp **ret_conn)
{
	struct weir_accept_future accept;

	weir_accept_init(&accept, shard, ret_conn);
	accept.tries = accept.exactly = true;
	return weir__await_shielded(&accept.future);
}

/* Take the connections in a queue: these clients are connected, and a close would reset them. */
static void take_queued(struct serving *s, struct weir_listener *shard)
{
	struct weir_tcp *conn;

	for (unsigned i = 0; i < LAST_MAX && accept_now(shard, &conn) == 0; i++)
		if (take(s, conn, false) < 0)
			return;
}

static void end(struct serving *s)
{
	struct weir_listener *all = s->listener;
	struct weir_notified_future arrived;

	take_queued(s, all);
	for (unsigned i = 1; i < all->shards_len; i++)
		take_queued(s, all->shards[i]);
	if (!arrive(s)) {
		weir_notified_init(&arrived, &s->arrived);
		weir__await_shielded(&arrived.future);
	}
}

/* ---- serving ---- */

static int read_config(const struct weir_serve_config *cfg, struct weir_serve_config *ret_cfg)
{
	struct weir_serve_config full = WEIR_SERVE_CONFIG_INIT;
	int rc = cfg ? weir__sized_read(&full, cfg) : 0;

	if (rc < 0)
		return rc;
	if (full.dispatch > WEIR_DISPATCH_LEAST_LOADED)
		return -EINVAL;
	*ret_cfg = full;
	return 0;
}

static int serving_new(struct weir_listener *listener, const struct weir_serve_config *cfg,
		       struct serving **ret_serving)
{
	struct serving *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	weir__listener_ref(listener);
	s->listener = listener;
	s->receiver.received = received;
	s->in_transit = s->refs = 1;
	weir_notify_init(&s->arrived);
	*ret_serving = s;
	return 0;
}

/* Run the loops until one has ended, or the calling task is aborted. */
static int run(struct serving *s)
{
	struct weir_join_set *set;
	int rc = weir_join_set_new(NULL, &set), result;
	uint64_t id;

	if (rc < 0)
		return rc;
	rc = start_loops(s, set);
	if (rc == 0)
		rc = weir_join_set_next(set, &id, &result);
	weir_join_set_free(set);
	return rc > 0 ? result : rc;
}

int weir_listener_serve(struct weir_listener *listener, const struct weir_serve_config *cfg,
			weir_serve_fn fn, void *arg)
{
	struct weir_serve_config full;
	struct serving *s;
	int rc = listener && fn ? read_config(cfg, &full) : -EINVAL;

	if (rc == 0)
		rc = weir__need_fiber();
	if (rc >= 0)
		rc = serving_new(listener, &full, &s);
	if (rc < 0)
		return rc;
	s->fn = fn;
	s->arg = arg;
	rc = run(s);
	end(s);
	unref(s);
	return rc;
}
