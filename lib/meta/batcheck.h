/* SPDX-License-Identifier: MIT */
/* The rules of the BAT and the sector bitmaps (F 6, F 7), and the file's space as a whole. */
#ifndef VHDX_META_BATCHECK_H
#define VHDX_META_BATCHECK_H

#include "meta/image.h"
#include "meta/spacemap.h"

struct bat_counts {
	uint64_t present; /* payload blocks that have space in the file */
	uint64_t leaked_bytes;
	uint64_t lost_bytes;	 /* of the disk: cannot be read, or read as zeros ... */
	uint64_t doubtful_bytes; /* ... or may be wrong; no byte is in both */
	uint64_t lost_blocks;	 /* payload blocks with lost bytes */
	uint64_t cut_blocks;	 /* payload blocks all or partly behind the file's end ... */
	uint64_t cut_bytes;	 /* ... and what of the disk is there */
	uint64_t cut_bitmaps;	 /* sector bitmap blocks there */
};

/*
 * @image knows its geometry. Findings go where the image reports. *ret_space, which may be NULL, is what
 * is taken of the file, to be freed. -ENOMEM, -ECANCELED, or as the storage fails.
 */
int vhdx_check_bat(struct image *image, vhdx_progress_fn *progress, void *opaque,
		   struct bat_counts *ret_counts, struct space_map *ret_space);

#endif
