/* SPDX-License-Identifier: MIT */
/*
 * What a present block holds: data, zeros, or what nothing on the disk uses. Most blocks of data show it in
 * their first sectors; what the file does not hold is never read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/zeros.h"
#include "ops/content.h"
#include "store/fill.h"
#include "store/io.h"

#define BUFFER_SIZE (256 * KIB) /* what was read is still in a core's cache when it is looked at */
#define FIRST_READ  (16 * KIB)

/* is_free is asked of no less: what uses a part of it is in the way of the whole block anyway. */
#define UNIT MIB

int vhdx_content_begin(struct content_reader *reader, struct vhdx *disk)
{
	*reader = (struct content_reader){.disk = disk, .buf = malloc(BUFFER_SIZE)};
	return reader->buf ? 0 : vhdx_fail_memory();
}

void vhdx_content_end(struct content_reader *reader)
{
	free(reader->buf);
	*reader = (struct content_reader){0};
}

/* ---- Where the file holds data ---- */

static int ask(struct content_reader *reader, uint64_t offset)
{
	const struct image *image = &reader->disk->image;
	uint64_t start, end;
	int ret = vhdx_known_data(&reader->known, image->view, offset, &start, &end);

	return ret ? vhdx_fail_io(ret, image->name, offset, "the file's holes cannot be told") : 0;
}

/* How many bytes from @offset on, at most @length, are known not to be there. */
static uint64_t known_hole(const struct content_reader *reader, uint64_t offset, uint64_t length)
{
	const struct known_data *known = &reader->known;

	if (offset < known->from || offset >= known->start)
		return 0;
	return min_u64(length, known->start - offset);
}

static int read_bytes(struct content_reader *reader, uint64_t offset, uint64_t length)
{
	const struct image *image = &reader->disk->image;
	int ret = vhdx_io_read(image->view, reader->buf, (size_t)length, offset);

	return ret ? vhdx_fail_io(ret, image->name, offset,
				  "%" PRIu64 " bytes of a block cannot be read", length)
		   : 0;
}

/* ---- Zeros ---- */

static int look_at(struct content_reader *reader, uint64_t offset, uint64_t length, bool *ret_zero)
{
	int ret = read_bytes(reader, offset, length);

	if (!ret)
		*ret_zero = vhdx_is_zeros(reader->buf, (size_t)length);
	return ret;
}

/* Does a range of the file read as zeros? A few bytes are read before anybody is asked for holes. */
static int check_zeros(struct content_reader *reader, uint64_t offset, uint64_t length,
		       bool *ret_zero)
{
	uint64_t done = known_hole(reader, offset, length);
	bool zero = true;
	int ret = 0;

	if (done < length) {
		uint64_t part = min_u64(length - done, FIRST_READ);

		ret = look_at(reader, offset + done, part, &zero);
		done += part;
	}
	while (done < length && zero && !ret) {
		ret = ask(reader, offset + done);
		uint64_t part = known_hole(reader, offset + done, length - done);

		if (!ret && !part) {
			part = min_u64(length - done, BUFFER_SIZE);
			ret = look_at(reader, offset + done, part, &zero);
		}
		done += part;
	}
	if (!ret)
		*ret_zero = zero;
	return ret;
}

/* ---- Blocks ---- */

static int ask_if_free(const struct content_reader *reader, uint64_t offset, uint64_t length,
		       bool *ret_free)
{
	int answer = reader->is_free ? reader->is_free(reader->opaque, offset, length) : 0;

	if (answer < 0)
		return vhdx_fail_errno(answer, reader->disk->name,
				       "it cannot be told what uses the disk at %" PRIu64, offset);
	*ret_free = answer;
	return 0;
}

/* All of the block is in the file, at @file_offset; the disk may end within it. */
static int look_through(struct content_reader *reader, uint64_t start, uint64_t length,
			uint64_t file_offset, enum content *ret_content)
{
	enum content content = CONTENT_ZERO;
	int ret = 0;

	for (uint64_t at = 0; at < length && content != CONTENT_DATA && !ret; at += UNIT) {
		uint64_t part = min_u64(length - at, UNIT);
		bool is_free = false;
		bool zero = false;

		ret = check_zeros(reader, file_offset + at, part, &zero);
		if (ret || zero)
			continue;
		ret = ask_if_free(reader, start + at, part, &is_free);
		content = is_free ? CONTENT_UNUSED : CONTENT_DATA;
	}
	if (!ret)
		*ret_content = content;
	return ret;
}

/* Are all sectors of a range here, or all the parent's? Else *ret_mixed. */
static int look_at_bits(struct content_reader *reader, uint64_t start, uint64_t length,
			bool *ret_here, bool *ret_mixed)
{
	uint32_t sector_size = reader->disk->image.logical_sector_size;
	uint64_t sector = start / sector_size;
	uint64_t end = (start + length) / sector_size;
	bool first = false;
	uint64_t count;
	int ret = vhdx_bitmap_run(&reader->disk->bitmaps, sector, end - sector, &first, &count);
	bool here = first;

	for (; !ret && here == first && sector + count < end;) {
		sector += count;
		ret = vhdx_bitmap_run(&reader->disk->bitmaps, sector, end - sector, &here, &count);
	}
	if (ret)
		return ret;
	*ret_here = first;
	*ret_mixed = here != first;
	return 0;
}

static int look_at_partial(struct content_reader *reader, uint64_t start, uint64_t length,
			   uint64_t file_offset, enum content *ret_content)
{
	bool is_free = false;
	bool here, mixed;
	int ret = look_at_bits(reader, start, length, &here, &mixed);

	if (!ret && !mixed && here)
		return look_through(reader, start, length, file_offset, ret_content);
	if (!ret && mixed)
		ret = ask_if_free(reader, start, length, &is_free);
	if (ret)
		return ret;
	if (!mixed)
		*ret_content = CONTENT_PARENT;
	else
		*ret_content = is_free ? CONTENT_UNUSED : CONTENT_DATA;
	return 0;
}

int vhdx_content_of_block(struct content_reader *reader, uint64_t block, uint64_t entry,
			  enum content *ret_content)
{
	const struct image *image = &reader->disk->image;
	uint64_t start = block * image->geometry.block_size;
	uint64_t length = min_u64(image->geometry.block_size, image->virtual_size - start);
	uint64_t file_offset = bat_entry_offset(entry);

	if (bat_entry_state(entry) == BLOCK_PARTIALLY_PRESENT && image_has_parent(image))
		return look_at_partial(reader, start, length, file_offset, ret_content);
	return look_through(reader, start, length, file_offset, ret_content);
}

/* ---- Copying ---- */

static int copy_hole(const struct content_copy *copy, uint64_t at, uint64_t length)
{
	if (copy->is_fresh)
		return 0;
	int ret = copy->no_holes ? vhdx_fill_zeros(copy->file, copy->to + at, length)
				 : vhdx_fill_holes(copy->file, copy->to + at, length);

	return ret ? vhdx_fail_io(ret, copy->name, copy->to + at,
				  "%" PRIu64 " bytes of a block cannot be cleared", length)
		   : 0;
}

static int copy_data(struct content_reader *reader, const struct content_copy *copy, uint64_t at,
		     uint64_t length)
{
	int ret = read_bytes(reader, copy->from + at, length);

	if (ret)
		return ret;
	if (vhdx_is_zeros(reader->buf, (size_t)length))
		return copy_hole(copy, at, length);
	ret = vhdx_io_write(copy->file, reader->buf, (size_t)length, copy->to + at);
	return ret ? vhdx_fail_io(ret, copy->name, copy->to + at,
				  "%" PRIu64 " bytes of a block cannot be written", length)
		   : 0;
}

int vhdx_content_copy(struct content_reader *reader, const struct content_copy *copy)
{
	uint64_t done = 0;
	int ret = 0;

	while (done < copy->length && !ret) {
		uint64_t at = copy->from + done;
		uint64_t left = copy->length - done;

		ret = ask(reader, at);
		if (ret)
			break;
		uint64_t part = known_hole(reader, at, left);

		if (part) {
			ret = copy_hole(copy, done, part);
		} else {
			part = min_u64(min_u64(left, BUFFER_SIZE), reader->known.end - at);
			ret = copy_data(reader, copy, done, part);
		}
		done += part;
	}
	return ret;
}
