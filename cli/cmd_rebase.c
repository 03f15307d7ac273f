/* SPDX-License-Identifier: MIT */
/* vhdx rebase: another parent for a child, or another way to the same one. */
#include <stdio.h>

#include "disk.h"
#include "options.h"
#include "progress.h"
#include "report.h"

enum {
	OPTION_UNSAFE = OPTION_FIRST,
	OPTION_PARENT,
	OPTION_RELATIVE_PATH,
	OPTION_WINDOWS_PATH,
	OPTION_VOLUME_PATH,
};

static const struct option_row rows[] = {
	{OPTION_PARENT, "parent", "NEW", "the new parent (needed)"},
	{OPTION_UNSAFE, "unsafe", NULL, "copy nothing: change only the pointer to the parent"},
	{OPTION_RELATIVE_PATH, "relative-path", "PATH",
	 "record this path from CHILD's folder to NEW"},
	{OPTION_WINDOWS_PATH, "windows-path", "PATH", "NEW's absolute path as Windows sees it"},
	{OPTION_VOLUME_PATH, "volume-path", "PATH", "NEW's path as \\\\?\\Volume{GUID}\\..."},
	{0, NULL, NULL, NULL},
};

static bool take_option(void *opaque, int id, const char *value)
{
	struct vhdx_rebase_options *how = opaque;

	switch (id) {
	case OPTION_UNSAFE:
		how->flags |= VHDX_REBASE_UNSAFE;
		return true;
	case OPTION_PARENT:
		how->parent = value;
		return true;
	case OPTION_RELATIVE_PATH:
		how->relative_path = value;
		return true;
	case OPTION_WINDOWS_PATH:
		how->windows_path = value;
		return true;
	case OPTION_VOLUME_PATH:
		how->volume_path = value;
		return true;
	default:
		return false;
	}
}

static int open_child(const char *child, const struct options *options,
		      const struct vhdx_rebase_options *how, struct vhdx **ret_disk)
{
	uint32_t flags = VHDX_OPEN_WRITE;

	/* The old parent may be gone. */
	if (how->flags & VHDX_REBASE_UNSAFE)
		flags |= VHDX_OPEN_NO_PARENT;
	struct vhdx_open_options open = chain_open_options(&options->chain, flags);

	return vhdx_open(child, &open, ret_disk) ? report_failure(child) : STATUS_DONE;
}

static int rebase(struct vhdx *disk, const char *child, struct vhdx_rebase_options *how,
		  const struct options *options)
{
	struct vhdx_open_options parent = chain_open_options(&options->chain, 0);
	struct progress progress;

	parent.flags &= ~(uint32_t)VHDX_OPEN_NO_PARENT;
	progress_begin(&progress, options);
	how->parent_options = &parent;
	how->progress = progress_update;
	how->opaque = &progress;
	int result = vhdx_rebase(disk, how);

	progress_end(&progress, !result);
	return result ? report_failure(child) : STATUS_DONE;
}

static int run(int argc, char **argv)
{
	struct vhdx_rebase_options how = {.size = sizeof(how)};
	auto_options struct options options;
	struct vhdx *disk;

	if (!options_parse(&options, &verb_rebase, argc, argv, take_option, &how))
		return options.status;
	if (!how.parent)
		return report_error(NULL, "no new parent is given (--parent NEW)");
	const char *child = options.operands[0];
	int status = disk_must_be_file(child, "gets no other parent there");

	if (!status)
		status = disk_must_be_file(how.parent, "cannot be the parent");
	if (!status)
		status = disk_refuse_parent_uris(&options.chain);
	if (!status)
		status = open_child(child, &options, &how, &disk);

	if (status)
		return status;
	status = rebase(disk, child, &how, &options);
	status = report_close(disk, child, status);
	if (!status && !options.quiet)
		printf("%s: its parent is %s.\n", child, how.parent);
	return status;
}

const struct verb verb_rebase = {
	.name = "rebase",
	.summary = "Give a child another parent",
	.operands = "--parent NEW CHILD",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_WRITE | OPTIONS_PROGRESS,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.details =
		"CHILD reads as before: where NEW's contents differ from the old parent's and CHILD holds\n"
		"nothing itself, they are copied into CHILD first. With --unsafe the old parent need not be\n"
		"there and nothing is compared: for a parent that was moved. The relative path is found from\n"
		"where both are. Windows and volume paths are kept when NEW is the parent that CHILD names\n"
		"already, and else dropped, unless given; an empty one drops it. Children of CHILD keep it.",
	.run = run,
};
