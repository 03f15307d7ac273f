/* SPDX-License-Identifier: MIT */
/*
 * The stages of a repair. Each brings one kind of structure into its right form on the draft, leaves alone
 * what it cannot mend, and so does nothing when it runs again.
 */
#ifndef VHDX_OPS_MEND_H
#define VHDX_OPS_MEND_H

#include "base/guid.h"
#include "meta/image.h"

struct undo_place;

/* A repair under way. */
struct repair {
	const char *name;	    /* of the image, for messages */
	const struct vhdx_io *io;   /* the draft */
	const struct vhdx_io *file; /* below it: not to be changed here */
	struct vhdx_repair_options options;
	struct vhdx_repair_result result;
	struct guid_source guids;
	const struct undo_place *undo; /* NULL: what is overwritten is not kept */
	bool reads_change;	       /* something reads differently that could be read before */
	unsigned
		told[1000]; /* mended things that the caller was told of, by the problem's number */
};

/*
 * @image was loaded from the draft as it is, without a listener; a stage may change it, for it is loaded
 * anew when anything was mended. Stages run in the order below, from the first again after each that mended
 * something, so a stage finds the structures before its own as right as they can be made.
 * Returns 0 also when something cannot be mended; else as the storage fails.
 */
typedef int mend_stage(struct repair *repair, struct image *image);

mend_stage vhdx_mend_identifier; /* F 1.1, and a file length that is no whole number of MiB */
mend_stage vhdx_mend_headers;	 /* F 2; also a log that has no usable place */
mend_stage vhdx_mend_log;	 /* F 4: replayed, or discarded where the caller allows it */
mend_stage vhdx_mend_regions;	 /* F 3 */
mend_stage vhdx_mend_items;	 /* F 5 */
mend_stage vhdx_mend_locator;	 /* F 8: the value of the locator item */
mend_stage vhdx_mend_bat;	 /* F 6: places and states of entries */
mend_stage vhdx_mend_bitmaps;	 /* F 7: bitmap blocks that are missing */
mend_stage vhdx_mend_space;	 /* F 1: the file's length, and space that nothing refers to */

/*
 * Something was mended on the draft: @offset is where in the file the fault was, the guest's range what it
 * costs (length 0: nothing); the text says what was done and, where that costs anything, what is lost. More than
 * MAX_TOLD of one problem are only counted.
 */
void vhdx_repair_mended(struct repair *repair, enum problem problem, uint64_t offset,
			uint64_t guest_offset, uint64_t guest_length, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* As vhdx_repair_io, with its undo file in a place that is made when it is needed. */
int vhdx_repair_placed(const struct vhdx_io *io, const char *name,
		       const struct vhdx_repair_options *options, const struct undo_place *undo,
		       struct vhdx_repair_result *ret_result);

static inline bool repair_may(const struct repair *repair, uint32_t flag)
{
	return repair->options.flags & flag;
}

#endif
