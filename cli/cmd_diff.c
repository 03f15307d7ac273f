/* SPDX-License-Identifier: MIT */
/* vhdx diff: an incremental backup, as a child that holds how a disk differs from a base. */
#include <errno.h>

#include "disk.h"
#include "numbers.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "source.h"

enum {
	OPTION_BLOCK_SIZE = OPTION_FIRST,
	OPTION_LOG_SIZE,
	OPTION_WINDOWS_PATH,
	OPTION_NO_SYNC,
	OPTION_NO_HOLES,
	OPTION_FORCE,
};

static const struct option_row rows[] = {
	{'f', NULL, "FMT", "NEW's format, vhdx or raw (default: what it holds)"},
	{OPTION_BLOCK_SIZE, "block-size", "SIZE", "of CHILD's blocks (default 2M)"},
	{OPTION_LOG_SIZE, "log-size", "SIZE", "of CHILD's log, whole MiB (default 1M)"},
	{OPTION_WINDOWS_PATH, "windows-path", "PATH", "BASE's absolute path as Windows sees it"},
	{OPTION_NO_SYNC, "no-sync", NULL, "do not wait until CHILD is durable"},
	{OPTION_NO_HOLES, "no-holes", NULL, "never make CHILD sparse: for Windows hosts"},
	{OPTION_FORCE, "force", NULL, "replace CHILD if it exists"},
	{0, NULL, NULL, NULL},
};

struct diff {
	struct vhdx_diff_options how;
	enum format_choice format;
};

static bool take_option(void *opaque, int id, const char *value)
{
	struct diff *diff = opaque;

	switch (id) {
	case 'f':
		return format_parse(value, &diff->format);
	case OPTION_BLOCK_SIZE:
		return parse_size32("block size", value, &diff->how.block_size);
	case OPTION_LOG_SIZE:
		return parse_size32("log size", value, &diff->how.log_length);
	case OPTION_WINDOWS_PATH:
		diff->how.windows_path = value;
		return true;
	case OPTION_NO_SYNC:
		diff->how.flags |= VHDX_CREATE_NO_SYNC;
		return true;
	case OPTION_NO_HOLES:
		diff->how.flags |= VHDX_CREATE_NO_HOLES;
		return true;
	case OPTION_FORCE:
		diff->how.flags |= VHDX_CREATE_FORCE;
		return true;
	default:
		return false;
	}
}

static int make_child(struct diff *diff, struct vhdx *base, const struct source *contents,
		      const char *path, const struct options *options)
{
	struct progress progress;

	progress_begin(&progress, options);
	diff->how.progress = progress_update;
	diff->how.warning = report_warning;
	diff->how.opaque = &progress;
	int result = vhdx_diff(base, &contents->view, path, &diff->how);

	progress_end(&progress, !result);
	if (result == -EEXIST)
		return report_error(path, "exists already (--force replaces it)");
	return result ? report_failure(path) : STATUS_DONE;
}

static int run(int argc, char **argv)
{
	struct diff diff = {.how = {.size = sizeof(diff.how)}};
	auto_options struct options options;
	auto_disk struct vhdx *base = NULL;
	auto_source struct source contents = {0};

	if (!options_parse(&options, &verb_diff, argc, argv, take_option, &diff))
		return options.status;
	struct vhdx_open_options how = chain_open_options(&options.chain, 0);

	int status = disk_must_be_file(options.operands[0], "cannot be the parent");

	if (!status)
		status = disk_open(options.operands[0], &options.chain, &how, &base);
	if (!status)
		status = source_open(&contents, options.operands[1], diff.format, &options.chain);

	if (!status && contents.view.use_fd)
		status = report_error(contents.name,
				      "has no size before its end (expected a file or a device)");
	return status ? status : make_child(&diff, base, &contents, options.operands[2], &options);
}

const struct verb verb_diff = {
	.name = "diff",
	.summary = "Make a child that holds how a disk differs from a base",
	.operands = "BASE NEW CHILD",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_PROGRESS,
	.min_operands = 3,
	.max_operands = 3,
	.failed_status = STATUS_FAILED,
	.details =
		"BASE is a VHDX; NEW is a file, a block device or an NBD export (nbd://HOST/EXPORT, ...),\n"
		"read through its chain. CHILD, a new file, is a differencing disk on BASE that reads as NEW:\n"
		"an incremental backup. It appears whole or not at all. BASE must not be changed afterwards.",
	.run = run,
};
