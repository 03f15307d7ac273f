/* SPDX-License-Identifier: MIT */
/* Changes beside a base that stays as it is until they are committed: what a replay makes of a file. */
#ifndef VHDX_STORE_OVERLAY_H
#define VHDX_STORE_OVERLAY_H

#include <stdbool.h>

#include <vhdx.h>

/* One change: where the base holds the logged page that replaces a page, or a range of zeros. */
struct overlay_change {
	uint64_t offset; /* a multiple of LOG_SECTOR_SIZE, as is length */
	uint64_t length;
	uint64_t descriptor; /* file offset of the page's descriptor; 0: zeros */
	uint64_t sector;     /* file offset of its data sector */
};

/* Most bytes that a change takes while the overlay is there. */
#define OVERLAY_CHANGE_MEMORY 64u

/*
 * Storage that shows @base with @count changes made in their order, @size bytes long. Takes @changes,
 * malloc'ed, over, also on failure; @base stays the caller's and must outlive it. Fails with -ENOMEM.
 */
int vhdx_overlay_io(const struct vhdx_io *base, struct overlay_change *changes, size_t count,
		    uint64_t size, struct vhdx_io *ret_io);

/*
 * Writes to the base of overlay @io, @base_size bytes long and writable, what the overlay shows in its
 * place; what lies behind the base's end and shows zeros is left out. As the base fails; -ENOMEM.
 */
int vhdx_overlay_commit(const struct vhdx_io *io, uint64_t base_size);

#endif
