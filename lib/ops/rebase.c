/* SPDX-License-Identifier: MIT */
/*
 * vhdx_rebase: another parent for a child. What the child would lose by that is copied into it first; then one
 * log entry changes its locator, so a crash shows one parent or the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "ops/lineage.h"
#include "ops/link.h"
#include "ops/relink.h"
#include "ops/takeover.h"
#include "vdisk/parentage.h"
#include "vdisk/writer.h"

#define VOLUME_PREFIX "\\\\?\\Volume{"

struct rebase {
	struct vhdx_rebase_options options;
	struct vhdx *child;
	struct vhdx *parent; /* the new one, beside the child's chain */
	char *relative;	     /* path to it, owned */
};

/* ---- What must be so ---- */

static int check_child(const struct rebase *rebase)
{
	const struct vhdx *child = rebase->child;
	bool is_unsafe = rebase->options.flags & VHDX_REBASE_UNSAFE;

	if (!child->writer)
		return vhdx_fail(-EROFS, NO_PROBLEM, child->name, VHDX_NO_OFFSET,
				 "is not open for writing");
	if (!image_has_parent(&child->image))
		return vhdx_fail(-EINVAL, NO_PROBLEM, child->name, VHDX_NO_OFFSET,
				 "has no parent (expected a differencing disk)");
	if (!is_unsafe && !child->parent)
		return vhdx_fail(-EINVAL, NO_PROBLEM, child->name, VHDX_NO_OFFSET,
				 "is open without its parent, whose contents it needs (expected it "
				 "with its parent, or an unsafe rebase)");
	return 0;
}

static int check_volume_path(const char *path)
{
	if (strncmp(path, VOLUME_PREFIX, strlen(VOLUME_PREFIX)) != 0 || strchr(path, '/') ||
	    !strstr(path, "}\\"))
		return vhdx_fail_argument(
			"the volume path %s (expected \\\\?\\Volume{GUID}\\folder\\file, without "
			"slashes)",
			path);
	return 0;
}

static int check_relative_path(const char *path)
{
	if (*path == '\\' || *path == '/' || (*path && path[1] == ':'))
		return vhdx_fail_argument(
			"the relative path %s (expected one from the child's folder)", path);
	return 0;
}

static bool is_given(const char *path)
{
	return path && *path;
}

static int check_paths(const struct vhdx_rebase_options *options)
{
	int ret = is_given(options->relative_path) ? check_relative_path(options->relative_path)
						   : 0;

	if (!ret && is_given(options->windows_path))
		ret = vhdx_link_check_windows_path(options->windows_path);
	if (!ret && is_given(options->volume_path))
		ret = check_volume_path(options->volume_path);
	return ret;
}

static int check_sectors(const struct rebase *rebase)
{
	uint32_t ours = rebase->child->image.logical_sector_size;
	uint32_t theirs = rebase->parent->image.logical_sector_size;

	if (ours == theirs)
		return 0;
	return vhdx_fail(-EUCLEAN, PROBLEM_PARENT_SECTOR_SIZE, rebase->child->name, VHDX_NO_OFFSET,
			 "has logical sectors of %u bytes, and %s of %u (expected the same)", ours,
			 rebase->parent->name, theirs);
}

/* ---- The locator ---- */

/* As Windows writes it. */
static char *with_backslashes(const char *path)
{
	char *copy = strdup(path);

	for (char *at = copy; at && *at; at++)
		if (*at == '/')
			*at = '\\';
	return copy;
}

/* The way from the folder of the child's file to the parent's. */
static int find_way(struct rebase *rebase)
{
	const struct vhdx_open_options *how = rebase->options.parent_options;
	auto_free char *child = realpath(rebase->child->name, NULL);
	struct lineage lineage = {.relative = NULL};

	if (!child)
		return vhdx_fail_errno(-errno, rebase->child->name, "cannot be resolved");
	int ret = vhdx_lineage_find(&lineage, child, rebase->parent->name,
				    how ? how->warning : NULL, how ? how->opaque : NULL);

	rebase->relative = lineage.relative;
	return ret;
}

static int find_relative_path(struct rebase *rebase)
{
	const char *given = rebase->options.relative_path;

	if (!given && rebase->child->has_identity && rebase->parent->has_identity)
		return find_way(rebase);
	rebase->relative = with_backslashes(given ? given : rebase->options.parent);
	return rebase->relative ? 0 : vhdx_fail_memory();
}

/* What becomes of a path that is not found by itself: given, dropped, or kept while it still says who. */
static const char *choose_path(const struct rebase *rebase, const char *key, const char *given)
{
	const struct locator *locator = &rebase->child->image.locator;

	if (given)
		return *given ? given : NULL;
	return vhdx_linkage_matches(locator, &rebase->parent->info.data_write_guid)
		       ? vhdx_locator_get(locator, key)
		       : NULL;
}

static int change_locator(const struct rebase *rebase)
{
	static const struct vhdx_guid no_guid;
	const struct vhdx_rebase_options *options = &rebase->options;
	bool has_second = vhdx_locator_get(&rebase->child->image.locator, KEY_LINKAGE_2);
	char linkage[LINKAGE_TEXT_SIZE];
	char second[LINKAGE_TEXT_SIZE];
	const struct locator_pair changes[] = {
		{KEY_LINKAGE, linkage},
		{KEY_WIN32_PATH, choose_path(rebase, KEY_WIN32_PATH, options->windows_path)},
		{KEY_RELATIVE_PATH, *rebase->relative ? rebase->relative : NULL},
		{KEY_VOLUME_PATH, choose_path(rebase, KEY_VOLUME_PATH, options->volume_path)},
		{KEY_LINKAGE_2, has_second ? second : NULL},
	};

	if (!changes[1].value && !changes[2].value && !changes[3].value)
		return vhdx_fail_argument(
			"vhdx_rebase_options: every path to the parent is dropped (expected one "
			"that is left)");
	vhdx_link_guid_text(&rebase->parent->info.data_write_guid, linkage);
	vhdx_link_guid_text(&no_guid, second);
	return vhdx_relink(rebase->child, changes, ARRAY_SIZE(changes));
}

/* ---- The rebase ---- */

/* The child's chain goes on with the new parent, and what is left of the old one with @rebase. */
static void swap_parents(struct rebase *rebase)
{
	struct vhdx *old = rebase->child->parent;

	if (!old)
		return;
	rebase->child->parent = rebase->parent;
	rebase->parent = old;
}

static int run(struct rebase *rebase)
{
	const struct vhdx_rebase_options *options = &rebase->options;
	int ret = check_sectors(rebase);

	if (!ret)
		ret = find_relative_path(rebase);
	if (!ret && !(options->flags & VHDX_REBASE_UNSAFE))
		ret = vhdx_take_over(rebase->child, rebase->parent, options->progress,
				     options->opaque);
	if (!ret)
		ret = change_locator(rebase);
	if (ret)
		return ret;
	swap_parents(rebase);
	return vhdx_disk_renew(rebase->child);
}

static int take_options(const struct vhdx_rebase_options *options, struct rebase *rebase)
{
	int ret = vhdx_adopt_needed(options, "vhdx_rebase_options", sizeof(rebase->options),
				    &rebase->options);

	if (ret)
		return ret;
	if (!rebase->options.parent || !*rebase->options.parent)
		return vhdx_fail_argument("vhdx_rebase_options: no parent");
	if (rebase->options.flags & ~VHDX_REBASE_UNSAFE)
		return vhdx_fail_argument("vhdx_rebase_options: unknown flags %#x",
					  rebase->options.flags & ~VHDX_REBASE_UNSAFE);
	return check_paths(&rebase->options);
}

int vhdx_rebase(struct vhdx *disk, const struct vhdx_rebase_options *options)
{
	struct rebase rebase = {.child = disk};

	if (!disk)
		return vhdx_fail_argument("vhdx_rebase: no disk");
	int ret = take_options(options, &rebase);

	if (!ret)
		ret = disk_check_readable(disk);
	if (!ret)
		ret = check_child(&rebase);
	if (!ret)
		ret = vhdx_chain_open_other(disk, rebase.options.parent,
					    rebase.options.parent_options, &rebase.parent);
	if (ret)
		return ret;
	ret = run(&rebase);
	vhdx_close(rebase.parent);
	free(rebase.relative);
	return ret;
}
