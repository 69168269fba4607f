/* SPDX-License-Identifier: MIT */
/*
 * backends_socket_linux.c: the BPF program that steers connections to shards. It must map each CPU
 * as the table says and distribute the others by weight, and the kernel must accept it, even the
 * longest.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

/* Includes the file itself, to test the program before the kernel gets it. */
#include "backends/socket_linux.c" /* NOLINT(bugprone-suspicious-include) */
#include "tests/support/testing.h"

#define LONGEST (3 + 2 * 1024 + 2 * 9)

/* Interprets the program. It asserts only on errors, because every assertion costs a write. */
static unsigned run(const struct sock_filter *code, unsigned len, unsigned cpu, uint32_t random)
{
	uint32_t a = 0;

	for (unsigned at = 0; at < len; at++)
		switch (code[at].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = code[at].k == (unsigned)(SKF_AD_OFF + SKF_AD_CPU) ? cpu : random;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += a >= code[at].k ? code[at].jt : code[at].jf;
			break;
		case BPF_JMP | BPF_JA:
			at += code[at].k;
			break;
		case BPF_RET | BPF_K:
			return code[at].k;
		default:
			ck_abort_msg("instruction %u is %#x", at, code[at].code);
		}
	ck_abort_msg("it runs over its end for CPU %u", cpu);
	return 0;
}

static void same_as_table(const struct weir_steering *steering)
{
	static struct sock_filter code[LONGEST];
	unsigned len = write_program(code, steering);

	ck_assert_uint_le(len, longest_program(steering));
	ck_assert_uint_le(len, LONGEST);
	for (unsigned cpu = 0; cpu < 1100; cpu++) {
		bool listed = cpu < steering->cpus && steering->shard[cpu] != WEIR_STEER_NOBODY;
		unsigned want = listed ? steering->shard[cpu] : steering->shards - 1;
		unsigned got = run(code, len, cpu, UINT32_MAX);

		if (got != want)
			ck_abort_msg("CPU %u goes to %u, not to %u", cpu, got, want);
	}
}

START_TEST(the_program_says_what_the_table_says)
{
	static uint16_t shard[1024];
	static const uint16_t weight[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	uint64_t random = 1;

	for (unsigned round = 0; round < 300; round++) {
		unsigned run_len = 1 + round % 40, most = 1 + round % 9;
		struct weir_steering steering = { round < 2 ? round * 1024 : 0, shard, most,
						  weight };

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

/* Over evenly spread random numbers, each shard gets its share. */
START_TEST(the_lot_gives_each_shard_its_weight)
{
	static const uint16_t weights[][3] = {
		{ 1, 1, 1 }, { 3, 1, 4 }, { 1, 16, 1 }, { 1, 7, 255 }
	};
	const uint16_t *weight = weights[_i];
	const uint16_t nobody = WEIR_STEER_NOBODY;
	unsigned got[3] = { 0 }, all = 0u + weight[0] + weight[1] + weight[2];
	struct sock_filter code[11];
	struct weir_steering steering = { _i % 2, &nobody, 3, weight };
	unsigned len = write_program(code, &steering);

	ck_assert_uint_le(len, longest_program(&steering));
	for (unsigned i = 0; i < 1000 * all; i++) {
		uint32_t random = (uint32_t)(((2ull * i + 1) << 31) / (1000 * all));
		unsigned shard = run(code, len, 0, random);

		ck_assert_uint_lt(shard, 3);
		got[shard]++;
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(got[i], 1000u * weight[i]);
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

/* The largest number of CPUs, with neighbours in different shards. */
START_TEST(the_kernel_takes_the_longest)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint16_t shard[1024], weight[256];
	struct weir_steering steering = { 1024, shard, 256, weight };
	int one = listening(&addr, true), other, rc;

	for (unsigned cpu = 0; cpu < 1024; cpu++)
		shard[cpu] = cpu % 2;
	for (unsigned i = 0; i < 256; i++)
		weight[i] = 1;
	ck_assert_int_lt(weir__socket_steer(one, &steering), 0);	/* it is not in a group */
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
		TESTING(the_lot_gives_each_shard_its_weight, .rounds = 4),
		TESTING(the_kernel_takes_the_longest),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
