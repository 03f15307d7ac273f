/* SPDX-License-Identifier: MIT */
/* vhdx_create, vhdx_create_io: a new image without contents, or a child of another. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "ops/build.h"
#include "ops/fork.h"
#include "ops/link.h"
#include "base/options.h"
#include "ops/samefile.h"
#include "store/newfile.h"

#define STORAGE_NAME "(storage)"

/* What a differencing image takes from its parent. All zero for other types. */
struct lineage {
	struct vhdx *parent; /* open, and so locked, until the child is there */
	struct vhdx_info info;
	void *locator;
	struct forked_items forked;
	struct plan_item *items;
};

static void end_lineage(struct lineage *lineage)
{
	vhdx_close(lineage->parent);
	vhdx_forked_items_free(&lineage->forked);
	free(lineage->items);
	free(lineage->locator);
}

#define auto_lineage __attribute__((cleanup(end_lineage)))

/* The parent must be an image that can be opened as one. */
static int open_parent(const struct vhdx_create_options *options, struct lineage *lineage)
{
	unsigned depth = 2;

	if (!options->parent)
		return vhdx_fail_argument("a differencing disk without a parent");
	uint32_t flags = options->parent_options ? options->parent_options->flags : 0;

	if (flags & VHDX_OPEN_EXAMINE)
		return vhdx_fail_argument(
			"a parent opened with VHDX_OPEN_EXAMINE (expected a sound one)");
	if (flags & VHDX_OPEN_WRITE)
		return vhdx_fail_argument(
			"a parent opened with VHDX_OPEN_WRITE (expected it to be read only)");
	int ret = vhdx_open(options->parent, options->parent_options, &lineage->parent);

	if (ret)
		return ret;
	for (struct vhdx *disk = vhdx_get_parent(lineage->parent); disk;
	     disk = vhdx_get_parent(disk))
		depth++;
	if (depth > MAX_CHAIN_DEPTH)
		return vhdx_fail(-EINVAL, PROBLEM_CHAIN_DEPTH, options->parent, VHDX_NO_OFFSET,
				 "its chain has %u images already (expected less than %u)",
				 depth - 1, MAX_CHAIN_DEPTH);
	lineage->info.size = sizeof(lineage->info);
	return vhdx_get_info(lineage->parent, &lineage->info);
}

/* Sizes are the parent's; another one may be named only if it is the same. */
static int inherit(const struct vhdx_info *parent, struct vhdx_create_options *options)
{
	uint32_t logical = parent->logical_sector_size;

	if (options->virtual_size && options->virtual_size != parent->virtual_size)
		return vhdx_fail_argument("a child of %" PRIu64
					  " bytes (expected its parent's %" PRIu64 ")",
					  options->virtual_size, parent->virtual_size);
	if (options->logical_sector_size && options->logical_sector_size != logical)
		return vhdx_fail_argument(
			"a child with a logical sector size of %u (expected its parent's %u)",
			options->logical_sector_size, logical);
	options->virtual_size = parent->virtual_size;
	options->logical_sector_size = logical;
	if (!options->physical_sector_size)
		options->physical_sector_size =
			(uint32_t)max_u64(parent->physical_sector_size, logical);
	return 0;
}

/* Opens the parent of a differencing image, and completes the options by it. */
static int begin_lineage(struct vhdx_create_options *options, struct lineage *ret_lineage)
{
	if (options->type != VHDX_DIFFERENCING)
		return options->parent || options->windows_path
			       ? vhdx_fail_argument("a parent for a disk that is not differencing")
			       : 0;
	int ret = options->windows_path ? vhdx_link_check_windows_path(options->windows_path) : 0;

	if (!ret)
		ret = open_parent(options, ret_lineage);
	return ret ? ret : inherit(&ret_lineage->info, options);
}

/* A child elsewhere than its parent can be made, but not opened without being told where that may be. */
static void warn_of_distance(const struct vhdx_create_options *options, const char *relative)
{
	const struct vhdx_open_options *how = options->parent_options;

	if (how && how->warning && !strncmp(relative, "..", 2))
		how->warning(
			how->opaque, options->parent,
			"lies outside the folder of its new child: to open that, its own folder "
			"must be given as one for parents, or any be allowed");
}

/* The locator, from a folder to the parent. */
static int make_locator(const char *folder, const struct vhdx_create_options *options,
			struct lineage *lineage, struct plan_item *ret_item)
{
	auto_free char *from = realpath(folder, NULL);
	auto_free char *to = from ? realpath(options->parent, NULL) : NULL;
	auto_free char *relative = NULL;
	size_t size;

	if (!to)
		return vhdx_fail_errno(-errno, from ? options->parent : folder,
				       "cannot be resolved");
	int ret = vhdx_link_relative(from, to, &relative);

	if (!ret)
		warn_of_distance(options, relative);
	if (!ret)
		ret = vhdx_link_encode(&lineage->info.data_write_guid, relative,
				       options->windows_path, &lineage->locator, &size);
	if (!ret)
		*ret_item = (struct plan_item){ITEM_PARENT_LOCATOR, ITEM_IS_REQUIRED,
					       (uint32_t)size, lineage->locator};
	return ret;
}

/* What the child says of its parent and takes over from it (F 5, F 8). */
static int complete_lineage(const char *folder, const struct vhdx_create_options *options,
			    struct lineage *lineage, struct image_plan *plan)
{
	if (!lineage->parent)
		return 0;
	int ret = vhdx_fork_items(lineage->parent, &lineage->forked);

	if (ret)
		return ret;
	lineage->items = calloc(1 + (size_t)lineage->forked.count, sizeof(*lineage->items));
	if (!lineage->items)
		return vhdx_fail_memory();
	ret = make_locator(folder, options, lineage, &lineage->items[0]);
	if (ret)
		return ret;
	if (lineage->forked.count)
		memcpy(&lineage->items[1], lineage->forked.items,
		       lineage->forked.count * sizeof(*lineage->items));
	plan->items = lineage->items;
	plan->nitems = 1 + lineage->forked.count;
	ret = vhdx_plan_guids(options, &lineage->info.data_write_guid, plan);
	plan->disk_id = lineage->info.disk_id;
	return ret;
}

static int build_empty(const struct vhdx_io *io, const char *name, const struct image_plan *plan)
{
	struct builder builder;
	int ret = vhdx_builder_begin(io, name, plan, &builder);

	if (ret)
		return ret;
	ret = vhdx_builder_finish(&builder, plan->virtual_size);
	vhdx_builder_free(&builder);
	return ret;
}

static int fill_file(const struct new_file *file, const struct vhdx_create_options *options,
		     struct lineage *lineage, struct image_plan *plan)
{
	const char *slash = strrchr(file->path, '/');
	auto_free char *folder = slash ? strndup(file->path, (size_t)(slash - file->path) + 1)
				       : strdup(".");

	if (!folder)
		return vhdx_fail_memory();
	int ret = complete_lineage(folder, options, lineage, plan);

	return ret ? ret : build_empty(&file->io, file->path, plan);
}

/* What both ways of creating begin with; *ret_options is the caller's, completed from the parent. */
static int begin(const struct vhdx_create_options *options, struct vhdx_create_options *ret_options,
		 struct lineage *ret_lineage, struct image_plan *ret_plan)
{
	int ret = vhdx_adopt_needed(options, "vhdx_create_options", sizeof(*ret_options),
				    ret_options);

	if (!ret)
		ret = begin_lineage(ret_options, ret_lineage);
	return ret ? ret : vhdx_plan_image(ret_options, false, ret_plan);
}

int vhdx_create(const char *path, const struct vhdx_create_options *options)
{
	auto_lineage struct lineage lineage = {0};
	struct vhdx_create_options own;
	struct image_plan plan;
	struct new_file file;

	if (!path)
		return vhdx_fail_argument("vhdx_create: no path");
	int ret = begin(options, &own, &lineage, &plan);

	if (ret)
		return ret;
	bool force = own.flags & VHDX_CREATE_FORCE;
	struct stat st;

	if (force && !stat(path, &st) && vhdx_disk_uses_file(lineage.parent, &st))
		ret = vhdx_fail(-EINVAL, NO_PROBLEM, path, VHDX_NO_OFFSET,
				"is in the chain of the new disk's parent (expected another file)");
	if (!ret)
		ret = vhdx_new_file(path, force, false, &file);
	if (ret)
		return ret;
	ret = fill_file(&file, &own, &lineage, &plan);
	if (!ret)
		return vhdx_new_file_publish(&file, plan.durable);
	vhdx_new_file_discard(&file);
	return ret;
}

/* Storage has no folder: the parent's path is recorded as it is seen from the current one. */
int vhdx_create_io(const struct vhdx_io *io, const struct vhdx_create_options *options)
{
	auto_lineage struct lineage lineage = {0};
	struct vhdx_create_options own;
	struct image_plan plan;
	int ret = begin(options, &own, &lineage, &plan);

	if (!ret)
		ret = complete_lineage(".", &own, &lineage, &plan);
	return ret ? ret : build_empty(io, STORAGE_NAME, &plan);
}
