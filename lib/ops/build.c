/* SPDX-License-Identifier: MIT */
/* Writes a new image from front to back: layout, space, and the order of the last writes. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/sizetext.h"
#include "format/header.h"
#include "format/region.h"
#include "ops/build.h"
#include "store/fill.h"
#include "ops/newmeta.h"
#include "store/io.h"

#define FIRST_SEQUENCE_NUMBER 1
#define GROWTH_STEP	      (64 * MIB)
#define BAT_WINDOW	      8192u /* entries written at a time */
#define BLOCKS_A_WORD	      64u

static int write_at(struct builder *b, const void *buf, size_t size, uint64_t offset,
		    const char *what)
{
	int ret = vhdx_io_write(&b->io, buf, size, offset);

	return ret ? vhdx_fail_errno(ret, b->name, "cannot write %s at %#" PRIx64, what, offset)
		   : 0;
}

static int flush(struct builder *b)
{
	int ret = b->plan.durable ? vhdx_io_flush(&b->io) : 0;

	return ret ? vhdx_fail_errno(ret, b->name, "cannot be made durable") : 0;
}

/* ---- Space ---- */

static int set_size(struct builder *b, uint64_t size)
{
	int ret = vhdx_io_set_size(&b->io, size);

	if (ret)
		return vhdx_fail_errno(ret, b->name, "cannot be given a size of %" PRIu64 " bytes",
				       size);
	b->size = size;
	return 0;
}

/* Grows in steps, for each one changes the inode. */
static int grow(struct builder *b, uint64_t end)
{
	char text[2][SIZE_TEXT_MAX];

	if (end <= b->size)
		return 0;
	if (!b->io.set_size)
		return vhdx_fail(-ENOSPC, NO_PROBLEM, b->name, VHDX_NO_OFFSET,
				 "holds %s, and the image needs at least %s",
				 vhdx_size_text(b->size, text[0]), vhdx_size_text(end, text[1]));
	return set_size(b, max_u64(end, b->size + min_u64(b->size, GROWTH_STEP)));
}

/* Makes the space up to @end real, if the image shall have no holes. */
static int secure(struct builder *b, uint64_t end)
{
	int ret = 0;

	if (b->space == SPACE_HOLES || end <= b->secured)
		return 0;
	uint64_t length = end - b->secured;

	if (b->space == SPACE_RESERVED)
		ret = vhdx_io_reserve(&b->io, b->secured, length);
	if (ret == -EOPNOTSUPP)
		b->space = SPACE_FILLED;
	if (b->space == SPACE_FILLED)
		ret = vhdx_fill_zeros(&b->io, b->secured, length);
	if (ret)
		return vhdx_fail_errno(ret, b->name, "cannot get space for %" PRIu64 " bytes",
				       length);
	b->secured = end;
	return 0;
}

static int reach(struct builder *b, uint64_t end)
{
	int ret = grow(b, end);

	return ret ? ret : secure(b, end);
}

/* Old contents must be gone before the first new byte: nothing of them may show, nor be taken for an image. */
static int clear_storage(struct builder *b)
{
	int ret = vhdx_io_get_size(&b->io, &b->size);

	if (ret)
		return vhdx_fail_errno(ret, b->name, "its size cannot be told");
	if (b->io.set_size)
		return b->size ? set_size(b, 0) : 0;
	b->space = SPACE_FILLED;
	ret = vhdx_io_write(&b->io, &(struct identifier_disk){{0}}, sizeof(struct identifier_disk),
			    IDENTIFIER_OFFSET);
	return ret ? vhdx_fail_errno(ret, b->name, "cannot be cleared") : flush(b);
}

/* ---- Layout ---- */

static bool is_fixed(const struct builder *b)
{
	return b->plan.type == VHDX_FIXED;
}

static void set_geometry(struct builder *b, uint64_t virtual_size)
{
	b->geometry = geometry_make(virtual_size, b->plan.block_size, b->plan.logical_sector_size,
				    b->plan.type == VHDX_DIFFERENCING);
	b->bat_length = round_up(b->geometry.entries * BAT_ENTRY_SIZE, MIB);
}

static uint64_t end_of_fixed(const struct builder *b)
{
	return b->first + b->geometry.blocks * b->plan.block_size;
}

/* As Hyper-V: the log, the metadata, the BAT, the blocks (F 11.1). A BAT of unknown size comes last. */
static void lay_out(struct builder *b)
{
	b->metadata_offset = HEADER_SECTION_SIZE + b->plan.log_length;
	b->metadata_length = round_up(vhdx_new_metadata_size(&b->plan), MIB);
	b->first = b->metadata_offset + b->metadata_length;
	if (b->plan.virtual_size) {
		set_geometry(b, b->plan.virtual_size);
		b->bat_offset = b->first;
		b->first += b->bat_length;
	}
	b->end = is_fixed(b) && b->plan.virtual_size ? end_of_fixed(b) : b->first;
}

int vhdx_builder_begin(const struct vhdx_io *io, const char *name, const struct image_plan *plan,
		       struct builder *ret_builder)
{
	struct builder b = {
		.name = name,
		.plan = *plan,
		.space = plan->no_holes || plan->type == VHDX_FIXED ? SPACE_RESERVED : SPACE_HOLES,
	};
	int ret = vhdx_io_adopt(io, &b.io);

	if (ret)
		return ret;
	if (!b.io.pwritev)
		return vhdx_fail(-EROFS, NO_PROBLEM, name, VHDX_NO_OFFSET, "cannot be written");
	lay_out(&b);
	ret = clear_storage(&b);
	if (!ret)
		ret = reach(&b, b.end);
	if (!ret)
		*ret_builder = b;
	return ret;
}

/* ---- Blocks ---- */

static int mark_present(struct builder *b, uint64_t block)
{
	size_t word = (size_t)(block / BLOCKS_A_WORD);

	if (word >= b->present_words) {
		size_t words = (word + 1) * 2;
		uint64_t *grown = realloc(b->present, words * sizeof(*grown));

		if (!grown)
			return vhdx_fail_memory();
		memset(grown + b->present_words, 0, (words - b->present_words) * sizeof(*grown));
		b->present = grown;
		b->present_words = words;
	}
	b->present[word] |= (uint64_t)1 << block % BLOCKS_A_WORD;
	return 0;
}

int vhdx_builder_allocate(struct builder *b, uint64_t block, uint64_t *ret_offset)
{
	if (block + 1 == b->next_block) {
		*ret_offset = b->last_offset;
		return 0;
	}
	assert(block >= b->next_block);
	if (block >= MAX_DISK_SIZE / b->plan.block_size)
		return vhdx_fail(-EFBIG, NO_PROBLEM, b->name, VHDX_NO_OFFSET,
				 "would hold a disk of more than 64 TiB (expected at most that)");
	uint64_t offset = is_fixed(b) ? b->first + block * b->plan.block_size : b->end;
	uint64_t end = max_u64(b->end, offset + b->plan.block_size);
	int ret = reach(b, end);

	if (!ret && !is_fixed(b))
		ret = mark_present(b, block);
	if (ret)
		return ret;
	b->end = end;
	b->next_block = block + 1;
	b->last_offset = offset;
	*ret_offset = offset;
	return 0;
}

uint64_t vhdx_builder_next_place(const struct builder *b, uint64_t offset)
{
	uint64_t block = offset / b->plan.block_size;

	assert(!is_fixed(b) && block + 1 >= b->next_block);
	return (block + 1 == b->next_block ? b->last_offset : b->end) + offset % b->plan.block_size;
}

/* The space is taken at once, for each growth changes the inode. */
int vhdx_builder_allocate_range(struct builder *b, uint64_t offset, uint64_t length)
{
	uint64_t last = (offset + length - 1) / b->plan.block_size;
	uint64_t unused;
	int ret = reach(b, round_up(vhdx_builder_next_place(b, offset) + length, MIB));

	for (uint64_t block = offset / b->plan.block_size; block <= last && !ret; block++)
		ret = vhdx_builder_allocate(b, block, &unused);
	return ret;
}

/* ---- Tables ---- */

/* A part of the BAT on its way to the file. */
struct bat_window {
	uint64_t start; /* index of its first entry */
	bool used;
	struct le64 entries[BAT_WINDOW];
};

static int write_window(struct builder *b, struct bat_window *window)
{
	if (!window->used)
		return 0;
	int ret = write_at(b, window->entries, sizeof(window->entries),
			   b->bat_offset + window->start * BAT_ENTRY_SIZE, "the BAT");

	memset(window->entries, 0, sizeof(window->entries));
	window->used = false;
	return ret;
}

static int put_entry(struct builder *b, struct bat_window *window, uint64_t block, uint64_t offset)
{
	uint64_t index = bat_index_of_block(&b->geometry, block);
	uint64_t start = round_down(index, BAT_WINDOW);
	int ret = start == window->start ? 0 : write_window(b, window);

	window->start = start;
	window->used = true;
	window->entries[index - start] = le64_from(bat_entry_make(BLOCK_FULLY_PRESENT, offset));
	return ret;
}

static uint64_t present_word(const struct builder *b, uint64_t word)
{
	if (is_fixed(b))
		return UINT64_MAX;
	return word < b->present_words ? b->present[word] : 0;
}

/* Blocks lie in the file as they follow each other on the disk, so each entry follows from the last. */
static int put_word(struct builder *b, struct bat_window *window, uint64_t word, uint64_t *offset)
{
	uint64_t bits = present_word(b, word);
	int ret = 0;

	for (uint64_t i = 0; i < BLOCKS_A_WORD && bits >> i && !ret; i++) {
		uint64_t block = word * BLOCKS_A_WORD + i;

		if (!(bits >> i & 1) || block >= b->geometry.blocks)
			continue;
		ret = put_entry(b, window, block, *offset);
		*offset += b->plan.block_size;
	}
	return ret;
}

/* What holds no block is left as it is: zeros, of which a table of 513 MiB may consist. */
static int write_bat(struct builder *b)
{
	auto_free struct bat_window *window = calloc(1, sizeof(*window));
	uint64_t words = is_fixed(b) ? div_round_up(b->geometry.blocks, BLOCKS_A_WORD)
				     : b->present_words;
	uint64_t offset = b->first;
	int ret = 0;

	if (!window)
		return vhdx_fail_memory();
	for (uint64_t word = 0; word < words && !ret; word++)
		ret = put_word(b, window, word, &offset);
	return ret ? ret : write_window(b, window);
}

static int write_metadata(struct builder *b)
{
	size_t size = (size_t)vhdx_new_metadata_size(&b->plan);
	auto_free void *buf = malloc(size);

	if (!buf)
		return vhdx_fail_memory();
	int ret = vhdx_new_metadata(&b->plan, b->geometry.virtual_size, buf, size);

	return ret ? ret : write_at(b, buf, size, b->metadata_offset, "the metadata");
}

static int write_region_tables(struct builder *b)
{
	struct region regions[] = {
		{REGION_BAT, b->bat_offset, (uint32_t)b->bat_length, REGION_REQUIRED},
		{REGION_METADATA, b->metadata_offset, (uint32_t)b->metadata_length,
		 REGION_REQUIRED},
	};
	auto_free void *buf = malloc(REGION_TABLE_SIZE);

	if (!buf)
		return vhdx_fail_memory();
	int ret = vhdx_region_table_encode(regions, ARRAY_SIZE(regions), buf, REGION_TABLE_SIZE);

	for (unsigned copy = 0; copy < 2 && !ret; copy++)
		ret = write_at(b, buf, REGION_TABLE_SIZE, region_table_offset(copy),
			       "a region table");
	return ret;
}

static int write_headers(struct builder *b)
{
	uint8_t buf[HEADER_SIZE];
	int ret = 0;

	for (unsigned slot = 0; slot < 2 && !ret; slot++) {
		struct header header = {
			.sequence_number = FIRST_SEQUENCE_NUMBER + slot,
			.file_write_guid = b->plan.file_write_guid,
			.data_write_guid = b->plan.data_write_guid,
			.version = HEADER_VERSION,
			.log_length = b->plan.log_length,
			.log_offset = HEADER_SECTION_SIZE,
		};

		ret = vhdx_header_encode(&header, buf, sizeof(buf));
		if (!ret)
			ret = write_at(b, buf, sizeof(buf), header_offset(slot), "a header");
	}
	return ret;
}

/* ---- The end ---- */

/* Gives places to what had to wait for the size: the BAT, and the blocks of a fixed disk behind the last one used. */
static int place_rest(struct builder *b, uint64_t virtual_size)
{
	if (!b->bat_offset) {
		set_geometry(b, virtual_size);
		if (is_fixed(b))
			b->end = end_of_fixed(b);
		b->bat_offset = b->end;
		b->end += b->bat_length;
	}
	return reach(b, b->end);
}

int vhdx_builder_finish(struct builder *b, uint64_t virtual_size)
{
	int (*const steps[])(struct builder *) = {write_bat, write_metadata, write_region_tables,
						  write_headers};
	int ret = place_rest(b, virtual_size);

	assert(virtual_size == b->geometry.virtual_size);
	for (size_t i = 0; i < ARRAY_SIZE(steps) && !ret; i++)
		ret = steps[i](b);
	if (!ret && b->io.set_size && b->size != b->end)
		ret = set_size(b, b->end);
	if (!ret)
		ret = flush(b);
	if (!ret)
		ret = write_at(b, b->plan.identifier, sizeof(b->plan.identifier), IDENTIFIER_OFFSET,
			       "the file type identifier");
	return ret ? ret : flush(b);
}

void vhdx_builder_free(struct builder *b)
{
	free(b->present);
	b->present = NULL;
	b->present_words = 0;
}

int vhdx_build_empty(const struct vhdx_io *io, const char *name, const struct image_plan *plan)
{
	struct builder builder;
	int ret = vhdx_builder_begin(io, name, plan, &builder);

	if (ret)
		return ret;
	ret = vhdx_builder_finish(&builder, plan->virtual_size);
	vhdx_builder_free(&builder);
	return ret;
}
