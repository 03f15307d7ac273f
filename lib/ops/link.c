/* SPDX-License-Identifier: MIT */
/* What a differencing child says of its parent (F 8): linkage and paths. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "format/locator.h"
#include "ops/link.h"

/* Room for the table and for strings that the table's 16-bit lengths can hold. */
#define LOCATOR_SIZE ((size_t)256 * 1024)

/* Length of what two absolute paths share, in whole components: up to and with a slash. */
static size_t common_folders(const char *folder, const char *file)
{
	size_t common = 0;

	for (size_t i = 0; file[i]; i++) {
		char c = folder[i] ? folder[i]
				   : '/'; /* a folder's path ends in a slash, in thought */

		if (c != file[i])
			break;
		if (c == '/')
			common = i + 1;
		if (!folder[i])
			break;
	}
	return common;
}

static unsigned count_components(const char *path)
{
	unsigned count = *path != 0;

	for (; *path; path++)
		count += *path == '/';
	return count;
}

int vhdx_link_relative(const char *folder, const char *file, char **ret_path)
{
	const char *inside = strcmp(folder, "/") != 0 ? folder : "";
	size_t common = common_folders(inside, file);
	const char *rest = file + common;
	unsigned up = common > strlen(inside) ? 0 : count_components(inside + common);
	char *path = malloc(strlen(rest) + up * 3u + 3);

	if (!path)
		return vhdx_fail_memory();
	if (strchr(rest, '\\')) {
		free(path);
		return vhdx_fail(
			-EINVAL, NO_PROBLEM, file, VHDX_NO_OFFSET,
			"has a backslash in its name, which a child cannot record (expected none)");
	}
	char *at = stpcpy(path, up ? "" : ".\\");

	for (; up; up--)
		at = stpcpy(at, "..\\");
	for (; *rest; rest++)
		*at++ = *rest == '/' ? '\\' : *rest;
	*at = 0;
	*ret_path = path;
	return 0;
}

/* A name, and something behind it: "name\rest". Returns the rest, or NULL. */
static const char *skip_name(const char *path)
{
	const char *end = strchr(path, '\\');

	return end && end != path && end[1] ? end + 1 : NULL;
}

static bool is_drive_path(const char *path)
{
	return isalpha((unsigned char)path[0]) && path[1] == ':' && path[2] == '\\' && path[3] &&
	       path[3] != '\\';
}

/* "server\share\rest" */
static bool is_share_path(const char *path)
{
	const char *share = *path == '?' || *path == '.' ? NULL : skip_name(path);

	return share && skip_name(share);
}

static bool is_windows_path(const char *path)
{
	size_t length = strlen(path);

	if (strchr(path, '/') || !length || path[length - 1] == '\\')
		return false;
	if (!strncmp(path, "\\\\?\\UNC\\", 8))
		return is_share_path(path + 8);
	if (!strncmp(path, "\\\\?\\", 4))
		return is_drive_path(path + 4);
	return is_drive_path(path) || (!strncmp(path, "\\\\", 2) && is_share_path(path + 2));
}

int vhdx_link_check_windows_path(const char *path)
{
	if (!is_windows_path(path))
		return vhdx_fail_argument(
			"the Windows path %s (expected C:\\folder\\file, \\\\server\\share\\file, or "
			"either behind \\\\?\\, without slashes)",
			path);
	return 0;
}

int vhdx_link_encode(const struct vhdx_guid *linkage, const char *relative_path,
		     const char *windows_path, void **ret_item, size_t *ret_size)
{
	char guid[VHDX_GUID_TEXT_SIZE], braced[VHDX_GUID_TEXT_SIZE + 2];
	struct locator_pair pairs[3];
	unsigned count = 0;
	auto_free void *item = malloc(LOCATOR_SIZE);

	if (!item)
		return vhdx_fail_memory();
	snprintf(braced, sizeof(braced), "{%s}", vhdx_guid_text(linkage, guid));
	pairs[count++] = (struct locator_pair){KEY_LINKAGE, braced};
	if (windows_path)
		pairs[count++] = (struct locator_pair){KEY_WIN32_PATH, windows_path};
	pairs[count++] = (struct locator_pair){KEY_RELATIVE_PATH, relative_path};
	int ret = vhdx_locator_encode(pairs, count, item, LOCATOR_SIZE, ret_size);

	if (ret == -EILSEQ)
		return vhdx_fail_argument(
			"the parent's path %s is not UTF-8, and so cannot be recorded",
			relative_path);
	if (ret)
		return vhdx_fail_argument("the parent's path %s is too long to be recorded",
					  relative_path);
	*ret_item = item;
	item = NULL;
	return 0;
}
