/* SPDX-License-Identifier: MIT */
/* vhdx_create, vhdx_create_io: a new image without contents, or a child of another. */
#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "base/options.h"
#include "base/sizetext.h"
#include "ops/build.h"
#include "ops/lineage.h"
#include "ops/link.h"
#include "ops/samefile.h"
#include "store/newfile.h"

#define STORAGE_NAME "(storage)"

/* The parent of a differencing image, locked as long as it is open, and what the child says of it. */
struct ancestry {
	struct vhdx *parent;
	struct lineage lineage;
};

static void end_ancestry(struct ancestry *ancestry)
{
	vhdx_close(ancestry->parent);
	vhdx_lineage_free(&ancestry->lineage);
}

#define auto_ancestry __attribute__((cleanup(end_ancestry)))

/* The parent must be an image that can be opened as one. */
static int open_parent(const struct vhdx_create_options *options, struct vhdx **ret_parent)
{
	if (!options->parent)
		return vhdx_fail_argument("a differencing disk without a parent");
	uint32_t flags = options->parent_options ? options->parent_options->flags : 0;

	if (flags & VHDX_OPEN_EXAMINE)
		return vhdx_fail_argument(
			"a parent opened with VHDX_OPEN_EXAMINE (expected a sound one)");
	if (flags & VHDX_OPEN_WRITE)
		return vhdx_fail_argument(
			"a parent opened with VHDX_OPEN_WRITE (expected it to be read only)");
	return vhdx_open(options->parent, options->parent_options, ret_parent);
}

/* Sizes are the parent's; another one may be named only if it is the same. */
static int inherit(const struct lineage *lineage, struct vhdx_create_options *options)
{
	uint64_t size = lineage->info.virtual_size;
	char own[SIZE_TEXT_MAX], parents[SIZE_TEXT_MAX];

	if (options->virtual_size && options->virtual_size != size)
		return vhdx_fail_argument(
			"a child of %s (expected its parent's %s, which need not be given)",
			vhdx_size_text(options->virtual_size, own), vhdx_size_text(size, parents));
	options->virtual_size = size;
	return vhdx_lineage_sectors(lineage, options);
}

/* Opens the parent of a differencing image, and completes the options by it. */
static int begin_ancestry(struct vhdx_create_options *options, struct ancestry *ret_ancestry)
{
	if (options->type != VHDX_DIFFERENCING)
		return options->parent || options->windows_path
			       ? vhdx_fail_argument("a parent for a disk that is not differencing")
			       : 0;
	int ret = options->windows_path ? vhdx_link_check_windows_path(options->windows_path) : 0;

	if (!ret)
		ret = open_parent(options, &ret_ancestry->parent);
	if (!ret)
		ret = vhdx_lineage_begin(ret_ancestry->parent, &ret_ancestry->lineage);
	return ret ? ret : inherit(&ret_ancestry->lineage, options);
}

/* @child: its path; NULL for storage, from which the parent's path is recorded as from the current folder. */
static int complete_plan(const char *child, const struct vhdx_create_options *options,
			 struct ancestry *ancestry, struct image_plan *plan)
{
	const struct vhdx_open_options *how = options->parent_options;

	if (!ancestry->parent)
		return 0;
	int ret = vhdx_lineage_find(&ancestry->lineage, child, options->parent,
				    how ? how->warning : NULL, how ? how->opaque : NULL);

	return ret ? ret : vhdx_lineage_complete(&ancestry->lineage, options, plan);
}

static int fill_file(const struct new_file *file, const struct vhdx_create_options *options,
		     struct ancestry *ancestry, struct image_plan *plan)
{
	int ret = complete_plan(file->path, options, ancestry, plan);

	return ret ? ret : vhdx_build_empty(&file->io, file->path, plan);
}

/* What both ways of creating begin with; *ret_options is the caller's, completed from the parent. */
static int begin(const struct vhdx_create_options *options, struct vhdx_create_options *ret_options,
		 struct ancestry *ret_ancestry, struct image_plan *ret_plan)
{
	int ret = vhdx_adopt_needed(options, "vhdx_create_options", sizeof(*ret_options),
				    ret_options);

	if (!ret)
		ret = begin_ancestry(ret_options, ret_ancestry);
	return ret ? ret : vhdx_plan_image(ret_options, false, ret_plan);
}

int vhdx_create(const char *path, const struct vhdx_create_options *options)
{
	auto_ancestry struct ancestry ancestry = {0};
	struct vhdx_create_options own;
	struct image_plan plan;
	struct new_file file;

	if (!path)
		return vhdx_fail_argument("vhdx_create: no path");
	int ret = begin(options, &own, &ancestry, &plan);

	if (ret)
		return ret;
	bool force = own.flags & VHDX_CREATE_FORCE;
	struct stat st;

	if (force && !stat(path, &st) && vhdx_disk_uses_file(ancestry.parent, &st))
		ret = vhdx_fail(-EINVAL, NO_PROBLEM, path, VHDX_NO_OFFSET,
				"is in the chain of the new disk's parent (expected another file)");
	if (!ret)
		ret = vhdx_new_file(path, force, false, &file);
	if (ret)
		return ret;
	ret = fill_file(&file, &own, &ancestry, &plan);
	if (!ret)
		return vhdx_new_file_publish(&file, plan.durable);
	vhdx_new_file_discard(&file);
	return ret;
}

int vhdx_create_io(const struct vhdx_io *io, const struct vhdx_create_options *options)
{
	auto_ancestry struct ancestry ancestry = {0};
	struct vhdx_create_options own;
	struct image_plan plan;
	int ret = begin(options, &own, &ancestry, &plan);

	if (!ret)
		ret = complete_plan(NULL, &own, &ancestry, &plan);
	return ret ? ret : vhdx_build_empty(io, STORAGE_NAME, &plan);
}
