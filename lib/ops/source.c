/* SPDX-License-Identifier: MIT */
/* Where contents come from: a disk through its chain, a raw file, a device or storage, a pipe. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "ops/endpoint.h"
#include "base/options.h"
#include "ops/samefile.h"
#include "store/io.h"

#define STORAGE_NAME "(storage)"
#define STREAM_NAME  "(stream)"

/* ---- A disk ---- */

/* The first range of data at or after @offset among the extents that are known already. */
static bool known_data(const struct source *source, uint64_t offset, uint64_t *ret_start,
		       uint64_t *ret_end)
{
	for (size_t i = 0; i < source->count; i++) {
		const struct vhdx_extent *extent = &source->extents[i];

		if (extent->type != VHDX_EXTENT_DATA || extent->offset + extent->length <= offset)
			continue;
		*ret_start = max_u64(offset, extent->offset);
		*ret_end = extent->offset + extent->length;
		return true;
	}
	return false;
}

static uint64_t end_of_known(const struct source *source)
{
	if (!source->count)
		return 0;
	const struct vhdx_extent *last = &source->extents[source->count - 1];

	return last->offset + last->length;
}

static int disk_next_data(struct source *source, uint64_t offset, uint64_t end, uint64_t *ret_start,
			  uint64_t *ret_end)
{
	while (!known_data(source, offset, ret_start, ret_end)) {
		uint64_t from = max_u64(offset, end_of_known(source));

		if (from >= end)
			return -ENXIO;
		source->count = SOURCE_EXTENTS;
		int ret = vhdx_list_extents(source->disk, from, source->size - from, ALL_LAYERS,
					    &source->holes, source->extents, &source->count);

		if (ret) {
			source->count = 0;
			return ret;
		}
		assert(source->count);
	}
	return 0;
}

static int disk_read(struct source *source, void *buf, size_t size, uint64_t offset,
		     size_t *ret_done)
{
	size_t part = (size_t)min_u64(size, source->size - offset);

	*ret_done = part;
	return vhdx_pread(source->disk, buf, part, offset);
}

/* What a replay shows, it may show in the place of any byte of the file. */
static const struct vhdx_io *plain_file(const struct vhdx *layer)
{
	return layer->image.view == layer->image.file ? layer->image.file : NULL;
}

static bool disk_place(const struct source *source, uint64_t offset, struct source_place *ret_place)
{
	for (size_t i = 0; i < source->count; i++) {
		const struct vhdx_extent *extent = &source->extents[i];
		const struct vhdx *layer = source->disk;

		if (extent->type != VHDX_EXTENT_DATA || offset < extent->offset ||
		    offset - extent->offset >= extent->length)
			continue;
		for (unsigned depth = extent->depth; depth; depth--)
			layer = layer->parent;
		uint64_t skip = offset - extent->offset;

		*ret_place = (struct source_place){layer, plain_file(layer),
						   extent->file_offset + skip,
						   extent->length - skip};
		return true;
	}
	return false;
}

static const struct source_functions disk_functions = {disk_next_data, disk_read, disk_place};

static void begin_walk(struct source *source, bool direct)
{
	source->is_direct = direct;
	for (const struct vhdx *disk = source->disk; disk; disk = disk->parent) {
		vhdx_file_set_sequential(&disk->file, true);
		if (direct)
			vhdx_file_set_direct(&disk->file, true);
	}
}

/* The disk is the caller's, who may read it in another way. */
static void end_walk(struct source *source)
{
	for (const struct vhdx *disk = source->disk; disk; disk = disk->parent) {
		vhdx_file_set_sequential(&disk->file, false);
		if (source->is_direct)
			vhdx_file_set_direct(&disk->file, false);
	}
}

static int open_disk(struct source *source, bool direct)
{
	struct vhdx_info info = {.size = sizeof(info)};
	const struct vhdx_error *fault = vhdx_get_fault(source->disk);
	int ret = vhdx_get_info(source->disk, &info);

	if (ret)
		return ret;
	if (fault)
		return vhdx_fail(fault->errnum, (enum problem)fault->problem, fault->file,
				 fault->offset, "%s", fault->text);
	source->functions = &disk_functions;
	source->name = info.path ? info.path : STORAGE_NAME;
	source->size = info.virtual_size;
	begin_walk(source, direct);
	return 0;
}

/* ---- Raw storage ---- */

static int raw_next_data(struct source *source, uint64_t offset, uint64_t end, uint64_t *ret_start,
			 uint64_t *ret_end)
{
	int ret = vhdx_known_data(&source->known, &source->io, offset, ret_start, ret_end);

	(void)end;
	return ret ? vhdx_fail_errno(ret, source->name, "cannot tell data from holes at %#" PRIx64,
				     offset)
		   : 0;
}

static int raw_read(struct source *source, void *buf, size_t size, uint64_t offset,
		    size_t *ret_done)
{
	size_t part = (size_t)min_u64(size, source->size - offset);
	int ret = vhdx_io_read(&source->io, buf, part, offset);

	if (ret)
		return vhdx_fail_errno(ret, source->name, "cannot read %zu bytes at %#" PRIx64,
				       part, offset);
	*ret_done = part;
	return 0;
}

static bool raw_place(const struct source *source, uint64_t offset, struct source_place *ret_place)
{
	uint64_t end = min_u64(source->known.end, source->size);

	if (offset < source->known.start || offset >= end)
		return false;
	*ret_place = (struct source_place){NULL, &source->io, offset, end - offset};
	return true;
}

static const struct source_functions raw_functions = {raw_next_data, raw_read, raw_place};

static int open_raw(struct source *source)
{
	int ret = vhdx_io_get_size(&source->io, &source->size);

	if (ret)
		return vhdx_fail_errno(ret, source->name, "its size cannot be told");
	if (source->size > INT64_MAX)
		return vhdx_fail(-EFBIG, NO_PROBLEM, source->name, VHDX_NO_OFFSET,
				 "has %" PRIu64 " bytes (expected less than 2^63)", source->size);
	vhdx_file_set_sequential(&source->io, true);
	source->functions = &raw_functions;
	return 0;
}

/* A file that somebody writes to is no source. Where there are no locks, none is needed. */
static int open_path(struct source *source, bool direct, bool share)
{
	int ret = vhdx_file_io(source->path, direct ? VHDX_FILE_DIRECT : 0, &source->io);

	if (ret)
		return ret;
	source->owns_io = true;
	source->name = source->path;
	if (!share && source->io.lock(source->io.opaque, false) == -EAGAIN)
		return vhdx_fail(-EAGAIN, NO_PROBLEM, source->name, VHDX_NO_OFFSET,
				 "is being written by another process, which holds its lock");
	return open_raw(source);
}

/* ---- A stream ---- */

static int stream_next_data(struct source *source, uint64_t offset, uint64_t end,
			    uint64_t *ret_start, uint64_t *ret_end)
{
	if (source->size != SIZE_UNKNOWN && offset >= source->size)
		return -ENXIO;
	*ret_start = offset;
	*ret_end = end;
	return 0;
}

static int stream_read(struct source *source, void *buf, size_t size, uint64_t offset,
		       size_t *ret_done)
{
	size_t done = 0;

	while (done < size && source->size == SIZE_UNKNOWN) {
		ssize_t part = vhdx_stream_read(&source->stream, (char *)buf + done, size - done);

		if (part == -ECANCELED)
			return (int)part;
		if (part < 0)
			return vhdx_fail_errno((int)part, source->name,
					       "cannot read on at %#" PRIx64, offset + done);
		if (!part)
			source->size = offset + done;
		done += (size_t)part;
	}
	*ret_done = done;
	return 0;
}

static const struct source_functions stream_functions = {stream_next_data, stream_read, NULL};

static void open_stream(struct source *source, int fd)
{
	source->functions = &stream_functions;
	source->name = STREAM_NAME;
	source->size = SIZE_UNKNOWN;
	source->in_order = true;
	vhdx_stream_init(&source->stream, fd);
}

/* ---- Any of them ---- */

static int open_any(const struct vhdx_source *given, bool direct, struct source *source)
{
	if (given->disk) {
		source->disk = given->disk;
		return open_disk(source, direct);
	}
	if (given->path) {
		source->path = given->path;
		return open_path(source, direct, given->flags & VHDX_SOURCE_FORCE_SHARE);
	}
	if (given->io) {
		int ret = vhdx_io_adopt(given->io, &source->io);

		source->name = given->name ? given->name : STORAGE_NAME;
		return ret ? ret : open_raw(source);
	}
	open_stream(source, given->fd);
	return 0;
}

int vhdx_source_open(const struct vhdx_source *source, bool direct, struct source *ret_source)
{
	struct vhdx_source own;
	int ret = vhdx_adopt_needed(source, "vhdx_source", sizeof(own), &own);

	if (ret)
		return ret;
	if (!!own.disk + !!own.path + !!own.io + !!own.use_fd != 1)
		return vhdx_fail_argument(
			"vhdx_source: set exactly one of disk, path, io and use_fd");
	if (own.flags & ~VHDX_SOURCE_FORCE_SHARE)
		return vhdx_fail_argument("vhdx_source: unknown flags %#x", own.flags);
	*ret_source = (struct source){0};
	ret = open_any(&own, direct, ret_source);
	if (ret)
		vhdx_source_close(ret_source);
	return ret;
}

int vhdx_source_next_data(struct source *source, uint64_t offset, uint64_t end, uint64_t *ret_start,
			  uint64_t *ret_end)
{
	uint64_t start, stop;

	if (offset >= end)
		return -ENXIO;
	int ret = source->functions->next_data(source, offset, end, &start, &stop);

	if (ret)
		return ret;
	if (start >= end)
		return -ENXIO;
	*ret_start = start;
	*ret_end = min_u64(stop, end);
	return 0;
}

int vhdx_source_read(struct source *source, void *buf, size_t size, uint64_t offset,
		     size_t *ret_done)
{
	size_t done;
	int ret = source->functions->read(source, buf, size, offset, &done);

	if (ret)
		return ret;
	memset((char *)buf + done, 0, size - done);
	*ret_done = done;
	return 0;
}

bool vhdx_source_place(const struct source *source, uint64_t offset, struct source_place *ret_place)
{
	return source->functions->place && source->functions->place(source, offset, ret_place);
}

bool vhdx_source_uses_file(const struct source *source, const struct stat *file)
{
	struct stat st;

	if (source->in_order) /* of terminals and the like, both ends may be one */
		return !S_ISCHR(file->st_mode) && !fstat(source->stream.fd, &st) &&
		       vhdx_same_file(&st, file);
	return vhdx_disk_uses_file(source->disk, file) ||
	       (source->path && vhdx_leads_to(source->path, file));
}

void vhdx_source_close(struct source *source)
{
	end_walk(source);
	if (source->owns_io)
		vhdx_io_close(&source->io);
	*source = (struct source){0};
}
