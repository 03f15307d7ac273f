/* SPDX-License-Identifier: MIT */
/* Trims of a child whose parent has larger blocks. */
#include "support/newdisk.h"

#define MIB ((uint64_t)1 << 20)

static struct vhdx *open_for_writing(const char *path)
{
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = VHDX_OPEN_WRITE | VHDX_OPEN_ANY_PARENT};
	struct vhdx *disk = NULL;

	assert_int_equal(vhdx_open(path, &options, &disk), 0);
	return disk;
}

/* A child with blocks of 2 MiB of a parent with one of 32 MiB, all of it data. */
static struct vhdx *make_child(void)
{
	uint8_t *bytes = malloc(32 * MIB);

	assert_non_null(bytes);
	memset(bytes, 7, 32 * MIB);
	create("parent.vhdx", VHDX_DYNAMIC, 32 * MIB, 32 * (uint32_t)MIB);
	struct vhdx *parent = open_for_writing("parent.vhdx");

	assert_int_equal(vhdx_pwrite(parent, bytes, 32 * MIB, 0, 0), 0);
	assert_int_equal(vhdx_close(parent), 0);
	free(bytes);
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_ANY_PARENT};
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);

	options.parent = "parent.vhdx";
	options.parent_options = &open;
	options.block_size = 2 * (uint32_t)MIB;
	assert_int_equal(vhdx_create("child.vhdx", &options), 0);
	return open_for_writing("child.vhdx");
}

static void test_a_trim_drops_every_whole_block_behind_a_part(void **state)
{
	struct vhdx_extent extents[8];
	struct vhdx *disk = make_child();
	size_t count = 8;

	(void)state;
	assert_int_equal(vhdx_trim(disk, 1 * MIB, 20 * MIB, 0), 0);
	assert_int_equal(vhdx_extents(disk, 0, 32 * MIB, VHDX_EXTENTS_THIS_LAYER, extents, &count),
			 0);
	assert_int_equal(count, 3);
	assert_int_equal(extents[0].type, VHDX_EXTENT_PARENT);
	assert_int_equal(extents[0].length, 2 * MIB);
	assert_int_equal(extents[1].type, VHDX_EXTENT_ZERO);
	assert_int_equal(extents[1].length, 18 * MIB);
	assert_int_equal(extents[2].type, VHDX_EXTENT_PARENT);
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_a_trim_of_parts_that_are_the_parents_changes_nothing(void **state)
{
	struct vhdx *disk = make_child();
	size_t before_size;
	size_t after_size;
	uint8_t *before = scratch_read("child.vhdx", &before_size);

	(void)state;
	assert_int_equal(vhdx_trim(disk, 1 * MIB, 2 * MIB, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
	uint8_t *after = scratch_read("child.vhdx", &after_size);

	assert_int_equal(after_size, before_size);
	assert_int_equal(memcmp(after, before, before_size), 0);
	free(before);
	free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_trim_drops_every_whole_block_behind_a_part),
		SCRATCH_TEST(test_a_trim_of_parts_that_are_the_parents_changes_nothing),
	};

	return RUN_TESTS(tests);
}
