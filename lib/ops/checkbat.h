/* SPDX-License-Identifier: MIT */
/* The rules of the BAT and the sector bitmaps (F 6, F 7), and the file's space as a whole. */
#ifndef VHDX_OPS_CHECKBAT_H
#define VHDX_OPS_CHECKBAT_H

#include "meta/image.h"

struct bat_counts {
	uint64_t present; /* payload blocks that have space in the file */
	uint64_t leaked_bytes;
};

/* @image knows its geometry. Findings go where the image reports. -ENOMEM, -ECANCELED, or as the storage fails. */
int vhdx_check_bat(struct image *image, vhdx_progress_fn *progress, void *opaque,
		   struct bat_counts *ret_counts);

#endif
