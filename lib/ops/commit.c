/* SPDX-License-Identifier: MIT */
/*
 * vhdx_commit: merges layers of a chain into one of the ancestors. Meanwhile the ancestor's child names both
 * of its DataWriteGuids, the one of before and the one to come (F 8), so the chain opens after any crash;
 * and it reads the same, for what is merged is hidden by the layers that it came from.
 */
#include <errno.h>
#include <string.h>

#include "base/guid.h"
#include "base/options.h"
#include "base/rules.h"
#include "ops/link.h"
#include "ops/merge.h"
#include "ops/relink.h"
#include "vdisk/parentage.h"
#include "vdisk/writer.h"

#define COMMIT_FLAGS (VHDX_COMMIT_FORCE | VHDX_COMMIT_REMOVING)

struct commit {
	struct vhdx_commit_options options;
	struct vhdx *leaf;
	struct vhdx *ancestor;
	struct vhdx *child; /* of the ancestor, on the way from the leaf */
	unsigned layers;
	struct vhdx_guid new_guid;
};

/* ---- What must be so ---- */

/* The ancestor, and how far it is. */
static int find_ancestor(struct commit *commit)
{
	struct vhdx *wanted = commit->options.into;

	for (struct vhdx *disk = commit->leaf; disk->parent; disk = disk->parent) {
		commit->child = disk;
		commit->ancestor = disk->parent;
		commit->layers++;
		if (!wanted || wanted == disk->parent)
			return 0;
	}
	if (!commit->layers)
		return vhdx_fail(-EINVAL, NO_PROBLEM, commit->leaf->name, VHDX_NO_OFFSET,
				 "has no open parent to be merged into");
	return vhdx_fail_argument("vhdx_commit_options: into is no ancestor of the disk");
}

/* A chain that was opened although it does not fit together must not be made to look as if it did. */
static int check_link(const struct vhdx *child)
{
	if (vhdx_linkage_matches(&child->image.locator, &child->parent->info.data_write_guid))
		return 0;
	return vhdx_fail(-EUCLEAN, PROBLEM_PARENT_MISMATCH, child->name, VHDX_NO_OFFSET,
			 "its parent %s is not the image that it was made from, or was changed "
			 "since (expected it unchanged, to be merged into)",
			 child->parent->name);
}

static int check_links(const struct commit *commit)
{
	int ret = 0;

	for (const struct vhdx *disk = commit->leaf; disk != commit->ancestor && !ret;
	     disk = disk->parent)
		ret = check_link(disk);
	for (const struct vhdx *disk = commit->leaf; disk != commit->ancestor->parent && !ret;
	     disk = disk->parent)
		if (!disk->writer)
			ret = vhdx_fail(-EROFS, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
					"is not open for writing (expected all that a merge "
					"concerns: write_parents of at least %u)",
					commit->layers);
	return ret;
}

/* A visitor: one is too many. */
static bool fail_of_child(void *opaque, const char *name)
{
	const struct vhdx *parent = opaque;

	vhdx_fail(-EBUSY, NO_PROBLEM, parent->name, VHDX_NO_OFFSET,
		  "is also the parent of %s beside it, which the merge would break (expected no "
		  "other child, or force)",
		  name);
	return false;
}

struct search_for_child {
	struct vhdx *parent;
	bool found;
};

static bool note_child(void *opaque, const char *name)
{
	struct search_for_child *search = opaque;

	search->found = true;
	return fail_of_child(search->parent, name);
}

static int check_children_of(struct vhdx *parent, const struct vhdx *except)
{
	struct search_for_child search = {parent, false};

	vhdx_each_child(parent, except, note_child, &search);
	return search.found ? -EBUSY : 0;
}

/* Whoever else has one of the merged layers, or the ancestor, for its parent reads other contents afterwards. */
static int check_children(const struct commit *commit)
{
	int ret = 0;

	if (commit->options.flags & VHDX_COMMIT_FORCE)
		return 0;
	if (commit->options.flags & VHDX_COMMIT_REMOVING)
		ret = check_children_of(commit->leaf, NULL);
	for (struct vhdx *disk = commit->leaf; disk != commit->ancestor && !ret;
	     disk = disk->parent)
		ret = check_children_of(disk->parent, disk);
	return ret;
}

/* ---- The linkage (F 8) ---- */

/* The child of the ancestor names @first, and @second too. */
static int link_to(const struct commit *commit, const struct vhdx_guid *first,
		   const struct vhdx_guid *second)
{
	char linkage[LINKAGE_TEXT_SIZE];
	char linkage2[LINKAGE_TEXT_SIZE];
	const struct locator_pair changes[] = {{KEY_LINKAGE, linkage}, {KEY_LINKAGE_2, linkage2}};

	vhdx_link_guid_text(first, linkage);
	vhdx_link_guid_text(second, linkage2);
	return vhdx_relink(commit->child, changes, ARRAY_SIZE(changes));
}

static const struct vhdx_guid no_guid;

/* From here on the chain opens whichever of the two the ancestor has. */
static int link_to_both(struct commit *commit)
{
	struct guid_source source = vhdx_guid_source(NULL, 0);
	int ret = vhdx_guid_next(&source, &commit->new_guid);

	if (ret)
		return vhdx_fail_errno(ret, commit->ancestor->name,
				       "there is no randomness for its GUIDs");
	if (!OBEYS(RULE_LINK_BOTH))
		return link_to(commit, &commit->new_guid, &no_guid);
	return link_to(commit, &commit->ancestor->info.data_write_guid, &commit->new_guid);
}

/* Passes the ancestor's gate, by which its header gets the new GUID, once a session. */
static int begin_session(const struct commit *commit)
{
	commit->ancestor->writer->given_data_write = commit->new_guid;
	return vhdx_gate_pass(commit->ancestor, GATE_DATA);
}

/* The merge is over, complete or not: only the new GUID is left, where the ancestor surely has it. */
static int link_to_new(const struct commit *commit)
{
	if (!guid_equal(&commit->ancestor->info.data_write_guid, &commit->new_guid))
		return 0;
	return link_to(commit, &commit->new_guid, &no_guid);
}

/* ---- The merge ---- */

static int grow(const struct commit *commit)
{
	uint64_t size = commit->leaf->image.virtual_size;

	if (commit->ancestor->image.virtual_size >= size)
		return 0;
	int ret = vhdx_resize(commit->ancestor, size, NULL);

	return ret ? ret : begin_session(commit); /* resizing has ended the session */
}

static int merge(const struct commit *commit)
{
	struct merge merge = {
		.leaf = commit->leaf,
		.ancestor = commit->ancestor,
		.layers = commit->layers,
		.progress = commit->options.progress,
		.opaque = commit->options.opaque,
	};
	int ret = begin_session(commit);

	if (!ret)
		ret = grow(commit);
	if (!ret)
		ret = vhdx_merge_items(&merge);
	if (!ret)
		ret = vhdx_merge_contents(&merge);
	return ret ? ret : vhdx_flush(commit->ancestor);
}

/* Ends the sessions of both, and learns what they are now. */
static int renew(const struct commit *commit)
{
	int ret = vhdx_disk_renew(commit->child);

	return ret ? ret : vhdx_disk_renew(commit->ancestor);
}

/* After a failure the linkage is still made simple if that can be; the failure is what is told. */
static int finish(const struct commit *commit, int result)
{
	struct kept_error failure = {0};

	if (!result) {
		int ret = link_to_new(commit);

		return ret ? ret : renew(commit);
	}
	vhdx_error_keep(&failure);
	link_to_new(commit);
	vhdx_error_raise(&failure);
	vhdx_error_drop(&failure);
	return result;
}

/* The ancestor must not be ahead of what it got its contents from. */
static int flush_layers(const struct commit *commit)
{
	int ret = 0;

	for (struct vhdx *disk = commit->leaf; disk != commit->ancestor && !ret;
	     disk = disk->parent)
		ret = vhdx_flush(disk);
	return ret;
}

static int run(struct commit *commit)
{
	int ret = find_ancestor(commit);

	if (!ret)
		ret = check_links(commit);
	if (!ret)
		ret = check_children(commit);
	if (!ret)
		ret = flush_layers(commit);
	if (!ret)
		ret = link_to_both(commit);
	return ret ? ret : finish(commit, merge(commit));
}

int vhdx_commit(struct vhdx *disk, const struct vhdx_commit_options *options)
{
	struct commit commit = {.leaf = disk};

	if (!disk)
		return vhdx_fail_argument("vhdx_commit: no disk");
	int ret = vhdx_adopt_options(options, "vhdx_commit_options", sizeof(commit.options),
				     &commit.options);

	if (!ret && commit.options.flags & ~COMMIT_FLAGS)
		ret = vhdx_fail_argument("vhdx_commit_options: unknown flags %#x",
					 commit.options.flags & ~COMMIT_FLAGS);
	if (!ret)
		ret = disk_check_readable(disk);
	return ret ? ret : run(&commit);
}
