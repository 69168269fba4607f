/* SPDX-License-Identifier: MIT */
/*
 * signal.c: operating-system signals for tasks: a listener, which is a leaf
 * future. core/signals.c counts the signals and wakes listeners.
 */
#include "weir/signal.h"

#include "core/leaf.h"
#include "core/signals.h"
#include "core/task/task.h"
#include "weir/time.h"

static void set_waiting(struct weir_signal *s, bool waiting)
{
	weir__lock_take(&s->rt->signal_lock);
	s->waiting = waiting;
	weir__lock_drop(&s->rt->signal_lock);
}

static int finish(struct weir_signal *s, int rc)
{
	if (weir__leaf_is_armed(&s->leaf)) {
		set_waiting(s, false);
		weir__leaf_disarm(&s->leaf);
	}
	s->cancelled = false;
	return rc;
}

/* Arms first and checks the count second, so that a delivery in between is not missed. */
static int signal_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_signal *s = WEIR_CONTAINER_OF(future, struct weir_signal, future);
	uint32_t now;

	if (!weir__leaf_is_armed(&s->leaf)) {
		if (s->cancelled)
			return finish(s, -ECANCELED);
		if (!weir_coop_take(cx))
			return WEIR_PENDING;
		weir__leaf_arm(&s->leaf, cx);
		set_waiting(s, true);
	}
	now = weir__signals_count(s->signo);
	if (now != s->seen) {
		finish(s, s->signo);
		s->seen = now;	/* not while it waits: the delivering worker reads it */
		return s->signo;
	}
	if (s->cancelled)
		return finish(s, -ECANCELED);
	return WEIR_PENDING;
}

static void signal_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct weir_signal, future)->cancelled = true;
}

static const struct weir_future_ops signal_ops = { "signal", signal_poll, signal_cancel, NULL };

/* False for signals that cannot be caught, and for those that report a fault of the program. */
static bool can_be_listened_to(int signo)
{
	return signo > 0 && signo < NSIG && signo != SIGKILL && signo != SIGSTOP &&
	       signo != SIGSEGV && signo != SIGBUS && signo != SIGFPE && signo != SIGILL;
}

int weir_signal_open(struct weir_signal *s, int signo)
{
	struct weir__worker *w = weir__worker_current();
	int rc;

	s->rt = NULL;
	if (!w)
		return -ENXIO;
	if (w->rt->no_signal)
		return -ENODEV;
	if (!can_be_listened_to(signo))
		return -EINVAL;
	if (signo == weir__load(&weir__signal_of_stalls, WEIR_RELAXED))
		return -EBUSY;
	rc = weir__signals_listen(w->rt, signo);
	if (rc < 0)
		return rc;
	weir__leaf_init(&s->leaf, &signal_ops);
	s->rt = w->rt;
	s->signo = signo;
	s->seen = weir__signals_count(signo);
	s->waiting = s->cancelled = false;
	weir__lock_take(&s->rt->signal_lock);
	s->next = s->rt->signals;
	s->pprev = &s->rt->signals;
	if (s->next)
		s->next->pprev = &s->next;
	weir__store(&s->rt->signals, s, WEIR_RELEASE);
	weir__lock_drop(&s->rt->signal_lock);
	return 0;
}

void weir_signal_close(struct weir_signal *s)
{
	if (!s->rt)
		return;
	weir__lock_take(&s->rt->signal_lock);
	weir__store(s->pprev, s->next, WEIR_RELAXED);
	if (s->next)
		s->next->pprev = s->pprev;
	weir__lock_drop(&s->rt->signal_lock);
	s->rt = NULL;
}

int weir_signal_wait(struct weir_signal *s, uint64_t deadline)
{
	return weir_await_until(&s->future, deadline);
}

int weir_ctrl_c(void)
{
	struct weir_signal s;
	int rc;

	rc = weir__need_fiber();
	if (rc < 0)
		return rc;
	rc = weir_signal_open(&s, SIGINT);
	if (rc < 0)
		return rc;
	rc = weir_signal_wait(&s, WEIR_FOREVER);
	weir_signal_close(&s);
	return rc < 0 ? rc : 0;
}
