/* SPDX-License-Identifier: MIT */
/* The map of a file's MiB: marks, clears, growth, and searches, against a naive array. */
#include <string.h>

#include "format/ondisk.h"
#include "meta/spacemap.h"
#include "support/random.h"
#include "support/unit.h"

static bool is_marked(const struct space_map *map, uint64_t mebibyte)
{
	return map->words[mebibyte / 64] >> mebibyte % 64 & 1;
}

static uint64_t count_marked(const struct space_map *map)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < map->mebibytes; i++)
		count += is_marked(map, i);
	return count;
}

static struct space_map make(uint64_t mebibytes)
{
	struct space_map map;

	assert_int_equal(vhdx_space_map_init(&map, mebibytes * MIB), 0);
	assert_int_equal(map.mebibytes, mebibytes);
	assert_int_equal(count_marked(&map), 0);
	return map;
}

static void test_a_mark_covers_every_mebibyte_that_it_touches(void **state)
{
	struct space_map map = make(200);
	uint64_t where = 7;

	(void)state;
	assert_false(vhdx_space_map_mark(&map, 64 * MIB - 1, 2, &where));
	assert_int_equal(count_marked(&map), 2);
	assert_true(is_marked(&map, 63) && is_marked(&map, 64));
	assert_false(vhdx_space_map_mark(&map, 10 * MIB, 0, &where));
	assert_int_equal(count_marked(&map), 2);
	assert_int_equal(where, 7);
	assert_true(vhdx_space_map_mark(&map, 60 * MIB, 10 * MIB, &where));
	assert_int_equal(where, 63 * MIB);
	assert_int_equal(count_marked(&map), 10);
	vhdx_space_map_free(&map);
}

static void test_marks_end_with_the_map(void **state)
{
	struct space_map map = make(100);

	(void)state;
	assert_false(vhdx_space_map_mark(&map, 99 * MIB, 500 * MIB, NULL));
	assert_false(vhdx_space_map_mark(&map, 100 * MIB, MIB, NULL));
	assert_int_equal(count_marked(&map), 1);
	assert_int_equal(map.words[1], (uint64_t)1 << 35);
	vhdx_space_map_free(&map);
}

static void test_a_clear_leaves_its_neighbours(void **state)
{
	struct space_map map = make(130);

	(void)state;
	vhdx_space_map_mark(&map, 0, 130 * MIB, NULL);
	vhdx_space_map_clear(&map, 63 * MIB, 2 * MIB);
	vhdx_space_map_clear(&map, 100 * MIB, 0);
	assert_int_equal(count_marked(&map), 128);
	assert_true(is_marked(&map, 62) && is_marked(&map, 65));
	vhdx_space_map_clear(&map, 129 * MIB, 100 * MIB); /* over the end */
	assert_int_equal(count_marked(&map), 127);
	assert_true(is_marked(&map, 128));
	vhdx_space_map_free(&map);
}

static void test_growth_keeps_the_marks_and_adds_none(void **state)
{
	static const uint64_t sizes[] = {1, 63, 64, 65, 127, 128, 129, 1000, 1000};
	struct space_map map = make(1);

	(void)state;
	vhdx_space_map_mark(&map, 0, MIB, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t before = map.mebibytes;

		assert_int_equal(vhdx_space_map_grow(&map, sizes[i] * MIB), 0);
		assert_int_equal(map.mebibytes, sizes[i]);
		assert_int_equal(count_marked(&map), before);
		assert_false(
			vhdx_space_map_mark(&map, before * MIB, (sizes[i] - before) * MIB, NULL));
		assert_int_equal(count_marked(&map), sizes[i]);
	}
	vhdx_space_map_free(&map);
}

static void test_the_end_is_behind_the_last_mark(void **state)
{
	struct space_map map = make(200);

	(void)state;
	assert_int_equal(vhdx_space_map_end(&map), 0);
	for (uint64_t i = 0; i < 200; i++) {
		vhdx_space_map_mark(&map, i * MIB, MIB, NULL);
		assert_int_equal(vhdx_space_map_end(&map), (i + 1) * MIB);
	}
	vhdx_space_map_clear(&map, 5 * MIB, 195 * MIB);
	assert_int_equal(vhdx_space_map_end(&map), 5 * MIB);
	vhdx_space_map_clear(&map, 0, 5 * MIB);
	assert_int_equal(vhdx_space_map_end(&map), 0);
	vhdx_space_map_free(&map);
}

static void test_a_run_may_begin_and_end_anywhere(void **state)
{
	(void)state;
	for (uint64_t length = 1; length < 140; length += 3) {
		for (uint64_t at = 0; at + length <= 300; at += 7) {
			struct space_map map = make(300);

			vhdx_space_map_mark(&map, 0, 300 * MIB, NULL);
			vhdx_space_map_clear(&map, at * MIB, length * MIB);
			assert_int_equal(vhdx_space_map_find_run(&map, NULL, 0, length * MIB),
					 at * MIB);
			assert_true(vhdx_space_map_find_run(&map, NULL, 0, (length + 1) * MIB) ==
				    UINT64_MAX);
			assert_int_equal(
				vhdx_space_map_find_run(&map, NULL, at * MIB, length * MIB),
				at * MIB);
			assert_true(vhdx_space_map_find_run(&map, NULL, (at + 1) * MIB,
							    length * MIB) == UINT64_MAX);
			vhdx_space_map_free(&map);
		}
	}
}

static void test_a_run_ends_with_the_map(void **state)
{
	struct space_map map = make(100);

	(void)state;
	vhdx_space_map_mark(&map, 0, 90 * MIB, NULL);
	assert_int_equal(vhdx_space_map_find_run(&map, NULL, 0, 10 * MIB), 90 * MIB);
	assert_true(vhdx_space_map_find_run(&map, NULL, 0, 11 * MIB) == UINT64_MAX);
	assert_true(vhdx_space_map_find_run(&map, NULL, 100 * MIB, MIB) == UINT64_MAX);
	vhdx_space_map_free(&map);
}

static void test_a_run_does_not_go_on_behind_what_is_marked(void **state)
{
	struct space_map map = make(300);

	(void)state;
	vhdx_space_map_mark(&map, 64 * MIB, 64 * MIB, NULL); /* a whole word */
	assert_int_equal(vhdx_space_map_find_run(&map, NULL, 60 * MIB, 4 * MIB), 60 * MIB);
	assert_int_equal(vhdx_space_map_find_run(&map, NULL, 60 * MIB, 5 * MIB), 128 * MIB);
	vhdx_space_map_free(&map);
}

/* ---- against a naive array ---- */

#define MOST 400

struct naive {
	uint64_t count;
	bool marked[MOST];
	bool also[MOST];
};

static uint64_t naive_run(const struct naive *naive, bool with_also, uint64_t from, uint64_t length)
{
	for (uint64_t at = from; at + length <= naive->count; at++) {
		uint64_t run = 0;

		while (run < length && !naive->marked[at + run] &&
		       (!with_also || naive->also[at + run]))
			run++;
		if (run == length)
			return at * MIB;
	}
	return UINT64_MAX;
}

static uint64_t naive_find(const struct naive *naive, uint64_t from, bool marked)
{
	uint64_t at = from;

	while (at < naive->count && naive->marked[at] != marked)
		at++;
	return (at < naive->count ? at : naive->count) * MIB;
}

static uint64_t naive_end(const struct naive *naive)
{
	uint64_t end = naive->count;

	while (end && !naive->marked[end - 1])
		end--;
	return end * MIB;
}

static void change(struct rng *rng, struct naive *naive, struct space_map *map,
		   struct space_map *also)
{
	uint64_t first = rng_below(rng, naive->count);
	uint64_t length = rng_length(rng, naive->count - first);
	bool to_also = rng_chance(rng, 50);
	bool mark = rng_chance(rng, 60);

	if (mark)
		vhdx_space_map_mark(to_also ? also : map, first * MIB, length * MIB, NULL);
	else
		vhdx_space_map_clear(to_also ? also : map, first * MIB, length * MIB);
	memset((to_also ? naive->also : naive->marked) + first, mark, length);
}

static void grow(struct rng *rng, struct naive *naive, struct space_map *map,
		 struct space_map *also)
{
	naive->count += rng_below(rng, MOST - naive->count + 1) / 4;
	assert_int_equal(vhdx_space_map_grow(map, naive->count * MIB), 0);
	assert_int_equal(vhdx_space_map_grow(also, naive->count * MIB), 0);
}

static void compare(struct rng *rng, const struct naive *naive, const struct space_map *map,
		    const struct space_map *also)
{
	for (int i = 0; i < 5; i++) {
		uint64_t from = rng_below(rng, naive->count);
		uint64_t length = rng_length(rng, naive->count);
		bool marked = rng_chance(rng, 50);

		assert_true(vhdx_space_map_find_run(map, NULL, from * MIB, length * MIB) ==
			    naive_run(naive, false, from, length));
		assert_true(vhdx_space_map_find_run(map, also, from * MIB, length * MIB) ==
			    naive_run(naive, true, from, length));
		assert_int_equal(vhdx_space_map_find(map, from * MIB, marked),
				 naive_find(naive, from, marked));
	}
	assert_int_equal(vhdx_space_map_end(map), naive_end(naive));
}

static void test_searches_find_what_a_naive_one_does(void **state)
{
	uint64_t first, last;

	(void)state;
	seeds_to_run(60, &first, &last);
	for (uint64_t seed = first; seed <= last; seed++) {
		struct rng rng = rng_make(seed);
		struct naive naive = {.count = rng_between(&rng, 1, MOST / 2)};
		struct space_map map = make(naive.count);
		struct space_map also = make(naive.count);

		for (int step = 0; step < 300; step++) {
			change(&rng, &naive, &map, &also);
			if (rng_chance(&rng, 5))
				grow(&rng, &naive, &map, &also);
			compare(&rng, &naive, &map, &also);
		}
		vhdx_space_map_free(&map);
		vhdx_space_map_free(&also);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mark_covers_every_mebibyte_that_it_touches),
		cmocka_unit_test(test_marks_end_with_the_map),
		cmocka_unit_test(test_a_clear_leaves_its_neighbours),
		cmocka_unit_test(test_growth_keeps_the_marks_and_adds_none),
		cmocka_unit_test(test_the_end_is_behind_the_last_mark),
		cmocka_unit_test(test_a_run_may_begin_and_end_anywhere),
		cmocka_unit_test(test_a_run_ends_with_the_map),
		cmocka_unit_test(test_a_run_does_not_go_on_behind_what_is_marked),
		cmocka_unit_test(test_searches_find_what_a_naive_one_does),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
