/* SPDX-License-Identifier: MIT */
/*
 * Where contents come from and where they go, whatever it is: a disk, a raw file or device, storage of
 * the caller's own, a pipe. What convert and compare see of them.
 */
#ifndef VHDX_OPS_ENDPOINT_H
#define VHDX_OPS_ENDPOINT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "ops/build.h"
#include "ops/stream.h"
#include "store/newfile.h"
#include "vdisk/disk.h"

/* Of a stream, until its end has been read. */
#define SIZE_UNKNOWN UINT64_MAX

struct source;
struct source_place;

struct source_functions {
	/* As vhdx_source_next_data and vhdx_source_read. */
	int (*next_data)(struct source *source, uint64_t offset, uint64_t end, uint64_t *ret_start,
			 uint64_t *ret_end);
	int (*read)(struct source *source, void *buf, size_t size, uint64_t offset,
		    size_t *ret_done);
	/* Optional: as vhdx_source_place. */
	bool (*place)(const struct source *source, uint64_t offset, struct source_place *ret_place);
};

#define SOURCE_EXTENTS 64

struct source {
	const struct source_functions *functions;
	const char *name; /* in messages */
	uint64_t size;	  /* or SIZE_UNKNOWN */
	bool in_order;	  /* can only be read from front to back */

	struct vhdx *disk;
	bool is_direct;	  /* the disk's files are read past the page cache until it is closed */
	const char *path; /* a raw file's */
	struct vhdx_io io;
	bool owns_io;
	struct stream stream;

	struct known_data known; /* of raw storage */

	/* What the map of a disk said last. */
	struct vhdx_extent extents[SOURCE_EXTENTS];
	size_t count;
	struct file_holes holes;
};

/* @direct: open files to go past the page cache. */
int vhdx_source_open(const struct vhdx_source *source, bool direct, struct source *ret_source);

/*
 * The first range at or after @offset and before @end that may hold anything but zeros, cut to @end.
 * -ENXIO when there is none. One caller at a time, and @offset never goes back.
 */
int vhdx_source_next_data(struct source *source, uint64_t offset, uint64_t end, uint64_t *ret_start,
			  uint64_t *ret_end);

/*
 * Reads what there is of @size bytes at @offset and fills up with zeros; *ret_done is less than @size
 * only at the end, which makes the size of a stream known. In-order sources: one caller at a time.
 */
int vhdx_source_read(struct source *source, void *buf, size_t size, uint64_t offset,
		     size_t *ret_done);

/* Where a byte of the contents lies: in which file, and how far that goes on in there. */
struct source_place {
	const struct vhdx *layer; /* of a disk's chain; NULL: of raw storage */
	const struct vhdx_io
		*io; /* NULL: what is there is not what is read, for a log is replayed */
	uint64_t file_offset;
	uint64_t length;
};

/* For a byte of the range that vhdx_source_next_data told last; false when it lies nowhere. */
bool vhdx_source_place(const struct source *source, uint64_t offset,
		       struct source_place *ret_place);

/* Does it read that file? */
bool vhdx_source_uses_file(const struct source *source, const struct stat *file);

/* Also of a zeroed one. */
void vhdx_source_close(struct source *source);

struct sink;

struct sink_functions {
	/*
	 * Optional: the position that the bytes from @offset to the end of their MiB shall be written to. In
	 * the order of the disk, one caller at a time.
	 */
	int (*place)(struct sink *sink, uint64_t offset, uint64_t *ret_position);
	/* Where place is missing, the position is the offset. */
	int (*write)(struct sink *sink, const void *buf, size_t size, uint64_t position);
	/* Makes a range read as zeros; only called when !reads_zeros. */
	int (*zero)(struct sink *sink, uint64_t offset, uint64_t length);
	/*
	 * Gives a range of the disk what lies at @from, which does not pass through our memory; only called
	 * with whole units of share_unit, in the order of the disk, one caller at a time. *ret_refusal: 0, or
	 * the errno why these bytes must be read and written; then nothing has happened.
	 */
	int (*share)(struct sink *sink, const struct source_place *from, uint64_t offset,
		     uint64_t length, int *ret_refusal);
	/* The contents are complete. */
	int (*finish)(struct sink *sink, uint64_t size);
};

struct sink {
	const struct sink_functions *functions;
	const char *name;
	bool in_order;	  /* writes must come from front to back, one at a time */
	bool reads_zeros; /* what is not written reads as zeros */
	bool durable;
	bool no_holes;

	uint64_t
		share_unit; /* a power of two, what can be shared is aligned to it; 0: nothing can be */
	uint64_t share_most; /* at once */
	uint64_t share_end;  /* of the disk: what lies behind must be written */
	bool is_remote;	     /* its server copies by itself what it cannot share */

	struct new_file file; /* a new file */
	bool has_file;
	bool has_builder;
	struct builder builder; /* a new image, in the file or in io */
	struct vhdx_io io;
	bool owns_io;
	struct stream stream;
	uint64_t position; /* of the stream */
};

/* Opens where the contents of @source shall go; nothing is there before vhdx_sink_finish. */
int vhdx_sink_open(const struct vhdx_destination *destination, const struct source *source,
		   bool direct, struct sink *ret_sink);

/* Completes it, @size bytes long, and gives it its name. The sink must still be closed. */
int vhdx_sink_finish(struct sink *sink, uint64_t size);

/* Drops what was not finished. Also of a zeroed one. */
void vhdx_sink_close(struct sink *sink);

#endif
