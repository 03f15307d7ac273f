/* SPDX-License-Identifier: MIT */
/* Changing one entry of the BAT, and giving up the space that it named. */
#ifndef VHDX_VDISK_ENTRIES_H
#define VHDX_VDISK_ENTRIES_H

#include "vdisk/writer.h"

struct entry_change {
	uint64_t index;
	uint64_t entry;	       /* what it becomes */
	uint64_t needed_end;   /* of the space that it names then; 0: none */
	bool data_first;       /* what lies there must be durable before the log entry is written */
	uint64_t freed_offset; /* space that is free when the change is durable ... */
	uint64_t freed_length; /* ... 0: none */
	bool forget; /* what it holds need not come back after a crash: it may be punched now */
	bool held_metadata; /* it was a bitmap block's */
};

/*
 * Makes the change, a part of the open transaction. The gate has been passed; the caller holds the stripe
 * of the block, or has the disk alone. -ENOSPC, -ENOMEM, or as the storage fails; then nothing changed.
 */
int vhdx_entry_change(struct vhdx *disk, const struct entry_change *change);

#endif
