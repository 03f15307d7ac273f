/* SPDX-License-Identifier: MIT */
/* The file type identifier and the header (F 1.1, F 2). */
#include <errno.h>
#include <string.h>

#include "format/header.h"
#include "support/bytes.h"
#include "support/unit.h"

/* Of a Windows image (F 10.1). */
static const char golden[] =
	"68656164c809626d0800000000000000bc9187b9d8455b44ade65cbe550f2290b89dbc8ffd2cb84596881c6fedbc7230"
	"3c74fce6ed81e84fbf54698ed57ba0b800000100000010000000100000000000";

static void make_golden(uint8_t header[4096])
{
	memset(header, 0, 4096);
	put_hex(header, golden);
}

static void test_a_windows_header_decodes(void **state)
{
	uint8_t disk[4096];
	struct header header;
	uint8_t guid[16];

	(void)state;
	make_golden(disk);
	assert_int_equal(vhdx_header_decode(disk, sizeof(disk), &header), 0);
	assert_true(header_is_valid(&header));
	assert_int_equal(header.stored_checksum, 0x6d6209c8);
	assert_int_equal(header.sequence_number, 8);
	assert_int_equal(header.version, 1);
	assert_int_equal(header.log_version, 0);
	assert_int_equal(header.log_length, 0x100000);
	assert_int_equal(header.log_offset, 0x100000);
	put_guid(guid, "8fbc9db8-2cfd-45b8-9688-1c6fedbc7230");
	assert_memory_equal(&header.data_write_guid, guid, 16);
	put_guid(guid, "b98791bc-45d8-445b-ade6-5cbe550f2290");
	assert_memory_equal(&header.file_write_guid, guid, 16);
	put_guid(guid, "e6fc743c-81ed-4fe8-bf54-698ed57ba0b8");
	assert_memory_equal(&header.log_guid, guid, 16);
}

static void test_a_windows_header_encodes_to_the_same_bytes(void **state)
{
	uint8_t disk[4096];
	uint8_t again[4096];
	struct header header;

	(void)state;
	make_golden(disk);
	assert_int_equal(vhdx_header_decode(disk, sizeof(disk), &header), 0);
	memset(again, 0xff, sizeof(again));
	assert_int_equal(vhdx_header_encode(&header, again, sizeof(again)), 0);
	assert_memory_equal(again, disk, sizeof(disk));
}

static void test_each_byte_of_the_header_counts_for_its_checksum(void **state)
{
	uint8_t disk[4096];
	struct header header;

	(void)state;
	make_golden(disk);
	for (size_t at = 0; at < sizeof(disk); at++) {
		disk[at] ^= 0x10;
		assert_int_equal(vhdx_header_decode(disk, sizeof(disk), &header), 0);
		assert_false(header_is_valid(&header));
		disk[at] ^= 0x10;
	}
}

static void test_a_header_without_signature_is_not_valid(void **state)
{
	uint8_t disk[4096];
	struct header header;

	(void)state;
	make_golden(disk);
	memcpy(disk, "daeh", 4);
	put_number(disk + 4, slow_crc32c_structure(disk, 4096), 4);
	assert_int_equal(vhdx_header_decode(disk, sizeof(disk), &header), 0);
	assert_false(header.has_signature);
	assert_false(header_is_valid(&header));
}

static void test_short_buffers_are_refused(void **state)
{
	uint8_t disk[4096] = {0};
	struct header header = {0};
	struct identifier identifier;

	(void)state;
	assert_int_equal(vhdx_header_decode(disk, 4095, &header), -EINVAL);
	assert_int_equal(vhdx_header_encode(&header, disk, 4095), -EINVAL);
	assert_int_equal(vhdx_identifier_decode(disk, 519, &identifier), -EINVAL);
	assert_int_equal(vhdx_identifier_encode("", disk, 519), -EINVAL);
}

static void test_extreme_header_fields_survive(void **state)
{
	struct header header = {
		.sequence_number = UINT64_MAX,
		.log_version = 0xffff,
		.version = 0xfffe,
		.log_length = UINT32_MAX,
		.log_offset = UINT64_MAX - 1,
	};
	struct header again;
	uint8_t disk[4096];

	(void)state;
	assert_int_equal(vhdx_header_encode(&header, disk, sizeof(disk)), 0);
	assert_int_equal(get_number(disk + 4, 4), slow_crc32c_structure(disk, 4096));
	assert_int_equal(vhdx_header_decode(disk, sizeof(disk), &again), 0);
	assert_true(header_is_valid(&again));
	assert_true(again.sequence_number == UINT64_MAX);
	assert_int_equal(again.log_version, 0xffff);
	assert_int_equal(again.version, 0xfffe);
	assert_int_equal(again.log_length, UINT32_MAX);
	assert_true(again.log_offset == UINT64_MAX - 1);
}

static void test_the_identifier_there_and_back(void **state)
{
	uint8_t disk[520];
	uint8_t expected[520] = "vhdxfile";
	struct identifier identifier;

	(void)state;
	memset(disk, 0xff, sizeof(disk));
	put_utf16(expected + 8, "Microsoft Windows 10.0.15063.0");
	assert_int_equal(
		vhdx_identifier_encode("Microsoft Windows 10.0.15063.0", disk, sizeof(disk)), 0);
	assert_memory_equal(disk, expected, sizeof(disk));
	assert_int_equal(vhdx_identifier_decode(disk, sizeof(disk), &identifier), 0);
	assert_true(identifier.has_signature);
	assert_true(identifier.creator_is_text);
	assert_string_equal(identifier.creator, "Microsoft Windows 10.0.15063.0");
}

static void test_a_creator_may_fill_its_field(void **state)
{
	char creator[258];
	uint8_t disk[520];
	struct identifier identifier;

	(void)state;
	memset(creator, 'c', sizeof(creator));
	creator[256] = 0;
	assert_int_equal(vhdx_identifier_encode(creator, disk, sizeof(disk)), 0);
	assert_int_equal(vhdx_identifier_decode(disk, sizeof(disk), &identifier), 0);
	assert_string_equal(identifier.creator, creator);
	creator[256] = 'c';
	creator[257] = 0;
	assert_int_equal(vhdx_identifier_encode(creator, disk, sizeof(disk)), -ENAMETOOLONG);
	assert_int_equal(vhdx_identifier_encode("\xff", disk, sizeof(disk)), -EILSEQ);
}

static void test_a_creator_of_nonsense_is_told(void **state)
{
	uint8_t disk[520] = "vhdxfile";
	struct identifier identifier;

	(void)state;
	for (int i = 8; i < 520; i += 2) /* the longest text there is: lone surrogates */
		put_number(disk + i, 0xd800, 2);
	assert_int_equal(vhdx_identifier_decode(disk, sizeof(disk), &identifier), 0);
	assert_true(identifier.has_signature);
	assert_false(identifier.creator_is_text);
	assert_int_equal(strlen(identifier.creator), 256 * 3);
}

static void test_other_files_have_no_signature(void **state)
{
	uint8_t disk[520] = "vhdxfil";
	struct identifier identifier;

	(void)state;
	assert_int_equal(vhdx_identifier_decode(disk, sizeof(disk), &identifier), 0);
	assert_false(identifier.has_signature);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_windows_header_decodes),
		cmocka_unit_test(test_a_windows_header_encodes_to_the_same_bytes),
		cmocka_unit_test(test_each_byte_of_the_header_counts_for_its_checksum),
		cmocka_unit_test(test_a_header_without_signature_is_not_valid),
		cmocka_unit_test(test_short_buffers_are_refused),
		cmocka_unit_test(test_extreme_header_fields_survive),
		cmocka_unit_test(test_the_identifier_there_and_back),
		cmocka_unit_test(test_a_creator_may_fill_its_field),
		cmocka_unit_test(test_a_creator_of_nonsense_is_told),
		cmocka_unit_test(test_other_files_have_no_signature),
	};

	return RUN_TESTS(tests);
}
