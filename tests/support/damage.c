/* SPDX-License-Identifier: MIT */
/* Where the metadata of a test image is, and its checksums made right again after damage. */
#include <stdlib.h>
#include <string.h>

#include "support/image.h"

size_t layer_areas(const struct layer *layer, struct area ret_areas[16])
{
	size_t n = 0;

	ret_areas[n++] = (struct area){0, 520};
	ret_areas[n++] = (struct area){64 * T_KIB, 80};
	ret_areas[n++] = (struct area){128 * T_KIB, 80};
	ret_areas[n++] = (struct area){192 * T_KIB, 16 + 3 * 32};
	ret_areas[n++] = (struct area){256 * T_KIB, 16 + 3 * 32};
	ret_areas[n++] = layer->log;
	ret_areas[n++] = (struct area){layer->metadata.offset, 32 + 8 * 32};
	ret_areas[n++] = (struct area){layer->metadata.offset + 64 * T_KIB, 32 * T_KIB};
	ret_areas[n++] = (struct area){layer->bat.offset, layer->bat_entries * 8};
	if (layer->count)
		ret_areas[n++] = (struct area){
			layer->bat.offset +
				layer_bat_index(layer, layer->list[layer->count / 2].number) * 8,
			16};
	if (layer->bitmap_count) {
		ret_areas[n++] = (struct area){layer->bitmaps[0].offset, 16 * T_KIB};
		ret_areas[n++] = (struct area){
			layer->bat.offset + layer_bitmap_index(layer, layer->bitmaps[0].chunk) * 8,
			8};
	}
	if (layer->locator.length)
		ret_areas[n++] = layer->locator;
	return n;
}

static void mend_structure(struct sparse *file, uint64_t offset, size_t size, const char *signature)
{
	uint8_t *bytes = malloc(size);

	sparse_read(file, bytes, size, offset);
	if (!memcmp(bytes, signature, 4)) {
		put_number(bytes + 4, slow_crc32c_structure(bytes, size), 4);
		sparse_write(file, bytes + 4, 4, offset + 4);
	}
	free(bytes);
}

static void mend_entry(struct sparse *file, struct area log, uint64_t position)
{
	uint8_t head[64];

	sparse_read(file, head, sizeof(head), log.offset + position);
	uint64_t size = get_number(head + 8, 4);

	if (memcmp(head, "loge", 4) != 0 || !size || size % 4096 || size > log.length ||
	    size > T_MIB)
		return;
	uint8_t *bytes = malloc(size);

	for (uint64_t done = 0; done < size; done += 4096)
		sparse_read(file, bytes + done, 4096, log.offset + (position + done) % log.length);
	put_number(head + 4, slow_crc32c_structure(bytes, size), 4);
	sparse_write(file, head + 4, 4, log.offset + position + 4);
	free(bytes);
}

void image_mend_checksums(struct sparse *file, uint64_t log_offset, uint64_t log_length)
{
	uint64_t size = file->size;

	mend_structure(file, 64 * T_KIB, 4096, "head");
	mend_structure(file, 128 * T_KIB, 4096, "head");
	mend_structure(file, 192 * T_KIB, 64 * T_KIB, "regi");
	mend_structure(file, 256 * T_KIB, 64 * T_KIB, "regi");
	for (uint64_t at = 0; at < log_length; at += 4096)
		mend_entry(file, (struct area){log_offset, log_length}, at);
	sparse_resize(file, size); /* a short file stays short */
}
