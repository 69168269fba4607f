/* SPDX-License-Identifier: MIT */
/* probe.c: see probe.h. kernel.c makes the system calls. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/iouring/probe.h"
#include "core/atomic.h"

/* The operations that a worker needs. */
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
			 "io_uring is disabled: sysctl kernel.io_uring_disabled is %d "
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
		snprintf(why, len, "cannot read the kernel's list of operations: %s",
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

static int check_enter(const struct uring_kernel *kernel, struct io_uring *ring, char *why,
		       size_t len)
{
	int rc = kernel->enter(ring);

	if (rc < 0)
		snprintf(why, len, "io_uring_enter: %s: probably a seccomp filter denies it",
			 strerror(-rc));
	return rc;
}

/* These depend not only on the kernel, so they are tried each time. */
#define VARYING (1u << URING_TABLE | 1u << URING_NAPI)

/* The message for a missing feature. */
static const struct {
	const char *lack, *remedy;
} features[URING_FEATURES] = {
	[URING_BUFFER_RING] = { "no buffer rings", "use io_uring:no-buffers" },
	[URING_MULTISHOT_ACCEPT] = { "no multishot accept", "use io_uring:no-multishot-accept" },
	[URING_MULTISHOT_RECV] = { "no multishot recv", "use io_uring:no-multishot-recv" },
	[URING_BUNDLE] = { "no bundles", "they need Linux 6.10" },
	[URING_INCREMENTAL] = { "no incrementally filled buffers", "they need Linux 6.12" },
	[URING_ZERO_COPY] = { "no zero-copy send", "it needs Linux 6.0" },
	[URING_TABLE] = { "no descriptor table of that size", "use a smaller number for direct" },
	[URING_NAPI] = { "no busy polling of the network card", "it needs Linux 6.9" },
	[URING_MIN_WAIT] = { "no min-wait", "it needs Linux 6.12" },
};

static void find_enabled(const struct uring_options *options, bool *ret_enabled)
{
	const bool enabled[URING_FEATURES] = {
		[URING_BUFFER_RING] = options->buffers,
		[URING_MULTISHOT_ACCEPT] = options->multishot_accept,
		[URING_MULTISHOT_RECV] = options->multishot_recv,
		[URING_BUNDLE] = options->bundle && options->multishot_recv,
		[URING_INCREMENTAL] = options->incremental,
		[URING_ZERO_COPY] = options->zero_copy_bytes,
		[URING_TABLE] = options->direct,
		[URING_NAPI] = options->napi_us,
		[URING_MIN_WAIT] = options->min_wait_us,
	};

	memcpy(ret_enabled, enabled, sizeof(enabled));
}

static int check_features(const struct uring_kernel *kernel, struct io_uring *ring,
			  const struct uring_options *options, char *why, size_t len)
{
	uint32_t *works = &kernel->works[options->defer];
	/* Relaxed, because a bit guards no other data; a thread that misses one tries again. */
	uint32_t known = weir__load(works, WEIR_RELAXED);
	bool enabled[URING_FEATURES];
	int rc;

	find_enabled(options, enabled);
	for (unsigned i = 0; i < URING_FEATURES; i++) {
		if (!enabled[i] || known & 1u << i)
			continue;
		rc = kernel->try(ring, (enum uring_feature)i, options);
		if (rc < 0) {
			snprintf(why, len, "%s (%s); %s", features[i].lack, strerror(-rc),
				 features[i].remedy);
			return rc;
		}
		if (!(VARYING & 1u << i))
			weir__fetch_or(works, 1u << i, WEIR_RELAXED);
	}
	return 0;
}

static int check_waits(const struct io_uring_params *params, char *why, size_t len)
{
	if (params->features & IORING_FEAT_EXT_ARG && params->features & IORING_FEAT_NODROP)
		return 0;
	snprintf(why, len, "the kernel is too old: its waits have no timeout");
	return -EOPNOTSUPP;
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
	rc = check_waits(&params, why, len);
	if (rc == 0)
		rc = check_ops(kernel, &ring, why, len);
	if (rc == 0)
		rc = check_enter(kernel, &ring, why, len);
	if (rc == 0)
		rc = check_features(kernel, &ring, &options, why, len);
	kernel->exit(&ring);
	return rc;
}

int weir__uring_probe(const char *options, char *why, size_t len)
{
	return weir__uring_probe_kernel(&weir__uring_this_kernel, options, why, len);
}
