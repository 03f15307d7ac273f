/* SPDX-License-Identifier: MIT */
/* What is lost with a log that is discarded: the changes that only it held. */
#include <string.h>

#include "format/logentry.h"
#include "ops/loglosses.h"
#include "store/io.h"

/* Pages of the BAT that are compared, once for each change of theirs; the rest of a hostile log is not. */
#define MAX_COMPARED (1u << 18)

#define PAGE_ENTRIES (LOG_SECTOR_SIZE / BAT_ENTRY_SIZE)

struct counting {
	const struct image *image;
	struct log_losses losses;
	unsigned compared; /* pages */
};

/* An entry of the BAT is another one in the log. */
static void count_entry(struct counting *counting, uint64_t index)
{
	const struct geometry *g = &counting->image->geometry;
	struct log_losses *losses = &counting->losses;
	uint64_t chunk_size = g->chunk_ratio * g->block_size;
	bool is_bitmap = bat_index_is_bitmap(g, index);
	uint64_t offset = is_bitmap ? bat_chunk_of_index(g, index) * chunk_size
				    : bat_block_of_index(g, index) * g->block_size;
	uint64_t end = min_u64(offset + (is_bitmap ? chunk_size : g->block_size), g->virtual_size);

	if (offset >= g->virtual_size)
		return;
	losses->guest_offset = losses->blocks ? min_u64(losses->guest_offset, offset) : offset;
	losses->guest_end = max_u64(losses->guest_end, end);
	losses->blocks++;
}

/* The page at @offset of the file, as the log has it. */
static int compare_page(struct counting *counting, uint64_t offset, const void *logged)
{
	const struct image *image = counting->image;
	const struct le64 *theirs = logged;
	struct le64 ours[PAGE_ENTRIES];
	uint64_t first = (offset - image->bat.file_offset) / BAT_ENTRY_SIZE;
	int ret = vhdx_io_read(image->file, ours, sizeof(ours), offset);

	counting->compared++;
	if (ret)
		return vhdx_fail_io(ret, image->name, offset, "the BAT cannot be read");
	for (unsigned i = 0; i < PAGE_ENTRIES && first + i < image->geometry.entries; i++)
		if (le64_get(ours[i]) != le64_get(theirs[i]))
			count_entry(counting, first + i);
	return 0;
}

static int count_page(struct counting *counting, const struct logged_change *change)
{
	struct log_sector_disk sector;
	uint8_t page[LOG_SECTOR_SIZE];
	int ret = vhdx_io_read(counting->image->file, &sector, sizeof(sector), change->sector_at);

	if (ret)
		return vhdx_fail_io(ret, counting->image->name, change->sector_at,
				    "the log cannot be read");
	vhdx_log_page_rebuild(&change->descriptor, &sector, page);
	return compare_page(counting, change->descriptor.file_offset, page);
}

static int count_zeros(struct counting *counting, const struct logged_change *change)
{
	static const uint8_t zeros[LOG_SECTOR_SIZE];
	const struct region *bat = &counting->image->bat;
	uint64_t from = max_u64(change->descriptor.file_offset, bat->file_offset);
	uint64_t to =
		min_u64(change->descriptor.file_offset + change->descriptor.length,
			bat->file_offset + counting->image->geometry.entries * BAT_ENTRY_SIZE);
	int ret = 0;

	for (; from < to && !ret && counting->compared < MAX_COMPARED; from += LOG_SECTOR_SIZE)
		ret = compare_page(counting, from, zeros);
	return ret;
}

static int count_change(void *opaque, const struct logged_change *change)
{
	struct counting *counting = opaque;
	const struct image *image = counting->image;
	struct log_losses *losses = &counting->losses;
	uint64_t offset = change->descriptor.file_offset;
	uint64_t length = change->descriptor.length;

	losses->first = losses->changes ? min_u64(losses->first, offset) : offset;
	losses->end = max_u64(losses->end, offset + length);
	losses->changes++;
	if (!(image->known & VHDX_KNOWN_GEOMETRY) ||
	    !is_aligned(image->bat.file_offset, LOG_SECTOR_SIZE) ||
	    !ranges_meet(offset, length, image->bat.file_offset,
			 image->geometry.entries * BAT_ENTRY_SIZE))
		return 0;
	return change->descriptor.is_zero ? count_zeros(counting, change)
					  : count_page(counting, change);
}

static int count_scan(struct counting *counting, const struct log_scan *scan)
{
	size_t count = scan->active_count ? scan->active_count : scan->count;
	struct log_reader reader;
	int ret = vhdx_log_reader_open(counting->image->file, &counting->image->log, &reader);

	if (ret)
		return ret;
	counting->losses.entries = count;
	for (size_t i = 0; i < count && !ret; i++)
		ret = vhdx_log_walk_changes(&reader,
					    &scan->spans[scan->active_count ? scan->active[i] : i],
					    count_change, counting);
	vhdx_log_reader_close(&reader);
	return ret;
}

int vhdx_log_losses(const struct image *image, struct log_losses *ret_losses)
{
	struct counting counting = {.image = image};
	struct log_scan scan = {0};

	if (vhdx_image_log_is_usable(image) && image->log.length <= MAX_LOG_LENGTH) {
		int ret = vhdx_log_scan(image->file, &image->log, &scan);

		if (!ret)
			ret = count_scan(&counting, &scan);
		vhdx_log_scan_free(&scan);
		if (ret)
			return ret;
	}
	*ret_losses = counting.losses;
	return 0;
}
