/* SPDX-License-Identifier: MIT */
/* struct vhdx of exactly one file: open, close, and what it is. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "store/io.h"
#include "vdisk/disk.h"

#define OPEN_FLAGS \
	(VHDX_OPEN_NO_PARENT | VHDX_OPEN_ANY_PARENT | VHDX_OPEN_IGNORE_ID_MISMATCH | \
	 VHDX_OPEN_FORCE_SHARE | VHDX_OPEN_EXAMINE)

const char *vhdx_version(void)
{
	return VHDX_VERSION_STRING;
}

void vhdx_disk_warn(const struct open_request *request, const char *name, const char *text)
{
	if (request->options.warning)
		request->options.warning(request->options.opaque, name, text);
}

/* Where the file system has no locks, reading goes on. */
static int lock_for_reading(const struct vhdx *disk, const struct open_request *request)
{
	if (!disk->file.lock || request->options.flags & VHDX_OPEN_FORCE_SHARE)
		return 0;
	int ret = disk->file.lock(disk->file.opaque, 0);

	if (ret == -EAGAIN)
		return vhdx_fail(ret, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "is open for writing in another process (expected no writer)");
	if (ret)
		vhdx_disk_warn(request, disk->name,
			       "its file system has no locks: nothing keeps writers out");
	return 0;
}

static void fill_info(struct vhdx *disk)
{
	const struct image *image = &disk->image;
	struct vhdx_info *info = &disk->info;

	*info = (struct vhdx_info){
		.size = sizeof(*info),
		.known = image->known,
		.path = disk->name,
		.file_size = image->file_size,
		.creator = image->known & VHDX_KNOWN_CREATOR ? image->identifier.creator : NULL,
		.log_state = image->log_state,
		.log_entries = image->log_entries,
		.bat_offset = image->bat.file_offset,
		.bat_length = image->bat.length,
		.metadata_offset = image->metadata.file_offset,
		.metadata_length = image->metadata.length,
	};
	if (image->current != NO_HEADER) {
		const struct header *header = &image->headers[image->current];

		info->current_header = image->current + 1;
		info->sequence_number = header->sequence_number;
		info->file_write_guid = header->file_write_guid;
		info->data_write_guid = header->data_write_guid;
		info->log_guid = header->log_guid;
		info->log_offset = header->log_offset;
		info->log_length = header->log_length;
	}
}

static void fill_disk_info(struct vhdx *disk)
{
	const struct image *image = &disk->image;
	const struct locator *locator = &image->locator;
	struct vhdx_info *info = &disk->info;

	info->type = image_type(image);
	info->virtual_size = image->virtual_size;
	info->block_size = image->parameters.block_size;
	info->logical_sector_size = image->logical_sector_size;
	info->physical_sector_size = image->physical_sector_size;
	info->disk_id = image->disk_id;
	info->blocks = image->geometry.blocks;
	info->parent_linkage = vhdx_locator_get(locator, KEY_LINKAGE);
	info->parent_linkage2 = vhdx_locator_get(locator, KEY_LINKAGE_2);
	info->relative_path = vhdx_locator_get(locator, KEY_RELATIVE_PATH);
	info->volume_path = vhdx_locator_get(locator, KEY_VOLUME_PATH);
	info->absolute_win32_path = vhdx_locator_get(locator, KEY_WIN32_PATH);
}

/* Without its parent, a child needs no locator, so what is wrong with that does not matter. */
static bool fault_matters(const struct image *image, uint32_t flags)
{
	bool needs_locator = !(flags & VHDX_OPEN_NO_PARENT) ||
			     !(image->known & VHDX_KNOWN_GEOMETRY);

	return image->has_fault &&
	       (needs_locator || !problem_is_about_parent(image->fault.error.problem));
}

static int make_shared(struct vhdx *disk, struct chain_shared *shared)
{
	disk->shared = shared;
	if (shared)
		return 0;
	/* Not calloc: the locks want their cache lines. */
	disk->shared = aligned_alloc(_Alignof(struct chain_shared), sizeof(*disk->shared));
	if (!disk->shared)
		return vhdx_fail_memory();
	disk->owns_shared = true;
	disk->shared->image_memory = 0;
	vhdx_stripes_init(&disk->shared->stripes);
	vhdx_page_cache_init(&disk->shared->cache);
	return 0;
}

/* A chain of many images, each as large as one may be, would take any amount. */
static int count_memory(struct vhdx *disk)
{
	disk->shared->image_memory += disk->image.memory;
	if (disk->shared->image_memory <= MAX_CHAIN_MEMORY)
		return 0;
	return vhdx_fail(-EUCLEAN, PROBLEM_CHAIN_MEMORY, disk->name, VHDX_NO_OFFSET,
			 "the metadata of the chain takes %" PRIu64
			 " bytes of memory (expected at most %" PRIu64 ")",
			 disk->shared->image_memory, MAX_CHAIN_MEMORY);
}

/* Everything of the disk that reading needs. */
static int set_up_reading(struct vhdx *disk)
{
	int ret = vhdx_bat_map_init(&disk->bat, &disk->shared->cache, &disk->image);

	if (!ret)
		ret = vhdx_bitmaps_init(&disk->bitmaps, &disk->shared->cache, &disk->bat,
					&disk->image);
	return ret;
}

static int load(struct vhdx *disk, const struct open_request *request)
{
	disk->has_identity = vhdx_file_identity(&disk->file, &disk->identity);
	int ret = lock_for_reading(disk, request);

	if (!ret)
		ret = make_shared(disk, request->shared);
	if (!ret)
		ret = vhdx_image_load(&disk->image, disk->name, &disk->file, NULL, NULL);
	if (ret)
		return ret;
	ret = count_memory(disk);
	if (ret)
		return ret;
	bool unusable = fault_matters(&disk->image, request->options.flags);

	if (unusable && !(request->options.flags & VHDX_OPEN_EXAMINE))
		return vhdx_error_raise(&disk->image.fault);
	fill_info(disk);
	fill_disk_info(disk);
	if (!unusable)
		return set_up_reading(disk);
	disk->unreadable = &disk->image.fault;
	return 0;
}

int vhdx_disk_open_one(struct vhdx_io *io, const char *name, const struct open_request *request,
		       struct vhdx **ret_disk)
{
	struct vhdx *disk = calloc(1, sizeof(*disk));

	if (!disk) {
		vhdx_io_close(io);
		return vhdx_fail_memory();
	}
	disk->file = *io;
	disk->name = strdup(name);
	int ret = disk->name ? load(disk, request) : vhdx_fail_memory();

	if (ret)
		vhdx_close(disk);
	else
		*ret_disk = disk;
	return ret;
}

static void drop_candidates(struct vhdx *disk)
{
	for (size_t i = 0; i < disk->candidate_count; i++) {
		free(disk->candidates[i].path);
		free(disk->candidates[i].text);
	}
	free(disk->candidates);
}

static void close_one(struct vhdx *disk)
{
	vhdx_bitmaps_destroy(&disk->bitmaps);
	vhdx_page_map_destroy(&disk->bat);
	vhdx_image_free(&disk->image);
	vhdx_io_close(&disk->file);
	vhdx_error_drop(&disk->chain_fault);
	drop_candidates(disk);
	free(disk->name);
	free(disk);
}

int vhdx_close(struct vhdx *disk)
{
	struct chain_shared *shared = disk && disk->owns_shared ? disk->shared : NULL;

	while (disk) {
		struct vhdx *parent = disk->parent;

		close_one(disk);
		disk = parent;
	}
	if (shared) {
		vhdx_page_cache_destroy(&shared->cache);
		vhdx_stripes_destroy(&shared->stripes);
		free(shared);
	}
	return 0;
}

static int take_options(const struct vhdx_open_options *options, struct open_request *ret_request)
{
	*ret_request = (struct open_request){0};
	int ret = vhdx_adopt_options(options, "vhdx_open_options", sizeof(ret_request->options),
				     &ret_request->options);
	uint32_t unknown = ret_request->options.flags & ~OPEN_FLAGS;

	return ret || !unknown
		       ? ret
		       : vhdx_fail_argument("vhdx_open_options: unknown flags %#x", unknown);
}

/* Takes @io over. */
static int open_with_parents(struct vhdx_io *io, const char *name,
			     const struct open_request *request, struct vhdx **ret_disk)
{
	struct vhdx *disk;
	int ret = vhdx_disk_open_one(io, name, request, &disk);

	if (ret)
		return ret;
	ret = vhdx_chain_open(disk, request);
	if (ret)
		vhdx_close(disk);
	else
		*ret_disk = disk;
	return ret;
}

int vhdx_open(const char *path, const struct vhdx_open_options *options, struct vhdx **ret_disk)
{
	struct open_request request;
	struct vhdx_io io;

	if (!path || !ret_disk)
		return vhdx_fail_argument("vhdx_open: no path, or nowhere to return the disk to");
	int ret = take_options(options, &request);

	if (ret)
		return ret;
	request.options.open_parent = NULL;
	ret = vhdx_file_io(path, 0, &io);
	return ret ? ret : open_with_parents(&io, path, &request, ret_disk);
}

int vhdx_open_io(const struct vhdx_io *io, const struct vhdx_open_options *options,
		 struct vhdx **ret_disk)
{
	struct open_request request;
	struct vhdx_io adopted;

	if (!ret_disk)
		return vhdx_fail_argument("vhdx_open_io: nowhere to return the disk to");
	int ret = take_options(options, &request);

	if (!ret)
		ret = vhdx_io_adopt(io, &adopted);
	if (ret)
		return ret;
	void (*close_io)(void *opaque) = adopted.close;

	adopted.close = NULL; /* a failure leaves the storage to the caller */
	ret = open_with_parents(&adopted, request.options.name ? request.options.name : "(storage)",
				&request, ret_disk);
	if (!ret)
		(*ret_disk)->file.close = close_io;
	return ret;
}

int vhdx_probe(const char *path)
{
	struct identifier_disk disk;
	struct identifier identifier;
	struct vhdx_io io;

	if (!path)
		return vhdx_fail_argument("vhdx_probe: no path");
	int ret = vhdx_file_io(path, 0, &io);

	if (ret)
		return ret;
	ret = vhdx_io_read(&io, &disk, sizeof(disk), IDENTIFIER_OFFSET);
	vhdx_io_close(&io);
	if (ret)
		return vhdx_fail_errno(ret, path, "cannot be read");
	vhdx_identifier_decode(&disk, sizeof(disk), &identifier);
	return identifier.has_signature;
}

int vhdx_get_info(const struct vhdx *disk, struct vhdx_info *ret_info)
{
	if (!disk || !ret_info || ret_info->size < offsetof(struct vhdx_info, path))
		return vhdx_fail_argument(
			"vhdx_get_info: no disk, or the size of struct vhdx_info is not set");
	size_t size = (size_t)min_u64(ret_info->size, sizeof(*ret_info));

	memcpy(ret_info, &disk->info, size);
	ret_info->size = size;
	return 0;
}

const struct vhdx_error *vhdx_get_fault(const struct vhdx *disk)
{
	if (!disk)
		return NULL;
	if (disk->unreadable == &disk->image.fault)
		return &disk->image.fault.error;
	return disk->has_chain_fault ? &disk->chain_fault.error : NULL;
}

struct vhdx *vhdx_get_parent(const struct vhdx *disk)
{
	return disk ? disk->parent : NULL;
}

int vhdx_get_candidate(const struct vhdx *disk, size_t index, struct vhdx_candidate *ret_candidate)
{
	if (!disk || !ret_candidate || ret_candidate->size < sizeof(*ret_candidate))
		return vhdx_fail_argument(
			"vhdx_get_candidate: no disk, or the size of struct vhdx_candidate is not set");
	if (index >= disk->candidate_count)
		return vhdx_fail(-ENOENT, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "the parent was looked for in %zu places", disk->candidate_count);
	const struct candidate *candidate = &disk->candidates[index];

	*ret_candidate = (struct vhdx_candidate){
		.size = sizeof(*ret_candidate),
		.key = candidate->key,
		.path = candidate->path ? candidate->path : "",
		.state = candidate->state,
		.text = candidate->text ? candidate->text : "",
	};
	return 0;
}
