/* SPDX-License-Identifier: MIT */
/* Writing the disk, for operations that say themselves what a guest sees of it. */
#ifndef VHDX_VDISK_IO_H
#define VHDX_VDISK_IO_H

#include "vdisk/writer.h"

/*
 * As vhdx_pwritev, of @size bytes of a range that was checked, behind @gate: with GATE_METADATA the caller
 * answers for it that the disk reads as before.
 */
int vhdx_disk_write(struct vhdx *disk, enum gate gate, const struct iovec *iov, int iovcnt,
		    uint64_t offset, uint64_t size);

#endif
