/* SPDX-License-Identifier: MIT */
/* The rules of the BAT and the sector bitmaps (F 6, F 7), and the file's space as a whole. */
#ifndef VHDX_META_BATCHECK_H
#define VHDX_META_BATCHECK_H

#include "meta/image.h"
#include "meta/spacemap.h"

struct bat_counts {
	uint64_t present; /* payload blocks that have space in the file */
	uint64_t leaked_bytes;
};

/*
 * @image knows its geometry. Findings go where the image reports. *ret_space, which may be NULL, is what
 * is taken of the file, to be freed. -ENOMEM, -ECANCELED, or as the storage fails.
 */
int vhdx_check_bat(struct image *image, vhdx_progress_fn *progress, void *opaque,
		   struct bat_counts *ret_counts, struct space_map *ret_space);

#endif
