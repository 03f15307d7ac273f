/* SPDX-License-Identifier: MIT */
/* A disk whose size changes, and a flat array of what it must hold. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/random.h"
#include "support/resizecase.h"

#define PARENT	    "parent.vhdx"
#define MOST_WRITE  (4 * R_MIB)
#define MAP_EXTENTS 256

static uint8_t buffer[MOST_WRITE];

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- Making ---- */

static void put_piece(struct vhdx *disk, struct flat *flat, struct rng *rng, uint64_t offset,
		      uint64_t length)
{
	length = min(length, flat->size - offset);
	rng_fill(rng, buffer, length);
	CHECK(!vhdx_pwrite(disk, buffer, length, offset, 0), "write to the parent: %s",
	      vhdx_last_error()->text);
	flat_write(flat, buffer, length, offset);
}

static void fill_parent(struct resize_case *c, struct rng *rng)
{
	const struct resize_setup *setup = &c->setup;
	struct vhdx_open_options options = {.size = sizeof(options), .flags = VHDX_OPEN_WRITE};
	struct vhdx *disk;

	CHECK(!vhdx_open(PARENT, &options, &disk), "parent: %s", vhdx_last_error()->text);
	for (uint64_t i = 0; i < setup->parent_pieces; i++) {
		uint64_t at = rng_below(rng, setup->virtual_size);

		if (setup->parent_hot && rng_chance(rng, 70))
			at = min(setup->parent_hot + rng_below(rng, 4 * R_MIB),
				 setup->virtual_size - 1);
		put_piece(disk, &c->flat, rng, at, rng_length(rng, 300 * R_KIB));
	}
	CHECK(!vhdx_close(disk), "parent: %s", vhdx_last_error()->text);
	flat_flush(&c->flat);
}

static struct vhdx_create_options create_options(const struct resize_setup *setup)
{
	return (struct vhdx_create_options){
		.size = sizeof(struct vhdx_create_options),
		.flags = VHDX_CREATE_NO_SYNC | VHDX_CREATE_FORCE,
		.type = setup->type,
		.virtual_size = setup->virtual_size,
		.block_size = setup->block_size,
		.logical_sector_size = setup->sector_size,
	};
}

static void make_parent(struct resize_case *c, struct rng *rng)
{
	struct vhdx_create_options options = create_options(&c->setup);

	options.type = VHDX_DYNAMIC;
	if (c->setup.parent_block)
		options.block_size = c->setup.parent_block;
	CHECK(!vhdx_create(PARENT, &options), "parent: %s", vhdx_last_error()->text);
	fill_parent(c, rng);
}

void resize_case_make(struct rng *rng, const struct resize_setup *setup,
		      struct resize_case *ret_case)
{
	struct resize_case *c = ret_case;
	struct vhdx_create_options options = create_options(setup);

	*c = (struct resize_case){.setup = *setup};
	write_store_init(&c->store);
	flat_init(&c->flat, setup->virtual_size, setup->sector_size ? setup->sector_size : 512);
	if (setup->type == VHDX_DIFFERENCING) {
		make_parent(c, rng);
		options.parent = PARENT;
	}
	struct vhdx_io io = write_store_io(&c->store, setup->without);

	CHECK(!vhdx_create_io(&io, &options), "create: %s", vhdx_last_error()->text);
}

void resize_case_free(struct resize_case *c)
{
	write_store_free(&c->store);
	flat_free(&c->flat);
	unlink(PARENT);
}

/* ---- Sessions ---- */

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	(void)opaque;
	(void)child;
	(void)key;
	(void)path;
	return vhdx_file_io(PARENT, 0, ret_io);
}

static int open_store(struct resize_case *c, uint32_t flags, struct vhdx **ret_disk)
{
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.flags = flags,
		.open_parent = c->setup.type == VHDX_DIFFERENCING ? open_parent : NULL,
		.name = "disk",
	};
	struct vhdx_io io = write_store_io(&c->store, c->setup.without);

	return vhdx_open_io(&io, &options, ret_disk);
}

static void read_info(struct resize_case *c)
{
	c->info.size = sizeof(c->info);
	CHECK(!vhdx_get_info(c->disk, &c->info), "info");
}

int resize_case_try_open(struct resize_case *c)
{
	int ret = open_store(c, c->setup.flags | VHDX_OPEN_WRITE, &c->disk);

	if (!ret)
		read_info(c);
	return ret;
}

void resize_case_open(struct resize_case *c)
{
	CHECK(!resize_case_try_open(c), "open: %s", vhdx_last_error()->text);
}

struct found {
	bool whole;
	char text[300];
};

/* A resize that was cut short may leave entries behind the disk's end; one that was not leaves nothing. */
static void take_finding(void *opaque, const struct vhdx_finding *finding)
{
	struct found *found = opaque;
	const char *name = finding->problem->name;
	bool matters = finding->problem->severity >= VHDX_DAMAGE;

	if (found->whole)
		matters |= !strcmp(name, "BAT_PADDING") || !strcmp(name, "FIXED_NOT_PRESENT") ||
			   !strcmp(name, "FILE_TRAILING_SPACE");
	if (matters && !*found->text)
		snprintf(found->text, sizeof(found->text), "%s: %s", name, finding->text);
}

void resize_case_check(struct resize_case *c, bool whole)
{
	struct found found = {.whole = whole};
	struct vhdx_check_options options = {
		.size = sizeof(options), .finding = take_finding, .opaque = &found};
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx *disk;

	CHECK(!open_store(c, VHDX_OPEN_EXAMINE, &disk), "open to check: %s",
	      vhdx_last_error()->text);
	CHECK(!vhdx_check(disk, &options, &result), "check: %s", vhdx_last_error()->text);
	vhdx_close(disk);
	CHECK(!*found.text, "check finds %s", found.text);
	CHECK(!whole || c->setup.type != VHDX_FIXED || result.present == result.blocks,
	      "a fixed disk has %" PRIu64 " of %" PRIu64 " blocks", result.present, result.blocks);
}

void resize_case_close(struct resize_case *c, bool resized)
{
	int ret = vhdx_close(c->disk);

	c->disk = NULL;
	CHECK(!ret, "close: %d, %s", ret, vhdx_last_error()->text);
	flat_flush(&c->flat);
	resize_case_check(c, resized);
}

void resize_case_kill(struct resize_case *c)
{
	atomic_store(&c->store.dead, true);
	vhdx_close(c->disk);
	atomic_store(&c->store.dead, false);
	c->disk = NULL;
}

/* ---- The guest ---- */

void resize_case_write(struct resize_case *c, struct rng *rng, uint64_t offset, uint64_t length)
{
	length = min(min(length, MOST_WRITE), c->flat.size - offset);
	rng_fill(rng, buffer, length);
	int ret = vhdx_pwrite(c->disk, buffer, length, offset, 0);

	CHECK(!ret, "write of %#" PRIx64 " bytes at %#" PRIx64 ": %s", length, offset,
	      vhdx_last_error()->text);
	flat_write(&c->flat, buffer, length, offset);
}

void resize_case_zero(struct resize_case *c, uint64_t offset, uint64_t length, uint32_t flags)
{
	length = min(length, c->flat.size - offset);
	CHECK(!vhdx_zero(c->disk, offset, length, flags), "zero: %s", vhdx_last_error()->text);
	flat_zero(&c->flat, offset, length);
}

/* ---- Resizing ---- */

void resize_case_resized(struct resize_case *c, uint64_t size)
{
	flat_flush(&c->flat);
	sparse_resize(&c->flat.bytes, size);
	c->flat.size = size;
}

static void check_resized(struct resize_case *c, uint64_t size)
{
	struct vhdx_info before = c->info;

	read_info(c);
	CHECK(c->info.virtual_size == size, "the disk has %#" PRIx64 " bytes, expected %#" PRIx64,
	      c->info.virtual_size, size);
	CHECK(c->info.type == before.type && c->info.block_size == before.block_size &&
		      !memcmp(&c->info.disk_id, &before.disk_id, sizeof(before.disk_id)),
	      "a resize changed more than the size");
	CHECK(memcmp(&c->info.data_write_guid, &before.data_write_guid,
		     sizeof(before.data_write_guid)) != 0,
	      "a resize kept the DataWriteGuid");
}

bool resize_case_resize(struct resize_case *c, uint64_t size, uint32_t flags)
{
	struct vhdx_resize_options options = {.size = sizeof(options), .flags = flags};
	bool in_the_way = size < c->flat.size && flat_has_data(&c->flat, size, c->flat.size - size);
	int ret = vhdx_resize(c->disk, size, &options);

	if (in_the_way) {
		CHECK(ret == -ENOTEMPTY, "a shrink over data returned %d", ret);
		return false;
	}
	CHECK(!ret, "resize from %#" PRIx64 " to %#" PRIx64 ": %d, %s", c->flat.size, size, ret,
	      vhdx_last_error()->text);
	if (size != c->flat.size)
		check_resized(c, size);
	resize_case_resized(c, size);
	return true;
}

/* ---- Comparing ---- */

static void compare_extent(struct resize_case *c, const struct vhdx_extent *extent)
{
	uint64_t part = min(extent->length, 4096);

	if (extent->type == VHDX_EXTENT_DATA) {
		flat_check(&c->flat, c->disk, extent->offset, extent->length);
		return;
	}
	flat_check_zeros(&c->flat, extent->offset, extent->length);
	flat_check(&c->flat, c->disk, extent->offset, part);
	flat_check(&c->flat, c->disk, extent->offset + extent->length - part, part);
}

void resize_case_compare(struct resize_case *c)
{
	uint64_t at = 0;

	CHECK(c->info.virtual_size == c->flat.size, "the disk has %#" PRIx64 " bytes",
	      c->info.virtual_size);
	while (at < c->flat.size) {
		struct vhdx_extent extents[MAP_EXTENTS];
		size_t count = MAP_EXTENTS;
		int ret = vhdx_extents(c->disk, at, c->flat.size - at, VHDX_EXTENTS_FILE_HOLES,
				       extents, &count);

		CHECK(!ret && count, "map at %#" PRIx64 ": %s", at, vhdx_last_error()->text);
		for (size_t i = 0; i < count; i++) {
			compare_extent(c, &extents[i]);
			at += extents[i].length;
		}
	}
}
