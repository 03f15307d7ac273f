/* SPDX-License-Identifier: MIT */
/* The open virtual disk: one file, and a pointer to its parent. */
#ifndef VHDX_VDISK_DISK_H
#define VHDX_VDISK_DISK_H

#include "meta/bitmap.h"
#include "meta/image.h"
#include "store/file.h"
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

/* What concerns a file that is written: no parent is opened with these. */
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
	bool has_identity;
	struct file_identity identity;

	struct writer *writer; /* of a disk that is open for writing */

	struct vhdx *parent;
	struct candidate *candidates; /* where the parent was looked for */
	size_t candidate_count;
	bool has_chain_fault; /* the parent could not be opened (only with EXAMINE) */
	struct kept_error chain_fault;
	const struct kept_error *unreadable; /* why the disk cannot be read (only with EXAMINE) */
};

/* Options completed to this size of the struct, and the chain that the file joins. */
struct open_request {
	struct vhdx_open_options options;
	struct chain_shared *shared; /* of the child's chain; NULL for the leaf */
};

/*
 * Opens one file without its parent. Takes @io over, also on failure. @name is copied. With EXAMINE a
 * damaged image is no failure.
 */
int vhdx_disk_open_one(struct vhdx_io *io, const char *name, const struct open_request *request,
		       struct vhdx **ret_disk);

/* Raises the error that keeps the disk from being read; 0 when there is none. */
static inline int disk_check_readable(const struct vhdx *disk)
{
	return disk->unreadable ? vhdx_error_raise(disk->unreadable) : 0;
}

static inline bool disk_is_writable(const struct vhdx *disk)
{
	return disk->open_flags & VHDX_OPEN_WRITE;
}

/* The headers, and the state of the log, changed: vhdx_get_info tells so. */
void vhdx_disk_refresh_info(struct vhdx *disk);

void vhdx_disk_warn(const struct open_request *request, const char *name, const char *text);

/*
 * Keeps others from writing the file, and from reading it too when it is opened for writing. -EAGAIN when
 * another open file description is in the way.
 */
int vhdx_disk_lock(const struct vhdx *disk, const struct open_request *request);

/*
 * Warns of images beside the file of @disk that name it as their parent: they break when it is written.
 * What cannot be read is passed over.
 */
void vhdx_warn_of_children(const struct vhdx *disk, const struct open_request *request);

/* Finds and opens the parents of @leaf. With EXAMINE, faults are kept in the disks and no failure. */
int vhdx_chain_open(struct vhdx *leaf, const struct open_request *request);

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
 * early. With @this_layer, what is the parent's is VHDX_EXTENT_PARENT. The caller holds a stripe.
 */
int vhdx_map(struct vhdx *disk, uint64_t offset, uint64_t length, bool this_layer,
	     struct mapping *ret_mapping);

#endif
