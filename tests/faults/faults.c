/* SPDX-License-Identifier: MIT */
/*
 * faults.c: fault injection. Makes system calls, operations of io_uring and allocations fail under
 * the load of load.c, on one backend and scheduler:
 *
 *	faults --backend io_uring --workers 2 [CALL]
 *
 * There is one test per system call. It runs the load many times, each in a process of its own: in
 * each run the nth call fails with one error, only once or from then on (for good). A run must not
 * crash, hang, spin (repeat the failing call without end), leak, break a rule of the load, or
 * provoke a sanitizer. A failure prints the arguments that repeat that run alone, such as
 *
 *	faults --backend epoll --workers 2 --one accept4,EMFILE,3[,for-good]
 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/calls.h"
#include "tests/faults/load.h"
#include "tests/faults/notify.h"
#include "tests/faults/rings.h"
#include "tests/support/testing.h"
#include "weir/topo.h"

/* A call that fails more often in one run is repeated in an endless loop. */
#define FAILURES_MAX 20000
/* The most values of nth that are tried for one call. */
#define NTHS_MAX 8
#define LIMIT_S 60

/* One run: what fails in it, and its outcome. In memory that the run's process shares. */
struct run {
	struct load load;
	const struct faults_call *call;
	bool in_ring;
	int error;
	unsigned nth;			/* which call fails; 0: calls are only counted */
	bool for_good;
	unsigned one_in, seed;		/* one allocation in one_in fails; 0: none */
	atomic_bool armed;
	atomic_uint made, failed;
};

static struct run *run;
static struct load asked = { .backend = "epoll" };

/* ---- one run ---- */

static int __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

static int body(void *arg)
{
	struct weir_topo *topo = NULL;
	char left[3200];
	int broken;

	(void)arg;
	testing_leaks_begin();
	if (run->call && run->call->hwloc_leaks && weir_topo_new(NULL, &topo, NULL) < 0)
		return say("cannot read the machine's topology");
	run->load.topo = topo;
	if (run->in_ring)
		rings_fail(run->call->number, run->error, run->nth, run->for_good);
	testing_fail_allocations(run->one_in, run->seed);
	atomic_store(&run->armed, true);
	broken = load_run(&run->load);
	atomic_store(&run->armed, false);
	testing_fail_allocations(0, 0);
	if (run->in_ring)
		atomic_store(&run->made, rings_submitted());
	rings_fail(-1, 0, 0, false);
	if (rings_unlisted() >= 0)
		broken += say("io_uring operation %d is not in the list of rings.c",
			      rings_unlisted());
	weir_topo_free(topo);
	if (testing_leaks_found(0, left, sizeof left))
		broken += say("%s", left);
	return broken ? 1 : 0;
}

static int decide(void *arg, int number)
{
	unsigned made;

	(void)arg;
	if (!atomic_load(&run->armed) || number != run->call->number)
		return 0;
	made = atomic_fetch_add(&run->made, 1) + 1;
	if (run->nth == 0 || made < run->nth || (made > run->nth && !run->for_good))
		return 0;
	return atomic_fetch_add(&run->failed, 1) < FAILURES_MAX ? run->error : -EOVERFLOW;
}

static const char *outcome(int status, char *text, size_t len)
{
	if (status == 0)
		return NULL;
	if (status == -ETIMEDOUT)
		snprintf(text, len, "hangs");
	else if (status == -EOVERFLOW)
		snprintf(text, len, "the run spins: the call failed %d times", FAILURES_MAX);
	else if (status < 0)
		snprintf(text, len, "the run could not start: %s", strerror(-status));
	else if (WIFSIGNALED(status))
		snprintf(text, len, "the run ended by signal %d", WTERMSIG(status));
	else
		snprintf(text, len, "the run broke a rule or leaked (status %d)",
			 WEXITSTATUS(status));
	return text;
}

/* Makes the run that is set up. Returns NULL, or what went wrong. */
static const char *run_now(char *text, size_t len)
{
	struct notify_calls calls = { run->call ? &run->call->number : NULL,
				      run->call && !run->in_ring ? 1 : 0, false };

	run->load = asked;
	run->load.failing_for_good = run->for_good;
	atomic_store(&run->made, 0);
	atomic_store(&run->failed, 0);
	return outcome(notify_run(&calls, body, NULL, decide, NULL, testing_scaled(LIMIT_S)), text,
		       len);
}

/* ---- all the runs of a test; each function returns how many went wrong ---- */

static unsigned check_run(unsigned nth, bool for_good, int error)
{
	char text[128];
	const char *wrong;

	run->nth = nth;
	run->for_good = for_good;
	run->error = error;
	wrong = run_now(text, sizeof text);
	if (wrong)
		say("# --backend %s --workers %u --one %s,%s,%u%s: %s", asked.backend,
		    asked.workers, run->call->name, strerrorname_np(error), nth,
		    for_good ? ",for-good" : "", wrong);
	return wrong != NULL;
}

/* Chooses which of the calls fail: the first ones, and some spread over the rest. */
static unsigned choose_nths(unsigned made, unsigned nths[NTHS_MAX])
{
	unsigned len = 0;

	for (unsigned nth = 1; nth <= made && nth <= NTHS_MAX / 2; nth++)
		nths[len++] = nth;
	for (unsigned part = 1; part <= NTHS_MAX / 2; part++) {
		unsigned nth = made * part / (NTHS_MAX / 2);

		if (len && nth > nths[len - 1])
			nths[len++] = nth;
	}
	return len;
}

/* Errors that are temporary by definition, so they do not happen for good. */
static bool passes(int error)
{
	return error == EINTR || error == EAGAIN;
}

static unsigned check_error(int error, const unsigned *nths, unsigned len)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < len; i++)
		wrong += check_run(nths[i], false, error);
	return wrong + (passes(error) ? 0 : check_run(nths[0], true, error));
}

/* Runs the test of one call, and writes its line of TAP. */
static unsigned check_call(const struct faults_call *call, bool in_ring, unsigned number)
{
	unsigned nths[NTHS_MAX], len, wrong = 0;
	char text[128];

	*run = (struct run){ .call = call, .in_ring = in_ring };
	if (run_now(text, sizeof text)) {
		printf("not ok %u - %s # even without a fault: %s\n", number, call->name, text);
		return 1;
	}
	len = choose_nths(atomic_load(&run->made), nths);
	if (len == 0) {
		printf("ok %u - %s # SKIP the load does not make this call here\n", number,
		       call->name);
		return 0;
	}
	for (const int *error = call->errors; *error; error++)
		wrong += check_error(*error, nths, len);
	printf("%s %u - %s # %u runs went wrong\n", wrong ? "not ok" : "ok", number, call->name,
	       wrong);
	fflush(stdout);
	return wrong;
}

static unsigned check_memory(unsigned number)
{
	static const unsigned one_in[] = { 3, 10, 30, 100, 300 };
	unsigned wrong = 0;
	char text[128];

	if (!testing_fail_allocations(1, 0)) {
		printf("ok %u - memory # SKIP the build does not wrap the allocator\n", number);
		return 0;
	}
	testing_fail_allocations(0, 0);
	for (unsigned i = 0; i < TESTING_COUNT(one_in); i++)
		for (unsigned seed = 1; seed <= 20; seed++) {
			*run = (struct run){ .one_in = one_in[i], .seed = seed };
			if (!run_now(text, sizeof text))
				continue;
			wrong++;
			say("# --backend %s --workers %u --memory %u,%u: %s", asked.backend,
			    asked.workers, one_in[i], seed, text);
		}
	printf("%s %u - memory # %u runs went wrong\n", wrong ? "not ok" : "ok", number, wrong);
	return wrong;
}

/* ---- selecting and running the tests ---- */

static unsigned count_failed(const struct faults_call *calls, size_t len)
{
	unsigned count = 0;

	for (size_t i = 0; i < len; i++)
		count += !calls[i].why_not;
	return count;
}

static unsigned check_calls(const struct faults_call *calls, size_t len, bool in_ring,
			    unsigned *number)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < len; i++)
		if (!calls[i].why_not)
			wrong += check_call(&calls[i], in_ring, ++*number);
	return wrong;
}

static int check_all(void)
{
	bool rings = strncmp(asked.backend, "io_uring", 8) == 0 && rings_can_fail();
	unsigned wrong, number = 0;

	printf("1..%u\n",
	       count_failed(faults_calls, faults_calls_len) + 1 +
		       (rings ? count_failed(rings_operations, rings_operations_len) : 0));
	wrong = check_calls(faults_calls, faults_calls_len, false, &number);
	if (rings)
		wrong += check_calls(rings_operations, rings_operations_len, true, &number);
	return wrong + check_memory(++number) ? 1 : 0;
}

static const struct faults_call *call_or_operation(const char *name, bool *ret_in_ring)
{
	const struct faults_call *call = faults_call_named(name);

	*ret_in_ring = !call;
	for (size_t i = 0; !call && i < rings_operations_len; i++)
		if (strcmp(rings_operations[i].name, name) == 0)
			call = &rings_operations[i];
	return call;
}

static int check_named(const char *name)
{
	bool in_ring;
	const struct faults_call *call = call_or_operation(name, &in_ring);

	if (!call || call->why_not)
		return say("%s: %s", name, call ? call->why_not : "not in the list of calls"), 2;
	printf("1..1\n");
	return check_call(call, in_ring, 1) ? 1 : 0;
}

static int errno_named(const char *name)
{
	for (int error = 1; error < 200; error++)
		if (strerrorname_np(error) && strcmp(strerrorname_np(error), name) == 0)
			return error;
	return 0;
}

/* CALL,ERRNO,NTH[,for-good] */
static int check_one(char *text)
{
	const char *name = strtok(text, ","), *error = strtok(NULL, ","), *nth = strtok(NULL, ",");
	bool in_ring, for_good = strtok(NULL, ",") != NULL;
	const struct faults_call *call = name ? call_or_operation(name, &in_ring) : NULL;

	if (!call || !nth || !errno_named(error))
		return say("expected --one CALL,ERRNO,NTH[,for-good]"), 2;
	*run = (struct run){ .call = call, .in_ring = in_ring };
	if (check_run((unsigned)atoi(nth), for_good, errno_named(error)))
		return 1;
	say("# the call was made %u times and failed %u times; the run is correct",
	    atomic_load(&run->made), atomic_load(&run->failed));
	return 0;
}

/* ONE_IN,SEED */
static int check_one_memory(char *text)
{
	char why[128];

	*run = (struct run){ 0 };
	if (sscanf(text, "%u,%u", &run->one_in, &run->seed) != 2)
		return say("expected --memory ONE_IN,SEED"), 2;
	return run_now(why, sizeof why) ? (say("# %s", why), 1) : 0;
}

int main(int argc, char **argv)
{
	char *one_run = NULL, *memory = NULL;
	const char *name = NULL;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--backend") == 0 && i + 1 < argc)
			asked.backend = argv[++i];
		else if (strcmp(argv[i], "--workers") == 0 && i + 1 < argc)
			asked.workers = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--one") == 0 && i + 1 < argc)
			one_run = argv[++i];
		else if (strcmp(argv[i], "--memory") == 0 && i + 1 < argc)
			memory = argv[++i];
		else
			name = argv[i];
	run = mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED)
		return perror("mmap"), 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	return one_run	? check_one(one_run)
	       : memory ? check_one_memory(memory)
	       : name	? check_named(name)
			: check_all();
}
