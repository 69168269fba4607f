/* SPDX-License-Identifier: MIT */
/*
 * golden.c: compares the plans for described machines with the files in golden/.
 *
 * A file is a machine, a configuration, an empty line, and the plan as text:
 *
 *	# What this file shows.
 *	machine: package:2 node:1 l3:4 core:8 pu:2	as machine.h reads it; or
 *	input: xeon-2s-snc2.xml				of machines/, as weir_topo_new reads it
 *	quota: 2500					more of the machine (machine_set)
 *	policy: group-by-ccx				of the configuration (machine_configure)
 *
 *	64 workers, ...
 *
 * If weir_topo_new cannot read a file in this build, it is skipped, with the reason.
 *
 * Usage: topo_golden FOLDER [NAME...]		compare, and show the differences
 *        topo_golden FOLDER --update [NAME...]	write the current plans; check them before a commit
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define SETTINGS_MAX 16
#define DIFFERENCES_SHOWN 12

struct setting {
	const char *key, *value;
};

/* A golden file in memory. Its text is cut into strings. */
struct golden {
	const char *name;
	char *text;
	struct setting settings[SETTINGS_MAX];
	unsigned settings_len;
	size_t head_len;	/* length of the text before the plan */
	const char *plan;
};

enum verdict {
	SAME,
	OTHER,
	BROKEN,
	SKIPPED
};

/* ---- files ---- */

static char *read_file(const char *path, size_t *ret_len)
{
	FILE *in = fopen(path, "r");
	char *text = NULL, buf[4096];
	size_t n;
	FILE *out = in ? open_memstream(&text, ret_len) : NULL;

	while (out && (n = fread(buf, 1, sizeof buf, in)) > 0)
		fwrite(buf, 1, n, out);
	if (out)
		fclose(out);
	if (in)
		fclose(in);
	return text;
}

/* Cuts the head into settings. Returns false if it is not one. */
static bool read_head(struct golden *g)
{
	char *at = g->text, *end, *colon;

	for (; *at && *at != '\n'; at = end + 1) {
		end = at + strcspn(at, "\n");
		colon = memchr(at, ':', (size_t)(end - at));
		if (!*end || (*at != '#' && (!colon || g->settings_len == SETTINGS_MAX)))
			return false;
		if (*at == '#')
			continue;
		*end = *colon = '\0';
		g->settings[g->settings_len].key = at;
		g->settings[g->settings_len++].value = colon + 1 + strspn(colon + 1, " \t");
	}
	g->plan = *at ? at + 1 : at;
	g->head_len = (size_t)(g->plan - g->text);
	return g->settings_len > 0;
}

/* ---- plans ---- */

/* Reads a file whose first line is a description of a machine for hwloc. */
static int read_description(const char *path, struct weir_topo **ret_topo, struct weir_why *why)
{
	size_t len = 0;
	char *text = read_file(path, &len);
	int rc = -ENOENT;

	if (text) {
		text[strcspn(text, "\n")] = '\0';
		rc = weir_topo_new(text, ret_topo, why);
	}
	free(text);
	return rc;
}

static int make_topo(const struct golden *g, const char *folder, struct weir_topo **ret_topo,
		     struct weir_why *why)
{
	const struct setting *first = &g->settings[0];
	char path[512];

	if (strcmp(first->key, "machine") == 0) {
		*ret_topo = machine_new(first->value);
		snprintf(why->text, sizeof why->text, "not a machine: %.200s", first->value);
		return *ret_topo ? 0 : -EINVAL;
	}
	snprintf(why->text, sizeof why->text, "the first line is neither machine nor input");
	if (strcmp(first->key, "input") != 0)
		return -EINVAL;
	snprintf(path, sizeof path, "%s/../machines/%s", folder, first->value);
	return strstr(path, ".txt") ? read_description(path, ret_topo, why)
				    : weir_topo_new(path, ret_topo, why);
}

static char *refusal(int rc, const struct weir_why *why)
{
	char *text = NULL;

	return asprintf(&text, "refused: %s: %s\n", weir_strerror(rc), why->text) < 0 ? NULL : text;
}

/*
 * Returns the plan as text, or the reason for which there is none. NULL, with *why, if the file is
 * bad.
 */
static char *make_plan(const struct golden *g, struct weir_topo *topo, struct weir_why *why)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	struct weir_plan *plan;
	unsigned i;
	char *text;
	int rc;

	for (i = 1; i < g->settings_len; i++) {
		const struct setting *s = &g->settings[i];

		if (machine_set(topo, s->key, s->value) ||
		    machine_configure(&cfg, s->key, s->value))
			continue;
		snprintf(why->text, sizeof why->text, "%.40s: %.180s means nothing", s->key,
			 s->value);
		return NULL;
	}
	rc = weir_plan_new(topo, &cfg, &plan, why);
	if (rc < 0)
		return refusal(rc, why);
	text = machine_print_plan(topo, plan);
	weir_plan_free(plan);
	return text;
}

/* ---- comparing ---- */

static void show_lines(const char *sign, const char *from, const char *to)
{
	unsigned shown = 0;

	for (; from < to; from += strcspn(from, "\n") + 1)
		if (shown++ < DIFFERENCES_SHOWN)
			printf("# %s%.*s\n", sign, (int)strcspn(from, "\n"), from);
	if (shown > DIFFERENCES_SHOWN)
		printf("# %s... and %u more lines\n", sign, shown - DIFFERENCES_SHOWN);
}

/* Prints the lines from the first to the last difference. */
static void show_difference(const char *golden, const char *now)
{
	const char *golden_end = golden + strlen(golden), *now_end = now + strlen(now);
	const char *a = golden, *b = now;

	while (*golden && *golden == *now) {
		if (*golden == '\n') {
			a = golden + 1;
			b = now + 1;
		}
		golden++;
		now++;
	}
	while (golden_end > a && now_end > b && golden_end[-1] == now_end[-1]) {
		golden_end--;
		now_end--;
	}
	golden_end += strcspn(golden_end, "\n");
	now_end += strcspn(now_end, "\n");
	show_lines("- ", a, golden_end);
	show_lines("+ ", b, now_end);
}

static enum verdict update(const char *path, const struct golden *g, const char *head,
			   const char *now)
{
	FILE *out = fopen(path, "w");

	if (!out)
		return BROKEN;
	fwrite(head, 1, g->head_len, out);
	fputs(now, out);
	return fclose(out) == 0 ? SAME : BROKEN;
}

static enum verdict judge(const char *folder, const char *path, struct golden *g, const char *head,
			  bool write, struct weir_why *why)
{
	struct weir_topo *topo = NULL;
	enum verdict verdict = BROKEN;
	char *now = NULL;
	int rc = make_topo(g, folder, &topo, why);

	if (rc == 0)
		now = make_plan(g, topo, why);
	if (rc == -EOPNOTSUPP)
		verdict = SKIPPED;
	else if (now && write)
		verdict = update(path, g, head, now);
	else if (now)
		verdict = strcmp(now, g->plan) == 0 ? SAME : OTHER;
	if (verdict == OTHER)
		show_difference(g->plan, now);
	free(now);
	weir_topo_free(topo);
	return verdict;
}

/* Checks one file and prints its TAP line. Returns whether it failed. */
static bool check_file(const char *folder, const char *file, unsigned nth, bool write)
{
	struct golden g = { .name = file };
	struct weir_why why = { "cannot be read" };
	enum verdict verdict = BROKEN;
	char path[512], *head;
	size_t len = 0;

	snprintf(path, sizeof path, "%s/%s", folder, file);
	g.text = read_file(path, &len);
	head = g.text ? strdup(g.text) : NULL;
	if (head && read_head(&g))
		verdict = judge(folder, path, &g, head, write, &why);
	if (verdict == BROKEN)
		printf("# %s: %s\n", file, why.text);
	printf("%s %u - %.*s%s%s\n", verdict == OTHER || verdict == BROKEN ? "not ok" : "ok", nth,
	       (int)strcspn(file, "."), file, verdict == SKIPPED ? " # SKIP " : "",
	       verdict == SKIPPED ? why.text : "");
	free(g.text);
	free(head);
	return verdict == OTHER || verdict == BROKEN;
}

/* ---- the folder ---- */

static int is_golden(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".txt") == 0;
}

static bool wanted(const char *file, int argc, char **argv)
{
	size_t len = strcspn(file, ".");
	bool any = false;
	int i;

	for (i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--update") == 0)
			continue;
		if (strlen(argv[i]) == len && memcmp(argv[i], file, len) == 0)
			return true;
		any = true;
	}
	return !any;
}

int main(int argc, char **argv)
{
	struct dirent **files;
	bool write = false;
	unsigned done = 0, failed = 0;
	int i, n;

	if (argc < 2 || (n = scandir(argv[1], &files, is_golden, alphasort)) < 0) {
		fprintf(stderr, "usage: %s FOLDER [--update] [NAME...]\n", argv[0]);
		return 2;
	}
	for (i = 2; i < argc; i++)
		write = write || strcmp(argv[i], "--update") == 0;
	for (i = 0; i < n; i++) {
		if (wanted(files[i]->d_name, argc, argv))
			failed += check_file(argv[1], files[i]->d_name, ++done, write);
		free(files[i]);
	}
	free(files);
	printf("1..%u\n", done);
	return failed || !done;
}
