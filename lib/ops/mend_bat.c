/* SPDX-License-Identifier: MIT */
/* Repair of the BAT: every entry legal, and every space that is named its own. */
#include <inttypes.h>

#include "ops/batwriter.h"
#include "ops/lostblock.h"
#include "store/io.h"

struct bat_mend {
	struct repair *repair;
	const struct image *image;
	struct bat_claims claims;
	struct bat_writer writer;
	struct bitmap_reader bitmaps;
	uint64_t space_end; /* behind all that has space in the file */
	uint64_t size;	    /* that the file needs for whole blocks; 0: it has it */
};

/* One entry under repair. */
struct mending {
	struct bat_mend *mend;
	uint64_t index;
	uint64_t entry; /* as it is */
	const struct bat_intent *intent;
	bool is_lost; /* the space that it would name is another's */
};

#define TELL(mending, problem, guest_offset, guest_length, ...) \
	vhdx_repair_mended((mending)->mend->repair, problem, \
			   bat_entry_place((mending)->mend->image, (mending)->index), \
			   guest_offset, guest_length, "BAT: " __VA_ARGS__)

/* Of a block or bitmap that goes without the space that it names. */
static const char *why_lost(const struct mending *mending)
{
	return mending->is_lost ? "which another structure has"
				: "which is not in the file behind its first MiB";
}

/* ---- blocks that have their space ---- */

/* F 6.2: the file goes on to the end of the block; what was missing of it stays zeros. */
static void tell_short(const struct mending *mending)
{
	const struct image *image = mending->mend->image;
	const struct bat_ruling *now = &mending->intent->now;
	uint64_t held = image_view_size(image) - now->offset;
	uint64_t guest = bat_guest_offset(&image->geometry, now->number);
	uint64_t length = bat_guest_length(&image->geometry, now->number);
	uint64_t missing = length > held ? length - held : 0;

	TELL(mending, PROBLEM_BLOCK_SHORT, guest + held, missing,
	     "file extended to hold the whole of block %" PRIu64 " at %#" PRIx64 ": %" PRIu64
	     " bytes of it are missing, and read as zeros",
	     now->number, now->offset, missing);
}

static void keep_space(const struct mending *mending)
{
	struct bat_mend *mend = mending->mend;
	const struct bat_intent *intent = mending->intent;

	if (intent->was.state_fault == PROBLEM_BLOCK_STATE)
		TELL(mending, PROBLEM_BLOCK_STATE, 0, 0,
		     "block %" PRIu64 " marked as FULLY_PRESENT: it had the reserved state 4, "
		     "and the space at %#" PRIx64 " is its own",
		     intent->now.number, intent->now.offset);
	if (intent->was.state_fault == PROBLEM_BLOCK_PARTIAL_ALONE)
		TELL(mending, PROBLEM_BLOCK_PARTIAL_ALONE, 0, 0,
		     "block %" PRIu64 " marked as FULLY_PRESENT: the disk has no parent",
		     intent->now.number);
	if (intent->now.place_fault) {
		tell_short(mending);
		mend->size =
			max_u64(mend->size, intent->now.offset + mend->image->geometry.block_size);
	}
}

/* ---- present blocks without space ---- */

static enum problem loss_problem(const struct mending *mending)
{
	if (mending->intent->was.state_fault == PROBLEM_BLOCK_STATE)
		return PROBLEM_BLOCK_STATE;
	return mending->is_lost ? PROBLEM_BLOCK_OVERLAP : PROBLEM_BLOCK_PLACE;
}

static void lose_block(const struct mending *mending, uint64_t *ret_entry)
{
	const struct geometry *g = &mending->mend->image->geometry;
	uint64_t block = mending->intent->now.number;

	TELL(mending, loss_problem(mending), bat_guest_offset(g, block), bat_guest_length(g, block),
	     "block %" PRIu64 " marked as ZERO: it names %#" PRIx64 ", %s; %" PRIu64
	     " bytes of the disk are lost",
	     block, mending->intent->now.offset, why_lost(mending), bat_guest_length(g, block));
	*ret_entry = bat_entry_make(BLOCK_ZERO, 0);
}

/* Sectors of the parent stay the parent's: the block gets new space, of zeros. */
static void replace_block(const struct mending *mending, const struct own_sectors *own,
			  uint64_t *ret_entry)
{
	struct bat_mend *mend = mending->mend;
	uint64_t offset = mend->space_end;

	mend->space_end += mend->image->geometry.block_size;
	mend->size = max_u64(mend->size, mend->space_end);
	TELL(mending, loss_problem(mending), own->offset, own->length,
	     "block %" PRIu64 " given new space at %#" PRIx64 ": it names %#" PRIx64
	     ", %s; %" PRIu64 " of its sectors are lost, the others are still the parent's",
	     mending->intent->now.number, offset, mending->intent->now.offset, why_lost(mending),
	     own->count);
	*ret_entry = bat_entry_make(BLOCK_PARTIALLY_PRESENT, offset);
}

static void return_block(const struct mending *mending, uint64_t *ret_entry)
{
	TELL(mending, loss_problem(mending), 0, 0,
	     "block %" PRIu64 " marked as NOT_PRESENT: it names %#" PRIx64
	     ", %s, and by its bitmap all of its sectors are the parent's",
	     mending->intent->now.number, mending->intent->now.offset, why_lost(mending));
	*ret_entry = bat_entry_make(BLOCK_NOT_PRESENT, 0);
}

static int give_up_space(const struct mending *mending, uint64_t *ret_entry)
{
	struct bat_mend *mend = mending->mend;
	const struct bat_ruling *now = &mending->intent->now;
	bool is_partial = now->state == BLOCK_PARTIALLY_PRESENT;
	bool could_be_read = mending->is_lost && mending->intent->was.present;
	struct own_sectors own = {0};
	int ret = is_partial ? vhdx_find_own_sectors(&mend->bitmaps, now->number, &own) : 0;

	if (ret)
		return ret;
	if (own.is_known && !own.count) {
		return_block(mending, ret_entry);
		return 0;
	}
	if (own.is_known && own.count < own.total &&
	    mend->space_end + mend->image->geometry.block_size <= MAX_MAPPED_FILE)
		replace_block(mending, &own, ret_entry);
	else
		lose_block(mending, ret_entry);
	mend->repair->reads_change |= could_be_read && (!is_partial || own.is_known);
	return 0;
}

/* ---- blocks that are not present ---- */

static void tell_anchor(const struct mending *mending)
{
	const struct bat_ruling *was = &mending->intent->was;
	enum problem problem = was->place_fault ? was->place_fault : PROBLEM_BLOCK_OVERLAP;

	TELL(mending, problem, 0, 0,
	     "block %" PRIu64 " has given up the space at %#" PRIx64
	     " that it had before it was unmapped: %s",
	     was->number, was->offset,
	     was->place_fault ? "it is not in the file" : "it belongs to another structure");
}

static void mend_absent(const struct mending *mending, uint64_t *ret_entry)
{
	const struct bat_ruling *was = &mending->intent->was;
	const struct bat_ruling *now = &mending->intent->now;

	if (now->place_fault || mending->is_lost)
		*ret_entry = bat_entry_make(now->state, 0);
	switch (was->state_fault) {
	case PROBLEM_BLOCK_STATE:
		TELL(mending, PROBLEM_BLOCK_STATE,
		     bat_guest_offset(&mending->mend->image->geometry, was->number),
		     bat_guest_length(&mending->mend->image->geometry, was->number),
		     "block %" PRIu64 " marked as NOT_PRESENT: it had the reserved state 4 and "
		     "no place in the file",
		     was->number);
		break;
	case PROBLEM_BLOCK_STATE_5:
		TELL(mending, PROBLEM_BLOCK_STATE_5, 0, 0,
		     "block %" PRIu64 " marked as UNMAPPED: it had state 5", was->number);
		break;
	case PROBLEM_BLOCK_LEFTOVER_OFFSET:
		TELL(mending, PROBLEM_BLOCK_LEFTOVER_OFFSET, 0, 0,
		     "the file offset %#" PRIx64 " of block %" PRIu64
		     " cleared, which is not present",
		     was->offset, was->number);
		break;
	default:
		if (was->place_fault || (was->space && mending->is_lost))
			tell_anchor(mending);
		break;
	}
}

/* ---- bitmap entries ---- */

/* A new one is made by the next stage, where a block needs it. */
static void cut_bitmap(const struct mending *mending, bool needed, uint64_t *ret_entry)
{
	const struct bat_intent *intent = mending->intent;
	enum problem problem = PROBLEM_BITMAP_PLACE;

	if (intent->was.state_fault)
		problem = intent->was.state_fault;
	else if (mending->is_lost)
		problem = PROBLEM_BITMAP_OVERLAP;
	TELL(mending, problem, 0, 0,
	     "the bitmap entry of chunk %" PRIu64 " cleared: it names %#" PRIx64 ", %s%s",
	     intent->now.number, mending->intent->now.offset, why_lost(mending),
	     needed ? "" : ", and no block needs it");
	mending->mend->repair->reads_change |= mending->is_lost && intent->was.present && needed;
	*ret_entry = 0;
}

static void mend_bitmap(const struct mending *mending, bool needed, uint64_t *ret_entry)
{
	const struct bat_ruling *was = &mending->intent->was;

	if (mending->intent->now.place_fault || mending->is_lost)
		cut_bitmap(mending, needed, ret_entry);
	else if (mending->intent->now.present && was->state_fault)
		TELL(mending, was->state_fault, 0, 0,
		     "the bitmap of chunk %" PRIu64
		     " marked as PRESENT: it had state %u, and the space at %#" PRIx64
		     " is its own",
		     was->number, was->state, was->offset);
	else if (was->state_fault)
		TELL(mending, was->state_fault, 0, 0,
		     "the bitmap entry of chunk %" PRIu64
		     " cleared, which had state %u and file offset %#" PRIx64 ": %s",
		     was->number, was->state, was->offset,
		     was->state_fault == PROBLEM_BITMAP_ENTRY_ALONE ? "the disk has no parent"
								    : "there is no such bitmap");
}

/* ---- all of it ---- */

static int mend_entry(void *opaque, uint64_t index, uint64_t entry, bool needed,
		      const struct bat_intent *intent)
{
	struct bat_mend *mend = opaque;
	struct mending mending = {mend, index, entry, intent, claim_is_lost(&mend->claims, index)};
	uint64_t mended = intent->entry;
	int ret = 0;

	if (!intent->is_faulty && !intent->now.place_fault && !mending.is_lost)
		return 0;
	if (bat_entry_reserved(entry))
		TELL(&mending, PROBLEM_ENTRY_RESERVED, 0, 0,
		     "reserved bits %#" PRIx64 " of the entry of %s %" PRIu64 " cleared",
		     bat_entry_reserved(entry),
		     intent->was.kind == BAT_BITMAP ? "the bitmap of chunk" : "block",
		     intent->was.number);
	if (intent->was.kind == BAT_BITMAP)
		mend_bitmap(&mending, needed, &mended);
	else if (!intent->now.present)
		mend_absent(&mending, &mended);
	else if (intent->now.place_fault == PROBLEM_BLOCK_PLACE || mending.is_lost)
		ret = give_up_space(&mending, &mended);
	else
		keep_space(&mending);
	return ret || mended == entry ? ret : vhdx_bat_writer_put(&mend->writer, index, mended);
}

static int mend_entries(struct bat_mend *mend)
{
	const struct image *image = mend->image;
	int ret = vhdx_walk_intents(mend->repair, image, mend_entry, mend);

	if (!ret)
		ret = vhdx_bat_writer_end(&mend->writer);
	if (!ret && mend->size > image_view_size(image)) {
		ret = vhdx_io_set_size(mend->repair->io, mend->size);
		if (ret)
			ret = vhdx_fail_errno(ret, image->name,
					      "the file cannot be extended to %" PRIu64 " bytes",
					      mend->size);
	}
	return ret;
}

int vhdx_mend_bat(struct repair *repair, struct image *image)
{
	struct bat_mend mend = {
		.repair = repair,
		.image = image,
		.writer = {.io = repair->io, .image = image},
		.bitmaps = {.image = image},
	};

	if (!vhdx_bat_may_be_mended(image))
		return 0;
	int ret = vhdx_bat_claims_make(repair, image, &mend.claims);

	if (ret)
		return ret;
	mend.bitmaps.claims = &mend.claims;
	mend.space_end = max_u64(image_end(image), mend.claims.needed_end);
	if (mend.claims.any_fault || mend.claims.any_lost)
		ret = mend_entries(&mend);
	vhdx_bat_claims_free(&mend.claims);
	return ret;
}
