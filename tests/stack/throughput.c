/* SPDX-License-Identifier: MIT */
/*
 * throughput.c: compares the rate of one connection, over a wire that loses frames at random, with
 * a model. A slow loss recovery still delivers all bytes, but this test detects it.
 *
 * The model (RFC 9438 section 5): with a loss rate p and a round trip of r seconds, CUBIC's average
 * window, in segments, is the larger one of
 *
 *	1.054 r^0.75 / p^0.75		(5.1, with C = 0.4 and beta = 0.7)
 *	sqrt(3 / 2) / p^0.5		(Reno, whose window CUBIC follows where it is larger, 4.3)
 *
 * and the throughput is one window per round trip. The model ignores timeouts and short windows,
 * and assumes one way of growth, while CUBIC alternates between both. Therefore the measured rate
 * has to lie within factors of the model. Without loss, the model is the rate of the wire. Time is
 * virtual: the results are the same on every machine.
 */
#include <math.h>
#include <stdio.h>

#include "stack/tcp.h"
#include "tests/stack/faults.h"

#define PORT 80u
#define MSS 1448.0
#define FRAME_BYTES 1514.0

struct measured {
	const char *what;
	const struct weir__tcp_congestion *congestion;
	uint32_t loss_ppm;
	unsigned rtt_ms, seconds;
	uint64_t bytes_per_second;	/* rate of the wire */
	double least, most;		/* bounds, as factors of the model */
};

static const struct measured cases[] = {
	{ "cubic, no loss, 8 Mbit/s", &weir__tcp_cubic, 0, 20, 60, 1000000, 0.9, 1.01 },
	{ "cubic, no loss, 800 Mbit/s", &weir__tcp_cubic, 0, 20, 10, 100000000, 0.8, 1.01 },
	{ "cubic, 0.1 %, 20 ms", &weir__tcp_cubic, 1000, 20, 300, 0, 0.6, 2.0 },
	{ "cubic, 0.1 %, 100 ms", &weir__tcp_cubic, 1000, 100, 300, 0, 0.6, 2.0 },
	{ "cubic, 0.1 %, 300 ms", &weir__tcp_cubic, 1000, 300, 300, 0, 0.6, 2.0 },
	{ "cubic, 1 %, 20 ms", &weir__tcp_cubic, 10000, 20, 300, 0, 0.6, 2.0 },
	{ "cubic, 1 %, 100 ms", &weir__tcp_cubic, 10000, 100, 300, 0, 0.6, 2.0 },
	{ "cubic, 3 %, 20 ms", &weir__tcp_cubic, 30000, 20, 300, 0, 0.4, 2.0 },
	{ "cubic, 3 %, 100 ms", &weir__tcp_cubic, 30000, 100, 300, 0, 0.4, 2.0 },
	{ "reno, 0.1 %, 100 ms", &weir__tcp_reno, 1000, 100, 300, 0, 0.6, 2.0 },
	{ "reno, 1 %, 100 ms", &weir__tcp_reno, 10000, 100, 300, 0, 0.6, 2.0 },
	{ "reno, 3 %, 100 ms", &weir__tcp_reno, 30000, 100, 300, 0, 0.4, 2.0 },
};

static struct wire wire;
static struct wire_faults faults;
static struct weir__tcp_listener *listener;
static struct weir__tcp *sender, *receiver;
static uint64_t received;

static void send_all(void)
{
	static const unsigned char bytes[65536];

	while (weir__tcp_send_copy(sender, bytes, sizeof(bytes), 0) > 0)
		;
}

static void receive_all(void)
{
	struct weir__frame *lent;
	int rc;

	while ((rc = weir__tcp_receive(receiver, 1u << 20, &lent)) > 0) {
		received += (uint64_t)rc;
		weir__netstack_give_back(wire.side[1].net, lent);
	}
}

static void turn(struct wire *w, unsigned side)
{
	unsigned events;

	while (weir__netstack_next_event(w->side[side].net, &events) != NULL)
		if (events & WEIR_NETSTACK_FAILED)
			wire_complain(w, "the connection failed");
	if (side == 1 && receiver == NULL)
		weir__tcp_accept(listener, NULL, &receiver);
	if (side == 0)
		send_all();
	else if (receiver != NULL)
		receive_all();
}

/* The rate of the model, in bytes per second. */
static double model(const struct measured *m)
{
	double p = m->loss_ppm / 1e6, rtt = m->rtt_ms / 1e3, reno, cubic;

	if (m->loss_ppm == 0)
		return (double)m->bytes_per_second * MSS / FRAME_BYTES;
	reno = sqrt(1.5 / p);
	cubic = m->congestion == &weir__tcp_cubic ? 1.054 * pow(rtt / p, 0.75) : 0;
	return (cubic > reno ? cubic : reno) * MSS / rtt;
}

static double measure(const struct measured *m)
{
	const struct weir__tcp_settings settings = { .congestion = m->congestion };
	struct weir__netstack_config cfg = { .tcp_connections = 64, .tcp_time_waits = 16 };
	struct weir__endpoint to = wire_endpoint(1, PORT);
	uint64_t delay_ns = m->rtt_ms * WIRE_MS / 2;

	received = 0;
	receiver = NULL;
	wire_init(&wire, m->loss_ppm + m->rtt_ms, &cfg, turn);
	wire_faults_init(&faults, &wire);
	for (unsigned side = 0; side < 2; side++)
		faults.side[side].condition = (struct wire_condition){ .delay_ns = delay_ns };
	faults.side[0].condition.bytes_per_second = m->bytes_per_second;
	/* The queue holds the bytes of one round trip. */
	faults.side[0].condition.queue_bytes =
		(uint32_t)(m->bytes_per_second * m->rtt_ms / 1000 + 20000);
	if (weir__tcp_listen(wire.side[1].net, &to, 1, &settings, NULL, &listener) < 0 ||
	    weir__tcp_connect(wire.side[0].net, NULL, &to, &settings, NULL, &sender) < 0)
		wire_complain(&wire, "no connection");
	/* The measurement begins after the handshake. */
	wire_run(&wire, wire.now_ns + 2 * WIRE_SEC);
	faults.side[0].condition.loss_ppm = m->loss_ppm;
	received = 0;
	wire_run(&wire, wire.now_ns + m->seconds * WIRE_SEC);
	return (double)received / m->seconds;
}

static bool check(const struct measured *m)
{
	double expected = model(m), rate = measure(m), ratio = rate / expected;
	const struct weir__netstack_counters *count = weir__netstack_counters(wire.side[0].net);
	bool good = ratio >= m->least && ratio <= m->most && wire.why[0] == '\0';

	printf("%-28s %9.0f kB/s, model %9.0f kB/s: %.2f (%.1f .. %.1f); %llu timeouts%s %s\n",
	       m->what, rate / 1e3, expected / 1e3, ratio, m->least, m->most,
	       (unsigned long long)count->tcp_timeouts, good ? "" : " FAILED", wire.why);
	wire_fini(&wire);
	return good;
}

int main(void)
{
	unsigned failed = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		failed += !check(&cases[i]);
	return failed > 0;
}
