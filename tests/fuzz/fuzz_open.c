/* SPDX-License-Identifier: MIT */
/*
 * Opens, checks, dumps and reads a damaged image. An input is a base image's number, a flag, and patches of
 * its metadata: so inputs are small, though images are not (see corpus/make.py).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/exercise.h"
#include "support/image.h"
#include "support/store.h"

#define BASES	     16
#define MEND	     0x80    /* of the first byte: make the checksums right afterwards */
#define SET_SIZE     0xff    /* as an area: the file's size, in units of 512 bytes */
#define MOST_UNITS   0x40000 /* so that work is bounded without holes too */
#define MOST_WORK    ((uint64_t)1 << 30)
#define RECORD_BYTES 5 /* area, 24 bits of offset in it, length; then the bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct chain bases[BASES];

static struct chain *get_base(unsigned number)
{
	struct chain *base = &bases[number];

	if (!base->depth) {
		struct rng rng = rng_make(1000 + number);
		struct chain_style style = {
			.max_depth = 1 + number % 2, .small_blocks = true, .tidy = number % 4 < 2};

		chain_make(&rng, &style, base);
	}
	return base;
}

static void patch(struct layer *layer, struct sparse *file, const uint8_t *data, size_t size)
{
	struct area areas[16];
	size_t count = layer_areas(layer, areas);

	while (size >= RECORD_BYTES) {
		uint64_t offset = get_number(data + 1, 3);
		size_t length = data[4];
		unsigned area = data[0];

		data += RECORD_BYTES;
		size -= RECORD_BYTES;
		length = length < size ? length : size;
		if (area == SET_SIZE)
			sparse_resize(file, offset % MOST_UNITS * 512);
		else
			sparse_write(file, data, length,
				     areas[area % count].offset +
					     offset % areas[area % count].length);
		data += length;
		size -= length;
	}
}

/* The chain, while one input runs. */
struct run {
	struct chain *chain;
	struct test_store stores[MAX_LAYERS];
};

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	struct run *run = opaque;

	(void)child;
	(void)key;
	(void)path;
	if (run->chain->depth < 2)
		return -ENOENT;
	*ret_io = test_store_io(&run->stores[1], true);
	return 0;
}

static void run_once(struct chain *chain, struct sparse *file, uint32_t flags)
{
	struct run run = {.chain = chain};
	struct exercise exercise = {0};
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = flags,
					    .open_parent = open_parent,
					    .opaque = &run};
	struct vhdx *disk;

	run.stores[0].bytes = file;
	for (unsigned i = 1; i < chain->depth; i++)
		run.stores[i].bytes = &chain->layers[i].file;
	struct vhdx_io io = test_store_io(&run.stores[0], flags != 0);
	int ret = vhdx_open_io(&io, &options, &disk);

	exercise_note(&exercise, ret);
	if (!ret) {
		exercise_disk(disk, &exercise);
		vhdx_close(disk);
	}
	if (exercise.fault) {
		fprintf(stderr, "%s: %s\n", exercise.fault, exercise.text);
		abort();
	}
	if (run.stores[0].changes || run.stores[0].read_bytes > MOST_WORK)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sparse file = {0};

	if (!size)
		return 0;
	struct chain *chain = get_base(data[0] % BASES);
	struct layer *layer = &chain->layers[0];

	sparse_copy(&file, 0, &layer->file, 0, layer->file.size);
	sparse_resize(&file, layer->file.size);
	patch(layer, &file, data + 1, size - 1);
	if (data[0] & MEND)
		image_mend_checksums(&file, layer->log.offset, layer->log.length);
	run_once(chain, &file, 0);
	run_once(chain, &file, VHDX_OPEN_EXAMINE);
	sparse_free(&file);
	return 0;
}
