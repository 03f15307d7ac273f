/* SPDX-License-Identifier: MIT */
/*
 * What the space of an image's file and of its disk is used for, for pictures: both cut into cells that are
 * few enough to be seen, and the runs of blocks that lie side by side.
 */
#ifndef CLI_LAYOUT_H
#define CLI_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include <vhdx.h>

enum layout_kind {
	KIND_FREE = 0, /* of the file: nothing refers to it; of the disk: no block */
	KIND_PARENT,   /* of a child's disk: no block, so that the parent shows */
	KIND_HEADER,   /* the header section */
	KIND_LOG,
	KIND_METADATA,
	KIND_BAT,
	KIND_BITMAP,  /* a sector bitmap block */
	KIND_DATA,    /* a payload block that is fully present */
	KIND_PARTIAL, /* one of which some sectors are the parent's */
	KIND_ZERO,
	KIND_UNMAPPED,
	KIND_UNDEFINED,
	KIND_DAMAGED, /* no state that a block of this disk may have, or a place behind the file's end */
	KINDS,
};

/* Of the kinds before it nothing is stored here. */
#define KIND_FIRST_STORED KIND_HEADER

#define LAYOUT_COLUMNS 128
#define LAYOUT_CELLS   (LAYOUT_COLUMNS * 32)

struct layout_cell {
	uint64_t bytes[KINDS];
	double places; /* of data: bytes times where on the disk they are */
};

/* A file's or a disk's space. */
struct layout_space {
	uint64_t size;
	uint64_t cell_size; /* a power of two */
	size_t count;	    /* of cells */
	uint64_t totals[KINDS];
	struct layout_cell cells[LAYOUT_CELLS];
};

/* Blocks that follow each other on the disk, and in the file if they are there, all of one kind. */
struct layout_run {
	enum layout_kind kind;
	uint64_t disk_offset; /* VHDX_NO_OFFSET: not a part of the disk */
	uint64_t file_offset; /* VHDX_NO_OFFSET: not in the file */
	uint64_t length;
};

#define LAYOUT_RUNS ((size_t)20000)

struct layout {
	struct vhdx_info info;
	struct layout_space disk;
	struct layout_space file;
	uint64_t told;		 /* the end on the disk of what was collected */
	uint64_t last_data;	 /* where on the disk the last data end; at least 1 */
	struct layout_run *runs; /* the first LAYOUT_RUNS */
	size_t run_count;
	uint64_t all_runs; /* with those that are not kept */
	struct layout_run pending;
	int result;
};

/* Of an open disk's own file, without its parents. -ENOMEM; other failures vhdx_last_error() tells. */
int layout_make(struct vhdx *disk, struct layout **ret_layout);

void layout_free(struct layout *layout);

/* "data", "free", ... */
const char *layout_kind_name(enum layout_kind kind);

#endif
