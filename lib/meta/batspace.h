/* SPDX-License-Identifier: MIT */
/* Whose each MiB of a file is, while its BAT is checked: overlaps between structures, and what none of them has. */
#ifndef VHDX_META_BATSPACE_H
#define VHDX_META_BATSPACE_H

#include "meta/image.h"
#include "meta/spacemap.h"

struct bat_space {
	const struct image *image;
	struct space_map taken;
	struct space_map
		anchors; /* of those, what blocks without data keep; made for the first of them */
	unsigned searches;
};

/* What a range was before somebody took it. */
enum space_use {
	SPACE_FREE,
	SPACE_OF_ANCHOR, /* at most kept by blocks without data */
	SPACE_IN_USE,
};

/* Somebody who has a range. */
struct space_owner {
	char name[100];		/* with the part of the disk, if it is a payload block */
	struct guest_part part; /* that; length 0: it is none */
};

/* With what regions, log and headers have. To be closed, whatever it returns: -ENOMEM. */
int vhdx_bat_space_open(struct bat_space *space, const struct image *image);

void vhdx_bat_space_close(struct bat_space *space);

/*
 * Takes space for the entry @index, whose block has no data when @is_anchor is set. Unless it was free,
 * *ret_owner is one that has it.
 */
int vhdx_bat_space_take(struct bat_space *space, uint64_t index, uint64_t offset, uint64_t length,
			bool is_anchor, enum space_use *ret_use, struct space_owner *ret_owner);

#endif
