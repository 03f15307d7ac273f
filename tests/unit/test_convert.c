/* SPDX-License-Identifier: MIT */
/* vhdx_convert between disks, raw files, storage and streams: contents, layout, space. */
#include <pthread.h>

#include "base/arith.h"
#include "store/io.h"
#include "store/memory.h"
#include "support/endpoints.h"

#define SIZE (20 * MIB + 777)

static bool without_fallocate;

/* Takes libc's place: a file system that cannot reserve. */
int fallocate(int fd, int mode, off_t offset, off_t length)
{
	(void)mode;
	if (!without_fallocate)
		return posix_fallocate(fd, offset, length); /* as good, for a new file */
	errno = EOPNOTSUPP;
	return -1;
}

static uint64_t begun; /* bytes that were begun to be written before the end */

/* Takes libc's place, to count. */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags)
{
	(void)fd;
	(void)offset;
	assert_int_equal(flags, SYNC_FILE_RANGE_WRITE);
	begun += (uint64_t)length;
	return 0;
}

/* The disk at @path, as a raw file of @size bytes. */
static void back_to_raw(const char *path, const char *raw, uint64_t size)
{
	struct vhdx_info info = {0};
	struct vhdx *disk = open_disk(path, &info);

	assert_true(info.virtual_size - size < info.logical_sector_size);
	to_raw(from_disk(disk), raw, 2);
	vhdx_close(disk);
	assert_int_equal(scratch_size(raw), info.virtual_size);
	scratch_resize(raw, size);
}

static void check_there_and_back(enum vhdx_type type, uint32_t block_size, unsigned threads)
{
	make_raw("raw", SIZE, block_size + threads);
	to_vhdx(from_path("raw"), "disk", made(type, block_size), threads);
	back_to_raw("disk", "back", SIZE);
	scratch_assert_same("raw", "back");
	unlink("disk");
	unlink("back");
	unlink("raw");
}

static void test_contents_survive_there_and_back(void **state)
{
	static const unsigned threads[] = {1, 2, 3, 64};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		for (uint32_t block_size = MIB; block_size <= 32 * MIB; block_size *= 2) {
			check_there_and_back(VHDX_DYNAMIC, block_size, threads[i]);
			check_there_and_back(VHDX_FIXED, block_size, threads[i]);
		}
}

static void test_any_number_of_threads_makes_the_same_file(void **state)
{
	(void)state;
	make_raw("raw", SIZE, 1);
	to_vhdx(from_path("raw"), "a", made(VHDX_DYNAMIC, MIB), 1);
	to_vhdx(from_path("raw"), "b", made(VHDX_DYNAMIC, MIB), 8);
	scratch_assert_same("a", "b");
}

static void test_blocks_of_zeros_take_no_space(void **state)
{
	static const uint8_t zeros[MIB];

	(void)state;
	scratch_resize("raw", 64 * MIB);
	for (int i = 0; i < 16; i++)
		scratch_write("raw", zeros, sizeof(zeros), i * MIB);
	scratch_write("raw", "x", 1, 40 * MIB);
	to_vhdx(from_path("raw"), "disk", made(VHDX_DYNAMIC, 2 * MIB), 2);
	assert_int_equal(scratch_size("disk"), 4 * MIB + 2 * MIB);
	assert_true(scratch_space("disk") < MIB);
}

static void test_long_zeros_inside_a_block_are_left_out(void **state)
{
	static uint8_t data[MIB];

	(void)state;
	memset(data, 1, sizeof(data));
	memset(data + 200 * KIB, 0, 600 * KIB);
	scratch_write("raw", data, sizeof(data), 0);
	to_raw(from_path("raw"), "copy", 1);
	scratch_assert_same("raw", "copy");
	assert_true(scratch_space("copy") <= 440 * KIB);
}

static void test_blocks_lie_in_the_order_of_the_disk(void **state)
{
	struct vhdx_extent extents[64];
	size_t count = ARRAY_SIZE(extents);
	struct vhdx_info info = {0};
	uint64_t last = 0;

	(void)state;
	make_raw("raw", SIZE, 2);
	to_vhdx(from_path("raw"), "disk", made(VHDX_DYNAMIC, MIB), 4);
	struct vhdx *disk = open_disk("disk", &info);

	assert_int_equal(vhdx_extents(disk, 0, info.virtual_size, 0, extents, &count), 0);
	for (size_t i = 0; i < count; i++) {
		if (extents[i].type != VHDX_EXTENT_DATA)
			continue;
		assert_true(extents[i].file_offset > last);
		last = extents[i].file_offset;
	}
	assert_true(last);
	vhdx_close(disk);
}

static void test_a_fixed_disk_gets_all_its_space(void **state)
{
	(void)state;
	make_raw("raw", SIZE, 3);
	to_vhdx(from_path("raw"), "disk", made(VHDX_FIXED, MIB), 2);
	assert_int_equal(scratch_size("disk"), 4 * MIB + 21 * MIB);
	assert_true(scratch_space("disk") >= scratch_size("disk"));
}

static void check_no_holes(void)
{
	struct vhdx_create_options create = made(VHDX_DYNAMIC, MIB);
	struct vhdx_destination raw = {.path = "copy", .create = &create};

	create.flags |= VHDX_CREATE_NO_HOLES | VHDX_CREATE_FORCE;
	to_vhdx(from_path("raw"), "disk", create, 2);
	assert_true(scratch_space("disk") >= scratch_size("disk"));
	back_to_raw("disk", "back", SIZE);
	scratch_assert_same("raw", "back");
	unlink("back");
	assert_int_equal(convert(from_path("raw"), raw, 2), 0);
	assert_true(scratch_space("copy") >= SIZE);
	scratch_assert_same("raw", "copy");
}

static void test_no_holes_leaves_none(void **state)
{
	(void)state;
	make_raw("raw", SIZE, 4);
	check_no_holes();
}

static void test_no_holes_leaves_none_where_nothing_can_be_reserved(void **state)
{
	(void)state;
	make_raw("raw", SIZE, 4);
	without_fallocate = true;
	check_no_holes();
	without_fallocate = false;
}

static void test_a_source_is_padded_to_the_sector(void **state)
{
	struct vhdx_create_options create = made(VHDX_DYNAMIC, MIB);
	struct vhdx_info info = {0};

	(void)state;
	create.logical_sector_size = 4096;
	make_raw("raw", MIB + 1, 5);
	to_vhdx(from_path("raw"), "disk", create, 2);
	struct vhdx *disk = open_disk("disk", &info);

	assert_int_equal(info.virtual_size, MIB + 4096);
	vhdx_close(disk);
}

static void test_a_disks_sizes_are_inherited(void **state)
{
	struct vhdx_create_options create = made(VHDX_DYNAMIC, 8 * MIB);
	struct vhdx_info info = {0};

	(void)state;
	create.logical_sector_size = create.physical_sector_size = 4096;
	make_raw("raw", SIZE, 6);
	to_vhdx(from_path("raw"), "disk", create, 2);
	struct vhdx *disk = open_disk("disk", &info);

	to_vhdx(from_disk(disk), "copy", made(VHDX_DYNAMIC, 0), 2);
	vhdx_close(disk);
	disk = open_disk("copy", &info);
	assert_int_equal(info.block_size, 8 * MIB);
	assert_int_equal(info.logical_sector_size, 4096);
	assert_int_equal(info.physical_sector_size, 4096);
	vhdx_close(disk);
}

static void test_a_child_is_read_through_its_chain(void **state)
{
	struct vhdx_info info = {0};

	(void)state;
	make_raw("raw", SIZE, 7);
	to_vhdx(from_path("raw"), "parent", made(VHDX_DYNAMIC, MIB), 2);
	create_child("child", "parent");
	struct vhdx *disk = open_disk("child", &info);

	to_raw(from_disk(disk), "copy", 2);
	vhdx_close(disk);
	scratch_resize("copy", SIZE);
	scratch_assert_same("raw", "copy");
}

static void test_direct_transfers_make_the_same(void **state)
{
	struct vhdx_create_options create = made(VHDX_DYNAMIC, MIB);
	struct vhdx_convert_options options = {.size = sizeof(options),
					       .flags = VHDX_CONVERT_DIRECT};
	struct vhdx_source source = from_path("raw");
	struct vhdx_destination destination = {.size = sizeof(destination),
					       .format = VHDX_FORMAT_VHDX,
					       .path = "disk",
					       .create = &create};

	(void)state;
	make_raw("raw", SIZE, 8);
	assert_int_equal(vhdx_convert(&source, &destination, &options), 0);
	to_vhdx(from_path("raw"), "other", create, 1);
	scratch_assert_same("disk", "other");
}

static void test_what_shall_be_durable_is_on_its_way_early(void **state)
{
	struct vhdx_create_options create = made(VHDX_DYNAMIC, MIB);
	struct vhdx_destination destination = {.path = "copy", .create = &create};
	static uint8_t buf[MIB];

	(void)state;
	memset(buf, 1, sizeof(buf));
	for (int i = 0; i < 100; i++)
		scratch_write("raw", buf, sizeof(buf), i * MIB);
	begun = 0;
	to_raw(from_path("raw"), "unsynced", 2);
	assert_int_equal(begun, 0);
	create.flags &= ~VHDX_CREATE_NO_SYNC;
	assert_int_equal(convert(from_path("raw"), destination, 2), 0);
	assert_int_equal(begun, 96 * MIB);
}

static void test_holes_are_not_read(void **state)
{
	struct judged judged = {
		.size = 8 * TIB, .data_start = TIB + 5 * KIB, .data_end = TIB + 9 * KIB};
	struct vhdx_io io = judged_io(&judged);

	(void)state;
	to_vhdx(from_io(&io), "disk", made(VHDX_DYNAMIC, 32 * MIB), 2);
	assert_int_equal(judged.read_bytes, 8 * KIB); /* whole 4 KiB, for direct I/O */
}

/* An answer may cost the storage time by the range's length. */
static void test_where_data_end_is_asked_once_a_range(void **state)
{
	struct judged judged = {.size = 80 * MIB, .data_start = MIB, .data_end = 70 * MIB};
	struct vhdx_io io = judged_io(&judged);

	(void)state;
	to_vhdx(from_io(&io), "disk", made(VHDX_DYNAMIC, 32 * MIB), 2);
	assert_int_equal(judged.read_bytes, 69 * MIB);
	assert_in_range(judged.questions, 1, 4);
}

static struct vhdx_io under; /* below the storage that counts */
static atomic_ullong read_from_disk;

static ssize_t count_preadv(void *opaque, const struct iovec *iov, int count, uint64_t offset)
{
	ssize_t done = under.preadv(opaque, iov, count, offset);

	read_from_disk += done > 0 ? (unsigned long long)done : 0;
	return done;
}

static void test_holes_inside_a_disks_blocks_are_not_read(void **state)
{
	struct vhdx_io io;
	struct vhdx *disk;

	(void)state;
	scratch_resize("raw", 256 * MIB);
	scratch_write("raw", "x", 1, 200 * MIB);
	to_vhdx(from_path("raw"), "disk", made(VHDX_DYNAMIC, 256 * MIB), 2);
	assert_int_equal(vhdx_file_io("disk", 0, &under), 0);
	io = under;
	io.preadv = count_preadv;
	assert_int_equal(vhdx_open_io(&io, NULL, &disk), 0);
	read_from_disk = 0;
	to_raw(from_disk(disk), "copy", 2);
	vhdx_close(disk);
	assert_true(read_from_disk < 2 * MIB);
	scratch_assert_same("raw", "copy");
}

/* ---- Streams ---- */

static void check_stream(enum vhdx_type type, uint64_t size)
{
	make_raw("raw", size, size);
	int fd = open("raw", O_RDONLY);

	to_vhdx(from_fd(fd), "disk", made(type, MIB), 3);
	close(fd);
	back_to_raw("disk", "back", size);
	scratch_assert_same("raw", "back");
	unlink("raw");
	unlink("disk");
	unlink("back");
}

static void test_a_stream_of_unknown_length_becomes_a_disk(void **state)
{
	static const uint64_t sizes[] = {1, 512, MIB, 4 * MIB, SIZE};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		check_stream(VHDX_DYNAMIC, sizes[i]);
		check_stream(VHDX_FIXED, sizes[i]);
	}
}

static void *feed(void *opaque)
{
	int fd = *(int *)opaque;
	static const uint8_t bytes[100000] = {1, 2, 3};

	for (size_t i = 0; i < sizeof(bytes);) {
		ssize_t done = write(fd, bytes + i,
				     i % 7 + 1 < sizeof(bytes) - i ? i % 7 + 1 : sizeof(bytes) - i);

		i += (size_t)done;
	}
	close(fd);
	return NULL;
}

static void test_a_pipe_may_give_a_few_bytes_at_a_time(void **state)
{
	pthread_t thread;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pthread_create(&thread, NULL, feed, &ends[1]), 0);
	to_raw(from_fd(ends[0]), "copy", 2);
	pthread_join(thread, NULL);
	close(ends[0]);
	assert_int_equal(scratch_size("copy"), 100000);
}

static void test_a_stream_gets_its_zeros(void **state)
{
	struct vhdx_destination destination = {.use_fd = 1};

	(void)state;
	make_raw("raw", SIZE, 9);
	scratch_resize("raw", SIZE + 5 * MIB); /* ends in a hole */
	destination.fd = open("copy", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(convert(from_path("raw"), destination, 3), 0);
	close(destination.fd);
	scratch_assert_same("raw", "copy");
}

static void test_an_empty_stream_is_no_disk(void **state)
{
	struct vhdx_destination destination = {.format = VHDX_FORMAT_VHDX, .path = "disk"};
	int fd = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(convert(from_fd(fd), destination, 2), -EINVAL);
	close(fd);
	assert_int_equal(scratch_count(), 0);
}

static void test_an_empty_file_is_no_disk_but_a_raw_file(void **state)
{
	struct vhdx_destination destination = {.format = VHDX_FORMAT_VHDX, .path = "disk"};

	(void)state;
	scratch_resize("raw", 0);
	assert_int_equal(convert(from_path("raw"), destination, 2), -EINVAL);
	to_raw(from_path("raw"), "copy", 2);
	assert_int_equal(scratch_size("copy"), 0);
}

/* ---- Storage that is there ---- */

static void test_storage_that_is_there_gets_its_zeros(void **state)
{
	struct judged judged = {.bytes = malloc(24 * MIB), .size = 24 * MIB};
	struct vhdx_io io = judged_io(&judged);
	size_t size;

	(void)state;
	memset(judged.bytes, 0xaa, 24 * MIB);
	make_raw("raw", SIZE, 10);
	assert_int_equal(convert(from_path("raw"), (struct vhdx_destination){.io = &io}, 3), 0);
	uint8_t *expected = scratch_read("raw", &size);

	assert_int_equal(memcmp(judged.bytes, expected, SIZE), 0);
	assert_int_equal(judged.bytes[SIZE], 0xaa);
	free(expected);
	free(judged.bytes);
}

static void test_storage_that_is_too_small_is_refused_untouched(void **state)
{
	struct judged judged = {.bytes = calloc(1, 4 * MIB), .size = 4 * MIB};
	struct vhdx_io io = judged_io(&judged);

	(void)state;
	make_raw("raw", 4 * MIB + 1, 11);
	assert_int_equal(convert(from_path("raw"), (struct vhdx_destination){.io = &io}, 2),
			 -ENOSPC);
	assert_int_equal(judged.bytes[0], 0);
	assert_non_null(strstr(vhdx_last_error()->text, "4194305"));
	free(judged.bytes);
}

/* Memory that is lent, and in which pieces; the contents are the memory's own. */
static unsigned lent, given_back;

static void *lend(void *opaque, size_t size)
{
	void *buf = NULL;

	(void)opaque;
	assert_int_equal(size, 2 * MIB);
	assert_int_equal(posix_memalign(&buf, 4096, size), 0);
	__atomic_add_fetch(&lent, 1, __ATOMIC_RELAXED);
	return buf;
}

static void take_back(void *opaque, void *buf, size_t size)
{
	(void)opaque;
	(void)size;
	__atomic_add_fetch(&given_back, 1, __ATOMIC_RELAXED);
	free(buf);
}

static void test_empty_storage_that_grows_gets_the_size(void **state)
{
	struct vhdx_io io;
	size_t size, stored;

	(void)state;
	make_raw("raw", SIZE, 12);
	assert_int_equal(vhdx_memory_io(NULL, 0, &io), 0);
	assert_int_equal(convert(from_path("raw"), (struct vhdx_destination){.io = &io}, 3), 0);
	uint8_t *expected = scratch_read("raw", &size);
	const void *bytes = vhdx_memory_bytes(&io, &stored);

	assert_int_equal(stored, SIZE);
	assert_memory_equal(bytes, expected, SIZE);
	free(expected);
	io.close(io.opaque);
}

static void test_storage_says_in_which_pieces_and_lends_the_memory(void **state)
{
	struct vhdx_io io;

	(void)state;
	make_raw("raw", SIZE, 13);
	assert_int_equal(vhdx_memory_io(NULL, 0, &io), 0);
	io.best_transfer = 2 * MIB;
	io.get_buffer = lend;
	io.put_buffer = take_back;
	lent = given_back = 0;
	assert_int_equal(convert(from_path("raw"), (struct vhdx_destination){.io = &io}, 3), 0);
	assert_int_equal(lent, 3);
	assert_int_equal(given_back, 3);
	io.close(io.opaque);
}

static void test_an_image_can_be_made_in_storage(void **state)
{
	struct vhdx_create_options create = made(VHDX_DYNAMIC, MIB);
	struct vhdx_io io;
	size_t size, expected_size;

	(void)state;
	make_raw("raw", SIZE, 12);
	assert_int_equal(vhdx_memory_io(NULL, 0, &io), 0);
	assert_int_equal(convert(from_path("raw"),
				 (struct vhdx_destination){
					 .format = VHDX_FORMAT_VHDX, .io = &io, .create = &create},
				 1),
			 0);
	to_vhdx(from_path("raw"), "disk", create, 1);
	uint8_t *expected = scratch_read("disk", &expected_size);

	assert_int_equal(memcmp(vhdx_memory_bytes(&io, &size), expected, expected_size), 0);
	assert_int_equal(size, expected_size);
	free(expected);
	vhdx_io_close(&io);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_contents_survive_there_and_back),
		SCRATCH_TEST(test_any_number_of_threads_makes_the_same_file),
		SCRATCH_TEST(test_blocks_of_zeros_take_no_space),
		SCRATCH_TEST(test_long_zeros_inside_a_block_are_left_out),
		SCRATCH_TEST(test_blocks_lie_in_the_order_of_the_disk),
		SCRATCH_TEST(test_a_fixed_disk_gets_all_its_space),
		SCRATCH_TEST(test_no_holes_leaves_none),
		SCRATCH_TEST(test_no_holes_leaves_none_where_nothing_can_be_reserved),
		SCRATCH_TEST(test_a_source_is_padded_to_the_sector),
		SCRATCH_TEST(test_a_disks_sizes_are_inherited),
		SCRATCH_TEST(test_a_child_is_read_through_its_chain),
		SCRATCH_TEST(test_direct_transfers_make_the_same),
		SCRATCH_TEST(test_what_shall_be_durable_is_on_its_way_early),
		SCRATCH_TEST(test_holes_are_not_read),
		SCRATCH_TEST(test_where_data_end_is_asked_once_a_range),
		SCRATCH_TEST(test_holes_inside_a_disks_blocks_are_not_read),
		SCRATCH_TEST(test_a_stream_of_unknown_length_becomes_a_disk),
		SCRATCH_TEST(test_a_pipe_may_give_a_few_bytes_at_a_time),
		SCRATCH_TEST(test_a_stream_gets_its_zeros),
		SCRATCH_TEST(test_an_empty_stream_is_no_disk),
		SCRATCH_TEST(test_an_empty_file_is_no_disk_but_a_raw_file),
		SCRATCH_TEST(test_storage_that_is_there_gets_its_zeros),
		SCRATCH_TEST(test_storage_that_is_too_small_is_refused_untouched),
		SCRATCH_TEST(test_empty_storage_that_grows_gets_the_size),
		SCRATCH_TEST(test_storage_says_in_which_pieces_and_lends_the_memory),
		SCRATCH_TEST(test_an_image_can_be_made_in_storage),
	};

	return RUN_TESTS(tests);
}
