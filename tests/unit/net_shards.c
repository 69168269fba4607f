/* SPDX-License-Identifier: MIT */
/*
 * net_shards.c: steering. The CPU that receives a client's packets (on loopback the client's own
 * CPU) determines the shard that gets the connection. Also tested: steering that is requested but
 * not possible, and that larger groups get more connections.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "net/net.h"
#include "tests/topo/machine.h"
#include "tests/unit/runtimes.h"
#include "weir/topo.h"

#define CALLS 16
#define MANY_CALLS 800

static const char *const backends[] = { "epoll", "io_uring" };

struct steered {
	struct weir_listener *listener;
	struct weir_addr addr;
	unsigned by_group[2];
	unsigned served;
	unsigned cpu;			/* of the client */
	unsigned calls;
	unsigned over;			/* the client has seen the end of every connection */
};

/*
 * A topology with the first two CPUs that this process may use, each with an L3 of its own. It
 * refers to the topology that it was made from, which must be freed after it.
 */
struct machine {
	struct weir_topo topo, *real;
	struct weir_topo_cpu cpus[WEIR_CPUS_MAX];
	struct weir_topo_l3 l3s[2];
};

static void machine_init(struct machine *m)
{
	unsigned n = 0;

	ck_assert_int_eq(weir_topo_new(NULL, &m->real, NULL), 0);
	m->topo = *m->real;
	m->topo.here = false;
	for (unsigned i = 0; i < m->topo.cpus_len; i++) {
		m->cpus[i] = m->real->cpus[i];
		m->cpus[i].l3 = (uint16_t)(n & 1);
		if (m->cpus[i].out == WEIR_CPU_USABLE && n++ >= 2)
			m->cpus[i].out = WEIR_CPU_AFFINITY;
	}
	if (n < 2)
		testing_skip("one CPU: there is nothing to steer between");
	m->topo.cpus = m->cpus;
	m->topo.l3s = m->l3s;
	m->topo.l3s_len = 2;
}

static unsigned cpu_of_group(unsigned group)
{
	const struct weir_plan *plan = weir_rt_plan(weir_rt_current());

	for (unsigned cpu = 0; cpu < WEIR_CPUS_MAX; cpu++)
		if (weir_cpuset_has(&plan->groups[group].cpus, cpu))
			return cpu;
	ck_abort_msg("group %u has no CPU", group);
	return 0;
}

static void note(struct weir_tcp *conn, void *arg)
{
	struct steered *s = arg;
	int worker = weir_rt_worker_index();

	add(&s->by_group[weir_rt_plan(weir_rt_current())->workers[worker].group], 1);
	add(&s->served, 1);
	weir_tcp_close(conn);
}

static int serve(void *arg)
{
	struct steered *s = arg;

	return weir_listener_serve(s->listener, NULL, note, s);
}

/* Connects from a thread that is bound to one CPU. */
static void *call_from(void *arg)
{
	struct steered *s = arg;
	cpu_set_t one;
	char byte;

	CPU_ZERO(&one);
	CPU_SET(s->cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	for (unsigned i = 0; i < s->calls; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		ck_assert_int_eq(connect(fd, &s->addr.u.sa, s->addr.len), 0);
		ck_assert_int_eq(read(fd, &byte, 1), 0);
		close(fd);
	}
	add(&s->over, 1);
	return NULL;
}

static void open_shards(struct steered *s, enum weir_shards shards, enum weir_steer steer)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;

	cfg.shards = shards;
	cfg.steer = steer;
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", &cfg, &s->listener), 0);
	ck_assert_int_eq(weir_listener_addr(s->listener, &s->addr), 0);
}

/*
 * Opens a shard for each of two groups, with a steering program. Without one, skips and returns
 * false.
 */
static bool open_groups(struct steered *s, enum weir_steer steer)
{
	int error;

	open_shards(s, WEIR_SHARDS_GROUP, steer);
	ck_assert_uint_eq(weir_listener_shards(s->listener), 2);
	error = weir_listener_steer_error(s->listener);
	if (error == -ENOPROTOOPT) {
		testing_skip("the system does not steer: an emulated one does not");
		weir_listener_close(s->listener);
		return false;
	}
	ck_assert_int_eq(error, 0);
	return true;
}

/*
 * Does not block in pthread_join: this worker may have to close connections for the client to end.
 */
static void call_and_wait(struct steered *s)
{
	pthread_t client;

	s->over = 0;
	client = thread_start(call_from, s);
	YIELD_UNTIL(get(&s->over));
	pthread_join(client, NULL);
	ck_assert_uint_eq(get(&s->served), s->calls);
}

static void end_serving(struct steered *s, struct weir_task *task)
{
	int result;

	weir_task_abort(task);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, -ECANCELED);
	weir_listener_close(s->listener);
}

static int steered_body(void *arg UNUSED)
{
	struct steered s = { .calls = CALLS };
	struct weir_task *task;

	if (!open_groups(&s, WEIR_STEER_CPU))
		return 0;
	ck_assert_int_eq(weir_spawn(serve, &s, &task), 0);
	for (unsigned g = 0; g < 2; g++) {
		s.by_group[0] = s.by_group[1] = s.served = 0;
		s.cpu = cpu_of_group(g);
		call_and_wait(&s);
		ck_assert_uint_eq(get(&s.by_group[g]), CALLS);
	}
	end_serving(&s, task);
	return 0;
}

static void run_on(const char *backend, enum weir_bind bind, int (*body)(void *))
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	static struct machine machine;

	machine_init(&machine);
	place.bind = bind;
	cfg.workers = 2;
	cfg.place = &place;
	cfg.topo = &machine.topo;
	cfg.backend = backend;
	runtime_run(&cfg, body, NULL);
	weir_topo_free(machine.real);
}

static bool can_run(const char *backend)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++)
		if (strcmp(info.name, backend) == 0 && info.err) {
			testing_skip("the backend %s cannot run here: %s", backend, info.reason);
			return false;
		}
	return true;
}

START_TEST(a_client_goes_to_the_shard_of_its_cpu)
{
	if (can_run(backends[_i]))
		run_on(backends[_i], WEIR_BIND_AUTO, steered_body);
}
END_TEST

static int not_steered_body(void *arg UNUSED)
{
	struct steered s = { .cpu = cpu_of_group(0), .calls = CALLS };
	struct weir_task *task;

	open_shards(&s, WEIR_SHARDS_WORKER, WEIR_STEER_CPU);
	ck_assert_uint_eq(weir_listener_shards(s.listener), 2);
	ck_assert_int_eq(weir_listener_steer_error(s.listener), -EOPNOTSUPP);
	ck_assert_int_eq(weir_spawn(serve, &s, &task), 0);
	call_and_wait(&s);
	end_serving(&s, task);
	return 0;
}

/*
 * If workers are not bound, steering is impossible: the reason is reported, and all clients are
 * served.
 */
START_TEST(without_steering_connections_are_distributed)
{
	run_on("epoll", WEIR_BIND_NONE, not_steered_body);
}
END_TEST

static int one_group_body(void *arg UNUSED)
{
	struct steered s = { .served = 0 };
	int on = 0;
	socklen_t len = sizeof(on);

	open_shards(&s, WEIR_SHARDS_GROUP, WEIR_STEER_CPU);
	ck_assert_uint_eq(weir_listener_shards(s.listener), 1);
	ck_assert_int_eq(weir_listener_steer_error(s.listener), 0);
	ck_assert_int_eq(getsockopt(weir_listener_handle(s.listener)->fd, SOL_SOCKET, SO_REUSEPORT,
				    &on, &len),
			 0);
	ck_assert_int_eq(on, 0);
	weir_listener_close(s.listener);
	return 0;
}

/* With one group there is an ordinary socket that does not share its port. */
START_TEST(with_one_group_there_is_one_socket)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.workers = 1;
	cfg.backend = "epoll";
	runtime_run(&cfg, one_group_body, NULL);
}
END_TEST

/* ---- groups of unequal size ---------------------------------------------------------------- */

/* Groups of three workers and of one, on CPU numbers that no client on this machine can have. */
static const char lopsided[] = "package:1 node:1 l3:2 core:500 pu:1", lopsided_cpus[] = "497-500";

static int unequal_body(void *steer)
{
	struct steered s = { .calls = MANY_CALLS, .cpu = (unsigned)sched_getcpu() };
	struct weir_task *task;

	if (!open_groups(&s, *(enum weir_steer *)steer))
		return 0;
	ck_assert_int_eq(weir_spawn(serve, &s, &task), 0);
	call_and_wait(&s);
	end_serving(&s, task);
	/*
	 * The mean is 600 and the standard deviation 12; a difference of 7 times that never
	 * happens.
	 */
	ck_assert_uint_ge(get(&s.by_group[0]), MANY_CALLS * 3 / 4 - 86);
	ck_assert_uint_le(get(&s.by_group[0]), MANY_CALLS * 3 / 4 + 86);
	return 0;
}

/* Even with steering, for connections that arrive on a CPU of no group. */
START_TEST(a_group_gets_connections_by_its_workers)
{
	static const enum weir_steer steers[] = { WEIR_STEER_HASH, WEIR_STEER_CPU };
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_topo *topo = machine_new(lopsided);
	enum weir_steer steer = steers[_i / 2];

	ck_assert(machine_set(topo, "affinity", lopsided_cpus));
	cfg.topo = topo;
	cfg.backend = backends[_i % 2];
	if (can_run(cfg.backend))
		runtime_run(&cfg, unequal_body, &steer);
	weir_topo_free(topo);
}
END_TEST

/* With steering, a group gets exactly the connections that its CPUs receive, whatever its size. */
static int steered_unequal_body(void *cpu)
{
	struct steered s = { .calls = CALLS, .cpu = *(unsigned *)cpu };
	const struct weir_plan *plan = weir_rt_plan(weir_rt_current());
	unsigned group = !weir_cpuset_has(&plan->groups[0].cpus, s.cpu);
	struct weir_task *task;

	ck_assert_uint_eq(plan->groups[group].workers, 1);
	ck_assert_uint_eq(plan->groups[!group].workers, 3);
	if (!open_groups(&s, WEIR_STEER_CPU))
		return 0;
	ck_assert_int_eq(weir_spawn(serve, &s, &task), 0);
	call_and_wait(&s);
	end_serving(&s, task);
	ck_assert_uint_eq(get(&s.by_group[group]), CALLS);
	return 0;
}

START_TEST(a_small_group_gets_all_of_its_cpu)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_topo *topo = machine_new(lopsided);
	unsigned cpu = (unsigned)sched_getcpu();
	char cpus[32];

	if (cpu >= 500) {
		testing_skip("CPU %u: the machine of this test has it in the other group", cpu);
	} else {
		snprintf(cpus, sizeof(cpus), "%u,500-502", cpu);
		ck_assert(machine_set(topo, "affinity", cpus));
		cfg.topo = topo;
		cfg.backend = "epoll";
		runtime_run(&cfg, steered_unequal_body, &cpu);
	}
	weir_topo_free(topo);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_client_goes_to_the_shard_of_its_cpu, .rounds = 2),
		TESTING(without_steering_connections_are_distributed),
		TESTING(with_one_group_there_is_one_socket),
		TESTING(a_group_gets_connections_by_its_workers, .rounds = 4),
		TESTING(a_small_group_gets_all_of_its_cpu),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
