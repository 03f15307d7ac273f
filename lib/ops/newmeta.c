/* SPDX-License-Identifier: MIT */
/*
 * The metadata region of a new image (F 5): its table and its items, as bytes. Items lie and follow each
 * other as Windows has them (F 11.1).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "format/metadata.h"
#include "ops/newmeta.h"

#define FIXED_ITEMS	 5u
#define FIXED_ITEMS_SIZE (8u + 8u + 4u + 4u + 16u)
#define ITEM_ALIGNMENT	 8u

struct item_writer {
	struct metadata_item *entries;
	unsigned count;
	uint8_t *region;
	uint32_t used; /* bytes of the region */
};

uint64_t vhdx_new_metadata_size(const struct image_plan *plan)
{
	uint64_t size = METADATA_TABLE_SIZE + FIXED_ITEMS_SIZE;

	for (unsigned i = 0; i < plan->nitems; i++)
		size = round_up(size, ITEM_ALIGNMENT) + plan->items[i].length;
	return size;
}

static void put(struct item_writer *writer, const struct plan_item *item)
{
	writer->entries[writer->count++] = (struct metadata_item){
		.id = item->id,
		.offset = item->length ? writer->used : 0, /* F 5: an empty item has none */
		.length = item->length,
		.flags = item->flags,
	};
	if (item->length)
		memcpy(writer->region + writer->used, item->bytes, item->length);
	writer->used += item->length;
}

static void put_known(struct item_writer *writer, enum known_item known, const void *bytes)
{
	const struct item_rule *rule = &vhdx_item_rules[known];

	put(writer, &(struct plan_item){rule->id, rule->flags, rule->length, bytes});
}

static uint32_t parameter_flags(const struct image_plan *plan)
{
	if (plan->type == VHDX_DIFFERENCING)
		return PARAMETER_HAS_PARENT;
	return plan->type == VHDX_FIXED ? PARAMETER_LEAVE_BLOCKS_ALLOCATED : 0;
}

static void put_fixed_items(struct item_writer *writer, const struct image_plan *plan,
			    uint64_t virtual_size)
{
	struct file_parameters parameters = {plan->block_size, parameter_flags(plan)};
	struct le64 size = le64_from(virtual_size);
	struct le32 logical = le32_from(plan->logical_sector_size);
	struct le32 physical = le32_from(plan->physical_sector_size);
	struct file_parameters_disk disk;

	vhdx_file_parameters_encode(&parameters, &disk);
	put_known(writer, FILE_PARAMETERS, &disk);
	put_known(writer, VIRTUAL_DISK_SIZE, &size);
	put_known(writer, LOGICAL_SECTOR_SIZE, &logical);
	put_known(writer, PHYSICAL_SECTOR_SIZE, &physical);
	put_known(writer, VIRTUAL_DISK_ID, &plan->disk_id);
}

int vhdx_new_metadata(const struct image_plan *plan, uint64_t virtual_size, void *ret_buf,
		      size_t size)
{
	auto_free struct metadata_item *entries =
		calloc(FIXED_ITEMS + plan->nitems, sizeof(*entries));
	struct item_writer writer = {
		.entries = entries, .region = ret_buf, .used = METADATA_TABLE_SIZE};

	if (!entries)
		return vhdx_fail_memory();
	assert(size == vhdx_new_metadata_size(plan));
	memset(ret_buf, 0, size);
	put_fixed_items(&writer, plan, virtual_size);
	for (unsigned i = 0; i < plan->nitems; i++) {
		writer.used = (uint32_t)round_up(writer.used, ITEM_ALIGNMENT);
		put(&writer, &plan->items[i]);
	}
	return vhdx_metadata_table_encode(entries, writer.count, ret_buf, size);
}
