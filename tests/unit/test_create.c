/* SPDX-License-Identifier: MIT */
/* vhdx_create: what stands where in a new image, what is refused, what is left after a failure. */
#include <errno.h>
#include <inttypes.h>

#include <vhdx.h>

#include "base/zeros.h"
#include "format/metadata.h"
#include "ops/build.h"
#include "store/io.h"
#include "store/memory.h"
#include "support/bytes.h"
#include "support/newdisk.h"

static void test_a_dynamic_disk_has_the_layout_of_windows(void **state)
{
	struct vhdx_info info;

	(void)state;
	create("disk", VHDX_DYNAMIC, 10 * GIB, 0);
	struct vhdx *disk = open_disk("disk", &info);

	assert_int_equal(info.type, VHDX_DYNAMIC);
	assert_int_equal(info.virtual_size, 10 * GIB);
	assert_int_equal(info.block_size, 2 * MIB);
	assert_int_equal(info.logical_sector_size, 512);
	assert_int_equal(info.physical_sector_size, 4096);
	assert_int_equal(info.log_offset, MIB);
	assert_int_equal(info.log_length, MIB);
	assert_int_equal(info.metadata_offset, 2 * MIB);
	assert_int_equal(info.bat_offset, 3 * MIB);
	assert_int_equal(info.bat_length, MIB);
	assert_int_equal(info.file_size, 4 * MIB);
	assert_int_equal(info.log_state, VHDX_LOG_CLEAN);
	vhdx_close(disk);
}

static void test_items_stand_where_windows_has_them(void **state)
{
	static const uint32_t offsets[] = {0x10000, 0x10008, 0x10010, 0x10014, 0x10018};
	static const enum known_item order[] = {FILE_PARAMETERS, VIRTUAL_DISK_SIZE,
						LOGICAL_SECTOR_SIZE, PHYSICAL_SECTOR_SIZE,
						VIRTUAL_DISK_ID};
	struct metadata_item item;
	size_t size;

	(void)state;
	create("disk", VHDX_DYNAMIC, 10 * GIB, 0);
	uint8_t *bytes = scratch_read("disk", &size);

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		assert_int_equal(vhdx_metadata_item_decode(bytes + 2 * MIB, MIB, i, &item), 0);
		assert_int_equal(vhdx_known_item(&item.id), order[i]);
		assert_int_equal(item.offset, offsets[i]);
		assert_int_equal(item.flags, i ? 6 : 4);
	}
	free(bytes);
}

static void test_both_headers_carry_the_same_guids(void **state)
{
	size_t size;

	(void)state;
	create("disk", VHDX_DYNAMIC, MIB, 0);
	uint8_t *bytes = scratch_read("disk", &size);

	assert_memory_equal(bytes + 0x10000 + 16, bytes + 0x20000 + 16, 4080);
	assert_int_equal(get_number(bytes + 0x10000 + 8, 8) + 1,
			 get_number(bytes + 0x20000 + 8, 8));
	assert_memory_equal(bytes + 0x30000, bytes + 0x40000, 0x10000);
	free(bytes);
}

static void test_a_seed_decides_every_byte(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, 100 * MIB);

	(void)state;
	options.seed = "seed";
	options.seed_size = 4;
	assert_int_equal(vhdx_create("a", &options), 0);
	assert_int_equal(vhdx_create("b", &options), 0);
	scratch_assert_same("a", "b");
}

static void test_without_a_seed_disks_differ(void **state)
{
	struct vhdx_info a, b;

	(void)state;
	create("a", VHDX_DYNAMIC, MIB, 0);
	create("b", VHDX_DYNAMIC, MIB, 0);
	struct vhdx *disk_a = open_disk("a", &a);
	struct vhdx *disk_b = open_disk("b", &b);

	assert_memory_not_equal(a.disk_id.bytes, b.disk_id.bytes, 16);
	assert_memory_not_equal(a.data_write_guid.bytes, b.data_write_guid.bytes, 16);
	vhdx_close(disk_a);
	vhdx_close(disk_b);
}

static void test_the_largest_disk_takes_less_than_a_mib(void **state)
{
	struct vhdx_info info;

	(void)state;
	create("disk", VHDX_DYNAMIC, 64 * TIB, MIB);
	assert_true(scratch_space("disk") < MIB);
	struct vhdx *disk = open_disk("disk", &info);

	assert_int_equal(info.bat_length, 513 * MIB);
	vhdx_close(disk);
}

static void test_a_fixed_disk_has_every_block_and_its_space(void **state)
{
	struct vhdx_info info;
	size_t size;

	(void)state;
	create("disk", VHDX_FIXED, 17 * MIB + 512, 4 * MIB);
	assert_int_equal(scratch_size("disk"), 4 * MIB + 5 * 4 * MIB);
	assert_true(scratch_space("disk") >= scratch_size("disk"));
	struct vhdx *disk = open_disk("disk", &info);

	assert_int_equal(info.type, VHDX_FIXED);
	vhdx_close(disk);
	uint8_t *bytes = scratch_read("disk", &size);

	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(get_number(bytes + 3 * MIB + 8 * i, 8),
				 (4 + 4 * i) * MIB | BLOCK_FULLY_PRESENT);
	assert_int_equal(get_number(bytes + 3 * MIB + 8 * 5, 8), 0);
	free(bytes);
}

/* 16 blocks of 256 MiB a chunk: block 16 has entry 17 (F 6.1). */
static void test_the_bats_bitmap_entries_are_left_out(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, 8 * GIB);
	struct image_plan plan;
	struct builder builder;
	struct vhdx_io io;
	uint64_t offset;
	size_t size;

	(void)state;
	options.block_size = 256 * MIB;
	assert_int_equal(vhdx_memory_io(NULL, 0, &io), 0);
	assert_int_equal(vhdx_plan_image(&options, false, &plan), 0);
	assert_int_equal(vhdx_builder_begin(&io, "disk", &plan, &builder), 0);
	assert_int_equal(vhdx_builder_allocate(&builder, 16, &offset), 0);
	assert_int_equal(offset, 4 * MIB);
	assert_int_equal(vhdx_builder_finish(&builder, 8 * GIB), 0);
	vhdx_builder_free(&builder);
	const uint8_t *bytes = vhdx_memory_bytes(&io, &size);

	assert_int_equal(get_number(bytes + 3 * MIB + 8 * 16, 8), 0);
	assert_int_equal(get_number(bytes + 3 * MIB + 8 * 17, 8), 4 * MIB | BLOCK_FULLY_PRESENT);
	vhdx_io_close(&io);
}

static void test_no_holes_leaves_none(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, 10 * GIB);

	(void)state;
	options.flags |= VHDX_CREATE_NO_HOLES;
	assert_int_equal(vhdx_create("disk", &options), 0);
	assert_true(scratch_space("disk") >= scratch_size("disk"));
}

/* ---- Storage of the caller's own ---- */

static void test_old_contents_of_storage_are_gone(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, MIB);
	uint8_t *old = malloc(6 * MIB);
	struct vhdx_io io;
	size_t size;

	(void)state;
	memset(old, 0xaa, 6 * MIB);
	assert_int_equal(vhdx_memory_io(old, 6 * MIB, &io), 0);
	assert_int_equal(vhdx_create_io(&io, &options), 0);
	const uint8_t *bytes = vhdx_memory_bytes(&io, &size);

	assert_int_equal(size, 4 * MIB);
	assert_null(memchr(bytes + MIB, 0xaa, MIB));
	vhdx_io_close(&io);
	free(old);
}

static void check_no_byte_shows(enum vhdx_type type, uint64_t first_zero, uint64_t end)
{
	struct vhdx_create_options options = options_of(type, 5 * MIB);
	uint8_t *old = malloc(16 * MIB);
	struct vhdx_io io;
	size_t size;

	memset(old, 0xaa, 16 * MIB);
	assert_int_equal(vhdx_memory_io(old, 16 * MIB, &io), 0);
	io.set_size = NULL;
	io.zero = NULL;
	assert_int_equal(vhdx_create_io(&io, &options), 0);
	const uint8_t *bytes = vhdx_memory_bytes(&io, &size);

	assert_true(vhdx_is_zeros(bytes + 0x50000, MIB - 0x50000));
	assert_true(vhdx_is_zeros(bytes + first_zero, end - first_zero));
	assert_int_equal(bytes[end], 0xaa);
	vhdx_io_close(&io);
	free(old);
}

static void test_storage_of_a_fixed_size_is_overwritten_with_zeros(void **state)
{
	(void)state;
	check_no_byte_shows(VHDX_FIXED, 4 * MIB, 10 * MIB);
	check_no_byte_shows(VHDX_DYNAMIC, 3 * MIB, 4 * MIB); /* the BAT */
}

static void test_storage_that_is_too_small_is_refused(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_FIXED, 5 * MIB);
	struct vhdx_io io;

	(void)state;
	assert_int_equal(vhdx_memory_io(NULL, 8 * MIB, &io), 0);
	io.set_size = NULL;
	assert_int_equal(vhdx_create_io(&io, &options), -ENOSPC);
	assert_non_null(strstr(vhdx_last_error()->text, "10485760"));
	vhdx_io_close(&io);
}

/* A store that fails at one of its calls, counts them, and remembers the order of writes and flushes. */
struct faulty {
	struct vhdx_io io;
	unsigned calls;
	unsigned fail_at;
	unsigned flushes;
	unsigned flushes_before_identifier;
	bool identifier_was_last;
};

static ssize_t faulty_write(void *opaque, const struct iovec *iov, int count, uint64_t offset)
{
	struct faulty *faulty = opaque;

	if (++faulty->calls == faulty->fail_at)
		return -EIO;
	faulty->identifier_was_last = !offset;
	faulty->flushes_before_identifier = offset ? 0 : faulty->flushes;
	return faulty->io.pwritev(faulty->io.opaque, iov, count, offset);
}

static ssize_t faulty_read(void *opaque, const struct iovec *iov, int count, uint64_t offset)
{
	struct faulty *faulty = opaque;

	return faulty->io.preadv(faulty->io.opaque, iov, count, offset);
}

static int faulty_size(void *opaque, uint64_t *ret_size)
{
	struct faulty *faulty = opaque;

	return faulty->io.get_size(faulty->io.opaque, ret_size);
}

static int faulty_set_size(void *opaque, uint64_t size)
{
	struct faulty *faulty = opaque;

	return ++faulty->calls == faulty->fail_at ? -EIO
						  : faulty->io.set_size(faulty->io.opaque, size);
}

static int faulty_flush(void *opaque)
{
	struct faulty *faulty = opaque;

	faulty->flushes++;
	return ++faulty->calls == faulty->fail_at ? -EIO : 0;
}

static struct vhdx_io make_faulty(struct faulty *faulty)
{
	assert_int_equal(vhdx_memory_io(NULL, 0, &faulty->io), 0);
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = faulty,
		.preadv = faulty_read,
		.pwritev = faulty_write,
		.get_size = faulty_size,
		.set_size = faulty_set_size,
		.flush = faulty_flush,
	};
}

static void test_the_identifier_comes_last_between_two_flushes(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, MIB);
	struct faulty faulty = {.calls = 0};
	struct vhdx_io io = make_faulty(&faulty);

	(void)state;
	options.flags = 0;
	assert_int_equal(vhdx_create_io(&io, &options), 0);
	assert_true(faulty.identifier_was_last);
	assert_int_equal(faulty.flushes_before_identifier, 1);
	assert_int_equal(faulty.flushes, 2);
	vhdx_io_close(&faulty.io);
}

static void test_each_failure_is_reported_and_leaves_no_image(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, MIB);
	unsigned n = 1;
	int ret;

	(void)state;
	options.flags = 0;
	do {
		struct faulty faulty = {.fail_at = n};
		struct vhdx_io io = make_faulty(&faulty);
		size_t size;

		ret = vhdx_create_io(&io, &options);
		const char *bytes = vhdx_memory_bytes(&faulty.io, &size);
		bool is_last_flush = faulty.flushes == 2;

		assert_int_equal(ret, faulty.calls < n ? 0 : -EIO);
		if (ret && !is_last_flush)
			assert_true(size < 8 || memcmp(bytes, "vhdxfile", 8) != 0);
		vhdx_io_close(&faulty.io);
		n++;
	} while (ret);
	assert_true(n > 8);
}

/* ---- What is refused ---- */

static void test_what_is_out_of_range_is_refused(void **state)
{
	const struct vhdx_create_options good = options_of(VHDX_DYNAMIC, MIB);
	struct vhdx_create_options bad[13];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = good;
	bad[0].virtual_size = 0;
	bad[1].virtual_size = 1000;
	bad[2].virtual_size = 64 * TIB + 512;
	bad[3].block_size = 512 * KIB;
	bad[4].block_size = 3 * MIB;
	bad[5].block_size = 512 * MIB;
	bad[6].logical_sector_size = 1024;
	bad[7].physical_sector_size = 513;
	bad[8].logical_sector_size = 4096, bad[8].physical_sector_size = 512;
	bad[9].log_length = MIB + 4096;
	bad[10].type = (enum vhdx_type)3;
	bad[11].flags = 0x80;
	bad[12].size = 0;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(vhdx_create("disk", &bad[i]), -EINVAL);
	assert_int_equal(scratch_count(), 0);
}

static void test_a_creator_must_be_text_that_fits(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, MIB);
	struct vhdx_info info;
	char text[258];

	(void)state;
	options.creator = "\xff";
	assert_int_equal(vhdx_create("disk", &options), -EINVAL);
	memset(text, 'x', sizeof(text));
	text[257] = 0;
	options.creator = text;
	assert_int_equal(vhdx_create("disk", &options), -EINVAL);
	text[256] = 0;
	assert_int_equal(vhdx_create("disk", &options), 0);
	struct vhdx *disk = open_disk("disk", &info);

	assert_string_equal(info.creator, text);
	vhdx_close(disk);
}

static void test_an_older_callers_smaller_struct_is_taken(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, MIB);

	(void)state;
	options.size = offsetof(struct vhdx_create_options, parent);
	options.parent = "must not be looked at";
	assert_int_equal(vhdx_create("disk", &options), 0);
}

static void test_a_newer_callers_larger_struct_must_be_zero_behind(void **state)
{
	struct {
		struct vhdx_create_options known;
		uint64_t unknown;
	} options = {options_of(VHDX_DYNAMIC, MIB), 0};

	(void)state;
	options.known.size = sizeof(options);
	assert_int_equal(vhdx_create("disk", &options.known), 0);
	options.unknown = 1;
	assert_int_equal(vhdx_create("other", &options.known), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_dynamic_disk_has_the_layout_of_windows),
		SCRATCH_TEST(test_items_stand_where_windows_has_them),
		SCRATCH_TEST(test_both_headers_carry_the_same_guids),
		SCRATCH_TEST(test_a_seed_decides_every_byte),
		SCRATCH_TEST(test_without_a_seed_disks_differ),
		SCRATCH_TEST(test_the_largest_disk_takes_less_than_a_mib),
		SCRATCH_TEST(test_a_fixed_disk_has_every_block_and_its_space),
		SCRATCH_TEST(test_the_bats_bitmap_entries_are_left_out),
		SCRATCH_TEST(test_no_holes_leaves_none),
		SCRATCH_TEST(test_old_contents_of_storage_are_gone),
		SCRATCH_TEST(test_storage_of_a_fixed_size_is_overwritten_with_zeros),
		SCRATCH_TEST(test_storage_that_is_too_small_is_refused),
		SCRATCH_TEST(test_the_identifier_comes_last_between_two_flushes),
		SCRATCH_TEST(test_each_failure_is_reported_and_leaves_no_image),
		SCRATCH_TEST(test_what_is_out_of_range_is_refused),
		SCRATCH_TEST(test_a_creator_must_be_text_that_fits),
		SCRATCH_TEST(test_an_older_callers_smaller_struct_is_taken),
		SCRATCH_TEST(test_a_newer_callers_larger_struct_must_be_zero_behind),
	};

	return RUN_TESTS(tests);
}
