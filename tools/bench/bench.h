/* SPDX-License-Identifier: MIT */
/*
 * bench.h: what the files of `weir bench` share.
 *
 *	bench.c		the subcommand: plan, interleaved repetitions, exit code
 *	config.c	options to configuration; which backends, which CPUs
 *	run.c		one repetition: a server process, the load, the figures
 *	child.c		starting and controlling the server process
 *	server.c	the server process: a runtime on the backend under test
 *	tasks.c		what runs in it: echo, sink, relay, timers, spawning
 *	load.c		the load: threads, schedule of the open loop
 *	client.c	one connection of the load, and the proxy's upstream
 *	record.c	the measurements of a thread: histograms, slices of time
 *	stats.c		median, interval, rank test
 *	result.c	repetitions to figures, verdicts, noise floor
 *	env.c		a description of the machine
 *	say.c		messages and warnings
 *	table.c		the report on the terminal, progress
 *	json.c		the report as JSON: docs/bench-json.md
 *
 * The server is a separate process, so that its CPU time, context switches and memory can be
 * measured alone. The load is the same plain epoll loop for every backend.
 */
#ifndef TOOLS_BENCH_BENCH_H
#define TOOLS_BENCH_BENCH_H

#include <sched.h>
#include <stdio.h>

#include "tools/bench/stats.h"
#include "tools/common/place_options.h"
#include "weir/weir.h"

#define BENCH_BACKENDS_MAX 16
#define BENCH_REPS_MAX 99
#define BENCH_WORKERS_MAX 64
#define BENCH_CPUS_TEXT 128	/* the longest --cpus, with its NUL */
#define BENCH_SLICES 50
/* A percentile is reported if at least this many samples are beyond it. */
#define BENCH_TAIL_SAMPLES 100
/* With fewer repetitions a warning says not to quote the figures. */
#define BENCH_REPS_WANTED 7

enum bench_workload {
	BENCH_ECHO,
	BENCH_PINGPONG,
	BENCH_STREAM,
	BENCH_CONNECT,
	BENCH_TIMER,
	BENCH_SPAWN,
	BENCH_PROXY,
	BENCH_WORKLOADS
};

enum bench_transport {
	BENCH_TCP,
	BENCH_UNIX
};

enum bench_arrivals {
	BENCH_POISSON,
	BENCH_CONSTANT
};

struct bench_workload_info {
	const char *name;
	const char *summary;
	bool sockets;			/* it needs a load outside the server */
	bool closed_only, open_only;
	bool closed;			/* a closed loop unless a rate is given */
	uint64_t conns, size, depth, rate; /* defaults; conns: or tasks */
};

struct bench_config {
	const char *backends;
	const char *json;
	const char *pin;
	uint64_t conns, size, depth, rate, time_ns, warmup_ns, reps, workers, seed;
	struct place_options where;	/* for the server's workers */
	unsigned transport, arrivals;
	bool closed, aa, no_progress;
	enum bench_workload workload;
};

/* A backend to be measured. With --aa, the second run of the reference is one too. */
struct bench_backend {
	char name[96];			/* what the runtime is asked for, options and all */
	char label[104];		/* its name in the report */
	char reason[160];		/* why it cannot run; "" if it can */
};

/* The figures of a repetition. NAN: unknown. */
enum bench_metric {
	BENCH_REAL,			/* see docs/bench-json.md, real_time */
	BENCH_CPU,			/* of the server, ns per request */
	BENCH_P50,
	BENCH_P99,
	BENCH_P999,
	BENCH_ITEMS,			/* requests per second */
	BENCH_BYTES,
	BENCH_CLIENT_CPU,
	BENCH_SYSCALLS,
	BENCH_WAITS,
	BENCH_SWITCHES,
	BENCH_BATCH,
	BENCH_MAX,
	BENCH_SERVICE_P50,
	BENCH_SERVICE_P99,
	BENCH_CYCLES,
	BENCH_INSTRUCTIONS,
	BENCH_BUSY,			/* of the generator, a share */
	BENCH_LAG,			/* ns */
	BENCH_ERRORS,
	BENCH_UNANSWERED,
	BENCH_METRICS
};

/* The measurements of one thread. For a thread of the server, they are in shared memory. */
struct bench_record {
	uint64_t begin_ns, end_ns;	/* of the measurement, monotonic */
	uint64_t done;			/* requests that ended during it */
	uint64_t done_late;		/* requests that ended after it */
	uint64_t errors, unanswered;
	uint64_t stuck;			/* requests still in flight when waiting ended */
	uint64_t cpu_ns, idle_ns;	/* of the thread; idle: spinning without events */
	int first_error;
	struct weir_histogram latency;	/* from the scheduled start, if that is during it */
	struct weir_histogram service;	/* the same from the actual start */
	struct weir_histogram lag;	/* between the two starts, if no answer was outstanding */
	struct weir_histogram slices[BENCH_SLICES]; /* latency, by scheduled start */
};

struct bench_slice {
	double p50, p99, max;		/* NAN: too few samples */
};

/* One repetition. */
struct bench_rep {
	double value[BENCH_METRICS];
	uint64_t requests, samples;
	bool client_bound;
	struct weir_histogram latency;
	struct bench_slice slices[BENCH_SLICES];
};

/* The results of a backend, and its comparison with the reference. */
struct bench_row {
	struct bench_rep *reps;		/* in the order in which they ran */
	unsigned reps_len;
	bool client_bound;		/* in at least one repetition */
	struct weir_histogram *latency; /* of all */
	double difference_pct[BENCH_P999 + 1], p_value[BENCH_P999 + 1]; /* NAN: none */
	const char *verdict[BENCH_P999 + 1];
};

struct bench_placement {
	cpu_set_t server, client;
	bool pinned;
	struct weir_place_config workers; /* of the server, on its CPUs */
	unsigned server_cpus, client_cpus, threads;
	char text[64];
};

struct bench_env_entry {
	const char *key;
	char text[128];			/* "": a number */
	double number;
};

/* CPU times of the machine since boot, in seconds. */
struct bench_times {
	double all, busy, steal;
};

#define BENCH_ENV_MAX 24
#define BENCH_WARNINGS_MAX 16

/* The whole run: the configuration, and then the results. */
struct bench {
	struct bench_config cfg;
	int json_fd;			/* a FIFO for the results, kept open; 0: none */
	const struct bench_workload_info *work;
	struct bench_backend backends[BENCH_BACKENDS_MAX];
	unsigned backends_len, reference, twin;	/* twin: backends_len without --aa */
	struct bench_placement place;
	bool rate_calibrated;
	struct bench_row rows[BENCH_BACKENDS_MAX];
	uint8_t order[BENCH_BACKENDS_MAX * BENCH_REPS_MAX];
	unsigned order_len;
	double noise_pct[BENCH_P999 + 1];	/* NAN: not known */
	struct bench_env_entry env[BENCH_ENV_MAX];
	unsigned env_len;
	char warnings[BENCH_WARNINGS_MAX][192];
	unsigned warnings_len;
	double mhz;			/* of a CPU; 0: not known */
	struct bench_times times;	/* at the start */
};

/* ---- say.c ---- */

/* Print one line on stderr, "weir bench: …". */
void bench_say(const char *fmt, ...) WEIR_PRINTF(1, 2);
/* Add a warning to the report; a repeated one is added once. */
void bench_warn(struct bench *b, const char *fmt, ...) WEIR_PRINTF(2, 3);

/* ---- config.c ---- */

extern const struct bench_workload_info bench_workloads[BENCH_WORKLOADS];
/* Read the command line. Returns 0 to go on; otherwise 1 + the exit code to end with. */
int bench_config_parse(int argc, char **argv, struct bench *b);
void bench_config_help(void);

/* ---- run.c ---- */

/*
 * Run one repetition on a backend, or a calibration: a closed loop for run_ns. Returns 0, or an
 * exit code after a message.
 */
int bench_run(struct bench *b, const struct bench_backend *backend, bool closed, uint64_t run_ns,
	      uint64_t seed, struct bench_rep *ret_rep);

/* ---- record.c ---- */

/* The system's monotonic clock, in ns: the same in every process. */
uint64_t bench_now(void);
void bench_record_window(struct bench_record *rec, uint64_t begin_ns, uint64_t end_ns);
/* Count completed requests. */
void bench_record_done(struct bench_record *rec, uint64_t count, uint64_t done_ns);
/* Record a request: its scheduled start, its actual start and its end. */
void bench_record_latency(struct bench_record *rec, uint64_t intended_ns, uint64_t start_ns,
			  uint64_t done_ns);
/* Record a request that did not end in the time that was waited. */
void bench_record_unanswered(struct bench_record *rec, uint64_t intended_ns, uint64_t now_ns);
void bench_record_merge(struct bench_record *rec, const struct bench_record *from);
/*
 * Whether no request ended during the measurement, although some ended after it or none had
 * started. Then the load or the server had no CPU in that time, and nothing was measured.
 */
bool bench_record_is_late(const struct bench_record *rec);

/* ---- result.c ---- */

/* Whether a histogram has enough samples for a percentile. */
bool bench_known(const struct weir_histogram *h, double share);
/* Collect the known values of a metric from the repetitions. Returns their number. */
unsigned bench_values(const struct bench_row *row, enum bench_metric metric, double *ret_values);
/* The median of a metric; NAN if it is known in no repetition. */
double bench_median(const struct bench_row *row, enum bench_metric metric);
/* Merge the repetitions and compare the backends. False: out of memory. */
bool bench_judge(struct bench *b);

/* ---- env.c ---- */

void bench_env_begin(struct bench *b);
void bench_env_end(struct bench *b);

/* ---- table.c ---- */

void bench_table_print(const struct bench *b, FILE *out);
/* Show that repetition i of n begins; i == n: the end. Only on a terminal. */
void bench_progress(const struct bench *b, unsigned i, unsigned n, const char *label);

/* ---- json.c ---- */

/* 0 or a negative errno. */
int bench_json_write(const struct bench *b, const char *path);

#endif
