/* SPDX-License-Identifier: MIT */
/*
 * resolve.c: resolves names with the system's resolver, on the blocking pool.
 *
 * getaddrinfo cannot be interrupted, but its caller may have to leave: at a deadline, an
 * abort or a shutdown. So the request is on the heap and has two holders, the job and the
 * caller. The job never touches the caller's memory. A caller that leaves disarms its leaf
 * under the lock; after that the job wakes nobody.
 *
 * There is no cache and no DNS client here, and the order of the addresses is the
 * resolver's.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/atomic.h"
#include "core/leaf.h"
#include "core/lock.h"
#include "core/task/task.h"
#include "net/net.h"
#include "weir/blocking.h"
#include "weir/task.h"

#define ADDRS_MAX 32

struct request {
	struct weir_leaf leaf;		/* the caller's; its waker is read under the lock */
	struct weir__lock lock;
	uint32_t refs;			/* atomic */
	bool done;			/* under the lock; .result and .addrs are set before */
	bool cancelled;
	int result;
	uint16_t port;
	unsigned max;			/* the capacity of addrs */
	char host[WEIR__HOST_MAX + 1];
	struct weir_addr addrs[];
};

/* Called by the caller, by the job, or by the pool if it never ran the job. */
static void unref(void *arg)
{
	struct request *r = arg;

	if (weir__fetch_sub(&r->refs, 1u, WEIR_ACQ_REL) == 1)
		free(r);
}

/* ---- the job, on a pool thread ---- */

static int errno_of(int eai)
{
	switch (eai) {
	case EAI_NONAME:
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
		return -ENOENT;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return errno ? -errno : -EIO;
	default:
		return -EIO;
	}
}

static int copy_addrs(struct request *r, const struct addrinfo *list)
{
	unsigned n = 0;

	for (; list && n < r->max; list = list->ai_next) {
		struct weir_addr *addr = &r->addrs[n];

		if (list->ai_family != AF_INET && list->ai_family != AF_INET6)
			continue;
		memcpy(&addr->u, list->ai_addr, list->ai_addrlen);
		addr->len = list->ai_addrlen;
		weir_addr_set_port(addr, r->port);
		n++;
	}
	return n ? (int)n : -ENOENT;
}

static int look_up(struct request *r)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(r->host, NULL, &hints, &list);

	if (rc != 0)
		return errno_of(rc);
	rc = copy_addrs(r, list);
	freeaddrinfo(list);
	return rc;
}

static int resolve_job(void *arg)
{
	struct request *r = arg;
	struct weir__wakeup wakeup;
	bool waiting;

	r->result = look_up(r);
	weir__lock_take(&r->lock);
	r->done = true;
	waiting = weir__leaf_is_armed(&r->leaf);
	if (waiting)
		weir__leaf_waker(&r->leaf, &wakeup);
	weir__lock_drop(&r->lock);
	if (waiting)
		weir__waker_fire(&wakeup);
	unref(r);
	return 0;
}

/* ---- the caller's future ---- */

/* Called under the lock. */
static int request_result(struct request *r, struct weir_cx *cx)
{
	if (!r->done && !r->cancelled) {
		weir_coop_refund(cx);
		if (!weir__leaf_is_armed(&r->leaf))
			weir__leaf_arm(&r->leaf, cx);
		return WEIR_PENDING;
	}
	if (weir__leaf_is_armed(&r->leaf))
		weir__leaf_disarm(&r->leaf);
	return r->done ? r->result : -ECANCELED;
}

static int request_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct request *r = WEIR_CONTAINER_OF(future, struct request, leaf.future);
	int rc;

	if (!weir_coop_take(cx))
		return WEIR_PENDING;
	weir__lock_take(&r->lock);
	rc = request_result(r, cx);
	weir__lock_drop(&r->lock);
	return rc;
}

static void request_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct request, leaf.future)->cancelled = true;
}

static const struct weir_future_ops request_ops = {
	.name = "resolve",
	.poll = request_poll,
	.cancel = request_cancel,
};

static struct request *request_new(unsigned max)
{
	struct request *r = calloc(1, sizeof(*r) + max * sizeof(r->addrs[0]));

	if (!r)
		return NULL;
	weir__leaf_init(&r->leaf, &request_ops);
	r->refs = 2;
	r->max = max;
	return r;
}

static int await_request(struct request *r, uint64_t deadline, struct weir_addr *ret_addrs)
{
	int rc = weir__net_await(&r->leaf.future, deadline);

	if (rc > 0)
		memcpy(ret_addrs, r->addrs, (size_t)rc * sizeof(r->addrs[0]));
	unref(r);
	return rc;
}

int weir_resolve(const char *host_port, unsigned max, uint64_t deadline,
		 struct weir_addr *ret_addrs)
{
	struct request *r;
	int rc;

	if (!host_port || !ret_addrs || max == 0)
		return -EINVAL;
	rc = weir__need_fiber();
	if (rc < 0)
		return rc;
	rc = weir_addr_parse(host_port, ret_addrs);
	if (rc != -EINVAL)
		return rc < 0 ? rc : 1;
	if (weir_task_cancelled())
		return -ECANCELED;
	r = request_new(max < ADDRS_MAX ? max : ADDRS_MAX);
	if (!r)
		return -ENOMEM;
	rc = weir__addr_split(host_port, r->host, &r->port);
	if (rc < 0) {
		free(r);
		return rc;
	}
	rc = weir_blocking_spawn_or_drop(NULL, resolve_job, r, unref);
	if (rc < 0) {
		unref(r);
		return rc;
	}
	return await_request(r, deadline, ret_addrs);
}
