/* SPDX-License-Identifier: MIT */
/*
 * Who keeps a file locked: locks of open file descriptions name no process, but /proc shows them beside the
 * descriptors of the processes that are ours.
 */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "holder.h"

#define NAME_MAX_SHOWN 64

/* Is there a lock on what the descriptor is open for? */
static bool shows_lock(const char *process, const char *descriptor)
{
	char path[NAME_MAX * 2 + 32];
	auto_free char *line = NULL;
	size_t room = 0;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", process, descriptor);
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	while (!found && getline(&line, &room, file) > 0)
		found = !strncmp(line, "lock:", 5);
	fclose(file);
	return found;
}

static bool is_open_there(const char *process, const char *descriptor, const struct stat *wanted)
{
	char path[NAME_MAX * 2 + 32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/fd/%s", process, descriptor);
	return !stat(path, &st) && st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
}

static bool holds(const char *process, const struct stat *wanted)
{
	char path[NAME_MAX + 32];
	struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", process);
	DIR *folder = opendir(path);

	if (!folder)
		return false;
	while (!found && (entry = readdir(folder)))
		found = isdigit((unsigned char)entry->d_name[0]) &&
			is_open_there(process, entry->d_name, wanted) &&
			shows_lock(process, entry->d_name);
	closedir(folder);
	return found;
}

static void describe(const char *process, char *text, size_t size)
{
	char path[NAME_MAX + 32], name[NAME_MAX_SHOWN] = "";

	snprintf(path, sizeof(path), "/proc/%s/comm", process);
	FILE *file = fopen(path, "re");

	if (file) {
		if (fgets(name, sizeof(name), file))
			name[strcspn(name, "\n")] = 0;
		fclose(file);
	}
	snprintf(text, size, "%s%s%s", process, *name ? ", " : "", name);
}

bool holder_find(const char *path, char *text, size_t size)
{
	struct stat wanted;
	struct dirent *entry;
	bool found = false;

	if (stat(path, &wanted))
		return false;
	DIR *processes = opendir("/proc");

	if (!processes)
		return false;
	while (!found && (entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]) && atol(entry->d_name) != getpid() &&
		    holds(entry->d_name, &wanted)) {
			describe(entry->d_name, text, size);
			found = true;
		}
	closedir(processes);
	return found;
}
