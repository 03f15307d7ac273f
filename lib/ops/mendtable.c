/* SPDX-License-Identifier: MIT */
/* Repair of the head of the metadata table (F 5): a lost signature, and a count that cannot be right. */
#include <string.h>

#include "base/guid.h"
#include "meta/itemplaces.h"
#include "ops/itemvalues.h"
#include "ops/mendtable.h"
#include "store/io.h"

static struct metadata_item item_at(const uint8_t *table, unsigned index)
{
	struct metadata_item item;

	vhdx_metadata_item_decode(table, METADATA_TABLE_SIZE, index, &item);
	return item;
}

static bool stands_before(const uint8_t *table, unsigned index)
{
	struct metadata_item item = item_at(table, index);

	for (unsigned i = 0; i < index; i++) {
		struct metadata_item other = item_at(table, i);

		if (guid_equal(&other.id, &item.id) && item_is_user(&other) == item_is_user(&item))
			return true;
	}
	return false;
}

/* Entries from the first on up to one that cannot be, or repeats another: leftovers may stand behind the last. */
static unsigned count_entries(const struct image *image, const uint8_t *table)
{
	unsigned i;

	for (i = 0; i < MAX_ITEMS; i++) {
		struct metadata_item item = item_at(table, i);
		bool placed = item.length ? vhdx_item_lies_in_region(image, &item) : !item.offset;

		if (guid_is_zero(&item.id) || !placed || item.reserved ||
		    (item.flags & ~ITEM_ALL_FLAGS) || stands_before(table, i))
			break;
	}
	return i;
}

/* Is that item there once, with a value that it may have? */
static int find_right(const struct image *image, const uint8_t *table, unsigned count,
		      enum known_item known, struct metadata_item *ret_item, bool *ret_right)
{
	unsigned found = 0;

	*ret_right = false;
	for (unsigned i = 0; i < count; i++) {
		struct metadata_item item = item_at(table, i);

		if (known_item_of(&item) == known) {
			*ret_item = item;
			found++;
		}
	}
	return found == 1 ? vhdx_item_is_right(image, ret_item, ret_right) : 0;
}

static int has_parent(const struct image *image, const struct metadata_item *parameters,
		      bool *ret_has)
{
	struct file_parameters_disk disk;
	int ret = vhdx_io_read(image->view, &disk, sizeof(disk),
			       image->metadata.file_offset + parameters->offset);

	*ret_has = le32_get(disk.flags) & PARAMETER_HAS_PARENT;
	return ret ? vhdx_fail_errno(ret, image->name, "the File Parameters cannot be read") : 0;
}

static int has_all_needed(const struct image *image, const uint8_t *table, unsigned count,
			  bool *ret_right)
{
	/* The last tells whether there must be a locator. */
	static const enum known_item needed[] = {VIRTUAL_DISK_SIZE, LOGICAL_SECTOR_SIZE,
						 FILE_PARAMETERS};
	struct metadata_item item;
	bool right = true;
	bool is_child = false;
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(needed) && right && !ret; i++)
		ret = find_right(image, table, count, needed[i], &item, &right);
	if (!ret && right)
		ret = has_parent(image, &item, &is_child);
	if (!ret && is_child)
		ret = find_right(image, table, count, PARENT_LOCATOR, &item, &right);
	*ret_right = right;
	return ret;
}

static int write_head(struct repair *repair, const struct image *image, uint8_t *table,
		      unsigned count)
{
	struct metadata_table_disk *disk = (struct metadata_table_disk *)table;

	memcpy(disk->signature, METADATA_SIGNATURE, sizeof(disk->signature));
	disk->entry_count = le16_from((uint16_t)count);
	int ret =
		vhdx_io_write(repair->io, table, METADATA_TABLE_SIZE, image->metadata.file_offset);

	return ret ? vhdx_fail_errno(ret, image->name, "the metadata table cannot be written") : 0;
}

int vhdx_mend_table_head(struct repair *repair, const struct image *image, uint8_t *table)
{
	const struct metadata_table *head = &image->metadata_table;
	uint64_t at = image->metadata.file_offset;
	bool recount = head->entry_count > MAX_ITEMS;
	unsigned count = recount ? count_entries(image, table) : head->entry_count;
	bool right;
	int ret = has_all_needed(image, table, count, &right);

	if (ret || !right)
		return ret;
	ret = write_head(repair, image, table, count);
	if (ret)
		return ret;
	if (!head->has_signature)
		vhdx_repair_mended(repair, PROBLEM_METADATA_SIGNATURE, at, 0, 0,
				   "metadata: the signature was written, as all needed items stand "
				   "in the table");
	if (recount)
		vhdx_repair_mended(
			repair, PROBLEM_METADATA_COUNT,
			at + offsetof(struct metadata_table_disk, entry_count), 0, 0,
			"metadata: EntryCount was set to %u, which was %u, as all needed "
			"items stand in the table",
			count, head->entry_count);
	return 0;
}

static bool is_missing(const struct image *image, enum known_item known)
{
	if (known == KNOWN_ITEMS || (known == PARENT_LOCATOR && !image_has_parent(image)))
		return false;
	for (unsigned i = 0; i < image->item_count; i++)
		if (known_item_of(&image->items[i]) == known)
			return false;
	return true;
}

static enum problem problem_of_missing(enum known_item known)
{
	switch (known) {
	case VIRTUAL_DISK_ID:
		return PROBLEM_DISK_ID_MISSING;
	case PHYSICAL_SECTOR_SIZE:
		return PROBLEM_PHYSICAL_SECTOR_MISSING;
	case PARENT_LOCATOR:
		return PROBLEM_LOCATOR_MISSING;
	default:
		return PROBLEM_ITEM_MISSING;
	}
}

/* An entry that counts again makes those before it count too, so none of them may stand in a reader's way. */
int vhdx_mend_table_count(struct repair *repair, const struct image *image, uint8_t *table)
{
	unsigned end = count_entries(image, table);
	unsigned count = image->item_count;
	int ret = 0;

	for (unsigned i = count; i < end && !ret; i++) {
		struct metadata_item item = item_at(table, i);
		enum known_item known = known_item_of(&item);
		bool right = !(item.flags & ITEM_IS_REQUIRED);

		if (known < KNOWN_ITEMS)
			ret = vhdx_item_is_right(image, &item, &right);
		if (ret || !right)
			break;
		if (!is_missing(image, known))
			continue;
		count = i + 1;
		vhdx_repair_mended(repair, problem_of_missing(known), item_entry_offset(image, i),
				   0, 0,
				   "metadata: %s, which stood behind the last entry, counts again: "
				   "EntryCount is %u",
				   vhdx_item_rules[known].name, count);
	}
	return ret || count == image->item_count ? ret : write_head(repair, image, table, count);
}
