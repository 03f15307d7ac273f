/* SPDX-License-Identifier: MIT */
/*
 * Finds the files that belong to the command. The build tree's come first, so that what was built
 * together runs together.
 */
#include <string.h>
#include <unistd.h>

#include "companion.h"

/* Of the running program's folder, up to its last slash. */
static size_t own_folder(char folder[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);

	while (length > 0 && folder[length - 1] != '/')
		length--;
	return length > 0 ? (size_t)length : 0;
}

const char *companion_find(const char *in_tree, const char *installed, char path[PATH_MAX])
{
	size_t folder = own_folder(path);

	if (folder && folder + strlen(in_tree) < PATH_MAX) {
		strcpy(path + folder, in_tree);
		if (!access(path, R_OK))
			return path;
	}
	return access(installed, R_OK) ? NULL : installed;
}
