/* SPDX-License-Identifier: MIT */
/*
 * cputimer_linux.c: sched/cputimer.h on Linux, with POSIX timers on the thread's
 * CPU clock. The kernel checks them in its tick: a timer expires up to a tick
 * late (4 ms with HZ=250), and a nohz_full CPU keeps its tick while one is armed.
 */
#include "sched/cputimer.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "core/rt.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct cputimer {
	timer_t id;
	bool made;
	unsigned fork_generation;	/* a forked child has no timers */
	int signo;
	uint64_t period_ns;		/* 0: not armed */
};

static _Thread_local struct cputimer mine;
static const char mark;			/* its address marks weir's own signals */
static pthread_key_t at_thread_end;

static void delete_timer(void *arg)
{
	struct cputimer *timer = arg;

	if (timer->made && timer->fork_generation == weir__fork_generation)
		timer_delete(timer->id);
	timer->made = false;
}

static void make_key(void)
{
	pthread_key_create(&at_thread_end, delete_timer);
}

static int make_timer(struct cputimer *timer, int signo)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signo };

	pthread_once(&once, make_key);
	event.sigev_value.sival_ptr = (void *)(uintptr_t)&mark;
	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer->id) < 0)
		return -errno;
	timer->made = true;
	timer->fork_generation = weir__fork_generation;
	timer->signo = signo;
	timer->period_ns = 0;
	return -pthread_setspecific(at_thread_end, timer);
}

static int set_period(struct cputimer *timer, uint64_t period_ns)
{
	struct timespec every = { (time_t)(period_ns / WEIR_SEC), (long)(period_ns % WEIR_SEC) };
	struct itimerspec spec = { every, every };

	if (timer_settime(timer->id, 0, &spec, NULL) < 0)
		return -errno;
	timer->period_ns = period_ns;
	return 0;
}

int weir__cputimer_arm(int signo, uint64_t period_ns)
{
	struct cputimer *timer = &mine;
	int rc = 0;

	if (timer->made &&
	    (timer->signo != signo || timer->fork_generation != weir__fork_generation))
		delete_timer(timer);
	if (!timer->made)
		rc = make_timer(timer, signo);
	if (rc == 0 && timer->period_ns != period_ns)
		rc = set_period(timer, period_ns);
	return rc;
}

void weir__cputimer_disarm(void)
{
	if (mine.made && mine.fork_generation == weir__fork_generation)
		set_period(&mine, 0);
}

bool weir__cputimer_sent(const siginfo_t *info)
{
	return info->si_code == SI_TIMER && info->si_value.sival_ptr == &mark;
}

uint64_t weir__cputimer_now(void)
{
	struct timespec ts = { 0, 0 };

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}
