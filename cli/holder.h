/* SPDX-License-Identifier: MIT */
/* Who keeps a file locked. */
#ifndef CLI_HOLDER_H
#define CLI_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Describes a process, not this one, that holds a lock on the file: its number and its name. False: none is seen,
 * for other users' processes show only to root.
 */
bool holder_find(const char *path, char *text, size_t size);

#endif
