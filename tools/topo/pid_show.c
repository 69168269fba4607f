/* SPDX-License-Identifier: MIT */
/* pid_show.c: prints a process as text and as JSON; see pid.h. */
#include <unistd.h>

#include "tools/common/json_out.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"
#include "tools/topo/pid.h"
#include "tools/topo/topo.h"

#define SET_LEN 1024

static const char *const policies[] = { "other", "fifo", "rr",	     "batch",
					"4",	 "idle", "deadline", "ext" };
static const char *const verdicts[] = {
	[TOPO_AS_PLANNED] = "as planned",
	[TOPO_OTHER_BINDING] = "bound differently",
	[TOPO_ELSEWHERE] = "elsewhere",
	[TOPO_NOT_PLANNED] = "not planned",
};

static double seconds(const struct topo_thread *thread)
{
	long rate = sysconf(_SC_CLK_TCK);

	return (double)thread->ticks / (double)(rate > 0 ? rate : 100);
}

/* ---- text ---- */

static void print_memory(const struct topo_process *process, FILE *out)
{
	char all[QUANTITY_LEN], files[QUANTITY_LEN];

	if (process->memory_error)
		text_entry(out, "memory", "cannot be read: %s; only the same user or root may",
			   weir_strerror(process->memory_error));
	for (unsigned i = 0; i < process->memory_len; i++) {
		const struct topo_node_memory *memory = &process->memory[i];

		if (!memory->bytes)
			continue;
		quantity_format(QUANTITY_BYTES, (double)memory->bytes, 3, all, sizeof(all));
		quantity_format(QUANTITY_BYTES, (double)memory->file_bytes, 3, files,
				sizeof(files));
		text_entry(out, "memory", "node %u: %s, of which %s are mapped files", i, all,
			   files);
	}
}

static void print_thread(const struct topo_process *process, const struct topo_thread *thread,
			 const struct weir_plan *plan, FILE *out)
{
	enum topo_verdict verdict = topo_thread_verdict(process, thread, plan);
	char allowed[SET_LEN], planned[SET_LEN] = "", cpu[16] = "?", line[2 * SET_LEN + 64];
	char name[sizeof(thread->name)];

	weir_cpuset_print(&thread->allowed, allowed, sizeof(allowed));
	if (thread->cpu >= 0)
		snprintf(cpu, sizeof(cpu), "%d", thread->cpu);
	if (verdict == TOPO_OTHER_BINDING || verdict == TOPO_ELSEWHERE)
		weir_cpuset_print(topo_thread_planned(process, thread, plan), planned,
				  sizeof(planned));
	text_plain(name, sizeof(name), thread->name);
	fprintf(out, "%7d  %-15s  %-8s %5s  %7.2f s  ", thread->tid, name,
		policies[thread->policy], cpu, seconds(thread));
	snprintf(line, sizeof(line), "%-10s %s%s", allowed,
		 *planned	       ? "planned: "
		 : thread->worker >= 0 ? verdicts[verdict]
				       : "",
		 planned);
	text_rest(out, 52, line);
}

static void print_plan(const struct topo_process *process, const struct weir_plan *plan, FILE *out)
{
	unsigned strays = 0;

	if (!process->workers_len) {
		text_entry(out, "workers", "none: no thread has a name such as NAME-w0");
		return;
	}
	for (unsigned i = 0; i < process->threads_len; i++)
		strays +=
			process->threads[i].worker >= 0 &&
			topo_thread_verdict(process, &process->threads[i], plan) != TOPO_AS_PLANNED;
	text_entry(out, "workers",
		   "%u; the plan has %u (policy %s, bind %s); %u run as planned, %u do not",
		   process->workers_len, plan->workers_len, weir_place_policy_name(plan->policy),
		   topo_bind_name(plan->bind), process->workers_len - strays, strays);
}

void topo_print_process_text(const struct topo_process *process, const struct weir_plan *plan,
			     FILE *out)
{
	char name[sizeof(process->name)];

	text_plain(name, sizeof(name), process->name);
	text_entry(out, "process", "%d (%s): %u thread%s", process->pid, name,
		   process->threads_len, process->threads_len == 1 ? "" : "s");
	print_memory(process, out);
	print_plan(process, plan, out);
	fprintf(out, "\n%7s  %-15s  %-8s %5s  %9s  %-10s %s\n", "tid", "thread", "policy", "on P#",
		"CPU time", "may run on", "worker");
	for (unsigned i = 0; i < process->threads_len; i++)
		print_thread(process, &process->threads[i], plan, out);
}

/* ---- JSON ---- */

static void put_thread(struct json_out *j, const struct topo_process *process,
		       const struct topo_thread *thread,
		       const struct weir_plan *plan)
{
	char set[SET_LEN * 4];

	json_out_open_line(j, NULL, '{');
	json_out_number(j, "tid", thread->tid);
	json_out_text(j, "name", thread->name);
	json_out_text(j, "policy", policies[thread->policy]);
	if (thread->cpu >= 0)
		json_out_number(j, "cpu", thread->cpu);
	json_out_number(j, "cpu_s", seconds(thread));
	weir_cpuset_print(&thread->allowed, set, sizeof(set));
	json_out_text(j, "allowed", set);
	if (thread->worker >= 0) {
		json_out_text(j, "runtime", thread->runtime);
		json_out_number(j, "worker", thread->worker);
		json_out_text(j, "verdict", verdicts[topo_thread_verdict(process, thread, plan)]);
	}
	json_out_close_line(j, '}');
}

void topo_print_process_json(const struct topo_process *process, const struct weir_plan *plan,
			     FILE *out)
{
	struct json_out j = JSON_OUT_INIT(out);

	json_out_open(&j, NULL, '{');
	json_out_text(&j, "weir", weir_version());
	json_out_number(&j, "pid", process->pid);
	json_out_text(&j, "name", process->name);
	json_out_number(&j, "workers", process->workers_len);
	json_out_number(&j, "workers_planned", plan->workers_len);
	json_out_text(&j, "memory_error",
		      process->memory_error ? weir_strerror(process->memory_error) : "");
	json_out_open(&j, "memory", '[');
	for (unsigned i = 0; i < process->memory_len; i++) {
		json_out_open_line(&j, NULL, '{');
		json_out_number(&j, "node", i);
		json_out_number(&j, "bytes", (double)process->memory[i].bytes);
		json_out_number(&j, "file_bytes", (double)process->memory[i].file_bytes);
		json_out_close_line(&j, '}');
	}
	json_out_close(&j, ']');
	json_out_open(&j, "threads", '[');
	for (unsigned i = 0; i < process->threads_len; i++)
		put_thread(&j, process, &process->threads[i], plan);
	json_out_close(&j, ']');
	json_out_close(&j, '}');
	fputc('\n', out);
}
