/* SPDX-License-Identifier: MIT */
/*
 * sweep.c: runs every program of programs.c, as fibers and as stackless tasks, for a range of
 * seeds.
 *
 *	sweep [--multi] [--trace] [FIRST [COUNT [PROGRAM]]]
 *
 * The seed determines delays, buffer sizes, the number of blocks to lend, and the injected errors.
 * On the current-thread scheduler time is simulated; each run is made twice, and both must give the
 * same trace. --multi uses worker threads and real time instead. After each run nothing may be left
 * in the world: no stream, listener, lease or operation.
 *
 * A run that does not end within an hour of simulated time counts as a hang. An alarm stops one
 * that hangs in real time, and names it. To look at a failure: sweep --trace SEED 1 PROGRAM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/programs.h"
#include "tests/sim/sim_backend.h"
#include "weir/rt.h"
#include "weir/task.h"
#include "weir/time.h"

#define VIRTUAL_LIMIT_NS (3600 * WEIR_SEC)
#define REAL_LIMIT_NS (60 * WEIR_SEC)
#define ALARM_S 60

static bool multi, trace;
static const struct program *program;
static char running[128];		/* the message of the alarm */

/* ---- one run ---- */

static void print_event(void *arg, const struct weir_sim_event *ev)
{
	static const char *const kinds[] = {
		"?", "submit", "complete", "cancel", "attach", "detach"
	};
	static const char *const codes[] = { "accept", "connect", "recv",  "recv_lease",
					     "recvv",  "send",	  "sendv", "send_lease",
					     "poll" };

	(void)arg;
	fprintf(stderr, "%12llu w%u %-8s %-10s op %-5llu object %-3u %d\n",
		(unsigned long long)(ev->at_ns - WEIR_SEC), ev->worker, kinds[ev->kind],
		ev->kind <= WEIR_SIM_CANCEL ? codes[ev->code]
		: ev->code == 1		    ? "listener"
					    : "stream",
		(unsigned long long)ev->op, ev->object, ev->result);
}

static uint64_t draw(struct run *run, uint64_t below)
{
	run->random = run->random * 6364136223846793005ull + 1442695040888963407ull;
	return (run->random >> 33) % below;
}

/*
 * Sets the run up from the seed. With a third of the seeds no errors are injected: all must
 * succeed.
 */
static void plan(struct run *run, uint64_t seed, bool stackless, struct weir_sim_config *ret_cfg)
{
	struct weir_sim_config cfg = WEIR_SIM_CONFIG_INIT;

	*run = (struct run){ .seed = seed, .stackless = stackless, .random = seed * 2 + 1 };
	for (int i = 0; i < 4; i++)
		draw(run, 2);
	cfg.seed = seed;
	cfg.delay_min_ns = multi ? 100 : 1 + draw(run, 2000);
	cfg.delay_max_ns = cfg.delay_min_ns + (multi ? draw(run, 20000) : draw(run, 1000000));
	cfg.reorder_permille = (unsigned)draw(run, 3) * 100;
	cfg.short_permille = (unsigned)draw(run, 3) * 250;
	cfg.inline_permille = (unsigned)draw(run, 3) * 200;
	cfg.cancel_lose_permille = (unsigned)draw(run, 3) * 300;
	cfg.buffer_bytes = 64u << draw(run, 8);
	cfg.homed = multi && draw(run, 2);
	run->clients = 1 + (unsigned)draw(run, RUN_CLIENTS_MAX);
	run->buffer_bytes = cfg.buffer_bytes;
	run->pace_ns = (cfg.delay_min_ns + cfg.delay_max_ns) / 2;
	cfg.lease_blocks = program->leases_each ? program->leases_each * run->clients
						: 1 + (unsigned)draw(run, 6);
	if (program->accept_errors) {
		cfg.fail_permille[WEIR_OP_ACCEPT] = 100 + (unsigned)draw(run, 600);
	} else if (seed % 3) {
		run->errors = true;
		for (unsigned i = 0; i < WEIR_OP_CODES; i++)
			cfg.fail_permille[i] = (unsigned)draw(run, 20);
		cfg.fail_attach_permille = (unsigned)draw(run, 100);
	}
	if (trace)
		cfg.trace = print_event;
	*ret_cfg = cfg;
}

/* Runs the program as a task of its own, to notice when it hangs. */
static int root(void *arg)
{
	struct run *run = arg;
	struct weir_task *task;
	int result = 0, rc;

	rc = weir_spawn(program->fn, run, &task);
	if (rc < 0)
		return rc;
	rc = weir_task_join_until(task, weir_deadline_in(multi ? REAL_LIMIT_NS : VIRTUAL_LIMIT_NS),
				  &result);
	if (rc == -ETIMEDOUT) {
		run_complain(run, "hangs");
		weir_task_detach(task);
	} else if (rc < 0) {
		run_complain(run, "join: %s", weir_strerror(rc));
	} else if (result < 0) {
		run_complain(run, "the program ended with %s", weir_strerror(result));
	}
	return 0;
}

static void run_on(struct run *run, struct weir_sim_world *world, struct weir_clock *clock)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	int rc;

	cfg.sched = multi ? WEIR_SCHED_MULTI : WEIR_SCHED_CURRENT;
	cfg.workers = multi ? 2 + (unsigned)(run->seed % 3) : 1;
	cfg.backend_ops = &weir_sim_backend;
	cfg.backend_config = world;
	cfg.clock = clock;
	cfg.lease_bytes = 1024u << run->seed % 4;
	rc = weir_rt_new(&cfg, &rt);
	if (rc < 0) {
		run_complain(run, "weir_rt_new: %s", weir_rt_why());
		return;
	}
	rc = weir_rt_block_on(rt, root, run);
	if (rc < 0)
		run_complain(run, "block_on: %s", weir_strerror(rc));
	rc = weir_rt_shutdown(rt, multi ? REAL_LIMIT_NS : VIRTUAL_LIMIT_NS);
	if (rc < 0)
		run_complain(run, "shutdown: %s", weir_strerror(rc));
	if (weir_rt_alive(rt))
		run_complain(run, "%llu tasks alive after shutdown",
			     (unsigned long long)weir_rt_alive(rt));
	weir_rt_free(rt);
}

static void look_at(struct run *run, const struct weir_sim_report *r)
{
	if (r->streams || r->listeners || r->leases || r->ops)
		run_complain(run, "left behind: %u streams, %u listeners, %u leases, %u ops",
			     r->streams, r->listeners, r->leases, r->ops);
	if (r->violations)
		run_complain(run, "%u violations of the contract", r->violations);
	if (r->submitted < r->completed)
		run_complain(run, "more completions than operations");
}

static int run_once(struct run *run, uint64_t seed, bool stackless, struct weir_sim_report *ret)
{
	struct weir_sim_config cfg;
	struct weir_sim_world *world;
	struct weir_clock *clock = NULL;

	plan(run, seed, stackless, &cfg);
	snprintf(running, sizeof(running), "sweep: %s, seed %llu, %s: stuck in real time\n",
		 program->name, (unsigned long long)seed, stackless ? "stackless" : "fibers");
	alarm(ALARM_S);
	if (weir_sim_world_new(&cfg, &world) < 0 || (!multi && weir_clock_new(&clock) < 0)) {
		fprintf(stderr, "sweep: no memory\n");
		exit(2);
	}
	run_on(run, world, clock);
	weir_sim_world_report(world, ret);
	look_at(run, ret);
	weir_sim_world_free(world);
	weir_clock_free(clock);
	alarm(0);
	return run->why[0] ? -1 : 0;
}

/* ---- all of them ---- */

/* Counts over the whole sweep, so that the report shows that the interesting events happened. */
static struct {
	unsigned runs, failed;
	unsigned ok, broken, timeouts;
	uint64_t ops, cancels, cancels_won, injected, shortened, lease_waits, bytes;
} sum;

static void add_up(const struct run *run, const struct weir_sim_report *r)
{
	sum.runs++;
	sum.ok += run->ok;
	sum.broken += run->failed;
	sum.timeouts += run->timeouts;
	sum.ops += r->submitted;
	sum.cancels += r->cancels;
	sum.cancels_won += r->cancels_won;
	sum.injected += r->injected;
	sum.shortened += r->shortened;
	sum.lease_waits += r->lease_waits;
	sum.bytes += run->bytes;
}

static void run_seed(uint64_t seed, bool stackless)
{
	struct weir_sim_report first, again;
	struct run run;

	run_once(&run, seed, stackless, &first);
	add_up(&run, &first);
	if (!multi && !trace && !run.why[0]) {
		run_once(&run, seed, stackless, &again);
		if (first.hash != again.hash || first.events != again.events)
			run_complain(&run, "two runs differ: %llu and %llu events",
				     (unsigned long long)first.events,
				     (unsigned long long)again.events);
	}
	if (!run.why[0])
		return;
	sum.failed++;
	printf("FAIL %s, seed %llu, %s: %s\n", program->name, (unsigned long long)seed,
	       stackless ? "stackless" : "fibers", run.why);
	fflush(stdout);
}

static void on_alarm(int signo)
{
	ssize_t n = write(STDERR_FILENO, running, strlen(running));

	(void)signo;
	_exit(n < 0 ? 4 : 3);
}

static void print_sum(void)
{
	printf("%u runs, %u failed: %u clients served, %u broken; %llu bytes\n", sum.runs,
	       sum.failed, sum.ok, sum.broken, (unsigned long long)sum.bytes);
	printf("met %llu operations, %llu cancels (%llu lost), %u timeouts, %llu errors, "
	       "%llu short transfers, %llu waits for a lease\n",
	       (unsigned long long)sum.ops, (unsigned long long)sum.cancels,
	       (unsigned long long)(sum.cancels - sum.cancels_won), sum.timeouts,
	       (unsigned long long)sum.injected, (unsigned long long)sum.shortened,
	       (unsigned long long)sum.lease_waits);
}

int main(int argc, char **argv)
{
	uint64_t first = 0, count = 200;
	const char *only = NULL;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		multi |= !strcmp(argv[i], "--multi");
		trace |= !strcmp(argv[i], "--trace");
	}
	if (i < argc)
		first = strtoull(argv[i++], NULL, 0);
	if (i < argc)
		count = strtoull(argv[i++], NULL, 0);
	if (i < argc)
		only = argv[i];
	signal(SIGALRM, on_alarm);
	for (uint64_t seed = first; seed < first + count; seed++)
		for (unsigned p = 0; p < program_count; p++) {
			program = &programs[p];
			if (only && strcmp(only, program->name) != 0)
				continue;
			run_seed(seed, false);
			run_seed(seed, true);
		}
	print_sum();
	return sum.failed || !sum.runs ? EXIT_FAILURE : EXIT_SUCCESS;
}
