/* SPDX-License-Identifier: MIT */
/*
 * Every valid entry of a log, and the active sequence among them (F 4.2, F 4.3). All sectors of a valid
 * entry but its first begin with another signature than an entry's, so valid entries never overlap:
 * that makes the search linear, whatever a log holds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/guid.h"
#include "meta/logscan.h"
#include "store/io.h"

#define WINDOW_SIZE ((uint64_t)256 * KIB)
#define NO_SPAN	    UINT32_MAX

int vhdx_log_reader_open(const struct vhdx_io *io, const struct log_place *log,
			 struct log_reader *ret_reader)
{
	uint8_t *window = malloc(WINDOW_SIZE);

	if (!window)
		return vhdx_fail_memory();
	*ret_reader = (struct log_reader){.io = io, .log = log, .window = window};
	return 0;
}

void vhdx_log_reader_close(struct log_reader *reader)
{
	free(reader->window);
	*reader = (struct log_reader){0};
}

const uint8_t *vhdx_log_reader_sector(struct log_reader *reader, uint64_t position, int *ret_error)
{
	position %= reader->log->length;
	if (position < reader->start || position + LOG_SECTOR_SIZE > reader->start + reader->held) {
		reader->held = 0;
		uint64_t size = min_u64(WINDOW_SIZE, reader->log->length - position);
		int ret = vhdx_io_read(reader->io, reader->window, size,
				       reader->log->offset + position);

		if (ret) {
			*ret_error = vhdx_fail_errno(ret, NULL, "the log cannot be read");
			return NULL;
		}
		reader->start = position;
		reader->held = size;
	}
	return reader->window + (position - reader->start);
}

const struct log_descriptor_disk *vhdx_log_descriptors(const uint8_t *sector, uint64_t index,
						       uint32_t total, uint32_t *ret_count)
{
	const uint32_t size = sizeof(struct log_descriptor_disk);
	const uint32_t in_first = (LOG_SECTOR_SIZE - sizeof(struct log_entry_disk)) / size;
	const uint32_t in_others = LOG_SECTOR_SIZE / size;
	uint64_t before = index ? in_first + (index - 1) * in_others : 0;

	*ret_count =
		(uint32_t)min_u64(total - min_u64(total, before), index ? in_others : in_first);
	return (const struct log_descriptor_disk *)(sector +
						    (index ? 0 : sizeof(struct log_entry_disk)));
}

/* Adds the data descriptors of one sector to *data_count; false when one is not valid. */
static bool check_descriptors(const struct log_reader *reader, const struct log_entry *entry,
			      const uint8_t *sector, uint64_t index, uint64_t *data_count)
{
	uint32_t count;
	const struct log_descriptor_disk *disk =
		vhdx_log_descriptors(sector, index, entry->descriptor_count, &count);

	for (uint32_t i = 0; i < count; i++) {
		struct log_descriptor descriptor;

		if (vhdx_log_descriptor_decode(&disk[i], sizeof(disk[i]), reader->log, entry,
					       &descriptor))
			return false;
		*data_count += !descriptor.is_zero;
	}
	return true;
}

/* Checks everything behind the entry's header: descriptors, data sectors, their number, the checksum. */
static bool check_entry(struct log_reader *reader, uint64_t position, const struct log_entry *entry,
			int *ret_error)
{
	uint64_t descriptor_sectors = log_descriptor_sectors(entry->descriptor_count);
	uint64_t sectors = entry->entry_length / LOG_SECTOR_SIZE;
	uint64_t data_count = 0;
	uint32_t crc = 0;

	for (uint64_t i = 0; i < sectors; i++) {
		const uint8_t *sector =
			vhdx_log_reader_sector(reader, position + i * LOG_SECTOR_SIZE, ret_error);

		if (!sector)
			return false;
		if (i < descriptor_sectors
			    ? !check_descriptors(reader, entry, sector, i, &data_count)
			    : !vhdx_log_sector_belongs(sector, LOG_SECTOR_SIZE,
						       entry->sequence_number))
			return false;
		crc = i ? vhdx_crc32c(crc, sector, LOG_SECTOR_SIZE)
			: vhdx_crc32c_structure(sector, LOG_SECTOR_SIZE);
	}
	return descriptor_sectors + data_count == sectors && crc == entry->checksum;
}

static int append_span(struct log_scan *scan, const struct log_span *span)
{
	if (!(scan->count & (scan->count - 1))) { /* full at powers of two */
		size_t room = scan->count ? 2 * scan->count : 1;
		struct log_span *spans = realloc(scan->spans, room * sizeof(*spans));

		if (!spans)
			return vhdx_fail_memory();
		scan->spans = spans;
	}
	scan->spans[scan->count++] = *span;
	return 0;
}

/*
 * Moves *position on to the next sector that the file holds; *data_end is how far it holds what follows.
 * No sector of an entry is all zeros, so none is in a hole.
 */
static int skip_hole(const struct log_reader *reader, uint64_t *position, uint64_t *data_end)
{
	const struct log_place *log = reader->log;
	uint64_t start;
	uint64_t end;

	if (*position < *data_end)
		return 0;
	int ret = vhdx_io_next_data(reader->io, log->offset + *position, log->offset + log->length,
				    &start, &end);

	if (ret == -ENXIO)
		*position = log->length;
	else if (ret)
		return vhdx_fail_errno(ret, NULL, "the log cannot be read");
	else
		*position = round_down(start - log->offset, LOG_SECTOR_SIZE);
	*data_end = ret ? log->length : end - log->offset;
	return 0;
}

/* The valid entry at @position; *ret_found tells whether there is one. */
static int find_span(struct log_reader *reader, uint64_t position, struct log_span *ret_span,
		     bool *ret_found)
{
	struct log_entry entry;
	int error = 0;
	const uint8_t *sector = vhdx_log_reader_sector(reader, position, &error);

	*ret_found = sector &&
		     !vhdx_log_entry_decode(sector, LOG_SECTOR_SIZE, reader->log, &entry) &&
		     check_entry(reader, position, &entry, &error);
	if (*ret_found)
		*ret_span = (struct log_span){
			.position = (uint32_t)position,
			.length = entry.entry_length,
			.tail = entry.tail,
			.descriptor_count = entry.descriptor_count,
			.sequence_number = entry.sequence_number,
			.flushed_file_offset = entry.flushed_file_offset,
			.last_file_offset = entry.last_file_offset,
			.guid = entry.log_guid,
		};
	return error;
}

/* @place is the reader's log, taken to be of the session of the entry that may be at @position. */
static int join_session(struct log_reader *reader, uint64_t position, struct log_place *place)
{
	int ret = 0;
	const struct log_entry_disk *disk =
		(const void *)vhdx_log_reader_sector(reader, position, &ret);

	if (!ret)
		place->guid = disk->log_guid;
	return ret;
}

/* @place is NULL, or the reader's log, for entries of any session. */
static int find_spans(struct log_reader *reader, struct log_place *place, struct log_scan *scan)
{
	uint64_t position = 0;
	uint64_t data_end = 0;

	for (;;) {
		struct log_span span;
		bool found;
		int ret = skip_hole(reader, &position, &data_end);

		if (ret || position >= reader->log->length)
			return ret;
		if (place)
			ret = join_session(reader, position, place);
		if (!ret)
			ret = find_span(reader, position, &span, &found);
		if (!ret && found)
			ret = append_span(scan, &span);
		if (ret)
			return ret;
		position += found ? span.length : LOG_SECTOR_SIZE;
	}
}

static uint32_t span_at(const struct log_scan *scan, uint64_t position)
{
	size_t low = 0;
	size_t high = scan->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (scan->spans[middle].position < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low < scan->count && scan->spans[low].position == position ? (uint32_t)low : NO_SPAN;
}

/* Links each span to the one before it in its run; a span that none follows is a head. */
static void link_runs(const struct log_scan *scan, uint64_t log_length, uint32_t *before,
		      bool *is_head)
{
	for (size_t i = 0; i < scan->count; i++)
		before[i] = NO_SPAN;
	for (size_t i = 0; i < scan->count; i++) {
		const struct log_span *span = &scan->spans[i];
		uint32_t next =
			span_at(scan, (span->position + (uint64_t)span->length) % log_length);

		is_head[i] = next == NO_SPAN ||
			     scan->spans[next].sequence_number != span->sequence_number + 1;
		if (!is_head[i])
			before[next] = (uint32_t)i;
	}
}

/* Spans from the head's tail to the head; 0 when the tail is not of its run. Numbers fall on the way. */
static size_t sequence_length(const struct log_scan *scan, const uint32_t *before, uint32_t head)
{
	size_t length = 1;
	uint32_t at = head;

	while (at != NO_SPAN && scan->spans[at].position != scan->spans[head].tail) {
		at = before[at];
		length++;
	}
	return at == NO_SPAN ? 0 : length;
}

static int find_active(struct log_scan *scan, uint64_t log_length)
{
	auto_free uint32_t *before = malloc((scan->count + 1) * sizeof(*before));
	auto_free bool *is_head = malloc(scan->count + 1);
	uint32_t best = NO_SPAN;
	size_t best_length = 0;

	if (!before || !is_head)
		return vhdx_fail_memory();
	link_runs(scan, log_length, before, is_head);
	for (uint32_t i = 0; i < scan->count; i++) {
		if (!is_head[i] || (best != NO_SPAN && scan->spans[i].sequence_number <=
							       scan->spans[best].sequence_number))
			continue;
		size_t length = sequence_length(scan, before, i);

		if (length) {
			best = i;
			best_length = length;
		}
	}
	if (best == NO_SPAN)
		return 0;
	scan->active = malloc(best_length * sizeof(*scan->active));
	if (!scan->active)
		return vhdx_fail_memory();
	scan->active_count = best_length;
	for (size_t i = best_length; i-- > 0; best = before[best])
		scan->active[i] = best;
	return 0;
}

int vhdx_log_scan(const struct vhdx_io *io, const struct log_place *log, struct log_scan *ret_scan)
{
	struct log_scan scan = {0};
	struct log_reader reader = {0};
	int ret = vhdx_log_reader_open(io, log, &reader);

	if (ret)
		return ret;
	ret = find_spans(&reader, NULL, &scan);
	vhdx_log_reader_close(&reader);
	if (!ret)
		ret = find_active(&scan, log->length);
	if (ret)
		vhdx_log_scan_free(&scan);
	else
		*ret_scan = scan;
	return ret;
}

static int compare_sessions(const void *a, const void *b)
{
	const struct log_span *x = a;
	const struct log_span *y = b;
	int order = memcmp(&x->guid, &y->guid, sizeof(x->guid));

	return order ? order : (x->position > y->position) - (x->position < y->position);
}

/* The session of which @spans are, as if it were alone in the log. */
static int visit_session(const struct log_place *log, struct log_span *spans, size_t count,
			 log_session_visitor *visit, void *opaque)
{
	struct log_scan scan = {.spans = spans, .count = count};
	struct log_place session = *log;
	int ret = find_active(&scan, log->length);

	session.guid = spans->guid;
	if (!ret)
		ret = visit(opaque, &session, &scan);
	free(scan.active);
	return ret;
}

int vhdx_log_walk_sessions(const struct vhdx_io *io, const struct log_place *log,
			   log_session_visitor *visit, void *opaque)
{
	struct log_scan all = {0};
	struct log_place place = *log;
	struct log_reader reader = {0};
	size_t end;
	int ret = vhdx_log_reader_open(io, &place, &reader);

	if (ret)
		return ret;
	ret = find_spans(&reader, &place, &all);
	vhdx_log_reader_close(&reader);
	if (!ret && all.count)
		qsort(all.spans, all.count, sizeof(*all.spans), compare_sessions);
	for (size_t i = 0; i < all.count && !ret; i = end) {
		for (end = i + 1;
		     end < all.count && guid_equal(&all.spans[end].guid, &all.spans[i].guid);)
			end++;
		ret = visit_session(log, &all.spans[i], end - i, visit, opaque);
	}
	vhdx_log_scan_free(&all);
	return ret;
}

/* The file offset of a place in the log, counted on over its end. */
static uint64_t log_to_file(const struct log_place *log, uint64_t position)
{
	return log->offset + position % log->length;
}

/* The entry was found valid, so its descriptors decode. */
int vhdx_log_walk_changes(struct log_reader *reader, const struct log_span *span,
			  logged_change_visitor *visit, void *opaque)
{
	struct log_entry entry = {.sequence_number = span->sequence_number};
	uint64_t sectors = log_descriptor_sectors(span->descriptor_count);
	uint64_t data = span->position + sectors * LOG_SECTOR_SIZE;
	int ret = 0;

	for (uint64_t s = 0; s < sectors && !ret; s++) {
		uint64_t position = span->position + s * LOG_SECTOR_SIZE;
		const uint8_t *sector = vhdx_log_reader_sector(reader, position, &ret);
		uint32_t count;

		if (!sector)
			return ret;
		const struct log_descriptor_disk *disk =
			vhdx_log_descriptors(sector, s, span->descriptor_count, &count);

		for (uint32_t i = 0; i < count && !ret; i++) {
			struct logged_change change = {
				.descriptor_at = log_to_file(reader->log, position) +
						 (uint64_t)((const uint8_t *)&disk[i] - sector),
				.sector_at = log_to_file(reader->log, data),
			};

			if (vhdx_log_descriptor_decode(&disk[i], sizeof(disk[i]), reader->log,
						       &entry, &change.descriptor))
				return vhdx_fail(-EIO, NO_PROBLEM, NULL,
						 log_to_file(reader->log, position),
						 "the log changed while it was read");
			ret = visit(opaque, &change);
			data += change.descriptor.is_zero ? 0 : LOG_SECTOR_SIZE;
		}
	}
	return ret;
}

uint64_t vhdx_log_scan_changes(const struct log_scan *scan)
{
	uint64_t changes = 0;

	for (size_t i = 0; i < scan->active_count; i++)
		changes += scan->spans[scan->active[i]].descriptor_count;
	return changes;
}

void vhdx_log_scan_free(struct log_scan *scan)
{
	free(scan->spans);
	free(scan->active);
	*scan = (struct log_scan){0};
}
