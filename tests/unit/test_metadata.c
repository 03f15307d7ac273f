/* SPDX-License-Identifier: MIT */
/* The metadata table and its fixed-size items (F 5). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"
#include "support/bytes.h"
#include "support/unit.h"

static uint8_t disk[65536];

static int make_empty(void **state)
{
	(void)state;
	memset(disk, 0, sizeof(disk));
	memcpy(disk, "metadata", 8);
	return 0;
}

static void test_an_entry_decodes_field_by_field(void **state)
{
	struct metadata_table table;
	struct metadata_item item;

	(void)state;
	put_number(disk + 10, 3, 2);
	put_guid(disk + 32 + 64, "2FA54224-CD1B-4876-B211-5DBED83BF4B8");
	put_number(disk + 32 + 64 + 16, 0x10008, 4);
	put_number(disk + 32 + 64 + 20, 8, 4);
	put_number(disk + 32 + 64 + 24, 0x80000006, 4);
	put_number(disk + 32 + 64 + 28, 0x99, 4);
	assert_int_equal(vhdx_metadata_table_decode(disk, sizeof(disk), &table), 0);
	assert_true(table.has_signature);
	assert_false(table.has_reserved);
	assert_int_equal(table.entry_count, 3);
	assert_int_equal(vhdx_metadata_item_decode(disk, sizeof(disk), 2, &item), 0);
	assert_int_equal(vhdx_known_item(&item.id), VIRTUAL_DISK_SIZE);
	assert_int_equal(item.offset, 0x10008);
	assert_int_equal(item.length, 8);
	assert_int_equal(item.flags, 0x80000006);
	assert_int_equal(item.reserved, 0x99);
}

static void test_each_reserved_byte_is_seen(void **state)
{
	struct metadata_table table;

	(void)state;
	for (int at = 8; at < 32; at++) {
		if (at == 10 || at == 11)
			continue;
		disk[at] = 1;
		assert_int_equal(vhdx_metadata_table_decode(disk, sizeof(disk), &table), 0);
		assert_true(table.has_reserved);
		disk[at] = 0;
	}
}

static void test_a_table_without_signature_is_told(void **state)
{
	struct metadata_table table;

	(void)state;
	disk[7] = 'A';
	assert_int_equal(vhdx_metadata_table_decode(disk, sizeof(disk), &table), 0);
	assert_false(table.has_signature);
}

static void test_a_table_there_and_back(void **state)
{
	struct metadata_item *items = calloc(2048, sizeof(*items));
	struct metadata_table table;
	struct metadata_item item;

	(void)state;
	for (unsigned i = 0; i < 2047; i++)
		items[i] = (struct metadata_item){.offset = 65536 + i, .length = i, .flags = i & 7};
	items[2046].id = vhdx_item_rules[PARENT_LOCATOR].id;
	memset(disk, 0xff, sizeof(disk));
	assert_int_equal(vhdx_metadata_table_encode(items, 2047, disk, sizeof(disk)), 0);
	assert_int_equal(vhdx_metadata_table_decode(disk, sizeof(disk), &table), 0);
	assert_true(table.has_signature && !table.has_reserved);
	assert_int_equal(table.entry_count, 2047);
	for (unsigned i = 0; i < 2047; i++) {
		assert_int_equal(vhdx_metadata_item_decode(disk, sizeof(disk), i, &item), 0);
		assert_memory_equal(&item, &items[i], sizeof(item));
	}
	assert_int_equal(vhdx_metadata_table_encode(items, 2048, disk, sizeof(disk)), -EINVAL);
	assert_int_equal(vhdx_metadata_item_decode(disk, sizeof(disk), 2047, &item), -EINVAL);
	free(items);
}

static void test_short_buffers_are_refused(void **state)
{
	struct metadata_table table;
	struct metadata_item item = {.offset = 1};
	struct file_parameters parameters;

	(void)state;
	assert_int_equal(vhdx_metadata_table_decode(disk, sizeof(disk) - 1, &table), -EINVAL);
	assert_int_equal(vhdx_metadata_item_decode(disk, sizeof(disk) - 1, 0, &item), -EINVAL);
	assert_int_equal(vhdx_metadata_table_encode(&item, 1, disk, sizeof(disk) - 1), -EINVAL);
	assert_int_equal(vhdx_file_parameters_decode(disk, 7, &parameters), -EINVAL);
}

static void test_file_parameters_begin_with_the_block_size(void **state)
{
	struct file_parameters parameters;
	struct file_parameters_disk again;
	uint8_t bytes[8];

	(void)state;
	put_hex(bytes, "00000002 03000080");
	assert_int_equal(vhdx_file_parameters_decode(bytes, 8, &parameters), 0);
	assert_int_equal(parameters.block_size, 32 << 20);
	assert_int_equal(parameters.flags, 0x80000003);
	vhdx_file_parameters_encode(&parameters, &again);
	assert_memory_equal(&again, bytes, 8);
}

/* GUIDs, lengths and flags of F 5. */
static void test_the_known_items_are_those_of_the_format(void **state)
{
	static const struct {
		enum known_item item;
		const char *guid;
		uint32_t length;
		uint32_t flags;
	} rows[] = {
		{FILE_PARAMETERS, "CAA16737-FA36-4D43-B3B6-33F0AA44E76B", 8, 4},
		{VIRTUAL_DISK_SIZE, "2FA54224-CD1B-4876-B211-5DBED83BF4B8", 8, 6},
		{VIRTUAL_DISK_ID, "BECA12AB-B2E6-4523-93EF-C309E000C746", 16, 6},
		{LOGICAL_SECTOR_SIZE, "8141BF1D-A96F-4709-BA47-F233A8FAAB5F", 4, 6},
		{PHYSICAL_SECTOR_SIZE, "CDA348C7-445D-4471-9CC9-E9885251C556", 4, 6},
		{PARENT_LOCATOR, "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C", 0, 4},
	};

	(void)state;
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), KNOWN_ITEMS);
	for (int i = 0; i < KNOWN_ITEMS; i++) {
		const struct item_rule *rule = &vhdx_item_rules[rows[i].item];
		uint8_t guid[16];

		put_guid(guid, rows[i].guid);
		assert_memory_equal(&rule->id, guid, 16);
		assert_int_equal(rule->length, rows[i].length);
		assert_int_equal(rule->flags, rows[i].flags);
		assert_int_equal(vhdx_known_item(&rule->id), rows[i].item);
	}
	assert_int_equal(vhdx_known_item(&ITEM_INCOMPLETE_MARKER), KNOWN_ITEMS);
	assert_int_equal(vhdx_known_item(&(struct vhdx_guid){{0}}), KNOWN_ITEMS);
}

static void test_the_other_guids_are_those_of_the_format(void **state)
{
	uint8_t guid[16];

	(void)state;
	put_guid(guid, "2DC27766-F623-4200-9D64-115E9BFD4A08");
	assert_memory_equal(&REGION_BAT, guid, 16);
	put_guid(guid, "8B7CA206-4790-4B9A-B8FE-575F050F886E");
	assert_memory_equal(&REGION_METADATA, guid, 16);
	put_guid(guid, "B04AEFB7-D19E-4A81-B789-25B8E9445913");
	assert_memory_equal(&LOCATOR_TYPE_VHDX, guid, 16);
	put_guid(guid, "71CC85F0-1B69-4E28-9558-C3BF83AE75D3");
	assert_memory_equal(&ITEM_INCOMPLETE_MARKER, guid, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_an_entry_decodes_field_by_field, make_empty),
		cmocka_unit_test_setup(test_each_reserved_byte_is_seen, make_empty),
		cmocka_unit_test_setup(test_a_table_without_signature_is_told, make_empty),
		cmocka_unit_test_setup(test_a_table_there_and_back, make_empty),
		cmocka_unit_test_setup(test_short_buffers_are_refused, make_empty),
		cmocka_unit_test(test_file_parameters_begin_with_the_block_size),
		cmocka_unit_test(test_the_known_items_are_those_of_the_format),
		cmocka_unit_test(test_the_other_guids_are_those_of_the_format),
	};

	return RUN_TESTS(tests);
}
