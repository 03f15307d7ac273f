/* SPDX-License-Identifier: MIT */
/* What a new differencing image says of its parent, and takes over from it (F 5, F 8). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "ops/lineage.h"
#include "ops/link.h"

int vhdx_lineage_begin(const struct vhdx *parent, struct lineage *ret_lineage)
{
	struct lineage lineage = {.parent = parent, .info = {.size = sizeof(lineage.info)}};
	unsigned depth = 2;
	int ret = vhdx_get_info(parent, &lineage.info);

	if (ret)
		return ret;
	for (struct vhdx *disk = vhdx_get_parent(parent); disk; disk = vhdx_get_parent(disk))
		depth++;
	if (depth > MAX_CHAIN_DEPTH)
		return vhdx_fail(-EINVAL, PROBLEM_CHAIN_DEPTH, lineage.info.path, VHDX_NO_OFFSET,
				 "its chain has %u images already (expected less than %u)",
				 depth - 1, MAX_CHAIN_DEPTH);
	*ret_lineage = lineage;
	return 0;
}

int vhdx_lineage_sectors(const struct lineage *lineage, struct vhdx_create_options *options)
{
	uint32_t logical = lineage->info.logical_sector_size;

	if (options->logical_sector_size && options->logical_sector_size != logical)
		return vhdx_fail_argument(
			"a child with a logical sector size of %u (expected its parent's %u)",
			options->logical_sector_size, logical);
	options->logical_sector_size = logical;
	if (!options->physical_sector_size)
		options->physical_sector_size =
			(uint32_t)max_u64(lineage->info.physical_sector_size, logical);
	return 0;
}

/* The folder of the file at @path, or the current one. */
static char *folder_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
}

int vhdx_lineage_find(struct lineage *lineage, const char *child, const char *parent,
		      void (*warning)(void *opaque, const char *file, const char *text),
		      void *opaque)
{
	auto_free char *folder = folder_of(child);

	if (!folder)
		return vhdx_fail_memory();
	auto_free char *from = realpath(folder, NULL);
	auto_free char *to = from ? realpath(parent, NULL) : NULL;

	if (!to)
		return vhdx_fail_errno(-errno, from ? parent : folder, "cannot be resolved");
	int ret = vhdx_link_relative(from, to, &lineage->relative);

	if (!ret && warning && !strncmp(lineage->relative, "..", 2))
		warning(opaque, parent,
			"lies outside the folder of its new child: to open that, its own folder "
			"must be given as one for parents, or any be allowed");
	return ret;
}

static int make_locator(struct lineage *lineage, const char *windows_path,
			struct plan_item *ret_item)
{
	size_t size;
	int ret = vhdx_link_encode(&lineage->info.data_write_guid, lineage->relative, windows_path,
				   &lineage->locator, &size);

	if (!ret)
		*ret_item = (struct plan_item){ITEM_PARENT_LOCATOR, ITEM_IS_REQUIRED,
					       (uint32_t)size, lineage->locator};
	return ret;
}

int vhdx_lineage_complete(struct lineage *lineage, const struct vhdx_create_options *options,
			  struct image_plan *plan)
{
	int ret = vhdx_fork_items(lineage->parent, &lineage->forked);

	if (ret)
		return ret;
	lineage->items = calloc(1 + (size_t)lineage->forked.count, sizeof(*lineage->items));
	if (!lineage->items)
		return vhdx_fail_memory();
	ret = make_locator(lineage, options->windows_path, &lineage->items[0]);
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

void vhdx_lineage_free(struct lineage *lineage)
{
	vhdx_forked_items_free(&lineage->forked);
	free(lineage->items);
	free(lineage->locator);
	free(lineage->relative);
	*lineage = (struct lineage){0};
}
