/* SPDX-License-Identifier: MIT */
/* What lies in the file of an image whose log is empty, read without the library's help. */
#include <string.h>

#include "support/bytes.h"
#include "support/image.h"
#include "support/written.h"

void written_headers(const struct sparse *file, struct written_header ret_headers[2])
{
	for (unsigned i = 0; i < 2; i++) {
		uint8_t bytes[4096];

		sparse_read(file, bytes, sizeof(bytes), (i + 1) * 64 * T_KIB);
		struct written_header header = {
			.valid = !memcmp(bytes, "head", 4) &&
				 get_number(bytes + 4, 4) ==
					 slow_crc32c_structure(bytes, sizeof(bytes)),
			.sequence = get_number(bytes + 8, 8),
		};

		memcpy(header.file_write_guid, bytes + 16, 16);
		memcpy(header.data_write_guid, bytes + 32, 16);
		memcpy(header.log_guid, bytes + 48, 16);
		ret_headers[i] = header;
	}
}

void written_current_header(const struct sparse *file, struct written_header *ret_header)
{
	struct written_header headers[2];

	written_headers(file, headers);
	unsigned current = !headers[0].valid ||
			   (headers[1].valid && headers[1].sequence > headers[0].sequence);

	*ret_header = headers[current];
}

static void add(struct written_space *space, uint64_t offset, uint64_t length)
{
	space->used += length;
	if (space->end < offset + length)
		space->end = offset + length;
}

/* The first region table (F 3). */
static void add_regions(const struct sparse *file, struct written_space *space)
{
	uint8_t table[4096];

	sparse_read(file, table, sizeof(table), 192 * T_KIB);
	for (uint64_t i = 0; i < get_number(table + 8, 4) && i < 100; i++) {
		const uint8_t *entry = table + 16 + 32 * i;

		add(space, get_number(entry + 16, 8), get_number(entry + 24, 4));
	}
}

static void add_entry(const struct vhdx_info *info, uint64_t index, uint64_t entry,
		      struct written_space *space)
{
	uint64_t ratio = ((uint64_t)1 << 23) * info->logical_sector_size / info->block_size;
	uint64_t offset = entry >> 20 << 20;
	unsigned state = entry & 7;
	bool is_bitmap = index % (ratio + 1) == ratio;

	if (!offset || state == 0 || state == 2)
		return;
	add(space, offset, is_bitmap ? T_MIB : info->block_size);
}

void written_space(const struct sparse *file, const struct vhdx_info *info,
		   struct written_space *ret_space)
{
	struct written_space space = {.used = T_MIB, .end = T_MIB};
	uint64_t bat_end = info->bat_offset + info->bat_length;
	uint64_t at = info->bat_offset;
	uint64_t start;
	uint64_t end;

	add_regions(file, &space);
	add(&space, info->log_offset, info->log_length);
	while (sparse_next(file, at, &start, &end) && start < bat_end) {
		uint8_t page[SPARSE_PAGE];

		at = start > at ? start : at;
		sparse_read(file, page, sizeof(page), at);
		for (unsigned i = 0; i < SPARSE_PAGE / 8; i++)
			add_entry(info, (at - info->bat_offset) / 8 + i,
				  get_number(page + 8 * i, 8), &space);
		at += SPARSE_PAGE;
	}
	*ret_space = space;
}
