/* SPDX-License-Identifier: MIT */
/* The region table (F 3). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/region.h"
#include "support/bytes.h"
#include "support/unit.h"

/* Of a Windows image (F 10.1). */
static const char golden[] =
	"72656769ae8c6bc602000000000000006677c22d23f600429d64115e9bfd4a0800003000000000000000100001000000"
	"06a27c8b90479a4bb8fe575f050f886e00002000000000000000100001000000";

static uint8_t disk[65536];

static int make_golden(void **state)
{
	(void)state;
	memset(disk, 0, sizeof(disk));
	put_hex(disk, golden);
	return 0;
}

static void test_a_windows_table_decodes(void **state)
{
	struct region_table table;
	struct region region;

	(void)state;
	assert_int_equal(vhdx_region_table_decode(disk, sizeof(disk), &table), 0);
	assert_true(region_table_is_valid(&table));
	assert_int_equal(table.checksum, 0xc66b8cae);
	assert_int_equal(table.entry_count, 2);
	assert_int_equal(table.reserved, 0);
	assert_int_equal(vhdx_region_decode(disk, sizeof(disk), 0, &region), 0);
	assert_memory_equal(&region.guid, &REGION_BAT, 16);
	assert_int_equal(region.file_offset, 0x300000);
	assert_int_equal(region.length, 0x100000);
	assert_int_equal(region.required, 1);
	assert_int_equal(vhdx_region_decode(disk, sizeof(disk), 1, &region), 0);
	assert_memory_equal(&region.guid, &REGION_METADATA, 16);
	assert_int_equal(region.file_offset, 0x200000);
}

static void test_a_windows_table_encodes_to_the_same_bytes(void **state)
{
	struct region regions[2];
	uint8_t *again = malloc(sizeof(disk));

	(void)state;
	memset(again, 0xff, sizeof(disk));
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(vhdx_region_decode(disk, sizeof(disk), i, &regions[i]), 0);
	assert_int_equal(vhdx_region_table_encode(regions, 2, again, sizeof(disk)), 0);
	assert_memory_equal(again, disk, sizeof(disk));
	free(again);
}

static void test_the_checksum_covers_64_kib(void **state)
{
	static const size_t places[] = {0, 4, 8, 12, 16, 79, 80, 4095, 4096, 65519, 65520, 65535};
	struct region_table table;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		disk[places[i]] ^= 2;
		assert_int_equal(vhdx_region_table_decode(disk, sizeof(disk), &table), 0);
		assert_false(region_table_is_valid(&table));
		disk[places[i]] ^= 2;
	}
}

static void test_a_table_without_signature_is_not_valid(void **state)
{
	struct region_table table;

	(void)state;
	memcpy(disk, "REGI", 4);
	put_number(disk + 4, slow_crc32c_structure(disk, sizeof(disk)), 4);
	assert_int_equal(vhdx_region_table_decode(disk, sizeof(disk), &table), 0);
	assert_false(region_table_is_valid(&table));
}

static void test_2047_entries_fit(void **state)
{
	struct region *regions = calloc(2048, sizeof(*regions));
	struct region last;
	struct region_table table;

	(void)state;
	regions[2046] = (struct region){REGION_BAT, UINT64_MAX, UINT32_MAX, 0xffffffff};
	assert_int_equal(vhdx_region_table_encode(regions, 2047, disk, sizeof(disk)), 0);
	assert_int_equal(vhdx_region_table_decode(disk, sizeof(disk), &table), 0);
	assert_true(region_table_is_valid(&table));
	assert_int_equal(table.entry_count, 2047);
	assert_int_equal(vhdx_region_decode(disk, sizeof(disk), 2046, &last), 0);
	assert_memory_equal(&last.guid, &REGION_BAT, 16);
	assert_true(last.file_offset == UINT64_MAX && last.length == UINT32_MAX &&
		    last.required == 0xffffffff);
	assert_int_equal(vhdx_region_table_encode(regions, 2048, disk, sizeof(disk)), -EINVAL);
	assert_int_equal(vhdx_region_decode(disk, sizeof(disk), 2047, &last), -EINVAL);
	assert_int_equal(vhdx_region_decode(disk, sizeof(disk), UINT32_MAX, &last), -EINVAL);
	free(regions);
}

static void test_an_entry_count_of_32_bits_is_shown_as_found(void **state)
{
	struct region_table table;

	(void)state;
	put_number(disk + 8, 0xffffffff, 4);
	put_number(disk + 12, 0x12345678, 4);
	assert_int_equal(vhdx_region_table_decode(disk, sizeof(disk), &table), 0);
	assert_int_equal(table.entry_count, 0xffffffff);
	assert_int_equal(table.reserved, 0x12345678);
}

static void test_short_buffers_are_refused(void **state)
{
	struct region_table table;
	struct region region = {0};

	(void)state;
	assert_int_equal(vhdx_region_table_decode(disk, sizeof(disk) - 1, &table), -EINVAL);
	assert_int_equal(vhdx_region_decode(disk, sizeof(disk) - 1, 0, &region), -EINVAL);
	assert_int_equal(vhdx_region_table_encode(&region, 1, disk, sizeof(disk) - 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_windows_table_decodes, make_golden),
		cmocka_unit_test_setup(test_a_windows_table_encodes_to_the_same_bytes, make_golden),
		cmocka_unit_test_setup(test_the_checksum_covers_64_kib, make_golden),
		cmocka_unit_test_setup(test_a_table_without_signature_is_not_valid, make_golden),
		cmocka_unit_test_setup(test_2047_entries_fit, make_golden),
		cmocka_unit_test_setup(test_an_entry_count_of_32_bits_is_shown_as_found,
				       make_golden),
		cmocka_unit_test_setup(test_short_buffers_are_refused, make_golden),
	};

	return RUN_TESTS(tests);
}
