/* SPDX-License-Identifier: MIT */
/* The map of a salvage: ranges as they come, told merged, and counted by their kind. */
#ifndef VHDX_OPS_SALVAGEMAP_H
#define VHDX_OPS_SALVAGEMAP_H

#include <stdbool.h>

#include "ops/salvage.h"

struct salvage_map {
	struct salvage *s;
	struct vhdx_salvage_range pending; /* length 0: there is none */
	uint64_t end;			   /* of what was told or is pending */
};

/* The range of @length bytes that follows. Texts are the same when their pointers are. */
void vhdx_salvage_map_add(struct salvage_map *map, enum vhdx_salvage_kind kind, uint64_t length,
			  uint64_t file_offset, const char *text);

/* Tells what is pending. */
void vhdx_salvage_map_end(struct salvage_map *map);

#endif
