/* SPDX-License-Identifier: MIT */
/* Contents for tests of convert and compare: raw files with holes, and storage that fails or counts. */
#ifndef TESTS_SUPPORT_ENDPOINTS_H
#define TESTS_SUPPORT_ENDPOINTS_H

#include <errno.h>
#include <stdatomic.h>

#include <vhdx.h>

#include "support/newdisk.h"
#include "support/random.h"

static inline struct vhdx_source from_path(const char *path)
{
	return (struct vhdx_source){.size = sizeof(struct vhdx_source), .path = path};
}

static inline struct vhdx_source from_disk(struct vhdx *disk)
{
	return (struct vhdx_source){.size = sizeof(struct vhdx_source), .disk = disk};
}

static inline struct vhdx_source from_io(const struct vhdx_io *io)
{
	return (struct vhdx_source){.size = sizeof(struct vhdx_source), .io = io};
}

static inline struct vhdx_source from_fd(int fd)
{
	return (struct vhdx_source){.size = sizeof(struct vhdx_source), .use_fd = 1, .fd = fd};
}

static inline struct vhdx_create_options made(enum vhdx_type type, uint32_t block_size)
{
	struct vhdx_create_options options = options_of(type, 0);

	options.block_size = block_size;
	options.seed = "seed";
	options.seed_size = 4;
	return options;
}

static inline int convert(struct vhdx_source source, struct vhdx_destination destination,
			  unsigned threads)
{
	struct vhdx_convert_options options = {.size = sizeof(options), .threads = threads};

	destination.size = sizeof(destination);
	return vhdx_convert(&source, &destination, &options);
}

static inline void to_vhdx(struct vhdx_source source, const char *path,
			   struct vhdx_create_options create, unsigned threads)
{
	struct vhdx_destination destination = {
		.format = VHDX_FORMAT_VHDX, .path = path, .create = &create};

	assert_int_equal(convert(source, destination, threads), 0);
}

static inline void to_raw(struct vhdx_source source, const char *path, unsigned threads)
{
	struct vhdx_create_options create = options_of(VHDX_DYNAMIC, 0);
	struct vhdx_destination destination = {.path = path, .create = &create};

	assert_int_equal(convert(source, destination, threads), 0);
}

/* A raw file with data of @seed here and there, also at the edges of blocks and at the end; the rest is holes. */
static inline void make_raw(const char *path, uint64_t size, uint64_t seed)
{
	static const uint64_t places[] = {0,	       1048576 - 5, 2097152 - 1, 3 * 1048576 + 512,
					  9 * 1048576, 16777215};
	struct rng rng = rng_make(seed);
	uint8_t buf[200000];

	scratch_resize(path, size);
	for (size_t i = 0; i <= sizeof(places) / sizeof(places[0]); i++) {
		uint64_t offset = i < sizeof(places) / sizeof(places[0]) ? places[i] : size - 1;
		uint64_t length = rng_length(&rng, sizeof(buf));

		if (offset >= size)
			continue;
		if (length > size - offset)
			length = size - offset;
		rng_fill(&rng, buf, (size_t)length);
		buf[0] |= 1;
		scratch_write(path, buf, (size_t)length, offset);
	}
}

/* Storage of @bytes (none: zeros) that counts what is read, and fails where it is told to. */
struct judged {
	uint8_t *bytes;
	uint64_t size;
	uint64_t data_start; /* next_data says that everything else is holes */
	uint64_t data_end;
	uint64_t fail_read_at; /* -EIO for what holds that byte; 0: never */
	uint64_t fail_write_at;
	atomic_ullong read_bytes;
	atomic_uint questions; /* where data are */
};

static inline bool judged_holds(const struct iovec *iov, uint64_t offset, uint64_t byte)
{
	return byte && offset <= byte && byte < offset + iov->iov_len;
}

static inline ssize_t judged_preadv(void *opaque, const struct iovec *iov, int count,
				    uint64_t offset)
{
	struct judged *judged = opaque;
	size_t size = iov->iov_len;

	(void)count;
	if (offset >= judged->size)
		return 0;
	if (judged_holds(iov, offset, judged->fail_read_at))
		return -EIO;
	if (size > judged->size - offset)
		size = (size_t)(judged->size - offset);
	if (judged->bytes)
		memcpy(iov->iov_base, judged->bytes + offset, size);
	else
		memset(iov->iov_base, 0, size);
	judged->read_bytes += size;
	return (ssize_t)size;
}

static inline ssize_t judged_pwritev(void *opaque, const struct iovec *iov, int count,
				     uint64_t offset)
{
	struct judged *judged = opaque;

	(void)count;
	if (offset + iov->iov_len > judged->size)
		return -ENOSPC;
	if (judged_holds(iov, offset, judged->fail_write_at))
		return -EIO;
	memcpy(judged->bytes + offset, iov->iov_base, iov->iov_len);
	return (ssize_t)iov->iov_len;
}

static inline int judged_get_size(void *opaque, uint64_t *ret_size)
{
	*ret_size = ((struct judged *)opaque)->size;
	return 0;
}

static inline int judged_next_data(void *opaque, uint64_t offset, uint64_t *ret_start,
				   uint64_t *ret_end)
{
	struct judged *judged = opaque;

	judged->questions++;
	if (offset >= judged->data_end)
		return -ENXIO;
	*ret_start = offset > judged->data_start ? offset : judged->data_start;
	*ret_end = judged->data_end;
	return 0;
}

static inline struct vhdx_io judged_io(struct judged *judged)
{
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = judged,
		.preadv = judged_preadv,
		.pwritev = judged->bytes ? judged_pwritev : NULL,
		.get_size = judged_get_size,
		.next_data = judged->data_end ? judged_next_data : NULL,
	};
}

/* Progress that never falls; stops at a place when told to. */
struct watched {
	uint64_t stop_at; /* 0: never */
	uint64_t last;
	uint64_t total;
	unsigned calls;
};

static inline int watch(void *opaque, uint64_t done, uint64_t total)
{
	struct watched *watched = opaque;

	assert_true(done >= watched->last);
	watched->last = done;
	watched->total = total;
	watched->calls++;
	return watched->stop_at && done >= watched->stop_at;
}

#endif
