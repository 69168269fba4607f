/* SPDX-License-Identifier: MIT */
/*
 * sweep.c: connections over wires with various faults, for a range of seeds.
 *
 *	sweep [--trace] [FIRST [COUNT]]
 *
 * The seed determines the wire's faults, the instances' settings and the plans of up to eight
 * connections (talk.h). A run ends when nothing is due any more. Then every connection must have
 * ended, the streams must be equal, and nothing may be left: no connection, no charged memory, no
 * block, no timer.
 *
 * A sweep of at least FULL seeds must have seen every state transition of RFC 9293 figure 5, and
 * everything in the table must_happen. `sweep --trace SEED 1` shows a failure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "stack/tcp.h"
#include "tests/stack/talk.h"

#define FULL 200u
#define LISTEN_PORT 80u
#define FIRST_PORT 10000u
#define LIMIT_NS (4 * 3600 * WIRE_SEC)
/* A run has a turn for each frame, for each read, and for some timers. */
#define TURNS_BESIDE_FRAMES 100000u

static struct talks talks;
static bool trace;

/* ---- what has to have been seen ------------------------------------------------------------- */

#define TO(state) (1u << WEIR_TCP_##state)

static const uint16_t transitions[WEIR_TCP_STATES] = {
	[WEIR_TCP_CLOSED] = TO(SYN_SENT) | TO(SYN_RECEIVED),
	[WEIR_TCP_SYN_SENT] = TO(SYN_RECEIVED) | TO(ESTABLISHED) | TO(CLOSED),
	[WEIR_TCP_SYN_RECEIVED] = TO(ESTABLISHED) | TO(CLOSED),
	[WEIR_TCP_ESTABLISHED] = TO(FIN_WAIT_1) | TO(CLOSE_WAIT) | TO(CLOSED),
	[WEIR_TCP_FIN_WAIT_1] = TO(FIN_WAIT_2) | TO(CLOSING) | TO(CLOSED),
	[WEIR_TCP_FIN_WAIT_2] = TO(TIME_WAIT) | TO(CLOSED),
	[WEIR_TCP_CLOSING] = TO(TIME_WAIT) | TO(CLOSED),
	[WEIR_TCP_TIME_WAIT] = TO(CLOSED),
	[WEIR_TCP_CLOSE_WAIT] = TO(LAST_ACK) | TO(CLOSED),
	[WEIR_TCP_LAST_ACK] = TO(CLOSED),
};

static const char *const state_names[WEIR_TCP_STATES] = {
	"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
	"FIN-WAIT-2", "CLOSING", "TIME-WAIT", "CLOSE-WAIT", "LAST-ACK",
};

static const struct {
	size_t offset;
	const char *what;
} must_happen[] = {
#define MUST(member) { offsetof(struct weir__netstack_counters, member), #member }
	MUST(ip_in_checksum_errors),
	MUST(ip_path_mtu_lowered),
	MUST(tcp_in_checksum_errors),
	MUST(tcp_retransmitted_segments),
	MUST(tcp_sack_recoveries),
	MUST(tcp_timeouts),
	MUST(tcp_undone),
	MUST(tcp_loss_probes),
	MUST(tcp_loss_probe_recoveries),
	MUST(tcp_window_probes),
	MUST(tcp_keepalives),
	MUST(tcp_cookies_sent),
	MUST(tcp_cookies_received),
	MUST(tcp_out_of_order),
	MUST(tcp_delayed_acks),
	MUST(tcp_dsacks_old_sent),
	MUST(tcp_dsacks_ofo_sent),
	MUST(tcp_dsacks_received),
	MUST(tcp_dsacks_ofo_received),
	MUST(frames_refused),
	MUST(tcp_aborted_on_data),
	MUST(tcp_resets_received),
	MUST(memory_refused),
};

static struct {
	unsigned runs, failed, ends, complete, errors;
	uint64_t bytes, turns, segments, virtual_ns;
	struct wire_counts wire;
	struct weir__netstack_counters stack;
	uint16_t reached[WEIR_TCP_STATES];
} sum;

static void add_numbers(uint64_t *to, const uint64_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] += from[i];
}

static void add_up(void)
{
	sum.runs++;
	sum.turns += talks.wire.turns;
	sum.segments += talks.faults.watch.segments;
	sum.virtual_ns += talks.wire.now_ns - 1000 * WIRE_SEC;
	for (unsigned side = 0; side < 2; side++) {
		const struct wire_side *s = &talks.wire.side[side];

		add_numbers((uint64_t *)&sum.wire,
			    (const uint64_t *)&talks.faults.side[side].counts, sizeof(sum.wire));
		add_numbers((uint64_t *)&sum.stack,
			    (const uint64_t *)weir__netstack_counters(s->net), sizeof(sum.stack));
		for (unsigned i = 0; i < WEIR_TCP_STATES; i++)
			sum.reached[i] |= weir__tcp_reached(s->net)[i];
		for (unsigned i = 0; i < talks.count; i++) {
			const struct talk_end *end = &talks.talk[i].end[side];

			sum.ends++;
			sum.errors += end->error != 0;
			sum.complete += end->received == talks.talk[i].end[!side].plan.send_bytes;
			sum.bytes += end->received;
		}
	}
}

static unsigned count_missing(void)
{
	unsigned missing = 0;

	for (unsigned from = 0; from < WEIR_TCP_STATES; from++)
		for (unsigned to = 0; to < WEIR_TCP_STATES; to++)
			if ((transitions[from] & ~sum.reached[from]) & 1u << to) {
				fprintf(stderr, "sweep: %s -> %s was not reached\n",
					state_names[from], state_names[to]);
				missing++;
			}
	for (size_t i = 0; i < sizeof(must_happen) / sizeof(must_happen[0]); i++)
		if (*(const uint64_t *)(const void *)((const char *)&sum.stack +
						      must_happen[i].offset) == 0) {
			fprintf(stderr, "sweep: %s did not happen\n", must_happen[i].what);
			missing++;
		}
	return missing;
}

/* ---- the plan of a run ---------------------------------------------------------------------- */

static uint64_t draw(uint64_t below)
{
	return rig_draw(&talks.random, below);
}

/* Picks one of several numbers. */
#define PICK(...) \
	((const uint32_t[]){ __VA_ARGS__ } \
		 [draw(sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))])

static struct wire_condition plan_condition(void)
{
	struct wire_condition condition = {
		.loss_ppm = PICK(0, 0, 1000, 10000, 30000, 80000),
		.reorder_ppm = PICK(0, 0, 10000, 200000),
		.duplicate_ppm = PICK(0, 0, 5000, 100000),
		.corrupt_ppm = PICK(0, 0, 0, 5000, 30000),
		.delay_ns = PICK(10, 200, 5000, 30000, 150000) * 1000ull,
	};

	condition.jitter_ns = draw(3) == 0 ? draw(condition.delay_ns + 1) : 0;
	condition.reorder_ns = draw(2 * condition.delay_ns + WIRE_MS);
	if (draw(4) == 0) {
		condition.outage_ppm = 2000;
		condition.outage_ns = draw(500) * WIRE_MS;
	}
	if (draw(3) == 0) {
		condition.bytes_per_second = PICK(50000, 500000, 5000000);
		condition.queue_bytes = 20000 + (uint32_t)draw(100000);
	}
	if (draw(8) == 0)
		condition.mtu = (uint16_t)PICK(600, 1000, 1300);
	return condition;
}

static struct weir__netstack_config plan_config(void)
{
	struct weir__netstack_config cfg = {
		.mtu = (uint16_t)PICK(576, 1500, 1500, 9000),
		.offloads = PICK(0, 0, WEIR_NETSTACK_TX_CHECKSUM,
				 WEIR_NETSTACK_TX_CHECKSUM | WEIR_NETSTACK_TSO),
		.memory_bytes = PICK(0, 0, 0, 300000),
		.tcp_connections = 64,
		.tcp_time_waits = 16,
		.udp_sockets = 4,
		.neighbours = 8,
		.tcp_send_bytes = PICK(0, 0, 20000),
		.tcp_receive_bytes = PICK(0, 0, 20000),
	};

	return cfg;
}

static enum talk_manner plan_manner(void)
{
	static const enum talk_manner manners[] = {
		TALK_SHUTDOWN, TALK_SHUTDOWN, TALK_SHUTDOWN, TALK_SHUTDOWN,
		TALK_CLOSE,    TALK_CLOSE,    TALK_CLOSE,    TALK_LINGER,
		TALK_LEAVE,    TALK_ABORT,    TALK_DEAF,
	};

	return manners[draw(sizeof(manners) / sizeof(manners[0]))];
}

static struct talk_plan plan_end(uint64_t open_ns)
{
	struct talk_plan plan = {
		.manner = plan_manner(),
		.chunk_bytes = PICK(10, 500, 3000, 30000, 65000),
		.open_ns = open_ns,
		.read_bytes = PICK(500, 3000, 65000),
		.by_reference = draw(2),
		.lent = draw(2),
	};

	plan.send_bytes = (uint32_t)draw(PICK(2, 2000, 20000, 60000));
	if (plan.chunk_bytes < 100 && plan.send_bytes > 3000)
		plan.send_bytes = 3000;
	if (draw(4) == 0)
		plan.read_from_ns = open_ns + draw(20 * WIRE_SEC);
	if (draw(4) == 0)
		plan.read_every_ns = 1 + draw(200 * WIRE_MS);
	plan.stop_ns = open_ns + draw(PICK(1, 400, 10000) * WIRE_MS);
	return plan;
}

static bool breaks_off(enum talk_manner manner)
{
	return manner != TALK_SHUTDOWN && manner != TALK_CLOSE;
}

static void plan_talk(unsigned number, bool excused)
{
	struct talk *talk = &talks.talk[number];
	uint64_t open_ns = talks.wire.now_ns + 1 + draw(PICK(1, 50, 5000) * WIRE_MS);
	unsigned opener = (unsigned)draw(5);

	*talk = (struct talk){ .excused = excused };
	for (unsigned side = 0; side < 2; side++) {
		struct talk_end *end = &talk->end[side];

		end->plan = plan_end(open_ns);
		/* Each side opens two of five connections; both sides open the fifth at once. */
		end->opens = opener == 4 || opener % 2 == side;
		talk->port[side] = (uint16_t)(end->opens ? FIRST_PORT + number : LISTEN_PORT);
		talk->excused |= breaks_off(end->plan.manner);
	}
	for (unsigned side = 0; side < 2; side++)
		talk->end[side].plan.stop_bytes = (uint32_t)draw(
			talk->end[0].plan.send_bytes + talk->end[1].plan.send_bytes + 1);
}

static void listen_on(unsigned side)
{
	struct weir__endpoint local = { .port = LISTEN_PORT };
	int rc = weir__tcp_listen(talks.wire.side[side].net, &local, PICK(8, 8, 8, 1),
				  &talks.settings, NULL, &talks.listener[side]);

	if (rc < 0)
		wire_complain(&talks.wire, "listen: %d", rc);
}

static void plan(uint64_t seed)
{
	struct weir__netstack_config cfg;
	uint32_t refuse_ppm;

	memset(&talks, 0, sizeof(talks));
	talks.random = seed * 2 + 1;
	cfg = plan_config();
	wire_init(&talks.wire, seed, &cfg, talks_turn);
	wire_faults_init(&talks.faults, &talks.wire);
	talks.faults.trace = trace ? stderr : NULL;
	talks.settings = (struct weir__tcp_settings){
		.nodelay = draw(2),
		.keepalive = true,
		.keep_idle_ms = 20000,
		.keep_interval_ms = 5000,
		.congestion = draw(4) == 0 ? &weir__tcp_reno : &weir__tcp_cubic,
	};
	listen_on(0);
	listen_on(1);
	refuse_ppm = PICK(0, 0, 0, 0, 0, 0, 0, 10000);
	for (unsigned side = 0; side < 2; side++) {
		talks.faults.side[side].condition = plan_condition();
		talks.wire.side[side].rig.refuse_ppm = refuse_ppm;
	}
	talks.count = 1 + (unsigned)draw(TALKS_MAX);
	for (unsigned i = 0; i < talks.count; i++)
		plan_talk(i, refuse_ppm != 0);
	talks_init(&talks);
}

/* ---- a run ---------------------------------------------------------------------------------- */

/* With a cookie, data that arrived before the segment which returns it is lost, and so are the
 * options without timestamps. A peer that sends nothing after the handshake is never known. */
static void excuse_cookies(void)
{
	for (unsigned side = 0; side < 2; side++)
		if (weir__netstack_counters(talks.wire.side[side].net)->tcp_cookies_sent > 0)
			for (unsigned i = 0; i < talks.count; i++)
				talks.talk[i].excused = true;
}

static void look_at(bool something_is_due)
{
	const struct wire *wire = &talks.wire;
	uint64_t frames = talks.faults.side[0].counts.frames + talks.faults.side[1].counts.frames;

	excuse_cookies();
	talks_check(&talks);
	if (something_is_due)
		wire_complain(&talks.wire, "a timer is set after the end");
	if (wire->turns > 4 * frames + TURNS_BESIDE_FRAMES)
		wire_complain(&talks.wire, "%" PRIu64 " turns for %" PRIu64 " frames", wire->turns,
			      frames);
	wire_check_empty(&talks.wire, 0);
	wire_check_empty(&talks.wire, 1);
}

static bool run(uint64_t seed)
{
	bool something_is_due;

	plan(seed);
	something_is_due = wire_run(&talks.wire, talks.wire.now_ns + LIMIT_NS);
	look_at(something_is_due);
	add_up();
	talks_fini(&talks);
	wire_fini(&talks.wire);
	if (talks.wire.why[0] == '\0')
		return true;
	fprintf(stderr, "sweep: seed %" PRIu64 ": %s\n", seed, talks.wire.why);
	return false;
}

static void report(void)
{
	printf("%u runs, %u failed: %u ends, %u got everything, %u errors\n", sum.runs,
	       sum.failed, sum.ends, sum.complete, sum.errors);
	printf("%" PRIu64 " bytes in %" PRIu64 " segments, %" PRIu64 " turns, %" PRIu64
	       " s of virtual time\n",
	       sum.bytes, sum.segments, sum.turns, (uint64_t)(sum.virtual_ns / WIRE_SEC));
	printf("frames: %" PRIu64 ", lost %" PRIu64 ", for want of room %" PRIu64
	       ", reordered %" PRIu64 ", duplicated %" PRIu64 ", corrupted %" PRIu64
	       ", too big %" PRIu64 "\n",
	       sum.wire.frames, sum.wire.lost, sum.wire.queue_full, sum.wire.reordered,
	       sum.wire.duplicated, sum.wire.corrupted, sum.wire.too_big);
}

int main(int argc, char **argv)
{
	uint64_t first, count;
	unsigned missing = 0;

	if (argc > 1 && strcmp(argv[1], "--trace") == 0) {
		trace = true;
		argv++;
		argc--;
	}
	first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
	for (uint64_t seed = first; seed < first + count; seed++)
		sum.failed += !run(seed);
	report();
	if (count >= FULL)
		missing = count_missing();
	return sum.failed > 0 || missing > 0;
}
