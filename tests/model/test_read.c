/* SPDX-License-Identifier: MIT */
/*
 * Random images and chains, opened on storage that must not be written: what is read, and what the map
 * says, against what the format document says that the guest sees.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"

#define READS	    60
#define MOST_READ   (3 * T_MIB)
#define MAP_EXTENTS 7

typedef void chain_test(struct rng *rng, const struct chain *chain, struct fixture *fixture,
			struct vhdx *disk);

static struct vhdx *open_or_fail(struct fixture *fixture, uint32_t flags)
{
	struct vhdx *disk = NULL;
	int ret = fixture_open(fixture, flags, &disk);

	CHECK(!ret, "open: %d, %s: %s", ret, vhdx_last_error()->file, vhdx_last_error()->text);
	return disk;
}

/* Runs @test over random chains of that style. */
static void over_seeds(uint64_t count, const struct chain_style *style, uint32_t flags,
		       chain_test *test)
{
	uint64_t last;

	for (seeds_to_run(count, &current_seed, &last); current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);
		struct chain chain;
		struct fixture fixture;

		chain_make(&rng, style, &chain);
		fixture_init(&fixture, &chain, rng_chance(&rng, 50));
		struct vhdx *disk = open_or_fail(&fixture, flags);

		test(&rng, &chain, &fixture, disk);
		CHECK(!vhdx_close(disk), "close failed");
		fixture_check_unchanged(&fixture);
		CHECK(fixture.stores[0].closes == 1, "the leaf was closed %lu times",
		      fixture.stores[0].closes);
		chain_free(&chain);
	}
}

/* An interesting place of the disk: near the edge of a block, of a sector, of the disk, or any. */
static uint64_t choose_offset(struct rng *rng, const struct chain *chain)
{
	const struct layer *layer = &chain->layers[rng_below(rng, chain->depth)];
	uint64_t size = chain->layers[0].virtual_size;
	uint64_t at = rng_below(rng, size);

	if (layer->count && rng_chance(rng, 70))
		at = layer->list[rng_below(rng, layer->count)].number * layer->block_size;
	else if (rng_chance(rng, 50))
		at = at / layer->sector_size * layer->sector_size;
	if (rng_chance(rng, 30))
		at += rng_below(rng, layer->block_size);
	if (rng_chance(rng, 30))
		at -= rng_below(rng, 2 * (uint64_t)layer->sector_size);
	return at < size ? at : size - 1;
}

/* Cuts a buffer into pieces of any size, empty ones too. */
static int cut(struct rng *rng, uint8_t *buf, uint64_t length, struct iovec iov[40])
{
	int n = 0;
	uint64_t done = 0;

	while (done < length) {
		uint64_t part = rng_chance(rng, 10) ? 0 : rng_length(rng, length - done);

		if (n == 39)
			part = length - done;
		iov[n++] = (struct iovec){buf + done, part};
		done += part;
	}
	return n;
}

static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t length)
{
	uint64_t at = 0;

	while (at < length && a[at] == b[at])
		at++;
	return at;
}

static void check_reads(struct rng *rng, const struct chain *chain, const struct sparse *guest,
			struct vhdx *disk)
{
	static uint8_t got[MOST_READ + 2];
	static uint8_t expected[MOST_READ];

	for (int i = 0; i < READS; i++) {
		uint64_t offset = choose_offset(rng, chain);
		uint64_t rest = chain->layers[0].virtual_size - offset;
		uint64_t length = rng_length(rng, rest < MOST_READ ? rest : MOST_READ);
		struct iovec iov[40];
		int n = cut(rng, got + 1, length, iov);

		memset(got, 0xa5, length + 2);
		int ret = vhdx_preadv(disk, iov, n, offset);

		CHECK(!ret, "read of %#" PRIx64 " bytes at %#" PRIx64 ": %s", length, offset,
		      vhdx_last_error()->text);
		sparse_read(guest, expected, length, offset);
		uint64_t same = first_difference(got + 1, expected, length);

		CHECK(same == length,
		      "read at %#" PRIx64 ", %#" PRIx64 " bytes: byte %#" PRIx64 " is %#x, not %#x",
		      offset, length, same, got[1 + same], expected[same]);
		CHECK(got[0] == 0xa5 && got[length + 1] == 0xa5,
		      "read of %#" PRIx64 " bytes went over its ends", length);
	}
}

static void reads_whole_chain(struct rng *rng, const struct chain *chain, struct fixture *fixture,
			      struct vhdx *disk)
{
	(void)fixture;
	check_reads(rng, chain, &chain->guest, disk);
}

static void reads_leaf_alone(struct rng *rng, const struct chain *chain, struct fixture *fixture,
			     struct vhdx *disk)
{
	assert_null(vhdx_get_parent(disk));
	for (unsigned i = 1; i < chain->depth; i++)
		CHECK(!fixture->stores[i].calls, "a parent was opened");
	check_reads(rng, chain, &chain->guest_alone, disk);
}

static void test_reads_what_the_guest_sees(void **state)
{
	(void)state;
	over_seeds(300, &(struct chain_style){.max_depth = 4}, 0, reads_whole_chain);
}

static void test_reads_what_the_guest_sees_of_disks_of_many_tib(void **state)
{
	(void)state;
	over_seeds(60, &(struct chain_style){.max_depth = 3, .huge = true}, 0, reads_whole_chain);
}

static void test_no_parent_reads_zeros_for_what_is_the_parents(void **state)
{
	(void)state;
	over_seeds(60, &(struct chain_style){.max_depth = 3}, VHDX_OPEN_NO_PARENT,
		   reads_leaf_alone);
}

static void test_examine_reads_the_same(void **state)
{
	(void)state;
	over_seeds(40, &(struct chain_style){.max_depth = 3}, VHDX_OPEN_EXAMINE, reads_whole_chain);
}

static const enum vhdx_extent_type type_of_piece[] = {
	[PIECE_DATA] = VHDX_EXTENT_DATA,
	[PIECE_ZERO] = VHDX_EXTENT_ZERO,
	[PIECE_ABSENT] = VHDX_EXTENT_ABSENT,
	[PIECE_PARENT] = VHDX_EXTENT_PARENT,
};

/* Every piece inside the extent is of its kind, and in its place. */
static void check_extent(const struct chain *chain, const struct vhdx_extent *extent,
			 bool this_layer, bool alone)
{
	uint64_t at = extent->offset;
	uint64_t end = at + extent->length;

	while (at < end) {
		struct piece_of_disk piece = chain_piece(chain, at, this_layer, alone);

		CHECK(extent->type == type_of_piece[piece.type] && extent->depth == piece.depth,
		      "%#" PRIx64 ": mapped as type %u of layer %u, not %u of %u", at, extent->type,
		      extent->depth, type_of_piece[piece.type], piece.depth);
		if (piece.type == PIECE_DATA)
			CHECK(extent->file_offset + (at - extent->offset) == piece.file_offset,
			      "%#" PRIx64 ": mapped to another place of the file", at);
		else
			CHECK(extent->file_offset == VHDX_NO_OFFSET,
			      "%#" PRIx64 ": file_offset without data", at);
		at += piece.length;
	}
}

static bool could_merge(const struct vhdx_extent *a, const struct vhdx_extent *b)
{
	return a->type == b->type && a->depth == b->depth &&
	       (a->type != VHDX_EXTENT_DATA || a->file_offset + a->length == b->file_offset);
}

/* Bytes of the disk by the extent: from the file of its layer, or zeros. */
static void check_contents(const struct chain *chain, const struct vhdx_extent *extent)
{
	static uint8_t in_file[64 * 1024];
	static uint8_t expected[64 * 1024];
	uint64_t length = extent->length < sizeof(in_file) ? extent->length : sizeof(in_file);
	uint64_t skip = extent->length - length;

	memset(in_file, 0, length);
	for (int end = 0; end < 2; end++, skip = 0) { /* its end and its beginning */
		if (extent->type == VHDX_EXTENT_DATA)
			sparse_read(&chain->layers[extent->depth].file, in_file, length,
				    extent->file_offset + skip);
		sparse_read(&chain->guest, expected, length, extent->offset + skip);
		CHECK(!memcmp(in_file, expected, length),
		      "extent at %#" PRIx64 " of type %u: other contents", extent->offset,
		      extent->type);
	}
}

/* Walks a range a few extents at a time; calls back for each, merged over the calls. */
static void walk(struct vhdx *disk, uint64_t offset, uint64_t length, uint32_t flags,
		 void (*visit)(const struct chain *chain, const struct vhdx_extent *extent),
		 const struct chain *chain)
{
	uint64_t at = offset;

	while (at < offset + length) {
		struct vhdx_extent extents[MAP_EXTENTS];
		size_t count = MAP_EXTENTS;
		int ret = vhdx_extents(disk, at, offset + length - at, flags, extents, &count);

		CHECK(!ret, "map at %#" PRIx64 ": %s", at, vhdx_last_error()->text);
		CHECK(count && count <= MAP_EXTENTS, "map at %#" PRIx64 ": %zu extents", at, count);
		for (size_t i = 0; i < count; i++) {
			CHECK(extents[i].offset == at && extents[i].length &&
				      extents[i].length <= offset + length - at,
			      "map: an extent at %#" PRIx64 " for %#" PRIx64, extents[i].offset,
			      at);
			CHECK(!i || (flags & VHDX_EXTENTS_FILE_HOLES) ||
				      !could_merge(&extents[i - 1], &extents[i]),
			      "map: extents at %#" PRIx64 " could be one", at);
			visit(chain, &extents[i]);
			at += extents[i].length;
		}
	}
}

static void visit_chain(const struct chain *chain, const struct vhdx_extent *extent)
{
	check_extent(chain, extent, false, false);
	check_contents(chain, extent);
}

static void visit_this_layer(const struct chain *chain, const struct vhdx_extent *extent)
{
	check_extent(chain, extent, true, false);
}

static void visit_alone(const struct chain *chain, const struct vhdx_extent *extent)
{
	check_extent(chain, extent, false, true);
}

static void map_everything(struct rng *rng, const struct chain *chain, struct fixture *fixture,
			   struct vhdx *disk)
{
	(void)rng;
	(void)fixture;
	walk(disk, 0, chain->layers[0].virtual_size, 0, visit_chain, chain);
}

static void map_this_layer(struct rng *rng, const struct chain *chain, struct fixture *fixture,
			   struct vhdx *disk)
{
	(void)rng;
	(void)fixture;
	walk(disk, 0, chain->layers[0].virtual_size, VHDX_EXTENTS_THIS_LAYER, visit_this_layer,
	     chain);
}

static void map_alone(struct rng *rng, const struct chain *chain, struct fixture *fixture,
		      struct vhdx *disk)
{
	(void)rng;
	(void)fixture;
	walk(disk, 0, chain->layers[0].virtual_size, 0, visit_alone, chain);
}

static void map_parts(struct rng *rng, const struct chain *chain, struct fixture *fixture,
		      struct vhdx *disk)
{
	(void)fixture;
	for (int i = 0; i < 25; i++) {
		uint64_t offset = choose_offset(rng, chain);
		uint64_t rest = chain->layers[0].virtual_size - offset;

		walk(disk, offset, rng_length(rng, rest), 0, visit_chain, chain);
	}
}

/* With holes, data may only turn to zeros where the file has none of its own. */
static void visit_holes(const struct chain *chain, const struct vhdx_extent *extent)
{
	uint64_t at = extent->offset;

	check_contents(chain, extent);
	if (extent->type != VHDX_EXTENT_ZERO) {
		check_extent(chain, extent, false, false);
		return;
	}
	while (at < extent->offset + extent->length) {
		struct piece_of_disk piece = chain_piece(chain, at, false, false);
		uint64_t start;
		uint64_t end;
		uint64_t rest = extent->offset + extent->length - at;
		uint64_t part = piece.length < rest ? piece.length : rest;

		CHECK(piece.type == PIECE_ZERO || piece.type == PIECE_DATA,
		      "%#" PRIx64 ": a hole of no layer", at);
		if (piece.type == PIECE_DATA &&
		    sparse_next(&chain->layers[piece.depth].file, piece.file_offset, &start, &end))
			CHECK(start >= piece.file_offset + part,
			      "%#" PRIx64 ": a hole where the file has data", at);
		at += part;
	}
}

static void map_holes(struct rng *rng, const struct chain *chain, struct fixture *fixture,
		      struct vhdx *disk)
{
	(void)rng;
	if (fixture->holes)
		walk(disk, 0, chain->layers[0].virtual_size, VHDX_EXTENTS_FILE_HOLES, visit_holes,
		     chain);
	else
		walk(disk, 0, chain->layers[0].virtual_size, VHDX_EXTENTS_FILE_HOLES, visit_chain,
		     chain);
}

static void test_map_says_where_everything_is(void **state)
{
	(void)state;
	over_seeds(150, &(struct chain_style){.max_depth = 4}, 0, map_everything);
}

static void test_map_of_disks_of_many_tib_says_where_everything_is(void **state)
{
	(void)state;
	over_seeds(60, &(struct chain_style){.max_depth = 3, .huge = true}, 0, map_everything);
}

static void test_map_of_parts_is_like_that_of_the_whole(void **state)
{
	(void)state;
	over_seeds(60, &(struct chain_style){.max_depth = 4}, 0, map_parts);
}

static void test_map_of_this_layer_leaves_the_rest_to_the_parent(void **state)
{
	(void)state;
	over_seeds(100, &(struct chain_style){.max_depth = 4}, 0, map_this_layer);
}

static void test_map_without_parents_has_nothing_of_theirs(void **state)
{
	(void)state;
	over_seeds(60, &(struct chain_style){.max_depth = 3}, VHDX_OPEN_NO_PARENT, map_alone);
}

static void test_map_with_holes_shows_what_the_file_does_not_hold(void **state)
{
	(void)state;
	over_seeds(80, &(struct chain_style){.max_depth = 3}, 0, map_holes);
}

static void check_info(struct rng *rng, const struct chain *chain, struct fixture *fixture,
		       struct vhdx *disk)
{
	(void)rng;
	(void)fixture;
	for (unsigned i = 0; i < chain->depth; i++, disk = vhdx_get_parent(disk)) {
		const struct layer *layer = &chain->layers[i];
		struct vhdx_info info = {.size = sizeof(info)};

		assert_non_null(disk);
		assert_int_equal(vhdx_get_info(disk, &info), 0);
		assert_int_equal(info.file_size, layer->file.size);
		assert_string_equal(info.creator, "a test's own image");
		assert_int_equal(info.current_header, layer->current_header);
		assert_memory_equal(info.data_write_guid.bytes, layer->data_write_guid, 16);
		assert_memory_equal(info.log_guid.bytes, layer->log_guid, 16);
		assert_int_equal(info.log_offset, layer->log.offset);
		assert_int_equal(info.log_length, layer->log.length);
		CHECK((info.log_state != VHDX_LOG_CLEAN) == layer->is_dirty, "log state %u",
		      info.log_state);
		CHECK(info.log_entries == layer->log_entries, "%" PRIu64 " active log entries",
		      info.log_entries);
		assert_int_equal(info.bat_offset, layer->bat.offset);
		assert_int_equal(info.metadata_offset, layer->metadata.offset);
		assert_int_equal(info.type, layer->has_parent ? VHDX_DIFFERENCING
					    : layer->is_fixed ? VHDX_FIXED
							      : VHDX_DYNAMIC);
		assert_int_equal(info.virtual_size, layer->virtual_size);
		assert_int_equal(info.block_size, layer->block_size);
		assert_int_equal(info.logical_sector_size, layer->sector_size);
		assert_int_equal(info.physical_sector_size, layer->physical_sector_size);
		assert_int_equal(info.blocks, layer->blocks);
	}
	assert_null(disk);
}

static void test_info_tells_what_the_images_are(void **state)
{
	(void)state;
	over_seeds(150, &(struct chain_style){.max_depth = 4}, 0, check_info);
}

static void read_behind_the_end(struct rng *rng, const struct chain *chain, struct fixture *fixture,
				struct vhdx *disk)
{
	uint64_t size = chain->layers[0].virtual_size;
	struct vhdx_extent extent;
	size_t count = 1;
	uint8_t byte;

	(void)rng;
	(void)fixture;
	assert_int_equal(vhdx_pread(disk, &byte, 1, size), -EINVAL);
	assert_int_equal(vhdx_pread(disk, &byte, 1, UINT64_MAX), -EINVAL);
	assert_int_equal(vhdx_pread(disk, &byte, 0, size), 0);
	assert_int_equal(vhdx_pread(disk, &byte, 0, size + 1), -EINVAL);
	assert_int_equal(vhdx_extents(disk, 1, size, 0, &extent, &count), -EINVAL);
	assert_int_equal(count, 1);
}

static void test_nothing_lies_behind_the_end_of_the_disk(void **state)
{
	(void)state;
	over_seeds(10, &(struct chain_style){.max_depth = 2}, 0, read_behind_the_end);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_what_the_guest_sees),
		cmocka_unit_test(test_reads_what_the_guest_sees_of_disks_of_many_tib),
		cmocka_unit_test(test_no_parent_reads_zeros_for_what_is_the_parents),
		cmocka_unit_test(test_examine_reads_the_same),
		cmocka_unit_test(test_map_says_where_everything_is),
		cmocka_unit_test(test_map_of_disks_of_many_tib_says_where_everything_is),
		cmocka_unit_test(test_map_of_parts_is_like_that_of_the_whole),
		cmocka_unit_test(test_map_of_this_layer_leaves_the_rest_to_the_parent),
		cmocka_unit_test(test_map_without_parents_has_nothing_of_theirs),
		cmocka_unit_test(test_map_with_holes_shows_what_the_file_does_not_hold),
		cmocka_unit_test(test_info_tells_what_the_images_are),
		cmocka_unit_test(test_nothing_lies_behind_the_end_of_the_disk),
	};

	seeds_from_arguments(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
