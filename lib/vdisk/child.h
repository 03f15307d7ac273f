/* SPDX-License-Identifier: MIT */
/* A new child that is written on a parent that is open already. */
#ifndef VHDX_VDISK_CHILD_H
#define VHDX_VDISK_CHILD_H

#include "vdisk/disk.h"

/*
 * Opens the image in @io, which nobody else knows yet and which stays the caller's, for writing, as a child
 * of @parent. @flags: VHDX_OPEN_NO_HOLES. Nothing of it is locked or flushed. Both disks must be alone.
 */
int vhdx_child_open(const struct vhdx_io *io, const char *name, uint32_t flags, struct vhdx *parent,
		    struct vhdx **ret_child);

/* As vhdx_close; the parent stays open. */
int vhdx_child_close(struct vhdx *child);

/* The same for a child that nobody wants any more: nothing is written. */
void vhdx_child_drop(struct vhdx *child);

#endif
