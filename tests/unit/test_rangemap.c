/* SPDX-License-Identifier: MIT */
/* Where storage holds data: what a server tells in batches is shown as ranges, and asked for once. */
#include <errno.h>
#include <stdbool.h>

#include "rangemap.h"
#include "support/unit.h"

#define SIZE 1000u

/* Data are the tens with an odd number, or every other byte; it tells of @batch bytes at a time. */
struct server {
	uint64_t batch;
	uint64_t unit;
	unsigned asked;
	int failure;
};

static int ask(void *opaque, struct rangemap *map, uint64_t offset)
{
	struct server *server = opaque;

	server->asked++;
	if (server->failure)
		return server->failure;
	uint64_t start = offset - offset % server->unit;
	uint64_t end = start + server->batch;

	rangemap_restart(map, start);
	while (rangemap_end(map) < end && rangemap_end(map) < map->size)
		if (!rangemap_add(map, server->unit, rangemap_end(map) / server->unit % 2))
			break;
	return 0;
}

static void check(struct rangemap *map, uint64_t offset, uint64_t start, uint64_t end)
{
	uint64_t got_start = 0, got_end = 0;

	assert_int_equal(rangemap_next_data(map, offset, &got_start, &got_end), 0);
	assert_int_equal(got_start, start);
	assert_int_equal(got_end, end);
}

static void test_ranges_of_data_in_order(void **state)
{
	struct server server = {.batch = 100, .unit = 10};
	struct rangemap map;
	uint64_t start, end;

	(void)state;
	assert_true(rangemap_init(&map, SIZE, ask, &server));
	for (uint64_t at = 0; at < SIZE; at += 20)
		check(&map, at, at + 10, at + 20);
	assert_int_equal(rangemap_next_data(&map, SIZE, &start, &end), -ENXIO);
	assert_int_equal(server.asked, SIZE / 100);
	rangemap_free(&map);
}

static void test_a_range_from_its_middle_on(void **state)
{
	struct server server = {.batch = 100, .unit = 10};
	struct rangemap map;

	(void)state;
	assert_true(rangemap_init(&map, SIZE, ask, &server));
	check(&map, 515, 515, 520);
	check(&map, 519, 519, 520);
	check(&map, 520, 530, 540);
	rangemap_free(&map);
}

static void test_going_back_asks_again(void **state)
{
	struct server server = {.batch = 100, .unit = 10};
	struct rangemap map;

	(void)state;
	assert_true(rangemap_init(&map, SIZE, ask, &server));
	check(&map, 515, 515, 520);
	check(&map, 15, 15, 20);
	assert_int_equal(server.asked, 2);
	rangemap_free(&map);
}

static void test_neighbours_that_are_alike_are_one_range(void **state)
{
	struct server server = {.batch = SIZE, .unit = SIZE};
	struct rangemap map;
	uint64_t start, end;

	(void)state;
	assert_true(rangemap_init(&map, SIZE, ask, &server));
	assert_int_equal(rangemap_next_data(&map, 0, &start, &end), -ENXIO);
	rangemap_restart(&map, 0);
	for (unsigned i = 0; i < 100; i++)
		assert_true(rangemap_add(&map, 10, true));
	assert_int_equal(map.count, 1);
	check(&map, 0, 0, SIZE);
	rangemap_free(&map);
}

static void test_more_ranges_than_are_kept_are_asked_for_later(void **state)
{
	struct server server = {.batch = 1u << 20, .unit = 1};
	struct rangemap map;

	(void)state;
	assert_true(rangemap_init(&map, 1u << 20, ask, &server));
	for (uint64_t at = 0; at < 1u << 20; at += 2)
		check(&map, at, at + 1, at + 2);
	assert_in_range(server.asked, 2, 64);
	rangemap_free(&map);
}

static void test_a_failure_is_told(void **state)
{
	struct server server = {.failure = -EIO};
	struct rangemap map;
	uint64_t start = 7, end = 7;

	(void)state;
	assert_true(rangemap_init(&map, SIZE, ask, &server));
	assert_int_equal(rangemap_next_data(&map, 0, &start, &end), -EIO);
	assert_int_equal(start, 7);
	rangemap_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_of_data_in_order),
		cmocka_unit_test(test_a_range_from_its_middle_on),
		cmocka_unit_test(test_going_back_asks_again),
		cmocka_unit_test(test_neighbours_that_are_alike_are_one_range),
		cmocka_unit_test(test_more_ranges_than_are_kept_are_asked_for_later),
		cmocka_unit_test(test_a_failure_is_told),
	};

	return RUN_TESTS(tests);
}
