/* SPDX-License-Identifier: MIT */
/* Images with one fault each: the problem that is found, and what opening them returns. */
#include <errno.h>
#include <string.h>

#include "support/fixture.h"

#define SIZE_ITEM     "2FA54224-CD1B-4876-B211-5DBED83BF4B8"
#define ID_ITEM	      "BECA12AB-B2E6-4523-93EF-C309E000C746"
#define SECTOR_ITEM   "8141BF1D-A96F-4709-BA47-F233A8FAAB5F"
#define PHYSICAL_ITEM "CDA348C7-445D-4471-9CC9-E9885251C556"
#define PARAMETERS    "CAA16737-FA36-4D43-B3B6-33F0AA44E76B"
#define BAT_REGION    "2DC27766-F623-4200-9D64-115E9BFD4A08"
#define META_REGION   "8B7CA206-4790-4B9A-B8FE-575F050F886E"

/* Where a number is put. */
enum place {
	IN_FILE,     /* at that offset */
	IN_HEADERS,  /* in both, whose checksums are mended */
	IN_TABLES,   /* in both region tables, the same */
	IN_REGION,   /* in the entry of that GUID, in both */
	IN_METADATA, /* in the metadata table */
	IN_ITEM,     /* in the table's entry of that GUID */
	IN_VALUE,    /* in the item of that GUID */
	IN_BAT,	     /* in the entry of a present block */
	AS_SIZE,     /* the file's */
};

struct fault_row {
	unsigned problem;
	int open; /* what it returns */
	enum place place;
	const char *guid;
	uint64_t offset;
	unsigned width;
	uint64_t value;
};

static const struct fault_row rows[] = {
	{101, -ENOTSUP, IN_FILE, NULL, 0, 1, 'V'},
	{102, -EUCLEAN, AS_SIZE, NULL, 0, 0, T_MIB - 1},
	{103, 0, IN_FILE, NULL, 8, 2, 0xdc00},
	{201, 0, IN_FILE, NULL, 64 * T_KIB, 1, 'H'},
	{202, 0, IN_FILE, NULL, 128 * T_KIB + 4000, 1, 1},
	{206, -ENOTSUP, IN_HEADERS, NULL, 66, 2, 2},
	{211, 0, IN_HEADERS, NULL, 68, 4, 0},
	{211, 0, IN_HEADERS, NULL, 72, 8, (uint64_t)1 << 50},
	{212, 0, IN_HEADERS, NULL, 68, 4, T_MIB - 4096},
	{213, 0, IN_HEADERS, NULL, 64, 2, 1},
	{401, -EUCLEAN, IN_HEADERS, NULL, 48, 8, 1},
	{301, 0, IN_FILE, NULL, 192 * T_KIB, 1, 'R'},
	{302, 0, IN_FILE, NULL, 256 * T_KIB + 65535, 1, 1},
	{304, 0, IN_FILE, NULL, 256 * T_KIB + 65535, 1, 2}, /* and mended */
	{305, -EUCLEAN, IN_TABLES, NULL, 8, 4, 2048},
	{306, 0, IN_TABLES, NULL, 12, 4, 1},
	{306, 0, IN_REGION, BAT_REGION, 28, 4, 3},
	{308, -EUCLEAN, IN_TABLES, NULL, 8, 4, 0},
	{309, -ENOTSUP, IN_REGION, META_REGION, 0, 1, 0},
	{310, -EUCLEAN, IN_REGION, BAT_REGION, 16, 8, (uint64_t)1 << 60},
	{310, -EUCLEAN, IN_REGION, META_REGION, 24, 4, 0},
	{310, -EUCLEAN, IN_REGION, META_REGION, 16, 8, 0},
	{311, 0, IN_REGION, META_REGION, 24, 4, T_MIB - 4096},
	{314, 0, IN_REGION, META_REGION, 28, 4, 0},
	{501, -EUCLEAN, IN_METADATA, NULL, 0, 1, 'M'},
	{502, -EUCLEAN, IN_METADATA, NULL, 10, 2, 2048},
	{503, 0, IN_METADATA, NULL, 31, 1, 1},
	{505, -ENOTSUP, IN_ITEM, ID_ITEM, 0, 1, 0},
	{507, -EUCLEAN, IN_ITEM, SECTOR_ITEM, 24, 4, 1}, /* the user's */
	{508, -EUCLEAN, IN_ITEM, SIZE_ITEM, 20, 4, 9},
	{509, -EUCLEAN, IN_ITEM, SIZE_ITEM, 16, 4, 64 * T_KIB - 1},
	{509, -EUCLEAN, IN_ITEM, SIZE_ITEM, 16, 4, 2 * T_MIB - 7},
	{509, -EUCLEAN, IN_ITEM, SIZE_ITEM, 16, 4, 0xffffffff},
	{512, 0, IN_ITEM, SIZE_ITEM, 24, 4, 0x16},
	{513, 0, IN_ITEM, SIZE_ITEM, 24, 4, 2},
	{526, 0, IN_ITEM, SIZE_ITEM, 24, 4, 4},
	{517, -EUCLEAN, IN_VALUE, PARAMETERS, 0, 4, T_MIB / 2},
	{517, -EUCLEAN, IN_VALUE, PARAMETERS, 0, 4, 3 * T_MIB},
	{517, -EUCLEAN, IN_VALUE, PARAMETERS, 0, 4, 512 * T_MIB},
	{518, 0, IN_VALUE, PARAMETERS, 7, 1, 0x80},
	{801, -EUCLEAN, IN_VALUE, PARAMETERS, 4, 4, 2},
	{519, -EUCLEAN, IN_VALUE, SIZE_ITEM, 0, 8, 0},
	{519, -EUCLEAN, IN_VALUE, SIZE_ITEM, 0, 8, 1025},
	{519, -EUCLEAN, IN_VALUE, SIZE_ITEM, 0, 8, 64 * T_TIB + 4096},
	{519, -EUCLEAN, IN_VALUE, SIZE_ITEM, 0, 8, UINT64_MAX - 4095},
	{601, -EUCLEAN, IN_VALUE, SIZE_ITEM, 0, 8, 64 * T_TIB},
	{520, -EUCLEAN, IN_VALUE, SECTOR_ITEM, 0, 4, 1024},
	{520, -EUCLEAN, IN_VALUE, PHYSICAL_ITEM, 0, 4, 0},
	{522, 0, IN_ITEM, ID_ITEM, 24, 4, 1},
	{523, 0, IN_ITEM, PHYSICAL_ITEM, 24, 4, 1},
	{602, 0, IN_BAT, NULL, 0, 1, 4},
	{603, 0, IN_BAT, NULL, 0, 1, 5},
	{604, 0, IN_BAT, NULL, 0, 1, 7},
	{605, 0, IN_BAT, NULL, 0, 1, 0x0e},
	{605, 0, IN_BAT, NULL, 2, 1, 0x08},
	{606, 0, IN_BAT, NULL, 0, 8, 6},
	{606, 0, IN_BAT, NULL, 0, 8, (uint64_t)1 << 40 | 6},
	{608, 0, IN_BAT, NULL, 0, 8, 0}, /* the log's place, set below */
	{609, 0, IN_BAT, NULL, 0, 1, 2},
};

static struct chain chain;

/* Not fixed, nothing to replay, a first block that is present, and the metadata region of 2 MiB. */
static bool is_plain(const struct chain *made)
{
	const struct layer *layer = &made->layers[0];

	return layer->count && !layer->is_dirty && !layer->is_fixed && layer->list[0].state == 6 &&
	       layer->metadata.length == 2 * T_MIB;
}

static int make_chain(void **state)
{
	(void)state;
	chain_make_until(1, is_plain, &chain);
	return 0;
}

static int drop_chain(void **state)
{
	(void)state;
	chain_free(&chain);
	return 0;
}

/* The entry of that GUID, from @at on, that is not the user's. */
static uint64_t find_entry(const struct sparse *file, uint64_t at, const char *guid)
{
	uint8_t wanted[16];
	uint8_t found[32];

	put_guid(wanted, guid);
	for (;; at += 32) {
		sparse_read(file, found, 32, at);
		if (!memcmp(found, wanted, 16) && !(found[24] & 1))
			return at;
	}
}

static void put(struct sparse *file, const struct fault_row *row, uint64_t base)
{
	uint8_t bytes[8];

	put_number(bytes, row->value, 8);
	sparse_write(file, bytes, row->width, base + row->offset);
}

static void make_fault(struct layer *layer, const struct fault_row *row)
{
	struct sparse *file = &layer->file;
	uint64_t table = layer->metadata.offset;
	uint64_t item = row->place == IN_ITEM || row->place == IN_VALUE
				? find_entry(file, table + 32, row->guid)
				: 0;
	uint64_t entry = layer->bat.offset + 8 * layer_bat_index(layer, layer->list[0].number);
	struct fault_row log_place = {.value = layer->log.offset | 6, .width = 8};
	uint8_t offset[4];

	sparse_read(file, offset, 4, item + 16);
	for (uint64_t copy = 0; copy < 2; copy++) {
		uint64_t region_table = (192 + 64 * copy) * T_KIB;

		if (row->place == IN_HEADERS)
			put(file, row, (64 + 64 * copy) * T_KIB);
		if (row->place == IN_TABLES)
			put(file, row, region_table);
		if (row->place == IN_REGION)
			put(file, row, find_entry(file, region_table + 16, row->guid));
	}
	if (row->place == IN_FILE)
		put(file, row, 0);
	if (row->place == IN_METADATA)
		put(file, row, table);
	if (row->place == IN_ITEM)
		put(file, row, item);
	if (row->place == IN_VALUE)
		put(file, row, table + get_number(offset, 4));
	if (row->place == IN_BAT)
		put(file, row->problem == 608 ? &log_place : row, entry);
	if (row->place == AS_SIZE)
		sparse_resize(file, row->value);
	if (row->place == IN_HEADERS || row->place == IN_TABLES || row->place == IN_REGION ||
	    row->problem == 304)
		image_mend_checksums(file, layer->log.offset, layer->log.length);
}

struct wanted {
	unsigned problem;
	bool found;
};

static void look(void *opaque, const struct vhdx_finding *finding)
{
	struct wanted *wanted = opaque;

	wanted->found |= finding->problem->number == wanted->problem;
}

static void check_row(const struct fault_row *row)
{
	struct fixture fixture;
	struct vhdx *disk = NULL;
	struct wanted wanted = {.problem = row->problem};
	struct vhdx_check_options options = {
		.size = sizeof(options), .finding = look, .opaque = &wanted};
	struct vhdx_check_result result = {.size = sizeof(result)};

	current_seed = (uint64_t)(row - rows);
	fixture_init(&fixture, &chain, true);
	int ret = fixture_open(&fixture, 0, &disk);

	CHECK(ret == row->open, "problem %u: open returned %d, %s", row->problem, ret,
	      vhdx_last_error()->text);
	if (ret)
		CHECK(vhdx_last_error()->problem == row->problem, "problem %u: open says %u",
		      row->problem, vhdx_last_error()->problem);
	else
		vhdx_close(disk);
	CHECK(!fixture_open(&fixture, VHDX_OPEN_EXAMINE, &disk), "problem %u: cannot be examined",
	      row->problem);
	CHECK(!vhdx_check(disk, &options, &result), "problem %u: check failed", row->problem);
	CHECK(wanted.found, "problem %u is not found", row->problem);
	vhdx_close(disk);
	fixture_check_unchanged(&fixture);
}

static void test_each_fault_is_found_as_its_problem(void **state)
{
	struct layer *layer = &chain.layers[0];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sparse whole = layer->file;

		layer->file = (struct sparse){0};
		sparse_copy(&layer->file, 0, &whole, 0, whole.size);
		sparse_resize(&layer->file, whole.size);
		make_fault(layer, &rows[i]);
		check_row(&rows[i]);
		sparse_free(&layer->file);
		layer->file = whole;
	}
}

/* Blocks beside a damaged one stay readable, and damage is told for the block alone. */
static void test_blocks_beside_a_damaged_one_stay_readable(void **state)
{
	static const struct fault_row row = {602, 0, IN_BAT, NULL, 0, 1, 4};
	struct layer *layer = &chain.layers[0];
	struct fixture fixture;
	struct vhdx *disk;
	uint8_t byte;

	(void)state;
	make_fault(layer, &row);
	fixture_init(&fixture, &chain, true);
	assert_int_equal(fixture_open(&fixture, 0, &disk), 0);
	for (uint64_t block = 0; block < layer->blocks; block++) {
		int expected = block == layer->list[0].number ? -EUCLEAN : 0;

		assert_int_equal(vhdx_pread(disk, &byte, 1, block * layer->block_size), expected);
	}
	vhdx_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_fault_is_found_as_its_problem, make_chain,
						drop_chain),
		cmocka_unit_test_setup_teardown(test_blocks_beside_a_damaged_one_stay_readable,
						make_chain, drop_chain),
	};

	return RUN_TESTS(tests);
}
