/* SPDX-License-Identifier: MIT */
/* The metadata region of a new image (F 5): its table and its items, as bytes. */
#ifndef VHDX_OPS_NEWMETA_H
#define VHDX_OPS_NEWMETA_H

#include "ops/plan.h"

/* Bytes of the region that the table and the items of @plan take. */
uint64_t vhdx_new_metadata_size(const struct image_plan *plan);

/* Fills that many bytes; -ENOMEM. */
int vhdx_new_metadata(const struct image_plan *plan, uint64_t virtual_size, void *ret_buf,
		      size_t size);

#endif
