/* SPDX-License-Identifier: MIT */
/*
 * Gives the BAT another place in the file. The new table is built where nothing refers to, and is durable
 * before one log entry changes both region tables; with it the disk may get another size (F 9.8).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/guid.h"
#include "base/rules.h"
#include "base/zeros.h"
#include "ops/batmove.h"
#include "store/fill.h"
#include "store/io.h"

/* ---- The new table ---- */

static int clear_place(const struct vhdx *disk, const struct place *place)
{
	if (place->fresh || !OBEYS(RULE_CLEAN_RECYCLED))
		return 0;
	int ret = disk->open_flags & VHDX_OPEN_NO_HOLES
			  ? vhdx_fill_zeros(&disk->file, place->offset, place->length)
			  : vhdx_fill_holes(&disk->file, place->offset, place->length);

	return ret ? vhdx_fail_io(ret, disk->name, place->offset,
				  "the place of the new BAT cannot be cleared")
		   : 0;
}

static int write_page(const struct growth *growth, uint64_t page, const struct place *place)
{
	const struct vhdx *disk = growth->disk;
	uint64_t entries[BAT_PAGE_ENTRIES];
	struct le64 bytes[BAT_PAGE_ENTRIES];
	uint64_t offset = place->offset + page * PAGE_SIZE;
	int ret = vhdx_growth_page(growth, page, entries);

	if (ret)
		return ret;
	for (unsigned i = 0; i < BAT_PAGE_ENTRIES; i++)
		bytes[i] = le64_from(entries[i]);
	if (vhdx_is_zeros(bytes, sizeof(bytes)))
		return 0;
	ret = vhdx_io_write(&disk->file, bytes, sizeof(bytes), offset);
	return ret ? vhdx_fail_io(ret, disk->name, offset, "the new BAT cannot be written") : 0;
}

/* What holds no entry is left as it is: zeros, of which a table of 513 MiB may consist. */
int vhdx_bat_build(const struct growth *growth, const struct place *place, bat_progress *progress,
		   void *opaque)
{
	struct chain_shared *shared = growth->disk->shared;
	int ret = clear_place(growth->disk, place);

	assert(place->length >= growth->to.entries * BAT_ENTRY_SIZE);
	for (uint64_t page = 0; !ret; page++) {
		ret = vhdx_growth_next_page(growth, page, &page);
		if (ret || page == NO_BAT_PAGE)
			return ret;
		ret = write_page(growth, page, place);
		vhdx_page_cache_trim(&shared->cache, vhdx_stripes_grace, &shared->stripes);
		if (!ret && progress)
			ret = progress(opaque, (page + 1) * BAT_PAGE_ENTRIES);
	}
	return ret;
}

/* ---- The region tables ---- */

static int read_table(const struct image *image, unsigned copy, void *buf)
{
	uint64_t offset = region_table_offset(copy);
	int ret = vhdx_io_read(image->view, buf, REGION_TABLE_SIZE, offset);

	return ret ? vhdx_fail_io(ret, image->name, offset, "region table %u cannot be read",
				  copy + 1)
		   : 0;
}

/* A table that is damaged becomes a copy of the one that counts: what is patched must be the same in both. */
static int mend_copy(struct vhdx *disk, const void *good)
{
	struct writer *writer = disk->writer;
	unsigned copy = !disk->image.table;
	auto_free void *found = malloc(REGION_TABLE_SIZE);

	if (!found)
		return vhdx_fail_memory();
	int ret = read_table(&disk->image, copy, found);

	if (ret || !memcmp(found, good, REGION_TABLE_SIZE))
		return ret;
	struct patch patch = {copy ? PATCH_TABLE_2 : PATCH_TABLE_1, 0, REGION_TABLE_SIZE, good};

	ret = vhdx_patch(&writer->journal, &writer->areas, &patch, 1);
	return ret ? ret : vhdx_journal_commit(&writer->journal);
}

static unsigned bat_entry_of(const struct image *image)
{
	unsigned i = 0;

	while (!guid_equal(&image->regions[i].guid, &REGION_BAT))
		i++;
	assert(i < image->region_count);
	return i;
}

/* The tables as they shall be, and where in them the entry of the BAT is. */
struct new_table {
	struct region_table_disk *disk;
	uint64_t entry;
};

static int make_table(struct vhdx *disk, const struct place *place, struct new_table *table)
{
	unsigned index = bat_entry_of(&disk->image);
	struct region_entry_disk *entry = &table->disk->entries[index];
	int ret = read_table(&disk->image, disk->image.table, table->disk);

	if (!ret)
		ret = mend_copy(disk, table->disk);
	if (ret)
		return ret;
	entry->file_offset = le64_from(place->offset);
	entry->length = le32_from((uint32_t)place->length);
	table->disk->checksum = le32_from(vhdx_crc32c_structure(table->disk, sizeof(*table->disk)));
	table->entry = offsetof(struct region_table_disk, entries) + index * sizeof(*entry);
	return 0;
}

/* ---- The switch ---- */

#define MOST_PATCHES 5u

struct patches {
	struct patch patch[MOST_PATCHES];
	unsigned count;
};

static void add_patch(struct patches *patches, enum patch_area area, uint64_t offset, size_t length,
		      const void *bytes)
{
	patches->patch[patches->count++] =
		(struct patch){area, (uint32_t)offset, (uint32_t)length, bytes};
}

static void add_table(struct patches *patches, enum patch_area area, const struct new_table *table)
{
	const struct region_table_disk *disk = table->disk;

	add_patch(patches, area, offsetof(struct region_table_disk, checksum),
		  sizeof(disk->checksum), &disk->checksum);
	add_patch(patches, area, table->entry, sizeof(disk->entries[0]),
		  (const uint8_t *)disk + table->entry);
}

static void add_size(struct patches *patches, const struct growth *growth, const struct le64 *size)
{
	const struct image *image = &growth->disk->image;
	uint64_t at = image->known_items[VIRTUAL_DISK_SIZE].offset - image->metadata.file_offset;

	if (growth->to.virtual_size != growth->from.virtual_size)
		add_patch(patches, PATCH_METADATA, at, sizeof(*size), size);
}

/* The file must be as long as the larger disk needs after a replay, too. */
static int need_end(const struct growth *growth, const struct place *place)
{
	struct journal *journal = &growth->disk->writer->journal;
	uint64_t run_end = growth->run.offset + growth->run.length;
	uint64_t end = max_u64(run_end, place ? place->offset + place->length : 0);
	struct change change;
	int ret = vhdx_journal_begin(journal, 0, &change);

	if (ret)
		return ret;
	vhdx_change_enter(&change);
	vhdx_change_needs(&change, end);
	vhdx_change_leave(&change);
	vhdx_change_end(&change);
	return 0;
}

/* Alone in their entry: with anything else, a failure could not be taken back. */
static int log_patches(struct writer *writer, const struct patches *patches)
{
	struct journal *journal = &writer->journal;
	int ret = OBEYS(RULE_SWITCH_LAST) ? vhdx_journal_commit(journal) : 0;

	if (!ret)
		ret = vhdx_patch(journal, &writer->areas, patches->patch, patches->count);
	if (ret)
		return ret;
	ret = vhdx_journal_commit(journal);
	return ret ? vhdx_journal_abandon(journal, ret) : 0;
}

static int log_tables(struct writer *writer, const struct new_table *table, struct patches *patches)
{
	int ret = 0;

	add_table(patches, PATCH_TABLE_1, table);
	if (!OBEYS(RULE_TABLES_TOGETHER)) {
		ret = log_patches(writer, patches);
		patches->count = 0;
	}
	add_table(patches, PATCH_TABLE_2, table);
	return ret ? ret : log_patches(writer, patches);
}

static int switch_place(const struct growth *growth, const struct place *place,
			struct patches *patches)
{
	const struct image *image = &growth->disk->image;
	struct writer *writer = growth->disk->writer;
	auto_free void *buf = malloc(REGION_TABLE_SIZE);
	struct freed *freed = malloc(sizeof(*freed));
	struct new_table table = {.disk = buf};
	int ret = buf && freed ? make_table(growth->disk, place, &table) : vhdx_fail_memory();

	if (!ret)
		ret = log_tables(writer, &table, patches);
	if (ret) {
		free(freed);
		return ret;
	}
	*freed = (struct freed){.offset = image->bat.file_offset,
				.length = image->bat.length,
				.held_metadata = true};
	vhdx_space_free(&writer->space, freed, 0);
	return 0;
}

int vhdx_bat_switch(const struct growth *growth, const struct place *place)
{
	struct le64 size = le64_from(growth->to.virtual_size);
	struct patches patches = {.count = 0};
	int ret = need_end(growth, place);

	if (ret)
		return ret;
	add_size(&patches, growth, &size);
	return place ? switch_place(growth, place, &patches)
		     : log_patches(growth->disk->writer, &patches);
}
