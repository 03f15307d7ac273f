/* SPDX-License-Identifier: MIT */
/* The space of a file that its structures claim, damaged ones too, for those that need a new place. */
#ifndef VHDX_OPS_CLAIMS_H
#define VHDX_OPS_CLAIMS_H

#include "meta/image.h"
#include "meta/spacemap.h"

struct claims {
	struct space_map space; /* the file's MiB that are claimed */
	uint64_t size;		/* of the file */
	uint64_t end;		/* of the file, in whole MiB */
	bool reach_out; /* a block or a bitmap block is claimed to end behind the file's end */
};

/*
 * What the header section, the regions and, when the geometry is known, the BAT of @image claim; not the
 * log. To be freed with vhdx_claims_free. -ENOMEM, or as the storage fails.
 */
int vhdx_claims_make(const struct image *image, struct claims *ret_claims);

void vhdx_claims_free(struct claims *claims);

/*
 * Finds @length bytes, whole MiB, that nothing claims: inside the file, or where it has to grow. False
 * when it must not grow yet, for something is claimed behind its end: once that is mended there is room.
 */
bool vhdx_claims_find_room(const struct claims *claims, uint64_t length, uint64_t *ret_offset);

#endif
