/* SPDX-License-Identifier: MIT */
/* Storage in RAM, for tests and fuzzing. It has no holes, and is not for sharing while it grows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/error.h"
#include "store/memory.h"

struct memory_store {
	uint8_t *bytes;
	size_t size;
};

static ssize_t memory_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct memory_store *memory = opaque;
	ssize_t done = 0;

	for (int i = 0; i < iovcnt && offset < memory->size; i++) {
		size_t part = (size_t)min_u64(iov[i].iov_len, memory->size - offset);

		memcpy(iov[i].iov_base, memory->bytes + offset, part);
		offset += part;
		done += (ssize_t)part;
	}
	return done;
}

static int memory_set_size(void *opaque, uint64_t size)
{
	struct memory_store *memory = opaque;

	if (size > SIZE_MAX / 2)
		return -EFBIG;
	uint8_t *bytes = realloc(memory->bytes, (size_t)size + 1);

	if (!bytes)
		return -ENOMEM;
	if (size > memory->size)
		memset(bytes + memory->size, 0, (size_t)size - memory->size);
	*memory = (struct memory_store){bytes, (size_t)size};
	return 0;
}

static ssize_t memory_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct memory_store *memory = opaque;
	ssize_t done = 0;

	for (int i = 0; i < iovcnt; i++) {
		uint64_t end;

		if (!add_fits(offset, iov[i].iov_len, &end))
			return -EFBIG;
		int ret = end > memory->size ? memory_set_size(memory, end) : 0;

		if (ret)
			return ret;
		memcpy(memory->bytes + offset, iov[i].iov_base, iov[i].iov_len);
		offset = end;
		done += (ssize_t)iov[i].iov_len;
	}
	return done;
}

static int memory_get_size(void *opaque, uint64_t *ret_size)
{
	struct memory_store *memory = opaque;

	*ret_size = memory->size;
	return 0;
}

static int memory_zero(void *opaque, uint64_t offset, uint64_t length)
{
	struct memory_store *memory = opaque;

	if (offset < memory->size)
		memset(memory->bytes + offset, 0, (size_t)min_u64(length, memory->size - offset));
	return 0;
}

static void memory_close(void *opaque)
{
	struct memory_store *memory = opaque;

	free(memory->bytes);
	free(memory);
}

int vhdx_memory_io(const void *contents, size_t size, struct vhdx_io *ret_io)
{
	struct memory_store *memory = calloc(1, sizeof(*memory));

	if (!memory || memory_set_size(memory, size)) {
		free(memory);
		return vhdx_fail_memory();
	}
	if (contents)
		memcpy(memory->bytes, contents, size);
	*ret_io = (struct vhdx_io){
		.size = sizeof(*ret_io),
		.opaque = memory,
		.preadv = memory_preadv,
		.pwritev = memory_pwritev,
		.get_size = memory_get_size,
		.set_size = memory_set_size,
		.punch = memory_zero,
		.zero = memory_zero,
		.close = memory_close,
	};
	return 0;
}

void *vhdx_memory_bytes(const struct vhdx_io *io, size_t *ret_size)
{
	if (io->preadv != memory_preadv)
		return NULL;
	struct memory_store *memory = io->opaque;

	*ret_size = memory->size;
	return memory->bytes;
}
