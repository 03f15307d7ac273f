/* SPDX-License-Identifier: MIT */
/* The update of the headers (F 2.2), of which nothing else is a writer once an image exists. */
#ifndef VHDX_META_HEADERS_H
#define VHDX_META_HEADERS_H

#include "meta/image.h"

/*
 * One pass of F 2.2: writes the GUIDs and the log's place of @contents, under the next sequence number,
 * into the slot that is not current, and makes that one current. Flushes before when the current one may
 * not be durable; the new one is durable after the next flush. On failure the current one stays so.
 * -EUCLEAN when the sequence number cannot grow; or as the storage fails.
 */
int vhdx_headers_update(struct image *image, const struct header *contents);

/*
 * Writes @contents under the sequence number @number into @slot, whatever stands there, and makes that one
 * current: for a file without readers, where neither header has to be kept. As the storage fails.
 */
int vhdx_headers_put(struct image *image, unsigned slot, const struct header *contents,
		     uint64_t number);

/* -EUCLEAN unless the sequence number can grow by that many updates: for who must not stop half way. */
int vhdx_headers_check_number(const struct image *image, unsigned updates);

#endif
