/* SPDX-License-Identifier: MIT */
/*
 * The undo file: it brings back what was there, byte for byte, from any mixture of old and new sectors, and
 * neither from a damaged undo file nor to an image that was changed since.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/crc32c.h"
#include "format/undofile.h"
#include "ops/undo.h"
#include "store/io.h"
#include "support/fixture.h"
#include "support/unit.h"
#include "support/writestore.h"

#define MOST_BYTES (256 * 1024)
#define SECTOR	   512

struct undo_case {
	struct write_store image;
	struct write_store undo;
	struct vhdx_io image_io;
	struct vhdx_io undo_io;
	struct draft *draft;
	uint8_t before[MOST_BYTES];
	uint8_t after[MOST_BYTES];
	uint64_t old_size;
	uint64_t new_size;
};

static void change_draft(struct rng *rng, const struct vhdx_io *io)
{
	static uint8_t bytes[20000];
	uint64_t at = rng_below(rng, MOST_BYTES - sizeof(bytes));

	rng_fill(rng, bytes, sizeof(bytes));
	switch (rng_below(rng, 5)) {
	case 0:
		assert_int_equal(vhdx_io_punch(io, at, rng_length(rng, MOST_BYTES - at)), 0);
		break;
	case 1:
		assert_int_equal(vhdx_io_set_size(io, rng_below(rng, MOST_BYTES)), 0);
		break;
	default:
		assert_int_equal(vhdx_io_write(io, bytes, rng_length(rng, sizeof(bytes)), at), 0);
	}
}

static void make_case(struct rng *rng, struct undo_case *c)
{
	unsigned changes = (unsigned)rng_below(rng, 8);

	memset(c, 0, sizeof(*c));
	write_store_init(&c->image);
	write_store_init(&c->undo);
	c->old_size = rng_below(rng, MOST_BYTES);
	for (int i = 0; i < 12 && c->old_size; i++) {
		uint8_t bytes[15000];
		uint64_t at = rng_below(rng, c->old_size);

		rng_fill(rng, bytes, sizeof(bytes));
		sparse_write(&c->image.bytes, bytes, min_u64(c->old_size - at, sizeof(bytes)), at);
	}
	sparse_resize(&c->image.bytes, c->old_size);
	sparse_read(&c->image.bytes, c->before, MOST_BYTES, 0);
	c->image_io = write_store_io(&c->image, 0);
	c->undo_io = write_store_io(&c->undo, 0);
	assert_int_equal(vhdx_draft_open(&c->image_io, NULL, &c->draft), 0);
	const struct vhdx_io *io = vhdx_draft_io(c->draft);

	while (changes--)
		change_draft(rng, io);
	assert_int_equal(vhdx_io_get_size(io, &c->new_size), 0);
	assert_int_equal(vhdx_io_read(io, c->after, MOST_BYTES, 0), 0);
}

static void free_case(struct undo_case *c)
{
	vhdx_draft_close(c->draft);
	write_store_free(&c->image);
	write_store_free(&c->undo);
}

static int write_undo(struct undo_case *c)
{
	const struct undo_work work = {.draft = c->draft, .io = &c->image_io, .name = "image"};

	return vhdx_undo_write(&c->undo_io, "undo", &work);
}

static int restore(struct undo_case *c)
{
	return vhdx_undo_restore(&c->undo_io, "undo", &c->image_io, "image");
}

/* As a crash may leave it: each sector old or new, and the size too. @percent: of the sectors that are new. */
static void mix(struct rng *rng, struct undo_case *c, unsigned percent)
{
	uint64_t size = percent && (percent == 100 || rng_chance(rng, 50)) ? c->new_size
									   : c->old_size;

	/* Growth is durable before anything is written. */
	if (size < c->new_size)
		percent = c->old_size < c->new_size ? 0 : percent;
	sparse_resize(&c->image.bytes, size);
	for (uint64_t at = 0; at < size; at += SECTOR) {
		const uint8_t *from = rng_chance(rng, percent) ? c->after : c->before;

		sparse_write(&c->image.bytes, from + at, min_u64(SECTOR, size - at), at);
	}
	sparse_resize(&c->image.bytes, size);
}

static void check_restored(const struct undo_case *c)
{
	static uint8_t now[MOST_BYTES];

	CHECK(c->image.bytes.size == c->old_size, "the size is %" PRIu64 ", not %" PRIu64,
	      c->image.bytes.size, c->old_size);
	sparse_read(&c->image.bytes, now, MOST_BYTES, 0);
	CHECK(!memcmp(now, c->before, MOST_BYTES), "other bytes than before");
}

#define FOR_SEEDS(count, last, rng) \
	seeds_to_run((count), &current_seed, &(last)); \
	for (struct rng rng; rng = rng_make(current_seed), current_seed <= (last); current_seed++)

static void any_mixture_of_old_and_new_is_brought_back(void **state)
{
	static const unsigned shares[] = {0, 100, 50, 90, 10};
	static struct undo_case c;
	uint64_t last;

	(void)state;
	FOR_SEEDS(500, last, rng)
	{
		make_case(&rng, &c);
		CHECK(!write_undo(&c), "cannot be written");
		CHECK(!write_store_changes(&c.image), "writing the undo file changed the image");
		for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
			mix(&rng, &c, shares[i]);
			CHECK(!restore(&c), "%s", vhdx_last_error()->text);
			check_restored(&c);
			CHECK(!restore(&c), "not again: %s", vhdx_last_error()->text);
			check_restored(&c);
		}
		free_case(&c);
	}
}

static void it_is_unfinished_until_told_and_when_put_back(void **state)
{
	static struct undo_case c;
	struct rng rng = rng_make(1);
	bool unfinished = false;

	(void)state;
	make_case(&rng, &c);
	assert_int_equal(write_undo(&c), 0);
	assert_int_equal(vhdx_undo_is_unfinished(&c.undo_io, "undo", &unfinished), 0);
	assert_true(unfinished);
	assert_int_equal(vhdx_undo_finish(&c.undo_io, "undo"), 0);
	assert_int_equal(vhdx_undo_is_unfinished(&c.undo_io, "undo", &unfinished), 0);
	assert_false(unfinished);
	assert_int_equal(restore(&c), 0);
	assert_int_equal(vhdx_undo_is_unfinished(&c.undo_io, "undo", &unfinished), 0);
	assert_true(unfinished);
	free_case(&c);
}

/* A sector of the image that was changed, holding neither; false when nothing was. */
static bool change_sector(struct rng *rng, struct undo_case *c)
{
	uint64_t sectors = min_u64(c->old_size, c->new_size) / SECTOR;

	for (uint64_t tries = 0; sectors && tries < 500; tries++) {
		uint64_t at = rng_below(rng, sectors) * SECTOR;
		uint8_t bytes[SECTOR];

		if (!memcmp(c->before + at, c->after + at, SECTOR))
			continue;
		rng_fill(rng, bytes, sizeof(bytes));
		sparse_write(&c->image.bytes, bytes, sizeof(bytes), at);
		return true;
	}
	return false;
}

static void an_image_that_was_changed_since_is_left_alone(void **state)
{
	static struct undo_case c;
	unsigned refused = 0;
	uint64_t last;

	(void)state;
	FOR_SEEDS(200, last, rng)
	{
		make_case(&rng, &c);
		CHECK(!write_undo(&c), "cannot be written");
		mix(&rng, &c, 100);
		bool changed = change_sector(&rng, &c);

		if (rng_chance(&rng, 20)) {
			sparse_resize(&c.image.bytes, max_u64(c.old_size, c.new_size) + 1);
			changed = true;
		}
		if (changed) {
			int ret = restore(&c);

			CHECK(ret == -ESTALE, "%d", ret);
			CHECK(!write_store_changes(&c.image), "it was written");
			refused++;
		}
		free_case(&c);
	}
	assert_true(refused);
}

/* Whatever byte is wrong: nothing that was not there is put back. */
static void a_damaged_undo_file_is_refused(void **state)
{
	static struct undo_case c;
	unsigned refused = 0;
	uint64_t last;

	(void)state;
	FOR_SEEDS(600, last, rng)
	{
		make_case(&rng, &c);
		CHECK(!write_undo(&c), "cannot be written");
		mix(&rng, &c, 100);
		uint64_t limit = rng_chance(&rng, 30)	? SECTOR
				 : rng_chance(&rng, 50) ? 4096 + 640
							: c.undo.bytes.size;
		uint64_t at = rng_below(&rng, min_u64(limit, c.undo.bytes.size));
		uint8_t byte;

		if (rng_chance(&rng, 10)) {
			sparse_resize(&c.undo.bytes, at);
		} else {
			sparse_read(&c.undo.bytes, &byte, 1, at);
			byte = (uint8_t)(byte + rng_between(&rng, 1, 255));
			sparse_write(&c.undo.bytes, &byte, 1, at);
		}
		int ret = restore(&c);

		CHECK(!ret || ret == -EUCLEAN, "%d", ret);
		if (ret)
			CHECK(!write_store_changes(&c.image), "it was written");
		else
			check_restored(&c);
		refused += ret != 0;
		free_case(&c);
	}
	assert_true(refused);
}

/* Of the calls of both storages that are made by @act, number @call fails. Returns whether there were so many. */
static bool fail_call(struct undo_case *c, struct write_store *store, unsigned long call,
		      int (*act)(struct undo_case *c))
{
	store->fail_calls = STORE_ANY;
	store->fail_seen = 0;
	store->failed = 0;
	store->fail_from = store->fail_to = call;
	store->tears = true;
	store->error = -EIO;
	int ret = act(c);

	store->fail_from = store->fail_to = 0;
	CHECK(store->failed ? ret == -EIO : !ret, "%d with call %lu failing", ret, call);
	if (ret)
		CHECK(vhdx_last_error()->errnum == ret, "the error is not told");
	return store->failed;
}

static int write_anew(struct undo_case *c)
{
	sparse_resize(&c->undo.bytes, 0);
	return write_undo(c);
}

static void a_failing_storage_is_told_and_can_be_gone_on_with(void **state)
{
	static struct undo_case c;
	uint64_t last;

	(void)state;
	FOR_SEEDS(20, last, rng)
	{
		make_case(&rng, &c);
		for (unsigned long call = 1; fail_call(&c, &c.undo, call, write_anew); call++)
			CHECK(!write_store_changes(&c.image), "the image was written");
		for (unsigned long call = 1; fail_call(&c, &c.image, call, write_anew); call++)
			CHECK(!write_store_changes(&c.image), "the image was written");
		CHECK(!write_anew(&c), "cannot be written");
		for (int in_image = 0; in_image < 2; in_image++) {
			struct write_store *store = in_image ? &c.image : &c.undo;
			unsigned long call = 0;

			do {
				mix(&rng, &c, 60);
			} while (fail_call(&c, store, ++call, restore));
			check_restored(&c);
		}
		/* What a failure left half done is one more mixture. */
		for (unsigned long call = 1; fail_call(&c, &c.image, call, restore); call++) {
			CHECK(!restore(&c), "%s", vhdx_last_error()->text);
			check_restored(&c);
			mix(&rng, &c, 100);
		}
		free_case(&c);
	}
}

/* An undo file with right checksums and any numbers: refused, or put back as it says, but nothing worse. */
static void any_numbers_in_it_are_met_by_limits(void **state)
{
	static struct undo_case c;
	unsigned refused = 0;
	uint64_t last;

	(void)state;
	FOR_SEEDS(1000, last, rng)
	{
		static struct undo_range_disk table[4];
		struct undo_header header = {.state = UNDO_OPEN, .count = 1};

		make_case(&rng, &c);
		header.count = (uint32_t)rng_below(&rng, ARRAY_SIZE(table) + 1);
		header.old_size = c.old_size;
		header.new_size = rng_chance(&rng, 80) ? c.old_size : rng_next(&rng) >> 8;
		for (uint32_t i = 0; i < header.count; i++) {
			struct undo_range range = {
				.offset = rng_next(&rng) >> rng_below(&rng, 64),
				.length = rng_next(&rng) >> rng_below(&rng, 64),
				.bytes = rng_next(&rng) >> rng_below(&rng, 64),
				.kind = (enum undo_kind)rng_below(&rng, 4),
			};

			vhdx_undo_range_encode(&range, &table[i]);
		}
		header.table_crc = vhdx_crc32c(0, table, header.count * sizeof(table[0]));
		struct undo_header_disk disk;

		vhdx_undo_header_encode(&header, &disk);
		sparse_write(&c.undo.bytes, &disk, sizeof(disk), 0);
		sparse_write(&c.undo.bytes, table, sizeof(table), UNDO_TABLE_OFFSET);
		sparse_resize(&c.undo.bytes, rng_between(&rng, 4096, 300000));
		int ret = restore(&c);

		CHECK(!ret || ret == -EUCLEAN || ret == -ESTALE, "%d: %s", ret,
		      vhdx_last_error()->text);
		if (ret)
			CHECK(!write_store_changes(&c.image), "it was written");
		refused += ret != 0;
		free_case(&c);
	}
	assert_true(refused);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_mixture_of_old_and_new_is_brought_back),
		cmocka_unit_test(it_is_unfinished_until_told_and_when_put_back),
		cmocka_unit_test(an_image_that_was_changed_since_is_left_alone),
		cmocka_unit_test(a_damaged_undo_file_is_refused),
		cmocka_unit_test(a_failing_storage_is_told_and_can_be_gone_on_with),
		cmocka_unit_test(any_numbers_in_it_are_met_by_limits),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
