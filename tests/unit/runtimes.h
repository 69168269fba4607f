/* SPDX-License-Identifier: MIT */
/*
 * runtimes.h: helpers for tests of the runtime: tests that run on each kind of
 * runtime, and an event for plain threads and blocking jobs.
 *
 * A test made with ON_EACH has RUNTIMES rounds. Its body runs on a fiber of the
 * runtime, which must shut down without errors afterwards.
 */
#ifndef WEIR_TESTS_RUNTIMES_H
#define WEIR_TESTS_RUNTIMES_H

#include <pthread.h>
#include <string.h>

#include "tests/support/testing.h"
#include "weir/weir.h"

#define UNUSED __attribute__((unused))

enum {
	ON_CURRENT,
	ON_ONE,
	ON_FOUR,
	RUNTIMES
};

static inline struct weir_rt_config runtime_config(int kind)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.sched = kind == ON_CURRENT ? WEIR_SCHED_CURRENT : WEIR_SCHED_MULTI;
	cfg.workers = kind == ON_FOUR ? 4 : 1;
	return cfg;
}

#define PLACES 6	/* each backend on the current-thread scheduler, with one and two workers */

static inline struct weir_rt_config place_config(int i)
{
	struct weir_rt_config cfg = runtime_config(i % 3 ? ON_ONE : ON_CURRENT);

	cfg.backend = i < 3 ? "epoll" : "io_uring";
	if (i % 3 == 2)
		cfg.workers = 2;
	return cfg;
}

/* Returns false, and marks the test as skipped, if the backend cannot run here. */
static inline bool place_is_there(const struct weir_rt_config *cfg)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++)
		if (strcmp(info.name, cfg->backend) == 0 && info.err == 0)
			return true;
	testing_skip("no %s here", cfg->backend);
	return false;
}

static inline struct weir_rt *runtime_new(const struct weir_rt_config *cfg)
{
	struct weir_rt *rt = NULL;
	int rc = weir_rt_new(cfg, &rt);

	ck_assert_msg(rc == 0, "weir_rt_new: %s: %s", weir_strerror(rc), weir_rt_why());
	return rt;
}

static inline void runtime_end(struct weir_rt *rt)
{
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
}

static inline void runtime_run(const struct weir_rt_config *cfg, int (*fn)(void *), void *arg)
{
	struct weir_rt *rt = runtime_new(cfg);

	ck_assert_int_eq(weir_rt_block_on(rt, fn, arg), 0);
	runtime_end(rt);
}

/* Defines a test. Its body follows, and returns 0. */
#define ON_EACH(name)                                                                              \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct weir_rt_config cfg = runtime_config(_i);                                    \
                                                                                                   \
		runtime_run(&cfg, name##_body, NULL);                                              \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg UNUSED)

#define EACH(name, ...) TESTING(name, .rounds = RUNTIMES, __VA_ARGS__)

/* For fibers: yields until the condition holds. If it never does, the watchdog ends the test. */
#define YIELD_UNTIL(condition)                                                                     \
	do {                                                                                       \
	} while (!(condition) && weir_yield() == 0)

/* ---- flags and counters that several threads share ---- */

static inline unsigned get(const unsigned *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void set(unsigned *word, unsigned value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline unsigned add(unsigned *word, unsigned n)
{
	return __atomic_add_fetch(word, n, __ATOMIC_ACQ_REL);
}

/* ---- an event, which counts how often it was raised ---- */

struct event {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned raised;
};

#define EVENT_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

static inline void event_raise(struct event *e)
{
	pthread_mutex_lock(&e->lock);
	e->raised++;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

/* Blocks the thread until the event has been raised this many times. */
static inline void event_wait(struct event *e, unsigned times)
{
	pthread_mutex_lock(&e->lock);
	while (e->raised < times)
		pthread_cond_wait(&e->changed, &e->lock);
	pthread_mutex_unlock(&e->lock);
}

static inline unsigned event_raised(struct event *e)
{
	unsigned n;

	pthread_mutex_lock(&e->lock);
	n = e->raised;
	pthread_mutex_unlock(&e->lock);
	return n;
}

static inline pthread_t thread_start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, fn, arg), 0);
	return thread;
}

/* Milliseconds, multiplied by WEIR_TEST_SCALE, in ns. */
static inline uint64_t scaled_ms(unsigned ms)
{
	return testing_scaled(ms) * WEIR_MSEC;
}

#endif
