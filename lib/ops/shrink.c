/* SPDX-License-Identifier: MIT */
/*
 * Making a disk smaller. All that is cut off must read as zeros; then its blocks can lose their space one
 * by one without a guest seeing it, and a crash in between leaves the old disk. The size changes last.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "base/zeros.h"
#include "ops/batmove.h"
#include "ops/resize.h"
#include "vdisk/entries.h"

#define READ_SIZE (512 * KIB)
#define EXTENTS	  64u

/* ---- The backup of a GUID partition table ---- */

#define GPT_SIGNATURE "EFI PART"
#define MOST_GPT_SIZE MIB /* the usual one takes 33 sectors */

/* What of its header is looked at. */
struct gpt_header_disk {
	char signature[8];	  /*  0 */
	uint8_t fields[16];	  /*  8 */
	struct le64 own_sector;	  /* 24 */
	uint8_t fields_2[40];	  /* 32 */
	struct le64 table_sector; /* 72 */
};
_Static_assert(sizeof(struct gpt_header_disk) == 80, "UEFI 5.3.2");

/* Where the backup begins that the disk ends with; the disk's end when there is none. */
static int find_backup(struct vhdx *disk, uint64_t *ret_start)
{
	uint64_t sector_size = disk->image.logical_sector_size;
	uint64_t end = disk->image.virtual_size;
	uint64_t last = end / sector_size - 1;
	struct gpt_header_disk header;
	int ret = vhdx_pread(disk, &header, sizeof(header), last * sector_size);

	if (ret)
		return ret;
	uint64_t table = le64_get(header.table_sector);
	bool is_backup = !memcmp(header.signature, GPT_SIGNATURE, sizeof(header.signature)) &&
			 le64_get(header.own_sector) == last && table < last &&
			 (last - table) * sector_size <= MOST_GPT_SIZE;

	*ret_start = is_backup ? table * sector_size : end;
	return 0;
}

/* ---- The proof ---- */

struct proof {
	const struct resize *resize;
	uint64_t backup; /* where that begins, or the disk's end */
	uint8_t *buf;
};

static int refuse(const struct proof *proof, uint64_t offset)
{
	const char *name = proof->resize->disk->name;

	if (offset >= proof->backup)
		return vhdx_fail(-ENOTEMPTY, NO_PROBLEM, name, VHDX_NO_OFFSET,
				 "the disk ends with the backup of its partition table, at %" PRIu64
				 " (only force cuts that off)",
				 proof->backup);
	return vhdx_fail(-ENOTEMPTY, NO_PROBLEM, name, VHDX_NO_OFFSET,
			 "the disk holds data at %" PRIu64 " (expected zeros from %" PRIu64
			 " on, where it shall end)",
			 offset, proof->resize->virtual_size);
}

static int prove_data(const struct proof *proof, uint64_t offset, uint64_t length)
{
	struct vhdx *disk = proof->resize->disk;
	uint64_t end = offset + length;
	int ret = 0;

	for (uint64_t at = offset, part; at < end && !ret; at += part) {
		part = min_u64(READ_SIZE, end - at);
		ret = vhdx_pread(disk, proof->buf, (size_t)part, at);
		if (!ret && !vhdx_is_zeros(proof->buf, (size_t)part)) {
			uint64_t zeros = 0;

			while (!proof->buf[zeros])
				zeros++;
			ret = refuse(proof, at + zeros);
		}
		if (!ret)
			ret = vhdx_resize_report(proof->resize,
						 at + part - proof->resize->virtual_size);
	}
	return ret;
}

static int prove_range(const struct proof *proof, uint64_t end)
{
	uint64_t at = proof->resize->virtual_size;
	int ret = 0;

	while (at < end && !ret) {
		struct vhdx_extent extents[EXTENTS];
		size_t count = EXTENTS;

		ret = vhdx_extents(proof->resize->disk, at, end - at, VHDX_EXTENTS_FILE_HOLES,
				   extents, &count);
		for (size_t i = 0; i < count && !ret; i++) {
			if (extents[i].type == VHDX_EXTENT_DATA)
				ret = prove_data(proof, at, extents[i].length);
			at += extents[i].length;
		}
		if (!ret)
			ret = vhdx_resize_report(proof->resize, at - proof->resize->virtual_size);
	}
	return ret;
}

/* All that is cut off reads as zeros, but for what the caller gives up; *ret_changes: there is such. */
static int prove(const struct resize *resize, bool *ret_changes)
{
	struct vhdx *disk = resize->disk;
	auto_free uint8_t *buf = malloc(READ_SIZE);
	struct proof proof = {.resize = resize, .buf = buf};
	int ret = buf ? find_backup(disk, &proof.backup) : vhdx_fail_memory();

	if (ret)
		return ret;
	bool spares = resize->options.flags & VHDX_RESIZE_FORCE;

	*ret_changes = spares && proof.backup < disk->image.virtual_size;
	return prove_range(&proof, spares ? proof.backup : disk->image.virtual_size);
}

/* ---- Entries ---- */

/* What space an entry has in the file; length 0: none. */
static struct freed space_of(const struct vhdx *disk, uint64_t index, uint64_t entry)
{
	const struct geometry *g = &disk->image.geometry;
	struct freed freed = {.offset = bat_entry_offset(entry)};

	if (bat_index_is_bitmap(g, index)) {
		freed.held_metadata = true;
		if (image_has_parent(&disk->image) && bat_entry_state(entry) == BITMAP_PRESENT)
			freed.length = BITMAP_BLOCK_SIZE;
		return freed;
	}
	switch (bat_entry_state(entry)) {
	case BLOCK_FULLY_PRESENT:
	case BLOCK_PARTIALLY_PRESENT:
	case BLOCK_UNMAPPED: /* these may keep theirs, without contents */
	case BLOCK_UNDEFINED:
		freed.length = freed.offset ? g->block_size : 0;
		break;
	default:
		break;
	}
	return freed;
}

static int change_entry(struct vhdx *disk, uint64_t index, uint64_t old, uint64_t entry)
{
	struct freed space = space_of(disk, index, old);

	return vhdx_entry_change(disk, &(struct entry_change){
					       .index = index,
					       .entry = entry,
					       .freed_offset = space.offset,
					       .freed_length = space.length,
					       .forget = image_type(&disk->image) != VHDX_FIXED &&
							 !space.held_metadata,
					       .held_metadata = space.held_metadata,
				       });
}

/* A block that has no entry shows what its parent has, as it did before. */
static int change_page(const struct growth *cut, uint64_t page)
{
	uint64_t first = page * BAT_PAGE_ENTRIES;
	uint64_t end = min_u64(first + BAT_PAGE_ENTRIES, cut->to.entries);
	uint64_t entries[BAT_PAGE_ENTRIES];
	int ret = vhdx_growth_page(cut, page, entries);

	for (uint64_t index = max_u64(first, cut->first); index < end && !ret; index++) {
		uint64_t old;

		ret = vhdx_bat_get(&cut->disk->bat, index, &old);
		if (!ret && old && old != entries[index - first])
			ret = change_entry(cut->disk, index, old, entries[index - first]);
	}
	return ret;
}

/* Of what lies between the geometries of @cut: its entries become those of a disk that grew by that. */
static int clear_entries(const struct resize *resize, const struct growth *cut)
{
	struct chain_shared *shared = cut->disk->shared;
	int ret = 0;

	for (uint64_t page = cut->first / BAT_PAGE_ENTRIES; !ret; page++) {
		ret = vhdx_growth_next_page(cut, page, &page);
		if (ret || page == NO_BAT_PAGE)
			return ret;
		ret = change_page(cut, page);
		vhdx_page_cache_trim(&shared->cache, vhdx_stripes_grace, &shared->stripes);
		if (!ret && resize)
			ret = vhdx_resize_report(resize, resize->total);
	}
	return ret;
}

/* ---- Shrinking ---- */

/* As if the disk had grown from its new size to the present one. */
static struct growth make_cut(const struct resize *resize)
{
	const struct geometry *g = &resize->disk->image.geometry;
	bool has_parent = image_has_parent(&resize->disk->image);
	struct growth cut = {
		.disk = resize->disk,
		.kind = has_parent ? GROWTH_HIDING : GROWTH_EMPTY,
		.from = geometry_make(resize->virtual_size, g->block_size, g->logical_sector_size,
				      has_parent),
		.to = *g,
	};

	cut.first = bat_index_of_block(&cut.from, cut.from.blocks - 1) + 1;
	return cut;
}

int vhdx_shrink(const struct resize *resize)
{
	struct vhdx *disk = resize->disk;
	struct growth cut = make_cut(resize);
	struct growth smaller = {.disk = disk, .from = cut.to, .to = cut.from};
	bool changes = false;
	int ret = prove(resize, &changes);

	if (!ret)
		ret = vhdx_gate_pass(disk, changes ? GATE_DATA : GATE_METADATA);
	if (ret)
		return ret;
	vhdx_space_allow_cut(&disk->writer->space);
	ret = clear_entries(resize, &cut);
	if (!ret)
		ret = vhdx_gate_pass(disk, GATE_DATA);
	if (!ret)
		ret = vhdx_bat_switch(&smaller, NULL);
	if (ret)
		return ret;
	cut.kind =
		GROWTH_EMPTY; /* nobody looks there any more: what fails now leaves entries that mean nothing */
	(void)clear_entries(NULL, &cut);
	return 0;
}
