/* SPDX-License-Identifier: MIT */
/*
 * stall.c: see stall.h. What runs in the handler is async-signal-safe: no lock,
 * no allocation, no stdio. A first backtrace, which allocates, is taken before.
 *
 * It does not help the tasks that wait for the worker. sched/watch.c does, and it
 * goes by turns of the drivers, so it also sees a task that blocks in a system
 * call.
 */
#include "sched/stall.h"

#include <string.h>

#include "core/os.h"
#include "core/signals.h"
#include "core/sized.h"
#include "core/time/clock.h"
#include "sched/cputimer.h"
#include "sched/worker.h"

#define REPORTS_A_MINUTE 5u
/* The frames of the handler and of what the system puts around it. */
#define FRAMES_OF_HANDLER 8

static struct sigaction previous;
static bool can_backtrace;		/* set before the handler is installed */

/* ---- the record ---- */

typedef uint64_t __attribute__((may_alias)) word;

_Static_assert(sizeof(struct weir_stall) % sizeof(word) == 0,
	       "a struct weir_stall is a whole number of words, for copying");

static void store_record(struct stall *s, const struct weir_stall *from)
{
	const word *src = (const word *)from;
	word *dst = (word *)&s->last;

	seqlock_write_begin(&s->lock);
	for (size_t i = 0; i < sizeof *from / sizeof *src; i++)
		weir__store(&dst[i], src[i], WEIR_RELAXED);
	seqlock_write_end(&s->lock);
}

static void load_record(const struct stall *s, struct weir_stall *ret)
{
	const word *src = (const word *)&s->last;
	word *dst = (word *)ret;
	uint32_t number;

	do {
		number = seqlock_read_begin(&s->lock);
		for (size_t i = 0; i < sizeof *ret / sizeof *dst; i++)
			dst[i] = weir__load(&src[i], WEIR_RELAXED);
	} while (seqlock_read_retry(&s->lock, number));
}

static void change_record(struct stall *s, uint64_t cpu_ns, bool over)
{
	seqlock_write_begin(&s->lock);
	weir__store(&s->last.cpu_ns, cpu_ns, WEIR_RELAXED);
	weir__store(&s->last.over, (uint16_t)over, WEIR_RELAXED);
	seqlock_write_end(&s->lock);
}

/* ---- the handler ---- */

/* Takes the frames from the interrupted instruction on; all of them if that is not found. */
static void take_backtrace(struct weir_stall *stall, void *interrupted)
{
	void *frames[WEIR_STALL_FRAMES + FRAMES_OF_HANDLER];
	int len = 0, from = 0;

	if (can_backtrace)
		len = weir__os_backtrace(frames, WEIR_STALL_FRAMES + FRAMES_OF_HANDLER);
	while (from < len && from < FRAMES_OF_HANDLER && frames[from] != interrupted)
		from++;
	if (from == len || from == FRAMES_OF_HANDLER)
		from = 0;
	len = len - from < WEIR_STALL_FRAMES ? len - from : WEIR_STALL_FRAMES;
	for (int i = 0; i < len; i++)
		stall->frames[i] = frames[from + i];
	stall->frames_len = (uint32_t)len;
}

static void note(struct worker *w, struct weir_task *task, uint64_t cpu_ns, void *ucontext)
{
	struct weir_stall stall = {
		.size = sizeof stall,
		.number = w->base.metrics.stalls + 1,
		.at_ns = weir__clock_system(),
		.cpu_ns = cpu_ns,
		.task_id = weir_task_id(task),
		.where = weir_task_where(task),
		.worker = w->base.index,
	};
	const char *name = weir_task_name(task);

	for (size_t i = 0; i < sizeof stall.task_name - 1 && name[i]; i++)
		stall.task_name[i] = name[i];
	take_backtrace(&stall, weir__os_interrupted(ucontext));
	store_record(&w->stall, &stall);
	/*
	 * Pairs with the load in weir_metrics_last_stall: if a stall is counted, its record is
	 * there.
	 */
	weir__store(&w->base.metrics.stalls, stall.number, WEIR_RELEASE);
	w->stall.noted = w->stall.pending = true;
	/* Makes the main loop turn its drivers next, which delivers this. */
	weir__store(&w->turn_at, worker_tick(w), WEIR_RELAXED);
	weir__store(&w->maintain_at, worker_tick(w), WEIR_RELAXED);
}

static void look(struct worker *w, void *ucontext)
{
	uint64_t poll = w->base.metrics.polls, now = weir__cputimer_now(), cpu_ns;
	struct weir_task *task = w->base.cx.task;
	struct stall *s = &w->stall;

	if (!task || s->poll != poll) {
		s->poll = task ? poll : 0;
		s->since_ns = now;
		s->noted = false;
		return;
	}
	cpu_ns = now - s->since_ns;
	if (s->noted)
		change_record(s, cpu_ns, false);
	else if (cpu_ns >= w->rt->cfg.stall_ns)
		note(w, task, cpu_ns, ucontext);
}

static bool does_nothing_by_default(int signo)
{
	return signo == SIGURG || signo == SIGCHLD || signo == SIGWINCH || signo == SIGCONT;
}

/* Handles a signal of another origin as if this handler were not installed. */
static void chain(int signo, siginfo_t *info, void *ucontext)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(signo, info, ucontext);
	} else if (previous.sa_handler == SIG_DFL && !does_nothing_by_default(signo)) {
		sigaction(signo, &previous, NULL);
		raise(signo);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(signo);
	}
}

static void on_signal(int signo, siginfo_t *info, void *ucontext)
{
	struct weir__worker *w = weir__worker_current();
	int saved = errno;

	if (!weir__cputimer_sent(info))
		chain(signo, info, ucontext);
	else if (w)
		look(worker_of(w), ucontext);
	else
		weir__cputimer_disarm();
	errno = saved;
}

/* ---- around it ---- */

int weir__stall_prepare(int signo)
{
	static struct weir__lock lock;
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	void *frames[4];
	int rc = 0;

	if (signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE || signo == SIGILL)
		return -EINVAL;		/* signals that report a fault of the program */
	weir__lock_take(&lock);
	if (!weir__signal_of_stalls) {
		sigfillset(&sa.sa_mask);
		/*
		 * The first backtrace allocates. If the unwinder cannot be loaded, every one does.
		 */
		can_backtrace = weir__os_backtrace(frames, 4) > 0;
		if (sigaction(signo, NULL, &previous) < 0 || sigaction(signo, &sa, NULL) < 0)
			rc = -errno;
		else
			weir__store(&weir__signal_of_stalls, signo, WEIR_RELAXED);
	} else if (weir__signal_of_stalls != signo) {
		rc = -EBUSY;
	}
	weir__lock_drop(&lock);
	return rc;
}

/* A worker thread may have inherited a mask that blocks all signals. */
static void unblock(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void weir__stall_arm(struct worker *w, bool has_altstack)
{
	const struct weir_rt_config *cfg = &w->rt->cfg;
	int rc;

	if (cfg->stall_ns == WEIR_FOREVER)
		return;
	/*
	 * Without an alternate stack the handler would run on a fiber's stack, which may be nearly
	 * full.
	 */
	rc = has_altstack ? weir__cputimer_arm(cfg->stall_signal, cfg->stall_ns / 2) : -ENOMEM;
	if (rc < 0)
		weir__store(&w->rt->stall_error, rc, WEIR_RELAXED);
	else if (cfg->sched == WEIR_SCHED_MULTI)
		unblock(cfg->stall_signal);
}

bool weir__stall_may_report(struct stall *s, uint64_t now_ns)
{
	if (!s->reports || now_ns - s->minute_ns >= 60 * WEIR_SEC) {
		s->minute_ns = now_ns;
		s->reports = 0;
	}
	if (s->reports == REPORTS_A_MINUTE)
		return false;
	s->reports++;
	return true;
}

void weir__stall_deliver(struct worker *w)
{
	const struct weir_rt_config *cfg = &w->rt->cfg;
	struct stall *s = &w->stall;
	struct weir_stall stall;

	WEIR_ASSERT(s->pending && !w->base.cx.task);
	s->pending = false;
	change_record(s, s->last.cpu_ns, true);
	if (!cfg->on_stall || !weir__stall_may_report(s, weir__clock_system()))
		return;
	stall = s->last;
	cfg->on_stall(cfg->hook_arg, &stall);
}

int weir_metrics_last_stall(const struct weir_rt *rt, unsigned worker, struct weir_stall *ret_stall)
{
	struct weir_stall full;
	struct worker *w;

	if (!rt || worker >= rt->workers || !weir__sized_valid(ret_stall))
		return -EINVAL;
	w = worker_at(runtime_of((struct weir_rt *)(uintptr_t)rt), worker);
	if (weir__load(&w->base.metrics.stalls, WEIR_ACQUIRE) == 0)
		return -ENOENT;
	load_record(&w->stall, &full);
	weir__sized_write(&full, ret_stall);
	return 0;
}
