/* SPDX-License-Identifier: MIT */
/*
 * backends_persistent.c: persistent errors, on each backend and scheduler: a system call that a
 * filter makes fail for good, a backend that cannot wait, a queue that stays full. Nothing may be
 * retried without end, other tasks must go on, and the failing call must return.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/registry.h"
#include "tests/unit/runtimes.h"

/* ---- filters ------------------------------------------------------------------------------ */

/*
 * Makes the system calls fail on all threads from now on. Returns false if filters are not
 * available.
 */
static bool forbid(const int *calls, unsigned n, int err)
{
	struct sock_filter code[32];
	struct sock_fprog program = { .filter = code };
	unsigned len = 0;

	code[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < n; i++) {
		code[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (unsigned)calls[i], 0, 1);
		code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
							   SECCOMP_RET_ERRNO | (unsigned)err);
	}
	code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)len;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
		       &program) == 0;
}

static bool forbid_one(int call, int err)
{
	return forbid(&call, 1, err);
}

static const int waits[] = {
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
#ifdef SYS_epoll_pwait2
	SYS_epoll_pwait2,
#endif
	SYS_epoll_pwait,
	SYS_io_uring_enter,
};

static bool forbid_waits(int err)
{
	return forbid(waits, sizeof(waits) / sizeof(waits[0]), err);
}

/* ---- each backend on each scheduler ------------------------------------------------------- */

static const struct {
	const char *backend;
	enum weir_sched_kind sched;
	unsigned workers;
} kinds[] = {
	{ "epoll", WEIR_SCHED_CURRENT, 1 },    { "epoll", WEIR_SCHED_MULTI, 1 },
	{ "epoll", WEIR_SCHED_MULTI, 2 },      { "io_uring", WEIR_SCHED_CURRENT, 1 },
	{ "io_uring", WEIR_SCHED_MULTI, 1 },   { "io_uring", WEIR_SCHED_MULTI, 2 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define KIND(name, ...) TESTING(name, .rounds = KINDS, ##__VA_ARGS__)

static bool by_ring;
static struct weir_rt *rt;

static struct weir_rt_config config(int kind)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.backend = kinds[kind].backend;
	cfg.sched = kinds[kind].sched;
	cfg.workers = kinds[kind].workers;
	by_ring = strcmp(cfg.backend, "io_uring") == 0;
	return cfg;
}

/* Makes the runtime. Returns false if the test was marked as skipped. */
static bool make(const struct weir_rt_config *cfg)
{
	if (weir_rt_new(cfg, &rt) == 0)
		return true;
	testing_skip("%s", weir_rt_why());
	return false;
}

static void run_body(int kind, int (*body)(void *), void *arg)
{
	struct weir_rt_config cfg = config(kind);

	if (!make(&cfg))
		return;
	ck_assert_int_eq(weir_rt_block_on(rt, body, arg), 0);
	runtime_end(rt);
}

static int beat(void *arg)
{
	while (weir_sleep(WEIR_MSEC) == 0)
		add(arg, 1);
	return 0;
}

/* ---- accept ------------------------------------------------------------------------------- */

static int client_of(struct weir_listener *listener)
{
	struct weir_addr addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	ck_assert_int_eq(connect(fd, &addr.u.sa, addr.len), 0);
	return fd;
}

/*
 * Returns the result of an accept, while another task runs. io_uring accepts without the system
 * call.
 */
static int accept_body(void *arg)
{
	int err = *(int *)arg, client, rc;
	struct weir_listener *listener;
	struct weir_tcp *conn;
	struct weir_task *task;
	unsigned beats = 0;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), 0);
	ck_assert_int_eq(weir_spawn(beat, &beats, &task), 0);
	client = client_of(listener);
	rc = weir_listener_accept(listener, &conn);
	if (rc == 0)
		weir_tcp_close(conn);
	ck_assert_int_eq(rc, by_ring ? 0 : -err);
	ck_assert_int_eq(weir_listener_accept_try(listener, &conn), -err);
	YIELD_UNTIL(get(&beats) > 0);
	weir_task_abort(task);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	close(client);
	weir_listener_close(listener);
	return 0;
}

static void accept_fails_with(int kind, int err)
{
	struct weir_rt_config cfg = config(kind);

	if (!make(&cfg))
		return;
	if (forbid_one(SYS_accept4, err))
		ck_assert_int_eq(weir_rt_block_on(rt, accept_body, &err), 0);
	else
		testing_skip("no seccomp filters here");
	runtime_end(rt);
}

START_TEST(an_accept_that_is_forbidden_says_so)
{
	accept_fails_with(_i, EPERM);
}
END_TEST

/* As if every queued connection were broken: some are skipped, but not without end. */
START_TEST(an_accept_that_finds_only_the_dead_says_so)
{
	accept_fails_with(_i, ECONNABORTED);
}
END_TEST

/* ---- calls that are always interrupted ---------------------------------------------------- */

static const int transfers[] = { SYS_recvfrom, SYS_sendto, SYS_sendmsg, SYS_recvmsg };

static int interrupted_body(void *arg)
{
	struct weir_tcp *conn;
	struct iovec iov[2];
	int fds[2];
	char buf[4];

	(void)arg;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(write(fds[1], "xxxxxxxx", 8), 8);
	ck_assert_int_eq(weir_tcp_adopt(fds[0], &conn), 0);
	ck_assert_int_eq(weir_tcp_recv_try(conn, buf, 4), -EINTR);
	ck_assert_int_eq(weir_tcp_send_try(conn, buf, 4), -EINTR);
	iov[0] = iov[1] = (struct iovec){ buf, 2 };
	ck_assert_int_eq(weir_tcp_sendv(conn, iov, 2), -EINTR);
	weir_tcp_close(conn);
	close(fds[1]);
	return 0;
}

START_TEST(calls_that_are_always_interrupted_answer)
{
	struct weir_rt_config cfg = config(_i);

	if (!make(&cfg))
		return;
	if (forbid(transfers, sizeof(transfers) / sizeof(transfers[0]), EINTR))
		ck_assert_int_eq(weir_rt_block_on(rt, interrupted_body, NULL), 0);
	else
		testing_skip("no seccomp filters here");
	runtime_end(rt);
}
END_TEST

/* ---- a wait that fails -------------------------------------------------------------------- */

struct said {
	unsigned failed, works;
	int err;
};

static void note_io_error(void *arg, unsigned worker, int err)
{
	struct said *said = arg;

	ck_assert_uint_lt(worker, 2);
	if (err)
		__atomic_store_n(&said->err, err, __ATOMIC_RELAXED);
	add(err ? &said->failed : &said->works, 1);
}

static uint64_t waits_made(void)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;
	uint64_t sum = 0;

	for (unsigned i = 0; weir_metrics_worker(rt, i, &m) == 0; i++)
		sum += m.waits;
	return sum;
}

static int nothing(void *arg)
{
	add(arg, 1);
	return 0;
}

static void *spawn_outside(void *arg)
{
	ck_assert_int_eq(weir_rt_spawn(rt, nothing, arg, NULL), 0);
	return NULL;
}

static int io_error(void)
{
	struct weir_metrics m = WEIR_METRICS_INIT;

	ck_assert_int_eq(weir_metrics_get(rt, &m), 0);
	return m.io_error;
}

/* Sleeps, and checks that the wait is not called often: a spinning worker makes 20 calls per ms. */
static void sleep_without_spinning(void)
{
	uint64_t before = waits_made(), from = weir_now(), ms;

	ck_assert_int_eq(weir_sleep(300 * WEIR_MSEC), 0);
	ms = (weir_now() - from) / WEIR_MSEC;
	ck_assert_uint_lt(waits_made() - before, 100 + ms);
}

static int deaf_body(void *arg)
{
	struct said *said = arg;
	struct weir_signal usr1;
	unsigned ran = 0;
	pthread_t thread;

	ck_assert_int_eq(weir_signal_open(&usr1, SIGUSR1), 0);
	sleep_without_spinning();
	YIELD_UNTIL(get(&said->failed) > 0);
	ck_assert_int_eq(io_error(), said->err);
	/* Wakes from other threads still arrive. */
	thread = thread_start(spawn_outside, &ran);
	while (!get(&ran))
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	pthread_join(thread, NULL);
	raise(SIGUSR1);
	ck_assert_int_ge(weir_signal_wait(&usr1, WEIR_FOREVER), 0);
	weir_signal_close(&usr1);
	return 0;
}

static const int wait_errors[] = { EPERM, ENOMEM, EAGAIN, EBADF };
#define WAIT_ERRORS (sizeof(wait_errors) / sizeof(wait_errors[0]))

START_TEST(a_wait_that_fails_for_good_does_not_spin)
{
	int err = wait_errors[_i % (int)WAIT_ERRORS];
	struct weir_rt_config cfg = config(_i / (int)WAIT_ERRORS);
	struct said said = { 0 };

	cfg.on_io_error = note_io_error;
	cfg.hook_arg = &said;
	if (!make(&cfg))
		return;
	if (forbid_waits(err)) {
		ck_assert_int_eq(weir_rt_block_on(rt, deaf_body, &said), 0);
		ck_assert_int_eq(said.err, -err);
		ck_assert_uint_le(said.failed, cfg.workers);
		ck_assert_uint_eq(said.works, 0);
	} else {
		testing_skip("no seccomp filters here");
	}
	runtime_end(rt);
}
END_TEST

/* The listener has an accept in the kernel, and the cancel never reaches the kernel. */
static int closing_body(void *arg)
{
	struct weir_listener *listener;
	struct weir_tcp *conn;

	(void)arg;
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_accept_until(listener, weir_deadline_in(WEIR_MSEC), &conn),
			 -ETIMEDOUT);
	if (!forbid_waits(ENOMEM))
		testing_skip("no seccomp filters here");
	/* This leaves work that the ring does only when it is entered. */
	close(client_of(listener));
	weir_listener_close(listener);
	return weir_sleep(WEIR_MSEC);
}

START_TEST(a_listener_is_closed_while_the_wait_fails)
{
	struct weir_rt_config cfg = config(_i);

	if (!make(&cfg))
		return;
	ck_assert_int_eq(weir_rt_block_on(rt, closing_body, NULL), 0);
	/*
	 * The kernel cannot be told to give the accept up. It only matters that the runtime ends.
	 */
	(void)weir_rt_shutdown(rt, 100 * WEIR_MSEC);
	weir_rt_free(rt);
}
END_TEST

/* A copy of another backend's ops, with a wait that fails while a flag is set. */
static struct weir_backend_ops moody;
static const struct weir_backend_ops *sound;
static unsigned in_a_mood;

static int moody_poll(struct weir_backend *be, uint64_t deadline, bool busy)
{
	return get(&in_a_mood) ? -EIO : sound->poll(be, deadline, busy);
}

static int heal(void *arg)
{
	struct said *said = arg;

	while (!get(&said->failed))
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	ck_assert_int_eq(io_error(), -EIO);
	set(&in_a_mood, 0);
	while (!get(&said->works))
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	ck_assert_int_eq(io_error(), 0);
	return 0;
}

/* With one worker, because each worker reports for itself. */
START_TEST(a_wait_that_works_again_is_reported)
{
	struct weir_rt_config cfg = config(_i);
	struct said said = { 0 };

	sound = weir__backend_find(cfg.backend);
	if (!sound) {
		testing_skip("this build has no %s", cfg.backend);
		return;
	}
	moody = *sound;
	moody.poll = moody_poll;
	set(&in_a_mood, 1);
	cfg.backend = NULL;
	cfg.backend_ops = &moody;
	cfg.workers = 1;
	cfg.on_io_error = note_io_error;
	cfg.hook_arg = &said;
	if (!make(&cfg))
		return;
	ck_assert_int_eq(weir_rt_block_on(rt, heal, &said), 0);
	ck_assert_int_eq(said.err, -EIO);
	ck_assert_uint_eq(said.failed, 1);
	ck_assert_uint_eq(said.works, 1);
	runtime_end(rt);
}
END_TEST

/* ---- a Unix listener whose queue is full -------------------------------------------------- */

struct full {
	struct weir_addr addr;
	int listener;
	int clients[16];
	unsigned len;
	unsigned waits;			/* whether a connect waits for room */
};

static void full_begin(struct full *f)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(un);

	memset(f, 0, sizeof(*f));
	f->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(f->listener, (struct sockaddr *)&un, sizeof(un.sun_family)), 0);
	ck_assert_int_eq(listen(f->listener, 0), 0);
	ck_assert_int_eq(getsockname(f->listener, (struct sockaddr *)&un, &len), 0);
	memcpy(&f->addr.u, &un, len);
	f->addr.len = len;
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		ck_assert_uint_lt(f->len, 16);
		f->clients[f->len++] = fd;
		if (connect(fd, &f->addr.u.sa, f->addr.len) < 0)
			break;
	}
	ck_assert_int_eq(errno, EAGAIN);
}

static void full_end(struct full *f)
{
	while (f->len > 0)
		close(f->clients[--f->len]);
	close(f->listener);
}

static uint64_t calls_made(void)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;
	uint64_t sum = 0;

	for (unsigned i = 0; weir_metrics_worker(rt, i, &m) == 0; i++)
		sum += m.syscalls;
	return sum;
}

static int make_room(void *arg)
{
	struct full *f = arg;
	int rc = weir_sleep(20 * WEIR_MSEC);

	for (unsigned i = 0; i < f->len - 1; i++)
		close(accept(f->listener, NULL, NULL));
	return rc;
}

static int full_body(void *arg)
{
	struct full f;
	struct weir_tcp *conn;
	uint64_t calls, from;

	(void)arg;
	full_begin(&f);
	calls = calls_made();
	from = weir_now();
	ck_assert_int_eq(weir_tcp_connect_addr(&f.addr, weir_deadline_in(200 * WEIR_MSEC), &conn),
			 -ETIMEDOUT);
	ck_assert_uint_lt(calls_made() - calls, 100 + (weir_now() - from) / WEIR_MSEC);
	ck_assert_int_eq(weir_spawn(make_room, &f, NULL), 0);
	ck_assert_int_eq(weir_tcp_connect_addr(&f.addr, WEIR_FOREVER, &conn), 0);
	weir_tcp_close(conn);
	full_end(&f);
	return 0;
}

START_TEST(a_unix_connect_waits_for_room_without_spinning)
{
	run_body(_i, full_body, NULL);
}
END_TEST

static int connect_for_ever(void *arg)
{
	struct weir_tcp *conn;

	return weir_tcp_connect_addr(arg, WEIR_FOREVER, &conn);
}

static int abort_body(void *arg)
{
	struct weir_task *task;
	struct full f;
	int rc = 0;

	(void)arg;
	full_begin(&f);
	ck_assert_int_eq(weir_spawn(connect_for_ever, &f.addr, &task), 0);
	ck_assert_int_eq(weir_sleep(5 * WEIR_MSEC), 0);
	weir_task_abort(task);
	ck_assert_int_eq(weir_task_join(task, &rc), 0);
	ck_assert_int_eq(rc, -ECANCELED);
	full_end(&f);
	return 0;
}

START_TEST(a_unix_connect_that_waits_for_room_is_aborted)
{
	run_body(_i, abort_body, NULL);
}
END_TEST

/* Without timers it is not possible to wait for room, so the connect returns the error. */
START_TEST(without_a_time_driver_a_full_queue_is_the_answer)
{
	struct weir_rt_config cfg = config(_i);
	struct full f;

	cfg.no_time = true;
	if (!make(&cfg))
		return;
	full_begin(&f);
	ck_assert_int_eq(weir_rt_block_on(rt, connect_for_ever, &f.addr), -EAGAIN);
	full_end(&f);
	runtime_end(rt);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		KIND(an_accept_that_is_forbidden_says_so),
		KIND(an_accept_that_finds_only_the_dead_says_so),
		KIND(calls_that_are_always_interrupted_answer),
		TESTING(a_wait_that_fails_for_good_does_not_spin, .rounds = KINDS * WAIT_ERRORS),
		KIND(a_listener_is_closed_while_the_wait_fails,
		     /* Requests in a ring that cannot be entered keep their memory. */
		     .flags = TESTING_MAY_LEAK_FDS | TESTING_MAY_LEAK_MEMORY),
		KIND(a_wait_that_works_again_is_reported),
		KIND(a_unix_connect_waits_for_room_without_spinning),
		KIND(a_unix_connect_that_waits_for_room_is_aborted),
		KIND(without_a_time_driver_a_full_queue_is_the_answer),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
