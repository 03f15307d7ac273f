/* SPDX-License-Identifier: MIT */
/* The disks of trials: made by the library, or by the tests' own builder of images. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "support/trial.h"

/* A new disk of any size that the style allows, with blocks of 1 to 32 MiB. */
static struct vhdx_create_options choose_options(struct rng *rng, const struct chain_style *style)
{
	uint32_t sector = rng_chance(rng, 70) ? 512 : 4096;
	uint64_t size = style->huge	      ? rng_between(rng, T_TIB, 60 * T_TIB)
			: style->small_blocks ? rng_between(rng, T_MIB, 24 * T_MIB)
					      : rng_between(rng, T_MIB, 200 * T_MIB);

	return (struct vhdx_create_options){
		.size = sizeof(struct vhdx_create_options),
		.type = !style->huge && rng_chance(rng, 30) ? VHDX_FIXED : VHDX_DYNAMIC,
		.virtual_size = size / sector * sector,
		.block_size = (uint32_t)(T_MIB << rng_below(rng, style->small_blocks ? 2 : 6)),
		.logical_sector_size = sector,
		.physical_sector_size = 4096,
		.seed = rng,
		.seed_size = sizeof(*rng),
	};
}

static void create_base(struct rng *rng, const struct chain_style *style, struct trial *trial)
{
	struct vhdx_create_options options = choose_options(rng, style);
	struct vhdx_io io = write_store_io(&trial->store, 0);
	int ret = vhdx_create_io(&io, &options);

	CHECK(!ret, "create: %d, %s", ret, vhdx_last_error()->text);
	flat_init(&trial->flat, options.virtual_size, options.logical_sector_size);
}

/* The parents' files, for vhdx_create_io to look into. */
static void write_file(const struct layer *layer)
{
	int fd = open(layer->name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	uint64_t at = 0;
	uint64_t start;
	uint64_t end;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)layer->file.size), 0);
	for (; sparse_next(&layer->file, at, &start, &end); at = start + SPARSE_PAGE) {
		uint8_t page[SPARSE_PAGE];
		uint64_t part = SPARSE_PAGE;

		start = start > at ? start : at;
		if (start >= layer->file.size)
			break;
		if (part > layer->file.size - start)
			part = layer->file.size - start;
		sparse_read(&layer->file, page, part, start);
		assert_int_equal(pwrite(fd, page, part, (off_t)start), part);
	}
	assert_int_equal(close(fd), 0);
}

static void create_child(struct rng *rng, const struct chain_style *style, struct trial *trial)
{
	struct vhdx_create_options options = {
		.size = sizeof(options),
		.type = VHDX_DIFFERENCING,
		.block_size = choose_options(rng, style).block_size,
		.parent = trial->chain.layers[0].name,
		.seed = rng,
		.seed_size = sizeof(*rng),
	};
	struct vhdx_io io = write_store_io(&trial->store, 0);

	for (unsigned i = 0; i < trial->chain.depth; i++)
		write_file(&trial->chain.layers[i]);
	int ret = vhdx_create_io(&io, &options);

	CHECK(!ret, "create a child: %d, %s", ret, vhdx_last_error()->text);
}

/* Blocks at both ends, at the edges of chunks and of BAT pages, and wherever something is. */
static void choose_hot_blocks(struct rng *rng, struct trial *trial)
{
	size_t count = sizeof(trial->hot) / sizeof(trial->hot[0]);
	uint64_t ratio =
		((uint64_t)1 << 23) * trial->info.logical_sector_size / trial->info.block_size;

	for (size_t i = 0; i < count; i++) {
		const struct layer *layer = &trial->chain.layers[0];
		uint64_t at = rng_below(rng, trial->info.blocks);

		if (i == 0)
			at = trial->info.blocks - 1;
		else if (i < 3)
			at = i - 1;
		else if (i < 6)
			at = at / ratio * ratio - (i == 5);
		else if (i < 8)
			at = at / 512 * 512 - (i == 7);
		else if (i < 13 && trial->chain.depth && layer->count)
			at = layer->list[rng_below(rng, layer->count)].number * layer->block_size /
			     trial->info.block_size;
		trial->hot[i] = at < trial->info.blocks ? at : 0;
	}
}

/* Learns what the disk is. */
static void get_info(struct trial *trial)
{
	trial_open(trial, 0);
	CHECK(!vhdx_close(trial->disk), "close after no change: %s", vhdx_last_error()->text);
	trial->disk = NULL;
}

void trial_make(struct rng *rng, enum trial_kind kind, const struct chain_style *style,
		struct trial *ret_trial)
{
	struct trial *trial = ret_trial;
	bool is_new = kind == TRIAL_BASE || kind == TRIAL_CHILD;
	struct chain_style of_chain = *style;

	memset(trial, 0, sizeof(*trial));
	write_store_init(&trial->store);
	of_chain.tidy = true;
	if (kind == TRIAL_FOREIGN_BASE)
		of_chain.max_depth = 1;
	if (kind == TRIAL_CHILD && of_chain.max_depth == MAX_LAYERS)
		of_chain.max_depth--;
	do {
		chain_free(&trial->chain);
		if (kind != TRIAL_BASE)
			chain_make(rng, &of_chain, &trial->chain);
	} while (kind == TRIAL_FOREIGN_CHILD && trial->chain.depth < 2);
	fixture_init(&trial->parents, &trial->chain, rng_chance(rng, 50));
	if (kind != TRIAL_BASE) {
		flat_init(&trial->flat, trial->chain.layers[0].virtual_size,
			  trial->chain.layers[0].sector_size);
		sparse_copy(&trial->flat.bytes, 0, &trial->chain.guest, 0, trial->flat.size);
	}
	if (kind == TRIAL_BASE)
		create_base(rng, style, trial);
	if (kind == TRIAL_CHILD)
		create_child(rng, style, trial);
	if (!is_new) {
		trial->store.bytes = trial->chain.layers[0].file;
		trial->chain.layers[0].file = (struct sparse){0};
		trial->first_parent = 1;
	}
	for (enum store_call call = STORE_PUNCH; call <= STORE_NEXT_DATA; call++)
		if (rng_chance(rng, 20))
			trial->without |= STORE_BIT(call);
	if (rng_chance(rng, 10))
		trial->store.transfer = rng_between(rng, 1000, 100000);
	get_info(trial);
	choose_hot_blocks(rng, trial);
}

void trial_free(struct trial *trial)
{
	flat_free(&trial->flat);
	write_store_free(&trial->store);
	chain_free(&trial->chain);
}
