/* SPDX-License-Identifier: MIT */
/*
 * xml.c: checks an XML file before hwloc reads it; see xml.h. hwloc trusts its
 * files. If an object lacks one of its sets, hwloc crashes. Objects out of order,
 * or a machine without memory, make it print a report to stderr. One number that
 * is too large makes it allocate sets of half a gigabyte. People edit such files
 * to describe machines that they do not have, so these mistakes happen. This
 * check finds them as far as that is possible without a parser: it looks at the
 * tags one after another.
 */
#include "topo/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64u
#define NOTHING (~0u)		/* the first bit of an empty set */
/* the largest number of a CPU or node: hwloc's sets have a bit for each number up to it */
#define NUMBER_MAX 65535u
#define OBJECTS_MAX 1024u	/* the largest matrix of distances; hwloc allocates it */

/* "<name attributes>", "<name attributes/>", "</name>". */
struct tag {
	const char *at, *attributes, *end;
	bool closes, empty;
};

struct check {
	const char *text, *name;
	unsigned depth, nodes, cpus;
	unsigned first[DEPTH_MAX + 1];	/* the first CPU of the last object at each depth */
	struct weir_why *why;
};

static bool next_tag(const char **text, struct tag *ret_tag)
{
	const char *at = strchr(*text, '<');

	if (!at || !(ret_tag->end = strchr(at, '>')))
		return false;
	ret_tag->closes = at[1] == '/';
	ret_tag->empty = ret_tag->end[-1] == '/';
	ret_tag->at = at + 1 + ret_tag->closes;
	ret_tag->attributes = ret_tag->at + strcspn(ret_tag->at, " \t\n/>");
	*text = ret_tag->end + 1;
	return true;
}

static bool is(const struct tag *tag, const char *name)
{
	size_t len = strlen(name);

	return (size_t)(tag->attributes - tag->at) == len && !strncmp(tag->at, name, len);
}

/*
 * Returns an attribute's value, which ends at a quote; NULL if there is no well-formed attribute
 * of that name.
 */
static const char *value_of(const struct tag *tag, const char *attribute)
{
	const char *at = tag->attributes, *name, *value;
	size_t len = strlen(attribute), name_len;

	for (;;) {
		name = at + strspn(at, " \t\n");
		name_len = strcspn(name, "= \t\n\"<>");
		value = name + name_len;
		if (!name_len || value[0] != '=' || value[1] != '"')
			return NULL;
		value += 2;
		if (name_len == len && !strncmp(name, attribute, len))
			return value;
		at = value + strcspn(value, "\"<>");
		if (*at++ != '"')
			return NULL;
	}
}

static bool has_value(const struct tag *tag, const char *attribute, const char *value)
{
	const char *at = value_of(tag, attribute);
	size_t len = strlen(value);

	return at && !strncmp(at, value, len) && at[len] == '"';
}

static bool has_number(const struct tag *tag, const char *attribute, unsigned long max)
{
	const char *at = value_of(tag, attribute);
	char *end;

	return at && *at >= '0' && *at <= '9' && strtoul(at, &end, 10) <= max && *end == '"';
}

/*
 * Returns the lowest bit of a set such as "0x00000003,,0x00000100", whose last word is the lowest.
 */
static unsigned first_bit(const char *set)
{
	size_t len = strcspn(set, "\"");
	unsigned base = 0;
	unsigned long word;

	for (;; base += 32) {
		size_t from = len;

		while (from > 0 && set[from - 1] != ',')
			from--;
		word = from < len ? strtoul(set + from, NULL, 16) : 0;
		if (word)
			return base + (unsigned)__builtin_ctzl(word);
		if (from == 0)
			return NOTHING;
		len = from - 1;
	}
}

static int refuse(const struct check *c, const struct tag *tag, const char *what)
{
	unsigned line = 1;
	const char *at;

	for (at = c->text; at < tag->at; at++)
		line += *at == '\n';
	snprintf(c->why->text, sizeof c->why->text,
		 "'%s' line %u: %s; 'lstopo FILE.xml' of hwloc 2 writes a valid file",
		 c->name, line, what);
	return -EINVAL;
}

static int check_sets(struct check *c, const struct tag *tag)
{
	static const char *const sets[] = { "cpuset", "complete_cpuset", "nodeset",
					    "complete_nodeset" };
	bool node = has_value(tag, "type", "NUMANode"), memory = has_value(tag, "type", "MemCache");
	char what[64];
	unsigned i, first;

	for (i = 0; i < 4; i++)
		if (!value_of(tag, sets[i])) {
			snprintf(what, sizeof what, "an object without %s", sets[i]);
			return refuse(c, tag, what);
		}
	if ((node || c->depth == 0) && first_bit(value_of(tag, "nodeset")) == NOTHING)
		return refuse(c, tag, "a nodeset without a node");
	if (node || memory)
		return 0;
	first = first_bit(value_of(tag, "complete_cpuset"));
	if (first < c->first[c->depth])
		return refuse(c, tag, "an object whose CPUs come before those of the one above it");
	c->first[c->depth] = first;
	return 0;
}

static int open_object(struct check *c, const struct tag *tag)
{
	bool node = has_value(tag, "type", "NUMANode"), cpu = has_value(tag, "type", "PU");
	int rc = 0;

	if (!value_of(tag, "type"))
		return refuse(c, tag, "an object without type");
	if (c->depth == DEPTH_MAX)
		return refuse(c, tag, "objects are nested too deeply");
	if ((node || cpu) && !has_number(tag, "os_index", NUMBER_MAX))
		return refuse(c, tag, "a CPU or node without an os_index of at most 65535");
	c->nodes += node;
	c->cpus += cpu;
	if (!has_value(tag, "type", "Misc") && !has_value(tag, "type", "Bridge") &&
	    !has_value(tag, "type", "PCIDev") && !has_value(tag, "type", "OSDev"))
		rc = check_sets(c, tag);
	if (!tag->empty)
		c->first[++c->depth] = 0;
	return rc;
}

static int check_tag(struct check *c, const struct tag *tag)
{
	const char *version;

	if (is(tag, "topology") && !tag->closes) {
		version = value_of(tag, "version");
		return version && !strncmp(version, "2.", 2)
			       ? 0
			       : refuse(c, tag, "a topology that is not of version 2");
	}
	if ((is(tag, "distances2") || is(tag, "distances2hetero")) && !tag->closes &&
	    !has_number(tag, "nbobjs", OBJECTS_MAX))
		return refuse(c, tag, "distances without an nbobjs of at most 1024");
	if (!is(tag, "object"))
		return 0;
	if (!tag->closes)
		return open_object(c, tag);
	if (c->depth == 0)
		return refuse(c, tag, "the end of an object without its beginning");
	c->depth--;
	return 0;
}

int weir__topo_xml_check(const char *text, const char *name, struct weir_why *why)
{
	struct check c = { .text = text, .name = name, .why = why };
	struct tag tag = { .at = text };
	int rc = 0;

	while (rc == 0 && next_tag(&text, &tag))
		rc = check_tag(&c, &tag);
	if (rc == 0 && (!c.cpus || !c.nodes || c.depth > 0)) {
		snprintf(why->text, sizeof why->text,
			 "'%s' is not a complete XML topology: it has %u CPUs and %u NUMA nodes%s",
			 name, c.cpus, c.nodes, c.depth ? ", and ends inside an object" : "");
		rc = -EINVAL;
	}
	return rc;
}
