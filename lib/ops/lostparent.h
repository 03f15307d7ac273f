/* SPDX-License-Identifier: MIT */
/* Repair of a child whose HasParent was lost (F 5). */
#ifndef VHDX_OPS_LOSTPARENT_H
#define VHDX_OPS_LOSTPARENT_H

#include "ops/mend.h"

/*
 * Sets HasParent again where all else of the image says so: its parent locator is right, and its BAT names
 * sector bitmap blocks, which no other disk has. Returns as a mend_stage.
 */
int vhdx_mend_lost_parent(struct repair *repair, struct image *image);

#endif
