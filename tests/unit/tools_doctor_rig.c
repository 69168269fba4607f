/* SPDX-License-Identifier: MIT */
/* tools_doctor_rig.c: see tools_doctor_rig.h. */
#include "tests/unit/tools_doctor_rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/support/testing.h"

struct doctor doctor;
struct doctor_rig says;
static char root[64];

static int fake_name(struct utsname *ret_name)
{
	memset(ret_name, 0, sizeof(*ret_name));
	strcpy(ret_name->sysname, "Linux");
	strcpy(ret_name->release, says.release);
	strcpy(ret_name->machine, "x86_64");
	return 0;
}

static int fake_limit(int resource, struct rlimit *ret_limit)
{
	rlim_t value = resource == RLIMIT_NOFILE ? says.nofile : says.memlock;

	*ret_limit = (struct rlimit){ value, value };
	return 0;
}

static int fake_cpus(struct weir_cpu_allowance *ret_allowance)
{
	*ret_allowance = says.cpus;
	return 0;
}

/* The CPUs are divided over the nodes in order. The last ones may be a slower kind of core. */
static void fill_cpu(struct weir_topo *topo, unsigned i)
{
	unsigned slow = says.slow_cpus;

	topo->cpus[i].os = topo->cpus[i].core = (uint16_t)i;
	topo->cpus[i].l3 = topo->cpus[i].node = (uint16_t)(i * topo->nodes_len / topo->cpus_len);
	topo->cpus[i].package = topo->cpus[i].node % (uint16_t)topo->packages;
	topo->cpus[i].kind = slow && i < topo->cpus_len - slow;
	topo->cpus[i].capacity = topo->cpus[i].kind == 1 || !slow ? 1024 : 400;
	topo->cpus[i].cluster = topo->cpus[i].kind ? 0 : slow != 0;
}

static void fill_nodes(struct weir_topo *topo)
{
	for (unsigned i = 0; i < topo->nodes_len; i++) {
		topo->nodes[i].os = (uint16_t)i;
		topo->nodes[i].memory_bytes = says.node_bytes[i];
	}
	for (unsigned i = 0; topo->distances && i < topo->nodes_len * topo->nodes_len; i++)
		topo->distances[i] =
			i / topo->nodes_len == i % topo->nodes_len ? 10 : (uint16_t)says.far;
}

/* Allocates one block; the topology is its first member. */
static int fake_topo(struct weir_topo **ret_topo)
{
	struct {
		struct weir_topo topo;
		struct weir_topo_cpu cpus[RIG_CPUS_MAX];
		struct weir_topo_l3 l3s[RIG_NODES_MAX];
		struct weir_topo_node nodes[RIG_NODES_MAX];
		uint16_t distances[RIG_NODES_MAX * RIG_NODES_MAX];
	} *made = calloc(1, sizeof(*made));
	struct weir_topo *topo;

	ck_assert_ptr_nonnull(made);
	ck_assert_uint_le(says.cpus.mask_cpus, RIG_CPUS_MAX);
	topo = &made->topo;
	topo->flat = says.no_hwloc;
	strcpy(topo->source, says.no_hwloc ? "this machine, without its topology: no hwloc" : "");
	topo->cpus_len = topo->cores = says.cpus.mask_cpus;
	topo->packages = says.packages;
	topo->nodes_len = topo->l3s_len = says.nodes;
	topo->clusters = topo->kinds = says.slow_cpus ? 2 : 1;
	topo->quota_milli = says.cpus.quota_milli;
	topo->cpus = made->cpus;
	topo->l3s = made->l3s;
	topo->nodes = made->nodes;
	topo->distances = says.far ? made->distances : NULL;
	for (unsigned i = 0; i < topo->cpus_len; i++)
		fill_cpu(topo, i);
	fill_nodes(topo);
	*ret_topo = topo;
	return 0;
}

static void fake_topo_free(struct weir_topo *topo)
{
	free(topo);
}

static void fake_nic(const char *name, struct doctor_nic *ret_nic)
{
	(void)name;
	*ret_nic = says.nic;
}

static int fake_backend(unsigned i, struct weir_backend_info *ret_info)
{
	if (i >= TESTING_COUNT(says.backends) || !says.backends[i].name)
		return -ENOENT;
	*ret_info = says.backends[i];
	return 0;
}

static void fake_start(struct doctor_start *ret_start)
{
	*ret_start = says.start;
}

static char *fake_env(const char *name)
{
	return strcmp(name, "WEIR_BACKEND") == 0 ? says.env_backend : says.env_workers;
}

static void fake_epoll(struct doctor_epoll *ret_epoll)
{
	*ret_epoll = says.epoll;
}

static void fake_uring(struct doctor_uring *ret_uring)
{
	*ret_uring = says.uring;
}

static void fake_liburing(struct doctor_liburing *ret_liburing)
{
	*ret_liburing = says.liburing;
}

static void fake_clock(struct doctor_clock *ret_clock)
{
	*ret_clock = says.clock;
}

static int fake_guard(void)
{
	return says.guard;
}

const struct doctor_machine machine = {
	.root = root,
	.name = fake_name,
	.limit = fake_limit,
	.cpus = fake_cpus,
	.topo = fake_topo,
	.topo_free = fake_topo_free,
	.nic = fake_nic,
	.backend = fake_backend,
	.start = fake_start,
	.env = fake_env,
	.epoll = fake_epoll,
	.uring = fake_uring,
	.liburing = fake_liburing,
	.clock = fake_clock,
	.guard = fake_guard,
};

void quota(unsigned milli, const char *file)
{
	says.cpus.quota_milli = milli;
	snprintf(says.cpus.quota_file, sizeof(says.cpus.quota_file), "%s", file);
}

static void full_path(const char *path, char full[512])
{
	char *slash;

	snprintf(full, 512, "%s%s", root, path);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
}

void put(const char *path, const char *text)
{
	char full[512];
	FILE *f;

	full_path(path, full);
	f = fopen(full, "we");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

void put_link(const char *path, const char *target)
{
	char full[512];

	full_path(path, full);
	ck_assert_int_eq(symlink(target, full), 0);
}

void make_machine(void)
{
	snprintf(root, sizeof(root), "/tmp/weir-doctor-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	memset(&says, 0, sizeof(says));
	strcpy(says.release, "6.14.2-amd64");
	says.nofile = says.memlock = RLIM_INFINITY;
	says.cpus.mask_cpus = 4;
	says.nodes = says.packages = 1;
	says.node_bytes[0] = 8ull << 30;
	says.nic = (struct doctor_nic){ .gro = 1, .tso = 1 };
	says.backends[0].name = "epoll";
	says.start = (struct doctor_start){ .workers = 4, .backend = "epoll" };
	says.uring.ops = 60;
	says.clock = (struct doctor_clock){ 1, 20 };
	put("/sys/devices/system/cpu/online", "0-3\n");
	put("/sys/devices/system/cpu/isolated", "\n");
	put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	put("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet \n");
	put("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu constant_tsc nonstop_tsc\n");
	put("/proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n");
	put(STATUS, UNFILTERED);
	put("/proc/meminfo", "MemTotal:        8388608 kB\n");
	put("/proc/sys/net/core/busy_poll", "0\n");
	put("/proc/sys/net/core/busy_read", "0\n");
	put("/proc/sys/net/core/somaxconn", "4096\n");
	put("/proc/sys/net/ipv4/tcp_max_syn_backlog", "4096\n");
	put("/proc/sys/net/ipv4/tcp_syncookies", "1\n");
	put("/proc/sys/net/ipv4/ip_local_port_range", "1024\t65535\n");
	put("/proc/sys/net/ipv4/tcp_tw_reuse", "2\n");
	put("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
	put("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n");
	put("/proc/sys/net/ipv4/tcp_migrate_req", "1\n");
	put("/proc/sys/net/core/optmem_max", "131072\n");
}

void remove_files(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

void remove_machine(void)
{
	remove_files();
	doctor_fini(&doctor);
}

void examine(enum doctor_use use)
{
	doctor_fini(&doctor);
	doctor_init(&doctor, &machine, use);
	doctor_check_all(&doctor);
}

const struct doctor_finding *find(const char *id)
{
	for (unsigned i = 0; i < doctor.len; i++)
		if (strcmp(doctor.findings[i].id, id) == 0)
			return &doctor.findings[i];
	return NULL;
}

const struct doctor_finding *got(const char *id)
{
	static const struct doctor_finding none;
	const struct doctor_finding *finding = find(id);

	ck_assert_msg(finding != NULL, "%s: no such finding", id);
	return finding ? finding : &none;	/* never NULL here, but compilers cannot tell */
}

void expect(const char *id, enum doctor_level level, const char *found, const char *fix)
{
	const struct doctor_finding *finding = got(id);

	ck_assert_msg(finding->level == level, "%s: level %d, not %d: %s", id, (int)finding->level,
		      (int)level, finding->found);
	HAS(finding->found, found);
	ck_assert_str_eq(finding->fix, fix);
}

void expect_now(const char *id, enum doctor_level level, const char *found, const char *fix)
{
	examine(DOCTOR_PROXY);
	expect(id, level, found, fix);
}
