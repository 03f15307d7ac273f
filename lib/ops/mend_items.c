/* SPDX-License-Identifier: MIT */
/*
 * Repair of the metadata table (F 5). Its entries are mended in RAM and written once; values that move or
 * are new go to room that no item takes.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "meta/itemplaces.h"
#include "ops/itemvalues.h"
#include "ops/lostparent.h"
#include "ops/mendtable.h"
#include "store/io.h"

/* Entries that repeat another at another place: each costs a look at two values of up to 1 MiB. */
#define MAX_JUDGED_DUPLICATES 64u

/* Items that can be added: the Virtual Disk ID, and the Physical Sector Size. */
#define MAX_ADDED 2u

/* The items as they will be. Those of before keep their index. */
struct new_table {
	struct repair *repair;
	const struct image *image;
	struct metadata_item *items;
	bool *gone; /* out of the table; they then have no length */
	unsigned count;
	struct item_room room;
	uint32_t no_room; /* for items as long as that, or longer; 0: there may be for any */
};

static const char *name_of(const struct new_table *table, unsigned index,
			   char text[VHDX_GUID_TEXT_SIZE])
{
	return vhdx_item_name(&table->items[index], text);
}

static void remove_item(struct new_table *table, unsigned index)
{
	table->gone[index] = true;
	table->items[index].length = 0;
}

/* ---- reserved fields ---- */

static void mend_flags(struct new_table *table, unsigned index)
{
	struct metadata_item *item = &table->items[index];
	char text[VHDX_GUID_TEXT_SIZE];

	if (!(item->flags & ~ITEM_ALL_FLAGS) && !item->reserved)
		return;
	vhdx_repair_mended(
		table->repair, PROBLEM_ITEM_FLAGS, item_entry_offset(table->image, index), 0, 0,
		"metadata: reserved flags %#x and %#x of item %s were cleared",
		item->flags & ~ITEM_ALL_FLAGS, item->reserved, name_of(table, index, text));
	item->flags &= ITEM_ALL_FLAGS;
}

static void mend_disk_flag(struct new_table *table, unsigned index)
{
	struct metadata_item *item = &table->items[index];
	enum known_item known = known_item_of(item);

	if (known == KNOWN_ITEMS ||
	    !((item->flags ^ vhdx_item_rules[known].flags) & ITEM_IS_VIRTUAL_DISK))
		return;
	item->flags ^= ITEM_IS_VIRTUAL_DISK;
	vhdx_repair_mended(table->repair, PROBLEM_ITEM_DISK_FLAG,
			   item_entry_offset(table->image, index), 0, 0,
			   "metadata: IsVirtualDisk of %s was %s", vhdx_item_rules[known].name,
			   item->flags & ITEM_IS_VIRTUAL_DISK ? "set" : "cleared");
}

static void mend_empty(struct new_table *table, unsigned index)
{
	struct metadata_item *item = &table->items[index];
	char text[VHDX_GUID_TEXT_SIZE];

	if (item->length || !item->offset || known_item_of(item) != KNOWN_ITEMS)
		return;
	vhdx_repair_mended(table->repair, PROBLEM_ITEM_EMPTY_OFFSET,
			   item_entry_offset(table->image, index), 0, 0,
			   "metadata: the offset %#x of item %s, which is empty, was cleared",
			   item->offset, name_of(table, index, text));
	item->offset = 0;
}

static int clear_reserved(struct new_table *table)
{
	const struct image *image = table->image;

	/* The encoder knows none, of the table or of its entries. */
	if (image->metadata_table.has_reserved)
		vhdx_repair_mended(table->repair, PROBLEM_METADATA_RESERVED,
				   image->metadata.file_offset +
					   offsetof(struct metadata_table_disk, reserved),
				   0, 0, "metadata: reserved fields of the table were cleared");
	for (unsigned i = 0; i < table->count; i++) {
		mend_flags(table, i);
		mend_disk_flag(table, i);
		mend_empty(table, i);
	}
	return 0;
}

/* ---- entries that cannot stay ---- */

/* An unknown item that is required stands in the way of any reader, and so of a repair. */
static bool is_ours_to_remove(const struct metadata_item *item)
{
	return known_item_of(item) == KNOWN_ITEMS && !(item->flags & ITEM_IS_REQUIRED);
}

static void remove_nameless(struct new_table *table)
{
	unsigned first = table->count;
	unsigned removed = 0;

	for (unsigned i = 0; i < table->count; i++)
		if (guid_is_zero(&table->items[i].id) && is_ours_to_remove(&table->items[i])) {
			first = removed++ ? first : i;
			remove_item(table, i);
		}
	if (removed)
		vhdx_repair_mended(table->repair, PROBLEM_ITEM_ZERO_ID,
				   item_entry_offset(table->image, first), 0, 0,
				   "metadata: %u entries without ItemId, from entry %u on, were "
				   "removed",
				   removed, first);
}

/* The one before it that it repeats, or itself. */
static unsigned find_twin(const struct new_table *table, unsigned index)
{
	const struct metadata_item *item = &table->items[index];
	unsigned i = 0;

	while (i < index && (table->gone[i] || !guid_equal(&table->items[i].id, &item->id) ||
			     item_is_user(&table->items[i]) != item_is_user(item)))
		i++;
	return i;
}

/* Of two that are equal the later goes; of two that differ the one whose value cannot be. */
static int judge_twins(struct new_table *table, unsigned first, unsigned second)
{
	const struct metadata_item *a = &table->items[first];
	const struct metadata_item *b = &table->items[second];
	char text[VHDX_GUID_TEXT_SIZE];
	bool equal;
	bool a_right = false;
	bool b_right = false;
	int ret = vhdx_items_are_equal(table->image, a, b, &equal);

	if (!ret && !equal)
		ret = vhdx_item_is_right(table->image, a, &a_right);
	if (!ret && !equal)
		ret = vhdx_item_is_right(table->image, b, &b_right);
	if (ret || (!equal && a_right == b_right))
		return ret;
	unsigned wrong = equal || a_right ? second : first;

	vhdx_repair_mended(
		table->repair, PROBLEM_ITEM_DUPLICATE, item_entry_offset(table->image, wrong), 0, 0,
		"metadata: of item %s, which stood there twice, entry %u, %s, was removed",
		name_of(table, wrong, text), wrong,
		equal ? "the same as the other" : "which was not valid");
	remove_item(table, wrong);
	return 0;
}

static bool is_same_place(const struct metadata_item *a, const struct metadata_item *b)
{
	return a->offset == b->offset && a->length == b->length;
}

/* A table with that many was made to cost time. */
static bool has_too_many_twins(const struct new_table *table)
{
	unsigned costly = 0;

	for (unsigned i = 0; i < table->count; i++)
		costly += !is_same_place(&table->items[i], &table->items[find_twin(table, i)]);
	return costly > MAX_JUDGED_DUPLICATES;
}

static int remove_duplicates(struct new_table *table)
{
	int ret = 0;

	if (has_too_many_twins(table))
		return 0;
	for (unsigned i = 1; i < table->count && !ret; i++) {
		unsigned twin = table->gone[i] ? i : find_twin(table, i);

		if (twin != i)
			ret = judge_twins(table, twin, i);
	}
	return ret;
}

static void remove_misplaced(struct new_table *table)
{
	char text[VHDX_GUID_TEXT_SIZE];

	for (unsigned i = 0; i < table->count; i++) {
		const struct metadata_item *item = &table->items[i];

		if (table->gone[i] || !is_ours_to_remove(item) || !item->length ||
		    vhdx_item_lies_in_region(table->image, item))
			continue;
		vhdx_repair_mended(table->repair, PROBLEM_ITEM_UNKNOWN_PLACE,
				   item_entry_offset(table->image, i), 0, 0,
				   "metadata: item %s, %u bytes at %#x outside of its region, was "
				   "removed",
				   name_of(table, i, text), item->length, item->offset);
		remove_item(table, i);
	}
}

/* F 8: of a disk without a parent. */
static void remove_locator(struct new_table *table)
{
	const struct image *image = table->image;

	if (!image->known_items[FILE_PARAMETERS].present || image_has_parent(image))
		return;
	for (unsigned i = 0; i < table->count; i++) {
		const struct metadata_item *item = &table->items[i];

		if (table->gone[i] || known_item_of(item) != PARENT_LOCATOR ||
		    !vhdx_item_lies_in_region(image, item))
			continue;
		vhdx_repair_mended(table->repair, PROBLEM_LOCATOR_WITHOUT_PARENT,
				   item_entry_offset(image, i), 0, 0,
				   "metadata: the parent locator was removed: HasParent is not "
				   "set, and the disk was read without a parent");
		remove_item(table, i);
	}
}

/* ---- lengths ---- */

/* What stands where the item begins must be a value that it can have. */
static int mend_length(struct new_table *table, unsigned index)
{
	struct metadata_item *item = &table->items[index];
	enum known_item known = known_item_of(item);
	struct metadata_item right = *item;
	bool is_right;

	if (known == KNOWN_ITEMS || !vhdx_item_rules[known].length ||
	    item->length == vhdx_item_rules[known].length)
		return 0;
	right.length = vhdx_item_rules[known].length;
	int ret = vhdx_item_is_right(table->image, &right, &is_right);

	if (ret || !is_right)
		return ret;
	vhdx_repair_mended(
		table->repair, PROBLEM_ITEM_LENGTH, item_entry_offset(table->image, index), 0, 0,
		"metadata: the length of %s was set to %u, which was %u, as its value is valid",
		vhdx_item_rules[known].name, right.length, item->length);
	*item = right;
	return 0;
}

static int mend_lengths(struct new_table *table)
{
	int ret = 0;

	for (unsigned i = 0; i < table->count && !ret; i++)
		ret = mend_length(table, i);
	return ret;
}

/* ---- values ---- */

static int write_value(struct new_table *table, uint32_t offset, const void *bytes, uint32_t length)
{
	int ret = vhdx_io_write(table->repair->io, bytes, length,
				table->image->metadata.file_offset + offset);

	return ret ? vhdx_fail_errno(ret, table->image->name, "a metadata item cannot be written")
		   : 0;
}

/* A region has room for what is as long as the last that found none, or it has not: asked once. */
static bool find_room(struct new_table *table, uint32_t length, uint32_t *ret_offset)
{
	if (table->no_room && length >= table->no_room)
		return false;
	table->room.count = table->count;
	if (vhdx_items_find_room(&table->room, length, ret_offset))
		return true;
	table->no_room = length;
	return false;
}

/* Unless what it overlapped has moved. */
static int separate(void *opaque, unsigned first, unsigned second)
{
	struct new_table *table = opaque;
	struct metadata_item *item = &table->items[second];
	char text[2][VHDX_GUID_TEXT_SIZE];
	auto_free void *bytes = NULL;
	uint32_t offset;

	if (!vhdx_item_lies_in_region(table->image, item) ||
	    !vhdx_item_overlaps(table->items, table->count, item) ||
	    !find_room(table, item->length, &offset))
		return 0;
	int ret = vhdx_item_read(table->image, item, &bytes);

	if (!ret)
		ret = write_value(table, offset, bytes, item->length);
	if (ret)
		return ret;
	vhdx_repair_mended(table->repair, PROBLEM_ITEM_OVERLAP,
			   item_entry_offset(table->image, second), 0, 0,
			   "metadata: item %s, which overlapped %s, has a copy of its own at %#x "
			   "of the region",
			   name_of(table, second, text[0]), name_of(table, first, text[1]), offset);
	item->offset = offset;
	return 0;
}

/* The one of that kind in the table, or its end. */
static unsigned find_item(const struct new_table *table, enum known_item known)
{
	unsigned i = 0;

	while (i < table->count && (table->gone[i] || known_item_of(&table->items[i]) != known))
		i++;
	return i;
}

/* False when there is no room for it, in the table or in the region. */
static int add_item(struct new_table *table, enum known_item known, const void *bytes,
		    bool *ret_added)
{
	const struct item_rule *rule = &vhdx_item_rules[known];
	unsigned entries = 0;
	uint32_t offset;

	for (unsigned i = 0; i < table->count; i++)
		entries += !table->gone[i];
	*ret_added = entries < MAX_ITEMS && find_room(table, rule->length, &offset);
	int ret = *ret_added ? write_value(table, offset, bytes, rule->length) : 0;

	if (*ret_added)
		table->items[table->count++] = (struct metadata_item){
			.id = rule->id,
			.offset = offset,
			.length = rule->length,
			.flags = rule->flags,
		};
	return ret;
}

static int add_disk_id(struct new_table *table)
{
	const struct image *image = table->image;
	char text[VHDX_GUID_TEXT_SIZE];
	struct vhdx_guid id;
	bool added = false;

	if (find_item(table, VIRTUAL_DISK_ID) < table->count)
		return 0;
	int ret = vhdx_guid_next(&table->repair->guids, &id);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "no new GUID can be had");
	ret = add_item(table, VIRTUAL_DISK_ID, &id, &added);
	if (added)
		vhdx_repair_mended(table->repair, PROBLEM_DISK_ID_MISSING,
				   image->metadata.file_offset, 0, 0,
				   "metadata: a new Virtual Disk ID was added, %s%s",
				   vhdx_guid_text(&id, text),
				   image_has_parent(image) ? "; that of the parent is usual" : "");
	return ret;
}

static int add_physical_sector_size(struct new_table *table)
{
	const struct image *image = table->image;
	uint32_t size = image->logical_sector_size;
	struct le32 disk = le32_from(size);
	bool added = false;

	if (find_item(table, PHYSICAL_SECTOR_SIZE) < table->count || !sector_size_is_valid(size))
		return 0;
	int ret = add_item(table, PHYSICAL_SECTOR_SIZE, &disk, &added);

	if (added)
		vhdx_repair_mended(table->repair, PROBLEM_PHYSICAL_SECTOR_MISSING,
				   image->metadata.file_offset, 0, 0,
				   "metadata: the Physical Sector Size was added, %u as the "
				   "logical one",
				   size);
	return ret;
}

static int mend_parameter_flags(struct new_table *table)
{
	const struct image *image = table->image;
	struct file_parameters parameters = image->parameters;
	struct file_parameters_disk disk;
	unsigned i = find_item(table, FILE_PARAMETERS);

	if (i == table->count || !image->known_items[FILE_PARAMETERS].present ||
	    !(parameters.flags & ~PARAMETER_ALL_FLAGS) ||
	    vhdx_item_overlaps(table->items, table->count, &table->items[i]))
		return 0;
	vhdx_repair_mended(table->repair, PROBLEM_PARAMETER_FLAGS,
			   image->metadata.file_offset + table->items[i].offset +
				   offsetof(struct file_parameters_disk, flags),
			   0, 0, "metadata: reserved flags %#x of the File Parameters were cleared",
			   parameters.flags & ~PARAMETER_ALL_FLAGS);
	parameters.flags &= PARAMETER_ALL_FLAGS;
	vhdx_file_parameters_encode(&parameters, &disk);
	return write_value(table, table->items[i].offset, &disk, sizeof(disk));
}

/* What a string is packed behind has an even length, so no place is odd. Its reserved field is mended first. */
static int pack_locator(struct new_table *table)
{
	const struct image *image = table->image;
	const struct locator *locator = &image->locator;
	unsigned i = find_item(table, PARENT_LOCATOR);
	auto_free void *bytes = NULL;
	uint32_t offset;
	size_t size;

	if (!image->locator_is_usable || !locator->has_odd_place || locator->reserved)
		return 0;
	bytes = malloc(MAX_ITEM_LENGTH);
	if (!bytes)
		return vhdx_fail_memory();
	if (vhdx_locator_encode(locator->pairs, locator->count, bytes, MAX_ITEM_LENGTH, &size) ||
	    !find_room(table, (uint32_t)size, &offset))
		return 0;
	vhdx_repair_mended(table->repair, PROBLEM_LOCATOR_ODD_PLACE,
			   image->known_items[PARENT_LOCATOR].offset, 0, 0,
			   "parent locator: written anew at %#x of the region, without strings at "
			   "odd offsets",
			   offset);
	table->items[i].offset = offset;
	table->items[i].length = (uint32_t)size;
	return write_value(table, offset, bytes, (uint32_t)size);
}

/* ---- the table ---- */

/* What stands behind the last entry, of now and of before, is nobody's and stays. */
static int write_table(const struct new_table *table, const uint8_t *old)
{
	const struct image *image = table->image;
	auto_free uint8_t *new = malloc(METADATA_TABLE_SIZE);
	unsigned count = 0;

	if (!new)
		return vhdx_fail_memory();
	for (unsigned i = 0; i < table->count; i++)
		if (!table->gone[i])
			table->items[count++] = table->items[i];
	vhdx_metadata_table_encode(table->items, count, new, METADATA_TABLE_SIZE);
	size_t end = offsetof(struct metadata_table_disk, entries) +
		     max_u64(count, image->item_count) * sizeof(struct metadata_entry_disk);

	memcpy(new + end, old + end, METADATA_TABLE_SIZE - end);
	if (!memcmp(new, old, METADATA_TABLE_SIZE))
		return 0;
	int ret = vhdx_io_write(table->repair->io, new, METADATA_TABLE_SIZE,
				image->metadata.file_offset);

	return ret ? vhdx_fail_errno(ret, image->name, "the metadata table cannot be written") : 0;
}

static int remove_entries(struct new_table *table)
{
	remove_nameless(table);
	int ret = remove_duplicates(table);

	remove_misplaced(table);
	remove_locator(table);
	return ret;
}

static int separate_items(struct new_table *table)
{
	return vhdx_items_walk_overlaps(table->image->items, table->image->item_count, separate,
					table);
}

static int complete(struct new_table *table)
{
	int ret = add_disk_id(table);

	if (!ret)
		ret = add_physical_sector_size(table);
	if (!ret)
		ret = mend_parameter_flags(table);
	return ret ? ret : pack_locator(table);
}

/* Each needs an image that was loaded after what those before it mended. */
static int mend_table(struct new_table *table, const uint8_t *old)
{
	static int (*const steps[])(struct new_table * table) = {
		clear_reserved, remove_entries, mend_lengths, separate_items, complete,
	};
	uint64_t before = table->repair->result.mended;
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && !ret; i++) {
		ret = steps[i](table);
		if (table->repair->result.mended != before)
			break;
	}
	return ret ? ret : write_table(table, old);
}

static int mend_entries(struct repair *repair, struct image *image, const uint8_t *old)
{
	size_t room = image->item_count + MAX_ADDED;
	auto_free struct metadata_item *items = calloc(room, sizeof(*items));
	auto_free bool *gone = calloc(room, sizeof(*gone));
	struct new_table table = {
		.repair = repair,
		.image = image,
		.items = items,
		.gone = gone,
		.count = image->item_count,
		.room = {.image = image, .items = items},
	};

	if (!items || !gone)
		return vhdx_fail_memory();
	memcpy(items, image->items, image->item_count * sizeof(*items));
	return mend_table(&table, old);
}

/* Room of the region may then hold what is another's. */
static bool is_shared(const struct image *image, const struct region *region)
{
	unsigned same = 0;

	for (uint32_t i = 0; i < image->region_count; i++)
		same += ranges_meet(region->file_offset, region->length,
				    image->regions[i].file_offset, image->regions[i].length);
	return same > 1 || ranges_meet(region->file_offset, region->length, image->log.offset,
				       image->log.length);
}

int vhdx_mend_items(struct repair *repair, struct image *image)
{
	uint64_t at = image->metadata.file_offset;
	auto_free uint8_t *table = NULL;

	if (!(image->known & VHDX_KNOWN_REGIONS) || image->log_state != VHDX_LOG_CLEAN ||
	    image->metadata.length < METADATA_TABLE_SIZE ||
	    !range_within(at, METADATA_TABLE_SIZE, image_view_size(image)) ||
	    is_shared(image, &image->metadata))
		return 0;
	table = malloc(METADATA_TABLE_SIZE);
	if (!table)
		return vhdx_fail_memory();
	int ret = vhdx_io_read(image->view, table, METADATA_TABLE_SIZE, at);

	if (ret)
		return vhdx_fail_errno(ret, image->name, "the metadata table cannot be read");
	if (!image->items)
		return vhdx_mend_table_head(repair, image, table);
	uint64_t before = repair->result.mended;

	ret = vhdx_mend_lost_parent(repair, image);
	if (!ret && repair->result.mended == before)
		ret = vhdx_mend_table_count(repair, image, table);
	return ret || repair->result.mended != before ? ret : mend_entries(repair, image, table);
}
