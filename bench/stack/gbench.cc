/* SPDX-License-Identifier: MIT */
/*
 * gbench.cc: the cost of the TCP/IP stack as a server, over a cable inside the process (cable.h).
 * s/op is the server's CPU time for an operation, and `client` is the client's, both measured with
 * CLOCK_THREAD_CPUTIME_ID around each turn.
 *
 *	udp_echo	an operation is a datagram and its echo, which is the same frame
 *	requests	... a request on one of N connections, and its response
 *	bulk_in		... a full segment received, including its ACK
 *	bulk_out	... a full segment sent, including its ACK
 *	connections	... a connection that is accepted, and closed after the client's close
 *
 * Servers: lent is weir's stack and echoes the lent frame, copy is weir's stack and echoes a copy,
 * lwip is lwIP. The client always uses weir's stack.
 */
#include <benchmark/benchmark.h>

#include <string>

#include "load.h"

using new_server = struct host *(*)();

static struct host *lent()
{
	return weir_server_new(0);
}

static struct host *copy()
{
	return weir_server_new(1);
}

/* Makes steps until the time is over. The server's CPU time is the time of an iteration. */
template <typename Step> static void run(benchmark::State &state, struct load *load, Step step)
{
	struct host *server, *client;
	uint64_t ops = 0, server_ns, client_ns, start;
	int rc;

	if (load == nullptr) {
		state.SkipWithError("it could not be set up");
		return;
	}
	server = load_server(load);
	client = load_client(load);
	server_ns = server->cpu_ns;
	client_ns = client->cpu_ns;
	for (auto _ : state) {
		start = server->cpu_ns;
		rc = step(load);
		if (rc < 0) {
			state.SkipWithError("a step failed");
			break;
		}
		ops += static_cast<uint64_t>(rc);
		state.SetIterationTime(1e-9 * static_cast<double>(server->cpu_ns - start));
	}
	if (ops > 0) {
		double count = static_cast<double>(ops);

		server_ns = server->cpu_ns - server_ns;
		client_ns = client->cpu_ns - client_ns;
		state.counters["s/op"] = 1e-9 * static_cast<double>(server_ns) / count;
		state.counters["client"] = 1e-9 * static_cast<double>(client_ns) / count;
	}
	state.SetItemsProcessed(static_cast<int64_t>(ops));
	load_free(load);
}

/* Makes a load with connections, and uses each of them once before the measurement. */
static struct load *open(new_server server, enum cable_port port, unsigned connections)
{
	struct load *load = load_new(server());

	if (load != nullptr && load_open(load, port, connections) < 0) {
		load_free(load);
		return nullptr;
	}
	return load;
}

static void udp_echo(benchmark::State &state)
{
	run(state, load_new(lent()), [&](struct load *load) {
		return load_datagram(load, static_cast<unsigned>(state.range(0)));
	});
}

static void requests(benchmark::State &state, new_server server)
{
	unsigned connections = static_cast<unsigned>(state.range(0));
	struct load *load = open(server, CABLE_ECHO, connections);

	for (unsigned i = 0; load != nullptr && i < 3 * connections; i += LOAD_BURST)
		load_requests(load, 64);
	run(state, load, [](struct load *l) { return load_requests(l, 64); });
}

static void bulk_in(benchmark::State &state, new_server server)
{
	run(state, open(server, CABLE_DISCARD, 1), load_send);
}

static void bulk_out(benchmark::State &state, new_server server)
{
	run(state, open(server, CABLE_SOURCE, 1), load_receive);
}

static void connections(benchmark::State &state, new_server server)
{
	run(state, load_new(server()), load_connections);
}

static void declare(const char *name, new_server server)
{
	std::string in = std::string("/") + name;

	benchmark::RegisterBenchmark(("requests" + in).c_str(), requests, server)
		->Arg(1)
		->Arg(64)
		->Arg(1000)
		->Arg(10000)
		->UseManualTime();
	if (server == copy)
		return;
	benchmark::RegisterBenchmark(("bulk_in" + in).c_str(), bulk_in, server)->UseManualTime();
	benchmark::RegisterBenchmark(("bulk_out" + in).c_str(), bulk_out, server)->UseManualTime();
	benchmark::RegisterBenchmark(("connections" + in).c_str(), connections, server)
		->UseManualTime();
}

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	benchmark::RegisterBenchmark("udp_echo", udp_echo)
		->Arg(64)
		->Arg(512)
		->Arg(1472)
		->UseManualTime();
	declare("lent", lent);
	declare("copy", copy);
#ifdef WEIR_HAVE_LWIP
	declare("lwip", lwip_server_new);
#endif
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
