/* SPDX-License-Identifier: MIT */
/* vhdx resize: makes a disk larger, or smaller where that loses nothing, and says what is left to do. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "numbers.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "text.h"

enum {
	OPTION_SHRINK = OPTION_FIRST,
	OPTION_FORCE,
};

static const struct option_row rows[] = {
	{OPTION_SHRINK, "shrink", NULL, "allow a smaller size, where only zeros are cut off"},
	{OPTION_FORCE, "force", NULL, "cut off the backup of a GUID partition table too"},
	{0, NULL, NULL, NULL},
};

static bool take_option(void *opaque, int id, const char *value)
{
	struct vhdx_resize_options *resize = opaque;

	(void)value;
	if (id == OPTION_SHRINK)
		resize->flags |= VHDX_RESIZE_SHRINK;
	else if (id == OPTION_FORCE)
		resize->flags |= VHDX_RESIZE_FORCE;
	else
		return false;
	return true;
}

/* A size, or one relative to the disk's, as the command line has it. */
struct wanted_size {
	char sign; /* '+', '-', or 0 */
	uint64_t bytes;
};

static const char *skip_sign(const char *text)
{
	return text + (*text == '+' || *text == '-');
}

static bool parse_wanted(const char *text, struct wanted_size *ret_wanted)
{
	char sign = *text == '+' || *text == '-' ? *text : 0;

	ret_wanted->sign = sign;
	return parse_disk_size(skip_sign(text), &ret_wanted->bytes);
}

/* Whatever is out of range is left to the library, which knows the range. */
static bool resolve(const char *file, const struct wanted_size *wanted, uint64_t now,
		    uint64_t *ret_size)
{
	char text[TEXT_SIZE_MAX], less[TEXT_SIZE_MAX];

	if (wanted->sign == '-' && wanted->bytes >= now) {
		report_error(file, "cannot lose %s: the disk has %s",
			     text_bytes(wanted->bytes, less), text_bytes(now, text));
		return false;
	}
	if (wanted->sign == '-')
		*ret_size = now - wanted->bytes;
	else if (wanted->sign == '+')
		*ret_size = wanted->bytes > UINT64_MAX - now ? UINT64_MAX : now + wanted->bytes;
	else
		*ret_size = wanted->bytes;
	return true;
}

/* ---- What is left to do ---- */

#define EXT_MAGIC_AT 1080u /* of ext2, ext3 and ext4 */

enum contents {
	CONTENTS_OTHER,
	CONTENTS_EXT, /* on the whole disk, as WSL2 has it */
	CONTENTS_GPT,
};

static enum contents look_inside(struct vhdx *disk, uint32_t sector_size)
{
	uint8_t ext[2];
	char gpt[8];

	if (!vhdx_pread(disk, gpt, sizeof(gpt), sector_size) && !memcmp(gpt, "EFI PART", 8))
		return CONTENTS_GPT;
	if (!vhdx_pread(disk, ext, sizeof(ext), EXT_MAGIC_AT) && ext[0] == 0x53 && ext[1] == 0xef)
		return CONTENTS_EXT;
	return CONTENTS_OTHER;
}

static void print_next_steps(enum contents contents)
{
	if (contents == CONTENTS_EXT)
		puts("The ext file system on it is as large as before: run resize2fs on the disk, for WSL2\n"
		     "inside the distribution.");
	else
		puts("What is on it is as large as before: grow the partition inside, then its file system\n"
		     "(a WSL2 disk has no partition: run resize2fs inside the distribution).");
	if (contents == CONTENTS_GPT)
		puts("The backup of its partition table is no longer at the end: 'sgdisk -e' and parted move it.");
}

static void print_result(const struct vhdx_info *before, const struct vhdx_info *after,
			 enum contents contents)
{
	char from[TEXT_SIZE_MAX], to[TEXT_SIZE_MAX];

	if (before->virtual_size == after->virtual_size) {
		printf("The disk has %s already.\n", text_bytes(after->virtual_size, to));
		return;
	}
	printf("Resized from %s to %s.\n", text_bytes(before->virtual_size, from),
	       text_bytes(after->virtual_size, to));
	if (after->virtual_size > before->virtual_size)
		print_next_steps(contents);
	else if (contents == CONTENTS_GPT)
		puts("Its partition table lacks its backup at the end now: 'sgdisk -e' writes a new one.");
}

/* ---- The work ---- */

static int resize_disk(struct vhdx *disk, const char *file, uint64_t size,
		       struct vhdx_resize_options *how, const struct options *options)
{
	struct progress progress;

	progress_begin(&progress, options);
	how->progress = progress_update;
	how->opaque = &progress;
	int result = vhdx_resize(disk, size, how);

	progress_end(&progress, !result);
	return result ? report_failure(file) : STATUS_DONE;
}

/* Says what the library cannot know: which option would allow it. */
static int check_direction(const char *file, uint64_t size, const struct vhdx_info *info,
			   const struct vhdx_resize_options *how)
{
	char now[TEXT_SIZE_MAX], then[TEXT_SIZE_MAX];

	if (size >= info->virtual_size || how->flags & VHDX_RESIZE_SHRINK)
		return STATUS_DONE;
	return report_error(file, "the disk has %s, and would shrink to %s (--shrink allows that)",
			    text_bytes(info->virtual_size, now), text_bytes(size, then));
}

static int run_on(struct vhdx *disk, const char *file, const struct wanted_size *wanted,
		  struct vhdx_resize_options *how, const struct options *options)
{
	struct vhdx_info before = {.size = sizeof(before)};
	struct vhdx_info after = {.size = sizeof(after)};
	uint64_t size;

	if (vhdx_get_info(disk, &before))
		return report_failure(file);
	if (!resolve(file, wanted, before.virtual_size, &size))
		return STATUS_FAILED;
	int status = check_direction(file, size, &before, how);

	if (!status)
		status = resize_disk(disk, file, size, how, options);
	if (status)
		return status;
	if (vhdx_get_info(disk, &after))
		return report_failure(file);
	if (!options->quiet)
		print_result(&before, &after, look_inside(disk, after.logical_sector_size));
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	struct vhdx_resize_options how = {.size = sizeof(how)};
	auto_options struct options options;
	struct wanted_size wanted;
	struct vhdx *disk;

	if (!options_parse(&options, &verb_resize, argc, argv, take_option, &how))
		return options.status;
	const char *file = options.operands[0];

	if (is_size(skip_sign(file)) && !is_size(skip_sign(options.operands[1])))
		return report_error(NULL, "the size stands before the file (expected %s %s)",
				    options.operands[1], file);
	if (!parse_wanted(options.operands[1], &wanted))
		return STATUS_FAILED;
	struct vhdx_open_options open = chain_open_options(&options.chain, VHDX_OPEN_WRITE);

	int status = disk_open(file, &options.chain, &open, &disk);

	if (status)
		return status;
	status = run_on(disk, file, &wanted, &how, &options);

	return report_close(disk, file, status);
}

const struct verb verb_resize = {
	.name = "resize",
	.summary = "Make a disk larger or smaller",
	.operands = "FILE [+-]SIZE",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_WRITE | OPTIONS_PROGRESS | OPTIONS_NEGATIVE,
	.min_operands = 2,
	.max_operands = 2,
	.failed_status = STATUS_FAILED,
	.details =
		"SIZE is the new size, or with + or - what the disk gains or loses. What it gains reads as\n"
		"zeros. It loses nothing but zeros: first shrink the file system and the partition inside.\n"
		"Children of the disk become useless. Stopped at any time, it leaves the old disk or the new.",
	.run = run,
};
