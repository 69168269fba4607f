/* SPDX-License-Identifier: MIT */
/*
 * file.c: see file.h. It reads and parses the file and its context. entry.c reads the
 * entries.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/memory.h"
#include "tools/bench/read.h"

#define FILE_LEN_MAX (256u << 20)

/* ---- context ---- */

/* A value as one line of text: a string unchanged, anything else as JSON. */
static char *as_text(const json_t *value)
{
	char text[64];
	char *dump, *copy;

	if (json_is_string(value))
		return bench_copy(json_string_value(value), json_string_length(value));
	if (json_is_real(value)) {
		snprintf(text, sizeof(text), "%.6g", json_real_value(value));
		return bench_copy(text, strlen(text));
	}
	dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	copy = bench_copy(dump ? dump : "", dump ? strlen(dump) : 0);
	free(dump);
	return copy;
}

static void add_pair(struct bench_pair **pairs, size_t *count, const char *key, const json_t *value)
{
	*pairs = bench_grow(*pairs, *count, sizeof(**pairs));
	(*pairs)[(*count)++] = (struct bench_pair){ key, as_text(value) };
}

/* Add an object's scalars as pairs of texts. */
static void add_scalars(struct bench_pair **pairs, size_t *count, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
		if (!json_is_object(value) && !json_is_array(value))
			add_pair(pairs, count, key, value);
}

/* object.key, which must have this type if it exists. *ret_value is NULL if it does not. */
static int optional(struct bench_reader *r, const json_t *object, const char *where,
		    const char *key, json_type type, json_t **ret_value)
{
	json_t *value = json_object_get(object, key);

	if (value && json_typeof(value) != type)
		return bench_refuse_type(r, where, key,
					 type == JSON_ARRAY ? "an array" : "an object", value);
	*ret_value = value;
	return 0;
}

static int read_warnings(struct bench_reader *r, const json_t *list)
{
	struct bench_file *file = r->file;
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		if (!json_is_string(entry))
			return bench_refuse_type(r, "context.weir", "warnings", "a list of strings",
						 entry);
		file->warnings = bench_grow(file->warnings, file->warning_count,
					    sizeof(*file->warnings));
		file->warnings[file->warning_count++] = json_string_value(entry);
	}
	return 0;
}

/* Read the requested backends that did not run. */
static int read_backends(struct bench_reader *r, const json_t *list)
{
	const char *name, *status, *reason;
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		if (json_unpack(entry, "{s:s, s:s, s:s}", "name", &name, "status", &status,
				"reason", &reason) < 0)
			return bench_refuse(
				r,
				"context.weir.backends[%zu]: expected an object with the "
				"strings name, status and reason",
				i);
		if (strcmp(status, "ok") != 0)
			add_pair(&r->file->missing, &r->file->missing_count, name,
				 json_object_get(entry, "reason"));
	}
	return 0;
}

static int read_floors(struct bench_reader *r, json_t *floors)
{
	const char *key;
	json_t *value;

	json_object_foreach(floors, key, value) {
		if (!json_is_number(value))
			return bench_refuse_type(r, "context.weir.noise_floor_pct", key, "a number",
						 value);
		add_pair(&r->file->floors, &r->file->floor_count, key, value);
	}
	return 0;
}

static int read_format(struct bench_reader *r, const json_t *weir)
{
	const json_t *format = json_object_get(weir, "format");

	if (!json_is_integer(format))
		return bench_refuse_type(r, "context.weir", "format", "the number 1", format);
	if (json_integer_value(format) != 1)
		return bench_refuse(r,
				    "context.weir.format: %lld, but this weir reads only format 1",
				    (long long)json_integer_value(format));
	if (!json_is_string(json_object_get(weir, "workload")))
		return bench_refuse_type(r, "context.weir", "workload", "a string",
					 json_object_get(weir, "workload"));
	return 0;
}

static int read_weir(struct bench_reader *r, json_t *weir)
{
	struct bench_file *file = r->file;
	json_t *warnings = NULL, *backends = NULL, *floors = NULL, *environment = NULL;

	if (read_format(r, weir) < 0 ||
	    optional(r, weir, "context.weir", "warnings", JSON_ARRAY, &warnings) < 0 ||
	    optional(r, weir, "context.weir", "backends", JSON_ARRAY, &backends) < 0 ||
	    optional(r, weir, "context.weir", "noise_floor_pct", JSON_OBJECT, &floors) < 0 ||
	    optional(r, weir, "context.weir", "environment", JSON_OBJECT, &environment) < 0 ||
	    read_warnings(r, warnings) < 0 || read_backends(r, backends) < 0 ||
	    read_floors(r, floors) < 0)
		return -1;
	add_scalars(&file->setup, &file->setup_count, weir);
	add_scalars(&file->environment, &file->environment_count, environment);
	return 0;
}

static int read_context(struct bench_reader *r, const json_t *root)
{
	struct bench_file *file = r->file;
	json_t *context = json_object_get(root, "context"), *weir = NULL, *schema;

	if (!json_is_object(context))
		return bench_refuse_type(r, "", "context",
					 "an object, as weir bench and Google "
					 "Benchmark write it",
					 context);
	schema = json_object_get(context, "json_schema_version");
	if (schema && !(json_is_integer(schema) && json_integer_value(schema) == 1))
		return bench_refuse(r, "context.json_schema_version: expected 1");
	if (optional(r, context, "context", "weir", JSON_OBJECT, &weir) < 0)
		return -1;
	file->google = !weir;
	add_scalars(&file->environment, &file->environment_count, context);
	return weir ? read_weir(r, weir) : 0;
}

/* ---- NaN and infinity, which Google Benchmark writes although JSON lacks them ---- */

/* The length of a NaN or infinity at the head of text, 0 if there is none. */
static size_t no_number(const char *text, size_t len)
{
	static const char *const words[] = { "NaN", "-NaN", "Infinity", "-Infinity" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t word = strlen(words[i]);

		if (len >= word && memcmp(text, words[i], word) == 0)
			return word;
	}
	return 0;
}

/* Copy the text with null for each of them outside strings; the cv of a 0 counter is NaN. */
static char *with_nulls(const char *text, size_t len, size_t *ret_len)
{
	char *copy = bench_alloc(len + len / 3 + 1);
	bool in_string = false;
	size_t out = 0, word;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			in_string = !in_string;
		if (in_string && text[i] == '\\' && i + 1 < len)
			copy[out++] = text[i++];
		word = in_string ? 0 : no_number(text + i, len - i);
		if (word) {
			memcpy(copy + out, "null", 4);
			out += 4;
			i += word - 1;
		} else {
			copy[out++] = text[i];
		}
	}
	*ret_len = out;
	return copy;
}

/* ---- the whole ---- */

static int read_root(struct bench_reader *r, const json_t *root)
{
	if (!json_is_object(root))
		return bench_refuse(r,
				    "it is %s; a result of weir bench or Google Benchmark is an "
				    "object with \"context\" and \"benchmarks\"",
				    bench_type_name(root));
	if (read_context(r, root) < 0)
		return -1;
	return bench_entries_read(r, json_object_get(root, "benchmarks"));
}

static bool only_blanks(const char *text, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1])
		len--;
	return len == 0;
}

int bench_file_parse(const char *path, const char *text, size_t len, struct bench_file *file,
		     char why[BENCH_WHY_LEN])
{
	struct bench_reader r = { file, why };
	json_error_t error;
	char *copy;

	*file = (struct bench_file){ .path = path };
	why[0] = '\0';
	if (only_blanks(text, len))
		return bench_refuse(&r, "the file is empty");
	copy = with_nulls(text, len, &len);
	file->root = json_loadb(copy, len, JSON_REJECT_DUPLICATES, &error);
	free(copy);
	if (!file->root) {
		/* The place is the path's neighbour, as compilers have it. */
		snprintf(why, BENCH_WHY_LEN, "%.200s:%d:%d", path, error.line, error.column);
		r.file = &(struct bench_file){ .path = bench_copy(why, strlen(why)) };
		bench_refuse(&r, "%s", error.text);
		free((char *)r.file->path);
		return -1;
	}
	return read_root(&r, file->root);
}

/* Read a whole stream. Returns its length, or -1 with errno. */
static long slurp(FILE *in, char **ret_text)
{
	size_t len = 0, cap = 1 << 16, got;
	char *text = bench_alloc(cap);

	*ret_text = text;
	while ((got = fread(text + len, 1, cap - len, in)) > 0) {
		len += got;
		if (len < cap)
			continue;
		if (len > FILE_LEN_MAX) {
			errno = EFBIG;
			return -1;
		}
		*ret_text = text = bench_grow(text, cap, 1);	/* cap is a power of two */
		cap *= 2;
	}
	return ferror(in) ? -1 : (long)len;
}

int bench_file_read(const char *path, struct bench_file *file, char why[BENCH_WHY_LEN])
{
	struct bench_reader r = { file, why };
	char *text = NULL;
	FILE *in = fopen(path, "rb");
	long len = in ? slurp(in, &text) : -1;
	int rc;

	*file = (struct bench_file){ .path = path };
	if (len < 0)
		rc = bench_refuse(&r, "%s", strerror(errno));
	else
		rc = bench_file_parse(path, text, (size_t)len, file, why);
	free(text);
	if (in)
		fclose(in);
	return rc;
}

static void free_pairs(struct bench_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(pairs[i].value);
	free(pairs);
}

void bench_file_free(struct bench_file *file)
{
	free_pairs(file->setup, file->setup_count);
	free_pairs(file->environment, file->environment_count);
	free_pairs(file->missing, file->missing_count);
	free_pairs(file->floors, file->floor_count);
	free(file->warnings);
	bench_entries_free(file);
	json_decref(file->root);
	*file = (struct bench_file){ .path = file->path };
}
