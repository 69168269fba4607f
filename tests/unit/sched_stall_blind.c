/* SPDX-License-Identifier: MIT */
/*
 * sched_stall_blind.c: if the unwinder cannot be loaded, stalls are reported without frames. The
 * signal handler then does not try to make a backtrace, because each try would allocate. The linker
 * replaces weir__os_backtrace by __wrap_weir__os_backtrace.
 */
#include "tests/unit/runtimes.h"

int __wrap_weir__os_backtrace(void **frames, int max);

static unsigned asked;

int __wrap_weir__os_backtrace(void **frames UNUSED, int max UNUSED)
{
	add(&asked, 1);
	return 0;
}

static int stall_once(void *arg UNUSED)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;

	while (m.stalls == 0)
		ck_assert_int_eq(weir_metrics_worker(weir_rt_current(), 0, &m), 0);
	return 0;
}

static void on_stall(void *arg, const struct weir_stall *stall)
{
	*(struct weir_stall *)arg = *stall;
}

START_TEST(without_an_unwinder_a_stall_is_told_without_frames)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_stall told = { .frames_len = 99 };

	cfg.stall_ns = 10 * WEIR_MSEC;
	cfg.on_stall = on_stall;
	cfg.hook_arg = &told;
	runtime_run(&cfg, stall_once, NULL);
	ck_assert_uint_eq(told.number, 1);
	ck_assert_uint_eq(told.frames_len, 0);
	ck_assert_uint_eq(told.over, 1);
	/* Called once, when the runtime was made, to find out; not by the handler. */
	ck_assert_uint_eq(get(&asked), 1);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(without_an_unwinder_a_stall_is_told_without_frames, .rounds = ON_FOUR),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
