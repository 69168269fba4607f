/* SPDX-License-Identifier: MIT */
/*
 * record.c: the measurements of a thread of the load, or of a server's worker if there is
 * no load. The rate counts requests that ended during the measurement. The latency is
 * that of requests that were scheduled to start during it, however late they ended: so a
 * stall is visible in every request that it delayed.
 */
#include <string.h>
#include <time.h>

#include "tools/bench/bench.h"

uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

void bench_record_window(struct bench_record *rec, uint64_t begin_ns, uint64_t end_ns)
{
	memset(rec, 0, sizeof(*rec));
	rec->begin_ns = begin_ns;
	rec->end_ns = end_ns;
}

static bool within(const struct bench_record *rec, uint64_t ns)
{
	return ns >= rec->begin_ns && ns < rec->end_ns;
}

static struct weir_histogram *slice_of(struct bench_record *rec, uint64_t ns)
{
	return &rec->slices[(ns - rec->begin_ns) * BENCH_SLICES / (rec->end_ns - rec->begin_ns)];
}

static uint64_t since(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

void bench_record_done(struct bench_record *rec, uint64_t count, uint64_t done_ns)
{
	if (within(rec, done_ns))
		rec->done += count;
	else if (done_ns >= rec->end_ns)
		rec->done_late += count;
}

void bench_record_latency(struct bench_record *rec, uint64_t intended_ns, uint64_t start_ns,
			  uint64_t done_ns)
{
	uint64_t latency = since(intended_ns, done_ns);

	if (!within(rec, intended_ns))
		return;
	weir_histogram_add(&rec->latency, latency);
	weir_histogram_add(slice_of(rec, intended_ns), latency);
	weir_histogram_add(&rec->service, since(start_ns, done_ns));
}

void bench_record_unanswered(struct bench_record *rec, uint64_t intended_ns, uint64_t now_ns)
{
	if (!within(rec, intended_ns))
		return;
	rec->unanswered++;
	weir_histogram_add(&rec->latency, since(intended_ns, now_ns));
	weir_histogram_add(slice_of(rec, intended_ns), since(intended_ns, now_ns));
}

void bench_record_merge(struct bench_record *rec, const struct bench_record *from)
{
	rec->done += from->done;
	rec->done_late += from->done_late;
	rec->errors += from->errors;
	rec->unanswered += from->unanswered;
	rec->stuck += from->stuck;
	rec->cpu_ns += from->cpu_ns;
	rec->idle_ns += from->idle_ns;
	if (rec->first_error == 0)
		rec->first_error = from->first_error;
	weir_histogram_merge(&rec->latency, &from->latency);
	weir_histogram_merge(&rec->service, &from->service);
	weir_histogram_merge(&rec->lag, &from->lag);
	for (unsigned i = 0; i < BENCH_SLICES; i++)
		weir_histogram_merge(&rec->slices[i], &from->slices[i]);
}

bool bench_record_is_late(const struct bench_record *rec)
{
	return rec->done == 0 && rec->errors == 0 && (rec->done_late > 0 || rec->stuck == 0);
}
