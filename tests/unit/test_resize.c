/* SPDX-License-Identifier: MIT */
/* vhdx_resize: what it refuses, what it leaves alone, what it makes of images that are not as we make them. */
#include <errno.h>
#include <string.h>

#include "format/ondisk.h"
#include "support/random.h"
#include "support/resizecase.h"
#include "support/scratch.h"

static const struct resize_setup dynamic = {.virtual_size = 8 * R_MIB, .block_size = 1 << 20};

static struct rng rng;

static void make(struct resize_case *c, const struct resize_setup *setup)
{
	rng = rng_make(3);
	resize_case_make(&rng, setup, c);
	resize_case_open(c);
}

static void drop(struct resize_case *c)
{
	assert_int_equal(vhdx_close(c->disk), 0);
	resize_case_free(c);
}

static int resize(struct resize_case *c, uint64_t size, uint32_t flags)
{
	struct vhdx_resize_options options = {.size = sizeof(options), .flags = flags};

	return vhdx_resize(c->disk, size, &options);
}

static void assert_refused(struct resize_case *c, uint64_t size, uint32_t flags, int error,
			   const char *text)
{
	unsigned long changes = write_store_count(&c->store, STORE_CHANGES);

	assert_int_equal(resize(c, size, flags), error);
	if (!strstr(vhdx_last_error()->text, text))
		fail_msg("'%s' does not say '%s'", vhdx_last_error()->text, text);
	assert_int_equal(write_store_count(&c->store, STORE_CHANGES), changes);
}

static void test_sizes_that_cannot_be_are_refused(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &dynamic);
	assert_refused(&c, 0, VHDX_RESIZE_SHRINK, -EINVAL, "expected 1 sector to 64 TiB");
	assert_refused(&c, 9 * R_MIB + 1, 0, -EINVAL, "a multiple of the logical sector's 512");
	assert_refused(&c, 64 * R_TIB + 512, 0, -EINVAL, "64 TiB");
	assert_refused(&c, UINT64_MAX, 0, -EINVAL, "64 TiB");
	assert_refused(&c, 7 * R_MIB, 0, -EINVAL, "less than the disk has");
	assert_refused(&c, 9 * R_MIB, 4, -EINVAL, "unknown flags 0x4");
	drop(&c);
}

static void test_a_multiple_of_512_is_not_one_of_4096(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &(struct resize_setup){
			 .virtual_size = 8 * R_MIB, .block_size = 1 << 20, .sector_size = 4096});
	assert_refused(&c, 8 * R_MIB + 512, 0, -EINVAL, "4096");
	assert_int_equal(resize(&c, 8 * R_MIB + 4096, 0), 0);
	drop(&c);
}

static void test_the_size_that_it_has_changes_nothing(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &dynamic);
	unsigned long changes = write_store_count(&c.store, STORE_CHANGES);

	assert_int_equal(vhdx_resize(c.disk, 8 * R_MIB, NULL), 0);
	assert_int_equal(resize(&c, 8 * R_MIB, VHDX_RESIZE_SHRINK), 0);
	drop(&c);
	assert_int_equal(write_store_count(&c.store, STORE_CHANGES), changes);
}

static void test_only_a_disk_that_is_open_for_writing_is_resized(void **state)
{
	struct vhdx_open_options options = {.size = sizeof(options)};
	struct resize_case c;
	struct vhdx *disk;

	(void)state;
	make(&c, &dynamic);
	struct vhdx_io io = write_store_io(&c.store, 0);

	assert_int_equal(vhdx_close(c.disk), 0);
	assert_int_equal(vhdx_open_io(&io, &options, &disk), 0);
	assert_int_equal(vhdx_resize(disk, 9 * R_MIB, NULL), -EROFS);
	assert_int_equal(vhdx_resize(NULL, 9 * R_MIB, NULL), -EINVAL);
	assert_int_equal(vhdx_close(disk), 0);
	resize_case_free(&c);
}

static void test_a_child_is_not_resized_without_its_parent(void **state)
{
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = VHDX_OPEN_WRITE | VHDX_OPEN_NO_PARENT};
	struct resize_case c;

	(void)state;
	make(&c, &(struct resize_setup){.type = VHDX_DIFFERENCING,
					.virtual_size = 8 * R_MIB,
					.block_size = 1 << 20});
	assert_int_equal(vhdx_close(c.disk), 0);
	struct vhdx_io io = write_store_io(&c.store, 0);

	assert_int_equal(vhdx_open_io(&io, &options, &c.disk), 0);
	assert_refused(&c, 9 * R_MIB, 0, -EROFS, "without its parent");
	drop(&c);
}

static void test_data_in_the_way_are_named(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &dynamic);
	resize_case_write(&c, &rng, 6 * R_MIB + 123456, 1);
	resize_case_close(&c, false);
	resize_case_open(&c);
	assert_refused(&c, 6 * R_MIB, VHDX_RESIZE_SHRINK, -ENOTEMPTY, "data at 6414912");
	assert_refused(&c, 6 * R_MIB, VHDX_RESIZE_SHRINK | VHDX_RESIZE_FORCE, -ENOTEMPTY,
		       "data at 6414912");
	assert_refused(&c, 512, VHDX_RESIZE_SHRINK, -ENOTEMPTY, "data at 6414912");
	assert_int_equal(resize(&c, 6 * R_MIB + 123904, VHDX_RESIZE_SHRINK), 0);
	drop(&c);
}

/* A header at the last sector, whose table is 32 sectors before it. */
static void put_backup(struct resize_case *c, uint64_t own, uint64_t table)
{
	uint64_t last = c->flat.size / 512 - 1;
	struct {
		char signature[8];
		uint8_t fields[16];
		struct le64 own;
		uint8_t fields_2[40];
		struct le64 table;
	} header = {"EFI PART", {0}, le64_from(own), {0}, le64_from(table)};

	assert_int_equal(vhdx_pwrite(c->disk, &header, sizeof(header), last * 512, 0), 0);
	assert_int_equal(vhdx_pwrite(c->disk, "entries", 7, (last - 32) * 512, 0), 0);
}

static void test_a_backup_partition_table_is_cut_off_by_force_alone(void **state)
{
	struct resize_case c;
	uint64_t last = 8 * R_MIB / 512 - 1;

	(void)state;
	make(&c, &dynamic);
	put_backup(&c, last, last - 32);
	resize_case_close(&c, false);
	resize_case_open(&c);
	assert_refused(&c, 6 * R_MIB, VHDX_RESIZE_SHRINK, -ENOTEMPTY,
		       "ends with the backup of its partition table");
	assert_int_equal(resize(&c, 6 * R_MIB, VHDX_RESIZE_SHRINK | VHDX_RESIZE_FORCE), 0);
	/* And what it was is not there when the disk grows again. */
	assert_int_equal(resize(&c, 8 * R_MIB, 0), 0);
	c.info.virtual_size = 8 * R_MIB;
	resize_case_compare(&c);
	drop(&c);
}

static void test_what_only_looks_like_a_backup_is_data(void **state)
{
	uint64_t last = 8 * R_MIB / 512 - 1;
	const uint64_t lies[][2] = {{last - 1, last - 32},
				    {1, last - 32},
				    {last, last},
				    {last, last - 4096},
				    {last, 2}};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct resize_case c;

		make(&c, &dynamic);
		put_backup(&c, lies[i][0], lies[i][1]);
		resize_case_close(&c, false);
		resize_case_open(&c);
		assert_refused(&c, 4 * R_MIB, VHDX_RESIZE_SHRINK | VHDX_RESIZE_FORCE, -ENOTEMPTY,
			       "data at");
		drop(&c);
	}
}

static uint64_t entry_at(struct resize_case *c, uint64_t index)
{
	struct le64 entry;

	sparse_read(&c->store.bytes, &entry, sizeof(entry), c->info.bat_offset + index * 8);
	return le64_get(entry);
}

static void put_entry(struct resize_case *c, uint64_t index, uint64_t entry)
{
	struct le64 bytes = le64_from(entry);

	sparse_write(&c->store.bytes, &bytes, sizeof(bytes), c->info.bat_offset + index * 8);
}

static void test_padding_that_was_left_is_not_taken_for_blocks(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &dynamic);
	resize_case_write(&c, &rng, 0, 4096);
	resize_case_close(&c, false);
	uint64_t first = entry_at(&c, 0);

	put_entry(&c, 9, first);
	put_entry(&c, 11, bat_entry_make(BLOCK_PARTIALLY_PRESENT, 99 * R_MIB));
	resize_case_open(&c);
	assert_true(resize_case_resize(&c, 10 * R_MIB, 0));
	resize_case_compare(&c);
	assert_true(resize_case_resize(&c, 20 * R_MIB, 0));
	resize_case_compare(&c);
	resize_case_close(&c, true);
	assert_int_equal(entry_at(&c, 9), 0);
	assert_int_equal(entry_at(&c, 11), 0);
	resize_case_free(&c);
}

static void test_space_that_an_unmapped_block_kept_is_given_back(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &dynamic);
	resize_case_write(&c, &rng, 7 * R_MIB, 4096);
	resize_case_close(&c, false);
	uint64_t size = c.store.bytes.size;

	put_entry(&c, 7, bat_entry_make(BLOCK_UNMAPPED, bat_entry_offset(entry_at(&c, 7))));
	sparse_zero(&c.flat.bytes, 7 * R_MIB, R_MIB);
	resize_case_open(&c);
	assert_true(resize_case_resize(&c, 7 * R_MIB, VHDX_RESIZE_SHRINK));
	resize_case_close(&c, true);
	assert_int_equal(c.store.bytes.size, size - R_MIB);
	resize_case_free(&c);
}

/* Both tables at the end are copies again. */
static void test_a_damaged_region_table_is_mended_when_the_table_moves(void **state)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		uint8_t tables[2][REGION_TABLE_SIZE];
		struct resize_case c;

		(void)state;
		make(&c,
		     &(struct resize_setup){.virtual_size = 100 * R_GIB, .block_size = 1 << 20});
		resize_case_write(&c, &rng, 99 * R_GIB, 4096);
		resize_case_close(&c, false);
		sparse_write(&c.store.bytes, "damage", 6, region_table_offset(copy) + 40000);
		resize_case_open(&c);
		assert_true(resize_case_resize(&c, 300 * R_GIB, 0));
		resize_case_compare(&c);
		resize_case_close(&c, true);
		for (unsigned i = 0; i < 2; i++)
			sparse_read(&c.store.bytes, tables[i], REGION_TABLE_SIZE,
				    region_table_offset(i));
		assert_memory_equal(tables[0], tables[1], REGION_TABLE_SIZE);
		resize_case_free(&c);
	}
}

/* Nothing is leaked, and nothing of the old table can be taken for anything. */
static void test_where_a_smaller_table_lay_there_is_a_hole(void **state)
{
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct resize_case c;
	uint8_t byte = 1;

	(void)state;
	make(&c, &(struct resize_setup){.virtual_size = 100 * R_GIB, .block_size = 1 << 20});
	resize_case_write(&c, &rng, 0, 4096);
	uint64_t old = c.info.bat_offset;

	assert_true(resize_case_resize(&c, 300 * R_GIB, 0));
	assert_int_not_equal(c.info.bat_offset, old);
	assert_int_equal(vhdx_check(c.disk, NULL, &result), 0);
	assert_int_equal(result.leaked_bytes, 0);
	sparse_read(&c.store.bytes, &byte, 1, old);
	assert_int_equal(byte, 0);
	drop(&c);
}

static void test_a_fixed_disk_has_all_its_blocks_and_their_space(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &(struct resize_setup){
			 .type = VHDX_FIXED, .virtual_size = 2 * R_MIB, .block_size = 1 << 20});
	unsigned long reserved = write_store_count(&c.store, STORE_BIT(STORE_RESERVE));
	unsigned long punched = write_store_count(&c.store, STORE_BIT(STORE_PUNCH));

	assert_true(resize_case_resize(&c, 9 * R_MIB - 512, 0));
	assert_true(write_store_count(&c.store, STORE_BIT(STORE_RESERVE)) > reserved);
	assert_true(resize_case_resize(&c, 4 * R_MIB, VHDX_RESIZE_SHRINK));
	assert_true(resize_case_resize(&c, 9 * R_MIB, 0));
	assert_int_equal(write_store_count(&c.store, STORE_BIT(STORE_PUNCH)), punched);
	resize_case_compare(&c);
	resize_case_close(&c, true);
	assert_int_equal(c.store.bytes.size, 4 * R_MIB + 9 * R_MIB);
	resize_case_free(&c);
}

/* Of the newest entry in the log, whichever session wrote it. */
static uint64_t last_file_offset(struct resize_case *c)
{
	uint64_t newest = 0;
	uint64_t last = 0;

	for (uint64_t at = 0; at < c->info.log_length; at += 4096) {
		struct log_entry_disk entry;

		sparse_read(&c->store.bytes, &entry, sizeof(entry), c->info.log_offset + at);
		if (memcmp(entry.signature, "loge", 4) != 0 ||
		    le64_get(entry.sequence_number) <= newest)
			continue;
		newest = le64_get(entry.sequence_number);
		last = le64_get(entry.last_file_offset);
	}
	return last;
}

/* The blocks come behind the new table. */
static void test_the_log_knows_how_long_the_file_of_a_larger_fixed_disk_is(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &(struct resize_setup){
			 .type = VHDX_FIXED, .virtual_size = 127 * R_GIB, .block_size = 1 << 20});
	assert_int_equal(resize(&c, 129 * R_GIB, 0), 0);
	c.info.size = sizeof(c.info);
	assert_int_equal(vhdx_get_info(c.disk, &c.info), 0);
	assert_true(c.info.bat_length > R_MIB);
	assert_int_equal(last_file_offset(&c), c.info.file_size);
	drop(&c);
}

static void test_a_file_without_holes_is_never_punched(void **state)
{
	struct resize_case c;

	(void)state;
	make(&c, &(struct resize_setup){.virtual_size = 100 * R_GIB,
					.block_size = 1 << 20,
					.flags = VHDX_OPEN_NO_HOLES});
	resize_case_write(&c, &rng, 99 * R_GIB + 5000, 4096);
	assert_true(resize_case_resize(&c, 200 * R_GIB, 0));
	resize_case_zero(&c, 99 * R_GIB, R_GIB, 0);
	assert_true(resize_case_resize(&c, 99 * R_GIB + 4096, VHDX_RESIZE_SHRINK));
	assert_true(resize_case_resize(&c, 150 * R_GIB, 0));
	resize_case_compare(&c);
	resize_case_close(&c, true);
	assert_int_equal(write_store_count(&c.store, STORE_BIT(STORE_PUNCH)), 0);
	resize_case_free(&c);
}

static int stop_at_once(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	(void)done;
	(void)total;
	return 1;
}

static void test_a_grow_that_is_stopped_keeps_the_children_valid(void **state)
{
	struct vhdx_resize_options options = {.size = sizeof(options), .progress = stop_at_once};
	struct vhdx_info info = {.size = sizeof(info)};
	struct resize_case c;

	(void)state;
	make(&c, &dynamic);
	assert_int_equal(vhdx_resize(c.disk, 9 * R_MIB, &options), -ECANCELED);
	assert_int_equal(vhdx_get_info(c.disk, &info), 0);
	assert_memory_equal(&info.data_write_guid, &c.info.data_write_guid,
			    sizeof(info.data_write_guid));
	drop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_sizes_that_cannot_be_are_refused),
		SCRATCH_TEST(test_a_multiple_of_512_is_not_one_of_4096),
		SCRATCH_TEST(test_the_size_that_it_has_changes_nothing),
		SCRATCH_TEST(test_only_a_disk_that_is_open_for_writing_is_resized),
		SCRATCH_TEST(test_a_child_is_not_resized_without_its_parent),
		SCRATCH_TEST(test_data_in_the_way_are_named),
		SCRATCH_TEST(test_a_backup_partition_table_is_cut_off_by_force_alone),
		SCRATCH_TEST(test_what_only_looks_like_a_backup_is_data),
		SCRATCH_TEST(test_padding_that_was_left_is_not_taken_for_blocks),
		SCRATCH_TEST(test_space_that_an_unmapped_block_kept_is_given_back),
		SCRATCH_TEST(test_a_damaged_region_table_is_mended_when_the_table_moves),
		SCRATCH_TEST(test_where_a_smaller_table_lay_there_is_a_hole),
		SCRATCH_TEST(test_a_fixed_disk_has_all_its_blocks_and_their_space),
		SCRATCH_TEST(test_the_log_knows_how_long_the_file_of_a_larger_fixed_disk_is),
		SCRATCH_TEST(test_a_file_without_holes_is_never_punched),
		SCRATCH_TEST(test_a_grow_that_is_stopped_keeps_the_children_valid),
	};

	return RUN_TESTS(tests);
}
