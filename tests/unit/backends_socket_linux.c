/* SPDX-License-Identifier: MIT */
/*
 * backends_socket_linux.c: the program that steers connections: that it says of each
 * CPU what the table says, and that the kernel takes it, the longest too.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

/* The file itself: what is looked at is the program, before the kernel has it. */
#include "backends/socket_linux.c" /* NOLINT(bugprone-suspicious-include) */
#include "tests/support/testing.h"

#define LONGEST (2 * 1024 + 4)

/* The instructions that it is made of, behind the load. No assertion that holds: each costs a write. */
static unsigned run(const struct sock_filter *code, unsigned len, unsigned cpu)
{
	for (unsigned at = 1; at < len; at++) {
		if (code[at].code == (BPF_RET | BPF_K))
			return code[at].k;
		if (code[at].code != (BPF_JMP | BPF_JGE | BPF_K))
			ck_abort_msg("instruction %u is %#x", at, code[at].code);
		at += cpu >= code[at].k ? code[at].jt : code[at].jf;
	}
	ck_abort_msg("it runs over its end for CPU %u", cpu);
	return 0;
}

static void same_as_table(const struct weir_steering *steering)
{
	static struct sock_filter code[LONGEST];
	unsigned len = write_program(code, steering);

	ck_assert_uint_le(len, 2 * steering->cpus + 4);
	ck_assert_uint_eq(code[0].code, BPF_LD | BPF_W | BPF_ABS);
	ck_assert_uint_eq(code[0].k, (unsigned)(SKF_AD_OFF + SKF_AD_CPU));
	for (unsigned cpu = 0; cpu < 1100; cpu++) {
		bool listed = cpu < steering->cpus && steering->shard[cpu] != WEIR_STEER_NOBODY;
		unsigned want = listed ? steering->shard[cpu] : NO_SOCKET;

		if (run(code, len, cpu) != want)
			ck_abort_msg("CPU %u goes to %u, not to %u", cpu, run(code, len, cpu),
				     want);
	}
}

START_TEST(the_program_says_what_the_table_says)
{
	static uint16_t shard[1024];
	uint64_t random = 1;

	for (unsigned round = 0; round < 300; round++) {
		struct weir_steering steering = { round < 2 ? round * 1024 : 0, shard };
		unsigned run_len = 1 + round % 40, most = 1 + round % 9;

		for (unsigned cpu = 0; cpu < 1024; cpu++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			if (cpu % run_len == 0)
				shard[cpu] = (uint16_t)((random >> 40) % most);
			else
				shard[cpu] = shard[cpu - 1];
			if ((random >> 33) % 7 == 0)
				shard[cpu] = WEIR_STEER_NOBODY;
		}
		if (round >= 2)
			steering.cpus = 1 + (unsigned)((random >> 20) % 1024);
		same_as_table(&steering);
	}
}
END_TEST

static int listening(struct sockaddr_in *addr, bool first)
{
	socklen_t len = sizeof(*addr);
	int fd = weir__socket_new(AF_INET);

	ck_assert_int_ge(fd, 0);
	if (!first)
		ck_assert_int_eq(weir__socket_share_port(fd), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)addr, len), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)addr, &len), 0);
	return fd;
}

/* As many CPUs as there can be, each another's than its neighbour. */
START_TEST(the_kernel_takes_the_longest)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint16_t shard[1024];
	struct weir_steering steering = { 1024, shard };
	int one = listening(&addr, true), other, rc;

	for (unsigned cpu = 0; cpu < 1024; cpu++)
		shard[cpu] = cpu % 2;
	ck_assert_int_lt(weir__socket_steer(one, &steering), 0);	/* it shares with nobody */
	ck_assert_int_eq(weir__socket_share_port(one), 0);
	other = listening(&addr, false);
	rc = weir__socket_steer(one, &steering);
	if (rc == -ENOPROTOOPT)
		testing_skip("the system does not steer: an emulated one does not");
	else
		ck_assert_int_eq(rc, 0);
	close(one);
	close(other);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_program_says_what_the_table_says),
		TESTING(the_kernel_takes_the_longest),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
