/* SPDX-License-Identifier: MIT */
/* Random images of which no header, log or region table is left: metadata and BAT are found where they were. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/zeros.h"
#include "ops/hunt.h"
#include "support/fixture.h"

/* A layer as storage, with what it holds after the replay of its log. */
struct hunted {
	struct chain chain;
	struct layer *layer;
	struct test_store store;
	struct vhdx_io io;
	struct image image; /* nothing of it is loaded */
};

static void hunted_make(struct hunted *h, const struct chain_style *style)
{
	struct rng rng = rng_make(current_seed);

	*h = (struct hunted){0};
	chain_make(&rng, style, &h->chain);
	h->layer = &h->chain.layers[0];
	h->store = (struct test_store){.bytes = &h->layer->final};
	h->io = test_store_io(&h->store, rng_chance(&rng, 50));
	h->image = (struct image){
		.name = h->layer->name,
		.file = &h->io,
		.view = &h->io,
		.current = NO_HEADER,
		.table = NO_TABLE,
	};
	image_set_view_size(&h->image, h->layer->final.size);
}

static void hunted_free(struct hunted *h)
{
	vhdx_image_free(&h->image);
	chain_free(&h->chain);
}

static void over_seeds(uint64_t count, const struct chain_style *style,
		       void (*test)(struct hunted *h))
{
	uint64_t last;

	for (seeds_to_run(count, &current_seed, &last); current_seed <= last; current_seed++) {
		struct hunted h;

		hunted_make(&h, style);
		test(&h);
		hunted_free(&h);
	}
}

static struct region find_metadata(struct hunted *h)
{
	struct region region = {.file_offset = 0};
	int ret = vhdx_hunt_metadata(&h->io, "x", &region);

	CHECK(!ret, "metadata: %d", ret);
	return region;
}

static void metadata_is_found(struct hunted *h)
{
	struct region region = find_metadata(h);

	CHECK(region.file_offset == h->layer->metadata.offset, "metadata at %#" PRIx64,
	      region.file_offset);
	CHECK(region.length && region.length <= h->layer->metadata.length, "length %#x",
	      region.length);
}

static void use_metadata(struct hunted *h)
{
	struct region region = find_metadata(h);

	CHECK(!vhdx_hunt_use_metadata(&h->image, &region), "metadata makes no geometry");
	CHECK(h->image.geometry.virtual_size == h->layer->virtual_size, "size");
	CHECK(h->image.geometry.entries == h->layer->bat_entries, "entries");
}

static bool has_space(const struct layer *layer)
{
	for (size_t i = 0; i < layer->count; i++)
		if (layer->list[i].state >= BLOCK_FULLY_PRESENT)
			return true;
	return false;
}

static void bat_is_found(struct hunted *h)
{
	struct region region = {.file_offset = 0};

	use_metadata(h);
	int ret = vhdx_hunt_bat(&h->image, &region);

	if (!has_space(h->layer)) /* then any space of zeros will do */
		return;
	CHECK(!ret, "BAT: %d", ret);
	CHECK(region.file_offset == h->layer->bat.offset, "BAT at %#" PRIx64 ", not %#" PRIx64,
	      region.file_offset, h->layer->bat.offset);
}

static bool is_zero(const struct hunted *h, const struct region *region)
{
	static uint8_t buf[MIB];

	sparse_read(&h->layer->final, buf, sizeof(buf), region->file_offset);
	return vhdx_is_zeros(buf, sizeof(buf));
}

static void destroyed_bat_is_not_found_elsewhere(struct hunted *h)
{
	struct region region = {.file_offset = 0};

	use_metadata(h);
	sparse_zero(&h->layer->final, h->layer->bat.offset, h->layer->bat.length);
	int ret = vhdx_hunt_bat(&h->image, &region);

	/* Without any data a space of zeros may do. */
	CHECK(ret == -ENOENT || is_zero(h, &region), "BAT: %d at %#" PRIx64, ret,
	      region.file_offset);
}

static const struct chain_style tidy = {.max_depth = 2, .tidy = true, .small_blocks = true};

static void test_metadata_is_found_by_its_signature(void **state)
{
	(void)state;
	over_seeds(200, &tidy, metadata_is_found);
}

static void test_bat_is_found_by_its_shape(void **state)
{
	(void)state;
	over_seeds(300, &tidy, bat_is_found);
}

static void test_nothing_is_taken_for_a_bat_that_is_gone(void **state)
{
	(void)state;
	over_seeds(200, &tidy, destroyed_bat_is_not_found_elsewhere);
}

static void copy_metadata(struct hunted *h, uint64_t to)
{
	sparse_copy(&h->layer->final, to, &h->layer->final, h->layer->metadata.offset,
		    h->layer->metadata.length);
}

static void test_two_metadata_regions_count_only_when_they_are_the_same(void **state)
{
	struct hunted h;
	struct region region = {.file_offset = 0};
	struct le64 other = le64_from(512);

	(void)state;
	current_seed = 1;
	hunted_make(&h, &tidy);
	uint64_t to = round_up(h.layer->final.size, MIB) + 4 * MIB;

	copy_metadata(&h, to);
	assert_int_equal(vhdx_hunt_metadata(&h.io, "x", &region), 0);
	assert_int_equal(region.file_offset, h.layer->metadata.offset);

	use_metadata(&h);
	uint64_t item = h.image.known_items[VIRTUAL_DISK_SIZE].offset - h.layer->metadata.offset;

	sparse_write(&h.layer->final, &other, sizeof(other), to + item);
	assert_int_equal(vhdx_hunt_metadata(&h.io, "x", &region), -ENOTUNIQ);
	assert_int_equal(vhdx_hunt_next_metadata(&h.io, "x", 0, &region), 0);
	assert_int_equal(region.file_offset, h.layer->metadata.offset);
	assert_int_equal(vhdx_hunt_next_metadata(&h.io, "x", region.file_offset + 1, &region), 0);
	assert_int_equal(region.file_offset, to);
	assert_int_equal(vhdx_hunt_next_metadata(&h.io, "x", to + 1, &region), -ENOENT);
	hunted_free(&h);
}

static void test_a_region_without_a_geometry_is_none(void **state)
{
	struct hunted h;
	struct region region = {.file_offset = 0};
	struct le64 zero = le64_from(0);

	(void)state;
	current_seed = 2;
	hunted_make(&h, &tidy);
	use_metadata(&h);
	sparse_write(&h.layer->final, &zero, sizeof(zero),
		     h.image.known_items[VIRTUAL_DISK_SIZE].offset);
	assert_int_equal(vhdx_hunt_metadata(&h.io, "x", &region), -ENOENT);
	hunted_free(&h);
}

/* An item of no kind that is known, of lengths that no region here could hold. */
static void test_a_misplaced_item_makes_no_region_longer(void **state)
{
	static const uint64_t lengths[] = {1, MIB, MIB + 1, 2 * MIB, UINT32_MAX};
	struct hunted h;

	(void)state;
	current_seed = 2;
	hunted_make(&h, &tidy);
	uint64_t table = h.layer->metadata.offset;
	uint32_t before = find_metadata(&h).length;
	uint8_t entry[32] = {1, 2, 3};
	uint8_t count[2];

	sparse_read(&h.layer->final, count, 2, table + 10);
	uint64_t at = table + 32 + 32 * get_number(count, 2);

	put_number(count, get_number(count, 2) + 1, 2);
	sparse_write(&h.layer->final, count, 2, table + 10);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		put_number(entry + 16, UINT32_MAX - 4096 * i, 4);
		put_number(entry + 20, lengths[i], 4);
		sparse_write(&h.layer->final, entry, sizeof(entry), at);
		assert_int_equal(find_metadata(&h).length, before);
	}
	hunted_free(&h);
}

static void test_bat_that_explains_too_little_is_none(void **state)
{
	struct hunted h;
	struct region region = {.file_offset = 0};
	struct le64 entry;

	(void)state;
	current_seed = 3;
	hunted_make(&h, &tidy);
	use_metadata(&h);
	uint64_t end = round_up(h.layer->final.size, MIB);

	/* As one of an image inside this one. */
	sparse_zero(&h.layer->final, h.layer->bat.offset, h.layer->bat.length);
	for (uint64_t i = 1; i < 60; i++)
		sparse_write(&h.layer->final, "data", 4, end + i * MIB);
	entry = le64_from(bat_entry_make(BLOCK_FULLY_PRESENT, end + 4 * MIB));
	sparse_write(&h.layer->final, &entry, sizeof(entry), end);
	image_set_view_size(&h.image, h.layer->final.size);
	assert_int_equal(vhdx_hunt_bat(&h.image, &region), -ENOENT);
	hunted_free(&h);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata_is_found_by_its_signature),
		cmocka_unit_test(test_bat_is_found_by_its_shape),
		cmocka_unit_test(test_nothing_is_taken_for_a_bat_that_is_gone),
		cmocka_unit_test(test_two_metadata_regions_count_only_when_they_are_the_same),
		cmocka_unit_test(test_a_region_without_a_geometry_is_none),
		cmocka_unit_test(test_a_misplaced_item_makes_no_region_longer),
		cmocka_unit_test(test_bat_that_explains_too_little_is_none),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
