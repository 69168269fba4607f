/* SPDX-License-Identifier: MIT */
/*
 * io.c: the slow paths of I/O: choosing the instance, attach, close, mail and
 * leases. See io.h; control.c has the properties of handles.
 */
#include "core/io/io.h"

#include "core/io/control.h"
#include "core/mailbox.h"
#include "core/task/task.h"
#include "core/time/clock.h"

/* True in a forked child: it shares the parent's descriptors and must not touch them. */
static bool is_inherited(const struct weir_backend *be)
{
	return weir__rt_is_inherited(be->worker->rt);
}

/* ---- attach ---- */

static uint32_t caps_for(const struct weir_handle_spec *spec)
{
	uint32_t need = spec->kind == WEIR_HANDLE_FOREIGN ? WEIR_CAP_FD : WEIR_CAP_STREAM;

	if (spec->fd >= 0)
		need |= WEIR_CAP_FD;	/* only who serves descriptors can adopt one */
	if (spec->family == AF_UNIX)
		need |= WEIR_CAP_UNIX;
	return need;
}

static int attach_to(struct weir_backend *be, struct weir_handle *h,
		     const struct weir_handle_spec *spec)
{
	int rc;

	h->backend = be;
	h->kind = (uint8_t)spec->kind;
	h->fd = -1;
	h->flags = 0;
	h->homed = 0;
	h->mail = 0;
	h->settings = 0;
	rc = be->ops->attach(be, h, spec);
	if (rc < 0)
		h->backend = NULL;
	return rc;
}

int weir__handle_attach(struct weir_handle *h, const struct weir_handle_spec *spec)
{
	struct weir__worker *w = weir__worker_current();
	uint32_t need = caps_for(spec);
	struct weir_backend *be;
	int rc;

	if (!w)
		return -ENXIO;
	if (!w->driver.io)
		return -ENODEV;
	be = weir__driver_with_caps(&w->driver, need);
	if (!be)
		return -EOPNOTSUPP;
	rc = attach_to(be, h, spec);
	if (rc == -EADDRNOTAVAIL && be != w->driver.companion && w->driver.companion &&
	    (w->driver.companion->caps & need) == need)
		rc = attach_to(w->driver.companion, h, spec);
	return rc;
}

/*
 * A stream that is not attached yet keeps its family in .state, which begins as zero for its
 * backend.
 */
int weir__handle_new_stream(struct weir_handle *h, int family)
{
	struct weir__worker *w = weir__worker_current();

	if (!w)
		return -ENXIO;
	if (!w->driver.io)
		return -ENODEV;
	h->kind = WEIR_HANDLE_STREAM;
	h->fd = -1;
	h->state[0] = (uint64_t)family;
	return 0;
}

int weir__handle_attach_to_peer(struct weir_handle *h, const struct sockaddr *peer, socklen_t len)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_STREAM, .fd = -1 };
	uint64_t family = h->state[0], settings = h->settings;
	int rc;

	if (!peer || len < sizeof(peer->sa_family))
		return -EINVAL;
	if (peer->sa_family != family)
		return -EAFNOSUPPORT;
	spec.family = peer->sa_family;
	spec.peer = peer;
	spec.peer_len = len;
	h->state[0] = 0;
	rc = weir__handle_attach(h, &spec);
	h->settings = settings;
	if (rc < 0)
		h->state[0] = family;
	else
		rc = weir__handle_apply(h->backend, h);
	return rc;
}

int weir__handle_home(const struct weir_handle *h)
{
	const struct weir_backend *be = h ? weir__load(&h->backend, WEIR_RELAXED) : NULL;

	if (!be || !(be->caps & WEIR_CAP_HOMED) || !weir__load(&h->homed, WEIR_RELAXED))
		return -1;
	return (int)be->index;
}

/* ---- close ---- */

/*
 * A handle may be closed twice: by the op that discards an accepted connection but does not own
 * the handle's memory, and by the owner of the memory. Of weir_backend_detached and the owner's
 * close, the later one releases the handle.
 */
enum {
	HANDLE_CLOSING = 1u << 0,	/* detach has begun, or is over */
	HANDLE_OWNED = 1u << 1,		/* .released is set */
	HANDLE_GONE = 1u << 2,		/* nothing refers to it any more */
};

void weir_backend_detached(struct weir_handle *h)
{
	/* A concurrent close may read this. */
	weir__store(&h->backend, (struct weir_backend *)NULL, WEIR_RELAXED);
	/* Pairs with the fetch_or in weir__handle_close. */
	if (weir__fetch_or(&h->flags, (uint8_t)HANDLE_GONE, WEIR_ACQ_REL) & HANDLE_OWNED)
		h->released(h);
}

void weir__handle_close(struct weir_handle *h, void (*released)(struct weir_handle *h))
{
	uint8_t add = released ? HANDLE_CLOSING | HANDLE_OWNED : HANDLE_CLOSING;
	struct weir_backend *be;
	uint8_t found;

	be = weir__load(&h->backend, WEIR_RELAXED);
	WEIR_ASSERT((!be || weir__live_has(be)) &&
		    "a stream, listener or fd is used after its runtime was freed");
	if (be && is_inherited(be))
		return;
	if (released)
		h->released = released;
	/* Pairs with the fetch_or in weir_backend_detached. */
	found = weir__fetch_or(&h->flags, add, WEIR_ACQ_REL);
	if ((found & HANDLE_CLOSING) && !(found & HANDLE_GONE))
		return;
	be = h->backend;
	if (!be) {
		weir__fetch_or(&h->flags, (uint8_t)HANDLE_GONE, WEIR_RELAXED);
		if (released)
			released(h);
		return;
	}
	if ((be->caps & WEIR_CAP_POLL_ANY) ||
	    (be->worker == weir__worker_current() && weir__mail_is_empty(&h->mail)))
		be->ops->detach(be, h);
	else if (weir__mail_request(&h->mail, MAIL_CLOSE))
		weir__handle_send(be, h);
}

/* ---- mail ---- */

void weir__post(struct weir_backend *to, struct weir__link *tagged)
{
	struct weir_rt *rt = to->worker->rt;

	rt->sched->post(rt, to->index, tagged);
}

void weir__handle_send(struct weir_backend *to, struct weir_handle *h)
{
	weir__post(to, weir__mail_tag(&h->link, WEIR__MAIL_HANDLE));
}

/* Off the workers the ops are dropped: their tasks never run again. */
static void serve(struct weir_backend *io, struct weir_handle *h, uintptr_t mail)
{
	bool submits = weir__worker_current();
	struct weir__link *link;
	uintptr_t next;

	for (mail = weir__mail_in_order(mail); (link = weir__mail_op(mail)) != NULL; mail = next) {
		weir__handle_serve_requests(io, h, mail);
		next = (uintptr_t)link->next;
		if (submits)
			weir__op_submit_at_home(io, WEIR_CONTAINER_OF(link, struct weir_op, link));
	}
	weir__handle_serve_requests(io, h, mail);
	if (mail & MAIL_CLOSE)
		io->ops->detach(io, h);
	else if (!weir__mail_done(&h->mail))
		weir__handle_send(weir__load(&h->backend, WEIR_RELAXED), h);
}

void weir__handle_arrived(struct weir__worker *w, struct weir_handle *h)
{
	struct weir_backend *home;
	uintptr_t mail = weir__mail_read(&h->mail);

	do {
		home = weir__load(&h->backend, WEIR_RELAXED);
		if (home->worker != w) {
			weir__handle_send(home, h);
			return;
		}
	} while (!weir__mail_take(&h->mail, &mail));
	serve(home, h, mail);
}

void weir__handle_give(struct weir_handle *h, struct weir__worker *to,
		       struct weir__receiver *receiver)
{
	weir__store(&h->mail, (uintptr_t)receiver, WEIR_RELAXED);
	to->rt->sched->post(to->rt, to->index, weir__mail_tag(&h->link, WEIR__MAIL_GIVEN));
}

void weir__handle_received(struct weir__worker *w, struct weir_handle *h)
{
	struct weir__receiver *receiver =
		(struct weir__receiver *)weir__load(&h->mail, WEIR_RELAXED);

	weir__store(&h->mail, (uintptr_t)0, WEIR_RELAXED);
	receiver->received(receiver, h, w);
}

void weir_lease_return(struct weir_lease *lease)
{
	if (!lease->data)
		return;
	lease->owner->ops->lease_return(lease->owner, lease);
	*lease = (struct weir_lease){ NULL, 0, 0, NULL };
}

uint64_t weir_backend_now(const struct weir_backend *be)
{
	return weir__clock_now(be->worker->rt->clock);
}

void weir_backend_wake(struct weir_backend *be)
{
	struct weir_rt *rt = be->worker->rt;

	rt->sched->notify(rt, be->index);
}
