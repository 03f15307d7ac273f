/* SPDX-License-Identifier: MIT */
/* vhdx_create of differencing disks: what a child has of its parent, and what it says of him. */
#include <errno.h>

#include <vhdx.h>

#include "format/metadata.h"
#include "ops/build.h"
#include "ops/link.h"
#include "store/io.h"
#include "support/bytes.h"
#include "support/newdisk.h"

static void test_a_child_takes_after_its_parent(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, 100 * MIB);
	struct vhdx_info parent, child;

	(void)state;
	options.logical_sector_size = options.physical_sector_size = 4096;
	options.block_size = 32 * MIB;
	assert_int_equal(vhdx_create("parent", &options), 0);
	create_child("child", "parent");
	struct vhdx *disk = open_disk("child", &child);
	struct vhdx *base = open_disk("parent", &parent);
	char text[VHDX_GUID_TEXT_SIZE];

	assert_int_equal(child.type, VHDX_DIFFERENCING);
	assert_int_equal(child.virtual_size, 100 * MIB);
	assert_int_equal(child.logical_sector_size, 4096);
	assert_int_equal(child.physical_sector_size, 4096);
	assert_int_equal(child.block_size, 2 * MIB);
	assert_memory_equal(child.disk_id.bytes, parent.disk_id.bytes, 16);
	assert_memory_not_equal(child.data_write_guid.bytes, parent.data_write_guid.bytes, 16);
	assert_memory_equal(child.parent_linkage + 1, vhdx_guid_text(&parent.data_write_guid, text),
			    36);
	assert_string_equal(child.relative_path, ".\\parent");
	assert_null(child.parent_linkage2);
	assert_null(child.absolute_win32_path);
	vhdx_close(disk);
	vhdx_close(base);
}

static void test_paths_are_right_through_links(void **state)
{
	struct vhdx_info info;

	(void)state;
	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(mkdir("b", 0755), 0);
	create("a/parent", VHDX_DYNAMIC, MIB, 0);
	assert_int_equal(symlink("a/parent", "link"), 0);
	assert_int_equal(symlink("b", "folder"), 0);
	create_child("folder/child", "link");
	struct vhdx *disk = open_disk("b/child", &info);

	assert_string_equal(info.relative_path, "..\\a\\parent");
	assert_non_null(vhdx_get_parent(disk));
	vhdx_close(disk);
}

static void assert_relative(const char *folder, const char *file, const char *expected)
{
	char *path = NULL;

	assert_int_equal(vhdx_link_relative(folder, file, &path), 0);
	assert_string_equal(path, expected);
	free(path);
}

static void test_relative_paths(void **state)
{
	(void)state;
	assert_relative("/a/b", "/a/b/p", ".\\p");
	assert_relative("/a/b", "/a/b/c/p", ".\\c\\p");
	assert_relative("/a/b", "/a/p", "..\\p");
	assert_relative("/a/b", "/a/bc/p", "..\\bc\\p");
	assert_relative("/a/bc", "/a/b/p", "..\\b\\p");
	assert_relative("/a/b", "/a/b.vhdx", "..\\b.vhdx");
	assert_relative("/a/b", "/x/y/p", "..\\..\\x\\y\\p");
	assert_relative("/", "/p", ".\\p");
	assert_relative("/", "/a/p", ".\\a\\p");
	assert_relative("/a", "/p", "..\\p");
}

static void test_names_that_windows_cannot_have_are_refused(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);

	(void)state;
	create("a\\b", VHDX_DYNAMIC, MIB, 0);
	create("a\xff", VHDX_DYNAMIC, MIB, 0);
	options.parent = "a\\b";
	assert_int_equal(vhdx_create("child", &options), -EINVAL);
	assert_non_null(strstr(vhdx_last_error()->text, "backslash"));
	options.parent = "a\xff";
	assert_int_equal(vhdx_create("child", &options), -EINVAL);
	assert_non_null(strstr(vhdx_last_error()->text, "UTF-8"));
	assert_int_equal(scratch_count(), 2);
}

static void test_windows_paths(void **state)
{
	static const char *const good[] = {"C:\\p.vhdx", "\\\\?\\c:\\a\\p", "\\\\srv\\share\\p",
					   "\\\\?\\UNC\\srv\\share\\p"};
	static const char *const bad[] = {"",
					  "p",
					  "C:p",
					  "C:\\",
					  "C:/p",
					  "\\p",
					  "\\\\srv\\p",
					  "\\\\?\\p",
					  "C:\\p\\",
					  "\\\\?\\UNC\\s\\p",
					  "\\\\.\\C:\\p",
					  "1:\\p"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(vhdx_link_check_windows_path(good[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(vhdx_link_check_windows_path(bad[i]), -EINVAL);
}

static void test_the_windows_path_is_recorded(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);
	struct vhdx_info info;

	(void)state;
	create("parent", VHDX_DYNAMIC, MIB, 0);
	options.parent = "parent";
	options.windows_path = "C:\\images\\parent";
	assert_int_equal(vhdx_create("child", &options), 0);
	struct vhdx *disk = open_disk("child", &info);

	assert_string_equal(info.absolute_win32_path, "C:\\images\\parent");
	vhdx_close(disk);
}

/* Makes a child with the parent's seed. */
static void create_seeded_child(const char *path, const char *parent)
{
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);

	options.parent = parent;
	options.seed = "seed";
	options.seed_size = 4;
	assert_int_equal(vhdx_create(path, &options), 0);
}

static void test_parent_and_child_of_one_seed_differ(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, MIB);
	const char *const names[] = {"parent", "child", "grandchild"};
	struct vhdx_guid guids[3];

	(void)state;
	options.seed = "seed";
	options.seed_size = 4;
	assert_int_equal(vhdx_create("parent", &options), 0);
	create_seeded_child("child", "parent");
	create_seeded_child("grandchild", "child");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct vhdx_info info;
		struct vhdx *disk = open_disk(names[i], &info);

		guids[i] = info.data_write_guid;
		vhdx_close(disk);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(guids[i].bytes, guids[j].bytes, 16);
	}
}

static void test_a_seed_and_a_parent_decide_every_byte(void **state)
{
	(void)state;
	create("parent", VHDX_DYNAMIC, MIB, 0);
	create_seeded_child("a", "parent");
	create_seeded_child("b", "parent");
	scratch_assert_same("a", "b");
}

static void count_warning(void *opaque, const char *file, const char *text)
{
	assert_non_null(strstr(file, "parent"));
	assert_string_not_equal(text, "");
	++*(unsigned *)opaque;
}

static unsigned warnings_of(const char *child, const char *parent)
{
	unsigned warnings = 0;
	struct vhdx_open_options open = {
		.size = sizeof(open), .warning = count_warning, .opaque = &warnings};
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);

	options.parent = parent;
	options.parent_options = &open;
	assert_int_equal(vhdx_create(child, &options), 0);
	return warnings;
}

static void test_a_child_outside_its_parents_folder_is_warned_of(void **state)
{
	(void)state;
	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(mkdir("b", 0755), 0);
	create("a/parent", VHDX_DYNAMIC, MIB, 0);
	assert_int_equal(warnings_of("b/child", "a/parent"), 1);
	assert_int_equal(warnings_of("a/child", "a/parent"), 0);
	assert_int_equal(warnings_of("child", "a/parent"), 0); /* below its own folder */
}

static void test_a_child_in_storage_names_its_parent_from_the_current_folder(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);
	struct vhdx_info info;
	struct vhdx_io io;

	(void)state;
	assert_int_equal(mkdir("a", 0755), 0);
	create("a/parent", VHDX_DYNAMIC, MIB, 0);
	scratch_resize("child", 0);
	assert_int_equal(vhdx_file_io("child", VHDX_FILE_WRITE, &io), 0);
	options.parent = "a/parent";
	assert_int_equal(vhdx_create_io(&io, &options), 0);
	vhdx_io_close(&io);
	struct vhdx *disk = open_disk("child", &info);

	assert_string_equal(info.relative_path, ".\\a\\parent");
	vhdx_close(disk);
}

static void test_another_size_than_the_parents_is_refused(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 2 * MIB);

	(void)state;
	create("parent", VHDX_DYNAMIC, MIB, 0);
	options.parent = "parent";
	assert_int_equal(vhdx_create("child", &options), -EINVAL);
	options.virtual_size = MIB;
	options.logical_sector_size = 4096;
	assert_int_equal(vhdx_create("child", &options), -EINVAL);
	options.logical_sector_size = 0;
	assert_int_equal(vhdx_create("child", &options), 0);
}

static void test_a_parent_is_never_replaced_by_its_child(void **state)
{
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);

	(void)state;
	create("grandparent", VHDX_DYNAMIC, MIB, 0);
	create_child("parent", "grandparent");
	options.parent = "parent";
	options.flags |= VHDX_CREATE_FORCE;
	assert_int_equal(vhdx_create("parent", &options), -EINVAL);
	assert_int_equal(vhdx_create("grandparent", &options), -EINVAL);
	assert_int_equal(vhdx_probe("grandparent"), 1);
}

/* F 5: items of the virtual disk go to the child, those of the file stay. */
static void test_unknown_items_of_the_disk_are_copied(void **state)
{
	struct plan_item items[] = {
		{GUID(1), ITEM_IS_VIRTUAL_DISK, 5, "first"},
		{GUID(2), ITEM_IS_USER, 6, "second"},
		{GUID(3), ITEM_IS_VIRTUAL_DISK | ITEM_IS_USER, 0, NULL},
		{GUID(4), ITEM_IS_VIRTUAL_DISK | ITEM_IS_USER, 6, "fourth"},
	};
	struct vhdx_create_options options = options_of(VHDX_DYNAMIC, MIB);
	struct image_plan plan;
	struct builder builder;
	struct vhdx_io io;
	struct metadata_item found;
	size_t size;

	(void)state;
	scratch_resize("parent", 0);
	assert_int_equal(vhdx_file_io("parent", VHDX_FILE_WRITE, &io), 0);
	assert_int_equal(vhdx_plan_image(&options, false, &plan), 0);
	plan.items = items;
	plan.nitems = ARRAY_SIZE(items);
	assert_int_equal(vhdx_builder_begin(&io, "parent", &plan, &builder), 0);
	assert_int_equal(vhdx_builder_finish(&builder, MIB), 0);
	vhdx_builder_free(&builder);
	vhdx_io_close(&io);
	create_child("child", "parent");
	uint8_t *bytes = scratch_read("child", &size);

	assert_int_equal(get_number(bytes + 2 * MIB + 10, 2), 5 + 1 + 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct plan_item *item = &items[i ? i + 1 : 0];

		assert_int_equal(vhdx_metadata_item_decode(bytes + 2 * MIB, MIB, 6 + i, &found), 0);
		assert_memory_equal(found.id.bytes, item->id.bytes, 16);
		assert_int_equal(found.flags, item->flags);
		assert_int_equal(found.length, item->length);
		if (item->length)
			assert_memory_equal(bytes + 2 * MIB + found.offset, item->bytes,
					    item->length);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_child_takes_after_its_parent),
		SCRATCH_TEST(test_paths_are_right_through_links),
		SCRATCH_TEST(test_relative_paths),
		SCRATCH_TEST(test_names_that_windows_cannot_have_are_refused),
		SCRATCH_TEST(test_windows_paths),
		SCRATCH_TEST(test_the_windows_path_is_recorded),
		SCRATCH_TEST(test_parent_and_child_of_one_seed_differ),
		SCRATCH_TEST(test_a_seed_and_a_parent_decide_every_byte),
		SCRATCH_TEST(test_a_child_outside_its_parents_folder_is_warned_of),
		SCRATCH_TEST(test_a_child_in_storage_names_its_parent_from_the_current_folder),
		SCRATCH_TEST(test_another_size_than_the_parents_is_refused),
		SCRATCH_TEST(test_a_parent_is_never_replaced_by_its_child),
		SCRATCH_TEST(test_unknown_items_of_the_disk_are_copied),
	};

	return RUN_TESTS(tests);
}
