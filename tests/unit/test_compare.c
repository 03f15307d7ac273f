/* SPDX-License-Identifier: MIT */
/* vhdx_compare: what counts as the same, and the exact place of what does not. */
#include "base/arith.h"
#include "support/endpoints.h"

#define SIZE (20 * MIB + 777)

static struct vhdx_difference compare(struct vhdx_source a, struct vhdx_source b)
{
	struct vhdx_difference difference = {.size = sizeof(difference)};

	assert_int_equal(vhdx_compare(&a, &b, NULL, &difference), 0);
	return difference;
}

static void assert_same(struct vhdx_source a, struct vhdx_source b)
{
	struct vhdx_difference difference = compare(a, b);

	assert_int_equal(difference.differ, 0);
	assert_int_equal(difference.offset, difference.a_size < difference.b_size
						    ? difference.a_size
						    : difference.b_size);
}

static void assert_differ_at(struct vhdx_source a, struct vhdx_source b, uint64_t offset)
{
	struct vhdx_difference there = compare(a, b);
	struct vhdx_difference back = compare(b, a);

	assert_int_equal(there.differ, 1);
	assert_int_equal(there.offset, offset);
	assert_int_equal(back.differ, 1);
	assert_int_equal(back.offset, offset);
}

static void test_a_file_is_the_same_as_itself(void **state)
{
	(void)state;
	make_raw("a", SIZE, 1);
	assert_same(from_path("a"), from_path("a"));
}

static void test_the_first_byte_that_differs_is_found(void **state)
{
	static const uint64_t places[] = {
		0,	  1,	       4095,	4096,	     MIB - 1,
		MIB,	  5 * MIB + 3, 9 * MIB, 9 * MIB + 1, 16 * MIB + 12345,
		SIZE - 2, SIZE - 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		uint8_t byte = 0;

		make_raw("a", SIZE, 2);
		make_raw("b", SIZE, 2);
		int fd = open("b", O_RDWR);

		assert_int_equal(pread(fd, &byte, 1, (off_t)places[i]), 1);
		byte ^= 0x80;
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)places[i]), 1);
		if (places[i] < SIZE - 100) /* one behind it must not hide it */
			assert_int_equal(pwrite(fd, "xxxxx", 5, (off_t)places[i] + 50), 5);
		close(fd);
		assert_differ_at(from_path("a"), from_path("b"), places[i]);
		unlink("a");
		unlink("b");
	}
}

static void test_a_hole_is_the_same_as_zeros(void **state)
{
	uint8_t *zeros = calloc(1, 3 * MIB);

	(void)state;
	scratch_write("zeros", zeros, 3 * MIB, 0);
	scratch_resize("hole", 3 * MIB);
	assert_same(from_path("zeros"), from_path("hole"));
	free(zeros);
}

static void test_holes_of_both_are_not_read(void **state)
{
	struct judged a = {.size = 8 * TIB, .data_start = TIB, .data_end = TIB + MIB};
	struct judged b = {
		.size = 8 * TIB, .data_start = TIB + 512 * KIB, .data_end = TIB + 2 * MIB};
	struct vhdx_io a_io = judged_io(&a);
	struct vhdx_io b_io = judged_io(&b);

	(void)state;
	assert_same(from_io(&a_io), from_io(&b_io));
	assert_int_equal(a.read_bytes, MIB);
	assert_int_equal(b.read_bytes, 3 * MIB / 2);
}

static void test_zeros_behind_the_shorter_ones_end_are_the_same(void **state)
{
	(void)state;
	make_raw("a", SIZE, 3);
	make_raw("b", SIZE, 3);
	scratch_resize("b", 2 * SIZE);
	assert_same(from_path("a"), from_path("b"));
	struct vhdx_difference difference = compare(from_path("b"), from_path("a"));

	assert_int_equal(difference.a_size, 2 * SIZE);
	assert_int_equal(difference.b_size, SIZE);
}

static void test_anything_else_behind_the_shorter_ones_end_differs(void **state)
{
	(void)state;
	make_raw("a", SIZE, 4);
	make_raw("b", SIZE, 4);
	scratch_resize("b", 2 * SIZE);
	scratch_write("b", "x", 1, SIZE + 5 * MIB + 1);
	assert_differ_at(from_path("a"), from_path("b"), SIZE + 5 * MIB + 1);
	scratch_write("b", "x", 1, SIZE);
	assert_differ_at(from_path("a"), from_path("b"), SIZE);
}

static void test_an_empty_file_is_the_same_as_zeros(void **state)
{
	(void)state;
	scratch_resize("a", 0);
	scratch_resize("b", MIB);
	assert_same(from_path("a"), from_path("b"));
	scratch_write("b", "x", 1, MIB - 1);
	assert_differ_at(from_path("a"), from_path("b"), MIB - 1);
}

static void test_a_disk_is_compared_as_a_guest_sees_it(void **state)
{
	struct vhdx_create_options create = options_of(VHDX_DYNAMIC, 0);
	struct vhdx_source source = from_path("raw");
	struct vhdx_destination destination = {.size = sizeof(destination),
					       .format = VHDX_FORMAT_VHDX,
					       .path = "parent",
					       .create = &create};
	struct vhdx_info info = {0};

	(void)state;
	make_raw("raw", SIZE, 5);
	assert_int_equal(vhdx_convert(&source, &destination, NULL), 0);
	create_child("child", "parent");
	struct vhdx *disk = open_disk("child", &info);

	assert_same(from_disk(disk), from_path("raw"));
	scratch_write("raw", "x", 1, 12 * MIB);
	assert_differ_at(from_disk(disk), from_path("raw"), 12 * MIB);
	vhdx_close(disk);
}

static void test_streams_are_read_to_their_end(void **state)
{
	(void)state;
	make_raw("a", SIZE, 6);
	int a = open("a", O_RDONLY);
	int b = open("a", O_RDONLY);

	assert_same(from_fd(a), from_path("a"));
	assert_int_equal(lseek(a, 0, SEEK_SET), 0);
	struct vhdx_difference difference = compare(from_fd(a), from_fd(b));

	assert_int_equal(difference.differ, 0);
	assert_int_equal(difference.a_size, SIZE);
	assert_int_equal(difference.b_size, SIZE);
	close(a);
	close(b);
}

static void test_a_longer_stream_differs_where_it_does(void **state)
{
	(void)state;
	make_raw("a", SIZE, 7);
	scratch_resize("b", SIZE);
	make_raw("b", SIZE, 7);
	scratch_write("b", "x", 1, SIZE + 3 * MIB);
	int fd = open("b", O_RDONLY);
	struct vhdx_difference difference = compare(from_path("a"), from_fd(fd));

	assert_int_equal(difference.differ, 1);
	assert_int_equal(difference.offset, SIZE + 3 * MIB);
	close(fd);
}

static void test_a_read_error_is_no_difference(void **state)
{
	struct judged judged = {.size = 32 * MIB, .fail_read_at = 17 * MIB};
	struct vhdx_io io = judged_io(&judged);
	struct vhdx_difference difference = {.size = sizeof(difference), .offset = 42};
	struct vhdx_source a = from_io(&io), b = from_path("b");

	(void)state;
	scratch_resize("b", 32 * MIB);
	assert_int_equal(vhdx_compare(&a, &b, NULL, &difference), -EIO);
	assert_int_equal(difference.offset, 42);
}

static void test_progress_can_stop_it(void **state)
{
	struct watched watched = {.stop_at = 5 * MIB};
	struct vhdx_compare_options options = {
		.size = sizeof(options), .progress = watch, .opaque = &watched};
	struct vhdx_difference difference = {.size = sizeof(difference)};
	struct vhdx_source a = from_path("a");

	(void)state;
	make_raw("a", SIZE - MIB, 8);
	scratch_resize("a", SIZE); /* ends in a hole */
	assert_int_equal(vhdx_compare(&a, &a, &options, &difference), -ECANCELED);
	watched = (struct watched){.stop_at = 0};
	assert_int_equal(vhdx_compare(&a, &a, &options, &difference), 0);
	assert_int_equal(watched.total, SIZE);
	assert_int_equal(watched.last, SIZE);
}

static void test_a_result_without_its_size_is_refused(void **state)
{
	struct vhdx_difference difference = {.size = 0};
	struct vhdx_source a = from_path("a");

	(void)state;
	scratch_resize("a", 1);
	assert_int_equal(vhdx_compare(&a, &a, NULL, &difference), -EINVAL);
	assert_int_equal(vhdx_compare(&a, &a, NULL, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_file_is_the_same_as_itself),
		SCRATCH_TEST(test_the_first_byte_that_differs_is_found),
		SCRATCH_TEST(test_a_hole_is_the_same_as_zeros),
		SCRATCH_TEST(test_holes_of_both_are_not_read),
		SCRATCH_TEST(test_zeros_behind_the_shorter_ones_end_are_the_same),
		SCRATCH_TEST(test_anything_else_behind_the_shorter_ones_end_differs),
		SCRATCH_TEST(test_an_empty_file_is_the_same_as_zeros),
		SCRATCH_TEST(test_a_disk_is_compared_as_a_guest_sees_it),
		SCRATCH_TEST(test_streams_are_read_to_their_end),
		SCRATCH_TEST(test_a_longer_stream_differs_where_it_does),
		SCRATCH_TEST(test_a_read_error_is_no_difference),
		SCRATCH_TEST(test_progress_can_stop_it),
		SCRATCH_TEST(test_a_result_without_its_size_is_refused),
	};

	return RUN_TESTS(tests);
}
