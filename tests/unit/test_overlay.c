/* SPDX-License-Identifier: MIT */
/* Changes beside a base: random ones, in any order and overlap, against a flat array. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "format/logentry.h"
#include "store/io.h"
#include "store/overlay.h"
#include "support/fixture.h"
#include "support/unit.h"

#define BASE_SIZE  (600 * 1024)
#define LOG_AT	   (400 * 1024) /* where the base holds descriptors and sectors */
#define FLAT_PAGES 80
#define FLAT_SIZE  (FLAT_PAGES * 4096)

/* An overlay, and what it must show. */
struct case_of_overlay {
	struct sparse base;
	struct test_store store;
	struct vhdx_io base_io;
	struct vhdx_io io;
	uint8_t flat[FLAT_SIZE];
	uint64_t size;
};

/* Puts page number @index into the base's log, and the change that shows it at @offset. */
static struct overlay_change make_page_change(struct rng *rng, struct case_of_overlay *c,
					      size_t index, uint64_t offset)
{
	uint8_t page[4096];
	uint8_t descriptor[32] = "desc";
	uint8_t sector[4096] = "data";
	uint64_t sector_at = LOG_AT + (index + 1) * 4096;
	uint64_t descriptor_at = LOG_AT + 64 + index * 32;

	rng_fill(rng, page, sizeof(page));
	memcpy(descriptor + 4, page + 4092, 4);
	memcpy(descriptor + 8, page, 8);
	memcpy(sector + 8, page + 8, 4084);
	sparse_write(&c->base, descriptor, sizeof(descriptor), descriptor_at);
	sparse_write(&c->base, sector, sizeof(sector), sector_at);
	if (offset < FLAT_SIZE)
		memcpy(c->flat + offset, page, 4096);
	return (struct overlay_change){offset, 4096, descriptor_at, sector_at};
}

static void make_case(struct rng *rng, struct case_of_overlay *c)
{
	size_t count = rng_below(rng, 40);
	struct overlay_change *changes = malloc((count + 1) * sizeof(*changes));
	uint64_t base_size = rng_between(rng, 1, FLAT_SIZE);

	memset(c, 0, sizeof(*c));
	for (int i = 0; i < 20; i++) {
		uint8_t bytes[3000];
		uint64_t at = rng_below(rng, base_size);
		uint64_t length = rng_length(rng, sizeof(bytes));

		length = min_u64(length, base_size - at);
		rng_fill(rng, bytes, length);
		memcpy(c->flat + at, bytes, length);
		sparse_write(&c->base, bytes, length, at);
	}
	/* What the base shows behind base_size is the log of the test, never the overlay's own. */
	for (size_t i = 0; i < count; i++) {
		uint64_t page = rng_below(rng, FLAT_PAGES);
		uint64_t length = 4096 * rng_below(rng, min_u64(12, FLAT_PAGES - page) + 1);

		if (rng_chance(rng, 60)) {
			changes[i] = make_page_change(rng, c, i, page * 4096);
			continue;
		}
		changes[i] = (struct overlay_change){.offset = page * 4096, .length = length};
		memset(c->flat + page * 4096, 0, length);
	}
	sparse_resize(&c->base, BASE_SIZE);
	c->size = rng_chance(rng, 30) ? rng_between(rng, 1, FLAT_SIZE) : FLAT_SIZE;
	c->store.bytes = &c->base;
	c->store.transfer = rng_chance(rng, 30) ? 1000 : 0;
	c->base_io = test_store_io(&c->store, rng_chance(rng, 50));
	assert_int_equal(vhdx_overlay_io(&c->base_io, changes, count, c->size, &c->io), 0);
}

static void drop_case(struct case_of_overlay *c)
{
	vhdx_io_close(&c->io);
	sparse_free(&c->base);
}

static void check_read(struct rng *rng, struct case_of_overlay *c)
{
	static uint8_t buf[FLAT_SIZE + 100];
	uint64_t offset = rng_below(rng, c->size + 10);
	uint64_t length = rng_length(rng, FLAT_SIZE);
	uint64_t first = rng_below(rng, length + 1);
	struct iovec iov[3] = {{buf, first}, {buf + first, 0}, {buf + first, length - first}};
	uint64_t here = offset < c->size ? min_u64(length, c->size - offset) : 0;

	ssize_t done = c->io.preadv(c->io.opaque, iov, 3, offset);

	CHECK(done >= 0 && (uint64_t)done == here, "read of %zd bytes, not %" PRIu64, done, here);
	CHECK(!memcmp(buf, c->flat + offset, here), "wrong bytes at %" PRIu64, offset);
}

static void test_random_changes_are_shown_over_the_base(void **state)
{
	(void)state;
	for (current_seed = 1; current_seed <= sampled(300); current_seed++) {
		struct rng rng = rng_make(current_seed);
		static struct case_of_overlay c;

		make_case(&rng, &c);
		for (int i = 0; i < 40; i++)
			check_read(&rng, &c);
		CHECK(!c.store.changes, "the base was written to");
		drop_case(&c);
	}
}

/* All that next_data leaves out is zero, and the ranges go up. */
static void check_next_data(struct case_of_overlay *c)
{
	uint64_t at = 0;
	uint64_t start;
	uint64_t end;
	int ret;

	while (at < c->size) {
		ret = c->io.next_data(c->io.opaque, at, &start, &end);
		if (ret == -ENXIO)
			start = c->size;
		else
			CHECK(!ret && start >= at && end > start && end <= c->size,
			      "next_data at %" PRIu64, at);
		for (uint64_t i = at; i < start; i++)
			CHECK(!c->flat[i], "next_data leaves out byte %" PRIu64, i);
		at = ret ? c->size : end;
	}
	CHECK(c->io.next_data(c->io.opaque, c->size, &start, &end) == -ENXIO,
	      "data behind the end");
}

static void test_next_data_leaves_out_nothing_but_zeros(void **state)
{
	(void)state;
	for (current_seed = 1; current_seed <= sampled(200); current_seed++) {
		struct rng rng = rng_make(current_seed);
		static struct case_of_overlay c;

		make_case(&rng, &c);
		check_next_data(&c);
		drop_case(&c);
	}
}

static void test_zeros_over_the_base_are_holes(void **state)
{
	struct sparse base = {0};
	struct test_store store = {.bytes = &base};
	struct vhdx_io base_io = test_store_io(&store, true);
	struct overlay_change *changes = calloc(1, sizeof(*changes));
	struct vhdx_io io;
	uint64_t start;
	uint64_t end;

	(void)state;
	changes[0] = (struct overlay_change){.offset = 4096, .length = 8192};
	sparse_write(&base, "x", 1, 5000);
	sparse_write(&base, "x", 1, 20000);
	assert_int_equal(vhdx_overlay_io(&base_io, changes, 1, base.size, &io), 0);
	assert_int_equal(io.next_data(io.opaque, 0, &start, &end), 0);
	assert_int_equal(start, 16384);
	vhdx_io_close(&io);
	sparse_free(&base);
}

static void test_a_size_above_the_bases_reads_as_zeros(void **state)
{
	struct sparse base = {0};
	struct test_store store = {.bytes = &base};
	struct vhdx_io base_io = test_store_io(&store, false);
	struct vhdx_io io;
	uint8_t buf[100];
	uint64_t size;

	(void)state;
	sparse_write(&base, "abc", 3, 0);
	assert_int_equal(vhdx_overlay_io(&base_io, malloc(1), 0, 4 * TIB, &io), 0);
	assert_int_equal(vhdx_io_get_size(&io, &size), 0);
	assert_true(size == 4 * TIB);
	assert_int_equal(io.preadv(io.opaque, &(struct iovec){buf, 100}, 1, 1), 100);
	assert_memory_equal(buf, "bc\0\0", 4);
	assert_int_equal(io.preadv(io.opaque, &(struct iovec){buf, 100}, 1, 4 * TIB - 50), 50);
	assert_int_equal(io.preadv(io.opaque, &(struct iovec){buf, 100}, 1, 4 * TIB), 0);
	vhdx_io_close(&io);
	sparse_free(&base);
}

static void test_errors_of_the_base_come_through(void **state)
{
	struct sparse base = {.size = 65536};
	struct test_store store = {.bytes = &base, .fail_from = 1, .fail_to = 99, .error = -EIO};
	struct vhdx_io base_io = test_store_io(&store, true);
	struct overlay_change *changes = calloc(1, sizeof(*changes));
	struct vhdx_io io;
	uint8_t byte;
	uint64_t start;
	uint64_t end;

	(void)state;
	changes[0] = (struct overlay_change){4096, 4096, 100, 8192};
	assert_int_equal(vhdx_overlay_io(&base_io, changes, 1, 65536, &io), 0);
	assert_int_equal(io.preadv(io.opaque, &(struct iovec){&byte, 1}, 1, 0), -EIO);
	assert_int_equal(io.preadv(io.opaque, &(struct iovec){&byte, 1}, 1, 5000), -EIO);
	assert_int_equal(io.next_data(io.opaque, 0, &start, &end), -EIO);
	vhdx_io_close(&io);
	sparse_free(&base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_changes_are_shown_over_the_base),
		cmocka_unit_test(test_next_data_leaves_out_nothing_but_zeros),
		cmocka_unit_test(test_zeros_over_the_base_are_holes),
		cmocka_unit_test(test_a_size_above_the_bases_reads_as_zeros),
		cmocka_unit_test(test_errors_of_the_base_come_through),
	};

	return RUN_TESTS(tests);
}
