/* SPDX-License-Identifier: MIT */
/* Shows the structures of an image as they stand, damaged ones too, to a visitor. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "store/io.h"
#include "vdisk/disk.h"

/* The visitor with shorter names, and the image that is shown. */
struct dump {
	const struct vhdx_dump_visitor *to;
	const struct image *image;
};

static void begin(const struct dump *dump, const char *name)
{
	dump->to->begin_object(dump->to->opaque, name);
}

static void end(const struct dump *dump)
{
	dump->to->end_object(dump->to->opaque);
}

static void number(const struct dump *dump, const char *name, uint64_t value)
{
	dump->to->number(dump->to->opaque, name, value);
}

static void offset(const struct dump *dump, const char *name, uint64_t value)
{
	dump->to->offset(dump->to->opaque, name, value);
}

static void boolean(const struct dump *dump, const char *name, bool value)
{
	dump->to->boolean(dump->to->opaque, name, value);
}

static void string(const struct dump *dump, const char *name, const char *value)
{
	dump->to->string(dump->to->opaque, name, value);
}

static void guid(const struct dump *dump, const char *name, const struct vhdx_guid *value)
{
	char text[VHDX_GUID_TEXT_SIZE];

	string(dump, name, vhdx_guid_text(value, text));
}

static void dump_one_header(const struct dump *dump, unsigned slot)
{
	const struct header *header = &dump->image->headers[slot];

	begin(dump, NULL);
	offset(dump, "file-offset", header_offset(slot));
	boolean(dump, "valid", header_is_valid(header));
	boolean(dump, "current", dump->image->current == slot);
	boolean(dump, "signature", header->has_signature);
	offset(dump, "checksum", header->stored_checksum);
	offset(dump, "checksum-expected", header->checksum);
	number(dump, "sequence-number", header->sequence_number);
	guid(dump, "file-write-guid", &header->file_write_guid);
	guid(dump, "data-write-guid", &header->data_write_guid);
	guid(dump, "log-guid", &header->log_guid);
	number(dump, "log-version", header->log_version);
	number(dump, "version", header->version);
	number(dump, "log-length", header->log_length);
	offset(dump, "log-offset", header->log_offset);
	end(dump);
}

static int dump_header(const struct dump *dump)
{
	begin(dump, "identifier");
	boolean(dump, "signature", dump->image->identifier.has_signature);
	string(dump, "creator", dump->image->identifier.creator);
	end(dump);
	dump->to->begin_array(dump->to->opaque, "headers");
	for (unsigned slot = 0; slot < 2; slot++)
		dump_one_header(dump, slot);
	dump->to->end_array(dump->to->opaque);
	return 0;
}

static const char *region_name(const struct vhdx_guid *id)
{
	if (guid_equal(id, &REGION_BAT))
		return "BAT";
	return guid_equal(id, &REGION_METADATA) ? "metadata" : "unknown";
}

static void dump_region(const struct dump *dump, const struct region *region)
{
	begin(dump, NULL);
	string(dump, "name", region_name(&region->guid));
	guid(dump, "guid", &region->guid);
	offset(dump, "file-offset", region->file_offset);
	number(dump, "length", region->length);
	offset(dump, "required", region->required);
	end(dump);
}

static int dump_table(const struct dump *dump, unsigned copy)
{
	const struct region_table *table = &dump->image->tables[copy];
	auto_free void *buf = malloc(REGION_TABLE_SIZE);

	if (!buf)
		return vhdx_fail_memory();
	int ret =
		vhdx_io_read(dump->image->view, buf, REGION_TABLE_SIZE, region_table_offset(copy));

	if (ret)
		return vhdx_fail_errno(ret, dump->image->name, "region table %u cannot be read",
				       copy + 1);
	begin(dump, NULL);
	offset(dump, "file-offset", region_table_offset(copy));
	boolean(dump, "valid", region_table_is_valid(table));
	boolean(dump, "used", dump->image->table == copy);
	boolean(dump, "signature", table->has_signature);
	offset(dump, "checksum", table->stored_checksum);
	offset(dump, "checksum-expected", table->checksum);
	number(dump, "entry-count", table->entry_count);
	offset(dump, "reserved", table->reserved);
	dump->to->begin_array(dump->to->opaque, "entries");
	/* A table that is not valid may claim any number of entries. */
	for (uint32_t i = 0;
	     i < min_u64(table->entry_count, MAX_REGIONS) && region_table_is_valid(table); i++) {
		struct region region;

		vhdx_region_decode(buf, REGION_TABLE_SIZE, i, &region);
		dump_region(dump, &region);
	}
	dump->to->end_array(dump->to->opaque);
	end(dump);
	return 0;
}

static int dump_regions(const struct dump *dump)
{
	dump->to->begin_array(dump->to->opaque, "region-tables");
	int ret = dump_table(dump, 0);

	if (!ret)
		ret = dump_table(dump, 1);
	dump->to->end_array(dump->to->opaque);
	return ret;
}

static void dump_item(const struct dump *dump, const struct metadata_item *item)
{
	enum known_item known = item->flags & ITEM_IS_USER ? KNOWN_ITEMS
							   : vhdx_known_item(&item->id);

	begin(dump, NULL);
	string(dump, "name", known < KNOWN_ITEMS ? vhdx_item_rules[known].name : "unknown");
	guid(dump, "item-id", &item->id);
	offset(dump, "offset", item->offset);
	number(dump, "length", item->length);
	offset(dump, "flags", item->flags);
	boolean(dump, "is-user", item->flags & ITEM_IS_USER);
	boolean(dump, "is-virtual-disk", item->flags & ITEM_IS_VIRTUAL_DISK);
	boolean(dump, "is-required", item->flags & ITEM_IS_REQUIRED);
	offset(dump, "reserved", item->reserved);
	end(dump);
}

static void dump_values(const struct dump *dump)
{
	const struct image *image = dump->image;

	begin(dump, "values");
	number(dump, "block-size", image->parameters.block_size);
	boolean(dump, "leave-blocks-allocated",
		image->parameters.flags & PARAMETER_LEAVE_BLOCKS_ALLOCATED);
	boolean(dump, "has-parent", image_has_parent(image));
	number(dump, "virtual-disk-size", image->virtual_size);
	number(dump, "logical-sector-size", image->logical_sector_size);
	number(dump, "physical-sector-size", image->physical_sector_size);
	guid(dump, "virtual-disk-id", &image->disk_id);
	end(dump);
}

static void dump_locator(const struct dump *dump)
{
	const struct locator *locator = &dump->image->locator;

	begin(dump, "parent-locator");
	guid(dump, "type", &locator->type);
	dump->to->begin_array(dump->to->opaque, "pairs");
	for (unsigned i = 0; i < locator->count; i++) {
		begin(dump, NULL);
		string(dump, "key", locator->pairs[i].key);
		string(dump, "value", locator->pairs[i].value);
		end(dump);
	}
	dump->to->end_array(dump->to->opaque);
	end(dump);
}

static int dump_metadata(const struct dump *dump)
{
	const struct image *image = dump->image;

	offset(dump, "file-offset", image->metadata.file_offset);
	number(dump, "length", image->metadata.length);
	boolean(dump, "signature", image->metadata_table.has_signature);
	number(dump, "entry-count", image->metadata_table.entry_count);
	dump->to->begin_array(dump->to->opaque, "items");
	for (unsigned i = 0; i < image->item_count; i++)
		dump_item(dump, &image->items[i]);
	dump->to->end_array(dump->to->opaque);
	dump_values(dump);
	if (image->known & VHDX_KNOWN_LOCATOR)
		dump_locator(dump);
	return 0;
}

static const char *log_state_name(enum vhdx_log_state state)
{
	static const char *const names[] = {"clean", "empty", "dirty", "corrupt"};

	return names[state];
}

static void dump_span(const struct dump *dump, const struct log_span *span, bool active)
{
	begin(dump, NULL);
	offset(dump, "position", span->position);
	number(dump, "length", span->length);
	offset(dump, "tail", span->tail);
	number(dump, "sequence-number", span->sequence_number);
	number(dump, "descriptors", span->descriptor_count);
	offset(dump, "flushed-file-offset", span->flushed_file_offset);
	offset(dump, "last-file-offset", span->last_file_offset);
	boolean(dump, "active", active);
	end(dump);
}

/* The valid entries of a log that has any: one of a session that was not closed. */
static int dump_spans(const struct dump *dump)
{
	struct log_scan scan;
	int ret = vhdx_log_scan(dump->image->file, &dump->image->log, &scan);

	if (ret)
		return ret;
	auto_free bool *active = calloc(scan.count + 1, sizeof(*active));

	if (active) {
		for (size_t i = 0; i < scan.active_count; i++)
			active[scan.active[i]] = true;
		for (size_t i = 0; i < scan.count; i++)
			dump_span(dump, &scan.spans[i], active[i]);
	}
	vhdx_log_scan_free(&scan);
	return active ? 0 : vhdx_fail_memory();
}

static int dump_log(const struct dump *dump)
{
	const struct image *image = dump->image;
	int ret = 0;

	offset(dump, "file-offset", image->log.offset);
	number(dump, "length", image->log.length);
	guid(dump, "log-guid", &image->log.guid);
	string(dump, "state", log_state_name(image->log_state));
	dump->to->begin_array(dump->to->opaque, "entries");
	if (image->log_state != VHDX_LOG_CLEAN && vhdx_image_log_is_usable(image) &&
	    image->log.length <= MAX_LOG_LENGTH)
		ret = dump_spans(dump);
	dump->to->end_array(dump->to->opaque);
	return ret;
}

static const char *state_name(unsigned state)
{
	static const char *const names[] = {
		"NOT_PRESENT", "UNDEFINED",	  "ZERO",	   "UNMAPPED",
		"reserved 4",  "UNMAPPED (0.95)", "FULLY_PRESENT", "PARTIALLY_PRESENT",
	};

	return names[state];
}

static const char *bitmap_state_name(unsigned state)
{
	if (state == BITMAP_PRESENT)
		return "BITMAP_PRESENT";
	return state == BITMAP_NOT_PRESENT ? "BITMAP_NOT_PRESENT" : "reserved";
}

static int dump_entry(void *opaque, uint64_t index, uint64_t entry)
{
	const struct dump *dump = opaque;
	const struct geometry *g = &dump->image->geometry;
	bool bitmap = bat_index_is_bitmap(g, index);
	unsigned state = bat_entry_state(entry);

	begin(dump, NULL);
	number(dump, "index", index);
	number(dump, bitmap ? "chunk" : "block",
	       bitmap ? bat_chunk_of_index(g, index) : bat_block_of_index(g, index));
	string(dump, "state", bitmap ? bitmap_state_name(state) : state_name(state));
	offset(dump, "file-offset", bat_entry_offset(entry));
	if (bat_entry_reserved(entry))
		offset(dump, "reserved", bat_entry_reserved(entry));
	end(dump);
	return 0;
}

static int dump_bat(const struct dump *dump)
{
	const struct image *image = dump->image;

	if (!(image->known & VHDX_KNOWN_GEOMETRY))
		return vhdx_error_raise(&image->fault);
	offset(dump, "file-offset", image->bat.file_offset);
	number(dump, "length", image->bat.length);
	number(dump, "blocks", image->geometry.blocks);
	number(dump, "chunk-ratio", image->geometry.chunk_ratio);
	number(dump, "entry-count", image->geometry.entries);
	dump->to->begin_array(dump->to->opaque, "entries");
	int ret = vhdx_bat_walk(image, false, dump_entry, (void *)(uintptr_t)dump, NULL, NULL);

	dump->to->end_array(dump->to->opaque);
	return ret;
}

static bool visitor_is_complete(const struct vhdx_dump_visitor *visitor)
{
	return visitor && visitor->size >= sizeof(*visitor) && visitor->begin_object &&
	       visitor->end_object && visitor->begin_array && visitor->end_array &&
	       visitor->number && visitor->offset && visitor->boolean && visitor->string;
}

/* Of a disk that is being written, the file holds everything after a flush, its log too. */
static int dump_written(struct vhdx *disk, int (*function)(const struct dump *dump),
			const struct vhdx_dump_visitor *visitor)
{
	struct image image;
	struct dump dump = {visitor, &image};
	int ret = vhdx_flush(disk);

	if (ret)
		return ret;
	ret = vhdx_image_load(&image, disk->name, &disk->file, NULL, NULL);
	if (!ret)
		ret = function(&dump);
	vhdx_image_free(&image);
	return ret;
}

int vhdx_dump(struct vhdx *disk, enum vhdx_structure structure,
	      const struct vhdx_dump_visitor *visitor)
{
	static int (*const dumps[])(const struct dump *dump) = {
		[VHDX_DUMP_HEADER] = dump_header,     [VHDX_DUMP_REGION] = dump_regions,
		[VHDX_DUMP_METADATA] = dump_metadata, [VHDX_DUMP_LOG] = dump_log,
		[VHDX_DUMP_BAT] = dump_bat,
	};

	if (!disk || !visitor_is_complete(visitor) || (size_t)structure >= ARRAY_SIZE(dumps))
		return vhdx_fail_argument(
			"vhdx_dump: no disk, a visitor that lacks functions, or structure %d",
			(int)structure);
	struct dump dump = {visitor, &disk->image};

	return disk_is_writable(disk) ? dump_written(disk, dumps[structure], visitor)
				      : dumps[structure](&dump);
}
