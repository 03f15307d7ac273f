/* SPDX-License-Identifier: MIT */
/* Feeds a fuzz target the files of its corpus, a case each: main where no fuzzer brings one. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/target.h"

#define MOST_INPUT ((size_t)1 << 20)

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* What ends the program is the failure that TAP readers see: no more cases, though they were announced. */
static void run_file(const char *folder, const char *name, int number)
{
	char path[4096];
	uint8_t *bytes = malloc(MOST_INPUT);

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");

	if (!file || !bytes) {
		printf("not ok %d - %s cannot be read\n", number, name);
	} else {
		size_t size = fread(bytes, 1, MOST_INPUT, file);

		LLVMFuzzerTestOneInput(bytes, size);
		printf("ok %d - %s\n", number, name);
	}
	fflush(stdout);
	if (file)
		fclose(file);
	free(bytes);
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	int count = argc == 2 ? scandir(argv[1], &entries, is_shown, alphasort) : -1;

	if (count < 0) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		run_file(argv[1], entries[i]->d_name, i + 1);
		free(entries[i]);
	}
	free(entries);
	return 0;
}
