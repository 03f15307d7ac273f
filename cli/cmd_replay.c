/* SPDX-License-Identifier: MIT */
/* vhdx replay: writes what the log of an image holds to where it belongs. */
#include <inttypes.h>
#include <stdio.h>

#include "disk.h"
#include "json.h"
#include "options.h"
#include "report.h"

enum {
	OPTION_DRY_RUN = OPTION_FIRST,
};

static const struct option_row rows[] = {
	{OPTION_DRY_RUN, "dry-run", NULL, "write nothing: say what would be done"},
	{'q', "quiet", NULL, "print only errors and warnings"},
	{0, NULL, NULL, NULL},
};

struct replay {
	bool dry_run;
};

static bool take_option(void *opaque, int id, const char *value)
{
	struct replay *replay = opaque;

	(void)value;
	replay->dry_run = id == OPTION_DRY_RUN;
	return replay->dry_run;
}

/* A writable open is a replay; no parent is needed for it. */
static int replay_file(const char *file, const struct options *options, const struct replay *replay,
		       uint64_t *ret_entries)
{
	uint32_t flags = VHDX_OPEN_NO_PARENT;
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	if (!replay->dry_run)
		flags |= VHDX_OPEN_WRITE;
	struct vhdx_open_options how = chain_open_options(&options->chain, flags);

	int status = disk_open(file, &options->chain, &how, &disk);

	if (status)
		return status;
	status = vhdx_get_info(disk, &info) ? report_failure(file) : STATUS_DONE;
	const struct vhdx_error *refusal = vhdx_get_write_fault(disk);

	if (!status && refusal) /* of a dry run; else the open would have failed */
		status = report_fault(file, refusal);

	status = report_close(disk, file, status);
	*ret_entries = replay->dry_run ? info.log_entries : info.replayed_entries;
	return status;
}

static void print_text(const struct replay *replay, uint64_t entries)
{
	if (entries)
		printf("%s %" PRIu64 " log entr%s.\n",
		       replay->dry_run ? "Would replay" : "Replayed", entries,
		       entries == 1 ? "y" : "ies");
	else
		puts("Nothing to replay.");
}

static void print_json(const struct replay *replay, const char *file, uint64_t entries)
{
	struct json json = {.out = stdout};

	json_begin_object(&json, NULL);
	json_string(&json, "filename", file);
	json_boolean(&json, "dry-run", replay->dry_run);
	json_number(&json, "replayed-entries", entries);
	json_end_object(&json);
}

static int run(int argc, char **argv)
{
	struct replay replay = {0};
	auto_options struct options options;
	uint64_t entries = 0;

	if (!options_parse(&options, &verb_replay, argc, argv, take_option, &replay))
		return options.status;
	const char *file = options.operands[0];
	int status = replay_file(file, &options, &replay, &entries);

	if (status)
		return status;
	if (options.json)
		print_json(&replay, file, entries);
	else if (!options.quiet)
		print_text(&replay, entries);
	return STATUS_DONE;
}

const struct verb verb_replay = {
	.name = "replay",
	.summary = "Replay the log of an image that was not closed cleanly",
	.operands = "FILE",
	.options = rows,
	.groups = OPTIONS_JSON | OPTIONS_WRITE,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.details =
		"The disk's contents stay as they are read already; children keep their parent. Parents are\n"
		"not needed. Exit status: 0 done, also with nothing to replay, 1 failed, 2 the image is\n"
		"damaged or must be repaired first.",
	.run = run,
};
