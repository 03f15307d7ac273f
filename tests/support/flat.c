/* SPDX-License-Identifier: MIT */
/* What a disk that is written must hold: its bytes, and what each sector may be once more after a kill. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "support/flat.h"

#define PIECE	    ((uint64_t)256 * 1024)
#define MOST_SECTOR 4096

/* What a range of whole sectors held before a change; @bytes are at their place in the range. */
struct flat_undo {
	uint64_t offset;
	uint64_t length;
	struct sparse bytes;
	struct flat_undo *next;
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void flat_init(struct flat *flat, uint64_t size, uint32_t sector_size)
{
	*flat = (struct flat){.size = size, .sector_size = sector_size};
	sparse_resize(&flat->bytes, size);
}

void flat_free(struct flat *flat)
{
	flat_flush(flat);
	sparse_free(&flat->bytes);
}

void flat_flush(struct flat *flat)
{
	while (flat->undo) {
		struct flat_undo *undo = flat->undo;

		flat->undo = undo->next;
		sparse_free(&undo->bytes);
		free(undo);
	}
}

static void keep(struct flat *flat, uint64_t offset, uint64_t length)
{
	uint64_t start = offset / flat->sector_size * flat->sector_size;
	uint64_t end =
		(offset + length + flat->sector_size - 1) / flat->sector_size * flat->sector_size;
	struct flat_undo *undo = calloc(1, sizeof(*undo));

	if (!undo)
		abort();
	undo->offset = start;
	undo->length = end - start;
	sparse_copy(&undo->bytes, start % SPARSE_PAGE, &flat->bytes, start, end - start);
	undo->next = flat->undo;
	flat->undo = undo;
}

void flat_write(struct flat *flat, const void *buf, uint64_t length, uint64_t offset)
{
	keep(flat, offset, length);
	sparse_write(&flat->bytes, buf, length, offset);
}

void flat_zero(struct flat *flat, uint64_t offset, uint64_t length)
{
	keep(flat, offset, length);
	sparse_zero(&flat->bytes, offset, length);
}

static void read_disk(struct vhdx *disk, void *buf, uint64_t length, uint64_t offset)
{
	int ret = vhdx_pread(disk, buf, length, offset);

	CHECK(!ret, "read of %#" PRIx64 " bytes at %#" PRIx64 ": %d, %s", length, offset, ret,
	      vhdx_last_error()->text);
}

void flat_check(const struct flat *flat, struct vhdx *disk, uint64_t offset, uint64_t length)
{
	static uint8_t got[PIECE];
	static uint8_t expected[PIECE];

	while (length) {
		uint64_t part = min(length, PIECE);

		memset(got, 0xa5, part);
		read_disk(disk, got, part, offset);
		sparse_read(&flat->bytes, expected, part, offset);
		if (memcmp(got, expected, part) != 0) {
			uint64_t at = 0;

			while (got[at] == expected[at])
				at++;
			CHECK(false, "byte %#" PRIx64 " is %#x, not %#x", offset + at, got[at],
			      expected[at]);
		}
		offset += part;
		length -= part;
	}
}

static bool is_zero(const uint8_t *bytes, uint64_t length)
{
	return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}

/* The first page of the range from @at on that was ever written; false when there is none. */
static bool next_page(const struct sparse *bytes, uint64_t at, uint64_t end, uint64_t *ret_start,
		      uint64_t *ret_length)
{
	uint64_t start;

	if (at >= end || !sparse_next_page(bytes, at, &start) || start >= end)
		return false;
	start = start > at ? start : at;
	*ret_start = start;
	*ret_length = min(SPARSE_PAGE - start % SPARSE_PAGE, end - start);
	return true;
}

bool flat_has_data(const struct flat *flat, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length;
	uint64_t start;
	uint64_t part;

	for (uint64_t at = offset; next_page(&flat->bytes, at, end, &start, &part);
	     at = start + part) {
		uint8_t page[SPARSE_PAGE];

		sparse_read(&flat->bytes, page, part, start);
		if (!is_zero(page, part))
			return true;
	}
	return false;
}

void flat_check_zeros(const struct flat *flat, uint64_t offset, uint64_t length)
{
	CHECK(!flat_has_data(flat, offset, length),
	      "%#" PRIx64 " bytes at %#" PRIx64 " are no zeros", length, offset);
}

/* Of one page: what lies in the range is, of each sector, zeros or as before. */
static void take_trimmed_page(struct flat *flat, struct vhdx *disk, uint64_t offset,
			      uint64_t length)
{
	uint8_t got[SPARSE_PAGE];
	uint8_t before[SPARSE_PAGE];
	uint64_t part;

	read_disk(disk, got, length, offset);
	sparse_read(&flat->bytes, before, length, offset);
	for (uint64_t at = 0; at < length; at += part) {
		part = min(flat->sector_size - (offset + at) % flat->sector_size, length - at);
		CHECK(is_zero(got + at, part) || !memcmp(got + at, before + at, part),
		      "trimmed: %#" PRIx64 " is neither zeros nor as before", offset + at);
	}
	sparse_write(&flat->bytes, got, length, offset);
}

void flat_take_trimmed(struct flat *flat, struct vhdx *disk, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length;
	uint64_t start;
	uint64_t part;

	keep(flat, offset, length);
	for (uint64_t at = offset; next_page(&flat->bytes, at, end, &start, &part);
	     at = start + part)
		take_trimmed_page(flat, disk, start, part);
}

void flat_take_failed(struct flat *flat, struct vhdx *disk, const void *buf, uint64_t offset,
		      uint64_t length)
{
	static const uint8_t zeros[MOST_SECTOR];
	uint8_t got[MOST_SECTOR];
	uint8_t before[MOST_SECTOR];
	uint64_t part;

	keep(flat, offset, length);
	for (uint64_t at = 0; at < length; at += part) {
		const uint8_t *wanted = buf ? (const uint8_t *)buf + at : zeros;

		part = min(flat->sector_size - (offset + at) % flat->sector_size, length - at);
		read_disk(disk, got, part, offset + at);
		sparse_read(&flat->bytes, before, part, offset + at);
		CHECK(!memcmp(got, wanted, part) || !memcmp(got, before, part),
		      "after a failed change, %#" PRIx64 " is neither old nor new", offset + at);
		sparse_write(&flat->bytes, got, part, offset + at);
	}
}

/* Was the sector like this at any time since the last flush? */
static bool was_like(const struct flat *flat, uint64_t offset, const uint8_t *sector)
{
	uint8_t old[MOST_SECTOR];

	for (const struct flat_undo *undo = flat->undo; undo; undo = undo->next) {
		if (offset < undo->offset || offset >= undo->offset + undo->length)
			continue;
		sparse_read(&undo->bytes, old, flat->sector_size,
			    offset - undo->offset + undo->offset % SPARSE_PAGE);
		if (!memcmp(old, sector, flat->sector_size))
			return true;
	}
	return false;
}

static void take_killed_range(struct flat *flat, struct vhdx *disk, uint64_t offset,
			      uint64_t length)
{
	uint8_t got[MOST_SECTOR];
	uint8_t now[MOST_SECTOR];
	uint64_t start = offset / flat->sector_size * flat->sector_size;

	for (uint64_t at = start; at < offset + length; at += flat->sector_size) {
		read_disk(disk, got, flat->sector_size, at);
		sparse_read(&flat->bytes, now, flat->sector_size, at);
		if (!memcmp(got, now, flat->sector_size))
			continue;
		CHECK(was_like(flat, at, got),
		      "after a kill, the sector at %#" PRIx64
		      " holds what it never held since the last flush: %#x...",
		      at, got[0]);
		sparse_write(&flat->bytes, got, flat->sector_size, at);
	}
}

void flat_take_killed(struct flat *flat, struct vhdx *disk)
{
	for (const struct flat_undo *undo = flat->undo; undo; undo = undo->next) {
		uint64_t end = undo->offset + undo->length;
		uint64_t shift = undo->offset / SPARSE_PAGE * SPARSE_PAGE;
		uint64_t start;
		uint64_t part;

		/* Where neither had a page, both are zeros. */
		for (uint64_t at = undo->offset; next_page(&flat->bytes, at, end, &start, &part);
		     at = start + part)
			take_killed_range(flat, disk, start, part);
		for (uint64_t at = undo->offset - shift;
		     next_page(&undo->bytes, at, end - shift, &start, &part); at = start + part)
			take_killed_range(flat, disk, start + shift, part);
	}
	flat_flush(flat);
}
