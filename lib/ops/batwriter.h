/* SPDX-License-Identifier: MIT */
/* Writes entries of the BAT to a draft, a page at a time: a damaged table may have millions to write. */
#ifndef VHDX_OPS_BATWRITER_H
#define VHDX_OPS_BATWRITER_H

#include "meta/image.h"

struct bat_writer {
	const struct vhdx_io *io;
	const struct image *image;
	uint64_t offset; /* in the BAT, of the page that is held ... */
	size_t size;	 /* ... and its length; 0: none is held */
	_Alignas(8) uint8_t bytes[PAGE_SIZE];
};

/* Entries in any order; fewest writes in ascending order. */
int vhdx_bat_writer_put(struct bat_writer *writer, uint64_t index, uint64_t entry);

/* What was put is there afterwards. */
int vhdx_bat_writer_end(struct bat_writer *writer);

#endif
