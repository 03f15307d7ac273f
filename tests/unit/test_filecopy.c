/* SPDX-License-Identifier: MIT */
/* Ranges of files that the kernel copies, and how files that share blocks are aligned. */
#include <errno.h>
#include <sys/syscall.h>

#include "base/arith.h"
#include "format/ondisk.h"
#include "store/file.h"
#include "store/filecopy.h"
#include "store/io.h"
#include "store/memory.h"
#include "support/random.h"
#include "support/scratch.h"

#define SIZE (3 * MIB + 5)

static size_t most; /* that one call copies; 0: as it likes */
static unsigned interruptions;

/* Takes libc's place: a kernel that copies little at a time, and is interrupted. */
ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size,
			unsigned flags)
{
	if (interruptions) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	if (most && size > most)
		size = most;
	return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
}

struct files {
	struct vhdx_io from;
	struct vhdx_io to;
	uint8_t *bytes;
};

static struct files make(void)
{
	struct files files = {.bytes = malloc(SIZE)};
	struct rng rng = rng_make(1);

	rng_fill(&rng, files.bytes, SIZE);
	scratch_write("from", files.bytes, SIZE, 0);
	scratch_resize("to", 0);
	assert_int_equal(vhdx_file_io("from", 0, &files.from), 0);
	assert_int_equal(vhdx_file_io("to", VHDX_FILE_WRITE, &files.to), 0);
	return files;
}

static void drop(struct files *files)
{
	vhdx_io_close(&files->from);
	vhdx_io_close(&files->to);
	free(files->bytes);
}

static void check_range(uint64_t offset, uint64_t source_offset, uint64_t length)
{
	struct files files = make();
	size_t size;

	assert_int_equal(
		vhdx_file_copy_range(&files.to, offset, &files.from, source_offset, length), 0);
	uint8_t *got = scratch_read("to", &size);

	assert_int_equal(size, offset + length);
	assert_int_equal(memcmp(got + offset, files.bytes + source_offset, length), 0);
	free(got);
	drop(&files);
}

static void test_a_range_of_any_alignment_is_copied(void **state)
{
	(void)state;
	check_range(0, 0, SIZE);
	check_range(4096, MIB, MIB);
	check_range(777, 3, 2 * MIB + 1);
}

static void test_a_copy_in_many_parts_is_whole(void **state)
{
	(void)state;
	most = 100000;
	interruptions = 3;
	check_range(777, 3, 2 * MIB + 1);
	most = 0;
}

static void test_a_source_that_ends_too_early_is_an_error(void **state)
{
	struct files files = make();

	(void)state;
	assert_int_equal(vhdx_file_copy_range(&files.to, 0, &files.from, MIB, SIZE), -EIO);
	drop(&files);
}

static void test_what_is_no_file_is_not_copied(void **state)
{
	struct files files = make();
	struct vhdx_io memory;

	(void)state;
	assert_int_equal(vhdx_memory_io(NULL, 100, &memory), 0);
	assert_int_equal(vhdx_file_copy_range(&memory, 0, &files.from, 0, 100), -EOPNOTSUPP);
	assert_int_equal(vhdx_file_copy_range(&files.to, 0, &memory, 0, 100), -EOPNOTSUPP);
	assert_int_equal(vhdx_file_share_unit(&memory), 4096);
	assert_false(vhdx_file_is_remote(&memory));
	vhdx_io_close(&memory);
	drop(&files);
}

static void test_a_local_file_is_not_left_to_the_kernel(void **state)
{
	struct files files = make();

	(void)state;
	assert_false(vhdx_file_is_remote(&files.from));
	assert_true(is_power_of_two(vhdx_file_share_unit(&files.from)));
	assert_in_range(vhdx_file_share_unit(&files.from), 4096, 65536);
	drop(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_range_of_any_alignment_is_copied),
		SCRATCH_TEST(test_a_copy_in_many_parts_is_whole),
		SCRATCH_TEST(test_a_source_that_ends_too_early_is_an_error),
		SCRATCH_TEST(test_what_is_no_file_is_not_copied),
		SCRATCH_TEST(test_a_local_file_is_not_left_to_the_kernel),
	};

	return RUN_TESTS(tests);
}
