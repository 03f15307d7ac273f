/* SPDX-License-Identifier: MIT */
/* Chains that are made byte by byte, of which the library may write every file; and what each layer reads as. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/writechain.h"

#define STRIDE ((size_t)256 * 1024)

static void copy_whole(struct sparse *to, const struct sparse *from, uint64_t size)
{
	sparse_free(to);
	*to = (struct sparse){0};
	sparse_copy(to, 0, from, 0, size);
	sparse_resize(to, size);
}

static void put_file(struct write_chain *chain, unsigned index, const struct layer *layer,
		     const struct sparse *view)
{
	write_store_init(&chain->stores[index]);
	copy_whole(&chain->stores[index].bytes, &layer->file, layer->file.size);
	chain->sizes[index] = layer->virtual_size;
	copy_whole(&chain->views[index], view, layer->virtual_size);
}

static void make_until(struct rng *rng, unsigned depth, uint32_t sector_size,
		       const struct chain_style *style, struct chain *ret_chain)
{
	struct chain_style wanted = *style;

	wanted.max_depth = depth;
	for (;;) {
		chain_make(rng, &wanted, ret_chain);
		if (ret_chain->depth == depth &&
		    (!sector_size || ret_chain->layers[0].sector_size == sector_size))
			return;
		chain_free(ret_chain);
	}
}

void write_chain_make(struct rng *rng, unsigned depth, const struct chain_style *style,
		      struct write_chain *ret_chain)
{
	struct write_chain *chain = ret_chain;
	struct sparse view = {0};

	memset(chain, 0, sizeof(*chain));
	make_until(rng, depth, 0, style, &chain->chain);
	make_until(rng, 1, chain->chain.layers[0].sector_size, style, &chain->other);
	snprintf(chain->other.layers[0].name, sizeof(chain->other.layers[0].name), "other.vhdx");
	for (unsigned i = depth; i-- > 0;) {
		layer_compose(&chain->chain.layers[i], &view);
		put_file(chain, i, &chain->chain.layers[i], &view);
	}
	put_file(chain, OTHER, &chain->other.layers[0], &chain->other.guest);
	sparse_free(&view);
}

void write_chain_free(struct write_chain *chain)
{
	for (unsigned i = 0; i <= MAX_LAYERS; i++)
		if (i < chain->chain.depth || i == OTHER) {
			write_store_free(&chain->stores[i]);
			sparse_free(&chain->views[i]);
		}
	chain_free(&chain->chain);
	chain_free(&chain->other);
}

const char *write_chain_name(const struct write_chain *chain, unsigned index)
{
	return index == OTHER ? chain->other.layers[0].name : chain->chain.layers[index].name;
}

int write_chain_open_parent(void *opaque, const char *child, const char *key, const char *path,
			    struct vhdx_io *ret_io)
{
	struct write_chain *chain = opaque;
	size_t length = strlen(path);

	(void)child;
	(void)key;
	for (unsigned i = 0; i <= MAX_LAYERS; i++) {
		if (i >= chain->chain.depth && i != OTHER)
			continue;
		const char *name = write_chain_name(chain, i);

		if (length >= strlen(name) && !strcmp(path + length - strlen(name), name)) {
			*ret_io = write_store_io(&chain->stores[i], 0);
			return 0;
		}
	}
	return -ENOENT;
}

int write_chain_open(struct write_chain *chain, unsigned index, uint32_t flags,
		     unsigned write_parents, struct vhdx **ret_disk)
{
	struct vhdx_io io = write_store_io(&chain->stores[index], 0);
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.flags = flags,
		.open_parent = write_chain_open_parent,
		.opaque = chain,
		.name = write_chain_name(chain, index),
		.write_parents = write_parents,
	};

	return vhdx_open_io(&io, &options, ret_disk);
}

void write_chain_set_view(struct write_chain *chain, unsigned index, const struct sparse *view,
			  uint64_t size)
{
	if (chain->sizes[index] < size)
		chain->sizes[index] = size;
	sparse_copy(&chain->views[index], 0, view, 0, size);
	sparse_resize(&chain->views[index], chain->sizes[index]);
}

static void check_contents(struct write_chain *chain, unsigned index, struct vhdx *disk)
{
	uint8_t *found = malloc(STRIDE);
	uint8_t *expected = malloc(STRIDE);
	struct vhdx_info info = {.size = sizeof(info)};

	assert_int_equal(vhdx_get_info(disk, &info), 0);
	CHECK(info.virtual_size == chain->sizes[index], "%s: a disk of %llu bytes, expected %llu",
	      write_chain_name(chain, index), (unsigned long long)info.virtual_size,
	      (unsigned long long)chain->sizes[index]);
	for (uint64_t at = 0; at < info.virtual_size; at += STRIDE) {
		uint64_t left = info.virtual_size - at;
		size_t size = left < STRIDE ? (size_t)left : STRIDE;

		CHECK(!vhdx_pread(disk, found, size, at), "%s: read: %s",
		      write_chain_name(chain, index), vhdx_last_error()->text);
		sparse_read(&chain->views[index], expected, size, at);
		for (size_t i = 0; i < size; i++)
			CHECK(found[i] == expected[i], "%s: byte %llu is %#x, expected %#x",
			      write_chain_name(chain, index), (unsigned long long)(at + i),
			      found[i], expected[i]);
	}
	free(found);
	free(expected);
}

/* Notes and leaks are no faults. */
static void take_finding(void *opaque, const struct vhdx_finding *finding)
{
	(void)opaque;
	CHECK(finding->problem->severity <= VHDX_LEAK, "check: %s: %s", finding->file,
	      finding->text);
}

void write_chain_check(struct write_chain *chain, unsigned index)
{
	struct vhdx_check_options options = {
		.size = sizeof(options), .flags = VHDX_CHECK_CHAIN, .finding = take_finding};
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx *disk;

	CHECK(!write_chain_open(chain, index, 0, 0, &disk), "open %s: %s",
	      write_chain_name(chain, index), vhdx_last_error()->text);
	check_contents(chain, index, disk);
	CHECK(!vhdx_check(disk, &options, &result), "check: %s", vhdx_last_error()->text);
	assert_int_equal(vhdx_close(disk), 0);
}

static struct vhdx_guid guid_of(struct write_chain *chain, unsigned index)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	CHECK(!write_chain_open(chain, index, VHDX_OPEN_NO_PARENT, 0, &disk), "open: %s",
	      vhdx_last_error()->text);
	assert_int_equal(vhdx_get_info(disk, &info), 0);
	assert_int_equal(vhdx_close(disk), 0);
	return info.data_write_guid;
}

void write_chain_note(struct write_chain *chain)
{
	for (unsigned i = 0; i < chain->chain.depth; i++)
		chain->guids[i] = guid_of(chain, i);
	chain->guids[OTHER] = guid_of(chain, OTHER);
}

bool write_chain_kept_guid(struct write_chain *chain, unsigned index)
{
	struct vhdx_guid guid = guid_of(chain, index);

	return !memcmp(&guid, &chain->guids[index], sizeof(guid));
}

void write_chain_over_seeds(uint64_t count, unsigned depth, const struct chain_style *style,
			    void (*run)(struct rng *rng, unsigned depth,
					const struct chain_style *style))
{
	uint64_t first, last;

	seeds_to_run(count, &first, &last);
	for (current_seed = first; current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed * 8 + depth);

		run(&rng, depth, style);
	}
}
