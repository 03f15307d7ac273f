/* SPDX-License-Identifier: MIT */
/*
 * Every metadata structure of one file as found, in the order of F 12.1: identifier, headers, log, then
 * through the replayed view the region tables and the metadata. Open, check and info share these rules.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guid.h"
#include "meta/image.h"
#include "meta/replay.h"
#include "store/io.h"
#include "store/overlay.h"

/* Keeps a finding as an error, behind what it keeps the caller from. */
static void keep(const struct image *image, const struct vhdx_finding *finding, const char *before,
		 struct kept_error *ret_kept)
{
	enum problem problem = (enum problem)finding->problem->number;

	vhdx_fail(vhdx_problem_errno(problem), problem, image->name, finding->offset, "%s%s",
		  before, finding->text);
	vhdx_error_keep(ret_kept);
}

static void report(struct image *image, const struct vhdx_finding *finding)
{
	enum vhdx_severity severity = finding->problem->severity;

	if (severity == VHDX_LOCKED && !image->is_locked) {
		image->is_locked = true;
		keep(image, finding,
		     "must be repaired before it can be written: ", &image->lock_reason);
	}
	if (severity >= VHDX_FATAL && !image->has_fault) {
		image->has_fault = true;
		keep(image, finding, "", &image->fault);
	}
	if (image->finding)
		image->finding(image->opaque, finding);
}

static unsigned *told_count(struct image *image, const struct vhdx_problem *problem)
{
	size_t row = (size_t)(problem - vhdx_problem_at(0));

	assert(row < MAX_PROBLEMS);
	return &image->told[row];
}

bool vhdx_image_told_enough(struct image *image, enum problem problem)
{
	return *told_count(image, vhdx_get_problem(problem)) >= MAX_TOLD;
}

static void report_text(struct image *image, enum problem problem, uint64_t offset,
			const struct guest_part *part, const char *format, va_list args)
{
	char text[512] = "";
	struct vhdx_finding finding = {
		.size = sizeof(finding),
		.problem = vhdx_get_problem(problem),
		.file = image->name,
		.offset = offset,
		.text = text,
		.guest_offset = part->offset,
		.guest_length = part->length,
		.loss_bytes = part->loss_bytes,
	};
	unsigned *told = told_count(image, finding.problem);

	if (*told < MAX_TOLD) {
		++*told;
		vsnprintf(text, sizeof(text), format, args);
		vhdx_text_to_line(text);
	}
	report(image, &finding);
}

void vhdx_image_report(struct image *image, enum problem problem, uint64_t offset,
		       const char *format, ...)
{
	const struct guest_part none = {0};
	va_list args;

	va_start(args, format);
	report_text(image, problem, offset, &none, format, args);
	va_end(args);
}

void vhdx_image_report_guest(struct image *image, enum problem problem, uint64_t offset,
			     const struct guest_part *part, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_text(image, problem, offset, part, format, args);
	va_end(args);
}

static int load_identifier(struct image *image)
{
	struct identifier_disk disk;
	int ret = vhdx_io_read(image->file, &disk, sizeof(disk), IDENTIFIER_OFFSET);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "the file type identifier cannot be read");
	vhdx_identifier_decode(&disk, sizeof(disk), &image->identifier);
	if (!image->identifier.has_signature) {
		vhdx_image_report(image, PROBLEM_IDENTIFIER, IDENTIFIER_OFFSET,
				  "not a VHDX image (expected \"" IDENTIFIER_SIGNATURE
				  "\" at offset 0)");
		return 0;
	}
	image->known |= VHDX_KNOWN_CREATOR;
	if (!image->identifier.creator_is_text)
		vhdx_image_report(image, PROBLEM_CREATOR_TEXT,
				  offsetof(struct identifier_disk, creator),
				  "identifier: the creator is not valid UTF-16");
	return 0;
}

/* Without an identifier, a header's signature still shows that this was an image once. */
static int find_any_header(const struct image *image, bool *ret_found)
{
	bool found = image->identifier.has_signature;
	int ret = 0;

	for (unsigned slot = 0; slot < 2 && !found && !ret; slot++) {
		char signature[4];

		ret = vhdx_io_read(image->file, signature, sizeof(signature), header_offset(slot));
		found = !ret && !memcmp(signature, HEADER_SIGNATURE, sizeof(signature));
	}
	*ret_found = found;
	return ret ? vhdx_fail_errno(ret, image->name, "cannot be read") : 0;
}

static void check_file_size(struct image *image)
{
	if (image->file_size < HEADER_SECTION_SIZE)
		vhdx_image_report(image, PROBLEM_FILE_TOO_SHORT, image->file_size,
				  "file is %" PRIu64 " bytes long (expected at least the %" PRIu64
				  " of the header section)",
				  image->file_size, HEADER_SECTION_SIZE);
	else if (!is_aligned(image->file_size, MIB))
		vhdx_image_report(image, PROBLEM_FILE_NOT_WHOLE_MIB, image->file_size,
				  "file is %" PRIu64 " bytes long (a whole number of MiB is usual)",
				  image->file_size);
}

bool vhdx_image_log_is_usable(const struct image *image)
{
	const struct log_place *log = &image->log;

	return log->offset >= HEADER_SECTION_SIZE && log->length && is_aligned(log->offset, MIB) &&
	       is_aligned(log->length, MIB) &&
	       range_within(log->offset, log->length, image->file_size);
}

enum problem vhdx_image_idle_log_fault(const struct image *image)
{
	if (vhdx_image_log_is_usable(image))
		return NO_PROBLEM;
	return is_aligned(image->log.offset, MIB) && is_aligned(image->log.length, MIB)
		       ? PROBLEM_HEADER_NO_LOG
		       : PROBLEM_HEADER_LOG_ALIGNMENT;
}

/* With nothing to replay, a log that cannot be used only stands in the way of writing. */
static void check_idle_log(struct image *image)
{
	const struct log_place *log = &image->log;
	uint64_t at = header_offset(image->current) + offsetof(struct header_disk, log_length);

	image->log_state = VHDX_LOG_CLEAN;
	image->known |= VHDX_KNOWN_LOG;
	if (image->headers[image->current].log_version)
		vhdx_image_report(image, PROBLEM_HEADER_LOG_VERSION_IDLE,
				  header_offset(image->current) +
					  offsetof(struct header_disk, log_version),
				  "header %u: LogVersion is %u (expected 0)", image->current + 1,
				  image->headers[image->current].log_version);
	enum problem fault = vhdx_image_idle_log_fault(image);

	if (fault == NO_PROBLEM)
		return;
	vhdx_image_report(image, fault, at,
			  "header %u: the log is %#x bytes at %#" PRIx64
			  " (expected whole MiB within the file, "
			  "behind the first MiB)",
			  image->current + 1, log->length, log->offset);
}

static int replay_log(struct image *image, const struct log_scan *scan)
{
	struct fault fault = {0};
	uint64_t size;
	int ret = vhdx_replay_view(image->file, image->file_size, &image->log, scan,
				   &image->replayed, &size, &fault);

	if (ret == -EUCLEAN && fault.problem) {
		image->log_state = VHDX_LOG_CORRUPT;
		vhdx_image_report(image, fault.problem, fault.offset, "%s", fault.text);
		return 0;
	}
	if (ret)
		return ret;
	image->view = &image->replayed;
	image_set_view_size(image, size);
	return 0;
}

/* Replays what was found in the log. */
static int use_scan(struct image *image, const struct log_scan *scan)
{
	image->log_entries = scan->active_count;
	if (!scan->active_count) {
		vhdx_image_report(
			image, PROBLEM_LOG_NO_SEQUENCE, image->log.offset,
			"log: LogGuid is set, and no complete sequence of entries was found among "
			"%zu valid ones (expected one)",
			scan->count);
		return 0;
	}
	uint64_t changes = vhdx_log_scan_changes(scan);
	uint64_t last = scan->spans[scan->active[scan->active_count - 1]].last_file_offset;
	bool dirty = changes || last > image->file_size;

	image->log_state = dirty ? VHDX_LOG_DIRTY : VHDX_LOG_EMPTY;
	image->memory += changes * OVERLAY_CHANGE_MEMORY;
	int ret = replay_log(image, scan);

	if (ret || image->log_state == VHDX_LOG_CORRUPT)
		return ret;
	vhdx_image_report(image, dirty ? PROBLEM_LOG_DIRTY : PROBLEM_LOG_EMPTY, image->log.offset,
			  "log: %zu active entries, %s", scan->active_count,
			  dirty ? "to be replayed" : "none of which changes anything");
	return 0;
}

static int load_dirty_log(struct image *image)
{
	const struct log_place *log = &image->log;
	uint64_t at = header_offset(image->current) + offsetof(struct header_disk, log_length);

	image->log_state = VHDX_LOG_CORRUPT;
	if (image->headers[image->current].log_version) {
		vhdx_image_report(
			image, PROBLEM_HEADER_LOG_VERSION,
			header_offset(image->current) + offsetof(struct header_disk, log_version),
			"header %u: LogVersion is %u, and the log must be replayed (expected 0)",
			image->current + 1, image->headers[image->current].log_version);
		return 0;
	}
	image->known |= VHDX_KNOWN_LOG;
	if (!vhdx_image_log_is_usable(image)) {
		vhdx_image_report(image, PROBLEM_HEADER_LOG_PLACE, at,
				  "header %u: the log to replay is %#x bytes at %#" PRIx64
				  " (expected whole MiB within the file's %#" PRIx64
				  " bytes, behind the first MiB)",
				  image->current + 1, log->length, log->offset, image->file_size);
		return 0;
	}
	if (log->length > MAX_LOG_LENGTH) {
		vhdx_image_report(
			image, PROBLEM_LOG_TOO_LARGE, at,
			"header %u: the log to replay is %u bytes long (expected at most %" PRIu64
			")",
			image->current + 1, log->length, MAX_LOG_LENGTH);
		return 0;
	}
	struct log_scan scan;
	int ret = vhdx_log_scan(image->file, log, &scan);

	if (ret)
		return ret;
	ret = use_scan(image, &scan);
	vhdx_log_scan_free(&scan);
	return ret;
}

static int load_log(struct image *image)
{
	if (image->current == NO_HEADER)
		return 0;
	const struct header *header = &image->headers[image->current];

	image->log = (struct log_place){header->log_offset, header->log_length, header->log_guid};
	if (!guid_is_zero(&header->log_guid))
		return load_dirty_log(image);
	check_idle_log(image);
	return 0;
}

int vhdx_image_load(struct image *image, const char *name, const struct vhdx_io *file,
		    vhdx_finding_fn *finding, void *opaque)
{
	*image = (struct image){
		.name = name,
		.file = file,
		.view = file,
		.current = NO_HEADER,
		.header_unflushed = true, /* its writer may have been killed before his flush */
		.table = NO_TABLE,
		.finding = finding,
		.opaque = opaque,
	};
	int ret = vhdx_io_get_size(file, &image->file_size);

	if (ret)
		return vhdx_fail_errno(ret, name, "its size cannot be read");
	image_set_view_size(image, image->file_size);
	bool is_image = false;

	ret = load_identifier(image);
	if (!ret)
		ret = find_any_header(image, &is_image);
	if (ret || !is_image)
		return ret;
	check_file_size(image);
	ret = vhdx_image_load_headers(image);
	if (!ret)
		ret = load_log(image);
	if (!ret)
		ret = vhdx_image_load_regions(image);
	if (!ret)
		ret = vhdx_image_load_items(image);
	if (!ret)
		vhdx_image_check_windows(image);
	return ret;
}

int vhdx_image_reserve(const struct image *image, uint64_t offset, uint64_t length,
		       const char *what)
{
	int ret = vhdx_io_reserve(image->file, offset, length);

	if (!ret || ret == -EOPNOTSUPP)
		return 0;
	return vhdx_fail_io(ret, image->name, offset, "the space of %s cannot be reserved", what);
}

int vhdx_image_flush(struct image *image)
{
	uint64_t size = image_view_size(image);
	int ret = image->view == image->file ? 0 : vhdx_io_get_size(image->file, &size);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "its size cannot be read");
	ret = vhdx_io_flush(image->file);
	if (ret)
		return vhdx_fail_errno(ret, image->name, "cannot be flushed");
	image->header_unflushed = false;
	image->flushed_size = size;
	return 0;
}

void vhdx_image_free(struct image *image)
{
	vhdx_io_close(&image->replayed);
	vhdx_locator_free(&image->locator);
	vhdx_error_drop(&image->fault);
	vhdx_error_drop(&image->lock_reason);
	free(image->regions);
	free(image->items);
	*image = (struct image){0};
}
