/* SPDX-License-Identifier: MIT */
/* A draft: random changes against flat bytes, what its walk tells, its limit, and storage that fails. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "store/draft.h"
#include "store/io.h"
#include "support/fixture.h"
#include "support/unit.h"
#include "support/writestore.h"

#define MOST_BYTES (300 * 1024)

/* A draft, and what it must show. */
struct draft_case {
	struct write_store base;
	struct write_store scratch;
	struct vhdx_io base_io;
	struct vhdx_io scratch_io;
	struct draft *draft;
	uint8_t before[MOST_BYTES];
	uint8_t flat[MOST_BYTES];
	uint64_t size;
};

static void make_case(struct rng *rng, struct draft_case *c)
{
	uint64_t base_size = rng_below(rng, MOST_BYTES);

	memset(c, 0, sizeof(*c));
	write_store_init(&c->base);
	write_store_init(&c->scratch);
	for (int i = 0; i < 20 && base_size; i++) {
		uint8_t bytes[9000];
		uint64_t at = rng_below(rng, base_size);
		uint64_t length = min_u64(rng_length(rng, sizeof(bytes)), base_size - at);

		rng_fill(rng, bytes, sizeof(bytes));
		sparse_write(&c->base.bytes, bytes, length, at);
	}
	sparse_resize(&c->base.bytes, base_size);
	sparse_read(&c->base.bytes, c->before, sizeof(c->before), 0);
	memcpy(c->flat, c->before, sizeof(c->flat));
	c->size = base_size;
	c->base.transfer = rng_chance(rng, 30) ? rng_between(rng, 1, 5000) : 0;
	c->scratch.transfer = rng_chance(rng, 30) ? rng_between(rng, 1, 5000) : 0;
	c->base_io = write_store_io(&c->base, rng_chance(rng, 30) ? STORE_BIT(STORE_NEXT_DATA) : 0);
	c->scratch_io = write_store_io(&c->scratch, 0);
}

static int open_case(struct rng *rng, struct draft_case *c)
{
	return vhdx_draft_open(&c->base_io, rng_chance(rng, 70) ? &c->scratch_io : NULL, &c->draft);
}

static void free_case(struct draft_case *c)
{
	vhdx_draft_close(c->draft);
	write_store_free(&c->base);
	write_store_free(&c->scratch);
}

static int write_some(struct rng *rng, struct draft_case *c, uint64_t at)
{
	static uint8_t bytes[40000];
	uint64_t length = min_u64(rng_length(rng, sizeof(bytes)), MOST_BYTES - at);
	uint64_t first = length / 3;
	struct iovec iov[3] = {{bytes, first}, {NULL, 0}, {bytes + first, length - first}};

	if (rng_chance(rng, 20))
		memset(bytes, 0, sizeof(bytes));
	else if (rng_chance(rng, 30)) /* as it was */
		memcpy(bytes, c->before + at, length);
	else
		rng_fill(rng, bytes, sizeof(bytes));
	int ret = vhdx_io_writev(vhdx_draft_io(c->draft), iov, 3, 0, length, at);

	if (ret)
		return ret;
	memcpy(c->flat + at, bytes, length);
	c->size = max_u64(c->size, at + length);
	return 0;
}

static int change_case(struct rng *rng, struct draft_case *c)
{
	uint64_t at = rng_below(rng, MOST_BYTES);
	uint64_t length = rng_length(rng, MOST_BYTES - at);
	int ret;

	if (rng_chance(rng, 50)) {
		at = round_down(at, DRAFT_PAGE_SIZE);
		length = min_u64(round_up(length, DRAFT_PAGE_SIZE), MOST_BYTES - at);
	}
	switch (rng_below(rng, 5)) {
	case 0:
		ret = vhdx_io_punch(vhdx_draft_io(c->draft), at, length);
		if (!ret && at < c->size)
			memset(c->flat + at, 0, min_u64(length, c->size - at));
		return ret;
	case 1:
		ret = vhdx_io_set_size(vhdx_draft_io(c->draft), at);
		if (!ret && at < c->size)
			memset(c->flat + at, 0, c->size - at);
		c->size = ret ? c->size : at;
		return ret;
	default:
		return write_some(rng, c, at);
	}
}

static void check_reads(struct rng *rng, struct draft_case *c)
{
	static uint8_t bytes[MOST_BYTES + 10];
	uint64_t at = rng_chance(rng, 50) ? 0 : rng_below(rng, MOST_BYTES);
	uint64_t length = rng_chance(rng, 50) ? MOST_BYTES - at : rng_length(rng, MOST_BYTES - at);
	struct iovec iov[2] = {{bytes, length / 2}, {bytes + length / 2, length - length / 2}};
	uint64_t size;
	const struct vhdx_io *io = vhdx_draft_io(c->draft);

	CHECK(!vhdx_io_get_size(io, &size) && size == c->size, "size %" PRIu64, size);
	CHECK(!vhdx_io_readv(io, iov, 2, 0, length, at) && !memcmp(bytes, c->flat + at, length),
	      "reads wrong at %" PRIu64 "+%" PRIu64, at, length);
}

/* What next_data leaves out must be zeros. */
static void check_holes(struct draft_case *c)
{
	uint64_t at = 0;

	while (at < c->size) {
		uint64_t start = c->size;
		uint64_t end = c->size;
		int ret = vhdx_io_next_data(vhdx_draft_io(c->draft), at, c->size, &start, &end);

		CHECK(!ret || ret == -ENXIO, "next_data says %d", ret);
		CHECK(start >= at && end <= c->size, "data outside");
		for (uint64_t i = at; i < start; i++)
			CHECK(!c->flat[i], "a hole at %" PRIu64 " holds data", i);
		at = end;
	}
}

/* What the walk has told so far. */
struct told {
	struct draft_case *c;
	uint8_t copy[MOST_BYTES];
	uint64_t end;
};

static int take_told(void *opaque, const struct draft_range *range)
{
	struct told *told = opaque;
	uint64_t end = range->offset + range->length;

	CHECK(range->offset >= told->end && range->length, "out of order");
	CHECK(is_aligned(range->offset, DRAFT_PAGE_SIZE) && end <= told->c->size, "not in pages");
	CHECK(range->released || range->length <= DRAFT_RUN_SIZE, "too long");
	told->end = end;
	for (uint64_t at = range->offset; at < end; at += DRAFT_PAGE_SIZE) {
		uint64_t length = min_u64(DRAFT_PAGE_SIZE, end - at);

		if (range->released)
			memset(told->copy + at, 0, length);
		else
			CHECK(memcmp(told->copy + at, told->c->flat + at, length) != 0,
			      "page at %" PRIu64 " is told and does not differ", at);
	}
	if (!range->released)
		memcpy(told->copy + range->offset, told->c->flat + range->offset, range->length);
	return 0;
}

/* The base and what the walk tells make the draft. */
static void check_walk(struct draft_case *c)
{
	static struct told told;

	told.c = c;
	told.end = 0;
	memcpy(told.copy, c->before, sizeof(told.copy));
	CHECK(!vhdx_draft_walk(c->draft, take_told, &told), "the walk fails");
	CHECK(!memcmp(told.copy, c->flat, c->size), "the walk left something out");
}

static void random_changes_show_and_the_base_stays(void **state)
{
	uint64_t last;
	static struct draft_case c;

	(void)state;
	seeds_to_run(600, &current_seed, &last);
	for (; current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);
		uint64_t steps = rng_below(&rng, 60);

		make_case(&rng, &c);
		CHECK(!open_case(&rng, &c), "cannot be opened");
		for (current_step = 0; current_step < steps; current_step++) {
			CHECK(!change_case(&rng, &c), "a change fails");
			check_reads(&rng, &c);
		}
		check_holes(&c);
		check_walk(&c);
		CHECK(!write_store_changes(&c.base), "the base was changed");
		free_case(&c);
	}
}

/* Opens, changes and walks a draft; the first error. */
static int use_draft(struct rng *rng, struct draft_case *c)
{
	static struct told told;
	int ret = open_case(rng, c);

	for (int i = 0; i < 12 && !ret; i++)
		ret = change_case(rng, c);
	told.c = c;
	told.end = 0;
	memcpy(told.copy, c->before, sizeof(told.copy));
	return ret ? ret : vhdx_draft_walk(c->draft, take_told, &told);
}

static bool fail_call(struct rng rng, bool in_base, unsigned long call)
{
	static struct draft_case c;

	make_case(&rng, &c);
	struct write_store *store = in_base ? &c.base : &c.scratch;

	store->fail_calls = STORE_ANY;
	store->fail_from = store->fail_to = call;
	store->error = -EIO;
	int ret = use_draft(&rng, &c);

	CHECK(store->failed ? ret == -EIO : !ret, "%d with call %lu failing", ret, call);
	bool failed = store->failed;

	free_case(&c);
	return failed;
}

static void a_failure_of_either_storage_is_returned(void **state)
{
	uint64_t last;
	unsigned long failures = 0;

	(void)state;
	seeds_to_run(20, &current_seed, &last);
	for (; current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);

		for (int in_base = 0; in_base < 2; in_base++)
			for (unsigned long call = 1; fail_call(rng, in_base, call); call++)
				failures++;
	}
	assert_true(failures > 20);
}

static ssize_t forget(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	uint64_t size;

	(void)opaque, (void)offset;
	return vhdx_iov_size(iov, iovcnt, &size) ? -EINVAL : (ssize_t)size;
}

static void more_pages_than_the_limit_are_refused_and_released_ones_are_free_again(void **state)
{
	static uint8_t bytes[1 << 20];
	struct write_store base;
	struct draft *draft;
	struct vhdx_io scratch = {.size = sizeof(scratch), .preadv = forget, .pwritev = forget};
	uint64_t at = 0;
	int ret = 0;

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	write_store_init(&base);
	struct vhdx_io base_io = write_store_io(&base, 0);

	assert_int_equal(vhdx_draft_open(&base_io, &scratch, &draft), 0);
	const struct vhdx_io *io = vhdx_draft_io(draft);

	for (; !ret && at < 2 * MAX_DRAFT_BYTES; at += ret ? 0 : sizeof(bytes))
		ret = vhdx_io_write(io, bytes, sizeof(bytes), at);
	assert_int_equal(ret, -EFBIG);
	assert_int_equal(at, MAX_DRAFT_BYTES);
	assert_int_equal(vhdx_io_punch(io, 5 * MIB, DRAFT_PAGE_SIZE), 0);
	assert_int_equal(vhdx_io_write(io, bytes, DRAFT_PAGE_SIZE, at), 0);
	assert_int_equal(vhdx_io_write(io, bytes, DRAFT_PAGE_SIZE, at + DRAFT_PAGE_SIZE), -EFBIG);
	vhdx_draft_close(draft);
	write_store_free(&base);
}

static void pages_in_any_order_come_back_in_order(void **state)
{
	enum {
		PAGES = 6007 /* a prime: any step meets all */
	};
	struct write_store base;
	struct draft *draft;
	uint64_t last;

	(void)state;
	seeds_to_run(5, &current_seed, &last);
	for (; current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);
		uint64_t number = 1;
		uint64_t step = rng_between(&rng, 1, PAGES - 1);

		write_store_init(&base);
		struct vhdx_io base_io = write_store_io(&base, 0);

		assert_int_equal(vhdx_draft_open(&base_io, NULL, &draft), 0);
		const struct vhdx_io *io = vhdx_draft_io(draft);

		for (uint64_t i = 0; i < PAGES; i++, number = (number + step) % PAGES)
			assert_int_equal(vhdx_io_write(io, &(uint64_t){number + 1}, 8,
						       number * DRAFT_PAGE_SIZE),
					 0);
		for (uint64_t i = 0, value; i < PAGES; i++) {
			assert_int_equal(vhdx_io_read(io, &value, 8, i * DRAFT_PAGE_SIZE), 0);
			CHECK(value == i + 1, "page %" PRIu64 " holds %" PRIu64, i, value);
		}
		vhdx_draft_close(draft);
		write_store_free(&base);
	}
}

static void a_fixed_size_and_missing_holes_are_those_of_the_base(void **state)
{
	struct write_store base;
	struct draft *draft;

	(void)state;
	write_store_init(&base);
	sparse_resize(&base.bytes, 8192);
	struct vhdx_io base_io = write_store_io(&base, STORE_BIT(STORE_PUNCH));

	base_io.set_size = NULL;

	assert_int_equal(vhdx_draft_open(&base_io, NULL, &draft), 0);
	const struct vhdx_io *io = vhdx_draft_io(draft);

	assert_int_equal(vhdx_io_set_size(io, 4096), -EOPNOTSUPP);
	assert_int_equal(vhdx_io_punch(io, 0, 4096), -EOPNOTSUPP);
	assert_int_equal(vhdx_io_write(io, "xx", 2, 8191), -ENOSPC);
	assert_int_equal(vhdx_io_write(io, "xx", 2, 8190), 0);
	vhdx_draft_close(draft);
	write_store_free(&base);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes_show_and_the_base_stays),
		cmocka_unit_test(a_failure_of_either_storage_is_returned),
		cmocka_unit_test(
			more_pages_than_the_limit_are_refused_and_released_ones_are_free_again),
		cmocka_unit_test(pages_in_any_order_come_back_in_order),
		cmocka_unit_test(a_fixed_size_and_missing_holes_are_those_of_the_base),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
