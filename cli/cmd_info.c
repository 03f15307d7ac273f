/* SPDX-License-Identifier: MIT */
/* vhdx info: what an image is, as far as it can be read, and with --chain its parents too. */
#include <stdio.h>
#include <sys/stat.h>

#include "disk.h"
#include "info.h"
#include "options.h"
#include "remote.h"
#include "report.h"

enum {
	OPTION_CHAIN = OPTION_FIRST,
};

static const struct option_row rows[] = {
	{OPTION_CHAIN, "chain", NULL, "show the parents too, the child first"},
	{0, NULL, NULL, NULL},
};

static bool take_option(void *opaque, int id, const char *value)
{
	bool *chain = opaque;

	(void)value;
	if (id == OPTION_CHAIN)
		*chain = true;
	return id == OPTION_CHAIN;
}

/*
 * The problems of chains: a parent that is missing, another one, or the image's own descendant says
 * nothing against the image itself.
 */
static bool is_about_parent(const struct vhdx_error *fault)
{
	return fault->problem >= 820 && fault->problem < 830;
}

static int gather(struct vhdx *disk, struct image_info *ret_image)
{
	struct image_info image = {.disk = disk, .info = {.size = sizeof(image.info)}};
	struct stat st;

	if (vhdx_get_info(disk, &image.info))
		return report_failure(NULL);
	image.has_actual_size = !remote_kind(image.info.path) && !stat(image.info.path, &st);
	if (image.has_actual_size)
		image.actual_size = (uint64_t)st.st_blocks * 512;
	image.fault = vhdx_get_fault(disk);
	if (image.fault && is_about_parent(image.fault))
		image.fault = NULL;
	*ret_image = image;
	return STATUS_DONE;
}

/* Shows one image; what cannot be read of it is an error, told once all that can be is shown. */
static int show(struct vhdx *disk, struct json *json)
{
	struct image_info image;
	int status = gather(disk, &image);

	if (status)
		return status;
	/* Of a file that is no image there is nothing to show. */
	if (!image.fault || image.info.known) {
		if (json)
			info_print_json(&image, json);
		else
			info_print_text(&image);
	}
	return image.fault ? report_fault(image.info.path, image.fault) : STATUS_DONE;
}

static int show_chain(struct vhdx *disk, struct json *json)
{
	int status = STATUS_DONE;

	if (json)
		json_begin_array(json, NULL);
	for (struct vhdx *at = disk; at && !status; at = vhdx_get_parent(at)) {
		if (at != disk && !json)
			putchar('\n');
		status = show(at, json);
	}
	if (json)
		json_end_array(json);
	return status;
}

static int run(int argc, char **argv)
{
	bool chain = false;
	auto_options struct options options;
	auto_disk struct vhdx *disk = NULL;
	struct json json = {.out = stdout};

	if (!options_parse(&options, &verb_info, argc, argv, take_option, &chain))
		return options.status;
	struct vhdx_open_options how = chain_open_options(&options.chain, VHDX_OPEN_EXAMINE);

	int status = disk_open(options.operands[0], &options.chain, &how, &disk);

	if (status)
		return status;
	return (chain ? show_chain : show)(disk, options.json ? &json : NULL);
}

const struct verb verb_info = {
	.name = "info",
	.summary = "Show what an image is, its log and its parents",
	.operands = "FILE",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_JSON,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.details =
		"A damaged image is shown as far as it can be read. Exit status: 0 done, 1 it could not\n"
		"be read at all, 2 it is damaged so that the disk cannot be read.",
	.run = run,
};
