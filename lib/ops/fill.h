/* SPDX-License-Identifier: MIT */
/* Zeros that must really be written. */
#ifndef VHDX_OPS_FILL_H
#define VHDX_OPS_FILL_H

#include <vhdx.h>

/* Makes a range read as zeros, its space kept: by the storage's own means, or by writing. */
int vhdx_fill_zeros(const struct vhdx_io *io, uint64_t offset, uint64_t length);

/* The same; the storage may release the range's space. */
int vhdx_fill_holes(const struct vhdx_io *io, uint64_t offset, uint64_t length);

#endif
