/* SPDX-License-Identifier: MIT */
/*
 * proxy.c: `weir proxy` from start to exit code. Its root task opens everything,
 * then waits for signals:
 *
 *	SERVING ──(SIGTERM, SIGINT)──► DRAINING ──(no connection left, or deadline)──► exit 0
 *	   │                              └──(second signal)──► stop now, exit 1
 *	   └──(a listener fails)──► DRAINING, exit 1
 *
 * When the root task returns, the runtime's shutdown aborts the remaining connections,
 * which close their streams and write their log lines (connection.c).
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/command.h"
#include "tools/proxy/proxy.h"

#define SHUTDOWN_NS (5 * WEIR_SEC)

enum {
	SIG_TERM,
	SIG_INT,
	SIG_USR1,
	SIG_HUP,
	SIGNALS,
	CHANGED = SIGNALS,
	EVENTS
};

/* The state of the root task. */
struct server {
	struct proxy *px;
	struct weir_signal signals[SIGNALS];
	unsigned opened;
	int code;
	uint64_t deadline;		/* of the drain */
};

void proxy_init(struct proxy *px, const struct proxy_config *cfg, struct weir_rt *rt)
{
	memset(px, 0, sizeof(*px));
	px->cfg = cfg;
	px->rt = rt;
	px->cut_off = END_CANCELLED;
	weir_notify_init(&px->changed);
	pthread_mutex_init(&px->lock, NULL);
}

void proxy_fini(struct proxy *px)
{
	access_log_free(px->log);
	weir_notify_fini(&px->changed);
	pthread_mutex_destroy(&px->lock);
}

/* ---- signals ---- */

static const int signal_numbers[SIGNALS] = { SIGTERM, SIGINT, SIGUSR1, SIGHUP };
/*
 * Signals that came before a task could wait for them; bits as in wait_events. Several threads may
 * handle signals at the same time.
 */
static atomic_uint early_events;

/* No client is served yet, so SIGTERM and SIGINT exit at once, also while a name is resolved. */
static void note_early(int signo)
{
	if (signo == SIGTERM || signo == SIGINT)
		_exit(EXIT_DONE);
	for (unsigned i = 0; i < SIGNALS; i++)
		if (signal_numbers[i] == signo)
			atomic_fetch_or(&early_events, 1u << i);
}

/* Handle signals until the names are resolved. */
static void catch_early_signals(void)
{
	struct sigaction action = { .sa_handler = note_early, .sa_flags = SA_RESTART };

	for (unsigned i = 0; i < SIGNALS; i++)
		sigaction(signal_numbers[i], &action, NULL);
}

static int open_signals(struct server *s)
{
	int rc = 0;

	while (rc == 0 && s->opened < SIGNALS) {
		rc = weir_signal_open(&s->signals[s->opened], signal_numbers[s->opened]);
		s->opened += rc == 0;
	}
	return rc;
}

static void close_signals(struct server *s)
{
	while (s->opened)
		weir_signal_close(&s->signals[--s->opened]);
}

/* Wait for events; *ret_events has a bit for each, and is 0 if the deadline passed. */
static int wait_events(struct server *s, unsigned *ret_events)
{
	struct weir_future *futures[EVENTS];
	struct weir_notified_future changed;
	struct weir_select_future select;
	int results[EVENTS];
	int rc;

	for (unsigned i = 0; i < SIGNALS; i++)
		futures[i] = &s->signals[i].future;
	weir_notified_init(&changed, &s->px->changed);
	futures[CHANGED] = &changed.future;
	weir_select_init(&select, futures, results, EVENTS);
	rc = weir_await_until(&select.future, s->deadline);
	*ret_events = 0;
	if (rc < 0 && rc != -ETIMEDOUT)
		return rc;
	for (unsigned i = 0; i < EVENTS; i++)
		if (results[i] >= 0)
			*ret_events |= 1u << i;
	return 0;
}

static void say_started(struct proxy *px)
{
	const char *note;
	unsigned workers = weir_rt_workers(px->rt), shards = weir_listener_shards(px->listener);

	proxy_say("listening on tcp://%s with %u worker%s, backend %s, %u shard%s", px->addr_text,
		  workers, workers == 1 ? "" : "s", weir_rt_backend(px->rt), shards,
		  shards == 1 ? "" : "s");
	for (unsigned i = 0; (note = weir_rt_note(px->rt, i)); i++)
		proxy_say("note: %s", note);
}

/* ---- serving ---- */

static int start(struct server *s)
{
	struct proxy *px = s->px;
	int rc, code = proxy_upstreams_open(px);

	if (code == 0)
		code = proxy_listen_resolve(px);
	if (code)
		return code;
	rc = open_signals(s);
	if (rc == 0) {
		code = proxy_listen(px);
		if (code)
			return code;
		rc = proxy_accept_start(px);
	}
	if (rc < 0) {
		proxy_say("cannot start: %s", weir_strerror(rc));
		return EXIT_FAILED;
	}
	if (!px->cfg->quiet)
		say_started(px);
	return EXIT_DONE;
}

static uint64_t active(struct proxy *px, bool *ret_broken)
{
	uint64_t n;

	pthread_mutex_lock(&px->lock);
	n = px->counters.active;
	*ret_broken = px->broken;
	pthread_mutex_unlock(&px->lock);
	return n;
}

static void start_draining(struct server *s)
{
	struct proxy *px = s->px;
	uint64_t left;
	bool broken;

	proxy_accept_stop(px);
	pthread_mutex_lock(&px->lock);
	px->draining = true;
	pthread_mutex_unlock(&px->lock);
	if (px->cfg->drain_ns)
		s->deadline = weir_deadline_in(px->cfg->drain_ns);
	left = active(px, &broken);
	if (left && !px->cfg->quiet)
		proxy_say("stopped accepting, %llu connections may finish; a second signal stops "
			  "them",
			  (unsigned long long)left);
}

/* React to events; returns true if the root task should return. */
static bool react(struct server *s, unsigned events)
{
	struct proxy *px = s->px;
	bool stop = events & (1u << SIG_TERM | 1u << SIG_INT), broken;

	if (events & 1u << SIG_HUP && px->log)
		access_log_reopen(px->log);
	if (events & 1u << SIG_USR1)
		proxy_counters_print(px);
	active(px, &broken);
	if (!px->draining && (stop || broken)) {
		s->code = broken ? EXIT_FAILED : EXIT_DONE;
		start_draining(s);
	} else if (px->draining && stop) {
		s->code = EXIT_FAILED;
		return true;
	} else if (px->draining && weir_now() >= s->deadline) {
		px->cut_off = END_DRAINED;
		return true;
	}
	return px->draining && active(px, &broken) == 0;
}

static int serve(void *arg)
{
	struct server *s = arg;
	unsigned events;
	int rc = 0;

	s->code = start(s);
	if (s->code == 0 && !react(s, atomic_load(&early_events)))
		while ((rc = wait_events(s, &events)) == 0 && !react(s, events))
			continue;
	if (rc < 0)
		s->code = EXIT_FAILED;
	proxy_accept_stop(s->px);
	close_signals(s);
	return 0;
}

/* ---- the runtime ---- */

/* Called on a worker, between tasks. Prints as many frames as fit in a line, for addr2line. */
static void say_stall(void *arg, const struct weir_stall *stall)
{
	char at[WEIR_STALL_FRAMES * 19 + 1] = "";
	size_t len = 0;

	(void)arg;
	for (unsigned i = 0; i < stall->frames_len && i < 12; i++)
		len += (size_t)snprintf(at + len, sizeof(at) - len, " %p", stall->frames[i]);
	proxy_say("stall worker=%u task=%s spawned=%s:%d cpu_ms=%llu at%s", stall->worker,
		  stall->task_name, stall->where ? stall->where->file : "?",
		  stall->where ? stall->where->line : 0,
		  (unsigned long long)(stall->cpu_ns / WEIR_MSEC), at);
}

static void say_io_error(void *arg, unsigned worker, int err)
{
	(void)arg;
	if (err)
		proxy_say("worker %u cannot wait for I/O: %s; its connections are stalled",
			  worker, weir_strerror(err));
	else
		proxy_say("worker %u can wait for I/O again", worker);
}

static int make_runtime(const struct proxy_config *cfg, struct weir_rt **ret_rt)
{
	struct weir_rt_config rt_cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	rt_cfg.name = "proxy";
	rt_cfg.workers = (unsigned)cfg->workers;
	rt_cfg.backend = cfg->backend;
	rt_cfg.place = &cfg->place;
	rt_cfg.on_stall = say_stall;
	rt_cfg.on_io_error = say_io_error;
	rc = weir_rt_new(&rt_cfg, ret_rt);
	if (rc == 0)
		return 0;
	proxy_say("%s", *weir_rt_why() ? weir_rt_why() : weir_strerror(rc));
	return rc == -EINVAL || rc == -ENOENT ? EXIT_USAGE : EXIT_FAILED;
}

static int open_log(struct proxy *px)
{
	int rc = access_log_open(px->cfg->access_log, px, &px->log);

	if (rc == 0)
		return 0;
	if (rc == -ENOMEM || rc == -EAGAIN) {
		proxy_say("cannot start a thread for the access log: %s", strerror(-rc));
		return EXIT_FAILED;
	}
	proxy_say("--access-log '%s': open: %s; expected a writable file",
		  px->cfg->access_log, strerror(-rc));
	return EXIT_USAGE;
}

/* This thread only waits for the runtime, so the workers must receive the signals. */
static void block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static int run(struct proxy *px)
{
	struct server server = { .px = px, .deadline = WEIR_FOREVER };
	bool served;
	int rc;

	block_signals();
	rc = weir_rt_block_on(px->rt, serve, &server);
	served = server.code != EXIT_USAGE && rc == 0;
	if (rc == 0)
		rc = weir_rt_shutdown(px->rt, SHUTDOWN_NS);
	if (rc < 0) {
		proxy_say("the runtime did not stop: %s",
			  *weir_rt_why() ? weir_rt_why() : weir_strerror(rc));
		server.code = EXIT_FAILED;
	}
	access_log_end(px->log);
	if (served && *px->addr_text && !px->cfg->quiet)
		proxy_counters_print(px);
	return server.code;
}

static int run_proxy(struct proxy *px)
{
	int code = proxy_config_limit(px->cfg, weir_rt_workers(px->rt), &px->limit);

	if (code == 0)
		code = open_log(px);
	if (code == 0) {
		weir_sem_init(&px->room, px->limit);
		code = run(px);
		weir_sem_fini(&px->room);
	}
	return code;
}

int proxy_main(int argc, char **argv)
{
	static struct proxy px;		/* static: a task that did not stop may still use it */
	struct proxy_config cfg;
	struct weir_rt *rt;
	int code, rc;

	catch_early_signals();
	code = proxy_config_parse(argc, argv, &cfg);
	if (code > 0)
		return code - 1;
	rc = proxy_say_start();
	if (rc < 0) {
		proxy_say("cannot start a thread for standard error: %s", strerror(-rc));
		return EXIT_FAILED;
	}
	proxy_config_raise_files();
	code = make_runtime(&cfg, &rt);
	if (code == 0) {
		proxy_init(&px, &cfg, rt);
		code = run_proxy(&px);
		weir_rt_free(rt);
		proxy_fini(&px);
	}
	proxy_say_end();
	return code;
}
