/* SPDX-License-Identifier: MIT */
/* The page cache: loading, holes, errors, and its limit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/pages.h"
#include "support/unit.h"

/* A structure whose page i is filled with the number i + 1, with holes where it says so. */
struct pages_case {
	struct page_cache cache;
	struct page_map map;
	struct page_map other; /* made by the tests that need it */
	unsigned loads;
	unsigned failures; /* so many loads fail */
	uint64_t hole_start;
	uint64_t hole_end;
	unsigned graces;
};

static int load(void *opaque, uint64_t index, void *page, struct page_zeros *zeros)
{
	struct pages_case *c = opaque;

	c->loads++;
	if (c->failures) {
		c->failures--;
		return -EIO;
	}
	if (index >= c->hole_start && index < c->hole_end) {
		zeros->end = c->hole_end;
		return 0;
	}
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		((uint64_t *)page)[i] = index + 1;
	return 0;
}

static int make(void **state)
{
	struct pages_case *c = calloc(1, sizeof(*c));

	vhdx_page_cache_init(&c->cache);
	*state = c;
	return vhdx_page_map_init(&c->map, &c->cache, 100000, load, c);
}

static int drop(void **state)
{
	struct pages_case *c = *state;

	vhdx_page_map_destroy(&c->map);
	vhdx_page_map_destroy(&c->other);
	assert_int_equal(c->cache.pages, 0);
	vhdx_page_cache_destroy(&c->cache);
	free(c);
	return 0;
}

static const void *get(struct pages_case *c, uint64_t index)
{
	const void *page = NULL;

	assert_int_equal(vhdx_page_get(&c->map, index, &page), 0);
	assert_non_null(page);
	return page;
}

static void check_page(struct pages_case *c, uint64_t index)
{
	const uint64_t *page = get(c, index);

	assert_int_equal(page[0], index + 1);
	assert_int_equal(page[PAGE_SIZE / 8 - 1], index + 1);
}

static void note_grace(void *opaque)
{
	struct pages_case *c = opaque;

	c->graces++;
}

static void test_a_page_is_loaded_once(void **state)
{
	struct pages_case *c = *state;

	check_page(c, 0);
	check_page(c, 99999);
	check_page(c, 511);
	check_page(c, 512);
	assert_int_equal(c->loads, 4);
	check_page(c, 0);
	check_page(c, 512);
	assert_int_equal(c->loads, 4);
	assert_int_equal(vhdx_page_zero_run(&c->map, 0, get(c, 0)), 0);
}

static void test_a_hole_is_asked_for_once_and_takes_no_memory(void **state)
{
	struct pages_case *c = *state;

	c->hole_start = 1000;
	c->hole_end = 50000;
	size_t before = c->cache.pages;
	const void *first = get(c, 2000);

	for (int i = 0; i < (int)PAGE_SIZE; i++)
		assert_int_equal(((const char *)first)[i], 0);
	for (uint64_t i = 2001; i < 2200; i++)
		assert_ptr_equal(get(c, i), first);
	assert_int_equal(c->loads, 1);
	assert_true(c->cache.pages <= before + 2); /* the two leaves */
	assert_int_equal(vhdx_page_zero_run(&c->map, 2000, first), 48000);
	assert_int_equal(vhdx_page_zero_run(&c->map, 49999, get(c, 49999)), 1);
	check_page(c, 50000);
}

static void test_a_hole_ends_with_the_structure(void **state)
{
	struct pages_case *c = *state;

	c->hole_start = 1000;
	c->hole_end = 900000;
	assert_int_equal(vhdx_page_zero_run(&c->map, 99990, get(c, 99990)), 10);
}

static void test_what_could_not_be_loaded_is_tried_again(void **state)
{
	struct pages_case *c = *state;
	const void *page = c;

	c->failures = 2;
	assert_int_equal(vhdx_page_get(&c->map, 7, &page), -EIO);
	assert_int_equal(vhdx_page_get(&c->map, 7, &page), -EIO);
	assert_ptr_equal(page, c);
	check_page(c, 7);
	assert_int_equal(c->loads, 3);
}

static void test_trimming_keeps_the_cache_within_its_limit(void **state)
{
	struct pages_case *c = *state;

	for (uint64_t i = 0; i < 20000; i++) {
		check_page(c, i);
		vhdx_page_cache_trim(&c->cache, note_grace, c);
		assert_true(c->cache.pages <= CACHE_LIMIT);
	}
	assert_true(c->graces > 0 && c->graces < 100); /* in batches */
	for (uint64_t i = 0; i < 20000; i += 100)
		check_page(c, i);
}

static void test_nothing_is_trimmed_below_the_limit(void **state)
{
	struct pages_case *c = *state;

	for (uint64_t i = 0; i < CACHE_LIMIT / 2; i++)
		check_page(c, i);
	vhdx_page_cache_trim(&c->cache, note_grace, c);
	for (uint64_t i = 0; i < CACHE_LIMIT / 2; i++)
		check_page(c, i);
	assert_int_equal(c->loads, CACHE_LIMIT / 2);
	assert_int_equal(c->graces, 0);
}

/* A page far from any other costs a leaf of its own: these must count too. */
static void test_scattered_pages_and_failures_stay_within_twice_the_limit(void **state)
{
	struct pages_case *c = *state;

	assert_int_equal(vhdx_page_map_init(&c->other, &c->cache, 1 << 24, load, c), 0);
	for (uint64_t i = 0; i < 1 << 24; i += LEAF_PAGES) {
		const void *page;
		size_t leaves = 0;

		c->failures = i % 1024 ? 1 : 0;
		vhdx_page_get(&c->other, i, &page);
		vhdx_page_cache_trim(&c->cache, note_grace, c);
		if (i % (1 << 20))
			continue;
		for (size_t leaf = 0; leaf < c->other.leaf_count; leaf++)
			leaves += c->other.leaves[leaf] != NULL;
		assert_true(leaves <= CACHE_LIMIT);
	}
}

static void test_several_maps_share_the_limit(void **state)
{
	struct pages_case *c = *state;

	assert_int_equal(vhdx_page_map_init(&c->other, &c->cache, 50000, load, c), 0);
	for (uint64_t i = 0; i < 10000; i++) {
		const void *page;

		check_page(c, i);
		assert_int_equal(vhdx_page_get(&c->other, i, &page), 0);
		vhdx_page_cache_trim(&c->cache, note_grace, c);
		assert_true(c->cache.pages <= CACHE_LIMIT);
	}
}

static void test_a_map_that_was_never_made_can_be_destroyed(void **state)
{
	struct page_map map = {0};

	(void)state;
	vhdx_page_map_destroy(&map);
}

int main(void)
{
#define WITH_PAGES(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_PAGES(test_a_page_is_loaded_once),
		WITH_PAGES(test_a_hole_is_asked_for_once_and_takes_no_memory),
		WITH_PAGES(test_a_hole_ends_with_the_structure),
		WITH_PAGES(test_what_could_not_be_loaded_is_tried_again),
		WITH_PAGES(test_trimming_keeps_the_cache_within_its_limit),
		WITH_PAGES(test_nothing_is_trimmed_below_the_limit),
		WITH_PAGES(test_scattered_pages_and_failures_stay_within_twice_the_limit),
		WITH_PAGES(test_several_maps_share_the_limit),
		cmocka_unit_test(test_a_map_that_was_never_made_can_be_destroyed),
	};

	return RUN_TESTS(tests);
}
