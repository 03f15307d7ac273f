/* SPDX-License-Identifier: MIT */
/* The images that guests begin with: made by the library, and patched where it would not make them so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/guest.h"
#include "crash/judge.h"

#define FULLY_PRESENT 6

/* A parent's blocks are as small as they can be. */
static void make_image(struct guest *guest, struct store *store, enum vhdx_type type,
		       uint32_t block_size, const char *parent)
{
	struct vhdx_open_options parent_options = {.size = sizeof(parent_options),
						   .flags = VHDX_OPEN_ANY_PARENT};
	struct vhdx_create_options options = {
		.size = sizeof(options),
		.flags = VHDX_CREATE_NO_SYNC,
		.type = type,
		.virtual_size = guest->setup.virtual_size,
		.block_size = block_size,
		.logical_sector_size = guest->setup.sector_size,
		.log_length = 1 << 20,
		.seed = type == VHDX_DIFFERENCING ? "child" : "disk",
		.seed_size = 4,
		.parent = parent,
		.parent_options = parent ? &parent_options : NULL,
	};
	struct cow empty = {0};

	store_init(store, &empty);
	store->forgets = true;
	struct vhdx_io io = store_io(store);
	int ret = vhdx_create_io(&io, &options);

	if (ret)
		guest_fail(guest, fault_call("creating", ret));
}

static void read_info(struct guest *guest, struct store *store)
{
	struct vhdx *disk;
	int ret = look_open(store, NULL, VHDX_OPEN_NO_PARENT, &disk);

	guest->info.size = sizeof(guest->info);
	if (ret) {
		guest_fail(guest, fault_call("opening the new image", ret));
		return;
	}
	vhdx_get_info(disk, &guest->info);
	vhdx_close(disk);
}

static void put_entry(struct cow *file, const struct vhdx_info *info, uint64_t block,
		      uint64_t entry)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(entry >> 8 * i);
	cow_write(file, bytes, sizeof(bytes), info->bat_offset + block * 8);
}

static void fill(struct cow *file, enum origin origin, uint64_t first, uint64_t length,
		 uint64_t offset)
{
	uint8_t bytes[ATOM];

	for (uint64_t at = 0; at < length; at += ATOM) {
		model_pattern(origin, 1, first + at / ATOM, bytes);
		cow_write(file, bytes, sizeof(bytes), offset + at);
	}
}

/* A parent whose first blocks are full, in a file for as long as its child is made. */
static void make_child(struct guest *guest)
{
	char path[] = "/tmp/vhdx-crash-parent-XXXXXX";
	int fd = mkstemp(path);
	struct cow *file = &guest->parent.now;

	make_image(guest, &guest->parent, VHDX_DYNAMIC, (uint32_t)GUEST_MIB, NULL);
	read_info(guest, &guest->parent);
	for (uint64_t at = 0; at < guest->setup.parent_filled; at += GUEST_MIB) {
		uint64_t offset = file->size;

		put_entry(file, &guest->info, at / GUEST_MIB, offset | FULLY_PRESENT);
		fill(file, ORIGIN_PARENT, at / ATOM, GUEST_MIB, offset);
	}
	for (uint64_t at = 0, end = 0; cow_next(file, end, &at, &end);)
		for (; at < end; at += COW_PAGE) {
			uint8_t bytes[COW_PAGE];

			cow_read(file, bytes, sizeof(bytes), at);
			if (pwrite(fd, bytes, sizeof(bytes), (off_t)at) != (ssize_t)sizeof(bytes))
				guest_fail(guest, fault_text("cannot write %s", path));
		}
	if (fd < 0 || ftruncate(fd, (off_t)file->size))
		guest_fail(guest, fault_text("cannot write %s", path));
	make_image(guest, &guest->store, VHDX_DIFFERENCING, guest->setup.block_size, path);
	close(fd);
	unlink(path);
	guest->parent.read_only = true;
}

void guest_create(struct guest *guest, const struct setup *setup)
{
	struct cow empty = {0};

	guest->setup = *setup;
	if (!setup->virtual_size)
		guest->setup.virtual_size = 8 * GUEST_MIB;
	if (!setup->block_size)
		guest->setup.block_size = 1 << 20;
	if (!setup->sector_size)
		guest->setup.sector_size = 512;
	pthread_mutex_init(&guest->lock, NULL);
	if (!setup->largest_size)
		guest->setup.largest_size = guest->setup.virtual_size;
	model_init(&guest->model, guest->setup.largest_size, setup->parent_filled);
	sizes_begin(&guest->model.sizes, 0, guest->setup.virtual_size);
	sizes_end(&guest->model.sizes, 0);
	if (setup->type == VHDX_DIFFERENCING) {
		make_child(guest);
	} else {
		store_init(&guest->parent, &empty);
		make_image(guest, &guest->store, setup->type, guest->setup.block_size, NULL);
	}
	read_info(guest, &guest->store);
	uint64_t end = guest->store.now.size;

	if (setup->leftover) {
		uint64_t pinned = end + setup->leftover;

		fill(&guest->store.now, ORIGIN_LEFTOVER, 0, setup->leftover, end);
		cow_resize(&guest->store.now, pinned + guest->setup.block_size);
		put_entry(&guest->store.now, &guest->info, guest_pinned(guest),
			  pinned | FULLY_PRESENT);
	}
	guest->store.forgets = false;
	store_restart(&guest->store);
	/* A block that no scenario writes: what is gone on with after a crash may. */
	model_watch(&guest->model, guest->setup.virtual_size - guest->setup.block_size,
		    256 * GUEST_KIB);
}

void guest_patch(struct guest *guest, const void *bytes, size_t size, uint64_t offset)
{
	cow_write(&guest->store.now, bytes, size, offset);
	store_restart(&guest->store);
}

void guest_patch_entry(struct guest *guest, uint64_t block, uint64_t entry)
{
	put_entry(&guest->store.now, &guest->info, block, entry);
	store_restart(&guest->store);
}

void guest_forget_block(struct guest *guest, uint64_t block)
{
	guest_patch_entry(guest, block, 0);
	model_revert(&guest->model, store_tick(&guest->store), guest_block(guest, block),
		     guest->setup.block_size);
}

void guest_hidden(struct guest *guest, uint64_t offset, uint64_t length)
{
	guest->model.hidden_from = offset;
	guest->model.hidden_to = offset + length;
}
