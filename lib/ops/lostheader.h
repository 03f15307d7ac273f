/* SPDX-License-Identifier: MIT */
/* The header of an image that has no valid one any more, from what is left of both and of the file. */
#ifndef VHDX_OPS_LOSTHEADER_H
#define VHDX_OPS_LOSTHEADER_H

#include "ops/mend.h"

/*
 * Both headers are invalid: writes a right one, as far as it can be had, and tells it as mended. As the
 * storage fails.
 */
int vhdx_mend_lost_headers(struct repair *repair, struct image *image);

/* Both are valid, and neither is the newer: writes the one with which the image is in the better state. */
int vhdx_mend_ambiguous_headers(struct repair *repair, struct image *image);

#endif
