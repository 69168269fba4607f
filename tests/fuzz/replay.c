/* SPDX-License-Identifier: MIT */
/*
 * replay.c: runs a fuzz target on the given files and folders without a fuzzer, so that the corpus
 * is a test with every compiler.
 */
#include <dirent.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 65536

static unsigned inputs;

static int replay_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	size_t len;

	if (!file)
		return perror(path), 1;
	len = fread(data, 1, sizeof(data), file);
	fclose(file);
	/* Printed before the run: after a crash, the last name is the file that caused it. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, len);
	inputs++;
	return 0;
}

static int replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char inner[4096];
	int rc = 0;

	if (!dir)
		return replay_file(path);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		rc = replay_file(inner);
	}
	closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) != 0)
			return 1;
	printf("%u inputs\n", inputs);
	return inputs ? 0 : 1;
}
