/* SPDX-License-Identifier: MIT */
/* The space of a file that its structures claim, damaged ones too, for those that need a new place. */
#include "meta/batrules.h"
#include "ops/claims.h"

struct claiming {
	const struct image *image;
	struct claims *claims;
};

static void claim(struct claiming *claiming, uint64_t offset, uint64_t length)
{
	if (!range_within(offset, length, claiming->claims->size))
		claiming->claims->reach_out = true;
	if (offset < claiming->claims->end)
		vhdx_space_map_mark(&claiming->claims->space, offset,
				    min_u64(length, claiming->claims->end - offset), NULL);
}

/* Any state but those whose offset means nothing: a damaged state may yet be taken for a present one. */
static int claim_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct claiming *claiming = opaque;
	const struct geometry *g = &claiming->image->geometry;
	bool is_bitmap = bat_index_is_bitmap(g, index);
	unsigned state = bat_entry_state(entry);
	bool means_nothing = is_bitmap ? state == BITMAP_NOT_PRESENT ||
						 !image_has_parent(claiming->image)
				       : state == BLOCK_NOT_PRESENT || state == BLOCK_ZERO ||
						 bat_block_of_index(g, index) >= g->blocks;

	if (!means_nothing && bat_entry_offset(entry))
		claim(claiming, bat_entry_offset(entry),
		      is_bitmap ? BITMAP_BLOCK_SIZE : g->block_size);
	return 0;
}

int vhdx_claims_make(const struct image *image, struct claims *ret_claims)
{
	struct claims claims = {.size = image_view_size(image), .end = image_end(image)};
	struct claiming claiming = {.image = image, .claims = &claims};
	int ret = vhdx_space_map_init(&claims.space, claims.end);

	if (ret)
		return ret;
	vhdx_take_region_space(image, &claims.space);
	if (image->known & VHDX_KNOWN_GEOMETRY)
		ret = vhdx_bat_walk(image, false, claim_entry, &claiming, NULL, NULL);
	if (ret)
		vhdx_space_map_free(&claims.space);
	else
		*ret_claims = claims;
	return ret;
}

void vhdx_claims_free(struct claims *claims)
{
	vhdx_space_map_free(&claims->space);
}

bool vhdx_claims_find_room(const struct claims *claims, uint64_t length, uint64_t *ret_offset)
{
	uint64_t offset = vhdx_space_map_find_run(&claims->space, NULL, 0, length);

	if (offset == UINT64_MAX)
		offset = claims->end;
	if (!range_within(offset, length, claims->size) && claims->reach_out)
		return false;
	*ret_offset = offset;
	return true;
}
