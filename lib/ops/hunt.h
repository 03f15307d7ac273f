/* SPDX-License-Identifier: MIT */
/* Finds structures by their signatures and shapes, where nothing that would name their places is left. */
#ifndef VHDX_OPS_HUNT_H
#define VHDX_OPS_HUNT_H

#include "meta/bat.h"
#include "meta/image.h"

/* A region of metadata is no longer than this; Microsoft's parser has that limit too. */
#define MAX_METADATA_REGION (128 * MIB)

/*
 * The one place at a whole MiB of @io that holds a metadata region: signature, a right table, and values of
 * the items that make a geometry. Fills in a region of the length that its items need, whole MiB. -ENOENT
 * when there is none, -ENOTUNIQ when there are several that differ; or as the storage fails.
 */
int vhdx_hunt_metadata(const struct vhdx_io *io, const char *name, struct region *ret_region);

/* As vhdx_hunt_metadata, for the first such place at or behind @from, whatever follows it. */
int vhdx_hunt_next_metadata(const struct vhdx_io *io, const char *name, uint64_t from,
			    struct region *ret_region);

/*
 * Reads the items of @region, as a hunt found it, into @image, which has read none yet, and makes its
 * geometry known, wherever the BAT is. -EUCLEAN when they make none; -ENOMEM; or as the storage fails.
 */
int vhdx_hunt_use_metadata(struct image *image, const struct region *region);

/*
 * The one place at a whole MiB of @image's view that holds a BAT for its geometry, which must be known: every
 * entry legal for the disk's type, and blocks that lie in the file and overlap neither each other nor
 * the log nor the regions that are known. Of several, the one with the most blocks; then the one that has
 * a first block. Errors as vhdx_hunt_metadata. An image without any block, all of it zeros but for what is
 * known, may have several such places: the first MiB that is wholly zero and lies behind the log and
 * metadata counts then.
 */
int vhdx_hunt_bat(const struct image *image, struct region *ret_region);

/* As vhdx_hunt_bat, for a BAT of whose entries a sixteenth may be damaged, of a file that may have been cut. */
int vhdx_hunt_damaged_bat(const struct image *image, struct region *ret_region);

/* Walks places at whole MiB, from @from on and before @size, whose MiB holds data. */
typedef int place_visitor(void *opaque, uint64_t offset);

/* Another value than 0 from @visit ends the walk, which returns it; or as the storage fails. */
int vhdx_hunt_places(const struct vhdx_io *io, const char *name, uint64_t from, uint64_t size,
		     place_visitor *visit, void *opaque);

#endif
