/* SPDX-License-Identifier: MIT */
/*
 * memory_storage TEXT: makes an image that lies in memory and not in a file, writes TEXT to its disk, opens it
 * again and prints what it reads. Storage is a table of functions; any that reads and writes at an offset will do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vhdx.h>

#define DISK_SIZE (UINT64_C(64) << 20)
#define PLACE	  (UINT64_C(5) << 20) /* of the text, on the disk */

struct memory {
	char *bytes;
	uint64_t size;
};

/* As pread: less than asked for at the end. */
static ssize_t memory_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	const struct memory *memory = opaque;
	ssize_t done = 0;

	for (int i = 0; i < iovcnt && offset < memory->size; i++) {
		uint64_t left = memory->size - offset;
		size_t part = iov[i].iov_len < left ? iov[i].iov_len : (size_t)left;

		memcpy(iov[i].iov_base, memory->bytes + offset, part);
		offset += part;
		done += (ssize_t)part;
	}
	return done;
}

static int memory_set_size(void *opaque, uint64_t size)
{
	struct memory *memory = opaque;
	char *bytes = realloc(memory->bytes, size ? (size_t)size : 1);

	if (!bytes)
		return -ENOMEM;
	if (size > memory->size)
		memset(bytes + memory->size, 0, (size_t)(size - memory->size));
	*memory = (struct memory){bytes, size};
	return 0;
}

static ssize_t memory_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct memory *memory = opaque;
	ssize_t done = 0;

	for (int i = 0; i < iovcnt; i++) {
		if (offset + iov[i].iov_len > memory->size &&
		    memory_set_size(memory, offset + iov[i].iov_len))
			return done ? done : -ENOSPC;
		memcpy(memory->bytes + offset, iov[i].iov_base, iov[i].iov_len);
		offset += iov[i].iov_len;
		done += (ssize_t)iov[i].iov_len;
	}
	return done;
}

static int memory_get_size(void *opaque, uint64_t *ret_size)
{
	const struct memory *memory = opaque;

	*ret_size = memory->size;
	return 0;
}

static int fail(void)
{
	const struct vhdx_error *error = vhdx_last_error();

	fprintf(stderr, "memory_storage: %s: %s\n", error->file, error->text);
	return 1;
}

/* One thread at a time uses this disk; a storage for several must itself stand them. */
static int write_text(const struct vhdx_io *io, const char *text)
{
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = VHDX_OPEN_WRITE | VHDX_OPEN_NO_LOCK};
	struct vhdx *disk;

	if (vhdx_open_io(io, &options, &disk))
		return fail();
	int ret = vhdx_pwrite(disk, text, strlen(text) + 1, PLACE, 0);

	if (ret)
		fail();
	/* The close makes all durable, if the storage can flush, and leaves the log empty. */
	return vhdx_close(disk) ? fail() : ret;
}

static int print_text(const struct vhdx_io *io, size_t length)
{
	struct vhdx *disk;
	char *text = malloc(length + 1);

	if (!text) {
		perror("memory_storage");
		return -1;
	}
	int ret = vhdx_open_io(io, NULL, &disk);

	if (!ret) {
		ret = vhdx_pread(disk, text, length + 1, PLACE);
		vhdx_close(disk);
	}
	if (ret)
		fail();
	else
		puts(text);
	free(text);
	return ret;
}

int main(int argc, char **argv)
{
	struct memory memory = {NULL, 0};
	struct vhdx_io io = {
		.size = sizeof(io),
		.opaque = &memory,
		.preadv = memory_preadv,
		.pwritev = memory_pwritev,
		.get_size = memory_get_size,
		.set_size = memory_set_size,
	};
	struct vhdx_create_options create = {.size = sizeof(create), .virtual_size = DISK_SIZE};

	if (argc != 2) {
		fprintf(stderr, "usage: memory_storage TEXT\n");
		return 1;
	}
	int ret = vhdx_create_io(&io, &create) ? fail() : 0;

	if (!ret)
		ret = write_text(&io, argv[1]);
	if (!ret)
		ret = print_text(&io, strlen(argv[1]));
	if (!ret)
		printf("the image took %llu KiB of memory\n",
		       (unsigned long long)memory.size / 1024);
	free(memory.bytes);
	return ret ? 1 : 0;
}
