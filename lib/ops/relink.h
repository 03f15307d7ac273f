/* SPDX-License-Identifier: MIT */
/* Changing what a child that is open for writing says of its parent (F 8). */
#ifndef VHDX_OPS_RELINK_H
#define VHDX_OPS_RELINK_H

#include "format/locator.h"
#include "vdisk/disk.h"

/*
 * Changes pairs of the locator as vhdx_link_change does, all at once: durable when it returns. What a
 * guest sees of @child is the caller's business, and its DataWriteGuid stays. The disk's own idea of its
 * locator is the old one until vhdx_disk_renew, so the next call changes the same pairs or others anew.
 */
int vhdx_relink(struct vhdx *child, const struct locator_pair *changes, unsigned count);

#endif
