/* SPDX-License-Identifier: MIT */
/* How a child knows its parent (F 8): by linkage, and by the names in its paths. */
#ifndef VHDX_VDISK_PARENTAGE_H
#define VHDX_VDISK_PARENTAGE_H

#include <stdbool.h>

#include "format/locator.h"

/* The keys of paths, in the order in which they are tried. */
#define PARENT_PATH_KEYS 3
extern const char *const vhdx_parent_path_keys[PARENT_PATH_KEYS];

/* Does a linkage, of which zero is none, equal the parent's current DataWriteGuid? */
bool vhdx_linkage_matches(const struct locator *locator, const struct vhdx_guid *data_write_guid);

/* The path with our separators, without a leading ".\"; NULL: out of memory. Freed by the caller. */
char *vhdx_native_path(const char *path);

/* The last component of a native path; NULL when it names no file. */
const char *vhdx_last_component(const char *path);

#endif
