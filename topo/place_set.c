/* SPDX-License-Identifier: MIT */
/*
 * place_set.c: which CPUs a configuration names (weir_place_config.cpus), and
 * whether isolated CPUs are used.
 *
 * An entry is read to its end, then split into its verb and a list of numbers. A
 * number that does not exist on the machine is an error, because it is a slip or
 * the configuration of another machine. Threads are an exception: "drop-thread
 * 1-7" means all threads but the first, however many there are.
 */
#include "topo/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum level {
	LEVEL_PACKAGE,
	LEVEL_NODE,
	LEVEL_CLUSTER,
	LEVEL_L3,
	LEVEL_CORE,
	LEVEL_THREAD,
	LEVEL_CPU,
	LEVELS
};

static const char *const level_names[LEVELS] = {
	[LEVEL_PACKAGE] = "package", [LEVEL_NODE] = "node", [LEVEL_CLUSTER] = "cluster",
	[LEVEL_L3] = "l3",	     [LEVEL_CORE] = "core", [LEVEL_THREAD] = "thread",
	[LEVEL_CPU] = "cpu",
};

struct entry {
	const char *text;	/* as it was written */
	int len;
	enum level level;
	bool drop;
	struct weir_cpuset list; /* the numbers, which count what the level says */
};

static const char what_is_valid[] =
	"expected a list of CPUs (\"0-3,8\"), drop-smt, or only-LEVEL or drop-LEVEL and a list, "
	"where LEVEL is package, node, cluster, l3, core, thread or cpu";

static unsigned number_of(const struct weir_topo *topo, enum level level, unsigned cpu)
{
	const struct weir_topo_cpu *c = &topo->cpus[cpu];

	switch (level) {
	case LEVEL_PACKAGE:
		return c->package;
	case LEVEL_NODE:
		return topo->nodes[c->node].os;
	case LEVEL_CLUSTER:
		return c->cluster;
	case LEVEL_L3:
		return c->l3;
	case LEVEL_CORE:
		return c->core;
	case LEVEL_THREAD:
		return c->thread;
	default:
		return c->os;
	}
}

/* ---- reading ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/*
 * Returns the comma or the end after an entry. A digit after a comma continues a list, if the
 * entry takes one.
 */
static const char *entry_end(const char *at)
{
	bool list = strncmp(at, "drop-smt", 8) != 0;

	for (at += strcspn(at, ","); *at && list && is_digit(*skip_blanks(at + 1));)
		at += 1 + strcspn(at + 1, ",");
	return at;
}

/* Reads "only-" or "drop-" and a level, and moves *at behind it. */
static bool read_verb(const char **at, struct entry *e)
{
	const char *name = *at + 5;
	unsigned level;
	size_t len;

	e->drop = strncmp(*at, "drop-", 5) == 0;
	if (!e->drop && strncmp(*at, "only-", 5) != 0)
		return false;
	len = strcspn(name, " \t,");
	for (level = 0; level < LEVELS; level++)
		if (strlen(level_names[level]) == len && memcmp(level_names[level], name, len) == 0)
			break;
	e->level = (enum level)level;
	*at = name + len;
	return level < LEVELS;
}

/* Reads a list without the blanks beside commas and at the ends. */
static int read_list(const char *at, const char *end, char *buf, struct weir_cpuset *ret_list,
		     struct weir_why *ret_why)
{
	size_t n = 0;

	while (at < end) {
		at = n == 0 || buf[n - 1] == ',' ? skip_blanks(at) : at;
		if (at < end)
			buf[n++] = *at++;
		while (n > 0 && (at == end || *at == ',') &&
		       (buf[n - 1] == ' ' || buf[n - 1] == '\t'))
			n--;
	}
	buf[n] = '\0';
	return weir_cpuset_parse(buf, ret_list, ret_why);
}

/* The numbers that exist on the machine for a level. */
static struct weir_cpuset numbers_there(const struct place *p, enum level level)
{
	struct weir_cpuset there = { { 0 } };

	for (unsigned i = 0; i < p->topo->cpus_len; i++)
		weir_cpuset_add(&there, number_of(p->topo, level, i));
	return there;
}

static int refuse_entry(struct place *p, const struct entry *e, const char *why)
{
	return weir__place_refuse(p, "cpus '%.*s': %s", e->len > 60 ? 60 : e->len, e->text, why);
}

/* Refuses an invalid list and says which numbers there are. */
static int refuse_list(struct place *p, const struct entry *e, const char *why)
{
	struct weir_cpuset there = numbers_there(p, e->level);
	char text[80], sentence[224];

	weir_cpuset_print(&there, text, sizeof text);
	snprintf(sentence, sizeof sentence,
		 "%.80s; expected a list such as \"0-3,8\", and the machine has %s", why, text);
	return refuse_entry(p, e, sentence);
}

static int read_entry(struct place *p, char *buf, struct entry *e)
{
	const char *at = e->text, *end = at + e->len;
	struct weir_why why;

	if (e->len == 8 && memcmp(at, "drop-smt", 8) == 0) {
		e->level = LEVEL_THREAD;
		weir_cpuset_add(&e->list, 0);
		return 0;
	}
	e->level = LEVEL_CPU;
	if (is_digit(*at) || read_verb(&at, e))
		return read_list(at, end, buf, &e->list, &why) < 0 ? refuse_list(p, e, why.text)
								   : 0;
	return refuse_entry(p, e, what_is_valid);
}

/* Checks that every number exists. */
static int check_numbers(struct place *p, const struct entry *e)
{
	struct weir_cpuset there = numbers_there(p, e->level);
	char text[80];
	unsigned i;

	if (e->level == LEVEL_THREAD)
		return 0;
	for (i = 0; i < WEIR_CPUS_MAX; i++)
		if (weir_cpuset_has(&e->list, i) && !weir_cpuset_has(&there, i))
			break;
	if (i == WEIR_CPUS_MAX)
		return 0;
	weir_cpuset_print(&there, text, sizeof text);
	return weir__place_refuse(p, "cpus '%.*s': there is no %s %u; the machine has %s",
			    e->len > 60 ? 60 : e->len, e->text,
			    e->level == LEVEL_CPU ? "CPU" : level_names[e->level], i, text);
}

/* Reads all entries of cfg.cpus; the caller frees them. */
static int read_entries(struct place *p, struct entry **ret_entries, unsigned *ret_len)
{
	const char *at = p->cfg.cpus, *end;
	size_t size = strlen(at) + 1;
	struct entry *entries = calloc(size / 2 + 1, sizeof *entries);
	char *buf = malloc(size);
	unsigned n = 0;
	int rc = entries && buf ? 0 : -ENOMEM;

	for (; rc == 0 && at; at = *end ? end + 1 : NULL) {
		at = skip_blanks(at);
		end = entry_end(at);
		entries[n].text = at;
		entries[n].len = (int)(end - at);
		while (entries[n].len &&
		       (at[entries[n].len - 1] == ' ' || at[entries[n].len - 1] == '\t'))
			entries[n].len--;
		rc = read_entry(p, buf, &entries[n]);
		rc = rc < 0 ? rc : check_numbers(p, &entries[n]);
		n++;
	}
	free(buf);
	*ret_entries = entries;
	*ret_len = n;
	return rc;
}

/* ---- applying ---- */

static void print_usable(const struct place *p, char *buf, size_t len)
{
	struct weir_cpuset set = { { 0 } };
	unsigned i;

	for (i = 0; i < p->topo->cpus_len; i++)
		if (p->plan->out[i] == WEIR_CPU_USABLE)
			weir_cpuset_add(&set, p->topo->cpus[i].os);
	weir_cpuset_print(&set, buf, len);
}

static unsigned count_out(const struct place *p, enum weir_cpu_out out)
{
	unsigned i, n = 0;

	for (i = 0; i < p->topo->cpus_len; i++)
		n += p->plan->out[i] == out;
	return n;
}

/* Makes the isolated CPUs usable that a list of CPU numbers names. */
static void take_isolated(struct place *p, const struct entry *entries, unsigned len)
{
	unsigned i, k, taken = 0;

	for (i = 0; i < p->topo->cpus_len; i++) {
		bool named = false;

		for (k = 0; k < len && p->plan->out[i] == WEIR_CPU_ISOLATED; k++)
			named = named || (entries[k].level == LEVEL_CPU && !entries[k].drop &&
					  weir_cpuset_has(&entries[k].list, p->topo->cpus[i].os));
		if (p->plan->out[i] != WEIR_CPU_ISOLATED || !named)
			continue;
		p->plan->out[i] = WEIR_CPU_USABLE;
		taken++;
	}
	if (taken)
		weir__place_say(p, "%u isolated CPU%s named by cpus, and used", taken,
				taken == 1 ? " is" : "s are");
	else if ((k = count_out(p, WEIR_CPU_ISOLATED)) > 0)
		weir__place_say(p, "%u isolated CPU%s left out: name %s in cpus to use %s", k,
				k == 1 ? " is" : "s are", k == 1 ? "it" : "them",
				k == 1 ? "it" : "them");
}

static int apply_entry(struct place *p, const struct entry *e)
{
	char before[80];
	unsigned i, left = 0;

	print_usable(p, before, sizeof before);
	for (i = 0; i < p->topo->cpus_len; i++) {
		bool in = weir_cpuset_has(&e->list, number_of(p->topo, e->level, i));

		if (p->plan->out[i] != WEIR_CPU_USABLE)
			continue;
		if (in == e->drop)
			p->plan->out[i] = WEIR_CPU_UNNAMED;
		else
			left++;
	}
	if (left)
		return 0;
	return weir__place_refuse(p, "cpus '%.*s' leaves none of the remaining CPUs: %s",
				  e->len > 60 ? 60 : e->len, e->text, before);
}

static void say_foreign(struct place *p)
{
	static const enum weir_cpu_out reasons[] = { WEIR_CPU_OFFLINE, WEIR_CPU_CPUSET,
						     WEIR_CPU_AFFINITY };
	unsigned i, n, all = 0;
	char text[128] = "";
	size_t len = 0;

	for (i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
		n = count_out(p, reasons[i]);
		if (n)
			len += (size_t)snprintf(text + len, sizeof text - len, "%s%u %s",
						len ? ", " : "", n, weir_cpu_out_text(reasons[i]));
		all += n;
	}
	if (all)
		weir__place_say(p, "%u of %u CPUs are not available to this process: %s", all,
				p->topo->cpus_len, text);
}

int weir__place_set_apply(struct place *p)
{
	struct entry *entries = NULL;
	unsigned i, len = 0, before;
	int rc = p->cfg.cpus ? read_entries(p, &entries, &len) : 0;

	if (rc == 0) {
		say_foreign(p);
		take_isolated(p, entries, len);
	}
	before = count_out(p, WEIR_CPU_USABLE);
	if (rc == 0 && !before)
		rc = weir__place_refuse(
			p,
			"no CPU is usable; %u of the %u CPUs are isolated and would have to be "
			"named in cpus",
			count_out(p, WEIR_CPU_ISOLATED), p->topo->cpus_len);
	for (i = 0; rc == 0 && i < len; i++)
		rc = apply_entry(p, &entries[i]);
	if (rc == 0 && len)
		weir__place_say(p, "%u of %u usable CPUs are named by cpus '%.80s'",
				count_out(p, WEIR_CPU_USABLE), before, p->cfg.cpus);
	free(entries);
	return rc;
}
