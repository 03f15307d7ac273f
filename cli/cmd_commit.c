/* SPDX-License-Identifier: MIT */
/* vhdx commit: what a child holds goes into its parent, or into one further up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "lineage.h"

#include "disk.h"
#include "options.h"
#include "progress.h"
#include "report.h"

enum {
	OPTION_INTO = OPTION_FIRST,
	OPTION_DELETE,
	OPTION_FORCE,
};

static const struct option_row rows[] = {
	{OPTION_INTO, "into", "ANCESTOR", "merge into this one and not into the nearest parent"},
	{OPTION_DELETE, "delete", NULL, "remove the merged files at the end, CHILD first"},
	{OPTION_FORCE, "force", NULL, "go on although other children break by it"},
	{0, NULL, NULL, NULL},
};

struct commit {
	const char *into;
	bool delete;
	bool force;
};

static bool take_option(void *opaque, int id, const char *value)
{
	struct commit *commit = opaque;

	switch (id) {
	case OPTION_INTO:
		commit->into = value;
		return true;
	case OPTION_DELETE:
		commit->delete = true;
		return true;
	case OPTION_FORCE:
		commit->force = true;
		return true;
	default:
		return false;
	}
}

/* A file that was merged. */
struct layer {
	char *path; /* without symbolic links */
	struct stat file;
};

struct layers {
	struct layer *list; /* from the child on */
	unsigned count;
};

static void layers_free(struct layers *layers)
{
	for (unsigned i = 0; i < layers->count; i++)
		free(layers->list[i].path);
	free(layers->list);
}

#define auto_layers __attribute__((cleanup(layers_free)))

/* How many parents of the child the merge concerns. */
static int find_depth(const char *child, const struct commit *commit, const struct options *options,
		      unsigned *ret_depth)
{
	struct vhdx_open_options how = chain_open_options(&options->chain, 0);
	struct stat ancestor;
	struct vhdx *disk;

	*ret_depth = 1;
	if (!commit->into)
		return STATUS_DONE;
	if (stat(commit->into, &ancestor))
		return report_errno(commit->into, "cannot be found", errno);
	how.warning = NULL; /* it is opened again */
	if (vhdx_open(child, &how, &disk))
		return report_failure(child);
	int depth = lineage_find(disk, &ancestor);

	vhdx_close(disk);
	if (depth <= 0)
		return report_error(commit->into, "is no ancestor of %s", child);
	*ret_depth = (unsigned)depth;
	return STATUS_DONE;
}

static int open_chain(const char *child, const struct options *options, unsigned depth,
		      struct vhdx **ret_disk)
{
	struct vhdx_open_options how = chain_open_options(&options->chain, VHDX_OPEN_WRITE);

	if (options->chain.flags & VHDX_OPEN_NO_PARENT)
		return report_error(child, "cannot be merged without its parent (--no-parent)");
	how.write_parents = depth;
	return vhdx_open(child, &how, ret_disk) ? report_failure(child) : STATUS_DONE;
}

static int note_layer(struct layers *layers, const char *path)
{
	struct layer *layer = &layers->list[layers->count];

	layer->path = realpath(path, NULL);
	if (!layer->path || stat(layer->path, &layer->file))
		return report_errno(path, "cannot be found again", errno);
	layers->count++;
	return STATUS_DONE;
}

/* The files above the ancestor, and the ancestor. */
static int note_layers(struct vhdx *disk, unsigned depth, struct layers *layers,
		       struct vhdx **ret_ancestor)
{
	int status = STATUS_DONE;

	layers->list = calloc(depth, sizeof(*layers->list));
	if (!layers->list)
		return report_error(NULL, "out of memory");
	for (unsigned i = 0; i < depth && !status; i++) {
		status = note_layer(layers, lineage_path(disk));
		disk = vhdx_get_parent(disk);
	}
	*ret_ancestor = disk;
	return status;
}

static int merge(struct vhdx *disk, struct vhdx *ancestor, const struct commit *commit,
		 const struct options *options)
{
	struct vhdx_commit_options how = {
		.size = sizeof(how),
		.flags = (commit->force ? VHDX_COMMIT_FORCE : 0) |
			 (commit->delete ? VHDX_COMMIT_REMOVING : 0),
		.into = ancestor,
		.progress = progress_update,
	};
	struct progress progress;

	progress_begin(&progress, options);
	how.opaque = &progress;
	int result = vhdx_commit(disk, &how);

	progress_end(&progress, !result);
	return result ? report_failure(lineage_path(disk)) : STATUS_DONE;
}

/* Only what is still the file that was merged. */
static int remove_layers(const struct layers *layers)
{
	for (unsigned i = 0; i < layers->count; i++) {
		const struct layer *layer = &layers->list[i];
		struct stat st;

		if (lstat(layer->path, &st) || !lineage_is_same_file(&st, &layer->file))
			return report_error(
				layer->path,
				"is not the file any more that was merged: not removed");
		if (unlink(layer->path))
			return report_errno(layer->path, "cannot be removed", errno);
	}
	return STATUS_DONE;
}

static int run_chain(const char *child, unsigned depth, const struct commit *commit,
		     const struct options *options)
{
	auto_layers struct layers layers = {0};
	auto_free char *into = NULL;
	struct vhdx *ancestor = NULL;
	struct vhdx *disk;
	int status = open_chain(child, options, depth, &disk);

	if (status)
		return status;
	status = note_layers(disk, depth, &layers, &ancestor);
	if (!status)
		into = strdup(lineage_path(ancestor));
	if (!status)
		status = merge(disk, ancestor, commit, options);
	status = report_close(disk, child, status);
	if (!status && commit->delete)
		status = remove_layers(&layers);
	if (!status && !options->quiet)
		printf("Merged %s into %s.\n", child, commit->into ? commit->into : into);
	return status;
}

static int run(int argc, char **argv)
{
	struct commit commit = {0};
	auto_options struct options options;
	unsigned depth = 0;

	if (!options_parse(&options, &verb_commit, argc, argv, take_option, &commit))
		return options.status;
	const char *child = options.operands[0];
	int status = disk_must_be_file(child, "is not merged from there");

	if (!status)
		status = disk_refuse_parent_uris(&options.chain);
	if (!status)
		status = find_depth(child, &commit, &options, &depth);
	return status ? status : run_chain(child, depth, &commit, &options);
}

const struct verb verb_commit = {
	.name = "commit",
	.summary = "Merge a child into its parent",
	.operands = "CHILD",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_WRITE | OPTIONS_PROGRESS,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.details =
		"The parent then reads as CHILD does; it grows first if CHILD is larger. With --into, the\n"
		"children between are merged with it. CHILD and they stay, and read as before, unless\n"
		"--delete is given. Other children of the same parents would break: if there are any beside\n"
		"them, nothing is done without --force. After a crash or an interrupt the same command\n"
		"finishes; until then CHILD reads as before.",
	.run = run,
};
