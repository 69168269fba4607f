/* SPDX-License-Identifier: MIT */
/*
 * socket.c: see socket.h. Functions return 0, a descriptor or a negative errno, and leave
 * no descriptor open when they fail.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/socket.h"
#include "backends/socket_os.h"
#include "core/atomic.h"
#include "weir/net.h"

/* Bits of weir_handle.ends. */
enum {
	END_SENT = 1u << 0,		/* this side has sent its end */
	BROKEN = 1u << 1,		/* an operation has seen that the connection broke */
	LINGERS = 1u << 2,		/* closing may wait; its streams inherit a listener's bit */
};

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static int get_int(int fd, int level, int name, int *ret_value)
{
	socklen_t len = sizeof(*ret_value);

	return getsockopt(fd, level, name, ret_value, &len) == 0 ? 0 : -errno;
}

void weir__socket_close(int fd)
{
	/* Not repeated on EINTR: Linux has closed it, and the number may be in use again. */
	close(fd);
}

static struct linger linger_of(int fd)
{
	struct linger linger = { .l_onoff = 0 };
	socklen_t len = sizeof(linger);

	if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) < 0)
		linger.l_onoff = 0;
	return linger;
}

static bool lingers(int fd)
{
	struct linger linger = linger_of(fd);

	return linger.l_onoff && linger.l_linger > 0;
}

/*
 * With a timeout in SO_LINGER, close(2) waits up to that long until the peer has acknowledged
 * everything, even on a non-blocking socket. So SO_LINGER is switched off first; the kernel then
 * delivers the same bytes after the close. A timeout of 0, which resets, is left as it is.
 */
void weir__socket_close_handle(struct weir_handle *h)
{
	const struct linger off = { .l_onoff = 0 };
	int fd = h->fd;

	h->fd = -1;
	if (WEIR_UNLIKELY(weir__load(&h->ends, WEIR_RELAXED) & LINGERS) && lingers(fd))
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	weir__socket_close(fd);
}

bool weir__socket_resets(int fd)
{
	struct linger linger;
	int unread = 0;

	if (ioctl(fd, FIONREAD, &unread) == 0 && unread > 0)
		return true;
	linger = linger_of(fd);
	return linger.l_onoff && linger.l_linger == 0;
}

void weir__socket_will_reset(int fd)
{
	const struct linger linger = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void weir__socket_reset(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	/* A Unix socket cannot be disconnected, but it can be shut down. */
	if (connect(fd, &none, sizeof(none)) < 0)
		(void)shutdown(fd, SHUT_RDWR);
}

/* Set the flags of an adopted descriptor as for our own. */
static int adopt(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
		return -errno;
	flags = fcntl(fd, F_GETFD);
	if (flags < 0 || (!(flags & FD_CLOEXEC) && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0))
		return -errno;
	return weir__socket_no_signal(fd);
}

static int bind_and_listen(int fd, int family, const struct weir_handle_spec *spec)
{
	bool listener = spec->kind == WEIR_HANDLE_LISTENER;
	bool ip = family == AF_INET || family == AF_INET6;
	int err = 0;

	if (listener && ip)
		err = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (err == 0 && spec->reuse_port)
		err = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (err == 0 && listener && family == AF_INET6)
		err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, spec->v6_only);
	if (err == 0 && spec->addr && bind(fd, spec->addr, spec->addr_len) < 0)
		err = -errno;
	if (err == 0 && listener && listen(fd, spec->backlog) < 0)
		err = -errno;
	return err;
}

static int family_of(int fd, int *ret_family)
{
	struct sockaddr_storage name = { 0 };
	socklen_t len = sizeof(name);

	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return -errno;
	*ret_family = name.ss_family;
	return 0;
}

/* Files cannot be waited for. A device that is always ready reports that itself. */
static int check_foreign(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? -EPERM : 0;
}

static int open_fresh(const struct weir_handle_spec *spec, int family)
{
	int fd = weir__socket_new(family), err;

	if (fd < 0)
		return fd;
	err = bind_and_listen(fd, family, spec);
	if (err < 0) {
		weir__socket_close(fd);
		return err;
	}
	return fd;
}

int weir__socket_open(const struct weir_handle_spec *spec, int *ret_fd, bool *ret_tcp)
{
	int family = spec->addr ? spec->addr->sa_family : spec->family;
	int fd = spec->fd, err = 0;

	*ret_tcp = false;
	if (spec->kind == WEIR_HANDLE_FOREIGN) {
		*ret_fd = fd;
		return check_foreign(fd);
	}
	if (spec->kind != WEIR_HANDLE_LISTENER && spec->kind != WEIR_HANDLE_STREAM)
		return -EINVAL;
	if (fd < 0) {
		if (spec->kind == WEIR_HANDLE_LISTENER && !spec->addr)
			return -EINVAL;
		fd = open_fresh(spec, family);
	} else {
		err = family_of(fd, &family);
		if (err == 0)
			err = adopt(fd);
	}
	if (fd < 0 || err < 0)
		return fd < 0 ? fd : err;
	*ret_tcp = family == AF_INET || family == AF_INET6;
	*ret_fd = fd;
	return 0;
}

/*
 * Errors of one connection in the queue, and not of the listener: see "Error handling" in
 * accept(2). EPERM and EACCES are not among them: a security module or filter forbids the next call
 * too.
 */
bool weir__socket_died(int err)
{
	switch (err) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENETUNREACH:
#ifdef ENONET
	case ENONET:
#endif
		return true;
	default:
		return false;
	}
}

int weir__socket_accept(int fd)
{
	unsigned tries = 0;
	int conn;

	do
		conn = weir__socket_next(fd);
	while (conn < 0 && weir__socket_died(-conn) && ++tries < WEIR__TRIES);
	return conn;
}

int weir__socket_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (connect(fd, addr, len) == 0)
		return 0;
	/* An interrupted connect continues in the kernel. */
	return errno == EINTR ? -EINPROGRESS : -errno;
}

int weir__socket_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int failed = 0, err = get_int(fd, SOL_SOCKET, SO_ERROR, &failed);

	if (err < 0 || failed)
		return err < 0 ? err : -failed;
	/* Without an error there may still be no connection: the event may be an old one. */
	if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
		return 0;
	return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

static int get_name(int fd, enum weir_control what, struct sockaddr_storage *ret_name)
{
	socklen_t len = sizeof(*ret_name);

	memset(ret_name, 0, sizeof(*ret_name));
	if (what == WEIR_CTL_PEER_ADDR)
		return weir__socket_peer(fd, (struct sockaddr *)ret_name, &len);
	return getsockname(fd, (struct sockaddr *)ret_name, &len) == 0 ? 0 : -errno;
}

static int set_linger(struct weir_handle *h, int seconds)
{
	struct linger linger = { .l_onoff = seconds >= 0, .l_linger = seconds >= 0 ? seconds : 0 };

	if (seconds > 0)
		weir__fetch_or(&h->ends, (uint8_t)LINGERS, WEIR_RELAXED);
	return setsockopt(h->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0 ? 0 : -errno;
}

static int set_keepalive(int fd, const struct weir_keepalive *k)
{
	int err = 0;

	if (k->idle_s > 0)
		err = set_int(fd, IPPROTO_TCP, WEIR__TCP_KEEPIDLE, k->idle_s);
	if (err == 0 && k->interval_s > 0)
		err = set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, k->interval_s);
	if (err == 0 && k->count > 0)
		err = set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, k->count);
	return err < 0 ? err : set_int(fd, SOL_SOCKET, SO_KEEPALIVE, k->idle_s > 0);
}

/* ---- how a stream ends ---- */

/*
 * The bit is set before the call, because the peer's answer may be received before shutdown
 * returns. If the call fails, the connection was gone and no end was sent.
 */
static int shut_down(struct weir_handle *h, int how)
{
	bool ends = how != SHUT_RD && !(weir__load(&h->ends, WEIR_RELAXED) & END_SENT);
	int err;

	if (ends)
		weir__fetch_or(&h->ends, (uint8_t)END_SENT, WEIR_RELAXED);
	if (shutdown(h->fd, how) == 0)
		return 0;
	err = -errno;
	if (ends)
		weir__fetch_and(&h->ends, (uint8_t)~END_SENT, WEIR_RELAXED);
	return err;
}

void weir__socket_adopted(struct weir_handle *h)
{
	if (h->kind == WEIR_HANDLE_STREAM && weir__socket_end_sent(h->fd))
		h->ends = END_SENT;
	if (lingers(h->fd))
		h->ends |= LINGERS;
}

/* Whether the connection is broken; after other errors it can be used further. */
static bool breaks(int err)
{
	switch (err) {
	case -ECONNRESET:
	case -ECONNABORTED:
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return true;
	default:
		return false;
	}
}

/*
 * Whether an end of stream is real. It is, if the connection still exists (a Unix socket always has
 * its peer). If the connection is gone, the end is real if a pending error is left: it belongs to
 * the sends after the peer's end, because otherwise the receive would have got it.
 */
static bool is_end(struct weir_handle *h)
{
	struct pollfd p = { .fd = h->fd };
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (getpeername(h->fd, (struct sockaddr *)&peer, &len) == 0 ||
	    weir__load(&h->ends, WEIR_RELAXED) & END_SENT)
		return true;
	return poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

int weir__socket_end(struct weir_handle *h, int err)
{
	if (err == 0 && (weir__load(&h->ends, WEIR_RELAXED) & BROKEN || !is_end(h)))
		err = -ECONNRESET;
	if (breaks(err))
		weir__fetch_or(&h->ends, (uint8_t)BROKEN, WEIR_RELAXED);
	return err;
}

/* ---- options ---- */

static size_t value_size(enum weir_control what)
{
	switch (what) {
	case WEIR_CTL_LOCAL_ADDR:
	case WEIR_CTL_PEER_ADDR:
		return sizeof(struct sockaddr_storage);
	case WEIR_CTL_KEEPALIVE:
		return sizeof(struct weir_keepalive);
	case WEIR_CTL_STEER:
		return sizeof(struct weir_steering);
	default:
		return sizeof(int);
	}
}

int weir__socket_control(struct weir_handle *h, enum weir_control what, void *value, size_t len)
{
	int number = 0, fd = h->fd;

	if (!value || len != value_size(what))
		return -EINVAL;
	if (len == sizeof(number))
		memcpy(&number, value, sizeof(number));
	switch (what) {
	case WEIR_CTL_LOCAL_ADDR:
	case WEIR_CTL_PEER_ADDR:
		return get_name(fd, what, value);
	case WEIR_CTL_SHUTDOWN:
		return shut_down(h, number);
	case WEIR_CTL_NODELAY:
		return set_int(fd, IPPROTO_TCP, TCP_NODELAY, number != 0);
	case WEIR_CTL_LINGER:
		return set_linger(h, number);
	case WEIR_CTL_KEEPALIVE:
		return set_keepalive(fd, value);
	case WEIR_CTL_SEND_BUFFER:
		return set_int(fd, SOL_SOCKET, SO_SNDBUF, number);
	case WEIR_CTL_RECV_BUFFER:
		return set_int(fd, SOL_SOCKET, SO_RCVBUF, number);
	case WEIR_CTL_ERROR:
		return get_int(fd, SOL_SOCKET, SO_ERROR, value);
	case WEIR_CTL_SHARE_PORT:
		return weir__socket_share_port(fd);
	case WEIR_CTL_STEER:
		return weir__socket_steer(fd, value);
	}
	return -EINVAL;
}
