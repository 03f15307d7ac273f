/* SPDX-License-Identifier: MIT */
/* Repair of a child whose HasParent was lost (F 5). */
#include "meta/bitmap.h"
#include "meta/itemplaces.h"
#include "ops/itemvalues.h"
#include "ops/lostparent.h"
#include "store/io.h"

/* Past the entries that a disk without a parent has, too: the last chunk's is behind them. */
static int find_bitmap(const struct image *image, bool *ret_found)
{
	const struct geometry *g = &image->geometry;
	int ret = 0;

	*ret_found = false;
	for (uint64_t chunk = 0; chunk < g->chunks && !*ret_found && !ret; chunk++) {
		uint64_t place = bat_index_of_bitmap(g, chunk) * BAT_ENTRY_SIZE;
		struct le64 entry;

		if (!range_within(place, sizeof(entry), image->bat.length))
			break;
		ret = vhdx_io_read(image->view, &entry, sizeof(entry),
				   image->bat.file_offset + place);
		*ret_found = !ret && bat_entry_state(le64_get(entry)) == BITMAP_PRESENT &&
			     vhdx_bitmap_entry_is_usable(image, le64_get(entry));
	}
	return ret ? vhdx_fail_errno(ret, image->name, "the BAT cannot be read") : 0;
}

/* There is one parent locator, and it is right. */
static int find_locator(const struct image *image, unsigned *ret_index, bool *ret_found)
{
	unsigned count = 0;

	for (unsigned i = 0; i < image->item_count; i++)
		if (known_item_of(&image->items[i]) == PARENT_LOCATOR) {
			*ret_index = i;
			count++;
		}
	*ret_found = false;
	return count == 1 ? vhdx_item_is_right(image, &image->items[*ret_index], ret_found) : 0;
}

static int set_flag(struct repair *repair, const struct image *image, unsigned locator)
{
	struct file_parameters parameters = image->parameters;
	struct file_parameters_disk disk;
	uint64_t at = image->known_items[FILE_PARAMETERS].offset;

	parameters.flags |= PARAMETER_HAS_PARENT;
	vhdx_file_parameters_encode(&parameters, &disk);
	int ret = vhdx_io_write(repair->io, &disk, sizeof(disk), at);

	if (ret)
		return vhdx_fail_io(ret, repair->name, at, "the File Parameters cannot be written");
	repair->reads_change = true;
	vhdx_repair_mended(
		repair, PROBLEM_LOCATOR_WITHOUT_PARENT, item_entry_offset(image, locator), 0, 0,
		"metadata: HasParent was set again, for the parent locator is right and the "
		"BAT has sector bitmaps: the disk is read through its parent again");
	return 0;
}

int vhdx_mend_lost_parent(struct repair *repair, struct image *image)
{
	unsigned locator = 0;
	bool found;

	if (image->has_fault || !(image->known & VHDX_KNOWN_GEOMETRY) || image_has_parent(image))
		return 0;
	int ret = find_locator(image, &locator, &found);

	if (!ret && found)
		ret = find_bitmap(image, &found);
	return ret || !found ? ret : set_flag(repair, image, locator);
}
