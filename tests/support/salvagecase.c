/* SPDX-License-Identifier: MIT */
/* A random image that a test ruins, and what vhdx_salvage makes of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/ondisk.h"
#include "support/salvagecase.h"

void ruined_make(struct ruined *r, const struct chain_style *style, uint64_t seed)
{
	*r = (struct ruined){.rng = rng_make(seed)};
	current_seed = seed;
	chain_make(&r->rng, style, &r->chain);
	r->layer = &r->chain.layers[0];
	r->options.size = sizeof(r->options);
	write_store_init(&r->output);
	r->kinds = malloc(r->layer->virtual_size / 512 + 1);
	assert_non_null(r->kinds);
}

void ruined_free(struct ruined *r)
{
	write_store_free(&r->output);
	free(r->kinds);
	chain_free(&r->chain);
}

static void take_range(void *opaque, const struct vhdx_salvage_range *range)
{
	struct ruined *r = opaque;

	CHECK(range->offset == r->map_end, "range at %#" PRIx64 ", not %#" PRIx64, range->offset,
	      r->map_end);
	CHECK(range->length, "empty range at %#" PRIx64, range->offset);
	bool is_copied = range->kind == VHDX_SALVAGE_FOUND || range->kind == VHDX_SALVAGE_GUESSED;

	CHECK(is_copied == (range->file_offset != VHDX_NO_OFFSET), "range at %#" PRIx64 ", kind %d",
	      range->offset, range->kind);
	CHECK(!!*range->text == (range->kind >= VHDX_SALVAGE_GUESSED ||
				 (range->kind == VHDX_SALVAGE_PARENT && *range->text)),
	      "text of kind %d: %s", range->kind, range->text);
	r->map_end += range->length;
	r->bytes[range->kind] += range->length;
	for (uint64_t at = range->offset; at < r->map_end && at < r->layer->virtual_size; at += 512)
		r->kinds[at / 512] = (uint8_t)range->kind;
}

/* Salvages, and looks at what must always hold. */
int ruined_salvage(struct ruined *r)
{
	struct vhdx_io io;

	r->store = (struct test_store){.bytes = &r->layer->file};
	io = test_store_io(&r->store, rng_chance(&r->rng, 50));
	r->options.range = take_range;
	r->options.opaque = r;
	r->result = (struct vhdx_salvage_result){.size = sizeof(r->result)};
	struct vhdx_io output = write_store_io(&r->output, 0);
	int ret = vhdx_salvage_io(&io, "ruin", &output, &r->options, &r->result);

	CHECK(!r->store.changes, "the image was written");
	if (ret)
		return ret;
	uint64_t size = r->output.bytes.size;

	CHECK(size == r->result.virtual_size, "output of %" PRIu64 " bytes", size);
	CHECK(r->map_end == size, "map of %" PRIu64 " bytes", r->map_end);
	CHECK(r->bytes[VHDX_SALVAGE_FOUND] == r->result.found_bytes &&
		      r->bytes[VHDX_SALVAGE_GUESSED] == r->result.guessed_bytes &&
		      r->bytes[VHDX_SALVAGE_LOST] == r->result.lost_bytes &&
		      r->bytes[VHDX_SALVAGE_PARENT] == r->result.parent_bytes &&
		      r->bytes[VHDX_SALVAGE_ZERO] == r->result.zero_bytes,
	      "map and result differ");
	return 0;
}

void ruined_must_salvage(struct ruined *r)
{
	int ret = ruined_salvage(r);

	CHECK(!ret, "salvage: %d: %s", ret, vhdx_last_error()->text);
	CHECK(r->result.virtual_size == r->layer->virtual_size, "size %" PRIu64 ", not %" PRIu64,
	      r->result.virtual_size, r->layer->virtual_size);
}

/* The disk's bytes, but for those that are said to be lost, which are zeros. */
void ruined_check_contents(struct ruined *r)
{
	uint64_t size = r->output.bytes.size;
	uint8_t expected[512];
	uint8_t bytes[512];

	for (uint64_t at = 0; at < size; at += 512) {
		size_t part = size - at < 512 ? size - at : 512;
		bool is_lost = r->kinds[at / 512] == VHDX_SALVAGE_LOST;

		if (is_lost)
			memset(expected, 0, part);
		else
			sparse_read(&r->chain.guest_alone, expected, part, at);
		sparse_read(&r->output.bytes, bytes, part, at);
		CHECK(!memcmp(bytes, expected, part), "sector at %#" PRIx64 " of kind %d is wrong",
		      at, r->kinds[at / 512]);
	}
}

void ruined_check_whole(struct ruined *r)
{
	CHECK(!r->result.lost_bytes && !r->result.lost_blocks, "%" PRIu64 " bytes are lost",
	      r->result.lost_bytes);
	ruined_check_contents(r);
}

void over_ruined(uint64_t count, const struct chain_style *style, void (*test)(struct ruined *r))
{
	uint64_t seed;
	uint64_t last;

	for (seeds_to_run(count, &seed, &last); seed <= last; seed++) {
		struct ruined r;

		ruined_make(&r, style, seed);
		test(&r);
		ruined_free(&r);
	}
}

/* Where the BAT has no entry, but the file holds data, that BAT counts as gone. */
bool ruined_has_entries(const struct ruined *r)
{
	return r->layer->count > 0;
}

/* By nothing else a BAT can be told from data. */
bool ruined_has_blocks(const struct ruined *r)
{
	for (size_t i = 0; i < r->layer->count; i++)
		if (r->layer->list[i].state >= BLOCK_FULLY_PRESENT)
			return true;
	return false;
}

/* Sectors of such blocks are the child's or the parent's: who knows? */
bool ruined_has_lost_bitmap(const struct ruined *r)
{
	for (size_t i = 0; i < r->layer->bitmap_count; i++)
		if (r->layer->bitmaps[i].offset + T_MIB > r->layer->file.size)
			return true;
	return false;
}

/* A disk that begins as most do: with a master boot record of one partition. */
void ruined_put_partition_table(struct ruined *r)
{
	uint8_t table[66] = {0, 0, 0, 0, 0x83};

	put_number(table + 8, 1, 4);
	put_number(table + 12, 1, 4);
	put_number(table + 64, 0xaa55, 2);
	sparse_write(&r->layer->file, table, sizeof(table), r->layer->list[0].offset + 446);
	sparse_write(&r->chain.guest_alone, table, sizeof(table), 446);
}

void ruined_wipe(struct ruined *r, uint64_t offset, uint64_t length)
{
	if (rng_chance(&r->rng, 50)) {
		sparse_zero(&r->layer->file, offset, length);
		return;
	}
	uint8_t *buf = malloc(length);

	assert_non_null(buf);
	rng_fill(&r->rng, buf, length);
	sparse_write(&r->layer->file, buf, length, offset);
	free(buf);
}
