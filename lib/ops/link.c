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

/* The pair of @key, or NULL. */
static struct locator_pair *find_pair(struct locator_pair *pairs, unsigned count, const char *key)
{
	for (unsigned i = 0; i < count; i++)
		if (!strcmp(pairs[i].key, key))
			return &pairs[i];
	return NULL;
}

/* Room for the old pairs and as many new ones. Returns how many there are. */
static unsigned change_pairs(const struct locator *old, const struct locator_pair *changes,
			     unsigned count, struct locator_pair *pairs)
{
	unsigned used = old->count;
	unsigned kept = 0;

	for (unsigned i = 0; i < used; i++)
		pairs[i] = old->pairs[i];
	for (unsigned i = 0; i < count; i++) {
		struct locator_pair *pair = find_pair(pairs, used, changes[i].key);

		if (pair)
			pair->value = changes[i].value;
		else
			pairs[used++] = changes[i];
	}
	for (unsigned i = 0; i < used; i++)
		if (pairs[i].value)
			pairs[kept++] = pairs[i];
	return kept;
}

int vhdx_link_change(const struct locator *old, const struct locator_pair *changes, unsigned count,
		     void **ret_item, size_t *ret_size)
{
	auto_free struct locator_pair *pairs = calloc(old->count + count + 1, sizeof(*pairs));
	auto_free void *item = malloc(LOCATOR_SIZE);

	if (!pairs || !item)
		return vhdx_fail_memory();
	unsigned used = change_pairs(old, changes, count, pairs);
	int ret = vhdx_locator_encode(pairs, used, item, LOCATOR_SIZE, ret_size);

	if (ret == -EILSEQ)
		return vhdx_fail_argument(
			"a path of the parent is not UTF-8, and so cannot be recorded");
	if (ret)
		return vhdx_fail_argument(
			"what the child would say of its parent is too long to be recorded");
	*ret_item = item;
	item = NULL;
	return 0;
}

void vhdx_link_guid_text(const struct vhdx_guid *guid, char ret_text[LINKAGE_TEXT_SIZE])
{
	char text[VHDX_GUID_TEXT_SIZE];

	snprintf(ret_text, LINKAGE_TEXT_SIZE, "{%s}", vhdx_guid_text(guid, text));
}

int vhdx_link_encode(const struct vhdx_guid *linkage, const char *relative_path,
		     const char *windows_path, void **ret_item, size_t *ret_size)
{
	char text[LINKAGE_TEXT_SIZE];
	const struct locator none = {.count = 0};
	const struct locator_pair pairs[] = {
		{KEY_LINKAGE, text},
		{KEY_WIN32_PATH, windows_path},
		{KEY_RELATIVE_PATH, relative_path},
	};

	vhdx_link_guid_text(linkage, text);
	return vhdx_link_change(&none, pairs, ARRAY_SIZE(pairs), ret_item, ret_size);
}
