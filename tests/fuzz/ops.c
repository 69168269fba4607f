/* SPDX-License-Identifier: MIT */
/*
 * ops.c: programs of operations, decoded from the input, on the simulated backend in simulated
 * time: listen, connect, accept, send, receive, cancel, abort and close in any order that the
 * headers allow.
 *
 * Every program must end; the bytes of each direction must arrive in order and only once; nothing
 * may be left in the world; and the same input must give the same trace again.
 */
#include <stdbool.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/sim/sim_backend.h"
#include "weir/weir.h"

#define STREAMS 6
#define LISTENERS 2
#define JOBS 12
#define CHUNK 700

enum verb {
	ACCEPT,
	CONNECT,
	RECV,
	RECV_ALL,
	LEASE,
	SEND,
	SEND_ALL,
	VERBS
};

struct stream {
	struct weir_tcp *conn;		/* NULL: closed */
	uint64_t tx_seed, rx_seed;	/* patterns of the bytes to send and of those to expect */
	size_t tx, rx;
	bool unknown;			/* the expected bytes are unknown */
	struct job *receiving, *sending;
};

/* A task with one operation; it owns its memory until it is joined. */
struct job {
	struct weir_task *task;		/* NULL: free */
	enum verb verb;
	struct fuzz *fuzz;
	struct stream *stream;		/* for RECV to SEND_ALL */
	struct weir_listener *listener;
	struct weir_tcp *conn;		/* the connection that it uses or has made */
	struct weir_addr to;		/* for CONNECT */
	uint64_t deadline;
	struct weir_accept_future accept;
	struct weir_op op;
	struct weir_timeout_future timeout;
	struct weir_future *future;
	struct weir_lease lease;
	uint8_t buf[CHUNK];
};

struct fuzz {
	const uint8_t *at, *end;
	struct weir_listener *listeners[LISTENERS];
	struct weir_addr addrs[LISTENERS];
	struct stream streams[STREAMS];
	struct job jobs[JOBS];
};

static uint8_t take(struct fuzz *f)
{
	return f->at < f->end ? *f->at++ : 0;
}

static uint8_t pattern(uint64_t seed, size_t at)
{
	return (uint8_t)((seed * 0x9e3779b97f4a7c15ull + at * 0xbf58476d1ce4e5b9ull) >> 37);
}

static void check_bytes(struct stream *s, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len && !s->unknown; i++)
		FUZZ_ASSERT(buf[i] == pattern(s->rx_seed, s->rx + i));
	s->rx += len;
}

/* Derives the seeds of both directions from the two ports of the connection. */
static void stream_name(struct stream *s)
{
	struct weir_addr near, far;

	/* A broken connection has no addresses any more. */
	if (weir_tcp_local_addr(s->conn, &near) < 0 || weir_tcp_peer_addr(s->conn, &far) < 0) {
		s->unknown = true;
		return;
	}
	s->tx_seed = (uint64_t)weir_addr_port(&near) << 16 | weir_addr_port(&far);
	s->rx_seed = (uint64_t)weir_addr_port(&far) << 16 | weir_addr_port(&near);
}

/* ---- jobs ---- */

static int job_fiber(void *arg)
{
	struct job *job = arg;

	return weir_await(job->future);
}

static int job_poll(void *state, struct weir_cx *cx)
{
	return weir_poll((*(struct job **)state)->future, cx);
}

static void job_operation(struct job *job)
{
	struct stream *s = job->stream;
	struct weir_handle *handle = weir_tcp_handle(job->conn);

	switch (job->verb) {
	case RECV:
	case RECV_ALL:
		weir_op_init_recv(&job->op, handle, job->buf, 1 + take(job->fuzz) * 2u,
				  job->verb == RECV_ALL ? WEIR_OP_ALL : 0);
		s->receiving = job;
		break;
	case LEASE:
		weir_op_init_recv_lease(&job->op, handle, &job->lease);
		s->receiving = job;
		break;
	case SEND:
	case SEND_ALL:
		for (size_t i = 0; i < CHUNK; i++)
			job->buf[i] = pattern(s->tx_seed, s->tx + i);
		weir_op_init_send(&job->op, handle, job->buf, 1 + take(job->fuzz) * 2u,
				  job->verb == SEND_ALL ? WEIR_OP_ALL : 0);
		s->sending = job;
		break;
	default:
		break;
	}
}

static void job_future(struct job *job)
{
	job->future = &job->op.future;
	if (job->verb == ACCEPT) {
		weir_accept_init(&job->accept, job->listener, &job->conn);
		job->future = &job->accept.future;
	} else if (job->verb == CONNECT) {
		weir_op_init_connect(&job->op, weir_tcp_handle(job->conn), &job->to.u.sa,
				     job->to.len);
	} else {
		job_operation(job);
	}
	if (job->deadline) {
		weir_timeout_init(&job->timeout, job->future, job->deadline);
		job->future = &job->timeout.future;
	}
}

static void job_start(struct job *job, uint8_t how)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	job->deadline = how & 2 ? weir_deadline_in((how >> 2) * 20 * WEIR_USEC) : 0;
	job_future(job);
	if (how & 1) {
		cfg.fn = job_fiber;
		cfg.arg = job;
	} else {
		cfg.poll = job_poll;
		cfg.state = &job;
		cfg.state_bytes = sizeof(job);
	}
	FUZZ_ASSERT(weir_task_spawn(NULL, &cfg, &job->task) == 0);
	/* Lets the job start its operation: a stream may only be closed when that is in flight. */
	weir_yield();
}

static struct stream *free_stream(struct fuzz *f)
{
	for (int i = 0; i < STREAMS; i++)
		if (!f->streams[i].conn && !f->streams[i].receiving && !f->streams[i].sending)
			return &f->streams[i];
	return NULL;
}

static void keep_stream(struct job *job, int result)
{
	struct stream *s = result == 0 && job->conn ? free_stream(job->fuzz) : NULL;

	if (!s) {
		weir_tcp_close(job->conn);
		return;
	}
	memset(s, 0, sizeof(*s));
	s->conn = job->conn;
	stream_name(s);
}

static void moved_bytes(struct job *job, int result)
{
	struct stream *s = job->stream;
	size_t done = job->op.u.io.done;

	if (job->verb == LEASE) {
		if (job->lease.data)
			check_bytes(s, job->lease.data, job->lease.len);
		FUZZ_ASSERT(result <= 0 || (job->lease.data && (int)job->lease.len == result));
		/* If a lease arrived while the task was aborted, it was returned unread. */
		if (result < 0 && job->op.res > 0 && !job->lease.data)
			s->unknown = true;
		weir_lease_return(&job->lease);
	} else if (job->verb == RECV || job->verb == RECV_ALL) {
		check_bytes(s, job->buf, done);
	} else {
		s->tx += done;
	}
	if (result > 0 && job->verb != LEASE)
		FUZZ_ASSERT((size_t)result == done);
	if (s->receiving == job)
		s->receiving = NULL;
	if (s->sending == job)
		s->sending = NULL;
}

static void job_join(struct job *job)
{
	int result;

	FUZZ_ASSERT(weir_task_join(job->task, &result) == 0);
	job->task = NULL;
	if (job->verb == ACCEPT) {
		weir_accept_fini(&job->accept);
		keep_stream(job, result);
	} else if (job->verb == CONNECT) {
		keep_stream(job, result);
	} else {
		moved_bytes(job, result);
	}
}

static struct job *free_job(struct fuzz *f)
{
	for (int i = 0; i < JOBS; i++)
		if (!f->jobs[i].task) {
			memset(&f->jobs[i], 0, sizeof(f->jobs[i]));
			f->jobs[i].fuzz = f;
			return &f->jobs[i];
		}
	return NULL;
}

/* ---- instructions ---- */

static void do_listen(struct fuzz *f, uint8_t which)
{
	struct weir_listener **slot = &f->listeners[which % LISTENERS];

	if (*slot) {
		weir_listener_close(*slot);
		*slot = NULL;
	} else if (weir_listener_open("127.0.0.1:0", NULL, slot) == 0) {
		FUZZ_ASSERT(weir_listener_addr(*slot, &f->addrs[which % LISTENERS]) == 0);
	} else {
		*slot = NULL;
	}
}

static void do_job(struct fuzz *f, enum verb verb, uint8_t which)
{
	struct job *job = free_job(f);
	struct stream *s = &f->streams[which % STREAMS];
	bool receives = verb == RECV || verb == RECV_ALL || verb == LEASE;

	if (!job)
		return;
	job->verb = verb;
	if (verb == ACCEPT) {
		job->listener = f->listeners[which % LISTENERS];
		if (!job->listener)
			return;
	} else if (verb == CONNECT) {
		job->to = f->addrs[which % LISTENERS];
		if (!job->to.len || weir_tcp_new(AF_INET, &job->conn) < 0)
			return;
	} else {
		job->stream = s;
		job->conn = s->conn;
		if (!s->conn || (receives ? s->receiving : s->sending))
			return;
	}
	job_start(job, take(f));
}

static void do_end(struct fuzz *f, uint8_t which)
{
	struct stream *s = &f->streams[which % STREAMS];

	if (!s->conn)
		return;
	if (which & 64) {
		weir_tcp_shutdown(s->conn, which & 128 ? SHUT_WR : SHUT_RDWR);
		return;
	}
	if (which & 128)
		weir_tcp_reset(s->conn);
	else
		weir_tcp_close(s->conn);
	s->conn = NULL;
}

static void do_try(struct fuzz *f, uint8_t which)
{
	struct stream *s = &f->streams[which % STREAMS];
	uint8_t buf[CHUNK];
	int rc;

	if (!s->conn || s->receiving || s->sending)
		return;
	if (which & 128) {
		for (size_t i = 0; i < CHUNK; i++)
			buf[i] = pattern(s->tx_seed, s->tx + i);
		rc = weir_tcp_send_try(s->conn, buf, CHUNK);
		s->tx += rc > 0 ? (size_t)rc : 0;
	} else {
		rc = weir_tcp_recv_try(s->conn, buf, CHUNK);
		check_bytes(s, buf, rc > 0 ? (size_t)rc : 0);
	}
}

static void step(struct fuzz *f)
{
	uint8_t code = take(f), arg = take(f);
	struct job *job = &f->jobs[arg % JOBS];

	switch (code % 14) {
	case 0:
		do_listen(f, arg);
		break;
	case 8:
		do_end(f, arg);
		break;
	case 9:
		do_try(f, arg);
		break;
	case 10:
		if (job->task)
			weir_task_abort(job->task);
		break;
	case 11:
		if (job->task && weir_task_is_complete(job->task))
			job_join(job);
		break;
	case 12:
		weir_sleep(arg * 20 * WEIR_USEC);
		break;
	case 13:
		weir_yield();
		break;
	default:
		do_job(f, (enum verb)(code % 14 - 1), arg);
		break;
	}
}

static int run(void *arg)
{
	struct fuzz *f = arg;

	while (f->at < f->end)
		step(f);
	for (int i = 0; i < JOBS; i++)
		weir_task_abort(f->jobs[i].task);
	for (int i = 0; i < JOBS; i++)
		if (f->jobs[i].task)
			job_join(&f->jobs[i]);
	for (int i = 0; i < STREAMS; i++)
		weir_tcp_close(f->streams[i].conn);
	for (int i = 0; i < LISTENERS; i++)
		weir_listener_close(f->listeners[i]);
	return 0;
}

/* ---- a run ---- */

static void world_config(struct weir_sim_config *cfg, const uint8_t *data)
{
	cfg->seed = data[0];
	cfg->delay_max_ns = (1 + data[1] % 64) * 2 * WEIR_USEC;
	cfg->reorder_permille = data[2] % 4 * 100;
	cfg->short_permille = data[2] / 4 % 4 * 200;
	cfg->inline_permille = data[2] / 16 % 4 * 200;
	cfg->cancel_lose_permille = data[2] / 64 * 300;
	cfg->buffer_bytes = 64u << data[3] % 5;
	cfg->lease_blocks = 1 + data[3] / 8 % 8;
	cfg->backlog = 1 + data[3] / 64;
	if (data[1] & 128)
		for (int i = 0; i < WEIR_OP_CODES; i++)
			cfg->fail_permille[i] = 50;
}

static uint64_t run_once(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_sim_config sim = WEIR_SIM_CONFIG_INIT;
	struct weir_sim_report report;
	struct weir_sim_world *world;
	struct weir_rt *rt;

	memset(&f, 0, sizeof(f));
	f.at = data + 4;
	f.end = data + size;
	world_config(&sim, data);
	FUZZ_ASSERT(weir_sim_world_new(&sim, &world) == 0);
	FUZZ_ASSERT(weir_clock_new(&cfg.clock) == 0);
	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.backend_ops = &weir_sim_backend;
	cfg.backend_config = world;
	cfg.no_signal = true;
	FUZZ_ASSERT(weir_rt_new(&cfg, &rt) == 0);
	FUZZ_ASSERT(weir_rt_block_on(rt, run, &f) == 0);
	FUZZ_ASSERT(weir_rt_shutdown(rt, WEIR_FOREVER) == 0);
	weir_rt_free(rt);
	weir_clock_free(cfg.clock);
	weir_sim_world_report(world, &report);
	weir_sim_world_free(world);
	FUZZ_ASSERT(report.violations == 0);
	FUZZ_ASSERT(report.streams == 0 && report.listeners == 0);
	FUZZ_ASSERT(report.leases == 0 && report.ops == 0);
	return report.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t hash;

	if (size < 6 || size > 1024)
		return 0;
	hash = run_once(data, size);
	if (data[0] % 8 == 0)
		FUZZ_ASSERT(run_once(data, size) == hash);
	return 0;
}
