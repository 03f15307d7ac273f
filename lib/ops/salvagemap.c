/* SPDX-License-Identifier: MIT */
/* The map of a salvage: ranges as they come, told merged, and counted by their kind. */
#include "ops/salvagemap.h"

static uint64_t *count_of(struct vhdx_salvage_result *result, enum vhdx_salvage_kind kind)
{
	switch (kind) {
	case VHDX_SALVAGE_PARENT:
		return &result->parent_bytes;
	case VHDX_SALVAGE_FOUND:
		return &result->found_bytes;
	case VHDX_SALVAGE_GUESSED:
		return &result->guessed_bytes;
	case VHDX_SALVAGE_LOST:
		return &result->lost_bytes;
	default:
		return &result->zero_bytes;
	}
}

void vhdx_salvage_map_end(struct salvage_map *map)
{
	const struct vhdx_salvage_options *options = &map->s->options;

	if (map->pending.length && options->range)
		options->range(options->opaque, &map->pending);
	map->pending.length = 0;
}

static bool continues(const struct vhdx_salvage_range *before, enum vhdx_salvage_kind kind,
		      uint64_t file_offset, const char *text)
{
	if (!before->length || before->kind != kind || before->text != text)
		return false;
	return before->file_offset == VHDX_NO_OFFSET
		       ? file_offset == VHDX_NO_OFFSET
		       : file_offset == before->file_offset + before->length;
}

void vhdx_salvage_map_add(struct salvage_map *map, enum vhdx_salvage_kind kind, uint64_t length,
			  uint64_t file_offset, const char *text)
{
	if (!length)
		return;
	*count_of(&map->s->result, kind) += length;
	if (continues(&map->pending, kind, file_offset, text)) {
		map->pending.length += length;
	} else {
		vhdx_salvage_map_end(map);
		map->pending = (struct vhdx_salvage_range){
			.size = sizeof(map->pending),
			.offset = map->end,
			.length = length,
			.file_offset = file_offset,
			.kind = kind,
			.text = text,
		};
	}
	map->end += length;
}
