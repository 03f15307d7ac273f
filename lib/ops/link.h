/* SPDX-License-Identifier: MIT */
/* What a differencing child says of its parent (F 8): the item to write. */
#ifndef VHDX_OPS_LINK_H
#define VHDX_OPS_LINK_H

#include <stddef.h>

#include "format/locator.h"

/*
 * The way from a folder to a file, both resolved by realpath(3), as Windows writes it: ".\parent.vhdx",
 * "..\folder\parent.vhdx". -EINVAL when a name on the way cannot be written so. Freed by the caller.
 */
int vhdx_link_relative(const char *folder, const char *file, char **ret_path);

/* Is this what absolute_win32_path may hold: a drive's, a share's or a \\?\ path? -EINVAL. */
int vhdx_link_check_windows_path(const char *path);

/* Makes the parent locator. @windows_path may be NULL. Freed by the caller. */
int vhdx_link_encode(const struct vhdx_guid *linkage, const char *relative_path,
		     const char *windows_path, void **ret_item, size_t *ret_size);

/* A GUID as the value of a linkage. */
#define LINKAGE_TEXT_SIZE (VHDX_GUID_TEXT_SIZE + 2)
void vhdx_link_guid_text(const struct vhdx_guid *guid, char ret_text[LINKAGE_TEXT_SIZE]);

/*
 * Makes a locator of the pairs of @old and @changes: the value of a key is replaced, or added, or with
 * NULL the pair goes. -EINVAL when it cannot be recorded. Freed by the caller.
 */
int vhdx_link_change(const struct locator *old, const struct locator_pair *changes, unsigned count,
		     void **ret_item, size_t *ret_size);

#endif
