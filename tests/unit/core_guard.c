/* SPDX-License-Identifier: MIT */
/*
 * core_guard.c: the guard. A worker may become its owner. The tests check how it loses the
 * ownership when other threads come.
 */
#include <dlfcn.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/guard.h"
#include "tests/support/testing.h"

/* ---- making membarrier fail ---- */

/* The C library's syscall(), which is replaced below. */
static long (*raw)(long number, ...);

static __attribute__((constructor)) void find_raw(void)
{
	raw = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

/* The next refuse_next membarriers fail; expedited ones fail until the process registers again. */
static int refuse_errno;
static unsigned refuse_next;
static bool registration_lost;
static unsigned fences;		/* how many membarriers succeeded */

static int refusal(long cmd)
{
	if (refuse_next > 0) {
		refuse_next--;
		return refuse_errno;
	}
	if (cmd == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
		registration_lost = false;
	return registration_lost && cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED ? EPERM : 0;
}

long syscall(long number, ...)
{
	long arg[6];
	va_list args;

	va_start(args, number);
	for (unsigned i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_membarrier && (errno = refusal(arg[0])) != 0)
		return -1;
	if (number == SYS_membarrier && arg[0] != MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
		fences++;
	return raw(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

/* ---- workers ---- */

static int a_worker;			/* its address stands for a worker */

static void be_a_worker(void)
{
	weir__context()->worker = (struct weir__worker *)(void *)&a_worker;
}

static bool take_and_drop(struct weir__guard *g)
{
	bool as_owner = weir__guard_take(g);

	weir__guard_drop(g, as_owner);
	return as_owner;
}

static void *from_elsewhere(void *arg)
{
	be_a_worker();
	ck_assert(!take_and_drop(arg));
	return NULL;
}

static void touch_from_elsewhere(struct weir__guard *g)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, from_elsewhere, g), 0);
	pthread_join(t, NULL);
}

/* Whether this machine has membarrier(2); without it guards have no owners. */
static bool owners_exist(void)
{
	struct weir__guard g;

	weir__guard_enable();
	be_a_worker();
	weir__guard_init(&g);
	take_and_drop(&g);
	if (take_and_drop(&g))
		return true;
	testing_skip("no membarrier(2)");
	return false;
}

START_TEST(the_first_worker_becomes_the_owner_until_somebody_else_comes)
{
	struct weir__guard g;

	if (!owners_exist())
		return;
	weir__guard_init(&g);
	ck_assert(!take_and_drop(&g));
	ck_assert(take_and_drop(&g));
	ck_assert(take_and_drop(&g));
	touch_from_elsewhere(&g);
	ck_assert(!take_and_drop(&g));
	ck_assert(!take_and_drop(&g));
	touch_from_elsewhere(&g);
}
END_TEST

START_TEST(without_enable_nobody_owns)
{
	struct weir__guard g;

	be_a_worker();
	weir__guard_init(&g);
	take_and_drop(&g);
	ck_assert(!take_and_drop(&g));
}
END_TEST

START_TEST(a_thread_that_is_no_worker_does_not_own)
{
	struct weir__guard g;

	weir__guard_enable();
	weir__guard_init(&g);
	take_and_drop(&g);
	ck_assert(!take_and_drop(&g));
}
END_TEST

START_TEST(only_so_many_ownerships_end)
{
	struct weir__guard g;
	int i, owned = 0;

	if (!owners_exist())
		return;
	for (i = 0; i < 100; i++) {
		weir__guard_init(&g);
		take_and_drop(&g);
		owned += take_and_drop(&g);
		touch_from_elsewhere(&g);
	}
	ck_assert_int_eq(owned, 32);
}
END_TEST

/* An owned guard that another thread takes. */
static void revoke_one(void)
{
	struct weir__guard g;

	weir__guard_init(&g);
	take_and_drop(&g);
	ck_assert(take_and_drop(&g));
	touch_from_elsewhere(&g);
	ck_assert(!take_and_drop(&g));
}

/*
 * The guard tries three ways to fence. Here all three fail, twice, and in the third round the first
 * way fails once more. Only after a fence may the other thread enter.
 */
START_TEST(nobody_comes_in_before_the_kernel_has_fenced)
{
	struct weir__guard g;

	if (!owners_exist())
		return;
	revoke_one();
	ck_assert_uint_eq(fences, 1);
	refuse_errno = _i ? ENOSYS : ENOMEM;
	refuse_next = 7;
	revoke_one();
	ck_assert_uint_eq(refuse_next, 0);
	ck_assert_uint_eq(fences, 2);
	/* After a refusal guards have no owners any more. */
	weir__guard_init(&g);
	take_and_drop(&g);
	ck_assert(!take_and_drop(&g));
}
END_TEST

START_TEST(a_registration_that_was_lost_is_made_again)
{
	if (!owners_exist())
		return;
	registration_lost = true;
	revoke_one();
	ck_assert(!registration_lost);
	ck_assert_uint_eq(fences, 1);
	revoke_one();
	ck_assert_uint_eq(fences, 2);
}
END_TEST

enum {
	GUARDS = 30,
	EACH = 20000
};

static struct {
	struct weir__guard guard;
	unsigned long count;		/* not atomic: only the guard protects it */
	unsigned started;		/* atomic */
} cell[GUARDS];

static void *count_as_owner(void *arg)
{
	int i, k;
	bool as_owner;

	(void)arg;
	be_a_worker();
	for (i = 0; i < GUARDS; i++)
		for (k = 0; k < EACH; k++) {
			as_owner = weir__guard_take(&cell[i].guard);
			cell[i].count++;
			weir__guard_drop(&cell[i].guard, as_owner);
			if (k == 1000)
				__atomic_store_n(&cell[i].started, 1, __ATOMIC_RELEASE);
		}
	return NULL;
}

/* Takes the guard again and again while the owner uses it. */
static void *count_as_intruder(void *arg)
{
	int i, k;
	bool as_owner;

	(void)arg;
	for (i = 0; i < GUARDS; i++) {
		while (!__atomic_load_n(&cell[i].started, __ATOMIC_ACQUIRE))
			;
		for (k = 0; k < EACH; k++) {
			as_owner = weir__guard_take(&cell[i].guard);
			ck_assert(!as_owner);
			cell[i].count++;
			weir__guard_drop(&cell[i].guard, as_owner);
		}
	}
	return NULL;
}

START_TEST(nobody_is_inside_with_the_owner)
{
	pthread_t owner, intruder;
	int i;

	if (!owners_exist())
		return;
	weir__context()->worker = NULL;
	for (i = 0; i < GUARDS; i++)
		weir__guard_init(&cell[i].guard);
	ck_assert_int_eq(pthread_create(&owner, NULL, count_as_owner, NULL), 0);
	ck_assert_int_eq(pthread_create(&intruder, NULL, count_as_intruder, NULL), 0);
	pthread_join(owner, NULL);
	pthread_join(intruder, NULL);
	for (i = 0; i < GUARDS; i++)
		ck_assert_uint_eq(cell[i].count, 2 * EACH);
}
END_TEST

static int intruder_is_in;		/* atomic */

static void *break_in(void *arg)
{
	struct weir__guard *g = arg;
	bool as_owner = weir__guard_take(g);

	__atomic_store_n(&intruder_is_in, 1, __ATOMIC_RELAXED);
	weir__guard_drop(g, as_owner);
	return NULL;
}

START_TEST(an_intruder_waits_until_the_owner_is_out)
{
	const void *me = weir__context();
	struct weir__guard g;
	bool as_owner;
	pthread_t t;
	int i;

	if (!owners_exist())
		return;
	weir__guard_init(&g);
	take_and_drop(&g);
	as_owner = weir__guard_take(&g);
	ck_assert(as_owner);
	ck_assert_int_eq(pthread_create(&t, NULL, break_in, &g), 0);
	while (__atomic_load_n(&g.owner, __ATOMIC_RELAXED) == me)
		sched_yield();
	/* The intruder waits now. Give it time to enter too early. */
	for (i = 0; i < 10000; i++) {
		ck_assert_int_eq(__atomic_load_n(&intruder_is_in, __ATOMIC_RELAXED), 0);
		sched_yield();
	}
	weir__guard_drop(&g, as_owner);
	pthread_join(t, NULL);
	ck_assert_int_eq(intruder_is_in, 1);
}
END_TEST

/* ---- owners that have ended ---- */

static const void *old_owner;

static void *own_and_end(void *arg)
{
	be_a_worker();
	take_and_drop(arg);
	ck_assert(take_and_drop(arg));
	old_owner = weir__context();
	return NULL;
}

static void own_elsewhere(struct weir__guard *g)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, own_and_end, g), 0);
	pthread_join(t, NULL);
}

START_TEST(an_owner_that_has_ended_hinders_nobody)
{
	struct weir__guard g;

	if (!owners_exist())
		return;
	weir__guard_init(&g);
	own_elsewhere(&g);
	ck_assert_ptr_eq(g.owner, old_owner);
	ck_assert(!take_and_drop(&g));
	ck_assert_ptr_eq(g.owner, &weir__guard_shared);
	ck_assert(!take_and_drop(&g));
}
END_TEST

/*
 * A thread becomes the owner if its context has the same address as that of the owner which ended.
 */
static void *be_the_heir(void *arg)
{
	bool as_owner = take_and_drop(arg);

	if (as_owner != (weir__context() == old_owner))
		return (void *)"a thread is the owner exactly if it has the owner's context";
	return as_owner ? NULL : (void *)"";
}

START_TEST(a_thread_in_the_place_of_an_owner_is_the_owner)
{
	struct weir__guard g;
	const char *why;
	void *result;
	pthread_t t;

	if (!owners_exist())
		return;
	weir__guard_init(&g);
	own_elsewhere(&g);
	ck_assert_int_eq(pthread_create(&t, NULL, be_the_heir, &g), 0);
	pthread_join(t, &result);
	why = result;
	ck_assert_msg(!why || !*why, "%s", why);
	if (why)
		testing_skip("the system did not use the first thread's memory again");
	ck_assert(!take_and_drop(&g));
}
END_TEST

/* Runs in the child, with a guard of this thread and one of a thread that does not exist there. */
static int use_in_child(struct weir__guard *mine, struct weir__guard *orphan)
{
	bool as_owner;

	if (!take_and_drop(mine))
		return 1;
	if (take_and_drop(orphan))
		return 2;
	if (orphan->owner != &weir__guard_shared)
		return 3;
	/*
	 * Checked here, because a build without assertions does not notice that the barrier fails.
	 */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
		return 4;
	return weir__guard_try(orphan, &as_owner) ? 0 : 5;
}

START_TEST(a_child_of_fork_uses_guards_that_were_free)
{
	struct weir__guard mine, orphan;
	int status;
	pid_t pid;

	if (!owners_exist())
		return;
	weir__guard_init(&mine);
	take_and_drop(&mine);
	weir__guard_init(&orphan);
	own_elsewhere(&orphan);
	pid = fork();
	if (pid == 0)
		_exit(use_in_child(&mine, &orphan));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_first_worker_becomes_the_owner_until_somebody_else_comes),
		TESTING(without_enable_nobody_owns),
		TESTING(a_thread_that_is_no_worker_does_not_own),
		TESTING(only_so_many_ownerships_end),
		TESTING(nobody_comes_in_before_the_kernel_has_fenced, .rounds = 2),
		TESTING(a_registration_that_was_lost_is_made_again),
		TESTING(an_intruder_waits_until_the_owner_is_out),
		TESTING(an_owner_that_has_ended_hinders_nobody),
		TESTING(a_thread_in_the_place_of_an_owner_is_the_owner),
		TESTING(a_child_of_fork_uses_guards_that_were_free),
		TESTING(nobody_is_inside_with_the_owner, .needs = "2cpus", .rounds = 5),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
