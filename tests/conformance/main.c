/* SPDX-License-Identifier: MIT */
/*
 * main.c: runs the conformance suite on one backend, in one of its modes, on one scheduler, and
 * skips the cases for which the backend lacks a capability. See conformance.h.
 *
 * The simulated backend completes operations late and in another order. Each case runs on it with
 * several seeds; on the current-thread scheduler time is simulated, too. Its world must be empty at
 * the end.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"
#include "tests/sim/sim_backend.h"

#define CASES_MAX 256

struct conformance_list {
	struct testing_case cases[CASES_MAX];
	size_t count;
};

struct conformance_env env;
static const char *backend, *options;
static unsigned seeds = 1;
static bool homed;
static const char *companion;		/* beside the simulated backend, which then polls */
static struct weir_sim_world *world;	/* of this round, if the backend is the simulated one */
static struct weir_clock *clock_of_round;

static bool is_sim(void)
{
	return strcmp(backend, "sim") == 0;
}

void conformance_add(struct conformance_list *list, struct testing_case test, unsigned count)
{
	if (list->count == CASES_MAX)
		abort();
	test.rounds = count > seeds ? count : seeds;
	list->cases[list->count++] = test;
}

/* ---- one case ---- */

static void world_open(uint64_t seed)
{
	struct weir_sim_config cfg = WEIR_SIM_CONFIG_INIT;

	cfg.seed = seed;
	cfg.delay_min_ns = 100;
	cfg.delay_max_ns = 20 * WEIR_USEC;
	cfg.reorder_permille = 100;
	cfg.short_permille = 200;
	cfg.inline_permille = 200;
	cfg.cancel_lose_permille = 300;
	cfg.buffer_bytes = 16384;
	cfg.lease_blocks = 256;
	cfg.homed = homed;
	if (companion)
		cfg.host = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(weir_sim_world_new(&cfg, &world), 0);
}

static void world_end(void)
{
	struct weir_sim_report report;

	weir_sim_world_report(world, &report);
	weir_sim_world_free(world);
	world = NULL;
	ck_assert_msg(
		!report.streams && !report.listeners && !report.leases && !report.ops &&
			!report.violations,
		"left in the world: %u streams, %u listeners, %u leases, %u ops; %u violations",
		report.streams, report.listeners, report.leases, report.ops, report.violations);
}

/* What the companion serves is served, too. */
static int add_companion_caps(uint32_t *caps)
{
	const uint32_t served = WEIR_CAP_FD | WEIR_CAP_FILE | WEIR_CAP_UNIX;
	struct weir_fd *fd;
	int ends[2], rc;

	if (pipe(ends) < 0)
		return -errno;
	rc = weir_fd_open(ends[0], &fd);
	if (rc == 0) {
		*caps |= weir_fd_handle(fd)->backend->caps & served;
		weir_fd_close(fd);
	}
	close(ends[0]);
	close(ends[1]);
	return rc;
}

/* Reads the capabilities from an instance, on a worker. */
static int read_caps(void *arg)
{
	struct weir_listener *listener;
	int rc = weir_listener_open("127.0.0.1:0", NULL, &listener);

	if (rc < 0)
		return rc;
	*(uint32_t *)arg = weir_listener_handle(listener)->backend->caps;
	if (weir_listener_handle(listener)->fd >= 0)
		*(uint32_t *)arg |= KERNEL_STREAMS;
	if (!(weir_listener_handle(listener)->homed & WEIR_HOMED_WRITES))
		*(uint32_t *)arg |= FREE_STREAMS;
	weir_listener_close(listener);
	if (companion)
		*(uint32_t *)arg |= TWO_SIDES;
	return companion ? add_companion_caps(arg) : 0;
}

static const char *cap_name(uint32_t cap)
{
	switch (cap) {
	case WEIR_CAP_STREAM:
		return "STREAM";
	case WEIR_CAP_FD:
		return "FD";
	case WEIR_CAP_LEASE:
		return "LEASE";
	case WEIR_CAP_UNIX:
		return "UNIX";
	case WEIR_CAP_FILE:
		return "FILE";
	case KERNEL_STREAMS:
		return "streams of the kernel";
	case FREE_STREAMS:
		return "streams that any worker serves";
	case TWO_SIDES:
		return "two kinds of TCP streams";
	default:
		return "a capability that no case needs";
	}
}

static void skip_for(uint32_t missing)
{
	testing_skip("the backend %s does not declare %s", backend,
		     cap_name(missing & ~(missing - 1)));
}

/* The backend with its --options behind the name, as in weir_rt_config. */
static const char *backend_text(void)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s%s%s", backend, options ? ":" : "", options ? options : "");
	return text;
}

void conformance_open(int round)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	place.group_workers = env.group_workers;
	cfg.place = &place;
	env.seed = (uint64_t)round + 1;
	env.stackless = round & 1;
	cfg.sched = env.workers ? WEIR_SCHED_MULTI : WEIR_SCHED_CURRENT;
	cfg.workers = env.workers;
	if (is_sim()) {
		world_open(env.seed);
		cfg.backend_ops = companion ? &weir_sim_polled_backend : &weir_sim_backend;
		cfg.companion = companion;
		cfg.backend_config = world;
		if (!env.workers && !companion)
			ck_assert_int_eq(weir_clock_new(&clock_of_round), 0);
		cfg.clock = clock_of_round;
	} else {
		cfg.backend = backend_text();
	}
	rc = weir_rt_new(&cfg, &env.rt);
	ck_assert_msg(rc == 0, "%s", weir_rt_why());
	ck_assert_int_eq(weir_rt_block_on(env.rt, read_caps, &env.caps), 0);
}

void conformance_close_down(void)
{
	ck_assert_int_eq(weir_rt_shutdown(env.rt, testing_hang_ns()), 0);
	weir_rt_free(env.rt);
	weir_clock_free(clock_of_round);
	clock_of_round = NULL;
	if (world)
		world_end();
}

void conformance_run(int (*body)(void *), uint32_t caps, int round)
{
	conformance_open(round);
	caps |= WEIR_CAP_STREAM;
	if (caps & ~env.caps)
		skip_for(caps & ~env.caps);
	else
		ck_assert_int_eq(weir_rt_block_on(env.rt, body, NULL), 0);
	conformance_close_down();
}

/* ---- the command line ---- */

/* Returns the first backend of this build that can run here. */
static const char *default_backend(void)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++)
		if (info.err == 0)
			return info.name;
	return "sim";
}

static int usage(const char *what)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;

	fprintf(stderr,
		"conformance: %s\n"
		"usage: conformance [--backend NAME] [--options WORDS] [--workers 0..256] [CASE]\n"
		"       conformance --backend sim [--homed] [--companion NAME] [--workers 0..256] "
		"[CASE]\n"
		"       conformance --list\n"
		"backends:",
		what);
	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++)
		fprintf(stderr, " %s%s", info.name, info.err ? " (cannot run here)" : "");
	fprintf(stderr, " sim\n");
	return 99;
}

/* The result of making a runtime on the backend, in this mode. */
struct attempt {
	int rc;
	char why[512];
};

/* Tries in a process of its own: a backend may leave state in a process that breaks later forks. */
static void try_backend(struct attempt *attempt)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	int ends[2];

	memset(attempt, 0, sizeof(*attempt));
	if (is_sim() || pipe(ends) < 0)
		return;
	if (fork() == 0) {
		cfg.sched = WEIR_SCHED_CURRENT;
		cfg.backend = backend_text();
		attempt->rc = weir_rt_new(&cfg, &rt);
		snprintf(attempt->why, sizeof(attempt->why), "%s", weir_rt_why());
		_exit(write(ends[1], attempt, sizeof(*attempt)) < 0);
	}
	close(ends[1]);
	if (read(ends[0], attempt, sizeof(*attempt)) != sizeof(*attempt))
		attempt->rc = 0;	/* the process died; the cases will show how */
	close(ends[0]);
	wait(NULL);
}

/* Returns NULL, or the argument that is wrong. The arguments for testing_main stay in argv. */
static const char *read_arguments(int argc, char **argv, int *count)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--backend") == 0 && i + 1 < argc)
			backend = argv[++i];
		else if (strcmp(argv[i], "--options") == 0 && i + 1 < argc)
			options = argv[++i];
		else if (strcmp(argv[i], "--workers") == 0 && i + 1 < argc)
			env.workers = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--homed") == 0)
			homed = true;
		else if (strcmp(argv[i], "--companion") == 0 && i + 1 < argc)
			companion = argv[++i];
		else
			argv[(*count)++] = argv[i];
	}
	argv[*count] = NULL;
	backend = backend ? backend : default_backend();
	env.zero_copy = options && strstr(options, "zero-copy=");
	env.homed_writes = homed || (options && strstr(options, "homed-writes="));
	if ((homed || companion) && !is_sim())
		return "--homed and --companion are for the simulated backend";
	if (options && is_sim())
		return "the simulated backend has no options";
	return NULL;
}

static void list_all(struct conformance_list *list)
{
	conformance_listen(list);
	conformance_shards(list);
	conformance_stream(list);
	conformance_vector(list);
	conformance_lease(list);
	conformance_send_lease(list);
	conformance_deadline(list);
	conformance_cancel(list);
	conformance_race(list);
	conformance_close(list);
	conformance_end(list);
	conformance_broken(list);
	conformance_many(list);
	conformance_fair(list);
	conformance_move(list);
	conformance_thread(list);
	conformance_shutdown(list);
	conformance_fd(list);
	conformance_file(list);
	conformance_relay(list);
	conformance_home(list);
	conformance_load(list);
}

int main(int argc, char **argv)
{
	static struct conformance_list list;
	int count = 1;
	const char *why = read_arguments(argc, argv, &count);
	struct attempt attempt;

	if (why)
		return usage(why);
	try_backend(&attempt);
	if (attempt.rc == -EINVAL || attempt.rc == -ENOENT)
		return usage(attempt.why);
	if (attempt.rc < 0)
		return printf("1..0 # SKIP %s\n", attempt.why), 0;
	if (strcmp(backend, "kqueue") == 0)
		testing_prepare = testing_use_libkqueue;
	if (is_sim())
		seeds = env.workers ? 2 : 4;
	list_all(&list);
	return testing_main(count, argv, list.cases, list.count);
}
