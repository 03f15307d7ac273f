/* SPDX-License-Identifier: MIT */
/*
 * A new image of a disk's layer, with its blocks in order and nothing between them. It has the same
 * identity, so that children, and whoever looks for the disk, take it for the old one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ops/build.h"
#include "ops/compact.h"
#include "ops/fork.h"
#include "ops/link.h"
#include "ops/newmeta.h"
#include "store/io.h"
#include "store/newfile.h"
#include "vdisk/entries.h"

#define STORAGE_NAME "(storage)"

/* Room for the table and for strings that the table's 16-bit lengths can hold. */
#define LOCATOR_SIZE ((size_t)256 * 1024)

struct rewrite {
	struct survey *survey;
	const struct vhdx_compact_options *options;
	const struct vhdx *old;
	struct vhdx *new;
	struct image_plan plan;
	struct forked_items items;
	void *locator; /* a new one for another folder, or NULL */
	uint64_t bitmaps;
};

static bool is_dry_run(const struct rewrite *rewrite)
{
	return rewrite->options->flags & VHDX_COMPACT_DRY_RUN;
}

static bool has_no_holes(const struct rewrite *rewrite)
{
	return rewrite->options->flags & VHDX_COMPACT_NO_HOLES;
}

/* ---- What the new image is ---- */

static int plan_image(struct rewrite *rewrite)
{
	const struct image *image = &rewrite->old->image;
	uint64_t log_length = image->log.length;
	struct vhdx_create_options options = {
		.size = sizeof(options),
		.flags = VHDX_CREATE_NO_SYNC | (has_no_holes(rewrite) ? VHDX_CREATE_NO_HOLES : 0),
		.type = image_has_parent(image) ? VHDX_DIFFERENCING : VHDX_DYNAMIC,
		.virtual_size = image->virtual_size,
		.block_size = image->parameters.block_size,
		.log_length = log_length <= MAX_LOG_LENGTH && is_aligned(log_length, MIB)
				      ? (uint32_t)log_length
				      : 0,
		.logical_sector_size = image->logical_sector_size,
		.physical_sector_size =
			(uint32_t)max_u64(image->logical_sector_size, image->physical_sector_size),
	};
	struct image_plan *plan = &rewrite->plan;
	int ret = vhdx_plan_image(&options, false, plan);

	if (!ret)
		ret = vhdx_copy_items(rewrite->old, &rewrite->items);
	if (ret)
		return ret;
	plan->physical_sector_size = image->physical_sector_size;
	plan->data_write_guid = rewrite->old->info.data_write_guid;
	plan->disk_id = image->disk_id;
	plan->items = rewrite->items.items;
	plan->nitems = rewrite->items.count;
	return 0;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	auto_free char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	return folder ? realpath(folder, NULL) : NULL;
}

/* All pairs of the old locator, with the way from the new folder to the parent. */
static int encode_locator(struct rewrite *rewrite, const char *relative_path)
{
	const struct locator *locator = &rewrite->old->image.locator;
	auto_free struct locator_pair *pairs = calloc(locator->count + 1, sizeof(*pairs));
	unsigned count = 0;
	size_t size;

	rewrite->locator = malloc(LOCATOR_SIZE);
	if (!pairs || !rewrite->locator)
		return vhdx_fail_memory();
	for (unsigned i = 0; i < locator->count; i++)
		if (strcmp(locator->pairs[i].key, KEY_RELATIVE_PATH) != 0)
			pairs[count++] = locator->pairs[i];
	pairs[count++] = (struct locator_pair){KEY_RELATIVE_PATH, relative_path};
	int ret = vhdx_locator_encode(pairs, count, rewrite->locator, LOCATOR_SIZE, &size);

	if (ret)
		return vhdx_fail_argument(
			"the parent's path %s is not UTF-8, or too long to be recorded",
			relative_path);
	for (unsigned i = 0; i < rewrite->items.count; i++) {
		struct plan_item *item = &rewrite->items.items[i];

		if (!(item->flags & ITEM_IS_USER) && vhdx_known_item(&item->id) == PARENT_LOCATOR) {
			item->bytes = rewrite->locator;
			item->length = (uint32_t)size;
		}
	}
	return 0;
}

/* A child in another folder needs another way to its parent. */
static int fit_locator(struct rewrite *rewrite, const char *output)
{
	const struct vhdx *old = rewrite->old;

	if (!image_has_parent(&old->image) || !output)
		return 0;
	auto_free char *resolved = realpath(old->name, NULL);
	auto_free char *from = resolved ? folder_of(resolved) : NULL;
	auto_free char *to = folder_of(output);

	if (!to)
		return vhdx_fail_errno(-errno, output, "its folder cannot be resolved");
	if (from && !strcmp(from, to))
		return 0;
	auto_free char *parent = old->parent ? realpath(old->parent->name, NULL) : NULL;
	auto_free char *relative = NULL;

	if (!parent)
		return vhdx_fail(-ENOENT, PROBLEM_PARENT_NOT_FOUND, old->name, VHDX_NO_OFFSET,
				 "its parent must be found, so that the way to it from the new "
				 "folder can be recorded");
	int ret = vhdx_link_relative(to, parent, &relative);

	return ret ? ret : encode_locator(rewrite, relative);
}

/* ---- Its contents ---- */

static int copy_space(struct rewrite *rewrite, const struct surveyed *surveyed,
		      const struct place *place)
{
	return vhdx_content_copy(&rewrite->survey->reader,
				 &(struct content_copy){
					 .from = bat_entry_offset(surveyed->entry),
					 .file = &rewrite->new->file,
					 .name = rewrite->new->name,
					 .to = place->offset,
					 .length = place->length,
					 .is_fresh = place->fresh,
					 .no_holes = has_no_holes(rewrite),
				 });
}

static unsigned new_state(const struct rewrite *rewrite, const struct surveyed *surveyed)
{
	unsigned state = bat_entry_state(surveyed->entry);

	return !image_has_parent(&rewrite->old->image) && state == BLOCK_PARTIALLY_PRESENT
		       ? BLOCK_FULLY_PRESENT
		       : state;
}

static int add_space(struct rewrite *rewrite, const struct surveyed *surveyed)
{
	struct space *space = &rewrite->new->writer->space;
	struct place place;
	int ret = vhdx_space_take(space, surveyed->length, &place);

	if (!ret)
		ret = copy_space(rewrite, surveyed, &place);
	if (ret)
		return ret;
	return vhdx_entry_change(
		rewrite->new,
		&(struct entry_change){
			.index = surveyed->index,
			.entry = bat_entry_make(new_state(rewrite, surveyed), place.offset),
			.needed_end = place.offset + place.length,
			.data_first = !place.fresh,
		});
}

/* Without a parent, a block that is not there reads as zeros anyway. */
static int add_state(struct rewrite *rewrite, const struct surveyed *surveyed)
{
	uint64_t entry = surveyed->stays ? surveyed->entry : surveyed->becomes;

	if (surveyed->is_bitmap || !entry || !image_has_parent(&rewrite->old->image))
		return 0;
	return vhdx_entry_change(rewrite->new,
				 &(struct entry_change){
					 .index = surveyed->index,
					 .entry = bat_entry_make(bat_entry_state(entry), 0),
				 });
}

static int act(void *actor, const struct surveyed *surveyed)
{
	struct rewrite *rewrite = actor;
	bool has_space = surveyed->stays && surveyed->length;
	int ret = 0;

	if (is_dry_run(rewrite)) {
		rewrite->bitmaps += has_space && surveyed->is_bitmap;
		return 0;
	}
	if (surveyed->loses_data) /* children must not take it for what they were made from */
		ret = vhdx_gate_pass(rewrite->new, GATE_DATA);
	if (!ret)
		ret = has_space ? add_space(rewrite, surveyed) : add_state(rewrite, surveyed);
	vhdx_page_cache_trim(&rewrite->new->shared->cache, vhdx_stripes_grace,
			     &rewrite->new->shared->stripes);
	return ret;
}

/* ---- Making it ---- */

static int build_empty(const struct rewrite *rewrite, const struct vhdx_io *io, const char *name)
{
	struct builder builder;
	int ret = vhdx_builder_begin(io, name, &rewrite->plan, &builder);

	if (ret)
		return ret;
	ret = vhdx_builder_finish(&builder, rewrite->plan.virtual_size);
	vhdx_builder_free(&builder);
	return ret;
}

static int fill(struct rewrite *rewrite)
{
	struct survey *survey = rewrite->survey;
	int ret = vhdx_gate_pass(rewrite->new, GATE_METADATA);

	survey->act = act;
	survey->actor = rewrite;
	return ret ? ret : vhdx_survey_run(survey);
}

/* @io stays the caller's. */
static int write_image(struct rewrite *rewrite, const struct vhdx_io *io, const char *name)
{
	struct vhdx_open_options how = {
		.size = sizeof(how),
		.flags = VHDX_OPEN_WRITE | VHDX_OPEN_NO_PARENT | VHDX_OPEN_NO_LOCK |
			 (has_no_holes(rewrite) ? VHDX_OPEN_NO_HOLES : 0),
		.name = name,
	};
	struct vhdx_io lent;
	int ret = vhdx_io_adopt(io, &lent);

	lent.close = NULL;
	lent.lock = NULL; /* nobody knows of it yet */
	if (!ret)
		ret = build_empty(rewrite, &lent, name);
	if (!ret)
		ret = vhdx_open_io(&lent, &how, &rewrite->new);
	if (ret)
		return ret;
	ret = fill(rewrite);
	if (ret) {
		struct kept_error cause;

		vhdx_error_keep(&cause);
		(void)vhdx_close(rewrite->new);
		ret = vhdx_error_raise(&cause);
		vhdx_error_drop(&cause);
		return ret;
	}
	ret = vhdx_close(rewrite->new);
	return ret ? ret : vhdx_io_get_size(&lent, &rewrite->survey->result.file_size_after);
}

static int write_file(struct rewrite *rewrite)
{
	struct new_file file;
	int ret = vhdx_new_file(rewrite->options->output, false, false, &file);

	if (ret)
		return ret;
	ret = write_image(rewrite, &file.io, file.path);
	if (!ret)
		return vhdx_new_file_publish(&file, true);
	vhdx_new_file_discard(&file);
	return ret;
}

/* As the builder lays it out. */
static int predict(struct rewrite *rewrite)
{
	struct survey *survey = rewrite->survey;
	const struct geometry *g = &rewrite->old->image.geometry;

	survey->act = act;
	survey->actor = rewrite;
	int ret = vhdx_survey_run(survey);

	survey->result.file_size_after = HEADER_SECTION_SIZE + rewrite->plan.log_length +
					 round_up(vhdx_new_metadata_size(&rewrite->plan), MIB) +
					 round_up(g->entries * BAT_ENTRY_SIZE, MIB) +
					 survey->result.kept_bytes +
					 rewrite->bitmaps * BITMAP_BLOCK_SIZE;
	return ret;
}

static int make(struct rewrite *rewrite)
{
	const struct vhdx_compact_options *options = rewrite->options;
	int ret = plan_image(rewrite);

	if (!ret)
		ret = fit_locator(rewrite, options->output);
	if (ret)
		return ret;
	if (is_dry_run(rewrite))
		return predict(rewrite);
	return options->output ? write_file(rewrite)
			       : write_image(rewrite, options->output_io, STORAGE_NAME);
}

int vhdx_rewrite(struct survey *survey, const struct vhdx_compact_options *options)
{
	struct rewrite rewrite = {.survey = survey, .options = options, .old = survey->disk};
	struct space_map taken;
	int ret = vhdx_survey_space(survey, &taken);

	if (ret)
		return ret;
	vhdx_space_map_free(&taken);
	survey->total = survey->result.present * survey->disk->image.geometry.block_size;
	ret = make(&rewrite);
	vhdx_forked_items_free(&rewrite.items);
	free(rewrite.locator);
	return ret;
}
