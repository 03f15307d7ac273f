/* SPDX-License-Identifier: MIT */
/*
 * Names processes by the kernel's boot, their namespace of process numbers, the number, and when they began: two
 * processes never share all of these.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "maker.h"

#define NOWHERE "nowhere"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
/* Of /proc/PID/stat: counted behind the parenthesis that ends the command's name. */
#define START_FIELD 20

static bool read_file(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t count = file ? fread(text, 1, size - 1, file) : 0;

	if (file)
		fclose(file);
	text[count] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return count;
}

/* When the process began, in ticks since the boot; 0: there is none. */
static uint64_t start_of(long pid)
{
	char path[64], text[1024];
	uint64_t start = 0;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	const char *at = read_file(path, text, sizeof(text)) ? strrchr(text, ')') : NULL;

	for (unsigned i = 0; at && i < START_FIELD; i++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%" SCNu64, &start) == 1 ? start : 0;
}

/* What process numbers mean here. */
static void name_place(char place[MAKER_SIZE / 2])
{
	char boot[40];
	struct stat st;

	if (!read_file(BOOT_ID, boot, sizeof(boot)) || stat("/proc/self/ns/pid", &st))
		snprintf(place, MAKER_SIZE / 2, NOWHERE);
	else
		snprintf(place, MAKER_SIZE / 2, "%s %ju", boot, (uintmax_t)st.st_ino);
}

void maker_self(char ret_name[MAKER_SIZE])
{
	char place[MAKER_SIZE / 2];
	long pid = (long)getpid();

	name_place(place);
	snprintf(ret_name, MAKER_SIZE, "%s %ld %" PRIu64, place, pid, start_of(pid));
}

bool maker_lives(const char *name)
{
	char place[MAKER_SIZE / 2];
	long pid;
	uint64_t start;

	name_place(place);
	size_t length = strlen(place);

	return strcmp(place, NOWHERE) && !strncmp(name, place, length) &&
	       sscanf(name + length, " %ld %" SCNu64, &pid, &start) == 2 && start &&
	       start_of(pid) == start;
}
