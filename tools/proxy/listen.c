/* SPDX-License-Identifier: MIT */
/*
 * listen.c: the listener with its shards, and accepting. The library does most of it
 * (weir_listener_serve).
 *
 * A connection is served only when there is room for it. An accept loop that finds no
 * room for its connection waits, and accepts no other one. So at the limit one connection
 * per loop waits here and the others wait in the kernel's queues. When those are full, the
 * kernel does not answer new clients. No client is refused.
 */
#include <string.h>

#include "tools/common/command.h"
#include "tools/proxy/proxy.h"

#define RESOLVE_NS (10 * WEIR_SEC)
/* The message about the limit is repeated if no connection had to wait for this long. */
#define EPISODE_NS (10 * WEIR_SEC)

/* ---- opening ---- */

static int refuse_address(const char *text, int rc)
{
	if (rc != -EINVAL && rc != -ENAMETOOLONG && rc != -EAFNOSUPPORT)
		return proxy_refuse_name("listen", text, rc);
	proxy_say("listen '%s': expected an address such as tcp://127.0.0.1:8080, "
		  "tcp://[::1]:8080 or tcp://*:8080",
		  text);
	return EXIT_USAGE;
}

int proxy_listen_resolve(struct proxy *px)
{
	int rc = weir_resolve(px->cfg->listen, 1, weir_deadline_in(RESOLVE_NS), &px->addr);

	if (rc >= 0)
		rc = px->addr.u.sa.sa_family == AF_UNIX ? -EAFNOSUPPORT : 0;
	return rc < 0 ? refuse_address(px->cfg->listen, rc) : 0;
}

static int refuse(struct proxy *px, int rc)
{
	const char *text = px->cfg->listen;

	switch (rc) {
	case -EADDRINUSE:
		proxy_say("listen '%s': the port is in use; expected a free one", text);
		return EXIT_USAGE;
	case -EACCES:
		if (weir_addr_port(&px->addr) >= 1024)
			break;
		proxy_say(
			"listen '%s': port %u needs root or CAP_NET_BIND_SERVICE; expected a port "
			"from 1024 on",
			text, weir_addr_port(&px->addr));
		return EXIT_USAGE;
	case -EADDRNOTAVAIL:
		proxy_say("listen '%s': not an address of this machine", text);
		return EXIT_USAGE;
	default:
		break;
	}
	proxy_say("listen '%s': socket, bind or listen: %s", text, strerror(-rc));
	return EXIT_FAILED;
}

static int open_listener(struct proxy *px)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	int rc;

	cfg.backlog = (int)px->cfg->backlog;
	cfg.shards = (enum weir_shards)px->cfg->shards;
	cfg.keepalive = proxy_config_keepalive(px->cfg);
	cfg.steer = px->cfg->steer ? WEIR_STEER_CPU : WEIR_STEER_HASH;
	rc = weir_listener_open_addr(&px->addr, &cfg, &px->listener);
	return rc < 0 ? rc : weir_listener_addr(px->listener, &px->addr);
}

static void say_steering(struct proxy *px)
{
	int error = weir_listener_steer_error(px->listener);

	if (!px->cfg->steer && error < 0)
		proxy_say("groups of workers get equal shares of the connections, whatever their "
			  "size: %s",
			  weir_strerror(error));
	else if (!px->cfg->steer)
		return;
	else if (weir_listener_shards(px->listener) == 1)
		proxy_say("--steer has no effect: there is only one shard");
	else if (error == -EOPNOTSUPP && px->cfg->shards == WEIR_SHARDS_WORKER)
		proxy_say("--steer has no effect, each shard gets an equal share of the "
			  "connections: with --shards worker, it needs --bind cpu");
	else if (error < 0)
		proxy_say("--steer has no effect, each shard gets an equal share of the "
			  "connections: %s",
			  weir_strerror(error));
}

int proxy_listen(struct proxy *px)
{
	int rc = open_listener(px);

	if (rc < 0)
		return refuse(px, rc);
	weir_addr_format(&px->addr, px->addr_text, sizeof(px->addr_text));
	say_steering(px);
	return 0;
}

/* ---- accepting ---- */

/* Note that the limit was reached; true if this has not happened for EPISODE_NS. */
static bool note_full(struct proxy *px)
{
	uint64_t now;
	bool news;

	pthread_mutex_lock(&px->lock);
	now = weir_now();	/* under the lock: never before what another worker noted */
	news = px->full_ns == 0 || now - px->full_ns > EPISODE_NS;
	px->full_ns = now;
	pthread_mutex_unlock(&px->lock);
	return news;
}

/*
 * At shutdown, a connection that the kernel has already accepted is admitted without room. The
 * connection's task then waits for room itself.
 */
static int owe(struct proxy *px)
{
	pthread_mutex_lock(&px->lock);
	px->owed++;
	pthread_mutex_unlock(&px->lock);
	return 0;
}

/* Take room for one connection: the admit function of weir_listener_serve. */
static int enter(void *arg, bool may_wait)
{
	struct proxy *px = arg;
	int rc = weir_sem_acquire_try(&px->room, 1);

	if (rc != -EAGAIN)
		return rc;
	if (!may_wait)
		return owe(px);
	if (note_full(px) && !px->cfg->quiet)
		proxy_say("%llu connections: the limit is reached, accepting pauses",
			  (unsigned long long)px->limit);
	rc = weir_sem_acquire(&px->room, 1);
	note_full(px);
	return rc == -ECANCELED ? owe(px) : rc;
}

static void serve_one(struct weir_tcp *client, void *arg)
{
	proxy_connection_start(arg, client);
}

static void break_down(struct proxy *px, int rc)
{
	proxy_say("accepting on %s failed: accept: %s", px->addr_text, strerror(-rc));
	pthread_mutex_lock(&px->lock);
	px->broken = true;
	pthread_mutex_unlock(&px->lock);
	weir_notify_one(&px->changed);
}

static int accept_main(void *arg)
{
	struct weir_serve_config cfg = WEIR_SERVE_CONFIG_INIT;
	struct proxy *px = arg;
	int rc;

	cfg.dispatch = (enum weir_dispatch)px->cfg->dispatch;
	cfg.admit = enter;
	rc = weir_listener_serve(px->listener, &cfg, serve_one, px);
	if (rc != -ECANCELED && rc != -ESHUTDOWN)
		break_down(px, rc);
	return rc;
}

int proxy_accept_start(struct proxy *px)
{
	return weir_spawn(accept_main, px, &px->accepting);
}

void proxy_accept_stop(struct proxy *px)
{
	int result;

	if (px->accepting) {
		weir_task_abort(px->accepting);
		if (weir_task_join(px->accepting, &result) == 0)
			px->accepting = NULL;
	}
	weir_listener_close(px->listener);
	px->listener = NULL;
}
