/* SPDX-License-Identifier: MIT */
/* What a guest does to its disk, told to the model. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crash/guest.h"
#include "crash/history.h"
#include "crash/judge.h"

void guest_free(struct guest *guest)
{
	guest_join(guest);
	vhdx_close(guest->disk);
	store_free(&guest->store);
	store_free(&guest->parent);
	model_free(&guest->model);
	pthread_mutex_destroy(&guest->lock);
	free(guest->fault);
}

void guest_fail(struct guest *guest, char *fault)
{
	pthread_mutex_lock(&guest->lock);
	if (!guest->fault)
		guest->fault = fault;
	else
		free(fault);
	pthread_mutex_unlock(&guest->lock);
}

uint64_t guest_block(const struct guest *guest, uint64_t block)
{
	return block * guest->setup.block_size;
}

uint64_t guest_blocks(const struct guest *guest)
{
	return guest->setup.virtual_size / guest->setup.block_size;
}

/* How much of a block is compared at its ends and on either side of what is written. */
#define WATCHED (32 * GUEST_KIB)

/* Recycled space must not show in the rest of a block. */
static void watch(struct guest *guest, uint64_t offset, uint64_t length)
{
	uint64_t block = guest->setup.block_size, start = offset / block * block;
	uint64_t end = (offset + length + block - 1) / block * block;

	if (guest->setup.spots)
		return;
	end = end < guest->setup.virtual_size ? end : guest->setup.virtual_size;
	for (; start < end; start += block) {
		model_watch(&guest->model, start, WATCHED);
		model_watch(&guest->model, start + block - WATCHED, WATCHED);
	}
	model_watch(&guest->model, offset > WATCHED ? offset - WATCHED : 0, WATCHED);
	if (offset + length + WATCHED <= end)
		model_watch(&guest->model, offset + length, WATCHED);
}

static int take_error(struct guest *guest, const char *what, int ret)
{
	if (!ret)
		return 0;
	if (!guest->tolerant)
		guest_fail(guest, fault_call(what, ret));
	return ret;
}

/* ---- Sessions ---- */

void guest_open(struct guest *guest)
{
	uint64_t begin = store_tick(&guest->store);
	struct store *parent = guest->setup.type == VHDX_DIFFERENCING ? &guest->parent : NULL;
	int ret = look_open(&guest->store, parent, guest->setup.flags | VHDX_OPEN_WRITE,
			    &guest->disk);

	guest->info.size = sizeof(guest->info);
	if (take_error(guest, "opening", ret)) {
		guest->disk = NULL;
		return;
	}
	vhdx_get_info(guest->disk, &guest->info);
	guest->size_at_open = guest->store.now.size;
	guest->writes_at_open = guest->store.writes;
	guest->opened = begin;
	model_session(&guest->model, begin, &guest->info);
}

int guest_close(struct guest *guest)
{
	struct store *parent = guest->setup.type == VHDX_DIFFERENCING ? &guest->parent : NULL;

	guest_join(guest);
	if (!guest->disk)
		return -EBADF;
	if (!guest->tolerant)
		guest_verify(guest);
	uint64_t begin = store_tick(&guest->store);
	int ret = take_error(guest, "closing", vhdx_close(guest->disk));

	guest->disk = NULL;
	if (ret)
		return ret;
	model_flush(&guest->model, begin, store_tick(&guest->store));
	guest_fail(guest, history_judge(&guest->store, guest->opened, &guest->info));
	guest_fail(guest,
		   judge_closed(&guest->store, parent, &guest->info,
				guest->store.writes > guest->writes_at_open, guest->size_at_open));
	return 0;
}

/* Reads what the crash left, which the model must permit, and goes on from there. */
static void adopt(struct guest *guest, uint64_t crash)
{
	struct store *parent = guest->setup.type == VHDX_DIFFERENCING ? &guest->parent : NULL;
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	model_freeze(&guest->model);
	uint8_t *contents = malloc((size_t)guest->model.total + 1);
	int ret = look_open(&guest->store, parent, 0, &disk);

	if (!contents)
		abort();
	if (ret) {
		guest_fail(guest, fault_call("opening after the crash", ret));
		free(contents);
		return;
	}
	vhdx_get_info(disk, &info);
	char *fault = look_read(disk, &guest->model, contents);

	if (!fault)
		fault = model_judge(&guest->model, crash, contents, &info);
	if (!fault)
		model_adopt(&guest->model, contents);
	guest->model.sizes.count = 0;
	sizes_begin(&guest->model.sizes, 0, info.virtual_size);
	sizes_end(&guest->model.sizes, 0);
	guest->setup.virtual_size = info.virtual_size;
	guest_fail(guest, fault);
	vhdx_close(disk);
	free(contents);
}

void guest_crash(struct guest *guest, uint64_t number)
{
	struct cow image;
	uint64_t crash;

	guest_join(guest);
	states_last(&guest->store, guest->seed, number, &image, &crash);
	guest->store.dead = true;
	vhdx_close(guest->disk);
	guest->disk = NULL;
	store_hook *hook = guest->store.hook;

	store_free(&guest->store);
	store_init(&guest->store, &image);
	guest->store.hook = hook;
	guest->store.opaque = guest;
	adopt(guest, crash);
}

/* ---- Requests ---- */

/* A range of whole sectors around what was asked for, read and given to the model as what stays. */
static void settle(struct guest *guest, uint64_t offset, uint64_t length)
{
	uint64_t start = offset / ATOM * ATOM, end = (offset + length + ATOM - 1) / ATOM * ATOM;
	uint8_t *bytes = malloc((size_t)(end - start));

	if (!bytes)
		abort();
	int ret = vhdx_pread(guest->disk, bytes, (size_t)(end - start), start);

	if (!take_error(guest, "reading back", ret))
		guest_fail(guest, model_settle(&guest->model, store_tick(&guest->store), offset,
					       length, bytes));
	free(bytes);
}

static int write_range(struct guest *guest, uint64_t offset, uint64_t length, uint32_t flags)
{
	watch(guest, offset, length);
	uint64_t begin = store_tick(&guest->store);
	uint8_t *data;
	struct model_change *change = model_begin(&guest->model, begin, offset, length, &data);
	int ret = vhdx_pwrite(guest->disk, data, (size_t)length, offset, flags);
	uint64_t end = store_tick(&guest->store);

	free(data);
	model_end(&guest->model, change, end);
	if (ret)
		settle(guest, offset, length);
	else if (flags & VHDX_FUA)
		model_flush(&guest->model, end, store_tick(&guest->store));
	return take_error(guest, "writing", ret);
}

int guest_write(struct guest *guest, uint64_t offset, uint64_t length)
{
	return guest->disk ? write_range(guest, offset, length, 0) : -EBADF;
}

int guest_write_fua(struct guest *guest, uint64_t offset, uint64_t length)
{
	return guest->disk ? write_range(guest, offset, length, VHDX_FUA) : -EBADF;
}

int guest_zero(struct guest *guest, uint64_t offset, uint64_t length, uint32_t flags)
{
	if (!guest->disk)
		return -EBADF;
	watch(guest, offset, length);
	uint64_t begin = store_tick(&guest->store);
	struct model_change *change = model_begin(&guest->model, begin, offset, length, NULL);
	int ret = vhdx_zero(guest->disk, offset, length, flags);

	model_end(&guest->model, change, store_tick(&guest->store));
	if (ret)
		settle(guest, offset, length);
	return take_error(guest, "zeroing", ret);
}

int guest_trim(struct guest *guest, uint64_t offset, uint64_t length)
{
	if (!guest->disk)
		return -EBADF;
	watch(guest, offset, length);
	uint64_t begin = store_tick(&guest->store);
	struct model_change *change = model_begin(&guest->model, begin, offset, length, NULL);
	int ret = vhdx_trim(guest->disk, offset, length, 0);

	model_end(&guest->model, change, store_tick(&guest->store));
	settle(guest, offset, length);
	return take_error(guest, "trimming", ret);
}

int guest_flush(struct guest *guest)
{
	if (!guest->disk)
		return -EBADF;
	uint64_t begin = store_tick(&guest->store);
	int ret = vhdx_flush(guest->disk);

	if (!ret)
		model_flush(&guest->model, begin, store_tick(&guest->store));
	return take_error(guest, "flushing", ret);
}

int guest_resize(struct guest *guest, uint64_t size, uint32_t flags)
{
	struct vhdx_resize_options options = {.size = sizeof(options), .flags = flags};

	if (!guest->disk)
		return -EBADF;
	uint64_t begin = store_tick(&guest->store);

	sizes_begin(&guest->model.sizes, begin, size);
	int ret = take_error(guest, "resizing", vhdx_resize(guest->disk, size, &options));
	uint64_t end = store_tick(&guest->store);

	if (ret)
		return ret;
	sizes_end(&guest->model.sizes, end);
	model_flush(&guest->model, begin, end);
	vhdx_get_info(guest->disk, &guest->info);
	model_session(&guest->model, end, &guest->info);
	guest->setup.virtual_size = size;
	return 0;
}

/* A compact is a flush too, and the sessions behind it are others. @change, unless NULL, is its own. */
static int compact(struct guest *guest, const struct vhdx_compact_options *options,
		   struct model_change *change)
{
	struct vhdx_compact_result result = {.size = sizeof(result)};
	uint64_t begin = store_tick(&guest->store);
	int ret = take_error(guest, "compacting", vhdx_compact(guest->disk, options, &result));
	uint64_t end = store_tick(&guest->store);

	if (change)
		model_end(&guest->model, change, end);
	if (ret)
		return ret;
	end = store_tick(&guest->store);
	model_flush(&guest->model, begin, end);
	vhdx_get_info(guest->disk, &guest->info);
	model_session(&guest->model, end, &guest->info);
	guest->size_at_open = guest->store.now.size;
	return 0;
}

int guest_compact(struct guest *guest)
{
	struct vhdx_compact_options options = {.size = sizeof(options)};

	return guest->disk ? compact(guest, &options, NULL) : -EBADF;
}

struct free_range {
	uint64_t from;
	uint64_t to;
};

static int is_free(void *opaque, uint64_t offset, uint64_t length)
{
	const struct free_range *range = opaque;

	return offset >= range->from && offset + length <= range->to;
}

int guest_compact_unused(struct guest *guest, uint64_t offset, uint64_t length)
{
	struct free_range range = {offset, offset + length};
	struct vhdx_compact_options options = {
		.size = sizeof(options), .is_free = is_free, .is_free_opaque = &range};

	if (!guest->disk)
		return -EBADF;
	watch(guest, offset, length);
	uint64_t begin = store_tick(&guest->store);
	struct model_change *change = model_begin(&guest->model, begin, offset, length, NULL);
	int ret = compact(guest, &options, change);

	settle(guest, offset, length);
	return ret;
}

void guest_verify(struct guest *guest)
{
	model_freeze(&guest->model);
	uint8_t *found = malloc((size_t)guest->model.total + 1);
	uint8_t *expected = malloc((size_t)guest->model.total + 1);
	uint64_t at = 0;

	if (!found || !expected)
		abort();
	char *fault = look_read(guest->disk, &guest->model, found);

	for (size_t i = 0; i < guest->model.range_count; i++) {
		const struct model_range *range = &guest->model.ranges[i];

		model_newest(&guest->model, expected + at, range->length, range->offset);
		at += range->length;
	}
	if (!fault)
		fault = look_compare(&guest->model, found, expected);
	if (fault) {
		guest_fail(guest, fault_text("live: %s", fault));
		free(fault);
	}
	free(found);
	free(expected);
}

uint64_t guest_place(struct guest *guest, uint64_t block)
{
	uint8_t bytes[8];
	uint64_t entry = 0;

	store_peek(&guest->store, bytes, sizeof(bytes), guest->info.bat_offset + block * 8);
	for (int i = 7; i >= 0; i--)
		entry = entry << 8 | bytes[i];
	return entry / GUEST_MIB * GUEST_MIB;
}
