/* SPDX-License-Identifier: MIT */
/*
 * Random VHDX images and chains for tests, built byte by byte from the format document (F), and what a
 * guest must read from them. Independent of the library's own writer, so that they judge the reader.
 */
#ifndef TESTS_SUPPORT_IMAGE_H
#define TESTS_SUPPORT_IMAGE_H

#include "support/bytes.h"
#include "support/random.h"
#include "support/sparse.h"

#define T_KIB ((uint64_t)1 << 10)
#define T_MIB ((uint64_t)1 << 20)
#define T_GIB ((uint64_t)1 << 30)
#define T_TIB ((uint64_t)1 << 40)

#define MAX_LAYERS 6

/* A block whose BAT entry is not zero. */
struct layer_block {
	uint64_t number;
	unsigned state;	 /* F 6.3 */
	uint64_t offset; /* 0: none */
	bool owns_space; /* the offset is the block's, not a leftover */
};

/* A sector bitmap block, where a chunk has one. */
struct layer_bitmap {
	uint64_t chunk;
	uint64_t offset;
};

struct area {
	uint64_t offset;
	uint64_t length;
};

/* One file. */
struct layer {
	struct sparse file;  /* as it lies */
	struct sparse final; /* after the replay of its log, if it has one */
	bool has_parent;
	bool is_fixed;
	bool is_dirty;
	uint64_t virtual_size;
	uint32_t block_size;
	uint32_t sector_size;
	uint32_t physical_sector_size;
	uint64_t blocks;
	uint64_t chunk_ratio;
	uint64_t chunks;
	uint64_t bat_entries;

	struct layer_block *list; /* by number */
	size_t count;
	struct layer_bitmap *bitmaps; /* by chunk */
	size_t bitmap_count;

	struct area log;
	struct area bat;
	struct area metadata;
	struct area unknown; /* a region of another GUID; length 0: none */
	struct area locator; /* in the file; length 0: none */
	uint64_t data_end;   /* of the last structure */

	uint8_t data_write_guid[16];
	uint8_t log_guid[16]; /* zero: clean */
	unsigned current_header;
	uint64_t log_entries; /* in the active sequence */
	char name[32];	      /* "layer2.vhdx" */
};

/* layers[0] is the leaf; layers[depth - 1] has no parent. */
struct chain {
	struct layer layers[MAX_LAYERS];
	unsigned depth;
	struct sparse guest;	   /* what the guest reads */
	struct sparse guest_alone; /* what he reads of the leaf without its parents */
};

struct chain_style {
	unsigned max_depth;
	bool huge;	   /* several TiB with few blocks */
	bool tidy;	   /* nothing but what F allows, and all copies good */
	bool small_blocks; /* of 1 or 2 MiB, so that the file is small too */
};

void chain_make(struct rng *rng, const struct chain_style *style, struct chain *ret_chain);
void chain_free(struct chain *chain);

/*
 * Makes tidy chains of small blocks from one seed after the other, until one @suits, in a *chain that is
 * zeroed or made. Returns its seed.
 */
uint64_t chain_make_until(unsigned max_depth, bool (*suits)(const struct chain *chain),
			  struct chain *chain);

/* The entry of that block, or NULL when it is all zero. */
const struct layer_block *layer_find_block(const struct layer *layer, uint64_t number);

uint64_t layer_bat_index(const struct layer *layer, uint64_t block);
uint64_t layer_bitmap_index(const struct layer *layer, uint64_t chunk);

/* Is the bit of that sector set (F 7)? */
bool layer_bit(const struct layer *layer, uint64_t sector);

/* What is where, by the rules of F 6.3: as enum vhdx_extent_type. */
enum piece_type {
	PIECE_DATA,
	PIECE_ZERO,
	PIECE_ABSENT,
	PIECE_PARENT,
};

struct piece_of_disk {
	enum piece_type type;
	unsigned depth;
	uint64_t file_offset; /* DATA */
	uint64_t length;      /* at least 1; the next piece may be of the same kind */
};

/* What a guest finds at @offset of the disk; with @this_layer in layer @first alone, as a map shows it. */
struct piece_of_disk chain_piece(const struct chain *chain, uint64_t offset, bool this_layer,
				 bool alone);

/* Areas of the metadata of a layer, for damage; returns their number, at most 16. */
size_t layer_areas(const struct layer *layer, struct area ret_areas[16]);

/* ---- Parts of chain_make, each in a file of its own ---- */

/* Writes regions, metadata and headers; the BAT and the bitmaps are there. */
void layer_write_metadata(struct rng *rng, const struct chain_style *style, struct layer *layer,
			  const struct layer *parent);
void layer_write_headers(struct rng *rng, const struct chain_style *style, struct layer *layer);

/* Moves part of the metadata of the file into a log that must be replayed. */
void layer_make_dirty(struct rng *rng, struct layer *layer);

/* Makes @guest, the parent's contents, those of the layer. */
void layer_compose(const struct layer *layer, struct sparse *guest);

/* Recomputes the checksums of headers, region tables and whatever looks like a log entry. */
void image_mend_checksums(struct sparse *file, uint64_t log_offset, uint64_t log_length);

#endif
