/* SPDX-License-Identifier: MIT */
/* A small disk whose BAT a test damages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mendcase.h"

#define SECTOR 512u

static void put_entry(struct mend_case *c, unsigned layer, uint64_t index, uint64_t entry)
{
	uint8_t bytes[8];

	put_number(bytes, entry, 8);
	sparse_write(&c->chain.layers[layer].file, bytes, 8, CASE_BAT + 8 * index);
}

static uint64_t get_entry(const struct mend_case *c, uint64_t index)
{
	uint8_t bytes[8];

	sparse_read(&c->chain.layers[0].file, bytes, 8, CASE_BAT + 8 * index);
	return get_number(bytes, 8);
}

void put_any_block(struct mend_case *c, uint64_t number, uint64_t entry)
{
	put_entry(c, 0, layer_bat_index(&c->chain.layers[0], number), entry);
}

void put_block(struct mend_case *c, uint64_t block, uint64_t entry)
{
	put_any_block(c, c->first + block, entry);
}

uint64_t get_block(const struct mend_case *c, uint64_t block)
{
	return get_entry(c, layer_bat_index(&c->chain.layers[0], c->first + block));
}

static uint64_t bitmap_index(const struct mend_case *c)
{
	const struct layer *layer = &c->chain.layers[0];

	return layer_bitmap_index(layer, c->first / layer->chunk_ratio);
}

void put_bitmap(struct mend_case *c, uint64_t entry)
{
	put_entry(c, 0, bitmap_index(c), entry);
}

uint64_t get_bitmap(const struct mend_case *c)
{
	return get_entry(c, bitmap_index(c));
}

/* ---- making one ---- */

static unsigned state_of(const struct layer *layer, uint64_t block)
{
	if (!layer->has_parent && layer->is_fixed)
		return 6;
	switch (block) {
	case NOT_PRESENT_BLOCK:
		return 0;
	case ZERO_BLOCK:
		return 2;
	case ANCHORED_BLOCK:
		return 3;
	case PARTIAL_BLOCK:
	case NEXT_PARTIAL:
	case ALL_OWN_BLOCK:
	case ALL_PARENTS_BLOCK:
		return layer->has_parent ? 7 : 6;
	default:
		return 6;
	}
}

/* Each sector begins with a number of its own and is zeros behind it. */
static void fill_block(struct layer *layer, uint64_t block, uint64_t number)
{
	for (uint64_t at = 0; at < CASE_BLOCK_SIZE; at += SECTOR) {
		uint8_t bytes[8];

		put_number(bytes, number << 32 | (block * CASE_BLOCK_SIZE + at + 1), 8);
		sparse_write(&layer->file, bytes, 8, CASE_PLACE(block) + at);
	}
}

/* Sectors that are the parent's are zeros here, as where the library wrote the others. */
static void split_block(struct layer *layer, uint64_t block, uint64_t first_bit)
{
	uint64_t sectors = CASE_BLOCK_SIZE / SECTOR;

	for (uint64_t i = 0; i < sectors; i++) {
		bool own = block == ALL_OWN_BLOCK || (block != ALL_PARENTS_BLOCK && i % 2);
		uint64_t byte = CASE_BITMAP + (first_bit + i) / 8;
		uint8_t bits;

		if (!own)
			sparse_zero(&layer->file, CASE_PLACE(block) + i * SECTOR, SECTOR);
		sparse_read(&layer->file, &bits, 1, byte);
		bits = (uint8_t)(bits | own << i % 8);
		sparse_write(&layer->file, &bits, 1, byte);
	}
}

static void make_layer(struct mend_case *c, unsigned number, bool is_fixed)
{
	struct layer *layer = &c->chain.layers[number];
	struct rng rng = rng_make(number + 1);
	struct chain_style style = {.tidy = true};

	layer->has_parent = number + 1 < c->chain.depth;
	layer->is_fixed = is_fixed;
	layer->virtual_size = c->first * CASE_BLOCK_SIZE + CASE_DISK_SIZE;
	layer->block_size = (uint32_t)CASE_BLOCK_SIZE;
	layer->sector_size = SECTOR;
	layer->physical_sector_size = 4096;
	layer->blocks = c->first + CASE_BLOCKS;
	layer->chunk_ratio = 2048;
	layer->log = (struct area){T_MIB, T_MIB};
	layer->metadata = (struct area){2 * T_MIB, T_MIB};
	layer->bat = (struct area){CASE_BAT, T_MIB};
	snprintf(layer->name, sizeof(layer->name), "layer%u.vhdx", number);
	sparse_resize(&layer->file, CASE_END);
	layer_write_metadata(&rng, &style, layer, layer->has_parent ? layer + 1 : NULL);
	layer_write_headers(&rng, &style, layer);
	for (uint64_t i = 0; i < CASE_BLOCKS; i++) {
		unsigned state = state_of(layer, i);

		fill_block(layer, i, number + 1);
		put_entry(c, number, layer_bat_index(layer, c->first + i),
			  state >= 3 ? CASE_PLACE(i) | state : state);
		if (state == 7)
			split_block(layer, i,
				    (c->first + i) % layer->chunk_ratio *
					    (CASE_BLOCK_SIZE / SECTOR));
	}
	if (layer->has_parent)
		put_bitmap(c, CASE_BITMAP | 6);
}

static void read_disk(const struct mend_case *c, uint8_t *buf)
{
	struct fixture fixture;
	struct vhdx *disk;

	fixture_init(&fixture, &c->chain, true);
	assert_int_equal(fixture_open(&fixture, 0, &disk), 0);
	assert_int_equal(vhdx_pread(disk, buf, CASE_DISK_SIZE, c->first * CASE_BLOCK_SIZE), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

static int make(void **state, unsigned depth, bool is_fixed, uint64_t first)
{
	struct mend_case *c = calloc(1, sizeof(*c));

	c->chain.depth = depth;
	c->first = first;
	for (unsigned i = depth; i-- > 0;)
		make_layer(c, i, is_fixed);
	c->before = calloc(1, CASE_DISK_SIZE);
	c->after = calloc(1, CASE_DISK_SIZE);
	read_disk(c, c->before);
	*state = c;
	return 0;
}

int mend_case_dynamic(void **state)
{
	return make(state, 1, false, 0);
}

int mend_case_fixed(void **state)
{
	return make(state, 1, true, 0);
}

int mend_case_child(void **state)
{
	return make(state, 2, false, 0);
}

int mend_case_far_child(void **state)
{
	return make(state, 2, false, 2048 + 100);
}

int mend_case_drop(void **state)
{
	struct mend_case *c = *state;

	chain_free(&c->chain);
	free(c->before);
	free(c->after);
	free(c);
	return 0;
}

/* ---- check and repair ---- */

struct looking {
	unsigned problem;
	bool found;
	char text[300];
};

static void look(void *opaque, const struct vhdx_finding *finding)
{
	struct looking *looking = opaque;

	if (finding->problem->number == looking->problem)
		looking->found = true;
	if (finding->problem->severity != VHDX_NOTE && finding->problem->severity != VHDX_LEAK)
		snprintf(looking->text, sizeof(looking->text), "%u: %s", finding->problem->number,
			 finding->text);
}

/* The faults that count; the last of them is in looking->text. */
static uint64_t check(struct mend_case *c, struct looking *looking)
{
	struct fixture fixture;
	struct vhdx *disk;
	struct vhdx_check_options options = {.size = sizeof(options),
					     .flags = VHDX_CHECK_WINDOWS,
					     .finding = look,
					     .opaque = looking};
	struct vhdx_check_result result = {.size = sizeof(result)};

	fixture_init(&fixture, &c->chain, true);
	assert_int_equal(fixture_open(&fixture, VHDX_OPEN_EXAMINE | VHDX_OPEN_NO_PARENT, &disk), 0);
	assert_int_equal(vhdx_check(disk, &options, &result), 0);
	assert_int_equal(vhdx_close(disk), 0);
	return result.damages;
}

static void note_told(void *opaque, const struct vhdx_finding *finding)
{
	struct mend_case *c = opaque;

	assert_true(c->told_count < sizeof(c->told) / sizeof(c->told[0]));
	struct told *told = &c->told[c->told_count++];

	c->mended += finding->problem->number / 100 == 6 || finding->problem->number / 100 == 7;
	told->problem = finding->problem->number;
	told->guest_offset = finding->guest_offset;
	told->guest_length = finding->guest_length;
	snprintf(told->text, sizeof(told->text), "%s", finding->text);
}

static void repair(struct mend_case *c)
{
	struct write_store store;
	struct vhdx_repair_options options = {
		.size = sizeof(options), .mended = note_told, .opaque = c};

	write_store_init(&store);
	store.bytes = c->chain.layers[0].file;
	struct vhdx_io io = write_store_io(&store, 0);

	c->told_count = 0;
	c->mended = 0;
	c->result = (struct vhdx_repair_result){.size = sizeof(c->result)};
	int ret = vhdx_repair_io(&io, c->chain.layers[0].name, &options, &c->result);

	c->chain.layers[0].file = store.bytes;
	store.bytes = (struct sparse){0};
	write_store_free(&store);
	if (ret)
		fail_msg("repair returns %d: %s", ret, vhdx_last_error()->text);
}

static void data_write_guid(const struct mend_case *c, uint8_t ret_guid[16])
{
	uint8_t headers[2][4096];

	for (unsigned i = 0; i < 2; i++)
		sparse_read(&c->chain.layers[0].file, headers[i], 4096, (64 + 64 * i) * T_KIB);
	bool second = get_number(headers[1] + 8, 8) > get_number(headers[0] + 8, 8);

	memcpy(ret_guid, headers[second] + 32, 16);
}

void mend_case_mend(struct mend_case *c, unsigned problem)
{
	struct looking looking = {.problem = problem};
	struct looking again = {0};
	struct told told[64];
	uint8_t guids[2][16];

	assert_true(check(c, &looking) > 0);
	if (!looking.found)
		fail_msg("%u was not found, but %s", problem, looking.text);
	data_write_guid(c, guids[0]);
	repair(c);
	data_write_guid(c, guids[1]);
	c->reads_changed = memcmp(guids[0], guids[1], 16) != 0;
	struct vhdx_repair_result result = c->result;
	unsigned count = c->told_count;
	unsigned mended = c->mended;

	memcpy(told, c->told, sizeof(told));
	if (check(c, &again))
		fail_msg("left after repair: %s", again.text);
	repair(c);
	assert_int_equal(c->result.mended, 0);
	memcpy(c->told, told, sizeof(told));
	c->told_count = count;
	c->mended = mended;
	c->result = result;
	read_disk(c, c->after);
}

void expect_told(const struct mend_case *c, unsigned problem, uint64_t guest_offset,
		 uint64_t guest_length)
{
	for (unsigned i = 0; i < c->told_count; i++)
		if (c->told[i].problem == problem && c->told[i].guest_length == guest_length &&
		    (!guest_length ||
		     c->told[i].guest_offset == c->first * CASE_BLOCK_SIZE + guest_offset))
			return;
	for (unsigned i = 0; i < c->told_count; i++)
		print_error("told: %u %#llx+%#llx %s\n", c->told[i].problem,
			    (unsigned long long)c->told[i].guest_offset,
			    (unsigned long long)c->told[i].guest_length, c->told[i].text);
	fail_msg("%u was not told", problem);
}

static uint64_t length_of(uint64_t block)
{
	return block == CASE_BLOCKS - 1 ? CASE_BLOCK_SIZE - T_MIB : CASE_BLOCK_SIZE;
}

void expect_same(const struct mend_case *c, uint64_t block)
{
	uint64_t at = block * CASE_BLOCK_SIZE;

	if (memcmp(c->before + at, c->after + at, length_of(block)) != 0)
		fail_msg("block %u reads differently", (unsigned)block);
}

void expect_zeros(const struct mend_case *c, uint64_t block)
{
	for (uint64_t i = 0; i < length_of(block); i++)
		if (c->after[block * CASE_BLOCK_SIZE + i])
			fail_msg("block %u is not zeros", (unsigned)block);
}

void expect_others_same(const struct mend_case *c, uint64_t block)
{
	for (uint64_t i = 0; i < CASE_BLOCKS; i++)
		if (i != block)
			expect_same(c, i);
}
