/* SPDX-License-Identifier: MIT */
/* Writes entries into the log's ring (F 4.1, F 4.6), and knows which of its space may be overwritten. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "meta/logring.h"
#include "store/io.h"

void vhdx_log_ring_init(struct log_ring *ring, struct image *image)
{
	*ring = (struct log_ring){.image = image, .sequence_number = 1};
}

uint32_t vhdx_log_ring_entry_length(unsigned count)
{
	return (uint32_t)(log_descriptor_sectors(count) + count) * LOG_SECTOR_SIZE;
}

uint32_t vhdx_log_ring_room(const struct log_ring *ring, uint32_t tail)
{
	uint32_t length = ring->image->log.length;
	uint32_t needed = OBEYS(RULE_DURABLE_TAIL) ? ring->durable_tail : tail;
	uint32_t used = (ring->head + length - needed) % length;
	uint32_t kept = OBEYS(RULE_RESERVED_SECTOR) ? LOG_SECTOR_SIZE : 0;

	/* An entry always leaves room for one more, so head and tail meet only when nothing is needed. */
	return length - used - kept;
}

/* F 4.5: what is certain to be there, or no longer than the file is; and all that is in use. */
static struct log_entry make_entry(const struct log_ring *ring, const struct ring_entry *entry)
{
	const struct image *image = ring->image;
	uint64_t flushed = OBEYS(RULE_FLUSHED_FILE_OFFSET) ? image->flushed_size
							   : image_view_size(image);

	return (struct log_entry){
		.tail = entry->is_tail ? ring->head : entry->tail,
		.sequence_number = ring->sequence_number,
		.log_guid = image->log.guid,
		.flushed_file_offset = round_down(flushed, MIB),
		.last_file_offset = round_up(entry->last_file_offset, MIB),
	};
}

static int write_over_wrap(const struct log_ring *ring, const uint8_t *buf, uint32_t length)
{
	const struct log_place *log = &ring->image->log;
	uint32_t first = (uint32_t)min_u64(length, log->length - ring->head);
	int ret = vhdx_io_write(ring->image->file, buf, first, log->offset + ring->head);

	if (!ret && first < length)
		ret = vhdx_io_write(ring->image->file, buf + first, length - first, log->offset);
	return ret;
}

int vhdx_log_ring_write(struct log_ring *ring, struct ring_entry *entry)
{
	unsigned count = entry->capture ? entry->capture->count : 0;
	uint32_t length = vhdx_log_ring_entry_length(count);
	auto_free uint8_t *buf = malloc(length);
	auto_free struct log_change *changes = calloc(count + 1, sizeof(*changes));
	struct log_entry contents = make_entry(ring, entry);
	size_t encoded;

	if (!buf || !changes)
		return vhdx_fail_memory();
	for (unsigned i = 0; i < count; i++)
		changes[i] = (struct log_change){
			.file_offset = entry->capture->pages[i].home,
			.page = entry->capture->pages[i].bytes,
		};
	vhdx_log_entry_encode(&contents, changes, count, buf, length, &encoded);
	int ret = write_over_wrap(ring, buf, length);

	if (ret)
		return vhdx_fail_io(ret, ring->image->name, ring->image->log.offset + ring->head,
				    "the log cannot be written");
	entry->position = ring->head;
	entry->length = length;
	entry->tail = contents.tail;
	ring->head = (ring->head + length) % ring->image->log.length;
	ring->sequence_number++;
	return 0;
}

void vhdx_log_ring_durable(struct log_ring *ring, const struct ring_entry *entry)
{
	ring->durable_tail = entry->tail;
}
