/* SPDX-License-Identifier: MIT */
/*
 * Writes a new image from front to back, without a journal (F 9.7): blocks in the order of the disk,
 * then the tables, and last of all what makes it an image.
 */
#ifndef VHDX_OPS_BUILD_H
#define VHDX_OPS_BUILD_H

#include "meta/bat.h"
#include "ops/plan.h"

/* What stands behind a byte of the new image that nobody writes. */
enum builder_space {
	SPACE_HOLES,	/* nothing: fresh storage reads as zeros */
	SPACE_RESERVED, /* reserved space of fresh storage */
	SPACE_FILLED,	/* zeros, written out */
};

struct builder {
	struct vhdx_io io;
	const char *name; /* of the storage, in messages */
	struct image_plan plan;
	struct geometry geometry; /* set when the disk's size is known */
	enum builder_space space;
	uint64_t size;	  /* of the storage */
	uint64_t secured; /* unless SPACE_HOLES: all space below is really there */
	uint64_t metadata_offset;
	uint64_t metadata_length;
	uint64_t bat_offset; /* 0: its place, behind the blocks, is not known yet */
	uint64_t bat_length;
	uint64_t first; /* where the first payload block lies */
	uint64_t end;	/* of the last structure that has a place */
	uint64_t next_block;
	uint64_t last_offset; /* of block next_block - 1, if that has a place */
	uint64_t *present;    /* unless fixed: one bit a block */
	size_t present_words;
};

/*
 * Begins to replace the contents of @io, which the caller keeps and closes. @name and @plan's items must
 * live as long. A fixed image gets all its space here when its size is known.
 */
int vhdx_builder_begin(const struct vhdx_io *io, const char *name, const struct image_plan *plan,
		       struct builder *ret_builder);

/*
 * Gives a payload block its place in the file; it reads as zeros there. Blocks come in the order of the
 * disk; the last one may be asked for again. Callers take turns; what they write there needs none.
 */
int vhdx_builder_allocate(struct builder *builder, uint64_t block, uint64_t *ret_offset);

/* Where vhdx_builder_allocate would put that byte of the disk, and all behind it if it put it one after the other. */
uint64_t vhdx_builder_next_place(const struct builder *builder, uint64_t offset);

/* As vhdx_builder_allocate, for all blocks that the range of the disk touches: they lie one after the other. */
int vhdx_builder_allocate_range(struct builder *builder, uint64_t offset, uint64_t length);

/* When all blocks are written. @virtual_size: of the plan, or what it was found to be in the end. */
int vhdx_builder_finish(struct builder *builder, uint64_t virtual_size);

/* All of it at once, for an image without contents. */
int vhdx_build_empty(const struct vhdx_io *io, const char *name, const struct image_plan *plan);

/* Frees what a builder holds; also a half-made or zeroed one. */
void vhdx_builder_free(struct builder *builder);

#endif
