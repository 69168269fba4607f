/* SPDX-License-Identifier: MIT */
/*
 * tcp.c: streams. A call sets up one operation on the caller's stack and awaits it. It is
 * fast because an operation that can finish at once does so. Socket options go to the
 * backend, because not every stream has a descriptor.
 *
 * tcp_released frees a stream when its backend no longer uses it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/atomic.h"
#include "core/io/io.h"
#include "core/sized.h"
#include "core/task/task.h"
#include "net/net.h"

/* ---- life ---- */

struct weir_tcp *weir__tcp_alloc(void)
{
	return calloc(1, sizeof(struct weir_tcp));
}

static void tcp_released(struct weir_handle *handle)
{
	free(WEIR_CONTAINER_OF(handle, struct weir_tcp, handle));
}

/* The end of making a stream, with this result. */
static int made(struct weir_tcp *conn, int rc, struct weir_tcp **ret_conn)
{
	if (rc < 0)
		free(conn);
	else
		*ret_conn = conn;
	return rc;
}

int weir_tcp_new(int family, struct weir_tcp **ret_conn)
{
	struct weir_tcp *conn;

	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return -EAFNOSUPPORT;
	conn = weir__tcp_alloc();
	if (!conn)
		return -ENOMEM;
	return made(conn, weir__handle_new_stream(&conn->handle, family), ret_conn);
}

int weir__adoptable(int fd, int *ret_listening)
{
	int type, listening;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -errno;
	if (type != SOCK_STREAM)
		return -EPROTOTYPE;
	len = sizeof(listening);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return -errno;
	*ret_listening = listening;
	return 0;
}

int weir_tcp_adopt(int fd, struct weir_tcp **ret_conn)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_STREAM, .fd = fd };
	struct weir_tcp *conn;
	int listening = 0;
	int rc = weir__adoptable(fd, &listening);

	if (rc < 0)
		return rc;
	if (listening)
		return -EINVAL;
	conn = weir__tcp_alloc();
	if (!conn)
		return -ENOMEM;
	return made(conn, weir__handle_attach(&conn->handle, &spec), ret_conn);
}

/* Uncount a connection that serve.c has given to a worker: it is being closed. */
static void given_closed(struct weir_tcp *conn)
{
	struct weir__worker *w = weir__worker_current();

	if (w)
		weir__fetch_sub(&w->rt->worker[conn->given_to - 1]->conns, 1u, WEIR_RELAXED);
	conn->given_to = 0;
}

void weir_tcp_close(struct weir_tcp *conn)
{
	if (!conn)
		return;
	if (conn->given_to)
		given_closed(conn);
	weir__handle_close(&conn->handle, tcp_released);
}

void weir_tcp_reset(struct weir_tcp *conn)
{
	if (!conn)
		return;
	/* Errors are ignored: a stream without SO_LINGER is just closed. */
	(void)weir_tcp_set_linger(conn, 0);
	weir_tcp_close(conn);
}

void weir_tcp_drop(void *conn)
{
	weir_tcp_reset(conn);
}

int weir_tcp_split(struct weir_tcp *conn)
{
	uint32_t whole = 0, both = WEIR_HALF_READ | WEIR_HALF_WRITE;

	if (!weir__cas(&conn->halves, &whole, both, WEIR_ACQ_REL, WEIR_RELAXED))
		return -EBUSY;
	return 0;
}

void weir_tcp_close_half(struct weir_tcp *conn, enum weir_half half)
{
	uint32_t found = weir__load(&conn->halves, WEIR_RELAXED);

	if (found && !(found & (uint32_t)half))
		return;
	if (half == WEIR_HALF_WRITE)
		(void)weir_tcp_shutdown(conn, SHUT_WR);
	/*
	 * Pairs with itself: the last owner frees the stream, and must see what the other one did.
	 */
	found = weir__fetch_and(&conn->halves, ~(uint32_t)half, WEIR_ACQ_REL);
	if (!(found & ~(uint32_t)half))
		weir_tcp_close(conn);
}

struct weir_handle *weir_tcp_handle(struct weir_tcp *conn)
{
	return weir__tcp_handle(conn);
}

/* What cannot be read fails in weir_task_spawn. */
int weir_tcp_spawn(struct weir_tcp *conn, const struct weir_task_config *cfg,
		   struct weir_task **ret_task)
{
	struct weir_task_config full = WEIR_TASK_CONFIG_INIT;
	int home = weir__handle_home(weir__tcp_handle(conn));

	if (home < 0 || !cfg || weir__sized_read(&full, cfg) < 0)
		return weir_task_spawn(NULL, cfg, ret_task);
	full.flags |= WEIR_TASK_PLACED;
	full.worker = 1 + home;
	return weir_task_spawn(NULL, &full, ret_task);
}

/* ---- receiving ---- */

int weir_tcp_recv_until(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline)
{
	struct weir_op op;

	weir_op_init_recv(&op, weir__tcp_handle(conn), buf, weir__io_clamp(len), 0);
	return weir__net_await(&op.future, deadline);
}

int weir_tcp_recv(struct weir_tcp *conn, void *buf, size_t len)
{
	struct weir_op op;

	weir_op_init_recv(&op, weir__tcp_handle(conn), buf, weir__io_clamp(len), 0);
	return weir_await(&op.future);
}

int weir_tcp_recvv_until(struct weir_tcp *conn, const struct iovec *iov, unsigned count,
			 uint64_t deadline)
{
	struct weir_op op;

	weir_op_init_recvv(&op, weir__tcp_handle(conn), iov, count);
	return weir__net_await(&op.future, deadline);
}

int weir_tcp_recvv(struct weir_tcp *conn, const struct iovec *iov, unsigned count)
{
	return weir_tcp_recvv_until(conn, iov, count, WEIR_FOREVER);
}

int weir_tcp_peek_until(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline)
{
	struct weir_op op;

	weir_op_init_recv(&op, weir__tcp_handle(conn), buf, weir__io_clamp(len), WEIR_OP_PEEK);
	return weir__net_await(&op.future, deadline);
}

int weir_tcp_peek(struct weir_tcp *conn, void *buf, size_t len)
{
	return weir_tcp_peek_until(conn, buf, len, WEIR_FOREVER);
}

int weir_tcp_recv_try(struct weir_tcp *conn, void *buf, size_t len)
{
	struct weir_op op;

	weir_op_init_recv(&op, weir__tcp_handle(conn), buf, weir__io_clamp(len), WEIR_OP_TRY);
	return weir_await(&op.future);
}

int weir_tcp_recv_exact(struct weir_tcp *conn, void *buf, size_t len, uint64_t deadline,
			size_t *ret_done)
{
	struct weir_op op;
	size_t done = 0;
	int rc;

	if (ret_done)
		*ret_done = 0;
	if (len > INT_MAX)
		return -EINVAL;
	rc = weir__need_fiber();
	if (rc < 0)
		return rc;
	while (done < len) {
		size_t part = weir__io_clamp(len - done);

		weir_op_init_recv(&op, weir__tcp_handle(conn), (char *)buf + done, part,
				  WEIR_OP_ALL);
		rc = weir__net_await(&op.future, deadline);
		done += op.u.io.done;
		if (rc >= 0 && op.u.io.done < part)
			rc = -EPIPE;
		if (rc < 0)
			break;
	}
	if (ret_done)
		*ret_done = done;
	return rc < 0 ? rc : (int)done;
}

int weir_tcp_recv_lease_until(struct weir_tcp *conn, uint64_t deadline,
			      struct weir_lease *ret_lease)
{
	struct weir_op op;

	weir_op_init_recv_lease(&op, weir__tcp_handle(conn), ret_lease);
	return weir__net_await(&op.future, deadline);
}

int weir_tcp_recv_lease(struct weir_tcp *conn, struct weir_lease *ret_lease)
{
	struct weir_op op;

	weir_op_init_recv_lease(&op, weir__tcp_handle(conn), ret_lease);
	return weir_await(&op.future);
}

/* ---- sending ---- */

int weir_tcp_send(struct weir_tcp *conn, const void *buf, size_t len)
{
	struct weir_op op;

	weir_op_init_send(&op, weir__tcp_handle(conn), buf, weir__io_clamp(len), 0);
	return weir_await(&op.future);
}

int weir_tcp_send_until(struct weir_tcp *conn, const void *buf, size_t len, uint64_t deadline)
{
	struct weir_op op;

	weir_op_init_send(&op, weir__tcp_handle(conn), buf, weir__io_clamp(len), 0);
	return weir__net_await(&op.future, deadline);
}

int weir_tcp_sendv_until(struct weir_tcp *conn, const struct iovec *iov, unsigned count,
			 uint64_t deadline)
{
	struct weir_op op;

	weir_op_init_sendv(&op, weir__tcp_handle(conn), iov, count, 0);
	return weir__net_await(&op.future, deadline);
}

int weir_tcp_sendv(struct weir_tcp *conn, const struct iovec *iov, unsigned count)
{
	return weir_tcp_sendv_until(conn, iov, count, WEIR_FOREVER);
}

int weir_tcp_send_try(struct weir_tcp *conn, const void *buf, size_t len)
{
	struct weir_op op;

	weir_op_init_send(&op, weir__tcp_handle(conn), buf, weir__io_clamp(len), WEIR_OP_TRY);
	return weir_await(&op.future);
}

int weir_tcp_send_all(struct weir_tcp *conn, const void *buf, size_t len, uint64_t deadline,
		      size_t *ret_done)
{
	struct weir_op op;
	size_t done = 0;
	int rc;

	if (ret_done)
		*ret_done = 0;
	if (len > INT_MAX)
		return -EINVAL;
	rc = weir__need_fiber();
	if (rc < 0)
		return rc;
	while (rc >= 0 && done < len) {
		weir_op_init_send(&op, weir__tcp_handle(conn), (const char *)buf + done,
				  weir__io_clamp(len - done), WEIR_OP_ALL);
		rc = weir__net_await(&op.future, deadline);
		done += op.u.io.done;
	}
	if (ret_done)
		*ret_done = done;
	return rc < 0 ? rc : (int)done;
}

int weir_tcp_send_lease_until(struct weir_tcp *conn, struct weir_lease *lease, uint64_t deadline)
{
	struct weir_op op;
	int rc;

	weir_op_init_send_lease(&op, weir__tcp_handle(conn), lease);
	rc = weir__net_await(&op.future, deadline);
	weir_lease_return(lease);	/* an op that was never polled has not taken it */
	return rc;
}

int weir_tcp_send_lease(struct weir_tcp *conn, struct weir_lease *lease)
{
	struct weir_op op;
	int rc;

	weir_op_init_send_lease(&op, weir__tcp_handle(conn), lease);
	rc = weir_await(&op.future);
	weir_lease_return(lease);
	return rc;
}

/* ---- options ---- */

int weir_tcp_shutdown(struct weir_tcp *conn, int how)
{
	return weir__handle_control(weir__tcp_handle(conn), WEIR_CTL_SHUTDOWN, &how, sizeof(how));
}

int weir_tcp_set_nodelay(struct weir_tcp *conn, bool on)
{
	int value = on;

	return weir__handle_control(weir__tcp_handle(conn), WEIR_CTL_NODELAY, &value,
				    sizeof(value));
}

int weir_tcp_set_linger(struct weir_tcp *conn, int seconds)
{
	return weir__handle_control(weir__tcp_handle(conn), WEIR_CTL_LINGER, &seconds,
				    sizeof(seconds));
}

int weir_tcp_set_keepalive(struct weir_tcp *conn, const struct weir_keepalive *keepalive)
{
	struct weir_keepalive value = *keepalive;

	return weir__handle_control(weir__tcp_handle(conn), WEIR_CTL_KEEPALIVE, &value,
				    sizeof(value));
}

int weir_tcp_local_addr(struct weir_tcp *conn, struct weir_addr *ret_addr)
{
	return weir__handle_addr(weir__tcp_handle(conn), WEIR_CTL_LOCAL_ADDR, ret_addr);
}

int weir_tcp_peer_addr(struct weir_tcp *conn, struct weir_addr *ret_addr)
{
	return weir__handle_addr(weir__tcp_handle(conn), WEIR_CTL_PEER_ADDR, ret_addr);
}
