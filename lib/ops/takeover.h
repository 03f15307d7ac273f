/* SPDX-License-Identifier: MIT */
/* A child takes over from its parents what would change if it had another parent. */
#ifndef VHDX_OPS_TAKEOVER_H
#define VHDX_OPS_TAKEOVER_H

#include "vdisk/disk.h"

/*
 * Copies into @child, where its own file holds nothing, what it reads as and would not with @parent, which
 * stands beside its chain. What a guest sees stays the same, and its DataWriteGuid. Durable after a commit of
 * the child's journal. May be repeated. @progress, in bytes of the disk, may be NULL.
 */
int vhdx_take_over(struct vhdx *child, struct vhdx *parent, vhdx_progress_fn *progress,
		   void *opaque);

#endif
