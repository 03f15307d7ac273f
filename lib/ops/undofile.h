/* SPDX-License-Identifier: MIT */
/* What writing an undo file and putting one back share. */
#ifndef VHDX_OPS_UNDOFILE_H
#define VHDX_OPS_UNDOFILE_H

#include "format/undofile.h"

#include <vhdx.h>

#define UNDO_CHUNK (1 * MIB) /* of the bytes of a range that are in memory at once */

_Static_assert(MAX_UNDO_WRITTEN <= UNDO_CHUNK, "a written range is in memory as a whole");

int vhdx_undo_read_header(const struct vhdx_io *undo, const char *undo_name,
			  struct undo_header *ret_header);

/* Writes it and makes it durable, with all that was written before. */
int vhdx_undo_put_header(const struct vhdx_io *undo, const char *undo_name,
			 const struct undo_header *header);

#endif
