/* SPDX-License-Identifier: MIT */
/* Ranges that must read as zeros: as holes, with their space kept, or written where nothing else will do. */
#ifndef VHDX_STORE_FILL_H
#define VHDX_STORE_FILL_H

#include <stdbool.h>

#include <vhdx.h>

/* Makes a range read as zeros, its space kept: by the storage's own means, or by writing. */
int vhdx_fill_zeros(const struct vhdx_io *io, uint64_t offset, uint64_t length);

/* The same; the storage may release the range's space. */
int vhdx_fill_holes(const struct vhdx_io *io, uint64_t offset, uint64_t length);

/* The same without writing, as a hole if @may_punch is set; an errno where the storage cannot. */
int vhdx_fill_fast(const struct vhdx_io *io, uint64_t offset, uint64_t length, bool may_punch);

#endif
