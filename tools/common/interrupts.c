/* SPDX-License-Identifier: MIT */
/* interrupts.c: see interrupts.h. */
#include "tools/common/interrupts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/sysfile.h"

unsigned interrupts_parse_head(const char *line, uint16_t cpus[WEIR_CPUS_MAX])
{
	unsigned len = 0;
	char *end;

	for (const char *at = line; len < WEIR_CPUS_MAX && (at = strstr(at, "CPU")); at = end) {
		unsigned long cpu = strtoul(at + 3, &end, 10);

		if (end == at + 3 || cpu >= WEIR_CPUS_MAX)
			break;
		cpus[len++] = (uint16_t)cpu;
	}
	return len;
}

/* The last word of the line is the name that the driver gave. */
static void take_name(const char *text, char *name, size_t len)
{
	size_t end = strlen(text), begin;

	while (end > 0 && isspace((unsigned char)text[end - 1]))
		end--;
	begin = end;
	while (begin > 0 && !isspace((unsigned char)text[begin - 1]))
		begin--;
	snprintf(name, len, "%.*s", (int)(end - begin < len ? end - begin : len - 1), text + begin);
}

bool interrupts_parse_line(const char *line, const uint16_t *cpus, unsigned cpus_len,
			   struct interrupt *ret_interrupt)
{
	struct interrupt found = { 0 };
	uint64_t count, most = 0;
	unsigned long number;
	char *end;

	line += strspn(line, " \t");
	errno = 0;
	number = strtoul(line, &end, 10);
	if (!isdigit((unsigned char)*line) || *end != ':' || number > UINT32_MAX || errno)
		return false;
	found.number = (unsigned)number;
	line = end + 1;
	for (unsigned i = 0; i < cpus_len; i++) {
		line += strspn(line, " \t");
		if (!isdigit((unsigned char)*line))
			return false;
		count = strtoull(line, &end, 10);
		line = end;
		found.count += count;
		if (count > most) {
			most = count;
			found.cpu = cpus[i];
		}
	}
	take_name(line, found.name, sizeof(found.name));
	*ret_interrupt = found;
	return true;
}

static bool add(struct interrupts *interrupts, const struct interrupt *interrupt)
{
	struct interrupt *more;

	/* The capacity is a power of two, so the list is full when its length is one. */
	if ((interrupts->len & (interrupts->len - 1)) == 0) {
		more = realloc(interrupts->list, (interrupts->len ? 2 * interrupts->len : 1) *
							 sizeof(*more));
		if (!more)
			return false;
		interrupts->list = more;
	}
	interrupts->list[interrupts->len++] = *interrupt;
	return true;
}

void interrupts_read(const char *root, struct interrupts *ret_interrupts)
{
	FILE *file = sysfile_open(root, "/proc/interrupts");
	uint16_t cpus[WEIR_CPUS_MAX];
	struct interrupt interrupt;
	unsigned cpus_len = 0;
	char *line = NULL;
	size_t room = 0;

	*ret_interrupts = (struct interrupts){ 0 };
	if (file && getline(&line, &room, file) >= 0)
		cpus_len = interrupts_parse_head(line, cpus);
	while (cpus_len && getline(&line, &room, file) >= 0)
		if (interrupts_parse_line(line, cpus, cpus_len, &interrupt) &&
		    !add(ret_interrupts, &interrupt))
			break;
	free(line);
	if (file)
		fclose(file);
}

void interrupts_free(struct interrupts *interrupts)
{
	free(interrupts->list);
	*interrupts = (struct interrupts){ 0 };
}
