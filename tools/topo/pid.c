/* SPDX-License-Identifier: MIT */
/* pid.c: see pid.h. A thread that ends while it is being read is left out. */
#include "tools/topo/pid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/sysfile.h"

#define NODES_MAX 1024
#define SCHED_EXT_POLICY 7

/* ---- lines ---- */

/*
 * The name may contain any character, also brackets and newlines, so the fields after its last
 * bracket are counted, from 3.
 */
bool topo_parse_stat(const char *line, struct topo_thread *ret_thread)
{
	const char *open = strchr(line, '('), *close = strrchr(line, ')'), *at;
	struct topo_thread found = { .cpu = -1, .worker = -1 };
	unsigned field = 3;
	size_t len;

	if (!open || !close || close < open)
		return false;
	len = (size_t)(close - open - 1);
	len = len < sizeof(found.name) ? len : sizeof(found.name) - 1;
	memcpy(found.name, open + 1, len);
	for (at = close + 1 + strspn(close + 1, " "); *at; at += strspn(at, " "), field++) {
		unsigned long long value = strtoull(at, NULL, 10);

		if (field == 14 || field == 15)
			found.ticks += value;
		else if (field == 39)
			found.cpu = value < WEIR_CPUS_MAX ? (int)value : -1;
		else if (field == 41)
			found.policy = value <= SCHED_EXT_POLICY ? (unsigned)value : 0;
		at += strcspn(at, " ");
	}
	if (field <= 39)
		return false;
	*ret_thread = found;
	return true;
}

int topo_parse_worker(const char *thread, char *ret_runtime, size_t len)
{
	const char *dash = strrchr(thread, '-');
	unsigned long worker;
	char *end;

	if (!dash || dash == thread || dash[1] != 'w' || dash[2] < '0' || dash[2] > '9')
		return -1;
	worker = strtoul(dash + 2, &end, 10);
	if (*end || worker > 255)
		return -1;
	snprintf(ret_runtime, len, "%.*s", (int)(dash - thread), thread);
	return (int)worker;
}

/* Parse a line such as "55d0… default file=/bin/cat mapped=2 N0=2 kernelpagesize_kB=4". */
void topo_add_numa_line(const char *line, struct topo_node_memory *memory, unsigned len)
{
	const char *size = strstr(line, " kernelpagesize_kB=");
	bool file = strstr(line, " file=") != NULL;
	unsigned long long kib = size ? strtoull(size + 19, NULL, 10) : 4, pages;
	unsigned long node;
	char *end;

	if (kib == 0 || kib > 1ull << 30)
		return;
	for (const char *at = line; (at = strstr(at, " N")); at++) {
		node = strtoul(at + 2, &end, 10);
		if (end == at + 2 || *end != '=' || node >= len)
			continue;
		pages = strtoull(end + 1, NULL, 10);
		if (pages > (1ull << 40) / kib)
			continue;
		memory[node].bytes += pages * kib << 10;
		memory[node].file_bytes += file ? pages * kib << 10 : 0;
	}
}

/* ---- a process ---- */

static bool read_thread(const char *root, int pid, const char *tid, struct topo_thread *ret_thread)
{
	char path[96], line[1024], allowed[4096] = "";

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", pid, tid);
	if (!sysfile_text(root, path, line, sizeof(line)) || !topo_parse_stat(line, ret_thread))
		return false;
	ret_thread->tid = atoi(tid);
	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, tid);
	sysfile_field(root, path, "Cpus_allowed_list", allowed, sizeof(allowed));
	if (weir_cpuset_parse(allowed, &ret_thread->allowed, NULL) < 0)
		memset(&ret_thread->allowed, 0, sizeof(ret_thread->allowed));
	ret_thread->worker = topo_parse_worker(ret_thread->name, ret_thread->runtime,
					       sizeof(ret_thread->runtime));
	return true;
}

static int read_threads(const char *root, struct topo_process *process)
{
	char path[64], (*names)[SYSFILE_NAME];
	unsigned len;

	snprintf(path, sizeof(path), "/proc/%d/task", process->pid);
	len = sysfile_entries(root, path, "", &names);
	process->threads = len ? calloc(len, sizeof(*process->threads)) : NULL;
	for (unsigned i = 0; process->threads && i < len; i++) {
		struct topo_thread *thread = &process->threads[process->threads_len];

		if (!read_thread(root, process->pid, names[i], thread))
			continue;
		process->threads_len++;
		process->workers_len += thread->worker >= 0;
	}
	free(names);
	if (!process->threads_len)
		return len && !process->threads ? -ENOMEM : -ESRCH;
	memcpy(process->name, process->threads[0].name, sizeof(process->name));
	return 0;
}

static int read_memory(const char *root, struct topo_process *process)
{
	char path[64], *line = NULL;
	size_t room = 0;
	FILE *file;
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", process->pid);
	process->memory = calloc(NODES_MAX, sizeof(*process->memory));
	if (!process->memory)
		return -ENOMEM;
	file = sysfile_open(root, path);
	if (!file)
		return -errno;
	errno = 0;
	while (getline(&line, &room, file) >= 0)
		topo_add_numa_line(line, process->memory, NODES_MAX);
	rc = ferror(file) ? -errno : 0;
	free(line);
	fclose(file);
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (process->memory[i].bytes)
			process->memory_len = i + 1;
	return rc;
}

int topo_process_read(const char *root, int pid, struct topo_process *ret_process)
{
	struct topo_process process = { .pid = pid };
	int rc = read_threads(root, &process);

	if (rc == 0)
		process.memory_error = read_memory(root, &process);
	if (rc == 0)
		*ret_process = process;
	else
		topo_process_free(&process);
	return rc;
}

void topo_process_free(struct topo_process *process)
{
	free(process->threads);
	free(process->memory);
	*process = (struct topo_process){ 0 };
}

const struct weir_cpuset *topo_thread_planned(const struct topo_process *process,
					      const struct topo_thread *thread,
					      const struct weir_plan *plan)
{
	const struct weir_plan_worker *worker = &plan->workers[thread->worker];

	return worker->bound ? &worker->cpus : &process->threads[0].allowed;
}

enum topo_verdict topo_thread_verdict(const struct topo_process *process,
				      const struct topo_thread *thread,
				      const struct weir_plan *plan)
{
	const struct weir_cpuset *planned;

	if (thread->worker < 0 || (unsigned)thread->worker >= plan->workers_len)
		return TOPO_NOT_PLANNED;
	planned = topo_thread_planned(process, thread, plan);
	if (memcmp(planned, &thread->allowed, sizeof(*planned)) != 0)
		return TOPO_OTHER_BINDING;
	return thread->cpu >= 0 && !weir_cpuset_has(planned, (unsigned)thread->cpu)
		       ? TOPO_ELSEWHERE
		       : TOPO_AS_PLANNED;
}
