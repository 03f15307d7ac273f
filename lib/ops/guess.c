/* SPDX-License-Identifier: MIT */
/* Guesses at a ruined image that has a BAT, but no metadata to say how it is read. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "meta/spacemap.h"
#include "ops/boot.h"
#include "ops/guess.h"
#include "ops/hunt.h"

/* Of the blocks, so few may break a geometry that is right. */
#define WRONG_SHARE 16u

/* ---- A BAT of unknown geometry ---- */

/* MiB that may be of one BAT: all of its blocks lie behind them. */
struct run {
	uint64_t start;
	uint64_t end;
	uint64_t present;
	uint64_t lowest; /* place of a block that lies behind the start */
};

struct place_guess {
	const struct salvage *s;
	uint8_t *buf; /* a MiB */
	struct run run;
	struct run best;
};

/* The block may have been cut off. */
static bool looks_right(uint64_t entry)
{
	uint64_t place = bat_entry_offset(entry);
	unsigned state = bat_entry_state(entry);

	if (bat_entry_reserved(entry) || place >= MAX_MAPPED_FILE || state == BLOCK_RESERVED_4 ||
	    state == BLOCK_UNMAPPED_OLD)
		return false;
	return place || state < BLOCK_FULLY_PRESENT;
}

/* A part of the MiB that was read. False when it is of no BAT. */
static bool look_at_entries(const struct place_guess *guess, uint64_t from, uint64_t to,
			    struct run *run)
{
	const struct image *image = &guess->s->image;

	for (uint64_t at = from; at < to; at += BAT_ENTRY_SIZE) {
		uint64_t entry = le64_get(*(const struct le64 *)(guess->buf + at));
		uint64_t place = bat_entry_offset(entry);

		if (entry && !looks_right(entry))
			return false;
		if (bat_entry_state(entry) < BLOCK_FULLY_PRESENT || place >= image_view_size(image))
			continue;
		run->present++;
		if (place > run->start)
			run->lowest = min_u64(run->lowest, place);
	}
	return true;
}

static void take_run(struct place_guess *guess, const struct run *mebibyte)
{
	struct run *run = &guess->run;
	bool joins = run->present && mebibyte->start < run->lowest &&
		     mebibyte->end - run->start <= MAX_BAT_LENGTH;

	if (joins) {
		run->end = mebibyte->end;
		run->present += mebibyte->present;
		run->lowest = min_u64(run->lowest, mebibyte->lowest);
	} else {
		*run = *mebibyte;
	}
	if (run->present > guess->best.present)
		guess->best = *run;
}

/* The rest of the MiB is looked at when its first page looks right, and has blocks or follows some. */
static int look_for_bat(void *opaque, uint64_t offset)
{
	struct place_guess *guess = opaque;
	const struct vhdx_io *view = guess->s->image.view;
	struct run run = {.start = offset, .end = offset + MIB, .lowest = UINT64_MAX};

	if (vhdx_salvage_is_structure(guess->s, offset, MIB, NULL))
		return 0;
	int ret = vhdx_io_read(view, guess->buf, PAGE_SIZE, offset);

	if (!ret && look_at_entries(guess, 0, PAGE_SIZE, &run) &&
	    (run.present || (guess->run.present && offset < guess->run.lowest))) {
		ret = vhdx_io_read(view, guess->buf, MIB, offset);
		if (!ret && look_at_entries(guess, PAGE_SIZE, MIB, &run) && run.present)
			take_run(guess, &run);
	}
	return ret ? vhdx_fail_io(ret, guess->s->name, offset, "cannot be searched") : 0;
}

int vhdx_guess_bat(const struct salvage *s, struct region *ret_region)
{
	auto_free uint8_t *buf = malloc(MIB);
	struct place_guess guess = {.s = s, .buf = buf};

	if (!buf)
		return vhdx_fail_memory();
	int ret = vhdx_hunt_places(s->image.view, s->name, HEADER_SECTION_SIZE,
				   image_view_size(&s->image), look_for_bat, &guess);

	if (ret)
		return ret;
	if (!guess.best.present)
		return -ENOENT;
	*ret_region = (struct region){REGION_BAT, guess.best.start,
				      (uint32_t)(guess.best.end - guess.best.start),
				      REGION_REQUIRED};
	return 0;
}

/* ---- Spacing ---- */

struct trial {
	const struct salvage *s;
	uint32_t block_size;
	uint32_t sector_size;
	bool has_parent;
	uint64_t chunk_ratio;
	uint64_t file_end;
	uint64_t most_wrong; /* more prove that it is not right */
	struct space_map space;

	uint64_t present;
	uint64_t wrong; /* entries that this geometry does not explain */
	uint64_t last;	/* index of the last entry */
	bool has_first;
	uint64_t first_offset;
};

static int try_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct trial *trial = opaque;
	bool is_bitmap = index % (trial->chunk_ratio + 1) == trial->chunk_ratio;
	uint64_t offset = bat_entry_offset(entry);
	uint64_t length = is_bitmap ? BITMAP_BLOCK_SIZE : trial->block_size;

	if (vhdx_salvage_entry_is_garbage(trial->s, entry))
		return 0;
	if (!is_bitmap)
		trial->last = index;
	if (is_bitmap &&
	    (!trial->has_parent || bat_entry_state(entry) != BITMAP_PRESENT || !offset)) {
		return ++trial->wrong > trial->most_wrong;
	}
	if (bat_entry_state(entry) < BLOCK_FULLY_PRESENT || offset >= trial->file_end)
		return 0;
	if (!index) {
		trial->has_first = true;
		trial->first_offset = offset;
	}
	trial->present++;
	trial->wrong += vhdx_space_map_mark(&trial->space, offset, length, NULL) ||
			offset + length > trial->file_end;
	return trial->wrong > trial->most_wrong;
}

static struct image walked_image(const struct salvage *s)
{
	struct image image = s->image;

	image.view = salvage_view(s);
	image.bat.length = (uint32_t)min_u64(image.bat.length, MAX_BAT_LENGTH);
	return image;
}

static int try_geometry(const struct salvage *s, struct trial *trial)
{
	const struct image image = walked_image(s);

	trial->file_end = image_end(&s->image);
	trial->chunk_ratio = CHUNK_SECTORS * trial->sector_size / trial->block_size;
	int ret = vhdx_space_map_init(&trial->space, trial->file_end);

	if (ret)
		return ret;
	ret = vhdx_bat_walk(&image, true, try_entry, trial, NULL, NULL);
	vhdx_space_map_free(&trial->space);
	return ret < 0 ? ret : 0;
}

static bool explains(const struct trial *trial)
{
	return trial->wrong <= trial->most_wrong;
}

/* A disk's GPT has a copy in its last sector: where that is decides. */
static int verify_by_gpt(const struct salvage *s, const struct trial *trial, bool *ret_right)
{
	const struct image image = walked_image(s);
	struct boot boot = {.kind = BOOT_NONE};
	struct le64 entry;

	*ret_right = false;
	if (!trial->has_first)
		return 0;
	int ret = vhdx_boot_read(image.view, trial->first_offset, &boot);

	if (ret || boot.kind != BOOT_GPT)
		return ret;
	uint64_t last = (boot.sectors - 1) * boot.sector_size;
	uint64_t block = last / trial->block_size;
	uint64_t index = block + block / trial->chunk_ratio;

	if (!range_within(index * BAT_ENTRY_SIZE, sizeof(entry), image.bat.length))
		return 0;
	ret = vhdx_io_read(image.view, &entry, sizeof(entry),
			   image.bat.file_offset + index * BAT_ENTRY_SIZE);
	if (ret || bat_entry_state(le64_get(entry)) < BLOCK_FULLY_PRESENT)
		return ret;
	return vhdx_boot_is_gpt(image.view,
				bat_entry_offset(le64_get(entry)) + last % trial->block_size,
				ret_right);
}

struct best {
	struct trial trial;
	bool is_any;
	bool is_verified;
};

/* The larger block explains why blocks do not lie closer; the usual sector comes first. */
static int consider(const struct salvage *s, struct trial *trial, struct best *best)
{
	bool verified = false;
	int ret = try_geometry(s, trial);

	if (!ret && explains(trial) && trial->present && !best->is_verified)
		ret = verify_by_gpt(s, trial, &verified);
	if (ret)
		return ret;
	bool is_better =
		!best->is_any || verified || (explains(trial) && !explains(&best->trial)) ||
		(!explains(trial) && !explains(&best->trial) && trial->wrong < best->trial.wrong);

	if (is_better && !best->is_verified) {
		best->trial = *trial;
		best->is_any = true;
		best->is_verified = verified;
	}
	return 0;
}

struct states {
	const struct salvage *s;
	uint64_t present;
	uint64_t partial;
};

static int count_states(void *opaque, uint64_t index, uint64_t entry)
{
	struct states *states = opaque;

	(void)index;
	if (vhdx_salvage_entry_is_garbage(states->s, entry))
		return 0;
	states->present += bat_entry_state(entry) >= BLOCK_FULLY_PRESENT;
	states->partial += bat_entry_state(entry) == BLOCK_PARTIALLY_PRESENT;
	return 0;
}

static int guess_type(struct salvage *s, struct states *states)
{
	const struct image image = walked_image(s);
	int ret = vhdx_bat_walk(&image, true, count_states, states, NULL, NULL);

	if (ret || fact_is_known(&s->result.type_fact))
		return ret;
	if (states->partial)
		s->image.parameters.flags |= PARAMETER_HAS_PARENT;
	fact_set(&s->result.type_fact, VHDX_SALVAGE_BY_GUESS,
		 states->partial ? "guessed from blocks that share their sectors with a parent"
				 : "guessed, for no block shares its sectors with a parent");
	return 0;
}

static int try_sizes(struct salvage *s, uint32_t sector_size, const struct states *states,
		     struct best *best)
{
	uint32_t given = fact_is_known(&s->result.block_size_fact) ? s->image.parameters.block_size
								   : 0;
	int ret = 0;

	for (uint64_t size = MAX_BLOCK_SIZE; size >= MIN_BLOCK_SIZE && !ret; size /= 2) {
		struct trial trial = {
			.s = s,
			.block_size = (uint32_t)size,
			.sector_size = sector_size,
			.has_parent = image_has_parent(&s->image),
			.most_wrong = states->present / WRONG_SHARE,
		};

		if (!given || size == given)
			ret = consider(s, &trial, best);
	}
	return ret;
}

int vhdx_guess_spacing(struct salvage *s)
{
	static const uint32_t sector_sizes[] = {512, 4096};
	uint32_t given = s->image.logical_sector_size;
	struct best best = {.is_any = false};
	struct states states = {.s = s};
	int ret = guess_type(s, &states);

	if (fact_is_known(&s->result.block_size_fact) &&
	    fact_is_known(&s->result.logical_sector_size_fact))
		return ret;
	for (unsigned i = 0; i < ARRAY_SIZE(sector_sizes) && !ret; i++)
		if (!given || given == sector_sizes[i])
			ret = try_sizes(s, sector_sizes[i], &states, &best);
	if (ret)
		return ret;
	const char *text = best.is_verified
				   ? "guessed from where the copy of the GUID partition table lies"
			   : best.trial.present ? "guessed from the spacing of blocks"
						: "guessed, for nothing tells it";

	if (!fact_is_known(&s->result.block_size_fact)) {
		s->image.parameters.block_size = best.trial.block_size;
		fact_set(&s->result.block_size_fact, VHDX_SALVAGE_BY_GUESS, text);
		s->order_is_guessed = true;
		s->guess = "the size of blocks was guessed";
	}
	if (!given) {
		s->image.logical_sector_size = best.trial.sector_size;
		fact_set(&s->result.logical_sector_size_fact, VHDX_SALVAGE_BY_GUESS, text);
	}
	return 0;
}

/* ---- The disk's size ---- */

int vhdx_guess_size(struct salvage *s)
{
	struct trial trial = {
		.s = s,
		.block_size = s->image.parameters.block_size,
		.sector_size = s->image.logical_sector_size,
		.has_parent = image_has_parent(&s->image),
		.most_wrong = UINT64_MAX,
	};
	struct boot boot = {.kind = BOOT_NONE};

	if (fact_is_known(&s->result.virtual_size_fact))
		return 0;
	int ret = try_geometry(s, &trial);

	if (!ret && trial.has_first)
		ret = vhdx_boot_read(salvage_view(s), trial.first_offset, &boot);
	if (ret)
		return ret;
	uint64_t last_block = trial.last - trial.last / (trial.chunk_ratio + 1);
	uint64_t end = min_u64((last_block + 1) * trial.block_size, MAX_DISK_SIZE);
	uint64_t told = boot.sectors * (boot.sector_size ? boot.sector_size : trial.sector_size);
	bool is_told = boot.kind == BOOT_GPT ? told > last_block * trial.block_size
					     : boot.kind == BOOT_MBR && told > end;

	s->image.virtual_size = is_told ? told : end;
	fact_set(&s->result.virtual_size_fact, VHDX_SALVAGE_BY_GUESS,
		 !is_told		 ? "guessed from the last entry of the BAT"
		 : boot.kind == BOOT_GPT ? "read from the GUID partition table"
					 : "guessed from where the last partition ends");
	return 0;
}
