/* SPDX-License-Identifier: MIT */
/*
 * stack_tcp_wire.c: whole transfers over a wire that loses, reorders and delays frames, by
 * seed: the bytes are equal, both sides end, no memory is left, and loss does not cost more
 * time than it must.
 */
#include "tests/support/testing.h"
#include "tests/unit/stack_pair.h"

#define MS WEIR_NETSTACK_MSEC
#define BULK (1u << 22)

static struct weir__tcp_listener *listener;
static struct weir__tcp *tcp[2];
static unsigned char data[2][BULK], got[BULK];
static uint32_t out[2], in[2], len[2];
static bool shut[2], ended[2];

static uint64_t seed;
static unsigned loss_permille, late_permille, late_ms;

static unsigned dice(unsigned sides)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % sides;
}

static bool rough(unsigned from, const struct pair_segment *segment, uint64_t *delay_ns)
{
	(void)from;
	(void)segment;
	if (dice(1000) < loss_permille)
		return false;
	if (dice(1000) < late_permille)
		*delay_ns += (1 + dice(late_ms)) * MS;
	return true;
}

static void teardown(void)
{
	pair_fini();
}

static void begin(const struct weir__netstack_config *cfg)
{
	for (unsigned side = 0; side < 2; side++)
		for (unsigned i = 0; i < BULK; i++)
			data[side][i] = (unsigned char)(i * 7 + i / 251 + i / 65536 + side);
	memset(out, 0, sizeof(out));
	memset(in, 0, sizeof(in));
	memset(shut, 0, sizeof(shut));
	memset(ended, 0, sizeof(ended));
	pair_init(cfg);
	listener = pair_listen(16);
	tcp[0] = pair_connect();
	for (unsigned i = 0; i < 1000 && !(pair.events[1][1] & WEIR_NETSTACK_ACCEPTABLE); i++)
		pair_run(100 * MS);
	tcp[1] = pair_accept(listener);
}

static void write_more(unsigned side)
{
	int rc;

	if (out[side] < len[side]) {
		rc = pair_send(side, tcp[side], data[side] + out[side], len[side] - out[side]);
		ck_assert(rc > 0 || rc == -EAGAIN);
		out[side] += rc > 0 ? (uint32_t)rc : 0;
	} else if (!shut[side]) {
		pair_begin(side);
		shut[side] = weir__tcp_shutdown(tcp[side], WEIR_TCP_WRITE) == 0;
		pair_end(side);
	}
}

static void read_more(unsigned side)
{
	int rc = pair_receive(side, tcp[side], got, BULK);

	ck_assert(rc >= 0 || rc == -EAGAIN);
	if (rc > 0) {
		ck_assert_uint_le(in[side] + (uint32_t)rc, len[!side]);
		ck_assert_mem_eq(got, data[!side] + in[side], rc);
		in[side] += (uint32_t)rc;
	} else if (rc == 0) {
		ended[side] = true;
	}
}

/* Both sides write all and read all. Returns the time that it took. */
static uint64_t exchange(void)
{
	uint64_t start = pair.wire.now_ns;

	while (!ended[0] || !ended[1]) {
		for (unsigned side = 0; side < 2; side++) {
			write_more(side);
			read_more(side);
		}
		pair_run(MS);
		ck_assert_uint_lt(pair.wire.now_ns - start, 3600 * WEIR_NETSTACK_SEC);
	}
	ck_assert_uint_eq(in[0], len[1]);
	ck_assert_uint_eq(in[1], len[0]);
	return pair.wire.now_ns - start;
}

/* Each seed gives another wire, another MTU, other options and sizes. */
START_TEST(every_byte_arrives)
{
	struct weir__netstack_config cfg = { .mtu = 1500 };
	static const uint16_t mtus[4] = { 576, 1500, 1500, 9216 };

	seed = 1000 + (uint64_t)_i;
	for (unsigned i = 0; i < 10; i++)
		dice(2);
	cfg.mtu = mtus[dice(4)];
	loss_permille = dice(2) * dice(100);
	late_permille = dice(2) * dice(300);
	late_ms = 1 + dice(30);
	len[0] = dice(300000);
	len[1] = dice(2) * dice(300000);
	pair.filter = NULL;
	begin(&cfg);
	pair.delay_ns = (1 + dice(20)) * MS;
	pair.filter = rough;
	exchange();
	pair_close(0, tcp[0]);
	pair_close(1, tcp[1]);
	pair_run(400 * WEIR_NETSTACK_SEC);
	for (unsigned side = 0; side < 2; side++) {
		ck_assert_uint_eq(weir__tcp_orphans(pair.net[side]), 0);
		ck_assert_uint_eq(pair.net[side]->memory.used_bytes, 0);
	}
}
END_TEST

/* The time of a transfer of 4 MiB in one direction, with a round-trip time of 20 ms. */
static uint64_t transfer_time(unsigned loss)
{
	struct weir__netstack_config cfg = { .mtu = 1500 };

	seed = 7;
	loss_permille = loss;
	late_permille = 0;
	late_ms = 1;
	len[0] = BULK;
	len[1] = 0;
	begin(&cfg);
	pair.delay_ns = 10 * MS;
	pair.filter = rough;
	return exchange();
}

/*
 * Without loss, slow start alone: 10, 20, 40 ... segments per round trip, about nine round trips.
 * With loss, the rate of Mathis et al. (1997), 1.2 / sqrt(p) segments per round trip, and the time
 * of slow start; CUBIC is a little faster (RFC 9438 section 4.3). With 1 % that is 4.8 s for 4 MiB.
 */
START_TEST(loss_costs_what_it_must)
{
	static const struct {
		unsigned permille, most_ms;
	} model[] = { { 0, 400 }, { 1, 1600 }, { 10, 5500 }, { 30, 9500 } };
	uint64_t took = transfer_time(model[_i].permille);

	ck_assert_msg(took <= model[_i].most_ms * MS, "loss of %u in 1000: %llu ms",
		      model[_i].permille, (unsigned long long)(took / MS));
}
END_TEST

static struct weir__tcp_info info_of(unsigned side)
{
	struct weir__tcp_info info;

	weir__tcp_info(tcp[side], &info);
	return info;
}

/* The buffers of both sides grow to the bytes of a round trip, at most to the config's limits. */
START_TEST(buffers_follow_the_path)
{
	struct weir__netstack_config cfg = { .mtu = 1500 };
	uint64_t took = transfer_time(0), small;

	ck_assert_uint_gt(info_of(0).snd_buffer, 1u << 20);
	ck_assert_uint_gt(info_of(1).rcv_buffer, 1u << 20);
	ck_assert_uint_le(info_of(0).snd_buffer, 4u << 20);
	ck_assert_uint_le(info_of(1).rcv_buffer, 6u << 20);
	/* An unused buffer does not grow. */
	ck_assert_uint_eq(info_of(0).rcv_buffer, 128u << 10);
	pair_fini();
	cfg.tcp_send_bytes = 200000;
	cfg.tcp_receive_bytes = 200000;
	begin(&cfg);
	pair.delay_ns = 10 * MS;
	small = exchange();
	ck_assert_uint_le(info_of(0).snd_buffer, 200000);
	ck_assert_uint_le(info_of(1).rcv_buffer, 200000);
	ck_assert_uint_gt(small, 2 * took);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(every_byte_arrives, .rounds = 60, .teardown = teardown),
		TESTING(buffers_follow_the_path, .teardown = teardown),
		TESTING(loss_costs_what_it_must, .rounds = 4, .teardown = teardown),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
