/* SPDX-License-Identifier: MIT */
/*
 * vhdx_diff: a new child that holds exactly the sectors in which contents differ from a base. It is written
 * as any disk is, in a file that has no name yet.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/options.h"
#include "ops/build.h"
#include "ops/differ.h"
#include "ops/lineage.h"
#include "ops/link.h"
#include "ops/samefile.h"
#include "store/io.h"
#include "store/newfile.h"
#include "vdisk/child.h"

#define STORAGE_NAME "(storage)"

struct diff {
	struct vhdx *base;
	struct source first; /* the base as contents */
	struct source second;
	struct vhdx_diff_options options;
	struct vhdx_create_options create;
	struct lineage lineage;
	struct image_plan plan;

	struct vhdx *child;
	uint64_t zero_start; /* sectors that must become zeros, and wait for others behind them */
	uint64_t zero_end;
};

/* ---- What differs ---- */

/* Whole blocks become zero by their state, so zeros are put together up to a block's end. */
static int write_zeros(struct diff *diff)
{
	uint64_t start = diff->zero_start;
	uint64_t length = diff->zero_end - start;

	diff->zero_start = diff->zero_end;
	return length ? vhdx_zero(diff->child, start, length, VHDX_ZERO_MAY_UNMAP) : 0;
}

static int add_zeros(struct diff *diff, uint64_t offset, uint64_t length)
{
	int ret = offset == diff->zero_end ? 0 : write_zeros(diff);

	if (ret)
		return ret;
	if (offset != diff->zero_end)
		diff->zero_start = offset;
	diff->zero_end = offset + length;
	return diff->zero_end % diff->plan.block_size ? 0 : write_zeros(diff);
}

static int take_difference(void *opaque, uint64_t offset, uint64_t length, const void *bytes)
{
	struct diff *diff = opaque;

	if (!bytes)
		return add_zeros(diff, offset, length);
	int ret = write_zeros(diff);

	return ret ? ret : vhdx_pwrite(diff->child, bytes, (size_t)length, offset, 0);
}

static int write_differences(struct diff *diff)
{
	struct differ differ = {
		.first = &diff->first,
		.second = &diff->second,
		.sector_size = diff->plan.logical_sector_size,
		.end = diff->plan.virtual_size,
		.found = take_difference,
		.opaque = diff,
		.progress = diff->options.progress,
		.progress_opaque = diff->options.opaque,
	};
	int ret = vhdx_differ(&differ);

	return ret ? ret : write_zeros(diff);
}

/* ---- The child ---- */

/* @path: the child's; NULL: it has none. */
static int complete_plan(struct diff *diff, const char *path)
{
	const struct vhdx_diff_options *options = &diff->options;
	struct lineage *lineage = &diff->lineage;
	int ret = 0;

	if (!options->relative_path)
		ret = vhdx_lineage_find(lineage, path, lineage->info.path, options->warning,
					options->opaque);
	else if (!(lineage->relative = strdup(options->relative_path)))
		ret = vhdx_fail_memory();
	return ret ? ret : vhdx_lineage_complete(lineage, &diff->create, &diff->plan);
}

static int fill(struct diff *diff, const struct vhdx_io *io, const char *name)
{
	uint32_t flags = diff->plan.no_holes ? VHDX_OPEN_NO_HOLES : 0;
	struct image_plan plan = diff->plan;

	plan.durable = false;
	int ret = vhdx_build_empty(io, name, &plan);

	if (!ret)
		ret = vhdx_child_open(io, name, flags, diff->base, &diff->child);
	if (ret)
		return ret;
	ret = write_differences(diff);
	if (!ret)
		return vhdx_child_close(diff->child);
	vhdx_child_drop(diff->child);
	return ret;
}

/* ---- Before anything is written ---- */

static int check_base(const struct vhdx *base)
{
	const struct vhdx_error *fault = vhdx_get_fault(base);

	if (!base)
		return vhdx_fail_argument("vhdx_diff: no base");
	if (fault)
		return vhdx_fail(fault->errnum, (enum problem)fault->problem, fault->file,
				 fault->offset, "%s", fault->text);
	if (disk_is_writable(base))
		return vhdx_fail_argument("a base that is open for writing (expected it to be read "
					  "only)");
	if (image_has_parent(&base->image) && !base->parent)
		return vhdx_fail_argument("a base without its parent (expected its whole chain)");
	return 0;
}

static int check_contents(const struct source *contents)
{
	if (contents->size == SIZE_UNKNOWN)
		return vhdx_fail(-EINVAL, NO_PROBLEM, contents->name, VHDX_NO_OFFSET,
				 "has no size before its end (expected a file or a device)");
	if (!contents->size)
		return vhdx_fail(-EINVAL, NO_PROBLEM, contents->name, VHDX_NO_OFFSET,
				 "is empty, which a virtual disk cannot be");
	return 0;
}

static int plan_child(struct diff *diff)
{
	const struct vhdx_diff_options *options = &diff->options;
	struct vhdx_create_options *create = &diff->create;

	*create = (struct vhdx_create_options){
		.size = sizeof(*create),
		.flags = options->flags,
		.type = VHDX_DIFFERENCING,
		.block_size = options->block_size,
		.log_length = options->log_length,
		.windows_path = options->windows_path,
	};
	int ret = create->windows_path ? vhdx_link_check_windows_path(create->windows_path) : 0;

	if (!ret)
		ret = vhdx_lineage_begin(diff->base, &diff->lineage);
	if (!ret)
		ret = vhdx_lineage_sectors(&diff->lineage, create);
	if (ret)
		return ret;
	create->virtual_size = round_up_saturated(diff->second.size, create->logical_sector_size);
	return vhdx_plan_image(create, false, &diff->plan);
}

static void end(struct diff *diff)
{
	vhdx_lineage_free(&diff->lineage);
	vhdx_source_close(&diff->second);
	vhdx_source_close(&diff->first);
}

#define auto_diff __attribute__((cleanup(end)))

static int begin(struct diff *diff, struct vhdx *base, const struct vhdx_source *contents,
		 const struct vhdx_diff_options *options)
{
	struct vhdx_source first = {.size = sizeof(first), .disk = base};
	int ret = check_base(base);

	diff->base = base;
	if (!ret)
		ret = vhdx_adopt_options(options, "vhdx_diff_options", sizeof(diff->options),
					 &diff->options);
	if (!ret)
		ret = vhdx_source_open(&first, false, &diff->first);
	if (!ret)
		ret = vhdx_source_open(contents, false, &diff->second);
	if (!ret)
		ret = check_contents(&diff->second);
	return ret ? ret : plan_child(diff);
}

/* What the child replaces must not be what it is made from. */
static int check_not_in_use(const struct diff *diff, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return 0;
	if (!vhdx_disk_uses_file(diff->base, &st) && !vhdx_source_uses_file(&diff->second, &st))
		return 0;
	return vhdx_fail(-EINVAL, NO_PROBLEM, path, VHDX_NO_OFFSET,
			 "is what is compared, or a part of its chain (expected another file)");
}

int vhdx_diff(struct vhdx *base, const struct vhdx_source *contents, const char *path,
	      const struct vhdx_diff_options *options)
{
	auto_diff struct diff diff = {0};
	struct new_file file;

	if (!path)
		return vhdx_fail_argument("vhdx_diff: no path");
	int ret = begin(&diff, base, contents, options);

	if (!ret)
		ret = check_not_in_use(&diff, path);
	if (!ret)
		ret = vhdx_new_file(path, diff.options.flags & VHDX_CREATE_FORCE, false, &file);
	if (ret)
		return ret;
	ret = complete_plan(&diff, file.path);
	if (!ret)
		ret = fill(&diff, &file.io, file.path);
	if (!ret)
		return vhdx_new_file_publish(&file, diff.plan.durable);
	vhdx_new_file_discard(&file);
	return ret;
}

int vhdx_diff_io(struct vhdx *base, const struct vhdx_source *contents, const struct vhdx_io *io,
		 const struct vhdx_diff_options *options)
{
	auto_diff struct diff diff = {0};
	struct vhdx_io own;
	int ret = vhdx_io_adopt(io, &own);

	if (!ret)
		ret = begin(&diff, base, contents, options);
	if (!ret)
		ret = complete_plan(&diff, NULL);
	if (!ret)
		ret = fill(&diff, &own, STORAGE_NAME);
	if (ret || !diff.plan.durable)
		return ret;
	ret = vhdx_io_flush(&own);
	return ret ? vhdx_fail_errno(ret, STORAGE_NAME, "cannot be made durable") : 0;
}
