/* SPDX-License-Identifier: MIT */
/* Whose each MiB of a file is, while its BAT is checked. */
#include <inttypes.h>
#include <stdio.h>

#include "base/guid.h"
#include "meta/batloss.h"
#include "meta/batrules.h"
#include "meta/batspace.h"

#define MAX_SEARCHES 16 /* for who else has a range: more would take too long */

struct owner_search {
	const struct image *image;
	uint64_t not_index; /* the one that asks */
	uint64_t offset;
	struct space_owner *owner;
};

static void name_entry(const struct geometry *g, const struct bat_ruling *ruling,
		       struct space_owner *owner)
{
	if (ruling->kind == BAT_BITMAP) {
		snprintf(owner->name, sizeof(owner->name), "the bitmap of chunk %" PRIu64,
			 ruling->number);
		return;
	}
	owner->part = vhdx_guest_part(g, ruling->number);
	snprintf(owner->name, sizeof(owner->name),
		 "block %" PRIu64 ", which is bytes %" PRIu64 "-%" PRIu64 " of the disk",
		 ruling->number, owner->part.offset, owner->part.offset + owner->part.length - 1);
}

static int match_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct owner_search *search = opaque;
	struct bat_ruling ruling = vhdx_bat_rule(search->image, index, entry);

	if (index == search->not_index || search->offset < ruling.offset ||
	    search->offset - ruling.offset >= ruling.space)
		return 0;
	name_entry(&search->image->geometry, &ruling, search->owner);
	return 1;
}

static bool name_fixed_owner(const struct image *image, uint64_t offset, struct space_owner *owner)
{
	char guid[VHDX_GUID_TEXT_SIZE];
	const char *name = NULL;

	if (offset < HEADER_SECTION_SIZE)
		name = "the header section";
	else if (image->current != NO_HEADER &&
		 ranges_meet(offset, MIB, image->log.offset, image->log.length))
		name = "the log";
	else if (ranges_meet(offset, MIB, image->bat.file_offset, image->bat.length))
		name = "the BAT region";
	else if (ranges_meet(offset, MIB, image->metadata.file_offset, image->metadata.length))
		name = "the metadata region";
	for (uint32_t i = 0; i < image->region_count && !name; i++)
		if (ranges_meet(offset, MIB, image->regions[i].file_offset,
				image->regions[i].length))
			name = vhdx_guid_text(&image->regions[i].guid, guid);
	if (name)
		snprintf(owner->name, sizeof(owner->name), "%s", name);
	return name != NULL;
}

static void name_owner(struct bat_space *space, uint64_t index, uint64_t offset,
		       struct space_owner *ret_owner)
{
	struct owner_search search = {space->image, index, offset, ret_owner};

	*ret_owner = (struct space_owner){.name = "another structure"};
	if (name_fixed_owner(space->image, offset, ret_owner) || space->searches++ >= MAX_SEARCHES)
		return;
	/* Should this read of the BAT fail, so will the check's own, which says so. */
	(void)vhdx_bat_walk(space->image, false, match_entry, &search, NULL, NULL);
}

/* What a range is now, and where the strongest owner of it begins to have it. */
static enum space_use look(const struct bat_space *space, uint64_t offset, uint64_t length,
			   uint64_t *ret_where)
{
	enum space_use use = SPACE_FREE;

	for (uint64_t at = offset; at < offset + length; at += MIB) {
		if (!vhdx_space_map_has(&space->taken, at))
			continue;
		enum space_use here = vhdx_space_map_has(&space->anchors, at) ? SPACE_OF_ANCHOR
									      : SPACE_IN_USE;

		if (here > use) {
			use = here;
			*ret_where = at;
		}
		if (use == SPACE_IN_USE)
			break;
	}
	return use;
}

/* What nobody has yet. */
static int mark_anchor(struct bat_space *space, uint64_t offset, uint64_t length)
{
	int ret = space->anchors.words
			  ? 0
			  : vhdx_space_map_init(&space->anchors, space->taken.mebibytes * MIB);

	for (uint64_t at = offset; at < offset + length && !ret; at += MIB)
		if (!vhdx_space_map_has(&space->taken, at))
			vhdx_space_map_mark(&space->anchors, at, MIB, NULL);
	return ret;
}

int vhdx_bat_space_take(struct bat_space *space, uint64_t index, uint64_t offset, uint64_t length,
			bool is_anchor, enum space_use *ret_use, struct space_owner *ret_owner)
{
	uint64_t where = 0;
	enum space_use use = look(space, offset, length, &where);
	int ret = is_anchor ? mark_anchor(space, offset, length) : 0;

	if (ret)
		return ret;
	if (!is_anchor && use != SPACE_FREE)
		vhdx_space_map_clear(&space->anchors, offset, length);
	vhdx_space_map_mark(&space->taken, offset, length, NULL);
	if (use != SPACE_FREE)
		name_owner(space, index, where, ret_owner);
	*ret_use = use;
	return 0;
}

int vhdx_bat_space_open(struct bat_space *space, const struct image *image)
{
	*space = (struct bat_space){.image = image};
	int ret = vhdx_space_map_init(&space->taken, image_end(image));

	if (!ret) /* overlaps among these are reported with the regions */
		vhdx_take_fixed_space(image, &space->taken);
	return ret;
}

void vhdx_bat_space_close(struct bat_space *space)
{
	vhdx_space_map_free(&space->taken);
	vhdx_space_map_free(&space->anchors);
}
