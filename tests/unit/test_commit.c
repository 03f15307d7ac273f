/* SPDX-License-Identifier: MIT */
/* vhdx_commit and vhdx_rebase: what they refuse, and which metadata a merge takes over. */
#include <errno.h>

#include "meta/newitems.h"
#include "ops/fork.h"
#include "support/newdisk.h"
#include "vdisk/writer.h"

#define MIB ((uint64_t)1 << 20)

static void make_chain(void)
{
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	create_child("mid.vhdx", "base.vhdx");
	create_child("leaf.vhdx", "mid.vhdx");
}

static struct vhdx *open_for(const char *path, uint32_t flags, unsigned write_parents)
{
	struct vhdx_open_options options = {
		.size = sizeof(options), .flags = flags, .write_parents = write_parents};
	struct vhdx *disk;

	assert_int_equal(vhdx_open(path, &options, &disk), 0);
	return disk;
}

static int commit(struct vhdx *disk, struct vhdx *into, uint32_t flags)
{
	struct vhdx_commit_options options = {
		.size = sizeof(options), .into = into, .flags = flags};

	return vhdx_commit(disk, &options);
}

static void assert_says(const char *text)
{
	if (!strstr(vhdx_last_error()->text, text))
		fail_msg("\"%s\" does not say \"%s\"", vhdx_last_error()->text, text);
}

static void test_a_merge_needs_its_arguments(void **state)
{
	struct vhdx *disk;

	(void)state;
	make_chain();
	assert_int_equal(vhdx_commit(NULL, NULL), -EINVAL);
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 1);
	assert_int_equal(commit(disk, NULL, 0x80), -EINVAL);
	assert_int_equal(commit(disk, disk, 0), -EINVAL);
	assert_says("no ancestor");
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_a_merge_needs_all_that_it_concerns_open_for_writing(void **state)
{
	struct vhdx *disk;

	(void)state;
	make_chain();
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 1);
	assert_int_equal(commit(disk, vhdx_get_parent(vhdx_get_parent(disk)), 0), -EROFS);
	assert_says("write_parents of at least 2");
	assert_int_equal(commit(disk, NULL, 0), 0); /* into the nearest */
	assert_int_equal(vhdx_close(disk), 0);
	disk = open_for("leaf.vhdx", 0, 0);
	assert_int_equal(commit(disk, NULL, 0), -EROFS);
	vhdx_close(disk);
	disk = open_for("base.vhdx", VHDX_OPEN_WRITE, 0);
	assert_int_equal(commit(disk, NULL, 0), -EINVAL);
	assert_says("no open parent");
	vhdx_close(disk);
}

/* A chain that was opened although its parent was changed is not made to look whole. */
static void test_a_parent_that_was_changed_is_not_merged_into(void **state)
{
	struct vhdx *disk;

	(void)state;
	make_chain();
	disk = open_for("mid.vhdx", VHDX_OPEN_WRITE, 0);
	assert_int_equal(vhdx_pwrite(disk, "changed", 7, 0, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE | VHDX_OPEN_IGNORE_ID_MISMATCH, 1);
	assert_int_equal(commit(disk, NULL, VHDX_COMMIT_FORCE), -EUCLEAN);
	assert_says("expected it unchanged");
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_the_disk_can_be_used_on_after_a_merge(void **state)
{
	struct vhdx_info child = {.size = sizeof(child)};
	struct vhdx_info parent = {.size = sizeof(parent)};
	char bytes[4096], found[4096], text[VHDX_GUID_TEXT_SIZE];
	struct vhdx *disk;

	(void)state;
	make_chain();
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 1);
	for (int i = 1; i <= 2; i++) {
		memset(bytes, i, sizeof(bytes));
		assert_int_equal(vhdx_pwrite(disk, bytes, sizeof(bytes), (uint64_t)i * MIB, 0), 0);
		assert_int_equal(commit(disk, NULL, 0), 0);
		assert_int_equal(
			vhdx_pread(vhdx_get_parent(disk), found, sizeof(found), (uint64_t)i * MIB),
			0);
		assert_memory_equal(found, bytes, sizeof(found));
		vhdx_get_info(disk, &child);
		vhdx_get_info(vhdx_get_parent(disk), &parent);
		assert_non_null(strstr(child.parent_linkage,
				       vhdx_guid_text(&parent.data_write_guid, text)));
	}
	assert_int_equal(vhdx_close(disk), 0);
}

/* ---- Items ---- */

#define OF_THE_DISK ((uint32_t)(ITEM_IS_USER | ITEM_IS_VIRTUAL_DISK))

static struct vhdx_guid id_of(uint8_t number)
{
	return (struct vhdx_guid){{number, 1, 2, 3}};
}

static void put_item(const char *path, uint8_t number, uint32_t flags, const char *value)
{
	struct vhdx *disk = open_for(path, VHDX_OPEN_WRITE, 0);
	struct item_change change = {.id = id_of(number),
				     .flags = flags,
				     .bytes = value,
				     .length = (uint32_t)strlen(value)};

	assert_int_equal(vhdx_gate_pass(disk, GATE_METADATA), 0);
	assert_int_equal(vhdx_items_change(&disk->image, &disk->writer->journal,
					   &disk->writer->areas, &change, 1),
			 0);
	assert_int_equal(vhdx_close(disk), 0);
}

/* The value of an item that belongs to the disk, or "" when there is none. */
static void assert_item(const char *path, uint8_t number, const char *expected)
{
	struct vhdx *disk = open_for(path, 0, 0);
	struct vhdx_guid id = id_of(number);
	struct forked_items items;
	char found[32] = "";

	assert_int_equal(vhdx_fork_items(disk, &items), 0);
	for (unsigned i = 0; i < items.count; i++)
		if (!memcmp(&items.items[i].id, &id, sizeof(id)))
			memcpy(found, items.items[i].bytes, items.items[i].length);
	assert_string_equal(found, expected);
	vhdx_forked_items_free(&items);
	vhdx_close(disk);
}

static void test_a_merge_takes_the_items_of_the_disk_and_leaves_the_files(void **state)
{
	struct vhdx *disk;
	bool kept = false;

	(void)state;
	create("base.vhdx", VHDX_DYNAMIC, 8 * MIB, 0);
	create_child("leaf.vhdx", "base.vhdx");
	put_item("base.vhdx", 1, OF_THE_DISK, "only the parent's");
	put_item("base.vhdx", 2, OF_THE_DISK, "old");
	put_item("base.vhdx", 3, OF_THE_DISK, "the same");
	put_item("base.vhdx", 4, ITEM_IS_USER, "the file's");
	put_item("leaf.vhdx", 2, OF_THE_DISK, "new");
	put_item("leaf.vhdx", 3, OF_THE_DISK, "the same");
	put_item("leaf.vhdx", 5, OF_THE_DISK, "only the child's");
	put_item("leaf.vhdx", 6, ITEM_IS_USER, "the child's file's");
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 1);
	assert_int_equal(commit(disk, NULL, 0), 0);
	for (unsigned i = 0; i < disk->parent->image.item_count; i++) {
		uint8_t number = disk->parent->image.items[i].id.bytes[0];
		struct vhdx_guid id = id_of(number);

		if (memcmp(&disk->parent->image.items[i].id, &id, sizeof(id)))
			continue;
		assert_int_not_equal(number, 6);
		kept |= number == 4;
	}
	assert_true(kept);
	assert_int_equal(vhdx_close(disk), 0);
	assert_item("base.vhdx", 1, "");
	assert_item("base.vhdx", 2, "new");
	assert_item("base.vhdx", 3, "the same");
	assert_item("base.vhdx", 5, "only the child's");
}

/* ---- Another parent ---- */

static void test_a_rebase_needs_its_arguments(void **state)
{
	struct vhdx_rebase_options options = {.size = sizeof(options)};
	struct vhdx_open_options writable = {.size = sizeof(writable), .flags = VHDX_OPEN_WRITE};
	struct vhdx *disk;

	(void)state;
	make_chain();
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 0);
	assert_int_equal(vhdx_rebase(NULL, &options), -EINVAL);
	assert_int_equal(vhdx_rebase(disk, NULL), -EINVAL);
	assert_int_equal(vhdx_rebase(disk, &options), -EINVAL);
	assert_says("no parent");
	options.parent = "base.vhdx";
	options.flags = 0x80;
	assert_int_equal(vhdx_rebase(disk, &options), -EINVAL);
	options.flags = 0;
	options.parent_options = &writable;
	assert_int_equal(vhdx_rebase(disk, &options), -EINVAL);
	assert_says("read only");
	assert_int_equal(vhdx_close(disk), 0);
	options.parent_options = NULL;
	disk = open_for("leaf.vhdx", 0, 0);
	assert_int_equal(vhdx_rebase(disk, &options), -EROFS);
	vhdx_close(disk);
}

static void test_the_disk_has_its_new_parent_open_after_a_rebase(void **state)
{
	struct vhdx_rebase_options options = {.size = sizeof(options), .parent = "base.vhdx"};
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	(void)state;
	make_chain();
	disk = open_for("leaf.vhdx", VHDX_OPEN_WRITE, 0);
	assert_int_equal(vhdx_rebase(disk, &options), 0);
	vhdx_get_info(vhdx_get_parent(disk), &info);
	assert_string_equal(info.path, "base.vhdx");
	vhdx_get_info(disk, &info);
	assert_string_equal(info.relative_path, ".\\base.vhdx");
	/* Nobody holds the old one any more. */
	vhdx_close(open_for("mid.vhdx", VHDX_OPEN_WRITE, 0));
	char byte = 1;

	assert_int_equal(vhdx_pwrite(disk, &byte, 1, MIB, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_merge_needs_its_arguments),
		SCRATCH_TEST(test_a_merge_needs_all_that_it_concerns_open_for_writing),
		SCRATCH_TEST(test_a_parent_that_was_changed_is_not_merged_into),
		SCRATCH_TEST(test_the_disk_can_be_used_on_after_a_merge),
		SCRATCH_TEST(test_a_merge_takes_the_items_of_the_disk_and_leaves_the_files),
		SCRATCH_TEST(test_a_rebase_needs_its_arguments),
		SCRATCH_TEST(test_the_disk_has_its_new_parent_open_after_a_rebase),
	};

	return RUN_TESTS(tests);
}
