/* SPDX-License-Identifier: MIT */
/* The sound images that inputs of the fuzz targets damage: random ones, made once. */
#include "fuzz/base.h"

static bool suits(const struct chain *chain, enum base_kind kind)
{
	switch (kind) {
	case BASE_CHAIN:
		return chain->depth >= 2;
	case BASE_DIRTY:
		return chain->layers[0].is_dirty;
	default:
		return true;
	}
}

static void share_pages(const struct sparse *file, struct cow *ret_cow)
{
	uint64_t start;
	uint64_t end = 0;

	*ret_cow = (struct cow){0};
	while (sparse_next(file, end, &start, &end) && start < file->size) {
		for (uint64_t at = start; at < end; at += COW_PAGE) {
			uint8_t page[COW_PAGE];

			sparse_read(file, page, sizeof(page), at);
			cow_write(ret_cow, page, sizeof(page), at);
		}
	}
	cow_resize(ret_cow, file->size);
}

static void make(enum base_kind kind, unsigned number, struct base *ret_base)
{
	struct chain_style style = {
		.max_depth = kind == BASE_CHAIN ? 3 : 1 + number % 2,
		.small_blocks = true,
		.tidy = number % 4 < 2,
	};

	for (uint64_t seed = 1000 + number;; seed += BASES) {
		struct rng rng = rng_make(seed);

		chain_make(&rng, &style, &ret_base->chain);
		if (suits(&ret_base->chain, kind))
			break;
		chain_free(&ret_base->chain);
	}
	for (unsigned i = 0; i < ret_base->chain.depth; i++)
		share_pages(&ret_base->chain.layers[i].file, &ret_base->files[i]);
}

const struct base *fuzz_base(enum base_kind kind, unsigned number)
{
	static struct base bases[BASE_DIRTY + 1][BASES];
	struct base *base = &bases[kind][number];

	if (!base->chain.depth)
		make(kind, number, base);
	return base;
}
