/* SPDX-License-Identifier: MIT */
/* Is the value of a metadata item one that it may have (F 5, F 8)? So repair tells the right from the wrong. */
#ifndef VHDX_OPS_ITEMVALUES_H
#define VHDX_OPS_ITEMVALUES_H

#include "meta/image.h"

/*
 * @item is one of the image's table, or may be. Of an unknown item only its place can be judged. -ENOMEM, or
 * as the storage fails.
 */
int vhdx_item_is_right(const struct image *image, const struct metadata_item *item,
		       bool *ret_right);

/* Do both have the same length and bytes? Items that do not lie in the region have none. */
int vhdx_items_are_equal(const struct image *image, const struct metadata_item *a,
			 const struct metadata_item *b, bool *ret_equal);

/* Reads a value, which lies in the region, into memory that the caller frees. */
int vhdx_item_read(const struct image *image, const struct metadata_item *item, void **ret_bytes);

#endif
