/* SPDX-License-Identifier: MIT */
/* Everything that decides a new image, checked and with defaults filled in. */
#ifndef VHDX_OPS_PLAN_H
#define VHDX_OPS_PLAN_H

#include <stdbool.h>

#include "format/ondisk.h"

/* A metadata item beside the five that every image has. */
struct plan_item {
	struct vhdx_guid id;
	uint32_t flags; /* ITEM_IS_* */
	uint32_t length;
	const void *bytes;
};

struct image_plan {
	enum vhdx_type type;
	uint64_t virtual_size; /* 0: known only in the end */
	uint32_t block_size;
	uint32_t log_length;
	uint32_t logical_sector_size;
	uint32_t physical_sector_size;
	struct vhdx_guid file_write_guid;
	struct vhdx_guid data_write_guid;
	struct vhdx_guid disk_id;
	bool no_holes;
	bool durable;
	uint8_t identifier[sizeof(struct identifier_disk)]; /* as on disk, the creator in it */
	const struct plan_item *items;			    /* the planner's caller keeps them */
	unsigned nitems;
};

/*
 * Checks @options and plans the image: -EINVAL names what is out of range. Of a differencing image,
 * the disk's identity and the items are left to the caller. @size_later: virtual_size is not needed.
 */
int vhdx_plan_image(const struct vhdx_create_options *options, bool size_later,
		    struct image_plan *ret_plan);

/* Is this a size that a disk can have? -EINVAL. */
int vhdx_plan_check_size(uint64_t virtual_size, uint32_t logical_sector_size);

/* Draws the GUIDs of a plan; @parent, of a differencing disk, is its parent's DataWriteGuid, else NULL. */
int vhdx_plan_guids(const struct vhdx_create_options *options, const struct vhdx_guid *parent,
		    struct image_plan *plan);

#endif
