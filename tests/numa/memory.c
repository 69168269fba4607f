/* SPDX-License-Identifier: MIT */
/*
 * memory.c: every page that a worker uses lies on the worker's node. A thread on the last node
 * makes the runtime, so pages that it touched first would be on the wrong node for the other
 * workers. Tasks, fibers and connections run before the pages are checked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/node.h"
#include "sched/worker.h"
#include "tests/numa/machine.h"
#include "tests/support/pages.h"

#define UNUSED __attribute__((unused))
#define PAGE 4096u
#define WORKERS_MAX 256u

static struct weir_rt *rt;
static int wrong;			/* pages found on another node; atomic */

/* Finds the node from the affinity mask of the worker's thread. */
static int node_of_worker(unsigned worker)
{
	const struct weir_cpuset *cpus = &weir_rt_plan(rt)->workers[worker].cpus;
	unsigned cpu = 0;

	while (cpu < WEIR_CPUS_MAX && !weir_cpuset_has(cpus, cpu))
		cpu++;
	return machine_node_of_cpu(cpu);
}

/* For use in tasks, where a failed assertion would end only the worker. */
static void expect_here(const void *page, const char *what)
{
	unsigned me = (unsigned)weir_rt_worker_index();
	int found = weir__os_node_of(page);

	if (found == node_of_worker(me))
		return;
	fprintf(stderr, "# %s of worker %u: on node %d, expected %d\n", what, me, found,
		node_of_worker(me));
	__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

/* Checks the pages of a stretch of memory that have been touched; at least one must have been. */
static void check_stretch(const void *from, size_t bytes, unsigned worker, const char *what)
{
	const char *at = (const char *)((uintptr_t)from & ~(uintptr_t)(PAGE - 1));
	unsigned touched = 0;

	for (; at < (const char *)from + bytes; at += PAGE) {
		int found = weir__os_node_of(at);

		if (found == -ENOENT || found == -EFAULT)
			continue;
		touched++;
		ck_assert_msg(found == node_of_worker(worker),
			      "%s of worker %u: a page is on node %d, not on %d", what, worker,
			      found, node_of_worker(worker));
	}
	ck_assert_msg(touched > 0, "%s of worker %u: not touched", what, worker);
}

/* ---- work ---- */

/* Touches most of its stack. */
static int deep(void *arg UNUSED)
{
	volatile char stack[40 * 1024];

	for (unsigned i = 0; i < sizeof(stack); i += PAGE / 2)
		stack[i] = 1;
	weir_yield();
	for (unsigned i = 0; i < sizeof(stack); i += PAGE)
		expect_here((const void *)&stack[i], "a stack");
	return 0;
}

struct large {
	char bytes[8000];
};

static int touch_state(void *state, struct weir_cx *cx UNUSED)
{
	struct large *large = state;

	memset(large->bytes, 1, sizeof(large->bytes));
	expect_here(large->bytes, "a task");
	expect_here(&large->bytes[sizeof(large->bytes) - 1], "a task");
	return 0;
}

static bool is_first_of_its_node(unsigned worker)
{
	return worker == 0 || node_of_worker(worker - 1) != node_of_worker(worker);
}

/*
 * Spawns so many tasks on one worker per node that the slab allocates large chunks with huge pages.
 */
static int spawn_many(void *arg UNUSED)
{
	struct weir_task_config fiber = WEIR_TASK_CONFIG_INIT, large = WEIR_TASK_CONFIG_INIT;
	struct weir_join_set *set;
	unsigned many = is_first_of_its_node((unsigned)weir_rt_worker_index()) ? 700 : 20;
	int rc = weir_join_set_new(rt, &set), result;

	expect_here(&errno, "the thread-locals");
	fiber.flags = large.flags = WEIR_TASK_PINNED;
	fiber.join_set = large.join_set = set;
	fiber.fn = deep;
	large.poll = touch_state;
	large.state_bytes = sizeof(struct large);
	for (unsigned i = 0; rc == 0 && i < 20; i++)
		rc = weir_task_spawn(rt, &fiber, NULL);
	for (unsigned i = 0; rc == 0 && i < many; i++)
		rc = weir_task_spawn(rt, &large, NULL);
	while (rc == 0 && (rc = weir_join_set_next(set, NULL, &result)) == 1)
		rc = result;
	weir_join_set_free(set);
	return rc;
}

static int use_stack(void *arg UNUSED)
{
	volatile char stack[40 * 1024];

	for (unsigned i = 0; i < sizeof(stack); i += PAGE / 2)
		stack[i] = 1;
	return weir_yield();
}

/* ---- an echo whose ends are on workers of different nodes ---- */

#define MESSAGES 30u
#define MESSAGE_BYTES 3000u

static struct weir_addr server_addr[WORKERS_MAX];

static int serve(void *arg)
{
	struct weir_listener *listener = arg;
	struct weir_tcp *conn;
	struct weir_lease lease;
	int rc = weir_listener_accept(listener, &conn);

	if (rc < 0)
		return rc;
	while ((rc = weir_tcp_recv_lease(conn, &lease)) > 0) {
		expect_here(lease.data, "a lease");
		expect_here(lease.data + lease.len - 1, "a lease");
		if ((rc = weir_tcp_send_lease(conn, &lease)) < 0)
			break;
	}
	weir_tcp_close(conn);
	weir_listener_close(listener);
	return rc;
}

static int open_server(void *arg)
{
	struct weir_task_config task = WEIR_TASK_CONFIG_INIT;
	struct weir_task **server = arg;
	struct weir_listener *listener;
	int rc = weir_listener_open("127.0.0.1:0", NULL, &listener);

	if (rc < 0)
		return rc;
	rc = weir_listener_addr(listener, &server_addr[weir_rt_worker_index()]);
	task.fn = serve;
	task.arg = listener;
	task.flags = WEIR_TASK_PINNED;
	return rc < 0 ? rc : weir_task_spawn(rt, &task, server);
}

static int ask(void *arg)
{
	const struct weir_addr *addr = arg;
	char out[MESSAGE_BYTES], in[MESSAGE_BYTES];
	struct weir_tcp *conn;
	int rc = weir_tcp_connect_addr(addr, WEIR_FOREVER, &conn);

	if (rc < 0)
		return rc;
	memset(out, 'x', sizeof(out));
	for (unsigned i = 0; rc >= 0 && i < MESSAGES; i++) {
		rc = weir_tcp_send_all(conn, out, sizeof(out), WEIR_FOREVER, NULL);
		if (rc >= 0)
			rc = weir_tcp_recv_exact(conn, in, sizeof(in), WEIR_FOREVER, NULL);
	}
	weir_tcp_close(conn);
	return rc < 0 ? rc : 0;
}

static int run_on(unsigned worker, int (*fn)(void *), void *arg)
{
	struct weir_task_config task = WEIR_TASK_CONFIG_INIT;
	struct weir_task *handle;
	int rc, result = 0;

	task.fn = fn;
	task.arg = arg;
	task.flags = WEIR_TASK_PINNED;
	task.worker = (int)worker + 1;
	rc = weir_task_spawn(rt, &task, &handle);
	if (rc == 0)
		rc = weir_task_join(handle, &result);
	return rc < 0 ? rc : result;
}

static void work(void)
{
	unsigned n = weir_rt_workers(rt);
	struct weir_task *server;
	int result;

	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(run_on(i, spawn_many, NULL), 0);
		ck_assert_int_eq(run_on(i, open_server, &server), 0);
		ck_assert_int_eq(run_on((i + n / 2) % n, ask, &server_addr[i]), 0);
		ck_assert_int_eq(weir_task_join(server, &result), 0);
		ck_assert_int_eq(result, 0);
	}
	ck_assert_int_eq(wrong, 0);
}

static void check_worker(unsigned i)
{
	struct worker *w = worker_at(runtime_of(rt), i);
	struct weir__slab_chunk *c;
	unsigned huge = 0;

	ck_assert_int_eq(runtime_of(rt)->node[i], node_of_worker(i));
	check_stretch(w, sizeof(*w), i, "the struct");
	check_stretch(w->base.driver.io, w->base.driver.io->ops->instance_bytes, i, "the backend");
	for (c = w->base.slab.chunks; c; c = c->next) {
		check_stretch(c, 2 * PAGE, i, "a slab");
		huge += c->bytes == 2u << 20;
	}
	ck_assert((huge > 0) == is_first_of_its_node(i));
}

/* ---- the runtimes ---- */

/* epoll with an init that checks on which node a page lies that it touches first. */
static struct weir_backend_ops looking;

/* Makes a runtime from a thread on the node, over all CPUs. backend NULL uses `looking`. */
static void start_from(unsigned node, const char *backend, const struct weir_place_config *place)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_topo *topo;

	machine_run_on(&machine.all);
	ck_assert_int_eq(weir_topo_new(NULL, &topo, NULL), 0);
	cfg.topo = topo;
	cfg.backend = backend;
	cfg.backend_ops = backend ? NULL : &looking;
	cfg.place = place;
	machine_run_on(&machine.cpus[node]);
	ck_assert_msg(weir_rt_new(&cfg, &rt) == 0, "%s", weir_rt_why());
	weir_topo_free(topo);
}

static void end(void)
{
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	weir_rt_free(rt);
}

static unsigned last_cpu_node(void)
{
	unsigned node, last = 0;

	for (node = 0; node < MACHINE_NODES; node++)
		if (weir_cpuset_count(&machine.cpus[node]))
			last = node;
	return last;
}

static const char *const backends[] = { "epoll", "io_uring" };

START_TEST(every_page_of_a_worker_is_on_its_node)
{
	size_t elsewhere;

	if (!machine_has_nodes())
		return;
	start_from(last_cpu_node(), backends[_i], NULL);
	ck_assert_uint_eq(weir_rt_workers(rt), weir_cpuset_count(&machine.all));
	work();
	for (unsigned i = 0; i < weir_rt_workers(rt); i++)
		check_worker(i);
	for (int node = 0; node < MACHINE_NODES; node++) {
		size_t there = testing_count_placed(node, &elsewhere);

		ck_assert_uint_eq(elsewhere, 0);
		ck_assert((there > 0) == (weir_cpuset_count(&machine.cpus[node]) > 0));
	}
	end();
}
END_TEST

/* ---- memory that a backend and the kernel allocate ---- */

static int (*real_init)(struct weir_backend *be, const struct weir_backend_config *cfg);
static int page_of[WORKERS_MAX], told_of[WORKERS_MAX];

static int looking_init(struct weir_backend *be, const struct weir_backend_config *cfg)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	*page = 1;
	page_of[cfg->worker] = weir__os_node_of(page);
	told_of[cfg->worker] = cfg->node;
	munmap(page, PAGE);
	return real_init(be, cfg);
}

static const struct weir_backend_ops *epoll_ops(void)
{
	const struct weir_backend_ops *ops;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.backend = "epoll";
	ck_assert_int_eq(weir_rt_new(&cfg, &rt), 0);
	ops = rt->worker[0]->driver.io->ops;
	end();
	return ops;
}

START_TEST(what_a_backend_touches_first_is_on_the_workers_node)
{
	if (!machine_has_nodes())
		return;
	looking = *epoll_ops();
	real_init = looking.init;
	looking.init = looking_init;
	start_from(last_cpu_node(), NULL, NULL);
	for (unsigned i = 0; i < weir_rt_workers(rt); i++) {
		ck_assert_int_eq(told_of[i], node_of_worker(i));
		ck_assert_int_eq(page_of[i], node_of_worker(i));
	}
	end();
}
END_TEST

#define RING_ENTRIES "16384"
#define RING_BYTES (16384ull * 64 + 65536ull * 16)	/* submissions, completions */

static long long free_bytes(unsigned node)
{
	char path[128], line[256];
	long long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
	f = fopen(path, "re");
	while (f && kib < 0 && fgets(line, sizeof(line), f))
		(void)sscanf(line, "Node %*d MemFree: %lld", &kib);
	if (f)
		fclose(f);
	ck_assert_int_ge(kib, 0);
	return kib * 1024;
}

/*
 * The kernel does not tell where a ring's pages lie, so the test compares the free memory of the
 * nodes. The caller is on the first node, the workers on the second. A runtime is made once before,
 * because the first use allocates memory that stays.
 */
START_TEST(rings_are_on_the_workers_node)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	long long here, there, rings;
	unsigned caller, node;
	char cpus[256];

	if (!machine_is_ours())
		return;
	caller = machine_cpu_node(0);
	node = machine_cpu_node(1);
	weir_cpuset_print(&machine.cpus[node], cpus, sizeof(cpus));
	place.cpus = cpus;
	start_from(caller, "io_uring", &place);
	end();
	here = free_bytes(caller);
	there = free_bytes(node);
	start_from(caller, "io_uring:entries=" RING_ENTRIES, &place);
	here -= free_bytes(caller);
	there -= free_bytes(node);
	rings = (long long)RING_BYTES * weir_rt_workers(rt);
	ck_assert_msg(there > rings / 4 * 3 && here < rings / 2,
		      "rings of %lld bytes: %lld from the workers' node, %lld from the caller's",
		      rings, there, here);
	end();
}
END_TEST

/* ---- when a node has no memory ---- */

static unsigned smallest_node(void)
{
	unsigned node, smallest = 0;

	for (node = 1; node < machine.nodes; node++)
		if (free_bytes(node) < free_bytes(smallest))
			smallest = node;
	return smallest;
}

/*
 * A worker allocates more than its node has. The rest comes from other nodes, and nothing is
 * killed.
 */
START_TEST(memory_of_a_full_node_comes_from_others)
{
	unsigned node;
	size_t bytes, elsewhere = 0, there;
	char *block;

	if (!machine_is_ours())
		return;
	node = smallest_node();
	bytes = (size_t)free_bytes(node) + (24u << 20);
	block = weir__node_alloc(bytes, (int)node);
	ck_assert_ptr_nonnull(block);
	for (size_t i = 0; i < bytes; i += PAGE)
		block[i] = 1;
	there = testing_count_placed((int)node, &elsewhere);
	ck_assert_uint_gt(there * PAGE, bytes / 2);
	ck_assert_uint_gt(elsewhere, 0);
	weir__node_free(block, bytes, (int)node);
}
END_TEST

#define CGROUP "/sys/fs/cgroup/weir-mems"

/*
 * The cpuset allows CPUs of two nodes, but memory of one. All workers run, and a note reports it.
 */
START_TEST(a_node_outside_the_cpuset_is_noted)
{
	unsigned notes = 0, node;
	char text[64];

	if (!machine_is_ours())
		return;
	node = machine_cpu_node(0);
	ck_assert(mkdir(CGROUP, 0755) == 0 || access(CGROUP, F_OK) == 0);
	snprintf(text, sizeof(text), "%u", node);
	machine_write(CGROUP "/cpuset.mems", text);
	snprintf(text, sizeof(text), "%d", getpid());
	machine_write(CGROUP "/cgroup.procs", text);
	start_from(node, "epoll", NULL);
	for (unsigned i = 0; i < weir_rt_workers(rt); i++) {
		const struct weir_plan_worker *w = &weir_rt_plan(rt)->workers[i];
		int of = runtime_of(rt)->node[i];

		ck_assert(weir_cpuset_count(&w->cpus) > 0);
		ck_assert_msg(of == (int)node || of == -1, "worker %u on node %d", i, of);
	}
	for (unsigned i = 0; weir_rt_note(rt, i); i++)
		notes += strstr(weir_rt_note(rt, i), "memory is not placed on node") != NULL;
	ck_assert_uint_eq(notes, 1);
	for (unsigned i = 0; i < weir_rt_workers(rt); i++)
		ck_assert_int_eq(run_on(i, use_stack, NULL), 0);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(every_page_of_a_worker_is_on_its_node, .rounds = 2, .needs = "iouring"),
		TESTING(what_a_backend_touches_first_is_on_the_workers_node),
		TESTING(rings_are_on_the_workers_node, .needs = "iouring"),
		TESTING(memory_of_a_full_node_comes_from_others),
		TESTING(a_node_outside_the_cpuset_is_noted, .needs = "root"),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
