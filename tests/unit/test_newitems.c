/* SPDX-License-Identifier: MIT */
/* Metadata items that are added, replaced and removed through the log: all of a call's or none, and nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/guid.h"
#include "meta/newitems.h"
#include "store/io.h"
#include "support/recorder.h"
#include "support/unit.h"
#include "vdisk/writer.h"

#define ID(byte) ((struct vhdx_guid){{(byte), 7}})

struct items_case {
	struct sparse file;
	struct recorder recorder;
	struct vhdx_io io;
	struct vhdx *disk;
};

static void open_disk(struct items_case *c, uint32_t flags)
{
	struct vhdx_open_options options = {
		.size = sizeof(options), .flags = flags, .name = "disk.vhdx"};

	assert_int_equal(vhdx_open_io(&c->io, &options, &c->disk), 0);
}

static int make(void **state)
{
	struct items_case *c = calloc(1, sizeof(*c));
	struct vhdx_create_options options = {.size = sizeof(options), .virtual_size = 8 * MIB};

	c->recorder.bytes = &c->file;
	c->io = recorder_io(&c->recorder);
	assert_int_equal(vhdx_create_io(&c->io, &options), 0);
	open_disk(c, VHDX_OPEN_WRITE);
	*state = c;
	return 0;
}

static int drop(void **state)
{
	struct items_case *c = *state;

	vhdx_close(c->disk);
	recorder_clear(&c->recorder);
	sparse_free(&c->file);
	free(c);
	return 0;
}

static int change(struct items_case *c, const struct item_change *changes, unsigned count)
{
	struct writer *writer = c->disk->writer;

	assert_int_equal(vhdx_gate_pass(c->disk, GATE_METADATA), 0);
	return vhdx_items_change(&c->disk->image, &writer->journal, &writer->areas, changes, count);
}

static const struct metadata_item *find(const struct items_case *c, struct vhdx_guid id)
{
	const struct image *image = &c->disk->image;

	for (unsigned i = 0; i < image->item_count; i++)
		if (guid_equal(&image->items[i].id, &id))
			return &image->items[i];
	return NULL;
}

static void assert_item(const struct items_case *c, struct vhdx_guid id, const void *bytes,
			uint32_t length)
{
	const struct metadata_item *item = find(c, id);
	uint8_t *found = malloc(length + 1);

	assert_non_null(item);
	assert_int_equal(item->length, length);
	assert_int_equal(vhdx_io_read(&c->io, found, length,
				      c->disk->image.metadata.file_offset + item->offset),
			 0);
	assert_memory_equal(found, bytes, length);
	free(found);
}

static void renew(struct items_case *c)
{
	assert_int_equal(vhdx_disk_renew(c->disk), 0);
}

static void test_items_come_change_and_go(void **state)
{
	struct items_case *c = *state;
	struct item_change one = {ID(1), ITEM_IS_USER, "first", 5, false};
	struct item_change two = {ID(2), ITEM_IS_VIRTUAL_DISK, "second item", 11, false};
	struct item_change both[] = {one, two};

	assert_int_equal(change(c, both, 2), 0);
	renew(c);
	assert_item(c, ID(1), "first", 5);
	assert_item(c, ID(2), "second item", 11);
	assert_int_equal(find(c, ID(2))->flags, ITEM_IS_VIRTUAL_DISK);
	both[0].remove = true;
	both[1].bytes = "shorter";
	both[1].length = 7;
	assert_int_equal(change(c, both, 2), 0);
	renew(c);
	assert_null(find(c, ID(1)));
	assert_item(c, ID(2), "shorter", 7);
	assert_int_equal(c->disk->image.item_count, 6);
}

/* A crash in between shows the old items, so their values must still be there. */
static void test_no_value_is_written_where_another_was_before_the_call(void **state)
{
	struct items_case *c = *state;
	struct item_change changes[] = {
		{ID(1), ITEM_IS_USER, "first", 5, false},
		{ID(2), ITEM_IS_USER, "other", 5, false},
	};

	assert_int_equal(change(c, changes, 2), 0);
	uint32_t first = find(c, ID(1))->offset;
	uint32_t second = find(c, ID(2))->offset;

	changes[0].remove = true;
	changes[1].bytes = "newer";
	assert_int_equal(change(c, changes, 2), 0);
	assert_int_not_equal(find(c, ID(2))->offset, first);
	assert_int_not_equal(find(c, ID(2))->offset, second);
}

static void test_a_value_of_many_changes_is_whole(void **state)
{
	struct items_case *c = *state;
	uint32_t length = 300 * 1024 + 3;
	uint8_t *bytes = malloc(length);

	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i / 4096 + i);
	struct item_change item = {ID(3), ITEM_IS_USER, bytes, length, false};

	assert_int_equal(change(c, &item, 1), 0);
	renew(c);
	assert_item(c, ID(3), bytes, length);
	free(bytes);
}

static void test_an_empty_item_has_no_place(void **state)
{
	struct items_case *c = *state;
	struct item_change item = {ID(4), ITEM_IS_USER, NULL, 0, false};

	assert_int_equal(change(c, &item, 1), 0);
	renew(c);
	assert_non_null(find(c, ID(4)));
	assert_int_equal(find(c, ID(4))->offset, 0);
}

static void test_the_users_item_is_not_the_systems(void **state)
{
	struct items_case *c = *state;
	struct item_change item = {vhdx_item_rules[VIRTUAL_DISK_SIZE].id, ITEM_IS_USER, "mine", 4,
				   false};

	assert_int_equal(change(c, &item, 1), 0);
	renew(c);
	assert_int_equal(c->disk->image.item_count, 6);
	assert_int_equal(c->disk->image.virtual_size, 8 * MIB);
}

static void test_without_room_nothing_changes(void **state)
{
	struct items_case *c = *state;
	uint32_t length = 1024 * 1024;
	uint8_t *bytes = calloc(1, length);
	struct item_change changes[] = {{ID(5), ITEM_IS_USER, "small", 5, false},
					{ID(6), ITEM_IS_USER, bytes, length, false}};

	assert_int_equal(change(c, changes, 2), -ENOSPC);
	changes[1].length++;
	assert_int_equal(change(c, changes, 2), -ENOSPC);
	assert_null(find(c, ID(5)));
	renew(c);
	assert_null(find(c, ID(5)));
	assert_int_equal(c->disk->image.item_count, 5);
	free(bytes);
}

static void test_a_table_takes_as_many_as_the_format_allows(void **state)
{
	struct items_case *c = *state;
	struct item_change item = {.flags = ITEM_IS_USER, .bytes = "x", .length = 1};
	unsigned count = c->disk->image.item_count;

	for (; count < MAX_ITEMS; count++) {
		item.id = (struct vhdx_guid){{9, (uint8_t)count, (uint8_t)(count >> 8), 1}};
		assert_int_equal(change(c, &item, 1), 0);
	}
	item.id = ID(8);
	assert_int_equal(change(c, &item, 1), -ENOSPC);
	renew(c);
	assert_int_equal(c->disk->image.item_count, MAX_ITEMS);
}

/* What the table names is never written: the old item is there, whole, until the new table is durable. */
static void test_old_values_stay_where_they_are(void **state)
{
	struct items_case *c = *state;
	struct item_change item = {ID(1), ITEM_IS_USER, "old value", 9, false};
	uint32_t offset;

	assert_int_equal(change(c, &item, 1), 0);
	renew(c);
	offset = find(c, ID(1))->offset;
	item.bytes = "new value";
	assert_int_equal(change(c, &item, 1), 0);
	renew(c);
	assert_int_not_equal(find(c, ID(1))->offset, offset);
	uint8_t old[9];

	assert_int_equal(vhdx_io_read(&c->io, old, 9, c->disk->image.metadata.file_offset + offset),
			 0);
	assert_memory_equal(old, "old value", 9);
}

static void test_the_guests_data_have_not_changed(void **state)
{
	struct items_case *c = *state;
	struct vhdx_info before = {.size = sizeof(before)};
	struct vhdx_info after = before;
	struct item_change item = {ID(1), ITEM_IS_USER, "value", 5, false};

	vhdx_get_info(c->disk, &before);
	assert_int_equal(change(c, &item, 1), 0);
	renew(c);
	vhdx_get_info(c->disk, &after);
	assert_true(guid_equal(&before.data_write_guid, &after.data_write_guid));
	assert_false(guid_equal(&before.file_write_guid, &after.file_write_guid));
	assert_int_equal(after.log_state, VHDX_LOG_CLEAN);
}

#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DISK(test_items_come_change_and_go),
		WITH_DISK(test_no_value_is_written_where_another_was_before_the_call),
		WITH_DISK(test_a_value_of_many_changes_is_whole),
		WITH_DISK(test_an_empty_item_has_no_place),
		WITH_DISK(test_the_users_item_is_not_the_systems),
		WITH_DISK(test_without_room_nothing_changes),
		WITH_DISK(test_a_table_takes_as_many_as_the_format_allows),
		WITH_DISK(test_old_values_stay_where_they_are),
		WITH_DISK(test_the_guests_data_have_not_changed),
	};

	return RUN_TESTS(tests);
}
