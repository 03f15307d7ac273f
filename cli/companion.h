/* SPDX-License-Identifier: MIT */
/* Finds the files that belong to the command: in the build tree that it runs from, or where installed. */
#ifndef CLI_COMPANION_H
#define CLI_COMPANION_H

#include <limits.h>

/*
 * The path of the file that lies at @in_tree, relative to the command's own folder, when that folder is
 * of a build tree, for which @path is room, else @installed. NULL when neither can be read.
 */
const char *companion_find(const char *in_tree, const char *installed, char path[PATH_MAX]);

#endif
