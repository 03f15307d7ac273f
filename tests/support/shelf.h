/* SPDX-License-Identifier: MIT */
/* Files in a file system that clones, as it is told: what convert shares there, and what it reads. */
#ifndef TESTS_SUPPORT_SHELF_H
#define TESTS_SUPPORT_SHELF_H

#include "base/arith.h"
#include "store/io.h"
#include "support/endpoints.h"

#define SIZE (20 * MIB + 777)

static struct vhdx_io under; /* what the destination writes to */
static _Thread_local bool cloning;
static atomic_ullong read_bytes; /* from the source, to memory */

/* What the file system says, and what it was asked. */
static struct {
	int answer; /* to every question ... */
	uint64_t
		refuse_at; /* ... or, -EINVAL, to ranges that hold this byte of the destination; 0: none */
	bool only_counts; /* nobody looks at the contents, which are large */
	atomic_uint questions;
	atomic_uint crooked; /* of them: not of whole pages */
	atomic_ullong bytes; /* shared */
	atomic_ullong longest;
} fs;

static inline void share(void *opaque, uint64_t offset, const struct vhdx_io *source,
			 uint64_t source_offset, uint64_t length)
{
	void *buf = malloc((size_t)length);

	assert_non_null(buf);
	cloning = true;
	assert_int_equal(vhdx_io_read(source, buf, (size_t)length, source_offset), 0);
	cloning = false;
	under.opaque = opaque;
	assert_int_equal(vhdx_io_write(&under, buf, (size_t)length, offset), 0);
	free(buf);
}

/* Shares as a file system does: whole pages, and of what it refuses half may be done. */
static inline int clone(void *opaque, uint64_t offset, const struct vhdx_io *source,
			uint64_t source_offset, uint64_t length)
{
	fs.questions++;
	fs.longest = max_u64(fs.longest, length);
	if (fs.answer)
		return fs.answer;
	if (!is_aligned(offset | source_offset | length, 4096) || !length) {
		fs.crooked++;
		return -EINVAL;
	}
	if (fs.refuse_at && offset <= fs.refuse_at && fs.refuse_at < offset + length) {
		if (length > 4096 && !fs.only_counts)
			share(opaque, offset, source, source_offset, round_up(length / 2, 4096));
		return -EINVAL;
	}
	fs.bytes += length;
	if (!fs.only_counts)
		share(opaque, offset, source, source_offset, length);
	return 0;
}

static struct vhdx_io plain; /* below what counts */

static inline ssize_t count_preadv(void *opaque, const struct iovec *iov, int count,
				   uint64_t offset)
{
	ssize_t done = plain.preadv(opaque, iov, count, offset);

	if (done > 0 && !cloning)
		read_bytes += (unsigned long long)done;
	return done;
}

/* A file as the destination, in a file system that clones. */
static inline struct vhdx_io shelf(const char *path, uint64_t size)
{
	struct vhdx_io io;

	scratch_resize(path, size);
	assert_int_equal(vhdx_file_io(path, VHDX_FILE_WRITE, &under), 0);
	io = under;
	io.clone = clone;
	return io;
}

/* The file of a source, whose reads are counted. */
static inline struct vhdx_io counted(const char *path)
{
	struct vhdx_io io;

	assert_int_equal(vhdx_file_io(path, 0, &plain), 0);
	io = plain;
	io.preadv = count_preadv;
	read_bytes = 0;
	return io;
}

struct how {
	enum vhdx_type type;
	uint32_t block_size;
	uint32_t create_flags;
	uint32_t flags;
	unsigned threads;
	vhdx_progress_fn *progress;
	void *opaque;
};

static inline int convert_onto(struct vhdx_source source, const char *path, enum vhdx_format format,
			       uint64_t size, const struct how *how)
{
	struct vhdx_io io = shelf(path, size);
	struct vhdx_create_options create = made(how->type, how->block_size);
	struct vhdx_destination to = {
		.size = sizeof(to), .format = format, .io = &io, .create = &create};
	struct vhdx_convert_options options = {.size = sizeof(options),
					       .flags = how->flags,
					       .threads = how->threads,
					       .progress = how->progress,
					       .opaque = how->opaque};

	create.flags |= how->create_flags;
	int ret = vhdx_convert(&source, &to, &options);

	vhdx_io_close(&io);
	return ret;
}

static inline void onto_image(struct vhdx_source source, const char *path, const struct how *how)
{
	assert_int_equal(convert_onto(source, path, VHDX_FORMAT_VHDX, 0, how), 0);
}

static const struct how usual = {.type = VHDX_DYNAMIC, .block_size = MIB, .threads = 2};

static inline int forget(void **state)
{
	memset(&fs, 0, sizeof(fs));
	return scratch_enter(state);
}

/* Some MiB of data, a hole, and data again up to an end that nothing is aligned to. */
static inline void make_large(const char *path)
{
	static uint8_t buf[9 * MIB + 777];
	struct rng rng = rng_make(7);

	rng_fill(&rng, buf, sizeof(buf));
	scratch_resize(path, SIZE);
	scratch_write(path, buf, 7 * MIB, 4096);
	scratch_write(path, buf, sizeof(buf), 11 * MIB);
}

static inline void assert_disk_is(const char *path, const char *raw, uint64_t size)
{
	struct vhdx_info info = {0};
	struct vhdx *disk = open_disk(path, &info);

	to_raw(from_disk(disk), "again", 2);
	vhdx_close(disk);
	scratch_resize("again", size);
	scratch_assert_same("again", raw);
	unlink("again");
}

#define SHARE_TEST(name) cmocka_unit_test_setup_teardown(name, forget, scratch_leave)

#endif
