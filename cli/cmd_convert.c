/* SPDX-License-Identifier: MIT */
/* vhdx convert: copies a disk's contents into another format, file or device. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "destination.h"
#include "done.h"
#include "names.h"
#include "numbers.h"
#include "options.h"
#include "progress.h"
#include "remote.h"
#include "report.h"
#include "source.h"
#include "text.h"

#define THREADS_MAX 64

enum {
	OPTION_TYPE = OPTION_FIRST,
	OPTION_BLOCK_SIZE,
	OPTION_LOG_SIZE,
	OPTION_SECTOR_SIZE,
	OPTION_PHYSICAL_SECTOR_SIZE,
	OPTION_THREADS,
	OPTION_DIRECT,
	OPTION_NO_CLONE,
	OPTION_NO_SYNC,
	OPTION_NO_HOLES,
	OPTION_FORCE,
	OPTION_SKIP_DONE,
};

static const struct option_row rows[] = {
	{'f', NULL, "FMT", "SRC's format, vhdx or raw (default: what it holds)"},
	{'O', NULL, "FMT", "DST's format, vhdx or raw (default: by its suffix, else raw)"},
	{OPTION_TYPE, "type", "TYPE", "for vhdx: dynamic (the default) or fixed"},
	{OPTION_BLOCK_SIZE, "block-size", "SIZE",
	 "for vhdx: of the blocks (default: SRC's, or 2M)"},
	{OPTION_LOG_SIZE, "log-size", "SIZE", "for vhdx: of the log, whole MiB (default 1M)"},
	{OPTION_SECTOR_SIZE, "sector-size", "SIZE",
	 "for vhdx: 512 or 4096 (default: SRC's, or 512)"},
	{OPTION_PHYSICAL_SECTOR_SIZE, "physical-sector-size", "SIZE",
	 "for vhdx: 512 or 4096 (default: SRC's, or 4096)"},
	{OPTION_THREADS, "threads", "N", "how many copy at once, 1 to 64"},
	{OPTION_DIRECT, "direct", NULL, "go past the page cache"},
	{OPTION_NO_CLONE, "no-clone", NULL, "never share blocks with SRC: copy, and find zeros"},
	{OPTION_NO_SYNC, "no-sync", NULL, "do not wait until DST is durable"},
	{OPTION_NO_HOLES, "no-holes", NULL, "never make DST sparse: for Windows hosts"},
	{OPTION_FORCE, "force", NULL, "replace DST if it exists"},
	{OPTION_SKIP_DONE, "skip-done", NULL,
	 "do nothing where DST is a complete copy; record it in DST.done"},
	{0, NULL, NULL, NULL},
};

struct convert {
	struct vhdx_create_options image;
	struct vhdx_convert_options how;
	enum format_choice from;
	enum format_choice to;
	bool skip_done;
	const struct done *done; /* of the copy, where it is to be recorded */
	bool for_vhdx;		 /* an option was given that means nothing for raw */
};

/* The options that shape a new VHDX. */
static bool take_image_option(struct convert *convert, int id, const char *value)
{
	convert->for_vhdx = true;
	switch (id) {
	case OPTION_TYPE:
		return type_parse(value, &convert->image.type);
	case OPTION_BLOCK_SIZE:
		return parse_size32("block size", value, &convert->image.block_size);
	case OPTION_LOG_SIZE:
		return parse_size32("log size", value, &convert->image.log_length);
	case OPTION_SECTOR_SIZE:
		return parse_size32("sector size", value, &convert->image.logical_sector_size);
	case OPTION_PHYSICAL_SECTOR_SIZE:
		return parse_size32("physical sector size", value,
				    &convert->image.physical_sector_size);
	default:
		return false;
	}
}

static bool take_option(void *opaque, int id, const char *value)
{
	struct convert *convert = opaque;

	switch (id) {
	case 'f':
		return format_parse(value, &convert->from);
	case 'O':
		return format_parse(value, &convert->to);
	case OPTION_THREADS:
		return parse_number("number of threads", value, 1, THREADS_MAX,
				    &convert->how.threads);
	case OPTION_DIRECT:
		convert->how.flags |= VHDX_CONVERT_DIRECT;
		return true;
	case OPTION_NO_CLONE:
		convert->how.flags |= VHDX_CONVERT_NO_CLONE;
		return true;
	case OPTION_NO_SYNC:
		convert->image.flags |= VHDX_CREATE_NO_SYNC;
		return true;
	case OPTION_NO_HOLES:
		convert->image.flags |= VHDX_CREATE_NO_HOLES;
		return true;
	case OPTION_FORCE:
		convert->image.flags |= VHDX_CREATE_FORCE;
		return true;
	case OPTION_SKIP_DONE:
		convert->skip_done = true;
		return true;
	default:
		return take_image_option(convert, id, value);
	}
}

struct copying {
	struct progress progress;
	bool is_read;		  /* all of the source, and it was asked for */
	struct remote_error lost; /* empty: the source is still there, as far as is known */
};

/* All of it was read when all of it is done, and the destination has no name yet. */
static int update(void *opaque, uint64_t done, uint64_t total)
{
	struct copying *copying = opaque;

	if (total && done == total && !copying->is_read) {
		copying->is_read = true;
		if (remote_check_read(&copying->lost))
			return -1;
	}
	return progress_update(&copying->progress, done, total);
}

/* What failed may have failed because the source is gone. */
static int explain(struct copying *copying, int result, const char *name)
{
	if (copying->lost.text[0]) {
		remote_say_left(&copying->lost);
		return report_error(NULL, "%s", copying->lost.text);
	}
	int status = source_check_read(result);

	return status ? status : report_failure(name);
}

static int copy(struct convert *convert, const struct source *source,
		struct destination *destination, const struct options *options)
{
	struct copying copying = {.lost.text = ""};

	progress_begin(&copying.progress, options);
	convert->how.progress = update;
	convert->how.opaque = &copying;
	destination->view.create = &convert->image;
	if (!convert->how.threads && (source->is_remote || destination->view.io))
		convert->how.threads = REMOTE_THREADS;
	int result = vhdx_convert(&source->view, &destination->view, &convert->how);

	progress_end(&copying.progress, !result);
	if (result == -EEXIST)
		return report_error(destination->name, "exists already (--force replaces it)");
	if (!result) {
		int status = convert->done ? done_note(convert->done, destination) : STATUS_DONE;

		return status ? status : destination_finish(destination);
	}
	bool only_source_is_stream = source->view.use_fd && !destination->view.use_fd;

	destination_abandon(destination);
	return explain(&copying, result, only_source_is_stream ? source->name : destination->name);
}

static int copy_to(struct convert *convert, const struct source *source, const char *name,
		   const struct options *options)
{
	auto_destination struct destination destination = {0};
	int status = destination_open(&destination, name, convert->to,
				      convert->image.flags & VHDX_CREATE_FORCE,
				      &options->chain.remote);

	if (status)
		return status;
	if (convert->for_vhdx && destination.view.format != VHDX_FORMAT_VHDX)
		return report_error(destination.name,
				    "type, block, log and sector sizes are for VHDX, not raw");
	return copy(convert, source, &destination, options);
}

/* All that a run with --skip-done has to say of a copy that it found. */
static int say_complete(const struct source *source, const char *name,
			const struct options *options)
{
	if (options->quiet)
		return STATUS_DONE;
	text_write(stdout, name);
	fputs(" is a complete copy of ", stdout);
	text_write(stdout, source->name);
	puts(" already.");
	return STATUS_DONE;
}

/* Copies what is no complete copy yet. What was made of older contents, and not changed since, is replaced. */
static int copy_once(struct convert *convert, const struct source *source, const char *name,
		     const struct options *options)
{
	enum done_state state = DONE_NOT_THERE;
	struct done done;
	int status = done_begin(&done, source, name, destination_format(name, convert->to),
				&convert->image, options);

	if (!status)
		status = done_look(&done, &state);
	if (!status && state == DONE_UNKNOWN && !(convert->image.flags & VHDX_CREATE_FORCE))
		status = done_compare(&done, options, &state);
	if (status)
		return status;
	if (state == DONE_COMPLETE)
		return say_complete(source, name, options);
	if (state == DONE_OUTDATED)
		convert->image.flags |= VHDX_CREATE_FORCE;
	convert->done = &done;
	status = copy_to(convert, source, name, options);
	return status ? status : done_record(&done);
}

static int check_options(const struct convert *convert)
{
	if (convert->image.type == VHDX_DIFFERENCING)
		return report_error(NULL, "a differencing disk is made by 'vhdx create --parent'");
	if (convert->skip_done && convert->image.flags & VHDX_CREATE_NO_SYNC)
		return report_error(NULL,
				    "--skip-done records what is durable (leave out --no-sync)");
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	struct convert convert = {
		.image = {.size = sizeof(convert.image)},
		.how = {.size = sizeof(convert.how)},
	};
	auto_options struct options options;
	auto_source struct source source = {0};

	if (!options_parse(&options, &verb_convert, argc, argv, take_option, &convert))
		return options.status;
	int status = check_options(&convert);

	if (!status)
		status = source_open(&source, options.operands[0], convert.from, &options.chain);
	if (status)
		return status;
	return (convert.skip_done ? copy_once : copy_to)(&convert, &source, options.operands[1],
							 &options);
}

const struct verb verb_convert = {
	.name = "convert",
	.summary = "Copy a disk's contents between VHDX and raw",
	.operands = "SRC DST",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_CEPH | OPTIONS_PROGRESS,
	.min_operands = 2,
	.max_operands = 2,
	.failed_status = STATUS_FAILED,
	.details =
		"SRC and DST are files, block devices, NBD exports (nbd://HOST/EXPORT, nbds://...,\n"
		"nbd+unix:///EXPORT?socket=PATH), Ceph RBD images (rbd:POOL/[NAMESPACE/]IMAGE[@SNAP])\n"
		"or '-', standard input or output. A child is read through its chain. A new DST appears\n"
		"whole or not at all, and so does an RBD image; a device or an export is overwritten.\n"
		"With --skip-done, a run that died is run again: what is complete is left as it is.",
	.run = run,
};
