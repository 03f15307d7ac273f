/* SPDX-License-Identifier: MIT */
/* The open virtual disk: one file, and a pointer to its parent. */
#ifndef VHDX_VDISK_DISK_H
#define VHDX_VDISK_DISK_H

#include <limits.h>

#include "meta/bitmap.h"
#include "meta/image.h"
#include "store/file.h"
#include "store/holes.h"
#include "vdisk/stripes.h"

/* What all the disks of a chain share; the leaf owns it. */
struct chain_shared {
	struct stripes stripes;
	struct page_cache cache;
	uint64_t image_memory; /* bytes that the images of the chain keep */
};

struct writer;

struct candidate {
	const char *key;
	char *path;
	enum vhdx_candidate_state state;
	char *text;
};

/* What concerns a file that is written: parents are opened with these only as write_parents says. */
#define OPEN_WRITE_FLAGS (VHDX_OPEN_WRITE | VHDX_OPEN_NO_HOLES | VHDX_OPEN_NO_LOCK)

struct vhdx {
	char *name;
	uint32_t open_flags; /* VHDX_OPEN_* */
	struct vhdx_io file;
	struct image image;
	struct vhdx_info info;
	struct page_map bat;
	struct bitmaps bitmaps;
	struct chain_shared *shared;
	bool owns_shared;
	uint64_t counted_memory; /* of this image, in shared->image_memory */
	bool has_identity;
	struct file_identity identity;

	struct writer *writer; /* of a disk that is open for writing */

	struct vhdx *parent;
	struct candidate *candidates; /* where the parent was looked for */
	size_t candidate_count;
	bool has_chain_fault; /* the parent could not be opened (only with EXAMINE) */
	struct kept_error chain_fault;
	const struct kept_error
		*unreadable; /* why the disk cannot be read (EXAMINE, or a failed renewal) */
	struct kept_error renewal_fault;
};

/* Options completed to this size of the struct, and the chain that the file joins. */
struct open_request {
	struct vhdx_open_options options;
	struct chain_shared *shared;   /* of the child's chain; NULL for the leaf */
	const struct vhdx *descendant; /* no file of the chain may be that disk's; may be NULL */
};

/*
 * Opens one file without its parent. Takes @io over, also on failure. @name is copied. With EXAMINE a
 * damaged image is no failure.
 */
int vhdx_disk_open_one(struct vhdx_io *io, const char *name, const struct open_request *request,
		       struct vhdx **ret_disk);

static inline uint64_t disk_block_of(const struct vhdx *disk, uint64_t offset)
{
	return offset >> disk->image.geometry.block_shift;
}

/* The stripe of the block at @offset. */
static inline struct stripe *disk_stripe(const struct vhdx *disk, uint64_t offset)
{
	return stripe_of(&disk->shared->stripes, disk_block_of(disk, offset));
}

/* A parent's renewal may have failed. */
static inline bool disk_is_readable(const struct vhdx *disk)
{
	while (disk && !disk->unreadable)
		disk = disk->parent;
	return !disk;
}

/* Raises the error that keeps the disk from being read; 0 when there is none. */
static inline int disk_check_readable(const struct vhdx *disk)
{
	for (; disk; disk = disk->parent)
		if (disk->unreadable)
			return vhdx_error_raise(disk->unreadable);
	return 0;
}

static inline bool disk_is_writable(const struct vhdx *disk)
{
	return disk->open_flags & VHDX_OPEN_WRITE;
}

/*
 * Ends the session of a disk that is open for writing, so that its log is empty, and reads the image anew:
 * after an operation that changed more of the metadata than the disk follows. The next change begins
 * another session. The caller is alone. When the image cannot be read again, the disk cannot either.
 */
int vhdx_disk_renew(struct vhdx *disk);

/* The headers, and the state of the log, changed: vhdx_get_info tells so. */
void vhdx_disk_refresh_info(struct vhdx *disk);

void vhdx_disk_warn(const struct open_request *request, const char *name, const char *text);

/*
 * Keeps others from writing the file, and from reading it too when it is opened for writing. -EAGAIN when
 * another open file description is in the way.
 */
int vhdx_disk_lock(const struct vhdx *disk, const struct open_request *request);

/* Told of the name of a child; false ends the search. */
typedef bool child_visitor(void *opaque, const char *name);

/*
 * Finds images beside the file of @disk that name it as their parent, but for the file of @except, which
 * may be NULL. What cannot be read is passed over.
 */
void vhdx_each_child(const struct vhdx *disk, const struct vhdx *except, child_visitor *visit,
		     void *opaque);

/* Warns of a few of them: they break when the disk is written. */
void vhdx_warn_of_children(const struct vhdx *disk, const struct open_request *request);

/* Finds and opens the parents of @leaf. With EXAMINE, faults are kept in the disks and no failure. */
int vhdx_chain_open(struct vhdx *leaf, const struct open_request *request);

/*
 * Opens another chain that @child, which is open, could be put upon: the disk at @path, by the options'
 * open_parent if they have one, and its parents. -EINVAL when @child is one of them. The caller closes it,
 * before the child's own chain. @options may be NULL.
 */
int vhdx_chain_open_other(struct vhdx *child, const char *path,
			  const struct vhdx_open_options *options, struct vhdx **ret_parent);

/* Of vhdx_map: the whole chain is asked, or the disk's own file alone. */
#define ALL_LAYERS UINT_MAX
#define THIS_LAYER 1u

/* One piece of a disk, in the layer that decides about it. */
struct mapping {
	enum vhdx_extent_type type;
	uint64_t length;
	const struct vhdx *layer; /* NULL for ABSENT */
	uint64_t file_offset;	  /* DATA */
	unsigned depth;
};

/*
 * What is at @offset of the disk, for at most @length bytes, both inside the disk; the piece may end
 * early. Only the first @layers of the chain are asked: what is the parent's of the last of them is
 * VHDX_EXTENT_PARENT. The caller holds a stripe.
 */
int vhdx_map(struct vhdx *disk, uint64_t offset, uint64_t length, unsigned layers,
	     struct mapping *ret_mapping);

/* Where the files of a chain hold data, for one walk of the disk. Zeroed at first. */
struct file_holes {
	struct known_data layers[4]; /* of a longer chain, several share one */
};

/*
 * As vhdx_map, holding no stripe, for whoever walks the whole disk. With @holes, parts of present blocks
 * that the file does not hold are VHDX_EXTENT_ZERO.
 */
int vhdx_next_piece(struct vhdx *disk, uint64_t offset, uint64_t length, unsigned layers,
		    struct file_holes *holes, struct mapping *ret_mapping);

/* As vhdx_extents, which checks its arguments, with what is known of holes kept by the caller. */
int vhdx_list_extents(struct vhdx *disk, uint64_t offset, uint64_t length, unsigned layers,
		      struct file_holes *holes, struct vhdx_extent *ret_extents, size_t *count);

#endif
