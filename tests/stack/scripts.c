/* SPDX-License-Identifier: MIT */
/*
 * scripts.c: runs the scripts of scripts/, each as a test case; scripts/README.md describes them.
 *
 *	stack_scripts [--offload] [--group GROUP] [GROUP/NAME...]
 *	WEIR_SCRIPT_TRACE=1 stack_scripts GROUP/NAME	prints every event as it happens
 *
 * With --offload the network completes the checksums of what the stack sends, and splits
 * super-frames. The segments that a script sees are the same.
 *
 * A script is run while it is read. Each line has one verb; script_verbs.c implements the verbs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/stack/script_verbs.h"
#include "tests/support/testing.h"

#define FILE_BYTES 65536u
#define LINES 2048u
#define BLOCKS 8u
#define USES 8u
#define SCRIPTS_MAX 1024u
#define NAME_BYTES 96u

/* ---- one file ------------------------------------------------------------------------------- */

struct text_line {
	const char *at;
	unsigned len;
};

/* A repeat or a turn that is open. */
struct block {
	unsigned first;		/* the line after the one that opened it */
	int64_t count, index;	/* for a repeat; count 0: a turn */
};

struct text_file {
	struct script_place place;
	struct text_line lines[LINES];
	unsigned count;
	struct block blocks[BLOCKS];
	unsigned depth;
	char bytes[FILE_BYTES];
};

/* The script, the file that it uses, the file that this one uses, and so on. */
static struct text_file files[USES];

static void read_file(struct text_file *file, const char *path)
{
	FILE *in = fopen(path, "re");
	size_t len = 0;

	file->count = 0;
	file->depth = 0;
	if (in == NULL)
		ck_abort_msg("there is no script %s", path);
	len = fread(file->bytes, 1, sizeof(file->bytes), in);
	fclose(in);
	if (len == sizeof(file->bytes))
		ck_abort_msg("%s is too long", path);
	for (const char *at = file->bytes, *end = at + len; at < end && file->count < LINES;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline : end;

		file->lines[file->count++] = (struct text_line){ at, (unsigned)(stop - at) };
		at = stop + 1;
	}
}

/* Fails unless the first comment of a script names an RFC. */
static void check_citation(struct text_file *file)
{
	for (unsigned i = 0; i < file->count && file->lines[i].len > 0 &&
			     file->lines[i].at[0] == '#';
	     i++)
		for (unsigned j = 0; j + 4 < file->lines[i].len; j++)
			if (memcmp(file->lines[i].at + j, "RFC ", 4) == 0)
				return;
	file->place.line = 1;
	script_cut("", 0, &file->place);
	script_wrong("the comment at the top names no RFC and section");
}

static void open_block(struct text_file *file, unsigned line, int64_t count)
{
	if (file->depth == BLOCKS)
		script_wrong("there are too many blocks inside each other");
	file->blocks[file->depth++] = (struct block){ .first = line + 1, .count = count };
	script_line.index = 0;
	if (count == 0)
		script_turn_begin();
}

/* Returns the line with which the script continues. */
static unsigned close_block(struct text_file *file, unsigned line)
{
	struct block *block;

	if (file->depth == 0)
		script_wrong("there is no repeat or turn to end");
	block = &file->blocks[file->depth - 1];
	if (block->count == 0)
		script_turn_end();
	if (++block->index < block->count) {
		script_line.index = block->index;
		return block->first;
	}
	file->depth--;
	script_line.index = file->depth > 0 ? file->blocks[file->depth - 1].index : 0;
	return line + 1;
}

static void run_file(struct text_file *file, const char *path, const struct script_place *user);

static void use(void)
{
	const struct script_place *user = script_line.place, *outer = user;
	unsigned depth = 1;
	char path[512];

	while ((outer = outer->user) != NULL)
		depth++;
	if (depth == USES)
		script_wrong("files use each other %u deep at most", USES);
	snprintf(path, sizeof(path), "%s/setup/%s.tcp", SCRIPTS,
		 script_need("the name of a file in setup/"));
	script_end();
	run_file(&files[depth], path, user);
}

/* Runs a line, and returns the next one's number. */
static unsigned run_line(struct text_file *file, unsigned line)
{
	file->place.line = line + 1;
	script_cut(file->lines[line].at, file->lines[line].len, &file->place);
	if (script_line.count == 0)
		return line + 1;
	if (script_take("end")) {
		script_end();
		return close_block(file, line);
	}
	if (script_take("turn")) {
		script_end();
		open_block(file, line, 0);
	} else if (script_take("repeat")) {
		int64_t count = script_need_number("how often to repeat");

		if (count < 1)
			script_wrong("a repeat is done once at least");
		script_end();
		open_block(file, line, count);
	} else if (script_take("use")) {
		use();
	} else {
		script_run_verb();
		script_end();
	}
	return line + 1;
}

static void run_file(struct text_file *file, const char *path, const struct script_place *user)
{
	/* Failures name the file within the tree. */
	const char *name = strstr(path, "tests/stack/");

	file->place = (struct script_place){ .path = name != NULL ? name : path, .user = user };
	read_file(file, path);
	if (user == NULL)
		check_citation(file);
	for (unsigned line = 0; line < file->count;)
		line = run_line(file, line);
	if (file->depth > 0)
		script_wrong("a repeat or a turn has no end");
}

/* ---- test cases ----------------------------------------------------------------------------- */

static TTest tests[SCRIPTS_MAX];
static char names[SCRIPTS_MAX][NAME_BYTES];
static struct testing_case cases[SCRIPTS_MAX];
static size_t count;
static uint32_t offloads;

static void run_script(int round)
{
	char path[512];

	(void)round;
	snprintf(path, sizeof(path), "%s/%s.tcp", SCRIPTS, testing_name());
	script_host_init(offloads);
	run_file(&files[0], path, NULL);
	script_expect_nothing();
	script_host_fini();
}

static int add_script(const char *group, const char *file)
{
	int len = (int)strlen(file) - 4;

	if (count == SCRIPTS_MAX ||
	    snprintf(names[count], NAME_BYTES, "%s/%.*s", group, len, file) >= (int)NAME_BYTES)
		return fprintf(stderr, "%s/%s: too many scripts, or too long a name\n", group,
			       file);
	tests[count] = (TTest){ names[count], run_script, __FILE__, __LINE__ };
	cases[count] = (struct testing_case){ .test = &tests[count] };
	count++;
	return 0;
}

static int is_script(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 4 && strcmp(entry->d_name + len - 4, ".tcp") == 0;
}

static int is_group(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp(entry->d_name, "setup") != 0 &&
	       strcmp(entry->d_name, "wrong") != 0 && strcmp(entry->d_name, "README.md") != 0;
}

/* Adds the scripts of a group. Returns nonzero after a message. */
static int add_group(const char *group)
{
	struct dirent **entries;
	char path[512];
	int found, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", SCRIPTS, group);
	found = scandir(path, &entries, is_script, alphasort);
	if (found <= 0)
		return fprintf(stderr, "%s: no such group of scripts\n", path);
	for (int i = 0; i < found; i++) {
		rc |= add_script(group, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

static int add_all(void)
{
	struct dirent **entries;
	int found = scandir(SCRIPTS, &entries, is_group, alphasort), rc = 0;

	if (found <= 0)
		return fprintf(stderr, "%s: no scripts\n", SCRIPTS);
	for (int i = 0; i < found; i++) {
		rc |= add_group(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

int main(int argc, char **argv)
{
	bool one;

	if (argc > 1 && strcmp(argv[1], "--offload") == 0) {
		offloads = WEIR_NETSTACK_TX_CHECKSUM | WEIR_NETSTACK_TSO;
		argc--;
		argv++;
	}
	one = argc > 2 && strcmp(argv[1], "--group") == 0;
	if ((one ? add_group(argv[2]) : add_all()) != 0)
		return 99;
	return testing_main(one ? argc - 2 : argc, one ? argv + 2 : argv, cases, count);
}
