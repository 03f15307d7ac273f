/* SPDX-License-Identifier: MIT */
/* CRC-32C: the vectors of F 10.1, both implementations, every alignment and length, in parts, of structures. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "support/bytes.h"
#include "support/random.h"
#include "support/unit.h"

typedef uint32_t crc_function(uint32_t crc, const void *buf, size_t size);

static void check_vectors(crc_function *crc)
{
	uint8_t up[32];
	uint8_t down[32];
	uint8_t *zeros = calloc(1, 65536);
	uint8_t ones[4096];

	for (int i = 0; i < 32; i++) {
		up[i] = (uint8_t)i;
		down[i] = (uint8_t)(31 - i);
	}
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(crc(0, "", 0), 0x00000000);
	assert_int_equal(crc(0, "a", 1), 0xc1d04330);
	assert_int_equal(crc(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc(0, ones, 32), 0x62a8ab43);
	assert_int_equal(crc(0, up, 32), 0x46dd794e);
	assert_int_equal(crc(0, down, 32), 0x113fdb5c);
	assert_int_equal(crc(0, zeros, 4096), 0x98f94189);
	assert_int_equal(crc(0, zeros, 65536), 0x72c0c4a4);
	assert_int_equal(crc(0, ones, 4096), 0x25c1fe13);
	free(zeros);
}

static void test_known_vectors(void **state)
{
	(void)state;
	check_vectors(vhdx_crc32c);
}

static void test_known_vectors_portable(void **state)
{
	(void)state;
	check_vectors(vhdx_crc32c_portable);
}

static void test_test_supports_own_crc_knows_the_vectors(void **state)
{
	(void)state;
	check_vectors(slow_crc32c);
}

/* Each buffer ends where its memory ends, so that a sanitizer sees a read beyond. */
static void check_alignments(crc_function *crc)
{
	struct rng rng = rng_make(1);

	for (size_t alignment = 0; alignment < 8; alignment++)
		for (size_t length = 0; length <= 300; length++) {
			uint8_t *buf = malloc(alignment + length + 1);

			rng_fill(&rng, buf, alignment + length + 1);
			assert_int_equal(crc(0, buf + alignment + 1, length),
					 slow_crc32c(0, buf + alignment + 1, length));
			free(buf);
		}
}

static void test_every_alignment_and_length(void **state)
{
	(void)state;
	check_alignments(vhdx_crc32c);
}

static void test_every_alignment_and_length_portable(void **state)
{
	(void)state;
	check_alignments(vhdx_crc32c_portable);
}

static void test_parts_make_the_whole(void **state)
{
	struct rng rng = rng_make(2);
	uint8_t buf[5000];

	(void)state;
	rng_fill(&rng, buf, sizeof(buf));
	for (int i = 0; i < 200; i++) {
		size_t cut = rng_below(&rng, sizeof(buf) + 1);
		uint32_t whole = slow_crc32c(0, buf, sizeof(buf));

		assert_int_equal(
			vhdx_crc32c(vhdx_crc32c(0, buf, cut), buf + cut, sizeof(buf) - cut), whole);
		assert_int_equal(vhdx_crc32c_portable(vhdx_crc32c_portable(0, buf, cut), buf + cut,
						      sizeof(buf) - cut),
				 whole);
	}
}

static void test_both_are_equal_on_random_buffers(void **state)
{
	struct rng rng = rng_make(3);
	uint8_t *buf = malloc(1 << 18);

	(void)state;
	rng_fill(&rng, buf, 1 << 18);
	for (int i = 0; i < 100; i++) {
		size_t offset = rng_below(&rng, 1 << 17);
		size_t length = rng_below(&rng, 1 << 17);
		uint32_t start = (uint32_t)rng_next(&rng);

		assert_int_equal(vhdx_crc32c(start, buf + offset, length),
				 vhdx_crc32c_portable(start, buf + offset, length));
	}
	free(buf);
}

static void test_a_structures_checksum_counts_as_zero(void **state)
{
	struct rng rng = rng_make(4);
	uint8_t buf[4096];

	(void)state;
	rng_fill(&rng, buf, sizeof(buf));
	uint32_t crc = vhdx_crc32c_structure(buf, sizeof(buf));

	memset(buf + 4, 0, 4);
	assert_int_equal(crc, slow_crc32c(0, buf, sizeof(buf)));
	buf[8] ^= 1;
	assert_int_not_equal(crc, vhdx_crc32c_structure(buf, sizeof(buf)));
}

static void test_the_smallest_structure_has_8_bytes(void **state)
{
	(void)state;
	assert_int_equal(vhdx_crc32c_structure("abcdefgh", 8), slow_crc32c(0, "abcd\0\0\0\0", 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_vectors),
		cmocka_unit_test(test_known_vectors_portable),
		cmocka_unit_test(test_test_supports_own_crc_knows_the_vectors),
		cmocka_unit_test(test_every_alignment_and_length),
		cmocka_unit_test(test_every_alignment_and_length_portable),
		cmocka_unit_test(test_parts_make_the_whole),
		cmocka_unit_test(test_both_are_equal_on_random_buffers),
		cmocka_unit_test(test_a_structures_checksum_counts_as_zero),
		cmocka_unit_test(test_the_smallest_structure_has_8_bytes),
	};

	return RUN_TESTS(tests);
}
