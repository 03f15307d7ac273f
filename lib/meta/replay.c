/* SPDX-License-Identifier: MIT */
/* What the active sequence of a log changes (F 4.4): shown in memory over the file, or written to it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/guid.h"
#include "base/rules.h"
#include "meta/headers.h"
#include "meta/replay.h"
#include "store/fill.h"
#include "store/io.h"
#include "store/overlay.h"

#define REPLAY_UPDATES 3u /* of the headers, by one replay */

struct replay {
	struct log_reader reader;
	const struct log_place *log;
	uint64_t end; /* no change may reach behind it */
	struct overlay_change *changes;
	size_t count;
	struct fault *fault;
};

static int add_change(void *opaque, const struct logged_change *change)
{
	struct replay *replay = opaque;
	const struct log_descriptor *descriptor = &change->descriptor;

	if (!range_within(descriptor->file_offset, descriptor->length, replay->end))
		return vhdx_fault_set(replay->fault, PROBLEM_LOG_TARGET, change->descriptor_at,
				      "log: an entry changes %" PRIu64 " bytes at %#" PRIx64
				      " (expected within the %#" PRIx64
				      " bytes that the log gives the file)",
				      descriptor->length, descriptor->file_offset, replay->end);
	replay->changes[replay->count++] = (struct overlay_change){
		.offset = descriptor->file_offset,
		.length = descriptor->length,
		.descriptor = descriptor->is_zero ? 0 : change->descriptor_at,
		.sector = descriptor->is_zero ? 0 : change->sector_at,
	};
	return 0;
}

static int collect_changes(struct replay *replay, const struct log_scan *scan)
{
	uint64_t total = vhdx_log_scan_changes(scan);
	int ret = 0;

	if (total > MAX_LOG_CHANGES)
		return vhdx_fault_set(replay->fault, PROBLEM_LOG_TOO_LARGE, replay->log->offset,
				      "log: the active sequence holds %" PRIu64
				      " changes (expected at most %u)",
				      total, MAX_LOG_CHANGES);
	replay->changes = malloc((total + 1) * sizeof(*replay->changes));
	if (!replay->changes)
		return vhdx_fail_memory();
	for (size_t i = 0; i < scan->active_count && !ret; i++)
		ret = vhdx_log_walk_changes(&replay->reader, &scan->spans[scan->active[i]],
					    add_change, replay);
	return ret;
}

int vhdx_replay_view(const struct vhdx_io *io, uint64_t file_size, const struct log_place *log,
		     const struct log_scan *scan, struct vhdx_io *ret_view, uint64_t *ret_size,
		     struct fault *ret_fault)
{
	const struct log_span *head = &scan->spans[scan->active[scan->active_count - 1]];
	uint64_t size = max_u64(file_size, head->last_file_offset);
	struct replay replay = {
		.log = log, .end = round_up_saturated(size, LOG_SECTOR_SIZE), .fault = ret_fault};

	if (file_size < head->flushed_file_offset)
		return vhdx_fault_set(
			ret_fault, PROBLEM_LOG_TRUNCATED_FILE, log->offset + head->position,
			"file is %" PRIu64 " bytes long (expected at least the %" PRIu64
			" that were flushed, says the log)",
			file_size, head->flushed_file_offset);
	int ret = vhdx_log_reader_open(io, log, &replay.reader);

	if (ret)
		return ret;
	ret = collect_changes(&replay, scan);
	vhdx_log_reader_close(&replay.reader);
	if (ret) {
		free(replay.changes);
		return ret;
	}
	ret = vhdx_overlay_io(io, replay.changes, replay.count, size, ret_view);
	if (!ret)
		*ret_size = size;
	return ret;
}

/* F 2.3: the file's contents have a new identity before they change; the guest's stay as they are. */
static int begin_replay(struct image *image)
{
	struct header contents = image->headers[image->current];
	struct guid_source source = vhdx_guid_source(NULL, 0);
	int ret = vhdx_guid_next(&source, &contents.file_write_guid);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "no new FileWriteGuid can be had");
	ret = vhdx_headers_update(image, &contents);
	return ret || !OBEYS(RULE_GUIDS_BEFORE_CHANGE) ? ret : vhdx_image_flush(image);
}

static int grow_file(struct image *image, bool no_holes)
{
	uint64_t size = image_view_size(image);
	uint64_t growth = size - image->file_size;

	if (!growth)
		return 0;
	int ret = no_holes ? vhdx_io_reserve(image->file, image->file_size, growth) : 0;
	bool fill = ret == -EOPNOTSUPP;

	if (!ret || fill)
		ret = vhdx_io_set_size(image->file, size);
	if (!ret && fill)
		ret = vhdx_fill_zeros(image->file, image->file_size, growth);
	return ret ? vhdx_fail_errno(ret, image->name,
				     "cannot grow to the %" PRIu64 " bytes that its log needs",
				     size)
		   : 0;
}

static int write_changes(struct image *image)
{
	int ret = vhdx_overlay_commit(image->view, image->file_size);

	return ret ? vhdx_fail_errno(ret, image->name, "its log cannot be replayed") : 0;
}

/* Both headers say so, for the first of them may be lost later. */
static int end_replay(struct image *image)
{
	struct header contents = image->headers[image->current];
	int ret = 0;

	contents.log_guid = (struct vhdx_guid){{0}};
	for (int i = 0; i < 2 && !ret; i++) {
		ret = vhdx_headers_update(image, &contents);
		if (!ret)
			ret = vhdx_image_flush(image);
	}
	return ret;
}

int vhdx_replay_file(struct image *image, bool no_holes)
{
	/* A replay that could not be ended would change the file to no end. */
	int ret = vhdx_headers_check_number(image, REPLAY_UPDATES);

	if (!ret)
		ret = begin_replay(image);
	if (!ret)
		ret = grow_file(image, no_holes);
	if (!ret)
		ret = write_changes(image);
	if (!ret && OBEYS(RULE_STOP_APPLIED))
		ret = vhdx_image_flush(image);
	return ret ? ret : end_replay(image);
}
