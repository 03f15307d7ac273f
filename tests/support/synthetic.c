/* SPDX-License-Identifier: MIT */
/* Images of 2 TiB whose BAT, bitmaps and blocks are computed. */
#include <stdlib.h>
#include <string.h>

#include "support/synthetic.h"

#define DISK_SIZE    (2 * T_TIB)
#define BLOCKS	     (DISK_SIZE / T_MIB)
#define BAT_AT	     (16 * T_MIB)
#define BITMAPS_AT   (64 * T_MIB)
#define BLOCKS_AT    (1024 * T_MIB)
#define SECTOR	     512
#define CHUNK_BLOCKS 4096

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185;
	x ^= x >> 27;
	return x * 0x81dadef4bc2dd44d;
}

bool synthetic_is_childs(uint64_t sector)
{
	return mix(sector / 5) & 1;
}

static uint64_t block_word(unsigned layer, uint64_t file_offset)
{
	return mix(file_offset * 2 + layer);
}

uint64_t synthetic_word(uint64_t offset)
{
	return block_word(!synthetic_is_childs(offset / SECTOR), BLOCKS_AT + offset);
}

/* The word at @offset of the file, where it is computed. */
static uint64_t file_word(unsigned layer, uint64_t offset)
{
	if (offset >= BLOCKS_AT)
		return block_word(layer, offset);
	if (offset >= BITMAPS_AT) {
		uint64_t bits = 0;

		for (unsigned i = 0; i < 64; i++)
			bits |= (uint64_t)synthetic_is_childs((offset - BITMAPS_AT) * 8 + i) << i;
		return bits;
	}
	uint64_t index = (offset - BAT_AT) / 8;
	uint64_t chunk = index / (CHUNK_BLOCKS + 1);
	uint64_t block = index - chunk;

	if (index % (CHUNK_BLOCKS + 1) == CHUNK_BLOCKS)
		return layer ? 0 : (BITMAPS_AT + chunk * T_MIB) | 6;
	return block < BLOCKS ? (BLOCKS_AT + block * T_MIB) | (layer ? 6 : 7) : 0;
}

static ssize_t read_at(struct layer *layer, void *buf, size_t size, uint64_t offset)
{
	uint8_t *out = buf;
	unsigned number = !layer->has_parent;

	if (offset < BAT_AT) {
		sparse_read(&layer->file, buf, size, offset);
		return (ssize_t)size;
	}
	for (size_t i = 0; i < size;) {
		uint8_t bytes[8];
		size_t skip = (offset + i) % 8;
		size_t part = 8 - skip < size - i ? 8 - skip : size - i;

		put_number(bytes, file_word(number, offset + i - skip), 8);
		memcpy(out + i, bytes + skip, part);
		i += part;
	}
	return (ssize_t)size;
}

static ssize_t synthetic_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	ssize_t done = 0;

	for (int i = 0; i < iovcnt; i++)
		done += read_at(opaque, iov[i].iov_base, iov[i].iov_len, offset + (uint64_t)done);
	return done;
}

static int synthetic_get_size(void *opaque, uint64_t *ret_size)
{
	(void)opaque;
	*ret_size = BLOCKS_AT + DISK_SIZE;
	return 0;
}

struct vhdx_io synthetic_io(struct synthetic *synthetic, unsigned layer)
{
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = &synthetic->layers[layer],
		.preadv = synthetic_preadv,
		.get_size = synthetic_get_size,
	};
}

void synthetic_make(struct synthetic *synthetic)
{
	struct rng rng = rng_make(1);
	struct chain_style style = {.tidy = true};

	memset(synthetic, 0, sizeof(*synthetic));
	for (int i = 1; i >= 0; i--) {
		struct layer *layer = &synthetic->layers[i];

		layer->has_parent = i == 0;
		layer->virtual_size = DISK_SIZE;
		layer->block_size = (uint32_t)T_MIB;
		layer->sector_size = SECTOR;
		layer->physical_sector_size = 4096;
		layer->log = (struct area){T_MIB, T_MIB};
		layer->metadata = (struct area){2 * T_MIB, T_MIB};
		layer->bat = (struct area){BAT_AT, 17 * T_MIB};
		strcpy(layer->name, i ? "layer1.vhdx" : "layer0.vhdx");
		layer_write_metadata(&rng, &style, layer, i ? NULL : &synthetic->layers[1]);
		layer_write_headers(&rng, &style, layer);
	}
}

void synthetic_free(struct synthetic *synthetic)
{
	for (int i = 0; i < 2; i++)
		sparse_free(&synthetic->layers[i].file);
}
