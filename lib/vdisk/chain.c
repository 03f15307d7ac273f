/* SPDX-License-Identifier: MIT */
/*
 * Assembles disks into a chain (F 8): where the parent may lie, whether it is the one that the child was
 * made from, and that no image is its own ancestor. Nothing outside the allowed folders is opened.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/options.h"
#include "store/io.h"
#include "vdisk/disk.h"
#include "vdisk/parentage.h"

/* In the place of a locator's key: the caller gave the parent. */
#define KEY_GIVEN "given"

/* The search for the parent of one disk. */
struct search {
	struct vhdx *leaf;
	struct vhdx *child;
	struct open_request request;
	const char *folder; /* the child's, resolved; NULL on storage without paths */
	struct vhdx *parent;
	bool has_error; /* the error of the first place where something was found */
	struct kept_error error;
};

static uint64_t locator_place(const struct search *search)
{
	return search->child->image.known_items[PARENT_LOCATOR].offset;
}

static bool allows(const struct search *search, uint32_t flag)
{
	return search->request.options.flags & flag;
}

/* Notes where the parent was looked for. Without memory for it, the list is short of it. */
static void note(struct search *search, const char *key, const char *path,
		 enum vhdx_candidate_state state, const char *text)
{
	struct vhdx *child = search->child;
	struct candidate *grown = realloc(child->candidates, (child->candidate_count + 1) *
								     sizeof(*child->candidates));

	if (!grown)
		return;
	child->candidates = grown;
	child->candidates[child->candidate_count++] =
		(struct candidate){key, strdup(path), state, text ? strdup(text) : NULL};
}

/* Keeps this thread's last error when it is the search's first, and notes the place. */
static void note_failure(struct search *search, const char *key, const char *path,
			 enum vhdx_candidate_state state)
{
	note(search, key, path, state, vhdx_last_error()->text);
	if (search->has_error)
		return;
	search->has_error = true;
	vhdx_error_keep(&search->error);
}

static int check_linkage(struct search *search, const struct vhdx *parent)
{
	char text[VHDX_GUID_TEXT_SIZE];

	if (vhdx_linkage_matches(&search->child->image.locator, &parent->info.data_write_guid))
		return 0;
	if (allows(search, VHDX_OPEN_IGNORE_ID_MISMATCH)) {
		vhdx_disk_warn(
			&search->request, parent->name,
			"is not the parent that the child was made from, or was changed since: what is read may "
			"be garbage");
		return 0;
	}
	return vhdx_fail(
		-EUCLEAN, PROBLEM_PARENT_MISMATCH, search->child->name, locator_place(search),
		"its parent %s is not the image that it was made from, or was changed since: "
		"DataWriteGuid is %s (expected %s)",
		parent->name, vhdx_guid_text(&parent->info.data_write_guid, text),
		search->child->info.parent_linkage);
}

static bool is_file_of(const struct vhdx *disk, const struct file_identity *identity)
{
	return disk->has_identity && disk->identity.device == identity->device &&
	       disk->identity.inode == identity->inode;
}

/* A chain that a disk is to be put upon may not hold that disk. */
static int check_descendant(const struct open_request *request, const struct vhdx_io *io,
			    const char *name)
{
	const struct vhdx *descendant = request->descendant;
	struct file_identity identity;

	if (!descendant || !vhdx_file_identity(io, &identity) || !is_file_of(descendant, &identity))
		return 0;
	return vhdx_fail(-EINVAL, NO_PROBLEM, name, VHDX_NO_OFFSET,
			 "is %s itself, of which a parent would become the child (expected a "
			 "chain without a circle)",
			 descendant->name);
}

/* Before the storage is locked, for the lock of a leaf that is written would be in the way. */
static int check_ancestors(const struct search *search, const struct vhdx_io *io, const char *name)
{
	struct file_identity identity;

	if (!vhdx_file_identity(io, &identity))
		return 0;
	for (const struct vhdx *disk = search->leaf; disk; disk = disk->parent)
		if (is_file_of(disk, &identity))
			return vhdx_fail(-EUCLEAN, PROBLEM_CHAIN_CYCLE, search->child->name,
					 locator_place(search),
					 "its parent %s is its own descendant (expected a chain "
					 "without a circle)",
					 name);
	return 0;
}

static int check_sectors(const struct search *search, const struct vhdx *parent)
{
	uint32_t child_sector = search->child->image.logical_sector_size;
	uint32_t parent_sector = parent->image.logical_sector_size;

	if (parent->unreadable || child_sector == parent_sector)
		return 0;
	return vhdx_fail(
		-EUCLEAN, PROBLEM_PARENT_SECTOR_SIZE, search->child->name,
		search->child->image.known_items[LOGICAL_SECTOR_SIZE].offset,
		"metadata: logical sectors of %u bytes, its parent %s has %u (expected the same)",
		child_sector, parent->name, parent_sector);
}

/* What @parent must be to be the child's; *ret_state says how it is not. */
static int check_parent(struct search *search, const struct vhdx *parent,
			enum vhdx_candidate_state *ret_state)
{
	int ret = check_linkage(search, parent);

	*ret_state = ret ? VHDX_PARENT_MISMATCH : VHDX_PARENT_UNUSABLE;
	return ret ? ret : check_sectors(search, parent);
}

/*
 * Tries the storage of one place, which it takes over. Returns 0 when the search goes on or is over
 * (search->parent), or the error that ends it: going on would hide a cycle.
 */
static int try_storage(struct search *search, struct vhdx_io *io, const char *key, const char *path)
{
	enum vhdx_candidate_state state = VHDX_PARENT_UNUSABLE;
	struct vhdx *parent = NULL;
	int ret = check_ancestors(search, io, path);

	if (!ret)
		ret = check_descendant(&search->request, io, path);
	if (ret) {
		note_failure(search, key, path, state);
		vhdx_io_close(io);
		return ret;
	}
	ret = vhdx_disk_open_one(io, path, &search->request, &parent);
	bool opened = !ret;

	if (opened && !(parent->info.known & VHDX_KNOWN_HEADER)) { /* examined, and no image */
		ret = vhdx_error_raise(parent->unreadable);
		opened = false;
	}
	if (opened)
		ret = check_parent(search, parent, &state);
	if (!ret) {
		note(search, key, path, VHDX_PARENT_OPENED, NULL);
		search->parent = parent;
		return 0;
	}
	note_failure(search, key, path, state);
	vhdx_close(parent);
	return ret == -ENOMEM || (opened && state == VHDX_PARENT_UNUSABLE) ? ret : 0;
}

/* Does @path, resolved, lie in @folder, resolved? */
static bool lies_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	while (length && folder[length - 1] == '/')
		length--;
	return !strncmp(path, folder, length) && path[length] == '/';
}

static bool may_open(const struct search *search, const char *path)
{
	const char *const *dirs = search->request.options.parent_dirs;

	if (allows(search, VHDX_OPEN_ANY_PARENT) || lies_in(path, search->folder))
		return true;
	for (; dirs && *dirs; dirs++) {
		auto_free char *dir = realpath(*dirs, NULL);

		if (dir && lies_in(path, dir))
			return true;
	}
	return false;
}

static bool was_tried(const struct search *search, const char *path)
{
	for (size_t i = 0; i < search->child->candidate_count; i++)
		if (!strcmp(search->child->candidates[i].path ? search->child->candidates[i].path
							      : "",
			    path))
			return true;
	return false;
}

/* Takes every "name/.." out of a path, as Windows does, which does not ask whether name is there. */
static void collapse(char *path)
{
	char *out = path;

	for (char *in = path; *in;) {
		size_t length = strcspn(in, "/");

		if (length == 2 &&
		    !strncmp(in, "..",
			     2)) { /* back over the last component, but not over the root */
			while (out > path && out[-1] == '/')
				out--;
			while (out > path && out[-1] != '/')
				out--;
		} else if (length != 1 || *in != '.') {
			memmove(out, in, length);
			out += length;
		}
		in += length;
		if (*in == '/' && (out == path || out[-1] != '/'))
			*out++ = '/';
		in += *in == '/';
	}
	*out = 0;
}

/* The path of the file that @path names; a folder on the way that is left again need not be there. */
static char *resolve(char *path)
{
	char *resolved = realpath(path, NULL);

	if (resolved || (errno != ENOENT && errno != ENOTDIR))
		return resolved;
	collapse(path);
	return realpath(path, NULL);
}

static void note_unresolved(struct search *search, const char *key, const char *path, int errnum)
{
	if (was_tried(search, path))
		return;
	if (errnum == -ENOENT || errnum == -ENOTDIR || errnum == -ENAMETOOLONG) {
		note(search, key, path, VHDX_PARENT_MISSING, NULL);
		return;
	}
	vhdx_fail_errno(errnum, path, "cannot be looked up as the parent of %s",
			search->child->name);
	note_failure(search, key, path, VHDX_PARENT_UNUSABLE);
}

static int try_path(struct search *search, const char *key, const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct vhdx_io io;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return 0; /* no file has such a name */
	auto_free char *resolved = resolve(path);

	if (!resolved) {
		note_unresolved(search, key, path, -errno);
		return 0;
	}
	if (was_tried(search, resolved))
		return 0;
	if (!may_open(search, resolved)) {
		vhdx_fail(
			-EACCES, PROBLEM_PARENT_NOT_FOUND, search->child->name,
			locator_place(search),
			"parent locator: %s lies outside the folders that may be opened (expected the "
			"parent in the child's folder, or in one given for parents)",
			resolved);
		note_failure(search, key, resolved, VHDX_PARENT_OUTSIDE);
		return 0;
	}
	if (vhdx_file_io_resolved(resolved, allows(search, VHDX_OPEN_WRITE) ? VHDX_FILE_WRITE : 0,
				  &io)) {
		note_failure(search, key, resolved, VHDX_PARENT_UNUSABLE);
		return 0;
	}
	return try_storage(search, &io, key, resolved);
}

/* The relative path as it is; of any path its last component beside the child and in the given folders. */
static int try_key(struct search *search, const char *key)
{
	const char *value = vhdx_locator_get(&search->child->image.locator, key);
	const char *const *dirs = search->request.options.parent_dirs;
	auto_free char *path = value ? vhdx_native_path(value) : NULL;
	int ret = 0;

	if (!value)
		return 0;
	if (!path)
		return vhdx_fail_memory();
	const char *name = vhdx_last_component(path);

	if (!strcmp(key, KEY_RELATIVE_PATH))
		ret = try_path(search, key, search->folder, path);
	else if (name)
		ret = try_path(search, key, search->folder, name);
	for (; dirs && *dirs && name && !ret && !search->parent; dirs++)
		ret = try_path(search, key, *dirs, name);
	return ret;
}

/* What a caller's function gave is closed here, even where it is refused. */
static int take_given(const struct vhdx_io *given, struct vhdx_io *ret_io)
{
	int ret = vhdx_io_adopt(given, ret_io);

	if (ret && given->close)
		given->close(given->opaque);
	return ret;
}

/* The caller's storage: he knows what the paths mean. */
static int try_callback(struct search *search, const char *key)
{
	const struct vhdx_open_options *options = &search->request.options;
	const char *value = vhdx_locator_get(&search->child->image.locator, key);
	struct vhdx_io given = {.size = sizeof(given)};
	struct vhdx_io io;

	if (!value)
		return 0;
	int ret = options->open_parent(options->opaque, search->child->name, key, value, &given);

	if (ret == -ENOENT) {
		note(search, key, value, VHDX_PARENT_MISSING, NULL);
		return 0;
	}
	if (!ret)
		ret = take_given(&given, &io);
	if (ret) {
		vhdx_fail_errno(ret, search->child->name, "its parent %.200s cannot be opened",
				value);
		note_failure(search, key, value, VHDX_PARENT_UNUSABLE);
		return 0;
	}
	return try_storage(search, &io, key, value);
}

/* What the caller says is the next one: no other place counts then. */
static int try_given(struct search *search, bool *ret_is_given)
{
	const struct vhdx_open_options *options = &search->request.options;
	struct vhdx_io given = {.size = sizeof(given)};
	const char *name = NULL;
	struct vhdx_io io;
	int ret = options->next_parent ? options->next_parent(options->opaque, search->child->name,
							      &given, &name)
				       : -ENOENT;

	*ret_is_given = ret != -ENOENT;
	if (ret == -ENOENT)
		return 0;
	if (!name)
		name = "(storage)";
	if (!ret)
		ret = take_given(&given, &io);
	if (ret)
		return vhdx_fail_errno(ret, search->child->name,
				       "its parent %.200s cannot be opened", name);
	return try_storage(search, &io, KEY_GIVEN, name);
}

static int not_found(struct search *search)
{
	const struct vhdx *child = search->child;
	size_t others = child->candidate_count ? child->candidate_count - 1 : 0;
	char more[48] = "";

	if (search->has_error)
		return vhdx_error_raise(&search->error);
	if (others)
		snprintf(more, sizeof(more), ", nor in %zu other place%s", others,
			 others > 1 ? "s" : "");
	return vhdx_fail(
		-ENOENT, PROBLEM_PARENT_NOT_FOUND, child->name, locator_place(search),
		"parent locator: no file %s%s (expected the parent there, or in one of the folders "
		"given for parents)",
		child->candidate_count && child->candidates[0].path ? child->candidates[0].path
								    : "at any of its paths",
		more);
}

/* In the places that the locator names. */
static int follow_locator(struct search *search)
{
	bool calls_back = search->request.options.open_parent;
	auto_free char *resolved = calls_back ? NULL : realpath(search->child->name, NULL);
	int ret = 0;

	if (!calls_back && (!search->child->has_identity || !resolved))
		return vhdx_fail(
			-ENOTSUP, PROBLEM_PARENT_NOT_FOUND, search->child->name, VHDX_NO_OFFSET,
			"has a parent, whose place is not given (expected it: there is no folder to look "
			"in)");
	if (resolved) {
		char *slash = strrchr(resolved, '/');

		slash[slash == resolved] = 0;
		search->folder = resolved;
	}
	for (size_t i = 0; i < PARENT_PATH_KEYS && !search->parent && !ret; i++)
		ret = calls_back ? try_callback(search, vhdx_parent_path_keys[i])
				 : try_key(search, vhdx_parent_path_keys[i]);
	return ret;
}

static int run_search(struct search *search)
{
	bool is_given;
	int ret = try_given(search, &is_given);

	if (!ret && !is_given)
		ret = follow_locator(search);
	return ret || search->parent ? ret : not_found(search);
}

/* @depth is the parent's. */
static int open_parent(struct vhdx *leaf, struct vhdx *child, const struct open_request *request,
		       unsigned depth)
{
	struct search search = {.leaf = leaf, .child = child, .request = *request};

	search.request.shared = leaf->shared;
	if (depth > request->options.write_parents)
		search.request.options.flags &= ~OPEN_WRITE_FLAGS;
	int ret = run_search(&search);

	vhdx_error_drop(&search.error);
	child->parent = search.parent;
	return ret;
}

/* A child whose locator can be followed. */
static bool wants_parent(const struct vhdx *disk)
{
	return image_has_parent(&disk->image) && disk->image.locator_is_usable;
}

/* The first thing, from @disk down, that keeps it from being read. */
static const struct kept_error *first_fault(const struct vhdx *disk)
{
	for (; disk; disk = disk->parent) {
		if (disk->unreadable)
			return disk->unreadable;
		if (disk->has_chain_fault)
			return &disk->chain_fault;
	}
	return NULL;
}

static int open_parents(struct vhdx *leaf, const struct open_request *request)
{
	unsigned depth = 0;

	for (struct vhdx *disk = leaf; disk && wants_parent(disk); disk = disk->parent) {
		int ret = ++depth < MAX_CHAIN_DEPTH
				  ? open_parent(leaf, disk, request, depth)
				  : vhdx_fail(-EUCLEAN, PROBLEM_CHAIN_DEPTH, disk->name,
					      disk->image.known_items[PARENT_LOCATOR].offset,
					      "parent locator: the chain goes on behind %u images "
					      "(expected at most so many)",
					      MAX_CHAIN_DEPTH);

		if (ret && !(request->options.flags & VHDX_OPEN_EXAMINE))
			return ret;
		if (ret) {
			disk->has_chain_fault = true;
			vhdx_error_keep(&disk->chain_fault);
		}
	}
	return 0;
}

static int check_write_parents(const struct vhdx *leaf, const struct open_request *request)
{
	unsigned wanted = request->options.write_parents;
	unsigned found = 0;

	for (const struct vhdx *disk = leaf->parent; disk && found < wanted; disk = disk->parent)
		found++;
	if (found == wanted)
		return 0;
	if (!found)
		return vhdx_fail(-EINVAL, NO_PROBLEM, leaf->name, VHDX_NO_OFFSET,
				 "has no parent (expected a differencing disk)");
	return vhdx_fail(-EINVAL, NO_PROBLEM, leaf->name, VHDX_NO_OFFSET,
			 "has %u parent%s (expected %u that can be written)", found,
			 found == 1 ? "" : "s", wanted);
}

int vhdx_chain_open(struct vhdx *leaf, const struct open_request *request)
{
	int ret = request->options.flags & VHDX_OPEN_NO_PARENT ? 0 : open_parents(leaf, request);

	if (!ret)
		ret = check_write_parents(leaf, request);

	for (struct vhdx *disk = leaf; disk && !ret; disk = disk->parent)
		if (!disk->unreadable)
			disk->unreadable = first_fault(disk);
	return ret;
}

/* ---- Another parent ---- */

/* What makes sense for a parent that is only read, and whose contents count. */
#define OTHER_PARENT_FLAGS \
	(VHDX_OPEN_ANY_PARENT | VHDX_OPEN_IGNORE_ID_MISMATCH | VHDX_OPEN_FORCE_SHARE)

static int open_storage(const struct vhdx *child, const char *path,
			const struct vhdx_open_options *options, struct vhdx_io *ret_io)
{
	struct vhdx_io given = {.size = sizeof(given)};

	if (!options->open_parent)
		return vhdx_file_io(path, 0, ret_io);
	int ret =
		options->open_parent(options->opaque, child->name, KEY_RELATIVE_PATH, path, &given);

	return ret ? vhdx_fail_errno(ret, path, "cannot be opened") : take_given(&given, ret_io);
}

static int check_depth(const struct vhdx *parent)
{
	unsigned depth = 1;

	for (const struct vhdx *disk = parent; disk; disk = disk->parent)
		depth++;
	if (depth <= MAX_CHAIN_DEPTH)
		return 0;
	return vhdx_fail(-EINVAL, PROBLEM_CHAIN_DEPTH, parent->name, VHDX_NO_OFFSET,
			 "its chain has %u images already (expected less than %u)", depth - 1,
			 MAX_CHAIN_DEPTH);
}

int vhdx_chain_open_other(struct vhdx *child, const char *path,
			  const struct vhdx_open_options *options, struct vhdx **ret_parent)
{
	struct open_request request = {.shared = child->shared, .descendant = child};
	struct vhdx *parent;
	struct vhdx_io io;
	int ret = vhdx_adopt_options(options, "vhdx_open_options", sizeof(request.options),
				     &request.options);

	if (!ret && (request.options.flags & ~OTHER_PARENT_FLAGS || request.options.write_parents))
		ret = vhdx_fail_argument("vhdx_open_options: flags %#x for a parent, or "
					 "write_parents (expected it to be read only)",
					 request.options.flags);
	if (!ret)
		ret = open_storage(child, path, &request.options, &io);
	if (ret)
		return ret;
	ret = check_descendant(&request, &io, path);
	if (ret) {
		vhdx_io_close(&io);
		return ret;
	}
	ret = vhdx_disk_open_one(&io, path, &request, &parent);
	if (ret)
		return ret;
	ret = vhdx_chain_open(parent, &request);
	if (!ret)
		ret = check_depth(parent);
	if (ret)
		vhdx_close(parent);
	else
		*ret_parent = parent;
	return ret;
}
