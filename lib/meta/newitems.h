/* SPDX-License-Identifier: MIT */
/* Adding, replacing and removing metadata items (F 5) of an image that is open for writing. */
#ifndef VHDX_META_NEWITEMS_H
#define VHDX_META_NEWITEMS_H

#include "meta/patch.h"

/* What becomes of the item with that id, of the user's or the system's as ITEM_IS_USER in @flags says. */
struct item_change {
	struct vhdx_guid id;
	uint32_t flags; /* ITEM_*: those of the item from now on */
	const void *bytes;
	uint32_t length; /* 0: the item is there, and empty */
	bool remove;	 /* whether it is there or not */
};

/*
 * Makes all of @count changes at once: the new values go to free room of the region, and then one log
 * entry changes the table. Durable after the next commit. The image's list of items is the new one then;
 * what was made of their values (sizes, locator) stays. The caller has the disk alone. -ENOSPC when the table or
 * the region is full; -ENOMEM; errors as vhdx_patch.
 */
int vhdx_items_change(struct image *image, struct journal *journal, struct patch_areas *areas,
		      const struct item_change *changes, unsigned count);

#endif
