/* SPDX-License-Identifier: MIT */
/* backends_iouring_rig.c: see backends_iouring_rig.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/backends_iouring_rig.h"

/* ---- the core's functions ----------------------------------------------------------------- */

unsigned detached;

void weir_backend_complete(struct weir_op *op, int res)
{
	ck_assert_int_eq(weir__load(&op->state, WEIR_RELAXED), WEIR_OP_INFLIGHT);
	op->res = res;
	/* Pairs with the load in is_done. */
	weir__store(&op->state, (uint8_t)WEIR_OP_DONE, WEIR_RELEASE);
}

void weir_backend_retry(struct weir_op *op)
{
	(void)op;
	ck_abort_msg("a completion backend gives nothing back");
}

void weir_backend_detached(struct weir_handle *h)
{
	void (*released)(struct weir_handle *) = h->released;

	/* The memory may be freed from now on: whoever reads it gets garbage. */
	memset(h, 0xa5, sizeof(*h));
	if (released)
		released(h);
	/* Pairs with the load in detach. */
	weir__fetch_add(&detached, 1u, WEIR_RELEASE);
}

/* ---- instances ---------------------------------------------------------------------------- */

static unsigned files_before;

const struct form forms[FORMS] = {
	{ NULL, 2, false },
	{ NULL, 1, false },
	{ NULL, 1, true },
	{ "no-defer", 2, false },
	{ "no-multishot-recv,no-multishot-accept", 2, false },
	{ "no-buffers", 2, false },
	{ "no-inline-send,no-ring-fd", 2, false },
	{ "entries=8,buffer-entries=16", 2, false },
	{ "zero-copy=1", 2, false },
	{ "direct=64", 2, false },
	{ "incremental=1", 2, false },
};

struct uring *uring(unsigned i)
{
	return WEIR_CONTAINER_OF(instances[i], struct uring, base);
}

static struct weir_backend *open_instance(unsigned index, const struct form *form)
{
	struct weir_backend_config cfg = { .worker = index,
					   .workers = form->workers,
					   .node = -1,
					   .busy_events = 64,
					   .idle_events = 1024,
					   .lease_bytes = BLOCK,
					   .options = form->options,
					   .moves = form->moves };

	return make_instance("io_uring", &cfg);
}

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void begin(unsigned form)
{
	files_before = open_files();
	for (unsigned i = 0; i < forms[form].workers; i++)
		instances[i] = open_instance(i, &forms[form]);
	become(be0);
}

void end(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!instances[i])
			continue;
		ck_assert_ptr_null(uring(i)->closing);
		drop_instance(instances[i]);
		instances[i] = NULL;
	}
	ck_assert_uint_eq(open_files(), files_before);
}

uint64_t in_ms(unsigned ms)
{
	return weir_backend_now(be0) + ms * WEIR_MSEC;
}

/* ---- ops ---------------------------------------------------------------------------------- */

struct weir_op *submit_to(struct weir_backend *be, struct weir_op *op)
{
	op->state = WEIR_OP_INFLIGHT;
	op->backend = be;
	become(be);
	be->worker->submitting = op;
	be->ops->submit(be, op);
	be->worker->submitting = NULL;
	return op;
}

struct weir_op *submit_mailed(struct weir_op *op)
{
	op->state = WEIR_OP_INFLIGHT;
	op->backend = be0;
	become(be0);
	be0->ops->submit(be0, op);
	return op;
}

bool is_done(struct weir_op *op)
{
	return weir__load(&op->state, WEIR_ACQUIRE) == WEIR_OP_DONE;
}

void settle(struct weir_backend *be)
{
	become(be);
	while (turn_of(be, in_ms(5)) > 0)
		continue;
}

void cancel(struct weir_op *op)
{
	op->backend->ops->cancel(op->backend, op);
}

struct weir_op *with(struct weir_op *op, unsigned flags)
{
	op->flags = (uint8_t)flags;
	return op;
}

struct weir_op *connect_op(struct weir_op *op, struct weir_handle *h, const void *addr,
			   socklen_t len)
{
	prepare(op, WEIR_OP_CONNECT, h);
	op->u.connect.addr = addr;
	op->u.connect.len = len;
	return op;
}

/* ---- sockets ------------------------------------------------------------------------------ */

void detach(struct weir_handle *h)
{
	unsigned before = weir__load(&detached, WEIR_ACQUIRE);
	uint64_t limit = weir_backend_now(be0) + testing_hang_ns();
	struct weir_backend *be = h->backend;

	become(be);
	be->ops->detach(be, h);
	while (weir__load(&detached, WEIR_ACQUIRE) == before) {
		turn_of(be, in_ms(100));
		ck_assert_msg(weir_backend_now(be) < limit, "the handle is never released");
	}
	ck_assert_uint_eq(detached, before + 1);
}

int read_end(int peer)
{
	char buf[65536];
	ssize_t n;

	fcntl(peer, F_SETFL, 0);
	while ((n = read(peer, buf, sizeof(buf))) > 0)
		continue;
	return n < 0 ? -errno : 0;
}

size_t fill(struct weir_handle *h)
{
	static const char zeros[65536];
	size_t sent = 0;
	ssize_t n;

	while ((n = send(h->fd, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
		sent += (size_t)n;
	ck_assert_int_eq(errno, EAGAIN);
	return sent;
}

void arm(struct weir_handle *h, int peer)
{
	struct weir_lease lease;
	struct weir_op op;

	for (unsigned i = 0; i < 20 && !(state_of(h)->flags & ARMED); i++) {
		submit(lease_op(&op, h, &lease));
		turn_of(be0, 0);
		put(peer, "calm");
		ck_assert_int_eq(finish(&op), 4);
		give_back(&lease);
	}
	ck_assert(state_of(h)->flags & ARMED);
	ck_assert(!state_of(h)->waiters);
}

void queue_some(struct weir_handle *h, int peer, const char *text)
{
	unsigned before = state_of(h)->queued;

	put(peer, text);
	while (state_of(h)->queued == before)
		turn_of(be0, WEIR_FOREVER);
}

int lease_now(struct weir_handle *h, char *buf)
{
	struct weir_lease lease;
	struct weir_op op;
	int n = finish(submit(lease_op(&op, h, &lease)));

	if (n > 0) {
		memcpy(buf, lease.data, (size_t)n);
		give_back(&lease);
	}
	return n;
}

void open_stream(struct weir_handle *h, int family)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_STREAM, .fd = -1, .family = family };

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(be0->ops->attach(be0, h, &spec), 0);
}

int full_listener(struct sockaddr_in *addr, int ret_clients[2])
{
	int fd = listen_raw(addr, 0);

	for (unsigned i = 0; i < 2; i++) {
		ret_clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(ret_clients[i], (struct sockaddr *)addr, sizeof(*addr));
	}
	return fd;
}
