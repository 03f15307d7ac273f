/* SPDX-License-Identifier: MIT */
/*
 * Puts back what a repair overwrote. First everything is compared: the image may hold any mixture of old
 * and new sectors, for a crash leaves one, but nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "ops/undo.h"
#include "ops/undofile.h"
#include "store/io.h"

struct undo_reader {
	const struct vhdx_io *undo;
	const char *undo_name;
	const struct vhdx_io *io;
	const char *name;
	uint64_t undo_size;
	struct undo_header header;
	uint8_t *old_bytes; /* of a part of a range, as are the others: UNDO_CHUNK each */
	uint8_t *new_bytes;
	uint8_t *now;
};

typedef int range_visitor(struct undo_reader *reader, const struct undo_range *range);

static int fail_undo(const struct undo_reader *reader, int ret, uint64_t offset)
{
	return vhdx_fail_io(ret, reader->undo_name, offset, "cannot be read");
}

static int fail_damaged(const struct undo_reader *reader, uint64_t offset)
{
	return vhdx_fail(-EUCLEAN, NO_PROBLEM, reader->undo_name, offset,
			 "the undo file is damaged");
}

static int fail_image(const struct undo_reader *reader, int ret, uint64_t offset)
{
	return vhdx_fail_io(ret, reader->name, offset, "cannot be put back");
}

static int fail_changed(const struct undo_reader *reader, uint64_t offset)
{
	return vhdx_fail(-ESTALE, NO_PROBLEM, reader->name, offset,
			 "was changed since it was repaired, or %s is of another image (expected "
			 "what the repair found or wrote)",
			 reader->undo_name);
}

/* Visits the ranges of the table. Its checksum was right when it was read first. */
static int for_ranges(struct undo_reader *reader, range_visitor *visit)
{
	uint64_t from = 0;

	for (uint32_t done = 0; done < reader->header.count;) {
		struct undo_range_disk page[UNDO_RANGES_A_PAGE];
		uint32_t count = (uint32_t)min_u64(UNDO_RANGES_A_PAGE, reader->header.count - done);
		uint64_t at = UNDO_TABLE_OFFSET + done * sizeof(page[0]);
		int ret = vhdx_io_read(reader->undo, page, count * sizeof(page[0]), at);

		if (ret)
			return fail_undo(reader, ret, at);
		for (uint32_t i = 0; i < count; i++) {
			struct undo_range range;

			if (vhdx_undo_range_decode(&page[i], &reader->header, from,
						   reader->undo_size, &range))
				return fail_damaged(reader, at + i * sizeof(page[0]));
			ret = visit(reader, &range);
			if (ret)
				return ret;
			from = range.offset + range.length;
		}
		done += count;
	}
	return 0;
}

static int check_table(struct undo_reader *reader)
{
	uint64_t length = (uint64_t)reader->header.count * sizeof(struct undo_range_disk);
	uint32_t crc = 0;

	if (length && !range_within(UNDO_TABLE_OFFSET, length, reader->undo_size))
		return fail_damaged(reader, UNDO_TABLE_OFFSET);
	for (uint64_t done = 0; done < length; done += UNDO_CHUNK) {
		size_t part = (size_t)min_u64(UNDO_CHUNK, length - done);
		int ret = vhdx_io_read(reader->undo, reader->old_bytes, part,
				       UNDO_TABLE_OFFSET + done);

		if (ret)
			return fail_undo(reader, ret, UNDO_TABLE_OFFSET + done);
		crc = vhdx_crc32c(crc, reader->old_bytes, part);
	}
	return crc == reader->header.table_crc ? 0 : fail_damaged(reader, UNDO_TABLE_OFFSET);
}

/* A part of a range: its old bytes, and the new ones, which are zeros where none are kept. */
static int read_part(struct undo_reader *reader, const struct undo_range *range, uint64_t done,
		     size_t size)
{
	int ret = vhdx_io_read(reader->undo, reader->old_bytes, size, range->bytes + done);

	if (ret)
		return fail_undo(reader, ret, range->bytes + done);
	if (range->kind == UNDO_RELEASED)
		return 0;
	ret = vhdx_io_read(reader->undo, reader->new_bytes, size, undo_new_bytes(range) + done);
	return ret ? fail_undo(reader, ret, undo_new_bytes(range) + done) : 0;
}

/* Does each sector of it hold what the repair found, or what it wrote? */
static bool is_known(const struct undo_reader *reader, uint64_t offset, size_t size)
{
	for (size_t at = 0; at < size;) {
		size_t part = (size_t)min_u64(UNDO_SECTOR - (offset + at) % UNDO_SECTOR, size - at);

		if (memcmp(reader->now + at, reader->old_bytes + at, part) != 0 &&
		    memcmp(reader->now + at, reader->new_bytes + at, part) != 0)
			return false;
		at += part;
	}
	return true;
}

/* What a damaged undo file holds says nothing of the image, so that comes first. */
static int check_range(struct undo_reader *reader, const struct undo_range *range)
{
	uint32_t old_crc = 0;
	uint32_t new_crc = 0;
	bool known = true;

	if (range->kind == UNDO_RELEASED)
		memset(reader->new_bytes, 0, UNDO_CHUNK);
	for (uint64_t done = 0; done < range->length;) {
		size_t part = (size_t)min_u64(range->length - done, UNDO_CHUNK);
		int ret = read_part(reader, range, done, part);

		if (ret)
			return ret;
		old_crc = vhdx_crc32c(old_crc, reader->old_bytes, part);
		new_crc = vhdx_crc32c(new_crc, reader->new_bytes, part);
		ret = vhdx_io_read(reader->io, reader->now, part, range->offset + done);
		if (ret)
			return fail_image(reader, ret, range->offset + done);
		known = known && is_known(reader, range->offset + done, part);
		done += part;
	}
	if (old_crc != range->old_crc || (range->kind == UNDO_WRITTEN && new_crc != range->new_crc))
		return fail_damaged(reader, range->bytes);
	return known ? 0 : fail_changed(reader, range->offset);
}

/* Shared with the undo file where that can be: then nothing is copied. */
static bool clone_back(const struct undo_reader *reader, const struct undo_range *range)
{
	const struct vhdx_io *io = reader->io;

	return range->kind == UNDO_RELEASED && io->clone &&
	       is_aligned(range->offset | range->length, UNDO_PAGE) &&
	       !io->clone(io->opaque, range->offset, reader->undo, range->bytes, range->length);
}

static int put_back(struct undo_reader *reader, const struct undo_range *range)
{
	/* What the growth appended goes with it. */
	uint64_t end = min_u64(range->offset + range->length, reader->header.old_size);
	uint64_t length = end > range->offset ? end - range->offset : 0;

	if (length == range->length && clone_back(reader, range))
		return 0;
	for (uint64_t done = 0; done < length;) {
		size_t part = (size_t)min_u64(length - done, UNDO_CHUNK);
		uint64_t offset = range->offset + done;
		int ret = vhdx_io_read(reader->undo, reader->old_bytes, part, range->bytes + done);

		if (ret)
			return fail_undo(reader, ret, range->bytes + done);
		ret = vhdx_io_read(reader->io, reader->now, part, offset);
		if (!ret && memcmp(reader->now, reader->old_bytes, part) != 0)
			ret = vhdx_io_write(reader->io, reader->old_bytes, part, offset);
		if (ret)
			return fail_image(reader, ret, offset);
		done += part;
	}
	return 0;
}

/* The image was not changed yet. */
static int check_all(struct undo_reader *reader)
{
	uint64_t size;
	int ret = vhdx_io_get_size(reader->undo, &reader->undo_size);

	if (ret)
		return fail_undo(reader, ret, VHDX_NO_OFFSET);
	ret = vhdx_undo_read_header(reader->undo, reader->undo_name, &reader->header);
	if (!ret)
		ret = check_table(reader);
	if (ret)
		return ret;
	ret = vhdx_io_get_size(reader->io, &size);
	if (ret)
		return fail_image(reader, ret, VHDX_NO_OFFSET);
	if (size != reader->header.old_size && size != reader->header.new_size)
		return fail_changed(reader, size);
	return for_ranges(reader, check_range);
}

/* From here on a crash leaves a mixture, whatever the repair had come to. */
static int mark_open(struct undo_reader *reader)
{
	if (reader->header.state == UNDO_OPEN || !reader->undo->pwritev)
		return 0;
	reader->header.state = UNDO_OPEN;
	return vhdx_undo_put_header(reader->undo, reader->undo_name, &reader->header);
}

/* What was appended is cut last: until then it is something that the undo file knows. */
static int put_all_back(struct undo_reader *reader)
{
	uint64_t old_size = reader->header.old_size;
	uint64_t size;
	int ret = vhdx_io_get_size(reader->io, &size);

	if (!ret && size < old_size)
		ret = vhdx_io_set_size(reader->io, old_size);
	if (ret)
		return fail_image(reader, ret, VHDX_NO_OFFSET);
	ret = for_ranges(reader, put_back);
	if (ret)
		return ret;
	if (size > old_size) {
		ret = vhdx_io_flush(reader->io);
		if (!ret)
			ret = vhdx_io_set_size(reader->io, old_size);
	}
	if (!ret)
		ret = vhdx_io_flush(reader->io);
	return ret ? fail_image(reader, ret, VHDX_NO_OFFSET) : 0;
}

int vhdx_undo_restore(const struct vhdx_io *undo, const char *undo_name, const struct vhdx_io *io,
		      const char *name)
{
	auto_free uint8_t *chunks = malloc(3 * UNDO_CHUNK);
	struct undo_reader reader = {
		.undo = undo,
		.undo_name = undo_name,
		.io = io,
		.name = name,
	};

	if (!chunks)
		return vhdx_fail_memory();
	reader.old_bytes = chunks;
	reader.new_bytes = chunks + UNDO_CHUNK;
	reader.now = chunks + 2 * UNDO_CHUNK;
	int ret = check_all(&reader);

	if (!ret)
		ret = mark_open(&reader);
	return ret ? ret : put_all_back(&reader);
}
