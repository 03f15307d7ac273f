/* SPDX-License-Identifier: MIT */
/* Pages that are held for a change: what they begin as, what stays in memory, and what is known of holes. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "meta/pages.h"
#include "support/unit.h"

#define COUNT 20000u /* pages of the structure */

/*
 * A structure whose page i is filled with the number i + 1, but for a hole that the storage tells of.
 * What a test stores is kept here, as if it had been applied.
 */
struct holds_case {
	struct page_cache cache;
	struct page_map map;
	unsigned loads;
	int error; /* of every load */
	uint64_t hole_start;
	uint64_t hole_end;
	/* Called, without the cache's lock, within the next load, once. */
	void (*within_load)(struct holds_case *c);
	uint64_t stored;   /* a page that was applied meanwhile; COUNT: none */
	pthread_t trimmer; /* that waits until the loader is done */
	sem_t in_grace;
	sem_t may_go_on;
};

static int load(void *opaque, uint64_t index, void *page, struct page_zeros *zeros)
{
	struct holds_case *c = opaque;
	void (*within)(struct holds_case *) = c->within_load;
	bool in_hole = index >= c->hole_start && index < c->hole_end && index != c->stored;

	c->loads++;
	c->within_load = NULL;
	if (within)
		within(c); /* after the storage was looked at */
	if (c->error)
		return c->error;
	if (in_hole) {
		zeros->end = c->hole_end;
		return 0;
	}
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		((uint64_t *)page)[i] = index == c->stored ? 77 : index + 1;
	return 0;
}

static int make(void **state)
{
	struct holds_case *c = calloc(1, sizeof(*c));

	c->stored = COUNT;
	sem_init(&c->in_grace, 0, 0);
	sem_init(&c->may_go_on, 0, 0);
	vhdx_page_cache_init(&c->cache);
	*state = c;
	return vhdx_page_map_init(&c->map, &c->cache, COUNT, load, c);
}

static int drop(void **state)
{
	struct holds_case *c = *state;

	vhdx_page_map_destroy(&c->map);
	assert_int_equal(c->cache.pages, 0);
	vhdx_page_cache_destroy(&c->cache);
	sem_destroy(&c->in_grace);
	sem_destroy(&c->may_go_on);
	free(c);
	return 0;
}

static struct page *hold(struct holds_case *c, uint64_t index, bool is_new)
{
	struct page *page = NULL;

	assert_int_equal(vhdx_page_hold(&c->map, index, 1000000 + index, is_new, &page), 0);
	assert_int_equal(page->home, 1000000 + index);
	assert_true(page->holds > 0);
	return page;
}

static uint64_t word_of(struct holds_case *c, uint64_t index)
{
	const void *page;

	assert_int_equal(vhdx_page_get(&c->map, index, &page), 0);
	return *(const uint64_t *)page;
}

static uint8_t byte_of(struct holds_case *c, uint64_t index)
{
	const void *page;

	assert_int_equal(vhdx_page_get(&c->map, index, &page), 0);
	return *(const uint8_t *)page;
}

static uint64_t zero_run(struct holds_case *c, uint64_t index)
{
	const void *page;

	assert_int_equal(vhdx_page_get(&c->map, index, &page), 0);
	return vhdx_page_zero_run(&c->map, index, page);
}

static void no_grace(void *opaque)
{
	(void)opaque;
}

/* Drops every page that nobody holds. */
static void drop_all(struct holds_case *c)
{
	size_t pages = atomic_load(&c->cache.pages);

	/* As if there were too many, until there is nothing left to go. */
	atomic_fetch_add(&c->cache.pages, 10 * CACHE_LIMIT);
	vhdx_page_cache_trim(&c->cache, no_grace, NULL);
	atomic_fetch_sub(&c->cache.pages, 10 * CACHE_LIMIT);
	assert_true(atomic_load(&c->cache.pages) <= pages);
}

static void stay_in_grace(void *opaque)
{
	struct holds_case *c = opaque;

	sem_post(&c->in_grace);
	sem_wait(&c->may_go_on);
}

static void *trim(void *opaque)
{
	struct holds_case *c = opaque;

	vhdx_page_cache_trim(&c->cache, stay_in_grace, c);
	return NULL;
}

/* The same within a load: what goes must not be freed before the loader is done. */
static void drop_meanwhile(struct holds_case *c)
{
	atomic_fetch_add(&c->cache.pages, 10 * CACHE_LIMIT);
	assert_int_equal(pthread_create(&c->trimmer, NULL, trim, c), 0);
	sem_wait(&c->in_grace);
	atomic_fetch_sub(&c->cache.pages, 10 * CACHE_LIMIT);
}

static void let_it_go(struct holds_case *c)
{
	sem_post(&c->may_go_on);
	pthread_join(c->trimmer, NULL);
}

static void assert_zeros(const struct page *page)
{
	static const uint8_t zeros[PAGE_SIZE];

	assert_memory_equal(page->bytes, zeros, PAGE_SIZE);
}

/* ---- What is held ---- */

static void test_a_page_that_is_held_is_the_one_that_is_read(void **state)
{
	struct holds_case *c = *state;
	const void *before;

	assert_int_equal(vhdx_page_get(&c->map, 7, &before), 0);
	struct page *page = hold(c, 7, false);

	assert_ptr_equal(page->bytes, before);
	assert_int_equal(c->loads, 1);
	page->bytes[0] = 99;
	assert_int_equal(byte_of(c, 7), 99);
	vhdx_page_release(page);
}

static void test_a_page_in_a_hole_becomes_one_of_its_own(void **state)
{
	struct holds_case *c = *state;
	const void *shared, *own;

	c->hole_start = 100;
	c->hole_end = 200;
	assert_int_equal(vhdx_page_get(&c->map, 100, &shared), 0);
	struct page *page = hold(c, 100, false);

	assert_zeros(page);
	assert_ptr_not_equal(page->bytes, shared);
	page->bytes[5] = 1;
	assert_int_equal(vhdx_page_get(&c->map, 100, &own), 0);
	assert_ptr_equal(own, page->bytes);
	assert_int_equal(vhdx_page_get(&c->map, 101, &own), 0);
	assert_ptr_equal(own, shared);
	assert_int_equal(((const uint8_t *)shared)[5], 0);
	assert_int_equal(vhdx_page_zero_run(&c->map, 100, page->bytes), 0);
	vhdx_page_release(page);
}

static void test_a_new_page_is_zeros_and_not_read(void **state)
{
	struct holds_case *c = *state;
	struct page *page = hold(c, 9, true);

	assert_zeros(page);
	assert_int_equal(c->loads, 0);
	page->bytes[0] = 5;
	assert_ptr_equal(hold(c, 9, true), page); /* it is there already */
	assert_int_equal(page->bytes[0], 5);
	assert_int_equal(page->holds, 2);
	vhdx_page_release(page);
	vhdx_page_release(page);
}

static void test_a_page_that_cannot_be_read_cannot_be_held(void **state)
{
	struct holds_case *c = *state;
	struct page *page = NULL;

	c->error = -EIO;
	assert_int_equal(vhdx_page_hold(&c->map, 3, 0, false, &page), -EIO);
	assert_null(page);
	c->error = 0;
	page = hold(c, 3, false);
	assert_int_equal(word_of(c, 3), 4);
	assert_int_equal(page->holds, 1);
	vhdx_page_release(page);
}

/* ---- What stays ---- */

static void test_a_held_page_stays_and_those_beside_it_go(void **state)
{
	struct holds_case *c = *state;
	struct page *page = hold(c, 700, false);

	for (uint64_t i = 0; i < 3 * LEAF_PAGES; i++)
		word_of(c, i);
	page->bytes[0] = 42;
	drop_all(c);
	assert_int_equal(c->cache.pages, 2); /* the page and its leaf */
	unsigned loads = c->loads;

	assert_int_equal(byte_of(c, 700), 42);
	assert_int_equal(c->loads, loads);
	assert_int_equal(word_of(c, 701), 702);
	assert_int_equal(word_of(c, 100), 101);
	assert_int_equal(c->loads, loads + 2);
	vhdx_page_release(page);
	drop_all(c);
	assert_int_equal(c->cache.pages, 0);
	assert_int_equal(word_of(c, 700), 701); /* it was nobody's any more */
}

static void test_a_page_stays_as_long_as_anybody_holds_it(void **state)
{
	struct holds_case *c = *state;
	struct page *page = hold(c, 5, false);

	vhdx_page_keep(page);
	vhdx_page_release(page);
	drop_all(c);
	assert_int_equal(c->cache.pages, 2);
	vhdx_page_release(page);
	drop_all(c);
	assert_int_equal(c->cache.pages, 0);
}

static void test_held_pages_all_over_leave_the_cache_at_its_limit(void **state)
{
	struct holds_case *c = *state;
	struct page *held[COUNT / 100];

	for (uint64_t i = 0; i < COUNT; i++) {
		word_of(c, i);
		if (i % 100 == 0)
			held[i / 100] = hold(c, i, false);
		vhdx_page_cache_trim(&c->cache, no_grace, NULL);
		assert_true(c->cache.pages <= CACHE_LIMIT);
	}
	unsigned loads = c->loads;

	for (uint64_t i = 0; i < COUNT; i += 100)
		word_of(c, i);
	assert_int_equal(c->loads, loads);
	for (uint64_t i = 0; i < COUNT / 100; i++)
		vhdx_page_release(held[i]);
}

/* ---- Holes ---- */

static void test_a_page_that_is_held_ends_the_hole(void **state)
{
	struct holds_case *c = *state;

	c->hole_start = 1000;
	c->hole_end = 9000;
	assert_int_equal(zero_run(c, 1000), 8000);
	struct page *page = hold(c, 5000, false);

	assert_int_equal(zero_run(c, 1000), 4000); /* the larger part is still known */
	assert_int_equal(zero_run(c, 4999), 1);
	assert_int_equal(zero_run(c, 5000), 0);
	vhdx_page_release(page);
}

static void test_of_a_hole_the_larger_part_is_kept(void **state)
{
	struct holds_case *c = *state;

	c->hole_start = 1000;
	c->hole_end = 9000;
	zero_run(c, 1000);
	struct page *early = hold(c, 2000, false);
	unsigned loads = c->loads;

	assert_int_equal(zero_run(c, 2001), 6999);
	assert_int_equal(c->loads, loads); /* that was known */
	struct page *first = hold(c, 2001, false);
	struct page *last = hold(c, 8999, false);

	assert_int_equal(zero_run(c, 2002), 6997);
	assert_int_equal(zero_run(c, 8998), 1);
	assert_int_equal(c->loads, loads);
	vhdx_page_release(early);
	vhdx_page_release(first);
	vhdx_page_release(last);
}

/* The storage tells of a hole, but a page within it has been changed and not applied. */
static void test_a_hole_ends_where_a_page_in_memory_is_newer_than_the_file(void **state)
{
	struct holds_case *c = *state;
	struct page *page = hold(c, 7000, true);

	c->hole_start = 1000;
	c->hole_end = 9000;
	page->bytes[0] = 1;
	assert_int_equal(zero_run(c, 1000), 6000);
	assert_int_equal(zero_run(c, 7001), 1999);
	vhdx_page_release(page);
}

static void hold_and_apply(struct holds_case *c)
{
	struct page *page = hold(c, 7000, true);

	vhdx_page_release(page); /* applied ... */
	c->stored = 7000;
	drop_meanwhile(c); /* ... and gone */
}

/* The storage was asked before that, and answers after it. */
static void test_a_hole_that_was_found_before_pages_went_is_not_believed(void **state)
{
	struct holds_case *c = *state;

	c->hole_start = 1000;
	c->hole_end = 9000;
	c->within_load = hold_and_apply;
	assert_int_equal(zero_run(c, 1000), 1); /* that page itself is zeros */
	let_it_go(c);
	assert_int_equal(word_of(c, 7000), 77);
	assert_int_equal(zero_run(c, 7000), 0);
}

static void hold_a_page_of_the_hole(struct holds_case *c)
{
	hold(c, 1500, true)->bytes[0] = 1; /* and keep it */
}

static void test_a_page_that_came_while_the_hole_was_looked_for_ends_it(void **state)
{
	struct holds_case *c = *state;

	c->hole_start = 1000;
	c->hole_end = 9000;
	c->within_load = hold_a_page_of_the_hole;
	assert_int_equal(zero_run(c, 1000), 500);
	assert_int_equal(zero_run(c, 1500), 0);
}

static void test_a_page_whose_leaf_went_while_it_was_read_is_read_again(void **state)
{
	struct holds_case *c = *state;

	c->within_load = drop_meanwhile;
	struct page *page = hold(c, 3, false);

	let_it_go(c);
	assert_int_equal(c->loads, 2);
	assert_int_equal(*(const uint64_t *)(const void *)page->bytes,
			 4); /* it was not freed with the leaf */
	page->bytes[0] = 9;
	assert_int_equal(byte_of(c, 3), 9);
	vhdx_page_release(page);
}

int main(void)
{
#define WITH_PAGES(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_PAGES(test_a_page_that_is_held_is_the_one_that_is_read),
		WITH_PAGES(test_a_page_in_a_hole_becomes_one_of_its_own),
		WITH_PAGES(test_a_new_page_is_zeros_and_not_read),
		WITH_PAGES(test_a_page_that_cannot_be_read_cannot_be_held),
		WITH_PAGES(test_a_held_page_stays_and_those_beside_it_go),
		WITH_PAGES(test_a_page_stays_as_long_as_anybody_holds_it),
		WITH_PAGES(test_held_pages_all_over_leave_the_cache_at_its_limit),
		WITH_PAGES(test_a_page_that_is_held_ends_the_hole),
		WITH_PAGES(test_of_a_hole_the_larger_part_is_kept),
		WITH_PAGES(test_a_hole_ends_where_a_page_in_memory_is_newer_than_the_file),
		WITH_PAGES(test_a_hole_that_was_found_before_pages_went_is_not_believed),
		WITH_PAGES(test_a_page_that_came_while_the_hole_was_looked_for_ends_it),
		WITH_PAGES(test_a_page_whose_leaf_went_while_it_was_read_is_read_again),
	};

	return RUN_TESTS(tests);
}
