/* SPDX-License-Identifier: MIT */
/* Repair of the headers, and of a log that has no usable place (F 2). */
#include <inttypes.h>

#include "base/guid.h"
#include "meta/headers.h"
#include "ops/lostheader.h"
#include "ops/mend.h"
#include "ops/newlog.h"

/* Updates that a repair itself may need, and one session after it. */
#define UPDATES_NEEDED 16u

/* An image that is sound as it is stays so, however near its number is to the end. */
static unsigned updates_needed(const struct repair *repair, const struct image *image)
{
	return repair->result.mended || image->log_state != VHDX_LOG_CLEAN ? UPDATES_NEEDED : 0;
}

static bool guids_differ(const struct header headers[2])
{
	return !guid_equal(&headers[0].data_write_guid, &headers[1].data_write_guid) ||
	       !guid_equal(&headers[0].file_write_guid, &headers[1].file_write_guid);
}

/* The current one keeps the greater number. */
static int renumber(struct repair *repair, struct image *image)
{
	unsigned slot = image->current;
	struct header contents = image->headers[slot];
	uint64_t at = header_offset(slot) + offsetof(struct header_disk, sequence_number);
	int ret = vhdx_headers_put(image, !slot, &contents, 1);

	if (!ret)
		ret = vhdx_headers_put(image, slot, &contents, 2);
	if (!ret)
		vhdx_repair_mended(repair, PROBLEM_HEADER_SEQUENCE_END, at, 0, 0,
				   "the headers are numbered anew, from %" PRIu64 " to 2",
				   contents.sequence_number);
	return ret;
}

/* The header that is not current becomes a newer copy of the one that is. */
static int copy_current(struct repair *repair, struct image *image, enum problem problem)
{
	struct header contents = image->headers[image->current];
	unsigned slot = !image->current;

	contents.log_version = guid_is_zero(&contents.log_guid) ? 0 : contents.log_version;
	int ret = vhdx_headers_update(image, &contents);

	if (!ret)
		vhdx_repair_mended(repair, problem, header_offset(slot), 0, 0,
				   "header %u is written anew, from header %u", slot + 1,
				   !slot + 1);
	return ret;
}

static int mend_idle_log(struct repair *repair, struct image *image)
{
	uint64_t at = header_offset(image->current) + offsetof(struct header_disk, log_length);
	enum problem fault = vhdx_image_idle_log_fault(image);

	return fault == NO_PROBLEM ? 0 : vhdx_make_log(repair, image, fault, at);
}

static int mend_without_current(struct repair *repair, struct image *image)
{
	if (header_is_valid(&image->headers[0]) && header_is_valid(&image->headers[1]))
		return vhdx_mend_ambiguous_headers(repair, image);
	return vhdx_mend_lost_headers(repair, image);
}

int vhdx_mend_headers(struct repair *repair, struct image *image)
{
	if (image->file_size < HEADER_SECTION_SIZE || !image->identifier.has_signature)
		return 0;
	if (image->current == NO_HEADER)
		return mend_without_current(repair, image);
	const struct header *current = &image->headers[image->current];
	const struct header *other = &image->headers[!image->current];

	if (current->version != HEADER_VERSION)
		return 0;
	if (current->sequence_number >= UINT64_MAX - updates_needed(repair, image))
		return renumber(repair, image);
	if (!header_is_valid(other))
		return copy_current(repair, image,
				    other->has_signature ? PROBLEM_HEADER_CHECKSUM
							 : PROBLEM_HEADER_SIGNATURE);
	if (guids_differ(image->headers))
		return copy_current(repair, image, PROBLEM_HEADER_GUIDS_DIFFER);
	if (image->log_state != VHDX_LOG_CLEAN)
		return 0;
	if (current->log_version)
		return copy_current(repair, image, PROBLEM_HEADER_LOG_VERSION_IDLE);
	return mend_idle_log(repair, image);
}
