/* SPDX-License-Identifier: MIT */
/* struct vhdx of exactly one file: open, close, and what it is. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/options.h"
#include "meta/replay.h"
#include "store/io.h"
#include "vdisk/disk.h"
#include "vdisk/writer.h"

#define OPEN_FLAGS \
	(VHDX_OPEN_NO_PARENT | VHDX_OPEN_ANY_PARENT | VHDX_OPEN_IGNORE_ID_MISMATCH | \
	 VHDX_OPEN_FORCE_SHARE | VHDX_OPEN_EXAMINE | OPEN_WRITE_FLAGS)
#define READING_FLAGS \
	(VHDX_OPEN_EXAMINE | VHDX_OPEN_FORCE_SHARE) /* what does not go with writing */

const char *vhdx_version(void)
{
	return VHDX_VERSION_STRING;
}

void vhdx_disk_warn(const struct open_request *request, const char *name, const char *text)
{
	if (request->options.warning)
		request->options.warning(request->options.opaque, name, text);
}

void vhdx_disk_refresh_info(struct vhdx *disk)
{
	const struct image *image = &disk->image;
	const struct header *header = &image->headers[image->current];
	struct vhdx_info *info = &disk->info;

	info->current_header = image->current + 1;
	info->sequence_number = header->sequence_number;
	info->file_write_guid = header->file_write_guid;
	info->data_write_guid = header->data_write_guid;
	info->log_guid = header->log_guid;
	if (disk->writer) /* the log is live, whatever is in it now */
		info->log_state = guid_is_zero(&header->log_guid) ? VHDX_LOG_CLEAN : VHDX_LOG_DIRTY;
	info->log_offset = header->log_offset;
	info->log_length = header->log_length;
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
	if (image->current != NO_HEADER)
		vhdx_disk_refresh_info(disk);
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
	disk->counted_memory = disk->image.memory;
	disk->shared->image_memory += disk->counted_memory;
	if (disk->shared->image_memory <= MAX_CHAIN_MEMORY)
		return 0;
	return vhdx_fail(-EUCLEAN, PROBLEM_CHAIN_MEMORY, disk->name, VHDX_NO_OFFSET,
			 "the metadata of the chain takes %" PRIu64
			 " bytes of memory (expected at most %" PRIu64 ")",
			 disk->shared->image_memory, MAX_CHAIN_MEMORY);
}

/* Others may take its place in the chain. */
static void forget_memory(struct vhdx *disk)
{
	if (disk->shared)
		disk->shared->image_memory -= disk->counted_memory;
	disk->counted_memory = 0;
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

/* Everything that the file says, from the identifier to the metadata. */
static int load_image(struct vhdx *disk, const struct open_request *request)
{
	int ret = vhdx_image_load(&disk->image, disk->name, &disk->file, NULL, NULL);

	if (!ret)
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

static void unload_image(struct vhdx *disk)
{
	vhdx_bitmaps_destroy(&disk->bitmaps);
	vhdx_page_map_destroy(&disk->bat);
	forget_memory(disk);
	vhdx_image_free(&disk->image);
}

/* A log that no later open would replay keeps writers out, as what must be repaired does. */
static void limit_log(struct vhdx *disk)
{
	struct image *image = &disk->image;

	if (image->is_locked || image->log.length <= MAX_LOG_LENGTH)
		return;
	vhdx_fail(-ENOTSUP, NO_PROBLEM, disk->name,
		  header_offset(image->current) + offsetof(struct header_disk, log_length),
		  "header %u: the log is %u bytes long (expected at most %" PRIu64
		  " in an image that is written)",
		  image->current + 1, image->log.length, MAX_LOG_LENGTH);
	image->is_locked = true;
	vhdx_error_keep(&image->lock_reason);
}

static int load(struct vhdx *disk, const struct open_request *request)
{
	disk->open_flags = request->options.flags;
	disk->has_identity = vhdx_file_identity(&disk->file, &disk->identity);
	if (disk_is_writable(disk) && !disk->file.pwritev)
		return vhdx_fail(-EROFS, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "cannot be written (expected storage with pwritev)");
	int ret = vhdx_disk_lock(disk, request);

	if (!ret)
		ret = make_shared(disk, request->shared);
	if (!ret)
		ret = load_image(disk, request);
	if (ret)
		return ret;
	limit_log(disk);
	/* Before a byte is written. */
	return disk_is_writable(disk) && disk->image.is_locked
		       ? vhdx_error_raise(&disk->image.lock_reason)
		       : 0;
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
	vhdx_writer_free(disk);
	vhdx_bitmaps_destroy(&disk->bitmaps);
	vhdx_page_map_destroy(&disk->bat);
	forget_memory(disk);
	vhdx_image_free(&disk->image);
	vhdx_io_close(&disk->file);
	vhdx_error_drop(&disk->chain_fault);
	vhdx_error_drop(&disk->renewal_fault);
	drop_candidates(disk);
	free(disk->name);
	free(disk);
}

/* Ends every session of the chain, the leaf's first, and raises the first failure. */
static int stop_writers(struct vhdx *leaf)
{
	struct kept_error first = {0};
	int ret = 0;

	for (struct vhdx *disk = leaf; disk; disk = disk->parent) {
		int result = vhdx_writer_stop(disk);

		if (result && !ret)
			vhdx_error_keep(&first);
		if (!ret)
			ret = result;
	}
	if (ret)
		vhdx_error_raise(&first);
	vhdx_error_drop(&first);
	return ret;
}

int vhdx_close(struct vhdx *disk)
{
	struct chain_shared *shared = disk && disk->owns_shared ? disk->shared : NULL;
	int ret = stop_writers(disk);

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
	return ret;
}

static int take_options(const struct vhdx_open_options *options, struct open_request *ret_request)
{
	*ret_request = (struct open_request){0};
	int ret = vhdx_adopt_options(options, "vhdx_open_options", sizeof(ret_request->options),
				     &ret_request->options);
	uint32_t flags = ret_request->options.flags;

	if (ret)
		return ret;
	if (flags & ~OPEN_FLAGS)
		return vhdx_fail_argument("vhdx_open_options: unknown flags %#x",
					  flags & ~OPEN_FLAGS);
	if (ret_request->options.write_parents &&
	    (!(flags & VHDX_OPEN_WRITE) || flags & VHDX_OPEN_NO_PARENT))
		return vhdx_fail_argument(
			"vhdx_open_options: write_parents without VHDX_OPEN_WRITE, or with NO_PARENT");
	if (flags & VHDX_OPEN_WRITE && flags & READING_FLAGS)
		return vhdx_fail_argument(
			"vhdx_open_options: VHDX_OPEN_WRITE with EXAMINE or FORCE_SHARE, which are "
			"for reading");
	return 0;
}

static int reload(struct vhdx *disk)
{
	struct open_request request = {.options.flags = disk->open_flags};

	unload_image(disk);
	int ret = load_image(disk, &request);

	if (!ret)
		ret = vhdx_writer_make(disk);
	if (ret) {
		vhdx_error_keep(&disk->renewal_fault);
		disk->unreadable = &disk->renewal_fault;
		fill_info(disk); /* what was told of the old image is gone with it */
	}
	return ret;
}

int vhdx_disk_renew(struct vhdx *disk)
{
	int ret = vhdx_writer_stop(disk);

	/* The image is not what the disk takes it for: what would be written now, the next open could not find. */
	if (ret)
		return vhdx_journal_abandon(&disk->writer->journal, ret);
	vhdx_writer_free(disk);
	return reload(disk);
}

/* The chain is complete, so nothing is left that would refuse the open when the file was changed. */
static int replay_log(struct vhdx *disk, const struct open_request *request)
{
	size_t entries = disk->image.log_entries;

	if (guid_is_zero(&disk->image.log.guid))
		return 0;
	int ret = vhdx_replay_file(&disk->image, request->options.flags & VHDX_OPEN_NO_HOLES);

	if (ret)
		return ret;
	unload_image(disk);
	ret = load_image(disk, request);
	disk->info.replayed_entries = entries;
	return ret;
}

/* Every disk of the chain that is open for writing. */
static int make_writable(struct vhdx *leaf, const struct open_request *request)
{
	int ret = 0;

	for (struct vhdx *disk = leaf; disk && disk_is_writable(disk) && !ret;
	     disk = disk->parent) {
		ret = replay_log(disk, request);
		if (!ret)
			ret = vhdx_writer_make(disk);
	}
	/* A merge into parents does not change what the leaf holds, and looks for children itself. */
	if (!ret && disk_is_writable(leaf) && !request->options.write_parents)
		vhdx_warn_of_children(leaf, request);
	return ret;
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
	if (!ret)
		ret = make_writable(disk, request);
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
	ret = vhdx_file_io(path, request.options.flags & VHDX_OPEN_WRITE ? VHDX_FILE_WRITE : 0,
			   &io);
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

/* Of a disk that is written, the file grows, and its headers change when it passes the gate. */
static void copy_info(const struct vhdx *disk, struct vhdx_info *ret_info)
{
	if (!disk->writer) {
		*ret_info = disk->info;
		return;
	}
	LOCK_SCOPED(&disk->writer->lock);
	*ret_info = disk->info;
	ret_info->file_size = image_view_size(&disk->image);
}

int vhdx_get_info(const struct vhdx *disk, struct vhdx_info *ret_info)
{
	if (!disk || !ret_info || ret_info->size < offsetof(struct vhdx_info, path))
		return vhdx_fail_argument(
			"vhdx_get_info: no disk, or the size of struct vhdx_info is not set");
	size_t size = (size_t)min_u64(ret_info->size, sizeof(*ret_info));
	struct vhdx_info info;

	copy_info(disk, &info);
	memcpy(ret_info, &info, size);
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

const struct vhdx_error *vhdx_get_write_fault(const struct vhdx *disk)
{
	return disk && disk->image.is_locked ? &disk->image.lock_reason.error : NULL;
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
