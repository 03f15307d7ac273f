/* SPDX-License-Identifier: MIT */
/* Log entries (F 4.1, F 4.2): the bytes of a Windows log, and encoding against entries made by the tests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/logentry.h"
#include "support/log.h"
#include "support/unit.h"

/* The log of F 4.7. */
static struct log_place place = {.offset = 0x100000, .length = 0x100000};

static const char golden_header[] =
	"6c6f67659fb167a9002000000050000057e53f0664a21c0101000000000000003c74fce6ed81e84fbf54698ed57ba0b8"
	"00004002000000000000400200000000";
static const char golden_descriptor[] =
	"64657363000000000600400000000000000030000000000057e53f0664a21c01";

static uint8_t golden[8192];

static int make_golden(void **state)
{
	(void)state;
	memset(golden, 0, sizeof(golden));
	put_hex(golden, golden_header);
	put_hex(golden + 64, golden_descriptor);
	put_hex(golden + 4096, "6461746164a21c01");
	golden[4096 + 0x18] = golden[4096 + 0x48] = golden[4096 + 0xf8] = 2;
	put_hex(golden + 4096 + 0xffc, "57e53f06");
	put_guid(place.guid.bytes, "e6fc743c-81ed-4fe8-bf54-698ed57ba0b8");
	return 0;
}

static int decode(struct log_entry *entry)
{
	return vhdx_log_entry_decode(golden, 4096, &place, entry);
}

static void test_a_windows_entry_decodes(void **state)
{
	struct log_entry entry;

	(void)state;
	assert_int_equal(decode(&entry), 0);
	assert_int_equal(entry.checksum, 0xa967b19f);
	assert_int_equal(entry.checksum, slow_crc32c_structure(golden, sizeof(golden)));
	assert_int_equal(entry.entry_length, 0x2000);
	assert_int_equal(entry.tail, 0x5000);
	assert_int_equal(entry.sequence_number, 80117443871106391);
	assert_int_equal(entry.descriptor_count, 1);
	assert_int_equal(entry.flushed_file_offset, 36 * MIB);
	assert_int_equal(entry.last_file_offset, 36 * MIB);
}

static void test_a_windows_entry_without_descriptors_decodes(void **state)
{
	struct log_entry entry;
	uint8_t bytes[4096] = {0};

	(void)state;
	put_hex(bytes,
		"6c6f676591898df0001000000000000053e53f0664a21c0100000000000000003c74fce6ed81e84fbf54698ed57ba0b8"
		"00004000000000000000400000000000");
	assert_int_equal(vhdx_log_entry_decode(bytes, 4096, &place, &entry), 0);
	assert_int_equal(entry.checksum, 0xf08d8991);
	assert_int_equal(entry.checksum, slow_crc32c_structure(bytes, 4096));
	assert_int_equal(entry.sequence_number, 80117443871106387);
	assert_int_equal(entry.descriptor_count, 0);
	assert_int_equal(entry.tail, 0);
}

static void test_a_windows_page_is_rebuilt(void **state)
{
	struct log_entry entry;
	struct log_descriptor descriptor;
	uint8_t page[4096];

	(void)state;
	assert_int_equal(decode(&entry), 0);
	assert_int_equal(vhdx_log_descriptor_decode(golden + 64, 32, &place, &entry, &descriptor),
			 0);
	assert_false(descriptor.is_zero);
	assert_int_equal(descriptor.file_offset, 0x300000);
	assert_int_equal(descriptor.length, 4096);
	assert_true(vhdx_log_sector_belongs(golden + 4096, 4096, entry.sequence_number));
	vhdx_log_page_rebuild(&descriptor, (const struct log_sector_disk *)(golden + 4096), page);
	for (int i = 0; i < 512; i++)
		assert_int_equal(get_number(page + 8 * i, 8), i == 0 ? 0x400006
							      : i == 3 || i == 9 || i == 31 ? 2
											    : 0);
}

static void test_a_windows_entry_encodes_to_the_same_bytes(void **state)
{
	struct log_entry entry;
	uint8_t page[4096] = {0};
	uint8_t again[8192];
	size_t size;

	(void)state;
	put_number(page, 0x400006, 8);
	page[3 * 8] = page[9 * 8] = page[31 * 8] = 2;
	assert_int_equal(decode(&entry), 0);
	struct log_change change = {.file_offset = 0x300000, .page = page};

	entry.checksum = entry.entry_length = entry.descriptor_count = 99;
	memset(again, 0xff, sizeof(again));
	assert_int_equal(vhdx_log_entry_encode(&entry, &change, 1, again, sizeof(again), &size), 0);
	assert_int_equal(size, 8192);
	assert_memory_equal(again, golden, 8192);
	assert_int_equal(vhdx_log_entry_encode(&entry, &change, 1, again, 8191, &size), -ENOSPC);
}

/* Every place of the first and the last bytes of a page is its own. */
static void test_first_and_last_bytes_of_a_page_keep_their_order(void **state)
{
	struct log_entry entry = {.sequence_number = 0x1122334455667788, .log_guid = place.guid};
	struct log_descriptor descriptor;
	uint8_t page[4096];
	uint8_t again[4096];
	uint8_t bytes[8192];
	size_t size;

	(void)state;
	for (int i = 0; i < 4096; i++)
		page[i] = (uint8_t)(i * 7 + i / 256);
	struct log_change change = {.file_offset = 3 * MIB, .page = page};

	assert_int_equal(vhdx_log_entry_encode(&entry, &change, 1, bytes, sizeof(bytes), &size), 0);
	assert_memory_equal(bytes + 64 + 4, page + 4092, 4);
	assert_memory_equal(bytes + 64 + 8, page, 8);
	assert_memory_equal(bytes + 4096 + 8, page + 8, 4084);
	assert_int_equal(get_number(bytes + 4096 + 4, 4), 0x11223344);
	assert_int_equal(get_number(bytes + 4096 + 4092, 4), 0x55667788);
	assert_int_equal(vhdx_log_descriptor_decode(bytes + 64, 32, &place, &entry, &descriptor),
			 0);
	vhdx_log_page_rebuild(&descriptor, (const struct log_sector_disk *)(bytes + 4096), again);
	assert_memory_equal(again, page, 4096);
}

/* Of @count changes, every third one of zeros. */
static void check_against_own(uint32_t count)
{
	struct log_change *changes = calloc(count + 1, sizeof(*changes));
	struct log_change_spec *specs = calloc(count + 1, sizeof(*specs));
	uint8_t *pages = malloc((count + 1) * 4096);
	uint8_t *buf = malloc((count + 4) * 4096);
	struct log_entry_spec spec = {.tail = 0x7000,
				      .sequence = 0x8000000000000001,
				      .flushed = 2 * MIB,
				      .last = 9 * MIB};
	struct log_entry entry = {0x12,	      0x34,    0x7000, 0x56, 0x8000000000000001,
				  place.guid, 2 * MIB, 9 * MIB};
	struct rng rng = rng_make(count);
	uint8_t *expected;
	size_t size;

	memcpy(spec.guid, place.guid.bytes, 16);
	rng_fill(&rng, pages, (count + 1) * 4096);
	for (uint32_t i = 0; i < count; i++) {
		bool zeros = i % 3 == 2;

		specs[i] = (struct log_change_spec){3 * MIB + i * 4096, 8192,
						    zeros ? NULL : pages + i * 4096};
		changes[i] =
			(struct log_change){3 * MIB + i * 4096, zeros ? 8192 : 0, pages + i * 4096};
	}
	size_t expected_size = log_entry_make(&spec, specs, count, &expected);

	assert_int_equal(
		vhdx_log_entry_encode(&entry, changes, count, buf, (count + 4) * 4096, &size), 0);
	assert_int_equal(size, expected_size);
	assert_memory_equal(buf, expected, size);
	assert_int_equal(vhdx_log_entry_decode(buf, 4096, &place, &entry), 0);
	assert_int_equal(entry.descriptor_count, count);
	assert_int_equal(entry.entry_length, size);
	assert_int_equal(vhdx_log_entry_encode(&entry, changes, count, buf, size - 1, &size),
			 -ENOSPC);
	free(expected);
	free(buf);
	free(pages);
	free(specs);
	free(changes);
}

static void test_entries_of_any_number_of_descriptors(void **state)
{
	static const uint32_t counts[] = {0, 1, 2, 125, 126, 127, 128, 253, 254, 255, 256, 300};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		check_against_own(counts[i]);
}

static void test_descriptor_sectors(void **state)
{
	(void)state;
	assert_int_equal(log_descriptor_sectors(0), 1);
	assert_int_equal(log_descriptor_sectors(126), 1);
	assert_int_equal(log_descriptor_sectors(127), 2);
	assert_int_equal(log_descriptor_sectors(254), 2);
	assert_int_equal(log_descriptor_sectors(255), 3);
	assert_int_equal(log_descriptor_sectors(382), 3);
	assert_int_equal(log_descriptor_sectors(383), 4);
	assert_int_equal(log_descriptor_sectors(UINT32_MAX), 33554433);
}

/* Puts a number into the golden header: then it must be no entry of this log. */
static void check_refused(size_t at, uint64_t value, unsigned bytes)
{
	struct log_entry entry = {.tail = 77};

	make_golden(NULL);
	put_number(golden + at, value, bytes);
	assert_int_equal(decode(&entry), -EUCLEAN);
	assert_int_equal(entry.tail, 77);
}

static void test_wrong_lengths_are_refused(void **state)
{
	(void)state;
	check_refused(8, 0, 4);
	check_refused(8, 4095, 4);
	check_refused(8, 8191, 4);
	check_refused(8, 8193, 4);
	check_refused(8, 0x101000, 4);
	check_refused(8, 0xfffff000, 4);
}

static void test_wrong_tails_are_refused(void **state)
{
	(void)state;
	check_refused(12, 1, 4);
	check_refused(12, 0x5800, 4);
	check_refused(12, 0x100000, 4);
	check_refused(12, 0xfffff000, 4);
}

static void test_wrong_fields_are_refused(void **state)
{
	(void)state;
	check_refused(0, 0x65676f6d, 4);       /* signature */
	check_refused(16, 0, 8);	       /* sequence number */
	check_refused(28, 1, 4);	       /* reserved */
	check_refused(32, 0, 1);	       /* another session's */
	check_refused(47, 0, 1);	       /* the same */
	check_refused(48, 36 * MIB + 4096, 8); /* flushed */
	check_refused(56, 36 * MIB + 1, 8);    /* last */
}

static void test_descriptor_counts_that_the_length_cannot_hold_are_refused(void **state)
{
	(void)state;
	check_refused(24, 255, 4); /* three sectors of two */
	check_refused(24, 0x07ffffff, 4);
	check_refused(24, 0x08000001, 4); /* times 32 is 32 in 32 bits */
	check_refused(24, 0xffffffff, 4);
	check_refused(24, 0xfffffffe, 4);
}

static void test_an_entry_may_fill_the_whole_log(void **state)
{
	struct log_entry entry;

	(void)state;
	put_number(golden + 8, 0x100000, 4);
	put_number(golden + 12, 0xff000, 4);
	assert_int_equal(decode(&entry), 0);
}

static void test_short_buffers_are_refused(void **state)
{
	struct log_entry entry;
	struct log_descriptor descriptor;

	(void)state;
	assert_int_equal(vhdx_log_entry_decode(golden, 63, &place, &entry), -EUCLEAN);
	assert_int_equal(decode(&entry), 0);
	assert_int_equal(vhdx_log_descriptor_decode(golden + 64, 31, &place, &entry, &descriptor),
			 -EUCLEAN);
	assert_false(vhdx_log_sector_belongs(golden + 4096, 4095, entry.sequence_number));
}

static int decode_descriptor(const char *signature, uint64_t middle, uint64_t offset,
			     uint64_t sequence)
{
	struct log_entry entry = {.sequence_number = 7};
	struct log_descriptor descriptor;
	uint8_t bytes[32] = {0};

	memcpy(bytes, signature, 4);
	put_number(bytes + 8, middle, 8);
	put_number(bytes + 16, offset, 8);
	put_number(bytes + 24, sequence, 8);
	int ret = vhdx_log_descriptor_decode(bytes, 32, &place, &entry, &descriptor);

	if (!ret) {
		assert_int_equal(descriptor.file_offset, offset);
		assert_true(descriptor.length == (descriptor.is_zero ? middle : 4096));
	}
	return ret;
}

static void test_descriptors_with_wrong_fields_are_refused(void **state)
{
	(void)state;
	assert_int_equal(decode_descriptor("desc", 0, 3 * MIB, 7), 0);
	assert_int_equal(decode_descriptor("zero", 4096, 3 * MIB, 7), 0);
	assert_int_equal(decode_descriptor("dasc", 0, 3 * MIB, 7), -EUCLEAN);
	assert_int_equal(decode_descriptor("desc", 0, 3 * MIB, 8), -EUCLEAN);
	assert_int_equal(decode_descriptor("zero", 4096, 3 * MIB, 6), -EUCLEAN);
	assert_int_equal(decode_descriptor("desc", 0, 3 * MIB + 512, 7), -EUCLEAN);
	assert_int_equal(decode_descriptor("zero", 4096, 3 * MIB + 1, 7), -EUCLEAN);
	assert_int_equal(decode_descriptor("zero", 4097, 3 * MIB, 7), -EUCLEAN);
	assert_int_equal(decode_descriptor("zero", 512, 3 * MIB, 7), -EUCLEAN);
}

static void test_a_zero_descriptors_reserved_field_is_zero(void **state)
{
	struct log_entry entry = {.sequence_number = 7};
	struct log_descriptor descriptor;
	uint8_t bytes[32] = "zero";

	(void)state;
	put_number(bytes + 8, 4096, 8);
	put_number(bytes + 16, 3 * MIB, 8);
	put_number(bytes + 24, 7, 8);
	assert_int_equal(vhdx_log_descriptor_decode(bytes, 32, &place, &entry, &descriptor), 0);
	bytes[7] = 1;
	assert_int_equal(vhdx_log_descriptor_decode(bytes, 32, &place, &entry, &descriptor),
			 -EUCLEAN);
}

static void test_targets_that_may_not_be_logged_are_refused(void **state)
{
	(void)state;
	assert_int_equal(decode_descriptor("desc", 0, 192 * KIB, 7), 0);
	assert_int_equal(decode_descriptor("desc", 0, 188 * KIB, 7),
			 -EUCLEAN); /* a header's slot */
	assert_int_equal(decode_descriptor("desc", 0, 0, 7), -EUCLEAN);
	assert_int_equal(decode_descriptor("desc", 0, 0x100000, 7), -EUCLEAN); /* the log */
	assert_int_equal(decode_descriptor("desc", 0, 0x1ff000, 7), -EUCLEAN);
	assert_int_equal(decode_descriptor("desc", 0, 0xff000, 7), 0);
	assert_int_equal(decode_descriptor("desc", 0, 0x200000, 7), 0);
	assert_int_equal(decode_descriptor("zero", 0x2000, 0xff000, 7), -EUCLEAN);
	assert_int_equal(decode_descriptor("zero", 0x1000000, 0xc0000, 7), -EUCLEAN);
	assert_int_equal(decode_descriptor("zero", UINT64_MAX - 4095, 8 * MIB, 7),
			 -EUCLEAN); /* wraps */
	assert_int_equal(decode_descriptor("desc", 0, UINT64_MAX - 4095, 7), -EUCLEAN);
}

static void test_data_sectors_carry_both_halves_of_the_number(void **state)
{
	uint64_t sequence = 80117443871106391;
	static const size_t places[] = {0, 3, 4, 7, 4092, 4095};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		golden[4096 + places[i]] ^= 1;
		assert_false(vhdx_log_sector_belongs(golden + 4096, 4096, sequence));
		golden[4096 + places[i]] ^= 1;
	}
	assert_true(vhdx_log_sector_belongs(golden + 4096, 4096, sequence));
	assert_false(vhdx_log_sector_belongs(golden + 4096, 4096, sequence + 1));
	assert_false(vhdx_log_sector_belongs(golden + 4096, 4096, sequence + ((uint64_t)1 << 32)));
}

int main(void)
{
#define WITH_GOLDEN(test) cmocka_unit_test_setup(test, make_golden)
	const struct CMUnitTest tests[] = {
		WITH_GOLDEN(test_a_windows_entry_decodes),
		WITH_GOLDEN(test_a_windows_entry_without_descriptors_decodes),
		WITH_GOLDEN(test_a_windows_page_is_rebuilt),
		WITH_GOLDEN(test_a_windows_entry_encodes_to_the_same_bytes),
		WITH_GOLDEN(test_first_and_last_bytes_of_a_page_keep_their_order),
		WITH_GOLDEN(test_entries_of_any_number_of_descriptors),
		WITH_GOLDEN(test_descriptor_sectors),
		WITH_GOLDEN(test_wrong_lengths_are_refused),
		WITH_GOLDEN(test_wrong_tails_are_refused),
		WITH_GOLDEN(test_wrong_fields_are_refused),
		WITH_GOLDEN(test_descriptor_counts_that_the_length_cannot_hold_are_refused),
		WITH_GOLDEN(test_an_entry_may_fill_the_whole_log),
		WITH_GOLDEN(test_short_buffers_are_refused),
		WITH_GOLDEN(test_descriptors_with_wrong_fields_are_refused),
		WITH_GOLDEN(test_a_zero_descriptors_reserved_field_is_zero),
		WITH_GOLDEN(test_targets_that_may_not_be_logged_are_refused),
		WITH_GOLDEN(test_data_sectors_carry_both_halves_of_the_number),
	};

	return RUN_TESTS(tests);
}
