/* SPDX-License-Identifier: MIT */
/* Where contents go: a new image, a new raw file, a device or storage that is there, a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "ops/streamsink.h"
#include "store/filecopy.h"
#include "store/fill.h"
#include "base/options.h"
#include "base/sizetext.h"
#include "ops/samefile.h"
#include "ops/share.h"
#include "store/file.h"
#include "store/io.h"

#define STORAGE_NAME "(storage)"
#define STREAM_NAME  "(stream)"
/* Of what passes no memory, so that a cancel is soon noticed. */
#define MOST_CLONED (256 * MIB)
#define MOST_COPIED (16 * MIB)
/* Of what is written to the disk while the rest is copied: less makes more extents. */
#define WRITING_STEP (32 * MIB)

static const struct vhdx_io *io_of(const struct sink *sink)
{
	return sink->has_file ? &sink->file.io : &sink->io;
}

/* ---- Raw storage, new or not ---- */

/* The flush in the end then finds little left to wait for. */
static void begin_writing(const struct sink *sink, size_t size, uint64_t position)
{
	uint64_t end = round_down(position + size, WRITING_STEP);

	if (sink->durable && end > position)
		vhdx_file_begin_writing(io_of(sink), end - WRITING_STEP, WRITING_STEP);
}

static int raw_write(struct sink *sink, const void *buf, size_t size, uint64_t position)
{
	int ret = vhdx_io_write(io_of(sink), buf, size, position);

	if (!ret)
		begin_writing(sink, size, position);

	return ret ? vhdx_fail_errno(ret, sink->name, "cannot write %zu bytes at %#" PRIx64, size,
				     position)
		   : 0;
}

static int raw_zero(struct sink *sink, uint64_t offset, uint64_t length)
{
	int ret = sink->no_holes ? vhdx_fill_zeros(io_of(sink), offset, length)
				 : vhdx_fill_holes(io_of(sink), offset, length);

	return ret ? vhdx_fail_errno(ret, sink->name,
				     "cannot write zeros to %" PRIu64 " bytes at %#" PRIx64, length,
				     offset)
		   : 0;
}

static int raw_flush(struct sink *sink)
{
	int ret = sink->durable ? vhdx_io_flush(io_of(sink)) : 0;

	return ret ? vhdx_fail_errno(ret, sink->name, "cannot be made durable") : 0;
}

/*
 * Blocks that are shared, or a server's own copy of them. On local file systems the kernel's copy takes longer than
 * our threads, for the inode is locked all the while, and finds no zeros.
 */
static int share_storage(struct sink *sink, const struct source_place *from, uint64_t length,
			 uint64_t position)
{
	const struct vhdx_io *io = io_of(sink);
	int ret = vhdx_io_clone(io, position, from->io, from->file_offset, length);

	if (ret && sink->is_remote)
		ret = vhdx_file_copy_range(io, position, from->io, from->file_offset, length);
	return ret;
}

static int raw_share(struct sink *sink, const struct source_place *from, uint64_t offset,
		     uint64_t length, int *ret_refusal)
{
	*ret_refusal = share_storage(sink, from, length, offset);
	return 0;
}

/* What is shared is no space of the file's own: a later write to it may find none. */
static void allow_sharing(struct sink *sink)
{
	const struct vhdx_io *io = io_of(sink);

	sink->is_remote = vhdx_file_is_remote(io);
	if (sink->no_holes || (!io->clone && !sink->is_remote) ||
	    (sink->has_builder && sink->builder.space != SPACE_HOLES))
		return;
	sink->share_unit = vhdx_file_share_unit(io);
	sink->share_most = sink->is_remote ? MOST_COPIED : MOST_CLONED;
	sink->share_end = UINT64_MAX;
}

static int there_finish(struct sink *sink, uint64_t size)
{
	(void)size;
	return raw_flush(sink);
}

static int set_size(struct sink *sink, uint64_t size)
{
	int ret = vhdx_io_set_size(io_of(sink), size);

	return ret ? vhdx_fail_errno(ret, sink->name, "cannot be given a size of %" PRIu64 " bytes",
				     size)
		   : 0;
}

/* Holes that a stream's end shows only now, and the end itself. */
static int new_finish(struct sink *sink, uint64_t size)
{
	int ret = set_size(sink, size);

	return ret ? ret : vhdx_new_file_publish(&sink->file, sink->durable);
}

/* As new_finish. */
static int empty_finish(struct sink *sink, uint64_t size)
{
	int ret = set_size(sink, size);

	return ret ? ret : raw_flush(sink);
}

static const struct sink_functions there_functions = {
	.write = raw_write, .zero = raw_zero, .share = raw_share, .finish = there_finish};
static const struct sink_functions new_functions = {
	.write = raw_write, .zero = raw_zero, .share = raw_share, .finish = new_finish};
static const struct sink_functions empty_functions = {
	.write = raw_write, .zero = raw_zero, .share = raw_share, .finish = empty_finish};

/* Nothing is there, so that what it grows by is zeros until it is written. */
static int open_empty(struct sink *sink, const struct source *source)
{
	sink->functions = &empty_functions;
	sink->reads_zeros = !sink->no_holes;
	return source->size == SIZE_UNKNOWN ? 0 : set_size(sink, source->size);
}

/* Storage that is there must be large enough; what lies behind the contents stays as it is. */
static int open_there(struct sink *sink, const struct source *source)
{
	char text[2][SIZE_TEXT_MAX];
	uint64_t size;
	int ret = vhdx_io_get_size(&sink->io, &size);

	if (ret)
		return vhdx_fail_errno(ret, sink->name, "its size cannot be told");
	if (!sink->io.pwritev)
		return vhdx_fail(-EROFS, NO_PROBLEM, sink->name, VHDX_NO_OFFSET,
				 "cannot be written");
	if (!size && sink->io.set_size)
		return open_empty(sink, source);
	if (source->size != SIZE_UNKNOWN && source->size > size)
		return vhdx_fail(-ENOSPC, NO_PROBLEM, sink->name, VHDX_NO_OFFSET,
				 "holds %s, and %s needs %s", vhdx_size_text(size, text[0]),
				 source->name, vhdx_size_text(source->size, text[1]));
	sink->functions = &there_functions;
	return 0;
}

/* O_EXCL refuses a device that is mounted or otherwise in use. */
static int open_device(const char *path, bool direct, struct sink *sink)
{
	int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return vhdx_fail_errno(-errno, path, "cannot be opened for writing");
	int ret = vhdx_file_io_from_fd(fd, direct ? open(path, O_RDWR | O_DIRECT | O_CLOEXEC) : -1,
				       &sink->io);

	if (ret)
		return ret;
	sink->owns_io = true;
	sink->name = path;
	if (sink->io.lock(sink->io.opaque, true) == -EAGAIN)
		return vhdx_fail(-EAGAIN, NO_PROBLEM, path, VHDX_NO_OFFSET,
				 "is used by another process, which holds its lock");
	return 0;
}

static int open_new(struct sink *sink, const struct source *source)
{
	const struct vhdx_io *io = &sink->file.io;

	sink->functions = &new_functions;
	sink->reads_zeros = true;
	if (source->size == SIZE_UNKNOWN) {
		sink->reads_zeros = !sink->no_holes; /* what cannot be reserved ahead is written */
		return 0;
	}
	int ret = set_size(sink, source->size);

	if (ret || !sink->no_holes || !source->size)
		return ret;
	ret = vhdx_io_reserve(io, 0, source->size);
	sink->reads_zeros = ret != -EOPNOTSUPP;
	return ret && sink->reads_zeros
		       ? vhdx_fail_errno(ret, sink->name, "cannot get space for %" PRIu64 " bytes",
					 source->size)
		       : 0;
}

/* ---- A new image ---- */

static int image_place(struct sink *sink, uint64_t offset, uint64_t *ret_position)
{
	uint32_t block_size = sink->builder.plan.block_size;
	uint64_t block_offset;
	int ret = vhdx_builder_allocate(&sink->builder, offset / block_size, &block_offset);

	if (!ret)
		*ret_position = block_offset + offset % block_size;
	return ret;
}

/* A part may have been shared before the refusal: space that has no block yet must read as zeros. */
static int clear_refused(struct sink *sink, uint64_t place, uint64_t length)
{
	const struct vhdx_io *io = io_of(sink);
	int ret = vhdx_fill_holes(io, place, length);

	if (!ret && io->set_size)
		ret = vhdx_io_set_size(io, sink->builder.size);
	return ret ? vhdx_fail_errno(ret, sink->name,
				     "cannot be cleared at %#" PRIx64 ", where sharing stopped",
				     place)
		   : 0;
}

/* Space is taken only when it holds the bytes: blocks of zeros, which reading finds, shall have none. */
static int image_share(struct sink *sink, const struct source_place *from, uint64_t offset,
		       uint64_t length, int *ret_refusal)
{
	struct builder *builder = &sink->builder;

	uint64_t place = vhdx_builder_next_place(builder, offset);

	*ret_refusal = share_storage(sink, from, length, place);
	if (!*ret_refusal)
		return vhdx_builder_allocate_range(builder, offset, length);
	return share_is_final(*ret_refusal) ? 0 : clear_refused(sink, place, length);
}

static int image_finish(struct sink *sink, uint64_t size)
{
	uint32_t sector = sink->builder.plan.logical_sector_size;
	uint64_t virtual_size = round_up(size, sector);
	int ret = vhdx_plan_check_size(virtual_size, sector);

	if (!ret)
		ret = vhdx_builder_finish(&sink->builder, virtual_size);
	return ret || !sink->has_file ? ret : vhdx_new_file_publish(&sink->file, sink->durable);
}

static const struct sink_functions image_functions = {
	.place = image_place,
	.write = raw_write,
	.share = image_share,
	.finish = image_finish,
};

/* Block and sector sizes that were not asked for are those of a source that has such. */
static int inherit(const struct source *source, struct vhdx_create_options *options)
{
	struct vhdx_info info = {.size = sizeof(info)};
	int ret = source->disk ? vhdx_get_info(source->disk, &info) : 0;

	if (ret)
		return ret;
	if (!options->block_size)
		options->block_size = info.block_size;
	if (!options->logical_sector_size)
		options->logical_sector_size = info.logical_sector_size;
	if (!options->physical_sector_size && info.physical_sector_size)
		options->physical_sector_size =
			(uint32_t)max_u64(info.physical_sector_size, options->logical_sector_size);
	return 0;
}

static int plan_image(const struct source *source, struct vhdx_create_options *options,
		      struct image_plan *ret_plan)
{
	bool size_later = source->size == SIZE_UNKNOWN;

	if (options->type == VHDX_DIFFERENCING || options->parent || options->windows_path)
		return vhdx_fail_argument(
			"a differencing disk as the destination (expected fixed or dynamic)");
	int ret = inherit(source, options);

	if (ret)
		return ret;
	if (!source->size)
		return vhdx_fail(-EINVAL, NO_PROBLEM, source->name, VHDX_NO_OFFSET,
				 "is empty, which a virtual disk cannot be");
	if (!size_later)
		options->virtual_size = round_up_saturated(
			source->size,
			options->logical_sector_size ? options->logical_sector_size : 512);
	return vhdx_plan_image(options, size_later, ret_plan);
}

static int open_image(struct sink *sink, const struct image_plan *plan)
{
	sink->functions = &image_functions;
	sink->reads_zeros = true;
	int ret = vhdx_builder_begin(io_of(sink), sink->name, plan, &sink->builder);

	sink->has_builder = !ret;
	return ret;
}

/* ---- Any of them ---- */

/* What is there must not be what is read, or it would be destroyed before it is copied. */
static int check_not_source(const struct vhdx_destination *to, const struct source *source)
{
	struct stat st;

	if (to->io || (to->path ? stat(to->path, &st) : fstat(to->fd, &st)) ||
	    !vhdx_source_uses_file(source, &st))
		return 0;
	return vhdx_fail(-EINVAL, NO_PROBLEM, to->path ? to->path : STREAM_NAME, VHDX_NO_OFFSET,
			 "is the source, or a part of its chain (expected another file)");
}

static bool is_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

/* Opens a path or takes storage over, so that io_of() gives something to write to. */
static int open_storage(const struct vhdx_destination *to, bool force, bool direct,
			struct sink *sink)
{
	int ret;

	if (to->io) {
		sink->name = to->name ? to->name : STORAGE_NAME;
		return vhdx_io_adopt(to->io, &sink->io);
	}
	if (to->format == VHDX_FORMAT_RAW && is_device(to->path))
		return open_device(to->path, direct, sink);
	ret = vhdx_new_file(to->path, force, direct, &sink->file);
	sink->has_file = !ret;
	sink->name = sink->file.path;
	return ret;
}

static int open_any(const struct vhdx_destination *to, const struct source *source, bool direct,
		    struct vhdx_create_options *options, struct sink *sink)
{
	struct image_plan plan = {0};
	int ret = check_not_source(to, source);

	if (!ret && to->format == VHDX_FORMAT_VHDX)
		ret = plan_image(source, options, &plan);
	if (ret)
		return ret;
	if (to->use_fd) {
		sink->name = STREAM_NAME;
		vhdx_stream_sink(sink, to->fd, source->size);
		return 0;
	}
	sink->durable = !(options->flags & VHDX_CREATE_NO_SYNC);
	sink->no_holes = options->flags & VHDX_CREATE_NO_HOLES;
	ret = open_storage(to, options->flags & VHDX_CREATE_FORCE, direct, sink);
	if (ret)
		return ret;
	if (to->format == VHDX_FORMAT_VHDX)
		ret = open_image(sink, &plan);
	else
		ret = sink->has_file ? open_new(sink, source) : open_there(sink, source);
	if (!ret)
		allow_sharing(sink);
	return ret;
}

static int check_destination(const struct vhdx_destination *to,
			     const struct vhdx_create_options *options)
{
	uint32_t known = VHDX_CREATE_FORCE | VHDX_CREATE_NO_HOLES | VHDX_CREATE_NO_SYNC;

	if (!!to->path + !!to->io + !!to->use_fd != 1)
		return vhdx_fail_argument(
			"vhdx_destination: set exactly one of path, io and use_fd");
	if (to->format != VHDX_FORMAT_RAW && to->format != VHDX_FORMAT_VHDX)
		return vhdx_fail_argument(
			"vhdx_destination: format %d (expected VHDX_FORMAT_RAW or VHDX_FORMAT_VHDX)",
			(int)to->format);
	if (to->use_fd && to->format == VHDX_FORMAT_VHDX)
		return vhdx_fail_argument(
			"a VHDX cannot be written to a stream (expected a path or storage)");
	if (options->flags & ~known)
		return vhdx_fail_argument("vhdx_create_options: unknown flags %#x",
					  options->flags & ~known);
	return 0;
}

int vhdx_sink_open(const struct vhdx_destination *destination, const struct source *source,
		   bool direct, struct sink *ret_sink)
{
	struct vhdx_create_options options;
	struct vhdx_destination to;
	int ret = vhdx_adopt_needed(destination, "vhdx_destination", sizeof(to), &to);

	if (!ret)
		ret = vhdx_adopt_options(to.create, "vhdx_create_options", sizeof(options),
					 &options);
	if (!ret)
		ret = check_destination(&to, &options);
	if (ret)
		return ret;
	*ret_sink = (struct sink){0};
	ret = open_any(&to, source, direct, &options, ret_sink);
	if (ret)
		vhdx_sink_close(ret_sink);
	return ret;
}

int vhdx_sink_finish(struct sink *sink, uint64_t size)
{
	return sink->functions->finish(sink, size);
}

void vhdx_sink_close(struct sink *sink)
{
	vhdx_stream_leave_pipe(&sink->stream);
	if (sink->has_builder)
		vhdx_builder_free(&sink->builder);
	if (sink->has_file)
		vhdx_new_file_discard(&sink->file);
	if (sink->owns_io)
		vhdx_io_close(&sink->io);
	*sink = (struct sink){0};
}
