/* SPDX-License-Identifier: MIT */
/* An io_manager of libext2fs over vhdx_pread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ext2io.h"

struct device {
	struct struct_io_channel channel; /* first: libext2fs knows the device by it */
	struct vhdx *disk;
	struct range range;
};

/* What is being opened: libext2fs hands on a name, and no pointer. */
static _Thread_local const struct device *opening;

static errcode_t device_close(io_channel channel)
{
	if (!--channel->refcount) {
		free(channel->name);
		free(channel);
	}
	return 0;
}

static errcode_t device_set_blksize(io_channel channel, int size_bytes)
{
	channel->block_size = size_bytes;
	return 0;
}

/* A negative @count is of bytes, any other of blocks. */
static errcode_t device_read_blk64(io_channel channel, unsigned long long block, int count,
				   void *data)
{
	const struct device *device = (const struct device *)channel;
	uint64_t block_size = (uint64_t)channel->block_size;
	uint64_t length = count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * block_size;
	const struct range *range = &device->range;

	if (!block_size || block > range->length / block_size ||
	    length > range->length - block * block_size)
		return EXT2_ET_SHORT_READ;
	return vhdx_pread(device->disk, data, length, range->start + block * block_size) ? EIO : 0;
}

static errcode_t device_read_blk(io_channel channel, unsigned long block, int count, void *data)
{
	return device_read_blk64(channel, block, count, data);
}

static errcode_t device_write_blk64(io_channel channel, unsigned long long block, int count,
				    const void *data)
{
	(void)channel;
	(void)block;
	(void)count;
	(void)data;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t device_write_blk(io_channel channel, unsigned long block, int count,
				  const void *data)
{
	return device_write_blk64(channel, block, count, data);
}

static errcode_t device_flush(io_channel channel)
{
	(void)channel;
	return 0;
}

static errcode_t device_open(const char *name, int flags, io_channel *ret_channel);

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "vhdx",
	.open = device_open,
	.close = device_close,
	.set_blksize = device_set_blksize,
	.read_blk = device_read_blk,
	.write_blk = device_write_blk,
	.flush = device_flush,
	.read_blk64 = device_read_blk64,
	.write_blk64 = device_write_blk64,
};

static errcode_t device_open(const char *name, int flags, io_channel *ret_channel)
{
	struct device *device = malloc(sizeof(*device));
	char *copy = strdup(name);

	if (!device || !copy || flags & IO_FLAG_RW) {
		free(device);
		free(copy);
		return flags & IO_FLAG_RW ? EXT2_ET_RO_FILSYS : EXT2_ET_NO_MEMORY;
	}
	*device = *opening;
	device->channel = (struct struct_io_channel){
		.magic = EXT2_ET_MAGIC_IO_CHANNEL,
		.manager = &manager,
		.name = copy,
		.block_size = 1024,
		.refcount = 1,
	};
	*ret_channel = &device->channel;
	return 0;
}

errcode_t ext2io_open(struct vhdx *disk, struct range range, ext2_filsys *ret_fs)
{
	const struct device device = {.disk = disk, .range = range};

	opening = &device;
	errcode_t result = ext2fs_open2("disk", NULL, EXT2_FLAG_64BITS | EXT2_FLAG_SUPER_ONLY, 0, 0,
					&manager, ret_fs);

	opening = NULL;
	return result;
}

void ext2io_close(ext2_filsys *fs)
{
	if (*fs)
		ext2fs_free(*fs);
	*fs = NULL;
}
