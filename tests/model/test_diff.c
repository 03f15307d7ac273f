/* SPDX-License-Identifier: MIT */
/* Children made by vhdx_diff: they read as the contents did, and hold the sectors that differ and no others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "support/writestore.h"

#define EXTENTS	  64
#define MAX_PIECE (256 * T_KIB)

/* What the contents are for the library. */
enum form {
	FORM_RAW,
	FORM_DISK,
	FORM_BASE, /* the base itself */
	FORMS,
};

struct trial {
	struct rng rng;
	struct chain chain; /* of the base */
	struct fixture fixture;
	struct vhdx *base;
	uint64_t base_size;
	uint32_t sector_size;

	enum form form;
	struct sparse contents; /* what the child must read as */
	uint64_t size;
	struct write_store store; /* the contents' */
	struct vhdx_io io;
	struct vhdx *disk;

	struct vhdx_diff_options options;
	struct write_store child_store;
	unsigned without;
	struct vhdx_io child_io;
	struct vhdx *child;
	struct vhdx_info child_info;

	struct vhdx_extent *extents; /* what the child holds */
	size_t count;
	uint64_t held; /* bytes */
	uint64_t zeros;
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- Base and contents ---- */

/* A block of the base gets data everywhere, so that it can become zero everywhere. */
static void fill_block(struct trial *trial, const struct layer_block *block)
{
	static uint8_t buf[MAX_PIECE];
	struct layer *layer = &trial->chain.layers[0];
	uint64_t start = block->number * layer->block_size;
	uint64_t length = min(layer->block_size, layer->virtual_size - start);

	for (uint64_t at = 0, part; at < length; at += part) {
		part = min(sizeof(buf), length - at);
		rng_fill(&trial->rng, buf, part);
		sparse_write(&layer->file, buf, part, block->offset + at);
		sparse_write(&trial->chain.guest, buf, part, start + at);
	}
}

static void fill_blocks(struct trial *trial)
{
	const struct layer *layer = &trial->chain.layers[0];

	for (size_t i = 0; i < layer->count; i++) {
		const struct layer_block *block = &layer->list[i];

		if (block->state == 6 && layer->block_size <= 2 * T_MIB &&
		    block->offset + layer->block_size <= layer->file.size &&
		    rng_chance(&trial->rng, 60))
			fill_block(trial, block);
	}
}

static void open_base(struct trial *trial, const struct chain_style *style)
{
	chain_make(&trial->rng, style, &trial->chain);
	if (style->tidy)
		fill_blocks(trial);
	fixture_init(&trial->fixture, &trial->chain, rng_chance(&trial->rng, 70));
	int ret = fixture_open(&trial->fixture, 0, &trial->base);

	CHECK(!ret, "open the base: %d, %s", ret, vhdx_last_error()->text);
	trial->base_size = trial->chain.layers[0].virtual_size;
	trial->sector_size = trial->chain.layers[0].sector_size;
}

/* At a block that the base holds, or anywhere. */
static uint64_t choose_place(struct trial *trial)
{
	const struct layer *layer =
		&trial->chain.layers[rng_below(&trial->rng, trial->chain.depth)];
	uint64_t at = rng_below(&trial->rng, trial->size);

	if (layer->count && rng_chance(&trial->rng, 70))
		at = layer->list[rng_below(&trial->rng, layer->count)].number * layer->block_size +
		     rng_length(&trial->rng, layer->block_size) - 1;
	if (rng_chance(&trial->rng, 40))
		at -= at % trial->options.block_size;
	return at < trial->size ? at : trial->size - 1;
}

static void change_something(struct trial *trial)
{
	static uint8_t buf[MAX_PIECE];
	struct rng *rng = &trial->rng;
	uint64_t at = choose_place(trial);
	uint64_t left = trial->size - at;
	uint64_t length = min(rng_length(rng, MAX_PIECE), left);

	switch (rng_below(rng, 4)) {
	case 0:
		rng_fill(rng, buf, length);
		sparse_write(&trial->contents, buf, length, at);
		break;
	case 1:
		sparse_zero(&trial->contents, at, length);
		break;
	case 2: /* one byte of many sectors */
		for (; length > 1000; length -= 700, at += 700)
			sparse_write(&trial->contents, "\xa5", 1, at);
		break;
	default:
		at -= at % trial->options.block_size;
		sparse_zero(
			&trial->contents, at,
			min(rng_between(rng, 1, 2) * trial->options.block_size, trial->size - at));
	}
}

/* The base's contents, longer or shorter, and changed here and there. */
static void make_contents(struct trial *trial)
{
	struct rng *rng = &trial->rng;

	trial->form = rng_chance(rng, 10) ? FORM_BASE : rng_chance(rng, 50) ? FORM_RAW : FORM_DISK;
	trial->size = trial->base_size;
	if (trial->form != FORM_BASE && rng_chance(rng, 40))
		trial->size = rng_between(rng, 512, trial->base_size + 8 * T_MIB);
	if (trial->form == FORM_DISK)
		trial->size -= trial->size % 512;
	trial->contents.size = trial->size;
	sparse_copy(&trial->contents, 0, &trial->chain.guest, 0,
		    min(trial->size, trial->base_size));
	for (uint64_t i = rng_below(rng, 12); i && trial->form != FORM_BASE; i--)
		change_something(trial);
}

/* A disk of its own, with the contents' pages. */
static void make_disk(struct trial *trial)
{
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};
	struct vhdx_create_options create = {
		.size = sizeof(create),
		.virtual_size = trial->size,
		.block_size = (uint32_t)(T_MIB << rng_below(&trial->rng, 4)),
		.logical_sector_size = trial->size % 4096 || rng_chance(&trial->rng, 60) ? 512
											 : 4096,
	};
	uint8_t page[SPARSE_PAGE];
	uint64_t start, end;

	CHECK(!vhdx_create_io(&trial->io, &create), "%s", vhdx_last_error()->text);
	CHECK(!vhdx_open_io(&trial->io, &open, &trial->disk), "%s", vhdx_last_error()->text);
	for (uint64_t at = 0;
	     sparse_next(&trial->contents, at, &start, &end) && start < trial->size;
	     at = start + SPARSE_PAGE) {
		uint64_t part = min(SPARSE_PAGE, trial->size - start);

		sparse_read(&trial->contents, page, part, start);
		CHECK(!vhdx_pwrite(trial->disk, page, part, start, 0), "%s",
		      vhdx_last_error()->text);
	}
	CHECK(!vhdx_close(trial->disk), "%s", vhdx_last_error()->text);
	open.flags = 0;
	CHECK(!vhdx_open_io(&trial->io, &open, &trial->disk), "%s", vhdx_last_error()->text);
}

static struct vhdx_source give_contents(struct trial *trial)
{
	struct vhdx_source source = {.size = sizeof(source)};

	bool is_mapped = trial->size > T_GIB || rng_chance(&trial->rng, 70);

	trial->io = write_store_io(&trial->store, is_mapped ? 0 : STORE_BIT(STORE_NEXT_DATA));
	if (trial->form == FORM_BASE) {
		source.disk = trial->base;
	} else if (trial->form == FORM_DISK) {
		make_disk(trial);
		source.disk = trial->disk;
	} else {
		sparse_copy(&trial->store.bytes, 0, &trial->contents, 0, trial->size);
		sparse_resize(&trial->store.bytes, trial->size);
		source.io = &trial->io;
	}
	return source;
}

/* ---- The child ---- */

static void choose_options(struct trial *trial, const struct chain_style *style)
{
	struct rng *rng = &trial->rng;

	trial->options = (struct vhdx_diff_options){
		.size = sizeof(trial->options),
		.flags = rng_chance(rng, 20) && !style->huge ? VHDX_CREATE_NO_HOLES : 0,
		.block_size = (uint32_t)(T_MIB << rng_below(rng, style->small_blocks ? 2 : 6)),
	};
	for (enum store_call call = STORE_PUNCH; call <= STORE_NEXT_DATA; call++)
		if (rng_chance(rng, 20))
			trial->without |= STORE_BIT(call);
}

static void make_child(struct trial *trial)
{
	struct vhdx_source source = give_contents(trial);
	char path[64];

	snprintf(path, sizeof(path), ".\\%s", trial->chain.layers[0].name);
	trial->options.relative_path = path;
	trial->child_io = write_store_io(&trial->child_store, trial->without);
	int ret = vhdx_diff_io(trial->base, &source, &trial->child_io, &trial->options);

	CHECK(!ret, "diff: %d, %s", ret, vhdx_last_error()->text);
	/* The base is as it was before: its parents are still its own. */
	CHECK(!vhdx_pread(trial->base, path, 1, trial->base_size - 1), "the base cannot be read");
	vhdx_close(trial->base);
}

static void open_child(struct trial *trial, uint32_t flags)
{
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.flags = flags,
		.open_parent = fixture_open_parent,
		.opaque = &trial->fixture,
	};
	int ret = vhdx_open_io(&trial->child_io, &options, &trial->child);

	CHECK(!ret, "open the child: %d, %s", ret, vhdx_last_error()->text);
	trial->child_info.size = sizeof(trial->child_info);
	assert_int_equal(vhdx_get_info(trial->child, &trial->child_info), 0);
}

static void check_shape(struct trial *trial)
{
	const struct vhdx_info *info = &trial->child_info;
	uint64_t size =
		(trial->size + trial->sector_size - 1) / trial->sector_size * trial->sector_size;

	assert_int_equal(info->type, VHDX_DIFFERENCING);
	assert_int_equal(info->virtual_size, size);
	assert_int_equal(info->block_size, trial->options.block_size);
	assert_int_equal(info->logical_sector_size, trial->sector_size);
	assert_int_equal(info->log_state, VHDX_LOG_CLEAN);
}

static void note_finding(void *opaque, const struct vhdx_finding *finding)
{
	(void)opaque;
	CHECK(finding->problem->severity == VHDX_NOTE, "%s: %s", finding->problem->name,
	      finding->text);
}

static void check_image(struct trial *trial)
{
	struct vhdx_check_options options = {.size = sizeof(options), .finding = note_finding};
	struct vhdx_check_result result = {.size = sizeof(result)};

	open_child(trial, VHDX_OPEN_EXAMINE);
	assert_int_equal(vhdx_check(trial->child, &options, &result), 0);
	vhdx_close(trial->child);
}

/* ---- What it holds ---- */

static void note_extents(struct trial *trial)
{
	uint64_t end = trial->child_info.virtual_size;

	for (uint64_t at = 0; at < end;) {
		struct vhdx_extent extents[EXTENTS];
		size_t count = EXTENTS;

		CHECK(!vhdx_extents(trial->child, at, end - at, VHDX_EXTENTS_THIS_LAYER, extents,
				    &count),
		      "%s", vhdx_last_error()->text);
		trial->extents =
			realloc(trial->extents, (trial->count + count) * sizeof(*trial->extents));
		for (size_t i = 0; i < count; i++) {
			at = extents[i].offset + extents[i].length;
			if (extents[i].type == VHDX_EXTENT_PARENT)
				continue;
			trial->extents[trial->count++] = extents[i];
			trial->held += extents[i].length;
		}
	}
}

/* The first extent that ends behind @offset; @from is one that does not, or the first of all. */
static const struct vhdx_extent *extent_at(const struct trial *trial, size_t *from, uint64_t offset)
{
	while (*from < trial->count &&
	       trial->extents[*from].offset + trial->extents[*from].length <= offset)
		++*from;
	return *from < trial->count && trial->extents[*from].offset <= offset
		       ? &trial->extents[*from]
		       : NULL;
}

/* Compares one page by sectors; returns how many bytes differ by that. */
static uint64_t check_page(struct trial *trial, uint64_t offset, size_t *from)
{
	uint8_t before[SPARSE_PAGE], after[SPARSE_PAGE], got[SPARSE_PAGE];
	uint64_t size = min(SPARSE_PAGE, trial->child_info.virtual_size - offset);
	uint64_t differing = 0;

	sparse_read(&trial->chain.guest, before, size, offset);
	sparse_read(&trial->contents, after, size, offset);
	CHECK(!vhdx_pread(trial->child, got, size, offset), "%s", vhdx_last_error()->text);
	CHECK(!memcmp(got, after, size), "other bytes at %#llx", (unsigned long long)offset);
	for (uint64_t at = 0; at < size; at += trial->sector_size) {
		bool differs = memcmp(before + at, after + at, trial->sector_size) != 0;
		bool held = extent_at(trial, from, offset + at);

		CHECK(held == differs, "the sector at %#llx %s", (unsigned long long)(offset + at),
		      held ? "is held and need not be" : "is not held");
		differing += differs ? trial->sector_size : 0;
	}
	return differing;
}

/* All pages that either has. What neither has reads as zeros and is not held, as the sum of sizes tells. */
static void check_sectors(struct trial *trial)
{
	uint64_t differing = 0;
	size_t from = 0;

	for (uint64_t at = 0; at < trial->child_info.virtual_size; at += SPARSE_PAGE) {
		uint64_t a = UINT64_MAX;
		uint64_t b = UINT64_MAX;
		uint64_t end;

		sparse_next(&trial->chain.guest, at, &a, &end);
		sparse_next(&trial->contents, at, &b, &end);
		at = min(a, b);
		if (at < trial->child_info.virtual_size)
			differing += check_page(trial, at, &from);
		else
			break;
	}
	CHECK(trial->held == differing, "%llu bytes are held, %llu differ",
	      (unsigned long long)trial->held, (unsigned long long)differing);
}

static bool is_zero(const struct sparse *sparse, uint64_t offset, uint64_t length)
{
	uint8_t page[SPARSE_PAGE];
	uint64_t start, end;

	for (uint64_t at = offset; sparse_next(sparse, at, &start, &end) && start < offset + length;
	     at = start + SPARSE_PAGE) {
		sparse_read(sparse, page, SPARSE_PAGE, start);
		for (size_t i = 0; i < SPARSE_PAGE; i++)
			if (page[i] && start + i < offset + length)
				return false;
	}
	return true;
}

/* A block whose sectors are all held is ZERO just when it is all zeros; ZERO is of whole blocks only. */
static void check_zero_blocks(struct trial *trial)
{
	uint64_t block = trial->options.block_size;

	for (size_t i = 0; i < trial->count; i++) {
		const struct vhdx_extent *extent = &trial->extents[i];
		uint64_t end = extent->offset + extent->length;
		bool is_last = end == trial->child_info.virtual_size;

		if (extent->type == VHDX_EXTENT_ZERO) {
			CHECK(!(extent->offset % block) && (!(end % block) || is_last),
			      "zero at %#llx", (unsigned long long)extent->offset);
			trial->zeros += extent->length;
			continue;
		}
		for (uint64_t at = (extent->offset + block - 1) / block * block;
		     at + block <= end || (at < end && is_last); at += block)
			CHECK(!is_zero(&trial->contents, at, block), "a block of zeros at %#llx",
			      (unsigned long long)at);
	}
}

static uint64_t run(uint64_t seed, const struct chain_style *style)
{
	struct trial trial = {.rng = rng_make(seed)};

	write_store_init(&trial.store);
	write_store_init(&trial.child_store);
	open_base(&trial, style);
	choose_options(&trial, style);
	make_contents(&trial);
	make_child(&trial);
	open_child(&trial, 0);
	check_shape(&trial);
	note_extents(&trial);
	check_sectors(&trial);
	check_zero_blocks(&trial);
	vhdx_close(trial.child);
	check_image(&trial);
	fixture_check_unchanged(&trial.fixture);
	vhdx_close(trial.disk);
	write_store_free(&trial.store);
	write_store_free(&trial.child_store);
	sparse_free(&trial.contents);
	free(trial.extents);
	chain_free(&trial.chain);
	return trial.zeros;
}

/* Returns whether a block became zero by its state, or too few seeds ran to expect that. */
static bool run_seeds(uint64_t count, const struct chain_style *style)
{
	uint64_t zeros = 0;
	uint64_t first, last;

	seeds_to_run(count, &first, &last);
	for (current_seed = first; current_seed <= last; current_seed++)
		zeros += run(current_seed, style);
	return zeros || last - first < 20;
}

static void test_children_of_small_disks_hold_what_differs(void **state)
{
	(void)state;
	assert_true(run_seeds(
		200, &(struct chain_style){.max_depth = 3, .small_blocks = true, .tidy = true}));
}

static void test_children_of_images_of_any_maker_hold_what_differs(void **state)
{
	(void)state;
	run_seeds(60, &(struct chain_style){.max_depth = 4});
}

static void test_children_of_many_tib_hold_what_differs(void **state)
{
	(void)state;
	run_seeds(40, &(struct chain_style){.max_depth = 3, .huge = true});
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_children_of_small_disks_hold_what_differs),
		cmocka_unit_test(test_children_of_images_of_any_maker_hold_what_differs),
		cmocka_unit_test(test_children_of_many_tib_hold_what_differs),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
