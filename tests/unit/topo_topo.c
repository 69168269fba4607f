/* SPDX-License-Identifier: MIT */
/*
 * topo_topo.c: which CPUs of a machine are excluded, and why; a machine about which nothing is
 * known; this machine, also with a smaller mask and in cgroups that the test makes.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "topo/cgroup_linux.h"
#include "topo/cpus.h"
#include "topo/topo.h"
#include "tests/unit/runtimes.h"
#include "tests/unit/topologies.h"

/* ---- made-up machines ---- */

static struct weir_cpuset set_of(const char *text)
{
	struct weir_cpuset set = { { 0 } };

	if (*text)
		ck_assert_int_eq(weir_cpuset_parse(text, &set, NULL), 0);
	return set;
}

/* Returns a letter per CPU for its value of enum weir_cpu_out. */
static const char *outs_of(const struct weir_topo *topo)
{
	static char text[WEIR_CPUS_MAX + 1];
	unsigned i;

	for (i = 0; i < topo->cpus_len; i++)
		text[i] = "UOCAI"[topo->cpus[i].out];
	text[i] = '\0';
	return text;
}

static struct weir_topo *flat_new(const struct cpu_limits *limits)
{
	struct weir_topo *topo = calloc(1, sizeof *topo);

	ck_assert_ptr_nonnull(topo);
	ck_assert_int_eq(weir__topo_read_flat(limits, "it is made up", topo), 0);
	return topo;
}

START_TEST(why_a_cpu_is_out)
{
	static const struct {
		const char *mask, *online, *cpuset, *isolated, *outs;
	} cases[] = {
		{ "0-7", "0-7", "", "", "UUUUUUUU" },
		{ "0-3", "0-7", "", "", "UUUUAAAA" },
		{ "0-3", "0-5", "", "", "UUUUAAOO" },
		{ "0-1", "0-7", "0-3", "", "UUAACCCC" },
		{ "0-3", "0-7", "0-3", "", "UUUUCCCC" },
		{ "1", "0-5", "0-3", "", "AUAACCOO" },
		/* The mask decides: a cpuset that contradicts it belongs to another group. */
		{ "0-3", "0-7", "4-7", "", "UUUUAAAA" },
		{ "0-7", "0-7", "0", "", "UUUUUUUU" },
		/* Isolated CPUs are out if the mask has others too. */
		{ "0-7", "0-7", "", "6-7", "UUUUUUII" },
		{ "0-3,6", "0-7", "", "6-7", "UUUUAAIA" },
		/* The mask has only isolated CPUs, so they are meant to be used. */
		{ "6-7", "0-7", "", "6-7", "AAAAAAUU" },
		/* The default mask on a machine with isolated CPUs: all others. */
		{ "0-5", "0-7", "", "6-7", "UUUUUUII" },
		{ "0-5", "0-7", "0-6", "6-7", "UUUUUUIC" },
		/* A chosen mask without the isolated CPUs: they may not be named. */
		{ "0-4", "0-7", "", "6-7", "UUUUUAAA" },
		{ "0-3", "", "", "", "UUUUAAAA" },
	};
	struct cpu_limits eight = { .mask = { { 0xff } } };
	unsigned i, k;

	for (i = 0; i < TESTING_COUNT(cases); i++) {
		struct cpu_limits limits = {
			.mask = set_of(cases[i].mask),
			.online = set_of(cases[i].online),
			.cpuset = set_of(cases[i].cpuset),
			.isolated = set_of(cases[i].isolated),
		};
		struct weir_topo *topo = flat_new(&eight);

		weir__topo_cut_to(&limits, topo);
		ck_assert_msg(!strncmp(outs_of(topo), cases[i].outs, 8), "case %u: %s", i,
			      outs_of(topo));
		for (k = 0; k < 8; k++)
			ck_assert_int_eq(topo->cpus[k].isolated,
					 weir_cpuset_has(&limits.isolated, k));
		weir_topo_free(topo);
	}
}
END_TEST

START_TEST(a_what_if_takes_away)
{
	struct cpu_limits eight = { .mask = { { 0xff } } };
	struct weir_cpuset some = set_of("1-3"), none = set_of("100");
	struct weir_topo *topo = flat_new(&eight);

	topo->cpus_len = 8;
	ck_assert_int_eq(weir_topo_cut(topo, NULL, 1500), 0);
	ck_assert_uint_eq(topo->quota_milli, 1500);
	ck_assert_str_eq(outs_of(topo), "UUUUUUUU");
	ck_assert_int_eq(weir_topo_cut(topo, &some, 0), 0);
	ck_assert_uint_eq(topo->quota_milli, 0);
	ck_assert_str_eq(outs_of(topo), "AUUUAAAA");
	ck_assert_int_eq(weir_topo_cut(topo, &none, 500), -EINVAL);
	ck_assert_uint_eq(topo->quota_milli, 0);
	ck_assert_str_eq(outs_of(topo), "AUUUAAAA");
	ck_assert_int_eq(weir_topo_cut(NULL, &some, 0), -EINVAL);
	weir_topo_free(topo);
	weir_topo_free(NULL);
}
END_TEST

START_TEST(every_reason_has_its_words)
{
	unsigned i, k;

	ck_assert_str_eq(weir_cpu_out_text(WEIR_CPU_USABLE), "");
	ck_assert_str_eq(weir_cpu_out_text(WEIR_CPU_OUT_LEN), "");
	for (i = 1; i < WEIR_CPU_OUT_LEN; i++)
		for (k = 0; k < i; k++)
			ck_assert_str_ne(weir_cpu_out_text(i), weir_cpu_out_text(k));
}
END_TEST

START_TEST(a_flat_machine_is_one_of_each)
{
	struct cpu_limits limits = { .mask = { { 0 } } };
	struct weir_topo *topo;

	limits.mask = set_of("3,900");
	limits.online = set_of("900-902");
	topo = flat_new(&limits);
	topology_check(topo);
	ck_assert(topo->flat && topo->here);
	ck_assert_str_eq(topo->source, "this machine, without its topology: it is made up");
	ck_assert_uint_eq(topo->cores, topo->cpus_len);
	ck_assert_uint_eq(topo->clusters + topo->packages + topo->kinds + topo->l3s_len +
				  topo->nodes_len,
			  5);
	weir__topo_cut_to(&limits, topo);
	ck_assert_uint_eq(topology_usable(topo), 2);
	ck_assert_uint_eq(topology_cpu(topo, 3)->out, WEIR_CPU_USABLE);
	ck_assert_uint_eq(topology_cpu(topo, 900)->out, WEIR_CPU_USABLE);
	ck_assert_uint_eq(topology_cpu(topo, 902)->out, WEIR_CPU_AFFINITY);
	weir_topo_free(topo);
}
END_TEST

/* ---- this machine ---- */

static cpu_set_t mask_now(void)
{
	cpu_set_t mask;

	ck_assert_int_eq(sched_getaffinity(0, sizeof mask, &mask), 0);
	return mask;
}

START_TEST(this_machine)
{
	struct weir_topo *topo = topology_new(NULL);
	cpu_set_t before = mask_now(), after;

	topology_check(topo);
	ck_assert(topo->here);
	ck_assert_uint_eq(topology_usable(topo), (unsigned)CPU_COUNT(&before));
	weir_topo_free(topo);
	after = mask_now();
	ck_assert(CPU_EQUAL(&before, &after));
	ck_assert_int_eq(weir_topo_new(NULL, NULL, NULL), -EINVAL);
}
END_TEST

/* Every caller gets a copy of the topology, which it may change. */
START_TEST(each_has_a_copy_of_his_own)
{
	struct weir_topo *first = topology_new(NULL), *second;
	unsigned n = first->cpus_len;

	memset(first->cpus, 0xff, n * sizeof *first->cpus);
	memset(first->nodes, 0xff, sizeof *first->nodes);
	memset(first->l3s, 0xff, sizeof *first->l3s);
	first->cpus_len = 0;
	second = topology_new(NULL);
	ck_assert_uint_eq(second->cpus_len, n);
	topology_check(second);
	weir_topo_free(first);
	weir_topo_free(second);
}
END_TEST

/* As if taskset changed the mask. Afterwards the mask is restored. */
START_TEST(a_smaller_mask_counts_at_once)
{
	cpu_set_t all = mask_now(), one;
	struct weir_topo *topo;
	unsigned cpu, i;

	for (cpu = 0; !CPU_ISSET(cpu, &all); cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (_i)
		weir_topo_free(topology_new(NULL));
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	topo = topology_new(NULL);
	ck_assert_uint_eq(topology_usable(topo), 1);
	for (i = 0; i < topo->cpus_len; i++)
		if (CPU_ISSET(topo->cpus[i].os, &all))
			ck_assert_uint_eq(topo->cpus[i].out, topo->cpus[i].os == cpu
								     ? WEIR_CPU_USABLE
								     : WEIR_CPU_AFFINITY);
	weir_topo_free(topo);
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
	topo = topology_new(NULL);
	ck_assert_uint_eq(topology_usable(topo), (unsigned)CPU_COUNT(&all));
	weir_topo_free(topo);
}
END_TEST

static void *read_many(void *arg)
{
	unsigned i, *cpus = arg;

	for (i = 0; i < 20; i++) {
		struct weir_topo *topo = NULL;

		if (weir_topo_new(NULL, &topo, NULL) < 0)
			return NULL;
		*cpus = topo->cpus_len;
		weir_topo_free(topo);
	}
	return NULL;
}

START_TEST(several_threads_read_at_once)
{
	struct weir_topo *topo;
	pthread_t threads[4];
	unsigned cpus[4] = { 0 }, i;

	for (i = 0; i < 4; i++)
		threads[i] = thread_start(read_many, &cpus[i]);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	topo = topology_new(NULL);
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(cpus[i], topo->cpus_len);
	weir_topo_free(topo);
}
END_TEST

START_TEST(a_child_has_the_reading_of_its_parent)
{
	struct weir_topo *topo = topology_new(NULL);
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct weir_topo *mine = NULL;
		int rc = weir_topo_new(NULL, &mine, NULL);

		_exit(rc == 0 && mine->cpus_len == topo->cpus_len ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	weir_topo_free(topo);
}
END_TEST

/* ---- cgroups ---- */

static char home[PATH_MAX], trial[PATH_MAX];

static bool write_file(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
		return false;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text);
}

static bool copy_file(const char *name)
{
	char text[4096];

	return weir__cgroup_read(home, name, text, sizeof text) && write_file(trial, name, text);
}

static bool enter(const char *dir)
{
	return write_file(dir, "cgroup.procs", "0");
}

/*
 * Makes a group below ours in a hierarchy with the controller. If that is not possible, skips the
 * test.
 */
static bool trial_begin(const char *controller, struct cgroup *ret_group)
{
	struct cgroup groups[CGROUPS_MAX];
	unsigned i, n = weir__cgroups_find("", controller, groups);
	char text[64];

	for (i = 0; i < n; i++) {
		snprintf(home, sizeof home, "%s", groups[i].dir);
		snprintf(text, sizeof text, "+%s", controller);
		if (groups[i].v2 && !write_file(home, "cgroup.subtree_control", text))
			continue;
		if ((size_t)snprintf(trial, sizeof trial, "%s/weir-test-%d", home, (int)getpid()) <
			    sizeof trial &&
		    mkdir(trial, 0700) == 0) {
			*ret_group = groups[i];
			return true;
		}
	}
	trial[0] = '\0';
	testing_skip("cannot make a cgroup with the controller %s below this process's own",
		     controller);
	return false;
}

/* Moves this process back to its own group, and removes the group of the test. */
static void trial_end(void)
{
	if (!trial[0])
		return;
	enter(home);
	rmdir(trial);
}

/* The cpuset has all CPUs but the last. */
START_TEST(a_cpuset_cuts)
{
	cpu_set_t all = mask_now();
	char list[256];
	struct weir_cpuset some = { { 0 } };
	struct weir_topo *topo;
	struct cgroup group;
	unsigned cpu, last = 0;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all))
			last = cpu;
	for (cpu = 0; cpu < last; cpu++)
		if (CPU_ISSET(cpu, &all))
			weir_cpuset_add(&some, cpu);
	if (!weir_cpuset_count(&some)) {
		testing_skip("there is one CPU only");
		return;
	}
	if (!trial_begin("cpuset", &group))
		return;
	ck_assert(copy_file("cpuset.mems") || group.v2);
	weir_cpuset_print(&some, list, sizeof list);
	ck_assert(write_file(trial, "cpuset.cpus", list));
	ck_assert(enter(trial));
	topo = topology_new(NULL);
	ck_assert_uint_eq(topology_usable(topo), weir_cpuset_count(&some));
	ck_assert_uint_eq(topology_cpu(topo, last)->out, WEIR_CPU_CPUSET);
	weir_topo_free(topo);
	/* Then with a mask inside the cpuset. */
	CPU_ZERO(&all);
	for (cpu = 0; !weir_cpuset_has(&some, cpu); cpu++)
		;
	CPU_SET(cpu, &all);
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
	topo = topology_new(NULL);
	ck_assert_uint_eq(topology_usable(topo), 1);
	ck_assert_uint_eq(topology_cpu(topo, last)->out, WEIR_CPU_CPUSET);
	for (last = 0; last < WEIR_CPUS_MAX; last++)
		if (last != cpu && weir_cpuset_has(&some, last))
			ck_assert_uint_eq(topology_cpu(topo, last)->out, WEIR_CPU_AFFINITY);
	weir_topo_free(topo);
}
END_TEST

/* With a quota of half a CPU there is one worker, which is not bound, and a note says so. */
START_TEST(a_quota_throttles)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	const struct weir_plan *plan;
	struct weir_topo *topo;
	struct cgroup group;
	struct weir_rt *rt;
	bool said = false;
	unsigned i;

	if (!trial_begin("cpu", &group))
		return;
	if (group.v2)
		ck_assert(write_file(trial, "cpu.max", "50000 100000"));
	else
		ck_assert(write_file(trial, "cpu.cfs_period_us", "100000") &&
			  write_file(trial, "cpu.cfs_quota_us", "50000"));
	ck_assert(enter(trial));
	topo = topology_new(NULL);
	ck_assert_uint_eq(topo->quota_milli, 500);
	ck_assert_ptr_nonnull(strstr(topo->quota_file, trial));
	weir_topo_free(topo);
	rt = runtime_new(&cfg);
	plan = weir_rt_plan(rt);
	ck_assert_uint_eq(weir_rt_workers(rt), 1);
	ck_assert(plan->throttled);
	ck_assert(!plan->workers[0].bound);
	for (i = 0; i < plan->why_len; i++)
		said = said || strstr(plan->why[i], "quota");
	ck_assert(said);
	runtime_end(rt);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(why_a_cpu_is_out),
		TESTING(a_what_if_takes_away),
		TESTING(every_reason_has_its_words),
		TESTING(a_flat_machine_is_one_of_each),
		TESTING(this_machine, .needs = "native"),
		TESTING(each_has_a_copy_of_his_own),
		TESTING(a_smaller_mask_counts_at_once, .needs = "native", .rounds = 2),
		TESTING(several_threads_read_at_once),
		TESTING(a_child_has_the_reading_of_its_parent),
		TESTING(a_cpuset_cuts, .needs = "root native", .teardown = trial_end),
		TESTING(a_quota_throttles, .needs = "root native", .teardown = trial_end),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
