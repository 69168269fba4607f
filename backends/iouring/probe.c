/* SPDX-License-Identifier: MIT */
/* probe.c: see probe.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/iouring/options.h"
#include "backends/iouring/probe.h"
#include "weir/base.h"

/* IORING_FEAT_RECVSEND_BUNDLE, of newer headers. */
#define FEAT_BUNDLE (1u << 14)

/* What a worker cannot do without. */
static const struct {
	int op;
	const char *name;
} needed[] = {
	{ IORING_OP_ACCEPT, "accept" },	  { IORING_OP_CONNECT, "connect" },
	{ IORING_OP_RECV, "recv" },	  { IORING_OP_RECVMSG, "recvmsg" },
	{ IORING_OP_SEND, "send" },	  { IORING_OP_SENDMSG, "sendmsg" },
	{ IORING_OP_POLL_ADD, "poll" },	  { IORING_OP_ASYNC_CANCEL, "cancel" },
};
#define NEEDED (sizeof(needed) / sizeof(needed[0]))

static int setup_failed(const struct uring_kernel *kernel, int rc, bool defer, char *why,
			size_t len)
{
	int disabled = kernel->disabled();

	if (rc == -EPERM && disabled > 0)
		snprintf(why, len,
			 "it is switched off: sysctl kernel.io_uring_disabled is %d "
			 "(sysctl -w kernel.io_uring_disabled=0)",
			 disabled);
	else if (rc == -EPERM)
		snprintf(why, len,
			 "io_uring_setup is not permitted: a seccomp filter denies it, "
			 "as container runtimes do by default");
	else if (rc == -ENOSYS)
		snprintf(why, len, "the kernel has no io_uring, or a seccomp filter hides it");
	else if (rc == -ENOMEM)
		snprintf(why, len,
			 "no memory for a ring: raise the limit of locked memory "
			 "(ulimit -l)");
	else if (rc == -EINVAL && defer)
		snprintf(why, len,
			 "the kernel is older than 6.1: it has no rings with deferred "
			 "task work");
	else if (rc == -EINVAL)
		snprintf(why, len, "the kernel is older than 5.19");
	else
		snprintf(why, len, "io_uring_setup: %s", strerror(-rc));
	return rc;
}

static int check_ops(const struct uring_kernel *kernel, struct io_uring *ring, char *why,
		     size_t len)
{
	bool supported[NEEDED] = { false };
	int ops[NEEDED], rc;

	for (unsigned i = 0; i < NEEDED; i++)
		ops[i] = needed[i].op;
	rc = kernel->supports(ring, ops, NEEDED, supported);
	if (rc < 0) {
		snprintf(why, len, "the kernel does not say which operations it has: %s",
			 strerror(-rc));
		return rc;
	}
	for (unsigned i = 0; i < NEEDED; i++)
		if (!supported[i]) {
			snprintf(why, len, "the kernel lacks the operation %s", needed[i].name);
			return -EOPNOTSUPP;
		}
	return 0;
}

static int check_buffers(const struct uring_kernel *kernel, struct io_uring *ring, char *why,
			 size_t len)
{
	int rc = kernel->buffer_ring(ring);

	if (rc < 0)
		snprintf(why, len, "no buffer ring (%s); io_uring:no-buffers does without",
			 strerror(-rc));
	return rc;
}

static int check_enter(const struct uring_kernel *kernel, struct io_uring *ring, char *why,
		       size_t len)
{
	int rc = kernel->enter(ring);

	if (rc < 0)
		snprintf(why, len, "io_uring_enter: %s: a seccomp filter denies it, it seems",
			 strerror(-rc));
	return rc;
}

int weir__uring_probe_kernel(const struct uring_kernel *kernel, const char *words, char *why,
			     size_t len)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SUBMIT_ALL |
						   IORING_SETUP_TASKRUN_FLAG };
	struct uring_options options;
	struct io_uring ring;
	int rc;

	weir__uring_options_init(&options);
	rc = weir__uring_options_parse(words, &options, why, len);
	if (rc < 0)
		return rc;
	params.flags |= options.defer ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
				      : IORING_SETUP_COOP_TASKRUN;
	rc = kernel->setup(8, &ring, &params);
	if (rc < 0)
		return setup_failed(kernel, rc, options.defer, why, len);
	if (!(params.features & IORING_FEAT_EXT_ARG) || !(params.features & IORING_FEAT_NODROP)) {
		snprintf(why, len, "the kernel is too old: its waits have no timeout");
		rc = -EOPNOTSUPP;
	}
	if (rc == 0 && options.bundle && !(params.features & FEAT_BUNDLE)) {
		snprintf(why, len, "the kernel has no bundles (6.10)");
		rc = -EOPNOTSUPP;
	}
	if (rc == 0)
		rc = check_ops(kernel, &ring, why, len);
	if (rc == 0 && options.buffers)
		rc = check_buffers(kernel, &ring, why, len);
	if (rc == 0)
		rc = check_enter(kernel, &ring, why, len);
	kernel->exit(&ring);
	return rc;
}

/* ---- this kernel ---- */

static int supports(struct io_uring *ring, const int *ops, unsigned count, bool *ret_supported)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);

	if (!probe)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < count; i++)
		ret_supported[i] = io_uring_opcode_supported(probe, ops[i]);
	io_uring_free_probe(probe);
	return 0;
}

static int buffer_ring(struct io_uring *ring)
{
	struct io_uring_buf_reg reg = { .ring_entries = 8, .bgid = 0 };
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (at == MAP_FAILED)
		return -errno;
	reg.ring_addr = (uintptr_t)at;
	rc = io_uring_register_buf_ring(ring, &reg, 0);
	if (rc == 0)
		io_uring_unregister_buf_ring(ring, 0);
	munmap(at, bytes);
	return rc;
}

static int enter(struct io_uring *ring)
{
	int rc;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	rc = io_uring_submit_and_wait(ring, 1);
	return rc < 0 ? rc : 0;
}

static int disabled(void)
{
	int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
	char value = 0;
	bool got = fd >= 0 && read(fd, &value, 1) == 1;

	if (fd >= 0)
		close(fd);
	return got && value >= '0' && value <= '9' ? value - '0' : -1;
}

const struct uring_kernel weir__uring_this_kernel = {
	.setup = io_uring_queue_init_params,
	.exit = io_uring_queue_exit,
	.supports = supports,
	.buffer_ring = buffer_ring,
	.enter = enter,
	.disabled = disabled,
};

int weir__uring_probe(const char *options, char *why, size_t len)
{
	return weir__uring_probe_kernel(&weir__uring_this_kernel, options, why, len);
}
