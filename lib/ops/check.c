/* SPDX-License-Identifier: MIT */
/* Checks an image, or all of a chain: loads each again with somebody listening, then reads its BAT. */
#include <errno.h>
#include <inttypes.h>

#include "base/guid.h"
#include "base/options.h"
#include "meta/batcheck.h"
#include "store/io.h"
#include "vdisk/disk.h"

#define CHECK_FLAGS (VHDX_CHECK_CHAIN | VHDX_CHECK_WINDOWS)

struct check {
	struct vhdx_check_options options;
	struct vhdx_check_result result;
	uint64_t bytes_before; /* of BAT, of the images that are done */
	uint64_t bytes_in_all;
};

/* One image's progress, as that of the whole chain. */
static int pass_progress(void *opaque, uint64_t done, uint64_t total)
{
	const struct check *check = opaque;

	(void)total;
	return check->options.progress(check->options.opaque, check->bytes_before + done,
				       check->bytes_in_all);
}

static void add_total(const struct check *check, const struct vhdx_finding *finding)
{
	size_t row = (size_t)(finding->problem - vhdx_problem_at(0));

	if (!check->options.totals || row >= check->options.total_count)
		return;
	check->options.totals[row].findings++;
	check->options.totals[row].loss_bytes += finding->loss_bytes;
}

static void count_finding(void *opaque, const struct vhdx_finding *finding)
{
	struct check *check = opaque;
	struct vhdx_check_result *result = &check->result;

	add_total(check, finding);
	switch (finding->problem->severity) {
	case VHDX_NOTE:
		result->notes++;
		break;
	case VHDX_WINDOWS:
		*(check->options.flags & VHDX_CHECK_WINDOWS ? &result->damages : &result->notes) +=
			1;
		break;
	case VHDX_LEAK:
		result->leaks++;
		break;
	default:
		result->damages++;
		break;
	}
	if (check->options.finding && finding->text[0])
		check->options.finding(check->options.opaque, finding);
}

/* F 9.1: a fixed disk is expected to have all of its blocks. */
static void check_fixed(struct image *image, const struct bat_counts *counts)
{
	if (image_type(image) == VHDX_FIXED && counts->present < image->geometry.blocks)
		vhdx_image_report(image, PROBLEM_FIXED_NOT_PRESENT, image->bat.file_offset,
				  "BAT: %" PRIu64 " of the %" PRIu64
				  " blocks of a fixed disk are not present",
				  image->geometry.blocks - counts->present, image->geometry.blocks);
}

/* F 11.4: a note only, for copying the file to Windows by most ways fills its holes. */
static void check_sparse(struct image *image)
{
	uint64_t allocated;

	if (vhdx_file_allocated(image->file, &allocated) && allocated < image->file_size)
		vhdx_image_report(image, PROBLEM_FILE_SPARSE, 0,
				  "file has space for %" PRIu64 " of its %" PRIu64
				  " bytes: a copy that keeps the holes is refused by Windows",
				  allocated, image->file_size);
}

/*
 * Log and regions that the file may have held when it was longer: those behind its end, no further than all of them
 * would reach. Other places are damaged numbers.
 */
static unsigned count_cut(const struct image *image)
{
	uint64_t end = image_end(image);
	uint64_t reach = image->log.length;
	unsigned count = 0;

	for (uint32_t i = 0; i < image->region_count; i++)
		reach += image->regions[i].length;
	for (uint32_t i = 0; i < image->region_count; i++)
		count +=
			image->regions[i].file_offset < end + reach &&
			!range_within(image->regions[i].file_offset, image->regions[i].length, end);
	return count + (image->log.offset < end + reach &&
			!range_within(image->log.offset, image->log.length, end));
}

static void add_counts(struct check *check, const struct image *image,
		       const struct bat_counts *counts)
{
	struct vhdx_check_result *result = &check->result;
	bool none_is_read = image->has_fault;

	result->blocks += image->geometry.blocks;
	result->present += counts->present;
	result->leaked_bytes += counts->leaked_bytes;
	result->lost_bytes += none_is_read ? image->geometry.virtual_size : counts->lost_bytes;
	result->lost_blocks += none_is_read ? image->geometry.blocks : counts->lost_blocks;
	result->doubtful_bytes += none_is_read ? 0 : counts->doubtful_bytes;
	result->cut_blocks += counts->cut_blocks;
	result->cut_bytes += counts->cut_bytes;
	result->cut_structures += count_cut(image) + counts->cut_bitmaps;
}

static int check_image(struct check *check, struct vhdx *disk)
{
	struct image image;
	struct bat_counts counts = {0};
	int ret = vhdx_image_load(&image, disk->name, &disk->file, count_finding, check);

	if (!ret && image.known & VHDX_KNOWN_GEOMETRY) {
		ret = vhdx_check_bat(&image, check->options.progress ? pass_progress : NULL, check,
				     &counts, NULL);
		check->bytes_before += image.bat.length;
		if (!ret)
			check_fixed(&image, &counts);
	}
	if (!ret)
		add_counts(check, &image, &counts);
	if (!ret && check->options.flags & VHDX_CHECK_WINDOWS)
		check_sparse(&image);
	vhdx_image_free(&image);
	return ret;
}

/* Of a fault that was kept when the parent could not be opened: as it was found. */
static void report_chain_fault(struct check *check, const struct vhdx_error *error)
{
	const struct vhdx_finding finding = {
		.size = sizeof(finding),
		.problem = vhdx_get_problem(error->problem ? error->problem
							   : (unsigned)PROBLEM_PARENT_UNUSABLE),
		.file = error->file,
		.offset = error->offset,
		.text = error->text,
	};

	count_finding(check, &finding);
}

/* What is unusual between a disk and its parent. */
static void compare_with_parent(struct check *check, struct vhdx *disk)
{
	const struct image *parent = &disk->parent->image;
	struct image *image = &disk->image;
	char text[2][VHDX_GUID_TEXT_SIZE];

	image->finding = count_finding;
	image->opaque = check;
	if (parent->virtual_size != image->virtual_size)
		vhdx_image_report(image, PROBLEM_PARENT_SIZE,
				  image->known_items[VIRTUAL_DISK_SIZE].offset,
				  "metadata: disk of %" PRIu64 " bytes, its parent of %" PRIu64
				  " (the same is usual)",
				  image->virtual_size, parent->virtual_size);
	if (!guid_equal(&parent->disk_id, &image->disk_id))
		vhdx_image_report(
			image, PROBLEM_PARENT_DISK_ID, image->known_items[VIRTUAL_DISK_ID].offset,
			"metadata: Virtual Disk ID %s, its parent's %s (the same is usual)",
			vhdx_guid_text(&image->disk_id, text[0]),
			vhdx_guid_text(&parent->disk_id, text[1]));
	image->finding = NULL;
}

static void check_link(struct check *check, struct vhdx *disk)
{
	if (disk->has_chain_fault)
		report_chain_fault(check, &disk->chain_fault.error);
	if (disk->parent && disk->parent->image.known & VHDX_KNOWN_GEOMETRY)
		compare_with_parent(check, disk);
}

static int take_options(const struct vhdx_check_options *options, struct check *check)
{
	int ret = vhdx_adopt_options(options, "vhdx_check_options", sizeof(check->options),
				     &check->options);
	uint32_t unknown = check->options.flags & ~CHECK_FLAGS;

	return ret || !unknown
		       ? ret
		       : vhdx_fail_argument("vhdx_check_options: unknown flags %#x", unknown);
}

static struct vhdx *next_image(const struct check *check, const struct vhdx *disk)
{
	return check->options.flags & VHDX_CHECK_CHAIN ? disk->parent : NULL;
}

int vhdx_check(struct vhdx *disk, const struct vhdx_check_options *options,
	       struct vhdx_check_result *ret_result)
{
	struct check check = {.result = {.size = sizeof(check.result)}};

	if (!disk || !ret_result || ret_result->size < sizeof(*ret_result))
		return vhdx_fail_argument(
			"vhdx_check: no disk, or the size of struct vhdx_check_result is not set");
	int ret = take_options(options, &check);

	if (!ret && disk_is_writable(disk)) /* so that the file holds everything */
		ret = vhdx_flush(disk);
	for (const struct vhdx *d = disk; d; d = next_image(&check, d))
		check.bytes_in_all += d->image.known & VHDX_KNOWN_GEOMETRY ? d->image.bat.length
									   : 0;
	for (; disk && !ret; disk = next_image(&check, disk)) {
		ret = check_image(&check, disk);
		if (!ret && check.options.flags & VHDX_CHECK_CHAIN)
			check_link(&check, disk);
	}
	if (!ret)
		*ret_result = check.result;
	return ret;
}
