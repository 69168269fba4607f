/* SPDX-License-Identifier: MIT */
/*
 * parts.c: helpers for cases; see conformance.h. All run on a fiber and assert that they succeed.
 */
#include <unistd.h>

#include "tests/conformance/conformance.h"

/* ---- connections ---- */

struct weir_listener *open_listener(struct weir_addr *ret_addr)
{
	struct weir_listener *listener;

	OK(weir_listener_open("127.0.0.1:0", NULL, &listener));
	OK(weir_listener_addr(listener, ret_addr));
	return listener;
}

/* Makes the socket's buffers small. Those of the simulated backend already are. */
static void small_buffer(struct weir_tcp *conn)
{
	struct weir_backend *be = weir_tcp_handle(conn)->backend;
	int bytes = 65536;

	if (weir_tcp_handle(conn)->fd >= 0)
		be->ops->control(be, weir_tcp_handle(conn), WEIR_CTL_SEND_BUFFER, &bytes,
				 sizeof(bytes));
}

void connected(struct weir_tcp **ret_one, struct weir_tcp **ret_other)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);

	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, ret_one));
	OK(weir_listener_accept(listener, ret_other));
	weir_listener_close(listener);
	small_buffer(*ret_one);
	small_buffer(*ret_other);
}

void unix_connected(struct weir_tcp **ret_one, struct weir_tcp **ret_other)
{
	static unsigned count;		/* a name stays in use until its listener's close is over */
	struct weir_listener *listener;
	char name[64];

	snprintf(name, sizeof(name), "unix:@weir-pair-%d-%u", (int)getpid(), count++);
	OK(weir_listener_open(name, NULL, &listener));
	OK(weir_tcp_connect(name, WEIR_FOREVER, ret_one));
	OK(weir_listener_accept(listener, ret_other));
	weir_listener_close(listener);
}

void close_both(struct weir_tcp *one, struct weir_tcp *other)
{
	weir_tcp_close(one);
	weir_tcp_close(other);
}

/* A backend may close a listener with delay. Connections that get in until then are reset. */
void refused(const struct weir_addr *addr)
{
	struct weir_tcp *conn;
	int rc;

	for (int i = 0; (rc = weir_tcp_connect_addr(addr, WEIR_FOREVER, &conn)) == 0; i++) {
		ck_assert_int_lt(i, 100);
		weir_tcp_close(conn);
	}
	ck_assert_int_eq(rc, -ECONNREFUSED);
}

void nobodys_addr(struct weir_addr *ret_addr)
{
	weir_listener_close(open_listener(ret_addr));
	refused(ret_addr);
}

bool sends_wait_for_the_peer(void)
{
	if (env.zero_copy)
		testing_skip("a zero-copy send ends only when its peer has received the bytes");
	return env.zero_copy;
}

void crowd_open(struct crowd *crowd)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	int rc = 0;

	cfg.backlog = 1;
	crowd->count = 0;
	OK(weir_listener_open("127.0.0.1:0", &cfg, &crowd->listener));
	OK(weir_listener_addr(crowd->listener, &crowd->addr));
	while (rc == 0) {
		ck_assert_uint_lt(crowd->count, 16);
		rc = weir_tcp_connect_addr(&crowd->addr, weir_deadline_in(5 * SHORT_NS),
					   &crowd->conns[crowd->count]);
		crowd->count += rc == 0;
	}
	ck_assert_int_eq(rc, -ETIMEDOUT);
}

void crowd_close(struct crowd *crowd)
{
	while (crowd->count > 0)
		weir_tcp_close(crowd->conns[--crowd->count]);
	weir_listener_close(crowd->listener);
}

/* ---- descriptors ---- */

rlim_t allow_files(rlim_t wanted)
{
	struct rlimit files;

	OK(getrlimit(RLIMIT_NOFILE, &files));
	if (files.rlim_cur < wanted) {
		files.rlim_cur = wanted < files.rlim_max ? wanted : files.rlim_max;
		OK(setrlimit(RLIMIT_NOFILE, &files));
	}
	return files.rlim_cur;
}

struct rlimit leave_files(rlim_t count)
{
	struct rlimit old, low;
	int next = dup(0);

	OK(next);
	close(next);
	OK(getrlimit(RLIMIT_NOFILE, &old));
	low = (struct rlimit){ (rlim_t)next + count, old.rlim_max };
	OK(setrlimit(RLIMIT_NOFILE, &low));
	return old;
}

/* ---- tasks ---- */

struct weir_task *spawn(int (*fn)(void *), void *arg)
{
	struct weir_task *task;

	OK(weir_spawn(fn, arg, &task));
	return task;
}

unsigned workers(void)
{
	return env.workers ? env.workers : 1;
}

struct weir_task *spawn_on(unsigned worker, int (*fn)(void *), void *arg)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	cfg.fn = fn;
	cfg.arg = arg;
	cfg.flags = WEIR_TASK_PINNED;
	cfg.worker = 1 + (int)(worker % workers());
	OK(weir_task_spawn(NULL, &cfg, &task));
	return task;
}

void turns(uint64_t count)
{
	while (count-- > 0)
		OK(weir_yield());
}

int finish(struct weir_task *task)
{
	int result;

	OK(weir_task_join(task, &result));
	return result;
}

/* ---- bytes ---- */

/* The eight bytes of the stream around offset `at`. */
static uint64_t pattern_word(uint64_t seed, size_t at)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15ull + at / 8 * 0xbf58476d1ce4e5b9ull;

	x ^= x >> 31;
	return x * 0x94d049bb133111ebull;
}

/* Copies bytes from offset `at` on, up to the end of its eight bytes. Returns how many. */
static size_t pattern_copy(uint64_t seed, size_t at, uint8_t *to, size_t len)
{
	uint64_t word = pattern_word(seed, at);
	size_t from = at % 8, n = 8 - from < len ? 8 - from : len;

	if (n == 8)
		memcpy(to, &word, 8);
	else
		memcpy(to, (uint8_t *)&word + from, n);
	return n;
}

void pattern_fill(uint64_t seed, size_t at, void *buf, size_t len)
{
	for (size_t i = 0; i < len;)
		i += pattern_copy(seed, at + i, (uint8_t *)buf + i, len - i);
}

/* Asserts only on a mismatch, because libcheck writes to a file at each assertion. */
void pattern_check(uint64_t seed, size_t at, const void *buf, size_t len)
{
	uint8_t want[8];
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = pattern_copy(seed, at + i, want, len - i);
		if (memcmp((const uint8_t *)buf + i, want, n) != 0)
			ck_abort_msg("byte %zu, or one of the %zu behind it, of stream %llu is "
				     "wrong",
				     at + i, n - 1, (unsigned long long)seed);
	}
}

void pattern_send(struct weir_tcp *conn, uint64_t seed, size_t at, size_t len)
{
	uint8_t *buf = malloc(len + 1);

	pattern_fill(seed, at, buf, len);
	ck_assert_int_eq(weir_tcp_send_all(conn, buf, len, WEIR_FOREVER, NULL), (int)len);
	free(buf);
}

void pattern_recv(struct weir_tcp *conn, uint64_t seed, size_t at, size_t len)
{
	uint8_t *buf = malloc(len + 1);

	ck_assert_int_eq(weir_tcp_recv_exact(conn, buf, len, WEIR_FOREVER, NULL), (int)len);
	pattern_check(seed, at, buf, len);
	free(buf);
}

uint64_t draw(uint64_t *state, uint64_t below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (*state >> 33) % below;
}

/* ---- a task that awaits ---- */

static void tell(struct waiter *waiter)
{
	if (!waiter->told) {
		waiter->told = true;
		weir_notify_one(&waiter->waits);
	}
}

static int waiter_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct waiter *waiter = WEIR_CONTAINER_OF(future, struct waiter, future);
	int rc = weir_poll(waiter->inner, cx);

	tell(waiter);
	return rc;
}

static void waiter_cancel(struct weir_future *future)
{
	weir_cancel(WEIR_CONTAINER_OF(future, struct waiter, future)->inner);
}

static void waiter_discard(struct weir_future *future)
{
	struct weir_future *inner = WEIR_CONTAINER_OF(future, struct waiter, future)->inner;

	if (inner->ops->discard)
		inner->ops->discard(inner);
}

static const struct weir_future_ops waiter_ops = { "waiter", waiter_poll, waiter_cancel,
						   waiter_discard };

static int await_fiber(void *arg)
{
	struct waiter *waiter = arg;
	int rc = weir_await(&waiter->future);

	tell(waiter); /* in case the task was aborted before it began */
	return rc;
}

static int await_stackless(void *state, struct weir_cx *cx)
{
	return weir_poll(&(*(struct waiter **)state)->future, cx);
}

static void await_fini(void *state)
{
	tell(*(struct waiter **)state);
}

static void start(struct waiter *waiter, struct weir_future *inner, unsigned flags, int worker)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.flags = flags;
	cfg.worker = worker;
	*waiter = (struct waiter){ .future.ops = &waiter_ops, .inner = inner };
	weir_notify_init(&waiter->waits);
	if (env.stackless) {
		cfg.poll = await_stackless;
		cfg.fini = await_fini;
		cfg.state = &waiter;
		cfg.state_bytes = sizeof(waiter);
	} else {
		cfg.fn = await_fiber;
		cfg.arg = waiter;
	}
	OK(weir_task_spawn(NULL, &cfg, &waiter->task));
}

void begin(struct waiter *waiter, struct weir_future *inner)
{
	start(waiter, inner, 0, 0);
}

void begin_on(unsigned worker, struct waiter *waiter, struct weir_future *inner)
{
	start(waiter, inner, WEIR_TASK_PINNED, 1 + (int)worker);
}

void pending(struct waiter *waiter)
{
	OK(weir_notify_wait(&waiter->waits));
}

int ended(struct waiter *waiter)
{
	int rc = finish(waiter->task);

	weir_notify_fini(&waiter->waits);
	return rc;
}

int aborted(struct waiter *waiter)
{
	weir_task_abort(waiter->task);
	return ended(waiter);
}
