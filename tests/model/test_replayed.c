/* SPDX-License-Identifier: MIT */
/*
 * Random dirty images, opened for writing: their logs are replayed to the file. Any operation may fail, and
 * the power may fail between any two; a later open finds the same disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/zeros.h"
#include "meta/image.h"
#include "store/io.h"
#include "store/memory.h"
#include "support/alloc.h"
#include "support/fixture.h"
#include "support/recorder.h"

#define SEEDS	      200
#define HEADERS_START (64 * T_KIB)
#define HEADERS_END   (192 * T_KIB)

static struct chain chain;
static struct sparse file;	 /* of the leaf, as it is replayed */
static struct recorder recorder; /* over it */

static void start(void)
{
	const struct layer *leaf = &chain.layers[0];

	sparse_free(&file);
	file = (struct sparse){0};
	sparse_resize(&file, leaf->file.size);
	sparse_copy(&file, 0, &leaf->file, 0, leaf->file.size);
	recorder_clear(&recorder);
	recorder = (struct recorder){.bytes = &file};
}

/* Opens the leaf without its parents. */
static int open_leaf(uint32_t flags, struct vhdx **ret_disk)
{
	struct vhdx_io io = recorder_io(&recorder);
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = flags | VHDX_OPEN_NO_PARENT};

	return vhdx_open_io(&io, &options, ret_disk);
}

static int replay(void)
{
	struct vhdx *disk;
	int ret = open_leaf(VHDX_OPEN_WRITE, &disk);

	return ret ? ret : vhdx_close(disk);
}

/* Does @view show what the replay makes of the file, but for the headers and the log? */
static void check_view(const struct vhdx_io *view, uint64_t size)
{
	static uint8_t got[65536];
	static uint8_t expected[65536];
	const struct layer *leaf = &chain.layers[0];
	uint64_t log_end = leaf->log.offset + leaf->log.length;

	CHECK(size == leaf->final.size, "size %llu, expected %llu", (unsigned long long)size,
	      (unsigned long long)leaf->final.size);
	for (uint64_t at = 0; at < size; at += sizeof(got)) {
		bool headers = at >= HEADERS_START && at < HEADERS_END;

		if (headers || (at >= leaf->log.offset && at < log_end))
			continue;
		assert_int_equal(vhdx_io_read(view, got, sizeof(got), at), 0);
		sparse_read(&leaf->final, expected, sizeof(expected), at);
		CHECK(!memcmp(got, expected, sizeof(got)), "other bytes in the 64 KiB at %#llx",
		      (unsigned long long)at);
	}
}

static void load_image(struct vhdx_io *io, struct image *ret_image)
{
	*io = recorder_io(&recorder);
	assert_int_equal(vhdx_image_load(ret_image, "leaf", io, NULL, NULL), 0);
	CHECK(!ret_image->has_fault, "%s", vhdx_last_error()->text);
}

/* A reader sees the replayed disk at any time, and it stays the same disk for its children. */
static void check_read_only(void)
{
	struct vhdx_io io;
	struct image image;

	load_image(&io, &image);
	check_view(image.view, image_view_size(&image));
	assert_memory_equal(&image.headers[image.current].data_write_guid,
			    chain.layers[0].data_write_guid, 16);
	vhdx_image_free(&image);
}

/* The file itself is what it should be, and its current header says that it is closed. */
static void check_file(void)
{
	struct vhdx_io io;
	struct image image;

	load_image(&io, &image);
	CHECK(image.log_state == VHDX_LOG_CLEAN, "the log is still there");
	check_view(&io, file.size);
	vhdx_image_free(&image);
}

/* As check_read_only, should the current header go bad. */
static void check_other_header(void)
{
	static uint8_t kept[4096];
	struct vhdx_io io;
	struct image image;

	load_image(&io, &image);
	uint64_t at = header_offset(image.current);
	bool has_other = header_is_valid(&image.headers[!image.current]);

	vhdx_image_free(&image);
	if (!has_other)
		return;
	sparse_read(&file, kept, sizeof(kept), at);
	sparse_zero(&file, at, sizeof(kept));
	check_read_only();
	sparse_write(&file, kept, sizeof(kept), at);
}

/* The replay was not interrupted: both headers say the same. */
static void check_replayed(void)
{
	static const uint8_t none[16];
	struct vhdx_io io;
	struct image image;

	check_file();
	load_image(&io, &image);
	CHECK(image.headers[0].sequence_number - image.headers[1].sequence_number + 1 <= 2,
	      "the headers' numbers do not follow each other");
	for (unsigned slot = 0; slot < 2; slot++) {
		const struct header *header = &image.headers[slot];

		assert_true(header_is_valid(header));
		assert_memory_equal(&header->log_guid, none, 16);
		assert_memory_equal(&header->data_write_guid, chain.layers[0].data_write_guid, 16);
		assert_memory_equal(&header->file_write_guid, &image.headers[!slot].file_write_guid,
				    16);
	}
	vhdx_image_free(&image);
}

/* Runs @test on the tidy chains whose leaf is dirty. */
static void for_dirty_leaves(uint64_t count, void (*test)(struct rng *rng))
{
	const struct chain_style style = {.max_depth = 2, .tidy = true, .small_blocks = true};
	uint64_t first;
	uint64_t last;
	uint64_t met = 0;

	seeds_to_run(count, &first, &last);
	for (current_seed = first; current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);

		chain_make(&rng, &style, &chain);
		if (chain.layers[0].is_dirty) {
			test(&rng);
			met++;
		}
		chain_free(&chain);
	}
	CHECK(met || last - first < 20, "no chain was dirty");
	recorder_clear(&recorder);
	sparse_free(&file);
	file = (struct sparse){0};
}

static void judge_replay(struct rng *rng)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	(void)rng;
	start();
	assert_int_equal(open_leaf(VHDX_OPEN_WRITE, &disk), 0);
	assert_int_equal(vhdx_get_info(disk, &info), 0);
	assert_int_equal(info.replayed_entries, chain.layers[0].log_entries);
	assert_int_equal(info.log_state, VHDX_LOG_CLEAN);
	assert_int_equal(info.log_entries, 0);
	assert_int_equal(vhdx_close(disk), 0);
	check_replayed();
	CHECK(recorder_count(&recorder, OPERATION_FLUSH) == 5, "%zu flushes",
	      recorder_count(&recorder, OPERATION_FLUSH));
	recorder_clear(&recorder);
	assert_int_equal(replay(), 0);
	CHECK(!recorder.count, "something was written to a clean image");
}

static void test_a_writable_open_replays_to_the_file(void **state)
{
	(void)state;
	for_dirty_leaves(SEEDS, judge_replay);
}

/* The Nth operation fails; with @once, those after it work again. */
static void judge_failures(bool once)
{
	bool failed = true;

	for (size_t nth = 0; failed; nth++) {
		start();
		recorder.fail_at = nth;
		recorder.error = nth % 2 ? -ENOSPC : -EIO;
		recorder.fails_once = once;
		int ret = replay();

		failed = recorder.failed;
		/* Where a range cannot be zeroed at once, zeros are written. */
		bool may_work = !failed || once;

		CHECK(ret == recorder.error || (!ret && may_work), "operation %zu: returned %d",
		      nth, ret);
		recorder.error = 0;
		check_read_only();
		check_other_header();
		assert_int_equal(replay(), 0);
		check_file();
	}
}

static void judge_each_failure(struct rng *rng)
{
	judge_failures(rng_chance(rng, 50));
}

static void test_a_replay_that_fails_anywhere_is_done_again(void **state)
{
	(void)state;
	for_dirty_leaves(SEEDS / 4, judge_each_failure);
}

/* Judges an open that met a failure, or did not. */
static void judge_after_failure(int ret, bool failed, int error)
{
	CHECK(!ret || (failed && ret == error), "returned %d", ret);
	check_read_only();
	check_other_header();
	assert_int_equal(replay(), 0);
	check_file();
}

static void judge_reads(struct rng *rng)
{
	size_t reads = 1;

	(void)rng;
	for (size_t nth = 1; nth <= reads; nth++) {
		start();
		recorder.fail_read = nth;
		int ret = replay();

		reads = recorder.reads;
		recorder.fail_read = 0;
		judge_after_failure(ret, true, -EREMOTEIO);
	}
}

static void test_a_replay_survives_reads_that_fail(void **state)
{
	(void)state;
	for_dirty_leaves(SEEDS / 4, judge_reads);
}

/* Storage that takes no memory of its own, unlike the recorder, unless it grows. */
static struct vhdx_io to_memory(void)
{
	const struct sparse *from = &chain.layers[0].file;
	struct vhdx_io io;

	assert_int_equal(vhdx_memory_io(NULL, 0, &io), 0);
	assert_int_equal(vhdx_io_set_size(&io, from->size), 0);
	for (uint64_t at = 0, end; sparse_next(from, at, &at, &end); at += 4096) {
		uint8_t page[4096];

		sparse_read(from, page, sizeof(page), at);
		assert_int_equal(vhdx_io_write(&io, page, sizeof(page), at), 0);
	}
	return io;
}

/* Makes the file what the storage holds, and frees that. */
static void from_memory(struct vhdx_io *io)
{
	static uint8_t piece[T_MIB];
	uint64_t size;

	assert_int_equal(vhdx_io_get_size(io, &size), 0);
	start();
	sparse_resize(&file, 0);
	sparse_resize(&file, size);
	for (uint64_t at = 0; at < size; at += sizeof(piece)) {
		uint64_t part = size - at < sizeof(piece) ? size - at : sizeof(piece);

		assert_int_equal(vhdx_io_read(io, piece, part, at), 0);
		if (!vhdx_is_zeros(piece, part))
			sparse_write(&file, piece, part, at);
	}
	vhdx_io_close(io);
}

static void judge_memory(struct rng *rng)
{
	const struct vhdx_open_options options = {.size = sizeof(options),
						  .flags = VHDX_OPEN_WRITE | VHDX_OPEN_NO_PARENT};
	bool failed = true;

	(void)rng;
	for (unsigned long nth = 1; failed; nth++) {
		struct vhdx_io io = to_memory();
		struct vhdx_io lent = io;
		size_t pieces = alloc_pieces();
		struct vhdx *disk;

		lent.close = NULL;
		alloc_fail_nth(nth);
		int ret = vhdx_open_io(&lent, &options, &disk);

		if (!ret)
			ret = vhdx_close(disk);
		failed = alloc_has_failed();
		alloc_fail_nth(0);
		CHECK(alloc_pieces() == pieces, "allocation %lu: memory leaked", nth);
		from_memory(&io);
		judge_after_failure(ret, failed, -ENOMEM);
	}
}

static void test_a_replay_survives_allocations_that_fail(void **state)
{
	(void)state;
	for_dirty_leaves(SEEDS / 10, judge_memory);
}

/* F 2.3: has anything but a header changed, the file has another identity than the leaf had. */
static void check_identity(void)
{
	static uint8_t now[4096];
	static uint8_t before[4096];
	const struct layer *leaf = &chain.layers[0];
	bool changed = file.size != leaf->file.size;
	struct vhdx_io io;
	struct image image;

	for (uint64_t at = HEADERS_END; at < leaf->file.size && !changed; at += sizeof(now)) {
		sparse_read(&file, now, sizeof(now), at);
		sparse_read(&leaf->file, before, sizeof(before), at);
		changed = memcmp(now, before, sizeof(now)) != 0;
	}
	if (!changed)
		return;
	load_image(&io, &image);
	sparse_read(&leaf->file, before, sizeof(before), header_offset(leaf->current_header - 1));
	assert_memory_not_equal(&image.headers[image.current].file_write_guid, before + 16, 16);
	vhdx_image_free(&image);
}

/* Of a write, any of its sectors; anything else was done or not. */
static void repeat_in_part(struct rng *rng, const struct operation *operation)
{
	if (operation->kind != OPERATION_WRITE) {
		if (rng_chance(rng, 50))
			operation_repeat(operation, &file);
		return;
	}
	unsigned percent = (unsigned)rng_below(rng, 3) * 50;

	for (uint64_t at = 0; at < operation->length; at += 512)
		if (rng_chance(rng, percent))
			sparse_write(&file, operation->bytes + at, 512, operation->offset + at);
}

/* Does again what was durable after @done operations, and of what came later any part. */
static void cut_power(struct rng *rng, const struct recorder *whole, size_t done)
{
	size_t durable = 0;

	start();
	for (size_t i = 0; i < done; i++)
		if (whole->operations[i].kind == OPERATION_FLUSH)
			durable = i;
	for (size_t i = 0; i < durable; i++)
		operation_repeat(&whole->operations[i], &file);
	for (size_t i = durable; i < done; i++)
		repeat_in_part(rng, &whole->operations[i]);
}

static void judge_power_cuts(struct rng *rng)
{
	start();
	assert_int_equal(replay(), 0);
	struct recorder whole = recorder;

	recorder = (struct recorder){.bytes = &file};
	for (size_t done = 0; done <= whole.count; done++) {
		cut_power(rng, &whole, done);
		check_identity();
		check_read_only();
		check_other_header();
		assert_int_equal(replay(), 0);
		check_file();
	}
	recorder_clear(&whole);
}

static void test_a_replay_survives_power_cuts(void **state)
{
	(void)state;
	for_dirty_leaves(SEEDS, judge_power_cuts);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_writable_open_replays_to_the_file),
		cmocka_unit_test(test_a_replay_that_fails_anywhere_is_done_again),
		cmocka_unit_test(test_a_replay_survives_reads_that_fail),
		cmocka_unit_test(test_a_replay_survives_allocations_that_fail),
		cmocka_unit_test(test_a_replay_survives_power_cuts),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
