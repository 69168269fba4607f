/* SPDX-License-Identifier: MIT */
/*
 * nic.c: the network cards that are up: whether there are queues for all workers, which
 * CPUs handle their interrupts, and packet steering, offloads and ring sizes.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/common/nic.h"
#include "tools/common/sysfile.h"
#include "tools/doctor/doctor.h"
#include "weir/topo.h"

#define NICS_MAX 8
#define CORE "/proc/sys/net/core/"
#define RING_GOOD 1024

/* The id of a finding about a card: "nic.queues.eth0". */
static const char *id_of(const char *check, const struct nic *nic, char *buf, size_t len)
{
	snprintf(buf, len, "nic.%s.%s", check, nic->name);
	return buf;
}

static void add_set(struct weir_cpuset *set, const struct weir_cpuset *more)
{
	for (size_t i = 0; i < sizeof(set->word) / sizeof(set->word[0]); i++)
		set->word[i] |= more->word[i];
}

/* The CPUs that handle an interrupt now; if unknown, those that may. */
static const struct weir_cpuset *irq_cpus(const struct nic_irq *irq)
{
	return weir_cpuset_count(&irq->effective) ? &irq->effective : &irq->allowed;
}

/* ---- queues ---- */

static void check_queues(struct doctor *doctor, const struct nic *nic,
			 const struct doctor_nic *says)
{
	unsigned workers = doctor_workers(doctor), more;
	char id[32];

	id_of("queues", nic, id, sizeof(id));
	if (nic->rx >= workers || nic->rx == 0) {
		doctor_add(doctor, DOCTOR_PASS, id, "%s: %u receive queue%s for %u worker%s",
			   *nic->driver ? nic->driver : "driver unknown", nic->rx,
			   nic->rx == 1 ? "" : "s", workers, workers == 1 ? "" : "s");
		return;
	}
	more = workers < says->queues_max ? workers : says->queues_max;
	if (more <= says->queues) {
		doctor_add(doctor, DOCTOR_INFO, id,
			   "%s: %u receive queue%s, which is the maximum, for %u workers",
			   *nic->driver ? nic->driver : "driver unknown", nic->rx,
			   nic->rx == 1 ? "" : "s", workers);
		return;
	}
	doctor_add(doctor, doctor_warn_for(doctor, DOCTOR_PROXY), id,
		   "%s: %u of %u receive queues are in use, for %u workers", nic->driver, nic->rx,
		   says->queues_max, workers);
	doctor_fix(doctor, "ethtool -L %s %s %u", nic->name, says->combined ? "combined" : "rx",
		   more);
}

/* With few queues, RPS can still spread the protocol work after the interrupt. */
static void check_steering(struct doctor *doctor, const struct nic *nic)
{
	unsigned workers = doctor_workers(doctor);
	struct weir_cpuset usable = { { 0 } };
	char id[32], rps[64];

	weir_cpuset_print(&nic->rps, rps, sizeof(rps));
	id_of("steering", nic, id, sizeof(id));
	doctor_add(doctor, DOCTOR_INFO, id, "RPS %s, RFS %s, XPS on %u of %u send queues",
		   nic->rps_queues ? rps : "off", nic->rfs_queues ? "on" : "off", nic->xps_queues,
		   nic->tx);
	if (nic->rps_queues || nic->rx == 0 || nic->rx >= workers || !doctor->topo)
		return;
	for (unsigned i = 0; i < doctor->topo->cpus_len; i++)
		if (doctor->topo->cpus[i].out == WEIR_CPU_USABLE && doctor->topo->cpus[i].os < 64)
			weir_cpuset_add(&usable, doctor->topo->cpus[i].os);
	doctor_advise(doctor,
		      "there are fewer queues than workers: RPS moves protocol work to other CPUs");
	doctor_fix(doctor,
		   "for q in /sys/class/net/%s/queues/rx-*; do echo %llx >\"$q/rps_cpus\"; done",
		   nic->name, (unsigned long long)usable.word[0]);
}

/* ---- interrupts ---- */

/* Assign each queue's interrupt to the next usable CPU. */
static void fix_spread(struct doctor *doctor, const struct nic *nic)
{
	const struct weir_topo *topo = doctor->topo;
	char commands[256] = "";
	unsigned cpu = 0;
	size_t used = 0;

	for (unsigned i = 0; topo && i < nic->irqs_len; i++) {
		if (!nic->irqs[i].use)
			continue;
		while (topo->cpus[cpu % topo->cpus_len].out != WEIR_CPU_USABLE)
			cpu++;
		used += (size_t)snprintf(commands + used, sizeof(commands) - used,
					 "%secho %u >/proc/irq/%u/smp_affinity_list",
					 used ? "; " : "", topo->cpus[cpu % topo->cpus_len].os,
					 nic->irqs[i].interrupt.number);
		cpu++;
		if (used >= sizeof(commands))
			break;
	}
	if (used > 0 && used < sizeof(commands))
		doctor_fix(doctor, "%s", commands);
	else
		doctor_advise(
			doctor,
			"write one CPU for each interrupt into /proc/irq/N/smp_affinity_list; "
			"weir topo --all lists the interrupts");
}

static void check_irqs(struct doctor *doctor, const struct nic *nic)
{
	struct weir_cpuset all = { { 0 } };
	unsigned queues = 0;
	char id[32], cpus[64];

	for (unsigned i = 0; i < nic->irqs_len; i++) {
		if (!nic->irqs[i].use)
			continue;
		add_set(&all, irq_cpus(&nic->irqs[i]));
		queues++;
	}
	if (!queues)
		return;
	id_of("irqs", nic, id, sizeof(id));
	weir_cpuset_print(&all, cpus, sizeof(cpus));
	if (weir_cpuset_count(&all) != 1 || queues == 1 || doctor_workers(doctor) == 1) {
		doctor_add(doctor, DOCTOR_PASS, id, "interrupts of %u queues run on CPU%s %s",
			   queues, weir_cpuset_count(&all) == 1 ? "" : "s", cpus);
		return;
	}
	doctor_add(
		doctor, DOCTOR_WARN, id,
		"all interrupts of its %u queues run on CPU %s: it is busy before the others have "
		"work",
		queues, cpus);
	fix_spread(doctor, nic);
}

/* Whether a card's interrupts stay on its own node. */
static void check_locality(struct doctor *doctor, const struct nic *nic)
{
	const struct weir_topo *topo = doctor->topo;
	unsigned away = 0, queues = 0;
	char id[32];

	if (!topo || topo->nodes_len < 2 || nic->node < 0)
		return;
	for (unsigned i = 0; i < nic->irqs_len; i++) {
		bool near = false;

		if (!nic->irqs[i].use)
			continue;
		for (unsigned k = 0; k < topo->cpus_len; k++)
			near |= topo->nodes[topo->cpus[k].node].os == (unsigned)nic->node &&
				weir_cpuset_has(irq_cpus(&nic->irqs[i]), topo->cpus[k].os);
		queues++;
		away += !near;
	}
	if (!queues)
		return;
	id_of("node", nic, id, sizeof(id));
	doctor_add(doctor, away ? DOCTOR_WARN : DOCTOR_PASS, id,
		   "the card is on node %d; %u of its %u queue interrupts run on other nodes",
		   nic->node, away, queues);
	if (away)
		doctor_advise(doctor, "write CPUs of node %d into /proc/irq/N/smp_affinity_list",
			      nic->node);
}

/* ---- the driver ---- */

static void check_driver(struct doctor *doctor, const struct nic *nic,
			 const struct doctor_nic *says)
{
	bool bad = says->gro == 0 || says->tso == 0;
	char id[32];

	if (says->gro >= 0 && says->tso >= 0) {
		doctor_add(doctor, bad ? DOCTOR_WARN : DOCTOR_PASS,
			   id_of("offload", nic, id, sizeof(id)), "GRO %s, TSO %s%s",
			   says->gro ? "on" : "off", says->tso ? "on" : "off",
			   bad ? ": each packet passes through the network stack by itself" : "");
		if (bad)
			doctor_fix(doctor, "ethtool -K %s%s%s", nic->name,
				   says->gro ? "" : " gro on", says->tso ? "" : " tso on");
	}
	if (!says->ring_max)
		return;
	bad = says->ring < RING_GOOD && says->ring < says->ring_max;
	doctor_add(doctor, bad ? DOCTOR_INFO : DOCTOR_PASS, id_of("ring", nic, id, sizeof(id)),
		   "%u of %u slots in each receive ring%s", says->ring, says->ring_max,
		   bad ? ": a burst may overflow it" : "");
	if (bad)
		doctor_fix(doctor, "ethtool -G %s rx %u", nic->name,
			   says->ring_max < 4096 ? says->ring_max : 4096);
}

/* ---- all cards ---- */

static bool is_running(const struct doctor *doctor, const char *program)
{
	char(*names)[SYSFILE_NAME], path[64], comm[32];
	unsigned len = sysfile_entries(doctor->machine->root, "/proc", "", &names);
	bool found = false;

	for (unsigned i = 0; i < len && !found; i++) {
		if (names[i][0] < '0' || names[i][0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", names[i]);
		found = doctor_read(doctor, path, comm, sizeof(comm)) && strcmp(comm, program) == 0;
	}
	free(names);
	return found;
}

static void check_balancer(struct doctor *doctor)
{
	bool running = is_running(doctor, "irqbalance");
	bool fights = running && doctor_is_bound(doctor);

	doctor_add(doctor, fights ? DOCTOR_WARN : DOCTOR_PASS, "nic.irqbalance",
		   fights    ? "irqbalance moves interrupts to CPUs that workers are bound to"
		   : running ? "irqbalance runs, but the workers are not bound"
			     : "irqbalance is not running, or not visible here");
	if (fights)
		doctor_fix(doctor, "systemctl stop irqbalance");
}

static void check_busy_poll(struct doctor *doctor)
{
	long long poll, read;
	bool waste;

	if (!doctor_read_number(doctor, CORE "busy_poll", &poll) ||
	    !doctor_read_number(doctor, CORE "busy_read", &read))
		return;
	waste = (poll || read) && doctor->plan && doctor->plan->throttled;
	doctor_add(doctor, waste ? DOCTOR_WARN : DOCTOR_INFO, "nic.busy_poll",
		   "net.core.busy_poll %lld us, busy_read %lld us%s", poll, read,
		   waste ? ": this uses up the CPU quota" : "");
	if (waste)
		doctor_fix(doctor, "sysctl -w net.core.busy_poll=0 net.core.busy_read=0");
}

/* Whether a name is safe in a command: no character has a meaning for the shell. */
static bool is_plain(const char *name)
{
	return *name && *name != '-' &&
	       name[strspn(name,
			   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] ==
		       '\0';
}

static void check_card(struct doctor *doctor, const struct nic *nic)
{
	struct doctor_nic says;

	if (!is_plain(nic->name)) {
		doctor_add(doctor, DOCTOR_INFO, "nic.name",
			   "'%s' is not checked: its name is not safe in a command", nic->name);
		return;
	}
	doctor->machine->nic(nic->name, &says);
	check_queues(doctor, nic, &says);
	check_steering(doctor, nic);
	check_irqs(doctor, nic);
	check_locality(doctor, nic);
	check_driver(doctor, nic, &says);
}

void doctor_check_nic(struct doctor *doctor)
{
	struct nics nics;
	unsigned seen = 0;

	doctor->group = "network cards";
	nics_read(doctor->machine->root, &nics);
	for (unsigned i = 0; i < nics.len; i++)
		if (nics.list[i].up && seen++ < NICS_MAX)
			check_card(doctor, &nics.list[i]);
	if (seen == 0)
		doctor_add(doctor, DOCTOR_INFO, "nic.none", "no network card is up");
	if (seen > NICS_MAX)
		doctor_add(doctor, DOCTOR_INFO, "nic.more",
			   "%u more cards that are up are not checked", seen - NICS_MAX);
	check_balancer(doctor);
	check_busy_poll(doctor);
	nics_free(&nics);
}
