/* SPDX-License-Identifier: MIT */
/* A salvage under way: what is known of the ruined image, how, and the steps that find it out. */
#ifndef VHDX_OPS_SALVAGE_H
#define VHDX_OPS_SALVAGE_H

#include "meta/image.h"
#include "ops/endpoint.h"
#include "store/ruin.h"

/* No BAT is larger: 2^26 blocks of a child, with bitmaps. */
#define MAX_BAT_LENGTH (576 * MIB)

struct salvage {
	const char *name; /* of the image, for messages */
	struct vhdx_salvage_options options;
	struct vhdx_salvage_result result;

	struct ruin ruin;
	struct vhdx_io file; /* the ruin */
	struct image image;  /* of that file, with the geometry once it is known */

	struct vhdx_io paged; /* pages of the BAT, as the log has them, over the image's view */
	bool has_bat;
	/* Without a BAT: blocks lie one behind the other in the file, from here on. */
	uint64_t first_block;
	bool order_is_guessed; /* whatever is copied may be in a wrong place */
	const char *guess;     /* what was guessed of it */
};

static inline void fact_set(struct vhdx_salvage_fact *fact, enum vhdx_salvage_how how,
			    const char *text)
{
	*fact = (struct vhdx_salvage_fact){how, text};
}

static inline bool fact_is_known(const struct vhdx_salvage_fact *fact)
{
	return fact->how != VHDX_SALVAGE_NOT_KNOWN;
}

/* What BAT and blocks are read through. */
static inline const struct vhdx_io *salvage_view(const struct salvage *s)
{
	return s->paged.preadv ? &s->paged : s->image.view;
}

/* ---- Steps, in their order; each returns 0 or as the storage fails ---- */

/*
 * Loads the image as far as it goes; of a file without headers, replays a log that is found. Metadata are
 * searched for where the region tables do not lead to them.
 */
int vhdx_salvage_load(struct salvage *s);

/* Finds the BAT, if its geometry is known or not. */
int vhdx_salvage_find_bat(struct salvage *s);

/* Guesses what is not known yet of the geometry, and sets it. -ENOTSUP when nothing tells anything. */
int vhdx_salvage_guess(struct salvage *s);

/* From the values in the image, which are known; leaves its BAT alone. */
void vhdx_salvage_set_geometry(struct salvage *s);

/* Ends what the steps have made. */
void vhdx_salvage_free(struct salvage *s);

/* ---- Parts of the steps ---- */

/* Replays the newest session of the log that was found, of a file that has no header to say which counts. */
int vhdx_salvage_replay(struct salvage *s);

/*
 * Shows the pages of the BAT that are bad, or zeros if @is_gone is set, as the newest entries of the log have
 * them. *ret_used: how many.
 */
int vhdx_salvage_log_pages(struct salvage *s, bool is_gone, uint64_t *ret_used);

/* Where a log without a header lies; false when there is none. */
int vhdx_salvage_find_log(struct salvage *s, bool *ret_found);

/* Is that range of the file part of a known structure? *ret_end, which may be NULL, is then that one's end. */
bool vhdx_salvage_is_structure(const struct salvage *s, uint64_t offset, uint64_t length,
			       uint64_t *ret_end);

/*
 * An entry that no writer makes: reserved bits and an offset outside of the file, or an offset outside of
 * any. One whose block alone lies behind the file's end is not: that may have been cut off.
 */
bool vhdx_salvage_entry_is_garbage(const struct salvage *s, uint64_t entry);

/* ---- Copying ---- */

/* Copies all that is found, and tells of every range. */
int vhdx_salvage_copy(struct salvage *s, struct sink *sink);

#endif
