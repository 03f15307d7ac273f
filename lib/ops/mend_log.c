/* SPDX-License-Identifier: MIT */
/* Repair of the log (F 4): replayed where it can be, else discarded where the caller allows that. */
#include <inttypes.h>
#include <stdio.h>

#include "meta/headers.h"
#include "meta/replay.h"
#include "ops/loglosses.h"
#include "ops/mend.h"

static int replay(struct repair *repair, struct image *image)
{
	bool dirty = image->log_state == VHDX_LOG_DIRTY;
	uint64_t offset = image->log.offset;
	size_t entries = image->log_entries;
	int ret = vhdx_replay_file(image, false);

	if (ret)
		return ret;
	vhdx_repair_mended(repair, dirty ? PROBLEM_LOG_DIRTY : PROBLEM_LOG_EMPTY, offset, 0, 0,
			   dirty ? "the log is replayed (active entries: %zu)"
				 : "the log is closed, which changes nothing (active entries: %zu)",
			   entries);
	return 0;
}

static void tell_losses(struct repair *repair, const struct image *image, enum problem problem,
			const struct log_losses *losses)
{
	char changes[160] = "";
	char blocks[160] = "";

	if (losses->changes)
		snprintf(changes, sizeof(changes),
			 ", and with it what only it held (entries: %" PRIu64 ", changes: %" PRIu64
			 "), of the file between %#" PRIx64 " and %#" PRIx64,
			 losses->entries, losses->changes, losses->first, losses->end);
	if (losses->blocks)
		snprintf(blocks, sizeof(blocks),
			 "; blocks of the disk between %" PRIu64 " and %" PRIu64
			 " may be as they were before",
			 losses->guest_offset, losses->guest_end);
	vhdx_repair_mended(repair, problem, image->fault.error.offset, losses->guest_offset,
			   losses->guest_end - losses->guest_offset, "the log is discarded%s%s%s",
			   changes, blocks,
			   losses->changes ? ""
					   : ": no entry of it that changes anything can be read");
}

/* The log is the first that is looked at behind the headers, so its fault is the image's. */
static bool is_about_log(unsigned problem)
{
	switch (problem) {
	case PROBLEM_HEADER_LOG_VERSION:
	case PROBLEM_HEADER_LOG_PLACE:
	case PROBLEM_LOG_NO_SEQUENCE:
	case PROBLEM_LOG_TRUNCATED_FILE:
	case PROBLEM_LOG_TARGET:
	case PROBLEM_LOG_TOO_LARGE:
		return true;
	default:
		return false;
	}
}

static int discard(struct repair *repair, struct image *image)
{
	unsigned problem = image->fault.error.problem;
	struct header contents = image->headers[image->current];
	struct log_losses losses;

	if (!repair_may(repair, VHDX_REPAIR_DISCARD_LOG) || !is_about_log(problem))
		return 0;
	int ret = vhdx_log_losses(image, &losses);

	if (ret)
		return ret;
	contents.log_guid = (struct vhdx_guid){{0}};
	contents.log_version = 0;
	contents.log_length = (uint32_t)min_u64(contents.log_length, MAX_LOG_LENGTH);
	ret = vhdx_headers_update(image, &contents);
	if (!ret)
		tell_losses(repair, image, (enum problem)problem, &losses);
	return ret;
}

int vhdx_mend_log(struct repair *repair, struct image *image)
{
	if (image->current == NO_HEADER || image->headers[image->current].version != HEADER_VERSION)
		return 0;
	switch (image->log_state) {
	case VHDX_LOG_DIRTY:
	case VHDX_LOG_EMPTY:
		return replay(repair, image);
	case VHDX_LOG_CORRUPT:
		return discard(repair, image);
	default:
		return 0;
	}
}
