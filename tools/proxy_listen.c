/* SPDX-License-Identifier: MIT */
/*
 * proxy_listen.c: a listener and a pinned accepting task per worker, all on one
 * port (SO_REUSEPORT: the kernel spreads connections over them).
 *
 * The limit: a connection is served only when there is room for it. A task that
 * accepted one and finds no room waits with it, and accepts no other meanwhile:
 * so at the limit one connection per worker waits here, the rest in the kernel's
 * queues, and beyond those the kernel does not answer. Nobody is turned away.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/proxy.h"

#define RESOLVE_NS (10 * WEIR_SEC)
/* The limit is news again when nobody had to wait for so long. */
#define EPISODE_NS (10 * WEIR_SEC)

/* ---- opening ---- */

static int refuse(struct proxy *px, int rc)
{
	const char *text = px->cfg->listen;

	switch (rc) {
	case -EADDRINUSE:
		proxy_say("listen '%s': the port is in use; a free one is wanted", text);
		return EXIT_USAGE;
	case -EACCES:
	case -EPERM:
		proxy_say("listen '%s': port %u is for root or CAP_NET_BIND_SERVICE; one from 1024 "
			  "on is wanted",
			  text, weir_addr_port(&px->addr));
		return EXIT_USAGE;
	case -EADDRNOTAVAIL:
		proxy_say("listen '%s': not an address of this machine", text);
		return EXIT_USAGE;
	case -ENOENT:
		proxy_say("listen '%s': there is no host of that name", text);
		return EXIT_USAGE;
	case -EINVAL:
	case -ENAMETOOLONG:
	case -EAFNOSUPPORT:
		proxy_say(
			"listen '%s': an address such as tcp://127.0.0.1:8080, tcp://[::1]:8080 or "
			"tcp://*:8080 is wanted",
			text);
		return EXIT_USAGE;
	default:
		proxy_say("listen '%s': %s", text, weir_strerror(rc));
		return EXIT_FAILED;
	}
}

/*
 * Whether somebody has the port: SO_REUSEPORT would let a second proxy of the same user in,
 * silently, and each would get half of the connections. So it is bound once without.
 */
static int port_is_free(const struct weir_addr *addr)
{
	int fd = socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, rc = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &addr->u.sa, addr->len) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int open_shards(struct proxy *px, unsigned shards)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	int rc = 0;

	cfg.backlog = (int)px->cfg->backlog;
	cfg.reuse_port = shards > 1;
	for (unsigned i = 0; rc == 0 && i < shards; i++) {
		struct acceptor *a = &px->acceptors[i];

		a->px = px;
		rc = weir_listener_open_addr(&px->addr, &cfg, &a->listener);
		if (rc == 0) {
			px->acceptors_len++;
			/* Port 0 is one port for all of them. */
			rc = weir_listener_addr(a->listener, &px->addr);
		}
	}
	return rc;
}

int proxy_listen(struct proxy *px)
{
	unsigned shards = weir_rt_workers(px->rt);
	int rc;

	rc = weir_resolve(px->cfg->listen, weir_deadline_in(RESOLVE_NS), &px->addr, 1);
	if (rc >= 0)
		rc = px->addr.u.sa.sa_family == AF_UNIX ? -EAFNOSUPPORT : port_is_free(&px->addr);
	if (rc < 0)
		return refuse(px, rc);
	px->acceptors = calloc(shards, sizeof(*px->acceptors));
	rc = px->acceptors ? open_shards(px, shards) : -ENOMEM;
	if (rc < 0)
		return refuse(px, rc);
	weir_addr_format(&px->addr, px->addr_text, sizeof(px->addr_text));
	return 0;
}

/* ---- accepting ---- */

/* Note that the limit was met; true when that has not been so for a while. */
static bool note_full(struct proxy *px)
{
	uint64_t now = weir_now();
	bool news;

	pthread_mutex_lock(&px->lock);
	news = px->full_ns == 0 || now - px->full_ns > EPISODE_NS;
	px->full_ns = now;
	pthread_mutex_unlock(&px->lock);
	return news;
}

/* Take room for one connection, waiting for it. */
static int enter(struct proxy *px)
{
	int rc = weir_sem_acquire_try(&px->room, 1);

	if (rc != -EAGAIN)
		return rc;
	if (note_full(px) && !px->cfg->quiet)
		proxy_say("%llu connections: the limit is reached, accepting pauses",
			  (unsigned long long)px->limit);
	rc = weir_sem_acquire(&px->room, 1);
	note_full(px);
	return rc;
}

static void break_down(struct proxy *px, int rc)
{
	proxy_say("accepting on %s failed: %s", px->addr_text, weir_strerror(rc));
	pthread_mutex_lock(&px->lock);
	px->broken = true;
	pthread_mutex_unlock(&px->lock);
	weir_notify_one(&px->changed);
}

static int accept_main(void *arg)
{
	struct acceptor *a = arg;
	struct weir_tcp *client;
	int rc;

	for (;;) {
		rc = weir_listener_accept(a->listener, &client);
		if (rc < 0)
			break;
		rc = enter(a->px);
		if (rc < 0) {
			weir_tcp_reset(client);
			break;
		}
		proxy_connection_start(a->px, client);
	}
	if (rc != -ECANCELED && rc != -ESHUTDOWN)
		break_down(a->px, rc);
	return rc;
}

int proxy_accept_start(struct proxy *px)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < px->acceptors_len; i++) {
		struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

		cfg.name = "accept";
		cfg.where = WEIR_HERE;
		cfg.flags = WEIR_TASK_PINNED;
		cfg.worker = (int)i + 1;
		cfg.fn = accept_main;
		cfg.arg = &px->acceptors[i];
		rc = weir_task_spawn(NULL, &cfg, &px->acceptors[i].task);
	}
	return rc;
}

/* ---- stopping ---- */

/* The kernel has told these clients that they are connected; closing would reset them. */
static void take_queued(struct acceptor *a)
{
	struct weir_tcp *client;

	while (weir_sem_acquire_try(&a->px->room, 1) == 0) {
		if (weir_listener_accept_until(a->listener, 0, &client) < 0) {
			weir_sem_release(&a->px->room, 1);
			return;
		}
		proxy_connection_start(a->px, client);
	}
}

void proxy_accept_stop(struct proxy *px)
{
	int result;

	for (unsigned i = 0; i < px->acceptors_len; i++)
		if (px->acceptors[i].task)
			weir_task_abort(px->acceptors[i].task);
	for (unsigned i = 0; i < px->acceptors_len; i++) {
		struct acceptor *a = &px->acceptors[i];

		if (a->task && weir_task_join(a->task, &result) == 0) {
			a->task = NULL;
			take_queued(a);
		}
		weir_listener_close(a->listener);
	}
	px->acceptors_len = 0;
}
