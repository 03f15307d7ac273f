/* SPDX-License-Identifier: MIT */
/* Regions that do not lie as they must: not on a MiB, or over something else (F 3). */
#ifndef VHDX_OPS_REGIONPLACE_H
#define VHDX_OPS_REGIONPLACE_H

#include "ops/regionlist.h"

/*
 * Lengthens regions to whole MiB, or copies them to where they have room; tells what was mended. The
 * geometry of @image is known, for else nobody knows where there is room. As the storage fails.
 */
int vhdx_align_regions(struct repair *repair, const struct image *image, struct region_list *list);

/* Cuts regions that go on further than they need to, over another one; tells what was mended. */
void vhdx_cut_regions(struct repair *repair, const struct image *image, struct region_list *list);

#endif
