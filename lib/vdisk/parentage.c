/* SPDX-License-Identifier: MIT */
/* How a child knows its parent (F 8): by linkage, and by the names in its paths. */
#include <string.h>

#include "base/arith.h"
#include "base/guid.h"
#include "vdisk/parentage.h"

const char *const vhdx_parent_path_keys[PARENT_PATH_KEYS] = {KEY_RELATIVE_PATH, KEY_VOLUME_PATH,
							     KEY_WIN32_PATH};

bool vhdx_linkage_matches(const struct locator *locator, const struct vhdx_guid *data_write_guid)
{
	static const char *const keys[] = {KEY_LINKAGE, KEY_LINKAGE_2};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = vhdx_locator_get(locator, keys[i]);
		struct vhdx_guid linkage;

		if (text && !vhdx_guid_parse(text, &linkage) && !guid_is_zero(&linkage) &&
		    guid_equal(&linkage, data_write_guid))
			return true;
	}
	return false;
}

char *vhdx_native_path(const char *path)
{
	char *copy = strdup(path + (path[0] == '.' && path[1] == '\\' ? 2 : 0));

	for (char *at = copy; at && *at; at++)
		if (*at == '\\')
			*at = '/';
	return copy;
}

const char *vhdx_last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strcmp(name, "") != 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 ? name
											  : NULL;
}
