/* SPDX-License-Identifier: MIT */
/* Repair of the region tables (F 3). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/guid.h"
#include "ops/hunt.h"
#include "ops/mend.h"
#include "ops/newlog.h"
#include "ops/regionlist.h"
#include "ops/regionplace.h"

/* A repair of the tables. */
struct mending {
	struct repair *repair;
	struct image *image;
	struct region_list list;
	enum region_source source;
};

static bool is_known(const struct region *region)
{
	return guid_equal(&region->guid, &REGION_BAT) ||
	       guid_equal(&region->guid, &REGION_METADATA);
}

/* For tables of which none counts, what becomes of them is told as one. */
static void tell(struct mending *mending, enum problem problem, const char *text)
{
	uint64_t at = region_table_offset(mending->image->table == 1);

	if (mending->source == REGIONS_VALID)
		vhdx_repair_mended(mending->repair, problem, at, 0, 0, "%s", text);
}

static bool is_region_equal(const struct region *a, const struct region *b)
{
	return a->file_offset == b->file_offset && a->length == b->length &&
	       guid_equal(&a->guid, &b->guid);
}

/* ---- the two regions that every image has ---- */

/* The one right place that the tables name. */
struct choice {
	const struct mending *mending;
	struct region region;
	unsigned count; /* of different right ones */
};

static int is_right_bat(const struct image *image, const struct region *region)
{
	uint64_t needed = image->known & VHDX_KNOWN_GEOMETRY
				  ? image->geometry.entries * BAT_ENTRY_SIZE
				  : BAT_ENTRY_SIZE;

	return vhdx_region_lies_in_file(image, region) && region->length >= needed &&
	       is_aligned(region->file_offset, MIB) &&
	       !ranges_meet(region->file_offset, region->length, image->log.offset,
			    image->log.length) &&
	       !ranges_meet(region->file_offset, region->length, image->metadata.file_offset,
			    image->metadata.length);
}

static int choose(void *opaque, const struct region *region)
{
	struct choice *choice = opaque;
	const struct image *image = choice->mending->image;
	bool is_right = false;
	int ret = 0;

	if (guid_equal(&region->guid, &REGION_METADATA))
		ret = vhdx_region_is_metadata(image, region, &is_right);
	else
		is_right = is_right_bat(image, region);
	if (!ret && is_right && !(choice->count && is_region_equal(region, &choice->region))) {
		choice->count++;
		choice->region = *region;
	}
	return ret;
}

/* Does the region stand there once, where it may be? Of a table that is not proved, more is asked. */
static int stands_well(const struct mending *mending, const struct vhdx_guid *guid, bool *ret_well)
{
	uint32_t index = 0;
	struct choice choice = {.mending = mending};

	*ret_well = false;
	if (vhdx_region_list_find(&mending->list, guid, &index) != 1 ||
	    !vhdx_region_lies_in_file(mending->image, &mending->list.regions[index]))
		return 0;
	*ret_well = true;
	if (mending->source != REGIONS_TRUSTED)
		return 0;
	int ret = choose(&choice, &mending->list.regions[index]);

	*ret_well = choice.count;
	return ret;
}

static int hunt(struct mending *mending, const struct vhdx_guid *guid, struct region *ret_region)
{
	struct image *image = mending->image;

	if (guid_equal(guid, &REGION_METADATA))
		return vhdx_hunt_metadata(image->view, image->name, ret_region);
	if (!(image->known & VHDX_KNOWN_GEOMETRY))
		return -ENOENT;
	int ret = vhdx_hunt_bat(image, ret_region);

	return ret == -ENOENT ? vhdx_hunt_damaged_bat(image, ret_region) : ret;
}

static const char *describe(uint32_t found, bool was_named)
{
	if (found > 1)
		return was_named ? "it stood there twice; the right one is kept"
				 : "it stood there twice, both wrong; its place was found";
	if (found)
		return was_named ? "its right place is taken from the other table"
				 : "its right place was found";
	return was_named ? "it was missing; it is entered from the other table"
			 : "it was missing; its place was found";
}

static void put_found(struct mending *mending, const struct region *region, bool was_named)
{
	uint32_t found = vhdx_region_list_find(&mending->list, &region->guid, NULL);
	struct region entry = *region;
	char text[200];

	entry.required = REGION_REQUIRED;
	if (!vhdx_region_list_put(&mending->list, &entry))
		return;
	snprintf(text, sizeof(text), "the %s region is %#x bytes at %#" PRIx64 ": %s",
		 guid_equal(&region->guid, &REGION_BAT) ? "BAT" : "metadata", entry.length,
		 entry.file_offset, describe(found, was_named));
	tell(mending,
	     found > 1 ? PROBLEM_REGION_DUPLICATE
	     : found   ? PROBLEM_REGION_PLACE
		       : PROBLEM_REGION_MISSING,
	     text);
}

/* What is not right may yet become so, by those who mend what lies there. */
static bool take_on_trust(const struct mending *mending, const struct vhdx_guid *guid,
			  struct region *ret_region)
{
	uint32_t index = 0;

	if (mending->source != REGIONS_TRUSTED ||
	    vhdx_region_list_find(&mending->list, guid, &index) != 1)
		return false;
	*ret_region = mending->list.regions[index];
	return vhdx_region_lies_in_file(mending->image, ret_region);
}

/*
 * Makes the list hold one right region of @guid: by what the tables say, or by what the file shows. Several
 * places that may be right are tried by the hunt. *ret_region is the one that counts, if there is any.
 */
static int mend_known(struct mending *mending, const struct vhdx_guid *guid, bool *ret_there,
		      struct region *ret_region)
{
	struct choice choice = {.mending = mending};
	uint32_t index = 0;
	bool well;
	int ret = stands_well(mending, guid, &well);

	*ret_there = well;
	if (ret)
		return ret;
	if (well) {
		vhdx_region_list_find(&mending->list, guid, &index);
		*ret_region = mending->list.regions[index];
		return 0;
	}
	ret = vhdx_region_tables_walk(&mending->list, guid, choose, &choice);
	if (!ret && choice.count != 1)
		ret = hunt(mending, guid, &choice.region);
	if (ret == -ENOENT || ret == -ENOTUNIQ) {
		*ret_there = take_on_trust(mending, guid, ret_region);
		return 0;
	}
	if (ret)
		return ret;
	put_found(mending, &choice.region, choice.count);
	*ret_region = choice.region;
	*ret_there = true;
	return 0;
}

/* The geometry says how long the BAT must be, and what may stand in it. */
static int learn_geometry(struct image *image, const struct region *metadata)
{
	if (image->items)
		return 0;
	int ret = vhdx_hunt_use_metadata(image, metadata);

	return ret == -EUCLEAN ? 0 : ret;
}

static int mend_needed(struct mending *mending, bool *ret_complete)
{
	struct region region;
	bool there;
	int ret = mend_known(mending, &REGION_METADATA, &there, &region);

	*ret_complete = false;
	if (ret || !there)
		return ret;
	ret = learn_geometry(mending->image, &region);
	if (!ret)
		ret = mend_known(mending, &REGION_BAT, ret_complete, &region);
	return ret;
}

/* ---- the others ---- */

/* Of two of one GUID the first stays when they are equal, else the one that lies in the file. */
static void drop_duplicates(struct mending *mending)
{
	struct region_list *list = &mending->list;

	for (uint32_t i = 0; i < list->count; i++)
		for (uint32_t j = list->count; j-- > i + 1;) {
			const struct region *a = &list->regions[i];
			const struct region *b = &list->regions[j];
			bool a_lies = vhdx_region_lies_in_file(mending->image, a);
			bool b_lies = vhdx_region_lies_in_file(mending->image, b);

			if (is_known(a) || !guid_equal(&a->guid, &b->guid) ||
			    (a_lies && b_lies && !is_region_equal(a, b)))
				continue;
			if (!a_lies && b_lies)
				list->regions[i] = list->regions[j];
			vhdx_region_list_remove(list, j);
			tell(mending, PROBLEM_REGION_DUPLICATE,
			     "an unknown region stood there twice; one is kept");
		}
}

static void drop_misplaced(struct mending *mending)
{
	struct region_list *list = &mending->list;

	for (uint32_t i = list->count; i-- > 0;)
		if (!is_known(&list->regions[i]) &&
		    !vhdx_region_lies_in_file(mending->image, &list->regions[i])) {
			vhdx_region_list_remove(list, i);
			tell(mending, PROBLEM_REGION_UNKNOWN_PLACE,
			     "an unknown region that did not lie in the file is taken out");
		}
}

static void clear_reserved(struct mending *mending)
{
	struct region_list *list = &mending->list;
	const struct image *image = mending->image;
	bool reserved = image->table != NO_TABLE && image->tables[image->table].reserved;

	for (uint32_t i = 0; i < list->count; i++)
		if (list->regions[i].required & ~REGION_REQUIRED) {
			list->regions[i].required &= REGION_REQUIRED;
			reserved = true;
		}
	if (!reserved)
		return;
	list->changed = true;
	tell(mending, PROBLEM_REGION_RESERVED, "reserved fields of the region tables are cleared");
}

static bool needs_software(const struct region_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (!is_known(&list->regions[i]) && list->regions[i].required & REGION_REQUIRED)
			return true;
	return false;
}

/* ---- the tables themselves ---- */

static void tell_source(struct mending *mending)
{
	static const char *const how[] = {
		[REGIONS_PROVED] = "they are put together from what is left of both: the checksum "
				   "shows that they are as they were",
		[REGIONS_TRUSTED] =
			"they are rebuilt: the regions were found in what is left of them "
			"and by what the file holds",
	};
	const struct image *image = mending->image;

	if (mending->source != REGIONS_VALID)
		vhdx_repair_mended(mending->repair,
				   image->table == NO_TABLE ? PROBLEM_REGION_TABLES_BOTH_BAD
							    : PROBLEM_REGION_COUNT,
				   REGION_TABLE_1_OFFSET, 0, 0, "the region tables: %s",
				   how[mending->source]);
}

/* The copy that does not count. Returns whether it has to be written. */
static bool mend_copy(struct mending *mending)
{
	const struct image *image = mending->image;

	if (mending->source != REGIONS_VALID)
		return false;
	unsigned copy = !image->table;
	const struct region_table *other = &image->tables[copy];
	bool differs =
		memcmp(mending->list.tables[0], mending->list.tables[1], REGION_TABLE_SIZE) != 0;

	if (differs)
		vhdx_repair_mended(mending->repair,
				   region_table_is_valid(other) ? PROBLEM_REGION_TABLES_DIFFER
				   : other->has_signature	? PROBLEM_REGION_TABLE_CHECKSUM
								: PROBLEM_REGION_TABLE_SIGNATURE,
				   region_table_offset(copy), 0, 0,
				   "region table %u is written anew, from table %u", copy + 1,
				   image->table + 1);
	return differs;
}

/* Places can be mended when nothing else is left: only then is known where there is room. */
static int mend_places(struct mending *mending)
{
	if (mending->list.changed || mending->source != REGIONS_VALID ||
	    !(mending->image->known & VHDX_KNOWN_GEOMETRY))
		return 0;
	int ret = vhdx_align_regions(mending->repair, mending->image, &mending->list);

	if (!ret && !mending->list.changed)
		vhdx_cut_regions(mending->repair, mending->image, &mending->list);
	return ret;
}

static int mend_tables(struct mending *mending)
{
	bool complete;

	if (needs_software(&mending->list))
		return 0;
	int ret = mend_needed(mending, &complete);

	if (ret || (!complete && mending->source != REGIONS_VALID))
		return ret;
	bool copy = mend_copy(mending);

	drop_duplicates(mending);
	drop_misplaced(mending);
	clear_reserved(mending);
	tell_source(mending);
	ret = mend_places(mending);
	if (ret || (!copy && !mending->list.changed))
		return ret;
	return vhdx_region_list_write(mending->repair, &mending->list, mending->image->table);
}

/* A log that lies over a region, when the regions are right. */
static int mend_log_overlap(struct repair *repair, struct image *image)
{
	for (uint32_t i = 0; i < image->region_count; i++)
		if (vhdx_region_lies_in_file(image, &image->regions[i]) &&
		    ranges_meet(image->regions[i].file_offset, image->regions[i].length,
				image->log.offset, image->log.length))
			return vhdx_make_log(repair, image, PROBLEM_REGION_OVERLAP,
					     region_table_offset(image->table));
	return 0;
}

int vhdx_mend_regions(struct repair *repair, struct image *image)
{
	struct mending mending = {.repair = repair, .image = image};
	uint64_t before = repair->result.mended;

	if (image->current == NO_HEADER || image->log_state != VHDX_LOG_CLEAN ||
	    image->headers[image->current].version != HEADER_VERSION)
		return 0;
	int ret = vhdx_region_list_read(image, &mending.list, &mending.source);

	if (ret)
		return ret;
	ret = mend_tables(&mending);
	vhdx_region_list_free(&mending.list);
	return ret || repair->result.mended != before ? ret : mend_log_overlap(repair, image);
}
