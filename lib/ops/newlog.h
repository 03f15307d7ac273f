/* SPDX-License-Identifier: MIT */
/* A new, empty log for an image whose log cannot be used and has nothing to replay. */
#ifndef VHDX_OPS_NEWLOG_H
#define VHDX_OPS_NEWLOG_H

#include "ops/mend.h"

/*
 * Gives @image a new log, in space that nothing claims, and tells @problem, found at @offset, as mended.
 * Does nothing while the image has a fault that keeps what is claimed from being known, or what is claimed
 * leaves no room yet, or on storage that would have to grow and cannot. As the storage fails.
 */
int vhdx_make_log(struct repair *repair, struct image *image, enum problem problem,
		  uint64_t offset);

#endif
