/* SPDX-License-Identifier: MIT */
/*
 * sched_shutdown.c: how a runtime ends: every task is aborted, ends once, and has its fini run.
 * Tasks that do not stop are reported in time, and are cleaned up if they stop later.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/mailbox.h"
#include "core/task/task.h"
#include "tests/unit/runtimes.h"

#define LONG (3600 * WEIR_SEC)

/* ---- tasks that wait --------------------------------------------------------------------- */

enum wait {
	ON_SLEEP,
	ON_LOCK,
	ON_PIPE,
	ON_NOTHING,
	ON_YIELDS,
	WAITS
};

struct crew {
	struct weir_sem sem;
	int fds[2];
	unsigned started, ended, finis;
};

struct member {
	struct crew *crew;
	enum wait wait;
	bool started;
	struct weir_sleep_future sleep;
	struct weir_sem_acquire_future lock;
	int fd_copy;
	struct weir_fd *fd;
	struct weir_op op;
};

/* Each member has a descriptor of its own for the common pipe. */
static void member_open(struct member *m)
{
	m->fd_copy = fcntl(m->crew->fds[0], F_DUPFD_CLOEXEC, 0);
	ck_assert_int_ge(m->fd_copy, 0);
	ck_assert_int_eq(weir_fd_open(m->fd_copy, &m->fd), 0);
}

static void member_close(struct member *m)
{
	if (!m->fd)
		return;
	weir_fd_close(m->fd);
	close(m->fd_copy);
}

static int member_wait(struct member *m)
{
	int rc;

	switch (m->wait) {
	case ON_LOCK:
		return weir_sem_acquire(&m->crew->sem, 1);
	case ON_PIPE:
		member_open(m);
		rc = weir_fd_wait(m->fd, WEIR_READABLE, WEIR_FOREVER);
		member_close(m);
		return rc;
	case ON_YIELDS:
		while ((rc = weir_yield()) == 0)
			;
		return rc;
	default:
		return weir_sleep(LONG);
	}
}

static int member_main(void *arg)
{
	struct member *m = arg;
	int rc;

	add(&m->crew->started, 1);
	rc = member_wait(m);
	ck_assert_msg(rc == -ECANCELED, "wait %d: %d", m->wait, rc);
	add(&m->crew->ended, 1);
	return rc;
}

static void member_start(struct member *m)
{
	m->started = true;
	add(&m->crew->started, 1);
	weir_sleep_init(&m->sleep, weir_deadline_in(LONG));
	weir_sem_acquire_init(&m->lock, &m->crew->sem, 1);
	if (m->wait != ON_PIPE)
		return;
	member_open(m);
	weir_op_init_poll(&m->op, weir_fd_handle(m->fd), WEIR_READABLE);
}

static int member_poll(void *state, struct weir_cx *cx)
{
	struct member *m = state;

	if (!m->started)
		member_start(m);
	if (m->wait == ON_YIELDS)
		weir_waker_wake(&cx->waker);
	if (m->wait == ON_NOTHING || m->wait == ON_YIELDS)
		return WEIR_PENDING;
	return weir_poll(m->wait == ON_PIPE   ? &m->op.future
			 : m->wait == ON_LOCK ? &m->lock.future
					      : &m->sleep.future,
			 cx);
}

static void member_fini(void *state)
{
	struct member *m = state;

	member_close(m);
	add(&m->crew->finis, 1);
}

#define EACH_WAIT 6
#define CREW (2 * WAITS * EACH_WAIT)

/*
 * Spawns both kinds of tasks for every kind of wait. The fibers use members, which must stay valid.
 */
static void crew_spawn(struct weir_rt *rt, struct crew *crew, struct member *members)
{
	unsigned i;

	memset(crew, 0, sizeof *crew);
	weir_sem_init(&crew->sem, 0);
	ck_assert_int_eq(pipe2(crew->fds, O_NONBLOCK | O_CLOEXEC), 0);
	for (i = 0; i < CREW; i++) {
		struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

		members[i] = (struct member){ .crew = crew, .wait = (enum wait)(i / 2 % WAITS) };
		if (i % 2) {
			cfg.fn = member_main;
			cfg.arg = &members[i];
		} else {
			cfg.poll = member_poll;
			cfg.fini = member_fini;
			cfg.state = &members[i];
			cfg.state_bytes = sizeof members[i];
		}
		ck_assert_int_eq(weir_task_spawn(rt, &cfg, NULL), 0);
	}
}

static void crew_check(struct crew *crew)
{
	ck_assert_uint_eq(crew->ended, CREW / 2);
	ck_assert_uint_eq(crew->finis, CREW / 2);
	weir_sem_release(&crew->sem, 1);
	ck_assert_int_eq(weir_sem_acquire_try(&crew->sem, 1), 0);
	weir_sem_fini(&crew->sem);
	close(crew->fds[0]);
	close(crew->fds[1]);
}

static int spawn_inside(void *arg)
{
	static struct member members[CREW];
	struct crew *crew = arg;

	crew_spawn(NULL, crew, members);
	YIELD_UNTIL(get(&crew->started) == CREW);
	return 0;
}

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

START_TEST(every_task_is_stopped_once)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt;
	struct crew crew;
	int i;

	for (i = 0; i < 20; i++) {
		rt = runtime_new(&cfg);
		ck_assert_int_eq(weir_rt_block_on(rt, spawn_inside, &crew), 0);
		ck_assert_uint_eq(weir_rt_alive(rt), CREW);
		runtime_end(rt);
		crew_check(&crew);
	}
}
END_TEST

/* Tasks that were spawned from outside, and perhaps never polled. */
START_TEST(tasks_that_never_ran_are_stopped_too)
{
	static struct member members[CREW];
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt;
	struct crew crew;
	int i;

	for (i = 0; i < 20; i++) {
		rt = runtime_new(&cfg);
		crew_spawn(rt, &crew, members);
		runtime_end(rt);
		crew_check(&crew);
	}
}
END_TEST

/* weir_rt_free gives tasks a tenth of a second. On a busy machine that is not always enough. */
START_TEST(free_shuts_down)
{
	static struct crew crews[10];
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt;
	int i = 0;

	do {
		rt = runtime_new(&cfg);
		ck_assert_int_eq(weir_rt_block_on(rt, spawn_inside, &crews[i]), 0);
		weir_rt_free(rt);
	} while (get(&crews[i].ended) + get(&crews[i].finis) < CREW && ++i < 9);
	crew_check(&crews[i]);
	weir_rt_free(NULL);
}
END_TEST

/*
 * With a deadline of now, tasks that stop when they are aborted do stop, though not always in time
 * on a busy machine.
 */
START_TEST(a_shutdown_without_time)
{
	static struct crew crews[10];
	static struct weir_rt *rts[10];
	struct weir_rt_config cfg = runtime_config(_i);
	int i, rc = -ETIMEDOUT;

	for (i = 0; i < 10 && rc < 0; i++) {
		rts[i] = runtime_new(&cfg);
		ck_assert_int_eq(weir_rt_block_on(rts[i], spawn_inside, &crews[i]), 0);
		rc = weir_rt_shutdown(rts[i], 0);
		ck_assert(rc == 0 || rc == -ETIMEDOUT);
	}
	ck_assert_int_eq(rc, 0);
	crew_check(&crews[i - 1]);
	weir_rt_free(rts[i - 1]);
}
END_TEST

START_TEST(a_shutdown_with_nothing_to_stop)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt;
	int i;

	for (i = 0; i < 50; i++) {
		rt = runtime_new(&cfg);
		if (i % 2)
			ck_assert_int_eq(weir_rt_block_on(rt, do_nothing, NULL), 0);
		ck_assert_int_eq(weir_rt_shutdown(rt, i % 3 ? WEIR_FOREVER : testing_hang_ns()), 0);
		ck_assert_int_eq(weir_rt_shutdown(rt, 0), 0);
		ck_assert_int_eq(weir_rt_block_on(rt, do_nothing, NULL), -ESHUTDOWN);
		weir_rt_free(rt);
	}
}
END_TEST

static int shut_down_inside(void *arg)
{
	struct weir_rt *rt = arg;

	weir_rt_free(rt);
	return weir_rt_shutdown(rt, WEIR_FOREVER);
}

START_TEST(a_shutdown_from_inside_is_refused)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);

	ck_assert_int_eq(weir_rt_block_on(rt, shut_down_inside, rt), -EPERM);
	ck_assert_int_eq(weir_rt_block_on(rt, do_nothing, NULL), 0);
	runtime_end(rt);
}
END_TEST

static int shut_down_in_job(void *rt)
{
	return weir_blocking_run(shut_down_inside, rt);
}

struct hooked {
	struct weir_rt *rt;
	unsigned err;
};

static void shut_down_in_hook(void *arg, unsigned worker UNUSED)
{
	struct hooked *h = arg;

	set(&h->err, (unsigned)-shut_down_inside(h->rt));
}

/* A shutdown from a job or a hook would wait for that job or hook. */
START_TEST(a_shutdown_from_a_job_or_hook_is_refused)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct hooked h = { .err = 0 };

	cfg.on_worker_stop = shut_down_in_hook;
	cfg.hook_arg = &h;
	h.rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_block_on(h.rt, shut_down_in_job, h.rt), -EDEADLK);
	ck_assert_int_eq(weir_rt_block_on(h.rt, do_nothing, NULL), 0);
	runtime_end(h.rt);
	ck_assert_uint_eq(h.err, _i == ON_CURRENT ? EDEADLK : EPERM);
}
END_TEST

/* ---- tasks that do not stop -------------------------------------------------------------- */

struct stubborn {
	struct weir_rt *rt;
	unsigned running, release;
	struct event let_go;
	int rc;
};

static int spin(void *arg)
{
	struct stubborn *s = arg;

	set(&s->running, 1);
	while (!get(&s->release))
		;
	return 1;
}

static void *spin_in_block_on(void *arg)
{
	struct stubborn *s = arg;

	s->rc = weir_rt_block_on(s->rt, spin, s);
	return NULL;
}

START_TEST(a_fiber_that_spins_is_reported)
{
	struct weir_rt_config cfg = runtime_config(_i % RUNTIMES);
	struct stubborn s = { .rc = 1 };
	uint64_t before, timeout_ns = _i < RUNTIMES ? 0 : 20 * WEIR_MSEC;
	pthread_t thread;

	s.rt = runtime_new(&cfg);
	thread = thread_start(spin_in_block_on, &s);
	while (!get(&s.running))
		;
	before = weir_now();
	ck_assert_int_eq(weir_rt_shutdown(s.rt, timeout_ns), -ETIMEDOUT);
	ck_assert_uint_lt(weir_now() - before, testing_hang_ns());
	set(&s.release, 1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(s.rc, 1);
	ck_assert_int_eq(weir_rt_shutdown(s.rt, testing_hang_ns()), 0);
	weir_rt_free(s.rt);
}
END_TEST

static int wait_event(void *arg)
{
	struct stubborn *s = arg;

	set(&s->running, 1);
	event_wait(&s->let_go, 1);
	return 7;
}

static int block_for_long(void *arg)
{
	return weir_blocking_run(wait_event, arg);
}

static WEIR_NOINLINE void scribble(void)
{
	volatile unsigned char waste[16384];
	unsigned i;

	for (i = 0; i < sizeof waste; i++)
		waste[i] = 0x5a;
}

static void *block_on_job(void *arg)
{
	struct stubborn *s = arg;

	s->rc = weir_rt_block_on(s->rt, block_for_long, s);
	scribble();
	return NULL;
}

/*
 * The root waits for a job that does not end. block_on gives up, and nothing may use its stack
 * then.
 */
START_TEST(a_root_that_waits_for_a_job_is_reported)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	struct stubborn s = { .rc = 1, .let_go = EVENT_INIT };
	struct weir_clock *clock = NULL;
	pthread_t thread;

	if (_i)
		ck_assert_int_eq(weir_clock_new(&clock), 0);
	cfg.clock = clock;
	cfg.no_io = _i == 2;
	s.rt = runtime_new(&cfg);
	thread = thread_start(block_on_job, &s);
	while (!get(&s.running))
		;
	ck_assert_int_eq(weir_rt_shutdown(s.rt, 20 * WEIR_MSEC), -ETIMEDOUT);
	pthread_join(thread, NULL);
	ck_assert_int_eq(s.rc, -ESHUTDOWN);
	event_raise(&s.let_go);
	ck_assert_int_eq(weir_rt_shutdown(s.rt, testing_hang_ns()), 0);
	weir_rt_free(s.rt);
	weir_clock_free(clock);
}
END_TEST

/*
 * A task that outlasts the shutdown keeps its memory. This reference hides it from the leak check.
 */
static struct weir_rt *left_behind;

START_TEST(a_task_that_waits_for_a_job_is_reported)
{
	static struct stubborn s = { .rc = 1, .let_go = EVENT_INIT };
	struct weir_rt_config cfg = runtime_config(_i ? ON_FOUR : ON_ONE);
	uint64_t before;

	left_behind = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_spawn(left_behind, block_for_long, &s, NULL), 0);
	while (!get(&s.running))
		;
	before = weir_now();
	ck_assert_int_eq(weir_rt_shutdown(left_behind, 20 * WEIR_MSEC), -ETIMEDOUT);
	ck_assert_uint_lt(weir_now() - before, testing_hang_ns());
	event_raise(&s.let_go);
	weir_rt_free(left_behind);
}
END_TEST

/* ---- the report about them ---- */

static void expect_why(const char *first, const char *second)
{
	const char *why = weir_rt_why();

	ck_assert_msg(strstr(why, first) && strstr(why, second),
		      "\"%s\" does not contain both \"%s\" and \"%s\"", why, first, second);
	ck_assert_ptr_null(strchr(why, '\n'));
}

/* A stream whose home is busy when another worker submits a receive on it. */
struct late_mail {
	struct weir_listener *listener;
	struct weir_tcp *conn, *peer;
	unsigned busy, over, stopped;	/* atomic */
};

static int receive_at_home(void *arg)
{
	struct late_mail *m = arg;
	struct weir_lease lease;
	struct weir_addr addr;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &m->listener), 0);
	ck_assert_int_eq(weir_listener_addr(m->listener, &addr), 0);
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &m->peer), 0);
	ck_assert_int_eq(weir_listener_accept(m->listener, &m->conn), 0);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(weir_tcp_send(m->peer, "x", 1), 1);
		ck_assert_int_eq(weir_tcp_recv_lease(m->conn, &lease), 1);
		weir_lease_return(&lease);
	}
	set(&m->busy, 1);
	while (!get(&m->over))
		usleep(1000);
	return 0;
}

static int receive_elsewhere(void *arg)
{
	struct late_mail *m = arg;
	struct weir_lease lease;

	return weir_tcp_recv_lease(m->conn, &lease);
}

static void count_stopped(void *arg, unsigned worker UNUSED)
{
	add(&((struct late_mail *)arg)->stopped, 1);
}

static void spawn_on(struct weir_rt *rt, int worker, int (*fn)(void *), void *arg)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.fn = fn;
	cfg.arg = arg;
	cfg.flags = WEIR_TASK_PINNED;
	cfg.worker = 1 + worker;
	ck_assert_int_eq(weir_task_spawn(rt, &cfg, NULL), 0);
}

/* The thread that shuts down is no worker, so it must not submit the operation. */
START_TEST(an_op_mailed_to_a_busy_worker_is_not_submitted_after_its_end)
{
	struct weir_rt_config cfg = place_config(PLACES - 1);
	static struct late_mail mail;

	if (!place_is_there(&cfg))
		return;
	cfg.on_worker_stop = count_stopped;
	cfg.hook_arg = &mail;
	left_behind = runtime_new(&cfg);
	spawn_on(left_behind, 0, receive_at_home, &mail);
	while (!get(&mail.busy))
		usleep(1000);
	spawn_on(left_behind, 1, receive_elsewhere, &mail);
	while (weir__mail_is_empty(&weir_tcp_handle(mail.conn)->mail))
		usleep(1000);
	ck_assert_int_eq(weir_rt_shutdown(left_behind, 20 * WEIR_MSEC), -ETIMEDOUT);
	set(&mail.over, 1);
	while (get(&mail.stopped) < 2)
		usleep(1000);
	/* The shutdown delivers the mailbox's requests. */
	ck_assert_int_eq(weir_rt_shutdown(left_behind, WEIR_SEC), -ETIMEDOUT);
	weir_rt_free(left_behind);
}
END_TEST

START_TEST(a_running_task_is_named_by_where_it_was_spawned)
{
	static struct stubborn s;
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_task *ended;

	s.rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_rt_spawn(s.rt, do_nothing, NULL, &ended), 0);
	ck_assert_int_eq(weir_rt_spawn(s.rt, spin, &s, NULL), 0);
	while (!get(&s.running) || !weir_task_is_complete(ended))
		sched_yield();
	ck_assert_int_eq(weir_rt_shutdown(s.rt, 20 * WEIR_MSEC), -ETIMEDOUT);
	expect_why("a_running_task_is_named_by_where_it_was_spawned", "sched_shutdown.c");
	expect_why("tasks left: 1", "blocking jobs: 0");
	expect_why("", ", is running");
	set(&s.release, 1);
	ck_assert_int_eq(weir_rt_shutdown(s.rt, testing_hang_ns()), 0);
	ck_assert_str_eq(weir_rt_why(), "");
	weir_task_detach(ended);
	weir_rt_free(s.rt);
}
END_TEST

#define TRIES 10
#define STAYING 6u
static struct weir_rt *runs_left[TRIES];
static unsigned runs_count, runs_waiting;

static int wait_shielded(void *arg)
{
	struct weir_notified_future never;

	weir_notified_init(&never, arg);
	add(&runs_waiting, 1);
	return weir__await_shielded(&never.future);
}

static int leave_some_behind(void *never)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	unsigned i;

	cfg.fn = wait_shielded;
	cfg.arg = never;
	cfg.name = "one that stays";
	set(&runs_waiting, 0);
	runs_left[runs_count++] = weir_rt_current();
	for (i = 0; i < STAYING; i++)
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), 0);
	while (get(&runs_waiting) < STAYING)
		ck_assert_int_eq(weir_yield(), 0);
	return 7;
}

static unsigned count_of(const char *text, const char *word)
{
	unsigned n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/*
 * weir_rt_run returns its root's result even if another task does not stop. The tasks that stayed
 * are named once the workers have ended. They have a moment for that, which on a busy machine is
 * not always enough.
 */
START_TEST(a_run_returns_the_roots_result_and_names_tasks_that_stayed)
{
	struct weir_rt_config cfg = runtime_config(_i);
	static struct weir_notify never;
	unsigned i;

	weir_notify_init(&never);
	do {
		ck_assert_int_eq(weir_rt_run(&cfg, leave_some_behind, &never), 7);
		expect_why("tasks left: 6", "spawned at");
	} while (runs_count < TRIES && !strstr(weir_rt_why(), "\"one that stays\""));
	expect_why("waits for: notified", "; 2 more");
	ck_assert_uint_eq(count_of(weir_rt_why(), "\"one that stays\", spawned at "), 4);
	ck_assert_uint_eq(count_of(weir_rt_why(), "waits for: notified"), 4);
	for (i = 0; i == 0 || (i < TRIES && weir_rt_why()[0]); i++)
		ck_assert_int_eq(weir_rt_run(&cfg, do_nothing, NULL), 0);
	ck_assert_str_eq(weir_rt_why(), "");
}
END_TEST

START_TEST(a_job_that_stays_is_counted)
{
	static struct stubborn s = { .let_go = EVENT_INIT };
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);

	ck_assert_int_eq(weir_blocking_spawn(rt, wait_event, &s), 0);
	while (!get(&s.running))
		sched_yield();
	ck_assert_int_eq(weir_rt_shutdown(rt, 20 * WEIR_MSEC), -ETIMEDOUT);
	expect_why("tasks left: 0", "blocking jobs: 1");
	event_raise(&s.let_go);
	runtime_end(rt);
}
END_TEST

/* ---- while other threads use the runtime ------------------------------------------------- */

static int sleep_a_little(void *arg)
{
	add(arg, 1);
	return weir_sleep(50 * WEIR_USEC);
}

struct caller {
	struct weir_rt *rt;
	unsigned *calls;
};

static void *block_on_until_refused(void *arg)
{
	struct caller *c = arg;
	int rc;

	do {
		rc = weir_rt_block_on(c->rt, sleep_a_little, c->calls);
		ck_assert_msg(rc == 0 || rc == -ECANCELED || rc == -ESHUTDOWN, "block_on: %d", rc);
	} while (rc != -ESHUTDOWN);
	return NULL;
}

START_TEST(shutdown_while_others_block_on)
{
	struct weir_rt_config cfg = runtime_config(_i);
	pthread_t threads[4];
	int i, round;

	for (round = 0; round < 20; round++) {
		struct weir_rt *rt = runtime_new(&cfg);
		unsigned calls = 0;
		struct caller caller = { rt, &calls };

		for (i = 0; i < 4; i++)
			threads[i] = thread_start(block_on_until_refused, &caller);
		while (get(&calls) < 20)
			;
		ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
		for (i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		weir_rt_free(rt);
	}
}
END_TEST

static int wait_and_die(void *arg)
{
	(void)arg;
	return weir_sleep(LONG);
}

static void *spawn_until_refused(void *arg)
{
	struct caller *c = arg;
	int rc;

	while ((rc = weir_rt_spawn(c->rt, wait_and_die, NULL, NULL)) == 0)
		add(c->calls, 1);
	ck_assert_int_eq(rc, -ESHUTDOWN);
	return NULL;
}

START_TEST(shutdown_while_others_spawn)
{
	struct weir_rt_config cfg = runtime_config(_i);
	pthread_t threads[3];
	int i, round;

	for (round = 0; round < 10; round++) {
		struct weir_rt *rt = runtime_new(&cfg);
		unsigned calls = 0;
		struct caller caller = { rt, &calls };

		for (i = 0; i < 3; i++)
			threads[i] = thread_start(spawn_until_refused, &caller);
		while (get(&calls) < 30)
			;
		ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
		for (i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		ck_assert_uint_eq(weir_rt_alive(rt), 0);
		weir_rt_free(rt);
	}
}
END_TEST

/* A task has blocked in place, so the worker's thread is one of the pool's. */
static int in_place_root(void *arg)
{
	struct stubborn *s = arg;
	struct weir_fd *fd;
	int fds[2], rc;

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_fd_open(fds[0], &fd), 0);
	ck_assert_int_eq(weir_block_in_place(do_nothing, s), 0);
	rc = weir_fd_wait(fd, WEIR_READABLE, WEIR_FOREVER);
	weir_fd_close(fd);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

START_TEST(shutdown_after_a_worker_has_changed_its_thread)
{
	struct weir_rt_config cfg = runtime_config(_i ? ON_FOUR : ON_ONE);
	int i, j;

	for (i = 0; i < 50; i++) {
		struct weir_rt *rt = runtime_new(&cfg);
		struct stubborn s = { .rc = 1 };

		for (j = 0; j < 6; j++)
			ck_assert_int_eq(weir_rt_spawn(rt, in_place_root, &s, NULL), 0);
		ck_assert_int_eq(weir_rt_block_on(rt, do_nothing, NULL), 0);
		ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
		weir_rt_free(rt);
	}
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EACH(every_task_is_stopped_once),
		EACH(tasks_that_never_ran_are_stopped_too),
		/* Tries that were too slow leak. */
		EACH(free_shuts_down, .flags = TESTING_MAY_LEAK_FDS | TESTING_MAY_LEAK_MEMORY),
		EACH(a_shutdown_without_time,
		     .flags = TESTING_MAY_LEAK_FDS | TESTING_MAY_LEAK_MEMORY),
		EACH(a_shutdown_with_nothing_to_stop),
		EACH(a_shutdown_from_inside_is_refused),
		EACH(a_shutdown_from_a_job_or_hook_is_refused),
		TESTING(a_fiber_that_spins_is_reported, .rounds = 2 * RUNTIMES),
		TESTING(a_root_that_waits_for_a_job_is_reported, .rounds = 3),
		/* rt.h says what is leaked in this case. */
		TESTING(a_task_that_waits_for_a_job_is_reported, .rounds = 2,
			.flags = TESTING_MAY_LEAK_FDS | TESTING_MAY_LEAK_MEMORY),
		TESTING(an_op_mailed_to_a_busy_worker_is_not_submitted_after_its_end,
			.flags = TESTING_MAY_LEAK_FDS | TESTING_MAY_LEAK_MEMORY),
		TESTING(a_running_task_is_named_by_where_it_was_spawned),
		EACH(a_run_returns_the_roots_result_and_names_tasks_that_stayed,
		     .flags = TESTING_MAY_LEAK_FDS | TESTING_MAY_LEAK_MEMORY),
		EACH(a_job_that_stays_is_counted),
		EACH(shutdown_while_others_block_on),
		EACH(shutdown_while_others_spawn),
		TESTING(shutdown_after_a_worker_has_changed_its_thread, .rounds = 2),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
