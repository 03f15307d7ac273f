/* SPDX-License-Identifier: MIT */
/* Zeroing and trimming, block by block. */
#ifndef VHDX_VDISK_DISCARD_H
#define VHDX_VDISK_DISCARD_H

#include "vdisk/disk.h"

/* What is wanted of a range that shall hold nothing. */
struct discard {
	struct vhdx *disk;
	bool is_trim;	/* its contents do not matter; else it reads as zeros */
	bool may_unmap; /* whole blocks may lose their space, parts become holes */
	bool fast;	/* fail rather than write zeros */
};

/* Errors as vhdx_zero and vhdx_trim; @offset and @length are inside the disk. No stripe is held. */
int vhdx_discard(const struct discard *discard, uint64_t offset, uint64_t length);

#endif
