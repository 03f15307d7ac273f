/* SPDX-License-Identifier: MIT */
/* Takes the name of an RBD image apart. None of its parts can hold a slash or an at sign. */
#include <errno.h>
#include <string.h>

#include "rbdname.h"

#define EXPECTED "rbd:POOL/[NAMESPACE/]IMAGE[@SNAP]"

/* False: empty, or too long. */
static bool take_part(const char *text, size_t length, char part[RBDNAME_MAX])
{
	if (!length || length >= RBDNAME_MAX)
		return false;
	memcpy(part, text, length);
	part[length] = '\0';
	return true;
}

/* The parts before the at sign. */
static bool take_path(const char *text, size_t length, struct rbdname *name)
{
	const char *end = text + length;
	const char *slash = memchr(text, '/', length);
	const char *second = slash ? memchr(slash + 1, '/', (size_t)(end - slash - 1)) : NULL;

	if (!slash || !take_part(text, (size_t)(slash - text), name->pool))
		return false;
	if (second && !take_part(slash + 1, (size_t)(second - slash - 1), name->space))
		return false;
	const char *image = (second ? second : slash) + 1;
	size_t count = (size_t)(end - image);

	return !memchr(image, '/', count) && take_part(image, count, name->image);
}

int rbdname_parse(const char *text, struct rbdname *ret_name, struct remote_error *ret_error)
{
	const char *path = text + strlen(RBDNAME_SCHEME);
	const char *at = strchr(path, '@');
	struct rbdname name = {0};
	bool is_good = take_path(path, at ? (size_t)(at - path) : strlen(path), &name);

	if (is_good && at)
		is_good = !strpbrk(at + 1, "/@") && take_part(at + 1, strlen(at + 1), name.snap);
	if (!is_good)
		return remote_fail(ret_error, EINVAL,
				   "is no name of an RBD image (expected " EXPECTED ")");
	*ret_name = name;
	return 0;
}
