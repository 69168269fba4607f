/* SPDX-License-Identifier: MIT */
/*
 * misuse.c: makes every public call in places where it may not be allowed: on a plain thread, on a
 * thread that entered a runtime, in a stackless task, after shutdown, in a forked child, and
 * without the driver it needs. Each must return the documented errno. None may crash, hang or leak.
 *
 * One table lists each call once, with what it must return in each place.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/testing.h"
#include "weir/backend.h"
#include "weir/weir.h"

#define UNUSED __attribute__((unused))

/* The objects on which the calls are made. All are real; a fiber of the runtime creates them. */
static struct {
	struct weir_rt *rt;
	struct weir_listener *listener;
	struct weir_tcp *conn, *peer;
	struct weir_fd *fd;
	struct weir_task *task;			/* waits for go */
	struct weir_join_set *set;		/* its task waits for go */
	struct weir_notify *go;
	struct weir_signal *listening;
	struct weir_mutex mutex;		/* locked */
	struct weir_sem sem;			/* empty */
	struct weir_notify notify;
	struct weir_oneshot *oneshot;
	struct weir_mpsc *mpsc;			/* has room for one message; full */
	struct weir_mpsc *empty;
	/* The same kinds of objects in states in which no call has to wait. */
	struct weir_task *over;
	struct weir_join_set *no_tasks;
	struct weir_mutex unlocked;
	struct weir_sem full;
	struct weir_notify notified;
	struct weir_oneshot *spoken;
	struct weir_mpsc *half;
	struct weir_addr addr;
	int pipe[2];
	int set_tasks;			/* tasks in set; 0 in places where no worker runs them */
} on;

static char buf[64];
static struct iovec iov = { buf, sizeof buf };

static uint64_t soon(void)
{
	return weir_deadline_in(WEIR_SEC);
}

static int nothing(void *arg UNUSED)
{
	return 7;
}

static int wait_for_go(void *go)
{
	return weir_notify_wait(go);
}

static void weir_serve_nobody(struct weir_tcp *conn, void *arg UNUSED)
{
	weir_tcp_close(conn);
}

/* ---- the calls ---- */

/* clang-format off */
#define CALL(name, ...) static int call_##name(void) { __VA_ARGS__ }

CALL(await, struct weir_yield_future y; weir_yield_init(&y); return weir_await(&y.future);)
CALL(await_until, struct weir_sleep_future s; weir_sleep_init(&s, soon());
     return weir_await_until(&s.future, soon());)
CALL(finish, struct weir_sleep_future s; weir_sleep_init(&s, soon());
     return weir_finish(&s.future);)
CALL(block_on, struct weir_yield_future y; weir_yield_init(&y); return weir_block_on(&y.future, soon());)
CALL(block_on_sleep, struct weir_sleep_future s; weir_sleep_init(&s, soon());
     return weir_block_on(&s.future, soon());)
CALL(block_on_recv, struct weir_op op; weir_op_init_recv(&op, weir_tcp_handle(on.conn), buf, 1, 0);
     return weir_block_on(&op.future, soon());)
CALL(block_on_accept, struct weir_accept_future a; struct weir_tcp *c;
     weir_accept_init(&a, on.listener, &c); return weir_block_on(&a.future, soon());)
CALL(block_on_relay, struct weir_relay r; weir_relay_init(&r, on.conn, on.peer, NULL);
     return weir_block_on(&r.future, soon());)
CALL(block_on_blocking, struct weir_blocking_future b; weir_blocking_init(&b, nothing, NULL);
     return weir_block_on(&b.future, soon());)
CALL(sleep, return weir_sleep(WEIR_MSEC);)
CALL(sleep_until, return weir_sleep_until(soon());)
CALL(interval_tick, struct weir_interval i; uint64_t due;
     weir_interval_init(&i, weir_now(), WEIR_MSEC, WEIR_TICK_BURST);
     return weir_interval_tick(&i, &due);)
CALL(yield, return weir_yield();)

CALL(rt_new, struct weir_rt *rt; struct weir_rt_config c = WEIR_RT_CONFIG_INIT; c.workers = 1;
     int rc = weir_rt_new(&c, &rt); if (rc == 0) weir_rt_free(rt); return rc;)
CALL(rt_run, struct weir_rt_config c = WEIR_RT_CONFIG_INIT; c.workers = 1;
     return weir_rt_run(&c, nothing, NULL);)
CALL(rt_block_on, return weir_rt_block_on(on.rt, nothing, NULL);)
CALL(rt_block_on_null, return weir_rt_block_on(NULL, nothing, NULL);)
CALL(rt_shutdown_null, return weir_rt_shutdown(NULL, 0);)
CALL(metrics_get, struct weir_metrics m = WEIR_METRICS_INIT; return weir_metrics_get(on.rt, &m);)
CALL(metrics_get_null, struct weir_metrics m = WEIR_METRICS_INIT; return weir_metrics_get(NULL, &m);)
CALL(metrics_get_unsized, struct weir_metrics m = { 0 }; return weir_metrics_get(on.rt, &m);)
CALL(metrics_worker, struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;
     return weir_metrics_worker(on.rt, 0, &m);)
CALL(metrics_worker_none, struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;
     return weir_metrics_worker(on.rt, 99, &m);)
CALL(metrics_worker_unsized, struct weir_worker_metrics m = { 0 };
     return weir_metrics_worker(on.rt, 0, &m);)
CALL(metrics_last_stall, struct weir_stall m = WEIR_STALL_INIT;
     return weir_metrics_last_stall(on.rt, 99, &m);)
CALL(metrics_last_stall_unsized, struct weir_stall m = { 0 };
     return weir_metrics_last_stall(on.rt, 0, &m);)
CALL(metrics_poll_time, static struct weir_histogram h; return weir_metrics_poll_time(on.rt, 0, &h);)
CALL(metrics_schedule_latency_null, return weir_metrics_schedule_latency(on.rt, 0, NULL);)
CALL(metrics_batch_size_none, static struct weir_histogram h;
     return weir_metrics_batch_size(on.rt, 99, &h);)
CALL(rt_worker_index, return weir_rt_worker_index() >= 0;)

CALL(spawn, return weir_spawn(nothing, NULL, NULL);)
CALL(rt_spawn, return weir_rt_spawn(on.rt, nothing, NULL, NULL);)
CALL(task_spawn, struct weir_task_config c = WEIR_TASK_CONFIG_INIT;
     return weir_task_spawn(on.rt, &c, NULL);)
CALL(task_join, int result; return weir_task_join(NULL, &result);)
CALL(task_join_until, int rc = weir_task_join_until(on.task, weir_now(), NULL);
     if (rc == 0) on.task = NULL; return rc;)
CALL(task_detach, weir_task_detach(NULL); return 0;)
CALL(task_abort, weir_task_abort(NULL); return 0;)
CALL(task_is_complete, return weir_task_is_complete(on.task);)
CALL(task_asks, return weir_task_cancelled() || weir_task_unconstrained(false) ||
     weir_task_id(NULL) || weir_task_name(NULL)[0] || weir_task_where(NULL);)
CALL(local, static const struct weir_local_key key; return weir_local_set(&key, NULL);)
CALL(local_get, static const struct weir_local_key key; return weir_local_get(&key) != NULL;)
CALL(join_set_new, struct weir_join_set *g; int rc = weir_join_set_new(NULL, &g);
     if (rc == 0) weir_join_set_free(g); return rc;)
CALL(join_set_free, struct weir_join_set *g = NULL; int rc = weir_join_set_new(on.rt, &g);
     for (int i = 0; rc == 0 && i < on.set_tasks; i++)
	     if (weir_join_set_spawn(g, i ? wait_for_go : nothing, on.go, NULL) == -ENXIO) rc = -ENXIO;
     weir_join_set_free(g); return rc;)
CALL(join_set_spawn, return weir_join_set_spawn(on.set, nothing, NULL, NULL);)
CALL(join_set_next_until, return weir_join_set_next_until(on.set, weir_now(), NULL, NULL);)

CALL(blocking_run, return weir_blocking_run(nothing, NULL);)
CALL(blocking_spawn, return weir_blocking_spawn(NULL, nothing, NULL);)
CALL(block_in_place, return weir_block_in_place(nothing, NULL);)

CALL(signal_open, struct weir_signal s; int rc = weir_signal_open(&s, SIGUSR2);
     weir_signal_close(&s); return rc;)
CALL(signal_wait, return weir_signal_wait(on.listening, soon());)
CALL(ctrl_c, return weir_ctrl_c();)

CALL(resolve, struct weir_addr a; return weir_resolve("localhost:80", 1, soon(), &a);)
CALL(listener_open, struct weir_listener *l; int rc = weir_listener_open("127.0.0.1:0", NULL, &l);
     if (rc == 0) weir_listener_close(l); return rc;)
CALL(listener_adopt, struct weir_listener *l; return weir_listener_adopt(on.pipe[0], NULL, &l);)
CALL(listener_addr, struct weir_addr a; return weir_listener_addr(on.listener, &a);)
CALL(listener_accept, struct weir_tcp *c; return weir_listener_accept(on.listener, &c);)
CALL(listener_accept_until, struct weir_tcp *c;
     return weir_listener_accept_until(on.listener, soon(), &c);)
CALL(tcp_new, struct weir_tcp *c; int rc = weir_tcp_new(AF_INET, &c);
     if (rc == 0) weir_tcp_close(c); return rc;)
CALL(tcp_adopt, struct weir_tcp *c; return weir_tcp_adopt(on.pipe[0], &c);)
CALL(tcp_connect, struct weir_tcp *c; return weir_tcp_connect("127.0.0.1:9", soon(), &c);)
CALL(tcp_connect_addr, struct weir_tcp *c; return weir_tcp_connect_addr(&on.addr, soon(), &c);)
CALL(tcp_split_twice, weir_tcp_split(on.conn); return weir_tcp_split(on.conn);)
CALL(tcp_recv, return weir_tcp_recv(on.conn, buf, 1);)
CALL(tcp_recv_null, return weir_tcp_recv(NULL, buf, 1);)
CALL(tcp_recv_until, return weir_tcp_recv_until(on.conn, buf, 1, soon());)
CALL(tcp_recvv, return weir_tcp_recvv(on.conn, &iov, 1);)
CALL(tcp_recvv_until, return weir_tcp_recvv_until(on.conn, &iov, 1, soon());)
CALL(tcp_peek, return weir_tcp_peek(on.conn, buf, 1);)
CALL(tcp_peek_until, return weir_tcp_peek_until(on.conn, buf, 1, soon());)
CALL(tcp_recv_try, return weir_tcp_recv_try(on.conn, buf, 1);)
CALL(tcp_recv_exact, return weir_tcp_recv_exact(on.conn, buf, 1, soon(), NULL);)
CALL(tcp_recv_lease, struct weir_lease l; return weir_tcp_recv_lease(on.conn, &l);)
CALL(tcp_recv_lease_until, struct weir_lease l;
     return weir_tcp_recv_lease_until(on.conn, soon(), &l);)
CALL(tcp_send, return weir_tcp_send(on.conn, buf, 1);)
CALL(tcp_send_until, return weir_tcp_send_until(on.conn, buf, 1, soon());)
CALL(tcp_sendv, return weir_tcp_sendv(on.conn, &iov, 1);)
CALL(tcp_sendv_until, return weir_tcp_sendv_until(on.conn, &iov, 1, soon());)
CALL(tcp_send_try, return weir_tcp_send_try(on.conn, buf, 1);)
CALL(tcp_send_all, return weir_tcp_send_all(on.conn, buf, 1, soon(), NULL);)
CALL(tcp_send_lease, struct weir_lease l = { NULL, 0, 0, NULL };
     return weir_tcp_send_lease(on.conn, &l);)
CALL(tcp_send_lease_until, struct weir_lease l = { NULL, 0, 0, NULL };
     return weir_tcp_send_lease_until(on.conn, &l, soon());)
CALL(tcp_shutdown, return weir_tcp_shutdown(on.conn, 99);)
CALL(tcp_shutdown_null, return weir_tcp_shutdown(NULL, SHUT_WR);)
CALL(tcp_options, struct weir_keepalive k = { 60, 10, 3 }; struct weir_addr a;
     int rc = weir_tcp_set_nodelay(on.conn, true);
     rc = rc ? rc : weir_tcp_set_linger(on.conn, -1);
     rc = rc ? rc : weir_tcp_set_keepalive(on.conn, &k);
     rc = rc ? rc : weir_tcp_local_addr(on.conn, &a);
     return rc ? rc : weir_tcp_peer_addr(on.conn, &a);)
CALL(fd_open, struct weir_fd *f; int rc = weir_fd_open(on.pipe[0], &f);
     if (rc == 0) weir_fd_close(f); return rc;)
CALL(fd_wait, return weir_fd_wait(on.fd, WEIR_READABLE, soon());)
CALL(relay_run, return weir_relay_run(on.conn, on.peer, NULL, NULL);)

CALL(mutex_lock, return weir_mutex_lock(&on.mutex);)
CALL(mutex_lock_until, return weir_mutex_lock_until(&on.mutex, soon());)
CALL(mutex_lock_try, return weir_mutex_lock_try(&on.mutex);)
CALL(sem_acquire, return weir_sem_acquire(&on.sem, 1);)
CALL(sem_acquire_until, return weir_sem_acquire_until(&on.sem, 1, soon());)
CALL(sem_acquire_try, return weir_sem_acquire_try(&on.sem, 1);)
CALL(notify_wait, return weir_notify_wait(&on.notify);)
CALL(notify_wait_until, return weir_notify_wait_until(&on.notify, soon());)
CALL(oneshot_recv, return weir_oneshot_recv(on.oneshot, NULL);)
CALL(oneshot_recv_until, return weir_oneshot_recv_until(on.oneshot, soon(), NULL);)
CALL(oneshot_recv_try, return weir_oneshot_recv_try(on.oneshot, NULL);)
CALL(mpsc_send, return weir_mpsc_send(on.mpsc, buf);)
CALL(mpsc_send_until, return weir_mpsc_send_until(on.mpsc, buf, soon());)
CALL(mpsc_send_try, return weir_mpsc_send_try(on.mpsc, buf);)
CALL(mpsc_recv, return weir_mpsc_recv(on.empty, buf);)
CALL(mpsc_recv_until, return weir_mpsc_recv_until(on.empty, soon(), buf);)
CALL(mpsc_recv_try, return weir_mpsc_recv_try(on.empty, buf);)
CALL(mpsc_recv_many, return weir_mpsc_recv_many(on.empty, 1, buf);)

/* Waiting calls that would not have to wait here. */
CALL(mutex_lock_unlocked, return weir_mutex_lock(&on.unlocked);)
CALL(mutex_lock_until_unlocked, return weir_mutex_lock_until(&on.unlocked, soon());)
CALL(sem_acquire_full, return weir_sem_acquire(&on.full, 1);)
CALL(sem_acquire_until_full, return weir_sem_acquire_until(&on.full, 1, soon());)
CALL(notify_wait_notified, return weir_notify_wait(&on.notified);)
CALL(notify_wait_until_notified, return weir_notify_wait_until(&on.notified, soon());)
CALL(oneshot_recv_spoken, return weir_oneshot_recv(on.spoken, NULL);)
CALL(oneshot_recv_until_spoken, return weir_oneshot_recv_until(on.spoken, soon(), NULL);)
CALL(mpsc_send_half, return weir_mpsc_send(on.half, buf);)
CALL(mpsc_send_until_half, return weir_mpsc_send_until(on.half, buf, soon());)
CALL(mpsc_recv_half, return weir_mpsc_recv(on.half, buf);)
CALL(mpsc_recv_until_half, return weir_mpsc_recv_until(on.half, soon(), buf);)
CALL(mpsc_recv_many_half, return weir_mpsc_recv_many(on.half, 1, buf);)
CALL(mpsc_recv_many_until_half, return weir_mpsc_recv_many_until(on.half, 1, soon(), buf);)
CALL(task_join_over, int rc = weir_task_join(on.over, NULL);
     if (rc == 0) on.over = NULL; return rc;)
static struct weir_select_set *no_branches(void)
{
	static struct weir_branch branch;
	static struct weir_select_set set;

	weir_select_set_init(&set, &branch, 1);
	return &set;
}
CALL(select_set_next, return weir_select_set_next(no_branches());)
CALL(select_set_next_until, return weir_select_set_next_until(no_branches(), soon());)
CALL(select_set_next_try, return weir_select_set_next_try(no_branches());)
CALL(select_set_finish, return weir_select_set_finish(no_branches());)
CALL(join_set_next_empty, return weir_join_set_next(on.no_tasks, NULL, NULL);)
CALL(sleep_past, return weir_sleep_until(0);)
CALL(blocking_run_until_past, return weir_blocking_run_until(nothing, NULL, 0);)
CALL(resolve_numeric, struct weir_addr a; return weir_resolve("127.0.0.1:80", 1, soon(), &a);)
CALL(recv_exact_nothing, return weir_tcp_recv_exact(on.conn, buf, 0, soon(), NULL);)
CALL(send_all_nothing, return weir_tcp_send_all(on.conn, buf, 0, soon(), NULL);)
CALL(listener_accept_try, struct weir_tcp *c; return weir_listener_accept_try(on.listener, &c);)
CALL(listener_serve, return weir_listener_serve(on.listener, NULL, weir_serve_nobody, NULL);)

/* ---- what each call must return ---- */

/* clang-format on */

enum place {
	PLAIN,
	ENTERED,
	STACKLESS,
	STOPPED,
	FORKED,
	PLACES,
};

static const char *const place_names[PLACES] = { "on a plain thread", "on a thread that entered",
						 "in a stackless task", "after shutdown",
						 "in a child that a task has forked" };

#define ANY 9999	/* unspecified in this place: the call only has to return */

#define ALL(rc) { rc, rc, rc, rc, rc }
/* The row of a waiting call. */
#define WAITS { -EPERM, -EPERM, -EPERM, -EPERM, -ENXIO }
#define ROW(name, ...) { #name, call_##name, __VA_ARGS__ }

static const struct row {
	const char *name;
	int (*call)(void);
	int want[PLACES];	/* PLAIN, ENTERED, STACKLESS, STOPPED (entered, too), FORKED */
} rows[] = {
	/* Waiting calls need a fiber. */
	ROW(await, WAITS),
	ROW(await_until, WAITS),
	ROW(finish, WAITS),
	ROW(sleep, WAITS),
	ROW(sleep_until, WAITS),
	ROW(interval_tick, WAITS),
	ROW(yield, WAITS),
	ROW(select_set_next, WAITS),
	ROW(select_set_next_until, WAITS),
	ROW(select_set_next_try, WAITS),
	ROW(select_set_finish, WAITS),
	ROW(blocking_run, WAITS),
	ROW(signal_wait, WAITS),
	ROW(resolve, WAITS),
	ROW(listener_accept, WAITS),
	ROW(listener_accept_until, WAITS),
	ROW(tcp_recv, WAITS),
	ROW(tcp_recv_null, WAITS),
	ROW(tcp_recv_until, WAITS),
	ROW(tcp_recvv, WAITS),
	ROW(tcp_recvv_until, WAITS),
	ROW(tcp_peek, WAITS),
	ROW(tcp_peek_until, WAITS),
	ROW(tcp_recv_try, WAITS),
	ROW(tcp_recv_exact, WAITS),
	ROW(tcp_recv_lease, WAITS),
	ROW(tcp_recv_lease_until, WAITS),
	ROW(tcp_send, WAITS),
	ROW(tcp_send_until, WAITS),
	ROW(tcp_sendv, WAITS),
	ROW(tcp_sendv_until, WAITS),
	ROW(tcp_send_try, WAITS),
	ROW(tcp_send_all, WAITS),
	ROW(tcp_send_lease, WAITS),
	ROW(tcp_send_lease_until, WAITS),
	ROW(fd_wait, WAITS),
	ROW(relay_run, WAITS),
	ROW(mutex_lock, WAITS),
	ROW(mutex_lock_until, WAITS),
	ROW(sem_acquire, WAITS),
	ROW(sem_acquire_until, WAITS),
	ROW(notify_wait, WAITS),
	ROW(notify_wait_until, WAITS),
	ROW(oneshot_recv, WAITS),
	ROW(oneshot_recv_until, WAITS),
	ROW(mpsc_send, WAITS),
	ROW(mpsc_send_until, WAITS),
	ROW(mpsc_recv, WAITS),
	ROW(mpsc_recv_until, WAITS),
	ROW(mpsc_recv_many, WAITS),

	/* Even if they would not have to wait. Plain threads may join, too. */
	ROW(mutex_lock_unlocked, WAITS),
	ROW(mutex_lock_until_unlocked, WAITS),
	ROW(sem_acquire_full, WAITS),
	ROW(sem_acquire_until_full, WAITS),
	ROW(notify_wait_notified, WAITS),
	ROW(notify_wait_until_notified, WAITS),
	ROW(oneshot_recv_spoken, WAITS),
	ROW(oneshot_recv_until_spoken, WAITS),
	ROW(mpsc_send_half, WAITS),
	ROW(mpsc_send_until_half, WAITS),
	ROW(mpsc_recv_half, WAITS),
	ROW(mpsc_recv_until_half, WAITS),
	ROW(mpsc_recv_many_half, WAITS),
	ROW(mpsc_recv_many_until_half, WAITS),
	ROW(task_join_over, { 0, 0, -EPERM, 0, -ENXIO }),
	ROW(join_set_next_empty, { 0, 0, -EPERM, 0, -ENXIO }),
	ROW(sleep_past, WAITS),
	ROW(blocking_run_until_past, WAITS),
	ROW(resolve_numeric, WAITS),
	ROW(tcp_connect, WAITS),
	ROW(tcp_connect_addr, WAITS),
	ROW(recv_exact_nothing, WAITS),
	ROW(send_all_nothing, WAITS),
	ROW(listener_accept_try, WAITS),
	ROW(listener_serve, WAITS),
	ROW(ctrl_c, WAITS),

	/* Calls that create an I/O object need a worker. */
	ROW(listener_open, { -ENXIO, -ENXIO, 0, -ENXIO, -ENXIO }),
	ROW(tcp_new, { -ENXIO, -ENXIO, 0, -ENXIO, -ENXIO }),
	ROW(fd_open, { -ENXIO, -ENXIO, 0, -ENXIO, -ENXIO }),
	ROW(signal_open, { -ENXIO, -ENXIO, 0, -ENXIO, -ENXIO }),
	ROW(listener_adopt, ALL(-ENOTSOCK)),
	ROW(tcp_adopt, ALL(-ENOTSOCK)),

	/* An object may be queried from anywhere while its runtime exists. */
	ROW(listener_addr, { 0, 0, 0, ANY, -ENXIO }),
	ROW(tcp_options, { 0, 0, 0, ANY, -ENXIO }),
	ROW(tcp_shutdown, { -EINVAL, -EINVAL, -EINVAL, ANY, -ENXIO }),
	ROW(tcp_shutdown_null, ALL(-EBADF)),
	ROW(tcp_split_twice, ALL(-EBUSY)),

	/* Plain threads wait with weir_block_on; workers must not. */
	ROW(block_on, { 0, 0, -EPERM, 0, 0 }),
	ROW(block_on_sleep, { -ENXIO, -ENXIO, -EPERM, -ENXIO, -ENXIO }),
	ROW(block_on_recv, { -ENXIO, -ENXIO, -EPERM, -ENXIO, -ENXIO }),
	ROW(block_on_accept, { -ENXIO, -ENXIO, -EPERM, -ENXIO, -ENXIO }),
	ROW(block_on_relay, { -ENXIO, -ENXIO, -EPERM, -ENXIO, -ENXIO }),
	ROW(block_on_blocking, { -ENXIO, 7, -EPERM, -ESHUTDOWN, -ENXIO }),

	/* Only plain threads create and stop runtimes. */
	ROW(rt_new, { 0, 0, -EPERM, 0, 0 }),
	ROW(rt_run, { 7, 7, -EPERM, 7, 7 }),
	ROW(rt_block_on, { 7, 7, -EPERM, -ESHUTDOWN, -ENXIO }),
	ROW(rt_block_on_null, { -EINVAL, -EINVAL, -EPERM, -EINVAL, -EINVAL }),
	ROW(rt_shutdown_null, { -EINVAL, -EINVAL, -EPERM, -EINVAL, -EINVAL }),
	ROW(metrics_get, ALL(0)),
	ROW(metrics_get_null, ALL(-EINVAL)),
	ROW(metrics_get_unsized, ALL(-EINVAL)),
	ROW(metrics_worker, ALL(0)),
	ROW(metrics_worker_none, ALL(-EINVAL)),
	ROW(metrics_worker_unsized, ALL(-EINVAL)),
	ROW(metrics_last_stall, ALL(-EINVAL)),
	ROW(metrics_last_stall_unsized, ALL(-EINVAL)),
	ROW(metrics_poll_time, ALL(0)),
	ROW(metrics_schedule_latency_null, ALL(-EINVAL)),
	ROW(metrics_batch_size_none, ALL(-EINVAL)),
	ROW(rt_worker_index, { 0, 0, 1, 0, 0 }),

	/* Tasks can be spawned from anywhere, if there is a runtime to run them. */
	ROW(spawn, { -ENXIO, 0, 0, -ESHUTDOWN, -ENXIO }),
	ROW(rt_spawn, { 0, 0, 0, -ESHUTDOWN, -ENXIO }),
	ROW(task_spawn, ALL(-EINVAL)),
	ROW(task_join, ALL(-EINVAL)),
	ROW(task_detach, ALL(0)),
	ROW(task_abort, ALL(0)),
	ROW(task_is_complete, { 0, 0, 0, 1, 0 }),
	ROW(task_join_until, { -ETIMEDOUT, -ETIMEDOUT, -EPERM, 0, -ENXIO }),
	ROW(task_asks, ALL(0)),
	ROW(local, { -EPERM, -EPERM, 0, -EPERM, -EPERM }),
	ROW(local_get, ALL(0)),
	ROW(join_set_new, { -ENXIO, 0, 0, 0, -ENXIO }),
	ROW(join_set_free, { 0, 0, 0, 0, -ENXIO }),
	ROW(join_set_spawn, { 0, 0, 0, -ESHUTDOWN, -ENXIO }),
	ROW(join_set_next_until, { ANY, ANY, -EPERM, ANY, -ENXIO }),
	ROW(blocking_spawn, { -ENXIO, 0, 0, -ESHUTDOWN, -ENXIO }),
	ROW(block_in_place, { 7, 7, -EPERM, 7, 7 }),

	/* Calls that never wait work anywhere. */
	ROW(mutex_lock_try, ALL(-EAGAIN)),
	ROW(sem_acquire_try, ALL(-EAGAIN)),
	ROW(oneshot_recv_try, ALL(-EAGAIN)),
	ROW(mpsc_send_try, ALL(-EAGAIN)),
	ROW(mpsc_recv_try, ALL(-EAGAIN)),
};

static void make_calls(enum place place)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int want = rows[i].want[place];
		int rc = rows[i].call();

		ck_assert_msg(want == ANY || rc == want, "%s %s: %d (%s), expected %d (%s)",
			      rows[i].name, place_names[place], rc, weir_strerror(rc), want,
			      weir_strerror(want));
	}
}

static int calls_in_stackless(void *state UNUSED, struct weir_cx *cx UNUSED)
{
	make_calls(STACKLESS);
	return 0;
}

/* ---- creating and closing the objects ---- */

static void make_ready_objects(void)
{
	ck_assert_int_eq(weir_spawn(nothing, NULL, &on.over), 0);
	while (!weir_task_is_complete(on.over))
		ck_assert_int_eq(weir_yield(), 0);
	ck_assert_int_eq(weir_join_set_new(NULL, &on.no_tasks), 0);
	weir_mutex_init(&on.unlocked);
	ck_assert_int_eq(weir_sem_init(&on.full, 9), 0);
	weir_notify_init(&on.notified);
	weir_notify_one(&on.notified);
	ck_assert_int_eq(weir_oneshot_new(0, &on.spoken), 0);
	ck_assert_int_eq(weir_oneshot_send(on.spoken, NULL), 0);
	ck_assert_int_eq(weir_mpsc_new(2, sizeof buf, &on.half), 0);
	ck_assert_int_eq(weir_mpsc_send_try(on.half, buf), 0);
}

static int make_objects(void *arg UNUSED)
{
	struct weir_tcp *peer;
	struct weir_addr addr;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &on.listener), 0);
	ck_assert_int_eq(weir_listener_addr(on.listener, &addr), 0);
	on.addr = addr;
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &on.conn), 0);
	ck_assert_int_eq(weir_listener_accept(on.listener, &peer), 0);
	on.peer = peer;
	ck_assert_int_eq(weir_fd_open(on.pipe[0], &on.fd), 0);
	on.go = calloc(1, sizeof *on.go);
	weir_notify_init(on.go);
	ck_assert_int_eq(weir_spawn(wait_for_go, on.go, &on.task), 0);
	ck_assert_int_eq(weir_join_set_new(NULL, &on.set), 0);
	ck_assert_int_eq(weir_join_set_spawn(on.set, wait_for_go, on.go, NULL), 0);
	on.listening = calloc(1, sizeof *on.listening);
	ck_assert_int_eq(weir_signal_open(on.listening, SIGUSR2), 0);
	weir_mutex_init(&on.mutex);
	ck_assert_int_eq(weir_mutex_lock_try(&on.mutex), 0);
	ck_assert_int_eq(weir_sem_init(&on.sem, 0), 0);
	weir_notify_init(&on.notify);
	ck_assert_int_eq(weir_oneshot_new(0, &on.oneshot), 0);
	ck_assert_int_eq(weir_mpsc_new(1, sizeof buf, &on.mpsc), 0);
	ck_assert_int_eq(weir_mpsc_send_try(on.mpsc, buf), 0);
	ck_assert_int_eq(weir_mpsc_new(1, sizeof buf, &on.empty), 0);
	make_ready_objects();
	return 0;
}

/* Called on a plain thread after shutdown: closing calls are allowed there too. */
static void close_objects(void)
{
	weir_signal_close(on.listening);
	weir_fd_close(on.fd);
	weir_tcp_close_half(on.conn, WEIR_HALF_WRITE);
	weir_tcp_close_half(on.conn, WEIR_HALF_READ);
	weir_tcp_reset(on.peer);
	weir_listener_close(on.listener);
	weir_task_detach(on.task);
	weir_join_set_free(on.set);
	weir_oneshot_drop(on.oneshot);
	ck_assert_int_eq(weir_oneshot_close(on.oneshot, NULL), -EPIPE);
	weir_mpsc_unref(on.mpsc);
	weir_mpsc_free(on.mpsc);
	weir_mpsc_unref(on.empty);
	weir_mpsc_free(on.empty);
	weir_sem_fini(&on.sem);
	weir_mutex_unlock(&on.mutex);
	weir_mutex_fini(&on.mutex);
	weir_task_detach(on.over);
	weir_join_set_free(on.no_tasks);
	weir_mutex_fini(&on.unlocked);
	weir_sem_fini(&on.full);
	weir_notify_fini(&on.notified);
	ck_assert_int_eq(weir_oneshot_close(on.spoken, NULL), 0);
	weir_mpsc_unref(on.half);
	weir_mpsc_free(on.half);
	weir_notify_fini(on.go);
	free(on.listening);
	free(on.go);
}

static struct weir_rt *open_all(int round)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.sched = round ? WEIR_SCHED_MULTI : WEIR_SCHED_CURRENT;
	cfg.workers = round ? 2 : 1;
	ck_assert_int_eq(weir_rt_new(&cfg, &on.rt), 0);
	ck_assert_int_eq(pipe(on.pipe), 0);
	on.set_tasks = 3;
	ck_assert_int_eq(weir_rt_block_on(on.rt, make_objects, NULL), 0);
	return on.rt;
}

static void close_all(void)
{
	ck_assert_int_eq(weir_rt_shutdown(on.rt, testing_hang_ns()), 0);
	close_objects();
	weir_rt_free(on.rt);
	close(on.pipe[0]);
	close(on.pipe[1]);
}

/* ---- the places ---- */

START_TEST(every_call_on_a_plain_thread_answers_its_errno)
{
	open_all(_i);
	on.set_tasks = _i ? 3 : 0;
	make_calls(PLAIN);
	close_all();
}
END_TEST

START_TEST(every_call_on_a_thread_that_entered_a_runtime_answers_its_errno)
{
	struct weir_rt *before;

	open_all(1);
	before = weir_rt_enter(on.rt);
	make_calls(ENTERED);
	weir_rt_leave(before);
	close_all();
}
END_TEST

static int run_stackless(void *arg UNUSED)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	cfg.poll = calls_in_stackless;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	return weir_task_join(task, NULL);
}

START_TEST(every_call_in_a_stackless_task_answers_its_errno)
{
	open_all(_i);
	ck_assert_int_eq(weir_rt_block_on(on.rt, run_stackless, NULL), 0);
	close_all();
}
END_TEST

START_TEST(every_call_after_shutdown_answers_its_errno)
{
	struct weir_rt *before;

	open_all(_i);
	ck_assert_int_eq(weir_rt_shutdown(on.rt, testing_hang_ns()), 0);
	before = weir_rt_enter(on.rt);
	make_calls(STOPPED);
	weir_rt_leave(before);
	close_all();
}
END_TEST

/* ---- NULL in place of an array ---- */

/* clang-format off */
static struct iovec hole = { NULL, 4 }, hole_behind[2] = { { buf, 1 }, { NULL, 3 } };

CALL(null_recv, return weir_tcp_recv(on.conn, NULL, 4);)
CALL(null_recv_until, return weir_tcp_recv_until(on.conn, NULL, 4, soon());)
CALL(null_recvv, return weir_tcp_recvv(on.conn, NULL, 4);)
CALL(null_recvv_until, return weir_tcp_recvv_until(on.conn, NULL, 4, soon());)
CALL(hole_recvv, return weir_tcp_recvv(on.conn, &hole, 1);)
CALL(hole_behind_recvv, return weir_tcp_recvv(on.conn, hole_behind, 2);)
CALL(null_peek, return weir_tcp_peek(on.conn, NULL, 4);)
CALL(null_peek_until, return weir_tcp_peek_until(on.conn, NULL, 4, soon());)
CALL(null_recv_try, return weir_tcp_recv_try(on.conn, NULL, 4);)
CALL(null_recv_exact, size_t n; return weir_tcp_recv_exact(on.conn, NULL, 4, soon(), &n);)
CALL(null_send, return weir_tcp_send(on.conn, NULL, 4);)
CALL(null_send_until, return weir_tcp_send_until(on.conn, NULL, 4, soon());)
CALL(null_sendv, return weir_tcp_sendv(on.conn, NULL, 4);)
CALL(null_sendv_until, return weir_tcp_sendv_until(on.conn, NULL, 4, soon());)
CALL(hole_sendv, return weir_tcp_sendv(on.conn, &hole, 1);)
CALL(hole_behind_sendv, return weir_tcp_sendv(on.conn, hole_behind, 2);)
CALL(null_send_try, return weir_tcp_send_try(on.conn, NULL, 4);)
CALL(null_send_all, size_t n; return weir_tcp_send_all(on.conn, NULL, 4, soon(), &n);)
CALL(null_sendv_all, struct weir_op op;
     weir_op_init_sendv(&op, weir_tcp_handle(on.conn), NULL, 4, WEIR_OP_ALL);
     return weir_await(&op.future);)
CALL(null_select_futures, struct weir_select_future s; int results[2];
     weir_select_init(&s, NULL, results, 2); return weir_await(&s.future);)
CALL(null_select_results, struct weir_yield_future y; struct weir_future *f = &y.future;
     struct weir_select_future s; weir_yield_init(&y); weir_select_init(&s, &f, NULL, 1);
     return weir_await(&s.future);)
CALL(null_select_cancel, struct weir_select_future s; weir_select_init(&s, NULL, NULL, 2);
     weir_cancel(&s.future); s.future.ops->discard(&s.future); return -EINVAL;)
CALL(null_select_set, struct weir_select_set s; struct weir_future f; int rc;
     rc = weir_select_set_init(&s, NULL, 2); weir_select_set_cancel(&s, 0);
     if (weir_select_set_next_try(&s) != -ENOENT || weir_select_set_finish(&s) != 0 ||
	 weir_select_set_arm(&s, 0, &f) != -EINVAL) return 0;
     return rc;)
CALL(null_join_all_futures, struct weir_join_all_future a; int results[2];
     weir_join_all_init(&a, NULL, results, 2); return weir_await(&a.future);)
CALL(null_join_all_results, struct weir_yield_future y; struct weir_future *f = &y.future;
     struct weir_join_all_future a; weir_yield_init(&y); weir_join_all_init(&a, &f, NULL, 1);
     weir_cancel(&a.future); return weir_await(&a.future);)
CALL(null_resolve, return weir_resolve("localhost:80", 4, soon(), NULL);)
CALL(null_resolve_numeric, return weir_resolve("127.0.0.1:80", 4, soon(), NULL);)
CALL(null_addr_format, return weir_addr_format(&on.addr, NULL, 64);)
CALL(null_cpuset_print, struct weir_cpuset set; weir_cpuset_parse("0-3", &set, NULL);
     return weir_cpuset_print(&set, NULL, 64) == 0 ? -EINVAL : 0;)
CALL(null_mpsc_send, return weir_mpsc_send(on.empty, NULL);)
CALL(null_mpsc_send_until, return weir_mpsc_send_until(on.empty, NULL, soon());)
CALL(null_mpsc_send_try, return weir_mpsc_send_try(on.empty, NULL);)
CALL(null_mpsc_recv, return weir_mpsc_recv(on.mpsc, NULL);)
CALL(null_mpsc_recv_until, return weir_mpsc_recv_until(on.mpsc, soon(), NULL);)
CALL(null_mpsc_recv_try, return weir_mpsc_recv_try(on.mpsc, NULL);)
CALL(null_mpsc_recv_many, return weir_mpsc_recv_many(on.mpsc, 4, NULL);)
CALL(null_oneshot_send, struct weir_oneshot *o; int rc = weir_oneshot_new(8, &o);
     if (rc == 0) { rc = weir_oneshot_send(o, NULL);
     ck_assert_int_eq(weir_oneshot_recv(o, NULL), -EPIPE); } return rc;)
/* clang-format on */

#define NULL_ROW(name) { #name, call_##name }

static const struct {
	const char *name;
	int (*call)(void);
} null_rows[] = {
	NULL_ROW(null_recv),
	NULL_ROW(null_recv_until),
	NULL_ROW(null_recvv),
	NULL_ROW(null_recvv_until),
	NULL_ROW(hole_recvv),
	NULL_ROW(hole_behind_recvv),
	NULL_ROW(null_peek),
	NULL_ROW(null_peek_until),
	NULL_ROW(null_recv_try),
	NULL_ROW(null_recv_exact),
	NULL_ROW(null_send),
	NULL_ROW(null_send_until),
	NULL_ROW(null_sendv),
	NULL_ROW(null_sendv_until),
	NULL_ROW(hole_sendv),
	NULL_ROW(hole_behind_sendv),
	NULL_ROW(null_send_try),
	NULL_ROW(null_send_all),
	NULL_ROW(null_sendv_all),
	NULL_ROW(null_select_futures),
	NULL_ROW(null_select_results),
	NULL_ROW(null_select_cancel),
	NULL_ROW(null_select_set),
	NULL_ROW(null_join_all_futures),
	NULL_ROW(null_join_all_results),
	NULL_ROW(null_resolve),
	NULL_ROW(null_resolve_numeric),
	NULL_ROW(null_addr_format),
	NULL_ROW(null_cpuset_print),
	NULL_ROW(null_mpsc_send),
	NULL_ROW(null_mpsc_send_until),
	NULL_ROW(null_mpsc_send_try),
	NULL_ROW(null_mpsc_recv),
	NULL_ROW(null_mpsc_recv_until),
	NULL_ROW(null_mpsc_recv_try),
	NULL_ROW(null_mpsc_recv_many),
	NULL_ROW(null_oneshot_send),
};

/*
 * Some small messages in leased buffers. After these the backend may have a receive outstanding
 * before it is asked for one, so that it copies the bytes itself into the buffers of later calls.
 */
static void receive_small_messages(void)
{
	struct weir_lease lease;

	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(weir_tcp_send(on.peer, "x", 1), 1);
		ck_assert_int_eq(weir_tcp_recv_lease(on.conn, &lease), 1);
		weir_lease_return(&lease);
	}
}

/* Bytes are waiting in the stream, so a receive would have something to copy to NULL. */
static int calls_with_null(void *arg UNUSED)
{
	receive_small_messages();
	ck_assert_int_eq(weir_tcp_send(on.peer, "abcd", 4), 4);
	ck_assert_int_eq(weir_tcp_peek(on.conn, buf, 4), 4);
	for (size_t i = 0; i < sizeof null_rows / sizeof *null_rows; i++) {
		int rc = null_rows[i].call();

		ck_assert_msg(rc == -EINVAL || rc == -EFAULT, "%s: %d (%s)", null_rows[i].name, rc,
			      weir_strerror(rc));
	}
	/* The stream still works, and no byte is lost. */
	ck_assert_int_eq(weir_tcp_recv_exact(on.conn, buf, 4, soon(), NULL), 4);
	ck_assert_int_eq(memcmp(buf, "abcd", 4), 0);
	ck_assert_int_eq(weir_tcp_split(on.conn), 0);
	return 0;
}

START_TEST(null_for_an_array_is_an_errno)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++) {
		if (info.err)
			continue;
		setenv("WEIR_BACKEND", info.name, 1);
		open_all(_i);
		ck_assert_int_eq(weir_rt_block_on(on.rt, calls_with_null, NULL), 0);
		close_all();
	}
}
END_TEST

/* ---- closed twice ---- */

static int close_twice(void *arg UNUSED)
{
	struct weir_signal first, second, third;
	struct weir_lease lease;
	struct weir_accept_future accept;
	struct weir_relay relay;
	struct weir_sem sem;
	struct weir_mutex mutex;
	struct weir_notify notify;
	struct weir_waker waker = { NULL, NULL };
	struct weir_tcp *c;

	ck_assert_int_eq(weir_signal_open(&first, SIGUSR2), 0);
	ck_assert_int_eq(weir_signal_open(&second, SIGUSR2), 0);
	ck_assert_int_eq(weir_signal_open(&third, SIGUSR2), 0);
	weir_signal_close(&second);
	weir_signal_close(&third);
	weir_signal_close(&second);
	weir_signal_close(&first);
	weir_signal_close(&first);
	/* They are no longer in the list of listeners, so overwriting their memory does no harm. */
	memset(&first, 0xa5, sizeof first);
	memset(&second, 0xa5, sizeof second);
	memset(&third, 0xa5, sizeof third);
	ck_assert_int_eq(raise(SIGUSR2), 0);
	ck_assert_int_eq(weir_signal_wait(on.listening, soon()), SIGUSR2);

	weir_accept_init(&accept, on.listener, &c);
	weir_accept_fini(&accept);
	weir_accept_fini(&accept);
	weir_relay_init(&relay, on.conn, on.peer, NULL);
	weir_relay_fini(&relay);
	weir_relay_fini(&relay);
	ck_assert_int_eq(weir_tcp_send(on.peer, "abcd", 4), 4);
	ck_assert_int_eq(weir_tcp_recv_lease(on.conn, &lease), 4);
	weir_lease_return(&lease);
	weir_lease_return(&lease);
	weir_waker_unref(&waker);
	weir_mutex_init(&mutex);
	ck_assert_int_eq(weir_sem_init(&sem, 0), 0);
	weir_notify_init(&notify);
	for (int i = 0; i < 2; i++) {
		weir_sem_close(&sem);
		weir_mpsc_close(on.mpsc);
		weir_sem_fini(&sem);
		weir_mutex_fini(&mutex);
		weir_notify_fini(&notify);
	}
	ck_assert_int_eq(weir_tcp_split(on.conn), 0);
	return 0;
}

static void close_nothing(void)
{
	weir_rt_free(NULL);
	weir_join_set_free(NULL);
	weir_task_detach(NULL);
	weir_tcp_close(NULL);
	weir_tcp_reset(NULL);
	weir_listener_close(NULL);
	weir_fd_close(NULL);
	weir_mpsc_unref(NULL);
	weir_mpsc_free(NULL);
	weir_oneshot_drop(NULL);
	weir_clock_free(NULL);
	weir_topo_free(NULL);
	weir_plan_free(NULL);
}

START_TEST(closing_twice_is_allowed)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	close_nothing();
	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++) {
		if (info.err)
			continue;
		setenv("WEIR_BACKEND", info.name, 1);
		open_all(_i);
		ck_assert_int_eq(weir_rt_block_on(on.rt, close_twice, NULL), 0);
		close_all();
	}
}
END_TEST

/* ---- without a driver ---- */

static int without_io(void *arg UNUSED)
{
	struct weir_listener *l;
	struct weir_addr addr;
	struct weir_tcp *c;
	struct weir_fd *f;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &l), -ENODEV);
	ck_assert_int_eq(weir_tcp_new(AF_INET, &c), -ENODEV);
	ck_assert_int_eq(weir_tcp_connect("127.0.0.1:9", soon(), &c), -ENODEV);
	ck_assert_int_eq(weir_fd_open(0, &f), -ENODEV);
	ck_assert_int_eq(weir_resolve("127.0.0.1:9", 1, WEIR_FOREVER, &addr), 1);
	ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	return 0;
}

static int without_time(void *arg UNUSED)
{
	struct weir_interval beat;
	struct weir_notify n;
	struct weir_task *task;
	struct weir_tcp *c;
	int rc;

	ck_assert_int_eq(weir_sleep(WEIR_MSEC), -ENODEV);
	ck_assert_int_eq(weir_interval_init(&beat, weir_now(), WEIR_MSEC, WEIR_TICK_SKIP), 0);
	ck_assert_int_eq(weir_interval_tick(&beat, NULL), -ENODEV);
	weir_notify_init(&n);
	ck_assert_int_eq(weir_notify_wait_until(&n, soon()), -ENODEV);
	ck_assert_int_eq(weir_spawn(wait_for_go, &n, &task), 0);
	ck_assert_int_eq(weir_task_join_until(task, soon(), NULL), -ENODEV);
	weir_notify_one(&n);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	ck_assert_int_eq(weir_listener_accept_until(on.listener, soon(), &c), -ENODEV);
	/* A connect that succeeds at once does not need the time driver. */
	rc = weir_tcp_connect_addr(&on.addr, soon(), &c);
	ck_assert(rc == -ENODEV || rc == 0);
	if (rc == 0)
		weir_tcp_close(c);
	return 0;
}

static int open_listener(void *arg UNUSED)
{
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &on.listener), 0);
	return weir_listener_addr(on.listener, &on.addr);
}

static int close_listener(void *arg UNUSED)
{
	weir_listener_close(on.listener);
	return 0;
}

static int without_signals(void *arg UNUSED)
{
	struct weir_signal s;

	ck_assert_int_eq(weir_signal_open(&s, SIGUSR2), -ENODEV);
	ck_assert_int_eq(weir_ctrl_c(), -ENODEV);
	return 0;
}

START_TEST(a_missing_driver_is_enodev_and_the_others_work)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;

	cfg.workers = 1;
	cfg.no_io = true;
	ck_assert_int_eq(weir_rt_run(&cfg, without_io, NULL), 0);
	cfg.no_io = false;
	cfg.no_signal = true;
	ck_assert_int_eq(weir_rt_run(&cfg, without_signals, NULL), 0);
	cfg.no_time = true;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), 0);
	ck_assert_int_eq(weir_rt_block_on(rt, open_listener, NULL), 0);
	ck_assert_int_eq(weir_rt_block_on(rt, without_time, NULL), 0);
	ck_assert_int_eq(weir_rt_block_on(rt, close_listener, NULL), 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
	cfg.no_io = true;
	ck_assert_int_eq(weir_rt_run(&cfg, without_signals, NULL), 0);
}
END_TEST

/* ---- a forked child ---- */

START_TEST(an_inherited_runtime_is_enxio_in_the_child)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	pid_t pid;
	int status;

	cfg.workers = 2;
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), 0);
	pid = fork();
	if (pid == 0) {
		int ok = weir_rt_spawn(rt, nothing, NULL, NULL) == -ENXIO &&
			 weir_rt_block_on(rt, nothing, NULL) == -ENXIO &&
			 weir_blocking_spawn(rt, nothing, NULL) == -ENXIO &&
			 weir_rt_shutdown(rt, testing_hang_ns()) == -ENXIO;

		weir_rt_free(rt);
		_exit(ok && weir_rt_run(&cfg, nothing, NULL) == 7 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
}
END_TEST

/*
 * The sum of all eventfd counters. weir's backends wake workers by adding to them, and never read.
 */
static unsigned long wakes_so_far(void)
{
	unsigned long sum = 0, count;
	char path[64], line[64];
	FILE *info;

	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
		info = fopen(path, "r");
		while (info && fgets(line, sizeof line, info))
			if (sscanf(line, "eventfd-count: %lx", &count) == 1)
				sum += count;
		if (info)
			fclose(info);
	}
	return sum;
}

/* Calls that return void. In the child they must do nothing. */
static void make_void_calls(void)
{
	struct weir_lease none = { NULL, 0, 0, NULL };

	raise(SIGUSR2);
	weir_notify_waiters(on.go);
	weir_task_abort(on.task);
	weir_task_detach(on.task);
	weir_join_set_abort(on.set);
	weir_join_set_free(on.set);
	weir_lease_return(&none);
	weir_fd_close(on.fd);
	weir_tcp_close_half(on.conn, WEIR_HALF_WRITE);
	weir_tcp_reset(on.peer);
	weir_listener_close(on.listener);
	weir_signal_close(on.listening);
	weir_rt_free(on.rt);
}

/* A poll function forks, and the child polls with the context of the parent. */
static int fork_in_poll(void *state UNUSED, struct weir_cx *cx)
{
	struct weir_op op;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		weir_op_init_recv(&op, weir_tcp_handle(on.conn), buf, 1, 0);
		_exit(weir_poll(&op.future, cx) != -ENXIO);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void fork_in_a_stackless_task(void)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	int status;

	cfg.poll = fork_in_poll;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	ck_assert_int_eq(weir_task_join(task, &status), 0);
	ck_assert_int_eq(status, 0);
}

static int write_to_the_pipe(void *arg UNUSED)
{
	return (int)write(on.pipe[1], "x", 1);
}

/* A byte that is there already would be found without an event, which the child may have undone. */
static void wait_for_an_event(void)
{
	struct weir_task *writer;
	int written;

	ck_assert_int_eq(weir_spawn(write_to_the_pipe, NULL, &writer), 0);
	ck_assert_int_eq(weir_fd_wait(on.fd, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	ck_assert_int_eq(weir_task_join(writer, &written), 0);
	ck_assert_int_eq(written, 1);
}

static int fork_a_child(void *arg)
{
	unsigned long wakes = wakes_so_far();
	struct weir_tcp *client, *served;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		make_calls(FORKED);
		make_void_calls();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	/* Only without worker threads: those are woken for other reasons, too. */
	if (arg)
		ck_assert_uint_eq(wakes_so_far(), wakes);
	wait_for_an_event();
	ck_assert_int_eq(weir_tcp_send_all(on.conn, "x", 1, WEIR_FOREVER, NULL), 1);
	ck_assert_int_eq(weir_tcp_recv(on.peer, buf, 1), 1);
	ck_assert_int_eq(weir_tcp_connect_addr(&on.addr, WEIR_FOREVER, &client), 0);
	ck_assert_int_eq(weir_listener_accept(on.listener, &served), 0);
	weir_tcp_close(client);
	weir_tcp_close(served);
	ck_assert(!weir_task_is_complete(on.task));
	fork_in_a_stackless_task();
	return weir_tcp_split(on.conn);
}

START_TEST(a_child_that_a_task_forks_touches_nothing_of_it)
{
	setenv("WEIR_BACKEND", _i & 2 ? "epoll" : "auto", 1);
	open_all(_i & 1);
	ck_assert_int_eq(weir_rt_block_on(on.rt, fork_a_child, _i & 1 ? NULL : &on), 0);
	close_all();
}
END_TEST

/* ---- bad configurations ---- */

#define REFUSED(field, value, rc, word)                                                            \
	do {                                                                                       \
		struct weir_rt_config c = WEIR_RT_CONFIG_INIT;                                     \
		struct weir_rt *none;                                                              \
		c.field = (value);                                                                 \
		ck_assert_int_eq(weir_rt_new(&c, &none), (rc));                                     \
		ck_assert_msg(strstr(weir_rt_why(), (word)), "\"%s\" does not say %s",             \
			      weir_rt_why(), (word));                                              \
		ck_assert_ptr_eq(strchr(weir_rt_why(), '\n'), NULL);                               \
	} while (0)

START_TEST(a_bad_configuration_is_refused_by_name)
{
	struct weir_rt *rt;

	REFUSED(size, 7, -EINVAL, "config.size is 7");
	REFUSED(workers, 257, -EINVAL, "workers 257");
	REFUSED(workers, UINT_MAX, -EINVAL, "workers 4294967295");
	REFUSED(sched, (enum weir_sched_kind)7, -EINVAL, "sched 7");
	REFUSED(steal, (enum weir_steal_mode)7, -EINVAL, "steal 7");
	REFUSED(backend, "nosuch", -ENOENT, "nosuch");
	REFUSED(event_interval, UINT_MAX, -EINVAL, "event_interval");
	REFUSED(inject_interval, UINT_MAX, -EINVAL, "inject_interval");
	REFUSED(lifo_max, UINT_MAX, -EINVAL, "lifo_max");
	REFUSED(budget, UINT_MAX, -EINVAL, "budget");
	REFUSED(busy_events, 100000, -EINVAL, "busy_events");
	REFUSED(idle_events, 100000, -EINVAL, "idle_events");
	REFUSED(tick_ns, 1, -EINVAL, "tick_ns 1");
	REFUSED(stack_bytes, 1, -EINVAL, "stack_bytes 1");
	REFUSED(stack_bytes, SIZE_MAX, -EINVAL, "stack_bytes");
	REFUSED(lease_bytes, 1, -EINVAL, "lease_bytes 1");
	REFUSED(blocking_max, 1000000, -EINVAL, "blocking_max");
	ck_assert_int_eq(weir_rt_new(NULL, &rt), -EINVAL);
	setenv("WEIR_BACKEND", "bogus", 1);
	REFUSED(workers, 1, -ENOENT, "bogus");
	unsetenv("WEIR_BACKEND");
	setenv("WEIR_WORKERS", "many", 1);
	REFUSED(workers, 0, -EINVAL, "many");
	unsetenv("WEIR_WORKERS");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(every_call_on_a_plain_thread_answers_its_errno, .rounds = 2),
		TESTING(every_call_on_a_thread_that_entered_a_runtime_answers_its_errno),
		TESTING(every_call_in_a_stackless_task_answers_its_errno, .rounds = 2),
		TESTING(every_call_after_shutdown_answers_its_errno, .rounds = 2),
		TESTING(null_for_an_array_is_an_errno, .rounds = 2),
		TESTING(closing_twice_is_allowed, .rounds = 2),
		TESTING(a_missing_driver_is_enodev_and_the_others_work),
		/* ThreadSanitizer kills a forked child that starts a thread. */
		TESTING(an_inherited_runtime_is_enxio_in_the_child, .needs = "nosan"),
		TESTING(a_child_that_a_task_forks_touches_nothing_of_it, .needs = "nosan",
			.rounds = 4),
		TESTING(a_bad_configuration_is_refused_by_name),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
