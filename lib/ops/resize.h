/* SPDX-License-Identifier: MIT */
/* What growing and shrinking share. */
#ifndef VHDX_OPS_RESIZE_H
#define VHDX_OPS_RESIZE_H

#include "vdisk/writer.h"

struct resize {
	struct vhdx *disk;
	struct vhdx_resize_options options;
	uint64_t virtual_size; /* that the disk shall have */
	uint64_t total;	       /* bytes by which it grows or shrinks */
};

/* -ECANCELED when the caller's progress function asks to stop. */
int vhdx_resize_report(const struct resize *resize, uint64_t done);

/* Makes the disk smaller, but does not renew it. */
int vhdx_shrink(const struct resize *resize);

#endif
