/* SPDX-License-Identifier: MIT */
/* Carries inputs out: a base image becomes the damaged one. */
#include <string.h>

#include "fuzz/input.h"
#include "fuzz/logrecord.h"

#define MOST_SECTORS 0x40000u /* of a file whose size an input sets: 128 MiB */
#define MOST_RECORDS 256u

struct record {
	enum record_kind kind;
	unsigned layer;
	unsigned area;
	uint32_t offset;
	const uint8_t *payload;
	unsigned length;
};

/* A layer being damaged. */
struct target {
	const struct layer *layer;
	struct cow *file;
	struct log_records log;
};

static uint64_t log_entry_place(const struct target *target, uint32_t number)
{
	const struct area *log = &target->layer->log;
	uint64_t found = log->offset;

	for (uint64_t at = 0; at < log->length; at += 4096) {
		char signature[4];

		cow_read(target->file, signature, 4, log->offset + at);
		if (memcmp(signature, "loge", 4) != 0)
			continue;
		found = log->offset + at;
		if (!number--)
			break;
	}
	return found;
}

static uint64_t item_place(const struct target *target, uint32_t number)
{
	uint64_t table = target->layer->metadata.offset;
	uint8_t count[2];
	uint8_t offset[4];

	cow_read(target->file, count, 2, table + 10);
	uint64_t entries = get_number(count, 2) % 16;

	cow_read(target->file, offset, 4, table + 32 + number % (entries ? entries : 1) * 32 + 16);
	return table + get_number(offset, 4) % (2 * T_MIB);
}

static uint64_t block_place(const struct target *target, uint32_t number)
{
	const struct layer *layer = target->layer;

	for (size_t i = 0; i < layer->count; i++) {
		const struct layer_block *block = &layer->list[(number + i) % layer->count];

		if (block->owns_space)
			return block->offset;
	}
	return layer->data_end;
}

static uint64_t block_entry_place(const struct layer *layer, uint32_t number)
{
	uint64_t index = layer->count
				 ? layer_bat_index(layer, layer->list[number % layer->count].number)
				 : 0;

	return layer->bat.offset + 8 * index;
}

/* The place in the file of @offset in an area. */
static uint64_t place(const struct target *target, unsigned area, uint32_t offset)
{
	const struct layer *layer = target->layer;

	switch ((enum input_area)area) {
	case AREA_IDENTIFIER:
		return offset % 520;
	case AREA_HEADER_1:
	case AREA_HEADER_2:
		return 64 * T_KIB * area + offset % 4096;
	case AREA_TABLE_1:
	case AREA_TABLE_2:
		return 64 * T_KIB * area + offset % (64 * T_KIB);
	case AREA_LOG:
		return layer->log.offset + offset % layer->log.length;
	case AREA_METADATA:
		return layer->metadata.offset + offset % (64 * T_KIB);
	case AREA_ITEMS:
		return layer->metadata.offset + 64 * T_KIB + offset % (32 * T_KIB);
	case AREA_BAT:
		return layer->bat.offset + offset % (layer->bat_entries * 8);
	case AREA_BLOCK_ENTRY:
		return block_entry_place(layer, offset / 8) + offset % 8;
	case AREA_BITMAP:
		return (layer->bitmap_count ? layer->bitmaps[0].offset : layer->bat.offset) +
		       offset % T_MIB;
	case AREA_BITMAP_ENTRY:
		return layer->bat.offset + offset % 8 +
		       8 * layer_bitmap_index(layer,
					      layer->bitmap_count ? layer->bitmaps[0].chunk : 0);
	case AREA_LOCATOR:
		return layer->locator.offset + offset % 4096;
	case AREA_LOG_ENTRY:
		return log_entry_place(target, offset / 4096) + offset % 4096;
	case AREA_ITEM:
		return item_place(target, offset / 4096) + offset % 4096;
	case AREA_PAYLOAD:
	default:
		return block_place(target, offset >> 16) + (offset & 0xffff);
	}
}

static uint64_t symbol(const struct target *target, const struct record_value *value,
		       uint64_t there)
{
	const struct layer *layer = target->layer;

	switch ((enum input_symbol)(value->symbol % SYMBOLS)) {
	case SYMBOL_POWER:
		return (uint64_t)1 << value->argument % 64;
	case SYMBOL_MINUS:
		return -(uint64_t)value->argument;
	case SYMBOL_FILE_SIZE:
		return target->file->size;
	case SYMBOL_LOG:
		return layer->log.offset;
	case SYMBOL_LOG_LENGTH:
		return layer->log.length;
	case SYMBOL_BAT:
		return layer->bat.offset;
	case SYMBOL_BAT_LENGTH:
		return layer->bat.length;
	case SYMBOL_METADATA:
		return layer->metadata.offset;
	case SYMBOL_METADATA_LENGTH:
		return layer->metadata.length;
	case SYMBOL_BLOCK:
		return block_place(target, value->argument);
	case SYMBOL_BITMAP:
		return layer->bitmap_count ? layer->bitmaps[0].offset : 0;
	case SYMBOL_BLOCK_SIZE:
		return layer->block_size;
	case SYMBOL_DISK_SIZE:
		return layer->virtual_size;
	case SYMBOL_END:
		return layer->data_end;
	case SYMBOL_THERE:
		return there;
	case SYMBOL_NUMBER:
	default:
		return value->argument;
	}
}

static void put_value(const struct target *target, const struct record *record)
{
	static const uint64_t units[] = {1, 512, 4096, T_MIB};
	struct record_value value;
	uint64_t at = place(target, record->area, record->offset);
	uint8_t bytes[8];

	if (record->length < sizeof(value))
		return;
	memcpy(&value, record->payload, sizeof(value));
	unsigned width = 1u << value.width % 4;

	cow_read(target->file, bytes, width, at);
	uint64_t number = symbol(target, &value, get_number(bytes, width));

	number += (uint64_t)(int64_t)value.delta * units[value.unit % 4];
	number |= value.bits % 8;
	put_number(bytes, number, width);
	cow_write(target->file, bytes, width, at);
}

static void carry_out(struct target *target, const struct record *record)
{
	uint64_t size = target->file->size;

	switch (record->kind) {
	case RECORD_BYTES:
		cow_write(target->file, record->payload, record->length,
			  place(target, record->area, record->offset));
		break;
	case RECORD_VALUE:
		put_value(target, record);
		break;
	case RECORD_LOG:
		fuzz_log_record(&target->log, target->layer, target->file, record->payload,
				record->length);
		break;
	case RECORD_ACTION:
		size = (uint64_t)(record->offset % MOST_SECTORS) * 512;
		break;
	}
	cow_resize(target->file, size); /* patches make no file longer */
}

static void note_action(struct fuzz_case *fuzz_case, const struct record *record)
{
	if (fuzz_case->action_count < MOST_ACTIONS)
		fuzz_case->actions[fuzz_case->action_count++] =
			(struct action){record->area, record->layer, record->offset, record->length,
					record->payload};
}

static size_t read_record(const uint8_t *data, size_t size, struct record *ret_record)
{
	size_t length = data[4];

	if (length > size - RECORD_HEAD)
		length = size - RECORD_HEAD;
	*ret_record = (struct record){
		.kind = (enum record_kind)(data[0] >> 6),
		.layer = data[0] >> 4 & 3,
		.area = data[0] & 15,
		.offset = (uint32_t)get_number(data + 1, 3),
		.payload = data + RECORD_HEAD,
		.length = (unsigned)length,
	};
	return RECORD_HEAD + length;
}

int fuzz_case_make(enum base_kind kind, const uint8_t *data, size_t size,
		   struct fuzz_case *ret_case)
{
	struct target targets[MAX_LAYERS] = {0};
	unsigned records = 0;

	if (!size)
		return -1;
	memset(ret_case, 0, sizeof(*ret_case));
	ret_case->base = fuzz_base(kind, data[0] & INPUT_BASE);
	ret_case->depth = ret_case->base->chain.depth;
	ret_case->flags = data[0] & INPUT_FLAGS;
	for (unsigned i = 0; i < ret_case->depth; i++) {
		cow_copy(&ret_case->base->files[i], &ret_case->files[i]);
		targets[i].layer = &ret_case->base->chain.layers[i];
		targets[i].file = &ret_case->files[i];
	}
	for (size_t at = 1; size - at >= RECORD_HEAD && records++ < MOST_RECORDS;) {
		struct record record;

		at += read_record(data + at, size - at, &record);
		if (record.kind == RECORD_ACTION && record.area != ACTION_SIZE)
			note_action(ret_case, &record);
		else
			carry_out(&targets[record.layer % ret_case->depth], &record);
	}
	for (unsigned i = 0; i < ret_case->depth && data[0] & INPUT_MEND; i++)
		fuzz_mend_checksums(targets[i].file, targets[i].layer->log);
	return 0;
}

void fuzz_case_free(struct fuzz_case *fuzz_case)
{
	for (unsigned i = 0; i < fuzz_case->depth; i++)
		cow_free(&fuzz_case->files[i]);
}
