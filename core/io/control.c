/* SPDX-License-Identifier: MIT */
/*
 * control.c: the properties of a handle.
 *
 *	state of the handle			what happens to a setting or a shutdown
 *	not attached yet			the setting is kept until then; a shutdown fails
 *	its writes are homed elsewhere		it is queued behind the ops of the handle's mail
 *	its writes are homed here, it has mail	the same
 *	any other				it is applied at once
 *
 * A queued setting is stored in the handle, so it needs no memory: a new value replaces an older
 * one. The home applies all of them when it reaches the first MAIL_SET. So a setting applies to
 * every op that is started after it, and perhaps to ops that were started before. A SHUT_WR keeps
 * its exact place between the ops.
 *
 * Queries are answered at once, on any worker.
 */
#include "core/io/control.h"

#include <string.h>

#include "core/atomic.h"
#include "core/io/io.h"
#include "core/mailbox.h"
#include "core/task/task.h"
#include "core/worker.h"
#include "weir/net.h"

/* Linux's limits. */
#define KEEPALIVE_S_MAX 32767
#define KEEPALIVE_COUNT_MAX 127

enum {
	NODELAY = 1u << 0,
	LINGER = 1u << 1,
	KEEPALIVE = 1u << 2,
	SHUT_READS = 1u << 3,
};

/* The content of weir_handle.settings. */
struct settings {
	uint8_t which;			/* which settings are kept; the other fields: values */
	uint8_t nodelay;
	uint8_t resets;			/* LINGER: 0 seconds, so a close resets */
	uint8_t count;			/* KEEPALIVE */
	uint16_t idle_s, interval_s;	/* KEEPALIVE */
};
_Static_assert(sizeof(struct settings) == sizeof(uint64_t),
	       "the settings of a handle are one word");

static uint64_t pack(struct settings s)
{
	uint64_t word;

	memcpy(&word, &s, sizeof(word));
	return word;
}

static struct settings unpack(uint64_t word)
{
	struct settings s;

	memcpy(&s, &word, sizeof(s));
	return s;
}

/* ---- keeping a setting ---- */

static uint16_t at_least_0(int value)
{
	return (uint16_t)(value > 0 ? value : 0);
}

static int keep_keepalive(struct settings *s, const struct weir_keepalive *k)
{
	if (k->idle_s > KEEPALIVE_S_MAX || k->interval_s > KEEPALIVE_S_MAX ||
	    k->count > KEEPALIVE_COUNT_MAX)
		return -EINVAL;
	s->which |= KEEPALIVE;
	s->idle_s = at_least_0(k->idle_s);
	s->interval_s = at_least_0(k->interval_s);
	s->count = (uint8_t)at_least_0(k->count);
	return 0;
}

static int keep_shutdown(struct settings *s, int how)
{
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (how != SHUT_WR)
		s->which |= SHUT_READS;
	return 0;
}

static int keep(struct settings *s, enum weir_control what, const void *value, size_t len)
{
	struct weir_keepalive keepalive;
	int number;

	if (what == WEIR_CTL_KEEPALIVE) {
		if (len != sizeof(keepalive))
			return -EINVAL;
		memcpy(&keepalive, value, sizeof(keepalive));
		return keep_keepalive(s, &keepalive);
	}
	if (len != sizeof(number))
		return -EINVAL;
	memcpy(&number, value, sizeof(number));
	switch (what) {
	case WEIR_CTL_SHUTDOWN:
		return keep_shutdown(s, number);
	case WEIR_CTL_NODELAY:
		s->which |= NODELAY;
		s->nodelay = number != 0;
		return 0;
	case WEIR_CTL_LINGER:
		s->which |= LINGER;
		s->resets = number == 0;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* Tasks on several workers may call this at the same time. */
static int keep_in(struct weir_handle *h, enum weir_control what, const void *value, size_t len)
{
	uint64_t was = weir__load(&h->settings, WEIR_RELAXED);
	struct settings s;
	int rc;

	do {
		s = unpack(was);
		rc = keep(&s, what, value, len);
		if (rc < 0)
			return rc;
	} while (!weir__cas_weak(&h->settings, &was, pack(s), WEIR_RELAXED, WEIR_RELAXED));
	return 0;
}

/* ---- applying what was kept ---- */

static int set(struct weir_backend *be, struct weir_handle *h, enum weir_control what, int value)
{
	return be->ops->control(be, h, what, &value, sizeof(value));
}

static int first_error(int a, int b)
{
	return a < 0 ? a : b;
}

int weir__handle_apply(struct weir_backend *be, struct weir_handle *h)
{
	struct settings s = unpack(weir__xchg(&h->settings, (uint64_t)0, WEIR_RELAXED));
	struct weir_keepalive keepalive = { s.idle_s, s.interval_s, s.count };
	int rc = 0;

	if (s.which && !be->ops->control)
		return -EOPNOTSUPP;
	if (s.which & NODELAY)
		rc = first_error(rc, set(be, h, WEIR_CTL_NODELAY, s.nodelay));
	if (s.which & LINGER)
		rc = first_error(rc, set(be, h, WEIR_CTL_LINGER, s.resets ? 0 : -1));
	if (s.which & KEEPALIVE)
		rc = first_error(rc, be->ops->control(be, h, WEIR_CTL_KEEPALIVE, &keepalive,
						      sizeof(keepalive)));
	if (s.which & SHUT_READS)
		rc = first_error(rc, set(be, h, WEIR_CTL_SHUTDOWN, SHUT_RD));
	return rc;
}

void weir__handle_serve_requests(struct weir_backend *be, struct weir_handle *h, uintptr_t mail)
{
	if (mail & MAIL_SET)
		(void)weir__handle_apply(be, h);
	if (mail & MAIL_SHUTDOWN)
		(void)set(be, h, WEIR_CTL_SHUTDOWN, SHUT_WR);
}

/* ---- control ---- */

/* Whether it changes how the stream sends or ends. Such a control returns no value. */
static bool is_setting(enum weir_control what)
{
	switch (what) {
	case WEIR_CTL_SHUTDOWN:
	case WEIR_CTL_NODELAY:
	case WEIR_CTL_LINGER:
	case WEIR_CTL_KEEPALIVE:
		return true;
	default:
		return false;
	}
}

/* The acquire has the same purpose as that in send_home (op.c). */
static bool queues(const struct weir_backend *be, struct weir_handle *h)
{
	return be->caps & WEIR_CAP_HOMED &&
	       weir__load(&h->homed, WEIR_ACQUIRE) & WEIR_HOMED_WRITES &&
	       !(be->worker == weir__worker_current() && weir__mail_is_empty(&h->mail));
}

static uintptr_t requests_of(enum weir_control what, const void *value)
{
	int how = SHUT_RD;

	if (what != WEIR_CTL_SHUTDOWN)
		return MAIL_SET;
	memcpy(&how, value, sizeof(how));
	return (how != SHUT_WR ? MAIL_SET : 0) | (how != SHUT_RD ? MAIL_SHUTDOWN : 0);
}

static int send_home(struct weir_backend *be, struct weir_handle *h, enum weir_control what,
		     const void *value, size_t len)
{
	int rc = keep_in(h, what, value, len);

	if (rc == 0 && weir__mail_request(&h->mail, requests_of(what, value)))
		weir__handle_send(be, h);
	return rc;
}

static int control_unattached(struct weir_handle *h, enum weir_control what, const void *value,
			      size_t len)
{
	if (what == WEIR_CTL_SHUTDOWN || !is_setting(what))
		return -ENOTCONN;
	if (h->state[0] == AF_UNIX && what != WEIR_CTL_LINGER)
		return -EOPNOTSUPP;
	return keep_in(h, what, value, len);
}

int weir__handle_control(struct weir_handle *h, enum weir_control what, void *value, size_t len)
{
	/* The task of the other direction may be moving the handle to its worker. */
	struct weir_backend *be = h ? weir__load(&h->backend, WEIR_RELAXED) : NULL;

	if (!be)
		return h && weir__handle_is_unattached(h) ? control_unattached(h, what, value, len)
							  : -EBADF;
	WEIR_ASSERT(weir__live_has(be) &&
		    "a stream, listener or fd is used after its runtime was freed");
	if (weir__rt_is_inherited(be->worker->rt))
		return -ENXIO;
	if (!be->ops->control)
		return -EOPNOTSUPP;
	if (is_setting(what) && queues(be, h))
		return send_home(be, h, what, value, len);
	return be->ops->control(be, h, what, value, len);
}
