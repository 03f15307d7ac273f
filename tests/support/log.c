/* SPDX-License-Identifier: MIT */
/*
 * Logs of test images (F 4): an active sequence that holds what the file does not, retired entries before
 * it, the remains of others around it, at any place of the ring.
 */
#include <stdlib.h>
#include <string.h>

#include "support/log.h"

#define MOST_CHANGES 24
#define REPEATED     130	  /* descriptors that go on in a second sector */
#define ACTIVE_ROOM  (150 * 4096) /* more than the active entries can take */

size_t log_entry_make(const struct log_entry_spec *spec, const struct log_change_spec *changes,
		      uint32_t count, uint8_t **ret_bytes)
{
	size_t descriptors = (64 + (size_t)count * 32 + 4095) / 4096 * 4096;
	size_t size = descriptors;

	for (uint32_t i = 0; i < count; i++)
		size += changes[i].page ? 4096 : 0;
	uint8_t *entry = calloc(1, size);
	uint8_t *sector = entry + descriptors;

	memcpy(entry, "loge", 4);
	put_number(entry + 8, size, 4);
	put_number(entry + 12, spec->tail, 4);
	put_number(entry + 16, spec->sequence, 8);
	put_number(entry + 24, count, 4);
	memcpy(entry + 32, spec->guid, 16);
	put_number(entry + 48, spec->flushed, 8);
	put_number(entry + 56, spec->last, 8);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *descriptor = entry + 64 + 32 * (size_t)i;
		const uint8_t *page = changes[i].page;

		memcpy(descriptor, page ? "desc" : "zero", 4);
		put_number(descriptor + 16, changes[i].target, 8);
		put_number(descriptor + 24, spec->sequence, 8);
		if (!page) {
			put_number(descriptor + 8, changes[i].length, 8);
			continue;
		}
		memcpy(descriptor + 4, page + 4092, 4);
		memcpy(descriptor + 8, page, 8);
		memcpy(sector, "data", 4);
		put_number(sector + 4, spec->sequence >> 32, 4);
		memcpy(sector + 8, page + 8, 4084);
		put_number(sector + 4092, spec->sequence, 4);
		sector += 4096;
	}
	put_number(entry + 4, slow_crc32c_structure(entry, size), 4);
	*ret_bytes = entry;
	return size;
}

void log_put(struct sparse *file, struct area log, uint64_t position, const uint8_t *bytes,
	     size_t size)
{
	for (size_t done = 0; done < size; done += 4096)
		sparse_write(file, bytes + done, 4096, log.offset + (position + done) % log.length);
}

/* A log being filled. */
struct writer {
	struct rng *rng;
	struct layer *layer;
	uint64_t position;
	uint64_t used;
	uint64_t sequence;
	uint64_t tail;
	uint64_t flushed;
	uint64_t last;
};

static uint64_t append(struct writer *writer, const struct log_change_spec *changes, uint32_t count)
{
	struct log_entry_spec spec = {
		.tail = (uint32_t)writer->tail,
		.sequence = writer->sequence++,
		.flushed = writer->flushed,
		.last = writer->last,
	};
	uint64_t at = writer->position;
	uint8_t *bytes;

	memcpy(spec.guid, writer->layer->log_guid, 16);
	size_t size = log_entry_make(&spec, changes, count, &bytes);

	log_put(&writer->layer->file, writer->layer->log, at, bytes, size);
	free(bytes);
	writer->position = (at + size) % writer->layer->log.length;
	writer->used += size;
	return at;
}

/* A target that was right once: anywhere behind the headers, but not in the log. */
static uint64_t stale_target(struct rng *rng, const struct layer *layer)
{
	uint64_t target;

	do {
		target = rng_between(rng, 48, layer->file.size / 4096 - 1) * 4096;
	} while (target >= layer->log.offset && target < layer->log.offset + layer->log.length);
	return target;
}

/* Entries of the run that lie before the head's tail: they must not be replayed (F 4.4). */
static void append_retired(struct writer *writer, unsigned entries)
{
	uint8_t pages[4][4096];

	for (unsigned i = 0; i < entries; i++) {
		struct log_change_spec changes[4];
		uint32_t count = (uint32_t)rng_between(writer->rng, 0, 4);

		for (uint32_t c = 0; c < count; c++) {
			rng_fill(writer->rng, pages[c], 64);
			memset(pages[c] + 64, 0x5a, 4096 - 64);
			changes[c] = (struct log_change_spec){
				stale_target(writer->rng, writer->layer), 0, pages[c]};
		}
		writer->tail = rng_chance(writer->rng, 50) ? writer->position : writer->tail;
		append(writer, changes, count);
	}
}

/* A page of the metadata that the log will hold. */
struct logged {
	uint64_t target;
	uint64_t zero_length; /* 0: a page */
	unsigned entry;
	uint8_t page[4096];
};

static uint64_t random_page(struct rng *rng, struct area area)
{
	return area.offset + rng_below(rng, area.length / 4096) * 4096;
}

/* A page of the region tables, the metadata, the BAT or a bitmap. */
static uint64_t choose_page(struct rng *rng, const struct layer *layer)
{
	uint64_t bat_used = (layer->bat_entries * 8 + 4095) / 4096 * 4096;

	switch (rng_below(rng, 6)) {
	case 0:
		return random_page(rng, (struct area){192 * T_KIB, 128 * T_KIB});
	case 1:
		return random_page(rng, (struct area){layer->metadata.offset, 80 * T_KIB});
	case 2:
	case 3:
		if (layer->count) {
			const struct layer_block *block =
				&layer->list[rng_below(rng, layer->count)];

			return layer->bat.offset +
			       layer_bat_index(layer, block->number) * 8 / 4096 * 4096;
		}
		return random_page(rng, (struct area){layer->bat.offset, bat_used});
	default:
		if (layer->bitmap_count)
			return random_page(
				rng,
				(struct area){
					layer->bitmaps[rng_below(rng, layer->bitmap_count)].offset,
					64 * T_KIB});
		return random_page(rng, (struct area){layer->bat.offset, bat_used});
	}
}

static bool is_zero_range(const struct sparse *file, uint64_t offset, uint64_t length)
{
	uint8_t page[4096];

	for (uint64_t at = 0; at < length; at += 4096) {
		sparse_read(file, page, 4096, offset + at);
		for (int i = 0; i < 4096; i++)
			if (page[i])
				return false;
	}
	return true;
}

/* What the file holds instead: zeros, or remains of something. */
static void spoil(struct rng *rng, struct sparse *file, uint64_t offset, uint64_t length)
{
	uint8_t page[4096];

	if (rng_chance(rng, 40)) {
		sparse_zero(file, offset, length);
		return;
	}
	for (uint64_t at = 0; at < length; at += 4096) {
		rng_fill(rng, page, 128);
		memset(page + 128, (int)rng_below(rng, 256), 4096 - 128);
		sparse_write(file, page, 4096, offset + at);
	}
}

static size_t choose_logged(struct rng *rng, struct layer *layer, struct logged *logged,
			    unsigned entries)
{
	size_t count = rng_below(rng, MOST_CHANGES);

	for (size_t i = 0; i < count; i++) {
		logged[i] = (struct logged){.target = choose_page(rng, layer),
					    .entry = (unsigned)rng_below(rng, entries)};
		sparse_read(&layer->final, logged[i].page, 4096, logged[i].target);
		uint64_t run = 4096 * rng_between(rng, 1, 16);

		if (logged[i].target + run <= layer->bat.offset + layer->bat.length &&
		    logged[i].target >= layer->bat.offset &&
		    is_zero_range(&layer->final, logged[i].target, run))
			logged[i].zero_length = run;
		spoil(rng, &layer->file, logged[i].target,
		      logged[i].zero_length ? logged[i].zero_length : 4096);
	}
	return count;
}

/* One active entry: what it holds for good, and things that later entries replace. */
static void append_active(struct writer *writer, const struct logged *logged, size_t count,
			  unsigned entry)
{
	struct log_change_spec changes[REPEATED + 3 * MOST_CHANGES];
	static const uint8_t other[4096] = {0xee, 1, 2, 3};
	uint32_t used = 0;

	for (int i = 0;
	     count && entry <= logged[0].entry && i < REPEATED && rng_chance(writer->rng, 99); i++)
		changes[used++] = (struct log_change_spec){logged[0].target, 4096, NULL};

	for (size_t i = 0; i < count; i++) {
		const struct logged *change = &logged[i];
		bool early = entry < change->entry && rng_chance(writer->rng, 40);

		if (entry == change->entry && !change->zero_length && rng_chance(writer->rng, 20))
			changes[used++] = (struct log_change_spec){change->target, 4096, NULL};
		if (early)
			changes[used++] =
				rng_chance(writer->rng, 50)
					? (struct log_change_spec){change->target, 0, other}
					: (struct log_change_spec){change->target, 4096, NULL};
		if (entry == change->entry)
			changes[used++] =
				(struct log_change_spec){change->target, change->zero_length,
							 change->zero_length ? NULL : change->page};
	}
	append(writer, changes, used);
}

/* What may follow a head: a torn entry, one that continues nothing, one of another session. */
static void append_remains(struct writer *writer)
{
	struct log_entry_spec spec = {
		.tail = (uint32_t)writer->position, .flushed = 0, .last = T_MIB};
	uint8_t page[4096] = {1, 2, 3};
	struct log_change_spec change = {stale_target(writer->rng, writer->layer), 0, page};
	uint64_t kind = rng_below(writer->rng, 4);
	uint8_t *bytes;

	memcpy(spec.guid, writer->layer->log_guid, 16);
	spec.sequence = writer->sequence + (kind == 1 ? 1 : 0);
	if (kind == 1) /* newer, but its tail is not of its run */
		spec.tail = (uint32_t)((writer->position + 64 * T_KIB) % writer->layer->log.length);
	if (kind == 2) {
		spec.guid[3] ^= 1;
		spec.sequence += 1000;
	}
	if (kind == 3) { /* complete, and older */
		if (writer->sequence < 100)
			return;
		spec.sequence = writer->sequence - 50;
	}
	size_t size = log_entry_make(&spec, &change, 1, &bytes);

	if (kind == 0)
		bytes[rng_below(writer->rng, size)] ^= 1;
	log_put(&writer->layer->file, writer->layer->log, writer->position, bytes, size);
	free(bytes);
}

/* The file may be shorter than LastFileOffset: the rest of it reads as zeros after the replay. */
static void choose_sizes(struct writer *writer)
{
	struct layer *layer = writer->layer;

	if (layer->file.size % T_MIB == 0 && rng_chance(writer->rng, 40)) {
		uint64_t end = layer->file.size;
		uint64_t cut = 0;

		for (size_t i = 0; i < layer->count; i++)
			if (layer->list[i].owns_space &&
			    layer->list[i].offset + layer->block_size == layer->data_end)
				cut = layer->list[i].offset;
		if (cut && cut > layer->log.offset) {
			sparse_zero(&layer->final, cut, end - cut);
			sparse_resize(&layer->file, cut);
		}
	}
	writer->flushed = layer->file.size / T_MIB * T_MIB;
	writer->last = layer->final.size / T_MIB * T_MIB;
	if (rng_chance(writer->rng, 30))
		writer->flushed = T_MIB * rng_below(writer->rng, writer->flushed / T_MIB + 1);
}

static uint64_t choose_sequence(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return 1;
	case 1:
		return 0xfffffff0 + rng_below(rng, 16); /* both halves change on the way */
	case 2:
		return UINT64_MAX - 1000;
	default:
		return (rng_next(rng) >> 1) + 100;
	}
}

void layer_make_dirty(struct rng *rng, struct layer *layer)
{
	struct writer writer = {.rng = rng, .layer = layer, .sequence = choose_sequence(rng)};
	unsigned entries = (unsigned)rng_between(rng, 1, 5);
	struct logged *logged = calloc(MOST_CHANGES, sizeof(*logged));

	layer->is_dirty = true;
	rng_fill(rng, layer->log_guid, 16);
	choose_sizes(&writer);
	writer.position = rng_below(rng, layer->log.length / 4096) * 4096;
	writer.tail = writer.position;
	append_retired(&writer, (unsigned)rng_below(rng, 4));
	if (rng_chance(rng, 10)) /* a log that is nearly full */
		while (writer.used + ACTIVE_ROOM + 5 * 4096 <= layer->log.length)
			append_retired(&writer, 1);
	size_t count = choose_logged(rng, layer, logged, entries);
	uint64_t first = writer.position;

	writer.tail = first;
	layer->log_entries = entries;
	for (unsigned i = 0; i < entries; i++)
		append_active(&writer, logged, count, i);
	if (rng_chance(rng, 20)) {
		append(&writer, NULL, 0);
		layer->log_entries++;
	}
	if (writer.used + 2 * 4096 <= layer->log.length && rng_chance(rng, 60))
		append_remains(&writer);
	free(logged);
}
