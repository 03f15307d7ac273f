/* SPDX-License-Identifier: MIT */
/* The second step of a salvage: the BAT, where it should be, from the log, or wherever it is found. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/zeros.h"
#include "ops/guess.h"
#include "ops/hunt.h"
#include "ops/salvage.h"

/* Of what never was a BAT, or is none any more, fewer entries make sense, by chance. */
#define GARBAGE_RATIO 1024u

/* What stands in a BAT. */
struct quality {
	const struct salvage *s;
	uint64_t filled;
	uint64_t bad; /* that mean nothing */
};

static bool may_hold_block(const struct salvage *s, uint64_t offset)
{
	return offset >= HEADER_SECTION_SIZE && offset < image_view_size(&s->image);
}

bool vhdx_salvage_entry_is_garbage(const struct salvage *s, uint64_t entry)
{
	uint64_t offset = bat_entry_offset(entry);

	return offset >= MAX_MAPPED_FILE ||
	       (bat_entry_reserved(entry) && offset && !may_hold_block(s, offset));
}

/* The last chunk of a child has entries behind the disk's end, which no reader looks at. */
static bool is_behind_disk(const struct image *image, uint64_t index)
{
	const struct geometry *g = &image->geometry;

	return image->known & VHDX_KNOWN_GEOMETRY && !bat_index_is_bitmap(g, index) &&
	       bat_block_of_index(g, index) >= g->blocks;
}

static int judge_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct quality *quality = opaque;

	if (is_behind_disk(&quality->s->image, index))
		return 0;
	quality->filled++;
	quality->bad += vhdx_salvage_entry_is_garbage(quality->s, entry);
	return 0;
}

static int judge(const struct salvage *s, struct quality *ret_quality)
{
	struct image image = s->image;

	*ret_quality = (struct quality){.s = s};
	image.view = salvage_view(s);
	image.bat.length = (uint32_t)min_u64(image.bat.length, MAX_BAT_LENGTH);
	return vhdx_bat_walk(&image, !(image.known & VHDX_KNOWN_GEOMETRY), judge_entry, ret_quality,
			     NULL, NULL);
}

/* ---- Is there anything that the BAT should tell of? ---- */

struct stray {
	const struct salvage *s;
	uint8_t *buf;
};

static int look_for_stray(void *opaque, uint64_t offset)
{
	struct stray *stray = opaque;
	const struct image *image = &stray->s->image;

	if (vhdx_salvage_is_structure(stray->s, offset, MIB, NULL))
		return 0;
	int ret = vhdx_io_read(image->view, stray->buf, MIB, offset);

	if (ret)
		return vhdx_fail_io(ret, image->name, offset, "cannot be searched");
	return !vhdx_is_zeros(stray->buf, MIB);
}

static int has_stray_data(const struct salvage *s, bool *ret_has)
{
	auto_free uint8_t *buf = malloc(MIB);
	struct stray stray = {s, buf};

	if (!buf)
		return vhdx_fail_memory();
	int ret = vhdx_hunt_places(s->image.view, s->name, HEADER_SECTION_SIZE,
				   image_view_size(&s->image), look_for_stray, &stray);

	*ret_has = ret == 1;
	return ret < 0 ? ret : 0;
}

static int is_gone(const struct salvage *s, bool *ret_gone)
{
	struct quality quality;
	int ret = judge(s, &quality);

	*ret_gone = quality.bad > (quality.filled - quality.bad) * GARBAGE_RATIO;
	if (ret || quality.filled)
		return ret;
	return has_stray_data(s, ret_gone);
}

/* ---- Where it is ---- */

static bool is_named(const struct salvage *s)
{
	const struct region *bat = &s->image.bat;

	return bat->length && bat->file_offset >= HEADER_SECTION_SIZE &&
	       bat->file_offset < image_view_size(&s->image);
}

static void take_bat(struct salvage *s, const struct region *region, enum vhdx_salvage_how how,
		     const char *text)
{
	s->image.bat = *region;
	s->has_bat = true;
	s->result.bat_offset = region->file_offset;
	fact_set(&s->result.bat_fact, how, text);
}

static void drop_pages(struct salvage *s)
{
	vhdx_io_close(&s->paged);
}

/* With pages that only the log still has; or as it stands, if it is not gone altogether. */
static int use_named(struct salvage *s)
{
	uint64_t used;
	bool gone;
	int ret = is_gone(s, &gone);

	if (!ret)
		ret = vhdx_salvage_log_pages(s, gone, &used);
	if (ret)
		return ret;
	if (!used && !gone)
		take_bat(s, &s->image.bat, VHDX_SALVAGE_READ, "read");
	if (!used)
		return 0;
	ret = is_gone(s, &gone);
	if (gone)
		drop_pages(s);
	else
		take_bat(s, &s->image.bat, VHDX_SALVAGE_BY_SIGNATURE,
			 "read, with pages that only the log still has");
	return ret;
}

/* The place where a BAT was expected, and found gone. */
static bool is_the_named(const struct salvage *s, const struct region *region)
{
	return s->image.bat.length && s->image.bat.file_offset == region->file_offset;
}

static int search_by_shape(struct salvage *s)
{
	struct region region;
	int ret = vhdx_hunt_bat(&s->image, &region);

	if (!ret && !is_the_named(s, &region)) {
		take_bat(s, &region, VHDX_SALVAGE_BY_SIGNATURE, "found by its shape");
		return 0;
	}
	if (ret && ret != -ENOENT && ret != -ENOTUNIQ)
		return ret;
	ret = vhdx_hunt_damaged_bat(&s->image, &region);
	if (!ret && !is_the_named(s, &region))
		take_bat(s, &region, VHDX_SALVAGE_BY_SIGNATURE,
			 "found by its shape, although it is damaged");
	return ret == -ENOENT || ret == -ENOTUNIQ ? 0 : ret;
}

static int guess_place(struct salvage *s)
{
	struct region region;
	int ret = vhdx_guess_bat(s, &region);

	if (!ret)
		take_bat(s, &region, VHDX_SALVAGE_BY_GUESS, "guessed from its shape");
	return ret == -ENOENT ? 0 : ret;
}

/* A child's BAT may have what others have, and more, so it stands for a disk of unknown type. */
static int search(struct salvage *s)
{
	struct file_parameters *parameters = &s->image.parameters;
	uint32_t flags = parameters->flags;

	if (!fact_is_known(&s->result.type_fact)) {
		parameters->flags |= PARAMETER_HAS_PARENT;
		vhdx_salvage_set_geometry(s);
	}
	int ret = search_by_shape(s);

	parameters->flags = flags;
	vhdx_salvage_set_geometry(s);
	return ret;
}

int vhdx_salvage_find_bat(struct salvage *s)
{
	int ret = is_named(s) ? use_named(s) : 0;

	if (ret || s->has_bat)
		return ret;
	return s->image.known & VHDX_KNOWN_GEOMETRY ? search(s) : guess_place(s);
}

/* ---- Structures, which hold no blocks ---- */

static bool meets(uint64_t offset, uint64_t length, uint64_t other, uint64_t other_length,
		  uint64_t *ret_end)
{
	if (!ranges_meet(offset, length, other, other_length))
		return false;
	if (ret_end)
		*ret_end = round_up_saturated(other + other_length, MIB);
	return true;
}

bool vhdx_salvage_is_structure(const struct salvage *s, uint64_t offset, uint64_t length,
			       uint64_t *ret_end)
{
	const struct image *image = &s->image;
	uint64_t end = image_end(image);

	if (meets(offset, length, 0, HEADER_SECTION_SIZE, ret_end) ||
	    meets(offset, length, image->log.offset, image->log.length, ret_end) ||
	    meets(offset, length, image->metadata.file_offset, image->metadata.length, ret_end) ||
	    (is_named(s) &&
	     meets(offset, length, image->bat.file_offset, image->bat.length, ret_end)))
		return true;
	for (uint32_t i = 0; i < image->region_count; i++) {
		const struct region *region = &image->regions[i];

		if (range_within(region->file_offset, region->length, end) &&
		    meets(offset, length, region->file_offset, region->length, ret_end))
			return true;
	}
	return false;
}
