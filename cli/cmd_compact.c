/* SPDX-License-Identifier: MIT */
/* vhdx compact: makes an image's file smaller, in place or as a new one. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "freespace.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "text.h"

enum {
	OPTION_DRY_RUN = OPTION_FIRST,
	OPTION_FREE_SPACE,
	OPTION_OUTPUT,
};

static const struct option_row rows[] = {
	{OPTION_DRY_RUN, "dry-run", NULL, "write nothing: say what would be saved"},
	{OPTION_FREE_SPACE, "free-space", NULL,
	 "drop what the ext2, ext3 and ext4 file systems inside do not use"},
	{OPTION_OUTPUT, "output", "NEW", "leave FILE as it is, and write a smaller one"},
	{0, NULL, NULL, NULL},
};

struct compact {
	struct vhdx_compact_options how;
	struct vhdx_compact_result result;
	bool free_space;
	char *others; /* what else is on the disk, and was left alone */
};

static bool is_dry_run(const struct compact *compact)
{
	return compact->how.flags & VHDX_COMPACT_DRY_RUN;
}

static bool take_option(void *opaque, int id, const char *value)
{
	struct compact *compact = opaque;

	switch (id) {
	case OPTION_DRY_RUN:
		compact->how.flags |= VHDX_COMPACT_DRY_RUN;
		return true;
	case OPTION_FREE_SPACE:
		compact->free_space = true;
		return true;
	case OPTION_OUTPUT:
		compact->how.output = value;
		return true;
	default:
		return false;
	}
}

/* ---- What was saved ---- */

static void print_saved(const struct compact *compact)
{
	const struct vhdx_compact_result *result = &compact->result;
	char before[TEXT_SIZE_MAX], after[TEXT_SIZE_MAX], saved[TEXT_SIZE_MAX];

	text_size(result->file_size_before, before);
	text_size(result->file_size_after, after);
	text_size(result->file_size_before - result->file_size_after, saved);
	printf("%s from %s to %s, %s less: %" PRIu64 " of %" PRIu64 " blocks held zeros, %" PRIu64
	       " what nothing uses; %" PRIu64 " %s.\n",
	       is_dry_run(compact) ? "Would shrink" : "Shrunk", before, after, saved, result->zero,
	       result->present, result->unused, result->moved,
	       is_dry_run(compact) ? "would move" : "moved");
}

static void print_nothing(const struct compact *compact)
{
	const struct vhdx_compact_result *result = &compact->result;
	char used[TEXT_SIZE_MAX], size[TEXT_SIZE_MAX];

	text_size(result->kept_bytes, used);
	if (result->keeps_blocks)
		puts("Nothing to save: a fixed disk keeps all its blocks (--output NEW makes a "
		     "dynamic one of it).");
	else if (compact->how.output)
		printf("Nothing saved: %s are in use, and the new file has %s.\n", used,
		       text_size(result->file_size_after, size));
	else if (compact->free_space)
		printf("Nothing to save: %s are in use.\n", used);
	else
		printf("Nothing to save: %s are in use; free space inside the file system is not "
		       "zeroed: run fstrim through 'vhdx mount -w', or use --free-space.\n",
		       used);
}

static void print_json(const struct compact *compact, const char *file)
{
	const struct vhdx_compact_result *result = &compact->result;
	struct json json = {.out = stdout};

	json_begin_object(&json, NULL);
	json_string(&json, "filename", file);
	json_string(&json, "output", compact->how.output);
	json_boolean(&json, "dry-run", is_dry_run(compact));
	json_number(&json, "file-size-before", result->file_size_before);
	json_number(&json, "file-size-after", result->file_size_after);
	json_number(&json, "blocks", result->present);
	json_number(&json, "zero-blocks", result->zero);
	json_number(&json, "unused-blocks", result->unused);
	json_number(&json, "moved-blocks", result->moved);
	json_number(&json, "kept-bytes", result->kept_bytes);
	json_number(&json, "other-bytes", result->other_bytes);
	json_boolean(&json, "fixed", result->keeps_blocks);
	if (compact->free_space)
		json_string(&json, "left-alone", compact->others);
	json_end_object(&json);
}

static void print(const struct compact *compact, const struct options *options)
{
	const struct vhdx_compact_result *result = &compact->result;

	if (options->json)
		print_json(compact, options->operands[0]);
	else if (options->quiet)
		return;
	else if (result->file_size_after < result->file_size_before)
		print_saved(compact);
	else
		print_nothing(compact);
	if (!options->json && compact->others && *compact->others)
		printf("Left alone: %s.\n", compact->others);
}

/* ---- Doing it ---- */

static int compact_disk(struct compact *compact, struct vhdx *disk, const struct options *options)
{
	const char *output = compact->how.output;
	struct progress progress;

	progress_begin(&progress, options);
	compact->how.progress = progress_update;
	compact->how.opaque = &progress;
	int result = vhdx_compact(disk, &compact->how, &compact->result);

	progress_end(&progress, !result);
	if (result == -EEXIST && output)
		return report_error(output, "exists already");
	return result ? report_failure(options->operands[0]) : STATUS_DONE;
}

static int find_and_compact(struct compact *compact, struct vhdx *disk,
			    const struct options *options)
{
	struct free_space *space = NULL;
	int status = STATUS_DONE;

	if (compact->free_space) {
		status = free_space_open(disk, options->operands[0], &space);
		compact->how.is_free = free_space_covers;
		compact->how.is_free_opaque = space;
		if (!status)
			compact->others = strdup(free_space_others(space));
	}
	if (!status)
		status = compact_disk(compact, disk, options);
	free_space_close(space);
	return status;
}

/*
 * Parents are opened where they are needed. That the file has children matters to nobody, unless what it
 * holds changes.
 */
static struct vhdx_open_options open_options(const struct compact *compact,
					     const struct options *options)
{
	bool writes = !is_dry_run(compact) && !compact->how.output;
	bool needs_parents = compact->free_space || compact->how.output;
	struct vhdx_open_options how = chain_open_options(
		&options->chain,
		(writes ? VHDX_OPEN_WRITE : 0) | (needs_parents ? 0 : VHDX_OPEN_NO_PARENT));

	if (writes && !compact->free_space)
		how.warning = NULL;
	return how;
}

static int run(int argc, char **argv)
{
	struct compact compact = {
		.how = {.size = sizeof(compact.how)},
		.result = {.size = sizeof(compact.result)},
	};
	auto_options struct options options;
	auto_free char *others = NULL;
	struct vhdx *disk;

	if (!options_parse(&options, &verb_compact, argc, argv, take_option, &compact))
		return options.status;
	const char *file = options.operands[0];
	struct vhdx_open_options how = open_options(&compact, &options);

	if (compact.how.output && options.chain.write_flags & VHDX_OPEN_NO_HOLES)
		compact.how.flags |= VHDX_COMPACT_NO_HOLES;
	int status =
		how.flags & VHDX_OPEN_WRITE
			? disk_must_be_file(
				  file, "keeps its size: --output NEW makes a smaller file of it")
			: STATUS_DONE;

	if (!status)
		status = disk_open(file, &options.chain, &how, &disk);
	if (status)
		return status;
	status = find_and_compact(&compact, disk, &options);

	others = compact.others;

	status = report_close(disk, file, status);
	if (!status)
		print(&compact, &options);
	return status;
}

const struct verb verb_compact = {
	.name = "compact",
	.summary = "Make an image's file smaller, with the same contents",
	.operands = "FILE",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_WRITE | OPTIONS_JSON | OPTIONS_PROGRESS,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.details =
		"Blocks that hold only zeros give up their space, what lies at the file's end moves into it, and\n"
		"the file is cut. Children keep their parent, unless --free-space drops anything. A crash or a\n"
		"signal leaves a valid image; run it again. NEW can take FILE's place: it is the same disk, a\n"
		"child of the same parent; of a fixed disk it becomes a dynamic one.",
	.run = run,
};
